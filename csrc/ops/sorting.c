/* Sorting and what follows from order: medians, largest elements, unique values, searches,
 * histograms.
 *
 * Every element becomes a 64-bit key whose unsigned order is the order of the values (NaN last,
 * both zeros equal); one stable sort of (key, place) pairs then serves all dtypes. */
#include "base/alloc.h"
#include "base/error.h"
#include "ops/rows.h"
#include "ops_gen.h"

#define NAME_OF(t) mt_dtypes[(t)->dtype].scalar_name

typedef struct pair {
    uint64_t key;
    int64_t at;
} pair;

#define NAN_KEY UINT64_MAX

/* The dtype that keys are made from. */
static mt_dtype
key_dtype(mt_dtype d)
{
    return mt_is_integral(d, true) ? MT_INT64 : MT_FLOAT64;
}

static uint64_t
key_of(const void *row, mt_dtype dtype, int64_t i)
{
    uint64_t sign = 1ull << 63, bits;
    if (dtype == MT_INT64)
        return (uint64_t)((const int64_t *)row)[i] ^ sign;
    double v = ((const double *)row)[i] + 0.0;
    if (v != v)
        return NAN_KEY;
    memcpy(&bits, &v, 8);
    return bits & sign ? ~bits : bits | sign;
}

/* Stable; `a` is sorted with the help of `b`; the sorted pairs are in the one that is returned. */
static pair *
sort_pairs(pair *a, pair *b, int64_t n)
{
    if (n < 128) {
        for (int64_t i = 1; i < n; i++) {
            pair p = a[i];
            int64_t j = i;
            for (; j > 0 && a[j - 1].key > p.key; j--)
                a[j] = a[j - 1];
            a[j] = p;
        }
        return a;
    }
    int64_t counts[8][256] = {{0}};
    for (int64_t i = 0; i < n; i++)
        for (int byte = 0; byte < 8; byte++)
            counts[byte][a[i].key >> (8 * byte) & 255]++;
    for (int byte = 0; byte < 8; byte++) {
        int64_t *count = counts[byte], start = 0;
        if (count[a[0].key >> (8 * byte) & 255] == n)
            continue;
        for (int v = 0; v < 256; v++) {
            int64_t c = count[v];
            count[v] = start;
            start += c;
        }
        for (int64_t i = 0; i < n; i++)
            b[count[a[i].key >> (8 * byte) & 255]++] = a[i];
        pair *t = a;
        a = b;
        b = t;
    }
    return a;
}

static pair *
sort_row(const void *row, mt_dtype dtype, int64_t n, bool descending, pair *room)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t key = key_of(row, dtype, i);
        room[i] = (pair){descending ? ~key : key, i};
    }
    return sort_pairs(room, room + n, n);
}

#define FEW 64 /* elements up to which picking beats sorting */

/* The first `take` elements of the sorted row, without sorting the others: each element is held
 * against the last of those picked so far. */
static pair *
pick_row(const void *row, mt_dtype dtype, int64_t n, int64_t take, bool descending, pair *room)
{
    uint64_t flip = descending ? ~(uint64_t)0 : 0;
    for (int64_t i = 0; i < take; i++)
        room[take + i] = (pair){key_of(row, dtype, i) ^ flip, i};
    pair *best = sort_pairs(room + take, room, take);
    const int64_t *whole = row;
    const double *real = row;
    for (int64_t i = take; i < n; i++) {
        int64_t last = best[take - 1].at;
        if (dtype == MT_INT64 ? (descending ? whole[i] <= whole[last] : whole[i] >= whole[last])
                              : (descending ? real[i] <= real[last] : real[i] >= real[last]))
            continue;
        pair p = {key_of(row, dtype, i) ^ flip, i}; /* a NaN may be here and not belong */
        int64_t j = take - 1;
        if (p.key >= best[j].key)
            continue;
        for (; j > 0 && best[j - 1].key > p.key; j--)
            best[j] = best[j - 1];
        best[j] = p;
    }
    return best;
}

static size_t
room_bytes(int64_t n)
{
    return (size_t)(2 * n + 1) * sizeof(pair);
}

static int
mark_one(const mt_tensor *self, int64_t dim, bool *drop)
{
    int d = mt_wrap_dim(dim, self->ndim);
    for (int k = 0; k < self->ndim; k++)
        drop[k] = k == d;
    return d;
}

/* ---- sort, topk ----------------------------------------------------------------------------- */

/* The first `take` of every sorted row. */
static int
sort_to(mt_tensor *self, int64_t dim, bool descending, mt_tensor *values, mt_tensor *indices)
{
    bool drop[MT_MAX_DIMS];
    mt_dtype d = key_dtype((mt_dtype)self->dtype);
    if (mark_one(self, dim, drop) < 0)
        return -1;
    if (values->numel == 0)
        return 0;
    int64_t n = mt_dropped_numel(self, drop), take = mt_dropped_numel(values, drop);
    pair *room = mt_alloc(room_bytes(n));
    mt_tensor *x = room ? mt_rows_of(self, drop, d) : NULL;
    mt_tensor *y = x ? mt_rows_for(values, drop, d) : NULL;
    mt_tensor *k = y ? mt_rows_for(indices, drop, MT_INT64) : NULL;
    if (k) {
        int64_t *to = mt_data(y), *index = mt_data(k); /* both key dtypes have eight bytes */
        const int64_t *row = mt_data(x);
        for (int64_t r = 0; r < x->numel / n; r++, row += n, to += take, index += take) {
            const pair *sorted = take <= FEW && n >= 4 * take
                                     ? pick_row(row, d, n, take, descending, room)
                                     : sort_row(row, d, n, descending, room);
            for (int64_t i = 0; i < take; i++) {
                index[i] = sorted[i].at;
                to[i] = row[sorted[i].at];
            }
        }
    }
    mt_xrelease(x);
    mt_free(room, room_bytes(n));
    int rc = mt_rows_close(values, drop, y, k ? 0 : -1);
    return mt_rows_close(indices, drop, k, rc);
}

static int
sort_meta_of(mt_call *call, mt_tensor *self, int64_t dim)
{
    if (mt_wrap_dim(dim, self->ndim) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, " Sort does not support complex dtypes on CPU");
    if (mt_set_output_like(call, 0, self, (mt_dtype)self->dtype) < 0)
        return -1;
    return mt_set_output_like(call, 1, self, MT_INT64);
}

int
sort_meta(mt_call *call, mt_tensor *self, int64_t dim, bool descending)
{
    (void)descending;
    return sort_meta_of(call, self, dim);
}

int
sort_impl(mt_call *call, mt_tensor *self, int64_t dim, bool descending)
{
    return sort_to(self, dim, descending, mt_out(call, 0), mt_out(call, 1));
}

int
sort_stable_meta(mt_call *call, mt_tensor *self, mt_value stable, int64_t dim, bool descending)
{
    (void)stable;
    (void)descending;
    return sort_meta_of(call, self, dim);
}

int
sort_stable_impl(mt_call *call, mt_tensor *self, mt_value stable, int64_t dim, bool descending)
{
    (void)stable;
    return sort_to(self, dim, descending, mt_out(call, 0), mt_out(call, 1));
}

mt_tensor *
op_argsort(mt_tensor *self, int64_t dim, bool descending)
{
    mt_tensor *values = NULL, *indices = NULL;
    if (aten_sort(self, dim, descending, &values, &indices) < 0)
        return NULL;
    mt_xrelease(values);
    return indices;
}

mt_tensor *
op_argsort_stable(mt_tensor *self, bool stable, int64_t dim, bool descending)
{
    (void)stable;
    return op_argsort(self, dim, descending);
}

mt_tensor *
op_msort(mt_tensor *self)
{
    mt_tensor *values = NULL, *indices = NULL;
    if (aten_sort(self, 0, false, &values, &indices) < 0)
        return NULL;
    mt_xrelease(indices);
    return values;
}

int
topk_meta(mt_call *call, mt_tensor *self, int64_t k, int64_t dim, bool largest, bool sorted)
{
    (void)largest;
    (void)sorted;
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    if (k < 0 || k > (self->ndim ? self->sizes[d] : 1))
        return mt_fail(MT_RUNTIME, "selected index k out of range");
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, " topk does not support complex dtypes on CPU");
    if (self->dtype == MT_BOOL)
        return mt_fail(MT_RUNTIME, "topk does not support bool dtypes on CPU");
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, (size_t)self->ndim * sizeof *sizes);
    if (self->ndim)
        sizes[d] = k;
    if (mt_set_output(call, 0, self->ndim, sizes, NULL, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, self->ndim, sizes, NULL, MT_INT64, self->device);
}

int
topk_impl(mt_call *call, mt_tensor *self, int64_t k, int64_t dim, bool largest, bool sorted)
{
    (void)k;
    (void)sorted;
    return sort_to(self, dim, largest, mt_out(call, 0), mt_out(call, 1));
}

/* ---- one element of each row ---------------------------------------------------------------- */

typedef enum choice { MEDIAN, NANMEDIAN, MODE, KTH } choice;

static int64_t
choose(const pair *p, int64_t n, choice what, int64_t k)
{
    int64_t numbers = n;
    while (numbers > 0 && p[numbers - 1].key == NAN_KEY)
        numbers--;
    switch (what) {
    case MEDIAN: return p[numbers < n ? numbers : (n - 1) / 2].at;
    case NANMEDIAN: return p[numbers ? (numbers - 1) / 2 : 0].at;
    case KTH: return p[k - 1].at;
    default: break;
    }
    int64_t best = 0, best_count = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && p[j].key == p[i].key; j++)
            ;
        if (j - i > best_count) {
            best_count = j - i;
            best = p[j - 1].at;
        }
    }
    return best;
}

static int
choose_to(mt_tensor *self, const bool *drop, choice what, int64_t kth, mt_tensor *values,
          mt_tensor *indices)
{
    if (values->numel == 0)
        return 0;
    mt_dtype d = key_dtype((mt_dtype)self->dtype);
    int64_t n = mt_dropped_numel(self, drop);
    pair *room = mt_alloc(room_bytes(n));
    mt_tensor *x = room ? mt_rows_of(self, drop, d) : NULL;
    int rc = x ? 0 : -1;
    if (x) {
        const int64_t *row = mt_data(x);
        int64_t *index = mt_data(indices);
        for (int64_t r = 0; r < values->numel; r++, row += n)
            index[r] = choose(sort_row(row, d, n, false, room), n, what, kth);
        rc = mt_rows_pick(x, n, indices, values);
    }
    mt_xrelease(x);
    mt_free(room, room_bytes(n));
    return rc;
}

static int
choice_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim, const char *who,
            const char *kernel, bool bool_ok)
{
    bool drop[MT_MAX_DIMS];
    int64_t sizes[MT_MAX_DIMS];
    int d = mark_one(self, dim, drop);
    if (d < 0 || mt_check_not_empty(self, d, who) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)self->dtype) || (self->dtype == MT_BOOL && !bool_ok))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel,
                       NAME_OF(self));
    int n = mt_shape_without(self, drop, keepdim, sizes);
    if (mt_set_output(call, 0, n, sizes, NULL, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, n, sizes, NULL, MT_INT64, self->device);
}

static int
choice_impl(mt_call *call, mt_tensor *self, int64_t dim, choice what, int64_t k)
{
    bool drop[MT_MAX_DIMS];
    if (mark_one(self, dim, drop) < 0)
        return -1;
    return choose_to(self, drop, what, k, mt_out(call, 0), mt_out(call, 1));
}

#define CHOICE(name, what, who, kernel, bool_ok)                                                   \
    int name##_meta(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)                     \
    {                                                                                              \
        return choice_meta(call, self, dim, keepdim, who, kernel, bool_ok);                        \
    }                                                                                              \
    int name##_impl(mt_call *call, mt_tensor *self, int64_t dim, bool keepdim)                     \
    {                                                                                              \
        (void)keepdim;                                                                             \
        return choice_impl(call, self, dim, what, 0);                                              \
    }
CHOICE(median_dim, MEDIAN, "median()", "median_cpu", false)
CHOICE(nanmedian_dim, NANMEDIAN, "median()", "median_cpu", false)
CHOICE(mode, MODE, "mode()", "mode_cpu", true)

int
kthvalue_meta(mt_call *call, mt_tensor *self, int64_t k, int64_t dim, bool keepdim)
{
    if (choice_meta(call, self, dim, keepdim, "kthvalue()", "kthvalue_cpu", false) < 0)
        return -1;
    int d = mt_wrap_dim(dim, self->ndim);
    if (k < 1 || k > (self->ndim ? self->sizes[d] : 1))
        return mt_fail(MT_RUNTIME, "kthvalue(): selected number k out of range for dimension %d",
                       d);
    return 0;
}

int
kthvalue_impl(mt_call *call, mt_tensor *self, int64_t k, int64_t dim, bool keepdim)
{
    (void)keepdim;
    return choice_impl(call, self, dim, KTH, k);
}

static int
median_all_meta(mt_call *call, mt_tensor *self)
{
    if (mt_is_complex((mt_dtype)self->dtype) || self->dtype == MT_BOOL)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"median_cpu\" not implemented for '%s'",
                       NAME_OF(self));
    return mt_set_output(call, 0, 0, NULL, NULL, (mt_dtype)self->dtype, self->device);
}

/* The median of no elements is NaN. */
static int
median_all_impl(mt_call *call, mt_tensor *self, choice what)
{
    bool drop[MT_MAX_DIMS];
    mt_mark_all(self, drop);
    if (self->numel == 0)
        return mt_fill_data(mt_out(call, 0), mt_is_integral((mt_dtype)self->dtype, true)
                                                 ? mt_v_int(INT64_MIN)
                                                 : mt_v_float(__builtin_nan("")));
    mt_tensor *at = mt_empty(0, NULL, NULL, MT_INT64, self->device);
    int rc = at ? choose_to(self, drop, what, 0, mt_out(call, 0), at) : -1;
    mt_xrelease(at);
    return rc;
}

int
median_meta(mt_call *call, mt_tensor *self)
{
    return median_all_meta(call, self);
}

int
median_impl(mt_call *call, mt_tensor *self)
{
    return median_all_impl(call, self, MEDIAN);
}

int
nanmedian_meta(mt_call *call, mt_tensor *self)
{
    return median_all_meta(call, self);
}

int
nanmedian_impl(mt_call *call, mt_tensor *self)
{
    return median_all_impl(call, self, NANMEDIAN);
}

/* ---- searches ------------------------------------------------------------------------------- */

/* How many of n sorted keys are below `key` (or not above it, with `right`). */
static int64_t
search_row(const void *row, mt_dtype dtype, const int64_t *order, int64_t n, uint64_t key,
           bool right)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        uint64_t k = key_of(row, dtype, order ? order[mid] : mid);
        if (right ? k <= key : k < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int
check_search(const mt_tensor *edges, const mt_tensor *self, bool right, const char *side,
             const mt_tensor *sorter)
{
    if (side && strcmp(side, "left") && strcmp(side, "right"))
        return mt_fail(MT_RUNTIME,
                       "torch.searchsorted(): side can only be 'left' or 'right' but got %s", side);
    if (side && right && !strcmp(side, "left"))
        return mt_fail(MT_RUNTIME, "torch.searchsorted(): side and right can't be set to opposites, "
                                   "got side of left while right was True");
    if (mt_is_complex((mt_dtype)edges->dtype) || mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"searchsorted_out_cpu\" not implemented for '%s'",
                       NAME_OF(self));
    bool fits = edges->ndim == 1 || (edges->ndim == self->ndim && edges->ndim > 0);
    for (int d = 0; fits && edges->ndim != 1 && d < edges->ndim - 1; d++)
        fits = edges->sizes[d] == self->sizes[d];
    if (!fits)
        return mt_fail(MT_RUNTIME,
                       "torch.searchsorted(): boundaries tensor should be 1 dimension or the first "
                       "N-1 dimensions of boundaries tensor and input value tensor must match, but "
                       "we got boundaries tensor %s and input value tensor %s",
                       mt_shape_str(edges), mt_shape_str(self));
    if (sorter && (!mt_same_shape(sorter, edges) || sorter->dtype != MT_INT64))
        return mt_fail(MT_RUNTIME,
                       "torch.searchsorted(): boundary and sorter must have the same size and the "
                       "sorter be of dtype Long, but got boundary tensor %s and got sorter tensor %s",
                       mt_shape_str(edges), mt_shape_str(sorter));
    return 0;
}

int
searchsorted_Tensor_meta(mt_call *call, mt_tensor *edges, mt_tensor *self, bool out_int32,
                         bool right, const char *side, mt_tensor *sorter)
{
    if (check_search(edges, self, right, side, sorter) < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, out_int32 ? MT_INT32 : MT_INT64,
                         edges->device);
}

int
searchsorted_Tensor_impl(mt_call *call, mt_tensor *edges, mt_tensor *self, bool out_int32,
                         bool right, const char *side, mt_tensor *sorter)
{
    mt_tensor *out = mt_out(call, 0);
    mt_dtype d = key_dtype((mt_dtype)edges->dtype) == MT_INT64 &&
                         key_dtype((mt_dtype)self->dtype) == MT_INT64
                     ? MT_INT64
                     : MT_FLOAT64;
    bool none[MT_MAX_DIMS] = {false};
    right = right || (side && !strcmp(side, "right"));
    if (out->numel == 0)
        return 0;
    mt_tensor *x = mt_rows_of(self, none, d), *e = x ? mt_rows_of(edges, none, d) : NULL;
    mt_tensor *s = e && sorter ? mt_rows_of(sorter, none, MT_INT64) : NULL;
    int rc = e && (s || !sorter) ? 0 : -1;
    if (rc == 0) {
        int64_t n = edges->sizes[edges->ndim - 1], m = self->ndim ? self->sizes[self->ndim - 1] : 1;
        for (int64_t i = 0; i < self->numel; i++) {
            int64_t row = edges->ndim == 1 ? 0 : i / m * n;
            int64_t at = search_row((const char *)mt_data(e) + 8 * row, d,
                                    s ? (const int64_t *)mt_data(s) + row : NULL, n,
                                    key_of(mt_data(x), d, i), right);
            if (out_int32)
                ((int32_t *)mt_data(out))[i] = (int32_t)at;
            else
                ((int64_t *)mt_data(out))[i] = at;
        }
    }
    mt_xrelease(x);
    mt_xrelease(e);
    mt_xrelease(s);
    return rc;
}

mt_tensor *
op_searchsorted_Scalar(mt_tensor *edges, mt_scalar self, bool out_int32, bool right,
                       const char *side, mt_tensor *sorter)
{
    mt_tensor *x = mt_wrap_scalar(self);
    mt_tensor *r = x ? aten_searchsorted_Tensor(edges, x, out_int32, right, side, sorter) : NULL;
    mt_xrelease(x);
    return r;
}

mt_tensor *
op_bucketize_Tensor(mt_tensor *self, mt_tensor *edges, bool out_int32, bool right)
{
    if (edges->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "bucketize(): boundaries tensor must be 1 dimension, but "
                                        "got dim(%d)",
                            edges->ndim);
    return aten_searchsorted_Tensor(edges, self, out_int32, right, NULL, NULL);
}

mt_tensor *
op_bucketize_Scalar(mt_scalar self, mt_tensor *edges, bool out_int32, bool right)
{
    mt_tensor *x = mt_wrap_scalar(self);
    mt_tensor *r = x ? op_bucketize_Tensor(x, edges, out_int32, right) : NULL;
    mt_xrelease(x);
    return r;
}

/* Whether each element is among the others: a search in their sorted keys. */
mt_tensor *
op_isin_Tensor_Tensor(mt_tensor *elements, mt_tensor *test, bool assume_unique, bool invert)
{
    (void)assume_unique;
    bool none[MT_MAX_DIMS] = {false};
    mt_dtype d = key_dtype((mt_dtype)elements->dtype) == MT_INT64 &&
                         key_dtype((mt_dtype)test->dtype) == MT_INT64
                     ? MT_INT64
                     : MT_FLOAT64;
    if (mt_is_complex((mt_dtype)elements->dtype) || mt_is_complex((mt_dtype)test->dtype))
        return mt_fail_null(MT_RUNTIME, "Unsupported input type encountered for isin(): %s",
                            NAME_OF(mt_is_complex((mt_dtype)elements->dtype) ? elements : test));
    bool meta = mt_is_meta(elements) || mt_is_meta(test);
    mt_tensor *out = mt_empty(elements->ndim, elements->sizes, NULL, MT_BOOL,
                              mt_is_meta(test) ? test->device : elements->device);
    if (!out || out->numel == 0 || meta)
        return out;
    int64_t n = test->numel;
    pair *room = mt_alloc(room_bytes(n));
    mt_tensor *x = room ? mt_rows_of(elements, none, d) : NULL, *t = x ? mt_rows_of(test, none, d) : NULL;
    bool good = t != NULL;
    if (t) {
        const pair *sorted = sort_row(mt_data(t), d, n, false, room);
        uint8_t *o = mt_data(out);
        for (int64_t i = 0; i < out->numel; i++) {
            uint64_t key = key_of(mt_data(x), d, i);
            int64_t low = 0, high = n;
            while (low < high) {
                int64_t mid = low + (high - low) / 2;
                if (sorted[mid].key < key)
                    low = mid + 1;
                else
                    high = mid;
            }
            o[i] = (key != NAN_KEY && low < n && sorted[low].key == key) != invert;
        }
    }
    mt_xrelease(x);
    mt_xrelease(t);
    mt_free(room, room_bytes(n));
    if (!good) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_isin_Tensor_Scalar(mt_tensor *elements, mt_scalar test, bool assume_unique, bool invert)
{
    mt_tensor *t = mt_wrap_scalar(test);
    mt_tensor *r = t ? aten_isin_Tensor_Tensor(elements, t, assume_unique, invert) : NULL;
    mt_xrelease(t);
    return r;
}

mt_tensor *
op_isin_Scalar_Tensor(mt_scalar element, mt_tensor *test, bool assume_unique, bool invert)
{
    mt_tensor *t = mt_wrap_scalar(element);
    mt_tensor *r = t ? aten_isin_Tensor_Tensor(t, test, assume_unique, invert) : NULL;
    mt_xrelease(t);
    return r;
}
