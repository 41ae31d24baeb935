/* The error function and its relatives. Included by scalar.h.
 *
 * erf is odd and a polynomial near 0; beyond, erf(a) = 1 - exp(Q(a)) with a polynomial Q. erfc must
 * be right where it is tiny, so it goes through erfcx(a) = exp(a^2) erfc(a), which times a + k is a
 * polynomial of u = (a - k) / (a + k), and exp(-a^2) with the part that a^2 loses in rounding. */
#pragma once

MT_INLINE float
mt_erf_f32(float x)
{
    float a = mt_abs_f32(x), z = x * x, v = a - 2;
    float p = -0x1.3d0788p-11f; /* erf_f32 */
    p = mt_fma_f32(p, z, 0x1.479d3p-8f);
    p = mt_fma_f32(p, z, -0x1.b686ccp-6f);
    p = mt_fma_f32(p, z, 0x1.ce17bcp-4f);
    p = mt_fma_f32(p, z, -0x1.8126b6p-2f);
    p = mt_fma_f32(p, z, 0x1.20dd74p+0f);
    float q = 0x1.b3a364p-13f; /* log_erfc_f32 */
    q = mt_fma_f32(q, v, -0x1.5c4b6cp-11f);
    q = mt_fma_f32(q, v, 0x1.d34b8ep-9f);
    q = mt_fma_f32(q, v, -0x1.0e6494p-6f);
    q = mt_fma_f32(q, v, -0x1.d8f7dcp-1f);
    q = mt_fma_f32(q, v, -0x1.1ac324p+2f);
    q = mt_fma_f32(q, v, -0x1.575b3p+2f);
    float n, r = mt_exp_reduce_f32(q, &n), power = mt_power2_f32(n);
    float y = (1 - power) - power * mt_expm1_reduced_f32(r);
    y = a < 0.8f ? a * p : y;
    y = a > 3.95f ? 1.0f : y;
    return mt_copysign_f32(y, x);
}

MT_INLINE double
mt_erf_f64(double x)
{
    double a = mt_abs_f64(x), z = x * x, v = a - 3.4;
    double p = -0x1.c43811082122p-31; /* erf_f64 */
    p = mt_fma_f64(p, z, 0x1.de82bec87ccb1p-27);
    p = mt_fma_f64(p, z, -0x1.5cfde88b0ba62p-23);
    p = mt_fma_f64(p, z, 0x1.b9a40d443defp-20);
    p = mt_fma_f64(p, z, -0x1.f4cd97a79e6c8p-17);
    p = mt_fma_f64(p, z, 0x1.f9a2eb7fad5f5p-14);
    p = mt_fma_f64(p, z, -0x1.c02db20aad243p-11);
    p = mt_fma_f64(p, z, 0x1.565bcd03902dp-8);
    p = mt_fma_f64(p, z, -0x1.b82ce3123dfe8p-6);
    p = mt_fma_f64(p, z, 0x1.ce2f21a0419c7p-4);
    p = mt_fma_f64(p, z, -0x1.812746b0379c6p-2);
    p = mt_fma_f64(p, z, 0x1.20dd750429b6dp+0);
    double q = 0x1.80d4ef9b06a34p-40; /* log_erfc_f64 */
    q = mt_fma_f64(q, v, 0x1.8cc95efb01ecdp-36);
    q = mt_fma_f64(q, v, 0x1.6aa729e4998eep-33);
    q = mt_fma_f64(q, v, 0x1.8615bc53f7a62p-31);
    q = mt_fma_f64(q, v, 0x1.faabce078989p-30);
    q = mt_fma_f64(q, v, 0x1.8305b86cb7ba9p-29);
    q = mt_fma_f64(q, v, 0x1.035431caf75aep-30);
    q = mt_fma_f64(q, v, -0x1.752c59551fe37p-28);
    q = mt_fma_f64(q, v, 0x1.c0d189e5fce05p-35);
    q = mt_fma_f64(q, v, -0x1.ab0c960012525p-24);
    q = mt_fma_f64(q, v, 0x1.63a1d973a82e5p-21);
    q = mt_fma_f64(q, v, -0x1.260e7c61abae1p-18);
    q = mt_fma_f64(q, v, 0x1.c9c74f8816fbbp-16);
    q = mt_fma_f64(q, v, -0x1.555f2b5b08d64p-13);
    q = mt_fma_f64(q, v, 0x1.f2ab06e7a88c1p-11);
    q = mt_fma_f64(q, v, -0x1.6e5ec35ce9164p-8);
    q = mt_fma_f64(q, v, -0x1.ee25b4cbd76b2p-1);
    q = mt_fma_f64(q, v, -0x1.c4aa8bd713647p+2);
    q = mt_fma_f64(q, v, -0x1.aca7d9ee17afbp+3);
    double n, r = mt_exp_reduce_f64(q, &n), power = mt_power2_f64(n);
    double y = (1 - power) - power * mt_expm1_reduced_f64(r);
    y = a < 0.9 ? a * p : y;
    y = a > 5.93 ? 1.0 : y;
    return mt_copysign_f64(y, x);
}

/* exp(-a^2) for a >= 0. */
MT_INLINE float
mt_exp_neg_square_f32(float a)
{
    float square_lo, square = mt_two_product_f32(a, a, &square_lo);
    float n, r = mt_exp_reduce_f32(-square, &n) - square_lo;
    float y = (1 + mt_expm1_reduced_f32(r)) * mt_power2_f32(n + 32) * 0x1p-32f;
    return a > 10.2f ? 0.0f : y;
}

MT_INLINE double
mt_exp_neg_square_f64(double a)
{
    double square_lo, square = mt_two_product_f64(a, a, &square_lo);
    double n, r = mt_exp_reduce_f64(-square, &n) - square_lo;
    double y = (1 + mt_expm1_reduced_f64(r)) * mt_power2_f64(n + 64) * 0x1p-64;
    return a > 27.4 ? 0.0 : y;
}

/* erfcx(a) for a >= 0, in float for a < 10.2 only. */
MT_INLINE float
mt_erfcx_positive_f32(float a)
{
    float inverse = 1 / (a + 3), u = (a - 3) * inverse;
    float p = -0x1.51814ap-12f; /* erfcx_f32 */
    p = mt_fma_f32(p, u, -0x1.f58a9ap-12f);
    p = mt_fma_f32(p, u, 0x1.9369b6p-9f);
    p = mt_fma_f32(p, u, -0x1.42c89ep-10f);
    p = mt_fma_f32(p, u, -0x1.b7bbecp-6f);
    p = mt_fma_f32(p, u, 0x1.e99914p-4f);
    p = mt_fma_f32(p, u, -0x1.3dead2p-2f);
    p = mt_fma_f32(p, u, 0x1.2e326p-1f);
    p = mt_fma_f32(p, u, -0x1.c44c48p-1f);
    p = mt_fma_f32(p, u, 0x1.12f21ep+0f);
    return p * inverse;
}

MT_INLINE double
mt_erfcx_positive_f64(double a)
{
    double d = a + 4, u = (a - 4) / d;
    double p = -0x1.ad9967fabfdbcp-33; /* erfcx_f64 */
    p = mt_fma_f64(p, u, -0x1.829706165a1e4p-34);
    p = mt_fma_f64(p, u, 0x1.48ff2fe046bb4p-29);
    p = mt_fma_f64(p, u, 0x1.a710cd025aaf8p-31);
    p = mt_fma_f64(p, u, -0x1.3cabc5ce09a3p-26);
    p = mt_fma_f64(p, u, -0x1.dbed5848ec32bp-32);
    p = mt_fma_f64(p, u, 0x1.11844f7f1d373p-23);
    p = mt_fma_f64(p, u, -0x1.3e9df78cc9f2dp-24);
    p = mt_fma_f64(p, u, -0x1.c7765309369efp-21);
    p = mt_fma_f64(p, u, 0x1.7e142fc13e36dp-20);
    p = mt_fma_f64(p, u, 0x1.3b1ad5c5aa604p-18);
    p = mt_fma_f64(p, u, -0x1.3c6d7044f0e99p-16);
    p = mt_fma_f64(p, u, -0x1.e7f395a8ff6b4p-19);
    p = mt_fma_f64(p, u, 0x1.72cd9c5dda92dp-13);
    p = mt_fma_f64(p, u, -0x1.dd284014c3e7p-12);
    p = mt_fma_f64(p, u, -0x1.269b512640191p-12);
    p = mt_fma_f64(p, u, 0x1.908f4714491c3p-8);
    p = mt_fma_f64(p, u, -0x1.b00c052ca7706p-6);
    p = mt_fma_f64(p, u, 0x1.38dbd2c904904p-4);
    p = mt_fma_f64(p, u, -0x1.645fd8a4bb25ep-3);
    p = mt_fma_f64(p, u, 0x1.52cac2370f6a1p-2);
    p = mt_fma_f64(p, u, -0x1.14eacb1ad0358p-1);
    p = mt_fma_f64(p, u, 0x1.8be202d26c737p-1);
    p = mt_fma_f64(p, u, -0x1.f3fe31ecb49bfp-1);
    p = mt_fma_f64(p, u, 0x1.18932bf08e154p+0);
    return p / d;
}

MT_INLINE float
mt_erfc_f32(float x)
{
    float a = mt_abs_f32(x), e = mt_exp_neg_square_f32(a);
    float y = e * mt_erfcx_positive_f32(a);
    y = a > 10.2f ? 0.0f : y;
    return x < 0 ? 2 - y : y;
}

MT_INLINE double
mt_erfc_f64(double x)
{
    double a = mt_abs_f64(x), e = mt_exp_neg_square_f64(a);
    double y = e * mt_erfcx_positive_f64(a);
    y = a > 27.4 ? 0.0 : y;
    return x < 0 ? 2 - y : y;
}

/* exp(x^2) erfc(x); 2 exp(x^2) - erfcx(-x) for negative x. */
MT_INLINE double
mt_erfcx_f64(double x)
{
    double a = mt_abs_f64(x), y = mt_erfcx_positive_f64(a);
    y = a > 0x1p60 ? 0x1.20dd750429b6dp-1 / a : y; /* 1 / sqrt(pi) */
    double square_lo, square = mt_two_product_f64(a, a, &square_lo);
    double n, r = mt_exp_reduce_f64(square, &n) + square_lo;
    double e = mt_scale_f64(1 + mt_expm1_reduced_f64(r), n + 1);
    e = a > 26.7 ? MT_INF_F64 : e;
    return x < 0 ? e - y : y;
}

MT_INLINE float mt_erfcx_f32(float x) { return (float)mt_erfcx_f64(x); }

/* The normal distribution function, and its logarithm. */
MT_INLINE float mt_ndtr_f32(float x) { return 0.5f * mt_erfc_f32(x * -0x1.6a09e6p-1f); }
MT_INLINE double mt_ndtr_f64(double x) { return 0.5 * mt_erfc_f64(x * -0x1.6a09e667f3bcdp-1); }

MT_INLINE double
mt_log_ndtr_f64(double x)
{
    double t = x * 0x1.6a09e667f3bcdp-1, a = mt_abs_f64(t), ecx = mt_erfcx_positive_f64(a);
    uint64_t low = mt_sign_mask_f64(x + 1);
    double inside = -0.5 * mt_erfc_f64(t);
    double u = mt_blend_f64(low, 0.5 * ecx - 1, inside);
    double y = mt_log1p_f64(u) - mt_blend_f64(low, 0.5 * x * x, 0.0);
    return x < -0x1p520 ? -MT_INF_F64 : y;
}

/* torch.nn.functional.gelu: x times the normal distribution function, and its approximation
 * (1 + tanh(s)) / 2 = sigmoid(2 s) with s = sqrt(2 / pi) (x + 0.044715 x^3). */
MT_INLINE float
mt_gelu_f32(float x)
{
    return 0.5f * x * (1 + mt_erf_f32(x * 0x1.6a09e6p-1f));
}

MT_INLINE double
mt_gelu_f64(double x)
{
    return 0.5 * x * (1 + mt_erf_f64(x * 0x1.6a09e667f3bcdp-1));
}

MT_INLINE float
mt_gelu_tanh_f32(float x)
{
    float s = 0x1.988454p+0f * mt_fma_f32(0.044715f * x, x * x, x); /* 2 sqrt(2 / pi) */
    return x * mt_sigmoid_f32(s);
}

MT_INLINE double
mt_gelu_tanh_f64(double x)
{
    double s = 0x1.9884533d43651p+0 * mt_fma_f64(0.044715 * x, x * x, x);
    return x * mt_sigmoid_f64(s);
}

/* ---- inverses ---- */

/* erfinv(x) / x as a polynomial of w = -log(1 - x^2) below 5, of its root above. */
MT_INLINE float
mt_erfinv_f32(float x)
{
    float a = mt_abs_f32(x), product = (1 - a) * (1 + a), k, f = mt_log_reduce_f32(product, &k);
    float w = mt_fma_f32(k, -0x1.62e43p-1f, -mt_log1p_reduced_f32(f));
    uint32_t tail = mt_sign_mask_f32(5 - w);
    float t = mt_blend_f32(tail, __builtin_sqrtf(w) - 3, w - 2.5f);
    float p = mt_blend_f32(tail, 0x1.f2a9ccp-14f, -0x1.21b0f2p-27f); /* erfinv_tail_f32, erfinv_f32 */
    p = mt_fma_f32(p, t, mt_blend_f32(tail, -0x1.45c27ep-12f, 0x1.a03a94p-26f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, -0x1.04a35ep-14f, 0x1.ef0294p-22f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, 0x1.857716p-10f, -0x1.d2a0ep-19f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, -0x1.d719c4p-9f, -0x1.4b6a7cp-18f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, 0x1.74b926p-8f, 0x1.ca09bap-13f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, -0x1.f49096p-8f, -0x1.48692p-10f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, 0x1.357f26p-7f, -0x1.11c6cep-8f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, 0x1.006dc6p+0f, 0x1.f91e8ep-3f));
    p = mt_fma_f32(p, t, mt_blend_f32(tail, 0x1.6a9efcp+1f, 0x1.805c5ep+0f));
    float y = x * p;
    y = a == 1 ? mt_copysign_f32(MT_INF_F32, x) : y;
    return a > 1 ? MT_NAN_F32 : y;
}

/* The positive root y of erfc(y) = q, for 0 < q <= 1, with p = 1 - q given as well so that both are
 * right where they are small: an approximation to some 20 bits, and one step after Halley that
 * triples them. */
MT_INLINE double
mt_erfcinv_f64(double q, double p)
{
    double w = -mt_log_f64(q * (2 - q)), root = __builtin_sqrt(w);
    uint64_t tail = mt_sign_mask_f64(5 - w), far = mt_sign_mask_f64(16.8 - w);
    double t = mt_blend_f64(tail, root - 3, w - 2.5);
    double s = mt_blend_f64(tail, -0x1.4f2686c4261c2p-13, 0x1.ea562e9eeacf3p-26); /* erfinv_tail, erfinv_start */
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.5a352eaaf7cf3p-14, 0x1.711b578ce7c84p-22));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.52c4a47357df8p-10, -0x1.d9a4f8efe847bp-19));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, -0x1.df45b85bbefacp-9, -0x1.271621147953cp-18));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.79d91a39a6707p-8, 0x1.ca7140f7959ap-13));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, -0x1.f3cb215dca1f6p-8, -0x1.48a6cf0e32a12p-10));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.352aef65d9c38p-7, -0x1.11ca4e907da56p-8));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.006db8f908c92p+0, 0x1.f91ec5c51d4cdp-3));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.6a9efd8ec67a3p+1, 0x1.805c5e2bbe183p+0));
    double v = 1 / root;
    double d = -0x1.d01b27ee15264p+9; /* erfinv_far */
    d = mt_fma_f64(d, v, 0x1.2e1e4bbc3fda7p+10);
    d = mt_fma_f64(d, v, -0x1.58cb151f6f623p+9);
    d = mt_fma_f64(d, v, 0x1.caf5c8a9ba888p+7);
    d = mt_fma_f64(d, v, -0x1.9a16f3b7e0f55p+5);
    d = mt_fma_f64(d, v, 0x1.28b806711c45dp+3);
    d = mt_fma_f64(d, v, -0x1.8b4acad048357p+0);
    d = mt_fma_f64(d, v, -0x1.da3fc48aa3be8p-7);
    d = mt_fma_f64(d, v, 0x1.0005a5fe2cc7fp+0);
    double y = mt_blend_f64(far, d * root, s * p), z = y * y;
    s = -0x1.c43811082122p-31; /* erf_f64 */
    s = mt_fma_f64(s, z, 0x1.de82bec87ccb1p-27);
    s = mt_fma_f64(s, z, -0x1.5cfde88b0ba62p-23);
    s = mt_fma_f64(s, z, 0x1.b9a40d443defp-20);
    s = mt_fma_f64(s, z, -0x1.f4cd97a79e6c8p-17);
    s = mt_fma_f64(s, z, 0x1.f9a2eb7fad5f5p-14);
    s = mt_fma_f64(s, z, -0x1.c02db20aad243p-11);
    s = mt_fma_f64(s, z, 0x1.565bcd03902dp-8);
    s = mt_fma_f64(s, z, -0x1.b82ce3123dfe8p-6);
    s = mt_fma_f64(s, z, 0x1.ce2f21a0419c7p-4);
    s = mt_fma_f64(s, z, -0x1.812746b0379c6p-2);
    s = mt_fma_f64(s, z, 0x1.20dd750429b6dp+0);
    double e = mt_exp_neg_square_f64(y);
    double above = q - e * mt_erfcx_positive_f64(y), below = y * s - p;
    double rest = mt_blend_f64(mt_sign_mask_f64(0.9 - y), above, below);
    double step = rest * 0x1.c5bf891b4ef6bp-1 / e; /* sqrt(pi) / 2 */
    return y - step / mt_fma_f64(y, step, 1.0);
}

MT_INLINE double
mt_erfinv_f64(double x)
{
    double a = mt_abs_f64(x), y = mt_erfcinv_f64(1 - a, a);
    y = a < 0x1p-30 ? 0x1.c5bf891b4ef6bp-1 * a : y;
    y = a == 1 ? MT_INF_F64 : y;
    y = a > 1 ? MT_NAN_F64 : y;
    return mt_copysign_f64(y, x);
}

/* The inverse of the normal distribution function. */
MT_INLINE double
mt_ndtri_f64(double x)
{
    double q = 2 * (x > 0.5 ? 1 - x : x), y = 0x1.6a09e667f3bcdp+0 * mt_erfcinv_f64(q, 1 - q);
    y = x == 0.5 ? 0.0 : y;
    y = q == 0 ? MT_INF_F64 : y;
    y = q >= 0 ? y : MT_NAN_F64;
    return x < 0.5 ? -y : y;
}

MT_INLINE float mt_ndtri_f32(float x) { return (float)mt_ndtri_f64(x); }
MT_INLINE float mt_log_ndtr_f32(float x) { return (float)mt_log_ndtr_f64(x); }
