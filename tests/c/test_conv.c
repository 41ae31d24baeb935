/* Tests of csrc/kernels/conv.c: values against plain loops over every dtype, the same bits for
 * every number of threads. MINDTORCH_BLAS names the library that pointwise convolutions use. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "check.h"
#include "kernels/blas.h"
#include "kernels/conv.h"

static uint64_t seed = 88172645463325252u;

static uint64_t
next_random(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

/* ---- elements of any dtype; integers as doubles, exact for the small values used ---- */

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
    case MT_BFLOAT16: return mt_bfloat16_to_float(((const mt_bfloat16 *)data)[i]);
    default: abort();
    }
}

static void
set(mt_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
#define CASE(ENUM, name, type)                                                                     \
    case MT_##ENUM: ((type *)data)[i] = (type)(int64_t)value; break;
        MT_FOR_INT(CASE)
#undef CASE
    case MT_FLOAT16: ((mt_half *)data)[i] = mt_float_to_half((float)value); break;
    case MT_BFLOAT16: ((mt_bfloat16 *)data)[i] = mt_float_to_bfloat16((float)value); break;
    case MT_FLOAT32: ((float *)data)[i] = (float)value; break;
    case MT_FLOAT64: ((double *)data)[i] = value; break;
    default: abort();
    }
}

/* malloc'ed to the byte, so that a sanitizer sees any step outside. */
static void *
block(int64_t elements, mt_dtype dtype)
{
    return malloc((size_t)elements * mt_dtype_size(dtype) + 1);
}

static void *
random_block(int64_t elements, mt_dtype dtype)
{
    void *data = block(elements, dtype);
    for (int64_t i = 0; i < elements; i++)
        set(dtype, data, i,
            mt_is_integral(dtype, false) ? (double)(next_random() % 7)
                                         : (double)(next_random() >> 11) * 0x1p-52 - 1.0);
    return data;
}

static double
epsilon(mt_dtype dtype)
{
    switch (dtype) {
    case MT_FLOAT16: return 0x1p-11;
    case MT_BFLOAT16: return 0x1p-8;
    case MT_FLOAT32: return 0x1p-24;
    case MT_FLOAT64: return 0x1p-53;
    default: return 0;
    }
}

/* `got` is `want` up to the error of a sum of `terms` products of total size `size`, and the
 * rounding of the result to the dtype. Integers wrap. */
static bool
close_to(mt_dtype dtype, double got, double want, double size, int64_t terms)
{
    if (mt_is_integral(dtype, false)) {
        double range = ldexp(1, 8 * (int)mt_dtype_size(dtype));
        return mt_dtype_size(dtype) == 8 ? got == want : fmod(got - want, range) == 0;
    }
    double eps = mt_is_half(dtype) ? 0x1p-24 : epsilon(dtype);
    double bound = ((double)terms + 8) * eps * size + epsilon(dtype) * fabs(want) + 1e-40 +
                   (dtype == MT_FLOAT16 ? 0x1p-25 : 0);
    return fabs(got - want) <= bound;
}

/* ---- plain loops ---- */

typedef struct sizes {
    int64_t in, out, kernel, weight, input, output; /* elements; in, out, kernel of one plane */
} sizes;

static sizes
sizes_of(const mt_conv *c)
{
    sizes s = {1, 1, 1, 0, 0, 0};
    for (int d = 0; d < c->dims; d++)
        s.in *= c->in[d], s.out *= c->out[d], s.kernel *= c->kernel[d];
    s.weight = c->out_channels * (c->in_channels / c->groups) * s.kernel;
    s.input = c->batch * c->in_channels * s.in;
    s.output = c->batch * c->out_channels * s.out;
    return s;
}

/* The input position that output `o` meets with tap `t`; -1 in the padding. */
static int64_t
meeting(const mt_conv *c, int64_t o, int64_t t)
{
    int64_t at = 0, scale = 1;
    for (int d = c->dims - 1; d >= 0; d--) {
        int64_t i = o % c->out[d] * c->stride[d] + t % c->kernel[d] * c->dilation[d] -
                    c->padding[d];
        if (i < 0 || i >= c->in[d])
            return -1;
        at += i * scale;
        scale *= c->in[d];
        o /= c->out[d];
        t /= c->kernel[d];
    }
    return at;
}

/* Sums and the sizes of their terms for all three results. */
typedef struct reference {
    double *output, *output_size, *input, *input_size, *weight, *weight_size;
} reference;

static double *
zeros(int64_t count)
{
    return calloc((size_t)count + 1, sizeof(double));
}

static reference
refer(mt_dtype dtype, const mt_conv *c, const void *x, const void *w, const void *g)
{
    sizes s = sizes_of(c);
    reference r = {zeros(s.output), zeros(s.output), zeros(s.input),
                   zeros(s.input),  zeros(s.weight), zeros(s.weight)};
    int64_t in = c->in_channels / c->groups, out = c->out_channels / c->groups;
    for (int64_t n = 0; n < c->batch; n++)
        for (int64_t oc = 0; oc < c->out_channels; oc++)
            for (int64_t ic = 0; ic < in; ic++)
                for (int64_t o = 0; o < s.out; o++)
                    for (int64_t t = 0; t < s.kernel; t++) {
                        int64_t i = meeting(c, o, t);
                        if (i < 0)
                            continue;
                        int64_t xi = (n * c->in_channels + oc / out * in + ic) * s.in + i;
                        int64_t wi = (oc * in + ic) * s.kernel + t;
                        int64_t gi = (n * c->out_channels + oc) * s.out + o;
                        double vx = get(dtype, x, xi), vw = get(dtype, w, wi);
                        double vg = get(dtype, g, gi);
                        r.output[gi] += vx * vw, r.output_size[gi] += fabs(vx * vw);
                        r.input[xi] += vg * vw, r.input_size[xi] += fabs(vg * vw);
                        r.weight[wi] += vx * vg, r.weight_size[wi] += fabs(vx * vg);
                    }
    return r;
}

static void
drop(reference *r)
{
    free(r->output), free(r->output_size), free(r->input);
    free(r->input_size), free(r->weight), free(r->weight_size);
}

static bool
all_close(mt_dtype dtype, const void *got, const double *want, const double *size, int64_t count,
          int64_t terms, const void *bias, int64_t channels, int64_t places)
{
    for (int64_t i = 0; i < count; i++) {
        double more = bias != NULL ? get(dtype, bias, i / places % channels) : 0;
        if (!close_to(dtype, get(dtype, got, i), want[i] + more, size[i] + fabs(more), terms))
            return false;
    }
    return true;
}

/* ---- one convolution in all directions ---- */

static void
print_conv(mt_dtype dtype, const mt_conv *c)
{
    printf("  %s batch %lld groups %lld channels %lld -> %lld", mt_dtypes[dtype].name,
           (long long)c->batch, (long long)c->groups, (long long)c->in_channels,
           (long long)c->out_channels);
    for (int d = 0; d < c->dims; d++)
        printf(", %lld k%lld s%lld p%lld d%lld", (long long)c->in[d], (long long)c->kernel[d],
               (long long)c->stride[d], (long long)c->padding[d], (long long)c->dilation[d]);
    printf("\n");
}

static void
try(mt_dtype dtype, const mt_conv *c, bool with_bias, bool values, int most_threads)
{
    sizes s = sizes_of(c);
    size_t size = mt_dtype_size(dtype);
    void *x = random_block(s.input, dtype), *w = random_block(s.weight, dtype);
    void *g = random_block(s.output, dtype);
    void *out_bias = with_bias ? random_block(c->out_channels, dtype) : NULL;
    void *in_bias = with_bias ? random_block(c->in_channels, dtype) : NULL;
    void *y = block(s.output, dtype), *gx = block(s.input, dtype), *gw = block(s.weight, dtype);
    void *gb = block(c->out_channels, dtype);
    void *y1 = block(s.output, dtype), *gx1 = block(s.input, dtype), *gw1 = block(s.weight, dtype);
    bool failed = false;
    for (int threads = 1; threads <= most_threads; threads++) {
        mt_set_num_threads(threads);
        /* Nothing is read from results. */
        memset(y, 0xff, (size_t)s.output * size);
        memset(gx, 0xff, (size_t)s.input * size);
        memset(gw, 0xff, (size_t)s.weight * size);
        failed |= !CHECK_INT(mt_conv_forward(dtype, c, x, w, out_bias, y), 0);
        failed |= !CHECK_INT(mt_conv_grad_input(dtype, c, g, w, in_bias, gx), 0);
        failed |= !CHECK_INT(mt_conv_grad_weight(dtype, c, x, g, gw), 0);
        failed |= !CHECK_INT(mt_conv_grad_bias(dtype, c->batch, c->out_channels, s.out, g, gb), 0);
        if (threads == 1) {
            memcpy(y1, y, (size_t)s.output * size);
            memcpy(gx1, gx, (size_t)s.input * size);
            memcpy(gw1, gw, (size_t)s.weight * size);
        }
        failed |= !CHECK(memcmp(y1, y, (size_t)s.output * size) == 0);
        failed |= !CHECK(memcmp(gx1, gx, (size_t)s.input * size) == 0);
        failed |= !CHECK(memcmp(gw1, gw, (size_t)s.weight * size) == 0);
    }
    if (values) {
        reference r = refer(dtype, c, x, w, g);
        int64_t in = c->in_channels / c->groups, out = c->out_channels / c->groups;
        failed |= !CHECK(all_close(dtype, y, r.output, r.output_size, s.output, in * s.kernel,
                                   out_bias, c->out_channels, s.out));
        failed |= !CHECK(all_close(dtype, gx, r.input, r.input_size, s.input, out * s.kernel,
                                   in_bias, c->in_channels, s.in));
        failed |= !CHECK(
            all_close(dtype, gw, r.weight, r.weight_size, s.weight, c->batch * s.out, NULL, 1, 1));
        drop(&r);
        for (int64_t oc = 0; oc < c->out_channels; oc++) {
            double sum = 0, total = 0;
            for (int64_t n = 0; n < c->batch; n++)
                for (int64_t o = 0; o < s.out; o++) {
                    double v = get(dtype, g, (n * c->out_channels + oc) * s.out + o);
                    sum += v, total += fabs(v);
                }
            failed |= !CHECK(close_to(dtype, get(dtype, gb, oc), sum, total, c->batch * s.out));
        }
    }
    if (failed)
        print_conv(dtype, c);
    free(x), free(w), free(g), free(out_bias), free(in_bias), free(y), free(gx), free(gw), free(gb);
    free(y1), free(gx1), free(gw1);
}

/* Output sizes as PyTorch computes them. */
static mt_conv
complete(mt_conv c)
{
    for (int d = 0; d < c.dims; d++)
        c.out[d] = (c.in[d] + 2 * c.padding[d] - c.dilation[d] * (c.kernel[d] - 1) - 1) /
                       c.stride[d] +
                   1;
    return c;
}

static mt_conv
square(int64_t batch, int64_t in, int64_t out, int64_t groups, int64_t h, int64_t w, int64_t k,
       int64_t stride, int64_t padding, int64_t dilation)
{
    return complete((mt_conv){.dims = 2,
                              .batch = batch,
                              .groups = groups,
                              .in_channels = in,
                              .out_channels = out,
                              .in = {h, w},
                              .kernel = {k, k},
                              .stride = {stride, stride},
                              .padding = {padding, padding},
                              .dilation = {dilation, dilation}});
}

static const mt_dtype dtypes[] = {MT_FLOAT32, MT_FLOAT64, MT_FLOAT16, MT_BFLOAT16, MT_UINT8,
                                  MT_INT8,    MT_INT16,   MT_INT32,   MT_INT64};

static void
test_values(void)
{
    const mt_conv shapes[] = {
        square(2, 3, 4, 1, 9, 11, 3, 1, 1, 1),
        square(1, 5, 7, 1, 8, 8, 3, 2, 1, 1),
        square(2, 4, 6, 2, 7, 10, 3, 1, 0, 2),
        square(1, 6, 6, 6, 12, 13, 3, 1, 1, 1), /* depthwise */
        square(1, 4, 8, 4, 19, 9, 5, 2, 2, 1),  /* depthwise, two results a channel */
        square(1, 3, 3, 3, 15, 40, 3, 1, 2, 1),
        square(3, 10, 17, 1, 5, 7, 1, 1, 0, 1), /* a matrix product */
        square(2, 4, 4, 1, 9, 9, 1, 3, 0, 1),   /* positions that no output meets */
        square(1, 2, 3, 1, 6, 6, 2, 4, 1, 1),
        square(7, 2, 5, 1, 3, 3, 3, 1, 0, 1), /* one output: images share a tile */
        square(5, 3, 5, 1, 5, 4, 3, 1, 1, 1),
        square(1, 1, 9, 1, 16, 17, 5, 1, 2, 1),
        square(1, 2, 2, 1, 9, 9, 3, 2, 3, 3),
    };
    for (size_t d = 0; d < MT_COUNT(dtypes); d++)
        for (size_t i = 0; i < MT_COUNT(shapes); i++)
            try(dtypes[d], &shapes[i], i % 2 == 0, true, 2);
}

/* Every small combination of geometry. */
static void
test_geometry(void)
{
    for (int64_t h = 4; h <= 9; h += 5)
        for (int64_t k = 1; k <= 4; k++)
            for (int64_t stride = 1; stride <= 3; stride++)
                for (int64_t padding = 0; padding <= 2; padding++)
                    for (int64_t dilation = 1; dilation <= 2; dilation++)
                        for (int64_t groups = 1; groups <= 2; groups++) {
                            mt_conv c = square(2, 2 * groups, 6, groups, h, h + 1, k, stride,
                                               padding, dilation);
                            if (h + 2 * padding >= dilation * (k - 1) + 1)
                                try(MT_FLOAT32, &c, false, true, 1);
                            c.in_channels = c.out_channels = c.groups = 3;
                            if (h + 2 * padding >= dilation * (k - 1) + 1)
                                try(MT_FLOAT64, &c, true, true, 1);
                        }
}

static void
test_dimensions(void)
{
    mt_conv line = complete((mt_conv){.dims = 1,
                                      .batch = 2,
                                      .groups = 1,
                                      .in_channels = 3,
                                      .out_channels = 5,
                                      .in = {1200}, /* longer than a tile */
                                      .kernel = {7},
                                      .stride = {1},
                                      .padding = {3},
                                      .dilation = {2}});
    try(MT_FLOAT32, &line, true, true, 3);
    line.stride[0] = 3;
    line = complete(line);
    try(MT_FLOAT64, &line, false, true, 2);
    line.in[0] = 9;
    line = complete(line);
    try(MT_FLOAT32, &line, false, true, 2);
    line.groups = line.in_channels = line.out_channels = 4;
    line.in[0] = 1500;
    line = complete(line);
    try(MT_FLOAT32, &line, true, true, 2);

    mt_conv volume = complete((mt_conv){.dims = 3,
                                        .batch = 2,
                                        .groups = 1,
                                        .in_channels = 2,
                                        .out_channels = 3,
                                        .in = {5, 6, 7},
                                        .kernel = {3, 2, 3},
                                        .stride = {1, 2, 1},
                                        .padding = {1, 0, 1},
                                        .dilation = {1, 1, 2}});
    try(MT_FLOAT32, &volume, true, true, 3);
    volume.stride[0] = 2, volume.padding[0] = 0;
    volume = complete(volume);
    try(MT_BFLOAT16, &volume, false, true, 2);
    volume.groups = volume.in_channels = volume.out_channels = 2;
    try(MT_FLOAT32, &volume, false, true, 2);

    /* A rectangle with everything different in its two dimensions. */
    mt_conv c = complete((mt_conv){.dims = 2,
                                   .batch = 1,
                                   .groups = 2,
                                   .in_channels = 4,
                                   .out_channels = 10,
                                   .in = {23, 600},
                                   .kernel = {4, 3},
                                   .stride = {3, 1},
                                   .padding = {0, 2},
                                   .dilation = {2, 3}});
    try(MT_FLOAT32, &c, true, true, 2);
    /* Fewer outputs than fit: the rest of the input gets no gradient. */
    c.out[0] -= 1, c.out[1] -= 100;
    try(MT_FLOAT32, &c, true, true, 2);
}

/* Work enough to be shared out and cut into blocks. */
static void
test_threads(void)
{
    const mt_conv shapes[] = {
        square(1, 40, 150, 1, 28, 28, 3, 1, 1, 1), square(1, 3, 64, 1, 64, 70, 7, 2, 3, 1),
        square(6, 33, 29, 1, 14, 14, 3, 1, 1, 1),  square(3, 64, 64, 64, 40, 40, 3, 1, 1, 1),
        square(2, 64, 80, 1, 20, 20, 1, 1, 0, 1),  square(9, 24, 24, 1, 7, 7, 3, 1, 1, 1),
        square(2, 32, 64, 8, 30, 30, 3, 2, 1, 1),
        /* squares of results, with odd edges, groups and several blocks of results: */
        square(3, 33, 51, 1, 13, 19, 3, 1, 1, 1),  square(1, 64, 64, 2, 17, 40, 3, 1, 0, 1),
        square(1, 40, 200, 1, 12, 12, 3, 1, 2, 1),
    };
    for (size_t i = 0; i < MT_COUNT(shapes); i++) {
        try(MT_FLOAT32, &shapes[i], true, i < 3 || i > 6, 4);
        try(MT_FLOAT64, &shapes[i], false, false, 3);
        try(MT_FLOAT16, &shapes[i], true, false, 3);
    }
}

/* Infinities stay where they are: no result sees an element that it does not use. */
static void
test_infinity(void)
{
    mt_conv c = square(1, 2, 8, 1, 10, 10, 3, 1, 0, 1);
    sizes s = sizes_of(&c);
    float *x = random_block(s.input, MT_FLOAT32), *w = random_block(s.weight, MT_FLOAT32);
    float *g = random_block(s.output, MT_FLOAT32), *y = block(s.output, MT_FLOAT32);
    float *gw = block(s.weight, MT_FLOAT32), *gx = block(s.input, MT_FLOAT32);
    x[9] = INFINITY; /* the last column of the first row: used by tap (0, 2) of output (0, 7) */
    CHECK_INT(mt_conv_forward(MT_FLOAT32, &c, x, w, NULL, y), 0);
    bool right = true;
    for (int64_t o = 0; o < s.output; o++)
        right = right && isfinite(y[o]) == (o % s.out != 7);
    CHECK(right);
    CHECK_INT(mt_conv_grad_weight(MT_FLOAT32, &c, x, g, gw), 0);
    right = true;
    for (int64_t i = 0; i < s.weight; i++)
        right = right && isfinite(gw[i]) == (i % 18 != 2);
    CHECK(right);
    g[7] = NAN; /* channel 0, output (0, 7) reaches columns 7 to 9 of rows 0 to 2 */
    CHECK_INT(mt_conv_grad_input(MT_FLOAT32, &c, g, w, NULL, gx), 0);
    right = true;
    for (int64_t i = 0; i < s.input; i++)
        right = right && isnan(gx[i]) == (i % 10 >= 7 && i % 100 < 30);
    CHECK(right);
    free(x), free(w), free(g), free(y), free(gw), free(gx);
}

/* With many channels several results are computed together: one element that is far larger than
 * its neighbours, or not finite, must not disturb results that do not depend on it. */
static void
test_one_large_element(void)
{
    mt_conv c = square(1, 32, 32, 1, 16, 16, 3, 1, 1, 1);
    sizes s = sizes_of(&c);
    float *x = random_block(s.input, MT_FLOAT32), *w = random_block(s.weight, MT_FLOAT32);
    float *y = block(s.output, MT_FLOAT32);
    const float values[] = {1e8f, 3e38f, INFINITY, NAN};
    for (size_t i = 0; i < MT_COUNT(values); i++) {
        x[3 * 256 + 5 * 16 + 5] = values[i];
        reference r = refer(MT_FLOAT32, &c, x, w, x);
        CHECK_INT(mt_conv_forward(MT_FLOAT32, &c, x, w, NULL, y), 0);
        bool right = true;
        for (int64_t o = 0; o < s.output; o++) {
            int64_t row = o % 256 / 16, col = o % 16;
            if (row < 4 || row > 6 || col < 4 || col > 6)
                right = right && close_to(MT_FLOAT32, y[o], r.output[o], r.output_size[o], 288);
            else if (i >= 2)
                right = right && !isfinite(y[o]);
        }
        CHECK(right);
        drop(&r);
    }
    free(x), free(w), free(y);
}

static void
test_empty(void)
{
    mt_conv c = square(0, 2, 3, 1, 5, 5, 3, 1, 0, 1);
    float w[54] = {1}, gw[54], b[3] = {5, 6, 7}, gb[3] = {1, 1, 1};
    CHECK_INT(mt_conv_forward(MT_FLOAT32, &c, NULL, w, NULL, NULL), 0);
    CHECK_INT(mt_conv_grad_input(MT_FLOAT32, &c, NULL, w, NULL, NULL), 0);
    gw[53] = 1;
    CHECK_INT(mt_conv_grad_weight(MT_FLOAT32, &c, NULL, NULL, gw), 0);
    CHECK(gw[0] == 0 && gw[53] == 0);
    CHECK_INT(mt_conv_grad_bias(MT_FLOAT32, 0, 3, 9, NULL, gb), 0);
    CHECK(gb[0] == 0 && gb[2] == 0);
    /* Without input channels the output is the bias. */
    c = square(1, 0, 3, 1, 5, 5, 3, 1, 0, 1);
    float y[27];
    CHECK_INT(mt_conv_forward(MT_FLOAT32, &c, NULL, NULL, b, y), 0);
    CHECK(y[0] == 5 && y[9] == 6 && y[26] == 7);
    c = square(1, 0, 3, 1, 5, 5, 1, 1, 0, 1);
    float z[75];
    CHECK_INT(mt_conv_forward(MT_FLOAT32, &c, NULL, NULL, b, z), 0);
    CHECK(z[0] == 5 && z[74] == 7);
}

static void
test_refused(void)
{
    mt_conv c = square(1, 1, 1, 1, 3, 3, 2, 1, 0, 1);
    uint8_t x[144] = {0};
    const char *message;
    CHECK_INT(mt_conv_forward(MT_BOOL, &c, x, x, NULL, x), -1);
    CHECK_INT(mt_error(&message), MT_NOT_IMPLEMENTED);
    CHECK_STR(message, "convolution of bool");
    CHECK_INT(mt_conv_grad_weight(MT_COMPLEX64, &c, x, x, x), -1);
    CHECK_INT(mt_error(NULL), MT_NOT_IMPLEMENTED);
    mt_error_clear();
}

/* Each allocation in turn fails: an error, no leak, and the next call works. */
static void
test_memory_runs_out(int64_t channels)
{
    mt_conv c = square(8, channels, channels, 1, 32, 32, 3, 1, 1, 1);
    sizes s = sizes_of(&c);
    float *x = random_block(s.input, MT_FLOAT32), *w = random_block(s.weight, MT_FLOAT32);
    float *y = block(s.output, MT_FLOAT32), *gw = block(s.weight, MT_FLOAT32);
    for (int what = 0; what < 3; what++) {
        int64_t n = 1;
        for (; n < 20; n++) {
            mt_alloc_fail_nth(n);
            int result = what == 0   ? mt_conv_forward(MT_FLOAT32, &c, x, w, NULL, y)
                         : what == 1 ? mt_conv_grad_input(MT_FLOAT32, &c, y, w, NULL, x)
                                     : mt_conv_grad_weight(MT_FLOAT32, &c, x, y, gw);
            mt_alloc_fail_nth(0);
            if (result == 0)
                break;
            CHECK_INT(mt_error(NULL), MT_MEMORY);
            mt_error_clear();
        }
        CHECK(n > 2 && n < 20);
    }
    free(x), free(w), free(y), free(gw);
}

int
main(void)
{
    const char *path = getenv("MINDTORCH_BLAS");
    if (path == NULL || *path == 0) {
        printf("MINDTORCH_BLAS does not name a library\n");
        return 1;
    }
    mt_blas_set_library(path);
    test_values();
    test_geometry();
    test_dimensions();
    test_threads();
    test_infinity();
    test_one_large_element();
    test_empty();
    test_refused();
    test_memory_runs_out(8);
    test_memory_runs_out(32);
    mt_pool_stop();
    return check_done();
}
