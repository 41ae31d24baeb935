/* Storage: a block of bytes with an owner. Tensors are windows on it.
 *
 * One struct for every kind: our allocator's block, memory borrowed with its owner (NumPy, buffer
 * protocol, DLPack), a mapped file, shared memory. What differs is the `release` function and
 * whether the storage may be resized. Counts are plain: whoever holds the interpreter lock. */
#pragma once

#include "base/base.h"
#include "base/host.h"

typedef struct mt_storage mt_storage;
typedef void (*mt_storage_release)(mt_storage *storage);

/* Small data lives in the same block as the header. */
#define MT_STORAGE_INLINE 64

struct mt_storage {
    void *data;
    size_t nbytes;
    intptr_t refcount;
    mt_storage_release release; /* gives `data` back; NULL: nothing to give back (inline, meta) */
    void *owner;                /* for `release`: a host object, a mapping … */
    void *host;                 /* the Python storage object, borrowed; NULL when there is none */
    uint32_t capacity;          /* of the inline data, 0 when data lies elsewhere */
    int8_t device_type;
    bool resizable;
    bool is_shared;
    bool read_only;
};

/* New storage of `nbytes` (uninitialised) on the given device type; Meta has no memory. */
mt_storage *mt_storage_new(size_t nbytes, int device_type);
/* Memory owned by somebody else: `release` is called once when the last reference goes. */
mt_storage *mt_storage_borrow(void *data, size_t nbytes, mt_storage_release release, void *owner);
void mt_storage_free(mt_storage *storage);
/* New size, content kept up to the smaller one. Fails on storage that is not resizable
 * ("Trying to resize storage that is not resizable"). */
int mt_storage_resize(mt_storage *storage, size_t nbytes);

/* Tells the memory observer of inline data, which no allocator call announces. */
void mt_storage_observe(void *data, int64_t delta);

MT_INLINE mt_storage *
mt_storage_keep(mt_storage *storage)
{
    storage->refcount++;
    return storage;
}

MT_INLINE void
mt_storage_unref(mt_storage *storage)
{
    if (--storage->refcount == 0)
        mt_storage_free(storage);
}
