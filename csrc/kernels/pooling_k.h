/* What pool.c prepares and pool.k.c runs. Private to pool. */
#pragma once

#include <stdatomic.h>

#include "base/base.h"
#include "base/dtype.h"
#include "kernels/isa.h"

typedef struct mt_pooling_axis {
    int64_t in, out, kernel, stride, padding, dilation;
} mt_pooling_axis;

typedef struct mt_pooling_job {
    mt_pooling_axis axis[3];     /* z, y, x */
    int64_t in_count, out_count; /* of a plane */
    const void *from;
    void *to;
    int64_t *indices;
    const int64_t *given; /* indices that are read */
    bool count_padding;
    int64_t divisor;
    /* [kernel x] the outputs of a row for which the tap is inside; of adaptive pools, [out x] the
     * elements of an output. */
    const int64_t *first, *last;
    atomic_bool has_bad_index;
    _Atomic int64_t bad_index; /* one that is outside of the plane */
} mt_pooling_job;

/* The part of an axis that adaptive output `o` covers. */
MT_INLINE int64_t
mt_pooling_start(const mt_pooling_axis *a, int64_t o)
{
    return o / a->out * a->in + o % a->out * a->in / a->out;
}

MT_INLINE int64_t
mt_pooling_end(const mt_pooling_axis *a, int64_t o)
{
    return 1 + ((o + 1) * a->in - 1) / a->out;
}

/* A parallel body over rows of outputs ("rows", all planes' one after the other) or planes. */
typedef void (*mt_pooling_body)(void *job, int64_t begin, int64_t end);

typedef struct mt_pooling_kernels {
    mt_pooling_body max_rows, adaptive_max_rows;
    /* Floats; avg_rows and avg_planes int64 too. */
    mt_pooling_body avg_rows, adaptive_avg_rows;
    mt_pooling_body max_planes, avg_planes, adaptive_avg_planes; /* gradients */
} mt_pooling_kernels;

/* By dtype; NULL where a level leaves the dtype to the baseline or there is none. */
typedef struct mt_pooling_table {
    const mt_pooling_kernels *of[MT_NUM_DTYPES];
} mt_pooling_table;

#define X(isa) extern const mt_pooling_table mt_pooling_table_##isa;
MT_FOR_ISA(X)
#undef X
