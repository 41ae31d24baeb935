/* Autograd nodes as Python objects, and the engine's entry points.
 *
 * A node is its object, like a tensor. Its exact type (`AddBackward0`) is made when Python first
 * looks: until then it has the common base type, and changing over costs nothing since the layouts
 * are the same. */
#include <pthread.h>
#include <stdlib.h>

#include "autograd/leaf.h"
#include "autograd/task.h"
#include "base/error.h"
#include "python/tensor.h"

PyTypeObject *mtpy_node_type;

#define KEEP 1024
static PyObject *waiting[KEEP];
static int nwaiting;

mt_object *
mtpy_new_node_block(void)
{
    PyTypeObject *type = mtpy_node_type;
    PyObject *o;
    if (MT_LIKELY(nwaiting > 0)) {
        o = waiting[--nwaiting];
        o->ob_type = type;
        Py_INCREF(type);
        o->ob_refcnt = 1;
        return (mt_object *)o;
    }
    o = (PyObject *)PyObject_GC_New(mt_node, type);
    if (!o) {
        PyErr_Clear();
        return mt_fail_null(MT_MEMORY, "not enough memory for an autograd node");
    }
    return (mt_object *)o;
}

void
mtpy_node_dealloc(PyObject *self)
{
    mt_node *n = (mt_node *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (n->kind == MT_NODE_ACCUMULATE && mt_accumulator_rests(n))
        return;
    PyObject_GC_UnTrack(self);
    if (n->host_weakrefs)
        PyObject_ClearWeakRefs(self);
    if (n->host_dict) {
        PyObject *dict = n->host_dict;
        n->host_dict = NULL;
        Py_DECREF(dict);
    }
    mt_node_finalize(n);
    if (MT_LIKELY(type->tp_basicsize == sizeof(mt_node) && nwaiting < KEEP))
        waiting[nwaiting++] = self;
    else
        type->tp_free(self);
    Py_DECREF(type);
}

#define VISIT(p)                                                                                   \
    do {                                                                                           \
        if (p) {                                                                                   \
            int rc_ = visit((PyObject *)(p), arg);                                                 \
            if (rc_)                                                                               \
                return rc_;                                                                        \
        }                                                                                          \
    } while (0)

static int
visit_saved(const mt_saved *s, visitproc visit, void *arg)
{
    if (s->kind == MT_SAVED_NONE)
        return 0;
    if (s->kind == MT_SAVED_LIST) {
        const mt_saved *items = s->value.u.p;
        for (uint32_t i = 0; i < s->value.len; i++) {
            int rc = visit_saved(&items[i], visit, arg);
            if (rc)
                return rc;
        }
        return 0;
    }
    if (s->kind == MT_SAVED_VALUE)
        return 0;
    VISIT(s->tensor);
    VISIT(s->packed);
    VISIT(s->unpack);
    return 0;
}

int
mtpy_node_traverse(PyObject *self, visitproc visit, void *arg)
{
    mt_node *n = (mt_node *)self;
    VISIT(Py_TYPE(self));
    VISIT(n->host_dict);
    for (uint32_t i = 0; i < n->nedges; i++)
        VISIT(n->edges[i].node);
    for (uint32_t i = 0; i < n->nsaved; i++) {
        int rc = visit_saved(&n->saved[i], visit, arg);
        if (rc)
            return rc;
    }
    VISIT(n->variable);
    VISIT(n->pre_hooks);
    VISIT(n->post_hooks);
    VISIT(n->tensor_pre_hooks);
    VISIT(n->retains_grad_hooks);
    VISIT(n->post_acc_hooks);
    VISIT(n->metadata);
    return 0;
}

int
mtpy_node_clear(PyObject *self)
{
    mt_node *n = (mt_node *)self;
    PyObject *dict = n->host_dict;
    n->host_dict = NULL;
    Py_XDECREF(dict);
    mt_node_finalize(n);
    return 0;
}

/* ---- types by name ------------------------------------------------------------------------ */

static PyObject *types;

static PyTypeObject *
type_of(const char *name)
{
    const char *colon = strrchr(name, ':');
    if (colon)
        name = colon + 1; /* torch::autograd::AccumulateGrad shows as AccumulateGrad */
    if (!types && !(types = PyDict_New()))
        return NULL;
    PyObject *type = PyDict_GetItemString(types, name);
    if (type)
        return (PyTypeObject *)type;
    PyObject *bases = PyTuple_Pack(1, mtpy_node_type);
    PyType_Slot slots[] = {{Py_tp_dealloc, mtpy_node_dealloc},
                           {Py_tp_traverse, mtpy_node_traverse},
                           {Py_tp_clear, mtpy_node_clear},
                           {0, NULL}};
    char full[160];
    snprintf(full, sizeof full, "torch.autograd.graph.%s", name);
    PyType_Spec spec = {full, sizeof(mt_node), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
    type = bases ? PyType_FromSpecWithBases(&spec, bases) : NULL;
    Py_XDECREF(bases);
    PyObject *module = type ? PyUnicode_FromString("torch.autograd.graph") : NULL;
    if (module && PyDict_SetItemString(((PyTypeObject *)type)->tp_dict, "__module__", module) < 0)
        Py_CLEAR(type);
    Py_XDECREF(module);
    if (!type)
        return NULL;
    PyDict_SetItemString(types, name, type);
    Py_DECREF(type);
    return (PyTypeObject *)type;
}

PyObject *
mtpy_wrap_node(mt_node *node)
{
    PyObject *o = (PyObject *)node;
    if (Py_TYPE(o) == mtpy_node_type) {
        PyTypeObject *type = type_of(node->name);
        if (!type)
            return NULL;
        Py_INCREF(type);
        o->ob_type = type;
        Py_DECREF(mtpy_node_type);
    }
    return Py_NewRef(o);
}

/* ---- attributes --------------------------------------------------------------------------- */

#define NODE ((mt_node *)self)

static PyObject *
node_name(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyUnicode_FromString(NODE->name);
}

static PyObject *
node_sequence_nr(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(NODE->sequence_nr);
}

static PyObject *
node_next_functions(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *tuple = PyTuple_New(NODE->nedges);
    for (uint32_t i = 0; tuple && i < NODE->nedges; i++) {
        mt_edge e = NODE->edges[i];
        PyObject *fn = e.node ? mtpy_wrap_node(e.node) : Py_NewRef(Py_None);
        PyObject *pair = fn ? Py_BuildValue("(NI)", fn, e.input_nr) : NULL;
        if (!pair)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, i, pair);
    }
    return tuple;
}

static PyObject *
node_metadata(PyObject *self, void *unused)
{
    (void)unused;
    if (!NODE->metadata && !(NODE->metadata = PyDict_New()))
        return NULL;
    return Py_NewRef((PyObject *)NODE->metadata);
}

static PyObject *
node_variable(PyObject *self, void *unused)
{
    (void)unused;
    if (NODE->kind != MT_NODE_ACCUMULATE)
        return PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute 'variable'",
                            Py_TYPE(self)->tp_name);
    return Py_NewRef(NODE->variable ? (PyObject *)NODE->variable : Py_None);
}

/* _saved_self, _raw_saved_self and the like: what the formulas read. */
static PyObject *
node_getattro(PyObject *self, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);
    if (text && (!strncmp(text, "_saved_", 7) || !strncmp(text, "_raw_saved_", 11))) {
        bool found;
        PyObject *value = mtpy_saved_attribute(NODE, text, &found);
        if (found)
            return value;
    }
    return PyObject_GenericGetAttr(self, name);
}

static PyObject *
node_dir(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *list = PyObject_CallMethod((PyObject *)&PyBaseObject_Type, "__dir__", "O", self);
    if (list && mtpy_saved_names(NODE, list) < 0)
        Py_CLEAR(list);
    return list;
}

static PyObject *
node_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<%s object at %p>", _PyType_Name(Py_TYPE(self)), self);
}

static PyGetSetDef node_getset[] = {
    {"next_functions", node_next_functions, NULL, "Pairs (node, input number) this one feeds.", NULL},
    {"metadata", node_metadata, NULL, "A dict for the user.", NULL},
    {"variable", node_variable, NULL, "The leaf that AccumulateGrad adds to.", NULL},
    {0},
};
/* The handle of a hook put into the dictionary of the given kind. */
static PyObject *
add_hook(PyObject *self, PyObject *hook, void **slot)
{
    if (!*slot && !(*slot = PyODict_New()))
        return NULL;
    NODE->hooked = true;
    return mtpy_hook_handle(*slot, hook);
}

static PyObject *
node_register_hook(PyObject *self, PyObject *hook)
{
    return add_hook(self, hook, &NODE->post_hooks);
}

static PyObject *
node_register_prehook(PyObject *self, PyObject *hook)
{
    return add_hook(self, hook, &NODE->pre_hooks);
}

static PyMethodDef node_methods[] = {
    {"register_hook", node_register_hook, METH_O,
     "Calls hook(grad_inputs, grad_outputs) after the node ran; returns a handle."},
    {"register_prehook", node_register_prehook, METH_O,
     "Calls hook(grad_outputs) before the node runs; returns a handle."},
    {"name", node_name, METH_NOARGS, "The node's name."},
    {"__dir__", node_dir, METH_NOARGS, NULL},
    {"_sequence_nr", node_sequence_nr, METH_NOARGS, "Creation order within the thread."},
    {0},
};
static PyMemberDef node_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(mt_node, host_dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(mt_node, host_weakrefs), READONLY, NULL},
    {0},
};
static PyType_Slot node_slots[] = {
    {Py_tp_dealloc, mtpy_node_dealloc},
    {Py_tp_traverse, mtpy_node_traverse},
    {Py_tp_clear, mtpy_node_clear},
    {Py_tp_getset, node_getset},
    {Py_tp_methods, node_methods},
    {Py_tp_members, node_members},
    {Py_tp_getattro, node_getattro},
    {Py_tp_repr, node_repr},
    {0, NULL},
};
static PyType_Spec node_spec = {"torch._C._autograd.Node", sizeof(mt_node), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                node_slots};

/* ---- running ------------------------------------------------------------------------------ */

static int
edges_of(PyObject *tensors, mt_edge *edges, Py_ssize_t n, bool roots)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *o = PyTuple_GET_ITEM(tensors, i);
        if (PyTuple_Check(o) && PyTuple_GET_SIZE(o) >= 2) { /* GradientEdge(node, output_nr) */
            edges[i].node = (mt_node *)Py_NewRef(PyTuple_GET_ITEM(o, 0));
            edges[i].input_nr = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GET_ITEM(o, 1));
            continue;
        }
        if (!mtpy_is_tensor(o)) {
            PyErr_Format(PyExc_TypeError, "element %zd of %s tuple is not a Tensor", i,
                         roots ? "tensors" : "inputs");
            return -1;
        }
        mt_tensor *t = (mt_tensor *)o;
        if (mt_gradient_edge(t, &edges[i]) < 0)
            return mtpy_raise_int();
        if (!edges[i].node) {
            if (roots) {
                PyErr_Format(PyExc_RuntimeError,
                             "element %zd of tensors does not require grad and does not have a "
                             "grad_fn",
                             i);
                return -1;
            }
            PyErr_SetString(PyExc_RuntimeError,
                            "One of the differentiated Tensors does not require grad");
            return -1;
        }
    }
    return 0;
}

/* run_backward(tensors, grad_tensors, keep_graph, create_graph, inputs, allow_unreachable,
 * accumulate_grad) -> tuple of gradients of the inputs */
static PyObject *
run_backward(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"tensors", "grad_tensors", "keep_graph", "create_graph", "inputs",
                            "allow_unreachable", "accumulate_grad", NULL};
    PyObject *tensors, *grads, *inputs = NULL, *result = NULL;
    int keep_graph, create_graph, allow_unreachable = 0, accumulate = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!pp|Opp:run_backward", names, &PyTuple_Type,
                                     &tensors, &PyTuple_Type, &grads, &keep_graph, &create_graph,
                                     &inputs, &allow_unreachable, &accumulate))
        return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(tensors), ni = 0;
    if (PyTuple_GET_SIZE(grads) != n)
        return PyErr_Format(PyExc_RuntimeError, "got %zd tensors and %zd gradients", n,
                            PyTuple_GET_SIZE(grads));
    bool selective = inputs && PyTuple_Check(inputs) && PyTuple_GET_SIZE(inputs) > 0;
    if (selective)
        ni = PyTuple_GET_SIZE(inputs);
    mt_edge *roots = PyMem_Calloc((size_t)(n + ni) + 1, sizeof *roots), *wanted = roots + n;
    mt_tensor **root_grads = PyMem_Calloc((size_t)(n + ni) + 1, sizeof *root_grads),
              **captured = root_grads + n;
    if (!roots || !root_grads) {
        PyErr_NoMemory();
        goto done;
    }
    if (edges_of(tensors, roots, n, true) < 0 ||
        (selective && edges_of(inputs, wanted, ni, false) < 0))
        goto done;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *g = PyTuple_GET_ITEM(grads, i);
        if (g == Py_None)
            continue;
        if (!mtpy_is_tensor(g)) {
            PyErr_Format(PyExc_TypeError, "element %zd of gradients tuple is not a Tensor or None",
                         i);
            goto done;
        }
        root_grads[i] = (mt_tensor *)g;
    }
    mt_backward_args a = {roots, root_grads, n, keep_graph, create_graph, accumulate,
                          selective ? wanted : NULL, ni, captured};
    if (mt_backward(&a) < 0) {
        mtpy_raise();
        goto done;
    }
    if (!selective || accumulate) {
        result = Py_NewRef(Py_None);
        goto done;
    }
    result = PyTuple_New(ni);
    for (Py_ssize_t i = 0; result && i < ni; i++) {
        if (!captured[i] && !allow_unreachable) {
            PyErr_Format(PyExc_RuntimeError,
                         "The differentiated Tensor at index %zd appears to not have been used in "
                         "the graph. Set allow_unused=True if this is the desired behavior.",
                         i);
            Py_CLEAR(result);
            break;
        }
        PyTuple_SET_ITEM(result, i,
                         captured[i] ? (PyObject *)captured[i] : Py_NewRef(Py_None));
        captured[i] = NULL;
    }
done:
    if (roots)
        for (Py_ssize_t i = 0; i < n + ni; i++)
            mt_xrelease(roots[i].node);
    if (root_grads)
        for (Py_ssize_t i = 0; i < ni; i++)
            mt_xrelease(captured[i]);
    PyMem_Free(roots);
    PyMem_Free(root_grads);
    return result;
}

/* ---- a fresh stack for deep nesting ------------------------------------------------------- */

typedef struct hop {
    int (*run)(void *);
    void *ctx;
    mt_thread state;
    int rc;
    mt_error_kind kind;
    char *message;
    PyObject *type, *value, *traceback;
} hop;

static void *
hop_main(void *arg)
{
    hop *h = arg;
    PyGILState_STATE gil = PyGILState_Ensure();
    mt_thread *thread = mt_this_thread();
    struct mt_prof_thread *profiler = thread->profiler;
    *thread = h->state;
    thread->profiler = profiler;
    h->rc = h->run(h->ctx);
    if (h->rc < 0) {
        const char *message;
        h->kind = mt_error(&message);
        h->message = message ? strdup(message) : NULL;
        PyErr_Fetch(&h->type, &h->value, &h->traceback);
    }
    h->state = *thread;
    PyGILState_Release(gil);
    return NULL;
}

static int
run_on_fresh_stack(int (*run)(void *), void *ctx)
{
    mt_thread *thread = mt_this_thread();
    hop h = {.run = run, .ctx = ctx, .state = *thread};
    pthread_t id;
    if (pthread_create(&id, NULL, hop_main, &h) != 0)
        return run(ctx);
    Py_BEGIN_ALLOW_THREADS
    pthread_join(id, NULL);
    Py_END_ALLOW_THREADS
    thread->sequence_nr = MT_MAX(thread->sequence_nr, h.state.sequence_nr);
    if (h.rc < 0) {
        if (h.type)
            PyErr_Restore(h.type, h.value, h.traceback);
        mt_fail(h.kind ? h.kind : MT_RUNTIME, "%s", h.message ? h.message : "backward failed");
        free(h.message);
    }
    return h.rc;
}

/* ---- modes -------------------------------------------------------------------------------- */

static PyObject *
is_grad_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_this_thread()->grad_mode);
}

static PyObject *
set_grad_enabled(PyObject *self, PyObject *on)
{
    (void)self;
    if (!PyBool_Check(on))
        return PyErr_Format(PyExc_TypeError,
                            "set_grad_enabled(): argument 'enabled' (position 1) must be bool, not "
                            "%s",
                            Py_TYPE(on)->tp_name);
    mt_this_thread()->grad_mode = on == Py_True;
    Py_RETURN_NONE;
}

static PyObject *
is_inference_mode_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_this_thread()->inference_mode);
}

/* _push_inference_mode(on) -> state to give back to _pop_inference_mode */
static PyObject *
push_inference_mode(PyObject *self, PyObject *on)
{
    (void)self;
    mt_thread *t = mt_this_thread();
    int yes = PyObject_IsTrue(on);
    if (yes < 0)
        return NULL;
    PyObject *state = Py_BuildValue("(KKOOO)", t->included, t->excluded,
                                    t->inference_mode ? Py_True : Py_False,
                                    t->grad_mode ? Py_True : Py_False,
                                    t->forward_grad_mode ? Py_True : Py_False);
    if (!state)
        return NULL;
    t->inference_mode = yes;
    if (yes) {
        t->included &= ~MT_KEY_BIT(ADInplaceOrView);
        t->excluded |= MT_AUTOGRAD_KEYS;
    } else {
        t->included |= MT_KEY_BIT(ADInplaceOrView);
        t->excluded &= ~MT_AUTOGRAD_KEYS;
    }
    t->grad_mode = !yes;
    t->forward_grad_mode = !yes;
    return state;
}

static PyObject *
pop_inference_mode(PyObject *self, PyObject *state)
{
    (void)self;
    mt_thread *t = mt_this_thread();
    unsigned long long included, excluded;
    int inference, grad, forward;
    if (!PyArg_ParseTuple(state, "KKppp", &included, &excluded, &inference, &grad, &forward))
        return NULL;
    t->included = included;
    t->excluded = excluded;
    t->inference_mode = inference;
    t->grad_mode = grad;
    t->forward_grad_mode = forward;
    Py_RETURN_NONE;
}

static PyObject *
current_graph_task_id(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyLong_FromLongLong(mt_current_graph_task_id());
}

static PyObject *
current_autograd_node(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_node *n = mt_this_thread()->current_node;
    return n ? mtpy_wrap_node(n) : Py_NewRef(Py_None);
}

/* _will_engine_execute_node(node), inside a backward */
static PyObject *
will_execute(PyObject *self, PyObject *o)
{
    (void)self;
    if (!PyObject_TypeCheck(o, mtpy_node_type))
        return PyErr_Format(PyExc_TypeError, "_will_engine_execute_node expects an grad_fn, but got %s",
                            Py_TYPE(o)->tp_name);
    int yes = mt_task_will_run((mt_node *)o);
    return yes < 0 ? mtpy_raise() : PyBool_FromLong(yes);
}

static PyObject *
is_checkpoint_valid(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_task_is_whole());
}

static PyObject *
task_keeps_graph(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_task_keeps_graph());
}

/* _increment_version(iterable of tensors) */
static PyObject *
increment_version(PyObject *self, PyObject *tensors)
{
    (void)self;
    PyObject *list = PySequence_Check(tensors) || PyIter_Check(tensors) || PyAnySet_Check(tensors)
                         ? PySequence_List(tensors)
                         : NULL;
    if (!list) {
        PyErr_Clear();
        PyErr_SetString(PyExc_RuntimeError, "increment_version expect a Iterable[Tensor] as input");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *o = PyList_GET_ITEM(list, i);
        if (!mtpy_is_tensor(o)) {
            Py_DECREF(list);
            PyErr_SetString(PyExc_RuntimeError,
                            "increment_version expects each element of the iterable to be a tensor");
            return NULL;
        }
        mt_bump_version((mt_tensor *)o);
    }
    Py_DECREF(list);
    Py_RETURN_NONE;
}

/* Backward runs on the calling thread; the switch is kept for programs that ask. */
static bool multithreading = true;

static PyObject *
is_multithreading_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(multithreading);
}

static PyObject *
set_multithreading_enabled(PyObject *self, PyObject *on)
{
    (void)self;
    int yes = PyObject_IsTrue(on);
    if (yes < 0)
        return NULL;
    multithreading = yes;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_will_engine_execute_node", will_execute, METH_O, NULL},
    {"_is_checkpoint_valid", is_checkpoint_valid, METH_NOARGS, NULL},
    {"_get_current_graph_task_keep_graph", task_keeps_graph, METH_NOARGS, NULL},
    {"_increment_version", increment_version, METH_O, NULL},
    {"_is_multithreading_enabled", is_multithreading_enabled, METH_NOARGS, NULL},
    {"_set_multithreading_enabled", set_multithreading_enabled, METH_O, NULL},
    {"_run_backward", (PyCFunction)(void (*)(void))run_backward, METH_VARARGS | METH_KEYWORDS, NULL},
    {"is_grad_enabled", is_grad_enabled, METH_NOARGS, "Whether operators are recorded."},
    {"_set_grad_enabled", set_grad_enabled, METH_O, NULL},
    {"is_inference_mode_enabled", is_inference_mode_enabled, METH_NOARGS,
     "Whether inference mode is on."},
    {"_push_inference_mode", push_inference_mode, METH_O, NULL},
    {"_pop_inference_mode", pop_inference_mode, METH_O, NULL},
    {"_current_graph_task_id", current_graph_task_id, METH_NOARGS, NULL},
    {"_current_autograd_node", current_autograd_node, METH_NOARGS, NULL},
    {0},
};

/* ---- anomaly mode ------------------------------------------------------------------------- */

/* A function of autograd/anomaly_mode.py, looked up when first needed. */
static PyObject *
anomaly_function(const char *name)
{
    PyObject *m = PyImport_ImportModule("mindtorch_v2.autograd.anomaly_mode");
    PyObject *f = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return f;
}

/* A node was made: keeps the stack, and the node that was running, in its metadata. */
static void
anomaly_made(mt_node *node)
{
    if (!Py_IsInitialized() || PyErr_Occurred())
        return;
    mt_node *parent = mt_this_thread()->current_node;
    PyObject *f = anomaly_function("_stack"), *stack = f ? PyObject_CallNoArgs(f) : NULL;
    PyObject *metadata = stack ? node_metadata((PyObject *)node, NULL) : NULL;
    if (!metadata || PyDict_SetItemString(metadata, "traceback_", stack) < 0 ||
        (parent && PyDict_SetItemString(metadata, "parent_", (PyObject *)parent) < 0))
        PyErr_Clear();
    Py_XDECREF(metadata);
    Py_XDECREF(stack);
    Py_XDECREF(f);
}

/* A node failed: warns with the stack of its making. The error stays. */
static void
anomaly_failed(mt_node *node)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    const char *message;
    mt_error_kind kind = mt_error(&message);
    char *text = message ? strdup(message) : NULL;
    PyObject *f = anomaly_function("_report"), *o = f ? mtpy_wrap_node(node) : NULL;
    PyObject *r = o ? PyObject_CallOneArg(f, o) : NULL;
    if (!r)
        PyErr_Clear();
    Py_XDECREF(r);
    Py_XDECREF(o);
    Py_XDECREF(f);
    PyErr_Restore(type, value, traceback);
    mt_fail(kind, "%s", text ? text : "");
    free(text);
}

int
mtpy_add_autograd(PyObject *module)
{
    mtpy_node_type = (PyTypeObject *)PyType_FromSpec(&node_spec);
    if (!mtpy_node_type ||
        PyModule_AddObjectRef(module, "_Node", (PyObject *)mtpy_node_type) < 0)
        return -1;
    mt_run_on_fresh_stack = run_on_fresh_stack;
    mt_anomaly_made = anomaly_made;
    mt_anomaly_failed = anomaly_failed;
    return PyModule_AddFunctions(module, functions);
}
