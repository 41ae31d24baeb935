/* Interned names.
 *
 * Invariant: an id never changes its text and a text is never freed while its table lives, so the
 * recorder stores four bytes per event and readers need no lock once they hold the pointer. The
 * entries themselves may move when the table grows; they are read under the lock, by copy. */
#include "profiler/names.h"

#include <pthread.h>
#include <stdlib.h>

#include "profiler/profiler.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mt_prof_names process_names;
static const mt_prof_name_entry unknown = {"?", "", 1, 0};

static uint32_t
hash_text(const char *text, size_t length, uint32_t h)
{
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    return h;
}

static int
grow_slots(mt_prof_names *names)
{
    uint32_t n = names->nslots ? names->nslots * 2 : 64;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return -1;
    for (uint32_t id = 1; id < names->count; id++) {
        uint32_t at = names->entries[id].hash & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = id;
    }
    free(names->slots);
    names->slots = slots;
    names->nslots = n;
    return 0;
}

static int
grow_entries(mt_prof_names *names)
{
    uint32_t capacity = names->capacity ? names->capacity * 2 : 32;
    mt_prof_name_entry *entries = realloc(names->entries, capacity * sizeof *entries);
    if (!entries)
        return -1;
    names->entries = entries;
    names->capacity = capacity;
    if (!names->count) {
        entries[0] = unknown;
        names->count = 1;
    }
    return 0;
}

uint32_t
mt_prof_names_add(mt_prof_names *names, const char *text, size_t length, const char *overload)
{
    size_t overload_length = strlen(overload);
    uint32_t h = hash_text(overload, overload_length, hash_text(text, length, 2166136261u) ^ 46u);
    if (names->nslots < 2 * (names->count + 1) && grow_slots(names))
        return 0;
    uint32_t at = h & (names->nslots - 1);
    for (; names->slots[at]; at = (at + 1) & (names->nslots - 1)) {
        const mt_prof_name_entry *e = &names->entries[names->slots[at]];
        if (e->hash == h && e->length == length && !memcmp(e->text, text, length) &&
            !strcmp(e->overload, overload))
            return names->slots[at];
    }
    if (names->count + 1 > names->capacity && grow_entries(names))
        return 0;
    char *copy = malloc(length + overload_length + 2);
    if (!copy || names->count >= MT_PROF_LOCAL_NAME - 1) {
        free(copy);
        return 0;
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    memcpy(copy + length + 1, overload, overload_length + 1);
    uint32_t id = names->count++;
    names->entries[id] = (mt_prof_name_entry){copy, copy + length + 1, length, h};
    names->slots[at] = id;
    return id;
}

void
mt_prof_names_free(mt_prof_names *names)
{
    for (uint32_t id = 1; id < names->count; id++)
        free((char *)names->entries[id].text);
    free(names->entries);
    free(names->slots);
    *names = (mt_prof_names){0};
}

void
mt_prof_names_lock(void)
{
    pthread_mutex_lock(&lock);
}

void
mt_prof_names_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

uint32_t
mt_prof_name_n(const char *name, size_t length, const char *overload)
{
    pthread_mutex_lock(&lock);
    uint32_t id = mt_prof_names_add(&process_names, name, length, overload ? overload : "");
    pthread_mutex_unlock(&lock);
    return id;
}

uint32_t
mt_prof_name(const char *name, const char *overload)
{
    return mt_prof_name_n(name, strlen(name), overload);
}

mt_prof_name_entry
mt_prof_name_entry_of(uint32_t id)
{
    mt_prof_name_entry entry = unknown;
    pthread_mutex_lock(&lock);
    if (id && id < process_names.count)
        entry = process_names.entries[id];
    pthread_mutex_unlock(&lock);
    return entry;
}

const char *
mt_prof_name_text(uint32_t id, size_t *length)
{
    mt_prof_name_entry entry = mt_prof_name_entry_of(id);
    if (length)
        *length = entry.length;
    return entry.text;
}

const char *
mt_prof_name_overload(uint32_t id)
{
    return mt_prof_name_entry_of(id).overload;
}
