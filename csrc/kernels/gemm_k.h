/* What gemm.k.c gives to gemm.c, once per instruction set. Private to gemm. */
#pragma once

#include "kernels/gemm.h"
#include "kernels/isa.h"

/* One tile of a product. An operand is read as op(a)[i][p] = a[i * a_row + p * a_col] and likewise
 * b[p * b_row + j * b_col], which covers transposes. */
typedef struct mt_gemm_tile {
    int64_t m, n, k;
    const void *a, *b;
    int64_t a_row, a_col, b_row, b_col;
    void *c;
    int64_t ldc;
    mt_coef alpha, beta;
} mt_gemm_tile;

typedef void (*mt_gemm_tile_fn)(const mt_gemm_tile *tile);

/* Most elements of the packed b of a tiny product (padded to whole vectors). */
#define MT_GEMM_TINY_B 2048

typedef struct mt_gemm_kernels {
    /* Tiny products of float32 and float64, where calling the library costs more than the work.
     * Asks for k * (n rounded up to 16) <= MT_GEMM_TINY_B. */
    mt_gemm_tile_fn tiny_f32, tiny_f64;
    /* Integers by width, and bool. */
    mt_gemm_tile_fn int8, int16, int32, int64, boolean;
    /* rows x cols of halves to floats; dst rows are `cols` long. */
    void (*widen_f16)(float *dst, const mt_half *src, int64_t ld, int64_t rows, int64_t cols);
    void (*widen_bf16)(float *dst, const mt_bfloat16 *src, int64_t ld, int64_t rows, int64_t cols);
    /* dst = round(src + beta * dst); src rows are `cols` long; dst is not read for beta = 0. */
    void (*narrow_f16)(mt_half *dst, int64_t ld, const float *src, float beta, int64_t rows,
                       int64_t cols);
    void (*narrow_bf16)(mt_bfloat16 *dst, int64_t ld, const float *src, float beta, int64_t rows,
                        int64_t cols);
} mt_gemm_kernels;

#define X(isa) extern const mt_gemm_kernels mt_gemm_kernels_##isa;
MT_FOR_ISA(X)
#undef X
