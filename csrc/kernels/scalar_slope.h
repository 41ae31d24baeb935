/* Derivatives of activations that have no shorter form. */
#pragma once

#include "kernels/scalar.h"

#define MT_SLOPES(suffix, T)                                                                       \
    /* d/dx x * Phi(x) = Phi(x) + x * phi(x) */                                                    \
    MT_INLINE T mt_gelu_slope_##suffix(T x)                                                        \
    {                                                                                              \
        T cdf = (T)0.5 * (1 + mt_erf_##suffix(x * (T)0.70710678118654752440));                     \
        return cdf + x * (T)0.39894228040143267794 * mt_exp_##suffix((T)-0.5 * x * x);             \
    }                                                                                              \
    MT_INLINE T mt_gelu_tanh_slope_##suffix(T x)                                                   \
    {                                                                                              \
        const T c = (T)0.79788456080286535588, k = (T)0.044715;                                    \
        T t = mt_tanh_##suffix(c * (x + k * x * x * x));                                           \
        return (T)0.5 * (1 + t) + (T)0.5 * x * (1 - t * t) * c * (1 + 3 * k * x * x);              \
    }
MT_SLOPES(f32, float)
MT_SLOPES(f64, double)
