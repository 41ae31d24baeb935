/* Copying data: the primitive below copy_, to, contiguous and every temporary. */
#include "tensor/copy.h"

#include "base/error.h"
#include "base/pool.h"
#include "kernels/convert.h"
#include "tensor/iter.h"

#define BLOCK 512

typedef struct walk {
    mt_convert convert;
    size_t to, from;
    bool same; /* no conversion: gather or scatter alone will do */
} walk;

static void
run(void *ctx, char **ptrs, const int64_t *strides, int64_t n)
{
    const walk *w = ctx;
    bool to_packed = strides[0] == (int64_t)w->to, from_packed = strides[1] == (int64_t)w->from;
    if (to_packed && from_packed)
        w->convert(ptrs[0], ptrs[1], n);
    else if (w->same && to_packed)
        mt_gather(ptrs[0], ptrs[1], strides[1], n, w->from);
    else if (w->same && from_packed)
        mt_scatter(ptrs[0], strides[0], ptrs[1], n, w->to);
    else {
        char a[BLOCK * 16] __attribute__((aligned(64))), b[BLOCK * 16] __attribute__((aligned(64)));
        for (int64_t at = 0; at < n; at += BLOCK) {
            int64_t m = MT_MIN(n - at, BLOCK);
            const void *src = ptrs[1] + at * strides[1];
            if (!from_packed) {
                mt_gather(a, src, strides[1], m, w->from);
                src = a;
            }
            if (to_packed) {
                w->convert(ptrs[0] + at * strides[0], src, m);
                continue;
            }
            w->convert(b, src, m);
            mt_scatter(ptrs[0] + at * strides[0], strides[0], b, m, w->to);
        }
    }
}

/* Transposed copies go in square tiles, so that both sides use whole cache lines, and the tiles in
 * blocks of a vector's width, which turn in registers. */
typedef struct tiles {
    const mt_iter *it;
    int across; /* the dimension along which the source is packed; the target is along the first */
    int64_t row_tiles; /* per matrix */
    size_t size;
} tiles;

typedef struct matrix {
    char *to;
    const char *from;
    int64_t to_stride, from_stride;
} matrix;

#define TILE 32
typedef uint32_t four __attribute__((vector_size(16), aligned(4)));
typedef uint64_t two __attribute__((vector_size(16), aligned(8)));
typedef struct wide { uint64_t a, b; } wide;

#define ONE_BY_ONE(T, r0, r1, c0, c1)                                                              \
    for (int64_t r = r0; r < r1; r++)                                                              \
        for (int64_t c = c0; c < c1; c++)                                                          \
            *(T *)(m->to + r * m->to_stride + c * (int64_t)sizeof(T)) =                            \
                *(const T *)(m->from + c * m->from_stride + r * (int64_t)sizeof(T));

static void
turn_fours(const matrix *m, int64_t r0, int64_t r1, int64_t c0, int64_t c1)
{
    int64_t r4 = r0 + (r1 - r0) / 4 * 4, c4 = c0 + (c1 - c0) / 4 * 4;
    for (int64_t r = r0; r < r4; r += 4)
        for (int64_t c = c0; c < c4; c += 4) {
            const char *from = m->from + c * m->from_stride + r * 4;
            four a = *(const four *)from, b = *(const four *)(from + m->from_stride);
            four d = *(const four *)(from + 2 * m->from_stride);
            four e = *(const four *)(from + 3 * m->from_stride);
            four ab = __builtin_shuffle(a, b, (four){0, 4, 1, 5});
            four ab2 = __builtin_shuffle(a, b, (four){2, 6, 3, 7});
            four de = __builtin_shuffle(d, e, (four){0, 4, 1, 5});
            four de2 = __builtin_shuffle(d, e, (four){2, 6, 3, 7});
            char *to = m->to + r * m->to_stride + c * 4;
            *(four *)to = __builtin_shuffle(ab, de, (four){0, 1, 4, 5});
            *(four *)(to + m->to_stride) = __builtin_shuffle(ab, de, (four){2, 3, 6, 7});
            *(four *)(to + 2 * m->to_stride) = __builtin_shuffle(ab2, de2, (four){0, 1, 4, 5});
            *(four *)(to + 3 * m->to_stride) = __builtin_shuffle(ab2, de2, (four){2, 3, 6, 7});
        }
    ONE_BY_ONE(uint32_t, r0, r4, c4, c1)
    ONE_BY_ONE(uint32_t, r4, r1, c0, c1)
}

static void
turn_twos(const matrix *m, int64_t r0, int64_t r1, int64_t c0, int64_t c1)
{
    int64_t r2 = r0 + (r1 - r0) / 2 * 2, c2 = c0 + (c1 - c0) / 2 * 2;
    for (int64_t r = r0; r < r2; r += 2)
        for (int64_t c = c0; c < c2; c += 2) {
            const char *from = m->from + c * m->from_stride + r * 8;
            two a = *(const two *)from, b = *(const two *)(from + m->from_stride);
            char *to = m->to + r * m->to_stride + c * 8;
            *(two *)to = __builtin_shuffle(a, b, (two){0, 2});
            *(two *)(to + m->to_stride) = __builtin_shuffle(a, b, (two){1, 3});
        }
    ONE_BY_ONE(uint64_t, r0, r2, c2, c1)
    ONE_BY_ONE(uint64_t, r2, r1, c0, c1)
}

static void
turn_tile(const matrix *m, size_t size, int64_t r0, int64_t r1, int64_t c0, int64_t c1)
{
    switch (size) {
    case 1: ONE_BY_ONE(uint8_t, r0, r1, c0, c1) break;
    case 2: ONE_BY_ONE(uint16_t, r0, r1, c0, c1) break;
    case 4: turn_fours(m, r0, r1, c0, c1); break;
    case 8: turn_twos(m, r0, r1, c0, c1); break;
    default: ONE_BY_ONE(wide, r0, r1, c0, c1) break;
    }
}

/* Rows of tiles, counted through all matrices. */
static void
transpose_rows(void *ctx, int64_t begin, int64_t end)
{
    const tiles *t = ctx;
    const mt_iter *it = t->it;
    int64_t rows = it->sizes[t->across], columns = it->sizes[0];
    for (int64_t at = begin; at < end; at++) {
        matrix m = {it->data[0], it->data[1], it->strides[0][t->across], it->strides[1][0]};
        int64_t which = at / t->row_tiles, r0 = at % t->row_tiles * TILE;
        int64_t r1 = MT_MIN(r0 + TILE, rows);
        for (int d = 1; d < it->ndim; d++) {
            if (d == t->across)
                continue;
            int64_t place = which % it->sizes[d];
            which /= it->sizes[d];
            m.to += place * it->strides[0][d];
            m.from += place * it->strides[1][d];
        }
        for (int64_t c0 = 0; c0 < columns; c0 += TILE)
            turn_tile(&m, t->size, r0, r1, c0, MT_MIN(c0 + TILE, columns));
    }
}

/* The dimension that a copy crosses: the source is packed along it, the target along the first. */
static int
crossed(const mt_iter *it, size_t size)
{
    if (it->ndim < 2 || it->strides[0][0] != (int64_t)size || it->sizes[0] < TILE / 4)
        return -1;
    for (int d = 1; d < it->ndim; d++)
        if (it->strides[1][d] == (int64_t)size && it->sizes[d] >= TILE / 4)
            return d;
    return -1;
}

static void
copy_disjoint(mt_tensor *dst, const mt_tensor *src)
{
    walk w = {mt_converter((mt_dtype)dst->dtype, (mt_dtype)src->dtype), (size_t)mt_itemsize(dst),
              (size_t)mt_itemsize(src), dst->dtype == src->dtype};
    mt_tensor *operands[2] = {dst, (mt_tensor *)src};
    mt_iter it;
    mt_iter_init(&it, 2, operands, dst->ndim, dst->sizes);
    mt_iter_simplify(&it);
    int across = w.same && it.strides[1][0] != (int64_t)w.from ? crossed(&it, w.to) : -1;
    if (across > 0) {
        tiles t = {&it, across, (it.sizes[across] + TILE - 1) / TILE, w.to};
        int64_t count = t.row_tiles, grain = MT_MAX(1, MT_GRAIN / (TILE * it.sizes[0]));
        for (int d = 1; d < it.ndim; d++)
            if (d != across)
                count *= it.sizes[d];
        mt_parallel_for(count, grain, transpose_rows, &t);
        return;
    }
    mt_iter_run(&it, run, &w, MT_GRAIN);
}

int
mt_copy_data(mt_tensor *dst, const mt_tensor *src)
{
    int64_t sizes[MT_MAX_DIMS];
    if (dst->numel == 0 && src->numel == 0 && mt_same_shape(dst, src))
        return 0;
    memcpy(sizes, dst->sizes, dst->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, dst->ndim, src->sizes, src->ndim);
    if (ndim < 0)
        return -1;
    if (ndim != dst->ndim || memcmp(sizes, dst->sizes, (size_t)ndim * sizeof(int64_t)))
        return mt_fail(MT_RUNTIME, "output with shape %s doesn't match the broadcast shape %s",
                       mt_shape_str(dst), mt_str_ints(sizes, ndim));
    if (dst->numel == 0 || mt_is_meta(dst))
        return 0;
    if (mt_is_meta(src))
        return mt_fail(MT_NOT_IMPLEMENTED, "Cannot copy out of meta tensor; no data!");
    if (dst->storage == src->storage) {
        int overlap = mt_overlap(dst, src);
        if (overlap == MT_OVERLAP_FULL && dst->dtype == src->dtype)
            return 0;
        if (overlap != MT_OVERLAP_NONE) { /* through a copy of the source */
            mt_tensor *copy = mt_contiguous_data((mt_tensor *)src, true);
            if (!copy)
                return -1;
            copy_disjoint(dst, copy);
            mt_release(copy);
            return 0;
        }
    }
    copy_disjoint(dst, src);
    return 0;
}

mt_tensor *
mt_contiguous_data(mt_tensor *self, bool force)
{
    if (!force && mt_is_contiguous(self))
        return mt_keep(self);
    mt_tensor *t = mt_empty(self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!t)
        return NULL;
    if (t->numel && !mt_is_meta(t))
        copy_disjoint(t, self);
    return t;
}
