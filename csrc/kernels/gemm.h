/* Matrix products, row-major, on raw memory.
 *
 * float32, float64 and the complex types run on OpenBLAS with one thread per call. The output is
 * cut into a grid that depends on the shape alone, and never along k, so a result has the same
 * bits for every number of threads. float16 and bfloat16 are converted panel by panel, computed in
 * float32 and rounded once at the end. Integers wrap modulo 2^bits; bool is OR of ANDs.
 *
 * For all: `a` is m x k (k x m where transposed), `b` is k x n (n x k), `c` is m x n. The leading
 * dimension is the distance between stored rows in elements, at least the length of a stored row
 * (any positive number where there is one row only). c = beta * c + alpha * a b; c is not read
 * where beta is zero, a and b are not read where alpha or k is zero. `c` must not overlap a or b.
 * They return -1 with the error set when the BLAS library is absent, memory runs out, or a dtype
 * has no product (uint16, uint32, uint64: NotImplementedError). */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "base/error.h"

typedef enum mt_trans {
    MT_TRANS_N, /* as stored */
    MT_TRANS_T, /* transposed */
    MT_TRANS_C, /* transposed and conjugated */
    MT_TRANS_J, /* conjugated */
} mt_trans;

/* A coefficient for any dtype: integers read `integer`, the rest `re` and (complex) `im`. */
typedef struct mt_coef {
    double re, im;
    int64_t integer;
} mt_coef;

#define MT_COEF(value) ((mt_coef){(double)(value), 0.0, (int64_t)(value)})

int mt_gemm(mt_dtype dtype, mt_trans trans_a, mt_trans trans_b, int64_t m, int64_t n, int64_t k,
            mt_coef alpha, const void *a, int64_t lda, const void *b, int64_t ldb, mt_coef beta,
            void *c, int64_t ldc);

/* `batch` products; stride_x is the distance of one matrix from the next, in elements (0 for a
 * shared a or b). */
int mt_gemm_batched(mt_dtype dtype, mt_trans trans_a, mt_trans trans_b, int64_t batch, int64_t m,
                    int64_t n, int64_t k, mt_coef alpha, const void *a, int64_t lda,
                    int64_t stride_a, const void *b, int64_t ldb, int64_t stride_b, mt_coef beta,
                    void *c, int64_t ldc, int64_t stride_c);

/* y = beta * y + alpha * op(a) x, where `a` is stored as rows x cols; x and y are as long as op
 * asks. Increments are positive. */
int mt_gemv(mt_dtype dtype, mt_trans trans, int64_t rows, int64_t cols, mt_coef alpha,
            const void *a, int64_t lda, const void *x, int64_t incx, mt_coef beta, void *y,
            int64_t incy);

/* *out = sum x[i] y[i]; with `conj_x`, x is conjugated. The sum is taken over fixed chunks that are
 * added in order. Half types accumulate in float32. */
int mt_dot(mt_dtype dtype, bool conj_x, int64_t n, const void *x, int64_t incx, const void *y,
           int64_t incy, void *out);
