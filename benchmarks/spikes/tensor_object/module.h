/* The Python side, the same for every variant: types TensorBase (with a metaclass) and Node, and
 * functions that do what operators do with a tensor's lifetime. Included last by each variant. */

static tensor *held; /* one tensor that a C structure owns */

static PyTypeObject *
checked(PyObject *object)
{
    if (PyObject_TypeCheck(object, base_type))
        return Py_TYPE(object);
    PyErr_Format(PyExc_TypeError, "expected a tensor, got %s", Py_TYPE(object)->tp_name);
    return NULL;
}

static void
fill(tensor *t, storage *take)
{
    t->data = take;
    t->ndim = 1;
    t->sizes[0] = 4;
    t->strides[0] = 1;
    t->offset = 0;
}

/* make() -> a new tensor, as an operator returns one. */
static PyObject *
make(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    tensor *t = tensor_new();
    if (!t)
        return PyErr_NoMemory();
    fill(t, storage_new());
    return tensor_give(t);
}

/* through(t): into C, kept there, and back. */
static PyObject *
through(PyObject *module, PyObject *object)
{
    (void)module;
    return checked(object) ? tensor_give(tensor_keep(tensor_of(object))) : NULL;
}

static PyObject *
view(PyObject *module, PyObject *object)
{
    (void)module;
    if (!checked(object))
        return NULL;
    tensor *t = tensor_new();
    if (!t)
        return PyErr_NoMemory();
    fill(t, storage_keep(tensor_of(object)->data));
    return tensor_give(t);
}

/* link(t) -> a new tensor whose node saves t and continues with t's own node. */
static PyObject *
link_(PyObject *module, PyObject *object)
{
    (void)module;
    if (!checked(object))
        return NULL;
    tensor *source = tensor_of(object), *t = tensor_new();
    node *n = t ? node_new() : NULL;
    if (!n) {
        if (t)
            tensor_drop(t);
        return PyErr_NoMemory();
    }
    fill(t, storage_new());
    n->saved = tensor_keep(source);
    n->next = source->grad_fn ? node_keep(source->grad_fn) : NULL;
    t->grad_fn = n;
    tensor_linked(t);
    return tensor_give(t);
}

/* share(t) -> another output of the node that made t. */
static PyObject *
share(PyObject *module, PyObject *object)
{
    PyObject *out = checked(object) ? make(module, NULL) : NULL;
    if (out) {
        tensor_of(out)->grad_fn = node_keep(tensor_of(object)->grad_fn);
        tensor_linked(tensor_of(out));
    }
    return out;
}

static PyObject *
hold(PyObject *module, PyObject *object)
{
    (void)module;
    if (!checked(object))
        return NULL;
    tensor *before = held;
    held = tensor_keep(tensor_of(object));
    if (before)
        tensor_drop(before);
    Py_RETURN_NONE;
}

static PyObject *
take(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    tensor *t = held;
    if (!t)
        Py_RETURN_NONE;
    held = NULL;
    return tensor_give(t);
}

static PyObject *
set_object(PyObject *args, int is_ctx)
{
    PyObject *object, *value;
    if (!PyArg_ParseTuple(args, "OO", &object, &value) || !checked(object))
        return NULL;
    node *n = tensor_of(object)->grad_fn;
    if (!n)
        return PyErr_Format(PyExc_ValueError, "the tensor has no node");
    PyObject **place = is_ctx ? &n->ctx : &n->hook, *before = *place;
    Py_INCREF(value);
    *place = value;
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyObject *
set_hook(PyObject *module, PyObject *args)
{
    (void)module;
    return set_object(args, 0);
}

static PyObject *
set_ctx(PyObject *module, PyObject *args)
{
    (void)module;
    return set_object(args, 1);
}

static PyObject *
alias(PyTypeObject *cls, PyObject *source)
{
    PyObject *out = tensor_object(cls);
    if (out)
        fill(tensor_of(out), storage_keep(tensor_of(source)->data));
    return out;
}

/* make_subclass(cls, t) -> a new object of class cls on t's storage. */
static PyObject *
make_subclass(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *cls, *source;
    if (!PyArg_ParseTuple(args, "O!O", &PyType_Type, &cls, &source) || !checked(source))
        return NULL;
    if (PyType_IsSubtype((PyTypeObject *)cls, base_type))
        return alias((PyTypeObject *)cls, source);
    return PyErr_Format(PyExc_TypeError, "cls must be a tensor class");
}

#ifndef NEEDS_LOCK
/* make_unlocked(n) -> n tensors, created while other threads run Python. */
static PyObject *
make_unlocked(PyObject *module, PyObject *arg)
{
    (void)module;
    Py_ssize_t count = PyLong_AsSsize_t(arg), made = 0;
    if (count < 0)
        return NULL;
    tensor **made_ones = PyMem_Calloc((size_t)count + 1, sizeof *made_ones);
    if (!made_ones)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS for (; made < count && (made_ones[made] = tensor_new()); made++)
        fill(made_ones[made], storage_new());
    Py_END_ALLOW_THREADS PyObject *out = PyList_New(made);
    for (Py_ssize_t i = 0; i < made; i++) {
        PyObject *object = tensor_give(made_ones[i]);
        if (out && object)
            PyList_SET_ITEM(out, i, object);
    }
    PyMem_Free(made_ones);
    return out;
}
#endif

/* set_tensor_type(cls): results of operators are of this class from now on. */
static PyObject *
set_tensor_type(PyObject *module, PyObject *cls)
{
    (void)module;
    if (!PyType_Check(cls) || !PyType_IsSubtype((PyTypeObject *)cls, base_type))
        return PyErr_Format(PyExc_TypeError, "cls must be a tensor class");
    Py_INCREF(cls);
    tensor_type = (PyTypeObject *)cls;
    tensor_type->tp_dealloc = tensor_dealloc;
    Py_RETURN_NONE;
}

static PyObject *
tensor_tp_new(PyTypeObject *cls, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    PyObject *out = tensor_object(cls);
    if (out)
        fill(tensor_of(out), storage_new());
    return out;
}

static PyObject *
tensor_as_subclass(PyObject *self, PyObject *cls)
{
    if (PyType_Check(cls) && PyType_IsSubtype((PyTypeObject *)cls, base_type))
        return alias((PyTypeObject *)cls, self);
    return PyErr_Format(PyExc_TypeError, "cls must be a tensor class");
}

static PyObject *
tensor_get_grad_fn(PyObject *self, void *closure)
{
    (void)closure;
    node *n = tensor_of(self)->grad_fn;
    if (!n)
        Py_RETURN_NONE;
    return node_give(node_keep(n));
}

static int
meta_init(PyObject *cls, PyObject *args, PyObject *kwargs)
{
    if (PyType_Type.tp_init(cls, args, kwargs) < 0)
        return -1;
#ifdef PRESERVES
    ((PyTypeObject *)cls)->tp_dealloc = tensor_dealloc;
#endif
    return 0;
}

static PyGetSetDef tensor_getset[] = {
    {"__dict__", tensor_get_dict, PyObject_GenericSetDict, NULL, NULL},
    {"grad_fn", tensor_get_grad_fn, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef tensor_methods[] = {
    {"as_subclass", tensor_as_subclass, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef tensor_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(TENSOR_STRUCT, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TENSOR_STRUCT, weaklist), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tensor_slots[] = {
    {Py_tp_new, (void *)tensor_tp_new},
    {Py_tp_dealloc, (void *)tensor_dealloc},
    {Py_tp_traverse, (void *)tensor_traverse},
    {Py_tp_clear, (void *)tensor_clear},
    {Py_tp_setattro, (void *)tensor_setattro},
    {Py_tp_getset, tensor_getset},
    {Py_tp_methods, tensor_methods},
    {Py_tp_members, tensor_members},
    {0, NULL},
};

static PyType_Slot node_slots[] = {
    {Py_tp_dealloc, (void *)node_dealloc},
    {Py_tp_traverse, (void *)node_traverse},
    {Py_tp_clear, (void *)node_clear},
    {0, NULL},
};

static PyType_Slot meta_slots[] = {
    {Py_tp_base, &PyType_Type},
    {Py_tp_init, (void *)meta_init},
    {0, NULL},
};

#define TYPE_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC)

static PyType_Spec tensor_spec = {MODULE_NAME ".TensorBase", sizeof(TENSOR_STRUCT), 0,
                                  TYPE_FLAGS | Py_TPFLAGS_BASETYPE, tensor_slots};
static PyType_Spec node_spec = {MODULE_NAME ".Node", sizeof(NODE_STRUCT), 0, TYPE_FLAGS,
                                node_slots};
static PyType_Spec meta_spec = {MODULE_NAME ".TensorMeta", 0, 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, meta_slots};

static PyMethodDef functions[] = {
    {"make", make, METH_NOARGS, NULL},
    {"through", through, METH_O, NULL},
    {"view", view, METH_O, NULL},
    {"link", link_, METH_O, NULL},
    {"share", share, METH_O, NULL},
    {"hold", hold, METH_O, NULL},
    {"take", take, METH_NOARGS, NULL},
    {"set_hook", set_hook, METH_VARARGS, NULL},
    {"set_ctx", set_ctx, METH_VARARGS, NULL},
    {"make_subclass", make_subclass, METH_VARARGS, NULL},
#ifndef NEEDS_LOCK
    {"make_unlocked", make_unlocked, METH_O, NULL},
#endif
    {"set_tensor_type", set_tensor_type, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, MODULE_NAME, NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC MODULE_INIT(void);

PyMODINIT_FUNC
MODULE_INIT(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module || !(meta_type = (PyTypeObject *)PyType_FromSpec(&meta_spec)) ||
        !(base_type = (PyTypeObject *)PyType_FromSpec(&tensor_spec)) ||
        !(node_type = (PyTypeObject *)PyType_FromSpec(&node_spec)))
        return NULL;
    Py_SET_TYPE((PyObject *)base_type, meta_type); /* a layout-compatible metaclass */
    tensor_type = base_type;
    if (PyModule_AddObject(module, "TensorBase", (PyObject *)base_type) < 0 ||
        PyModule_AddObject(module, "TensorMeta", (PyObject *)meta_type) < 0 ||
        PyModule_AddObject(module, "Node", (PyObject *)node_type) < 0)
        return NULL;
    return module;
}
