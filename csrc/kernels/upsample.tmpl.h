/* Resampling of stored type S, computed in C; NAME prefixes the functions, READ and WRITE convert,
 * FLOOR and FMA are the functions of <math.h> for C. FLOATS is defined for all types but uint8. */
#define TABLES MT_K_JOIN(NAME, tables)
#define NEAREST MT_K_JOIN(NAME, nearest)
#define NEAREST_GRAD MT_K_JOIN(NAME, nearest_grad)
#define ALONG MT_K_JOIN(NAME, along)
#define WEIGHTED MT_K_JOIN(NAME, weighted)
#define WEIGHTED_GRAD MT_K_JOIN(NAME, weighted_grad)

/* ---- positions and weights of an axis, in the arithmetic of C ---- */

static void
TABLES(mt_upsample_axis *a, int mode, bool align_corners, double scale)
{
    bool cubic = mode == MT_UPSAMPLE_CUBIC, linear = mode == MT_UPSAMPLE_LINEAR;
    C step;
    if (align_corners && (cubic || linear))
        step = a->out > 1 ? (C)(a->in - 1) / (C)(a->out - 1) : 0;
    else
        step = scale > 0 ? (C)(1.0 / scale) : (C)a->in / (C)a->out;
    for (int64_t o = 0; o < a->out; o++) {
        C at = step * (C)o; /* "nearest" and aligned corners */
        if (mode == MT_UPSAMPLE_NEAREST_EXACT || ((cubic || linear) && !align_corners)) {
            at = FMA(step, (C)o + (C)0.5, (C)-0.5); /* one rounding, as PyTorch's build has it */
            if (!cubic && at < 0)
                at = 0;
        }
        if (mode == MT_UPSAMPLE_NEAREST_EXACT)
            at += (C)0.5;
        if (linear && a->in == a->out)
            at = (C)o;
        if (!cubic && !linear) { /* rounded to float32 before, whatever the type */
            a->index[0][o] = (int32_t)MT_MIN((int64_t)floorf((float)at), a->in - 1);
            continue;
        }
        int64_t first = (int64_t)FLOOR(at);
        if (linear)
            first = MT_MIN(first, a->in - 1);
        C t = at - (C)first;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        C *const *weight = (C *const *)a->weight;
        if (linear) {
            a->index[0][o] = (int32_t)first;
            a->index[1][o] = (int32_t)(first < a->in - 1 ? first + 1 : first);
            weight[0][o] = 1 - t;
            weight[1][o] = t;
            continue;
        }
        const C f = (C)-0.75;
        C far[2] = {t + 1, 2 - t}, near[2] = {t, 1 - t};
        for (int side = 0; side < 2; side++) {
            C x = far[side], y = near[side];
            weight[side * 3][o] = ((f * x - 5 * f) * x + 8 * f) * x - 4 * f;
            weight[side + 1][o] = ((f + 2) * y - (f + 3)) * y * y + 1;
        }
        for (int64_t k = 0; k < 4; k++)
            a->index[k][o] = (int32_t)MT_MAX(0, MT_MIN(first - 1 + k, a->in - 1));
    }
}

/* ---- nearest ---- */

static void
NEAREST(void *ctx, int64_t begin, int64_t end)
{
    const mt_upsample_job *j = ctx;
    const mt_upsample_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    const int32_t *MT_RESTRICT index = ax->index[0];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t plane = unit / j->units, row = unit % j->units * j->rows;
        int64_t last = MT_MIN(row + j->rows, az->out * ay->out);
        for (; row < last; row++) {
            int64_t y = ay->index[0][row % ay->out], z = az->index[0][row / ay->out];
            const S *MT_RESTRICT from = (const S *)j->from +
                                        ((plane * az->in + z) * ay->in + y) * ax->in;
            S *MT_RESTRICT to = (S *)j->to + (plane * az->out * ay->out + row) * ax->out;
            for (int64_t x = 0; x < ax->out; x++)
                to[x] = from[index[x]];
        }
    }
}

#ifdef FLOATS
/* Sums in C, written once: `to` is the plane itself where S is C. */
static void
NEAREST_GRAD(void *ctx, int64_t begin, int64_t end)
{
    mt_upsample_job *j = ctx;
    const mt_upsample_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    int64_t count = az->in * ay->in * ax->in;
    C *scratch = mt_scratch_take(&j->scratch);
    for (int64_t plane = begin; plane < end; plane++) {
        C *sums = SAME_TYPE ? (C *)j->to + plane * count : scratch;
        memset(sums, 0, (size_t)count * sizeof(C));
        for (int64_t row = 0; row < az->out * ay->out; row++) {
            int64_t y = ay->index[0][row % ay->out], z = az->index[0][row / ay->out];
            const S *from = (const S *)j->from + (plane * az->out * ay->out + row) * ax->out;
            C *to = sums + (z * ay->in + y) * ax->in;
            for (int64_t x = 0; x < ax->out; x++)
                to[ax->index[0][x]] += READ(from[x]);
        }
        for (int64_t i = 0; i < count && !SAME_TYPE; i++)
            ((S *)j->to)[plane * count + i] = WRITE(sums[i]);
    }
    mt_scratch_give(&j->scratch, scratch);
}

/* ---- linear and cubic: along x first, then across the rows ---- */

static void
ALONG(const mt_upsample_axis *a, const S *MT_RESTRICT from, C *MT_RESTRICT to)
{
    for (int64_t k = 0; k < a->taps; k += 2) {
        const int32_t *MT_RESTRICT left = a->index[k], *MT_RESTRICT right = a->index[k + 1];
        const C *MT_RESTRICT wl = a->weight[k], *MT_RESTRICT wr = a->weight[k + 1];
        if (k == 0)
            for (int64_t x = 0; x < a->out; x++)
                to[x] = wl[x] * READ(from[left[x]]) + wr[x] * READ(from[right[x]]);
        else
            for (int64_t x = 0; x < a->out; x++)
                to[x] += wl[x] * READ(from[left[x]]) + wr[x] * READ(from[right[x]]);
    }
}

static void
WEIGHTED(void *ctx, int64_t begin, int64_t end)
{
    mt_upsample_job *j = ctx;
    const mt_upsample_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    C *kept = mt_scratch_take(&j->scratch), *sum = kept + MT_UPSAMPLE_KEPT * ax->out;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t plane = unit / j->units, row = unit % j->units * j->rows;
        int64_t last = MT_MIN(row + j->rows, az->out * ay->out);
        int64_t tag[MT_UPSAMPLE_KEPT];
        for (int i = 0; i < MT_UPSAMPLE_KEPT; i++)
            tag[i] = -1;
        for (; row < last; row++) {
            int64_t oy = row % ay->out, oz = row / ay->out;
            for (int64_t kz = 0; kz < az->taps; kz++)
                for (int64_t ky = 0; ky < ay->taps; ky++) {
                    int64_t y = ay->index[ky][oy], z = az->index[kz][oz], at = z * ay->in + y;
                    int64_t place = z % MT_UPSAMPLE_KEEP_Z * MT_UPSAMPLE_KEEP_Y +
                                    y % MT_UPSAMPLE_KEEP_Y;
                    const C *MT_RESTRICT line = kept + place * ax->out;
                    if (tag[place] != at) {
                        ALONG(ax, (const S *)j->from + (plane * az->in * ay->in + at) * ax->in,
                              kept + place * ax->out);
                        tag[place] = at;
                    }
                    C w = ((const C *)az->weight[kz])[oz] * ((const C *)ay->weight[ky])[oy];
                    C *MT_RESTRICT to = sum;
                    if (kz == 0 && ky == 0)
                        for (int64_t x = 0; x < ax->out; x++)
                            to[x] = w * line[x];
                    else
                        for (int64_t x = 0; x < ax->out; x++)
                            to[x] += w * line[x];
                }
            S *MT_RESTRICT to = (S *)j->to + (plane * az->out * ay->out + row) * ax->out;
            for (int64_t x = 0; x < ax->out; x++)
                to[x] = WRITE(sum[x]);
        }
    }
    mt_scratch_give(&j->scratch, kept);
}

static void
WEIGHTED_GRAD(void *ctx, int64_t begin, int64_t end)
{
    mt_upsample_job *j = ctx;
    const mt_upsample_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    int64_t count = az->in * ay->in * ax->in;
    C *line = mt_scratch_take(&j->scratch), *scratch = line + ax->in;
    for (int64_t plane = begin; plane < end; plane++) {
        C *sums = SAME_TYPE ? (C *)j->to + plane * count : scratch;
        memset(sums, 0, (size_t)count * sizeof(C));
        for (int64_t row = 0; row < az->out * ay->out; row++) {
            int64_t oy = row % ay->out, oz = row / ay->out;
            const S *from = (const S *)j->from + (plane * az->out * ay->out + row) * ax->out;
            memset(line, 0, (size_t)ax->in * sizeof(C));
            for (int64_t k = 0; k < ax->taps; k++)
                for (int64_t x = 0; x < ax->out; x++)
                    line[ax->index[k][x]] += ((const C *)ax->weight[k])[x] * READ(from[x]);
            for (int64_t kz = 0; kz < az->taps; kz++)
                for (int64_t ky = 0; ky < ay->taps; ky++) {
                    C w = ((const C *)az->weight[kz])[oz] * ((const C *)ay->weight[ky])[oy];
                    C *MT_RESTRICT to = sums +
                                        (az->index[kz][oz] * ay->in + ay->index[ky][oy]) * ax->in;
                    const C *MT_RESTRICT part = line;
                    for (int64_t x = 0; x < ax->in; x++)
                        to[x] += w * part[x];
                }
        }
        for (int64_t i = 0; i < count && !SAME_TYPE; i++)
            ((S *)j->to)[plane * count + i] = WRITE(sums[i]);
    }
    mt_scratch_give(&j->scratch, line);
}
#endif

static const mt_upsample_kernels NAME = {
    .work_size = (int64_t)sizeof(C),
    .tables = TABLES,
    .nearest = NEAREST,
#ifdef FLOATS
    .weighted = WEIGHTED,
    .nearest_grad = NEAREST_GRAD,
    .weighted_grad = WEIGHTED_GRAD,
#endif
};

#undef TABLES
#undef NEAREST
#undef NEAREST_GRAD
#undef ALONG
#undef WEIGHTED
#undef WEIGHTED_GRAD
#undef S
#undef C
#undef NAME
#undef READ
#undef WRITE
#undef FLOOR
#undef FMA
#undef SAME_TYPE
#undef FLOATS
