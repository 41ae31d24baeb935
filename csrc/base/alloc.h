/* Memory for tensor data: 64-byte aligned blocks from a cache.
 *
 * Size classes keep freed blocks for the next tensor of like size, since a fresh page costs more
 * than the arithmetic done on it. Large blocks (> 1 MB) are 2 MB aligned and ask for huge pages.
 * The cache is capped, can be emptied, and keeps statistics. Thread-safe; a block may be freed by
 * another thread than its allocator.
 *
 * Under AddressSanitizer every block is its own malloc block and nothing is cached, so that
 * overruns and late uses are seen. */
#pragma once

#include "base/base.h"

#define MT_ALIGN 64

/* A block of at least `nbytes` (a block of one size class for 0 too), or NULL with the error set
 * (MT_MEMORY, "... DefaultCPUAllocator: can't allocate memory: you tried to allocate N bytes.
 * ..."). */
void *mt_alloc(size_t nbytes);
/* `nbytes` as given to mt_alloc. NULL is allowed. */
void mt_free(void *block, size_t nbytes);

typedef struct mt_alloc_stats {
    uint64_t allocated;      /* bytes handed out now, as asked for */
    uint64_t peak_allocated; /* highest `allocated` since the last reset; with several threads
                              * allocating at once it may be off by 1 MB per thread */
    uint64_t reserved;       /* bytes held from the system, cached ones included */
    uint64_t cached;         /* bytes waiting in the cache */
    uint64_t calls;          /* mt_alloc calls since start */
    uint64_t cache_hits;
} mt_alloc_stats;

void mt_alloc_get_stats(mt_alloc_stats *out);
void mt_alloc_reset_peak(void);
/* Gives cached blocks back to the system, except blocks of up to 1 KB (they are cut from slabs) and
 * what other threads keep in their own bins (about 2 MB each at most). */
void mt_alloc_empty_cache(void);
/* Most bytes the cache may hold, the bins of the threads and slabs not counted. The blocks that
 * waited longest go first. Default: 1/4 of RAM, at most 4 GB. */
void mt_alloc_set_cap(uint64_t bytes);
uint64_t mt_alloc_get_cap(void);

/* Makes the n-th mt_alloc call from now fail (1 = the next one); 0 switches it off. For tests. */
void mt_alloc_fail_nth(int64_t n);

/* Called with (address, +nbytes or -nbytes, allocated after) while memory profiling is on;
 * NULL switches it off. */
typedef void (*mt_alloc_observer)(void *block, int64_t delta, uint64_t allocated);
extern mt_alloc_observer mt_alloc_observe;
