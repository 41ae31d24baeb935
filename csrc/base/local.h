/* What base/ keeps per thread: the error record, the texts of mt_str, the allocator's small bins
 * and the place in the pool. One pointer of thread-local storage leads to it; the block itself is
 * made on first use and given back when the thread ends. Private to base/. */
#pragma once

#include "base/base.h"
#include "base/error.h"

/* A text that grows; NULL until first used. */
typedef struct mt_text {
    char *chars;
    size_t capacity;
} mt_text;

#define MT_TEXT_RING 8
#define MT_LOCAL_BINS 32 /* size classes that have a bin per thread, see alloc.c */

typedef struct mt_local_bin {
    void *head;
    uint32_t count;
    uint32_t limit;
} mt_local_bin;

typedef struct mt_local {
    /* alloc.c. Counters are read by other threads (statistics), so they are accessed atomically,
     * but only the owner writes them. */
    int64_t live_delta; /* bytes handed out minus given back since the last flush */
    int64_t peak_delta; /* highest live_delta since the last flush */
    uint64_t calls, misses;
    mt_local_bin bins[MT_LOCAL_BINS];

    /* pool.c */
    int thread_index;
    bool in_parallel;

    /* error.c: a new message is written beside the old one, which may be among its arguments. */
    mt_error_kind error_kind;
    mt_text message[2];
    unsigned message_at, ring_at;
    mt_text ring[MT_TEXT_RING];

    struct mt_local *next, *prev; /* all threads', guarded by alloc.c's lock */
} mt_local;

extern MT_TLS mt_local *mt_local_of_thread;

/* The block of the calling thread; NULL only when there is no memory for it. */
mt_local *mt_local_make(void);

MT_INLINE mt_local *
mt_local_get(void)
{
    mt_local *local = mt_local_of_thread;
    return MT_LIKELY(local != NULL) ? local : mt_local_make();
}

/* alloc.c: enters the thread into the statistics; takes its bins and counts back. */
void mt_alloc_thread_begins(mt_local *local);
void mt_alloc_thread_ends(mt_local *local);
