/* Derivatives of gamma and beta draws in their shapes.
 *
 * A draw x of a distribution with cdf F(x; a) moves with the parameter a as if the probability
 * below it were held: dx/da = -(dF/da) / (dF/dx) (implicit reparametrisation; Figurnov, Mohamed and
 * Mnih, 2018). Both cdfs are a power law times a series of positive terms, which is differentiated
 * term by term. Everything is computed in float64. */
#include <float.h>
#include <math.h>

#include "base/error.h"
#include "kernels/scalar.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* ---- gamma draws -------------------------------------------------------------------------- */

/* P(a, x) = x^a e^-x / Gamma(a + 1) * S, S = sum over n of x^n / ((a + 1) ... (a + n)): the density
 * is x^(a-1) e^-x / Gamma(a), so dx/da = -(x / a) (S (log x - psi(a + 1)) + dS/da). */
static double
gamma_by_series(double a, double x)
{
    double term = 1, sum = 1, harmonic = 0, slope = 0;
    for (int n = 1; n < 100000; n++) {
        term *= x / (a + n);
        harmonic += 1 / (a + n);
        sum += term;
        slope -= term * harmonic;
        if (term * (1 + harmonic) < DBL_EPSILON * 1e-2 * sum)
            break;
    }
    return -x / a * (sum * (log(x) - mt_digamma_f64(a + 1)) + slope);
}

/* Q(a, x) = x^a e^-x / Gamma(a) * C with Legendre's continued fraction
 * C = 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...))), evaluated by
 * Lentz's method together with its logarithmic derivative. dx/da = x (C (log x - psi(a)) + dC/da),
 * since dP = -dQ. Wants x > a + 1. */
static double
gamma_by_fraction(double a, double x)
{
    double b = x + 1 - a, c = 1 / DBL_MIN, dc = 0, d = 1 / b, dd = d * d;
    double value = d, slope = dd; /* db/da = -1, so d(1/b)/da = 1/b^2 */
    for (int n = 1; n < 100000; n++) {
        double an = -n * (n - a), dan = n;
        b += 2;
        /* d <- 1 / (an d + b), c <- b + an / c */
        double below = an * d + b, dbelow = dan * d + an * dd - 1;
        d = 1 / below;
        dd = -dbelow * d * d;
        dc = -1 + dan / c - an * dc / (c * c);
        c = b + an / c;
        double step = c * d, dstep = dc * d + c * dd;
        slope = slope * step + value * dstep;
        value *= step;
        if (fabs(step - 1) + fabs(dstep) < 4 * DBL_EPSILON)
            break;
    }
    return x * (value * (log(x) - mt_digamma_f64(a)) + slope);
}

/* For shapes so large that the terms are many: the draw is a ((1 - 1/(9a)) + z / (3 sqrt a))^3 with
 * a normal z that does not depend on a (Wilson and Hilferty, 1931); the relative error is O(1/a). */
static double
gamma_by_normal(double a, double x)
{
    double root = cbrt(x / a), z = (root - 1 + 1 / (9 * a)) * 3 * sqrt(a);
    return x / a + 3 * a * root * root * (1 / (9 * a * a) - z / (6 * a * sqrt(a)));
}

static double
gamma_gradient(double a, double x)
{
    if (!(a > 0) || !(x >= 0) || isinf(a) || isinf(x))
        return NAN;
    if (x == 0)
        return 0;
    if (a > 1e7)
        return gamma_by_normal(a, x);
    return x <= a + 1 ? gamma_by_series(a, x) : gamma_by_fraction(a, x);
}

/* ---- beta draws --------------------------------------------------------------------------- */

/* I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) * S, S = sum over n of (a + b)_n / (a + 1)_n x^n. With the
 * density x^(a-1) (1 - x)^(b-1) / B(a, b): -(dI/da) / density / (1 - x) is
 * -(x / a) (S (log x - 1/a - psi(a) + psi(a + b)) + dS/da). */
static double
beta_from_below(double x, double a, double b)
{
    double term = 1, sum = 1, slope = 0, ratio = 0;
    for (int n = 0; n < 1000000; n++) {
        term *= x * (a + b + n) / (a + 1 + n);
        ratio += 1 / (a + b + n) - 1 / (a + 1 + n);
        sum += term;
        slope += term * ratio;
        if (x * (a + b + n) < a + 1 + n && term * (1 + fabs(ratio)) < DBL_EPSILON * (1 - x) * sum)
            break;
    }
    return -x / a * (sum * (log(x) - 1 / a - mt_digamma_f64(a) + mt_digamma_f64(a + b)) + slope);
}

/* The same through the other side: I_x(a, b) = 1 - I_y(b, a), y = 1 - x, which depends on a as on
 * its second parameter. */
static double
beta_from_above(double x, double a, double b)
{
    double y = 1 - x, term = 1, sum = 1, slope = 0, ratio = 0;
    for (int n = 0; n < 1000000; n++) {
        term *= y * (a + b + n) / (b + 1 + n);
        ratio += 1 / (a + b + n);
        sum += term;
        slope += term * ratio;
        if (y * (a + b + n) < b + 1 + n && term * (1 + ratio) < DBL_EPSILON * x * sum)
            break;
    }
    return x / b * (sum * (log(x) - mt_digamma_f64(a) + mt_digamma_f64(a + b)) + slope);
}

static double
beta_gradient(double x, double a, double total)
{
    double b = total - a;
    if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1) || isinf(total))
        return NAN;
    if (x == 0)
        return 0;
    if (x == 1)
        return beta_from_above(1 - DBL_EPSILON / 2, a, b);
    return x * (a + b + 2) <= a + 1 ? beta_from_below(x, a, b) : beta_from_above(x, a, b);
}

/* ---- operators ---------------------------------------------------------------------------- */

/* A tensor as contiguous float64 of the given shape. */
static mt_tensor *
as_double(mt_tensor *t, int ndim, const int64_t *sizes)
{
    mt_tensor *wide = mt_empty(ndim, sizes, NULL, MT_FLOAT64, t->device);
    if (wide && !mt_is_meta(wide) && mt_copy_data(wide, t) < 0) {
        mt_release(wide);
        return NULL;
    }
    return wide;
}

/* Applies f to up to three broadcast tensors of one floating dtype. */
static mt_tensor *
elementwise(const char *name, mt_tensor *const *args, int n, double (*f)(double, double, double))
{
    int64_t sizes[MT_MAX_DIMS];
    int ndim = args[0]->ndim;
    memcpy(sizes, args[0]->sizes, (size_t)ndim * sizeof(int64_t));
    mt_dtype dtype = (mt_dtype)args[0]->dtype;
    for (int i = 0; i < n; i++) {
        if (args[i]->dtype != dtype)
            return mt_fail_null(MT_RUNTIME, "Found dtype %s but expected %s",
                                mt_dtypes[args[i]->dtype].scalar_name, mt_dtypes[dtype].scalar_name);
        if (i && (ndim = mt_broadcast(sizes, ndim, args[i]->sizes, args[i]->ndim)) < 0)
            return NULL;
    }
    if (dtype != MT_FLOAT32 && dtype != MT_FLOAT64)
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                            mt_dtypes[dtype].scalar_name);
    mt_tensor *in[3] = {NULL, NULL, NULL}, *out = mt_empty(ndim, sizes, NULL, dtype, args[0]->device);
    int rc = out ? 0 : -1;
    if (out && mt_is_meta(out))
        return out;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = (in[i] = as_double(args[i], ndim, sizes)) ? 0 : -1;
    if (rc == 0) {
        double *p[3] = {mt_data(in[0]), n > 1 ? mt_data(in[1]) : NULL, n > 2 ? mt_data(in[2]) : NULL};
        for (int64_t i = 0; i < out->numel; i++)
            p[0][i] = f(p[0][i], n > 1 ? p[1][i] : 0, n > 2 ? p[2][i] : 0);
        rc = mt_copy_data(out, in[0]);
    }
    for (int i = 0; i < n; i++)
        mt_xrelease(in[i]);
    if (rc < 0) {
        mt_xrelease(out);
        return NULL;
    }
    return out;
}

static double
gamma_of(double a, double x, double unused)
{
    (void)unused;
    return gamma_gradient(a, x);
}

mt_tensor *
op__standard_gamma_grad(mt_tensor *self, mt_tensor *output)
{
    mt_tensor *args[] = {self, output};
    return elementwise("_standard_gamma_grad_cpu", args, 2, gamma_of);
}

mt_tensor *
op__dirichlet_grad(mt_tensor *x, mt_tensor *alpha, mt_tensor *total)
{
    mt_tensor *args[] = {x, alpha, total};
    return elementwise("_dirichlet_grad_cpu", args, 3, beta_gradient);
}
