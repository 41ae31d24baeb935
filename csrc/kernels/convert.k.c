/* Conversion loops, one per pair of dtypes. The wide instruction sets get the pairs that matter:
 * both dtypes among the floats and the common integers. */
#include "base/dtype.h"
#include "kernels/convert_k.h"

#define FROM_plain(x) (x)
#define FROM_half(x) mt_half_to_float(x)
#define FROM_bf(x) mt_bfloat16_to_float(x)
#define FROM_complex(x) (__real__(x))

/* stores from a real value v */
#define TO_bool(T, v) ((v) != 0)
#define TO_int(T, v) ((T)(int64_t)(v))
#define TO_real(T, v) ((T)(v))
#define TO_half(T, v) mt_float_to_half((float)(v))
#define TO_bf(T, v) mt_float_to_bfloat16((float)(v))

/* X(ENUM, C type, how to read, how to write) */
#define HOT_DTYPES(X, ...)                                                                         \
    X(BOOL, uint8_t, plain, bool, __VA_ARGS__)                                                     \
    X(UINT8, uint8_t, plain, int, __VA_ARGS__)                                                     \
    X(INT32, int32_t, plain, int, __VA_ARGS__)                                                     \
    X(INT64, int64_t, plain, int, __VA_ARGS__)                                                     \
    X(FLOAT16, mt_half, half, half, __VA_ARGS__)                                                   \
    X(BFLOAT16, mt_bfloat16, bf, bf, __VA_ARGS__)                                                  \
    X(FLOAT32, float, plain, real, __VA_ARGS__)                                                    \
    X(FLOAT64, double, plain, real, __VA_ARGS__)
#define COLD_DTYPES(X, ...)                                                                        \
    X(INT8, int8_t, plain, int, __VA_ARGS__)                                                       \
    X(INT16, int16_t, plain, int, __VA_ARGS__)                                                     \
    X(UINT16, uint16_t, plain, int, __VA_ARGS__)                                                   \
    X(UINT32, uint32_t, plain, int, __VA_ARGS__)                                                   \
    X(UINT64, uint64_t, plain, int, __VA_ARGS__)

#define LOOP(TENUM, TTYPE, TREAD, TWRITE, FENUM, FTYPE, FREAD, FWRITE)                             \
    static void TENUM##_from_##FENUM(void *to, const void *from, int64_t n)                        \
    {                                                                                              \
        TTYPE *o = to;                                                                             \
        const FTYPE *x = from;                                                                     \
        for (int64_t i = 0; i < n; i++)                                                            \
            o[i] = TO_##TWRITE(TTYPE, FROM_##FREAD(x[i]));                                         \
    }

/* The same list under a second name: a macro does not expand inside itself. */
#define HOT_DTYPES2(X, ...)                                                                        \
    X(BOOL, uint8_t, plain, bool, __VA_ARGS__)                                                     \
    X(UINT8, uint8_t, plain, int, __VA_ARGS__)                                                     \
    X(INT32, int32_t, plain, int, __VA_ARGS__)                                                     \
    X(INT64, int64_t, plain, int, __VA_ARGS__)                                                     \
    X(FLOAT16, mt_half, half, half, __VA_ARGS__)                                                   \
    X(BFLOAT16, mt_bfloat16, bf, bf, __VA_ARGS__)                                                  \
    X(FLOAT32, float, plain, real, __VA_ARGS__)                                                    \
    X(FLOAT64, double, plain, real, __VA_ARGS__)
#define COLD_DTYPES2(X, ...)                                                                       \
    X(INT8, int8_t, plain, int, __VA_ARGS__)                                                       \
    X(INT16, int16_t, plain, int, __VA_ARGS__)                                                     \
    X(UINT16, uint16_t, plain, int, __VA_ARGS__)                                                   \
    X(UINT32, uint32_t, plain, int, __VA_ARGS__)                                                   \
    X(UINT64, uint64_t, plain, int, __VA_ARGS__)

#define ENTRY(TENUM, TTYPE, TREAD, TWRITE, FENUM, FTYPE, FREAD, FWRITE)                            \
    [MT_##TENUM][MT_##FENUM] = TENUM##_from_##FENUM,

#define FROM_HOT(ENUM, type, read, write, DO) HOT_DTYPES2(DO, ENUM, type, read, write)
#define FROM_COLD(ENUM, type, read, write, DO) COLD_DTYPES2(DO, ENUM, type, read, write)

#ifdef MT_HOT_ONLY
HOT_DTYPES(FROM_HOT, LOOP)
#else
/* complex from real, real from complex, complex from complex */
#define COMPLEX_LOOPS(ENUM, type, read, write, DO)                                                 \
    DO(COMPLEX64, float, plain, real, ENUM, type, read, write)                                     \
    DO(COMPLEX128, double, plain, real, ENUM, type, read, write)
#define TO_COMPLEX(TENUM, TTYPE, TREAD, TWRITE, FENUM, FTYPE, FREAD, FWRITE)                       \
    static void TENUM##_from_##FENUM(void *to, const void *from, int64_t n)                        \
    {                                                                                              \
        TTYPE *o = to;                                                                             \
        const FTYPE *x = from;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                          \
            o[2 * i] = (TTYPE)FROM_##FREAD(x[i]);                                                  \
            o[2 * i + 1] = 0;                                                                      \
        }                                                                                          \
    }
#define OF_COMPLEX(TENUM, TTYPE, TREAD, TWRITE, unused)                                            \
    LOOP(TENUM, TTYPE, TREAD, TWRITE, COMPLEX64, mt_complex64, complex, complex)                   \
    LOOP(TENUM, TTYPE, TREAD, TWRITE, COMPLEX128, mt_complex128, complex, complex)
#define OF_COMPLEX_ENTRY(TENUM, TTYPE, TREAD, TWRITE, unused)                                      \
    ENTRY(TENUM, TTYPE, TREAD, TWRITE, COMPLEX64, , , )                                            \
    ENTRY(TENUM, TTYPE, TREAD, TWRITE, COMPLEX128, , , )

HOT_DTYPES(FROM_HOT, LOOP)
HOT_DTYPES(FROM_COLD, LOOP)
COLD_DTYPES(FROM_HOT, LOOP)
COLD_DTYPES(FROM_COLD, LOOP)
HOT_DTYPES(COMPLEX_LOOPS, TO_COMPLEX)
COLD_DTYPES(COMPLEX_LOOPS, TO_COMPLEX)

/* bool from complex is true where either part is not zero */
#define BOOL_FROM(ENUM, part)                                                                      \
    static void BOOL_of_##ENUM(void *to, const void *from, int64_t n)                              \
    {                                                                                              \
        uint8_t *o = to;                                                                           \
        const part *x = from;                                                                      \
        for (int64_t i = 0; i < n; i++)                                                            \
            o[i] = x[2 * i] != 0 || x[2 * i + 1] != 0;                                             \
    }
BOOL_FROM(COMPLEX64, float)
BOOL_FROM(COMPLEX128, double)
#define NOT_BOOL(X, ...)                                                                           \
    X(UINT8, uint8_t, plain, int, __VA_ARGS__)                                                     \
    X(INT32, int32_t, plain, int, __VA_ARGS__)                                                     \
    X(INT64, int64_t, plain, int, __VA_ARGS__)                                                     \
    X(FLOAT16, mt_half, half, half, __VA_ARGS__)                                                   \
    X(BFLOAT16, mt_bfloat16, bf, bf, __VA_ARGS__)                                                  \
    X(FLOAT32, float, plain, real, __VA_ARGS__)                                                    \
    X(FLOAT64, double, plain, real, __VA_ARGS__)
NOT_BOOL(OF_COMPLEX, )
COLD_DTYPES(OF_COMPLEX, )

static void
COMPLEX64_from_COMPLEX128(void *to, const void *from, int64_t n)
{
    float *o = to;
    const double *x = from;
    for (int64_t i = 0; i < 2 * n; i++)
        o[i] = (float)x[i];
}

static void
COMPLEX128_from_COMPLEX64(void *to, const void *from, int64_t n)
{
    double *o = to;
    const float *x = from;
    for (int64_t i = 0; i < 2 * n; i++)
        o[i] = x[i];
}
#endif

const mt_convert MT_K(mt_converters)[MT_NUM_DTYPES][MT_NUM_DTYPES] = {
    HOT_DTYPES(FROM_HOT, ENTRY)
#ifndef MT_HOT_ONLY
    HOT_DTYPES(FROM_COLD, ENTRY)
    COLD_DTYPES(FROM_HOT, ENTRY)
    COLD_DTYPES(FROM_COLD, ENTRY)
    HOT_DTYPES(COMPLEX_LOOPS, ENTRY)
    COLD_DTYPES(COMPLEX_LOOPS, ENTRY)
    NOT_BOOL(OF_COMPLEX_ENTRY, )
    COLD_DTYPES(OF_COMPLEX_ENTRY, )
    [MT_BOOL][MT_COMPLEX64] = BOOL_of_COMPLEX64,
    [MT_BOOL][MT_COMPLEX128] = BOOL_of_COMPLEX128,
    [MT_COMPLEX64][MT_COMPLEX128] = COMPLEX64_from_COMPLEX128,
    [MT_COMPLEX128][MT_COMPLEX64] = COMPLEX128_from_COMPLEX64,
#endif
};
