/* Saved tensors as Python sees them: hooks that pack and unpack them, and `_saved_x`, `_raw_saved_x`
 * of a node.
 *
 * The hooks of a thread are a Python list of pairs in mt_thread.saved_hooks; the last pair takes
 * what is saved. A slot that went through a pair keeps the packed object and the unpack function
 * instead of the tensor, so nothing of the tensor lives on but where its gradient goes. */
#include <stdlib.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "python/tensor.h"

/* ---- packing ------------------------------------------------------------------------------ */

static int
check_untouched(uint32_t before, mt_tensor *tensor)
{
    if (mt_tensor_version(tensor) == before)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                    "input to pack hook cannot be modified by in-place operations as this can lead "
                    "to unexpected side-effects. Please open an issue if you need to perform "
                    "in-place operations on the input to a pack hook.");
    return -1;
}

static PyObject *
call_pack(PyObject *hook, mt_tensor *tensor)
{
    uint32_t before = mt_tensor_version(tensor);
    PyObject *packed = PyObject_CallOneArg(hook, (PyObject *)tensor);
    if (packed && check_untouched(before, tensor) < 0)
        Py_CLEAR(packed);
    return packed;
}

static int
pack(mt_saved *slot, mt_tensor *tensor)
{
    PyObject *stack = mt_this_thread()->saved_hooks;
    PyObject *pair = Py_NewRef(PyList_GET_ITEM(stack, PyList_GET_SIZE(stack) - 1));
    PyObject *packed = call_pack(PyTuple_GET_ITEM(pair, 0), tensor);
    if (packed) {
        slot->packed = packed;
        slot->unpack = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    }
    Py_DECREF(pair);
    return packed ? 0 : mtpy_keep_exception();
}

static mt_tensor *
unpack(mt_saved *slot)
{
    PyObject *hook = Py_NewRef((PyObject *)slot->unpack), *packed = Py_NewRef((PyObject *)slot->packed);
    PyObject *r = PyObject_CallOneArg(hook, packed);
    Py_DECREF(hook);
    Py_DECREF(packed);
    if (r && !mtpy_is_tensor(r)) {
        PyErr_Format(PyExc_TypeError,
                     "Output of saved tensor unpack_hook expected to be a Tensor but got result of "
                     "type %s",
                     Py_TYPE(r)->tp_name);
        Py_CLEAR(r);
    }
    if (!r)
        mtpy_keep_exception();
    return (mt_tensor *)r;
}

static PyObject *
push_hooks(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *first, *second;
    if (!PyArg_ParseTuple(args, "OO:_push_saved_tensors_default_hooks", &first, &second))
        return NULL;
    mt_thread *t = mt_this_thread();
    if (t->saved_hooks_off)
        return PyErr_Format(PyExc_RuntimeError, "%s", t->saved_hooks_off);
    if (!t->saved_hooks && !(t->saved_hooks = PyList_New(0)))
        return NULL;
    PyObject *pair = PyTuple_Pack(2, first, second);
    int rc = pair ? PyList_Append(t->saved_hooks, pair) : -1;
    Py_XDECREF(pair);
    if (rc < 0)
        return NULL;
    mt_saved_hooks_on++;
    Py_RETURN_NONE;
}

static PyObject *
pop_hooks(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_thread *t = mt_this_thread();
    PyObject *stack = t->saved_hooks;
    if (!stack)
        Py_RETURN_NONE;
    Py_ssize_t n = PyList_GET_SIZE(stack) - 1;
    if (n == 0) {
        t->saved_hooks = NULL;
        Py_DECREF(stack);
    } else if (PyList_SetSlice(stack, n, n + 1, NULL) < 0)
        return NULL;
    mt_saved_hooks_on--;
    Py_RETURN_NONE;
}

static PyObject *
top_hooks(PyObject *self, PyObject *args)
{
    (void)self;
    int ignore_tracing = 0;
    if (!PyArg_ParseTuple(args, "|p:_top_saved_tensors_default_hooks", &ignore_tracing))
        return NULL;
    PyObject *stack = mt_this_thread()->saved_hooks;
    return Py_NewRef(stack ? PyList_GET_ITEM(stack, PyList_GET_SIZE(stack) - 1) : Py_None);
}

/* _saved_tensors_hooks_disable(message) */
static PyObject *
disable_hooks(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"error_message", "fail_if_non_empty", NULL};
    const char *text;
    int fail = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|p:_saved_tensors_hooks_disable", names, &text,
                                     &fail))
        return NULL;
    mt_thread *t = mt_this_thread();
    if (fail && t->saved_hooks)
        return PyErr_Format(PyExc_RuntimeError, "%s", text);
    char *copy = strdup(text);
    if (!copy)
        return PyErr_NoMemory();
    free(t->saved_hooks_off);
    t->saved_hooks_off = copy;
    Py_RETURN_NONE;
}

static PyObject *
enable_hooks(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_thread *t = mt_this_thread();
    free(t->saved_hooks_off);
    t->saved_hooks_off = NULL;
    Py_RETURN_NONE;
}

static PyObject *
hooks_are_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_this_thread()->saved_hooks_off == NULL);
}

static PyObject *
disabled_message(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    const char *text = mt_this_thread()->saved_hooks_off;
    return text ? PyUnicode_FromString(text) : Py_NewRef(Py_None);
}

/* ---- SavedTensor -------------------------------------------------------------------------- */

typedef struct saved {
    PyObject_HEAD
    mt_node *node;
    uint32_t slot;
    int64_t item; /* of a list, -1: the slot itself */
} saved;

static PyTypeObject *saved_type;

static void
saved_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF((PyObject *)((saved *)self)->node);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
wrap(mt_node *node, uint32_t slot, int64_t item)
{
    saved *s = PyObject_New(saved, saved_type);
    if (!s)
        return NULL;
    s->node = mt_keep(node);
    s->slot = slot;
    s->item = item;
    return (PyObject *)s;
}

static mt_saved *
slot_of(saved *s)
{
    mt_saved *slot = &s->node->saved[s->slot];
    return s->item < 0 ? slot : &((mt_saved *)slot->value.u.p)[s->item];
}

/* The slot, or NULL with an exception where its node has let go of it. */
static mt_saved *
live_slot(saved *s)
{
    if (!s->node->released && s->slot < s->node->nsaved)
        return slot_of(s);
    mt_saved_released(s->node);
    mtpy_raise();
    return NULL;
}

static PyObject *
register_hooks(PyObject *self, PyObject *args)
{
    saved *s = (saved *)self;
    PyObject *first = NULL, *second = NULL;
    if (PyTuple_GET_SIZE(args) == 2) {
        first = PyTuple_GET_ITEM(args, 0);
        second = PyTuple_GET_ITEM(args, 1);
    }
    if (!first || !PyCallable_Check(first) || !PyCallable_Check(second))
        return PyErr_Format(PyExc_TypeError,
                            "register_hooks(): incompatible function arguments. The following "
                            "argument types are supported:\n    1. (self: "
                            "torch._C._autograd.SavedTensor, arg0: collections.abc.Callable, arg1: "
                            "collections.abc.Callable) -> None\n\nInvoked with: %R",
                            args);
    if (s->node->released) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Calling register_hooks on a saved tensor after it has been freed. Saved "
                        "intermediate values of the graph are freed when you call .backward() or "
                        "autograd.grad(). Specify retain_graph=True if you need to backward through "
                        "the graph a second time or if you need to access saved variables after "
                        "calling backward.");
        return NULL;
    }
    mt_saved *slot = slot_of(s);
    if (slot->packed) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Calling register_hooks on a saved tensor whose hooks have already been "
                        "set. Hint: only one pair of hooks is allowed at a time.");
        return NULL;
    }
    if (slot->kind == MT_SAVED_NONE || !slot->tensor) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Calling register_hooks on a saved tensor with value None is forbidden");
        return NULL;
    }
    PyObject *packed = call_pack(first, slot->tensor);
    if (!packed)
        return NULL;
    int rc = mt_saved_repack(slot, packed, second);
    Py_DECREF(packed);
    if (rc < 0)
        return mtpy_raise();
    Py_RETURN_NONE;
}

static PyObject *
saved_data(PyObject *self, void *unused)
{
    (void)unused;
    mt_saved *slot = live_slot((saved *)self);
    if (!slot)
        return NULL;
    if (slot->packed)
        return Py_NewRef((PyObject *)slot->packed);
    return Py_NewRef(slot->tensor ? (PyObject *)slot->tensor : Py_None);
}

static PyObject *
saved_hook(PyObject *self, void *unused)
{
    (void)unused;
    mt_saved *slot = live_slot((saved *)self);
    return slot ? Py_NewRef(slot->unpack ? (PyObject *)slot->unpack : Py_None) : NULL;
}

static PyObject *
saved_unpack(PyObject *self, PyObject *unused)
{
    (void)unused;
    mt_saved *slot = live_slot((saved *)self);
    if (!slot)
        return NULL;
    if (slot->kind == MT_SAVED_NONE)
        Py_RETURN_NONE;
    mt_tensor *t = mt_saved_open(((saved *)self)->node, slot);
    return t ? (PyObject *)t : mtpy_raise();
}

static PyMethodDef saved_methods[] = {
    {"register_hooks", register_hooks, METH_VARARGS,
     "register_hooks(pack, unpack): keeps pack(tensor) in the place of the tensor."},
    {"unpack", saved_unpack, METH_NOARGS, "The tensor, with its history."},
    {0},
};
static PyGetSetDef saved_getset[] = {
    {"data", saved_data, NULL, "What is kept: the packed object, or the tensor.", NULL},
    {"unpack_hook", saved_hook, NULL, "The function that unpacks, or None.", NULL},
    {0},
};
static PyType_Slot saved_slots[] = {
    {Py_tp_dealloc, saved_dealloc},
    {Py_tp_methods, saved_methods},
    {Py_tp_getset, saved_getset},
    {0, NULL},
};
static PyType_Spec saved_spec = {"torch._C._autograd.SavedTensor", sizeof(saved), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 saved_slots};

/* ---- attributes of nodes ------------------------------------------------------------------ */

static PyObject *
value_of(mt_node *n, uint32_t k)
{
    mt_saved *s = &n->saved[k];
    if (s->kind == MT_SAVED_VALUE)
        return mtpy_wrap_value(s->value, false);
    if (s->kind == MT_SAVED_NONE)
        Py_RETURN_NONE;
    if (s->kind != MT_SAVED_LIST) {
        mt_tensor *t = mt_unpack(n, k);
        return t ? (PyObject *)t : mtpy_raise();
    }
    mt_list list;
    if (mt_unpack_list(n, k, &list) < 0)
        return mtpy_raise();
    PyObject *tuple = PyTuple_New(list.count);
    for (int64_t i = 0; tuple && i < list.count; i++)
        PyTuple_SET_ITEM(tuple, i,
                         Py_NewRef(list.items[i] ? (PyObject *)list.items[i] : Py_None));
    mt_list_free(&list);
    return tuple;
}

static PyObject *
raw_of(mt_node *n, uint32_t k)
{
    mt_saved *s = &n->saved[k];
    if (s->kind != MT_SAVED_LIST)
        return wrap(n, k, -1);
    PyObject *tuple = PyTuple_New(s->value.len);
    for (uint32_t i = 0; tuple && i < s->value.len; i++) {
        PyObject *o = wrap(n, k, i);
        if (!o)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, i, o);
    }
    return tuple;
}

static bool
is_geometry(const mt_node *n, uint32_t k)
{
    return n->derivative->saves[k].kind == MT_SAVED_GEOMETRY;
}

PyObject *
mtpy_saved_attribute(mt_node *n, const char *name, bool *found)
{
    bool raw = !strncmp(name, "_raw_saved_", 11);
    const char *what = name + (raw ? 11 : 7);
    *found = false;
    if (!n->derivative)
        return NULL;
    size_t len = strlen(what);
    bool sizes = !raw && len > 10 && !strcmp(what + len - 10, "_sym_sizes");
    for (uint32_t k = 0; k < n->derivative->nsaved; k++) {
        const char *have = n->derivative->save_names[k];
        if (is_geometry(n, k) ? !(sizes && strlen(have) == len - 10 && !strncmp(have, what, len - 10))
                              : strcmp(have, what) != 0)
            continue;
        *found = true;
        if (n->released) {
            mt_saved_released(n);
            return mtpy_raise();
        }
        if (is_geometry(n, k)) {
            const mt_tensor *t = n->saved[k].tensor;
            return t ? mtpy_wrap_ints(t->sizes, t->ndim) : Py_NewRef(Py_None);
        }
        return raw ? raw_of(n, k) : value_of(n, k);
    }
    return NULL;
}

int
mtpy_saved_names(const mt_node *n, PyObject *list)
{
    for (uint32_t k = 0; n->derivative && k < n->derivative->nsaved; k++) {
        const char *have = n->derivative->save_names[k];
        uint8_t kind = n->derivative->saves[k].kind;
        bool raw = kind == MT_SAVED_INPUT || kind == MT_SAVED_OUTPUT || kind == MT_SAVED_LIST;
        PyObject *name =
            PyUnicode_FromFormat("_saved_%s%s", have, kind == MT_SAVED_GEOMETRY ? "_sym_sizes" : "");
        int rc = name ? PyList_Append(list, name) : -1;
        Py_XDECREF(name);
        if (rc == 0 && raw) {
            name = PyUnicode_FromFormat("_raw_saved_%s", have);
            rc = name ? PyList_Append(list, name) : -1;
            Py_XDECREF(name);
        }
        if (rc < 0)
            return -1;
    }
    return 0;
}

PyObject *
mtpy_raw_saved(mt_node *n)
{
    PyObject *tuple = PyTuple_New(n->nsaved);
    for (uint32_t k = 0; tuple && k < n->nsaved; k++) {
        PyObject *o = wrap(n, k, -1);
        if (!o)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, k, o);
    }
    return tuple;
}

static PyMethodDef functions[] = {
    {"_push_saved_tensors_default_hooks", push_hooks, METH_VARARGS, NULL},
    {"_pop_saved_tensors_default_hooks", pop_hooks, METH_NOARGS, NULL},
    {"_top_saved_tensors_default_hooks", top_hooks, METH_VARARGS, NULL},
    {"_saved_tensors_hooks_disable", (PyCFunction)(void (*)(void))disable_hooks,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_saved_tensors_hooks_enable", enable_hooks, METH_NOARGS, NULL},
    {"_saved_tensors_hooks_is_enabled", hooks_are_enabled, METH_NOARGS, NULL},
    {"_saved_tensors_hooks_get_disabled_error_message", disabled_message, METH_NOARGS, NULL},
    {0},
};

int
mtpy_add_saved(PyObject *module)
{
    mt_saved_pack = pack;
    mt_saved_unpack = unpack;
    PyObject *full = PyUnicode_FromFormat("%s._autograd", PyModule_GetName(module));
    PyObject *sub = full ? PyModule_NewObject(full) : NULL;
    saved_type = (PyTypeObject *)PyType_FromSpec(&saved_spec);
    int rc = sub && saved_type ? PyModule_AddFunctions(sub, functions) : -1;
    if (rc == 0)
        rc = PyModule_AddObjectRef(sub, "SavedTensor", (PyObject *)saved_type);
    if (rc == 0)
        rc = PyModule_AddObjectRef(module, "_autograd", sub);
    if (rc == 0)
        rc = PyObject_SetItem(PyImport_GetModuleDict(), full, sub);
    Py_XDECREF(full);
    Py_XDECREF(sub);
    return rc;
}
