/* __torch_function__: subclasses and modes that take calls over. */
#include "python/args.h"
#include "python/tensor.h"

static PyObject *disabled_function, *disabled_dispatch, *torch_function_name;

bool
mtpy_has_torch_function(PyObject *o)
{
    if (mtpy_is_plain_tensor(o) || mt_this_thread()->overrides_disabled)
        return false;
    PyObject *fn = _PyType_Lookup(Py_TYPE(o), torch_function_name);
    return fn && fn != disabled_function;
}

bool
mtpy_torch_function(const mtpy_packet *packet, PyObject *self, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, PyObject **result)
{
    (void)packet;
    (void)self;
    (void)args;
    (void)nargs;
    (void)kwnames;
    (void)result;
    return false;
}

static PyObject *
has_torch_function(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *seq = PySequence_Fast(args, "expected a sequence");
    if (!seq)
        return NULL;
    bool any = false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(seq) && !any; i++)
        any = mtpy_has_torch_function(PySequence_Fast_GET_ITEM(seq, i));
    Py_DECREF(seq);
    return PyBool_FromLong(any);
}

static PyObject *
has_torch_function_unary(PyObject *module, PyObject *arg)
{
    (void)module;
    return PyBool_FromLong(mtpy_has_torch_function(arg));
}

static PyObject *
has_torch_function_variadic(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    for (Py_ssize_t i = 0; i < n; i++)
        if (mtpy_has_torch_function(args[i]))
            Py_RETURN_TRUE;
    Py_RETURN_FALSE;
}

/* Runs the function with overrides off: what a class names to opt out. */
static PyObject *
disabled_impl(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *func, *types, *fargs = NULL, *kwargs = NULL;
    if (!PyArg_ParseTuple(args, "OO|OO", &func, &types, &fargs, &kwargs))
        return NULL;
    mt_thread *thread = mt_this_thread();
    bool before = thread->overrides_disabled;
    thread->overrides_disabled = true;
    PyObject *tuple = fargs ? PySequence_Tuple(fargs) : PyTuple_New(0);
    PyObject *r = tuple ? PyObject_Call(func, tuple, kwargs == Py_None ? NULL : kwargs) : NULL;
    Py_XDECREF(tuple);
    thread->overrides_disabled = before;
    return r;
}

static PyMethodDef functions[] = {
    {"_has_torch_function", has_torch_function, METH_O, NULL},
    {"_has_torch_function_unary", has_torch_function_unary, METH_O, NULL},
    {"_has_torch_function_variadic", (PyCFunction)(void (*)(void))has_torch_function_variadic,
     METH_FASTCALL, NULL},
    {"_disabled_torch_function_impl", disabled_impl, METH_VARARGS, NULL},
    {"_disabled_torch_dispatch_impl", disabled_impl, METH_VARARGS, NULL},
    {0},
};

int
mtpy_add_overrides(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    disabled_function = PyObject_GetAttrString(module, "_disabled_torch_function_impl");
    disabled_dispatch = PyObject_GetAttrString(module, "_disabled_torch_dispatch_impl");
    torch_function_name = PyUnicode_InternFromString("__torch_function__");
    return disabled_function && disabled_dispatch && torch_function_name ? 0 : -1;
}
