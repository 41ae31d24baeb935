/* Tensors from Python data: torch.tensor, as_tensor, the legacy constructors.
 *
 * Data are numbers, nested sequences of them, tensors or NumPy arrays. Sizes are read along the first
 * elements, the dtype is the promotion of all leaves, then every leaf is stored where it belongs;
 * what does not fit the sizes is found there. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"
#include "python/args.h"
#include "python/data.h"
#include "python/tensor.h"
#include "tensor/device.h"

static bool
from_numpy_package(PyObject *o)
{
    return !strncmp(Py_TYPE(o)->tp_name, "numpy.", 6);
}

bool
mtpy_is_array(PyObject *o)
{
    return !strcmp(Py_TYPE(o)->tp_name, "numpy.ndarray");
}

/* A NumPy scalar (no array). */
static bool
is_numpy_scalar(PyObject *o)
{
    return from_numpy_package(o) && !mtpy_is_array(o) && PyObject_HasAttrString(o, "dtype");
}

static bool
is_text(PyObject *o)
{
    return PyUnicode_Check(o) || PyBytes_Check(o);
}

static bool
is_sequence(PyObject *o)
{
    if (PyList_Check(o) || PyTuple_Check(o))
        return true;
    if (PyFloat_Check(o) || PyLong_Check(o) || is_text(o) || mtpy_is_tensor(o))
        return false;
    if (mtpy_is_array(o)) {
        Py_ssize_t n = PySequence_Size(o);
        if (n < 0)
            PyErr_Clear();
        return n >= 0; /* arrays without dimensions have no length */
    }
    return PySequence_Check(o);
}

/* ---- sizes and dtype ---------------------------------------------------------------------- */

static int
measure(PyObject *data, int64_t *sizes, int *ndim)
{
    *ndim = 0;
    Py_INCREF(data);
    while (is_sequence(data)) {
        if (*ndim == MT_MAX_DIMS) {
            PyErr_Format(PyExc_ValueError, "too many dimensions '%s'", Py_TYPE(data)->tp_name);
            goto fail;
        }
        Py_ssize_t n = PySequence_Size(data);
        if (n < 0)
            goto fail;
        sizes[(*ndim)++] = n;
        if (n == 0)
            break;
        PyObject *first = PySequence_GetItem(data, 0);
        if (!first)
            goto fail;
        Py_SETREF(data, first);
    }
    if (is_text(data) && *ndim) {
        PyErr_Format(PyExc_ValueError, "too many dimensions '%s'", Py_TYPE(data)->tp_name);
        goto fail;
    }
    Py_DECREF(data);
    return 0;
fail:
    Py_DECREF(data);
    return -1;
}

/* The dtype of an object with a NumPy dtype. */
static int
numpy_dtype_of(PyObject *o, mt_dtype *dtype)
{
    PyObject *d = PyObject_GetAttrString(o, "dtype");
    PyObject *name = d ? PyObject_GetAttrString(d, "name") : NULL;
    const char *text = name ? PyUnicode_AsUTF8(name) : NULL;
    int rc = -1;
    if (text) {
        for (int i = 0; i < MT_NUM_DTYPES && rc < 0; i++)
            if (!strcmp(text, mt_dtypes[i].name)) {
                *dtype = (mt_dtype)i;
                rc = 0;
            }
        if (rc < 0)
            mtpy_raise_numpy_type(o);
    }
    Py_XDECREF(name);
    Py_XDECREF(d);
    return rc;
}

static int
infer(PyObject *data, mt_dtype *dtype)
{
    mt_dtype own;
    if (PyFloat_CheckExact(data))
        own = mt_default_dtype;
    else if (PyBool_Check(data))
        own = MT_BOOL;
    else if (PyLong_CheckExact(data))
        own = MT_INT64;
    else if (PyComplex_CheckExact(data))
        own = mt_default_complex_dtype();
    else if (mtpy_is_tensor(data))
        own = (mt_dtype)((mt_tensor *)data)->dtype;
    else if (mtpy_is_array(data) || is_numpy_scalar(data)) {
        if (numpy_dtype_of(data, &own) < 0)
            return -1;
    } else if (is_text(data)) {
        PyErr_Format(PyExc_TypeError, "new(): invalid data type '%s'", Py_TYPE(data)->tp_name);
        return -1;
    } else if (PySequence_Check(data)) {
        PyObject *items = PySequence_Fast(data, "not a sequence");
        if (!items)
            return -1;
        Py_ssize_t n = PySequence_Fast_GET_SIZE(items);
        int rc = 0;
        if (n == 0 && *dtype == MT_DTYPE_NONE)
            *dtype = mt_default_dtype;
        for (Py_ssize_t i = 0; rc == 0 && i < n; i++) {
            PyObject *item = PySequence_Fast_GET_ITEM(items, i);
            if (item == data) {
                PyErr_SetString(PyExc_TypeError, "new(): self-referential lists are incompatible");
                rc = -1;
            } else if (!(*dtype == MT_COMPLEX128))
                rc = infer(item, dtype);
        }
        Py_DECREF(items);
        return rc;
    } else if (PyFloat_Check(data))
        own = mt_default_dtype;
    else if (PyLong_Check(data))
        own = MT_INT64;
    else if (PyComplex_Check(data))
        own = mt_default_complex_dtype();
    else {
        PyErr_Format(PyExc_RuntimeError, "Could not infer dtype of %s", Py_TYPE(data)->tp_name);
        return -1;
    }
    *dtype = *dtype == MT_DTYPE_NONE ? own : mt_promote(*dtype, own);
    if (*dtype == MT_DTYPE_NONE) {
        PyErr_SetString(PyExc_RuntimeError, "Promotion for uint16, uint32, uint64 types is not "
                                            "supported");
        return -1;
    }
    return 0;
}

/* ---- storing numbers ---------------------------------------------------------------------- */

static int
overflows(mt_dtype dtype)
{
    PyErr_Format(PyExc_RuntimeError, "value cannot be converted to type %s without overflow",
                 dtype == MT_INT64 ? "int64_t" : mt_dtypes[dtype].name);
    return -1;
}

/* Whole numbers; unsigned types take negative numbers that fit their width, as PyTorch does. */
static int
store_int(PyObject *o, mt_dtype dtype, char *p)
{
    static const int64_t most[] = {[MT_UINT8] = UINT8_MAX, [MT_INT8] = INT8_MAX,
                                   [MT_INT16] = INT16_MAX, [MT_INT32] = INT32_MAX,
                                   [MT_INT64] = INT64_MAX};
    int64_t v;
    if (PyFloat_Check(o)) {
        double d = PyFloat_AS_DOUBLE(o);
        if (!(d >= -0x1p63 && d < 0x1p63))
            return overflows(dtype);
        v = (int64_t)d;
    } else if (PyComplex_Check(o)) {
        PyErr_SetString(PyExc_TypeError, "must be real number, not complex");
        return -1;
    } else {
        PyObject *n = PyNumber_Index(o);
        if (!n)
            return -1;
        int over;
        v = PyLong_AsLongLongAndOverflow(n, &over);
        if (over > 0 && dtype == MT_UINT64) {
            uint64_t u = PyLong_AsUnsignedLongLong(n);
            Py_DECREF(n);
            if (PyErr_Occurred())
                return -1;
            memcpy(p, &u, sizeof u);
            return 0;
        }
        Py_DECREF(n);
        if (over) {
            PyErr_SetString(PyExc_ValueError, "Overflow when unpacking long long");
            return -1;
        }
    }
    if (dtype == MT_UINT16 || dtype == MT_UINT32) {
        int64_t top = dtype == MT_UINT16 ? UINT16_MAX : UINT32_MAX;
        if (v > top || v < -top)
            return overflows(dtype);
    } else if (dtype != MT_UINT64 && dtype != MT_INT64) {
        int64_t low = dtype == MT_UINT8 ? -UINT8_MAX : -most[dtype] - 1;
        if (v > most[dtype] || v < low)
            return overflows(dtype);
    }
    memcpy(p, &v, mt_dtype_size(dtype)); /* little-endian: the low bytes come first */
    return 0;
}

static int
store_leaf(PyObject *o, mt_dtype dtype, char *p)
{
    if (MT_UNLIKELY(!PyFloat_CheckExact(o) && !PyLong_CheckExact(o))) {
        if (mtpy_is_tensor(o)) {
            mt_tensor *t = (mt_tensor *)o;
            if (t->numel != 1) {
                PyErr_SetString(PyExc_ValueError,
                                "only one element tensors can be converted to Python scalars");
                return -1;
            }
            static bool warned;
            if (mt_requires_grad(t) &&
                mt_warn_once(&warned, "Converting a tensor with requires_grad=True to a scalar may "
                                      "lead to unexpected behavior.\nConsider using tensor.detach() "
                                      "first.") < 0)
                return mtpy_raise_int();
        }
        if (mtpy_is_tensor(o) || is_numpy_scalar(o) || mtpy_is_array(o)) {
            PyObject *number = PyObject_CallMethod(o, "item", NULL);
            if (!number)
                return -1;
            int rc = store_leaf(number, dtype, p);
            Py_DECREF(number);
            return rc;
        }
        if (is_text(o)) {
            PyErr_Format(PyExc_ValueError, "too many dimensions '%s'", Py_TYPE(o)->tp_name);
            return -1;
        }
    }
    if (dtype == MT_BOOL) {
        int b = PyObject_IsTrue(o);
        if (b < 0)
            return -1;
        *(uint8_t *)p = (uint8_t)b;
        return 0;
    }
    if (dtype < MT_FLOAT16)
        return store_int(o, dtype, p);
    if (mt_is_complex(dtype)) {
        Py_complex c = PyComplex_AsCComplex(o);
        if (c.real == -1.0 && PyErr_Occurred())
            return -1;
        if (dtype == MT_COMPLEX64) {
            float pair[2] = {(float)c.real, (float)c.imag};
            memcpy(p, pair, sizeof pair);
        } else
            memcpy(p, &c, sizeof c);
        return 0;
    }
    double d;
    if (PyFloat_Check(o))
        d = PyFloat_AS_DOUBLE(o);
    else {
        d = PyFloat_AsDouble(o);
        if (d == -1.0 && PyErr_Occurred())
            return -1;
    }
    switch (dtype) {
    case MT_FLOAT32: *(float *)p = (float)d; break;
    case MT_FLOAT64: *(double *)p = d; break;
    case MT_FLOAT16: *(mt_half *)p = mt_float_to_half((float)d); break;
    default: *(mt_bfloat16 *)p = mt_float_to_bfloat16((float)d); break;
    }
    return 0;
}

static int
store(PyObject *data, const mt_tensor *t, int dim, char *p)
{
    if (dim == t->ndim)
        return store_leaf(data, (mt_dtype)t->dtype, p);
    int64_t n = t->sizes[dim], step = t->strides[dim] * mt_itemsize(t);
    PyObject *items = is_sequence(data) ? PySequence_Fast(data, "not a sequence") : NULL;
    if (!items) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "not a sequence");
        return -1;
    }
    int rc = 0;
    if (PySequence_Fast_GET_SIZE(items) != n) {
        PyErr_Format(PyExc_ValueError, "expected sequence of length %lld at dim %d (got %zd)",
                     (long long)n, dim, PySequence_Fast_GET_SIZE(items));
        rc = -1;
    }
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        if (i >= PySequence_Fast_GET_SIZE(items)) { /* a list that changed under way */
            PyErr_SetString(PyExc_RuntimeError, "sequence changed size during conversion");
            rc = -1;
            break;
        }
        rc = store(PySequence_Fast_GET_ITEM(items, i), t, dim + 1, p + i * step);
    }
    Py_DECREF(items);
    return rc;
}

/* ---- whole tensors ------------------------------------------------------------------------ */

/* Consumes `t`. */
static mt_tensor *
moved(mt_tensor *t, mt_dtype dtype, mt_device device, bool copy)
{
    bool here = device.type < 0 || device.type == t->device.type;
    if (here && !copy && (dtype == MT_DTYPE_NONE || dtype == t->dtype))
        return t;
    mt_tensor *r = aten__to_copy(t, dtype, -1, device, mt_v_none(), false, MT_FORMAT_NONE);
    mt_release(t);
    if (!r)
        mtpy_raise();
    return r;
}

static mt_tensor *
from_sequence(PyObject *data, mt_dtype dtype)
{
    int64_t sizes[MT_MAX_DIMS];
    int ndim;
    if (is_text(data)) {
        PyErr_Format(PyExc_TypeError, "new(): invalid data type '%s'", Py_TYPE(data)->tp_name);
        return NULL;
    }
    if (measure(data, sizes, &ndim) < 0)
        return NULL;
    if (dtype == MT_DTYPE_NONE && infer(data, &dtype) < 0)
        return NULL;
    if (PyList_Check(data) && PyList_GET_SIZE(data) && mtpy_is_array(PyList_GET_ITEM(data, 0))) {
        static bool warned;
        if (mt_warn_once(&warned,
                         "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please "
                         "consider converting the list to a single numpy.ndarray with numpy.array() "
                         "before converting to a tensor.") < 0) {
            mtpy_raise();
            return NULL;
        }
    }
    mt_tensor *t = mt_empty(ndim, sizes, NULL, dtype, MT_CPU_DEVICE);
    if (!t) {
        mtpy_raise();
        return NULL;
    }
    if (t->numel && store(data, t, 0, mt_data(t)) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

PyObject *
mtpy_tensor_from_data(PyObject *data, mt_dtype dtype, mt_device device, bool copy,
                      bool requires_grad)
{
    mt_tensor *t;
    if (mt_need_device(device, NULL) < 0)
        return mtpy_raise();
    if (mtpy_is_tensor(data)) {
        if (!(t = copy ? aten_detach((mt_tensor *)data) : mt_keep((mt_tensor *)data)))
            return mtpy_raise();
        t = moved(t, dtype, device, copy);
    } else if (mtpy_is_array(data)) {
        t = (mt_tensor *)mtpy_from_numpy(data, !copy);
        t = t ? moved(t, dtype, device, copy) : NULL;
    } else {
        t = from_sequence(data, dtype);
        t = t && device.type >= 0 && device.type != MT_CPU ? moved(t, MT_DTYPE_NONE, device, false) : t;
    }
    if (t && requires_grad) {
        if (t->dtype < MT_FLOAT16) {
            PyErr_SetString(PyExc_RuntimeError,
                            "Only Tensors of floating point and complex dtype can require gradients");
            Py_CLEAR(t);
        } else if (mtpy_set_requires_grad(t, true) < 0)
            Py_CLEAR(t);
    }
    return (PyObject *)t;
}

/* ---- arguments ---------------------------------------------------------------------------- */

/* Fills values[] by position and name. `npositional` may be given by position. */
static int
parse(const char *who, const char *const *names, int n, int npositional, PyObject *const *args,
      Py_ssize_t nargs, PyObject *kwnames, PyObject **values)
{
    for (int i = 0; i < n; i++)
        values[i] = NULL;
    if (nargs > npositional) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d positional argument%s but %zd were given", who,
                     npositional, npositional == 1 ? "" : "s", nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++)
        values[i] = args[i];
    for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        int i = 0;
        while (i < n && PyUnicode_CompareWithASCIIString(name, names[i]))
            i++;
        if (i == n) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", who, name);
            return -1;
        }
        if (values[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", who, names[i]);
            return -1;
        }
        values[i] = args[nargs + k];
    }
    if (!values[0]) {
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional arguments: \"%s\"", who,
                     names[0]);
        return -1;
    }
    return 0;
}

static int
as_options(const char *who, PyObject *dtype, PyObject *device, mt_dtype *d, mt_device *where)
{
    *d = MT_DTYPE_NONE;
    *where = MT_NO_DEVICE;
    if (dtype && dtype != Py_None && mtpy_as_dtype(dtype, d) != 1) {
        PyErr_Format(PyExc_TypeError, "%s(): argument 'dtype' must be torch.dtype, not %s", who,
                     Py_TYPE(dtype)->tp_name);
        return -1;
    }
    if (device && device != Py_None && mtpy_as_device(device, where) < 0)
        return -1;
    return 0;
}

static const char *const tensor_names[] = {"data", "dtype", "device", "requires_grad", "pin_memory"};

static int
warn_copy(const char *who)
{
    return PyErr_WarnFormat(PyExc_UserWarning, 1,
                            "To copy construct from a tensor, it is recommended to use "
                            "sourceTensor.detach().clone() or "
                            "sourceTensor.detach().clone().requires_grad_(True), rather than "
                            "%s(sourceTensor).",
                            who);
}

static PyObject *
make(const char *who, const char *warn_name, mt_tensor *like, PyObject *const *args, Py_ssize_t nargs,
     PyObject *kwnames)
{
    PyObject *v[5];
    mt_dtype dtype;
    mt_device device;
    if (parse(who, tensor_names, 5, 1, args, nargs, kwnames, v) < 0 ||
        as_options(who, v[1], v[2], &dtype, &device) < 0)
        return NULL;
    int grad = v[3] ? PyObject_IsTrue(v[3]) : 0, pin = v[4] ? PyObject_IsTrue(v[4]) : 0;
    if (grad < 0 || pin < 0)
        return NULL;
    if (pin)
        return PyErr_Format(PyExc_RuntimeError,
                            "pin_memory=True requires a CUDA or other accelerator backend; no pinned "
                            "memory allocator is available on this system.");
    if (mtpy_is_tensor(v[0]) && warn_copy(warn_name) < 0)
        return NULL;
    if (like) {
        if (dtype == MT_DTYPE_NONE)
            dtype = (mt_dtype)like->dtype;
        if (device.type < 0)
            device = like->device;
    }
    return mtpy_tensor_from_data(v[0], dtype, device, true, grad);
}

static PyObject *
tensor(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    (void)self;
    static const mtpy_packet packet = {"tensor", NULL, 0, MTPY_NS_FUNCTION};
    PyObject *result = NULL;
    if (MT_UNLIKELY(mt_this_thread()->function_modes) &&
        mtpy_offer_to_modes(&packet, args, nargs, kwnames, &result))
        return result;
    result = make("tensor", "torch.tensor", NULL, args, nargs, kwnames);
    if (MT_UNLIKELY(mt_this_thread()->dispatch_modes) && result && mtpy_is_tensor(result)) {
        mt_tensor *lifted = aten_lift_fresh((mt_tensor *)result); /* the modes hear of it here */
        Py_DECREF(result);
        return lifted ? (PyObject *)lifted : mtpy_raise();
    }
    return result;
}

static PyObject *
new_tensor(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const mtpy_packet packet = {"new_tensor", NULL, 0, MTPY_NS_METHOD};
    PyObject *result = NULL;
    if (MT_UNLIKELY(mtpy_overriding(self)) &&
        mtpy_torch_function(&packet, self, args, nargs, kwnames, &result))
        return result;
    return make("new_tensor", "tensor.new_tensor", (mt_tensor *)self, args, nargs, kwnames);
}

static PyObject *
as_tensor(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    (void)self;
    static const mtpy_packet packet = {"as_tensor", NULL, 0, MTPY_NS_FUNCTION};
    static const char *const names[] = {"data", "dtype", "device"};
    PyObject *v[3], *result = NULL;
    if (MT_UNLIKELY(mt_this_thread()->function_modes) &&
        mtpy_offer_to_modes(&packet, args, nargs, kwnames, &result))
        return result;
    mt_dtype dtype;
    mt_device device;
    if (parse("as_tensor", names, 3, 3, args, nargs, kwnames, v) < 0 ||
        as_options("as_tensor", v[1], v[2], &dtype, &device) < 0)
        return NULL;
    return mtpy_tensor_from_data(v[0], dtype, device, false, false);
}

/* ---- the legacy constructors -------------------------------------------------------------- */

static mt_tensor *
of_sizes(PyObject *const *args, Py_ssize_t n, mt_dtype dtype, mt_device device)
{
    int64_t sizes[MT_MAX_DIMS];
    if (n > MT_MAX_DIMS) {
        PyErr_Format(PyExc_RuntimeError, "at most %d dimensions, got %zd", MT_MAX_DIMS, n);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        sizes[i] = PyLong_AsLongLong(args[i]);
        if (sizes[i] == -1 && PyErr_Occurred())
            return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        if (sizes[i] < 0) {
            PyErr_Format(PyExc_RuntimeError,
                         "Trying to create tensor with negative dimension %lld: %s",
                         (long long)sizes[i], mt_str_ints(sizes, n));
            return NULL;
        }
    mt_tensor *t = mt_empty((int)n, sizes, NULL, dtype, device);
    if (!t)
        mtpy_raise();
    return t;
}

/* Tensor(...), FloatTensor(...), x.new(...). typed: other dtypes are refused. */
static mt_tensor *
legacy(PyObject *const *args, Py_ssize_t n, mt_dtype dtype, mt_device device, bool typed)
{
    PyObject *first = args[0];
    if (mtpy_is_int(first))
        return of_sizes(args, n, dtype, device);
    if (n > 1) {
        PyErr_Format(PyExc_TypeError, "new() received an invalid combination of arguments - got %zd "
                                      "arguments, the first of type %s",
                     n, Py_TYPE(first)->tp_name);
        return NULL;
    }
    if (Py_TYPE(first) == mtpy_size_type)
        return of_sizes(((PyTupleObject *)first)->ob_item, PyTuple_GET_SIZE(first), dtype, device);
    if (mtpy_is_tensor(first)) {
        mt_tensor *t = (mt_tensor *)first;
        if (typed && t->dtype != dtype) {
            const char *want = mt_dtypes[dtype].legacy_name ? mt_dtypes[dtype].legacy_name
                                                            : mt_dtypes[dtype].name,
                       *got = mt_dtypes[t->dtype].legacy_name ? mt_dtypes[t->dtype].legacy_name
                                                              : mt_dtypes[t->dtype].name;
            PyErr_Format(PyExc_TypeError,
                         "expected TensorOptions(dtype=%s, device=cpu, layout=Strided, "
                         "requires_grad=false (default), pinned_memory=false (default), "
                         "memory_format=(nullopt)) (got TensorOptions(dtype=%s, device=cpu, "
                         "layout=Strided, requires_grad=false (default), pinned_memory=false "
                         "(default), memory_format=(nullopt)))",
                         want, got);
            return NULL;
        }
        mt_tensor *r = aten_alias(t);
        if (!r)
            mtpy_raise();
        return r;
    }
    mt_storage *storage = mtpy_storage_of(first);
    if (storage) {
        int64_t count = (int64_t)(storage->nbytes / mt_dtype_size(dtype)), one = 1;
        mt_tensor *r = mt_tensor_on(storage, dtype, 0, 1, &count, &one,
                                    mt_device_keys(device, false), device);
        if (!r)
            mtpy_raise();
        return r;
    }
    if (is_text(first)) {
        PyErr_Format(PyExc_TypeError, "new(): invalid data type '%s'", Py_TYPE(first)->tp_name);
        return NULL;
    }
    if (!is_sequence(first) && !mtpy_is_array(first)) {
        PyErr_Format(PyExc_TypeError, "new(): data must be a sequence (got %s)",
                     Py_TYPE(first)->tp_name);
        return NULL;
    }
    return (mt_tensor *)mtpy_tensor_from_data(first, dtype, device, true, false);
}

static mt_tensor *
legacy_call(PyObject *args, PyObject *kwargs, mt_dtype dtype, bool typed)
{
    mt_device device = MT_CPU_DEVICE;
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    PyObject *const *items = ((PyTupleObject *)args)->ob_item, *data = NULL;
    if (kwargs) {
        PyObject *key, *value;
        Py_ssize_t at = 0;
        while (PyDict_Next(kwargs, &at, &key, &value)) {
            if (!PyUnicode_CompareWithASCIIString(key, "device")) {
                if (value != Py_None && mtpy_as_device(value, &device) < 0)
                    return NULL;
            } else if (n == 0 && (!PyUnicode_CompareWithASCIIString(key, "data") ||
                                  !PyUnicode_CompareWithASCIIString(key, "size")))
                data = value;
            else {
                PyErr_Format(PyExc_TypeError, "new() got an unexpected keyword argument '%U'", key);
                return NULL;
            }
        }
    }
    if (data)
        return legacy(&data, 1, dtype, device, typed);
    if (n == 0) {
        int64_t zero = 0;
        mt_tensor *t = mt_empty(1, &zero, NULL, dtype, device);
        if (!t)
            mtpy_raise();
        return t;
    }
    return legacy(items, n, dtype, device, typed);
}

PyObject *
mtpy_tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    mt_tensor *t = legacy_call(args, kwargs, mt_default_dtype, false);
    if (!t || type == mtpy_tensor_type)
        return (PyObject *)t;
    PyObject *r = mtpy_make_subclass(type, t, false);
    Py_DECREF(t);
    return r;
}

/* _legacy_new(dtype, args, kwargs): torch.FloatTensor and its siblings. */
static PyObject *
legacy_new(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *dtype, *items, *kwargs;
    mt_dtype d;
    if (!PyArg_ParseTuple(args, "OO!O!", &dtype, &PyTuple_Type, &items, &PyDict_Type, &kwargs))
        return NULL;
    if (mtpy_as_dtype(dtype, &d) != 1)
        return PyErr_Format(PyExc_TypeError, "a dtype is needed");
    return (PyObject *)legacy_call(items, kwargs, d, true);
}

static PyObject *
m_new(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "new", args, kwargs);
    return (PyObject *)legacy_call(args, kwargs, (mt_dtype)((mt_tensor *)self)->dtype, false);
}

static PyMethodDef functions[] = {
    {"tensor", (PyCFunction)(void (*)(void))tensor, METH_FASTCALL | METH_KEYWORDS,
     "tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)\n\n"
     "A new tensor with a copy of the data: numbers, nested sequences, NumPy arrays, tensors."},
    {"as_tensor", (PyCFunction)(void (*)(void))as_tensor, METH_FASTCALL | METH_KEYWORDS,
     "as_tensor(data, dtype=None, device=None)\n\nThe data as tensor, without a copy where it can be."},
    {"_legacy_new", legacy_new, METH_VARARGS, NULL},
    {0},
};

static PyMethodDef methods[] = {
    {"new_tensor", (PyCFunction)(void (*)(void))new_tensor, METH_FASTCALL | METH_KEYWORDS,
     "new_tensor(data, *, dtype=None, device=None, requires_grad=False)\n\n"
     "A tensor of the data with self's dtype and device."},
    {"new", (PyCFunction)(void (*)(void))m_new, METH_VARARGS | METH_KEYWORDS,
     "new(...): the legacy constructor with self's dtype."},
    {0},
};

int
mtpy_add_methods(PyTypeObject *type, PyMethodDef *list)
{
    for (PyMethodDef *m = list; m->ml_name; m++) {
        PyObject *descr = PyDescr_NewMethod(type, m);
        int rc = descr ? PyDict_SetItemString(type->tp_dict, m->ml_name, descr) : -1;
        Py_XDECREF(descr);
        if (rc < 0)
            return -1;
    }
    PyType_Modified(type);
    return 0;
}

int
mtpy_add_data(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0 ||
        mtpy_add_methods(mtpy_tensor_base, methods) < 0)
        return -1;
    if (mtpy_add_convert() < 0 || mtpy_add_numpy(module) < 0 || mtpy_add_dlpack(module) < 0)
        return -1;
    return mtpy_add_storage(module);
}
