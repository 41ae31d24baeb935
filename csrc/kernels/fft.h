/* Discrete Fourier transforms of lines of complex numbers, of any length.
 *
 * A length is split into factors 4, 2, 3, 5 and small primes for a Stockham transform, whose passes
 * need no reordering; a length with a larger prime factor is a convolution of a power of two
 * (L. Bluestein, 1970). A line is computed by one thread, in an order that the length alone decides.
 * float32 and float64 have transforms of their own; twiddle factors are computed in float64. */
#pragma once

#include "base/base.h"
#include "base/dtype.h"

typedef struct mt_fft_plan mt_fft_plan;

/* For lines of n >= 1 complex numbers of a type (MT_COMPLEX64 or MT_COMPLEX128), X_k = sum_j x_j
 * exp(-2 pi i j k / n), or with + where !forward. NULL with the error set. */
mt_fft_plan *mt_fft_plan_new(mt_dtype type, int64_t n, bool forward);
void mt_fft_plan_free(mt_fft_plan *plan);
/* Bytes of working memory that one transform needs. */
size_t mt_fft_scratch(const mt_fft_plan *plan);
/* Transforms a packed line in place and multiplies by scale. May be called from many threads. */
void mt_fft_run(const mt_fft_plan *plan, void *line, void *scratch, double scale);
