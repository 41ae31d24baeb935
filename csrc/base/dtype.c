/* The info table and type promotion. */
#include "base/dtype.h"

/* ORDER DTYPE */
#define NO MT_DTYPE_NONE
const mt_dtype_info mt_dtypes[MT_NUM_DTYPES] = {
    /* name, scalar name, legacy, size, scalar type, floating, complex, signed, integral,
     * to_real, to_complex */
    {"bool", "Bool", NULL, 1, 11, false, false, false, false, MT_BOOL, NO},
    {"uint8", "Byte", NULL, 1, 0, false, false, false, true, MT_UINT8, NO},
    {"int8", "Char", NULL, 1, 1, false, false, true, true, MT_INT8, NO},
    {"int16", "Short", "short", 2, 2, false, false, true, true, MT_INT16, NO},
    {"int32", "Int", "int", 4, 3, false, false, true, true, MT_INT32, NO},
    {"int64", "Long", "long", 8, 4, false, false, true, true, MT_INT64, NO},
    {"uint16", "UInt16", NULL, 2, 27, false, false, false, true, MT_UINT16, NO},
    {"uint32", "UInt32", NULL, 4, 28, false, false, false, true, MT_UINT32, NO},
    {"uint64", "UInt64", NULL, 8, 29, false, false, false, true, MT_UINT64, NO},
    /* PyTorch pairs float16 with complex32, which is not a type here. */
    {"float16", "Half", "half", 2, 5, true, false, true, false, MT_FLOAT16, NO},
    {"bfloat16", "BFloat16", NULL, 2, 15, true, false, true, false, MT_BFLOAT16, MT_COMPLEX64},
    {"float32", "Float", "float", 4, 6, true, false, true, false, MT_FLOAT32, MT_COMPLEX64},
    {"float64", "Double", "double", 8, 7, true, false, true, false, MT_FLOAT64, MT_COMPLEX128},
    {"complex64", "ComplexFloat", "cfloat", 8, 9, false, true, true, false, MT_FLOAT32,
     MT_COMPLEX64},
    {"complex128", "ComplexDouble", "cdouble", 16, 10, false, true, true, false, MT_FLOAT64,
     MT_COMPLEX128},
};
#undef NO

/* Rows and columns in ORDER DTYPE. The wide unsigned types join floats and themselves only. */
#define b1 MT_BOOL
#define u1 MT_UINT8
#define i1 MT_INT8
#define i2 MT_INT16
#define i4 MT_INT32
#define i8 MT_INT64
#define u2 MT_UINT16
#define u4 MT_UINT32
#define u8 MT_UINT64
#define f2 MT_FLOAT16
#define bf MT_BFLOAT16
#define f4 MT_FLOAT32
#define f8 MT_FLOAT64
#define c4 MT_COMPLEX64
#define c8 MT_COMPLEX128
#define xx MT_DTYPE_NONE
static const uint8_t promotion[MT_NUM_DTYPES][MT_NUM_DTYPES] = {
    /*       b1  u1  i1  i2  i4  i8  u2  u4  u8  f2  bf  f4  f8  c4  c8 */
    /* b1 */ {b1, u1, i1, i2, i4, i8, xx, xx, xx, f2, bf, f4, f8, c4, c8},
    /* u1 */ {u1, u1, i2, i2, i4, i8, xx, xx, xx, f2, bf, f4, f8, c4, c8},
    /* i1 */ {i1, i2, i1, i2, i4, i8, xx, xx, xx, f2, bf, f4, f8, c4, c8},
    /* i2 */ {i2, i2, i2, i2, i4, i8, xx, xx, xx, f2, bf, f4, f8, c4, c8},
    /* i4 */ {i4, i4, i4, i4, i4, i8, xx, xx, xx, f2, bf, f4, f8, c4, c8},
    /* i8 */ {i8, i8, i8, i8, i8, i8, xx, xx, xx, f2, bf, f4, f8, c4, c8},
    /* u2 */ {xx, xx, xx, xx, xx, xx, u2, xx, xx, f2, bf, f4, f8, xx, xx},
    /* u4 */ {xx, xx, xx, xx, xx, xx, xx, u4, xx, f2, bf, f4, f8, xx, xx},
    /* u8 */ {xx, xx, xx, xx, xx, xx, xx, xx, u8, f2, bf, f4, f8, xx, xx},
    /* f2 */ {f2, f2, f2, f2, f2, f2, f2, f2, f2, f2, f4, f4, f8, c4, c8},
    /* bf */ {bf, bf, bf, bf, bf, bf, bf, bf, bf, f4, bf, f4, f8, c4, c8},
    /* f4 */ {f4, f4, f4, f4, f4, f4, f4, f4, f4, f4, f4, f4, f8, c4, c8},
    /* f8 */ {f8, f8, f8, f8, f8, f8, f8, f8, f8, f8, f8, f8, f8, c8, c8},
    /* c4 */ {c4, c4, c4, c4, c4, c4, xx, xx, xx, c4, c4, c4, c8, c4, c8},
    /* c8 */ {c8, c8, c8, c8, c8, c8, xx, xx, xx, c8, c8, c8, c8, c8, c8},
};

mt_dtype
mt_promote(mt_dtype a, mt_dtype b)
{
    return (mt_dtype)promotion[a][b];
}

bool
mt_can_cast(mt_dtype from, mt_dtype to)
{
    return mt_dtype_category(from) <= mt_dtype_category(to);
}
