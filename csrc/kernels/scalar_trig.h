/* The trigonometric functions and their inverses. Included by scalar.h.
 *
 * sin, cos and tan take n quarter turns from x and leave |r| <= pi / 4. For moderate x ("easy") a
 * few steps with parts of pi / 2 do, after Cody and Waite; for others some 200 bits of 2 / pi are
 * needed, which is integer work in trig_large.c. A branch between the two would keep a loop from
 * becoming vector code, so there are two forms: mt_sin_f32 holds for every x, mt_sin_easy_f32 for
 * those that are not mt_sin_hard_f32, with the same bits. A loop first asks whether any of its
 * numbers is hard and then runs over one form or the other (GUARDED in gen/emit_loops.py). */
#pragma once

/* ---- float ---- */

/* Every half is easy. */
MT_INLINE bool mt_trig_hard_f32(float x) { return !(mt_abs_f32(x) < 0x1p17f); }

/* n, and r + r_lo. The first step is exact. */
MT_INLINE float
mt_trig_reduce_f32(float x, float *n, float *r_lo)
{
    *n = mt_round_f32(x * 0x1.45f306p-1f);
#if MT_HAVE_FMA
    float first = mt_fma_f32(*n, -0x1.921fb6p+0f, x);
    float second = mt_fma_f32(*n, 0x1.777a5cp-25f, first);
    float r = mt_fma_f32(*n, 0x1.ee59dap-50f, second);
    *r_lo = mt_fma_f32(*n, 0x1.ee59dap-50f, second - r);
    return r;
#else
    double exact = ((double)x - *n * 0x1.921fb544p+0) - *n * 0x1.0b4611a626331p-34;
    float r = (float)exact;
    *r_lo = (float)(exact - r);
    return r;
#endif
}

/* The quarter counted by n, mod 4, in the low bits. */
MT_INLINE uint32_t mt_quarter_f32(float n) { return mt_float_bits(n + 0x1.8p23f); }

MT_INLINE float
mt_sin_reduced_f32(float r, float r_lo)
{
    float z = r * r;
    float p = -0x1.9956bcp-13f; /* sin_f32 */
    p = mt_fma_f32(p, z, 0x1.11077ep-7f);
    p = mt_fma_f32(p, z, -0x1.555546p-3f);
    return r + mt_fma_f32(r * z, p, r_lo);
}

MT_INLINE float
mt_cos_reduced_f32(float r)
{
    float z = r * r;
    float p = 0x1.99e916p-16f; /* cos_f32 */
    p = mt_fma_f32(p, z, -0x1.6c0c2ap-10f);
    p = mt_fma_f32(p, z, 0x1.55554ap-5f);
    return mt_fma_f32(z * z, p, mt_fma_f32(z, -0.5f, 1.0f));
}

MT_INLINE float
mt_sin_easy_f32(float x)
{
    float n, r_lo, r = mt_trig_reduce_f32(x, &n, &r_lo);
    uint32_t quarter = mt_quarter_f32(n);
    float y = mt_blend_f32(0 - (quarter & 1), mt_cos_reduced_f32(r), mt_sin_reduced_f32(r, r_lo));
    y = mt_bits_float(mt_float_bits(y) ^ ((quarter & 2) << 30));
    return mt_abs_f32(x) < 0x1p-13f ? x : y;
}

MT_INLINE float
mt_cos_easy_f32(float x)
{
    float n, r_lo, r = mt_trig_reduce_f32(x, &n, &r_lo);
    uint32_t quarter = mt_quarter_f32(n) + 1;
    float y = mt_blend_f32(0 - (quarter & 1), mt_cos_reduced_f32(r), mt_sin_reduced_f32(r, r_lo));
    return mt_bits_float(mt_float_bits(y) ^ ((quarter & 2) << 30));
}

/* r + r^3 T(r^2), in odd quarters -1 over it. */
MT_INLINE float
mt_tan_easy_f32(float x)
{
    float n, r_lo, r = mt_trig_reduce_f32(x, &n, &r_lo), z = r * r;
    float p = 0x1.1e5f3ap-8f; /* tan_f32 */
    p = mt_fma_f32(p, z, 0x1.b498aap-14f);
    p = mt_fma_f32(p, z, 0x1.62a6bep-7f);
    p = mt_fma_f32(p, z, 0x1.5cc73ap-6f);
    p = mt_fma_f32(p, z, 0x1.bad93cp-5f);
    p = mt_fma_f32(p, z, 0x1.110dap-3f);
    p = mt_fma_f32(p, z, 0x1.55556p-2f);
    float t = r + mt_fma_f32(r * z, p, mt_fma_f32(z, r_lo, r_lo));
    uint32_t odd = 0 - (mt_quarter_f32(n) & 1);
    float y = mt_blend_f32(odd, -1.0f, t) / mt_blend_f32(odd, t, 1.0f);
    return mt_abs_f32(x) < 0x1p-13f ? x : y;
}

/* ---- double ---- */

MT_INLINE bool mt_trig_hard_f64(double x) { return !(mt_abs_f64(x) < 0x1p20); }

/* Parts of 33 bits, whose products with n are exact, and a rest. */
MT_INLINE double
mt_trig_reduce_f64(double x, double *n, double *r_lo)
{
    *n = mt_round_f64(x * 0x1.45f306dc9c883p-1);
    double low, first = x - *n * 0x1.921fb544p+0;
    double r = mt_two_sum_f64(first, *n * -0x1.0b4611a6p-34, &low);
    low = mt_fma_f64(*n, -0x1.b839a252049c1p-104, low - *n * 0x1.3198a2ep-69);
    return mt_fast_two_sum_f64(r, low, r_lo);
}

MT_INLINE uint64_t mt_quarter_f64(double n) { return mt_double_bits(n + 0x1.8p52); }

MT_INLINE double
mt_sin_reduced_f64(double r, double r_lo)
{
    double z = r * r;
    double p = 0x1.5d93b38008e8p-33; /* sin_f64 */
    p = mt_fma_f64(p, z, -0x1.ae5e68d208984p-26);
    p = mt_fma_f64(p, z, 0x1.71de357b5c9afp-19);
    p = mt_fma_f64(p, z, -0x1.a01a019c16636p-13);
    p = mt_fma_f64(p, z, 0x1.111111110f8a8p-7);
    p = mt_fma_f64(p, z, -0x1.5555555555549p-3);
    return r + mt_fma_f64(r * z, p, r_lo);
}

MT_INLINE double
mt_cos_reduced_f64(double r, double r_lo)
{
    double z = r * r, half = 0.5 * z, w = 1 - half;
    double p = -0x1.8fa6b9e4e7dbdp-37; /* cos_f64 */
    p = mt_fma_f64(p, z, 0x1.1ee9dc35892d5p-29);
    p = mt_fma_f64(p, z, -0x1.27e4f7f2226ap-22);
    p = mt_fma_f64(p, z, 0x1.a01a019c8fd7cp-16);
    p = mt_fma_f64(p, z, -0x1.6c16c16c1501ap-10);
    p = mt_fma_f64(p, z, 0x1.555555555554bp-5);
    return w + (((1 - w) - half) + mt_fma_f64(z * z, p, -(r * r_lo)));
}

/* sin r / cos r, upside down and negated in odd quarters, with what the quotient lacks added. */
MT_INLINE double
mt_tan_reduced_f64(double r, double r_lo, uint64_t quarter)
{
    uint64_t odd = 0 - (quarter & 1);
    double z = r * r, half = 0.5 * z, w = 1 - half;
    double p = 0x1.5d93b38008e8p-33; /* sin_f64 */
    p = mt_fma_f64(p, z, -0x1.ae5e68d208984p-26);
    p = mt_fma_f64(p, z, 0x1.71de357b5c9afp-19);
    p = mt_fma_f64(p, z, -0x1.a01a019c16636p-13);
    p = mt_fma_f64(p, z, 0x1.111111110f8a8p-7);
    p = mt_fma_f64(p, z, -0x1.5555555555549p-3);
    double s_lo, s = mt_fast_two_sum_f64(r, mt_fma_f64(r * z, p, r_lo), &s_lo);
    double q = -0x1.8fa6b9e4e7dbdp-37; /* cos_f64 */
    q = mt_fma_f64(q, z, 0x1.1ee9dc35892d5p-29);
    q = mt_fma_f64(q, z, -0x1.27e4f7f2226ap-22);
    q = mt_fma_f64(q, z, 0x1.a01a019c8fd7cp-16);
    q = mt_fma_f64(q, z, -0x1.6c16c16c1501ap-10);
    q = mt_fma_f64(q, z, 0x1.555555555554bp-5);
    double low = ((1 - w) - half) + mt_fma_f64(z * z, q, -(r * r_lo));
    double c_lo, c = mt_fast_two_sum_f64(w, low, &c_lo);
    double top = mt_blend_f64(odd, -c, s), top_lo = mt_blend_f64(odd, -c_lo, s_lo);
    double bottom = mt_blend_f64(odd, s, c), bottom_lo = mt_blend_f64(odd, s_lo, c_lo);
    double y = top / bottom, product_lo, product = mt_two_product_f64(y, bottom, &product_lo);
    double rest = ((top - product) - product_lo) + (top_lo - y * bottom_lo);
    return y + rest / bottom;
}

MT_INLINE double
mt_sin_easy_f64(double x)
{
    double n, r_lo, r = mt_trig_reduce_f64(x, &n, &r_lo);
    uint64_t quarter = mt_quarter_f64(n);
    double s = mt_sin_reduced_f64(r, r_lo), c = mt_cos_reduced_f64(r, r_lo);
    double y = mt_blend_f64(0 - (quarter & 1), c, s);
    y = mt_bits_double(mt_double_bits(y) ^ ((quarter & 2) << 62));
    return mt_abs_f64(x) < 0x1p-27 ? x : y;
}

MT_INLINE double
mt_cos_easy_f64(double x)
{
    double n, r_lo, r = mt_trig_reduce_f64(x, &n, &r_lo);
    uint64_t quarter = mt_quarter_f64(n) + 1;
    double s = mt_sin_reduced_f64(r, r_lo), c = mt_cos_reduced_f64(r, r_lo);
    double y = mt_blend_f64(0 - (quarter & 1), c, s);
    return mt_bits_double(mt_double_bits(y) ^ ((quarter & 2) << 62));
}

MT_INLINE double
mt_tan_easy_f64(double x)
{
    double n, r_lo, r = mt_trig_reduce_f64(x, &n, &r_lo);
    double y = mt_tan_reduced_f64(r, r_lo, mt_quarter_f64(n));
    return mt_abs_f64(x) < 0x1p-27 ? x : y;
}

/* ---- any x ---- */

/* trig_large.c: for |x| >= 2^17, infinity and NaN. */
double mt_sin_large(double x);
double mt_cos_large(double x);
double mt_tan_large(double x);

#define X(name)                                                                                    \
    MT_INLINE float mt_##name##_f32(float x)                                                       \
    {                                                                                              \
        return mt_trig_hard_f32(x) ? (float)mt_##name##_large(x) : mt_##name##_easy_f32(x);        \
    }                                                                                              \
    MT_INLINE double mt_##name##_f64(double x)                                                     \
    {                                                                                              \
        return mt_trig_hard_f64(x) ? mt_##name##_large(x) : mt_##name##_easy_f64(x);               \
    }                                                                                              \
    MT_INLINE bool mt_##name##_hard_f32(float x) { return mt_trig_hard_f32(x); }                   \
    MT_INLINE bool mt_##name##_hard_f64(double x) { return mt_trig_hard_f64(x); }
X(sin)
X(cos)
X(tan)
#undef X

/* sin(pi x) / (pi x) with pi x rounded, as PyTorch computes it. */
MT_INLINE bool mt_sinc_hard_f32(float x) { return !(mt_abs_f32(x) < 0x1p15f); }
MT_INLINE bool mt_sinc_hard_f64(double x) { return !(mt_abs_f64(x) < 0x1p18); }

MT_INLINE float
mt_sinc_easy_f32(float x)
{
    float product = x * 0x1.921fb6p+1f, y = mt_sin_easy_f32(product) / product;
    return x == 0 ? 1.0f : y;
}

MT_INLINE double
mt_sinc_easy_f64(double x)
{
    double product = x * 0x1.921fb54442d18p+1, y = mt_sin_easy_f64(product) / product;
    return x == 0 ? 1.0 : y;
}

MT_INLINE float
mt_sinc_f32(float x)
{
    float product = x * 0x1.921fb6p+1f;
    return x == 0 ? 1.0f : mt_sin_f32(product) / product;
}

MT_INLINE double
mt_sinc_f64(double x)
{
    double product = x * 0x1.921fb54442d18p+1;
    return x == 0 ? 1.0 : mt_sin_f64(product) / product;
}

/* sin(pi x) and cos(pi x) for |x| < 2^21 (float) or 2^50 (double): 2 x is the number of quarter
 * turns, without a rounding. */
MT_INLINE double
mt_sinpi_f64(double x)
{
    double n = mt_round_f64(2 * x), f = 2 * x - n, r_lo;
    double r = mt_two_product_f64(f, 0x1.921fb54442d18p+0, &r_lo);
    r_lo = mt_fma_f64(f, 0x1.1a62633145c07p-54, r_lo);
    uint64_t quarter = mt_quarter_f64(n);
    double y = mt_blend_f64(0 - (quarter & 1), mt_cos_reduced_f64(r, r_lo),
                            mt_sin_reduced_f64(r, r_lo));
    return mt_bits_double(mt_double_bits(y) ^ ((quarter & 2) << 62));
}

/* ---- inverses ---- */

/* asin(a) = a + a^3 A(a^2) up to 1/2; above, with t = (1 - a) / 2, pi/2 - 2 asin(sqrt t). Both
 * use one polynomial, of z = a^2 or t. */
MT_INLINE float
mt_asin_f32(float x)
{
    float a = mt_abs_f32(x);
    uint32_t large = mt_sign_mask_f32(0.5f - a);
    float z = mt_blend_f32(large, mt_fma_f32(a, -0.5f, 0.5f), a * a);
    float s = mt_blend_f32(large, __builtin_sqrtf(z), a);
    float p = 0x1.59ca1ap-5f; /* asin_f32 */
    p = mt_fma_f32(p, z, 0x1.8bb7ccp-6f);
    p = mt_fma_f32(p, z, 0x1.7489fp-5f);
    p = mt_fma_f32(p, z, 0x1.33016cp-4f);
    p = mt_fma_f32(p, z, 0x1.5555cap-3f);
    float y = mt_fma_f32(s * z, p, s);
    y = mt_blend_f32(large, mt_fma_f32(y, -2.0f, 0x1.921fb6p+0f), y);
    return mt_copysign_f32(y, x);
}

MT_INLINE double
mt_asin_f64(double x)
{
    double a = mt_abs_f64(x);
    uint64_t large = mt_sign_mask_f64(0.5 - a);
    double z = mt_blend_f64(large, mt_fma_f64(a, -0.5, 0.5), a * a);
    double s = mt_blend_f64(large, __builtin_sqrt(z), a);
    double p_z2 = z * z;
    double p = -0x1.0af097f7b015fp-6; /* asin_f64 */
    double p1 = 0x1.05cccb1b2ac05p-5;
    p = mt_fma_f64(p, p_z2, 0x1.aab6c4c894745p-8);
    p1 = mt_fma_f64(p1, p_z2, 0x1.40af6e39dce86p-6);
    p = mt_fma_f64(p, p_z2, 0x1.c6f8848ee85e6p-7);
    p1 = mt_fma_f64(p1, p_z2, 0x1.8ee45e694d449p-7);
    p = mt_fma_f64(p, p_z2, 0x1.6e89ef72a4a7bp-6);
    p1 = mt_fma_f64(p1, p_z2, 0x1.1c6c27b47bb69p-6);
    p = mt_fma_f64(p, p_z2, 0x1.6db6db41ceb35p-5);
    p1 = mt_fma_f64(p1, p_z2, 0x1.f1c72c6e1fb13p-6);
    p = mt_fma_f64(p, p_z2, 0x1.5555555555386p-3);
    p1 = mt_fma_f64(p1, p_z2, 0x1.333333336f979p-4);
    p = mt_fma_f64(p1, z, p);
    double y = s * z * p;
    double big = 0x1.921fb54442d18p+0 - (2 * s + (2 * y - 0x1.1a62633145c07p-54));
    return mt_copysign_f64(mt_blend_f64(large, big, s + y), x);
}

/* pi/2 - asin(x) up to 1/2; above, 2 asin(sqrt t), for negative x its complement to pi. */
MT_INLINE float
mt_acos_f32(float x)
{
    float a = mt_abs_f32(x);
    uint32_t large = mt_sign_mask_f32(0.5f - a), negative = mt_sign_mask_f32(x);
    float z = mt_blend_f32(large, mt_fma_f32(a, -0.5f, 0.5f), a * a);
    float s = mt_blend_f32(large, __builtin_sqrtf(z), a);
    float p = 0x1.59ca1ap-5f; /* asin_f32 */
    p = mt_fma_f32(p, z, 0x1.8bb7ccp-6f);
    p = mt_fma_f32(p, z, 0x1.7489fp-5f);
    p = mt_fma_f32(p, z, 0x1.33016cp-4f);
    p = mt_fma_f32(p, z, 0x1.5555cap-3f);
    float y = mt_fma_f32(s * z, p, s);
    float small = 0x1.921fb6p+0f - (mt_copysign_f32(y, x) - -0x1.777a5cp-25f);
    float big = 2 * y;
    big = mt_blend_f32(negative, 0x1.921fb6p+1f - (big - -0x1.777a5cp-24f), big);
    return mt_blend_f32(large, big, small);
}

MT_INLINE double
mt_acos_f64(double x)
{
    double a = mt_abs_f64(x);
    uint64_t large = mt_sign_mask_f64(0.5 - a), negative = mt_sign_mask_f64(x);
    double z = mt_blend_f64(large, mt_fma_f64(a, -0.5, 0.5), a * a);
    double s = mt_blend_f64(large, __builtin_sqrt(z), a);
    double p_z2 = z * z;
    double p = -0x1.0af097f7b015fp-6; /* asin_f64 */
    double p1 = 0x1.05cccb1b2ac05p-5;
    p = mt_fma_f64(p, p_z2, 0x1.aab6c4c894745p-8);
    p1 = mt_fma_f64(p1, p_z2, 0x1.40af6e39dce86p-6);
    p = mt_fma_f64(p, p_z2, 0x1.c6f8848ee85e6p-7);
    p1 = mt_fma_f64(p1, p_z2, 0x1.8ee45e694d449p-7);
    p = mt_fma_f64(p, p_z2, 0x1.6e89ef72a4a7bp-6);
    p1 = mt_fma_f64(p1, p_z2, 0x1.1c6c27b47bb69p-6);
    p = mt_fma_f64(p, p_z2, 0x1.6db6db41ceb35p-5);
    p1 = mt_fma_f64(p1, p_z2, 0x1.f1c72c6e1fb13p-6);
    p = mt_fma_f64(p, p_z2, 0x1.5555555555386p-3);
    p1 = mt_fma_f64(p1, p_z2, 0x1.333333336f979p-4);
    p = mt_fma_f64(p1, z, p);
    double y = mt_fma_f64(s * z, p, s);
    double small = 0x1.921fb54442d18p+0 - (mt_copysign_f64(y, x) - 0x1.1a62633145c07p-54);
    double big = 2 * y;
    big = mt_blend_f64(negative, 0x1.921fb54442d18p+1 - (big - 0x1.1a62633145c07p-53), big);
    return mt_blend_f64(large, big, small);
}

/* The angle of (x, y) from the ratio t = small / large of |x| and |y|: atan t = t + t^3 T(t^2),
 * taken from pi/2 where |y| is the larger, from pi where x is negative. In double t is turned by
 * another pi/4 where it exceeds tan(pi/8), to (t - 1) / (t + 1). */
MT_INLINE float
mt_atan2_f32(float y, float x)
{
    float ax = mt_abs_f32(x), ay = mt_abs_f32(y);
    uint32_t steep = mt_sign_mask_f32(ax - ay);
    float large = mt_blend_f32(steep, ay, ax), small = mt_blend_f32(steep, ax, ay);
    float t = small / large;
    t = large == 0 ? 0.0f : t;
    float z = t * t;
    float p_z2 = z * z;
    float p = -0x1.0faeb8p-6f; /* atan_f32 */
    float p1 = 0x1.85e846p-9f;
    p = mt_fma_f32(p, p_z2, -0x1.3682dep-4f);
    p1 = mt_fma_f32(p1, p_z2, 0x1.64cf3p-5f);
    p = mt_fma_f32(p, p_z2, -0x1.231bacp-3f);
    p1 = mt_fma_f32(p1, p_z2, 0x1.b56a8p-4f);
    p = mt_fma_f32(p, p_z2, -0x1.5554e6p-2f);
    p1 = mt_fma_f32(p1, p_z2, 0x1.997ae8p-3f);
    p = mt_fma_f32(p1, z, p);
    float angle = mt_fma_f32(t * z, p, t);
    angle = small == MT_INF_F32 ? 0x1.921fb6p-1f : angle;
    angle = mt_blend_f32(steep, 0x1.921fb6p+0f - (angle - -0x1.777a5cp-25f), angle);
    float back = 0x1.921fb6p+1f - (angle - -0x1.777a5cp-24f);
    angle = mt_copysign_f32(mt_blend_f32(mt_sign_mask_f32(x), back, angle), y);
    return x != x || y != y ? x + y : angle;
}

MT_INLINE double
mt_atan2_f64(double y, double x)
{
    double ax = mt_abs_f64(x), ay = mt_abs_f64(y);
    uint64_t steep = mt_sign_mask_f64(ax - ay);
    double large = mt_blend_f64(steep, ay, ax), small = mt_blend_f64(steep, ax, ay);
    /* Out of range of what follows: sums that overflow, ratios of subnormals. */
    double scale = large > 0x1p1000 ? 0x1p-60 : 1.0;
    scale = large < 0x1p-900 ? 0x1p100 : scale;
    small *= scale;
    large *= scale;
    uint64_t turned = mt_sign_mask_f64(0x1.a827999fcef32p-2 * large - small);
    double top = mt_blend_f64(turned, small - large, small);
    double bottom = mt_blend_f64(turned, small + large, large);
    double t = top / bottom;
    t = large == 0 ? 0.0 : t;
    double z = t * t;
    double p_z2 = z * z;
    double p = -0x1.6529ac965f6d2p-5; /* atan_f64 */
    double p1 = 0x1.5c7727fb1d2bap-6;
    p = mt_fma_f64(p, p_z2, -0x1.1005e3e461be4p-4);
    p1 = mt_fma_f64(p1, p_z2, 0x1.d25bad270eb16p-5);
    p = mt_fma_f64(p, p_z2, -0x1.745bc4f8da675p-4);
    p1 = mt_fma_f64(p1, p_z2, 0x1.3afc4c4e64b91p-4);
    p = mt_fma_f64(p, p_z2, -0x1.24924905c4e48p-3);
    p1 = mt_fma_f64(p1, p_z2, 0x1.c71c65e4f10e5p-4);
    p = mt_fma_f64(p, p_z2, -0x1.555555555532p-2);
    p1 = mt_fma_f64(p1, p_z2, 0x1.999999994a5edp-3);
    p = mt_fma_f64(p1, z, p);
    double low = mt_fma_f64(t * z, p, mt_blend_f64(turned, 0x1.1a62633145c07p-55, 0.0));
    double angle = mt_blend_f64(turned, 0x1.921fb54442d18p-1, 0.0) + (t + low);
    angle = small == MT_INF_F64 ? 0x1.921fb54442d18p-1 : angle;
    angle = mt_blend_f64(steep, 0x1.921fb54442d18p+0 - (angle - 0x1.1a62633145c07p-54), angle);
    double back = 0x1.921fb54442d18p+1 - (angle - 0x1.1a62633145c07p-53);
    angle = mt_copysign_f64(mt_blend_f64(mt_sign_mask_f64(x), back, angle), y);
    return x != x || y != y ? x + y : angle;
}

MT_INLINE float
mt_atan_f32(float x)
{
    float a = mt_abs_f32(x);
    uint32_t steep = mt_sign_mask_f32(1 - a);
    float t = mt_blend_f32(steep, 1 / a, a), z = t * t;
    float p_z2 = z * z;
    float p = -0x1.0faeb8p-6f; /* atan_f32 */
    float p1 = 0x1.85e846p-9f;
    p = mt_fma_f32(p, p_z2, -0x1.3682dep-4f);
    p1 = mt_fma_f32(p1, p_z2, 0x1.64cf3p-5f);
    p = mt_fma_f32(p, p_z2, -0x1.231bacp-3f);
    p1 = mt_fma_f32(p1, p_z2, 0x1.b56a8p-4f);
    p = mt_fma_f32(p, p_z2, -0x1.5554e6p-2f);
    p1 = mt_fma_f32(p1, p_z2, 0x1.997ae8p-3f);
    p = mt_fma_f32(p1, z, p);
    float angle = mt_fma_f32(t * z, p, t);
    angle = mt_blend_f32(steep, 0x1.921fb6p+0f - (angle - -0x1.777a5cp-25f), angle);
    return mt_copysign_f32(angle, x);
}

/* Turned by 0, pi/4 or pi/2, so that |t| <= tan(pi/8). */
MT_INLINE double
mt_atan_f64(double x)
{
    double a = mt_abs_f64(x);
    uint64_t turned = mt_sign_mask_f64(0x1.a827999fcef32p-2 - a); /* tan(pi / 8) */
    uint64_t steep = mt_sign_mask_f64(0x1.3504f333f9de6p+1 - a);  /* tan(3 pi / 8) */
    double top = mt_blend_f64(steep, -1.0, mt_blend_f64(turned, a - 1, a));
    double bottom = mt_blend_f64(steep, a, mt_blend_f64(turned, a + 1, 1.0));
    double t = top / bottom, z = t * t;
    double p_z2 = z * z;
    double p = -0x1.6529ac965f6d2p-5; /* atan_f64 */
    double p1 = 0x1.5c7727fb1d2bap-6;
    p = mt_fma_f64(p, p_z2, -0x1.1005e3e461be4p-4);
    p1 = mt_fma_f64(p1, p_z2, 0x1.d25bad270eb16p-5);
    p = mt_fma_f64(p, p_z2, -0x1.745bc4f8da675p-4);
    p1 = mt_fma_f64(p1, p_z2, 0x1.3afc4c4e64b91p-4);
    p = mt_fma_f64(p, p_z2, -0x1.24924905c4e48p-3);
    p1 = mt_fma_f64(p1, p_z2, 0x1.c71c65e4f10e5p-4);
    p = mt_fma_f64(p, p_z2, -0x1.555555555532p-2);
    p1 = mt_fma_f64(p1, p_z2, 0x1.999999994a5edp-3);
    p = mt_fma_f64(p1, z, p);
    double start = mt_blend_f64(turned, 0x1.921fb54442d18p-1, 0.0);
    double start_lo = mt_blend_f64(turned, 0x1.1a62633145c07p-55, 0.0);
    start = mt_blend_f64(steep, 0x1.921fb54442d18p+0, start);
    start_lo = mt_blend_f64(steep, 0x1.1a62633145c07p-54, start_lo);
    return mt_copysign_f64(start + (t + mt_fma_f64(t * z, p, start_lo)), x);
}
