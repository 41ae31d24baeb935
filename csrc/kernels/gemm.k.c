/* The parts of a matrix product that are our own loops: tiny products, integers, and the
 * conversions around a product of halves. */
/* mt-flags: -ffp-contract=fast */
#include "kernels/gemm_k.h"

#define T float
#define NAME tiny_f32
#include "kernels/gemm_tiny.tmpl.h"
#define T double
#define NAME tiny_f64
#include "kernels/gemm_tiny.tmpl.h"

#define MADD(acc, a, b) ((acc) += (a) * (b))
#define COMBINE(old, alpha, sum) ((T)((old) + (uint64_t)(alpha) * (sum)))
#define SCALE(value, beta) ((T)((value) * (beta)))
#define T uint8_t
#define ACC uint16_t
#define NAME gemm_int8
#include "kernels/gemm_int.tmpl.h"
#define T uint16_t
#define ACC uint16_t
#define NAME gemm_int16
#include "kernels/gemm_int.tmpl.h"
#define T uint32_t
#define ACC uint32_t
#define NAME gemm_int32
#include "kernels/gemm_int.tmpl.h"
#define T uint64_t
#define ACC uint64_t
#define NAME gemm_int64
#include "kernels/gemm_int.tmpl.h"
#undef MADD
#undef COMBINE
#undef SCALE

#define MADD(acc, a, b) ((acc) |= (a) & (b))
#define COMBINE(old, alpha, sum) ((void)(alpha), (T)((old) | (sum)))
#define SCALE(value, beta) (value)
#define T uint8_t
#define ACC uint8_t
#define NAME gemm_bool
#include "kernels/gemm_int.tmpl.h"

#define WIDEN(name, type, convert)                                                                 \
    static void name(float *MT_RESTRICT dst, const type *MT_RESTRICT src, int64_t ld,              \
                     int64_t rows, int64_t cols)                                                   \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int64_t j = 0; j < cols; j++)                                                     \
                dst[i * cols + j] = convert(src[i * ld + j]);                                      \
    }
WIDEN(widen_f16, mt_half, mt_half_to_float)
WIDEN(widen_bf16, mt_bfloat16, mt_bfloat16_to_float)

#define NARROW(name, type, convert, convert_back)                                                  \
    static void name(type *MT_RESTRICT dst, int64_t ld, const float *MT_RESTRICT src, float beta,  \
                     int64_t rows, int64_t cols)                                                   \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++, dst += ld, src += cols) {                               \
            if (beta == 0)                                                                         \
                for (int64_t j = 0; j < cols; j++)                                                 \
                    dst[j] = convert(src[j]);                                                      \
            else                                                                                   \
                for (int64_t j = 0; j < cols; j++)                                                 \
                    dst[j] = convert(src[j] + beta * convert_back(dst[j]));                        \
        }                                                                                          \
    }
NARROW(narrow_f16, mt_half, mt_float_to_half, mt_half_to_float)
NARROW(narrow_bf16, mt_bfloat16, mt_float_to_bfloat16, mt_bfloat16_to_float)

const mt_gemm_kernels MT_K(mt_gemm_kernels) = {
    .tiny_f32 = tiny_f32,
    .tiny_f64 = tiny_f64,
    .int8 = gemm_int8,
    .int16 = gemm_int16,
    .int32 = gemm_int32,
    .int64 = gemm_int64,
    .boolean = gemm_bool,
    .widen_f16 = widen_f16,
    .widen_bf16 = widen_bf16,
    .narrow_f16 = narrow_f16,
    .narrow_bf16 = narrow_bf16,
};
