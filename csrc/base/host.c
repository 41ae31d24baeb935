/* The default host: what C tests and fuzzers run on. The type word of an object points at the
 * description of its kind. */
#include "base/host.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
    size_t size;
    void (*finalize)(mt_object *object);
} kinds[MT_NUM_OBJECT_KINDS];

void
mt_host_describe(mt_object_kind kind, size_t size, void (*finalize)(mt_object *object))
{
    kinds[kind].size = size;
    kinds[kind].finalize = finalize;
}

static mt_object *
object_new(mt_object_kind kind)
{
    size_t size = MT_MAX(kinds[kind].size, sizeof(mt_object));
    mt_object *object = malloc(size);
    if (!object)
        return mt_fail_null(MT_MEMORY, "not enough memory for an object of %zu bytes", size);
    object->refcount = 1;
    object->type = &kinds[kind];
    return object;
}

static void
object_dealloc(mt_object *object)
{
    size_t kind = (size_t)((__typeof__(&kinds[0]))object->type - kinds);
    if (kinds[kind].finalize)
        kinds[kind].finalize(object);
    free(object);
}

static void
object_track(mt_object *object)
{
    (void)object; /* no collector */
}

static int
warn(mt_warn_kind kind, const char *text)
{
    static const char *const names[] = {"UserWarning", "DeprecationWarning", "FutureWarning"};
    fprintf(stderr, "%s: %s\n", names[kind], text);
    return 0;
}

static void
ref_nothing(void *host_object)
{
    (void)host_object; /* there are no host objects to count */
}

mt_host mt_the_host = {
    .object_new = object_new,
    .object_dealloc = object_dealloc,
    .object_track = object_track,
    .lock_leave = NULL,
    .lock_enter = NULL,
    .warn = warn,
    .ref_keep = ref_nothing,
    .ref_release = ref_nothing,
};
