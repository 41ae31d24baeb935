/* Random integers and permutations.
 *
 * An integer below `range` is the remainder of one word where range < 2^28 and of a 64-bit draw
 * from there on. The ends of the range are 64-bit integers also where the output is a float: they
 * are first moved to values of the dtype, as PyTorch does it. */
#include "kernels/random_k.h"
#include "kernels/random_walk.h"

#define ONE_WORD_RANGES (UINT64_C(1) << 28)
/* From here on a permutation draws 64 bits a step, so that the remainder stays close to uniform. */
#define WIDE_PERMUTATION (UINT32_MAX / 20)

typedef struct span {
    uint64_t range; /* 0: all 64-bit values */
    int64_t from;
    bool two_words;
} span;

static int
make_integers(mt_rng *r, const void *how, const double *const *args, void *values, int64_t n)
{
    const span *s = how;
    int64_t *out = values;
    uint32_t words[2 * MT_RANDOM_CHUNK];
    (void)args;
    mt_rng_words(r, words, s->two_words ? 2 * n : n);
    uint64_t range = s->range, from = (uint64_t)s->from;
    if (!s->two_words) {
        /* w % range without a division: the fraction of w / range in 64 bits, times range. Exact
         * for 32-bit operands (Lemire, Kaser, Kurz 2019). */
        uint64_t inverse = UINT64_MAX / range + 1;
        for (int64_t i = 0; i < n; i++) {
            uint64_t fraction = inverse * words[i];
            out[i] = (int64_t)((uint64_t)((unsigned __int128)fraction * range >> 64) + from);
        }
        return 0;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t draw = (uint64_t)words[2 * i] << 32 | words[2 * i + 1];
        out[i] = (int64_t)((range ? draw % range : draw) + from);
    }
    return 0;
}

static int
fill_integers(mt_rng *r, const mt_random_out *out, uint64_t range, int64_t from, bool two_words)
{
    span s = {range, from, two_words};
    return mt_random_fill(r, out, 0, NULL, MT_INT64, make_integers, &s);
}

/* Bits of the significand: up to 2^bits every integer is a value of the dtype. */
static int
digits_of(mt_dtype dtype)
{
    switch (dtype) {
    case MT_FLOAT16: return 11;
    case MT_BFLOAT16: return 8;
    case MT_FLOAT32: return 24;
    default: return 53;
    }
}

/* Highest value of an integer dtype as int64; that of uint64 reads as -1 there. */
static int64_t
highest_of(mt_dtype dtype)
{
    if (dtype == MT_BOOL)
        return 1;
    int bits = 8 * (int)mt_dtype_size(dtype) - mt_dtypes[dtype].is_signed;
    return bits == 64 ? -1 : (int64_t)((UINT64_C(1) << bits) - 1);
}

/* A 64-bit integer to the dtype and back. */
static int64_t
through(mt_dtype dtype, int64_t value)
{
    switch (dtype) {
    case MT_FLOAT16: return mt_random_to_int64(mt_half_to_float(mt_float_to_half((float)value)));
    case MT_BFLOAT16:
        return mt_random_to_int64(mt_bfloat16_to_float(mt_float_to_bfloat16((float)value)));
    case MT_FLOAT32: return mt_random_to_int64((float)value);
    default: return mt_random_to_int64((double)value);
    }
}

/* The distance of neighbouring values of the dtype where `value` lies. */
static uint64_t
spacing(mt_dtype dtype, int64_t value)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int bit = size ? 63 - __builtin_clzll(size) : 0;
    return UINT64_C(1) << ((bit - digits_of(dtype) + 1) & 63);
}

/* `from` moved up, `to` moved down, where rounding to the dtype would leave the range. */
static int64_t
raise_from(mt_dtype dtype, int64_t from)
{
    if (from == INT64_MAX) /* out of range for every float dtype; PyTorch does not return */
        return from;
    int64_t next = from + 1, rounded = through(dtype, next);
    return rounded < from ? (int64_t)((uint64_t)rounded + spacing(dtype, next)) : from;
}

static int64_t
lower_to(mt_dtype dtype, int64_t to)
{
    int64_t last = to - 1, rounded = through(dtype, last);
    return rounded >= to ? (int64_t)((uint64_t)rounded - spacing(dtype, last)) : to;
}

static int
check_end(mt_dtype dtype, const char *name, int64_t value)
{
    bool good;
    if (dtype == MT_FLOAT16)
        good = value >= -65504 && value <= 65504;
    else if (mt_is_floating(dtype))
        good = true;
    else if (dtype == MT_UINT64)
        good = value >= 0;
    else if (dtype == MT_INT64)
        good = true;
    else
        good = value <= highest_of(dtype) &&
               value >= (mt_dtypes[dtype].is_signed ? -highest_of(dtype) - 1 : 0);
    return good ? 0
                : mt_fail(MT_RUNTIME, "%s is out of bounds for %s", name,
                          mt_random_type_name(dtype));
}

static int
warn_end(mt_dtype dtype, const char *name, int64_t value)
{
    int digits = digits_of(dtype);
    int64_t most = INT64_C(1) << digits;
    if (value >= -most && value <= most)
        return 0;
    return mt_warn(MT_WARN_USER,
                   "%s is out of bounds [-(2^%d), 2^%d]. Due to precision limitations %s can "
                   "support discrete uniform distribution only within this range. This warning "
                   "will become an error in version 1.7 release, please fix the code in advance",
                   name, digits, digits, mt_random_type_name(dtype));
}

static int
check_ends(mt_dtype dtype, int64_t from, int64_t last)
{
    if (mt_is_complex(dtype))
        return mt_fail(MT_RUNTIME, "check_random_bounds handles only integral, floating-point and "
                                   "boolean types");
    if (check_end(dtype, "from", from) < 0 || check_end(dtype, "to - 1", last) < 0)
        return -1;
    if (mt_is_floating(dtype) &&
        (warn_end(dtype, "from", from) < 0 || warn_end(dtype, "to - 1", last) < 0))
        return -1;
    return 0;
}

int
mt_random_integers(mt_rng *r, const mt_random_out *out, int64_t from, int64_t to)
{
    mt_dtype dtype = out->dtype;
    if (from >= to)
        return mt_fail(MT_RUNTIME,
                       "random_ expects 'from' to be less than 'to', but got from=%lld >= to=%lld",
                       (long long)from, (long long)to);
    if (mt_is_floating(dtype)) {
        from = raise_from(dtype, from);
        to = lower_to(dtype, to);
        if (from >= to)
            return mt_fail(MT_RUNTIME,
                           "random_ expects 'from' casted to dtype to be less than 'to' casted to "
                           "dtype, but got from=%lld >= to=%lld",
                           (long long)from, (long long)to);
    }
    if (check_ends(dtype, from, to - 1) < 0)
        return -1;
    uint64_t range = (uint64_t)to - (uint64_t)from;
    return fill_integers(r, out, range, from, range >= ONE_WORD_RANGES);
}

int
mt_random_integers_from(mt_rng *r, const mt_random_out *out, int64_t from)
{
    mt_dtype dtype = out->dtype;
    if (from == INT64_MIN) {
        if (!mt_random_numel(out))
            return 0;
        if (dtype == MT_BOOL || dtype == MT_FLOAT16 || mt_is_complex(dtype) || dtype == MT_UINT16 ||
            dtype == MT_UINT32 || dtype == MT_UINT64)
            return mt_random_unsupported("random_full_64_bits_range_kernel_cpu", dtype);
        if (dtype != MT_INT64 && !mt_is_floating(dtype))
            return mt_fail(MT_RUNTIME, "random_full_64_bits_range_kernel_cpu handles only int64, "
                                       "double, float and bfloat16");
        return fill_integers(r, out, 0, 0, true);
    }
    int64_t last;
    if (mt_is_complex(dtype))
        return mt_fail(MT_RUNTIME, "random_from_to_impl handles only integral, floating-point and "
                                   "boolean types");
    if (mt_is_floating(dtype)) {
        last = INT64_C(1) << digits_of(dtype);
        from = raise_from(dtype, from);
        if (from >= last)
            return mt_fail(MT_RUNTIME,
                           "random_ expects 'from' casted to dtype to be less than or equal to "
                           "'to_inc' casted to dtype, but got from=%lld > to_inc=%lld",
                           (long long)from, (long long)last);
    } else
        last = dtype == MT_INT64 ? INT64_MAX : highest_of(dtype);
    if (check_ends(dtype, from, last) < 0)
        return -1;
    uint64_t range = (uint64_t)last - (uint64_t)from + 1;
    return fill_integers(r, out, range, from, range >= ONE_WORD_RANGES);
}

int
mt_random_integers_all(mt_rng *r, const mt_random_out *out)
{
    mt_dtype dtype = out->dtype;
    if (!mt_random_numel(out))
        return 0;
    if (mt_is_floating(dtype))
        return fill_integers(r, out, (UINT64_C(1) << digits_of(dtype)) + 1, 0, dtype == MT_FLOAT64);
    if (mt_is_complex(dtype) || dtype == MT_UINT16 || dtype == MT_UINT32 || dtype == MT_UINT64)
        return mt_random_unsupported("random_kernel_cpu", dtype);
    if (dtype == MT_INT64)
        return fill_integers(r, out, UINT64_C(1) << 63, 0, true);
    return fill_integers(r, out, (uint64_t)highest_of(dtype) + 1, 0, false);
}

/* -------- permutations -------- */

int
mt_random_permutation_check(mt_dtype dtype, int64_t n)
{
    if (mt_is_complex(dtype) || dtype == MT_BOOL)
        return mt_random_unsupported("randperm", dtype);
    if (dtype == MT_FLOAT16 && n > 2049)
        return mt_fail(MT_RUNTIME, "n cannot be greater than 2049 for Half type.");
    bool fits = mt_is_floating(dtype) || mt_dtype_size(dtype) == 8 || n - 1 <= highest_of(dtype);
    if (!fits)
        return mt_fail(MT_RUNTIME, "value cannot be converted to type %s_t without overflow",
                       mt_dtypes[dtype].name);
    if (dtype == MT_UINT16 || dtype == MT_UINT32 || dtype == MT_UINT64)
        return mt_random_unsupported("randperm", dtype);
    return 0;
}

#define T uint8_t
#include "kernels/random_shuffle.tmpl.h"
#define T uint16_t
#include "kernels/random_shuffle.tmpl.h"
#define T uint32_t
#include "kernels/random_shuffle.tmpl.h"
#define T uint64_t
#include "kernels/random_shuffle.tmpl.h"

int
mt_random_permutation(mt_rng *r, mt_dtype dtype, void *out, int64_t stride, int64_t n)
{
    if (mt_random_permutation_check(dtype, n) < 0)
        return -1;
    size_t size = mt_dtype_size(dtype);
    mt_convert convert = mt_converter(dtype, MT_INT64);
    for (int64_t at = 0; at < n; at += MT_RANDOM_CHUNK) {
        int64_t numbers[MT_RANDOM_CHUNK], converted[MT_RANDOM_CHUNK];
        int64_t some = MT_MIN(MT_RANDOM_CHUNK, n - at);
        for (int64_t i = 0; i < some; i++)
            numbers[i] = at + i;
        convert(converted, numbers, some);
        mt_scatter((char *)out + at * stride * (int64_t)size, stride * (int64_t)size, converted,
                   some, size);
    }
    bool wide = n >= WIDE_PERMUTATION;
    switch (size) {
    case 1: shuffle_uint8_t(r, out, stride, n, wide); break;
    case 2: shuffle_uint16_t(r, out, stride, n, wide); break;
    case 4: shuffle_uint32_t(r, out, stride, n, wide); break;
    default: shuffle_uint64_t(r, out, stride, n, wide); break;
    }
    return 0;
}
