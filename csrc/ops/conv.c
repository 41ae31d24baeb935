/* Convolution: shapes, layouts and gradients; the arithmetic is in kernels/conv. */
#include "kernels/conv.h"

#include <stdio.h>

#include "base/error.h"
#include "ops/linalg.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* A parameter list as long as there are spatial dimensions; one entry stands for all. */
static int
fill(const char *name, const int64_t *given, int64_t n, int dims, int64_t *out)
{
    if (n != 1 && n != dims)
        return mt_fail(MT_RUNTIME, "expected %s to be a single integer value or a list of %d values to "
                                   "match the convolution dimensions, but got %s=%s",
                       name, dims, name, mt_str_ints(given, n));
    for (int d = 0; d < dims; d++)
        out[d] = given[n == 1 ? 0 : d];
    return 0;
}

typedef struct plan {
    mt_conv c;
    int64_t sizes[5]; /* of the output */
    int ndim;
} plan;

/* "stride_height: 1 stride_width: 2"; one dimension is a row of height one. */
static const char *
by_axis(char *to, size_t room, const char *name, const int64_t *values, int dims)
{
    static const char *const axes[3] = {"depth", "height", "width"};
    size_t at = 0;
    if (dims == 1)
        at = (size_t)snprintf(to, room, "%s_height: %d ", name, strcmp(name, "output_padding") ? 1 : 0);
    for (int d = 0; d < dims && at < room; d++)
        at += (size_t)snprintf(to + at, room - at, "%s%s_%s: %lld", d ? " " : "", name, axes[3 - dims + d],
                               (long long)values[d]);
    return to;
}

static int
make_plan(plan *p, const mt_tensor *input, const mt_tensor *weight, const mt_tensor *bias,
          const int64_t *stride, int64_t stride_n, const int64_t *padding, int64_t padding_n,
          const int64_t *dilation, int64_t dilation_n, bool transposed,
          const int64_t *output_padding, int64_t output_padding_n, int64_t groups)
{
    mt_conv *c = &p->c;
    memset(p, 0, sizeof *p);
    int dims = weight->ndim - 2;
    int64_t extra[3] = {0, 0, 0};
    if (dims < 1 || dims > 3)
        return mt_fail(MT_RUNTIME, "weight should have at least three dimensions");
    if (groups <= 0)
        return mt_fail(MT_RUNTIME, "expected groups to be positive, got groups=%lld",
                       (long long)groups);
    c->dims = dims;
    c->groups = groups;
    if (fill("stride", stride, stride_n, dims, c->stride) < 0 ||
        fill("padding", padding, padding_n, dims, c->padding) < 0 ||
        fill("dilation", dilation, dilation_n, dims, c->dilation) < 0 ||
        fill("output_padding", output_padding, output_padding_n, dims, extra) < 0)
        return -1;
    for (int d = 0; d < dims; d++) {
        if (c->padding[d] < 0)
            return mt_fail(MT_RUNTIME, "negative padding is not supported");
        if (c->stride[d] <= 0)
            return mt_fail(MT_RUNTIME, "non-positive stride is not supported");
        if (c->dilation[d] <= 0)
            return mt_fail(MT_RUNTIME, c->dilation[d] ? "dilation should be greater than zero"
                                                      : "non-positive dilation is not supported");
        if (extra[d] < 0)
            return mt_fail(MT_RUNTIME, "negative output_padding is not supported");
    }
    char names[128];
    for (int d = 0; d < dims; d++) {
        if (weight->sizes[d + 2] == 0)
            return mt_fail(MT_RUNTIME, "kernel size should be greater than zero, but got %s",
                           by_axis(names, sizeof names, "kernel", weight->sizes + 2, dims));
        if (transposed && extra[d] >= c->stride[d] && extra[d] >= c->dilation[d]) {
            char strides[128], dilations[128];
            return mt_fail(MT_RUNTIME,
                           "output padding must be smaller than either stride or dilation, but got %s %s %s",
                           by_axis(names, sizeof names, "output_padding", extra, dims),
                           by_axis(strides, sizeof strides, "stride", c->stride, dims),
                           by_axis(dilations, sizeof dilations, "dilation", c->dilation, dims));
        }
    }
    if (transposed && weight->sizes[1] == 0)
        return mt_fail(MT_RUNTIME, "non-empty 2D or %dD weight tensor expected, but got: %s",
                       dims == 3 ? 5 : 4, mt_shape_str(weight));
    if (input->ndim != weight->ndim)
        return mt_fail(MT_RUNTIME,
                       "Expected %dD (unbatched) or %dD (batched) input to conv%s%dd, but got input of "
                       "size: %s",
                       dims + 1, dims + 2, transposed ? "_transpose" : "", dims, mt_shape_str(input));
    if (weight->sizes[0] < groups)
        return mt_fail(MT_RUNTIME,
                       "Given groups=%lld, expected weight to be at least %lld at dimension 0, but got "
                       "weight of size %s instead",
                       (long long)groups, (long long)groups, mt_shape_str(weight));
    if (weight->sizes[0] % groups)
        return mt_fail(MT_RUNTIME,
                       "Given groups=%lld, expected weight to be divisible by %lld at dimension 0, but "
                       "got weight of size %s instead",
                       (long long)groups, (long long)groups, mt_shape_str(weight));
    int64_t channels = transposed ? weight->sizes[0] : weight->sizes[1] * groups;
    if (input->sizes[1] != channels)
        return mt_fail(MT_RUNTIME,
                       "Given %s=%lld, weight of size %s, expected input%s to have %lld channels, but "
                       "got %lld channels instead",
                       transposed ? "transposed" : "groups", transposed ? 1 : (long long)groups,
                       mt_shape_str(weight), mt_shape_str(input), (long long)channels,
                       (long long)input->sizes[1]);
    int64_t results = transposed ? weight->sizes[1] * groups : weight->sizes[0];
    if (bias && (bias->ndim != 1 || bias->sizes[0] != results))
        return mt_fail(MT_RUNTIME,
                       "Given %sweight of size %s, expected bias to be 1-dimensional with %lld "
                       "elements, but got bias of size %s instead",
                       transposed ? "transposed=1, " : "", mt_shape_str(weight), (long long)results,
                       mt_shape_str(bias));
    if (input->dtype != weight->dtype)
        return mt_fail(MT_RUNTIME, "Input type (%s) and weight type (torch.%sTensor) should be the same",
                       mt_c_name((mt_dtype)input->dtype), mt_dtypes[weight->dtype].scalar_name);
    if (bias && input->dtype != bias->dtype)
        return mt_fail(MT_RUNTIME, "Input type (%s) and bias type (%s) should be the same",
                       mt_c_name((mt_dtype)input->dtype), mt_c_name((mt_dtype)bias->dtype));
    c->batch = input->sizes[0];
    p->ndim = dims + 2;
    p->sizes[0] = c->batch;
    p->sizes[1] = results;
    /* in kernels, "in" is the side that a forward convolution reads */
    c->in_channels = transposed ? results : channels;
    c->out_channels = transposed ? channels : results;
    for (int d = 0; d < dims; d++) {
        c->kernel[d] = weight->sizes[d + 2];
        int64_t span = c->dilation[d] * (c->kernel[d] - 1) + 1, n = input->sizes[d + 2], m;
        if (transposed) {
            m = (n - 1) * c->stride[d] - 2 * c->padding[d] + span + extra[d];
            c->in[d] = m;
            c->out[d] = n;
            if (m < 0 || extra[d] < 0)
                return mt_fail(MT_RUNTIME, "Given input size per channel: %s. Calculated output size per "
                                           "channel is too small",
                               mt_str_ints(input->sizes + 2, dims));
        } else {
            if (n + 2 * c->padding[d] < span) {
                int64_t padded[3], spans[3];
                for (int e = 0; e < dims; e++) {
                    padded[e] = input->sizes[e + 2] + 2 * c->padding[e];
                    spans[e] = c->dilation[e] * (weight->sizes[e + 2] - 1) + 1;
                }
                const char *pt = mt_str_ints(padded, dims), *st = mt_str_ints(spans, dims);
                char a[64] = "", b[64] = "";
                size_t la = 0, lb = 0;
                for (int e = 0; e < dims; e++) {
                    la += (size_t)snprintf(a + la, sizeof a - la, e ? " x %lld" : "%lld", (long long)padded[e]);
                    lb += (size_t)snprintf(b + lb, sizeof b - lb, e ? " x %lld" : "%lld", (long long)spans[e]);
                }
                (void)pt;
                (void)st;
                return mt_fail(MT_RUNTIME,
                               "Calculated padded input size per channel: (%s). Kernel size: (%s). Kernel "
                               "size can't be greater than actual input size",
                               a, b);
            }
            m = (n + 2 * c->padding[d] - span) / c->stride[d] + 1;
            c->in[d] = n;
            c->out[d] = m;
        }
        p->sizes[d + 2] = m;
    }
    return 0;
}

#define PLAN(p, bias)                                                                              \
    make_plan(p, input, weight, bias, stride, stride_n, padding, padding_n, dilation, dilation_n,  \
              transposed, output_padding, output_padding_n, groups)

int
convolution_meta(mt_call *call, mt_tensor *input, mt_tensor *weight, mt_tensor *bias,
                 const int64_t *stride, int64_t stride_n, const int64_t *padding,
                 int64_t padding_n, const int64_t *dilation, int64_t dilation_n, bool transposed,
                 const int64_t *output_padding, int64_t output_padding_n, int64_t groups)
{
    plan p;
    if (PLAN(&p, bias) < 0)
        return -1;
    bool weighty = mt_suggest_format(input) == MT_CONTIGUOUS; /* either one asks for channels_last */
    return mt_set_output_format(call, 0, p.ndim, p.sizes, (mt_dtype)input->dtype,
                                weighty && weight->ndim == p.ndim ? weight : input);
}

/* Complex convolution by real ones would go here; the kernels take real dtypes. */
int
convolution_impl(mt_call *call, mt_tensor *input, mt_tensor *weight, mt_tensor *bias,
                 const int64_t *stride, int64_t stride_n, const int64_t *padding,
                 int64_t padding_n, const int64_t *dilation, int64_t dilation_n, bool transposed,
                 const int64_t *output_padding, int64_t output_padding_n, int64_t groups)
{
    plan p;
    mt_tensor *out = mt_out(call, 0);
    if (PLAN(&p, bias) < 0)
        return -1;
    if (out->numel == 0)
        return 0;
    mt_tensor *x = mt_contiguous_data(input, false), *w = x ? mt_contiguous_data(weight, false) : NULL;
    mt_tensor *b = w && bias ? mt_contiguous_data(bias, false) : NULL;
    int rc = -1;
    if (w && (b || !bias)) {
        if (transposed)
            rc = mt_conv_grad_input((mt_dtype)out->dtype, &p.c, mt_data(x), mt_data(w),
                                    b ? mt_data(b) : NULL, mt_data(out));
        else
            rc = mt_conv_forward((mt_dtype)out->dtype, &p.c, mt_data(x), mt_data(w),
                                 b ? mt_data(b) : NULL, mt_data(out));
    }
    mt_xrelease(x);
    mt_xrelease(w);
    mt_xrelease(b);
    return rc;
}

int
op_convolution_backward(mt_tensor *grad_output, mt_tensor *input, mt_tensor *weight,
                        const int64_t *bias_sizes, int64_t bias_sizes_n, const int64_t *stride,
                        int64_t stride_n, const int64_t *padding, int64_t padding_n,
                        const int64_t *dilation, int64_t dilation_n, bool transposed,
                        const int64_t *output_padding, int64_t output_padding_n, int64_t groups,
                        const int64_t *output_mask, int64_t output_mask_n, mt_tensor **ret0,
                        mt_tensor **ret1, mt_tensor **ret2)
{
    (void)output_mask_n;
    (void)bias_sizes;
    (void)bias_sizes_n;
    plan p;
    if (PLAN(&p, NULL) < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)input->dtype;
    mt_tensor *g = mt_contiguous_data(grad_output, false), *x = NULL, *w = NULL;
    int rc = g ? 0 : -1;
    bool meta = mt_is_meta(input);
    if (rc == 0 && output_mask[0]) {
        *ret0 = mt_empty(input->ndim, input->sizes, NULL, dtype, input->device);
        w = mt_contiguous_data(weight, false);
        rc = *ret0 && w ? 0 : -1;
        if (rc == 0 && !meta && (*ret0)->numel) {
            if (g->numel == 0)
                rc = mt_fill_data(*ret0, mt_v_int(0));
            else if (transposed)
                rc = mt_conv_forward(dtype, &p.c, mt_data(g), mt_data(w), NULL, mt_data(*ret0));
            else
                rc = mt_conv_grad_input(dtype, &p.c, mt_data(g), mt_data(w), NULL, mt_data(*ret0));
        }
    }
    if (rc == 0 && output_mask[1]) {
        *ret1 = mt_empty(weight->ndim, weight->sizes, NULL, dtype, input->device);
        x = mt_contiguous_data(input, false);
        rc = *ret1 && x ? 0 : -1;
        if (rc == 0 && !meta && (*ret1)->numel) {
            if (g->numel == 0 || x->numel == 0)
                rc = mt_fill_data(*ret1, mt_v_int(0));
            else if (transposed)
                rc = mt_conv_grad_weight(dtype, &p.c, mt_data(g), mt_data(x), mt_data(*ret1));
            else
                rc = mt_conv_grad_weight(dtype, &p.c, mt_data(x), mt_data(g), mt_data(*ret1));
        }
    }
    if (rc == 0 && output_mask[2]) {
        int64_t channels = p.sizes[1], count = 1;
        for (int d = 2; d < p.ndim; d++)
            count *= p.sizes[d];
        *ret2 = mt_empty(1, &channels, NULL, dtype, input->device);
        rc = *ret2 ? 0 : -1;
        if (rc == 0 && !meta)
            rc = g->numel ? mt_conv_grad_bias(dtype, p.sizes[0], channels, count, mt_data(g), mt_data(*ret2))
                          : mt_fill_data(*ret2, mt_v_int(0));
    }
    mt_xrelease(g);
    mt_xrelease(x);
    mt_xrelease(w);
    if (rc < 0) {
        mt_xrelease(*ret0);
        mt_xrelease(*ret1);
        mt_xrelease(*ret2);
        *ret0 = *ret1 = *ret2 = NULL;
    }
    return rc;
}

/* ---- double backward ---------------------------------------------------------------------- */

/* sum += value (consumed), either may be NULL. */
static int
gather(mt_tensor **sum, mt_tensor *value)
{
    if (!value)
        return -1;
    if (!*sum) {
        *sum = value;
        return 0;
    }
    mt_tensor *t = aten_add_Tensor(*sum, value, mt_v_int(1));
    mt_release(value);
    mt_release(*sum);
    *sum = t;
    return t ? 0 : -1;
}

/* The gradient of (gI, gW, gb) = backward(gO, input, weight): each of the three inner functions is
 * linear in each of its arguments, so the parts are convolutions again:
 *   d gO     = conv(ggI, weight) + conv(input, ggW) + ggb
 *   d input  = grad_input(gO, ggW),   d weight = grad_weight(gO, ggI). */
int
mth_convolution_double_backward(mt_tensor *ggI, mt_tensor *ggW, mt_tensor *ggb, mt_tensor *gO,
                                mt_tensor *input, mt_tensor *weight, const int64_t *stride,
                                int64_t stride_n, const int64_t *padding, int64_t padding_n,
                                const int64_t *dilation, int64_t dilation_n, bool transposed,
                                const int64_t *output_padding, int64_t output_padding_n,
                                int64_t groups, const int64_t *output_mask, int64_t output_mask_n,
                                mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    (void)output_mask_n;
    int rc = 0;
    if (output_mask[0]) {
        if (ggI)
            rc = gather(ret0, aten_convolution(ggI, weight, NULL, stride, stride_n, padding, padding_n,
                                               dilation, dilation_n, transposed, output_padding,
                                               output_padding_n, groups));
        if (rc == 0 && ggW)
            rc = gather(ret0, aten_convolution(input, ggW, NULL, stride, stride_n, padding, padding_n,
                                               dilation, dilation_n, transposed, output_padding,
                                               output_padding_n, groups));
        if (rc == 0 && ggb) {
            int64_t shape[5] = {1, ggb->sizes[0], 1, 1, 1};
            mt_tensor *view = aten_reshape(ggb, shape, gO->ndim);
            rc = gather(ret0, view ? aten_expand(view, gO->sizes, gO->ndim, false) : NULL);
            mt_xrelease(view);
        }
    }
    if (rc == 0 && output_mask[1] && ggW) {
        int64_t mask[3] = {1, 0, 0};
        mt_tensor *b = NULL, *c = NULL;
        rc = aten_convolution_backward(gO, input, ggW, NULL, 0, stride, stride_n, padding, padding_n,
                                       dilation, dilation_n, transposed, output_padding,
                                       output_padding_n, groups, mask, 3, ret1, &b, &c);
    }
    if (rc == 0 && output_mask[2] && ggI) {
        int64_t mask[3] = {0, 1, 0};
        mt_tensor *a = NULL, *c = NULL;
        rc = aten_convolution_backward(gO, ggI, weight, NULL, 0, stride, stride_n, padding, padding_n,
                                       dilation, dilation_n, transposed, output_padding,
                                       output_padding_n, groups, mask, 3, &a, ret2, &c);
    }
    return rc;
}

/* ---- conv1d and relatives ----------------------------------------------------------------- */

/* Adds the batch dimension where the input has none. */
static mt_tensor *
convolve(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, const int64_t *stride,
         int64_t stride_n, const int64_t *padding, int64_t padding_n, const int64_t *dilation,
         int64_t dilation_n, bool transposed, const int64_t *extra, int64_t extra_n, int64_t groups,
         int dims)
{
    if (weight->ndim != dims + 2 && weight->ndim != input->ndim)
        return mt_fail_null(MT_RUNTIME, "Expected %d-dimensional weight for conv%dd, but got %s",
                            dims + 2, dims, mt_shape_str(weight));
    if (input->ndim != dims + 1 && input->ndim != dims + 2)
        return mt_fail_null(MT_RUNTIME,
                            "Expected %dD (unbatched) or %dD (batched) input to conv%s%dd, but got "
                            "input of size: %s",
                            dims + 1, dims + 2, transposed ? "_transpose" : "", dims,
                            mt_shape_str(input));
    bool single = input->ndim == dims + 1;
    mt_tensor *x = single ? aten_unsqueeze(input, 0) : mt_keep(input);
    mt_tensor *r = x ? aten_convolution(x, weight, bias, stride, stride_n, padding, padding_n,
                                        dilation, dilation_n, transposed, extra, extra_n, groups)
                     : NULL;
    mt_xrelease(x);
    if (r && single) {
        mt_tensor *s = aten_squeeze_dim(r, 0);
        mt_release(r);
        r = s;
    }
    return r;
}

/* padding='same' or 'valid'. */
static mt_tensor *
convolve_named(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, const int64_t *stride,
               int64_t stride_n, const char *padding, const int64_t *dilation, int64_t dilation_n,
               int64_t groups, int dims)
{
    int64_t zero[3] = {0, 0, 0}, even[3] = {0, 0, 0}, more[6] = {0};
    bool uneven = false;
    if (!strcmp(padding, "same")) {
        for (int d = 0; d < dims; d++) {
            if (stride[stride_n == 1 ? 0 : d] != 1)
                return mt_fail_null(MT_RUNTIME, "padding='same' is not supported for strided convolutions");
            int64_t total = dilation[dilation_n == 1 ? 0 : d] * (weight->sizes[d + 2] - 1);
            even[d] = total / 2;
            if (total % 2) {
                more[2 * (dims - 1 - d) + 1] = 1;
                uneven = true;
            }
        }
    } else if (strcmp(padding, "valid"))
        return mt_fail_null(MT_RUNTIME, "Invalid padding string: '%s'", padding);
    if (!uneven)
        return convolve(input, weight, bias, stride, stride_n, even, dims, dilation, dilation_n, false,
                        zero, dims, groups, dims);
    mt_tensor *padded = aten_constant_pad_nd(input, more, 2 * dims, mt_v_int(0));
    mt_tensor *r = padded ? convolve(padded, weight, bias, stride, stride_n, even, dims, dilation,
                                     dilation_n, false, zero, dims, groups, dims)
                          : NULL;
    mt_xrelease(padded);
    return r;
}

#define CONVOLUTIONS(N, TRANSPOSED)                                                                \
    mt_tensor *op_conv##N##d(mt_tensor *input, mt_tensor *weight, mt_tensor *bias,                 \
                             const int64_t *stride, int64_t sn, const int64_t *padding, int64_t pn, \
                             const int64_t *dilation, int64_t dn, int64_t groups)                  \
    {                                                                                              \
        int64_t zero[3] = {0, 0, 0};                                                               \
        return convolve(input, weight, bias, stride, sn, padding, pn, dilation, dn, false, zero, N, \
                        groups, N);                                                                \
    }                                                                                              \
    mt_tensor *op_conv##N##d_padding(mt_tensor *input, mt_tensor *weight, mt_tensor *bias,         \
                                     const int64_t *stride, int64_t sn, const char *padding,       \
                                     const int64_t *dilation, int64_t dn, int64_t groups)          \
    {                                                                                              \
        return convolve_named(input, weight, bias, stride, sn, padding, dilation, dn, groups, N);  \
    }                                                                                              \
    mt_tensor *op_##TRANSPOSED(mt_tensor *input, mt_tensor *weight, mt_tensor *bias,               \
                               const int64_t *stride, int64_t sn, const int64_t *padding,          \
                               int64_t pn, const int64_t *extra, int64_t en, int64_t groups,       \
                               const int64_t *dilation, int64_t dn)                                \
    {                                                                                              \
        return convolve(input, weight, bias, stride, sn, padding, pn, dilation, dn, true, extra,   \
                        en, groups, N);                                                            \
    }
CONVOLUTIONS(1, conv_transpose1d)
CONVOLUTIONS(2, conv_transpose2d_input)
CONVOLUTIONS(3, conv_transpose3d_input)
