/* The passes of a transform for one precision: REAL, NAME(f). Complex numbers are pairs.
 *
 * Stockham, decimation in frequency. A pass of radix r takes `stride` interleaved sequences of
 * length n to r * stride ones of length n / r:
 *   y[q + stride (r p + k)] = w_n^(k p) sum_j x[q + stride (p + j n / r)] w_r^(j k). */

static void
NAME(pass2)(const REAL *x, REAL *y, int64_t m, int64_t stride, const REAL *w, int64_t step)
{
    for (int64_t p = 0; p < m; p++) {
        REAL wr = w[2 * p * step], wi = w[2 * p * step + 1];
        const REAL *a = x + 2 * stride * p, *b = a + 2 * stride * m;
        REAL *u = y + 4 * stride * p, *v = u + 2 * stride;
        for (int64_t q = 0; q < stride; q++) {
            REAL dr = a[2 * q] - b[2 * q], di = a[2 * q + 1] - b[2 * q + 1];
            u[2 * q] = a[2 * q] + b[2 * q];
            u[2 * q + 1] = a[2 * q + 1] + b[2 * q + 1];
            v[2 * q] = dr * wr - di * wi;
            v[2 * q + 1] = dr * wi + di * wr;
        }
    }
}

static void
NAME(pass4)(const REAL *x, REAL *y, int64_t m, int64_t stride, const REAL *w, int64_t step, REAL sign)
{
    /* sign: -1 forward, i.e. w_4 = -i */
    for (int64_t p = 0; p < m; p++) {
        const REAL *w1 = w + 2 * p * step, *w2 = w + 4 * p * step, *w3 = w + 6 * p * step;
        const REAL *a = x + 2 * stride * p, *b = a + 2 * stride * m, *c = b + 2 * stride * m, *d = c + 2 * stride * m;
        REAL *y0 = y + 8 * stride * p, *y1 = y0 + 2 * stride, *y2 = y1 + 2 * stride, *y3 = y2 + 2 * stride;
        for (int64_t q = 0; q < 2 * stride; q += 2) {
            REAL acr = a[q] + c[q], aci = a[q + 1] + c[q + 1], ar = a[q] - c[q], ai = a[q + 1] - c[q + 1];
            REAL bdr = b[q] + d[q], bdi = b[q + 1] + d[q + 1];
            /* i sign (b - d) */
            REAL br = -sign * (b[q + 1] - d[q + 1]), bi = sign * (b[q] - d[q]);
            REAL r1 = ar + br, i1 = ai + bi, r2 = acr - bdr, i2 = aci - bdi, r3 = ar - br, i3 = ai - bi;
            y0[q] = acr + bdr;
            y0[q + 1] = aci + bdi;
            y1[q] = r1 * w1[0] - i1 * w1[1];
            y1[q + 1] = r1 * w1[1] + i1 * w1[0];
            y2[q] = r2 * w2[0] - i2 * w2[1];
            y2[q + 1] = r2 * w2[1] + i2 * w2[0];
            y3[q] = r3 * w3[0] - i3 * w3[1];
            y3[q + 1] = r3 * w3[1] + i3 * w3[0];
        }
    }
}

/* Any radix r, n = r m the length at this pass, `step` = n_total / n. */
static void
NAME(pass_any)(const REAL *x, REAL *y, int r, int64_t m, int64_t stride, const REAL *w, int64_t step)
{
    int64_t n = (int64_t)r * m;
    for (int64_t p = 0; p < m; p++)
        for (int k = 0; k < r; k++) {
            const REAL *turn = w + 2 * (k * p % n) * step;
            REAL *to = y + 2 * stride * (r * p + k);
            for (int64_t q = 0; q < stride; q++) {
                REAL sr = 0, si = 0;
                for (int j = 0; j < r; j++) {
                    const REAL *root = w + 2 * ((int64_t)(j * k % r) * m) * step;
                    const REAL *a = x + 2 * (q + stride * (p + j * m));
                    sr += a[0] * root[0] - a[1] * root[1];
                    si += a[0] * root[1] + a[1] * root[0];
                }
                to[2 * q] = sr * turn[0] - si * turn[1];
                to[2 * q + 1] = sr * turn[1] + si * turn[0];
            }
        }
}

static void
NAME(direct)(const mt_fft_plan *p, REAL *line, REAL *scratch, double scale)
{
    REAL *x = line, *y = scratch;
    int64_t n = p->n, stride = 1;
    for (int f = 0; f < p->nfactors; f++) {
        int r = p->factors[f];
        int64_t m = n / r, step = p->n / n;
        if (r == 4)
            NAME(pass4)(x, y, m, stride, p->twiddles, step, p->forward ? (REAL)-1 : (REAL)1);
        else if (r == 2)
            NAME(pass2)(x, y, m, stride, p->twiddles, step);
        else
            NAME(pass_any)(x, y, r, m, stride, p->twiddles, step);
        REAL *t = x;
        x = y;
        y = t;
        n = m;
        stride *= r;
    }
    if (scale != 1)
        for (int64_t i = 0; i < 2 * p->n; i++)
            line[i] = x[i] * (REAL)scale;
    else if (x != line)
        memcpy(line, x, (size_t)p->n * 2 * sizeof(REAL));
}

static void
NAME(run)(const mt_fft_plan *p, void *data, void *room, double scale)
{
    REAL *line = data, *scratch = room;
    if (!p->m) {
        NAME(direct)(p, line, scratch, scale);
        return;
    }
    /* X = chirp * ((x * chirp) convolved with the conjugate chirp) */
    const REAL *c = p->chirp, *kernel = p->kernel;
    REAL *a = scratch, *rest = scratch + 2 * p->m;
    for (int64_t k = 0; k < p->n; k++) {
        a[2 * k] = line[2 * k] * c[2 * k] - line[2 * k + 1] * c[2 * k + 1];
        a[2 * k + 1] = line[2 * k] * c[2 * k + 1] + line[2 * k + 1] * c[2 * k];
    }
    memset(a + 2 * p->n, 0, (size_t)(p->m - p->n) * 2 * sizeof(REAL));
    NAME(direct)(p->inner, a, rest, 1);
    for (int64_t k = 0; k < p->m; k++) {
        REAL re = a[2 * k] * kernel[2 * k] - a[2 * k + 1] * kernel[2 * k + 1];
        a[2 * k + 1] = a[2 * k] * kernel[2 * k + 1] + a[2 * k + 1] * kernel[2 * k];
        a[2 * k] = re;
    }
    NAME(direct)(p->inner_back, a, rest, scale / (double)p->m);
    for (int64_t k = 0; k < p->n; k++) {
        line[2 * k] = a[2 * k] * c[2 * k] - a[2 * k + 1] * c[2 * k + 1];
        line[2 * k + 1] = a[2 * k] * c[2 * k + 1] + a[2 * k + 1] * c[2 * k];
    }
}
