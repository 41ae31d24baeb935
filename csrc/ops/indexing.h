/* What the files on indexing share: places as byte offsets, and moving elements to and from them.
 *
 * Every operator that indexes comes down to one thing: rows of a packed array against places
 * `base + before[b] + at[k] + after[a]` of a tensor, in the order (b, k, a). A mt_places says those
 * offsets; one routine reads them, one writes or combines them. */
#pragma once

#include "dispatch/op.h"

typedef struct mt_places {
    char *base;
    int64_t *before, *at, *after; /* byte offsets, owned; NULL stands for a single 0 */
    int64_t nbefore, nat, nafter;
    size_t block;                 /* bytes that are packed at each place */
} mt_places;

/* dims [first, first + ndims) of self go into one list of offsets, in row-major order. */
int mt_offsets(const mt_tensor *self, const int *dims, int ndims, int64_t **offsets, int64_t *count);
/* Sets before and after (packed runs at the end go into `block`); at stays for the caller. */
int mt_places_init(mt_places *p, const mt_tensor *self, const int *before, int nbefore,
                   const int *after, int nafter);
void mt_places_clear(mt_places *p);

/* to[i] = to[i] op from[i] for n packed elements. */
typedef void (*mt_combine)(char *to, const char *from, int64_t n);
enum { MT_COMBINE_ADD, MT_COMBINE_MUL, MT_COMBINE_MIN, MT_COMBINE_MAX };
/* NULL where the dtype has none. */
mt_combine mt_combiner(int what, mt_dtype dtype);

/* Packed rows from the places, in parallel. */
void mt_places_read(const mt_places *p, void *packed);
/* Packed rows to the places, in order (the last write wins). `repeat`: one row for all. combine
 * NULL: plain writes; `size` is the element size. */
void mt_places_write(const mt_places *p, const void *packed, bool repeat, mt_combine combine,
                     size_t size);

/* The index as packed int64 (new reference). */
mt_tensor *mt_index_i64(mt_tensor *index);
/* [count, ndim] places of the elements that are not zero, stored by column: the transpose of the
 * result of nonzero. */
mt_tensor *mt_nonzero_columns(mt_tensor *self);
/* A packed tensor of self's dtype holding src broadcast to the sizes. */
mt_tensor *mt_packed_as(mt_tensor *src, mt_dtype dtype, int ndim, const int64_t *sizes);
