/* Tensors from Python data: torch.tensor, the Tensor constructor. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "python/tensor.h"

/* Sizes of nested sequences; -1 with an exception where they are ragged. */
static int
measure(PyObject *data, int64_t *sizes, int *ndim)
{
    *ndim = 0;
    while (PyList_Check(data) || PyTuple_Check(data)) {
        if (*ndim == MT_MAX_DIMS) {
            PyErr_Format(PyExc_ValueError, "too many dimensions '%s'", Py_TYPE(data)->tp_name);
            return -1;
        }
        Py_ssize_t n = PySequence_Fast_GET_SIZE(data);
        sizes[(*ndim)++] = n;
        if (n == 0)
            break;
        data = PySequence_Fast_GET_ITEM(data, 0);
    }
    return 0;
}

static int
infer(PyObject *data, int *rank)
{
    if (PyList_Check(data) || PyTuple_Check(data)) {
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(data); i++)
            if (infer(PySequence_Fast_GET_ITEM(data, i), rank) < 0)
                return -1;
        return 0;
    }
    int r = PyBool_Check(data) ? 1 : PyLong_Check(data) ? 2 : PyFloat_Check(data) ? 3
            : PyComplex_Check(data) ? 4 : 0;
    if (!r) {
        PyErr_Format(PyExc_RuntimeError, "Could not infer dtype of %s", Py_TYPE(data)->tp_name);
        return -1;
    }
    *rank = MT_MAX(*rank, r);
    return 0;
}

static int
store(PyObject *data, mt_tensor *t, int dim, char *p, int64_t *sizes)
{
    if (dim < t->ndim) {
        if (!(PyList_Check(data) || PyTuple_Check(data)) ||
            PySequence_Fast_GET_SIZE(data) != sizes[dim]) {
            if (!(PyList_Check(data) || PyTuple_Check(data)))
                PyErr_Format(PyExc_TypeError, "not a sequence");
            else
                PyErr_Format(PyExc_ValueError,
                             "expected sequence of length %lld at dim %d (got %zd)",
                             (long long)sizes[dim], dim, PySequence_Fast_GET_SIZE(data));
            return -1;
        }
        for (int64_t i = 0; i < sizes[dim]; i++)
            if (store(PySequence_Fast_GET_ITEM(data, i), t, dim + 1,
                      p + i * t->strides[dim] * mt_itemsize(t), sizes) < 0)
                return -1;
        return 0;
    }
    double room[2];
    mt_scalar s;
    int ok = mtpy_as_scalar(data, &s, room);
    if (ok <= 0) {
        if (ok == 0)
            PyErr_Format(PyExc_TypeError, "new(): data must be a number, not %s",
                         Py_TYPE(data)->tp_name);
        return -1;
    }
    mt_tensor *one = mt_scalar_to_tensor(s, (mt_dtype)t->dtype);
    if (!one)
        return mtpy_raise_int();
    memcpy(p, mt_data(one), (size_t)mt_itemsize(t));
    mt_release(one);
    return 0;
}

PyObject *
mtpy_tensor_from_data(PyObject *data, mt_dtype dtype, mt_device device, bool copy,
                      bool requires_grad)
{
    (void)copy;
    int64_t sizes[MT_MAX_DIMS];
    int ndim, rank = 0;
    if (measure(data, sizes, &ndim) < 0)
        return NULL;
    if (dtype == MT_DTYPE_NONE) {
        if (infer(data, &rank) < 0)
            return NULL;
        dtype = rank == 1   ? MT_BOOL
                : rank == 2 ? MT_INT64
                : rank == 4 ? mt_default_complex_dtype()
                            : mt_default_dtype;
    }
    (void)device;
    mt_tensor *t = mt_empty(ndim, sizes, NULL, dtype, MT_CPU_DEVICE);
    if (!t)
        return mtpy_raise();
    if (store(data, t, 0, mt_data(t), sizes) < 0) {
        Py_DECREF(t);
        return NULL;
    }
    if (requires_grad && mtpy_set_requires_grad(t, true) < 0) {
        Py_DECREF(t);
        return NULL;
    }
    return (PyObject *)t;
}

PyObject *
mtpy_tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    int64_t zero = 0;
    mt_tensor *t = mt_empty(1, &zero, NULL, mt_default_dtype, MT_CPU_DEVICE);
    if (!t)
        return mtpy_raise();
    if (type == mtpy_tensor_type)
        return (PyObject *)t;
    PyObject *r = mtpy_make_subclass(type, t, false);
    Py_DECREF(t);
    return r;
}

static PyObject *
tensor(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"data", "dtype", "device", "requires_grad", "pin_memory", NULL};
    PyObject *data, *dtype = Py_None, *device = Py_None;
    int requires_grad = 0, pin = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOpp:tensor", names, &data, &dtype, &device,
                                     &requires_grad, &pin))
        return NULL;
    mt_dtype d = MT_DTYPE_NONE;
    if (dtype != Py_None && mtpy_as_dtype(dtype, &d) != 1)
        return PyErr_Format(PyExc_TypeError,
                            "tensor(): argument 'dtype' must be torch.dtype, not %s",
                            Py_TYPE(dtype)->tp_name);
    mt_device where = MT_CPU_DEVICE;
    if (device != Py_None && mtpy_as_device(device, &where) < 0)
        return NULL;
    return mtpy_tensor_from_data(data, d, where, true, requires_grad);
}

static PyMethodDef functions[] = {
    {"tensor", (PyCFunction)(void (*)(void))tensor, METH_VARARGS | METH_KEYWORDS,
     "tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)"},
    {0},
};

int
mtpy_add_data(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
