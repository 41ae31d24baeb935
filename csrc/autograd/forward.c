/* Forward mode: the Autograd layer's second half.
 *
 * With a level open, an operator whose arguments carry tangents runs as usual and then its tangent
 * formula: derivative->tangent gets the tangents of the differentiable arguments (zeros where an
 * argument has none) and gives the tangents of the results. Results then carry them on. */
#include "autograd/forward.h"

#include <stdlib.h>

#include "autograd/autograd.h"
#include "base/error.h"
#include "ops_gen.h"

mt_tensor *
mt_tangent_of(const mt_tensor *self)
{
    return self->meta ? self->meta->tangent : NULL;
}

int
mt_set_tangent(mt_tensor *self, mt_tensor *tangent)
{
    mt_grad_meta *meta = mt_grad_meta_of(self);
    if (!meta)
        return -1;
    if (tangent)
        mt_keep(tangent);
    mt_xrelease(meta->tangent);
    meta->tangent = tangent;
    return 0;
}

bool
mt_has_tangents(const mt_call *call)
{
    if (!call->thread->forward_grad_mode)
        return false;
    for (int i = 0; i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        if (v->tag == MT_V_TENSOR && mt_tangent_of(v->u.t))
            return true;
        if (v->tag == MT_V_TENSORS)
            for (uint32_t k = 0; k < v->len; k++)
                if (v->u.ts[k] && mt_tangent_of(v->u.ts[k]))
                    return true;
    }
    return false;
}

/* Tangent of an argument: its own, or zeros of its shape. */
static mt_tensor *
tangent_or_zeros(mt_tensor *t)
{
    mt_tensor *have = mt_tangent_of(t);
    if (have)
        return mt_keep(have);
    return aten_zeros_like(t, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
}

int
mt_forward_mode(mt_call *call)
{
    const mt_op *op = call->op;
    const mt_derivative *d = op->derivative;
    mt_thread *thread = call->thread;
    uint8_t level = thread->fw_level;
    /* the value, recorded for backward mode as usual */
    thread->fw_level = 0;
    mt_tensor *tangents[64] = {0}, *out[8] = {0};
    int rc = -1, n = 0;
    if (d && d->tangent) {
        for (uint32_t s = 0; s < d->ninputs; s++) {
            const mt_value *v = &call->args[d->inputs[s]];
            uint32_t count = v->tag == MT_V_TENSORS ? v->len : 1;
            for (uint32_t k = 0; k < count; k++, n++) {
                mt_tensor *t = v->tag == MT_V_TENSOR ? v->u.t
                               : v->tag == MT_V_TENSORS ? v->u.ts[k]
                                                        : NULL;
                if (n == (int)MT_COUNT(tangents)) {
                    mt_fail(MT_NOT_IMPLEMENTED, "forward mode of %s with more than %d tensors",
                            op->name, n);
                    goto done;
                }
                if (t && !(tangents[n] = tangent_or_zeros(t)))
                    goto done;
            }
        }
    }
    rc = mt_handle_autograd(call);
    if (rc < 0 || !d)
        goto done;
    bool differentiable = false;
    for (int j = 0; j < d->noutputs; j++)
        if (call->rets[d->outputs[j]].tag == MT_V_TENSORS ||
            (call->rets[d->outputs[j]].tag == MT_V_TENSOR &&
             call->rets[d->outputs[j]].u.t->dtype >= MT_FLOAT16))
            differentiable = true;
    if (!differentiable)
        goto done;
    rc = -1;
    if (!d->tangent) {
        mt_fail(MT_NOT_IMPLEMENTED,
                "Trying to use forward AD with %s that does not support it because it has not been "
                "implemented yet.",
                strstr(op->name, "::") ? strstr(op->name, "::") + 2 : op->name);
        mt_release_rets(op, call->rets);
        goto done;
    }
    rc = d->tangent(call, tangents, out);
    for (int j = 0; j < d->noutputs && rc == 0; j++)
        if (out[j] && call->rets[d->outputs[j]].tag == MT_V_TENSOR)
            rc = mt_set_tangent(call->rets[d->outputs[j]].u.t, out[j]);
    if (rc < 0)
        mt_release_rets(op, call->rets);
done:
    thread->fw_level = level;
    for (int k = 0; k < n; k++)
        mt_xrelease(tangents[k]);
    for (size_t j = 0; j < MT_COUNT(out); j++)
        mt_xrelease(out[j]);
    return rc;
}
