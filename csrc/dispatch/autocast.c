/* Autocast: arguments change dtype by the operator's policy, then the call goes on below.
 *
 * Policies (mt_op.cast_policy): 1 lower precision, 2 float32, 3 the widest dtype present. Casts of
 * leaf float32 parameters are kept for the length of the region, as PyTorch's weight cache does. */
#include "dispatch/autocast.h"

#include <stdlib.h>

#include "base/error.h"
#include "ops_gen.h"

/* Casts of leaves made in the open regions. Guarded by the interpreter lock. */
typedef struct cached {
    mt_tensor *leaf, *cast;
} cached;
static cached *cache;
static size_t ncached, cache_room;

void
mt_autocast_clear_cache(void)
{
    while (ncached) {
        ncached--;
        mt_tensor *leaf = cache[ncached].leaf, *cast = cache[ncached].cast;
        mt_release(leaf);
        mt_release(cast);
    }
}

static bool
eligible(const mt_tensor *t)
{
    return t->device.type == MT_CPU && mt_is_floating((mt_dtype)t->dtype) &&
           t->dtype != MT_FLOAT64;
}

static mt_tensor *
cast(mt_thread *thread, mt_tensor *t, mt_dtype to)
{
    if (!eligible(t) || t->dtype == to)
        return mt_keep(t);
    bool keep = thread->autocast_cache && to != MT_FLOAT32 && t->dtype == MT_FLOAT32 &&
                mt_requires_grad(t) && !t->grad_fn && !(t->flags & MT_T_VIEW);
    if (keep)
        for (size_t i = 0; i < ncached; i++)
            if (cache[i].leaf == t && cache[i].cast->dtype == to)
                return mt_keep(cache[i].cast);
    mt_tensor *made = aten_to_dtype(t, to, false, false, MT_FORMAT_NONE);
    if (made && keep) {
        if (ncached == cache_room) {
            size_t room = cache_room ? cache_room * 2 : 64;
            cached *grown = realloc(cache, room * sizeof *grown);
            if (!grown)
                return made; /* works without being kept */
            cache = grown;
            cache_room = room;
        }
        cache[ncached++] = (cached){mt_keep(t), mt_keep(made)};
    }
    return made;
}

/* The widest of what takes part; a float of neither kind is refused, as PyTorch does. */
static int
widest(const mt_call *call, mt_dtype lower, mt_dtype *found)
{
    *found = lower;
    for (int i = 0; i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        uint32_t n = v->tag == MT_V_TENSORS ? v->len : v->tag == MT_V_TENSOR;
        for (uint32_t k = 0; k < n; k++) {
            const mt_tensor *t = v->tag == MT_V_TENSOR ? v->u.t : v->u.ts[k];
            if (!t || !eligible(t))
                continue;
            if (t->dtype == MT_FLOAT32)
                *found = MT_FLOAT32;
            else if (t->dtype != lower && *found != MT_FLOAT32)
                return mt_fail(MT_RUNTIME, "Unexpected floating ScalarType in at::autocast::prioritize");
        }
    }
    return 0;
}

int
mt_handle_autocast(mt_call *call)
{
    const mt_op *op = call->op;
    mt_thread *thread = call->thread;
    mt_value args[64];
    mt_tensor *made[64] = {0};
    mt_list lists[4] = {{NULL, 0}};
    int nlists = 0, rc = -1;
    mt_dtype lower = (mt_dtype)thread->autocast_dtype;
    mt_dtype to = op->cast_policy == 1 ? lower : MT_FLOAT32;
    if (op->cast_policy == 3 && widest(call, lower, &to) < 0)
        return -1;
    mt_key_guard saved = mt_exclude_keys(thread, MT_AUTOCAST_KEYS);
    memcpy(args, call->args, op->nargs * sizeof(mt_value));
    for (int i = 0; i < op->nargs; i++) {
        if (args[i].tag == MT_V_TENSOR) {
            if (!(made[i] = cast(thread, args[i].u.t, to)))
                goto done;
            args[i].u.t = made[i];
        } else if (args[i].tag == MT_V_TENSORS && nlists < 4) {
            mt_list *list = &lists[nlists++];
            *list = mt_list_new(args[i].len);
            if (!list->items)
                goto done;
            for (uint32_t k = 0; k < args[i].len; k++)
                if (args[i].u.ts[k] && !(list->items[k] = cast(thread, args[i].u.ts[k], to)))
                    goto done;
            args[i].u.ts = list->items;
        }
    }
    mt_value *given = call->args;
    call->args = args;
    rc = mt_redispatch_below(call, MT_F_AutocastCPU);
    call->args = given;
done:
    mt_restore_keys(thread, saved);
    for (int i = 0; i < op->nargs; i++)
        mt_xrelease(made[i]);
    for (int i = 0; i < nlists; i++)
        mt_list_free(&lists[i]);
    return rc;
}
