/* Errors of the core. A function that fails returns -1 or NULL and leaves its reason in a record
 * of the thread; the binding turns the record into an exception at the border, once. Nothing in
 * the core prints or aborts on bad input. */
#pragma once

#include "base/base.h"

typedef enum mt_error_kind {
    MT_ERR_NONE = 0,
    MT_RUNTIME,         /* RuntimeError */
    MT_VALUE,           /* ValueError */
    MT_TYPE,            /* TypeError */
    MT_INDEX,           /* IndexError */
    MT_KEY,             /* KeyError */
    MT_ATTRIBUTE,       /* AttributeError */
    MT_NOT_IMPLEMENTED, /* NotImplementedError */
    MT_MEMORY,          /* RuntimeError: the allocator's text, as PyTorch reports it */
    MT_OVERFLOW,        /* OverflowError */
    MT_ASSERTION,       /* AssertionError */
    MT_OS,              /* OSError */
    MT_FILE_NOT_FOUND,  /* FileNotFoundError */
    MT_EOF,             /* EOFError */
    MT_ZERO_DIVISION,   /* ZeroDivisionError */
    MT_LINALG,          /* torch.linalg.LinAlgError */
    MT_HOST,            /* the interpreter already holds the exception; the record only says so */
} mt_error_kind;

/* Sets the record (printf format) and returns -1. */
int mt_fail(mt_error_kind kind, const char *format, ...) MT_PRINTF(2, 3) __attribute__((cold));
/* The same, returning NULL for constructors. */
void *mt_fail_null(mt_error_kind kind, const char *format, ...) MT_PRINTF(2, 3)
    __attribute__((cold));

/* The record: kind (MT_ERR_NONE when clear) and message, both valid until the next failure. */
mt_error_kind mt_error(const char **message);
void mt_error_clear(void);

/* "[2, 3]" in a per-thread rotating buffer: good for one mt_fail call with up to 8 such texts. */
const char *mt_str_ints(const int64_t *values, int64_t count);
/* printf into the same rotating buffers. */
const char *mt_str(const char *format, ...) MT_PRINTF(1, 2);

/* A warning of the given category through the host (stderr without one). Returns -1 with the
 * record set when the host turned the warning into an error. */
typedef enum mt_warn_kind { MT_WARN_USER, MT_WARN_DEPRECATED, MT_WARN_FUTURE } mt_warn_kind;
int mt_warn(mt_warn_kind kind, const char *format, ...) MT_PRINTF(2, 3) __attribute__((cold));
/* A warning given once per process and place, always where warn_always is on
 * (torch.set_warn_always). `flag` is a static bool of the place. */
int mt_warn_once(bool *flag, const char *format, ...) MT_PRINTF(2, 3) __attribute__((cold));
extern bool mt_warn_always;
