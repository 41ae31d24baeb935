/* torch.autograd.Function: nodes whose backward is written in Python.
 *
 * The context that forward gets is the node itself, so what backward needs hangs where the
 * collector sees it. A node's class is made per Function by the metaclass in
 * autograd/function.py; its name is the node's name. */
#include <stdlib.h>

#include "autograd/forward.h"
#include "base/error.h"
#include "ops_gen.h"
#include "python/tensor.h"

typedef struct function {
    mt_node node;
    PyObject *needs_input_grad, *to_save, *dirty, *non_differentiable, *saved_for_forward;
    PyObject *is_tensor; /* bytes: one per argument of forward */
    char materialize_grads;
} function;

static PyTypeObject *function_type;

/* ---- life --------------------------------------------------------------------------------- */

static int
drop(function *f)
{
    Py_CLEAR(f->needs_input_grad);
    Py_CLEAR(f->to_save);
    Py_CLEAR(f->dirty);
    Py_CLEAR(f->non_differentiable);
    Py_CLEAR(f->saved_for_forward);
    return 0;
}

static void
function_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    drop((function *)self);
    Py_CLEAR(((function *)self)->is_tensor);
    mtpy_node_dealloc(self);
}

static int
function_traverse(PyObject *self, visitproc visit, void *arg)
{
    function *f = (function *)self;
    Py_VISIT(f->needs_input_grad);
    Py_VISIT(f->to_save);
    Py_VISIT(f->dirty);
    Py_VISIT(f->non_differentiable);
    Py_VISIT(f->saved_for_forward);
    return mtpy_node_traverse(self, visit, arg);
}

static int
function_clear(PyObject *self)
{
    drop((function *)self);
    return mtpy_node_clear(self);
}

/* Saved tensors are dropped by the caller; attributes of the context stay. */
static void
release(mt_node *node)
{
    (void)node;
}

/* ---- backward ----------------------------------------------------------------------------- */

static int
take_results(function *f, PyObject *result, mt_tensor **out)
{
    const char *is_tensor = PyBytes_AS_STRING(f->is_tensor), *name = f->node.name;
    Py_ssize_t expected = PyBytes_GET_SIZE(f->is_tensor), got = PyTuple_GET_SIZE(result), used = got;
    while (used > expected && PyTuple_GET_ITEM(result, used - 1) == Py_None)
        used--;
    if (used != expected) {
        PyErr_Format(PyExc_RuntimeError,
                     "function %s returned an incorrect number of gradients (expected %zd, got %zd)",
                     name, expected, got);
        return -1;
    }
    Py_ssize_t slot = 0;
    for (Py_ssize_t i = 0; i < expected; i++) {
        PyObject *g = PyTuple_GET_ITEM(result, i);
        if (!is_tensor[i]) {
            if (g == Py_None)
                continue;
            PyErr_Format(PyExc_RuntimeError,
                         "function %s returned a gradient different than None at position %zd, but "
                         "the corresponding forward input was not a Variable",
                         name, i + 1);
            return -1;
        }
        if (g != Py_None && !mtpy_is_tensor(g)) {
            PyErr_Format(PyExc_RuntimeError, "expected Variable or None (got %s)",
                         Py_TYPE(g)->tp_name);
            return -1;
        }
        out[slot++] = g == Py_None ? NULL : mt_keep((mt_tensor *)g);
    }
    return 0;
}

static int
apply(mt_node *node, mt_tensor *const *grads, mt_tensor **out, uint64_t want)
{
    (void)want;
    function *f = (function *)node;
    PyObject *args = PyTuple_New(node->ninputs);
    for (uint32_t i = 0; args && i < node->ninputs; i++) {
        const mt_input_info *info = &node->inputs[i];
        mt_tensor *g = mt_xkeep(grads[i]);
        if (!g && f->materialize_grads && info->dtype != MT_DTYPE_NONE) {
            g = mt_empty(info->ndim, info->sizes, NULL, (mt_dtype)info->dtype, info->device);
            if (!g || aten_zero_(g) < 0) {
                mt_xrelease(g);
                Py_DECREF(args);
                return -1;
            }
        }
        PyTuple_SET_ITEM(args, i, g ? (PyObject *)g : Py_NewRef(Py_None));
    }
    PyObject *method = args ? PyObject_GetAttrString((PyObject *)f, "apply") : NULL;
    PyObject *result = method ? PyObject_Call(method, args, NULL) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(args);
    if (result && !PyTuple_Check(result)) {
        PyObject *one = PyTuple_Pack(1, result);
        Py_DECREF(result);
        result = one;
    }
    int rc = result ? take_results(f, result, out) : -1;
    Py_XDECREF(result);
    return rc < 0 ? mtpy_keep_exception() : 0;
}

static PyObject *
function_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    function *f = (function *)type->tp_alloc(type, 0);
    if (!f)
        return NULL;
    mt_node_init(&f->node, MT_NODE_FUNCTION, type->tp_name, 0, 0);
    f->node.apply = apply;
    f->node.release = release;
    f->materialize_grads = 1;
    return (PyObject *)f;
}

/* ---- forward ------------------------------------------------------------------------------ */

static bool
holds(PyObject *tuple, PyObject *o)
{
    for (Py_ssize_t i = 0; tuple && PyTuple_Check(tuple) && i < PyTuple_GET_SIZE(tuple); i++)
        if (PyTuple_GET_ITEM(tuple, i) == o)
            return true;
    return false;
}

/* Edges to the histories of the tensors among the arguments; which need gradients. */
static int
connect(function *f, PyObject *const *args, Py_ssize_t nargs, bool *executable)
{
    mt_node *node = &f->node;
    uint32_t ntensors = 0;
    *executable = false;
    f->is_tensor = PyBytes_FromStringAndSize(NULL, nargs);
    f->needs_input_grad = PyTuple_New(nargs);
    if (!f->is_tensor || !f->needs_input_grad)
        return -1;
    bool on = mt_this_thread()->grad_mode;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        bool is_tensor = mtpy_is_tensor(args[i]);
        bool needs = is_tensor && mt_requires_grad((mt_tensor *)args[i]);
        PyBytes_AS_STRING(f->is_tensor)[i] = is_tensor;
        PyTuple_SET_ITEM(f->needs_input_grad, i, PyBool_FromLong(needs));
        ntensors += is_tensor;
        *executable |= needs && on;
    }
    if (!*executable)
        return 0;
    if (ntensors > MT_NODE_EDGES && !(node->edges = calloc(ntensors, sizeof(mt_edge)))) {
        node->edges = node->inline_edges;
        PyErr_NoMemory();
        return -1;
    }
    memset(node->edges, 0, ntensors * sizeof(mt_edge));
    node->nedges = ntensors;
    for (Py_ssize_t i = 0, e = 0; i < nargs; i++)
        if (PyBytes_AS_STRING(f->is_tensor)[i] &&
            mt_gradient_edge((mt_tensor *)args[i], &node->edges[e++]) < 0)
            return mtpy_raise_int();
    return 0;
}

static mt_tensor *
same_view(mt_tensor *t)
{
    mt_thread *thread = mt_this_thread();
    bool mode = thread->grad_mode;
    thread->grad_mode = false;
    mt_tensor *view = aten_view(t, t->sizes, t->ndim);
    thread->grad_mode = mode;
    return view;
}

/* A result of forward becomes a result of the node. New reference, or NULL with an exception. */
static PyObject *
wrap_output(function *f, PyObject *o, PyObject *inputs, bool executable, Py_ssize_t nout)
{
    mt_node *node = &f->node;
    if (!mtpy_is_tensor(o)) {
        if (executable && mt_node_add_input(node, NULL) < 0)
            return mtpy_raise();
        return Py_NewRef(o);
    }
    mt_tensor *t = mt_keep((mt_tensor *)o);
    bool is_input = holds(inputs, o), is_dirty = holds(f->dirty, o);
    bool differentiable = executable && !holds(f->non_differentiable, o) &&
                          (mt_is_floating((mt_dtype)t->dtype) || mt_is_complex((mt_dtype)t->dtype));
    if (!differentiable) {
        if (is_input && !is_dirty) {
            mt_tensor *view = mt_requires_grad(t) ? mt_alias_same(t) : same_view(t);
            mt_release(t);
            if (!(t = view))
                return mtpy_raise();
        }
        if (executable && mt_node_add_input(node, t) < 0)
            goto failed;
        return (PyObject *)t;
    }
    if (is_dirty) {
        if (mt_requires_grad(t) && !t->grad_fn && !(t->flags & MT_T_VIEW)) {
            mt_fail(MT_RUNTIME,
                    "a leaf Variable that requires grad has been used in an in-place operation.");
            goto failed;
        }
        if (t->flags & MT_T_VIEW && nout > 1) {
            mt_fail(MT_RUNTIME, "If your Function modifies inplace an input that is a view of "
                                "another Tensor, your Function cannot return more than one Tensor. "
                                "This is not supported by the current autograd engine.");
            goto failed;
        }
        mt_bump_version(t);
        if (mt_check_inplace(t, true) < 0 || mt_rebase_history(t, node) < 0)
            goto failed;
        return (PyObject *)t;
    }
    if (is_input) {
        mt_tensor *view = same_view(t);
        mt_release(t);
        if (!(t = view))
            return mtpy_raise();
    }
    if (mt_set_history(t, node) < 0)
        goto failed;
    if (t->flags & MT_T_VIEW) {
        t->creation = nout > 1 ? MT_MADE_MULTI_OUTPUT : MT_MADE_IN_FUNCTION;
        t->attr_version = mt_tensor_version(t);
    }
    return (PyObject *)t;
failed:
    mt_release(t);
    return mtpy_raise();
}

static int
check_marks(PyObject *marks, const char *what)
{
    for (Py_ssize_t i = 0; marks && PyTuple_Check(marks) && i < PyTuple_GET_SIZE(marks); i++)
        if (!mtpy_is_tensor(PyTuple_GET_ITEM(marks, i))) {
            PyErr_Format(PyExc_TypeError, "%s can only accept variables, but argument %zd is of type %s",
                         what, i, Py_TYPE(PyTuple_GET_ITEM(marks, i))->tp_name);
            return -1;
        }
    return 0;
}

static int
save(function *f)
{
    mt_node *node = &f->node;
    PyObject *list = f->to_save;
    if (!list || list == Py_None)
        return 0;
    if (!PyTuple_Check(list)) {
        PyErr_Format(PyExc_TypeError, "saved tensors must be a tuple, but got %s",
                     Py_TYPE(list)->tp_name);
        return -1;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(list);
    if (n > MT_NODE_SAVED) {
        mt_saved *block = calloc((size_t)n, sizeof *block);
        if (!block) {
            PyErr_NoMemory();
            return -1;
        }
        node->saved = block;
    } else
        memset(node->inline_saved, 0, sizeof node->inline_saved);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *o = PyTuple_GET_ITEM(list, i);
        if (o != Py_None && !mtpy_is_tensor(o)) {
            PyErr_Format(PyExc_TypeError,
                         "save_for_backward can only save variables, but argument %zd is of type %s",
                         i, Py_TYPE(o)->tp_name);
            return -1;
        }
        mt_tensor *t = o == Py_None ? NULL : (mt_tensor *)o;
        node->nsaved = (uint32_t)i + 1;
        if (mt_save_tensor(&node->saved[i], t, t && t->grad_fn == node) < 0)
            return mtpy_raise_int();
    }
    return 0;
}

static PyObject *
call_forward(PyObject *cls, PyObject *ctx, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *setup = PyObject_GetAttrString(cls, "_has_setup_context");
    PyObject *forward = setup ? PyObject_GetAttrString(cls, "forward") : NULL, *result = NULL;
    PyObject *tuple = forward ? PyTuple_New(nargs + (setup != Py_True)) : NULL;
    if (!tuple)
        goto done;
    Py_ssize_t at = 0;
    if (setup != Py_True)
        PyTuple_SET_ITEM(tuple, at++, Py_NewRef(ctx));
    for (Py_ssize_t i = 0; i < nargs; i++)
        PyTuple_SET_ITEM(tuple, at++, Py_NewRef(args[i]));
    mt_thread *thread = mt_this_thread();
    bool mode = thread->grad_mode;
    uint8_t level = thread->fw_level;
    thread->grad_mode = false;
    thread->fw_level = 0;
    result = PyObject_Call(forward, tuple, NULL);
    if (result && setup == Py_True) {
        PyObject *r = PyObject_CallMethod(cls, "setup_context", "OOO", ctx, tuple, result);
        if (!r)
            Py_CLEAR(result);
        Py_XDECREF(r);
    }
    thread->grad_mode = mode;
    thread->fw_level = level;
done:
    Py_XDECREF(setup);
    Py_XDECREF(forward);
    Py_XDECREF(tuple);
    return result;
}

/* Forward mode: cls.jvp(ctx, *tangents) gives the tangents of the outputs. */
static int
carry_tangents(PyObject *cls, PyObject *ctx, PyObject *const *args, Py_ssize_t nargs, PyObject *outputs)
{
    mt_thread *thread = mt_this_thread();
    uint8_t before = thread->fw_level;
    if (!before || !thread->forward_grad_mode)
        return 0;
    uint32_t id = thread->fw_ids[before - 1];
    bool any = false;
    for (Py_ssize_t i = 0; i < nargs && !any; i++)
        any = mtpy_is_tensor(args[i]) && mt_tangent_of((mt_tensor *)args[i], id);
    if (!any)
        return 0;
    PyObject *tuple = PyTuple_New(nargs + 1), *method = PyObject_GetAttrString(cls, "jvp");
    for (Py_ssize_t i = 0; tuple && i < nargs; i++) {
        mt_tensor *f = mtpy_is_tensor(args[i]) ? mt_tangent_of((mt_tensor *)args[i], id) : NULL;
        PyTuple_SET_ITEM(tuple, i + 1, Py_NewRef(f ? (PyObject *)f : Py_None));
    }
    if (tuple)
        PyTuple_SET_ITEM(tuple, 0, Py_NewRef(ctx));
    thread->fw_level = (uint8_t)(before - 1);
    PyObject *r = tuple && method ? PyObject_Call(method, tuple, NULL) : NULL;
    thread->fw_level = before;
    Py_XDECREF(tuple);
    Py_XDECREF(method);
    if (r && !PyTuple_Check(r)) {
        PyObject *one = PyTuple_Pack(1, r);
        Py_DECREF(r);
        r = one;
    }
    int rc = r ? 0 : -1;
    if (r && PyTuple_GET_SIZE(r) != PyTuple_GET_SIZE(outputs)) {
        PyErr_Format(PyExc_RuntimeError,
                     "%s's jvp returned an invalid number of forward gradients (expected %zd but got "
                     "%zd)",
                     ((mt_node *)ctx)->name, PyTuple_GET_SIZE(outputs), PyTuple_GET_SIZE(r));
        rc = -1;
    }
    for (Py_ssize_t i = 0; rc == 0 && i < PyTuple_GET_SIZE(outputs); i++) {
        PyObject *o = PyTuple_GET_ITEM(outputs, i), *f = PyTuple_GET_ITEM(r, i);
        if (!mtpy_is_tensor(o) || f == Py_None)
            continue;
        if (!mtpy_is_tensor(f)) {
            PyErr_Format(PyExc_RuntimeError,
                         "%s's jvp returned a forward gradient that is no Tensor at position %zd",
                         ((mt_node *)ctx)->name, i);
            rc = -1;
        } else if (mt_set_tangent((mt_tensor *)o, (mt_tensor *)f, id) < 0)
            rc = mtpy_raise_int();
    }
    Py_XDECREF(r);
    return rc;
}

/* cls.apply(*args): classmethod */
static PyObject *
function_apply(PyObject *cls, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *made = PyObject_GetAttrString(cls, "_backward_cls"), *raw = NULL, *outputs = NULL;
    PyObject *ctx = made ? PyObject_CallNoArgs(made) : NULL, *inputs = NULL;
    bool executable;
    Py_XDECREF(made);
    if (!ctx)
        return NULL;
    function *f = (function *)ctx;
    if (!PyObject_TypeCheck(ctx, function_type)) {
        PyErr_SetString(PyExc_TypeError, "_backward_cls must derive from _FunctionBase");
        goto done;
    }
    if (connect(f, args, nargs, &executable) < 0 || !(raw = call_forward(cls, ctx, args, nargs)))
        goto done;
    bool single = !PyTuple_Check(raw);
    if (single) {
        PyObject *tuple = PyTuple_Pack(1, raw);
        Py_DECREF(raw);
        if (!(raw = tuple))
            goto done;
    }
    if (!(inputs = PyTuple_New(nargs)))
        goto done;
    for (Py_ssize_t i = 0; i < nargs; i++)
        PyTuple_SET_ITEM(inputs, i, Py_NewRef(args[i]));
    if (check_marks(f->dirty, "mark_dirty") < 0 ||
        check_marks(f->non_differentiable, "mark_non_differentiable") < 0)
        goto done;
    Py_ssize_t n = PyTuple_GET_SIZE(raw);
    for (Py_ssize_t i = 0; f->dirty && PyTuple_Check(f->dirty) && i < PyTuple_GET_SIZE(f->dirty); i++)
        if (!holds(raw, PyTuple_GET_ITEM(f->dirty, i))) {
            PyErr_SetString(PyExc_RuntimeError,
                            "Some elements marked as dirty during the forward method were not "
                            "returned as output. The inputs that are modified inplace must all be "
                            "outputs of the Function.");
            goto done;
        }
    if (!(outputs = PyTuple_New(n)))
        goto done;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *o = wrap_output(f, PyTuple_GET_ITEM(raw, i), inputs, executable, n);
        if (!o) {
            Py_CLEAR(outputs);
            goto done;
        }
        PyTuple_SET_ITEM(outputs, i, o);
    }
    if (executable && save(f) < 0) {
        Py_CLEAR(outputs);
        goto done;
    }
    if (carry_tangents(cls, ctx, args, nargs, outputs) < 0) {
        Py_CLEAR(outputs);
        goto done;
    }
    Py_CLEAR(f->saved_for_forward);
    Py_CLEAR(f->to_save);
    Py_CLEAR(f->dirty);
    Py_CLEAR(f->non_differentiable);
    if (single) {
        PyObject *one = Py_NewRef(PyTuple_GET_ITEM(outputs, 0));
        Py_DECREF(outputs);
        outputs = one;
    }
done:
    Py_XDECREF(inputs);
    Py_XDECREF(raw);
    Py_DECREF(ctx);
    return outputs;
}

/* ---- attributes --------------------------------------------------------------------------- */

static PyObject *
saved_tensors(PyObject *self, void *unused)
{
    (void)unused;
    mt_node *node = (mt_node *)self;
    PyObject *forward = ((function *)self)->saved_for_forward;
    if (forward && forward != Py_None) /* jvp is running */
        return Py_NewRef(forward);
    if (node->released) {
        mt_saved_released(node);
        return mtpy_raise();
    }
    PyObject *tuple = PyTuple_New(node->nsaved);
    for (uint32_t i = 0; tuple && i < node->nsaved; i++) {
        if (node->saved[i].kind == MT_SAVED_NONE) {
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(Py_None));
            continue;
        }
        mt_tensor *t = mt_unpack(node, i);
        if (!t) {
            Py_DECREF(tuple);
            return mtpy_raise();
        }
        PyTuple_SET_ITEM(tuple, i, (PyObject *)t);
    }
    return tuple;
}

static PyMethodDef methods[] = {
    {"apply", (PyCFunction)(void (*)(void))function_apply, METH_CLASS | METH_FASTCALL,
     "Runs forward and records the node."},
    {0},
};
static PyObject *
raw_saved_tensors(PyObject *self, void *unused)
{
    (void)unused;
    return mtpy_raw_saved((mt_node *)self);
}

static PyGetSetDef getset[] = {
    {"_raw_saved_tensors", raw_saved_tensors, NULL, "The same as SavedTensor objects.", NULL},
    {"saved_tensors", saved_tensors, NULL, "What save_for_backward kept.", NULL},
    {0},
};
static PyMemberDef members[] = {
    {"needs_input_grad", T_OBJECT, offsetof(function, needs_input_grad), 0, NULL},
    {"to_save", T_OBJECT, offsetof(function, to_save), 0, NULL},
    {"dirty_tensors", T_OBJECT, offsetof(function, dirty), 0, NULL},
    {"non_differentiable", T_OBJECT, offsetof(function, non_differentiable), 0, NULL},
    {"saved_for_forward", T_OBJECT, offsetof(function, saved_for_forward), 0, NULL},
    {"materialize_grads", T_BOOL, offsetof(function, materialize_grads), 0, NULL},
    {0},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, function_dealloc}, {Py_tp_traverse, function_traverse},
    {Py_tp_clear, function_clear},     {Py_tp_new, function_new},
    {Py_tp_methods, methods},          {Py_tp_getset, getset},
    {Py_tp_members, members},          {0, NULL},
};
static PyType_Spec spec = {"torch._C._FunctionBase", sizeof(function), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

int
mtpy_add_function(PyObject *module)
{
    PyObject *bases = PyTuple_Pack(1, mtpy_node_type);
    function_type = bases ? (PyTypeObject *)PyType_FromSpecWithBases(&spec, bases) : NULL;
    Py_XDECREF(bases);
    return function_type ? PyModule_AddObjectRef(module, "_FunctionBase", (PyObject *)function_type)
                         : -1;
}
