/* What the core needs from the program it lives in (the Python binding, or nothing for C tests).
 *
 * Tensors and autograd nodes are objects of the host: they start with its object head, whose
 * first word is the reference count. So a tensor has one count for C and Python owners alike,
 * `x is x` holds by construction, and the host's garbage collector sees every reference.
 * Without a host the head is two plain words and objects come from malloc.
 *
 * Who may touch counts: the thread that holds the interpreter lock. Kernels run without it and
 * never create, keep or release an object. */
#pragma once

#include "base/base.h"
#include "base/error.h"

typedef struct mt_object {
    intptr_t refcount;
    void *type;
} mt_object;

typedef enum mt_object_kind {
    MT_OBJECT_TENSOR,
    MT_OBJECT_NODE,
    MT_NUM_OBJECT_KINDS,
} mt_object_kind;

typedef struct mt_host {
    /* A block whose head is initialised (count 1, type set); the rest is unspecified. NULL with
     * the error set when there is no memory. */
    mt_object *(*object_new)(mt_object_kind kind);
    /* The count fell to zero: run the host's destructor, which calls mt_tensor_finalize or
     * mt_node_finalize and gives the block back. */
    void (*object_dealloc)(mt_object *object);
    /* The object may now be part of a reference cycle (it got a grad_fn, hooks, attributes). */
    void (*object_track)(mt_object *object);

    /* Interpreter lock around long kernels; NULL where there is none. */
    void *(*lock_leave)(void);
    void (*lock_enter)(void *state);

    int (*warn)(mt_warn_kind kind, const char *text); /* -1: became an error, kept by the host */

    /* References to host objects kept by the core (hooks, Python kernels). */
    void (*ref_keep)(void *host_object);
    void (*ref_release)(void *host_object);
} mt_host;

/* The binding overwrites this at start-up. Until then it serves programs without an interpreter:
 * objects from malloc, warnings on stderr, no lock. */
extern mt_host mt_the_host;

/* Tells the default host how large objects of a kind are and what to run before one is freed
 * (finalize may be NULL). tensor/ and autograd/ call it; other hosts may ignore it. */
void mt_host_describe(mt_object_kind kind, size_t size, void (*finalize)(mt_object *object));

MT_INLINE void *
mt_keep_object(void *object)
{
    ((mt_object *)object)->refcount++;
    return object;
}

MT_INLINE void
mt_release_object(void *object)
{
    if (--((mt_object *)object)->refcount == 0)
        mt_the_host.object_dealloc((mt_object *)object);
}

/* mt_keep/mt_release for tensors and nodes; the x forms take NULL. */
#define mt_keep(p) ((__typeof__(p))mt_keep_object(p))
#define mt_release(p) mt_release_object(p)
#define mt_xkeep(p) ((p) ? mt_keep(p) : NULL)
#define mt_xrelease(p) ((p) ? mt_release_object(p) : (void)0)
