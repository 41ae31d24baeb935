/* NumPy arrays in and out, without copies and without NumPy's headers.
 *
 * An array comes in through the buffer protocol, which says address, strides and format; the tensor's
 * storage keeps the array. A tensor goes out as numpy.ndarray(shape, dtype, buffer, 0, strides),
 * where `buffer` is a small object that exports the tensor's bytes and keeps the tensor. NumPy is
 * imported when the first array is made. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/data.h"
#include "python/overrides.h"
#include "python/tensor.h"

void
mtpy_release_owner(mt_storage *storage)
{
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF((PyObject *)storage->owner);
    PyGILState_Release(state);
}

PyObject *
mtpy_raise_numpy_type(PyObject *array)
{
    PyObject *d = PyObject_GetAttrString(array, "dtype");
    PyObject *type = d ? PyObject_GetAttrString(d, "type") : NULL;
    PyObject *name = type ? PyObject_GetAttrString(type, "__name__") : NULL;
    if (name)
        PyErr_Format(PyExc_TypeError,
                     "can't convert np.ndarray of type numpy.%U. The only supported types are: float64, "
                     "float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, "
                     "uint32, uint16, uint8, and bool.",
                     name);
    Py_XDECREF(name);
    Py_XDECREF(type);
    Py_XDECREF(d);
    return NULL;
}

/* struct's format of one element as dtype; MT_DTYPE_NONE where there is none. */
static mt_dtype
dtype_of_format(const char *f, Py_ssize_t size)
{
    if (!f)
        return MT_UINT8;
    if (*f == '@' || *f == '=' || *f == '<')
        f++;
    if (f[0] == 'Z' && f[1] && !f[2])
        return f[1] == 'f' ? MT_COMPLEX64 : f[1] == 'd' ? MT_COMPLEX128 : MT_DTYPE_NONE;
    if (f[0] == 0 || f[1] != 0)
        return MT_DTYPE_NONE;
    switch (*f) {
    case '?': return MT_BOOL;
    case 'b': return MT_INT8;
    case 'B': return MT_UINT8;
    case 'e': return MT_FLOAT16;
    case 'f': return MT_FLOAT32;
    case 'd': return MT_FLOAT64;
    case 'h': case 'i': case 'l': case 'q':
        return size == 2 ? MT_INT16 : size == 4 ? MT_INT32 : MT_INT64;
    case 'H': case 'I': case 'L': case 'Q':
        return size == 2 ? MT_UINT16 : size == 4 ? MT_UINT32 : MT_UINT64;
    default: return MT_DTYPE_NONE;
    }
}

static int
check_byte_order(PyObject *array)
{
    PyObject *d = PyObject_GetAttrString(array, "dtype");
    PyObject *native = d ? PyObject_GetAttrString(d, "isnative") : NULL;
    int rc = native ? PyObject_IsTrue(native) : -1;
    Py_XDECREF(native);
    Py_XDECREF(d);
    if (rc == 0)
        PyErr_SetString(PyExc_ValueError,
                        "given numpy array has byte order different from the native byte order. "
                        "Conversion between byte orders is currently not supported.");
    return rc == 1 ? 0 : -1;
}

PyObject *
mtpy_from_numpy(PyObject *array, bool warn)
{
    static bool warned;
    Py_buffer view;
    if (!mtpy_is_array(array) && !PyObject_HasAttrString(array, "__array_interface__"))
        return PyErr_Format(PyExc_TypeError, "expected np.ndarray (got %s)", Py_TYPE(array)->tp_name);
    if (PyObject_GetBuffer(array, &view, PyBUF_RECORDS_RO) < 0) {
        PyErr_Clear();
        return mtpy_raise_numpy_type(array);
    }
    mt_tensor *t = NULL;
    mt_storage *storage = NULL;
    int64_t strides[MT_MAX_DIMS], sizes[MT_MAX_DIMS], bytes = view.itemsize;
    mt_dtype dtype = dtype_of_format(view.format, view.itemsize);
    if (dtype == MT_DTYPE_NONE) {
        if (check_byte_order(array) == 0)
            mtpy_raise_numpy_type(array);
        goto done;
    }
    if (view.readonly && warn &&
        mt_warn_once(&warned,
                     "The given NumPy array is not writable, and PyTorch does not support "
                     "non-writable tensors. This means writing to this tensor will result in "
                     "undefined behavior. You may want to copy the array to protect its data or make "
                     "it writable before converting it to a tensor. This type of warning will be "
                     "suppressed for the rest of this program.") < 0) {
        mtpy_raise();
        goto done;
    }
    for (int d = 0; d < view.ndim; d++) {
        sizes[d] = view.shape[d];
        if (view.strides[d] < 0) {
            PyErr_SetString(PyExc_ValueError,
                            "At least one stride in the given numpy array is negative, and tensors "
                            "with negative strides are not currently supported. (You can probably "
                            "work around this by making a copy of your array  with array.copy().) ");
            goto done;
        }
        if (view.strides[d] % view.itemsize) {
            PyErr_SetString(PyExc_ValueError,
                            "given numpy array strides not a multiple of the element byte size. Copy "
                            "the numpy array to reallocate the memory.");
            goto done;
        }
        strides[d] = view.strides[d] / view.itemsize;
        if (sizes[d] == 0)
            bytes = 0;
        else if (bytes)
            bytes += (sizes[d] - 1) * view.strides[d];
    }
    if (!(storage = mt_storage_borrow(view.buf, (size_t)bytes, mtpy_release_owner, array)))
        goto failed;
    Py_INCREF(array);
    t = mt_tensor_on(storage, dtype, 0, view.ndim, sizes, strides,
                     mt_device_keys(MT_CPU_DEVICE, mt_this_thread()->inference_mode), MT_CPU_DEVICE);
    mt_storage_unref(storage);
failed:
    if (!t)
        mtpy_raise();
done:
    PyBuffer_Release(&view);
    return (PyObject *)t;
}

static PyObject *
from_numpy(PyObject *module, PyObject *array)
{
    (void)module;
    if (!mtpy_is_array(array) && !PyObject_HasAttrString(array, "__array_interface__"))
        return PyErr_Format(PyExc_TypeError, "expected np.ndarray (got %s)", Py_TYPE(array)->tp_name);
    return mtpy_from_numpy(array, true);
}

/* ---- out ---------------------------------------------------------------------------------- */

typedef struct exporter {
    PyObject_HEAD
    mt_tensor *tensor;
    int64_t bytes;
} exporter;

static int
export_bytes(PyObject *self, Py_buffer *view, int flags)
{
    exporter *e = (exporter *)self;
    return PyBuffer_FillInfo(view, self, mt_data(e->tensor), (Py_ssize_t)e->bytes, 0, flags);
}

static void
exporter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF((PyObject *)((exporter *)self)->tensor);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot exporter_slots[] = {
    {Py_tp_dealloc, exporter_dealloc},
    {Py_bf_getbuffer, export_bytes},
    {0, NULL},
};
static PyType_Spec exporter_spec = {"torch._C._TensorMemory", sizeof(exporter), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                    exporter_slots};
static PyTypeObject *exporter_type;
static PyObject *ndarray_type, *numpy_dtypes[MT_NUM_DTYPES];

static int
load_numpy(void)
{
    if (ndarray_type)
        return 0;
    PyObject *numpy = PyImport_ImportModule("numpy");
    if (!numpy) {
        PyErr_Clear();
        PyErr_SetString(PyExc_RuntimeError, "Numpy is not available");
        return -1;
    }
    PyObject *type = PyObject_GetAttrString(numpy, "ndarray"), *dtype = PyObject_GetAttrString(numpy, "dtype");
    for (int i = 0; dtype && i < MT_NUM_DTYPES; i++)
        if (i != MT_BFLOAT16 && !(numpy_dtypes[i] = PyObject_CallFunction(dtype, "s", mt_dtypes[i].name)))
            Py_CLEAR(dtype);
    Py_XDECREF(dtype);
    Py_DECREF(numpy);
    if (!dtype) {
        Py_XDECREF(type);
        return -1;
    }
    ndarray_type = type;
    return type ? 0 : -1;
}

static PyObject *
array_of(mt_tensor *t)
{
    if (t->dtype == MT_BFLOAT16)
        return PyErr_Format(PyExc_TypeError, "Got unsupported ScalarType BFloat16");
    if (load_numpy() < 0)
        return NULL;
    PyObject *shape = PyTuple_New(t->ndim), *strides = PyTuple_New(t->ndim), *r = NULL;
    exporter *e = NULL;
    int64_t bytes = mt_itemsize(t);
    for (int d = 0; shape && strides && d < t->ndim; d++) {
        PyObject *a = PyLong_FromLongLong(t->sizes[d]),
                 *b = PyLong_FromLongLong(t->strides[d] * mt_itemsize(t));
        if (!a || !b) {
            Py_XDECREF(a);
            Py_XDECREF(b);
            goto done;
        }
        PyTuple_SET_ITEM(shape, d, a);
        PyTuple_SET_ITEM(strides, d, b);
        bytes += (t->sizes[d] - 1) * t->strides[d] * mt_itemsize(t);
    }
    if (!shape || !strides)
        goto done;
    if (t->numel == 0) {
        r = PyObject_CallFunctionObjArgs(ndarray_type, shape, numpy_dtypes[t->dtype], NULL);
        goto done;
    }
    if (!(e = (exporter *)exporter_type->tp_alloc(exporter_type, 0)))
        goto done;
    e->tensor = mt_keep(t);
    e->bytes = bytes;
    PyObject *zero = PyLong_FromLong(0);
    r = PyObject_CallFunctionObjArgs(ndarray_type, shape, numpy_dtypes[t->dtype], (PyObject *)e, zero,
                                     strides, NULL);
    Py_XDECREF(zero);
done:
    Py_XDECREF((PyObject *)e);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    return r;
}

static PyObject *
m_numpy(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "numpy", args, kwargs);
    static char *names[] = {"force", NULL};
    int force = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:numpy", names, &force))
        return NULL;
    mt_tensor *t = (mt_tensor *)self;
    mt_node *fn;
    if (t->keys & MT_KEY_BIT(Python))
        return PyErr_Format(PyExc_RuntimeError, ".numpy() is not supported for tensor subclasses.");
    if (mtpy_refuse_batched(t) < 0)
        return NULL;
    if (mt_grad_fn(t, &fn) < 0)
        return mtpy_raise();
    if (mt_is_meta(t))
        return PyErr_Format(PyExc_TypeError,
                            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy "
                            "the tensor to host memory first.");
    if (!force) {
        if (mt_this_thread()->grad_mode && mt_requires_grad(t))
            return PyErr_Format(PyExc_RuntimeError,
                                "Can't call numpy() on Tensor that requires grad. Use "
                                "tensor.detach().numpy() instead.");
        if (mt_is_conj(t))
            return PyErr_Format(PyExc_RuntimeError,
                                "Can't call numpy() on Tensor that has conjugate bit set. Use "
                                "tensor.resolve_conj().numpy() instead.");
        if (mt_is_neg(t))
            return PyErr_Format(PyExc_RuntimeError,
                                "Can't call numpy() on Tensor that has negative bit set. Use "
                                "tensor.resolve_neg().numpy() instead.");
        return array_of(t);
    }
    mt_tensor *plain = aten_detach(t);
    if (plain && (mt_is_conj(plain) || mt_is_neg(plain))) {
        mt_tensor *copy = aten_clone(plain, MT_FORMAT_NONE);
        mt_release(plain);
        plain = copy;
    }
    if (!plain)
        return mtpy_raise();
    PyObject *r = array_of(plain);
    mt_release(plain);
    return r;
}

/* ---- buffers ------------------------------------------------------------------------------ */

static PyObject *
frombuffer(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    static char *names[] = {"buffer", "dtype", "count", "offset", "requires_grad", NULL};
    PyObject *buffer, *type = NULL;
    long long count = -1, offset = 0;
    int grad = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OLLp:frombuffer", names, &buffer, &type, &count,
                                     &offset, &grad))
        return NULL;
    if (!type)
        return PyErr_Format(PyExc_TypeError,
                            "frombuffer() missing 1 required positional arguments: \"dtype\"");
    mt_dtype dtype;
    if (mtpy_as_dtype(type, &dtype) != 1)
        return PyErr_Format(PyExc_TypeError,
                            "frombuffer(): argument 'dtype' must be torch.dtype, not %s",
                            Py_TYPE(type)->tp_name);
    long long size = (long long)mt_dtype_size(dtype);
    if (!PyObject_CheckBuffer(buffer))
        return PyErr_Format(PyExc_ValueError, "object does not implement Python buffer protocol.");
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    long long length = view.len;
    void *data = view.buf;
    bool readonly = view.readonly;
    PyBuffer_Release(&view);
    if (length == 0 || count == 0)
        return PyErr_Format(PyExc_ValueError, "both buffer length (%lld) and count (%lld) must not be 0",
                            length, count);
    if (offset < 0 || offset >= length)
        return PyErr_Format(PyExc_ValueError,
                            "offset (%lld bytes) must be non-negative and no greater than buffer "
                            "length (%lld bytes) minus 1",
                            offset, length);
    if (count < 0 && (length - offset) % size)
        return PyErr_Format(PyExc_ValueError,
                            "buffer length (%lld bytes) after offset (%lld bytes) must be a multiple "
                            "of element size (%lld)",
                            length - offset, offset, size);
    if (count < 0)
        count = (length - offset) / size;
    if (count > (length - offset) / size)
        return PyErr_Format(PyExc_ValueError,
                            "requested buffer length (%lld * %lld bytes) after offset (%lld bytes) "
                            "must not be greater than actual buffer length (%lld bytes)",
                            count, size, offset, length);
    static bool warned;
    if (readonly &&
        mt_warn_once(&warned,
                     "The given buffer is not writable, and PyTorch does not support non-writable "
                     "tensors. This means you can write to the underlying (supposedly non-writable) "
                     "buffer using the tensor. You may want to copy the buffer to protect its data or "
                     "make it writable before converting it to a tensor. This type of warning will be "
                     "suppressed for the rest of this program.") < 0)
        return mtpy_raise();
    mt_storage *storage = mt_storage_borrow((char *)data + offset, (size_t)(count * size),
                                            mtpy_release_owner, buffer);
    if (!storage)
        return mtpy_raise();
    Py_INCREF(buffer);
    int64_t n = count, one = 1;
    mt_tensor *t = mt_tensor_on(storage, dtype, 0, 1, &n, &one, mt_device_keys(MT_CPU_DEVICE, false),
                                MT_CPU_DEVICE);
    mt_storage_unref(storage);
    if (!t)
        return mtpy_raise();
    if (grad && mtpy_set_requires_grad(t, true) < 0)
        Py_CLEAR(t);
    return (PyObject *)t;
}

static PyMethodDef functions[] = {
    {"from_numpy", from_numpy, METH_O,
     "from_numpy(ndarray)\n\nA tensor on the memory of a NumPy array."},
    {"frombuffer", (PyCFunction)(void (*)(void))frombuffer, METH_VARARGS | METH_KEYWORDS,
     "frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False)\n\n"
     "A 1-D tensor on the memory of an object with the buffer protocol."},
    {0},
};

static PyMethodDef methods[] = {
    {"numpy", (PyCFunction)(void (*)(void))m_numpy, METH_VARARGS | METH_KEYWORDS,
     "numpy(*, force=False)\n\nA NumPy array on the tensor's memory."},
    {0},
};

int
mtpy_add_numpy(PyObject *module)
{
    exporter_type = (PyTypeObject *)PyType_FromSpec(&exporter_spec);
    if (!exporter_type || PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return mtpy_add_methods(mtpy_tensor_base, methods);
}
