/* QR, products of Householder reflectors, least squares. */
#include "ops/lapack.h"

#include <float.h>
#include <stdlib.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* Everything that one of the routines below works on; packed by columns. */
typedef struct reflectors {
    mt_dtype t;
    int64_t m, n, k; /* the matrix, and how many reflectors */
    mt_tensor *a, *tau;
    mt_tensor *c;    /* what Q is applied to */
    int64_t rows, columns;
    char side, trans;
    int lwork;
} reflectors;

static void
geqrf_one(void *ctx, int64_t i, void *scratch)
{
    reflectors *r = ctx;
    mt_lapack_geqrf(r->t, (int)r->m, (int)r->n, mt_matrix(r->a, i, r->m * r->n), (int)r->m,
                    mt_matrix(r->tau, i, r->k), scratch, r->lwork);
}

/* Replaces packed matrices by their factorization. */
static int
factor(mt_tensor *a, mt_tensor *tau)
{
    if (a->numel == 0)
        return 0;
    reflectors r = {.t = (mt_dtype)a->dtype, .m = mt_rows(a), .n = mt_columns(a), .a = a, .tau = tau};
    r.k = MT_MIN(r.m, r.n);
    double best[2] = {0};
    if (mt_lapack_open() < 0)
        return -1;
    mt_lapack_geqrf(r.t, (int)r.m, (int)r.n, mt_data(a), (int)r.m, mt_data(tau), best, -1);
    r.lwork = MT_MAX(mt_lapack_length(r.t, best), 1);
    return mt_for_matrices(mt_batch_count(a, 2), r.m * r.n * r.k, (size_t)(r.lwork * mt_itemsize(a)),
                           geqrf_one, &r);
}

static void
orgqr_one(void *ctx, int64_t i, void *scratch)
{
    reflectors *r = ctx;
    mt_lapack_orgqr(r->t, (int)r->m, (int)r->n, (int)r->k, mt_matrix(r->a, i, r->m * r->n), (int)r->m,
                    mt_matrix(r->tau, i, r->k), scratch, r->lwork);
}

/* Replaces packed reflectors by the first columns of their product; tau is packed too. */
static int
expand(mt_tensor *a, mt_tensor *tau)
{
    reflectors r = {.t = (mt_dtype)a->dtype, .m = mt_rows(a), .n = mt_columns(a), .a = a, .tau = tau};
    r.k = tau->sizes[tau->ndim - 1];
    double best[2] = {0};
    if (a->numel == 0)
        return 0;
    if (mt_lapack_open() < 0)
        return -1;
    mt_lapack_orgqr(r.t, (int)r.m, (int)r.n, (int)r.k, mt_data(a), (int)r.m, mt_data(tau), best, -1);
    r.lwork = MT_MAX(mt_lapack_length(r.t, best), 1);
    return mt_for_matrices(mt_batch_count(a, 2), r.m * r.n * r.n, (size_t)(r.lwork * mt_itemsize(a)),
                           orgqr_one, &r);
}

static mt_tensor *
empty_tau(const mt_tensor *a)
{
    mt_shape s = mt_batch_shape(a, 2, 1, MT_MIN(mt_rows(a), mt_columns(a)), 0);
    return mt_empty(s.ndim, s.sizes, NULL, (mt_dtype)a->dtype, MT_CPU_DEVICE);
}

int
geqrf_meta(mt_call *call, mt_tensor *self)
{
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.geqrf: input must have at least 2 dimensions.");
    if (mt_check_blas_type(self, "geqrf_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    mt_shape k = mt_batch_shape(self, 2, 1, MT_MIN(mt_rows(self), mt_columns(self)), 0);
    if (mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, k.ndim, k.sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
geqrf_impl(mt_call *call, mt_tensor *self)
{
    mt_tensor *a = mt_work_columns(mt_out(call, 0)), *tau = empty_tau(self);
    int rc = a && tau && mt_copy_data(a, self) == 0 ? factor(a, tau) : -1;
    if (rc == 0)
        rc = mt_copy_data(mt_out(call, 1), tau);
    mt_xrelease(tau);
    if (rc < 0) {
        mt_xrelease(a);
        return -1;
    }
    return mt_give_work(mt_out(call, 0), a);
}

/* ---- QR --------------------------------------------------------------------------------------- */

static int
qr_mode(const char *mode, bool *wants_q, bool *reduced)
{
    *wants_q = strcmp(mode, "r") != 0;
    *reduced = strcmp(mode, "complete") != 0;
    if (strcmp(mode, "reduced") && strcmp(mode, "r") && strcmp(mode, "complete"))
        return mt_fail(MT_RUNTIME, "qr received unrecognized mode '%s' but expected one of 'reduced' "
                                   "(default), 'r', or 'complete'", mode);
    return 0;
}

int
linalg_qr_meta(mt_call *call, mt_tensor *A, const char *mode)
{
    bool wants_q, reduced;
    if (mt_check_matrix(A, "linalg.qr", "A") < 0 || mt_check_inexact(A, "linalg.qr", false) < 0 ||
        qr_mode(mode, &wants_q, &reduced) < 0 || mt_check_blas_type(A, "geqrf_cpu") < 0)
        return -1;
    int64_t m = mt_rows(A), n = mt_columns(A), k = MT_MIN(m, n), none = 0;
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape q = mt_batch_shape(A, 2, 2, m, reduced ? k : m);
    mt_shape r = mt_batch_shape(A, 2, 2, reduced ? k : m, n);
    int rc = wants_q ? mt_set_columns(call, 0, &q, t, A->device)
                     : mt_set_output(call, 0, 1, &none, NULL, t, A->device);
    return rc < 0 ? -1 : mt_set_columns(call, 1, &r, t, A->device);
}

/* Copies columns of packed matrices, `rows` apart, into ones of other sizes. */
static void
copy_columns(mt_tensor *to, mt_tensor *from, int64_t columns)
{
    int64_t size = mt_itemsize(to), count = mt_batch_count(to, 2), m = mt_rows(from);
    int64_t a = mt_rows(to) * mt_columns(to), b = m * mt_columns(from);
    for (int64_t i = 0; i < count; i++)
        memcpy(mt_matrix(to, i, a), mt_matrix(from, i, b), (size_t)(m * columns * size));
}

/* The upper triangle, zeros below. */
static void
copy_triangle(mt_tensor *to, mt_tensor *from)
{
    int64_t size = mt_itemsize(to), count = mt_batch_count(to, 2);
    int64_t m = mt_rows(from), n = mt_columns(from), rows = mt_rows(to);
    memset(mt_data(to), 0, (size_t)(to->numel * size));
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < n; c++)
            memcpy((char *)mt_matrix(to, i, rows * n) + c * rows * size,
                   (char *)mt_matrix(from, i, m * n) + c * m * size,
                   (size_t)(MT_MIN(c + 1, MT_MIN(m, rows)) * size));
}

int
linalg_qr_impl(mt_call *call, mt_tensor *A, const char *mode)
{
    bool wants_q, reduced;
    if (qr_mode(mode, &wants_q, &reduced) < 0)
        return -1;
    int64_t m = mt_rows(A), n = mt_columns(A), k = MT_MIN(m, n);
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0), qs = mt_batch_shape(A, 2, 2, m, reduced ? k : m);
    mt_shape rs = mt_batch_shape(A, 2, 2, reduced ? k : m, n);
    mt_tensor *a = mt_copy_columns(A, &s, t), *tau = empty_tau(A), *q = NULL;
    mt_tensor *r = mt_empty_columns(&rs, t);
    int rc = a && tau && r ? factor(a, tau) : -1;
    if (rc == 0) {
        copy_triangle(r, a);
        rc = mt_copy_data(mt_out(call, 1), r);
    }
    if (rc == 0 && wants_q) {
        q = mt_empty_columns(&qs, t);
        rc = q ? 0 : -1;
        if (rc == 0 && q->numel) {
            memset(mt_data(q), 0, (size_t)(q->numel * mt_itemsize(q)));
            if (k)
                copy_columns(q, a, k);
            rc = expand(q, tau);
        }
        if (rc == 0)
            rc = mt_copy_data(mt_out(call, 0), q);
    }
    mt_xrelease(a);
    mt_xrelease(tau);
    mt_xrelease(q);
    mt_xrelease(r);
    return rc;
}

int
op_qr(mt_tensor *self, bool some, mt_tensor **Q, mt_tensor **R)
{
    static bool warned;
    if (mt_warn_once(&warned, "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a "
                              "future PyTorch release.\nThe boolean parameter 'some' has been replaced with "
                              "a string parameter 'mode'.\nQ, R = torch.qr(A, some)\nshould be replaced "
                              "with\nQ, R = torch.linalg.qr(A, 'reduced' if some else 'complete')") < 0)
        return -1;
    return aten_linalg_qr(self, some ? "reduced" : "complete", Q, R);
}

/* ---- products of reflectors ------------------------------------------------------------------- */

int
linalg_householder_product_meta(mt_call *call, mt_tensor *input, mt_tensor *tau)
{
    static const char who[] = "torch.linalg.householder_product";
    if (input->ndim < 2)
        return mt_fail(MT_RUNTIME, "%s: input must have at least 2 dimensions.", who);
    if (mt_rows(input) < mt_columns(input))
        return mt_fail(MT_RUNTIME, "%s: input.shape[-2] must be greater than or equal to input.shape[-1]",
                       who);
    if (tau->ndim < 1 || mt_columns(input) < tau->sizes[tau->ndim - 1])
        return mt_fail(MT_RUNTIME, "%s: input.shape[-1] must be greater than or equal to tau.shape[-1]", who);
    if (input->ndim - tau->ndim != 1)
        return mt_fail(MT_RUNTIME, "%s: Expected tau to have one dimension less than input, but got tau.ndim "
                                   "equal to %d and input.ndim is equal to %d", who, tau->ndim, input->ndim);
    for (int d = 0; d < input->ndim - 2; d++)
        if (input->sizes[d] != tau->sizes[d])
            return mt_fail(MT_RUNTIME, "%s: Expected batch dimensions of tau to be equal to input.shape[:-2], "
                                       "but got %s", who, mt_str_ints(tau->sizes, tau->ndim - 1));
    if (tau->dtype != input->dtype)
        return mt_fail(MT_RUNTIME, "%s: tau dtype %s does not match input dtype %s", who,
                       mt_dtypes[tau->dtype].scalar_name, mt_dtypes[input->dtype].scalar_name);
    if (mt_check_blas_type(input, "orgqr_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(input, 0, 0, 0, 0);
    return mt_set_columns(call, 0, &s, (mt_dtype)input->dtype, input->device);
}

int
linalg_householder_product_impl(mt_call *call, mt_tensor *input, mt_tensor *tau)
{
    mt_tensor *out = mt_out(call, 0), *q = mt_work_columns(out), *t = mt_contiguous_data(tau, false);
    int rc = q && t && mt_copy_data(q, input) == 0 ? expand(q, t) : -1;
    mt_xrelease(t);
    if (rc < 0) {
        mt_xrelease(q);
        return -1;
    }
    return mt_give_work(out, q);
}

int
ormqr_meta(mt_call *call, mt_tensor *self, mt_tensor *input2, mt_tensor *input3, bool left, bool transpose)
{
    (void)transpose;
    mt_tensor *tau = input2, *other = input3;
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.ormqr: input must have at least 2 dimensions.");
    if (other->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.ormqr: other must have at least 2 dimensions.");
    int from = left ? 2 : 1;
    int64_t order = other->sizes[other->ndim - from];
    if (tau->ndim < 1 || order < tau->sizes[tau->ndim - 1])
        return mt_fail(MT_RUNTIME, tau->ndim < 1 || tau->sizes[tau->ndim - 1] != MT_MIN(order, mt_columns(self))
                                       ? "torch.ormqr: tau.shape[-1] must be equal to min(other.shape[-%d], "
                                         "input.shape[-1])"
                                       : "torch.ormqr: other.shape[-%d] must be greater than or equal to "
                                         "tau.shape[-1]", from);
    if (order != mt_rows(self))
        return mt_fail(MT_RUNTIME, "torch.ormqr: other.shape[-%d] must be equal to input.shape[-2]", from);
    if (tau->sizes[tau->ndim - 1] > mt_columns(self))
        return mt_fail(MT_RUNTIME, "torch.ormqr: tau.shape[-1] must be less than or equal to "
                                   "input.shape[-1]");
    if (self->ndim - tau->ndim != 1)
        return mt_fail(MT_RUNTIME, "torch.ormqr: Expected tau to have one dimension less than input, but got "
                                   "tau.ndim equal to %d and input.ndim is equal to %d", tau->ndim, self->ndim);
    if (self->ndim != other->ndim)
        return mt_fail(MT_RUNTIME, "torch.ormqr: Expected other to have the same number of dimensions as "
                                   "input, but got other.ndim equal to %d and input.ndim is equal to %d",
                       other->ndim, self->ndim);
    for (int d = 0; d < self->ndim - 2; d++) {
        if (tau->sizes[d] != self->sizes[d])
            return mt_fail(MT_RUNTIME, "torch.ormqr: Expected batch dimensions of tau to be equal to "
                                       "input.shape[:-2], but got %s", mt_str_ints(tau->sizes, tau->ndim - 1));
        if (other->sizes[d] != self->sizes[d])
            return mt_fail(MT_RUNTIME, "torch.ormqr: Expected batch dimensions of other to be equal to "
                                       "input.shape[:-2], but got %s", mt_str_ints(other->sizes, other->ndim - 2));
    }
    if (tau->dtype != self->dtype)
        return mt_fail(MT_RUNTIME, "torch.ormqr: Expected input and tau to have the same dtype, but input has "
                                   "dtype %s and tau has dtype %s",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[tau->dtype].scalar_name);
    if (other->dtype != self->dtype)
        return mt_fail(MT_RUNTIME, "torch.ormqr: Expected input and other to have the same dtype, but input "
                                   "has dtype %s and other has dtype %s",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[other->dtype].scalar_name);
    if (mt_check_blas_type(self, "ormqr_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(other, 0, 0, 0, 0);
    return mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device);
}

static void
ormqr_one(void *ctx, int64_t i, void *scratch)
{
    reflectors *r = ctx;
    mt_lapack_ormqr(r->t, r->side, r->trans, (int)r->rows, (int)r->columns, (int)r->k,
                    mt_matrix(r->a, i, r->m * r->n), MT_MAX((int)r->m, 1), mt_matrix(r->tau, i, r->k),
                    mt_matrix(r->c, i, r->rows * r->columns), MT_MAX((int)r->rows, 1), scratch, r->lwork);
}

int
ormqr_impl(mt_call *call, mt_tensor *self, mt_tensor *input2, mt_tensor *input3, bool left, bool transpose)
{
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    mt_dtype t = (mt_dtype)self->dtype;
    mt_tensor *out = mt_out(call, 0), *c = mt_work_columns(out);
    mt_tensor *a = mt_copy_columns(self, &s, t), *tau = mt_contiguous_data(input2, false);
    int rc = c && a && tau ? mt_copy_data(c, input3) : -1;
    if (rc == 0 && c->numel && tau->numel) {
        reflectors r = {.t = t, .m = mt_rows(a), .n = mt_columns(a), .k = tau->sizes[tau->ndim - 1], .a = a,
                        .tau = tau, .c = c, .rows = mt_rows(c), .columns = mt_columns(c),
                        .side = left ? 'L' : 'R',
                        .trans = !transpose ? 'N' : mt_is_complex(t) ? 'C' : 'T'};
        double best[2] = {0};
        rc = mt_lapack_open();
        if (rc == 0) {
            mt_lapack_ormqr(t, r.side, r.trans, (int)r.rows, (int)r.columns, (int)r.k, mt_data(a), (int)r.m,
                            mt_data(tau), mt_data(c), (int)r.rows, best, -1);
            r.lwork = MT_MAX(mt_lapack_length(t, best), 1);
            rc = mt_for_matrices(mt_batch_count(c, 2), r.rows * r.columns * r.k,
                                 (size_t)(r.lwork * mt_itemsize(c)), ormqr_one, &r);
        }
    }
    mt_xrelease(a);
    mt_xrelease(tau);
    if (rc < 0) {
        mt_xrelease(c);
        return -1;
    }
    return mt_give_work(out, c);
}

/* The gradient of a product of reflectors applied to a matrix, y = H_1 ... H_k other with
 * H_i = I - tau_i v_i v_i^H, or its adjoint. Going back, each reflector is met with what it was
 * applied to and with the gradient of what it gave. All steps are operators, so the gradient has a
 * gradient; nothing assumes that the H_i are unitary. */
static mt_tensor *
reflector(mt_tensor *v, mt_tensor *tau, mt_tensor *x, bool adjoint)
{
    /* (I - tau v v^H) x, with conj(tau) where adjoint */
    mt_tensor *vh = aten_mH(v), *p = vh ? aten_matmul(vh, x) : NULL, *vp = p ? aten_matmul(v, p) : NULL;
    mt_tensor *t = adjoint ? aten_conj(tau) : mt_keep(tau), *tv = vp && t ? aten_mul_Tensor(vp, t) : NULL;
    mt_tensor *r = tv ? aten_sub_Tensor(x, tv, mt_v_int(1)) : NULL;
    mt_tensor *all[] = {vh, p, vp, t, tv};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}

/* v_i as a column with a one on top and zeros above, from the reflectors with unit diagonal. */
static mt_tensor *
column_of(mt_tensor *unit, int64_t i)
{
    return aten_narrow(unit, -1, i, 1);
}

static mt_tensor *
tau_of(mt_tensor *tau, int64_t i)
{
    mt_tensor *t = aten_narrow(tau, -1, i, 1), *r = t ? aten_unsqueeze(t, -1) : NULL;
    mt_xrelease(t);
    return r;
}

/* Columns of tril(input, -1) + I, as many as there are reflectors. */
static mt_tensor *
unit_columns(mt_tensor *input, int64_t k)
{
    int64_t m = mt_rows(input);
    mt_tensor *cut = aten_narrow(input, -1, 0, k), *low = cut ? aten_tril(cut, -1) : NULL;
    mt_tensor *eye = aten_eye_m(m, k, (mt_dtype)input->dtype, -1, input->device, mt_v_none());
    mt_tensor *r = low && eye ? aten_add_Tensor(low, eye, mt_v_int(1)) : NULL;
    mt_xrelease(cut);
    mt_xrelease(low);
    mt_xrelease(eye);
    return r;
}

int
mth_reflectors_backward(mt_tensor *grad, mt_tensor *input, mt_tensor *tau, mt_tensor *other, bool adjoint,
                        mt_tensor **grad_input, mt_tensor **grad_tau)
{
    int64_t k = tau->sizes[tau->ndim - 1];
    size_t room = (size_t)MT_MAX(k, 1);
    int rc = -1;
    mt_tensor **gv = calloc(room, sizeof *gv), **gt = calloc(room, sizeof *gt);
    mt_tensor **xs = calloc(room, sizeof *xs); /* what each reflector was applied to */
    mt_tensor *unit = unit_columns(input, k), *g = mt_keep(grad);
    *grad_input = *grad_tau = NULL;
    if (!gv || !gt || !xs) {
        mt_fail(MT_MEMORY, "out of memory");
        goto done;
    }
    if (!unit)
        goto done;
    for (int64_t s = 0; s < k; s++) {
        int64_t i = adjoint ? s : k - 1 - s, before = adjoint ? i - 1 : i + 1;
        if (s == 0) {
            xs[i] = mt_keep(other);
            continue;
        }
        mt_tensor *v = column_of(unit, before), *t = v ? tau_of(tau, before) : NULL;
        xs[i] = t ? reflector(v, t, xs[before], adjoint) : NULL;
        mt_xrelease(v);
        mt_xrelease(t);
        if (!xs[i])
            goto done;
    }
    for (int64_t s = 0; s < k; s++) {
        int64_t i = adjoint ? k - 1 - s : s;
        mt_tensor *x = xs[i];
        /* y = x - c v (v^H x), c = tau or its conjugate:
         * dc: -(x^H v)(v^H g) summed; dv: -conj(c) g (x^H v) - c x (g^H v) */
        mt_tensor *v = column_of(unit, i), *t = v ? tau_of(tau, i) : NULL;
        mt_tensor *c = t ? (adjoint ? aten_conj(t) : mt_keep(t)) : NULL, *cc = c ? aten_conj(c) : NULL;
        mt_tensor *xh = aten_mH(x), *gh = aten_mH(g);
        mt_tensor *xv = xh && v ? aten_matmul(xh, v) : NULL, *gv_ = gh && v ? aten_matmul(gh, v) : NULL;
        mt_tensor *gxv = xv ? aten_matmul(g, xv) : NULL, *xgv = gv_ ? aten_matmul(x, gv_) : NULL;
        mt_tensor *one = gxv && cc ? aten_mul_Tensor(gxv, cc) : NULL;
        mt_tensor *two = xgv && c ? aten_mul_Tensor(xgv, c) : NULL;
        mt_tensor *sum = one && two ? aten_add_Tensor(one, two, mt_v_int(1)) : NULL;
        gv[i] = sum ? aten_neg(sum) : NULL;
        mt_tensor *vh = v ? aten_mH(v) : NULL, *dot = vh && gxv ? aten_matmul(vh, gxv) : NULL;
        mt_tensor *dc = dot ? aten_neg(dot) : NULL, *dt = dc ? (adjoint ? aten_conj(dc) : mt_keep(dc)) : NULL;
        gt[i] = dt ? aten_squeeze_dim(dt, -1) : NULL;
        mt_tensor *next = t ? reflector(v, t, g, !adjoint) : NULL;
        mt_tensor *all[] = {v, t, c, cc, xh, gh, xv, gv_, gxv, xgv, one, two, sum, vh, dot, dc, dt};
        for (size_t q = 0; q < MT_COUNT(all); q++)
            mt_xrelease(all[q]);
        if (!gv[i] || !gt[i] || !next) {
            mt_xrelease(next);
            goto done;
        }
        mt_release(g);
        g = next;
    }
    if (k == 0) {
        *grad_input = aten_zeros(input->sizes, input->ndim, (mt_dtype)input->dtype, -1, input->device, mt_v_none());
        *grad_tau = aten_zeros(tau->sizes, tau->ndim, (mt_dtype)tau->dtype, -1, tau->device, mt_v_none());
    } else {
        mt_tensor *joined = aten_cat(gv, k, -1), *low = joined ? aten_tril(joined, -1) : NULL;
        if (low && mt_columns(input) > k) {
            mt_shape s = mt_batch_shape(input, 1, 1, mt_columns(input) - k, 0);
            mt_tensor *rest = aten_zeros(s.sizes, s.ndim, (mt_dtype)input->dtype, -1, input->device, mt_v_none());
            mt_tensor *two[2] = {low, rest};
            *grad_input = rest ? aten_cat(two, 2, -1) : NULL;
            mt_xrelease(rest);
        } else
            *grad_input = low ? mt_keep(low) : NULL;
        *grad_tau = aten_cat(gt, k, -1);
        mt_xrelease(joined);
        mt_xrelease(low);
    }
    rc = *grad_input && *grad_tau ? 0 : -1;
done:
    for (int64_t i = 0; i < k; i++) {
        if (gv)
            mt_xrelease(gv[i]);
        if (gt)
            mt_xrelease(gt[i]);
        if (xs)
            mt_xrelease(xs[i]);
    }
    free(gv);
    free(gt);
    free(xs);
    mt_xrelease(unit);
    mt_xrelease(g);
    if (rc < 0) {
        mt_xrelease(*grad_input);
        mt_xrelease(*grad_tau);
        *grad_input = *grad_tau = NULL;
    }
    return rc;
}

/* ---- least squares ---------------------------------------------------------------------------- */

typedef struct fit {
    mt_dtype t;
    int driver; /* 0 gels, 1 gelsy, 2 gelsd, 3 gelss */
    int m, n, nrhs, ldb;
    mt_tensor *a, *b, *s, *rank;
    double rcond;
    int lwork;
    size_t work_bytes, real_bytes;
    int info;
} fit;

static void
fit_one(void *ctx, int64_t i, void *scratch)
{
    fit *f = ctx;
    void *a = mt_matrix(f->a, i, (int64_t)f->m * f->n), *b = mt_matrix(f->b, i, (int64_t)f->ldb * f->nrhs);
    char *real = (char *)scratch + f->work_bytes, *ints = real + f->real_bytes;
    int k = MT_MIN(f->m, f->n), rank = 0, info;
    void *s = f->s ? mt_matrix(f->s, i, k) : NULL;
    if (f->driver == 0)
        info = mt_lapack_gels(f->t, f->m, f->n, f->nrhs, a, f->m, b, f->ldb, scratch, f->lwork);
    else if (f->driver == 1) {
        memset(ints, 0, (size_t)f->n * sizeof(int));
        info = mt_lapack_gelsy(f->t, f->m, f->n, f->nrhs, a, f->m, b, f->ldb, (int *)ints, f->rcond, &rank,
                               scratch, f->lwork, real);
    } else if (f->driver == 2)
        info = mt_lapack_gelsd(f->t, f->m, f->n, f->nrhs, a, f->m, b, f->ldb, s, f->rcond, &rank, scratch,
                               f->lwork, real, (int *)ints);
    else
        info = mt_lapack_gelss(f->t, f->m, f->n, f->nrhs, a, f->m, b, f->ldb, s, f->rcond, &rank, scratch,
                               f->lwork, real);
    if (f->rank)
        ((int64_t *)mt_data(f->rank))[i] = rank;
    if (info)
        __atomic_store_n(&f->info, info, __ATOMIC_RELAXED);
}

/* Workspace sizes; the integer and real ones of gelsd are bounded as LAPACK's manual says. */
static size_t
fit_scratch(fit *f)
{
    double best[2] = {0}, real[2] = {0};
    int ints[2] = {0}, rank;
    int k = MT_MAX(MT_MIN(f->m, f->n), 1), mx = MT_MAX(f->m, f->n), levels = 1;
    while ((k / 26) >> levels)
        levels++;
    levels++;
    if (f->driver == 0)
        mt_lapack_gels(f->t, f->m, f->n, f->nrhs, NULL, MT_MAX(f->m, 1), NULL, f->ldb, best, -1);
    else if (f->driver == 1)
        mt_lapack_gelsy(f->t, f->m, f->n, f->nrhs, NULL, MT_MAX(f->m, 1), NULL, f->ldb, ints, f->rcond, &rank,
                        best, -1, real);
    else if (f->driver == 2)
        mt_lapack_gelsd(f->t, f->m, f->n, f->nrhs, NULL, MT_MAX(f->m, 1), NULL, f->ldb, NULL, f->rcond, &rank,
                        best, -1, real, ints);
    else
        mt_lapack_gelss(f->t, f->m, f->n, f->nrhs, NULL, MT_MAX(f->m, 1), NULL, f->ldb, NULL, f->rcond, &rank,
                        best, -1, real);
    f->lwork = MT_MAX(mt_lapack_length(f->t, best), 1);
    int64_t reals = f->driver == 2 ? 10 * (int64_t)mx + 2 * (int64_t)k * 25 + 8 * (int64_t)k * levels +
                                         3 * 25 * (int64_t)f->nrhs + (int64_t)k * 2 * f->nrhs + 26 * 26 + 64
                                   : 5 * (int64_t)mx + 64;
    int64_t integers = f->driver == 2 ? 3 * (int64_t)k * levels + 11 * (int64_t)k + 64 : f->n + 16;
    f->work_bytes = ((size_t)f->lwork * mt_dtype_size(f->t) + 63) / 64 * 64;
    f->real_bytes = ((size_t)reals * 8 + 63) / 64 * 64;
    return f->work_bytes + f->real_bytes + (size_t)integers * sizeof(int);
}

static int
fit_driver(const char *driver)
{
    static const char *const names[] = {"gels", "gelsy", "gelsd", "gelss"};
    if (!driver)
        return 1;
    for (int i = 0; i < 4; i++)
        if (!strcmp(driver, names[i]))
            return i;
    return mt_fail(MT_RUNTIME,
                   "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)");
}

static mt_tensor *
nothing(mt_dtype t)
{
    int64_t none = 0;
    return mt_empty(1, &none, NULL, t, MT_CPU_DEVICE);
}

/* Sums of squares over the rows below n, where every matrix has full rank and m > n. */
static mt_tensor *
residuals_of(fit *f, mt_tensor *b, mt_dtype real)
{
    bool full = f->m > f->n && f->driver != 1;
    for (int64_t i = 0; full && f->rank && f->driver != 0 && i < f->rank->numel; i++)
        full = ((int64_t *)mt_data(f->rank))[i] == f->n;
    if (!full)
        return nothing(real);
    mt_tensor *below = aten_narrow(b, -2, f->n, f->m - f->n), *size = below ? aten_abs(below) : NULL;
    mt_tensor *square = size ? aten_mul_Tensor(size, size) : NULL;
    mt_tensor *r = square ? aten_sum_dim_IntList(square, (const int64_t[]){-2}, 1, false, MT_DTYPE_NONE) : NULL;
    mt_xrelease(below);
    mt_xrelease(size);
    mt_xrelease(square);
    return r;
}

static int
check_lstsq(mt_tensor *self, mt_tensor *b, bool *vector)
{
    static const char who[] = "torch.linalg.lstsq";
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "%s: input must have at least 2 dimensions.", who);
    if (b->ndim < 1)
        return mt_fail(MT_RUNTIME, "%s: other must have at least 1 dimension.", who);
    if (self->dtype != b->dtype)
        return mt_fail(MT_RUNTIME, "%s: Expected input and other to have the same dtype, but got input's "
                                   "dtype %s and other's dtype %s", who,
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[b->dtype].scalar_name);
    int diff = self->ndim - b->ndim;
    if (diff < 0 || diff > 1)
        return mt_fail(MT_RUNTIME, "%s: input.dim() must be greater or equal to other.dim() and (input.dim() - "
                                   "other.dim()) <= 1", who);
    *vector = diff == 1;
    if (mt_rows(self) != (*vector ? b->sizes[b->ndim - 1] : mt_rows(b)))
        return mt_fail(MT_RUNTIME, *vector ? "%s: input.size(-2) should match other.size(-1)"
                                           : "%s: input.size(-2) should match other.size(-2)", who);
    return mt_check_blas_type(self, "linalg_lstsq_cpu");
}

int
op_linalg_lstsq(mt_tensor *self, mt_tensor *b, mt_value rcond, const char *driver, mt_tensor **solution,
                mt_tensor **residuals, mt_tensor **rank, mt_tensor **singular_values)
{
    bool vector = false;
    int which, rc = -1;
    *solution = *residuals = *rank = *singular_values = NULL;
    if (check_lstsq(self, b, &vector) < 0 || (which = fit_driver(driver)) < 0)
        return -1;
    mt_dtype t = (mt_dtype)self->dtype, real = mt_is_complex(t) ? mt_dtypes[t].to_real : t;
    mt_tensor *other = vector ? aten_unsqueeze(b, -1) : mt_keep(b), *x = NULL, *top = NULL;
    mt_tensor *cut = NULL;
    int64_t m = mt_rows(self), n = mt_columns(self), nrhs = mt_columns(other);
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0), bs, v = mt_batch_shape(self, 2, 1, MT_MIN(m, n), 0);
    if (mt_broadcast_batches(self, other, &bs) < 0)
        goto done;
    bool broadcasts = bs.ndim != self->ndim - 2;
    for (int d = 0; d < bs.ndim && !broadcasts; d++)
        broadcasts = bs.sizes[d] != self->sizes[d];
    if (broadcasts) {
        s = bs;
        mt_add_matrix(&s, m, n);
        v = bs;
        v.sizes[v.ndim++] = MT_MIN(m, n);
    }
    mt_shape batch = bs;
    mt_add_matrix(&bs, MT_MAX(m, n), nrhs);
    fit f = {.t = t, .driver = which, .m = (int)m, .n = (int)n, .nrhs = (int)nrhs,
             .ldb = (int)MT_MAX(MT_MAX(m, n), 1)};
    f.rcond = !mt_is_none(rcond) ? mt_scalar_f64(rcond)
                                 : (real == MT_FLOAT64 ? DBL_EPSILON : (double)FLT_EPSILON) * (double)MT_MAX(m, n);
    if (!(f.a = mt_copy_columns(self, &s, t)) || !(x = mt_empty_columns(&bs, t)))
        goto done;
    memset(mt_data(x), 0, (size_t)(x->numel * mt_itemsize(x)));
    if (!(top = aten_narrow(x, -2, 0, m)) || mt_copy_data(top, other) < 0)
        goto done;
    f.b = x;
    *rank = which ? mt_empty(batch.ndim, batch.sizes, NULL, MT_INT64, MT_CPU_DEVICE) : nothing(MT_INT64);
    *singular_values = which >= 2 ? mt_empty(v.ndim, v.sizes, NULL, real, MT_CPU_DEVICE) : nothing(real);
    if (!*rank || !*singular_values)
        goto done;
    f.rank = which ? *rank : NULL;
    f.s = which >= 2 ? *singular_values : NULL;
    if (f.a->numel == 0 || x->numel == 0) {
        memset(mt_data(x), 0, (size_t)(x->numel * mt_itemsize(x)));
        if (f.rank)
            memset(mt_data(*rank), 0, (size_t)(*rank)->numel * 8);
    } else {
        if (mt_lapack_open() < 0)
            goto done;
        size_t bytes = fit_scratch(&f);
        if (mt_for_matrices(mt_batch_count(x, 2), m * n * MT_MIN(m, n), bytes, fit_one, &f) < 0)
            goto done;
        if (f.info) {
            mt_fail(f.info < 0 ? MT_RUNTIME : MT_LINALG,
                    "torch.linalg.lstsq: The least squares solution could not be computed because the input "
                    "matrix does not have full rank (error code: %d).", f.info);
            goto done;
        }
    }
    if (!(*residuals = residuals_of(&f, x, real)) || !(cut = aten_narrow(x, -2, 0, n)))
        goto done;
    *solution = vector ? aten_squeeze_dim(cut, -1) : mt_keep(cut);
    if (*solution) {
        /* a tensor of its own: the rest of the memory is nobody's */
        mt_tensor *own = mt_alias_same(*solution);
        mt_release(*solution);
        *solution = own;
    }
    rc = *solution ? 0 : -1;
done:
    mt_xrelease(other);
    mt_xrelease(x);
    mt_xrelease(top);
    mt_xrelease(cut);
    mt_xrelease(f.a);
    if (rc < 0) {
        mt_tensor **all[] = {solution, residuals, rank, singular_values};
        for (size_t i = 0; i < MT_COUNT(all); i++) {
            mt_xrelease(*all[i]);
            *all[i] = NULL;
        }
    }
    return rc;
}
