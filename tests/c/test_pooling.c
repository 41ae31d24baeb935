/* Tests of csrc/kernels/pooling.c: values against plain loops, the same bits for every number of
 * threads, what is refused. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "check.h"
#include "kernels/pooling.h"

static uint64_t seed = 88172645463325252u;

static uint64_t
next_random(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

/* Whole numbers and quarters: sums are exact in every float dtype used here. */
static double *
numbers(int64_t count, bool whole, bool with_nan)
{
    double *out = malloc((size_t)count * sizeof *out + 1);
    for (int64_t i = 0; i < count; i++) {
        out[i] = (double)(next_random() % 16);
        if (!whole)
            out[i] = out[i] / 4 - 2;
        if (with_nan && next_random() % 20 == 0)
            out[i] = NAN;
    }
    return out;
}

static void *
stored(mt_dtype dtype, const double *values, int64_t count)
{
    void *out = malloc((size_t)count * mt_dtype_size(dtype) + 1);
    for (int64_t i = 0; values != NULL && i < count; i++)
        switch (dtype) {
#define CASE(ENUM, name, type)                                                                     \
    case MT_##ENUM: ((type *)out)[i] = (type)values[i]; break;
            MT_FOR_INT(CASE)
            MT_FOR_REAL(CASE)
#undef CASE
        case MT_FLOAT16: ((mt_half *)out)[i] = mt_float_to_half((float)values[i]); break;
        default: ((mt_bfloat16 *)out)[i] = mt_float_to_bfloat16((float)values[i]);
        }
    return out;
}

static double
get(mt_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
#define CASE(ENUM, name, type)                                                                     \
    case MT_##ENUM: return (double)((const type *)data)[i];
        MT_FOR_INT(CASE)
        MT_FOR_REAL(CASE)
#undef CASE
    case MT_FLOAT16: return mt_half_to_float(((const mt_half *)data)[i]);
    default: return mt_bfloat16_to_float(((const mt_bfloat16 *)data)[i]);
    }
}

static bool
equal(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static int64_t
in_count(const mt_pooling *p)
{
    int64_t n = 1;
    for (int d = 0; d < p->dims; d++)
        n *= p->in[d];
    return n;
}

static int64_t
out_count(const mt_pooling *p)
{
    int64_t n = 1;
    for (int d = 0; d < p->dims; d++)
        n *= p->out[d];
    return n;
}

/* ---- plain windows: every element of the plane is asked whether it belongs ---- */

typedef struct span {
    int64_t start, end, step; /* of each dimension */
} span;

static void
window(const mt_pooling *p, bool adaptive, int64_t o, span out[3])
{
    for (int d = p->dims - 1; d >= 0; d--) {
        int64_t at = o % p->out[d];
        o /= p->out[d];
        if (adaptive) {
            out[d].start = at * p->in[d] / p->out[d];
            out[d].end = ((at + 1) * p->in[d] + p->out[d] - 1) / p->out[d];
            out[d].step = 1;
        } else {
            out[d].start = at * p->stride[d] - p->padding[d];
            out[d].end = out[d].start + (p->kernel[d] - 1) * p->dilation[d] + 1;
            out[d].step = p->dilation[d];
        }
    }
}

static bool
belongs(const mt_pooling *p, const span w[3], int64_t i)
{
    for (int d = p->dims - 1; d >= 0; d--) {
        int64_t at = i % p->in[d];
        i /= p->in[d];
        if (at < w[d].start || at >= w[d].end || (at - w[d].start) % w[d].step != 0)
            return false;
    }
    return true;
}

/* The divisor of an average as PyTorch defines it. */
static double
divisor(const mt_pooling *p, const span w[3], bool adaptive, bool count_padding, int64_t given)
{
    double all = 1, inside = 1;
    for (int d = 0; d < p->dims; d++) {
        int64_t padding = adaptive ? 0 : p->padding[d];
        int64_t end = w[d].end < p->in[d] + padding ? w[d].end : p->in[d] + padding;
        all *= (double)(end - w[d].start);
        int64_t first = w[d].start > 0 ? w[d].start : 0;
        int64_t last = w[d].end < p->in[d] ? w[d].end : p->in[d];
        inside *= (double)(last - first);
    }
    return given != 0 ? (double)given : count_padding ? all : inside;
}

/* ---- maxima ---- */

static void
try_max(mt_dtype dtype, const mt_pooling *p, bool adaptive)
{
    int64_t in = in_count(p), out = out_count(p);
    bool whole = mt_is_integral(dtype, false), right = true, repeats = true;
    double *values = numbers(p->planes * in, whole, !whole);
    void *x = stored(dtype, values, p->planes * in), *y = stored(dtype, NULL, p->planes * out);
    void *first = stored(dtype, NULL, p->planes * out);
    int64_t *indices = malloc((size_t)(p->planes * out) * sizeof *indices);
    int64_t *first_indices = malloc((size_t)(p->planes * out) * sizeof *indices);
    size_t bytes = (size_t)(p->planes * out) * mt_dtype_size(dtype);
    for (int threads = 1; threads <= 3; threads++) {
        mt_set_num_threads(threads);
        CHECK_INT((adaptive ? mt_adaptive_max_pool : mt_max_pool)(dtype, p, x, y, indices), 0);
        if (threads == 1) {
            memcpy(first, y, bytes);
            memcpy(first_indices, indices, (size_t)(p->planes * out) * sizeof *indices);
        }
        repeats = repeats && memcmp(first, y, bytes) == 0 &&
                  memcmp(first_indices, indices, (size_t)(p->planes * out) * 8) == 0;
    }
    CHECK(repeats);
    /* Without indices. */
    CHECK_INT((adaptive ? mt_adaptive_max_pool : mt_max_pool)(dtype, p, x, y, NULL), 0);
    CHECK(memcmp(first, y, bytes) == 0);
    for (int64_t plane = 0; plane < p->planes; plane++)
        for (int64_t o = 0; o < out; o++) {
            span w[3];
            window(p, adaptive, o, w);
            double best = -INFINITY;
            int64_t where = -1;
            for (int64_t i = 0; i < in; i++)
                if (belongs(p, w, i)) {
                    double v = values[plane * in + i];
                    if (where < 0 || v > best || isnan(v))
                        best = v, where = i;
                }
            right = right && equal(get(dtype, first, plane * out + o), best) &&
                    first_indices[plane * out + o] == where;
        }
    if (!CHECK(right))
        printf("  %s, %d dimensions, adaptive %d\n", mt_dtypes[dtype].name, p->dims, adaptive);
    /* The gradient goes where the maximum was. */
    if (!whole) {
        double *grads = numbers(p->planes * out, false, false);
        double *want = calloc((size_t)(p->planes * in), sizeof *want);
        void *g = stored(dtype, grads, p->planes * out), *gx = stored(dtype, NULL, p->planes * in);
        for (int64_t i = 0; i < p->planes * out; i++)
            want[i / out * in + first_indices[i]] += grads[i];
        CHECK_INT(mt_max_pool_grad(dtype, p, g, first_indices, gx), 0);
        right = true;
        for (int64_t i = 0; i < p->planes * in; i++)
            right = right && get(dtype, gx, i) == want[i];
        CHECK(right);
        free(grads), free(want), free(g), free(gx);
    }
    free(values), free(x), free(y), free(first), free(indices), free(first_indices);
}

/* ---- averages ---- */

/* `got` is `want` up to the rounding of `dtype`, at the size of the sums involved. */
static bool
close_to(mt_dtype dtype, double got, double want, double size)
{
    double eps = dtype == MT_FLOAT64    ? 0x1p-52
                 : dtype == MT_FLOAT32  ? 0x1p-23
                 : dtype == MT_FLOAT16  ? 0x1p-10
                 : dtype == MT_BFLOAT16 ? 0x1p-7
                                        : 0;
    return fabs(got - want) <= 4 * eps * size;
}

static void
try_avg(mt_dtype dtype, const mt_pooling *p, bool adaptive, bool count_padding, int64_t given)
{
    int64_t in = in_count(p), out = out_count(p);
    bool whole = mt_is_integral(dtype, false), right = true, repeats = true;
    double *values = numbers(p->planes * in, whole, false);
    double *grads = numbers(p->planes * out, whole, false);
    double *want_grad = calloc((size_t)(p->planes * in), sizeof *want_grad);
    double *grad_size = calloc((size_t)(p->planes * in), sizeof *grad_size);
    void *x = stored(dtype, values, p->planes * in), *y = stored(dtype, NULL, p->planes * out);
    void *g = stored(dtype, grads, p->planes * out), *gx = stored(dtype, NULL, p->planes * in);
    void *first = stored(dtype, NULL, p->planes * (in + out));
    size_t size = mt_dtype_size(dtype);
    for (int threads = 1; threads <= 3; threads++) {
        mt_set_num_threads(threads);
        if (adaptive) {
            CHECK_INT(mt_adaptive_avg_pool(dtype, p, x, y), 0);
            CHECK_INT(mt_adaptive_avg_pool_grad(dtype, p, g, gx), 0);
        } else {
            CHECK_INT(mt_avg_pool(dtype, p, count_padding, given, x, y), 0);
            CHECK_INT(mt_avg_pool_grad(dtype, p, count_padding, given, g, gx), 0);
        }
        char *second = (char *)first + (size_t)(p->planes * out) * size;
        if (threads == 1) {
            memcpy(first, y, (size_t)(p->planes * out) * size);
            memcpy(second, gx, (size_t)(p->planes * in) * size);
        }
        repeats = repeats && memcmp(first, y, (size_t)(p->planes * out) * size) == 0 &&
                  memcmp(second, gx, (size_t)(p->planes * in) * size) == 0;
    }
    CHECK(repeats);
    for (int64_t plane = 0; plane < p->planes; plane++)
        for (int64_t o = 0; o < out; o++) {
            span w[3];
            window(p, adaptive, o, w);
            double sum = 0, total = 0, grad = grads[plane * out + o];
            double by = divisor(p, w, adaptive, count_padding, given);
            double part = whole ? trunc(grad / by) : grad / by;
            for (int64_t i = 0; i < in; i++)
                if (belongs(p, w, i)) {
                    sum += values[plane * in + i];
                    total += fabs(values[plane * in + i]);
                    want_grad[plane * in + i] += part;
                    grad_size[plane * in + i] += fabs(part);
                }
            double want = whole ? trunc(sum / by) : sum / by;
            right = right && close_to(dtype, get(dtype, y, plane * out + o), want, total / by);
        }
    if (!CHECK(right))
        printf("  %s, %d dimensions, adaptive %d\n", mt_dtypes[dtype].name, p->dims, adaptive);
    right = true;
    for (int64_t i = 0; i < p->planes * in; i++)
        right = right && close_to(dtype, get(dtype, gx, i), want_grad[i], 4 * grad_size[i]);
    if (!CHECK(right))
        printf("  gradient, %s, %d dimensions, adaptive %d\n", mt_dtypes[dtype].name, p->dims,
               adaptive);
    free(values), free(grads), free(want_grad), free(grad_size);
    free(x), free(y), free(g), free(gx), free(first);
}

static const mt_dtype dtypes[] = {MT_FLOAT32, MT_FLOAT64, MT_FLOAT16, MT_BFLOAT16, MT_INT64,
                                  MT_UINT8,   MT_INT8,    MT_INT16,   MT_INT32};

/* Output sizes as PyTorch computes them: with ceil, the last window begins inside. */
static mt_pooling
complete(mt_pooling p, bool ceil)
{
    for (int d = 0; d < p.dims; d++) {
        int64_t room = p.in[d] + 2 * p.padding[d] - p.dilation[d] * (p.kernel[d] - 1) - 1;
        p.out[d] = (room + (ceil ? p.stride[d] - 1 : 0)) / p.stride[d] + 1;
        if (ceil && (p.out[d] - 1) * p.stride[d] >= p.in[d] + p.padding[d])
            p.out[d]--;
    }
    return p;
}

static void
test_windows(void)
{
    const mt_pooling shapes[] = {
        {1, 3, {20}, {0}, {3}, {2}, {1}, {1}},
        {1, 2, {700}, {0}, {2}, {1}, {0}, {1}}, /* longer than a chunk */
        {2, 4, {9, 8}, {0}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
        {2, 3, {7, 10}, {0}, {3, 3}, {1, 2}, {1, 1}, {1, 1}},
        {2, 2, {11, 9}, {0}, {3, 2}, {3, 1}, {1, 0}, {2, 3}},
        {3, 2, {5, 6, 7}, {0}, {2, 3, 2}, {1, 2, 2}, {1, 1, 0}, {1, 1, 1}},
    };
    for (size_t s = 0; s < MT_COUNT(shapes); s++)
        for (int ceil = 0; ceil < 2; ceil++)
            for (size_t d = 0; d < MT_COUNT(dtypes); d++) {
                mt_pooling p = complete(shapes[s], ceil);
                try_max(dtypes[d], &p, false);
                if (d > 4) /* averages: floats and int64 */
                    continue;
                for (int i = 0; i < p.dims; i++)
                    p.dilation[i] = 1;
                p = complete(p, ceil);
                try_avg(dtypes[d], &p, false, true, 0);
                try_avg(dtypes[d], &p, false, false, 0);
                try_avg(dtypes[d], &p, false, true, 3);
            }
}

static void
test_adaptive(void)
{
    const mt_pooling shapes[] = {
        {1, 3, {50}, {3}, {0}, {0}, {0}, {0}},
        {2, 3, {7, 9}, {3, 5}, {0}, {0}, {0}, {0}},
        {2, 2, {4, 5}, {7, 5}, {0}, {0}, {0}, {0}}, /* more outputs than elements */
        {2, 2, {40, 50}, {1, 2}, {0}, {0}, {0}, {0}},
        {3, 2, {5, 6, 7}, {2, 3, 4}, {0}, {0}, {0}, {0}},
    };
    for (size_t s = 0; s < MT_COUNT(shapes); s++)
        for (size_t d = 0; d < 4; d++) {
            try_max(dtypes[d], &shapes[s], true);
            try_avg(dtypes[d], &shapes[s], true, true, 0);
        }
}

/* Large enough to be shared out. */
static void
test_threads(void)
{
    mt_pooling p = complete((mt_pooling){.dims = 2,
                                         .planes = 20,
                                         .in = {60, 61},
                                         .kernel = {3, 3},
                                         .stride = {2, 2},
                                         .padding = {1, 1},
                                         .dilation = {1, 1}},
                            false);
    try_max(MT_FLOAT32, &p, false);
    try_avg(MT_FLOAT32, &p, false, true, 0);
    p.out[0] = p.out[1] = 7;
    try_avg(MT_BFLOAT16, &p, true, true, 0);
}

static void
test_refused(void)
{
    mt_pooling p = complete((mt_pooling){.dims = 1,
                                         .planes = 1,
                                         .in = {4},
                                         .kernel = {2},
                                         .stride = {2},
                                         .padding = {0},
                                         .dilation = {1}},
                            false);
    uint8_t x[64] = {0}, y[64];
    const char *message;
    CHECK_INT(mt_max_pool(MT_BOOL, &p, x, y, NULL), -1);
    CHECK_INT(mt_error(&message), MT_NOT_IMPLEMENTED);
    CHECK_STR(message, "max_pool of bool");
    CHECK_INT(mt_avg_pool(MT_INT32, &p, true, 0, x, y), -1);
    CHECK_INT(mt_error(&message), MT_NOT_IMPLEMENTED);
    CHECK_STR(message, "avg_pool of int32");
    int64_t indices[2] = {0, 4};
    CHECK_INT(mt_max_pool_grad(MT_FLOAT32, &p, x, indices, y), -1);
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK_STR(message, "max_pool gradient: index 4 is outside of a plane of 4");
    indices[1] = -1;
    CHECK_INT(mt_max_pool_grad(MT_FLOAT32, &p, x, indices, y), -1);
    CHECK_STR((mt_error(&message), message),
              "max_pool gradient: index -1 is outside of a plane of 4");
    mt_alloc_fail_nth(1);
    CHECK_INT(mt_max_pool(MT_FLOAT32, &p, x, y, NULL), -1);
    CHECK_INT(mt_error(NULL), MT_MEMORY);
    mt_alloc_fail_nth(0);
    mt_error_clear();
    p.planes = 0;
    CHECK_INT(mt_max_pool(MT_FLOAT32, &p, NULL, NULL, NULL), 0);
}

int
main(void)
{
    test_windows();
    test_adaptive();
    test_threads();
    test_refused();
    mt_pool_stop();
    return check_done();
}
