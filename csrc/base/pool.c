/* The thread pool.
 *
 * A loop's chunks are dealt out in advance, one contiguous share per thread, so that the same
 * thread meets the same memory from one operator to the next; who has finished takes pieces from
 * the shares of others.
 *
 * One word, `gate`, says whether a loop is open and how many workers are inside. A worker enters
 * by raising the count of an open gate; the caller closes it when no piece is left and waits for
 * the count to fall to zero. So nobody waits for workers that have not woken up, and no worker
 * touches a loop that has returned.
 *
 * Idle workers watch `round` for some 20 us, then sleep on it. */
#define _GNU_SOURCE
#include "base/pool.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/host.h"
#include "base/local.h"

#if defined(__linux__) && !defined(MT_NO_FUTEX)
#define HAVE_FUTEX 1
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#define HAVE_FUTEX 0
#endif

#define SPIN_NS 20000
#define MAX_THREADS 1024
#define PIECES_PER_SHARE 4

#define GATE_OPEN 0x80000000u
#define GATE_WAITING 0x40000000u /* the caller sleeps until the count is zero */
#define GATE_COUNT 0x3fffffffu

/* Chunks of one thread's share that nobody has taken yet. */
typedef struct share {
    _Alignas(64) int64_t next;
    int64_t end, step;
} share;

static struct {
    pthread_mutex_t lock; /* held by the caller whose loop runs, and to start or stop */
    pthread_t *workers;
    share *shares; /* one per thread, workers + 1 */
    int num_workers;
    int started_for; /* the number of threads asked for at the start; 0: not started */

    /* The open loop. Written while the gate is closed. */
    mt_parallel_body body;
    void *ctx;
    int64_t count, grain;
    int num_shares;

    _Alignas(64) uint32_t round; /* goes up with each loop, and to end */
    uint32_t sleepers;
    bool ending, spin;
    _Alignas(64) uint32_t gate;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int wanted_threads = 0; /* 0: not decided yet */

/* ---- sleeping ---- */

#if HAVE_FUTEX

static void
sleep_while(uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void
wake(uint32_t *word, int threads)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static void
sleep_reset(void)
{
}

#else

static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_cond = PTHREAD_COND_INITIALIZER;

static void
sleep_while(uint32_t *word, uint32_t value)
{
    pthread_mutex_lock(&sleep_lock);
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
        pthread_cond_wait(&sleep_cond, &sleep_lock);
    pthread_mutex_unlock(&sleep_lock);
}

static void
wake(uint32_t *word, int threads)
{
    (void)word, (void)threads;
    pthread_mutex_lock(&sleep_lock);
    pthread_cond_broadcast(&sleep_cond);
    pthread_mutex_unlock(&sleep_lock);
}

static void
sleep_reset(void)
{
    pthread_mutex_init(&sleep_lock, NULL);
    pthread_cond_init(&sleep_cond, NULL);
}

#endif

static void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Watches until *word differs from `value` or the time is up; true when it differs. */
static bool
spin_while(const uint32_t *word, uint32_t value, bool allowed)
{
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
        return true;
    if (!allowed)
        return false;
    int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            relax();
            if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
                return true;
        }
    } while (now_ns() < until);
    return false;
}

/* ---- running ---- */

/* Takes pieces of share `first` and then of the others, round the circle. */
static void
run_shares(int first)
{
    for (int i = 0; i < pool.num_shares; i++) {
        int at = first + i < pool.num_shares ? first + i : first + i - pool.num_shares;
        share *s = &pool.shares[at];
        while (__atomic_load_n(&s->next, __ATOMIC_RELAXED) < s->end) {
            int64_t chunk = __atomic_fetch_add(&s->next, s->step, __ATOMIC_RELAXED);
            if (chunk >= s->end)
                break;
            int64_t begin = chunk * pool.grain, last = MT_MIN(chunk + s->step, s->end);
            int64_t end = last > (pool.count - 1) / pool.grain ? pool.count : last * pool.grain;
            pool.body(pool.ctx, begin, end);
        }
    }
}

static void *
worker(void *index_pointer)
{
    int index = (int)(intptr_t)index_pointer;
    uint32_t seen = 0;
    mt_local *local = mt_local_get();
    if (!local)
        return NULL; /* no memory: the others do the work */
    local->thread_index = index;
    local->in_parallel = true;
#if HAVE_FUTEX
    prctl(PR_SET_NAME, "mt-pool");
#endif
    for (;;) {
        if (!spin_while(&pool.round, seen, __atomic_load_n(&pool.spin, __ATOMIC_RELAXED))) {
            __atomic_fetch_add(&pool.sleepers, 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&pool.round, __ATOMIC_SEQ_CST) == seen)
                sleep_while(&pool.round, seen);
            __atomic_fetch_sub(&pool.sleepers, 1, __ATOMIC_SEQ_CST);
        }
        seen = __atomic_load_n(&pool.round, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&pool.ending, __ATOMIC_ACQUIRE))
            return NULL;
        uint32_t gate = __atomic_load_n(&pool.gate, __ATOMIC_RELAXED);
        bool inside = false;
        while ((gate & GATE_OPEN) && !inside)
            inside = __atomic_compare_exchange_n(&pool.gate, &gate, gate + 1, true,
                                                 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
        if (!inside)
            continue;
        run_shares(index < pool.num_shares ? index : index % pool.num_shares);
        if (__atomic_sub_fetch(&pool.gate, 1, __ATOMIC_RELEASE) == GATE_WAITING)
            wake(&pool.gate, 1);
    }
}

/* ---- starting and stopping; the lock is held ---- */

static void
stop(void)
{
    if (!pool.started_for)
        return;
    __atomic_store_n(&pool.ending, true, __ATOMIC_RELEASE);
    __atomic_fetch_add(&pool.round, 1, __ATOMIC_SEQ_CST);
    wake(&pool.round, INT_MAX);
    for (int i = 0; i < pool.num_workers; i++)
        pthread_join(pool.workers[i], NULL);
    free(pool.workers);
    free(pool.shares);
    pool.workers = NULL;
    pool.shares = NULL;
    pool.num_workers = 0;
    pool.started_for = 0;
    pool.ending = false;
}

/* The child has neither the workers nor, perhaps, the caller of a running loop. What they held is
 * forgotten; the arrays stay allocated, since another thread may have been about to use them. */
static void
in_child(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    sleep_reset();
    pool.workers = NULL;
    pool.shares = NULL;
    pool.num_workers = 0;
    pool.started_for = 0;
    pool.ending = false;
    pool.round = 0;
    pool.sleepers = 0;
    pool.gate = 0;
}

static void
watch_forks(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

static void
start(int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pool.started_for = threads;
    pool.num_workers = 0;
    pool.round = 0;
    pool.gate = 0;
    pool.spin = threads <= mt_cpu_count();
    pool.workers = malloc((size_t)threads * sizeof *pool.workers);
    pool.shares = aligned_alloc(64, (size_t)threads * sizeof *pool.shares);
    if (!pool.workers || !pool.shares)
        return; /* loops run in the caller */
    /* Signals are for the threads of the program. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&pool.workers[i - 1], NULL, worker, (void *)(intptr_t)i) != 0)
            break;
        pool.num_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the parallel loop ---- */

/* The lock is held; num_workers > 0 and there are at least two chunks. */
static void
run_shared(mt_local *local, int64_t count, int64_t chunks)
{
    int64_t threads = MT_MIN(chunks, (int64_t)pool.num_workers + 1);
    pool.num_shares = (int)threads;
    for (int64_t i = 0; i < threads; i++) {
        /* chunks * i / threads without overflow */
        int64_t begin = chunks / threads * i + chunks % threads * i / threads;
        int64_t end = chunks / threads * (i + 1) + chunks % threads * (i + 1) / threads;
        pool.shares[i].end = end;
        pool.shares[i].step = MT_MAX((end - begin) / PIECES_PER_SHARE, 1);
        __atomic_store_n(&pool.shares[i].next, begin, __ATOMIC_RELAXED);
    }
    pool.count = count;
    __atomic_store_n(&pool.gate, GATE_OPEN, __ATOMIC_RELEASE);
    __atomic_fetch_add(&pool.round, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.sleepers, __ATOMIC_SEQ_CST) > 0)
        wake(&pool.round, (int)threads - 1);

    bool outer = local->in_parallel;
    local->in_parallel = true;
    run_shares(0);
    local->in_parallel = outer;

    uint32_t gate = __atomic_and_fetch(&pool.gate, ~GATE_OPEN, __ATOMIC_ACQUIRE);
    while (gate != 0) {
        if (spin_while(&pool.gate, gate, pool.spin)) {
            gate = __atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE);
            continue;
        }
        gate = __atomic_or_fetch(&pool.gate, GATE_WAITING, __ATOMIC_ACQUIRE);
        while ((gate & GATE_COUNT) != 0) {
            sleep_while(&pool.gate, gate);
            gate = __atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE);
        }
        __atomic_store_n(&pool.gate, 0, __ATOMIC_RELAXED);
        gate = 0;
    }
}

void
mt_parallel_for(int64_t count, int64_t grain, mt_parallel_body body, void *ctx)
{
    if (count <= 0)
        return;
    grain = MT_MAX(grain, 1);
    if (count <= grain || mt_num_threads() == 1) {
        body(ctx, 0, count);
        return;
    }
    mt_local *local = mt_local_get();
    if (!local || local->in_parallel || pthread_mutex_trylock(&pool.lock) != 0) {
        body(ctx, 0, count);
        return;
    }
    int threads = MT_MIN(mt_num_threads(), MAX_THREADS);
    if (pool.started_for != threads) {
        stop();
        start(threads);
    }
    if (pool.num_workers == 0) {
        pthread_mutex_unlock(&pool.lock);
        body(ctx, 0, count);
        return;
    }
    void *state = mt_the_host.lock_leave ? mt_the_host.lock_leave() : NULL;
    pool.body = body;
    pool.ctx = ctx;
    pool.grain = grain;
    run_shared(local, count, (count - 1) / grain + 1);
    pthread_mutex_unlock(&pool.lock);
    if (mt_the_host.lock_enter)
        mt_the_host.lock_enter(state);
}

/* ---- numbers ---- */

/* The number a variable holds, 0 where it says nothing of use. */
static int
threads_of_omp(void)
{
    const char *text = getenv("OMP_NUM_THREADS");
    if (!text)
        return 0;
    char *end;
    long n = strtol(text, &end, 10);
    while (*end == ' ' || *end == '\t')
        end++;
    /* A list gives one number per level of nesting; the first counts. */
    return n > 0 && n <= INT_MAX && end != text && (*end == 0 || *end == ',') ? (int)n : 0;
}

/* As PyTorch's MKL reads it: nonsense means one thread, 0 and nothing mean "not set". */
static int
threads_of_mkl(void)
{
    const char *text = getenv("MKL_NUM_THREADS");
    if (!text || !*text)
        return 0;
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 0)
        return 1;
    return n > INT_MAX ? INT_MAX : (int)n;
}

int
mt_num_threads(void)
{
    int threads = __atomic_load_n(&wanted_threads, __ATOMIC_RELAXED);
    if (MT_LIKELY(threads > 0))
        return threads;
    threads = threads_of_mkl();
    if (threads == 0)
        threads = threads_of_omp();
    int cpus = MT_MIN(mt_cpu_count(), MAX_THREADS);
    threads = threads == 0 ? cpus : MT_MIN(threads, cpus);
    /* A number set meanwhile stays. */
    int undecided = 0;
    if (!__atomic_compare_exchange_n(&wanted_threads, &undecided, threads, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        threads = undecided;
    return threads;
}

int
mt_set_num_threads(int n)
{
    if (n < 1)
        return mt_fail(MT_RUNTIME, "set_num_threads expects a positive integer");
    /* The pool follows at the next loop. */
    __atomic_store_n(&wanted_threads, n, __ATOMIC_RELAXED);
    return 0;
}

bool
mt_in_parallel(void)
{
    mt_local *local = mt_local_of_thread;
    return local && local->in_parallel;
}

int
mt_thread_index(void)
{
    mt_local *local = mt_local_of_thread;
    return local ? local->thread_index : 0;
}

void
mt_pool_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    stop();
    pthread_mutex_unlock(&pool.lock);
}
