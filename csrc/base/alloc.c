/* The caching allocator.
 *
 * A size belongs to one class, so a block's class follows from the `nbytes` that its owner gives
 * back and blocks in use carry no header. Freed blocks wait at three places:
 *
 *   bins      per thread and class, up to 16 KB: a list without locks, the hot path of small
 *             tensors (an uncontended lock would cost more than all the rest);
 *   slab list per class up to 1 KB, shared: fed by cutting slabs and by bins that overflow;
 *   cache     everything larger, shared, in one list by age besides the lists by class: the
 *             oldest blocks go back to the system when the cap is exceeded.
 *
 * Counting follows the same split: each thread counts for itself and flushes to the shared total
 * when it has moved a megabyte, which keeps locked instructions out of the hot path. */
#define _GNU_SOURCE
#include "base/alloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/local.h"

#if defined(__SANITIZE_ADDRESS__)
#define CACHING 0
#else
#define CACHING 1
#endif

#define SMALL_STEP 64
#define NUM_SMALL 16                    /* 64, 128, ... 1024: cut from slabs */
#define NUM_MEDIUM 40                   /* 1.25 KB ... 1 MB in 4 steps per doubling */
#define NUM_LARGE (26 * 8)              /* up to 64 TB in 8 steps per doubling */
#define FIRST_LARGE (NUM_SMALL + NUM_MEDIUM)
#define NUM_CLASSES (FIRST_LARGE + NUM_LARGE)
#define BIN_BYTES ((size_t)16 << 10)    /* largest size with bins: class MT_LOCAL_BINS - 1 */
#define MEDIUM_BYTES ((size_t)1 << 20)
#define LARGEST ((size_t)1 << 46)
#define SLAB_BYTES ((size_t)64 << 10)
#define HUGE_PAGE ((size_t)2 << 20)
#define FLUSH_BYTES ((int64_t)1 << 20)

/* Counters of a thread: written by it alone, read by all. */
#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELAXED)

/* A waiting block, in its own first bytes. Bins and slab lists use `next` alone. */
typedef struct block {
    struct block *next, *prev;   /* of its class, newest first */
    struct block *older, *newer; /* of the whole cache */
    size_t size_class;
} block;

static struct {
    pthread_mutex_t lock;
    block *lists[NUM_CLASSES]; /* slab lists below NUM_SMALL, the cache above */
    uint32_t slab_counts[NUM_SMALL];
    block *newest, *oldest;
    uint64_t cached, cap; /* bytes of the cache, slab lists not counted */
    uint64_t reserved;    /* atomic: changes without the lock too */
    char *slab, *slab_end; /* rest of the slab being cut */
    int64_t live, peak;    /* without what threads have not flushed */
    uint64_t ended_calls, ended_misses;
    mt_local *threads;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t fail_countdown = 0;
mt_alloc_observer mt_alloc_observe = NULL;

/* ---- size classes ---- */

MT_INLINE size_t
class_of(size_t nbytes)
{
    size_t last = nbytes - (nbytes != 0); /* the largest offset in the block */
    if (MT_LIKELY(last < NUM_SMALL * SMALL_STEP))
        return last / SMALL_STEP;
    unsigned doubling = 63u - (unsigned)__builtin_clzll(last);
    if (last < MEDIUM_BYTES)
        return NUM_SMALL + (doubling - 10) * 4 + ((last >> (doubling - 2)) & 3);
    return FIRST_LARGE + (doubling - 20) * 8 + ((last >> (doubling - 3)) & 7);
}

static size_t
class_bytes(size_t class)
{
    if (class < NUM_SMALL)
        return (class + 1) * SMALL_STEP;
    if (class < FIRST_LARGE)
        return (((class - NUM_SMALL) & 3) + 5) << ((class - NUM_SMALL) / 4 + 8);
    return (((class - FIRST_LARGE) & 7) + 9) << ((class - FIRST_LARGE) / 8 + 17);
}

/* ---- the system ---- */

/* Address space for a large block: 2 MB aligned, cut out of a mapping that is 2 MB longer. */
static void *
map_large(size_t size)
{
#ifdef __linux__
    size_t room = size + HUGE_PAGE;
    char *base = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    char *start = (char *)(((uintptr_t)base + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (start > base)
        munmap(base, (size_t)(start - base));
    if (start + size < base + room)
        munmap(start + size, (size_t)(base + room - (start + size)));
    madvise(start, size, MADV_HUGEPAGE); /* a wish: without it pages are 4 KB */
    return start;
#else
    void *memory = NULL;
    return posix_memalign(&memory, HUGE_PAGE, size) == 0 ? memory : NULL;
#endif
}

static void *
system_alloc(size_t class, size_t size)
{
    void *memory = NULL;
    if (class >= FIRST_LARGE)
        return map_large(size);
    return posix_memalign(&memory, MT_ALIGN, size) == 0 ? memory : NULL;
}

static void
system_free(void *memory, size_t class)
{
#ifdef __linux__
    if (class >= FIRST_LARGE) {
        munmap(memory, class_bytes(class));
        return;
    }
#endif
    (void)class;
    free(memory);
}

/* ---- the shared lists; the lock is held ---- */

static void
cache_push(void *memory, size_t class)
{
    block *b = memory;
    b->size_class = class;
    b->prev = NULL;
    b->next = shared.lists[class];
    if (b->next)
        b->next->prev = b;
    shared.lists[class] = b;
    b->newer = NULL;
    b->older = shared.newest;
    if (b->older)
        b->older->newer = b;
    else
        shared.oldest = b;
    shared.newest = b;
    shared.cached += class_bytes(class);
}

static void
cache_remove(block *b)
{
    if (b->prev)
        b->prev->next = b->next;
    else
        shared.lists[b->size_class] = b->next;
    if (b->next)
        b->next->prev = b->prev;
    if (b->newer)
        b->newer->older = b->older;
    else
        shared.newest = b->older;
    if (b->older)
        b->older->newer = b->newer;
    else
        shared.oldest = b->newer;
    shared.cached -= class_bytes(b->size_class);
}

/* Takes the oldest blocks out until `limit` holds and chains them, for release without the lock. */
static block *
cache_trim(uint64_t limit)
{
    block *chain = NULL;
    while (shared.cached > limit) {
        block *b = shared.oldest;
        cache_remove(b);
        __atomic_fetch_sub(&shared.reserved, class_bytes(b->size_class), __ATOMIC_RELAXED);
        b->next = chain;
        chain = b;
    }
    return chain;
}

static void
chain_free(block *chain)
{
    while (chain) {
        block *next = chain->next;
        system_free(chain, chain->size_class);
        chain = next;
    }
}

static void
list_push(void *memory, size_t class)
{
    if (class >= NUM_SMALL) {
        cache_push(memory, class);
        return;
    }
    block *b = memory;
    b->next = shared.lists[class];
    shared.lists[class] = b;
    shared.slab_counts[class]++;
}

static void *
list_pop(size_t class)
{
    block *b = shared.lists[class];
    if (!b)
        return NULL;
    if (class >= NUM_SMALL) {
        cache_remove(b);
    } else {
        shared.lists[class] = b->next;
        shared.slab_counts[class]--;
    }
    return b;
}

/* A small block cut from the slab; what is left of a slab too short for it goes to the list that
 * it fits, so nothing is lost. */
static void *
slab_cut(size_t size)
{
    if ((size_t)(shared.slab_end - shared.slab) < size) {
        size_t rest = (size_t)(shared.slab_end - shared.slab);
        if (rest)
            list_push(shared.slab, class_of(rest));
        shared.slab = shared.slab_end = NULL;
        void *memory = NULL;
        if (posix_memalign(&memory, MT_ALIGN, SLAB_BYTES) != 0)
            return NULL;
        __atomic_fetch_add(&shared.reserved, SLAB_BYTES, __ATOMIC_RELAXED);
        shared.slab = memory;
        shared.slab_end = shared.slab + SLAB_BYTES;
    }
    void *result = shared.slab;
    shared.slab += size;
    return result;
}

/* ---- threads ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
before_fork(void)
{
    pthread_mutex_lock(&shared.lock);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&shared.lock);
}

static void
set_up(void)
{
    /* The child keeps the counts of threads that it does not have: their blocks are still in use
     * as far as anybody can know. */
    pthread_atfork(before_fork, after_fork, after_fork);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t ram = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)4 << 30;
    pthread_mutex_lock(&shared.lock);
    shared.cap = MT_MIN(ram / 4, (uint64_t)4 << 30);
    pthread_mutex_unlock(&shared.lock);
}

void
mt_alloc_thread_begins(mt_local *local)
{
    pthread_once(&once, set_up);
    for (size_t class = 0; class < MT_LOCAL_BINS; class++)
        local->bins[class].limit =
            (uint32_t)MT_MAX(MT_MIN((size_t)65536 / class_bytes(class), (size_t)256), (size_t)8);
    pthread_mutex_lock(&shared.lock);
    local->next = shared.threads;
    local->prev = NULL;
    if (local->next)
        local->next->prev = local;
    shared.threads = local;
    pthread_mutex_unlock(&shared.lock);
}

/* The lock is held. */
static void
flush_counts(mt_local *local)
{
    int64_t others = shared.live;
    for (mt_local *t = shared.threads; t; t = t->next)
        if (t != local)
            others += LOAD(t->live_delta);
    shared.peak = MT_MAX(shared.peak, others + LOAD(local->peak_delta));
    shared.live += LOAD(local->live_delta);
    STORE(local->live_delta, 0);
    STORE(local->peak_delta, 0);
}

static void
flush_bins(mt_local *local)
{
    for (size_t class = 0; class < MT_LOCAL_BINS; class++) {
        mt_local_bin *bin = &local->bins[class];
        for (block *b = bin->head, *next; b; b = next) {
            next = b->next;
            list_push(b, class);
        }
        bin->head = NULL;
        STORE(bin->count, 0);
    }
}

void
mt_alloc_thread_ends(mt_local *local)
{
    pthread_mutex_lock(&shared.lock);
    flush_bins(local);
    flush_counts(local);
    shared.ended_calls += LOAD(local->calls);
    shared.ended_misses += LOAD(local->misses);
    if (local->next)
        local->next->prev = local->prev;
    if (local->prev)
        local->prev->next = local->next;
    else
        shared.threads = local->next;
    block *chain = cache_trim(shared.cap);
    pthread_mutex_unlock(&shared.lock);
    chain_free(chain);
}

/* ---- counting ---- */

static MT_COLD void
flush_counts_locking(mt_local *local)
{
    pthread_mutex_lock(&shared.lock);
    flush_counts(local);
    pthread_mutex_unlock(&shared.lock);
}

MT_INLINE void
count(mt_local *local, int64_t nbytes)
{
    int64_t delta = LOAD(local->live_delta) + nbytes;
    STORE(local->live_delta, delta);
    if (delta > LOAD(local->peak_delta))
        STORE(local->peak_delta, delta);
    if (MT_UNLIKELY(delta > FLUSH_BYTES || delta < -FLUSH_BYTES))
        flush_counts_locking(local);
}

static MT_COLD void
observe(void *memory, int64_t delta)
{
    mt_alloc_observer observer = LOAD(mt_alloc_observe);
    if (!observer)
        return;
    pthread_mutex_lock(&shared.lock);
    int64_t live = shared.live;
    for (mt_local *t = shared.threads; t; t = t->next)
        live += LOAD(t->live_delta);
    pthread_mutex_unlock(&shared.lock);
    observer(memory, delta, (uint64_t)MT_MAX(live, 0));
}

/* ---- allocating ---- */

static MT_COLD void *
out_of_memory(size_t nbytes)
{
    /* PyTorch's text to the letter, place of origin included: programs match on it. */
    return mt_fail_null(MT_MEMORY,
                        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                        "allocate memory: you tried to allocate %zu bytes. Error code 12 (Cannot "
                        "allocate memory)",
                        nbytes);
}

/* true when this call is the one to fail. */
static bool
injected_failure(void)
{
    return LOAD(fail_countdown) > 0 &&
           __atomic_fetch_sub(&fail_countdown, 1, __ATOMIC_RELAXED) == 1;
}

/* Everything but a hit in a bin. */
static MT_NOINLINE void *
alloc_slow(mt_local *local, size_t nbytes)
{
    STORE(local->calls, LOAD(local->calls) + 1);
    if (nbytes > LARGEST || injected_failure()) {
        STORE(local->misses, LOAD(local->misses) + 1);
        return out_of_memory(nbytes);
    }
    size_t class = class_of(nbytes), size = class_bytes(class);
    void *memory = NULL;
    bool hit = false;
    if (CACHING) {
        mt_local_bin *bin = class < MT_LOCAL_BINS ? &local->bins[class] : NULL;
        if (bin && bin->head) { /* here because of an observer or injector */
            block *b = bin->head;
            bin->head = b->next;
            STORE(bin->count, bin->count - 1);
            memory = b;
            hit = true;
        } else {
            pthread_mutex_lock(&shared.lock);
            memory = list_pop(class);
            hit = memory != NULL;
            if (!memory && class < NUM_SMALL)
                memory = slab_cut(size);
            /* Some more for the bin while the lock is held. */
            for (uint32_t i = 0; bin && hit && i < bin->limit / 2; i++) {
                block *more = list_pop(class);
                if (!more)
                    break;
                more->next = bin->head;
                bin->head = more;
                STORE(bin->count, bin->count + 1);
            }
            pthread_mutex_unlock(&shared.lock);
        }
    }
    if (!memory && !(CACHING && class < NUM_SMALL)) {
        size_t wanted = CACHING ? size : MT_MAX(nbytes, (size_t)1);
        size_t system_class = CACHING ? class : 0;
        memory = system_alloc(system_class, wanted);
        if (!memory) {
            mt_alloc_empty_cache();
            memory = system_alloc(system_class, wanted);
        }
        if (memory)
            __atomic_fetch_add(&shared.reserved, wanted, __ATOMIC_RELAXED);
    }
    if (!hit)
        STORE(local->misses, LOAD(local->misses) + 1);
    if (!memory)
        return out_of_memory(nbytes);
    count(local, (int64_t)nbytes);
    observe(memory, (int64_t)nbytes);
    return memory;
}

void *
mt_alloc(size_t nbytes)
{
    mt_local *local = mt_local_get();
    if (MT_UNLIKELY(!local))
        return out_of_memory(nbytes);
    if (MT_LIKELY(nbytes <= BIN_BYTES && !LOAD(fail_countdown) && !LOAD(mt_alloc_observe))) {
        mt_local_bin *bin = &local->bins[class_of(nbytes)];
        block *b = bin->head;
        if (MT_LIKELY(b != NULL)) {
            bin->head = b->next;
            STORE(bin->count, bin->count - 1);
            STORE(local->calls, LOAD(local->calls) + 1);
            count(local, (int64_t)nbytes);
            return b;
        }
    }
    return alloc_slow(local, nbytes);
}

/* The bin is full: half of it moves to the shared list. */
static MT_NOINLINE void
bin_overflow(mt_local_bin *bin, size_t class)
{
    pthread_mutex_lock(&shared.lock);
    for (uint32_t i = 0; i < bin->limit / 2 && bin->head; i++) {
        block *b = bin->head;
        bin->head = b->next;
        STORE(bin->count, bin->count - 1);
        list_push(b, class);
    }
    block *chain = cache_trim(shared.cap);
    pthread_mutex_unlock(&shared.lock);
    chain_free(chain);
}

static MT_NOINLINE void
free_slow(mt_local *local, void *memory, size_t nbytes)
{
    /* Observed before the block can be handed out again. */
    if (local)
        count(local, -(int64_t)nbytes);
    observe(memory, -(int64_t)nbytes);
    if (!CACHING) {
        __atomic_fetch_sub(&shared.reserved, MT_MAX(nbytes, (size_t)1), __ATOMIC_RELAXED);
        free(memory);
        return;
    }
    size_t class = class_of(nbytes);
    if (class < MT_LOCAL_BINS && local) {
        mt_local_bin *bin = &local->bins[class];
        block *b = memory;
        b->next = bin->head;
        bin->head = b;
        STORE(bin->count, bin->count + 1);
        if (bin->count >= bin->limit)
            bin_overflow(bin, class);
        return;
    }
    pthread_mutex_lock(&shared.lock);
    list_push(memory, class);
    block *chain = cache_trim(shared.cap);
    pthread_mutex_unlock(&shared.lock);
    chain_free(chain);
}

void
mt_free(void *memory, size_t nbytes)
{
    if (!memory)
        return;
    mt_local *local = mt_local_get();
    if (MT_LIKELY(CACHING && local && nbytes <= BIN_BYTES && !LOAD(mt_alloc_observe))) {
        size_t class = class_of(nbytes);
        mt_local_bin *bin = &local->bins[class];
        block *b = memory;
        b->next = bin->head;
        bin->head = b;
        uint32_t held = bin->count + 1;
        STORE(bin->count, held);
        count(local, -(int64_t)nbytes);
        if (MT_UNLIKELY(held >= bin->limit))
            bin_overflow(bin, class);
        return;
    }
    free_slow(local, memory, nbytes);
}

/* ---- statistics and settings ---- */

void
mt_alloc_get_stats(mt_alloc_stats *out)
{
    mt_local_get(); /* so that set-up has run */
    pthread_mutex_lock(&shared.lock);
    int64_t live = shared.live, peak = 0;
    uint64_t calls = shared.ended_calls, misses = shared.ended_misses;
    uint64_t cached = shared.cached + (uint64_t)(shared.slab_end - shared.slab);
    for (mt_local *t = shared.threads; t; t = t->next) {
        live += LOAD(t->live_delta);
        peak += LOAD(t->peak_delta);
        calls += LOAD(t->calls);
        misses += LOAD(t->misses);
        for (size_t class = 0; class < MT_LOCAL_BINS; class++)
            cached += LOAD(t->bins[class].count) * class_bytes(class);
    }
    for (size_t class = 0; class < NUM_SMALL; class++)
        cached += shared.slab_counts[class] * class_bytes(class);
    peak = MT_MAX(MT_MAX(shared.peak, shared.live + peak), live);
    *out = (mt_alloc_stats){
        .allocated = (uint64_t)MT_MAX(live, 0),
        .peak_allocated = (uint64_t)MT_MAX(peak, 0),
        .reserved = LOAD(shared.reserved),
        .cached = cached,
        .calls = calls,
        .cache_hits = calls - misses,
    };
    pthread_mutex_unlock(&shared.lock);
}

void
mt_alloc_reset_peak(void)
{
    pthread_mutex_lock(&shared.lock);
    int64_t live = shared.live;
    for (mt_local *t = shared.threads; t; t = t->next) {
        /* Another thread's mark may move meanwhile; one lost update only blurs that mark. */
        STORE(t->peak_delta, LOAD(t->live_delta));
        live += LOAD(t->live_delta);
    }
    shared.peak = live;
    pthread_mutex_unlock(&shared.lock);
}

void
mt_alloc_empty_cache(void)
{
    mt_local *local = mt_local_get();
    pthread_mutex_lock(&shared.lock);
    if (local)
        flush_bins(local);
    block *chain = cache_trim(0);
    pthread_mutex_unlock(&shared.lock);
    chain_free(chain);
}

void
mt_alloc_set_cap(uint64_t bytes)
{
    pthread_once(&once, set_up);
    pthread_mutex_lock(&shared.lock);
    shared.cap = bytes;
    block *chain = cache_trim(bytes);
    pthread_mutex_unlock(&shared.lock);
    chain_free(chain);
}

uint64_t
mt_alloc_get_cap(void)
{
    pthread_once(&once, set_up);
    pthread_mutex_lock(&shared.lock);
    uint64_t cap = shared.cap;
    pthread_mutex_unlock(&shared.lock);
    return cap;
}

void
mt_alloc_fail_nth(int64_t n)
{
    STORE(fail_countdown, MT_MAX(n, 0));
}
