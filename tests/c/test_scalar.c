/* Tests of kernels/scalar.h: errors in units of the last place over dense samples, special values,
 * and that an element's bits do not depend on its place in the array. */
#include <complex.h>
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "kernels/scalar.h"

/* ---- references that the C library does not have ---- */

static long double
logit_ref(long double x)
{
    return fabsl(x - 0.5L) < 0.25L ? log1pl((2 * x - 1) / (1 - x)) : logl(x / (1 - x));
}

static long double
log1p_exp_ref(long double x)
{
    return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}

static long double
log_ndtr_ref(long double x)
{
    long double t = x * 0.70710678118654752440L;
    return x > 0 ? log1pl(-0.5L * erfcl(t)) : logl(0.5L * erfcl(-t));
}

static long double
gelu_tanh_ref(long double x)
{
    return x / (1 + expl(-2 * 0.79788456080286535588L * (x + 0.044715L * x * x * x)));
}

/* The root of erfc(y) = q, with p = 1 - q, after Halley. */
static long double
erfcinv_ref(long double q, long double p)
{
    if (p == 0 || q <= 0)
        return p == 0 ? 0 : INFINITY;
    long double y = p * 0.88622692545275801365L;
    if (q <= 0.5L) {
        y = sqrtl(-logl(q));
        y = sqrtl(fmaxl(0.1L, -logl(q * y * 1.77L)));
    }
    for (int i = 0; i < 60; i++) {
        long double rest = q > 0.5L ? erfl(y) - p : q - erfcl(y);
        long double step = rest * 0.88622692545275801365L * expl(y * y);
        step /= 1 + y * step;
        y -= step;
        if (fabsl(step) < 1e-19L * fabsl(y))
            break;
    }
    return y;
}

static long double
erfinv_ref(long double x)
{
    return copysignl(erfcinv_ref(1 - fabsl(x), fabsl(x)), x);
}

static long double
ndtri_ref(long double x)
{
    long double q = 2 * (x > 0.5L ? 1 - x : x);
    return copysignl(1.41421356237309504880L * erfcinv_ref(q, 1 - q), x - 0.5L);
}

static long double
lgamma_ref(long double x)
{
    return lgammal(x);
}

static long double
digamma_ref(long double x)
{
    if (x == 0)
        return copysignl(INFINITY, -x);
    long double sum = 0;
    for (; x < 20; x++)
        sum -= 1 / x;
    long double u = 1 / (x * x), series = 3617.0L / 8160;
    static const long double terms[] = {1.0L / 12,  691.0L / 32760, 1.0L / 132, 1.0L / 240,
                                        1.0L / 252, 1.0L / 120,     1.0L / 12};
    for (int i = 0; i < 7; i++)
        series = terms[i] - u * series;
    return sum + logl(x) - 0.5L / x - u * series;
}

/* The power series, from 120 on the asymptotic one. */
static long double
bessel_i_ref(int order, long double x)
{
    long double a = fabsl(x), sum = 0;
    if (a < 120) {
        long double q = a * a / 4, term = order ? a / 2 : 1;
        for (int k = 0; k < 400; k++) {
            sum += term;
            term *= q / ((k + 1) * (long double)(k + 1 + order));
        }
    } else {
        long double term = expl(a) / sqrtl(2 * 3.14159265358979323846L * a);
        for (int k = 0; k < 40; k++) {
            sum += term;
            term *= -(4 * order * order - (2 * k + 1.0L) * (2 * k + 1)) / ((k + 1) * 8 * a);
        }
    }
    return order ? copysignl(sum, x) : sum;
}

/* ---- samples ---- */

static uint64_t random_state = 88172645463325252u;

static double
random_unit(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) * 0x1p-53;
}

/* In [from, to]: uniform, or uniform times a power of two down to `lowest`. */
static double
random_in(double from, double to, int lowest)
{
    double x = from + (to - from) * random_unit();
    if (random_unit() < 0.5)
        x = ldexp(x, -(int)(random_unit() * (random_unit() < 0.5 ? 30 : lowest)));
    return x < from ? from : x > to ? to : x;
}

/* The distance of neighbours at x, with `digits` bits and the lowest exponent `lowest`. */
static long double
spacing(long double x, int digits, int lowest)
{
    int exponent;
    frexpl(x, &exponent);
    return ldexpl(1, (x == 0 || exponent < lowest ? lowest : exponent) - digits);
}

#define SAMPLES 20000
#define PIECE 250

/* One test for a function of either type: T, its name in the macro, digits, the lowest normal
 * exponent as frexp counts, the largest number, the lowest power of two of samples. */
#define DEFINE_CHECK(F, T, REF, DIGITS, LOWEST, LARGEST, SMALLEST)                                 \
    static void check_##F(const char *name, REF (*reference)(REF),                                 \
                          void (*loop)(T *, const T *, int64_t), double from, double to,           \
                          double limit)                                                            \
    {                                                                                              \
        static T in[PIECE], out[PIECE];                                                            \
        long double worst = 0, where = 0;                                                          \
        int wrong = 0;                                                                             \
        for (int piece = 0; piece < SAMPLES / PIECE; piece++) {                                    \
            for (int i = 0; i < PIECE; i++)                                                        \
                in[i] = (T)random_in(from, to, SMALLEST);                                          \
            in[0] = (T)(piece % 2 ? from : to);                                                    \
            loop(out, in, PIECE);                                                                  \
            for (int i = 0; i < PIECE; i++) {                                                      \
                REF expected = reference(in[i]);                                                   \
                T rounded = (T)expected, got = out[i];                                             \
                if (isnan(expected) || isinf(rounded) || isnan(got) || isinf(got)) {               \
                    /* The border of overflow may be missed by the last place. */                  \
                    bool border = !isnan(expected) && !isnan(got) &&                               \
                                  !signbit(got) == !signbit(rounded) &&                            \
                                  fabsl(got) > LARGEST * 0.99999 &&                                \
                                  fabsl(rounded) > LARGEST * 0.99999;                              \
                    wrong += !((isnan(expected) && isnan(got)) || got == rounded || border);       \
                    continue;                                                                      \
                }                                                                                  \
                if (expected == 0)                                                                 \
                    wrong += !signbit(expected) != !signbit(got);                                  \
                long double error =                                                                \
                    fabsl((long double)got - expected) / spacing(expected, DIGITS, LOWEST);        \
                if (error > worst) {                                                               \
                    worst = error;                                                                 \
                    where = in[i];                                                                 \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        if (!CHECK(worst <= limit && wrong == 0))                                                  \
            printf("    " #F " %s: %.2Lf ulp at %La, %g allowed; %d wrong\n", name, worst, where,  \
                   limit, wrong);                                                                  \
    }
DEFINE_CHECK(f32, float, double, 24, -125, 3.4028235e38, 150)
DEFINE_CHECK(f64, double, long double, 53, -1021, 1.7976931348623157e308L, 1080)

/* The loops: one line each, since the compiler reports vectorised loops by line. */
#define CASE_F32(name, ref, from, to, ulps)                                                        \
    static double reference_##name##_f32(double x) { return (double)(ref); }                       \
    static __attribute__((noinline)) void loop_##name##_f32(                                       \
        float *MT_RESTRICT out, const float *MT_RESTRICT in, int64_t n)                            \
    { for (int64_t i = 0; i < n; i++) out[i] = mt_##name##_f32(in[i]); }
#define CASE_F64(name, ref, from, to, ulps)                                                        \
    static long double reference_##name##_f64(long double x) { return ref; }                       \
    static __attribute__((noinline)) void loop_##name##_f64(                                       \
        double *MT_RESTRICT out, const double *MT_RESTRICT in, int64_t n)                          \
    { for (int64_t i = 0; i < n; i++) out[i] = mt_##name##_f64(in[i]); }
#include "scalar_cases.h"
#undef CASE_F32
#undef CASE_F64

static void
test_errors(void)
{
#define CASE_F32(name, ref, from, to, ulps)                                                        \
    check_f32(#name, reference_##name##_f32, loop_##name##_f32, from, to, ulps);
#define CASE_F64(name, ref, from, to, ulps)                                                        \
    check_f64(#name, reference_##name##_f64, loop_##name##_f64, from, to, ulps);
#include "scalar_cases.h"
#undef CASE_F32
#undef CASE_F64
}

/* ---- an element's bits do not depend on its neighbours ---- */

#define DEFINE_PLACES(F, T)                                                                        \
    static void places_##F(const char *name, void (*loop)(T *, const T *, int64_t), double from,   \
                           double to)                                                              \
    {                                                                                              \
        static const double special[] = {0,   -0.0,      INFINITY, -INFINITY, NAN, 1e-320,         \
                                         1e30, -1e30, 1e300,    -1e-40,    88,  -104};             \
        T in[83], whole[83], part[83];                                                             \
        for (int i = 0; i < 83; i++)                                                               \
            in[i] = (T)(i % 6 == 5 ? special[i / 6 % 12] : random_in(from, to, 40));               \
        loop(whole, in, 83);                                                                       \
        bool same = true;                                                                          \
        for (int start = 0; start < 83; start += 1 + start / 9) {                                  \
            for (int n = 1; start + n <= 83; n += 1 + n / 5) {                                     \
                loop(part, in + start, n);                                                         \
                for (int i = 0; i < n; i++)                                                        \
                    same &= memcmp(&part[i], &whole[start + i], sizeof(T)) == 0 ||                 \
                            (isnan(part[i]) && isnan(whole[start + i]));                           \
            }                                                                                      \
        }                                                                                          \
        if (!CHECK(same))                                                                          \
            printf("    " #F " %s: bits depend on the place\n", name);                             \
    }
DEFINE_PLACES(f32, float)
DEFINE_PLACES(f64, double)

static void
test_places(void)
{
#define CASE_F32(name, ref, from, to, ulps) places_f32(#name, loop_##name##_f32, from, to);
#define CASE_F64(name, ref, from, to, ulps) places_f64(#name, loop_##name##_f64, from, to);
#include "scalar_cases.h"
#undef CASE_F32
#undef CASE_F64
}

/* ---- special values ---- */

static bool
same_number(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

/* In both types; NaN stays NaN everywhere. */
#define SPECIAL(name, x, expected)                                                                 \
    if (!CHECK(same_number(mt_##name##_f32((float)(x)), (float)(expected)) &&                      \
               same_number(mt_##name##_f64(x), expected)))                                         \
        printf("    " #name "(%g): %g %g, expected %g\n", (double)(x),                             \
               (double)mt_##name##_f32((float)(x)), mt_##name##_f64(x), (double)(expected));

static void
test_special_values(void)
{
    const double inf = INFINITY, half_pi = 0x1.921fb54442d18p+0;
#define CASE_F32(name, ref, from, to, ulps) CHECK(isnan(mt_##name##_f32(NAN)));
#define CASE_F64(name, ref, from, to, ulps) CHECK(isnan(mt_##name##_f64(NAN)));
#include "scalar_cases.h"
#undef CASE_F32
#undef CASE_F64
    SPECIAL(exp, inf, inf)
    SPECIAL(exp, -inf, 0.0)
    SPECIAL(exp, -0.0, 1.0)
    SPECIAL(exp, 1e5, inf)
    SPECIAL(exp, -1e5, 0.0)
    SPECIAL(exp2, inf, inf)
    SPECIAL(exp2, -inf, 0.0)
    SPECIAL(exp2, 10, 1024)
    SPECIAL(exp2, -3, 0.125)
    SPECIAL(expm1, inf, inf)
    SPECIAL(expm1, -inf, -1.0)
    SPECIAL(expm1, -0.0, -0.0)
    SPECIAL(sigmoid, inf, 1.0)
    SPECIAL(sigmoid, -inf, 0.0)
    SPECIAL(sigmoid, 0, 0.5)
    SPECIAL(silu, inf, inf)
    SPECIAL(silu, -inf, NAN)
    SPECIAL(tanh, inf, 1.0)
    SPECIAL(tanh, -inf, -1.0)
    SPECIAL(tanh, -0.0, -0.0)
    SPECIAL(sinh, -inf, -inf)
    SPECIAL(sinh, -0.0, -0.0)
    SPECIAL(cosh, -inf, inf)
    SPECIAL(cosh, 0, 1.0)
    SPECIAL(log, 0, -inf)
    SPECIAL(log, -0.0, -inf)
    SPECIAL(log, -1, NAN)
    SPECIAL(log, -inf, NAN)
    SPECIAL(log, inf, inf)
    SPECIAL(log, 1, 0.0)
    SPECIAL(log2, 8, 3.0)
    SPECIAL(log2, 0.25, -2.0)
    SPECIAL(log2, 0, -inf)
    SPECIAL(log10, 1, 0.0)
    SPECIAL(log10, inf, inf)
    SPECIAL(log10, -1, NAN)
    SPECIAL(log1p, -1, -inf)
    SPECIAL(log1p, -2, NAN)
    SPECIAL(log1p, inf, inf)
    SPECIAL(log1p, -0.0, -0.0)
    SPECIAL(logit, 0, -inf)
    SPECIAL(logit, 1, inf)
    SPECIAL(logit, 0.5, 0.0)
    SPECIAL(logit, 2, NAN)
    SPECIAL(logit, -1, NAN)
    SPECIAL(log_sigmoid, inf, 0.0)
    SPECIAL(log_sigmoid, -inf, -inf)
    SPECIAL(mish, inf, inf)
    SPECIAL(mish, -inf, NAN)
    SPECIAL(asinh, -inf, -inf)
    SPECIAL(asinh, -0.0, -0.0)
    SPECIAL(acosh, 0.5, NAN)
    SPECIAL(acosh, -5, NAN)
    SPECIAL(acosh, 1, 0.0)
    SPECIAL(acosh, inf, inf)
    SPECIAL(atanh, 1, inf)
    SPECIAL(atanh, -1, -inf)
    SPECIAL(atanh, 1.5, NAN)
    SPECIAL(sin, inf, NAN)
    SPECIAL(sin, -0.0, -0.0)
    SPECIAL(cos, -inf, NAN)
    SPECIAL(cos, 0, 1.0)
    SPECIAL(tan, inf, NAN)
    SPECIAL(asin, 1, half_pi)
    SPECIAL(asin, 1.5, NAN)
    SPECIAL(asin, -0.0, -0.0)
    SPECIAL(acos, 1, 0.0)
    SPECIAL(acos, -1, 2 * half_pi)
    SPECIAL(acos, -1.5, NAN)
    SPECIAL(atan, inf, half_pi)
    SPECIAL(atan, -inf, -half_pi)
    SPECIAL(atan, -0.0, -0.0)
    SPECIAL(sinc, 0, 1.0)
    SPECIAL(erf, inf, 1.0)
    SPECIAL(erf, -inf, -1.0)
    SPECIAL(erf, -0.0, -0.0)
    SPECIAL(erfc, inf, 0.0)
    SPECIAL(erfc, -inf, 2.0)
    SPECIAL(erfcx, -inf, inf)
    SPECIAL(erfinv, 1, inf)
    SPECIAL(erfinv, -1, -inf)
    SPECIAL(erfinv, 1.5, NAN)
    SPECIAL(erfinv, 0, 0.0)
    SPECIAL(ndtri, 0, -inf)
    SPECIAL(ndtri, 1, inf)
    SPECIAL(ndtri, 0.5, 0.0)
    SPECIAL(ndtri, -0.5, NAN)
    SPECIAL(ndtri, 1.5, NAN)
    SPECIAL(log_ndtr, -inf, -inf)
    SPECIAL(lgamma, 0, inf)
    SPECIAL(lgamma, -3, inf)
    SPECIAL(lgamma, 1, 0.0)
    SPECIAL(lgamma, 2, 0.0)
    SPECIAL(lgamma, inf, inf)
    SPECIAL(lgamma, -inf, inf)
    SPECIAL(digamma, 0, -inf)
    SPECIAL(digamma, -0.0, inf)
    SPECIAL(digamma, -3, NAN)
    SPECIAL(digamma, inf, inf)
    SPECIAL(i0, 0, 1.0)
    SPECIAL(i1, 0, 0.0)
    SPECIAL(i0e, inf, 0.0)
    SPECIAL(rsqrt, 0, inf)
    SPECIAL(rsqrt, -1, NAN)
    CHECK(same_number(mt_softplus_f32(30, 1, 20), 30));
    CHECK(same_number(mt_softplus_f64(10, 2, 20), 0.5 * log1p(exp(20))));
}

/* ---- two arguments ---- */

static const double numbers[] = {
    0,    -0.0,   1,       -1,       0.5,       -0.5, 2,    -2,
    3,    -3,     2.5,     -2.5,     1e-5,      1e15, 4503599627370497.0, 9007199254740993.0,
    1e300, -1e300, 5e-324, -5e-324, INFINITY, -INFINITY, NAN,
};

static void
test_pairs(void)
{
    double worst_pow = 0, worst_pow32 = 0, worst_atan2 = 0, worst_atan2_32 = 0, worst_hypot = 0;
    for (size_t i = 0; i < MT_COUNT(numbers); i++) {
        for (size_t j = 0; j < MT_COUNT(numbers); j++) {
            double x = numbers[i], y = numbers[j];
            float xf = (float)x, yf = (float)y;
            double power = pow(x, y), angle = atan2(x, y), length = hypot(x, y);
            bool right = isfinite(power) && power != 0
                             ? fabs(mt_pow_f64(x, y) / power - 1) < 1e-15
                             : same_number(mt_pow_f64(x, y), power);
            right &= isfinite(powf(xf, yf)) && powf(xf, yf) != 0
                         ? fabsf(mt_pow_f32(xf, yf) / powf(xf, yf) - 1) < 1e-6f
                         : same_number(mt_pow_f32(xf, yf), powf(xf, yf));
            right &= angle != 0 && !isnan(angle) ? fabs(mt_atan2_f64(x, y) / angle - 1) < 1e-15
                                                 : same_number(mt_atan2_f64(x, y), angle);
            right &= isfinite(length) && length != 0 ? fabs(mt_hypot_f64(x, y) / length - 1) < 1e-15
                                                     : same_number(mt_hypot_f64(x, y), length);
            if (!CHECK(right))
                printf("    of %g and %g: pow %g %g, atan2 %g, hypot %g\n", x, y, mt_pow_f64(x, y),
                       (double)mt_pow_f32(xf, yf), mt_atan2_f64(x, y), mt_hypot_f64(x, y));
        }
    }
    for (int i = 0; i < SAMPLES; i++) {
        double x = random_in(0, 20, 100), y = random_in(-100, 100, 10);
        float xf = (float)x, yf = (float)y;
        long double power = powl(x, y), angle = atan2l(y, x), length = hypotl(x, y);
        if (power < 1e300L && power > 1e-300L)
            worst_pow = fmax(worst_pow, (double)(fabsl(mt_pow_f64(x, y) - power) /
                                                 spacing(power, 53, -1021)));
        power = powl(xf, yf);
        if (power < 1e38L && power > 1e-37L)
            worst_pow32 = fmax(worst_pow32, (double)(fabsl(mt_pow_f32(xf, yf) - power) /
                                                     spacing(power, 24, -125)));
        worst_atan2 = fmax(worst_atan2, (double)(fabsl(mt_atan2_f64(y, x) - angle) /
                                                 spacing(angle, 53, -1021)));
        angle = atan2l(yf, xf);
        worst_atan2_32 = fmax(worst_atan2_32, (double)(fabsl(mt_atan2_f32(yf, xf) - angle) /
                                                       spacing(angle, 24, -125)));
        worst_hypot = fmax(worst_hypot, (double)(fabsl(mt_hypot_f64(x, y) - length) /
                                                 spacing(length, 53, -1021)));
    }
    CHECK(worst_pow < 1);
    CHECK(worst_pow32 < 1);
    CHECK(worst_atan2 < 2);
    CHECK(worst_atan2_32 < 3);
    CHECK(worst_hypot < 1.5);

    CHECK(same_number(mt_xlogy_f64(0, 0), 0));
    CHECK(same_number(mt_xlogy_f32(0, -1), 0));
    CHECK(isnan(mt_xlogy_f64(0, NAN)));
    CHECK(isnan(mt_xlogy_f64(1, -1)));
    CHECK(same_number(mt_xlog1py_f64(0, -1), 0));
    CHECK(same_number(mt_xlog1py_f64(2, 0), 0));
}

/* ---- large angles ---- */

static void
test_large_angles(void)
{
    double worst = 0, worst32 = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double x = ldexp(random_unit() - 0.5, (int)(random_unit() * 1024));
        worst = fmax(worst, (double)(fabsl(mt_sin_f64(x) - sinl(x)) / spacing(sinl(x), 53, -1021)));
        worst = fmax(worst, (double)(fabsl(mt_cos_f64(x) - cosl(x)) / spacing(cosl(x), 53, -1021)));
        worst = fmax(worst, (double)(fabsl(mt_tan_f64(x) - tanl(x)) / spacing(tanl(x), 53, -1021)));
        float y = (float)ldexp(random_unit() - 0.5, (int)(random_unit() * 128));
        worst32 = fmax(worst32, fabs(mt_sin_f32(y) - sin(y)) / (double)spacing(sin(y), 24, -125));
        worst32 = fmax(worst32, fabs(mt_cos_f32(y) - cos(y)) / (double)spacing(cos(y), 24, -125));
        /* Where both forms hold they have the same bits. */
        if (!mt_trig_hard_f64(x))
            CHECK(mt_sin_f64(x) == mt_sin_easy_f64(x));
    }
    CHECK(worst < 1.5);
    CHECK(worst32 < 2);
    /* The double that is closest to a multiple of pi / 2. */
    double close = ldexp(6381956970095103.0, 797);
    CHECK(mt_cos_f64(close) == -0x1.14ae72e6ba22fp-61);
    CHECK(mt_sin_f64(close) == 1);
    for (int h = 0; h < 65536; h += 7) {
        mt_half half = {(uint16_t)h};
        if ((h & 0x7c00) != 0x7c00)
            CHECK(!mt_trig_hard_f32(mt_half_to_float(half)));
    }
}

/* ---- complex ---- */

static void
test_complex(void)
{
    double worst = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double a = random_in(-2, 2, 30), b = random_in(-2, 2, 30), c = random_in(-2, 2, 30),
               d = random_in(-2, 2, 30);
        mt_complex128 x = mt_make_c128(a, b), y = mt_make_c128(c, d);
        long double _Complex quotient = (long double _Complex)x / y;
        long double _Complex product = (long double _Complex)x * y;
        worst = fmax(worst, (double)(cabsl(mt_div_c128(x, y) - quotient) / cabsl(quotient)));
        worst = fmax(worst, (double)(cabsl(mt_mul_c128(x, y) - product) / cabsl(product)));
        worst = fmax(worst, fabs(mt_abs_c128(x) / cabs(x) - 1));
        long double _Complex e = cexpl(x);
        worst = fmax(worst, (double)(cabsl(mt_exp_c128(x) - e) / cabsl(e)));
        long double _Complex less = e - 1, share = e / (1 + e);
        worst = fmax(worst, (double)(cabsl(mt_expm1_c128(x) - less) / (cabsl(less) + 0.1L)));
        worst = fmax(worst, (double)(cabsl(mt_sigmoid_c128(x) - share) / cabsl(share)));
    }
    CHECK(worst < 16 * 0x1p-53);
    /* Without overflow on the way. */
    CHECK(mt_div_c64(mt_make_c64(1e30f, 1e30f), mt_make_c64(1e30f, 1e30f)) == 1);
    CHECK(mt_abs_c64(mt_make_c64(3e30f, 4e30f)) == 5e30f);
    CHECK(mt_abs_c128(mt_make_c128(3e-320, 4e-320)) == 5e-320);
    CHECK(isinf(mt_abs_c128(mt_make_c128(NAN, -INFINITY))));
    mt_complex128 zeroth = mt_div_c128(mt_make_c128(1, 2), mt_make_c128(0, -0.0));
    CHECK(isinf(creal(zeroth)) && isinf(cimag(zeroth)));
    CHECK(mt_sgn_c64(0) == 0);
    CHECK(cabs(mt_sgn_c128(mt_make_c128(3, 4)) - mt_make_c128(0.6, 0.8)) < 1e-15);
    CHECK(cabs(mt_log1p_c128(mt_make_c128(1e-20, 1e-10)) - mt_make_c128(1.5e-20, 1e-10)) < 1e-25);
}

int
main(void)
{
    test_errors();
    test_places();
    test_special_values();
    test_pairs();
    test_large_angles();
    test_complex();
    return check_done();
}
