/* Working memory for the bodies of a parallel loop, which must not fail: it is allocated before
 * the loop, one slot for each thread that may run, and a body takes a free slot while it needs it. */
#pragma once

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/base.h"
#include "base/pool.h"

typedef struct mt_scratch {
    char *block; /* a line of 64 bytes per slot that says whether it is taken, then the slots */
    size_t slot_bytes;
    int slots;
} mt_scratch;

MT_INLINE size_t
mt_scratch_total(const mt_scratch *s)
{
    return (size_t)s->slots * (s->slot_bytes + 64);
}

/* For a loop of `chunks` chunks. -1 with the error set when there is no memory. */
MT_INLINE int
mt_scratch_open(mt_scratch *s, size_t slot_bytes, int64_t chunks)
{
    int64_t threads = mt_in_parallel() ? 1 : mt_num_threads();
    s->slots = (int)MT_MAX(1, MT_MIN(threads, chunks));
    s->slot_bytes = (slot_bytes + 63) / 64 * 64;
    s->block = mt_alloc(mt_scratch_total(s));
    if (s->block == NULL)
        return -1;
    for (int i = 0; i < s->slots; i++)
        atomic_init((atomic_bool *)(s->block + 64 * (size_t)i), false);
    return 0;
}

/* A 64-byte aligned slot. There are as many as threads, so a free one is found at once unless the
 * number of threads has been raised since the loop began. */
MT_INLINE void *
mt_scratch_take(mt_scratch *s)
{
    for (int i = mt_thread_index() % s->slots;; i = i + 1 < s->slots ? i + 1 : 0)
        if (!atomic_exchange_explicit((atomic_bool *)(s->block + 64 * (size_t)i), true,
                                      memory_order_acquire))
            return s->block + 64 * (size_t)s->slots + (size_t)i * s->slot_bytes;
}

MT_INLINE void
mt_scratch_give(mt_scratch *s, void *slot)
{
    size_t i = (size_t)((char *)slot - s->block - 64 * (size_t)s->slots) / s->slot_bytes;
    atomic_store_explicit((atomic_bool *)(s->block + 64 * i), false, memory_order_release);
}

MT_INLINE void
mt_scratch_close(mt_scratch *s)
{
    if (s->block != NULL)
        mt_free(s->block, mt_scratch_total(s));
    s->block = NULL;
}
