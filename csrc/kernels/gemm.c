/* Cuts a product into a grid of tiles and computes each by one call.
 *
 * Invariant: the grid is a function of the shape (and of how costly a multiplication is), never of
 * the number of threads, and k is never shared out. A tile is one call on one thread, so its bits,
 * and those of the whole, do not depend on who computes it. */
#include "kernels/gemm.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/blas.h"
#include "kernels/gemm_k.h"
#include "kernels/scratch.h"

/* Multiplications in the smallest tile worth a thread's attention, about 20 us of work. */
#define TILE_WORK ((int64_t)1 << 21)
#define VECTOR_TILE_WORK ((int64_t)1 << 17) /* of a matrix-vector product */
#define TILE_SIDE 96                        /* shorter sides cost too much packing */
#define MOST_TILES 64
#define LONGEST_SIDE ((int64_t)1 << 30) /* the library counts in 32 bits */
#define HALF_SIDE 256                   /* tiles of half products live in scratch memory */
#define HALF_DEPTH 1024
#define DOT_CHUNK 65536
#define DOT_CHUNKS 256

static const mt_gemm_kernels *
kernels(void)
{
    static const mt_gemm_kernels *const table[] = MT_ISA_TABLE(&mt_gemm_kernels);
    return table[mt_cpu_isa()];
}

typedef struct grid {
    int64_t rows, cols;   /* of a tile */
    int64_t down, across; /* tiles */
} grid;

/* Up to ceil(length / parts), as a multiple of 16 where that is not the whole. */
static int64_t
part_of(int64_t length, int64_t parts)
{
    int64_t part = (length + parts - 1) / parts;
    return parts == 1 ? part : MT_MIN(length, (part + 15) / 16 * 16);
}

static int64_t
saturating_product(int64_t a, int64_t b)
{
    int64_t out;
    return mt_mul_overflows(a, b, &out) ? INT64_MAX : out;
}

/* A finer grid feeds more threads but packs the operands more often (each tile of 128 x 128 costs
 * some 15 % more than its share of the whole): products of 256^3, 512^3, 1024^3 and 2048^3 get 4,
 * 8, 16 and 32 tiles. A matrix-vector product packs nothing. */
static int64_t
wanted_tiles(int64_t work, bool vector)
{
    if (vector)
        return MT_MAX(1, MT_MIN(MOST_TILES, work / VECTOR_TILE_WORK));
    int64_t tiles = 1;
    for (int64_t at = TILE_WORK; work >= at && tiles < MOST_TILES; at *= 8)
        tiles *= 2;
    return tiles;
}

/* `cost`: multiplications of one element. `side` is the longest side allowed. */
static grid
cut(int64_t m, int64_t n, int64_t k, int64_t cost, int64_t side)
{
    int64_t work = saturating_product(saturating_product(m, n), saturating_product(k, cost));
    if (work < VECTOR_TILE_WORK && m <= side && n <= side)
        return (grid){m, n, 1, 1};
    int64_t wanted = wanted_tiles(work, m == 1 || n == 1);
    int64_t down = (m + side - 1) / side, across = (n + side - 1) / side;
    for (;;) {
        if (down * across * 2 > wanted)
            break;
        int64_t next_rows = part_of(m, down * 2), next_cols = part_of(n, across * 2);
        if (next_rows >= TILE_SIDE && next_rows >= next_cols)
            down *= 2;
        else if (next_cols >= TILE_SIDE)
            across *= 2;
        else
            break;
    }
    grid g = {.rows = part_of(m, down), .cols = part_of(n, across)};
    g.down = (m + g.rows - 1) / g.rows;
    g.across = (n + g.cols - 1) / g.cols;
    return g;
}

typedef struct product product;
struct product {
    void (*run)(const product *p, const char *a, const char *b, char *c, int64_t rows,
                int64_t cols);
    const mt_blas *blas;
    const mt_gemm_kernels *own;
    mt_gemm_tile_fn own_tile;
    mt_dtype dtype;
    mt_trans trans_a, trans_b;
    int64_t m, n, k;
    mt_coef alpha, beta;
    const char *a, *b;
    char *c;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c;
    int64_t size; /* bytes of an element */
    grid g;
    mt_scratch *scratch;
};

MT_INLINE bool
swaps(mt_trans trans)
{
    return trans == MT_TRANS_T || trans == MT_TRANS_C;
}

static const int cblas_trans[] = {MT_CBLAS_NO_TRANS, MT_CBLAS_TRANS, MT_CBLAS_CONJ_TRANS,
                                  MT_CBLAS_CONJ_NO_TRANS};

/* ---- one tile ---- */

/* A matrix-vector product, where the product is one and the library has it (it conjugates the
 * matrix only). The stored matrix is rows x cols. */
static bool
tile_as_vector(const mt_blas *blas, mt_dtype dtype, mt_trans ta, mt_trans tb, int64_t m, int64_t n,
               int64_t k, const mt_coef *alpha, const void *a, int64_t lda, const void *b,
               int64_t ldb, const mt_coef *beta, void *c, int64_t ldc)
{
    const void *matrix, *x;
    mt_trans trans, trans_x;
    int64_t rows, cols, ld, incx, incy;
    if (n == 1) {
        matrix = a, ld = lda, trans = ta, x = b, trans_x = tb;
        rows = swaps(ta) ? k : m, cols = swaps(ta) ? m : k;
        incx = swaps(tb) ? 1 : ldb, incy = ldc;
    } else if (m == 1) { /* transposed: c' = b' a' */
        static const mt_trans turned[] = {MT_TRANS_T, MT_TRANS_N, MT_TRANS_J, MT_TRANS_C};
        matrix = b, ld = ldb, trans = turned[tb], x = a, trans_x = ta;
        rows = swaps(tb) ? n : k, cols = swaps(tb) ? k : n;
        incx = swaps(ta) ? lda : 1, incy = 1;
    } else {
        return false;
    }
    if (incx > INT_MAX || incy > INT_MAX ||
        (mt_is_complex(dtype) && (trans_x == MT_TRANS_C || trans_x == MT_TRANS_J)))
        return false;
    int t = cblas_trans[trans], r = (int)rows, q = (int)cols, l = (int)MT_MAX(ld, cols);
    int ix = (int)incx, iy = (int)incy;
    switch (dtype) {
    case MT_FLOAT32:
        blas->sgemv(MT_CBLAS_ROW_MAJOR, t, r, q, (float)alpha->re, matrix, l, x, ix,
                    (float)beta->re, c, iy);
        return true;
    case MT_FLOAT64:
        blas->dgemv(MT_CBLAS_ROW_MAJOR, t, r, q, alpha->re, matrix, l, x, ix, beta->re, c, iy);
        return true;
    case MT_COMPLEX64: {
        float al[2] = {(float)alpha->re, (float)alpha->im};
        float be[2] = {(float)beta->re, (float)beta->im};
        blas->cgemv(MT_CBLAS_ROW_MAJOR, t, r, q, al, matrix, l, x, ix, be, c, iy);
        return true;
    }
    default: {
        double al[2] = {alpha->re, alpha->im}, be[2] = {beta->re, beta->im};
        blas->zgemv(MT_CBLAS_ROW_MAJOR, t, r, q, al, matrix, l, x, ix, be, c, iy);
        return true;
    }
    }
}

static void
tile_in_library(const mt_blas *blas, mt_dtype dtype, mt_trans ta, mt_trans tb, int64_t m, int64_t n,
                int64_t k, const mt_coef *alpha, const void *a, int64_t lda, const void *b,
                int64_t ldb, const mt_coef *beta, void *c, int64_t ldc)
{
    if ((m == 1 || n == 1) &&
        tile_as_vector(blas, dtype, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
        return;
    /* Tiles of one row of many: the library still checks the leading dimension. */
    int x = cblas_trans[ta], y = cblas_trans[tb], mm = (int)m, nn = (int)n, kk = (int)k;
    int la = (int)MT_MAX(lda, swaps(ta) ? m : k), lb = (int)MT_MAX(ldb, swaps(tb) ? k : n);
    int lc = (int)MT_MAX(ldc, n);
    switch (dtype) {
    case MT_FLOAT32:
        blas->sgemm(MT_CBLAS_ROW_MAJOR, x, y, mm, nn, kk, (float)alpha->re, a, la, b, lb,
                    (float)beta->re, c, lc);
        return;
    case MT_FLOAT64:
        blas->dgemm(MT_CBLAS_ROW_MAJOR, x, y, mm, nn, kk, alpha->re, a, la, b, lb, beta->re, c, lc);
        return;
    case MT_COMPLEX64: {
        float al[2] = {(float)alpha->re, (float)alpha->im};
        float be[2] = {(float)beta->re, (float)beta->im};
        blas->cgemm(MT_CBLAS_ROW_MAJOR, x, y, mm, nn, kk, al, a, la, b, lb, be, c, lc);
        return;
    }
    default: {
        double al[2] = {alpha->re, alpha->im}, be[2] = {beta->re, beta->im};
        blas->zgemm(MT_CBLAS_ROW_MAJOR, x, y, mm, nn, kk, al, a, la, b, lb, be, c, lc);
        return;
    }
    }
}

static void
run_blas(const product *p, const char *a, const char *b, char *c, int64_t rows, int64_t cols)
{
    mt_coef beta = p->beta;
    for (int64_t at = 0; at < p->k; at += LONGEST_SIDE) {
        int64_t depth = MT_MIN(p->k - at, LONGEST_SIDE);
        tile_in_library(p->blas, p->dtype, p->trans_a, p->trans_b, rows, cols, depth, &p->alpha,
                        a + at * (swaps(p->trans_a) ? p->lda : 1) * p->size, p->lda,
                        b + at * (swaps(p->trans_b) ? 1 : p->ldb) * p->size, p->ldb, &beta, c,
                        p->ldc);
        beta = MT_COEF(1);
    }
}

/* Where our loop beats the library, which has kernels of its own for small products on processors
 * with AVX-512. A transposed b is packed element by element. */
static bool
tiny(mt_dtype dtype, mt_trans trans_b, int64_t m, int64_t n, int64_t k)
{
    if ((dtype != MT_FLOAT32 && dtype != MT_FLOAT64) || m > 1024 || n > 32 || k > 1024)
        return false;
    int64_t work = m * n * k;
    if (mt_cpu_isa() == MT_ISA_AVX512)
        return work <= 64;
    return swaps(trans_b) ? work <= 1024 && n * k <= 256 : work <= 16384;
}

static void
run_own(const product *p, const char *a, const char *b, char *c, int64_t rows, int64_t cols)
{
    mt_gemm_tile tile = {
        .m = rows,
        .n = cols,
        .k = p->k,
        .a = a,
        .b = b,
        .a_row = swaps(p->trans_a) ? 1 : p->lda,
        .a_col = swaps(p->trans_a) ? p->lda : 1,
        .b_row = swaps(p->trans_b) ? 1 : p->ldb,
        .b_col = swaps(p->trans_b) ? p->ldb : 1,
        .c = c,
        .ldc = p->ldc,
        .alpha = p->alpha,
        .beta = p->beta,
    };
    p->own_tile(&tile);
}

static void
widen(const product *p, float *dst, const char *src, int64_t ld, int64_t rows, int64_t cols)
{
    if (p->dtype == MT_FLOAT16)
        p->own->widen_f16(dst, (const mt_half *)src, ld, rows, cols);
    else
        p->own->widen_bf16(dst, (const mt_bfloat16 *)src, ld, rows, cols);
}

/* Both operands a slice of k at a time; the sum stays in float32 until its one rounding. */
static void
run_half(const product *p, const char *a, const char *b, char *c, int64_t rows, int64_t cols)
{
    int64_t depth = MT_MIN(p->k, HALF_DEPTH);
    float *left = mt_scratch_take(p->scratch);
    float *right = left + p->g.rows * depth, *sum = right + p->g.cols * depth;
    mt_coef beta = MT_COEF(0);
    for (int64_t at = 0; at < p->k; at += depth) {
        int64_t step = MT_MIN(depth, p->k - at), lda = step, ldb = cols;
        if (swaps(p->trans_a)) {
            lda = rows;
            widen(p, left, a + at * p->lda * p->size, p->lda, step, rows);
        } else {
            widen(p, left, a + at * p->size, p->lda, rows, step);
        }
        if (swaps(p->trans_b)) {
            ldb = step;
            widen(p, right, b + at * p->size, p->ldb, cols, step);
        } else {
            widen(p, right, b + at * p->ldb * p->size, p->ldb, step, cols);
        }
        tile_in_library(p->blas, MT_FLOAT32, p->trans_a, p->trans_b, rows, cols, step, &p->alpha,
                        left, lda, right, ldb, &beta, sum, cols);
        beta = MT_COEF(1);
    }
    if (p->dtype == MT_FLOAT16)
        p->own->narrow_f16((mt_half *)c, p->ldc, sum, (float)p->beta.re, rows, cols);
    else
        p->own->narrow_bf16((mt_bfloat16 *)c, p->ldc, sum, (float)p->beta.re, rows, cols);
    mt_scratch_give(p->scratch, left);
}

static void
run_tiles(void *ctx, int64_t begin, int64_t end)
{
    const product *p = ctx;
    const grid *g = &p->g;
    int64_t tiles = g->down * g->across;
    for (int64_t at = begin; at < end; at++) {
        int64_t batch = at, i = 0, j = 0;
        if (tiles > 1) {
            batch = at / tiles;
            i = at % tiles % g->down * g->rows;
            j = at % tiles / g->down * g->cols;
        }
        p->run(p, p->a + (batch * p->stride_a + i * (swaps(p->trans_a) ? 1 : p->lda)) * p->size,
               p->b + (batch * p->stride_b + j * (swaps(p->trans_b) ? p->ldb : 1)) * p->size,
               p->c + (batch * p->stride_c + i * p->ldc + j) * p->size, MT_MIN(g->rows, p->m - i),
               MT_MIN(g->cols, p->n - j));
    }
}

/* ---- c = beta * c ---- */

static void
scale_body(void *ctx, int64_t begin, int64_t end)
{
    const product *p = ctx;
    for (int64_t at = begin; at < end; at++) {
        char *row = p->c + (at / p->m * p->stride_c + at % p->m * p->ldc) * p->size;
        double re = p->beta.re, im = p->beta.im;
        if (p->beta.re == 0 && p->beta.im == 0 && p->beta.integer == 0) {
            memset(row, 0, (size_t)(p->n * p->size));
            continue;
        }
#define SCALE(ENUM, T, expression)                                                                 \
    case MT_##ENUM:                                                                                \
        for (int64_t j = 0; j < p->n; j++) {                                                       \
            T value = ((T *)row)[j];                                                               \
            ((T *)row)[j] = (expression);                                                          \
        }                                                                                          \
        break;
        switch (p->dtype) {
            SCALE(FLOAT32, float, value *(float)re)
            SCALE(FLOAT64, double, value *re)
            SCALE(FLOAT16, mt_half, mt_float_to_half(mt_half_to_float(value) * (float)re))
            SCALE(BFLOAT16, mt_bfloat16,
                  mt_float_to_bfloat16(mt_bfloat16_to_float(value) * (float)re))
            SCALE(COMPLEX64, mt_complex64,
                  value * ((float)re + (float)im * (mt_complex64)__builtin_complex(0.0f, 1.0f)))
            SCALE(COMPLEX128, mt_complex128, value * __builtin_complex(re, im))
            SCALE(UINT8, uint8_t, (uint8_t)(value * (uint64_t)p->beta.integer))
            SCALE(INT8, uint8_t, (uint8_t)(value * (uint64_t)p->beta.integer))
            SCALE(INT16, uint16_t, (uint16_t)(value * (uint64_t)p->beta.integer))
            SCALE(INT32, uint32_t, (uint32_t)(value * (uint64_t)p->beta.integer))
            SCALE(INT64, uint64_t, value * (uint64_t)p->beta.integer)
        default: /* bool keeps what it has */ break;
        }
#undef SCALE
    }
}

/* ---- the whole ---- */

static bool
is_blas(mt_dtype dtype)
{
    return dtype == MT_FLOAT32 || dtype == MT_FLOAT64 || mt_is_complex(dtype);
}

static mt_gemm_tile_fn
integer_tile(const mt_gemm_kernels *own, mt_dtype dtype)
{
    switch (dtype) {
    case MT_BOOL: return own->boolean;
    case MT_UINT8:
    case MT_INT8: return own->int8;
    case MT_INT16: return own->int16;
    case MT_INT32: return own->int32;
    case MT_INT64: return own->int64;
    default: return NULL;
    }
}

/* The library takes leading dimensions and increments of 31 bits. */
static int
check_leading(const product *p)
{
    int64_t longest = MT_MAX(p->lda, MT_MAX(p->ldb, p->ldc));
    if (longest > INT_MAX)
        return mt_fail(MT_RUNTIME,
                       "a matrix product of %s needs rows of fewer than 2147483648 elements, but "
                       "got %lld",
                       mt_dtypes[p->dtype].name, (long long)longest);
    return 0;
}

static int
multiply(product *p, int64_t batch)
{
    if (batch <= 0 || p->m <= 0 || p->n <= 0)
        return 0;
    p->size = (int64_t)mt_dtype_size(p->dtype);
    /* The leading dimension of a single row says nothing, but the library checks it. */
    if ((swaps(p->trans_a) ? p->k : p->m) == 1)
        p->lda = MT_MIN(LONGEST_SIDE, MT_MAX(1, swaps(p->trans_a) ? p->m : p->k));
    if ((swaps(p->trans_b) ? p->n : p->k) == 1)
        p->ldb = MT_MIN(LONGEST_SIDE, MT_MAX(1, swaps(p->trans_b) ? p->k : p->n));
    if (p->m == 1)
        p->ldc = MT_MIN(LONGEST_SIDE, p->n);
    bool integral = mt_is_integral(p->dtype, true);
    if (p->k <= 0 || (integral ? p->alpha.integer == 0 : p->alpha.re == 0 && p->alpha.im == 0)) {
        mt_parallel_for(batch * p->m, MT_MAX(1, MT_GRAIN / p->n), scale_body, p);
        return 0;
    }
    p->own = kernels();
    int64_t cost = 1, side = LONGEST_SIDE;
    mt_scratch scratch = {0};
    p->scratch = &scratch;
    if (integral) {
        p->run = run_own;
        p->own_tile = integer_tile(p->own, p->dtype);
        cost = p->dtype == MT_INT64 ? 8 : 2;
        if (p->own_tile == NULL)
            return mt_fail(MT_NOT_IMPLEMENTED, "matrix product of %s", mt_dtypes[p->dtype].name);
    } else if (tiny(p->dtype, p->trans_b, p->m, p->n, p->k)) {
        p->run = run_own;
        p->own_tile = p->dtype == MT_FLOAT32 ? p->own->tiny_f32 : p->own->tiny_f64;
    } else {
        p->run = is_blas(p->dtype) ? run_blas : run_half;
        p->blas = mt_blas_open();
        if (p->blas == NULL || (p->run == run_blas && check_leading(p) < 0))
            return -1;
        cost = p->dtype == MT_COMPLEX128 ? 8 : p->dtype == MT_COMPLEX64 ? 4 : p->size == 8 ? 2 : 1;
        if (p->run == run_half)
            side = HALF_SIDE;
    }
    p->g = cut(p->m, p->n, p->k, cost, side);
    int64_t tiles = p->g.down * p->g.across;
    if (p->run == run_half) {
        int64_t floats = (p->g.rows + p->g.cols) * MT_MIN(p->k, HALF_DEPTH) + p->g.rows * p->g.cols;
        if (mt_scratch_open(&scratch, (size_t)floats * sizeof(float), tiles * batch) < 0)
            return -1;
    }
    if (tiles * batch == 1) {
        p->run(p, p->a, p->b, p->c, p->m, p->n);
        mt_scratch_close(&scratch);
        return 0;
    }
    int64_t work = saturating_product(saturating_product(p->g.rows, p->g.cols),
                                      saturating_product(p->k, cost));
    int64_t enough = p->m == 1 || p->n == 1 ? VECTOR_TILE_WORK : TILE_WORK;
    mt_parallel_for(tiles * batch, MT_MAX(1, enough / 4 / MT_MAX(1, work)), run_tiles, p);
    mt_scratch_close(&scratch);
    return 0;
}

int
mt_gemm(mt_dtype dtype, mt_trans trans_a, mt_trans trans_b, int64_t m, int64_t n, int64_t k,
        mt_coef alpha, const void *a, int64_t lda, const void *b, int64_t ldb, mt_coef beta,
        void *c, int64_t ldc)
{
    /* The shortest way for what costs less than the way. */
    if (m > 0 && n > 0 && k > 0 && alpha.re != 0 && tiny(dtype, trans_b, m, n, k)) {
        bool turn_a = swaps(trans_a), turn_b = swaps(trans_b);
        mt_gemm_tile tile = {
            .m = m,
            .n = n,
            .k = k,
            .a = a,
            .b = b,
            .a_row = turn_a ? 1 : lda,
            .a_col = turn_a ? lda : 1,
            .b_row = turn_b ? 1 : ldb,
            .b_col = turn_b ? ldb : 1,
            .c = c,
            .ldc = ldc,
            .alpha = alpha,
            .beta = beta,
        };
        (dtype == MT_FLOAT32 ? kernels()->tiny_f32 : kernels()->tiny_f64)(&tile);
        return 0;
    }
    return mt_gemm_batched(dtype, trans_a, trans_b, 1, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta,
                           c, ldc, 0);
}

int
mt_gemm_batched(mt_dtype dtype, mt_trans trans_a, mt_trans trans_b, int64_t batch, int64_t m,
                int64_t n, int64_t k, mt_coef alpha, const void *a, int64_t lda, int64_t stride_a,
                const void *b, int64_t ldb, int64_t stride_b, mt_coef beta, void *c, int64_t ldc,
                int64_t stride_c)
{
    product p = {
        .dtype = dtype,
        .trans_a = trans_a,
        .trans_b = trans_b,
        .m = m,
        .n = n,
        .k = k,
        .alpha = alpha,
        .beta = beta,
        .a = a,
        .b = b,
        .c = c,
        .lda = lda,
        .ldb = ldb,
        .ldc = ldc,
        .stride_a = stride_a,
        .stride_b = stride_b,
        .stride_c = stride_c,
    };
    return multiply(&p, batch);
}

int
mt_gemv(mt_dtype dtype, mt_trans trans, int64_t rows, int64_t cols, mt_coef alpha, const void *a,
        int64_t lda, const void *x, int64_t incx, mt_coef beta, void *y, int64_t incy)
{
    bool turn = swaps(trans);
    return mt_gemm(dtype, trans, MT_TRANS_N, turn ? cols : rows, 1, turn ? rows : cols, alpha, a,
                   lda, x, incx, beta, y, incy);
}

/* ---- inner product ---- */

typedef struct inner {
    const mt_blas *blas;
    mt_dtype dtype;
    bool conj_x;
    int64_t n, chunk, incx, incy;
    const char *x, *y;
    double (*partial)[2];
    uint64_t *whole; /* of integers */
} inner;

static double
dot_halves(const inner *d, int64_t from, int64_t count)
{
    float x[512], y[512], sum = 0;
    for (int64_t at = 0; at < count; at += (int64_t)MT_COUNT(x)) {
        int64_t step = MT_MIN((int64_t)MT_COUNT(x), count - at);
        for (int64_t i = 0; i < step; i++) {
            int64_t ix = (from + at + i) * d->incx, iy = (from + at + i) * d->incy;
            if (d->dtype == MT_FLOAT16) {
                x[i] = mt_half_to_float(((const mt_half *)d->x)[ix]);
                y[i] = mt_half_to_float(((const mt_half *)d->y)[iy]);
            } else {
                x[i] = mt_bfloat16_to_float(((const mt_bfloat16 *)d->x)[ix]);
                y[i] = mt_bfloat16_to_float(((const mt_bfloat16 *)d->y)[iy]);
            }
        }
        sum += d->blas->sdot((int)step, x, 1, y, 1);
    }
    return sum;
}

static uint64_t
dot_integers(const inner *d, int64_t from, int64_t count)
{
    uint64_t sum = 0;
    for (int64_t i = from; i < from + count; i++) {
        const char *x = d->x + i * d->incx * (int64_t)mt_dtype_size(d->dtype);
        const char *y = d->y + i * d->incy * (int64_t)mt_dtype_size(d->dtype);
        switch (mt_dtype_size(d->dtype)) { /* modulo 2^bits the sign does not matter */
        case 1: sum += (uint64_t) * (const uint8_t *)x * *(const uint8_t *)y; break;
        case 2: sum += (uint64_t) * (const uint16_t *)x * *(const uint16_t *)y; break;
        case 4: sum += (uint64_t) * (const uint32_t *)x * *(const uint32_t *)y; break;
        default: sum += *(const uint64_t *)x * *(const uint64_t *)y;
        }
    }
    return sum;
}

static void
dot_body(void *ctx, int64_t begin, int64_t end)
{
    const inner *d = ctx;
    for (int64_t c = begin; c < end; c++) {
        int64_t from = c * d->chunk, count = MT_MIN(d->chunk, d->n - from);
        int n = (int)count, ix = (int)d->incx, iy = (int)d->incy;
        double *out = d->partial[c];
        const char *x = d->x + from * d->incx * (int64_t)mt_dtype_size(d->dtype);
        const char *y = d->y + from * d->incy * (int64_t)mt_dtype_size(d->dtype);
        switch (d->dtype) {
        case MT_FLOAT32:
            out[0] = d->blas->sdot(n, (const float *)x, ix, (const float *)y, iy);
            break;
        case MT_FLOAT64:
            out[0] = d->blas->ddot(n, (const double *)x, ix, (const double *)y, iy);
            break;
        case MT_COMPLEX64: {
            float sum[2];
            (d->conj_x ? d->blas->cdotc_sub : d->blas->cdotu_sub)(n, x, ix, y, iy, sum);
            out[0] = sum[0], out[1] = sum[1];
            break;
        }
        case MT_COMPLEX128:
            (d->conj_x ? d->blas->zdotc_sub : d->blas->zdotu_sub)(n, x, ix, y, iy, out);
            break;
        case MT_FLOAT16:
        case MT_BFLOAT16: out[0] = dot_halves(d, from, count); break;
        default: d->whole[c] = dot_integers(d, from, count);
        }
    }
}

int
mt_dot(mt_dtype dtype, bool conj_x, int64_t n, const void *x, int64_t incx, const void *y,
       int64_t incy, void *out)
{
    double partial[DOT_CHUNKS][2];
    uint64_t whole[DOT_CHUNKS];
    inner d = {
        .dtype = dtype,
        .conj_x = conj_x,
        .n = n,
        .chunk = MT_MAX(DOT_CHUNK, (n + DOT_CHUNKS - 1) / DOT_CHUNKS),
        .incx = incx,
        .incy = incy,
        .x = x,
        .y = y,
        .partial = partial,
        .whole = whole,
    };
    if (dtype == MT_BOOL || (dtype >= MT_UINT16 && dtype <= MT_UINT64))
        return mt_fail(MT_NOT_IMPLEMENTED, "inner product of %s", mt_dtypes[dtype].name);
    if (!mt_is_integral(dtype, true)) {
        d.blas = mt_blas_open();
        if (d.blas == NULL)
            return -1;
        if (incx > INT_MAX || incy > INT_MAX || d.chunk > INT_MAX)
            return mt_fail(MT_RUNTIME, "an inner product needs distances of fewer than 2147483648 "
                                       "elements");
    }
    int64_t chunks = n > 0 ? (n + d.chunk - 1) / d.chunk : 0;
    mt_parallel_for(chunks, 1, dot_body, &d);
    double re = 0, im = 0;
    uint64_t sum = 0;
    for (int64_t c = 0; c < chunks; c++) {
        if (d.blas == NULL)
            sum += whole[c];
        else
            re += partial[c][0], im += mt_is_complex(dtype) ? partial[c][1] : 0;
    }
    switch (dtype) {
    case MT_FLOAT32: *(float *)out = (float)re; break;
    case MT_FLOAT64: *(double *)out = re; break;
    case MT_COMPLEX64: ((float *)out)[0] = (float)re, ((float *)out)[1] = (float)im; break;
    case MT_COMPLEX128: ((double *)out)[0] = re, ((double *)out)[1] = im; break;
    case MT_FLOAT16: *(mt_half *)out = mt_float_to_half((float)re); break;
    case MT_BFLOAT16: *(mt_bfloat16 *)out = mt_float_to_bfloat16((float)re); break;
    default:
        switch (mt_dtype_size(dtype)) {
        case 1: *(uint8_t *)out = (uint8_t)sum; break;
        case 2: *(uint16_t *)out = (uint16_t)sum; break;
        case 4: *(uint32_t *)out = (uint32_t)sum; break;
        default: *(uint64_t *)out = sum;
        }
    }
    return 0;
}
