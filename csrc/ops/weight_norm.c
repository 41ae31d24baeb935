/* Norms of weights: renorm and weight norm. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* All dimensions but one, in `dims`. */
static int64_t
others(const mt_tensor *t, int dim, int64_t *dims)
{
    int64_t n = 0;
    for (int d = 0; d < t->ndim; d++)
        if (d != dim)
            dims[n++] = d;
    return n;
}

static mt_tensor *
with_number(mt_tensor *(*f)(mt_tensor *, mt_tensor *), mt_tensor *t, double value)
{
    mt_tensor *s = mt_wrap_scalar(mt_v_float(value)), *r = s ? f(t, s) : NULL;
    mt_xrelease(s);
    return r;
}

static mt_tensor *
plus(mt_tensor *a, mt_tensor *b)
{
    return aten_add_Tensor(a, b, mt_v_int(1));
}

/* ---- renorm ------------------------------------------------------------------------------- */

/* Norms of the sub-tensors, which are too long, and 1 / (norm + 1e-7). */
static int
measure(mt_tensor *self, mt_scalar p, int64_t dim, mt_scalar maxnorm, mt_tensor **norm, mt_tensor **over,
        mt_tensor **inverse)
{
    int64_t dims[MT_MAX_DIMS];
    *norm = *over = *inverse = NULL;
    if (p.tag == MT_V_COMPLEX)
        return mt_fail(MT_RUNTIME, "renorm: p must be real-valued");
    if (!(mt_scalar_f64(p) > 0))
        return mt_fail(MT_RUNTIME, "renorm: non-positive-norm not supported");
    if (maxnorm.tag == MT_V_COMPLEX)
        return mt_fail(MT_RUNTIME, "renorm: maxnorm must be real-valued");
    if (!(mt_scalar_f64(maxnorm) >= 0))
        return mt_fail(MT_RUNTIME, "renorm: expected maxnorm to be >= 0 but got %g", mt_scalar_f64(maxnorm));
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "renorm: input needs at least 2 dimensions, got %d dimensions", self->ndim);
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    int64_t n = others(self, d, dims);
    mt_tensor *more = NULL;
    if ((*norm = aten_linalg_vector_norm(self, p, dims, n, true, MT_DTYPE_NONE)) &&
        (*over = with_number(aten_gt_Tensor, *norm, mt_scalar_f64(maxnorm))) &&
        (more = with_number(plus, *norm, 1e-7)))
        *inverse = aten_reciprocal(more);
    mt_xrelease(more);
    return *inverse ? 0 : -1;
}

mt_tensor *
op_renorm(mt_tensor *self, mt_scalar p, int64_t dim, mt_scalar maxnorm)
{
    mt_tensor *norm, *over, *inverse, *scale = NULL, *one = NULL, *factor = NULL, *r = NULL;
    if (measure(self, p, dim, maxnorm, &norm, &over, &inverse) == 0 &&
        (scale = with_number(aten_mul_Tensor, inverse, mt_scalar_f64(maxnorm))) &&
        (one = aten_ones_like(scale, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE)) &&
        (factor = aten_where_self(over, scale, one)))
        r = aten_mul_Tensor(self, factor);
    mt_tensor *made[] = {norm, over, inverse, scale, one, factor};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

int
op_renorm_(mt_tensor *self, mt_scalar p, int64_t dim, mt_scalar maxnorm)
{
    mt_tensor *r = aten_renorm(self, p, dim, maxnorm);
    int rc = r ? aten_copy_(self, r, false) : -1;
    mt_xrelease(r);
    return rc;
}

mt_tensor *
op__renorm_backward(mt_tensor *grad, mt_tensor *self, mt_scalar p, int64_t dim, mt_scalar maxnorm)
{
    int64_t dims[MT_MAX_DIMS], n = others(self, mt_wrap_dim(dim, self->ndim), dims);
    mt_tensor *norm, *over, *inverse, *product = NULL, *sum = NULL, *slope = NULL, *part = NULL, *less = NULL,
                                      *scaled = NULL, *result = NULL, *r = NULL;
    if (measure(self, p, dim, maxnorm, &norm, &over, &inverse) == 0 && (product = aten_mul_Tensor(self, grad)) &&
        (sum = aten_sum_dim_IntList(product, dims, n, true, MT_DTYPE_NONE)) &&
        (slope = aten__norm_backward(sum, self, p, norm, dims, n, true)) && (part = aten_mul_Tensor(inverse, slope)) &&
        (less = aten_sub_Tensor(grad, part, mt_v_int(1))) && (scaled = aten_mul_Tensor(less, inverse)) &&
        (result = with_number(aten_mul_Tensor, scaled, mt_scalar_f64(maxnorm))))
        r = aten_where_self(over, result, grad);
    mt_tensor *made[] = {norm, over, inverse, product, sum, slope, part, less, scaled, result};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

/* ---- weight norm -------------------------------------------------------------------------- */

mt_tensor *
op_norm_except_dim(mt_tensor *v, int64_t pow, int64_t dim)
{
    int64_t dims[MT_MAX_DIMS];
    if (dim == -1)
        return aten_norm_Scalar(v, mt_v_int(pow));
    int d = mt_wrap_dim(dim, v->ndim);
    if (d < 0)
        return NULL;
    int64_t n = others(v, d, dims);
    if (n == 0)
        return aten_abs(v);
    return aten_norm_ScalarOpt_dim(v, mt_v_int(pow), dims, n, true);
}

mt_tensor *
op__weight_norm(mt_tensor *v, mt_tensor *g, int64_t dim)
{
    mt_tensor *w = NULL, *norms = NULL, *factor = NULL;
    if ((dim == 0 || dim == v->ndim - 1) && v->dtype == g->dtype) {
        mt_tensor *a = aten_contiguous(v, MT_CONTIGUOUS), *b = a ? aten_contiguous(g, MT_CONTIGUOUS) : NULL;
        if (b)
            aten__weight_norm_interface(a, b, dim, &w, &norms);
        mt_xrelease(a);
        mt_xrelease(b);
        mt_xrelease(norms);
        return w;
    }
    if ((norms = aten_norm_except_dim(v, 2, dim)) && (factor = aten_div_Tensor(g, norms)))
        w = aten_mul_Tensor(v, factor);
    mt_xrelease(norms);
    mt_xrelease(factor);
    return w;
}

int
op__weight_norm_interface(mt_tensor *v, mt_tensor *g, int64_t dim, mt_tensor **ret0, mt_tensor **ret1)
{
    mt_tensor *norms = aten_norm_except_dim(v, 2, dim), *factor = norms ? aten_div_Tensor(g, norms) : NULL;
    *ret0 = factor ? aten_mul_Tensor(v, factor) : NULL;
    *ret1 = *ret0 ? mt_keep(norms) : NULL;
    mt_xrelease(norms);
    mt_xrelease(factor);
    return *ret1 ? 0 : -1;
}

/* w = v g / |v|:  dg = sum(dw v) / |v|,  dv = g / |v| (dw - v sum(dw v) / |v|^2). */
int
op__weight_norm_interface_backward(mt_tensor *grad, mt_tensor *v, mt_tensor *g, mt_tensor *saved, int64_t dim,
                                   mt_tensor **ret0, mt_tensor **ret1)
{
    int64_t dims[MT_MAX_DIMS], n = others(v, mt_wrap_dim(dim, v->ndim), dims);
    bool again = mt_this_thread()->grad_mode && mt_requires_grad(v); /* the saved norms are constants */
    mt_tensor *norms = again ? aten_norm_except_dim(v, 2, dim) : mt_keep(saved), *unit = NULL, *product = NULL;
    mt_tensor *sum = NULL, *part = NULL, *less = NULL, *factor = NULL;
    *ret0 = *ret1 = NULL;
    if (norms && (unit = aten_div_Tensor(v, norms)) && (product = aten_mul_Tensor(grad, unit)) &&
        (sum = n ? aten_sum_dim_IntList(product, dims, n, true, MT_DTYPE_NONE) : mt_keep(product)) &&
        (part = aten_mul_Tensor(unit, sum)) && (less = aten_sub_Tensor(grad, part, mt_v_int(1))) &&
        (factor = aten_div_Tensor(g, norms)) && (*ret0 = aten_mul_Tensor(less, factor)))
        *ret1 = mt_keep(sum);
    mt_tensor *made[] = {norms, unit, product, sum, part, less, factor};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return *ret1 ? 0 : -1;
}
