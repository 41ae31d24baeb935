/* Resampling of images: checks, sizes, and the filters that widen when they shrink an image. The
 * loops of the others are in kernels/upsample. */
#include "kernels/upsample.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef enum filter { NO_FILTER, TRIANGLE, CUBIC, LANCZOS } filter;

/* What is asked of one operator. */
typedef struct request {
    mt_upsample_shape u;
    filter filter;
    int64_t sizes[5]; /* of the result */
} request;

static int
check_sizes(const request *r)
{
    static const char *const axes[3] = {"D", "H", "W"};
    char text[2][160];
    bool good = true;
    int dims = r->u.dims;
    for (int side = 0; side < 2; side++) {
        const int64_t *sizes = side ? r->u.out : r->u.in;
        size_t at = 0;
        for (int d = 0; d < dims; d++) {
            good = good && sizes[d] > 0;
            at += (size_t)snprintf(text[side] + at, sizeof text[side] - at, "%s%s: %lld", d ? ", " : "",
                                   axes[3 - dims + d], (long long)sizes[d]);
        }
    }
    return good ? 0 : mt_fail(MT_RUNTIME, "Input and output sizes should be greater than 0, but got input "
                                          "(%s) and output (%s)",
                              text[0], text[1]);
}

static int
make_request(request *r, int dims, mt_upsample_mode mode, filter f, const int64_t *output_size,
             int64_t on, const int64_t *input_size, int64_t in, bool align_corners,
             const mt_value *scales)
{
    memset(r, 0, sizeof *r);
    if (on != dims)
        return mt_fail(MT_RUNTIME, "It is expected output_size equals to %d, but got size %lld", dims,
                       (long long)on);
    if (in != dims + 2)
        return mt_fail(MT_RUNTIME, "It is expected input_size equals to %d, but got size %lld", dims + 2,
                       (long long)in);
    r->u.dims = dims;
    r->u.mode = mode;
    r->u.align_corners = align_corners;
    r->filter = f;
    r->u.planes = input_size[0] * input_size[1];
    for (int d = 0; d < dims; d++) {
        r->u.in[d] = input_size[d + 2];
        r->u.out[d] = output_size[d];
        r->u.scale[d] = mt_is_none(scales[d]) || mt_scalar_f64(scales[d]) <= 0 ? 0 : mt_scalar_f64(scales[d]);
    }
    return check_sizes(r);
}

/* ---- filters that widen ------------------------------------------------------------------- */

static double
cubic(double x)
{
    /* Keys' convolution with a = -0.5, as image libraries use it */
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double
sinc(double x)
{
    return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static double
weight_of(filter f, double x)
{
    if (f == TRIANGLE)
        return fabs(x) < 1 ? 1 - fabs(x) : 0;
    if (f == CUBIC)
        return cubic(x);
    return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

typedef struct taps {
    int64_t *first, *count; /* per output element */
    double *weight;         /* `most` per output element */
    int64_t most, in, out;
    void *block;
    size_t bytes;
} taps;

static int
make_taps(taps *t, const request *r, int d)
{
    int64_t in = r->u.in[d], out = r->u.out[d];
    double step = r->u.align_corners ? (out > 1 ? (double)(in - 1) / (double)(out - 1) : 0)
                  : r->u.scale[d] > 0 ? 1 / r->u.scale[d]
                                      : (double)in / (double)out;
    double radius = r->filter == TRIANGLE ? 1 : r->filter == CUBIC ? 2 : 3;
    double support = step >= 1 ? radius * step : radius, inverse = step >= 1 ? 1 / step : 1;
    memset(t, 0, sizeof *t);
    t->in = in;
    t->out = out;
    t->most = (int64_t)ceil(support) * 2 + 1;
    t->bytes = (size_t)out * (2 * sizeof(int64_t) + (size_t)t->most * sizeof(double));
    if (!(t->block = mt_alloc(t->bytes)))
        return -1;
    t->weight = t->block;
    t->first = (int64_t *)(t->weight + out * t->most);
    t->count = t->first + out;
    for (int64_t o = 0; o < out; o++) {
        double center = step * ((double)o + 0.5), total = 0, *w = t->weight + o * t->most;
        int64_t first = MT_MAX((int64_t)(center - support + 0.5), 0);
        int64_t count = MT_MIN((int64_t)(center + support + 0.5), in) - first;
        count = MT_MAX(0, MT_MIN(count, t->most));
        for (int64_t k = 0; k < count; k++)
            total += w[k] = weight_of(r->filter, ((double)(k + first) - center + 0.5) * inverse);
        for (int64_t k = 0; k < count && total != 0; k++)
            w[k] /= total;
        t->first[o] = first;
        t->count[o] = count;
    }
    return 0;
}

typedef struct filtering {
    const taps *y, *x;
    const void *from;
    void *to;
    double *lines; /* one intermediate plane per plane of the image */
    bool single, back;
} filtering;

static double
read_at(const filtering *f, int64_t i)
{
    return f->single ? (double)((const float *)f->from)[i] : ((const double *)f->from)[i];
}

static void
write_at(const filtering *f, int64_t i, double v)
{
    if (f->single)
        ((float *)f->to)[i] = (float)v;
    else
        ((double *)f->to)[i] = v;
}

/* Along rows first, then along columns; the gradient in the other order, adding up. */
static void
filter_planes(void *ctx, int64_t begin, int64_t end)
{
    const filtering *f = ctx;
    const taps *y = f->y, *x = f->x;
    for (int64_t p = begin; p < end; p++) {
        double *mid = f->lines + p * y->in * x->out; /* in rows, out columns */
        if (!f->back) {
            for (int64_t r = 0; r < y->in; r++)
                for (int64_t c = 0; c < x->out; c++) {
                    double sum = 0;
                    for (int64_t k = 0; k < x->count[c]; k++)
                        sum += x->weight[c * x->most + k] *
                               read_at(f, (p * y->in + r) * x->in + x->first[c] + k);
                    mid[r * x->out + c] = sum;
                }
            for (int64_t r = 0; r < y->out; r++)
                for (int64_t c = 0; c < x->out; c++) {
                    double sum = 0;
                    for (int64_t k = 0; k < y->count[r]; k++)
                        sum += y->weight[r * y->most + k] * mid[(y->first[r] + k) * x->out + c];
                    write_at(f, (p * y->out + r) * x->out + c, sum);
                }
            continue;
        }
        memset(mid, 0, (size_t)(y->in * x->out) * sizeof(double));
        for (int64_t r = 0; r < y->out; r++)
            for (int64_t k = 0; k < y->count[r]; k++)
                for (int64_t c = 0; c < x->out; c++)
                    mid[(y->first[r] + k) * x->out + c] +=
                        y->weight[r * y->most + k] * read_at(f, (p * y->out + r) * x->out + c);
        for (int64_t r = 0; r < y->in; r++) {
            for (int64_t c = 0; c < x->in; c++)
                write_at(f, (p * y->in + r) * x->in + c, 0);
            for (int64_t c = 0; c < x->out; c++)
                for (int64_t k = 0; k < x->count[c]; k++) {
                    int64_t at = (p * y->in + r) * x->in + x->first[c] + k;
                    double v = x->weight[c * x->most + k] * mid[r * x->out + c];
                    if (f->single)
                        ((float *)f->to)[at] += (float)v;
                    else
                        ((double *)f->to)[at] += v;
                }
        }
    }
}

static int
filtered(const request *r, mt_tensor *from, mt_tensor *to, bool back)
{
    mt_dtype dtype = (mt_dtype)to->dtype, work = dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    taps x = {0}, y = {0};
    mt_tensor *source = NULL, *result = NULL;
    size_t bytes = (size_t)(r->u.planes * r->u.in[0] * r->u.out[1]) * sizeof(double);
    double *lines = mt_alloc(MT_MAX(bytes, 8));
    int rc = -1;
    if (!lines || make_taps(&y, r, 0) < 0 || make_taps(&x, r, 1) < 0)
        goto done;
    if (work == dtype) {
        source = mt_contiguous_data(from, false);
        result = mt_keep(to);
    } else {
        source = mt_empty(from->ndim, from->sizes, NULL, work, from->device);
        result = mt_empty(to->ndim, to->sizes, NULL, work, to->device);
        if (!source || !result || mt_copy_data(source, from) < 0)
            goto done;
    }
    if (!source)
        goto done;
    filtering f = {&y, &x, mt_data(source), mt_data(result), lines, work == MT_FLOAT32, back};
    int64_t steps = (r->u.in[0] * x.most + r->u.out[0] * y.most) * r->u.out[1];
    if (r->u.planes)
        mt_parallel_for(r->u.planes, MT_MAX(1, MT_GRAIN / MT_MAX(1, steps)), filter_planes, &f);
    rc = result == to ? 0 : mt_copy_data(to, result);
done:
    if (lines)
        mt_free(lines, MT_MAX(bytes, 8));
    if (x.block)
        mt_free(x.block, x.bytes);
    if (y.block)
        mt_free(y.block, y.bytes);
    mt_xrelease(source);
    mt_xrelease(result);
    return rc;
}

/* ---- operators ---------------------------------------------------------------------------- */

static int
forward_meta(mt_call *call, request *r, const char *name, mt_tensor *self)
{
    bool empty = false;
    for (int d = 1; d < self->ndim; d++)
        empty = empty || self->sizes[d] == 0;
    if (self->ndim != r->u.dims + 2 || empty)
        return mt_fail(MT_RUNTIME, "Non-empty %dD data tensor expected but got a tensor with sizes %s",
                       r->u.dims + 2, mt_shape_str(self));
    (void)name;
    r->sizes[0] = self->sizes[0];
    r->sizes[1] = self->sizes[1];
    memcpy(r->sizes + 2, r->u.out, sizeof r->u.out);
    return mt_set_output_format(call, 0, self->ndim, r->sizes, (mt_dtype)self->dtype, self);
}

static int
backward_meta(mt_call *call, request *r, const int64_t *input_size, mt_tensor *grad)
{
    int ndim = r->u.dims + 2;
    memcpy(r->sizes, input_size, (size_t)ndim * sizeof(int64_t));
    if (grad->ndim != ndim)
        return mt_fail(MT_RUNTIME,
                       "Expected grad_output to be a tensor of dimension %d but got: dimension %d", ndim,
                       grad->ndim);
    for (int d = 0; d < ndim; d++) {
        int64_t want = d < 2 ? input_size[d] : r->u.out[d - 2];
        if (grad->sizes[d] != want)
            return mt_fail(MT_RUNTIME,
                           "Expected grad_output to have the same shape as output; output.size(%d) = %lld "
                           "but got grad_output.size(%d) = %lld",
                           d, (long long)want, d, (long long)grad->sizes[d]);
    }
    return mt_set_output_format(call, 0, ndim, r->sizes, (mt_dtype)grad->dtype, grad);
}

static int
check_dtype(const request *r, const char *kernel, mt_dtype dtype, bool back)
{
    bool nearest = r->u.mode == MT_UPSAMPLE_NEAREST || r->u.mode == MT_UPSAMPLE_NEAREST_EXACT;
    if (mt_is_floating(dtype) || (nearest && !back && dtype == MT_UINT8))
        return 0;
    return mt_fail(MT_NOT_IMPLEMENTED, "\"%s%s\" not implemented for '%s'", kernel, back ? "_backward" : "",
                   mt_dtypes[dtype].scalar_name);
}

static int
run(mt_call *call, const request *r, const char *kernel, mt_tensor *from, bool back)
{
    mt_tensor *out = mt_out(call, 0);
    if (check_dtype(r, kernel, (mt_dtype)from->dtype, back) < 0)
        return -1;
    if (r->filter != NO_FILTER)
        return filtered(r, from, out, back);
    mt_tensor *x = mt_contiguous_data(from, false);
    int rc = x ? (back ? mt_upsample_grad : mt_upsample_forward)((mt_dtype)out->dtype, &r->u, mt_data(x),
                                                                 mt_data(out))
               : -1;
    mt_xrelease(x);
    return rc;
}

#define SCALES1 mt_value scales
#define SCALES2 mt_value scales_h, mt_value scales_w
#define SCALES3 mt_value scales_d, mt_value scales_h, mt_value scales_w
#define GIVEN1 {scales}
#define GIVEN2 {scales_h, scales_w}
#define GIVEN3 {scales_d, scales_h, scales_w}
#define CORNERS_NO
#define CORNERS_YES bool align_corners,
#define VALUE_NO false
#define VALUE_YES align_corners

#define RESAMPLING(name, N, C, MODE, FILTER, kernel)                                               \
    int name##_meta(mt_call *call, mt_tensor *self, const int64_t *size, int64_t n,                \
                    CORNERS_##C SCALES##N)                                                         \
    {                                                                                              \
        request r;                                                                                 \
        mt_value given[] = GIVEN##N;                                                               \
        if (make_request(&r, N, MODE, FILTER, size, n, self->sizes, self->ndim, VALUE_##C, given) < 0) \
            return -1;                                                                             \
        return forward_meta(call, &r, kernel, self);                                               \
    }                                                                                              \
    int name##_impl(mt_call *call, mt_tensor *self, const int64_t *size, int64_t n,                \
                    CORNERS_##C SCALES##N)                                                         \
    {                                                                                              \
        request r;                                                                                 \
        mt_value given[] = GIVEN##N;                                                               \
        if (make_request(&r, N, MODE, FILTER, size, n, self->sizes, self->ndim, VALUE_##C, given) < 0) \
            return -1;                                                                             \
        return run(call, &r, kernel, self, false);                                                 \
    }                                                                                              \
    int name##_backward_meta(mt_call *call, mt_tensor *grad, const int64_t *size, int64_t n,       \
                             const int64_t *input, int64_t in, CORNERS_##C SCALES##N)              \
    {                                                                                              \
        request r;                                                                                 \
        mt_value given[] = GIVEN##N;                                                               \
        if (make_request(&r, N, MODE, FILTER, size, n, input, in, VALUE_##C, given) < 0)           \
            return -1;                                                                             \
        return backward_meta(call, &r, input, grad);                                               \
    }                                                                                              \
    int name##_backward_impl(mt_call *call, mt_tensor *grad, const int64_t *size, int64_t n,       \
                             const int64_t *input, int64_t in, CORNERS_##C SCALES##N)              \
    {                                                                                              \
        request r;                                                                                 \
        mt_value given[] = GIVEN##N;                                                               \
        if (make_request(&r, N, MODE, FILTER, size, n, input, in, VALUE_##C, given) < 0)           \
            return -1;                                                                             \
        return run(call, &r, kernel, grad, true);                                                  \
    }
RESAMPLING(upsample_nearest1d, 1, NO, MT_UPSAMPLE_NEAREST, NO_FILTER, "compute_indices_weights_nearest")
RESAMPLING(upsample_nearest2d, 2, NO, MT_UPSAMPLE_NEAREST, NO_FILTER, "compute_indices_weights_nearest")
RESAMPLING(upsample_nearest3d, 3, NO, MT_UPSAMPLE_NEAREST, NO_FILTER, "compute_indices_weights_nearest")
RESAMPLING(_upsample_nearest_exact1d, 1, NO, MT_UPSAMPLE_NEAREST_EXACT, NO_FILTER, "compute_indices_weights_nearest")
RESAMPLING(_upsample_nearest_exact2d, 2, NO, MT_UPSAMPLE_NEAREST_EXACT, NO_FILTER, "compute_indices_weights_nearest")
RESAMPLING(_upsample_nearest_exact3d, 3, NO, MT_UPSAMPLE_NEAREST_EXACT, NO_FILTER, "compute_indices_weights_nearest")
RESAMPLING(upsample_linear1d, 1, YES, MT_UPSAMPLE_LINEAR, NO_FILTER, "compute_indices_weights_linear")
RESAMPLING(upsample_bilinear2d, 2, YES, MT_UPSAMPLE_LINEAR, NO_FILTER, "compute_indices_weights_linear")
RESAMPLING(upsample_trilinear3d, 3, YES, MT_UPSAMPLE_LINEAR, NO_FILTER, "compute_indices_weights_linear")
RESAMPLING(upsample_bicubic2d, 2, YES, MT_UPSAMPLE_CUBIC, NO_FILTER, "compute_indices_weights_cubic")
RESAMPLING(_upsample_bilinear2d_aa, 2, YES, MT_UPSAMPLE_LINEAR, TRIANGLE, "compute_indices_weights_aa")
RESAMPLING(_upsample_bicubic2d_aa, 2, YES, MT_UPSAMPLE_CUBIC, CUBIC, "compute_indices_weights_aa")
RESAMPLING(_upsample_lanczos2d_aa, 2, YES, MT_UPSAMPLE_CUBIC, LANCZOS, "compute_indices_weights_aa")

/* ---- by size or by factors ---------------------------------------------------------------- */

/* The size of the result and the factor of each dimension, where factors are given. */
static int
find_sizes(const mt_tensor *input, int dims, const int64_t *size, int64_t n, const double *factors,
           int64_t fn, int64_t *out, mt_value *scales)
{
    if (!size == !factors)
        return mt_fail(MT_RUNTIME, "Must specify exactly one of output_size and scale_factors");
    if ((size ? n : fn) != input->ndim - 2)
        return mt_fail(MT_RUNTIME,
                       size ? "It is expected output_size equals to %d, but got size %lld"
                            : "It is expected scale_factors equals to %d, but got size %lld",
                       (int)input->ndim - 2, (long long)(size ? n : fn));
    if (input->ndim - 2 != dims)
        return mt_fail(MT_RUNTIME, "It is expected input_size equals to %d, but got size %d", dims + 2,
                       input->ndim);
    for (int d = 0; d < dims; d++) {
        scales[d] = factors ? mt_v_float(factors[d]) : mt_v_none();
        out[d] = size ? size[d] : (int64_t)((double)input->sizes[d + 2] * factors[d]);
    }
    return 0;
}

#define PASS1 s[0]
#define PASS2 s[0], s[1]
#define PASS3 s[0], s[1], s[2]
#define PASSCORNERS_NO
#define PASSCORNERS_YES align_corners,
#define BY_FACTORS(name, N, C)                                                                     \
    mt_tensor *op_##name##_vec(mt_tensor *input, const int64_t *size, int64_t n,                   \
                               CORNERS_##C const double *factors, int64_t fn)                      \
    {                                                                                              \
        int64_t out[N];                                                                            \
        mt_value s[N];                                                                             \
        if (find_sizes(input, N, size, n, factors, fn, out, s) < 0)                                \
            return NULL;                                                                           \
        return aten_##name(input, out, N, PASSCORNERS_##C PASS##N);                                \
    }
BY_FACTORS(upsample_nearest1d, 1, NO)
BY_FACTORS(upsample_nearest2d, 2, NO)
BY_FACTORS(upsample_nearest3d, 3, NO)
BY_FACTORS(_upsample_nearest_exact1d, 1, NO)
BY_FACTORS(_upsample_nearest_exact2d, 2, NO)
BY_FACTORS(_upsample_nearest_exact3d, 3, NO)
BY_FACTORS(upsample_linear1d, 1, YES)
BY_FACTORS(upsample_bilinear2d, 2, YES)
BY_FACTORS(upsample_trilinear3d, 3, YES)
BY_FACTORS(upsample_bicubic2d, 2, YES)
BY_FACTORS(_upsample_bilinear2d_aa, 2, YES)
BY_FACTORS(_upsample_bicubic2d_aa, 2, YES)
BY_FACTORS(_upsample_lanczos2d_aa, 2, YES)
