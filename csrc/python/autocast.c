/* The switches of autocast. Only the CPU has operators that heed them; the switches of other device
 * types are kept so that programs find what they set. */
#include "dispatch/autocast.h"

#include "base/error.h"
#include "python/tensor.h"

typedef struct elsewhere {
    bool enabled;
    uint8_t dtype;
} elsewhere;

static elsewhere others[MT_NUM_DEVICE_TYPES];

static elsewhere *
other(int type)
{
    elsewhere *o = &others[type];
    if (!o->dtype) /* not set yet: bool is no dtype of autocast */
        o->dtype = type == MT_CUDA || type == MT_XPU || type == MT_MPS || type == MT_MTIA ||
                           type == MT_PRIVATEUSE1
                       ? MT_FLOAT16
                       : MT_BFLOAT16;
    return o;
}

/* The device type an argument names; -1 with an exception. */
static int
device_type(PyObject *o, const char *function)
{
    mt_device device;
    if (!PyUnicode_Check(o)) {
        PyErr_Format(PyExc_TypeError, "%s(): argument 'device_type' (position 1) must be str, not %s",
                     function, Py_TYPE(o)->tp_name);
        return -1;
    }
    return mtpy_as_device(o, &device) < 0 ? -1 : device.type;
}

static bool
is_on(int type)
{
    return type == MT_CPU ? !(mt_this_thread()->excluded & MT_KEY_BIT(AutocastCPU))
                          : other(type)->enabled;
}

static void
switch_on(int type, bool on)
{
    mt_thread *thread = mt_this_thread();
    if (type != MT_CPU)
        other(type)->enabled = on;
    else if (on)
        thread->excluded &= ~MT_KEY_BIT(AutocastCPU);
    else
        thread->excluded |= MT_KEY_BIT(AutocastCPU);
}

static PyObject *
is_enabled(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o = NULL;
    if (!PyArg_ParseTuple(args, "|O:is_autocast_enabled", &o))
        return NULL;
    int type = o ? device_type(o, "is_autocast_enabled") : MT_CUDA;
    return type < 0 ? NULL : PyBool_FromLong(is_on(type));
}

static PyObject *
set_enabled(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *first, *second = NULL;
    if (!PyArg_ParseTuple(args, "O|O:set_autocast_enabled", &first, &second))
        return NULL;
    int type = second ? device_type(first, "set_autocast_enabled") : MT_CUDA;
    PyObject *on = second ? second : first;
    if (type < 0)
        return NULL;
    if (!PyBool_Check(on))
        return PyErr_Format(PyExc_TypeError,
                            "set_autocast_enabled(): argument 'enabled' (position %d) must be bool, "
                            "not %s",
                            second ? 2 : 1, Py_TYPE(on)->tp_name);
    switch_on(type, on == Py_True);
    Py_RETURN_NONE;
}

static PyObject *
get_dtype(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"device_type", NULL};
    PyObject *o = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:get_autocast_dtype", names, &o))
        return NULL;
    if (!o)
        return PyErr_Format(PyExc_TypeError, "get_autocast_dtype() missing 1 required positional "
                                             "arguments: \"device_type\"");
    int type = device_type(o, "get_autocast_dtype");
    if (type < 0)
        return NULL;
    if (type == MT_META)
        return PyErr_Format(PyExc_RuntimeError, "unsupported scalarType");
    return mtpy_wrap_dtype(type == MT_CPU ? mt_this_thread()->autocast_dtype : other(type)->dtype);
}

static PyObject *
set_dtype(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o, *d;
    if (!PyArg_ParseTuple(args, "OO:set_autocast_dtype", &o, &d))
        return NULL;
    int type = device_type(o, "set_autocast_dtype");
    if (type < 0)
        return NULL;
    if (Py_TYPE(d) != mtpy_dtype_type)
        return PyErr_Format(PyExc_TypeError,
                            "set_autocast_dtype(): argument 'dtype' (position 2) must be "
                            "torch.dtype, not %s",
                            Py_TYPE(d)->tp_name);
    uint8_t dtype = ((mtpy_dtype *)d)->dtype;
    if (type == MT_CPU)
        mt_this_thread()->autocast_dtype = dtype;
    else
        other(type)->dtype = dtype;
    Py_RETURN_NONE;
}

static PyObject *
is_available(PyObject *self, PyObject *o)
{
    (void)self;
    int type = device_type(o, "_is_autocast_available");
    return type < 0 ? NULL
                    : PyBool_FromLong(type == MT_CPU || type == MT_CUDA || type == MT_XPU ||
                                      type == MT_MPS || type == MT_HPU || type == MT_XLA ||
                                      type == MT_IPU || type == MT_MTIA || type == MT_MAIA ||
                                      type == MT_PRIVATEUSE1);
}

static PyObject *
increment(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyLong_FromLong(++mt_this_thread()->autocast_nesting);
}

static PyObject *
decrement(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_thread *thread = mt_this_thread();
    if (thread->autocast_nesting)
        thread->autocast_nesting--;
    return PyLong_FromLong(thread->autocast_nesting);
}

static PyObject *
clear_cache(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_autocast_clear_cache();
    Py_RETURN_NONE;
}

static PyObject *
is_cache_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_this_thread()->autocast_cache);
}

static PyObject *
set_cache_enabled(PyObject *self, PyObject *on)
{
    (void)self;
    if (!PyBool_Check(on))
        return PyErr_Format(PyExc_TypeError, "enabled must be a bool (got %s)", Py_TYPE(on)->tp_name);
    mt_this_thread()->autocast_cache = on == Py_True;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"is_autocast_enabled", is_enabled, METH_VARARGS, "Whether autocast is on for a device type."},
    {"set_autocast_enabled", set_enabled, METH_VARARGS, "Switches autocast of a device type."},
    {"get_autocast_dtype", (PyCFunction)(void (*)(void))get_dtype, METH_VARARGS | METH_KEYWORDS,
     "The lower dtype of a device type."},
    {"set_autocast_dtype", set_dtype, METH_VARARGS, "Sets the lower dtype of a device type."},
    {"_is_autocast_available", is_available, METH_O, NULL},
    {"autocast_increment_nesting", increment, METH_NOARGS, "Enters a region; returns the depth."},
    {"autocast_decrement_nesting", decrement, METH_NOARGS, "Leaves a region; returns the depth."},
    {"clear_autocast_cache", clear_cache, METH_NOARGS, "Drops the kept casts of weights."},
    {"is_autocast_cache_enabled", is_cache_enabled, METH_NOARGS, "Whether casts of weights are kept."},
    {"set_autocast_cache_enabled", set_cache_enabled, METH_O, "Whether casts of weights are kept."},
    {0},
};

int
mtpy_add_autocast(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
