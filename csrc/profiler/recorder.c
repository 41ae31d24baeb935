/* The recorder: memory for records, a ring per thread, starting and stopping, the clock.
 *
 * Who writes what: a thread writes its own ring, its newest chunk and its side data, without a
 * lock. Everything that several threads see (the session, its list of logs, the pool of chunks,
 * the rings' membership) changes under `lock`, which a thread takes for its first event of a
 * session and for a new chunk, never for an ordinary event.
 *
 * Whether a ring is up to date is told by numbers: a ring belongs to the session whose generation
 * it carries, and a stopped session has none. So nothing has to be reset in other threads. */
#define _GNU_SOURCE
#include "profiler/recorder.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"

#ifdef __linux__
#include <sys/syscall.h>
#endif

uint32_t mt_prof_on = 0;
uint32_t mt_prof_generation = 0;
bool mt_prof_use_tsc = false;
mt_prof_stack_hook_fn mt_prof_stack_hook = NULL;

/* A thread's ring, kept for the thread's life. */
typedef struct mt_prof_ring {
    mt_prof_thread head;
    mt_prof_log *log; /* of the session `head.generation`; stale when that is over */
} mt_prof_ring;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t ring_key;
static bool have_key;
static mt_prof_session *current; /* the recording one */
static uint32_t last_generation, last_thread_number;
static mt_prof_instant base; /* the clocks when the library was set up */

/* ------------------------------------------------------------------ chunks */

#define SMALL_CHUNK ((size_t)64 << 10)
#define LARGE_CHUNK ((size_t)2 << 20)
/* Free chunks that keep their pages. */
#define WARM_SMALL 64
#define WARM_LARGE 4
#define RECORDS_OF(bytes) (((bytes) - sizeof(mt_prof_chunk)) / sizeof(mt_prof_record))

_Static_assert(sizeof(mt_prof_record) == 64, "a record is a cache line");
_Static_assert(sizeof(mt_prof_chunk) == 64, "records in a chunk are aligned");

/* Addresses of free chunks. They are kept here and not in the chunks, whose pages may be gone. */
typedef struct stack {
    void **items;
    size_t count, capacity;
} stack;

static stack warm[2], cold[2]; /* small, large */

static int
push(stack *s, void *item)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        void **items = realloc(s->items, capacity * sizeof *items);
        if (!items)
            return -1;
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->count++] = item;
    return 0;
}

/* 2 MB of address space at a multiple of 2 MB, so that a huge page can lie there. */
static void *
map_aligned(void)
{
    size_t twice = 2 * LARGE_CHUNK;
    char *p = mmap(NULL, twice, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    size_t before = (size_t)(-(intptr_t)p & (intptr_t)(LARGE_CHUNK - 1));
    if (before)
        munmap(p, before);
    munmap(p + before + LARGE_CHUNK, twice - before - LARGE_CHUNK);
    return p + before;
}

static mt_prof_chunk *
chunk_new(bool large)
{
    void *p = NULL;
    if (warm[large].count)
        p = warm[large].items[--warm[large].count];
    else if (cold[large].count)
        p = cold[large].items[--cold[large].count];
    else if (!(p = map_aligned()))
        return NULL;
    else if (large) {
#ifdef MADV_HUGEPAGE
        madvise(p, LARGE_CHUNK, MADV_HUGEPAGE);
#endif
    } else {
        for (size_t at = SMALL_CHUNK; at < LARGE_CHUNK; at += SMALL_CHUNK)
            if (push(&cold[0], (char *)p + at))
                break; /* out of memory: that much address space is lost, nothing else */
    }
    mt_prof_chunk *chunk = p;
    chunk->next = NULL;
    chunk->bytes = (uint32_t)(large ? LARGE_CHUNK : SMALL_CHUNK);
    chunk->count = 0;
    return chunk;
}

/* Under the lock. */
static void
chunks_free(mt_prof_chunk *chunk)
{
    while (chunk) {
        mt_prof_chunk *next = chunk->next;
        bool large = chunk->bytes == LARGE_CHUNK;
        if (warm[large].count >= (large ? WARM_LARGE : WARM_SMALL) || push(&warm[large], chunk)) {
            size_t bytes = chunk->bytes;
            madvise(chunk, bytes, MADV_DONTNEED);
            push(&cold[large], chunk);
        }
        chunk = next;
    }
}

void
mt_prof_chunks_free(mt_prof_chunk *first)
{
    pthread_mutex_lock(&lock);
    chunks_free(first);
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ set-up, fork */

static mt_prof_instant
read_clocks(void)
{
    /* The reading with the narrowest bracket: an interruption in between spoils a reading. */
    mt_prof_instant best = {0, 0, 0};
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        struct timespec t;
        uint64_t before = mt_prof_now();
        clock_gettime(CLOCK_MONOTONIC, &t);
        uint64_t after = mt_prof_now();
        if (after - before >= narrowest)
            continue;
        narrowest = after - before;
        best.ticks = before + narrowest / 2;
        best.clock = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    struct timespec t, u;
    clock_gettime(CLOCK_MONOTONIC, &t);
    clock_gettime(CLOCK_REALTIME, &u);
    best.unix_time = (int64_t)(u.tv_sec - t.tv_sec) * 1000000000 + u.tv_nsec - t.tv_nsec;
    best.unix_time += best.clock;
    if (!mt_prof_use_tsc)
        best.ticks = (uint64_t)best.clock;
    return best;
}

static void stop_locked(mt_prof_session *session);

static void
before_fork(void)
{
    mt_prof_names_lock();
    pthread_mutex_lock(&lock);
}

static void
after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
    mt_prof_names_unlock();
}

static void
after_fork_child(void)
{
    /* The child records nothing of the parent's session; what it inherited can still be read. */
    if (current)
        stop_locked(current);
    pthread_mutex_unlock(&lock);
    mt_prof_names_unlock();
}

/* Marks where the thread's records end, since nobody can ask it any more. */
static void
leave_log(mt_prof_ring *ring)
{
    mt_prof_log *log = ring->log;
    if (log->last)
        log->last->count = (uint32_t)(ring->head.next -
                                      (const mt_prof_record *)(void *)log->last->data);
    log->ring = NULL;
}

static void
thread_ends(void *value)
{
    mt_prof_ring *ring = value;
    pthread_mutex_lock(&lock);
    if (current && ring->head.generation == current->generation)
        leave_log(ring);
    mt_thread_block.profiler = NULL;
    pthread_mutex_unlock(&lock);
    free(ring);
}

static void
set_up(void)
{
    mt_prof_use_tsc = mt_cpu_has_invariant_tsc();
    have_key = pthread_key_create(&ring_key, thread_ends) == 0;
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    base = read_clocks();
}

void
mt_prof_init(void)
{
    pthread_once(&once, set_up);
}

void
mt_prof_prepare(void)
{
    mt_prof_init();
    pthread_mutex_lock(&lock);
    mt_prof_chunk *chunk = chunk_new(false);
    if (chunk) {
        for (size_t at = 0; at < SMALL_CHUNK; at += 4096)
            *((volatile char *)chunk + at) = 0;
        chunk->bytes = (uint32_t)SMALL_CHUNK;
        chunk->next = NULL;
        chunks_free(chunk);
    }
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ a thread's ring */

/* The calling thread's ring, made on first use. */
static mt_prof_ring *
this_ring(void)
{
    mt_prof_ring *ring = (mt_prof_ring *)mt_thread_block.profiler;
    if (ring)
        return ring;
    mt_prof_init();
    if (!(ring = calloc(1, sizeof *ring)))
        return NULL;
    ring->head.number = __atomic_add_fetch(&last_thread_number, 1, __ATOMIC_RELAXED);
    if (!have_key || pthread_setspecific(ring_key, ring)) {
        free(ring);
        return NULL;
    }
    mt_thread_block.profiler = &ring->head;
    return ring;
}

uint32_t
mt_prof_thread_number(void)
{
    mt_prof_ring *ring = this_ring();
    return ring ? ring->head.number : 0;
}

static void
describe_thread(mt_prof_thread_info *info, uint32_t number)
{
    info->number = number;
#ifdef __linux__
    info->tid = (int32_t)syscall(SYS_gettid);
    if (pthread_getname_np(pthread_self(), info->name, sizeof info->name))
        info->name[0] = 0;
#else
    info->tid = (int32_t)(getpid() + (int)number - 1);
    info->name[0] = 0;
#endif
}

/* The ring joins the session. Under the lock. */
static int
join_session(mt_prof_ring *ring, mt_prof_session *session)
{
    mt_prof_log *log = calloc(1, sizeof *log);
    if (!log)
        return -1;
    describe_thread(&log->thread, ring->head.number);
    log->ring = ring;
    log->next = session->logs;
    session->logs = log;
    session->nlogs++;
    ring->log = log;
    ring->head.next = ring->head.limit = NULL;
    ring->head.flags = session->flags;
    ring->head.generation = session->generation;
    return 0;
}

mt_prof_record *
mt_prof_reserve(void)
{
    mt_prof_record *record = NULL;
    mt_prof_ring *ring = this_ring();
    if (!ring || !__atomic_load_n(&mt_prof_generation, __ATOMIC_RELAXED))
        return NULL;
    pthread_mutex_lock(&lock);
    if (!current)
        goto done;
    if (ring->head.generation != current->generation && join_session(ring, current))
        goto dropped;
    if (ring->head.next == ring->head.limit) {
        mt_prof_log *log = ring->log;
        mt_prof_chunk *chunk = chunk_new(log->last != NULL);
        if (!chunk)
            goto dropped;
        if (log->last) {
            log->last->count = (uint32_t)RECORDS_OF(log->last->bytes);
            log->last->next = chunk;
        } else {
            log->first = chunk;
        }
        log->last = chunk;
        ring->head.next = (mt_prof_record *)(void *)chunk->data;
        ring->head.limit = ring->head.next + RECORDS_OF(chunk->bytes);
    }
    record = ring->head.next++;
    goto done;
dropped:
    current->dropped++;
done:
    pthread_mutex_unlock(&lock);
    return record;
}

mt_prof_side *
mt_prof_side_new(size_t bytes)
{
    mt_prof_ring *ring = (mt_prof_ring *)mt_thread_block.profiler;
    size_t need = (sizeof(mt_prof_side) + bytes + 7) & ~(size_t)7;
    if (!ring || ring->head.generation != __atomic_load_n(&mt_prof_generation, __ATOMIC_RELAXED))
        return NULL;
    mt_prof_log *log = ring->log;
    if (MT_UNLIKELY((size_t)(log->side_limit - log->side_next) < need)) {
        if (need > SMALL_CHUNK - sizeof(mt_prof_chunk))
            return NULL;
        pthread_mutex_lock(&lock);
        mt_prof_chunk *chunk = chunk_new(log->side != NULL);
        if (chunk) {
            chunk->next = log->side;
            log->side = chunk;
            log->side_next = chunk->data;
            log->side_limit = (unsigned char *)chunk + chunk->bytes;
        }
        pthread_mutex_unlock(&lock);
        if (!chunk)
            return NULL;
    }
    mt_prof_side *side = (mt_prof_side *)(void *)log->side_next;
    log->side_next += need;
    *side = (mt_prof_side){0};
    return side;
}

void
mt_prof_attach(mt_prof_mark mark)
{
    mt_prof_stack_hook_fn hook = mt_prof_stack_hook;
    uint32_t stack_id = hook && mt_prof_flags() & MT_PROF_STACKS ? hook() : 0;
    mt_prof_side *side = stack_id ? mt_prof_side_new(0) : NULL;
    if (!side)
        return;
    side->stack = stack_id;
    mark.record->side = side;
}

void
mt_prof_attach_keywords(mt_prof_mark mark, uint32_t keywords)
{
    if (!mt_prof_live(mark))
        return;
    mt_prof_side *side = mark.record->side;
    if (!side && !(side = mark.record->side = mt_prof_side_new(0)))
        return;
    side->keywords = keywords;
}

mt_prof_mark
mt_prof_kernel_next(mt_prof_mark op, uint32_t kernel_name)
{
    mt_prof_mark mark = mt_prof_open(MT_PROF_KERNEL, op.record->name, -1, 0);
    if (!mark.record)
        return mark;
    mark.record->kernel_name = kernel_name;
    mark.record->kernel_begin = mark.record->begin;
    return mark;
}

void
mt_prof_scope_end(mt_prof_mark scope)
{
    if (!mt_prof_live(scope))
        return;
    scope.record->end = mt_prof_now();
    mt_prof_thread *t = mt_thread_block.profiler;
    if (MT_UNLIKELY(!t || scope.record->thread != (uint16_t)t->number))
        scope.record->flags |= MT_PROF_F_ASYNC;
}

/* ------------------------------------------------------------------ memory */

/* Bytes allocated: what the allocator said at the start and every block since. Small tensors lie in
 * blocks that the allocator does not count, so its own figure would not follow. */
static int64_t allocated_now;

/* Not through mt_prof_open: a block has no stack of its own, and its record other fields. */
static void
observe_alloc(void *block, int64_t delta, uint64_t allocated)
{
    (void)allocated;
    int64_t now = __atomic_add_fetch(&allocated_now, delta, __ATOMIC_RELAXED);
    if (!mt_prof_flags())
        return;
    mt_prof_thread *t = mt_thread_block.profiler;
    mt_prof_record *r;
    if (t && t->generation == __atomic_load_n(&mt_prof_generation, __ATOMIC_RELAXED) &&
        t->next != t->limit)
        r = t->next++;
    else if (!(r = mt_prof_reserve()))
        return;
    *r = (mt_prof_record){.begin = mt_prof_now(),
                          .end = (uint64_t)(uintptr_t)block,
                          .kernel_begin = (uint64_t)delta,
                          .kernel_end = (uint64_t)MT_MAX(now, 0),
                          .sequence = -1,
                          .kind = MT_PROF_ALLOC};
}

/* ------------------------------------------------------------------ sessions */

mt_prof_session *
mt_prof_session_start(uint32_t flags)
{
    mt_prof_init();
    mt_prof_session *session = calloc(1, sizeof *session);
    if (!session)
        return mt_fail_null(MT_MEMORY, "not enough memory to start the profiler");
    mt_alloc_stats stats;
    mt_alloc_get_stats(&stats);
    pthread_mutex_lock(&lock);
    if (current) {
        pthread_mutex_unlock(&lock);
        free(session);
        return mt_fail_null(MT_RUNTIME, "a profiler is recording already: profilers do not nest");
    }
    if (++last_generation == 0)
        last_generation = 1;
    session->generation = last_generation;
    session->flags = flags | MT_PROF_OPS;
    session->recording = true;
    session->allocated = stats.allocated;
    allocated_now = (int64_t)stats.allocated;
    session->pid = (int32_t)getpid();
    session->begin = read_clocks();
    current = session;
    if (session->flags & MT_PROF_MEMORY)
        __atomic_store_n(&mt_alloc_observe, observe_alloc, __ATOMIC_RELAXED);
    __atomic_store_n(&mt_prof_generation, session->generation, __ATOMIC_RELEASE);
    __atomic_store_n(&mt_prof_on, session->flags, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    return session;
}

void
mt_prof_session_pause(mt_prof_session *session, bool paused)
{
    pthread_mutex_lock(&lock);
    if (session->recording) {
        session->paused = paused;
        __atomic_store_n(&mt_prof_on, paused ? 0 : session->flags, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
}

int
mt_prof_session_step(mt_prof_session *session, int64_t step)
{
    if (session->nsteps == session->steps_capacity) {
        int64_t capacity = session->steps_capacity ? 2 * session->steps_capacity : 8;
        void *steps = realloc(session->steps, (size_t)capacity * sizeof *session->steps);
        if (!steps)
            return mt_fail(MT_MEMORY, "not enough memory for the profiler's steps");
        session->steps = steps;
        session->steps_capacity = capacity;
    }
    session->steps[session->nsteps].ticks = mt_prof_now();
    session->steps[session->nsteps++].step = step;
    return 0;
}

/* Ticks per nanosecond. Two readings are good to some 50 ns each, so a short session borrows the
 * longer base since the library was set up; a long one uses its own ends, which a suspended
 * machine cannot spoil. */
static double
measure_rate(const mt_prof_session *session)
{
    const int64_t long_enough = 20000000;
    const mt_prof_instant *from = &session->begin, *to = &session->end;
    if (!mt_prof_use_tsc)
        return 1.0;
    if (to->clock - from->clock < long_enough && to->clock - base.clock >= long_enough)
        from = &base;
    if (to->clock <= from->clock || to->ticks <= from->ticks)
        return 1.0;
    return (double)(to->ticks - from->ticks) / (double)(to->clock - from->clock);
}

static void
stop_locked(mt_prof_session *session)
{
    __atomic_store_n(&mt_prof_on, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mt_prof_generation, 0, __ATOMIC_RELEASE);
    if (session->flags & MT_PROF_MEMORY)
        __atomic_store_n(&mt_alloc_observe, NULL, __ATOMIC_RELAXED);
    session->end = read_clocks();
    for (mt_prof_log *log = session->logs; log; log = log->next)
        if (log->ring)
            leave_log(log->ring);
    session->ticks_per_ns = measure_rate(session);
    session->recording = false;
    current = NULL;
}

void
mt_prof_session_stop(mt_prof_session *session)
{
    pthread_mutex_lock(&lock);
    if (session->recording)
        stop_locked(session);
    pthread_mutex_unlock(&lock);
}

void
mt_prof_session_free(mt_prof_session *session)
{
    if (!session)
        return;
    mt_prof_session_stop(session);
    mt_prof_results_free(session->results);
    pthread_mutex_lock(&lock);
    while (session->logs) {
        mt_prof_log *log = session->logs;
        session->logs = log->next;
        chunks_free(log->first);
        chunks_free(log->side);
        free(log);
    }
    pthread_mutex_unlock(&lock);
    mt_prof_names_free(&session->names);
    free(session->steps);
    free(session);
}

uint32_t
mt_prof_scope_name(const char *name, size_t length)
{
    uint32_t id = 0;
    pthread_mutex_lock(&lock);
    if (current && (id = mt_prof_names_add(&current->names, name, length, "")))
        id |= MT_PROF_LOCAL_NAME;
    pthread_mutex_unlock(&lock);
    return id;
}
