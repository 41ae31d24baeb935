/* Pooling of stored type S, computed in C; NAME prefixes the functions. READ and WRITE convert,
 * LOWEST is below or equal to everything, OFFSET an integer as wide as C, and IS_NAN(c) says so.
 * AVERAGES is defined for the types that have averages, FLOATS for those with all functions. */
#define CHUNK 256
#define TAKE MT_K_JOIN(NAME, take)
#define MAX_ROWS MT_K_JOIN(NAME, max_rows)
#define ADAPTIVE_MAX_ROWS MT_K_JOIN(NAME, adaptive_max_rows)
#define AVG_ROWS MT_K_JOIN(NAME, avg_rows)
#define AVG_PLANES MT_K_JOIN(NAME, avg_planes)
#define WIDE_SUM MT_K_JOIN(NAME, wide_sum)
#define ADAPTIVE_AVG_ROWS MT_K_JOIN(NAME, adaptive_avg_rows)
#define ADAPTIVE_AVG_PLANES MT_K_JOIN(NAME, adaptive_avg_planes)
#define MAX_PLANES MT_K_JOIN(NAME, max_planes)

/* ---- maxima: one tap at a time over a run of outputs ---- */

MT_INLINE void
TAKE(const S *MT_RESTRICT from, int64_t stride, int64_t count, OFFSET offset, C *MT_RESTRICT best,
     OFFSET *MT_RESTRICT where)
{
    for (int64_t i = 0; i < count; i++) {
        C value = READ(from[i * stride]);
        bool take = (value > best[i]) | IS_NAN(value);
        best[i] = take ? value : best[i];
        where[i] = take ? offset : where[i];
    }
}

static void
MAX_ROWS(void *ctx, int64_t begin, int64_t end)
{
    const mt_pooling_job *j = ctx;
    const mt_pooling_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    C best[CHUNK];
    OFFSET where[CHUNK];
    for (int64_t at = begin; at < end; at++) {
        window w = window_of(j, at);
        const S *plane = (const S *)j->from + w.plane * j->in_count;
        OFFSET first = (OFFSET)((w.first_z * az->dilation * ay->in + w.first_y * ay->dilation) *
                                ax->in);
        for (int64_t x = 0; x < ax->out; x += CHUNK) {
            int64_t count = MT_MIN(CHUNK, ax->out - x);
            for (int64_t i = 0; i < count; i++) {
                best[i] = LOWEST;
                where[i] = first;
            }
            for (int64_t i = 0; i < count; i++) { /* windows that begin in the padding */
                int64_t start = (x + i) * ax->stride - ax->padding;
                if (start >= 0)
                    break;
                where[i] += (OFFSET)((-start + ax->dilation - 1) / ax->dilation * ax->dilation);
            }
            for (int64_t kz = w.first_z; kz < w.last_z; kz++)
                for (int64_t ky = w.first_y; ky < w.last_y; ky++) {
                    int64_t down = (kz * az->dilation * ay->in + ky * ay->dilation) * ax->in;
                    for (int64_t kx = 0; kx < ax->kernel; kx++) {
                        int64_t from = MT_MAX(j->first[kx], x) - x;
                        int64_t to = MT_MIN(j->last[kx], x + count) - x;
                        OFFSET offset = (OFFSET)(down + kx * ax->dilation);
                        const S *source = plane + w.origin + (x + from) * ax->stride + offset;
                        if (from >= to)
                            continue;
                        if (ax->stride == 1)
                            TAKE(source, 1, to - from, offset, best + from, where + from);
                        else if (ax->stride == 2)
                            TAKE(source, 2, to - from, offset, best + from, where + from);
                        else
                            TAKE(source, ax->stride, to - from, offset, best + from, where + from);
                    }
                }
            S *out = (S *)j->to + at * ax->out + x;
            for (int64_t i = 0; i < count; i++)
                out[i] = WRITE(best[i]);
            if (j->indices != NULL)
                for (int64_t i = 0; i < count; i++)
                    j->indices[at * ax->out + x + i] = w.origin + (x + i) * ax->stride +
                                                       (int64_t)where[i];
        }
    }
}

static void
ADAPTIVE_MAX_ROWS(void *ctx, int64_t begin, int64_t end)
{
    const mt_pooling_job *j = ctx;
    const mt_pooling_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    for (int64_t at = begin; at < end; at++) {
        int64_t oy = at % ay->out, oz = at / ay->out % az->out;
        const S *plane = (const S *)j->from + at / ay->out / az->out * j->in_count;
        for (int64_t ox = 0; ox < ax->out; ox++) {
            int64_t x0 = j->first[ox], x1 = j->last[ox];
            int64_t index = (mt_pooling_start(az, oz) * ay->in + mt_pooling_start(ay, oy)) *
                                ax->in +
                            x0;
            C best = LOWEST;
            for (int64_t z = mt_pooling_start(az, oz); z < mt_pooling_end(az, oz); z++)
                for (int64_t y = mt_pooling_start(ay, oy); y < mt_pooling_end(ay, oy); y++)
                    for (int64_t x = x0; x < x1; x++) {
                        int64_t i = (z * ay->in + y) * ax->in + x;
                        C value = READ(plane[i]);
                        if (value > best || IS_NAN(value)) {
                            best = value;
                            index = i;
                        }
                    }
            ((S *)j->to)[at * ax->out + ox] = WRITE(best);
            if (j->indices != NULL)
                j->indices[at * ax->out + ox] = index;
        }
    }
}

/* ---- averages ---- */

#ifdef AVERAGES
static void
AVG_ROWS(void *ctx, int64_t begin, int64_t end)
{
    const mt_pooling_job *j = ctx;
    const mt_pooling_axis *ay = &j->axis[1], *ax = &j->axis[2];
    C sum[CHUNK];
    for (int64_t at = begin; at < end; at++) {
        window w = window_of(j, at);
        const S *plane = (const S *)j->from + w.plane * j->in_count;
        for (int64_t x = 0; x < ax->out; x += CHUNK) {
            int64_t count = MT_MIN(CHUNK, ax->out - x);
            for (int64_t i = 0; i < count; i++)
                sum[i] = 0;
            for (int64_t kz = w.first_z; kz < w.last_z; kz++)
                for (int64_t ky = w.first_y; ky < w.last_y; ky++)
                    for (int64_t kx = 0; kx < ax->kernel; kx++) {
                        int64_t from = MT_MAX(j->first[kx], x) - x;
                        int64_t to = MT_MIN(j->last[kx], x + count) - x;
                        const S *source = plane + w.origin + (kz * ay->in + ky) * ax->in + kx +
                                          x * ax->stride;
                        if (ax->stride == 1)
                            for (int64_t i = from; i < to; i++)
                                sum[i] += READ(source[i]);
                        else if (ax->stride == 2)
                            for (int64_t i = from; i < to; i++)
                                sum[i] += READ(source[i * 2]);
                        else
                            for (int64_t i = from; i < to; i++)
                                sum[i] += READ(source[i * ax->stride]);
                    }
            S *out = (S *)j->to + at * ax->out + x;
            for (int64_t i = 0; i < count; i++) {
                int64_t divisor = divisor_of(j, &w, x + i);
                out[i] = WRITE(divisor != 0 ? sum[i] / (C)divisor : (C)0);
            }
        }
    }
}

/* From right to left within a window: what an input element gets from a row of outputs comes in
 * their order. */
static void
AVG_PLANES(void *ctx, int64_t begin, int64_t end)
{
    const mt_pooling_job *j = ctx;
    const mt_pooling_axis *ay = &j->axis[1], *ax = &j->axis[2];
    int64_t rows = j->out_count / ax->out;
    S part[CHUNK];
    memset((S *)j->to + begin * j->in_count, 0, (size_t)((end - begin) * j->in_count) * sizeof(S));
    for (int64_t at = begin * rows; at < end * rows; at++) {
        window w = window_of(j, at);
        S *plane = (S *)j->to + w.plane * j->in_count;
        for (int64_t x = 0; x < ax->out; x += CHUNK) {
            int64_t count = MT_MIN(CHUNK, ax->out - x);
            const S *from = (const S *)j->from + at * ax->out + x;
            for (int64_t i = 0; i < count; i++) {
                int64_t divisor = divisor_of(j, &w, x + i);
                part[i] = WRITE(divisor != 0 ? READ(from[i]) / (C)divisor : (C)0);
            }
            for (int64_t kz = w.first_z; kz < w.last_z; kz++)
                for (int64_t ky = w.first_y; ky < w.last_y; ky++)
                    for (int64_t kx = ax->kernel - 1; kx >= 0; kx--) {
                        int64_t first = MT_MAX(j->first[kx], x) - x;
                        int64_t last = MT_MIN(j->last[kx], x + count) - x;
                        S *to = plane + w.origin + (kz * ay->in + ky) * ax->in + kx +
                                x * ax->stride;
                        if (ax->stride == 1)
#pragma GCC ivdep
                            for (int64_t i = first; i < last; i++)
                                to[i] = WRITE(READ(to[i]) + READ(part[i]));
                        else
                            for (int64_t i = first; i < last; i++)
                                to[i * ax->stride] = WRITE(READ(to[i * ax->stride]) +
                                                           READ(part[i]));
                    }
        }
    }
}
#endif

#ifdef FLOATS
/* Long runs are summed in sixteen lanes, short ones from left to right. */
static C
WIDE_SUM(const S *row, int64_t from, int64_t to)
{
    C lane[16] = {0}, sum = 0;
    for (; from + 16 <= to; from += 16)
        for (int64_t l = 0; l < 16; l++)
            lane[l] += READ(row[from + l]);
    for (; from < to; from++)
        sum += READ(row[from]);
    for (int64_t l = 0; l < 16; l++)
        sum += lane[l];
    return sum;
}

static void
ADAPTIVE_AVG_ROWS(void *ctx, int64_t begin, int64_t end)
{
    const mt_pooling_job *j = ctx;
    const mt_pooling_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    for (int64_t at = begin; at < end; at++) {
        int64_t oy = at % ay->out, oz = at / ay->out % az->out;
        const S *plane = (const S *)j->from + at / ay->out / az->out * j->in_count;
        int64_t z0 = mt_pooling_start(az, oz), z1 = mt_pooling_end(az, oz);
        int64_t y0 = mt_pooling_start(ay, oy), y1 = mt_pooling_end(ay, oy);
        for (int64_t ox = 0; ox < ax->out; ox++) {
            int64_t x0 = j->first[ox], x1 = j->last[ox];
            C sum = 0;
            for (int64_t z = z0; z < z1; z++)
                for (int64_t y = y0; y < y1; y++) {
                    const S *row = plane + (z * ay->in + y) * ax->in;
                    if (x1 - x0 >= 16)
                        sum += WIDE_SUM(row, x0, x1);
                    else
                        for (int64_t x = x0; x < x1; x++)
                            sum += READ(row[x]);
                }
            ((S *)j->to)[at * ax->out + ox] = WRITE(sum / (C)(z1 - z0) / (C)(y1 - y0) /
                                                    (C)(x1 - x0));
        }
    }
}

static void
ADAPTIVE_AVG_PLANES(void *ctx, int64_t begin, int64_t end)
{
    const mt_pooling_job *j = ctx;
    const mt_pooling_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    int64_t rows = az->out * ay->out;
    memset((S *)j->to + begin * j->in_count, 0, (size_t)((end - begin) * j->in_count) * sizeof(S));
    for (int64_t at = begin * rows; at < end * rows; at++) {
        int64_t oy = at % ay->out, oz = at / ay->out % az->out;
        S *plane = (S *)j->to + at / rows * j->in_count;
        int64_t z0 = mt_pooling_start(az, oz), z1 = mt_pooling_end(az, oz);
        int64_t y0 = mt_pooling_start(ay, oy), y1 = mt_pooling_end(ay, oy);
        for (int64_t ox = 0; ox < ax->out; ox++) {
            int64_t x0 = j->first[ox], x1 = j->last[ox];
            S part = ((const S *)j->from)[at * ax->out + ox];
            part = WRITE(READ(part) / (C)(z1 - z0));
            part = WRITE(READ(part) / (C)(y1 - y0));
            part = WRITE(READ(part) / (C)(x1 - x0));
            for (int64_t z = z0; z < z1; z++)
                for (int64_t y = y0; y < y1; y++)
                    for (int64_t x = x0; x < x1; x++) {
                        S *to = plane + (z * ay->in + y) * ax->in + x;
                        *to = WRITE(READ(*to) + READ(part));
                    }
        }
    }
}

/* ---- the gradient of maxima ---- */

static void
MAX_PLANES(void *ctx, int64_t begin, int64_t end)
{
    mt_pooling_job *j = ctx;
    memset((S *)j->to + begin * j->in_count, 0, (size_t)((end - begin) * j->in_count) * sizeof(S));
    for (int64_t plane = begin; plane < end; plane++) {
        const S *from = (const S *)j->from + plane * j->out_count;
        const int64_t *given = j->given + plane * j->out_count;
        S *to = (S *)j->to + plane * j->in_count;
        for (int64_t i = 0; i < j->out_count; i++) {
            if ((uint64_t)given[i] >= (uint64_t)j->in_count) {
                atomic_store(&j->bad_index, given[i]);
                atomic_store(&j->has_bad_index, true);
                return;
            }
            to[given[i]] = WRITE(READ(to[given[i]]) + READ(from[i]));
        }
    }
}
#endif

static const mt_pooling_kernels NAME = {
    .max_rows = MAX_ROWS,
    .adaptive_max_rows = ADAPTIVE_MAX_ROWS,
#ifdef AVERAGES
    .avg_rows = AVG_ROWS,
    .avg_planes = AVG_PLANES,
#endif
#ifdef FLOATS
    .adaptive_avg_rows = ADAPTIVE_AVG_ROWS,
    .adaptive_avg_planes = ADAPTIVE_AVG_PLANES,
    .max_planes = MAX_PLANES,
#endif
};

#undef CHUNK
#undef TAKE
#undef MAX_ROWS
#undef ADAPTIVE_MAX_ROWS
#undef AVG_ROWS
#undef AVG_PLANES
#undef WIDE_SUM
#undef ADAPTIVE_AVG_ROWS
#undef ADAPTIVE_AVG_PLANES
#undef MAX_PLANES
#undef S
#undef C
#undef OFFSET
#undef NAME
#undef READ
#undef WRITE
#undef LOWEST
#undef IS_NAN
#undef AVERAGES
#undef FLOATS
