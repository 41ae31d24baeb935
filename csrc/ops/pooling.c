/* Pooling: shapes and checks; the loops are in kernels/pooling. */
#include "kernels/pooling.h"

#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef struct plan {
    mt_pooling p;
    int64_t sizes[5];
    int ndim;
} plan;

static int
spread(const char *op, const char *what, const int64_t *given, int64_t n, int dims, int64_t *out)
{
    if (n != 1 && n != dims)
        return mt_fail(MT_RUNTIME, "%s: %s must either be a single int, or a tuple of %s ints", op, what,
                       dims == 2 ? "two" : "three");
    for (int d = 0; d < dims; d++)
        out[d] = given[n == 1 ? 0 : d];
    return 0;
}

static int64_t
output_length(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
              bool ceil_mode)
{
    int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
    int64_t out = (room >= 0 ? (room + (ceil_mode ? stride - 1 : 0)) / stride
                             : -((-room + (ceil_mode ? 0 : stride - 1)) / stride)) + 1;
    /* the last window must begin inside the input or its left padding */
    if (ceil_mode && (out - 1) * stride >= in + padding)
        out--;
    return out;
}

static int
make_plan(plan *r, const char *name, const mt_tensor *self, int dims, const int64_t *kernel,
          int64_t kn, const int64_t *stride, int64_t sn, const int64_t *padding, int64_t pn,
          const int64_t *dilation, int64_t dn, bool ceil_mode)
{
    mt_pooling *p = &r->p;
    memset(r, 0, sizeof *r);
    p->dims = dims;
    int64_t one = 1;
    if (spread(name, "kernel_size", kernel, kn, dims, p->kernel) < 0)
        return -1;
    if (sn != 0 && spread(name, "stride", stride, sn, dims, p->stride) < 0)
        return -1;
    if (sn == 0)
        memcpy(p->stride, p->kernel, sizeof p->stride);
    if (spread(name, "padding", padding, pn, dims, p->padding) < 0 ||
        spread(name, "dilation", dilation ? dilation : &one, dilation ? dn : 1, dims, p->dilation) < 0)
        return -1;
    if (self->ndim != dims + 1 && self->ndim != dims + 2)
        return mt_fail(MT_RUNTIME, "%s: Expected %dD or %dD (batch mode) tensor with optional 0 dim "
                                   "batch size for input, but got: %s",
                       name, dims + 1, dims + 2, mt_shape_str(self));
    r->ndim = self->ndim;
    int lead = self->ndim - dims;
    p->planes = 1;
    for (int d = 0; d < lead; d++)
        p->planes *= r->sizes[d] = self->sizes[d];
    for (int d = 0; d < dims; d++) {
        if (p->kernel[d] <= 0)
            return mt_fail(MT_RUNTIME, "kernel size should be greater than zero, but got kH: %lld kW: %lld",
                           (long long)p->kernel[0], (long long)p->kernel[dims - 1]);
        if (p->stride[d] <= 0)
            return mt_fail(MT_RUNTIME, "stride should not be zero");
        if (p->dilation[d] <= 0)
            return mt_fail(MT_RUNTIME,
                           "dilation should be greater than zero, but got dilationH: %lld dilationW: %lld",
                           (long long)p->dilation[0], (long long)p->dilation[dims - 1]);
        if (p->padding[d] < 0)
            return mt_fail(MT_RUNTIME, "pad must be non-negative, but got pad: %lld",
                           (long long)p->padding[d]);
        if (p->padding[d] > ((p->kernel[d] - 1) * p->dilation[d] + 1) / 2)
            return mt_fail(MT_RUNTIME,
                           "pad should be at most half of effective kernel size, but got pad=%lld, "
                           "kernel_size=%lld and dilation=%lld",
                           (long long)p->padding[d], (long long)p->kernel[d],
                           (long long)p->dilation[d]);
        p->in[d] = self->sizes[lead + d];
        p->out[d] = output_length(p->in[d], p->kernel[d], p->stride[d], p->padding[d], p->dilation[d],
                                  ceil_mode);
        r->sizes[lead + d] = p->out[d];
    }
    for (int d = 0; d < dims; d++)
        if (p->out[d] < 1)
            return mt_fail(MT_RUNTIME,
                           "Given input size: (%lldx%lldx%lld). Calculated output size: "
                           "(%lldx%lldx%lld). Output size is too small",
                           (long long)self->sizes[lead - 1], (long long)p->in[dims - 2],
                           (long long)p->in[dims - 1], (long long)self->sizes[lead - 1],
                           (long long)p->out[dims - 2], (long long)p->out[dims - 1]);
    return 0;
}

static int
adaptive_plan(plan *r, const char *name, const mt_tensor *self, int dims, const int64_t *out,
              int64_t on)
{
    memset(r, 0, sizeof *r);
    r->p.dims = dims;
    if (on != dims && on != 1)
        return mt_fail(MT_RUNTIME, "%s: output_size must be %d", name, dims);
    if (self->ndim != dims + 1 && self->ndim != dims + 2)
        return mt_fail(MT_RUNTIME, "%s: Expected %dD or %dD tensor, but got %s", name, dims + 1, dims + 2,
                       mt_shape_str(self));
    int lead = self->ndim - dims;
    r->ndim = self->ndim;
    r->p.planes = 1;
    for (int d = 0; d < lead; d++)
        r->p.planes *= r->sizes[d] = self->sizes[d];
    for (int d = 0; d < dims; d++) {
        r->p.in[d] = self->sizes[lead + d];
        r->p.out[d] = r->sizes[lead + d] = out[on == 1 ? 0 : d];
        if (r->p.out[d] < 0)
            return mt_fail(MT_RUNTIME, "%s: elements of output_size must be greater than or equal to 0 but received {%lld}",
                           name, (long long)r->p.out[d]);
        if (r->p.in[d] == 0)
            return mt_fail(MT_RUNTIME,
                           "%s: Expected input to have non-zero size for non-batch dimensions, but "
                           "input has sizes %s with dimension %d being empty",
                           name, mt_shape_str(self), lead + d);
    }
    return 0;
}

/* ---- maximum ------------------------------------------------------------------------------ */

static int
pool_max_meta(mt_call *call, mt_tensor *self, const plan *r)
{
    if (mt_set_output_format(call, 0, r->ndim, r->sizes, (mt_dtype)self->dtype, self) < 0)
        return -1;
    return mt_set_output_format(call, 1, r->ndim, r->sizes, MT_INT64, self);
}

static int
pool_max_run(mt_call *call, mt_tensor *self, const plan *r, bool adaptive)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_contiguous_data(self, false);
    if (!x)
        return -1;
    int rc = 0;
    if (out->numel)
        rc = (adaptive ? mt_adaptive_max_pool : mt_max_pool)((mt_dtype)self->dtype, &r->p, mt_data(x),
                                                             mt_data(out), mt_data(mt_out(call, 1)));
    mt_release(x);
    return rc;
}

static int
pool_max_back(mt_call *call, mt_tensor *grad, mt_tensor *self, mt_tensor *indices, int dims)
{
    mt_tensor *out = mt_out(call, 0);
    plan r;
    memset(&r, 0, sizeof r);
    r.p.dims = dims;
    r.p.planes = 1;
    int lead = self->ndim - dims;
    for (int d = 0; d < lead; d++)
        r.p.planes *= self->sizes[d];
    for (int d = 0; d < dims; d++) {
        r.p.in[d] = self->sizes[lead + d];
        r.p.out[d] = grad->sizes[lead + d];
    }
    mt_tensor *g = mt_contiguous_data(grad, false), *at = g ? mt_contiguous_data(indices, false) : NULL;
    int rc = at ? 0 : -1;
    if (rc == 0 && out->numel)
        rc = g->numel ? mt_max_pool_grad((mt_dtype)out->dtype, &r.p, mt_data(g), mt_data(at), mt_data(out))
                      : mt_fill_data(out, mt_v_int(0));
    mt_xrelease(g);
    mt_xrelease(at);
    return rc;
}

static int
like_self(mt_call *call, mt_tensor *self)
{
    return mt_set_output_format(call, 0, self->ndim, self->sizes, (mt_dtype)self->dtype, self);
}

#define LIST(name) const int64_t *name, int64_t name##_n
#define MAX_ARGS LIST(kernel_size), LIST(stride), LIST(padding), LIST(dilation), bool ceil_mode
#define MAX_PLAN(N)                                                                                \
    plan r;                                                                                        \
    if (make_plan(&r, "max_pool" #N "d", self, N, kernel_size, kernel_size_n, stride, stride_n,    \
                  padding, padding_n, dilation, dilation_n, ceil_mode) < 0)                        \
    return -1
#define AVG_ARGS LIST(kernel_size), LIST(stride), LIST(padding), bool ceil_mode,                   \
                 bool count_include_pad, mt_value divisor_override
#define AVG_PLAN(N)                                                                                \
    plan r;                                                                                        \
    if (make_plan(&r, "avg_pool" #N "d", self, N, kernel_size, kernel_size_n, stride, stride_n,    \
                  padding, padding_n, NULL, 0, ceil_mode) < 0)                                     \
    return -1;                                                                                     \
    if (!mt_is_none(divisor_override) && divisor_override.u.i == 0)                                \
    return mt_fail(MT_RUNTIME, "divisor must be not zero")

/* ---- average ------------------------------------------------------------------------------ */

typedef int (*forward_fn)(mt_dtype, const mt_pooling *, const void *, void *);

static int
run(mt_call *call, mt_tensor *input, const plan *r, forward_fn fn)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_contiguous_data(input, false);
    if (!x)
        return -1;
    int rc = 0;
    if (out->numel)
        rc = x->numel ? fn((mt_dtype)out->dtype, &r->p, mt_data(x), mt_data(out))
                      : mt_fill_data(out, mt_v_int(0));
    mt_release(x);
    return rc;
}

static int
average(mt_call *call, mt_tensor *input, const plan *r, bool count, mt_value divisor, bool back)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_contiguous_data(input, false);
    if (!x)
        return -1;
    int64_t by = mt_is_none(divisor) ? 0 : divisor.u.i;
    int rc = 0;
    if (out->numel)
        rc = !x->numel ? mt_fill_data(out, mt_v_int(0))
             : back ? mt_avg_pool_grad((mt_dtype)out->dtype, &r->p, count, by, mt_data(x), mt_data(out))
                    : mt_avg_pool((mt_dtype)out->dtype, &r->p, count, by, mt_data(x), mt_data(out));
    mt_release(x);
    return rc;
}

#define POOLING(N)                                                                                 \
    int max_pool##N##d_with_indices_meta(mt_call *call, mt_tensor *self, MAX_ARGS)                 \
    {                                                                                              \
        MAX_PLAN(N);                                                                               \
        return pool_max_meta(call, self, &r);                                                           \
    }                                                                                              \
    int max_pool##N##d_with_indices_impl(mt_call *call, mt_tensor *self, MAX_ARGS)                 \
    {                                                                                              \
        MAX_PLAN(N);                                                                               \
        return pool_max_run(call, self, &r, false);                                                     \
    }                                                                                              \
    int max_pool##N##d_with_indices_backward_meta(mt_call *call, mt_tensor *grad_output,           \
                                                  mt_tensor *self, MAX_ARGS, mt_tensor *indices)   \
    {                                                                                              \
        MAX_PLAN(N);                                                                               \
        (void)grad_output;                                                                         \
        (void)indices;                                                                             \
        return like_self(call, self);                                                              \
    }                                                                                              \
    int max_pool##N##d_with_indices_backward_impl(mt_call *call, mt_tensor *grad_output,           \
                                                  mt_tensor *self, MAX_ARGS, mt_tensor *indices)   \
    {                                                                                              \
        MAX_PLAN(N);                                                                               \
        return pool_max_back(call, grad_output, self, indices, N);                                      \
    }                                                                                              \
    int avg_pool##N##d_meta(mt_call *call, mt_tensor *self, AVG_ARGS)                              \
    {                                                                                              \
        AVG_PLAN(N);                                                                               \
        (void)count_include_pad;                                                                   \
        return mt_set_output_format(call, 0, r.ndim, r.sizes, (mt_dtype)self->dtype, self); \
    }                                                                                              \
    int avg_pool##N##d_impl(mt_call *call, mt_tensor *self, AVG_ARGS)                              \
    {                                                                                              \
        AVG_PLAN(N);                                                                               \
        return average(call, self, &r, count_include_pad, divisor_override, false);                \
    }                                                                                              \
    int avg_pool##N##d_backward_meta(mt_call *call, mt_tensor *grad_output, mt_tensor *self, AVG_ARGS) \
    {                                                                                              \
        AVG_PLAN(N);                                                                               \
        (void)grad_output;                                                                         \
        (void)count_include_pad;                                                                   \
        return like_self(call, self);                                                              \
    }                                                                                              \
    int avg_pool##N##d_backward_impl(mt_call *call, mt_tensor *grad_output, mt_tensor *self, AVG_ARGS) \
    {                                                                                              \
        AVG_PLAN(N);                                                                               \
        return average(call, grad_output, &r, count_include_pad, divisor_override, true);          \
    }                                                                                              \
    int _adaptive_avg_pool##N##d_meta(mt_call *call, mt_tensor *self, LIST(size))                  \
    {                                                                                              \
        plan r;                                                                                    \
        if (adaptive_plan(&r, "adaptive_avg_pool" #N "d()", self, N, size, size_n) < 0)            \
            return -1;                                                                             \
        return mt_set_output_format(call, 0, r.ndim, r.sizes, (mt_dtype)self->dtype, self); \
    }                                                                                              \
    int _adaptive_avg_pool##N##d_impl(mt_call *call, mt_tensor *self, LIST(size))                  \
    {                                                                                              \
        plan r;                                                                                    \
        adaptive_plan(&r, "adaptive_avg_pool" #N "d()", self, N, size, size_n);                    \
        return run(call, self, &r, mt_adaptive_avg_pool);                                          \
    }                                                                                              \
    int _adaptive_avg_pool##N##d_backward_meta(mt_call *call, mt_tensor *grad_output, mt_tensor *self) \
    {                                                                                              \
        (void)grad_output;                                                                         \
        return like_self(call, self);                                                              \
    }                                                                                              \
    int _adaptive_avg_pool##N##d_backward_impl(mt_call *call, mt_tensor *grad_output, mt_tensor *self) \
    {                                                                                              \
        plan r;                                                                                    \
        if (adaptive_plan(&r, "adaptive_avg_pool" #N "d_backward()", self, N,                      \
                          grad_output->sizes + grad_output->ndim - N, N) < 0)                      \
            return -1;                                                                             \
        return run(call, grad_output, &r, mt_adaptive_avg_pool_grad);                              \
    }                                                                                              \
    int adaptive_max_pool##N##d_meta(mt_call *call, mt_tensor *self, LIST(size))                   \
    {                                                                                              \
        plan r;                                                                                    \
        if (adaptive_plan(&r, "adaptive_max_pool" #N "d()", self, N, size, size_n) < 0)            \
            return -1;                                                                             \
        return pool_max_meta(call, self, &r);                                                           \
    }                                                                                              \
    int adaptive_max_pool##N##d_impl(mt_call *call, mt_tensor *self, LIST(size))                   \
    {                                                                                              \
        plan r;                                                                                    \
        adaptive_plan(&r, "adaptive_max_pool" #N "d()", self, N, size, size_n);                    \
        return pool_max_run(call, self, &r, true);                                                      \
    }                                                                                              \
    int adaptive_max_pool##N##d_backward_meta(mt_call *call, mt_tensor *grad_output,               \
                                              mt_tensor *self, mt_tensor *indices)                 \
    {                                                                                              \
        (void)grad_output;                                                                         \
        (void)indices;                                                                             \
        return like_self(call, self);                                                              \
    }                                                                                              \
    int adaptive_max_pool##N##d_backward_impl(mt_call *call, mt_tensor *grad_output,               \
                                              mt_tensor *self, mt_tensor *indices)                 \
    {                                                                                              \
        return pool_max_back(call, grad_output, self, indices, N);                                      \
    }
POOLING(2)
POOLING(3)

/* The gradient that max pooling's gradient passes on: what lies at the indices. */
mt_tensor *
mth_max_pool_double_backward(mt_tensor *grad, mt_tensor *indices, int64_t dims)
{
    int64_t flat[5], n = indices->ndim - dims;
    memcpy(flat, indices->sizes, (size_t)n * sizeof(int64_t));
    flat[n] = 1;
    for (int64_t d = n; d < grad->ndim; d++)
        flat[n] *= grad->sizes[d];
    mt_tensor *g = aten_reshape(grad, flat, n + 1);
    flat[n] = 1;
    for (int64_t d = n; d < indices->ndim; d++)
        flat[n] *= indices->sizes[d];
    mt_tensor *at = g ? aten_reshape(indices, flat, n + 1) : NULL;
    mt_tensor *picked = at ? aten_gather(g, n, at, false) : NULL;
    mt_tensor *r = picked ? aten_reshape(picked, indices->sizes, indices->ndim) : NULL;
    mt_xrelease(g);
    mt_xrelease(at);
    mt_xrelease(picked);
    return r;
}

/* ---- lines as planes of one row ----------------------------------------------------------- */

int
op_max_pool1d_with_indices(mt_tensor *self, LIST(kernel_size), LIST(stride), LIST(padding),
                           LIST(dilation), bool ceil_mode, mt_tensor **ret0, mt_tensor **ret1)
{
    (void)kernel_size_n;
    (void)padding_n;
    (void)dilation_n;
    if (self->ndim != 2 && self->ndim != 3)
        return mt_fail(MT_RUNTIME, "max_pool1d() Expected 2D or 3D input tensor, but got %s",
                       mt_shape_str(self));
    int64_t k[2] = {1, kernel_size[0]}, s[2] = {1, stride_n ? stride[0] : kernel_size[0]};
    int64_t p[2] = {0, padding[0]}, d[2] = {1, dilation[0]};
    mt_tensor *x = aten_unsqueeze(self, -2), *a = NULL, *b = NULL;
    int rc = x ? aten_max_pool2d_with_indices(x, k, 2, s, 2, p, 2, d, 2, ceil_mode, &a, &b) : -1;
    if (rc == 0) {
        *ret0 = aten_squeeze_dim(a, -2);
        *ret1 = *ret0 ? aten_squeeze_dim(b, -2) : NULL;
        rc = *ret1 ? 0 : -1;
    }
    mt_xrelease(x);
    mt_xrelease(a);
    mt_xrelease(b);
    return rc;
}

mt_tensor *
op_avg_pool1d(mt_tensor *self, LIST(kernel_size), LIST(stride), LIST(padding), bool ceil_mode,
              bool count_include_pad)
{
    (void)kernel_size_n;
    (void)padding_n;
    if (self->ndim != 2 && self->ndim != 3)
        return mt_fail_null(MT_RUNTIME, "Expected 2D or 3D input to avg_pool1d, but got %s",
                            mt_shape_str(self));
    int64_t k[2] = {1, kernel_size[0]}, s[2] = {1, stride_n ? stride[0] : kernel_size[0]};
    int64_t p[2] = {0, padding[0]};
    mt_tensor *x = aten_unsqueeze(self, -2);
    mt_tensor *y = x ? aten_avg_pool2d(x, k, 2, s, 2, p, 2, ceil_mode, count_include_pad, mt_v_none())
                     : NULL;
    mt_tensor *r = y ? aten_squeeze_dim(y, -2) : NULL;
    mt_xrelease(x);
    mt_xrelease(y);
    return r;
}
