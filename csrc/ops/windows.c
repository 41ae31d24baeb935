/* Windows of an image as columns, and columns summed back into an image. */
#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef struct plan {
    int64_t batch, channels, size[2], kernel[2], dilation[2], padding[2], stride[2], windows[2];
    bool batched;
} plan;

#define LIST(name) const int64_t *name, int64_t name##_n
#define WINDOW_ARGS LIST(kernel_size), LIST(dilation), LIST(padding), LIST(stride)

static int
fill_plan(plan *p, const char *fn, WINDOW_ARGS)
{
    const struct {
        const char *name;
        const int64_t *given;
        int64_t n, *to, least;
    } lists[4] = {{"kernel_size", kernel_size, kernel_size_n, p->kernel, 1},
                  {"dilation", dilation, dilation_n, p->dilation, 1},
                  {"padding", padding, padding_n, p->padding, 0},
                  {"stride", stride, stride_n, p->stride, 1}};
    for (int i = 0; i < 4; i++)
        if (lists[i].n != 2)
            return mt_fail(MT_RUNTIME, "It is expected %s equals to 2, but got size %lld", lists[i].name,
                           (long long)lists[i].n);
    for (int i = 0; i < 4; i++) {
        memcpy(lists[i].to, lists[i].given, 2 * sizeof(int64_t));
        if (lists[i].to[0] < lists[i].least || lists[i].to[1] < lists[i].least) {
            (void)fn;
            return i == 0   ? mt_fail(MT_RUNTIME,
                                      "kernel size should be greater than zero, but got kernel_height: %lld "
                                      "kernel_width: %lld",
                                      (long long)p->kernel[0], (long long)p->kernel[1])
                   : i == 1 ? mt_fail(MT_RUNTIME,
                                      "dilation should be greater than zero, but got dilation_height: %lld "
                                      "dilation_width: %lld",
                                      (long long)p->dilation[0], (long long)p->dilation[1])
                   : i == 2 ? mt_fail(MT_RUNTIME,
                                      "padding should be non-negative, but got pad_height: %lld pad_width: "
                                      "%lld",
                                      (long long)p->padding[0], (long long)p->padding[1])
                            : mt_fail(MT_RUNTIME,
                                      "stride should be greater than zero, but got stride_height: %lld "
                                      "stride_width: %lld",
                                      (long long)p->stride[0], (long long)p->stride[1]);
        }
    }
    return 0;
}

static void
count_windows(plan *p)
{
    for (int d = 0; d < 2; d++) {
        int64_t room = p->size[d] + 2 * p->padding[d] - (p->dilation[d] * (p->kernel[d] - 1) + 1);
        p->windows[d] = (room >= 0 ? room / p->stride[d] : -((-room + p->stride[d] - 1) / p->stride[d])) + 1;
    }
}

static int
columns_plan(plan *p, const mt_tensor *self, WINDOW_ARGS)
{
    memset(p, 0, sizeof *p);
    if (fill_plan(p, "im2col", kernel_size, kernel_size_n, dilation, dilation_n, padding, padding_n, stride,
                  stride_n) < 0)
        return -1;
    int lead = self->ndim - 3;
    if (self->ndim < 3)
        return self->ndim ? mt_wrap_dim(self->ndim, self->ndim)
                          : mt_fail(MT_INDEX, "Dimension specified as 1 but tensor has no dimensions");
    bool good = (lead == 0 && self->numel) ||
                (lead == 1 && self->sizes[1] && self->sizes[2] && self->sizes[3]);
    if (!good)
        return mt_fail(MT_RUNTIME,
                       "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
                       "dimensions for input, but got: %s",
                       mt_shape_str(self));
    p->batched = lead == 1;
    p->batch = lead ? self->sizes[0] : 1;
    p->channels = self->sizes[lead];
    p->size[0] = self->sizes[lead + 1];
    p->size[1] = self->sizes[lead + 2];
    count_windows(p);
    if (p->windows[0] < 1 || p->windows[1] < 1)
        return mt_fail(MT_RUNTIME,
                       "Given input with spatial size (%lld, %lld), kernel_size=(%lld, %lld), "
                       "dilation=(%lld, %lld), padding=(%lld, %lld), calculated shape of the array of "
                       "sliding blocks as (%lld, %lld), but its components must be at least one.",
                       (long long)p->size[0], (long long)p->size[1], (long long)p->kernel[0],
                       (long long)p->kernel[1], (long long)p->dilation[0], (long long)p->dilation[1],
                       (long long)p->padding[0], (long long)p->padding[1], (long long)p->windows[0],
                       (long long)p->windows[1]);
    return 0;
}

static int
image_plan(plan *p, const mt_tensor *self, LIST(output_size), WINDOW_ARGS)
{
    memset(p, 0, sizeof *p);
    if (output_size_n != 2)
        return mt_fail(MT_RUNTIME, "It is expected output_size equals to 2, but got size %lld",
                       (long long)output_size_n);
    if (fill_plan(p, "col2im", kernel_size, kernel_size_n, dilation, dilation_n, padding, padding_n, stride,
                  stride_n) < 0)
        return -1;
    int lead = self->ndim - 2;
    bool good = (lead == 0 && self->numel) || (lead == 1 && self->sizes[1] && self->sizes[2]);
    if (!good)
        return mt_fail(MT_RUNTIME,
                       "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
                       "non-zero dimensions for input, but got: %s",
                       mt_shape_str(self));
    int64_t rows = self->sizes[lead], cols = self->sizes[lead + 1], area = p->kernel[0] * p->kernel[1];
    memcpy(p->size, output_size, sizeof p->size);
    p->batched = lead == 1;
    p->batch = lead ? self->sizes[0] : 1;
    p->channels = rows / area;
    if (rows % area)
        return mt_fail(MT_RUNTIME,
                       "Expected size of input's dimension 1 to be divisible by the product of "
                       "kernel_size, but got input.size(1)=%lld and kernel_size=(%lld, %lld).",
                       (long long)rows, (long long)p->kernel[0], (long long)p->kernel[1]);
    count_windows(p);
    if (cols != p->windows[0] * p->windows[1])
        return mt_fail(MT_RUNTIME,
                       "Given output_size=(%lld, %lld), kernel_size=(%lld, %lld), dilation=(%lld, %lld), "
                       "padding=(%lld, %lld), stride=(%lld, %lld), expected size of input's dimension 2 to "
                       "match the calculated number of sliding blocks %lld * %lld = %lld, but got "
                       "input.size(2)=%lld.",
                       (long long)p->size[0], (long long)p->size[1], (long long)p->kernel[0],
                       (long long)p->kernel[1], (long long)p->dilation[0], (long long)p->dilation[1],
                       (long long)p->padding[0], (long long)p->padding[1], (long long)p->stride[0],
                       (long long)p->stride[1], (long long)p->windows[0], (long long)p->windows[1],
                       (long long)(p->windows[0] * p->windows[1]), (long long)cols);
    if (p->windows[0] < 1 || p->windows[1] < 1)
        return mt_fail(MT_RUNTIME,
                       "Given output_size=(%lld, %lld), kernel_size=(%lld, %lld), dilation=(%lld, %lld), "
                       "padding=(%lld, %lld), stride=(%lld, %lld), calculated shape of the array of "
                       "sliding blocks as (%lld, %lld), which is too small (non-positive)",
                       (long long)p->size[0], (long long)p->size[1], (long long)p->kernel[0],
                       (long long)p->kernel[1], (long long)p->dilation[0], (long long)p->dilation[1],
                       (long long)p->padding[0], (long long)p->padding[1], (long long)p->stride[0],
                       (long long)p->stride[1], (long long)p->windows[0], (long long)p->windows[1]);
    if (output_size[0] < 1 || output_size[1] < 1)
        return mt_fail(MT_RUNTIME, "Expected output spatial size to be positive, but got: output_size=(%lld, "
                                   "%lld).",
                       (long long)output_size[0], (long long)output_size[1]);
    return 0;
}

/* ---- loops: one channel of one image is a unit ---------------------------------------------- */

typedef struct job {
    const plan *p;
    const char *from;
    char *to;
    int64_t size;
} job;

static void
to_columns(void *ctx, int64_t begin, int64_t end)
{
    const job *j = ctx;
    const plan *p = j->p;
    int64_t size = j->size, count = p->windows[0] * p->windows[1];
    for (int64_t unit = begin; unit < end; unit++) {
        const char *image = j->from + unit * p->size[0] * p->size[1] * size;
        char *to = j->to + unit * p->kernel[0] * p->kernel[1] * count * size;
        for (int64_t ky = 0; ky < p->kernel[0]; ky++)
            for (int64_t kx = 0; kx < p->kernel[1]; kx++)
                for (int64_t y = 0; y < p->windows[0]; y++) {
                    int64_t iy = y * p->stride[0] - p->padding[0] + ky * p->dilation[0];
                    for (int64_t x = 0; x < p->windows[1]; x++, to += size) {
                        int64_t ix = x * p->stride[1] - p->padding[1] + kx * p->dilation[1];
                        if (iy >= 0 && iy < p->size[0] && ix >= 0 && ix < p->size[1])
                            memcpy(to, image + (iy * p->size[1] + ix) * size, (size_t)size);
                        else
                            memset(to, 0, (size_t)size);
                    }
                }
    }
}

#define TO_IMAGE(name, T)                                                                          \
    static void to_image_##name(void *ctx, int64_t begin, int64_t end)                             \
    {                                                                                              \
        const job *j = ctx;                                                                        \
        const plan *p = j->p;                                                                      \
        int64_t count = p->windows[0] * p->windows[1], area = p->size[0] * p->size[1];             \
        for (int64_t unit = begin; unit < end; unit++) {                                           \
            T *image = (T *)j->to + unit * area;                                                   \
            const T *from = (const T *)j->from + unit * p->kernel[0] * p->kernel[1] * count;       \
            memset(image, 0, (size_t)area * sizeof(T));                                            \
            for (int64_t ky = 0; ky < p->kernel[0]; ky++)                                          \
                for (int64_t kx = 0; kx < p->kernel[1]; kx++)                                      \
                    for (int64_t y = 0; y < p->windows[0]; y++) {                                  \
                        int64_t iy = y * p->stride[0] - p->padding[0] + ky * p->dilation[0];       \
                        for (int64_t x = 0; x < p->windows[1]; x++, from++) {                      \
                            int64_t ix = x * p->stride[1] - p->padding[1] + kx * p->dilation[1];   \
                            if (iy >= 0 && iy < p->size[0] && ix >= 0 && ix < p->size[1])          \
                                image[iy * p->size[1] + ix] += *from;                              \
                        }                                                                          \
                    }                                                                              \
        }                                                                                          \
    }
TO_IMAGE(f32, float)
TO_IMAGE(f64, double)
TO_IMAGE(c64, mt_complex64)
TO_IMAGE(c128, mt_complex128)

static int
run(const plan *p, mt_tensor *from, mt_tensor *to, mt_parallel_body body)
{
    job j = {p, mt_data(from), mt_data(to), mt_itemsize(to)};
    int64_t units = p->batch * p->channels;
    int64_t steps = p->kernel[0] * p->kernel[1] * p->windows[0] * p->windows[1];
    if (units)
        mt_parallel_for(units, MT_MAX(1, MT_GRAIN / MT_MAX(1, steps)), body, &j);
    return 0;
}

int
im2col_meta(mt_call *call, mt_tensor *self, WINDOW_ARGS)
{
    plan p;
    if (columns_plan(&p, self, kernel_size, kernel_size_n, dilation, dilation_n, padding, padding_n, stride,
                     stride_n) < 0)
        return -1;
    int64_t sizes[3] = {p.batch, p.channels * p.kernel[0] * p.kernel[1], p.windows[0] * p.windows[1]};
    int skip = !p.batched;
    return mt_set_output(call, 0, 3 - skip, sizes + skip, NULL, (mt_dtype)self->dtype, self->device);
}

int
im2col_impl(mt_call *call, mt_tensor *self, WINDOW_ARGS)
{
    plan p;
    if (columns_plan(&p, self, kernel_size, kernel_size_n, dilation, dilation_n, padding, padding_n, stride,
                     stride_n) < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)self->dtype;
    if (mt_is_integral(dtype, false))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"im2col_out_cpu\" not implemented for '%s'",
                       mt_dtypes[dtype].scalar_name);
    mt_tensor *x = mt_contiguous_data(self, false);
    int rc = x ? run(&p, x, mt_out(call, 0), to_columns) : -1;
    mt_xrelease(x);
    return rc;
}

int
col2im_meta(mt_call *call, mt_tensor *self, LIST(output_size), WINDOW_ARGS)
{
    plan p;
    if (image_plan(&p, self, output_size, output_size_n, kernel_size, kernel_size_n, dilation, dilation_n,
                   padding, padding_n, stride, stride_n) < 0)
        return -1;
    int64_t sizes[4] = {p.batch, p.channels, p.size[0], p.size[1]};
    int skip = !p.batched;
    return mt_set_output(call, 0, 4 - skip, sizes + skip, NULL, (mt_dtype)self->dtype, self->device);
}

int
col2im_impl(mt_call *call, mt_tensor *self, LIST(output_size), WINDOW_ARGS)
{
    plan p;
    if (image_plan(&p, self, output_size, output_size_n, kernel_size, kernel_size_n, dilation, dilation_n,
                   padding, padding_n, stride, stride_n) < 0)
        return -1;
    mt_tensor *out = mt_out(call, 0), *from = NULL, *sum = NULL;
    mt_dtype dtype = (mt_dtype)self->dtype;
    mt_dtype work = mt_is_half(dtype) || dtype == MT_BOOL ? MT_FLOAT32 : dtype;
    if (mt_is_integral(dtype, false))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"col2im_out_cpu\" not implemented for '%s'",
                       mt_dtypes[dtype].scalar_name);
    int rc = -1;
    if (work == dtype) {
        from = mt_contiguous_data(self, false);
        sum = mt_keep(out);
    } else {
        from = mt_empty(self->ndim, self->sizes, NULL, work, self->device);
        sum = mt_empty(out->ndim, out->sizes, NULL, work, out->device);
        if (!from || !sum || mt_copy_data(from, self) < 0)
            goto done;
    }
    if (!from)
        goto done;
    rc = run(&p, from, sum, work == MT_FLOAT32     ? to_image_f32
                            : work == MT_FLOAT64   ? to_image_f64
                            : work == MT_COMPLEX64 ? to_image_c64
                                                   : to_image_c128);
    if (rc == 0 && sum != out)
        rc = mt_copy_data(out, sum);
done:
    mt_xrelease(from);
    mt_xrelease(sum);
    return rc;
}
