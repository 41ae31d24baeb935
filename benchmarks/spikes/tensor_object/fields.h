/* What every variant of the tensor object carries: the fields of a tensor and of an autograd node
 * at about their real size, and storage. Only lifetime and identity differ between variants. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <structmember.h>

typedef struct tensor tensor;
typedef struct node node;

typedef struct storage {
    int refcount;
    float values[4];
} storage;

#define TENSOR_FIELDS                                                                              \
    storage *data;                                                                                 \
    node *grad_fn;                                                                                 \
    int64_t offset, sizes[5], strides[5];                                                          \
    int ndim;

/* `saved` and `next` are owned: what the derivative reads and the node after this one. */
#define NODE_FIELDS                                                                                \
    tensor *saved;                                                                                 \
    node *next;                                                                                    \
    PyObject *hook, *ctx;                                                                          \
    node *pending;                                                                                 \
    int64_t number, shape[8];

/* Freed blocks, linked through their first word: static TLS has no room for more than the head. */
#ifndef FREELIST_MAX
#define FREELIST_MAX 65536
#endif

typedef struct freelist {
    int count;
    void *first;
} freelist;

static inline void *
freelist_pop(freelist *list)
{
    void *block = list->first;
    if (block) {
        list->count--;
        list->first = *(void **)block;
    }
    return block;
}

static inline int
freelist_push(freelist *list, void *block)
{
    if (list->count == FREELIST_MAX)
        return 0;
    list->count++;
    *(void **)block = list->first;
    list->first = block;
    return 1;
}

/* For a block whose count is 0 or free-list bits. Py_SET_REFCNT will not do: from Python 3.12 on it
 * leaves a count alone that reads as immortal, as the low half of a pointer may. */
static inline void
set_count_to_one(void *object)
{
    ((PyObject *)object)->ob_refcnt = 1;
}

/* Thread-local, so that the variants which may create without the interpreter lock can. */
static __thread freelist free_storages;

static storage *
storage_new(void)
{
    storage *s = freelist_pop(&free_storages);
    if (!s && !(s = malloc(sizeof *s)))
        return NULL;
    s->refcount = 1;
    return s;
}

static inline storage *
storage_keep(storage *s)
{
    __atomic_fetch_add(&s->refcount, 1, __ATOMIC_RELAXED);
    return s;
}

static void
storage_drop(storage *s)
{
    if (__atomic_load_n(&s->refcount, __ATOMIC_ACQUIRE) == 1 ||
        __atomic_sub_fetch(&s->refcount, 1, __ATOMIC_ACQ_REL) == 0) {
        if (!freelist_push(&free_storages, s))
            free(s);
    }
}
