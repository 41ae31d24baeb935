/* The way of a fill through memory; private to random_*.c.
 *
 * A fill draws in the order of the output's memory. The walk sorts the dimensions by the output's
 * strides and merges what lies packed, so that the usual tensor is one run; values are made in
 * chunks of packed memory and moved to their places. Parameters follow the output's order. */
#pragma once

#include "kernels/convert.h"
#include "kernels/random.h"

/* Elements made at a time: their words, values and converted values stay in the first cache. */
#define MT_RANDOM_CHUNK 1024
#define MT_RANDOM_ARGS 2

typedef struct mt_random_walk {
    int64_t numel;
    bool packed; /* one run without gaps */
    int ndim, operands;
    char *data[1 + MT_RANDOM_ARGS]; /* the output, then the parameters */
    mt_dtype dtype[1 + MT_RANDOM_ARGS];
    int64_t sizes[MT_MAX_DIMS + 1], strides[1 + MT_RANDOM_ARGS][MT_MAX_DIMS + 1]; /* bytes */
} mt_random_walk;

/* Makes `n` values (at most MT_RANDOM_CHUNK) from the generator, what `how` says and the matching
 * parameters, which arrive as float64. -1 with the error set for a bad parameter. */
typedef int (*mt_random_maker)(mt_rng *r, const void *how, const double *const *args, void *values,
                               int64_t n);

/* Makes all elements as `made` and converts them to the output's dtype. */
int mt_random_fill(mt_rng *r, const mt_random_out *out, int num_args, const mt_random_arg *args,
                   mt_dtype made, mt_random_maker maker, const void *how);

int64_t mt_random_numel(const mt_random_out *out);
/* As PyTorch means it: row-major, strides of dimensions of size 1 do not matter. */
bool mt_random_is_contiguous(const mt_random_out *out);
/* A complex output as one of its real dtype with a last dimension of 2; `shape` is scratch. */
mt_random_out mt_random_as_real(const mt_random_out *out, int64_t shape[2][MT_MAX_DIMS + 1]);

/* "name" not implemented for 'Long'; -1. */
int mt_random_unsupported(const char *name, mt_dtype dtype);
/* C's cast where it is defined, INT64_MIN (INT32_MIN) elsewhere: what x86 gives PyTorch. */
int64_t mt_random_to_int64(double value);
int32_t mt_random_to_int32(double value);
/* The C++ name of the element type, as PyTorch prints it. */
const char *mt_random_type_name(mt_dtype dtype);
