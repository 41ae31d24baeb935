/* Unique values, counts and differences. */
#include <math.h>

#include "base/alloc.h"
#include "base/error.h"
#include "ops/rows.h"
#include "ops_gen.h"

static mt_tensor *
empty_longs(int64_t n, mt_device device)
{
    return mt_empty(1, &n, NULL, MT_INT64, device);
}

/* Unique neighbours of the flattened tensor `x` taken in the order of `order` (NULL: as they
 * are). `inverse` has the shape of self. */
static int
unique_runs(mt_tensor *self, mt_tensor *x, const int64_t *order, bool with_inverse,
            bool with_counts, mt_tensor **values, mt_tensor **inverse, mt_tensor **counts)
{
    int64_t n = x->numel, size = mt_itemsize(x), runs = 0;
    mt_tensor *out = mt_empty(1, &n, NULL, (mt_dtype)x->dtype, self->device);
    mt_tensor *inv = out ? (with_inverse ? mt_empty(self->ndim, self->sizes, NULL, MT_INT64,
                                                    self->device)
                                         : empty_longs(0, self->device))
                         : NULL;
    mt_tensor *cnt = inv ? empty_longs(with_counts ? n : 0, self->device) : NULL;
    mt_tensor *v = NULL, *c = NULL;
    if (cnt) {
        const char *from = mt_data(x);
        char *to = mt_data(out);
        int64_t *place = mt_data(inv), *count = mt_data(cnt);
        bool real = x->dtype == MT_FLOAT64;
        for (int64_t i = 0; i < n; i++) {
            int64_t at = order ? order[i] : i;
            const char *e = from + at * size, *last = to + (runs - 1) * size;
            bool same = runs > 0 && (real ? *(const double *)e == *(const double *)last
                                          : !memcmp(e, last, (size_t)size));
            if (!same) {
                memcpy(to + runs * size, e, (size_t)size);
                if (with_counts)
                    count[runs] = 0;
                runs++;
            }
            if (with_counts)
                count[runs - 1]++;
            if (with_inverse)
                place[at] = runs - 1;
        }
        mt_tensor *short_values = mt_alias(out, 0, 1, &runs, NULL);
        v = mt_empty(1, &runs, NULL, (mt_dtype)self->dtype, self->device);
        if (!short_values || !v || mt_copy_data(v, short_values) < 0) {
            mt_xrelease(v);
            v = NULL;
        }
        mt_xrelease(short_values);
        int64_t some = with_counts ? runs : 0;
        mt_tensor *short_counts = v ? mt_alias(cnt, 0, 1, &some, NULL) : NULL;
        c = short_counts ? mt_contiguous_data(short_counts, true) : NULL;
        mt_xrelease(short_counts);
    }
    mt_xrelease(out);
    mt_xrelease(cnt);
    if (!c) {
        mt_xrelease(inv);
        mt_xrelease(v);
        return -1;
    }
    *values = v;
    *inverse = inv;
    *counts = c;
    return 0;
}

static mt_tensor *
flat_keys(mt_tensor *self)
{
    bool none[MT_MAX_DIMS] = {false};
    mt_dtype d = (mt_dtype)self->dtype;
    if (mt_is_complex(d))
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"unique\" not implemented for '%s'",
                            mt_dtypes[d].scalar_name);
    mt_tensor *x = mt_rows_of(self, none, mt_is_integral(d, true) ? MT_INT64 : MT_FLOAT64);
    mt_tensor *flat = x ? mt_alias(x, x->offset, 1, &self->numel, NULL) : NULL;
    mt_xrelease(x);
    return flat;
}

int
op__unique2(mt_tensor *self, bool sorted, bool return_inverse, bool return_counts,
            mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    (void)sorted;
    mt_tensor *x = flat_keys(self), *v = NULL, *k = NULL;
    int rc = -1;
    if (x && aten_sort(x, 0, false, &v, &k) == 0)
        rc = unique_runs(self, x, mt_data(k), return_inverse, return_counts, ret0, ret1, ret2);
    mt_xrelease(x);
    mt_xrelease(v);
    mt_xrelease(k);
    return rc;
}

int
op__unique(mt_tensor *self, bool sorted, bool return_inverse, mt_tensor **ret0, mt_tensor **ret1)
{
    mt_tensor *counts = NULL;
    int rc = op__unique2(self, sorted, return_inverse, false, ret0, ret1, &counts);
    mt_xrelease(counts);
    return rc;
}

int
op_unique_consecutive(mt_tensor *self, bool return_inverse, bool return_counts, mt_value dim,
                      mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    if (!mt_is_none(dim) && self->ndim != 1)
        return mt_unique_neighbours(self, dim.u.i, return_inverse, return_counts, ret0, ret1, ret2);
    mt_tensor *x = flat_keys(self);
    int rc = x ? unique_runs(self, x, NULL, return_inverse, return_counts, ret0, ret1, ret2) : -1;
    mt_xrelease(x);
    return rc;
}

/* ---- counts --------------------------------------------------------------------------------- */

mt_tensor *
op_bincount(mt_tensor *self, mt_tensor *weights, int64_t minlength)
{
    bool none[MT_MAX_DIMS] = {false};
    if (!mt_is_integral((mt_dtype)self->dtype, false))
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"bincount_cpu\" not implemented for '%s'",
                            mt_dtypes[self->dtype].scalar_name);
    if (minlength < 0)
        return mt_fail_null(MT_RUNTIME, "minlength should be >= 0");
    if (self->ndim == 1 && self->numel == 0) {
        mt_tensor *zeros = empty_longs(minlength, self->device);
        if (zeros && mt_fill_data(zeros, mt_v_int(0)) < 0) {
            mt_release(zeros);
            return NULL;
        }
        return zeros;
    }
    mt_tensor *x = mt_rows_of(self, none, MT_INT64), *w = NULL, *out = NULL, *r = NULL;
    if (!x)
        return NULL;
    const int64_t *p = mt_data(x);
    int64_t n = x->numel, low = 0, high = -1;
    for (int64_t i = 0; i < n; i++) {
        low = MT_MIN(low, p[i]);
        high = MT_MAX(high, p[i]);
    }
    if (self->ndim != 1 || low < 0) {
        mt_release(x);
        return mt_fail_null(MT_RUNTIME, "bincount only supports 1-d non-negative integral inputs.");
    }
    if (weights && (weights->ndim != 1 || weights->numel != n)) {
        mt_release(x);
        return mt_fail_null(MT_RUNTIME, "weights should be 1-d and have the same length as input");
    }
    int64_t bins = MT_MAX(high + 1, minlength);
    mt_dtype made = !weights ? MT_INT64 : weights->dtype == MT_FLOAT32 ? MT_FLOAT32 : MT_FLOAT64;
    if (weights && !(w = mt_rows_of(weights, none, MT_FLOAT64)))
        goto done;
    if (!(out = mt_empty(1, &bins, NULL, w ? MT_FLOAT64 : MT_INT64, self->device)) ||
        mt_fill_data(out, mt_v_int(0)) < 0)
        goto done;
    if (w)
        for (int64_t i = 0; i < n; i++)
            ((double *)mt_data(out))[p[i]] += ((const double *)mt_data(w))[i];
    else
        for (int64_t i = 0; i < n; i++)
            ((int64_t *)mt_data(out))[p[i]]++;
    r = mt_rows_of(out, none, made);
done:
    mt_xrelease(x);
    mt_xrelease(w);
    mt_xrelease(out);
    return r;
}

int
histc_meta(mt_call *call, mt_tensor *self, int64_t bins, mt_scalar min, mt_scalar max)
{
    (void)min;
    (void)max;
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"histogram_cpu\" not implemented for '%s'",
                       mt_dtypes[self->dtype].scalar_name);
    if (bins <= 0)
        return mt_fail(MT_RUNTIME,
                       "torch.histogram(): bins must be > 0, but got %lld for dimension 0",
                       (long long)bins);
    return mt_set_output(call, 0, 1, &bins, NULL, (mt_dtype)self->dtype, self->device);
}

int
histc_impl(mt_call *call, mt_tensor *self, int64_t bins, mt_scalar min, mt_scalar max)
{
    bool none[MT_MAX_DIMS] = {false};
    mt_tensor *x = mt_rows_of(self, none, MT_FLOAT64), *out = NULL;
    if (!x)
        return -1;
    const double *p = mt_data(x);
    double low = mt_scalar_f64(min), high = mt_scalar_f64(max);
    int rc = -1;
    if (low == high && x->numel > 0) {
        low = __builtin_inf();
        high = -low;
        for (int64_t i = 0; i < x->numel; i++) {
            low = p[i] < low || p[i] != p[i] ? p[i] : low;
            high = p[i] > high || p[i] != p[i] ? p[i] : high;
        }
    }
    if (low == high) {
        low -= 1;
        high += 1;
    }
    if (!isfinite(low) || !isfinite(high)) {
        mt_fail(MT_RUNTIME, "torch.histc: range of [%g, %g] is not finite", low, high);
        goto done;
    }
    if (low > high) {
        mt_fail(MT_RUNTIME, "torch.histc: max must be larger than min");
        goto done;
    }
    if (!(out = mt_empty(1, &bins, NULL, MT_FLOAT64, self->device)) ||
        mt_fill_data(out, mt_v_int(0)) < 0)
        goto done;
    for (int64_t i = 0; i < x->numel; i++)
        if (p[i] >= low && p[i] <= high) {
            int64_t at = (int64_t)((p[i] - low) / (high - low) * (double)bins);
            ((double *)mt_data(out))[MT_MIN(at, bins - 1)]++;
        }
    rc = mt_copy_data(mt_out(call, 0), out);
done:
    mt_release(x);
    mt_xrelease(out);
    return rc;
}

/* ---- differences ---------------------------------------------------------------------------- */

mt_tensor *
op_diff(mt_tensor *self, int64_t n, int64_t dim, mt_tensor *prepend, mt_tensor *append)
{
    if (self->ndim == 0)
        return mt_fail_null(MT_RUNTIME, "diff expects input to be at least one-dimensional");
    if (n < 0)
        return mt_fail_null(MT_RUNTIME, "order must be non-negative but got %lld", (long long)n);
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    if (n == 0)
        return aten_clone(self, MT_FORMAT_NONE);
    mt_tensor *x;
    if (prepend || append) {
        mt_tensor *parts[3];
        int64_t count = 0;
        if (prepend)
            parts[count++] = prepend;
        parts[count++] = self;
        if (append)
            parts[count++] = append;
        x = aten_cat(parts, count, d);
    } else
        x = mt_keep(self);
    for (int64_t i = 0; x && i < n && x->sizes[d] > 0; i++) {
        int64_t m = x->sizes[d];
        mt_tensor *a = aten_slice_Tensor(x, d, mt_v_int(1), mt_v_int(m), 1);
        mt_tensor *b = a ? aten_slice_Tensor(x, d, mt_v_int(0), mt_v_int(m - 1), 1) : NULL;
        mt_tensor *next = !b ? NULL : x->dtype == MT_BOOL ? aten_logical_xor(a, b)
                                                          : aten_sub_Tensor(a, b, mt_v_int(1));
        mt_xrelease(a);
        mt_xrelease(b);
        mt_release(x);
        x = next;
    }
    return x;
}
