/* Eigenvalues and singular values. */
#include "ops/lapack.h"

#include <math.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "ops_gen.h"
#include "tensor/copy.h"

typedef struct spectrum {
    mt_dtype t;
    int64_t m, n;
    mt_tensor *a, *w, *vectors, *left; /* packed by columns; w: values */
    int32_t *info;
    char job, uplo;
    int lwork, lrwork, liwork;
    size_t work_bytes, real_bytes;
    int64_t u_size, v_size; /* elements of a matrix of left and right vectors */
    int ldu, ldv;
} spectrum;

static mt_dtype
real_of(mt_dtype t)
{
    return mt_is_complex(t) ? mt_dtypes[t].to_real : t;
}

/* Splits scratch: workspace, reals, integers. */
static void *
reals(const spectrum *s, void *scratch)
{
    return (char *)scratch + s->work_bytes;
}

static int *
integers(const spectrum *s, void *scratch)
{
    return (int *)((char *)scratch + s->work_bytes + s->real_bytes);
}

static size_t
set_scratch(spectrum *s, int64_t work, int64_t real, int64_t ints)
{
    s->work_bytes = ((size_t)work * mt_dtype_size(s->t) + 63) / 64 * 64;
    s->real_bytes = ((size_t)real * mt_dtype_size(real_of(s->t)) + 63) / 64 * 64;
    return s->work_bytes + s->real_bytes + (size_t)ints * sizeof(int);
}

/* ---- Hermitian matrices ----------------------------------------------------------------------- */

int
_linalg_eigh_meta(mt_call *call, mt_tensor *A, const char *UPLO, bool compute_v)
{
    if (mt_check_square(A, "linalg.eigh") < 0)
        return -1;
    if (strlen(UPLO) != 1 || !strchr("LUlu", UPLO[0]))
        return mt_fail(MT_RUNTIME, "Expected UPLO argument to be 'L' or 'U', but got %s", UPLO);
    if (mt_check_blas_type(A, "linalg_eigh_cpu") < 0)
        return -1;
    int64_t none = 0;
    mt_shape s = mt_batch_shape(A, 0, 0, 0, 0);
    if (mt_set_output(call, 0, A->ndim - 1, A->sizes, NULL, real_of((mt_dtype)A->dtype), A->device) < 0)
        return -1;
    return compute_v ? mt_set_columns(call, 1, &s, (mt_dtype)A->dtype, A->device)
                     : mt_set_output(call, 1, 1, &none, NULL, (mt_dtype)A->dtype, A->device);
}

static void
eigh_one(void *ctx, int64_t i, void *scratch)
{
    spectrum *s = ctx;
    s->info[i] = mt_lapack_syevd(s->t, s->job, s->uplo, (int)s->n, mt_matrix(s->a, i, s->n * s->n), (int)s->n,
                                 mt_matrix(s->w, i, s->n), scratch, s->lwork, reals(s, scratch), s->lrwork,
                                 integers(s, scratch), s->liwork);
}

int
_linalg_eigh_impl(mt_call *call, mt_tensor *A, const char *UPLO, bool compute_v)
{
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape shape = mt_batch_shape(A, 0, 0, 0, 0);
    mt_tensor *a = mt_copy_columns(A, &shape, t), *w = mt_empty(A->ndim - 1, A->sizes, NULL, real_of(t), MT_CPU_DEVICE);
    mt_tensor *info = mt_empty(A->ndim - 2, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = a && w && info ? mt_lapack_open() : -1;
    spectrum s = {.t = t, .n = mt_rows(A), .a = a, .w = w, .job = compute_v ? 'V' : 'N',
                  .uplo = UPLO[0] == 'U' || UPLO[0] == 'u' ? 'U' : 'L'};
    if (rc == 0 && a->numel) {
        double best[2] = {0}, best_real[2] = {0};
        int best_int = 0;
        s.info = mt_data(info);
        mt_lapack_syevd(t, s.job, s.uplo, (int)s.n, mt_data(a), (int)s.n, mt_data(w), best, -1, best_real, -1,
                        &best_int, -1);
        s.lwork = MT_MAX(mt_lapack_length(t, best), 1);
        s.lrwork = MT_MAX(mt_lapack_length(real_of(t), best_real), 1);
        s.liwork = MT_MAX(best_int, 1);
        size_t bytes = set_scratch(&s, s.lwork, s.lrwork, s.liwork);
        rc = mt_for_matrices(info->numel, 4 * s.n * s.n * s.n, bytes, eigh_one, &s);
        if (rc == 0)
            rc = mt_check_info(info, "linalg.eigh", info->ndim == 0);
    }
    if (rc == 0)
        rc = mt_copy_data(mt_out(call, 0), w);
    if (rc == 0 && compute_v)
        rc = mt_copy_data(mt_out(call, 1), a);
    mt_xrelease(a);
    mt_xrelease(w);
    mt_xrelease(info);
    return rc;
}

int
op_linalg_eigh(mt_tensor *self, const char *UPLO, mt_tensor **eigenvalues, mt_tensor **eigenvectors)
{
    return aten__linalg_eigh(self, UPLO, true, eigenvalues, eigenvectors);
}

int
op_linalg_eigh_eigvals(mt_tensor *self, const char *UPLO, mt_tensor *eigvals, mt_tensor *eigvecs)
{
    mt_tensor *w, *v;
    if (aten__linalg_eigh(self, UPLO, true, &w, &v) < 0)
        return -1;
    int rc = mt_copy_to_out(eigvals, w, "linalg_eigh") < 0 ||
                     mt_copy_to_out(eigvecs, v, "linalg_eigh") < 0
                  ? -1 : 0;
    mt_release(w);
    mt_release(v);
    return rc;
}

static bool
wants_gradient(const mt_tensor *self)
{
    return (mt_requires_grad(self) && mt_this_thread()->grad_mode) || mt_this_thread()->fw_level;
}

mt_tensor *
op_linalg_eigvalsh(mt_tensor *self, const char *UPLO)
{
    mt_tensor *w, *v;
    if (aten__linalg_eigh(self, UPLO, wants_gradient(self), &w, &v) < 0)
        return NULL;
    mt_release(v);
    return w;
}

/* ---- general matrices ------------------------------------------------------------------------- */

static int
check_eig(mt_tensor *self, const char *who)
{
    if (mt_check_square(self, who) < 0)
        return -1;
    mt_dtype t = (mt_dtype)self->dtype;
    if (!mt_is_floating(t) && !mt_is_complex(t))
        return mt_fail(MT_RUNTIME, "Unknown Complex ScalarType for %s", mt_dtypes[t].scalar_name);
    return mt_check_blas_type(self, "linalg_eig_out_cpu");
}

static mt_dtype
complex_of(mt_dtype t)
{
    return mt_is_complex(t) ? t : mt_dtypes[t].to_complex;
}

int
linalg_eig_meta(mt_call *call, mt_tensor *self)
{
    if (check_eig(self, "linalg.eig") < 0)
        return -1;
    mt_dtype c = complex_of((mt_dtype)self->dtype);
    mt_shape s = mt_batch_shape(self, 0, 0, 0, 0);
    if (mt_set_output(call, 0, self->ndim - 1, self->sizes, NULL, c, self->device) < 0)
        return -1;
    return mt_set_columns(call, 1, &s, c, self->device);
}

int
_linalg_eigvals_meta(mt_call *call, mt_tensor *self)
{
    if (check_eig(self, "linalg.eigvals") < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim - 1, self->sizes, NULL, complex_of((mt_dtype)self->dtype), self->device);
}

#define JOIN(R, C)                                                                                 \
    for (int64_t k = 0; k < n; k++) {                                                              \
        const R *wr = rows, *wi = (const R *)rows + n, *v = vectors;                               \
        R *w = (R *)mt_matrix(s->w, i, n), *out = s->vectors ? mt_matrix(s->vectors, i, n * n) : NULL; \
        w[2 * k] = wr[k];                                                                          \
        w[2 * k + 1] = wi[k];                                                                      \
        if (!out)                                                                                  \
            continue;                                                                              \
        /* a complex pair shares two columns: its real and its imaginary part */                   \
        bool first = wi[k] > 0 || (wi[k] == 0), real = wi[k] == 0;                                 \
        const R *re = v + (first ? k : k - 1) * n, *im = re + n;                                   \
        for (int64_t r = 0; r < n; r++) {                                                          \
            out[2 * (k * n + r)] = re[r];                                                          \
            out[2 * (k * n + r) + 1] = real ? 0 : first ? im[r] : -im[r];                          \
        }                                                                                          \
    }

static void
eig_one(void *ctx, int64_t i, void *scratch)
{
    spectrum *s = ctx;
    int64_t n = s->n;
    void *a = mt_matrix(s->a, i, n * n), *rows = reals(s, scratch);
    if (mt_is_complex(s->t)) {
        s->info[i] = mt_lapack_geev(s->t, s->job, (int)n, a, (int)n, mt_matrix(s->w, i, n), NULL,
                                    s->vectors ? mt_matrix(s->vectors, i, n * n) : NULL, (int)n, scratch,
                                    s->lwork, rows);
        return;
    }
    /* reals: wr, wi, then the vectors */
    void *vectors = (char *)rows + 2 * n * (int64_t)mt_dtype_size(s->t);
    s->info[i] = mt_lapack_geev(s->t, s->job, (int)n, a, (int)n, rows, (char *)rows + n * (int64_t)mt_dtype_size(s->t),
                                vectors, (int)n, scratch, s->lwork, NULL);
    if (s->t == MT_FLOAT32) {
        JOIN(float, mt_complex64)
    } else {
        JOIN(double, mt_complex128)
    }
}

/* values and vectors (or NULL) are outputs; copies go there. */
static int
eigenvalues(mt_tensor *self, mt_tensor *values, mt_tensor *vectors)
{
    mt_dtype t = (mt_dtype)self->dtype, c = complex_of(t);
    mt_shape shape = mt_batch_shape(self, 0, 0, 0, 0);
    mt_tensor *a = mt_copy_columns(self, &shape, t), *v = vectors ? mt_empty_columns(&shape, c) : NULL;
    mt_tensor *w = mt_empty(self->ndim - 1, self->sizes, NULL, c, MT_CPU_DEVICE);
    mt_tensor *info = mt_empty(self->ndim - 2, self->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    int rc = a && w && info && (v || !vectors) ? mt_lapack_open() : -1;
    if (rc == 0 && a->numel) {
        mt_tensor *finite = aten_isfinite(a), *all = finite ? aten_all(finite) : NULL;
        rc = !all ? -1 : *(uint8_t *)mt_data(all) ? 0 : mt_fail(MT_RUNTIME, "torch.linalg.eig: input tensor should not contain infs or NaNs.");
        mt_xrelease(finite);
        mt_xrelease(all);
    }
    if (rc == 0 && a->numel) {
        spectrum s = {.t = t, .n = mt_rows(self), .a = a, .w = w, .vectors = v, .info = mt_data(info),
                      .job = v ? 'V' : 'N'};
        double best[2] = {0}, unused[2];
        mt_lapack_geev(t, s.job, (int)s.n, mt_data(a), (int)s.n, mt_data(w), unused, NULL, (int)s.n, best, -1, unused);
        s.lwork = MT_MAX(mt_lapack_length(t, best), 1);
        size_t bytes = set_scratch(&s, s.lwork, mt_is_complex(t) ? 2 * s.n : 2 * s.n + s.n * s.n, 0);
        rc = mt_for_matrices(info->numel, 10 * s.n * s.n * s.n, bytes, eig_one, &s);
        if (rc == 0)
            rc = mt_check_info(info, "torch.linalg.eig", info->ndim == 0);
    }
    if (rc == 0)
        rc = mt_copy_data(values, w);
    if (rc == 0 && vectors)
        rc = mt_copy_data(vectors, v);
    mt_xrelease(a);
    mt_xrelease(v);
    mt_xrelease(w);
    mt_xrelease(info);
    return rc;
}

int
linalg_eig_impl(mt_call *call, mt_tensor *self)
{
    return eigenvalues(self, mt_out(call, 0), mt_out(call, 1));
}

int
_linalg_eigvals_impl(mt_call *call, mt_tensor *self)
{
    return eigenvalues(self, mt_out(call, 0), NULL);
}

mt_tensor *
op_linalg_eigvals(mt_tensor *self)
{
    if (!wants_gradient(self))
        return aten__linalg_eigvals(self);
    /* the gradient needs the vectors */
    mt_tensor *w, *v;
    if (check_eig(self, "linalg.eigvals") < 0 || aten_linalg_eig(self, &w, &v) < 0)
        return NULL;
    mt_release(v);
    return w;
}

/* ---- singular values -------------------------------------------------------------------------- */

int
_linalg_svd_meta(mt_call *call, mt_tensor *A, bool full_matrices, bool compute_uv, const char *driver)
{
    if (mt_check_matrix(A, "linalg.svd", "A") < 0)
        return -1;
    if (driver)
        return mt_fail(MT_RUNTIME, "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA "
                                   "inputs with cuSOLVER backend.");
    if (mt_check_blas_type(A, "linalg_svd_cpu") < 0)
        return -1;
    int64_t m = mt_rows(A), n = mt_columns(A), k = MT_MIN(m, n), none = 0;
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape u = mt_batch_shape(A, 2, 2, m, full_matrices ? m : k), s = mt_batch_shape(A, 2, 1, k, 0);
    mt_shape v = mt_batch_shape(A, 2, 2, full_matrices ? n : k, n);
    int rc = compute_uv ? mt_set_columns(call, 0, &u, t, A->device)
                        : mt_set_output(call, 0, 1, &none, NULL, t, A->device);
    if (rc < 0 || mt_set_output(call, 1, s.ndim, s.sizes, NULL, real_of(t), A->device) < 0)
        return -1;
    return compute_uv ? mt_set_columns(call, 2, &v, t, A->device)
                      : mt_set_output(call, 2, 1, &none, NULL, t, A->device);
}

static void
svd_one(void *ctx, int64_t i, void *scratch)
{
    spectrum *s = ctx;
    bool vectors = s->job != 'N';
    s->info[i] = mt_lapack_gesdd(s->t, s->job, (int)s->m, (int)s->n, mt_matrix(s->a, i, s->m * s->n), (int)s->m,
                                 mt_matrix(s->w, i, MT_MIN(s->m, s->n)),
                                 vectors ? mt_matrix(s->left, i, s->u_size) : NULL, s->ldu,
                                 vectors ? mt_matrix(s->vectors, i, s->v_size) : NULL, s->ldv, scratch, s->lwork,
                                 reals(s, scratch), integers(s, scratch));
}

/* Identity matrices where there is nothing to decompose. */
static int
identities(mt_tensor *out)
{
    if (out->numel == 0)
        return 0;
    mt_tensor *eye = aten_eye_m(mt_rows(out), mt_columns(out), (mt_dtype)out->dtype, -1, out->device, mt_v_none());
    int rc = eye ? mt_copy_data(out, eye) : -1;
    mt_xrelease(eye);
    return rc;
}

int
_linalg_svd_impl(mt_call *call, mt_tensor *A, bool full_matrices, bool compute_uv, const char *driver)
{
    (void)driver;
    if (A->numel == 0)
        return compute_uv && (identities(mt_out(call, 0)) < 0 || identities(mt_out(call, 2)) < 0) ? -1 : 0;
    int64_t m = mt_rows(A), n = mt_columns(A), k = MT_MIN(m, n);
    mt_dtype t = (mt_dtype)A->dtype;
    mt_shape as = mt_batch_shape(A, 0, 0, 0, 0), us = mt_batch_shape(A, 2, 2, m, full_matrices ? m : k);
    mt_shape vs = mt_batch_shape(A, 2, 2, full_matrices ? n : k, n), ks = mt_batch_shape(A, 2, 1, k, 0);
    mt_tensor *a = mt_copy_columns(A, &as, t), *w = mt_empty(ks.ndim, ks.sizes, NULL, real_of(t), MT_CPU_DEVICE);
    mt_tensor *info = mt_empty(A->ndim - 2, A->sizes, NULL, MT_INT32, MT_CPU_DEVICE);
    mt_tensor *u = compute_uv ? mt_empty_columns(&us, t) : NULL, *v = compute_uv ? mt_empty_columns(&vs, t) : NULL;
    int rc = a && w && info && (!compute_uv || (u && v)) ? mt_lapack_open() : -1;
    if (rc == 0) {
        spectrum s = {.t = t, .m = m, .n = n, .a = a, .w = w, .left = u, .vectors = v, .info = mt_data(info),
                      .job = !compute_uv ? 'N' : full_matrices ? 'A' : 'S', .ldu = (int)m,
                      .ldv = (int)(full_matrices ? n : k)};
        s.u_size = m * (full_matrices ? m : k);
        s.v_size = (full_matrices ? n : k) * n;
        double best[2] = {0}, unused[2];
        int unused_int;
        mt_lapack_gesdd(t, s.job, (int)m, (int)n, mt_data(a), (int)m, mt_data(w), NULL, s.ldu, NULL, s.ldv, best, -1,
                        unused, &unused_int);
        s.lwork = MT_MAX(mt_lapack_length(t, best), 1);
        int64_t mx = MT_MAX(m, n);
        int64_t real = !mt_is_complex(t) ? 0 : !compute_uv ? 7 * k : k * MT_MAX(5 * k + 7, 2 * mx + 2 * k + 1);
        size_t bytes = set_scratch(&s, s.lwork, real, 8 * k);
        rc = mt_for_matrices(info->numel, 10 * m * n * k, bytes, svd_one, &s);
        if (rc == 0)
            rc = mt_check_info(info, "linalg.svd", info->ndim == 0);
    }
    if (rc == 0)
        rc = mt_copy_data(mt_out(call, 1), w);
    if (rc == 0 && compute_uv)
        rc = mt_copy_data(mt_out(call, 0), u) | mt_copy_data(mt_out(call, 2), v);
    mt_xrelease(a);
    mt_xrelease(w);
    mt_xrelease(info);
    mt_xrelease(u);
    mt_xrelease(v);
    return rc;
}

int
op_linalg_svd(mt_tensor *A, bool full_matrices, const char *driver, mt_tensor **U, mt_tensor **S, mt_tensor **Vh)
{
    return aten__linalg_svd(A, full_matrices, true, driver, U, S, Vh);
}

mt_tensor *
op_linalg_svdvals(mt_tensor *A, const char *driver)
{
    mt_tensor *u, *s, *v;
    if (aten__linalg_svd(A, false, wants_gradient(A), driver, &u, &s, &v) < 0)
        return NULL;
    mt_release(u);
    mt_release(v);
    return s;
}

int
op_svd(mt_tensor *self, bool some, bool compute_uv, mt_tensor **U, mt_tensor **S, mt_tensor **V)
{
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "linalg.svd: input should have at least 2 dimensions, but has %d dimensions "
                                   "instead", self->ndim);
    mt_tensor *vh = NULL;
    if (compute_uv) {
        if (aten_linalg_svd(self, !some, NULL, U, S, &vh) < 0)
            return -1;
        *V = aten_mH(vh);
        mt_release(vh);
        if (*V)
            return 0;
        mt_release(*U);
        mt_release(*S);
        return -1;
    }
    /* zeros in place of the vectors */
    mt_shape u = mt_batch_shape(self, 2, 2, mt_rows(self), mt_rows(self));
    mt_shape v = mt_batch_shape(self, 2, 2, mt_columns(self), mt_columns(self));
    mt_dtype t = (mt_dtype)self->dtype;
    *V = *U = NULL;
    if (!(*S = aten_linalg_svdvals(self, NULL)))
        return -1;
    *U = aten_zeros(u.sizes, u.ndim, t, -1, self->device, mt_v_none());
    *V = aten_zeros(v.sizes, v.ndim, t, -1, self->device, mt_v_none());
    if (*U && *V)
        return 0;
    mt_xrelease(*U);
    mt_xrelease(*V);
    mt_release(*S);
    return -1;
}
