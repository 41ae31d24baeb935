/* Bags of embedding rows, and other functions of class indices. */
#include <math.h>

#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

enum { SUM, MEAN, MAX };

static mt_tensor *
converted(const mt_tensor *t, mt_dtype dtype)
{
    mt_tensor *r = mt_empty(t->ndim, t->sizes, NULL, dtype, MT_CPU_DEVICE);
    if (r && mt_copy_data(r, t) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

static bool
is_index(const mt_tensor *t)
{
    return t->dtype == MT_INT64 || t->dtype == MT_INT32;
}

static int
check_bags(const mt_tensor *weight, const mt_tensor *indices, const mt_tensor *offsets, int64_t mode,
           bool sparse, const mt_tensor *weights)
{
    if (!is_index(indices) || !is_index(offsets))
        return mt_fail(MT_RUNTIME,
                       "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
                       "Long, Int; but got torch.%sTensor instead (while checking arguments for "
                       "embedding_bag)",
                       mt_dtypes[(is_index(indices) ? offsets : indices)->dtype].scalar_name);
    if (sparse)
        return mt_fail(MT_NOT_IMPLEMENTED, "embedding_bag: sparse=True is not built");
    if (weight->ndim != 2)
        return mt_fail(MT_RUNTIME, "'weight' must be 2-D");
    if (indices->ndim != 1 || offsets->ndim != 1)
        return mt_fail(MT_RUNTIME, "input has to be a 1D or 2D Tensor");
    if (!mt_is_floating((mt_dtype)weight->dtype))
        return mt_fail(MT_RUNTIME, "expected scalar type Float but found %s", mt_dtypes[weight->dtype].scalar_name);
    if (weights && mode != SUM)
        return mt_fail(MT_RUNTIME, "embedding_bag: per_sample_weights only supported with mode='sum'");
    if (weights && (weights->ndim != 1 || weights->numel != indices->numel))
        return mt_fail(MT_RUNTIME, "expected per_sample_weights to have the same shape as indices");
    return 0;
}

int
op__embedding_bag(mt_tensor *weight, mt_tensor *indices, mt_tensor *offsets, bool scale_grad_by_freq,
                  int64_t mode, bool sparse, mt_tensor *per_sample_weights, bool include_last_offset,
                  int64_t padding_idx, mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2,
                  mt_tensor **ret3)
{
    (void)scale_grad_by_freq;
    if (check_bags(weight, indices, offsets, mode, sparse, per_sample_weights) < 0)
        return -1;
    int64_t n = indices->numel, bags = offsets->numel - (include_last_offset ? 1 : 0), width = weight->sizes[1];
    int64_t rows = weight->sizes[0], sizes[2] = {bags, width};
    mt_dtype index = (mt_dtype)indices->dtype;
    mt_tensor *at = converted(indices, MT_INT64), *from = at ? converted(offsets, MT_INT64) : NULL, *w = NULL;
    mt_tensor *values = NULL, *out = NULL, *bag = NULL, *count = NULL, *best = NULL, *scale = NULL;
    int rc = -1;
    if (!from)
        goto done;
    int64_t *i = mt_data(at), *o = mt_data(from);
    if (padding_idx < 0 && padding_idx != -1)
        padding_idx += rows;
    if (offsets->numel > 0 && o[0] != 0) {
        mt_fail(MT_RUNTIME, "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                            "from position 0. However, got %lld",
                (long long)o[0]);
        goto done;
    }
    if (offsets->numel > 0 && o[offsets->numel - 1] > n) {
        mt_fail(MT_RUNTIME, "offsets[-1] can not be greater than input's length %lld but got offsets[-1] of %lld",
                (long long)n, (long long)o[offsets->numel - 1]);
        goto done;
    }
    for (int64_t k = 0; k < n; k++)
        if (i[k] < 0 || i[k] >= rows) {
            mt_fail(MT_RUNTIME, "embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be %lld",
                    (long long)i[k]);
            goto done;
        }
    mt_tensor *gathered = aten_index_select(weight, 0, at);
    values = gathered ? converted(gathered, MT_FLOAT64) : NULL;
    mt_xrelease(gathered);
    w = per_sample_weights ? converted(per_sample_weights, MT_FLOAT64) : NULL;
    if (!values || (per_sample_weights && !w) || !(out = mt_empty(2, sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE)) ||
        !(bag = mt_empty(1, &n, NULL, MT_INT64, MT_CPU_DEVICE)) ||
        !(count = mt_empty(1, &bags, NULL, MT_INT64, MT_CPU_DEVICE)) ||
        !(best = mt_empty(2, sizes, NULL, MT_INT64, MT_CPU_DEVICE)) || mt_fill_data(out, mt_v_int(0)) < 0 ||
        mt_fill_data(count, mt_v_int(0)) < 0 || mt_fill_data(best, mt_v_int(mode == MAX ? -1 : 0)) < 0)
        goto done;
    double *y = mt_data(out);
    const double *x = mt_data(values), *f = w ? mt_data(w) : NULL;
    int64_t *b = mt_data(bag), *c = mt_data(count), *m = mt_data(best);
    for (int64_t s = 0; s < bags; s++) {
        int64_t end = s + 1 < offsets->numel ? o[s + 1] : n;
        for (int64_t k = o[s]; k < end; k++) {
            b[k] = s;
            if (i[k] == padding_idx)
                continue;
            for (int64_t d = 0; d < width; d++) {
                double v = x[k * width + d] * (f ? f[k] : 1);
                if (mode != MAX)
                    y[s * width + d] += v;
                else if (c[s] == 0 || v > y[s * width + d]) {
                    y[s * width + d] = v;
                    m[s * width + d] = i[k];
                }
            }
            c[s]++;
        }
        for (int64_t d = 0; d < width && mode == MEAN && c[s]; d++)
            y[s * width + d] /= (double)c[s];
    }
    *ret0 = aten_to_dtype(out, (mt_dtype)weight->dtype, false, false, MT_FORMAT_NONE);
    *ret1 = *ret0 ? aten_to_dtype(bag, index, false, false, MT_FORMAT_NONE) : NULL;
    *ret2 = *ret1 ? aten_to_dtype(count, index, false, false, MT_FORMAT_NONE) : NULL;
    *ret3 = *ret2 ? aten_to_dtype(best, index, false, false, MT_FORMAT_NONE) : NULL;
    rc = *ret3 ? 0 : -1;
done:;
    mt_tensor *made[] = {at, from, w, values, out, bag, count, best, scale};
    for (size_t k = 0; k < MT_COUNT(made); k++)
        mt_xrelease(made[k]);
    return rc;
}

mt_tensor *
op__embedding_bag_backward(mt_tensor *grad, mt_tensor *indices, mt_tensor *offsets, mt_tensor *offset2bag,
                           mt_tensor *bag_size, mt_tensor *maximum_indices, int64_t num_weights,
                           bool scale_grad_by_freq, int64_t mode, bool sparse, mt_tensor *per_sample_weights,
                           int64_t padding_idx)
{
    (void)offsets;
    (void)sparse;
    int64_t n = indices->numel, width = grad->sizes[1], sizes[2] = {num_weights, width};
    mt_tensor *g = converted(grad, MT_FLOAT64), *at = converted(indices, MT_INT64), *bag = converted(offset2bag, MT_INT64);
    mt_tensor *count = converted(bag_size, MT_INT64), *best = converted(maximum_indices, MT_INT64), *r = NULL;
    mt_tensor *w = per_sample_weights ? converted(per_sample_weights, MT_FLOAT64) : NULL, *seen = NULL;
    mt_tensor *out = mt_empty(2, sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE);
    if (!g || !at || !bag || !count || !best || (per_sample_weights && !w) || !out ||
        !(seen = mt_empty(1, &num_weights, NULL, MT_INT64, MT_CPU_DEVICE)) || mt_fill_data(out, mt_v_int(0)) < 0 ||
        mt_fill_data(seen, mt_v_int(0)) < 0)
        goto done;
    double *y = mt_data(out);
    const double *x = mt_data(g), *f = w ? mt_data(w) : NULL;
    const int64_t *i = mt_data(at), *b = mt_data(bag), *c = mt_data(count), *m = mt_data(best);
    int64_t *often = mt_data(seen);
    if (mode == MAX) {
        for (int64_t k = 0; k < grad->numel; k++)
            if (m[k] >= 0 && c[k / width] > 0)
                y[m[k] * width + k % width] += x[k];
    } else {
        for (int64_t k = 0; k < n; k++)
            often[i[k]]++;
        for (int64_t k = 0; k < n; k++) {
            if (i[k] == padding_idx)
                continue;
            double by = f ? f[k] : 1;
            if (mode == MEAN && c[b[k]])
                by /= (double)c[b[k]];
            if (scale_grad_by_freq)
                by /= (double)often[i[k]];
            for (int64_t d = 0; d < width; d++)
                y[i[k] * width + d] += by * x[b[k] * width + d];
        }
    }
    r = aten_to_dtype(out, (mt_dtype)grad->dtype, false, false, MT_FORMAT_NONE);
done:;
    mt_tensor *made[] = {g, at, bag, count, best, w, seen, out};
    for (size_t k = 0; k < MT_COUNT(made); k++)
        mt_xrelease(made[k]);
    return r;
}

mt_tensor *
op__embedding_bag_per_sample_weights_backward(mt_tensor *grad, mt_tensor *weight, mt_tensor *indices,
                                              mt_tensor *offsets, mt_tensor *offset2bag, int64_t mode,
                                              int64_t padding_idx)
{
    (void)offsets;
    if (mode != SUM)
        return mt_fail_null(MT_RUNTIME, "embedding_bag_backward: per_sample_weights only supported for mode='sum'");
    mt_tensor *rows = aten_index_select(weight, 0, indices), *bags = rows ? aten_index_select(grad, 0, offset2bag) : NULL;
    mt_tensor *product = bags ? aten_mul_Tensor(rows, bags) : NULL, *pad = NULL, *is = NULL, *r = NULL;
    int64_t last = 1;
    mt_tensor *sum = product ? aten_sum_dim_IntList(product, &last, 1, false, MT_DTYPE_NONE) : NULL;
    if (sum && padding_idx >= 0) {
        pad = mt_wrap_scalar(mt_v_int(padding_idx));
        is = pad ? aten_eq_Tensor(indices, pad) : NULL;
        r = is ? aten_masked_fill_Scalar(sum, is, mt_v_int(0)) : NULL;
    } else
        r = sum ? mt_keep(sum) : NULL;
    mt_tensor *made[] = {rows, bags, product, sum, pad, is};
    for (size_t k = 0; k < MT_COUNT(made); k++)
        mt_xrelease(made[k]);
    return r;
}

int
op_embedding_bag_padding_idx(mt_tensor *weight, mt_tensor *indices, mt_tensor *offsets,
                             bool scale_grad_by_freq, int64_t mode, bool sparse,
                             mt_tensor *per_sample_weights, bool include_last_offset,
                             mt_value padding_idx, mt_tensor **ret0, mt_tensor **ret1,
                             mt_tensor **ret2, mt_tensor **ret3)
{
    int64_t rows = weight->sizes[0], pad = -1;
    if (!mt_is_none(padding_idx)) {
        pad = padding_idx.u.i;
        if (pad < -rows || pad >= rows)
            return mt_fail(MT_RUNTIME, "padding_idx must be within the number of embeddings, -%lld through %lld, but got %lld",
                           (long long)rows, (long long)rows - 1, (long long)pad);
        pad += pad < 0 ? rows : 0;
    }
    return aten__embedding_bag(weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights,
                               include_last_offset, pad, ret0, ret1, ret2, ret3);
}

/* Each row that is used once, whatever the number of its uses. */
int
op_embedding_renorm_(mt_tensor *self, mt_tensor *indices, double max_norm, double norm_type)
{
    if (self->ndim != 2)
        return mt_fail(MT_RUNTIME, "Expected 2-dimensional tensor, but got %d-dimensional tensor for argument #1 "
                                   "'self' (while checking arguments for embedding_renorm_)",
                       self->ndim);
    mt_tensor *at = converted(indices, MT_INT64), *done = NULL;
    int64_t rows = self->sizes[0];
    int rc = at && (done = mt_empty(1, &rows, NULL, MT_BOOL, MT_CPU_DEVICE)) ? mt_fill_data(done, mt_v_int(0)) : -1;
    for (int64_t k = 0; rc == 0 && k < at->numel; k++) {
        int64_t i = ((const int64_t *)mt_data(at))[k], width = self->sizes[1];
        if (i < 0 || i >= rows) {
            rc = mt_fail(MT_INDEX, "index out of range in self");
            break;
        }
        uint8_t *seen = (uint8_t *)mt_data(done) + i;
        if (*seen)
            continue;
        *seen = 1;
        mt_tensor *row = mt_alias(self, self->offset + i * self->strides[0], 1, &width, &self->strides[1]);
        mt_tensor *wide = row ? converted(row, MT_FLOAT64) : NULL;
        double norm = 0, *x = wide ? mt_data(wide) : NULL;
        for (int64_t d = 0; x && d < width; d++) {
            double v = fabs(x[d]);
            norm = norm_type == INFINITY ? fmax(norm, v) : norm + (norm_type == 2 ? v * v : pow(v, norm_type));
        }
        norm = norm_type == INFINITY ? norm : norm_type == 2 ? sqrt(norm) : pow(norm, 1 / norm_type);
        for (int64_t d = 0; x && norm > max_norm && d < width; d++)
            x[d] *= max_norm / (norm + 1e-7);
        rc = wide ? (norm > max_norm ? mt_copy_data(row, wide) : 0) : -1;
        mt_xrelease(row);
        mt_xrelease(wide);
    }
    mt_xrelease(at);
    mt_xrelease(done);
    return rc;
}

/* ---- classes as vectors ------------------------------------------------------------------- */

mt_tensor *
op_one_hot(mt_tensor *self, int64_t num_classes)
{
    if (self->dtype != MT_INT64)
        return mt_fail_null(MT_RUNTIME, "one_hot is only applicable to index tensor of type LongTensor.");
    int64_t sizes[MT_MAX_DIMS + 1];
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    if (self->numel == 0 && num_classes <= 0)
        return mt_fail_null(MT_RUNTIME, "Can not infer total number of classes from empty tensor.");
    mt_tensor *at = converted(self, MT_INT64);
    if (!at)
        return NULL;
    const int64_t *i = mt_data(at);
    int64_t low = 0, high = -1;
    for (int64_t k = 0; k < at->numel; k++) {
        low = MT_MIN(low, i[k]);
        high = MT_MAX(high, i[k]);
    }
    mt_tensor *out = NULL;
    if (low < 0)
        mt_fail(MT_RUNTIME, "Class values must be non-negative.");
    else if (num_classes == 0 || num_classes < -1)
        mt_fail(MT_RUNTIME, "num_classes should be positive");
    else if (num_classes != -1 && high >= num_classes)
        mt_fail(MT_RUNTIME, "Class values must be smaller than num_classes.");
    else {
        int64_t n = num_classes == -1 ? high + 1 : num_classes;
        sizes[self->ndim] = n;
        out = mt_empty(self->ndim + 1, sizes, NULL, MT_INT64, self->device);
        if (out && mt_fill_data(out, mt_v_int(0)) == 0)
            for (int64_t k = 0; k < at->numel; k++)
                ((int64_t *)mt_data(out))[k * n + i[k]] = 1;
    }
    mt_release(at);
    return out;
}

/* ---- bilinear forms ----------------------------------------------------------------------- */

mt_tensor *
op_bilinear(mt_tensor *input1, mt_tensor *input2, mt_tensor *weight, mt_tensor *bias)
{
    if (input1->ndim != input2->ndim)
        return mt_fail_null(MT_RUNTIME, "bilinear(): input dimensions do not match: got %d and %d", input1->ndim,
                            input2->ndim);
    for (int d = 0; d < input1->ndim - 1; d++)
        if (input1->sizes[d] != input2->sizes[d])
            return mt_fail_null(MT_RUNTIME, "bilinear(): input batch dimensions do not match at dim %d: got %lld and %lld",
                                d, (long long)input1->sizes[d], (long long)input2->sizes[d]);
    if (weight->ndim != 3)
        return mt_fail_null(MT_RUNTIME, "bilinear(): weight must be 3-D, got %d-D", weight->ndim);
    int64_t a = input1->sizes[input1->ndim - 1], b = input2->sizes[input2->ndim - 1], k = weight->sizes[0];
    if (a != weight->sizes[1])
        return mt_fail_null(MT_RUNTIME, "bilinear(): input1 size does not match weight size: got %lld but expected %lld",
                            (long long)a, (long long)weight->sizes[1]);
    if (b != weight->sizes[2])
        return mt_fail_null(MT_RUNTIME, "bilinear(): input2 size does not match weight size: got %lld but expected %lld",
                            (long long)b, (long long)weight->sizes[2]);
    if (bias && bias->numel != k)
        return mt_fail_null(MT_RUNTIME, "bilinear(): bias size does not match weight size: got %lld but expected %lld",
                            (long long)bias->numel, (long long)k);
    int64_t sizes[MT_MAX_DIMS], order[3] = {1, 0, 2}, flat[2] = {a, k * b}, last = -1, rows = input1->numel / MT_MAX(a, 1);
    int64_t one[2] = {rows, a}, two[3] = {rows, 1, b}, form[3] = {rows, k, b};
    memcpy(sizes, input1->sizes, input1->ndim * sizeof(int64_t));
    sizes[input1->ndim - 1] = k;
    mt_tensor *x = NULL, *y = NULL, *p = NULL, *w = NULL, *t = NULL, *f = NULL, *m = NULL, *s = NULL, *v = NULL, *r = NULL;
    if ((x = aten_reshape(input1, one, 2)) && (y = aten_reshape(input2, two, 3)) && (p = aten_permute(weight, order, 3)) &&
        (w = aten_reshape(p, flat, 2)) && (t = aten_mm(x, w)) && (f = aten_view(t, form, 3)) &&
        (m = aten_mul_Tensor(f, y)) && (s = aten_sum_dim_IntList(m, &last, 1, false, MT_DTYPE_NONE)) &&
        (v = aten_reshape(s, sizes, input1->ndim)))
        r = bias ? aten_add_Tensor(v, bias, mt_v_int(1)) : mt_keep(v);
    mt_tensor *made[] = {x, y, p, w, t, f, m, s, v};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}
