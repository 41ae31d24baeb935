/* Unique slices along a dimension: slices become rows of numbers that are compared in order. */
#include <stdlib.h>

#include "base/error.h"
#include "ops/rows.h"
#include "ops_gen.h"

typedef struct rows {
    const void *data;
    int64_t count, width;
    bool real; /* double, else int64 */
} rows;

static int
compare_rows(const rows *r, int64_t a, int64_t b)
{
    if (r->real) {
        const double *x = (const double *)r->data + a * r->width, *y = (const double *)r->data + b * r->width;
        for (int64_t i = 0; i < r->width; i++) {
            if (x[i] < y[i])
                return -1;
            if (x[i] > y[i])
                return 1;
            if (x[i] != y[i]) /* NaN: no number is equal to it */
                return x[i] == x[i] ? -1 : 1;
        }
        return 0;
    }
    const int64_t *x = (const int64_t *)r->data + a * r->width, *y = (const int64_t *)r->data + b * r->width;
    for (int64_t i = 0; i < r->width; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* Merge sort of row numbers, stable. */
static void
sort_rows(const rows *r, int64_t *order, int64_t *spare, int64_t n)
{
    if (n < 2)
        return;
    int64_t half = n / 2, i = 0, j = half, k = 0;
    sort_rows(r, order, spare, half);
    sort_rows(r, order + half, spare, n - half);
    memcpy(spare, order, (size_t)n * sizeof *order);
    while (i < half && j < n)
        order[k++] = compare_rows(r, spare[i], spare[j]) <= 0 ? spare[i++] : spare[j++];
    while (i < half)
        order[k++] = spare[i++];
    while (j < n)
        order[k++] = spare[j++];
}

static mt_tensor *
longs(int64_t n)
{
    return mt_empty(1, &n, NULL, MT_INT64, MT_CPU_DEVICE);
}

/* Unique slices of neighbours, after sorting or as they are. */
static int
unique_slices(mt_tensor *self, int64_t dim, bool sorting, bool with_inverse, bool with_counts,
              mt_tensor **values, mt_tensor **inverse, mt_tensor **counts)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)self->dtype;
    if (mt_is_complex(dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"unique_dim\" not implemented for '%s'",
                       mt_dtypes[dtype].scalar_name);
    int64_t n = self->ndim ? self->sizes[d] : 1, runs = 0;
    if (self->numel == 0 && n != 0) {
        int zeros = 0;
        for (int k = 0; k < self->ndim; k++)
            zeros += self->sizes[k] == 0;
        if (zeros)
            return mt_fail(MT_RUNTIME, "There are 0 sized dimensions, and they aren't selected, so "
                                       "unique cannot be applied");
    }
    int rc = -1;
    int64_t minus[2] = {n, n ? -1 : 0};
    int64_t *order = calloc((size_t)(n ? 2 * n : 1), sizeof *order);
    mt_tensor *front = NULL, *wide = NULL, *flat = NULL, *first = NULL, *inv = NULL, *cnt = NULL;
    *values = *inverse = *counts = NULL;
    bool real = !mt_is_integral(dtype, true);
    if (!order) {
        mt_fail(MT_MEMORY, "not enough memory for unique");
        goto done;
    }
    if (!(first = longs(n)) || !(inv = longs(with_inverse ? n : 0)) || !(cnt = longs(n)))
        goto done;
    if (!(front = aten_movedim_int(self, d, 0)) ||
        !(wide = mt_empty(front->ndim, front->sizes, NULL, real ? MT_FLOAT64 : MT_INT64, MT_CPU_DEVICE)) ||
        mt_copy_data(wide, front) < 0 || !(flat = aten_view(wide, minus, 2)))
        goto done;
    rows r = {mt_data(flat), n, flat->sizes[1], real};
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    if (sorting)
        sort_rows(&r, order, order + n, n);
    int64_t *at = mt_data(first), *place = mt_data(inv), *count = mt_data(cnt);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || compare_rows(&r, at[runs - 1], order[i])) {
            at[runs] = order[i];
            count[runs++] = 0;
        }
        count[runs - 1]++;
        if (with_inverse)
            place[order[i]] = runs - 1;
    }
    int64_t some = with_counts ? runs : 0;
    mt_tensor *used = mt_alias(first, 0, 1, &runs, NULL), *counted = mt_alias(cnt, 0, 1, &some, NULL);
    if (used && counted && (*values = aten_index_select(self, d, used)) &&
        (*counts = mt_contiguous_data(counted, true))) {
        *inverse = mt_keep(inv);
        rc = 0;
    }
    mt_xrelease(used);
    mt_xrelease(counted);
done:
    free(order);
    mt_xrelease(front);
    mt_xrelease(wide);
    mt_xrelease(flat);
    mt_xrelease(first);
    mt_xrelease(inv);
    mt_xrelease(cnt);
    if (rc < 0) {
        mt_xrelease(*values);
        *values = NULL;
    }
    return rc;
}

int
op_unique_dim(mt_tensor *self, int64_t dim, bool sorted, bool return_inverse, bool return_counts,
              mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    (void)sorted;
    return unique_slices(self, dim, true, return_inverse, return_counts, ret0, ret1, ret2);
}

int
mt_unique_neighbours(mt_tensor *self, int64_t dim, bool return_inverse, bool return_counts,
                     mt_tensor **values, mt_tensor **inverse, mt_tensor **counts)
{
    return unique_slices(self, dim, false, return_inverse, return_counts, values, inverse, counts);
}
