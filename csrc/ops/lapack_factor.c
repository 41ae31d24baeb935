/* Triangular factorizations: Cholesky, LU, LDL. */
#include "ops/lapack.h"

#include <stdlib.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* Zeros above (or below) the diagonal of a matrix packed by columns. */
static void
clear_triangle(char *a, int64_t rows, int64_t columns, int64_t size, bool above)
{
    for (int64_t c = 0; c < columns; c++) {
        int64_t begin = above ? 0 : MT_MIN(c + 1, rows), end = above ? MT_MIN(c, rows) : rows;
        memset(a + (c * rows + begin) * size, 0, (size_t)((end - begin) * size));
    }
}

/* ---- Cholesky --------------------------------------------------------------------------------- */

typedef struct factors {
    mt_dtype t;
    int64_t m, n;
    mt_tensor *a, *pivots, *info;
    bool upper, hermitian;
} factors;

static int
info_meta(mt_call *call, int i, const mt_tensor *a)
{
    return mt_set_output(call, i, a->ndim - 2, a->sizes, NULL, MT_INT32, a->device);
}

int
linalg_cholesky_ex_meta(mt_call *call, mt_tensor *self, bool upper, bool check_errors)
{
    (void)upper, (void)check_errors;
    if (mt_check_square(self, "linalg.cholesky") < 0 ||
        mt_check_inexact(self, "linalg.cholesky", false) < 0 ||
        mt_check_blas_type(self, "cholesky_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    if (mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return info_meta(call, 1, self);
}

static void
cholesky_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    factors *f = ctx;
    char *a = mt_matrix(f->a, i, f->n * f->n);
    int n = (int)f->n;
    ((int32_t *)mt_data(f->info))[i] = mt_lapack_potrf(f->t, f->upper ? 'U' : 'L', n, a, MT_MAX(n, 1));
    clear_triangle(a, n, n, mt_itemsize(f->a), !f->upper);
}

/* A packed tensor for the codes of an output: itself where it is contiguous. */
static mt_tensor *
work_vector(mt_tensor *out)
{
    return mt_is_contiguous(out) ? mt_keep(out)
                                 : mt_empty(out->ndim, out->sizes, NULL, (mt_dtype)out->dtype, out->device);
}

int
linalg_cholesky_ex_impl(mt_call *call, mt_tensor *self, bool upper, bool check_errors)
{
    mt_tensor *out = mt_out(call, 0), *info_out = mt_out(call, 1);
    mt_tensor *a = mt_work_columns(out), *info = work_vector(info_out);
    int rc = a && info ? mt_copy_data(a, self) : -1;
    factors f = {(mt_dtype)self->dtype, mt_rows(self), mt_rows(self), a, NULL, info, upper, false};
    if (rc == 0)
        rc = mt_for_matrices(info->numel, f.n * f.n * f.n / 3, 0, cholesky_one, &f);
    if (rc == 0 && check_errors)
        rc = mt_check_info(info, "linalg.cholesky_ex", info->ndim == 0);
    if (rc < 0) {
        mt_xrelease(a);
        mt_xrelease(info);
        return -1;
    }
    rc = mt_give_work(out, a);
    return mt_give_work(info_out, info) < 0 ? -1 : rc;
}

static mt_tensor *
checked_cholesky(mt_tensor *self, bool upper, const char *who)
{
    mt_tensor *l, *info;
    if (aten_linalg_cholesky_ex(self, upper, false, &l, &info) < 0)
        return NULL;
    if (mt_check_info(info, who, info->ndim == 0) < 0) {
        mt_release(l);
        l = NULL;
    }
    mt_release(info);
    return l;
}

mt_tensor *
op_linalg_cholesky(mt_tensor *self, bool upper)
{
    return checked_cholesky(self, upper, "linalg.cholesky");
}

int
cholesky_meta(mt_call *call, mt_tensor *self, bool upper)
{
    (void)upper;
    static bool warned;
    if (mt_warn_once(&warned,
                     "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be "
                     "removed in a future PyTorch release.\n"
                     "L = torch.cholesky(A)\nshould be replaced with\nL = torch.linalg.cholesky(A)\n"
                     "and\nU = torch.cholesky(A, upper=True)\nshould be replaced with\n"
                     "U = torch.linalg.cholesky(A).mH\nThis transform will produce equivalent results "
                     "for all valid (symmetric positive definite) inputs.") < 0)
        return -1;
    if (mt_check_square(self, "cholesky") < 0 || mt_check_blas_type(self, "cholesky_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    return mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device);
}

int
cholesky_impl(mt_call *call, mt_tensor *self, bool upper)
{
    mt_tensor *l = checked_cholesky(self, upper, "cholesky");
    int rc = l ? mt_copy_data(mt_out(call, 0), l) : -1;
    mt_xrelease(l);
    return rc;
}

/* ---- systems with a Cholesky factor ----------------------------------------------------------- */

int
cholesky_inverse_meta(mt_call *call, mt_tensor *self, bool upper)
{
    (void)upper;
    if (mt_check_square(self, "cholesky_inverse") < 0 ||
        mt_check_blas_type(self, "cholesky_inverse_out_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    return mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device);
}

#define MIRROR(T, CONJ)                                                                            \
    for (int64_t c = 0; c < n; c++)                                                                \
        for (int64_t r = 0; r < c; r++) {                                                          \
            T *upper_ = (T *)a + c * n + r, *lower_ = (T *)a + r * n + c;                          \
            if (from_upper)                                                                        \
                *lower_ = CONJ(*upper_);                                                           \
            else                                                                                   \
                *upper_ = CONJ(*lower_);                                                           \
        }
#define SAME(x) (x)

/* The other triangle of a Hermitian matrix. */
static void
mirror(mt_dtype t, void *a, int64_t n, bool from_upper)
{
    switch (t) {
    case MT_FLOAT32: MIRROR(float, SAME) break;
    case MT_FLOAT64: MIRROR(double, SAME) break;
    case MT_COMPLEX64: MIRROR(mt_complex64, __builtin_conjf) break;
    default: MIRROR(mt_complex128, __builtin_conj) break;
    }
}

static void
inverse_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    factors *f = ctx;
    char *a = mt_matrix(f->a, i, f->n * f->n);
    int n = (int)f->n;
    ((int32_t *)mt_data(f->info))[i] = mt_lapack_potri(f->t, f->upper ? 'U' : 'L', n, a, MT_MAX(n, 1));
    mirror(f->t, a, n, f->upper);
}

int
cholesky_inverse_impl(mt_call *call, mt_tensor *self, bool upper)
{
    mt_tensor *out = mt_out(call, 0), *a = mt_work_columns(out);
    mt_tensor *info = mt_empty(self->ndim - 2, self->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = a && info ? mt_copy_data(a, self) : -1;
    factors f = {(mt_dtype)self->dtype, mt_rows(self), mt_rows(self), a, NULL, info, upper, false};
    if (rc == 0)
        rc = mt_for_matrices(info->numel, f.n * f.n * f.n / 3, 0, inverse_one, &f);
    if (rc == 0)
        rc = mt_check_info(info, "cholesky_inverse", info->ndim == 0);
    mt_xrelease(info);
    if (rc < 0) {
        mt_xrelease(a);
        return -1;
    }
    return mt_give_work(out, a);
}

int
cholesky_solve_meta(mt_call *call, mt_tensor *self, mt_tensor *input2, bool upper)
{
    (void)upper;
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "b should have at least 2 dimensions, but has %d dimensions instead",
                       self->ndim);
    if (input2->ndim < 2)
        return mt_fail(MT_RUNTIME, "u should have at least 2 dimensions, but has %d dimensions instead",
                       input2->ndim);
    if (self->dtype != input2->dtype)
        return mt_fail(MT_RUNTIME, "Expected b and A to have the same dtype, but found b of type %s and A "
                                   "of type %s instead.",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[input2->dtype].scalar_name);
    if (mt_rows(input2) != mt_columns(input2))
        return mt_fail(MT_RUNTIME,
                       "A must be batches of square matrices, but they are %lld by %lld matrices",
                       (long long)mt_rows(input2), (long long)mt_columns(input2));
    if (mt_rows(input2) != mt_rows(self))
        return mt_fail(MT_RUNTIME, "Incompatible matrix sizes for cholesky_solve: each A matrix is %lld by "
                                   "%lld but each b matrix is %lld by %lld",
                       (long long)mt_rows(input2), (long long)mt_columns(input2),
                       (long long)mt_rows(self), (long long)mt_columns(self));
    if (mt_check_blas_type(self, "cholesky_solve_cpu") < 0)
        return -1;
    mt_shape s;
    if (mt_broadcast_batches(self, input2, &s) < 0)
        return -1;
    mt_add_matrix(&s, mt_rows(self), mt_columns(self));
    return mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device);
}

static void
cholesky_solve_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    factors *f = ctx;
    int n = (int)f->m, ld = MT_MAX(n, 1);
    mt_lapack_potrs(f->t, f->upper ? 'U' : 'L', n, (int)f->n, mt_matrix(f->a, i, f->m * f->m), ld,
                    mt_matrix(f->info, i, f->m * f->n), ld);
}

int
cholesky_solve_impl(mt_call *call, mt_tensor *self, mt_tensor *input2, bool upper)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_work_columns(out);
    mt_shape s = mt_batch_shape(out, 2, 2, mt_rows(out), mt_rows(out));
    mt_tensor *a = mt_copy_columns(input2, &s, (mt_dtype)out->dtype);
    int rc = x && a ? mt_copy_data(x, self) : -1;
    factors f = {(mt_dtype)out->dtype, mt_rows(out), mt_columns(out), a, NULL, x, upper, false};
    if (rc == 0 && out->numel)
        rc = mt_for_matrices(mt_batch_count(out, 2), f.m * f.m * f.n, 0, cholesky_solve_one, &f);
    mt_xrelease(a);
    if (rc < 0) {
        mt_xrelease(x);
        return -1;
    }
    return mt_give_work(out, x);
}

/* ---- LU --------------------------------------------------------------------------------------- */

int
linalg_lu_factor_ex_meta(mt_call *call, mt_tensor *A, bool pivot, bool check_errors)
{
    (void)check_errors;
    if (A->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: "
                                   "%s instead", mt_shape_str(A));
    if (!pivot && !mt_is_meta(A))
        return mt_fail(MT_RUNTIME,
                       "linalg.lu_factor: LU without pivoting is not implemented on the CPU");
    if (mt_check_blas_type(A, "lu_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0), k = mt_batch_shape(A, 2, 1, MT_MIN(mt_rows(A), mt_columns(A)), 0);
    if (mt_set_columns(call, 0, &s, (mt_dtype)A->dtype, A->device) < 0 ||
        mt_set_output(call, 1, k.ndim, k.sizes, NULL, MT_INT32, A->device) < 0)
        return -1;
    return info_meta(call, 2, A);
}

static void
lu_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    factors *f = ctx;
    int32_t *info = (int32_t *)mt_data(f->info) + i;
    *info = 0;
    if (f->m && f->n)
        *info = mt_lapack_getrf(f->t, (int)f->m, (int)f->n, mt_matrix(f->a, i, f->m * f->n), (int)f->m,
                                mt_matrix(f->pivots, i, MT_MIN(f->m, f->n)));
}

/* Factors A into lu, pivots and info, given packed. */
int
mt_lu_factor(mt_tensor *A, mt_tensor *lu, mt_tensor *pivots, mt_tensor *info)
{
    if (mt_copy_data(lu, A) < 0)
        return -1;
    factors f = {(mt_dtype)lu->dtype, mt_rows(lu), mt_columns(lu), lu, pivots, info, false, false};
    return mt_for_matrices(mt_batch_count(lu, 2), f.m * f.n * MT_MIN(f.m, f.n), 0, lu_one, &f);
}

int
linalg_lu_factor_ex_impl(mt_call *call, mt_tensor *A, bool pivot, bool check_errors)
{
    (void)pivot;
    mt_tensor *lu = mt_work_columns(mt_out(call, 0)), *p = work_vector(mt_out(call, 1));
    mt_tensor *info = work_vector(mt_out(call, 2));
    int rc = lu && p && info ? mt_lu_factor(A, lu, p, info) : -1;
    if (rc == 0 && check_errors)
        rc = mt_check_info(info, "torch.linalg.lu_factor_ex", A->ndim == 2);
    if (rc < 0) {
        mt_xrelease(lu);
        mt_xrelease(p);
        mt_xrelease(info);
        return -1;
    }
    rc = mt_give_work(mt_out(call, 0), lu);
    rc |= mt_give_work(mt_out(call, 1), p);
    return rc | mt_give_work(mt_out(call, 2), info);
}

int
op_linalg_lu_factor(mt_tensor *A, bool pivot, mt_tensor **LU, mt_tensor **pivots)
{
    mt_tensor *info;
    if (aten_linalg_lu_factor_ex(A, pivot, false, LU, pivots, &info) < 0)
        return -1;
    int rc = mt_check_info(info, "torch.linalg.lu_factor", A->ndim == 2);
    mt_release(info);
    if (rc < 0) {
        mt_release(*LU);
        mt_release(*pivots);
    }
    return rc;
}

int
op__lu_with_info(mt_tensor *self, bool pivot, bool check_errors, mt_tensor **LU, mt_tensor **pivots,
                 mt_tensor **info)
{
    return aten_linalg_lu_factor_ex(self, pivot, check_errors, LU, pivots, info);
}

int
lu_unpack_meta(mt_call *call, mt_tensor *LU_data, mt_tensor *LU_pivots, bool unpack_data,
               bool unpack_pivots)
{
    if (LU_data->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: "
                                   "%s instead", mt_shape_str(LU_data));
    if (unpack_pivots && LU_pivots->dtype != MT_INT32)
        return mt_fail(MT_RUNTIME,
                       "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
                       "dtype.\nNote: this function is intended to be used with the output produced by "
                       "torch.linalg.lu_factor");
    int64_t m = mt_rows(LU_data), n = mt_columns(LU_data), k = MT_MIN(m, n), none = 0;
    mt_dtype t = (mt_dtype)LU_data->dtype;
    mt_shape p = mt_batch_shape(LU_data, 2, 2, m, m), l = mt_batch_shape(LU_data, 2, 2, m, k);
    mt_shape u = mt_batch_shape(LU_data, 2, 2, k, n);
    int rc = unpack_pivots ? mt_set_output(call, 0, p.ndim, p.sizes, NULL, t, LU_data->device)
                           : mt_set_output(call, 0, 1, &none, NULL, t, LU_data->device);
    if (rc < 0)
        return -1;
    if (!unpack_data)
        return mt_set_output(call, 1, 1, &none, NULL, t, LU_data->device) < 0 ||
                       mt_set_output(call, 2, 1, &none, NULL, t, LU_data->device) < 0
                   ? -1
                   : 0;
    return mt_set_output(call, 1, l.ndim, l.sizes, NULL, t, LU_data->device) < 0 ||
                   mt_set_output(call, 2, u.ndim, u.sizes, NULL, t, LU_data->device) < 0
               ? -1
               : 0;
}

/* The number 1 in an element type, as bytes. */
static void
one_of(mt_dtype t, void *to)
{
    const float f[2] = {1, 0};
    const double d[2] = {1, 0};
    const uint16_t half = 0x3C00, bfloat = 0x3F80;
    const int64_t i = 1; /* the low byte comes first */
    const void *from = t == MT_FLOAT64 || t == MT_COMPLEX128  ? (const void *)d
                       : t == MT_FLOAT32 || t == MT_COMPLEX64 ? (const void *)f
                       : t == MT_FLOAT16                      ? (const void *)&half
                       : t == MT_BFLOAT16                     ? (const void *)&bfloat
                                                              : (const void *)&i;
    memcpy(to, from, mt_dtype_size(t));
}

static int
unpack_triangles(mt_tensor *lu, mt_tensor *l, mt_tensor *u)
{
    int64_t m = mt_rows(lu), n = mt_columns(lu), k = MT_MIN(m, n), size = mt_itemsize(lu);
    int64_t count = mt_batch_count(lu, 2);
    char one[16];
    one_of((mt_dtype)lu->dtype, one);
    memset(mt_data(l), 0, (size_t)(l->numel * size));
    memset(mt_data(u), 0, (size_t)(u->numel * size));
    for (int64_t i = 0; i < count; i++) {
        const char *from = mt_matrix(lu, i, m * n);
        char *lower = mt_matrix(l, i, m * k), *upper = mt_matrix(u, i, k * n);
        for (int64_t r = 0; r < m; r++) {
            int64_t left = MT_MIN(r, k);
            memcpy(lower + r * k * size, from + r * n * size, (size_t)(left * size));
            if (r < k) {
                memcpy(lower + (r * k + r) * size, one, (size_t)size);
                memcpy(upper + (r * n + r) * size, from + (r * n + r) * size, (size_t)((n - r) * size));
            }
        }
    }
    return 0;
}

static int
unpack_permutation(mt_tensor *pivots, mt_tensor *p)
{
    int64_t m = mt_rows(p), size = mt_itemsize(p), count = mt_batch_count(p, 2);
    int64_t k = pivots->ndim ? pivots->sizes[pivots->ndim - 1] : 0;
    const int32_t *swaps = mt_data(pivots);
    for (int64_t i = 0; i < pivots->numel; i++)
        if (swaps[i] < 1 || swaps[i] > m)
            return mt_fail(MT_RUNTIME, "pivots passed to lu_unpack must be between 1 and LU.size(-2) "
                                       "inclusive.Did you properly pass the result of lu_factor?");
    int64_t *rows = malloc((size_t)MT_MAX(m, 1) * sizeof *rows);
    if (!rows)
        return mt_fail(MT_MEMORY, "out of memory");
    char one[16];
    one_of((mt_dtype)p->dtype, one);
    memset(mt_data(p), 0, (size_t)(p->numel * size));
    for (int64_t i = 0; i < count; i++) {
        char *to = mt_matrix(p, i, m * m);
        for (int64_t r = 0; r < m; r++)
            rows[r] = r;
        for (int64_t r = 0; r < MT_MIN(k, m); r++) {
            int64_t other = swaps[i * k + r] - 1, t = rows[r];
            rows[r] = rows[other];
            rows[other] = t;
        }
        for (int64_t r = 0; r < m; r++)
            memcpy(to + (rows[r] * m + r) * size, one, (size_t)size);
    }
    free(rows);
    return 0;
}

int
lu_unpack_impl(mt_call *call, mt_tensor *LU_data, mt_tensor *LU_pivots, bool unpack_data,
               bool unpack_pivots)
{
    int rc = 0;
    if (unpack_data) {
        mt_tensor *lu = mt_contiguous_data(LU_data, false);
        rc = lu ? unpack_triangles(lu, mt_out(call, 1), mt_out(call, 2)) : -1;
        mt_xrelease(lu);
    }
    if (rc == 0 && unpack_pivots && mt_out(call, 0)->numel) {
        mt_tensor *p = mt_contiguous_data(LU_pivots, false);
        rc = p ? unpack_permutation(p, mt_out(call, 0)) : -1;
        mt_xrelease(p);
    }
    return rc;
}

int
linalg_lu_meta(mt_call *call, mt_tensor *A, bool pivot)
{
    if (A->ndim < 2)
        return mt_fail(MT_RUNTIME, "linalg.lu: Expected tensor with 2 or more dimensions. Got size: %s "
                                   "instead", mt_shape_str(A));
    if (!pivot && !mt_is_meta(A))
        return mt_fail(MT_RUNTIME,
                       "linalg.lu_factor: LU without pivoting is not implemented on the CPU");
    if (mt_check_blas_type(A, "lu_cpu") < 0)
        return -1;
    int64_t m = mt_rows(A), n = mt_columns(A), k = MT_MIN(m, n);
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape p = mt_batch_shape(A, 2, 2, m, m), l = mt_batch_shape(A, 2, 2, m, k);
    mt_shape u = mt_batch_shape(A, 2, 2, k, n);
    return mt_set_rows(call, 0, &p, t, A->device) < 0 || mt_set_rows(call, 1, &l, t, A->device) < 0 ||
                   mt_set_rows(call, 2, &u, t, A->device) < 0
               ? -1
               : 0;
}

int
linalg_lu_impl(mt_call *call, mt_tensor *A, bool pivot)
{
    (void)pivot;
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0);
    mt_shape k = mt_batch_shape(A, 2, 1, MT_MIN(mt_rows(A), mt_columns(A)), 0);
    mt_tensor *lu = mt_empty_columns(&s, (mt_dtype)A->dtype), *rows = NULL;
    mt_tensor *pivots = mt_empty(k.ndim, k.sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    mt_tensor *info = mt_empty(A->ndim - 2, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = lu && pivots && info ? mt_lu_factor(A, lu, pivots, info) : -1;
    if (rc == 0)
        rc = (rows = mt_contiguous_data(lu, true)) ? 0 : -1;
    if (rc == 0)
        rc = unpack_triangles(rows, mt_out(call, 1), mt_out(call, 2));
    if (rc == 0 && mt_out(call, 0)->numel)
        rc = unpack_permutation(pivots, mt_out(call, 0));
    mt_xrelease(lu);
    mt_xrelease(rows);
    mt_xrelease(pivots);
    mt_xrelease(info);
    return rc;
}

/* ---- LDL -------------------------------------------------------------------------------------- */

int
linalg_ldl_factor_ex_meta(mt_call *call, mt_tensor *self, bool hermitian, bool check_errors)
{
    (void)hermitian, (void)check_errors;
    if (mt_check_square(self, "torch.linalg.ldl_factor_ex") < 0 ||
        mt_check_inexact(self, "torch.linalg.ldl_factor_ex", false) < 0 ||
        mt_check_blas_type(self, "ldl_factor_kernel_cpu") < 0)
        return -1;
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    if (mt_set_columns(call, 0, &s, (mt_dtype)self->dtype, self->device) < 0 ||
        mt_set_output(call, 1, self->ndim - 1, self->sizes, NULL, MT_INT32, self->device) < 0)
        return -1;
    return info_meta(call, 2, self);
}

static void
ldl_one(void *ctx, int64_t i, void *scratch)
{
    factors *f = ctx;
    int n = (int)f->n;
    char *a = mt_matrix(f->a, i, f->n * f->n);
    clear_triangle(a, n, n, mt_itemsize(f->a), true);
    ((int32_t *)mt_data(f->info))[i] =
        n ? mt_lapack_sytrf(f->t, f->hermitian, 'L', n, a, n, mt_matrix(f->pivots, i, n), scratch,
                            64 * n)
          : 0;
}

int
linalg_ldl_factor_ex_impl(mt_call *call, mt_tensor *self, bool hermitian, bool check_errors)
{
    mt_tensor *ld = mt_work_columns(mt_out(call, 0)), *p = work_vector(mt_out(call, 1));
    mt_tensor *info = work_vector(mt_out(call, 2));
    int rc = ld && p && info ? mt_copy_data(ld, self) : -1;
    factors f = {(mt_dtype)self->dtype, mt_rows(self), mt_rows(self), ld, p, info, false, hermitian};
    if (rc == 0)
        rc = mt_for_matrices(info->numel, f.n * f.n * f.n / 3, (size_t)(64 * f.n * mt_itemsize(self)),
                             ldl_one, &f);
    if (rc == 0 && check_errors)
        rc = mt_check_info(info, "torch.linalg.ldl_factor_ex", self->ndim == 2);
    if (rc < 0) {
        mt_xrelease(ld);
        mt_xrelease(p);
        mt_xrelease(info);
        return -1;
    }
    rc = mt_give_work(mt_out(call, 0), ld);
    rc |= mt_give_work(mt_out(call, 1), p);
    return rc | mt_give_work(mt_out(call, 2), info);
}

int
op_linalg_ldl_factor(mt_tensor *self, bool hermitian, mt_tensor **LD, mt_tensor **pivots)
{
    mt_tensor *info;
    if (aten_linalg_ldl_factor_ex(self, hermitian, false, LD, pivots, &info) < 0)
        return -1;
    int rc = mt_check_info(info, "torch.linalg.ldl_factor", self->ndim == 2);
    mt_release(info);
    if (rc < 0) {
        mt_release(*LD);
        mt_release(*pivots);
    }
    return rc;
}

int
linalg_ldl_solve_meta(mt_call *call, mt_tensor *LD, mt_tensor *pivots, mt_tensor *B, bool hermitian)
{
    (void)hermitian;
    if (mt_check_square(LD, "torch.linalg.ldl_solve") < 0 ||
        mt_check_inexact(LD, "torch.linalg.ldl_solve", false) < 0)
        return -1;
    if (B->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.linalg.ldl_solve: Expected B to have at least 2 dimensions, but "
                                   "it has %d dimensions instead", B->ndim);
    bool fits = pivots->ndim == LD->ndim - 1;
    for (int d = 0; fits && d < pivots->ndim; d++)
        fits = pivots->sizes[d] == LD->sizes[d];
    if (!fits)
        return mt_fail(MT_RUNTIME, "torch.linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be "
                                   "the same, but got pivots with shape %s instead", mt_shape_str(pivots));
    if (!mt_is_integral((mt_dtype)pivots->dtype, false))
        return mt_fail(MT_RUNTIME, "torch.linalg.ldl_solve: Expected pivots to be integers. Got %s",
                       mt_dtypes[pivots->dtype].scalar_name);
    if (LD->dtype != B->dtype)
        return mt_fail(MT_RUNTIME, "torch.linalg.ldl_solve: LD dtype %s does not match b dtype %s",
                       mt_dtypes[LD->dtype].scalar_name, mt_dtypes[B->dtype].scalar_name);
    if (mt_rows(LD) != mt_rows(B))
        return mt_fail(MT_RUNTIME, "torch.linalg.ldl_solve: Incompatible matrix sizes for ldl_solve: each A "
                                   "matrix is %lld by %lld but each b matrix is %lld by %lld",
                       (long long)mt_rows(LD), (long long)mt_columns(LD), (long long)mt_rows(B),
                       (long long)mt_columns(B));
    if (mt_check_blas_type(LD, "ldl_solve_cpu") < 0)
        return -1;
    mt_shape s;
    if (mt_broadcast_batches(B, LD, &s) < 0)
        return -1;
    mt_add_matrix(&s, mt_rows(B), mt_columns(B));
    return mt_set_columns(call, 0, &s, (mt_dtype)LD->dtype, LD->device);
}

typedef struct ldl_system {
    factors f;
    mt_tensor *x;
} ldl_system;

static void
ldl_solve_one(void *ctx, int64_t i, void *scratch)
{
    (void)scratch;
    ldl_system *s = ctx;
    int n = (int)s->f.m;
    mt_lapack_sytrs(s->f.t, s->f.hermitian, 'L', n, (int)s->f.n, mt_matrix(s->f.a, i, s->f.m * s->f.m), n,
                    mt_matrix(s->f.pivots, i, n), mt_matrix(s->x, i, s->f.m * s->f.n), n);
}

int
linalg_ldl_solve_impl(mt_call *call, mt_tensor *LD, mt_tensor *pivots, mt_tensor *B, bool hermitian)
{
    mt_tensor *out = mt_out(call, 0), *x = mt_work_columns(out);
    mt_shape s = mt_batch_shape(out, 2, 2, mt_rows(out), mt_rows(out));
    mt_tensor *a = mt_copy_columns(LD, &s, (mt_dtype)LD->dtype);
    mt_tensor *p = mt_empty(s.ndim - 1, s.sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = x && a && p && mt_copy_data(p, pivots) == 0 ? mt_copy_data(x, B) : -1;
    ldl_system l = {{(mt_dtype)LD->dtype, mt_rows(out), mt_columns(out), a, p, NULL, false, hermitian}, x};
    if (rc == 0 && out->numel)
        rc = mt_for_matrices(mt_batch_count(out, 2), l.f.m * l.f.m * l.f.n, 0, ldl_solve_one, &l);
    mt_xrelease(a);
    mt_xrelease(p);
    if (rc < 0) {
        mt_xrelease(x);
        return -1;
    }
    return mt_give_work(out, x);
}
