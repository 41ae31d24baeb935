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
 *   the latency. What remains is 16 bytes with the same remainder, which the tables finish. */
#include "serialize/crc32.h"

#include <pthread.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLY 0xEDB88320u

static uint32_t table[8][256];
static bool have_clmul;
static pthread_once_t once = PTHREAD_ONCE_INIT;

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
#if defined(__x86_64__)
    __builtin_cpu_init();
    have_clmul = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif
}

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
/* x^(distance+32) and x^(distance-32) mod P, reflected and shifted, for one fold of four lanes
 * (512 bits) and of one lane (128 bits). */
#define FOLD_512_LOW 0x0000000154442BD4ull
#define FOLD_512_HIGH 0x00000001C6E41596ull
#define FOLD_128_LOW 0x00000001751997D0ull
#define FOLD_128_HIGH 0x00000000CCAA009Eull

__attribute__((target("pclmul,sse4.1"))) MT_INLINE __m128i
fold(__m128i lane, __m128i by, const uint8_t *next)
{
    __m128i low = _mm_clmulepi64_si128(lane, by, 0x00);
    __m128i high = _mm_clmulepi64_si128(lane, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), _mm_loadu_si128((const __m128i *)next));
}

/* n >= 64. Raw register, as by_tables. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t
by_folding(uint32_t r, const uint8_t *p, size_t n)
{
    const __m128i by_512 = _mm_set_epi64x((int64_t)FOLD_512_HIGH, (int64_t)FOLD_512_LOW);
    const __m128i by_128 = _mm_set_epi64x((int64_t)FOLD_128_HIGH, (int64_t)FOLD_128_LOW);
    __m128i lane[4];
    for (int i = 0; i < 4; i++)
        lane[i] = _mm_loadu_si128((const __m128i *)(p + 16 * i));
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128((int)r));
    p += 64;
    n -= 64;
    while (n >= 64) {
        lane[0] = fold(lane[0], by_512, p);
        lane[1] = fold(lane[1], by_512, p + 16);
        lane[2] = fold(lane[2], by_512, p + 32);
        lane[3] = fold(lane[3], by_512, p + 48);
        p += 64;
        n -= 64;
    }
    uint8_t rest[16];
    for (int i = 1; i < 4; i++) {
        _mm_storeu_si128((__m128i *)rest, lane[i]);
        lane[i] = fold(lane[i - 1], by_128, rest);
    }
    while (n >= 16) {
        lane[3] = fold(lane[3], by_128, p);
        p += 16;
        n -= 16;
    }
    _mm_storeu_si128((__m128i *)rest, lane[3]);
    return by_tables(by_tables(0, rest, 16), p, n);
}
#endif

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
#if defined(__x86_64__)
    if (have_clmul && n >= 64)
        return ~by_folding(~crc, data, n);
#endif
    return ~by_tables(~crc, data, n);
}
