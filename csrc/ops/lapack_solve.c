/* Linear systems: general, triangular and factored ones, the inverse and the determinant. */
#include "ops/lapack.h"

#include <complex.h>
#include <math.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* ---- shapes of A X = B and X A = B ------------------------------------------------------------ */

/* B is a batch of vectors: one, or one per matrix of A. */
static bool
is_vector(const mt_tensor *A, const mt_tensor *B)
{
    if (B->ndim == 1)
        return true;
    if (A->ndim - 1 != B->ndim)
        return false;
    for (int d = 0; d < B->ndim; d++)
        if (A->sizes[d] != B->sizes[d])
            return false;
    return true;
}

/* rows and columns of B as a matrix. */
static int
check_fits(const mt_tensor *A, int64_t rows, int64_t columns, bool left, const char *who)
{
    if (mt_rows(A) != (left ? rows : columns))
        return mt_fail(MT_RUNTIME, "%s: Incompatible shapes of A and B for the equation %s = B (%lldx%lld "
                                   "and %lldx%lld)",
                       who, left ? "AX" : "XA", (long long)mt_rows(A), (long long)mt_columns(A),
                       (long long)rows, (long long)columns);
    return 0;
}

int
mth_is_vector_rhs(mt_tensor *A, mt_tensor *B, bool *ret)
{
    *ret = is_vector(A, B);
    return 0;
}

/* ---- general systems -------------------------------------------------------------------------- */

typedef struct lu_system {
    mt_dtype t;
    int64_t n, nrhs;
    mt_tensor *lu, *pivots, *x;
    char trans;
} lu_system;

int
_linalg_solve_ex_meta(mt_call *call, mt_tensor *A, mt_tensor *B, bool left, bool check_errors)
{
    (void)check_errors;
    if (mt_check_inexact(A, "linalg.solve", false) < 0 || mt_check_square(A, "linalg.solve") < 0)
        return -1;
    if (A->dtype != B->dtype)
        return mt_fail(MT_RUNTIME, "linalg.solve: Expected A and B to have the same dtype, but found A of "
                                   "type %s and B of type %s instead",
                       mt_dtypes[A->dtype].scalar_name, mt_dtypes[B->dtype].scalar_name);
    bool vector = is_vector(A, B);
    if (!vector && mt_check_matrix(B, "linalg.solve", "B") < 0)
        return -1;
    int64_t rows = vector ? B->sizes[B->ndim - 1] : mt_rows(B), columns = vector ? 1 : mt_columns(B);
    if (check_fits(A, rows, columns, left, "linalg.solve") < 0 || mt_check_blas_type(A, "lu_cpu") < 0)
        return -1;
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape s = mt_batch_shape(A, 2, 0, 0, 0), b = mt_batch_shape(A, 2, 0, 0, 0);
    b.ndim = mt_broadcast(b.sizes, b.ndim, B->sizes, vector ? B->ndim - 1 : B->ndim - 2);
    if (b.ndim < 0)
        return -1;
    int rc;
    if (vector) {
        b.sizes[b.ndim++] = rows;
        /* PyTorch lays vectors out as one matrix by columns */
        int64_t strides[MT_MAX_DIMS];
        int64_t step = 1;
        for (int d = b.ndim - 2; d >= 0; d--) {
            strides[d] = step;
            step *= MT_MAX(b.sizes[d], 1);
        }
        strides[b.ndim - 1] = step;
        rc = mt_set_output(call, 0, b.ndim, b.sizes, strides, t, A->device);
    } else {
        mt_add_matrix(&b, rows, columns);
        rc = left ? mt_set_columns(call, 0, &b, t, A->device) : mt_set_rows(call, 0, &b, t, A->device);
    }
    if (rc < 0)
        return -1;
    mt_add_matrix(&s, mt_rows(A), mt_rows(A));
    if (mt_set_columns(call, 1, &s, t, A->device) < 0 ||
        mt_set_output(call, 2, A->ndim - 1, A->sizes, NULL, MT_INT32, A->device) < 0)
        return -1;
    return mt_set_output(call, 3, A->ndim - 2, A->sizes, NULL, MT_INT32, A->device);
}

static void
solve_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    lu_system *s = ctx;
    int n = (int)s->n;
    mt_lapack_getrs(s->t, s->trans, n, (int)s->nrhs, mt_matrix(s->lu, i, s->n * s->n), n,
                    mt_matrix(s->pivots, i, s->n), mt_matrix(s->x, i, s->n * s->nrhs), n);
}

/* Solves in place: x has n x nrhs matrices by columns (left) or nrhs x n by rows. lu (by columns)
 * and pivots may have fewer batch dimensions. */
static int
solve_factored(mt_tensor *lu, mt_tensor *pivots, mt_tensor *x, int64_t n, int64_t nrhs, char trans)
{
    if (x->numel == 0)
        return 0;
    int64_t count = x->numel / (n * nrhs);
    mt_shape s = mt_batch_shape(x, 2, 2, n, n), p = mt_batch_shape(x, 2, 1, n, 0);
    bool same = lu->numel == count * n * n && lu->strides[lu->ndim - 2] == 1;
    mt_tensor *a = same ? mt_keep(lu) : mt_copy_columns(lu, &s, (mt_dtype)lu->dtype);
    mt_tensor *q = mt_empty(p.ndim, p.sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = a && q ? mt_copy_data(q, pivots) : -1;
    lu_system l = {(mt_dtype)x->dtype, n, nrhs, a, q, x, trans};
    if (rc == 0)
        rc = mt_for_matrices(count, n * n * nrhs, 0, solve_one, &l);
    mt_xrelease(a);
    mt_xrelease(q);
    return rc;
}

int
_linalg_solve_ex_impl(mt_call *call, mt_tensor *A, mt_tensor *B, bool left, bool check_errors)
{
    bool vector = is_vector(A, B);
    int64_t n = mt_rows(A), nrhs = vector ? 1 : left ? mt_columns(B) : mt_rows(B);
    mt_dtype t = (mt_dtype)A->dtype;
    mt_tensor *out = mt_out(call, 0), *x = NULL, *lu = mt_work_columns(mt_out(call, 1)), *pivots = NULL;
    mt_tensor *info = NULL, *column = NULL;
    int rc = -1;
    if (!lu)
        return -1;
    pivots = mt_empty(A->ndim - 1, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    info = mt_empty(A->ndim - 2, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    if (!pivots || !info || mt_lu_factor(A, lu, pivots, info) < 0)
        goto done;
    if (check_errors && mt_check_info(info, "torch.linalg.solve_ex", info->ndim == 0) < 0)
        goto done;
    /* a vector is a matrix of one column, or of one row */
    mt_shape s = mt_batch_shape(out, vector ? 1 : 2, 0, 0, 0);
    mt_add_matrix(&s, left ? n : nrhs, left ? nrhs : n);
    x = left ? mt_empty_columns(&s, t) : mt_empty(s.ndim, s.sizes, NULL, t, MT_CPU_DEVICE);
    column = vector && x ? aten_unsqueeze(B, left ? -1 : -2) : mt_keep(B);
    if (!x || !column || mt_copy_data(x, column) < 0)
        goto done;
    if (solve_factored(lu, pivots, x, n, nrhs, left ? 'N' : 'T') < 0)
        goto done;
    if (vector) {
        mt_tensor *flat = aten_squeeze_dim(x, left ? -1 : -2);
        rc = flat ? mt_copy_data(out, flat) : -1;
        mt_xrelease(flat);
    } else
        rc = mt_copy_data(out, x);
    if (rc == 0)
        rc = mt_copy_data(mt_out(call, 2), pivots) | mt_copy_data(mt_out(call, 3), info);
    if (rc == 0 && lu != mt_out(call, 1))
        rc = mt_copy_data(mt_out(call, 1), lu);
done:
    mt_xrelease(lu);
    mt_xrelease(pivots);
    mt_xrelease(info);
    mt_xrelease(x);
    mt_xrelease(column);
    return rc;
}

int
op_linalg_solve_ex(mt_tensor *A, mt_tensor *B, bool left, bool check_errors, mt_tensor **result,
                   mt_tensor **info)
{
    mt_tensor *lu, *pivots;
    if (aten__linalg_solve_ex(A, B, left, check_errors, result, &lu, &pivots, info) < 0)
        return -1;
    mt_release(lu);
    mt_release(pivots);
    return 0;
}

mt_tensor *
op_linalg_solve(mt_tensor *A, mt_tensor *B, bool left)
{
    mt_tensor *x, *info;
    if (aten_linalg_solve_ex(A, B, left, false, &x, &info) < 0)
        return NULL;
    if (mt_check_info(info, "torch.linalg.solve", A->ndim == 2) < 0) {
        mt_release(x);
        x = NULL;
    }
    mt_release(info);
    return x;
}

/* ---- the inverse ------------------------------------------------------------------------------ */

int
linalg_inv_ex_meta(mt_call *call, mt_tensor *A, bool check_errors)
{
    (void)check_errors;
    if (mt_check_square(A, "linalg.inv") < 0 || mt_check_inexact(A, "linalg.inv", true) < 0)
        return -1;
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0);
    if (mt_set_columns(call, 0, &s, (mt_dtype)A->dtype, A->device) < 0)
        return -1;
    return mt_set_output(call, 1, A->ndim - 2, A->sizes, NULL, MT_INT32, A->device);
}

/* Identity matrices of a packed tensor. */
static void
set_identity(mt_tensor *x, int64_t n)
{
    int64_t size = mt_itemsize(x), count = n ? x->numel / (n * n) : 0;
    const float f[2] = {1, 0};
    const double d[2] = {1, 0};
    const void *one = x->dtype == MT_FLOAT64 || x->dtype == MT_COMPLEX128 ? (const void *)d : f;
    memset(mt_data(x), 0, (size_t)(x->numel * size));
    for (int64_t i = 0; i < count; i++)
        for (int64_t r = 0; r < n; r++)
            memcpy((char *)mt_data(x) + ((i * n + r) * n + r) * size, one, (size_t)size);
}

int
linalg_inv_ex_impl(mt_call *call, mt_tensor *A, bool check_errors)
{
    int64_t n = mt_rows(A);
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0);
    mt_tensor *out = mt_out(call, 0), *x = mt_work_columns(out);
    mt_tensor *lu = mt_empty_columns(&s, (mt_dtype)A->dtype);
    mt_tensor *pivots = mt_empty(A->ndim - 1, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    mt_tensor *info = mt_empty(A->ndim - 2, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = x && lu && pivots && info ? mt_lu_factor(A, lu, pivots, info) : -1;
    if (rc == 0) {
        set_identity(x, n);
        rc = solve_factored(lu, pivots, x, n, n, 'N');
    }
    if (rc == 0 && check_errors)
        rc = mt_check_info(info, "linalg.inv_ex", info->ndim == 0);
    if (rc == 0)
        rc = mt_copy_data(mt_out(call, 1), info);
    mt_xrelease(lu);
    mt_xrelease(pivots);
    mt_xrelease(info);
    if (rc < 0) {
        mt_xrelease(x);
        return -1;
    }
    return mt_give_work(out, x);
}

static mt_tensor *
checked_inverse(mt_tensor *A, const char *who)
{
    mt_tensor *x, *info;
    if (aten_linalg_inv_ex(A, false, &x, &info) < 0)
        return NULL;
    if (mt_check_info(info, who, A->ndim == 2) < 0) {
        mt_release(x);
        x = NULL;
    }
    mt_release(info);
    return x;
}

mt_tensor *
op_linalg_inv(mt_tensor *A)
{
    return checked_inverse(A, "linalg.inv");
}

mt_tensor *
op__tensor_inverse(mt_tensor *A)
{
    return checked_inverse(A, "inv");
}

/* ---- systems with an LU factorization --------------------------------------------------------- */

int
linalg_lu_solve_meta(mt_call *call, mt_tensor *LU, mt_tensor *pivots, mt_tensor *B, bool left,
                     bool adjoint)
{
    (void)adjoint;
    if (mt_check_inexact(LU, "torch.linalg.lu_solve", false) < 0)
        return -1;
    if (LU->dtype != B->dtype)
        return mt_fail(MT_RUNTIME, "linalg.lu_solve: Expected LU and B to have the same dtype, but found LU "
                                   "of type %s and B of type %s instead",
                       mt_dtypes[LU->dtype].scalar_name, mt_dtypes[B->dtype].scalar_name);
    if (pivots->dtype != MT_INT32)
        return mt_fail(MT_RUNTIME,
                       "linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32");
    if (mt_check_square(LU, "torch.linalg.lu_solve") < 0 ||
        mt_check_matrix(B, "torch.linalg.lu_solve", "B") < 0 ||
        check_fits(LU, mt_rows(B), mt_columns(B), left, "linalg.lu_solve") < 0)
        return -1;
    if (pivots->ndim < 1 || pivots->sizes[pivots->ndim - 1] != mt_rows(LU))
        return mt_fail(MT_RUNTIME, "linalg.lu_solve: Number of pivots per batch should be same as the "
                                   "dimension of the matrix");
    bool fits = pivots->ndim == LU->ndim - 1;
    for (int d = 0; fits && d < pivots->ndim; d++)
        fits = pivots->sizes[d] == LU->sizes[d];
    if (!fits)
        return mt_fail(MT_RUNTIME, "linalg.lu_solve: Expected LU.shape[:-1] and pivots.shape to be the same, "
                                   "but got pivots with shape %s instead", mt_shape_str(pivots));
    if (mt_check_blas_type(LU, "lu_solve_cpu") < 0)
        return -1;
    mt_shape s;
    if (mt_broadcast_batches(LU, B, &s) < 0)
        return -1;
    mt_add_matrix(&s, mt_rows(B), mt_columns(B));
    return left ? mt_set_columns(call, 0, &s, (mt_dtype)B->dtype, B->device)
                : mt_set_rows(call, 0, &s, (mt_dtype)B->dtype, B->device);
}

static void
conjugate_data(mt_tensor *x)
{
    if (x->dtype == MT_COMPLEX64)
        for (int64_t i = 0; i < x->numel; i++)
            ((float *)mt_data(x))[2 * i + 1] *= -1;
    else if (x->dtype == MT_COMPLEX128)
        for (int64_t i = 0; i < x->numel; i++)
            ((double *)mt_data(x))[2 * i + 1] *= -1;
}

int
linalg_lu_solve_impl(mt_call *call, mt_tensor *LU, mt_tensor *pivots, mt_tensor *B, bool left,
                     bool adjoint)
{
    mt_tensor *out = mt_out(call, 0), *x = left ? mt_work_columns(out) : mt_work_rows(out);
    if (!x || mt_copy_data(x, B) < 0) {
        mt_xrelease(x);
        return -1;
    }
    int64_t n = mt_rows(LU), nrhs = left ? mt_columns(B) : mt_rows(B);
    /* X A^H = B is A X^H = B^H, and rows of X are columns of its transpose */
    bool turn = !left && adjoint;
    if (turn)
        conjugate_data(x);
    if (solve_factored(LU, pivots, x, n, nrhs, left ? (adjoint ? 'C' : 'N') : adjoint ? 'N' : 'T') < 0) {
        mt_release(x);
        return -1;
    }
    if (turn)
        conjugate_data(x);
    return mt_give_work(out, x);
}

mt_tensor *
op_lu_solve(mt_tensor *self, mt_tensor *LU_data, mt_tensor *LU_pivots)
{
    static bool warned;
    if (mt_warn_once(&warned, "torch.lu_solve is deprecated in favor of torch.linalg.lu_solveand will be removed in "
                              "a future PyTorch release.\nNote that torch.linalg.lu_solve has its arguments "
                              "reversed.\nX = torch.lu_solve(B, LU, pivots)\nshould be replaced with\nX = "
                              "torch.linalg.lu_solve(LU, pivots, B)") < 0)
        return NULL;
    return aten_linalg_lu_solve(LU_data, LU_pivots, self, true, false);
}

/* ---- triangular systems ----------------------------------------------------------------------- */

int
linalg_solve_triangular_meta(mt_call *call, mt_tensor *self, mt_tensor *B, bool upper, bool left,
                             bool unitriangular)
{
    (void)upper, (void)unitriangular;
    const char *who = "linalg.solve_triangular";
    if (mt_check_square(self, who) < 0 || mt_check_matrix(B, who, "B") < 0 ||
        check_fits(self, mt_rows(B), mt_columns(B), left, who) < 0 ||
        mt_check_blas_type(self, "triangular_solve_cpu") < 0)
        return -1;
    mt_shape s;
    if (mt_broadcast_batches(self, B, &s) < 0)
        return -1;
    mt_add_matrix(&s, mt_rows(B), mt_columns(B));
    return mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device);
}

typedef struct triangle {
    mt_dtype t;
    int64_t n, rows, columns;
    mt_tensor *a, *x;
    char side, uplo, trans, diag;
} triangle;

static void
triangle_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    triangle *s = ctx;
    mt_lapack_trsm(s->t, s->side, s->uplo, s->trans, s->diag, (int)s->rows, (int)s->columns,
                   mt_matrix(s->a, i, s->n * s->n), (int)s->n, mt_matrix(s->x, i, s->rows * s->columns),
                   (int)s->rows);
}

/* x, packed by columns, holds B and then the solution. */
static int
solve_triangle(mt_tensor *A, mt_tensor *x, bool left, bool upper, char trans, bool unit)
{
    if (x->numel == 0)
        return 0;
    int64_t n = mt_rows(A);
    mt_shape s = mt_batch_shape(x, 2, 2, n, n);
    mt_tensor *a = mt_copy_columns(A, &s, (mt_dtype)x->dtype);
    if (!a)
        return -1;
    triangle t = {(mt_dtype)x->dtype, n, mt_rows(x), mt_columns(x), a, x, left ? 'L' : 'R',
                  upper ? 'U' : 'L', trans, unit ? 'U' : 'N'};
    int rc = mt_for_matrices(mt_batch_count(x, 2), n * x->numel / mt_batch_count(x, 2), 0, triangle_one, &t);
    mt_release(a);
    return rc;
}

int
linalg_solve_triangular_impl(mt_call *call, mt_tensor *self, mt_tensor *B, bool upper, bool left,
                             bool unitriangular)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_work_columns(out);
    if (!x || mt_copy_data(x, B) < 0 || solve_triangle(self, x, left, upper, 'N', unitriangular) < 0) {
        mt_xrelease(x);
        return -1;
    }
    return mt_give_work(out, x);
}

int
triangular_solve_meta(mt_call *call, mt_tensor *self, mt_tensor *A, bool upper, bool transpose,
                      bool unitriangular)
{
    (void)upper, (void)transpose, (void)unitriangular;
    static bool warned;
    if (mt_warn_once(&warned, "torch.triangular_solve is deprecated in favor of "
                              "torch.linalg.solve_triangularand will be removed in a future PyTorch "
                              "release.\ntorch.linalg.solve_triangular has its arguments reversed and does "
                              "not return a copy of one of the inputs.\nX = torch.triangular_solve(B, "
                              "A).solution\nshould be replaced with\nX = torch.linalg.solve_triangular(A, "
                              "B).") < 0)
        return -1;
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.triangular_solve: Expected b to have at least 2 dimensions, but it "
                                   "has %d dimensions instead", self->ndim);
    if (A->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.triangular_solve: Expected A to have at least 2 dimensions, but it "
                                   "has %d dimensions instead", A->ndim);
    if (self->dtype != A->dtype)
        return mt_fail(MT_RUNTIME, "Expected b and A to have the same dtype, but found b of type %s and A "
                                   "of type %s instead.",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[A->dtype].scalar_name);
    if (mt_rows(A) != mt_columns(A))
        return mt_fail(MT_RUNTIME,
                       "A must be batches of square matrices, but they are %lld by %lld matrices",
                       (long long)mt_rows(A), (long long)mt_columns(A));
    if (mt_rows(A) != mt_rows(self))
        return mt_fail(MT_RUNTIME, "Incompatible matrix sizes for triangular_solve: each A matrix is %lld by "
                                   "%lld but each b matrix is %lld by %lld",
                       (long long)mt_rows(A), (long long)mt_columns(A), (long long)mt_rows(self),
                       (long long)mt_columns(self));
    if (mt_check_blas_type(A, "triangular_solve_cpu") < 0)
        return -1;
    mt_shape s, a;
    if (mt_broadcast_batches(self, A, &s) < 0)
        return -1;
    a = s;
    mt_add_matrix(&s, mt_rows(self), mt_columns(self));
    mt_add_matrix(&a, mt_rows(A), mt_rows(A));
    if (mt_set_columns(call, 0, &s, (mt_dtype)A->dtype, A->device) < 0)
        return -1;
    return mt_set_columns(call, 1, &a, (mt_dtype)A->dtype, A->device);
}

int
triangular_solve_impl(mt_call *call, mt_tensor *self, mt_tensor *A, bool upper, bool transpose,
                      bool unitriangular)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_work_columns(out);
    if (!x || mt_copy_data(x, self) < 0 || mt_copy_data(mt_out(call, 1), A) < 0 ||
        solve_triangle(A, x, true, upper, transpose ? 'T' : 'N', unitriangular) < 0) {
        mt_xrelease(x);
        return -1;
    }
    return mt_give_work(out, x);
}

/* ---- determinants ----------------------------------------------------------------------------- */

static int
factors_meta(mt_call *call, int first, mt_tensor *A)
{
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0);
    if (mt_set_columns(call, first, &s, (mt_dtype)A->dtype, A->device) < 0)
        return -1;
    return mt_set_output(call, first + 1, A->ndim - 1, A->sizes, NULL, MT_INT32, A->device);
}

int
_linalg_det_meta(mt_call *call, mt_tensor *A)
{
    if (mt_check_square(A, "linalg.det") < 0 || mt_check_inexact(A, "linalg.det", false) < 0 ||
        mt_check_blas_type(A, "lu_cpu") < 0)
        return -1;
    if (mt_set_output(call, 0, A->ndim - 2, A->sizes, NULL, (mt_dtype)A->dtype, A->device) < 0)
        return -1;
    return factors_meta(call, 1, A);
}

int
_linalg_slogdet_meta(mt_call *call, mt_tensor *A)
{
    if (mt_check_square(A, "linalg.slogdet") < 0 || mt_check_inexact(A, "linalg.slogdet", true) < 0)
        return -1;
    mt_dtype t = (mt_dtype)A->dtype, real = mt_is_complex(t) ? mt_dtypes[t].to_real : t;
    if (mt_set_output(call, 0, A->ndim - 2, A->sizes, NULL, t, A->device) < 0 ||
        mt_set_output(call, 1, A->ndim - 2, A->sizes, NULL, real, A->device) < 0)
        return -1;
    return factors_meta(call, 2, A);
}

/* -1 for an odd permutation. */
static int
parity(const int32_t *pivots, int64_t n)
{
    int sign = 1;
    for (int64_t i = 0; i < n; i++)
        sign = pivots[i] != i + 1 ? -sign : sign;
    return sign;
}

#define DETERMINANT(T)                                                                             \
    for (int64_t i = 0; i < count; i++) {                                                          \
        const T *a = (const T *)mt_data(lu) + i * n * n;                                           \
        T p = (T)parity(pivots + i * n, n);                                                        \
        for (int64_t k = 0; k < n; k++)                                                            \
            p *= a[k * n + k];                                                                     \
        ((T *)mt_data(out))[i] = p;                                                                \
    }
#define LOGARITHM(T, R, ABS, LOG)                                                                  \
    for (int64_t i = 0; i < count; i++) {                                                          \
        const T *a = (const T *)mt_data(lu) + i * n * n;                                           \
        T p = (T)parity(pivots + i * n, n);                                                        \
        R sum = 0;                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                                          \
            R size = ABS(a[k * n + k]);                                                            \
            p = size == 0 ? 0 : p * (a[k * n + k] / size);                                         \
            sum += LOG(size);                                                                      \
        }                                                                                          \
        ((T *)mt_data(out))[i] = p;                                                                \
        ((R *)mt_data(logs))[i] = sum;                                                             \
    }

/* logs NULL: the determinant itself. The outputs are packed. */
static void
determinants(mt_tensor *lu, const int32_t *pivots, mt_tensor *out, mt_tensor *logs)
{
    int64_t n = mt_rows(lu), count = out->numel;
    switch ((mt_dtype)lu->dtype) {
    case MT_FLOAT32:
        if (logs)
            LOGARITHM(float, float, fabsf, logf)
        else
            DETERMINANT(float)
        break;
    case MT_FLOAT64:
        if (logs)
            LOGARITHM(double, double, fabs, log)
        else
            DETERMINANT(double)
        break;
    case MT_COMPLEX64:
        if (logs)
            LOGARITHM(mt_complex64, float, cabsf, logf)
        else
            DETERMINANT(mt_complex64)
        break;
    default:
        if (logs)
            LOGARITHM(mt_complex128, double, cabs, log)
        else
            DETERMINANT(mt_complex128)
        break;
    }
}

static int
determinant(mt_call *call, mt_tensor *A, bool logarithm)
{
    int first = logarithm ? 2 : 1, rc = -1;
    mt_dtype t = (mt_dtype)A->dtype;
    mt_tensor *out = mt_out(call, 0), *logs = logarithm ? mt_out(call, 1) : NULL;
    mt_tensor *lu = mt_work_columns(mt_out(call, first)), *value = NULL, *size = NULL;
    mt_tensor *pivots = mt_empty(A->ndim - 1, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    mt_tensor *info = mt_empty(A->ndim - 2, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    if (!lu || !pivots || !info || mt_lu_factor(A, lu, pivots, info) < 0)
        goto done;
    value = mt_empty(out->ndim, out->sizes, NULL, t, MT_CPU_DEVICE);
    size = logs ? mt_empty(out->ndim, out->sizes, NULL, (mt_dtype)logs->dtype, MT_CPU_DEVICE) : NULL;
    if (!value || (logs && !size))
        goto done;
    determinants(lu, mt_data(pivots), value, size);
    rc = mt_copy_data(out, value) | mt_copy_data(mt_out(call, first + 1), pivots);
    if (rc == 0 && logs)
        rc = mt_copy_data(logs, size);
    if (rc == 0 && lu != mt_out(call, first))
        rc = mt_copy_data(mt_out(call, first), lu);
done:
    mt_xrelease(lu);
    mt_xrelease(pivots);
    mt_xrelease(info);
    mt_xrelease(value);
    mt_xrelease(size);
    return rc;
}

int
_linalg_det_impl(mt_call *call, mt_tensor *A)
{
    return determinant(call, A, false);
}

int
_linalg_slogdet_impl(mt_call *call, mt_tensor *A)
{
    return determinant(call, A, true);
}

mt_tensor *
op_linalg_det(mt_tensor *A)
{
    mt_tensor *value, *lu, *pivots;
    if (aten__linalg_det(A, &value, &lu, &pivots) < 0)
        return NULL;
    mt_release(lu);
    mt_release(pivots);
    return value;
}

int
op_linalg_slogdet(mt_tensor *A, mt_tensor **sign, mt_tensor **logabsdet)
{
    mt_tensor *lu, *pivots;
    if (aten__linalg_slogdet(A, sign, logabsdet, &lu, &pivots) < 0)
        return -1;
    mt_release(lu);
    mt_release(pivots);
    return 0;
}

mt_tensor *
op_logdet(mt_tensor *self)
{
    if (mt_check_square(self, "logdet") < 0 || mt_check_inexact(self, "logdet", true) < 0)
        return NULL;
    mt_tensor *sign, *size, *r = NULL, *phase = NULL;
    if (aten_linalg_slogdet(self, &sign, &size) < 0)
        return NULL;
    if (mt_is_complex((mt_dtype)self->dtype)) {
        phase = aten_log(sign);
        r = phase ? aten_add_Tensor(phase, size, mt_v_int(1)) : NULL;
    } else {
        /* NaN where the determinant is negative */
        mt_tensor *negative = aten_eq_Scalar(sign, mt_v_int(-1));
        r = negative ? aten_masked_fill_Scalar(size, negative, mt_v_float(NAN)) : NULL;
        mt_xrelease(negative);
    }
    mt_xrelease(phase);
    mt_release(sign);
    mt_release(size);
    return r;
}
