/* Tests of csrc/base: errors, dtypes, the allocator, the pool, CPU features, the default host. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/host.h"
#include "base/pool.h"
#include "check.h"

#if defined(__SANITIZE_ADDRESS__)
#define CACHING 0
#else
#define CACHING 1
#endif

/* ---- errors ---- */

static void *
error_of_other_thread(void *unused)
{
    (void)unused;
    const char *message;
    CHECK_INT(mt_error(&message), MT_ERR_NONE);
    mt_fail(MT_KEY, "mine");
    CHECK_INT(mt_error(NULL), MT_KEY);
    return NULL;
}

static int warnings_seen;
static char last_warning[200];

static int
keep_warning(mt_warn_kind kind, const char *text)
{
    warnings_seen++;
    snprintf(last_warning, sizeof last_warning, "%d %s", (int)kind, text);
    return strstr(text, "fatal") ? -1 : 0;
}

static void
test_errors(void)
{
    const char *message;
    CHECK_INT(mt_error(&message), MT_ERR_NONE);
    CHECK_STR(message, "");
    CHECK_INT(mt_fail(MT_VALUE, "got %d", 7), -1);
    CHECK_INT(mt_error(&message), MT_VALUE);
    CHECK_STR(message, "got 7");
    /* The old message may be an argument of the new one. */
    CHECK(mt_fail_null(MT_TYPE, "%s, and %s", message, "more") == NULL);
    CHECK_INT(mt_error(&message), MT_TYPE);
    CHECK_STR(message, "got 7, and more");

    char *longer = malloc(100001);
    memset(longer, 'x', 100000);
    longer[100000] = 0;
    mt_fail(MT_RUNTIME, "%s", longer);
    mt_error(&message);
    CHECK_STR(message, longer);
    free(longer);

    pthread_t thread;
    pthread_create(&thread, NULL, error_of_other_thread, NULL);
    pthread_join(thread, NULL);
    CHECK_INT(mt_error(NULL), MT_RUNTIME);
    mt_error_clear();
    CHECK_INT(mt_error(&message), MT_ERR_NONE);

    int64_t shape[3] = {2, -3, INT64_MIN}, many[64];
    CHECK_STR(mt_str_ints(shape, 3), "[2, -3, -9223372036854775808]");
    CHECK_STR(mt_str_ints(shape, 1), "[2]");
    CHECK_STR(mt_str_ints(NULL, 0), "[]");
    for (int i = 0; i < 64; i++)
        many[i] = INT64_MIN;
    CHECK_INT(strlen(mt_str_ints(many, 64)), 64 * 20 + 63 * 2 + 2);
    const char *texts[8];
    for (int i = 0; i < 8; i++)
        texts[i] = mt_str("text %d", i);
    for (int i = 0; i < 8; i++)
        CHECK_INT(texts[i][5] - '0', i);

    mt_the_host.warn = keep_warning;
    CHECK_INT(mt_warn(MT_WARN_FUTURE, "old %s", "thing"), 0);
    CHECK_STR(last_warning, "2 old thing");
    static bool given = false;
    for (int i = 0; i < 3; i++)
        CHECK_INT(mt_warn_once(&given, "once"), 0);
    CHECK_INT(warnings_seen, 2);
    mt_warn_always = true;
    mt_warn_once(&given, "once");
    CHECK_INT(warnings_seen, 3);
    mt_warn_always = false;
    CHECK_INT(mt_warn(MT_WARN_USER, "fatal"), -1);
    CHECK_INT(mt_error(NULL), MT_HOST);
    mt_error_clear();
}

/* ---- dtypes ---- */

static float
half_exact(uint16_t bits)
{
    int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    float magnitude = exponent == 31   ? (fraction ? NAN : INFINITY)
                      : exponent == 0 ? ldexpf((float)fraction, -24)
                                      : ldexpf((float)(fraction + 1024), exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static bool
same_float(float a, float b)
{
    return (isnan(a) && isnan(b)) || mt_float_bits(a) == mt_float_bits(b);
}

static void
test_dtypes(void)
{
    static const size_t sizes[] = {
#define X(ENUM, name, type) sizeof(type),
        MT_FOR_DTYPE(X)
#undef X
    };
    static const char *const names[] = {
#define X(ENUM, name, type) #name,
        MT_FOR_DTYPE(X)
#undef X
    };
    for (int d = 0; d < MT_NUM_DTYPES; d++) {
        const mt_dtype_info *info = &mt_dtypes[d];
        CHECK_STR(info->name, names[d]);
        CHECK_INT(info->size, sizes[d]);
        CHECK_INT(info->is_floating, mt_is_floating((mt_dtype)d));
        CHECK_INT(info->is_complex, mt_is_complex((mt_dtype)d));
        CHECK_INT(info->is_integral, mt_is_integral((mt_dtype)d, false));
        for (int e = 0; e < MT_NUM_DTYPES; e++) {
            mt_dtype joined = mt_promote((mt_dtype)d, (mt_dtype)e);
            CHECK_INT(joined, mt_promote((mt_dtype)e, (mt_dtype)d));
            if (joined != MT_DTYPE_NONE)
                CHECK_INT(mt_dtype_category(joined), MT_MAX(mt_dtype_category((mt_dtype)d),
                                                            mt_dtype_category((mt_dtype)e)));
            CHECK_INT(mt_can_cast((mt_dtype)d, (mt_dtype)e),
                      mt_dtype_category((mt_dtype)d) <= mt_dtype_category((mt_dtype)e));
        }
        CHECK_INT(mt_promote((mt_dtype)d, (mt_dtype)d), d);
    }
    CHECK_INT(mt_promote(MT_UINT8, MT_INT8), MT_INT16);
    CHECK_INT(mt_promote(MT_FLOAT16, MT_BFLOAT16), MT_FLOAT32);
    CHECK_INT(mt_promote(MT_FLOAT64, MT_COMPLEX64), MT_COMPLEX128);
    CHECK_INT(mt_promote(MT_INT64, MT_FLOAT16), MT_FLOAT16);
    CHECK_INT(mt_promote(MT_UINT16, MT_UINT8), MT_DTYPE_NONE);
    CHECK_INT(mt_promote(MT_UINT64, MT_BFLOAT16), MT_BFLOAT16);
    CHECK_INT(mt_promote(MT_UINT32, MT_COMPLEX64), MT_DTYPE_NONE);
    CHECK_INT(mt_can_cast(MT_FLOAT64, MT_FLOAT16), true);
    CHECK_INT(mt_can_cast(MT_FLOAT16, MT_INT64), false);
    CHECK_INT(mt_can_cast(MT_INT8, MT_UINT8), true);
    CHECK_INT(mt_can_cast(MT_INT8, MT_BOOL), false);

    /* Every half, there and back, and every midpoint between two halves. */
    bool exact = true, returns = true, rounds = true;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        mt_half h = {(uint16_t)bits};
        float f = mt_half_to_float(h);
        exact &= same_float(f, half_exact(h.bits));
        if (isnan(f)) {
            returns &= isnan(mt_half_to_float(mt_float_to_half(f)));
            continue;
        }
        returns &= mt_float_to_half(f).bits == bits;
        if ((bits & 0x7fff) >= 0x7bff)
            continue;
        float next = half_exact((uint16_t)(bits + 1)), middle = (f + next) / 2;
        rounds &= mt_float_to_half(middle).bits == bits + (bits & 1);
        rounds &= mt_float_to_half(nextafterf(middle, f)).bits == bits;
        rounds &= mt_float_to_half(nextafterf(middle, next)).bits == bits + 1;
    }
    CHECK(exact);
    CHECK(returns);
    CHECK(rounds);
    CHECK_INT(mt_float_to_half(65519.996f).bits, 0x7bff);
    CHECK_INT(mt_float_to_half(65520.0f).bits, 0x7c00);
    CHECK_INT(mt_float_to_half(-1e30f).bits, 0xfc00);
    CHECK_INT(mt_float_to_half(1e-30f).bits, 0);
    CHECK_INT(mt_float_to_bfloat16(1.00390625f).bits, 0x3f80);         /* a tie, to even */
    CHECK_INT(mt_float_to_bfloat16(1.01171875f).bits, 0x3f82);         /* a tie, to even */
    CHECK_INT(mt_float_to_bfloat16(nextafterf(1.00390625f, 2)).bits, 0x3f81);
    CHECK_INT(mt_float_to_bfloat16(3.4e38f).bits, 0x7f80);
    CHECK(isnan(mt_bfloat16_to_float(mt_float_to_bfloat16(mt_bits_float(0x7f800001)))));
}

/* ---- the allocator ---- */

static uint64_t
allocated_now(void)
{
    mt_alloc_stats stats;
    mt_alloc_get_stats(&stats);
    return stats.allocated;
}

static int64_t observed_bytes;
static uint64_t observed_total;

static void
observe(void *block, int64_t delta, uint64_t allocated)
{
    CHECK(block != NULL);
    observed_bytes += delta;
    observed_total = allocated;
}

static void
test_alloc(void)
{
    /* Every size around every class boundary: aligned, writable, not overlapping its neighbour. */
    for (size_t n = 0; n <= (size_t)5 << 20; n += n < 2100 ? 1 : n / 9 + 1) {
        unsigned char *a = mt_alloc(n), *b = mt_alloc(n);
        if (!CHECK(a && b))
            return;
        CHECK_INT((uintptr_t)a % MT_ALIGN, 0);
        CHECK(a + n <= b || b + n <= a);
        memset(a, 1, n);
        memset(b, 2, n);
        CHECK(n == 0 || (a[0] == 1 && a[n - 1] == 1));
        mt_free(a, n);
        mt_free(b, n);
    }
    mt_free(NULL, 10);
    mt_alloc_empty_cache();

    uint64_t before = allocated_now();
    mt_alloc_stats stats;
    mt_alloc_reset_peak();
    void *small = mt_alloc(100), *large = mt_alloc((size_t)3 << 20);
    CHECK_INT(allocated_now() - before, 100 + (3 << 20));
#if CACHING && defined(__linux__)
    CHECK_INT((uintptr_t)large % (2 << 20), 0);
#endif
    mt_free(large, (size_t)3 << 20);
    mt_alloc_get_stats(&stats);
    CHECK_INT(stats.allocated - before, 100);
    CHECK_INT(stats.peak_allocated - before, 100 + (3 << 20));
    mt_alloc_reset_peak();
    mt_alloc_get_stats(&stats);
    CHECK_INT(stats.peak_allocated, stats.allocated);

    /* A freed block serves the next request of like size. */
    if (CACHING) {
        CHECK(stats.cached >= (3 << 20));
        uint64_t hits = stats.cache_hits, calls = stats.calls;
        void *again = mt_alloc(((size_t)3 << 20) - 5);
        CHECK(again == large);
        mt_free(again, ((size_t)3 << 20) - 5);
        mt_free(small, 100);
        CHECK(mt_alloc(128) == small);
        mt_alloc_get_stats(&stats);
        CHECK_INT(stats.cache_hits - hits, 2);
        CHECK_INT(stats.calls - calls, 2);
        mt_free(small, 128);

        uint64_t reserved = stats.reserved;
        mt_alloc_empty_cache();
        mt_alloc_get_stats(&stats);
        CHECK(reserved - stats.reserved >= (3 << 20));

        uint64_t cap = mt_alloc_get_cap();
        CHECK(cap > 0 && cap <= (uint64_t)4 << 30);
        mt_alloc_set_cap((uint64_t)4 << 20);
        void *blocks[4];
        for (int i = 0; i < 4; i++)
            blocks[i] = mt_alloc((size_t)2 << 20);
        for (int i = 0; i < 4; i++)
            mt_free(blocks[i], (size_t)2 << 20);
        /* The two that waited longest are gone, the two newest remain. */
        CHECK(mt_alloc((size_t)2 << 20) == blocks[3]);
        CHECK(mt_alloc((size_t)2 << 20) == blocks[2]);
        mt_free(blocks[2], (size_t)2 << 20);
        mt_free(blocks[3], (size_t)2 << 20);
        mt_alloc_set_cap(cap);
    } else {
        mt_free(small, 100);
    }

    /* More frees in a row than a bin holds. */
    enum { MANY = 3000 };
    void **many = malloc(MANY * sizeof *many);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            many[i] = mt_alloc((size_t)(i % 20) * 100);
            memset(many[i], i, (size_t)(i % 20) * 100);
        }
        for (int i = 0; i < MANY; i++)
            mt_free(many[i], (size_t)(i % 20) * 100);
    }
    free(many);
    CHECK_INT(allocated_now(), before);

    const char *message;
    CHECK(mt_alloc((size_t)1 << 50) == NULL);
    CHECK_INT(mt_error(&message), MT_MEMORY);
    CHECK(strstr(message, "you tried to allocate 1125899906842624 bytes") != NULL);
    CHECK(mt_alloc(SIZE_MAX) == NULL);
    mt_error_clear();

    mt_alloc_fail_nth(2);
    void *first = mt_alloc(8);
    CHECK(first != NULL);
    CHECK(mt_alloc(8) == NULL);
    CHECK_INT(mt_error(NULL), MT_MEMORY);
    mt_error_clear();
    void *third = mt_alloc(8);
    CHECK(third != NULL);
    mt_free(first, 8);
    mt_free(third, 8);
    mt_alloc_fail_nth(1);
    mt_alloc_fail_nth(0);
    first = mt_alloc(8);
    CHECK(first != NULL);
    mt_free(first, 8);

    mt_alloc_observe = observe;
    void *seen = mt_alloc(1000);
    CHECK_INT(observed_bytes, 1000);
    CHECK_INT(observed_total, before + 1000);
    void *seen_large = mt_alloc((size_t)2 << 20);
    CHECK_INT(observed_bytes, 1000 + (2 << 20));
    mt_free(seen, 1000);
    mt_free(seen_large, (size_t)2 << 20);
    CHECK_INT(observed_bytes, 0);
    CHECK_INT(observed_total, before);
    mt_alloc_observe = NULL;
    CHECK_INT(allocated_now(), before);
}

/* Blocks that one thread makes and another frees. */
typedef struct mailbox {
    void *slots[64];
    unsigned seed;
    int wrong;
} mailbox;

static void *
exchange_blocks(void *mailbox_pointer)
{
    mailbox *box = mailbox_pointer;
    unsigned seed = __atomic_fetch_add(&box->seed, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = 8 + ((seed >> 8) % (i % 50 == 0 ? 100000 : 600));
        size_t *block = mt_alloc(n);
        if (!block)
            break;
        *block = n;
        memset(block + 1, (int)n, n - 8);
        void **slot = &box->slots[(seed >> 4) % 64];
        size_t *old = __atomic_exchange_n(slot, block, __ATOMIC_ACQ_REL);
        if (!old)
            continue;
        if (*old > 8 && ((unsigned char *)old)[*old - 1] != (unsigned char)*old)
            __atomic_fetch_add(&box->wrong, 1, __ATOMIC_RELAXED);
        mt_free(old, *old);
    }
    return NULL;
}

static void
test_alloc_threads(void)
{
    uint64_t before = allocated_now();
    mailbox box = {.seed = 1};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, exchange_blocks, &box);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 64; i++)
        if (box.slots[i])
            mt_free(box.slots[i], *(size_t *)box.slots[i]);
    CHECK_INT(box.wrong, 0);
    CHECK_INT(allocated_now(), before);
    mt_alloc_stats stats;
    mt_alloc_get_stats(&stats);
    CHECK(stats.calls >= 80000);
    CHECK(stats.peak_allocated >= stats.allocated);
}

/* ---- the pool ---- */

typedef struct tally {
    uint8_t *hits;
    int64_t grain, count;
    int bad, calls, max_index;
    bool nested;
} tally;

static void
nested_body(void *ctx, int64_t begin, int64_t end)
{
    tally *t = ctx;
    if (begin != 0 || end != 10)
        __atomic_fetch_add(&t->bad, 1, __ATOMIC_RELAXED);
}

static void
tally_body(void *ctx, int64_t begin, int64_t end)
{
    tally *t = ctx;
    if (begin % t->grain || (end % t->grain && end != t->count) || begin >= end)
        __atomic_fetch_add(&t->bad, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&t->calls, 1, __ATOMIC_RELAXED);
    int index = mt_thread_index(), max = __atomic_load_n(&t->max_index, __ATOMIC_RELAXED);
    if (index < 0 || index >= mt_num_threads())
        __atomic_fetch_add(&t->bad, 1, __ATOMIC_RELAXED);
    while (index > max && !__atomic_compare_exchange_n(&t->max_index, &max, index, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    if (t->nested) {
        if (!mt_in_parallel())
            __atomic_fetch_add(&t->bad, 1, __ATOMIC_RELAXED);
        mt_parallel_for(10, 1, nested_body, t);
    }
    for (int64_t i = begin; i < end; i++)
        t->hits[i]++;
}

static void
run_tally(int64_t count, int64_t grain, bool nested)
{
    tally t = {calloc((size_t)count + 1, 1), grain, count, 0, 0, 0, nested};
    mt_parallel_for(count, grain, tally_body, &t);
    bool once = true;
    for (int64_t i = 0; i < count; i++)
        once &= t.hits[i] == 1;
    CHECK(once);
    CHECK_INT(t.bad, 0);
    if (count <= grain)
        CHECK_INT(t.calls, count > 0);
    free(t.hits);
}

static void *
loops_of_thread(void *unused)
{
    (void)unused;
    for (int i = 0; i < 300; i++) {
        tally t = {calloc(1000, 1), 7, 1000, 0, 0, 0, false};
        mt_parallel_for(1000, 7, tally_body, &t);
        int sum = 0;
        for (int k = 0; k < 1000; k++)
            sum += t.hits[k];
        if (sum != 1000 || t.bad)
            __atomic_fetch_add((int *)unused, 1, __ATOMIC_RELAXED);
        free(t.hits);
    }
    return NULL;
}

static int leaves, enters;

static void *
lock_leave(void)
{
    leaves++;
    return &leaves;
}

static void
lock_enter(void *state)
{
    enters += state == &leaves;
}

static void
test_pool(void)
{
    CHECK(mt_num_threads() >= 1);
    CHECK_INT(mt_in_parallel(), false);
    CHECK_INT(mt_thread_index(), 0);
    const char *message;
    CHECK_INT(mt_set_num_threads(0), -1);
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK_STR(message, "set_num_threads expects a positive integer");
    mt_error_clear();

    static const int threads[] = {1, 2, 3, 7, 2};
    for (size_t i = 0; i < MT_COUNT(threads); i++) {
        CHECK_INT(mt_set_num_threads(threads[i]), 0);
        CHECK_INT(mt_num_threads(), threads[i]);
        for (int64_t count = 0; count < 5000; count = count * 3 / 2 + 1) {
            run_tally(count, 1, false);
            run_tally(count, 13, false);
            run_tally(count, 1000, false);
        }
        run_tally(1000, 10, threads[i] > 1);
        CHECK_INT(mt_in_parallel(), false);
    }
    /* Long idle, so that workers sleep; then again at once, while they spin. */
    for (int i = 0; i < 20; i++) {
        usleep(i % 4 ? 0 : 3000);
        run_tally(4000, 3, false);
    }

    leaves = enters = 0;
    mt_the_host.lock_leave = lock_leave;
    mt_the_host.lock_enter = lock_enter;
    run_tally(100, 100, false);
    CHECK_INT(leaves, 0);
    run_tally(101, 100, false);
    CHECK_INT(leaves, 1);
    CHECK_INT(enters, 1);
    mt_the_host.lock_leave = NULL;
    mt_the_host.lock_enter = NULL;

    mt_pool_stop();
    mt_pool_stop();
    run_tally(4000, 3, false);

    /* Several threads with loops of their own. */
    mt_set_num_threads(3);
    int wrong = 0;
    pthread_t others[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&others[i], NULL, loops_of_thread, &wrong);
    loops_of_thread(&wrong);
    for (int i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
    CHECK_INT(wrong, 0);
    mt_set_num_threads(2);
}

#if !defined(__SANITIZE_THREAD__) /* which does not let a forked child start threads */
static void *
loop_until(void *stop)
{
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
        loops_of_thread(&(int){0});
    return NULL;
}

static void
test_fork(void)
{
    int stop = 0;
    pthread_t busy;
    pthread_create(&busy, NULL, loop_until, &stop);
    for (int i = 0; i < 5; i++) {
        run_tally(4000, 3, false);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a hang is a failure */
            check_failures = 0;
            run_tally(4000, 3, false);
            void *block = mt_alloc(5000000);
            mt_free(block, 5000000);
            mt_pool_stop();
            _exit(check_failures != 0);
        }
        int status;
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(busy, NULL);
}
#endif

/* What a fresh process counts under the given variables. */
static int
threads_with(const char *omp, const char *mkl)
{
    fflush(stdout);
    int pipes[2];
    if (pipe(pipes) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        unsetenv("OMP_NUM_THREADS");
        unsetenv("MKL_NUM_THREADS");
        if (omp)
            setenv("OMP_NUM_THREADS", omp, 1);
        if (mkl)
            setenv("MKL_NUM_THREADS", mkl, 1);
        int n = mt_num_threads();
        _exit(write(pipes[1], &n, sizeof n) != sizeof n);
    }
    int n = -1, status;
    waitpid(child, &status, 0);
    if (read(pipes[0], &n, sizeof n) != sizeof n)
        n = -1;
    close(pipes[0]);
    close(pipes[1]);
    return n;
}

/* Before anything else asks for the number of threads, which is decided once. */
static void
test_thread_count(void)
{
    int cpus = mt_cpu_count();
    CHECK(cpus >= 1);
    CHECK_INT(threads_with(NULL, NULL), cpus);
    CHECK_INT(threads_with("1", NULL), 1);
    CHECK_INT(threads_with(" 1 ", NULL), 1);
    CHECK_INT(threads_with("1,4", NULL), 1);
    CHECK_INT(threads_with("100000", NULL), cpus);
    CHECK_INT(threads_with("1", "100000"), cpus);
    CHECK_INT(threads_with("100000", "1"), 1);
    CHECK_INT(threads_with("1", "0"), 1);
    CHECK_INT(threads_with("1", ""), 1);
    CHECK_INT(threads_with("0", NULL), cpus);
    CHECK_INT(threads_with("-3", NULL), cpus);
    CHECK_INT(threads_with("abc", NULL), cpus);
    CHECK_INT(threads_with("1x", NULL), cpus);
    CHECK_INT(threads_with("99999999999999999999", NULL), cpus);
    CHECK_INT(threads_with(NULL, "abc"), 1);
    CHECK_INT(threads_with(NULL, "-1"), 1);
}

/* ---- CPU and host ---- */

static void
test_cpu(void)
{
    CHECK(mt_cpu_best_isa() < MT_NUM_ISAS);
    CHECK(mt_cpu_isa() <= mt_cpu_best_isa());
    const char *wanted = getenv("MINDTORCH_ISA");
    if (!wanted)
        CHECK_INT(mt_cpu_isa(), mt_cpu_best_isa());
    CHECK_STR(mt_isa_name(MT_ISA_BASELINE), "baseline");
    CHECK_STR(mt_isa_name(MT_ISA_AVX2), "avx2");
    CHECK_STR(mt_isa_name(MT_ISA_AVX512), "avx512");
    CHECK(!mt_cpu_has_avx512_bf16() || mt_cpu_isa() == MT_ISA_AVX512);
}

typedef struct thing {
    mt_object head;
    int payload[100];
} thing;

static int finalized;

static void
thing_finalize(mt_object *object)
{
    finalized += ((thing *)object)->payload[99];
}

static void
test_host(void)
{
    mt_host_describe(MT_OBJECT_NODE, sizeof(thing), thing_finalize);
    thing *t = (thing *)mt_the_host.object_new(MT_OBJECT_NODE);
    CHECK_INT(t->head.refcount, 1);
    t->payload[99] = 5;
    CHECK(mt_keep(t) == t);
    mt_release(t);
    CHECK_INT(finalized, 0);
    mt_release(t);
    CHECK_INT(finalized, 5);
    thing *none = NULL;
    mt_xrelease(none);
    CHECK(mt_xkeep(none) == NULL);
}

int
main(void)
{
    test_thread_count();
    test_errors();
    test_dtypes();
    test_alloc();
    test_alloc_threads();
    test_pool();
#if !defined(__SANITIZE_THREAD__)
    test_fork();
#endif
    test_cpu();
    test_host();
    mt_pool_stop();
    return check_done();
}
