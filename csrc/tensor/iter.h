/* The strided iterator: walks several tensors of one broadcast shape together.
 *
 * Dimensions are reordered so that the fastest one of the first operand is innermost, and
 * neighbours that are packed for every operand are merged; most walks end up with one or two
 * dimensions. A loop sees runs: pointers, byte strides and a length. */
#pragma once

#include "tensor/tensor.h"

#define MT_ITER_OPERANDS 8

typedef struct mt_iter {
    int ndim, noperands;
    int64_t numel;
    int64_t sizes[MT_MAX_DIMS]; /* innermost first */
    int64_t strides[MT_ITER_OPERANDS][MT_MAX_DIMS]; /* bytes, innermost first */
    char *data[MT_ITER_OPERANDS];
} mt_iter;

/* Operands broadcast to the shape (row-major order as usual). Does not check that they do. */
void mt_iter_init(mt_iter *it, int noperands, mt_tensor *const *operands, int ndim,
                  const int64_t *sizes);
/* Reorders dimensions by the operands' strides, merges what is packed, and leaves no very short run
 * innermost: elements come in any order. */
void mt_iter_simplify(mt_iter *it);

/* One run of the innermost dimension. */
typedef void (*mt_iter_loop)(void *ctx, char **ptrs, const int64_t *strides, int64_t n);
/* Runs over elements [begin, end) of the walk in order. */
void mt_iter_range(const mt_iter *it, mt_iter_loop loop, void *ctx, int64_t begin, int64_t end);
/* Over all elements, in parallel above the grain (element-steps). Chunks are cut at multiples of
 * the grain, so elementwise work gives the same bits for every thread count. */
void mt_iter_run(const mt_iter *it, mt_iter_loop loop, void *ctx, int64_t grain);
