/* Writing in place to what has a history.
 *
 * Note: views and in-place writes. A view and its base share memory, so a write through one
 * changes the gradient of the other. A recorded write on a view makes a CopySlices node the history
 * of the *base*: backward splits the base's gradient into the written part, which goes through the
 * write's own node, and the rest, which goes to the base's earlier history. The view's own grad_fn is
 * made anew from the base when somebody next asks (its version has moved on), as as_strided or by
 * replaying the view operator. */
#include <stdlib.h>

#include "autograd/formulas.h"
#include "autograd/view.h"
#include "base/error.h"
#include "ops_gen.h"

/* `indirect`: not the view is written, but what it shares memory with was. */
static int
forbidden_view(mt_tensor *self, bool indirect)
{
    mt_node *fn = self->grad_fn;
    bool inference = self->creation == MT_MADE_INFERENCE;
    const char *how = indirect ? "its base or another view of its base has been" : "is being",
               *mode = inference ? "inference" : "no_grad",
               *now = inference ? "in normal mode" : "with grad mode enabled", *who;
    if (!fn)
        who = mt_str("A view was created in %s mode and %s modified inplace %s.", mode, how, now);
    else if (inference || self->creation == MT_MADE_NO_GRAD)
        who = mt_str("Output %u of %s is a view of a view which was created in %s mode and %s "
                     "modified inplace %s.",
                     self->output_nr, mt_node_short_name(fn), mode, how, now);
    else
        who = mt_str("Output %u of %s is a view and %s modified inplace.", self->output_nr,
                     mt_node_short_name(fn), how);
    switch (self->creation) {
    case MT_MADE_MULTI_OUTPUT:
        return mt_fail(MT_RUNTIME,
                       "%s This view is the output of a function that returns multiple views. Such "
                       "functions do not allow the output views to be modified inplace. You should "
                       "replace the inplace operation by an out-of-place one.",
                       who);
    case MT_MADE_NO_GRAD:
    case MT_MADE_INFERENCE:
        mode = inference ? "inference_mode" : "no_grad";
        return mt_fail(MT_RUNTIME,
                       "%s Given that this use case is ambiguous and error-prone, it is forbidden. "
                       "You can clarify your code by moving both the view and the inplace either "
                       "both inside the %s block (if you don't want the inplace to be tracked) or "
                       "both outside (if you want the inplace to be tracked).",
                       who, mode);
    default:
        return mt_fail(MT_RUNTIME,
                       "%s This view was created inside a custom Function (or because an input was "
                       "returned as-is) and the autograd logic to handle view+inplace would "
                       "override the custom backward associated with the custom Function, leading "
                       "to incorrect gradients. This behavior is forbidden. You can fix this by "
                       "cloning the output of the custom Function.",
                       who);
    }
}

int
mt_check_inplace(mt_tensor *self, bool requires_grad)
{
    if (!requires_grad || !mt_this_thread()->grad_mode)
        return 0;
    if (self->flags & MT_T_VIEW) {
        if (self->creation != MT_MADE_DEFAULT)
            return forbidden_view(self, false);
        mt_tensor *base = self->base;
        if (mt_requires_grad(base) && !base->grad_fn)
            return mt_fail(MT_RUNTIME, "a view of a leaf Variable that requires grad is being used "
                                       "in an in-place operation.");
    }
    if (mt_requires_grad(self) && !self->grad_fn && !(self->flags & MT_T_VIEW))
        return mt_fail(MT_RUNTIME, "a leaf Variable that requires grad is being used in an in-place "
                                   "operation.");
    return 0;
}

/* ---- the history of a view ---------------------------------------------------------------- */

/* The view made again from its base, with history. */
static mt_tensor *
replay(mt_tensor *self)
{
    mt_tensor *base = self->base;
    mt_thread *thread = mt_this_thread();
    mt_key_guard saved = {thread->included, thread->excluded};
    bool grad_mode = thread->grad_mode;
    thread->included |= MT_KEY_BIT(ADInplaceOrView);
    thread->excluded &= ~(MT_AUTOGRAD_KEYS | MT_KEY_BIT(ADInplaceOrView));
    thread->grad_mode = true;
    mt_tensor *view;
    if (self->meta && self->meta->replay_args) {
        mt_value rets[1] = {mt_v_none()}, args[16];
        memcpy(args, self->meta->replay_args, self->meta->replay_op->nargs * sizeof(mt_value));
        args[0] = mt_v_tensor(base);
        view = mt_dispatch(self->meta->replay_op, args, rets) < 0 ? NULL : rets[0].u.t;
    } else
        view = aten_as_strided(base, self->sizes, self->ndim, self->strides, self->ndim,
                               mt_v_int(self->offset));
    mt_restore_keys(thread, saved);
    thread->grad_mode = grad_mode;
    return view;
}

int
mt_grad_fn(mt_tensor *self, mt_node **out)
{
    *out = self->grad_fn;
    if (MT_LIKELY(!(self->flags & MT_T_VIEW)))
        return 0;
    mt_tensor *base = self->base;
    if (!self->grad_fn && !mt_requires_grad(base))
        return 0;
    uint32_t now = mt_tensor_version(self);
    if (self->attr_version == now)
        return 0;
    if (self->creation != MT_MADE_DEFAULT)
        return forbidden_view(self, true);
    mt_tensor *view = replay(self);
    if (!view)
        return -1;
    mt_node *fn = view->grad_fn;
    if (fn) {
        mt_xrelease(self->grad_fn);
        self->grad_fn = mt_keep(fn);
        self->output_nr = view->output_nr;
        self->flags |= MT_T_REQUIRES_GRAD;
        mt_the_host.object_track(&self->head);
    }
    self->attr_version = now;
    mt_release(view);
    *out = self->grad_fn;
    return 0;
}

/* ---- CopySlices --------------------------------------------------------------------------- */

typedef struct slices {
    mt_node *fn; /* the write's node, owned */
    int base_ndim, view_ndim;
    int64_t base_offset, view_offset;
    const mt_op *replay_op;
    mt_value *replay_args;
    int64_t geometry[]; /* base sizes, base strides, view sizes, view strides */
} slices;

static void
release_slices(mt_node *node)
{
    slices *s = node->custom;
    if (!s)
        return;
    node->custom = NULL;
    mt_xrelease(s->fn);
    if (s->replay_args) {
        for (int i = 0; i < s->replay_op->nargs; i++)
            mt_value_clear(&s->replay_args[i]);
        free(s->replay_args);
    }
    free(s);
}

static int
apply_slices(mt_node *node, mt_tensor *const *grads, mt_tensor **out, uint64_t want)
{
    slices *s = node->custom;
    mt_tensor *grad = grads[0], *whole = NULL, *slice = NULL, *copy = NULL;
    mt_tensor **inner = NULL;
    int rc = -1;
    if (!grad)
        return 0;
    if (!s)
        return mt_saved_released(node);
    const int64_t *bs = s->geometry, *bst = bs + s->base_ndim, *vs = bst + s->base_ndim,
                  *vst = vs + s->view_ndim;
    if (!(inner = calloc(s->fn->nedges ? s->fn->nedges : 1, sizeof *inner))) {
        mt_fail(MT_MEMORY, "not enough memory in CopySlices");
        goto done;
    }
    if (!(whole = aten_new_empty_strided(grad, bs, s->base_ndim, bst, s->base_ndim, MT_DTYPE_NONE,
                                         -1, MT_NO_DEVICE, mt_v_none())) ||
        aten_copy_(whole, grad, false) < 0)
        goto done;
    if (s->replay_args) {
        mt_value rets[1] = {mt_v_none()}, args[16];
        memcpy(args, s->replay_args, s->replay_op->nargs * sizeof(mt_value));
        args[0] = mt_v_tensor(whole);
        if (mt_dispatch(s->replay_op, args, rets) < 0)
            goto done;
        slice = rets[0].u.t;
    } else if (!(slice = aten_as_strided(whole, vs, s->view_ndim, vst, s->view_ndim,
                                         mt_v_int(s->view_offset - s->base_offset + whole->offset))))
        goto done;
    if (!(copy = aten_clone(slice, MT_FORMAT_NONE)))
        goto done;
    /* slots and edges of the inner node are laid out as ours: slot 0 is the written tensor */
    if (s->fn->apply(s->fn, &copy, inner, want | (want & 1)) < 0)
        goto done;
    for (uint32_t i = 1; i < s->fn->nedges; i++) {
        out[i] = inner[i];
        inner[i] = NULL;
    }
    if (want & 1) {
        if (inner[0]) {
            if (aten_copy_(slice, inner[0], false) < 0)
                goto done;
        } else if (aten_zero_(slice) < 0)
            goto done;
        out[0] = mt_keep(whole);
    }
    rc = 0;
done:
    if (inner)
        for (uint32_t i = 0; i < s->fn->nedges; i++)
            mt_xrelease(inner[i]);
    free(inner);
    mt_xrelease(copy);
    mt_xrelease(slice);
    mt_xrelease(whole);
    return rc;
}

static int
make_copy_slices(mt_tensor *self, mt_node *fn)
{
    mt_tensor *base = self->base;
    int nb = base->ndim, nv = self->ndim;
    mt_node *node = mt_node_new(MT_NODE_COPY_SLICES, "CopySlices", fn->nedges, 0);
    if (!node)
        return -1;
    slices *s = calloc(1, sizeof *s + (size_t)(2 * nb + 2 * nv) * sizeof(int64_t));
    if (!s) {
        mt_release(node);
        return mt_fail(MT_MEMORY, "not enough memory for CopySlices");
    }
    node->custom = s;
    node->release = release_slices;
    node->apply = apply_slices;
    s->base_ndim = nb;
    s->view_ndim = nv;
    s->base_offset = base->offset;
    s->view_offset = self->offset;
    memcpy(s->geometry, base->sizes, (size_t)nb * sizeof(int64_t));
    memcpy(s->geometry + nb, base->strides, (size_t)nb * sizeof(int64_t));
    memcpy(s->geometry + 2 * nb, self->sizes, (size_t)nv * sizeof(int64_t));
    memcpy(s->geometry + 2 * nb + nv, self->strides, (size_t)nv * sizeof(int64_t));
    int rc = -1;
    if (self->meta && self->meta->replay_args) {
        s->replay_op = self->meta->replay_op;
        s->replay_args = calloc(s->replay_op->nargs, sizeof(mt_value));
        if (!s->replay_args)
            goto done;
        for (int i = 1; i < s->replay_op->nargs; i++)
            if (mt_value_copy(&s->replay_args[i], self->meta->replay_args[i]) < 0)
                goto done;
    }
    if (mt_gradient_edge(base, &node->edges[0]) < 0)
        goto done;
    for (uint32_t i = 1; i < fn->nedges; i++) {
        node->edges[i] = fn->edges[i];
        if (node->edges[i].node)
            mt_keep(node->edges[i].node);
    }
    s->fn = mt_keep(fn);
    /* base now comes from this node */
    rc = mt_set_history(base, node);
done:
    mt_release(node);
    return rc;
}

/* Operators that write no element: they turn a view into another view of the same base. */
static bool
writes_geometry_only(const mt_op *op)
{
    static const char *const names[] = {"t_", "transpose_", "squeeze_", "unsqueeze_", "as_strided_"};
    if (op && !strncmp(op->name, "aten::", 6))
        for (size_t i = 0; i < MT_COUNT(names); i++)
            if (!strcmp(op->name + 6, names[i]))
                return true;
    return false;
}

int
mt_rebase_history(mt_tensor *self, mt_node *node)
{
    if (!(self->flags & MT_T_VIEW) || !mt_is_bw_view(self))
        return mt_set_history(self, node);
    if (writes_geometry_only(node->op)) {
        if (mt_set_history(self, node) < 0)
            return -1;
        self->attr_version = mt_tensor_version(self);
        return 0;
    }
    if (mt_node_add_input(node, self) < 0 || make_copy_slices(self, node) < 0)
        return -1;
    mt_node *fn;
    return mt_grad_fn(self, &fn);
}
