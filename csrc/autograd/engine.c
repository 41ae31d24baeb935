/* The backward engine.
 *
 * A task counts, for every node reachable from the roots, how many gradients will still arrive;
 * when the count is zero the node is ready. Ready nodes run by sequence number, highest first
 * (leaves at once), which is PyTorch's order. Nested backward calls run a task of their own on the
 * same C stack, and on a fresh stack after every 60 levels.
 *
 * Locks: everything here holds the interpreter lock; kernels give it up while they compute. Two
 * threads may therefore meet in the accumulation into one leaf: `busy` of the leaf keeps the
 * second one out until the first has stored its sum. */
#include <math.h>
#include <sched.h>
#include <stdlib.h>

#include "autograd/formulas.h"
#include "autograd/task.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops_gen.h"
#include "profiler/profiler.h"

mt_hook_table mt_hooks;
bool mt_anomaly_mode, mt_anomaly_check_nan = true;
void (*mt_anomaly_made)(mt_node *), (*mt_anomaly_failed)(mt_node *);

#define MAX_DEPTH 60 /* nested levels on one stack */

/* ---- the task's table of nodes ------------------------------------------------------------ */

static size_t
slot_of(const mt_node *node, size_t mask)
{
    uintptr_t x = (uintptr_t)node;
    return ((x >> 4) * 0x9E3779B97F4A7C15u >> 17) & mask;
}

mt_task_entry *
mt_task_find(mt_graph_task *task, const mt_node *node)
{
    for (size_t i = slot_of(node, task->mask);; i = (i + 1) & task->mask) {
        uint32_t at = task->index[i];
        if (!at)
            return NULL;
        if (task->entries[at - 1].node == node)
            return &task->entries[at - 1];
    }
}

static int
grow_index(mt_graph_task *task)
{
    size_t n = task->index ? (task->mask + 1) * 2 : 64;
    uint32_t *index = calloc(n, sizeof *index);
    if (!index)
        return mt_fail(MT_MEMORY, "not enough memory for backward");
    for (uint32_t k = 0; k < task->nentries; k++) {
        size_t i = slot_of(task->entries[k].node, n - 1);
        while (index[i])
            i = (i + 1) & (n - 1);
        index[i] = k + 1;
    }
    free(task->index);
    task->index = index;
    task->mask = n - 1;
    return 0;
}

/* The entry's number; made when new. -1 on failure. */
static int64_t
entry_of(mt_graph_task *task, mt_node *node, bool *fresh)
{
    if ((task->nentries + 1) * 2 > task->mask && grow_index(task) < 0)
        return -1;
    size_t i = slot_of(node, task->mask);
    for (; task->index[i]; i = (i + 1) & task->mask)
        if (task->entries[task->index[i] - 1].node == node) {
            *fresh = false;
            return task->index[i] - 1;
        }
    if (task->nentries == task->room) {
        uint32_t room = task->room ? task->room * 2 : 64;
        mt_task_entry *grown = realloc(task->entries, room * sizeof *grown);
        if (!grown)
            return mt_fail(MT_MEMORY, "not enough memory for backward");
        task->entries = grown;
        task->room = room;
    }
    task->entries[task->nentries] = (mt_task_entry){.node = node, .capture = -1};
    task->index[i] = ++task->nentries;
    *fresh = true;
    return task->nentries - 1;
}

/* ---- dependencies ------------------------------------------------------------------------- */

/* Visits everything reachable and counts the edges into each node. Entry numbers serve as the
 * list of what is still to be visited: entries are appended as they are found. */
static int
count_dependencies(mt_graph_task *task, const mt_edge *roots, int64_t nroots)
{
    bool fresh;
    for (int64_t r = 0; r < nroots; r++)
        if (roots[r].node) {
            int64_t at = entry_of(task, roots[r].node, &fresh);
            if (at < 0)
                return -1;
            task->entries[at].dependencies++;
        }
    for (uint32_t k = 0; k < task->nentries; k++) {
        mt_node *node = task->entries[k].node;
        for (uint32_t e = 0; e < node->nedges; e++) {
            mt_node *next = node->edges[e].node;
            if (!next)
                continue;
            int64_t at = entry_of(task, next, &fresh);
            if (at < 0)
                return -1;
            task->entries[at].dependencies++;
        }
    }
    return 0;
}

/* With inputs given: which nodes lead to one of them. */
static int
mark_needed(mt_graph_task *task, const mt_backward_args *args)
{
    task->selective = true;
    for (int64_t i = 0; i < args->ninputs; i++) {
        mt_task_entry *e = args->inputs[i].node ? mt_task_find(task, args->inputs[i].node) : NULL;
        if (!e)
            continue;
        if (args->accumulate) {
            e->needed = true; /* the accumulator itself runs */
            continue;
        }
        task->capture_next[i] = e->capture;
        e->capture = (int32_t)i;
    }
    /* depth first over entry numbers, leaves to roots; state: 0 new, 1 open, 2 done */
    uint32_t *stack = malloc((task->nentries + 1) * sizeof *stack);
    uint32_t *edge = calloc(task->nentries + 1, sizeof *edge);
    uint8_t *state = calloc(task->nentries + 1, 1);
    int rc = -1;
    if (!stack || !edge || !state) {
        mt_fail(MT_MEMORY, "not enough memory for backward");
        goto done;
    }
    for (uint32_t first = 0; first < task->nentries; first++) {
        if (state[first])
            continue;
        uint32_t top = 0;
        stack[top++] = first;
        state[first] = 1;
        while (top) {
            uint32_t at = stack[top - 1];
            mt_node *node = task->entries[at].node;
            if (edge[at] == node->nedges) {
                state[at] = 2;
                top--;
                if (top && (task->entries[at].needed || task->entries[at].capture >= 0))
                    task->entries[stack[top - 1]].needed = true;
                continue;
            }
            mt_node *next = node->edges[edge[at]++].node;
            if (!next)
                continue;
            uint32_t n = (uint32_t)(mt_task_find(task, next) - task->entries);
            if (state[n] == 2) {
                if (task->entries[n].needed || task->entries[n].capture >= 0)
                    task->entries[at].needed = true;
            } else if (!state[n]) {
                state[n] = 1;
                stack[top++] = n;
            }
        }
    }
    rc = 0;
done:
    free(stack);
    free(edge);
    free(state);
    return rc;
}

/* ---- ready queue -------------------------------------------------------------------------- */

static bool
runs_before(const mt_ready *a, const mt_ready *b)
{
    if (a->sequence_nr != b->sequence_nr)
        return a->sequence_nr > b->sequence_nr;
    return a->order < b->order;
}

static int
push_ready(mt_graph_task *task, uint32_t entry)
{
    if (task->nready == task->ready_room) {
        uint32_t room = task->ready_room ? task->ready_room * 2 : 32;
        mt_ready *grown = realloc(task->ready, room * sizeof *grown);
        if (!grown)
            return mt_fail(MT_MEMORY, "not enough memory for backward");
        task->ready = grown;
        task->ready_room = room;
    }
    mt_ready item = {task->entries[entry].node->sequence_nr, task->order++, entry};
    uint32_t i = task->nready++;
    while (i && runs_before(&item, &task->ready[(i - 1) / 2])) {
        task->ready[i] = task->ready[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    task->ready[i] = item;
    return 0;
}

static uint32_t
pop_ready(mt_graph_task *task)
{
    uint32_t entry = task->ready[0].entry;
    mt_ready item = task->ready[--task->nready];
    uint32_t i = 0, n = task->nready;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && runs_before(&task->ready[child + 1], &task->ready[child]))
            child++;
        if (!runs_before(&task->ready[child], &item))
            break;
        task->ready[i] = task->ready[child];
        i = child;
    }
    if (n)
        task->ready[i] = item;
    return entry;
}

/* ---- buffers ------------------------------------------------------------------------------ */

static mt_tensor **
buffer_of(mt_task_entry *entry)
{
    if (entry->node->ninputs <= 1)
        return &entry->single;
    if (!entry->many)
        entry->many = calloc(entry->node->ninputs, sizeof(mt_tensor *));
    if (!entry->many)
        mt_fail(MT_MEMORY, "not enough memory for backward");
    return entry->many;
}

/* Adds a gradient (consumed) to what has arrived for one result of the node. */
static int
add_gradient(mt_task_entry *entry, uint32_t nr, mt_tensor *grad)
{
    mt_tensor **buffer = buffer_of(entry);
    if (!buffer) {
        mt_release(grad);
        return -1;
    }
    mt_tensor *have = buffer[nr];
    if (!have) {
        buffer[nr] = grad;
        return 0;
    }
    int rc = 0;
    if (!mt_this_thread()->grad_mode && have->head.refcount == 1 && have->storage->refcount == 1 &&
        (have->flags & MT_T_DENSE) && have->dtype == grad->dtype && !mt_is_meta(have) &&
        !(have->flags & MT_T_SUBCLASS) && !(grad->flags & MT_T_SUBCLASS))
        rc = aten_add__Tensor(have, grad, mt_v_int(1));
    else {
        mt_tensor *sum = aten_add_Tensor(have, grad, mt_v_int(1));
        if (sum) {
            buffer[nr] = sum;
            mt_release(have);
        } else
            rc = -1;
    }
    mt_release(grad);
    return rc;
}

/* ---- checking gradients ------------------------------------------------------------------- */

mt_tensor *
mt_sum_to(mt_tensor *grad, int ndim, const int64_t *sizes)
{
    int64_t dims[MT_MAX_DIMS];
    int n = 0, lead = grad->ndim - ndim;
    for (int d = 0; d < lead; d++)
        dims[n++] = d;
    for (int d = lead; d < grad->ndim; d++)
        if (sizes[d - lead] == 1 && grad->sizes[d] != 1)
            dims[n++] = d;
    mt_tensor *sum = n ? aten_sum_dim_IntList(grad, dims, n, true, MT_DTYPE_NONE) : mt_keep(grad);
    if (!sum || lead == 0)
        return sum;
    mt_tensor *view = aten_view(sum, sizes, ndim);
    mt_release(sum);
    return view;
}

static bool
expands_to(const mt_input_info *info, const mt_tensor *grad)
{
    if (info->ndim > grad->ndim)
        return false;
    for (int d = 0; d < info->ndim; d++) {
        int64_t s = info->sizes[info->ndim - 1 - d];
        if (s != 1 && s != grad->sizes[grad->ndim - 1 - d])
            return false;
    }
    return true;
}

/* Makes *grad fit what the node at the other end expects: shape (sums what was broadcast), dtype. */
static MT_NOINLINE int
adapt(const mt_node *from, const mt_input_info *info, mt_tensor **grad, uint32_t i)
{
    mt_tensor *g = *grad;
    if (g->ndim != info->ndim || memcmp(g->sizes, info->sizes, info->ndim * sizeof(int64_t))) {
        if (!expands_to(info, g))
            return mt_fail(MT_RUNTIME,
                           "Function %s returned an invalid gradient at index %u - got %s but "
                           "expected shape compatible with %s",
                           from ? from->name : "GraphRoot", i, mt_shape_str(g),
                           mt_str_ints(info->sizes, info->ndim));
        mt_tensor *sum = mt_sum_to(g, info->ndim, info->sizes);
        if (!sum)
            return -1;
        mt_release(g);
        *grad = g = sum;
    }
    if (g->device.type != info->device.type)
        return mt_fail(MT_RUNTIME,
                       "Function %s returned an invalid gradient at index %u - expected device %s "
                       "but got %s",
                       from ? from->name : "GraphRoot", i, mt_device_str(info->device),
                       mt_device_str(g->device));
    if (g->dtype != info->dtype) {
        mt_tensor *real = NULL;
        if (mt_is_complex((mt_dtype)g->dtype) && !mt_is_complex((mt_dtype)info->dtype)) {
            if (!(real = aten_real(g)))
                return -1;
            mt_release(g);
            *grad = g = real;
        }
        if (g->dtype != info->dtype) {
            mt_tensor *cast =
                aten_to_dtype(g, (mt_dtype)info->dtype, false, false, MT_FORMAT_NONE);
            if (!cast)
                return -1;
            mt_release(g);
            *grad = cast;
        }
    }
    return 0;
}

MT_INLINE int
fit(const mt_node *from, const mt_edge *edge, mt_tensor **grad, uint32_t i)
{
    if (MT_UNLIKELY(edge->input_nr >= edge->node->ninputs))
        return 0;
    const mt_input_info *info = &edge->node->inputs[edge->input_nr];
    if (MT_UNLIKELY(info->dtype == MT_DTYPE_NONE))
        return 0;
    const mt_tensor *g = *grad;
    if (MT_LIKELY(g->ndim == info->ndim && g->dtype == info->dtype &&
                  g->device.type == info->device.type &&
                  !memcmp(g->sizes, info->sizes, info->ndim * sizeof(int64_t))))
        return 0;
    return adapt(from, info, grad, i);
}

/* ---- leaves ------------------------------------------------------------------------------- */

static bool
layout_fits(const mt_tensor *grad, const mt_tensor *leaf)
{
    if (!(leaf->flags & MT_T_DENSE))
        return mt_is_contiguous(grad);
    for (int d = 0; d < leaf->ndim; d++)
        if (leaf->sizes[d] != 1 && grad->strides[d] != leaf->strides[d])
            return false;
    return true;
}

static mt_tensor *
clone_like(mt_tensor *grad, mt_tensor *leaf)
{
    if (leaf->flags & MT_T_DENSE) {
        mt_tensor *t = aten_new_empty_strided(grad, leaf->sizes, leaf->ndim, leaf->strides,
                                              leaf->ndim, MT_DTYPE_NONE, -1, MT_NO_DEVICE,
                                              mt_v_none());
        if (t && aten_copy_(t, grad, false) < 0) {
            mt_release(t);
            return NULL;
        }
        return t;
    }
    return aten_clone(grad, MT_CONTIGUOUS);
}

/* Waits for another thread that is storing into the same leaf. */
static void
enter_leaf(mt_grad_meta *meta)
{
    while (meta->busy) {
        void *state = mt_the_host.lock_leave ? mt_the_host.lock_leave() : NULL;
        sched_yield();
        if (mt_the_host.lock_enter)
            mt_the_host.lock_enter(state);
    }
    meta->busy = true;
}

/* leaf.grad += *grad; takes the gradient over where nobody else holds it. */
static int
accumulate(mt_node *node, mt_tensor **grad)
{
    mt_tensor *leaf = node->variable, *g = *grad;
    if (!g || !leaf || !mt_requires_grad(leaf))
        return 0;
    mt_grad_meta *meta = mt_grad_meta_of(leaf);
    if (!meta)
        return -1;
    bool grad_mode = mt_this_thread()->grad_mode;
    int rc = 0;
    enter_leaf(meta);
    if (!meta->grad) {
        if (!grad_mode && g->head.refcount == 1 && layout_fits(g, leaf) && !g->grad_fn) {
            *grad = NULL;
            if (g->base) { /* a view in our hands: seen from outside it is no view of anything */
                mt_tensor *plain = mt_alias_same(g);
                mt_release(g);
                g = plain;
            }
            meta->grad = g;
            rc = g ? 0 : -1;
        } else {
            mt_tensor *t = clone_like(g, leaf);
            rc = t ? 0 : -1;
            meta->grad = t;
        }
    } else if (!grad_mode) {
        mt_tensor *have = mt_keep(meta->grad);
        rc = aten_add__Tensor(have, g, mt_v_int(1));
        mt_release(have);
    } else {
        mt_tensor *old = meta->grad, *sum = aten_add_Tensor(old, g, mt_v_int(1));
        if (sum) {
            meta->grad = sum;
            mt_release(old);
        }
        rc = sum ? 0 : -1;
    }
    if (leaf->meta)
        leaf->meta->busy = false;
    if (rc == 0 && node->post_acc_hooks && mt_hooks.post_accumulate)
        rc = mt_hooks.post_accumulate(node->post_acc_hooks, leaf);
    return rc;
}

/* ---- running a node ----------------------------------------------------------------------- */

static int
materialise(mt_node *node, mt_tensor **grads)
{
    for (uint32_t i = 0; i < node->ninputs; i++)
        if (!grads[i] && node->inputs[i].dtype != MT_DTYPE_NONE) {
            const mt_input_info *info = &node->inputs[i];
            grads[i] = mt_empty(info->ndim, info->sizes, NULL, (mt_dtype)info->dtype, info->device);
            if (!grads[i] || aten_zero_(grads[i]) < 0)
                return -1;
        }
    return 0;
}

static int
check_nan(const mt_node *node, mt_tensor *const *out)
{
    for (uint32_t i = 0; i < node->nedges; i++) {
        mt_tensor *t = out[i];
        if (!t || mt_is_meta(t) || t->numel == 0 || !mt_is_floating((mt_dtype)t->dtype))
            continue;
        mt_tensor *nan = aten_isnan(t), *any = nan ? aten_any(nan) : NULL;
        bool bad = any && *(uint8_t *)mt_data(any);
        mt_xrelease(nan);
        mt_xrelease(any);
        if (!any)
            return -1;
        if (bad)
            return mt_fail(MT_RUNTIME, "Function '%s' returned nan values in its %uth output.",
                           node->name, i);
    }
    return 0;
}

/* Which slots lead to something that is needed. */
static uint64_t
wanted(mt_graph_task *task, const mt_node *node)
{
    uint64_t want = 0;
    const mt_derivative *d = node->derivative;
    bool slots = node->kind == MT_NODE_FORMULA && d && node->nedges != d->ninputs;
    uint32_t extra = slots ? node->nedges - d->ninputs : 0; /* edges beyond one per slot */
    uint32_t list = UINT32_MAX;
    if (slots)
        for (uint32_t s = 0; s < d->ninputs; s++)
            if (node->op->args[d->inputs[s]].type == MT_A_TENSORS)
                list = s;
    for (uint32_t e = 0; e < node->nedges; e++) {
        const mt_node *next = node->edges[e].node;
        if (!next)
            continue;
        if (MT_UNLIKELY(task->selective)) {
            mt_task_entry *entry = mt_task_find(task, next);
            if (!entry || !(entry->needed || entry->capture >= 0))
                continue;
        }
        uint32_t s = e;
        if (list != UINT32_MAX && e > list)
            s = e <= list + extra ? list : e - extra;
        want |= (uint64_t)1 << MT_MIN(s, 63);
    }
    return want;
}

static int
run_hooks(int (*hook)(void *, mt_tensor **, int64_t), void *hooks, mt_tensor **grads, uint32_t n)
{
    return hooks && hook ? hook(hooks, grads, n) : 0;
}

static int
capture(mt_graph_task *task, mt_task_entry *entry, mt_tensor **grads)
{
    for (int32_t i = entry->capture; i >= 0; i = task->capture_next[i]) {
        uint32_t nr = task->args->inputs[i].input_nr;
        mt_tensor *g = nr < entry->node->ninputs || nr == 0 ? grads[nr] : NULL;
        mt_xrelease(task->args->captured[i]);
        task->args->captured[i] = mt_xkeep(g);
    }
    return 0;
}

/* Hands the node's results on: fits each to its consumer, adds it up, marks what became ready. */
static int
distribute(mt_graph_task *task, mt_node *node, mt_tensor **out)
{
    for (uint32_t e = 0; e < node->nedges; e++) {
        const mt_edge *edge = &node->edges[e];
        if (!edge->node)
            continue;
        mt_task_entry *next = mt_task_find(task, edge->node);
        if (MT_UNLIKELY(!next))
            continue;
        mt_tensor *g = out[e];
        if (g) {
            out[e] = NULL;
            if (fit(node, edge, &g, e) < 0 || !g) {
                mt_xrelease(g);
                return -1;
            }
            if (task->selective && !next->needed && next->capture < 0)
                mt_release(g);
            else if (add_gradient(next, edge->input_nr, g) < 0)
                return -1;
            next = mt_task_find(task, edge->node); /* entries do not move, but stay safe */
        }
        if (--next->dependencies == 0 && !(task->selective && !next->needed && next->capture < 0) &&
            push_ready(task, (uint32_t)(next - task->entries)) < 0)
            return -1;
    }
    return 0;
}

#define LOCAL_EDGES 8

static int
apply(mt_graph_task *task, mt_node *node, mt_tensor **grads, uint32_t ngrads)
{
    mt_tensor *local[LOCAL_EDGES] = {0}, **out = local;
    int rc = -1;
    bool applied = false;
    mt_thread *thread = mt_this_thread();
    if (MT_UNLIKELY(node->nedges > LOCAL_EDGES) &&
        !(out = calloc(node->nedges, sizeof *out)))
        return mt_fail(MT_MEMORY, "not enough memory for backward");
    mt_node *outer = thread->current_node;
    thread->current_node = node;
    if (node->kind == MT_NODE_ACCUMULATE) {
        mt_tensor *seen = node->post_hooks ? mt_xkeep(grads[0]) : NULL;
        rc = accumulate(node, &grads[0]);
        if (rc == 0 && MT_UNLIKELY(node->post_hooks != NULL) && mt_hooks.post)
            rc = mt_hooks.post(node->post_hooks, out, 0, &seen, 1);
        mt_xrelease(seen);
        goto done;
    }
    bool any = false, all = true;
    for (uint32_t i = 0; i < ngrads; i++) {
        any |= grads[i] != NULL;
        all &= grads[i] != NULL;
    }
    if (node->kind == MT_NODE_FORMULA) {
        if (MT_UNLIKELY(node->released && node->nsaved)) {
            rc = mt_saved_released(node);
            goto done;
        }
        if (any) {
            if (!all && !(node->derivative->flags & MT_D_UNDEFINED_OK) &&
                materialise(node, grads) < 0)
                goto done;
            if (node->apply(node, grads, out, wanted(task, node)) < 0)
                goto done;
        }
    } else if (node->apply(node, grads, out, wanted(task, node)) < 0)
        goto done;
    if (!task->keep_graph && node->kind != MT_NODE_FUNCTION)
        mt_node_release_saved(node);
    else if (!task->keep_graph && node->release)
        mt_node_release_saved(node);
    if (MT_UNLIKELY(node->post_hooks != NULL) && mt_hooks.post &&
        mt_hooks.post(node->post_hooks, out, node->nedges, grads, ngrads) < 0)
        goto done;
    if (MT_UNLIKELY(mt_anomaly_mode) && mt_anomaly_check_nan && check_nan(node, out) < 0)
        goto done;
    thread->current_node = outer;
    applied = true;
    rc = distribute(task, node, out);
done:
    thread->current_node = outer;
    if (MT_UNLIKELY(rc < 0 && mt_anomaly_mode) && !applied && mt_anomaly_failed)
        mt_anomaly_failed(node);
    for (uint32_t i = 0; i < node->nedges; i++)
        mt_xrelease(out[i]);
    if (out != local)
        free(out);
    return rc;
}

static int
evaluate(mt_graph_task *task, uint32_t at)
{
    mt_task_entry *entry = &task->entries[at];
    mt_node *node = entry->node;
    uint32_t n = node->ninputs ? node->ninputs : 1;
    mt_tensor *single = entry->single, **many = entry->many;
    mt_tensor **grads = many ? many : &single;
    mt_tensor **padded = NULL;
    if (!many && n > 1) { /* nothing arrived for a node of several results */
        padded = calloc(n, sizeof *padded);
        if (!padded)
            return mt_fail(MT_MEMORY, "not enough memory for backward");
        grads = padded;
    }
    entry->single = NULL;
    entry->many = NULL;
    uint32_t on = mt_prof_flags();
    mt_prof_mark mark = {NULL, 0};
    if (MT_UNLIKELY(on)) {
        int64_t seq = node->kind == MT_NODE_ACCUMULATE ? -1 : (int64_t)node->sequence_nr;
        mark = mt_prof_node_begin(mt_prof_name(node->name, NULL), seq, 0);
    }
    mt_keep(node);
    int rc = 0;
    if (MT_UNLIKELY(node->hooked)) {
        if (run_hooks(mt_hooks.tensor_pre, node->tensor_pre_hooks, grads, n) < 0 ||
            run_hooks(mt_hooks.tensor_pre, node->retains_grad_hooks, grads, n) < 0)
            rc = -1;
    }
    if (rc == 0 && MT_UNLIKELY(task->selective)) {
        entry = mt_task_find(task, node);
        if (entry->capture >= 0)
            rc = capture(task, entry, grads);
        if (!entry->needed)
            goto done;
    }
    if (rc == 0 && MT_UNLIKELY(node->hooked))
        rc = run_hooks(mt_hooks.pre, node->pre_hooks, grads, n);
    if (rc == 0) {
        if (MT_UNLIKELY(on))
            mt_prof_node_apply_begin(mark);
        rc = apply(task, node, grads, n);
        if (MT_UNLIKELY(on))
            mt_prof_node_apply_end(mark);
    }
done:
    for (uint32_t i = 0; i < n; i++)
        mt_xrelease(grads[i]);
    free(many);
    free(padded);
    mt_release(node);
    if (MT_UNLIKELY(on))
        mt_prof_node_end(mark);
    return rc;
}

/* ---- tasks -------------------------------------------------------------------------------- */

static int64_t next_task_id;

int64_t
mt_current_graph_task_id(void)
{
    mt_graph_task *task = mt_this_thread()->graph_task;
    return task ? task->id : -1;
}

bool
mt_task_keeps_graph(void)
{
    mt_graph_task *task = mt_this_thread()->graph_task;
    return task && task->keep_graph;
}

bool
mt_task_is_whole(void)
{
    mt_graph_task *task = mt_this_thread()->graph_task;
    return !task || !task->selective;
}

int
mt_task_will_run(const mt_node *node)
{
    mt_graph_task *task = mt_this_thread()->graph_task;
    if (!task)
        return mt_fail(MT_RUNTIME, "_get_should_execute_nodes should only be called during the "
                                   "backward pass");
    mt_task_entry *entry = mt_task_find(task, node);
    if (!entry)
        return 0;
    return !task->selective || entry->needed || entry->capture >= 0;
}

int
mt_queue_callback(int (*callback)(void *), void *state, void (*drop)(void *))
{
    mt_graph_task *task = mt_this_thread()->graph_task;
    if (!task)
        return mt_fail(MT_RUNTIME, "Final callbacks can only be installed during backward pass.");
    mt_callback *c = malloc(sizeof *c);
    if (!c)
        return mt_fail(MT_MEMORY, "not enough memory for a callback");
    *c = (mt_callback){callback, state, drop, NULL};
    mt_callback **end = &task->callbacks;
    while (*end)
        end = &(*end)->next;
    *end = c;
    return 0;
}

static int
run_callbacks(mt_graph_task *task, int rc)
{
    while (task->callbacks) {
        mt_callback *c = task->callbacks;
        task->callbacks = c->next;
        if (rc == 0)
            rc = c->call(c->state);
        if (c->drop)
            c->drop(c->state);
        free(c);
    }
    return rc;
}

static int
run_task(mt_graph_task *task)
{
    const mt_backward_args *args = task->args;
    if (grow_index(task) < 0 || count_dependencies(task, args->roots, args->nroots) < 0)
        return -1;
    if (args->inputs) {
        task->capture_next = malloc((size_t)(args->ninputs + 1) * sizeof(int32_t));
        if (!task->capture_next)
            return mt_fail(MT_MEMORY, "not enough memory for backward");
        if (mark_needed(task, args) < 0)
            return -1;
    }
    for (int64_t r = 0; r < args->nroots; r++) {
        const mt_edge *edge = &args->roots[r];
        if (!edge->node)
            continue;
        mt_task_entry *entry = mt_task_find(task, edge->node);
        if (args->root_grads[r]) {
            mt_tensor *g = mt_keep(args->root_grads[r]);
            if (fit(NULL, edge, &g, (uint32_t)r) < 0) {
                mt_release(g);
                return -1;
            }
            if (add_gradient(entry, edge->input_nr, g) < 0)
                return -1;
        }
        if (--entry->dependencies == 0 &&
            !(task->selective && !entry->needed && entry->capture < 0) &&
            push_ready(task, (uint32_t)(entry - task->entries)) < 0)
            return -1;
    }
    while (task->nready)
        if (evaluate(task, pop_ready(task)) < 0)
            return -1;
    return 0;
}

static int
run_here(void *ctx)
{
    mt_graph_task *task = ctx;
    mt_thread *thread = mt_this_thread();
    mt_graph_task *outer = thread->graph_task;
    bool grad_mode = thread->grad_mode;
    thread->graph_task = task;
    thread->grad_mode = task->args->create_graph;
    thread->reentrant_depth++;
    int rc = run_task(task);
    thread->grad_mode = grad_mode;
    rc = run_callbacks(task, rc);
    thread->reentrant_depth--;
    thread->graph_task = outer;
    return rc;
}

int
mt_backward(const mt_backward_args *args)
{
    mt_graph_task task = {.args = args, .keep_graph = args->keep_graph, .id = next_task_id++};
    for (int64_t r = 0; r < args->nroots; r++)
        mt_xkeep(args->roots[r].node);
    mt_thread *thread = mt_this_thread();
    int rc;
    if (MT_UNLIKELY(thread->reentrant_depth && thread->reentrant_depth % MAX_DEPTH == 0) &&
        mt_run_on_fresh_stack)
        rc = mt_run_on_fresh_stack(run_here, &task);
    else
        rc = run_here(&task);
    for (uint32_t k = 0; k < task.nentries; k++) {
        mt_task_entry *e = &task.entries[k];
        mt_xrelease(e->single);
        if (e->many) {
            for (uint32_t i = 0; i < e->node->ninputs; i++)
                mt_xrelease(e->many[i]);
            free(e->many);
        }
    }
    free(task.entries);
    free(task.index);
    free(task.ready);
    free(task.capture_next);
    for (int64_t r = 0; r < args->nroots; r++)
        mt_xrelease(args->roots[r].node);
    return rc;
}

int (*mt_run_on_fresh_stack)(int (*run)(void *), void *ctx);
