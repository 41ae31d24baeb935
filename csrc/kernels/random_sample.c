/* mt-flags: -ffp-contract=off */
/* Distributions whose elements take a varying number of words: rejection samplers.
 *
 * The samplers compute in float64 without fused operations. Where PyTorch leaves an expression in
 * the dtype of the tensor, its result is rounded to that (in_dtype). */
#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "kernels/random_k.h"
#include "kernels/random_walk.h"

/* A result of arithmetic on values of the dtype alone, which PyTorch computes in that dtype. */
MT_INLINE double
in_dtype(mt_dtype dtype, double value)
{
    return dtype == MT_FLOAT32 ? (float)value : value;
}

/* -------- poisson -------- */

/* Rates of 10 and more: transformed rejection with squeeze (Hoermann 1993, algorithm PTRS). */
static double
poisson_ptrs(mt_rng *r, double rate)
{
    double root = sqrt(rate), log_rate = log(rate);
    double b = 0.931 + 2.53 * root;
    double a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    double v_r = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        double u = mt_rng_unit(r) - 0.5, v = mt_rng_unit(r), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= v_r)
            return k;
        if (k < 0 || (us < 0.013 && v > us))
            continue;
        if (log(v) + log(inverse_alpha) - log(a / (us * us) + b) <=
            -rate + k * log_rate - lgamma(k + 1))
            return k;
    }
}

/* Small rates: units are multiplied until the product is at most exp(-rate). */
static double
poisson_product(mt_rng *r, double rate)
{
    double bound = exp(-rate), product = 1;
    for (double k = 0;; k++) {
        product *= mt_rng_unit(r);
        if (!(product > bound))
            return k;
    }
}

static int
make_poisson(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    int64_t *out = values;
    (void)how;
    for (int64_t i = 0; i < n; i++) {
        double rate = args[0][i];
        if (!(rate >= 0))
            return mt_fail(MT_RUNTIME, "invalid Poisson rate, expected rate to be non-negative");
        double k = rate >= 10 ? poisson_ptrs(r, rate) : rate == 0 ? 0 : poisson_product(r, rate);
        out[i] = mt_random_to_int64(k);
    }
    return 0;
}

int
mt_random_poisson(mt_rng *r, const mt_random_out *out, const mt_random_arg *rate)
{
    if (!mt_is_floating(out->dtype))
        return mt_random_unsupported("poisson_cpu", out->dtype);
    return mt_random_fill(r, out, 1, rate, MT_INT64, make_poisson, NULL);
}

/* -------- gamma and dirichlet -------- */

/* Marsaglia and Tsang 2000; alpha < 1 through gamma(alpha + 1) * u^(1 / alpha). Ends also for a
 * NaN: the squeeze does not depend on alpha. Its constant and the third are float32 numbers. */
static double
gamma_draw(mt_rng *r, mt_dtype dtype, double alpha)
{
    double scale = 1;
    if (alpha < 1) {
        if (alpha == 0)
            return 0;
        scale = pow(1 - mt_rng_unit(r), in_dtype(dtype, 1 / alpha));
        alpha = in_dtype(dtype, alpha + 1);
    }
    double d = in_dtype(dtype, alpha - 1.0f / 3.0f), c = 1 / sqrt(9 * d);
    for (;;) {
        double x, y;
        do {
            x = mt_rng_normal(r);
            y = 1 + c * x;
        } while (y <= 0);
        double v = y * y * y, u = 1 - mt_rng_unit(r), xx = x * x;
        if (u < 1 - 0.0331f * xx * xx || log(u) < 0.5 * xx + d * (1 - v + log(v)))
            return scale * d * v;
    }
}

/* The larger one, `low` for a NaN. */
static double
at_least(double low, double value)
{
    return low < value ? value : low;
}

/* `how` is the dtype. Values below its smallest normal number become that number. */
static int
make_gamma(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    mt_dtype dtype = *(const mt_dtype *)how;
    double *out = values, low = dtype == MT_FLOAT32 ? FLT_MIN : DBL_MIN;
    for (int64_t i = 0; i < n; i++)
        out[i] = at_least(low, in_dtype(dtype, gamma_draw(r, dtype, args[0][i])));
    return 0;
}

static bool
is_real(mt_dtype dtype)
{
    return dtype == MT_FLOAT32 || dtype == MT_FLOAT64;
}

int
mt_random_gamma(mt_rng *r, const mt_random_out *out, const mt_random_arg *alpha)
{
    if (!is_real(out->dtype))
        return mt_random_unsupported("gamma_cpu", out->dtype);
    return mt_random_fill(r, out, 1, alpha, MT_FLOAT64, make_gamma, &out->dtype);
}

/* Four interleaved sums of rows that are `width` apart, of one lane. Sums of 16 rows (more, where
 * there are very many) are carried upwards like digits, so that the error does not grow with n. */
static void
sum_rows(const double *x, int64_t width, int64_t rows, double sums[4])
{
    enum { LEVELS = 4 };
    double level[LEVELS][4] = {{0}};
    int bits = rows > 1 ? 64 - __builtin_clzll((uint64_t)rows - 1) : 0; /* ceil(log2(rows)) */
    int power = MT_MAX(4, bits / LEVELS);
    int64_t step = INT64_C(1) << power, i = 0;
    while (i + step <= rows) {
        for (int64_t j = 0; j < step; j++, i++)
            for (int k = 0; k < 4; k++)
                level[0][k] += x[(4 * i + k) * width];
        for (int up = 1; up < LEVELS; up++) {
            for (int k = 0; k < 4; k++) {
                level[up][k] += level[up - 1][k];
                level[up - 1][k] = 0;
            }
            if (i & ((step - 1) << (up * power)))
                break;
        }
    }
    for (; i < rows; i++)
        for (int k = 0; k < 4; k++)
            level[0][k] += x[(4 * i + k) * width];
    for (int k = 0; k < 4; k++) {
        sums[k] = level[0][k];
        for (int up = 1; up < LEVELS; up++)
            sums[k] += level[up][k];
    }
}

/* The sum of one lane: every `width`-th of count * width numbers. */
static double
sum_lane(const double *x, int64_t width, int64_t count)
{
    double sums[4];
    sum_rows(x, width, count / 4, sums);
    for (int64_t i = count / 4 * 4; i < count; i++)
        sums[0] += x[i * width];
    for (int k = 1; k < 4; k++)
        sums[0] += sums[k];
    return sums[0];
}

/* The sum of a row in the order of PyTorch's AVX2 build: four lanes, then what is left over, then
 * the lanes; one lane for fewer than four numbers. */
static double
sum_as_reference(const double *x, int64_t n)
{
    if (n < 4)
        return sum_lane(x, 1, n);
    double sum = 0;
    for (int64_t i = n / 4 * 4; i < n; i++)
        sum += x[i];
    for (int lane = 0; lane < 4; lane++)
        sum += sum_lane(x + lane, 4, n / 4);
    return sum;
}

int
mt_random_dirichlet(mt_rng *r, mt_dtype dtype, void *out, const void *alpha, int64_t rows,
                    int64_t n)
{
    if (!is_real(dtype))
        return mt_random_unsupported("dirichlet", dtype);
    if (rows <= 0 || n <= 0)
        return 0;
    int64_t numel = rows * n;
    size_t bytes = (size_t)numel * sizeof(double);
    double *gammas = mt_alloc(bytes);
    if (!gammas)
        return -1;
    mt_random_out to = {gammas, MT_FLOAT64, 1, &numel, NULL};
    mt_random_arg from = {alpha, dtype, NULL};
    mt_random_fill(r, &to, 1, &from, MT_FLOAT64, make_gamma, &to.dtype);
    bool single = dtype == MT_FLOAT32;
    double low = single ? FLT_MIN : DBL_MIN, high = single ? 0x1.fffffep-1 : 0x1.fffffffffffffp-1;
    for (int64_t row = 0; row < rows; row++) {
        const double *x = gammas + row * n;
        double sum = sum_as_reference(x, n);
        for (int64_t i = 0; i < n; i++) {
            double value = at_least(low, in_dtype(dtype, x[i] / sum));
            value = value < high ? value : high;
            if (single)
                ((float *)out)[row * n + i] = (float)value;
            else
                ((double *)out)[row * n + i] = value;
        }
    }
    mt_free(gammas, bytes);
    return 0;
}

/* -------- binomial -------- */

/* Few expected successes: trials are skipped by geometric draws. */
static double
binomial_inversion(mt_rng *r, mt_dtype dtype, double count, double prob)
{
    double scale = dtype == MT_FLOAT32 ? log1pf(-(float)prob) : log1p(-prob), trials = 0,
           successes = 0;
    for (;;) {
        trials += ceil(log(mt_rng_unit(r)) / scale);
        if (trials > count)
            return successes;
        successes += 1;
    }
}

/* log k! less the leading terms of Stirling's formula. */
static double
stirling_rest(double k)
{
    static const double table[] = {
        0.0810614667953272,  0.0413406959554092,  0.0276779256849983, 0.02079067210376509,
        0.0166446911898211,  0.0138761288230707,  0.0118967099458917, 0.0104112652619720,
        0.00925546218271273, 0.00833056343336287,
    };
    if (k <= 9)
        return table[(int)k];
    double square = (k + 1) * (k + 1);
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

/* Many: transformed rejection (Hoermann 1993, algorithm BTRS). */
static double
binomial_btrs(mt_rng *r, mt_dtype dtype, double count, double prob)
{
#define IN(x) in_dtype(dtype, x)
    double mean = IN(count * prob), rest = IN(1 - prob);
    double spread = IN(sqrt(IN(mean * rest)));
    double b = 1.15 + 2.53 * spread;
    double a = -0.0873 + 0.0248 * b + 0.01 * prob;
    double c = mean + 0.5;
    double v_r = 0.92 - 4.2 / b;
    double odds = IN(prob / rest);
    double alpha = (2.83 + 5.1 / b) * spread;
    double next = IN(count + 1), m = floor(IN(next * prob));
    for (;;) {
        double u = mt_rng_unit(r) - 0.5, v = mt_rng_unit(r), us = 0.5 - fabs(u);
        double k = IN(floor((2 * a / us + b) * u + c));
        if (us >= 0.07 && v <= v_r)
            return k;
        if (!(k >= 0 && k <= count))
            continue;
        v = log(v * alpha / (a / (us * us) + b));
        double left = IN(count - k), left1 = IN(left + 1);
        double bound = (m + 0.5) * log((m + 1) / (odds * (count - m + 1))) +
                       next * log((count - m + 1) / left1) +
                       (k + 0.5) * log(odds * left1 / IN(k + 1)) + stirling_rest(m) +
                       stirling_rest(count - m) - stirling_rest(k) - stirling_rest(left);
        if (v <= bound)
            return k;
    }
#undef IN
}

static double
binomial_draw(mt_rng *r, mt_dtype dtype, double count, double prob)
{
    if (count <= 0 || prob <= 0)
        return 0;
    if (prob >= 1)
        return count;
    /* PyTorch does not come to an end here: no draw is in range. */
    if (isnan(prob) || !isfinite(count))
        return NAN;
    double p = prob <= 0.5 ? prob : in_dtype(dtype, 1 - prob);
    double k = in_dtype(dtype, count * p) >= 10 ? binomial_btrs(r, dtype, count, p)
                                                : binomial_inversion(r, dtype, count, p);
    return prob <= 0.5 ? k : count - k;
}

static int
make_binomial(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    double *out = values;
    for (int64_t i = 0; i < n; i++)
        out[i] = binomial_draw(r, *(const mt_dtype *)how, args[0][i], args[1][i]);
    return 0;
}

int
mt_random_binomial(mt_rng *r, const mt_random_out *out, const mt_random_arg *count,
                   const mt_random_arg *prob)
{
    if (!is_real(out->dtype))
        return mt_random_unsupported("binomial_cpu", out->dtype);
    mt_random_arg args[] = {*count, *prob};
    return mt_random_fill(r, out, 2, args, MT_FLOAT64, make_binomial, &out->dtype);
}

/* -------- rrelu -------- */

int
mt_random_rrelu(mt_rng *r, mt_dtype dtype, int64_t n, double lower, double upper, const void *x,
                void *y, void *noise)
{
    if (!is_real(dtype) && dtype != MT_BFLOAT16)
        return mt_random_unsupported("rrelu_with_noise_out_cpu", dtype);
    /* bfloat16 is computed as float32 */
    mt_dtype work = dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    double low = in_dtype(work, lower), high = in_dtype(work, upper);
    mt_convert widen = mt_converter(MT_FLOAT64, dtype), narrow = mt_converter(dtype, MT_FLOAT64);
    int64_t size = (int64_t)mt_dtype_size(dtype);
    double values[MT_RANDOM_CHUNK], slopes[MT_RANDOM_CHUNK];
    for (int64_t at = 0; at < n; at += MT_RANDOM_CHUNK) {
        int64_t some = MT_MIN(MT_RANDOM_CHUNK, n - at);
        widen(values, (const char *)x + at * size, some);
        for (int64_t i = 0; i < some; i++) {
            slopes[i] = 1;
            if (values[i] <= 0) {
                if (!(low <= high))
                    return mt_fail(MT_RUNTIME,
                                   "Expected from <= to to be true, but got false.  (Could this "
                                   "error message be improved?  If so, please report an "
                                   "enhancement request to PyTorch.)");
                double slope = mt_rng_unit(r) * (high - low) + low;
                slopes[i] = in_dtype(work, slope == high ? low : slope);
                values[i] = in_dtype(work, values[i] * slopes[i]);
            }
        }
        narrow((char *)y + at * size, values, some);
        narrow((char *)noise + at * size, slopes, some);
    }
    return 0;
}
