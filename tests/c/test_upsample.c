/* Tests of csrc/kernels/upsample.c: values against the definition in plain loops, gradients as the
 * adjoint, the same bits for every number of threads, what is refused. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "check.h"
#include "kernels/upsample.h"

static uint64_t seed = 88172645463325252u;

static double
uniform(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (double)(seed >> 11) * 0x1p-52 - 1.0;
}

static double
get(mt_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case MT_FLOAT32: return ((const float *)data)[i];
    case MT_FLOAT64: return ((const double *)data)[i];
    case MT_FLOAT16: return mt_half_to_float(((const mt_half *)data)[i]);
    case MT_BFLOAT16: return mt_bfloat16_to_float(((const mt_bfloat16 *)data)[i]);
    default: return ((const uint8_t *)data)[i];
    }
}

static void *
random_block(mt_dtype dtype, int64_t count)
{
    void *out = malloc((size_t)count * mt_dtype_size(dtype) + 1);
    for (int64_t i = 0; i < count; i++) {
        double v = uniform();
        switch (dtype) {
        case MT_FLOAT32: ((float *)out)[i] = (float)v; break;
        case MT_FLOAT64: ((double *)out)[i] = v; break;
        case MT_FLOAT16: ((mt_half *)out)[i] = mt_float_to_half((float)v); break;
        case MT_BFLOAT16: ((mt_bfloat16 *)out)[i] = mt_float_to_bfloat16((float)v); break;
        default: ((uint8_t *)out)[i] = (uint8_t)(100 + 100 * v);
        }
    }
    return out;
}

static double
epsilon(mt_dtype dtype)
{
    switch (dtype) {
    case MT_FLOAT32: return 0x1p-24;
    case MT_FLOAT64: return 0x1p-53;
    case MT_FLOAT16: return 0x1p-11;
    case MT_BFLOAT16: return 0x1p-8;
    default: return 0;
    }
}

/* ---- the definition: the weight that output `o` of an axis gives to input `i` ---- */

static double
keys(double x) /* cubic convolution, a = -0.75 */
{
    const double a = -0.75;
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double
weight(const mt_upsample_shape *u, int d, int64_t o, int64_t i)
{
    double in = (double)u->in[d], out = (double)u->out[d];
    bool weighted = u->mode == MT_UPSAMPLE_LINEAR || u->mode == MT_UPSAMPLE_CUBIC;
    double step = u->scale[d] > 0 ? 1 / u->scale[d] : in / out;
    if (weighted && u->align_corners)
        step = out > 1 ? (in - 1) / (out - 1) : 0;
    if (u->mode == MT_UPSAMPLE_NEAREST)
        return fmin(floor((double)o * step), in - 1) == (double)i;
    if (u->mode == MT_UPSAMPLE_NEAREST_EXACT)
        return fmin(floor(((double)o + 0.5) * step), in - 1) == (double)i;
    double at = u->align_corners ? (double)o * step : ((double)o + 0.5) * step - 0.5;
    double sum = 0;
    if (u->mode == MT_UPSAMPLE_LINEAR) {
        at = fmin(fmax(at, 0), in - 1);
        return fmax(0, 1 - fabs(at - (double)i));
    }
    for (double k = floor(at) - 1; k <= floor(at) + 2; k++) /* beyond the edge: the edge */
        if (fmin(fmax(k, 0), in - 1) == (double)i)
            sum += keys(at - k);
    return sum;
}

static int64_t
count_of(const mt_upsample_shape *u, const int64_t *sizes)
{
    int64_t n = 1;
    for (int d = 0; d < u->dims; d++)
        n *= sizes[d];
    return n;
}

static double
total_weight(const mt_upsample_shape *u, int64_t o, int64_t i)
{
    double w = 1;
    for (int d = u->dims - 1; d >= 0 && w != 0; d--) {
        w *= weight(u, d, o % u->out[d], i % u->in[d]);
        o /= u->out[d];
        i /= u->in[d];
    }
    return w;
}

static void
try(mt_dtype dtype, const mt_upsample_shape *u)
{
    int64_t in = count_of(u, u->in), out = count_of(u, u->out);
    size_t size = mt_dtype_size(dtype);
    bool floats = dtype != MT_UINT8, right = true, right_grad = true, repeats = true;
    void *x = random_block(dtype, u->planes * in), *g = random_block(dtype, u->planes * out);
    void *y = random_block(dtype, u->planes * out), *gx = random_block(dtype, u->planes * in);
    void *y1 = random_block(dtype, u->planes * out), *gx1 = random_block(dtype, u->planes * in);
    for (int threads = 1; threads <= 3; threads++) {
        mt_set_num_threads(threads);
        CHECK_INT(mt_upsample_forward(dtype, u, x, threads == 1 ? y1 : y), 0);
        if (floats)
            CHECK_INT(mt_upsample_grad(dtype, u, g, threads == 1 ? gx1 : gx), 0);
        if (threads > 1)
            repeats = repeats && memcmp(y, y1, (size_t)(u->planes * out) * size) == 0 &&
                      (!floats || memcmp(gx, gx1, (size_t)(u->planes * in) * size) == 0);
    }
    CHECK(repeats);
    /* Positions are rounded to float32 (or float64), which moves weights by as much. */
    double eps = dtype == MT_FLOAT64 ? 0x1p-52 : 0x1p-23, moved = 8 * eps * (double)(in + out);
    if (u->mode == MT_UPSAMPLE_NEAREST || u->mode == MT_UPSAMPLE_NEAREST_EXACT)
        moved = 0;
    double *want_grad = calloc((size_t)(u->planes * in), sizeof *want_grad);
    double *grad_size = calloc((size_t)(u->planes * in), sizeof *grad_size);
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            double w = total_weight(u, o, i);
            for (int64_t p = 0; p < u->planes; p++) {
                want_grad[p * in + i] += w * get(dtype, g, p * out + o);
                grad_size[p * in + i] += fabs(w);
            }
        }
    for (int64_t p = 0; p < u->planes; p++)
        for (int64_t o = 0; o < out; o++) {
            double want = 0;
            for (int64_t i = 0; i < in; i++)
                want += total_weight(u, o, i) * get(dtype, x, p * in + i);
            double bound = moved + epsilon(dtype) * (fabs(want) + 1e-3) + 32 * eps * (moved > 0);
            right = right && fabs(get(dtype, y1, p * out + o) - want) <= bound;
        }
    for (int64_t i = 0; floats && i < u->planes * in; i++) {
        double bound = (moved + 16 * eps) * (grad_size[i] + 1) * (double)u->dims * 4 +
                       epsilon(dtype) * (fabs(want_grad[i]) + 1e-3);
        right_grad = right_grad && fabs(get(dtype, gx1, i) - want_grad[i]) <= bound;
    }
    if (!CHECK(right) || !CHECK(right_grad))
        printf("  %s, mode %d, %d dimensions, aligned %d\n", mt_dtypes[dtype].name, u->mode,
               u->dims, u->align_corners);
    free(x), free(g), free(y), free(gx), free(y1), free(gx1), free(want_grad), free(grad_size);
}

static void
test_values(void)
{
    const mt_upsample_shape shapes[] = {
        {.dims = 1, .planes = 3, .in = {9}, .out = {20}},
        {.dims = 1, .planes = 1, .in = {17}, .out = {5}},
        {.dims = 1, .planes = 2, .in = {1}, .out = {4}},
        {.dims = 1, .planes = 2, .in = {8}, .out = {13}, .scale = {1.7}},
        {.dims = 2, .planes = 2, .in = {5, 7}, .out = {11, 9}},
        {.dims = 2, .planes = 3, .in = {6, 4}, .out = {12, 8}, .scale = {2, 2}},
        {.dims = 2, .planes = 1, .in = {13, 12}, .out = {4, 5}},
        {.dims = 2, .planes = 1, .in = {5, 6}, .out = {1, 140}},
        {.dims = 3, .planes = 2, .in = {3, 4, 5}, .out = {5, 7, 8}},
        {.dims = 3, .planes = 1, .in = {4, 5, 4}, .out = {3, 8, 9}, .scale = {0.9, 1.7, 2.3}},
    };
    static const mt_dtype dtypes[] = {MT_FLOAT32, MT_FLOAT64, MT_FLOAT16, MT_BFLOAT16, MT_UINT8};
    for (size_t s = 0; s < MT_COUNT(shapes); s++)
        for (size_t d = 0; d < MT_COUNT(dtypes); d++)
            for (int mode = 0; mode < 4; mode++) {
                mt_upsample_shape u = shapes[s];
                u.mode = (mt_upsample_mode)mode;
                if ((dtypes[d] == MT_UINT8 && mode > 1) || (mode == 3 && u.dims != 2))
                    continue;
                try(dtypes[d], &u);
                u.align_corners = true;
                if (mode > 1)
                    try(dtypes[d], &u);
            }
}

/* Large enough to be shared out, by planes and by rows. */
static void
test_threads(void)
{
    for (int mode = 0; mode < 4; mode++) {
        mt_upsample_shape u = {.dims = 2,
                               .planes = 3,
                               .in = {60, 70},
                               .out = {300, 350},
                               .mode = (mt_upsample_mode)mode};
        int64_t in = 3 * 60 * 70, out = 3 * 300 * 350;
        float *x = random_block(MT_FLOAT32, in), *y = random_block(MT_FLOAT32, out);
        float *y1 = random_block(MT_FLOAT32, out);
        mt_set_num_threads(1);
        CHECK_INT(mt_upsample_forward(MT_FLOAT32, &u, x, y1), 0);
        mt_set_num_threads(3);
        CHECK_INT(mt_upsample_forward(MT_FLOAT32, &u, x, y), 0);
        CHECK(memcmp(y, y1, (size_t)out * sizeof *y) == 0);
        free(x), free(y), free(y1);
    }
}

/* A scale that is close to 1 or 2 but does not change the size from equal or doubled: positions
 * then are those of the sizes, as in PyTorch for these shapes. */
static void
test_nearest_sizes(void)
{
    mt_upsample_shape u = {
        .dims = 2, .planes = 1, .in = {1, 19}, .out = {1, 19}, .scale = {1, 1.05}};
    float x[19], y[19];
    for (int i = 0; i < 19; i++)
        x[i] = (float)i;
    CHECK_INT(mt_upsample_forward(MT_FLOAT32, &u, x, y), 0);
    CHECK(memcmp(x, y, sizeof x) == 0);
    u.dims = 1, u.in[0] = u.out[0] = 19, u.scale[0] = 1.05; /* one dimension follows the scale */
    CHECK_INT(mt_upsample_forward(MT_FLOAT32, &u, x, y), 0);
    CHECK(y[18] == 17);
    CHECK_INT(mt_upsample_grad(MT_FLOAT32, &u, x, y), 0);
    CHECK(memcmp(x, y, sizeof x) == 0);
}

static void
test_refused(void)
{
    mt_upsample_shape u = {
        .dims = 1, .planes = 1, .in = {4}, .out = {8}, .mode = MT_UPSAMPLE_LINEAR};
    float x[16] = {0}, y[16];
    const char *message;
    CHECK_INT(mt_upsample_forward(MT_INT32, &u, x, y), -1);
    CHECK_INT(mt_error(&message), MT_NOT_IMPLEMENTED);
    CHECK_STR(message, "upsampling of int32");
    CHECK_INT(mt_upsample_grad(MT_UINT8, &u, x, y), -1);
    CHECK_STR((mt_error(&message), message), "upsampling gradient of uint8");
    for (int n = 1; n <= 2; n++) {
        mt_alloc_fail_nth(n);
        CHECK_INT(mt_upsample_forward(MT_FLOAT32, &u, x, y), -1);
        CHECK_INT(mt_error(NULL), MT_MEMORY);
        mt_alloc_fail_nth(0);
    }
    mt_error_clear();
    u.planes = 0;
    CHECK_INT(mt_upsample_forward(MT_FLOAT32, &u, NULL, NULL), 0);
}

int
main(void)
{
    test_values();
    test_threads();
    test_nearest_sizes();
    test_refused();
    mt_pool_stop();
    return check_done();
}
