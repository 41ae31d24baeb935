/* Rows: permuting to the kernels' layout and back. A tensor that has the layout already is used in
 * place. */
#include "base/error.h"
#include "base/pool.h"
#include "ops/rows.h"

mt_dtype
mt_row_dtype(mt_dtype dtype)
{
    return mt_is_integral(dtype, true) ? MT_INT64 : mt_is_half(dtype) ? MT_FLOAT32 : dtype;
}

void
mt_mark_all(const mt_tensor *self, bool *drop)
{
    for (int d = 0; d < self->ndim; d++)
        drop[d] = true;
}

int
mt_mark_dims(const mt_tensor *self, const int64_t *dim, int64_t dim_n, bool *drop)
{
    if (dim_n == 0) {
        mt_mark_all(self, drop);
        return 0;
    }
    bool seen[MT_MAX_DIMS + 1] = {false};
    for (int64_t i = 0; i < dim_n; i++) {
        int d = mt_wrap_dim(dim[i], self->ndim);
        if (d < 0)
            return -1;
        if (seen[d])
            return mt_fail(MT_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        seen[d] = true;
    }
    memcpy(drop, seen, (size_t)self->ndim * sizeof *drop);
    return 0;
}

int
mt_shape_without(const mt_tensor *self, const bool *drop, bool keepdim, int64_t *sizes)
{
    int n = 0;
    for (int d = 0; d < self->ndim; d++)
        if (!drop[d])
            sizes[n++] = self->sizes[d];
        else if (keepdim)
            sizes[n++] = 1;
    return n;
}

int64_t
mt_dropped_numel(const mt_tensor *self, const bool *drop)
{
    int64_t n = 1;
    for (int d = 0; d < self->ndim; d++)
        if (drop[d])
            n *= self->sizes[d];
    return n;
}

static mt_tensor *
permuted(const mt_tensor *self, const bool *drop)
{
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    int n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int d = 0; d < self->ndim; d++)
            if (drop[d] == (pass == 1)) {
                sizes[n] = self->sizes[d];
                strides[n++] = self->strides[d];
            }
    return mt_alias(self, self->offset, n, sizes, strides);
}

mt_tensor *
mt_rows_of(mt_tensor *self, const bool *drop, mt_dtype dtype)
{
    bool same = true; /* the order of dimensions */
    for (int d = 1; d < self->ndim; d++)
        same &= drop[d] || !drop[d - 1];
    if (same && self->dtype == dtype && mt_is_contiguous(self))
        return mt_keep(self);
    mt_tensor *window = permuted(self, drop), *rows;
    if (!window || (mt_is_contiguous(window) && window->dtype == dtype))
        return window;
    rows = mt_empty(window->ndim, window->sizes, NULL, dtype, self->device);
    if (rows && mt_copy_data(rows, window) < 0) {
        mt_release(rows);
        rows = NULL;
    }
    mt_release(window);
    return rows;
}

mt_tensor *
mt_rows_for(mt_tensor *out, const bool *drop, mt_dtype dtype)
{
    mt_tensor *window = permuted(out, drop), *rows;
    if (!window || (mt_is_contiguous(window) && window->dtype == dtype))
        return window;
    rows = mt_empty(window->ndim, window->sizes, NULL, dtype, out->device);
    mt_release(window);
    return rows;
}

int
mt_rows_close(mt_tensor *out, const bool *drop, mt_tensor *rows, int rc)
{
    if (rows && rc == 0 && rows->storage != out->storage) {
        mt_tensor *window = permuted(out, drop);
        rc = window ? mt_copy_data(window, rows) : -1;
        mt_xrelease(window);
    }
    mt_xrelease(rows);
    return rc;
}

typedef struct row_work {
    mt_row_kernel kernel;
    const char *x;
    char *out;
    int64_t n;
    size_t row_bytes, out_bytes;
    double param;
} row_work;

static void
run_rows(void *ctx, int64_t begin, int64_t end)
{
    const row_work *w = ctx;
    for (int64_t r = begin; r < end; r++)
        w->kernel(w->x + r * (int64_t)w->row_bytes, w->n, w->out + r * (int64_t)w->out_bytes,
                  w->param);
}

void
mt_rows_run(mt_row_kernel kernel, const mt_tensor *rows, int64_t n, void *out, size_t out_bytes,
            double param)
{
    row_work w = {kernel, mt_data(rows), out, n, (size_t)n * (size_t)mt_itemsize(rows), out_bytes,
                  param};
    /* with n == 0 the caller says how many rows there are through the kept dimensions */
    int64_t count = n > 0 ? rows->numel / n : rows->numel;
    if (MT_LIKELY(rows->numel <= MT_GRAIN))
        run_rows(&w, 0, count);
    else
        mt_parallel_for(count, MT_MAX(1, MT_GRAIN / MT_MAX(n, 1)), run_rows, &w);
}

/* Contiguous, the dropped dimensions last. */
static bool
are_rows(const mt_tensor *self, const bool *drop)
{
    bool dropped = false;
    for (int d = 0; d < self->ndim; d++) {
        if (dropped && !drop[d] && self->sizes[d] != 1)
            return false;
        dropped |= drop[d];
    }
    return mt_is_contiguous(self);
}

/* Sums over dimensions that lie next to each other in a contiguous tensor, in front of others: the
 * rows stay where they are and columns are summed side by side. */
typedef struct column_work {
    mt_column_sum sum;
    const char *x;
    char *out;
    int64_t n, width, parts; /* rows, columns, tasks a row of them makes */
    int64_t size;
} column_work;

static void
run_columns(void *ctx, int64_t begin, int64_t end)
{
    const column_work *w = ctx;
    for (int64_t i = begin; i < end; i++) {
        int64_t outer = i / w->parts, from = i % w->parts * MT_SUM_COLUMNS;
        w->sum(w->x + (outer * w->n * w->width + from) * w->size, w->n, w->width,
               MT_MIN(w->width - from, MT_SUM_COLUMNS), w->out + (outer * w->width + from) * w->size);
    }
}

/* True when this way was taken. */
static bool
sum_columns(const mt_tensor *self, const bool *drop, mt_dtype compute, mt_tensor *out)
{
    int first = 0, last = self->ndim;
    mt_column_sum sum = mt_column_sum_of(compute);
    if (!sum || self->dtype != compute || out->dtype != compute || !mt_is_contiguous(self) ||
        !mt_is_contiguous(out) || self->numel == 0)
        return false;
    while (first < last && !drop[first])
        first++;
    while (last > first && !drop[last - 1])
        last--;
    int64_t outer = 1, n = 1, width = 1;
    for (int d = 0; d < self->ndim; d++) {
        if (d >= first && d < last && !drop[d])
            return false;
        *(d < first ? &outer : d < last ? &n : &width) *= self->sizes[d];
    }
    if (width < 4)
        return false;
    int64_t parts = (width + MT_SUM_COLUMNS - 1) / MT_SUM_COLUMNS;
    column_work w = {sum, mt_data(self), mt_data(out), n, width, parts, mt_itemsize(self)};
    mt_parallel_for(outer * parts, MT_MAX(1, MT_GRAIN / (n * MT_SUM_COLUMNS)), run_columns, &w);
    return true;
}

int
mt_rows_reduce(mt_tensor *self, const bool *drop, mt_row_op op, mt_dtype compute, mt_dtype made,
               double param, mt_tensor *out)
{
    mt_row_kernel kernel = mt_row_kernel_of(op, compute);
    if (!kernel)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"reduction_cpu\" not implemented for '%s'",
                       mt_dtypes[self->dtype].scalar_name);
    if (out->numel == 0)
        return 0;
    if (op == MT_ROW_SUM && sum_columns(self, drop, compute, out))
        return 0;
    int64_t n = mt_dropped_numel(self, drop);
    if (self->dtype == compute && out->dtype == made && n > 0 && are_rows(self, drop)) {
        mt_rows_run(kernel, self, n, mt_data(out), mt_dtypes[made].size, param);
        return 0;
    }
    mt_tensor *rows = mt_rows_of(self, drop, compute), *target = out;
    if (!rows)
        return -1;
    int rc = -1;
    if (out->dtype == made)
        mt_keep(target);
    else
        target = mt_empty(out->ndim, out->sizes, NULL, made, out->device);
    if (target) {
        size_t bytes = mt_dtypes[made].size;
        if (n == 0) {
            char *o = mt_data(target);
            for (int64_t r = 0; r < out->numel; r++)
                kernel(mt_data(rows), 0, o + r * (int64_t)bytes, param);
        } else
            mt_rows_run(kernel, rows, n, mt_data(target), bytes, param);
        rc = target == out ? 0 : mt_copy_data(out, target);
    }
    mt_xrelease(target);
    mt_release(rows);
    return rc;
}

int
mt_rows_pick(const mt_tensor *rows, int64_t n, const mt_tensor *indices, mt_tensor *values)
{
    mt_tensor *to = values;
    if (values->dtype == rows->dtype)
        mt_keep(to);
    else if (!(to = mt_empty(values->ndim, values->sizes, NULL, (mt_dtype)rows->dtype,
                             values->device)))
        return -1;
    const char *x = mt_data(rows);
    char *o = mt_data(to);
    const int64_t *index = mt_data(indices);
    int64_t size = mt_itemsize(rows);
    for (int64_t r = 0; r < to->numel; r++)
        memcpy(o + r * size, x + (r * n + index[r]) * size, (size_t)size);
    int rc = to == values ? 0 : mt_copy_data(values, to);
    mt_release(to);
    return rc;
}

int
mt_check_not_empty(const mt_tensor *self, int dim, const char *who)
{
    if (self->ndim > 0 && self->sizes[dim] == 0)
        return mt_fail(MT_INDEX, "%s: Expected reduction dim %d to have non-zero size.", who, dim);
    return 0;
}
