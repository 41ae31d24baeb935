/* Variant "wrapper": the core has a count of its own, Python sees it through a wrapper that is made
 * when needed and found again while it lives. When Python's last reference goes, the wrapper goes,
 * with its attributes and its subclass, even if C still holds the tensor. */
#include "counted.h"

static void
tensor_gone(tensor *t)
{
    (void)t;
}

static PyObject *
tensor_give(tensor *t)
{
    if (!t->object)
        return wrap(tensor_type, t);
    Py_INCREF(t->object);
    tensor_drop(t);
    return t->object;
}

static void
tensor_dealloc(PyObject *self)
{
    tensor_wrapper *w = (tensor_wrapper *)self;
    if (Py_TYPE(self)->tp_finalize && Py_TYPE(self) == tensor_type &&
        PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (w->weaklist)
        PyObject_ClearWeakRefs(self);
    tensor *core = w->core;
    if (core) {
        core->object = NULL;
        tensor_drop(core);
    }
    wrapper_free(self);
}

#define MODULE_NAME "wrapper"
#define MODULE_INIT PyInit_wrapper
#include "module.h"
