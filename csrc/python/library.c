/* torch.library: operators defined and kernels registered at run time.
 *
 * A definition makes a record like the generated ones, with a table of handlers that look into the
 * operator's dict of Python kernels: for the key that is on, the kernel registered for exactly that
 * runtime key, else one of an alias key that covers it, in PyTorch's order, else what the handler
 * table held before. Registering a kernel for an existing operator gives that record a table of its
 * own and puts the same handler into the places concerned. */
#include <stdlib.h>

#include "base/error.h"
#include "dispatch/registry.h"
#include "python/args.h"
#include "python/operators.h"
#include "python/tensor.h"

/* Numbers of runtime and alias keys. ORDER KEYS: mindtorch_v2/_dispatch.py */
enum {
    DENSE_CPU = 49, QUANTIZED_CPU = 66, SPARSE_CPU = 83, SPARSE_CSR_CPU = 100, NESTED_CPU = 117,
    AUTOGRAD_CPU = 134, AUTOGRAD = 150, COMPOSITE_IMPLICIT = 151, COMPOSITE_EXPLICIT = 154,
    COMPOSITE_NON_FUNCTIONAL = 155,
};

/* The runtime key of a functionality on a backend. */
static int
runtime_key(int functionality, int backend)
{
    switch (functionality) {
    case MT_F_Dense: return DENSE_CPU + backend;
    case MT_F_Quantized: return QUANTIZED_CPU + backend;
    case MT_F_Sparse: return SPARSE_CPU + backend;
    case MT_F_SparseCsr: return SPARSE_CSR_CPU + backend;
    case MT_F_NestedTensor: return NESTED_CPU + backend;
    case MT_F_AutogradFunctionality: return AUTOGRAD_CPU + backend;
    default: return functionality;
    }
}

static int
functionality_of(int key)
{
    static const int starts[][2] = {{AUTOGRAD_CPU, MT_F_AutogradFunctionality},
                                    {NESTED_CPU, MT_F_NestedTensor},
                                    {SPARSE_CSR_CPU, MT_F_SparseCsr}, {SPARSE_CPU, MT_F_Sparse},
                                    {QUANTIZED_CPU, MT_F_Quantized}, {DENSE_CPU, MT_F_Dense}};
    for (size_t i = 0; i < MT_COUNT(starts); i++)
        if (key >= starts[i][0])
            return key < starts[i][0] + MT_NUM_BACKENDS ? starts[i][1] : -1;
    return key < MT_NUM_FUNCTIONALITIES ? key : -1;
}

static bool
is_autograd(int functionality)
{
    return functionality == MT_F_AutogradFunctionality || functionality == MT_F_AutogradOther ||
           functionality == MT_F_AutogradNestedTensor;
}

static bool
is_backend(int functionality)
{
    return functionality == MT_F_Dense || functionality == MT_F_Quantized ||
           functionality == MT_F_Sparse || functionality == MT_F_SparseCsr ||
           functionality == MT_F_NestedTensor;
}

/* ---- running a Python kernel -------------------------------------------------------------- */

/* Borrowed (function or None, with_keyset), or NULL without an exception. */
static PyObject *
lookup(const mtpy_op *host, int key)
{
    PyObject *number = host->kernels ? PyLong_FromLong(key) : NULL;
    if (!number) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *found = PyDict_GetItem(host->kernels, number);
    Py_DECREF(number);
    return found;
}

/* The kernel of Python that answers for the functionality on the backend, NULL: none. */
static PyObject *
find_kernel(const mt_op *op, int functionality, int backend)
{
    const mtpy_op *host = op->host;
    PyObject *found = lookup(host, runtime_key(functionality, backend));
    if (found)
        return found;
    if (is_backend(functionality)) {
        if (!(found = lookup(host, COMPOSITE_NON_FUNCTIONAL)) &&
            !(found = lookup(host, COMPOSITE_EXPLICIT)))
            found = lookup(host, COMPOSITE_IMPLICIT);
        return found;
    }
    if (!is_autograd(functionality))
        return NULL;
    bool own_backend = lookup(host, DENSE_CPU + backend) || lookup(host, COMPOSITE_EXPLICIT) ||
                       lookup(host, COMPOSITE_NON_FUNCTIONAL);
    if (!own_backend && (found = lookup(host, COMPOSITE_IMPLICIT)))
        return found;
    return lookup(host, AUTOGRAD);
}

static int
run_kernel(mt_call *call, PyObject *kernel)
{
    const mt_op *op = call->op;
    PyObject *function = PyTuple_GET_ITEM(kernel, 0), *args, *kwargs, *result = NULL;
    if (mtpy_pack_call(op, call->args, &args, &kwargs) < 0)
        return mtpy_keep_exception();
    if (PyTuple_GET_ITEM(kernel, 1) == Py_True) {
        PyObject *dispatch = PyImport_ImportModule("mindtorch_v2._dispatch");
        PyObject *keys = dispatch ? PyObject_CallMethod(dispatch, "_key_set", "K",
                                                        (unsigned long long)call->keys)
                                  : NULL;
        PyObject *first = keys ? PyTuple_Pack(1, keys) : NULL;
        PyObject *longer = first ? PySequence_Concat(first, args) : NULL;
        Py_XDECREF(dispatch);
        Py_XDECREF(keys);
        Py_XDECREF(first);
        Py_SETREF(args, longer);
    }
    if (args)
        result = PyObject_Call(function, args, PyDict_GET_SIZE(kwargs) ? kwargs : NULL);
    Py_XDECREF(args);
    Py_DECREF(kwargs);
    int rc = result ? mtpy_unpack_results(op, result, call->rets) : -1;
    Py_XDECREF(result);
    return rc < 0 ? mtpy_keep_exception() : 0;
}

static int
missing(mt_call *call)
{
    const mt_op *op = call->op;
    const mtpy_op *host = op->host;
    PyObject *module = PyImport_ImportModule("mindtorch_v2._dispatch");
    PyObject *names = module && host->kernels
                          ? PyObject_CallMethod(module, "_registered_names", "O", host->kernels)
                          : NULL;
    const char *text = names ? PyUnicode_AsUTF8(names) : NULL;
    const char *dot = op->overload[0] ? "." : "", *key = mt_keys_highest_name(call->keys);
    if (!text)
        PyErr_Clear();
    int rc;
    if ((call->keys & MT_BACKEND_BIT(Meta)) && mt_highest_functionality(call->keys) == MT_F_Dense)
        rc = mt_fail(MT_NOT_IMPLEMENTED,
                     "%s%s%s: attempted to run this operator with Meta tensors, but there was no "
                     "fake impl or Meta kernel registered for this operator. You may have run into "
                     "this message while using an operator with PT2 compilation APIs (torch.compile/"
                     "torch.export); in order to use this operator with those APIs you'll need to add "
                     "a fake impl.",
                     op->name, op->overload[0] ? "." : "", op->overload);
    else
        rc = mt_fail(MT_NOT_IMPLEMENTED,
                     "Could not run '%s%s%s' with arguments from the '%s' backend. This could be "
                     "because the operator doesn't exist for this backend, or was omitted during the "
                     "selective/custom build process (if using custom build). '%s%s%s' is only "
                     "available for these backends: [%s].",
                     op->name, dot, op->overload, key, op->name, dot, op->overload, text ? text : "");
    Py_XDECREF(names);
    Py_XDECREF(module);
    return rc;
}

/* The handler in every place that Python has a say in. */
static int
registered(mt_call *call)
{
    const mt_op *op = call->op;
    const mtpy_op *host = op->host;
    int functionality = mt_highest_functionality(call->keys);
    mt_keys backends = call->keys & MT_BACKEND_MASK;
    int backend = backends ? 63 - __builtin_clzll(backends) : MT_B_CPU;
    PyObject *kernel = find_kernel(op, functionality, backend);
    if (kernel && PyTuple_GET_ITEM(kernel, 0) != Py_None)
        return run_kernel(call, kernel);
    if (kernel) /* registered as fall-through */
        return mt_redispatch_below(call, functionality);
    if (host->builtin) {
        /* a composite whose backend got a kernel leaves autograd to that kernel */
        if (host->builtin == mt_table_composite && is_autograd(functionality) &&
            lookup(host, DENSE_CPU + backend))
            return mt_redispatch_below(call, functionality);
        return host->builtin[functionality](call);
    }
    if (functionality == MT_F_Dense || functionality == MT_F_Undefined || is_backend(functionality))
        return missing(call);
    return mt_redispatch_below(call, functionality);
}

/* What is written counts as written, whoever writes. */
static int
mutates(mt_call *call)
{
    int rc = mt_redispatch_below(call, MT_F_ADInplaceOrView);
    for (int i = 0; rc == 0 && i < call->op->nargs; i++) {
        const mt_value *v = &call->args[i];
        if (!(call->op->args[i].flags & MT_ARG_MUTATED))
            continue;
        uint32_t n = v->tag == MT_V_TENSORS ? v->len : v->tag == MT_V_TENSOR;
        for (uint32_t k = 0; k < n; k++) {
            mt_tensor *t = v->tag == MT_V_TENSOR ? v->u.t : v->u.ts[k];
            if (t && !(t->flags & MT_T_INFERENCE))
                mt_bump_version(t);
        }
    }
    return rc;
}

/* ---- defining ----------------------------------------------------------------------------- */

static char *
copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, text, n) : (char *)PyErr_NoMemory();
}

/* (name, type, flags, list size[, default]) */
static int
read_argument(PyObject *item, mt_arg *arg)
{
    const char *name;
    int type, flags, size;
    PyObject *fallback = NULL;
    if (!PyArg_ParseTuple(item, "siii|O", &name, &type, &flags, &size, &fallback))
        return -1;
    if (!(arg->name = copy_text(name)))
        return -1;
    arg->type = (uint8_t)type;
    arg->flags = (uint8_t)flags;
    arg->list_size = (int16_t)size;
    if (!fallback)
        return 0;
    mtpy_param p = {arg->name, arg->type, flags & MT_ARG_OPTIONAL ? MTPY_NONE_OK : 0,
                    arg->list_size, 0, {0}};
    mtpy_arena arena = {.used = 0};
    mt_value value;
    int rc = -1;
    if (!mtpy_accepts(&p, fallback))
        PyErr_Format(PyExc_RuntimeError, "the default of argument '%s' must be %s, not %s", name,
                     mtpy_type_name(&p), _PyType_Name(Py_TYPE(fallback)));
    else if (mtpy_convert(&p, fallback, &value, &arena) == 0)
        rc = mt_value_copy(&arg->fallback, value) < 0 ? mtpy_raise_int() : 0;
    mtpy_arena_clear(&arena);
    arg->flags |= MT_ARG_HAS_DEFAULT;
    return rc;
}

/* _define_operator(name, overload, schema, arguments, results, counts_writes): the record lives for ever, so what
 * is allocated on the way to an error is not worth keeping apart. results: 0 tensor, 1 list of
 * tensors, 2 number. */
static PyObject *
define_operator(PyObject *module, PyObject *all)
{
    (void)module;
    const char *name, *overload, *schema;
    PyObject *arguments, *results;
    int counts;
    if (!PyArg_ParseTuple(all, "sssO!O!p", &name, &overload, &schema, &PyList_Type, &arguments,
                          &PyList_Type, &results, &counts))
        return NULL;
    Py_ssize_t nargs = PyList_GET_SIZE(arguments), nrets = PyList_GET_SIZE(results);
    if (nargs > 32 || nrets > MTPY_MAX_RETS)
        return PyErr_Format(PyExc_NotImplementedError,
                            "%s: at most 32 arguments and %d results, got %zd and %zd", name,
                            MTPY_MAX_RETS, nargs, nrets);
    mt_op *op = calloc(1, sizeof *op);
    mt_arg *args = calloc(nargs ? (size_t)nargs : 1, sizeof *args);
    mt_kernel *table = malloc(MT_NUM_FUNCTIONALITIES * sizeof *table);
    if (!op || !args || !table) {
        free(op);
        free(args);
        free(table);
        return PyErr_NoMemory();
    }
    bool written = false;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        if (read_argument(PyList_GET_ITEM(arguments, i), &args[i]) < 0)
            return NULL;
        op->tensor_mask |= args[i].type == MT_A_TENSOR ? 1u << i : 0;
        op->list_mask |= args[i].type == MT_A_TENSORS ? 1u << i : 0;
        op->tensor_args += args[i].type == MT_A_TENSOR;
        written |= (args[i].flags & MT_ARG_MUTATED) != 0;
    }
    for (Py_ssize_t i = 0; i < nrets; i++) {
        long kind = PyLong_AsLong(PyList_GET_ITEM(results, i));
        op->list_rets |= kind == 1 ? 1u << i : 0;
        op->nontensor_rets |= kind == 2 ? 1u << i : 0;
    }
    op->name = copy_text(name);
    op->overload = copy_text(overload);
    op->schema = copy_text(schema);
    if (!op->name || !op->overload || !op->schema)
        return NULL;
    op->args = args;
    op->nargs = (uint8_t)nargs;
    op->nrets = (uint8_t)nrets;
    op->flags = MT_OP_CUSTOM | MT_OP_OWN_TABLE;
    op->key_mask = MT_OP_KEYS(0, 0) | (written && counts ? MT_KEY_BIT(ADInplaceOrView) : 0);
    memcpy(table, mt_table_default, MT_NUM_FUNCTIONALITIES * sizeof *table);
    for (int f = 0; f < MT_NUM_FUNCTIONALITIES; f++)
        if (is_backend(f) || is_autograd(f) || f == MT_F_Undefined)
            table[f] = registered;
    table[MT_F_ADInplaceOrView] = mutates;
    op->table = table;
    op->batch_rule = MT_BATCH_FALLBACK;
    if (!mtpy_op_of(op))
        return NULL;
    if (mt_register_op(op) < 0)
        return mtpy_raise();
    Py_RETURN_NONE;
}

static mt_op *
find(const char *name, const char *overload)
{
    mt_op *op = mt_find_op(name, overload);
    if (!op)
        PyErr_Format(PyExc_RuntimeError, "operator %s%s%s does not exist", name,
                     *overload ? "." : "", overload);
    return op;
}

/* _impl_operator(name, overload, key, function or None, with_keyset); function left out: the
 * registration is taken back. */
static PyObject *
impl_operator(PyObject *module, PyObject *all)
{
    (void)module;
    const char *name, *overload;
    int key, with_keyset = 0;
    PyObject *function = NULL;
    if (!PyArg_ParseTuple(all, "ssi|Op", &name, &overload, &key, &function, &with_keyset))
        return NULL;
    mt_op *op = find(name, overload);
    mtpy_op *host = op ? mtpy_op_of(op) : NULL;
    if (!host || (!host->kernels && !(host->kernels = PyDict_New())))
        return NULL;
    PyObject *number = PyLong_FromLong(key);
    if (!number)
        return NULL;
    int rc;
    if (!function) {
        rc = PyDict_DelItem(host->kernels, number);
        if (rc < 0) {
            PyErr_Clear();
            rc = 0;
        }
    } else {
        PyObject *kernel = PyTuple_Pack(2, function, with_keyset ? Py_True : Py_False);
        rc = kernel ? PyDict_SetItem(host->kernels, number, kernel) : -1;
        Py_XDECREF(kernel);
    }
    Py_DECREF(number);
    if (rc < 0)
        return NULL;
    if (!(op->flags & MT_OP_CUSTOM) && !host->builtin)
        host->builtin = op->table;
    mt_kernel *table = mt_own_table(op);
    if (!table)
        return mtpy_raise();
    int only = functionality_of(key);
    for (int f = 0; f < MT_NUM_FUNCTIONALITIES; f++) {
        bool concerned = f == only;
        if (key == AUTOGRAD || key == COMPOSITE_IMPLICIT)
            concerned |= is_autograd(f);
        if (key >= COMPOSITE_IMPLICIT)
            concerned |= is_backend(f);
        /* a composite leaves autograd alone where a backend has a kernel */
        if (host->builtin == mt_table_composite && is_backend(only))
            concerned |= is_autograd(f);
        if (!concerned || f == MT_F_ADInplaceOrView)
            continue;
        table[f] = registered;
        if (f)
            op->key_mask |= (mt_keys)1 << (15 + f);
    }
    Py_RETURN_NONE;
}

/* _operator_kernels(name, overload) -> (dict of Python kernels, flags, has a kernel of the core,
 * composite of the core, differentiable) */
static PyObject *
operator_kernels(PyObject *module, PyObject *all)
{
    (void)module;
    const char *name, *overload;
    if (!PyArg_ParseTuple(all, "ss", &name, &overload))
        return NULL;
    mt_op *op = find(name, overload);
    if (!op)
        return NULL;
    const mtpy_op *host = op->host;
    const mt_kernel *table = host && host->builtin ? host->builtin : op->table;
    return Py_BuildValue("(NkOOO)",
                         host && host->kernels ? Py_NewRef(host->kernels) : PyDict_New(),
                         (unsigned long)op->flags, op->impl ? Py_True : Py_False,
                         table == mt_table_composite ? Py_True : Py_False,
                         op->derivative ? Py_True : Py_False);
}

static PyObject *
has_operator(PyObject *module, PyObject *all)
{
    (void)module;
    const char *name, *overload;
    if (!PyArg_ParseTuple(all, "ss", &name, &overload))
        return NULL;
    return PyBool_FromLong(mt_find_op(name, overload) != NULL);
}

static PyMethodDef functions[] = {
    {"_define_operator", define_operator, METH_VARARGS, NULL},
    {"_impl_operator", impl_operator, METH_VARARGS, NULL},
    {"_operator_kernels", operator_kernels, METH_VARARGS, NULL},
    {"_has_operator", has_operator, METH_VARARGS, NULL},
    {0},
};

int
mtpy_add_library(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
