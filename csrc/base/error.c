/* The error record and the per-thread block it lives in.
 *
 * Messages and the texts of mt_str grow with need, so a message is never cut short; if memory
 * runs out even for that, what fits is kept. */
#define _GNU_SOURCE
#include "base/error.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/host.h"
#include "base/local.h"

bool mt_warn_always = false;

/* ---- the block of the thread ---- */

MT_TLS mt_local *mt_local_of_thread = NULL;

static pthread_key_t local_key;
static pthread_once_t local_once = PTHREAD_ONCE_INIT;
static bool local_key_made = false;

static void
local_free(void *block)
{
    mt_local *local = block;
    mt_alloc_thread_ends(local);
    for (unsigned i = 0; i < MT_COUNT(local->message); i++)
        free(local->message[i].chars);
    for (unsigned i = 0; i < MT_TEXT_RING; i++)
        free(local->ring[i].chars);
    mt_local_of_thread = NULL;
    free(local);
}

static void
local_key_make(void)
{
    local_key_made = pthread_key_create(&local_key, local_free) == 0;
}

MT_COLD mt_local *
mt_local_make(void)
{
    pthread_once(&local_once, local_key_make);
    mt_local *local = calloc(1, sizeof *local);
    if (!local)
        return NULL;
    /* Without a key the block of an ended thread is lost, which is all that happens. */
    if (local_key_made)
        pthread_setspecific(local_key, local);
    mt_alloc_thread_begins(local);
    mt_local_of_thread = local;
    return local;
}

/* ---- texts ---- */

static const char out_of_memory[] = "not enough memory";

static const char *
text_vprintf(mt_text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(text->chars, text->capacity, format, args);
    if (length < 0) {
        va_end(again);
        return format;
    }
    if ((size_t)length >= text->capacity) {
        size_t capacity = MT_MAX((size_t)length + 1, (size_t)256);
        char *chars = realloc(text->chars, capacity);
        if (chars) {
            text->chars = chars;
            text->capacity = capacity;
            vsnprintf(chars, capacity, format, again);
        }
    }
    va_end(again);
    return text->chars ? text->chars : out_of_memory;
}

static mt_text *
ring_next(mt_local *local)
{
    return &local->ring[local->ring_at++ % MT_TEXT_RING];
}

const char *
mt_str(const char *format, ...)
{
    mt_local *local = mt_local_get();
    if (!local)
        return out_of_memory;
    va_list args;
    va_start(args, format);
    const char *result = text_vprintf(ring_next(local), format, args);
    va_end(args);
    return result;
}

const char *
mt_str_ints(const int64_t *values, int64_t count)
{
    mt_local *local = mt_local_get();
    if (!local)
        return out_of_memory;
    mt_text *text = ring_next(local);
    size_t need = 3 + 22 * (size_t)count; /* "-9223372036854775808" and ", " */
    if (text->capacity < need) {
        char *chars = realloc(text->chars, need);
        if (!chars)
            return out_of_memory;
        text->chars = chars;
        text->capacity = need;
    }
    char *at = text->chars;
    *at++ = '[';
    for (int64_t i = 0; i < count; i++)
        at += sprintf(at, "%s%lld", i ? ", " : "", (long long)values[i]);
    *at++ = ']';
    *at = 0;
    return text->chars;
}

/* ---- the record ---- */

/* For a thread that has no memory even for its block: shared, but then all say the same. */
static mt_error_kind lost_kind = MT_ERR_NONE;

static void
record(mt_error_kind kind, const char *format, va_list args)
{
    mt_local *local = mt_local_get();
    if (!local) {
        __atomic_store_n(&lost_kind, MT_MEMORY, __ATOMIC_RELAXED);
        return;
    }
    local->error_kind = kind;
    local->message_at ^= 1;
    text_vprintf(&local->message[local->message_at], format, args);
}

int
mt_fail(mt_error_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(kind, format, args);
    va_end(args);
    return -1;
}

void *
mt_fail_null(mt_error_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(kind, format, args);
    va_end(args);
    return NULL;
}

mt_error_kind
mt_error(const char **message)
{
    mt_local *local = mt_local_of_thread;
    mt_error_kind kind = local ? local->error_kind : MT_ERR_NONE;
    const char *text = "";
    if (kind != MT_ERR_NONE)
        text = local->message[local->message_at].chars;
    else if ((kind = __atomic_load_n(&lost_kind, __ATOMIC_RELAXED)) != MT_ERR_NONE)
        text = out_of_memory;
    if (message)
        *message = text ? text : out_of_memory;
    return kind;
}

void
mt_error_clear(void)
{
    if (mt_local_of_thread)
        mt_local_of_thread->error_kind = MT_ERR_NONE;
    if (MT_UNLIKELY(__atomic_load_n(&lost_kind, __ATOMIC_RELAXED) != MT_ERR_NONE))
        __atomic_store_n(&lost_kind, MT_ERR_NONE, __ATOMIC_RELAXED);
}

/* ---- warnings ---- */

static int
warn(mt_warn_kind kind, const char *format, va_list args)
{
    mt_local *local = mt_local_get();
    const char *text = local ? text_vprintf(ring_next(local), format, args) : out_of_memory;
    if (mt_the_host.warn(kind, text) < 0)
        return mt_fail(MT_HOST, "a warning became an error");
    return 0;
}

int
mt_warn(mt_warn_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = warn(kind, format, args);
    va_end(args);
    return status;
}

int
mt_warn_once(bool *flag, const char *format, ...)
{
    if (__atomic_exchange_n(flag, true, __ATOMIC_RELAXED) &&
        !__atomic_load_n(&mt_warn_always, __ATOMIC_RELAXED))
        return 0;
    va_list args;
    va_start(args, format);
    int status = warn(MT_WARN_USER, format, args);
    va_end(args);
    return status;
}
