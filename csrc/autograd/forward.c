/* Forward mode: the Autograd layer's second half.
 *
 * With a level open, an operator whose arguments carry tangents runs as usual and then its tangent
 * formula, which gives the tangents of the results. Levels nest: the call takes place with the
 * innermost one switched off, so that its tangents, values like any others, carry those of the levels
 * around it.
 *
 * Note: tangents without a formula. A gradient formula is linear in the gradients u of the results:
 * it computes J'u. Differentiating its product with the tangents v by u gives (J')'v = Jv. So where the
 * table has no tangent formula, the gradient formula runs on a stand-in for u, recorded, and
 * backward through it yields the tangents: every differentiable operator has forward mode. */
#include "autograd/forward.h"

#include <stdlib.h>

#include "autograd/autograd.h"
#include "autograd/vmap.h"
#include "base/error.h"
#include "ops_gen.h"

#define MAX_SLOTS 64

/* ---- levels and tangents ------------------------------------------------------------------ */

static uint32_t last_id;

int64_t
mt_forward_open(void)
{
    mt_thread *thread = mt_this_thread();
    if (thread->fw_level == MT_FW_LEVELS)
        return mt_fail(MT_RUNTIME, "forward mode is nested more than %d times", MT_FW_LEVELS);
    return thread->fw_ids[thread->fw_level++] = ++last_id;
}

void
mt_forward_close(void)
{
    mt_thread *thread = mt_this_thread();
    if (thread->fw_level)
        thread->fw_level--;
}

mt_tensor *
mt_tangent_of(const mt_tensor *self, uint32_t id)
{
    if (self->meta)
        for (const mt_dual *f = self->meta->tangents; f; f = f->next)
            if (f->id == id)
                return f->tensor;
    return NULL;
}

int
mt_set_tangent(mt_tensor *self, mt_tensor *tangent, uint32_t id)
{
    mt_grad_meta *meta = mt_grad_meta_of(self);
    if (!meta)
        return -1;
    mt_dual **at = &meta->tangents;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    if (!tangent) {
        mt_dual *old = *at;
        if (old) {
            *at = old->next;
            mt_release(old->tensor);
            free(old);
        }
        return 0;
    }
    if (!*at) {
        mt_dual *fresh = malloc(sizeof *fresh);
        if (!fresh)
            return mt_fail(MT_MEMORY, "not enough memory for a tangent");
        *fresh = (mt_dual){NULL, mt_keep(tangent), id};
        *at = fresh;
        return 0;
    }
    mt_tensor *old = (*at)->tensor;
    (*at)->tensor = mt_keep(tangent);
    mt_release(old);
    return 0;
}

/* ---- what a call brings along ------------------------------------------------------------- */

/* The innermost open level at which a tensor of the call has a tangent, 0: none. Of the tensors,
 * those of the highest vmap level count (Note: levels, in vmap.c). */
static int
level_of(const mt_call *call)
{
    const mt_thread *thread = call->thread;
    int batch = MT_UNLIKELY(call->keys & MT_BATCHED_KEY) ? mt_call_level(call) : 0;
    for (int level = thread->fw_level; level > 0; level--) {
        uint32_t id = thread->fw_ids[level - 1];
        for (int i = 0; i < call->op->nargs; i++) {
            const mt_value *v = &call->args[i];
            uint32_t n = v->tag == MT_V_TENSORS ? v->len : v->tag == MT_V_TENSOR;
            for (uint32_t k = 0; k < n; k++) {
                const mt_tensor *t = v->tag == MT_V_TENSOR ? v->u.t : v->u.ts[k];
                if (t && t->meta && t->batch_level == batch && mt_tangent_of(t, id))
                    return level;
            }
        }
    }
    return 0;
}

bool
mt_has_tangents(const mt_call *call)
{
    return call->thread->forward_grad_mode && level_of(call) > 0;
}

typedef struct tangents {
    mt_tensor *of[MAX_SLOTS]; /* owned; one per tensor of the differentiable arguments */
    int n;
    uint64_t want; /* argument slots that have one */
} tangents;

static int
collect(const mt_call *call, const mt_derivative *d, uint32_t id, bool zeros, tangents *in)
{
    int batch = MT_UNLIKELY(call->keys & MT_BATCHED_KEY) ? mt_call_level(call) : 0;
    for (uint32_t s = 0; s < d->ninputs; s++) {
        const mt_value *v = &call->args[d->inputs[s]];
        uint32_t count = v->tag == MT_V_TENSORS ? v->len : 1;
        for (uint32_t k = 0; k < count; k++, in->n++) {
            mt_tensor *t = v->tag == MT_V_TENSOR    ? v->u.t
                           : v->tag == MT_V_TENSORS ? v->u.ts[k]
                                                    : NULL;
            if (in->n == MAX_SLOTS)
                return mt_fail(MT_NOT_IMPLEMENTED, "forward mode of %s with more than %d tensors",
                               call->op->name, MAX_SLOTS);
            mt_tensor *have = t && t->batch_level == batch ? mt_tangent_of(t, id) : NULL;
            if (have) {
                /* in place it is about to be overwritten like the value */
                bool written = call->op->flags & MT_OP_INPLACE && d->inputs[s] == 0;
                if (!(in->of[in->n] = written ? aten_clone(have, MT_FORMAT_NONE) : mt_keep(have)))
                    return -1;
                in->want |= (uint64_t)1 << s;
            } else if (t && zeros &&
                       !(in->of[in->n] = aten_zeros_like(t, MT_DTYPE_NONE, -1, MT_NO_DEVICE,
                                                         mt_v_none(), MT_FORMAT_NONE)))
                return -1;
        }
    }
    return 0;
}

static void
drop(tangents *in)
{
    for (int k = 0; k < in->n; k++)
        mt_xrelease(in->of[k]);
}

/* ---- through the gradient formula --------------------------------------------------------- */

/* One stand-in for the gradient of every differentiable result: a leaf of zeros. */
static mt_tensor *
stand_in(mt_tensor *result)
{
    mt_tensor *u = aten_zeros_like(result, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    mt_grad_meta *meta = u ? mt_grad_meta_of(u) : NULL;
    if (meta) {
        meta->retains_grad = true; /* no other leaf has it: marks what transforms need not keep */
        u->flags |= MT_T_REQUIRES_GRAD;
        mt_the_host.object_track(&u->head);
    }
    return u;
}

/* Whether somebody may differentiate the tangents: an input has a history at this layer, or may have
 * one inside vmap. */
static bool
is_recorded(const mt_call *call, const tangents *in)
{
    if (!call->thread->grad_mode)
        return false;
    if (call->keys & MT_BATCHED_KEY)
        return true;
    for (int k = 0; k < in->n; k++)
        if (in->of[k] && mt_requires_grad(in->of[k]))
            return true;
    for (int i = 0; i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        uint32_t n = v->tag == MT_V_TENSORS ? v->len : v->tag == MT_V_TENSOR;
        for (uint32_t k = 0; k < n; k++) {
            const mt_tensor *t = v->tag == MT_V_TENSOR ? v->u.t : v->u.ts[k];
            if (t && mt_requires_grad(t))
                return true;
        }
    }
    return false;
}

/* Fills `out`, one per result of the node. */
static int
through_gradient(mt_call *call, const tangents *in, mt_tensor **out, uint32_t room)
{
    mt_thread *thread = call->thread;
    bool grad_mode = thread->grad_mode, create = is_recorded(call, in);
    mt_node *node = mt_node_of_call(call, in->want);
    if (!node)
        return -1;
    uint32_t n = node->ninputs;
    int rc = -1;
    mt_tensor *u[MAX_SLOTS] = {0}, *grads[MAX_SLOTS] = {0}, *weights[MAX_SLOTS];
    mt_edge roots[MAX_SLOTS], wanted[MAX_SLOTS];
    int nroots = 0, edges = 0;
    thread->grad_mode = true;
    if (n > room || n > MAX_SLOTS) {
        mt_fail(MT_NOT_IMPLEMENTED, "forward mode of %s with more than %u results", call->op->name, room);
        goto done;
    }
    const mt_derivative *d = call->op->derivative;
    uint32_t at = 0;
    for (int j = 0; j < d->noutputs; j++) {
        mt_value *r = &call->rets[d->outputs[j]];
        uint32_t count = r->tag == MT_V_TENSORS ? r->len : 1;
        for (uint32_t k = 0; k < count; k++, at++) {
            mt_tensor *t = r->tag == MT_V_TENSORS ? r->u.ts[k] : mt_v_tensor_or_null(*r);
            if (t && t->dtype >= MT_FLOAT16 && !(u[at] = stand_in(t)))
                goto done;
        }
    }
    if (node->apply(node, u, grads, in->want) < 0)
        goto done;
    for (int k = 0; k < in->n; k++)
        if (in->of[k] && grads[k] && mt_requires_grad(grads[k])) {
            /* a gradient may be larger than what was broadcast; then the tangent grows with it */
            mt_tensor *w = in->of[k];
            if (!mt_same_shape(w, grads[k])) {
                w = aten_expand(w, grads[k]->sizes, grads[k]->ndim, false);
                if (!w)
                    goto done;
            } else
                mt_keep(w);
            if (w->dtype != grads[k]->dtype) {
                mt_tensor *cast =
                    aten_to_dtype(w, (mt_dtype)grads[k]->dtype, false, false, MT_FORMAT_NONE);
                mt_release(w);
                if (!(w = cast))
                    goto done;
            }
            weights[nroots] = w;
            if (mt_gradient_edge(grads[k], &roots[nroots++]) < 0)
                goto done;
        }
    for (; edges < (int)n; edges++) {
        wanted[edges] = (mt_edge){NULL, 0};
        if (u[edges] && mt_gradient_edge(u[edges], &wanted[edges]) < 0)
            goto done;
    }
    mt_backward_args back = {roots, weights, nroots, true, create, false, wanted, n, out};
    if (nroots && mt_backward(&back) < 0)
        goto done;
    rc = 0;
done:
    thread->grad_mode = grad_mode;
    for (uint32_t k = 0; k < n && k < MAX_SLOTS; k++)
        mt_xrelease(u[k]);
    for (int k = 0; k < MAX_SLOTS; k++)
        mt_xrelease(grads[k]);
    for (int k = 0; k < nroots; k++) {
        mt_xrelease(roots[k].node);
        mt_release(weights[k]);
    }
    for (int k = 0; k < edges; k++)
        mt_xrelease(wanted[k].node);
    mt_release(node);
    return rc;
}

/* ---- storing ------------------------------------------------------------------------------ */

/* The tangent of an output that backward needs goes with what was saved of it. */
static int
remember(const mt_tensor *result, mt_tensor *tangent, uint32_t id)
{
    mt_node *node = result->grad_fn;
    if (!node || node->kind != MT_NODE_FORMULA)
        return 0;
    for (uint32_t k = 0; k < node->nsaved; k++) {
        mt_saved *s = &node->saved[k];
        if (s->kind == MT_SAVED_OUTPUT && s->tensor && s->output_nr == result->output_nr &&
            mt_set_tangent(s->tensor, tangent, id) < 0)
            return -1;
    }
    return 0;
}

/* In place: the tangent of `self` is written, so that views of it follow. A view without one is
 * given a window on the tangent of its base. */
static int
overwrite(mt_tensor *self, mt_tensor *tangent, uint32_t id)
{
    mt_tensor *have = mt_tangent_of(self, id), *base = self->base;
    if (have)
        return aten_copy_(have, tangent, false);
    if (!base) {
        mt_tensor *copy = aten_clone(tangent, MT_FORMAT_NONE);
        int rc = copy ? mt_set_tangent(self, copy, id) : -1;
        mt_xrelease(copy);
        return rc;
    }
    mt_tensor *whole = mt_xkeep(mt_tangent_of(base, id)), *window = NULL;
    int rc = -1;
    if (!whole) {
        whole = aten_new_empty_strided(base, base->sizes, base->ndim, base->strides, base->ndim,
                                       MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none());
        if (!whole || aten_zero_(whole) < 0 || mt_set_tangent(base, whole, id) < 0)
            goto done;
    }
    window = aten_as_strided(whole, self->sizes, self->ndim, self->strides, self->ndim,
                             mt_v_int(self->offset - base->offset + whole->offset));
    if (window && aten_copy_(window, tangent, false) == 0)
        rc = mt_set_tangent(self, window, id);
done:
    mt_xrelease(whole);
    mt_xrelease(window);
    return rc;
}

static int
store(mt_call *call, const mt_derivative *d, mt_tensor *const *out, uint32_t id)
{
    if (call->op->flags & MT_OP_INPLACE)
        return out[0] ? overwrite(call->args[0].u.t, out[0], id) : 0;
    uint32_t at = 0;
    for (int j = 0; j < d->noutputs; j++) {
        mt_value *r = &call->rets[d->outputs[j]];
        uint32_t count = r->tag == MT_V_TENSORS ? r->len : 1;
        for (uint32_t k = 0; k < count; k++, at++) {
            mt_tensor *t = r->tag == MT_V_TENSORS ? r->u.ts[k] : mt_v_tensor_or_null(*r);
            if (t && out[at] && t->dtype >= MT_FLOAT16 &&
                (mt_set_tangent(t, out[at], id) < 0 || remember(t, out[at], id) < 0))
                return -1;
        }
    }
    return 0;
}

/* ---- the call ----------------------------------------------------------------------------- */

static bool
gives_floats(const mt_call *call, const mt_derivative *d)
{
    for (int j = 0; j < d->noutputs; j++) {
        const mt_value *r = &call->rets[d->outputs[j]];
        if (r->tag == MT_V_TENSORS || (r->tag == MT_V_TENSOR && r->u.t->dtype >= MT_FLOAT16))
            return true;
    }
    return false;
}

static int
not_built(const mt_op *op)
{
    const char *colon = strstr(op->name, "::");
    return mt_fail(MT_NOT_IMPLEMENTED,
                   "Trying to use forward AD with %s that does not support it because it has not been "
                   "implemented yet.\nPlease file an issue to PyTorch at "
                   "https://github.com/pytorch/pytorch/issues/new?template=feature-request.yml so that "
                   "we can prioritize its implementation or submit a PR adding the implementation to "
                   "derivatives.yaml\nNote that forward AD support for some operators require PyTorch "
                   "to be built with TorchScript and for JIT to be enabled. If the environment var "
                   "PYTORCH_JIT=0 is set or if the library is not built with TorchScript, some "
                   "operators may no longer be used with forward AD.",
                   colon ? colon + 2 : op->name);
}

int
mt_forward_mode(mt_call *call)
{
    const mt_op *op = call->op;
    const mt_derivative *d = op->derivative;
    mt_thread *thread = call->thread;
    uint8_t before = thread->fw_level;
    int level = level_of(call);
    uint32_t id = thread->fw_ids[level - 1];
    mt_value args[MT_BATCH_ARGS], *given = call->args;
    mt_tensor *old = NULL, *out[MAX_SLOTS] = {0};
    tangents in = {.n = 0};
    int rc = -1;
    thread->fw_level = (uint8_t)(level - 1);
    if (op->nargs > MT_BATCH_ARGS) {
        mt_fail(MT_NOT_IMPLEMENTED, "forward mode of %s", op->name);
        goto done;
    }
    if (op->flags & MT_OP_OUT) {
        const char *name = strstr(op->name, "::");
        mt_fail(MT_NOT_IMPLEMENTED,
                "Trying to use forward AD with %s_out that does not support it because it is an out= "
                "function",
                name ? name + 2 : op->name);
        goto done;
    }
    if (d && collect(call, d, id, d->tangent != NULL, &in) < 0)
        goto done;
    if (d && op->flags & MT_OP_INPLACE && !(old = aten_clone(given[0].u.t, MT_FORMAT_NONE)))
        goto done; /* the formula wants the value before the write */
    mt_keys keys = call->keys;
    if ((rc = mt_handle_autograd(call)) < 0)
        goto done;
    call->keys = keys;
    if (!d) {
        if (op->flags & MT_OP_INPLACE && mt_tangent_of(given[0].u.t, id)) {
            mt_release_rets(op, call->rets);
            rc = not_built(op);
        }
        goto done;
    }
    if (!gives_floats(call, d))
        goto done;
    memcpy(args, given, op->nargs * sizeof(mt_value));
    if (old)
        args[0].u.t = old;
    call->args = args;
    if (d->tangent)
        rc = d->tangent(call, in.of, out);
    else if (d->flags & MT_D_NOT_IMPLEMENTED)
        rc = not_built(op);
    else if (in.want)
        rc = through_gradient(call, &in, out, MAX_SLOTS);
    call->args = given;
    if (rc == 0)
        rc = store(call, d, out, id);
    if (rc < 0)
        mt_release_rets(op, call->rets);
done:
    thread->fw_level = before;
    mt_xrelease(old);
    drop(&in);
    for (int k = 0; k < MAX_SLOTS; k++)
        mt_xrelease(out[k]);
    return rc;
}
