/* The levels of vmap and forward mode, and what function transforms do to tensors, for
 * mindtorch_v2.func and autograd.forward_ad. */
#include <stdlib.h>

#include "autograd/forward.h"
#include "autograd/vmap.h"
#include "base/error.h"
#include "ops_gen.h"
#include "python/tensor.h"

static mt_tensor *
as_tensor(PyObject *o)
{
    if (mtpy_is_tensor(o))
        return (mt_tensor *)o;
    PyErr_Format(PyExc_TypeError, "expected a Tensor, but got %s", Py_TYPE(o)->tp_name);
    return NULL;
}

static bool
in_transform(void)
{
    const mt_thread *thread = mt_this_thread();
    return thread->transform || thread->differentiating;
}

int
mtpy_refuse_in_transform(const char *method)
{
    if (MT_LIKELY(!in_transform()))
        return 0;
    PyErr_Format(PyExc_RuntimeError,
                 "You are attempting to call Tensor.%s() %sinside of a function being transformed by a "
                 "functorch transform. This is unsupported, please attempt to use the functorch "
                 "transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call %s() outside of a "
                 "function being transformed instead.",
                 method,
                 strcmp(method, "requires_grad_")
                     ? ""
                     : "(or perhaps using torch.autograd.functional.* APIs) ",
                 method);
    return -1;
}

int
mtpy_refuse_batched(const mt_tensor *t)
{
    if (MT_LIKELY(!t->value))
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "Cannot access data pointer of Tensor that doesn't have storage");
    return -1;
}

/* _active() -> whether the function of a transform runs */
static PyObject *
active(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(in_transform());
}

/* _differentiating(+1 or -1): a gradient transform opens or closes */
static PyObject *
differentiating(PyObject *self, PyObject *step)
{
    (void)self;
    long n = PyLong_AsLong(step);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    mt_this_thread()->differentiating = (uint16_t)(mt_this_thread()->differentiating + n);
    Py_RETURN_NONE;
}

/* ---- vmap --------------------------------------------------------------------------------- */

/* _vmap_increment_nesting(size, "error" | "same" | "different") -> level */
static PyObject *
vmap_open(PyObject *self, PyObject *args)
{
    (void)self;
    long long size;
    const char *text;
    if (!PyArg_ParseTuple(args, "Ls:_vmap_increment_nesting", &size, &text))
        return NULL;
    mt_randomness r = !strcmp(text, "error")  ? MT_RANDOM_ERROR
                      : !strcmp(text, "same") ? MT_RANDOM_SAME
                                              : MT_RANDOM_DIFFERENT;
    int level = mt_vmap_open(size, r);
    return level < 0 ? mtpy_raise() : PyLong_FromLong(level);
}

static PyObject *
vmap_close(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_vmap_close();
    Py_RETURN_NONE;
}

static PyObject *
vmap_level(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    const mt_transform *t = mt_this_thread()->transform;
    return PyLong_FromLong(t ? t->level : 0);
}

/* _vmap_info(level) -> (size of the batch, "error", "same" or "different") of an open level */
static PyObject *
vmap_info(PyObject *self, PyObject *number)
{
    (void)self;
    static const char *const words[] = {"error", "same", "different"}; /* ORDER mt_randomness */
    long level = PyLong_AsLong(number);
    if (level == -1 && PyErr_Occurred())
        return NULL;
    for (const mt_transform *t = mt_this_thread()->transform; t; t = t->outer)
        if (t->level == level)
            return Py_BuildValue("(Ls)", (long long)t->size, words[t->randomness]);
    return PyErr_Format(PyExc_RuntimeError, "no level %ld of vmap is open", level);
}

/* _vmap_randomness(level) */
static PyObject *
vmap_randomness(PyObject *self, PyObject *number)
{
    (void)self;
    long level = PyLong_AsLong(number);
    const mt_transform *t = mt_this_thread()->transform;
    while (t && t->level != level)
        t = t->outer;
    if (!t)
        return PyErr_Format(PyExc_RuntimeError, "no vmap of level %ld is open", level);
    return PyUnicode_FromString(t->randomness == MT_RANDOM_ERROR  ? "error"
                                : t->randomness == MT_RANDOM_SAME ? "same"
                                                                  : "different");
}

/* _outside(level, grad_mode, forward_levels, function) -> function() called as if this level and those
 * within it were not open */
static PyObject *
run_outside(PyObject *self, PyObject *args)
{
    (void)self;
    int level, grad_mode, forward_levels;
    PyObject *function;
    if (!PyArg_ParseTuple(args, "ipiO:_outside", &level, &grad_mode, &forward_levels, &function))
        return NULL;
    mt_thread *thread = mt_this_thread();
    bool before = thread->grad_mode;
    uint8_t forward = thread->fw_level;
    mt_outside saved = mt_vmap_step_out(thread, level);
    thread->grad_mode = grad_mode;
    thread->fw_level = (uint8_t)forward_levels;
    PyObject *made = PyObject_CallNoArgs(function);
    thread->grad_mode = before;
    thread->fw_level = forward;
    mt_vmap_step_in(saved);
    return made;
}

/* _add_batch_dim(tensor, dim or None, level): None for what is the same in all examples */
static PyObject *
add_batch_dim(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o, *where;
    int level;
    if (!PyArg_ParseTuple(args, "OOi:_add_batch_dim", &o, &where, &level))
        return NULL;
    mt_tensor *t = as_tensor(o);
    if (!t)
        return NULL;
    if (where == Py_None) {
        mt_tensor *same = mt_batched(t, level, -1);
        return same ? (PyObject *)same : mtpy_raise();
    }
    int64_t dim = PyLong_AsLongLong(where);
    if (dim == -1 && PyErr_Occurred())
        return NULL;
    mt_tensor *front = dim == 0 ? mt_keep(t) : aten_movedim_int(t, dim, 0);
    mt_tensor *made = front ? mt_batched(front, level, 0) : NULL;
    mt_xrelease(front);
    return made ? (PyObject *)made : mtpy_raise();
}

/* _remove_batch_dim(tensor, level, size, dim): what does not depend on the level is repeated */
static PyObject *
remove_batch_dim(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o;
    long long size, dim;
    int level;
    if (!PyArg_ParseTuple(args, "OiLL:_remove_batch_dim", &o, &level, &size, &dim))
        return NULL;
    mt_tensor *t = as_tensor(o), *value;
    if (!t)
        return NULL;
    if (t->batch_level == level && t->batch_dim == 0)
        value = mt_keep(t->value);
    else {
        mt_tensor *inner = t->batch_level == level ? t->value : t;
        int64_t sizes[MT_MAX_DIMS + 1];
        sizes[0] = size;
        memcpy(sizes + 1, inner->sizes, inner->ndim * sizeof(int64_t));
        value = aten_expand(inner, sizes, inner->ndim + 1, false);
    }
    mt_tensor *made = value ? (dim == 0 ? mt_keep(value) : aten_movedim_int(value, 0, dim)) : NULL;
    mt_xrelease(value);
    return made ? (PyObject *)made : mtpy_raise();
}

/* _unwrap_batched(tensor, level): without a batch dimension for out_dims=None; None where it has one */
static PyObject *
unwrap_batched(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o;
    int level;
    if (!PyArg_ParseTuple(args, "Oi:_unwrap_batched", &o, &level))
        return NULL;
    mt_tensor *t = as_tensor(o);
    if (!t)
        return NULL;
    if (t->batch_level != level)
        return Py_NewRef(o);
    return Py_NewRef(t->batch_dim == 0 ? Py_None : (PyObject *)t->value);
}

static PyObject *
is_batched(PyObject *self, PyObject *o)
{
    (void)self;
    return PyBool_FromLong(mtpy_is_tensor(o) && ((mt_tensor *)o)->value != NULL);
}

/* For printing: every wrapped tensor is a batched one, gradients have no wrapper. */
static PyObject *
is_gradtracking(PyObject *self, PyObject *o)
{
    (void)self;
    (void)o;
    Py_RETURN_FALSE;
}

static PyObject *
maybe_level(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = as_tensor(o);
    return t ? PyLong_FromLong(t->value ? t->batch_level : -1) : NULL;
}

static PyObject *
maybe_dim(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = as_tensor(o);
    return t ? PyLong_FromLong(t->value ? t->batch_dim : -1) : NULL;
}

static PyObject *
unwrapped(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = as_tensor(o);
    return t ? Py_NewRef(t->value ? (PyObject *)t->value : o) : NULL;
}

/* _batch_of(tensor) -> (value, level, dim or None) or None */
static PyObject *
batch_of(PyObject *self, PyObject *o)
{
    (void)self;
    mt_tensor *t = as_tensor(o);
    if (!t)
        return NULL;
    if (!t->value)
        Py_RETURN_NONE;
    if (t->batch_dim < 0)
        return Py_BuildValue("(OiO)", t->value, t->batch_level, Py_None);
    return Py_BuildValue("(Oii)", t->value, t->batch_level, t->batch_dim);
}

/* ---- grad --------------------------------------------------------------------------------- */

static int
copy_tangents(mt_tensor *to, const mt_tensor *from)
{
    if (from->meta)
        for (const mt_dual *f = from->meta->tangents; f; f = f->next)
            if (mt_set_tangent(to, f->tensor, f->id) < 0)
                return -1;
    return 0;
}

/* The same tensor without history. Tangents stay. */
static mt_tensor *
bare(const mt_tensor *t)
{
    mt_tensor *fresh = mt_alias_same(t);
    if (fresh && copy_tangents(fresh, t) < 0) {
        mt_release(fresh);
        return NULL;
    }
    return fresh;
}

/* _grad_input(tensor, tracked): what a gradient is taken of. At the open vmap level, since the graph
 * of this transform is that level's; with a history of its own only where something outside needs it. */
static PyObject *
grad_input(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o;
    int tracked;
    if (!PyArg_ParseTuple(args, "Op:_grad_input", &o, &tracked))
        return NULL;
    mt_tensor *t = as_tensor(o), *made = NULL, *lifted = NULL;
    if (!t)
        return NULL;
    const mt_transform *open = mt_this_thread()->transform;
    lifted = open && t->batch_level != open->level ? mt_batched(t, open->level, -1) : mt_keep(t);
    if (!lifted)
        return mtpy_raise();
    if (tracked && mt_requires_grad(lifted))
        made = aten_view(lifted, lifted->sizes, lifted->ndim);
    else if ((made = bare(lifted))) {
        made->flags |= MT_T_REQUIRES_GRAD;
        mt_the_host.object_track(&made->head);
    }
    mt_release(lifted);
    return made ? (PyObject *)made : mtpy_raise();
}

/* Nodes seen on a walk: a hash set. */
typedef struct seen {
    mt_node **slots;
    size_t mask, used;
} seen;

static int
add(seen *s, mt_node *node)
{
    if ((s->used + 1) * 2 > s->mask) {
        size_t n = s->slots ? (s->mask + 1) * 2 : 256;
        mt_node **fresh = calloc(n, sizeof *fresh);
        if (!fresh)
            return -1;
        for (size_t i = 0; s->slots && i <= s->mask; i++)
            if (s->slots[i]) {
                size_t at = ((uintptr_t)s->slots[i] >> 4) * 0x9E3779B97F4A7C15u >> 20 & (n - 1);
                while (fresh[at])
                    at = (at + 1) & (n - 1);
                fresh[at] = s->slots[i];
            }
        free(s->slots);
        s->slots = fresh;
        s->mask = n - 1;
    }
    size_t at = ((uintptr_t)node >> 4) * 0x9E3779B97F4A7C15u >> 20 & s->mask;
    for (; s->slots[at]; at = (at + 1) & s->mask)
        if (s->slots[at] == node)
            return 0;
    s->slots[at] = node;
    s->used++;
    return 1;
}

static bool
holds(PyObject *leaves, const mt_tensor *leaf)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(leaves); i++)
        if (PyTuple_GET_ITEM(leaves, i) == (PyObject *)leaf)
            return true;
    return false;
}

/* Whether the history leads to a leaf that is none of the given. 1, 0, -1 without memory. */
static int
reaches_others(const mt_tensor *t, PyObject *leaves)
{
    if (!t->grad_fn)
        return mt_requires_grad(t) && !holds(leaves, t);
    seen s = {0};
    size_t n = 0, room = 64;
    mt_node **stack = malloc(room * sizeof *stack);
    int found = stack ? add(&s, t->grad_fn) : -1;
    if (found > 0) {
        stack[n++] = t->grad_fn;
        found = 0;
    }
    while (n && found == 0) {
        mt_node *node = stack[--n];
        if (node->kind == MT_NODE_ACCUMULATE) {
            const mt_tensor *leaf = node->variable; /* a stand-in of forward.c is nobody's */
            found = leaf && !(leaf->meta && leaf->meta->retains_grad) && !holds(leaves, leaf);
            continue;
        }
        for (uint32_t e = 0; e < node->nedges && found == 0; e++) {
            mt_node *next = node->edges[e].node;
            int fresh = next ? add(&s, next) : 0;
            if (fresh > 0 && n == room) {
                mt_node **grown = realloc(stack, 2 * room * sizeof *stack);
                if (!grown)
                    fresh = -1;
                else {
                    stack = grown;
                    room *= 2;
                }
            }
            if (fresh > 0)
                stack[n++] = next;
            else if (fresh < 0)
                found = -1;
        }
    }
    free(stack);
    free(s.slots);
    return found;
}

static mt_tensor *
cut(mt_tensor *t, PyObject *leaves, bool tracked)
{
    int others = tracked ? reaches_others(t, leaves) : 0;
    if (others < 0)
        return mt_fail_null(MT_MEMORY, "not enough memory for a transform");
    mt_tensor *made = others || !mt_requires_grad(t) ? mt_keep(t) : bare(t);
    if (made && made->meta)
        for (mt_dual *f = made->meta->tangents; f; f = f->next) {
            mt_tensor *tangent = cut(f->tensor, leaves, tracked), *old = f->tensor;
            if (!tangent) {
                mt_release(made);
                return NULL;
            }
            f->tensor = tangent;
            mt_release(old);
        }
    return made;
}

/* _grad_output(tensor, leaves, tracked): a result without the history that leads to the leaves of its
 * transform alone */
static PyObject *
grad_output(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o, *leaves;
    int tracked;
    if (!PyArg_ParseTuple(args, "OO!p:_grad_output", &o, &PyTuple_Type, &leaves, &tracked))
        return NULL;
    mt_tensor *t = as_tensor(o);
    mt_tensor *made = t ? cut(t, leaves, tracked) : NULL;
    return made ? (PyObject *)made : t ? mtpy_raise() : NULL;
}

/* ---- forward mode ------------------------------------------------------------------------- */

static PyObject *
forward_open(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    int64_t id = mt_forward_open();
    return id < 0 ? mtpy_raise() : PyLong_FromLongLong(id);
}

static PyObject *
forward_close(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    mt_forward_close();
    Py_RETURN_NONE;
}

/* _make_dual(tensor, tangent, id): a view of the tensor that carries the tangent */
static PyObject *
make_dual(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *a, *b;
    unsigned id;
    if (!PyArg_ParseTuple(args, "OOI:_make_dual", &a, &b, &id))
        return NULL;
    mt_tensor *t = as_tensor(a), *tangent = t ? as_tensor(b) : NULL;
    if (!tangent)
        return NULL;
    const mt_transform *open = mt_this_thread()->transform;
    mt_tensor *lifted =
        open && t->batch_level != open->level ? mt_batched(t, open->level, -1) : mt_keep(t);
    mt_tensor *dual = lifted ? aten_view(lifted, lifted->sizes, lifted->ndim) : NULL;
    mt_xrelease(lifted);
    if (!dual || mt_set_tangent(dual, tangent, id) < 0) {
        mt_xrelease(dual);
        return mtpy_raise();
    }
    return (PyObject *)dual;
}

/* _tangent_of(tensor, id) -> tensor or None */
static PyObject *
tangent_of(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o;
    unsigned id;
    if (!PyArg_ParseTuple(args, "OI:_tangent_of", &o, &id))
        return NULL;
    mt_tensor *t = as_tensor(o);
    if (!t)
        return NULL;
    mt_tensor *f = mt_tangent_of(t, id);
    return Py_NewRef(f ? (PyObject *)f : Py_None);
}

/* _set_tangent(tensor, tangent or None, id) */
static PyObject *
set_tangent(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *o, *f;
    unsigned id;
    if (!PyArg_ParseTuple(args, "OOI:_set_tangent", &o, &f, &id))
        return NULL;
    mt_tensor *t = as_tensor(o), *tangent = f == Py_None || !t ? NULL : as_tensor(f);
    if (!t || (f != Py_None && !tangent))
        return NULL;
    if (mt_set_tangent(t, tangent, id) < 0)
        return mtpy_raise();
    Py_RETURN_NONE;
}

/* _forward_levels() -> numbers of the open levels, outermost first */
static PyObject *
forward_levels(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    const mt_thread *thread = mt_this_thread();
    PyObject *tuple = PyTuple_New(thread->fw_level);
    for (int i = 0; tuple && i < thread->fw_level; i++)
        PyTuple_SET_ITEM(tuple, i, PyLong_FromUnsignedLong(thread->fw_ids[i]));
    return tuple;
}

static PyObject *
is_forward_enabled(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(mt_this_thread()->forward_grad_mode);
}

static PyObject *
set_forward_enabled(PyObject *self, PyObject *on)
{
    (void)self;
    int yes = PyObject_IsTrue(on);
    if (yes < 0)
        return NULL;
    mt_this_thread()->forward_grad_mode = yes;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_vmap_increment_nesting", vmap_open, METH_VARARGS, NULL},
    {"_vmap_decrement_nesting", vmap_close, METH_NOARGS, NULL},
    {"_active", active, METH_NOARGS, NULL},
    {"_differentiating", differentiating, METH_O, NULL},
    {"_vmap_level", vmap_level, METH_NOARGS, NULL},
    {"_vmap_info", vmap_info, METH_O, NULL},
    {"_vmap_randomness", vmap_randomness, METH_O, NULL},
    {"_outside", run_outside, METH_VARARGS, NULL},
    {"_add_batch_dim", add_batch_dim, METH_VARARGS, NULL},
    {"_remove_batch_dim", remove_batch_dim, METH_VARARGS, NULL},
    {"_unwrap_batched", unwrap_batched, METH_VARARGS, NULL},
    {"is_batchedtensor", is_batched, METH_O, "Whether the tensor has a batch dimension of vmap."},
    {"is_functorch_wrapped_tensor", is_batched, METH_O, NULL},
    {"is_gradtrackingtensor", is_gradtracking, METH_O, NULL},
    {"maybe_get_level", maybe_level, METH_O, NULL},
    {"maybe_get_bdim", maybe_dim, METH_O, NULL},
    {"get_unwrapped", unwrapped, METH_O, NULL},
    {"_batch_of", batch_of, METH_O, NULL},
    {"_grad_input", grad_input, METH_VARARGS, NULL},
    {"_grad_output", grad_output, METH_VARARGS, NULL},
    {"_fw_enter", forward_open, METH_NOARGS, NULL},
    {"_fw_exit", forward_close, METH_NOARGS, NULL},
    {"_make_dual", make_dual, METH_VARARGS, NULL},
    {"_tangent_of", tangent_of, METH_VARARGS, NULL},
    {"_set_tangent", set_tangent, METH_VARARGS, NULL},
    {"_forward_levels", forward_levels, METH_NOARGS, NULL},
    {0},
};
static PyMethodDef switches[] = {
    {"_is_fwd_grad_enabled", is_forward_enabled, METH_NOARGS, NULL},
    {"_set_fwd_grad_enabled", set_forward_enabled, METH_O, NULL},
    {0},
};

int
mtpy_add_transforms(PyObject *module)
{
    PyObject *full = PyUnicode_FromFormat("%s._functorch", PyModule_GetName(module));
    PyObject *sub = full ? PyModule_NewObject(full) : NULL;
    int rc = sub ? PyModule_AddFunctions(sub, functions) : -1;
    if (rc == 0)
        rc = PyModule_AddObjectRef(module, "_functorch", sub);
    if (rc == 0)
        rc = PyObject_SetItem(PyImport_GetModuleDict(), full, sub);
    if (rc == 0)
        rc = PyModule_AddFunctions(module, switches);
    Py_XDECREF(full);
    Py_XDECREF(sub);
    return rc;
}
