/* Complex numbers: mt_mul_c64, mt_exp_c128, ... Included by scalar.h.
 *
 * Products are the plain formula, without C's search for lost infinities, as PyTorch's are. What
 * is not written out here is the C library's, whose special values are those of C's Annex G.
 * Division, absolute values and products become vector code. */
#pragma once

#include <complex.h>
#undef I /* too short a name for a header */

MT_INLINE mt_complex64 mt_make_c64(float re, float im) { return __builtin_complex(re, im); }
MT_INLINE mt_complex128 mt_make_c128(double re, double im) { return __builtin_complex(re, im); }

/* sqrt(a^2 + b^2) without overflow on the way; infinite if either is. */
MT_INLINE float
mt_hypot_f32(float a, float b)
{
    float y = (float)__builtin_sqrt((double)a * a + (double)b * b);
    y = mt_abs_f32(a) == MT_INF_F32 ? MT_INF_F32 : y;
    return mt_abs_f32(b) == MT_INF_F32 ? MT_INF_F32 : y;
}

/* Scaled by a power of two where squares would leave the range. */
MT_INLINE double
mt_hypot_f64(double a, double b)
{
    a = mt_abs_f64(a);
    b = mt_abs_f64(b);
    double sum = a + b;
    uint64_t large = mt_sign_mask_f64(0x1p500 - sum), small = mt_sign_mask_f64(sum - 0x1p-450);
    double scale = mt_blend_f64(large, 0x1p-600, mt_blend_f64(small, 0x1p600, 1.0));
    double back = mt_blend_f64(large, 0x1p600, mt_blend_f64(small, 0x1p-600, 1.0));
    double x = a * scale, y = b * scale, result = back * __builtin_sqrt(mt_fma_f64(x, x, y * y));
    result = a == MT_INF_F64 ? a : result;
    return b == MT_INF_F64 ? b : result;
}

/* X(suffix, complex type, real type, real suffix, mask type, suffix of the C library) */
#define MT_FOR_COMPLEX_MATHS(X)                                                                    \
    X(c64, mt_complex64, float, f32, uint32_t, f)                                                  \
    X(c128, mt_complex128, double, f64, uint64_t, )

/* Division after Smith: numerator and denominator are divided by the larger part of the
 * denominator, whose parts are p and q in order of size. Division by zero divides by the parts. */
#define X(C, T, R, F, U, L)                                                                        \
    MT_INLINE R mt_real_##C(T z) { return __real__ z; }                                            \
    MT_INLINE R mt_imag_##C(T z) { return __imag__ z; }                                            \
    MT_INLINE T mt_conj_##C(T z) { return mt_make_##C(__real__ z, -__imag__ z); }                  \
    MT_INLINE R mt_abs_##C(T z) { return mt_hypot_##F(__real__ z, __imag__ z); }                   \
    MT_INLINE R mt_arg_##C(T z) { return mt_atan2_##F(__imag__ z, __real__ z); }                   \
    MT_INLINE T mt_mul_##C(T x, T y)                                                               \
    {                                                                                              \
        R a = __real__ x, b = __imag__ x, c = __real__ y, d = __imag__ y;                          \
        return mt_make_##C(a * c - b * d, a * d + b * c);                                          \
    }                                                                                              \
    MT_INLINE T mt_div_##C(T x, T y)                                                               \
    {                                                                                              \
        R a = __real__ x, b = __imag__ x, c = __real__ y, d = __imag__ y;                          \
        U swap = mt_sign_mask_##F(mt_abs_##F(c) - mt_abs_##F(d));                                  \
        R p = mt_blend_##F(swap, d, c), q = mt_blend_##F(swap, c, d);                              \
        R s = mt_blend_##F(swap, b, a), t = mt_blend_##F(swap, a, b);                              \
        R ratio = q / p, scale = 1 / (p + q * ratio);                                              \
        R re = (s + t * ratio) * scale, im = (t - s * ratio) * mt_blend_##F(swap, -scale, scale);  \
        R size = mt_abs_##F(c) + mt_abs_##F(d);                                                    \
        re = size == 0 ? a / mt_abs_##F(c) : re;                                                   \
        im = size == 0 ? b / mt_abs_##F(d) : im;                                                   \
        return mt_make_##C(re, im);                                                                \
    }                                                                                              \
    MT_INLINE T mt_reciprocal_##C(T z) { return mt_div_##C(mt_make_##C(1, 0), z); }                \
    MT_INLINE T mt_square_##C(T z) { return mt_mul_##C(z, z); }                                    \
    MT_INLINE T mt_sgn_##C(T z)                                                                    \
    {                                                                                              \
        R r = mt_abs_##C(z), re = __real__ z / r, im = __imag__ z / r;                             \
        return mt_make_##C(r == 0 ? 0 : re, r == 0 ? 0 : im);                                      \
    }                                                                                              \
    MT_INLINE T mt_polar_##C(R r, R angle)                                                         \
    {                                                                                              \
        return mt_make_##C(r * mt_cos_##F(angle), r * mt_sin_##F(angle));                          \
    }                                                                                              \
    MT_INLINE T mt_scale_##C(T z, R factor)                                                        \
    {                                                                                              \
        return mt_make_##C(__real__ z * factor, __imag__ z * factor);                              \
    }
MT_FOR_COMPLEX_MATHS(X)
#undef X

/* The C library's functions under our names. */
#define MT_FOR_COMPLEX_FUNCTION(X, C, T, L)                                                        \
    X(exp, C, T, L) X(log, C, T, L) X(sqrt, C, T, L)                                               \
    X(sin, C, T, L) X(cos, C, T, L) X(tan, C, T, L)                                                \
    X(asin, C, T, L) X(acos, C, T, L) X(atan, C, T, L)                                             \
    X(sinh, C, T, L) X(cosh, C, T, L) X(tanh, C, T, L)                                             \
    X(asinh, C, T, L) X(acosh, C, T, L) X(atanh, C, T, L)
#define ONE(name, C, T, L)                                                                         \
    MT_INLINE T mt_##name##_##C(T z) { return c##name##L(z); }
#define X(C, T, R, F, U, L) MT_FOR_COMPLEX_FUNCTION(ONE, C, T, L)
MT_FOR_COMPLEX_MATHS(X)
#undef X
#undef ONE

/* What is made of those. exp(z) - 1 = (exp(x) - 1) cos y - 2 sin(y / 2)^2 + i exp(x) sin y;
 * log|1 + z| = log(1 + (x (2 + x) + y^2)) / 2. */
#define X(C, T, R, F, U, L)                                                                        \
    MT_INLINE T mt_pow_##C(T x, T y) { return cpow##L(x, y); }                                     \
    MT_INLINE T mt_exp2_##C(T z)                                                                   \
    {                                                                                              \
        return cexp##L(mt_scale_##C(z, (R)0x1.62e42fefa39efp-1));                                  \
    }                                                                                              \
    MT_INLINE T mt_log2_##C(T z)                                                                   \
    {                                                                                              \
        return mt_scale_##C(clog##L(z), (R)0x1.71547652b82fep+0);                                  \
    }                                                                                              \
    MT_INLINE T mt_log10_##C(T z)                                                                  \
    {                                                                                              \
        return mt_scale_##C(clog##L(z), (R)0x1.bcb7b1526e50ep-2);                                  \
    }                                                                                              \
    MT_INLINE T mt_expm1_##C(T z)                                                                  \
    {                                                                                              \
        R x = __real__ z, y = __imag__ z, s = mt_sin_##F(y / 2);                                   \
        R re = mt_expm1_##F(x) * mt_cos_##F(y) - 2 * s * s;                                        \
        return mt_make_##C(re, mt_exp_##F(x) * mt_sin_##F(y));                                     \
    }                                                                                              \
    MT_INLINE T mt_log1p_##C(T z)                                                                  \
    {                                                                                              \
        double x = __real__ z, y = __imag__ z, m = x * (2 + x) + y * y;                            \
        R angle = mt_atan2_##F(__imag__ z, 1 + __real__ z);                                        \
        double r = mt_abs_f64(m) < 0.5 ? 0.5 * mt_log1p_f64(m)                                     \
                                       : mt_log_f64(mt_hypot_f64(1 + x, y));                       \
        return mt_make_##C((R)r, angle);                                                           \
    }                                                                                              \
    MT_INLINE T mt_rsqrt_##C(T z) { return mt_reciprocal_##C(csqrt##L(z)); }                       \
    MT_INLINE T mt_sigmoid_##C(T z)                                                                \
    {                                                                                              \
        T e = cexp##L(mt_make_##C(-__real__ z, -__imag__ z));                                      \
        return mt_reciprocal_##C(mt_make_##C(1 + __real__ e, __imag__ e));                         \
    }                                                                                              \
    MT_INLINE T mt_silu_##C(T z)                                                                   \
    {                                                                                              \
        T e = cexp##L(mt_make_##C(-__real__ z, -__imag__ z));                                      \
        return mt_div_##C(z, mt_make_##C(1 + __real__ e, __imag__ e));                             \
    }
MT_FOR_COMPLEX_MATHS(X)
#undef X
