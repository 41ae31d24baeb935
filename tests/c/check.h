/* Checks of the C tests. A failed check says where and what, and the test goes on, so that one run
 * shows all failures; each yields whether it holds, for tests that cannot go on otherwise.
 * `return check_done();` ends main. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define CHECK(condition) check_true((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_INT(got, expected)                                                                   \
    check_int((int64_t)(got), (int64_t)(expected), #got, __FILE__, __LINE__)
#define CHECK_STR(got, expected) check_str((got), (expected), #got, __FILE__, __LINE__)

/* `call` fails with this kind and exactly this message; the record is cleared. */
#define CHECK_FAILS(call, kind, text)                                                              \
    check_fails((intptr_t)(call) <= 0, (kind), (text), #call, __FILE__, __LINE__)

static int check_failures, check_count;

static inline bool
check_true(bool holds, const char *what, const char *file, int line)
{
    check_count++;
    if (!holds) {
        check_failures++;
        printf("%s:%d: not so: %s\n", file, line, what);
    }
    return holds;
}

static inline bool
check_int(int64_t got, int64_t expected, const char *what, const char *file, int line)
{
    check_count++;
    if (got == expected)
        return true;
    check_failures++;
    printf("%s:%d: %s is %lld, expected %lld\n", file, line, what, (long long)got,
           (long long)expected);
    return false;
}

static inline bool
check_str(const char *got, const char *expected, const char *what, const char *file, int line)
{
    check_count++;
    if (got && strcmp(got, expected) == 0)
        return true;
    check_failures++;
    printf("%s:%d: %s is \"%s\", expected \"%s\"\n", file, line, what, got ? got : "(null)",
           expected);
    return false;
}

/* A failed call gave a negative number or NULL and left the record set. */
static inline bool
check_fails(bool failed, mt_error_kind kind, const char *text, const char *what, const char *file,
            int line)
{
    const char *message = "";
    mt_error_kind found = mt_error(&message);
    bool holds = check_true(failed, what, file, line) &&
                 check_int((int64_t)found, (int64_t)kind, what, file, line) &&
                 check_str(message, text, what, file, line);
    mt_error_clear();
    return holds;
}

static inline int
check_done(void)
{
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures || !check_count;
}
