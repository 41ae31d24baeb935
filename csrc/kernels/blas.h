/* The BLAS and LAPACK library (OpenBLAS from the scipy-openblas32 wheel).
 *
 * It is opened on first use through dlopen; nothing links against it. It always runs with one
 * thread: the library's own threads would make results depend on their number, ours work on a grid
 * that depends on shapes alone (gemm.h). Every function here may be called from any thread. */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "base/error.h"

/* CBLAS enumerations, as passed to the functions of the table. */
enum {
    MT_CBLAS_ROW_MAJOR = 101,
    MT_CBLAS_COL_MAJOR = 102,
    MT_CBLAS_NO_TRANS = 111,
    MT_CBLAS_TRANS = 112,
    MT_CBLAS_CONJ_TRANS = 113,
    MT_CBLAS_CONJ_NO_TRANS = 114,
};

/* X(letter, C type of elements, C type of alpha and beta) for the four BLAS types; complex scalars
 * go by address. */
#define MT_FOR_BLAS(X)                                                                             \
    X(s, float, float)                                                                             \
    X(d, double, double)                                                                           \
    X(c, void, const void *)                                                                       \
    X(z, void, const void *)

typedef struct mt_blas {
#define X(L, T, S)                                                                                 \
    void (*L##gemm)(int order, int trans_a, int trans_b, int m, int n, int k, S alpha, const T *a, \
                    int lda, const T *b, int ldb, S beta, T *c, int ldc);                          \
    void (*L##gemv)(int order, int trans, int m, int n, S alpha, const T *a, int lda, const T *x,  \
                    int incx, S beta, T *y, int incy);
    MT_FOR_BLAS(X)
#undef X
    float (*sdot)(int n, const float *x, int incx, const float *y, int incy);
    double (*ddot)(int n, const double *x, int incx, const double *y, int incy);
    void (*cdotu_sub)(int n, const void *x, int incx, const void *y, int incy, void *result);
    void (*zdotu_sub)(int n, const void *x, int incx, const void *y, int incy, void *result);
    void (*cdotc_sub)(int n, const void *x, int incx, const void *y, int incy, void *result);
    void (*zdotc_sub)(int n, const void *x, int incx, const void *y, int incy, void *result);
    char *(*get_config)(void);
    char *(*get_corename)(void);
    void (*set_num_threads)(int n);
} mt_blas;

/* Where the shared library lies; copied. Called by the host before the first use, later calls have
 * no effect on a library that is already open. */
void mt_blas_set_library(const char *path);

/* The table, opening the library if need be; NULL with a RuntimeError in the record when it is
 * absent or not usable. */
const mt_blas *mt_blas_open(void);

/* Any other function by its standard name, without the wheel's prefix: "dgesv_", "LAPACKE_dgesv",
 * "cblas_strsm". NULL with the error set. A lookup costs about a microsecond: keep the result. */
void *mt_blas_symbol(const char *name);

/* "OpenBLAS 0.3.x ... core Zen", or NULL with the error set. */
const char *mt_blas_config(void);
