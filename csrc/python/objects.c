/* dtype, device, layout, memory_format, Size. */
#include "base/error.h"
#include "python/python.h"

PyTypeObject *mtpy_size_type, *mtpy_dtype_type, *mtpy_device_type, *mtpy_layout_type,
    *mtpy_format_type, *mtpy_generator_type;
PyObject *mtpy_dtypes[MT_NUM_DTYPES];

/* ---- dtype -------------------------------------------------------------------------------- */

static PyObject *
dtype_repr(PyObject *self)
{
    return PyUnicode_FromFormat("torch.%s", mt_dtypes[((mtpy_dtype *)self)->dtype].name);
}

static PyObject *
dtype_get(PyObject *self, void *what)
{
    mt_dtype d = (mt_dtype)((mtpy_dtype *)self)->dtype;
    const mt_dtype_info *info = &mt_dtypes[d];
    switch ((intptr_t)what) {
    case 0: return PyBool_FromLong(info->is_floating);
    case 1: return PyBool_FromLong(info->is_complex);
    case 2: return PyBool_FromLong(info->is_signed);
    default: return PyLong_FromLong(info->size);
    }
}

static PyObject *
dtype_to_real(PyObject *self, PyObject *unused)
{
    (void)unused;
    mt_dtype d = (mt_dtype)((mtpy_dtype *)self)->dtype, r = mt_dtypes[d].to_real;
    return mtpy_wrap_dtype(r == MT_DTYPE_NONE ? d : r);
}

static PyObject *
dtype_to_complex(PyObject *self, PyObject *unused)
{
    (void)unused;
    mt_dtype d = (mt_dtype)((mtpy_dtype *)self)->dtype, c = mt_dtypes[d].to_complex;
    if (c == MT_DTYPE_NONE && !mt_is_complex(d))
        return PyErr_Format(PyExc_NotImplementedError, "there is no complex dtype for %s",
                            mt_dtypes[d].name);
    return mtpy_wrap_dtype(c == MT_DTYPE_NONE ? d : c);
}

static PyObject *
dtype_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyUnicode_FromString(mt_dtypes[((mtpy_dtype *)self)->dtype].name);
}

static PyGetSetDef dtype_getset[] = {
    {"is_floating_point", dtype_get, NULL, "Whether this is a floating point dtype.", (void *)0},
    {"is_complex", dtype_get, NULL, "Whether this is a complex dtype.", (void *)1},
    {"is_signed", dtype_get, NULL, "Whether values may be negative.", (void *)2},
    {"itemsize", dtype_get, NULL, "Bytes of one element.", (void *)3},
    {0},
};
static PyMethodDef dtype_methods[] = {
    {"to_real", dtype_to_real, METH_NOARGS, "The real dtype of a complex one."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex dtype of a real one."},
    {"__reduce__", dtype_reduce, METH_NOARGS, NULL},
    {0},
};
static PyType_Slot dtype_slots[] = {
    {Py_tp_repr, dtype_repr},
    {Py_tp_getset, dtype_getset},
    {Py_tp_methods, dtype_methods},
    {Py_tp_doc, "The type of a tensor's elements."},
    {0, NULL},
};
static PyType_Spec dtype_spec = {"torch.dtype", sizeof(mtpy_dtype), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 dtype_slots};

PyObject *
mtpy_wrap_dtype(mt_dtype dtype)
{
    return Py_NewRef(mtpy_dtypes[dtype]);
}

int
mtpy_as_dtype(PyObject *o, mt_dtype *dtype)
{
    if (Py_TYPE(o) == mtpy_dtype_type)
        *dtype = (mt_dtype)((mtpy_dtype *)o)->dtype;
    else if (o == (PyObject *)&PyFloat_Type)
        *dtype = MT_FLOAT64;
    else if (o == (PyObject *)&PyLong_Type)
        *dtype = MT_INT64;
    else if (o == (PyObject *)&PyBool_Type)
        *dtype = MT_BOOL;
    else if (o == (PyObject *)&PyComplex_Type)
        *dtype = MT_COMPLEX128;
    else
        return 0;
    return 1;
}

/* ---- device ------------------------------------------------------------------------------- */

static int
parse_device(const char *text, mt_device *device)
{
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    for (int t = 0; t < MT_NUM_DEVICE_TYPES; t++) {
        const char *name = mt_device_type_name(t);
        if (strlen(name) == n && !strncmp(name, text, n)) {
            device->type = (int8_t)t;
            device->index = -1;
            if (!colon)
                return 0;
            char *end;
            long index = strtol(colon + 1, &end, 10);
            if (*end || end == colon + 1 || index < 0 || index > 127 ||
                (colon[1] == '0' && colon[2])) {
                PyErr_Format(PyExc_RuntimeError, "Invalid device string: '%s'", text);
                return -1;
            }
            device->index = (int8_t)index;
            return 0;
        }
    }
    if (!n || (!colon && strspn(text, "abcdefghijklmnopqrstuvwxyz_") != n) ||
        (colon && strspn(text, "abcdefghijklmnopqrstuvwxyz_") != n)) {
        PyErr_Format(PyExc_RuntimeError, "Invalid device string: '%s'", text);
        return -1;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, "
                 "maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at start "
                 "of device string: %s",
                 mt_str("%.*s", (int)n, text));
    return -1;
}

int
mtpy_as_device(PyObject *o, mt_device *device)
{
    if (Py_TYPE(o) == mtpy_device_type) {
        *device = ((mtpy_device *)o)->device;
        return 0;
    }
    if (PyUnicode_Check(o)) {
        const char *text = PyUnicode_AsUTF8(o);
        return text ? parse_device(text, device) : -1;
    }
    if (mtpy_is_int(o)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Cannot access accelerator device when none is available.");
        return -1;
    }
    PyErr_Format(PyExc_TypeError, "expected torch.device, str or int, not %s", Py_TYPE(o)->tp_name);
    return -1;
}

PyObject *
mtpy_wrap_device(mt_device device)
{
    static PyObject *cpu, *meta;
    PyObject **cached = device.index >= 0 ? NULL
                        : device.type == MT_CPU ? &cpu
                        : device.type == MT_META ? &meta
                                                 : NULL;
    if (cached && *cached)
        return Py_NewRef(*cached);
    mtpy_device *d = PyObject_New(mtpy_device, mtpy_device_type);
    if (!d)
        return NULL;
    d->device = device;
    if (cached)
        *cached = Py_NewRef((PyObject *)d);
    return (PyObject *)d;
}

static PyObject *
device_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type;
    PyObject *first = NULL, *index = NULL;
    static char *with_type[] = {"type", "index", NULL}, *with_device[] = {"device", "index", NULL};
    bool named = kwargs && PyDict_GetItemString(kwargs, "device");
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:device", named ? with_device : with_type,
                                     &first, &index))
        return NULL;
    mt_device d;
    if (mtpy_as_device(first, &d) < 0)
        return NULL;
    if (index && index != Py_None) {
        if (d.index >= 0)
            return PyErr_Format(PyExc_RuntimeError,
                                "type (string) must not include an index because index was passed "
                                "explicitly: %s",
                                mt_device_str(d));
        long i = PyLong_AsLong(index);
        if (i == -1 && PyErr_Occurred())
            return NULL;
        if (i < 0 || i > 127)
            return PyErr_Format(PyExc_RuntimeError, "Device index must not be negative");
        d.index = (int8_t)i;
    }
    return mtpy_wrap_device(d);
}

static PyObject *
device_repr(PyObject *self)
{
    mt_device d = ((mtpy_device *)self)->device;
    if (d.index < 0)
        return PyUnicode_FromFormat("device(type='%s')", mt_device_type_name(d.type));
    return PyUnicode_FromFormat("device(type='%s', index=%d)", mt_device_type_name(d.type), d.index);
}

static PyObject *
device_str(PyObject *self)
{
    return PyUnicode_FromString(mt_device_str(((mtpy_device *)self)->device));
}

static PyObject *
device_compare(PyObject *a, PyObject *b, int op)
{
    if (Py_TYPE(b) != mtpy_device_type || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    mt_device x = ((mtpy_device *)a)->device, y = ((mtpy_device *)b)->device;
    bool same = x.type == y.type && x.index == y.index;
    return PyBool_FromLong(same == (op == Py_EQ));
}

static Py_hash_t
device_hash(PyObject *self)
{
    mt_device d = ((mtpy_device *)self)->device;
    return (Py_hash_t)((uint8_t)d.type << 16 | (uint8_t)d.index);
}

static PyObject *
device_get_type(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(mt_device_type_name(((mtpy_device *)self)->device.type));
}

static PyObject *
device_get_index(PyObject *self, void *unused)
{
    (void)unused;
    int index = ((mtpy_device *)self)->device.index;
    return index < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(index);
}

static PyObject *
device_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    mt_device d = ((mtpy_device *)self)->device;
    if (d.index < 0)
        return Py_BuildValue("(O(s))", mtpy_device_type, mt_device_type_name(d.type));
    return Py_BuildValue("(O(si))", mtpy_device_type, mt_device_type_name(d.type), d.index);
}

/* `with torch.device(…)` is a mode that Python keeps: mindtorch_v2.utils._device. */
static PyObject *
device_mode(PyObject *self, const char *method, PyObject *args)
{
    PyObject *module = PyImport_ImportModule("mindtorch_v2.utils._device");
    PyObject *r = module ? PyObject_CallMethod(module, method, "OO", self, args ? args : Py_None)
                         : NULL;
    Py_XDECREF(module);
    return r;
}

static PyObject *
device_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return device_mode(self, "_enter", NULL);
}

static PyObject *
device_exit(PyObject *self, PyObject *args)
{
    return device_mode(self, "_exit", args);
}

static PyObject *
device_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    PyObject *fn;
    if (!PyArg_ParseTuple(args, "O:device", &fn))
        return NULL;
    return device_mode(self, "_decorate", fn);
}

static PyGetSetDef device_getset[] = {
    {"type", device_get_type, NULL, "The device type as text.", NULL},
    {"index", device_get_index, NULL, "The device number or None.", NULL},
    {0},
};
static PyMethodDef device_methods[] = {
    {"__reduce__", device_reduce, METH_NOARGS, NULL},
    {"__enter__", device_enter, METH_NOARGS, NULL},
    {"__exit__", device_exit, METH_VARARGS, NULL},
    {0},
};
static PyType_Slot device_slots[] = {
    {Py_tp_new, device_new},       {Py_tp_repr, device_repr},       {Py_tp_str, device_str},
    {Py_tp_hash, device_hash},     {Py_tp_richcompare, device_compare},
    {Py_tp_getset, device_getset}, {Py_tp_methods, device_methods}, {Py_tp_call, device_call},
    {Py_tp_doc, "Where a tensor lives: device('cpu'), device('meta')."},
    {0, NULL},
};
static PyType_Spec device_spec = {"torch.device", sizeof(mtpy_device), 0, Py_TPFLAGS_DEFAULT,
                                  device_slots};

/* ---- layout, memory_format ---------------------------------------------------------------- */

static PyObject *
named_repr(PyObject *self)
{
    return PyUnicode_FromFormat("torch.%s", ((mtpy_named *)self)->name);
}

static PyObject *
named_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyUnicode_FromString(((mtpy_named *)self)->name);
}

static PyMethodDef named_methods[] = {
    {"__reduce__", named_reduce, METH_NOARGS, NULL},
    {0},
};
static PyType_Slot named_slots[] = {
    {Py_tp_repr, named_repr},
    {Py_tp_methods, named_methods},
    {0, NULL},
};
static PyType_Spec layout_spec = {"torch.layout", sizeof(mtpy_named), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  named_slots};
static PyType_Spec format_spec = {"torch.memory_format", sizeof(mtpy_named), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  named_slots};
static PyObject *layouts[8], *formats[4];

PyObject *
mtpy_wrap_layout(int64_t layout)
{
    return Py_NewRef(layouts[layout]);
}

PyObject *
mtpy_wrap_format(mt_memory_format format)
{
    return Py_NewRef(formats[format]);
}

static PyObject *
named(PyTypeObject *type, int64_t value, const char *name)
{
    mtpy_named *n = PyObject_New(mtpy_named, type);
    if (!n)
        return NULL;
    n->value = value;
    n->name = name;
    return (PyObject *)n;
}

/* ---- Size --------------------------------------------------------------------------------- */

PyObject *
mtpy_wrap_size(const int64_t *sizes, int ndim)
{
    PyObject *self = mtpy_size_type->tp_alloc(mtpy_size_type, ndim);
    if (!self)
        return NULL;
    for (int d = 0; d < ndim; d++) {
        PyObject *n = PyLong_FromLongLong(sizes[d]);
        if (!n) {
            Py_DECREF(self);
            return NULL;
        }
        PyTuple_SET_ITEM(self, d, n);
    }
    return self;
}

PyObject *
mtpy_wrap_ints(const int64_t *values, int64_t n)
{
    PyObject *self = PyTuple_New(n);
    for (int64_t i = 0; self && i < n; i++) {
        PyObject *v = PyLong_FromLongLong(values[i]);
        if (!v)
            Py_CLEAR(self);
        else
            PyTuple_SET_ITEM(self, i, v);
    }
    return self;
}

static PyObject *
size_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *self = PyTuple_Type.tp_new(type, args, kwargs);
    if (!self)
        return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); i++) {
        PyObject *item = PyTuple_GET_ITEM(self, i);
        if (PyLong_CheckExact(item))
            continue;
        PyObject *n = PyNumber_Index(item);
        if (!n) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError,
                         "torch.Size() takes an iterable of 'int' (item %zd is '%s')", i,
                         Py_TYPE(item)->tp_name);
            Py_DECREF(self);
            return NULL;
        }
        PyTuple_SET_ITEM(self, i, n);
        Py_DECREF(item);
    }
    return self;
}

static PyObject *
size_repr(PyObject *self)
{
    PyObject *list = PySequence_List(self);
    PyObject *r = list ? PyUnicode_FromFormat("torch.Size(%R)", list) : NULL;
    Py_XDECREF(list);
    return r;
}

static PyObject *
size_numel(PyObject *self, PyObject *unused)
{
    (void)unused;
    long long n = 1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); i++) {
        long long v = PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
        if (v == -1 && PyErr_Occurred())
            return NULL;
        n *= v;
    }
    return PyLong_FromLongLong(n);
}

static PyObject *
as_size(PyObject *tuple) /* consumes */
{
    if (!tuple || !PyTuple_Check(tuple) || Py_TYPE(tuple) == mtpy_size_type)
        return tuple;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++)
        if (!PyLong_Check(PyTuple_GET_ITEM(tuple, i)))
            return tuple;
    PyObject *self = PyObject_CallOneArg((PyObject *)mtpy_size_type, tuple);
    Py_DECREF(tuple);
    return self;
}

static PyObject *
size_concat(PyObject *a, PyObject *b)
{
    if (!PyTuple_Check(a) || !PyTuple_Check(b))
        Py_RETURN_NOTIMPLEMENTED;
    return as_size(PyTuple_Type.tp_as_sequence->sq_concat(a, b));
}

static PyObject *
size_repeat(PyObject *a, Py_ssize_t n)
{
    return as_size(PyTuple_Type.tp_as_sequence->sq_repeat(a, n));
}

static PyObject *
size_subscript(PyObject *a, PyObject *key)
{
    return as_size(PyTuple_Type.tp_as_mapping->mp_subscript(a, key));
}

static PyObject *
size_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *plain = PyTuple_GetSlice(self, 0, PyTuple_GET_SIZE(self));
    if (plain && Py_TYPE(plain) != &PyTuple_Type) {
        PyObject *list = PySequence_List(plain);
        Py_SETREF(plain, list ? PyList_AsTuple(list) : NULL);
        Py_XDECREF(list);
    }
    return plain ? Py_BuildValue("(O(N))", mtpy_size_type, plain) : NULL;
}

static PyMethodDef size_methods[] = {
    {"numel", size_numel, METH_NOARGS, "Number of elements of a tensor of this size."},
    {"__reduce__", size_reduce, METH_NOARGS, NULL},
    {0},
};
static PyType_Slot size_slots[] = {
    {Py_tp_new, size_new},
    {Py_tp_repr, size_repr},
    {Py_tp_methods, size_methods},
    {Py_sq_concat, size_concat},
    {Py_nb_add, size_concat},
    {Py_sq_repeat, size_repeat},
    {Py_mp_subscript, size_subscript},
    {Py_tp_doc, "The sizes of a tensor: a tuple of ints."},
    {0, NULL},
};
static PyType_Spec size_spec = {"torch.Size", 0, 0, Py_TPFLAGS_DEFAULT, size_slots};

/* ---- module ------------------------------------------------------------------------------- */

static int
add(PyObject *module, const char *name, PyObject *object)
{
    if (!object)
        return -1;
    return PyModule_AddObjectRef(module, name, object);
}

PyTypeObject *
mtpy_settle_type(PyObject *type)
{
    if (!type)
        return NULL;
    PyObject *shown = PyObject_GetAttrString(type, "__module__");
    const char *text = shown ? PyUnicode_AsUTF8(shown) : NULL;
    PyObject *module = NULL;
    if (text)
        module = PyUnicode_FromFormat("mindtorch_v2%s", text + strlen("torch"));
    if (!module || PyObject_SetAttrString(type, "__module__", module) < 0)
        Py_CLEAR(type);
    Py_XDECREF(module);
    Py_XDECREF(shown);
    return (PyTypeObject *)type;
}

int
mtpy_add_objects(PyObject *module)
{
    if (!(mtpy_dtype_type = mtpy_settle_type(PyType_FromSpec(&dtype_spec))) ||
        !(mtpy_device_type = mtpy_settle_type(PyType_FromSpec(&device_spec))) ||
        !(mtpy_layout_type = mtpy_settle_type(PyType_FromSpec(&layout_spec))) ||
        !(mtpy_format_type = mtpy_settle_type(PyType_FromSpec(&format_spec))) ||
        !(mtpy_size_type = mtpy_settle_type(
              PyType_FromSpecWithBases(&size_spec, (PyObject *)&PyTuple_Type))))
        return -1;
    if (add(module, "dtype", (PyObject *)mtpy_dtype_type) < 0 ||
        add(module, "device", (PyObject *)mtpy_device_type) < 0 ||
        add(module, "layout", (PyObject *)mtpy_layout_type) < 0 ||
        add(module, "memory_format", (PyObject *)mtpy_format_type) < 0 ||
        add(module, "Size", (PyObject *)mtpy_size_type) < 0)
        return -1;
    for (int d = 0; d < MT_NUM_DTYPES; d++) {
        mtpy_dtype *o = PyObject_New(mtpy_dtype, mtpy_dtype_type);
        if (!o)
            return -1;
        o->dtype = (uint8_t)d;
        mtpy_dtypes[d] = (PyObject *)o;
        if (add(module, mt_dtypes[d].name, (PyObject *)o) < 0)
            return -1;
        if (mt_dtypes[d].legacy_name && add(module, mt_dtypes[d].legacy_name, (PyObject *)o) < 0)
            return -1;
    }
    static const char *const layout_names[] = {"strided",    "sparse_coo", "sparse_csr", "sparse_csc",
                                               "sparse_bsr", "sparse_bsc", "_mkldnn",    "jagged"};
    for (int i = 0; i < 8; i++) {
        layouts[i] = named(mtpy_layout_type, i, layout_names[i]);
        if (add(module, layout_names[i], layouts[i]) < 0)
            return -1;
    }
    static const char *const format_names[] = {"contiguous_format", "preserve_format",
                                               "channels_last", "channels_last_3d"};
    for (int i = 0; i < 4; i++) {
        formats[i] = named(mtpy_format_type, i, format_names[i]);
        if (add(module, format_names[i], formats[i]) < 0)
            return -1;
    }
    return 0;
}
