/* The Autograd layer: one function for every differentiable operator.
 *
 * When an input requires a gradient a node is made, points to where the inputs came from, and
 * saves what the operator's formula will read; then the call goes on below, and the results get
 * the node as their history. Operators called inside kernels are not recorded: the keys of this
 * layer are excluded meanwhile. */
#include <stdlib.h>

#include "autograd/autograd.h"
#include "autograd/forward.h"
#include "autograd/view.h"
#include "autograd/vmap.h"
#include "base/error.h"
#include "ops_gen.h"
#include "tensor/copy.h"

#define BELOW (MT_AUTOGRAD_KEYS | MT_KEY_BIT(ADInplaceOrView))

/* Runs the layers below with the keys of this one excluded for nested calls. */
static int
call_below(mt_call *call)
{
    mt_thread *thread = call->thread;
    mt_key_guard saved = mt_exclude_keys(thread, MT_AUTOGRAD_KEYS);
    int rc = mt_redispatch_below(call, MT_F_AutogradOther);
    mt_restore_keys(thread, saved);
    return rc;
}

static mt_storage no_storage = {.refcount = INTPTR_MAX / 2, .device_type = MT_META};

/* Whether a gradient is wanted for the tensor in this call: inside vmap those of lower levels are
 * constants here and recorded further down (Note: levels, in vmap.c). */
MT_INLINE bool
takes_part(const mt_tensor *t, int level)
{
    return mt_requires_grad(t) && t->batch_level == level;
}

/* Sizes, strides, offset, dtype and device of a tensor without its data. */
static mt_tensor *
geometry_of(const mt_tensor *t)
{
    return mt_tensor_on(&no_storage, (mt_dtype)t->dtype, t->offset, t->ndim, t->sizes, t->strides,
                        t->keys & ~(MT_KEY_BIT(Python) | MT_BATCHED_KEY), t->device);
}

static int
save_geometry(mt_saved *slot, const mt_tensor *t)
{
    *slot = (mt_saved){.tensor = geometry_of(t)};
    slot->kind = slot->tensor ? MT_SAVED_GEOMETRY : MT_SAVED_NONE;
    return slot->tensor ? 0 : -1;
}

/* Sizes alone, where the formula asks for the shapes of a list. */
static int
save_list(mt_saved *slot, mt_value v, bool geometry)
{
    slot->value = (mt_value){.tag = MT_V_TENSORS, .len = v.len};
    mt_saved *items = calloc(v.len ? v.len : 1, sizeof *items);
    if (!items) {
        slot->kind = MT_SAVED_NONE;
        return mt_fail(MT_MEMORY, "not enough memory for saved tensors");
    }
    slot->value.u.p = items;
    slot->kind = MT_SAVED_LIST;
    for (uint32_t i = 0; i < v.len; i++)
        if (v.u.ts[i] && (geometry ? save_geometry(&items[i], v.u.ts[i])
                                   : mt_save_tensor(&items[i], v.u.ts[i], false)) < 0)
            return -1;
    return 0;
}

/* In place, the value before the write is what the formula wants: a copy is kept. */
static int
save_overwritten(mt_saved *slot, mt_tensor *self)
{
    mt_tensor *copy;
    if (MT_UNLIKELY(self->value != NULL)) {
        mt_thread *thread = mt_this_thread();
        mt_key_guard saved = mt_exclude_keys(thread, BELOW);
        copy = aten_clone(self, MT_FORMAT_NONE);
        mt_restore_keys(thread, saved);
    } else if (self->keys & MT_KEY_BIT(Python))
        copy = aten_clone(self, MT_FORMAT_NONE);
    else
        copy = mt_contiguous_data(self, true);
    if (!copy)
        return -1;
    if (mt_requires_grad(self)) {
        mt_edge edge;
        if (mt_gradient_edge(self, &edge) < 0) {
            mt_release(copy);
            return -1;
        }
        copy->grad_fn = edge.node;
        copy->output_nr = edge.input_nr;
        if (edge.node) {
            copy->flags |= MT_T_REQUIRES_GRAD;
            mt_the_host.object_track(&copy->head);
        }
    }
    int rc = mt_save_tensor(slot, copy, false);
    mt_release(copy);
    return rc;
}

static int
save_inputs(mt_call *call, const mt_derivative *d, mt_node *node, uint64_t want)
{
    for (uint32_t k = 0; k < d->nsaved; k++) {
        if (!(d->save_for[k] & want))
            continue;
        mt_saved *slot = &node->saved[k];
        mt_value v = d->saves[k].kind == MT_SAVED_OUTPUT ? mt_v_none()
                                                         : call->args[d->saves[k].index];
        int rc = 0;
        switch (d->saves[k].kind) {
        case MT_SAVED_INPUT:
            if (v.tag == MT_V_TENSOR) {
                if (MT_UNLIKELY((call->op->flags & MT_OP_INPLACE) && d->saves[k].index == 0))
                    rc = save_overwritten(slot, v.u.t);
                else
                    rc = mt_save_tensor(slot, v.u.t, false);
            }
            break;
        case MT_SAVED_GEOMETRY:
            if (v.tag == MT_V_TENSOR)
                rc = save_geometry(slot, v.u.t);
            else if (v.tag == MT_V_TENSORS)
                rc = save_list(slot, v, true);
            break;
        case MT_SAVED_VALUE:
            slot->kind = MT_SAVED_VALUE;
            rc = mt_value_copy(&slot->value, v);
            break;
        case MT_SAVED_LIST: rc = save_list(slot, v, false); break;
        default: break;
        }
        if (MT_UNLIKELY(rc < 0))
            return -1;
    }
    return 0;
}

static int
save_outputs(mt_call *call, const mt_derivative *d, mt_node *node, uint64_t want)
{
    for (uint32_t k = 0; k < d->nsaved; k++)
        if (d->saves[k].kind == MT_SAVED_OUTPUT && (d->save_for[k] & want)) {
            mt_tensor *t = mt_v_tensor_or_null(call->rets[d->saves[k].index]);
            /* a result without a gradient (the permutation of an LU) is saved like an input */
            if (mt_save_tensor(&node->saved[k], t, t == NULL || t->grad_fn != NULL) < 0)
                return -1;
        }
    return 0;
}

/* Edges of the differentiable arguments; a list argument takes one edge per tensor. `want` gets a
 * bit per slot that leads anywhere. */
static int
connect(mt_call *call, const mt_derivative *d, mt_node *node, uint64_t *want, int level)
{
    uint32_t e = 0;
    for (uint32_t s = 0; s < d->ninputs; s++) {
        const mt_value *v = &call->args[d->inputs[s]];
        if (v->tag == MT_V_TENSOR) {
            if (takes_part(v->u.t, level) && mt_gradient_edge(v->u.t, &node->edges[e]) < 0)
                return -1;
            if (node->edges[e].node)
                *want |= (uint64_t)1 << s;
            e++;
        } else if (v->tag == MT_V_TENSORS) {
            for (uint32_t i = 0; i < v->len; i++, e++) {
                if (!v->u.ts[i] || !takes_part(v->u.ts[i], level))
                    continue;
                if (mt_gradient_edge(v->u.ts[i], &node->edges[e]) < 0)
                    return -1;
                if (node->edges[e].node)
                    *want |= (uint64_t)1 << s;
            }
        } else
            e++;
    }
    return 0;
}

MT_INLINE bool
differentiable(const mt_tensor *t)
{
    return t->dtype >= MT_FLOAT16; /* floats and complex */
}

/* Whether a differentiable argument requires a gradient, and how many edges a node would have. */
MT_INLINE bool
wants_gradient(const mt_call *call, const mt_derivative *d, uint32_t *nedges, int level)
{
    bool any = false;
    uint32_t n = 0;
    for (uint32_t s = 0; s < d->ninputs; s++) {
        const mt_value *v = &call->args[d->inputs[s]];
        if (MT_LIKELY(v->tag == MT_V_TENSOR)) {
            any |= takes_part(v->u.t, level);
            n++;
        } else if (v->tag == MT_V_TENSORS) {
            for (uint32_t i = 0; i < v->len; i++)
                any |= v->u.ts[i] && takes_part(v->u.ts[i], level);
            n += v->len;
        } else
            n++;
    }
    *nedges = n;
    return any;
}

static bool
any_requires_grad(const mt_call *call, int level)
{
    for (int i = 0; i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        if (v->tag == MT_V_TENSOR && takes_part(v->u.t, level))
            return true;
        if (v->tag == MT_V_TENSORS)
            for (uint32_t k = 0; k < v->len; k++)
                if (v->u.ts[k] && takes_part(v->u.ts[k], level))
                    return true;
    }
    return false;
}

/* Fails for an argument without a formula that requires a gradient. */
static int
check_left_out(const mt_call *call, const mt_derivative *d, int level)
{
    for (int i = 0; i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        bool asked = v->tag == MT_V_TENSOR && takes_part(v->u.t, level);
        for (uint32_t k = 0; v->tag == MT_V_TENSORS && k < v->len; k++)
            asked |= v->u.ts[k] && takes_part(v->u.ts[k], level);
        for (uint32_t s = 0; asked && s < d->ninputs; s++)
            asked = d->inputs[s] != i;
        if (!asked)
            continue;
        const char *name = strstr(call->op->name, "::");
        name = name ? name + 2 : call->op->name;
        return mt_fail(MT_RUNTIME,
                       "The function '%.*s' is not differentiable with respect to argument '%s'. "
                       "This input cannot have requires_grad True.",
                       (int)strcspn(name, "."), name, call->op->args[i].name);
    }
    return 0;
}

static int
no_out(const mt_call *call)
{
    const char *name = strstr(call->op->name, "::");
    return mt_fail(MT_RUNTIME,
                   "%s(): functions with out=... arguments don't support automatic differentiation, "
                   "but one of the arguments requires grad.",
                   name ? name + 2 : call->op->name);
}

static int
finish(mt_call *call, const mt_derivative *d, mt_node *node)
{
    const mt_op *op = call->op;
    if (op->flags & MT_OP_INPLACE)
        return mt_rebase_history(call->args[0].u.t, node);
    for (int j = 0; j < d->noutputs; j++) {
        mt_value *r = &call->rets[d->outputs[j]];
        if (MT_LIKELY(r->tag == MT_V_TENSOR)) {
            if (MT_LIKELY(differentiable(r->u.t))) {
                if (mt_set_history(r->u.t, node) < 0)
                    return -1;
            } else if (mt_node_add_input(node, NULL) < 0)
                return -1;
        } else if (r->tag == MT_V_TENSORS) {
            for (uint32_t i = 0; i < r->len; i++)
                if (mt_set_history(r->u.ts[i], node) < 0)
                    return -1;
        } else if (mt_node_add_input(node, NULL) < 0)
            return -1;
    }
    return 0;
}

static int
not_implemented(mt_node *node, mt_tensor *const *grads, mt_tensor **out, uint64_t want)
{
    (void)grads;
    (void)out;
    (void)want;
    if (strcmp(node->derivative->name, "NotImplemented") == 0)
        return mt_fail(MT_RUNTIME, "derivative for %s is not implemented", node->op->name);
    const char *name = strstr(node->op->name, "::");
    return mt_fail(MT_NOT_IMPLEMENTED, "the derivative for '%s' is not implemented.",
                   name ? name + 2 : node->op->name);
}

int
mt_handle_autograd(mt_call *call)
{
    const mt_op *op = call->op;
    const mt_derivative *d = op->derivative;
    mt_thread *thread = call->thread;
    if (MT_UNLIKELY(thread->fw_level) && mt_has_tangents(call))
        return mt_forward_mode(call);
    uint32_t nedges = 0;
    int level = MT_UNLIKELY(call->keys & MT_BATCHED_KEY) ? mt_call_level(call) : 0;
    if (d && MT_UNLIKELY(d->flags & MT_D_LEAVES_OUT) && thread->grad_mode &&
        check_left_out(call, d, level) < 0)
        return -1;
    bool record = d && wants_gradient(call, d, &nedges, level) && thread->grad_mode;
    if (MT_LIKELY(!record)) {
        if (MT_UNLIKELY(op->flags & (MT_OP_INPLACE | MT_OP_OUT)) && thread->grad_mode &&
            any_requires_grad(call, level)) {
            if (op->flags & MT_OP_OUT)
                return no_out(call);
            if (mt_check_inplace(call->args[0].u.t, true) < 0)
                return -1;
        }
        return call_below(call);
    }
    if (MT_UNLIKELY(op->flags & MT_OP_INPLACE) && mt_check_inplace(call->args[0].u.t, true) < 0)
        return -1;
    int rc = -1;
    uint64_t want = 0;
    mt_node *node = mt_node_new(MT_NODE_FORMULA, d->name, nedges, d->nsaved);
    if (!node)
        return -1;
    node->derivative = d;
    node->op = op;
    node->apply = d->flags & MT_D_NOT_IMPLEMENTED ? not_implemented : d->formula;
    if (connect(call, d, node, &want, level) < 0 || save_inputs(call, d, node, want) < 0)
        goto done;
    if (call_below(call) < 0)
        goto done;
    if (finish(call, d, node) < 0 || save_outputs(call, d, node, want) < 0) {
        mt_release_rets(op, call->rets);
        goto done;
    }
    rc = 0;
done:
    mt_release(node);
    return rc;
}

/* A node as recording would make it, for forward mode: its formula can be applied, but it leads
 * nowhere. `want`: the slots whose formulas will run. The results are saved as they are. */
mt_node *
mt_node_of_call(mt_call *call, uint64_t want)
{
    const mt_derivative *d = call->op->derivative;
    uint32_t nedges = 0;
    wants_gradient(call, d, &nedges, 0);
    mt_node *node = mt_node_new(MT_NODE_FORMULA, d->name, nedges, d->nsaved);
    if (!node)
        return NULL;
    node->derivative = d;
    node->op = call->op;
    node->apply = d->flags & MT_D_NOT_IMPLEMENTED ? not_implemented : d->formula;
    int rc = save_inputs(call, d, node, want);
    for (uint32_t k = 0; k < d->nsaved && rc == 0; k++)
        if (d->saves[k].kind == MT_SAVED_OUTPUT && (d->save_for[k] & want))
            rc = mt_save_tensor(&node->saved[k],
                                mt_v_tensor_or_null(call->rets[d->saves[k].index]), false);
    for (int j = 0; j < d->noutputs && rc == 0; j++) {
        mt_value *r = &call->rets[d->outputs[j]];
        if (r->tag == MT_V_TENSORS)
            for (uint32_t i = 0; i < r->len && rc == 0; i++)
                rc = mt_node_add_input(node, r->u.ts[i]) < 0 ? -1 : 0;
        else
            rc = mt_node_add_input(node, mt_v_tensor_or_null(*r)) < 0 ? -1 : 0;
    }
    if (rc < 0) {
        mt_release(node);
        return NULL;
    }
    return node;
}

/* ---- ADInplaceOrView: versions and views -------------------------------------------------- */

static mt_creation
creation_now(const mt_thread *thread)
{
    return thread->inference_mode ? MT_MADE_INFERENCE
           : !thread->grad_mode   ? MT_MADE_NO_GRAD
                                  : MT_MADE_DEFAULT;
}

int
mt_make_view(mt_tensor *view, mt_tensor *self, mt_creation creation)
{
    bool chained = self->flags & MT_T_VIEW;
    mt_tensor *base = chained ? self->base : self;
    if (view->base)
        mt_release(view->base);
    view->base = mt_keep(base);
    view->flags |= MT_T_VIEW;
    view->attr_version = mt_tensor_version(base);
    bool inherits = chained && (creation == MT_MADE_DEFAULT || self->creation == MT_MADE_INFERENCE);
    view->creation = (uint8_t)(inherits ? self->creation : creation);
    mt_the_host.object_track(&view->head);
    return 0;
}

/* Views that as_strided cannot express are made again by their own operator. */
static int
remember_replay(mt_call *call, mt_tensor *view)
{
    mt_grad_meta *meta = mt_grad_meta_of(view);
    if (!meta)
        return -1;
    meta->replay_args = calloc(call->op->nargs, sizeof(mt_value));
    if (!meta->replay_args)
        return mt_fail(MT_MEMORY, "not enough memory for a view");
    meta->replay_op = call->op;
    for (int i = 1; i < call->op->nargs; i++) /* args[0] is the base, put in at replay */
        if (mt_value_copy(&meta->replay_args[i], call->args[i]) < 0)
            return -1;
    return 0;
}

static int
track_view(mt_call *call, mt_tensor *view, mt_creation creation)
{
    mt_tensor *self = call->args[0].u.t;
    if (view == self)
        return 0;
    if (mt_make_view(view, self, creation) < 0)
        return -1;
    if (MT_UNLIKELY(view->dtype != self->dtype || view->storage != self->storage ||
                    ((view->keys ^ self->keys) & (MT_KEY_BIT(Conjugate) | MT_KEY_BIT(Negative)))) &&
        !(self->flags & MT_T_VIEW))
        return remember_replay(call, view);
    return 0;
}

int
mt_handle_adinplaceorview(mt_call *call)
{
    const mt_op *op = call->op;
    mt_thread *thread = call->thread;
    if (MT_UNLIKELY(op->flags & (MT_OP_INPLACE | MT_OP_OUT)) && !thread->inference_mode) {
        int first = op->flags & MT_OP_INPLACE ? 0 : op->nargs - op->nouts;
        int last = op->flags & MT_OP_INPLACE ? 1 : op->nargs;
        for (int i = first; i < last; i++)
            if (call->args[i].tag == MT_V_TENSOR && call->args[i].u.t->flags & MT_T_INFERENCE)
                return mt_fail(MT_RUNTIME,
                               "Inplace update to inference tensor outside InferenceMode is not "
                               "allowed.You can make a clone to get a normal tensor before doing "
                               "inplace update.See https://github.com/pytorch/rfcs/pull/17 for more "
                               "details.");
    }
    mt_key_guard saved = mt_exclude_keys(thread, BELOW);
    int rc = mt_redispatch_below(call, MT_F_ADInplaceOrView);
    mt_restore_keys(thread, saved);
    if (MT_UNLIKELY(rc < 0))
        return -1;
    if (op->flags & MT_OP_VIEW) {
        if (call->rets[0].tag != MT_V_TENSOR)
            return 0;
        rc = track_view(call, call->rets[0].u.t, creation_now(thread));
    } else if (op->flags & MT_OP_MULTI_VIEW) {
        mt_creation creation = creation_now(thread);
        if (creation == MT_MADE_DEFAULT)
            creation = MT_MADE_MULTI_OUTPUT;
        for (uint32_t i = 0; i < call->rets[0].len && rc == 0; i++)
            rc = track_view(call, call->rets[0].u.ts[i], creation);
    } else if (op->flags & MT_OP_INPLACE)
        mt_bump_version(call->args[0].u.t);
    else if (op->flags & MT_OP_OUT)
        for (int i = op->nargs - op->nouts; i < op->nargs; i++)
            if (call->args[i].tag == MT_V_TENSOR)
                mt_bump_version(call->args[i].u.t);
    if (MT_UNLIKELY(rc < 0))
        mt_release_rets(op, call->rets);
    return rc;
}
