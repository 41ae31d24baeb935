/* Matrix products: shapes and layouts here, the arithmetic in kernels/gemm. */
#include "ops/linalg.h"

#include "base/error.h"
#include "kernels/gemm.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* ---- layouts ------------------------------------------------------------------------------ */

/* A matrix as GEMM wants it: rows or columns packed; else a packed copy is made. */
typedef struct matrix {
    mt_tensor *tensor; /* owned */
    mt_trans trans;
    int64_t ld, batch_stride;
} matrix;

static int
as_matrix(mt_tensor *t, matrix *m)
{
    int n = t->ndim;
    int64_t rows = t->sizes[n - 2], columns = t->sizes[n - 1];
    int64_t rs = t->strides[n - 2], cs = t->strides[n - 1];
    m->tensor = NULL;
    if ((cs == 1 || columns == 1) && (rs >= MT_MAX(columns, 1) || rows == 1)) {
        m->trans = MT_TRANS_N;
        m->ld = rows == 1 ? MT_MAX(columns, 1) : rs;
    } else if ((rs == 1 || rows == 1) && (cs >= MT_MAX(rows, 1) || columns == 1)) {
        m->trans = MT_TRANS_T;
        m->ld = columns == 1 ? MT_MAX(rows, 1) : cs;
    } else {
        if (!(m->tensor = mt_contiguous_data(t, true)))
            return -1;
        m->trans = MT_TRANS_N;
        m->ld = MT_MAX(columns, 1);
        m->batch_stride = n == 3 ? rows * columns : 0;
        return 0;
    }
    m->tensor = mt_keep(t);
    m->batch_stride = n == 3 ? t->strides[0] : 0;
    return 0;
}

static int
same_dtype(const mt_tensor *a, const mt_tensor *b)
{
    if (a->dtype != b->dtype)
        return mt_fail(MT_RUNTIME, "expected m1 and m2 to have the same dtype, but got: %s != %s",
                       mt_c_name((mt_dtype)a->dtype), mt_c_name((mt_dtype)b->dtype));
    return 0;
}

const char *
mt_c_name(mt_dtype d)
{
    static const char *const names[MT_NUM_DTYPES] = {
        [MT_BOOL] = "bool", [MT_UINT8] = "unsigned char", [MT_INT8] = "signed char",
        [MT_INT16] = "short", [MT_INT32] = "int", [MT_INT64] = "long", [MT_FLOAT16] = "c10::Half",
        [MT_BFLOAT16] = "c10::BFloat16", [MT_FLOAT32] = "float", [MT_FLOAT64] = "double",
        [MT_COMPLEX64] = "c10::complex<float>", [MT_COMPLEX128] = "c10::complex<double>"};
    return names[d] ? names[d] : mt_dtypes[d].name;
}

static mt_coef
coef(mt_scalar s)
{
    return (mt_coef){mt_scalar_f64(s), mt_scalar_imag(s), mt_scalar_i64(s)};
}

/* out = beta * out + alpha * a @ b on 2-D or 3-D tensors, out packed. */
static int
product(mt_tensor *out, mt_tensor *a, mt_tensor *b, mt_coef alpha, mt_coef beta)
{
    if (out->numel == 0)
        return 0;
    matrix x, y;
    if (as_matrix(a, &x) < 0)
        return -1;
    if (as_matrix(b, &y) < 0) {
        mt_release(x.tensor);
        return -1;
    }
    int n = a->ndim;
    int64_t rows = out->sizes[n - 2], columns = out->sizes[n - 1], k = a->sizes[n - 1];
    int rc;
    if (n == 2)
        rc = mt_gemm((mt_dtype)out->dtype, x.trans, y.trans, rows, columns, k, alpha,
                     mt_data(x.tensor), x.ld, mt_data(y.tensor), y.ld, beta, mt_data(out),
                     MT_MAX(columns, 1));
    else
        rc = mt_gemm_batched((mt_dtype)out->dtype, x.trans, y.trans, out->sizes[0], rows, columns, k,
                             alpha, mt_data(x.tensor), x.ld, x.batch_stride, mt_data(y.tensor),
                             y.ld, y.batch_stride, beta, mt_data(out), MT_MAX(columns, 1),
                             rows * columns);
    mt_release(x.tensor);
    mt_release(y.tensor);
    return rc;
}

/* ---- matrices ----------------------------------------------------------------------------- */

static int
check_mm(const mt_tensor *a, const mt_tensor *b, const char *first)
{
    if (a->ndim != 2 && !strcmp(first, "self"))
        return mt_fail(MT_RUNTIME, "self must be a matrix");
    if (a->ndim != 2)
        return mt_fail(MT_RUNTIME, "mat1 must be a matrix, got %d-D tensor", a->ndim);
    if (b->ndim != 2)
        return !strcmp(first, "self") ? mt_fail(MT_RUNTIME, "mat2 must be a matrix")
                                      : mt_fail(MT_RUNTIME, "mat2 must be a matrix, got %d-D tensor",
                                                b->ndim);
    if (a->sizes[1] != b->sizes[0])
        return mt_fail(MT_RUNTIME, "mat1 and mat2 shapes cannot be multiplied (%lldx%lld and %lldx%lld)",
                       (long long)a->sizes[0], (long long)a->sizes[1], (long long)b->sizes[0],
                       (long long)b->sizes[1]);
    return same_dtype(a, b);
}

int
mm_meta(mt_call *call, mt_tensor *self, mt_tensor *mat2)
{
    if (check_mm(self, mat2, "self") < 0)
        return -1;
    if (self->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"addmm_impl_cpu_\" not implemented for 'Bool'");
    int64_t sizes[2] = {self->sizes[0], mat2->sizes[1]};
    return mt_set_output(call, 0, 2, sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
mm_impl(mt_call *call, mt_tensor *self, mt_tensor *mat2)
{
    return product(mt_out(call, 0), self, mat2, MT_COEF(1), MT_COEF(0));
}

static int
check_bmm(const mt_tensor *a, const mt_tensor *b, const char *x, const char *y)
{
    if (a->ndim != 3)
        return mt_fail(MT_RUNTIME, "%s must be a 3D tensor", x);
    if (b->ndim != 3)
        return mt_fail(MT_RUNTIME, "%s must be a 3D tensor", y);
    if (a->dtype != b->dtype)
        return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s",
                       mt_dtypes[a->dtype].scalar_name, mt_dtypes[b->dtype].scalar_name);
    if (a->sizes[0] != b->sizes[0] || a->sizes[2] != b->sizes[1])
        return mt_fail(MT_RUNTIME,
                       "Expected size for first two dimensions of batch2 tensor to be: [%lld, %lld] but "
                       "got: [%lld, %lld].",
                       (long long)a->sizes[0], (long long)a->sizes[2], (long long)b->sizes[0],
                       (long long)b->sizes[1]);
    return 0;
}

int
bmm_meta(mt_call *call, mt_tensor *self, mt_tensor *mat2)
{
    if (check_bmm(self, mat2, "batch1", "batch2") < 0)
        return -1;
    if (self->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"bmm\" not implemented for 'Bool'");
    int64_t sizes[3] = {self->sizes[0], self->sizes[1], mat2->sizes[2]};
    return mt_set_output(call, 0, 3, sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
bmm_impl(mt_call *call, mt_tensor *self, mt_tensor *mat2)
{
    return product(mt_out(call, 0), self, mat2, MT_COEF(1), MT_COEF(0));
}

/* Shape [rows, columns] (after `batch`) that self must expand to. */
static int
check_expands(const mt_tensor *self, int n, const int64_t *sizes)
{
    bool ok = self->ndim <= n;
    for (int d = 0; ok && d < self->ndim; d++) {
        int64_t s = self->sizes[self->ndim - 1 - d];
        ok = s == 1 || s == sizes[n - 1 - d];
    }
    if (!ok) {
        /* the words of expand */
        for (int d = n - 1; d >= 0; d--) {
            int own = d - (n - self->ndim);
            if (own >= 0 && self->sizes[own] != 1 && self->sizes[own] != sizes[d])
                return mt_fail(MT_RUNTIME,
                               "The expanded size of the tensor (%lld) must match the existing size "
                               "(%lld) at non-singleton dimension %d.  Target sizes: %s.  Tensor "
                               "sizes: %s",
                               (long long)sizes[d], (long long)self->sizes[own], d,
                               mt_str_ints(sizes, n), mt_shape_str(self));
        }
        return mt_fail(MT_RUNTIME,
                       "expand(torch.%sTensor{%s}, size=%s): the number of sizes provided (%d) must be "
                       "greater or equal to the number of dimensions in the tensor (%d)",
                       mt_dtypes[self->dtype].scalar_name, mt_shape_str(self), mt_str_ints(sizes, n),
                       n, self->ndim);
    }
    return 0;
}

int
addmm_meta(mt_call *call, mt_tensor *self, mt_tensor *mat1, mt_tensor *mat2, mt_scalar beta,
           mt_scalar alpha)
{
    (void)beta;
    (void)alpha;
    if (check_mm(mat1, mat2, "mat1") < 0)
        return -1;
    int64_t sizes[2] = {mat1->sizes[0], mat2->sizes[1]};
    if (check_expands(self, 2, sizes) < 0)
        return -1;
    if (self->dtype != mat1->dtype)
        return mt_fail(MT_RUNTIME, "self and mat2 must have the same dtype, but got %s and %s",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[mat2->dtype].scalar_name);
    if (self->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"addmm_impl_cpu_\" not implemented for 'Bool'");
    return mt_set_output(call, 0, 2, sizes, NULL, (mt_dtype)mat1->dtype, mat1->device);
}

static int
add_product(mt_tensor *out, mt_tensor *self, mt_tensor *a, mt_tensor *b, mt_scalar beta,
            mt_scalar alpha)
{
    if (mt_scalar_is_zero(beta))
        return product(out, a, b, coef(alpha), MT_COEF(0));
    if (out != self && mt_copy_data(out, self) < 0)
        return -1;
    return product(out, a, b, coef(alpha), coef(beta));
}

int
addmm_impl(mt_call *call, mt_tensor *self, mt_tensor *mat1, mt_tensor *mat2, mt_scalar beta,
           mt_scalar alpha)
{
    return add_product(mt_out(call, 0), self, mat1, mat2, beta, alpha);
}

int
baddbmm_meta(mt_call *call, mt_tensor *self, mt_tensor *batch1, mt_tensor *batch2, mt_scalar beta,
             mt_scalar alpha)
{
    (void)beta;
    (void)alpha;
    if (check_bmm(batch1, batch2, "batch1", "batch2") < 0)
        return -1;
    int64_t sizes[3] = {batch1->sizes[0], batch1->sizes[1], batch2->sizes[2]};
    if (check_expands(self, 3, sizes) < 0)
        return -1;
    if (self->dtype != batch1->dtype)
        return mt_fail(MT_RUNTIME, "Input dtypes must be the same, got: input %s, batch1: %s, batch2: %s",
                       mt_c_name((mt_dtype)self->dtype), mt_c_name((mt_dtype)batch1->dtype),
                       mt_c_name((mt_dtype)batch2->dtype));
    if (self->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"baddbmm\" not implemented for 'Bool'");
    return mt_set_output(call, 0, 3, sizes, NULL, (mt_dtype)batch1->dtype, batch1->device);
}

int
baddbmm_impl(mt_call *call, mt_tensor *self, mt_tensor *batch1, mt_tensor *batch2, mt_scalar beta,
             mt_scalar alpha)
{
    return add_product(mt_out(call, 0), self, batch1, batch2, beta, alpha);
}

/* ---- vectors ------------------------------------------------------------------------------ */

static int
check_mv(const mt_tensor *a, const mt_tensor *v)
{
    if (a->ndim != 2 || v->ndim != 1)
        return mt_fail(MT_RUNTIME, "vector + matrix @ vector expected, got %d, %d, %d", 1, a->ndim,
                       v->ndim);
    if (a->sizes[1] != v->sizes[0])
        return mt_fail(MT_RUNTIME, "size mismatch, got input (%lld), mat (%lldx%lld), vec (%lld)",
                       (long long)a->sizes[0], (long long)a->sizes[0], (long long)a->sizes[1],
                       (long long)v->sizes[0]);
    if (a->dtype != v->dtype)
        return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s",
                       mt_dtypes[a->dtype].scalar_name, mt_dtypes[v->dtype].scalar_name);
    if (a->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"addmv_impl_cpu\" not implemented for 'Bool'");
    return 0;
}

static int
matrix_vector(mt_tensor *out, mt_tensor *a, mt_tensor *v, mt_coef alpha, mt_coef beta)
{
    matrix x;
    if (out->numel == 0)
        return 0;
    if (as_matrix(a, &x) < 0)
        return -1;
    mt_tensor *dense = v->strides[0] > 0 ? mt_keep(v) : mt_contiguous_data(v, true);
    int64_t rows = x.trans == MT_TRANS_N ? a->sizes[0] : a->sizes[1];
    int64_t columns = x.trans == MT_TRANS_N ? a->sizes[1] : a->sizes[0];
    int rc = dense ? mt_gemv((mt_dtype)out->dtype, x.trans, rows, columns, alpha, mt_data(x.tensor),
                             x.ld, mt_data(dense), MT_MAX(dense->strides[0], 1), beta, mt_data(out),
                             1)
                   : -1;
    mt_xrelease(dense);
    mt_release(x.tensor);
    return rc;
}

int
mv_meta(mt_call *call, mt_tensor *self, mt_tensor *vec)
{
    if (check_mv(self, vec) < 0)
        return -1;
    return mt_set_output(call, 0, 1, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
mv_impl(mt_call *call, mt_tensor *self, mt_tensor *vec)
{
    return matrix_vector(mt_out(call, 0), self, vec, MT_COEF(1), MT_COEF(0));
}

int
addmv_meta(mt_call *call, mt_tensor *self, mt_tensor *mat, mt_tensor *vec, mt_scalar beta,
           mt_scalar alpha)
{
    (void)beta;
    (void)alpha;
    if (check_mv(mat, vec) < 0 || check_expands(self, 1, mat->sizes) < 0)
        return -1;
    if (self->dtype != mat->dtype)
        return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s",
                       mt_dtypes[mat->dtype].scalar_name, mt_dtypes[self->dtype].scalar_name);
    return mt_set_output(call, 0, 1, mat->sizes, NULL, (mt_dtype)mat->dtype, mat->device);
}

int
addmv_impl(mt_call *call, mt_tensor *self, mt_tensor *mat, mt_tensor *vec, mt_scalar beta,
           mt_scalar alpha)
{
    mt_tensor *out = mt_out(call, 0);
    if (mt_scalar_is_zero(beta))
        return matrix_vector(out, mat, vec, coef(alpha), MT_COEF(0));
    if (out != self && mt_copy_data(out, self) < 0)
        return -1;
    return matrix_vector(out, mat, vec, coef(alpha), coef(beta));
}

static int
dot_shape(mt_call *call, mt_tensor *a, mt_tensor *b, const char *name)
{
    if (a->ndim != 1 || b->ndim != 1)
        return mt_fail(MT_RUNTIME, "1D tensors expected, but got %dD and %dD tensors", a->ndim,
                       b->ndim);
    if (a->dtype != b->dtype)
        return mt_fail(MT_RUNTIME, "%s : expected both vectors to have same dtype, but found %s and %s",
                       "dot", mt_dtypes[a->dtype].scalar_name, mt_dtypes[b->dtype].scalar_name);
    if (a->numel != b->numel)
        return mt_fail(MT_RUNTIME,
                       "inconsistent tensor size, expected tensor %s and src %s to have the same "
                       "number of elements, but got %lld and %lld elements respectively",
                       mt_shape_str(a), mt_shape_str(b), (long long)a->numel, (long long)b->numel);
    if (a->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for 'Bool'", name);
    return mt_set_output(call, 0, 0, NULL, NULL, (mt_dtype)a->dtype, a->device);
}

static int
dot_product(mt_call *call, mt_tensor *a, mt_tensor *b, bool conj)
{
    mt_tensor *x = a->strides[0] > 0 ? mt_keep(a) : mt_contiguous_data(a, true);
    mt_tensor *y = b->strides[0] > 0 ? mt_keep(b) : mt_contiguous_data(b, true);
    int rc = x && y ? mt_dot((mt_dtype)a->dtype, conj, a->numel, mt_data(x), MT_MAX(x->strides[0], 1),
                             mt_data(y), MT_MAX(y->strides[0], 1), mt_data(mt_out(call, 0)))
                    : -1;
    mt_xrelease(x);
    mt_xrelease(y);
    return rc;
}

int
dot_meta(mt_call *call, mt_tensor *self, mt_tensor *tensor)
{
    return dot_shape(call, self, tensor, "dot");
}

int
dot_impl(mt_call *call, mt_tensor *self, mt_tensor *tensor)
{
    return dot_product(call, self, tensor, false);
}

int
vdot_meta(mt_call *call, mt_tensor *self, mt_tensor *other)
{
    return dot_shape(call, self, other, "vdot");
}

int
vdot_impl(mt_call *call, mt_tensor *self, mt_tensor *other)
{
    return dot_product(call, self, other, true);
}

/* ---- composites --------------------------------------------------------------------------- */

mt_tensor *
op_outer(mt_tensor *self, mt_tensor *vec2)
{
    if (self->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "outer: Expected 1-D argument self, but got %d-D", self->ndim);
    if (vec2->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "outer: Expected 1-D argument vec2, but got %d-D", vec2->ndim);
    mt_tensor *column = aten_unsqueeze(self, 1);
    mt_tensor *r = column ? aten_mul_Tensor(column, vec2) : NULL;
    mt_xrelease(column);
    return r;
}

static mt_tensor *
expanded(mt_tensor *t, const int64_t *batch, int nbatch, int64_t total)
{
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, batch, (size_t)nbatch * sizeof(int64_t));
    sizes[nbatch] = t->sizes[t->ndim - 2];
    sizes[nbatch + 1] = t->sizes[t->ndim - 1];
    mt_tensor *e = aten_expand(t, sizes, nbatch + 2, false);
    int64_t flat[3] = {total, sizes[nbatch], sizes[nbatch + 1]};
    mt_tensor *r = e ? aten_reshape(e, flat, 3) : NULL;
    mt_xrelease(e);
    return r;
}

mt_tensor *
op_matmul(mt_tensor *self, mt_tensor *other)
{
    int a = self->ndim, b = other->ndim;
    if (a == 0 || b == 0)
        return mt_fail_null(MT_RUNTIME,
                            "both arguments to matmul need to be at least 1D, but they are %dD and %dD",
                            a, b);
    if (a == 1 && b == 1)
        return aten_dot(self, other);
    if (a == 2 && b == 1)
        return aten_mv(self, other);
    if (a == 2 && b == 2)
        return aten_mm(self, other);
    mt_tensor *x = NULL, *y = NULL, *r = NULL, *out = NULL;
    if (a == 1 && b == 2) {
        if ((x = aten_unsqueeze(self, 0)) && (r = aten_mm(x, other)))
            out = aten_squeeze_dim(r, 0);
        goto done;
    }
    if (b <= 2) { /* fold the batch of self into its rows */
        int64_t k = self->sizes[a - 1], rows = 1, sizes[MT_MAX_DIMS];
        for (int d = 0; d < a - 1; d++)
            rows *= sizes[d] = self->sizes[d];
        int64_t folded[2] = {rows, k};
        if (!(x = aten_reshape(self, folded, 2)))
            goto done;
        if (b == 1)
            r = aten_mv(x, other);
        else
            r = aten_mm(x, other);
        if (!r)
            goto done;
        if (b == 2)
            sizes[a - 1] = other->sizes[1];
        out = aten__unsafe_view(r, sizes, b == 2 ? a : a - 1);
        goto done;
    }
    /* both may have batches */
    x = a == 1 ? aten_unsqueeze(self, 0) : mt_keep(self);
    y = b == 1 ? aten_unsqueeze(other, 1) : mt_keep(other);
    if (!x || !y)
        goto done;
    int64_t batch[MT_MAX_DIMS], total = 1;
    int nb = x->ndim - 2;
    memcpy(batch, x->sizes, (size_t)nb * sizeof(int64_t));
    if ((nb = mt_broadcast(batch, nb, y->sizes, y->ndim - 2)) < 0)
        goto done;
    for (int d = 0; d < nb; d++)
        total *= batch[d];
    mt_tensor *xb = expanded(x, batch, nb, total), *yb = xb ? expanded(y, batch, nb, total) : NULL;
    r = yb ? aten_bmm(xb, yb) : NULL;
    mt_xrelease(xb);
    mt_xrelease(yb);
    if (!r)
        goto done;
    int n = nb;
    if (a > 1)
        batch[n++] = x->sizes[x->ndim - 2];
    if (b > 1)
        batch[n++] = y->sizes[y->ndim - 1];
    out = aten__unsafe_view(r, batch, n);
done:
    mt_xrelease(x);
    mt_xrelease(y);
    mt_xrelease(r);
    return out;
}

mt_tensor *
op_linear(mt_tensor *input, mt_tensor *weight, mt_tensor *bias)
{
    mt_tensor *w = aten_t(weight), *r = NULL;
    if (!w)
        return NULL;
    if (input->ndim == 2 && bias && bias->ndim == 1)
        r = aten_addmm(bias, input, w, mt_v_int(1), mt_v_int(1));
    else if (input->ndim > 2 && bias && bias->ndim == 1 && mt_is_contiguous(input) && weight->ndim == 2) {
        int64_t k = input->sizes[input->ndim - 1], sizes[MT_MAX_DIMS];
        int64_t folded[2] = {k ? input->numel / k : 0, k};
        mt_tensor *flat = aten_view(input, folded, 2);
        mt_tensor *p = flat ? aten_addmm(bias, flat, w, mt_v_int(1), mt_v_int(1)) : NULL;
        if (p) {
            memcpy(sizes, input->sizes, (size_t)(input->ndim - 1) * sizeof(int64_t));
            sizes[input->ndim - 1] = weight->sizes[0];
            r = aten_view(p, sizes, input->ndim);
        }
        mt_xrelease(flat);
        mt_xrelease(p);
    } else {
        r = aten_matmul(input, w);
        if (r && bias) {
            mt_tensor *s = aten_add_Tensor(r, bias, mt_v_int(1));
            mt_release(r);
            r = s;
        }
    }
    mt_release(w);
    return r;
}

mt_tensor *
op_tensordot(mt_tensor *self, mt_tensor *other, const int64_t *dims_self, int64_t n,
             const int64_t *dims_other, int64_t m)
{
    if (n != m)
        return mt_fail_null(MT_RUNTIME, "both dimension lists should have same length");
    for (int64_t i = 0; i < n; i++) { /* a size of 1 stands for any: the other side is summed */
        int d = mt_wrap_dim(dims_self[i], self->ndim), e = d < 0 ? -1 : mt_wrap_dim(dims_other[i], other->ndim);
        if (d < 0 || e < 0)
            return NULL;
        bool left = other->sizes[e] == 1;
        if (self->sizes[d] == other->sizes[e] || (!left && self->sizes[d] != 1))
            continue;
        int64_t at = left ? d : e;
        mt_tensor *t = aten_sum_dim_IntList(left ? self : other, &at, 1, true,
                                            (mt_dtype)(left ? self : other)->dtype);
        mt_tensor *r = t ? aten_tensordot(left ? t : self, left ? other : t, dims_self, n, dims_other, m)
                         : NULL;
        mt_xrelease(t);
        return r;
    }
    bool drop_a[MT_MAX_DIMS] = {false}, drop_b[MT_MAX_DIMS] = {false};
    int64_t pa[MT_MAX_DIMS], pb[MT_MAX_DIMS], shape[MT_MAX_DIMS], common = 1, rows = 1, columns = 1;
    int k = 0;
    for (int64_t i = 0; i < n; i++) {
        int d = mt_wrap_dim(dims_self[i], self->ndim), e = d < 0 ? -1 : mt_wrap_dim(dims_other[i], other->ndim);
        if (d < 0 || e < 0)
            return NULL;
        if (self->sizes[d] != other->sizes[e])
            return mt_fail_null(MT_RUNTIME,
                                "contracted dimensions need to match, but first has size %lld in dim "
                                "%lld and second has size %lld in dim %lld",
                                (long long)self->sizes[d], (long long)dims_self[i],
                                (long long)other->sizes[e], (long long)dims_other[i]);
        drop_a[d] = drop_b[e] = true;
        common *= self->sizes[d];
        pa[self->ndim - n + i] = d;
        pb[i] = e;
    }
    int at = 0;
    for (int d = 0; d < self->ndim; d++)
        if (!drop_a[d]) {
            pa[at++] = d;
            shape[k++] = self->sizes[d];
            rows *= self->sizes[d];
        }
    at = (int)n;
    for (int d = 0; d < other->ndim; d++)
        if (!drop_b[d]) {
            pb[at++] = d;
            shape[k++] = other->sizes[d];
            columns *= other->sizes[d];
        }
    int64_t sa[2] = {rows, common}, sb[2] = {common, columns};
    mt_tensor *x = aten_permute(self, pa, self->ndim), *y = x ? aten_permute(other, pb, other->ndim) : NULL;
    mt_tensor *xm = y ? aten_reshape(x, sa, 2) : NULL, *ym = xm ? aten_reshape(y, sb, 2) : NULL;
    mt_tensor *p = ym ? aten_mm(xm, ym) : NULL, *r = p ? aten_reshape(p, shape, k) : NULL;
    mt_tensor *all[] = {x, y, xm, ym, p};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}

static mt_tensor *
multiplied(mt_tensor *t, mt_scalar by)
{
    mt_tensor *n = mt_wrap_scalar(by), *r = n ? aten_mul_Tensor(t, n) : NULL;
    mt_xrelease(n);
    return r;
}

/* beta * self + alpha * product; self is not read where beta is 0. Consumes product. */
static mt_tensor *
blend(mt_tensor *self, mt_tensor *product, mt_scalar beta, mt_scalar alpha)
{
    mt_tensor *scaled = product ? multiplied(product, alpha) : NULL, *r = NULL;
    mt_tensor *base = scaled ? aten_expand(self, product->sizes, product->ndim, false) : NULL;
    if (base && mt_scalar_f64(beta) == 0 && mt_scalar_imag(beta) == 0)
        r = mt_keep(scaled);
    else if (base) {
        mt_tensor *b = multiplied(base, beta);
        r = b ? aten_add_Tensor(b, scaled, mt_v_int(1)) : NULL;
        mt_xrelease(b);
    }
    mt_xrelease(base);
    mt_xrelease(scaled);
    mt_xrelease(product);
    return r;
}

mt_tensor *
op_addr(mt_tensor *self, mt_tensor *vec1, mt_tensor *vec2, mt_scalar beta, mt_scalar alpha)
{
    const mt_tensor *vectors[] = {vec1, vec2};
    for (int i = 0; i < 2; i++)
        if (vectors[i]->ndim != 1)
            return mt_fail_null(MT_RUNTIME, "addr: Expected 1-D argument vec%d, but got %d-D", i + 1,
                                vectors[i]->ndim);
    mt_dtype dtype = mt_promote((mt_dtype)self->dtype,
                                mt_promote((mt_dtype)vec1->dtype, (mt_dtype)vec2->dtype));
    const struct { const char *name; mt_scalar value; } numbers[] = {{"beta", beta}, {"alpha", alpha}};
    for (int i = 0; i < 2; i++) {
        if (mt_is_integral(dtype, true) && numbers[i].value.tag >= MT_V_FLOAT)
            return mt_fail_null(MT_RUNTIME,
                                "For integral input tensors, argument %s must not be a floating point "
                                "number.",
                                numbers[i].name);
        if (dtype != MT_BOOL && numbers[i].value.tag == MT_V_BOOL)
            return mt_fail_null(MT_RUNTIME, "Boolean %s only supported for Boolean results.",
                                numbers[i].name);
    }
    mt_tensor *r = blend(self, aten_outer(vec1, vec2), beta, alpha);
    mt_tensor *t = r ? aten_to_dtype(r, dtype, false, false, MT_FORMAT_NONE) : NULL;
    mt_xrelease(r);
    return t;
}

mt_tensor *
op_addbmm(mt_tensor *self, mt_tensor *batch1, mt_tensor *batch2, mt_scalar beta, mt_scalar alpha)
{
    if (mt_is_integral((mt_dtype)self->dtype, true)) {
        beta = mt_v_int(mt_scalar_i64(beta));
        alpha = mt_v_int(mt_scalar_i64(alpha));
    }
    int64_t first = 0;
    mt_tensor *p = aten_bmm(batch1, batch2), *sum = p ? aten_sum_dim_IntList(p, &first, 1, false, (mt_dtype)p->dtype) : NULL;
    mt_xrelease(p);
    return blend(self, sum, beta, alpha);
}
