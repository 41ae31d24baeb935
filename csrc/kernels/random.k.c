/* mt-flags: -ffp-contract=off */
/* The vectorisable part of the generator and of the commonest fills.
 *
 * Bits must not depend on the level, so contraction stays off and every fused multiply-add is
 * written as such. Which ones are fused in normal_f32 is part of the stream: it is what PyTorch's
 * AVX2 build computes, found by comparing values. */
#include <math.h>

#include "kernels/random_k.h"

/* x[i + 397] and x[i - 227] are both far enough from x[i] for any vector width. */
MT_INLINE uint32_t
twist(uint32_t high, uint32_t low)
{
    uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (mixed >> 1) ^ (-(low & 1u) & 0x9908b0dfu);
}

static void
renew(uint32_t x[624])
{
    for (int i = 0; i < 227; i++)
        x[i] = x[i + 397] ^ twist(x[i], x[i + 1]);
    for (int i = 227; i < 623; i++)
        x[i] = x[i - 227] ^ twist(x[i], x[i + 1]);
    x[623] = x[396] ^ twist(x[623], x[0]);
}

static void
temper(uint32_t *MT_RESTRICT out, const uint32_t *MT_RESTRICT state, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t y = state[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        out[i] = y ^ (y >> 18);
    }
}

static void
unit_f32(float *MT_RESTRICT out, const uint32_t *MT_RESTRICT words, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(int32_t)(words[i] & 0xffffffu) * 0x1p-24f;
}

/* The low 53 bits of the 64-bit draw that words 2i (high half) and 2i + 1 make. */
MT_INLINE uint64_t
draw53(const uint32_t *words, int64_t i)
{
    uint64_t pair;
    memcpy(&pair, words + 2 * i, sizeof pair);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (pair & 0x1fffffu) << 32 | pair >> 32;
#else
    return pair & UINT64_C(0x1fffffffffffff);
#endif
}

MT_INLINE double
bits_double(uint64_t bits)
{
    double out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static void
unit_f64(double *MT_RESTRICT out, const uint32_t *MT_RESTRICT words, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        /* Halves go into the significands of 2^84 and 2^52, which has vector instructions
         * everywhere; all steps are exact. */
        uint64_t draw = draw53(words, i);
        double high = bits_double(UINT64_C(0x4530000000000000) | draw >> 32) - 0x1p84;
        double low = bits_double(UINT64_C(0x4330000000000000) | (draw & 0xffffffffu)) - 0x1p52;
        out[i] = (high + low) * 0x1p-53;
    }
}

static void
range_f32(float *values, int64_t n, float from, float to)
{
    float range = to - from;
    for (int64_t i = 0; i < n; i++) {
        float x = fmaf(values[i], range, from);
        values[i] = x == to ? from : x;
    }
}

static void
range_f64(double *values, int64_t n, double from, double to)
{
    double range = to - from;
    for (int64_t i = 0; i < n; i++) {
        double x = fma(values[i], range, from);
        values[i] = x == to ? from : x;
    }
}

/* Natural logarithm of x in (0, 1], after the single-precision one of the Cephes library: a
 * polynomial of degree 8 on [sqrt(1/2), sqrt(2)), the exponent times ln 2 in two parts. */
MT_INLINE float
log_unit(float x)
{
    uint32_t bits = mt_float_bits(x);
    float e = (float)((int32_t)(bits >> 23) - 126);
    float m = mt_bits_float((bits & 0x007fffffu) | 0x3f000000u); /* [1/2, 1) */
    bool low = m < 0x1.6a09e6p-1f;
    e -= low ? 1.0f : 0.0f;
    m = (m - 1.0f) + (low ? m : 0.0f);
    float z = m * m;
    float y = 7.0376836292e-2f;
    y = fmaf(y, m, -1.1514610310e-1f);
    y = fmaf(y, m, 1.1676998740e-1f);
    y = fmaf(y, m, -1.2420140846e-1f);
    y = fmaf(y, m, 1.4249322787e-1f);
    y = fmaf(y, m, -1.6668057665e-1f);
    y = fmaf(y, m, 2.0000714765e-1f);
    y = fmaf(y, m, -2.4999993993e-1f);
    y = fmaf(y, m, 3.3333331174e-1f);
    y = fmaf(y * m, z, e * -2.12194440e-4f);
    y = fmaf(-0.5f, z, y);
    return fmaf(e, 0.693359375f, m + y);
}

/* Sine and cosine of x in [0, 2 pi], after Cephes: reduction to [-pi/4, pi/4] with pi/4 in three
 * parts, a polynomial for each, and their places and signs from the octant. */
MT_INLINE void
sin_cos(float x, float *sine, float *cosine)
{
    int32_t octant = ((int32_t)(x * 1.27323954473516f) + 1) & ~1;
    float j = (float)octant;
    x = fmaf(j, -0.78515625f, x);
    x = fmaf(j, -2.4187564849853515625e-4f, x);
    x = fmaf(j, -3.77489497744594108e-8f, x);
    float z = x * x;
    float c = 2.443315711809948e-5f;
    c = fmaf(c, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = fmaf(c * z, z, -(z * 0.5f)) + 1.0f;
    float s = -1.9515295891e-4f;
    s = fmaf(s, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = fmaf(s * z, x, x);
    uint32_t turn = (uint32_t)octant;
    bool swap = (turn & 2u) != 0;
    *sine = mt_bits_float(mt_float_bits(swap ? c : s) ^ (turn & 4u) << 29);
    *cosine = mt_bits_float(mt_float_bits(swap ? s : c) ^ ((turn + 2u) & 4u) << 29);
}

static void
normal_f32(float *values, int64_t n, float mean, float std)
{
    for (int64_t i = 0; i < n; i += 16) {
        float *x = values + i;
        for (int k = 0; k < 8; k++) {
            float radius = sqrtf(-2.0f * log_unit(1.0f - x[k])), sine, cosine;
            sin_cos(0x1.921fb6p+2f * x[k + 8], &sine, &cosine);
            x[k] = fmaf(radius * cosine, std, mean);
            x[k + 8] = fmaf(radius * sine, std, mean);
        }
    }
}

static void
below(uint8_t *MT_RESTRICT out, const uint32_t *MT_RESTRICT words, int64_t n, uint64_t bound)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (uint8_t)((draw53(words, i) - bound) >> 63);
}

#define REAL(x) (x)
#define HALF(x) mt_half_to_float(x)
#define TO_HALF(x) mt_float_to_half(x)
#define BF(x) mt_bfloat16_to_float(x)
#define TO_BF(x) mt_float_to_bfloat16(x)
#define MASK(name, T, SCALE, read, write)                                                          \
    static void mask_##name(T *y, const T *x, const uint8_t *MT_RESTRICT keep, int64_t n,          \
                            SCALE scale)                                                           \
    {                                                                                              \
        MT_VECTORIZE                                                                               \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = write(read(x[i]) * (keep[i] ? scale : 0));                                      \
    }
MASK(f32, float, float, REAL, REAL)
MASK(f64, double, double, REAL, REAL)
MASK(f16, mt_half, float, HALF, TO_HALF)
MASK(bf16, mt_bfloat16, float, BF, TO_BF)

const mt_random_kernels MT_K(mt_random_kernels) = {
    renew,      temper, unit_f32, unit_f64, range_f32, range_f64,
    normal_f32, below,  mask_f32, mask_f64, mask_f16,  mask_bf16,
};
