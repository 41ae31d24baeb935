/* Factories of sequences, and random operators: kernels/random.h has the streams. */
#include "kernels/random.h"

#include <complex.h>
#include <math.h>

#include "base/error.h"
#include "ops/generator.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* ---- sequences ---------------------------------------------------------------------------- */

static mt_dtype
dtype_of(mt_scalar s, mt_dtype dtype)
{
    if (dtype != MT_DTYPE_NONE)
        return dtype;
    return s.tag == MT_V_BOOL      ? MT_BOOL
           : s.tag == MT_V_INT     ? MT_INT64
           : s.tag == MT_V_COMPLEX ? mt_default_complex_dtype()
                                   : mt_default_dtype;
}

static mt_tensor *
empty(const int64_t *size, int64_t n, mt_dtype dtype, int64_t layout, mt_device device,
      mt_value pin_memory)
{
    return aten_empty_memory_format(size, n, dtype, layout, device, pin_memory, MT_FORMAT_NONE);
}

static mt_tensor *
filled(mt_tensor *t, mt_scalar value)
{
    if (t && mt_fill_data(t, value) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op_full(const int64_t *size, int64_t size_n, mt_scalar fill_value, mt_dtype dtype, int64_t layout,
        mt_device device, mt_value pin_memory)
{
    return filled(empty(size, size_n, dtype_of(fill_value, dtype), layout, device, pin_memory),
                  fill_value);
}

mt_tensor *
op_full_like(mt_tensor *self, mt_scalar fill_value, mt_dtype dtype, int64_t layout,
             mt_device device, mt_value pin_memory, mt_memory_format format)
{
    return filled(aten_empty_like(self, dtype, layout, device, pin_memory, format), fill_value);
}

static mt_device
device_like(const mt_tensor *self, mt_device device)
{
    return device.type < 0 ? self->device : device;
}

static mt_dtype
dtype_like(const mt_tensor *self, mt_dtype dtype)
{
    return dtype == MT_DTYPE_NONE ? (mt_dtype)self->dtype : dtype;
}

mt_tensor *
op_new_empty(mt_tensor *self, const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout,
             mt_device device, mt_value pin_memory)
{
    return empty(size, size_n, dtype_like(self, dtype), layout, device_like(self, device), pin_memory);
}

mt_tensor *
op_new_zeros(mt_tensor *self, const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout,
             mt_device device, mt_value pin_memory)
{
    return filled(op_new_empty(self, size, size_n, dtype, layout, device, pin_memory), mt_v_int(0));
}

mt_tensor *
op_new_ones(mt_tensor *self, const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout,
            mt_device device, mt_value pin_memory)
{
    return filled(op_new_empty(self, size, size_n, dtype, layout, device, pin_memory), mt_v_int(1));
}

mt_tensor *
op_new_full(mt_tensor *self, const int64_t *size, int64_t size_n, mt_scalar fill_value,
            mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    return filled(op_new_empty(self, size, size_n, dtype, layout, device, pin_memory), fill_value);
}

/* Element i of out is start + i * step, computed in float64 or int64 and converted. */
static int
ramp(mt_tensor *out, double start, double step, int64_t istart, int64_t istep, bool integral)
{
    if (out->numel == 0 || mt_is_meta(out))
        return 0;
    mt_tensor *wide = mt_empty(1, &out->numel, NULL, integral ? MT_INT64 : MT_FLOAT64, MT_CPU_DEVICE);
    if (!wide)
        return -1;
    if (integral) {
        int64_t *p = mt_data(wide);
        for (int64_t i = 0; i < out->numel; i++)
            p[i] = istart + i * istep;
    } else {
        double *p = mt_data(wide);
        for (int64_t i = 0; i < out->numel; i++)
            p[i] = start + (double)i * step;
    }
    int rc = mt_copy_data(out, wide);
    mt_release(wide);
    return rc;
}

mt_tensor *
op_arange_start_step(mt_scalar start, mt_scalar end, mt_scalar step, mt_dtype dtype, int64_t layout,
                     mt_device device, mt_value pin_memory)
{
    bool integral = start.tag <= MT_V_INT && end.tag <= MT_V_INT && step.tag <= MT_V_INT;
    if (dtype == MT_DTYPE_NONE)
        dtype = integral ? MT_INT64 : mt_default_dtype;
    double a = mt_scalar_f64(start), b = mt_scalar_f64(end), s = mt_scalar_f64(step);
    if (mt_is_complex(dtype) || dtype == MT_BOOL)
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"arange_cpu\" not implemented for '%s'",
                            mt_dtypes[dtype].scalar_name);
    if (dtype == MT_INT64) { /* counts in whole numbers; the others count before they round */
        a = trunc(a);
        b = trunc(b);
        s = trunc(s);
    }
    if (!(s > 0 || s < 0))
        return mt_fail_null(MT_RUNTIME, "step must be nonzero");
    if (!isfinite(a) || !isfinite(b))
        return mt_fail_null(MT_RUNTIME, "unsupported range: %g -> %g", a, b);
    if (!((s > 0 && b >= a) || (s < 0 && b <= a)))
        return mt_fail_null(MT_RUNTIME,
                            "upper bound and lower bound inconsistent with step sign");
    double count = integral && mt_is_integral(dtype, false)
                       ? ceil(((double)mt_scalar_i64(end) - (double)mt_scalar_i64(start)) / s)
                       : ceil((b - a) / s);
    if (count > 9.2e18)
        return mt_fail_null(MT_RUNTIME, "invalid size, possible overflow?");
    int64_t n = (int64_t)count;
    mt_tensor *out = empty(&n, 1, dtype, layout, device, pin_memory);
    if (!out)
        return NULL;
    if (ramp(out, a, s, mt_scalar_i64(start), mt_scalar_i64(step), mt_is_integral(dtype, true)) < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_arange(mt_scalar end, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    return op_arange_start_step(mt_v_int(0), end, mt_v_int(1), dtype, layout, device, pin_memory);
}

mt_tensor *
op_arange_start(mt_scalar start, mt_scalar end, mt_dtype dtype, int64_t layout, mt_device device,
                mt_value pin_memory)
{
    return op_arange_start_step(start, end, mt_v_int(1), dtype, layout, device, pin_memory);
}

/* The same in the complex plane. */
static void
spaced_complex(double complex *p, mt_scalar start, mt_scalar end, int64_t steps, double base, bool powers)
{
    double complex a = CMPLX(mt_scalar_f64(start), mt_scalar_imag(start)),
                   b = CMPLX(mt_scalar_f64(end), mt_scalar_imag(end)),
                   step = steps > 1 ? (b - a) / (double)(steps - 1) : 0;
    for (int64_t i = 0; i < steps; i++) {
        double complex v = i < steps / 2 || steps == 1 ? a + step * (double)i : b - step * (double)(steps - i - 1);
        p[i] = powers ? cpow(base, v) : v;
    }
}

static mt_tensor *
spaced(mt_scalar start, mt_scalar end, int64_t steps, double base, bool powers, mt_dtype dtype,
       int64_t layout, mt_device device, mt_value pin_memory)
{
    if (steps < 0)
        return mt_fail_null(MT_RUNTIME, "number of steps must be non-negative");
    bool is_complex = start.tag == MT_V_COMPLEX || end.tag == MT_V_COMPLEX;
    mt_dtype inferred = mt_default_dtype == MT_FLOAT64 ? MT_COMPLEX128 : MT_COMPLEX64;
    if (dtype == MT_DTYPE_NONE)
        dtype = is_complex ? inferred : mt_default_dtype;
    if (is_complex && !mt_is_complex(dtype))
        return mt_fail_null(MT_RUNTIME,
                            "torch.%s(): inferred dtype c10::complex<%s> can't be safely cast to passed "
                            "dtype %s",
                            powers ? "logspace" : "linspace",
                            inferred == MT_COMPLEX64 ? "float" : "double", mt_dtypes[dtype].scalar_name);
    mt_tensor *out = empty(&steps, 1, dtype, layout, device, pin_memory);
    if (!out || mt_is_meta(out) || steps == 0)
        return out;
    mt_tensor *wide = mt_empty(1, &steps, NULL, mt_is_complex(dtype) ? MT_COMPLEX128 : MT_FLOAT64,
                               MT_CPU_DEVICE);
    if (!wide) {
        mt_release(out);
        return NULL;
    }
    double a = mt_scalar_f64(start), b = mt_scalar_f64(end), *p = mt_data(wide);
    if (mt_is_integral(dtype, true)) {
        a = trunc(a);
        b = trunc(b);
    }
    double step = steps > 1 ? (b - a) / (double)(steps - 1) : 0;
    if (mt_is_complex(dtype))
        spaced_complex(mt_data(wide), start, end, steps, base, powers);
    else if (dtype == MT_FLOAT32 && !powers) { /* the rounding of float32 arithmetic */
        float fa = (float)a, fb = (float)b, fs = steps > 1 ? (fb - fa) / (float)(steps - 1) : 0;
        for (int64_t i = 0; i < steps; i++)
            p[i] = steps == 1 ? a : i < steps / 2 ? fmaf(fs, (float)i, fa) : fmaf(-fs, (float)(steps - i - 1), fb);
    } else
        for (int64_t i = 0; i < steps; i++) {
            double v = steps == 1 ? a : i < steps / 2 ? a + step * (double)i : b - step * (double)(steps - i - 1);
            p[i] = powers ? pow(base, v) : v;
        }
    int rc = mt_copy_data(out, wide);
    mt_release(wide);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_linspace(mt_scalar start, mt_scalar end, int64_t steps, mt_dtype dtype, int64_t layout,
            mt_device device, mt_value pin_memory)
{
    return spaced(start, end, steps, 0, false, dtype, layout, device, pin_memory);
}

mt_tensor *
op_logspace(mt_scalar start, mt_scalar end, int64_t steps, double base, mt_dtype dtype,
            int64_t layout, mt_device device, mt_value pin_memory)
{
    return spaced(start, end, steps, base, true, dtype, layout, device, pin_memory);
}

mt_tensor *
op_eye_m(int64_t n, int64_t m, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    if (n < 0)
        return mt_fail_null(MT_RUNTIME, "n must be greater or equal to 0, got %lld", (long long)n);
    if (m < 0)
        return mt_fail_null(MT_RUNTIME, "m must be greater or equal to 0, got %lld", (long long)m);
    int64_t sizes[2] = {n, m}, k = MT_MIN(n, m), stride = m + 1;
    mt_tensor *out = filled(empty(sizes, 2, dtype, layout, device, pin_memory), mt_v_int(0));
    if (!out || mt_is_meta(out))
        return out;
    mt_tensor *diagonal = mt_alias(out, 0, 1, &k, &stride);
    int rc = diagonal ? mt_fill_data(diagonal, mt_v_int(1)) : -1;
    mt_xrelease(diagonal);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_eye(int64_t n, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    return op_eye_m(n, n, dtype, layout, device, pin_memory);
}

/* ---- random fills ------------------------------------------------------------------------- */

static mt_random_out
target(mt_tensor *t)
{
    return (mt_random_out){mt_data(t), (mt_dtype)t->dtype, t->ndim, t->sizes,
                           mt_is_contiguous(t) ? NULL : t->strides};
}

/* `t` after a fill that returned rc; consumed on failure. Meta tensors are left alone. */
#define FILLED(t, generator, call)                                                                 \
    do {                                                                                           \
        mt_tensor *t_ = (t);                                                                       \
        if (!t_ || mt_is_meta(t_))                                                                 \
            return t_;                                                                             \
        mt_random_out out = target(t_);                                                            \
        mt_rng *rng = mt_rng_of(generator);                                                        \
        if (call < 0) {                                                                            \
            mt_release(t_);                                                                        \
            return NULL;                                                                           \
        }                                                                                          \
        return t_;                                                                                 \
    } while (0)

#define OPTIONS mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory
#define MAKE(size, n) empty(size, n, dtype, layout, device, pin_memory)

mt_tensor *
op_rand_generator(const int64_t *size, int64_t size_n, mt_generator *generator, OPTIONS)
{
    FILLED(MAKE(size, size_n), generator, mt_random_uniform(rng, &out, 0, 1));
}

mt_tensor *
op_rand(const int64_t *size, int64_t size_n, OPTIONS)
{
    return op_rand_generator(size, size_n, NULL, dtype, layout, device, pin_memory);
}

mt_tensor *
op_randn_generator(const int64_t *size, int64_t size_n, mt_generator *generator, OPTIONS)
{
    FILLED(MAKE(size, size_n), generator, mt_random_normal(rng, &out, 0, 1));
}

mt_tensor *
op_randn(const int64_t *size, int64_t size_n, OPTIONS)
{
    return op_randn_generator(size, size_n, NULL, dtype, layout, device, pin_memory);
}

mt_tensor *
op_randint_low_generator(int64_t low, int64_t high, const int64_t *size, int64_t size_n,
                         mt_generator *generator, OPTIONS)
{
    FILLED(MAKE(size, size_n), generator, mt_random_integers(rng, &out, low, high));
}

mt_tensor *
op_randint_generator(int64_t high, const int64_t *size, int64_t size_n, mt_generator *generator,
                     OPTIONS)
{
    return op_randint_low_generator(0, high, size, size_n, generator, dtype, layout, device,
                                    pin_memory);
}

mt_tensor *
op_randint_low(int64_t low, int64_t high, const int64_t *size, int64_t size_n, OPTIONS)
{
    return op_randint_low_generator(low, high, size, size_n, NULL, dtype, layout, device, pin_memory);
}

mt_tensor *
op_randint(int64_t high, const int64_t *size, int64_t size_n, OPTIONS)
{
    return op_randint_low_generator(0, high, size, size_n, NULL, dtype, layout, device, pin_memory);
}

mt_tensor *
op_randperm_generator(int64_t n, mt_generator *generator, OPTIONS)
{
    if (n < 0)
        return mt_fail_null(MT_RUNTIME, "n must be non-negative, got%lld", (long long)n);
    if (dtype == MT_DTYPE_NONE)
        dtype = MT_INT64;
    if (mt_random_permutation_check(dtype, n) < 0)
        return NULL;
    FILLED(MAKE(&n, 1), generator, mt_random_permutation(rng, out.dtype, out.data, 1, n));
}

mt_tensor *
op_randperm(int64_t n, OPTIONS)
{
    return op_randperm_generator(n, NULL, dtype, layout, device, pin_memory);
}

#define LIKE aten_empty_like(self, dtype, layout, device, pin_memory, format)

mt_tensor *
op_rand_like(mt_tensor *self, OPTIONS, mt_memory_format format)
{
    FILLED(LIKE, NULL, mt_random_uniform(rng, &out, 0, 1));
}

mt_tensor *
op_randn_like(mt_tensor *self, OPTIONS, mt_memory_format format)
{
    FILLED(LIKE, NULL, mt_random_normal(rng, &out, 0, 1));
}

mt_tensor *
op_randint_like_low_dtype(mt_tensor *self, int64_t low, int64_t high, OPTIONS,
                          mt_memory_format format)
{
    FILLED(LIKE, NULL, mt_random_integers(rng, &out, low, high));
}

mt_tensor *
op_randint_like(mt_tensor *self, int64_t high, OPTIONS, mt_memory_format format)
{
    return op_randint_like_low_dtype(self, 0, high, dtype, layout, device, pin_memory, format);
}

#define IN_PLACE(generator, call)                                                                  \
    do {                                                                                           \
        if (mt_check_no_internal_overlap(self) < 0)                                                \
            return -1;                                                                             \
        if (mt_is_meta(self))                                                                      \
            return 0;                                                                              \
        mt_random_out out = target(self);                                                          \
        mt_rng *rng = mt_rng_of(generator);                                                        \
        return call;                                                                               \
    } while (0)

int
op_uniform_(mt_tensor *self, double from_, double to, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_uniform(rng, &out, from_, to));
}

int
op_normal_(mt_tensor *self, double mean, double std, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_normal(rng, &out, mean, std));
}

int
op_exponential_(mt_tensor *self, double lambd, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_exponential(rng, &out, lambd));
}

int
op_cauchy_(mt_tensor *self, double median, double sigma, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_cauchy(rng, &out, median, sigma));
}

int
op_log_normal_(mt_tensor *self, double mean, double std, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_log_normal(rng, &out, mean, std));
}

int
op_geometric_(mt_tensor *self, double p, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_geometric(rng, &out, p));
}

int
op_random__from(mt_tensor *self, int64_t from_, mt_value to, mt_generator *generator)
{
    if (mt_is_none(to))
        IN_PLACE(generator, mt_random_integers_from(rng, &out, from_));
    IN_PLACE(generator, mt_random_integers(rng, &out, from_, to.u.i));
}

int
op_random__to(mt_tensor *self, int64_t to, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_integers(rng, &out, 0, to));
}

int
op_random_(mt_tensor *self, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_integers_all(rng, &out));
}

int
op_bernoulli__float(mt_tensor *self, double p, mt_generator *generator)
{
    IN_PLACE(generator, mt_random_bernoulli(rng, &out, p));
}

static int
bernoulli_by(mt_tensor *self, mt_tensor *p, mt_generator *generator)
{
    mt_tensor *wide = aten_expand(p, self->sizes, self->ndim, false);
    if (!wide)
        return -1;
    mt_random_out out = target(self);
    mt_random_arg arg = {mt_data(wide), (mt_dtype)wide->dtype, wide->strides};
    int rc = mt_random_bernoulli_tensor(mt_rng_of(generator), &out, &arg);
    mt_release(wide);
    return rc;
}

int
op_bernoulli__Tensor(mt_tensor *self, mt_tensor *p, mt_generator *generator)
{
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    return mt_is_meta(self) ? 0 : bernoulli_by(self, p, generator);
}

mt_tensor *
op_bernoulli(mt_tensor *self, mt_generator *generator)
{
    mt_tensor *t = aten_empty_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_CONTIGUOUS);
    if (t && !mt_is_meta(t) && bernoulli_by(t, self, generator) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op_bernoulli_p(mt_tensor *self, double p, mt_generator *generator)
{
    mt_tensor *t = aten_empty_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_CONTIGUOUS);
    FILLED(t, generator, mt_random_bernoulli(rng, &out, p));
}

mt_tensor *
op_multinomial(mt_tensor *self, int64_t num_samples, bool replacement, mt_generator *generator)
{
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "multinomial only supports floating-point dtypes for input, got: %s",
                            mt_dtypes[self->dtype].scalar_name);
    if (self->ndim < 1 || self->ndim > 2)
        return mt_fail_null(MT_RUNTIME, "prob_dist must be 1 or 2 dim");
    int64_t categories = self->sizes[self->ndim - 1], rows = self->ndim == 2 ? self->sizes[0] : 1;
    if (num_samples <= 0)
        return mt_fail_null(MT_RUNTIME, "cannot sample n_sample <= 0 samples");
    if (!replacement && num_samples > categories)
        return mt_fail_null(MT_RUNTIME,
                            "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
    int64_t sizes[2] = {rows, num_samples};
    mt_tensor *t = mt_empty(self->ndim, self->ndim == 2 ? sizes : sizes + 1, NULL, MT_INT64, self->device);
    if (!t || mt_is_meta(t) || t->numel == 0)
        return t;
    if (mt_random_multinomial(mt_rng_of(generator), (mt_dtype)self->dtype, mt_data(self),
                              self->ndim == 2 ? self->strides[0] : 0, self->strides[self->ndim - 1],
                              rows, categories, num_samples, replacement, mt_data(t)) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

/* ---- normal with tensors ------------------------------------------------------------------ */

/* standard normal of the broadcast shape, then times std, plus mean */
static mt_tensor *
normal(mt_tensor *mean, mt_tensor *std, double m, double s, mt_generator *generator)
{
    int64_t sizes[MT_MAX_DIMS];
    const mt_tensor *first = mean ? mean : std;
    int ndim = first->ndim;
    memcpy(sizes, first->sizes, (size_t)ndim * sizeof(int64_t));
    if (mean && std && (ndim = mt_broadcast(sizes, ndim, std->sizes, std->ndim)) < 0)
        return NULL;
    if (!std && s < 0)
        return mt_fail_null(MT_RUNTIME, "normal expects std >= 0.0, but found std %g", s);
    mt_tensor *t = mt_empty(ndim, sizes, NULL, (mt_dtype)first->dtype, first->device);
    if (!t || mt_is_meta(t))
        return t;
    mt_random_out out = target(t);
    int rc = mt_random_normal(mt_rng_of(generator), &out, 0, 1);
    mt_tensor *scale = NULL, *shift = NULL;
    if (rc == 0 && !std && (scale = mt_wrap_scalar(mt_v_float(s))) == NULL)
        rc = -1;
    if (rc == 0 && !mean && (shift = mt_wrap_scalar(mt_v_float(m))) == NULL)
        rc = -1;
    if (rc == 0)
        rc = aten_mul__Tensor(t, std ? std : scale);
    if (rc == 0)
        rc = aten_add__Tensor(t, mean ? mean : shift, mt_v_int(1));
    mt_xrelease(scale);
    mt_xrelease(shift);
    if (rc < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op_normal_Tensor_float(mt_tensor *mean, double std, mt_generator *generator)
{
    return normal(mean, NULL, 0, std, generator);
}

mt_tensor *
op_normal_float_Tensor(double mean, mt_tensor *std, mt_generator *generator)
{
    return normal(NULL, std, mean, 0, generator);
}

mt_tensor *
op_normal_Tensor_Tensor(mt_tensor *mean, mt_tensor *std, mt_generator *generator)
{
    return normal(mean, std, 0, 0, generator);
}

mt_tensor *
op_normal_float_float(double mean, double std, const int64_t *size, int64_t size_n,
                      mt_generator *generator, OPTIONS)
{
    FILLED(MAKE(size, size_n), generator, mt_random_normal(rng, &out, mean, std));
}

/* ---- dropout ------------------------------------------------------------------------------ */

static int
check_p(double p)
{
    if (!(p >= 0 && p <= 1))
        return mt_fail(MT_RUNTIME, "dropout probability has to be between 0 and 1, but got %g", p);
    return 0;
}

int
op_native_dropout(mt_tensor *input, double p, mt_value train, mt_tensor **ret0, mt_tensor **ret1)
{
    if (!mt_is_none(train) && !train.u.i) {
        *ret0 = aten_clone(input, MT_FORMAT_NONE);
        *ret1 = *ret0 ? filled(mt_empty(input->ndim, input->sizes, NULL, MT_BOOL, input->device),
                               mt_v_int(1))
                      : NULL;
    } else {
        if (check_p(p) < 0)
            return -1;
        mt_tensor *x = mt_contiguous_data(input, false);
        *ret0 = x ? mt_empty(input->ndim, input->sizes, NULL, (mt_dtype)input->dtype, input->device)
                  : NULL;
        *ret1 = *ret0 ? mt_empty(input->ndim, input->sizes, NULL, MT_BOOL, input->device) : NULL;
        int rc = *ret1 ? 0 : -1;
        if (rc == 0 && p == 1)
            rc = mt_fill_data(*ret0, mt_v_int(0)) < 0 || mt_fill_data(*ret1, mt_v_int(0)) < 0 ? -1 : 0;
        else if (rc == 0 && !mt_is_meta(input))
            rc = mt_random_dropout(mt_rng_of(NULL), (mt_dtype)input->dtype, input->numel, p, mt_data(x),
                                   mt_data(*ret0), mt_data(*ret1));
        mt_xrelease(x);
        if (rc < 0) {
            mt_xrelease(*ret0);
            mt_xrelease(*ret1);
            *ret0 = *ret1 = NULL;
        }
    }
    return *ret1 ? 0 : -1;
}

mt_tensor *
mth_dropout_backward(mt_tensor *grad, mt_tensor *mask, double p, mt_value train)
{
    bool on = mt_is_none(train) || train.u.i;
    mt_tensor *kept = aten_mul_Tensor(grad, mask);
    if (!kept || !on || p == 1)
        return kept;
    mt_tensor *s = mt_wrap_scalar(mt_v_float(1 / (1 - p)));
    mt_tensor *r = s ? aten_mul_Tensor(kept, s) : NULL;
    mt_release(kept);
    mt_xrelease(s);
    return r;
}

/* The noise that dropout multiplies with: 0, or 1 / (1 - p). */
static mt_tensor *
noise_like(mt_tensor *input, double p)
{
    mt_tensor *noise = aten_empty_like(input, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    if (!noise)
        return NULL;
    mt_tensor *keep = mt_wrap_scalar(mt_v_float(1 - p));
    int rc = keep && aten_bernoulli__float(noise, 1 - p, NULL) == 0 ? aten_div__Tensor(noise, keep) : -1;
    mt_xrelease(keep);
    if (rc < 0) {
        mt_release(noise);
        return NULL;
    }
    return noise;
}

mt_tensor *
op_dropout(mt_tensor *input, double p, bool train)
{
    if (check_p(p) < 0)
        return NULL;
    if (p == 0 || !train || input->numel == 0)
        return mt_keep(input);
    if (p == 1) {
        mt_tensor *zero = mt_wrap_scalar(mt_v_int(0)), *r = zero ? aten_mul_Tensor(input, zero) : NULL;
        mt_xrelease(zero);
        return r;
    }
    mt_tensor *noise = noise_like(input, p), *r = noise ? aten_mul_Tensor(input, noise) : NULL;
    mt_xrelease(noise);
    return r;
}

int
op_dropout_(mt_tensor *self, double p, bool train)
{
    if (check_p(p) < 0)
        return -1;
    if (p == 0 || !train || self->numel == 0)
        return 0;
    mt_tensor *noise = p == 1 ? mt_wrap_scalar(mt_v_int(0)) : noise_like(self, p);
    int rc = noise ? aten_mul__Tensor(self, noise) : -1;
    mt_xrelease(noise);
    return rc;
}
