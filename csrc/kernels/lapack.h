/* LAPACK by routine and element type: column-major matrices, 32-bit integers.
 *
 * Every function returns LAPACK's `info`. They may be called from several threads at once, each on
 * memory of its own; the library runs with one thread, so results have the same bits always.
 * Call mt_lapack_open once before: the functions themselves cannot fail to be there. Pointers are
 * to elements of `t`, one of the four BLAS types; `real` ones to its real type. A workspace of
 * length -1 asks for the best length, which is left in the first element of `work`. */
#pragma once

#include "base/base.h"
#include "base/dtype.h"

/* Looks every routine up. -1 with the error set when the library lacks one. */
int mt_lapack_open(void);

/* The length that a workspace query left behind. */
int mt_lapack_length(mt_dtype t, const void *work);

int mt_lapack_potrf(mt_dtype t, char uplo, int n, void *a, int lda);
int mt_lapack_potri(mt_dtype t, char uplo, int n, void *a, int lda);
int mt_lapack_potrs(mt_dtype t, char uplo, int n, int nrhs, const void *a, int lda, void *b, int ldb);
int mt_lapack_getrf(mt_dtype t, int m, int n, void *a, int lda, int *pivots);
int mt_lapack_getrs(mt_dtype t, char trans, int n, int nrhs, const void *a, int lda,
                    const int *pivots, void *b, int ldb);
/* Triangular systems without a look at the diagonal: op(a) x = b (side L), x op(a) = b (side R);
 * b is m x n. */
void mt_lapack_trsm(mt_dtype t, char side, char uplo, char trans, char diag, int m, int n,
                    const void *a, int lda, void *b, int ldb);
int mt_lapack_geqrf(mt_dtype t, int m, int n, void *a, int lda, void *tau, void *work, int lwork);
/* orgqr and ungqr: the first k reflectors of a made into n columns of Q. */
int mt_lapack_orgqr(mt_dtype t, int m, int n, int k, void *a, int lda, const void *tau, void *work,
                    int lwork);
/* ormqr and unmqr. */
int mt_lapack_ormqr(mt_dtype t, char side, char trans, int m, int n, int k, const void *a, int lda,
                    const void *tau, void *c, int ldc, void *work, int lwork);
/* syevd and heevd; rwork is read for complex types only. */
int mt_lapack_syevd(mt_dtype t, char jobz, char uplo, int n, void *a, int lda, void *w, void *work,
                    int lwork, void *rwork, int lrwork, int *iwork, int liwork);
/* Real types: eigenvalues as wr, wi and real vectors; complex types: w in wr, wi is not used. */
int mt_lapack_geev(mt_dtype t, char jobvr, int n, void *a, int lda, void *wr, void *wi, void *vr,
                   int ldvr, void *work, int lwork, void *rwork);
int mt_lapack_gesdd(mt_dtype t, char jobz, int m, int n, void *a, int lda, void *s, void *u, int ldu,
                    void *vt, int ldvt, void *work, int lwork, void *rwork, int *iwork);
int mt_lapack_gels(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, void *work,
                   int lwork);
int mt_lapack_gelsy(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb,
                    int *jpvt, double rcond, int *rank, void *work, int lwork, void *rwork);
int mt_lapack_gelsd(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, void *s,
                    double rcond, int *rank, void *work, int lwork, void *rwork, int *iwork);
int mt_lapack_gelss(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, void *s,
                    double rcond, int *rank, void *work, int lwork, void *rwork);
/* sytrf, or hetrf where `hermitian` and complex. */
int mt_lapack_sytrf(mt_dtype t, bool hermitian, char uplo, int n, void *a, int lda, int *pivots,
                    void *work, int lwork);
int mt_lapack_sytrs(mt_dtype t, bool hermitian, char uplo, int n, int nrhs, const void *a, int lda,
                    const int *pivots, void *b, int ldb);
