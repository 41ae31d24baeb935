/* What conv.c plans and conv.k.c runs. Private to conv.
 *
 * Both a convolution and its gradient for the input are correlations: result o along a dimension
 * is the sum over taps of source element o * step + start[tap], times a weight (the gradient of a
 * strided convolution is several such, one per remainder of the position modulo the stride).
 *
 * A tile of the result (whole rows of one image where they fit) is computed from planes: copies of
 * the source, padded with zeros, laid out so that for each tap the elements that a run of results
 * needs are contiguous. So the inner loops know nothing of strides, padding or dilation: for tap k
 * of a channel the source of result p is plane[offset[k] + p].
 *
 *   x   each tap has its own copy ("unrolled"), rows follow each other without gaps, and results
 *       p run on from row to row; or, where a tile is a single row, taps with the same remainder
 *       modulo the step share a copy and differ by a shift
 *   y   taps with the same remainder share a copy and differ by whole rows; or unrolled, where a
 *       tile holds several images
 *   z   each tap has its own copy */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "kernels/isa.h"

/* One dimension of a correlation. */
typedef struct mt_conv_axis {
    int64_t source, target; /* full sizes */
    int64_t count;          /* results; result o lies at o * target_step + target_start */
    int64_t target_step, target_start;
    int64_t step;     /* of the source */
    int64_t num_taps; /* may be 0: results are then the bias alone */
    int64_t *start;   /* [num_taps] */
    int64_t *weight;  /* [num_taps] position in the kernel */
    /* Copies, one for the taps of each remainder of `start` modulo `step`: */
    int64_t num_shared;
    int64_t *shared;       /* [num_taps] the copy of a tap */
    int64_t *shift;        /* [num_taps] and how far into it */
    int64_t *shared_start; /* [num_shared] source element of its first result */
    int64_t most_shift;
    bool unrolled; /* each tap has its own copy instead, made from the shared ones */
} mt_conv_axis;

/* Moves between stored elements and the type computed in; `work` is that type. */
typedef struct mt_conv_element {
    /* work[i] = source[start + i * step] for i < count, 0 outside of [0, size). */
    void (*load)(void *work, const void *source, int64_t start, int64_t step, int64_t count,
                 int64_t size);
    /* target[i * step] = work[i] + bias[0] (bias is a stored element or NULL). */
    void (*store)(void *target, int64_t step, const void *work, int64_t count, const void *bias);
    /* work[(c * taps + t) * results + r] =
     *     weight[r * result_stride + c * channel_stride + position[t]] */
    void (*pack)(void *work, const void *weight, int64_t results, int64_t result_stride,
                 int64_t channels, int64_t channel_stride, int64_t taps, const int64_t *position);
    /* The sum of `count` elements, for a bias' gradient: *sum += it (double, or uint64_t). */
    void (*sum)(void *sum, const void *source, int64_t count);
    int64_t size; /* of a stored element */
} mt_conv_element;

typedef struct mt_conv_plan {
    const struct mt_conv_kernels *kernels;
    const mt_conv_element *element;
    int64_t batch, groups;
    int64_t channels, results; /* of the source and of the target, per group */
    mt_conv_axis axis[3];      /* z, y, x */
    int64_t taps;              /* of all axes */

    /* Tiles: `slabs` planes (image, z) of `rows` rows of `cols` results. */
    int64_t slabs, rows, cols, pixels;
    int64_t slab_tiles, row_tiles, col_tiles, tiles;

    /* Planes of `depth` channels; taps * depth steps of the inner loop. */
    int64_t depth, depth_blocks;
    int64_t pitch, plane_rows, plane, channel_planes; /* in elements; of one channel the last */
    int64_t line, staged;                             /* of a shared row, and of all of them */
    int32_t *offset;                                  /* [depth * taps] */
    int64_t plane_elements;                           /* of the scratch memory */

    int64_t result_block, result_blocks; /* results of one task */

    /* Winograd's way (conv_winograd.tmpl.h): squares of 2 x 2 results, a chunk of them at a time. */
    int64_t squares_down, squares_across, squares; /* of a slab, of all */
    int64_t chunk, chunks;
    /* Elements: of a row of squares, of a chunk, between one V[i], M[i] or U[i] and the next. */
    int64_t squares_line, chunk_line, source_apart, target_apart, weights_apart;

    const char *source, *bias;
    char *target;
    const void *weights; /* packed; of a depthwise convolution [results][taps] */
    bool three_by_three; /* a depthwise kernel of that size, steps of one */
    bool turned;         /* how the weights' gradient is summed up, see conv.tmpl.h */
} mt_conv_plan;

typedef struct mt_conv_kernels {
    int64_t lanes;   /* of a vector */
    int64_t results; /* channels of a register tile */
    int64_t pixels;  /* results of a register tile */
    int64_t work_size;
    /* One tile for one block of channels of the target. */
    void (*tile)(const mt_conv_plan *plan, int64_t group, int64_t tile, int64_t block,
                 void *scratch);
    /* The same with one source channel per group and few results. */
    void (*depthwise)(const mt_conv_plan *plan, int64_t group, int64_t tile, void *scratch);
    /* Adds to `sums` what one tile gives to the weights of a block of results and a block of source
     * channels; `gradient` is shaped as the target. `rows` brings the sums into rows of steps. */
    void (*weight)(const mt_conv_plan *plan, const char *gradient, int64_t group, int64_t tile,
                   int64_t block, int64_t depth_block, void *sums, void *scratch);
    void (*rows)(const mt_conv_plan *plan, const void *sums, int64_t results, int64_t steps,
                 void *to);
    void (*add)(void *sum, const void *term, int64_t count);
    /* NULL where the work type has none. False when the results may be less exact than those of
     * the general way, or are not finite. */
    bool (*winograd)(const mt_conv_plan *plan, int64_t group, int64_t chunk, int64_t block,
                     void *scratch);
    void (*winograd_weights)(const void *taps, int64_t channels, void *to, int64_t distance,
                             int64_t rows);
} mt_conv_kernels;

/* Results that are transformed together; tasks take multiples of it. */
#define MT_CONV_WINOGRAD_RESULTS 48

/* Register tile i of the `count` that a block of `results` channels is cut into: evenly, since the
 * last vector lanes are never idle but a short tile leaves the multipliers waiting. */
MT_INLINE int64_t
mt_conv_cut(int64_t results, int64_t count, int64_t i)
{
    return results * i / count;
}

/* How many copies the planes hold, and which one tap t reads at what distance. */
MT_INLINE int64_t
mt_conv_copies(const mt_conv_axis *a)
{
    return a->unrolled ? a->num_taps : a->num_shared;
}

MT_INLINE int64_t
mt_conv_extra(const mt_conv_axis *a)
{
    return a->unrolled ? 0 : a->most_shift;
}

/* The kernels of each work type and the moves of each stored type; integers have them at the
 * baseline only (NULL elsewhere). */
typedef struct mt_conv_table {
    const mt_conv_kernels *f32, *f64, *u32, *u64;
    const mt_conv_element *as_f32, *as_f64, *as_f16, *as_bf16, *as_u8, *as_u16, *as_u32, *as_u64;
} mt_conv_table;

#define X(isa) extern const mt_conv_table mt_conv_table_##isa;
MT_FOR_ISA(X)
#undef X
