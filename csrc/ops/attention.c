/* Scaled dot product attention.
 *
 * Block by block: a block of queries meets the keys in blocks, and keeps for each row the largest
 * score m, the sum of exp(score - m) and the weighted sum of values so far; both are rescaled when
 * m grows (Milakov and Gimelshein, 2018; Dao et al., 2022). Backward computes the scores again
 * from the saved m + log(sum). Blocks depend on shapes only, so results do not depend on threads. */
#include "ops/attention.h"

#include <math.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/pool.h"
#include "kernels/attention.h"
#include "kernels/blas.h"
#include "kernels/reduce.h"
#include "kernels/scratch.h"
#include "ops/linalg.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

enum { QUERIES = 64, KEYS = 256 }; /* rows of a block */

/* ---- block by block ----------------------------------------------------------------------- */

typedef struct view {
    char *data;
    int64_t batch, head, row; /* strides in elements; the last dimension is packed */
} view;

typedef struct job {
    view q, k, v, out, mask, grad, dq, dk, dv;
    int64_t mask_column, size;
    int64_t heads, L, S, D;
    double scale;
    bool causal, wide; /* wide: float64 */
    double *lse;       /* [batch, head, row] */
    const mt_blas *blas;
    mt_row_kernel most;
    mt_exp_row exps;
    mt_scratch scratch;
    int64_t blocks; /* of queries */
} job;

static char *
at(const job *j, const view *v, int64_t unit, int64_t row)
{
    return v->data + (unit / j->heads * v->batch + unit % j->heads * v->head + row * v->row) * j->size;
}

static void
multiply(const job *j, bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a,
         int64_t lda, const void *b, int64_t ldb, double beta, void *c, int64_t ldc)
{
    int x = ta ? MT_CBLAS_TRANS : MT_CBLAS_NO_TRANS, y = tb ? MT_CBLAS_TRANS : MT_CBLAS_NO_TRANS;
    if (j->wide)
        j->blas->dgemm(MT_CBLAS_ROW_MAJOR, x, y, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c,
                       (int)ldc);
    else
        j->blas->sgemm(MT_CBLAS_ROW_MAJOR, x, y, (int)m, (int)n, (int)k, (float)alpha, a, (int)lda, b, (int)ldb,
                       (float)beta, c, (int)ldc);
}

static double
get(const job *j, const void *p, int64_t i)
{
    return j->wide ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void
set(const job *j, void *p, int64_t i, double v)
{
    if (j->wide)
        ((double *)p)[i] = v;
    else
        ((float *)p)[i] = (float)v;
}

static void
scale_row(const job *j, void *p, int64_t n, double by)
{
    if (j->wide)
        for (int64_t i = 0; i < n; i++)
            ((double *)p)[i] *= by;
    else
        for (int64_t i = 0; i < n; i++)
            ((float *)p)[i] *= (float)by;
}

/* scores[rows, cols] of queries from `row` and keys from `col`, masked. */
static void
find_scores(const job *j, int64_t unit, int64_t row, int64_t rows, int64_t col, int64_t cols, void *scores)
{
    multiply(j, false, true, rows, cols, j->D, j->scale, at(j, &j->q, unit, row), j->q.row,
             at(j, &j->k, unit, col), j->k.row, 0, scores, cols);
    if (j->mask.data)
        for (int64_t r = 0; r < rows; r++) {
            const char *m = at(j, &j->mask, unit, row + r) + col * j->mask_column * j->size;
            for (int64_t c = 0; c < cols; c++)
                set(j, scores, r * cols + c, get(j, scores, r * cols + c) + get(j, m, c * j->mask_column));
        }
    if (j->causal)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = MT_MAX(0, row + r + 1 - col); c < cols; c++)
                set(j, scores, r * cols + c, -INFINITY);
}

static void
forward_blocks(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    char *slot = mt_scratch_take(&j->scratch);
    for (int64_t i = begin; i < end; i++) {
        int64_t unit = i / j->blocks, row = i % j->blocks * QUERIES, rows = MT_MIN(QUERIES, j->L - row);
        double most[QUERIES], sum[QUERIES];
        void *scores = slot, *acc = slot + QUERIES * KEYS * j->size;
        for (int64_t r = 0; r < rows; r++) {
            most[r] = -INFINITY;
            sum[r] = 0;
        }
        memset(acc, 0, (size_t)(rows * j->D * j->size));
        int64_t last = j->causal ? MT_MIN(j->S, row + rows) : j->S;
        for (int64_t col = 0; col < last; col += KEYS) {
            int64_t cols = MT_MIN(KEYS, last - col);
            find_scores(j, unit, row, rows, col, cols, scores);
            for (int64_t r = 0; r < rows; r++) {
                char *line = (char *)scores + r * cols * j->size, *to = (char *)acc + r * j->D * j->size;
                double wide;
                float single;
                j->most(line, cols, j->wide ? (void *)&wide : (void *)&single, 0);
                double top = fmax(most[r], j->wide ? wide : (double)single);
                if (top == -INFINITY) { /* nothing counts yet */
                    memset(line, 0, (size_t)(cols * j->size));
                    continue;
                }
                double shrink = most[r] == -INFINITY ? 0 : exp(most[r] - top);
                double added = j->exps(line, cols, top);
                if (shrink != 1)
                    scale_row(j, to, j->D, shrink);
                sum[r] = sum[r] * shrink + added;
                most[r] = top;
            }
            multiply(j, false, false, rows, j->D, cols, 1, scores, cols, at(j, &j->v, unit, col), j->v.row, 1, acc,
                     j->D);
        }
        for (int64_t r = 0; r < rows; r++) {
            char *from = (char *)acc + r * j->D * j->size;
            scale_row(j, from, j->D, sum[r] != 0 ? 1 / sum[r] : 0);
            memcpy(at(j, &j->out, unit, row + r), from, (size_t)(j->D * j->size));
            j->lse[unit * j->L + row + r] = sum[r] != 0 ? most[r] + log(sum[r]) : -INFINITY;
        }
    }
    mt_scratch_give(&j->scratch, slot);
}

/* A head of a sample is a unit: all blocks of queries add to the gradients of its keys. */
static void
backward_heads(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    char *slot = mt_scratch_take(&j->scratch);
    void *scores = slot, *slopes = slot + QUERIES * KEYS * j->size;
    for (int64_t unit = begin; unit < end; unit++)
        for (int64_t row = 0; row < j->L; row += QUERIES) {
            int64_t rows = MT_MIN(QUERIES, j->L - row);
            double delta[QUERIES];
            for (int64_t r = 0; r < rows; r++) {
                const char *g = at(j, &j->grad, unit, row + r), *o = at(j, &j->out, unit, row + r);
                delta[r] = 0;
                for (int64_t d = 0; d < j->D; d++)
                    delta[r] += get(j, g, d) * get(j, o, d);
            }
            int64_t last = j->causal ? MT_MIN(j->S, row + rows) : j->S;
            for (int64_t col = 0; col < last; col += KEYS) {
                int64_t cols = MT_MIN(KEYS, last - col);
                find_scores(j, unit, row, rows, col, cols, scores);
                for (int64_t r = 0; r < rows; r++) {
                    double lse = j->lse[unit * j->L + row + r];
                    char *line = (char *)scores + r * cols * j->size;
                    if (lse == -INFINITY)
                        memset(line, 0, (size_t)(cols * j->size));
                    else
                        j->exps(line, cols, lse);
                }
                multiply(j, true, false, cols, j->D, rows, 1, scores, cols, at(j, &j->grad, unit, row), j->grad.row,
                         1, at(j, &j->dv, unit, col), j->dv.row);
                multiply(j, false, true, rows, cols, j->D, 1, at(j, &j->grad, unit, row), j->grad.row,
                         at(j, &j->v, unit, col), j->v.row, 0, slopes, cols);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t c = r * cols; c < (r + 1) * cols; c++)
                        set(j, slopes, c, get(j, scores, c) * (get(j, slopes, c) - delta[r]));
                multiply(j, false, false, rows, j->D, cols, j->scale, slopes, cols, at(j, &j->k, unit, col), j->k.row,
                         1, at(j, &j->dq, unit, row), j->dq.row);
                multiply(j, true, false, cols, j->D, rows, j->scale, slopes, cols, at(j, &j->q, unit, row), j->q.row,
                         1, at(j, &j->dk, unit, col), j->dk.row);
            }
        }
    mt_scratch_give(&j->scratch, slot);
}

/* ---- preparing ---------------------------------------------------------------------------- */

/* In the dtype that is computed in, last dimension packed; new reference. */
static mt_tensor *
prepared(mt_tensor *t, mt_dtype work)
{
    if (t->dtype == work && (t->strides[t->ndim - 1] == 1 || t->sizes[t->ndim - 1] <= 1) &&
        (t->sizes[2] <= 1 || t->strides[2] >= t->sizes[3]))
        return mt_keep(t);
    if (t->dtype == work)
        return mt_contiguous_data(t, true);
    mt_tensor *r = mt_empty(t->ndim, t->sizes, NULL, work, t->device);
    if (r && mt_copy_data(r, t) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

static view
view_of(const mt_tensor *t)
{
    return (view){mt_data(t), t->strides[0], t->strides[1], MT_MAX(t->strides[2], t->sizes[3])};
}

static double
scale_of(mt_value scale, int64_t width)
{
    return mt_is_none(scale) ? 1 / sqrt((double)width) : mt_scalar_f64(scale);
}

static int
check_flash(const mt_tensor *q, const mt_tensor *k, const mt_tensor *v, double dropout_p)
{
    if (!mt_is_floating((mt_dtype)q->dtype))
        return mt_fail(MT_RUNTIME,
                       "scaled_dot_product_attention_flash_attention: Expected data type in FP32, FP64, "
                       "BF16, FP16, but got %s instead.",
                       mt_dtypes[q->dtype].scalar_name);
    if (q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return mt_fail(MT_RUNTIME, "scaled_dot_product_attention_flash_attention: Accept only 4 dims inputs "
                                   "shape of {B, H, T, K}");
    if (dropout_p != 0)
        return mt_fail(MT_RUNTIME,
                       "scaled_dot_product_attention_flash_attention: Currently do not support dropout > 0");
    if (q->sizes[3] != v->sizes[3] || q->sizes[3] != k->sizes[3])
        return mt_fail(MT_RUNTIME, "scaled_dot_product_attention_flash_attention: Q/K/V should have the same "
                                   "head size");
    return 0;
}

/* Fills what both directions read. `held` keeps the prepared tensors. */
static int
prepare(job *j, mt_tensor *q, mt_tensor *k, mt_tensor *v, mt_tensor *mask, bool causal, mt_value scale,
        mt_dtype work, mt_tensor **held)
{
    memset(j, 0, sizeof *j);
    j->wide = work == MT_FLOAT64;
    j->size = j->wide ? 8 : 4;
    j->heads = q->sizes[1];
    j->L = q->sizes[2];
    j->S = k->sizes[2];
    j->D = q->sizes[3];
    j->causal = causal;
    j->scale = scale_of(scale, j->D);
    j->most = mt_row_kernel_of(MT_ROW_MAX, work);
    j->exps = mt_exp_row_of(work);
    j->blocks = (j->L + QUERIES - 1) / QUERIES;
    if (!(j->blas = mt_blas_open()) || !(held[0] = prepared(q, work)) || !(held[1] = prepared(k, work)) ||
        !(held[2] = prepared(v, work)))
        return -1;
    j->q = view_of(held[0]);
    j->k = view_of(held[1]);
    j->v = view_of(held[2]);
    if (mask) {
        int64_t sizes[4] = {q->sizes[0], j->heads, j->L, j->S};
        mt_tensor *wide = mask->dtype == work ? mt_keep(mask) : aten_to_dtype(mask, work, false, false, MT_FORMAT_NONE);
        held[3] = wide ? aten_expand(wide, sizes, 4, false) : NULL;
        mt_xrelease(wide);
        if (!held[3])
            return -1;
        j->mask = (view){mt_data(held[3]), held[3]->strides[0], held[3]->strides[1], held[3]->strides[2]};
        j->mask_column = held[3]->strides[3];
    }
    return 0;
}

int
op__scaled_dot_product_flash_attention_for_cpu(mt_tensor *query, mt_tensor *key, mt_tensor *value,
                                               double dropout_p, bool is_causal, mt_tensor *attn_mask,
                                               mt_value scale, mt_tensor **ret0, mt_tensor **ret1)
{
    if (check_flash(query, key, value, dropout_p) < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)query->dtype, work = dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    int64_t n = query->sizes[0], h = query->sizes[1], l = query->sizes[2], d = query->sizes[3];
    int64_t sizes[4] = {n, h, l, d}, strides[4] = {l * h * d, d, h * d, 1};
    mt_tensor *held[4] = {NULL}, *out = NULL, *lse = NULL, *result = NULL;
    *ret0 = *ret1 = NULL;
    if (mt_is_meta(query)) {
        *ret0 = mt_empty(4, sizes, strides, dtype, query->device);
        *ret1 = *ret0 ? mt_empty(3, sizes, NULL, work, query->device) : NULL;
        return *ret1 ? 0 : -1;
    }
    job j;
    int rc = prepare(&j, query, key, value, attn_mask, is_causal, scale, work, held);
    if (rc == 0)
        rc = (out = mt_empty(4, sizes, strides, work, query->device)) &&
                     (lse = mt_empty(3, sizes, NULL, MT_FLOAT64, query->device))
                 ? 0
                 : -1;
    if (rc == 0 && out->numel) {
        j.out = (view){mt_data(out), strides[0], strides[1], strides[2]};
        j.lse = mt_data(lse);
        int64_t units = n * h * j.blocks;
        rc = mt_scratch_open(&j.scratch, (size_t)(QUERIES * (KEYS + j.D) * j.size), units);
        if (rc == 0)
            mt_parallel_for(units, MT_MAX(1, MT_GRAIN / MT_MAX(1, QUERIES * j.S)), forward_blocks, &j);
        mt_scratch_close(&j.scratch);
    }
    if (rc == 0) {
        result = dtype == work ? mt_keep(out) : mt_empty(4, sizes, strides, dtype, query->device);
        rc = result && (result == out || mt_copy_data(result, out) == 0) ? 0 : -1;
    }
    if (rc == 0)
        rc = (*ret1 = aten_to_dtype(lse, work, false, false, MT_FORMAT_NONE)) ? 0 : -1;
    if (rc == 0)
        *ret0 = mt_keep(result);
    for (int i = 0; i < 4; i++)
        mt_xrelease(held[i]);
    mt_xrelease(out);
    mt_xrelease(lse);
    mt_xrelease(result);
    return rc;
}

int
op__scaled_dot_product_flash_attention_for_cpu_backward(
    mt_tensor *grad_out, mt_tensor *query, mt_tensor *key, mt_tensor *value, mt_tensor *out,
    mt_tensor *logsumexp, double dropout_p, bool is_causal, mt_tensor *attn_mask, mt_value scale,
    mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    if (check_flash(query, key, value, dropout_p) < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)query->dtype, work = dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    mt_tensor *held[4] = {NULL}, *g = NULL, *o = NULL, *lse = NULL, *made[3] = {NULL};
    mt_tensor *like[3] = {query, key, value}, **rets[3] = {ret0, ret1, ret2};
    job j;
    int rc = prepare(&j, query, key, value, attn_mask, is_causal, scale, work, held);
    for (int i = 0; rc == 0 && i < 3; i++) {
        made[i] = mt_empty(4, like[i]->sizes, NULL, work, query->device);
        rc = made[i] ? mt_fill_data(made[i], mt_v_int(0)) : -1;
    }
    if (rc == 0)
        rc = (g = prepared(grad_out, work)) && (o = prepared(out, work)) &&
                     (lse = mt_empty(3, logsumexp->sizes, NULL, MT_FLOAT64, query->device)) &&
                     mt_copy_data(lse, logsumexp) == 0
                 ? 0
                 : -1;
    if (rc == 0 && query->numel && key->numel) {
        j.grad = view_of(g);
        j.out = view_of(o);
        j.lse = mt_data(lse);
        j.dq = view_of(made[0]);
        j.dk = view_of(made[1]);
        j.dv = view_of(made[2]);
        int64_t units = query->sizes[0] * j.heads;
        rc = mt_scratch_open(&j.scratch, (size_t)(2 * QUERIES * KEYS * j.size), units);
        if (rc == 0)
            mt_parallel_for(units, 1, backward_heads, &j);
        mt_scratch_close(&j.scratch);
    }
    for (int i = 0; i < 3; i++) {
        *rets[i] = rc == 0 ? aten_to_dtype(made[i], dtype, false, false, MT_FORMAT_NONE) : NULL;
        rc = *rets[i] ? rc : -1;
        mt_xrelease(made[i]);
    }
    for (int i = 0; i < 4; i++)
        mt_xrelease(held[i]);
    mt_xrelease(g);
    mt_xrelease(o);
    mt_xrelease(lse);
    return rc;
}

/* ---- step by step ------------------------------------------------------------------------- */

mt_tensor *
op__safe_softmax(mt_tensor *self, int64_t dim, mt_dtype dtype)
{
    mt_tensor *s = aten_softmax_int(self, dim, dtype);
    mt_tensor *low = s ? mt_wrap_scalar(mt_v_float(-INFINITY)) : NULL, *is = low ? aten_eq_Tensor(self, low) : NULL;
    mt_tensor *all = is ? aten_all_dim(is, dim, true) : NULL;
    mt_tensor *r = all ? aten_masked_fill_Scalar(s, all, mt_v_int(0)) : NULL;
    mt_tensor *made[] = {s, low, is, all};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

/* A bool mask as numbers to add: 0 where True, else -inf. New reference; NULL for no mask too. */
static mt_tensor *
additive(mt_tensor *mask, mt_dtype dtype)
{
    if (!mask || mask->dtype != MT_BOOL)
        return mask ? mt_keep(mask) : NULL;
    mt_tensor *zeros = aten_zeros_like(mask, dtype, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    mt_tensor *not = zeros ? aten_logical_not(mask) : NULL;
    mt_tensor *r = not ? aten_masked_fill_Scalar(zeros, not, mt_v_float(-INFINITY)) : NULL;
    mt_xrelease(zeros);
    mt_xrelease(not);
    return r;
}

static mt_tensor *
times(mt_tensor *t, double by)
{
    mt_tensor *s = mt_wrap_scalar(mt_v_float(by)), *r = s ? aten_mul_Tensor(t, s) : NULL;
    mt_xrelease(s);
    return r;
}

/* Heads of keys and values repeated for the groups of queries that share them. */
static mt_tensor *
spread_heads(mt_tensor *t, int64_t heads)
{
    int n = t->ndim;
    int64_t have = t->sizes[n - 3], sizes[MT_MAX_DIMS + 1];
    if (have == heads)
        return mt_keep(t);
    memcpy(sizes, t->sizes, (size_t)n * sizeof(int64_t));
    mt_tensor *u = aten_unsqueeze(t, n - 2), *e = NULL, *r = NULL;
    if (u) {
        memcpy(sizes, u->sizes, (size_t)u->ndim * sizeof(int64_t));
        sizes[n - 2] = heads / have;
        e = aten_expand(u, sizes, n + 1, false);
    }
    if (e) {
        memcpy(sizes, t->sizes, (size_t)n * sizeof(int64_t));
        sizes[n - 3] = heads;
        r = aten_reshape(e, sizes, n);
    }
    mt_xrelease(u);
    mt_xrelease(e);
    return r;
}

int
op__scaled_dot_product_attention_math(mt_tensor *query, mt_tensor *key, mt_tensor *value,
                                      mt_tensor *attn_mask, double dropout_p, bool is_causal,
                                      mt_tensor *dropout_mask, mt_value scale, bool enable_gqa,
                                      mt_tensor **ret0, mt_tensor **ret1)
{
    double by = scale_of(scale, query->sizes[query->ndim - 1]), root = sqrt(fabs(by));
    mt_tensor *mask = NULL, *k = NULL, *v = NULL, *q = NULL, *kt = NULL, *ks = NULL, *scores = NULL, *w = NULL;
    int rc = -1;
    *ret0 = *ret1 = NULL;
    if (enable_gqa && query->ndim >= 3 && key->ndim >= 3 && value->ndim >= 3) {
        int64_t h = query->sizes[query->ndim - 3], a = key->sizes[key->ndim - 3], b = value->sizes[value->ndim - 3];
        if (!a || !b || h % a || h % b) {
            mt_fail(MT_RUNTIME, "Number of heads in key and value must divide the number of heads in ");
            goto done;
        }
        k = spread_heads(key, h);
        v = k ? spread_heads(value, h) : NULL;
    } else {
        k = mt_keep(key);
        v = mt_keep(value);
    }
    if (!k || !v)
        goto done;
    if (is_causal) {
        int64_t sizes[2] = {query->sizes[query->ndim - 2], key->sizes[key->ndim - 2]};
        mt_tensor *ones = aten_ones(sizes, 2, MT_BOOL, -1, query->device, mt_v_none());
        mt_tensor *low = ones ? aten_tril(ones, 0) : NULL;
        mask = low ? additive(low, (mt_dtype)query->dtype) : NULL;
        mt_xrelease(ones);
        mt_xrelease(low);
        if (!mask)
            goto done;
    } else if (attn_mask && !(mask = additive(attn_mask, (mt_dtype)query->dtype)))
        goto done;
    if (!(q = times(query, by < 0 ? -root : root)) || !(kt = aten_transpose_int(k, -2, -1)) || !(ks = times(kt, root)) ||
        !(scores = aten_matmul(q, ks)))
        goto done;
    if (mask) {
        mt_tensor *t = aten_add_Tensor(scores, mask, mt_v_int(1));
        mt_release(scores);
        if (!(scores = t))
            goto done;
    }
    if (!(w = aten__safe_softmax(scores, -1, MT_DTYPE_NONE)))
        goto done;
    if (dropout_p > 0) {
        mt_tensor *t;
        if (dropout_mask) {
            mt_tensor *not = aten_logical_not(dropout_mask), *f = not ? aten_masked_fill_Scalar(w, not, mt_v_float(0)) : NULL;
            t = f ? times(f, 1 / (1 - dropout_p)) : NULL;
            mt_xrelease(not);
            mt_xrelease(f);
        } else
            t = aten_dropout(w, dropout_p, true);
        mt_release(w);
        if (!(w = t))
            goto done;
    }
    if ((*ret0 = aten_matmul(w, v))) {
        *ret1 = mt_keep(w);
        rc = 0;
    }
done:
    mt_xrelease(mask);
    mt_xrelease(k);
    mt_xrelease(v);
    mt_xrelease(q);
    mt_xrelease(kt);
    mt_xrelease(ks);
    mt_xrelease(scores);
    mt_xrelease(w);
    return rc;
}

/* ---- the choice --------------------------------------------------------------------------- */

static bool
can_flash(const mt_tensor *q, const mt_tensor *k, const mt_tensor *v, const mt_tensor *mask, double dropout_p)
{
    if (q->ndim != 4 || k->ndim != 4 || v->ndim != 4 || dropout_p != 0 || !mt_is_floating((mt_dtype)q->dtype))
        return false;
    if (q->sizes[3] != k->sizes[3] || q->sizes[3] != v->sizes[3] || k->sizes[2] != v->sizes[2])
        return false;
    for (int d = 0; d < 2; d++)
        if (q->sizes[d] != k->sizes[d] || q->sizes[d] != v->sizes[d])
            return false;
    if (q->numel == 0 || k->numel == 0)
        return false;
    if (mask) {
        const int64_t full[4] = {q->sizes[0], q->sizes[1], q->sizes[2], k->sizes[2]};
        if (mt_requires_grad(mask) || (mask->ndim != 2 && mask->ndim != 4))
            return false;
        for (int d = 0; d < mask->ndim; d++)
            if (mask->sizes[d] != 1 && mask->sizes[d] != full[4 - mask->ndim + d])
                return false;
    }
    return true;
}

static _Atomic(bool) forbidden[MT_SDP_COUNT];

bool
mt_sdp_allowed(int way)
{
    return !atomic_load_explicit(&forbidden[way], memory_order_relaxed);
}

void
mt_sdp_allow(int way, bool allowed)
{
    atomic_store_explicit(&forbidden[way], !allowed, memory_order_relaxed);
}

/* MT_SDP_FLASH, MT_SDP_MATH, or -1: RuntimeError. */
static int
choose(const mt_tensor *q, const mt_tensor *k, const mt_tensor *v, const mt_tensor *mask, double dropout_p)
{
    bool flash = mt_sdp_allowed(MT_SDP_FLASH);
    if (flash && can_flash(q, k, v, mask, dropout_p))
        return MT_SDP_FLASH;
    if (mt_sdp_allowed(MT_SDP_MATH))
        return MT_SDP_MATH;
    return flash ? mt_fail(MT_RUNTIME, "No available kernel.  Aborting execution.")
                 : mt_fail(MT_RUNTIME,
                           "No viable backend for scaled_dot_product_attention was found. This is likely due "
                           "to turning off both the math kernel and the fused kernels.");
}

int
op__fused_sdp_choice(mt_tensor *query, mt_tensor *key, mt_tensor *value, mt_tensor *attn_mask,
                     double dropout_p, bool is_causal, mt_value scale, bool enable_gqa, int64_t *ret0)
{
    (void)is_causal;
    (void)scale;
    (void)enable_gqa;
    *ret0 = choose(query, key, value, attn_mask, dropout_p);
    return *ret0 < 0 ? -1 : 0;
}

static int
check(const mt_tensor *q, const mt_tensor *k, const mt_tensor *v, const mt_tensor *mask, bool causal)
{
    if (q->dtype != k->dtype || q->dtype != v->dtype)
        return mt_fail(MT_RUNTIME,
                       "Expected query, key, and value to have the same dtype, but got query.dtype: %s "
                       "key.dtype: %s and value.dtype: %s instead.",
                       mt_c_name((mt_dtype)q->dtype), mt_c_name((mt_dtype)k->dtype), mt_c_name((mt_dtype)v->dtype));
    if (q->ndim < 2 || k->ndim < 2 || v->ndim < 2)
        return mt_fail(MT_RUNTIME,
                       "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
                       "%d key.dim: %d and value.dim: %d instead.",
                       q->ndim, k->ndim, v->ndim);
    if (mask && mask->dtype != MT_BOOL && mask->dtype != MT_FLOAT32 && mask->dtype != q->dtype)
        return mt_fail(MT_RUNTIME,
                       "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                       "attn_mask.dtype: %s and  query.dtype: %s instead.",
                       mt_c_name((mt_dtype)mask->dtype), mt_c_name((mt_dtype)q->dtype));
    if (mask && causal)
        return mt_fail(MT_RUNTIME,
                       "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True");
    return 0;
}

mt_tensor *
op_scaled_dot_product_attention(mt_tensor *query, mt_tensor *key, mt_tensor *value,
                                mt_tensor *attn_mask, double dropout_p, bool is_causal,
                                mt_value scale, bool enable_gqa)
{
    if (check(query, key, value, attn_mask, is_causal) < 0)
        return NULL;
    mt_tensor *mask = additive(attn_mask, (mt_dtype)query->dtype), *out = NULL, *rest = NULL;
    if (attn_mask && !mask)
        return NULL;
    int way = choose(query, key, value, mask, dropout_p);
    if (way == MT_SDP_FLASH)
        aten__scaled_dot_product_flash_attention_for_cpu(query, key, value, dropout_p, is_causal, mask, scale, &out,
                                                         &rest);
    else if (way == MT_SDP_MATH)
        aten__scaled_dot_product_attention_math(query, key, value, mask, dropout_p, is_causal, NULL, scale, enable_gqa,
                                                &out, &rest);
    mt_xrelease(mask);
    mt_xrelease(rest);
    return out;
}
