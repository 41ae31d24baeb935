/* Pooling: shapes and checks; the loops are in kernels/pooling. */
#include "kernels/pooling.h"

#include <stdio.h>

#include "base/error.h"
#include "ops/pooled.h"
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
        return mt_fail(MT_RUNTIME, "%s: %s a single int, or a tuple of %s ints", op, what,
                       dims == 2 ? "two" : "three");
    for (int d = 0; d < dims; d++)
        out[d] = given[n == 1 ? 0 : d];
    return 0;
}

/* Checks of one direction, as far as the length of the output asks for them. */
static int
check_window(int64_t kernel, int64_t stride, int64_t padding, int64_t dilation)
{
    if (stride == 0)
        return mt_fail(MT_RUNTIME, "stride should not be zero");
    if (padding < 0)
        return mt_fail(MT_RUNTIME, "pad must be non-negative, but got pad: %lld", (long long)padding);
    if (padding > ((kernel - 1) * dilation + 1) / 2)
        return mt_fail(MT_RUNTIME,
                       "pad should be at most half of effective kernel size, but got pad=%lld, "
                       "kernel_size=%lld and dilation=%lld",
                       (long long)padding, (long long)kernel, (long long)dilation);
    return 0;
}

/* RuntimeError with `text` and the values by name: "kH: 1 kW: 2". */
static int
not_positive(const char *text, const char *name, const int64_t *values, int dims)
{
    const char *axes = "THW" + (3 - dims);
    char list[160];
    int at = 0;
    for (int d = 0; d < dims; d++)
        at += snprintf(list + at, sizeof list - (size_t)at, "%s%s%c: %lld", d ? " " : "", name, axes[d],
                       (long long)values[d]);
    return mt_fail(MT_RUNTIME, "%s should be greater than zero, but got %s", text, list);
}

static bool
all_positive(const int64_t *values, int dims)
{
    for (int d = 0; d < dims; d++)
        if (values[d] <= 0)
            return false;
    return true;
}

/* "3x4x4": planes and the lengths of a picture. */
static const char *
picture(char *to, size_t room, int64_t planes, const int64_t *lengths, int dims)
{
    int at = snprintf(to, room, "%lld", (long long)planes);
    for (int d = 0; d < dims; d++)
        at += snprintf(to + at, room - (size_t)at, "x%lld", (long long)lengths[d]);
    return to;
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
    bool maximum = dilation != NULL, bare = dims == 3 && !maximum;
    if (spread(name, bare ? "kernel_size must be" : "kernel_size must either be", kernel, kn, dims, p->kernel) < 0)
        return -1;
    if (sn != 0 && spread(name, bare ? "stride must be omitted," : "stride must either be omitted,", stride,
                          sn, dims, p->stride) < 0)
        return -1;
    if (sn == 0)
        memcpy(p->stride, p->kernel, sizeof p->stride);
    if (spread(name, bare ? "padding must be" : "padding must either be", padding, pn, dims, p->padding) < 0 ||
        spread(name, "dilation must be either", dilation ? dilation : &one, dilation ? dn : 1, dims,
               p->dilation) < 0)
        return -1;
    bool right = self->ndim == dims + 1 || self->ndim == dims + 2;
    if (!right && dims == 2 && !maximum && self->ndim < 3)
        return self->ndim ? mt_wrap_dim(-3, self->ndim)
                          : mt_fail(MT_INDEX, "Dimension specified as -3 but tensor has no dimensions");
    if (!right && (dims == 3 || maximum))
        return mt_fail(MT_RUNTIME, "non-empty %dD or %dD (batch mode) tensor expected for input", dims + 1,
                       dims + 2);
    if (dims == 3)
        for (int d = self->ndim - 4; d < self->ndim; d++)
            if (self->sizes[d] == 0)
                return mt_fail(MT_RUNTIME,
                               "%s(): Expected input's non-batch dimensions to have positive length, but "
                               "input has a shape of %s and non-batch dimension 0 has length zero!",
                               maximum ? "max_pool3d_with_indices_out_cpu_template" : "avg_pool3d",
                               mt_shape_str(self));
    int lead = self->ndim - dims;
    for (int d = 0; d < dims; d++) {
        if (check_window(p->kernel[d], p->stride[d], p->padding[d], p->dilation[d]) < 0)
            return -1;
        p->in[d] = self->sizes[lead + d];
        p->out[d] = output_length(p->in[d], p->kernel[d], p->stride[d], p->padding[d], p->dilation[d],
                                  ceil_mode);
    }
    if (!all_positive(p->kernel, dims))
        return not_positive("kernel size", "k", p->kernel, dims);
    if (!all_positive(p->stride, dims))
        return not_positive("stride", "d", p->stride, dims);
    if (!all_positive(p->dilation, dims))
        return not_positive("dilation", "dilation", p->dilation, dims);
    for (int d = self->ndim == dims + 2; right && d < self->ndim; d++)
        right = self->sizes[d] != 0;
    if (!right)
        return mt_fail(MT_RUNTIME, "Expected %dD or %dD (batch mode) tensor with optional 0 dim batch size "
                                   "for input, but got:%s",
                       dims + 1, dims + 2, mt_shape_str(self));
    r->ndim = self->ndim;
    p->planes = 1;
    for (int d = 0; d < lead; d++)
        p->planes *= r->sizes[d] = self->sizes[d];
    memcpy(r->sizes + lead, p->out, (size_t)dims * sizeof(int64_t));
    if (!all_positive(p->out, dims)) {
        char in[120], out[120];
        return mt_fail(MT_RUNTIME,
                       "Given input size: (%s). Calculated output size: (%s). Output size is too small",
                       picture(in, sizeof in, self->sizes[lead - 1], p->in, dims),
                       picture(out, sizeof out, self->sizes[lead - 1], p->out, dims));
    }
    return 0;
}

static int
check_sizes_wanted(const char *name, const int64_t *size, int64_t n)
{
    bool bad = false;
    for (int64_t d = 0; d < n; d++)
        bad |= size[d] < 0;
    if (bad && n == 2)
        return mt_fail(MT_RUNTIME,
                       "%s: elements of output_size must be greater than or equal to 0 but received "
                       "{%lld, %lld}",
                       name, (long long)size[0], (long long)size[1]);
    if (bad)
        return mt_fail(MT_RUNTIME,
                       "%s: elements of output_size must be greater than or equal to 0 but received "
                       "{%lld, %lld,%lld}",
                       name, (long long)size[0], (long long)size[1], (long long)size[2]);
    return 0;
}

/* RuntimeError if a dimension from `first` on is empty. */
static int
check_not_empty(const char *name, const mt_tensor *self, int first)
{
    for (int d = first; d < self->ndim; d++)
        if (self->sizes[d] == 0)
            return mt_fail(MT_RUNTIME,
                           "%s(): Expected input to have non-zero size for non-batch dimensions, but "
                           "input has sizes %s with dimension %d being empty",
                           name, mt_shape_str(self), d);
    return 0;
}

static int
adaptive_plan(plan *r, const char *name, const mt_tensor *self, int dims, const int64_t *out,
              int64_t on, bool maximum)
{
    memset(r, 0, sizeof *r);
    r->p.dims = dims;
    if (self->ndim != dims + 1 && self->ndim != dims + 2)
        return mt_fail(MT_RUNTIME, "%s(): Expected %dD or %dD tensor, but got%s %s", name, dims + 1,
                       dims + 2, maximum ? ":" : "", mt_shape_str(self));
    if (check_not_empty(name, self, dims == 2 && !maximum ? self->ndim - 2 : 1) < 0)
        return -1;
    if (on != dims && on != 1)
        return mt_fail(MT_RUNTIME, maximum ? "%s(): internal error: output_size.size() must be %d"
                                           : "%s: output_size must be %d",
                       name, dims);
    int lead = self->ndim - dims;
    r->ndim = self->ndim;
    r->p.planes = 1;
    for (int d = 0; d < lead; d++)
        r->p.planes *= r->sizes[d] = self->sizes[d];
    for (int d = 0; d < dims; d++) {
        r->p.in[d] = self->sizes[lead + d];
        r->p.out[d] = r->sizes[lead + d] = out[on == 1 ? 0 : d];
    }
    if (!maximum)
        return check_sizes_wanted(name, r->p.out, dims);
    for (int d = 0; d < dims; d++)
        if (r->p.out[d] < 0) {
            mt_tensor shape = {.sizes = r->sizes, .ndim = r->ndim};
            return mt_fail(MT_RUNTIME, "Trying to create tensor with negative dimension %lld: %s",
                           (long long)r->p.out[d], mt_shape_str(&shape));
        }
    return 0;
}

/* NotImplementedError in PyTorch's words for dtypes that have no kernel: all pooling takes floats,
 * windows of a given size also integers. */
static int
check_dtype(mt_dtype dtype, int dims, bool adaptive, bool maximum)
{
    static const char *const names[2][2][2] = {
        {{"avg_pool2d", "avg_pool3d_out_frame"}, {"max_pool2d", "max_pool3d"}},
        {{"adaptive_avg_pool2d", "adaptive_avg_pool3d_cpu"},
         {"adaptive_max_pool2d", "adaptive_max_pool3d_cpu"}}};
    if (mt_is_floating(dtype) || (!adaptive && mt_is_integral(dtype, false)))
        return 0;
    return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'",
                   names[adaptive][maximum][dims == 3], mt_dtypes[dtype].scalar_name);
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
    if (check_dtype((mt_dtype)self->dtype, r->p.dims, adaptive, true) < 0)
        return -1;
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

int
mt_check_pool_gradient(const char *name, const mt_tensor *grad, const mt_tensor *self,
                       mt_tensor *indices, int dims)
{
    int lead = self->ndim - dims;
    if (grad->ndim != dims + 1 && grad->ndim != dims + 2)
        return mt_fail(MT_RUNTIME, "%s(): Expected %dD or %dD gradOutput, but got: %s", name, dims + 1,
                       dims + 2, mt_shape_str(grad));
    if (grad->ndim != self->ndim || memcmp(grad->sizes, self->sizes, (size_t)lead * sizeof(int64_t)))
        return mt_fail(MT_RUNTIME, "%s(): gradOutput of sizes %s does not belong to an input of sizes %s",
                       name, mt_shape_str(grad), mt_shape_str(self));
    if (!mt_same_shape(grad, indices))
        return mt_fail(MT_RUNTIME, "expected sizes %s for `indices` but got sizes %s", mt_shape_str(grad),
                       mt_shape_str(indices));
    if (indices->dtype != MT_INT64)
        return mt_fail(MT_RUNTIME, "expected scalar type Long but found %s",
                       mt_dtypes[indices->dtype].scalar_name);
    int64_t plane = 1;
    for (int d = lead; d < self->ndim; d++)
        plane *= self->sizes[d];
    mt_tensor *at = mt_is_meta(indices) ? NULL : mt_contiguous_data(indices, false);
    if (!at)
        return mt_is_meta(indices) ? 0 : -1;
    const int64_t *places = mt_data(at);
    int rc = 0;
    for (int64_t i = 0; i < at->numel && rc == 0; i++)
        if (places[i] < 0 || places[i] >= plane)
            rc = mt_fail(MT_RUNTIME, "%s(): found an invalid max index: %lld (output volumes are of size %lld)",
                         name, (long long)places[i], (long long)plane);
    mt_release(at);
    return rc;
}

static int
pool_max_back(mt_call *call, mt_tensor *grad, mt_tensor *self, mt_tensor *indices, int dims)
{
    mt_tensor *out = mt_out(call, 0);
    plan r;
    const char *name = strstr(call->op->name, "::");
    if (mt_check_pool_gradient(name ? name + 2 : call->op->name, grad, self, indices, dims) < 0)
        return -1;
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
    if (check_dtype((mt_dtype)input->dtype, r->p.dims, true, false) < 0)
        return -1;
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
    if (check_dtype((mt_dtype)input->dtype, r->p.dims, false, false) < 0)
        return -1;
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
        return pool_max_meta(call, self, &r);                                                      \
    }                                                                                              \
    int max_pool##N##d_with_indices_impl(mt_call *call, mt_tensor *self, MAX_ARGS)                 \
    {                                                                                              \
        MAX_PLAN(N);                                                                               \
        return pool_max_run(call, self, &r, false);                                                \
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
        return pool_max_back(call, grad_output, self, indices, N);                                 \
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
        if (adaptive_plan(&r, "adaptive_avg_pool" #N "d", self, N, size, size_n, false) < 0)            \
            return -1;                                                                             \
        return mt_set_output_format(call, 0, r.ndim, r.sizes, (mt_dtype)self->dtype, self); \
    }                                                                                              \
    int _adaptive_avg_pool##N##d_impl(mt_call *call, mt_tensor *self, LIST(size))                  \
    {                                                                                              \
        plan r;                                                                                    \
        adaptive_plan(&r, "adaptive_avg_pool" #N "d", self, N, size, size_n, false);                    \
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
        if (adaptive_plan(&r, "adaptive_avg_pool" #N "d_backward", self, N,                      \
                          grad_output->sizes + grad_output->ndim - N, N, false) < 0)                      \
            return -1;                                                                             \
        return run(call, grad_output, &r, mt_adaptive_avg_pool_grad);                              \
    }                                                                                              \
    int adaptive_max_pool##N##d_meta(mt_call *call, mt_tensor *self, LIST(size))                   \
    {                                                                                              \
        plan r;                                                                                    \
        if (adaptive_plan(&r, "adaptive_max_pool" #N "d", self, N, size, size_n, true) < 0)            \
            return -1;                                                                             \
        return pool_max_meta(call, self, &r);                                                      \
    }                                                                                              \
    int adaptive_max_pool##N##d_impl(mt_call *call, mt_tensor *self, LIST(size))                   \
    {                                                                                              \
        plan r;                                                                                    \
        adaptive_plan(&r, "adaptive_max_pool" #N "d", self, N, size, size_n, true);                    \
        return pool_max_run(call, self, &r, true);                                                 \
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
        return pool_max_back(call, grad_output, self, indices, N);                                 \
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

static int
check_line(const char *name, const mt_tensor *self)
{
    if (self->ndim == 2 || self->ndim == 3)
        return 0;
    return mt_fail(MT_RUNTIME,
                   "Expected 2 to 3 dimensions, but got %d-dimensional tensor for argument #1 'self' "
                   "(while checking arguments for %s)",
                   self->ndim, name);
}

static int
check_single(const char *name, const char *what, int64_t n)
{
    if (n == 1)
        return 0;
    return mt_fail(MT_RUNTIME, "%s() argument '%s' should contain one int (got %lld)", name, what,
                   (long long)n);
}

int
op_max_pool1d_with_indices(mt_tensor *self, LIST(kernel_size), LIST(stride), LIST(padding),
                           LIST(dilation), bool ceil_mode, mt_tensor **ret0, mt_tensor **ret1)
{
    const char *name = "max_pool1d";
    if (check_line(name, self) < 0 || check_single(name, "kernel_size", kernel_size_n) < 0 ||
        (stride_n && check_single(name, "stride", stride_n) < 0) ||
        check_single(name, "padding", padding_n) < 0 || check_single(name, "dilation", dilation_n) < 0)
        return -1;
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

static int
check_max_pool1d(const mt_tensor *self, LIST(kernel), LIST(stride), LIST(padding), LIST(dilation),
                 bool ceil_mode)
{
    bool good = (self->ndim == 2 && self->sizes[0]) || (self->ndim == 3 && self->sizes[1]);
    if (!good || !self->sizes[self->ndim - 1])
        return mt_fail(MT_RUNTIME,
                       "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch "
                       "size for input, but got:%s",
                       mt_shape_str(self));
    const struct {
        int64_t n;
        const char *text;
    } counts[4] = {{kernel_n, "kernel_size must be an int, list of ints or tuple of ints"},
                   {stride_n ? stride_n : 1, "stride must be None, an int, list of ints, or tuple of ints"},
                   {padding_n, "padding must be an int, list of ints, or tuple of ints"},
                   {dilation_n, "dilation must be an int, list of ints or tuple of ints"}};
    for (int i = 0; i < 4; i++)
        if (counts[i].n != 1)
            return mt_fail(MT_RUNTIME, "max_pool1d() %s of size 1 but got size %lld", counts[i].text,
                           (long long)counts[i].n);
    int64_t k = kernel[0], s = stride_n ? stride[0] : k, p = padding[0], d = dilation[0];
    if (k <= 0 || s <= 0)
        return mt_fail(MT_RUNTIME, "max_pool1d() %s must be greater than zero, but got %lld",
                       k <= 0 ? "kernel_size" : "stride", (long long)(k <= 0 ? k : s));
    if (p < 0)
        return mt_fail(MT_RUNTIME, "max_pool1d() padding must be non-negative, but got %lld",
                       (long long)p);
    if (p > k / 2)
        return mt_fail(MT_RUNTIME,
                       "max_pool1d() padding should be at most half of kernel size, but got "
                       "padding=%lld and kernel_size=%lld",
                       (long long)p, (long long)k);
    if (d <= 0)
        return mt_fail(MT_RUNTIME, "max_pool1d() dilation must be greater than zero, but got %lld",
                       (long long)d);
    int64_t out = output_length(self->sizes[self->ndim - 1], k, s, p, d, ceil_mode);
    if (out <= 0)
        return mt_fail(MT_RUNTIME, "max_pool1d() Invalid computed output size: %lld", (long long)out);
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"max_pool1d_impl\" not implemented for '%s'",
                       mt_dtypes[self->dtype].scalar_name);
    return 0;
}

mt_tensor *
op_max_pool1d(mt_tensor *self, LIST(kernel_size), LIST(stride), LIST(padding), LIST(dilation),
              bool ceil_mode)
{
    mt_tensor *values = NULL, *indices = NULL;
    if (check_max_pool1d(self, kernel_size, kernel_size_n, stride, stride_n, padding, padding_n,
                         dilation, dilation_n, ceil_mode) < 0)
        return NULL;
    if (aten_max_pool1d_with_indices(self, kernel_size, 1, stride, stride_n, padding, 1, dilation, 1,
                                     ceil_mode, &values, &indices) < 0)
        return NULL;
    mt_release(indices);
    return values;
}

mt_tensor *
op_avg_pool1d(mt_tensor *self, LIST(kernel_size), LIST(stride), LIST(padding), bool ceil_mode,
              bool count_include_pad)
{
    const char *name = "avg_pool1d";
    if (check_line(name, self) < 0 || check_single(name, "kernel_size", kernel_size_n) < 0 ||
        (stride_n && check_single(name, "stride", stride_n) < 0) ||
        check_single(name, "padding", padding_n) < 0)
        return NULL;
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

/* One window over all is a mean, and recorded as one. */
static mt_tensor *
adaptive_average(mt_tensor *self, int dims, LIST(size))
{
    const char *name = dims == 2 ? "adaptive_avg_pool2d" : "adaptive_avg_pool3d";
    if (size_n != dims)
        return mt_fail_null(MT_RUNTIME, "%s: output_size must be %d", name, dims);
    if (check_sizes_wanted(name, size, size_n) < 0)
        return NULL;
    bool one = true;
    for (int d = 0; d < dims; d++)
        one = one && size[d] == 1;
    if (!one)
        return dims == 2 ? aten__adaptive_avg_pool2d(self, size, 2) : aten__adaptive_avg_pool3d(self, size, 3);
    const int64_t over[3] = {-1, -2, -3};
    return aten_mean_dim(self, over, dims, true, MT_DTYPE_NONE);
}

mt_tensor *
op_adaptive_avg_pool2d(mt_tensor *self, LIST(output_size))
{
    return adaptive_average(self, 2, output_size, output_size_n);
}

mt_tensor *
op_adaptive_avg_pool3d(mt_tensor *self, LIST(output_size))
{
    return adaptive_average(self, 3, output_size, output_size_n);
}

mt_tensor *
op_adaptive_avg_pool1d(mt_tensor *self, LIST(output_size))
{
    const char *name = "adaptive_avg_pool1d";
    if (check_line(name, self) < 0 || check_single(name, "output_size", output_size_n) < 0)
        return NULL;
    const int64_t size[2] = {1, output_size[0]};
    mt_tensor *x = aten_unsqueeze(self, -2), *y = x ? aten_adaptive_avg_pool2d(x, size, 2) : NULL;
    mt_tensor *r = y ? aten_squeeze_dim(y, -2) : NULL;
    mt_xrelease(x);
    mt_xrelease(y);
    return r;
}

int
op_adaptive_max_pool1d(mt_tensor *self, LIST(output_size), mt_tensor **ret0, mt_tensor **ret1)
{
    const char *name = "adaptive_max_pool1d";
    if (check_line(name, self) < 0 || check_single(name, "output_size", output_size_n) < 0 ||
        check_not_empty(name, self, 1) < 0)
        return -1;
    const int64_t size[2] = {1, output_size[0]};
    mt_tensor *x = aten_unsqueeze(self, -2), *a = NULL, *b = NULL;
    int rc = x ? aten_adaptive_max_pool2d(x, size, 2, &a, &b) : -1;
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
