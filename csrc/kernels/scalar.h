/* Scalar mathematics of the pointwise kernels: mt_exp_f32(x), mt_exp_f64(x), ...
 *
 * These are plain C functions of scalars without branches, tables or calls, so that a loop
 * `out[i] = mt_tanh_f32(a[i])` becomes vector code of whatever width the file is compiled for: 16,
 * 32 or 64 bytes. Where a choice is needed both sides are computed and one is selected. Since body
 * and tail of such a loop run the same operations, an element's bits do not depend on where in the
 * array it lies. sin, cos and tan of large numbers are the exception (scalar_trig.h).
 *
 * Compile with -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off, never with -ffast-math:
 * exact differences and the rounding of mt_round_* would be optimised away. A fused multiply-add
 * is asked for by name, mt_fma_*, and is a multiply and an add where the instruction set has none;
 * only that moves last bits from one instruction set to another.
 *
 * Polynomials are minimax fits; fit.py derives them, and each is marked with the name of its fit.
 * Long ones run as two or four interleaved chains, of even and odd coefficients and so on. Numbers
 * like ln 2 come in parts, the first rounded to few bits so that products with small integers are
 * exact, as Cody and Waite do.
 *
 * The worst errors found, in units of the last place, are kept in tests/c/scalar_cases.h. exp, log,
 * tanh, sigmoid, erf, sin and cos stay below 2. Half precision computes in float.
 *
 *   scalar_exp.h     exp, exp2, expm1, sigmoid, silu, tanh, sinh, cosh
 *   scalar_log.h     log, log2, log10, log1p, logit, softplus, mish, asinh ... atanh, pow, xlogy
 *   scalar_trig.h    sin, cos, tan, sinc, asin, acos, atan, atan2
 *   scalar_erf.h     erf, erfc, erfcx, ndtr, log_ndtr, gelu, erfinv, ndtri
 *   scalar_gamma.h   lgamma, digamma, i0, i0e, i1, i1e
 *   scalar_complex.h complex numbers, hypot */
#pragma once

#include <math.h>

#include "base/dtype.h"

MT_INLINE double
mt_bits_double(uint64_t u)
{
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

MT_INLINE uint64_t
mt_double_bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

/* ---- building blocks ---- */

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define MT_HAVE_FMA 1
MT_INLINE float mt_fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
MT_INLINE double mt_fma_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
#define MT_HAVE_FMA 0
MT_INLINE float mt_fma_f32(float a, float b, float c) { return a * b + c; }
MT_INLINE double mt_fma_f64(double a, double b, double c) { return a * b + c; }
#endif

/* To the nearest integer, ties to even, for |x| < 2^22 (float) or 2^51 (double): the sum has no
 * room for a fraction. Unlike rint this is vector code on every instruction set. */
MT_INLINE float mt_round_f32(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }
MT_INLINE double mt_round_f64(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

/* 2^n for an integral n in the range of normal numbers: the sum puts n + bias into the low bits,
 * the shift moves them to the exponent and everything else out. */
MT_INLINE float
mt_power2_f32(float n)
{
    return mt_bits_float(mt_float_bits(n + (0x1p23f + 127)) << 23);
}

MT_INLINE double
mt_power2_f64(double n)
{
    return mt_bits_double(mt_double_bits(n + (0x1p52 + 1023)) << 52);
}

/* A sum or product as the rounded result, returned, and its exact error. */
MT_INLINE double
mt_two_sum_f64(double a, double b, double *error)
{
    double sum = a + b, b_part = sum - a;
    *error = (a - (sum - b_part)) + (b - b_part);
    return sum;
}

/* The same where |a| >= |b| or a = 0. */
MT_INLINE double
mt_fast_two_sum_f64(double a, double b, double *error)
{
    double sum = a + b;
    *error = b - (sum - a);
    return sum;
}

MT_INLINE double
mt_two_product_f64(double a, double b, double *error)
{
    double product = a * b;
#if MT_HAVE_FMA
    *error = __builtin_fma(a, b, -product);
#else
    /* Dekker: halves of 26 bits, whose products are exact. */
    double a_big = a * 0x1.0000002p27, b_big = b * 0x1.0000002p27;
    double a_hi = a_big - (a_big - a), b_hi = b_big - (b_big - b);
    double a_lo = a - a_hi, b_lo = b - b_hi;
    *error = ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo;
#endif
    return product;
}

MT_INLINE float
mt_two_product_f32(float a, float b, float *error)
{
    float product = a * b;
#if MT_HAVE_FMA
    *error = __builtin_fmaf(a, b, -product);
#else
    *error = (float)((double)a * b - product);
#endif
    return product;
}

/* Selection by bits, for conditions that choose more than one value: written as two `?:` with the
 * same condition, compilers make two copies of all that lies between. The mask is all ones where
 * the sign bit of x is set; the blend takes `a` there and `b` elsewhere. */
MT_INLINE uint32_t
mt_sign_mask_f32(float x)
{
    return (uint32_t)((int32_t)mt_float_bits(x) >> 31);
}

MT_INLINE uint64_t
mt_sign_mask_f64(double x)
{
    return 0 - (mt_double_bits(x) >> 63);
}

MT_INLINE float
mt_blend_f32(uint32_t mask, float a, float b)
{
    uint32_t other = mt_float_bits(b);
    return mt_bits_float(((mt_float_bits(a) ^ other) & mask) ^ other);
}

MT_INLINE double
mt_blend_f64(uint64_t mask, double a, double b)
{
    uint64_t other = mt_double_bits(b);
    return mt_bits_double(((mt_double_bits(a) ^ other) & mask) ^ other);
}

#define MT_INF_F32 __builtin_inff()
#define MT_INF_F64 __builtin_inf()
#define MT_NAN_F32 __builtin_nanf("")
#define MT_NAN_F64 __builtin_nan("")

MT_INLINE float mt_abs_f32(float x) { return __builtin_fabsf(x); }
MT_INLINE double mt_abs_f64(double x) { return __builtin_fabs(x); }
MT_INLINE float mt_copysign_f32(float x, float sign) { return __builtin_copysignf(x, sign); }
MT_INLINE double mt_copysign_f64(double x, double sign) { return __builtin_copysign(x, sign); }
MT_INLINE float mt_sqrt_f32(float x) { return __builtin_sqrtf(x); }
MT_INLINE double mt_sqrt_f64(double x) { return __builtin_sqrt(x); }
MT_INLINE float mt_rsqrt_f32(float x) { return 1 / __builtin_sqrtf(x); }
MT_INLINE double mt_rsqrt_f64(double x) { return 1 / __builtin_sqrt(x); }

#include "kernels/scalar_exp.h"

#include "kernels/scalar_log.h"

#include "kernels/scalar_trig.h"

#include "kernels/scalar_erf.h"

#include "kernels/scalar_gamma.h"

#include "kernels/scalar_complex.h"
