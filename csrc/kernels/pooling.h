/* Pooling over one to three spatial dimensions, on contiguous planes (batch times channels of
 * them). float16 and bfloat16 sum in float32, except that gradients that meet in one element are
 * added in the stored type, one by one in the order of the outputs, as PyTorch does.
 *
 * The functions return -1 with the error set when memory runs out or the dtype is none of those
 * named (NotImplementedError). Shapes must be consistent; the caller has checked them. */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "base/error.h"

typedef struct mt_pooling {
    int dims; /* spatial dimensions, 1 to 3; the arrays have that many entries in use */
    int64_t planes;
    int64_t in[3], out[3];
    /* Not read by the adaptive functions. Averages have no dilation. */
    int64_t kernel[3], stride[3], padding[3], dilation[3];
} mt_pooling;

/* The largest element of each window and its index in the plane (`indices` may be NULL): the first
 * of equals; a NaN is larger than anything, the last of them counts. Floats and uint8, int8, int16,
 * int32, int64. */
int mt_max_pool(mt_dtype dtype, const mt_pooling *p, const void *input, void *output,
                int64_t *indices);
int mt_adaptive_max_pool(mt_dtype dtype, const mt_pooling *p, const void *input, void *output,
                         int64_t *indices);

/* grad_input[index] += grad_output, from zero, for both. Reads `in` and `out` only. An index
 * outside of the plane is a RuntimeError. Floats. */
int mt_max_pool_grad(mt_dtype dtype, const mt_pooling *p, const void *grad_output,
                     const int64_t *indices, void *grad_input);

/* Averages. The divisor is `divisor` where that is not zero, else the size of the window, counting
 * or not counting what lies in the padding. Floats and int64. */
int mt_avg_pool(mt_dtype dtype, const mt_pooling *p, bool count_padding, int64_t divisor,
                const void *input, void *output);
int mt_avg_pool_grad(mt_dtype dtype, const mt_pooling *p, bool count_padding, int64_t divisor,
                     const void *grad_output, void *grad_input);

/* Floats. */
int mt_adaptive_avg_pool(mt_dtype dtype, const mt_pooling *p, const void *input, void *output);
int mt_adaptive_avg_pool_grad(mt_dtype dtype, const mt_pooling *p, const void *grad_output,
                              void *grad_input);
