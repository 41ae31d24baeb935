/* Lazy conjugation and negation: `x.conj()` is a view with a bit.
 *
 * Kernels read plain memory, so before an operator that does not know the bit runs, arguments that
 * carry it are replaced by resolved copies; what the operator writes in place is written back
 * through the bit. One function serves every operator. */
#include "base/error.h"
#include "dispatch/op.h"
#include "ops_gen.h"
#include "tensor/copy.h"

static mt_tensor *
resolve(mt_tensor *t, mt_keys bit)
{
    return bit == MT_KEY_BIT(Conjugate) ? aten__conj_materialize(t) : aten__neg_materialize(t);
}

/* Writes the value `made` into the memory of `given`, which is read through its bits. */
static int
write_back(mt_tensor *given, mt_tensor *made)
{
    mt_tensor *value = mt_keep(made);
    if (given->keys & MT_KEY_BIT(Conjugate)) {
        mt_tensor *next = aten__conj_physical(value);
        mt_release(value);
        value = next;
    }
    if (value && given->keys & MT_KEY_BIT(Negative)) {
        mt_tensor *next = aten_neg(value);
        mt_release(value);
        value = next;
    }
    int rc = value ? mt_copy_data(given, value) : -1;
    mt_xrelease(value);
    return rc;
}

#define MAX_ARGS 64

static int
resolve_arguments(mt_call *call, mt_keys bit, int functionality)
{
    const mt_op *op = call->op;
    mt_value args[MAX_ARGS];
    mt_tensor *made[MAX_ARGS] = {0};
    mt_list lists[4] = {{NULL, 0}};
    int nlists = 0, rc = -1;
    if (op->nargs > MAX_ARGS)
        return mt_fail(MT_RUNTIME, "%s has too many arguments", op->name);
    memcpy(args, call->args, op->nargs * sizeof(mt_value));
    for (int i = 0; i < op->nargs; i++) {
        if (args[i].tag == MT_V_TENSOR && args[i].u.t->keys & bit) {
            if (!(made[i] = resolve(args[i].u.t, bit)))
                goto done;
            args[i].u.t = made[i];
        } else if (args[i].tag == MT_V_TENSORS && nlists < 4) {
            bool any = false;
            for (uint32_t k = 0; k < args[i].len; k++)
                any |= args[i].u.ts[k] && (args[i].u.ts[k]->keys & bit);
            if (!any)
                continue;
            mt_list *list = &lists[nlists++];
            *list = mt_list_new(args[i].len);
            if (!list->items)
                goto done;
            for (uint32_t k = 0; k < args[i].len; k++) {
                mt_tensor *t = args[i].u.ts[k];
                list->items[k] = t && (t->keys & bit) ? resolve(t, bit) : mt_xkeep(t);
                if (t && !list->items[k])
                    goto done;
            }
            args[i].u.ts = list->items;
        }
    }
    mt_value *given = call->args;
    call->args = args;
    rc = mt_redispatch_below(call, functionality);
    call->args = given;
    if (rc < 0)
        goto done;
    /* what was written goes back through the bit */
    for (int i = 0; i < op->nargs && rc == 0; i++)
        if (made[i] && op->args[i].flags & MT_ARG_MUTATED) {
            if (!mt_same_shape(given[i].u.t, made[i]))
                rc = mt_resize_output(given[i].u.t, made[i]->ndim, made[i]->sizes);
            if (rc == 0)
                rc = write_back(given[i].u.t, made[i]);
            for (int r = 0; r < op->nrets; r++)
                if (call->rets[r].tag == MT_V_TENSOR && call->rets[r].u.t == made[i]) {
                    mt_release(made[i]);
                    call->rets[r].u.t = mt_keep(given[i].u.t);
                }
        }
    if (rc < 0)
        mt_release_rets(op, call->rets);
done:
    for (int i = 0; i < op->nargs; i++)
        mt_xrelease(made[i]);
    for (int i = 0; i < nlists; i++)
        mt_list_free(&lists[i]);
    return rc;
}

int
mt_handle_conjugate(mt_call *call)
{
    return resolve_arguments(call, MT_KEY_BIT(Conjugate), MT_F_Conjugate);
}

int
mt_handle_negative(mt_call *call)
{
    return resolve_arguments(call, MT_KEY_BIT(Negative), MT_F_Negative);
}
