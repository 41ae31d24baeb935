/* __torch_dispatch__: subclasses and modes below autograd.
 *
 * The Python key of a tensor, or of the thread while a mode is active, leads a boxed call here. The
 * arguments become Python objects, the innermost mode and then the classes of the arguments are
 * asked, and what they give back becomes the results of the operator: autograd above has recorded
 * the call as it records any other. While a mode answers it is off the stack. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/args.h"
#include "python/operators.h"
#include "python/tensor.h"

static PyObject *disabled_dispatch, *torch_dispatch_name;

bool
mtpy_has_torch_dispatch(PyTypeObject *type)
{
    PyObject *fn = _PyType_Lookup(type, torch_dispatch_name);
    return fn && fn != disabled_dispatch;
}

/* ---- the stack of modes ------------------------------------------------------------------- */

static PyObject *
mode_stack(void)
{
    PyObject *dict = PyThreadState_GetDict();
    if (!dict)
        return NULL;
    PyObject *list = PyDict_GetItemString(dict, "mindtorch_v2 dispatch modes");
    if (!list && (list = PyList_New(0))) {
        int rc = PyDict_SetItemString(dict, "mindtorch_v2 dispatch modes", list);
        Py_DECREF(list);
        if (rc < 0)
            return NULL;
    }
    return list;
}

/* The thread's key set follows the stack. */
static void
count_modes(PyObject *list)
{
    mt_thread *thread = mt_this_thread();
    thread->dispatch_modes = (uint32_t)PyList_GET_SIZE(list);
    if (thread->dispatch_modes)
        thread->included |= MT_KEY_BIT(Python);
    else
        thread->included &= ~MT_KEY_BIT(Python);
}

static int
push_mode(PyObject *mode)
{
    PyObject *list = mode_stack();
    if (!list || PyList_Append(list, mode) < 0)
        return -1;
    count_modes(list);
    return 0;
}

static PyObject *
pop_mode(void)
{
    PyObject *list = mode_stack();
    if (!list)
        return NULL;
    Py_ssize_t n = PyList_GET_SIZE(list);
    if (!n)
        return PyErr_Format(PyExc_RuntimeError, "the stack of dispatch modes is empty");
    PyObject *mode = Py_NewRef(PyList_GET_ITEM(list, n - 1));
    if (PyList_SetSlice(list, n - 1, n, NULL) < 0)
        Py_CLEAR(mode);
    count_modes(list);
    return mode;
}

/* ---- the handler -------------------------------------------------------------------------- */

#define MAX_OVERLOADED 64

typedef struct overloaded {
    PyObject *args[MAX_OVERLOADED]; /* borrowed, one per type, subclasses first */
    int n;
} overloaded;

static void
add_overloaded(overloaded *o, mt_tensor *t)
{
    PyObject *arg = (PyObject *)t;
    if (!t || !(t->keys & MT_KEY_BIT(Python)) || !mtpy_has_torch_dispatch(Py_TYPE(arg)))
        return;
    int place = o->n;
    for (int i = 0; i < o->n; i++) {
        if (Py_TYPE(o->args[i]) == Py_TYPE(arg))
            return;
        if (place == o->n && PyType_IsSubtype(Py_TYPE(arg), Py_TYPE(o->args[i])))
            place = i;
    }
    if (o->n == MAX_OVERLOADED)
        return;
    memmove(&o->args[place + 1], &o->args[place], (size_t)(o->n - place) * sizeof(PyObject *));
    o->args[place] = arg;
    o->n++;
}

static PyObject *
all_declined(const mt_op *op, PyObject *mode, const overloaded *o)
{
    const char *dots = strstr(op->name, "::");
    PyObject *text = PyUnicode_FromFormat(
        "Multiple dispatch failed for 'torch._ops.%s'; all __torch_dispatch__ handlers returned "
        "NotImplemented:\n",
        mt_str("%.*s.%s.%s", dots ? (int)(dots - op->name) : 0, op->name, dots ? dots + 2 : op->name,
               op->overload[0] ? op->overload : "default"));
    if (text && mode)
        Py_SETREF(text, PyUnicode_FromFormat("%U\n  - mode object %R", text, mode));
    for (int i = 0; text && i < o->n; i++)
        Py_SETREF(text, PyUnicode_FromFormat("%U\n  - tensor subclass %R", text,
                                             (PyObject *)Py_TYPE(o->args[i])));
    if (text) {
        PyErr_Format(PyExc_TypeError,
                     "%U\n\nFor more information, try re-running with TORCH_LOGS=not_implemented",
                     text);
        Py_DECREF(text);
    }
    return NULL;
}

/* The rule that torch.library.register_torch_dispatch set for the class, a new reference; NULL
 * without an exception where there is none. */
static PyObject *
rule_of(const mt_op *op, PyObject *func, PyObject *object)
{
    if (!(op->flags & MT_OP_CUSTOM))
        return NULL;
    PyObject *rules = PyObject_GetAttrString(func, "_torch_dispatch_rules");
    PyObject *rule = NULL;
    if (rules && PyDict_Check(rules))
        rule = Py_XNewRef(PyDict_GetItem(rules, (PyObject *)Py_TYPE(object)));
    Py_XDECREF(rules);
    PyErr_Clear();
    return rule;
}

static PyObject *
ask_object(const mt_op *op, PyObject *object, PyObject *mode, PyObject *func, PyObject *types,
           PyObject *args, PyObject *kwargs)
{
    PyObject *rule = rule_of(op, func, object);
    if (!rule)
        return PyObject_CallMethodObjArgs(object, torch_dispatch_name, func, types, args, kwargs,
                                          NULL);
    PyObject *result = PyObject_CallFunctionObjArgs(rule, mode, func, types, args, kwargs, NULL);
    Py_DECREF(rule);
    return result;
}

static PyObject *
ask_mode(const mt_op *op, PyObject *mode, PyObject *func, PyObject *types, PyObject *args, PyObject *kwargs)
{
    PyObject *type, *value, *trace;
    PyObject *result = ask_object(op, mode, mode, func, types, args, kwargs);
    PyErr_Fetch(&type, &value, &trace);
    if (push_mode(mode) < 0) {
        Py_CLEAR(result);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    } else
        PyErr_Restore(type, value, trace);
    return result;
}

/* The outcome of the modes and classes that are asked, a new reference or NULL. */
static PyObject *
ask(const mt_op *op, const overloaded *o, PyObject *args, PyObject *kwargs)
{
    PyObject *func = mtpy_overload(op), *types = func ? PyTuple_New(o->n) : NULL;
    PyObject *result = NULL, *mode = NULL;
    if (!types)
        goto done;
    for (int i = 0; i < o->n; i++)
        PyTuple_SET_ITEM(types, i, Py_NewRef((PyObject *)Py_TYPE(o->args[i])));
    if (mt_this_thread()->dispatch_modes) {
        if (!(mode = pop_mode()) || !(result = ask_mode(op, mode, func, types, args, kwargs)))
            goto done;
    }
    for (int i = 0; i < o->n && (!result || result == Py_NotImplemented); i++) {
        Py_CLEAR(result);
        result = ask_object(op, o->args[i], Py_None, func, types, args, kwargs);
        if (!result)
            goto done;
    }
    if (!result || result == Py_NotImplemented) {
        Py_CLEAR(result);
        all_declined(op, mode, o);
    }
done:
    Py_XDECREF(func);
    Py_XDECREF(types);
    Py_XDECREF(mode);
    return result;
}

/* What writes into an argument gives that argument back, whatever Python returned. */
static void
return_written(mt_call *call)
{
    const mt_op *op = call->op;
    if (!(op->flags & (MT_OP_INPLACE | MT_OP_OUT)))
        return;
    int first = op->flags & MT_OP_INPLACE ? 0 : op->nargs - op->nouts;
    int n = op->flags & MT_OP_INPLACE ? 1 : op->nouts;
    for (int i = 0; i < n && i < op->nrets; i++) {
        mt_value *given = &call->args[first + i], *ret = &call->rets[i];
        if (given->tag != MT_V_TENSOR || ret->tag == MT_V_TENSORS)
            continue;
        mt_tensor *old = ret->tag == MT_V_TENSOR ? ret->u.t : NULL;
        *ret = mt_v_tensor(mt_keep(given->u.t));
        mt_xrelease(old);
    }
}

static int
python_handler(mt_call *call)
{
    const mt_op *op = call->op;
    mt_thread *thread = call->thread;
    overloaded o = {.n = 0};
    for (int i = 0; i < op->nargs; i++) {
        const mt_value *v = &call->args[i];
        if (v->tag == MT_V_TENSOR)
            add_overloaded(&o, v->u.t);
        else if (v->tag == MT_V_TENSORS)
            for (uint32_t k = 0; k < v->len; k++)
                add_overloaded(&o, v->u.ts[k]);
    }
    if (!o.n && !thread->dispatch_modes)
        return mt_redispatch_below(call, MT_F_Python);
    mt_key_guard saved = {thread->included, thread->excluded};
    if (thread->excluded & MT_KEY_BIT(AutogradFunctionality))
        thread->excluded |= MT_KEY_BIT(ADInplaceOrView);
    PyObject *args, *kwargs, *result = NULL;
    int rc = -1;
    if (mtpy_pack_call(op, call->args, &args, &kwargs) == 0) {
        result = ask(op, &o, args, kwargs);
        Py_DECREF(args);
        Py_DECREF(kwargs);
    }
    thread->excluded = saved.excluded;
    if (result) {
        rc = mtpy_unpack_results(op, result, call->rets);
        Py_DECREF(result);
    }
    if (rc < 0)
        return mtpy_keep_exception();
    return_written(call);
    return 0;
}

/* ---- aliases of subclasses that the core makes for itself ---------------------------------- */

/* The class makes the alias (detach), unseen by autograd and view tracking. */
static mt_tensor *
alias_of_subclass(const mt_tensor *self)
{
    mt_thread *thread = mt_this_thread();
    mt_key_guard saved =
        mt_exclude_keys(thread, MT_AUTOGRAD_KEYS | MT_KEY_BIT(ADInplaceOrView));
    mt_tensor *t = aten_detach((mt_tensor *)self);
    mt_restore_keys(thread, saved);
    return t;
}

/* ---- wrapper subclasses ------------------------------------------------------------------- */

/* Geometry without memory. The Meta bit beside the backend's own sends every kernel that would
 * run on it after all (with __torch_dispatch__ switched off) to the place that refuses. */
static PyObject *
make_wrapper_subclass(PyObject *module, PyObject *all, PyObject *kwargs)
{
    static char *names[] = {"cls", "size", "strides", "storage_offset", "memory_format", "dtype",
                            "layout", "device", "pin_memory", "requires_grad",
                            "dispatch_sizes_strides_policy", "dispatch_device", "dispatch_layout",
                            "_extra_dispatch_keys", "storage_size", NULL};
    (void)module;
    PyTypeObject *type;
    PyObject *size = NULL, *strides = Py_None, *offset = Py_None, *format = Py_None,
             *dtype = Py_None, *layout = NULL, *device = Py_None, *policy = Py_None,
             *extra = Py_None, *bytes = Py_None;
    int pin = 0, grad = 0, d1 = 0, d2 = 0;
    if (!PyArg_ParseTupleAndKeywords(all, kwargs, "O!O|OOOOOOppOppOO:_make_wrapper_subclass", names,
                                     &PyType_Type, &type, &size, &strides, &offset, &format, &dtype,
                                     &layout, &device, &pin, &grad, &policy, &d1, &d2, &extra, &bytes))
        return NULL;
    if (!PyType_IsSubtype(type, mtpy_tensor_base))
        return PyErr_Format(PyExc_TypeError,
                            "Creating a Tensor subclass from a class that does not inherit from "
                            "Tensor is not possible. Make sure your class inherits from Tensor.");
    if (!mtpy_has_torch_dispatch(type))
        return PyErr_Format(PyExc_TypeError, "%s must define __torch_dispatch__",
                            _PyType_Name(type));
    if (policy != Py_None || pin || extra != Py_None)
        return PyErr_Format(PyExc_NotImplementedError,
                            "_make_wrapper_subclass: %s is not supported",
                            policy != Py_None ? "dispatch_sizes_strides_policy"
                            : pin             ? "pin_memory"
                                              : "_extra_dispatch_keys");
    static const mtpy_param ints = {"size", MT_A_INTS, 0, -1, 0, {0}};
    static const mtpy_param maybe_ints = {"strides", MT_A_INTS, MTPY_NONE_OK, -1, 0, {0}};
    mtpy_arena arena = {.used = 0};
    mt_value sizes, steps;
    mt_dtype d = mt_default_dtype;
    mt_device where = MT_CPU_DEVICE;
    mt_tensor *plain = NULL;
    PyObject *result = NULL;
    long long start = 0;
    if (!mtpy_accepts(&ints, size) || !mtpy_accepts(&maybe_ints, strides)) {
        PyErr_Format(PyExc_TypeError,
                     "_make_wrapper_subclass(): argument '%s' must be tuple of ints, not %s",
                     mtpy_accepts(&ints, size) ? "strides" : "size",
                     _PyType_Name(Py_TYPE(mtpy_accepts(&ints, size) ? strides : size)));
        goto done;
    }
    if (mtpy_convert(&ints, size, &sizes, &arena) < 0 ||
        mtpy_convert(&maybe_ints, strides, &steps, &arena) < 0)
        goto done;
    if (dtype != Py_None && mtpy_as_dtype(dtype, &d) != 1) {
        PyErr_Format(PyExc_TypeError, "_make_wrapper_subclass(): argument 'dtype' must be torch.dtype");
        goto done;
    }
    if (device != Py_None && mtpy_as_device(device, &where) < 0)
        goto done;
    if (offset != Py_None && (start = PyLong_AsLongLong(offset)) == -1 && PyErr_Occurred())
        goto done;
    if (grad && d < MT_FLOAT16) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Only Tensors of floating point and complex dtype can require gradients");
        goto done;
    }
    if (sizes.len > MT_MAX_DIMS || (steps.tag == MT_V_INTS && steps.len != sizes.len)) {
        PyErr_Format(PyExc_RuntimeError, "mismatch in length of strides and shape");
        goto done;
    }
    mt_memory_format f = format == Py_None || Py_TYPE(format) != mtpy_format_type
                             ? MT_CONTIGUOUS
                             : (mt_memory_format)((mtpy_named *)format)->value;
    mt_device meta = {MT_META, -1};
    plain = steps.tag == MT_V_INTS
                ? mt_empty((int)sizes.len, sizes.u.is, steps.u.is, d, meta)
                : mt_empty_format((int)sizes.len, sizes.u.is, d, meta, f);
    if (!plain) {
        mtpy_raise();
        goto done;
    }
    if (mt_mul_overflows(start, mt_itemsize(plain), &(int64_t){0})) {
        PyErr_Format(PyExc_RuntimeError, "Tensor: invalid storage offset %lld", start);
        goto done;
    }
    plain->storage->nbytes += (size_t)start * (size_t)mt_itemsize(plain);
    plain->offset = start;
    plain->device = where;
    plain->keys = mt_device_keys(where, false) | MT_BACKEND_BIT(Meta);
    result = mtpy_make_subclass(type, plain, grad);
done:
    mt_xrelease(plain);
    mtpy_arena_clear(&arena);
    return result;
}

/* ---- what Python asks --------------------------------------------------------------------- */

static PyObject *
push_dispatch_mode(PyObject *module, PyObject *mode)
{
    (void)module;
    return push_mode(mode) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
pop_dispatch_mode(PyObject *module, PyObject *args)
{
    (void)module;
    (void)args;
    return pop_mode();
}

static PyObject *
dispatch_mode_count(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLong(mt_this_thread()->dispatch_modes);
}

static PyObject *
dispatch_mode_at(PyObject *module, PyObject *index)
{
    (void)module;
    PyObject *list = mode_stack();
    return list ? PyObject_GetItem(list, index) : NULL;
}

/* (included, excluded) of the calling thread, as raw key sets. */
/* _set_conj(tensor, bool), _set_neg: the bit alone; the elements stay as they are. */
static PyObject *
set_bit(PyObject *args, mt_keys bit, bool complex_only)
{
    PyObject *o;
    int on;
    if (!PyArg_ParseTuple(args, "Op", &o, &on))
        return NULL;
    if (!mtpy_is_tensor(o))
        return PyErr_Format(PyExc_TypeError, "a tensor is needed, not %s", Py_TYPE(o)->tp_name);
    mt_tensor *t = (mt_tensor *)o;
    if (complex_only && !mt_is_complex((mt_dtype)t->dtype))
        return PyErr_Format(PyExc_RuntimeError,
                            "only complex tensors have a conjugate bit, this one is of dtype %s",
                            mt_dtypes[t->dtype].scalar_name);
    t->keys = on ? t->keys | bit : t->keys & ~bit;
    Py_RETURN_NONE;
}

static PyObject *
set_conj(PyObject *module, PyObject *args)
{
    (void)module;
    return set_bit(args, MT_KEY_BIT(Conjugate), true);
}

static PyObject *
set_neg(PyObject *module, PyObject *args)
{
    (void)module;
    return set_bit(args, MT_KEY_BIT(Negative), false);
}

static PyObject *
thread_keys(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    const mt_thread *thread = mt_this_thread();
    return Py_BuildValue("(KK)", (unsigned long long)thread->included,
                         (unsigned long long)thread->excluded);
}

static PyObject *
set_thread_keys(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned long long included, excluded;
    if (!PyArg_ParseTuple(args, "KK", &included, &excluded))
        return NULL;
    if ((included | excluded) & ~MT_FULL_KEYS)
        return PyErr_Format(PyExc_ValueError, "a key set has no bits above 61");
    mt_thread *thread = mt_this_thread();
    thread->included = included;
    thread->excluded = excluded;
    Py_RETURN_NONE;
}

static PyObject *
tensor_keys(PyObject *module, PyObject *o)
{
    (void)module;
    if (!mtpy_is_tensor(o))
        return PyErr_Format(PyExc_TypeError, "a tensor is needed, not %s", _PyType_Name(Py_TYPE(o)));
    const mt_tensor *t = (const mt_tensor *)o;
    mt_keys keys = t->keys;
    if (keys & MT_KEY_BIT(Python)) {
        keys |= MT_KEY_BIT(PythonTLSSnapshot);
        if (!mt_is_meta(t)) /* a wrapper's, see make_wrapper_subclass */
            keys &= ~MT_BACKEND_BIT(Meta);
    }
    return PyLong_FromUnsignedLongLong(keys);
}

/* _share_storage(t, other): t becomes a window on the storage of other, geometry as it is. Only for
 * wrappers, which never touch the memory. */
static PyObject *
share_storage(PyObject *module, PyObject *all)
{
    (void)module;
    PyObject *a, *b;
    if (!PyArg_ParseTuple(all, "O!O!", mtpy_tensor_base, &a, mtpy_tensor_base, &b))
        return NULL;
    mt_tensor *t = (mt_tensor *)a, *other = (mt_tensor *)b;
    if (t->storage == other->storage)
        Py_RETURN_NONE;
    if (mt_has_data(t) && mt_check_bounds(other->storage, (mt_dtype)t->dtype, t->offset, t->ndim,
                                          t->sizes, t->strides, "_share_storage") < 0)
        return mtpy_raise();
    if (other->storage->data == NULL && t->numel && !(t->keys & MT_BACKEND_BIT(Meta)))
        return PyErr_Format(PyExc_RuntimeError, "only wrappers can share a storage without memory");
    mt_storage *old = t->storage;
    t->storage = mt_storage_keep(other->storage);
    mt_storage_unref(old);
    Py_RETURN_NONE;
}

/* Runs the function with __torch_dispatch__ switched off: the default of Tensor. */
static PyObject *
disabled_impl(PyObject *self, PyObject *all)
{
    (void)self;
    PyObject *func, *types, *args = NULL, *kwargs = NULL;
    if (!PyArg_ParseTuple(all, "OO|OO", &func, &types, &args, &kwargs))
        return NULL;
    mt_thread *thread = mt_this_thread();
    PyObject *tuple = args ? PySequence_Tuple(args) : PyTuple_New(0), *r = NULL;
    if (tuple) {
        mt_key_guard saved = mt_exclude_keys(thread, MT_KEY_BIT(Python));
        r = PyObject_Call(func, tuple, kwargs == Py_None ? NULL : kwargs);
        mt_restore_keys(thread, saved);
        Py_DECREF(tuple);
    }
    return r;
}

/* Names that only few programs need live in mindtorch_v2._dispatch, loaded on first use. */
static PyObject *
late_attribute(PyObject *module, PyObject *name)
{
    (void)module;
    const char *text = PyUnicode_AsUTF8(name);
    if (!text)
        return NULL;
    if (strncmp(text, "__", 2)) {
        PyObject *late = PyImport_ImportModule("mindtorch_v2._dispatch");
        if (!late)
            return NULL;
        PyObject *names = PyObject_GetAttrString(late, "__all__");
        int known = names ? PySequence_Contains(names, name) : -1;
        PyObject *value = known > 0 ? PyObject_GetAttr(late, name) : NULL;
        Py_XDECREF(names);
        Py_DECREF(late);
        if (value || known < 0)
            return value;
    }
    return PyErr_Format(PyExc_AttributeError, "module '%s' has no attribute '%U'", "mindtorch_v2._C",
                        name);
}

static PyMethodDef functions[] = {
    {"_push_on_torch_dispatch_stack", push_dispatch_mode, METH_O, NULL},
    {"_pop_torch_dispatch_stack", pop_dispatch_mode, METH_VARARGS, NULL},
    {"_len_torch_dispatch_stack", dispatch_mode_count, METH_NOARGS, NULL},
    {"_get_dispatch_stack_at", dispatch_mode_at, METH_O, NULL},
    {"_thread_keys", thread_keys, METH_NOARGS, NULL},
    {"_set_conj", set_conj, METH_VARARGS, NULL},
    {"_set_neg", set_neg, METH_VARARGS, NULL},
    {"_set_thread_keys", set_thread_keys, METH_VARARGS, NULL},
    {"_tensor_keys", tensor_keys, METH_O, NULL},
    {"_share_storage", share_storage, METH_VARARGS, NULL},
    {"_disabled_torch_dispatch_impl", disabled_impl, METH_VARARGS, NULL},
    {"__getattr__", late_attribute, METH_O, NULL},
    {0},
};

static PyMethodDef methods[] = {
    {"_make_wrapper_subclass", (PyCFunction)(void (*)(void))make_wrapper_subclass,
     METH_VARARGS | METH_KEYWORDS | METH_STATIC, NULL},
    {0},
};

int
mtpy_add_dispatch(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    PyObject *fn = PyCFunction_New(methods, NULL);
    PyObject *wrapped = fn ? PyStaticMethod_New(fn) : NULL;
    int rc = wrapped ? PyDict_SetItemString(mtpy_tensor_base->tp_dict, methods[0].ml_name, wrapped)
                     : -1;
    Py_XDECREF(fn);
    Py_XDECREF(wrapped);
    PyType_Modified(mtpy_tensor_base);
    disabled_dispatch = PyObject_GetAttrString(module, "_disabled_torch_dispatch_impl");
    torch_dispatch_name = PyUnicode_InternFromString("__torch_dispatch__");
    mt_python_handler = python_handler;
    mt_alias_of_subclass = alias_of_subclass;
    return rc < 0 || !disabled_dispatch || !torch_dispatch_name ? -1 : 0;
}
