/* Advanced indexing: x[indices] and its inverse.
 *
 * Masks become the places of their true elements, index tensors are broadcast together and turned
 * into byte offsets once, with bounds checked there; what remains is moving blocks (places.c). The
 * indexed dimensions stay in place where they are neighbours and move to the front where they are
 * not, as in NumPy. */
#include "ops/indexing.h"

#include "base/alloc.h"
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef struct plan {
    mt_tensor *index[MT_MAX_DIMS]; /* per dimension of self, int64 or NULL; owned */
    int index_ndim;
    int64_t index_sizes[MT_MAX_DIMS];
    int ndim; /* of the result */
    int64_t sizes[MT_MAX_DIMS];
    mt_places places;
} plan;

static void
clear(plan *p, const mt_tensor *self)
{
    for (int d = 0; d < self->ndim; d++)
        mt_xrelease(p->index[d]);
    mt_places_clear(&p->places);
}

/* A mask covers as many dimensions as it has; the column of each becomes an index. */
static int
add_mask(plan *p, mt_tensor *self, mt_tensor *mask, int *dim)
{
    for (int d = 0; d < mask->ndim; d++) {
        if (*dim + d >= self->ndim)
            return mt_fail(MT_INDEX, "too many indices for tensor of dimension %d", self->ndim);
        if (mask->sizes[d] != self->sizes[*dim + d])
            return mt_fail(MT_INDEX,
                           "The shape of the mask %s at index %d does not match the shape of the "
                           "indexed tensor %s at index %d",
                           mt_shape_str(mask), d, mt_shape_str(self), *dim + d);
    }
    mt_tensor *columns = mt_nonzero_columns(mask);
    if (!columns)
        return -1;
    int64_t count = columns->sizes[1];
    int rc = 0;
    for (int d = 0; d < mask->ndim && rc == 0; d++)
        if (!(p->index[*dim + d] = mt_alias(columns, d * count, 1, &count, NULL)))
            rc = -1;
    *dim += mask->ndim;
    mt_release(columns);
    return rc;
}

static int
add_indices(plan *p, mt_tensor *self, mt_tensor *const *indices, int64_t n)
{
    int dim = 0;
    for (int64_t i = 0; i < n; i++) {
        mt_tensor *x = indices[i];
        if (x && x->dtype != MT_INT64 && x->dtype != MT_INT32 && x->dtype != MT_BOOL &&
            x->dtype != MT_UINT8)
            return mt_fail(MT_INDEX,
                           "tensors used as indices must be long, int, byte or bool tensors");
    }
    for (int64_t i = 0; i < n; i++) {
        mt_tensor *x = indices[i];
        if (!x) {
            dim++;
            continue;
        }
        if (x->dtype == MT_UINT8 &&
            mt_warn(MT_WARN_USER, "indexing with dtype torch.uint8 is now deprecated, please use a "
                                  "dtype torch.bool instead.") < 0)
            return -1;
        if (x->dtype == MT_BOOL || x->dtype == MT_UINT8) {
            if (x->ndim == 0) { /* one dimension of size 1 was put there for it */
                return mt_fail(MT_INDEX, "a mask of no dimension covers nothing");
            }
            if (add_mask(p, self, x, &dim) < 0)
                return -1;
        } else {
            if (dim >= self->ndim)
                return mt_fail(MT_INDEX, "too many indices for tensor of dimension %d (got %lld)",
                               self->ndim, (long long)n);
            if (!(p->index[dim++] = mt_index_i64(x)))
                return -1;
        }
    }
    if (dim > self->ndim)
        return mt_fail(MT_INDEX, "too many indices for tensor of dimension %d (got %d)", self->ndim,
                       dim);
    return 0;
}

static int
broadcast_indices(plan *p, int ndim)
{
    const mt_tensor *first = NULL;
    bool same = true;
    for (int d = 0; d < ndim; d++)
        if (p->index[d]) {
            same = same && (!first || mt_same_shape(first, p->index[d]));
            first = first ? first : p->index[d];
        }
    if (!first)
        return 0;
    p->index_ndim = first->ndim;
    memcpy(p->index_sizes, first->sizes, (size_t)first->ndim * sizeof(int64_t));
    if (same)
        return 0;
    for (int d = 0; d < ndim; d++)
        if (p->index[d] &&
            (p->index_ndim = mt_broadcast(p->index_sizes, p->index_ndim, p->index[d]->sizes,
                                          p->index[d]->ndim)) < 0) {
            char text[1024];
            size_t used = 0;
            text[0] = 0;
            for (int k = 0; k < ndim && used < sizeof text - 256; k++)
                if (p->index[k]) {
                    const char *shape = mt_shape_str(p->index[k]);
                    size_t len = MT_MIN(strlen(shape), (size_t)200);
                    if (used)
                        text[used++] = ',', text[used++] = ' ';
                    memcpy(text + used, shape, len);
                    text[used += len] = 0;
                }
            return mt_fail(MT_INDEX,
                           "shape mismatch: indexing tensors could not be broadcast together with "
                           "shapes %s",
                           text);
        }
    for (int d = 0; d < ndim; d++)
        if (p->index[d]) {
            mt_tensor *t = mt_packed_as(p->index[d], MT_INT64, p->index_ndim, p->index_sizes);
            if (!t)
                return -1;
            mt_release(p->index[d]);
            p->index[d] = t;
        }
    return 0;
}

/* Byte offset of each position, bounds checked. */
static int
add_offsets(plan *p, mt_tensor *self, int64_t other_numel)
{
    int64_t count = 1;
    for (int d = 0; d < p->index_ndim; d++)
        count *= p->index_sizes[d];
    int64_t *at = mt_alloc((size_t)MT_MAX(count, 1) * sizeof *at);
    if (!at)
        return -1;
    mt_places *places = &p->places;
    places->at = at;
    places->nat = count;
    bool first = true;
    for (int d = 0; d < self->ndim; d++) {
        if (!p->index[d])
            continue;
        const int64_t *x = mt_data(p->index[d]);
        int64_t size = self->sizes[d], step = self->strides[d] * mt_itemsize(self);
        if (size == 0 && count && other_numel)
            return mt_fail(MT_INDEX, "index is out of bounds for dimension with size 0");
        for (int64_t i = 0; i < count; i++) {
            int64_t v = x[i];
            if (MT_UNLIKELY(v < -size || v >= size)) {
                if (other_numel == 0)
                    v = 0;
                else
                    return mt_fail(MT_INDEX,
                                   "index %lld is out of bounds for dimension %d with size %lld",
                                   (long long)v, d, (long long)size);
            }
            v = (v < 0 ? v + size : v) * step;
            at[i] = first ? v : at[i] + v;
        }
        first = false;
    }
    return 0;
}

static int
make_plan(plan *p, mt_tensor *self, mt_tensor *const *indices, int64_t n)
{
    memset(p->index, 0, self->ndim * sizeof *p->index);
    p->index_ndim = 0;
    p->places = (mt_places){0};
    if (add_indices(p, self, indices, n) < 0 || broadcast_indices(p, self->ndim) < 0)
        return -1;
    int before[MT_MAX_DIMS], after[MT_MAX_DIMS], nb = 0, na = 0, first = -1, last = -1, count = 0;
    for (int d = 0; d < self->ndim; d++)
        if (p->index[d]) {
            first = first < 0 ? d : first;
            last = d;
            count++;
        }
    if (count == 0)
        return mt_fail(MT_INDEX, "index: at least one index tensor is needed");
    bool neighbours = last - first + 1 == count;
    int64_t rest = 1;
    for (int d = 0; d < self->ndim; d++) {
        if (p->index[d])
            continue;
        rest *= self->sizes[d];
        if (neighbours && d < first)
            before[nb++] = d;
        else
            after[na++] = d;
    }
    if (nb + na + p->index_ndim > MT_MAX_DIMS)
        return mt_fail(MT_RUNTIME, "index: at most %d dimensions", MT_MAX_DIMS);
    p->ndim = 0;
    for (int i = 0; i < nb; i++)
        p->sizes[p->ndim++] = self->sizes[before[i]];
    for (int i = 0; i < p->index_ndim; i++)
        p->sizes[p->ndim++] = p->index_sizes[i];
    for (int i = 0; i < na; i++)
        p->sizes[p->ndim++] = self->sizes[after[i]];
    if (mt_is_meta(self))
        return 0;
    if (mt_places_init(&p->places, self, before, nb, after, na) < 0)
        return -1;
    return add_offsets(p, self, rest);
}

static int
check_devices(mt_tensor *self, mt_tensor *const *indices, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (indices[i] && mt_is_meta(indices[i]) && !mt_is_meta(self))
            return mt_fail(MT_RUNTIME, "indices should be either on cpu or on the same device as the "
                                       "indexed tensor (cpu)");
    return 0;
}

mt_tensor *
op_index_Tensor(mt_tensor *self, mt_tensor *const *indices, int64_t indices_n)
{
    plan p;
    mt_tensor *out = NULL;
    if (check_devices(self, indices, indices_n) < 0)
        return NULL;
    if (make_plan(&p, self, indices, indices_n) == 0 &&
        (out = mt_empty(p.ndim, p.sizes, NULL, (mt_dtype)self->dtype, self->device)) &&
        !mt_is_meta(self))
        mt_places_read(&p.places, mt_data(out));
    clear(&p, self);
    return out;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int
put(mt_tensor *self, mt_tensor *const *indices, int64_t n, mt_tensor *values, bool accumulate)
{
    plan p;
    int rc = -1;
    mt_tensor *packed = NULL, *source = NULL;
    if (check_devices(self, indices, n) < 0)
        return -1;
    if (make_plan(&p, self, indices, n) < 0)
        goto done;
    if (values->dtype != self->dtype) {
        mt_fail(MT_RUNTIME,
                "Index put requires the source and destination dtypes match, got %s for the "
                "destination and %s for the source.",
                mt_dtypes[self->dtype].scalar_name, mt_dtypes[values->dtype].scalar_name);
        goto done;
    }
    bool fits = values->ndim <= p.ndim;
    for (int d = 0; fits && d < values->ndim; d++) {
        int64_t have = values->sizes[values->ndim - 1 - d], want = p.sizes[p.ndim - 1 - d];
        fits = have == want || have == 1;
    }
    if (!fits) {
        mt_fail(MT_RUNTIME,
                "shape mismatch: value tensor of shape %s cannot be broadcast to indexing result of "
                "shape %s",
                mt_shape_str(values), mt_str_ints(p.sizes, p.ndim));
        goto done;
    }
    if (mt_check_no_internal_overlap(self) < 0)
        goto done;
    if (mt_is_meta(self)) {
        rc = 0;
        goto done;
    }
    mt_combine combine = accumulate ? mt_combiner(MT_COMBINE_ADD, (mt_dtype)self->dtype) : NULL;
    bool repeat = values->numel == 1;
    int64_t row = p.places.nafter * (int64_t)p.places.block / mt_itemsize(self);
    if (values->storage == self->storage) { /* what is read must not change under way */
        if (!(source = mt_empty(values->ndim, values->sizes, NULL, (mt_dtype)values->dtype,
                                values->device)) ||
            mt_copy_data(source, values) < 0)
            goto done;
        values = source;
    }
    if (repeat) {
        mt_tensor *one = mt_packed_as(values, (mt_dtype)self->dtype, values->ndim, values->sizes);
        mt_tensor *flat = one ? mt_alias(one, one->offset, 0, NULL, NULL) : NULL;
        packed = flat ? mt_packed_as(flat, (mt_dtype)self->dtype, 1, &row) : NULL;
        mt_xrelease(flat);
        mt_xrelease(one);
    } else
        packed = mt_packed_as(values, (mt_dtype)self->dtype, p.ndim, p.sizes);
    if (!packed)
        goto done;
    mt_places_write(&p.places, mt_data(packed), repeat, combine, (size_t)mt_itemsize(self));
    rc = 0;
done:
    mt_xrelease(source);
    mt_xrelease(packed);
    clear(&p, self);
    return rc;
}

int
op__index_put_impl_(mt_tensor *self, mt_tensor *const *indices, int64_t indices_n,
                    mt_tensor *values, bool accumulate, bool unsafe)
{
    (void)unsafe;
    return put(self, indices, indices_n, values, accumulate);
}

int
op_index_put_(mt_tensor *self, mt_tensor *const *indices, int64_t indices_n, mt_tensor *values,
              bool accumulate)
{
    return put(self, indices, indices_n, values, accumulate);
}

mt_tensor *
op_index_put(mt_tensor *self, mt_tensor *const *indices, int64_t indices_n, mt_tensor *values,
             bool accumulate)
{
    mt_tensor *t = aten_clone(self, MT_PRESERVE);
    if (t && put(t, indices, indices_n, values, accumulate) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
mth_index_backward(mt_tensor *grad, const int64_t *shape, int64_t shape_n,
                   mt_tensor *const *indices, int64_t indices_n)
{
    mt_tensor *zeros =
        aten_new_zeros(grad, shape, shape_n, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none());
    if (zeros && aten_index_put_(zeros, indices, indices_n, grad, true) < 0) {
        mt_release(zeros);
        return NULL;
    }
    return zeros;
}

mt_tensor *
mth_index_put_self_backward(mt_tensor *grad, mt_tensor *const *indices, int64_t indices_n,
                            bool accumulate)
{
    if (accumulate)
        return mt_keep(grad);
    mt_tensor *zero = aten_zeros(NULL, 0, (mt_dtype)grad->dtype, -1, grad->device, mt_v_none());
    mt_tensor *r = zero ? aten_index_put(grad, indices, indices_n, zero, false) : NULL;
    mt_xrelease(zero);
    return r;
}

/* ---- along one dimension ------------------------------------------------------------------ */

/* Places of the slices that a packed int64 index names. */
static int
slice_places(mt_places *p, mt_tensor *self, int dim, mt_tensor *index, mt_error_kind kind,
             const char *who, bool negative)
{
    int before[MT_MAX_DIMS], after[MT_MAX_DIMS], nb = 0, na = 0;
    for (int d = 0; d < self->ndim; d++)
        if (d < dim)
            before[nb++] = d;
        else if (d > dim)
            after[na++] = d;
    if (mt_places_init(p, self, before, nb, after, na) < 0)
        return -1;
    int64_t n = index->numel, size = self->ndim ? self->sizes[dim] : 1,
            step = self->ndim ? self->strides[dim] * mt_itemsize(self) : 0;
    const int64_t *x = mt_data(index);
    int64_t *at = mt_alloc((size_t)MT_MAX(n, 1) * sizeof *at);
    if (!at)
        return -1;
    p->at = at;
    p->nat = n;
    for (int64_t i = 0; i < n; i++) {
        int64_t v = negative && x[i] < 0 ? x[i] + size : x[i];
        if (MT_UNLIKELY(v < 0 || v >= size))
            return who ? mt_fail(kind, "%sindex %lld is out of bounds for dimension %d with size %lld",
                                 who, (long long)x[i], dim, (long long)size)
                       : mt_fail(kind, "index out of range in self");
        at[i] = v * step;
    }
    return 0;
}

mt_tensor *
op_index_select(mt_tensor *self, int64_t dim, mt_tensor *index)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return NULL;
    if (index->ndim > 1)
        return mt_fail_null(MT_INDEX, "index_select(): Index is supposed to be a vector");
    if (self->ndim == 0 && index->numel != 1)
        return mt_fail_null(MT_RUNTIME,
                            "index_select(): Index to scalar can have only 1 value, got %lld value(s)",
                            (long long)index->numel);
    if (index->dtype != MT_INT64 && index->dtype != MT_INT32)
        return mt_fail_null(MT_RUNTIME,
                            "index_select(): Expected dtype int32 or int64 for index");
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    if (self->ndim)
        sizes[d] = index->numel;
    mt_tensor *out = mt_empty(self->ndim, sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!out || mt_is_meta(self))
        return out;
    mt_tensor *packed = mt_index_i64(index);
    mt_places p = {0};
    int rc = -1;
    if (packed && self->ndim && self->sizes[d] == 0 && packed->numel)
        mt_fail(MT_RUNTIME, "index_select(): self indexing axis dim should be positive");
    else if (packed)
        rc = slice_places(&p, self, d, packed, MT_INDEX, NULL, false);
    if (rc == 0)
        mt_places_read(&p, mt_data(out));
    mt_places_clear(&p);
    mt_xrelease(packed);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_index_select_backward(mt_tensor *grad, const int64_t *self_sizes, int64_t self_sizes_n,
                         int64_t dim, mt_tensor *index)
{
    mt_tensor *t = mt_empty((int)self_sizes_n, self_sizes, NULL, (mt_dtype)grad->dtype,
                            grad->device);
    if (!t || aten_zero_(t) < 0 || aten_index_add_(t, dim, index, grad, mt_v_int(1)) < 0) {
        mt_xrelease(t);
        return NULL;
    }
    return t;
}

/* Writes or adds the slices of a packed source of self's dtype. */
static int
write_slices(mt_tensor *self, int dim, mt_tensor *index, mt_tensor *source, bool repeat,
             mt_combine combine, mt_error_kind kind, const char *who, bool negative)
{
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (mt_is_meta(self))
        return 0;
    mt_tensor *x = mt_index_i64(index);
    mt_places p = {0};
    int rc = x ? slice_places(&p, self, dim, x, kind, who, negative) : -1;
    mt_tensor *packed = NULL;
    if (rc == 0) {
        int64_t row = p.nafter * (int64_t)p.block / mt_itemsize(self);
        if (repeat)
            packed = mt_packed_as(source, (mt_dtype)self->dtype, 1, &row);
        else if (source->storage == self->storage) {
            packed = mt_empty(source->ndim, source->sizes, NULL, (mt_dtype)self->dtype,
                              self->device);
            if (packed && mt_copy_data(packed, source) < 0) {
                mt_release(packed);
                packed = NULL;
            }
        } else
            packed = mt_packed_as(source, (mt_dtype)self->dtype, source->ndim, source->sizes);
        rc = packed ? 0 : -1;
    }
    if (rc == 0)
        mt_places_write(&p, mt_data(packed), repeat, combine, (size_t)mt_itemsize(self));
    mt_xrelease(packed);
    mt_places_clear(&p);
    mt_xrelease(x);
    return rc;
}

int
op_index_add_(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *source, mt_scalar alpha)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    if (index->dtype != MT_INT64 && index->dtype != MT_INT32)
        return mt_fail(MT_RUNTIME, "index_add_(): Expected dtype int32/int64 for index but got: %s",
                       mt_dtypes[index->dtype].scalar_name);
    if (index->ndim > 1)
        return mt_fail(MT_INDEX,
                       "index_add_(): Index is supposed to be a vector, but got dim: %d with type: %s "
                       "and size: %s",
                       index->ndim, mt_dtypes[index->dtype].scalar_name, mt_shape_str(index));
    if (source->dtype != self->dtype)
        return mt_fail(MT_RUNTIME, "index_add_(): self (%s) and source (%s) must have the same scalar "
                                   "type",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[source->dtype].scalar_name);
    int64_t length = source->ndim ? d < source->ndim ? source->sizes[d] : -1 : 1;
    if (source->ndim && d >= source->ndim)
        return mt_fail(MT_RUNTIME, "index_add_(): Indexing dim %d is out of bounds of tensor", d);
    if (index->numel != length)
        return mt_fail(MT_RUNTIME,
                       "index_add_(): Number of indices (%lld) should be equal to source.size(dim): "
                       "(%lld), for dim: %d",
                       (long long)index->numel, (long long)length, d);
    bool fits = self->ndim == source->ndim || (self->ndim <= 1 && source->ndim <= 1);
    for (int k = 0; fits && k < self->ndim && k < source->ndim; k++)
        fits = k == d || self->sizes[k] == source->sizes[k];
    if (!fits)
        return mt_fail(MT_RUNTIME,
                       "source tensor shape must match self tensor shape, excluding the specified "
                       "dimension. Got self.shape = %s source.shape = %s",
                       mt_shape_str(self), mt_shape_str(source));
    mt_tensor *scaled = NULL;
    if (!mt_scalar_equals(alpha, 1)) {
        mt_tensor *a = mt_wrap_scalar(alpha);
        mt_tensor *wide = a ? aten_mul_Tensor(source, a) : NULL;
        mt_xrelease(a);
        if (!wide)
            return -1;
        source = scaled = wide;
    }
    int rc = write_slices(self, d, index, source, false,
                          mt_combiner(MT_COMBINE_ADD, (mt_dtype)self->dtype), MT_RUNTIME, "", false);
    mt_xrelease(scaled);
    return rc;
}

mt_tensor *
mth_index_add_source_backward(mt_tensor *grad, mt_tensor *source, int64_t dim, mt_tensor *index,
                              mt_scalar alpha)
{
    mt_tensor *r;
    if (source->ndim == 0) {
        mt_tensor *flat = aten_reshape(index, (const int64_t[]){-1}, 1);
        mt_tensor *slice = flat ? aten_index_select(grad, dim, flat) : NULL;
        r = slice ? aten_reshape(slice, NULL, 0) : NULL;
        mt_xrelease(slice);
        mt_xrelease(flat);
    } else {
        r = aten_index_select(grad, dim, index);
        if (r && !mt_same_shape(r, source)) {
            mt_tensor *shaped = aten_reshape(r, source->sizes, source->ndim);
            mt_release(r);
            r = shaped;
        }
    }
    if (r && !mt_scalar_equals(alpha, 1)) {
        mt_tensor *a = mt_wrap_scalar(alpha), *scaled = a ? aten_mul_Tensor(r, a) : NULL;
        mt_xrelease(a);
        mt_release(r);
        r = scaled;
    }
    return r;
}

int
op_index_copy_(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *source)
{
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    if (index->ndim > 1)
        return mt_fail(MT_INDEX, "index_copy_(): Index should have dimension 1 or 0 (got %d)",
                       index->ndim);
    int64_t n = index->numel, length = source->ndim && d < source->ndim ? source->sizes[d] : 1;
    if (source->ndim == 0 && n != 1)
        return mt_fail(MT_INDEX,
                       "index_copy_(): When source is scalar, index should have one element (got "
                       "%lld)",
                       (long long)n);
    if (source->ndim != self->ndim && source->ndim && self->ndim)
        return mt_fail(MT_INDEX,
                       "index_copy_(): When source and destination are not scalars, their "
                       "dimensionality must match. Source dimensionality (%d), destination "
                       "dimensionality (%d)",
                       source->ndim, self->ndim);
    if (index->dtype != MT_INT64)
        return mt_fail(MT_RUNTIME, "index_copy_(): Expected a long tensor for index, but got %s",
                       mt_dtypes[index->dtype].scalar_name);
    if (self->dtype != source->dtype)
        return mt_fail(MT_RUNTIME,
                       "index_copy_(): self and source expected to have the same dtype, but got (self) "
                       "%s and (source) %s",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[source->dtype].scalar_name);
    int64_t a[MT_MAX_DIMS], b[MT_MAX_DIMS];
    int na = 0, nb = 0;
    for (int k = 0; k < self->ndim; k++)
        if (k != d)
            a[na++] = self->sizes[k];
    for (int k = 0; k < source->ndim; k++)
        if (k != d)
            b[nb++] = source->sizes[k];
    if (na != nb || memcmp(a, b, (size_t)na * sizeof *a)) {
        char ta[256] = "", tb[256] = "";
        size_t ua = 0, ub = 0;
        for (int k = 0; k < na && ua < 200; k++)
            ua += strlen(strncat(ta, mt_str("%s%lld", k ? " " : "", (long long)a[k]), 30)) - ua;
        for (int k = 0; k < nb && ub < 200; k++)
            ub += strlen(strncat(tb, mt_str("%s%lld", k ? " " : "", (long long)b[k]), 30)) - ub;
        return mt_fail(MT_RUNTIME,
                       "index_copy_(): Source/destination tensor must have same slice shapes. "
                       "Destination slice shape: %s at dimension %d and source slice shape: %s at "
                       "dimension 0.",
                       ta, d, tb);
    }
    if (n != length)
        return mt_fail(MT_INDEX,
                       "index_copy_(): Number of indices (%lld) should be equal to source.size(dim) "
                       "(%lld)",
                       (long long)n, (long long)length);
    return write_slices(self, d, index, source, false, NULL, MT_INDEX, "index_copy_(): ", true);
}

static int
fill_slices(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *value)
{
    if (index->dtype != MT_INT64)
        return mt_fail(MT_INDEX, "index_fill_(): Expected dtype int64 for index.");
    if (index->ndim > 1)
        return mt_fail(MT_RUNTIME, "Index has to be a vector/scalar");
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0)
        return -1;
    if (!mt_is_complex((mt_dtype)self->dtype) && mt_is_complex((mt_dtype)value->dtype))
        return mt_fail(MT_RUNTIME, "index_fill_(): Converting complex Scalar to non-complex type is not "
                                   "supported");
    return write_slices(self, d, index, value, true, NULL, MT_INDEX, "", true);
}

int
op_index_fill__int_Scalar(mt_tensor *self, int64_t dim, mt_tensor *index, mt_scalar value)
{
    mt_tensor *t = mt_wrap_scalar(value);
    int rc = t ? fill_slices(self, dim, index, t) : -1;
    mt_xrelease(t);
    return rc;
}

int
op_index_fill__int_Tensor(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *value)
{
    if (value->ndim)
        return mt_fail(MT_RUNTIME,
                       "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                       "%d dimension(s).",
                       value->ndim);
    return fill_slices(self, dim, index, value);
}

/* ---- the forms that leave self alone ------------------------------------------------------ */

#define COPIED(name, inplace, params, ...)                                                         \
    mt_tensor *name params                                                                         \
    {                                                                                              \
        mt_tensor *t = aten_clone(self, MT_PRESERVE);                                              \
        if (t && inplace(t, __VA_ARGS__) < 0) {                                                    \
            mt_release(t);                                                                         \
            return NULL;                                                                           \
        }                                                                                          \
        return t;                                                                                  \
    }
COPIED(op_index_add, op_index_add_,
       (mt_tensor * self, int64_t dim, mt_tensor *index, mt_tensor *source, mt_scalar alpha), dim,
       index, source, alpha)
COPIED(op_index_copy, op_index_copy_,
       (mt_tensor * self, int64_t dim, mt_tensor *index, mt_tensor *source), dim, index, source)
COPIED(op_index_fill_int_Scalar, op_index_fill__int_Scalar,
       (mt_tensor * self, int64_t dim, mt_tensor *index, mt_scalar value), dim, index, value)
COPIED(op_index_fill_int_Tensor, op_index_fill__int_Tensor,
       (mt_tensor * self, int64_t dim, mt_tensor *index, mt_tensor *value), dim, index, value)
