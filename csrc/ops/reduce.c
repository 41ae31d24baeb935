/* Sums, means, products, extremes, truth and norms: shape rules and the way to the row kernels. */
#include <math.h>

#include "base/error.h"
#include "ops/rows.h"
#include "ops_gen.h"

#define NAME_OF(t) mt_dtypes[(t)->dtype].scalar_name

static mt_dtype
sum_dtype(const mt_tensor *self, mt_dtype dtype)
{
    if (dtype != MT_DTYPE_NONE)
        return dtype;
    return mt_is_integral((mt_dtype)self->dtype, true) ? MT_INT64 : (mt_dtype)self->dtype;
}

/* Output 0 has the shape of self without the dimensions. */
static int
reduced_meta(mt_call *call, int i, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
             mt_dtype dtype)
{
    bool drop[MT_MAX_DIMS];
    int64_t sizes[MT_MAX_DIMS];
    if (mt_mark_dims(self, dim, dim_n, drop) < 0)
        return -1;
    return mt_set_output(call, i, mt_shape_without(self, drop, keepdim, sizes), sizes, NULL, dtype,
                         self->device);
}

static int
reduce_to(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, mt_row_op op,
          mt_dtype compute)
{
    bool drop[MT_MAX_DIMS];
    if (mt_mark_dims(self, dim, dim_n, drop) < 0)
        return -1;
    return mt_rows_reduce(self, drop, op, compute, compute, 0, mt_out(call, 0));
}

/* ---- sums and products ---------------------------------------------------------------------- */

int
sum_dim_IntList_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,
                     bool keepdim, mt_dtype dtype)
{
    return reduced_meta(call, 0, self, dim, dim_n, keepdim, sum_dtype(self, dtype));
}

int
sum_dim_IntList_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,
                     bool keepdim, mt_dtype dtype)
{
    (void)keepdim;
    return reduce_to(call, self, dim, dim_n, MT_ROW_SUM, mt_row_dtype(sum_dtype(self, dtype)));
}

int
sum_meta(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return reduced_meta(call, 0, self, NULL, 0, false, sum_dtype(self, dtype));
}

int
sum_impl(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return reduce_to(call, self, NULL, 0, MT_ROW_SUM, mt_row_dtype(sum_dtype(self, dtype)));
}

int
nansum_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
            mt_dtype dtype)
{
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, "nansum on CPU does not support complex inputs");
    return reduced_meta(call, 0, self, dim, dim_n, keepdim, sum_dtype(self, dtype));
}

int
nansum_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
            mt_dtype dtype)
{
    (void)keepdim;
    mt_dtype compute = mt_row_dtype(sum_dtype(self, dtype));
    return reduce_to(call, self, dim, dim_n, compute == MT_INT64 ? MT_ROW_SUM : MT_ROW_NANSUM,
                     compute);
}

static mt_dtype
mean_dtype(const mt_tensor *self, mt_dtype dtype)
{
    mt_dtype d = dtype == MT_DTYPE_NONE ? (mt_dtype)self->dtype : dtype;
    if (mt_is_floating(d) || mt_is_complex(d))
        return d;
    mt_fail(MT_RUNTIME,
            "mean(): could not infer output dtype. %s dtype must be either a floating point or "
            "complex dtype. Got: %s",
            dtype == MT_DTYPE_NONE ? "Input" : "Optional", mt_dtypes[d].scalar_name);
    return MT_DTYPE_NONE;
}

int
mean_dim_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
              mt_dtype dtype)
{
    mt_dtype d = mean_dtype(self, dtype);
    return d == MT_DTYPE_NONE ? -1 : reduced_meta(call, 0, self, dim, dim_n, keepdim, d);
}

int
mean_dim_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
              mt_dtype dtype)
{
    (void)keepdim;
    (void)dtype;
    mt_tensor *out = mt_out(call, 0), *sum;
    mt_dtype compute = mt_row_dtype((mt_dtype)out->dtype);
    bool drop[MT_MAX_DIMS];
    if (mt_mark_dims(self, dim, dim_n, drop) < 0)
        return -1;
    sum = out->dtype == compute ? mt_keep(out)
                                : mt_empty(out->ndim, out->sizes, NULL, compute, out->device);
    if (!sum)
        return -1;
    int rc = mt_rows_reduce(self, drop, MT_ROW_SUM, compute, compute, 0, sum);
    double n = (double)mt_dropped_numel(self, drop);
    int64_t count = sum->numel;
    switch ((int)compute) {
    case MT_FLOAT32:
        for (float *o = mt_data(sum), *end = o + count; o < end; o++)
            *o /= (float)n;
        break;
    case MT_FLOAT64:
        for (double *o = mt_data(sum), *end = o + count; o < end; o++)
            *o /= n;
        break;
    case MT_COMPLEX64:
        for (float *o = mt_data(sum), *end = o + 2 * count; o < end; o++)
            *o /= (float)n;
        break;
    default:
        for (double *o = mt_data(sum), *end = o + 2 * count; o < end; o++)
            *o /= n;
    }
    if (rc == 0 && sum != out)
        rc = mt_copy_data(out, sum);
    mt_release(sum);
    return rc;
}

int
mean_meta(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return mean_dim_meta(call, self, NULL, 0, false, dtype);
}

int
mean_impl(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return mean_dim_impl(call, self, NULL, 0, false, dtype);
}

int
prod_meta(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return reduced_meta(call, 0, self, NULL, 0, false, sum_dtype(self, dtype));
}

int
prod_impl(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return reduce_to(call, self, NULL, 0, MT_ROW_PROD, mt_row_dtype(sum_dtype(self, dtype)));
}

int
prod_dim_int_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim, mt_dtype dtype)
{
    return reduced_meta(call, 0, self, &dim, 1, keepdim, sum_dtype(self, dtype));
}

int
prod_dim_int_impl(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim, mt_dtype dtype)
{
    (void)keepdim;
    return reduce_to(call, self, &dim, 1, MT_ROW_PROD, mt_row_dtype(sum_dtype(self, dtype)));
}

/* ---- truth ---------------------------------------------------------------------------------- */

static mt_dtype
truth_dtype(const mt_tensor *self)
{
    return self->dtype == MT_UINT8 ? MT_UINT8 : MT_BOOL;
}

/* any, all: the largest or smallest truth value of a row. */
static int
truth_to(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool all)
{
    bool drop[MT_MAX_DIMS];
    mt_tensor *out = mt_out(call, 0);
    if (mt_mark_dims(self, dim, dim_n, drop) < 0)
        return -1;
    mt_tensor *rows = mt_rows_of(self, drop, MT_BOOL);
    if (!rows)
        return -1;
    int64_t n = mt_dropped_numel(self, drop);
    const uint8_t *p = mt_data(rows);
    uint8_t *o = mt_data(out);
    for (int64_t r = 0; r < out->numel; r++, p += n)
        o[r] = all ? !memchr(p, 0, (size_t)n) : memchr(p, 1, (size_t)n) != NULL;
    mt_release(rows);
    return 0;
}

#define TRUTH(name, is_all)                                                                        \
    int name##_meta(mt_call *call, mt_tensor *self)                                                \
    {                                                                                              \
        return mt_set_output(call, 0, 0, NULL, NULL, truth_dtype(self), self->device);             \
    }                                                                                              \
    int name##_impl(mt_call *call, mt_tensor *self)                                                \
    {                                                                                              \
        return truth_to(call, self, NULL, 0, is_all);                                              \
    }                                                                                              \
    int name##_dim_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)                 \
    {                                                                                              \
        return reduced_meta(call, 0, self, &dim, 1, keepdim, truth_dtype(self));                   \
    }                                                                                              \
    int name##_dim_impl(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)                 \
    {                                                                                              \
        (void)keepdim;                                                                             \
        return truth_to(call, self, &dim, 1, is_all);                                              \
    }                                                                                              \
    int name##_dims_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,        \
                         bool keepdim)                                                             \
    {                                                                                              \
        return reduced_meta(call, 0, self, dim, dim_n, keepdim, truth_dtype(self));                \
    }                                                                                              \
    int name##_dims_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,        \
                         bool keepdim)                                                             \
    {                                                                                              \
        (void)keepdim;                                                                             \
        return truth_to(call, self, dim, dim_n, is_all);                                           \
    }
TRUTH(any, false)
TRUTH(all, true)

/* ---- extremes ------------------------------------------------------------------------------- */

static int
check_ordered(const mt_tensor *self, const char *who)
{
    if (mt_is_complex((mt_dtype)self->dtype) ||
        (self->dtype >= MT_UINT16 && self->dtype <= MT_UINT64))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", who, NAME_OF(self));
    return 0;
}

static int
extreme_dims_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
                  bool max)
{
    const char *who = max ? "amax()" : "amin()";
    if (mt_has_out(call)) {
        const mt_tensor *out = call->args[call->op->nargs - 1].u.t;
        if (out->dtype != self->dtype)
            return mt_fail(MT_RUNTIME,
                           "Expected the dtype for input and out to match, but got %s for input's "
                           "dtype and %s for out's dtype.",
                           NAME_OF(self), NAME_OF(out));
    }
    if (self->numel == 0) {
        if (dim_n == 0)
            return mt_fail(MT_RUNTIME,
                           "%s: Expected reduction dim to be specified for input.numel() == 0. "
                           "Specify the reduction dim with the 'dim' argument.",
                           who);
        for (int64_t i = 0; i < dim_n; i++) {
            int d = mt_wrap_dim(dim[i], self->ndim);
            if (d < 0 || mt_check_not_empty(self, d, who) < 0)
                return -1;
        }
    }
    if (check_ordered(self, max ? "max_values_cpu" : "min_values_cpu") < 0)
        return -1;
    return reduced_meta(call, 0, self, dim, dim_n, keepdim, (mt_dtype)self->dtype);
}

int
amax_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    return extreme_dims_meta(call, self, dim, dim_n, keepdim, true);
}

int
amax_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    (void)keepdim;
    return reduce_to(call, self, dim, dim_n, MT_ROW_MAX, mt_row_dtype((mt_dtype)self->dtype));
}

int
amin_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    return extreme_dims_meta(call, self, dim, dim_n, keepdim, false);
}

int
amin_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    (void)keepdim;
    return reduce_to(call, self, dim, dim_n, MT_ROW_MIN, mt_row_dtype((mt_dtype)self->dtype));
}

static int
extreme_all_meta(mt_call *call, mt_tensor *self, const char *who, const char *kernel)
{
    if (self->numel == 0)
        return mt_fail(MT_RUNTIME,
                       "%s: Expected reduction dim to be specified for input.numel() == 0. Specify "
                       "the reduction dim with the 'dim' argument.",
                       who);
    if (check_ordered(self, kernel) < 0)
        return -1;
    return mt_set_output(call, 0, 0, NULL, NULL, (mt_dtype)self->dtype, self->device);
}

int
max_all_meta(mt_call *call, mt_tensor *self)
{
    return extreme_all_meta(call, self, "max()", "max_all");
}

int
max_all_impl(mt_call *call, mt_tensor *self)
{
    return reduce_to(call, self, NULL, 0, MT_ROW_MAX, mt_row_dtype((mt_dtype)self->dtype));
}

int
min_all_meta(mt_call *call, mt_tensor *self)
{
    return extreme_all_meta(call, self, "min()", "min_all");
}

int
min_all_impl(mt_call *call, mt_tensor *self)
{
    return reduce_to(call, self, NULL, 0, MT_ROW_MIN, mt_row_dtype((mt_dtype)self->dtype));
}

static int
extreme_dim_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim, const char *who,
                 const char *kernel)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0 || mt_check_not_empty(self, d, who) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, "%s: does not support complex input", who);
    if (check_ordered(self, kernel) < 0 ||
        reduced_meta(call, 0, self, &dim, 1, keepdim, (mt_dtype)self->dtype) < 0)
        return -1;
    return reduced_meta(call, 1, self, &dim, 1, keepdim, MT_INT64);
}

static int
extreme_dim_impl(mt_call *call, mt_tensor *self, int64_t dim, mt_row_op op)
{
    bool drop[MT_MAX_DIMS];
    mt_dtype compute = mt_row_dtype((mt_dtype)self->dtype);
    mt_tensor *values = mt_out(call, 0), *indices = mt_out(call, 1);
    if (mt_mark_dims(self, &dim, 1, drop) < 0)
        return -1;
    if (values->numel == 0)
        return 0;
    mt_tensor *rows = mt_rows_of(self, drop, compute);
    if (!rows)
        return -1;
    int64_t n = mt_dropped_numel(self, drop);
    mt_rows_run(mt_row_kernel_of(op, compute), rows, n, mt_data(indices), 8, 0);
    int rc = mt_rows_pick(rows, n, indices, values);
    mt_release(rows);
    return rc;
}

int
max_dim_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)
{
    return extreme_dim_meta(call, self, dim, keepdim, "max()", "max_cpu");
}

int
max_dim_impl(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)
{
    (void)keepdim;
    return extreme_dim_impl(call, self, dim, MT_ROW_ARGMAX);
}

int
min_dim_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)
{
    return extreme_dim_meta(call, self, dim, keepdim, "min()", "min_cpu");
}

int
min_dim_impl(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)
{
    (void)keepdim;
    return extreme_dim_impl(call, self, dim, MT_ROW_ARGMIN);
}

static int
arg_meta(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim, const char *who)
{
    bool drop[MT_MAX_DIMS];
    int64_t sizes[MT_MAX_DIMS];
    if (mt_is_none(dim)) {
        if (self->numel == 0)
            return mt_fail(MT_INDEX,
                           "%s: Expected reduction dim to be specified for input.numel() == 0.",
                           who);
        mt_mark_all(self, drop);
    } else {
        int d = mt_wrap_dim(dim.u.i, self->ndim);
        if (d < 0 || mt_check_not_empty(self, d, who) < 0 ||
            mt_mark_dims(self, &dim.u.i, 1, drop) < 0)
            return -1;
    }
    if (mt_is_complex((mt_dtype)self->dtype) || self->dtype == MT_BOOL)
        return mt_fail(MT_RUNTIME, "%s: does not support %s input", who,
                       self->dtype == MT_BOOL ? "bool" : "complex");
    if (check_ordered(self, who[3] == 'm' && who[4] == 'a' ? "argmax_cpu" : "argmin_cpu") < 0)
        return -1;
    return mt_set_output(call, 0, mt_shape_without(self, drop, keepdim, sizes), sizes, NULL,
                         MT_INT64, self->device);
}

static int
arg_impl(mt_call *call, mt_tensor *self, mt_value dim, mt_row_op op)
{
    bool drop[MT_MAX_DIMS];
    if (mt_mark_dims(self, &dim.u.i, mt_is_none(dim) ? 0 : 1, drop) < 0)
        return -1;
    return mt_rows_reduce(self, drop, op, mt_row_dtype((mt_dtype)self->dtype), MT_INT64, 0,
                          mt_out(call, 0));
}

int
argmax_meta(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim)
{
    return arg_meta(call, self, dim, keepdim, "argmax()");
}

int
argmax_impl(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim)
{
    (void)keepdim;
    return arg_impl(call, self, dim, MT_ROW_ARGMAX);
}

int
argmin_meta(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim)
{
    return arg_meta(call, self, dim, keepdim, "argmin()");
}

int
argmin_impl(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim)
{
    (void)keepdim;
    return arg_impl(call, self, dim, MT_ROW_ARGMIN);
}

int
aminmax_meta(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim)
{
    int64_t n = mt_is_none(dim) ? 0 : 1;
    if (n == 0) {
        if (self->numel == 0)
            return mt_fail(MT_RUNTIME, "aminmax(): cannot compute aminmax over an empty dimension "
                                       "as the operation has no identity.");
    } else {
        int d = mt_wrap_dim(dim.u.i, self->ndim);
        if (d < 0 || mt_check_not_empty(self, d, "aminmax") < 0)
            return -1;
    }
    if (check_ordered(self, n ? "aminmax_cpu" : "aminmax_all_cpu") < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (reduced_meta(call, i, self, &dim.u.i, n, keepdim, (mt_dtype)self->dtype) < 0)
            return -1;
    return 0;
}

int
aminmax_impl(mt_call *call, mt_tensor *self, mt_value dim, bool keepdim)
{
    (void)keepdim;
    bool drop[MT_MAX_DIMS];
    mt_dtype compute = mt_row_dtype((mt_dtype)self->dtype);
    if (mt_mark_dims(self, &dim.u.i, mt_is_none(dim) ? 0 : 1, drop) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (mt_rows_reduce(self, drop, i ? MT_ROW_MAX : MT_ROW_MIN, compute, compute, 0,
                           mt_out(call, i)) < 0)
            return -1;
    return 0;
}

/* ---- norms ---------------------------------------------------------------------------------- */

int
linalg_vector_norm_meta(mt_call *call, mt_tensor *self, mt_scalar ord, const int64_t *dim,
                        int64_t dim_n, bool keepdim, mt_dtype dtype)
{
    mt_dtype d = (mt_dtype)self->dtype;
    if (!mt_is_floating(d) && !mt_is_complex(d))
        return mt_fail(MT_RUNTIME,
                       "linalg.vector_norm: Expected a floating point or complex tensor as input. "
                       "Got %s",
                       mt_dtypes[d].scalar_name);
    if (dtype != MT_DTYPE_NONE) {
        if (!mt_is_floating(dtype) && !mt_is_complex(dtype))
            return mt_fail(MT_RUNTIME,
                           "linalg.vector_norm: dtype should be floating point or complex, but got "
                           "%s",
                           mt_dtypes[dtype].scalar_name);
        if (mt_is_complex(d) != mt_is_complex(dtype))
            return mt_fail(MT_RUNTIME,
                           "linalg.vector_norm: dtype should be %s for %s inputs, but got %s",
                           mt_is_complex(d) ? "complex" : "real",
                           mt_is_complex(d) ? "complex" : "real", mt_dtypes[dtype].scalar_name);
        if (mt_promote(d, dtype) != dtype)
            return mt_fail(MT_RUNTIME,
                           "linalg.vector_norm: the dtype of the input (%s) should be convertible "
                           "without narrowing to the specified dtype (%s)",
                           mt_dtypes[d].scalar_name, mt_dtypes[dtype].scalar_name);
        d = dtype;
    }
    double p = mt_scalar_f64(ord);
    if (self->numel == 0 && (p < 0 || p == __builtin_inf())) {
        const char *text = p == __builtin_inf() ? "inf" : p == -__builtin_inf() ? "-inf"
                                                        : mt_str("%g", p);
        if (dim_n == 0)
            return mt_fail(MT_RUNTIME,
                           "linalg.vector_norm cannot compute the %s norm on an empty tensor "
                           "because the operation does not have an identity",
                           text);
        for (int64_t i = 0; i < dim_n; i++) {
            int w = mt_wrap_dim(dim[i], self->ndim);
            if (w < 0)
                return -1;
            if (self->ndim && self->sizes[w] == 0)
                return mt_fail(MT_RUNTIME,
                               "linalg.vector_norm cannot compute the %s norm on the dimension %d"
                               "because this dimension is empty and the operation does not have an "
                               "identity",
                               text, w);
        }
    }
    return reduced_meta(call, 0, self, dim, dim_n, keepdim,
                        mt_is_complex(d) ? mt_dtypes[d].to_real : d);
}

int
linalg_vector_norm_impl(mt_call *call, mt_tensor *self, mt_scalar ord, const int64_t *dim,
                        int64_t dim_n, bool keepdim, mt_dtype dtype)
{
    (void)keepdim;
    (void)dtype;
    bool drop[MT_MAX_DIMS];
    mt_tensor *out = mt_out(call, 0), *x = self;
    mt_dtype compute = mt_row_dtype((mt_dtype)out->dtype);
    if (mt_mark_dims(self, dim, dim_n, drop) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)self->dtype)) {
        if (!(x = aten_abs(self)))
            return -1;
    } else
        mt_keep(x);
    int rc = mt_rows_reduce(x, drop, MT_ROW_NORM, compute, compute, mt_scalar_f64(ord), out);
    mt_release(x);
    return rc;
}

/* log sum exp(x - m) + m, m the largest real part where that is finite. */
static int
complex_logsumexp(mt_tensor *out, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    mt_tensor *re = NULL, *top = NULL, *finite = NULL, *zero = NULL, *shift = NULL, *low = NULL,
              *e = NULL, *sum = NULL, *log = NULL, *back = NULL, *r = NULL;
    int rc = -1;
    if (self->numel == 0) {
        rc = mt_fill_data(out, mt_v_float(-INFINITY));
        goto done;
    }
    if (!(re = aten_real(self)) || !(top = aten_amax(re, dim, dim_n, true)) ||
        !(finite = aten_isfinite(top)) ||
        !(zero = aten_zeros_like(top, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE)) ||
        !(shift = aten_where_self(finite, top, zero)) || !(low = aten_sub_Tensor(self, shift, mt_v_int(1))) ||
        !(e = aten_exp(low)) || !(sum = aten_sum_dim_IntList(e, dim, dim_n, keepdim, MT_DTYPE_NONE)) ||
        !(log = aten_log(sum)) || !(back = aten_view(shift, out->sizes, out->ndim)) ||
        !(r = aten_add_Tensor(log, back, mt_v_int(1))))
        goto done;
    rc = mt_copy_data(out, r);
done:;
    mt_tensor *all[] = {re, top, finite, zero, shift, low, e, sum, log, back, r};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return rc;
}

int
logsumexp_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    mt_dtype d = (mt_dtype)self->dtype;
    return reduced_meta(call, 0, self, dim, dim_n, keepdim,
                        mt_is_integral(d, true) ? mt_default_dtype : d);
}

int
logsumexp_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    if (mt_is_complex((mt_dtype)self->dtype))
        return complex_logsumexp(mt_out(call, 0), self, dim, dim_n, keepdim);
    return reduce_to(call, self, dim, dim_n, MT_ROW_LOGSUMEXP,
                     mt_row_dtype((mt_dtype)mt_out(call, 0)->dtype));
}

/* ---- variance ------------------------------------------------------------------------------- */

/* Variance (root: its root) and, where asked for, the mean, of every row. */
static int
moments_to(mt_tensor *self, const bool *drop, mt_scalar correction, bool root, mt_tensor *spread,
           mt_tensor *mean)
{
    mt_dtype d = (mt_dtype)self->dtype, compute = mt_row_dtype(d);
    int64_t n = mt_dropped_numel(self, drop), rows_n = spread->numel;
    double freedom = (double)n - (mt_is_none(correction) ? 1 : mt_scalar_f64(correction));
    if (freedom <= 0 && spread->numel &&
        mt_warn(MT_WARN_USER,
                "%s(): degrees of freedom is <= 0. Correction should be strictly less than the "
                "reduction factor (input numel divided by output numel).",
                mean ? (root ? "std_mean" : "var_mean") : root ? "std" : "var") < 0)
        return -1;
    int64_t shape[2] = {rows_n, 3};
    mt_tensor *rows = mt_rows_of(self, drop, compute), *all = NULL, *made = NULL;
    int rc = -1;
    if (!rows || !(all = mt_empty(2, shape, NULL, MT_FLOAT64, self->device)))
        goto done;
    double *m = mt_data(all);
    if (n == 0)
        for (int64_t i = 0; i < 3 * rows_n; i++)
            m[i] = __builtin_nan("");
    else if (rows_n)
        mt_rows_run(mt_row_kernel_of(MT_ROW_MOMENTS, compute), rows, n, m, 24, 0);
    for (int64_t r = 0; r < rows_n; r++) {
        double v = m[3 * r + 2] / MT_MAX(freedom, 0.0);
        m[3 * r + 2] = root ? sqrt(v) : v;
    }
    int64_t strides[MT_MAX_DIMS];
    mt_contiguous_strides(spread->ndim, spread->sizes, strides);
    for (int k = 0; k < spread->ndim; k++)
        strides[k] *= 3;
    made = mt_alias(all, 2, spread->ndim, spread->sizes, strides);
    rc = made ? mt_copy_data(spread, made) : -1;
    mt_xrelease(made);
    if (rc == 0 && mean) {
        if (mt_is_complex(d)) {
            mt_tensor *full = mt_empty(mean->ndim, mean->sizes, NULL, MT_COMPLEX128, mean->device);
            if (full) {
                double *o = mt_data(full);
                for (int64_t r = 0; r < rows_n; r++) {
                    o[2 * r] = m[3 * r];
                    o[2 * r + 1] = m[3 * r + 1];
                }
            }
            rc = full ? mt_copy_data(mean, full) : -1;
            mt_xrelease(full);
        } else {
            made = mt_alias(all, 0, mean->ndim, mean->sizes, strides);
            rc = made ? mt_copy_data(mean, made) : -1;
            mt_xrelease(made);
        }
    }
done:
    mt_xrelease(rows);
    mt_xrelease(all);
    return rc;
}

static int
moments_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim,
             bool with_mean)
{
    mt_dtype d = (mt_dtype)self->dtype;
    if (!mt_is_floating(d) && !mt_is_complex(d))
        return mt_fail(MT_RUNTIME, with_mean ? "%s_mean only support floating point and complex "
                                               "dtypes"
                                             : "%s only support floating point and complex dtypes",
                       with_mean ? (strstr(call->op->name, "std") ? "std" : "var") : "std and var");
    if (reduced_meta(call, 0, self, dim, dim_n, keepdim,
                     mt_is_complex(d) ? mt_dtypes[d].to_real : d) < 0)
        return -1;
    return with_mean ? reduced_meta(call, 1, self, dim, dim_n, keepdim, d) : 0;
}

#define MOMENTS(name, root, with_mean)                                                             \
    int name##_correction_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,  \
                               mt_scalar correction, bool keepdim)                                 \
    {                                                                                              \
        (void)correction;                                                                          \
        return moments_meta(call, self, dim, dim_n, keepdim, with_mean);                           \
    }                                                                                              \
    int name##_correction_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,  \
                               mt_scalar correction, bool keepdim)                                 \
    {                                                                                              \
        (void)keepdim;                                                                             \
        bool drop[MT_MAX_DIMS];                                                                    \
        if (mt_mark_dims(self, dim, dim_n, drop) < 0)                                              \
            return -1;                                                                             \
        return moments_to(self, drop, correction, root, mt_out(call, 0),                           \
                          with_mean ? mt_out(call, 1) : NULL);                                     \
    }
MOMENTS(var, false, false)
MOMENTS(std, true, false)
MOMENTS(var_mean, false, true)
MOMENTS(std_mean, true, true)

/* The short forms: `unbiased` is a correction of 1 or 0. */
#define SHORT_FORMS(name)                                                                          \
    mt_tensor *op_##name(mt_tensor *self, bool unbiased)                                           \
    {                                                                                              \
        return aten_##name##_correction(self, NULL, 0, mt_v_int(unbiased), false);                 \
    }                                                                                              \
    mt_tensor *op_##name##_dim(mt_tensor *self, const int64_t *dim, int64_t dim_n, bool unbiased,  \
                               bool keepdim)                                                       \
    {                                                                                              \
        return aten_##name##_correction(self, dim, dim_n, mt_v_int(unbiased), keepdim);            \
    }
#define SHORT_PAIRS(name)                                                                          \
    int op_##name(mt_tensor *self, bool unbiased, mt_tensor **ret0, mt_tensor **ret1)              \
    {                                                                                              \
        return aten_##name##_correction(self, NULL, 0, mt_v_int(unbiased), false, ret0, ret1);     \
    }                                                                                              \
    int op_##name##_dim(mt_tensor *self, const int64_t *dim, int64_t dim_n, bool unbiased,         \
                        bool keepdim, mt_tensor **ret0, mt_tensor **ret1)                          \
    {                                                                                              \
        return aten_##name##_correction(self, dim, dim_n, mt_v_int(unbiased), keepdim, ret0,       \
                                        ret1);                                                     \
    }
SHORT_FORMS(var)
SHORT_FORMS(std)
SHORT_PAIRS(var_mean)
SHORT_PAIRS(std_mean)

mt_tensor *
op_count_nonzero(mt_tensor *self, mt_value dim)
{
    mt_tensor *mask = aten_ne_Scalar(self, mt_v_int(0));
    mt_tensor *r = mask ? aten_sum_dim_IntList(mask, mt_is_none(dim) ? NULL : &dim.u.i,
                                               mt_is_none(dim) ? 0 : 1, false, MT_DTYPE_NONE)
                        : NULL;
    mt_xrelease(mask);
    return r;
}

/* norm: the vector norm with p = 2 where none is given. */
static mt_scalar
order_of(mt_scalar p)
{
    return mt_is_none(p) ? mt_v_int(2) : p;
}

#define NORM(suffix, params, dims, keep, dtype_)                                                   \
    int norm_##suffix##_meta params                                                                \
    {                                                                                              \
        return linalg_vector_norm_meta(call, self, order_of(p), dims, keep, dtype_);               \
    }                                                                                              \
    int norm_##suffix##_impl params                                                                \
    {                                                                                              \
        return linalg_vector_norm_impl(call, self, order_of(p), dims, keep, dtype_);               \
    }
#define NO_DIMS NULL, 0
#define ITS_DIMS dim, dim_n
NORM(Scalar, (mt_call *call, mt_tensor *self, mt_scalar p), NO_DIMS, false, MT_DTYPE_NONE)
NORM(ScalarOpt_dtype, (mt_call *call, mt_tensor *self, mt_scalar p, mt_dtype dtype), NO_DIMS, false,
     dtype)
NORM(ScalarOpt_dim,
     (mt_call *call, mt_tensor *self, mt_scalar p, const int64_t *dim, int64_t dim_n, bool keepdim),
     ITS_DIMS, keepdim, MT_DTYPE_NONE)
NORM(ScalarOpt_dim_dtype,
     (mt_call *call, mt_tensor *self, mt_scalar p, const int64_t *dim, int64_t dim_n, bool keepdim,
      mt_dtype dtype),
     ITS_DIMS, keepdim, dtype)
