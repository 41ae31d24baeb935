/* Making, copying and converting tensors. */
#include "base/error.h"
#include "ops/determinism.h"
#include "ops/pointwise.h"
#include "ops_gen.h"
#include "tensor/device.h"

/* ---- options ------------------------------------------------------------------------------ */

static mt_dtype
dtype_or_default(mt_dtype dtype)
{
    return dtype == MT_DTYPE_NONE ? mt_default_dtype : dtype;
}

static int
check_options(const char *who, int64_t layout, mt_device device, mt_value pin_memory)
{
    if (layout > 0)
        return mt_fail(MT_NOT_IMPLEMENTED, "%s: only the strided layout is built", who);
    const char *maker = strcmp(who, "empty_strided") ? "empty.memory_format" : who;
    if (mt_need_device(device, maker) < 0)
        return -1;
    if (!mt_is_none(pin_memory) && pin_memory.u.i)
        return mt_fail(MT_RUNTIME, "Cannot access accelerator device when none is available.");
    return 0;
}

static mt_device
device_or_cpu(mt_device device)
{
    return device.type < 0 ? MT_CPU_DEVICE : device.type == MT_CPU ? MT_CPU_DEVICE : device;
}

static mt_tensor *
make(const char *who, const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout,
     mt_device device, mt_value pin_memory, mt_memory_format format)
{
    if (check_options(who, layout, device, pin_memory) < 0)
        return NULL;
    if (size_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "%s: at most %d dimensions, got %lld", who, MT_MAX_DIMS,
                            (long long)size_n);
    if (format == MT_PRESERVE)
        return mt_fail_null(MT_RUNTIME, "unsupported memory format option Preserve");
    return mt_fresh(mt_empty_format((int)size_n, size, dtype_or_default(dtype),
                                    device_or_cpu(device), format));
}

mt_tensor *
op_empty(const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout, mt_device device,
         mt_value pin_memory, mt_memory_format memory_format)
{
    return make("empty.memory_format", size, size_n, dtype, layout, device, pin_memory,
                memory_format);
}

mt_tensor *
op_empty_strided(const int64_t *size, int64_t size_n, const int64_t *stride, int64_t stride_n,
                 mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    if (check_options("empty_strided", layout, device, pin_memory) < 0)
        return NULL;
    if (size_n != stride_n)
        return mt_fail_null(MT_RUNTIME,
                            "dimensionality of sizes (%lld) must match dimensionality of strides "
                            "(%lld)",
                            (long long)size_n, (long long)stride_n);
    for (int64_t d = 0; d < stride_n; d++)
        if (stride[d] < 0)
            return mt_fail_null(MT_RUNTIME,
                                "as_strided: Negative strides are not supported at the moment, got "
                                "strides: %s",
                                mt_str_ints(stride, stride_n));
    if (size_n > MT_MAX_DIMS)
        return mt_fail_null(MT_RUNTIME, "empty_strided: at most %d dimensions, got %lld",
                            MT_MAX_DIMS, (long long)size_n);
    return mt_fresh(mt_empty((int)size_n, size, stride, dtype_or_default(dtype),
                             device_or_cpu(device)));
}

static mt_tensor *
filled(mt_tensor *t, mt_scalar value)
{
    if (t && mt_fill_data(t, value) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op_zeros(const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout, mt_device device,
         mt_value pin_memory)
{
    return filled(make("zeros", size, size_n, dtype, layout, device, pin_memory, MT_FORMAT_NONE),
                  mt_v_int(0));
}

mt_tensor *
op_ones(const int64_t *size, int64_t size_n, mt_dtype dtype, int64_t layout, mt_device device,
        mt_value pin_memory)
{
    return filled(make("ones", size, size_n, dtype, layout, device, pin_memory, MT_FORMAT_NONE),
                  mt_v_int(1));
}

mt_tensor *
op_empty_like(mt_tensor *self, mt_dtype dtype, int64_t layout, mt_device device,
              mt_value pin_memory, mt_memory_format format)
{
    if (check_options("empty_strided", layout, device, pin_memory) < 0)
        return NULL;
    if (dtype == MT_DTYPE_NONE)
        dtype = (mt_dtype)self->dtype;
    mt_device where = device.type < 0 ? self->device : device_or_cpu(device);
    if (format == MT_FORMAT_NONE || format == MT_PRESERVE) {
        if (mt_is_contiguous(self))
            return mt_fresh(mt_empty(self->ndim, self->sizes, NULL, dtype, where));
        int64_t strides[MT_MAX_DIMS];
        mt_preserved_strides(self, strides);
        return mt_fresh(mt_empty(self->ndim, self->sizes, strides, dtype, where));
    }
    return mt_fresh(mt_empty_format(self->ndim, self->sizes, dtype, where, format));
}

mt_tensor *
op_zeros_like(mt_tensor *self, mt_dtype dtype, int64_t layout, mt_device device,
              mt_value pin_memory, mt_memory_format format)
{
    return filled(op_empty_like(self, dtype, layout, device, pin_memory, format), mt_v_int(0));
}

mt_tensor *
op_new_empty_strided(mt_tensor *self, const int64_t *size, int64_t size_n, const int64_t *stride,
                     int64_t stride_n, mt_dtype dtype, int64_t layout, mt_device device,
                     mt_value pin_memory)
{
    return op_empty_strided(size, size_n, stride, stride_n,
                            dtype == MT_DTYPE_NONE ? (mt_dtype)self->dtype : dtype, layout,
                            device.type < 0 ? self->device : device, pin_memory);
}

/* ---- writing ------------------------------------------------------------------------------ */

int
op_copy_(mt_tensor *self, mt_tensor *src, bool non_blocking)
{
    (void)non_blocking;
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)src->dtype) && !mt_is_complex((mt_dtype)self->dtype) &&
        self->dtype != MT_BOOL) {
        static bool warned;
        if (mt_warn_once(&warned, "Casting complex values to real discards the imaginary part") < 0)
            return -1;
    }
    return mt_copy_data(self, src);
}

mt_tensor *
mth_copy_backward(mt_tensor *grad, mt_dtype dtype, mt_device device)
{
    return mth_to_copy_backward(grad, dtype, device);
}

int
op_fill__Scalar(mt_tensor *self, mt_scalar value)
{
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (value.tag == MT_V_COMPLEX && !mt_is_complex((mt_dtype)self->dtype) &&
        mt_scalar_imag(value) != 0)
        return mt_fail(MT_RUNTIME,
                       "value cannot be converted to type %s without overflow",
                       mt_dtypes[self->dtype].legacy_name ? mt_dtypes[self->dtype].legacy_name
                                                          : mt_dtypes[self->dtype].name);
    return mt_fill_data(self, value);
}

int
op_zero_(mt_tensor *self)
{
    return mt_fill_data(self, mt_v_int(0));
}

/* ---- copies ------------------------------------------------------------------------------- */

mt_tensor *
op_clone(mt_tensor *self, mt_memory_format format)
{
    mt_tensor *t = op_empty_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), format);
    if (t && !mt_is_meta(self) && mt_copy_data(t, self) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
op_contiguous(mt_tensor *self, mt_memory_format format)
{
    if (format == MT_PRESERVE)
        return mt_fail_null(MT_RUNTIME,
                            "preserve memory format is unsupported by the contiguous operator");
    if (mt_is_contiguous_format(self, format))
        return mt_keep(self);
    return aten_clone(self, format);
}

mt_tensor *
op__to_copy(mt_tensor *self, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory,
            bool non_blocking, mt_memory_format format)
{
    (void)non_blocking;
    mt_tensor *t = op_empty_like(self, dtype, layout, device, pin_memory, format);
    if (!t || mt_is_meta(t))
        return t;
    if (mt_is_meta(self)) {
        mt_release(t);
        return mt_fail_null(MT_NOT_IMPLEMENTED, "Cannot copy out of meta tensor; no data!");
    }
    if (op_copy_(t, self, false) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
mth_to_copy_backward(mt_tensor *grad, mt_dtype dtype, mt_device device)
{
    if (grad->dtype == dtype && grad->device.type == device.type)
        return mt_keep(grad);
    mt_tensor *real = NULL, *source = grad;
    if (mt_is_complex((mt_dtype)grad->dtype) && !mt_is_complex(dtype)) {
        if (!(real = aten_real(grad)))
            return NULL;
        source = real;
    }
    mt_tensor *r = aten__to_copy(source, dtype, -1, device, mt_v_none(),
                                 false, MT_FORMAT_NONE);
    mt_xrelease(real);
    return r;
}

mt_tensor *
op_to_dtype(mt_tensor *self, mt_dtype dtype, bool non_blocking, bool copy, mt_memory_format format)
{
    if (!copy && self->dtype == dtype &&
        (format == MT_FORMAT_NONE || format == MT_PRESERVE || mt_is_contiguous_format(self, format)))
        return mt_keep(self);
    return aten__to_copy(self, dtype, -1, MT_NO_DEVICE, mt_v_none(), non_blocking, format);
}

mt_tensor *
op_resolve_conj(mt_tensor *self)
{
    return mt_is_conj(self) ? aten_clone(self, MT_FORMAT_NONE) : mt_keep(self);
}

mt_tensor *
op_resolve_neg(mt_tensor *self)
{
    return mt_is_neg(self) ? aten_clone(self, MT_FORMAT_NONE) : mt_keep(self);
}

/* The same memory read without the bit, then conjugated or negated into a new tensor. */
static mt_tensor *
materialise(mt_tensor *self, mt_keys bit, mt_tensor *(*compute)(mt_tensor *))
{
    mt_tensor *plain = mt_alias_same(self);
    if (!plain)
        return NULL;
    plain->keys &= ~bit;
    mt_tensor *t = compute(plain);
    mt_release(plain);
    return t;
}

mt_tensor *
op__conj_materialize(mt_tensor *self)
{
    return materialise(self, MT_KEY_BIT(Conjugate), aten__conj_physical);
}

mt_tensor *
op__neg_materialize(mt_tensor *self)
{
    return materialise(self, MT_KEY_BIT(Negative), aten_neg);
}

mt_tensor *
op_ones_like(mt_tensor *self, mt_dtype dtype, int64_t layout, mt_device device,
             mt_value pin_memory, mt_memory_format format)
{
    return filled(op_empty_like(self, dtype, layout, device, pin_memory, format), mt_v_int(1));
}
