/* What would pass modes and subclasses by: numbers that leave a tensor, tensors made of numbers. */
#include "base/error.h"
#include "ops_gen.h"

/* A complex value stays in the thread's room until the next one. */
static MT_TLS double room[2];

int
op__local_scalar_dense(mt_tensor *self, mt_scalar *ret0)
{
    if (self->numel != 1)
        return mt_fail(MT_RUNTIME, "a Tensor with %lld elements cannot be converted to Scalar",
                       (long long)self->numel);
    if (!mt_has_data(self))
        return mt_fail(MT_RUNTIME, "Tensor.item() needs a tensor with memory");
    if (mt_is_complex((mt_dtype)self->dtype)) {
        mt_tensor *wide = aten_to_dtype(self, MT_COMPLEX128, false, false, MT_FORMAT_NONE);
        if (!wide)
            return -1;
        memcpy(room, mt_data(wide), sizeof room);
        mt_release(wide);
        *ret0 = mt_v_complex(room);
    } else if (mt_is_floating((mt_dtype)self->dtype)) {
        mt_tensor *wide = aten_to_dtype(self, MT_FLOAT64, false, false, MT_FORMAT_NONE);
        if (!wide)
            return -1;
        *ret0 = mt_v_float(*(const double *)mt_data(wide));
        mt_release(wide);
    } else {
        mt_tensor *wide = aten_to_dtype(self, MT_INT64, false, false, MT_FORMAT_NONE);
        if (!wide)
            return -1;
        int64_t value = *(const int64_t *)mt_data(wide);
        mt_release(wide);
        *ret0 = self->dtype == MT_BOOL ? mt_v_bool(value != 0) : mt_v_int(value);
    }
    return 0;
}

mt_tensor *
op_lift_fresh(mt_tensor *self)
{
    return mt_keep(self);
}
