/* Values on their way to Python. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/profiler.h"
#include "autograd/vmap.h"
#include "dispatch/registry.h"
#include "python/operators.h"
#include "python/python.h"

#include <math.h>

PyObject *
mtpy_wrap_scalar(mt_scalar v)
{
    switch (v.tag) {
    case MT_V_BOOL: return PyBool_FromLong(v.u.i != 0);
    case MT_V_INT: return PyLong_FromLongLong(v.u.i);
    case MT_V_FLOAT: return PyFloat_FromDouble(v.u.f);
    case MT_V_COMPLEX: return PyComplex_FromDoubles(v.u.c[0], v.u.c[1]);
    default: return Py_NewRef(Py_None);
    }
}

PyObject *
mtpy_item(mt_tensor *t)
{
    if (MT_UNLIKELY(t->value != NULL)) {
        mt_vmap_no_item();
        return mtpy_raise();
    }
    if (t->numel != 1)
        return PyErr_Format(PyExc_RuntimeError,
                            "a Tensor with %lld elements cannot be converted to Scalar",
                            (long long)t->numel);
    if (mt_is_meta(t))
        return PyErr_Format(PyExc_RuntimeError, "Tensor.item() cannot be called on meta tensors");
    const mt_thread *thread = mt_this_thread();
    if (MT_UNLIKELY(((t->keys | thread->included) & ~thread->excluded) & MT_KEY_BIT(Python))) {
        mt_scalar value;
        return aten__local_scalar_dense(t, &value) < 0 ? mtpy_raise() : mtpy_wrap_scalar(value);
    }
    if (MT_UNLIKELY(!mt_has_data(t)))
        return PyErr_Format(PyExc_RuntimeError, "Tensor.item() needs a tensor with memory");
    static uint32_t names[2];
    mt_prof_mark item = mtpy_op_begin("aten::item", &names[0], t);
    mt_prof_mark read = mtpy_op_begin("aten::_local_scalar_dense", &names[1], t);
    PyObject *value =
        mtpy_element(mt_data(t), (mt_dtype)t->dtype, mt_is_conj(t), mt_is_neg(t));
    mt_prof_op_end(read);
    mt_prof_op_end(item);
    return value;
}

PyObject *
mtpy_element(const void *p, mt_dtype dtype, bool conj, bool neg)
{
    double re, im = 0;
    switch (dtype) {
    case MT_BOOL: return PyBool_FromLong(*(const uint8_t *)p);
    case MT_UINT8: return PyLong_FromLong(*(const uint8_t *)p);
    case MT_INT8: return PyLong_FromLong(neg ? -*(const int8_t *)p : *(const int8_t *)p);
    case MT_INT16: return PyLong_FromLong(neg ? -*(const int16_t *)p : *(const int16_t *)p);
    case MT_INT32: return PyLong_FromLong(neg ? -*(const int32_t *)p : *(const int32_t *)p);
    case MT_INT64: return PyLong_FromLongLong(neg ? -*(const int64_t *)p : *(const int64_t *)p);
    case MT_UINT16: return PyLong_FromLong(*(const uint16_t *)p);
    case MT_UINT32: return PyLong_FromUnsignedLong(*(const uint32_t *)p);
    case MT_UINT64: return PyLong_FromUnsignedLongLong(*(const uint64_t *)p);
    case MT_FLOAT16: re = mt_half_to_float(*(const mt_half *)p); break;
    case MT_BFLOAT16: re = mt_bfloat16_to_float(*(const mt_bfloat16 *)p); break;
    case MT_FLOAT32: re = *(const float *)p; break;
    case MT_FLOAT64: re = *(const double *)p; break;
    case MT_COMPLEX64:
        re = ((const float *)p)[0];
        im = ((const float *)p)[1];
        break;
    default:
        re = ((const double *)p)[0];
        im = ((const double *)p)[1];
        break;
    }
    if (conj)
        im = -im;
    if (neg) {
        re = -re;
        im = -im;
    }
    return mt_is_complex(dtype) ? PyComplex_FromDoubles(re, im) : PyFloat_FromDouble(re);
}

static PyObject *
wrap_tensors(mt_tensor **items, uint32_t n, bool take)
{
    PyObject *tuple = PyTuple_New(n);
    for (uint32_t i = 0; i < n; i++) {
        PyObject *o = items[i] ? (PyObject *)items[i] : Py_None;
        if (!take || !items[i])
            Py_INCREF(o);
        if (tuple)
            PyTuple_SET_ITEM(tuple, i, o);
        else
            Py_DECREF(o);
    }
    return tuple;
}

PyObject *
mtpy_wrap_value(mt_value v, bool take)
{
    switch (v.tag) {
    case MT_V_NONE: return Py_NewRef(Py_None);
    case MT_V_TENSOR: return take ? (PyObject *)v.u.t : Py_NewRef((PyObject *)v.u.t);
    case MT_V_INTS: {
        PyObject *list = PyList_New(v.len);
        for (uint32_t i = 0; list && i < v.len; i++)
            PyList_SET_ITEM(list, i, PyLong_FromLongLong(v.u.is[i]));
        return list;
    }
    case MT_V_BOOLS: {
        PyObject *list = PyList_New(v.len);
        for (uint32_t i = 0; list && i < v.len; i++)
            PyList_SET_ITEM(list, i, PyBool_FromLong(v.u.is[i] != 0));
        return list;
    }
    case MT_V_FLOATS: {
        PyObject *list = PyList_New(v.len);
        for (uint32_t i = 0; list && i < v.len; i++)
            PyList_SET_ITEM(list, i, PyFloat_FromDouble(v.u.fs[i]));
        return list;
    }
    case MT_V_SCALARS: {
        PyObject *list = PyList_New(v.len);
        for (uint32_t i = 0; list && i < v.len; i++)
            PyList_SET_ITEM(list, i, mtpy_wrap_scalar(v.u.vs[i]));
        return list;
    }
    case MT_V_TENSORS: {
        PyObject *tuple = wrap_tensors(v.u.ts, v.len, take);
        if (take)
            free(v.u.ts);
        return tuple;
    }
    case MT_V_STR: return PyUnicode_FromStringAndSize(v.u.s, v.len);
    case MT_V_DTYPE: return mtpy_wrap_dtype((mt_dtype)v.u.i);
    case MT_V_DEVICE: return mtpy_wrap_device(v.u.d);
    case MT_V_LAYOUT: return mtpy_wrap_layout(v.u.i);
    case MT_V_FORMAT: return mtpy_wrap_format((mt_memory_format)v.u.i);
    case MT_V_GENERATOR:
    case MT_V_OBJECT: return Py_NewRef((PyObject *)v.u.p);
    default: return mtpy_wrap_scalar(v);
    }
}

/* ---- named tuples: torch.return_types ----------------------------------------------------- */

/* One type per operator name, and one for its forms with out=; made on first use and kept. */
static PyObject *return_types;

static PyTypeObject *make_return_type(const mt_op *op);

static PyTypeObject *
return_type(const mt_op *op)
{
    static struct { const mt_op *op; PyTypeObject *type; } known[256]; /* by address */
    size_t at = ((uintptr_t)op / sizeof(mt_op)) % MT_COUNT(known);
    if (MT_UNLIKELY(known[at].op != op)) {
        PyTypeObject *type = make_return_type(op);
        if (!type)
            return NULL;
        known[at].op = op;
        known[at].type = type;
    }
    return known[at].type;
}

/* torch.return_types.max(
 * values=tensor(1.),
 * indices=tensor(0)) */
static PyObject *
return_repr(PyObject *self)
{
    PyObject *names = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__match_args__");
    const char *base = strrchr(Py_TYPE(self)->tp_name, '.');
    PyObject *text = PyUnicode_FromFormat("torch.return_types.%s(\n",
                                          base ? base + 1 : Py_TYPE(self)->tp_name);
    Py_ssize_t count = PyTuple_GET_SIZE(self);
    for (Py_ssize_t i = 0; names && text && i < count; i++) {
        PyObject *one = PyObject_Repr(PyTuple_GET_ITEM(self, i));
        if (one)
            Py_SETREF(text, PyUnicode_FromFormat("%U%U=%U%s", text, PyTuple_GET_ITEM(names, i), one,
                                                 i + 1 < count ? ",\n" : ")"));
        else
            Py_CLEAR(text);
        Py_XDECREF(one);
    }
    if (!names)
        Py_CLEAR(text);
    Py_XDECREF(names);
    return text;
}

PyObject *
mtpy_named_return_type(PyObject *module, PyObject *name)
{
    (void)module;
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);
    if (!text)
        return NULL;
    bool out = size > 4 && !strcmp(text + size - 4, "_out");
    size -= 4 * out;
    int64_t state = 0;
    for (mt_op *op; (op = mt_next_op(&state));)
        if (op->ret_names && op->nrets > 1 && out == !!(op->flags & MT_OP_OUT) &&
            !strncmp(op->name, "aten::", 6) && !strncmp(op->name + 6, text, (size_t)size) &&
            !op->name[6 + size])
            return Py_XNewRef((PyObject *)return_type(op));
    Py_RETURN_NONE;
}

static PyTypeObject *
make_return_type(const mt_op *op)
{
    if (!return_types && !(return_types = PyDict_New()))
        return NULL;
    const char *base = strstr(op->name, "::");
    PyObject *key = PyUnicode_FromFormat("%s%s", base ? base + 2 : op->name,
                                         op->flags & MT_OP_OUT ? "_out" : "");
    if (!key)
        return NULL;
    PyObject *type = PyDict_GetItemWithError(return_types, key);
    if (!type && !PyErr_Occurred()) {
        PyStructSequence_Field *fields = PyMem_Calloc((size_t)op->nrets + 1, sizeof *fields);
        for (int i = 0; fields && i < op->nrets; i++)
            fields[i].name = op->ret_names[i];
        PyObject *name = PyUnicode_FromFormat("torch.return_types.%U", key);
        const char *text = name ? PyUnicode_AsUTF8(name) : NULL;
        PyStructSequence_Desc desc = {text, NULL, fields, op->nrets};
        type = text && fields
                   ? (PyObject *)mtpy_settle_type((PyObject *)PyStructSequence_NewType(&desc))
                   : NULL;
        if (type) {
            ((PyTypeObject *)type)->tp_repr = return_repr;
            PyDict_SetItem(return_types, key, type);
            Py_DECREF(type);
        }
        PyMem_Free(fields);
        /* the type keeps a pointer to its name */
    }
    Py_DECREF(key);
    return (PyTypeObject *)type;
}

PyObject *
mtpy_wrap_rets(const mt_op *op, mt_value *rets)
{
    if (op->nrets == 0)
        Py_RETURN_NONE;
    if (op->nrets == 1)
        return mtpy_wrap_value(rets[0], true);
    PyTypeObject *type = op->ret_names ? return_type(op) : &PyTuple_Type;
    PyObject *result = !type ? NULL
                       : op->ret_names ? PyStructSequence_New(type)
                                       : PyTuple_New(op->nrets);
    if (!result) {
        mt_release_rets(op, rets);
        return NULL;
    }
    for (int i = 0; i < op->nrets; i++) {
        PyObject *o = mtpy_wrap_value(rets[i], true);
        if (op->ret_names)
            PyStructSequence_SET_ITEM(result, i, o);
        else
            PyTuple_SET_ITEM(result, i, o);
    }
    return result;
}
