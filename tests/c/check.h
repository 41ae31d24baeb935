/* Checks of the C tests. A failed check says where and what, and the test goes on, so that one run
 * shows all failures; `return check_done();` ends main. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static int check_failures, check_count;

/* Yields whether it holds, for tests that cannot go on otherwise. */
#define CHECK(condition)                                                                           \
    check_one((condition) != 0, #condition, __FILE__, __LINE__)

static inline bool
check_one(bool holds, const char *what, const char *file, int line)
{
    check_count++;
    if (!holds) {
        check_failures++;
        printf("%s:%d: not so: %s\n", file, line, what);
    }
    return holds;
}

#define CHECK_INT(got, expected)                                                                   \
    do {                                                                                           \
        int64_t got_ = (int64_t)(got), expected_ = (int64_t)(expected);                            \
        check_count++;                                                                             \
        if (got_ != expected_) {                                                                   \
            check_failures++;                                                                      \
            printf("%s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #got,                 \
                   (long long)got_, (long long)expected_);                                         \
        }                                                                                          \
    } while (0)

#define CHECK_STR(got, expected)                                                                   \
    do {                                                                                           \
        const char *got_ = (got), *expected_ = (expected);                                         \
        check_count++;                                                                             \
        if (!got_ || strcmp(got_, expected_) != 0) {                                               \
            check_failures++;                                                                      \
            printf("%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #got,             \
                   got_ ? got_ : "(null)", expected_);                                             \
        }                                                                                          \
    } while (0)

/* `call` fails with this kind and exactly this message; the record is cleared. */
#define CHECK_FAILS(call, kind, text)                                                              \
    do {                                                                                           \
        const char *message_ = "";                                                                 \
        CHECK(!check_succeeded((intptr_t)(call)));                                                 \
        CHECK_INT(mt_error(&message_), kind);                                                      \
        CHECK_STR(message_, text);                                                                 \
        mt_error_clear();                                                                          \
    } while (0)

/* The core's two ways to say "failed": a negative number and NULL. */
static inline int
check_succeeded(intptr_t result)
{
    return result > 0;
}

static inline int
check_done(void)
{
    printf("%d passed, %d failed\n", check_count - check_failures, check_failures);
    return check_failures || !check_count;
}
