/* __torch_function__: subclasses and modes that take calls over.
 *
 * Every entry point that Python calls asks one cheap question first: is the tensor of another class
 * than Tensor and Parameter, or is a mode active? Only then the call is packed up here (function,
 * types, arguments) and offered: to the innermost mode, then to the arguments whose types override,
 * subclasses before the classes they derive from, until one of them answers. While a mode answers
 * it is off the stack, so what it calls reaches the next one. */
#include "python/overrides.h"

#include "base/error.h"
#include "python/args.h"
#include "python/tensor.h"

static PyObject *disabled_function, *torch_function_name;
extern const mtpy_packet mtpy_packets_function[], mtpy_packets_nn[], mtpy_packets_linalg[],
    mtpy_packets_fft[], mtpy_packets_special[];

static PyObject *core;      /* the module _C, borrowed */
static PyObject *spaces[6]; /* by mtpy_namespace: where the functions live; NULL for methods */
static const char *const space_names[] = {"torch", "torch.Tensor", "torch.nn",
                                          "torch.linalg", "torch.fft", "torch.special"};

/* ---- who overrides ------------------------------------------------------------------------ */

static PyObject *
override_of(PyTypeObject *type)
{
    PyObject *fn = _PyType_Lookup(type, torch_function_name);
    return fn && fn != disabled_function ? fn : NULL;
}

bool
mtpy_has_torch_function(PyObject *o)
{
    if (mtpy_is_plain_tensor(o) || !(Py_TYPE(o)->tp_flags & Py_TPFLAGS_HEAPTYPE))
        return false;
    const mt_thread *thread = mt_this_thread();
    return !thread->overrides_disabled && !thread->subclass_overrides_disabled &&
           override_of(Py_TYPE(o));
}

static bool
modes_on(void)
{
    const mt_thread *thread = mt_this_thread();
    return thread->function_modes && !thread->overrides_disabled;
}

#define MAX_OVERLOADED 64

typedef struct overloaded {
    PyObject *args[MAX_OVERLOADED]; /* borrowed, one per type, in the order they are asked */
    int n;
} overloaded;

static void
add_overloaded(overloaded *o, PyObject *arg)
{
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

/* The argument, or what lies in a list or tuple that is the argument. */
static void
gather(overloaded *o, PyObject *arg)
{
    if (!arg)
        return;
    if (mtpy_has_torch_function(arg)) {
        add_overloaded(o, arg);
        return;
    }
    if (!PyTuple_Check(arg) && !PyList_Check(arg))
        return;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(arg); i++)
        if (mtpy_has_torch_function(PySequence_Fast_GET_ITEM(arg, i)))
            add_overloaded(o, PySequence_Fast_GET_ITEM(arg, i));
}

/* ---- the stack of modes ------------------------------------------------------------------- */

/* The calling thread's stack, borrowed; innermost last. */
static PyObject *
mode_stack(void)
{
    PyObject *dict = PyThreadState_GetDict();
    if (!dict)
        return NULL;
    PyObject *list = PyDict_GetItemString(dict, "mindtorch_v2 function modes");
    if (!list) {
        list = PyList_New(0);
        if (!list || PyDict_SetItemString(dict, "mindtorch_v2 function modes", list) < 0) {
            Py_XDECREF(list);
            return NULL;
        }
        Py_DECREF(list);
    }
    return list;
}

static int
push_mode(PyObject *mode)
{
    PyObject *list = mode_stack();
    if (!list || PyList_Append(list, mode) < 0)
        return -1;
    mt_this_thread()->function_modes = (uint32_t)PyList_GET_SIZE(list);
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
        return PyErr_Format(PyExc_RuntimeError, "the stack of function modes is empty");
    PyObject *mode = Py_NewRef(PyList_GET_ITEM(list, n - 1));
    if (PyList_SetSlice(list, n - 1, n, NULL) < 0)
        Py_CLEAR(mode);
    mt_this_thread()->function_modes = (uint32_t)PyList_GET_SIZE(list);
    return mode;
}

/* ---- the offer ---------------------------------------------------------------------------- */

static PyObject *
types_of(const overloaded *o)
{
    PyObject *types = PyTuple_New(o->n);
    for (int i = 0; types && i < o->n; i++)
        PyTuple_SET_ITEM(types, i, Py_NewRef((PyObject *)Py_TYPE(o->args[i])));
    return types;
}

static PyObject *
ask(PyObject *who, PyObject *func, PyObject *types, PyObject *args, PyObject *kwargs)
{
    return PyObject_CallMethodObjArgs(who, torch_function_name, func, types, args, kwargs, NULL);
}

/* A class method answers for the type; an instance method is the old way. */
static int
warn_plain_method(PyObject *arg, bool from_python)
{
    static bool warned;
    PyObject *fn = PyObject_GetAttr(arg, torch_function_name);
    if (!fn)
        return -1;
    int rc = 0;
    if (PyMethod_Check(fn) && PyMethod_GET_SELF(fn) == arg && (from_python || !warned)) {
        warned |= !from_python;
        rc = PyErr_WarnFormat(from_python ? PyExc_DeprecationWarning : PyExc_UserWarning, 1,
                              "Defining your `__torch_function__%s as a plain method is deprecated "
                              "and will be an error in future, please define it as a classmethod.",
                              from_python ? "" : "`");
    }
    Py_DECREF(fn);
    return rc;
}

static PyObject *
all_declined(const char *space, const char *name, PyObject *mode, const overloaded *o)
{
    PyObject *text = PyUnicode_FromFormat("Multiple dispatch failed for '%s.%s'; all "
                                          "__torch_function__ handlers returned NotImplemented:\n",
                                          space, name);
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

/* Asks the innermost mode, then the arguments. New reference, NULL with an exception. *mode keeps
 * the mode that was asked, for the error text. NotImplemented: nobody answered. */
static PyObject *
offer(PyObject *func, const overloaded *o, PyObject *args, PyObject *kwargs, PyObject **mode,
      bool from_python)
{
    PyObject *types = types_of(o), *result = NULL;
    *mode = NULL;
    if (!types)
        return NULL;
    if (modes_on()) {
        *mode = pop_mode();
        result = *mode ? ask(*mode, func, types, args, kwargs) : NULL;
        if (*mode) {
            PyObject *type, *value, *trace;
            PyErr_Fetch(&type, &value, &trace);
            if (push_mode(*mode) < 0) {
                Py_CLEAR(result);
                Py_XDECREF(type);
                Py_XDECREF(value);
                Py_XDECREF(trace);
            } else
                PyErr_Restore(type, value, trace);
        }
        if (!result)
            goto done;
    }
    for (int i = 0; i < o->n && (!result || result == Py_NotImplemented); i++) {
        Py_CLEAR(result);
        if (warn_plain_method(o->args[i], from_python) < 0)
            goto done;
        if (!(result = ask(o->args[i], func, types, args, kwargs)))
            goto done;
    }
    if (!result)
        result = Py_NewRef(Py_NotImplemented);
done:
    Py_DECREF(types);
    if (!result)
        Py_CLEAR(*mode);
    return result;
}

/* (self, *args) */
static PyObject *
pack(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *tuple = PyTuple_New(nargs + (self != NULL));
    Py_ssize_t at = 0;
    if (tuple && self)
        PyTuple_SET_ITEM(tuple, at++, Py_NewRef(self));
    for (Py_ssize_t i = 0; tuple && i < nargs; i++)
        PyTuple_SET_ITEM(tuple, at++, Py_NewRef(args[i]));
    return tuple;
}

/* What offer() says, as an entry point returns it. */
static bool
conclude(PyObject *answer, const char *space, const char *name, PyObject *mode, const overloaded *o,
         PyObject **result)
{
    if (answer == Py_NotImplemented) {
        Py_DECREF(answer);
        answer = all_declined(space, name, mode, o);
    }
    Py_XDECREF(mode);
    *result = answer;
    return true;
}

/* The function as the program knows it; constructors such as torch.tensor live in _C itself. */
static PyObject *
find_function(const mtpy_packet *packet)
{
    if (packet->space == MTPY_NS_METHOD)
        return PyObject_GetAttrString((PyObject *)mtpy_tensor_type, packet->name);
    PyObject *func = PyObject_GetAttrString(spaces[packet->space], packet->name);
    if (!func && packet->space == MTPY_NS_FUNCTION) {
        PyErr_Clear();
        func = PyObject_GetAttrString(core, packet->name);
    }
    return func;
}

/* `func` is taken over. It is NULL where looking it up failed. */
static bool
offer_call(PyObject *func, const char *space, const char *name, const overloaded *o, PyObject *self,
           PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject **result)
{
    *result = NULL;
    PyObject *tuple = NULL, *kwargs = NULL, *mode = NULL;
    if (!func || !(tuple = pack(self, args, nargs)))
        goto fail;
    if (kwnames && PyTuple_GET_SIZE(kwnames)) {
        if (!(kwargs = PyDict_New()))
            goto fail;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++)
            if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0)
                goto fail;
    }
    PyObject *answer = offer(func, o, tuple, kwargs, &mode, false);
    conclude(answer, space, name, mode, o, result);
fail:
    Py_XDECREF(func);
    Py_XDECREF(tuple);
    Py_XDECREF(kwargs);
    return true;
}

static void
gather_all(overloaded *o, PyObject *const *objects, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        gather(o, objects[i]);
}

bool
mtpy_torch_function_matched(const mtpy_packet *packet, PyObject *self, PyObject *const *objects,
                            int nobjects, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames, PyObject **result)
{
    overloaded o = {.n = 0};
    gather(&o, self);
    if (objects)
        gather_all(&o, objects, nobjects);
    else
        gather_all(&o, args, nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0));
    if (!o.n && !modes_on())
        return false;
    return offer_call(find_function(packet), space_names[packet->space], packet->name, &o, self, args,
                      nargs, kwnames, result);
}

bool
mtpy_offer_to_modes(const mtpy_packet *packet, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames, PyObject **result)
{
    overloaded o = {.n = 0};
    if (!modes_on())
        return false;
    return offer_call(find_function(packet), space_names[packet->space], packet->name, &o, NULL, args,
                      nargs, kwnames, result);
}

bool
mtpy_offer_function(PyObject *func, PyObject *const *objects, int nobjects, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, PyObject **result)
{
    overloaded o = {.n = 0};
    gather_all(&o, objects, nobjects);
    if (!o.n && !modes_on())
        return false;
    PyObject *name = PyObject_Str(func);
    const char *text = name ? PyUnicode_AsUTF8(name) : NULL;
    bool taken = offer_call(text ? Py_NewRef(func) : NULL, "torch.ops", text ? text : "", &o, NULL,
                            args, nargs, kwnames, result);
    Py_XDECREF(name);
    return taken;
}

bool
mtpy_torch_function(const mtpy_packet *packet, PyObject *self, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, PyObject **result)
{
    return mtpy_torch_function_matched(packet, self, NULL, 0, args, nargs, kwnames, result);
}

/* `func` is called with (self, *args). `counts`: self is among the types even where it is a plain
 * tensor that a mode watches, as PyTorch has it for attributes and for methods without arguments. */
static bool
offer_of_self(PyObject *func, const char *name, PyObject *self, PyObject *args, PyObject *kwargs,
              bool counts, PyObject **result)
{
    overloaded o = {.n = 0};
    PyObject *mode = NULL;
    *result = NULL;
    if (!func)
        return true;
    if (counts || mtpy_has_torch_function(self))
        add_overloaded(&o, self);
    PyObject *tuple = pack(self, args ? ((PyTupleObject *)args)->ob_item : NULL,
                           args ? PyTuple_GET_SIZE(args) : 0);
    if (tuple) {
        PyObject *answer = offer(func, &o, tuple, kwargs, &mode, false);
        conclude(answer, "torch.Tensor", name, mode, &o, result);
        Py_DECREF(tuple);
    }
    Py_DECREF(func);
    return true;
}

bool
mtpy_override_method(PyObject *self, const char *name, PyObject *args, PyObject *kwargs,
                     PyObject **result)
{
    if (!modes_on() && !mtpy_has_torch_function(self))
        return false;
    return offer_of_self(PyObject_GetAttrString((PyObject *)mtpy_tensor_type, name), name, self,
                         args, kwargs, !args, result);
}

bool
mtpy_override_property(PyObject *self, const char *name, const char *access, PyObject *value,
                       PyObject **result)
{
    if (!modes_on() && !mtpy_has_torch_function(self))
        return false;
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)mtpy_tensor_type, name);
    PyObject *func = descriptor ? PyObject_GetAttrString(descriptor, access) : NULL;
    PyObject *args = func && value ? PyTuple_Pack(1, value) : NULL;
    bool taken = offer_of_self(func, mt_str("%s.%s", name, access), self, args, NULL, true,
                               result);
    Py_XDECREF(descriptor);
    Py_XDECREF(args);
    return taken;
}

/* ---- for Python functions that check themselves -------------------------------------------- */

static PyObject *
has_torch_function(PyObject *module, PyObject *args)
{
    (void)module;
    if (modes_on())
        Py_RETURN_TRUE;
    PyObject *seq = PySequence_Fast(args, "expected a sequence");
    if (!seq)
        return NULL;
    bool any = false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(seq) && !any; i++)
        any = mtpy_has_torch_function(PySequence_Fast_GET_ITEM(seq, i));
    Py_DECREF(seq);
    return PyBool_FromLong(any);
}

static PyObject *
has_torch_function_unary(PyObject *module, PyObject *arg)
{
    (void)module;
    return PyBool_FromLong(modes_on() || mtpy_has_torch_function(arg));
}

static PyObject *
has_torch_function_variadic(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    if (modes_on())
        Py_RETURN_TRUE;
    for (Py_ssize_t i = 0; i < n; i++)
        if (mtpy_has_torch_function(args[i]))
            Py_RETURN_TRUE;
    Py_RETURN_FALSE;
}

/* Types that have the method count here, Tensor too (its default does the work again with
 * subclasses switched off). */
static int
gather_types(overloaded *o, PyObject *relevant)
{
    const mt_thread *thread = mt_this_thread();
    if (thread->overrides_disabled || thread->subclass_overrides_disabled)
        return 0;
    PyObject *seq = PySequence_Fast(relevant, "relevant_args must be a sequence");
    if (!seq)
        return -1;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(seq); i++)
        if (override_of(Py_TYPE(PySequence_Fast_GET_ITEM(seq, i))))
            add_overloaded(o, PySequence_Fast_GET_ITEM(seq, i));
    Py_DECREF(seq); /* the caller's sequence still holds the items */
    return 0;
}

/* _get_overloaded_args(relevant_args) -> list, in the order they are asked. */
static PyObject *
get_overloaded_args(PyObject *module, PyObject *relevant)
{
    (void)module;
    overloaded o = {.n = 0};
    if (gather_types(&o, relevant) < 0)
        return NULL;
    PyObject *list = PyList_New(o.n);
    for (int i = 0; list && i < o.n; i++)
        PyList_SET_ITEM(list, i, Py_NewRef(o.args[i]));
    return list;
}

/* The module a function counts to: what lives in mindtorch_v2 is named as PyTorch names it. */
static PyObject *
home_of(PyObject *func)
{
    PyObject *home = PyObject_GetAttrString(func, "__module__");
    const char *text = home && PyUnicode_Check(home) ? PyUnicode_AsUTF8(home) : NULL;
    if (text && !strncmp(text, "mindtorch_v2", 12)) {
        const char *rest = text + 12;
        Py_SETREF(home, PyUnicode_FromFormat(
                            "torch%s", strcmp(rest, "._C._VariableFunctions") ? rest : ""));
    }
    return home;
}

/* _handle_torch_function(public_api, relevant_args, args, kwargs) */
static PyObject *
handle_torch_function(PyObject *module, PyObject *all)
{
    (void)module;
    PyObject *func, *relevant, *args, *kwargs, *mode = NULL;
    overloaded o = {.n = 0};
    if (!PyArg_ParseTuple(all, "OOO!O!", &func, &relevant, &PyTuple_Type, &args, &PyDict_Type,
                          &kwargs) ||
        gather_types(&o, relevant) < 0)
        return NULL;
    PyObject *answer = offer(func, &o, args, kwargs, &mode, true);
    if (answer == Py_NotImplemented) {
        Py_CLEAR(answer);
        PyObject *home = home_of(func);
        PyObject *name = home ? PyObject_GetAttrString(func, "__name__") : NULL;
        PyObject *types = name ? types_of(&o) : NULL;
        PyObject *list = types ? PySequence_List(types) : NULL;
        PyObject *tail = !list  ? NULL
                         : mode ? PyUnicode_FromFormat(" nor in mode %R", mode)
                                : PyUnicode_FromString("");
        if (tail)
            PyErr_Format(PyExc_TypeError,
                         "no implementation found for '%S.%S' on types that implement "
                         "__torch_function__: %R%U",
                         home, name, list, tail);
        Py_XDECREF(home);
        Py_XDECREF(name);
        Py_XDECREF(types);
        Py_XDECREF(list);
        Py_XDECREF(tail);
    }
    Py_XDECREF(mode);
    return answer;
}

/* _functions_with_tensors() -> frozenset of the names of functions that have a tensor among their
 * arguments, in any namespace. */
static PyObject *
functions_with_tensors(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    const mtpy_packet *tables[] = {mtpy_packets_function, mtpy_packets_nn, mtpy_packets_linalg,
                                   mtpy_packets_fft, mtpy_packets_special};
    PyObject *names = PySet_New(NULL);
    for (size_t t = 0; names && t < MT_COUNT(tables); t++)
        for (const mtpy_packet *p = tables[t]; names && p->name; p++) {
            bool any = false;
            for (int i = 0; i < p->count; i++)
                for (int k = 0; k < p->signatures[i].nparams; k++) {
                    const mtpy_param *param = &p->signatures[i].params[k];
                    any |= param->arg != MTPY_OUT &&
                           (param->type == MT_A_TENSOR || param->type == MT_A_TENSORS);
                }
            PyObject *name = any ? PyUnicode_FromString(p->name) : NULL;
            if (any && (!name || PySet_Add(names, name) < 0))
                Py_CLEAR(names);
            Py_XDECREF(name);
        }
    return names;
}

/* Runs the function with the overrides of subclasses off: what a class names to opt out. */
static PyObject *
disabled_impl(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *func, *types, *fargs = NULL, *kwargs = NULL;
    if (!PyArg_ParseTuple(args, "OO|OO", &func, &types, &fargs, &kwargs))
        return NULL;
    mt_thread *thread = mt_this_thread();
    bool before = thread->subclass_overrides_disabled;
    thread->subclass_overrides_disabled = true;
    PyObject *tuple = fargs ? PySequence_Tuple(fargs) : PyTuple_New(0);
    PyObject *r = tuple ? PyObject_Call(func, tuple, kwargs == Py_None ? NULL : kwargs) : NULL;
    Py_XDECREF(tuple);
    thread->subclass_overrides_disabled = before;
    return r;
}

/* ---- modes, as Python handles them -------------------------------------------------------- */

static PyObject *
push_function_mode(PyObject *module, PyObject *mode)
{
    (void)module;
    return push_mode(mode) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
pop_function_mode(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return pop_mode();
}

static PyObject *
function_mode_count(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLong(mt_this_thread()->function_modes);
}

static PyObject *
function_mode_at(PyObject *module, PyObject *index)
{
    (void)module;
    PyObject *list = mode_stack();
    return list ? PyObject_GetItem(list, index) : NULL;
}

static PyObject *
modes_enabled(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(modes_on());
}

static PyObject *
overrides_enabled(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    const mt_thread *thread = mt_this_thread();
    return PyBool_FromLong(!thread->overrides_disabled && !thread->subclass_overrides_disabled);
}

static PyObject *
overrides_all_disabled(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(mt_this_thread()->overrides_disabled);
}

/* ---- guards ------------------------------------------------------------------------------- */

/* Context managers that switch overrides: off for subclasses, off for all, on again. */
typedef struct guard {
    PyObject_HEAD
    bool entered, all, subclasses;
} guard;

static PyObject *
switch_to(PyObject *self, bool all, bool subclasses)
{
    guard *g = (guard *)self;
    mt_thread *thread = mt_this_thread();
    g->entered = true;
    g->all = thread->overrides_disabled;
    g->subclasses = thread->subclass_overrides_disabled;
    thread->overrides_disabled = all;
    thread->subclass_overrides_disabled = subclasses;
    return Py_NewRef(self);
}

static PyObject *
enter_disable_all(PyObject *self, PyObject *unused)
{
    (void)unused;
    return switch_to(self, true, true);
}

static PyObject *
enter_disable_subclasses(PyObject *self, PyObject *unused)
{
    (void)unused;
    return switch_to(self, mt_this_thread()->overrides_disabled, true);
}

static PyObject *
enter_enable(PyObject *self, PyObject *unused)
{
    (void)unused;
    return switch_to(self, false, false);
}

static PyObject *
guard_exit(PyObject *self, PyObject *unused)
{
    (void)unused;
    guard *g = (guard *)self;
    mt_thread *thread = mt_this_thread();
    if (g->entered) {
        thread->overrides_disabled = g->all;
        thread->subclass_overrides_disabled = g->subclasses;
        g->entered = false;
    }
    Py_RETURN_NONE;
}

#define GUARD(variable, text, enter)                                                               \
    static PyMethodDef variable##_methods[] = {{"__enter__", enter, METH_NOARGS, NULL},            \
                                               {"__exit__", guard_exit, METH_VARARGS, NULL},       \
                                               {0}};                                               \
    static PyType_Slot variable##_slots[] = {{Py_tp_methods, variable##_methods}, {0}};            \
    static PyType_Spec variable = {"torch._C." text, sizeof(guard), 0, Py_TPFLAGS_DEFAULT,         \
                                   variable##_slots};
GUARD(disable_all, "DisableTorchFunction", enter_disable_all)
GUARD(disable_subclasses, "DisableTorchFunctionSubclass", enter_disable_subclasses)
GUARD(enable, "_EnableTorchFunction", enter_enable)

static PyMethodDef functions[] = {
    {"_has_torch_function", has_torch_function, METH_O, NULL},
    {"_has_torch_function_unary", has_torch_function_unary, METH_O, NULL},
    {"_has_torch_function_variadic", (PyCFunction)(void (*)(void))has_torch_function_variadic,
     METH_FASTCALL, NULL},
    {"_get_overloaded_args", get_overloaded_args, METH_O, NULL},
    {"_handle_torch_function", handle_torch_function, METH_VARARGS, NULL},
    {"_functions_with_tensors", functions_with_tensors, METH_NOARGS, NULL},
    {"_disabled_torch_function_impl", disabled_impl, METH_VARARGS, NULL},
    {"_push_on_torch_function_stack", push_function_mode, METH_O, NULL},
    {"_pop_torch_function_stack", pop_function_mode, METH_NOARGS, NULL},
    {"_len_torch_function_stack", function_mode_count, METH_NOARGS, NULL},
    {"_get_function_stack_at", function_mode_at, METH_O, NULL},
    {"_is_torch_function_mode_enabled", modes_enabled, METH_NOARGS, NULL},
    {"_is_torch_function_enabled", overrides_enabled, METH_NOARGS, NULL},
    {"_is_torch_function_all_disabled", overrides_all_disabled, METH_NOARGS, NULL},
    {0},
};

int
mtpy_add_overrides(PyObject *module)
{
    static const char *const names[] = {"_VariableFunctions", NULL, "_nn", "_linalg", "_fft",
                                        "_special"};
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    PyType_Spec *specs[] = {&disable_all, &disable_subclasses, &enable};
    for (size_t i = 0; i < MT_COUNT(specs); i++) {
        PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(specs[i]);
        int rc = type ? PyModule_AddType(module, type) : -1;
        Py_XDECREF(type);
        if (rc < 0)
            return -1;
    }
    for (size_t i = 0; i < MT_COUNT(names); i++)
        if (names[i] && !(spaces[i] = PyObject_GetAttrString(module, names[i])))
            return -1;
    core = module;
    disabled_function = PyObject_GetAttrString(module, "_disabled_torch_function_impl");
    torch_function_name = PyUnicode_InternFromString("__torch_function__");
    return disabled_function && torch_function_name ? 0 : -1;
}
