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

/* Transposed copies go in square tiles, so that both sides use whole cache lines. */
typedef struct tiles {
    char *to;
    const char *from;
    int64_t rows, columns, to_stride, from_stride;
    size_t size;
} tiles;

#define TILE 32
#define TRANSPOSE(T)                                                                               \
    for (int64_t r = r0; r < r1; r++)                                                              \
        for (int64_t c = c0; c < c1; c++)                                                          \
            *(T *)(t->to + r * t->to_stride + c * (int64_t)sizeof(T)) =                            \
                *(const T *)(t->from + c * t->from_stride + r * (int64_t)sizeof(T));

typedef struct wide { uint64_t a, b; } wide;

static void
transpose_rows(void *ctx, int64_t begin, int64_t end)
{
    const tiles *t = ctx;
    for (int64_t r0 = begin * TILE; r0 < MT_MIN(end * TILE, t->rows); r0 += TILE)
        for (int64_t c0 = 0; c0 < t->columns; c0 += TILE) {
            int64_t r1 = MT_MIN(r0 + TILE, t->rows), c1 = MT_MIN(c0 + TILE, t->columns);
            switch (t->size) {
            case 1: TRANSPOSE(uint8_t) break;
            case 2: TRANSPOSE(uint16_t) break;
            case 4: TRANSPOSE(uint32_t) break;
            case 8: TRANSPOSE(uint64_t) break;
            default: TRANSPOSE(wide) break;
            }
        }
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
    if (w.same && it.ndim == 2 && it.strides[0][0] == (int64_t)w.to &&
        it.strides[1][1] == (int64_t)w.from && it.sizes[0] >= TILE / 2 && it.sizes[1] >= TILE / 2) {
        tiles t = {it.data[0], it.data[1], it.sizes[1], it.sizes[0], it.strides[0][1],
                   it.strides[1][0], w.to};
        int64_t grain = MT_MAX(1, MT_GRAIN / (TILE * it.sizes[0]));
        mt_parallel_for((it.sizes[1] + TILE - 1) / TILE, grain, transpose_rows, &t);
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
