/* Nodes: making them, their edges, their death.
 *
 * A chain of a million nodes is freed without recursion: while one node is being taken apart, the
 * nodes it lets go of join a work list of the thread. */
#include <stdlib.h>

#include "autograd/leaf.h"
#include "base/error.h"

int
mt_node_init(mt_node *node, mt_node_kind kind, const char *name, uint32_t nedges, uint32_t nsaved)
{
    memset((char *)node + sizeof(mt_object), 0,
           offsetof(mt_node, inline_edges) - sizeof(mt_object));
    node->kind = (uint8_t)kind;
    node->name = name;
    node->edges = node->inline_edges;
    node->saved = node->inline_saved;
    node->inputs = &node->inline_input;
    if (MT_UNLIKELY(nedges > MT_NODE_EDGES)) {
        if (!(node->edges = calloc(nedges, sizeof(mt_edge)))) {
            node->edges = node->inline_edges;
            return mt_fail(MT_MEMORY, "not enough memory for an autograd node");
        }
    } else
        for (uint32_t i = 0; i < nedges; i++)
            node->edges[i] = (mt_edge){NULL, 0};
    if (MT_UNLIKELY(nsaved > MT_NODE_SAVED)) {
        if (!(node->saved = calloc(nsaved, sizeof(mt_saved)))) {
            node->saved = node->inline_saved;
            return mt_fail(MT_MEMORY, "not enough memory for an autograd node");
        }
    } else
        for (uint32_t i = 0; i < nsaved; i++) {
            node->saved[i].kind = MT_SAVED_NONE;
            node->saved[i].tensor = NULL;
            node->saved[i].edge = NULL;
            node->saved[i].value.tag = MT_V_NONE;
        }
    node->nedges = nedges;
    node->nsaved = nsaved;
    node->sequence_nr =
        kind == MT_NODE_ACCUMULATE ? UINT64_MAX : mt_this_thread()->sequence_nr++;
    if (MT_UNLIKELY(mt_anomaly_mode) && kind != MT_NODE_ACCUMULATE && mt_anomaly_made)
        mt_anomaly_made(node);
    return 0;
}

mt_node *
mt_node_new(mt_node_kind kind, const char *name, uint32_t nedges, uint32_t nsaved)
{
    mt_node *node = (mt_node *)mt_the_host.object_new(MT_OBJECT_NODE);
    if (MT_UNLIKELY(!node))
        return NULL;
    if (MT_UNLIKELY(mt_node_init(node, kind, name, nedges, nsaved) < 0)) {
        mt_release(node);
        return NULL;
    }
    mt_the_host.object_track(&node->head);
    return node;
}

const char *
mt_node_short_name(const mt_node *node)
{
    const char *word = "Backward", *at = strstr(node->name, word);
    if (!at)
        return node->name;
    const char *rest = at + strlen(word);
    return mt_str("%.*s%s", (int)(at - node->name), node->name, strcmp(rest, "0") ? rest : "");
}

int64_t
mt_node_add_input(mt_node *node, const mt_tensor *result)
{
    uint32_t n = node->ninputs;
    mt_input_info *info;
    if (MT_LIKELY(n == 0))
        info = &node->inline_input;
    else {
        /* grows one by one: nodes with several results are few */
        mt_input_info *block =
            node->inputs == &node->inline_input
                ? malloc((n + 1) * sizeof *block)
                : realloc(node->inputs, (n + 1) * sizeof *block);
        if (!block)
            return mt_fail(MT_MEMORY, "not enough memory for an autograd node");
        if (node->inputs == &node->inline_input)
            block[0] = node->inline_input;
        node->inputs = block;
        for (uint32_t i = 0; i < n; i++)
            if (block[i].ndim <= MT_INLINE_DIMS)
                block[i].sizes = block[i].sizes_inline;
        info = &block[n];
    }
    info->dtype = result ? result->dtype : MT_DTYPE_NONE;
    info->ndim = result ? result->ndim : 0;
    info->device = result ? result->device : MT_CPU_DEVICE;
    info->is_subclass = result && (result->flags & MT_T_SUBCLASS);
    info->is_nested = false;
    info->sizes = info->sizes_inline;
    if (result) {
        if (MT_UNLIKELY(result->ndim > MT_INLINE_DIMS)) {
            info->sizes = malloc(result->ndim * sizeof(int64_t));
            if (!info->sizes) {
                info->sizes = info->sizes_inline;
                info->ndim = 0;
                return mt_fail(MT_MEMORY, "not enough memory for an autograd node");
            }
        }
        for (int d = 0; d < result->ndim; d++)
            info->sizes[d] = result->sizes[d];
    }
    node->ninputs = n + 1;
    return n;
}

static void
free_inputs(mt_node *node)
{
    if (MT_LIKELY(node->inputs == &node->inline_input && node->inline_input.ndim <= MT_INLINE_DIMS)) {
        node->ninputs = 0;
        return;
    }
    for (uint32_t i = 0; i < node->ninputs; i++)
        if (node->inputs[i].ndim > MT_INLINE_DIMS)
            free(node->inputs[i].sizes);
    if (node->inputs != &node->inline_input)
        free(node->inputs);
    node->inputs = &node->inline_input;
    node->ninputs = 0;
}

void
mt_node_release_saved(mt_node *node)
{
    if (node->release)
        node->release(node);
    for (uint32_t i = 0; i < node->nsaved; i++)
        mt_saved_clear(&node->saved[i]);
    node->released = true;
}

static void
release_hooks(mt_node *node)
{
    void **hooks[] = {&node->pre_hooks, &node->post_hooks, &node->tensor_pre_hooks,
                      &node->retains_grad_hooks, &node->post_acc_hooks, &node->metadata};
    for (size_t i = 0; i < MT_COUNT(hooks); i++)
        if (*hooks[i]) {
            void *h = *hooks[i];
            *hooks[i] = NULL;
            mt_the_host.ref_release(h);
        }
}

/* Edges that wait to be dropped: a stack in heap memory instead of C recursion. Guarded by the
 * interpreter lock; `dropping` says that an outer call is already at work. */
static mt_node **pending;
static size_t npending, pending_room;
static bool dropping;

static void
drop_later(mt_node *node)
{
    if (--((mt_object *)node)->refcount > 0)
        return;
    ((mt_object *)node)->refcount = 1; /* ours until its turn comes */
    if (npending == pending_room) {
        size_t room = pending_room ? pending_room * 2 : 256;
        mt_node **grown = realloc(pending, room * sizeof *grown);
        if (!grown) { /* out of memory: recursion is all that is left */
            mt_release(node);
            return;
        }
        pending = grown;
        pending_room = room;
    }
    pending[npending++] = node;
}

void
mt_node_drop_edges(mt_node *node)
{
    uint32_t n = node->nedges;
    node->nedges = 0;
    for (uint32_t i = 0; i < n; i++)
        if (node->edges[i].node) {
            mt_node *next = node->edges[i].node;
            node->edges[i].node = NULL;
            drop_later(next);
        }
    if (node->edges != node->inline_edges)
        free(node->edges);
    node->edges = node->inline_edges;
    if (dropping)
        return;
    dropping = true;
    while (npending)
        mt_release(pending[--npending]);
    dropping = false;
}

void
mt_node_finalize(mt_node *node)
{
    if (node->kind == MT_NODE_ACCUMULATE && node->variable) {
        mt_tensor *leaf = node->variable;
        node->variable = NULL;
        if (leaf->meta && leaf->meta->accumulator == node)
            leaf->meta->accumulator = NULL;
        mt_release(leaf);
    }
    bool outer = dropping;
    dropping = true; /* saved tensors may let go of nodes too */
    mt_node_release_saved(node);
    if (node->saved != node->inline_saved)
        free(node->saved);
    node->saved = node->inline_saved;
    node->nsaved = 0;
    free_inputs(node);
    if (MT_UNLIKELY(node->hooked || node->metadata))
        release_hooks(node);
    dropping = outer;
    mt_node_drop_edges(node);
}

/* ---- edges -------------------------------------------------------------------------------- */

mt_grad_meta *
mt_grad_meta_of(mt_tensor *self)
{
    if (!self->meta) {
        if (!(self->meta = calloc(1, sizeof *self->meta)))
            return mt_fail_null(MT_MEMORY, "not enough memory for autograd data");
        mt_the_host.object_track(&self->head);
    }
    return self->meta;
}

void
mt_grad_meta_free(mt_grad_meta *meta)
{
    mt_xrelease(meta->grad);
    while (meta->tangents) {
        mt_dual *first = meta->tangents;
        meta->tangents = first->next;
        mt_release(first->tensor);
        free(first);
    }
    if (meta->hooks)
        mt_the_host.ref_release(meta->hooks);
    if (meta->post_accumulate_hooks)
        mt_the_host.ref_release(meta->post_accumulate_hooks);
    if (meta->backward_hooks_dict)
        mt_the_host.ref_release(meta->backward_hooks_dict);
    if (meta->replay_args) {
        for (int i = 0; i < meta->replay_op->nargs; i++)
            mt_value_clear(&meta->replay_args[i]);
        free(meta->replay_args);
    }
    free(meta->name);
    free(meta);
}

void
mt_tensor_drop_autograd(mt_tensor *self)
{
    mt_node *grad_fn = self->grad_fn;
    mt_tensor *base = self->base;
    mt_grad_meta *meta = self->meta;
    self->grad_fn = NULL;
    self->base = NULL;
    self->meta = NULL;
    if (meta) {
        mt_node *accumulator = meta->accumulator;
        if (accumulator && !meta->keeps_accumulator && accumulator->variable)
            accumulator = NULL; /* the graph's */
        meta->accumulator = NULL;
        mt_grad_meta_free(meta);
        mt_xrelease(accumulator);
    }
    if (grad_fn) {
        if (dropping)
            drop_later(grad_fn);
        else
            mt_release(grad_fn);
    }
    if (base)
        mt_release(base);
}

mt_node *
mt_accumulator(mt_tensor *leaf)
{
    mt_grad_meta *meta = mt_grad_meta_of(leaf);
    if (!meta)
        return NULL;
    mt_node *node = meta->accumulator;
    if (node && (node->variable || meta->keeps_accumulator))
        return mt_keep(node);
    meta->accumulator = NULL;
    if (node)
        free_inputs(node); /* the leaf may have got another shape meanwhile */
    else if (!(node = mt_node_new(MT_NODE_ACCUMULATE, "torch::autograd::AccumulateGrad", 0, 0)))
        return NULL;
    if (mt_node_add_input(node, leaf) < 0) {
        mt_release(node);
        return NULL;
    }
    node->variable = mt_keep(leaf);
    if (meta->hooks && !node->tensor_pre_hooks) {
        node->tensor_pre_hooks = meta->hooks;
        mt_the_host.ref_keep(meta->hooks);
        node->hooked = true;
    }
    if (meta->post_accumulate_hooks && !node->post_acc_hooks) {
        node->post_acc_hooks = meta->post_accumulate_hooks;
        mt_the_host.ref_keep(meta->post_accumulate_hooks);
        node->hooked = true;
    }
    meta->accumulator = node;
    return node;
}

bool
mt_accumulator_rests(mt_node *node)
{
    mt_tensor *leaf = node->variable;
    if (!leaf || ((mt_object *)leaf)->refcount < 2 || node->hooked || node->metadata ||
        node->host_dict || node->host_weakrefs)
        return false;
    mt_grad_meta *meta = leaf->meta;
    if (!meta || meta->accumulator != node || meta->keeps_accumulator)
        return false;
    ((mt_object *)node)->refcount = 1;
    node->variable = NULL;
    mt_release(leaf);
    return true;
}

int
mt_gradient_edge(mt_tensor *tensor, mt_edge *edge)
{
    edge->node = NULL;
    edge->input_nr = 0;
    if (!mt_requires_grad(tensor))
        return 0;
    mt_node *grad_fn = tensor->grad_fn;
    if (MT_UNLIKELY(tensor->flags & MT_T_VIEW) && mt_grad_fn(tensor, &grad_fn) < 0)
        return -1;
    if (grad_fn) {
        edge->node = mt_keep(grad_fn);
        edge->input_nr = tensor->output_nr;
        return 0;
    }
    edge->node = mt_accumulator(tensor);
    return edge->node ? 0 : -1;
}

int
mt_set_history(mt_tensor *result, mt_node *node)
{
    int64_t nr = mt_node_add_input(node, result);
    if (MT_UNLIKELY(nr < 0))
        return -1;
    if (result->grad_fn)
        mt_release(result->grad_fn);
    result->grad_fn = mt_keep(node);
    result->output_nr = (uint32_t)nr;
    result->flags |= MT_T_REQUIRES_GRAD;
    mt_the_host.object_track(&result->head);
    return 0;
}
