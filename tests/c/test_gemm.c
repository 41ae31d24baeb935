/* Tests of csrc/kernels/blas.c and gemm.c: values against plain loops, the same bits for every
 * number of threads, what is read and what is not. MINDTORCH_BLAS names the library. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "check.h"
#include "kernels/blas.h"
#include "kernels/gemm.h"

static uint64_t seed = 88172645463325252u;

static uint64_t
next_random(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static double
uniform(void)
{
    return (double)(next_random() >> 11) * 0x1p-52 - 1.0; /* [-1, 1) */
}

/* ---- elements of any dtype, as complex doubles and as integers ---- */

static mt_complex128
get(mt_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case MT_FLOAT16: return mt_half_to_float(((const mt_half *)data)[i]);
    case MT_BFLOAT16: return mt_bfloat16_to_float(((const mt_bfloat16 *)data)[i]);
    case MT_FLOAT32: return ((const float *)data)[i];
    case MT_FLOAT64: return ((const double *)data)[i];
    case MT_COMPLEX64: return ((const mt_complex64 *)data)[i];
    default: return ((const mt_complex128 *)data)[i];
    }
}

static uint64_t
get_int(mt_dtype dtype, const void *data, int64_t i)
{
    switch (mt_dtype_size(dtype)) {
    case 1: return ((const uint8_t *)data)[i];
    case 2: return ((const uint16_t *)data)[i];
    case 4: return ((const uint32_t *)data)[i];
    default: return ((const uint64_t *)data)[i];
    }
}

static void
set(mt_dtype dtype, void *data, int64_t i, mt_complex128 value)
{
    switch (dtype) {
    case MT_FLOAT16: ((mt_half *)data)[i] = mt_float_to_half((float)__real__ value); break;
    case MT_BFLOAT16: ((mt_bfloat16 *)data)[i] = mt_float_to_bfloat16((float)__real__ value); break;
    case MT_FLOAT32: ((float *)data)[i] = (float)__real__ value; break;
    case MT_FLOAT64: ((double *)data)[i] = __real__ value; break;
    case MT_COMPLEX64: ((mt_complex64 *)data)[i] = (mt_complex64)value; break;
    default: ((mt_complex128 *)data)[i] = value;
    }
}

static void
fill(mt_dtype dtype, void *data, int64_t count)
{
    if (dtype == MT_BOOL) {
        for (int64_t i = 0; i < count; i++)
            ((uint8_t *)data)[i] = next_random() % 8 == 0;
    } else if (mt_is_integral(dtype, false)) {
        for (size_t i = 0; i < (size_t)count * mt_dtype_size(dtype); i++)
            ((uint8_t *)data)[i] = (uint8_t)(next_random() >> 9);
    } else {
        for (int64_t i = 0; i < count; i++)
            set(dtype, data, i, __builtin_complex(uniform(), uniform()));
    }
}

static double
epsilon(mt_dtype dtype)
{
    switch (dtype) {
    case MT_FLOAT16: return 0x1p-11;
    case MT_BFLOAT16: return 0x1p-8;
    case MT_FLOAT32:
    case MT_COMPLEX64: return 0x1p-24;
    default: return 0x1p-53;
    }
}

/* ---- one product against plain loops ---- */

typedef struct problem {
    mt_dtype dtype;
    mt_trans ta, tb;
    int64_t batch, m, n, k;
    double alpha, beta; /* integers: whole numbers */
    int64_t pad;        /* added to each leading dimension */
} problem;

static bool
turned(mt_trans t)
{
    return t == MT_TRANS_T || t == MT_TRANS_C;
}

static mt_complex128
element(mt_dtype dtype, const void *data, mt_trans t, int64_t ld, int64_t offset, int64_t i,
        int64_t j)
{
    mt_complex128 value = get(dtype, data, offset + (turned(t) ? j * ld + i : i * ld + j));
    return t == MT_TRANS_C || t == MT_TRANS_J ? ~value : value;
}

static bool
values_hold(const problem *p, const void *a, int64_t lda, int64_t sa, const void *b, int64_t ldb,
            int64_t sb, const void *before, const void *after, int64_t ldc, int64_t sc)
{
    for (int64_t q = 0; q < p->batch; q++)
        for (int64_t i = 0; i < p->m; i++)
            for (int64_t j = 0; j < p->n; j++) {
                int64_t at = q * sc + i * ldc + j;
                if (mt_is_integral(p->dtype, true)) {
                    uint64_t sum = 0;
                    for (int64_t l = 0; l < p->k; l++) {
                        int64_t ia = q * sa + (turned(p->ta) ? l * lda + i : i * lda + l);
                        int64_t ib = q * sb + (turned(p->tb) ? j * ldb + l : l * ldb + j);
                        uint64_t x = get_int(p->dtype, a, ia), y = get_int(p->dtype, b, ib);
                        sum = p->dtype == MT_BOOL ? sum | (x & y) : sum + x * y;
                    }
                    uint64_t old = get_int(p->dtype, before, at);
                    uint64_t want = p->dtype == MT_BOOL
                                        ? (p->alpha != 0 ? sum : 0) | (p->beta != 0 ? old : 0)
                                        : (uint64_t)(int64_t)p->alpha * sum +
                                              (uint64_t)(int64_t)p->beta * old;
                    uint64_t mask = ~(uint64_t)0 >> (64 - 8 * mt_dtype_size(p->dtype));
                    if (get_int(p->dtype, after, at) != (want & mask))
                        return false;
                    continue;
                }
                mt_complex128 sum = 0;
                double size = 0;
                for (int64_t l = 0; l < p->k; l++) {
                    mt_complex128 x = element(p->dtype, a, p->ta, lda, q * sa, i, l);
                    mt_complex128 y = element(p->dtype, b, p->tb, ldb, q * sb, l, j);
                    sum += x * y;
                    size += (fabs(__real__ x) + fabs(__imag__ x)) *
                            (fabs(__real__ y) + fabs(__imag__ y));
                }
                mt_complex128 old = p->beta != 0 ? get(p->dtype, before, at) : 0;
                mt_complex128 want = p->alpha * sum + p->beta * old;
                mt_complex128 got = get(p->dtype, after, at);
                /* Error bound of any order of summation, and the half types' last rounding. */
                double eps = mt_is_half(p->dtype) ? 0x1p-24 : epsilon(p->dtype);
                double bound = ((double)p->k + 8) * eps *
                                   (fabs(p->alpha) * size +
                                    fabs(p->beta) * (fabs(__real__ old) + fabs(__imag__ old))) +
                               epsilon(p->dtype) * (fabs(__real__ want) + fabs(__imag__ want)) +
                               (p->dtype == MT_FLOAT16 ? 0x1p-25 : 0);
                if (!(fabs(__real__ got - __real__ want) <= bound &&
                      fabs(__imag__ got - __imag__ want) <= bound))
                    return false;
            }
    return true;
}

/* What lies between the rows of c must be left alone. */
static bool
gaps_hold(const problem *p, const char *before, const char *after, int64_t ldc, int64_t sc)
{
    size_t size = mt_dtype_size(p->dtype);
    for (int64_t q = 0; q < p->batch; q++)
        for (int64_t i = 0; i < p->m; i++) {
            size_t from = (size_t)(q * sc + i * ldc + p->n) * size;
            if (memcmp(before + from, after + from, (size_t)p->pad * size) != 0)
                return false;
        }
    return true;
}

/* malloc'ed to the byte, so that a sanitizer sees any step outside. */
static void *
block(int64_t elements, mt_dtype dtype)
{
    return malloc((size_t)elements * mt_dtype_size(dtype) + 1);
}

static void
try(const problem *p, bool values, int most_threads)
{
    int64_t lda = (turned(p->ta) ? p->m : p->k) + p->pad;
    int64_t ldb = (turned(p->tb) ? p->k : p->n) + p->pad;
    int64_t ldc = p->n + p->pad;
    int64_t sa = (turned(p->ta) ? p->k : p->m) * lda, sb = (turned(p->tb) ? p->n : p->k) * ldb;
    int64_t sc = p->m * ldc;
    size_t c_bytes = (size_t)(p->batch * sc) * mt_dtype_size(p->dtype);
    void *a = block(p->batch * sa, p->dtype), *b = block(p->batch * sb, p->dtype);
    void *before = block(p->batch * sc, p->dtype), *first = block(p->batch * sc, p->dtype);
    void *c = block(p->batch * sc, p->dtype);
    fill(p->dtype, a, p->batch * sa);
    fill(p->dtype, b, p->batch * sb);
    fill(p->dtype, before, p->batch * sc);
    for (int threads = 1; threads <= most_threads; threads++) {
        mt_set_num_threads(threads);
        memcpy(c, before, c_bytes);
        CHECK_INT(mt_gemm_batched(p->dtype, p->ta, p->tb, p->batch, p->m, p->n, p->k,
                                  MT_COEF(p->alpha), a, lda, sa, b, ldb, sb, MT_COEF(p->beta), c,
                                  ldc, sc),
                  0);
        if (threads == 1)
            memcpy(first, c, c_bytes);
        else if (!CHECK(memcmp(first, c, c_bytes) == 0))
            printf("  %d threads: %s %d%d %lldx%lldx%lld\n", threads, mt_dtypes[p->dtype].name,
                   p->ta, p->tb, (long long)p->m, (long long)p->n, (long long)p->k);
    }
    if (values && !CHECK(values_hold(p, a, lda, sa, b, ldb, sb, before, first, ldc, sc)))
        printf("  %s %d%d batch %lld %lldx%lldx%lld alpha %g beta %g\n", mt_dtypes[p->dtype].name,
               p->ta, p->tb, (long long)p->batch, (long long)p->m, (long long)p->n, (long long)p->k,
               p->alpha, p->beta);
    CHECK(gaps_hold(p, before, first, ldc, sc));
    if (p->batch == 1) { /* the single call is the batch of one */
        memcpy(c, before, c_bytes);
        CHECK_INT(mt_gemm(p->dtype, p->ta, p->tb, p->m, p->n, p->k, MT_COEF(p->alpha), a, lda, b,
                          ldb, MT_COEF(p->beta), c, ldc),
                  0);
        CHECK(memcmp(first, c, c_bytes) == 0);
    }
    free(a), free(b), free(before), free(first), free(c);
}

static const mt_dtype all_dtypes[] = {
    MT_BOOL,    MT_UINT8,    MT_INT8,    MT_INT16,   MT_INT32,     MT_INT64,
    MT_FLOAT16, MT_BFLOAT16, MT_FLOAT32, MT_FLOAT64, MT_COMPLEX64, MT_COMPLEX128,
};

static void
test_values(void)
{
    static const int64_t shapes[][3] = {{1, 1, 1},   {1, 1, 40},   {2, 3, 4},   {5, 1, 7},
                                        {1, 9, 6},   {4, 8, 8},    {7, 13, 1},  {16, 16, 16},
                                        {33, 20, 9}, {40, 70, 65}, {3, 3, 300}, {65, 5, 129}};
    for (size_t d = 0; d < MT_COUNT(all_dtypes); d++)
        for (size_t s = 0; s < MT_COUNT(shapes); s++)
            for (int t = 0; t < 16; t++) {
                problem p = {
                    .dtype = all_dtypes[d],
                    .ta = (mt_trans)(t / 4),
                    .tb = (mt_trans)(t % 4),
                    .batch = s % 3 == 0 ? 3 : 1,
                    .m = shapes[s][0],
                    .n = shapes[s][1],
                    .k = shapes[s][2],
                    .alpha = (double)(t % 3 + 1) * (t % 2 ? -1 : 1),
                    .beta = (double)((t + (int)s) % 3),
                    .pad = (t + (int)s) % 4,
                };
                if (!mt_is_complex(p.dtype) && (p.ta > MT_TRANS_T || p.tb > MT_TRANS_T) && s > 5)
                    continue;
                try(&p, true, 2);
            }
}

/* Shapes that are cut into several tiles, odd ones included. */
static void
test_threads(void)
{
    static const int64_t shapes[][3] = {{256, 256, 256}, {257, 255, 129}, {512, 300, 200},
                                        {31, 1000, 333}, {1000, 17, 700}, {1, 3001, 513},
                                        {3001, 1, 513},  {129, 400, 64},  {384, 384, 384}};
    for (size_t s = 0; s < MT_COUNT(shapes); s++)
        for (int t = 0; t < 4; t++)
            for (int d = 0; d < 5; d++) {
                static const mt_dtype dtypes[] = {MT_FLOAT32, MT_FLOAT64, MT_COMPLEX64, MT_BFLOAT16,
                                                  MT_INT32};
                problem p = {
                    .dtype = dtypes[d],
                    .ta = t & 1 ? MT_TRANS_T : MT_TRANS_N,
                    .tb = t & 2 ? MT_TRANS_T : MT_TRANS_N,
                    .batch = 1,
                    .m = shapes[s][0],
                    .n = shapes[s][1],
                    .k = shapes[s][2],
                    .alpha = 1,
                    .beta = t == 3,
                    .pad = t,
                };
                try(&p, d == 0 && t == 1 && s % 3 == 1, 4);
            }
    problem many = {.dtype = MT_FLOAT32, .batch = 500, .m = 9, .n = 11, .k = 10, .alpha = 1};
    try(&many, true, 4);
    many.dtype = MT_FLOAT16;
    try(&many, true, 4);
    problem few = {.dtype = MT_FLOAT64, .batch = 3, .m = 200, .n = 210, .k = 190, .alpha = 1};
    try(&few, false, 4);
}

static void
test_nan(void)
{
    enum { N = 40 };
    static const mt_dtype dtypes[] = {MT_FLOAT16, MT_BFLOAT16,  MT_FLOAT32,
                                      MT_FLOAT64, MT_COMPLEX64, MT_COMPLEX128};
    for (size_t d = 0; d < MT_COUNT(dtypes); d++)
        for (int64_t n = 1; n <= N; n += 13)
            for (int64_t m = 1; m <= N; m += 13) {
                mt_dtype t = dtypes[d];
                void *a = block(N * N, t), *b = block(N * N, t), *c = block(N * N, t);
                for (int i = 0; i < N * N; i++)
                    set(t, a, i, 1), set(t, b, i, 1), set(t, c, i, NAN);
                /* Not read: c with beta 0, a and b with alpha 0 or k 0. */
                CHECK_INT(mt_gemm(t, MT_TRANS_N, MT_TRANS_N, m, n, 8, MT_COEF(1), a, 8, b, n,
                                  MT_COEF(0), c, n),
                          0);
                bool eights = true, zeros = true, kept = true;
                for (int64_t i = 0; i < m * n; i++)
                    eights = eights && get(t, c, i) == 8;
                CHECK(eights);
                for (int i = 0; i < N * N; i++)
                    set(t, c, i, NAN), set(t, a, i, NAN);
                CHECK_INT(mt_gemm(t, MT_TRANS_N, MT_TRANS_N, m, n, 8, MT_COEF(0), a, 8, b, n,
                                  MT_COEF(0), c, n),
                          0);
                for (int64_t i = 0; i < m * n; i++)
                    zeros = zeros && get(t, c, i) == 0;
                CHECK(zeros);
                /* k = 0: beta * c, NaN kept. */
                set(t, c, 0, NAN);
                for (int64_t i = 1; i < m * n; i++)
                    set(t, c, i, 3);
                CHECK_INT(mt_gemm(t, MT_TRANS_N, MT_TRANS_T, m, n, 0, MT_COEF(1), NULL, 1, NULL, 1,
                                  MT_COEF(2), c, n),
                          0);
                kept = isnan(__real__ get(t, c, 0));
                for (int64_t i = 1; i < m * n; i++)
                    kept = kept && get(t, c, i) == 6;
                CHECK(kept);
                /* A NaN meets zeros: the row is NaN, others are not. */
                for (int i = 0; i < N * N; i++)
                    set(t, a, i, 0), set(t, b, i, 0);
                set(t, a, 3, NAN);
                CHECK_INT(mt_gemm(t, MT_TRANS_N, MT_TRANS_N, m, n, 8, MT_COEF(1), a, 8, b, n,
                                  MT_COEF(0), c, n),
                          0);
                bool spread = true;
                for (int64_t i = 0; i < m * n; i++)
                    spread = spread && (isnan(__real__ get(t, c, i)) != 0) == (i < n);
                CHECK(spread);
                free(a), free(b), free(c);
            }
}

static void
test_gemv(void)
{
    for (size_t d = 0; d < MT_COUNT(all_dtypes); d++)
        for (int trans = 0; trans < 4; trans++) {
            mt_dtype t = all_dtypes[d];
            enum { ROWS = 37, COLS = 21, INCX = 3, INCY = 2 };
            int64_t outs = turned((mt_trans)trans) ? COLS : ROWS, ins = ROWS + COLS - outs;
            void *a = block(ROWS * COLS, t), *x = block(ins * INCX, t), *y = block(outs * INCY, t);
            void *c = block(outs, t), *packed = block(ins, t);
            size_t size = mt_dtype_size(t);
            fill(t, a, ROWS * COLS), fill(t, x, ins * INCX), fill(t, y, outs * INCY);
            for (int64_t i = 0; i < ins; i++)
                memcpy((char *)packed + (size_t)i * size, (char *)x + (size_t)(i * INCX) * size,
                       size);
            for (int64_t i = 0; i < outs; i++)
                memcpy((char *)c + (size_t)i * size, (char *)y + (size_t)(i * INCY) * size, size);
            problem p = {t, (mt_trans)trans, MT_TRANS_N, 1, outs, 1, ins, 2, 1, 0};
            void *before = block(outs, t);
            memcpy(before, c, (size_t)outs * size);
            CHECK_INT(mt_gemv(t, (mt_trans)trans, ROWS, COLS, MT_COEF(2), a, COLS, x, INCX,
                              MT_COEF(1), y, INCY),
                      0);
            for (int64_t i = 0; i < outs; i++)
                memcpy((char *)c + (size_t)i * size, (char *)y + (size_t)(i * INCY) * size, size);
            CHECK(values_hold(&p, a, COLS, 0, packed, 1, 0, before, c, 1, 0));
            free(a), free(x), free(y), free(c), free(packed), free(before);
        }
}

static void
test_dot(void)
{
    static const int64_t lengths[] = {0, 1, 7, 1000, 200001};
    for (size_t d = 1; d < MT_COUNT(all_dtypes); d++)
        for (size_t s = 0; s < MT_COUNT(lengths); s++)
            for (int conj = 0; conj < 2; conj++) {
                mt_dtype t = all_dtypes[d];
                int64_t n = lengths[s];
                void *x = block(n * 2 + 1, t), *y = block(n + 1, t);
                fill(t, x, n * 2), fill(t, y, n);
                union {
                    char bytes[16];
                    double align;
                } first, out;
                memset(&first, 0, sizeof first), memset(&out, 0, sizeof out);
                for (int threads = 1; threads <= 3; threads++) {
                    mt_set_num_threads(threads);
                    CHECK_INT(mt_dot(t, conj, n, x, 2, y, 1, &out), 0);
                    if (threads == 1)
                        first = out;
                    CHECK(memcmp(&first, &out, 16) == 0);
                }
                if (mt_is_integral(t, false)) {
                    uint64_t sum = 0;
                    for (int64_t i = 0; i < n; i++)
                        sum += get_int(t, x, 2 * i) * get_int(t, y, i);
                    CHECK(get_int(t, &out, 0) ==
                          (sum & ~(uint64_t)0 >> (64 - 8 * mt_dtype_size(t))));
                } else {
                    mt_complex128 sum = 0;
                    double size = 0;
                    for (int64_t i = 0; i < n; i++) {
                        mt_complex128 u = get(t, x, 2 * i), v = get(t, y, i);
                        sum += (conj ? ~u : u) * v;
                        size += 2 * fabs(__real__ u * __real__ v) +
                                2 * fabs(__imag__ u * __imag__ v);
                    }
                    double eps = mt_is_half(t) ? 0x1p-24 : epsilon(t);
                    double bound = 1e3 * eps * (size + 1) + epsilon(t) * fabs(__real__ sum) * 2;
                    CHECK(fabs(__real__ get(t, &out, 0) - __real__ sum) <= bound);
                    CHECK(fabs(__imag__ get(t, &out, 0) - __imag__ sum) <= bound);
                }
                free(x), free(y);
            }
    char out[16];
    CHECK_INT(mt_dot(MT_BOOL, false, 1, out, 1, out, 1, out), -1);
    CHECK_INT(mt_error(NULL), MT_NOT_IMPLEMENTED);
    mt_error_clear();
}

/* A half product rounds once: 2048 + 1 + 1 is lost when rounded at each step. */
static void
test_half_rounds_once(void)
{
    enum { K = 3000 };
    mt_half *a = malloc(K * sizeof *a), *b = malloc(K * sizeof *b), c;
    for (int i = 0; i < K; i++)
        a[i] = mt_float_to_half(1), b[i] = mt_float_to_half(1);
    CHECK_INT(mt_gemm(MT_FLOAT16, MT_TRANS_N, MT_TRANS_N, 1, 1, K, MT_COEF(1), a, K, b, 1,
                      MT_COEF(0), &c, 1),
              0);
    CHECK(mt_half_to_float(c) == K);
    free(a), free(b);
}

static void
test_refused(void)
{
    uint16_t x = 1;
    CHECK_INT(mt_gemm(MT_UINT16, MT_TRANS_N, MT_TRANS_N, 1, 1, 1, MT_COEF(1), &x, 1, &x, 1,
                      MT_COEF(0), &x, 1),
              -1);
    const char *message;
    CHECK_INT(mt_error(&message), MT_NOT_IMPLEMENTED);
    CHECK_STR(message, "matrix product of uint16");
    mt_error_clear();
    /* Nothing to do is done without a look at the arguments. */
    CHECK_INT(mt_gemm(MT_FLOAT32, MT_TRANS_N, MT_TRANS_N, 0, 5, 5, MT_COEF(1), NULL, 5, NULL, 5,
                      MT_COEF(0), NULL, 5),
              0);
}

static void
test_memory_runs_out(void)
{
    enum { N = 50 };
    mt_half *a = calloc(N * N, sizeof *a), *c = calloc(N * N, sizeof *c);
    mt_alloc_fail_nth(1);
    CHECK_INT(mt_gemm(MT_FLOAT16, MT_TRANS_N, MT_TRANS_N, N, N, N, MT_COEF(1), a, N, a, N,
                      MT_COEF(0), c, N),
              -1);
    CHECK_INT(mt_error(NULL), MT_MEMORY);
    mt_error_clear();
    mt_alloc_fail_nth(0);
    free(a), free(c);
}

static void
test_without_library(void)
{
    float a[64 * 64] = {0};
    CHECK_INT(mt_gemm(MT_FLOAT32, MT_TRANS_N, MT_TRANS_N, 64, 64, 64, MT_COEF(1), a, 64, a, 64,
                      MT_COEF(0), a, 64),
              -1);
    const char *message;
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK_STR(message, "no BLAS library: install the package 'scipy-openblas32'");
    mt_blas_set_library("/nonexistent/library.so");
    CHECK(mt_blas_config() == NULL);
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK(strncmp(message, "cannot open the BLAS library: ", 30) == 0);
    mt_error_clear();
}

static void
test_library(void)
{
    setenv("OPENBLAS_NUM_THREADS", "7", 1);
    const mt_blas *blas = mt_blas_open();
    CHECK(blas != NULL && blas == mt_blas_open());
    CHECK_STR(getenv("OPENBLAS_NUM_THREADS"), "7");
    CHECK(strncmp(mt_blas_config(), "OpenBLAS ", 9) == 0);
    int (*get_num_threads)(void);
    void *symbol = mt_blas_symbol("openblas_get_num_threads");
    CHECK(symbol != NULL);
    memcpy(&get_num_threads, &symbol, sizeof symbol);
    CHECK_INT(get_num_threads(), 1);
    CHECK(mt_blas_symbol("dgesv_") != NULL && mt_blas_symbol("LAPACKE_dgesv") != NULL);
    CHECK(mt_blas_symbol("no_such_function") == NULL);
    const char *message;
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK_STR(message, "the BLAS library has no function no_such_function");
    mt_error_clear();
}

int
main(void)
{
    const char *path = getenv("MINDTORCH_BLAS");
    if (path == NULL || *path == 0) {
        printf("MINDTORCH_BLAS does not name a library\n");
        return 1;
    }
    test_without_library();
    mt_blas_set_library(path);
    test_library();
    test_values();
    test_threads();
    test_nan();
    test_gemv();
    test_dot();
    test_half_rounds_once();
    test_refused();
    test_memory_runs_out();
    mt_pool_stop();
    return check_done();
}
