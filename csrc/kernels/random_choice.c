/* mt-flags: -ffp-contract=off */
/* The choice of categories by weight, with and without replacement. */
#include <math.h>

#include "base/alloc.h"
#include "kernels/random_walk.h"

typedef struct weights {
    mt_dtype dtype;
    const char *data;
    int64_t row_stride, stride; /* bytes */
    int64_t rows, n;
} weights;

static double
weight_at(const weights *w, int64_t row, int64_t i)
{
    const void *p = w->data + row * w->row_stride + i * w->stride;
    switch (w->dtype) {
    case MT_FLOAT16: return mt_half_to_float(*(const mt_half *)p);
    case MT_BFLOAT16: return mt_bfloat16_to_float(*(const mt_bfloat16 *)p);
    case MT_FLOAT32: return *(const float *)p;
    default: return *(const double *)p;
    }
}

/* Cumulative sums of a row in the precision of the dtype (float32 for the halves), each divided by
 * the last. */
static int
accumulate(const weights *w, int64_t row, double *sums)
{
    double sum = 0;
    for (int64_t i = 0; i < w->n; i++) {
        double weight = weight_at(w, row, i);
        if (!(weight >= 0))
            return mt_fail(MT_RUNTIME, "invalid multinomial distribution (encountering probability "
                                       "entry < 0)");
        if (!isfinite(weight))
            return mt_fail(MT_RUNTIME, "invalid multinomial distribution (encountering probability "
                                       "entry = infinity or NaN)");
        sum += weight;
        if (w->dtype != MT_FLOAT64)
            sum = (float)sum;
        sums[i] = sum;
    }
    if (!(sum > 0))
        return mt_fail(MT_RUNTIME, "invalid multinomial distribution (sum of probabilities <= 0)");
    for (int64_t i = 0; i < w->n; i++) {
        sums[i] /= sum;
        if (w->dtype != MT_FLOAT64)
            sums[i] = (float)sums[i];
    }
    sums[w->n - 1] = 1;
    return 0;
}

/* First category whose cumulative share is not below the draw. */
static int64_t
category_of(const double *sums, int64_t n, double draw)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sums[middle] < draw)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
draw_with_replacement(mt_rng *r, const weights *w, int64_t draws, int64_t *out)
{
    size_t bytes = (size_t)w->n * sizeof(double);
    double *sums = mt_alloc(bytes);
    int result = sums ? 0 : -1;
    for (int64_t row = 0; row < w->rows && result == 0; row++) {
        if ((result = w->n ? accumulate(w, row, sums)
                           : mt_fail(MT_RUNTIME, "invalid multinomial distribution (sum of "
                                                 "probabilities <= 0)")) < 0)
            break;
        for (int64_t k = 0; k < draws; k++)
            out[row * draws + k] = category_of(sums, w->n, mt_rng_unit(r));
    }
    if (sums)
        mt_free(sums, bytes);
    return result;
}

static int
check_weights(const weights *w)
{
    bool empty_row = false;
    for (int64_t row = 0; row < w->rows; row++) {
        bool any = false;
        for (int64_t i = 0; i < w->n; i++) {
            double weight = weight_at(w, row, i);
            if (!(weight >= 0 && weight < INFINITY))
                return mt_fail(MT_RUNTIME,
                               "probability tensor contains either `inf`, `nan` or element < 0");
            any |= weight > 0;
        }
        empty_row |= !any;
    }
    return empty_row
               ? mt_fail(MT_RUNTIME, "invalid multinomial distribution (sum of probabilities <= 0)")
               : 0;
}

/* -------- the first of many --------
 *
 * Quotients are ordered as PyTorch's topk orders them. Equal ones (the halves have many, so have
 * zero weights) come out in the order that the C++ library's partial_sort, nth_element and sort
 * leave them in, so these are the same algorithms step by step: heap selection, and Musser's
 * introspective select and sort with a median-of-three pivot. */
typedef struct lot {
    double key;
    int64_t index;
} lot;

/* A larger key comes first, NaN before all. */
MT_INLINE bool
before(lot a, lot b)
{
    return (isnan(a.key) && !isnan(b.key)) || a.key > b.key;
}

MT_INLINE void
swap_lots(lot *a, lot *b)
{
    lot kept = *a;
    *a = *b;
    *b = kept;
}

/* Puts `value` into the heap whose place `hole` is free: the hole sinks to a leaf along the later
 * children, then the value rises from there. The root comes last in the order. */
static void
heap_put(lot *heap, int64_t hole, int64_t n, lot value)
{
    int64_t top = hole;
    while (2 * hole + 2 < n) {
        int64_t child = 2 * hole + 2;
        if (before(heap[child], heap[child - 1]))
            child--;
        heap[hole] = heap[child];
        hole = child;
    }
    if (2 * hole + 1 < n) {
        heap[hole] = heap[2 * hole + 1];
        hole = 2 * hole + 1;
    }
    while (hole > top && before(heap[(hole - 1) / 2], value)) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

/* The first k of n, as a heap at the front. */
static void
heap_select(lot *x, int64_t k, int64_t n)
{
    for (int64_t i = k / 2; i-- > 0;)
        heap_put(x, i, k, x[i]);
    for (int64_t i = k; i < n; i++)
        if (before(x[i], x[0])) {
            lot value = x[i];
            x[i] = x[0];
            heap_put(x, 0, k, value);
        }
}

static void
heap_sort(lot *x, int64_t n)
{
    while (n > 1) {
        lot value = x[--n];
        x[n] = x[0];
        heap_put(x, 0, n, value);
    }
}

/* x[at] moves forward to its place among those before it, at most to x[0]. */
static void
insert(lot *x, int64_t at)
{
    lot value = x[at];
    while (at > 0 && before(value, x[at - 1])) {
        x[at] = x[at - 1];
        at--;
    }
    x[at] = value;
}

/* Splits n > 3 elements by the median of the second, the middle and the last one; returns the first
 * place of the later part. Equal elements stop both scans. */
static int64_t
split(lot *x, int64_t n)
{
    lot *a = x + 1, *b = x + n / 2, *c = x + n - 1, *median;
    if (before(*a, *b))
        median = before(*b, *c) ? b : before(*a, *c) ? c : a;
    else
        median = before(*a, *c) ? a : before(*b, *c) ? c : b;
    swap_lots(x, median);
    lot *low = x + 1, *high = x + n;
    for (;;) {
        while (before(*low, *x))
            low++;
        do
            high--;
        while (before(*x, *high));
        if (low >= high)
            return low - x;
        swap_lots(low++, high);
    }
}

static int
depth_limit(int64_t n)
{
    return n > 0 ? 2 * (63 - __builtin_clzll((uint64_t)n)) : 0;
}

/* x[at] becomes what a full sort would put there, with none after it that belongs before it. */
static void
intro_select(lot *x, int64_t at, int64_t n)
{
    for (int depth = depth_limit(n); n > 3; depth--) {
        if (depth == 0) {
            heap_select(x, at + 1, n);
            swap_lots(x, x + at);
            return;
        }
        int64_t cut = split(x, n);
        if (cut <= at) {
            x += cut;
            n -= cut;
            at -= cut;
        } else
            n = cut;
    }
    for (int64_t i = 1; i < n; i++)
        insert(x, i);
}

static void
intro_sort_parts(lot *x, int64_t n, int depth)
{
    while (n > 16) {
        if (depth-- == 0) {
            heap_select(x, n, n);
            heap_sort(x, n);
            return;
        }
        int64_t cut = split(x, n);
        intro_sort_parts(x + cut, n - cut, depth);
        n = cut;
    }
}

static void
intro_sort(lot *x, int64_t n)
{
    intro_sort_parts(x, n, depth_limit(n));
    for (int64_t i = 1; i < n; i++)
        insert(x, i);
}

/* The first `draws` of n lots, sorted, at the front. */
static void
choose(lot *x, int64_t n, int64_t draws)
{
    if (draws == 1) { /* argmax: the lowest index among equals */
        for (int64_t i = 1; i < n; i++)
            if (before(x[i], x[0]))
                x[0] = x[i];
    } else if (draws <= n / 64) {
        heap_select(x, draws, n);
        heap_sort(x, draws);
    } else {
        intro_select(x, draws - 1, n);
        intro_sort(x, draws - 1);
    }
}

static double
round_to(mt_dtype dtype, double value)
{
    switch (dtype) {
    case MT_FLOAT16: return mt_half_to_float(mt_float_to_half((float)value));
    case MT_BFLOAT16: return mt_bfloat16_to_float(mt_float_to_bfloat16((float)value));
    case MT_FLOAT32: return (float)value;
    default: return value;
    }
}

/* Every weight is divided by an exponential draw in its dtype; the largest quotients win. The draws
 * lie as the weights do: by columns where these are stored by columns. */
static int
draw_without_replacement(mt_rng *r, const weights *w, int64_t draws, int64_t *out)
{
    if (check_weights(w) < 0)
        return -1;
    int64_t size = (int64_t)mt_dtype_size(w->dtype), numel = w->rows * w->n;
    if (numel == 0)
        return 0;
    bool columns = w->rows > 1 && w->n > 1 && w->row_stride > 0 && w->row_stride < w->stride;
    size_t bytes = (size_t)(numel * size) + (size_t)w->n * sizeof(lot);
    lot *lots = mt_alloc(bytes);
    if (!lots)
        return -1;
    char *noise = (char *)(lots + w->n);
    mt_random_out fill = {noise, w->dtype, 1, &numel, NULL};
    int result = mt_random_exponential(r, &fill, 1);
    weights draw = {w->dtype, noise, size * (columns ? 1 : w->n), size * (columns ? w->rows : 1),
                    w->rows,  w->n};
    for (int64_t row = 0; row < w->rows && result == 0; row++) {
        for (int64_t i = 0; i < w->n; i++) {
            double key = weight_at(w, row, i) / weight_at(&draw, row, i);
            lots[i] = (lot){round_to(w->dtype, key), i};
        }
        choose(lots, w->n, draws);
        for (int64_t k = 0; k < draws; k++)
            out[row * draws + k] = lots[k].index;
    }
    mt_free(lots, bytes);
    return result;
}

int
mt_random_multinomial(mt_rng *r, mt_dtype dtype, const void *data, int64_t row_stride,
                      int64_t stride, int64_t rows, int64_t categories, int64_t draws,
                      bool replacement, int64_t *out)
{
    if (!mt_is_floating(dtype))
        return mt_fail(MT_RUNTIME,
                       "multinomial only supports floating-point dtypes for input, got: %s",
                       mt_dtypes[dtype].scalar_name);
    int64_t size = (int64_t)mt_dtype_size(dtype);
    weights w = {dtype, data, row_stride * size, stride * size, rows, categories};
    if (replacement && draws > 1)
        return draw_with_replacement(r, &w, draws, out);
    if (!replacement && draws > categories)
        return mt_fail(MT_RUNTIME, "cannot sample n_sample > prob_dist.size(-1) samples without "
                                   "replacement");
    if (!categories)
        return mt_fail(MT_RUNTIME, "aminmax(): cannot compute aminmax over an empty dimension as "
                                   "the operation has no identity.");
    return draw_without_replacement(r, &w, draws, out);
}
