/* More views, joins and rearrangements. */
#include <stdlib.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

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

mt_tensor *
op_unsqueeze(mt_tensor *self, int64_t dim)
{
    int d = mt_wrap_dim(dim, self->ndim + 1);
    if (d < 0)
        return NULL;
    int64_t sizes[MT_MAX_DIMS + 1], strides[MT_MAX_DIMS + 1];
    for (int i = 0, k = 0; i <= self->ndim; i++) {
        if (i == d) {
            sizes[i] = 1;
            strides[i] = d < self->ndim ? self->sizes[d] * self->strides[d] : 1;
        } else {
            sizes[i] = self->sizes[k];
            strides[i] = self->strides[k++];
        }
    }
    return mt_alias(self, self->offset, self->ndim + 1, sizes, strides);
}

int
op_unsqueeze_(mt_tensor *self, int64_t dim)
{
    return take_geometry(self, op_unsqueeze(self, dim));
}

static mt_tensor *
squeeze(mt_tensor *self, const bool *which)
{
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < self->ndim; d++)
        if (self->sizes[d] != 1 || (which && !which[d])) {
            sizes[n] = self->sizes[d];
            strides[n++] = self->strides[d];
        }
    return mt_alias(self, self->offset, n, sizes, strides);
}

mt_tensor *
op_squeeze(mt_tensor *self)
{
    return squeeze(self, NULL);
}

mt_tensor *
op_squeeze_dims(mt_tensor *self, const int64_t *dim, int64_t dim_n)
{
    bool which[MT_MAX_DIMS] = {false};
    for (int64_t i = 0; i < dim_n; i++) {
        int d = mt_wrap_dim(dim[i], self->ndim);
        if (d < 0)
            return NULL;
        if (which[d])
            return mt_fail_null(MT_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        which[d] = true;
    }
    return squeeze(self, which);
}

mt_tensor *
op_squeeze_dim(mt_tensor *self, int64_t dim)
{
    return op_squeeze_dims(self, &dim, 1);
}

int
op_squeeze_(mt_tensor *self)
{
    return take_geometry(self, op_squeeze(self));
}

int
op_squeeze__dim(mt_tensor *self, int64_t dim)
{
    return take_geometry(self, op_squeeze_dim(self, dim));
}

int
op_squeeze__dims(mt_tensor *self, const int64_t *dim, int64_t dim_n)
{
    return take_geometry(self, op_squeeze_dims(self, dim, dim_n));
}

mt_tensor *
op_alias(mt_tensor *self)
{
    return mt_alias_same(self);
}

mt_tensor *
op_diagonal(mt_tensor *self, int64_t offset, int64_t dim1, int64_t dim2)
{
    int a = mt_wrap_dim(dim1, self->ndim), b = a < 0 ? -1 : mt_wrap_dim(dim2, self->ndim);
    if (a < 0 || b < 0)
        return NULL;
    if (a == b)
        return mt_fail_null(MT_RUNTIME, "diagonal dimensions cannot be identical %lld, %lld",
                            (long long)dim1, (long long)dim2);
    int64_t n = offset >= 0 ? MT_MIN(self->sizes[a], self->sizes[b] - offset)
                            : MT_MIN(self->sizes[a] + offset, self->sizes[b]);
    n = MT_MAX(n, 0);
    int64_t at = self->offset;
    if (n)
        at += offset >= 0 ? offset * self->strides[b] : -offset * self->strides[a];
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    int k = 0;
    for (int d = 0; d < self->ndim; d++)
        if (d != a && d != b) {
            sizes[k] = self->sizes[d];
            strides[k++] = self->strides[d];
        }
    sizes[k] = n;
    strides[k] = self->strides[a] + self->strides[b];
    return mt_alias(self, at, k + 1, sizes, strides);
}

static mt_tensor *
zeros_of(const mt_tensor *like, const int64_t *sizes, int64_t n)
{
    return aten_zeros(sizes, n, (mt_dtype)like->dtype, -1, like->device, mt_v_none());
}

mt_tensor *
op_diagonal_backward(mt_tensor *grad, const int64_t *sizes, int64_t sizes_n, int64_t offset,
                     int64_t dim1, int64_t dim2)
{
    mt_tensor *whole = zeros_of(grad, sizes, sizes_n);
    mt_tensor *part = whole ? aten_diagonal(whole, offset, dim1, dim2) : NULL;
    int rc = part ? aten_copy_(part, grad, false) : -1;
    mt_xrelease(part);
    if (rc < 0) {
        mt_xrelease(whole);
        return NULL;
    }
    return whole;
}

mt_tensor *
op_unfold(mt_tensor *self, int64_t dimension, int64_t size, int64_t step)
{
    int d = mt_wrap_dim(dimension, self->ndim);
    if (d < 0)
        return NULL;
    int64_t have = self->ndim ? self->sizes[d] : 1;
    if (size < 0)
        return mt_fail_null(MT_RUNTIME, "size is %lld but must be >= 0", (long long)size);
    if (size > have)
        return mt_fail_null(MT_RUNTIME, "maximum size for tensor at dimension %d is %lld but size is %lld",
                            d, (long long)have, (long long)size);
    if (step <= 0)
        return mt_fail_null(MT_RUNTIME, "step is %lld but must be > 0", (long long)step);
    int64_t sizes[MT_MAX_DIMS + 1], strides[MT_MAX_DIMS + 1];
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    memcpy(strides, self->strides, self->ndim * sizeof(int64_t));
    int64_t stride = self->ndim ? self->strides[d] : 1;
    if (self->ndim) {
        sizes[d] = (have - size) / step + 1;
        strides[d] = step * stride;
    }
    sizes[self->ndim] = size;
    strides[self->ndim] = stride;
    return mt_alias(self, self->offset, self->ndim + 1, sizes, strides);
}

mt_tensor *
op_unfold_backward(mt_tensor *grad_in, const int64_t *sizes, int64_t sizes_n, int64_t dim,
                   int64_t size, int64_t step)
{
    mt_tensor *whole = zeros_of(grad_in, sizes, sizes_n);
    mt_tensor *view = whole ? aten_unfold(whole, dim, size, step) : NULL;
    /* windows may overlap: one position of the window after the other */
    int rc = view ? 0 : -1;
    for (int64_t k = 0; k < size && rc == 0; k++) {
        mt_tensor *to = aten_select_int(view, -1, k), *from = to ? aten_select_int(grad_in, -1, k) : NULL;
        rc = from ? aten_add__Tensor(to, from, mt_v_int(1)) : -1;
        mt_xrelease(to);
        mt_xrelease(from);
    }
    mt_xrelease(view);
    if (rc < 0) {
        mt_xrelease(whole);
        return NULL;
    }
    return whole;
}

/* ---- splitting ---------------------------------------------------------------------------- */

static int
split_at(mt_tensor *self, int dim, const int64_t *lengths, int64_t step, int64_t count, mt_list *out)
{
    *out = mt_list_new(count);
    if (!out->items)
        return -1;
    int64_t sizes[MT_MAX_DIMS], at = 0;
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    for (int64_t i = 0; i < count; i++) {
        sizes[dim] = lengths ? lengths[i] : MT_MIN(step, self->sizes[dim] - at);
        out->items[i] = mt_alias(self, self->offset + at * self->strides[dim], self->ndim, sizes,
                                 self->strides);
        if (!out->items[i]) {
            mt_list_free(out);
            return -1;
        }
        at += sizes[dim];
    }
    return 0;
}

int
op_split_Tensor(mt_tensor *self, int64_t split_size, int64_t dim, mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_RUNTIME, "split expects at least a 1-dimensional tensor");
    if (split_size < 0)
        return mt_fail(MT_RUNTIME, "split expects split_size be non-negative, but got split_size=%lld",
                       (long long)split_size);
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    int64_t n = self->sizes[d];
    if (split_size == 0 && n != 0)
        return mt_fail(MT_RUNTIME,
                       "split_size can only be 0 if dimension size is 0, but got dimension size of %lld",
                       (long long)n);
    int64_t count = split_size ? MT_MAX((n + split_size - 1) / split_size, 1) : 1;
    return split_at(self, d, NULL, split_size, count, ret0);
}

int
op_split_with_sizes(mt_tensor *self, const int64_t *split_sizes, int64_t split_sizes_n, int64_t dim,
                    mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_RUNTIME, "split expects at least a 1-dimensional tensor");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    int64_t total = 0;
    for (int64_t i = 0; i < split_sizes_n; i++) {
        if (split_sizes[i] < 0)
            return mt_fail(MT_RUNTIME,
                           "split_with_sizes expects split_sizes have only non-negative entries, but "
                           "got split_sizes=%s",
                           mt_str_ints(split_sizes, split_sizes_n));
        total += split_sizes[i];
    }
    if (total != self->sizes[d])
        return mt_fail(MT_RUNTIME,
                       "split_with_sizes expects split_sizes to sum exactly to %lld (input tensor's "
                       "size at dimension %d), but got split_sizes=%s",
                       (long long)self->sizes[d], d, mt_str_ints(split_sizes, split_sizes_n));
    return split_at(self, d, split_sizes, 0, split_sizes_n, ret0);
}

int
op_unbind_int(mt_tensor *self, int64_t dim, mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_INDEX,
                       "Dimension specified as %lld but tensor has no dimensions", (long long)dim);
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    *ret0 = mt_list_new(self->sizes[d]);
    if (!ret0->items)
        return -1;
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    for (int i = 0, k = 0; i < self->ndim; i++)
        if (i != d) {
            sizes[k] = self->sizes[i];
            strides[k++] = self->strides[i];
        }
    for (int64_t i = 0; i < ret0->count; i++)
        if (!(ret0->items[i] = mt_alias(self, self->offset + i * self->strides[d], self->ndim - 1,
                                        sizes, strides))) {
            mt_list_free(ret0);
            return -1;
        }
    return 0;
}

/* Gradients of parts joined again; absent ones are zeros of the part's shape. */
static mt_tensor *
join_parts(mt_tensor *const *grads, int64_t n, const int64_t *lengths, int64_t step, int64_t dim,
           const mt_tensor *self)
{
    int d = mt_wrap_dim(dim, self->ndim);
    mt_list parts = mt_list_new(n);
    mt_tensor *r = NULL;
    int64_t sizes[MT_MAX_DIMS], at = 0;
    if (!parts.items || d < 0)
        goto done;
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    for (int64_t i = 0; i < n; i++) {
        sizes[d] = lengths ? lengths[i] : MT_MIN(step, self->sizes[d] - at);
        at += sizes[d];
        parts.items[i] = grads[i] ? mt_keep(grads[i]) : zeros_of(self, sizes, self->ndim);
        if (!parts.items[i])
            goto done;
    }
    r = aten_cat(parts.items, n, d);
done:
    mt_list_free(&parts);
    return r;
}

mt_tensor *
mth_split_backward(mt_tensor *const *grads, int64_t grads_n, int64_t split_size, int64_t dim,
                   const int64_t *sizes, int64_t sizes_n, mt_tensor *self)
{
    (void)sizes;
    (void)sizes_n;
    return join_parts(grads, grads_n, NULL, split_size, dim, self);
}

mt_tensor *
mth_split_with_sizes_backward(mt_tensor *const *grads, int64_t grads_n, const int64_t *split_sizes,
                              int64_t split_sizes_n, int64_t dim, const int64_t *sizes,
                              int64_t sizes_n, mt_tensor *self)
{
    (void)split_sizes_n;
    (void)sizes;
    (void)sizes_n;
    return join_parts(grads, grads_n, split_sizes, 0, dim, self);
}

mt_tensor *
mth_unbind_backward(mt_tensor *const *grads, int64_t grads_n, int64_t dim, mt_tensor *self)
{
    int d = mt_wrap_dim(dim, self->ndim);
    mt_list parts = mt_list_new(grads_n);
    mt_tensor *r = NULL;
    int64_t sizes[MT_MAX_DIMS];
    if (!parts.items || d < 0)
        goto done;
    for (int i = 0, k = 0; i < self->ndim; i++)
        if (i != d)
            sizes[k++] = self->sizes[i];
    for (int64_t i = 0; i < grads_n; i++)
        if (!(parts.items[i] =
                  grads[i] ? mt_keep(grads[i]) : zeros_of(self, sizes, self->ndim - 1)))
            goto done;
    r = grads_n ? aten_stack(parts.items, grads_n, d) : zeros_of(self, self->sizes, self->ndim);
done:
    mt_list_free(&parts);
    return r;
}

int
op_chunk(mt_tensor *self, int64_t chunks, int64_t dim, mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_RUNTIME, "chunk expects at least a 1-dimensional tensor");
    if (chunks <= 0)
        return mt_fail(MT_RUNTIME, "chunk expects `chunks` to be greater than 0, got: %lld",
                       (long long)chunks);
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    int64_t n = self->sizes[d], step = (n + chunks - 1) / chunks;
    if (step == 0 && n == 0) {
        int64_t *zeros = calloc((size_t)chunks, sizeof *zeros);
        if (!zeros)
            return mt_fail(MT_MEMORY, "not enough memory for chunk");
        int rc = aten_split_with_sizes(self, zeros, chunks, d, ret0);
        free(zeros);
        return rc;
    }
    return aten_split_Tensor(self, step, d, ret0);
}

static int
slices(mt_tensor *self, int d, const int64_t *cuts, int64_t n, mt_list *out)
{
    *out = mt_list_new(n + 1);
    if (!out->items)
        return -1;
    int64_t from = 0;
    for (int64_t i = 0; i <= n; i++) {
        int64_t to = i < n ? cuts[i] : self->sizes[d];
        if (!(out->items[i] = aten_slice_Tensor(self, d, mt_v_int(from), mt_v_int(to), 1))) {
            mt_list_free(out);
            return -1;
        }
        from = to;
    }
    return 0;
}

int
op_tensor_split_indices(mt_tensor *self, const int64_t *indices, int64_t indices_n, int64_t dim,
                        mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_RUNTIME, "tensor_split expected at least a 1-dimensional tensor, but got a "
                                   "tensor with 0 dims");
    int d = mt_wrap_dim(dim, self->ndim);
    return d < 0 ? -1 : slices(self, d, indices, indices_n, ret0);
}

int
op_tensor_split_sections(mt_tensor *self, int64_t sections, int64_t dim, mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_RUNTIME, "tensor_split expected at least a 1-dimensional tensor, but got a "
                                   "tensor with 0 dims");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    if (sections <= 0)
        return mt_fail(MT_RUNTIME, "number of sections must be larger than 0, got %lld",
                       (long long)sections);
    int64_t *cuts = malloc((size_t)sections * sizeof *cuts), at = 0;
    if (!cuts)
        return mt_fail(MT_MEMORY, "not enough memory for tensor_split");
    int64_t n = self->sizes[d];
    for (int64_t i = 0; i + 1 < sections; i++)
        cuts[i] = at += n / sections + (i < n % sections);
    int rc = slices(self, d, cuts, sections - 1, ret0);
    free(cuts);
    return rc;
}

int
op_tensor_split_tensor_indices_or_sections(mt_tensor *self, mt_tensor *which, int64_t dim,
                                           mt_list *ret0)
{
    if (self->ndim == 0)
        return mt_fail(MT_RUNTIME, "tensor_split expected at least a 1-dimensional tensor, but got a "
                                   "tensor with 0 dims");
    if (which->device.type != MT_CPU)
        return mt_fail(MT_RUNTIME,
                       "tensor_split expected tensor_indices_or_sections to be on cpu, but it's on %s",
                       mt_device_str(which->device));
    if (which->dtype != MT_INT64)
        return mt_fail(MT_RUNTIME,
                       "tensor_split expected tensor_indices_or_sections to have dtype of long, but "
                       "got %s",
                       mt_dtypes[which->dtype].scalar_name);
    if (which->ndim > 1)
        return mt_fail(MT_RUNTIME,
                       "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                       "one-dimensional tensor, but got a tensor with %d dims",
                       which->ndim);
    mt_tensor *packed = mt_contiguous_data(which, false);
    if (!packed)
        return -1;
    const int64_t *v = mt_data(packed);
    int rc = which->ndim ? aten_tensor_split_indices(self, v, packed->numel, dim, ret0)
                         : aten_tensor_split_sections(self, *v, dim, ret0);
    mt_release(packed);
    return rc;
}

static int
split_dim(mt_tensor *self, char which, int *dim)
{
    int least = which == 'h' ? 1 : which == 'v' ? 2 : 3;
    if (self->ndim < least)
        return mt_fail(MT_RUNTIME,
                       "torch.%csplit requires a tensor with at least %d dimension%s, but got a "
                       "tensor with %d dimensions!",
                       which, least, least == 1 ? "" : "s", self->ndim);
    *dim = which == 'h' ? (self->ndim == 1 ? 0 : 1) : which == 'v' ? 0 : 2;
    return 0;
}

static int
xsplit(mt_tensor *self, char which, int64_t sections, const int64_t *indices, int64_t n,
       mt_list *out)
{
    int d = 0;
    if (split_dim(self, which, &d) < 0)
        return -1;
    if (indices)
        return aten_tensor_split_indices(self, indices, n, d, out);
    if (sections == 0 || self->sizes[d] % sections)
        return mt_fail(MT_RUNTIME,
                       "torch.%csplit attempted to split along dimension %d, but the size of the "
                       "dimension %lld is not divisible by the split_size %lld!",
                       which, d, (long long)self->sizes[d], (long long)sections);
    return aten_tensor_split_sections(self, sections, d, out);
}

#define XSPLIT(c, name)                                                                            \
    int op_##name##_int(mt_tensor *self, int64_t sections, mt_list *ret0)                          \
    {                                                                                              \
        return xsplit(self, c, sections, NULL, 0, ret0);                                           \
    }                                                                                              \
    int op_##name##_array(mt_tensor *self, const int64_t *indices, int64_t n, mt_list *ret0)       \
    {                                                                                              \
        return xsplit(self, c, 0, indices, n, ret0);                                               \
    }
XSPLIT('h', hsplit)
XSPLIT('v', vsplit)
XSPLIT('d', dsplit)

/* ---- geometry by other operators ---------------------------------------------------------- */

mt_tensor *
op_narrow(mt_tensor *self, int64_t dim, int64_t start, int64_t length)
{
    if (self->ndim == 0)
        return mt_fail_null(MT_RUNTIME, "narrow() cannot be applied to a 0-dim tensor.");
    if (length < 0)
        return mt_fail_null(MT_RUNTIME, "narrow(): length must be non-negative.");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    int64_t n = self->sizes[d];
    if (start < -n || start > n)
        return mt_fail_null(MT_INDEX,
                            "start out of range (expected to be in range of [%lld, %lld], but got "
                            "%lld)",
                            (long long)-n, (long long)n, (long long)start);
    if (start < 0)
        start += n;
    if (start > n - length)
        return mt_fail_null(MT_RUNTIME, "start (%lld) + length (%lld) exceeds dimension size (%lld).",
                            (long long)start, (long long)length, (long long)n);
    return aten_slice_Tensor(self, d, mt_v_int(start), mt_v_int(start + length), 1);
}

mt_tensor *
op_narrow_Tensor(mt_tensor *self, int64_t dim, mt_tensor *start, int64_t length)
{
    if (start->ndim || !mt_is_integral((mt_dtype)start->dtype, false))
        return mt_fail_null(MT_RUNTIME, "start must be an 0-dim integral Tensor.");
    if (mt_is_meta(start))
        return mt_fail_null(MT_RUNTIME, "Tensor.item() cannot be called on meta tensors");
    mt_tensor *wide = aten_to_dtype(start, MT_INT64, false, false, MT_FORMAT_NONE);
    if (!wide)
        return NULL;
    int64_t at = *(int64_t *)mt_data(wide);
    mt_release(wide);
    return op_narrow(self, dim, at, length);
}

mt_tensor *
op_movedim_intlist(mt_tensor *self, const int64_t *source, int64_t source_n,
                   const int64_t *destination, int64_t destination_n)
{
    if (source_n != destination_n)
        return mt_fail_null(MT_RUNTIME,
                            "movedim: Invalid source or destination dims: source (%s dims) should "
                            "contain the same number of dims as destination (%s dims)",
                            mt_str_ints(source, source_n), mt_str_ints(destination, destination_n));
    int n = self->ndim;
    int64_t order[MT_MAX_DIMS];
    bool used[MT_MAX_DIMS] = {false}, placed[MT_MAX_DIMS] = {false};
    for (int64_t i = 0; i < source_n; i++) {
        int s = mt_wrap_dim(source[i], n), d = s < 0 ? -1 : mt_wrap_dim(destination[i], n);
        if (s < 0 || d < 0)
            return NULL;
        if (used[s])
            return mt_fail_null(MT_RUNTIME, "movedim: repeated dim in `source` (%s)",
                                mt_str_ints(source, source_n));
        if (placed[d])
            return mt_fail_null(MT_RUNTIME, "movedim: repeated dim in `destination` (%s)",
                                mt_str_ints(destination, destination_n));
        used[s] = placed[d] = true;
        order[d] = s;
    }
    for (int d = 0, s = 0; d < n; d++) {
        if (placed[d])
            continue;
        while (used[s])
            s++;
        order[d] = s++;
    }
    if (n == 0)
        return aten_alias(self);
    return aten_permute(self, order, n);
}

mt_tensor *
op_numpy_T(mt_tensor *self)
{
    int64_t order[MT_MAX_DIMS];
    for (int d = 0; d < self->ndim; d++)
        order[d] = self->ndim - 1 - d;
    return aten_permute(self, order, self->ndim);
}

mt_tensor *
op_matrix_H(mt_tensor *self)
{
    mt_tensor *t = self->ndim == 0 ? aten_permute(self, NULL, 0) : aten_transpose_int(self, 0, 1);
    mt_tensor *result = t ? aten_conj(t) : NULL;
    mt_xrelease(t);
    return result;
}

mt_tensor *
op_flatten_using_ints(mt_tensor *self, int64_t start_dim, int64_t end_dim)
{
    int a = mt_wrap_dim(start_dim, self->ndim), b = a < 0 ? -1 : mt_wrap_dim(end_dim, self->ndim);
    if (a < 0 || b < 0)
        return NULL;
    if (a > b)
        return mt_fail_null(MT_RUNTIME, "flatten() has invalid args: start_dim cannot come after "
                                        "end_dim");
    int64_t sizes[MT_MAX_DIMS], n = 1, k = 0;
    if (self->ndim == 0)
        return aten_reshape(self, &n, 1);
    if (a == b)
        return mt_keep(self);
    for (int d = 0; d < self->ndim; d++) {
        if (d < a || d > b)
            sizes[k++] = self->sizes[d];
        else {
            n *= self->sizes[d];
            if (d == b)
                sizes[k++] = n;
        }
    }
    return aten_reshape(self, sizes, k);
}

mt_tensor *
op_unflatten_int(mt_tensor *self, int64_t dim, const int64_t *sizes, int64_t sizes_n)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    if (sizes_n == 0)
        return mt_fail_null(MT_RUNTIME, "unflatten: sizes must be non-empty");
    if (self->ndim - 1 + sizes_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "unflatten: too many dimensions");
    int64_t part[MT_MAX_DIMS], shape[MT_MAX_DIMS];
    if (mt_infer_size(self->sizes[d], (int)sizes_n, sizes, part) < 0) {
        mt_error_clear();
        return mt_fail_null(MT_RUNTIME,
                            "unflatten: Provided sizes %s don't multiply up to the size of dim %d "
                            "(%lld) in the input tensor",
                            mt_str_ints(sizes, sizes_n), d, (long long)self->sizes[d]);
    }
    int k = 0;
    for (int i = 0; i < self->ndim; i++) {
        if (i != d)
            shape[k++] = self->sizes[i];
        else
            for (int64_t j = 0; j < sizes_n; j++)
                shape[k++] = part[j];
    }
    return aten_view(self, shape, k);
}

mt_tensor *
op_imag(mt_tensor *self)
{
    if (!mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "imag is not implemented for tensors with non-complex dtypes.");
    bool conj = mt_is_conj(self);
    mt_tensor *plain = conj ? aten__conj(self) : mt_keep(self);
    mt_tensor *pairs = plain ? aten_view_as_real(plain) : NULL;
    mt_tensor *imag = pairs ? aten_select_int(pairs, pairs->ndim - 1, 1) : NULL;
    mt_xrelease(plain);
    mt_xrelease(pairs);
    if (imag && conj) {
        mt_tensor *n = aten__neg_view(imag);
        mt_release(imag);
        imag = n;
    }
    return imag;
}

int
op_is_same_size(mt_tensor *self, mt_tensor *other, bool *ret0)
{
    *ret0 = mt_same_shape(self, other);
    return 0;
}

/* ---- repeating and reversing -------------------------------------------------------------- */

mt_tensor *
op_repeat(mt_tensor *self, const int64_t *repeats, int64_t repeats_n)
{
    if (repeats_n < self->ndim)
        return mt_fail_null(MT_RUNTIME, "Number of dimensions of repeat dims can not be smaller than "
                                        "number of dimensions of tensor");
    if (2 * repeats_n > MT_MAX_DIMS)
        return mt_fail_null(MT_NOT_IMPLEMENTED, "repeat with more than %d dimensions",
                            MT_MAX_DIMS / 2);
    int64_t sizes[MT_MAX_DIMS], wide[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    int lead = (int)repeats_n - self->ndim;
    for (int d = 0; d < repeats_n; d++) {
        if (repeats[d] < 0)
            return mt_fail_null(MT_RUNTIME,
                                "Trying to create tensor with negative dimension %lld: %s",
                                (long long)repeats[d], mt_str_ints(repeats, repeats_n));
        int64_t n = d < lead ? 1 : self->sizes[d - lead];
        sizes[d] = n * repeats[d];
        wide[2 * d] = repeats[d];
        wide[2 * d + 1] = n;
        strides[2 * d] = 0;
        strides[2 * d + 1] = d < lead ? 0 : self->strides[d - lead];
    }
    mt_tensor *out = mt_empty((int)repeats_n, sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!out || out->numel == 0 || mt_is_meta(self))
        return out;
    mt_tensor *from = mt_alias(self, self->offset, 2 * (int)repeats_n, wide, strides);
    mt_tensor *to = mt_alias(out, 0, 2 * (int)repeats_n, wide, NULL);
    int rc = from && to ? mt_copy_data(to, from) : -1;
    mt_xrelease(from);
    mt_xrelease(to);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
mth_repeat_backward(mt_tensor *grad, const int64_t *repeats, int64_t repeats_n,
                    const int64_t *sizes, int64_t sizes_n)
{
    for (int64_t d = 0; d < repeats_n; d++)
        if (repeats[d] == 0)
            return aten_zeros(sizes, sizes_n, (mt_dtype)grad->dtype, -1, grad->device, mt_v_none());
    int64_t wide[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int lead = (int)(repeats_n - sizes_n);
    for (int d = 0; d < repeats_n; d++) {
        wide[2 * d] = repeats[d];
        wide[2 * d + 1] = d < lead ? 1 : sizes[d - lead];
        dims[d] = 2 * d;
    }
    if (repeats_n == 0)
        return mt_keep(grad);
    mt_tensor *w = aten_reshape(grad, wide, 2 * repeats_n);
    mt_tensor *s = w ? aten_sum_dim_IntList(w, dims, repeats_n, false, MT_DTYPE_NONE) : NULL;
    mt_tensor *r = s ? aten_reshape(s, sizes, sizes_n) : NULL;
    mt_xrelease(w);
    mt_xrelease(s);
    return r;
}

mt_tensor *
op_tile(mt_tensor *self, const int64_t *dims, int64_t dims_n)
{
    int64_t repeats[MT_MAX_DIMS];
    int n = (int)MT_MAX(dims_n, self->ndim);
    if (n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "tile: too many dimensions");
    for (int d = 0; d < n; d++)
        repeats[d] = d < n - dims_n ? 1 : dims[d - (n - dims_n)];
    return aten_repeat(self, repeats, n);
}

static int
flip_set(const mt_tensor *self, const int64_t *dims, int64_t n, bool *which)
{
    memset(which, 0, MT_MAX_DIMS);
    for (int64_t i = 0; i < n; i++) {
        int d = mt_wrap_dim(dims[i], self->ndim);
        if (d < 0)
            return -1;
        if (which[d])
            return mt_fail(MT_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        which[d] = true;
    }
    return 0;
}

int
flip_meta(mt_call *call, mt_tensor *self, const int64_t *dims, int64_t dims_n)
{
    bool which[MT_MAX_DIMS];
    if (flip_set(self, dims, dims_n, which) < 0)
        return -1;
    return mt_set_output_like(call, 0, self, (mt_dtype)self->dtype);
}

int
flip_impl(mt_call *call, mt_tensor *self, const int64_t *dims, int64_t dims_n)
{
    bool which[MT_MAX_DIMS];
    flip_set(self, dims, dims_n, which);
    mt_tensor *out = mt_out(call, 0);
    if (self->numel == 0)
        return 0;
    int64_t strides[MT_MAX_DIMS], at = self->offset;
    for (int d = 0; d < self->ndim; d++) {
        strides[d] = which[d] ? -self->strides[d] : self->strides[d];
        if (which[d])
            at += (self->sizes[d] - 1) * self->strides[d];
    }
    mt_tensor *view = mt_alias(self, at, self->ndim, self->sizes, strides);
    int rc = view ? mt_copy_data(out, view) : -1;
    mt_xrelease(view);
    return rc;
}

mt_tensor *
op_fliplr(mt_tensor *self)
{
    if (self->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "Input must be >= 2-d.");
    int64_t d = 1;
    return aten_flip(self, &d, 1);
}

mt_tensor *
op_flipud(mt_tensor *self)
{
    if (self->ndim < 1)
        return mt_fail_null(MT_RUNTIME, "Input must be >= 1-d.");
    int64_t d = 0;
    return aten_flip(self, &d, 1);
}

static mt_tensor *
roll_one(mt_tensor *self, int64_t shift, int d)
{
    int64_t n = self->sizes[d];
    if (n == 0 || ((shift % n) + n) % n == 0)
        return aten_clone(self, MT_CONTIGUOUS);
    int64_t start = ((n - shift) % n + n) % n;
    mt_tensor *parts[2] = {aten_slice_Tensor(self, d, mt_v_int(start), mt_v_int(n), 1), NULL};
    parts[1] = parts[0] ? aten_slice_Tensor(self, d, mt_v_int(0), mt_v_int(start), 1) : NULL;
    mt_tensor *r = parts[1] ? aten_cat(parts, 2, d) : NULL;
    mt_xrelease(parts[0]);
    mt_xrelease(parts[1]);
    return r;
}

mt_tensor *
op_roll(mt_tensor *self, const int64_t *shifts, int64_t shifts_n, const int64_t *dims,
        int64_t dims_n)
{
    if (shifts_n == 0)
        return mt_fail_null(MT_RUNTIME, "`shifts` required");
    if (dims_n == 0 && shifts_n == 1) {
        int64_t flat = -1;
        mt_tensor *c = aten_contiguous(self, MT_CONTIGUOUS);
        mt_tensor *line = c ? aten_view(c, &flat, 1) : NULL;
        mt_tensor *r = line ? roll_one(line, shifts[0], 0) : NULL;
        mt_tensor *out = r ? aten_view(r, self->sizes, self->ndim) : NULL;
        mt_xrelease(c);
        mt_xrelease(line);
        mt_xrelease(r);
        return out;
    }
    if (shifts_n != dims_n)
        return mt_fail_null(MT_RUNTIME, "shifts and dimensions must align. shifts: %lld, dims:%lld",
                            (long long)shifts_n, (long long)dims_n);
    mt_tensor *t = mt_keep(self);
    for (int64_t i = 0; i < dims_n; i++) {
        int d = mt_wrap_dim(dims[i], self->ndim);
        mt_tensor *next = d < 0 ? NULL : roll_one(t, shifts[i], d);
        mt_release(t);
        if (!next)
            return NULL;
        t = next;
    }
    return t;
}

mt_tensor *
mth_roll_backward(mt_tensor *grad, const int64_t *shifts, int64_t shifts_n, const int64_t *dims,
                  int64_t dims_n)
{
    int64_t back[MT_MAX_DIMS];
    for (int64_t i = 0; i < shifts_n && i < MT_MAX_DIMS; i++)
        back[i] = -shifts[i];
    return aten_roll(grad, back, shifts_n, dims, dims_n);
}

/* ---- joining ------------------------------------------------------------------------------ */

/* A 1-D tensor of no elements joins anything, for old programs' sake. */
static bool
is_skipped(const mt_tensor *t)
{
    return t->ndim == 1 && t->sizes[0] == 0;
}

int
cat_meta(mt_call *call, mt_tensor *const *tensors, int64_t n, int64_t dim)
{
    if (n == 0)
        return mt_fail(MT_VALUE, "torch.cat(): expected a non-empty list of Tensors");
    const mt_tensor *first = NULL;
    mt_value values[64];
    mt_dtype common = MT_DTYPE_NONE;
    for (int64_t i = 0; i < n; i++) {
        const mt_tensor *t = tensors[i];
        if (t->ndim == 0)
            return mt_fail(MT_RUNTIME, "zero-dimensional tensor (at position %lld) cannot be concatenated",
                           (long long)i);
        if (!first && !is_skipped(t))
            first = t;
        if (common == MT_DTYPE_NONE)
            common = (mt_dtype)t->dtype;
        else if (common != t->dtype && (common = mt_promote(common, (mt_dtype)t->dtype)) == MT_DTYPE_NONE)
            return mt_fail(MT_RUNTIME, "cat: these dtypes do not promote");
    }
    (void)values;
    if (!first) {
        int64_t zero = 0;
        if (mt_wrap_dim(dim, 1) < 0)
            return -1;
        return mt_set_output(call, 0, 1, &zero, NULL, common, tensors[0]->device);
    }
    if (mt_has_out(call)) /* which may get another size below */
        for (int64_t i = 0; i < n; i++)
            if (mt_check_no_overlap(call->args[call->op->nargs - 1].u.t, tensors[i]) < 0)
                return -1;
    int d = mt_wrap_dim(dim, first->ndim);
    if (d < 0)
        return -1;
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, first->sizes, first->ndim * sizeof(int64_t));
    sizes[d] = 0;
    bool last = true;
    for (int64_t i = 0; i < n; i++) {
        const mt_tensor *t = tensors[i];
        if (is_skipped(t))
            continue;
        if (t->ndim != first->ndim)
            return mt_fail(MT_RUNTIME, "Tensors must have same number of dimensions: got %d and %d",
                           first->ndim, t->ndim);
        for (int k = 0; k < t->ndim; k++)
            if (k != d && t->sizes[k] != first->sizes[k])
                return mt_fail(MT_RUNTIME,
                               "Sizes of tensors must match except in dimension %d. Expected size %lld "
                               "but got size %lld for tensor number %lld in the list.",
                               d, (long long)first->sizes[k], (long long)t->sizes[k], (long long)i);
        sizes[d] += t->sizes[d];
        last &= mt_suggest_format(t) == MT_CHANNELS_LAST;
    }
    int64_t strides[MT_MAX_DIMS];
    if (last && first->ndim == 4) {
        mt_format_strides(4, sizes, MT_CHANNELS_LAST, strides);
        return mt_set_output(call, 0, first->ndim, sizes, strides, common, first->device);
    }
    return mt_set_output(call, 0, first->ndim, sizes, NULL, common, first->device);
}

int
cat_impl(mt_call *call, mt_tensor *const *tensors, int64_t n, int64_t dim)
{
    mt_tensor *out = mt_out(call, 0);
    if (out->numel == 0)
        return 0;
    int d = mt_wrap_dim(dim, out->ndim);
    int64_t sizes[MT_MAX_DIMS], at = 0;
    memcpy(sizes, out->sizes, out->ndim * sizeof(int64_t));
    /* rows of one packed block each: plain copies */
    int64_t inner = 1, outer = 1, item = mt_itemsize(out);
    for (int k = d + 1; k < out->ndim; k++)
        inner *= out->sizes[k];
    for (int k = 0; k < d; k++)
        outer *= out->sizes[k];
    char *to = mt_data(out);
    for (int64_t i = 0; i < n; i++) {
        mt_tensor *t = tensors[i];
        if (is_skipped(t))
            continue;
        if (t->numel == 0)
            continue;
        if (t->dtype == out->dtype && mt_is_contiguous(t) && mt_is_contiguous(out) && outer <= 4096) {
            size_t row = (size_t)(t->sizes[d] * inner * item);
            const char *from = mt_data(t);
            for (int64_t r = 0; r < outer; r++)
                memcpy(to + (r * out->sizes[d] + at) * inner * item, from + (size_t)r * row, row);
        } else {
            sizes[d] = t->sizes[d];
            mt_tensor *part = mt_alias(out, out->offset + at * out->strides[d], out->ndim, sizes,
                                       out->strides);
            int rc = part ? mt_copy_data(part, t) : -1;
            mt_xrelease(part);
            if (rc < 0)
                return -1;
        }
        at += t->sizes[d];
    }
    return 0;
}

int
mth_cat_backward(mt_tensor *grad, mt_tensor *const *tensors, int64_t n, int64_t dim, mt_list *out)
{
    *out = mt_list_new(n);
    if (!out->items)
        return -1;
    int64_t at = 0;
    int d = grad->ndim ? mt_wrap_dim(dim, grad->ndim) : 0;
    for (int64_t i = 0; i < n; i++) {
        mt_tensor *t = tensors[i];
        if (is_skipped(t)) {
            out->items[i] = zeros_of(t, t->sizes, t->ndim);
        } else {
            mt_tensor *part = aten_narrow(grad, d, at, t->sizes[d]);
            at += t->sizes[d];
            if (part && mt_is_complex((mt_dtype)part->dtype) &&
                !mt_is_complex((mt_dtype)t->dtype)) {
                mt_tensor *re = aten_real(part);
                mt_release(part);
                part = re;
            }
            out->items[i] = part;
        }
        if (!out->items[i])
            return -1;
    }
    return 0;
}

mt_tensor *
op_stack(mt_tensor *const *tensors, int64_t n, int64_t dim)
{
    if (n == 0)
        return mt_fail_null(MT_RUNTIME, "stack expects a non-empty TensorList");
    const mt_tensor *first = tensors[0];
    int d = mt_wrap_dim(dim, first->ndim + 1);
    if (d < 0)
        return NULL;
    mt_dtype common = (mt_dtype)first->dtype;
    for (int64_t i = 1; i < n; i++) {
        if (!mt_same_shape(tensors[i], first))
            return mt_fail_null(MT_RUNTIME,
                                "stack expects each tensor to be equal size, but got %s at entry 0 "
                                "and %s at entry %lld",
                                mt_shape_str(first), mt_shape_str(tensors[i]), (long long)i);
        if (common != tensors[i]->dtype)
            common = mt_promote(common, (mt_dtype)tensors[i]->dtype);
    }
    int64_t sizes[MT_MAX_DIMS + 1], part_sizes[MT_MAX_DIMS], part_strides[MT_MAX_DIMS];
    for (int i = 0, k = 0; i <= first->ndim; i++)
        sizes[i] = i == d ? n : first->sizes[k++];
    mt_tensor *out = mt_empty(first->ndim + 1, sizes, NULL, common, first->device);
    if (!out || mt_is_meta(out))
        return out;
    for (int i = 0, k = 0; i <= first->ndim; i++)
        if (i != d) {
            part_sizes[k] = out->sizes[i];
            part_strides[k++] = out->strides[i];
        }
    for (int64_t i = 0; i < n; i++) {
        mt_tensor *part = mt_alias(out, i * out->strides[d], first->ndim, part_sizes, part_strides);
        int rc = part ? mt_copy_data(part, tensors[i]) : -1;
        mt_xrelease(part);
        if (rc < 0) {
            mt_release(out);
            return NULL;
        }
    }
    return out;
}

int
op_stack_out(mt_tensor *const *tensors, int64_t n, int64_t dim, mt_tensor *out)
{
    mt_tensor *r = aten_stack(tensors, n, dim);
    int rc = r ? mt_copy_to_out(out, r, "stack") : -1;
    mt_xrelease(r);
    return rc;
}

/* Tensors with at least `least` dimensions, joined. */
static mt_tensor *
xstack(mt_tensor *const *tensors, int64_t n, int least, int dim, const char *name)
{
    if (n == 0)
        return mt_fail_null(MT_RUNTIME, "%s expects a non-empty TensorList", name);
    mt_list list = mt_list_new(n);
    mt_tensor *r = NULL;
    for (int64_t i = 0; list.items && i < n; i++) {
        mt_tensor *t = tensors[i];
        int64_t sizes[MT_MAX_DIMS];
        if (t->ndim >= least)
            list.items[i] = mt_keep(t);
        else {
            int64_t len = t->ndim ? t->sizes[0] : 1, second = t->ndim > 1 ? t->sizes[1] : 1;
            if (least == 1)
                sizes[0] = 1;
            else if (least == 2) {
                sizes[0] = 1;
                sizes[1] = len;
            } else {
                sizes[0] = t->ndim > 1 ? len : 1;
                sizes[1] = t->ndim > 1 ? second : len;
                sizes[2] = 1;
            }
            list.items[i] = aten_reshape(t, sizes, least);
        }
        if (!list.items[i])
            goto done;
    }
    if (list.items)
        r = aten_cat(list.items, n, dim < 0 ? (list.items[0]->ndim == 1 ? 0 : 1) : dim);
done:
    mt_list_free(&list);
    return r;
}

mt_tensor *
op_hstack(mt_tensor *const *tensors, int64_t n)
{
    return xstack(tensors, n, 1, -1, "hstack");
}

mt_tensor *
op_vstack(mt_tensor *const *tensors, int64_t n)
{
    return xstack(tensors, n, 2, 0, "vstack");
}

mt_tensor *
op_dstack(mt_tensor *const *tensors, int64_t n)
{
    return xstack(tensors, n, 3, 2, "dstack");
}

/* ---- triangles ---------------------------------------------------------------------------- */

static int
triangle_meta(mt_call *call, mt_tensor *self, const char *name)
{
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "%s: input tensor must have at least 2 dimensions", name);
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

static int
triangle(mt_call *call, mt_tensor *self, int64_t diagonal, bool upper)
{
    mt_tensor *out = mt_out(call, 0);
    if (out != self && mt_copy_data(out, self) < 0)
        return -1;
    int64_t rows = out->sizes[out->ndim - 2], columns = out->sizes[out->ndim - 1];
    int64_t batch = rows != 0 && columns != 0 ? out->numel / (rows * columns) : 0, item = mt_itemsize(out);
    int64_t rs = out->strides[out->ndim - 2], cs = out->strides[out->ndim - 1];
    int64_t index[MT_MAX_DIMS] = {0};
    for (int64_t b = 0; b < batch; b++) {
        char *base = mt_data(out);
        for (int d = 0; d < out->ndim - 2; d++)
            base += index[d] * out->strides[d] * item;
        for (int64_t r = 0; r < rows; r++) {
            int64_t from = upper ? 0 : MT_MAX(0, r + diagonal + 1);
            int64_t to = upper ? MT_MIN(columns, r + diagonal) : columns;
            for (int64_t c = from; c < to; c++)
                memset(base + (r * rs + c * cs) * item, 0, (size_t)item);
        }
        for (int d = out->ndim - 3; d >= 0; d--) {
            if (++index[d] < out->sizes[d])
                break;
            index[d] = 0;
        }
    }
    return 0;
}

int
tril_meta(mt_call *call, mt_tensor *self, int64_t diagonal)
{
    (void)diagonal;
    return triangle_meta(call, self, "tril");
}

int
tril_impl(mt_call *call, mt_tensor *self, int64_t diagonal)
{
    return triangle(call, self, diagonal, false);
}

int
triu_meta(mt_call *call, mt_tensor *self, int64_t diagonal)
{
    (void)diagonal;
    return triangle_meta(call, self, "triu");
}

int
triu_impl(mt_call *call, mt_tensor *self, int64_t diagonal)
{
    return triangle(call, self, diagonal, true);
}
