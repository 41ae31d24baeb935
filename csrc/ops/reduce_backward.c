/* Gradients of reductions that are more than a formula. */
#include "autograd/formulas.h"
#include "base/error.h"
#include "ops/rows.h"
#include "ops_gen.h"

/* grad with its reduced dimensions put back as 1. */
mt_tensor *
mth_restore_dims(mt_tensor *grad, const int64_t *sizes, int64_t sizes_n, const int64_t *dim,
                 int64_t dim_n, bool keepdim)
{
    if (keepdim || sizes_n == 0)
        return mt_keep(grad);
    int64_t shape[MT_MAX_DIMS];
    for (int64_t d = 0; d < sizes_n; d++)
        shape[d] = dim_n == 0 ? 1 : sizes[d];
    for (int64_t i = 0; i < dim_n; i++)
        shape[dim[i] < 0 ? dim[i] + sizes_n : dim[i]] = 1;
    return aten_reshape(grad, shape, sizes_n);
}

mt_tensor *
mth_spread_dims(mt_tensor *grad, const int64_t *sizes, int64_t sizes_n, const int64_t *dim,
                int64_t dim_n, bool keepdim)
{
    mt_tensor *view = mth_restore_dims(grad, sizes, sizes_n, dim, dim_n, keepdim);
    mt_tensor *r = view ? aten_expand(view, sizes, sizes_n, false) : NULL;
    mt_xrelease(view);
    return r;
}

mt_tensor *
op_value_selecting_reduction_backward(mt_tensor *grad, int64_t dim, mt_tensor *indices,
                                      const int64_t *sizes, int64_t sizes_n, bool keepdim)
{
    if (keepdim || sizes_n == 0)
        return aten__scatter_along(grad, dim, indices, sizes, sizes_n);
    mt_tensor *g = aten_unsqueeze(grad, dim), *k = g ? aten_unsqueeze(indices, dim) : NULL;
    mt_tensor *r = k ? aten__scatter_along(g, dim, k, sizes, sizes_n) : NULL;
    mt_xrelease(g);
    mt_xrelease(k);
    return r;
}

mt_tensor *
mth_var_backward(mt_tensor *grad, mt_tensor *self, const int64_t *dim, int64_t dim_n,
                 mt_scalar correction, bool keepdim)
{
    double n = 1, take = mt_is_none(correction) ? 1 : mt_scalar_f64(correction);
    bool drop[MT_MAX_DIMS];
    if (mt_mark_dims(self, dim, dim_n, drop) < 0)
        return NULL;
    n = (double)mt_dropped_numel(self, drop);
    mt_tensor *g = mth_restore_dims(grad, self->sizes, self->ndim, dim, dim_n, keepdim);
    mt_tensor *mean = g ? aten_mean_dim(self, dim, dim_n, true, MT_DTYPE_NONE) : NULL;
    mt_tensor *away = mean ? aten_sub_Tensor(self, mean, mt_v_int(1)) : NULL;
    mt_tensor *scale = away ? mt_wrap_scalar(mt_v_float(2 / MT_MAX(n - take, 0.0))) : NULL;
    mt_tensor *slope = scale ? aten_mul_Tensor(away, scale) : NULL;
    mt_tensor *r = slope ? aten_mul_Tensor(g, slope) : NULL;
    mt_tensor *all[] = {g, mean, away, scale, slope};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}

/* 1 if any element is zero, 0 if none is, -1 on error. */
static int
has_zero(mt_tensor *x)
{
    if (mt_is_meta(x))
        return 0;
    mt_tensor *zero = aten_eq_Scalar(x, mt_v_int(0)), *any = zero ? aten_any(zero) : NULL;
    int r = any ? *(uint8_t *)mt_data(any) : -1;
    mt_xrelease(zero);
    mt_xrelease(any);
    return r;
}

/* Product of all other elements along dim: of those before times those after. */
static mt_tensor *
product_of_others(mt_tensor *x, int64_t dim)
{
    mt_tensor *before = aten__shift(x, dim, 1, mt_v_int(1)), *after = NULL, *r = NULL, *t = NULL;
    mt_tensor *left = before ? aten_cumprod(before, dim, MT_DTYPE_NONE) : NULL;
    mt_tensor *turned = left ? aten__mirror(x, dim) : NULL;
    after = turned ? aten__shift(turned, dim, 1, mt_v_int(1)) : NULL;
    t = after ? aten_cumprod(after, dim, MT_DTYPE_NONE) : NULL;
    mt_tensor *right = t ? aten__mirror(t, dim) : NULL;
    if (right)
        r = aten_mul_Tensor(left, right);
    mt_tensor *all[] = {before, left, turned, after, t, right};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}

/* grad and result have the reduced dimension as 1. */
mt_tensor *
mth_prod_backward(mt_tensor *grad, mt_tensor *self, mt_tensor *result, int64_t dim)
{
    int zero = has_zero(self);
    if (zero < 0)
        return NULL;
    mt_tensor *slope = NULL, *c = NULL, *r = NULL;
    if (zero && self->ndim)
        slope = product_of_others(self, dim);
    else if (self->ndim == 0)
        return mt_keep(grad);
    else
        slope = aten_div_Tensor(result, self);
    c = slope ? aten_conj(slope) : NULL;
    r = c ? aten_mul_Tensor(grad, c) : NULL;
    mt_xrelease(slope);
    mt_xrelease(c);
    return r;
}

/* Where there are zeros: for every k the products without element k, by a cumprod of the row with
 * a one in its place. */
static mt_tensor *
cumprod_backward_zeros(mt_tensor *grad, mt_tensor *self, int64_t dim)
{
    int d = mt_wrap_dim(dim, self->ndim);
    int64_t n = self->sizes[d], shape[MT_MAX_DIMS];
    for (int i = 0; i < self->ndim; i++)
        shape[i] = i == d ? n : 1;
    mt_tensor *all = NULL;
    for (int64_t k = 0; k < n; k++) {
        mt_tensor *here = mt_empty(self->ndim, shape, NULL, MT_BOOL, self->device);
        mt_tensor *later = here ? mt_empty(self->ndim, shape, NULL, MT_BOOL, self->device) : NULL;
        mt_tensor *one = mt_scalar_to_tensor(mt_v_int(1), (mt_dtype)self->dtype);
        if (later)
            for (int64_t i = 0; i < n; i++) {
                ((uint8_t *)mt_data(here))[i] = i == k;
                ((uint8_t *)mt_data(later))[i] = i >= k;
            }
        mt_tensor *row = later && one ? aten_where_self(here, one, self) : NULL;
        mt_tensor *prod = row ? aten_cumprod(row, dim, MT_DTYPE_NONE) : NULL;
        mt_tensor *c = prod ? aten_conj(prod) : NULL, *g = c ? aten_mul_Tensor(grad, c) : NULL;
        mt_tensor *part = g ? aten_mul_Tensor(g, later) : NULL;
        mt_tensor *sum = part ? aten_sum_dim_IntList(part, &dim, 1, true, MT_DTYPE_NONE) : NULL;
        mt_tensor *at = sum ? aten_mul_Tensor(sum, here) : NULL;
        mt_tensor *more = at ? (all ? aten_add_Tensor(all, at, mt_v_int(1)) : mt_keep(at)) : NULL;
        mt_tensor *temps[] = {here, later, one, row, prod, c, g, part, sum, at, all};
        for (size_t i = 0; i < MT_COUNT(temps); i++)
            mt_xrelease(temps[i]);
        if (!(all = more))
            return NULL;
    }
    return all;
}

mt_tensor *
op_cumprod_backward(mt_tensor *grad, mt_tensor *input, int64_t dim, mt_tensor *output)
{
    if (input->numel <= 1 || input->ndim == 0)
        return mt_keep(grad);
    int zero = has_zero(input);
    if (zero)
        return zero < 0 ? NULL : cumprod_backward_zeros(grad, input, dim);
    mt_tensor *c = aten_conj(output), *p = c ? aten_mul_Tensor(grad, c) : NULL;
    mt_tensor *turned = p ? aten__mirror(p, dim) : NULL;
    mt_tensor *sum = turned ? aten_cumsum(turned, dim, MT_DTYPE_NONE) : NULL;
    mt_tensor *back = sum ? aten__mirror(sum, dim) : NULL, *d = back ? aten_conj(input) : NULL;
    mt_tensor *r = d ? aten_div_Tensor(back, d) : NULL;
    mt_tensor *all[] = {c, p, turned, sum, back, d};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}

static mt_tensor *
softmax_of(mt_tensor *self, int64_t dim, mt_dtype dtype, bool logarithm)
{
    mt_tensor *x = dtype == MT_DTYPE_NONE ? mt_keep(self)
                                          : aten_to_dtype(self, dtype, false, false, MT_FORMAT_NONE);
    mt_tensor *r = !x ? NULL : logarithm ? aten__log_softmax(x, dim, false)
                                         : aten__softmax(x, dim, false);
    mt_xrelease(x);
    return r;
}

mt_tensor *
op_softmax_int(mt_tensor *self, int64_t dim, mt_dtype dtype)
{
    return softmax_of(self, dim, dtype, false);
}

mt_tensor *
op_log_softmax_int(mt_tensor *self, int64_t dim, mt_dtype dtype)
{
    return softmax_of(self, dim, dtype, true);
}
