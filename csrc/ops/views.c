/* Views: geometry arithmetic on one storage. Each function gives an alias; that it is a view of
 * self is recorded by the layer above. */
#include "base/error.h"
#include "ops_gen.h"

mt_tensor *
op_as_strided(mt_tensor *self, const int64_t *size, int64_t size_n, const int64_t *stride,
              int64_t stride_n, mt_value storage_offset)
{
    int64_t offset = mt_is_none(storage_offset) ? self->offset : storage_offset.u.i;
    if (size_n != stride_n)
        return mt_fail_null(MT_RUNTIME, "mismatch in length of strides and shape");
    if (size_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "as_strided: at most %d dimensions, got %lld", MT_MAX_DIMS,
                            (long long)size_n);
    if (mt_check_bounds(self->storage, (mt_dtype)self->dtype, offset, (int)size_n, size, stride,
                        "") < 0)
        return NULL;
    return mt_alias(self, offset, (int)size_n, size, stride);
}

mt_tensor *
op_view(mt_tensor *self, const int64_t *size, int64_t size_n)
{
    int64_t shape[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    if (size_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "view: at most %d dimensions, got %lld", MT_MAX_DIMS,
                            (long long)size_n);
    if (mt_infer_size(self->numel, (int)size_n, size, shape) < 0)
        return NULL;
    if (!mt_view_strides(self, (int)size_n, shape, strides))
        return mt_fail_null(MT_RUNTIME,
                            "view size is not compatible with input tensor's size and stride (at "
                            "least one dimension spans across two contiguous subspaces). Use "
                            ".reshape(...) instead.");
    return mt_alias(self, self->offset, (int)size_n, shape, strides);
}

mt_tensor *
op__unsafe_view(mt_tensor *self, const int64_t *size, int64_t size_n)
{
    return op_view(self, size, size_n);
}

mt_tensor *
op__reshape_alias(mt_tensor *self, const int64_t *size, int64_t size_n, const int64_t *stride,
                  int64_t stride_n)
{
    (void)stride_n;
    return mt_alias(self, self->offset, (int)size_n, size, stride);
}

mt_tensor *
op_reshape(mt_tensor *self, const int64_t *shape, int64_t shape_n)
{
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    if (shape_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "reshape: at most %d dimensions, got %lld", MT_MAX_DIMS,
                            (long long)shape_n);
    if (mt_infer_size(self->numel, (int)shape_n, shape, sizes) < 0)
        return NULL;
    if (mt_view_strides(self, (int)shape_n, sizes, strides))
        return aten_view(self, sizes, shape_n);
    mt_tensor *copy = aten_clone(self, MT_CONTIGUOUS);
    if (!copy)
        return NULL;
    mt_tensor *view = aten_view(copy, sizes, shape_n);
    mt_release(copy);
    return view;
}

mt_tensor *
op_expand(mt_tensor *self, const int64_t *size, int64_t size_n, bool implicit)
{
    (void)implicit;
    if (size_n < self->ndim)
        return mt_fail_null(MT_RUNTIME,
                            "expand(torch.%sTensor{%s}, size=%s): the number of sizes provided (%lld) "
                            "must be greater or equal to the number of dimensions in the tensor (%d)",
                            mt_dtypes[self->dtype].scalar_name, mt_shape_str(self),
                            mt_str_ints(size, size_n), (long long)size_n, self->ndim);
    if (size_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "expand: at most %d dimensions, got %lld", MT_MAX_DIMS,
                            (long long)size_n);
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    int lead = (int)size_n - self->ndim;
    for (int d = (int)size_n - 1; d >= 0; d--) {
        int own = d - lead;
        int64_t have = own >= 0 ? self->sizes[own] : 1, want = size[d];
        strides[d] = own >= 0 ? self->strides[own]
                     : d + 1 < size_n ? sizes[d + 1] * strides[d + 1]
                                      : 1;
        if (want == -1) {
            if (own < 0)
                return mt_fail_null(MT_RUNTIME,
                                    "The expanded size of the tensor (%lld) isn't allowed in a "
                                    "leading, non-existing dimension %d",
                                    (long long)want, d);
            want = have;
        }
        if (have != want) {
            if (have != 1)
                return mt_fail_null(MT_RUNTIME,
                                    "The expanded size of the tensor (%lld) must match the existing "
                                    "size (%lld) at non-singleton dimension %d.  Target sizes: %s.  "
                                    "Tensor sizes: %s",
                                    (long long)want, (long long)have, d, mt_str_ints(size, size_n),
                                    mt_shape_str(self));
            if (want < 0)
                return mt_fail_null(MT_RUNTIME,
                                    "Trying to create tensor with negative dimension %lld: %s",
                                    (long long)want, mt_str_ints(size, size_n));
            strides[d] = 0;
        }
        sizes[d] = want;
    }
    return mt_alias(self, self->offset, (int)size_n, sizes, strides);
}

mt_tensor *
op_transpose_int(mt_tensor *self, int64_t dim0, int64_t dim1)
{
    int a = mt_wrap_dim(dim0, self->ndim), b = a < 0 ? -1 : mt_wrap_dim(dim1, self->ndim);
    if (a < 0 || b < 0)
        return NULL;
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    memcpy(strides, self->strides, self->ndim * sizeof(int64_t));
    if (self->ndim) {
        sizes[a] = self->sizes[b];
        sizes[b] = self->sizes[a];
        strides[a] = self->strides[b];
        strides[b] = self->strides[a];
    }
    return mt_alias(self, self->offset, self->ndim, sizes, strides);
}

/* Gives self the geometry of a view of it (consumed). */
static int
take_geometry(mt_tensor *self, mt_tensor *view)
{
    if (!view)
        return -1;
    int rc = mt_tensor_set_geometry(self, view->ndim, view->sizes, view->strides);
    self->offset = view->offset;
    mt_release(view);
    return rc;
}

int
op_transpose__int(mt_tensor *self, int64_t dim0, int64_t dim1)
{
    return take_geometry(self, op_transpose_int(self, dim0, dim1));
}

int
op_swap_(mt_tensor *self, int64_t dim0, int64_t dim1)
{
    return aten_transpose__int(self, dim0, dim1);
}

mt_tensor *
op_t(mt_tensor *self)
{
    if (self->ndim > 2)
        return mt_fail_null(MT_RUNTIME, "t() expects a tensor with <= 2 dimensions, but self is %dD",
                            self->ndim);
    return self->ndim < 2 ? mt_alias_same(self) : op_transpose_int(self, 0, 1);
}

int
op_t_(mt_tensor *self)
{
    if (self->ndim > 2)
        return mt_fail(MT_RUNTIME, "t_() expects a tensor with <= 2 dimensions, but self is %dD",
                       self->ndim);
    return take_geometry(self, op_t(self));
}

mt_tensor *
op_permute(mt_tensor *self, const int64_t *dims, int64_t dims_n)
{
    if (dims_n != self->ndim)
        return mt_fail_null(MT_RUNTIME,
                            "permute(): number of dimensions in the tensor input does not "
                            "match the length of the desired ordering of dimensions i.e. "
                            "input.dim() = %d is not equal to len(dims) = %lld",
                            self->ndim, (long long)dims_n);
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    bool seen[MT_MAX_DIMS] = {false};
    for (int d = 0; d < self->ndim; d++) {
        int s = mt_wrap_dim(dims[d], self->ndim);
        if (s < 0)
            return NULL;
        if (seen[s])
            return mt_fail_null(MT_RUNTIME, "permute(): duplicate dims are not allowed.");
        seen[s] = true;
        sizes[d] = self->sizes[s];
        strides[d] = self->strides[s];
    }
    return mt_alias(self, self->offset, self->ndim, sizes, strides);
}

mt_tensor *
mth_permute_backward(mt_tensor *grad, const int64_t *dims, int64_t dims_n)
{
    int64_t inverse[MT_MAX_DIMS];
    for (int64_t d = 0; d < dims_n; d++)
        inverse[dims[d] < 0 ? dims[d] + dims_n : dims[d]] = d;
    return aten_permute(grad, inverse, dims_n);
}

mt_tensor *
op_detach(mt_tensor *self)
{
    mt_tensor *t = mt_alias_same(self);
    if (t && mt_share_version(t, self) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op__conj(mt_tensor *self)
{
    mt_tensor *t = mt_alias_same(self);
    if (t)
        t->keys ^= MT_KEY_BIT(Conjugate);
    return t;
}

mt_tensor *
op__neg_view(mt_tensor *self)
{
    mt_tensor *t = mt_alias_same(self);
    if (t)
        t->keys ^= MT_KEY_BIT(Negative);
    return t;
}

mt_tensor *
op_conj(mt_tensor *self)
{
    return mt_is_complex((mt_dtype)self->dtype) ? aten__conj(self) : mt_keep(self);
}

mt_tensor *
op_view_as_real(mt_tensor *self)
{
    if (!mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "view_as_real is only supported for complex tensors");
    if (mt_is_conj(self))
        return mt_fail_null(MT_RUNTIME,
                            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve "
                            "the conjugate tensor so you can view it as real, use "
                            "self.resolve_conj(); however, be warned that the resulting tensor will "
                            "NOT alias the original.");
    int64_t sizes[MT_MAX_DIMS + 1], strides[MT_MAX_DIMS + 1];
    for (int d = 0; d < self->ndim; d++) {
        sizes[d] = self->sizes[d];
        strides[d] = 2 * self->strides[d];
    }
    sizes[self->ndim] = 2;
    strides[self->ndim] = 1;
    return mt_tensor_on(self->storage, mt_dtypes[self->dtype].to_real, 2 * self->offset,
                        self->ndim + 1, sizes, strides, self->keys & ~MT_KEY_BIT(Python),
                        self->device);
}

mt_tensor *
op_view_as_complex(mt_tensor *self)
{
    if (self->dtype != MT_FLOAT32 && self->dtype != MT_FLOAT64)
        return mt_fail_null(MT_RUNTIME,
                            "view_as_complex is only supported for half, float and double tensors, "
                            "but got a tensor of scalar type: %s",
                            mt_dtypes[self->dtype].scalar_name);
    if (self->ndim == 0)
        return mt_fail_null(MT_RUNTIME, "Input tensor must have one or more dimensions");
    int last = self->ndim - 1;
    if (self->sizes[last] != 2)
        return mt_fail_null(MT_RUNTIME, "Tensor must have a last dimension of size 2");
    if (self->strides[last] != 1)
        return mt_fail_null(MT_RUNTIME, "Tensor must have a last dimension with stride 1");
    int64_t strides[MT_MAX_DIMS];
    for (int d = 0; d < last; d++) {
        if (self->strides[d] % 2)
            return mt_fail_null(MT_RUNTIME, "Tensor must have a stride divisible by 2 for all but "
                                            "last dimension");
        strides[d] = self->strides[d] / 2;
    }
    if (self->offset % 2)
        return mt_fail_null(MT_RUNTIME, "Tensor must have a storage_offset divisible by 2");
    return mt_tensor_on(self->storage, mt_dtypes[self->dtype].to_complex, self->offset / 2, last,
                        self->sizes, strides, self->keys & ~MT_KEY_BIT(Python), self->device);
}

mt_tensor *
op_select_int(mt_tensor *self, int64_t dim, int64_t index)
{
    if (self->ndim == 0)
        return mt_fail_null(MT_INDEX, "select() cannot be applied to a 0-dim tensor.");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    int64_t size = self->sizes[d];
    if (index < -size || index >= size)
        return mt_fail_null(MT_INDEX,
                            "select(): index %lld out of range for tensor of size %s at dimension %d",
                            (long long)index, mt_shape_str(self), d);
    if (index < 0)
        index += size;
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    for (int i = 0, k = 0; i < self->ndim; i++)
        if (i != d) {
            sizes[k] = self->sizes[i];
            strides[k++] = self->strides[i];
        }
    return mt_alias(self, self->offset + index * self->strides[d], self->ndim - 1, sizes, strides);
}

mt_tensor *
op_select_backward(mt_tensor *grad_output, const int64_t *input_sizes, int64_t input_sizes_n,
                   int64_t dim, int64_t index)
{
    mt_tensor *whole = mt_empty((int)input_sizes_n, input_sizes, NULL,
                                (mt_dtype)grad_output->dtype, grad_output->device);
    if (!whole || aten_zero_(whole) < 0)
        goto fail;
    mt_tensor *part = aten_select_int(whole, dim, index);
    if (!part)
        goto fail;
    int rc = aten_copy_(part, grad_output, false);
    mt_release(part);
    if (rc == 0)
        return whole;
fail:
    mt_xrelease(whole);
    return NULL;
}

mt_tensor *
op_slice_Tensor(mt_tensor *self, int64_t dim, mt_value start, mt_value end, int64_t step)
{
    if (self->ndim == 0)
        return mt_fail_null(MT_RUNTIME, "slice() cannot be applied to a 0-dim tensor.");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    if (step <= 0)
        return mt_fail_null(MT_RUNTIME, "slice step must be positive");
    int64_t size = self->sizes[d];
    int64_t from = mt_is_none(start) ? 0 : start.u.i, to = mt_is_none(end) ? size : end.u.i;
    if (from < 0)
        from = from + size < 0 ? 0 : from + size;
    if (to < 0)
        to = to + size < 0 ? 0 : to + size;
    from = MT_MIN(from, size);
    to = MT_MIN(MT_MAX(to, from), size);
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    memcpy(strides, self->strides, self->ndim * sizeof(int64_t));
    sizes[d] = (to - from) / step + ((to - from) % step != 0);
    strides[d] *= step;
    return mt_alias(self, self->offset + from * self->strides[d], self->ndim, sizes, strides);
}

mt_tensor *
op_slice_backward(mt_tensor *grad_output, const int64_t *input_sizes, int64_t input_sizes_n,
                  int64_t dim, mt_value start, mt_value end, int64_t step)
{
    mt_tensor *whole = mt_empty((int)input_sizes_n, input_sizes, NULL,
                                (mt_dtype)grad_output->dtype, grad_output->device);
    if (!whole || aten_zero_(whole) < 0)
        goto fail;
    mt_tensor *part = aten_slice_Tensor(whole, dim, start, end, step);
    if (!part)
        goto fail;
    int rc = aten_copy_(part, grad_output, false);
    mt_release(part);
    if (rc == 0)
        return whole;
fail:
    mt_xrelease(whole);
    return NULL;
}

/* Each position of `self` gets the sum of the gradients of the view's elements that lie on it; the
 * input is taken as packed in its own order, and may itself overlap. */
mt_tensor *
mth_as_strided_backward(mt_tensor *grad, const int64_t *self_size, int64_t self_size_n,
                        const int64_t *self_stride, int64_t self_stride_n, int64_t self_offset,
                        const int64_t *size, int64_t size_n, const int64_t *stride,
                        int64_t stride_n, mt_value storage_offset)
{
    return aten__as_strided_backward(grad, self_size, self_size_n, self_stride, self_stride_n,
                                     self_offset, size, size_n, stride, stride_n,
                                     mt_is_none(storage_offset) ? self_offset
                                                                : storage_offset.u.i);
}

/* Lowest and one-past-highest element that a geometry touches, relative to the storage. */
static int64_t
extent(const int64_t *sizes, const int64_t *strides, int64_t n, int64_t offset)
{
    int64_t last = offset;
    for (int64_t d = 0; d < n; d++) {
        if (sizes[d] == 0)
            return offset;
        last += (sizes[d] - 1) * strides[d];
    }
    return last + 1;
}

/* A window on a storage of zeros that reaches from `low` to `high`. */
static mt_tensor *
window(mt_tensor *storage, int64_t low, const int64_t *sizes, const int64_t *strides, int64_t n,
       int64_t offset)
{
    return mt_alias(storage, storage->offset + offset - low, (int)n, sizes, strides);
}

/* storage[view position] += grad, one element after the other: positions may repeat. */
static int
add_into(mt_tensor *view, mt_tensor *grad)
{
    int64_t index[MT_MAX_DIMS] = {0};
    for (int64_t k = 0; k < grad->numel; k++) {
        mt_tensor *to = NULL, *from = NULL;
        int64_t a = view->offset, b = grad->offset;
        for (int d = 0; d < view->ndim; d++) {
            a += index[d] * view->strides[d];
            b += index[d] * grad->strides[d];
        }
        to = mt_alias(view, a, 0, NULL, NULL);
        from = mt_alias(grad, b, 0, NULL, NULL);
        int rc = to && from ? aten_add__Tensor(to, from, mt_v_int(1)) : -1;
        mt_xrelease(to);
        mt_xrelease(from);
        if (rc < 0)
            return -1;
        for (int d = view->ndim - 1; d >= 0; d--) {
            if (++index[d] < view->sizes[d])
                break;
            index[d] = 0;
        }
    }
    return 0;
}

/* Whether distinct indices of the geometry reach distinct elements (sufficient test). */
static bool
no_overlap(const int64_t *sizes, const int64_t *strides, int64_t n)
{
    int order[MT_MAX_DIMS], m = 0;
    for (int64_t d = 0; d < n; d++) {
        if (sizes[d] == 0)
            return true;
        if (sizes[d] == 1)
            continue;
        int at = m++;
        for (; at > 0 && strides[order[at - 1]] > strides[d]; at--)
            order[at] = order[at - 1];
        order[at] = (int)d;
    }
    int64_t reach = 0; /* highest position that the faster dimensions get to */
    for (int i = 0; i < m; i++) {
        if (strides[order[i]] <= reach)
            return false;
        reach += (sizes[order[i]] - 1) * strides[order[i]];
    }
    return true;
}

mt_tensor *
op__as_strided_backward(mt_tensor *grad, const int64_t *self_size, int64_t self_size_n,
                        const int64_t *self_stride, int64_t self_stride_n, int64_t self_offset,
                        const int64_t *size, int64_t size_n, const int64_t *stride,
                        int64_t stride_n, int64_t offset)
{
    (void)self_stride_n;
    (void)stride_n;
    int64_t low = MT_MIN(self_offset, offset);
    int64_t high = MT_MAX(extent(self_size, self_stride, self_size_n, self_offset),
                          extent(size, stride, size_n, offset));
    int64_t total = high - low;
    mt_tensor *storage = mt_empty(1, &total, NULL, (mt_dtype)grad->dtype, grad->device);
    mt_tensor *view = NULL, *input = NULL, *result = NULL;
    if (!storage || aten_zero_(storage) < 0 || mt_is_meta(grad))
        goto done;
    if (!(view = window(storage, low, size, stride, size_n, offset)))
        goto done;
    if (no_overlap(size, stride, size_n) ? aten_copy_(view, grad, false) < 0
                                         : add_into(view, grad) < 0)
        goto done;
    if (!(input = window(storage, low, self_size, self_stride, self_size_n, self_offset)))
        goto done;
    if (!no_overlap(self_size, self_stride, self_size_n)) {
        /* positions that several inputs share: each gets its share of the sum */
        mt_tensor *count = aten_zeros_like(storage, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(),
                                           MT_FORMAT_NONE);
        mt_tensor *seen = count ? window(count, low, self_size, self_stride, self_size_n,
                                         self_offset)
                                : NULL;
        mt_tensor *one = seen ? aten_ones(self_size, self_size_n, (mt_dtype)grad->dtype, -1,
                                          grad->device, mt_v_none())
                              : NULL;
        mt_tensor *share = NULL;
        if (one && add_into(seen, one) == 0)
            share = aten_div_Tensor(input, seen);
        mt_xrelease(one);
        mt_xrelease(seen);
        mt_xrelease(count);
        result = share;
        goto done;
    }
    result = aten_clone(input, MT_FORMAT_NONE);
done:
    if (!result && storage && mt_is_meta(grad))
        result = mt_empty((int)self_size_n, self_size, NULL, (mt_dtype)grad->dtype, grad->device);
    mt_xrelease(input);
    mt_xrelease(view);
    mt_xrelease(storage);
    return result;
}

/* The gradient of that gradient: the incoming tensor, laid out like the input, seen through the
 * view's geometry. */
mt_tensor *
mth__as_strided_again(mt_tensor *grad, const int64_t *self_size, int64_t self_size_n,
                      const int64_t *self_stride, int64_t self_stride_n, int64_t self_offset,
                      const int64_t *size, int64_t size_n, const int64_t *stride, int64_t stride_n,
                      int64_t offset)
{
    int64_t low = MT_MIN(self_offset, offset);
    int64_t high = MT_MAX(extent(self_size, self_stride, self_size_n, self_offset),
                          extent(size, stride, size_n, offset));
    int64_t total = high - low;
    mt_tensor *result = NULL, *input = NULL;
    mt_tensor *storage = aten_zeros(&total, 1, (mt_dtype)grad->dtype, -1, grad->device, mt_v_none());
    if (!storage)
        return NULL;
    input = aten_as_strided(storage, self_size, self_size_n, self_stride, self_stride_n,
                            mt_v_int(self_offset - low));
    if (input && aten_copy_(input, grad, false) == 0)
        result = aten_as_strided(storage, size, size_n, stride, stride_n, mt_v_int(offset - low));
    mt_xrelease(input);
    mt_release(storage);
    return result;
}

mt_tensor *
op_real(mt_tensor *self)
{
    if (!mt_is_complex((mt_dtype)self->dtype))
        return mt_keep(self);
    mt_tensor *plain = mt_is_conj(self) ? aten__conj(self) : mt_keep(self);
    mt_tensor *pairs = plain ? aten_view_as_real(plain) : NULL;
    mt_tensor *real = pairs ? aten_select_int(pairs, pairs->ndim - 1, 0) : NULL;
    mt_xrelease(plain);
    mt_xrelease(pairs);
    return real;
}
