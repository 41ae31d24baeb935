#include "autograd/formulas.h"

#include "base/error.h"
#include "ops_gen.h"

int
mt_tangent_add(mt_tensor **sum, mt_tensor *value)
{
    if (!*sum) {
        *sum = mt_keep(value);
        return 0;
    }
    mt_tensor *t = aten_add_Tensor(*sum, value, mt_v_int(1));
    if (!t)
        return -1;
    mt_release(*sum);
    *sum = t;
    return 0;
}

int
mt_copy_result(mt_tensor *self, mt_tensor *result)
{
    if (!mt_same_shape(self, result))
        return mt_fail(MT_RUNTIME, "output with shape %s doesn't match the broadcast shape %s",
                       mt_shape_str(self), mt_shape_str(result));
    if (!mt_can_cast((mt_dtype)result->dtype, (mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, "result type %s can't be cast to the desired output type %s",
                       mt_dtypes[result->dtype].scalar_name, mt_dtypes[self->dtype].scalar_name);
    return aten_copy_(self, result, false);
}

int
mt_copy_to_out(mt_tensor *out, mt_tensor *result, const char *op)
{
    if (mt_this_thread()->grad_mode && (mt_requires_grad(out) || mt_requires_grad(result)))
        return mt_fail(MT_RUNTIME,
                       "%s(): functions with out=... arguments don't support automatic "
                       "differentiation, but one of the arguments requires grad.",
                       op);
    if (!mt_can_cast((mt_dtype)result->dtype, (mt_dtype)out->dtype))
        return mt_fail(MT_RUNTIME, "result type %s can't be cast to the desired output type %s",
                       mt_dtypes[result->dtype].scalar_name, mt_dtypes[out->dtype].scalar_name);
    if (mt_resize_output(out, result->ndim, result->sizes) < 0)
        return -1;
    return aten_copy_(out, result, false);
}
