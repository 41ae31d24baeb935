/* lgamma, digamma and the modified Bessel functions of order 0 and 1. Included by scalar.h. */
#pragma once

/* ---- gamma ---- */

/* In double, for a = |x|:
 *   1 to 2.5     (a - 1) (a - 2) G(a), which is right at the zeros; below 1 it serves a + 1, and
 *                log a is taken off;
 *   from 2.5     Stirling's series (a - 1/2) log a - a + log(2 pi) / 2 + S(1 / a^2) / a;
 *   negative x   log(pi / (a |sin(pi a)|)) - lgamma(a). */
MT_INLINE float
mt_lgamma_f32(float x)
{
    double a = mt_abs_f64(x), k, f = mt_log_reduce_f64(a, &k);
    double log_a = mt_fma_f64(k, 0x1.62e42fefa39efp-1, mt_log1p_reduced_f64(f));
    uint64_t below = mt_sign_mask_f64(a - 1);
    double y = a + mt_blend_f64(below, 1.0, 0.0), v = y - 1.75;
    double g_v2 = v * v;
    double g = 0x1.036d50a559555p-12; /* lgamma */
    double g1 = -0x1.20059c05c995cp-13;
    g = mt_fma_f64(g, g_v2, 0x1.f287a28973e88p-12);
    g1 = mt_fma_f64(g1, g_v2, -0x1.f0ad7a41fdfp-13);
    g = mt_fma_f64(g, g_v2, 0x1.1576de49ce71cp-9);
    g1 = mt_fma_f64(g1, g_v2, -0x1.1a5dc3a6b9646p-10);
    g = mt_fma_f64(g, g_v2, 0x1.1f7d25a157a44p-7);
    g1 = mt_fma_f64(g1, g_v2, -0x1.14c87512675b4p-8);
    g = mt_fma_f64(g, g_v2, 0x1.6cb67206f0c22p-5);
    g1 = mt_fma_f64(g1, g_v2, -0x1.382ef2057d04cp-6);
    g = mt_fma_f64(g, g_v2, 0x1.ccf151cd06872p-2);
    g1 = mt_fma_f64(g1, g_v2, -0x1.e9658510f56cp-4);
    g = mt_fma_f64(g1, v, g);
    double near = mt_fma_f64((y - 1) * (y - 2), g, -mt_blend_f64(below, log_a, 0.0));
    double inverse = 1 / a, u = inverse * inverse;
    double s = 0x1.76e82d5b3c888p-12; /* stirling */
    s = mt_fma_f64(s, u, -0x1.11e571c4f43a6p-11);
    s = mt_fma_f64(s, u, 0x1.9d05345b379eep-11);
    s = mt_fma_f64(s, u, -0x1.6c0f134501492p-9);
    s = mt_fma_f64(s, u, 0x1.5555547884fa1p-4);
    double stirling = mt_fma_f64(a - 0.5, log_a, -a) + mt_fma_f64(s, inverse, 0x1.d67f1c864beb5p-1);
    double result = a < 2.5 ? near : stirling;

    double n = mt_round_f64(a), r = (a - n) * 0x1.921fb54442d18p+1, z = r * r;
    /* sin(pi a) up to its sign, |r| <= pi / 2. */
    double c = -0x1.9f4afc7a0edep-41; /* sin_half */
    c = mt_fma_f64(c, z, 0x1.60e88ceab96fep-33);
    c = mt_fma_f64(c, z, -0x1.ae6361c7842b4p-26);
    c = mt_fma_f64(c, z, 0x1.71de382eb8b5p-19);
    c = mt_fma_f64(c, z, -0x1.a01a019aebb62p-13);
    c = mt_fma_f64(c, z, 0x1.111111110b263p-7);
    c = mt_fma_f64(c, z, -0x1.55555555554c3p-3);
    double sine = mt_abs_f64(mt_fma_f64(r * z, c, r));
    double kk, ff = mt_log_reduce_f64(0x1.921fb54442d18p+1 / (a * sine), &kk);
    double reflected = mt_fma_f64(kk, 0x1.62e42fefa39efp-1, mt_log1p_reduced_f64(ff)) - result;
    result = x < 0 ? reflected : result;
    result = x <= 0 && a == n ? MT_INF_F64 : result;
    return a < MT_INF_F64 ? (float)(result + 0.0) : (float)a;
}

/* The C library's: it keeps its digits at the many zeros. This form of it is thread-safe. */
MT_INLINE double
mt_lgamma_f64(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* For z = x + 7, psi(z) = log z - 1 / (2 z) - D(1 / z^2) / z^2, and psi(x) = psi(z) minus the sum
 * of 1 / (x + i) for i = 0 ... 6, which is P'(x) / P(x) of P(x) = x (x + 1) ... (x + 6). Negative x
 * go through psi(1 - x) - pi / tan(pi x). At 0 it is infinite, at negative integers undefined. */
MT_INLINE double
mt_digamma_f64(double x)
{
    double a = x < 0 ? 1 - x : x;
    double b = a > 1e18 ? 1e18 : a; /* from there on the sum has long lost its weight */
    double p = b + 21;
    p = mt_fma_f64(p, b, 175.0);
    p = mt_fma_f64(p, b, 735.0);
    p = mt_fma_f64(p, b, 1624.0);
    p = mt_fma_f64(p, b, 1764.0);
    p = mt_fma_f64(p, b, 720.0) * b;
    double d = mt_fma_f64(b, 7.0, 126.0);
    d = mt_fma_f64(d, b, 875.0);
    d = mt_fma_f64(d, b, 2940.0);
    d = mt_fma_f64(d, b, 4872.0);
    d = mt_fma_f64(d, b, 3528.0);
    d = mt_fma_f64(d, b, 720.0);
    double sum = a > 1e18 ? 0.0 : d / p;
    double z = a + 7, inverse = 1 / z, u = inverse * inverse;
    double s = 0x1.cf6f586f10808p-5; /* digamma */
    s = mt_fma_f64(s, u, -0x1.4ca6663ac83d9p-6);
    s = mt_fma_f64(s, u, 0x1.efa703dcc6adp-8);
    s = mt_fma_f64(s, u, -0x1.110f24da3cfe7p-8);
    s = mt_fma_f64(s, u, 0x1.04103e9e43cb5p-8);
    s = mt_fma_f64(s, u, -0x1.111111105ac9fp-7);
    s = mt_fma_f64(s, u, 0x1.555555555550cp-4);
    double k, f = mt_log_reduce_f64(z, &k);
    double log_z = mt_fma_f64(k, 0x1.62e42fefa39efp-1, mt_log1p_reduced_f64(f));
    double y = log_z - (mt_fma_f64(u, s, 0.5 * inverse) + sum);

    double n = mt_round_f64(x), r = (x - n) * 0x1.921fb54442d18p+1, half = 0.5 * r, w = half * half;
    /* tan(pi x) = 2 t / (1 - t^2) of t = tan(r / 2), |r / 2| <= pi / 4. */
    double q = 0x1.5d93b38008e8p-33; /* sin_f64 */
    q = mt_fma_f64(q, w, -0x1.ae5e68d208984p-26);
    q = mt_fma_f64(q, w, 0x1.71de357b5c9afp-19);
    q = mt_fma_f64(q, w, -0x1.a01a019c16636p-13);
    q = mt_fma_f64(q, w, 0x1.111111110f8a8p-7);
    q = mt_fma_f64(q, w, -0x1.5555555555549p-3);
    double c = -0x1.8fa6b9e4e7dbdp-37; /* cos_f64 */
    c = mt_fma_f64(c, w, 0x1.1ee9dc35892d5p-29);
    c = mt_fma_f64(c, w, -0x1.27e4f7f2226ap-22);
    c = mt_fma_f64(c, w, 0x1.a01a019c8fd7cp-16);
    c = mt_fma_f64(c, w, -0x1.6c16c16c1501ap-10);
    c = mt_fma_f64(c, w, 0x1.555555555554bp-5);
    double sine = mt_fma_f64(half * w, q, half), cosine = 1 - (0.5 * w - w * w * c);
    double cotangent = (cosine * cosine - sine * sine) / (2 * sine * cosine);
    y = x < 0 ? mt_fma_f64(cotangent, -0x1.921fb54442d18p+1, y) : y;
    y = x < 0 && (x == n || x < -0x1p51) ? MT_NAN_F64 : y;
    y = x == 0 ? mt_copysign_f64(MT_INF_F64, -x) : y;
    return x == MT_INF_F64 ? x : y;
}

MT_INLINE float
mt_digamma_f32(float x)
{
    return (float)mt_digamma_f64(x);
}

/* ---- modified Bessel functions ---- */

/* exp(x) y for x >= 0 where the product may be in range though exp(x) is not; NaN for an infinite
 * x, where y is 0. */
MT_INLINE float
mt_exp_times_f32(float x, float y)
{
    float n, r = mt_exp_reduce_f32(x, &n);
    float product = mt_scale_f32((1 + mt_expm1_reduced_f32(r)) * y, n);
    return x > 100.0f ? y * MT_INF_F32 : product;
}

MT_INLINE double
mt_exp_times_f64(double x, double y)
{
    double n, r = mt_exp_reduce_f64(x, &n);
    double product = mt_scale_f64((1 + mt_expm1_reduced_f64(r)) * y, n);
    return x > 800.0 ? y * MT_INF_F64 : product;
}

/* I0 is a polynomial of x^2 / 4 up to 8, beyond exp(x) / sqrt(x) times one of 1 / x; I1 likewise,
 * with another factor x / 2 in the first. i0e and i1e are
 * these times exp(-|x|). */
MT_INLINE float
mt_i0_f32(float x)
{
    float a = mt_abs_f32(x), q = 0.25f * a * a, u = 1 / a;
    float p_q2 = q * q;
    float p = 0x1.a9e238p-32f; /* i0_f32 */
    float p1 = 0x1.05e5d6p-36f;
    p = mt_fma_f32(p, p_q2, 0x1.fcf6c2p-20f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.7155a2p-25f);
    p = mt_fma_f32(p, p_q2, 0x1.c6f90cp-10f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.24014cp-14f);
    p = mt_fma_f32(p, p_q2, 0x1.ffffb2p-3f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.c71ffp-6f);
    p = mt_fma_f32(p, p_q2, 0x1p+0f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.000002p+0f);
    p = mt_fma_f32(p1, q, p);
    float g = 0x1.5ee642p-2f; /* i0_large_f32 */
    g = mt_fma_f32(g, u, 0x1.bec898p-10f);
    g = mt_fma_f32(g, u, 0x1.04dafcp-5f);
    g = mt_fma_f32(g, u, 0x1.cad51cp-6f);
    g = mt_fma_f32(g, u, 0x1.988324p-5f);
    g = mt_fma_f32(g, u, 0x1.988454p-2f);
    float large = mt_exp_times_f32(a, g * __builtin_sqrtf(u));
    return a <= 8 ? p : large;
}

MT_INLINE double
mt_i0_f64(double x)
{
    double a = mt_abs_f64(x), q = 0.25 * a * a, u = 1 / a;
    double p_q2 = q * q, p_q4 = p_q2 * p_q2;
    double p = 0x1.40b274112cd16p-58; /* i0_f64 */
    double p1 = 0x1.f2363e742ec87p-66;
    double p2 = 0x1.11a0eb6a80522p-73;
    double p3 = 0x1.1b72bd088ae94p-80;
    p = mt_fma_f64(p, p_q4, 0x1.522a418fa8c9ep-31);
    p1 = mt_fma_f64(p1, p_q4, 0x1.0b31500d4c26p-37);
    p2 = mt_fma_f64(p2, p_q4, 0x1.55ff8127f72a9p-44);
    p3 = mt_fma_f64(p3, p_q4, 0x1.69e4349f02c6bp-51);
    p = mt_fma_f64(p, p_q4, 0x1.c71c71c71b4bp-10);
    p1 = mt_fma_f64(p1, p_q4, 0x1.23456789be2aep-14);
    p2 = mt_fma_f64(p2, p_q4, 0x1.02e85c073502dp-19);
    p3 = mt_fma_f64(p3, p_q4, 0x1.522a44199bc5cp-25);
    p = mt_fma_f64(p, p_q4, 0x1p+0);
    p1 = mt_fma_f64(p1, p_q4, 0x1p+0);
    p2 = mt_fma_f64(p2, p_q4, 0x1.ffffffffffffcp-3);
    p3 = mt_fma_f64(p3, p_q4, 0x1.c71c71c71c7b9p-6);
    p = mt_fma_f64(p1, q, p);
    p2 = mt_fma_f64(p3, q, p2);
    p = mt_fma_f64(p2, p_q2, p);
    double g_u2 = u * u, g_u4 = g_u2 * g_u2;
    double g = 0x1.42b168552e133p+54; /* i0_large_f64 */
    double g1 = -0x1.03b1c2c4b94dfp+55;
    double g2 = 0x1.81d18b62227c2p+54;
    double g3 = -0x1.eabfff5827c25p+52;
    g = mt_fma_f64(g, g_u4, 0x1.b48c4f33998efp+45);
    g1 = mt_fma_f64(g1, g_u4, -0x1.8179572e00e3ep+48);
    g2 = mt_fma_f64(g2, g_u4, 0x1.feb9aa1ab3f3cp+50);
    g3 = mt_fma_f64(g3, g_u4, -0x1.7aa5834ec99dep+42);
    g = mt_fma_f64(g, g_u4, 0x1.b5599e7bc8271p+30);
    g1 = mt_fma_f64(g1, g_u4, -0x1.0b1a7fdd28686p+35);
    g2 = mt_fma_f64(g2, g_u4, 0x1.fd41665ae1b8fp+38);
    g3 = mt_fma_f64(g3, g_u4, -0x1.161ab79fdf97dp+26);
    g = mt_fma_f64(g, g_u4, 0x1.ab353b092b09ap+9);
    g1 = mt_fma_f64(g1, g_u4, -0x1.8f3b79452317p+15);
    g2 = mt_fma_f64(g2, g_u4, 0x1.0fa4894121c27p+21);
    g3 = mt_fma_f64(g3, g_u4, -0x1.1cd5f3c9ae409p+3);
    g = mt_fma_f64(g, g_u4, 0x1.6e8001a106a8ap-5);
    g1 = mt_fma_f64(g1, g_u4, 0x1.7328870d31f0bp-4);
    g2 = mt_fma_f64(g2, g_u4, 0x1.26f6a26942fcdp-2);
    g3 = mt_fma_f64(g3, g_u4, 0x1.debb2dce8860cp-6);
    g = mt_fma_f64(g, g_u4, 0x1.9884533d4365p-2);
    g1 = mt_fma_f64(g1, g_u4, 0x1.9884533d471f1p-5);
    g2 = mt_fma_f64(g2, g_u4, 0x1.cb94dd8db548dp-6);
    g = mt_fma_f64(g1, u, g);
    g2 = mt_fma_f64(g3, u, g2);
    g = mt_fma_f64(g2, g_u2, g);
    double large = mt_exp_times_f64(a, g * __builtin_sqrt(u));
    return a <= 8 ? p : large;
}

MT_INLINE float
mt_i0e_f32(float x)
{
    float a = mt_abs_f32(x), q = 0.25f * a * a, u = 1 / a;
    float p_q2 = q * q;
    float p = 0x1.a9e238p-32f; /* i0_f32 */
    float p1 = 0x1.05e5d6p-36f;
    p = mt_fma_f32(p, p_q2, 0x1.fcf6c2p-20f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.7155a2p-25f);
    p = mt_fma_f32(p, p_q2, 0x1.c6f90cp-10f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.24014cp-14f);
    p = mt_fma_f32(p, p_q2, 0x1.ffffb2p-3f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.c71ffp-6f);
    p = mt_fma_f32(p, p_q2, 0x1p+0f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.000002p+0f);
    p = mt_fma_f32(p1, q, p);
    float g = 0x1.5ee642p-2f; /* i0_large_f32 */
    g = mt_fma_f32(g, u, 0x1.bec898p-10f);
    g = mt_fma_f32(g, u, 0x1.04dafcp-5f);
    g = mt_fma_f32(g, u, 0x1.cad51cp-6f);
    g = mt_fma_f32(g, u, 0x1.988324p-5f);
    g = mt_fma_f32(g, u, 0x1.988454p-2f);
    float large = g * __builtin_sqrtf(u);
    return a <= 8 ? p * mt_exp_neg_abs_f32(a) : large;
}

MT_INLINE double
mt_i0e_f64(double x)
{
    double a = mt_abs_f64(x), q = 0.25 * a * a, u = 1 / a;
    double p_q2 = q * q, p_q4 = p_q2 * p_q2;
    double p = 0x1.40b274112cd16p-58; /* i0_f64 */
    double p1 = 0x1.f2363e742ec87p-66;
    double p2 = 0x1.11a0eb6a80522p-73;
    double p3 = 0x1.1b72bd088ae94p-80;
    p = mt_fma_f64(p, p_q4, 0x1.522a418fa8c9ep-31);
    p1 = mt_fma_f64(p1, p_q4, 0x1.0b31500d4c26p-37);
    p2 = mt_fma_f64(p2, p_q4, 0x1.55ff8127f72a9p-44);
    p3 = mt_fma_f64(p3, p_q4, 0x1.69e4349f02c6bp-51);
    p = mt_fma_f64(p, p_q4, 0x1.c71c71c71b4bp-10);
    p1 = mt_fma_f64(p1, p_q4, 0x1.23456789be2aep-14);
    p2 = mt_fma_f64(p2, p_q4, 0x1.02e85c073502dp-19);
    p3 = mt_fma_f64(p3, p_q4, 0x1.522a44199bc5cp-25);
    p = mt_fma_f64(p, p_q4, 0x1p+0);
    p1 = mt_fma_f64(p1, p_q4, 0x1p+0);
    p2 = mt_fma_f64(p2, p_q4, 0x1.ffffffffffffcp-3);
    p3 = mt_fma_f64(p3, p_q4, 0x1.c71c71c71c7b9p-6);
    p = mt_fma_f64(p1, q, p);
    p2 = mt_fma_f64(p3, q, p2);
    p = mt_fma_f64(p2, p_q2, p);
    double g_u2 = u * u, g_u4 = g_u2 * g_u2;
    double g = 0x1.42b168552e133p+54; /* i0_large_f64 */
    double g1 = -0x1.03b1c2c4b94dfp+55;
    double g2 = 0x1.81d18b62227c2p+54;
    double g3 = -0x1.eabfff5827c25p+52;
    g = mt_fma_f64(g, g_u4, 0x1.b48c4f33998efp+45);
    g1 = mt_fma_f64(g1, g_u4, -0x1.8179572e00e3ep+48);
    g2 = mt_fma_f64(g2, g_u4, 0x1.feb9aa1ab3f3cp+50);
    g3 = mt_fma_f64(g3, g_u4, -0x1.7aa5834ec99dep+42);
    g = mt_fma_f64(g, g_u4, 0x1.b5599e7bc8271p+30);
    g1 = mt_fma_f64(g1, g_u4, -0x1.0b1a7fdd28686p+35);
    g2 = mt_fma_f64(g2, g_u4, 0x1.fd41665ae1b8fp+38);
    g3 = mt_fma_f64(g3, g_u4, -0x1.161ab79fdf97dp+26);
    g = mt_fma_f64(g, g_u4, 0x1.ab353b092b09ap+9);
    g1 = mt_fma_f64(g1, g_u4, -0x1.8f3b79452317p+15);
    g2 = mt_fma_f64(g2, g_u4, 0x1.0fa4894121c27p+21);
    g3 = mt_fma_f64(g3, g_u4, -0x1.1cd5f3c9ae409p+3);
    g = mt_fma_f64(g, g_u4, 0x1.6e8001a106a8ap-5);
    g1 = mt_fma_f64(g1, g_u4, 0x1.7328870d31f0bp-4);
    g2 = mt_fma_f64(g2, g_u4, 0x1.26f6a26942fcdp-2);
    g3 = mt_fma_f64(g3, g_u4, 0x1.debb2dce8860cp-6);
    g = mt_fma_f64(g, g_u4, 0x1.9884533d4365p-2);
    g1 = mt_fma_f64(g1, g_u4, 0x1.9884533d471f1p-5);
    g2 = mt_fma_f64(g2, g_u4, 0x1.cb94dd8db548dp-6);
    g = mt_fma_f64(g1, u, g);
    g2 = mt_fma_f64(g3, u, g2);
    g = mt_fma_f64(g2, g_u2, g);
    double large = g * __builtin_sqrt(u);
    return a <= 8 ? p * mt_exp_neg_abs_f64(a) : large;
}

MT_INLINE float
mt_i1_f32(float x)
{
    float a = mt_abs_f32(x), q = 0.25f * a * a, u = 1 / a;
    float p_q2 = q * q;
    float p = 0x1.a12cb8p-35f; /* i1_f32 */
    float p1 = 0x1.8f8ffcp-40f;
    p = mt_fma_f32(p, p_q2, 0x1.2484d6p-22f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.697ea6p-28f);
    p = mt_fma_f32(p, p_q2, 0x1.6c0916p-12f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.84ede8p-17f);
    p = mt_fma_f32(p, p_q2, 0x1.55554ap-4f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.c71dbap-8f);
    p = mt_fma_f32(p, p_q2, 0x1p+0f);
    p1 = mt_fma_f32(p1, p_q2, 0x1p-1f);
    p = mt_fma_f32(p1, q, p);
    float g = -0x1.e5d31cp-2f; /* i1_large_f32 */
    g = mt_fma_f32(g, u, 0x1.1b6948p-6f);
    g = mt_fma_f32(g, u, -0x1.81e98ep-5f);
    g = mt_fma_f32(g, u, -0x1.7d1fp-5f);
    g = mt_fma_f32(g, u, -0x1.3264f4p-3f);
    g = mt_fma_f32(g, u, 0x1.988454p-2f);
    float large = mt_exp_times_f32(a, g * __builtin_sqrtf(u));
    float y = a <= 8 ? 0.5f * a * p : large;
    return x < 0 ? -y : y;
}

MT_INLINE double
mt_i1_f64(double x)
{
    double a = mt_abs_f64(x), q = 0.25 * a * a, u = 1 / a;
    double p_q2 = q * q, p_q4 = p_q2 * p_q2;
    double p = 0x1.8adad1fb34ce4p-62; /* i1_f64 */
    double p1 = 0x1.1c07bc099578cp-69;
    double p2 = 0x1.274df11f186a2p-77;
    double p3 = 0x1.177847f0b6392p-84;
    p = mt_fma_f64(p, p_q4, 0x1.2c9757490f265p-34);
    p1 = mt_fma_f64(p1, p_q4, 0x1.ab820eb752208p-41);
    p2 = mt_fma_f64(p2, p_q4, 0x1.f1743be42893dp-48);
    p3 = mt_fma_f64(p3, p_q4, 0x1.e27fdb26e8e22p-55);
    p = mt_fma_f64(p, p_q4, 0x1.6c16c16c1634ep-12);
    p1 = mt_fma_f64(p1, p_q4, 0x1.845c8a0cf4989p-17);
    p2 = mt_fma_f64(p2, p_q4, 0x1.27e4fb7679e61p-22);
    p3 = mt_fma_f64(p3, p_q4, 0x1.522a440f205bap-28);
    p = mt_fma_f64(p, p_q4, 0x1p+0);
    p1 = mt_fma_f64(p1, p_q4, 0x1p-1);
    p2 = mt_fma_f64(p2, p_q4, 0x1.5555555555554p-4);
    p3 = mt_fma_f64(p3, p_q4, 0x1.c71c71c71c773p-8);
    p = mt_fma_f64(p1, q, p);
    p2 = mt_fma_f64(p3, q, p2);
    p = mt_fma_f64(p2, p_q2, p);
    double g_u2 = u * u, g_u4 = g_u2 * g_u2;
    double g = -0x1.547a6ffe4376fp+54; /* i1_large_f64 */
    double g1 = 0x1.11411fa28a354p+55;
    double g2 = -0x1.94f7640fe42b1p+54;
    double g3 = 0x1.03b42314d2393p+53;
    g = mt_fma_f64(g, g_u4, -0x1.d3c7198fb4bdbp+45);
    g1 = mt_fma_f64(g1, g_u4, 0x1.9b18ae998c503p+48);
    g2 = mt_fma_f64(g2, g_u4, -0x1.0f3b30dfeda73p+51);
    g3 = mt_fma_f64(g3, g_u4, 0x1.98040d66d44d7p+42);
    g = mt_fma_f64(g, g_u4, -0x1.e37712fec72dbp+30);
    g1 = mt_fma_f64(g1, g_u4, 0x1.242fe3ce11a06p+35);
    g2 = mt_fma_f64(g2, g_u4, -0x1.143c85b2477a7p+39);
    g3 = mt_fma_f64(g3, g_u4, 0x1.37abb9b5c321ep+26);
    g = mt_fma_f64(g, g_u4, -0x1.05d6920b84fb3p+10);
    g1 = mt_fma_f64(g1, g_u4, 0x1.d484509c28c2ap+15);
    g2 = mt_fma_f64(g2, g_u4, -0x1.36308db7e7429p+21);
    g3 = mt_fma_f64(g3, g_u4, 0x1.7f19d2083858dp+3);
    g = mt_fma_f64(g, g_u4, -0x1.d73d2ab113d26p-5);
    g1 = mt_fma_f64(g1, g_u4, -0x1.c43cbd25b9245p-4);
    g2 = mt_fma_f64(g2, g_u4, -0x1.793b83993c1e2p-2);
    g3 = mt_fma_f64(g3, g_u4, -0x1.4f1c964f23ceep-5);
    g = mt_fma_f64(g, g_u4, 0x1.9884533d43651p-2);
    g1 = mt_fma_f64(g1, g_u4, -0x1.32633e6df3544p-3);
    g2 = mt_fma_f64(g2, g_u4, -0x1.7efc0e00174c8p-5);
    g = mt_fma_f64(g1, u, g);
    g2 = mt_fma_f64(g3, u, g2);
    g = mt_fma_f64(g2, g_u2, g);
    double large = mt_exp_times_f64(a, g * __builtin_sqrt(u));
    double y = a <= 8 ? 0.5 * a * p : large;
    return x < 0 ? -y : y;
}

MT_INLINE float
mt_i1e_f32(float x)
{
    float a = mt_abs_f32(x), q = 0.25f * a * a, u = 1 / a;
    float p_q2 = q * q;
    float p = 0x1.a12cb8p-35f; /* i1_f32 */
    float p1 = 0x1.8f8ffcp-40f;
    p = mt_fma_f32(p, p_q2, 0x1.2484d6p-22f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.697ea6p-28f);
    p = mt_fma_f32(p, p_q2, 0x1.6c0916p-12f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.84ede8p-17f);
    p = mt_fma_f32(p, p_q2, 0x1.55554ap-4f);
    p1 = mt_fma_f32(p1, p_q2, 0x1.c71dbap-8f);
    p = mt_fma_f32(p, p_q2, 0x1p+0f);
    p1 = mt_fma_f32(p1, p_q2, 0x1p-1f);
    p = mt_fma_f32(p1, q, p);
    float g = -0x1.e5d31cp-2f; /* i1_large_f32 */
    g = mt_fma_f32(g, u, 0x1.1b6948p-6f);
    g = mt_fma_f32(g, u, -0x1.81e98ep-5f);
    g = mt_fma_f32(g, u, -0x1.7d1fp-5f);
    g = mt_fma_f32(g, u, -0x1.3264f4p-3f);
    g = mt_fma_f32(g, u, 0x1.988454p-2f);
    float large = g * __builtin_sqrtf(u);
    float y = a <= 8 ? 0.5f * a * p * mt_exp_neg_abs_f32(a) : large;
    return x < 0 ? -y : y;
}

MT_INLINE double
mt_i1e_f64(double x)
{
    double a = mt_abs_f64(x), q = 0.25 * a * a, u = 1 / a;
    double p_q2 = q * q, p_q4 = p_q2 * p_q2;
    double p = 0x1.8adad1fb34ce4p-62; /* i1_f64 */
    double p1 = 0x1.1c07bc099578cp-69;
    double p2 = 0x1.274df11f186a2p-77;
    double p3 = 0x1.177847f0b6392p-84;
    p = mt_fma_f64(p, p_q4, 0x1.2c9757490f265p-34);
    p1 = mt_fma_f64(p1, p_q4, 0x1.ab820eb752208p-41);
    p2 = mt_fma_f64(p2, p_q4, 0x1.f1743be42893dp-48);
    p3 = mt_fma_f64(p3, p_q4, 0x1.e27fdb26e8e22p-55);
    p = mt_fma_f64(p, p_q4, 0x1.6c16c16c1634ep-12);
    p1 = mt_fma_f64(p1, p_q4, 0x1.845c8a0cf4989p-17);
    p2 = mt_fma_f64(p2, p_q4, 0x1.27e4fb7679e61p-22);
    p3 = mt_fma_f64(p3, p_q4, 0x1.522a440f205bap-28);
    p = mt_fma_f64(p, p_q4, 0x1p+0);
    p1 = mt_fma_f64(p1, p_q4, 0x1p-1);
    p2 = mt_fma_f64(p2, p_q4, 0x1.5555555555554p-4);
    p3 = mt_fma_f64(p3, p_q4, 0x1.c71c71c71c773p-8);
    p = mt_fma_f64(p1, q, p);
    p2 = mt_fma_f64(p3, q, p2);
    p = mt_fma_f64(p2, p_q2, p);
    double g_u2 = u * u, g_u4 = g_u2 * g_u2;
    double g = -0x1.547a6ffe4376fp+54; /* i1_large_f64 */
    double g1 = 0x1.11411fa28a354p+55;
    double g2 = -0x1.94f7640fe42b1p+54;
    double g3 = 0x1.03b42314d2393p+53;
    g = mt_fma_f64(g, g_u4, -0x1.d3c7198fb4bdbp+45);
    g1 = mt_fma_f64(g1, g_u4, 0x1.9b18ae998c503p+48);
    g2 = mt_fma_f64(g2, g_u4, -0x1.0f3b30dfeda73p+51);
    g3 = mt_fma_f64(g3, g_u4, 0x1.98040d66d44d7p+42);
    g = mt_fma_f64(g, g_u4, -0x1.e37712fec72dbp+30);
    g1 = mt_fma_f64(g1, g_u4, 0x1.242fe3ce11a06p+35);
    g2 = mt_fma_f64(g2, g_u4, -0x1.143c85b2477a7p+39);
    g3 = mt_fma_f64(g3, g_u4, 0x1.37abb9b5c321ep+26);
    g = mt_fma_f64(g, g_u4, -0x1.05d6920b84fb3p+10);
    g1 = mt_fma_f64(g1, g_u4, 0x1.d484509c28c2ap+15);
    g2 = mt_fma_f64(g2, g_u4, -0x1.36308db7e7429p+21);
    g3 = mt_fma_f64(g3, g_u4, 0x1.7f19d2083858dp+3);
    g = mt_fma_f64(g, g_u4, -0x1.d73d2ab113d26p-5);
    g1 = mt_fma_f64(g1, g_u4, -0x1.c43cbd25b9245p-4);
    g2 = mt_fma_f64(g2, g_u4, -0x1.793b83993c1e2p-2);
    g3 = mt_fma_f64(g3, g_u4, -0x1.4f1c964f23ceep-5);
    g = mt_fma_f64(g, g_u4, 0x1.9884533d43651p-2);
    g1 = mt_fma_f64(g1, g_u4, -0x1.32633e6df3544p-3);
    g2 = mt_fma_f64(g2, g_u4, -0x1.7efc0e00174c8p-5);
    g = mt_fma_f64(g1, u, g);
    g2 = mt_fma_f64(g3, u, g2);
    g = mt_fma_f64(g2, g_u2, g);
    double large = g * __builtin_sqrt(u);
    double y = a <= 8 ? 0.5 * a * p * mt_exp_neg_abs_f64(a) : large;
    return x < 0 ? -y : y;
}
