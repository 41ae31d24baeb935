/* Unpooling, and max pooling over windows at random distances (Graham, 2014). */
#include <math.h>

#include "ops/pooled.h"
#include "ops/determinism.h"
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* ---- unpooling ---------------------------------------------------------------------------- */

static int
unpool_meta(mt_call *call, mt_tensor *self, mt_tensor *indices, const int64_t *size, int64_t n, int dims)
{
    int64_t sizes[5];
    if (indices->dtype != MT_INT64)
        return mt_fail(MT_RUNTIME, "elements in indices should be type int64 but got: %s",
                       mt_dtypes[indices->dtype].scalar_name);
    if (n != dims)
        return mt_fail(MT_RUNTIME,
                       dims == 2 ? "There should be exactly two elements (height, width) in output_size, but "
                                   "got %lld elements."
                                 : "There should be exactly three elements (depth, height, width) in "
                                   "output_size, but got %lld elements.",
                       (long long)n);
    if (self->ndim != dims + 1 && self->ndim != dims + 2)
        return mt_fail(MT_RUNTIME,
                       "Input to max_unpooling%dd should be a %dd or %dd Tensor, but got a tensor with %d "
                       "dimensions.",
                       dims, dims + 1, dims + 2, self->ndim);
    if (!mt_same_shape(self, indices))
        return mt_fail(MT_RUNTIME, "Expected shape of indices to be: %s but got: %s", mt_shape_str(self),
                       mt_shape_str(indices));
    int lead = self->ndim - dims;
    for (int d = 1; d < self->ndim; d++)
        if (self->sizes[d] == 0)
            return mt_fail(MT_RUNTIME,
                           "max_unpooling%dd(): Expected input to have non-zero size for non-batch "
                           "dimensions, but got %s with dimension %d being empty.",
                           dims, mt_shape_str(self), d);
    memcpy(sizes, self->sizes, (size_t)lead * sizeof(int64_t));
    memcpy(sizes + lead, size, (size_t)dims * sizeof(int64_t));
    return mt_set_output_format(call, 0, self->ndim, sizes, (mt_dtype)self->dtype, self);
}

static int
unpool(mt_call *call, mt_tensor *self, mt_tensor *indices, int dims)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_contiguous_data(self, false);
    mt_tensor *at = x ? mt_contiguous_data(indices, false) : NULL;
    int rc = at ? mt_fill_data(out, mt_v_int(0)) : -1;
    int64_t planes = 1, from = 1, to = 1, size = mt_itemsize(self);
    int lead = self->ndim - dims;
    for (int d = 0; d < self->ndim; d++) {
        if (d < lead)
            planes *= self->sizes[d];
        else {
            from *= self->sizes[d];
            to *= out->sizes[d];
        }
    }
    if (rc == 0 && !mt_is_floating((mt_dtype)self->dtype))
        rc = mt_fail(MT_NOT_IMPLEMENTED, "\"max_unpool%dd\" not implemented for '%s'", dims,
                     mt_dtypes[self->dtype].scalar_name);
    for (int64_t p = 0; rc == 0 && p < planes; p++)
        for (int64_t i = 0; i < from; i++) {
            int64_t k = ((const int64_t *)mt_data(at))[p * from + i];
            if (k < 0 || k >= to) {
                int64_t *s = out->sizes + lead;
                rc = dims == 2 ? mt_fail(MT_RUNTIME,
                                         "Found an invalid max index: %lld (output volumes are of size "
                                         "%lldx%lld",
                                         (long long)k, (long long)s[0], (long long)s[1])
                               : mt_fail(MT_RUNTIME,
                                         "Found an invalid max index: %lld (output volumes are of size "
                                         "%lldx%lldx%lld",
                                         (long long)k, (long long)s[0], (long long)s[1], (long long)s[2]);
                break;
            }
            memcpy((char *)mt_data(out) + (p * to + k) * size, (char *)mt_data(x) + (p * from + i) * size,
                   (size_t)size);
        }
    mt_xrelease(x);
    mt_xrelease(at);
    return rc;
}

int
max_unpool2d_meta(mt_call *call, mt_tensor *self, mt_tensor *indices, const int64_t *size, int64_t n)
{
    return unpool_meta(call, self, indices, size, n, 2);
}

int
max_unpool2d_impl(mt_call *call, mt_tensor *self, mt_tensor *indices, const int64_t *size, int64_t n)
{
    if (mt_alert_nondeterministic("max_unpooling2d_forward_out") < 0)
        return -1;
    (void)size;
    (void)n;
    return unpool(call, self, indices, 2);
}

int
max_unpool3d_meta(mt_call *call, mt_tensor *self, mt_tensor *indices, const int64_t *size, int64_t n,
                  const int64_t *stride, int64_t sn, const int64_t *padding, int64_t pn)
{
    (void)padding;
    if (sn != 3)
        return mt_fail(MT_RUNTIME,
                       "There should be exactly three elements (depth, height, width) in stride, but got: "
                       "%lld elements.",
                       (long long)sn);
    if (pn != 3)
        return mt_fail(MT_RUNTIME,
                       "There should be exactly three elements (depth, height, width) in padding, but got: "
                       "%lld elements.",
                       (long long)pn);
    for (int d = 0; d < 3; d++)
        if (stride[d] <= 0)
            return mt_fail(MT_RUNTIME, "strides should be greater than zero, but got stride: %s",
                           mt_str_ints(stride, 3));
    return unpool_meta(call, self, indices, size, n, 3);
}

int
max_unpool3d_impl(mt_call *call, mt_tensor *self, mt_tensor *indices, const int64_t *size, int64_t n,
                  const int64_t *stride, int64_t sn, const int64_t *padding, int64_t pn)
{
    if (mt_alert_nondeterministic("max_unpooling3d_forward_out") < 0)
        return -1;
    (void)size;
    (void)n;
    (void)stride;
    (void)sn;
    (void)padding;
    (void)pn;
    return unpool(call, self, indices, 3);
}

/* ---- fractional max pooling --------------------------------------------------------------- */

typedef struct plan {
    int dims, ndim;
    int64_t batch, channels, in[3], out[3], kernel[3], sizes[5];
} plan;

static int
make_plan(plan *p, const mt_tensor *self, const int64_t *kernel, int64_t kn, const int64_t *size,
          int64_t n, int dims)
{
    memset(p, 0, sizeof *p);
    if ((kn != 1 && kn != dims) || (n != 1 && n != dims))
        return mt_fail(MT_RUNTIME, "fractional_max_pool%dd: %s must either be a single Int or tuple of %sInts",
                       dims, kn != 1 && kn != dims ? "kernel_size" : "output_size",
                       dims == 3 ? "three " : "");
    if (self->ndim != dims + 1 && self->ndim != dims + 2)
        return mt_fail(MT_RUNTIME,
                       "fractional_max_pool%dd: Expected %dD or %dD tensor, but got: %s", dims, dims + 1,
                       dims + 2, mt_shape_str(self));
    int lead = self->ndim - dims;
    for (int d = lead - 1; d < self->ndim; d++)
        if (self->sizes[d] == 0)
            return mt_fail(MT_RUNTIME,
                           "fractional_max_pool%dd: Expected input to have non-zero size for non-batch "
                           "dimensions, but got %s with dimension %d being empty.",
                           dims, mt_shape_str(self), d);
    p->dims = dims;
    p->ndim = self->ndim;
    p->batch = lead == 2 ? self->sizes[0] : 1;
    p->channels = self->sizes[lead - 1];
    memcpy(p->sizes, self->sizes, (size_t)lead * sizeof(int64_t));
    p->in[0] = p->out[0] = p->kernel[0] = 1;
    for (int d = 0; d < dims; d++) {
        int at = 3 - dims + d;
        p->in[at] = self->sizes[lead + d];
        p->out[at] = p->sizes[lead + d] = size[n == 1 ? 0 : d];
        p->kernel[at] = kernel[kn == 1 ? 0 : d];
        if (p->out[at] + p->kernel[at] - 1 > p->in[at])
            return mt_fail(MT_RUNTIME,
                           "fractional_max_pool%s(): pool %s %lld too large relative to input %s %lld",
                           dims == 2 ? "2d" : "3d_out",
                           at == 2 ? "width" : at == 1 ? "height" : "time", (long long)p->kernel[at],
                           at == 2 ? "width" : at == 1 ? "height" : "time", (long long)p->in[at]);
    }
    return 0;
}

/* Where window `i` begins. */
static int64_t
start_of(double sample, int64_t i, int64_t in, int64_t out, int64_t kernel)
{
    if (out == 1 || i == out - 1)
        return in - kernel;
    double alpha = (double)(in - kernel) / (double)(out - 1);
    return (int64_t)(((double)i + sample) * alpha) - (int64_t)(sample * alpha);
}

static int64_t
start_of_float(float sample, int64_t i, int64_t in, int64_t out, int64_t kernel)
{
    if (out == 1 || i == out - 1)
        return in - kernel;
    float alpha = (float)(in - kernel) / (float)(out - 1);
    return (int64_t)(((float)i + sample) * alpha) - (int64_t)(sample * alpha);
}

static int
fractional_meta(mt_call *call, mt_tensor *self, const plan *p)
{
    if (mt_set_output(call, 0, p->ndim, p->sizes, NULL, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, p->ndim, p->sizes, NULL, MT_INT64, self->device);
}

static int
fractional(mt_call *call, mt_tensor *self, const plan *p, mt_tensor *samples)
{
    mt_dtype dtype = (mt_dtype)self->dtype;
    if (!mt_is_floating(dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"fractional_max_pool%dd_out_frame\" not implemented for '%s'",
                       p->dims, mt_dtypes[dtype].scalar_name);
    if (samples->ndim != 3)
        return mt_fail(MT_RUNTIME, "Expect _random_samples to have 3 dimensions, got %d", samples->ndim);
    if (samples->sizes[0] < p->batch)
        return mt_fail(MT_RUNTIME, "Expect _random_samples.size(0) no less then input batch size.");
    if (samples->sizes[1] != p->channels)
        return mt_fail(MT_RUNTIME, "Expect _random_samples.size(1) equals to input channel size.");
    if (samples->sizes[2] != p->dims)
        return mt_fail(MT_RUNTIME, "Expect _random_samples.size(2) equals to %d; got %lld.", p->dims,
                       (long long)samples->sizes[2]);
    mt_tensor *x = mt_empty(self->ndim, self->sizes, NULL, MT_FLOAT64, self->device);
    mt_tensor *s = mt_empty(3, samples->sizes, NULL, MT_FLOAT64, self->device);
    mt_tensor *r = mt_empty(p->ndim, p->sizes, NULL, MT_FLOAT64, self->device), *at = mt_out(call, 1);
    int rc = x && s && r && mt_copy_data(x, self) == 0 && mt_copy_data(s, samples) == 0 ? 0 : -1;
    int64_t plane = p->in[0] * p->in[1] * p->in[2], o = 0;
    for (int64_t i = 0; rc == 0 && i < p->batch * p->channels; i++) {
        const double *from = (const double *)mt_data(x) + i * plane;
        const double *u = (const double *)mt_data(s) + i * p->dims;
        /* in two dimensions the first number is that of the width */
        double sample[3] = {p->dims == 3 ? u[0] : 0, u[1], p->dims == 3 ? u[2] : u[0]};
        for (int64_t k = 0; k < p->out[0] * p->out[1] * p->out[2]; k++, o++) {
            int64_t place[3] = {k / (p->out[1] * p->out[2]), k / p->out[2] % p->out[1], k % p->out[2]}, from_at[3];
            for (int d = 0; d < 3; d++)
                from_at[d] = dtype == MT_FLOAT64
                                 ? start_of(sample[d], place[d], p->in[d], p->out[d], p->kernel[d])
                                 : start_of_float((float)sample[d], place[d], p->in[d], p->out[d], p->kernel[d]);
            double best = -INFINITY;
            int64_t where = (from_at[0] * p->in[1] + from_at[1]) * p->in[2] + from_at[2];
            for (int64_t z = 0; z < p->kernel[0]; z++)
                for (int64_t y = 0; y < p->kernel[1]; y++)
                    for (int64_t w = 0; w < p->kernel[2]; w++) {
                        int64_t j = ((from_at[0] + z) * p->in[1] + from_at[1] + y) * p->in[2] + from_at[2] + w;
                        if (from[j] > best || from[j] != from[j]) {
                            best = from[j];
                            where = j;
                        }
                    }
            ((double *)mt_data(r))[o] = best;
            ((int64_t *)mt_data(at))[o] = where;
        }
    }
    if (rc == 0)
        rc = mt_copy_data(mt_out(call, 0), r);
    mt_xrelease(x);
    mt_xrelease(s);
    mt_xrelease(r);
    return rc;
}

static int
fractional_back(mt_call *call, mt_tensor *grad, mt_tensor *self, mt_tensor *indices, int dims)
{
    mt_tensor *out = mt_out(call, 0);
    const char *name = dims == 2 ? "fractional_max_pool2d_backward" : "fractional_max_pool3d_backward";
    if (mt_check_pool_gradient(name, grad, self, indices, dims) < 0)
        return -1;
    mt_tensor *g = mt_empty(grad->ndim, grad->sizes, NULL, MT_FLOAT64, grad->device);
    mt_tensor *sum = mt_empty(self->ndim, self->sizes, NULL, MT_FLOAT64, self->device);
    mt_tensor *at = mt_contiguous_data(indices, false);
    int rc = g && sum && at && mt_copy_data(g, grad) == 0 ? mt_fill_data(sum, mt_v_int(0)) : -1;
    int64_t from = 1, to = 1;
    for (int d = self->ndim - dims; d < self->ndim; d++) {
        from *= grad->sizes[d];
        to *= self->sizes[d];
    }
    for (int64_t i = 0; rc == 0 && i < g->numel; i++)
        ((double *)mt_data(sum))[i / from * to + ((const int64_t *)mt_data(at))[i]] += ((const double *)mt_data(g))[i];
    if (rc == 0)
        rc = mt_copy_data(out, sum);
    mt_xrelease(g);
    mt_xrelease(sum);
    mt_xrelease(at);
    return rc;
}

#define FRACTIONAL(N)                                                                              \
    int fractional_max_pool##N##d_meta(mt_call *call, mt_tensor *self, const int64_t *kernel,      \
                                       int64_t kn, const int64_t *size, int64_t n,                 \
                                       mt_tensor *samples)                                         \
    {                                                                                              \
        plan p;                                                                                    \
        (void)samples;                                                                             \
        return make_plan(&p, self, kernel, kn, size, n, N) < 0 ? -1 : fractional_meta(call, self, &p); \
    }                                                                                              \
    int fractional_max_pool##N##d_impl(mt_call *call, mt_tensor *self, const int64_t *kernel,      \
                                       int64_t kn, const int64_t *size, int64_t n,                 \
                                       mt_tensor *samples)                                         \
    {                                                                                              \
        plan p;                                                                                    \
        return make_plan(&p, self, kernel, kn, size, n, N) < 0 ? -1 : fractional(call, self, &p, samples); \
    }                                                                                              \
    int fractional_max_pool##N##d_backward_meta(mt_call *call, mt_tensor *grad, mt_tensor *self,   \
                                                const int64_t *kernel, int64_t kn,                 \
                                                const int64_t *size, int64_t n, mt_tensor *indices) \
    {                                                                                              \
        plan p;                                                                                    \
        (void)grad;                                                                                \
        (void)indices;                                                                             \
        if (make_plan(&p, self, kernel, kn, size, n, N) < 0)                                       \
            return -1;                                                                             \
        return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype,        \
                             self->device);                                                        \
    }                                                                                              \
    int fractional_max_pool##N##d_backward_impl(mt_call *call, mt_tensor *grad, mt_tensor *self,   \
                                                const int64_t *kernel, int64_t kn,                 \
                                                const int64_t *size, int64_t n, mt_tensor *indices) \
    {                                                                                              \
        (void)kernel;                                                                              \
        (void)kn;                                                                                  \
        (void)size;                                                                                \
        (void)n;                                                                                   \
        return fractional_back(call, grad, self, indices, N);                                      \
    }
FRACTIONAL(2)
FRACTIONAL(3)
