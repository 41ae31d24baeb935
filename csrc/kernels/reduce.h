/* Rows of numbers reduced to one value, scanned or normalised.
 *
 * A row is `n` contiguous elements of a compute dtype: int64, float32, float64, and complex where
 * that has a meaning. The order of additions is fixed: blocks of 1024 elements, element i of a
 * block in lane i % 32, blocks combined lane by lane and pairwise in the order of a binary counter,
 * the lanes of the total folded pairwise. It depends neither on the width of the machine's vectors nor on threads. */
#pragma once

#include "base/dtype.h"

typedef enum mt_row_op {
    MT_ROW_SUM,         /* out: one element */
    MT_ROW_NANSUM,      /* NaN counts as zero */
    MT_ROW_PROD,
    MT_ROW_MAX,         /* NaN wins; n > 0 */
    MT_ROW_MIN,
    MT_ROW_ARGMAX,      /* out: int64, first of the largest; NaN is largest; n > 0 */
    MT_ROW_ARGMIN,      /* out: int64, first of the smallest; NaN is smallest */
    MT_ROW_MOMENTS,     /* out: double[3]: mean, its imaginary part, sum of squared distances */
    MT_ROW_NORM,        /* param: the order; out: one element */
    MT_ROW_LOGSUMEXP,
    MT_ROW_CUMSUM,      /* out: n elements */
    MT_ROW_CUMPROD,
    MT_ROW_CUMMAX,      /* out: n indices (int64) of the running extreme, the last of equals */
    MT_ROW_CUMMIN,
    MT_ROW_LOGCUMSUMEXP,
    MT_ROW_SOFTMAX,
    MT_ROW_LOG_SOFTMAX,
    MT_NUM_ROW_OPS,
} mt_row_op;

typedef void (*mt_row_kernel)(const void *x, int64_t n, void *out, double param);

/* Sums of `width` columns of n rows, `stride` elements from one row to the next. The order of
 * additions depends on n alone. int64, float32, float64; NULL for others. */
typedef void (*mt_column_sum)(const void *x, int64_t n, int64_t stride, int64_t width, void *out);
mt_column_sum mt_column_sum_of(mt_dtype dtype);
#define MT_SUM_COLUMNS 256 /* width at most */

/* NULL where the dtype has none. */
mt_row_kernel mt_row_kernel_of(mt_row_op op, mt_dtype dtype);
/* Gradients of softmax and log_softmax: grad and output rows (float32 or float64) to out. */
typedef void (*mt_row_gradient)(const void *grad, const void *output, int64_t n, void *out);
mt_row_gradient mt_row_gradient_of(bool logarithm, mt_dtype dtype);
