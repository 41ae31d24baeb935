/* Element types: their order, sizes, categories, names, the half-precision conversions and the
 * promotion table. The numbers are ours; PyTorch's ScalarType numbers are in `scalar_type`. */
#pragma once

#include "base/base.h"

/* X(ENUM, name, C storage type) in category order: bool, integers, floats, complex.
 * ORDER DTYPE: mt_dtype, the info table in dtype.c and the promotion table follow this list. */
#define MT_FOR_INT(X)                                                                              \
    X(UINT8, uint8, uint8_t)                                                                       \
    X(INT8, int8, int8_t)                                                                          \
    X(INT16, int16, int16_t)                                                                       \
    X(INT32, int32, int32_t)                                                                       \
    X(INT64, int64, int64_t)
#define MT_FOR_WIDE_UINT(X)                                                                        \
    X(UINT16, uint16, uint16_t)                                                                    \
    X(UINT32, uint32, uint32_t)                                                                    \
    X(UINT64, uint64, uint64_t)
#define MT_FOR_HALF(X)                                                                             \
    X(FLOAT16, float16, mt_half)                                                                   \
    X(BFLOAT16, bfloat16, mt_bfloat16)
#define MT_FOR_REAL(X)                                                                             \
    X(FLOAT32, float32, float)                                                                     \
    X(FLOAT64, float64, double)
#define MT_FOR_COMPLEX(X)                                                                          \
    X(COMPLEX64, complex64, mt_complex64)                                                          \
    X(COMPLEX128, complex128, mt_complex128)
#define MT_FOR_FLOAT(X) MT_FOR_HALF(X) MT_FOR_REAL(X)
#define MT_FOR_DTYPE(X)                                                                            \
    X(BOOL, bool, uint8_t)                                                                         \
    MT_FOR_INT(X) MT_FOR_WIDE_UINT(X) MT_FOR_FLOAT(X) MT_FOR_COMPLEX(X)

typedef struct mt_half { uint16_t bits; } mt_half;
typedef struct mt_bfloat16 { uint16_t bits; } mt_bfloat16;
typedef float _Complex mt_complex64;
typedef double _Complex mt_complex128;

typedef enum mt_dtype {
#define X(ENUM, name, type) MT_##ENUM,
    MT_FOR_DTYPE(X)
#undef X
    MT_NUM_DTYPES,
    MT_DTYPE_NONE = 255, /* "no dtype given" */
} mt_dtype;

typedef struct mt_dtype_info {
    const char *name;        /* "float32" */
    const char *scalar_name; /* "Float": PyTorch's ScalarType name, used in error texts */
    const char *legacy_name; /* "float" or NULL: the alias torch.float and the like */
    uint8_t size;            /* bytes */
    uint8_t scalar_type;     /* PyTorch's number (file formats, dispatch dumps) */
    bool is_floating, is_complex, is_signed, is_integral; /* is_integral: not bool */
    mt_dtype to_real, to_complex; /* MT_DTYPE_NONE where there is none */
} mt_dtype_info;

extern const mt_dtype_info mt_dtypes[MT_NUM_DTYPES];

MT_INLINE size_t mt_dtype_size(mt_dtype d) { return mt_dtypes[d].size; }
MT_INLINE bool mt_is_floating(mt_dtype d) { return d >= MT_FLOAT16 && d <= MT_FLOAT64; }
MT_INLINE bool mt_is_complex(mt_dtype d) { return d >= MT_COMPLEX64 && d <= MT_COMPLEX128; }
MT_INLINE bool mt_is_half(mt_dtype d) { return d == MT_FLOAT16 || d == MT_BFLOAT16; }
/* Integers, with or without bool. */
MT_INLINE bool mt_is_integral(mt_dtype d, bool with_bool)
{
    return d == MT_BOOL ? with_bool : d < MT_FLOAT16;
}
/* Categories in promotion order: 0 bool, 1 integer, 2 float, 3 complex. */
MT_INLINE int mt_dtype_category(mt_dtype d)
{
    return d == MT_BOOL ? 0 : d < MT_FLOAT16 ? 1 : d < MT_COMPLEX64 ? 2 : 3;
}

/* torch.promote_types. MT_DTYPE_NONE where PyTorch has no promotion (uint16/32/64 with others);
 * the caller words the error. */
mt_dtype mt_promote(mt_dtype a, mt_dtype b);
/* torch.can_cast: complex -> real, float -> integer, other -> bool are forbidden. */
bool mt_can_cast(mt_dtype from, mt_dtype to);

/* Round-to-nearest-even conversions, NaN kept, subnormals exact. */
MT_INLINE float mt_half_to_float(mt_half h);
MT_INLINE mt_half mt_float_to_half(float f);
MT_INLINE float mt_bfloat16_to_float(mt_bfloat16 b);
MT_INLINE mt_bfloat16 mt_float_to_bfloat16(float f);

MT_INLINE float
mt_bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

MT_INLINE uint32_t
mt_float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Branch-free, so that loops over halves vectorise on any instruction set. The exponent is moved
 * by a multiplication, which also normalises subnormals. */
MT_INLINE float
mt_half_to_float(mt_half h)
{
    uint32_t w = (uint32_t)h.bits << 16, sign = w & 0x80000000u, two_w = w + w;
    float normal = mt_bits_float((two_w >> 4) + (0xE0u << 23)) * 0x1.0p-112f;
    float subnormal = mt_bits_float((two_w >> 17) | (126u << 23)) - 0.5f;
    uint32_t bits = two_w < (1u << 27) ? mt_float_bits(subnormal) : mt_float_bits(normal);
    return mt_bits_float(sign | bits);
}

MT_INLINE mt_half
mt_float_to_half(float f)
{
    float base = (mt_bits_float(mt_float_bits(f) & 0x7FFFFFFFu) * 0x1.0p+112f) * 0x1.0p-110f;
    uint32_t w = mt_float_bits(f), shl1 = w + w, sign = w & 0x80000000u;
    uint32_t bias = shl1 & 0xFF000000u;
    bias = bias < 0x71000000u ? 0x71000000u : bias;
    uint32_t bits = mt_float_bits(mt_bits_float((bias >> 1) + 0x07800000u) + base);
    uint32_t nonsign = ((bits >> 13) & 0x7C00u) + (bits & 0x0FFFu);
    mt_half h = {(uint16_t)((sign >> 16) | (shl1 > 0xFF000000u ? 0x7E00u : nonsign))};
    return h;
}

MT_INLINE float
mt_bfloat16_to_float(mt_bfloat16 b)
{
    return mt_bits_float((uint32_t)b.bits << 16);
}

MT_INLINE mt_bfloat16
mt_float_to_bfloat16(float f)
{
    uint32_t u = mt_float_bits(f);
    uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
    mt_bfloat16 b = {(uint16_t)(f != f ? 0x7FC0u : rounded)};
    return b;
}
