/* mt-flags: -ffp-contract=off */
/* The engine. Renewal and tempering are loops over the whole state that the compiler vectorises
 * (random.k.c): words are renewed in place, 624 at a time, and tempered on their way out. */
#define _GNU_SOURCE
#include "kernels/rng.h"

#include <fcntl.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#include "kernels/random_k.h"

/* Where the fields of a saved state lie. */
enum {
    AT_SEED = 0,
    AT_LEFT = 8,
    AT_SEEDED = 12,
    AT_NEXT = 16,
    AT_WORDS = 24,
    AT_NORMAL = AT_WORDS + 8 * MT_RNG_WORDS + 8,
    AT_HAS_NORMAL = AT_NORMAL + 16,
    AT_NORMAL_FLOAT = AT_HAS_NORMAL + 8,
    AT_HAS_NORMAL_FLOAT = AT_NORMAL_FLOAT + 4,
};
_Static_assert(AT_HAS_NORMAL_FLOAT + 4 == MT_RNG_STATE_BYTES, "the saved state ends there");

void
mt_rng_seed(mt_rng *r, uint64_t seed)
{
    uint32_t word = (uint32_t)seed;
    r->seed = seed;
    r->left = 1;
    r->next = 0;
    r->has_normal = r->has_normal_float = false;
    r->normal = 0;
    r->normal_float = 0;
    for (uint32_t i = 0; i < MT_RNG_WORDS; i++) {
        r->state[i] = word;
        word = 1812433253u * (word ^ (word >> 30)) + i + 1;
    }
}

/* 64 bits from the system; without its random device, from the clock and the process. */
static uint64_t
system_bits(void)
{
    uint64_t bits;
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, &bits, sizeof bits);
    if (file >= 0)
        close(file);
    if (got != (ssize_t)sizeof bits) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        bits = ((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec) * 0x9e3779b97f4a7c15u;
        bits ^= (uint64_t)getpid() << 40;
    }
    return bits;
}

uint64_t
mt_rng_seed_fresh(mt_rng *r)
{
    mt_rng_seed(r, system_bits());
    return r->seed;
}

uint64_t
mt_rng_seed_value(const mt_rng *r)
{
    return r->seed;
}

/* Fields are copied one by one, so the layout does not depend on the compiler's. Like PyTorch's
 * the file is in the byte order of the machine. */
static void
put32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static void
put64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

static uint32_t
get32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static uint64_t
get64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

void
mt_rng_get_state(const mt_rng *r, uint8_t out[MT_RNG_STATE_BYTES])
{
    memset(out, 0, MT_RNG_STATE_BYTES);
    put64(out + AT_SEED, r->seed);
    put32(out + AT_LEFT, (uint32_t)r->left);
    put32(out + AT_SEEDED, 1);
    put64(out + AT_NEXT, (uint64_t)r->next);
    for (int i = 0; i < MT_RNG_WORDS; i++)
        put64(out + AT_WORDS + 8 * i, r->state[i]);
    if (r->has_normal) {
        memcpy(out + AT_NORMAL, &r->normal, sizeof r->normal);
        put32(out + AT_HAS_NORMAL, 1);
    }
    if (r->has_normal_float) {
        memcpy(out + AT_NORMAL_FLOAT, &r->normal_float, sizeof r->normal_float);
        out[AT_HAS_NORMAL_FLOAT] = 1;
    }
}

int
mt_rng_set_state(mt_rng *r, const uint8_t *bytes, size_t size)
{
    if (size != MT_RNG_STATE_BYTES)
        return mt_fail(MT_RUNTIME,
                       "Expected a CPUGeneratorImplState of size %d but found the input RNG state "
                       "size to be %zu",
                       MT_RNG_STATE_BYTES, size);
    int32_t left = (int32_t)get32(bytes + AT_LEFT), seeded = (int32_t)get32(bytes + AT_SEEDED);
    uint64_t next = get64(bytes + AT_NEXT);
    /* PyTorch checks each counter alone; their sum must not point behind the words either. */
    if (!seeded || left < 1 || left > MT_RNG_WORDS || next > MT_RNG_WORDS ||
        next + (uint64_t)left > MT_RNG_WORDS + 1)
        return mt_fail(MT_RUNTIME, "Invalid mt19937 state");
    r->seed = get64(bytes + AT_SEED);
    r->left = left;
    r->next = (int32_t)next;
    for (int i = 0; i < MT_RNG_WORDS; i++)
        r->state[i] = (uint32_t)get64(bytes + AT_WORDS + 8 * i);
    r->has_normal = get32(bytes + AT_HAS_NORMAL) != 0;
    r->has_normal_float = bytes[AT_HAS_NORMAL_FLOAT] != 0;
    r->normal = 0;
    r->normal_float = 0;
    if (r->has_normal)
        memcpy(&r->normal, bytes + AT_NORMAL, sizeof r->normal);
    if (r->has_normal_float)
        memcpy(&r->normal_float, bytes + AT_NORMAL_FLOAT, sizeof r->normal_float);
    return 0;
}

const mt_random_kernels *
mt_random_loops(void)
{
    static const mt_random_kernels *const levels[] = {
#define X(isa) &mt_random_kernels_##isa,
        MT_FOR_ISA(X)
#undef X
    };
    return levels[MT_MIN((size_t)mt_cpu_isa(), MT_COUNT(levels) - 1)];
}

void
mt_rng_renew(mt_rng *r)
{
    mt_random_loops()->renew(r->state);
    r->left = MT_RNG_WORDS;
    r->next = 0;
}

void
mt_rng_words(mt_rng *r, uint32_t *out, int64_t n)
{
    const mt_random_kernels *loops = mt_random_loops();
    while (n > 0) {
        if (r->left == 1) {
            loops->renew(r->state);
            r->left = MT_RNG_WORDS + 1; /* at least one word is taken below */
            r->next = 0;
        }
        int32_t some = (int32_t)MT_MIN(n, (int64_t)r->left - 1);
        loops->temper(out, r->state + r->next, some);
        r->left -= some;
        r->next += some;
        out += some;
        n -= some;
    }
}

double
mt_rng_normal(mt_rng *r)
{
    if (r->has_normal) {
        r->has_normal = false;
        return r->normal;
    }
    double angle = 2 * M_PI * mt_rng_unit(r);
    double radius = sqrt(-2 * log1p(-mt_rng_unit(r)));
    r->normal = radius * sin(angle);
    r->has_normal = true;
    return radius * cos(angle);
}
