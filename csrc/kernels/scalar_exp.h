/* The exponential family. Included by scalar.h.
 *
 * Results for arguments out of range are selected at the end and not by holding x within bounds at
 * the start: a compiler follows a constant from there into a second copy of everything.
 *
 * exp(x) = 2^n exp(r) with n = x / ln 2 rounded and |r| <= ln 2 / 2, where exp(r) - 1 is a
 * polynomial without cancellation. The power of two goes on in two factors, so that results below
 * the normal range are rounded once and overflow happens by itself. */
#pragma once

/* x - n ln 2; ln 2 in two parts, the first short enough for exact products. */
MT_INLINE float
mt_exp_reduce_f32(float x, float *n)
{
    *n = mt_round_f32(x * 0x1.715476p+0f);
    float r = mt_fma_f32(*n, -0x1.62e4p-1f, x);
    return mt_fma_f32(*n, -0x1.7f7d1cp-20f, r);
}

MT_INLINE double
mt_exp_reduce_f64(double x, double *n)
{
    *n = mt_round_f64(x * 0x1.71547652b82fep+0);
    double r = mt_fma_f64(*n, -0x1.62e42fefa38p-1, x);
    return mt_fma_f64(*n, -0x1.ef35793c7673p-45, r);
}

/* exp(r) - 1 for |r| <= ln 2 / 2. */
MT_INLINE float
mt_expm1_reduced_f32(float r)
{
    float p = 0x1.6a53d2p-10f; /* exp_f32 */
    p = mt_fma_f32(p, r, 0x1.12397ap-7f);
    p = mt_fma_f32(p, r, 0x1.5558aap-5f);
    p = mt_fma_f32(p, r, 0x1.555492p-3f);
    p = mt_fma_f32(p, r, 0x1.fffffcp-2f);
    return mt_fma_f32(r * r, p, r);
}

MT_INLINE double
mt_expm1_reduced_f64(double r)
{
    double p_r2 = r * r;
    double p = 0x1.28adfb4f099dp-22; /* exp_f64 */
    double p1 = 0x1.ad90709b127bbp-26;
    p = mt_fma_f64(p, p_r2, 0x1.a019995f47604p-16);
    p1 = mt_fma_f64(p1, p_r2, 0x1.71df1a9d11066p-19);
    p = mt_fma_f64(p, p_r2, 0x1.6c16c1847764dp-10);
    p1 = mt_fma_f64(p1, p_r2, 0x1.a01a012f14e12p-13);
    p = mt_fma_f64(p, p_r2, 0x1.55555555506b9p-5);
    p1 = mt_fma_f64(p1, p_r2, 0x1.1111111126e41p-7);
    p = mt_fma_f64(p, p_r2, 0x1.000000000000ap-1);
    p1 = mt_fma_f64(p1, p_r2, 0x1.55555555554fdp-3);
    p = mt_fma_f64(p1, r, p);
    return mt_fma_f64(r * r, p, r);
}

/* y * 2^n for |n| up to twice the exponent range. */
MT_INLINE float
mt_scale_f32(float y, float n)
{
    float half = mt_round_f32(n * 0.5f);
    return y * mt_power2_f32(half) * mt_power2_f32(n - half);
}

MT_INLINE double
mt_scale_f64(double y, double n)
{
    double half = mt_round_f64(n * 0.5);
    return y * mt_power2_f64(half) * mt_power2_f64(n - half);
}

MT_INLINE float
mt_exp_f32(float x)
{
    float n, r = mt_exp_reduce_f32(x, &n);
    float y = mt_scale_f32(1 + mt_expm1_reduced_f32(r), n);
    y = x > 89.0f ? MT_INF_F32 : y;
    return x < -104.0f ? 0.0f : y;
}

MT_INLINE double
mt_exp_f64(double x)
{
    double n, r = mt_exp_reduce_f64(x, &n);
    double y = mt_scale_f64(1 + mt_expm1_reduced_f64(r), n);
    y = x > 710.0 ? MT_INF_F64 : y;
    return x < -746.0 ? 0.0 : y;
}

/* exp(x) for |x| < 700, in double to the precision of float. */
MT_INLINE double
mt_exp_lite(double x)
{
    double n, r = mt_exp_reduce_f64(x, &n);
    double p = 0x1.9f0a4e66ddb93p-13; /* exp_lite */
    p = mt_fma_f64(p, r, 0x1.6d8ce3da89962p-10);
    p = mt_fma_f64(p, r, 0x1.11126f1e2ad04p-7);
    p = mt_fma_f64(p, r, 0x1.55548dee5a883p-5);
    p = mt_fma_f64(p, r, 0x1.555554449412bp-3);
    p = mt_fma_f64(p, r, 0x1.0000003a09405p-1);
    return (1 + mt_fma_f64(r * r, p, r)) * mt_power2_f64(n);
}

MT_INLINE float
mt_exp2_f32(float x)
{
    float n = mt_round_f32(x), r = x - n;
    float p = 0x1.4a00f2p-13f; /* exp2_f32 */
    p = mt_fma_f32(p, r, 0x1.5fb678p-10f);
    p = mt_fma_f32(p, r, 0x1.3b22e6p-7f);
    p = mt_fma_f32(p, r, 0x1.c6adb6p-5f);
    p = mt_fma_f32(p, r, 0x1.ebfbe8p-3f);
    p = mt_fma_f32(p, r, 0x1.62e432p-1f);
    float y = mt_scale_f32(mt_fma_f32(r, p, 1.0f), n);
    y = x > 129.0f ? MT_INF_F32 : y;
    return x < -151.0f ? 0.0f : y;
}

MT_INLINE double
mt_exp2_f64(double x)
{
    double n = mt_round_f64(x), r = x - n;
    double p_r2 = r * r;
    double p = 0x1.eb138a47e5093p-32; /* exp2_f64 */
    double p1 = 0x1.d6e8a586daa21p-36;
    p = mt_fma_f64(p, p_r2, 0x1.b524151182b4dp-24);
    p1 = mt_fma_f64(p1, p_r2, 0x1.e4c1f9f4f85f7p-28);
    p = mt_fma_f64(p, p_r2, 0x1.ffcbfce18bb75p-17);
    p1 = mt_fma_f64(p1, p_r2, 0x1.62c025b8a2cf2p-20);
    p = mt_fma_f64(p, p_r2, 0x1.5d87fe7887a8bp-10);
    p1 = mt_fma_f64(p1, p_r2, 0x1.430912f7998cp-13);
    p = mt_fma_f64(p, p_r2, 0x1.c6b08d704a187p-5);
    p1 = mt_fma_f64(p1, p_r2, 0x1.3b2ab6fba511fp-7);
    p = mt_fma_f64(p, p_r2, 0x1.62e42fefa39efp-1);
    p1 = mt_fma_f64(p1, p_r2, 0x1.ebfbdff82c58ep-3);
    p = mt_fma_f64(p1, r, p);
    double y = mt_scale_f64(mt_fma_f64(r, p, 1.0), n);
    y = x > 1025.0 ? MT_INF_F64 : y;
    return x < -1076.0 ? 0.0 : y;
}

/* 2^n (exp(r) - 1) + (2^n - 1), with half the power so that n = 128 needs no special case. */
MT_INLINE float
mt_expm1_f32(float x)
{
    float n, r = mt_exp_reduce_f32(x, &n);
    float half = mt_power2_f32(n - 1);
    float y = 2 * mt_fma_f32(half, mt_expm1_reduced_f32(r), half - 0.5f);
    y = mt_abs_f32(x) < 0x1p-26f ? x : y;
    y = x > 89.0f ? MT_INF_F32 : y;
    return x < -20.0f ? -1.0f : y;
}

MT_INLINE double
mt_expm1_f64(double x)
{
    double n, r = mt_exp_reduce_f64(x, &n);
    double half = mt_power2_f64(n - 1);
    double y = 2 * mt_fma_f64(half, mt_expm1_reduced_f64(r), half - 0.5);
    y = mt_abs_f64(x) < 0x1p-55 ? x : y;
    y = x > 710.0 ? MT_INF_F64 : y;
    return x < -40.0 ? -1.0 : y;
}

/* exp(-|x|), which never overflows: one power of two, too large by a constant, reaches the
 * subnormals. */
MT_INLINE float
mt_exp_neg_abs_f32(float x)
{
    float a = mt_abs_f32(x), n, r = mt_exp_reduce_f32(-a, &n);
    float y = (1 + mt_expm1_reduced_f32(r)) * mt_power2_f32(n + 32) * 0x1p-32f;
    return a > 104.0f ? 0.0f : y;
}

MT_INLINE double
mt_exp_neg_abs_f64(double x)
{
    double a = mt_abs_f64(x), n, r = mt_exp_reduce_f64(-a, &n);
    double y = (1 + mt_expm1_reduced_f64(r)) * mt_power2_f64(n + 64) * 0x1p-64;
    return a > 746.0 ? 0.0 : y;
}

/* 1 + exp(-x) = 2^n + (1 + 2^n (exp(r) - 1)), where the smaller part is the one rounded twice; all
 * by halves, so that n = 128 needs no special case. Infinite where exp(-x) overflows. */
MT_INLINE float
mt_one_plus_exp_neg_f32(float x)
{
    float n = mt_round_f32(x * -0x1.715476p+0f), r = mt_fma_f32(n, -0x1.62e4p-1f, -x);
    r = mt_fma_f32(n, -0x1.7f7d1cp-20f, r);
    float half = mt_power2_f32(n - 1);
    float y = 2 * (half + mt_fma_f32(half, mt_expm1_reduced_f32(r), 0.5f));
    y = x > 87.0f ? 1.0f : y;
    return x < -89.0f ? MT_INF_F32 : y;
}

MT_INLINE double
mt_one_plus_exp_neg_f64(double x)
{
    double n = mt_round_f64(x * -0x1.71547652b82fep+0), r = mt_fma_f64(n, -0x1.62e42fefa38p-1, -x);
    r = mt_fma_f64(n, -0x1.ef35793c7673p-45, r);
    double half = mt_power2_f64(n - 1);
    double y = 2 * (half + mt_fma_f64(half, mt_expm1_reduced_f64(r), 0.5));
    y = x > 708.0 ? 1.0 : y;
    return x < -710.0 ? MT_INF_F64 : y;
}

MT_INLINE float mt_sigmoid_f32(float x) { return 1 / mt_one_plus_exp_neg_f32(x); }
MT_INLINE double mt_sigmoid_f64(double x) { return 1 / mt_one_plus_exp_neg_f64(x); }
MT_INLINE float mt_silu_f32(float x) { return x / mt_one_plus_exp_neg_f32(x); }
MT_INLINE double mt_silu_f64(double x) { return x / mt_one_plus_exp_neg_f64(x); }

/* An odd polynomial up to 0.55, from there 1 - 2 / (1 + exp(2|x|)). */
MT_INLINE float
mt_tanh_f32(float x)
{
    float a = mt_abs_f32(x), z = x * x;
    float p = -0x1.9cb226p-8f; /* tanh_f32 */
    p = mt_fma_f32(p, z, 0x1.598732p-6f);
    p = mt_fma_f32(p, z, -0x1.b93278p-5f);
    p = mt_fma_f32(p, z, 0x1.110d6cp-3f);
    p = mt_fma_f32(p, z, -0x1.55554cp-2f);
    float small = mt_fma_f32(a * z, p, a);
    float n, r = mt_exp_reduce_f32(2 * a, &n), power = mt_power2_f32(n);
    float y = 1 - 2 / mt_fma_f32(power, mt_expm1_reduced_f32(r), 1 + power);
    y = a < 0.55f ? small : y;
    y = a > 10.0f ? 1.0f : y;
    return mt_copysign_f32(y, x);
}

MT_INLINE double
mt_tanh_f64(double x)
{
    double a = mt_abs_f64(x), z = x * x;
    double p_z2 = z * z;
    double p = -0x1.47546072ddaf1p-16; /* tanh_f64 */
    double p1 = 0x1.5d8f7ebb27bp-14;
    p = mt_fma_f64(p, p_z2, -0x1.e9792791e902fp-13);
    p1 = mt_fma_f64(p1, p_z2, 0x1.348496c84ec6bp-11);
    p = mt_fma_f64(p, p_z2, -0x1.7d8fef28e2833p-10);
    p1 = mt_fma_f64(p1, p_z2, 0x1.d6d29da1fb543p-9);
    p = mt_fma_f64(p, p_z2, -0x1.226e2f2083ea9p-7);
    p1 = mt_fma_f64(p1, p_z2, 0x1.664f4859c321ep-6);
    p = mt_fma_f64(p, p_z2, -0x1.ba1ba1b97ea27p-5);
    p1 = mt_fma_f64(p1, p_z2, 0x1.11111111107a7p-3);
    p = mt_fma_f64(p, p_z2, -0x1.555555555554fp-2);
    p = mt_fma_f64(p1, z, p);
    double small = mt_fma_f64(a * z, p, a);
    double n, r = mt_exp_reduce_f64(2 * a, &n), power = mt_power2_f64(n);
    double y = 1 - 2 / mt_fma_f64(power, mt_expm1_reduced_f64(r), 1 + power);
    y = a < 0.55 ? small : y;
    y = a > 20.0 ? 1.0 : y;
    return mt_copysign_f64(y, x);
}

/* exp(x) / 2 for x >= 0, up to where cosh overflows. */
MT_INLINE float
mt_half_exp_f32(float x)
{
    float n, r = mt_exp_reduce_f32(x, &n);
    float y = mt_scale_f32(1 + mt_expm1_reduced_f32(r), n - 1);
    return x > 91.0f ? MT_INF_F32 : y;
}

MT_INLINE double
mt_half_exp_f64(double x)
{
    double n, r = mt_exp_reduce_f64(x, &n);
    double y = mt_scale_f64(1 + mt_expm1_reduced_f64(r), n - 1);
    return x > 712.0 ? MT_INF_F64 : y;
}

MT_INLINE float
mt_sinh_f32(float x)
{
    float a = mt_abs_f32(x), z = x * x;
    float p = 0x1.76ac86p-19f; /* sinh_f32 */
    p = mt_fma_f32(p, z, 0x1.a01adp-13f);
    p = mt_fma_f32(p, z, 0x1.1110ecp-7f);
    p = mt_fma_f32(p, z, 0x1.555556p-3f);
    float small = mt_fma_f32(x * z, p, x), e = mt_half_exp_f32(a);
    return a < 1.0f ? small : mt_copysign_f32(e - 0.25f / e, x);
}

MT_INLINE double
mt_sinh_f64(double x)
{
    double a = mt_abs_f64(x), z = x * x;
    double p = 0x1.b52e4e9f06215p-41; /* sinh_f64 */
    p = mt_fma_f64(p, z, 0x1.6118e0b53fab2p-33);
    p = mt_fma_f64(p, z, 0x1.ae646b4ab260fp-26);
    p = mt_fma_f64(p, z, 0x1.71de3a4058c94p-19);
    p = mt_fma_f64(p, z, 0x1.a01a01a0318bfp-13);
    p = mt_fma_f64(p, z, 0x1.111111111104p-7);
    p = mt_fma_f64(p, z, 0x1.5555555555556p-3);
    double small = mt_fma_f64(x * z, p, x), e = mt_half_exp_f64(a);
    return a < 1.0 ? small : mt_copysign_f64(e - 0.25 / e, x);
}

MT_INLINE float
mt_cosh_f32(float x)
{
    float e = mt_half_exp_f32(mt_abs_f32(x));
    return e + 0.25f / e;
}

MT_INLINE double
mt_cosh_f64(double x)
{
    double e = mt_half_exp_f64(mt_abs_f64(x));
    return e + 0.25 / e;
}
