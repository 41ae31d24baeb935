/* Norms, ranks, powers and other functions of matrices, most of them made of other operators. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "kernels/gemm.h"
#include "ops/lapack.h"
#include "ops/linalg.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

static mt_dtype
real_dtype(const mt_tensor *t)
{
    mt_dtype d = (mt_dtype)t->dtype;
    return mt_is_complex(d) ? mt_dtypes[d].to_real : d;
}

/* ---- tolerances ------------------------------------------------------------------------------- */

static double
default_rtol(const mt_tensor *a)
{
    return (real_dtype(a) == MT_FLOAT64 ? DBL_EPSILON : (double)FLT_EPSILON) *
           (double)MT_MAX(mt_rows(a), mt_columns(a));
}

/* Tolerances as tensors: rtol is the default unless a positive atol is given. */
static int
tolerances(bag *b, mt_tensor *input, mt_tensor *atol, mt_tensor *rtol, const char *who, mt_tensor **a,
           mt_tensor **r)
{
    const mt_tensor *given[] = {atol, rtol};
    for (int i = 0; i < 2; i++)
        if (given[i] && mt_is_complex((mt_dtype)given[i]->dtype))
            return mt_fail(MT_RUNTIME, "%s: %s tensor of complex type is not supported. Got %s", who,
                           i ? "rtol" : "atol", mt_dtypes[given[i]->dtype].scalar_name);
    mt_dtype t = real_dtype(input);
    *a = atol ? mt_keep(atol) : aten_full(NULL, 0, mt_v_float(0), t, -1, input->device, mt_v_none());
    if (!hold(b, *a))
        return -1;
    if (rtol) {
        *r = hold(b, mt_keep(rtol));
        return 0;
    }
    mt_tensor *base = hold(b, aten_full(NULL, 0, mt_v_float(default_rtol(input)), t, -1, input->device, mt_v_none()));
    mt_tensor *zero = base ? hold(b, aten_zeros_like(base, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE)) : NULL;
    mt_tensor *positive = zero ? hold(b, aten_gt_Scalar(*a, mt_v_int(0))) : NULL;
    *r = positive ? hold(b, aten_where_self(positive, zero, base)) : NULL;
    return *r ? 0 : -1;
}

static mt_tensor *
number(mt_value v, const mt_tensor *like)
{
    return aten_full(NULL, 0, v, real_dtype(like), -1, like->device, mt_v_none());
}

static int
check_pinv(const mt_tensor *self)
{
    mt_dtype d = (mt_dtype)self->dtype;
    if (self->ndim < 2 || mt_is_half(d) || !(mt_is_floating(d) || mt_is_complex(d)))
        return mt_fail(MT_RUNTIME, "linalg.pinv(%s{%s}): expected a tensor with 2 or more dimensions of float, "
                                   "double, cfloat or cdouble types", mt_dtypes[d].scalar_name, mt_shape_str(self));
    return 0;
}

mt_tensor *
op_linalg_pinv_atol_rtol_tensor(mt_tensor *self, mt_tensor *atol, mt_tensor *rtol, bool hermitian)
{
    bag b = {0};
    mt_tensor *a, *r, *result = NULL;
    if (check_pinv(self) < 0)
        return NULL;
    if (self->numel == 0) {
        mt_shape s = mt_batch_shape(self, 2, 2, mt_columns(self), mt_rows(self));
        return aten_zeros(s.sizes, s.ndim, (mt_dtype)self->dtype, -1, self->device, mt_v_none());
    }
    if (tolerances(&b, self, atol, rtol, "torch.linalg.pinv", &a, &r) == 0)
        TRY(result, aten__pinv_value(self, a, r, hermitian));
done:
    return finish(&b, result);
}

mt_tensor *
op_linalg_pinv_atol_rtol_float(mt_tensor *self, mt_value atol, mt_value rtol, bool hermitian)
{
    bag b = {0};
    mt_tensor *a = NULL, *r = NULL, *result = NULL;
    if (check_pinv(self) < 0)
        return NULL;
    if (!mt_is_none(atol))
        TRY(a, number(atol, self));
    if (!mt_is_none(rtol))
        TRY(r, number(rtol, self));
    TRY(result, aten_linalg_pinv_atol_rtol_tensor(self, a, r, hermitian));
done:
    return finish(&b, result);
}

mt_tensor *
op_linalg_matrix_rank_atol_rtol_tensor(mt_tensor *input, mt_tensor *atol, mt_tensor *rtol, bool hermitian)
{
    static const char who[] = "torch.linalg.matrix_rank";
    bag b = {0};
    mt_tensor *a, *r, *s, *top, *limit, *large, *result = NULL;
    if (mt_check_matrix(input, who, "input") < 0)
        return NULL;
    if (tolerances(&b, input, atol, rtol, who, &a, &r) < 0)
        goto done;
    if (input->numel == 0) {
        TRY(result, aten_zeros(input->sizes, input->ndim - 2, MT_INT64, -1, input->device, mt_v_none()));
        goto done;
    }
    if (hermitian) {
        TRY(s, aten_linalg_eigvalsh(input, "L"));
        TRY(s, aten_abs(s));
    } else
        TRY(s, aten_linalg_svdvals(input, NULL));
    TRY(top, aten_amax(s, (const int64_t[]){-1}, 1, false));
    TRY(limit, aten_mul_Tensor(r, top));
    TRY(limit, aten_maximum(a, limit));
    TRY(limit, aten_unsqueeze(limit, -1));
    TRY(large, aten_gt_Tensor(s, limit));
    TRY(result, aten_sum_dim_IntList(large, (const int64_t[]){-1}, 1, false, MT_DTYPE_NONE));
done:
    return finish(&b, result);
}

mt_tensor *
op_linalg_matrix_rank_atol_rtol_float(mt_tensor *self, mt_value atol, mt_value rtol, bool hermitian)
{
    bag b = {0};
    mt_tensor *a = NULL, *r = NULL, *result = NULL;
    if (mt_check_matrix(self, "torch.linalg.matrix_rank", "input") < 0)
        return NULL;
    if (!mt_is_floating((mt_dtype)self->dtype) && !mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "This function doesn't handle types other than float and double");
    if (!mt_is_none(atol))
        TRY(a, number(atol, self));
    if (!mt_is_none(rtol))
        TRY(r, number(rtol, self));
    TRY(result, aten_linalg_matrix_rank_atol_rtol_tensor(self, a, r, hermitian));
done:
    return finish(&b, result);
}

/* ---- norms ------------------------------------------------------------------------------------ */

static int
check_dtype(const mt_tensor *self, mt_dtype dtype, const char *who)
{
    if (dtype == MT_DTYPE_NONE)
        return 0;
    mt_dtype own = (mt_dtype)self->dtype;
    if (!mt_is_floating(dtype) && !mt_is_complex(dtype))
        return mt_fail(MT_RUNTIME, "%s: dtype should be floating point or complex, but got %s", who,
                       mt_dtypes[dtype].scalar_name);
    if (mt_is_complex(own) != mt_is_complex(dtype))
        return mt_fail(MT_RUNTIME, "%s: dtype should be %s for %s inputs, but got %s", who,
                       mt_is_complex(own) ? "complex" : "real", mt_is_complex(own) ? "complex" : "real",
                       mt_dtypes[dtype].scalar_name);
    if (mt_promote(own, dtype) != dtype)
        return mt_fail(MT_RUNTIME, "%s: the dtype of the input (%s) should be convertible without narrowing to "
                                   "the specified dtype (%s)", who, mt_dtypes[own].scalar_name,
                       mt_dtypes[dtype].scalar_name);
    return 0;
}

/* Checks of a matrix norm; dims are wrapped. */
static int
check_norm(mt_tensor *self, const int64_t *dim, int64_t dim_n, int *dims)
{
    static const char who[] = "linalg.matrix_norm";
    if (mt_check_matrix(self, who, "A") < 0 || mt_check_inexact(self, who, false) < 0)
        return -1;
    if (dim_n != 2) {
        char text[128];
        size_t at = 0;
        text[0] = 0;
        for (int64_t i = 0; i < dim_n && at < sizeof text - 24; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%lld", i ? ", " : "", (long long)dim[i]);
        return mt_fail(MT_RUNTIME, "linalg.matrix_norm: dim must be a 2-tuple. Got %s", text);
    }
    for (int i = 0; i < 2; i++)
        if ((dims[i] = mt_wrap_dim(dim[i], self->ndim)) < 0)
            return -1;
    if (dims[0] == dims[1])
        return mt_fail(MT_RUNTIME, "linalg.matrix_norm: dims must be different. Got (%lld, %lld)",
                       (long long)dim[0], (long long)dim[1]);
    return 0;
}

/* The two dimensions moved to the end. */
static mt_tensor *
matrices_last(mt_tensor *self, const int *dims)
{
    int64_t order[MT_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < self->ndim; d++)
        if (d != dims[0] && d != dims[1])
            order[n++] = d;
    order[n++] = dims[0];
    order[n++] = dims[1];
    return aten_permute(self, order, n);
}

/* Puts the reduced dimensions back as 1. */
static mt_tensor *
with_ones(mt_tensor *r, const int *dims, bool keepdim)
{
    if (!keepdim)
        return mt_keep(r);
    int first = MT_MIN(dims[0], dims[1]), second = MT_MAX(dims[0], dims[1]);
    mt_tensor *t = aten_unsqueeze(r, first), *u = t ? aten_unsqueeze(t, second) : NULL;
    mt_xrelease(t);
    return u;
}

/* The norm by singular values: their sum (0), the largest (1) or the smallest (-1). */
static mt_tensor *
spectral_norm(mt_tensor *self, const int *dims, bool keepdim, mt_dtype dtype, int which)
{
    bag b = {0};
    mt_tensor *x, *s, *r = NULL;
    TRY(x, dtype == MT_DTYPE_NONE || dtype == self->dtype
               ? mt_keep(self)
               : aten_to_dtype(self, dtype, false, false, MT_FORMAT_NONE));
    TRY(x, matrices_last(x, dims));
    TRY(s, aten_linalg_svdvals(x, NULL));
    const int64_t last = -1;
    TRY(r, which == 0 || (which > 0 && mt_size_at(s, -1) == 0) ? aten_sum_dim_IntList(s, &last, 1, false, MT_DTYPE_NONE)
           : which > 0 ? aten_amax(s, &last, 1, false)
                       : aten_amin(s, &last, 1, false));
    TRY(r, with_ones(r, dims, keepdim));
done:
    return finish(&b, r);
}

mt_tensor *
op_linalg_matrix_norm_str_ord(mt_tensor *self, const char *ord, const int64_t *dim, int64_t dim_n, bool keepdim,
                              mt_dtype dtype)
{
    int dims[2];
    if (check_norm(self, dim, dim_n, dims) < 0)
        return NULL;
    if (strcmp(ord, "fro") && strcmp(ord, "nuc"))
        return mt_fail_null(MT_RUNTIME, "linalg.matrix_norm: Order %s not supported.", ord);
    if (!strcmp(ord, "fro"))
        return aten_linalg_vector_norm(self, mt_v_int(2), dim, dim_n, keepdim, dtype);
    if (check_dtype(self, dtype, "linalg.matrix_norm") < 0 ||
        mt_check_inexact(self, "linalg.matrix_norm", true) < 0)
        return NULL;
    return spectral_norm(self, dims, keepdim, dtype, 0);
}

mt_tensor *
op_linalg_matrix_norm(mt_tensor *self, mt_scalar ord, const int64_t *dim, int64_t dim_n, bool keepdim, mt_dtype dtype)
{
    int dims[2];
    if (check_norm(self, dim, dim_n, dims) < 0)
        return NULL;
    double p = mt_scalar_f64(ord), size = fabs(p);
    if (size != 1 && size != 2 && !isinf(p))
        return mt_fail_null(MT_RUNTIME, "linalg.matrix_norm: Order %g not supported.", p);
    if (check_dtype(self, dtype, "linalg.matrix_norm") < 0)
        return NULL;
    if (size == 2) {
        if (mt_check_inexact(self, "linalg.matrix_norm", true) < 0)
            return NULL;
        return spectral_norm(self, dims, keepdim, dtype, p > 0 ? 1 : -1);
    }
    /* 1: sums of columns, inf: of rows */
    bag b = {0};
    mt_tensor *s, *r = NULL;
    int64_t sum = isinf(p) ? dims[1] : dims[0], extreme = isinf(p) ? dims[0] : dims[1];
    if (!keepdim && extreme > sum)
        extreme--;
    TRY(s, aten_linalg_vector_norm(self, mt_v_int(1), &sum, 1, keepdim, dtype));
    if (p > 0 && s->numel == 0 && s->sizes[extreme] == 0) {
        /* no vectors: the largest of no norms is 0 */
        const int64_t sizes[] = {extreme};
        TRY(r, aten_sum_dim_IntList(s, sizes, 1, keepdim, MT_DTYPE_NONE));
    } else
        TRY(r, p > 0 ? aten_amax(s, &extreme, 1, keepdim) : aten_amin(s, &extreme, 1, keepdim));
done:
    return finish(&b, r);
}

mt_tensor *
op_linalg_norm(mt_tensor *self, mt_scalar ord, const int64_t *dim, int64_t dim_n, bool keepdim, mt_dtype dtype)
{
    if (dim && dim_n != 1 && dim_n != 2)
        return mt_fail_null(MT_RUNTIME, "linalg.norm: If dim is specified, it must be of length 1 or 2. Got %s",
                            mt_str_ints(dim, dim_n));
    if (!dim && !mt_is_none(ord) && self->ndim != 1 && self->ndim != 2)
        return mt_fail_null(MT_RUNTIME, "linalg.norm: If dim is not specified but ord is, the input must be 1D or "
                                        "2D. Got %dD.", self->ndim);
    if (!mt_is_none(ord) && ((dim && dim_n == 2) || (!dim && self->ndim == 2)))
        return aten_linalg_matrix_norm(self, ord, dim ? dim : (const int64_t[]){0, 1}, 2, keepdim, dtype);
    return aten_linalg_vector_norm(self, mt_is_none(ord) ? mt_v_int(2) : ord, dim, dim_n, keepdim, dtype);
}

mt_tensor *
op_linalg_norm_ord_str(mt_tensor *self, const char *ord, const int64_t *dim, int64_t dim_n, bool keepdim,
                       mt_dtype dtype)
{
    if (dim && dim_n != 1 && dim_n != 2)
        return mt_fail_null(MT_RUNTIME, "linalg.norm: If dim is specified, it must be of length 1 or 2. Got %s",
                            mt_str_ints(dim, dim_n));
    if (!dim && self->ndim != 1 && self->ndim != 2)
        return mt_fail_null(MT_RUNTIME, "linalg.norm: If dim is not specified but ord is, the input must be 1D or "
                                        "2D. Got %dD.", self->ndim);
    return aten_linalg_matrix_norm_str_ord(self, ord, dim ? dim : (const int64_t[]){0, 1}, dim ? dim_n : 2, keepdim,
                                           dtype);
}

mt_tensor *
op_frobenius_norm_dim(mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    if (dim_n > 2)
        return mt_fail_null(MT_RUNTIME, "Expected at most 2 dimensions, but got %lld dimensions instead.",
                            (long long)dim_n);
    return aten_linalg_vector_norm(self, mt_v_int(2), dim, dim_n, keepdim, MT_DTYPE_NONE);
}

/* ---- condition numbers ------------------------------------------------------------------------ */

/* p NULL: the number. */
static mt_tensor *
condition(mt_tensor *self, mt_scalar p, const char *name)
{
    bag b = {0};
    mt_tensor *inverse, *info, *x, *y, *nan, *r = NULL;
    const int64_t dims[] = {-2, -1};
    if (name ? strcmp(name, "fro") && strcmp(name, "nuc")
             : fabs(mt_scalar_f64(p)) != 1 && fabs(mt_scalar_f64(p)) != 2 && !isinf(mt_scalar_f64(p)))
        return name ? mt_fail_null(MT_RUNTIME, "linalg.cond got an invalid norm type: %s", name)
                    : mt_fail_null(MT_RUNTIME, "linalg.cond got an invalid norm type: %g", mt_scalar_f64(p));
    const char *who = name ? mt_str("linalg.cond(ord=%s)", name) : mt_str("linalg.cond(ord=%g)", mt_scalar_f64(p));
    if (mt_check_square(self, who) < 0 || mt_check_inexact(self, "linalg.cond", false) < 0)
        return NULL;
    if (self->numel == 0)
        return aten_zeros(self->sizes, self->ndim - 2, real_dtype(self), -1, self->device, mt_v_none());
    if (aten_linalg_inv_ex(self, false, &inverse, &info) < 0)
        return NULL;
    hold(&b, inverse);
    hold(&b, info);
    TRY(x, name ? aten_linalg_matrix_norm_str_ord(self, name, dims, 2, false, MT_DTYPE_NONE)
                : aten_linalg_matrix_norm(self, p, dims, 2, false, MT_DTYPE_NONE));
    TRY(y, name ? aten_linalg_matrix_norm_str_ord(inverse, name, dims, 2, false, MT_DTYPE_NONE)
                : aten_linalg_matrix_norm(inverse, p, dims, 2, false, MT_DTYPE_NONE));
    TRY(x, aten_mul_Tensor(x, y));
    TRY(nan, aten_isnan(x));
    TRY(r, aten_masked_fill_Scalar(x, nan, mt_v_float(INFINITY)));
done:
    return finish(&b, r);
}

mt_tensor *
op_linalg_cond(mt_tensor *self, mt_scalar p)
{
    if (self->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "linalg.cond: The input tensor must have at least 2 dimensions.");
    if (!mt_is_none(p) && fabs(mt_scalar_f64(p)) != 2)
        return condition(self, p, NULL);
    if (mt_check_inexact(self, "linalg.svd", false) < 0)
        return NULL;
    if (self->numel == 0)
        return aten_zeros(self->sizes, self->ndim - 2, real_dtype(self), -1, self->device, mt_v_none());
    bag b = {0};
    mt_tensor *s, *most, *least, *r = NULL;
    TRY(s, aten_linalg_svdvals(self, NULL));
    TRY(most, aten_narrow(s, -1, 0, 1));
    TRY(least, aten_narrow(s, -1, -1, 1));
    bool inverse = !mt_is_none(p) && mt_scalar_f64(p) < 0;
    TRY(r, aten_div_Tensor(inverse ? least : most, inverse ? most : least));
    TRY(r, aten_squeeze_dim(r, -1));
done:
    return finish(&b, r);
}

mt_tensor *
op_linalg_cond_p_str(mt_tensor *self, const char *p)
{
    if (self->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "linalg.cond: The input tensor must have at least 2 dimensions.");
    return condition(self, mt_v_none(), p);
}

/* ---- the exponential -------------------------------------------------------------------------- */

int
linalg_matrix_exp_meta(mt_call *call, mt_tensor *self)
{
    if (mt_check_square(self, "linalg.matrix_exp") < 0 || mt_check_inexact(self, "linalg.matrix_exp", false) < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

/* out += c * x over n real numbers. */
static void
add_scaled(mt_dtype t, void *out, const void *x, double c, int64_t n)
{
    if (t == MT_FLOAT32 || t == MT_COMPLEX64)
        for (int64_t i = 0; i < n; i++)
            ((float *)out)[i] += (float)c * ((const float *)x)[i];
    else
        for (int64_t i = 0; i < n; i++)
            ((double *)out)[i] += c * ((const double *)x)[i];
}

static double
real_at(mt_dtype t, const void *x, int64_t i)
{
    return t == MT_FLOAT32 || t == MT_COMPLEX64 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static void
add_diagonal(mt_dtype t, void *x, double c, int64_t n)
{
    int64_t parts = mt_is_complex(t) ? 2 : 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i * (n + 1) * parts;
        if (t == MT_FLOAT32 || t == MT_COMPLEX64)
            ((float *)x)[at] += (float)c;
        else
            ((double *)x)[at] += c;
    }
}

/* The largest sum of a column. */
static double
one_norm(mt_dtype t, const void *a, int64_t n)
{
    int64_t parts = mt_is_complex(t) ? 2 : 1;
    double most = 0;
    for (int64_t c = 0; c < n; c++) {
        double sum = 0;
        for (int64_t r = 0; r < n; r++) {
            int64_t at = (r * n + c) * parts;
            sum += parts == 2 ? hypot(real_at(t, a, at), real_at(t, a, at + 1)) : fabs(real_at(t, a, at));
        }
        if (!(sum <= most))
            most = sum;
    }
    return most;
}

/* exp(a) by scaling and squaring: the Taylor polynomial of degree 16 of a / 2^s, whose norm is at
 * most 3/4, so that the rest is below 2^-55 of it, in six products (Paterson and Stockmeyer). */
static int
exponential(mt_dtype t, void *a, void *out, int64_t n, char *room, size_t bytes)
{
    int64_t reals = n * n * (mt_is_complex(t) ? 2 : 1);
    double norm = one_norm(t, a, n);
    void *a2 = room, *a3 = room + bytes, *a4 = room + 2 * bytes, *swap = room + 3 * bytes;
    int squarings = 0;
    if (!isfinite(norm)) {
        for (int64_t i = 0; i < reals; i++)
            if (t == MT_FLOAT32 || t == MT_COMPLEX64)
                ((float *)out)[i] = NAN;
            else
                ((double *)out)[i] = NAN;
        return 0;
    }
    if (norm > 0.75) {
        squarings = (int)ceil(log2(norm / 0.75));
        double scale = ldexp(1, -squarings);
        memcpy(swap, a, bytes);
        memset(a, 0, bytes);
        add_scaled(t, a, swap, scale, reals);
    }
#define PRODUCT(to, x, y)                                                                          \
    if (mt_gemm(t, MT_TRANS_N, MT_TRANS_N, n, n, n, MT_COEF(1), x, n, y, n, MT_COEF(0), to, n) < 0) \
    return -1
    PRODUCT(a2, a, a);
    PRODUCT(a3, a, a2);
    PRODUCT(a4, a2, a2);
    double c[17] = {1};
    for (int k = 1; k <= 16; k++)
        c[k] = c[k - 1] / k;
    memset(out, 0, bytes);
    add_scaled(t, out, a4, c[16], reals);
    for (int block = 3; block >= 0; block--) {
        if (block < 3) {
            PRODUCT(swap, out, a4);
            memcpy(out, swap, bytes);
        }
        add_diagonal(t, out, c[4 * block], n);
        add_scaled(t, out, a, c[4 * block + 1], reals);
        add_scaled(t, out, a2, c[4 * block + 2], reals);
        add_scaled(t, out, a3, c[4 * block + 3], reals);
    }
    for (int s = 0; s < squarings; s++) {
        PRODUCT(swap, out, out);
        memcpy(out, swap, bytes);
    }
#undef PRODUCT
    return 0;
}

int
linalg_matrix_exp_impl(mt_call *call, mt_tensor *self)
{
    mt_tensor *out = mt_out(call, 0);
    if (out->numel == 0)
        return 0;
    mt_dtype t = mt_is_half((mt_dtype)self->dtype) ? MT_FLOAT32 : (mt_dtype)self->dtype;
    int64_t n = mt_rows(self), count = self->numel / (n * n);
    size_t bytes = (size_t)(n * n) * mt_dtype_size(t);
    mt_tensor *a = mt_empty(self->ndim, self->sizes, NULL, t, MT_CPU_DEVICE);
    mt_tensor *r = out->dtype == t ? mt_keep(out) : mt_empty(out->ndim, out->sizes, NULL, t, MT_CPU_DEVICE);
    char *room = malloc(4 * bytes);
    int rc = !room ? mt_fail(MT_MEMORY, "out of memory") : a && r ? mt_copy_data(a, self) : -1;
    for (int64_t i = 0; i < count && rc == 0; i++)
        rc = exponential(t, mt_matrix(a, i, n * n), mt_matrix(r, i, n * n), n, room, bytes);
    free(room);
    mt_xrelease(a);
    if (rc < 0) {
        mt_xrelease(r);
        return -1;
    }
    return mt_give_work(out, r);
}

/* ---- powers and products ---------------------------------------------------------------------- */

mt_tensor *
op_linalg_matrix_power(mt_tensor *self, int64_t n)
{
    bag b = {0};
    mt_tensor *base, *r = NULL;
    if (mt_check_square(self, "linalg.matrix_power") < 0)
        return NULL;
    if (n == 0) {
        TRY(base, aten_eye(mt_rows(self), (mt_dtype)self->dtype, -1, self->device, mt_v_none()));
        TRY(r, aten_clone(self, MT_FORMAT_NONE));
        if (aten_copy_(r, base, false) < 0)
            r = NULL;
        goto done;
    }
    TRY(base, n < 0 ? aten_linalg_inv(self) : mt_keep(self));
    n = n < 0 ? -n : n;
    if (n == 1)
        TRY(r, base == self ? aten_clone(self, MT_FORMAT_NONE) : mt_keep(base));
    else if (n == 3) { /* two products either way, in this order */
        TRY(r, aten_matmul(base, base));
        TRY(r, aten_matmul(r, base));
    } else {
        while (n > 0) {
            if (n & 1)
                TRY(r, r ? aten_matmul(r, base) : mt_keep(base));
            n >>= 1;
            if (n)
                TRY(base, aten_matmul(base, base));
            if (b.count > 30) { /* only the newest two matter */
                mt_keep(base);
                if (r)
                    mt_keep(r);
                finish(&b, NULL);
                b.count = 0;
                hold(&b, base);
                if (r)
                    hold(&b, r);
            }
        }
    }
done:
    return finish(&b, r);
}

/* Product of factors [i, j] in the order that the table says. */
static mt_tensor *
multiply(mt_tensor *const *t, const int64_t *split, int64_t n, int64_t i, int64_t j)
{
    if (i == j)
        return mt_keep(t[i]);
    int64_t k = split[i * n + j];
    mt_tensor *x = multiply(t, split, n, i, k), *y = x ? multiply(t, split, n, k + 1, j) : NULL;
    mt_tensor *r = y ? aten_mm(x, y) : NULL;
    mt_xrelease(x);
    mt_xrelease(y);
    return r;
}

/* Factors are matrices; the order with the fewest multiplications by dynamic programming. */
static mt_tensor *
cheapest(mt_tensor *const *t, int64_t n)
{
    if (n == 2)
        return aten_mm(t[0], t[1]);
    double *cost = calloc((size_t)(n * n), sizeof *cost);
    int64_t *split = calloc((size_t)(n * n), sizeof *split);
    if (!cost || !split) {
        free(cost);
        free(split);
        return mt_fail_null(MT_MEMORY, "out of memory");
    }
    for (int64_t length = 2; length <= n; length++)
        for (int64_t i = 0; i + length <= n; i++) {
            int64_t j = i + length - 1;
            cost[i * n + j] = INFINITY;
            for (int64_t k = i; k < j; k++) {
                double c = cost[i * n + k] + cost[(k + 1) * n + j] +
                           (double)t[i]->sizes[0] * (double)t[k]->sizes[1] * (double)t[j]->sizes[1];
                if (c < cost[i * n + j]) {
                    cost[i * n + j] = c;
                    split[i * n + j] = k;
                }
            }
        }
    mt_tensor *r = multiply(t, split, n, 0, n - 1);
    free(cost);
    free(split);
    return r;
}

static const char *
legacy(const mt_tensor *t)
{
    const char *name = mt_dtypes[t->dtype].legacy_name;
    return name ? name : mt_dtypes[t->dtype].name;
}

static int
check_factors(mt_tensor *const *tensors, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const mt_tensor *t = tensors[i];
        if (i == 0 && t->ndim != 1 && t->ndim != 2)
            return mt_fail(MT_RUNTIME, "multi_dot(): the first tensor must be 1D or 2D but got %dD", t->ndim);
        if (i == n - 1 && t->ndim != 1 && t->ndim != 2)
            return mt_fail(MT_RUNTIME, "multi_dot(): the last tensor must be 1D or 2D but got %dD", t->ndim);
        if (i > 0 && i < n - 1 && t->ndim != 2)
            return mt_fail(MT_RUNTIME, "multi_dot(): tensor %lld must be 2D but got %dD", (long long)i, t->ndim);
    }
    for (int64_t i = 1; i < n; i++) {
        const mt_tensor *x = tensors[i - 1], *y = tensors[i];
        if (y->dtype != tensors[0]->dtype)
            return mt_fail(MT_RUNTIME, "multi_dot(): all tensors must have be the same dtype but tensor 0 is %s and "
                                       "tensor %lld %s", legacy(tensors[0]), (long long)i, legacy(y));
        if (x->sizes[x->ndim - 1] != y->sizes[0])
            return mt_fail(MT_RUNTIME, "multi_dot(): tensors %lld and %lld with shapes %s and %s cannot be multiplied",
                           (long long)i - 1, (long long)i, mt_shape_str(x), mt_shape_str(y));
    }
    return 0;
}

mt_tensor *
op_linalg_multi_dot(mt_tensor *const *tensors, int64_t n)
{
    if (n < 2)
        return mt_fail_null(MT_RUNTIME, "multi_dot(): expected at least 2 tensors but got %lld", (long long)n);
    if (check_factors(tensors, n) < 0)
        return NULL;
    bag b = {0};
    mt_tensor *r = NULL, **all = malloc((size_t)n * sizeof *all);
    if (!all)
        return mt_fail_null(MT_MEMORY, "out of memory");
    memcpy(all, tensors, (size_t)n * sizeof *all);
    int64_t shape[2];
    int ndim = 0;
    if (tensors[0]->ndim == 1)
        TRY(all[0], aten_unsqueeze(tensors[0], 0));
    else
        shape[ndim++] = tensors[0]->sizes[0];
    if (tensors[n - 1]->ndim == 1)
        TRY(all[n - 1], aten_unsqueeze(tensors[n - 1], -1));
    else
        shape[ndim++] = tensors[n - 1]->sizes[1];
    TRY(r, cheapest(all, n));
    TRY(r, aten_view(r, shape, ndim));
done:
    free(all);
    return finish(&b, r);
}

mt_tensor *
op_chain_matmul(mt_tensor *const *matrices, int64_t n)
{
    static bool warned;
    if (mt_warn_once(&warned, "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use "
                              "torch.linalg.multi_dot instead, which accepts a list of two or more tensors rather "
                              "than multiple parameters.") < 0)
        return NULL;
    if (n == 0)
        return mt_fail_null(MT_RUNTIME, "chain_matmul(): Expected one or more matrices");
    for (int64_t i = 0; i < n; i++)
        if (matrices[i]->ndim != 2)
            return mt_fail_null(MT_RUNTIME, "Tensor dimension is %d, expected 2 instead.", matrices[i]->ndim);
    return n == 1 ? aten_clone(matrices[0], MT_FORMAT_NONE) : aten_linalg_multi_dot(matrices, n);
}

/* ---- vectors ---------------------------------------------------------------------------------- */

int
linalg_cross_meta(mt_call *call, mt_tensor *self, mt_tensor *other, int64_t dim)
{
    if (self->ndim != other->ndim)
        return mt_fail(MT_RUNTIME, "linalg.cross: inputs must have the same number of dimensions.");
    int64_t x = mt_wrap_dim(dim, self->ndim);
    if (x < 0)
        return -1;
    if (self->ndim == 0 || self->sizes[x] != 3 || other->sizes[x] != 3)
        return mt_fail(MT_RUNTIME, "linalg.cross: inputs dimension %lld must have length 3. Got %lld and %lld",
                       (long long)dim, (long long)mt_size_at(self, dim), (long long)mt_size_at(other, dim));
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    if (mt_broadcast(s.sizes, s.ndim, other->sizes, other->ndim) < 0)
        return -1;
    if (self->dtype != other->dtype)
        return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s", mt_dtypes[self->dtype].scalar_name,
                       mt_dtypes[other->dtype].scalar_name);
    if (self->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"cross\" not implemented for 'Bool'");
    return mt_set_output(call, 0, s.ndim, s.sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
linalg_cross_impl(mt_call *call, mt_tensor *self, mt_tensor *other, int64_t dim)
{
    /* x1 y2 - x2 y1 with both turned by one and by two places */
    bag b = {0};
    mt_tensor *x1, *x2, *y1, *y2, *p, *q, *r = NULL;
    const int64_t one = -1, two = -2;
    TRY(x1, aten_roll(self, &one, 1, &dim, 1));
    TRY(x2, aten_roll(self, &two, 1, &dim, 1));
    TRY(y1, aten_roll(other, &one, 1, &dim, 1));
    TRY(y2, aten_roll(other, &two, 1, &dim, 1));
    TRY(p, aten_mul_Tensor(x1, y2));
    TRY(q, aten_mul_Tensor(x2, y1));
    TRY(r, aten_sub_Tensor(p, q, mt_v_int(1)));
done:;
    mt_tensor *value = finish(&b, r);
    int rc = value ? mt_copy_data(mt_out(call, 0), value) : -1;
    mt_xrelease(value);
    return rc;
}

mt_tensor *
op_cross(mt_tensor *self, mt_tensor *other, mt_value dim)
{
    static bool warned;
    if (!mt_is_none(dim))
        return aten_linalg_cross(self, other, dim.u.i);
    if (mt_warn_once(&warned, "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the "
                              "dim explicitly or simply use torch.linalg.cross.\nThe default value of dim will change "
                              "to agree with that of linalg.cross in a future release.") < 0)
        return NULL;
    for (int d = 0; d < self->ndim; d++)
        if (self->sizes[d] == 3)
            return aten_linalg_cross(self, other, d);
    return mt_fail_null(MT_RUNTIME, "no dimension of size 3 in input");
}

mt_tensor *
op_linalg_vecdot(mt_tensor *x, mt_tensor *y, int64_t dim)
{
    if (mt_check_inexact(x, "linalg.vecdot", false) < 0)
        return NULL;
    if (x->dtype != y->dtype)
        return mt_fail_null(MT_RUNTIME, "linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
                                        "%s and y of type %s instead",
                            mt_dtypes[x->dtype].scalar_name, mt_dtypes[y->dtype].scalar_name);
    if (x->ndim == 1 && y->ndim == 1)
        return aten_vdot(x, y);
    bag b = {0};
    mt_tensor *c, *p, *r = NULL;
    TRY(c, aten_conj(x));
    TRY(p, aten_mul_Tensor(c, y));
    TRY(r, aten_sum_dim_IntList(p, &dim, 1, false, MT_DTYPE_NONE));
done:
    return finish(&b, r);
}

/* Powers 0 .. n - 1 along a new last dimension. */
static mt_tensor *
powers(mt_tensor *x, int64_t n, mt_dtype t)
{
    bag b = {0};
    mt_tensor *column, *one, *rest, *r = NULL;
    const int64_t single = 1;
    TRY(x, x->ndim ? mt_keep(x) : aten_reshape(x, &single, 1));
    mt_shape s = mt_batch_shape(x, 0, 1, n - 1, 0), first = mt_batch_shape(x, 0, 1, 1, 0);
    TRY(column, aten_unsqueeze(x, -1));
    TRY(column, aten_expand(column, s.sizes, s.ndim, false));
    TRY(rest, aten_cumprod(column, -1, t));
    TRY(one, aten_ones(first.sizes, first.ndim, t, -1, x->device, mt_v_none()));
    mt_tensor *both[] = {one, rest};
    TRY(r, aten_cat(both, 2, -1));
done:
    return finish(&b, r);
}

static mt_dtype
power_dtype(const mt_tensor *x)
{
    return mt_is_integral((mt_dtype)x->dtype, true) ? MT_INT64 : (mt_dtype)x->dtype;
}

mt_tensor *
op_linalg_vander(mt_tensor *x, mt_value N)
{
    mt_dtype t = (mt_dtype)x->dtype;
    if (t == MT_BOOL)
        return mt_fail_null(MT_RUNTIME, "linalg.vander supports floating point, complex, and integer tensors, but got "
                                        "%s", mt_dtypes[t].scalar_name);
    int64_t n = mt_is_none(N) ? mt_size_at(x, -1) : N.u.i;
    if (n <= 1)
        return mt_fail_null(MT_RUNTIME, "N must be greater than 1.");
    return powers(x, n, power_dtype(x));
}

mt_tensor *
op_vander(mt_tensor *x, mt_value N, bool increasing)
{
    if (x->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "x must be a one-dimensional tensor.");
    int64_t n = mt_is_none(N) ? x->sizes[0] : N.u.i;
    if (n < 0)
        return mt_fail_null(MT_RUNTIME, "N must be non-negative.");
    int64_t sizes[] = {x->sizes[0], n};
    mt_dtype t = power_dtype(x);
    if (n == 0)
        return aten_empty_memory_format(sizes, 2, t, -1, x->device, mt_v_none(), MT_FORMAT_NONE);
    mt_tensor *r = n == 1 ? aten_ones(sizes, 2, t, -1, x->device, mt_v_none()) : powers(x, n, t);
    if (r && !increasing) {
        mt_tensor *turned = aten_flip(r, (const int64_t[]){1}, 1);
        mt_release(r);
        r = turned;
    }
    return r;
}

/* ---- tensors as matrices ---------------------------------------------------------------------- */

static int64_t
product_of(const int64_t *sizes, int64_t n)
{
    int64_t p = 1;
    for (int64_t i = 0; i < n; i++)
        p *= sizes[i];
    return p;
}

mt_tensor *
op_linalg_tensorinv(mt_tensor *self, int64_t ind)
{
    if (ind <= 0)
        return mt_fail_null(MT_RUNTIME, "Expected a strictly positive integer for 'ind', but got %lld", (long long)ind);
    int64_t head = MT_MIN(ind, self->ndim), tail = self->ndim - head;
    int64_t rows = product_of(self->sizes, head), columns = product_of(self->sizes + head, tail);
    if (rows != columns)
        return mt_fail_null(MT_RUNTIME, "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
                                        "prod(self.shape[:ind]), but got %lld != %lld",
                            (long long)columns, (long long)rows);
    int64_t sizes[MT_MAX_DIMS], flat[] = {columns, rows};
    memcpy(sizes, self->sizes + head, (size_t)tail * sizeof *sizes);
    memcpy(sizes + tail, self->sizes, (size_t)head * sizeof *sizes);
    bag b = {0};
    mt_tensor *m, *r = NULL;
    TRY(m, aten_reshape(self, flat, 2));
    TRY(m, aten__tensor_inverse(m));
    TRY(r, aten_reshape(m, sizes, self->ndim));
done:
    return finish(&b, r);
}

mt_tensor *
op_linalg_tensorsolve(mt_tensor *self, mt_tensor *other, const int64_t *dims, int64_t dims_n)
{
    bag b = {0};
    mt_tensor *a = self, *x, *r = NULL;
    if (dims) {
        int64_t to[MT_MAX_DIMS];
        for (int64_t i = 0; i < dims_n; i++)
            to[i] = self->ndim - dims_n + i;
        TRY(a, aten_movedim_intlist(self, dims, dims_n, to, dims_n));
    }
    int64_t head = MT_MIN(other->ndim, a->ndim), tail = a->ndim - head;
    int64_t rows = product_of(a->sizes, head), columns = product_of(a->sizes + head, tail);
    if (rows != columns) {
        mt_fail(MT_RUNTIME, "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
                            "prod(self.shape[:other.ndim]), but got %lld != %lld",
                (long long)columns, (long long)rows);
        goto done;
    }
    int64_t flat[] = {columns, columns}, length = -1;
    mt_tensor *m, *v;
    TRY(m, aten_reshape(a, flat, 2));
    TRY(v, aten_reshape(other, &length, 1));
    TRY(x, aten_linalg_solve(m, v, true));
    TRY(r, aten_reshape(x, a->sizes + head, tail));
done:
    return finish(&b, r);
}
