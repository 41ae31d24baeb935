/* Variant "one block": the interpreter's object head and the core struct in one block, ONE
 * reference count for C and Python owners. A tensor in C is its Python object, so identity,
 * attributes, subclass and weak references cannot be lost, and the collector sees every edge.
 * Nodes are objects of the same kind. The price: counts are touched under the interpreter lock
 * only, and the collector walks the graph.
 *
 * A tensor is tracked by the collector from the moment it can lie on a cycle: when it gets a
 * grad_fn or attributes. Freeing a chain goes through a work list, never the C stack.
 *
 * The free lists must be long. A block from them is not counted as a new container, so the graph of
 * a training step that is built again and again starts no collection; with lists of 64 blocks a
 * chain of 10,000 costs 364 ns a node instead of 107 (the wrapper: 104). */
#include "fields.h"

struct tensor {
    PyObject ob_base;
    PyObject *dict, *weaklist;
    TENSOR_FIELDS
};

struct node {
    PyObject ob_base;
    NODE_FIELDS
};

static PyTypeObject *base_type, *tensor_type, *node_type, *meta_type;
static freelist free_tensors, free_nodes;

static inline tensor *
tensor_of(PyObject *object)
{
    return (tensor *)object;
}

static inline tensor *
tensor_keep(tensor *t)
{
    Py_INCREF(t);
    return t;
}

static inline void
tensor_drop(tensor *t)
{
    Py_DECREF(t);
}

static inline node *
node_keep(node *n)
{
    Py_INCREF(n);
    return n;
}

static inline void
node_drop(node *n)
{
    Py_DECREF(n);
}

/* C's reference becomes Python's. */
static inline PyObject *
tensor_give(tensor *t)
{
    return (PyObject *)t;
}

static inline PyObject *
node_give(node *n)
{
    return (PyObject *)n;
}

static inline void
track(void *object)
{
    if (!PyObject_GC_IsTracked(object))
        PyObject_GC_Track(object);
}

/* The collector has to see a tensor with a grad_fn. */
static inline void
tensor_linked(tensor *t)
{
    track(t);
}

static PyObject *
tensor_object(PyTypeObject *type)
{
    tensor *t;
    if (type == tensor_type && (t = freelist_pop(&free_tensors))) {
        Py_INCREF(type);
        set_count_to_one(t);
    } else if (!(t = (tensor *)type->tp_alloc(type, 0))) {
        return NULL;
    } else if (type == tensor_type) {
        PyObject_GC_UnTrack(t);
    }
    t->dict = t->weaklist = NULL;
    t->data = NULL;
    t->grad_fn = NULL;
    return (PyObject *)t;
}

static inline tensor *
tensor_new(void)
{
    return (tensor *)tensor_object(tensor_type);
}

static int
tensor_clear(PyObject *self)
{
    tensor *t = (tensor *)self;
    Py_CLEAR(t->grad_fn);
    Py_CLEAR(t->dict);
    return 0;
}

static int
tensor_traverse(PyObject *self, visitproc visit, void *arg)
{
    tensor *t = (tensor *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(t->dict);
    Py_VISIT(t->grad_fn);
    return 0;
}

/* Serves TensorBase and, set by set_tensor_type, exactly the class Tensor: there it saves the
 * generic steps of a Python class. Subclasses reach it through the interpreter's own. */
static void
tensor_dealloc(PyObject *self)
{
    tensor *t = (tensor *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (type->tp_finalize && type == tensor_type && PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (t->weaklist)
        PyObject_ClearWeakRefs(self);
    tensor_clear(self);
    if (t->data)
        storage_drop(t->data);
    if (type != tensor_type || !freelist_push(&free_tensors, t))
        type->tp_free(self);
    Py_DECREF(type);
}

static int
tensor_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    track(self);
    return PyObject_GenericSetAttr(self, name, value);
}

static PyObject *
tensor_get_dict(PyObject *self, void *closure)
{
    track(self);
    return PyObject_GenericGetDict(self, closure);
}

static node *
node_new(void)
{
    node *n = freelist_pop(&free_nodes);
    if (n) {
        Py_INCREF(node_type);
        set_count_to_one(n);
    } else if (!(n = PyObject_GC_New(node, node_type))) {
        return NULL;
    }
    n->saved = NULL;
    n->next = NULL;
    n->hook = n->ctx = NULL;
    PyObject_GC_Track(n);
    return n;
}

static int
node_clear(PyObject *self)
{
    node *n = (node *)self;
    Py_CLEAR(n->saved);
    Py_CLEAR(n->next);
    Py_CLEAR(n->hook);
    Py_CLEAR(n->ctx);
    return 0;
}

static int
node_traverse(PyObject *self, visitproc visit, void *arg)
{
    node *n = (node *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(n->saved);
    Py_VISIT(n->next);
    Py_VISIT(n->hook);
    Py_VISIT(n->ctx);
    return 0;
}

static void
node_dealloc(PyObject *self)
{
    static node *pending;
    static int draining;
    PyObject_GC_UnTrack(self);
    ((node *)self)->pending = pending;
    pending = (node *)self;
    if (draining)
        return;
    draining = 1;
    while (pending) {
        node *n = pending;
        pending = n->pending;
        node_clear((PyObject *)n);
        if (!freelist_push(&free_nodes, n))
            PyObject_GC_Del(n);
        Py_DECREF(node_type);
    }
    draining = 0;
}

#define NEEDS_LOCK 1
#define TENSOR_STRUCT tensor
#define NODE_STRUCT node
#define MODULE_NAME "one_block"
#define MODULE_INIT PyInit_one_block
#include "module.h"
