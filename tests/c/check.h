/* The assertions of the C tests. A test program calls functions that use CHECK, and ends with
 * `return check_report();`, which prints "N passed, N failed" and fails if anything did. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int check_passed, check_failed;

/* Counts; says where and what when it does not hold. Usable as a condition. */
#define CHECK(condition) check_one((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_STR(actual, expected) check_text((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_INT(actual, expected)                                                                \
    check_int((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)

__attribute__((unused)) static bool
check_one(bool holds, const char *what, const char *file, int line)
{
    if (holds) {
        check_passed++;
    } else if (++check_failed <= 50) {
        printf("%s:%d: does not hold: %s\n", file, line, what);
    }
    return holds;
}

__attribute__((unused)) static bool
check_text(const char *actual, const char *expected, const char *what, const char *file, int line)
{
    bool same = actual && strcmp(actual, expected) == 0;
    if (!same && check_failed < 50)
        printf("%s:%d: got \"%s\", expected \"%s\"\n", file, line, actual ? actual : "(null)",
               expected);
    return check_one(same, what, file, line);
}

__attribute__((unused)) static bool
check_int(long long actual, long long expected, const char *what, const char *file, int line)
{
    if (actual != expected && check_failed < 50)
        printf("%s:%d: got %lld, expected %lld\n", file, line, actual, expected);
    return check_one(actual == expected, what, file, line);
}

__attribute__((unused)) static int
check_report(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed != 0;
}
