/* Special functions that are more than a loop over elements. */
#include <math.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

mt_tensor *
mth_wrapped(mt_scalar x)
{
    return mt_wrap_scalar(x);
}

mt_tensor *
op_polygamma(int64_t n, mt_tensor *self)
{
    if (n < 0)
        return mt_fail_null(MT_RUNTIME, "polygamma(n, x) does not support negative n.");
    return n == 0 ? aten_digamma(self) : aten__polygamma(self, n);
}

int
op_polygamma_(mt_tensor *self, int64_t n)
{
    mt_tensor *r = op_polygamma(n, self);
    int rc = r ? mt_copy_result(self, r) : -1;
    mt_xrelease(r);
    return rc;
}

mt_tensor *
op_logit(mt_tensor *self, mt_value eps)
{
    if (mt_is_none(eps) || mt_scalar_f64(eps) < 0)
        return aten__logit(self);
    double e = mt_scalar_f64(eps);
    mt_tensor *x = aten_clamp(self, mt_v_float(e), mt_v_float(1 - e)), *r = x ? aten__logit(x) : NULL;
    mt_xrelease(x);
    return r;
}

/* log Gamma_p(a) = p (p - 1) / 4 log pi + sum of log Gamma(a - j / 2) over j < p. */
mt_tensor *
op__mvlgamma(mt_tensor *self, int64_t p)
{
    if (p < 1)
        return mt_fail_null(MT_RUNTIME, "p has to be greater than or equal to 1");
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_NOT_IMPLEMENTED, "\"mvlgamma\" not implemented for '%s'", mt_dtypes[self->dtype].scalar_name);
    mt_dtype t = mt_is_floating((mt_dtype)self->dtype) ? (mt_dtype)self->dtype : mt_default_dtype;
    mt_tensor *steps = aten_arange_start_step(mt_v_float(-0.5 * (double)p + 0.5), mt_v_float(0.5), mt_v_float(0.5), t, -1, self->device, mt_v_none());
    mt_tensor *column = steps ? aten_unsqueeze(self, -1) : NULL;
    mt_tensor *all = column ? aten_add_Tensor(column, steps, mt_v_int(1)) : NULL, *logs = all ? aten_lgamma(all) : NULL;
    mt_tensor *sum = logs ? aten_sum_dim_IntList(logs, (const int64_t[]){-1}, 1, false, MT_DTYPE_NONE) : NULL;
    mt_tensor *r = sum ? plus_number(sum, mt_v_float((double)p * (double)(p - 1) / 4 * log(M_PI))) : NULL;
    mt_tensor *made[] = {steps, column, all, logs, sum};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

mt_tensor *
op__ldexp(mt_tensor *self, mt_tensor *other)
{
    mt_tensor *power = aten_pow_Scalar(mt_v_float(2.0), other), *r = power ? aten_mul_Tensor(self, power) : NULL;
    mt_xrelease(power);
    return r;
}

int
frexp_Tensor_meta(mt_call *call, mt_tensor *self)
{
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, "torch.frexp() only supports floating-point dtypes");
    if (mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, self->ndim, self->sizes, NULL, MT_INT32, self->device);
}

int
frexp_Tensor_impl(mt_call *call, mt_tensor *self)
{
    mt_tensor *mantissa = mt_out(call, 0), *exponent = mt_out(call, 1), *x = NULL;
    mt_dtype t = self->dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    if (!(x = mt_empty(self->ndim, self->sizes, NULL, t, MT_CPU_DEVICE)) || mt_copy_data(x, self) < 0) {
        mt_xrelease(x);
        return -1;
    }
    int32_t *e = mt_data(exponent);
    for (int64_t i = 0; i < x->numel; i++) {
        int power = 0;
        if (t == MT_FLOAT64)
            ((double *)mt_data(x))[i] = frexp(((double *)mt_data(x))[i], &power);
        else
            ((float *)mt_data(x))[i] = frexpf(((float *)mt_data(x))[i], &power);
        e[i] = power;
    }
    int rc = mt_copy_data(mantissa, x);
    mt_release(x);
    return rc;
}
