/* Elementwise operators that are made of others, and pieces of gradients. */
#include "autograd/formulas.h"
#include "base/error.h"
#include "ops_gen.h"

mt_tensor *
mth_wrap_number(mt_scalar value)
{
    return mt_wrap_scalar(value);
}

mt_tensor *
op_div_Tensor_mode(mt_tensor *self, mt_tensor *other, const char *rounding_mode)
{
    if (!rounding_mode)
        return aten_div_Tensor(self, other);
    if (!strcmp(rounding_mode, "trunc"))
        return aten__div_trunc(self, other);
    if (!strcmp(rounding_mode, "floor"))
        return aten__div_floor(self, other);
    return mt_fail_null(MT_RUNTIME,
                        "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
                        "'%s'",
                        rounding_mode);
}

int
op_abs_(mt_tensor *self)
{
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, "In-place abs is not supported for complex tensors.");
    mt_tensor *t = aten_abs(self);
    int rc = t ? aten_copy_(self, t, false) : -1;
    mt_xrelease(t);
    return rc;
}

mt_tensor *
op_positive(mt_tensor *self)
{
    if (self->dtype == MT_BOOL)
        return mt_fail_null(MT_RUNTIME, "The `+` operator, on a bool tensor is not supported.");
    return mt_keep(self);
}

int
op_pow__Scalar(mt_tensor *self, mt_scalar exponent)
{
    mt_tensor *t = aten_pow_Tensor_Scalar(self, exponent);
    int rc = t ? mt_copy_result(self, t) : -1;
    mt_xrelease(t);
    return rc;
}

int
op_pow__Tensor(mt_tensor *self, mt_tensor *exponent)
{
    mt_tensor *t = aten_pow_Tensor_Tensor(self, exponent);
    int rc = t ? mt_copy_result(self, t) : -1;
    mt_xrelease(t);
    return rc;
}

static mt_dtype
power_dtype(bool is_complex)
{
    return is_complex ? MT_COMPLEX128 : MT_FLOAT64;
}

mt_tensor *
op_float_power_Tensor_Tensor(mt_tensor *self, mt_tensor *exponent)
{
    mt_dtype d = power_dtype(mt_is_complex((mt_dtype)self->dtype) ||
                             mt_is_complex((mt_dtype)exponent->dtype));
    mt_tensor *a = aten_to_dtype(self, d, false, false, MT_FORMAT_NONE), *r = NULL;
    mt_tensor *b = a ? aten_to_dtype(exponent, d, false, false, MT_FORMAT_NONE) : NULL;
    if (b)
        r = aten_pow_Tensor_Tensor(a, b);
    mt_xrelease(a);
    mt_xrelease(b);
    return r;
}

mt_tensor *
op_float_power_Tensor_Scalar(mt_tensor *self, mt_scalar exponent)
{
    mt_dtype d = power_dtype(mt_is_complex((mt_dtype)self->dtype) || exponent.tag == MT_V_COMPLEX);
    mt_tensor *a = aten_to_dtype(self, d, false, false, MT_FORMAT_NONE);
    mt_tensor *r = a ? aten_pow_Tensor_Scalar(a, exponent) : NULL;
    mt_xrelease(a);
    return r;
}

mt_tensor *
op_float_power_Scalar(mt_scalar self, mt_tensor *exponent)
{
    mt_tensor *base = mt_wrap_scalar(self);
    mt_tensor *r = base ? op_float_power_Tensor_Tensor(base, exponent) : NULL;
    mt_xrelease(base);
    return r;
}

static int
float_power_into(mt_tensor *self, mt_tensor *result)
{
    int rc = -1;
    if (result && self->dtype != result->dtype)
        mt_fail(MT_RUNTIME,
                "the base given to float_power_ has dtype %s but the operation's result requires dtype %s",
                mt_dtypes[self->dtype].scalar_name, mt_dtypes[result->dtype].scalar_name);
    else if (result)
        rc = mt_copy_result(self, result);
    mt_xrelease(result);
    return rc;
}

int
op_float_power__Scalar(mt_tensor *self, mt_scalar exponent)
{
    return float_power_into(self, aten_float_power_Tensor_Scalar(self, exponent));
}

int
op_float_power__Tensor(mt_tensor *self, mt_tensor *exponent)
{
    return float_power_into(self, aten_float_power_Tensor_Tensor(self, exponent));
}

/* Real sgn is constant; for complex z/|z| the part of the gradient along z falls away. */
mt_tensor *
mth_sgn_backward(mt_tensor *self, mt_tensor *grad, mt_tensor *result)
{
    mt_tensor *zeros = aten_zeros_like(grad, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(),
                                       MT_FORMAT_NONE);
    if (!zeros || !mt_is_complex((mt_dtype)self->dtype))
        return zeros;
    /* (grad - Re(grad * conj(result)) * result) / |z|, 0 at 0 */
    mt_tensor *c = aten_conj(result), *p = c ? aten_mul_Tensor(grad, c) : NULL;
    mt_tensor *re = p ? aten_real(p) : NULL, *along = re ? aten_mul_Tensor(re, result) : NULL;
    mt_tensor *rest = along ? aten_sub_Tensor(grad, along, mt_v_int(1)) : NULL;
    mt_tensor *size = rest ? aten_abs(self) : NULL;
    mt_tensor *q = size ? aten_div_Tensor(rest, size) : NULL;
    mt_tensor *zero = q ? aten_eq_Scalar(self, mt_v_int(0)) : NULL;
    mt_tensor *r = zero ? aten_where_self(zero, zeros, q) : NULL;
    mt_tensor *all[] = {zeros, c, p, re, along, rest, size, q, zero};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}
