/* Storage blocks. Header and small data share one block from a free list: a tensor of a few
 * elements costs no second allocation. The lists are guarded by the interpreter lock. */
#include "tensor/storage.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "tensor/tensor.h"

/* Headers that wait for the next storage; each has room for MT_STORAGE_INLINE bytes behind it. */
typedef struct block {
    mt_storage storage __attribute__((aligned(MT_ALIGN)));
    char data[MT_STORAGE_INLINE] __attribute__((aligned(MT_ALIGN)));
} block;

#define KEEP 256
static block *waiting[KEEP];
static int nwaiting;

static void
release_block(mt_storage *storage)
{
    mt_free(storage->data, storage->nbytes);
}

static mt_storage *
header(void)
{
    block *b;
    if (MT_LIKELY(nwaiting > 0))
        b = waiting[--nwaiting];
    else if (!(b = mt_alloc(sizeof(block))))
        return NULL;
    mt_storage *s = &b->storage;
    s->refcount = 1;
    s->release = NULL;
    s->owner = NULL;
    s->host = NULL;
    s->capacity = MT_STORAGE_INLINE;
    s->device_type = MT_CPU;
    s->resizable = true;
    s->is_shared = false;
    s->read_only = false;
    return s;
}

static void
free_header(mt_storage *storage)
{
#ifndef __SANITIZE_ADDRESS__
    if (MT_LIKELY(nwaiting < KEEP)) {
        waiting[nwaiting++] = (block *)storage;
        return;
    }
#endif
    mt_free(storage, sizeof(block));
}

mt_storage *
mt_storage_new(size_t nbytes, int device_type)
{
    mt_storage *s = header();
    if (MT_UNLIKELY(!s))
        return NULL;
    s->nbytes = nbytes;
    if (MT_UNLIKELY(device_type != MT_CPU)) {
        s->data = NULL;
        s->device_type = (int8_t)device_type;
    } else if (nbytes <= MT_STORAGE_INLINE) {
        s->data = ((block *)s)->data;
        if (MT_UNLIKELY(mt_alloc_observe != NULL))
            mt_storage_observe(s->data, (int64_t)nbytes);
    } else {
        if (!(s->data = mt_alloc(nbytes))) {
            free_header(s);
            return NULL;
        }
        s->release = release_block;
    }
    return s;
}

void
mt_storage_observe(void *data, int64_t delta)
{
    mt_alloc_stats stats;
    mt_alloc_get_stats(&stats);
    mt_alloc_observe(data, delta, stats.allocated);
}

mt_storage *
mt_storage_borrow(void *data, size_t nbytes, mt_storage_release release, void *owner)
{
    mt_storage *s = header();
    if (!s)
        return NULL;
    s->data = data;
    s->nbytes = nbytes;
    s->release = release;
    s->owner = owner;
    s->resizable = false;
    return s;
}

void
mt_storage_free(mt_storage *storage)
{
    if (storage->release)
        storage->release(storage);
    else if (MT_UNLIKELY(mt_alloc_observe != NULL) && storage->device_type == MT_CPU &&
             storage->data)
        mt_storage_observe(storage->data, -(int64_t)storage->nbytes);
    free_header(storage);
}

int
mt_storage_resize(mt_storage *s, size_t nbytes)
{
    if (!s->resizable) {
        mt_fail(MT_RUNTIME, "Trying to resize storage that is not resizable");
        return -1;
    }
    if (s->device_type != MT_CPU || nbytes == s->nbytes) {
        s->nbytes = nbytes;
        return 0;
    }
    bool inside = s->data == (void *)((block *)s)->data;
    if (inside && nbytes <= MT_STORAGE_INLINE) {
        s->nbytes = nbytes;
        return 0;
    }
    void *data = mt_alloc(nbytes);
    if (!data)
        return -1;
    memcpy(data, s->data, MT_MIN(s->nbytes, nbytes));
    if (s->release)
        s->release(s);
    s->data = data;
    s->nbytes = nbytes;
    s->release = release_block;
    return 0;
}
