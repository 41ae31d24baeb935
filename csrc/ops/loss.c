/* Losses over class indices, and embedding. */
#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

enum { NONE, MEAN, SUM };

/* ---- nll_loss ----------------------------------------------------------------------------- */

static int
check_nll(const mt_tensor *self, const mt_tensor *target, const mt_tensor *weight)
{
    if (self->ndim < 1 || self->ndim > 2)
        return mt_fail(MT_RUNTIME, "input tensor should be 1D or 2D");
    if (target->ndim > 1)
        return mt_fail(MT_RUNTIME,
                       "0D or 1D target tensor expected, multi-target not supported");
    if (self->ndim == 1 && target->ndim == 1 && target->sizes[0] != 1)
        return mt_fail(MT_RUNTIME, "For 1D input, 1D target must have size 1, but got target size: %lld",
                       (long long)target->sizes[0]);
    if (self->ndim == 2 && target->ndim == 1 && self->sizes[0] != target->sizes[0])
        return mt_fail(MT_RUNTIME, "size mismatch (got input: %s, target: %s)", mt_shape_str(self),
                       mt_shape_str(target));
    int64_t classes = self->sizes[self->ndim - 1];
    if (weight && (weight->ndim != 1 || weight->numel != classes))
        return mt_fail(MT_RUNTIME,
                       "weight tensor should be defined either for all %lld classes or no classes but "
                       "got weight tensor of shape: %s",
                       (long long)classes, mt_shape_str(weight));
    if (target->dtype != MT_INT64 && target->dtype != MT_UINT8)
        return mt_fail(MT_RUNTIME, "expected scalar type Long but found %s",
                       mt_dtypes[target->dtype].scalar_name);
    return 0;
}

int
nll_loss_forward_meta(mt_call *call, mt_tensor *self, mt_tensor *target, mt_tensor *weight,
                      int64_t reduction, int64_t ignore_index)
{
    (void)ignore_index;
    if (check_nll(self, target, weight) < 0)
        return -1;
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"nll_loss_out_frame\" not implemented for '%s'",
                       mt_dtypes[self->dtype].scalar_name);
    bool each = reduction == NONE && self->ndim == 2;
    if (mt_set_output(call, 0, each ? 1 : 0, self->sizes, NULL, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, 0, NULL, NULL, (mt_dtype)self->dtype, self->device);
}

static double
read(const mt_tensor *t, int64_t at)
{
    const char *p = (const char *)mt_data(t) + at * mt_itemsize(t);
    switch (t->dtype) {
    case MT_FLOAT64: return *(const double *)p;
    case MT_FLOAT16: return mt_half_to_float(*(const mt_half *)p);
    case MT_BFLOAT16: return mt_bfloat16_to_float(*(const mt_bfloat16 *)p);
    default: return *(const float *)p;
    }
}

static void
write_to(mt_tensor *t, int64_t at, double v)
{
    char *p = (char *)mt_data(t) + at * mt_itemsize(t);
    switch (t->dtype) {
    case MT_FLOAT64: *(double *)p = v; break;
    case MT_FLOAT16: *(mt_half *)p = mt_float_to_half((float)v); break;
    case MT_BFLOAT16: *(mt_bfloat16 *)p = mt_float_to_bfloat16((float)v); break;
    default: *(float *)p = (float)v; break;
    }
}

/* Class of row i; -1 when ignored, -2 with the error set. */
static int64_t
class_of(const mt_tensor *target, int64_t i, int64_t classes, int64_t ignore_index)
{
    int64_t at = target->ndim ? i * target->strides[0] : 0;
    int64_t t = target->dtype == MT_UINT8 ? ((const uint8_t *)mt_data(target))[at]
                                          : ((const int64_t *)mt_data(target))[at];
    if (t == ignore_index)
        return -1;
    if (t < 0 || t >= classes) {
        mt_fail(MT_INDEX, "Target %lld is out of bounds.", (long long)t);
        return -2;
    }
    return t;
}

int
nll_loss_forward_impl(mt_call *call, mt_tensor *self, mt_tensor *target, mt_tensor *weight,
                      int64_t reduction, int64_t ignore_index)
{
    mt_tensor *out = mt_out(call, 0), *total = mt_out(call, 1);
    int64_t rows = self->ndim == 2 ? self->sizes[0] : 1, classes = self->sizes[self->ndim - 1];
    int64_t rs = self->ndim == 2 ? self->strides[0] : 0, cs = self->strides[self->ndim - 1];
    bool each = reduction == NONE && self->ndim == 2;
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t c = class_of(target, i, classes, ignore_index);
        if (c == -2)
            return -1;
        double w = c < 0 ? 0 : weight ? read(weight, c * weight->strides[0]) : 1;
        double loss = c < 0 ? 0 : -w * read(self, i * rs + c * cs);
        if (each)
            write_to(out, i * (out->ndim ? out->strides[0] : 0), loss);
        sum += loss;
        weights += w;
    }
    if (!each)
        write_to(out, 0, reduction == MEAN ? sum / weights : sum);
    write_to(total, 0, each ? 0 : weights);
    return 0;
}

int
nll_loss_backward_meta(mt_call *call, mt_tensor *grad_output, mt_tensor *self, mt_tensor *target,
                       mt_tensor *weight, int64_t reduction, int64_t ignore_index,
                       mt_tensor *total_weight)
{
    (void)grad_output;
    (void)reduction;
    (void)ignore_index;
    (void)total_weight;
    if (check_nll(self, target, weight) < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
nll_loss_backward_impl(mt_call *call, mt_tensor *grad_output, mt_tensor *self, mt_tensor *target,
                       mt_tensor *weight, int64_t reduction, int64_t ignore_index,
                       mt_tensor *total_weight)
{
    mt_tensor *out = mt_out(call, 0);
    if (mt_fill_data(out, mt_v_int(0)) < 0)
        return -1;
    int64_t rows = self->ndim == 2 ? self->sizes[0] : 1, classes = self->sizes[self->ndim - 1];
    bool each = reduction == NONE && self->ndim == 2;
    double scale = reduction == MEAN ? 1 / read(total_weight, 0) : 1;
    for (int64_t i = 0; i < rows; i++) {
        int64_t c = class_of(target, i, classes, ignore_index);
        if (c == -2)
            return -1;
        if (c < 0)
            continue;
        double g = each ? read(grad_output, grad_output->ndim ? i * grad_output->strides[0] : 0)
                        : read(grad_output, 0);
        double w = weight ? read(weight, c * weight->strides[0]) : 1;
        write_to(out, (self->ndim == 2 ? i * out->strides[0] : 0) + c * out->strides[out->ndim - 1],
                 -w * g * scale);
    }
    return 0;
}

mt_tensor *
op_nll_loss_nd(mt_tensor *self, mt_tensor *target, mt_tensor *weight, int64_t reduction,
               int64_t ignore_index)
{
    if (self->ndim > 0 && target->ndim > 0 && self->ndim >= 2 && self->sizes[0] != target->sizes[0])
        return mt_fail_null(MT_VALUE, "Expected input batch_size (%lld) to match target batch_size (%lld).",
                            (long long)self->sizes[0], (long long)target->sizes[0]);
    if (self->ndim < 1)
        return mt_fail_null(MT_VALUE, "Expected 1 or more dimensions (got 0)");
    if (self->ndim <= 2)
        return aten_nll_loss(self, target, weight, reduction, ignore_index);
    /* [N, C, d...] as [N * d..., C] */
    int64_t order[MT_MAX_DIMS], n = self->ndim, flat[2] = {-1, self->sizes[1]}, line = -1;
    if (target->ndim != n - 1)
        return mt_fail_null(MT_RUNTIME, "only batches of spatial targets supported (%dD tensors) but got targets of dimension: %d" ,
                            (int)n - 1, target->ndim);
    for (int d = 0; d < n - 1; d++) {
        order[d] = d == 0 ? 0 : d + 1;
        int64_t have = target->sizes[d], want = self->sizes[d == 0 ? 0 : d + 1];
        if (have != want)
            return mt_fail_null(MT_RUNTIME, "size mismatch (got input: %s, target: %s)",
                                mt_shape_str(self), mt_shape_str(target));
    }
    order[n - 1] = 1;
    if (self->numel == 0)
        flat[0] = 0;
    mt_tensor *p = aten_permute(self, order, n), *x = p ? aten_reshape(p, flat, 2) : NULL;
    mt_tensor *t = x ? aten_reshape(target, &line, 1) : NULL;
    mt_tensor *r = t ? aten_nll_loss(x, t, weight, reduction, ignore_index) : NULL;
    if (r && reduction == NONE) {
        mt_tensor *shaped = aten_view(r, target->sizes, target->ndim);
        mt_release(r);
        r = shaped;
    }
    mt_xrelease(p);
    mt_xrelease(x);
    mt_xrelease(t);
    return r;
}

/* ---- embedding ---------------------------------------------------------------------------- */

static int
check_indices(const mt_tensor *indices)
{
    if (indices->dtype != MT_INT64 && indices->dtype != MT_INT32)
        return mt_fail(MT_RUNTIME,
                       "Expected tensor for argument #1 'indices' to have one of the following scalar "
                       "types: Long, Int; but got torch.%sTensor instead (while checking arguments for "
                       "embedding)",
                       mt_dtypes[indices->dtype].scalar_name);
    return 0;
}

/* Indices as packed int64; checked against the number of rows. */
static mt_tensor *
read_indices(mt_tensor *indices, int64_t rows)
{
    mt_tensor *t = mt_empty(indices->ndim, indices->sizes, NULL, MT_INT64, indices->device);
    if (!t || mt_copy_data(t, indices) < 0) {
        mt_xrelease(t);
        return NULL;
    }
    const int64_t *p = mt_data(t);
    for (int64_t i = 0; i < t->numel; i++)
        if (p[i] < 0 || p[i] >= rows) {
            mt_release(t);
            return mt_fail_null(MT_INDEX, "index out of range in self");
        }
    return t;
}

mt_tensor *
op_embedding(mt_tensor *weight, mt_tensor *indices, int64_t padding_idx, bool scale_grad_by_freq,
             bool sparse)
{
    (void)padding_idx;
    (void)scale_grad_by_freq;
    if (sparse)
        return mt_fail_null(MT_NOT_IMPLEMENTED, "embedding: sparse=True is not built");
    if (weight->ndim != 2)
        return mt_fail_null(MT_RUNTIME, "'weight' must be 2-D");
    if (check_indices(indices) < 0)
        return NULL;
    if (weight->sizes[0] == 0 && indices->numel)
        return mt_fail_null(MT_RUNTIME, "index_select(): self indexing axis dim should be positive");
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, indices->sizes, indices->ndim * sizeof(int64_t));
    sizes[indices->ndim] = weight->sizes[1];
    mt_tensor *out = mt_empty(indices->ndim + 1, sizes, NULL, (mt_dtype)weight->dtype, weight->device);
    if (!out || mt_is_meta(weight) || mt_is_meta(indices))
        return out;
    mt_tensor *rows = mt_contiguous_data(weight, false);
    mt_tensor *at = rows ? read_indices(indices, weight->sizes[0]) : NULL;
    if (!at) {
        mt_xrelease(rows);
        mt_release(out);
        return NULL;
    }
    size_t row = (size_t)(weight->sizes[1] * mt_itemsize(weight));
    const int64_t *p = mt_data(at);
    for (int64_t i = 0; i < at->numel; i++)
        memcpy((char *)mt_data(out) + (size_t)i * row, (char *)mt_data(rows) + (size_t)p[i] * row, row);
    mt_release(rows);
    mt_release(at);
    return out;
}

mt_tensor *
op_embedding_dense_backward(mt_tensor *grad_output, mt_tensor *indices, int64_t num_weights,
                            int64_t padding_idx, bool scale_grad_by_freq)
{
    int64_t width = grad_output->ndim ? grad_output->sizes[grad_output->ndim - 1] : 1;
    int64_t sizes[2] = {num_weights, width};
    mt_dtype dtype = (mt_dtype)grad_output->dtype;
    mt_dtype acc = mt_is_half(dtype) ? MT_FLOAT32 : dtype;
    mt_tensor *out = mt_empty(2, sizes, NULL, acc, grad_output->device);
    if (!out || mt_is_meta(grad_output))
        return out;
    mt_tensor *g = mt_empty(grad_output->ndim, grad_output->sizes, NULL, acc, grad_output->device);
    mt_tensor *at = NULL, *counts = NULL, *result = NULL;
    if (!g || mt_copy_data(g, grad_output) < 0 || mt_fill_data(out, mt_v_int(0)) < 0)
        goto done;
    if (!(at = read_indices(indices, num_weights)))
        goto done;
    const int64_t *p = mt_data(at);
    int64_t *seen = NULL;
    if (scale_grad_by_freq) {
        if (!(counts = mt_empty(1, &num_weights, NULL, MT_INT64, MT_CPU_DEVICE)) ||
            mt_fill_data(counts, mt_v_int(0)) < 0)
            goto done;
        seen = mt_data(counts);
        for (int64_t i = 0; i < at->numel; i++)
            seen[p[i]]++;
    }
    for (int64_t i = 0; i < at->numel; i++) {
        if (p[i] == padding_idx)
            continue;
        double scale = seen ? 1.0 / (double)seen[p[i]] : 1.0;
        if (acc == MT_FLOAT64) {
            double *o = (double *)mt_data(out) + p[i] * width;
            const double *x = (const double *)mt_data(g) + i * width;
            for (int64_t k = 0; k < width; k++)
                o[k] += seen ? x[k] * scale : x[k];
        } else if (acc == MT_FLOAT32) {
            float *o = (float *)mt_data(out) + p[i] * width;
            const float *x = (const float *)mt_data(g) + i * width;
            float f = (float)scale;
            for (int64_t k = 0; k < width; k++)
                o[k] += seen ? x[k] * f : x[k];
        } else {
            mt_fail(MT_NOT_IMPLEMENTED, "\"embedding_backward\" not implemented for '%s'",
                    mt_dtypes[dtype].scalar_name);
            goto done;
        }
    }
    if (acc == dtype)
        result = mt_keep(out);
    else if ((result = mt_empty(2, sizes, NULL, dtype, grad_output->device)) &&
             mt_copy_data(result, out) < 0) {
        mt_release(result);
        result = NULL;
    }
done:
    mt_xrelease(g);
    mt_xrelease(at);
    mt_xrelease(counts);
    mt_release(out);
    return result;
}
