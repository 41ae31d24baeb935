/* Row kernels, one set per instruction set. The element type is the template's; lanes are arrays
 * that the compiler keeps in vectors. */
#include "kernels/isa.h"
#include "kernels/reduce.h"
#include "kernels/scalar.h"
#include "kernels/scalar_exp.h"
#include "kernels/scalar_log.h"

#define LANES 32
#define BLOCK 1024
#define COLUMN_RUN 64

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define F(name) JOIN(name, NAME)

/* Integers add and multiply modulo 2^64. */
#define NAME i64
#define T int64_t
#define SUM_T uint64_t
#define ADD(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define MUL(a, b) ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
#define IS_NAN(a) 0
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#include "kernels/reduce.tmpl.h"

#define NAME f32
#define T float
#define SUM_T float
#define BITS_T int32_t
#define REAL
#define ADD(a, b) ((a) + (b))
#define MUL(a, b) ((a) * (b))
#define IS_NAN(a) ((a) != (a))
#define LOWEST (-__builtin_inff())
#define HIGHEST __builtin_inff()
#define EXP mt_exp_f32
#define LOG logf
#define LOG1P log1pf
#define POW powf
#define SQRT sqrtf
#define ABS fabsf
#include "kernels/reduce.tmpl.h"

#define NAME f64
#define T double
#define SUM_T double
#define BITS_T int64_t
#define REAL
#define ADD(a, b) ((a) + (b))
#define MUL(a, b) ((a) * (b))
#define IS_NAN(a) ((a) != (a))
#define LOWEST (-__builtin_inf())
#define HIGHEST __builtin_inf()
#define EXP mt_exp_f64
#define LOG log
#define LOG1P log1p
#define POW pow
#define SQRT sqrt
#define ABS fabs
#include "kernels/reduce.tmpl.h"

/* Complex numbers: sums are those of the interleaved parts. */
#define COMPLEX_ROWS(name, C, R, real)                                                             \
    static void sum_##name(const void *x, int64_t n, void *out, double param)                      \
    {                                                                                              \
        (void)param;                                                                               \
        add_up_##real(x, 2 * n, out, 2);                                                           \
    }                                                                                              \
    static void prod_##name(const void *x, int64_t n, void *out, double param)                     \
    {                                                                                              \
        (void)param;                                                                               \
        const C *p = x;                                                                            \
        C all = 1;                                                                                 \
        for (int64_t i = 0; i < n; i++)                                                            \
            all *= p[i];                                                                           \
        *(C *)out = all;                                                                           \
    }                                                                                              \
    static void moments_##name(const void *x, int64_t n, void *out, double param)                  \
    {                                                                                              \
        (void)param;                                                                               \
        const R *p = x;                                                                            \
        double re = 0, im = 0, square = 0, *o = out;                                               \
        for (int64_t i = 0; i < n; i++) {                                                          \
            re += (double)p[2 * i];                                                                \
            im += (double)p[2 * i + 1];                                                            \
        }                                                                                          \
        re /= (double)n;                                                                           \
        im /= (double)n;                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double a = (double)p[2 * i] - re, b = (double)p[2 * i + 1] - im;                       \
            square += a * a + b * b;                                                               \
        }                                                                                          \
        o[0] = re;                                                                                 \
        o[1] = im;                                                                                 \
        o[2] = square;                                                                             \
    }                                                                                              \
    static void cumsum_##name(const void *x, int64_t n, void *out, double param)                   \
    {                                                                                              \
        (void)param;                                                                               \
        const C *p = x;                                                                            \
        C *o = out;                                                                                \
        double _Complex all = 0;                                                                   \
        for (int64_t i = 0; i < n; i++)                                                            \
            o[i] = (C)(all += p[i]);                                                               \
    }                                                                                              \
    static void cumprod_##name(const void *x, int64_t n, void *out, double param)                  \
    {                                                                                              \
        (void)param;                                                                               \
        const C *p = x;                                                                            \
        C *o = out;                                                                                \
        double _Complex all = 1;                                                                   \
        for (int64_t i = 0; i < n; i++)                                                            \
            o[i] = (C)(all *= p[i]);                                                               \
    }
COMPLEX_ROWS(c64, mt_complex64, float, f32)
COMPLEX_ROWS(c128, mt_complex128, double, f64)

mt_row_kernel MT_K(mt_row_pick)(mt_row_op op, mt_dtype dtype);
mt_row_gradient MT_K(mt_row_gradient_pick)(bool logarithm, mt_dtype dtype);
mt_column_sum MT_K(mt_column_sum_pick)(mt_dtype dtype);

#define ALL_ROWS(name)                                                                             \
    [MT_ROW_SUM] = sum_##name, [MT_ROW_PROD] = prod_##name, [MT_ROW_CUMSUM] = cumsum_##name,       \
    [MT_ROW_CUMPROD] = cumprod_##name
#define ORDERED_ROWS(name)                                                                         \
    [MT_ROW_MAX] = max_##name, [MT_ROW_MIN] = min_##name, [MT_ROW_ARGMAX] = argmax_##name,         \
    [MT_ROW_ARGMIN] = argmin_##name, [MT_ROW_CUMMAX] = cummax_##name,                              \
    [MT_ROW_CUMMIN] = cummin_##name
#define REAL_ROWS(name)                                                                            \
    [MT_ROW_NANSUM] = nansum_##name, [MT_ROW_MOMENTS] = moments_##name,                            \
    [MT_ROW_NORM] = norm_##name, [MT_ROW_LOGSUMEXP] = logsumexp_##name,                            \
    [MT_ROW_LOGCUMSUMEXP] = logcumsumexp_##name, [MT_ROW_SOFTMAX] = softmax_##name,                \
    [MT_ROW_LOG_SOFTMAX] = log_softmax_##name

mt_row_kernel
MT_K(mt_row_pick)(mt_row_op op, mt_dtype dtype)
{
    static const mt_row_kernel rows[][MT_NUM_ROW_OPS] = {
        {ALL_ROWS(i64), ORDERED_ROWS(i64)},
        {ALL_ROWS(f32), ORDERED_ROWS(f32), REAL_ROWS(f32)},
        {ALL_ROWS(f64), ORDERED_ROWS(f64), REAL_ROWS(f64)},
        {ALL_ROWS(c64), [MT_ROW_MOMENTS] = moments_c64},
        {ALL_ROWS(c128), [MT_ROW_MOMENTS] = moments_c128},
    };
    switch ((int)dtype) {
    case MT_INT64: return rows[0][op];
    case MT_FLOAT32: return rows[1][op];
    case MT_FLOAT64: return rows[2][op];
    case MT_COMPLEX64: return rows[3][op];
    case MT_COMPLEX128: return rows[4][op];
    default: return NULL;
    }
}

mt_row_gradient
MT_K(mt_row_gradient_pick)(bool logarithm, mt_dtype dtype)
{
    if (dtype == MT_FLOAT32)
        return logarithm ? log_softmax_slope_f32 : softmax_slope_f32;
    return dtype != MT_FLOAT64 ? NULL : logarithm ? log_softmax_slope_f64 : softmax_slope_f64;
}

mt_column_sum
MT_K(mt_column_sum_pick)(mt_dtype dtype)
{
    return dtype == MT_FLOAT32   ? columns_f32
           : dtype == MT_FLOAT64 ? columns_f64
           : dtype == MT_INT64   ? columns_i64
                                 : NULL;
}
