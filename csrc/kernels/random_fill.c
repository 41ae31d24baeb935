/* mt-flags: -ffp-contract=off */
/* Fills whose element takes a fixed number of words.
 *
 * Every value is computed in the precision in which PyTorch computes it: float32 for uniforms and
 * block normals of float32 and the halves, float64 for all else. Where PyTorch's build fuses a
 * multiply-add, an fma() stands here; contraction by the compiler is off. */
#include <float.h>
#include <math.h>

#include "kernels/random_k.h"
#include "kernels/random_walk.h"

#define RUN 16 /* the normals of a block fill are made from this many uniforms */

static void
units_f32(mt_rng *r, float *out, int64_t n)
{
    uint32_t words[MT_RANDOM_CHUNK];
    for (int64_t at = 0; at < n; at += MT_RANDOM_CHUNK) {
        int64_t some = MT_MIN(MT_RANDOM_CHUNK, n - at);
        mt_rng_words(r, words, some);
        mt_random_loops()->unit_f32(out + at, words, some);
    }
}

static void
units_f64(mt_rng *r, double *out, int64_t n)
{
    uint32_t words[2 * MT_RANDOM_CHUNK];
    for (int64_t at = 0; at < n; at += MT_RANDOM_CHUNK) {
        int64_t some = MT_MIN(MT_RANDOM_CHUNK, n - at);
        mt_rng_words(r, words, 2 * some);
        mt_random_loops()->unit_f64(out + at, words, some);
    }
}

/* Draws that only move the stream on. */
static void
skip_words(mt_rng *r, int64_t n)
{
    while (n-- > 0)
        mt_rng_u32(r);
}

/* -------- uniform -------- */

typedef struct bounds {
    double from, to;
    mt_dtype dtype;
} bounds;

static int
make_uniform_f32(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    const bounds *b = how;
    (void)args;
    units_f32(r, values, n);
    if (b->from != 0 || b->to != 1)
        mt_random_loops()->range_f32(values, n, (float)b->from, (float)b->to);
    return 0;
}

static int
make_uniform_f64(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    const bounds *b = how;
    (void)args;
    units_f64(r, values, n);
    if (b->from != 0 || b->to != 1)
        mt_random_loops()->range_f64(values, n, b->from, b->to);
    return 0;
}

static uint16_t
half_bits(mt_dtype dtype, double value)
{
    return dtype == MT_FLOAT16 ? mt_float_to_half((float)value).bits
                               : mt_float_to_bfloat16((float)value).bits;
}

/* The halves round the float32 value; what rounds up to the excluded end becomes the other end. */
static int
make_uniform_half(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    const bounds *b = how;
    float floats[MT_RANDOM_CHUNK];
    uint16_t *out = values, from = half_bits(b->dtype, b->from), to = half_bits(b->dtype, b->to);
    uint16_t sign = (to & 0x7fffu) == 0 ? 0x8000u : 0; /* both zeros are equal */
    make_uniform_f32(r, how, args, floats, n);
    mt_converter(b->dtype, MT_FLOAT32)(values, floats, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = (out[i] | sign) == (to | sign) ? from : out[i];
    return 0;
}

static double
highest(mt_dtype dtype)
{
    switch (dtype) {
    case MT_FLOAT16: return 65504;
    case MT_BFLOAT16: return 0x1.fep127;
    case MT_FLOAT32: return FLT_MAX;
    default: return DBL_MAX;
    }
}

static int
check_uniform(mt_dtype dtype, double from, double to)
{
    if (!mt_is_floating(dtype))
        return mt_random_unsupported("check_uniform_bounds", dtype);
    double most = highest(dtype);
    if (!(from >= -most && from <= most))
        return mt_fail(MT_RUNTIME, "from is out of bounds for %s", mt_random_type_name(dtype));
    if (!(to >= -most && to <= most))
        return mt_fail(MT_RUNTIME, "to is out of bounds for %s", mt_random_type_name(dtype));
    if (from > to)
        return mt_fail(MT_RUNTIME,
                       "uniform_ expects to return a [from, to) range, but found from=%g > to=%g",
                       from, to);
    if (to - from > most)
        return mt_fail(MT_RUNTIME,
                       "uniform_ expects to-from <= std::numeric_limits<%s>::max(), but found "
                       "to=%g and from=%g which result in to-from to exceed the limit",
                       mt_dtypes[dtype].scalar_name, to, from);
    return 0;
}

int
mt_random_uniform(mt_rng *r, const mt_random_out *out, double from, double to)
{
    if (mt_is_complex(out->dtype)) {
        if (!mt_random_numel(out))
            return 0;
        int64_t shape[2][MT_MAX_DIMS + 1];
        mt_random_out real = mt_random_as_real(out, shape);
        return mt_random_uniform(r, &real, from, to);
    }
    if (check_uniform(out->dtype, from, to) < 0)
        return -1;
    bounds b = {from, to, out->dtype};
    mt_random_maker maker = out->dtype == MT_FLOAT64   ? make_uniform_f64
                            : out->dtype == MT_FLOAT32 ? make_uniform_f32
                                                       : make_uniform_half;
    return mt_random_fill(r, out, 0, NULL, out->dtype, maker, &b);
}

/* -------- normal -------- */

typedef struct bell {
    double mean, std;
} bell;

static int
make_normal(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    const bell *b = how;
    double *out = values;
    (void)args;
    for (int64_t i = 0; i < n; i++)
        out[i] = fma(mt_rng_normal(r), b->std, b->mean);
    return 0;
}

static void
normal_runs_f64(double *values, int64_t n, const bell *b)
{
    for (int64_t i = 0; i < n; i += RUN) {
        double *x = values + i;
        for (int k = 0; k < RUN / 2; k++) {
            double radius = sqrt(-2 * log(1 - x[k])), angle = 2 * M_PI * x[k + RUN / 2];
            x[k] = fma(radius * cos(angle), b->std, b->mean);
            x[k + RUN / 2] = fma(radius * sin(angle), b->std, b->mean);
        }
    }
}

/* n normals, n a multiple of 16 and at most MT_RANDOM_CHUNK, to `out` in its dtype. */
static void
make_runs(mt_rng *r, mt_dtype dtype, const bell *b, char *out, int64_t n)
{
    if (dtype == MT_FLOAT64) {
        units_f64(r, (double *)out, n);
        normal_runs_f64((double *)out, n, b);
        return;
    }
    float floats[MT_RANDOM_CHUNK], *values = dtype == MT_FLOAT32 ? (float *)out : floats;
    units_f32(r, values, n);
    mt_random_loops()->normal_f32(values, n, (float)b->mean, (float)b->std);
    if (dtype != MT_FLOAT32)
        mt_converter(dtype, MT_FLOAT32)(out, floats, n);
}

/* The block path. What is left after the runs of 16 is not filled by itself: the last 16 elements
 * are drawn anew. float32 and float64 have by then drawn the words of the rest as well. */
static void
fill_normal_blocks(mt_rng *r, mt_dtype dtype, const bell *b, char *out, int64_t n)
{
    int64_t size = (int64_t)mt_dtype_size(dtype), rest = n % RUN, runs = n - rest;
    for (int64_t at = 0; at < runs; at += MT_RANDOM_CHUNK)
        make_runs(r, dtype, b, out + at * size, MT_MIN(MT_RANDOM_CHUNK, runs - at));
    if (!rest)
        return;
    skip_words(r, dtype == MT_FLOAT64 ? 2 * rest : dtype == MT_FLOAT32 ? rest : 0);
    make_runs(r, dtype, b, out + (n - RUN) * size, RUN);
}

static int
fill_normal(mt_rng *r, const mt_random_out *out, const bell *b)
{
    int64_t n = mt_random_numel(out);
    if (n < RUN || !mt_random_is_contiguous(out))
        return mt_random_fill(r, out, 0, NULL, MT_FLOAT64, make_normal, b);
    fill_normal_blocks(r, out->dtype, b, out->data, n);
    return 0;
}

int
mt_random_normal(mt_rng *r, const mt_random_out *out, double mean, double std)
{
    if (!(std >= 0))
        return mt_fail(MT_RUNTIME, "normal expects std >= 0.0, but found std %g", std);
    if (!mt_random_numel(out))
        return 0;
    if (mt_is_complex(out->dtype)) {
        int64_t shape[2][MT_MAX_DIMS + 1];
        mt_random_out real = mt_random_as_real(out, shape);
        return fill_normal(r, &real, &(bell){mean, std / sqrt(2)});
    }
    if (!mt_is_floating(out->dtype))
        return mt_random_unsupported("normal_kernel_cpu", out->dtype);
    return fill_normal(r, out, &(bell){mean, std});
}

static int
make_log_normal(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    double *out = values;
    make_normal(r, how, args, values, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = exp(out[i]);
    return 0;
}

int
mt_random_log_normal(mt_rng *r, const mt_random_out *out, double mean, double std)
{
    if (!(std > 0))
        return mt_fail(MT_RUNTIME, "log_normal_ expects std > 0.0, but found std=%g", std);
    if (!mt_random_numel(out))
        return 0;
    if (!mt_is_floating(out->dtype))
        return mt_random_unsupported("log_normal_cpu", out->dtype);
    return mt_random_fill(r, out, 0, NULL, MT_FLOAT64, make_log_normal, &(bell){mean, std});
}

/* -------- bernoulli and dropout -------- */

/* u < p for u = k / 2^53 is k < ceil(p * 2^53); the scaling is exact. */
static uint64_t
bound_of(double p)
{
    return (uint64_t)ceil(p * 0x1p53);
}

static int
make_bernoulli(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    uint32_t words[2 * MT_RANDOM_CHUNK];
    (void)args;
    mt_rng_words(r, words, 2 * n);
    mt_random_loops()->below(values, words, n, *(const uint64_t *)how);
    return 0;
}

static bool
has_bernoulli(mt_dtype dtype)
{
    return !mt_is_complex(dtype) && dtype != MT_UINT16 && dtype != MT_UINT32 && dtype != MT_UINT64;
}

int
mt_random_bernoulli(mt_rng *r, const mt_random_out *out, double p)
{
    if (!(p >= 0 && p <= 1))
        return mt_fail(MT_RUNTIME, "bernoulli_ expects p to be in [0, 1], but got p=%g", p);
    if (!mt_random_numel(out))
        return 0;
    if (!has_bernoulli(out->dtype))
        return mt_random_unsupported("bernoulli_scalar_cpu_", out->dtype);
    uint64_t bound = bound_of(p);
    return mt_random_fill(r, out, 0, NULL, MT_BOOL, make_bernoulli, &bound);
}

/* A float64 p is compared with a float64 unit, any other with a float32 one. */
static int
make_bernoulli_tensor(mt_rng *r, const void *how, const double *const *args, void *values,
                      int64_t n)
{
    mt_dtype dtype = *(const mt_dtype *)how;
    const double *p = args[0];
    uint8_t *out = values;
    int64_t good = 0;
    while (good < n && p[good] >= 0 && p[good] <= 1)
        good++;
    if (dtype == MT_FLOAT64) {
        double units[MT_RANDOM_CHUNK];
        units_f64(r, units, good);
        for (int64_t i = 0; i < good; i++)
            out[i] = units[i] < p[i];
    } else {
        float units[MT_RANDOM_CHUNK];
        units_f32(r, units, good);
        for (int64_t i = 0; i < good; i++)
            out[i] = units[i] < (float)p[i];
    }
    if (good == n)
        return 0;
    return mt_fail(
        MT_RUNTIME,
        "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error "
        "message be improved?  If so, please report an enhancement request to PyTorch.)");
}

int
mt_random_bernoulli_tensor(mt_rng *r, const mt_random_out *out, const mt_random_arg *p)
{
    if (!mt_random_numel(out))
        return 0;
    if (!has_bernoulli(out->dtype))
        return mt_random_unsupported("bernoulli_tensor_cpu_self_", out->dtype);
    if (!mt_is_floating(p->dtype))
        return mt_random_unsupported("bernoulli_tensor_cpu_p_", p->dtype);
    return mt_random_fill(r, out, 1, p, MT_BOOL, make_bernoulli_tensor, &p->dtype);
}

static void
mask(mt_dtype dtype, void *y, const void *x, const uint8_t *keep, int64_t n, double q)
{
    const mt_random_kernels *loops = mt_random_loops();
    float scale = q < 1 ? 1.0f / (float)(1 - q) : 0; /* rounded to the dtype below */
    switch (dtype) {
    case MT_FLOAT16:
        scale = mt_half_to_float(mt_float_to_half(scale));
        loops->mask_f16(y, x, keep, n, scale);
        break;
    case MT_BFLOAT16:
        scale = mt_bfloat16_to_float(mt_float_to_bfloat16(scale));
        loops->mask_bf16(y, x, keep, n, scale);
        break;
    case MT_FLOAT32: loops->mask_f32(y, x, keep, n, scale); break;
    default: loops->mask_f64(y, x, keep, n, q < 1 ? 1 / (1 - q) : 0); break;
    }
}

int
mt_random_dropout(mt_rng *r, mt_dtype dtype, int64_t n, double q, const void *x, void *y,
                  uint8_t *keep)
{
    if (!(q >= 0 && q <= 1))
        return mt_fail(MT_RUNTIME, "dropout probability has to be between 0 and 1, but got %g", q);
    if (n && !mt_is_floating(dtype))
        return mt_random_unsupported("bernoulli_scalar_cpu_", dtype);
    if (q == 0) { /* x itself: a multiplication by 1 would quiet its NaNs */
        if (y != x)
            memmove(y, x, (size_t)n * mt_dtype_size(dtype));
        if (keep)
            memset(keep, 1, (size_t)n);
        return 0;
    }
    uint64_t bound = bound_of(1 - q);
    uint8_t bytes[MT_RANDOM_CHUNK];
    int64_t size = (int64_t)mt_dtype_size(dtype);
    for (int64_t at = 0; at < n; at += MT_RANDOM_CHUNK) {
        int64_t some = MT_MIN(MT_RANDOM_CHUNK, n - at);
        uint8_t *chosen = keep ? keep + at : bytes;
        if (q < 1)
            make_bernoulli(r, &bound, NULL, chosen, some);
        else
            memset(chosen, 0, (size_t)some);
        mask(dtype, (char *)y + at * size, (const char *)x + at * size, chosen, some, q);
    }
    return 0;
}

/* -------- exponential, geometric, cauchy -------- */

static int
make_exponential(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    double scale = -1 / *(const double *)how, *out = values;
    (void)args;
    units_f64(r, out, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = scale * log1p(-out[i]);
    return 0;
}

int
mt_random_exponential(mt_rng *r, const mt_random_out *out, double lambda)
{
    if (!(lambda > 0))
        return mt_fail(MT_RUNTIME, "exponential_ expects lambda > 0.0, but found lambda=%g",
                       lambda);
    if (!mt_random_numel(out))
        return 0;
    if (!mt_is_floating(out->dtype))
        return mt_fail(MT_RUNTIME,
                       "Exponential distribution is a continuous probability distribution. dtype "
                       "must be a floating point but you specified %s",
                       mt_dtypes[out->dtype].scalar_name);
    return mt_random_fill(r, out, 0, NULL, MT_FLOAT64, make_exponential, &lambda);
}

static int
make_geometric(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    double scale = log1p(-*(const double *)how), *out = values;
    (void)args;
    units_f64(r, out, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = ceil(log(out[i]) / scale);
    return 0;
}

static int
make_geometric_int32(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    double doubles[MT_RANDOM_CHUNK];
    int32_t *out = values;
    make_geometric(r, how, args, doubles, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = mt_random_to_int32(doubles[i]);
    return 0;
}

static int
make_geometric_int64(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    double doubles[MT_RANDOM_CHUNK];
    int64_t *out = values;
    make_geometric(r, how, args, doubles, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = mt_random_to_int64(doubles[i]);
    return 0;
}

int
mt_random_geometric(mt_rng *r, const mt_random_out *out, double p)
{
    if (!(p > 0 && p < 1))
        return mt_fail(MT_RUNTIME, "geometric_ expects p to be in (0, 1), but got p=%g", p);
    if (!mt_random_numel(out))
        return 0;
    if (out->dtype == MT_BOOL || !has_bernoulli(out->dtype))
        return mt_random_unsupported("geometric_cpu", out->dtype);
    if (mt_is_floating(out->dtype))
        return mt_random_fill(r, out, 0, NULL, MT_FLOAT64, make_geometric, &p);
    if (out->dtype == MT_INT64)
        return mt_random_fill(r, out, 0, NULL, MT_INT64, make_geometric_int64, &p);
    return mt_random_fill(r, out, 0, NULL, MT_INT32, make_geometric_int32, &p);
}

typedef struct peak {
    double median, sigma;
} peak;

static int
make_cauchy(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    const peak *p = how;
    double *out = values;
    (void)args;
    units_f64(r, out, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = fma(p->sigma, tan(M_PI * (out[i] - 0.5)), p->median);
    return 0;
}

int
mt_random_cauchy(mt_rng *r, const mt_random_out *out, double median, double sigma)
{
    if (!(sigma > 0))
        return mt_fail(MT_RUNTIME, "cauchy_ expects sigma > 0.0, but found sigma=%g", sigma);
    if (!mt_is_floating(out->dtype))
        return mt_fail(MT_RUNTIME,
                       "Cauchy distribution is a continuous probability distribution. dtype must "
                       "be a floating point but you specified %s",
                       mt_random_type_name(out->dtype));
    return mt_random_fill(r, out, 0, NULL, MT_FLOAT64, make_cauchy, &(peak){median, sigma});
}
