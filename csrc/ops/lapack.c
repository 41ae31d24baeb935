/* What the operators on LAPACK share. Matrices are packed by columns, one after the other; a matrix
 * is always the task of one thread, so a batch has the same bits for every number of threads. */
#include "ops/lapack.h"

#include "base/error.h"
#include "kernels/scratch.h"
#include "tensor/copy.h"

/* ---- checks ----------------------------------------------------------------------------------- */

int
mt_check_matrix(const mt_tensor *a, const char *who, const char *name)
{
    if (a->ndim < 2)
        return mt_fail(MT_RUNTIME, "%s: The input tensor %s must have at least 2 dimensions.", who, name);
    return 0;
}

int
mt_check_square(const mt_tensor *a, const char *who)
{
    if (mt_check_matrix(a, who, "A") < 0)
        return -1;
    if (mt_rows(a) != mt_columns(a))
        return mt_fail(MT_RUNTIME,
                       "%s: A must be batches of square matrices, but they are %lld by %lld matrices",
                       who, (long long)mt_rows(a), (long long)mt_columns(a));
    return 0;
}

int
mt_check_inexact(const mt_tensor *a, const char *who, bool wide)
{
    mt_dtype d = (mt_dtype)a->dtype;
    if (!mt_is_floating(d) && !mt_is_complex(d))
        return mt_fail(MT_RUNTIME, "%s: Expected a floating point or complex tensor as input. Got %s",
                       who, mt_dtypes[d].scalar_name);
    if (wide && mt_is_half(d))
        return mt_fail(MT_RUNTIME, "%s: Low precision dtypes not supported. Got %s", who,
                       mt_dtypes[d].scalar_name);
    return 0;
}

int
mt_check_blas_type(const mt_tensor *a, const char *kernel)
{
    mt_dtype d = (mt_dtype)a->dtype;
    if (d != MT_FLOAT32 && d != MT_FLOAT64 && !mt_is_complex(d))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel,
                       mt_dtypes[d].scalar_name);
    return 0;
}

int
mt_check_info(mt_tensor *info, const char *who, bool is_matrix)
{
    if (mt_is_meta(info))
        return 0;
    mt_tensor *packed = mt_contiguous_data(info, false);
    if (!packed)
        return -1;
    const int32_t *codes = mt_data(packed);
    int code = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < packed->numel && !code; i++)
        if (codes[i])
            code = codes[i], at = i;
    mt_release(packed);
    if (!code)
        return 0;
    const char *place = is_matrix ? "" : mt_str("(Batch element %lld): ", (long long)at);
    if (code < 0 && strstr(who, "svd"))
        return mt_fail(MT_LINALG, "%s: %sThe algorithm failed to converge because the input matrix "
                                  "contained non-finite values.", who, place);
    if (code < 0)
        return mt_fail(MT_RUNTIME, "%s: %sArgument %d has illegal value.", who, place, -code);
    if (strstr(who, "inv"))
        return mt_fail(MT_LINALG, "%s: %sThe diagonal element %d is zero, the inversion could not be "
                                  "completed because the input matrix is singular.", who, place, code);
    if (strstr(who, "solve"))
        return mt_fail(MT_LINALG, "%s: %sThe solver failed because the input matrix is singular.", who,
                       place);
    if (strstr(who, "cholesky"))
        return mt_fail(MT_LINALG,
                       "%s: %sThe factorization could not be completed because the input is not "
                       "positive-definite (the leading minor of order %d is not positive-definite).",
                       who, place, code);
    if (strstr(who, "svd"))
        return mt_fail(MT_LINALG, "%s: %sThe algorithm failed to converge because the input matrix is "
                                  "ill-conditioned or has too many repeated singular values (error "
                                  "code: %d).", who, place, code);
    if (strstr(who, "eig"))
        return mt_fail(MT_LINALG, "%s: %sThe algorithm failed to converge because the input matrix is "
                                  "ill-conditioned or has too many repeated eigenvalues (error code: "
                                  "%d).", who, place, code);
    if (strstr(who, "lstsq"))
        return mt_fail(MT_LINALG, "%s: %sThe least squares solution could not be computed because the "
                                  "input matrix does not have full rank (error code: %d).", who, place,
                       code);
    if (strstr(who, "lu_factor"))
        return mt_fail(MT_RUNTIME,
                       "%s: %sU[%d,%d] is zero and using it on lu_solve would result in a division by "
                       "zero. If you still want to perform the factorization, consider calling "
                       "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
                       who, place, code, code);
    return mt_fail(MT_RUNTIME, "%s: %sUnknown error code: %d.", who, place, code);
}

/* ---- shapes ----------------------------------------------------------------------------------- */

mt_shape
mt_batch_shape(const mt_tensor *a, int drop, int n, int64_t first, int64_t second)
{
    mt_shape s = {.ndim = a->ndim - drop};
    memcpy(s.sizes, a->sizes, (size_t)s.ndim * sizeof(int64_t));
    if (n > 0)
        s.sizes[s.ndim++] = first;
    if (n > 1)
        s.sizes[s.ndim++] = second;
    return s;
}

int
mt_broadcast_batches(const mt_tensor *a, const mt_tensor *b, mt_shape *out)
{
    *out = mt_batch_shape(a, 2, 0, 0, 0);
    out->ndim = mt_broadcast(out->sizes, out->ndim, b->sizes, b->ndim - 2);
    return out->ndim < 0 ? -1 : 0;
}

void
mt_add_matrix(mt_shape *s, int64_t rows, int64_t columns)
{
    s->sizes[s->ndim++] = rows;
    s->sizes[s->ndim++] = columns;
}

static void
column_strides(const mt_shape *s, int64_t *strides)
{
    mt_contiguous_strides(s->ndim, s->sizes, strides);
    int n = s->ndim;
    strides[n - 2] = 1;
    strides[n - 1] = MT_MAX(s->sizes[n - 2], 1);
}

int
mt_set_columns(mt_call *call, int i, const mt_shape *s, mt_dtype dtype, mt_device device)
{
    int64_t strides[MT_MAX_DIMS];
    column_strides(s, strides);
    return mt_set_output(call, i, s->ndim, s->sizes, strides, dtype, device);
}

int
mt_set_rows(mt_call *call, int i, const mt_shape *s, mt_dtype dtype, mt_device device)
{
    return mt_set_output(call, i, s->ndim, s->sizes, NULL, dtype, device);
}

/* ---- memory ----------------------------------------------------------------------------------- */

mt_tensor *
mt_empty_columns(const mt_shape *s, mt_dtype dtype)
{
    int64_t strides[MT_MAX_DIMS];
    column_strides(s, strides);
    return mt_empty(s->ndim, s->sizes, strides, dtype, MT_CPU_DEVICE);
}

mt_tensor *
mt_copy_columns(mt_tensor *self, const mt_shape *s, mt_dtype dtype)
{
    mt_tensor *r = mt_empty_columns(s, dtype);
    if (r && mt_copy_data(r, self) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

static mt_tensor *
work(mt_tensor *out, bool columns)
{
    mt_shape s = {.ndim = out->ndim};
    memcpy(s.sizes, out->sizes, (size_t)out->ndim * sizeof(int64_t));
    int64_t strides[MT_MAX_DIMS];
    if (columns)
        column_strides(&s, strides);
    else
        mt_contiguous_strides(s.ndim, s.sizes, strides);
    bool same = true;
    for (int d = 0; d < s.ndim; d++)
        same = same && (out->strides[d] == strides[d] || s.sizes[d] == 1);
    if (same)
        return mt_keep(out);
    return mt_empty(s.ndim, s.sizes, strides, (mt_dtype)out->dtype, MT_CPU_DEVICE);
}

mt_tensor *
mt_work_columns(mt_tensor *out)
{
    return work(out, true);
}

mt_tensor *
mt_work_rows(mt_tensor *out)
{
    return work(out, false);
}

int
mt_give_work(mt_tensor *out, mt_tensor *from)
{
    int rc = from == out ? 0 : mt_copy_data(out, from);
    mt_release(from);
    return rc;
}

int64_t
mt_batch_count(const mt_tensor *a, int drop)
{
    int64_t count = 1;
    for (int d = 0; d < a->ndim - drop; d++)
        count *= a->sizes[d];
    return count;
}

/* ---- the loop --------------------------------------------------------------------------------- */

typedef struct loop {
    mt_matrix_body body;
    void *ctx;
    mt_scratch scratch;
} loop;

static void
run(void *ctx, int64_t begin, int64_t end)
{
    loop *l = ctx;
    void *slot = mt_scratch_take(&l->scratch);
    for (int64_t i = begin; i < end; i++)
        l->body(l->ctx, i, slot);
    mt_scratch_give(&l->scratch, slot);
}

int
mt_for_matrices(int64_t count, int64_t work_each, size_t scratch, mt_matrix_body body, void *ctx)
{
    if (count == 0)
        return 0;
    if (mt_lapack_open() < 0)
        return -1;
    int64_t grain = MT_MAX(1, MT_GRAIN / MT_MAX(work_each, 1));
    loop l = {.body = body, .ctx = ctx};
    if (mt_scratch_open(&l.scratch, scratch + 64, (count + grain - 1) / grain) < 0)
        return -1;
    mt_parallel_for(count, grain, run, &l);
    mt_scratch_close(&l.scratch);
    return 0;
}
