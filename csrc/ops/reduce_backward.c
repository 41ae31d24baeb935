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

/* Zeros of a shape with grad's values added at the indices along dim. */
mt_tensor *
mth_place_along(mt_tensor *grad, int64_t dim, mt_tensor *indices, const int64_t *sizes,
                int64_t sizes_n)
{
    mt_tensor *zeros = aten_zeros(sizes, sizes_n, (mt_dtype)grad->dtype, -1, grad->device,
                                  mt_v_none());
    mt_tensor *r = zeros ? aten_scatter_add(zeros, dim, indices, grad) : NULL;
    mt_xrelease(zeros);
    return r;
}

mt_tensor *
op_value_selecting_reduction_backward(mt_tensor *grad, int64_t dim, mt_tensor *indices,
                                      const int64_t *sizes, int64_t sizes_n, bool keepdim)
{
    if (keepdim || sizes_n == 0)
        return mth_place_along(grad, dim, indices, sizes, sizes_n);
    mt_tensor *g = aten_unsqueeze(grad, dim), *k = g ? aten_unsqueeze(indices, dim) : NULL;
    mt_tensor *r = k ? mth_place_along(g, dim, k, sizes, sizes_n) : NULL;
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
    mt_tensor *turned = left ? aten_flip(x, &dim, 1) : NULL;
    after = turned ? aten__shift(turned, dim, 1, mt_v_int(1)) : NULL;
    t = after ? aten_cumprod(after, dim, MT_DTYPE_NONE) : NULL;
    mt_tensor *right = t ? aten_flip(t, &dim, 1) : NULL;
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
    mt_tensor *turned = p ? aten_flip(p, &dim, 1) : NULL;
    mt_tensor *sum = turned ? aten_cumsum(turned, dim, MT_DTYPE_NONE) : NULL;
    mt_tensor *back = sum ? aten_flip(sum, &dim, 1) : NULL, *d = back ? aten_conj(input) : NULL;
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

mt_tensor *
op__aminmax_backward(mt_tensor *grad_min, mt_tensor *grad_max, mt_tensor *self, mt_tensor *min,
                     mt_tensor *max, mt_value dim, bool keepdim)
{
    int64_t n = mt_is_none(dim) ? 0 : 1;
    const int64_t *d = n ? &dim.u.i : NULL;
    mt_tensor *low = NULL, *high = NULL, *r = NULL;
    if (grad_min && !(low = aten__extreme_dims_backward(grad_min, self, min, d, n, keepdim)))
        return NULL;
    if (grad_max)
        high = aten__extreme_dims_backward(grad_max, self, max, d, n, keepdim);
    if (!grad_max)
        return low;
    r = low && high ? aten_add_Tensor(low, high, mt_v_int(1)) : mt_xkeep(high);
    mt_xrelease(low);
    mt_xrelease(high);
    return r;
}

mt_tensor *
op__var_mean_backward(mt_tensor *spread, mt_tensor *mean, mt_tensor *self, const int64_t *dim,
                      int64_t dim_n, mt_scalar correction, bool keepdim)
{
    mt_tensor *a = NULL, *b = NULL, *c = NULL, *r = NULL, *count = NULL;
    if (spread && !(a = mth_var_backward(spread, self, dim, dim_n, correction, keepdim)))
        return NULL;
    if (!mean)
        return a;
    bool drop[MT_MAX_DIMS];
    if (mt_mark_dims(self, dim, dim_n, drop) == 0)
        b = mth_spread_dims(mean, self->sizes, self->ndim, dim, dim_n, keepdim);
    if (b)
        count = mt_wrap_scalar(mt_v_int(mt_dropped_numel(self, drop)));
    c = count ? aten_div_Tensor(b, count) : NULL;
    mt_xrelease(count);
    r = !c ? NULL : a ? aten_add_Tensor(a, c, mt_v_int(1)) : mt_keep(c);
    mt_xrelease(a);
    mt_xrelease(b);
    mt_xrelease(c);
    return r;
}

/* |x|^p by order: the slope of the norm is sgn(x) * (|x| / norm)^(p - 1), 0 where it has none. */
mt_tensor *
op__norm_backward(mt_tensor *grad, mt_tensor *self, mt_scalar p, mt_tensor *result,
                  const int64_t *dim, int64_t dim_n, bool keepdim)
{
    double order = mt_is_none(p) ? 2 : mt_scalar_f64(p);
    if (order == 0)
        return aten_zeros_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    mt_tensor *g = mth_restore_dims(grad, self->sizes, self->ndim, dim, dim_n, keepdim);
    mt_tensor *y = g ? mth_restore_dims(result, self->sizes, self->ndim, dim, dim_n, keepdim) : NULL;
    mt_tensor *r = NULL, *t[10] = {0};
    if (!y)
        goto done;
    if (order == 1) {
        if ((t[0] = aten_sgn(self)))
            r = aten_mul_Tensor(t[0], g);
    } else if (order == 2) {
        if ((t[0] = aten_div_Tensor(self, y)) && (t[1] = aten_eq_Scalar(y, mt_v_int(0))) &&
            (t[2] = aten_masked_fill_Scalar(t[0], t[1], mt_v_int(0))))
            r = aten_mul_Tensor(t[2], g);
    } else if (order == __builtin_inf() || order == -__builtin_inf()) {
        if ((t[0] = aten_abs(self)) && (t[1] = aten_eq_Tensor(t[0], y)) &&
            (t[2] = aten_sum_dim_IntList(t[1], dim, dim_n, true, MT_DTYPE_NONE)) &&
            (t[3] = aten_div_Tensor(g, t[2])) && (t[4] = aten_sgn(self)) &&
            (t[5] = aten_mul_Tensor(t[4], t[3])))
            r = aten_mul_Tensor(t[5], t[1]);
    } else if ((t[0] = aten_abs(self)) && (t[1] = aten_div_Tensor(t[0], y)) &&
               (t[2] = aten_pow_Tensor_Scalar(t[1], mt_v_float(order - 1))) &&
               (t[3] = aten_eq_Scalar(order < 1 ? self : y, mt_v_int(0))) &&
               (t[4] = aten_masked_fill_Scalar(t[2], t[3], mt_v_int(0))) &&
               (t[5] = aten_sgn(self)) && (t[6] = aten_mul_Tensor(t[5], t[4])))
        r = aten_mul_Tensor(t[6], g);
done:
    mt_xrelease(g);
    mt_xrelease(y);
    for (size_t i = 0; i < MT_COUNT(t); i++)
        mt_xrelease(t[i]);
    return r;
}
