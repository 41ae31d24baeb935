/* A hash set of byte strings that live elsewhere: index + hash, open addressing. Shared by the
 * writer (names already written) and the reader (look-up). The hash starts from an address, so
 * that an archive cannot be made whose names all collide. */
#pragma once

#include "base/base.h"

#include <stdlib.h>

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
#define MT_ZIP_HASH_START 0xCBF29CE484222325ull

MT_INLINE uint64_t
mt_zip_hash(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 0x100000001B3ull;
    return h;
}

typedef struct mt_zip_slot {
    uint64_t hash;
    uint32_t index_plus_1; /* 0: free */
} mt_zip_slot;

/* At least 1/3 of the slots are free, so every probe ends. */
typedef struct mt_zip_names {
    mt_zip_slot *slots;
    size_t mask, used;
} mt_zip_names;

MT_INLINE mt_zip_slot *
mt_zip_probe(const mt_zip_names *t, uint64_t hash)
{
    return &t->slots[(hash ^ hash >> 32) & t->mask];
}

MT_INLINE mt_zip_slot *
mt_zip_next(const mt_zip_names *t, mt_zip_slot *s)
{
    return s == &t->slots[t->mask] ? t->slots : s + 1;
}

/* Makes room for one more; -1 out of memory (no error set). */
static inline int
mt_zip_names_grow(mt_zip_names *t)
{
    if (t->slots && 3 * (t->used + 1) <= 2 * (t->mask + 1))
        return 0;
    mt_zip_names bigger = {NULL, t->slots ? 2 * t->mask + 1 : 31, t->used};
    bigger.slots = calloc(bigger.mask + 1, sizeof *bigger.slots);
    if (!bigger.slots)
        return -1;
    for (size_t i = 0; t->slots && i <= t->mask; i++) {
        if (!t->slots[i].index_plus_1)
            continue;
        mt_zip_slot *s = mt_zip_probe(&bigger, t->slots[i].hash);
        while (s->index_plus_1)
            s = mt_zip_next(&bigger, s);
        *s = t->slots[i];
    }
    free(t->slots);
    *t = bigger;
    return 0;
}

/* After mt_zip_names_grow. */
MT_INLINE void
mt_zip_names_add(mt_zip_names *t, uint64_t hash, uint32_t index)
{
    mt_zip_slot *s = mt_zip_probe(t, hash);
    while (s->index_plus_1)
        s = mt_zip_next(t, s);
    *s = (mt_zip_slot){hash, index + 1};
    t->used++;
}
