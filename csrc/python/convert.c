/* Conversions of a tensor: to, float() and its siblings, cpu, type.
 *
 * All come down to one question, whether anything changes: if not, self is returned, else _to_copy
 * makes the tensor and records it. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/args.h"
#include "python/data.h"
#include "python/profiler.h"
#include "python/tensor.h"
#include "tensor/device.h"

typedef struct wanted {
    mt_dtype dtype;
    mt_device device;
    mt_memory_format format;
    bool non_blocking, copy;
} wanted;

static const wanted nothing_wanted = {MT_DTYPE_NONE, {-1, -1}, MT_PRESERVE, false, false};

static PyObject *
converted(PyObject *self, const wanted *w)
{
    mt_tensor *t = (mt_tensor *)self;
    if (mt_need_device(w->device, NULL) < 0)
        return mtpy_raise();
    static uint32_t name;
    mt_prof_mark mark = mtpy_op_begin("aten::to", &name, t);
    bool same = (w->dtype == MT_DTYPE_NONE || w->dtype == t->dtype) &&
                (w->device.type < 0 || w->device.type == t->device.type) && !w->copy &&
                (w->format == MT_PRESERVE || w->format == MT_FORMAT_NONE ||
                 mt_is_contiguous_format(t, w->format));
    mt_tensor *r = same ? mt_keep(t)
                        : aten__to_copy(t, w->dtype, -1, w->device, mt_v_none(), w->non_blocking,
                                        w->format == MT_PRESERVE ? MT_FORMAT_NONE : w->format);
    mt_prof_op_end(mark);
    return r ? (PyObject *)r : mtpy_raise();
}

/* Modes and subclasses first. true: *result is the outcome. */
static bool
overridden(const mtpy_packet *packet, PyObject *self, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames, PyObject **result)
{
    return (!mtpy_is_plain_tensor(self) || mt_this_thread()->function_modes) &&
           mtpy_torch_function(packet, self, args, nargs, kwnames, result);
}

/* ---- to ----------------------------------------------------------------------------------- */

static PyObject *
bad_to(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *text = PyUnicode_FromString("");
    Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; text && i < nargs + nkw; i++) {
        const char *type = _PyType_Name(Py_TYPE(args[i]));
        if (i < nargs)
            Py_SETREF(text, PyUnicode_FromFormat(i ? "%U, %s" : "%U%s", text, type));
        else
            Py_SETREF(text, PyUnicode_FromFormat("%U%s%U=%s", text, i ? ", " : "",
                                                 PyTuple_GET_ITEM(kwnames, i - nargs), type));
    }
    if (text)
        PyErr_Format(PyExc_TypeError,
                     "to() received an invalid combination of arguments - got (%U%s), but expected one "
                     "of:\n"
                     " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = "
                     "False, bool copy = False, *, torch.memory_format memory_format = None)\n"
                     " * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, "
                     "torch.memory_format memory_format = None)\n"
                     " * (Tensor tensor, bool non_blocking = False, bool copy = False, *, "
                     "torch.memory_format memory_format = None)\n",
                     text, nkw ? ", " : "");
    Py_XDECREF(text);
    return NULL;
}

/* Reads the arguments of to(). -1 with the exception set. */
static int
read_to(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, wanted *w)
{
    /* what may still come by position, in order */
    enum { START, DTYPE, NON_BLOCKING, COPY, END } next = START;
    Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + nkw == 0)
        goto bad;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyObject *o = args[i];
        if (next == START) {
            if (Py_TYPE(o) == mtpy_dtype_type || PyType_Check(o)) {
                if (mtpy_as_dtype(o, &w->dtype) != 1)
                    goto bad;
                next = NON_BLOCKING;
            } else if (mtpy_is_tensor(o)) {
                w->dtype = (mt_dtype)((mt_tensor *)o)->dtype;
                w->device = ((mt_tensor *)o)->device;
                next = NON_BLOCKING;
            } else if (o == Py_None)
                next = DTYPE;
            else if (Py_TYPE(o) == mtpy_device_type || PyUnicode_Check(o) || mtpy_is_int(o)) {
                if (mtpy_as_device(o, &w->device) < 0)
                    return -1;
                next = DTYPE;
            } else
                goto bad;
        } else if (next == DTYPE && !PyBool_Check(o)) {
            if (o != Py_None && mtpy_as_dtype(o, &w->dtype) != 1)
                goto bad;
            next = NON_BLOCKING;
        } else if ((next == DTYPE || next == NON_BLOCKING) && PyBool_Check(o)) {
            w->non_blocking = o == Py_True;
            next = COPY;
        } else if (next == COPY && PyBool_Check(o)) {
            w->copy = o == Py_True;
            next = END;
        } else
            goto bad;
    }
    for (Py_ssize_t k = 0; k < nkw; k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k), *o = args[nargs + k];
        if (!PyUnicode_CompareWithASCIIString(name, "dtype")) {
            if (w->dtype != MT_DTYPE_NONE || (o != Py_None && mtpy_as_dtype(o, &w->dtype) != 1))
                goto bad;
        } else if (!PyUnicode_CompareWithASCIIString(name, "device")) {
            if (next != START)
                goto bad;
            if (o != Py_None && mtpy_as_device(o, &w->device) < 0)
                return -1;
        } else if (!PyUnicode_CompareWithASCIIString(name, "other") ||
                   !PyUnicode_CompareWithASCIIString(name, "tensor")) {
            if (!mtpy_is_tensor(o) || next != START)
                goto bad;
            w->dtype = (mt_dtype)((mt_tensor *)o)->dtype;
            w->device = ((mt_tensor *)o)->device;
        } else if (!PyUnicode_CompareWithASCIIString(name, "non_blocking") && PyBool_Check(o))
            w->non_blocking = o == Py_True;
        else if (!PyUnicode_CompareWithASCIIString(name, "copy") && PyBool_Check(o))
            w->copy = o == Py_True;
        else if (!PyUnicode_CompareWithASCIIString(name, "memory_format") &&
                 (o == Py_None || Py_TYPE(o) == mtpy_format_type))
            w->format = o == Py_None ? MT_PRESERVE : (mt_memory_format)((mtpy_named *)o)->value;
        else
            goto bad;
    }
    return 0;
bad:
    bad_to(args, nargs, kwnames);
    return -1;
}

static PyObject *
m_to(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const mtpy_packet packet = {"to", NULL, 0, MTPY_NS_METHOD};
    PyObject *result = NULL;
    if (MT_UNLIKELY(overridden(&packet, self, args, nargs, kwnames, &result)))
        return result;
    wanted w = nothing_wanted;
    return read_to(args, nargs, kwnames, &w) < 0 ? NULL : converted(self, &w);
}

/* What Module.to makes of the same arguments: (device, dtype, non_blocking, memory_format). */
static PyObject *
parse_to(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    (void)self;
    wanted w = nothing_wanted;
    if (nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0) != 0 &&
        read_to(args, nargs, kwnames, &w) < 0)
        return NULL;
    if (w.copy)
        return PyErr_Format(PyExc_RuntimeError, ".to() does not accept copy argument");
    PyObject *device = w.device.type < 0 ? Py_NewRef(Py_None) : mtpy_wrap_device(w.device);
    PyObject *dtype =
        w.dtype == MT_DTYPE_NONE ? Py_NewRef(Py_None) : mtpy_wrap_dtype(w.dtype);
    PyObject *format = w.format == MT_FORMAT_NONE || w.format == MT_PRESERVE
                           ? Py_NewRef(Py_None)
                           : mtpy_wrap_format(w.format);
    PyObject *result = device ? PyTuple_Pack(4, device, dtype, w.non_blocking ? Py_True : Py_False,
                                             format)
                              : NULL;
    Py_XDECREF(device);
    Py_DECREF(dtype);
    Py_DECREF(format);
    return result;
}

PyMethodDef mtpy_parse_to[] = {
    {"_parse_to", (PyCFunction)(void (*)(void))parse_to, METH_FASTCALL | METH_KEYWORDS,
     "Arguments of to() as (device, dtype, non_blocking, memory_format)."},
    {0},
};

/* ---- float() and its siblings ------------------------------------------------------------- */

static PyObject *
short_form(PyObject *self, const char *name, mt_dtype dtype, bool cpu, PyObject *args,
           PyObject *kwargs)
{
    static char *names[] = {"memory_format", NULL};
    PyObject *format = Py_None;
    MTPY_OFFER(self, name, args, kwargs);
    wanted w = nothing_wanted;
    w.dtype = dtype;
    if (cpu)
        w.device = MT_CPU_DEVICE;
    if (PyTuple_GET_SIZE(args) || kwargs) {
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", names, &format))
            return NULL;
        if (format != Py_None && Py_TYPE(format) != mtpy_format_type)
            return PyErr_Format(PyExc_TypeError,
                                "%s(): argument 'memory_format' must be torch.memory_format, not %s",
                                name, Py_TYPE(format)->tp_name);
        if (format != Py_None)
            w.format = (mt_memory_format)((mtpy_named *)format)->value;
    }
    return converted(self, &w);
}

#define FOR_SHORT_FORMS(X)                                                                         \
    X(float, MT_FLOAT32, false)                                                                    \
    X(double, MT_FLOAT64, false)                                                                   \
    X(half, MT_FLOAT16, false)                                                                     \
    X(bfloat16, MT_BFLOAT16, false)                                                                \
    X(long, MT_INT64, false)                                                                       \
    X(int, MT_INT32, false)                                                                        \
    X(short, MT_INT16, false)                                                                      \
    X(char, MT_INT8, false)                                                                        \
    X(byte, MT_UINT8, false)                                                                       \
    X(bool, MT_BOOL, false)                                                                        \
    X(cfloat, MT_COMPLEX64, false)                                                                 \
    X(cdouble, MT_COMPLEX128, false)                                                               \
    X(cpu, MT_DTYPE_NONE, true)
#define X(name, dtype, cpu)                                                                        \
    static PyObject *to_##name(PyObject *self, PyObject *args, PyObject *kwargs)                   \
    {                                                                                              \
        return short_form(self, #name, dtype, cpu, args, kwargs);                                  \
    }
FOR_SHORT_FORMS(X)
#undef X

static PyObject *
m_cuda(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "cuda", args, kwargs);
    mt_need_device((mt_device){MT_CUDA, -1}, NULL);
    return mtpy_raise();
}

/* ---- type --------------------------------------------------------------------------------- */

static PyObject *
m_type(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "type", args, kwargs);
    static char *names[] = {"dtype", "non_blocking", NULL};
    PyObject *dtype = Py_None;
    wanted w = nothing_wanted;
    int later = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|Op:type", names, &dtype, &later))
        return NULL;
    mt_tensor *t = (mt_tensor *)self;
    if (dtype == Py_None)
        return PyUnicode_FromFormat("torch.%s%sTensor", mt_is_meta(t) ? "meta." : "",
                                    mt_dtypes[t->dtype].scalar_name);
    if (mtpy_as_dtype(dtype, &w.dtype) == 1)
        return converted(self, &w);
    PyErr_Clear();
    if (PyUnicode_Check(dtype)) {
        const char *text = PyUnicode_AsUTF8(dtype);
        for (int i = 0; text && i < MT_NUM_DTYPES; i++)
            if (!strcmp(text, mt_str("torch.%sTensor", mt_dtypes[i].scalar_name))) {
                w.dtype = (mt_dtype)i;
                w.device = MT_CPU_DEVICE;
                return converted(self, &w);
            }
        return text ? PyErr_Format(PyExc_ValueError, "invalid type: '%s'", text) : NULL;
    }
    PyObject *own = PyType_Check(dtype) ? PyObject_GetAttrString(dtype, "dtype") : NULL;
    int ok = own ? mtpy_as_dtype(own, &w.dtype) : 0;
    Py_XDECREF(own);
    if (ok != 1) {
        PyErr_Clear();
        return PyErr_Format(PyExc_TypeError, "dtype must be a type, str, or dtype object");
    }
    return converted(self, &w);
}

static PyObject *
m_type_as(PyObject *self, PyObject *other)
{
    static const mtpy_packet packet = {"type_as", NULL, 0, MTPY_NS_METHOD};
    PyObject *result = NULL;
    if (MT_UNLIKELY((mtpy_overriding(self) || mtpy_has_torch_function(other)) &&
                    mtpy_torch_function(&packet, self, &other, 1, NULL, &result)))
        return result;
    wanted w = nothing_wanted;
    if (!mtpy_is_tensor(other))
        return PyErr_Format(PyExc_TypeError,
                            "type_as(): argument 'other' (position 1) must be Tensor, not %s",
                            Py_TYPE(other)->tp_name);
    w.dtype = (mt_dtype)((mt_tensor *)other)->dtype;
    w.device = ((mt_tensor *)other)->device;
    return converted(self, &w);
}

/* An alias whose object is of another class. Nobody has seen the new object yet: it changes its
 * class where the layouts are equal, and moves where the class adds __slots__. */
static PyObject *
m_as_subclass(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"cls", NULL};
    PyTypeObject *type;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!:as_subclass", names, &PyType_Type, &type))
        return NULL;
    if (!PyType_IsSubtype(type, mtpy_tensor_base))
        return PyErr_Format(PyExc_TypeError, "cls must be a type derived from Tensor, got %s",
                            type->tp_name);
    mt_tensor *t = aten_alias((mt_tensor *)self);
    if (!t)
        return mtpy_raise();
    PyTypeObject *before = Py_TYPE((PyObject *)t);
    if (type->tp_basicsize != before->tp_basicsize) {
        t = mtpy_move_tensor(t, type);
        if (!t)
            return NULL;
    } else {
        Py_INCREF(type);
        Py_SET_TYPE((PyObject *)t, type);
        Py_DECREF(before);
    }
    mtpy_mark_subclass(t);
    return (PyObject *)t;
}

static PyObject *
m_get_device(PyObject *self, PyObject *unused)
{
    (void)unused;
    MTPY_OFFER(self, "get_device", NULL, NULL);
    return PyLong_FromLong(((mt_tensor *)self)->device.type == MT_CPU
                               ? -1
                               : ((mt_tensor *)self)->device.index);
}

static PyObject *
m_is_set_to(PyObject *self, PyObject *other)
{
    static const mtpy_packet packet = {"is_set_to", NULL, 0, MTPY_NS_METHOD};
    PyObject *result = NULL;
    if (MT_UNLIKELY((mtpy_overriding(self) || mtpy_has_torch_function(other)) &&
                    mtpy_torch_function(&packet, self, &other, 1, NULL, &result)))
        return result;
    if (!mtpy_is_tensor(other))
        return PyErr_Format(PyExc_TypeError,
                            "is_set_to(): argument 'tensor' (position 1) must be Tensor, not %s",
                            Py_TYPE(other)->tp_name);
    mt_tensor *a = (mt_tensor *)self, *b = (mt_tensor *)other;
    return PyBool_FromLong(a->storage == b->storage && a->offset == b->offset && mt_same_shape(a, b) &&
                           mt_same_strides(a, b));
}

static PyObject *
m_pin_memory(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "pin_memory", args, kwargs);
    return PyErr_Format(PyExc_RuntimeError,
                        "Cannot access accelerator device when none is available.");
}

static PyObject *
m_is_pinned(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "is_pinned", args, kwargs);
    Py_RETURN_FALSE;
}

static PyMethodDef methods[] = {
    {"to", (PyCFunction)(void (*)(void))m_to, METH_FASTCALL | METH_KEYWORDS,
     "to(device or dtype or other, ...): self with another dtype or device, or self where nothing "
     "changes."},
#define X(name, dtype, cpu)                                                                        \
    {#name, (PyCFunction)(void (*)(void))to_##name, METH_VARARGS | METH_KEYWORDS,                  \
     #name "(memory_format=torch.preserve_format)"},
    FOR_SHORT_FORMS(X)
#undef X
    {"cuda", (PyCFunction)(void (*)(void))m_cuda, METH_VARARGS | METH_KEYWORDS, NULL},
    {"type", (PyCFunction)(void (*)(void))m_type, METH_VARARGS | METH_KEYWORDS,
     "type(dtype=None, non_blocking=False): the name of the type, or self converted."},
    {"type_as", m_type_as, METH_O, "self with the dtype and device of another tensor."},
    {"as_subclass", (PyCFunction)(void (*)(void))m_as_subclass, METH_VARARGS | METH_KEYWORDS,
     "as_subclass(cls): an alias of self whose class is cls."},
    {"get_device", m_get_device, METH_NOARGS, "The index of the device, -1 on the CPU."},
    {"is_set_to", m_is_set_to, METH_O, "Whether both are the same window on one storage."},
    {"pin_memory", (PyCFunction)(void (*)(void))m_pin_memory, METH_VARARGS | METH_KEYWORDS, NULL},
    {"is_pinned", (PyCFunction)(void (*)(void))m_is_pinned, METH_VARARGS | METH_KEYWORDS, NULL},
    {0},
};

int
mtpy_add_convert(void)
{
    return mtpy_add_methods(mtpy_tensor_base, methods);
}
