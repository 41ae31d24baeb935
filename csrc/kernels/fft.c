/* Plans and their tables; the passes lie in fft.tmpl.h, once per precision. */
#include "kernels/fft.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"

#define MAX_FACTORS 64
#define MAX_PRIME 31 /* larger prime factors go through a convolution */

struct mt_fft_plan {
    mt_dtype type;
    int64_t n;
    bool forward;
    int nfactors;
    int factors[MAX_FACTORS];
    void *twiddles;      /* exp(-+2 pi i k / n), k < n */
    /* Bluestein */
    int64_t m;           /* power of two, 0: direct */
    mt_fft_plan *inner, *inner_back;
    void *chirp;         /* exp(-+pi i k^2 / n), k < n */
    void *kernel;        /* transform of the conjugate chirp, over m */
};

/* exp(2 pi i k / n), to the last bit or so: the angle is reduced to an octant in integers. */
static void
root_of_unity(int64_t k, int64_t n, double *re, double *im)
{
    k %= n;
    bool lower = 2 * k > n;
    if (lower)
        k = n - k;
    /* now in [0, n/2] */
    bool left = 4 * k > n;
    int64_t up = left ? n - 2 * k : 2 * k; /* angle pi up / n in [0, pi/2] */
    double c, s;
    if (2 * up > n) {
        double a = M_PI * (double)(n - 2 * up) / (2.0 * (double)n);
        c = sin(a);
        s = cos(a);
    } else {
        double a = M_PI * (double)up / (double)n;
        c = cos(a);
        s = sin(a);
    }
    *re = left ? -c : c;
    *im = lower ? -s : s;
}

#define REAL float
#define NAME(f) f##_f32
#include "kernels/fft.tmpl.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(f) f##_f64
#include "kernels/fft.tmpl.h"
#undef REAL
#undef NAME

static void
store(const mt_fft_plan *p, void *table, int64_t i, double re, double im)
{
    if (p->type == MT_COMPLEX64) {
        ((float *)table)[2 * i] = (float)re;
        ((float *)table)[2 * i + 1] = (float)im;
    } else {
        ((double *)table)[2 * i] = re;
        ((double *)table)[2 * i + 1] = im;
    }
}

/* Factors of n, or false where a prime is too large. */
static bool
factorize(mt_fft_plan *p)
{
    int64_t n = p->n;
    p->nfactors = 0;
    while (n % 4 == 0) {
        p->factors[p->nfactors++] = 4;
        n /= 4;
    }
    for (int f = 2; f <= MAX_PRIME; f++)
        while (n % f == 0) {
            p->factors[p->nfactors++] = f;
            n /= f;
        }
    return n == 1;
}

static int
make_bluestein(mt_fft_plan *p, size_t element)
{
    int64_t n = p->n;
    p->m = 1;
    while (p->m < 2 * n - 1)
        p->m *= 2;
    double sign = p->forward ? -1 : 1;
    if (!(p->inner = mt_fft_plan_new(p->type, p->m, true)) ||
        !(p->inner_back = mt_fft_plan_new(p->type, p->m, false)))
        return -1;
    p->chirp = malloc((size_t)n * element);
    p->kernel = calloc((size_t)p->m, element);
    void *scratch = malloc(mt_fft_scratch(p->inner));
    if (!p->chirp || !p->kernel || !scratch) {
        free(scratch);
        return mt_fail(MT_MEMORY, "out of memory");
    }
    for (int64_t k = 0; k < n; k++) {
        double re, im;
        /* k^2 mod 2n without overflow */
        root_of_unity((int64_t)((unsigned __int128)k * (unsigned __int128)k % (unsigned __int128)(2 * n)), 2 * n, &re, &im);
        store(p, p->chirp, k, re, sign * im);
        store(p, p->kernel, k, re, -sign * im);
        if (k)
            store(p, p->kernel, p->m - k, re, -sign * im);
    }
    mt_fft_run(p->inner, p->kernel, scratch, 1);
    free(scratch);
    return 0;
}

mt_fft_plan *
mt_fft_plan_new(mt_dtype type, int64_t n, bool forward)
{
    size_t element = mt_dtype_size(type);
    mt_fft_plan *p = calloc(1, sizeof *p);
    if (!p)
        return mt_fail_null(MT_MEMORY, "out of memory");
    p->type = type;
    p->n = n;
    p->forward = forward;
    if (!factorize(p)) {
        if (make_bluestein(p, element) < 0)
            goto fail;
        return p;
    }
    if (!(p->twiddles = malloc((size_t)n * element))) {
        mt_fail(MT_MEMORY, "out of memory");
        goto fail;
    }
    for (int64_t k = 0; k < n; k++) {
        double re, im;
        root_of_unity(k, n, &re, &im);
        store(p, p->twiddles, k, re, forward ? -im : im);
    }
    return p;
fail:
    mt_fft_plan_free(p);
    return NULL;
}

void
mt_fft_plan_free(mt_fft_plan *p)
{
    if (!p)
        return;
    mt_fft_plan_free(p->inner);
    mt_fft_plan_free(p->inner_back);
    free(p->twiddles);
    free(p->chirp);
    free(p->kernel);
    free(p);
}

size_t
mt_fft_scratch(const mt_fft_plan *p)
{
    size_t element = mt_dtype_size(p->type);
    return p->m ? (size_t)p->m * element + mt_fft_scratch(p->inner) : (size_t)p->n * element;
}

void
mt_fft_run(const mt_fft_plan *p, void *line, void *scratch, double scale)
{
    if (p->type == MT_COMPLEX64)
        run_f32(p, line, scratch, scale);
    else
        run_f64(p, line, scratch, scale);
}
