/* Times square matrix products in one of four ways and prints a line "dtype n ns hash" each:
 *
 *   runner LIBRARY library 1     one call of the BLAS library on one thread
 *   runner LIBRARY library 2     the same with the library's own threads
 *   runner LIBRARY grid 1        mt_gemm on one thread
 *   runner LIBRARY grid 2        mt_gemm on two
 *
 * The hash is of the result's bits. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/pool.h"
#include "kernels/blas.h"
#include "kernels/gemm.h"

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const mt_blas *blas;
static bool grid;

static void
multiply(mt_dtype dtype, int n, const void *a, const void *b, void *c)
{
    if (grid)
        mt_gemm(dtype, MT_TRANS_N, MT_TRANS_N, n, n, n, MT_COEF(1), a, n, b, n, MT_COEF(0), c, n);
    else if (dtype == MT_FLOAT32)
        blas->sgemm(MT_CBLAS_ROW_MAJOR, MT_CBLAS_NO_TRANS, MT_CBLAS_NO_TRANS, n, n, n, 1, a, n, b,
                    n, 0, c, n);
    else
        blas->dgemm(MT_CBLAS_ROW_MAJOR, MT_CBLAS_NO_TRANS, MT_CBLAS_NO_TRANS, n, n, n, 1, a, n, b,
                    n, 0, c, n);
}

static void
measure(mt_dtype dtype, int n)
{
    size_t size = mt_dtype_size(dtype), bytes = ((size_t)n * (size_t)n * size + 63) / 64 * 64;
    void *a = aligned_alloc(64, bytes), *b = aligned_alloc(64, bytes),
         *c = aligned_alloc(64, bytes);
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 2 * n * n; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        double value = (double)(state >> 11) * 0x1p-52 - 1.0;
        void *matrix = i < n * n ? a : b;
        if (dtype == MT_FLOAT32)
            ((float *)matrix)[i % (n * n)] = (float)value;
        else
            ((double *)matrix)[i % (n * n)] = value;
    }
    double start = now(), best = 1e9;
    multiply(dtype, n, a, b, c);
    int count = (int)(2e-3 / (now() - start + 1e-7)) + 1;
    for (int round = 0; round < 9; round++) {
        start = now();
        for (int i = 0; i < count; i++)
            multiply(dtype, n, a, b, c);
        double each = (now() - start) / count;
        best = each < best ? each : best;
    }
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < (size_t)n * (size_t)n * size; i++)
        hash = (hash ^ ((unsigned char *)c)[i]) * 1099511628211u;
    printf("%s %d %.1f %llx\n", mt_dtypes[dtype].name, n, best * 1e9, (unsigned long long)hash);
    free(a), free(b), free(c);
}

int
main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    mt_blas_set_library(argv[1]);
    blas = mt_blas_open();
    if (blas == NULL)
        return 1;
    grid = argv[2][0] == 'g';
    int threads = atoi(argv[3]);
    mt_set_num_threads(threads);
    if (!grid)
        blas->set_num_threads(threads);
    for (int i = 4; i < argc; i++) {
        measure(MT_FLOAT32, atoi(argv[i]));
        measure(MT_FLOAT64, atoi(argv[i]));
    }
    mt_pool_stop();
    return 0;
}
