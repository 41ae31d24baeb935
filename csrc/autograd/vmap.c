/* vmap: operators on tensors with a hidden batch dimension.
 *
 * A batched tensor is a tensor of its own, with the shape of one example, that points to a value
 * with one dimension more, the batch, in front. It looks like the first example (same storage,
 * strides without the batch's), so geometry works as for any tensor; its elements are read by the
 * rules alone.
 *
 * Note: levels. Its dispatch key lies *below* Autograd. A call on a batched tensor is therefore
 * recorded (and given tangents) as the user of this level sees it, then comes here, and goes on with
 * the values as a new call from the top, where a graph around the vmap records it again. Nested
 * transforms need nothing else: a value may be batched at a lower level, and each layer of tensors
 * has its own history. The layers above take part only for tensors of the call's highest level
 * (mt_call_level); one of a lower level is a constant there and is differentiated further down.
 *
 * What an operator does with the batch is the rule of its family (batch_rules.c); an operator
 * without one runs once per example. */
#include "autograd/vmap.h"

#include <stdlib.h>

#include "base/error.h"
#include "ops_gen.h"

/* ---- levels ------------------------------------------------------------------------------- */

int
mt_vmap_open(int64_t size, mt_randomness randomness)
{
    mt_thread *thread = mt_this_thread();
    mt_transform *outer = thread->transform, *t;
    int level = outer ? outer->level + 1 : 1;
    if (level > 255)
        return mt_fail(MT_RUNTIME, "vmap is nested more than 255 times");
    if (!(t = malloc(sizeof *t)))
        return mt_fail(MT_MEMORY, "not enough memory for vmap");
    *t = (mt_transform){outer, size, (uint8_t)level, (uint8_t)randomness};
    thread->transform = t;
    thread->included |= MT_KEY_BIT(FuncTorchVmapMode);
    return level;
}

void
mt_vmap_close(void)
{
    mt_thread *thread = mt_this_thread();
    mt_transform *t = thread->transform;
    if (!t)
        return;
    thread->transform = t->outer;
    if (!t->outer)
        thread->included &= ~MT_KEY_BIT(FuncTorchVmapMode);
    free(t);
}

mt_outside
mt_vmap_step_out(mt_thread *thread, int level)
{
    mt_outside saved = {thread, thread->transform, {thread->included, thread->excluded}};
    mt_transform *t = thread->transform;
    while (t && t->level >= level)
        t = t->outer;
    thread->transform = t;
    if (t)
        thread->included |= MT_KEY_BIT(FuncTorchVmapMode);
    else
        thread->included &= ~MT_KEY_BIT(FuncTorchVmapMode);
    thread->excluded &= ~MT_KEY_BIT(FuncTorchVmapMode);
    if (!thread->inference_mode) {
        thread->included |= MT_KEY_BIT(ADInplaceOrView);
        thread->excluded &= ~(MT_AUTOGRAD_KEYS | MT_KEY_BIT(ADInplaceOrView));
    }
    return saved;
}

void
mt_vmap_step_in(mt_outside saved)
{
    saved.thread->transform = saved.transform;
    mt_restore_keys(saved.thread, saved.keys);
}

/* ---- batched tensors ---------------------------------------------------------------------- */

mt_tensor *
mt_batched(mt_tensor *value, int level, int dim)
{
    int skip = dim < 0 ? 0 : 1;
    mt_tensor *t = mt_tensor_on(value->storage, (mt_dtype)value->dtype, value->offset,
                                value->ndim - skip, value->sizes + skip, value->strides + skip,
                                0, value->device);
    if (!t)
        return NULL;
    mt_keys lazy = MT_KEY_BIT(Conjugate) | MT_KEY_BIT(Negative) | MT_KEY_BIT(Python);
    t->keys = (value->keys & ~lazy) | MT_BATCHED_KEY;
    if (!(value->flags & MT_T_INFERENCE))
        t->keys |= MT_KEY_BIT(AutogradFunctionality) | MT_KEY_BIT(ADInplaceOrView);
    t->flags |= value->flags & (MT_T_INFERENCE | MT_T_WRAPPED_NUMBER);
    t->value = mt_keep(value);
    t->batch_level = (uint8_t)level;
    t->batch_dim = (int8_t)dim;
    mt_the_host.object_track(&t->head);
    return t;
}

/* After an in-place operator that may have changed the geometry of the value. */
static int
follow_value(mt_tensor *t)
{
    const mt_tensor *v = t->value;
    int skip = t->batch_dim < 0 ? 0 : 1;
    if (t->ndim == v->ndim - skip &&
        !memcmp(t->sizes, v->sizes + skip, t->ndim * sizeof(int64_t)) &&
        !memcmp(t->strides, v->strides + skip, t->ndim * sizeof(int64_t)))
        return 0;
    t->offset = v->offset;
    return mt_tensor_set_geometry(t, v->ndim - skip, v->sizes + skip, v->strides + skip);
}

int
mt_call_level(const mt_call *call)
{
    int level = 0;
    for (int i = 0; i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        if (v->tag == MT_V_TENSOR)
            level = MT_MAX(level, v->u.t->batch_level);
        else if (v->tag == MT_V_TENSORS)
            for (uint32_t k = 0; k < v->len; k++)
                if (v->u.ts[k])
                    level = MT_MAX(level, v->u.ts[k]->batch_level);
    }
    return level;
}

int
mt_vmap_no_item(void)
{
    return mt_fail(MT_RUNTIME,
                   "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap "
                   "over calling .item() on a Tensor, please try to rewrite what you're doing with "
                   "other operations. If error is occurring somewhere inside PyTorch internals, "
                   "please file a bug report.");
}

/* ---- a call on the values ----------------------------------------------------------------- */

mt_tensor *
mt_batch_hold(mt_batch *b, mt_tensor *made)
{
    if (!made)
        return NULL;
    if (b->nheld == MT_BATCH_HELD) {
        mt_release(made);
        return mt_fail_null(MT_RUNTIME, "vmap: too many temporaries in %s", b->op->name);
    }
    return b->held[b->nheld++] = made;
}

static mt_tensor *
expanded(mt_batch *b, mt_tensor *t)
{
    int64_t sizes[MT_MAX_DIMS + 1];
    sizes[0] = b->size;
    memcpy(sizes + 1, t->sizes, t->ndim * sizeof(int64_t));
    return mt_batch_hold(b, aten_expand(t, sizes, t->ndim + 1, false));
}

int
mt_batch_expand(mt_batch *b, int i)
{
    if (b->batched[i] || b->args[i].tag != MT_V_TENSOR)
        return 0;
    b->args[i].u.t = expanded(b, b->args[i].u.t);
    b->batched[i] = true;
    return b->args[i].u.t ? 0 : -1;
}

static bool
is_batched(const mt_batch *b, const mt_tensor *t)
{
    return t && t->batch_level == b->level && t->batch_dim == 0;
}

static int
unwrap(mt_batch *b)
{
    mt_call *call = b->call;
    const mt_op *op = b->op;
    if (op->nargs > MT_BATCH_ARGS)
        return mt_fail(MT_RUNTIME, "vmap: %s has more than %d arguments", op->name, MT_BATCH_ARGS);
    memcpy(b->args, call->args, op->nargs * sizeof(mt_value));
    for (int i = 0; i < op->nargs; i++) {
        mt_value *v = &b->args[i];
        if (v->tag == MT_V_TENSOR && v->u.t->batch_level == b->level) {
            if ((b->batched[i] = is_batched(b, v->u.t)))
                b->size = v->u.t->value->sizes[0];
            b->any |= b->batched[i];
            v->u.t = v->u.t->value;
        } else if (v->tag == MT_V_TENSORS) {
            if (b->nlists == (int)MT_COUNT(b->lists))
                return mt_fail(MT_RUNTIME, "vmap: %s has too many lists", op->name);
            mt_list *list = &b->lists[b->nlists];
            *list = mt_list_new(v->len);
            if (!list->items)
                return -1;
            b->nlists++;
            for (uint32_t k = 0; k < v->len; k++) {
                mt_tensor *t = call->args[i].u.ts[k];
                if (!t)
                    continue;
                if (is_batched(b, t)) {
                    b->batched[i] = b->any = true;
                    b->size = t->value->sizes[0];
                }
                list->items[k] = mt_keep(t->batch_level == b->level ? t->value : t);
            }
            v->u.ts = list->items;
        }
    }
    return 0;
}

/* Results of the values become results of the call. */
static int
wrap(mt_batch *b)
{
    const mt_op *op = b->op;
    mt_call *call = b->call;
    int dim = b->any && !b->plain ? 0 : -1;
    for (int j = 0; j < op->nrets; j++) {
        mt_value *r = &b->rets[j];
        if (op->flags & MT_OP_INPLACE) {
            mt_tensor *self = call->args[0].u.t;
            if (self->batch_level == b->level && follow_value(self) < 0)
                return -1;
            call->rets[j] = mt_v_tensor(mt_keep(self));
        } else if (r->tag == MT_V_TENSOR) {
            mt_tensor *t = mt_batched(r->u.t, b->level, dim);
            if (!t)
                return -1;
            call->rets[j] = mt_v_tensor(t);
        } else if (r->tag == MT_V_TENSORS) {
            mt_list list = mt_list_new(r->len);
            if (!list.items)
                return -1;
            call->rets[j] = mt_v_tensors(list.items, r->len);
            for (uint32_t k = 0; k < r->len; k++)
                if (!(list.items[k] = mt_batched(r->u.ts[k], b->level, dim)))
                    return -1;
        } else
            call->rets[j] = *r;
    }
    return 0;
}

static void
discard(mt_batch *b)
{
    mt_release_rets(b->op, b->rets);
    while (b->nheld)
        mt_release(b->held[--b->nheld]);
    while (b->nlists)
        mt_list_free(&b->lists[--b->nlists]);
}

static int
no_fallback(const mt_op *op)
{
    return mt_fail(MT_RUNTIME,
                   "Batching rule not implemented for %s%s%s; the fallback path doesn't work on out= or "
                   "view ops.",
                   op->name, op->overload[0] ? "." : "", op->overload);
}

int
mt_handle_batched(mt_call *call)
{
    const mt_op *op = call->op;
    mt_batch b = {.call = call, .op = op, .level = mt_call_level(call), .size = -1};
    if (!b.level)
        return mt_handle_missing(call);
    mt_outside saved = mt_vmap_step_out(call->thread, b.level);
    int rc = -1;
    if (unwrap(&b) < 0)
        goto done;
    if (!b.any)
        rc = mt_dispatch(op, b.args, b.rets);
    else if (op->flags & MT_OP_OUT)
        rc = no_fallback(op);
    else
        rc = mt_batch_run(&b);
    if (rc == 0 && (rc = wrap(&b)) < 0)
        mt_release_rets(op, call->rets);
done:
    discard(&b);
    mt_vmap_step_in(saved);
    return rc;
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* Stacks what the examples gave for result j. */
static int
stack_results(mt_batch *b, int j, mt_value (*each)[8])
{
    mt_tensor **column = calloc((size_t)b->size, sizeof *column);
    if (!column)
        return mt_fail(MT_MEMORY, "not enough memory for vmap");
    int rc = 0;
    if (each[0][j].tag == MT_V_TENSOR) {
        for (int64_t e = 0; e < b->size; e++)
            column[e] = each[e][j].u.t;
        mt_tensor *t = aten_stack(column, b->size, 0);
        b->rets[j] = mt_v_tensor(t);
        rc = t ? 0 : -1;
    } else if (each[0][j].tag == MT_V_TENSORS) {
        uint32_t n = each[0][j].len;
        mt_list list = mt_list_new(n);
        rc = list.items ? 0 : -1;
        b->rets[j] = mt_v_tensors(list.items, n);
        for (uint32_t k = 0; k < n && rc == 0; k++) {
            for (int64_t e = 0; e < b->size; e++)
                column[e] = each[e][j].u.ts[k];
            rc = (list.items[k] = aten_stack(column, b->size, 0)) ? 0 : -1;
        }
    } else if (each[0][j].tag != MT_V_NONE)
        rc = mt_fail(MT_RUNTIME,
                     "vmap: It looks like you're attempting to use a Tensor in some data-dependent "
                     "control flow. We don't support that yet, please file an issue at "
                     "https://github.com/pytorch/pytorch/issues .");
    free(column);
    return rc;
}

/* Arguments of one example. The slices are new references, in `made`. */
static int
example(mt_batch *b, int64_t e, mt_value *args, mt_list *made)
{
    const mt_op *op = b->op;
    int64_t n = 0;
    for (int i = 0; i < op->nargs; i++)
        n += b->args[i].tag == MT_V_TENSORS ? 2 * (int64_t)b->args[i].len : 1;
    *made = mt_list_new(n);
    if (!made->items)
        return -1;
    memcpy(args, b->args, op->nargs * sizeof(mt_value));
    int64_t at = 0;
    for (int i = 0; i < op->nargs; i++) {
        if (args[i].tag == MT_V_TENSOR && b->batched[i]) {
            if (!(made->items[at] = aten_select_int(args[i].u.t, 0, e)))
                return -1;
            args[i].u.t = made->items[at++];
        } else if (args[i].tag == MT_V_TENSORS && b->batched[i]) {
            mt_tensor **items = made->items + at;
            for (uint32_t k = 0; k < args[i].len; k++, at++) {
                mt_tensor *t = args[i].u.ts[k];
                items[k] = is_batched(b, b->call->args[i].u.ts[k]) ? aten_select_int(t, 0, e)
                                                                   : mt_xkeep(t);
                if (t && !items[k])
                    return -1;
            }
            args[i].u.ts = items;
        }
    }
    return 0;
}

int
mt_vmap_refuse_write(const char *name, const char *where)
{
    return mt_fail(MT_RUNTIME,
                   "vmap: %s(self, *extra_args) is not possible because there exists a Tensor `other` "
                   "in extra_args that has more elements than `self`. This happened due to `other` being "
                   "vmapped over but `self` not being vmapped over %s. Please try to use out-of-place "
                   "operators instead of %s. If said operator is being called inside the PyTorch "
                   "framework, please file a bug report instead.",
                   name, where, name);
}

int
mt_batch_loop(mt_batch *b)
{
    const mt_op *op = b->op;
    if (op->flags & MT_OP_INPLACE && !b->batched[0])
        return mt_vmap_refuse_write(op->name, mt_str("at level %d", b->level));
    if (op->flags & MT_OP_NO_META && op->nontensor_rets == 0)
        return strcmp(op->name, "aten::masked_select") && strcmp(op->name, "aten::index")
                   ? mt_fail(MT_RUNTIME,
                             "vmap: We do not support batching operators that can output dynamic shape. "
                             "Attempted to vmap over %s. Please file an issue at "
                             "https://github.com/pytorch/pytorch/issues if you need this feature.",
                             op->name)
                   : mt_fail(MT_RUNTIME,
                             "vmap: We do not support batching operators that can support dynamic "
                             "shape. Attempting to batch over indexing with a boolean mask.");
    if (b->size == 0)
        return mt_fail(MT_RUNTIME, "The fallback path does not support vmap over dims of size 0");
    mt_value(*each)[8] = calloc((size_t)b->size, sizeof *each);
    if (!each)
        return mt_fail(MT_MEMORY, "not enough memory for vmap");
    int rc = 0;
    int64_t done = 0;
    for (; done < b->size && rc == 0; done++) {
        mt_value args[MT_BATCH_ARGS];
        mt_list made;
        rc = example(b, done, args, &made);
        if (rc == 0)
            rc = mt_dispatch(op, args, each[done]);
        mt_list_free(&made);
    }
    for (int j = 0; j < op->nrets && rc == 0 && !(op->flags & MT_OP_INPLACE); j++)
        rc = stack_results(b, j, each);
    for (int64_t e = 0; e < done; e++)
        mt_release_rets(op, each[e]);
    free(each);
    return rc;
}

/* ---- random operators --------------------------------------------------------------------- */

/* The examples share nothing: the batch becomes part of the size, or each is drawn by itself. */
static int
draw_examples(mt_batch *b)
{
    const mt_op *op = b->op;
    for (int i = 0; i < op->nargs; i++)
        if (b->args[i].tag == MT_V_INTS && !strcmp(op->args[i].name, "size")) {
            int64_t *sizes = b->ints[0];
            sizes[0] = b->size;
            memcpy(sizes + 1, b->args[i].u.is, b->args[i].len * sizeof(int64_t));
            b->args[i] = mt_v_ints(sizes, b->args[i].len + 1);
            return mt_dispatch(op, b->args, b->rets);
        }
    return mt_batch_loop(b);
}

int
mt_handle_vmap_mode(mt_call *call)
{
    const mt_op *op = call->op;
    mt_thread *thread = call->thread;
    mt_transform *t = thread->transform;
    if (!t || op->flags & MT_OP_COMPOSITE)
        return mt_redispatch_below(call, MT_F_FuncTorchVmapMode);
    if (t->randomness == MT_RANDOM_ERROR)
        return mt_fail(MT_RUNTIME,
                       "vmap: called random operation while in randomness error mode. Please either "
                       "use the 'same' or 'different' randomness flags on vmap or perform the "
                       "randomness operation out of vmap");
    bool batched = mt_call_level(call) == t->level;
    if (op->flags & MT_OP_INPLACE && batched != (t->randomness == MT_RANDOM_DIFFERENT))
        return batched ? mt_fail(MT_RUNTIME, "Vmap does not currently support same randomness with a "
                                             "batched tensor input. Please file an issue with functorch")
                       : mt_fail(MT_RUNTIME,
                                 "vmap: Cannot ask for different inplace randomness on an unbatched "
                                 "tensor. This will appear like same randomness. If this is "
                                 "necessary for your usage, please file an issue with functorch.");
    if (t->randomness == MT_RANDOM_SAME && batched)
        return mt_fail(MT_RUNTIME,
                       "Vmap does not currently support same randomness with a batched tensor input. "
                       "Please file an issue with functorch");
    if (batched || t->randomness == MT_RANDOM_SAME) {
        /* one draw for all, or one call on the values, where outer levels have their say */
        if (batched)
            return mt_redispatch_below(call, MT_F_FuncTorchVmapMode);
        mt_outside saved = mt_vmap_step_out(thread, t->level);
        int rc = mt_dispatch(op, call->args, call->rets);
        mt_vmap_step_in(saved);
        return rc;
    }
    mt_batch b = {.call = call, .op = op, .level = t->level, .size = t->size, .any = true};
    mt_outside saved = mt_vmap_step_out(thread, t->level);
    memcpy(b.args, call->args, op->nargs * sizeof(mt_value));
    int rc = 0;
    bool tensors = false;
    for (int i = 0; i < op->nargs && rc == 0; i++)
        if (b.args[i].tag == MT_V_TENSOR) {
            tensors = true;
            rc = mt_batch_expand(&b, i);
        }
    if (rc == 0)
        rc = tensors ? mt_batch_run(&b) : draw_examples(&b);
    if (rc == 0 && (rc = wrap(&b)) < 0)
        mt_release_rets(op, call->rets);
    discard(&b);
    mt_vmap_step_in(saved);
    return rc;
}
