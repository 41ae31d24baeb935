/* Sizes and strides: wrapping, broadcasting, packing, seeing a tensor with another shape, and
 * whether two windows overlap. Every product is checked. */
#include "tensor/tensor.h"

#include <stdlib.h>

int
mt_wrap_dim(int64_t dim, int ndim)
{
    int64_t n = ndim ? ndim : 1;
    if (MT_UNLIKELY(dim < -n || dim >= n))
        return mt_fail(MT_INDEX,
                       "Dimension out of range (expected to be in range of [%lld, %lld], but got "
                       "%lld)",
                       (long long)-n, (long long)(n - 1), (long long)dim);
    return (int)(dim < 0 ? dim + n : dim);
}

int
mt_broadcast(int64_t *sizes, int ndim, const int64_t *other, int other_ndim)
{
    int n = MT_MAX(ndim, other_ndim);
    if (n > ndim) {
        memmove(sizes + (n - ndim), sizes, (size_t)ndim * sizeof(int64_t));
        for (int d = 0; d < n - ndim; d++)
            sizes[d] = 1;
    }
    for (int d = n - 1; d >= n - other_ndim; d--) { /* the last dimension at fault is named */
        int64_t b = other[d - (n - other_ndim)];
        if (sizes[d] == 1)
            sizes[d] = b;
        else if (MT_UNLIKELY(b != 1 && b != sizes[d]))
            return mt_fail(MT_RUNTIME,
                           "The size of tensor a (%lld) must match the size of tensor b (%lld) at "
                           "non-singleton dimension %d",
                           (long long)sizes[d], (long long)b, d);
    }
    return n;
}

int64_t
mt_numel_of(int ndim, const int64_t *sizes)
{
    int64_t n = 1;
    bool zero = false, over = false;
    for (int d = 0; d < ndim; d++) {
        zero |= sizes[d] == 0;
        over |= sizes[d] != 0 && mt_mul_overflows(n, sizes[d], &n);
    }
    if (zero)
        return 0;
    if (over)
        return mt_fail(MT_RUNTIME, "numel: integer multiplication overflow");
    return n;
}

int64_t
mt_contiguous_strides(int ndim, const int64_t *sizes, int64_t *strides)
{
    int64_t step = 1, numel = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        strides[d] = step;
        numel *= sizes[d];
        if (MT_UNLIKELY(mt_mul_overflows(step, sizes[d] ? sizes[d] : 1, &step)))
            return mt_fail(MT_RUNTIME,
                           "Storage size calculation overflowed with sizes=%s",
                           mt_str_ints(sizes, ndim));
    }
    return numel;
}

int
mt_format_strides(int ndim, const int64_t *sizes, mt_memory_format format, int64_t *strides)
{
    if (format == MT_CHANNELS_LAST || format == MT_CHANNELS_LAST_3D) {
        int want = format == MT_CHANNELS_LAST ? 4 : 5;
        if (ndim != want)
            return mt_fail(MT_RUNTIME, "required rank %d tensor to use channels_last%s format",
                           want, want == 4 ? "" : "_3d");
        int64_t step = 1;
        int order[] = {1, 4, 3, 2, 0};
        if (want == 4) {
            order[1] = 3;
            order[2] = 2;
            order[3] = 0;
        }
        for (int i = 0; i < ndim; i++) {
            strides[order[i]] = step;
            if (mt_mul_overflows(step, MT_MAX(sizes[order[i]], 1), &step))
                return mt_fail(MT_RUNTIME, "Storage size calculation overflowed with sizes=%s",
                               mt_str_ints(sizes, ndim));
        }
        return 0;
    }
    return mt_contiguous_strides(ndim, sizes, strides) < 0 ? -1 : 0;
}

/* PyTorch's order of dimensions for a result like `self`: by stride, with ties and broadcast
 * dimensions (stride 0) left in place. */
static void
stride_order(const mt_tensor *self, int *perm)
{
    int n = self->ndim;
    for (int i = 0; i < n; i++)
        perm[i] = n - 1 - i;
    /* perm[0] is the fastest dimension */
    for (int i = 1; i < n; i++) {
        int dim1 = i;
        for (int dim0 = i - 1; dim0 >= 0; dim0--) {
            int64_t s0 = self->strides[perm[dim0]], s1 = self->strides[perm[dim1]];
            int c = 0;
            if (s0 != 0 && s1 != 0) {
                if (s0 < s1)
                    c = -1;
                else if (s0 > s1)
                    c = 1;
                else if (self->sizes[perm[dim0]] > self->sizes[perm[dim1]])
                    c = 1;
            }
            if (c > 0) {
                int t = perm[dim0];
                perm[dim0] = perm[dim1];
                perm[dim1] = t;
                dim1 = dim0;
            } else if (c < 0)
                break;
        }
    }
}

void
mt_preserved_strides(const mt_tensor *self, int64_t *strides)
{
    if (self->flags & MT_T_DENSE) {
        memcpy(strides, self->strides, self->ndim * sizeof(int64_t));
        return;
    }
    int perm[MT_MAX_DIMS];
    stride_order(self, perm);
    int64_t step = 1;
    for (int i = 0; i < self->ndim; i++) {
        strides[perm[i]] = step;
        step *= MT_MAX(self->sizes[perm[i]], 1);
    }
}

bool
mt_view_strides(const mt_tensor *self, int ndim, const int64_t *sizes, int64_t *strides)
{
    if (self->numel == 0) {
        if (ndim == self->ndim && !memcmp(sizes, self->sizes, (size_t)ndim * sizeof(int64_t)))
            memcpy(strides, self->strides, (size_t)ndim * sizeof(int64_t));
        else {
            int64_t step = 1;
            for (int d = ndim - 1; d >= 0; d--) {
                strides[d] = step;
                step *= MT_MAX(sizes[d], 1);
            }
        }
        return true;
    }
    if (self->ndim == 0) {
        for (int d = 0; d < ndim; d++)
            strides[d] = 1;
        return true;
    }
    /* walk both shapes from the end; a run of old dimensions that is packed among itself may be
     * cut anew */
    int d = ndim - 1;
    int64_t base = self->strides[self->ndim - 1], run = 1, seen = 1;
    for (int o = self->ndim - 1; o >= 0; o--) {
        run *= self->sizes[o];
        if (o == 0 ||
            (self->sizes[o - 1] != 1 && self->strides[o - 1] != run * base)) {
            while (d >= 0 && (seen < run || sizes[d] == 1)) {
                strides[d] = seen * base;
                seen *= sizes[d];
                d--;
            }
            if (seen != run)
                return false;
            if (o > 0) {
                base = self->strides[o - 1];
                run = 1;
                seen = 1;
            }
        }
    }
    return d == -1;
}

int
mt_infer_size(int64_t numel, int ndim, const int64_t *sizes, int64_t *out)
{
    int64_t known = 1;
    int unknown = -1;
    for (int d = 0; d < ndim; d++) {
        out[d] = sizes[d];
        if (sizes[d] == -1) {
            if (unknown >= 0)
                return mt_fail(MT_RUNTIME, "only one dimension can be inferred");
            unknown = d;
        } else if (sizes[d] < 0)
            return mt_fail(MT_RUNTIME, "invalid shape dimension %lld at index %d of shape %s",
                           (long long)sizes[d], d, mt_str_ints(sizes, ndim));
        else if (mt_mul_overflows(known, sizes[d], &known))
            return mt_fail(MT_RUNTIME, "shape '%s' is invalid for input of size %lld",
                           mt_str_ints(sizes, ndim), (long long)numel);
    }
    if (numel == known || (unknown >= 0 && known > 0 && numel % known == 0)) {
        if (unknown >= 0) {
            if (known == 0)
                return mt_fail(MT_RUNTIME,
                               "cannot reshape tensor of 0 elements into shape %s because the "
                               "unspecified dimension size -1 can be any value and is ambiguous",
                               mt_str_ints(sizes, ndim));
            out[unknown] = numel / known;
        }
        return 0;
    }
    return mt_fail(MT_RUNTIME, "shape '%s' is invalid for input of size %lld",
                   mt_str_ints(sizes, ndim), (long long)numel);
}

int
mt_check_bounds(const mt_storage *storage, mt_dtype dtype, int64_t offset, int ndim,
                const int64_t *sizes, const int64_t *strides, const char *who)
{
    int64_t last = offset, step, bytes = 0;
    bool empty = false, over = offset < 0;
    for (int d = 0; d < ndim; d++) {
        if (sizes[d] < 0)
            return mt_fail(MT_RUNTIME,
                           "%sTrying to create tensor with negative dimension %lld: %s", who,
                           (long long)sizes[d], mt_str_ints(sizes, ndim));
        empty |= sizes[d] == 0;
        if (strides[d] < 0)
            return mt_fail(MT_RUNTIME,
                           "as_strided: Negative strides are not supported at the moment, got "
                           "strides: %s",
                           mt_str_ints(strides, ndim));
        over |= mt_mul_overflows(sizes[d] ? sizes[d] - 1 : 0, strides[d], &step) ||
                mt_add_overflows(last, step, &last);
    }
    if (offset < 0)
        return mt_fail(MT_RUNTIME, "Tensor: invalid storage offset %lld", (long long)offset);
    if (empty)
        return 0;
    over = over || mt_mul_overflows(last + 1, (int64_t)mt_dtype_size(dtype), &bytes);
    if (over || (uint64_t)bytes > storage->nbytes)
        return mt_fail(MT_RUNTIME,
                       "setStorage: sizes %s, strides %s, storage offset %lld, and itemsize %zu "
                       "requiring a storage size of %lld are out of bounds for storage of size %zu",
                       mt_str_ints(sizes, ndim), mt_str_ints(strides, ndim), (long long)offset,
                       mt_dtype_size(dtype), (long long)bytes, storage->nbytes);
    return 0;
}

/* ---- questions ---------------------------------------------------------------------------- */

const char *
mt_shape_str(const mt_tensor *self)
{
    return mt_str_ints(self->sizes, self->ndim);
}

static bool
strides_like_channels_last(const mt_tensor *t, int ndim)
{
    if (t->ndim != ndim)
        return false;
    static const int order4[] = {1, 3, 2, 0}, order5[] = {1, 4, 3, 2, 0};
    const int *order = ndim == 4 ? order4 : order5;
    int64_t min = 0;
    if (t->strides[1] == 0)
        return false;
    for (int i = 0; i < ndim; i++) {
        int d = order[i];
        if (t->sizes[d] == 0 || t->strides[d] < min)
            return false;
        /* N111 and NC11 tensors read as contiguous */
        if (d == 0 && min == t->strides[1])
            return false;
        min = t->strides[d];
        if (t->sizes[d] > 1)
            min *= t->sizes[d];
    }
    return true;
}

mt_memory_format
mt_suggest_format(const mt_tensor *self)
{
    if (strides_like_channels_last(self, 4))
        return MT_CHANNELS_LAST;
    if (strides_like_channels_last(self, 5))
        return MT_CHANNELS_LAST_3D;
    return MT_CONTIGUOUS;
}

bool
mt_is_contiguous_format(const mt_tensor *self, mt_memory_format format)
{
    switch (format) {
    case MT_CHANNELS_LAST: return self->flags & MT_T_CHANNELS_LAST;
    case MT_CHANNELS_LAST_3D: return self->flags & MT_T_CHANNELS_LAST_3D;
    default: return self->flags & MT_T_CONTIGUOUS;
    }
}

int
mt_internal_overlap(const mt_tensor *self)
{
    if (self->flags & (MT_T_CONTIGUOUS | MT_T_DENSE))
        return 0;
    for (int d = 0; d < self->ndim; d++)
        if (self->strides[d] == 0 && self->sizes[d] > 1)
            return 1;
    return 2;
}

int
mt_overlap(const mt_tensor *a, const mt_tensor *b)
{
    if (a == b)
        return MT_OVERLAP_FULL;
    if (a->storage != b->storage || a->numel == 0 || b->numel == 0)
        return MT_OVERLAP_NONE;
    if (!(a->flags & MT_T_DENSE) || !(b->flags & MT_T_DENSE))
        return MT_OVERLAP_TOO_HARD;
    const char *a0 = mt_data(a), *b0 = mt_data(b);
    const char *a1 = a0 + a->numel * mt_itemsize(a), *b1 = b0 + b->numel * mt_itemsize(b);
    if (a0 == b0 && a1 == b1)
        return mt_same_strides(a, b) ? MT_OVERLAP_FULL : MT_OVERLAP_PARTIAL;
    return a0 < b1 && b0 < a1 ? MT_OVERLAP_PARTIAL : MT_OVERLAP_NONE;
}

int
mt_check_no_internal_overlap(const mt_tensor *self)
{
    if (MT_UNLIKELY(mt_internal_overlap(self) == 1))
        return mt_fail(MT_RUNTIME,
                       "unsupported operation: more than one element of the written-to tensor "
                       "refers to a single memory location. Please clone() the tensor before "
                       "performing the operation.");
    return 0;
}

int
mt_check_no_partial_overlap(const mt_tensor *a, const mt_tensor *b)
{
    if (MT_UNLIKELY(mt_overlap(a, b) == MT_OVERLAP_PARTIAL))
        return mt_fail(MT_RUNTIME,
                       "unsupported operation: some elements of the input tensor and the "
                       "written-to tensor refer to a single memory location. Please clone() the "
                       "tensor before performing the operation.");
    return 0;
}

int
mt_check_no_overlap(const mt_tensor *a, const mt_tensor *b)
{
    int o = mt_overlap(a, b);
    if (MT_UNLIKELY(o == MT_OVERLAP_PARTIAL || o == MT_OVERLAP_FULL))
        return mt_fail(MT_RUNTIME,
                       "unsupported operation: some elements of the input tensor and the "
                       "written-to tensor refer to a single memory location. Please clone() the "
                       "tensor before performing the operation.");
    return 0;
}

const char *
mt_device_type_name(int type)
{
    static const char *const names[MT_NUM_DEVICE_TYPES] = {
        "cpu",  "cuda", "mkldnn", "opengl", "opencl", "ideep", "hip",  "fpga", "maia", "xla",
        "vulkan", "metal", "xpu", "mps", "meta", "hpu", "ve", "lazy", "ipu", "mtia", "privateuseone"};
    return type >= 0 && type < MT_NUM_DEVICE_TYPES ? names[type] : "unknown";
}

const char *
mt_device_str(mt_device device)
{
    if (device.index < 0)
        return mt_device_type_name(device.type);
    return mt_str("%s:%d", mt_device_type_name(device.type), device.index);
}

mt_keys
mt_device_keys(mt_device device, bool inference)
{
    static const int8_t backend[MT_NUM_DEVICE_TYPES] = {
        [MT_CPU] = MT_B_CPU, [MT_CUDA] = MT_B_CUDA, [MT_HIP] = MT_B_HIP, [MT_XLA] = MT_B_XLA,
        [MT_MPS] = MT_B_MPS, [MT_IPU] = MT_B_IPU, [MT_XPU] = MT_B_XPU, [MT_HPU] = MT_B_HPU,
        [MT_VE] = MT_B_VE, [MT_LAZY] = MT_B_Lazy, [MT_MTIA] = MT_B_MTIA, [MT_MAIA] = MT_B_MAIA,
        [MT_PRIVATEUSE1] = MT_B_PrivateUse1, [MT_META] = MT_B_Meta};
    mt_keys keys = ((mt_keys)1 << backend[device.type]) | MT_KEY_BIT(Dense);
    if (device.type == MT_CPU)
        keys |= MT_KEY_BIT(AutocastCPU);
    if (device.type == MT_CUDA)
        keys |= MT_KEY_BIT(AutocastCUDA);
    if (!inference)
        keys |= MT_KEY_BIT(ADInplaceOrView) | MT_KEY_BIT(AutogradFunctionality);
    return keys;
}
