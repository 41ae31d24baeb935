/* Distances of rows and their gradients for one precision: REAL, NAME(f), M(f) of the C library. */

static REAL
NAME(distance)(const REAL *x, const REAL *y, int64_t n, double p)
{
    REAL sum = 0;
    if (p == 2) {
        for (int64_t k = 0; k < n; k++)
            sum += (x[k] - y[k]) * (x[k] - y[k]);
        return M(sqrt)(sum);
    }
    if (p == 1) {
        for (int64_t k = 0; k < n; k++)
            sum += M(fabs)(x[k] - y[k]);
    } else if (p == 0) {
        for (int64_t k = 0; k < n; k++)
            sum += x[k] != y[k];
    } else if (isinf(p)) {
        for (int64_t k = 0; k < n; k++) {
            REAL d = M(fabs)(x[k] - y[k]);
            sum = d <= sum || sum != sum ? sum : d;
        }
    } else {
        for (int64_t k = 0; k < n; k++)
            sum += M(pow)(M(fabs)(x[k] - y[k]), (REAL)p);
        return M(pow)(sum, 1 / (REAL)p);
    }
    return sum;
}

/* to += grad times the slope of |x - y|_p in x. */
static void
NAME(add_slope)(REAL *to, const REAL *x, const REAL *y, int64_t n, double p, REAL grad, REAL dist)
{
    if (p == 0 || (dist == 0 && p != 1))
        return;
    REAL scale = p == 2 ? grad / dist : grad;
    for (int64_t k = 0; k < n; k++) {
        REAL d = x[k] - y[k], size = M(fabs)(d), sign = d > 0 ? 1 : d < 0 ? -1 : d;
        if (p == 2)
            to[k] += d * scale;
        else if (p == 1)
            to[k] += sign * grad;
        else if (isinf(p))
            to[k] += size == dist ? sign * grad : 0;
        else if (d != 0)
            to[k] += sign * M(pow)(size, (REAL)p - 1) * grad / M(pow)(dist, (REAL)p - 1);
    }
}

static void
NAME(forward)(const pairs *s, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        const REAL *x = (const REAL *)s->a + i * s->width;
        const REAL *y = (const REAL *)s->b + i / s->rows * s->columns * s->width;
        if (s->within) {
            REAL *out = (REAL *)s->out + triangle_start(i, s->rows);
            for (int64_t j = i + 1; j < s->columns; j++)
                *out++ = NAME(distance)(x, y + j * s->width, s->width, s->p);
        } else {
            REAL *out = (REAL *)s->out + i * s->columns;
            for (int64_t j = 0; j < s->columns; j++)
                out[j] = NAME(distance)(x, y + j * s->width, s->width, s->p);
        }
    }
}

static void
NAME(backward)(const pairs *s, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        const REAL *x = (const REAL *)s->a + i * s->width;
        const REAL *y = (const REAL *)s->b + i / s->rows * s->columns * s->width;
        const REAL *grad = (const REAL *)s->grad, *dist = (const REAL *)s->dist;
        REAL *out = (REAL *)s->out + i * s->width;
        memset(out, 0, (size_t)s->width * sizeof *out);
        for (int64_t j = 0; j < s->columns; j++) {
            int64_t low = i < j ? i : j, high = i < j ? j : i;
            if (s->within && i == j)
                continue;
            int64_t at = s->within ? triangle_start(low, s->rows) + high - low - 1 : i * s->columns + j;
            NAME(add_slope)(out, x, y + j * s->width, s->width, s->p, grad[at], dist[at]);
        }
    }
}
