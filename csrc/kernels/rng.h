/* The CPU generator: MT19937 with PyTorch's seeding, word order and saved state.
 *
 * The engine is a serial stream of 32-bit words; everything random (random.h) takes words from it
 * in the order of the elements it fills, so a result never depends on threads or vector width. Of
 * a 64-bit draw the first word is the high half.
 *
 * Beside the words the generator keeps one value between calls: the second normal of a pair that
 * an element-wise normal fill has drawn and not used. Seeding drops it, block fills leave it alone.
 *
 * A generator has no lock. Whoever shares one between threads takes its own around a whole fill. */
#pragma once

#include "base/base.h"
#include "base/error.h"

#define MT_RNG_WORDS 624
#define MT_RNG_STATE_BYTES 5056
/* What a generator is seeded with before anybody asks for another seed. */
#define MT_RNG_DEFAULT_SEED UINT64_C(67280421310721)

/* `left` and `next` are those of the saved state. Outside of the functions of rng.c
 * 1 <= left <= 624, 0 <= next and next + left <= 625: state[next] to state[next + left - 2] are
 * the words that are still to be handed out (untempered), after them the state is renewed. */
typedef struct mt_rng {
    uint64_t seed; /* as given: initial_seed() */
    int32_t left, next;
    bool has_normal, has_normal_float;
    float normal_float; /* part of the saved state that no operator reads or sets */
    double normal;
    uint32_t state[MT_RNG_WORDS];
} mt_rng;

/* Starts the stream of a seed; the engine takes its low 32 bits. */
void mt_rng_seed(mt_rng *r, uint64_t seed);
/* torch.seed(): seeds with 64 bits from the system and returns them. */
uint64_t mt_rng_seed_fresh(mt_rng *r);
uint64_t mt_rng_seed_value(const mt_rng *r);

/* The saved state, byte for byte PyTorch's: int64 seed, int32 left, int32 1, int64 next, 624 words
 * as uint64, three doubles of which the second is the kept normal and the others are 0, int32
 * "there is a kept normal", 4 bytes 0, float32 normal, uint8 "there is one", 3 bytes 0. */
void mt_rng_get_state(const mt_rng *r, uint8_t out[MT_RNG_STATE_BYTES]);
/* Takes over a saved state. RuntimeError, and the generator as it was, for another size or for
 * counters that do not describe a position in the stream. */
int mt_rng_set_state(mt_rng *r, const uint8_t *bytes, size_t size);

/* The next n words. */
void mt_rng_words(mt_rng *r, uint32_t *out, int64_t n);
/* Makes new words where none is left; for mt_rng_u32. */
void mt_rng_renew(mt_rng *r);

/* One word. */
MT_INLINE uint32_t
mt_rng_u32(mt_rng *r)
{
    if (--r->left == 0)
        mt_rng_renew(r);
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* Two words, the high half first. */
MT_INLINE uint64_t
mt_rng_u64(mt_rng *r)
{
    uint64_t high = mt_rng_u32(r);
    return high << 32 | mt_rng_u32(r);
}

/* One float64 in [0, 1): the low 53 bits of a 64-bit draw. */
MT_INLINE double
mt_rng_unit(mt_rng *r)
{
    return (double)(mt_rng_u64(r) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

/* One float64 standard normal: the kept one, or the first of a new pair whose second is kept. */
double mt_rng_normal(mt_rng *r);
