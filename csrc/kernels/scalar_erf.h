/* The error function and its relatives. Included by scalar.h.
 *
 * erf is odd and a polynomial near 0; beyond, erf(a) = 1 - exp(Q(a)) with a polynomial Q. erfc must
 * be right where it is tiny, so it goes through erfcx(a) = exp(a^2) erfc(a), which times a + k is a
 * polynomial of u = (a - k) / (a + k), and exp(-a^2) with the part that a^2 loses in rounding. */
#pragma once

MT_INLINE float
mt_erf_f32(float x)
{
    float a = mt_abs_f32(x), z = x * x, v = a - 1;
    float p = -0x1.5884e8p-11f; /* erf_f32 */
    p = mt_fma_f32(p, z, 0x1.4da856p-8f);
    p = mt_fma_f32(p, z, -0x1.b77e16p-6f);
    p = mt_fma_f32(p, z, 0x1.ce2904p-4f);
    p = mt_fma_f32(p, z, -0x1.812734p-2f);
    p = mt_fma_f32(p, z, 0x1.06eba8p-3f);
    float q_v2 = v * v;
    float q = 0x1.eca7aap-13f; /* log_erfc_f32 */
    float q1 = -0x1.30a5c2p-17f;
    q = mt_fma_f32(q, q_v2, 0x1.47a372p-7f);
    q1 = mt_fma_f32(q1, q_v2, -0x1.fa013ap-10f);
    q = mt_fma_f32(q, q_v2, -0x1.afab6ep-1f);
    q1 = mt_fma_f32(q1, q_v2, -0x1.546fecp-5f);
    q = mt_fma_f32(q, q_v2, -0x1.d97fcp+0f);
    q1 = mt_fma_f32(q1, q_v2, -0x1.51c9b2p+1f);
    q = mt_fma_f32(q1, v, q);
    float n, r = mt_exp_reduce_f32(q, &n), power = mt_power2_f32(n);
    float y = (1 - power) - power * mt_expm1_reduced_f32(r);
    y = a < 0.8f ? mt_fma_f32(a, p, a) : y;
    y = a > 3.95f ? 1.0f : y;
    return mt_copysign_f32(y, x);
}

MT_INLINE double
mt_erf_f64(double x)
{
    double a = mt_abs_f64(x), z = x * x, v = a - 1;
    double p_z2 = z * z;
    double p = 0x1.e6a05bb66de47p-27; /* erf_f64 */
    double p1 = -0x1.e01812975aba5p-31;
    p = mt_fma_f64(p, p_z2, 0x1.b9ca01fdd72f6p-20);
    p1 = mt_fma_f64(p1, p_z2, -0x1.5e04e948ff7c2p-23);
    p = mt_fma_f64(p, p_z2, 0x1.f9a31f8682ff4p-14);
    p1 = mt_fma_f64(p1, p_z2, -0x1.f4d1082faea8ep-17);
    p = mt_fma_f64(p, p_z2, 0x1.565bcd10659c2p-8);
    p1 = mt_fma_f64(p1, p_z2, -0x1.c02db40e8d889p-11);
    p = mt_fma_f64(p, p_z2, 0x1.ce2f21a0434cap-4);
    p1 = mt_fma_f64(p1, p_z2, -0x1.b82ce312a1e3p-6);
    p = mt_fma_f64(p, p_z2, 0x1.06eba8214db69p-3);
    p1 = mt_fma_f64(p1, p_z2, -0x1.812746b0379fcp-2);
    p = mt_fma_f64(p1, z, p);
    double q_v2 = v * v, q_v4 = q_v2 * q_v2;
    double q = 0x1.aaa7a169daab9p-31; /* log_erfc_f64 */
    double q1 = -0x1.8244fa3eb27ap-34;
    double q2 = 0x1.b26c059398d11p-38;
    double q3 = -0x1.c8602972d2fbap-43;
    q = mt_fma_f64(q, q_v4, 0x1.0c9034404e294p-23);
    q1 = mt_fma_f64(q1, q_v4, -0x1.20a83fba0613p-24);
    q2 = mt_fma_f64(q2, q_v4, 0x1.6ba1aa798855ap-26);
    q3 = mt_fma_f64(q3, q_v4, -0x1.46f51857c34f4p-28);
    q = mt_fma_f64(q, q_v4, -0x1.c75c73c85de56p-16);
    q1 = mt_fma_f64(q1, q_v4, 0x1.4168346a14b9ap-17);
    q2 = mt_fma_f64(q2, q_v4, -0x1.0f3cf342efe3ap-19);
    q3 = mt_fma_f64(q3, q_v4, 0x1.c402cb5c718ep-24);
    q = mt_fma_f64(q, q_v4, 0x1.48c9d40c4a495p-7);
    q1 = mt_fma_f64(q1, q_v4, -0x1.033f6999cd05cp-9);
    q2 = mt_fma_f64(q2, q_v4, 0x1.f1b4ba45b301p-13);
    q3 = mt_fma_f64(q3, q_v4, 0x1.b8bee9b41755bp-16);
    q = mt_fma_f64(q, q_v4, -0x1.d97fbf27aa2a1p+0);
    q1 = mt_fma_f64(q1, q_v4, -0x1.51c9b0006c23dp+1);
    q2 = mt_fma_f64(q2, q_v4, -0x1.afabc11a28f6p-1);
    q3 = mt_fma_f64(q3, q_v4, -0x1.5477f09ca915fp-5);
    q = mt_fma_f64(q1, v, q);
    q2 = mt_fma_f64(q3, v, q2);
    q = mt_fma_f64(q2, q_v2, q);
    double n, r = mt_exp_reduce_f64(q, &n), power = mt_power2_f64(n);
    double y = (1 - power) - power * mt_expm1_reduced_f64(r);
    y = a < 0.9 ? mt_fma_f64(a, p, a) : y;
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

/* erfcx(a) for a >= 0, in float for a < 10.2 only. Errors of u count nearly twice, so it gets what
 * a + k and the quotient lose in rounding. */
MT_INLINE float
mt_erfcx_positive_f32(float a)
{
    float d = a + 3, d_lo = a - (d - 3), inverse = 1 / d, u = (a - 3) * inverse, product_lo;
    float product = mt_two_product_f32(u, d, &product_lo);
    u += (((a - 3 - product) - product_lo) - u * d_lo) * inverse;
    float p_u2 = u * u;
    float p = -0x1.f58a9ap-12f; /* erfcx_f32 */
    float p1 = -0x1.51814ap-12f;
    p = mt_fma_f32(p, p_u2, -0x1.42c89ep-10f);
    p1 = mt_fma_f32(p1, p_u2, 0x1.9369b6p-9f);
    p = mt_fma_f32(p, p_u2, 0x1.e99914p-4f);
    p1 = mt_fma_f32(p1, p_u2, -0x1.b7bbecp-6f);
    p = mt_fma_f32(p, p_u2, 0x1.2e326p-1f);
    p1 = mt_fma_f32(p1, p_u2, -0x1.3dead2p-2f);
    p = mt_fma_f32(p, p_u2, 0x1.12f21ep+0f);
    p1 = mt_fma_f32(p1, p_u2, -0x1.c44c48p-1f);
    p = mt_fma_f32(p1, u, p);
    return p * inverse;
}

MT_INLINE double
mt_erfcx_positive_f64(double a)
{
    double d = a + 4, d_lo = a - (d - 4), inverse = 1 / d, u = (a - 4) * inverse, product_lo;
    double product = mt_two_product_f64(u, d, &product_lo);
    u += (((a - 4 - product) - product_lo) - u * d_lo) * inverse;
    double p_u2 = u * u, p_u4 = p_u2 * p_u2;
    double p = -0x1.ad9967fabfdbcp-33; /* erfcx_f64 */
    double p1 = 0x1.a710cd025aaf8p-31;
    double p2 = 0x1.48ff2fe046bb4p-29;
    double p3 = -0x1.829706165a1e4p-34;
    p = mt_fma_f64(p, p_u4, -0x1.3cabc5ce09a3p-26);
    p1 = mt_fma_f64(p1, p_u4, -0x1.3e9df78cc9f2dp-24);
    p2 = mt_fma_f64(p2, p_u4, 0x1.11844f7f1d373p-23);
    p3 = mt_fma_f64(p3, p_u4, -0x1.dbed5848ec32bp-32);
    p = mt_fma_f64(p, p_u4, -0x1.c7765309369efp-21);
    p1 = mt_fma_f64(p1, p_u4, -0x1.3c6d7044f0e99p-16);
    p2 = mt_fma_f64(p2, p_u4, 0x1.3b1ad5c5aa604p-18);
    p3 = mt_fma_f64(p3, p_u4, 0x1.7e142fc13e36dp-20);
    p = mt_fma_f64(p, p_u4, -0x1.e7f395a8ff6b4p-19);
    p1 = mt_fma_f64(p1, p_u4, -0x1.269b512640191p-12);
    p2 = mt_fma_f64(p2, p_u4, -0x1.dd284014c3e7p-12);
    p3 = mt_fma_f64(p3, p_u4, 0x1.72cd9c5dda92dp-13);
    p = mt_fma_f64(p, p_u4, 0x1.908f4714491c3p-8);
    p1 = mt_fma_f64(p1, p_u4, -0x1.645fd8a4bb25ep-3);
    p2 = mt_fma_f64(p2, p_u4, 0x1.38dbd2c904904p-4);
    p3 = mt_fma_f64(p3, p_u4, -0x1.b00c052ca7706p-6);
    p = mt_fma_f64(p, p_u4, 0x1.52cac2370f6a1p-2);
    p1 = mt_fma_f64(p1, p_u4, -0x1.f3fe31ecb49bfp-1);
    p2 = mt_fma_f64(p2, p_u4, 0x1.8be202d26c737p-1);
    p3 = mt_fma_f64(p3, p_u4, -0x1.14eacb1ad0358p-1);
    p = mt_fma_f64(p, p_u4, 0x1.18932bf08e154p+0);
    p = mt_fma_f64(p1, u, p);
    p2 = mt_fma_f64(p3, u, p2);
    p = mt_fma_f64(p2, p_u2, p);
    return p * inverse;
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
    ecx = ecx > 0x1p-40 ? ecx : 0x1p-40; /* x^2 is then so large that it does not matter */
    uint64_t low = mt_sign_mask_f64(x + 1);
    double inside = -0.5 * mt_erfc_f64(t);
    double u = mt_blend_f64(low, 0.5 * ecx - 1, inside);
    return mt_log1p_f64(u) - mt_blend_f64(low, 0.5 * x * x, 0.0);
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
    return x / mt_one_plus_exp_neg_f32(s);
}

MT_INLINE double
mt_gelu_tanh_f64(double x)
{
    double s = 0x1.9884533d43651p+0 * mt_fma_f64(0.044715 * x, x * x, x);
    return x / mt_one_plus_exp_neg_f64(s);
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
    /* erfinv_tail_f32, erfinv_f32 */
    float p = mt_blend_f32(tail, 0x1.f2a9ccp-14f, -0x1.21b0f2p-27f);
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

/* One step after Halley for the positive root y of erfc(y) = q, p = 1 - q, which triples the number
 * of right digits. The residue is taken from erf where y is small and from erfc elsewhere, times
 * 2^64 as exp(-y^2) is, so that the smallest q have all their digits. */
MT_INLINE double
mt_erfinv_step_f64(double y, double q, double p)
{
    double z_lo, z = mt_two_product_f64(y, y, &z_lo);
    double n, r = mt_exp_reduce_f64(-z, &n) - z_lo;
    double e = (1 + mt_expm1_reduced_f64(r)) * mt_power2_f64(n + 64);
    double s_z2 = z * z;
    double s = 0x1.e6a05bb66de47p-27; /* erf_f64 */
    double s1 = -0x1.e01812975aba5p-31;
    s = mt_fma_f64(s, s_z2, 0x1.b9ca01fdd72f6p-20);
    s1 = mt_fma_f64(s1, s_z2, -0x1.5e04e948ff7c2p-23);
    s = mt_fma_f64(s, s_z2, 0x1.f9a31f8682ff4p-14);
    s1 = mt_fma_f64(s1, s_z2, -0x1.f4d1082faea8ep-17);
    s = mt_fma_f64(s, s_z2, 0x1.565bcd10659c2p-8);
    s1 = mt_fma_f64(s1, s_z2, -0x1.c02db40e8d889p-11);
    s = mt_fma_f64(s, s_z2, 0x1.ce2f21a0434cap-4);
    s1 = mt_fma_f64(s1, s_z2, -0x1.b82ce312a1e3p-6);
    s = mt_fma_f64(s, s_z2, 0x1.06eba8214db69p-3);
    s1 = mt_fma_f64(s1, s_z2, -0x1.812746b0379fcp-2);
    s = mt_fma_f64(s1, z, s);
    double above = q * 0x1p64 - e * mt_erfcx_positive_f64(y);
    double below = (mt_fma_f64(y, s, y) - p) * 0x1p64;
    double rest = mt_blend_f64(mt_sign_mask_f64(0.9 - y), above, below);
    double step = rest * 0x1.c5bf891b4ef6bp-1; /* sqrt(pi) / 2 */
    return y - step / mt_fma_f64(y, step, e);
}

MT_INLINE double
mt_erfinv_f64(double x)
{
    double a = mt_abs_f64(x), k, f = mt_log_reduce_f64((1 - a) * (1 + a), &k);
    double w = mt_fma_f64(k, -0x1.62e42fefa39efp-1, -mt_log1p_reduced_lite(f));
    uint64_t tail = mt_sign_mask_f64(5 - w);
    double t = mt_blend_f64(tail, __builtin_sqrt(w) - 3, w - 2.5);
    /* erfinv_tail, erfinv_start */
    double s = mt_blend_f64(tail, -0x1.4f2686c4261c2p-13, 0x1.ea562e9eeacf3p-26);
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.5a352eaaf7cf3p-14, 0x1.711b578ce7c84p-22));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.52c4a47357df8p-10, -0x1.d9a4f8efe847bp-19));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, -0x1.df45b85bbefacp-9, -0x1.271621147953cp-18));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.79d91a39a6707p-8, 0x1.ca7140f7959ap-13));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, -0x1.f3cb215dca1f6p-8, -0x1.48a6cf0e32a12p-10));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.352aef65d9c38p-7, -0x1.11ca4e907da56p-8));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.006db8f908c92p+0, 0x1.f91ec5c51d4cdp-3));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.6a9efd8ec67a3p+1, 0x1.805c5e2bbe183p+0));
    double y = mt_erfinv_step_f64(s * a, 1 - a, a);
    y = a < 0x1p-30 ? 0x1.c5bf891b4ef6bp-1 * a : y;
    y = a == 1 ? MT_INF_F64 : y;
    y = a > 1 ? MT_NAN_F64 : y;
    return mt_copysign_f64(y, x);
}

/* The inverse of the normal distribution function: with q = 2 min(x, 1 - x), sqrt(2) times the
 * root of erfc(y) = q, which for tiny q is a polynomial of 1 / sqrt(w) first. */
MT_INLINE double
mt_ndtri_f64(double x)
{
    uint64_t above = mt_sign_mask_f64(0.5 - x);
    double q = 2 * mt_blend_f64(above, 1 - x, x);
    double w = -mt_log_f64(q * (2 - q)), root = __builtin_sqrt(w);
    uint64_t tail = mt_sign_mask_f64(5 - w), far = mt_sign_mask_f64(16.8 - w);
    double t = mt_blend_f64(tail, root - 3, w - 2.5), v = 1 / root;
    /* erfinv_tail, erfinv_start */
    double s = mt_blend_f64(tail, -0x1.4f2686c4261c2p-13, 0x1.ea562e9eeacf3p-26);
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.5a352eaaf7cf3p-14, 0x1.711b578ce7c84p-22));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.52c4a47357df8p-10, -0x1.d9a4f8efe847bp-19));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, -0x1.df45b85bbefacp-9, -0x1.271621147953cp-18));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.79d91a39a6707p-8, 0x1.ca7140f7959ap-13));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, -0x1.f3cb215dca1f6p-8, -0x1.48a6cf0e32a12p-10));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.352aef65d9c38p-7, -0x1.11ca4e907da56p-8));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.006db8f908c92p+0, 0x1.f91ec5c51d4cdp-3));
    s = mt_fma_f64(s, t, mt_blend_f64(tail, 0x1.6a9efd8ec67a3p+1, 0x1.805c5e2bbe183p+0));
    double d_v2 = v * v;
    double d = -0x1.da9691b6d3b44p+12; /* erfinv_far */
    double d1 = 0x1.4d257cdee7ea7p+12;
    d = mt_fma_f64(d, d_v2, -0x1.b8fa1e1c3fd35p+10);
    d1 = mt_fma_f64(d1, d_v2, 0x1.2ae567998fcacp+12);
    d = mt_fma_f64(d, d_v2, -0x1.2a6249c3c33d6p+6);
    d1 = mt_fma_f64(d1, d_v2, 0x1.ac2807ad1d27cp+8);
    d = mt_fma_f64(d, d_v2, -0x1.9f4a110acee59p+0);
    d1 = mt_fma_f64(d1, d_v2, 0x1.602a9824b1b19p+3);
    d = mt_fma_f64(d, d_v2, 0x1.00045679921ccp+0);
    d1 = mt_fma_f64(d1, d_v2, -0x1.9ae203492e065p-7);
    d = mt_fma_f64(d1, v, d);
    double y = mt_erfinv_step_f64(mt_blend_f64(far, d * root, s * (1 - q)), q, 1 - q);
    y = q == 0 ? MT_INF_F64 : 0x1.6a09e667f3bcdp+0 * y;
    return mt_copysign_f64(y, x - 0.5); /* NaN for q < 0, through its logarithm */
}

MT_INLINE float mt_ndtri_f32(float x) { return (float)mt_ndtri_f64(x); }
MT_INLINE float mt_log_ndtr_f32(float x) { return (float)mt_log_ndtr_f64(x); }
