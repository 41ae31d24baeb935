/* Checks of elementwise operators' arguments that go beyond dtype and shape. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "tensor/copy.h"

int
mt_check_alpha(mt_call *call, mt_dtype common)
{
    const mt_op *op = call->op;
    const mt_pointwise *pw = op->spec;
    /* nothing can be wrong with a whole number and no bool in sight */
    if (MT_LIKELY(pw->nparams == 1 && call->args[pw->params[0]].tag == MT_V_INT &&
                  call->args[0].tag == MT_V_TENSOR && call->args[0].u.t->dtype != MT_BOOL &&
                  (call->args[1].tag == MT_V_TENSOR ? call->args[1].u.t->dtype != MT_BOOL
                                                    : call->args[1].tag != MT_V_BOOL)))
        return 0;
    bool sub = strstr(op->name, "sub") != NULL;
    if (sub) {
        int bools = 0, tensors = 0;
        for (int i = 0; i < 2; i++) {
            const mt_value *v = &call->args[i];
            if (v->tag == MT_V_TENSOR) {
                tensors++;
                bools += v->u.t->dtype == MT_BOOL;
            } else if (v->tag == MT_V_BOOL) {
                tensors++;
                bools++;
            }
        }
        if (bools == 2)
            return mt_fail(MT_RUNTIME,
                           "Subtraction, the `-` operator, with two bool tensors is not supported. "
                           "Use the `^` or `logical_xor()` operator instead.");
        if (bools)
            return mt_fail(MT_RUNTIME,
                           "Subtraction, the `-` operator, with a bool tensor is not supported. If "
                           "you are trying to invert a mask, use the `~` or `logical_not()` "
                           "operator instead.");
    }
    for (int i = 0; i < op->nargs; i++) {
        if (strcmp(op->args[i].name, "alpha"))
            continue;
        const mt_value *alpha = &call->args[i];
        if (alpha->tag == MT_V_BOOL && common != MT_BOOL)
            return mt_fail(MT_RUNTIME, "Boolean alpha only supported for Boolean results.");
        if (mt_is_integral(common, true) && alpha->tag >= MT_V_FLOAT)
            return mt_fail(MT_RUNTIME, "For integral input tensors, argument alpha must not be a "
                                       "floating point number.");
        if (alpha->tag == MT_V_COMPLEX && !mt_is_complex(common))
            return mt_fail(MT_RUNTIME, "For non-complex input tensors, argument alpha must not be a "
                                       "complex number.");
    }
    return 0;
}

int
mt_check_divisor(mt_call *call, mt_dtype common)
{
    if (!mt_is_integral(common, true))
        return 0;
    const mt_value *v = &call->args[1];
    bool zero = false;
    if (v->tag != MT_V_TENSOR)
        zero = mt_scalar_is_zero(*v);
    else if (!mt_is_meta(v->u.t)) {
        mt_tensor *flags = mt_empty(v->u.t->ndim, v->u.t->sizes, NULL, MT_BOOL, MT_CPU_DEVICE);
        if (!flags || mt_copy_data(flags, v->u.t) < 0) {
            mt_xrelease(flags);
            return -1;
        }
        zero = flags->numel && memchr(mt_data(flags), 0, (size_t)flags->numel);
        mt_release(flags);
    }
    return zero ? mt_fail(MT_RUNTIME, "ZeroDivisionError") : 0;
}

int
mt_check_exponent(mt_call *call, mt_dtype common)
{
    const mt_value *v = &call->args[1];
    if (mt_is_integral(common, true) && v->tag == MT_V_INT && v->u.i < 0)
        return mt_fail(MT_RUNTIME, "Integers to negative integer powers are not allowed.");
    return 0;
}

static const char *const no_bound = "torch.clamp: At least one of 'min' or 'max' must not be None";

mt_tensor *
mth_check_bounds(mt_tensor *self, mt_tensor *min, mt_tensor *max)
{
    return min || max ? mt_keep(self) : mt_fail_null(MT_RUNTIME, "%s", no_bound);
}

int
mt_check_clamp(mt_call *call, mt_dtype common)
{
    (void)common;
    if (mt_is_none(call->args[1]) && mt_is_none(call->args[2]))
        return mt_fail(MT_RUNTIME, "%s", no_bound);
    return 0;
}

int
mt_check_one_dtype(mt_call *call, mt_dtype common)
{
    const char *name = strstr(call->op->name, "::") + 2;
    size_t length = strlen(name);
    length -= length && name[length - 1] == '_';
    if (mt_is_complex(common))
        return mt_fail(MT_RUNTIME, "%.*s is not yet implemented for complex tensors.", (int)length, name);
    if (call->args[0].u.t->dtype != call->args[1].u.t->dtype)
        return mt_fail(MT_RUNTIME, "%.*s is not yet implemented for tensors with different dtypes.",
                       (int)length, name);
    return 0;
}

/* gelu: "none" or "tanh". */
int
mt_check_approximate(mt_call *call, mt_dtype common)
{
    (void)common;
    const mt_value *v = &call->args[1];
    if (v->tag == MT_V_STR && strcmp(v->u.s, "none") && strcmp(v->u.s, "tanh"))
        return mt_fail(MT_RUNTIME, "approximate argument must be either none or tanh.");
    return 0;
}

/* softshrink: from 0 to the largest number of the dtype. */
int
mt_check_lambda(mt_call *call, mt_dtype common)
{
    double l = mt_scalar_f64(call->args[1]);
    double most = common == MT_FLOAT64    ? 1.7976931348623157e308
                  : common == MT_FLOAT16  ? 65504
                  : common == MT_BFLOAT16 ? 3.3895313892515355e38
                                          : 3.4028234663852886e38;
    if (!(l >= 0 && l <= most))
        return mt_fail(MT_RUNTIME, "lambda must be in range [0, %g] for input dtype %s, but found %g", most,
                       mt_dtypes[common].scalar_name, l);
    return 0;
}
