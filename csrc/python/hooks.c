/* Hooks of tensors and nodes.
 *
 * Three shapes, all plain Python objects that the collector sees:
 *   pre_hooks, post_hooks, post_acc_hooks   an OrderedDict id -> function
 *   tensor_pre_hooks                        a list of (output number, OrderedDict)
 *   retains_grad_hooks                      a dict output number -> weak reference to the tensor
 * The dictionaries are what RemovableHandle edits, so removing a hook needs no help from here. A
 * leaf's list lives in its mt_grad_meta and is shared with its accumulator, which may be made
 * later and die earlier. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/tensor.h"

/* ---- checking what a hook gave back ------------------------------------------------------- */

static int
complain(PyObject *hook, const char *what)
{
    PyObject *name = PyObject_GetAttrString(hook, "__name__");
    if (!name)
        PyErr_Clear();
    const char *text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : "<unknown>";
    PyErr_Format(PyExc_RuntimeError, "hook '%s' has %s", text ? text : "<unknown>", what);
    Py_XDECREF(name);
    return -1;
}

/* *slot becomes `value` where it may. */
static int
replace(mt_tensor **slot, PyObject *value, PyObject *hook)
{
    if (value == Py_None && *slot) {
        mt_release(*slot);
        *slot = NULL;
        return 0;
    }
    if (value == Py_None)
        return 0;
    if (!mtpy_is_tensor(value)) {
        PyErr_Format(PyExc_TypeError, "expected Variable, but hook returned '%s'",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    mt_tensor *old = *slot, *t = (mt_tensor *)value;
    if (!old) {
        PyErr_SetString(PyExc_RuntimeError,
                        "can't replace a None gradient with a non-None value");
        return -1;
    }
    if (t == old)
        return 0;
    if (t->dtype != old->dtype) {
        char text[160];
        snprintf(text, sizeof text, "changed the type of value (was torch.%sTensor got torch.%sTensor)",
                 mt_dtypes[old->dtype].scalar_name, mt_dtypes[t->dtype].scalar_name);
        return complain(hook, text);
    }
    if (t->device.type != old->device.type)
        return complain(hook, "changed the type of value");
    if (!mt_same_shape(t, old))
        return complain(hook, "changed the size of value");
    *slot = mt_keep(t);
    mt_release(old);
    return 0;
}

static PyObject *
wrap(mt_tensor *const *values, int64_t n)
{
    PyObject *tuple = PyTuple_New(n);
    for (int64_t i = 0; tuple && i < n; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(values[i] ? (PyObject *)values[i] : Py_None));
    return tuple;
}

static int
replace_all(mt_tensor **slots, int64_t n, PyObject *result, PyObject *hook)
{
    PyObject *tuple = PyTuple_Check(result) ? Py_NewRef(result) : PyTuple_Pack(1, result);
    int rc = tuple ? 0 : -1;
    if (rc == 0 && PyTuple_GET_SIZE(tuple) != n) {
        char text[120];
        snprintf(text, sizeof text, "returned an incorrect number of values (got %zd, but expected %lld)",
                 PyTuple_GET_SIZE(tuple), (long long)n);
        rc = complain(hook, text);
    }
    for (int64_t i = 0; rc == 0 && i < n; i++)
        rc = replace(&slots[i], PyTuple_GET_ITEM(tuple, i), hook);
    Py_XDECREF(tuple);
    return rc;
}

/* ---- calling ------------------------------------------------------------------------------ */

/* The functions of a dictionary as they are now: a hook may remove itself. */
static PyObject *
functions_of(PyObject *dict)
{
    PyObject *values = PyObject_CallMethod(dict, "values", NULL);
    PyObject *list = values ? PySequence_List(values) : NULL;
    Py_XDECREF(values);
    return list;
}

static int
call_pre(void *hooks, mt_tensor **grads, int64_t n)
{
    PyObject *list = functions_of(hooks);
    int rc = list ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *hook = PyList_GET_ITEM(list, i), *args = wrap(grads, n);
        PyObject *r = args ? PyObject_CallOneArg(hook, args) : NULL;
        Py_XDECREF(args);
        rc = !r ? -1 : r == Py_None ? 0 : replace_all(grads, n, r, hook);
        Py_XDECREF(r);
    }
    Py_XDECREF(list);
    return rc < 0 ? mtpy_keep_exception() : 0;
}

static int
call_post(void *hooks, mt_tensor **out, int64_t nout, mt_tensor *const *in, int64_t nin)
{
    PyObject *list = functions_of(hooks);
    int rc = list ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *hook = PyList_GET_ITEM(list, i), *a = wrap(out, nout), *b = wrap(in, nin);
        PyObject *r = a && b ? PyObject_CallFunctionObjArgs(hook, a, b, NULL) : NULL;
        Py_XDECREF(a);
        Py_XDECREF(b);
        if (r && r != Py_None && !PyTuple_Check(r)) {
            PyErr_Format(PyExc_TypeError, "expected tuple, but hook returned '%s'",
                         Py_TYPE(r)->tp_name);
            rc = -1;
        } else
            rc = !r ? -1 : r == Py_None ? 0 : replace_all(out, nout, r, hook);
        Py_XDECREF(r);
    }
    Py_XDECREF(list);
    return rc < 0 ? mtpy_keep_exception() : 0;
}

static int
call_post_accumulate(void *hooks, mt_tensor *leaf)
{
    PyObject *list = functions_of(hooks);
    int rc = list ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *r = PyObject_CallOneArg(PyList_GET_ITEM(list, i), (PyObject *)leaf);
        if (r && r != Py_None) {
            PyErr_SetString(PyExc_RuntimeError, "Tensor post accumulate grad hooks should return "
                                                "None.");
            Py_CLEAR(r);
        }
        rc = r ? 0 : -1;
        Py_XDECREF(r);
    }
    Py_XDECREF(list);
    return rc < 0 ? mtpy_keep_exception() : 0;
}

/* Stores the gradient that arrives for a tensor with retain_grad(). 0, or -1 with the error set. */
static int
retain(mt_tensor *tensor, mt_tensor *grad)
{
    mt_grad_meta *meta = mt_grad_meta_of(tensor);
    if (!meta)
        return -1;
    mt_tensor *old = meta->grad;
    mt_tensor *made = old ? aten_add_Tensor(old, grad, mt_v_int(1)) : aten_clone(grad, MT_CONTIGUOUS);
    if (!made)
        return -1;
    meta->grad = made;
    mt_xrelease(old);
    return 0;
}

static int
call_retains(PyObject *dict, mt_tensor **grads, int64_t n)
{
    PyObject *nr, *ref;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &nr, &ref)) {
        long long i = PyLong_AsLongLong(nr);
        PyObject *tensor = PyWeakref_GetObject(ref);
        if (i < 0 || i >= n || !grads[i] || tensor == Py_None)
            continue;
        Py_INCREF(tensor);
        int rc = retain((mt_tensor *)tensor, grads[i]);
        Py_DECREF(tensor);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int
call_tensor_pre(void *hooks, mt_tensor **grads, int64_t n)
{
    if (PyDict_Check((PyObject *)hooks))
        return call_retains(hooks, grads, n);
    PyObject *pairs = PySequence_List(hooks);
    int rc = pairs ? 0 : -1;
    for (Py_ssize_t k = 0; rc == 0 && k < PyList_GET_SIZE(pairs); k++) {
        PyObject *pair = PyList_GET_ITEM(pairs, k);
        long nr = PyLong_AsLong(PyTuple_GET_ITEM(pair, 0));
        if (nr < 0 || nr >= n)
            continue;
        PyObject *list = functions_of(PyTuple_GET_ITEM(pair, 1));
        rc = list ? 0 : -1;
        for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(list); i++) {
            PyObject *hook = PyList_GET_ITEM(list, i);
            PyObject *value = Py_NewRef(grads[nr] ? (PyObject *)grads[nr] : Py_None);
            PyObject *r = PyObject_CallOneArg(hook, value);
            Py_DECREF(value);
            rc = !r ? -1 : r == Py_None ? 0 : replace(&grads[nr], r, hook);
            Py_XDECREF(r);
        }
        Py_XDECREF(list);
    }
    Py_XDECREF(pairs);
    return rc < 0 ? mtpy_keep_exception() : 0;
}

/* ---- attaching ---------------------------------------------------------------------------- */

/* Puts (nr, dict) into the list in *slot unless it is there. */
static int
add_pair(void **slot, uint32_t nr, PyObject *dict)
{
    if (!*slot && !(*slot = PyList_New(0)))
        return -1;
    PyObject *list = *slot;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
        if (PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 1) == dict)
            return 0;
    PyObject *pair = Py_BuildValue("(IO)", nr, dict);
    int rc = pair ? PyList_Append(list, pair) : -1;
    Py_XDECREF(pair);
    return rc;
}

static bool
has_pair(PyObject *list, PyObject *dict)
{
    for (Py_ssize_t i = 0; list && dict && i < PyList_GET_SIZE(list); i++)
        if (PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 1) == dict)
            return true;
    return false;
}

/* Connects meta->backward_hooks_dict with where the gradient of the tensor arrives. */
static int
attach(mt_tensor *t, mt_grad_meta *meta, mt_node *fn)
{
    if (fn) {
        fn->hooked = true;
        return add_pair(&fn->tensor_pre_hooks, t->output_nr, meta->backward_hooks_dict);
    }
    if (add_pair(&meta->hooks, 0, meta->backward_hooks_dict) < 0)
        return -1;
    if (meta->accumulator && !meta->accumulator->tensor_pre_hooks) {
        meta->accumulator->tensor_pre_hooks = Py_NewRef((PyObject *)meta->hooks);
        meta->accumulator->hooked = true;
    }
    return 0;
}

static mt_tensor *
tensor_argument(PyObject *o)
{
    if (mtpy_is_tensor(o))
        return (mt_tensor *)o;
    PyErr_Format(PyExc_TypeError, "expected a Tensor, but got %s", Py_TYPE(o)->tp_name);
    return NULL;
}

/* _tensor_hooks(tensor) -> the OrderedDict that a new hook goes into. A tensor written in place
 * has another gradient than before: its old hooks stay where they were. */
static PyObject *
tensor_hooks(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = tensor_argument(o);
    mt_node *fn;
    if (!t)
        return NULL;
    if (mt_grad_fn(t, &fn) < 0)
        return mtpy_raise();
    mt_grad_meta *meta = mt_grad_meta_of(t);
    if (!meta)
        return mtpy_raise();
    PyObject *dict = meta->backward_hooks_dict;
    PyObject *where = fn ? fn->tensor_pre_hooks : meta->hooks;
    if (!has_pair(where, dict)) {
        PyObject *fresh = PyODict_New();
        if (!fresh)
            return NULL;
        meta->backward_hooks_dict = fresh;
        Py_XDECREF(dict);
        if (attach(t, meta, fn) < 0)
            return NULL;
    }
    return Py_NewRef((PyObject *)meta->backward_hooks_dict);
}

static PyObject *
backward_hooks(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = tensor_argument(o);
    if (!t)
        return NULL;
    PyObject *dict = t->meta ? t->meta->backward_hooks_dict : NULL;
    return Py_NewRef(dict ? dict : Py_None);
}

/* _set_backward_hooks(tensor, dict or None) */
static PyObject *
set_backward_hooks(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o, *dict;
    if (!PyArg_ParseTuple(args, "OO", &o, &dict))
        return NULL;
    mt_tensor *t = tensor_argument(o);
    mt_node *fn;
    if (!t)
        return NULL;
    if (dict != Py_None && !PyDict_Check(dict))
        return PyErr_Format(PyExc_TypeError, "_backward_hooks must be a dict or None, but got %s",
                            Py_TYPE(dict)->tp_name);
    if (dict == Py_None && !(t->meta && t->meta->backward_hooks_dict))
        Py_RETURN_NONE;
    if (mt_grad_fn(t, &fn) < 0)
        return mtpy_raise();
    mt_grad_meta *meta = mt_grad_meta_of(t);
    if (!meta)
        return mtpy_raise();
    PyObject *old = meta->backward_hooks_dict, *list = fn ? fn->tensor_pre_hooks : meta->hooks;
    for (Py_ssize_t i = list ? PyList_GET_SIZE(list) : 0; old && i-- > 0;)
        if (PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 1) == old &&
            PyList_SetSlice(list, i, i + 1, NULL) < 0)
            return NULL;
    meta->backward_hooks_dict = dict == Py_None ? NULL : Py_NewRef(dict);
    Py_XDECREF(old);
    if (dict != Py_None && attach(t, meta, fn) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
post_accumulate_hooks(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = tensor_argument(o);
    mt_grad_meta *meta = t ? mt_grad_meta_of(t) : NULL;
    if (!meta)
        return t ? mtpy_raise() : NULL;
    if (!meta->post_accumulate_hooks && !(meta->post_accumulate_hooks = PyODict_New()))
        return NULL;
    if (meta->accumulator && !meta->accumulator->post_acc_hooks) {
        meta->accumulator->post_acc_hooks = Py_NewRef((PyObject *)meta->post_accumulate_hooks);
        meta->accumulator->hooked = true;
    }
    return Py_NewRef((PyObject *)meta->post_accumulate_hooks);
}

static PyObject *
retain_grad(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = tensor_argument(o);
    mt_node *fn;
    if (!t)
        return NULL;
    if (mtpy_refuse_in_transform("retain_grad") < 0)
        return NULL;
    if (!mt_requires_grad(t)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "can't retain_grad on Tensor that has requires_grad=False");
        return NULL;
    }
    if (mt_grad_fn(t, &fn) < 0)
        return mtpy_raise();
    if (!fn)
        Py_RETURN_NONE;
    mt_grad_meta *meta = mt_grad_meta_of(t);
    if (!meta)
        return mtpy_raise();
    if (!fn->retains_grad_hooks && !(fn->retains_grad_hooks = PyDict_New()))
        return NULL;
    PyObject *nr = PyLong_FromUnsignedLong(t->output_nr), *ref = PyWeakref_NewRef(o, NULL);
    int rc = nr && ref ? PyDict_SetItem(fn->retains_grad_hooks, nr, ref) : -1;
    Py_XDECREF(nr);
    Py_XDECREF(ref);
    if (rc < 0)
        return NULL;
    fn->hooked = true;
    meta->retains_grad = true;
    Py_RETURN_NONE;
}

PyObject *
mtpy_hook_handle(PyObject *dict, PyObject *hook)
{
    static PyObject *make; /* Tensor._hook_handle */
    if (!make) {
        make = PyObject_GetAttrString((PyObject *)mtpy_tensor_type, "_hook_handle");
        if (!make)
            return NULL;
    }
    return PyObject_CallFunctionObjArgs(make, dict, hook, NULL);
}

/* _detach_(tensor): takes the history away in place. */
static PyObject *
detach_(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = tensor_argument(o);
    if (!t)
        return NULL;
    if (t->flags & MT_T_VIEW) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Can't detach views in-place. Use detach() instead. If you are using "
                        "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is "
                        "set as True, gradients are views of DDP buckets, and hence detach_() cannot "
                        "be called on these gradients. To fix this error, please refer to the "
                        "Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution.");
        return NULL;
    }
    mt_node *fn = t->grad_fn;
    t->grad_fn = NULL;
    t->output_nr = 0;
    t->flags &= ~(uint32_t)MT_T_REQUIRES_GRAD;
    if (t->meta)
        t->meta->retains_grad = false;
    mt_xrelease(fn);
    return Py_NewRef(o);
}

/* ---- after backward ----------------------------------------------------------------------- */

static int
run_callback(void *state)
{
    PyObject *r = PyObject_CallNoArgs(state);
    Py_XDECREF(r);
    return r ? 0 : mtpy_keep_exception();
}

static void
drop_callback(void *state)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_DECREF((PyObject *)state);
    PyErr_Restore(type, value, traceback);
}

static PyObject *
queue_callback(PyObject *self, PyObject *callback)
{
    (void)self;
    if (mt_queue_callback(run_callback, callback, drop_callback) < 0)
        return mtpy_raise();
    Py_INCREF(callback);
    Py_RETURN_NONE;
}

/* _set_anomaly(on, check_nan) */
static PyObject *
set_anomaly(PyObject *self, PyObject *args)
{
    (void)self;
    int on, check_nan = 1;
    if (!PyArg_ParseTuple(args, "p|p:set_anomaly_enabled", &on, &check_nan))
        return NULL;
    mt_anomaly_mode = on;
    mt_anomaly_check_nan = check_nan;
    Py_RETURN_NONE;
}

static PyObject *
is_anomaly_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_anomaly_mode);
}

static PyObject *
is_anomaly_check_nan_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_anomaly_check_nan);
}

static PyMethodDef functions[] = {
    {"_tensor_hooks", tensor_hooks, METH_O, NULL},
    {"_backward_hooks", backward_hooks, METH_O, NULL},
    {"_set_backward_hooks", set_backward_hooks, METH_VARARGS, NULL},
    {"_post_accumulate_hooks", post_accumulate_hooks, METH_O, NULL},
    {"_retain_grad", retain_grad, METH_O, NULL},
    {"_detach_", detach_, METH_O, NULL},
    {"_queue_callback", queue_callback, METH_O, NULL},
    {"set_anomaly_enabled", set_anomaly, METH_VARARGS, "Switches anomaly mode."},
    {"is_anomaly_enabled", is_anomaly_enabled, METH_NOARGS, "Whether anomaly mode is on."},
    {"is_anomaly_check_nan_enabled", is_anomaly_check_nan_enabled, METH_NOARGS,
     "Whether anomaly mode looks for NaN."},
    {0},
};

int
mtpy_add_hooks(PyObject *module)
{
    mt_hooks = (mt_hook_table){call_pre, call_tensor_pre, call_post, call_post_accumulate};
    return PyModule_AddFunctions(module, functions);
}
