#include "tensor/iter.h"

#include "base/pool.h"

void
mt_iter_init(mt_iter *it, int noperands, mt_tensor *const *operands, int ndim,
             const int64_t *sizes)
{
    it->ndim = ndim;
    it->noperands = noperands;
    it->numel = 1;
    for (int d = 0; d < ndim; d++) {
        it->sizes[ndim - 1 - d] = sizes[d];
        it->numel *= sizes[d];
    }
    for (int k = 0; k < noperands; k++) {
        const mt_tensor *t = operands[k];
        int64_t item = mt_itemsize(t);
        it->data[k] = mt_data(t);
        for (int d = 0; d < ndim; d++) { /* d counts from the innermost */
            int own = t->ndim - 1 - d;
            it->strides[k][d] =
                own < 0 || (t->sizes[own] == 1 && it->sizes[d] != 1) ? 0 : t->strides[own] * item;
        }
    }
}

/* 1 when dimension b should lie inside dimension a, judged by the operands in order. */
static int
compare_dims(const mt_iter *it, int a, int b)
{
    for (int k = 0; k < it->noperands; k++) {
        int64_t sa = it->strides[k][a], sb = it->strides[k][b];
        if (sa < 0) sa = -sa;
        if (sb < 0) sb = -sb;
        if (sa == 0 || sb == 0)
            continue;
        if (sa < sb)
            return -1;
        if (sa > sb)
            return 1;
        if (it->sizes[a] > it->sizes[b])
            return 1;
    }
    return 0;
}

static void
swap(int64_t *a, int64_t *b)
{
    int64_t t = *a;
    *a = *b;
    *b = t;
}

/* A call per run costs more than steps through memory: where the innermost dimension is very short
 * and another one long, that one goes innermost. */
static void
lengthen_runs(mt_iter *it)
{
    enum { SHORT = 8, LONGER = 4 };
    if (it->ndim < 2 || it->sizes[0] >= SHORT)
        return;
    int longest = 0;
    for (int d = 1; d < it->ndim; d++)
        if (it->sizes[d] > it->sizes[longest])
            longest = d;
    if (it->sizes[longest] < LONGER * it->sizes[0])
        return;
    swap(&it->sizes[0], &it->sizes[longest]);
    for (int k = 0; k < it->noperands; k++)
        swap(&it->strides[k][0], &it->strides[k][longest]);
}

void
mt_iter_simplify(mt_iter *it)
{
    if (it->ndim <= 1)
        return;
    int perm[MT_MAX_DIMS];
    bool moved = false;
    for (int i = 0; i < it->ndim; i++)
        perm[i] = i;
    for (int i = 1; i < it->ndim; i++) {
        int dim1 = i;
        for (int dim0 = i - 1; dim0 >= 0; dim0--) {
            int c = compare_dims(it, perm[dim0], perm[dim1]);
            if (c > 0) {
                int t = perm[dim0];
                perm[dim0] = perm[dim1];
                perm[dim1] = t;
                dim1 = dim0;
                moved = true;
            } else if (c < 0)
                break;
        }
    }
    if (moved) {
        int64_t tmp[MT_MAX_DIMS];
        for (int d = 0; d < it->ndim; d++)
            tmp[d] = it->sizes[perm[d]];
        memcpy(it->sizes, tmp, (size_t)it->ndim * sizeof(int64_t));
        for (int k = 0; k < it->noperands; k++) {
            for (int d = 0; d < it->ndim; d++)
                tmp[d] = it->strides[k][perm[d]];
            memcpy(it->strides[k], tmp, (size_t)it->ndim * sizeof(int64_t));
        }
    }
    int last = 0; /* merge d into last where packed */
    for (int d = 1; d < it->ndim; d++) {
        bool merge = it->sizes[last] == 1 || it->sizes[d] == 1;
        if (!merge) {
            merge = true;
            for (int k = 0; k < it->noperands; k++)
                if (it->sizes[last] * it->strides[k][last] != it->strides[k][d])
                    merge = false;
        }
        if (merge) {
            if (it->sizes[last] == 1)
                for (int k = 0; k < it->noperands; k++)
                    it->strides[k][last] = it->strides[k][d];
            it->sizes[last] *= it->sizes[d];
        } else {
            last++;
            if (last != d) {
                it->sizes[last] = it->sizes[d];
                for (int k = 0; k < it->noperands; k++)
                    it->strides[k][last] = it->strides[k][d];
            }
        }
    }
    it->ndim = last + 1;
    lengthen_runs(it);
}

void
mt_iter_range(const mt_iter *it, mt_iter_loop loop, void *ctx, int64_t begin, int64_t end)
{
    if (begin >= end)
        return;
    char *ptrs[MT_ITER_OPERANDS];
    int64_t inner_strides[MT_ITER_OPERANDS];
    if (it->ndim == 0) {
        for (int k = 0; k < it->noperands; k++) {
            ptrs[k] = it->data[k];
            inner_strides[k] = 0;
        }
        loop(ctx, ptrs, inner_strides, 1);
        return;
    }
    int64_t index[MT_MAX_DIMS], rest = begin;
    for (int d = 0; d < it->ndim; d++) {
        index[d] = rest % it->sizes[d];
        rest /= it->sizes[d];
    }
    for (int k = 0; k < it->noperands; k++) {
        inner_strides[k] = it->strides[k][0];
        ptrs[k] = it->data[k];
        for (int d = 0; d < it->ndim; d++)
            ptrs[k] += index[d] * it->strides[k][d];
    }
    int64_t at = begin;
    for (;;) {
        int64_t n = MT_MIN(it->sizes[0] - index[0], end - at);
        char *run[MT_ITER_OPERANDS];
        for (int k = 0; k < it->noperands; k++)
            run[k] = ptrs[k];
        loop(ctx, run, inner_strides, n);
        at += n;
        if (at >= end)
            return;
        /* here the run ended at the end of dimension 0 */
        for (int k = 0; k < it->noperands; k++)
            ptrs[k] -= index[0] * it->strides[k][0];
        index[0] = 0;
        for (int d = 1; d < it->ndim; d++) {
            if (++index[d] < it->sizes[d]) {
                for (int k = 0; k < it->noperands; k++)
                    ptrs[k] += it->strides[k][d];
                break;
            }
            index[d] = 0;
            for (int k = 0; k < it->noperands; k++)
                ptrs[k] -= (it->sizes[d] - 1) * it->strides[k][d];
        }
    }
}

typedef struct job {
    const mt_iter *it;
    mt_iter_loop loop;
    void *ctx;
} job;

static void
body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    mt_iter_range(j->it, j->loop, j->ctx, begin, end);
}

void
mt_iter_run(const mt_iter *it, mt_iter_loop loop, void *ctx, int64_t grain)
{
    if (it->numel <= grain) {
        mt_iter_range(it, loop, ctx, 0, it->numel);
        return;
    }
    job j = {it, loop, ctx};
    mt_parallel_for(it->numel, grain, body, &j);
}
