/* The loops of a convolution in type T; NAME prefixes the functions, ROWS is the most channels of
 * a register tile (the widest that leaves room for its operands in the registers). */
#define LANES ((int64_t)(MT_VECTOR_BYTES / sizeof(T)))
#define PIXELS (VECS * LANES)
#define VEC MT_K_JOIN(NAME, vec)
#define FILL MT_K_JOIN(NAME, fill)
#define STRIP MT_K_JOIN(NAME, strip)
#define STRIPS MT_K_JOIN(NAME, strips)
#define TILE MT_K_JOIN(NAME, tile)
#define LINE MT_K_JOIN(NAME, line)
#define THREE MT_K_JOIN(NAME, three)
#define DEPTHWISE MT_K_JOIN(NAME, depthwise)
#define OUTER MT_K_JOIN(NAME, outer)
#define OUTERS MT_K_JOIN(NAME, outers)
#define TURN MT_K_JOIN(NAME, turn)
#define UNTURN MT_K_JOIN(NAME, unturn)
#define DOTS MT_K_JOIN(NAME, dots)
#define WEIGHT MT_K_JOIN(NAME, weight)
#define ADD MT_K_JOIN(NAME, add)

typedef T VEC __attribute__((vector_size(MT_VECTOR_BYTES), aligned(sizeof(T)), may_alias));

/* ---- planes ---- */

/* Copies what the tile needs of `depth` channels of the source. Unrolled copies are made from
 * shared ones in `staged`, in whole vectors: a row may run over its end, into the next row, which
 * is written after it, or into the room behind the plane. */
static void
FILL(const mt_conv_plan *plan, const extent *e, int64_t channel, int64_t depth, T *planes,
     T *staged)
{
    const mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    int64_t across = mt_conv_copies(x), down = mt_conv_copies(y);
    int64_t plane_bytes = y->source * x->source * plan->element->size;
    int64_t rows = e->rows + mt_conv_extra(y), cols = e->cols + mt_conv_extra(x);
    int64_t line = plan->line, lines = plan->rows + y->most_shift;
    bool copy = is_copy(plan, e);
    for (int64_t c = 0; c < depth; c++)
        for (int64_t tz = 0; tz < z->num_taps; tz++)
            for (int64_t s = 0; s < e->slabs; s++) {
                int64_t image = (e->slab + s) / z->count, at = (e->slab + s) % z->count;
                int64_t iz = at * z->step + z->start[tz];
                const char *plane = NULL;
                if (iz >= 0 && iz < z->source)
                    plane = plan->source +
                            ((image * plan->groups * plan->channels + channel + c) * z->source +
                             iz) *
                                plane_bytes;
                T *to = planes + c * plan->channel_planes + tz * down * across * plan->plane +
                        s * plan->plane_rows * plan->pitch;
                if (copy && plane != NULL && !y->unrolled) {
                    plan->element->load(to, plane, (e->row + y->shared_start[0]) * x->source, 1,
                                        rows * cols, y->source * x->source);
                    continue;
                }
                if (!y->unrolled && !x->unrolled) {
                    load_rows(plan, e, plane, (char *)to, across * plan->plane, plan->plane,
                              plan->pitch, sizeof(T));
                    continue;
                }
                load_rows(plan, e, plane, (char *)staged, lines * x->num_shared * line, line,
                          x->num_shared * line, sizeof(T));
                for (int64_t ty = 0; ty < down; ty++)
                    for (int64_t tx = 0; tx < across; tx++) {
                        int64_t vy = y->unrolled ? y->shared[ty] : ty;
                        int64_t vx = x->unrolled ? x->shared[tx] : tx;
                        const T *from = staged + (vy * lines * x->num_shared + vx) * line;
                        if (y->unrolled)
                            from += y->shift[ty] * x->num_shared * line;
                        if (x->unrolled)
                            from += x->shift[tx];
                        T *row_to = to + (ty * across + tx) * plan->plane;
                        for (int64_t row = 0; row < rows; row++) {
                            for (int64_t i = 0; i < cols; i += LANES)
                                *(VEC *)(row_to + i) = *(const VEC *)(from + i);
                            row_to += plan->pitch;
                            from += x->num_shared * line;
                        }
                    }
            }
}

/* ---- forward: channels x pixels in registers, steps (channel, tap) one by one ---- */

MT_INLINE void
STRIP(const int rows, const int vecs, const T *w, const T *planes, const int32_t *offset,
      int64_t steps, T *sums, int64_t ld, bool first)
{
    VEC acc[ROWS][VECS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++)
            acc[i][v] = first ? (VEC){0} : *(const VEC *)(sums + i * ld + v * LANES);
    for (int64_t k = 0; k < steps; k++, w += rows) {
        const T *source = planes + offset[k];
        VEC pixels[VECS];
        for (int v = 0; v < vecs; v++)
            pixels[v] = *(const VEC *)(source + v * LANES);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vecs; v++)
                acc[i][v] += w[i] * pixels[v];
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++)
            *(VEC *)(sums + i * ld + v * LANES) = acc[i][v];
}

/* `left` pixels are left in the tile: the last register tile may be narrower. */
static void
STRIPS(int64_t rows, int64_t left, const T *w, const T *planes, const int32_t *offset,
       int64_t steps, T *sums, int64_t ld, bool first)
{
    switch (rows) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        if (left > LANES)                                                                          \
            STRIP(n, VECS, w, planes, offset, steps, sums, ld, first);                             \
        else                                                                                       \
            STRIP(n, 1, w, planes, offset, steps, sums, ld, first);                                \
        break;
        FOR_ROWS(CASE)
#undef CASE
    default: break;
    }
}

static void
TILE(const mt_conv_plan *plan, int64_t group, int64_t tile, int64_t block, void *scratch)
{
    extent e = extent_of(plan, tile);
    T *planes = scratch, *staged = planes + plan->plane_elements, *sums = staged + plan->staged;
    int64_t ld = (plan->pixels + PIXELS - 1) / PIXELS * PIXELS;
    int64_t from = block * plan->result_block;
    int64_t results = MT_MIN(plan->result_block, plan->results - from);
    int64_t steps = plan->channels * plan->taps;
    const T *weights = (const T *)plan->weights + (group * plan->results + from) * steps;
    int64_t parts = (results + ROWS - 1) / ROWS;
    if (steps == 0)
        memset(sums, 0, (size_t)(results * ld) * sizeof(T));
    for (int64_t d = 0; d < plan->depth_blocks; d++) {
        int64_t channel = d * plan->depth, depth = MT_MIN(plan->depth, plan->channels - channel);
        FILL(plan, &e, group * plan->channels + channel, depth, planes, staged);
        for (int64_t p = 0; p < e.pixels; p += PIXELS)
            for (int64_t i = 0; i < parts; i++) {
                int64_t r = mt_conv_cut(results, parts, i);
                int64_t rows = mt_conv_cut(results, parts, i + 1) - r;
                STRIPS(rows, e.pixels - p, weights + r * steps + channel * plan->taps * rows,
                       planes + p, plan->offset, depth * plan->taps, sums + r * ld + p, ld, d == 0);
            }
    }
    for (int64_t r = 0; r < results; r++)
        store_tile(plan, &e, group * plan->results + from + r, sums + r * ld, sizeof(T));
}

/* ---- forward with one source channel: pixels in registers, taps one by one ---- */

MT_INLINE void
LINE(const int vecs, const T *w, const T *planes, const int32_t *offset, int64_t taps, T *sums)
{
    VEC acc[4] = {{0}};
    for (int64_t k = 0; k < taps; k++) {
        const T *source = planes + offset[k];
        for (int v = 0; v < vecs; v++)
            acc[v] += w[k] * *(const VEC *)(source + v * LANES);
    }
    for (int v = 0; v < vecs; v++)
        *(VEC *)(sums + v * LANES) = acc[v];
}

/* Four rows of a 3 x 3 kernel at a time, whose source rows they share; steps are one. */
static void
THREE(const T *w, const T *source, int64_t pitch, T *sums, int64_t ld, int64_t cols)
{
    VEC weight[9];
    for (int k = 0; k < 9; k++)
        weight[k] = w[k] - (VEC){0};
    for (int64_t x = 0; x < cols; x += LANES, source += LANES, sums += LANES) {
        VEC acc[4] = {{0}};
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++)
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                VEC pixels = *(const VEC *)(source + j * pitch + i);
#pragma GCC unroll 4
                for (int r = 0; r < 4; r++)
                    if (j - r >= 0 && j - r < 3)
                        acc[r] += weight[(j - r) * 3 + i] * pixels;
            }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++)
            *(VEC *)(sums + r * ld) = acc[r];
    }
}

static void
DEPTHWISE(const mt_conv_plan *plan, int64_t group, int64_t tile, void *scratch)
{
    extent e = extent_of(plan, tile);
    T *planes = scratch, *staged = planes + plan->plane_elements, *sums = staged + plan->staged;
    FILL(plan, &e, group, 1, planes, staged);
    for (int64_t r = 0; r < plan->results; r++) {
        const T *w = (const T *)plan->weights + (group * plan->results + r) * plan->taps;
        int64_t row = 0;
        if (plan->three_by_three)
            for (; row + 4 <= e.rows; row += 4) {
                T rest[4 * LANES];
                int64_t whole = e.cols / LANES * LANES, left = e.cols - whole;
                const T *source = planes + row * plan->pitch;
                THREE(w, source, plan->pitch, sums + row * e.cols, e.cols, whole);
                if (left > 0)
                    THREE(w, source + whole, plan->pitch, rest, LANES, LANES);
                for (int64_t i = 0; left > 0 && i < 4; i++)
                    memcpy(sums + (row + i) * e.cols + whole, rest + i * LANES,
                           (size_t)left * sizeof(T));
            }
        for (; row < e.rows; row++) {
            const T *source = planes + row * plan->pitch;
            T *to = sums + row * e.cols; /* what runs over a row's end is overwritten by the next */
            int64_t x = 0;
            for (; x + 4 * LANES <= e.cols; x += 4 * LANES)
                LINE(4, w, source + x, plan->offset, plan->taps, to + x);
            for (; x + LANES < e.cols; x += 2 * LANES)
                LINE(2, w, source + x, plan->offset, plan->taps, to + x);
            if (x < e.cols)
                LINE(1, w, source + x, plan->offset, plan->taps, to + x);
        }
        store_tile(plan, &e, group * plan->results + r, sums, sizeof(T));
    }
}

/* ---- weights ----
 *
 * With enough channels, a register tile holds sums of steps x results: for each pixel, the source
 * element of a step times a vector of gradients, which lie pixel by pixel for that. With few
 * channels a vector holds partial sums over pixels instead. */

MT_INLINE void
OUTER(const int rows, const int vecs, const T *planes, const int32_t *offset, const T *gradient,
      int64_t ld, int64_t pixels, T *sums)
{
    VEC acc[ROWS][VECS];
    const T *source[ROWS];
    for (int i = 0; i < rows; i++) {
        source[i] = planes + offset[i];
        for (int v = 0; v < vecs; v++)
            acc[i][v] = *(const VEC *)(sums + i * ld + v * LANES);
    }
    for (int64_t p = 0; p < pixels; p++, gradient += ld) {
        VEC right[VECS];
        for (int v = 0; v < vecs; v++)
            right[v] = *(const VEC *)(gradient + v * LANES);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vecs; v++)
                acc[i][v] += source[i][p] * right[v];
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++)
            *(VEC *)(sums + i * ld + v * LANES) = acc[i][v];
}

static void
OUTERS(int64_t rows, int64_t left, const T *planes, const int32_t *offset, const T *gradient,
       int64_t ld, int64_t pixels, T *sums)
{
    switch (rows) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        if (left > LANES)                                                                          \
            OUTER(n, VECS, planes, offset, gradient, ld, pixels, sums);                            \
        else                                                                                       \
            OUTER(n, 1, planes, offset, gradient, ld, pixels, sums);                               \
        break;
        FOR_ROWS(CASE)
#undef CASE
    default: break;
    }
}

MT_INLINE void
DOTS(const int cols, const T *gradient, const T *planes, const int32_t *offset,
     const mt_conv_plan *plan, const extent *e, T *sums)
{
    VEC acc[9];
    T rest[9];
    for (int j = 0; j < cols; j++) {
        acc[j] = (VEC){0};
        rest[j] = 0;
    }
    for (int64_t row = 0; row < e->rows; row++, gradient += e->cols, planes += plan->pitch) {
        int64_t p = 0;
        for (; p + LANES <= e->cols; p += LANES) {
            VEC left = *(const VEC *)(gradient + p);
            for (int j = 0; j < cols; j++)
                acc[j] += left * *(const VEC *)(planes + offset[j] + p);
        }
        for (; p < e->cols; p++)
            for (int j = 0; j < cols; j++)
                rest[j] += gradient[p] * planes[offset[j] + p];
    }
    for (int j = 0; j < cols; j++) {
        /* Halves are added until one lane is left. */
        T lane[LANES];
        memcpy(lane, &acc[j], sizeof lane);
        for (int64_t half = LANES / 2; half > 0; half /= 2)
            for (int64_t l = 0; l < half; l++)
                lane[l] += lane[l + half];
        sums[j] += lane[0] + rest[j];
    }
}

/* The gradients of `results` <= PIXELS channels pixel by pixel, with zeros up to a whole vector. */
static void
TURN(const mt_conv_plan *plan, const extent *e, const char *gradient, int64_t channel,
     int64_t results, T *rows, T *turned, int64_t ld)
{
    for (int64_t r = 0; r < results; r++)
        load_tile(plan, e, gradient, channel + r, rows + r * plan->pixels, sizeof(T));
    int64_t width = (results + LANES - 1) / LANES * LANES;
    for (int64_t p = 0; p < e->pixels; p++)
        for (int64_t r = 0; r < width; r++)
            turned[p * ld + r] = r < results ? rows[r * plan->pixels + p] : 0;
}

static void
WEIGHT(const mt_conv_plan *plan, const char *gradient, int64_t group, int64_t tile, int64_t block,
       int64_t depth_block, void *sums, void *scratch)
{
    extent e = extent_of(plan, tile);
    T *planes = scratch, *staged = planes + plan->plane_elements;
    T *rows = staged + plan->staged, *turned = rows + PIXELS * plan->pixels;
    int64_t from = block * plan->result_block;
    int64_t results = MT_MIN(plan->result_block, plan->results - from);
    int64_t channel = depth_block * plan->depth;
    int64_t depth = MT_MIN(plan->depth, plan->channels - channel), steps = depth * plan->taps;
    FILL(plan, &e, group * plan->channels + channel, depth, planes, staged);
    from += group * plan->results;
    if (!plan->turned) {
        for (int64_t r = 0; r < results; r++) {
            T *sum = (T *)sums + r * steps;
            const int32_t *offset = plan->offset;
            int64_t k = 0;
            load_tile(plan, &e, gradient, from + r, rows, sizeof(T));
            for (; k + 9 <= steps; k += 9)
                DOTS(9, rows, planes, offset + k, plan, &e, sum + k);
            for (; k + 3 <= steps; k += 3)
                DOTS(3, rows, planes, offset + k, plan, &e, sum + k);
            for (; k < steps; k++)
                DOTS(1, rows, planes, offset + k, plan, &e, sum + k);
        }
        return;
    }
    for (int64_t r = 0; r < results; r += PIXELS) {
        int64_t left = MT_MIN(PIXELS, results - r);
        TURN(plan, &e, gradient, from + r, left, rows, turned, PIXELS);
        for (int64_t k = 0; k < steps; k += ROWS)
            OUTERS(MT_MIN(ROWS, steps - k), left, planes, plan->offset + k, turned, PIXELS,
                   e.pixels, (T *)sums + (r / PIXELS * steps + k) * PIXELS);
    }
}

/* Sums of a block of results as rows [result][step] of `to`; `sums` as WEIGHT left them. */
static void
UNTURN(const mt_conv_plan *plan, const void *sums, int64_t results, int64_t steps, void *to)
{
    const T *from = sums;
    for (int64_t r = 0; r < results; r++)
        for (int64_t k = 0; k < steps; k++)
            ((T *)to)[r * steps + k] = plan->turned
                                           ? from[(r / PIXELS * steps + k) * PIXELS + r % PIXELS]
                                           : from[r * steps + k];
}

static void
ADD(void *sum, const void *term, int64_t count)
{
    T *MT_RESTRICT to = sum;
    const T *MT_RESTRICT from = term;
    for (int64_t i = 0; i < count; i++)
        to[i] += from[i];
}

#ifdef WINOGRAD
static void MT_K_JOIN(NAME, winograd_weights)(const void *taps, int64_t channels, void *to,
                                              int64_t distance, int64_t rows);
static bool MT_K_JOIN(NAME, winograd)(const mt_conv_plan *plan, int64_t group, int64_t chunk,
                                      int64_t block, void *scratch);
#endif

static const mt_conv_kernels NAME = {
    .lanes = LANES,
    .results = ROWS,
    .pixels = PIXELS,
    .work_size = (int64_t)sizeof(T),
    .tile = TILE,
    .depthwise = DEPTHWISE,
    .weight = WEIGHT,
    .rows = UNTURN,
    .add = ADD,
#ifdef WINOGRAD
    .winograd = MT_K_JOIN(NAME, winograd),
    .winograd_weights = MT_K_JOIN(NAME, winograd_weights),
#endif
};

#undef LANES
#undef PIXELS
#undef VEC
#undef FILL
#undef STRIP
#undef STRIPS
#undef TILE
#undef LINE
#undef THREE
#undef DEPTHWISE
#undef OUTER
#undef OUTERS
#undef TURN
#undef UNTURN
#undef DOTS
#undef WEIGHT
#undef ADD
#undef T
#undef NAME
#undef WINOGRAD
