/* record_function and _RecordFunctionFast: context managers that mark a stretch of the program.
 *
 * Programs leave them in their loops, so what counts is their cost with nobody recording: no lock, no
 * interning, no look at the name beyond its type, objects from a free list.
 *
 * Half of what `with` costs is the making of two bound methods. These are saved: `__enter__` and
 * `__exit__` of a scope are the scope itself, which tells by the number of arguments what it is
 * called for: none to enter, three to leave, one (a function) to decorate. Through the class they
 * are ordinary unbound methods. */
#include "python/profiler.h"

PyObject *mtpy_profiler_keywords;

typedef struct scope {
    PyObject ob_base;
    vectorcallfunc call;
    PyObject *name, *args; /* args: _RecordFunctionFast's input values */
    PyObject *keywords;    /* of _RecordFunctionFast */
    mt_prof_mark mark;
    bool entered;
    bool lasts; /* not run_callbacks_on_exit: a future ends it */
} scope;

static PyTypeObject *scope_type, *fast_type;

static PyObject *call_scope(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names);
static PyObject *call_fast(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names);

/* ------------------------------------------------------------------ making */

/* Scopes of the exact type that wait for their next use; linked through `name`. */
enum { MOST_FREE = 32 };
static scope *free_scopes;
static int nfree;

static PyObject *
new_scope(PyTypeObject *type, PyObject *name, PyObject *args, PyObject *keywords)
{
    scope *self = free_scopes;
    if (MT_LIKELY(type == scope_type && self)) {
        free_scopes = (scope *)(void *)self->name;
        nfree--;
        Py_INCREF(type);
        Py_SET_REFCNT(self, 1);
    } else if (!(self = (scope *)type->tp_alloc(type, 0)))
        return NULL;
    self->call = type == fast_type ? call_fast : call_scope;
    self->name = Py_NewRef(name);
    self->args = args == Py_None ? NULL : Py_XNewRef(args);
    self->keywords = keywords == Py_None ? NULL : Py_XNewRef(keywords);
    self->mark.record = NULL;
    self->entered = self->lasts = false;
    return (PyObject *)self;
}

static PyObject *
scope_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "args", NULL};
    PyObject *name, *inputs = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:record_function", names, &name, &inputs))
        return NULL;
    return new_scope(type, name, inputs, NULL);
}

static PyObject *
scope_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (!kwnames && n >= 1 && n <= 2)
        return new_scope((PyTypeObject *)type, args[0], n == 2 ? args[1] : NULL, NULL);
    PyObject *tuple = PyTuple_New(n), *dict = kwnames ? PyDict_New() : NULL, *result = NULL;
    if (!tuple || (kwnames && !dict))
        goto done;
    for (Py_ssize_t i = 0; i < n; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++)
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(kwnames, i), args[n + i]))
            goto done;
    result = scope_new((PyTypeObject *)type, tuple, dict);
done:
    Py_XDECREF(tuple);
    Py_XDECREF(dict);
    return result;
}

static PyObject *
fast_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "input_values", "keyword_values", NULL};
    PyObject *name, *inputs = Py_None, *keywords = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO", names, &name, &inputs, &keywords))
        return NULL;
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "The name passed to RecordFunctionFast must be a string");
        return NULL;
    }
    if (inputs != Py_None && !PyList_Check(inputs) && !PyTuple_Check(inputs)) {
        PyErr_SetString(PyExc_TypeError, "input_values must be a list or tuple");
        return NULL;
    }
    if (keywords != Py_None && !PyDict_Check(keywords)) {
        PyErr_SetString(PyExc_TypeError, "keyword_values must be dict");
        return NULL;
    }
    return new_scope(type, name, inputs, keywords);
}

/* Scopes are no business of the garbage collector: a name or args that could lead back to its scope is
 * refused on entering. */
static void
scope_dealloc(scope *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(self->name);
    Py_CLEAR(self->args);
    Py_CLEAR(self->keywords);
    if (MT_LIKELY(type == scope_type && nfree < MOST_FREE)) {
        self->name = (PyObject *)(void *)free_scopes;
        free_scopes = self;
        nfree++;
    } else {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

/* ------------------------------------------------------------------ inputs */

enum { MAX_INPUTS = 64, ROOM = 1024 };

typedef struct packer {
    mt_value values[MAX_INPUTS];
    int count;
    int64_t ints[ROOM];
    double floats[ROOM];
    mt_tensor *tensors[ROOM];
    size_t nints, nfloats, ntensors;
} packer;

static mt_tensor *
as_tensor(PyObject *o)
{
    return mtpy_is_tensor(o) ? (mt_tensor *)(void *)o : NULL;
}

/* A list of one kind of thing: numbers or tensors; anything else is not described. */
static mt_value
pack_list(packer *p, PyObject *list)
{
    Py_ssize_t n = PyList_GET_SIZE(list);
    int64_t *ints = p->ints + p->nints;
    double *floats = p->floats + p->nfloats;
    mt_tensor **tensors = p->tensors + p->ntensors;
    size_t room = ROOM - MT_MAX(p->nints, MT_MAX(p->nfloats, p->ntensors));
    PyTypeObject *type = n ? Py_TYPE(PyList_GET_ITEM(list, 0)) : NULL;
    if (!n)
        return mt_v_ints(ints, 0);
    if ((size_t)n > room)
        return mt_v_none();
    bool tensor = as_tensor(PyList_GET_ITEM(list, 0)) != NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        int overflow = 0;
        if (tensor ? !(tensors[i] = as_tensor(item)) : Py_TYPE(item) != type)
            return mt_v_none();
        if (type == &PyFloat_Type)
            floats[i] = PyFloat_AS_DOUBLE(item);
        else if (type == &PyLong_Type || type == &PyBool_Type)
            ints[i] = PyLong_AsLongLongAndOverflow(item, &overflow);
        else if (!tensor)
            return mt_v_none();
        if (overflow)
            return mt_v_none();
    }
    if (tensor) {
        p->ntensors += (size_t)n;
        return mt_v_tensors(tensors, n);
    }
    if (type == &PyFloat_Type) {
        p->nfloats += (size_t)n;
        return mt_v_floats(floats, n);
    }
    p->nints += (size_t)n;
    return type == &PyBool_Type ? mt_v_bools(ints, n) : mt_v_ints(ints, n);
}

static mt_value
pack(packer *p, PyObject *o)
{
    int overflow = 0;
    if (PyBool_Check(o))
        return mt_v_bool(o == Py_True);
    if (PyLong_Check(o)) {
        int64_t i = PyLong_AsLongLongAndOverflow(o, &overflow);
        return overflow ? mt_v_none() : mt_v_int(i);
    }
    if (PyFloat_Check(o))
        return mt_v_float(PyFloat_AS_DOUBLE(o));
    if (PyList_Check(o))
        return pack_list(p, o);
    mt_tensor *tensor = as_tensor(o);
    return tensor ? mt_v_tensor(tensor) : mt_v_none();
}

static void
record_inputs(mt_prof_mark mark, PyObject *inputs)
{
    packer *p = PyMem_Malloc(sizeof *p);
    Py_ssize_t n = PySequence_Fast_GET_SIZE(inputs);
    if (p) {
        p->nints = p->nfloats = p->ntensors = 0;
        for (p->count = 0; p->count < n && p->count < MAX_INPUTS; p->count++)
            p->values[p->count] = pack(p, PySequence_Fast_GET_ITEM(inputs, p->count));
        mt_prof_op_inputs(mark, p->values, p->count);
    }
    PyMem_Free(p);
}

/* ------------------------------------------------------------------ entering and leaving */

/* The id of a name in the recording session; characters that UTF-8 cannot carry are kept as
 * three-byte surrogates, which the trace writes as escapes. -1 with an exception. */
static int
intern(PyObject *name, uint32_t *id)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(name, &length);
    if (text) {
        *id = mt_prof_scope_name(text, (size_t)length);
        return 0;
    }
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(name, "utf-8", "surrogatepass");
    if (!bytes)
        return -1;
    *id = mt_prof_scope_name(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

/* PyTorch enters a scope through an operator, whose argument check words these errors. */
static PyObject *
wrong_argument(const char *expected, const char *argument, int position, PyObject *value)
{
    PyErr_Format(
        PyExc_RuntimeError,
        "profiler::_record_function_enter_new() Expected a value of type '%s' for argument "
        "'%s' but instead found type '%s'.\nPosition: %d\nValue: %S\nDeclaration: "
        "profiler::_record_function_enter_new(str name, str? args=None) -> "
        "__torch__.torch.classes.profiler._RecordFunction",
        expected, argument, Py_TYPE(value)->tp_name, position, value);
    return NULL;
}

static PyObject *
scope_enter(scope *self)
{
    if (MT_UNLIKELY(!PyUnicode_Check(self->name)))
        return wrong_argument("str", "name", 0, self->name);
    if (MT_UNLIKELY(self->args && !PyUnicode_Check(self->args)))
        return wrong_argument("Optional[str]", "args", 1, self->args);
    self->entered = true;
    self->mark.record = NULL;
    uint32_t on = mt_prof_flags(), id = 0;
    if (MT_UNLIKELY(on)) {
        if (intern(self->name, &id))
            return NULL;
        self->mark = mt_prof_scope_begin(id);
        if (self->args && on & MT_PROF_SHAPES) {
            mt_value text = mt_v_none(); /* a text is not described */
            mt_prof_op_inputs(self->mark, &text, 1);
        }
    }
    return Py_NewRef(self);
}

static PyObject *
scope_exit(scope *self)
{
    if (MT_UNLIKELY(!self->entered)) {
        PyErr_SetString(PyExc_AssertionError, "Expected record to be set");
        return NULL;
    }
    if (self->mark.record && !self->lasts) {
        mt_prof_scope_end(self->mark);
        self->mark.record = NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
fast_enter(scope *self)
{
    uint32_t on = mt_prof_flags(), id = 0;
    self->mark.record = NULL;
    if (on) {
        if (intern(self->name, &id))
            return NULL;
        self->mark = mt_prof_op_begin(id, -1);
        if (on & MT_PROF_SHAPES) {
            if (self->args)
                record_inputs(self->mark, self->args);
            if (self->keywords && mtpy_profiler_keywords) {
                PyObject *copy = PyDict_Copy(self->keywords);
                int failed = copy ? PyList_Append(mtpy_profiler_keywords, copy) : -1;
                Py_XDECREF(copy);
                if (failed)
                    return NULL;
                mt_prof_attach_keywords(self->mark,
                                        (uint32_t)PyList_GET_SIZE(mtpy_profiler_keywords));
            }
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
fast_exit(scope *self)
{
    mt_prof_op_end(self->mark);
    self->mark.record = NULL;
    Py_RETURN_NONE;
}

/* What the Python layer's end-of-future callback calls: ends the scope, once. */
static PyObject *
scope_end(scope *self, PyObject *Py_UNUSED(unused))
{
    mt_prof_scope_end(self->mark);
    self->mark.record = NULL;
    Py_RETURN_NONE;
}

static PyObject *
forward_to_python(const char *function, PyObject *self, PyObject *argument)
{
    PyObject *module = PyImport_ImportModule("mindtorch_v2.autograd.profiler");
    PyObject *result = module ? PyObject_CallMethod(module, function, "OO", self, argument) : NULL;
    Py_XDECREF(module);
    return result;
}

static PyObject *
wrong_call(PyObject *self, Py_ssize_t n)
{
    PyErr_Format(PyExc_TypeError,
                 "%s takes no arguments to enter, three to leave and one function to decorate (%zd "
                 "given)",
                 Py_TYPE(self)->tp_name, n);
    return NULL;
}

static PyObject *
call_scope(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (MT_LIKELY(!names || !PyTuple_GET_SIZE(names))) {
        if (n == 0)
            return scope_enter((scope *)self);
        if (n == 3)
            return scope_exit((scope *)self);
        if (n == 1)
            return forward_to_python("_decorate", self, args[0]);
    }
    return wrong_call(self, n + (names ? PyTuple_GET_SIZE(names) : 0));
}

static PyObject *
call_fast(PyObject *self, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *names)
{
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (MT_LIKELY(!names || !PyTuple_GET_SIZE(names))) {
        if (n == 0)
            return fast_enter((scope *)self);
        if (n == 3)
            return fast_exit((scope *)self);
    }
    return wrong_call(self, n);
}

/* What the class's `__enter__` and `__exit__` are: looked up on a scope, the scope. */
typedef struct method {
    PyObject_HEAD
} method;

static PyObject *
method_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    return Py_NewRef(object ? object : self);
}

static PyObject *
method_call(PyObject *Py_UNUSED(self), PyObject *args, PyObject *kwargs)
{
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    PyObject *first = n ? PyTuple_GET_ITEM(args, 0) : NULL;
    if (!first || (!PyObject_TypeCheck(first, scope_type) && Py_TYPE(first) != fast_type)) {
        PyErr_SetString(PyExc_TypeError,
                        "this method wants a record_function as its first argument");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, n);
    PyObject *result = rest ? PyObject_Call(first, rest, kwargs) : NULL;
    Py_XDECREF(rest);
    return result;
}

static PyType_Slot method_slots[] = {
    {Py_tp_descr_get, method_get},
    {Py_tp_call, method_call},
    {0, NULL},
};

static PyType_Spec method_spec = {
    .name = "mindtorch_v2._C._profiler.scope_method",
    .basicsize = sizeof(method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = method_slots,
};

static PyObject *
scope_on_future(PyObject *self, PyObject *future)
{
    return forward_to_python("_end_with_future", self, future);
}

static PyObject *
get_on_exit(scope *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(!self->lasts);
}

static int
set_on_exit(scope *self, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = value ? PyObject_IsTrue(value) : 1;
    if (truth >= 0)
        self->lasts = !truth;
    return truth < 0 ? -1 : 0;
}

static PyMethodDef scope_methods[] = {
    {"_end", (PyCFunction)(void (*)(void))scope_end, METH_NOARGS, NULL},
    {"_call_end_callbacks_on_future", scope_on_future, METH_O,
     "Lets the scope last until `future` is done and returns a future of the same value. May be\n"
     "called once, inside the scope; RuntimeError after that."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef scope_members[] = {
    {"name", T_OBJECT, offsetof(scope, name), 0, NULL},
    {"args", T_OBJECT, offsetof(scope, args), 0, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(scope, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef scope_getset[] = {
    {"run_callbacks_on_exit", (getter)get_on_exit, (setter)set_on_exit, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    scope_doc,
    "record_function(name, args=None)\n--\n\n"
    "Names a stretch of the program in a profile: a context manager and a decorator.\n\n"
    "`name` is a str; anything else raises RuntimeError on entering, as does `args` that is\n"
    "neither a str nor None. Leaving a scope that was not entered raises AssertionError.");

static PyType_Slot scope_slots[] = {
    {Py_tp_doc, (void *)scope_doc}, {Py_tp_new, scope_new},
    {Py_tp_dealloc, scope_dealloc}, {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, scope_methods}, {Py_tp_members, scope_members},
    {Py_tp_getset, scope_getset},   {0, NULL},
};

static PyType_Spec scope_spec = {
    .name = "mindtorch_v2.autograd.profiler.record_function",
    .basicsize = sizeof(scope),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = scope_slots,
};

static PyMemberDef fast_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(scope, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(fast_doc,
             "_RecordFunctionFast(name, input_values=None, keyword_values=None)\n--\n\n"
             "A context manager that records an event like an operator's, with its inputs.");

static PyType_Slot fast_slots[] = {
    {Py_tp_doc, (void *)fast_doc},   {Py_tp_new, fast_new},         {Py_tp_dealloc, scope_dealloc},
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_members, fast_members}, {0, NULL},
};

static PyType_Spec fast_spec = {
    .name = "mindtorch_v2._C._profiler._RecordFunctionFast",
    .basicsize = sizeof(scope),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = fast_slots,
};

/* Puts a shared method object into the class. */
static int
add_methods(PyTypeObject *type, PyObject *shared)
{
    PyObject *class = (PyObject *)type;
    return PyObject_SetAttrString(class, "__enter__", shared) ||
                   PyObject_SetAttrString(class, "__exit__", shared)
               ? -1
               : 0;
}

int
mtpy_add_profiler_scopes(PyObject *module)
{
    PyTypeObject *method_type = (PyTypeObject *)PyType_FromSpec(&method_spec);
    scope_type = (PyTypeObject *)PyType_FromSpec(&scope_spec);
    fast_type = (PyTypeObject *)PyType_FromSpec(&fast_spec);
    if (!method_type || !scope_type || !fast_type)
        return -1;
    PyObject *shared = method_type->tp_alloc(method_type, 0);
    Py_DECREF(method_type);
    if (!shared)
        return -1;
    int failed = add_methods(scope_type, shared) || add_methods(fast_type, shared);
    Py_DECREF(shared);
    scope_type->tp_vectorcall = scope_vectorcall;
    if (failed || PyModule_AddObjectRef(module, "record_function", (PyObject *)scope_type))
        return -1;
    return PyModule_AddObjectRef(module, "_RecordFunctionFast", (PyObject *)fast_type);
}
