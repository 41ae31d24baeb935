/* The logarithms and what is made of them. Included by scalar.h.
 *
 * x = 2^k m with m in [2/3, 4/3), so that f = m - 1 is exact and |f| <= 1/3; log(x) = k ln 2 +
 * log(1 + f). In float log(1 + f) is a polynomial; in double it goes through s = f / (2 + f), with
 * log(1 + f) = 2 s + s^3 R(s^2) = f - (f^2/2 - s (f^2/2 + s^2 R(s^2))), which keeps f exact. */
#pragma once

/* k and f of a positive normal x. */
MT_INLINE float
mt_log_reduce_f32(float x, float *k)
{
    uint32_t i = mt_float_bits(x) - 0x3f2aaaab; /* bits of 2/3 */
    *k = (float)((int32_t)i >> 23);
    return mt_bits_float((i & 0x7fffff) + 0x3f2aaaab) - 1;
}

/* Without a shift that keeps the sign and without a conversion from 64 bits, which AVX2 lacks. */
MT_INLINE double
mt_log_reduce_f64(double x, double *k)
{
    uint64_t i = mt_double_bits(x) + (0x3ff0000000000000 - 0x3fe5555555555555); /* 1 and 2/3 */
    *k = mt_bits_double((i >> 52) | 0x4330000000000000) - (0x1p52 + 1023);
    return mt_bits_double((i & 0xfffffffffffff) + 0x3fe5555555555555) - 1;
}

/* log(1 + f) for |f| <= 1/3. */
MT_INLINE float
mt_log1p_reduced_f32(float f)
{
    float z = f * f;
    float p_f2 = f * f;
    float p = 0x1.1e736cp-3f; /* log_f32 */
    float p1 = -0x1.0826f2p-3f;
    p = mt_fma_f32(p, p_f2, 0x1.1ed428p-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.f3025p-4f);
    p = mt_fma_f32(p, p_f2, 0x1.99d05ep-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.559e4cp-3f);
    p = mt_fma_f32(p, p_f2, 0x1.555506p-2f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.fffeeep-3f);
    p = mt_fma_f32(p1, f, p);
    return f + mt_fma_f32(f * z, p, -0.5f * z);
}

MT_INLINE double
mt_log1p_reduced_f64(double f)
{
    double s = f / (2 + f), z = s * s, half = 0.5 * f * f;
    double p = 0x1.3abba0320ab0dp-3; /* log_f64 */
    p = mt_fma_f64(p, z, 0x1.38532b71d3d33p-3);
    p = mt_fma_f64(p, z, 0x1.7474de779a12cp-3);
    p = mt_fma_f64(p, z, 0x1.c71c017f1d1c4p-3);
    p = mt_fma_f64(p, z, 0x1.249249b1f8b5p-2);
    p = mt_fma_f64(p, z, 0x1.99999998f0fc7p-2);
    p = mt_fma_f64(p, z, 0x1.5555555555775p-1);
    return f - (half - s * mt_fma_f64(z, p, half));
}

/* The same in double to the precision of float, some 2^-34. */
MT_INLINE double
mt_log1p_reduced_lite(double f)
{
    double s = f / (2 + f), z = s * s;
    double p = 0x1.ed8910361707p-3; /* log_lite */
    p = mt_fma_f64(p, z, 0x1.23e9bcfe3f2e1p-2);
    p = mt_fma_f64(p, z, 0x1.999bdb487d0cep-2);
    p = mt_fma_f64(p, z, 0x1.5555542279c76p-1);
    return mt_fma_f64(s * z, p, 2 * s);
}

/* What a logarithm gives for 0, negative numbers, infinity and NaN. */
MT_INLINE float
mt_log_special_f32(float x, float y)
{
    y = x < MT_INF_F32 ? y : x;
    float low = x == 0 ? -MT_INF_F32 : MT_NAN_F32;
    return x > 0 ? y : low;
}

MT_INLINE double
mt_log_special_f64(double x, double y)
{
    y = x < MT_INF_F64 ? y : x;
    double low = x == 0 ? -MT_INF_F64 : MT_NAN_F64;
    return x > 0 ? y : low;
}

/* k and f of any positive x: subnormals are scaled up first. */
MT_INLINE float
mt_log_split_f32(float x, float *k)
{
    uint32_t tiny = mt_sign_mask_f32(x - 0x1p-126f);
    float f = mt_log_reduce_f32(x * mt_blend_f32(tiny, 0x1p24f, 1.0f), k);
    *k -= mt_blend_f32(tiny, 24.0f, 0.0f);
    return f;
}

MT_INLINE double
mt_log_split_f64(double x, double *k)
{
    uint64_t tiny = mt_sign_mask_f64(x - 0x1p-1022);
    double f = mt_log_reduce_f64(x * mt_blend_f64(tiny, 0x1p54, 1.0), k);
    *k -= mt_blend_f64(tiny, 54.0, 0.0);
    return f;
}

MT_INLINE float
mt_log_f32(float x)
{
    float k, f = mt_log_split_f32(x, &k), z = f * f;
    float p_f2 = f * f;
    float p = 0x1.1e736cp-3f; /* log_f32 */
    float p1 = -0x1.0826f2p-3f;
    p = mt_fma_f32(p, p_f2, 0x1.1ed428p-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.f3025p-4f);
    p = mt_fma_f32(p, p_f2, 0x1.99d05ep-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.559e4cp-3f);
    p = mt_fma_f32(p, p_f2, 0x1.555506p-2f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.fffeeep-3f);
    p = mt_fma_f32(p1, f, p);
    float low = mt_fma_f32(k, 0x1.7f7d1cp-20f, mt_fma_f32(f * z, p, -0.5f * z));
    return mt_log_special_f32(x, mt_fma_f32(k, 0x1.62e4p-1f, f + low));
}

MT_INLINE double
mt_log_f64(double x)
{
    double k, f = mt_log_split_f64(x, &k), s = f / (2 + f), z = s * s, half = 0.5 * f * f;
    double p = 0x1.3abba0320ab0dp-3; /* log_f64 */
    p = mt_fma_f64(p, z, 0x1.38532b71d3d33p-3);
    p = mt_fma_f64(p, z, 0x1.7474de779a12cp-3);
    p = mt_fma_f64(p, z, 0x1.c71c017f1d1c4p-3);
    p = mt_fma_f64(p, z, 0x1.249249b1f8b5p-2);
    p = mt_fma_f64(p, z, 0x1.99999998f0fc7p-2);
    p = mt_fma_f64(p, z, 0x1.5555555555775p-1);
    double low = mt_fma_f64(s, mt_fma_f64(z, p, half), k * 0x1.ef35793c7673p-45);
    return mt_log_special_f64(x, mt_fma_f64(k, 0x1.62e42fefa38p-1, f - (half - low)));
}

/* log(1 + f) is multiplied by 1 / ln 2 or 1 / ln 10 in two parts; k is exact for base 2, and
 * k log10(2) again has an exact first part. */
MT_INLINE float
mt_log2_f32(float x)
{
    float k, f = mt_log_split_f32(x, &k), z = f * f;
    float p_f2 = f * f;
    float p = 0x1.1e736cp-3f; /* log_f32 */
    float p1 = -0x1.0826f2p-3f;
    p = mt_fma_f32(p, p_f2, 0x1.1ed428p-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.f3025p-4f);
    p = mt_fma_f32(p, p_f2, 0x1.99d05ep-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.559e4cp-3f);
    p = mt_fma_f32(p, p_f2, 0x1.555506p-2f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.fffeeep-3f);
    p = mt_fma_f32(p1, f, p);
    float low = mt_fma_f32(f * z, p, -0.5f * z), l = f + low, l_lo = low - (l - f);
    low = mt_fma_f32(l, 0x1.4ae0cp-26f, l_lo * 0x1.715476p+0f);
    return mt_log_special_f32(x, k + mt_fma_f32(l, 0x1.715476p+0f, low));
}

MT_INLINE double
mt_log2_f64(double x)
{
    double k, f = mt_log_split_f64(x, &k), s = f / (2 + f), z = s * s, half = 0.5 * f * f;
    double p = 0x1.3abba0320ab0dp-3; /* log_f64 */
    p = mt_fma_f64(p, z, 0x1.38532b71d3d33p-3);
    p = mt_fma_f64(p, z, 0x1.7474de779a12cp-3);
    p = mt_fma_f64(p, z, 0x1.c71c017f1d1c4p-3);
    p = mt_fma_f64(p, z, 0x1.249249b1f8b5p-2);
    p = mt_fma_f64(p, z, 0x1.99999998f0fc7p-2);
    p = mt_fma_f64(p, z, 0x1.5555555555775p-1);
    double low = s * mt_fma_f64(z, p, half) - half, l = f + low, l_lo = low - (l - f);
    low = mt_fma_f64(l, 0x1.777d0ffda0d24p-56, l_lo * 0x1.71547652b82fep+0);
    return mt_log_special_f64(x, k + mt_fma_f64(l, 0x1.71547652b82fep+0, low));
}

MT_INLINE float
mt_log10_f32(float x)
{
    float k, f = mt_log_split_f32(x, &k), l = mt_log1p_reduced_f32(f);
    float low = mt_fma_f32(l, -0x1.5b235ep-27f, k * -0x1.95ec1p-19f);
    float y = mt_fma_f32(k, 0x1.3442p-2f, mt_fma_f32(l, 0x1.bcb7b2p-2f, low));
    return mt_log_special_f32(x, y);
}

MT_INLINE double
mt_log10_f64(double x)
{
    double k, f = mt_log_split_f64(x, &k), l = mt_log1p_reduced_f64(f);
    double low = mt_fma_f64(l, 0x1.95355baaafad3p-57, k * 0x1.fef311f12b358p-46);
    double y = mt_fma_f64(k, 0x1.34413509f78p-2, mt_fma_f64(l, 0x1.bcb7b1526e50ep-2, low));
    return mt_log_special_f64(x, y);
}

/* u = 1 + x loses c, which joins f again, scaled like it. For |x| <= 1/3 that makes f = x. */
MT_INLINE float
mt_log1p_f32(float x)
{
    float u = 1 + x, up = u - 1, c = (x - up) + (1 - (u - up));
    float k, f = mt_log_reduce_f32(u, &k);
    f = mt_fma_f32(c, mt_power2_f32(k > 126.0f ? -126.0f : -k), f);
    float z = f * f;
    float p_f2 = f * f;
    float p = 0x1.1e736cp-3f; /* log_f32 */
    float p1 = -0x1.0826f2p-3f;
    p = mt_fma_f32(p, p_f2, 0x1.1ed428p-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.f3025p-4f);
    p = mt_fma_f32(p, p_f2, 0x1.99d05ep-3f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.559e4cp-3f);
    p = mt_fma_f32(p, p_f2, 0x1.555506p-2f);
    p1 = mt_fma_f32(p1, p_f2, -0x1.fffeeep-3f);
    p = mt_fma_f32(p1, f, p);
    float low = mt_fma_f32(k, 0x1.7f7d1cp-20f, mt_fma_f32(f * z, p, -0.5f * z));
    float y = mt_log_special_f32(u, mt_fma_f32(k, 0x1.62e4p-1f, f + low));
    return mt_abs_f32(x) < 0x1p-26f ? x : y;
}

MT_INLINE double
mt_log1p_f64(double x)
{
    double u = 1 + x, up = u - 1, c = (x - up) + (1 - (u - up));
    double k, f = mt_log_reduce_f64(u, &k);
    f = mt_fma_f64(c, mt_power2_f64(k > 1022.0 ? -1022.0 : -k), f);
    double s = f / (2 + f), z = s * s, half = 0.5 * f * f;
    double p = 0x1.3abba0320ab0dp-3; /* log_f64 */
    p = mt_fma_f64(p, z, 0x1.38532b71d3d33p-3);
    p = mt_fma_f64(p, z, 0x1.7474de779a12cp-3);
    p = mt_fma_f64(p, z, 0x1.c71c017f1d1c4p-3);
    p = mt_fma_f64(p, z, 0x1.249249b1f8b5p-2);
    p = mt_fma_f64(p, z, 0x1.99999998f0fc7p-2);
    p = mt_fma_f64(p, z, 0x1.5555555555775p-1);
    double low = mt_fma_f64(s, mt_fma_f64(z, p, half), k * 0x1.ef35793c7673p-45);
    double y = mt_fma_f64(k, 0x1.62e42fefa38p-1, f - (half - low));
    y = mt_log_special_f64(u, y);
    return mt_abs_f64(x) < 0x1p-55 ? x : y;
}

/* Lite forms for the functions of float that compute in double. x must be positive and normal as a
 * double, which every float is; 1 + x as well. */
MT_INLINE double
mt_log_lite(double x)
{
    double k, f = mt_log_reduce_f64(x, &k);
    return mt_fma_f64(k, 0x1.62e42fefa39efp-1, mt_log1p_reduced_lite(f));
}

MT_INLINE double
mt_log1p_lite(double x)
{
    double u = 1 + x, k, f = mt_log_reduce_f64(u, &k), c = x - (u - 1);
    f = mt_fma_f64(c, mt_power2_f64(-k), f);
    return mt_fma_f64(k, 0x1.62e42fefa39efp-1, mt_log1p_reduced_lite(f));
}

/* log(x / (1 - x)). The quotient's own error c counts near x = 1/2, where the logarithm is small
 * (k is 0 or -1). */
MT_INLINE float
mt_logit_f32(float x)
{
    float d = 1 - x, d_lo = (1 - d) - x, q = x / d, product_lo;
    float product = mt_two_product_f32(q, d, &product_lo);
    float c = (((x - product) - product_lo) - q * d_lo) / d;
    float k, f = mt_log_split_f32(q, &k);
    f = mt_abs_f32(k) < 2 ? mt_fma_f32(c, mt_power2_f32(-k), f) : f;
    float y = mt_fma_f32(k, 0x1.62e4p-1f, mt_fma_f32(k, 0x1.7f7d1cp-20f, mt_log1p_reduced_f32(f)));
    return mt_log_special_f32(q, y);
}

MT_INLINE double
mt_logit_f64(double x)
{
    double d = 1 - x, d_lo = (1 - d) - x, q = x / d, product_lo;
    double product = mt_two_product_f64(q, d, &product_lo);
    double c = (((x - product) - product_lo) - q * d_lo) / d;
    double k, f = mt_log_split_f64(q, &k);
    f = mt_abs_f64(k) < 2 ? mt_fma_f64(c, mt_power2_f64(-k), f) : f;
    double y = mt_fma_f64(k, 0x1.62e42fefa38p-1,
                          mt_fma_f64(k, 0x1.ef35793c7673p-45, mt_log1p_reduced_f64(f)));
    return mt_log_special_f64(q, y);
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + e), where e = exp(-|x|) lies in [0, 1]; for large e,
 * log(1 + e) = log 2 + log(1 + (e - 1) / 2). */
MT_INLINE float
mt_log1p_exp_neg_abs_f32(float x)
{
    float e = mt_exp_neg_abs_f32(x);
    uint32_t large = mt_sign_mask_f32(0x1.555556p-2f - e);
    float y = mt_log1p_reduced_f32(mt_blend_f32(large, 0.5f * e - 0.5f, e));
    y += mt_blend_f32(large, 0x1.62e43p-1f, 0.0f);
    return y;
}

MT_INLINE double
mt_log1p_exp_neg_abs_f64(double x)
{
    double e = mt_exp_neg_abs_f64(x);
    uint64_t large = mt_sign_mask_f64(0.5 - e);
    double y = mt_log1p_reduced_f64(mt_blend_f64(large, 0.5 * e - 0.5, e));
    y += mt_blend_f64(large, 0x1.62e42fefa39efp-1, 0.0);
    return y;
}

MT_INLINE float
mt_log1p_exp_f32(float x)
{
    return (x > 0 ? x : 0.0f) + mt_log1p_exp_neg_abs_f32(x);
}

MT_INLINE double
mt_log1p_exp_f64(double x)
{
    return (x > 0 ? x : 0.0) + mt_log1p_exp_neg_abs_f64(x);
}

MT_INLINE float
mt_log_sigmoid_f32(float x)
{
    return (x < 0 ? x : 0.0f) - mt_log1p_exp_neg_abs_f32(x);
}

MT_INLINE double
mt_log_sigmoid_f64(double x)
{
    return (x < 0 ? x : 0.0) - mt_log1p_exp_neg_abs_f64(x);
}

/* torch.nn.functional.softplus: the identity above the threshold. */
MT_INLINE float
mt_softplus_f32(float x, float beta, float threshold)
{
    float y = mt_log1p_exp_f32(x * beta) / beta;
    return x * beta > threshold ? x : y;
}

MT_INLINE double
mt_softplus_f64(double x, double beta, double threshold)
{
    double y = mt_log1p_exp_f64(x * beta) / beta;
    return x * beta > threshold ? x : y;
}


/* x tanh(softplus(x)); with e = exp(x), tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2). */
MT_INLINE float
mt_mish_f32(float x)
{
    float e = mt_exp_f32(x), t = e * (e + 2);
    float y = x * (t / (t + 2));
    return x > 20.0f ? x : y;
}

MT_INLINE double
mt_mish_f64(double x)
{
    double e = mt_exp_f64(x), t = e * (e + 2);
    double y = x * (t / (t + 2));
    return x > 40.0 ? x : y;
}

/* sign(x) log(a + sqrt(a^2 + 1)) of a = |x|, where log1p takes a + a^2 / (1 + sqrt(1 + a^2)). */
MT_INLINE float
mt_asinh_f32(float x)
{
    double a = mt_abs_f64(x), z = a * a;
    float y = (float)mt_log1p_lite(a + z / (1 + __builtin_sqrt(1 + z)));
    y = a < MT_INF_F64 ? y : (float)a;
    return mt_copysign_f32(y, x);
}

MT_INLINE double
mt_asinh_f64(double x)
{
    double a = mt_abs_f64(x), z = a * a;
    uint64_t large = mt_sign_mask_f64(0x1p60 - a);
    double y = mt_log1p_f64(mt_blend_f64(large, a, a + z / (1 + __builtin_sqrt(1 + z))));
    return mt_copysign_f64(y + mt_blend_f64(large, 0x1.62e42fefa39efp-1, 0.0), x);
}

/* log(x + sqrt(x^2 - 1)) with t = x - 1, which is exact where it is small. */
MT_INLINE float
mt_acosh_f32(float x)
{
    double t = (double)x - 1;
    float y = (float)mt_log1p_lite(t + __builtin_sqrt(t * (t + 2)));
    y = x < MT_INF_F32 ? y : x;
    return x < 1 ? MT_NAN_F32 : y;
}

MT_INLINE double
mt_acosh_f64(double x)
{
    double t = x - 1;
    uint64_t large = mt_sign_mask_f64(0x1p60 - x);
    double y = mt_log1p_f64(mt_blend_f64(large, x, t + __builtin_sqrt(t * (t + 2))));
    y += mt_blend_f64(large, 0x1.62e42fefa39efp-1, 0.0);
    return x < 1 ? MT_NAN_F64 : y;
}

/* log((1 + a) / (1 - a)) / 2 of a = |x|. */
MT_INLINE float
mt_atanh_f32(float x)
{
    float a = mt_abs_f32(x);
    return mt_copysign_f32(0.5f * mt_log1p_f32(2 * a / (1 - a)), x);
}

MT_INLINE double
mt_atanh_f64(double x)
{
    double a = mt_abs_f64(x);
    return mt_copysign_f64(0.5 * mt_log1p_f64(2 * a / (1 - a)), x);
}

/* x log(y), and 0 for x = 0 whatever log(y) may be, except where y is NaN. */
MT_INLINE float
mt_xlogy_f32(float x, float y)
{
    float product = x * mt_log_f32(y);
    product = x == 0 ? 0.0f : product;
    return y != y ? y : product;
}

MT_INLINE double
mt_xlogy_f64(double x, double y)
{
    double product = x * mt_log_f64(y);
    product = x == 0 ? 0.0 : product;
    return y != y ? y : product;
}

MT_INLINE float
mt_xlog1py_f32(float x, float y)
{
    float product = x * mt_log1p_f32(y);
    product = x == 0 ? 0.0f : product;
    return y != y ? y : product;
}

MT_INLINE double
mt_xlog1py_f64(double x, double y)
{
    double product = x * mt_log1p_f64(y);
    product = x == 0 ? 0.0 : product;
    return y != y ? y : product;
}

/* ---- pow ---- */

/* What the sign of x and the special values make of |x|^y, which is `y_power`. The rules are those
 * of C's Annex F. Numbers from 2^52 are integers, from 2^53 even ones. */
MT_INLINE double
mt_pow_special_f64(double x, double y, double y_power)
{
    double a = mt_abs_f64(y), h = 0.5 * a;
    bool whole = a >= 0x1p52 || (a + 0x1p52) - 0x1p52 == a;
    bool odd = whole && a < 0x1p53 && (h + 0x1p52) - 0x1p52 != h;
    double negative = odd ? -y_power : y_power;
    negative = !whole && x < 0 && x > -MT_INF_F64 ? MT_NAN_F64 : negative;
    double result = mt_copysign_f64(1.0, x) < 0 ? negative : y_power;
    result = x != x || y != y ? x + y : result;
    bool one = x == 1 || y == 0 || (x == -1 && a == MT_INF_F64);
    return one ? 1.0 : result;
}

/* exp2(y log2 |x|) in double. */
MT_INLINE float
mt_pow_f32(float x, float y)
{
    double a = mt_abs_f64(x), k, f = mt_log_reduce_f64(a, &k);
    double l = mt_fma_f64(mt_log1p_reduced_lite(f), 0x1.71547652b82fep+0, k);
    double t = y * mt_log_special_f64(a, l);
    double n = mt_round_f64(t), r = t - n;
    double p = 0x1.c03de9ab6926fp-17; /* exp2_lite */
    p = mt_fma_f64(p, r, 0x1.443f78c90c181p-13);
    p = mt_fma_f64(p, r, 0x1.5dc0548744b6cp-10);
    p = mt_fma_f64(p, r, 0x1.3b2a1c18c4a07p-7);
    p = mt_fma_f64(p, r, 0x1.c6b05522a4c51p-5);
    p = mt_fma_f64(p, r, 0x1.ebfbe0454f232p-3);
    p = mt_fma_f64(p, r, 0x1.62e4300b93b27p-1);
    double power = mt_fma_f64(r, p, 1.0) * mt_power2_f64(n);
    power = t > 200.0 ? MT_INF_F64 : power;
    power = t < -200.0 ? 0.0 : power;
    return (float)mt_pow_special_f64(x, y, power);
}

/* The logarithm needs some 65 bits, since y multiplies its error by up to 745: it is a sum of two
 * doubles, made of s = f / (2 + f) and s^3 (2/3 + ...) that are such sums themselves. */
MT_INLINE double
mt_pow_f64(double x, double y)
{
    double a = mt_abs_f64(x), k, f = mt_log_split_f64(a, &k);
    double d = 2 + f, d_lo = f - (d - 2), product_lo;
    double s = f / d, product = mt_two_product_f64(s, d, &product_lo);
    double s_lo = (((f - product) - product_lo) - s * d_lo) / d;
    double z_lo, z = mt_two_product_f64(s, s, &z_lo);
    z_lo = mt_fma_f64(2 * s, s_lo, z_lo);
    double p_z2 = z * z;
    double p = 0x1.dad2fe80993e7p-4; /* pow_f64 */
    double p1 = 0x1.017597579cd56p-3;
    p = mt_fma_f64(p, p_z2, 0x1.3b12992913511p-3);
    p1 = mt_fma_f64(p1, p_z2, 0x1.113a0262125a3p-3);
    p = mt_fma_f64(p, p_z2, 0x1.c71c71bc78c36p-3);
    p1 = mt_fma_f64(p1, p_z2, 0x1.745d1bc27b08fp-3);
    p = mt_fma_f64(p, p_z2, 0x1.9999999999968p-2);
    p1 = mt_fma_f64(p1, p_z2, 0x1.2492492498d39p-2);
    p = mt_fma_f64(p1, z, p);
    double c_lo, c = mt_fast_two_sum_f64(0x1.5555555555555p-1, z * p, &c_lo); /* 2/3 */
    c_lo += 0x1.5555555555555p-55;
    double cube_lo, cube = mt_two_product_f64(z, s, &cube_lo);
    cube_lo += mt_fma_f64(z, s_lo, z_lo * s);
    double q_lo, q = mt_two_product_f64(cube, c, &q_lo);
    q_lo += mt_fma_f64(cube, c_lo, cube_lo * c);
    double l1, l2, l = mt_two_sum_f64(k * 0x1.62e42fefa38p-1, 2 * s, &l1);
    l = mt_two_sum_f64(l, q, &l2);
    double l_lo = mt_fma_f64(k, 0x1.ef35793c7673p-45, l1 + l2 + (2 * s_lo + q_lo));
    l = mt_fast_two_sum_f64(l, l_lo, &l_lo);

    double l_special = mt_log_special_f64(a, l);
    double t_lo, t = mt_two_product_f64(y, l, &t_lo);
    t_lo = mt_fma_f64(y, l_lo, t_lo);
    double n = mt_round_f64(t * 0x1.71547652b82fep+0), r_hi = mt_fma_f64(n, -0x1.62e42fefa38p-1, t);
    double r_lo, r = mt_two_sum_f64(r_hi, mt_fma_f64(n, -0x1.ef35793c7673p-45, t_lo), &r_lo);
    double e_r2 = r * r;
    double e = 0x1.28adfb4f099dp-22; /* exp_f64 */
    double e1 = 0x1.ad90709b127bbp-26;
    e = mt_fma_f64(e, e_r2, 0x1.a019995f47604p-16);
    e1 = mt_fma_f64(e1, e_r2, 0x1.71df1a9d11066p-19);
    e = mt_fma_f64(e, e_r2, 0x1.6c16c1847764dp-10);
    e1 = mt_fma_f64(e1, e_r2, 0x1.a01a012f14e12p-13);
    e = mt_fma_f64(e, e_r2, 0x1.55555555506b9p-5);
    e1 = mt_fma_f64(e1, e_r2, 0x1.1111111126e41p-7);
    e = mt_fma_f64(e, e_r2, 0x1.000000000000ap-1);
    e1 = mt_fma_f64(e1, e_r2, 0x1.55555555554fdp-3);
    e = mt_fma_f64(e1, r, e);
    double sum = 1 + r, sum_lo = r - (sum - 1);
    double power = mt_scale_f64(sum + mt_fma_f64(r * r, e, sum_lo + r_lo), n);
    t = y * l_special;
    power = t > 710.0 ? MT_INF_F64 : power;
    power = t < -746.0 ? 0.0 : power;
    return mt_pow_special_f64(x, y, power);
}
