/* The Fortran calls. All arguments go by address, and the length of each character argument is
 * passed by value at the end, as gfortran expects. Functions are kept by routine and type; since a
 * pointer to any element type is passed alike, one prototype serves the four types. */
#include "kernels/lapack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/error.h"
#include "kernels/blas.h"

/* X(routine, name for real types, name for complex types) */
#define ROUTINES(X)                                                                                \
    X(POTRF, "potrf", "potrf")                                                                     \
    X(POTRI, "potri", "potri")                                                                     \
    X(POTRS, "potrs", "potrs")                                                                     \
    X(GETRF, "getrf", "getrf")                                                                     \
    X(GETRS, "getrs", "getrs")                                                                     \
    X(TRSM, "trsm", "trsm")                                                                        \
    X(GEQRF, "geqrf", "geqrf")                                                                     \
    X(ORGQR, "orgqr", "ungqr")                                                                     \
    X(ORMQR, "ormqr", "unmqr")                                                                     \
    X(SYEVD, "syevd", "heevd")                                                                     \
    X(GEEV, "geev", "geev")                                                                        \
    X(GESDD, "gesdd", "gesdd")                                                                     \
    X(GELS, "gels", "gels")                                                                        \
    X(GELSY, "gelsy", "gelsy")                                                                     \
    X(GELSD, "gelsd", "gelsd")                                                                     \
    X(GELSS, "gelss", "gelss")                                                                     \
    X(SYTRF, "sytrf", "sytrf")                                                                     \
    X(SYTRS, "sytrs", "sytrs")                                                                     \
    X(HETRF, "sytrf", "hetrf")                                                                     \
    X(HETRS, "sytrs", "hetrs")

enum {
#define X(R, real, complex) R,
    ROUTINES(X)
#undef X
    NROUTINES,
};

static void *functions[NROUTINES][4];
static _Atomic bool ready;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int
mt_lapack_open(void)
{
    static const char *const names[NROUTINES][2] = {
#define X(R, real, complex) {real, complex},
        ROUTINES(X)
#undef X
    };
    if (atomic_load_explicit(&ready, memory_order_acquire))
        return 0;
    int rc = 0;
    pthread_mutex_lock(&lock);
    for (int r = 0; r < NROUTINES && rc == 0; r++)
        for (int t = 0; t < 4 && rc == 0; t++) {
            char name[16];
            snprintf(name, sizeof name, "%c%s_", "sdcz"[t], names[r][t >= 2]);
            if (!(functions[r][t] = mt_blas_symbol(name)))
                rc = -1;
        }
    if (rc == 0)
        atomic_store_explicit(&ready, true, memory_order_release);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int
column(mt_dtype t)
{
    return t == MT_FLOAT32 ? 0 : t == MT_FLOAT64 ? 1 : t == MT_COMPLEX64 ? 2 : 3;
}

/* The routine, as a function of these parameter types. */
#define FN(R, ...) ((void (*)(__VA_ARGS__))functions[R][column(t)])
typedef const char *S;
typedef const int *I;
typedef const void *P;

int
mt_lapack_length(mt_dtype t, const void *work)
{
    bool wide = t == MT_FLOAT64 || t == MT_COMPLEX128;
    return (int)(wide ? *(const double *)work : *(const float *)work);
}

int
mt_lapack_potrf(mt_dtype t, char uplo, int n, void *a, int lda)
{
    int info = 0;
    FN(POTRF, S, I, void *, I, int *, size_t)(&uplo, &n, a, &lda, &info, 1);
    return info;
}

int
mt_lapack_potri(mt_dtype t, char uplo, int n, void *a, int lda)
{
    int info = 0;
    FN(POTRI, S, I, void *, I, int *, size_t)(&uplo, &n, a, &lda, &info, 1);
    return info;
}

int
mt_lapack_potrs(mt_dtype t, char uplo, int n, int nrhs, const void *a, int lda, void *b, int ldb)
{
    int info = 0;
    FN(POTRS, S, I, I, P, I, void *, I, int *, size_t)(&uplo, &n, &nrhs, a, &lda, b, &ldb, &info, 1);
    return info;
}

int
mt_lapack_getrf(mt_dtype t, int m, int n, void *a, int lda, int *pivots)
{
    int info = 0;
    FN(GETRF, I, I, void *, I, int *, int *)(&m, &n, a, &lda, pivots, &info);
    return info;
}

int
mt_lapack_getrs(mt_dtype t, char trans, int n, int nrhs, const void *a, int lda, const int *pivots,
                void *b, int ldb)
{
    int info = 0;
    FN(GETRS, S, I, I, P, I, I, void *, I, int *, size_t)
    (&trans, &n, &nrhs, a, &lda, pivots, b, &ldb, &info, 1);
    return info;
}

void
mt_lapack_trsm(mt_dtype t, char side, char uplo, char trans, char diag, int m, int n, const void *a,
               int lda, void *b, int ldb)
{
    static const double one_d[2] = {1, 0};
    static const float one_f[2] = {1, 0};
    const void *one = t == MT_FLOAT64 || t == MT_COMPLEX128 ? (const void *)one_d : one_f;
    FN(TRSM, S, S, S, S, I, I, P, P, I, void *, I, size_t, size_t, size_t, size_t)
    (&side, &uplo, &trans, &diag, &m, &n, one, a, &lda, b, &ldb, 1, 1, 1, 1);
}

int
mt_lapack_geqrf(mt_dtype t, int m, int n, void *a, int lda, void *tau, void *work, int lwork)
{
    int info = 0;
    FN(GEQRF, I, I, void *, I, void *, void *, I, int *)(&m, &n, a, &lda, tau, work, &lwork, &info);
    return info;
}

int
mt_lapack_orgqr(mt_dtype t, int m, int n, int k, void *a, int lda, const void *tau, void *work,
                int lwork)
{
    int info = 0;
    FN(ORGQR, I, I, I, void *, I, P, void *, I, int *)
    (&m, &n, &k, a, &lda, tau, work, &lwork, &info);
    return info;
}

int
mt_lapack_ormqr(mt_dtype t, char side, char trans, int m, int n, int k, const void *a, int lda,
                const void *tau, void *c, int ldc, void *work, int lwork)
{
    int info = 0;
    FN(ORMQR, S, S, I, I, I, P, I, P, void *, I, void *, I, int *, size_t, size_t)
    (&side, &trans, &m, &n, &k, a, &lda, tau, c, &ldc, work, &lwork, &info, 1, 1);
    return info;
}

int
mt_lapack_syevd(mt_dtype t, char jobz, char uplo, int n, void *a, int lda, void *w, void *work,
                int lwork, void *rwork, int lrwork, int *iwork, int liwork)
{
    int info = 0;
    if (mt_is_complex(t))
        FN(SYEVD, S, S, I, void *, I, void *, void *, I, void *, I, int *, I, int *, size_t, size_t)
        (&jobz, &uplo, &n, a, &lda, w, work, &lwork, rwork, &lrwork, iwork, &liwork, &info, 1, 1);
    else
        FN(SYEVD, S, S, I, void *, I, void *, void *, I, int *, I, int *, size_t, size_t)
        (&jobz, &uplo, &n, a, &lda, w, work, &lwork, iwork, &liwork, &info, 1, 1);
    return info;
}

int
mt_lapack_geev(mt_dtype t, char jobvr, int n, void *a, int lda, void *wr, void *wi, void *vr,
               int ldvr, void *work, int lwork, void *rwork)
{
    int info = 0, one = 1;
    char no = 'N';
    if (mt_is_complex(t))
        FN(GEEV, S, S, I, void *, I, void *, void *, I, void *, I, void *, I, void *, int *, size_t,
           size_t)
        (&no, &jobvr, &n, a, &lda, wr, NULL, &one, vr, &ldvr, work, &lwork, rwork, &info, 1, 1);
    else
        FN(GEEV, S, S, I, void *, I, void *, void *, void *, I, void *, I, void *, I, int *, size_t,
           size_t)
        (&no, &jobvr, &n, a, &lda, wr, wi, NULL, &one, vr, &ldvr, work, &lwork, &info, 1, 1);
    return info;
}

int
mt_lapack_gesdd(mt_dtype t, char jobz, int m, int n, void *a, int lda, void *s, void *u, int ldu,
                void *vt, int ldvt, void *work, int lwork, void *rwork, int *iwork)
{
    int info = 0;
    if (mt_is_complex(t))
        FN(GESDD, S, I, I, void *, I, void *, void *, I, void *, I, void *, I, void *, int *, int *,
           size_t)
        (&jobz, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, rwork, iwork, &info, 1);
    else
        FN(GESDD, S, I, I, void *, I, void *, void *, I, void *, I, void *, I, int *, int *, size_t)
        (&jobz, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, iwork, &info, 1);
    return info;
}

int
mt_lapack_gels(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, void *work,
               int lwork)
{
    int info = 0;
    char no = 'N';
    FN(GELS, S, I, I, I, void *, I, void *, I, void *, I, int *, size_t)
    (&no, &m, &n, &nrhs, a, &lda, b, &ldb, work, &lwork, &info, 1);
    return info;
}

/* rcond in the real type of t. */
#define RCOND                                                                                      \
    float narrow = (float)rcond;                                                                   \
    const void *limit = t == MT_FLOAT64 || t == MT_COMPLEX128 ? (const void *)&rcond : &narrow

int
mt_lapack_gelsy(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, int *jpvt,
                double rcond, int *rank, void *work, int lwork, void *rwork)
{
    int info = 0;
    RCOND;
    if (mt_is_complex(t))
        FN(GELSY, I, I, I, void *, I, void *, I, int *, P, int *, void *, I, void *, int *)
        (&m, &n, &nrhs, a, &lda, b, &ldb, jpvt, limit, rank, work, &lwork, rwork, &info);
    else
        FN(GELSY, I, I, I, void *, I, void *, I, int *, P, int *, void *, I, int *)
        (&m, &n, &nrhs, a, &lda, b, &ldb, jpvt, limit, rank, work, &lwork, &info);
    return info;
}

int
mt_lapack_gelsd(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, void *s,
                double rcond, int *rank, void *work, int lwork, void *rwork, int *iwork)
{
    int info = 0;
    RCOND;
    if (mt_is_complex(t))
        FN(GELSD, I, I, I, void *, I, void *, I, void *, P, int *, void *, I, void *, int *, int *)
        (&m, &n, &nrhs, a, &lda, b, &ldb, s, limit, rank, work, &lwork, rwork, iwork, &info);
    else
        FN(GELSD, I, I, I, void *, I, void *, I, void *, P, int *, void *, I, int *, int *)
        (&m, &n, &nrhs, a, &lda, b, &ldb, s, limit, rank, work, &lwork, iwork, &info);
    return info;
}

int
mt_lapack_gelss(mt_dtype t, int m, int n, int nrhs, void *a, int lda, void *b, int ldb, void *s,
                double rcond, int *rank, void *work, int lwork, void *rwork)
{
    int info = 0;
    RCOND;
    if (mt_is_complex(t))
        FN(GELSS, I, I, I, void *, I, void *, I, void *, P, int *, void *, I, void *, int *)
        (&m, &n, &nrhs, a, &lda, b, &ldb, s, limit, rank, work, &lwork, rwork, &info);
    else
        FN(GELSS, I, I, I, void *, I, void *, I, void *, P, int *, void *, I, int *)
        (&m, &n, &nrhs, a, &lda, b, &ldb, s, limit, rank, work, &lwork, &info);
    return info;
}

int
mt_lapack_sytrf(mt_dtype t, bool hermitian, char uplo, int n, void *a, int lda, int *pivots,
                void *work, int lwork)
{
    int info = 0;
    FN(hermitian ? HETRF : SYTRF, S, I, void *, I, int *, void *, I, int *, size_t)
    (&uplo, &n, a, &lda, pivots, work, &lwork, &info, 1);
    return info;
}

int
mt_lapack_sytrs(mt_dtype t, bool hermitian, char uplo, int n, int nrhs, const void *a, int lda,
                const int *pivots, void *b, int ldb)
{
    int info = 0;
    FN(hermitian ? HETRS : SYTRS, S, I, I, P, I, I, void *, I, int *, size_t)
    (&uplo, &n, &nrhs, a, &lda, pivots, b, &ldb, &info, 1);
    return info;
}
