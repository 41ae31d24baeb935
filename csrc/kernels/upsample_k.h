/* What upsample.c prepares and upsample.k.c runs. Private to upsample. */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "kernels/isa.h"
#include "kernels/scratch.h"

#define MT_UPSAMPLE_TAPS 4

/* Output o is the sum over taps k of weight[k][o] * input[index[k][o]]. */
typedef struct mt_upsample_axis {
    int64_t in, out, taps;
    int32_t *index[MT_UPSAMPLE_TAPS];
    void *weight[MT_UPSAMPLE_TAPS]; /* float or double; nearest modes have none */
} mt_upsample_axis;

typedef struct mt_upsample_job {
    mt_upsample_axis axis[3]; /* z, y, x */
    int64_t rows;             /* of outputs in a unit of work; a plane is cut into `units` */
    int64_t units;
    const void *from;
    void *to;
    mt_scratch scratch;
} mt_upsample_job;

/* Rows of a plane, resampled along x, that a unit keeps: those of neighbouring z and y never share
 * a place. */
#define MT_UPSAMPLE_KEEP_Y 8
#define MT_UPSAMPLE_KEEP_Z 2
#define MT_UPSAMPLE_KEPT (MT_UPSAMPLE_KEEP_Y * MT_UPSAMPLE_KEEP_Z)

/* Parallel bodies: forward over units, gradients over planes. */
typedef void (*mt_upsample_body)(void *job, int64_t begin, int64_t end);

typedef struct mt_upsample_kernels {
    int64_t work_size;
    void (*tables)(mt_upsample_axis *axis, int mode, bool align_corners, double scale);
    mt_upsample_body nearest, weighted, nearest_grad, weighted_grad;
} mt_upsample_kernels;

typedef struct mt_upsample_table {
    const mt_upsample_kernels *f32, *f64, *f16, *bf16, *u8;
} mt_upsample_table;

#define X(isa) extern const mt_upsample_table mt_upsample_table_##isa;
MT_FOR_ISA(X)
#undef X
