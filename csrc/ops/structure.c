/* Diagonals, scattered views, combinations of tensors. */
#include <stdlib.h>

#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* ---- diagonals ---------------------------------------------------------------------------- */

mt_tensor *
op_diag(mt_tensor *self, int64_t diagonal)
{
    if (self->ndim == 1)
        return aten_diag_embed(self, diagonal, 0, 1);
    if (self->ndim != 2)
        return mt_fail_null(MT_RUNTIME, "diag(): Supports 1D or 2D tensors. Got %dD", self->ndim);
    mt_tensor *view = aten_diagonal(self, diagonal, 0, 1);
    mt_tensor *copy = view ? aten_clone(view, MT_FORMAT_NONE) : NULL;
    mt_xrelease(view);
    return copy;
}

/* Writes src into a view of out: takes both views; -1 if either failed. */
static int
write_view(mt_tensor *view, mt_tensor *src)
{
    int rc = -1;
    if (view && src) {
        if (!mt_same_shape(view, src))
            rc = mt_fail(MT_RUNTIME,
                         "expected src to have a size equal to the slice of self. src size = %s, "
                         "slice size = %s",
                         mt_shape_str(src), mt_shape_str(view));
        else
            rc = mt_is_meta(view) ? 0 : mt_copy_data(view, src);
    }
    mt_xrelease(view);
    return rc;
}

mt_tensor *
op_diag_embed(mt_tensor *self, int64_t offset, int64_t dim1, int64_t dim2)
{
    if (self->ndim == 0)
        return mt_fail_null(MT_INDEX,
                            "Dimension specified as -1 but tensor has no dimensions");
    int ndim = self->ndim + 1;
    int a = mt_wrap_dim(dim1, ndim), b = a < 0 ? -1 : mt_wrap_dim(dim2, ndim);
    if (a < 0 || b < 0)
        return NULL;
    if (a == b)
        return mt_fail_null(MT_RUNTIME, "diagonal dimensions cannot be identical %lld, %lld",
                            (long long)dim1, (long long)dim2);
    int64_t n = self->sizes[self->ndim - 1] + llabs(offset), sizes[MT_MAX_DIMS];
    for (int d = 0, k = 0; d < ndim; d++)
        sizes[d] = d == a || d == b ? n : self->sizes[k++];
    mt_tensor *out = aten_zeros(sizes, ndim, (mt_dtype)self->dtype, -1, self->device, mt_v_none());
    if (out && write_view(op_diagonal(out, offset, a, b), self) < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_trace(mt_tensor *self)
{
    if (self->ndim != 2)
        return mt_fail_null(MT_RUNTIME, "trace: expected a matrix, but got tensor with dim %d", self->ndim);
    mt_tensor *line = aten_diagonal(self, 0, 0, 1), *r = line ? aten_sum(line, MT_DTYPE_NONE) : NULL;
    mt_xrelease(line);
    return r;
}

mt_tensor *
op_kron(mt_tensor *self, mt_tensor *other)
{
    int ndim = MT_MAX(self->ndim, other->ndim);
    int64_t a[2 * MT_MAX_DIMS], b[2 * MT_MAX_DIMS], whole[MT_MAX_DIMS];
    if (2 * ndim > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "kron: at most %d dimensions, got %d", MT_MAX_DIMS / 2, ndim);
    for (int d = 0; d < ndim; d++) {
        int i = d - (ndim - self->ndim), j = d - (ndim - other->ndim);
        a[2 * d] = i >= 0 ? self->sizes[i] : 1;
        b[2 * d + 1] = j >= 0 ? other->sizes[j] : 1;
        a[2 * d + 1] = b[2 * d] = 1;
        whole[d] = a[2 * d] * b[2 * d + 1];
    }
    mt_tensor *x = aten_reshape(self, a, 2 * ndim), *y = aten_reshape(other, b, 2 * ndim);
    mt_tensor *product = x && y ? aten_mul_Tensor(x, y) : NULL;
    mt_tensor *r = product ? aten_reshape(product, whole, ndim) : NULL;
    mt_xrelease(x);
    mt_xrelease(y);
    mt_xrelease(product);
    return r;
}

/* ---- a copy with a view written ----------------------------------------------------------- */

static mt_tensor *
finish_scatter(mt_tensor *copy, mt_tensor *view, mt_tensor *src)
{
    if (write_view(view, src) < 0) {
        mt_xrelease(copy);
        return NULL;
    }
    return copy;
}

mt_tensor *
op_select_scatter(mt_tensor *self, mt_tensor *src, int64_t dim, int64_t index)
{
    mt_tensor *copy = aten_clone(self, MT_PRESERVE);
    return finish_scatter(copy, copy ? op_select_int(copy, dim, index) : NULL, src);
}

mt_tensor *
op_slice_scatter(mt_tensor *self, mt_tensor *src, int64_t dim, mt_value start, mt_value end,
                 int64_t step)
{
    mt_tensor *copy = aten_clone(self, MT_PRESERVE);
    return finish_scatter(copy, copy ? op_slice_Tensor(copy, dim, start, end, step) : NULL, src);
}

mt_tensor *
op_diagonal_scatter(mt_tensor *self, mt_tensor *src, int64_t offset, int64_t dim1, int64_t dim2)
{
    mt_tensor *copy = aten_clone(self, MT_PRESERVE);
    return finish_scatter(copy, copy ? op_diagonal(copy, offset, dim1, dim2) : NULL, src);
}

mt_tensor *
op_as_strided_scatter(mt_tensor *self, mt_tensor *src, const int64_t *size, int64_t size_n,
                      const int64_t *stride, int64_t stride_n, mt_value storage_offset)
{
    mt_tensor *copy = aten_clone(self, MT_PRESERVE);
    return finish_scatter(
        copy, copy ? op_as_strided(copy, size, size_n, stride, stride_n, storage_offset) : NULL, src);
}

mt_tensor *
op_view_dtype(mt_tensor *self, mt_dtype dtype)
{
    int64_t from = mt_itemsize(self), to = mt_dtypes[dtype].size;
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS], offset = self->offset;
    if (mt_is_conj(self) && !mt_is_complex(dtype))
        return mt_fail_null(MT_RUNTIME,
                            "torch.Tensor.view is not supported for conjugate view tensors when "
                            "converting to a different dtype.");
    if (mt_is_neg(self) && dtype != self->dtype)
        return mt_fail_null(MT_RUNTIME,
                            "torch.Tensor.view is not supported for tensors with negative bit set "
                            "when converting to a different dtype.");
    memcpy(sizes, self->sizes, (size_t)self->ndim * sizeof *sizes);
    memcpy(strides, self->strides, (size_t)self->ndim * sizeof *strides);
    if (from != to) {
        const char *was = mt_dtypes[self->dtype].scalar_name, *is = mt_dtypes[dtype].scalar_name;
        int last = self->ndim - 1;
        if (last < 0)
            return mt_fail_null(MT_RUNTIME,
                                "self.dim() cannot be 0 to view %s as %s (different element sizes)", was,
                                is);
        if (from > to) {
            if (self->strides[last] != 1)
                return mt_fail_null(MT_RUNTIME,
                                    "self.stride(-1) must be 1 to view %s as %s (different element "
                                    "sizes), but got %lld",
                                    was, is, (long long)self->strides[last]);
            int64_t ratio = from / to;
            for (int d = 0; d < last; d++)
                strides[d] *= ratio;
            sizes[last] *= ratio;
            offset *= ratio;
        } else {
            int64_t ratio = to / from;
            if (sizes[last] % ratio)
                return mt_fail_null(MT_RUNTIME,
                                    "self.size(-1) must be divisible by %lld to view %s as %s "
                                    "(different element sizes), but got %lld",
                                    (long long)ratio, was, is, (long long)sizes[last]);
            if (offset % ratio)
                return mt_fail_null(MT_RUNTIME,
                                    "self.storage_offset() must be divisible by %lld to view %s as %s "
                                    "(different element sizes), but got %lld",
                                    (long long)ratio, was, is, (long long)offset);
            for (int d = 0; d < last; d++) {
                if (strides[d] % ratio)
                    return mt_fail_null(MT_RUNTIME,
                                        "self.stride(%d) must be divisible by %lld to view %s as %s "
                                        "(different element sizes), but got %lld",
                                        d, (long long)ratio, was, is, (long long)strides[d]);
                strides[d] /= ratio;
            }
            if (strides[last] != 1)
                return mt_fail_null(MT_RUNTIME,
                                    "self.stride(-1) must be 1 to view %s as %s (different element "
                                    "sizes), but got %lld",
                                    was, is, (long long)strides[last]);
            sizes[last] /= ratio;
            offset /= ratio;
        }
    }
    return mt_tensor_on(self->storage, dtype, offset, self->ndim, sizes, strides, self->keys,
                        self->device);
}

int
op_as_strided_(mt_tensor *self, const int64_t *size, int64_t size_n, const int64_t *stride,
               int64_t stride_n, mt_value storage_offset)
{
    mt_tensor *view = op_as_strided(self, size, size_n, stride, stride_n, storage_offset);
    if (!view)
        return -1;
    int rc = mt_tensor_set_geometry(self, view->ndim, view->sizes, view->strides);
    self->offset = view->offset;
    mt_release(view);
    return rc;
}

/* ---- several tensors ---------------------------------------------------------------------- */

mt_tensor *
op_atleast_1d(mt_tensor *self)
{
    int64_t one = 1;
    return self->ndim ? mt_keep(self) : aten_reshape(self, &one, 1);
}

mt_tensor *
op_atleast_2d(mt_tensor *self)
{
    int64_t ones[2] = {1, 1};
    return self->ndim == 0 ? aten_reshape(self, ones, 2)
           : self->ndim == 1 ? aten_unsqueeze(self, 0)
                             : mt_keep(self);
}

mt_tensor *
op_atleast_3d(mt_tensor *self)
{
    int64_t ones[3] = {1, 1, 1};
    if (self->ndim == 0)
        return aten_reshape(self, ones, 3);
    if (self->ndim >= 3)
        return mt_keep(self);
    if (self->ndim == 2)
        return aten_unsqueeze(self, -1);
    mt_tensor *row = aten_unsqueeze(self, 0), *r = row ? aten_unsqueeze(row, -1) : NULL;
    mt_xrelease(row);
    return r;
}

typedef mt_tensor *(*unary_op)(mt_tensor *self);

static int
each(mt_tensor *const *tensors, int64_t n, unary_op op, mt_list *made)
{
    mt_list list = mt_list_new(n);
    if (!list.items)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (!(list.items[i] = op(tensors[i]))) {
            mt_list_free(&list);
            return -1;
        }
    *made = list;
    return 0;
}

int
op_atleast_1d_Sequence(mt_tensor *const *tensors, int64_t n, mt_list *ret0)
{
    return each(tensors, n, op_atleast_1d, ret0);
}

int
op_atleast_2d_Sequence(mt_tensor *const *tensors, int64_t n, mt_list *ret0)
{
    return each(tensors, n, op_atleast_2d, ret0);
}

int
op_atleast_3d_Sequence(mt_tensor *const *tensors, int64_t n, mt_list *ret0)
{
    return each(tensors, n, op_atleast_3d, ret0);
}

int
op_broadcast_tensors(mt_tensor *const *tensors, int64_t n, mt_list *ret0)
{
    int64_t sizes[MT_MAX_DIMS];
    int ndim = 0;
    for (int64_t i = 0; i < n; i++)
        if ((ndim = mt_broadcast(sizes, ndim, tensors[i]->sizes, tensors[i]->ndim)) < 0)
            return -1;
    mt_list list = mt_list_new(n);
    if (!list.items)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (!(list.items[i] = aten_expand(tensors[i], sizes, ndim, false))) {
            mt_list_free(&list);
            return -1;
        }
    *ret0 = list;
    return 0;
}

int
op_meshgrid_indexing(mt_tensor *const *tensors, int64_t n, const char *indexing, mt_list *ret0)
{
    if (n == 0)
        return mt_fail(MT_RUNTIME, "meshgrid expects a non-empty TensorList");
    for (int64_t i = 0; i < n; i++) {
        if (tensors[i]->ndim > 1)
            return mt_fail(MT_RUNTIME,
                           "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: %s",
                           mt_shape_str(tensors[i]));
        if (tensors[i]->dtype != tensors[0]->dtype)
            return mt_fail(MT_RUNTIME, "meshgrid expects all tensors to have the same dtype");
    }
    bool xy = !strcmp(indexing, "xy");
    if (!xy && strcmp(indexing, "ij"))
        return mt_fail(MT_RUNTIME,
                       "torch.meshgrid: indexing must be one of \"xy\" or \"ij\", but received: %s",
                       indexing);
    if (n > MT_MAX_DIMS)
        return mt_fail(MT_RUNTIME, "meshgrid: at most %d tensors, got %lld", MT_MAX_DIMS, (long long)n);
    bool swap = xy && n >= 2;
    int64_t shape[MT_MAX_DIMS], own[MT_MAX_DIMS];
    mt_list list = mt_list_new(n);
    if (!list.items)
        return -1;
    for (int64_t k = 0; k < n; k++)
        shape[swap && k < 2 ? 1 - k : k] = tensors[k]->numel;
    for (int64_t k = 0; k < n; k++) {
        int64_t place = swap && k < 2 ? 1 - k : k;
        for (int64_t d = 0; d < n; d++)
            own[d] = d == place ? -1 : 1;
        if (tensors[k]->numel == 0)
            own[place] = 0;
        mt_tensor *v = aten_view(tensors[k], own, n);
        list.items[k] = v ? aten_expand(v, shape, n, false) : NULL;
        mt_xrelease(v);
        if (!list.items[k]) {
            mt_list_free(&list);
            return -1;
        }
    }
    *ret0 = list;
    return 0;
}

mt_tensor *
op_block_diag(mt_tensor *const *tensors, int64_t n)
{
    if (n == 0) {
        int64_t none[2] = {1, 0};
        return aten_zeros(none, 2, MT_DTYPE_NONE, -1, MT_CPU_DEVICE, mt_v_none());
    }
    mt_dtype dtype = (mt_dtype)tensors[0]->dtype;
    int64_t sizes[2] = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        const mt_tensor *t = tensors[i];
        if (t->ndim > 2)
            return mt_fail_null(MT_RUNTIME,
                                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                                "%lld has %d dimensions",
                                (long long)i, t->ndim);
        if (t->dtype != dtype && (dtype = mt_promote(dtype, (mt_dtype)t->dtype)) == MT_DTYPE_NONE)
            return NULL;
        sizes[0] += t->ndim == 2 ? t->sizes[0] : 1;
        sizes[1] += t->ndim == 2 ? t->sizes[1] : t->numel;
    }
    mt_tensor *out = aten_zeros(sizes, 2, dtype, -1, tensors[0]->device, mt_v_none());
    int64_t row = 0, column = 0;
    for (int64_t i = 0; out && i < n; i++) {
        mt_tensor *t = tensors[i];
        int64_t h = t->ndim == 2 ? t->sizes[0] : 1, w = t->ndim == 2 ? t->sizes[1] : t->numel;
        mt_tensor *matrix = op_atleast_2d(t);
        mt_tensor *rows = matrix ? aten_narrow(out, 0, row, h) : NULL;
        mt_tensor *block = rows ? aten_narrow(rows, 1, column, w) : NULL;
        int rc = block ? aten_copy_(block, matrix, false) : -1;
        mt_xrelease(matrix);
        mt_xrelease(rows);
        mt_xrelease(block);
        if (rc < 0) {
            mt_release(out);
            return NULL;
        }
        row += h;
        column += w;
    }
    return out;
}

int
mth_block_diag_backward(mt_tensor *grad, mt_tensor *const *tensors, int64_t n, mt_list *out)
{
    *out = mt_list_new(n);
    if (!out->items)
        return -1;
    int64_t row = 0, column = 0;
    for (int64_t i = 0; i < n; i++) {
        mt_tensor *t = tensors[i];
        int64_t h = t->ndim == 2 ? t->sizes[0] : 1, w = t->ndim == 2 ? t->sizes[1] : t->numel;
        mt_tensor *rows = aten_narrow(grad, 0, row, h);
        mt_tensor *block = rows ? aten_narrow(rows, 1, column, w) : NULL;
        if (block && mt_is_complex((mt_dtype)block->dtype) && !mt_is_complex((mt_dtype)t->dtype)) {
            mt_tensor *re = aten_real(block);
            mt_release(block);
            block = re;
        }
        out->items[i] = block ? aten_reshape(block, t->sizes, t->ndim) : NULL;
        mt_xrelease(rows);
        mt_xrelease(block);
        if (!out->items[i])
            return -1;
        row += h;
        column += w;
    }
    return 0;
}

mt_tensor *
op_cartesian_prod(mt_tensor *const *tensors, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (tensors[i]->ndim != 1)
            return mt_fail_null(MT_RUNTIME, "Expect a 1D vector, but got shape %s",
                                mt_shape_str(tensors[i]));
    if (n == 1)
        return mt_keep(tensors[0]);
    mt_list grid = {NULL, 0};
    if (aten_meshgrid_indexing(tensors, n, "ij", &grid) < 0)
        return NULL;
    mt_list flat = mt_list_new(n);
    mt_tensor *r = NULL;
    if (flat.items) {
        int64_t minus = -1;
        bool ok = true;
        for (int64_t i = 0; i < n && ok; i++)
            ok = (flat.items[i] = aten_reshape(grid.items[i], &minus, 1)) != NULL;
        if (ok)
            r = aten_stack(flat.items, n, 1);
    }
    mt_list_free(&grid);
    mt_list_free(&flat);
    return r;
}

/* The r-combinations of 0 .. n-1 as rows, in lexicographic order. */
mt_tensor *
op_combinations(mt_tensor *self, int64_t r, bool with_replacement)
{
    if (self->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "Expect a 1D vector, but got shape %s", mt_shape_str(self));
    if (r < 0)
        return mt_fail_null(MT_RUNTIME, "Expect a non-negative number, but got %lld", (long long)r);
    if (r == 0) {
        int64_t none = 0;
        return aten_empty_memory_format(&none, 1, (mt_dtype)self->dtype, -1, self->device, mt_v_none(),
                                        MT_FORMAT_NONE);
    }
    if (r > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "combinations: at most %d elements, got %lld", MT_MAX_DIMS,
                            (long long)r);
    int64_t n = self->sizes[0], at[MT_MAX_DIMS], count = 0, room = 0, *places = NULL;
    for (int64_t i = 0; i < r; i++)
        at[i] = with_replacement ? 0 : i;
    bool more = with_replacement ? n > 0 : n >= r;
    while (more) {
        if (count == room) {
            room = room ? 2 * room : 64;
            int64_t *grown = realloc(places, (size_t)(room * r) * sizeof *places);
            if (!grown) {
                free(places);
                return mt_fail_null(MT_MEMORY, "not enough memory for combinations");
            }
            places = grown;
        }
        memcpy(places + count++ * r, at, (size_t)r * sizeof *at);
        int64_t i = r - 1;
        while (i >= 0 && at[i] == (with_replacement ? n - 1 : n - r + i))
            i--;
        more = i >= 0;
        if (more) {
            at[i]++;
            for (int64_t k = i + 1; k < r; k++)
                at[k] = with_replacement ? at[i] : at[k - 1] + 1;
        }
    }
    int64_t total = count * r, shape[2] = {count, r};
    mt_tensor *index = mt_empty(1, &total, NULL, MT_INT64, MT_CPU_DEVICE), *flat = NULL, *made = NULL;
    if (index) {
        if (total)
            memcpy(mt_data(index), places, (size_t)total * sizeof *places);
        flat = aten_index_select(self, 0, index);
        made = flat ? aten_view(flat, shape, 2) : NULL;
    }
    free(places);
    mt_xrelease(index);
    mt_xrelease(flat);
    return made;
}

mt_tensor *
op_column_stack(mt_tensor *const *tensors, int64_t n)
{
    if (n == 0)
        return mt_fail_null(MT_RUNTIME, "column_stack expects a non-empty TensorList");
    mt_list list = mt_list_new(n);
    mt_tensor *r = NULL;
    bool ok = list.items != NULL;
    for (int64_t i = 0; i < n && ok; i++) {
        int64_t shape[2] = {tensors[i]->numel, 1};
        list.items[i] = tensors[i]->ndim <= 1 ? aten_reshape(tensors[i], shape, 2) : mt_keep(tensors[i]);
        ok = list.items[i] != NULL;
    }
    if (ok)
        r = aten_hstack(list.items, n);
    mt_list_free(&list);
    return r;
}

mt_tensor *
op_rot90(mt_tensor *self, int64_t k, const int64_t *dims, int64_t dims_n)
{
    if (dims_n != 2)
        return mt_fail_null(MT_RUNTIME, "expected total rotation dims == 2, but got dims = %lld",
                            (long long)dims_n);
    if (self->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "expected total dims >= 2, but got total dims = %d", self->ndim);
    int a = mt_wrap_dim(dims[0], self->ndim), b = a < 0 ? -1 : mt_wrap_dim(dims[1], self->ndim);
    if (a < 0 || b < 0)
        return NULL;
    if (a == b)
        return mt_fail_null(MT_RUNTIME,
                            "expected rotation dims to be different, but got dim0 = %lld and dim1 = %lld",
                            (long long)dims[0], (long long)dims[1]);
    int64_t turn = ((k % 4) + 4) % 4, one[2] = {a, b};
    if (turn == 0)
        return aten_clone(self, MT_CONTIGUOUS);
    if (turn == 2)
        return aten_flip(self, one, 2);
    int64_t along = turn == 1 ? b : a;
    mt_tensor *flipped = aten_flip(self, &along, 1);
    mt_tensor *r = flipped ? aten_transpose__int(flipped, a, b) < 0 ? NULL : mt_keep(flipped) : NULL;
    mt_xrelease(flipped);
    return r;
}

/* ---- repetition --------------------------------------------------------------------------- */

mt_tensor *
op_repeat_interleave_Tensor(mt_tensor *repeats, mt_value output_size)
{
    if (repeats->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "repeat_interleave only accept 1D vector as repeat");
    if (repeats->dtype != MT_INT64 && repeats->dtype != MT_INT32)
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"repeat_interleave_cpu\" not implemented for '%s'",
                            mt_dtypes[repeats->dtype].scalar_name);
    mt_tensor *wide = mt_empty(1, repeats->sizes, NULL, MT_INT64, MT_CPU_DEVICE), *out = NULL;
    if (!wide || mt_copy_data(wide, repeats) < 0)
        goto done;
    const int64_t *times = mt_data(wide);
    int64_t total = 0;
    for (int64_t i = 0; i < repeats->numel; i++) {
        if (times[i] < 0) {
            mt_fail(MT_RUNTIME, "repeats can not be negative");
            goto done;
        }
        total += times[i];
    }
    if (!mt_is_none(output_size) && output_size.u.i != total) {
        mt_fail(MT_RUNTIME, "allocated size does not match required size");
        goto done;
    }
    mt_tensor *places = mt_empty(1, &total, NULL, MT_INT64, MT_CPU_DEVICE);
    if (!places)
        goto done;
    int64_t *p = mt_data(places);
    for (int64_t i = 0; i < repeats->numel; i++)
        for (int64_t k = 0; k < times[i]; k++)
            *p++ = i;
    if (repeats->dtype == MT_INT64)
        out = places;
    else {
        out = mt_empty(1, &total, NULL, MT_INT32, MT_CPU_DEVICE);
        if (out && mt_copy_data(out, places) < 0) {
            mt_release(out);
            out = NULL;
        }
        mt_release(places);
    }
done:
    mt_xrelease(wide);
    return out;
}

mt_tensor *
op_repeat_interleave_self_Tensor(mt_tensor *self, mt_tensor *repeats, mt_value dim,
                                 mt_value output_size)
{
    int64_t minus = -1, d = 0;
    mt_tensor *input = NULL, *times = NULL, *index = NULL, *r = NULL;
    if (mt_is_none(dim))
        input = aten_reshape(self, &minus, 1);
    else {
        d = mt_wrap_dim(dim.u.i, self->ndim);
        if (d < 0)
            return NULL;
        input = mt_keep(self);
    }
    if (!input)
        return NULL;
    int64_t n = input->ndim ? input->sizes[d] : 1;
    if (repeats->ndim == 0 || (repeats->ndim == 1 && repeats->sizes[0] == 1)) {
        mt_tensor *one = aten_reshape(repeats, &minus, 1);
        times = one ? aten_expand(one, &n, 1, false) : NULL;
        mt_xrelease(one);
    } else if (repeats->ndim == 1) {
        if (repeats->sizes[0] != n) {
            mt_fail(MT_RUNTIME,
                    "repeats must have the same size as input along dim, but got repeats.size(0) = %lld "
                    "and input.size(%lld) = %lld",
                    (long long)repeats->sizes[0], (long long)d, (long long)n);
            goto done;
        }
        times = mt_keep(repeats);
    } else
        mt_fail(MT_RUNTIME, "repeats must be 0-dim or 1-dim tensor");
    if (times && (index = aten_repeat_interleave_Tensor(times, output_size)))
        r = aten_index_select(input, d, index);
done:
    mt_xrelease(input);
    mt_xrelease(times);
    mt_xrelease(index);
    return r;
}

mt_tensor *
op_repeat_interleave_self_int(mt_tensor *self, int64_t repeats, mt_value dim, mt_value output_size)
{
    int64_t minus = -1, d = 0;
    if (repeats < 0)
        return mt_fail_null(MT_RUNTIME, "Repeats must be non-negative");
    if (!mt_is_none(dim)) {
        d = mt_wrap_dim(dim.u.i, self->ndim);
        if (d < 0)
            return NULL;
    }
    bool flat = mt_is_none(dim) || self->ndim == 0;
    mt_tensor *input = flat ? aten_reshape(self, &minus, 1) : mt_keep(self);
    mt_tensor *more = input ? aten_unsqueeze(input, d + 1) : NULL, *wide = NULL, *copy = NULL, *r = NULL;
    if (more) {
        int64_t sizes[MT_MAX_DIMS];
        memcpy(sizes, more->sizes, (size_t)more->ndim * sizeof *sizes);
        sizes[d + 1] = repeats;
        if (!mt_is_none(output_size) && output_size.u.i != sizes[d] * repeats)
            mt_fail(MT_RUNTIME, "repeat_interleave: Invalid output_size, expected %lld but got %lld",
                    (long long)(sizes[d] * repeats), (long long)output_size.u.i);
        else if ((wide = aten_expand(more, sizes, more->ndim, false)) &&
                 (copy = aten_clone(wide, MT_CONTIGUOUS)))
            r = aten_flatten_using_ints(copy, d, d + 1);
    }
    mt_xrelease(input);
    mt_xrelease(more);
    mt_xrelease(wide);
    mt_xrelease(copy);
    return r;
}

/* ---- norms, sums, reductions -------------------------------------------------------------- */

mt_tensor *
op_sum_to_size(mt_tensor *self, const int64_t *size, int64_t size_n)
{
    bool ok = size_n <= self->ndim;
    for (int64_t d = 1; ok && d <= size_n; d++)
        ok = size[size_n - d] == 1 || size[size_n - d] == self->sizes[self->ndim - d];
    if (!ok)
        return mt_fail_null(MT_RUNTIME, "size {%s} is not expandable to size {%s}.",
                            mt_str_ints(size, size_n), mt_shape_str(self));
    int64_t dims[MT_MAX_DIMS];
    int n = 0, lead = self->ndim - (int)size_n;
    for (int d = 0; d < self->ndim; d++)
        if (d < lead || (size[d - lead] == 1 && self->sizes[d] != 1))
            dims[n++] = d;
    if (n == 0)
        return mt_keep(self);
    mt_tensor *sum = aten_sum_dim_IntList(self, dims, n, true, MT_DTYPE_NONE);
    if (sum && lead > 0) {
        mt_tensor *view = aten_view(sum, size, size_n);
        mt_release(sum);
        return view;
    }
    return sum;
}

mt_tensor *
op_index_reduce(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *source,
                const char *reduce, bool include_self)
{
    bool known = !strcmp(reduce, "prod") || !strcmp(reduce, "mean") || !strcmp(reduce, "amax") ||
                 !strcmp(reduce, "amin");
    if (!known)
        return mt_fail_null(MT_RUNTIME,
                            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but "
                            "got %s.",
                            reduce);
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    if (index->ndim > 1)
        return mt_fail_null(MT_INDEX, "index_reduce_(): Index is supposed to be a vector");
    if (index->dtype != MT_INT64 && index->dtype != MT_INT32)
        return mt_fail_null(MT_RUNTIME, "index_reduce_(): Expected dtype int32/int64 for index");
    if (self->dtype != source->dtype)
        return mt_fail_null(MT_RUNTIME, "index_reduce_(): self and source expected to have the same dtype, "
                            "but got (self) %s and (source) %s",
                            mt_dtypes[self->dtype].scalar_name, mt_dtypes[source->dtype].scalar_name);
    int64_t n = source->ndim ? source->sizes[d] : 1;
    if (index->numel != n)
        return mt_fail_null(MT_RUNTIME,
                            "index_reduce_(): Number of indices should be equal to source.size(dim)");
    int64_t shape[MT_MAX_DIMS];
    for (int k = 0; k < source->ndim; k++)
        shape[k] = k == d ? n : 1;
    mt_tensor *wide = aten_to_dtype(index, MT_INT64, false, false, MT_FORMAT_NONE);
    mt_tensor *view = wide ? aten_reshape(wide, shape, source->ndim) : NULL;
    mt_tensor *all = view ? aten_expand(view, source->sizes, source->ndim, false) : NULL;
    mt_tensor *r = all ? aten_scatter_reduce_two(self, d, all, source, reduce, include_self) : NULL;
    mt_xrelease(wide);
    mt_xrelease(view);
    mt_xrelease(all);
    return r;
}

mt_tensor *
op_nonzero_static(mt_tensor *self, int64_t size, int64_t fill_value)
{
    if (size < 0)
        return mt_fail_null(MT_RUNTIME, "nonzero_static: 'size' must be an non-negative integer");
    mt_tensor *all = aten_nonzero(self);
    if (!all)
        return NULL;
    int64_t shape[2] = {size, self->ndim}, found = MT_MIN(size, all->sizes[0]);
    mt_tensor *out = aten_full(shape, 2, mt_v_int(fill_value), MT_INT64, -1, self->device, mt_v_none());
    mt_tensor *to = out ? aten_narrow(out, 0, 0, found) : NULL;
    mt_tensor *from = to ? aten_narrow(all, 0, 0, found) : NULL;
    int rc = from ? mt_copy_data(to, from) : -1;
    mt_xrelease(to);
    mt_xrelease(from);
    mt_release(all);
    if (rc < 0 && out) {
        mt_release(out);
        out = NULL;
    }
    return out;
}

/* ---- making ------------------------------------------------------------------------------- */

mt_tensor *
op_scalar_tensor(mt_scalar s, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    if (dtype == MT_DTYPE_NONE)
        dtype = mt_default_dtype;
    mt_tensor *t =
        aten_empty_memory_format(NULL, 0, dtype, layout, device, pin_memory, MT_FORMAT_NONE);
    if (t && mt_fill_data(t, s) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op_empty_permuted(const int64_t *size, int64_t size_n, const int64_t *order, int64_t order_n,
                  mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    if (size_n != order_n)
        return mt_fail_null(MT_RUNTIME,
                            "Number of dimensions in size does not match the length of the "
                            "physical_layout; i.e. len(size) = %lld is not equal to "
                            "len(physical_layout) = %lld",
                            (long long)size_n, (long long)order_n);
    if (size_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "empty_permuted: at most %d dimensions, got %lld", MT_MAX_DIMS,
                            (long long)size_n);
    bool seen[MT_MAX_DIMS] = {false};
    int64_t strides[MT_MAX_DIMS], step = 1;
    for (int64_t k = size_n - 1; k >= 0; k--) {
        int64_t d = order[k];
        if (d < 0 || d >= size_n)
            return mt_fail_null(MT_RUNTIME, "Dimension out of range (expected to be between 0 and %lld, but got %lld at index %lld).  NB: negative dims not currently supported; file an issue if you want it.",
                                (long long)size_n - 1, (long long)d, (long long)k);
        if (seen[d])
            return mt_fail_null(MT_RUNTIME, "Duplicate dim not allowed");
        seen[d] = true;
        strides[d] = step;
        step *= MT_MAX(size[d], (int64_t)1);
    }
    return aten_empty_strided(size, size_n, strides, size_n, dtype, layout, device, pin_memory);
}

mt_tensor *
op_range_step(mt_scalar start, mt_scalar end, mt_scalar step, mt_dtype dtype, int64_t layout,
              mt_device device, mt_value pin_memory)
{
    double a = mt_scalar_f64(start), b = mt_scalar_f64(end), s = mt_scalar_f64(step);
    if (dtype == MT_DTYPE_NONE)
        dtype = mt_default_dtype;
    if (s == 0)
        return mt_fail_null(MT_RUNTIME, "step must be nonzero");
    if (b - b != 0 || a - a != 0)
        return mt_fail_null(MT_RUNTIME, "unsupported range: %g -> %g", a, b);
    if (s > 0 ? b < a : b > a)
        return mt_fail_null(MT_RUNTIME, "upper bound and lower bound inconsistent with step sign");
    int64_t n = (int64_t)((b - a) / s) + 1;
    mt_tensor *places = aten_arange(mt_v_int(n), MT_FLOAT64, -1, MT_CPU_DEVICE, mt_v_none());
    mt_tensor *scale = mt_wrap_scalar(step), *first = mt_wrap_scalar(start), *t = NULL, *u = NULL;
    mt_tensor *r = NULL;
    if (places && scale && first && (t = aten_mul_Tensor(places, scale)) &&
        (u = aten_add_Tensor(t, first, mt_v_int(1))))
        r = aten__to_copy(u, dtype, layout, device, pin_memory, false, MT_FORMAT_NONE);
    mt_tensor *made[] = {places, scale, first, t, u};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

static mt_tensor *
triangle_places(int64_t rows, int64_t columns, int64_t offset, bool upper, mt_dtype dtype,
                int64_t layout, mt_device device, mt_value pin_memory)
{
    if (rows < 0)
        return mt_fail_null(MT_RUNTIME, "row must be non-negative, got%lld", (long long)rows);
    if (columns < 0)
        return mt_fail_null(MT_RUNTIME, "col must be non-negative, got%lld", (long long)columns);
    int64_t count = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t split = MT_MAX((int64_t)0, MT_MIN(columns, upper ? r + offset : r + offset + 1));
        count += upper ? columns - split : split;
    }
    int64_t sizes[2] = {2, count};
    mt_tensor *places = mt_empty(2, sizes, NULL, MT_INT64, MT_CPU_DEVICE);
    if (!places)
        return NULL;
    int64_t *row = mt_data(places), *column = row + count;
    for (int64_t r = 0; r < rows; r++) {
        int64_t split = MT_MAX((int64_t)0, MT_MIN(columns, upper ? r + offset : r + offset + 1));
        for (int64_t c = upper ? split : 0; c < (upper ? columns : split); c++) {
            *row++ = r;
            *column++ = c;
        }
    }
    mt_tensor *out = aten__to_copy(places, dtype == MT_DTYPE_NONE ? MT_INT64 : dtype, layout, device,
                                   pin_memory, false, MT_FORMAT_NONE);
    mt_release(places);
    return out;
}

mt_tensor *
op_tril_indices(int64_t row, int64_t col, int64_t offset, mt_dtype dtype, int64_t layout,
                mt_device device, mt_value pin_memory)
{
    return triangle_places(row, col, offset, false, dtype, layout, device, pin_memory);
}

mt_tensor *
op_triu_indices(int64_t row, int64_t col, int64_t offset, mt_dtype dtype, int64_t layout,
                mt_device device, mt_value pin_memory)
{
    return triangle_places(row, col, offset, true, dtype, layout, device, pin_memory);
}

/* ---- sizes in place ----------------------------------------------------------------------- */

int
op_resize_(mt_tensor *self, const int64_t *size, int64_t size_n, mt_memory_format format)
{
    if (mt_requires_grad(self))
        return mt_fail(MT_RUNTIME, "cannot resize variables that require grad");
    if (format == MT_PRESERVE)
        return mt_fail(MT_RUNTIME, "Unsupported memory format %s", "Preserve");
    bool same = size_n == self->ndim && !memcmp(size, self->sizes, (size_t)size_n * sizeof *size);
    if (size_n > MT_MAX_DIMS)
        return mt_fail(MT_RUNTIME, "resize_: at most %d dimensions, got %lld", MT_MAX_DIMS,
                       (long long)size_n);
    if (!same && mt_resize(self, (int)size_n, size, NULL) < 0)
        return -1;
    if (format > MT_PRESERVE || format == MT_CONTIGUOUS) {
        int64_t strides[MT_MAX_DIMS];
        if (mt_format_strides((int)size_n, self->sizes, format, strides) < 0)
            return -1;
        return mt_tensor_set_geometry(self, (int)size_n, size, strides);
    }
    return 0;
}

int
op_resize_as_(mt_tensor *self, mt_tensor *the_template, mt_memory_format format)
{
    if (mt_requires_grad(self))
        return mt_fail(MT_RUNTIME, "cannot resize variables that require grad");
    mt_memory_format chosen = format == MT_PRESERVE ? mt_suggest_format(the_template) : format;
    return op_resize_(self, the_template->sizes, the_template->ndim, chosen);
}

/* ---- dtypes ------------------------------------------------------------------------------- */

int
op_promote_types(mt_dtype type1, mt_dtype type2, mt_dtype *ret0)
{
    *ret0 = mt_promote(type1, type2);
    return *ret0 == MT_DTYPE_NONE ? -1 : 0;
}

int
op_can_cast(mt_dtype from_, mt_dtype to, bool *ret0)
{
    *ret0 = !(mt_is_complex(from_) && !mt_is_complex(to)) &&
            !(mt_is_floating(from_) && mt_is_integral(to, true)) &&
            !(from_ != MT_BOOL && to == MT_BOOL);
    return 0;
}

static int
result_of(mt_value a, mt_value b, mt_dtype *dtype)
{
    mt_value values[2] = {a, b};
    static const uint8_t which[2] = {0, 1};
    *dtype = mt_result_type(values, which, 2);
    return *dtype == MT_DTYPE_NONE ? -1 : 0;
}

int
op_result_type_Tensor(mt_tensor *tensor, mt_tensor *other, mt_dtype *ret0)
{
    return result_of(mt_v_tensor(tensor), mt_v_tensor(other), ret0);
}

int
op_result_type_Scalar(mt_tensor *tensor, mt_scalar other, mt_dtype *ret0)
{
    return result_of(mt_v_tensor(tensor), other, ret0);
}

int
op_result_type_Scalar_Tensor(mt_scalar scalar, mt_tensor *tensor, mt_dtype *ret0)
{
    return result_of(scalar, mt_v_tensor(tensor), ret0);
}

int
op_result_type_Scalar_Scalar(mt_scalar scalar1, mt_scalar scalar2, mt_dtype *ret0)
{
    return result_of(scalar1, scalar2, ret0);
}
