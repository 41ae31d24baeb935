/* What every file of the core may use: compiler hints, fixed-width types, the checked arithmetic
 * that sizes need. Nothing here allocates, locks or fails. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MT_LIKELY(x) __builtin_expect(!!(x), 1)
#define MT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MT_INLINE static inline __attribute__((always_inline))
#define MT_NOINLINE __attribute__((noinline))
#define MT_COLD __attribute__((cold, noinline))
#define MT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define MT_RESTRICT __restrict__
#define MT_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MT_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MT_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Thread-local data of the core: initial-exec costs 0.3 ns an access where the default model of a
 * shared library costs 1.3. Static TLS space is scarce, so only `mt_thread` (thread.h) uses it, and
 * one pointer of base/ (local.h). */
#define MT_TLS __thread __attribute__((tls_model("initial-exec")))

/* Most dimensions a tensor may have (PyTorch's limit for most kernels is 64). */
#define MT_MAX_DIMS 64

/* true on overflow; *out is then unspecified. */
MT_INLINE bool
mt_mul_overflows(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

MT_INLINE bool
mt_add_overflows(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_add_overflow(a, b, out);
}
