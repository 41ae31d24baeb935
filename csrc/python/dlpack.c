/* DLPack: tensors as capsules, both ways and without copies (the unversioned form,
 * github.com/dmlc/dlpack, dlpack.h 0.8). */
#include <stdlib.h>

#include "base/error.h"
#include "python/data.h"
#include "python/overrides.h"
#include "python/tensor.h"

typedef struct dl_device { int32_t type, id; } dl_device;
typedef struct dl_dtype { uint8_t code, bits; uint16_t lanes; } dl_dtype;
enum { DL_INT, DL_UINT, DL_FLOAT, DL_HANDLE, DL_BFLOAT, DL_COMPLEX, DL_BOOL };
typedef struct dl_tensor {
    void *data;
    dl_device device;
    int32_t ndim;
    dl_dtype dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;
typedef struct dl_managed {
    dl_tensor tensor;
    void *context;
    void (*deleter)(struct dl_managed *);
} dl_managed;

/* ---- out ---------------------------------------------------------------------------------- */

static void
delete_export(dl_managed *m)
{
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF((PyObject *)m->context);
    PyGILState_Release(state);
    free(m);
}

static void
capsule_gone(PyObject *capsule)
{
    if (!PyCapsule_IsValid(capsule, "dltensor"))
        return; /* somebody took it over */
    dl_managed *m = PyCapsule_GetPointer(capsule, "dltensor");
    if (m->deleter)
        m->deleter(m);
}

static PyObject *
to_capsule(mt_tensor *t)
{
    dl_managed *m = malloc(sizeof *m + 2 * (size_t)t->ndim * sizeof(int64_t));
    if (!m)
        return PyErr_NoMemory();
    int64_t *dims = (int64_t *)(m + 1);
    memcpy(dims, t->sizes, t->ndim * sizeof *dims);
    memcpy(dims + t->ndim, t->strides, t->ndim * sizeof *dims);
    for (int d = 0; d < t->ndim; d++)
        if (t->sizes[d] < 2) /* strides that say nothing are 1 */
            dims[t->ndim + d] = 1;
    mt_dtype d = (mt_dtype)t->dtype;
    uint8_t code = d == MT_BOOL                 ? DL_BOOL
                   : d == MT_BFLOAT16           ? DL_BFLOAT
                   : mt_is_floating(d)          ? DL_FLOAT
                   : mt_is_complex(d)           ? DL_COMPLEX
                   : mt_dtypes[d].is_signed     ? DL_INT
                                                : DL_UINT;
    m->tensor = (dl_tensor){.data = mt_data(t), .device = {1, 0}, .ndim = t->ndim,
                            .dtype = {code, (uint8_t)(8 * mt_itemsize(t)), 1}, .shape = dims,
                            .strides = dims + t->ndim};
    m->context = mt_keep(t);
    m->deleter = delete_export;
    PyObject *capsule = PyCapsule_New(m, "dltensor", capsule_gone);
    if (!capsule)
        delete_export(m);
    return capsule;
}

static PyObject *
to_dlpack(PyObject *module, PyObject *o)
{
    (void)module;
    if (!mtpy_is_tensor(o))
        return PyErr_Format(PyExc_TypeError, "_to_dlpack(): argument 'tensor' must be Tensor, not %s",
                            Py_TYPE(o)->tp_name);
    mt_tensor *t = (mt_tensor *)o;
    if (mt_is_meta(t))
        return PyErr_Format(PyExc_BufferError, "Cannot pack tensors on meta");
    return to_capsule(t);
}

static PyObject *
m_dlpack(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "__dlpack__", args, kwargs);
    static char *names[] = {"stream", "max_version", "dl_device", "copy", NULL};
    PyObject *stream = Py_None, *version = Py_None, *device = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", names, &stream, &version,
                                     &device, &copy))
        return NULL;
    mt_tensor *t = (mt_tensor *)self;
    mt_node *fn;
    if (mt_grad_fn(t, &fn) < 0)
        return mtpy_raise();
    if (mt_requires_grad(t))
        return PyErr_Format(PyExc_BufferError,
                            "Can't export tensors that require gradient, use tensor.detach()");
    if (mt_is_conj(t))
        return PyErr_Format(PyExc_BufferError, "Can't export tensors with the conjugate bit set");
    if (mt_is_meta(t))
        return PyErr_Format(PyExc_BufferError, "Cannot pack tensors on meta");
    if (copy == Py_True) {
        PyObject *made = PyObject_CallMethod(self, "clone", NULL);
        PyObject *r = made ? to_capsule((mt_tensor *)made) : NULL;
        Py_XDECREF(made);
        return r;
    }
    return to_capsule(t);
}

/* ---- in ----------------------------------------------------------------------------------- */

static void
release_import(mt_storage *storage)
{
    dl_managed *m = storage->owner;
    if (m->deleter)
        m->deleter(m);
}

static mt_dtype
dtype_of(dl_dtype d)
{
    static const struct { uint8_t code, bits; mt_dtype dtype; } known[] = {
        {DL_INT, 8, MT_INT8},        {DL_INT, 16, MT_INT16},      {DL_INT, 32, MT_INT32},
        {DL_INT, 64, MT_INT64},      {DL_UINT, 8, MT_UINT8},      {DL_UINT, 16, MT_UINT16},
        {DL_UINT, 32, MT_UINT32},    {DL_UINT, 64, MT_UINT64},    {DL_FLOAT, 16, MT_FLOAT16},
        {DL_FLOAT, 32, MT_FLOAT32},  {DL_FLOAT, 64, MT_FLOAT64},  {DL_BFLOAT, 16, MT_BFLOAT16},
        {DL_COMPLEX, 64, MT_COMPLEX64}, {DL_COMPLEX, 128, MT_COMPLEX128}, {DL_BOOL, 8, MT_BOOL}};
    for (size_t i = 0; d.lanes == 1 && i < MT_COUNT(known); i++)
        if (known[i].code == d.code && known[i].bits == d.bits)
            return known[i].dtype;
    return MT_DTYPE_NONE;
}

static PyObject *
from_capsule(PyObject *module, PyObject *capsule)
{
    (void)module;
    dl_managed *m = PyCapsule_GetPointer(capsule, "dltensor");
    if (!m) {
        PyErr_Clear();
        return PyErr_Format(PyExc_RuntimeError,
                            "from_dlpack received an invalid capsule. Note that DLTensor capsules can "
                            "be consumed only once, so you might have already constructed a tensor "
                            "from it once.");
    }
    dl_tensor *in = &m->tensor;
    mt_dtype dtype = dtype_of(in->dtype);
    if (in->device.type != 1)
        return PyErr_Format(PyExc_BufferError, "Unsupported device_type: %d", (int)in->device.type);
    if (dtype == MT_DTYPE_NONE)
        return PyErr_Format(PyExc_BufferError, "Unsupported dtype: code %d, %d bits, %d lanes",
                            in->dtype.code, in->dtype.bits, in->dtype.lanes);
    if (in->ndim < 0 || in->ndim > MT_MAX_DIMS)
        return PyErr_Format(PyExc_BufferError, "from_dlpack: at most %d dimensions, got %d",
                            MT_MAX_DIMS, in->ndim);
    int64_t item = (int64_t)mt_dtype_size(dtype), bytes = item, strides[MT_MAX_DIMS];
    if (in->strides)
        memcpy(strides, in->strides, (size_t)in->ndim * sizeof *strides);
    else
        mt_contiguous_strides(in->ndim, in->shape, strides);
    for (int d = 0; d < in->ndim; d++) {
        if (strides[d] < 0 && in->shape[d] > 1)
            return PyErr_Format(PyExc_BufferError, "from_dlpack: negative strides are not supported");
        if (in->shape[d] == 0)
            bytes = 0;
        else if (bytes)
            bytes += (in->shape[d] - 1) * strides[d] * item;
    }
    mt_storage *storage = mt_storage_borrow((char *)in->data + in->byte_offset, (size_t)bytes,
                                            release_import, m);
    if (!storage)
        return mtpy_raise();
    PyCapsule_SetName(capsule, "used_dltensor");
    mt_tensor *t = mt_tensor_on(storage, dtype, 0, in->ndim, in->shape, strides,
                                mt_device_keys(MT_CPU_DEVICE, false), MT_CPU_DEVICE);
    mt_storage_unref(storage);
    return t ? (PyObject *)t : mtpy_raise();
}

static PyMethodDef functions[] = {
    {"_to_dlpack", to_dlpack, METH_O, "A tensor as DLPack capsule."},
    {"_from_dlpack", from_capsule, METH_O, "A tensor on the memory in a DLPack capsule."},
    {0},
};

static PyMethodDef methods[] = {
    {"__dlpack__", (PyCFunction)(void (*)(void))m_dlpack, METH_VARARGS | METH_KEYWORDS, NULL},
    {0},
};

int
mtpy_add_dlpack(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return mtpy_add_methods(mtpy_tensor_base, methods);
}
