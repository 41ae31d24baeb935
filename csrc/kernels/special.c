/* Special functions of float64, one element at a time. Formulas: NIST Digital Library of
 * Mathematical Functions (DLMF), sections named beside them. */
#define _GNU_SOURCE
#include "kernels/scalar_special.h"

#include <math.h>

/* ---- zeta and its relatives ------------------------------------------------------------------- */

/* Sum of (q + k)^-x over k >= 0 (DLMF 25.11.28): the first terms, then Euler-Maclaurin. */
double
mt_hurwitz_f64(double x, double q)
{
    /* B_2j / (2j)! */
    static const double c[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160,
                               -691.0 / 1307674368000, 1.0 / 74724249600, -3617.0 / 10670622842880000};
    if (x == 1)
        return INFINITY;
    if (!(x > 1))
        return NAN;
    if (q <= 0) {
        if (q == floor(q))
            return INFINITY;
        if (x != floor(x))
            return NAN;
    }
    double sum = 0, w = q, term;
    for (int k = 0; k < 12 || w < 12; k++, w += 1) {
        term = pow(w, -x);
        sum += term;
        if (fabs(term) < fabs(sum) * 1e-17)
            return sum;
    }
    term = pow(w, -x);
    sum += w * term / (x - 1) + 0.5 * term;
    double rising = x, power = term / w;
    for (int j = 0; j < (int)MT_COUNT(c); j++) {
        sum += c[j] * rising * power;
        rising *= (x + 2 * j + 1) * (x + 2 * j + 2);
        power /= w * w;
    }
    return sum;
}

double
mt_trigamma_f64(double x)
{
    if (x < 0.5) { /* DLMF 5.15.6 */
        double s = sin(M_PI * x) / M_PI;
        return 1 / (s * s) - mt_hurwitz_f64(2, 1 - x);
    }
    return mt_hurwitz_f64(2, x);
}

/* Derivative n of digamma: (-1)^(n+1) n! zeta(n + 1, x) (DLMF 25.11.12). */
double
mt_poly_gamma_f64(double x, double n)
{
    if (n == 0)
        return mt_digamma_f64(x);
    if (n == 1)
        return mt_trigamma_f64(x);
    double sign = fmod(n, 2) == 0 ? -1 : 1;
    return sign * tgamma(n + 1) * mt_hurwitz_f64(n + 1, x);
}

/* ---- incomplete gamma functions --------------------------------------------------------------- */

/* x^a e^-x / Gamma(a), without the cancellation of large exponents. */
static double
gamma_factor(double a, double x)
{
    int sign;
    if (a < 10)
        return exp(a * log(x) - x - lgamma_r(a, &sign));
    /* Stirling's series of Gamma(a), DLMF 5.11.1 */
    double u = 1 / a, u2 = u * u;
    double stirling = u * (1.0 / 12 - u2 * (1.0 / 360 - u2 * (1.0 / 1260 - u2 * (1.0 / 1680 - u2 / 1188))));
    double d = (x - a) / a, inside;
    if (fabs(d) < 0.3) { /* log1p(d) - d by its series in d / (2 + d) */
        double t = d / (2 + d), t2 = t * t, p = 0;
        for (int k = 25; k >= 3; k -= 2)
            p = p * t2 + 2.0 / k;
        inside = p * t2 * t + (2 * t - d);
        /* 2 t - d = -d t */
        inside = p * t2 * t - d * t;
    } else
        inside = log(x / a) - d;
    return exp(a * inside - stirling) * sqrt(a / (2 * M_PI));
}

/* DLMF 8.7.1 in the form 8.5.1: P. */
static double
gamma_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (int k = 1; k < 20000 && term > sum * 1e-17; k++) {
        term *= x / (a + k);
        sum += term;
    }
    return sum * gamma_factor(a, x);
}

/* DLMF 8.9.2, the continued fraction by Lentz: Q. */
static double
gamma_fraction(double a, double x)
{
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int k = 1; k < 20000; k++) {
        double n = -k * (k - a);
        b += 2;
        d = n * d + b;
        d = fabs(d) < 1e-300 ? 1e-300 : d;
        c = b + n / c;
        c = fabs(c) < 1e-300 ? 1e-300 : c;
        d = 1 / d;
        double step = d * c;
        h *= step;
        if (fabs(step - 1) < 1e-16)
            break;
    }
    return h * gamma_factor(a, x);
}

/* Q for small x: 1 - x^a / Gamma(a + 1) and the rest of the series, without 1 - (nearly 1). */
static double
gamma_small(double a, double x)
{
    double term = 1, sum = 0;
    int sign;
    for (int k = 1; k < 2000; k++) {
        term *= -x / k;
        double t = term / (a + k);
        sum += t;
        if (fabs(t) <= fabs(sum) * 1e-17)
            break;
    }
    double log_x = log(x);
    double first = -expm1(a * log_x - lgamma_r(1 + a, &sign));
    return first - exp(a * log_x - lgamma_r(a, &sign)) * sum;
}

double
mt_gamma_p_f64(double a, double x)
{
    if (isnan(a) || isnan(x) || x < 0 || a < 0)
        return NAN;
    if (a == 0)
        return x > 0 ? 1 : NAN;
    if (x == 0)
        return 0;
    if (isinf(a))
        return isinf(x) ? NAN : 0;
    if (isinf(x))
        return 1;
    return x > 1 && x > a ? 1 - gamma_fraction(a, x) : gamma_series(a, x);
}

double
mt_gamma_q_f64(double a, double x)
{
    if (isnan(a) || isnan(x) || x < 0 || a < 0)
        return NAN;
    if (a == 0)
        return x > 0 ? 0 : NAN;
    if (x == 0)
        return 1;
    if (isinf(a))
        return isinf(x) ? NAN : 1;
    if (isinf(x))
        return 0;
    if (x > 1.1 && x >= a)
        return gamma_fraction(a, x);
    if (x <= 1.1 && a * 1.1 > x / 10)
        return a < 0.3 ? gamma_small(a, x) : 1 - gamma_series(a, x);
    return x <= 1.1 ? gamma_small(a, x) : 1 - gamma_series(a, x);
}

/* ---- Bessel functions ------------------------------------------------------------------------- */

double mt_bessel_j0_f64(double x) { return j0(x); }
double mt_bessel_j1_f64(double x) { return j1(x); }
double mt_bessel_y0_f64(double x) { return x < 0 ? NAN : y0(x); }
double mt_bessel_y1_f64(double x) { return x < 0 ? NAN : y1(x); }

/* e^x K_v(x) = integral of exp(-x (cosh t - 1)) cosh(v t) over t > 0 (DLMF 10.32.9). The trapezoidal
 * rule converges exponentially; the step follows the width of the integrand. */
static double
scaled_k(double v, double x)
{
    if (x < 0 || isnan(x))
        return NAN;
    if (x == 0)
        return INFINITY;
    double h = 0.7 / sqrt(x), sum = 0.5;
    h = h < 0.2 ? h : 0.2;
    for (int k = 1; k < 5000; k++) {
        double t = k * h, s = sinh(0.5 * t), e = 2 * x * s * s, term = exp(v * t - e);
        term = 0.5 * (term + exp(-v * t - e));
        sum += term;
        if (term < sum * 1e-18)
            break;
    }
    return sum * h;
}

double mt_scaled_k0_f64(double x) { return scaled_k(0, x); }
double mt_scaled_k1_f64(double x) { return scaled_k(1, x); }
double mt_modified_k0_f64(double x) { return scaled_k(0, x) * exp(-x); }
double mt_modified_k1_f64(double x) { return scaled_k(1, x) * exp(-x); }

double
mt_spherical_j0_f64(double x)
{
    if (isinf(x))
        return 0;
    double s = x * x;
    if (fabs(x) < 0.5)
        return 1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110 * (1 - s / 156)))));
    return sin(x) / x;
}

/* Ai: the power series about 0 (DLMF 9.4.1) where it is accurate, K_1/3 for larger positive x
 * (9.6.2), the oscillating expansion for larger negative x (9.7.9). */
double
mt_airy_ai_f64(double x)
{
    if (isnan(x))
        return x;
    if (isinf(x))
        return 0;
    if (x > 1.5) {
        double z = 2.0 / 3 * x * sqrt(x);
        return z > 745 ? 0 : sqrt(x / 3) / M_PI * scaled_k(1.0 / 3, z) * exp(-z);
    }
    if (x > -8.5) {
        const long double c1 = 0.355028053887817239260063186004183L, c2 = 0.258819403792806798405183560189204L;
        long double cube = (long double)x * x * x, f = 1, g = x, tf = 1, tg = x;
        for (int k = 1; k < 200; k++) {
            tf *= cube / ((3 * k - 1) * (3.0L * k));
            tg *= cube / ((3.0L * k) * (3 * k + 1));
            f += tf;
            g += tg;
            if (fabsl(tf) < 1e-22L * fabsl(f) && fabsl(tg) < 1e-22L * fabsl(g))
                break;
        }
        return (double)(c1 * f - c2 * g);
    }
    double a = -x, z = 2.0 / 3 * a * sqrt(a), even = 0, odd = 0, u = 1, last = INFINITY;
    for (int k = 0; k < 40; k++) {
        if (fabs(u) > last || fabs(u) < 1e-18)
            break;
        last = fabs(u);
        double sign = (k / 2) % 2 ? -1 : 1;
        if (k % 2)
            odd += sign * u;
        else
            even += sign * u;
        u *= (6.0 * k + 1) * (6.0 * k + 3) * (6.0 * k + 5) / (216.0 * (k + 1) * (2 * k + 1)) / z;
    }
    return (cos(z - M_PI / 4) * even + sin(z - M_PI / 4) * odd) / (sqrt(M_PI) * sqrt(sqrt(a)));
}

/* ---- orthogonal polynomials ------------------------------------------------------------------- */

/* p_0 = 1, p_1 = first, p_(k+1) = 2 x p_k - p_(k-1). */
static double
chebyshev(double x, double n, double first)
{
    double p = 1, q = first;
    if (n == 0)
        return 1;
    for (int64_t k = 1; k < (int64_t)n; k++) {
        double r = 2 * x * q - p;
        p = q;
        q = r;
    }
    return q;
}

static bool
is_even(double n)
{
    return (int64_t)n % 2 == 0;
}

double
mt_chebyshev_t_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    if (fabs(x) == 1)
        return x > 0 || is_even(n) ? 1 : -1;
    if (n > 6 && fabs(x) < 1)
        return cos(n * acos(x));
    return chebyshev(x, n, x);
}

double
mt_chebyshev_u_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    if (fabs(x) == 1)
        return x > 0 || is_even(n) ? n + 1 : -(n + 1);
    if (n > 8 && fabs(x) < 1) {
        double a = acos(x);
        return sin(a) != 0 ? sin((n + 1) * a) / sin(a) : (n + 1) * cos((n + 1) * a) / x;
    }
    return chebyshev(x, n, 2 * x);
}

double
mt_chebyshev_v_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    if (fabs(x) == 1)
        return x > 0 ? 1 : is_even(n) ? 2 * n + 1 : -(2 * n + 1);
    if (n > 8 && fabs(x) < 1) {
        double a = acos(x);
        return cos((n + 0.5) * a) / cos(a / 2);
    }
    return chebyshev(x, n, 2 * x - 1);
}

double
mt_chebyshev_w_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    if (fabs(x) == 1)
        return x > 0 ? 2 * n + 1 : is_even(n) ? 1 : -1;
    if (n > 8 && fabs(x) < 1) {
        double a = acos(x);
        return sin((n + 0.5) * a) / sin(a / 2);
    }
    return chebyshev(x, n, 2 * x + 1);
}

double
mt_hermite_h_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    double p = 1, q = 2 * x;
    if (n == 0)
        return 1;
    if (n > 128)
        return NAN;
    for (int k = 2; k < (int)n + (int)n; k += 2) {
        double r = 2 * x * q - k * p;
        p = q;
        q = r;
    }
    return q;
}

double
mt_hermite_he_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    double p = 1, q = x;
    if (n == 0)
        return 1;
    if (n > 128)
        return NAN;
    for (int k = 1; k < (int)n; k++) {
        double r = x * q - k * p;
        p = q;
        q = r;
    }
    return q;
}

double
mt_laguerre_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    if (x == 0 || n == 0)
        return 1;
    double p = 1, q = 1 - x;
    for (int64_t k = 1; k < (int64_t)n; k++) {
        double r = ((2 * (double)k + 1 - x) * q - (double)k * p) / (double)(k + 1);
        p = q;
        q = r;
    }
    return q;
}

double
mt_legendre_f64(double x, double n)
{
    n = trunc(n);
    if (n < 0)
        return 0;
    if (fabs(x) == 1)
        return x > 0 || is_even(n) ? 1 : -1;
    if (n == 0)
        return 1;
    double p = 1, q = x;
    for (int64_t k = 1; k < (int64_t)n; k++) {
        double r = ((2 * (double)k + 1) * x * q - (double)k * p) / (double)(k + 1);
        p = q;
        q = r;
    }
    return q;
}
