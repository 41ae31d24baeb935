/* Making and freeing tensors. */
#include "tensor/tensor.h"

#include <stdlib.h>


mt_dtype mt_default_dtype = MT_FLOAT32;

static mt_tensor *
blank(void)
{
    mt_tensor *t = (mt_tensor *)mt_the_host.object_new(MT_OBJECT_TENSOR);
    if (MT_UNLIKELY(!t))
        return NULL;
    /* everything between the head and the inline dimensions */
    memset((char *)t + sizeof(mt_object), 0, offsetof(mt_tensor, dims) - sizeof(mt_object));
    t->sizes = t->dims;
    t->strides = t->dims + MT_INLINE_DIMS;
    t->device = MT_CPU_DEVICE;
    return t;
}

mt_tensor *
mt_tensor_blank(void)
{
    return blank();
}

/* Which packed layouts the geometry has. */
static uint32_t
geometry_flags(int ndim, const int64_t *sizes, const int64_t *strides, int64_t numel)
{
    uint32_t flags = 0;
    int64_t expect = 1;
    bool contiguous = true;
    for (int d = ndim - 1; d >= 0; d--) {
        if (sizes[d] != 1) {
            if (strides[d] != expect) {
                contiguous = false;
                break;
            }
            expect *= sizes[d];
        }
    }
    if (numel == 0)
        contiguous = true;
    if (contiguous)
        flags |= MT_T_CONTIGUOUS | MT_T_DENSE;
    if (ndim == 4 || ndim == 5) {
        /* channels last: C fastest, then the spatial dimensions from the last on, N slowest */
        static const int order4[] = {1, 3, 2, 0}, order5[] = {1, 4, 3, 2, 0};
        const int *order = ndim == 4 ? order4 : order5;
        bool last = true;
        expect = 1;
        for (int i = 0; i < ndim && last; i++) {
            int d = order[i];
            if (sizes[d] != 1) {
                if (strides[d] != expect)
                    last = false;
                expect *= sizes[d];
            }
        }
        if (last)
            flags |= (ndim == 4 ? MT_T_CHANNELS_LAST : MT_T_CHANNELS_LAST_3D) | MT_T_DENSE;
    }
    if (!(flags & MT_T_DENSE)) {
        /* sort by stride; dense when the strides are the running product of the sizes */
        int order[MT_MAX_DIMS], n = 0;
        bool dense = true;
        for (int d = 0; d < ndim; d++)
            if (sizes[d] != 1) {
                int at = n++;
                while (at > 0 && strides[order[at - 1]] > strides[d]) {
                    order[at] = order[at - 1];
                    at--;
                }
                order[at] = d;
            }
        expect = 1;
        for (int i = 0; i < n && dense; i++) {
            if (strides[order[i]] != expect)
                dense = false;
            expect *= sizes[order[i]];
        }
        if (dense)
            flags |= MT_T_DENSE;
    }
    return flags;
}

#define GEOMETRY_FLAGS (MT_T_CONTIGUOUS | MT_T_CHANNELS_LAST | MT_T_CHANNELS_LAST_3D | MT_T_DENSE)

static int
reserve_dims(mt_tensor *self, int ndim)
{
    if (ndim <= MT_INLINE_DIMS) {
        if (self->flags & MT_T_HEAP_DIMS) {
            free(self->sizes);
            self->flags &= ~(uint32_t)MT_T_HEAP_DIMS;
            self->sizes = self->dims;
            self->strides = self->dims + MT_INLINE_DIMS;
        }
        return 0;
    }
    if (ndim > MT_MAX_DIMS)
        return mt_fail(MT_RUNTIME, "tensors have at most %d dimensions, got %d", MT_MAX_DIMS, ndim);
    if (self->flags & MT_T_HEAP_DIMS && self->ndim >= ndim)
        return 0;
    int64_t *block = malloc(2 * (size_t)ndim * sizeof(int64_t));
    if (!block)
        return mt_fail(MT_MEMORY, "not enough memory for the sizes of a tensor");
    if (self->flags & MT_T_HEAP_DIMS)
        free(self->sizes);
    self->sizes = block;
    self->strides = block + ndim;
    self->flags |= MT_T_HEAP_DIMS;
    return 0;
}

int
mt_tensor_set_geometry(mt_tensor *self, int ndim, const int64_t *sizes, const int64_t *strides)
{
    int64_t copy_sizes[MT_MAX_DIMS], copy_strides[MT_MAX_DIMS];
    if (ndim > MT_INLINE_DIMS) {
        /* the arguments may be self's own arrays */
        if (ndim > MT_MAX_DIMS)
            return mt_fail(MT_RUNTIME, "tensors have at most %d dimensions, got %d", MT_MAX_DIMS,
                           ndim);
        memcpy(copy_sizes, sizes, (size_t)ndim * sizeof(int64_t));
        sizes = copy_sizes;
        if (strides) {
            memcpy(copy_strides, strides, (size_t)ndim * sizeof(int64_t));
            strides = copy_strides;
        }
    }
    if (MT_UNLIKELY(ndim > MT_INLINE_DIMS || self->flags & MT_T_HEAP_DIMS)) {
        if (self->flags & MT_T_HEAP_DIMS && ndim <= MT_INLINE_DIMS) {
            memcpy(copy_sizes, sizes, (size_t)ndim * sizeof(int64_t));
            sizes = copy_sizes;
            if (strides) {
                memcpy(copy_strides, strides, (size_t)ndim * sizeof(int64_t));
                strides = copy_strides;
            }
        }
        if (reserve_dims(self, ndim) < 0)
            return -1;
    }
    for (int d = 0; d < ndim; d++)
        self->sizes[d] = sizes[d];
    self->ndim = (uint8_t)ndim;
    uint32_t flags = self->flags & ~(uint32_t)GEOMETRY_FLAGS;
    if (!strides) {
        int64_t numel = mt_contiguous_strides(ndim, sizes, self->strides);
        if (MT_UNLIKELY(numel < 0))
            return -1;
        self->numel = numel;
        if (ndim < 4) {
            self->flags = flags | MT_T_CONTIGUOUS | MT_T_DENSE;
            return 0;
        }
    } else {
        int64_t numel = 1;
        for (int d = 0; d < ndim; d++) {
            self->strides[d] = strides[d];
            numel *= sizes[d];
        }
        self->numel = numel;
    }
    self->flags = flags | geometry_flags(ndim, self->sizes, self->strides, self->numel);
    return 0;
}

/* Bytes that a geometry spans, or -1 on overflow. */
static int64_t
span_bytes(mt_dtype dtype, int ndim, const int64_t *sizes, const int64_t *strides)
{
    int64_t last = 0, step, bytes;
    for (int d = 0; d < ndim; d++) {
        if (sizes[d] == 0)
            return 0;
        if (mt_mul_overflows(sizes[d] - 1, strides[d], &step) || mt_add_overflows(last, step, &last))
            return -1;
    }
    if (mt_mul_overflows(last + 1, (int64_t)mt_dtype_size(dtype), &bytes))
        return -1;
    return bytes;
}

mt_tensor *
mt_empty(int ndim, const int64_t *sizes, const int64_t *strides, mt_dtype dtype, mt_device device)
{
    for (int d = 0; d < ndim; d++)
        if (MT_UNLIKELY(sizes[d] < 0))
            return mt_fail_null(
                MT_RUNTIME,
                "Trying to create tensor with negative dimension %lld: %s", (long long)sizes[d],
                mt_str_ints(sizes, ndim));
    mt_tensor *t = blank();
    if (MT_UNLIKELY(!t))
        return NULL;
    t->dtype = (uint8_t)dtype;
    int64_t bytes;
    if (MT_UNLIKELY(mt_tensor_set_geometry(t, ndim, sizes, strides) < 0))
        goto fail;
    if (!strides) {
        if (MT_UNLIKELY(mt_mul_overflows(t->numel, (int64_t)mt_dtype_size(dtype), &bytes)))
            bytes = -1;
    } else
        bytes = span_bytes(dtype, ndim, sizes, strides);
    if (MT_UNLIKELY(bytes < 0)) {
        mt_fail(MT_RUNTIME, "Storage size calculation overflowed with sizes=%s and strides=%s",
                mt_str_ints(sizes, ndim), mt_str_ints(t->strides, ndim));
        goto fail;
    }
    if (MT_LIKELY(device.type == MT_CPU))
        t->keys = MT_KEYS_CPU;
    else {
        t->keys = mt_device_keys(device, false);
        t->device = device;
    }
    if (MT_UNLIKELY(mt_this_thread()->inference_mode)) {
        t->keys = mt_device_keys(device, true);
        t->flags |= MT_T_INFERENCE;
    }
    if (!(t->storage = mt_storage_new((size_t)bytes, device.type)))
        goto fail;
    return t;
fail:
    mt_release(t);
    return NULL;
}

mt_tensor *
mt_empty_format(int ndim, const int64_t *sizes, mt_dtype dtype, mt_device device,
                mt_memory_format format)
{
    if (format <= MT_PRESERVE)
        return mt_empty(ndim, sizes, NULL, dtype, device);
    int64_t strides[MT_MAX_DIMS];
    if (mt_format_strides(ndim, sizes, format, strides) < 0)
        return NULL;
    return mt_empty(ndim, sizes, strides, dtype, device);
}

mt_tensor *
mt_tensor_on(mt_storage *storage, mt_dtype dtype, int64_t offset, int ndim, const int64_t *sizes,
             const int64_t *strides, mt_keys keys, mt_device device)
{
    mt_tensor *t = blank();
    if (MT_UNLIKELY(!t))
        return NULL;
    t->dtype = (uint8_t)dtype;
    if (MT_UNLIKELY(mt_tensor_set_geometry(t, ndim, sizes, strides) < 0)) {
        mt_release(t);
        return NULL;
    }
    t->storage = mt_storage_keep(storage);
    t->offset = offset;
    t->keys = keys;
    t->device = device;
    return t;
}

mt_tensor *
mt_alias(const mt_tensor *self, int64_t offset, int ndim, const int64_t *sizes,
         const int64_t *strides)
{
    mt_tensor *t = mt_tensor_on(self->storage, self->dtype, offset, ndim, sizes, strides,
                                self->keys & ~MT_KEY_BIT(Python), self->device);
    if (MT_LIKELY(t != NULL))
        t->flags |= self->flags & MT_T_INFERENCE;
    return t;
}

mt_tensor *(*mt_alias_of_subclass)(const mt_tensor *self);

mt_tensor *
mt_alias_same(const mt_tensor *self)
{
    if (MT_UNLIKELY(self->keys & MT_KEY_BIT(Python)) && mt_alias_of_subclass &&
        !(mt_this_thread()->excluded & MT_KEY_BIT(Python)))
        return mt_alias_of_subclass(self);
    mt_tensor *t = mt_alias(self, self->offset, self->ndim, self->sizes, self->strides);
    if (MT_UNLIKELY(self->value != NULL) && t) {
        t->value = mt_keep(self->value);
        t->batch_level = self->batch_level;
        t->batch_dim = self->batch_dim;
    }
    return t;
}

static mt_tensor *
scalar_tensor(mt_dtype dtype, bool wrapped)
{
    mt_tensor *t = mt_empty(0, NULL, NULL, dtype, MT_CPU_DEVICE);
    if (t && wrapped)
        t->flags |= MT_T_WRAPPED_NUMBER;
    return t;
}

#define STORE_ALL(value_real, value_half)                                                          \
    switch (dtype) {                                                                               \
    case MT_FLOAT16: *(mt_half *)p = mt_float_to_half(value_half); break;                          \
    case MT_BFLOAT16: *(mt_bfloat16 *)p = mt_float_to_bfloat16(value_half); break;                 \
    case MT_BOOL: *(uint8_t *)p = (value_real) != 0; break;                                        \
    case MT_UINT8: *(uint8_t *)p = (uint8_t)(int64_t)(value_real); break;                          \
    case MT_INT8: *(int8_t *)p = (int8_t)(int64_t)(value_real); break;                             \
    case MT_INT16: *(int16_t *)p = (int16_t)(int64_t)(value_real); break;                          \
    case MT_INT32: *(int32_t *)p = (int32_t)(int64_t)(value_real); break;                          \
    case MT_INT64: *(int64_t *)p = (int64_t)(value_real); break;                                   \
    case MT_UINT16: *(uint16_t *)p = (uint16_t)(int64_t)(value_real); break;                       \
    case MT_UINT32: *(uint32_t *)p = (uint32_t)(int64_t)(value_real); break;                       \
    case MT_UINT64: *(uint64_t *)p = (uint64_t)(int64_t)(value_real); break;                       \
    case MT_FLOAT32: *(float *)p = (float)(value_real); break;                                     \
    case MT_FLOAT64: *(double *)p = (double)(value_real); break;                                   \
    case MT_COMPLEX64: *(mt_complex64 *)p = (float)(value_real); break;                            \
    case MT_COMPLEX128: *(mt_complex128 *)p = (double)(value_real); break;                         \
    default: break;                                                                                \
    }

mt_tensor *
mt_scalar_tensor_f64(double value, mt_dtype dtype, bool wrapped)
{
    mt_tensor *t = scalar_tensor(dtype, wrapped);
    if (MT_LIKELY(t != NULL)) {
        void *p = mt_data(t);
        STORE_ALL(value, (float)value)
    }
    return t;
}

mt_tensor *
mt_scalar_tensor_i64(int64_t value, mt_dtype dtype, bool wrapped)
{
    mt_tensor *t = scalar_tensor(dtype, wrapped);
    if (MT_LIKELY(t != NULL)) {
        void *p = mt_data(t);
        STORE_ALL(value, (float)value)
    }
    return t;
}

/* ---- versions ----------------------------------------------------------------------------- */

void
mt_version_unref(mt_version *version)
{
    if (--version->refcount == 0)
        free(version);
}

mt_version *
mt_version_share(mt_tensor *self)
{
    while (!self->version && self->base)
        self = self->base;
    if (!self->version) {
        mt_version *v = malloc(sizeof *v);
        if (!v)
            return mt_fail_null(MT_MEMORY, "not enough memory for a version counter");
        v->refcount = 1;
        v->count = self->own_version;
        self->version = v;
    }
    self->version->refcount++;
    return self->version;
}

int
mt_share_version(mt_tensor *self, mt_tensor *other)
{
    mt_version *v = mt_version_share(other);
    if (!v)
        return -1;
    if (self->version)
        mt_version_unref(self->version);
    self->version = v;
    return 0;
}

/* ---- freeing ------------------------------------------------------------------------------ */

void
mt_tensor_finalize(mt_tensor *self)
{
    if (self->version)
        mt_version_unref(self->version);
    if (self->flags & MT_T_HEAP_DIMS)
        free(self->sizes);
    mt_storage *storage = self->storage;
    self->version = NULL;
    self->storage = NULL;
    if (storage)
        mt_storage_unref(storage);
    mt_tensor *value = self->value;
    self->value = NULL;
    if (MT_UNLIKELY(value != NULL))
        mt_release(value);
    if (self->grad_fn || self->base || self->meta)
        mt_tensor_drop_autograd(self);
}
