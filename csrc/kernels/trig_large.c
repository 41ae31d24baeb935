/* sin, cos and tan of large numbers, after Payne and Hanek.
 *
 * x = m 2^e with an integer m of 53 bits. Of 2 / pi, bits that add multiples of four to the product
 * with x are left out; the 192 bits that follow, times m, modulo 2^192, are a fixed-point number of
 * quarter turns with two integer bits. x comes no closer to a multiple of pi / 2 than some 2^-61,
 * so at least 75 bits of the rest are right. */
#include "kernels/scalar.h"

__extension__ typedef unsigned __int128 uint128;

/* 2 / pi: a word of zeros, then 1280 bits after the binary point. */
static const uint64_t two_over_pi[21] = {
    0,
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
    0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
    0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d,
};

static uint64_t
word_at(unsigned start)
{
    unsigned word = start / 64, offset = start % 64;
    if (offset == 0)
        return two_over_pi[word];
    return two_over_pi[word] << offset | two_over_pi[word + 1] >> (64 - offset);
}

/* For finite |x| >= 2^17: the quarter in the low two bits, and r + r_lo. */
static uint64_t
reduce(double x, double *r, double *r_lo)
{
    uint64_t bits = mt_double_bits(x), m = (bits & 0xfffffffffffff) | 0x10000000000000;
    int e = (int)((bits >> 52) & 0x7ff) - (1023 + 52);
    unsigned start = (unsigned)(e - 2 + 64); /* at least 27: a part of the zeros comes first */
    uint128 low = (uint128)m * word_at(start + 128), middle = (uint128)m * word_at(start + 64);
    middle += low >> 64;
    uint64_t high = m * word_at(start) + (uint64_t)(middle >> 64);
    uint64_t quarter = high >> 62;
    uint128 fraction = (uint128)(high << 2 | (uint64_t)middle >> 62) << 64 |
                       ((uint64_t)middle << 2 | (uint64_t)low >> 62);
    /* To the nearest quarter turn. */
    bool above = (fraction >> 127) != 0;
    if (above) {
        quarter++;
        fraction = -fraction;
    }
    uint64_t top = (uint64_t)(fraction >> 64);
    int zeros = top ? __builtin_clzll(top) : 63; /* never 64, see above */
    fraction <<= zeros;
    top = (uint64_t)(fraction >> 64);
    uint64_t next = (top & 0x7ff) << 42 | (uint64_t)fraction >> 22;
    double f = (double)(top >> 11) * mt_power2_f64(-53.0 - zeros);
    double f_lo = (double)next * mt_power2_f64(-106.0 - zeros);
    bool negate = above != (x < 0);
    f = negate ? -f : f;
    f_lo = negate ? -f_lo : f_lo;
    double product_lo, product = mt_two_product_f64(f, 0x1.921fb54442d18p+0, &product_lo);
    *r = product;
    *r_lo = product_lo + (f * 0x1.1a62633145c07p-54 + f_lo * 0x1.921fb54442d18p+0);
    return x < 0 ? 0 - quarter : quarter;
}

static bool
is_finite(double x)
{
    return mt_abs_f64(x) < MT_INF_F64;
}

double
mt_sin_large(double x)
{
    if (!is_finite(x))
        return x - x;
    double r, r_lo;
    uint64_t quarter = reduce(x, &r, &r_lo);
    double y = quarter & 1 ? mt_cos_reduced_f64(r, r_lo) : mt_sin_reduced_f64(r, r_lo);
    return quarter & 2 ? -y : y;
}

double
mt_cos_large(double x)
{
    if (!is_finite(x))
        return x - x;
    double r, r_lo;
    uint64_t quarter = reduce(x, &r, &r_lo) + 1;
    double y = quarter & 1 ? mt_cos_reduced_f64(r, r_lo) : mt_sin_reduced_f64(r, r_lo);
    return quarter & 2 ? -y : y;
}

double
mt_tan_large(double x)
{
    if (!is_finite(x))
        return x - x;
    double r, r_lo;
    uint64_t quarter = reduce(x, &r, &r_lo);
    return mt_tan_reduced_f64(r, r_lo, quarter);
}
