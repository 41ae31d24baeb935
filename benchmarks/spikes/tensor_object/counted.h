/* The core of the two variants with a separate wrapper: tensor and node are plain structs with an
 * atomic count of their own, and may be created and freed without the interpreter lock. `object` is
 * the Python wrapper, if there is one now. The including file defines tensor_gone(), called when
 * the last owner of a tensor leaves while the wrapper lives on. */
#pragma once

#include "fields.h"

struct tensor {
    int refcount;
    int owns_object; /* used by "preserved": this core holds its wrapper alive */
    PyObject *object;
    TENSOR_FIELDS
};

struct node {
    int refcount;
    PyObject *object;
    NODE_FIELDS
};

typedef struct tensor_wrapper {
    PyObject ob_base;
    PyObject *dict, *weaklist;
    tensor *core;
} tensor_wrapper;

typedef struct node_wrapper {
    PyObject ob_base;
    node *core;
} node_wrapper;

static PyTypeObject *base_type, *tensor_type, *node_type, *meta_type;
static freelist free_wrappers;
static __thread freelist free_tensors, free_nodes;
static __thread node *pending;
static __thread int draining;

static void tensor_gone(tensor *t);
static void tensor_dealloc(PyObject *self);

static inline tensor *
tensor_of(PyObject *object)
{
    return ((tensor_wrapper *)object)->core;
}

static inline tensor *
tensor_keep(tensor *t)
{
    __atomic_fetch_add(&t->refcount, 1, __ATOMIC_RELAXED);
    return t;
}

static inline node *
node_keep(node *n)
{
    __atomic_fetch_add(&n->refcount, 1, __ATOMIC_RELAXED);
    return n;
}

/* True when the caller was the last owner. One owner needs no locked step. */
static inline int
count_down(int *refcount)
{
    return __atomic_load_n(refcount, __ATOMIC_ACQUIRE) == 1 ||
           __atomic_sub_fetch(refcount, 1, __ATOMIC_ACQ_REL) == 0;
}

static inline int
is_unique(const int *refcount)
{
    return __atomic_load_n(refcount, __ATOMIC_ACQUIRE) == 1;
}

static void node_drop(node *n);

static inline void
tensor_drop(tensor *t)
{
    if (!count_down(&t->refcount))
        return;
    if (t->owns_object)
        tensor_gone(t);
    if (t->grad_fn)
        node_drop(t->grad_fn);
    if (t->data)
        storage_drop(t->data);
    if (!freelist_push(&free_tensors, t))
        free(t);
}

static inline void
tensor_linked(tensor *t)
{
    (void)t;
}

static void
drop_objects(node *n)
{
    PyGILState_STATE state = PyGILState_Ensure();
    Py_CLEAR(n->hook);
    Py_CLEAR(n->ctx);
    PyGILState_Release(state);
}

static void
node_drop(node *n)
{
    if (!count_down(&n->refcount))
        return;
    n->pending = pending;
    pending = n;
    if (draining)
        return;
    draining = 1;
    while (pending) {
        n = pending;
        pending = n->pending;
        if (n->saved)
            tensor_drop(n->saved);
        if (n->next)
            node_drop(n->next);
        if (n->hook || n->ctx)
            drop_objects(n);
        if (!freelist_push(&free_nodes, n))
            free(n);
    }
    draining = 0;
}

static tensor *
tensor_new(void)
{
    tensor *t = freelist_pop(&free_tensors);
    if (!t && !(t = malloc(sizeof *t)))
        return NULL;
    t->refcount = 1;
    t->owns_object = 0;
    t->object = NULL;
    t->data = NULL;
    t->grad_fn = NULL;
    return t;
}

static node *
node_new(void)
{
    node *n = freelist_pop(&free_nodes);
    if (!n && !(n = malloc(sizeof *n)))
        return NULL;
    n->refcount = 1;
    n->object = NULL;
    n->saved = NULL;
    n->next = NULL;
    n->hook = n->ctx = NULL;
    return n;
}

/* A new wrapper that owns the caller's reference to `core`. */
static PyObject *
wrap(PyTypeObject *type, tensor *core)
{
    tensor_wrapper *w;
    if (!core)
        return NULL;
    if (type == tensor_type && (w = freelist_pop(&free_wrappers))) {
        Py_INCREF(type);
        set_count_to_one(w);
        PyObject_GC_Track(w);
    } else if (!(w = (tensor_wrapper *)type->tp_alloc(type, 0))) {
        tensor_drop(core);
        return NULL;
    }
    w->dict = w->weaklist = NULL;
    w->core = core;
    core->object = (PyObject *)w;
    return (PyObject *)w;
}

static PyObject *
tensor_object(PyTypeObject *type)
{
    return wrap(type, tensor_new());
}

static PyObject *
node_give(node *n)
{
    if (n->object) {
        Py_INCREF(n->object);
        node_drop(n);
        return n->object;
    }
    node_wrapper *w = PyObject_GC_New(node_wrapper, node_type);
    if (!w) {
        node_drop(n);
        return NULL;
    }
    w->core = n;
    n->object = (PyObject *)w;
    PyObject_GC_Track(w);
    return (PyObject *)w;
}

/* The collector may follow an edge into the core only where the core has no other owner: another
 * owner's reference is one that it cannot see. Two nodes deep is enough for the checks here. */
static int
visit_node(node *n, visitproc visit, void *arg, int depth)
{
    if (!n || !is_unique(&n->refcount))
        return 0;
    Py_VISIT(n->hook);
    Py_VISIT(n->ctx);
    if (depth && n->saved && is_unique(&n->saved->refcount))
        return visit_node(n->saved->grad_fn, visit, arg, depth - 1);
    return 0;
}

static int
tensor_traverse(PyObject *self, visitproc visit, void *arg)
{
    tensor_wrapper *w = (tensor_wrapper *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(w->dict);
    if (w->core && is_unique(&w->core->refcount))
        return visit_node(w->core->grad_fn, visit, arg, 2);
    return 0;
}

static int
tensor_clear(PyObject *self)
{
    tensor_wrapper *w = (tensor_wrapper *)self;
    Py_CLEAR(w->dict);
    if (w->core && is_unique(&w->core->refcount) && w->core->grad_fn) {
        node *n = w->core->grad_fn;
        w->core->grad_fn = NULL;
        node_drop(n);
    }
    return 0;
}

static int
node_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return visit_node(((node_wrapper *)self)->core, visit, arg, 2);
}

static int
node_clear(PyObject *self)
{
    node_wrapper *w = (node_wrapper *)self;
    if (is_unique(&w->core->refcount))
        drop_objects(w->core);
    return 0;
}

static void
node_dealloc(PyObject *self)
{
    node_wrapper *w = (node_wrapper *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    w->core->object = NULL;
    node_drop(w->core);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The end of a wrapper: everything but its core. */
static void
wrapper_free(PyObject *self)
{
    tensor_wrapper *w = (tensor_wrapper *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(w->dict);
    if (type != tensor_type || !freelist_push(&free_wrappers, w))
        type->tp_free(self);
    Py_DECREF(type);
}

static int
tensor_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    return PyObject_GenericSetAttr(self, name, value);
}

static PyObject *
tensor_get_dict(PyObject *self, void *closure)
{
    return PyObject_GenericGetDict(self, closure);
}

#define TENSOR_STRUCT tensor_wrapper
#define NODE_STRUCT node_wrapper
