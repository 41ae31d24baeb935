/* torch.ops: operators as Python objects, and the crossing of boxed calls between core and Python.
 *
 * An Operator object is callable; it matches arguments by the schema and dispatches. Its signature
 * for the matcher is made from the record the first time somebody asks for it and kept, since
 * records live for ever. OpOverload and OpOverloadPacket derive from it in Python. */
#include "python/operators.h"

#include <stdlib.h>

#include "base/error.h"
#include "dispatch/registry.h"
#include "python/args.h"
#include "python/tensor.h"

/* ---- values to Python --------------------------------------------------------------------- */

static bool
same_value(const mt_value *a, const mt_value *b)
{
    if (a->tag != b->tag)
        return false;
    switch (a->tag) {
    case MT_V_NONE: return true;
    case MT_V_BOOL:
    case MT_V_INT:
    case MT_V_DTYPE:
    case MT_V_LAYOUT:
    case MT_V_FORMAT: return a->u.i == b->u.i;
    case MT_V_FLOAT: return a->u.f == b->u.f;
    case MT_V_INTS:
    case MT_V_BOOLS: return a->len == b->len && !memcmp(a->u.is, b->u.is, a->len * sizeof(int64_t));
    case MT_V_FLOATS: return a->len == b->len && !memcmp(a->u.fs, b->u.fs, a->len * sizeof(double));
    case MT_V_STR: return a->len == b->len && !memcmp(a->u.s, b->u.s, a->len);
    case MT_V_TENSORS: return a->len == 0 && b->len == 0;
    default: return false;
    }
}

static PyObject *
wrap_argument(mt_value v)
{
    if (v.tag == MT_V_TENSOR && mt_is_wrapped(v.u.t) && !mt_is_meta(v.u.t))
        return mtpy_element(mt_data(v.u.t), (mt_dtype)v.u.t->dtype, false, false);
    if (v.tag != MT_V_TENSORS)
        return mtpy_wrap_value(v, false);
    PyObject *list = PyList_New(v.len);
    for (uint32_t i = 0; list && i < v.len; i++)
        PyList_SET_ITEM(list, i, Py_NewRef(v.u.ts[i] ? (PyObject *)v.u.ts[i] : Py_None));
    return list;
}

int
mtpy_pack_call(const mt_op *op, const mt_value *args, PyObject **tuple, PyObject **kwargs)
{
    int npositional = 0, given;
    while (npositional < op->nargs && !(op->args[npositional].flags & (MT_ARG_KWONLY | MT_ARG_OUT)))
        npositional++;
    for (given = npositional; given > 0; given--) {
        const mt_arg *a = &op->args[given - 1];
        if (!(a->flags & MT_ARG_HAS_DEFAULT) || !same_value(&args[given - 1], &a->fallback))
            break;
    }
    *tuple = PyTuple_New(given);
    *kwargs = PyDict_New();
    if (!*tuple || !*kwargs)
        goto fail;
    for (int i = 0; i < given; i++) {
        PyObject *o = wrap_argument(args[i]);
        if (!o)
            goto fail;
        PyTuple_SET_ITEM(*tuple, i, o);
    }
    for (int i = npositional; i < op->nargs; i++) {
        const mt_arg *a = &op->args[i];
        if (a->flags & MT_ARG_HAS_DEFAULT && same_value(&args[i], &a->fallback))
            continue;
        PyObject *o = wrap_argument(args[i]);
        int rc = o ? PyDict_SetItemString(*kwargs, a->name, o) : -1;
        Py_XDECREF(o);
        if (rc < 0)
            goto fail;
    }
    return 0;
fail:
    Py_CLEAR(*tuple);
    Py_CLEAR(*kwargs);
    return -1;
}

/* ---- results from Python ------------------------------------------------------------------ */

static int
bad_result(PyObject *o)
{
    PyErr_Format(PyExc_RuntimeError, "Unable to cast %S to Tensor", o);
    return -1;
}

static int
unpack_list(PyObject *o, mt_value *ret)
{
    PyObject *items = PyTuple_Check(o) || PyList_Check(o) ? PySequence_Fast(o, "") : NULL;
    if (!items) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_RuntimeError,
                         "Unable to cast Python instance of type %R to a list of Tensors",
                         (PyObject *)Py_TYPE(o));
        return -1;
    }
    Py_ssize_t n = PySequence_Fast_GET_SIZE(items);
    mt_list list = mt_list_new(n);
    int rc = list.items ? 0 : mtpy_raise_int();
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(items, i);
        if (!mtpy_is_tensor(item))
            rc = bad_result(item);
        else
            list.items[i] = mt_keep((mt_tensor *)item);
    }
    Py_DECREF(items);
    if (rc < 0) {
        mt_list_free(&list);
        return -1;
    }
    *ret = mt_v_tensors(list.items, n);
    return 0;
}

/* A complex number has its value elsewhere: it stays until the thread's next one. */
static MT_TLS double complex_room[2];

static int
unpack_one(const mt_op *op, int i, PyObject *o, mt_value *ret)
{
    if (op->list_rets >> i & 1)
        return unpack_list(o, ret);
    if (op->nontensor_rets >> i & 1) {
        mt_dtype dtype;
        if (mtpy_as_dtype(o, &dtype) == 1 && !PyType_Check(o)) {
            *ret = mt_v_dtype(dtype);
            return 0;
        }
        int rc = mtpy_as_scalar(o, ret, complex_room);
        if (rc == 0)
            PyErr_Format(PyExc_RuntimeError, "Unable to cast Python instance of type %R to a number",
                         (PyObject *)Py_TYPE(o));
        return rc == 1 ? 0 : -1;
    }
    if (o == Py_None) {
        *ret = mt_v_none();
        return 0;
    }
    if (!mtpy_is_tensor(o))
        return bad_result(o);
    *ret = mt_v_tensor(mt_keep((mt_tensor *)o));
    return 0;
}

int
mtpy_unpack_results(const mt_op *op, PyObject *result, mt_value *rets)
{
    if (op->nrets == 0)
        return 0;
    if (op->nrets == 1)
        return unpack_one(op, 0, result, &rets[0]);
    if (!(PyTuple_Check(result) || PyList_Check(result)))
        return bad_result(result);
    if (PySequence_Fast_GET_SIZE(result) != op->nrets) {
        PyErr_Format(PyExc_RuntimeError, "%s: expected %d results, but got %zd", op->name, op->nrets,
                     PySequence_Fast_GET_SIZE(result));
        return -1;
    }
    for (int i = 0; i < op->nrets; i++)
        if (unpack_one(op, i, PySequence_Fast_GET_ITEM(result, i), &rets[i]) < 0) {
            mt_release_rets(op, rets);
            return -1;
        }
    return 0;
}

/* ---- the signature of a record ------------------------------------------------------------ */

static int
fill_signature(const mt_op *op, mtpy_signature *sig, bool numbers)
{
    mtpy_param *params = calloc(op->nargs ? op->nargs : 1, sizeof *params);
    if (!params) {
        PyErr_NoMemory();
        return -1;
    }
    int npositional = 0;
    for (int i = 0; i < op->nargs; i++) {
        const mt_arg *a = &op->args[i];
        bool kwonly = a->flags & (MT_ARG_KWONLY | MT_ARG_OUT);
        npositional += !kwonly;
        params[i] = (mtpy_param){
            .name = a->name,
            .type = a->type,
            .flags = (uint8_t)((kwonly ? MTPY_KWONLY : 0) |
                               (a->flags & MT_ARG_OPTIONAL ? MTPY_NONE_OK : 0) |
                               (a->flags & MT_ARG_HAS_DEFAULT ? MTPY_HAS_DEFAULT : 0) |
                               (a->flags & MT_ARG_ELEMENTS_OPTIONAL ? MTPY_ELEMENTS_OPTIONAL : 0) |
                               (numbers && a->type == MT_A_TENSOR ? MTPY_NUMBER_OK : 0)),
            .size = a->list_size,
            .arg = (int16_t)i,
            .fallback = a->fallback,
        };
    }
    *sig = (mtpy_signature){op->schema, params, op->nargs, (uint8_t)npositional, 0, (mt_op *)op, NULL};
    return 0;
}

mtpy_op *
mtpy_op_of(mt_op *op)
{
    if (op->host)
        return op->host;
    mtpy_op *host = calloc(1, sizeof *host);
    if (!host)
        return (mtpy_op *)PyErr_NoMemory();
    if (fill_signature(op, &host->signature, !(op->flags & MT_OP_CUSTOM)) < 0) {
        free(host);
        return NULL;
    }
    host->packet = (mtpy_packet){op->name, &host->signature, 1, MTPY_NS_FUNCTION};
    return op->host = host;
}

PyObject *
mtpy_overload(const mt_op *op)
{
    mtpy_op *host = mtpy_op_of((mt_op *)op);
    if (!host)
        return NULL;
    if (!host->overload) {
        PyObject *module = PyImport_ImportModule("mindtorch_v2._ops");
        PyObject *made = module ? PyObject_CallMethod(module, "_overload", "ss", op->name,
                                                      op->overload)
                                : NULL;
        Py_XDECREF(module);
        if (!made)
            return NULL;
        Py_XSETREF(host->overload, made); /* Operator's constructor may have set it */
    }
    return Py_NewRef(host->overload);
}

/* ---- Operator ----------------------------------------------------------------------------- */

typedef struct operator_object {
    PyObject_HEAD
    mt_op *op;                  /* of an overload; NULL for a packet */
    mtpy_packet packet;         /* of a packet: every overload, strictly, then with numbers */
    mtpy_signature *signatures; /* owned, for a packet */
} operator_object;

static PyTypeObject *operator_type;

/* Operator(name, overload), or Operator(name, [overloads]) for a packet. */
static int
operator_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    operator_object *o = (operator_object *)self;
    const char *name;
    PyObject *overload;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "sO", &name, &overload))
        return -1;
    if (PyUnicode_Check(overload)) {
        const char *text = PyUnicode_AsUTF8(overload);
        if (!text || !(o->op = mt_find_op(name, text))) {
            if (text)
                PyErr_Format(PyExc_AttributeError, "there is no operator '%s%s%s'", name,
                             *text ? "." : "", text);
            return -1;
        }
        return mtpy_op_of(o->op) ? 0 : -1;
    }
    Py_ssize_t n = PySequence_Size(overload);
    if (n <= 0)
        return -1;
    mtpy_signature *made = calloc((size_t)n * 2, sizeof *made);
    if (!made) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t count = 0;
    for (int numbers = 0; numbers < 2; numbers++)
        for (Py_ssize_t i = 0; i < n; i++) {
            PyObject *item = PySequence_GetItem(overload, i);
            const char *text = item ? PyUnicode_AsUTF8(item) : NULL;
            mt_op *op = text ? mt_find_op(name, text) : NULL;
            Py_XDECREF(item);
            if (!op || !mtpy_op_of(op)) {
                free(made);
                if (!PyErr_Occurred())
                    PyErr_Format(PyExc_AttributeError, "there is no operator '%s'", name);
                return -1;
            }
            if (numbers)
                made[count++] = ((mtpy_op *)op->host)->signature;
            else if (fill_signature(op, &made[count++], false) < 0) {
                free(made);
                return -1;
            }
        }
    mtpy_signature *old = o->signatures;
    o->signatures = made;
    o->packet = (mtpy_packet){made[0].op->name, made, (uint16_t)count, MTPY_NS_FUNCTION};
    free(old);
    return 0;
}

/* Lists of tensors are lists here, and several results a plain tuple. */
static PyObject *
wrap_plain(const mt_op *op, mt_value *rets)
{
    if (op->nrets == 0)
        Py_RETURN_NONE;
    PyObject *result = op->nrets > 1 ? PyTuple_New(op->nrets) : NULL;
    for (int i = 0; i < op->nrets; i++) {
        bool list = rets[i].tag == MT_V_TENSORS;
        PyObject *o = mtpy_wrap_value(rets[i], true);
        if (list && o)
            Py_SETREF(o, PySequence_List(o));
        if (op->nrets == 1)
            return o;
        if (result)
            PyTuple_SET_ITEM(result, i, o);
        else
            Py_XDECREF(o);
    }
    return result;
}

/* What is wrong with a call, in the words of PyTorch's schema matcher. */
static PyObject *
explain(const mt_op *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    const mtpy_signature *sig = &((mtpy_op *)op->host)->signature;
    Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs > sig->npositional)
        return PyUnicode_FromFormat("%s() takes %d positional argument(s) but %zd was/were given.  "
                                    "Declaration: %s",
                                    op->name, sig->npositional, nargs, op->schema);
    for (int i = 0; i < sig->nparams; i++) {
        const mtpy_param *p = &sig->params[i];
        PyObject *given = i < sig->npositional && i < nargs ? args[i] : NULL;
        for (Py_ssize_t k = 0; k < nkw && !given; k++)
            if (!PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, k), p->name))
                given = args[nargs + k];
        if (!given && !(p->flags & MTPY_HAS_DEFAULT))
            return PyUnicode_FromFormat("%s() is missing value for argument '%s'. Declaration: %s",
                                        op->name, p->name, op->schema);
        if (given && !mtpy_accepts(p, given))
            return PyUnicode_FromFormat(
                "%s() Expected a value of type '%s' for argument '%s' but instead found type '%s'."
                "\nPosition: %d\nValue: %R\nDeclaration: %s\nCast error details: Unable to cast %S "
                "to %s",
                op->name, mtpy_type_name(p), p->name, _PyType_Name(Py_TYPE(given)), i, given,
                op->schema, given, mtpy_type_name(p));
    }
    for (Py_ssize_t k = 0; k < nkw; k++) {
        bool known = false;
        for (int i = 0; i < sig->nparams; i++)
            known |= !PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, k),
                                                       sig->params[i].name);
        if (!known)
            return PyUnicode_FromFormat("Unknown keyword argument '%U' for operator '%s'. Schema: %s",
                                        PyTuple_GET_ITEM(kwnames, k), op->name, op->schema);
    }
    return PyUnicode_FromFormat("%s() got invalid arguments. Declaration: %s", op->name, op->schema);
}

static PyObject *
raise_no_match(operator_object *o, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyErr_Clear();
    PyObject *text;
    if (o->op || o->packet.count == 2)
        text = explain(o->op ? o->op : o->packet.signatures[0].op, args, nargs, kwnames);
    else {
        text = PyUnicode_FromString(
            "Overloaded torch operator invoked from Python failed to match any schema:\n");
        for (int i = 0; text && i < o->packet.count / 2; i++) {
            PyObject *why = explain(o->packet.signatures[i].op, args, nargs, kwnames);
            Py_SETREF(text, why ? PyUnicode_FromFormat("%U%U\n\n", text, why) : NULL);
            Py_XDECREF(why);
        }
    }
    if (text) {
        PyErr_SetObject(PyExc_RuntimeError, text);
        Py_DECREF(text);
    }
    return NULL;
}

/* Arguments to values, dispatch, results: with `keys`, exactly these (op.redispatch). */
static PyObject *
run(operator_object *o, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
    const mt_keys *keys)
{
    const mtpy_packet *packet = o->op ? &((mtpy_op *)o->op->host)->packet : &o->packet;
    mtpy_match_result m;
    m.arena.used = 0;
    m.arena.nowned = m.arena.nblocks = 0;
    if (!packet->count)
        return PyErr_Format(PyExc_RuntimeError, "the operator has no overloads");
    if (mtpy_match(packet, args, nargs, kwnames, &m) < 0)
        return raise_no_match(o, args, nargs, kwnames);
    PyObject *outcome;
    if (MT_UNLIKELY(m.has_override || mt_this_thread()->function_modes) && !keys &&
        mtpy_offer_function((PyObject *)o, m.objects, m.signature->nparams, args, nargs, kwnames,
                            &outcome))
        return outcome;
    mt_value rets[MTPY_MAX_RETS];
    int rc = mtpy_fill(packet, NULL, args, nargs, &m);
    if (rc == 0) {
        for (int i = 0; i < m.op->nrets; i++)
            rets[i].tag = MT_V_NONE;
        rc = keys ? mt_dispatch_keys(m.op, *keys, m.values, rets)
                  : mt_dispatch(m.op, m.values, rets);
        if (rc < 0)
            mtpy_raise();
    }
    mtpy_arena_clear(&m.arena);
    return rc < 0 ? NULL : wrap_plain(m.op, rets);
}

static PyObject *
call(PyObject *self, PyObject *args, PyObject *kwargs, const mt_keys *keys, Py_ssize_t skip)
{
    Py_ssize_t n = PyTuple_GET_SIZE(args) - skip, nkw = kwargs ? PyDict_GET_SIZE(kwargs) : 0, k = 0;
    PyObject *stack[MTPY_MAX_ARGS], *name, *value, *names = nkw ? PyTuple_New(nkw) : NULL;
    if (nkw && !names)
        return NULL;
    if (n + nkw > MTPY_MAX_ARGS) {
        Py_XDECREF(names);
        return PyErr_Format(PyExc_RuntimeError, "too many arguments");
    }
    for (Py_ssize_t i = 0; i < n; i++)
        stack[i] = PyTuple_GET_ITEM(args, skip + i);
    for (Py_ssize_t pos = 0; nkw && PyDict_Next(kwargs, &pos, &name, &value); k++) {
        PyTuple_SET_ITEM(names, k, Py_NewRef(name));
        stack[n + k] = value;
    }
    PyObject *r = run((operator_object *)self, stack, n, names, keys);
    Py_XDECREF(names);
    return r;
}

static PyObject *
operator_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return call(self, args, kwargs, NULL, 0);
}

/* _redispatch(raw key set, *args, **kwargs) */
static PyObject *
operator_redispatch(PyObject *self, PyObject *args, PyObject *kwargs)
{
    if (!PyTuple_GET_SIZE(args))
        return PyErr_Format(PyExc_TypeError, "a key set is needed");
    mt_keys keys = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(args, 0));
    if (PyErr_Occurred())
        return NULL;
    return call(self, args, kwargs, &keys, 1);
}

static void
operator_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(((operator_object *)self)->signatures);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
operator_schema(PyObject *self, void *unused)
{
    (void)unused;
    mt_op *op = ((operator_object *)self)->op;
    return op ? PyUnicode_FromString(op->schema) : Py_NewRef(Py_None);
}

static PyObject *
operator_flags(PyObject *self, void *unused)
{
    (void)unused;
    mt_op *op = ((operator_object *)self)->op;
    return PyLong_FromUnsignedLong(op ? op->flags : 0);
}

static PyGetSetDef operator_getset[] = {
    {"_schema_text", operator_schema, NULL, "The schema as text.", NULL},
    {"_flags", operator_flags, NULL, "The record's flags.", NULL},
    {0},
};
static PyMethodDef operator_methods[] = {
    {"_redispatch", (PyCFunction)(void (*)(void))operator_redispatch, METH_VARARGS | METH_KEYWORDS,
     NULL},
    {0},
};
static PyType_Slot operator_slots[] = {
    {Py_tp_new, PyType_GenericNew},      {Py_tp_init, operator_init},
    {Py_tp_dealloc, operator_dealloc},   {Py_tp_call, operator_call},
    {Py_tp_getset, operator_getset},     {Py_tp_methods, operator_methods},
    {0, NULL},
};
static PyType_Spec operator_spec = {"torch._C._Operator", sizeof(operator_object), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, operator_slots};

/* ---- the registry, seen from Python ------------------------------------------------------- */

/* _dispatch_get_all_op_names() -> ["aten::add.Tensor", ...] */
static PyObject *
all_names(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *list = PyList_New(0);
    int64_t state = 0;
    for (mt_op *op; list && (op = mt_next_op(&state));) {
        PyObject *name = PyUnicode_FromFormat("%s%s%s", op->name, op->overload[0] ? "." : "",
                                              op->overload);
        if (!name || PyList_Append(list, name) < 0)
            Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

static PyMethodDef functions[] = {
    {"_dispatch_get_all_op_names", all_names, METH_NOARGS, NULL},
    {"_return_type", mtpy_named_return_type, METH_O, NULL},
    {0},
};

int
mtpy_add_operators(PyObject *module)
{
    operator_type = (PyTypeObject *)PyType_FromSpec(&operator_spec);
    if (!operator_type || PyModule_AddObjectRef(module, "_Operator", (PyObject *)operator_type) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
