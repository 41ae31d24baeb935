/* Special functions that are called, not inlined: their loops do not vectorise. All are computed in
 * float64 (special.c); float32 rounds the result. */
#pragma once

#include "kernels/scalar.h"

#define MT_FOR_SPECIAL1(X)                                                                         \
    X(trigamma) X(bessel_j0) X(bessel_j1) X(bessel_y0) X(bessel_y1) X(modified_k0) X(modified_k1)  \
    X(scaled_k0) X(scaled_k1) X(spherical_j0) X(airy_ai)
#define MT_FOR_SPECIAL2(X)                                                                         \
    X(hurwitz) X(gamma_p) X(gamma_q) X(chebyshev_t) X(chebyshev_u) X(chebyshev_v) X(chebyshev_w)   \
    X(hermite_h) X(hermite_he) X(laguerre) X(legendre) X(poly_gamma)

#define X(name)                                                                                    \
    double mt_##name##_f64(double x);                                                              \
    MT_INLINE float mt_##name##_f32(float x) { return (float)mt_##name##_f64((double)x); }
MT_FOR_SPECIAL1(X)
#undef X
#define X(name)                                                                                    \
    double mt_##name##_f64(double x, double y);                                                    \
    MT_INLINE float mt_##name##_f32(float x, float y)                                              \
    {                                                                                              \
        return (float)mt_##name##_f64((double)x, (double)y);                                       \
    }
MT_FOR_SPECIAL2(X)
#undef X
