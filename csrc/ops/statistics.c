/* Quantiles, covariance, differences along grids. */
#include <math.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* ---- quantiles -------------------------------------------------------------------------------- */

static int
check_quantile(const char *who, mt_tensor *self, mt_tensor *q, mt_value dim, const char *how)
{
    if (self->numel == 0)
        return mt_fail(MT_RUNTIME, "%s input tensor must be non-empty", who);
    if (q->ndim > 1)
        return mt_fail(MT_RUNTIME, "%s q must be a scalar or 1D tensor", who);
    if (self->dtype != MT_FLOAT32 && self->dtype != MT_FLOAT64)
        return mt_fail(MT_RUNTIME, "%s input tensor must be either float or double dtype", who);
    if (self->dtype != q->dtype)
        return mt_fail(MT_RUNTIME, "%s q tensor must be same dtype as the input tensor", who);
    static const char *const known[] = {"linear", "lower", "higher", "midpoint", "nearest"};
    bool found = false;
    for (size_t i = 0; i < MT_COUNT(known); i++)
        found = found || !strcmp(how, known[i]);
    if (!found)
        return mt_fail(MT_RUNTIME, "%s interpolation must be one of linear, lower, higher, midpoint or nearest, but "
                                   "got %s", who, how);
    if (!mt_is_none(dim) && mt_wrap_dim(dim.u.i, self->ndim) < 0)
        return -1;
    if (mt_is_meta(q))
        return 0;
    mt_tensor *low = aten_ge_Scalar(q, mt_v_int(0)), *high = low ? aten_le_Scalar(q, mt_v_int(1)) : NULL;
    mt_tensor *both = high ? aten_logical_and(low, high) : NULL, *all = both ? aten_all(both) : NULL;
    int rc = !all ? -1 : *(uint8_t *)mt_data(all) ? 0 : mt_fail(MT_RUNTIME, "%s q values must be in the range [0, 1]", who);
    mt_xrelease(low);
    mt_xrelease(high);
    mt_xrelease(both);
    mt_xrelease(all);
    return rc;
}

/* Rows are sorted along the last dimension, and elements next to the ranks q (n - 1) are mixed. */
static mt_tensor *
quantile(mt_tensor *self, mt_tensor *q, mt_value dim, bool keepdim, const char *how, bool ignore_nan)
{
    const char *who = ignore_nan ? "nanquantile()" : "quantile()";
    if (check_quantile(who, self, q, dim, how) < 0)
        return NULL;
    bag b = {0};
    mt_tensor *rows, *sorted = NULL, *indices = NULL, *ranks, *below, *above, *weight, *low, *high, *t, *r = NULL;
    const int64_t flat = -1;
    bool whole = mt_is_none(dim);
    int at = whole ? 0 : mt_wrap_dim(dim.u.i, self->ndim);
    /* shape of the result without the quantiles */
    int64_t shape[MT_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < self->ndim; d++)
        if (!whole && d != at)
            shape[ndim++] = self->sizes[d];
        else if (keepdim)
            shape[ndim++] = 1;
    TRY(rows, whole || self->ndim == 0 ? aten_reshape(self, &flat, 1) : aten_movedim_int(self, at, -1));
    if (aten_sort(rows, -1, false, &sorted, &indices) < 0)
        goto done;
    hold(&b, sorted);
    hold(&b, indices);
    /* the quantiles get the last dimension */
    TRY(t, q->ndim ? mt_keep(q) : aten_reshape(q, &flat, 1));
    mt_tensor *nan;
    TRY(nan, aten_isnan(sorted));
    if (ignore_nan) {
        mt_tensor *n;
        TRY(n, aten_logical_not(nan));
        TRY(n, aten_sum_dim_IntList(n, &flat, 1, true, MT_DTYPE_NONE));
        TRY(n, minus_number(n, mt_v_int(1)));
        TRY(ranks, aten_mul_Tensor(t, n));
        TRY(ranks, aten_masked_fill_Scalar(ranks, hold(&b, aten_lt_Scalar(ranks, mt_v_int(0))), mt_v_int(0)));
    } else {
        mt_tensor *bad, *last;
        int64_t n = sorted->sizes[sorted->ndim - 1];
        TRY(ranks, times_number(t, mt_v_int(n - 1)));
        TRY(bad, aten_any_dim(nan, -1, true));
        TRY(last, aten_full_like(ranks, mt_v_int(n - 1), MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE));
        TRY(ranks, aten_where_self(bad, last, ranks)); /* NaN is sorted to the end */
    }
    int64_t wide[MT_MAX_DIMS];
    memcpy(wide, sorted->sizes, (size_t)sorted->ndim * sizeof *wide);
    wide[sorted->ndim - 1] = t->sizes[0];
    TRY(ranks, aten_expand(ranks, wide, sorted->ndim, false));
    if (!strcmp(how, "lower"))
        TRY(ranks, aten_floor(ranks));
    else if (!strcmp(how, "higher"))
        TRY(ranks, aten_ceil(ranks));
    else if (!strcmp(how, "nearest"))
        TRY(ranks, aten_round(ranks));
    TRY(below, aten_to_dtype(ranks, MT_INT64, false, false, MT_FORMAT_NONE));
    TRY(low, aten_gather(sorted, -1, below, false));
    if (!strcmp(how, "linear") || !strcmp(how, "midpoint")) {
        if (!strcmp(how, "midpoint")) {
            TRY(weight, aten_full_like(ranks, mt_v_float(0.5), MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE));
        } else
            TRY(weight, aten_sub_Tensor(ranks, below, mt_v_int(1)));
        TRY(above, aten_ceil(ranks));
        TRY(above, aten_to_dtype(above, MT_INT64, false, false, MT_FORMAT_NONE));
        TRY(high, aten_gather(sorted, -1, above, false));
        TRY(low, aten_lerp_Tensor(low, high, weight));
    }
    /* quantiles first, then the reduced shape */
    TRY(r, aten_movedim_int(low, -1, 0));
    memmove(shape + 1, shape, (size_t)ndim * sizeof *shape);
    shape[0] = t->sizes[0];
    TRY(r, aten_reshape(r, shape, ndim + 1));
    if (q->ndim == 0)
        TRY(r, aten_squeeze_dim(r, 0));
done:
    return finish(&b, r);
}

static mt_tensor *
quantile_of_number(mt_tensor *self, double q, mt_value dim, bool keepdim, const char *how, bool ignore_nan)
{
    if (!(q >= 0 && q <= 1))
        return mt_fail_null(MT_RUNTIME, "quantile() q must be in the range [0, 1] but got %g", q);
    mt_tensor *t = mt_scalar_tensor_f64(q, mt_is_floating((mt_dtype)self->dtype) ? (mt_dtype)self->dtype : mt_default_dtype, false);
    mt_tensor *r = t ? quantile(self, t, dim, keepdim, how, ignore_nan) : NULL;
    mt_xrelease(t);
    return r;
}

mt_tensor *
op_quantile(mt_tensor *self, mt_tensor *q, mt_value dim, bool keepdim, const char *interpolation)
{
    return quantile(self, q, dim, keepdim, interpolation, false);
}

mt_tensor *
op_quantile_scalar(mt_tensor *self, double q, mt_value dim, bool keepdim, const char *interpolation)
{
    return quantile_of_number(self, q, dim, keepdim, interpolation, false);
}

mt_tensor *
op_nanquantile(mt_tensor *self, mt_tensor *q, mt_value dim, bool keepdim, const char *interpolation)
{
    return quantile(self, q, dim, keepdim, interpolation, true);
}

mt_tensor *
op_nanquantile_scalar(mt_tensor *self, double q, mt_value dim, bool keepdim, const char *interpolation)
{
    return quantile_of_number(self, q, dim, keepdim, interpolation, true);
}

/* ---- covariance ------------------------------------------------------------------------------- */

static int
check_weights(const char *name, const mt_tensor *w, bool integral, int64_t n)
{
    if (w->ndim > 1)
        return mt_fail(MT_RUNTIME, "cov(): expected %s to have one or fewer dimensions but got %s with %d dimensions", name,
                       name, w->ndim);
    if (mt_is_integral((mt_dtype)w->dtype, false) != integral || (!integral && !mt_is_floating((mt_dtype)w->dtype)))
        return mt_fail(MT_RUNTIME, "cov(): expected %s to have %s dtype but got %s with %s dtype", name,
                       integral ? "integral" : "floating point", name, mt_dtypes[w->dtype].scalar_name);
    if (w->numel != n)
        return mt_fail(MT_RUNTIME, "cov(): expected %s to have the same numel as there are observations in the input but "
                                   "got %lld != %lld", name, (long long)w->numel, (long long)n);
    if (mt_is_meta(w))
        return 0;
    mt_tensor *bad = aten_lt_Scalar((mt_tensor *)w, mt_v_int(0)), *any = bad ? aten_any(bad) : NULL;
    int rc = !any ? -1 : *(uint8_t *)mt_data(any) ? mt_fail(MT_RUNTIME, "cov(): %s cannot be negative", name) : 0;
    mt_xrelease(bad);
    mt_xrelease(any);
    return rc;
}

mt_tensor *
op_cov(mt_tensor *self, int64_t correction, mt_tensor *fweights, mt_tensor *aweights)
{
    if (self->ndim > 2)
        return mt_fail_null(MT_RUNTIME, "cov(): expected input to have two or fewer dimensions but got an input with %d "
                                        "dimensions", self->ndim);
    if (self->dtype == MT_BOOL)
        return mt_fail_null(MT_RUNTIME, "cov(): bool dtype is not supported for input");
    bag b = {0};
    mt_tensor *x, *w = NULL, *sum = NULL, *mean, *xw, *norm, *r = NULL;
    const int64_t last = 1, one_row[] = {1, self->numel};
    TRY(x, self->ndim < 2 ? aten_reshape(self, one_row, 2) : mt_keep(self));
    int64_t n = x->sizes[1];
    if (fweights) {
        if (check_weights("fweights", fweights, true, n) < 0)
            goto done;
        w = fweights;
    }
    if (aweights) {
        if (check_weights("aweights", aweights, false, n) < 0)
            goto done;
        TRY(w, w ? aten_mul_Tensor(w, aweights) : mt_keep(aweights));
    }
    if (w)
        TRY(sum, aten_sum(w, MT_DTYPE_NONE));
    else
        TRY(sum, mt_scalar_tensor_i64(n, MT_INT64, false));
    if (w) {
        TRY(mean, aten_mul_Tensor(x, w));
        TRY(mean, aten_sum_dim_IntList(mean, &last, 1, true, MT_DTYPE_NONE));
        TRY(mean, aten_div_Tensor(mean, sum));
    } else {
        TRY(mean, aten_sum_dim_IntList(x, &last, 1, true, MT_DTYPE_NONE));
        TRY(mean, aten_div_Tensor(mean, sum));
    }
    if (w && aweights && correction != 0) {
        /* sum w - correction sum (w a) / sum w */
        TRY(norm, aten_mul_Tensor(w, aweights));
        TRY(norm, aten_sum(norm, MT_DTYPE_NONE));
        TRY(norm, times_number(norm, mt_v_int(correction)));
        TRY(norm, aten_div_Tensor(norm, sum));
        TRY(norm, aten_sub_Tensor(sum, norm, mt_v_int(1)));
    } else
        TRY(norm, minus_number(sum, mt_v_int(correction)));
    mt_tensor *negative, *zero;
    TRY(negative, aten_le_Scalar(norm, mt_v_int(0)));
    if (!mt_is_meta(negative) && *(uint8_t *)mt_data(negative)) {
        if (mt_warn(MT_WARN_USER, "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
                                  "observations.") < 0)
            goto done;
        TRY(zero, aten_zeros_like(norm, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE));
        norm = zero;
    }
    TRY(x, aten_sub_Tensor(x, mean, mt_v_int(1)));
    TRY(xw, w ? aten_mul_Tensor(x, w) : mt_keep(x));
    TRY(xw, aten_t(xw));
    TRY(xw, aten_conj(xw));
    if (xw->dtype != x->dtype) /* weights of a wider type */
        TRY(x, aten_to_dtype(x, (mt_dtype)xw->dtype, false, false, MT_FORMAT_NONE));
    TRY(r, aten_mm(x, xw));
    TRY(r, aten_div_Tensor(r, norm));
    TRY(r, aten_squeeze(r));
done:
    return finish(&b, r);
}

mt_tensor *
op_corrcoef(mt_tensor *self)
{
    if (self->ndim > 2)
        return mt_fail_null(MT_RUNTIME, "corrcoef(): expected input to have two or fewer dimensions but got an input with %d "
                                        "dimensions", self->ndim);
    bag b = {0};
    mt_tensor *c, *d, *row, *column, *r = NULL;
    TRY(c, aten_cov(self, 1, NULL, NULL));
    if (c->ndim == 0) {
        TRY(r, aten_div_Tensor(c, c));
        goto done;
    }
    TRY(d, aten_diagonal(c, 0, 0, 1));
    if (mt_is_complex((mt_dtype)d->dtype))
        TRY(d, aten_real(d));
    TRY(d, aten_sqrt(d));
    TRY(column, aten_unsqueeze(d, 1));
    TRY(row, aten_unsqueeze(d, 0));
    TRY(c, aten_div_Tensor(c, column));
    TRY(c, aten_div_Tensor(c, row));
    if (mt_is_complex((mt_dtype)c->dtype)) {
        mt_tensor *parts;
        TRY(parts, aten_view_as_real(c));
        TRY(parts, aten_clamp(parts, mt_v_int(-1), mt_v_int(1)));
        TRY(r, aten_view_as_complex(parts));
    } else
        TRY(r, aten_clamp(c, mt_v_int(-1), mt_v_int(1)));
done:
    return finish(&b, r);
}

/* ---- differences ------------------------------------------------------------------------------ */

/* Spacing of one dimension: a number, or the coordinates. */
typedef struct spacing {
    double step;
    mt_tensor *places;
} spacing;

static mt_tensor *
part(bag *b, mt_tensor *x, int64_t dim, int64_t start, int64_t length)
{
    return hold(b, aten_narrow(x, dim, start, length));
}

/* a x + b y + c z with weights that are numbers or tensors along the dimension. */
static mt_tensor *
difference(mt_tensor *x, int64_t dim, spacing h, int64_t edge)
{
    bag b = {0};
    int64_t n = x->sizes[dim];
    mt_tensor *first, *middle, *last, *t, *u, *r = NULL;
    if (!h.places) {
        mt_value inverse = mt_v_float(1 / h.step), half = mt_v_float(0.5 / h.step);
        if (edge == 1) {
            TRY(t, aten_sub_Tensor(part(&b, x, dim, 1, 1), part(&b, x, dim, 0, 1), mt_v_int(1)));
            TRY(u, aten_sub_Tensor(part(&b, x, dim, n - 1, 1), part(&b, x, dim, n - 2, 1), mt_v_int(1)));
            TRY(first, times_number(t, inverse));
            TRY(last, times_number(u, inverse));
        } else {
            TRY(t, times_number(part(&b, x, dim, 0, 1), mt_v_float(-1.5)));
            TRY(t, aten_add_Tensor(t, part(&b, x, dim, 1, 1), mt_v_int(2)));
            TRY(t, aten_add_Tensor(t, part(&b, x, dim, 2, 1), mt_v_float(-0.5)));
            TRY(first, times_number(t, inverse));
            TRY(t, times_number(part(&b, x, dim, n - 1, 1), mt_v_float(1.5)));
            TRY(t, aten_add_Tensor(t, part(&b, x, dim, n - 2, 1), mt_v_int(-2)));
            TRY(t, aten_add_Tensor(t, part(&b, x, dim, n - 3, 1), mt_v_float(0.5)));
            TRY(last, times_number(t, inverse));
        }
        TRY(t, aten_sub_Tensor(part(&b, x, dim, 2, n - 2), part(&b, x, dim, 0, n - 2), mt_v_int(1)));
        TRY(middle, times_number(t, half));
    } else {
        /* steps, shaped to broadcast along dim */
        int64_t shape[MT_MAX_DIMS];
        for (int d = 0; d < x->ndim; d++)
            shape[d] = 1;
        shape[dim] = n - 1;
        mt_tensor *steps, *l, *g, *sum, *wa, *wb, *wc;
        TRY(steps, aten_sub_Tensor(part(&b, h.places, 0, 1, n - 1), part(&b, h.places, 0, 0, n - 1), mt_v_int(1)));
        TRY(steps, aten_reshape(steps, shape, x->ndim));
        TRY(l, aten_narrow(steps, dim, 0, n - 2));
        TRY(g, aten_narrow(steps, dim, 1, n - 2));
        TRY(sum, aten_add_Tensor(l, g, mt_v_int(1)));
        /* -g / (l (l + g)), (g - l) / (l g), l / (g (l + g)) */
        TRY(wa, aten_div_Tensor(hold(&b, aten_neg(g)), hold(&b, aten_mul_Tensor(l, sum))));
        TRY(wb, aten_div_Tensor(hold(&b, aten_sub_Tensor(g, l, mt_v_int(1))), hold(&b, aten_mul_Tensor(l, g))));
        TRY(wc, aten_div_Tensor(l, hold(&b, aten_mul_Tensor(g, sum))));
        TRY(middle, aten_mul_Tensor(part(&b, x, dim, 0, n - 2), wa));
        TRY(middle, aten_add_Tensor(middle, hold(&b, aten_mul_Tensor(part(&b, x, dim, 1, n - 2), wb)), mt_v_int(1)));
        TRY(middle, aten_add_Tensor(middle, hold(&b, aten_mul_Tensor(part(&b, x, dim, 2, n - 2), wc)), mt_v_int(1)));
        mt_tensor *ends[2];
        for (int e = 0; e < 2; e++) {
            int64_t at = e ? n - 2 : 0, sign = e ? -1 : 1, base = e ? n - 1 : 0;
            mt_tensor *s1, *s2, *d1, *d2;
            TRY(s1, aten_narrow(steps, dim, at, 1));
            TRY(d1, aten_sub_Tensor(part(&b, x, dim, at + 1, 1), part(&b, x, dim, at, 1), mt_v_int(1)));
            TRY(d1, aten_div_Tensor(d1, s1)); /* slope of the outer step */
            if (edge == 1) {
                ends[e] = d1;
                continue;
            }
            /* the parabola through three points: slope + (slope - next slope) s1 / (s1 + s2) */
            TRY(s2, aten_narrow(steps, dim, at + sign, 1));
            TRY(d2, aten_sub_Tensor(part(&b, x, dim, at + sign + 1, 1), part(&b, x, dim, at + sign, 1), mt_v_int(1)));
            TRY(d2, aten_div_Tensor(d2, s2));
            TRY(d2, aten_sub_Tensor(d1, d2, mt_v_int(1)));
            TRY(s2, aten_add_Tensor(s1, s2, mt_v_int(1)));
            TRY(s2, aten_div_Tensor(s1, s2));
            TRY(d2, aten_mul_Tensor(d2, s2));
            TRY(ends[e], aten_add_Tensor(d1, d2, mt_v_int(1)));
            (void)base;
        }
        first = ends[0];
        last = ends[1];
    }
    mt_tensor *all[] = {first, middle, last};
    TRY(r, aten_cat(all, 3, dim));
done:
    return finish(&b, r);
}

static int
gradients(mt_tensor *self, const spacing *h, const int64_t *dim, int64_t n, int64_t edge, mt_list *ret)
{
    int64_t dims[MT_MAX_DIMS];
    if (edge != 1 && edge != 2)
        return mt_fail(MT_RUNTIME, "torch.gradient only supports edge_order=1 and edge_order=2.");
    if (n > MT_MAX_DIMS)
        return mt_fail(MT_RUNTIME, "torch.gradient: too many dimensions");
    for (int64_t i = 0; i < n; i++) {
        int d = dim ? mt_wrap_dim(dim[i], self->ndim) : (int)i;
        if (d < 0)
            return -1;
        for (int64_t k = 0; k < i; k++)
            if (dims[k] == d)
                return mt_fail(MT_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        dims[i] = d;
        if (self->ndim == 0 || self->sizes[d] < edge + 1)
            return mt_fail(MT_RUNTIME, "torch.gradient expected each dimension size to be at least edge_order+1");
        if (h[i].places && (h[i].places->ndim != 1 || h[i].places->sizes[0] != self->sizes[d]))
            return mt_fail(MT_RUNTIME, "torch.gradient expected each tensor in spacing to have the same length as the "
                                       "corresponding dimension of self.");
    }
    *ret = mt_list_new(n);
    if (n && !ret->items)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (!(ret->items[i] = difference(self, dims[i], h[i], edge))) {
            mt_list_free(ret);
            return -1;
        }
    return 0;
}

/* Numbers or tensors per dimension, all dimensions without `dim`. */
static int
gradients_of(mt_tensor *self, const mt_value *numbers, mt_tensor *const *places, int64_t given, bool one,
             const int64_t *dim, int64_t dim_n, int64_t edge, mt_list *ret)
{
    spacing h[MT_MAX_DIMS];
    int64_t n = dim ? dim_n : self->ndim;
    if (!one && given != n)
        return mt_fail(MT_RUNTIME, "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
                                   "equal to 'self.dim() = %d', but got a list of length %lld", self->ndim, (long long)given);
    for (int64_t i = 0; i < n && i < MT_MAX_DIMS; i++)
        h[i] = (spacing){numbers ? mt_scalar_f64(numbers[one ? 0 : i]) : 1, places ? places[one ? 0 : i] : NULL};
    return gradients(self, h, dim, n, edge, ret);
}

int
op_gradient_scalarint(mt_tensor *self, mt_scalar spacing_, mt_value dim, int64_t edge_order, mt_list *ret)
{
    mt_value step = mt_is_none(spacing_) ? mt_v_int(1) : spacing_;
    return gradients_of(self, &step, NULL, 1, true, mt_is_none(dim) ? NULL : &dim.u.i, 1, edge_order, ret);
}

int
op_gradient_scalararray(mt_tensor *self, mt_scalar spacing_, const int64_t *dim, int64_t dim_n, int64_t edge_order, mt_list *ret)
{
    return gradients_of(self, &spacing_, NULL, 1, true, dim, dim_n, edge_order, ret);
}

int
op_gradient_array(mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t edge_order, mt_list *ret)
{
    mt_value step = mt_v_int(1);
    return gradients_of(self, &step, NULL, 1, true, dim, dim_n, edge_order, ret);
}

int
op_gradient_scalarrayint(mt_tensor *self, const mt_value *steps, int64_t steps_n, mt_value dim, int64_t edge_order, mt_list *ret)
{
    return gradients_of(self, steps, NULL, steps_n, false, mt_is_none(dim) ? NULL : &dim.u.i, 1, edge_order, ret);
}

int
op_gradient_scalarrayarray(mt_tensor *self, const mt_value *steps, int64_t steps_n, const int64_t *dim, int64_t dim_n,
                           int64_t edge_order, mt_list *ret)
{
    return gradients_of(self, steps, NULL, steps_n, false, dim, dim_n, edge_order, ret);
}

int
op_gradient_tensorarrayint(mt_tensor *self, mt_tensor *const *places, int64_t places_n, mt_value dim, int64_t edge_order,
                           mt_list *ret)
{
    return gradients_of(self, NULL, places, places_n, false, mt_is_none(dim) ? NULL : &dim.u.i, 1, edge_order, ret);
}

int
op_gradient_tensorarray(mt_tensor *self, mt_tensor *const *places, int64_t places_n, const int64_t *dim, int64_t dim_n,
                        int64_t edge_order, mt_list *ret)
{
    return gradients_of(self, NULL, places, places_n, false, dim, dim_n, edge_order, ret);
}
