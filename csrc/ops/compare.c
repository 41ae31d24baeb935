/* Comparing whole tensors. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* The truth of a tensor of one bool; consumed. */
static int
truth(mt_tensor *t, bool *ret)
{
    if (!t)
        return -1;
    *ret = *(const uint8_t *)mt_data(t) != 0;
    mt_release(t);
    return 0;
}

int
op_equal(mt_tensor *self, mt_tensor *other, bool *ret0)
{
    if (self->dtype != other->dtype)
        return mt_fail(MT_RUNTIME, "Expected object of data type %s but got data type %s for argument 'other' in call to equal",
                       mt_dtypes[self->dtype].name, mt_dtypes[other->dtype].name);
    *ret0 = mt_same_shape(self, other);
    if (!*ret0 || self->numel == 0)
        return 0;
    mt_tensor *same = aten_eq_Tensor(self, other), *all = same ? aten_all(same) : NULL;
    mt_xrelease(same);
    return truth(all, ret0);
}

mt_tensor *
op_isclose(mt_tensor *self, mt_tensor *other, double rtol, double atol, bool equal_nan)
{
    if (self->dtype != other->dtype)
        return mt_fail_null(MT_RUNTIME, "%s did not match %s", mt_dtypes[self->dtype].scalar_name,
                            mt_dtypes[other->dtype].scalar_name);
    if (rtol < 0)
        return mt_fail_null(MT_RUNTIME, "rtol must be greater than or equal to zero, but got %g", rtol);
    if (atol < 0)
        return mt_fail_null(MT_RUNTIME, "atol must be greater than or equal to zero, but got %g", atol);
    mt_tensor *close = aten_eq_Tensor(self, other), *a = NULL, *b = NULL, *d = NULL, *m = NULL,
              *t = NULL, *r = NULL, *scale = NULL, *shift = NULL;
    if (close && equal_nan && self->dtype >= MT_FLOAT16) {
        mt_tensor *n1 = aten_isnan(self), *n2 = n1 ? aten_isnan(other) : NULL;
        mt_tensor *both = n2 ? aten_logical_and(n1, n2) : NULL;
        mt_tensor *c = both ? aten_logical_or(close, both) : NULL;
        mt_xrelease(n1);
        mt_xrelease(n2);
        mt_xrelease(both);
        mt_release(close);
        close = c;
    }
    if (!close || (rtol == 0 && atol == 0))
        return close;
    /* |self - other| <= atol + rtol * |other|, where that is finite */
    a = self->dtype == MT_BOOL ? aten_to_dtype(self, mt_default_dtype, false, false, MT_FORMAT_NONE) : mt_keep(self);
    b = self->dtype == MT_BOOL ? aten_to_dtype(other, mt_default_dtype, false, false, MT_FORMAT_NONE) : mt_keep(other);
    mt_tensor *diff = a && b ? aten_sub_Tensor(a, b, mt_v_int(1)) : NULL;
    d = diff ? aten_abs(diff) : NULL;
    m = d ? aten_abs(b) : NULL;
    if (m && (scale = mt_wrap_scalar(mt_v_float(rtol))) && (shift = mt_wrap_scalar(mt_v_float(atol))) &&
        (t = aten_mul_Tensor(m, scale)) && (r = aten_add_Tensor(t, shift, mt_v_int(1)))) {
        mt_tensor *finite = aten_isfinite(d), *near = finite ? aten_le_Tensor(d, r) : NULL;
        mt_tensor *ok = near ? aten_logical_and(finite, near) : NULL;
        mt_tensor *c = ok ? aten_logical_or(close, ok) : NULL;
        mt_xrelease(finite);
        mt_xrelease(near);
        mt_xrelease(ok);
        mt_release(close);
        close = c;
    } else {
        mt_release(close);
        close = NULL;
    }
    mt_tensor *made[] = {a, b, diff, d, m, scale, shift, t, r};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return close;
}

int
op_allclose(mt_tensor *self, mt_tensor *other, double rtol, double atol, bool equal_nan, bool *ret0)
{
    mt_tensor *close = aten_isclose(self, other, rtol, atol, equal_nan);
    mt_tensor *all = close ? aten_all(close) : NULL;
    mt_xrelease(close);
    return truth(all, ret0);
}
