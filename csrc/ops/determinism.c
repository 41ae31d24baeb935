/* Determinism: two switches of the process, read where an operator might answer by chance. */
#include "ops/determinism.h"

#include <math.h>

#include "base/error.h"
#include "ops/pointwise.h"

static struct {
    mt_determinism mode;
    bool fill;
} now = {MT_DETERMINISM_OFF, true};

void
mt_set_determinism(mt_determinism mode, bool fill)
{
    now.mode = mode;
    now.fill = fill;
}

int
mt_alert_nondeterministic(const char *name)
{
    switch (now.mode) {
    case MT_DETERMINISM_ERROR:
        return mt_fail(MT_RUNTIME,
                       "%s does not have a deterministic implementation, but you set "
                       "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just "
                       "for this operation, or you can use the 'warn_only=True' option, if that's "
                       "acceptable for your application. You can also file an issue at "
                       "https://github.com/pytorch/pytorch/issues to help us prioritize adding "
                       "deterministic support for this operation.",
                       name);
    case MT_DETERMINISM_WARN:
        return mt_warn(MT_WARN_USER,
                       "%s does not have a deterministic implementation, but you set "
                       "'torch.use_deterministic_algorithms(True, warn_only=True)'. You can file an "
                       "issue at https://github.com/pytorch/pytorch/issues to help us prioritize adding "
                       "deterministic support for this operation.",
                       name);
    default: return 0;
    }
}

static mt_scalar
fresh_value(mt_dtype dtype)
{
    switch (dtype) {
    case MT_BOOL: return mt_v_bool(true);
    case MT_UINT8: return mt_v_int(UINT8_MAX);
    case MT_INT8: return mt_v_int(INT8_MAX);
    case MT_INT16: return mt_v_int(INT16_MAX);
    case MT_INT32: return mt_v_int(INT32_MAX);
    case MT_INT64: return mt_v_int(INT64_MAX);
    default: return mt_v_float(NAN);
    }
}

mt_tensor *
mt_fresh(mt_tensor *t)
{
    if (now.mode == MT_DETERMINISM_OFF || !now.fill || !t || mt_is_meta(t) || t->numel == 0)
        return t;
    if (mt_fill_data(t, fresh_value((mt_dtype)t->dtype)) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}
