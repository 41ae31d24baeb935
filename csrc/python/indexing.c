/* x[key] and x[key] = value. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/tensor.h"

PyObject *
mtpy_getitem(PyObject *self, PyObject *key)
{
    if (mtpy_is_int(key)) {
        Py_ssize_t i = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (i == -1 && PyErr_Occurred())
            return NULL;
        mt_tensor *r = aten_select_int((mt_tensor *)self, 0, i);
        return r ? (PyObject *)r : mtpy_raise();
    }
    return PyErr_Format(PyExc_NotImplementedError, "indexing with %s is not built",
                        Py_TYPE(key)->tp_name);
}

int
mtpy_setitem(PyObject *self, PyObject *key, PyObject *value)
{
    (void)self;
    (void)value;
    PyErr_Format(PyExc_NotImplementedError, "assignment by index with %s is not built",
                 Py_TYPE(key)->tp_name);
    return -1;
}

int
mtpy_add_indexing(PyObject *module)
{
    (void)module;
    return 0;
}
