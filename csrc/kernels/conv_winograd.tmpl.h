/* 3 x 3 convolutions with steps of one by Winograd's minimal filtering, F(2 x 2, 3 x 3) (Lavin and
 * Gray, Fast Algorithms for Convolutional Neural Networks, 2015): 16 multiplications for 4 results
 * instead of 36. Part of conv.k.c, for T float: NAME prefixes the functions; STRIPS of conv.tmpl.h
 * is NAME_strips.
 *
 * Results lie in squares of 2 x 2; the squares of all images are numbered row by row, and a chunk
 * of them is transformed together: V[i][channel][square] from the source, U[i][result][channel]
 * from the weights, for i < 16. Then M[i] = U[i] V[i] is 16 products, and M is transformed into
 * results.
 *
 * What one source element contributes goes through all results of a square and cancels there, up to
 * rounding. So an infinity or NaN would reach results that do not depend on it, and an element far
 * larger than its neighbours would leave its rounding errors there. A chunk in which the largest
 * element is more than RANGE times the mean, or with a result that is not finite, is refused, and
 * the caller computes everything again in the general way. */
#define LANES ((int64_t)(MT_VECTOR_BYTES / sizeof(T)))
#define PIXELS (VECS * LANES)
#define VEC MT_K_JOIN(NAME, vec)
#define SQUARES MT_K_JOIN(NAME, squares)
#define WEIGHTS MT_K_JOIN(NAME, winograd_weights)
#define ROW MT_K_JOIN(NAME, winograd_row)
#define SOURCE MT_K_JOIN(NAME, winograd_source)
#define TARGET MT_K_JOIN(NAME, winograd_target)
#define CHUNK MT_K_JOIN(NAME, winograd)
#define SPREAD MT_K_JOIN(NAME, spread)
#define RANGE 256

/* Lanes of two vectors taken in turns: the lower and the upper half of what comes out. */
typedef int32_t MT_K_JOIN(NAME, lanes) __attribute__((vector_size(MT_VECTOR_BYTES)));
#if MT_VECTOR_BYTES == 64
#define LOWER                                                                                      \
    {                                                                                              \
        0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23                                     \
    }
#define UPPER                                                                                      \
    {                                                                                              \
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31                               \
    }
#elif MT_VECTOR_BYTES == 32
#define LOWER                                                                                      \
    {                                                                                              \
        0, 8, 1, 9, 2, 10, 3, 11                                                                   \
    }
#define UPPER                                                                                      \
    {                                                                                              \
        4, 12, 5, 13, 6, 14, 7, 15                                                                 \
    }
#else
#define LOWER                                                                                      \
    {                                                                                              \
        0, 4, 1, 5                                                                                 \
    }
#define UPPER                                                                                      \
    {                                                                                              \
        2, 6, 3, 7                                                                                 \
    }
#endif

/* U of `rows` results, one in each lane: G g G' with G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1].
 * The weights are taps[channel][9][rows], readable for a vector; U[i][channel][rows] goes to
 * to[i * distance]. */
static void
WEIGHTS(const void *taps, int64_t channels, void *to, int64_t distance, int64_t rows)
{
    const T *from = taps;
    for (int64_t c = 0; c < channels; c++, from += 9 * rows) {
        VEC g[9], h[4][3], u[16];
        for (int k = 0; k < 9; k++)
            g[k] = *(const VEC *)(from + k * rows);
        for (int j = 0; j < 3; j++) {
            VEC sum = (g[j] + g[6 + j]) * (T)0.5, half = g[3 + j] * (T)0.5;
            h[0][j] = g[j];
            h[1][j] = sum + half;
            h[2][j] = sum - half;
            h[3][j] = g[6 + j];
        }
        for (int i = 0; i < 4; i++) {
            VEC sum = (h[i][0] + h[i][2]) * (T)0.5, half = h[i][1] * (T)0.5;
            u[i * 4] = h[i][0];
            u[i * 4 + 1] = sum + half;
            u[i * 4 + 2] = sum - half;
            u[i * 4 + 3] = h[i][2];
        }
        /* Whole vectors: what runs over is written afterwards, but not behind the last channel. */
        T *out = (T *)to + c * rows;
        if ((channels - c) * rows >= LANES)
            for (int i = 0; i < 16; i++)
                *(VEC *)(out + i * distance) = u[i];
        else
            for (int i = 0; i < 16; i++)
                memcpy(out + i * distance, &u[i], (size_t)rows * sizeof(T));
    }
}

/* Squares next to each other in one row of squares. */
typedef struct SQUARES {
    int64_t slab, y, x, count; /* row and column of the first square */
} SQUARES;

static SQUARES
MT_K_JOIN(SQUARES, from)(const mt_conv_plan *plan, int64_t square, int64_t end)
{
    int64_t down = plan->squares_down, across = plan->squares_across;
    SQUARES s = {.slab = square / across / down, .y = square / across % down, .x = square % across};
    s.count = MT_MIN(end - square, across - s.x);
    return s;
}

/* Sizes of the elements met so far. */
typedef struct SPREAD {
    VEC sum, largest;
    int64_t count;
} SPREAD;

static void
MT_K_JOIN(SPREAD, add)(SPREAD *spread, const T *from, int64_t count)
{
    VEC sum = spread->sum, largest = spread->largest;
    for (int64_t i = 0; i < count; i += LANES) {
        VEC a = *(const VEC *)(from + i);
        a = (VEC)((MT_K_JOIN(NAME, lanes))a & 0x7FFFFFFF);
        sum += a;
        MT_K_JOIN(NAME, lanes) more = a > largest; /* never for a NaN, which the sum shows */
        largest = (VEC)(((MT_K_JOIN(NAME, lanes))a & more) |
                        ((MT_K_JOIN(NAME, lanes))largest & ~more));
    }
    spread->sum = sum;
    spread->largest = largest;
    spread->count += count;
}

static bool
MT_K_JOIN(SPREAD, is_small)(const SPREAD *spread)
{
    T sum = 0, largest = 0;
    for (int64_t i = 0; i < LANES; i++) {
        sum += spread->sum[i];
        largest = largest > spread->largest[i] ? largest : spread->largest[i];
    }
    return largest * (T)spread->count <= sum * RANGE;
}

/* Row `y` of a source plane: its elements at even and at odd places from the first tap on. What
 * lies behind them is zero. */
static void
ROW(const mt_conv_plan *plan, const char *plane, int64_t y, T *MT_RESTRICT even, T *MT_RESTRICT odd,
    T *MT_RESTRICT whole, SPREAD *spread)
{
    const mt_conv_axis *ay = &plan->axis[1], *ax = &plan->axis[2];
    int64_t count = plan->squares_across + 1;
    if (plane == NULL || y < 0 || y >= ay->source) {
        memset(even, 0, (size_t)count * sizeof(T));
        memset(odd, 0, (size_t)count * sizeof(T));
        return;
    }
    const char *row = plane + y * ax->source * plan->element->size;
    plan->element->load(whole, row, ax->start[0], 1, 2 * count, ax->source);
    for (int64_t i = 0; i < count; i++) {
        even[i] = whole[2 * i];
        odd[i] = whole[2 * i + 1];
    }
    MT_K_JOIN(SPREAD, add)(spread, even, count);
    MT_K_JOIN(SPREAD, add)(spread, odd, count);
}

/* V of one channel: B' d B with B' = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]. Whole vectors are
 * written: what runs over the end of a row of squares is overwritten by the next. */
static void
SOURCE(const mt_conv_plan *plan, int64_t first, int64_t end, int64_t channel, T *to,
       int64_t distance, T *rows, SPREAD *spread)
{
    const mt_conv_axis *az = &plan->axis[0], *ay = &plan->axis[1], *ax = &plan->axis[2];
    int64_t line = plan->squares_line, tag[4] = {-1, -1, -1, -1};
    int64_t plane_bytes = ay->source * ax->source * plan->element->size;
    for (int64_t at = first; at < end;) {
        SQUARES s = MT_K_JOIN(SQUARES, from)(plan, at, end);
        int64_t image = s.slab / az->count, z = s.slab % az->count * az->step + az->start[0];
        const char *plane = NULL;
        if (z >= 0 && z < az->source)
            plane = plan->source +
                    ((image * plan->groups * plan->channels + channel) * az->source + z) *
                        plane_bytes;
        const T *even[4], *odd[4];
        for (int64_t i = 0; i < 4; i++) {
            int64_t row = 2 * s.y + i;
            T *place = rows + row % 4 * 2 * line;
            int64_t name = s.slab * (2 * plan->squares_down + 4) + row;
            if (tag[row % 4] != name)
                ROW(plan, plane, row + ay->start[0], place, place + line, rows + 8 * line,
                    spread);
            tag[row % 4] = name;
            even[i] = place + s.x;
            odd[i] = place + line + s.x;
        }
        T *out = to + at - first;
        for (int64_t x = 0; x < s.count; x += LANES) {
            VEC d[4][4];
            for (int i = 0; i < 4; i++) {
                d[i][0] = *(const VEC *)(even[i] + x);
                d[i][1] = *(const VEC *)(odd[i] + x);
                d[i][2] = *(const VEC *)(even[i] + x + 1);
                d[i][3] = *(const VEC *)(odd[i] + x + 1);
            }
            for (int i = 0; i < 4; i++) {
                VEC t[4];
                for (int k = 0; k < 4; k++)
                    t[k] = i == 0   ? d[0][k] - d[2][k]
                           : i == 1 ? d[1][k] + d[2][k]
                           : i == 2 ? d[2][k] - d[1][k]
                                    : d[1][k] - d[3][k];
                T *v = out + x + 4 * i * distance;
                *(VEC *)v = t[0] - t[2];
                *(VEC *)(v + distance) = t[1] + t[2];
                *(VEC *)(v + 2 * distance) = t[2] - t[1];
                *(VEC *)(v + 3 * distance) = t[1] - t[3];
            }
        }
        at += s.count;
    }
}

/* Results of one channel: A' m A with A' = [1 1 1 0; 0 1 -1 -1]. True when all are finite. */
static bool
TARGET(const mt_conv_plan *plan, int64_t first, int64_t end, int64_t channel, const T *from,
       int64_t distance, T *rows)
{
    const mt_conv_axis *az = &plan->axis[0], *ay = &plan->axis[1], *ax = &plan->axis[2];
    int64_t channels = plan->groups * plan->results, size = plan->element->size;
    const char *bias = plan->bias != NULL ? plan->bias + channel * size : NULL;
    T *upper = rows, *lower = rows + 2 * plan->squares_line;
    uint32_t largest = 0;
    for (int64_t at = first; at < end;) {
        SQUARES s = MT_K_JOIN(SQUARES, from)(plan, at, end);
        const T *m = from + at - first;
        for (int64_t x = 0; x < s.count; x += LANES) {
            VEC sum[2][4];
            for (int k = 0; k < 4; k++) {
                VEC q[4];
                for (int i = 0; i < 4; i++)
                    q[i] = *(const VEC *)(m + x + (4 * i + k) * distance);
                sum[0][k] = q[0] + q[1] + q[2];
                sum[1][k] = q[1] - q[2] - q[3];
            }
            for (int i = 0; i < 2; i++) {
                VEC a = sum[i][0] + sum[i][1] + sum[i][2], b = sum[i][1] - sum[i][2] - sum[i][3];
                T *to = (i == 0 ? upper : lower) + 2 * x;
                *(VEC *)to = __builtin_shuffle(a, b, (MT_K_JOIN(NAME, lanes))LOWER);
                *(VEC *)(to + LANES) = __builtin_shuffle(a, b, (MT_K_JOIN(NAME, lanes))UPPER);
            }
        }
        int64_t col = 2 * s.x, count = MT_MIN(2 * s.count, ax->count - col);
        int64_t image = s.slab / az->count, z = s.slab % az->count;
        int64_t oz = z * az->target_step + az->target_start;
        for (int64_t i = 0; i < 2 && 2 * s.y + i < ay->count; i++) {
            const T *row = i == 0 ? upper : lower;
            for (int64_t x = 0; x < count; x++) {
                uint32_t bits;
                memcpy(&bits, row + x, sizeof bits);
                bits &= 0x7FFFFFFFu;
                largest = bits > largest ? bits : largest;
            }
            int64_t oy = 2 * s.y + i + ay->target_start, ox = col + ax->target_start;
            int64_t place = (((image * channels + channel) * az->target + oz) * ay->target + oy) *
                                ax->target +
                            ox;
            plan->element->store(plan->target + place * size, 1, row, count, bias);
        }
        at += s.count;
    }
    return largest < 0x7F800000u;
}

static bool
CHUNK(const mt_conv_plan *plan, int64_t group, int64_t chunk, int64_t block, void *scratch)
{
    int64_t first = chunk * plan->chunk, channels = plan->channels;
    int64_t end = MT_MIN(first + plan->chunk, plan->squares), count = end - first;
    int64_t ld = plan->chunk_line, apart = plan->source_apart, also = plan->target_apart;
    T *rows = scratch, *v = rows + 10 * plan->squares_line, *m = v + 16 * apart;
    bool finite = true;
    SPREAD spread = {.count = 0};
    memset(rows, 0, (size_t)(10 * plan->squares_line) * sizeof(T));
    for (int64_t c = 0; c < channels; c++)
        SOURCE(plan, first, end, group * channels + c, v + c * ld, apart, rows, &spread);
    if (!MT_K_JOIN(SPREAD, is_small)(&spread))
        return false;
    int64_t last = MT_MIN((block + 1) * plan->result_block, plan->results);
    for (int64_t from = block * plan->result_block; from < last; from += MT_CONV_WINOGRAD_RESULTS) {
        int64_t results = MT_MIN(MT_CONV_WINOGRAD_RESULTS, last - from);
        int64_t parts = (results + ROWS - 1) / ROWS;
        for (int64_t i = 0; i < 16; i++) {
            const T *u = (const T *)plan->weights + (group * 16 + i) * plan->weights_apart +
                         from * channels;
            T *to = m + i * also;
            for (int64_t k = 0; k < channels; k += plan->depth) {
                int64_t depth = MT_MIN(plan->depth, channels - k);
                for (int64_t p = 0; p < count; p += PIXELS)
                    for (int64_t part = 0; part < parts; part++) {
                        int64_t r = mt_conv_cut(results, parts, part);
                        int64_t n = mt_conv_cut(results, parts, part + 1) - r;
                        MT_K_JOIN(NAME, strips)
                        (n, count - p, u + r * channels + k * n, v + i * apart + k * ld + p,
                         plan->offset, depth, to + r * ld + p, ld, k == 0);
                    }
            }
        }
        for (int64_t r = 0; r < results; r++)
            finite &= TARGET(plan, first, end, group * plan->results + from + r, m + r * ld, also,
                             rows);
    }
    return finite;
}

#undef LANES
#undef LOWER
#undef UPPER
#undef PIXELS
#undef VEC
#undef SQUARES
#undef WEIGHTS
#undef ROW
#undef SOURCE
#undef TARGET
#undef CHUNK
#undef SPREAD
#undef RANGE
#undef T
#undef NAME
