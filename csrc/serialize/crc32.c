/* The checksum is the remainder of the message, read as a polynomial over GF(2) with the lowest
 * bit first, modulo P. Two ways to get it:
 *
 * - Tables: T[k][b] is the remainder of byte b followed by k zero bytes, so eight look-ups consume
 *   eight bytes (Kounavis and Berry, "A systematic approach to building high performance
 *   software-based CRC generators", 2005).
 * - Folding: a 128-bit lane A followed by n bits is congruent to
 *   A.high * (x^(n-32) mod P) + A.low * (x^(n+32) mod P) (reflected, so the halves swap and each
 *   product is shifted by one), and one carry-less multiplication forms each product (Gopal et al.,
 *   "Fast CRC computation for generic polynomials using PCLMULQDQ", Intel 2009). Four lanes hide
 *   the latency, wide registers fold several at once. What remains is 16 bytes with the same
 *   remainder, which the tables finish. */
#include "serialize/crc32.h"

#include "base/cpu.h"

#include <pthread.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLY 0xEDB88320u

#define FOLD_MIN 64

typedef uint32_t (*crc_path)(uint32_t r, const uint8_t *p, size_t n);

static uint32_t table[8][256];
static crc_path path; /* NULL: tables */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Works on the raw register: no inversion before or after. */
static uint32_t
by_tables(uint32_t r, const uint8_t *p, size_t n)
{
    while (n >= 8) {
        uint32_t lo = r ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                           (uint32_t)p[3] << 24);
        r = table[7][lo & 0xFF] ^ table[6][lo >> 8 & 0xFF] ^ table[5][lo >> 16 & 0xFF] ^
            table[4][lo >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
        p += 8;
        n -= 8;
    }
    while (n--)
        r = (r >> 8) ^ table[0][(r ^ *p++) & 0xFF];
    return r;
}

#if defined(__x86_64__)
/* What folds a lane `bits` further: x^(bits+32) and x^(bits-32) mod P, reflected and shifted. */
typedef struct fold_by {
    uint64_t low, high;
} fold_by;

static fold_by by_128, by_512, by_1024, by_2048;

static uint64_t
x_to_the(int n)
{
    uint32_t r = 0x80000000u; /* x^0, lowest power in the highest bit */
    while (n-- > 0)
        r = (r >> 1) ^ (POLY & (0u - (r & 1u)));
    return (uint64_t)r << 1;
}

static fold_by
make_fold(int bits)
{
    return (fold_by){x_to_the(bits + 32), x_to_the(bits - 32)};
}

__attribute__((target("pclmul,sse4.1"))) MT_INLINE __m128i
fold(__m128i lane, __m128i by, const uint8_t *next)
{
    __m128i low = _mm_clmulepi64_si128(lane, by, 0x00);
    __m128i high = _mm_clmulepi64_si128(lane, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), _mm_loadu_si128((const __m128i *)next));
}

/* All of these take and give the raw register, as by_tables does; n >= FOLD_MIN. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t
by_folding_16(uint32_t r, const uint8_t *p, size_t n)
{
    const __m128i far = _mm_set_epi64x((int64_t)by_512.high, (int64_t)by_512.low);
    const __m128i near = _mm_set_epi64x((int64_t)by_128.high, (int64_t)by_128.low);
    __m128i lane[4];
    for (int i = 0; i < 4; i++)
        lane[i] = _mm_loadu_si128((const __m128i *)(p + 16 * i));
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128((int)r));
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64)
        for (int i = 0; i < 4; i++)
            lane[i] = fold(lane[i], far, p + 16 * i);
    uint8_t rest[16];
    for (int i = 1; i < 4; i++) {
        _mm_storeu_si128((__m128i *)rest, lane[i]);
        lane[i] = fold(lane[i - 1], near, rest);
    }
    for (; n >= 16; p += 16, n -= 16)
        lane[3] = fold(lane[3], near, p);
    _mm_storeu_si128((__m128i *)rest, lane[3]);
    return by_tables(by_tables(0, rest, 16), p, n);
}

/* The lanes that are left are a message with the same remainder: the narrower loop ends it. */
__attribute__((target("avx2,pclmul,vpclmulqdq"))) static uint32_t
by_folding_32(uint32_t r, const uint8_t *p, size_t n)
{
    const __m256i by = _mm256_set_epi64x((int64_t)by_1024.high, (int64_t)by_1024.low,
                                         (int64_t)by_1024.high, (int64_t)by_1024.low);
    __m256i lane[4];
    uint8_t rest[128];
    if (n < sizeof rest)
        return by_folding_16(r, p, n);
    for (int i = 0; i < 4; i++)
        lane[i] = _mm256_loadu_si256((const __m256i *)(p + 32 * i));
    lane[0] = _mm256_xor_si256(lane[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)r)));
    for (p += 128, n -= 128; n >= 128; p += 128, n -= 128)
        for (int i = 0; i < 4; i++)
            lane[i] = _mm256_xor_si256(
                _mm256_xor_si256(_mm256_clmulepi64_epi128(lane[i], by, 0x00),
                                 _mm256_clmulepi64_epi128(lane[i], by, 0x11)),
                _mm256_loadu_si256((const __m256i *)(p + 32 * i)));
    for (int i = 0; i < 4; i++)
        _mm256_storeu_si256((__m256i *)(rest + 32 * i), lane[i]);
    r = by_folding_16(0, rest, sizeof rest);
    return n >= FOLD_MIN ? by_folding_16(r, p, n) : by_tables(r, p, n);
}

__attribute__((target("avx512f,avx2,pclmul,vpclmulqdq"))) static uint32_t
by_folding_64(uint32_t r, const uint8_t *p, size_t n)
{
    const __m512i by = _mm512_set4_epi64((int64_t)by_2048.high, (int64_t)by_2048.low,
                                         (int64_t)by_2048.high, (int64_t)by_2048.low);
    __m512i lane[4];
    uint8_t rest[256];
    if (n < sizeof rest)
        return by_folding_16(r, p, n);
    for (int i = 0; i < 4; i++)
        lane[i] = _mm512_loadu_si512(p + 64 * i);
    lane[0] = _mm512_xor_si512(lane[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)r)));
    for (p += 256, n -= 256; n >= 256; p += 256, n -= 256)
        for (int i = 0; i < 4; i++)
            lane[i] = _mm512_xor_si512(
                _mm512_xor_si512(_mm512_clmulepi64_epi128(lane[i], by, 0x00),
                                 _mm512_clmulepi64_epi128(lane[i], by, 0x11)),
                _mm512_loadu_si512(p + 64 * i));
    for (int i = 0; i < 4; i++)
        _mm512_storeu_si512(rest + 64 * i, lane[i]);
    r = by_folding_16(0, rest, sizeof rest);
    return n >= FOLD_MIN ? by_folding_16(r, p, n) : by_tables(r, p, n);
}

/* The widest path that the instruction set in force and the CPU allow. */
static void
choose_path(void)
{
    mt_isa isa = mt_cpu_isa();
    __builtin_cpu_init();
    by_128 = make_fold(128);
    by_512 = make_fold(512);
    by_1024 = make_fold(1024);
    by_2048 = make_fold(2048);
    if (isa == MT_ISA_BASELINE || !__builtin_cpu_supports("pclmul"))
        return;
    path = by_folding_16;
    if (__builtin_cpu_supports("vpclmulqdq"))
        path = isa == MT_ISA_AVX512 ? by_folding_64 : by_folding_32;
}
#else
static void
choose_path(void)
{
}
#endif

static void
prepare(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t r = b;
        for (int bit = 0; bit < 8; bit++)
            r = (r >> 1) ^ (POLY & (0u - (r & 1u)));
        table[0][b] = r;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t b = 0; b < 256; b++)
            table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xFF];
    choose_path();
}

uint32_t
mt_crc32_portable(uint32_t crc, const void *data, size_t n)
{
    pthread_once(&once, prepare);
    return ~by_tables(~crc, data, n);
}

uint32_t
mt_crc32(uint32_t crc, const void *data, size_t n)
{
    pthread_once(&once, prepare);
    return ~(path && n >= FOLD_MIN ? path(~crc, data, n) : by_tables(~crc, data, n));
}
