/* Integer arithmetic with PyTorch's rounding, and the float forms of the same names. A zero
 * divisor gives 0 here: operators that must complain look at the divisors first. */
#pragma once

#include <math.h>

#include "base/base.h"

#define MT_INTEGER_FUNCTIONS(suffix, T, is_signed)                                                 \
    MT_INLINE T mt_floordiv_##suffix(T a, T b)                                                     \
    {                                                                                              \
        if (b == 0)                                                                                \
            return 0;                                                                              \
        if (is_signed && b == (T)-1)                                                               \
            return (T)(0 - (uint64_t)a);                                                           \
        T q = (T)(a / b);                                                                          \
        return (T)(q - ((a % b != 0) && ((a < 0) != (b < 0))));                                    \
    }                                                                                              \
    MT_INLINE T mt_truncdiv_##suffix(T a, T b)                                                     \
    {                                                                                              \
        return b == 0 ? 0 : is_signed && b == (T)-1 ? (T)(0 - (uint64_t)a) : (T)(a / b);           \
    }                                                                                              \
    MT_INLINE T mt_remainder_##suffix(T a, T b)                                                    \
    {                                                                                              \
        if (b == 0 || (is_signed && b == (T)-1))                                                   \
            return 0;                                                                              \
        T r = (T)(a % b);                                                                          \
        return (T)(r != 0 && ((r < 0) != (b < 0)) ? r + b : r);                                    \
    }                                                                                              \
    MT_INLINE T mt_fmod_##suffix(T a, T b)                                                         \
    {                                                                                              \
        return b == 0 || (is_signed && b == (T)-1) ? 0 : (T)(a % b);                               \
    }                                                                                              \
    MT_INLINE T mt_ipow_##suffix(T a, T b)                                                         \
    {                                                                                              \
        if (b < 0)                                                                                 \
            return a == 1 ? 1 : a == (T)-1 ? (b % 2 ? (T)-1 : 1) : 0;                              \
        uint64_t r = 1, x = (uint64_t)a, n = (uint64_t)b;                                          \
        for (; n; n >>= 1, x *= x)                                                                 \
            if (n & 1)                                                                             \
                r *= x;                                                                            \
        return (T)r;                                                                               \
    }                                                                                              \
    MT_INLINE T mt_gcd_##suffix(T a, T b)                                                          \
    {                                                                                              \
        a = a < 0 ? (T)-a : a;                                                                     \
        b = b < 0 ? (T)-b : b;                                                                     \
        while (b) {                                                                                \
            T t = (T)(a % b);                                                                      \
            a = b;                                                                                 \
            b = t;                                                                                 \
        }                                                                                          \
        return a;                                                                                  \
    }                                                                                              \
    MT_INLINE T mt_lcm_##suffix(T a, T b)                                                          \
    {                                                                                              \
        T g = mt_gcd_##suffix(a, b), m = g ? (T)((uint64_t)(a / g) * (uint64_t)b) : 0;             \
        return m < 0 ? (T)-m : m;                                                                  \
    }                                                                                              \
    MT_INLINE T mt_lshift_##suffix(T a, T b)                                                       \
    {                                                                                              \
        return b < 0 || (uint64_t)b >= sizeof(T) * 8 ? 0 : (T)((uint64_t)a << b);                  \
    }                                                                                              \
    MT_INLINE T mt_rshift_##suffix(T a, T b)                                                       \
    {                                                                                              \
        return b < 0 || (uint64_t)b >= sizeof(T) * 8 ? (T)(a < 0 ? -1 : 0) : (T)(a >> b);          \
    }

MT_INTEGER_FUNCTIONS(b, uint8_t, 0)
MT_INTEGER_FUNCTIONS(u8, uint8_t, 0)
MT_INTEGER_FUNCTIONS(i8, int8_t, 1)
MT_INTEGER_FUNCTIONS(i16, int16_t, 1)
MT_INTEGER_FUNCTIONS(i32, int32_t, 1)
MT_INTEGER_FUNCTIONS(i64, int64_t, 1)
MT_INTEGER_FUNCTIONS(u16, uint16_t, 0)
MT_INTEGER_FUNCTIONS(u32, uint32_t, 0)
MT_INTEGER_FUNCTIONS(u64, uint64_t, 0)

#define MT_FLOAT_DIVISIONS(suffix, T, FMOD, FLOOR, TRUNC, COPYSIGN)                                \
    MT_INLINE T mt_fmod_##suffix(T a, T b) { return FMOD(a, b); }                                  \
    MT_INLINE T mt_remainder_##suffix(T a, T b)                                                    \
    {                                                                                              \
        T r = FMOD(a, b);                                                                          \
        return r != 0 && ((b < 0) != (r < 0)) ? r + b : r;                                         \
    }                                                                                              \
    MT_INLINE T mt_floordiv_##suffix(T a, T b)                                                     \
    {                                                                                              \
        if (b == 0)                                                                                \
            return a / b;                                                                          \
        T m = FMOD(a, b), d = (a - m) / b;                                                         \
        if (m != 0 && (b < 0) != (m < 0))                                                          \
            d -= 1;                                                                                \
        if (d == 0)                                                                                \
            return COPYSIGN((T)0, a / b);                                                          \
        T f = FLOOR(d);                                                                            \
        return d - f > (T)0.5 ? f + 1 : f;                                                         \
    }                                                                                              \
    MT_INLINE T mt_truncdiv_##suffix(T a, T b) { return TRUNC(a / b); }

MT_FLOAT_DIVISIONS(f32, float, fmodf, floorf, truncf, copysignf)
MT_FLOAT_DIVISIONS(f64, double, fmod, floor, trunc, copysign)

/* 1 for NaN too: NaN wins in maximum and minimum. */
MT_INLINE float mt_maximum_f32(float a, float b) { return a > b || a != a ? a : b; }
MT_INLINE double mt_maximum_f64(double a, double b) { return a > b || a != a ? a : b; }
MT_INLINE float mt_minimum_f32(float a, float b) { return a < b || a != a ? a : b; }
MT_INLINE double mt_minimum_f64(double a, double b) { return a < b || a != a ? a : b; }
MT_INLINE float mt_nearest_f32(float a) { return rintf(a); }
MT_INLINE double mt_nearest_f64(double a) { return rint(a); }
MT_INLINE float mt_floor_f32(float a) { return floorf(a); }
MT_INLINE double mt_floor_f64(double a) { return floor(a); }
MT_INLINE float mt_ceil_f32(float a) { return ceilf(a); }
MT_INLINE double mt_ceil_f64(double a) { return ceil(a); }
MT_INLINE float mt_trunc_f32(float a) { return truncf(a); }
MT_INLINE double mt_trunc_f64(double a) { return trunc(a); }
