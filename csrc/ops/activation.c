/* Activations and rearrangements that check or draw random numbers before they compute. */
#include "base/error.h"
#include "ops/generator.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

mt_tensor *
op_glu(mt_tensor *self, int64_t dim)
{
    if (self->ndim == 0)
        return mt_fail_null(MT_RUNTIME, "glu does not support 0-dimensional tensors");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    int64_t half = self->sizes[d] / 2;
    if (self->sizes[d] % 2)
        return mt_fail_null(MT_RUNTIME, "Halving dimension must be even, but dimension %d is size %lld", d,
                            (long long)self->sizes[d]);
    if (!mt_is_floating((mt_dtype)self->dtype) && !mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"glu_cpu\" not implemented for '%s'",
                            mt_dtypes[self->dtype].scalar_name);
    mt_tensor *a = aten_narrow(self, d, 0, half), *b = a ? aten_narrow(self, d, half, half) : NULL;
    mt_tensor *s = b ? aten_sigmoid(b) : NULL, *r = s ? aten_mul_Tensor(a, s) : NULL;
    mt_xrelease(a);
    mt_xrelease(b);
    mt_xrelease(s);
    return r;
}

mt_tensor *
op_prelu(mt_tensor *self, mt_tensor *weight)
{
    if (self->dtype != weight->dtype)
        return mt_fail_null(MT_RUNTIME, "prelu: Type promoting not supported. Got %s and %s",
                            mt_dtypes[self->dtype].scalar_name, mt_dtypes[weight->dtype].scalar_name);
    int64_t channels = self->ndim >= 2 ? self->sizes[1] : 1, shape[MT_MAX_DIMS];
    if (weight->numel != 1) {
        if (self->ndim == 0)
            return mt_fail_null(MT_RUNTIME, "Not allow zero-dim input tensor.");
        if (channels != weight->numel)
            return mt_fail_null(MT_RUNTIME,
                                "Mismatch of parameter numbers and input channel size. Found parameter "
                                "numbers = %lld and channel size = %lld.",
                                (long long)weight->numel, (long long)channels);
    }
    if (weight->ndim > 1)
        return mt_fail_null(MT_RUNTIME, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = %d",
                            weight->ndim);
    for (int d = 0; d < self->ndim; d++)
        shape[d] = d == 1 || (d == 0 && self->ndim == 1) ? weight->numel : 1;
    mt_tensor *w = weight->ndim == self->ndim ? mt_keep(weight) : aten_view(weight, shape, self->ndim);
    mt_tensor *r = w ? aten__prelu_kernel(self, w) : NULL;
    mt_xrelease(w);
    return r;
}

/* ---- celu --------------------------------------------------------------------------------- */

static int
check_celu(mt_scalar alpha)
{
    return mt_scalar_f64(alpha) == 0
               ? mt_fail(MT_RUNTIME, "ZeroDivisionError: alpha cannot be 0 for CELU")
               : 0;
}

mt_tensor *
op_celu(mt_tensor *self, mt_scalar alpha)
{
    if (check_celu(alpha) < 0)
        return NULL;
    return aten_elu(self, alpha, mt_v_int(1), mt_v_float(1 / mt_scalar_f64(alpha)));
}

int
op_celu_(mt_tensor *self, mt_scalar alpha)
{
    if (check_celu(alpha) < 0)
        return -1;
    return aten_elu_(self, alpha, mt_v_int(1), mt_v_float(1 / mt_scalar_f64(alpha)));
}

/* ---- rrelu -------------------------------------------------------------------------------- */

/* Slopes for elements up to 0, drawn in the order of the elements; 1 elsewhere. */
static int
draw_slopes(mt_tensor *self, mt_tensor *noise, double lower, double upper, mt_rng *rng)
{
    mt_tensor *x = mt_empty(self->ndim, self->sizes, NULL, MT_FLOAT64, self->device);
    int rc = x ? mt_copy_data(x, self) : -1;
    if (rc == 0) {
        double *p = mt_data(x);
        for (int64_t i = 0; i < x->numel; i++)
            p[i] = p[i] <= 0 ? mt_rng_unit(rng) * (upper - lower) + lower : 1;
        rc = mt_copy_data(noise, x);
    }
    mt_xrelease(x);
    return rc;
}

mt_tensor *
op_rrelu_with_noise(mt_tensor *self, mt_tensor *noise, mt_scalar lower, mt_scalar upper,
                    bool training, mt_generator *generator)
{
    double low = mt_scalar_f64(lower), high = mt_scalar_f64(upper);
    if (low > high)
        return mt_fail_null(MT_RUNTIME, "Lower bound should be less than or equal to the upper bound");
    if (!mt_same_shape(self, noise))
        return mt_fail_null(MT_RUNTIME, "noise tensor shape must match self tensor shape. Got self.shape = %s "
                                        "noise.shape = %s",
                            mt_shape_str(self), mt_shape_str(noise));
    if (!training)
        return aten_leaky_relu(self, mt_v_float((low + high) / 2));
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"rrelu_with_noise_out_cpu\" not implemented for '%s'",
                            mt_dtypes[self->dtype].scalar_name);
    if (mt_is_meta(self))
        return aten_empty_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    if (draw_slopes(self, noise, low, high, mt_rng_of(generator)) < 0)
        return NULL;
    return aten_mul_Tensor(self, noise);
}

int
op_rrelu_with_noise_(mt_tensor *self, mt_tensor *noise, mt_scalar lower, mt_scalar upper,
                     bool training, mt_generator *generator)
{
    mt_tensor *r = op_rrelu_with_noise(self, noise, lower, upper, training, generator);
    int rc = r ? mt_copy_data(self, r) : -1;
    mt_xrelease(r);
    return rc;
}

int
op_rrelu_(mt_tensor *self, mt_scalar lower, mt_scalar upper, bool training, mt_generator *generator)
{
    mt_tensor *noise = aten_empty_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    int rc = noise ? aten_rrelu_with_noise_(self, noise, lower, upper, training, generator) : -1;
    mt_xrelease(noise);
    return rc;
}

/* ---- dropout of channels, alpha dropout --------------------------------------------------- */

/* The factor and, for alpha dropout, the summand of each element (*shift). Nothing to do: both
 * NULL with 0. */
static int
draw_noise(mt_tensor *self, double p, bool train, bool feature, bool alpha, mt_tensor **factor,
           mt_tensor **shift)
{
    int64_t sizes[MT_MAX_DIMS];
    *factor = *shift = NULL;
    if (!(p >= 0 && p <= 1))
        return mt_fail(MT_RUNTIME, "dropout probability has to be between 0 and 1, but got %g", p);
    if (p == 0 || !train || self->numel == 0)
        return 0;
    if (p == 1) {
        *factor = mt_wrap_scalar(mt_v_int(0));
        return *factor ? 0 : -1;
    }
    if (feature && self->ndim < 2)
        return mt_fail(MT_RUNTIME, "Feature dropout requires at least 2 dimensions in the input");
    for (int d = 0; d < self->ndim; d++)
        sizes[d] = !feature || d < 2 ? self->sizes[d] : 1;
    mt_tensor *noise = feature ? aten_new_empty(self, sizes, self->ndim, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none())
                               : aten_empty_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    mt_tensor *scale = NULL, *less = NULL, *low = NULL;
    int rc = noise ? aten_bernoulli__float(noise, 1 - p, NULL) : -1;
    if (rc == 0 && alpha) {
        /* the value that selu tends to, and what restores mean 0 and variance 1 */
        const double limit = 1.7580993408473766;
        double a = 1 / __builtin_sqrt((limit * limit * p + 1) * (1 - p));
        scale = mt_wrap_scalar(mt_v_float(a));
        low = mt_wrap_scalar(mt_v_float(limit * a));
        mt_tensor *end = mt_wrap_scalar(mt_v_float(limit * a * p));
        less = low ? aten_mul_Tensor(noise, low) : NULL; /* limit * a where kept */
        mt_tensor *b = less ? aten_sub_Tensor(less, low, mt_v_int(1)) : NULL;
        *shift = b && end ? aten_add_Tensor(b, end, mt_v_int(1)) : NULL;
        mt_xrelease(b);
        mt_xrelease(end);
        rc = *shift && scale ? aten_mul__Tensor(noise, scale) : -1;
    } else if (rc == 0) {
        scale = mt_wrap_scalar(mt_v_float(1 - p));
        rc = scale ? aten_div__Tensor(noise, scale) : -1;
    }
    mt_xrelease(scale);
    mt_xrelease(less);
    mt_xrelease(low);
    *factor = noise;
    return rc;
}

static mt_tensor *
dropped(mt_tensor *input, double p, bool train, bool feature, bool alpha)
{
    mt_tensor *factor, *shift, *r = NULL;
    int rc = draw_noise(input, p, train, feature, alpha, &factor, &shift);
    if (rc == 0)
        r = factor ? aten_mul_Tensor(input, factor) : mt_keep(input);
    if (r && shift) {
        mt_tensor *s = aten_add_Tensor(r, shift, mt_v_int(1));
        mt_release(r);
        r = s;
    }
    mt_xrelease(factor);
    mt_xrelease(shift);
    return r;
}

static int
drop_in_place(mt_tensor *self, double p, bool train, bool feature, bool alpha)
{
    mt_tensor *factor, *shift;
    int rc = draw_noise(self, p, train, feature, alpha, &factor, &shift);
    if (rc == 0 && factor)
        rc = aten_mul__Tensor(self, factor);
    if (rc == 0 && shift)
        rc = aten_add__Tensor(self, shift, mt_v_int(1));
    mt_xrelease(factor);
    mt_xrelease(shift);
    return rc;
}

#define DROPOUT(name, feature, alpha)                                                              \
    mt_tensor *op_##name(mt_tensor *input, double p, bool train)                                   \
    {                                                                                              \
        return dropped(input, p, train, feature, alpha);                                           \
    }                                                                                              \
    int op_##name##_(mt_tensor *self, double p, bool train)                                        \
    {                                                                                              \
        return drop_in_place(self, p, train, feature, alpha);                                      \
    }
DROPOUT(alpha_dropout, false, true)
DROPOUT(feature_dropout, true, false)
DROPOUT(feature_alpha_dropout, true, true)

/* ---- rearranging -------------------------------------------------------------------------- */

/* self seen as `shape`, dimensions in `order`, packed and seen as `result`. */
static mt_tensor *
rearranged(mt_tensor *self, const int64_t *shape, const int64_t *order, int n, const int64_t *result)
{
    mt_tensor *v = aten_reshape(self, shape, n), *p = v ? aten_permute(v, order, n) : NULL;
    mt_tensor *c = p ? aten_clone(p, MT_CONTIGUOUS) : NULL, *r = c ? aten_view(c, result, self->ndim) : NULL;
    mt_xrelease(v);
    mt_xrelease(p);
    mt_xrelease(c);
    return r;
}

static mt_tensor *
shuffled(mt_tensor *self, int64_t r, bool up)
{
    const char *op = up ? "pixel_shuffle" : "pixel_unshuffle", *what = up ? "upscale" : "downscale";
    int n = self->ndim, lead = n - 3;
    if (n < 3)
        return mt_fail_null(MT_RUNTIME,
                            "%s expects input to have at least 3 dimensions, but got input with %d "
                            "dimension(s)",
                            op, n);
    if (r <= 0)
        return mt_fail_null(MT_RUNTIME, "%s expects a positive %s_factor, but got %lld", op, what,
                            (long long)r);
    int64_t c = self->sizes[lead], h = self->sizes[lead + 1], w = self->sizes[lead + 2];
    if (up && c % (r * r))
        return mt_fail_null(MT_RUNTIME,
                            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the "
                            "square of upscale_factor, but input.size(-3)=%lld is not divisible by %lld",
                            (long long)c, (long long)(r * r));
    if (!up && h % r)
        return mt_fail_null(MT_RUNTIME,
                            "pixel_unshuffle expects height to be divisible by downscale_factor, but "
                            "input.size(-2)=%lld is not divisible by %lld",
                            (long long)h, (long long)r);
    if (!up && w % r)
        return mt_fail_null(MT_RUNTIME,
                            "pixel_unshuffle expects width to be divisible by downscale_factor, but "
                            "input.size(-1)=%lld is not divisible by %lld",
                            (long long)w, (long long)r);
    int64_t shape[MT_MAX_DIMS + 2], order[MT_MAX_DIMS + 2], result[MT_MAX_DIMS];
    if (n + 2 > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "%s: too many dimensions", op);
    for (int d = 0; d < lead; d++) {
        shape[d] = result[d] = self->sizes[d];
        order[d] = d;
    }
    static const int64_t up_order[5] = {0, 3, 1, 4, 2}, down_order[5] = {0, 2, 4, 1, 3};
    for (int d = 0; d < 5; d++)
        order[lead + d] = lead + (up ? up_order : down_order)[d];
    if (up) {
        int64_t inner[5] = {c / (r * r), r, r, h, w}, last[3] = {c / (r * r), h * r, w * r};
        memcpy(shape + lead, inner, sizeof inner);
        memcpy(result + lead, last, sizeof last);
    } else {
        int64_t inner[5] = {c, h / r, r, w / r, r}, last[3] = {c * r * r, h / r, w / r};
        memcpy(shape + lead, inner, sizeof inner);
        memcpy(result + lead, last, sizeof last);
    }
    return rearranged(self, shape, order, n + 2, result);
}

mt_tensor *
op_pixel_shuffle(mt_tensor *self, int64_t upscale_factor)
{
    return shuffled(self, upscale_factor, true);
}

mt_tensor *
op_pixel_unshuffle(mt_tensor *self, int64_t downscale_factor)
{
    return shuffled(self, downscale_factor, false);
}

mt_tensor *
op_channel_shuffle(mt_tensor *self, int64_t groups)
{
    if (self->ndim <= 2)
        return mt_fail_null(MT_RUNTIME, "channel_shuffle expects input with > 2 dims, but got input with sizes %s",
                            mt_shape_str(self));
    if (groups <= 0)
        return mt_fail_null(MT_RUNTIME,
                            "Number of groups to divide channels in must be positive. Value of groups:%lld",
                            (long long)groups);
    int64_t c = self->sizes[1], area = 1;
    if (c % groups)
        return mt_fail_null(MT_RUNTIME,
                            "Number of channels must be divisible by groups. Got %lld channels and %lld "
                            "groups.",
                            (long long)c, (long long)groups);
    for (int d = 2; d < self->ndim; d++)
        area *= self->sizes[d];
    int64_t shape[4] = {self->sizes[0], groups, c / groups, area}, order[4] = {0, 2, 1, 3};
    return rearranged(self, shape, order, 4, self->sizes);
}
