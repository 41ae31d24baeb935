/* Histograms of points of one or more dimensions, in bins with given edges. A bin holds its left edge;
 * the last one its right edge too. Points are counted in order, in float64. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* torch's C++ name of a dtype, which the texts show. */
static const char *
c_name(const mt_tensor *t)
{
    switch (t->dtype) {
    case MT_FLOAT32: return "float";
    case MT_FLOAT64: return "double";
    case MT_INT64: return "long";
    case MT_INT32: return "int";
    case MT_INT16: return "short";
    case MT_INT8: return "signed char";
    case MT_UINT8: return "unsigned char";
    case MT_BOOL: return "bool";
    default: return mt_dtypes[t->dtype].scalar_name;
    }
}

static void
show_shape(char *text, size_t room, const int64_t *sizes, int ndim)
{
    int n = snprintf(text, room, "[");
    for (int i = 0; i < ndim && n < (int)room - 30; i++)
        n += snprintf(text + n, room - (size_t)n, i ? ", %lld" : "%lld", (long long)sizes[i]);
    snprintf(text + n, room - (size_t)n, "]");
}

/* Points lie along the last dimension of `self`; `edges` has a row per coordinate. */
static int
check_input(const mt_tensor *self, int64_t coordinates, mt_tensor *const *edges, const mt_tensor *weight)
{
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.histogramdd: input tensor should have at least 2 dimensions");
    int64_t n = self->sizes[self->ndim - 1];
    if (coordinates != n)
        return mt_fail(MT_RUNTIME, "torch.histogramdd: expected %lld sequences of bin edges for a %lld-dimensional histogram "
                                   "but got %lld", (long long)n, (long long)n, (long long)coordinates);
    for (int64_t d = 0; edges && d < n; d++) {
        const mt_tensor *e = edges[d];
        if (e->dtype != self->dtype)
            return mt_fail(MT_RUNTIME, "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got "
                                       "input with dtype %s and bins for dimension %lld with dtype %s",
                           c_name(self), (long long)d, c_name(e));
        if (e->ndim != 1)
            return mt_fail(MT_RUNTIME, "torch.histogramdd: bins tensor should have one dimension, but got %d dimensions in the "
                                       "bins tensor for dimension %lld", e->ndim, (long long)d);
        if (e->numel == 0)
            return mt_fail(MT_RUNTIME, "torch.histogramdd: bins tensor should have at least 1 element, but got 0 elements in "
                                       "the bins tensor for dimension %lld", (long long)d);
    }
    if (weight) {
        if (weight->dtype != self->dtype)
            return mt_fail(MT_RUNTIME, "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor should "
                                       "have the same dtype, but got input(%s), and weight(%s)", c_name(self), c_name(weight));
        if (weight->ndim != self->ndim - 1 ||
            memcmp(weight->sizes, self->sizes, (size_t)weight->ndim * sizeof *weight->sizes) != 0) {
            char a[160], b[160];
            show_shape(a, sizeof a, self->sizes, self->ndim);
            show_shape(b, sizeof b, weight->sizes, weight->ndim);
            return mt_fail(MT_RUNTIME, "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
                                       "input tensor excluding its innermost dimension, but got input with shape %s and weight "
                                       "with shape %s", a, b);
        }
    }
    return 0;
}

static int
check_dtype(const mt_tensor *self)
{
    if (self->dtype != MT_FLOAT32 && self->dtype != MT_FLOAT64)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"histogramdd\" not implemented for '%s'", mt_dtypes[self->dtype].scalar_name);
    return 0;
}

/* A packed float64 copy; NULL with the error. */
static mt_tensor *
doubles(mt_tensor *x)
{
    mt_tensor *r = mt_empty(x->ndim, x->sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE);
    if (r && mt_copy_data(r, x) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

/* ---- edges ------------------------------------------------------------------------------------ */

/* Equal bins over the range of each coordinate, or over the given ranges. */
static int
equal_edges(mt_tensor *self, const int64_t *bins, int64_t coordinates, const double *range, int64_t range_n, mt_list *ret)
{
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "torch.histogramdd: input tensor should have at least 2 dimensions");
    int64_t n = self->sizes[self->ndim - 1], points = n ? self->numel / n : 0;
    if (coordinates != n)
        return mt_fail(MT_RUNTIME, "torch.histogramdd: expected %lld sequences of bin edges for a %lld-dimensional histogram "
                                   "but got %lld", (long long)n, (long long)n, (long long)coordinates);
    if (range && range_n != 2 * n)
        return mt_fail(MT_RUNTIME, "torch.histogramdd: for a %lld-dimensional histogram range should have %lld elements, but got "
                                   "%lld", (long long)n, (long long)(2 * n), (long long)range_n);
    for (int64_t d = 0; d < n; d++)
        if (bins[d] <= 0)
            return mt_fail(MT_RUNTIME, "torch.histogram(): bins must be > 0, but got %lld for dimension %lld",
                           (long long)bins[d], (long long)d);
    if (!range && check_dtype(self) < 0)
        return -1;
    mt_tensor *x = range ? NULL : doubles(self);
    if (!range && !x)
        return -1;
    *ret = mt_list_new(n);
    int rc = n && !ret->items ? -1 : 0;
    for (int64_t d = 0; d < n && rc == 0; d++) {
        double low = range ? range[2 * d] : 0, high = range ? range[2 * d + 1] : 1;
        if (!range && points) {
            const double *p = (const double *)mt_data(x) + d;
            low = high = *p;
            for (int64_t i = 1; i < points; i++) {
                double v = p[i * n];
                low = v < low || isnan(v) ? v : low;
                high = v > high || isnan(v) ? v : high;
                if (isnan(v))
                    break;
            }
        }
        if (!isfinite(low) || !isfinite(high))
            rc = mt_fail(MT_RUNTIME, "torch.histogramdd: dimension %lld's range [%g, %g] is not finite", (long long)d, low, high);
        else if (low > high)
            rc = mt_fail(MT_RUNTIME, "torch.histogramdd: min should not exceed max, but got min %g max %g for dimension %lld",
                         low, high, (long long)d);
        if (rc == 0 && low == high) {
            low -= 0.5;
            high += 0.5;
        }
        if (rc == 0)
            rc = (ret->items[d] = aten_linspace(mt_v_float(low), mt_v_float(high), bins[d] + 1, (mt_dtype)self->dtype, -1,
                                                self->device, mt_v_none())) ? 0 : -1;
    }
    mt_xrelease(x);
    if (rc < 0)
        mt_list_free(ret);
    return rc;
}

/* ---- counting --------------------------------------------------------------------------------- */

/* The bin of v between n edges, -1 outside. */
static int64_t
bin_of(double v, const double *edges, int64_t n)
{
    if (!(v >= edges[0] && v <= edges[n - 1]))
        return -1;
    int64_t low = 0, high = n; /* the first edge above v */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (edges[middle] > v)
            high = middle;
        else
            low = middle + 1;
    }
    return low == n ? n - 2 : low - 1;
}

static mt_tensor *
count(mt_tensor *self, mt_tensor *const *edges, int64_t coordinates, mt_tensor *weight, bool density)
{
    if (check_input(self, coordinates, edges, weight) < 0)
        return NULL;
    if (self->ndim - 1 > MT_MAX_DIMS || coordinates > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "torch.histogramdd: too many dimensions");
    bag b = {0};
    mt_tensor *x, *w = NULL, *sums, *e[MT_MAX_DIMS], *r = NULL;
    int64_t n = coordinates, sizes[MT_MAX_DIMS], points = n ? self->numel / n : 0;
    for (int64_t d = 0; d < n; d++)
        sizes[d] = edges[d]->numel - 1;
    if (check_dtype(self) < 0)
        return NULL;
    if (mt_is_meta(self))
        return mt_empty((int)n, sizes, NULL, (mt_dtype)self->dtype, self->device);
    for (int64_t d = 0; d < n; d++) {
        e[d] = doubles(edges[d]);
        if (!e[d]) {
            while (d--)
                mt_release(e[d]);
            return NULL;
        }
    }
    TRY(x, doubles(self));
    if (weight)
        TRY(w, doubles(weight));
    TRY(sums, mt_empty((int)n, sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE));
    double *s = mt_data(sums), total = 0;
    memset(s, 0, (size_t)sums->numel * sizeof *s);
    const double *p = mt_data(x), *weights = w ? mt_data(w) : NULL;
    for (int64_t i = 0; i < points && sums->numel; i++, p += n) {
        int64_t at = 0;
        for (int64_t d = 0; d < n && at >= 0; d++) {
            int64_t k = bin_of(p[d], mt_data(e[d]), sizes[d] + 1);
            at = k < 0 ? -1 : at * sizes[d] + k;
        }
        if (at >= 0)
            s[at] += weights ? weights[i] : 1;
    }
    if (density) {
        for (int64_t i = 0; i < sums->numel; i++)
            total += s[i];
        for (int64_t i = 0; i < sums->numel; i++) {
            double volume = total;
            int64_t rest = i;
            for (int64_t d = n - 1; d >= 0; rest /= sizes[d], d--) {
                const double *edge = (const double *)mt_data(e[d]) + rest % sizes[d];
                volume *= edge[1] - edge[0];
            }
            s[i] /= volume;
        }
    }
    TRY(r, mt_empty((int)n, sizes, NULL, (mt_dtype)self->dtype, MT_CPU_DEVICE));
    if (mt_copy_data(r, sums) < 0)
        r = NULL;
done:
    for (int64_t d = 0; d < n; d++)
        mt_release(e[d]);
    return finish(&b, r);
}

/* ---- operators -------------------------------------------------------------------------------- */

int
op__histogramdd_bin_edges(mt_tensor *self, const int64_t *bins, int64_t bins_n, const double *range, int64_t range_n,
                          mt_tensor *weight, bool density, mt_list *ret)
{
    (void)weight, (void)density;
    return equal_edges(self, bins, bins_n, range, range_n, ret);
}

mt_tensor *
op__histogramdd_from_bin_tensors(mt_tensor *self, mt_tensor *const *bins, int64_t bins_n, mt_tensor *weight, bool density)
{
    return count(self, bins, bins_n, weight, density);
}

mt_tensor *
op__histogramdd_from_bin_cts(mt_tensor *self, const int64_t *bins, int64_t bins_n, const double *range, int64_t range_n,
                             mt_tensor *weight, bool density)
{
    mt_list edges = {0};
    if (equal_edges(self, bins, bins_n, range, range_n, &edges) < 0)
        return NULL;
    mt_tensor *r = count(self, edges.items, edges.count, weight, density);
    mt_list_free(&edges);
    return r;
}

/* One dimension: every element is a point. */
static int
as_points(mt_tensor *self, mt_tensor *weight, mt_tensor **points, mt_tensor **flat_weight)
{
    const int64_t column[] = {self->numel, 1}, flat[] = {weight ? weight->numel : 0};
    *flat_weight = NULL;
    if (!(*points = aten_reshape(self, column, 2)))
        return -1;
    return weight && !(*flat_weight = aten_reshape(weight, flat, 1)) ? -1 : 0;
}

int
op_histogram_bins_tensor(mt_tensor *self, mt_tensor *bins, mt_tensor *weight, bool density, mt_tensor **hist,
                         mt_tensor **bin_edges)
{
    mt_tensor *x, *w = NULL;
    int rc = as_points(self, weight, &x, &w);
    if (rc == 0)
        rc = (*hist = count(x, &bins, 1, w, density)) ? 0 : -1;
    if (rc == 0)
        rc = (*bin_edges = aten_clone(bins, MT_FORMAT_NONE)) ? 0 : -1;
    mt_xrelease(x);
    mt_xrelease(w);
    return rc;
}

int
op_histogram_bin_ct(mt_tensor *self, int64_t bins, const double *range, int64_t range_n, mt_tensor *weight, bool density,
                    mt_tensor **hist, mt_tensor **bin_edges)
{
    mt_tensor *x, *w = NULL;
    mt_list edges = {0};
    int rc = as_points(self, weight, &x, &w);
    if (rc == 0)
        rc = equal_edges(x, &bins, 1, range, range_n, &edges);
    if (rc == 0) {
        rc = (*hist = count(x, edges.items, 1, w, density)) ? 0 : -1;
        if (rc == 0)
            *bin_edges = mt_keep(edges.items[0]);
        mt_list_free(&edges);
    }
    mt_xrelease(x);
    mt_xrelease(w);
    return rc;
}

/* ORDER ARGS: how the three forms of histogramdd end: edges are made, points are counted. */
int
op_histogramdd(mt_tensor *self, const int64_t *bins, int64_t bins_n, const double *range, int64_t range_n, mt_tensor *weight,
               bool density, mt_tensor **hist, mt_list *bin_edges)
{
    int64_t n = self->ndim ? self->sizes[self->ndim - 1] : 0;
    if (self->ndim == 0)
        return mt_wrap_dim(-1, 0) < 0 ? -1 : mt_fail(MT_INDEX, "Dimension specified as -1 but tensor has no dimensions");
    if (bins_n != n)
        return mt_fail(MT_RUNTIME, "histogramdd: The size of bins must be equal to the innermost dimension of the input.");
    if (aten__histogramdd_bin_edges(self, bins, bins_n, range, range_n, weight, density, bin_edges) < 0)
        return -1;
    if ((*hist = aten__histogramdd_from_bin_tensors(self, bin_edges->items, bin_edges->count, weight, density)))
        return 0;
    mt_list_free(bin_edges);
    return -1;
}

int
op_histogramdd_int_bins(mt_tensor *self, int64_t bins, const double *range, int64_t range_n, mt_tensor *weight, bool density,
                        mt_tensor **hist, mt_list *bin_edges)
{
    int64_t n = self->ndim ? self->sizes[self->ndim - 1] : 0;
    int64_t *each = malloc((size_t)MT_MAX(n, 1) * sizeof *each);
    if (!each)
        return mt_fail(MT_MEMORY, "out of memory");
    for (int64_t d = 0; d < n; d++)
        each[d] = bins;
    int rc = op_histogramdd(self, each, n, range, range_n, weight, density, hist, bin_edges);
    free(each);
    return rc;
}

int
op_histogramdd_TensorList_bins(mt_tensor *self, mt_tensor *const *bins, int64_t bins_n, const double *range, int64_t range_n,
                               mt_tensor *weight, bool density, mt_tensor **hist, mt_list *bin_edges)
{
    (void)range, (void)range_n;
    if (!(*hist = aten__histogramdd_from_bin_tensors(self, bins, bins_n, weight, density)))
        return -1;
    *bin_edges = mt_list_new(bins_n);
    for (int64_t d = 0; d < bins_n; d++)
        bin_edges->items[d] = mt_keep(bins[d]);
    return 0;
}
