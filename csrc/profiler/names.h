/* Interned names: a table from texts to small numbers, one for the process and one per session. */
#pragma once

#include "base/base.h"

typedef struct mt_prof_name_entry {
    const char *text;
    const char *overload;
    size_t length;
    uint32_t hash;
} mt_prof_name_entry;

typedef struct mt_prof_names {
    mt_prof_name_entry *entries; /* entries[0] is "?" */
    uint32_t *slots;             /* open addressing; 0 = free */
    uint32_t count, capacity, nslots;
} mt_prof_names;

/* Ids of a session's own table carry this bit. */
#define MT_PROF_LOCAL_NAME 0x80000000u

/* The number of a text, added if need be; 0 when memory ran out. Not locked. */
uint32_t mt_prof_names_add(mt_prof_names *names, const char *text, size_t length,
                           const char *overload);
void mt_prof_names_free(mt_prof_names *names);
/* A copy of the process-wide entry of an id, taken under its lock; the texts stay valid. */
mt_prof_name_entry mt_prof_name_entry_of(uint32_t id);
/* Before and after fork: the lock of the process-wide table. */
void mt_prof_names_lock(void);
void mt_prof_names_unlock(void);
