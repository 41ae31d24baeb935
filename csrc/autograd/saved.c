/* Saved values: what a node keeps of a forward call, and how a formula gets it back.
 *
 * Note: saved tensors and versions. An input is saved as it is, with the version its counter
 * showed; an output as an alias without history that shares the counter, since node -> output ->
 * node would be a cycle. Unpacking compares versions: a difference means that somebody wrote in
 * place to what the formula needs. */
#include <stdlib.h>

#include "autograd/formulas.h"
#include "autograd/forward.h"
#include "base/error.h"

int (*mt_saved_pack)(mt_saved *slot, mt_tensor *tensor);
mt_tensor *(*mt_saved_unpack)(mt_saved *slot);
int mt_saved_hooks_on;

/* With hooks the tensor itself goes away; what stays is where its gradient goes. */
static int
keep_edge(mt_saved *slot, mt_tensor *tensor)
{
    mt_edge edge = {NULL, 0};
    if (slot->kind == MT_SAVED_INPUT && mt_gradient_edge(tensor, &edge) < 0)
        return -1;
    slot->edge = edge.node;
    return 0;
}

int
mt_saved_repack(mt_saved *slot, void *packed, void *unpack)
{
    mt_tensor *t = slot->tensor;
    if (keep_edge(slot, t) < 0)
        return -1;
    mt_the_host.ref_keep(packed);
    mt_the_host.ref_keep(unpack);
    slot->packed = packed;
    slot->unpack = unpack;
    slot->tensor = NULL;
    mt_release(t);
    return 0;
}

int
mt_save_tensor(mt_saved *slot, mt_tensor *tensor, bool is_output)
{
    slot->value.tag = MT_V_NONE;
    slot->tensor = NULL;
    slot->counter = NULL;
    slot->packed = slot->unpack = NULL;
    slot->edge = NULL;
    if (!tensor) {
        slot->kind = MT_SAVED_NONE;
        return 0;
    }
    slot->kind = is_output ? MT_SAVED_OUTPUT : MT_SAVED_INPUT;
    slot->version = mt_tensor_version(tensor);
    slot->output_nr = tensor->output_nr;
    slot->is_leaf = tensor->grad_fn == NULL && !is_output;
    slot->requires_grad = mt_requires_grad(tensor) || is_output;
    slot->was_view = false;
    if (MT_UNLIKELY(mt_saved_hooks_on) && mt_this_thread()->saved_hooks && !mt_is_wrapped(tensor)) {
        if (mt_saved_pack(slot, tensor) < 0) {
            slot->kind = MT_SAVED_NONE;
            return -1;
        }
        return keep_edge(slot, tensor);
    }
    if (MT_UNLIKELY(tensor->flags & MT_T_INFERENCE) && !mt_this_thread()->inference_mode)
        return mt_fail(MT_RUNTIME,
                       "Inference tensors cannot be saved for backward. Please do not use Tensors "
                       "created in inference mode in computation tracked by autograd. To work "
                       "around this, you can make a clone to get a normal tensor and use it in "
                       "autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.");
    if (!is_output) {
        slot->tensor = mt_keep(tensor);
        return 0;
    }
    if (!(slot->tensor = mt_alias_same(tensor)))
        return -1;
    if (!(slot->counter = mt_version_share(tensor)))
        return -1;
    return 0;
}

void
mt_saved_clear(mt_saved *slot)
{
    uint8_t kind = slot->kind;
    slot->kind = MT_SAVED_NONE;
    if (kind == MT_SAVED_NONE)
        return;
    if (kind == MT_SAVED_VALUE) {
        mt_value_clear(&slot->value);
        return;
    }
    if (kind == MT_SAVED_LIST) {
        mt_saved *items = slot->value.u.p;
        for (uint32_t i = 0; i < slot->value.len; i++)
            mt_saved_clear(&items[i]);
        free(items);
        slot->value.tag = MT_V_NONE;
        return;
    }
    mt_tensor *t = slot->tensor;
    slot->tensor = NULL;
    if (t)
        mt_release(t);
    if (slot->counter) {
        mt_version_unref(slot->counter);
        slot->counter = NULL;
    }
    mt_node *edge = slot->edge;
    slot->edge = NULL;
    void *packed = slot->packed, *hook = slot->unpack;
    slot->packed = slot->unpack = NULL;
    if (packed)
        mt_the_host.ref_release(packed);
    if (hook)
        mt_the_host.ref_release(hook);
    mt_xrelease(edge);
}

int
mt_saved_released(const mt_node *node)
{
    (void)node;
    return mt_fail(
        MT_RUNTIME,
        "Trying to backward through the graph a second time (or directly access saved tensors after "
        "they have already been freed). Saved intermediate values of the graph are freed when you "
        "call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
        "through the graph a second time or if you need to access saved tensors after calling "
        "backward.");
}

static MT_NOINLINE int
wrong_version(mt_node *node, const mt_saved *slot, uint32_t now)
{
    mt_tensor *t = slot->tensor;
    const char *hint =
        mt_anomaly_mode
            ? "Hint: the backtrace further above shows the operation that failed to compute its "
              "gradient. The variable in question was changed in there or anywhere later. Good "
              "luck!"
            : "Hint: enable anomaly detection to find the operation that failed to compute its "
              "gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False).";
    mt_node *of = node;
    if (slot->kind != MT_SAVED_OUTPUT && mt_grad_fn(t, &of) < 0)
        return -1;
    const char *output = of ? mt_str(", which is output %u of %s,",
                                     slot->kind == MT_SAVED_OUTPUT ? slot->output_nr : t->output_nr,
                                     mt_node_short_name(of))
                            : "";
    return mt_fail(MT_RUNTIME,
                   "one of the variables needed for gradient computation has been modified by an "
                   "inplace operation: [torch.%sTensor %s]%s is at version %u; expected version %u "
                   "instead. %s",
                   mt_is_meta(t) ? "" : mt_dtypes[t->dtype].scalar_name, mt_shape_str(t), output,
                   now, slot->version, hint);
}

/* What the unpack hook gave, with the history of what was packed. Versions cannot be followed
 * through hooks, so there is nothing to compare. */
static mt_tensor *
unpack_hooked(mt_node *node, mt_saved *slot)
{
    mt_tensor *given = mt_saved_unpack(slot);
    if (!given)
        return NULL;
    mt_tensor *fresh = mt_alias_same(given);
    mt_release(given);
    if (!fresh || !slot->requires_grad)
        return fresh;
    mt_node *fn = slot->kind == MT_SAVED_OUTPUT ? node : slot->edge;
    if (!fn)
        return fresh;
    fresh->flags |= MT_T_REQUIRES_GRAD;
    if (slot->is_leaf) {
        mt_grad_meta *meta = mt_grad_meta_of(fresh);
        if (!meta) {
            mt_release(fresh);
            return NULL;
        }
        meta->accumulator = mt_keep(fn);
        meta->keeps_accumulator = true;
    } else {
        fresh->grad_fn = mt_keep(fn);
        fresh->output_nr = slot->output_nr;
    }
    mt_the_host.object_track(&fresh->head);
    return fresh;
}

static mt_tensor *
unpack(mt_node *node, mt_saved *slot)
{
    if (slot->unpack)
        return unpack_hooked(node, slot);
    mt_tensor *t = slot->tensor;
    uint32_t now = slot->counter ? slot->counter->count : mt_tensor_version(t);
    if (MT_UNLIKELY(now != slot->version)) {
        wrong_version(node, slot, now);
        return NULL;
    }
    if (slot->kind == MT_SAVED_INPUT)
        return mt_keep(t);
    /* an output gets its history back, so that double backward finds it */
    mt_tensor *fresh = mt_alias_same(t);
    if (!fresh)
        return NULL;
    if (MT_UNLIKELY(t->meta != NULL))
        for (const mt_dual *f = t->meta->tangents; f; f = f->next)
            if (mt_set_tangent(fresh, f->tensor, f->id) < 0) {
                mt_release(fresh);
                return NULL;
            }
    fresh->grad_fn = mt_keep(node);
    fresh->output_nr = slot->output_nr;
    fresh->flags |= MT_T_REQUIRES_GRAD;
    fresh->version = slot->counter;
    slot->counter->refcount++;
    mt_the_host.object_track(&fresh->head);
    return fresh;
}

mt_tensor *
mt_saved_open(mt_node *node, mt_saved *slot)
{
    return unpack(node, slot);
}

int
mt_unpack_to(mt_node *node, uint32_t k, mt_tensor **slot)
{
    if (MT_UNLIKELY(node->released))
        return mt_saved_released(node);
    mt_saved *s = &node->saved[k];
    if (s->kind == MT_SAVED_NONE) {
        *slot = NULL;
        return 0;
    }
    *slot = unpack(node, s);
    return *slot ? 0 : -1;
}

mt_tensor *
mt_unpack(mt_node *node, uint32_t slot)
{
    mt_tensor *t = NULL;
    return mt_unpack_to(node, slot, &t) < 0 ? NULL : t;
}

int
mt_unpack_list(mt_node *node, uint32_t k, mt_list *list)
{
    if (MT_UNLIKELY(node->released))
        return mt_saved_released(node);
    mt_saved *s = &node->saved[k];
    if (s->kind == MT_SAVED_NONE) {
        *list = (mt_list){NULL, 0};
        return 0;
    }
    mt_saved *items = s->value.u.p;
    *list = mt_list_new(s->value.len);
    if (!list->items)
        return -1;
    for (uint32_t i = 0; i < s->value.len; i++)
        if (items[i].kind != MT_SAVED_NONE &&
            !(list->items[i] = items[i].kind == MT_SAVED_GEOMETRY ? mt_keep(items[i].tensor)
                                                                  : unpack(node, &items[i])))
            return -1;
    return 0;
}

void
mt_grads_from_list(mt_tensor **out, mt_tensor *const *items, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = mt_xkeep(items[i]);
}
