/* Variant "preserved": as "wrapper", but a wrapper whose core has other owners does not die with
 * Python's last reference: its destructor revives it and hands it to the core to hold. Ownership
 * flips back when Python asks for the tensor again. Every class has to use this destructor, since
 * the interpreter's own would clear attributes and weak references first; the metaclass sees to it. */
#include "counted.h"

#define PRESERVES 1

static PyObject *
tensor_give(tensor *t)
{
    if (!t->object)
        return wrap(tensor_type, t);
    if (t->owns_object) {   /* the core's reference to the wrapper becomes the caller's, and */
        t->owns_object = 0; /* the caller's reference to the core becomes the wrapper's */
        return t->object;
    }
    Py_INCREF(t->object);
    tensor_drop(t);
    return t->object;
}

/* The last C owner left a core that holds its wrapper. */
static void
tensor_gone(tensor *t)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *object = t->object;
    ((tensor_wrapper *)object)->core = NULL;
    t->owns_object = 0;
    Py_DECREF(object);
    PyGILState_Release(state);
}

static int
revive(PyObject *self)
{
    tensor *core = ((tensor_wrapper *)self)->core;
    if (!core || is_unique(&core->refcount))
        return 0;
    set_count_to_one(self);
    core->owns_object = 1;
    __atomic_sub_fetch(&core->refcount, 1, __ATOMIC_ACQ_REL);
    return 1;
}

static void
clear_slots(PyObject *self)
{
    for (PyTypeObject *type = Py_TYPE(self); type && type != base_type; type = type->tp_base)
        for (PyMemberDef *m = type->tp_members; m && m->name; m++)
            if (m->type == T_OBJECT_EX && !(m->flags & READONLY))
                Py_CLEAR(*(PyObject **)((char *)self + m->offset));
}

static void
tensor_dealloc(PyObject *self)
{
    tensor_wrapper *w = (tensor_wrapper *)self;
    if (revive(self))
        return;
    if (Py_TYPE(self)->tp_finalize && PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (w->weaklist)
        PyObject_ClearWeakRefs(self);
    if (Py_TYPE(self) != tensor_type)
        clear_slots(self);
    if (w->core) {
        w->core->object = NULL;
        tensor_drop(w->core);
    }
    wrapper_free(self);
}

#define MODULE_NAME "preserved"
#define MODULE_INIT PyInit_preserved
#include "module.h"
