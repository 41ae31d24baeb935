/* Random fills: every distribution PyTorch draws on the CPU, from the same words in the same order.
 *
 * How operators map to the functions below. Capitals are tensors, `out` is the tensor to fill: self
 * of an in-place operator, the new tensor of a factory. The *_like forms and the noise of a dropout
 * lie in memory as empty_like lays them out, which for a transposed tensor is not contiguous.
 *
 *   torch operator                            function
 *   rand, rand_like, uniform_(a, b)           mt_random_uniform(out, a, b)
 *   randn, randn_like, normal_(m, s),         mt_random_normal(out, m, s)
 *     normal(m, s, size)
 *   normal(M, s) normal(m, S) normal(M, S)    out = empty(broadcast shape); mt_random_normal(out,
 *                                             0, 1); out.mul_(S or s).add_(M or m); the value of
 *                                             S checked >= 0 before
 *   randint(lo, hi), randint_like,            mt_random_integers(out, lo, hi)
 *     random_(lo, hi), random_(hi)              (lo = 0 where it is absent)
 *   random_(lo, None)                         mt_random_integers_from(out, lo)
 *   random_()                                 mt_random_integers_all(out)
 *   randperm(n)                               mt_random_permutation
 *   bernoulli_(p), bernoulli(x, p)            mt_random_bernoulli(out, p)
 *   bernoulli_(P), bernoulli(P)               mt_random_bernoulli_tensor(out, P)
 *                                               (bernoulli(x, p) and bernoulli(P) fill a contiguous
 *                                               out of the dtype of x, P)
 *   dropout(x, q), 0 < q < 1                  mt_random_dropout, or noise = empty_like(x),
 *                                             mt_random_bernoulli(noise, 1 - q), noise.div_(1 - q),
 *                                             x * noise where x is not contiguous. No words are
 *                                             drawn for q = 0 (result x) and q = 1 (x * 0)
 *   native_dropout(x, q)                      the same words for 0 <= q < 1, also for q = 0
 *   feature_dropout, dropout1d/2d/3d          noise of shape [N, C, 1, ...], as dropout
 *   alpha_dropout, feature_alpha_dropout      noise = mt_random_bernoulli(1 - q), arithmetic on it
 *   rrelu_with_noise(x, noise, a, b) in       mt_random_rrelu on contiguous copies, in index order
 *     training
 *   exponential_, geometric_, cauchy_,        mt_random_exponential, _geometric, _cauchy,
 *     log_normal_                             _log_normal
 *   poisson(rates)                            out = zeros(rates.shape), mt_random_poisson
 *   binomial(count, prob)                     out = zeros(broadcast shape), mt_random_binomial
 *   _standard_gamma(alpha)                    out = zeros(alpha.shape), mt_random_gamma
 *   _sample_dirichlet(alpha)                  out = zeros(alpha.shape), mt_random_dirichlet
 *   multinomial(p, n, replacement)            mt_random_multinomial
 *
 * Elements are drawn in the order of the output's memory: dimensions by ascending stride, not by
 * index. One element takes these words of 32 bits:
 *
 *   uniform                 1; float64 2                       (complex: twice)
 *   normal, log_normal      4 a pair, of which the second value is kept in the generator for the
 *                           next call; a normal fill of a contiguous output of 16 or more elements
 *                           takes 1 (float64 2) each, and 16 draws more where 16 does not divide
 *                           the number (the halves: instead of those of the rest)
 *   integers                1; ranges of 2^28 and more, random_() of int64 and float64: 2
 *   randperm                1 for each but the last; from 214748364 elements on 2 for each
 *   bernoulli by number     2, whatever the dtype; by tensor 1, by a float64 tensor 2
 *   exponential, geometric, cauchy, dropout, multinomial                                  2
 *   poisson, gamma, dirichlet, binomial                                              varying
 *
 * The functions check the values of their arguments and the dtype, with PyTorch's texts, before
 * any word is drawn (or where PyTorch finds a bad element, after the words of those before it).
 * They return 0, or -1 with the error set. Shapes, broadcasting, overlap, requires-grad and device
 * are the operator's business; so is holding the generator's lock. */
#pragma once

#include "base/dtype.h"
#include "kernels/rng.h"

/* A tensor to fill. Strides are in elements; NULL: contiguous. No two elements may share memory. */
typedef struct mt_random_out {
    void *data;
    mt_dtype dtype;
    int ndim;
    const int64_t *sizes, *strides;
} mt_random_out;

/* A tensor of parameters with the sizes of the output; strides in elements, 0 for a broadcast
 * dimension; NULL: contiguous. */
typedef struct mt_random_arg {
    const void *data;
    mt_dtype dtype;
    const int64_t *strides;
} mt_random_arg;

/* Uniform in [from, to). Floats and complex (each part on its own). */
int mt_random_uniform(mt_rng *r, const mt_random_out *out, double from, double to);
/* Normal. Floats and complex: there `std` is of the whole number, its parts have std / sqrt(2). */
int mt_random_normal(mt_rng *r, const mt_random_out *out, double mean, double std);

/* Integers in [from, to), as any dtype but complex. Warns where a float dtype cannot hold them. */
int mt_random_integers(mt_rng *r, const mt_random_out *out, int64_t from, int64_t to);
/* From `from` to the highest value of the dtype (floats: to which all integers are exact);
 * INT64_MIN: all 64 bits. */
int mt_random_integers_from(mt_rng *r, const mt_random_out *out, int64_t from);
/* From 0 to the highest value of the dtype in the same sense. */
int mt_random_integers_all(mt_rng *r, const mt_random_out *out);
/* 0 to n - 1 in random order; `stride` in elements. */
int mt_random_permutation(mt_rng *r, mt_dtype dtype, void *out, int64_t stride, int64_t n);
/* The check that randperm makes before it allocates. */
int mt_random_permutation_check(mt_dtype dtype, int64_t n);

/* 1 with probability p, else 0. Any dtype but complex and the wide unsigned ones. */
int mt_random_bernoulli(mt_rng *r, const mt_random_out *out, double p);
int mt_random_bernoulli_tensor(mt_rng *r, const mt_random_out *out, const mt_random_arg *p);
/* y[i] = x[i] / (1 - q) with probability 1 - q, else x[i] * 0; contiguous, y may be x. `keep`, when
 * given, gets 1 and 0. Floats; q in [0, 1], no words for 0 and 1. */
int mt_random_dropout(mt_rng *r, mt_dtype dtype, int64_t n, double q, const void *x, void *y,
                      uint8_t *keep);

int mt_random_exponential(mt_rng *r, const mt_random_out *out, double lambda);
/* The number of trials up to the first success. Integers too. */
int mt_random_geometric(mt_rng *r, const mt_random_out *out, double p);
int mt_random_cauchy(mt_rng *r, const mt_random_out *out, double median, double sigma);
int mt_random_log_normal(mt_rng *r, const mt_random_out *out, double mean, double std);

/* Floats. The dtype of the parameters is the output's (the operator words the error). */
int mt_random_poisson(mt_rng *r, const mt_random_out *out, const mt_random_arg *rate);
int mt_random_gamma(mt_rng *r, const mt_random_out *out, const mt_random_arg *alpha);
int mt_random_binomial(mt_rng *r, const mt_random_out *out, const mt_random_arg *count,
                       const mt_random_arg *prob);
/* Along the last dimension; both contiguous, `rows` of `n`. */
int mt_random_dirichlet(mt_rng *r, mt_dtype dtype, void *out, const void *alpha, int64_t rows,
                        int64_t n);

/* Randomized leaky ReLU, contiguous: where x <= 0 the slope is uniform in [lower, upper) (2 words),
 * elsewhere 1; y = x * slope, `noise` gets the slopes. y may be x. */
int mt_random_rrelu(mt_rng *r, mt_dtype dtype, int64_t n, double lower, double upper, const void *x,
                    void *y, void *noise);

/* `draws` category numbers for each row of weights (strides in elements), written to the rows of
 * `out`, contiguous. The operator has checked shapes and draws > 0, and without replacement that
 * there are as many categories. */
int mt_random_multinomial(mt_rng *r, mt_dtype dtype, const void *weights, int64_t row_stride,
                          int64_t stride, int64_t rows, int64_t categories, int64_t draws,
                          bool replacement, int64_t *out);
