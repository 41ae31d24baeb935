/* Operators that keep a row's length: cumulative ones, softmax and its gradient. */
#include <math.h>

#include "base/error.h"
#include "base/pool.h"
#include "ops/rows.h"
#include "ops_gen.h"

/* Marks one dimension; a 0-dim tensor has one row of one element. */
static int
mark_one(const mt_tensor *self, int64_t dim, bool *drop)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    for (int k = 0; k < self->ndim; k++)
        drop[k] = k == d;
    return 0;
}

/* One kernel from rows of self to rows of out. */
static int
map_rows(mt_tensor *self, int64_t dim, mt_row_op op, mt_dtype compute, mt_tensor *out)
{
    bool drop[MT_MAX_DIMS];
    mt_row_kernel kernel = mt_row_kernel_of(op, compute);
    if (mark_one(self, dim, drop) < 0)
        return -1;
    if (!kernel)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"scan_cpu\" not implemented for '%s'",
                       mt_dtypes[self->dtype].scalar_name);
    if (out->numel == 0)
        return 0;
    mt_tensor *x = mt_rows_of(self, drop, compute);
    mt_tensor *y = x ? mt_rows_for(out, drop, compute) : NULL;
    if (y) {
        int64_t n = mt_dropped_numel(self, drop);
        mt_rows_run(kernel, x, n, mt_data(y), (size_t)n * mt_dtypes[compute].size, 0);
    }
    mt_xrelease(x);
    return mt_rows_close(out, drop, y, y ? 0 : -1);
}

/* ---- cumulative ----------------------------------------------------------------------------- */

static mt_dtype
sum_dtype(const mt_call *call, const mt_tensor *self, mt_dtype dtype)
{
    if (dtype != MT_DTYPE_NONE)
        return dtype;
    if (mt_is_inplace(call))
        return (mt_dtype)self->dtype;
    return mt_is_integral((mt_dtype)self->dtype, true) ? MT_INT64 : (mt_dtype)self->dtype;
}

#define CUMULATIVE(name, op)                                                                       \
    int name##_meta(mt_call *call, mt_tensor *self, int64_t dim, mt_dtype dtype)                   \
    {                                                                                              \
        if (mt_wrap_dim(dim, self->ndim) < 0)                                                      \
            return -1;                                                                             \
        return mt_set_output(call, 0, self->ndim, self->sizes, NULL,                               \
                             sum_dtype(call, self, dtype), self->device);                          \
    }                                                                                              \
    int name##_impl(mt_call *call, mt_tensor *self, int64_t dim, mt_dtype dtype)                   \
    {                                                                                              \
        return map_rows(self, dim, op, mt_row_dtype(sum_dtype(call, self, dtype)),                 \
                        mt_out(call, 0));                                                          \
    }
CUMULATIVE(cumsum, MT_ROW_CUMSUM)
CUMULATIVE(cumprod, MT_ROW_CUMPROD)

int
_logcumsumexp_meta(mt_call *call, mt_tensor *self, int64_t dim)
{
    if (mt_wrap_dim(dim, self->ndim) < 0)
        return -1;
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"logcumsumexp_out_cpu\" not implemented for '%s'",
                       mt_dtypes[self->dtype].scalar_name);
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype,
                         self->device);
}

int
_logcumsumexp_impl(mt_call *call, mt_tensor *self, int64_t dim)
{
    return map_rows(self, dim, MT_ROW_LOGCUMSUMEXP, mt_row_dtype((mt_dtype)self->dtype),
                    mt_out(call, 0));
}

static int
running_meta(mt_call *call, mt_tensor *self, int64_t dim, const char *kernel)
{
    if (mt_wrap_dim(dim, self->ndim) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel,
                       mt_dtypes[self->dtype].scalar_name);
    if (mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype,
                      self->device) < 0)
        return -1;
    return mt_set_output(call, 1, self->ndim, self->sizes, NULL, MT_INT64, self->device);
}

static int
running_impl(mt_call *call, mt_tensor *self, int64_t dim, mt_row_op op)
{
    bool drop[MT_MAX_DIMS];
    mt_tensor *values = mt_out(call, 0), *indices = mt_out(call, 1);
    mt_dtype compute = mt_row_dtype((mt_dtype)self->dtype);
    if (mark_one(self, dim, drop) < 0)
        return -1;
    if (values->numel == 0)
        return 0;
    int64_t n = mt_dropped_numel(self, drop), size = mt_dtypes[compute].size;
    mt_tensor *x = mt_rows_of(self, drop, compute), *y = NULL, *k = NULL;
    int rc = -1;
    if (x && (y = mt_rows_for(values, drop, compute)) &&
        (k = mt_rows_for(indices, drop, MT_INT64))) {
        mt_rows_run(mt_row_kernel_of(op, compute), x, n, mt_data(k), (size_t)n * 8, 0);
        const int64_t *index = mt_data(k);
        for (int64_t r = 0; r < x->numel; r += n)
            for (int64_t i = r; i < r + n; i++)
                memcpy((char *)mt_data(y) + i * size, (char *)mt_data(x) + (r + index[i]) * size,
                       (size_t)size);
        rc = 0;
    }
    mt_xrelease(x);
    rc = mt_rows_close(values, drop, y, rc);
    return mt_rows_close(indices, drop, k, rc);
}

int
cummax_meta(mt_call *call, mt_tensor *self, int64_t dim)
{
    return running_meta(call, self, dim, "cummax_cpu");
}

int
cummax_impl(mt_call *call, mt_tensor *self, int64_t dim)
{
    return running_impl(call, self, dim, MT_ROW_CUMMAX);
}

int
cummin_meta(mt_call *call, mt_tensor *self, int64_t dim)
{
    return running_meta(call, self, dim, "cummin_cpu");
}

int
cummin_impl(mt_call *call, mt_tensor *self, int64_t dim)
{
    return running_impl(call, self, dim, MT_ROW_CUMMIN);
}

/* ---- softmax -------------------------------------------------------------------------------- */

static int
softmax_meta(mt_call *call, mt_tensor *self, int64_t dim, bool half_to_float, const char *name)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (half_to_float)
        return mt_fail(MT_RUNTIME, "%s with half to float conversion is not supported on CPU",
                       name);
    if (d < 0)
        return -1;
    if (!mt_is_floating((mt_dtype)self->dtype)) {
        bool last = self->ndim == 0 || d == self->ndim - 1;
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s%s\" not implemented for '%s'", name,
                       last ? "_lastdim_kernel_impl" : "_kernel_impl",
                       mt_dtypes[self->dtype].scalar_name);
    }
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype,
                         self->device);
}

int
_softmax_meta(mt_call *call, mt_tensor *self, int64_t dim, bool half_to_float)
{
    return softmax_meta(call, self, dim, half_to_float, "softmax");
}

int
_softmax_impl(mt_call *call, mt_tensor *self, int64_t dim, bool half_to_float)
{
    (void)half_to_float;
    return map_rows(self, dim, MT_ROW_SOFTMAX, mt_row_dtype((mt_dtype)self->dtype),
                    mt_out(call, 0));
}

int
_log_softmax_meta(mt_call *call, mt_tensor *self, int64_t dim, bool half_to_float)
{
    return softmax_meta(call, self, dim, half_to_float, "log_softmax");
}

int
_log_softmax_impl(mt_call *call, mt_tensor *self, int64_t dim, bool half_to_float)
{
    (void)half_to_float;
    return map_rows(self, dim, MT_ROW_LOG_SOFTMAX, mt_row_dtype((mt_dtype)self->dtype),
                    mt_out(call, 0));
}

typedef struct slope_work {
    mt_row_gradient kernel;
    const char *grad, *output;
    char *out;
    int64_t n, bytes;
} slope_work;

static void
run_slopes(void *ctx, int64_t begin, int64_t end)
{
    const slope_work *w = ctx;
    for (int64_t r = begin; r < end; r++)
        w->kernel(w->grad + r * w->bytes, w->output + r * w->bytes, w->n, w->out + r * w->bytes);
}

static int
slope_meta(mt_call *call, mt_tensor *grad, mt_tensor *output, int64_t dim, mt_dtype dtype)
{
    if (mt_wrap_dim(dim, grad->ndim) < 0)
        return -1;
    if (!mt_same_shape(grad, output))
        return mt_fail(MT_RUNTIME, "grad_output and output must have the same shape, but got %s "
                                   "and %s",
                       mt_shape_str(grad), mt_shape_str(output));
    return mt_set_output(call, 0, grad->ndim, grad->sizes, NULL, dtype, grad->device);
}

static int
slope_impl(mt_call *call, mt_tensor *grad, mt_tensor *output, int64_t dim, bool logarithm)
{
    bool drop[MT_MAX_DIMS];
    mt_tensor *out = mt_out(call, 0);
    mt_dtype compute = mt_row_dtype((mt_dtype)output->dtype);
    mt_row_gradient kernel = mt_row_gradient_of(logarithm, compute);
    if (!kernel)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"softmax_backward\" not implemented for '%s'",
                       mt_dtypes[output->dtype].scalar_name);
    if (mark_one(grad, dim, drop) < 0)
        return -1;
    if (out->numel == 0)
        return 0;
    mt_tensor *g = mt_rows_of(grad, drop, compute), *y = g ? mt_rows_of(output, drop, compute) : NULL;
    mt_tensor *o = y ? mt_rows_for(out, drop, compute) : NULL;
    if (o) {
        int64_t n = mt_dropped_numel(grad, drop);
        slope_work w = {kernel, mt_data(g), mt_data(y), mt_data(o), n,
                        n * (int64_t)mt_dtypes[compute].size};
        mt_parallel_for(grad->numel / n, MT_MAX(1, MT_GRAIN / n), run_slopes, &w);
    }
    mt_xrelease(g);
    mt_xrelease(y);
    return mt_rows_close(out, drop, o, o ? 0 : -1);
}

int
_softmax_backward_data_meta(mt_call *call, mt_tensor *grad, mt_tensor *output, int64_t dim,
                            mt_dtype dtype)
{
    return slope_meta(call, grad, output, dim, dtype);
}

int
_softmax_backward_data_impl(mt_call *call, mt_tensor *grad, mt_tensor *output, int64_t dim,
                            mt_dtype dtype)
{
    (void)dtype;
    return slope_impl(call, grad, output, dim, false);
}

int
_log_softmax_backward_data_meta(mt_call *call, mt_tensor *grad, mt_tensor *output, int64_t dim,
                                mt_dtype dtype)
{
    return slope_meta(call, grad, output, dim, dtype);
}

int
_log_softmax_backward_data_impl(mt_call *call, mt_tensor *grad, mt_tensor *output, int64_t dim,
                                mt_dtype dtype)
{
    (void)dtype;
    return slope_impl(call, grad, output, dim, true);
}

/* ---- pieces of gradients -------------------------------------------------------------------- */

/* Rows moved by some places along dim, with a number in the places that come free. */
mt_tensor *
op__shift(mt_tensor *self, int64_t dim, int64_t by, mt_scalar fill)
{
    bool drop[MT_MAX_DIMS];
    char one[16];
    if (mark_one(self, dim, drop) < 0)
        return NULL;
    mt_tensor *number = mt_scalar_to_tensor(fill, (mt_dtype)self->dtype);
    if (!number)
        return NULL;
    memcpy(one, mt_data(number), (size_t)mt_itemsize(number));
    mt_release(number);
    mt_tensor *out = mt_empty(self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!out || out->numel == 0 || mt_is_meta(self))
        return out;
    mt_tensor *x = mt_rows_of(self, drop, (mt_dtype)self->dtype);
    mt_tensor *y = x ? mt_rows_for(out, drop, (mt_dtype)self->dtype) : NULL;
    if (y) {
        int64_t n = mt_dropped_numel(self, drop), size = mt_itemsize(self);
        const char *from = mt_data(x);
        char *to = mt_data(y);
        for (int64_t r = 0; r < x->numel; r += n)
            for (int64_t i = 0; i < n; i++)
                memcpy(to + (r + i) * size,
                       i - by >= 0 && i - by < n ? from + (r + i - by) * size : one, (size_t)size);
    }
    mt_xrelease(x);
    if (mt_rows_close(out, drop, y, y ? 0 : -1) < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

/* reverse: t[i] = x[i] + exp(h[i] - h[i + 1]) * t[i + 1]; forwards t[i] = x[i] + exp(h[i - 1] - h[i]) * t[i - 1].
 * Heights that do not fall keep every factor at or below 1. */
mt_tensor *
op__running_decay(mt_tensor *self, mt_tensor *heights, int64_t dim, bool reverse)
{
    mt_tensor *x = NULL, *h = NULL, *xt = NULL, *ht = NULL, *back = NULL, *r = NULL;
    int64_t n = self->ndim ? self->sizes[mt_wrap_dim(dim, self->ndim)] : 1;
    if (!(x = aten_to_dtype(self, MT_FLOAT64, false, false, MT_FORMAT_NONE)) ||
        !(h = aten_to_dtype(heights, MT_FLOAT64, false, false, MT_FORMAT_NONE)) ||
        !(xt = aten_transpose_int(x, dim, -1)) || !(ht = aten_transpose_int(h, dim, -1)))
        goto done;
    mt_release(x);
    mt_release(h);
    x = mt_contiguous_data(xt, true);
    h = mt_contiguous_data(ht, false);
    if (!x || !h)
        goto done;
    if (!mt_is_meta(x) && n > 1) {
        double *t = mt_data(x);
        const double *at = mt_data(h);
        for (int64_t row = 0; row < x->numel / n; row++, t += n, at += n)
            if (reverse)
                for (int64_t i = n - 2; i >= 0; i--)
                    t[i] += exp(at[i] - at[i + 1]) * t[i + 1];
            else
                for (int64_t i = 1; i < n; i++)
                    t[i] += exp(at[i - 1] - at[i]) * t[i - 1];
    }
    if ((back = aten_transpose_int(x, dim, -1)))
        r = aten_clone(back, MT_CONTIGUOUS);
    if (r && r->dtype != self->dtype) {
        mt_tensor *narrow = aten_to_dtype(r, (mt_dtype)self->dtype, false, false, MT_FORMAT_NONE);
        mt_release(r);
        r = narrow;
    }
done:;
    mt_tensor *all[] = {x, h, xt, ht, back};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}
