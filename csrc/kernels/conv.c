/* Plans convolutions and deals out their tiles. The loops are in conv.k.c; conv_k.h explains
 * tiles and planes.
 *
 * Everything a plan decides follows from the shape and the vector width, never from the number of
 * threads; a task writes results of its own, and sums over tasks (the gradient for the weights) are
 * kept apart per portion of the batch and added in order. */
#include "kernels/conv.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/conv_k.h"
#include "kernels/gemm.h"
#include "kernels/scratch.h"

#define STEPS 144        /* of the inner loop per pass: its operands stay in the first cache */
#define WEIGHT_STEPS 288 /* the same of a gradient for the weights */
#define TILE_PIXELS 448  /* results of a tile and channel */
#define WEIGHT_PIXELS 320
#define LONGEST_ROW 512               /* longer rows are cut */
#define SMALL_PLANE 96                /* results; several images share a tile below */
#define SHARED_PIXELS 224             /* results of such a tile */
#define MOST_RESULTS 128              /* channels of a task */
#define SQUARES 64                    /* of a chunk */
#define FEW_SQUARES 36                /* too few to pay for transformed weights */
#define FEW_TASKS 6                   /* cut further below */
#define MANY_TASKS 16                 /* enough */
#define SMALL_WORK ((int64_t)1 << 20) /* multiplications not worth sharing out */

/* A plan and the memory behind it. */
typedef struct job {
    mt_conv_plan plan;
    mt_dtype dtype;
    int64_t *position; /* [taps] of a tap in the kernel */
    void *block;
    size_t block_bytes;
    void *packed;
    size_t packed_bytes;
    int64_t kernel_taps; /* of the whole kernel; a phase of a gradient uses some */
    bool depthwise;
    /* Of the stored weights, for packing: */
    const char *weight;
    int64_t result_stride, channel_stride, group_stride;
    int64_t tasks;
    mt_scratch scratch;
    bool winograd;
    atomic_bool refused; /* Winograd's way does not fit these values */
    /* Gradient for the weights: */
    const char *gradient;
    char *partial;
    int64_t portions;
} job;

static int
choose_kernels(mt_dtype dtype, const mt_conv_kernels **kernels, const mt_conv_element **element)
{
    static const mt_conv_table *const tables[] = MT_ISA_TABLE(&mt_conv_table);
    const mt_conv_table *table = tables[mt_cpu_isa()], *base = tables[MT_ISA_BASELINE];
    switch (dtype) {
#define CASE(ENUM, from, type, as)                                                                 \
    case MT_##ENUM:                                                                                \
        *kernels = from->type;                                                                     \
        *element = from->as;                                                                       \
        return 0;
        CASE(FLOAT32, table, f32, as_f32)
        CASE(FLOAT64, table, f64, as_f64)
        CASE(FLOAT16, table, f32, as_f16)
        CASE(BFLOAT16, table, f32, as_bf16)
        CASE(UINT8, base, u32, as_u8)
        CASE(INT8, base, u32, as_u8)
        CASE(INT16, base, u32, as_u16)
        CASE(INT32, base, u32, as_u32)
        CASE(INT64, base, u64, as_u64)
#undef CASE
    default: return mt_fail(MT_NOT_IMPLEMENTED, "convolution of %s", mt_dtypes[dtype].name);
    }
}

/* ---- axes ---- */

/* Spatial dimension `d` of three, the missing ones in front being one element long. */
typedef struct side {
    int64_t in, out, kernel, stride, padding, dilation;
} side;

static side
side_of(const mt_conv *c, int d)
{
    int i = d - (3 - c->dims);
    if (i < 0)
        return (side){1, 1, 1, 1, 0, 1};
    return (side){c->in[i], c->out[i], c->kernel[i], c->stride[i], c->padding[i], c->dilation[i]};
}

/* A convolution's own axis. */
static void
axis_forward(mt_conv_axis *a, side s)
{
    a->source = s.in;
    a->target = a->count = s.out;
    a->target_step = 1;
    a->target_start = 0;
    a->step = s.stride;
    a->num_taps = s.kernel;
    for (int64_t t = 0; t < s.kernel; t++) {
        a->start[t] = t * s.dilation - s.padding;
        a->weight[t] = t;
    }
}

/* Positions i of the input with (i + padding) % stride == phase: output o meets i by tap t where
 * o * stride + t * dilation == i + padding. With i + padding = j * stride + phase and
 * t * dilation = q * stride + phase that is o = j - q. */
static void
axis_backward(mt_conv_axis *a, side s, int64_t phase)
{
    int64_t first = s.padding > phase ? (s.padding - phase + s.stride - 1) / s.stride : 0;
    a->source = s.out;
    a->target = s.in;
    a->target_step = s.stride;
    a->target_start = first * s.stride + phase - s.padding;
    a->count = a->target_start < s.in ? (s.in - 1 - a->target_start) / s.stride + 1 : 0;
    a->step = 1;
    a->num_taps = 0;
    for (int64_t t = s.kernel - 1; t >= 0; t--) /* sources in ascending order */
        if (t * s.dilation % s.stride == phase) {
            a->start[a->num_taps] = first - t * s.dilation / s.stride;
            a->weight[a->num_taps++] = t;
        }
}

/* Finds the taps that can share a copy. */
static void
share(mt_conv_axis *a)
{
    a->num_shared = 0;
    a->most_shift = 0;
    a->unrolled = false;
    for (int64_t t = 0; t < a->num_taps; t++) {
        int64_t v = 0;
        while (v < a->num_shared && (a->shared_start[v] - a->start[t]) % a->step != 0)
            v++;
        if (v == a->num_shared) {
            a->shared_start[v] = a->start[t];
            a->num_shared++;
        }
        a->shared[t] = v;
        a->shared_start[v] = MT_MIN(a->shared_start[v], a->start[t]);
    }
    for (int64_t t = 0; t < a->num_taps; t++) {
        a->shift[t] = (a->start[t] - a->shared_start[a->shared[t]]) / a->step;
        a->most_shift = MT_MAX(a->most_shift, a->shift[t]);
    }
}

/* A copy per tap where it must be or where it copies less, for tiles of `length` results. */
static void
unroll(mt_conv_axis *a, int64_t length, bool must)
{
    a->unrolled = a->most_shift > 0 &&
                  (must || a->num_shared * (length + a->most_shift) > a->num_taps * length);
}

/* ---- the plan ---- */

static int64_t
div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The length of a part when `length` is cut into as few parts of at most `most` as possible. */
static int64_t
even_part(int64_t length, int64_t most)
{
    return div_up(length, div_up(length, MT_MAX(1, most)));
}

static void
plan_tiles(mt_conv_plan *plan, int64_t pixels, bool rows_alone)
{
    mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    int64_t slabs = plan->batch * z->count;
    plan->slabs = 1;
    plan->rows = 1;
    plan->cols = x->count;
    if (x->count > LONGEST_ROW) {
        int64_t part = even_part(x->count, pixels);
        plan->cols = MT_MIN(x->count, div_up(part, plan->kernels->pixels) * plan->kernels->pixels);
    } else {
        plan->rows = even_part(y->count, pixels / x->count);
        int64_t plane = plan->rows * plan->cols;
        if (plan->rows == y->count && plane < SMALL_PLANE && !rows_alone)
            plan->slabs = even_part(slabs, SHARED_PIXELS / plane);
    }
    plan->pixels = plan->slabs * plan->rows * plan->cols;
    plan->slab_tiles = div_up(slabs, plan->slabs);
    plan->row_tiles = div_up(y->count, plan->rows);
    plan->col_tiles = div_up(x->count, plan->cols);
    plan->tiles = plan->slab_tiles * plan->row_tiles * plan->col_tiles;

    share(z);
    share(y);
    share(x);
    unroll(y, plan->rows, plan->slabs > 1);
    unroll(x, plan->cols, !rows_alone && plan->slabs * plan->rows > 1);
}

/* A plane is an odd number of cache lines, so that neighbouring channels fall into different sets,
 * with room for a vector behind the last row. */
static void
plan_planes(mt_conv_plan *plan)
{
    mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    int64_t in_line = 64 / plan->kernels->work_size, lanes = plan->kernels->lanes;
    plan->pitch = plan->cols + mt_conv_extra(x);
    plan->plane_rows = plan->rows + mt_conv_extra(y);
    int64_t plane = plan->slabs * plan->plane_rows * plan->pitch + lanes;
    plan->plane = (div_up(plane, in_line) | 1) * in_line;
    plan->channel_planes = z->num_taps * mt_conv_copies(y) * mt_conv_copies(x) * plan->plane;
    plan->plane_elements = plan->depth * plan->channel_planes + 4 * lanes;
    plan->line = 0;
    plan->staged = 0;
    if (y->unrolled || x->unrolled) {
        plan->line = plan->cols + x->most_shift + lanes;
        plan->staged = (plan->rows + y->most_shift) * y->num_shared * x->num_shared * plan->line;
        plan->staged = div_up(plan->staged, in_line) * in_line;
    }
}

static void
plan_offsets(mt_conv_plan *plan)
{
    const mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    int64_t at = 0;
    for (int64_t tz = 0; tz < z->num_taps; tz++)
        for (int64_t ty = 0; ty < y->num_taps; ty++)
            for (int64_t tx = 0; tx < x->num_taps; tx++) {
                int64_t cy = y->unrolled ? ty : y->shared[ty];
                int64_t cx = x->unrolled ? tx : x->shared[tx];
                int64_t copy = (tz * mt_conv_copies(y) + cy) * mt_conv_copies(x) + cx;
                plan->offset[at++] = (int32_t)(copy * plan->plane +
                                               (y->unrolled ? 0 : y->shift[ty]) * plan->pitch +
                                               (x->unrolled ? 0 : x->shift[tx]));
            }
    for (; at < plan->taps * plan->depth; at++)
        plan->offset[at] = plan->offset[at - plan->taps] + (int32_t)plan->channel_planes;
}

static int64_t
saturating(int64_t a, int64_t b)
{
    int64_t out;
    return mt_mul_overflows(a, b, &out) ? INT64_MAX : out;
}

/* Multiplications of the whole. */
static int64_t
work_of(const mt_conv_plan *plan)
{
    int64_t places = plan->batch * plan->axis[0].count * plan->axis[1].count * plan->axis[2].count;
    return saturating(saturating(places, plan->groups * plan->results),
                      MT_MAX(1, plan->channels * plan->taps));
}

/* Tasks of one result block each, more blocks where there would be few tasks. */
static void
plan_blocks(mt_conv_plan *plan, int64_t most)
{
    int64_t blocks = div_up(plan->results, most), others = plan->groups * plan->tiles;
    if (work_of(plan) > SMALL_WORK && others * blocks < FEW_TASKS)
        blocks = MT_MIN(div_up(plan->results, 16), div_up(FEW_TASKS, others));
    plan->result_block = div_up(plan->results, MT_MAX(1, blocks));
    plan->result_blocks = div_up(plan->results, plan->result_block);
}

/* Three taps in a row. */
static bool
is_three(const mt_conv_axis *a)
{
    return a->num_taps == 3 && a->step == 1 && a->start[1] == a->start[0] + 1 &&
           a->start[2] == a->start[0] + 2;
}

/* Winograd's way pays with enough channels (the transforms cost as much for each), enough squares
 * (the weights are transformed once for all), and little waste at the edges. float64 is left out:
 * it is used where the last digits count. */
static bool
plan_winograd(mt_conv_plan *plan)
{
    mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    if (plan->kernels->winograd == NULL || z->num_taps != 1 || !is_three(y) || !is_three(x) ||
        y->target_step != 1 || x->target_step != 1 || plan->channels < 32 || plan->results < 32)
        return false;
    int64_t slabs = plan->batch * z->count;
    plan->squares_down = div_up(y->count, 2);
    plan->squares_across = div_up(x->count, 2);
    plan->squares = slabs * plan->squares_down * plan->squares_across;
    if (plan->squares < FEW_SQUARES ||
        slabs * y->count * x->count < plan->squares * 3 /* of 4 results */)
        return false;
    int64_t lanes = plan->kernels->lanes, wide = plan->kernels->pixels;
    plan->chunk = MT_MIN(plan->squares, div_up(even_part(plan->squares, SQUARES), lanes) * lanes);
    plan->chunks = div_up(plan->squares, plan->chunk);
    int64_t in_line = 64 / plan->kernels->work_size; /* odd numbers of cache lines, as for planes */
    plan->squares_line = div_up(plan->squares_across + 1 + lanes, in_line) * in_line;
    plan->chunk_line = (div_up(div_up(plan->chunk, wide) * wide + lanes, in_line) | 1) * in_line;
    plan->source_apart = (plan->channels * plan->chunk_line / in_line | 1) * in_line;
    plan->target_apart = (MT_CONV_WINOGRAD_RESULTS * plan->chunk_line / in_line | 1) * in_line;
    plan->weights_apart = (div_up(plan->results * plan->channels, in_line) | 1) * in_line;
    plan->depth = even_part(plan->channels, STEPS);
    if (plan->chunk_line * STEPS > INT32_MAX)
        return false;
    for (int64_t k = 0; k < plan->depth; k++)
        plan->offset[k] = (int32_t)(k * plan->chunk_line);
    int64_t blocks = 1, others = plan->groups * plan->chunks;
    if (others < FEW_TASKS) /* each block transforms the source for itself */
        blocks = MT_MIN(div_up(plan->results, MT_CONV_WINOGRAD_RESULTS),
                        div_up(FEW_TASKS / 2, others));
    plan->result_block = div_up(div_up(plan->results, blocks), MT_CONV_WINOGRAD_RESULTS) *
                         MT_CONV_WINOGRAD_RESULTS;
    plan->result_blocks = div_up(plan->results, plan->result_block);
    return true;
}

typedef enum purpose { FORWARD, BACKWARD, WEIGHT } purpose;

/* Everything but the pointers to data; `plain` forbids Winograd's way. For BACKWARD, of the
 * positions with remainder `phase`; the job is then empty (tasks == 0) where there are none. */
static int
job_open(job *j, mt_dtype dtype, const mt_conv *c, purpose what, const int64_t phase[3], bool plain)
{
    mt_conv_plan *plan = &j->plan;
    memset(j, 0, sizeof *j);
    if (choose_kernels(dtype, &plan->kernels, &plan->element) < 0)
        return -1;
    plan->batch = c->batch;
    plan->groups = c->groups;
    plan->channels = (what == BACKWARD ? c->out_channels : c->in_channels) / c->groups;
    plan->results = (what == BACKWARD ? c->in_channels : c->out_channels) / c->groups;

    /* Tables: five per axis and tap, a position and an offset per tap and channel of a pass. */
    side sides[3] = {side_of(c, 0), side_of(c, 1), side_of(c, 2)};
    int64_t lines = sides[0].kernel + sides[1].kernel + sides[2].kernel;
    int64_t taps = sides[0].kernel * sides[1].kernel * sides[2].kernel;
    j->kernel_taps = taps;
    j->block_bytes = (size_t)(5 * lines + taps) * sizeof(int64_t) +
                     (size_t)MT_MAX(taps, WEIGHT_STEPS) * sizeof(int32_t);
    j->block = mt_alloc(j->block_bytes);
    if (j->block == NULL)
        return -1;
    int64_t *at = j->block;
    for (int d = 0; d < 3; d++) {
        mt_conv_axis *a = &plan->axis[d];
        int64_t n = sides[d].kernel;
        a->start = at, a->weight = at + n, a->shared = at + 2 * n, a->shift = at + 3 * n;
        a->shared_start = at + 4 * n;
        at += 5 * n;
        if (what == BACKWARD)
            axis_backward(a, sides[d], phase[d]);
        else
            axis_forward(a, sides[d]);
        if (a->count <= 0)
            return 0;
    }
    j->position = at;
    plan->offset = (int32_t *)(at + taps);
    const mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    plan->taps = z->num_taps * y->num_taps * x->num_taps;
    for (int64_t tz = 0, t = 0; tz < z->num_taps; tz++)
        for (int64_t ty = 0; ty < y->num_taps; ty++)
            for (int64_t tx = 0; tx < x->num_taps; tx++)
                j->position[t++] = (z->weight[tz] * sides[1].kernel + y->weight[ty]) *
                                       sides[2].kernel +
                                   x->weight[tx];
    if (plan->batch == 0 || plan->results == 0)
        return 0;

    j->winograd = what != WEIGHT && !plain && plan_winograd(plan);
    if (j->winograd) {
        j->tasks = plan->groups * plan->chunks * plan->result_blocks;
        return 0;
    }

    /* Passes. Without a tap or a channel there are none. */
    if (plan->taps > 0 && plan->channels > 0) {
        int64_t steps = what == WEIGHT ? WEIGHT_STEPS : STEPS;
        plan->depth = even_part(plan->channels, steps / plan->taps);
        plan->depth_blocks = div_up(plan->channels, plan->depth);
    }
    j->depthwise = what != WEIGHT && plan->channels == 1 && plan->results < 4 && plan->taps > 0;
    plan->turned = what == WEIGHT && plan->results >= 4;
    plan_tiles(plan, what == WEIGHT ? WEIGHT_PIXELS : TILE_PIXELS,
               j->depthwise || (what == WEIGHT && !plan->turned));
    plan_planes(plan);
    if (plan->plane_elements > INT32_MAX)
        return mt_fail(MT_RUNTIME, "a convolution with a kernel of %lld elements is too large",
                       (long long)taps);
    plan_offsets(plan);
    plan->three_by_three = j->depthwise && z->num_taps == 1 && is_three(y) && is_three(x) &&
                           !y->unrolled && !x->unrolled;
    plan_blocks(plan, what == WEIGHT ? MOST_RESULTS / 2 : MOST_RESULTS);
    j->tasks = plan->groups * plan->tiles * (j->depthwise ? 1 : plan->result_blocks);
    return 0;
}

static void
job_close(job *j)
{
    if (j->block != NULL)
        mt_free(j->block, j->block_bytes);
    if (j->packed != NULL)
        mt_free(j->packed, j->packed_bytes);
    mt_scratch_close(&j->scratch);
}

/* Chunks of tasks that are worth a thread. */
static int64_t
grain_of(const mt_conv_plan *plan, int64_t tasks)
{
    return MT_MAX(1, SMALL_WORK / MT_MAX(1, work_of(plan) / tasks));
}

/* ---- correlations ---- */

static void
pack_body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    const mt_conv_plan *plan = &j->plan;
    const mt_conv_kernels *kernels = plan->kernels;
    int64_t size = plan->element->size, steps = plan->channels * plan->taps;
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / plan->result_blocks;
        int64_t from = at % plan->result_blocks * plan->result_block;
        int64_t results = MT_MIN(plan->result_block, plan->results - from);
        int64_t parts = j->depthwise ? results : div_up(results, kernels->results);
        for (int64_t i = 0; i < parts; i++) {
            int64_t r = mt_conv_cut(results, parts, i);
            int64_t rows = mt_conv_cut(results, parts, i + 1) - r;
            plan->element->pack(
                (char *)j->packed + (group * plan->results + from + r) * steps * kernels->work_size,
                j->weight + (group * j->group_stride + (from + r) * j->result_stride) * size, rows,
                j->result_stride, plan->channels, j->channel_stride, plan->taps, j->position);
        }
    }
}

static void
tile_body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    const mt_conv_plan *plan = &j->plan;
    void *scratch = mt_scratch_take(&j->scratch);
    for (int64_t at = begin; at < end; at++) {
        if (j->depthwise) {
            plan->kernels->depthwise(plan, at / plan->tiles, at % plan->tiles, scratch);
        } else {
            int64_t block = at % plan->result_blocks, rest = at / plan->result_blocks;
            plan->kernels->tile(plan, rest / plan->tiles, rest % plan->tiles, block, scratch);
        }
    }
    mt_scratch_give(&j->scratch, scratch);
}

static void
winograd_pack_body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    const mt_conv_plan *plan = &j->plan;
    const mt_conv_kernels *kernels = plan->kernels;
    int64_t channels = plan->channels, size = kernels->work_size;
    void *taps = mt_scratch_take(&j->scratch);
    int64_t blocks = div_up(plan->results, MT_CONV_WINOGRAD_RESULTS);
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / blocks, from = at % blocks * MT_CONV_WINOGRAD_RESULTS;
        int64_t results = MT_MIN(MT_CONV_WINOGRAD_RESULTS, plan->results - from);
        int64_t parts = div_up(results, kernels->results);
        for (int64_t part = 0; part < parts; part++) {
            int64_t first = from + mt_conv_cut(results, parts, part);
            int64_t rows = from + mt_conv_cut(results, parts, part + 1) - first;
            plan->element->pack(taps,
                                j->weight + (group * j->group_stride + first * j->result_stride) *
                                                plan->element->size,
                                rows, j->result_stride, channels, j->channel_stride, 9,
                                j->position);
            kernels->winograd_weights(
                taps, channels,
                (char *)j->packed + (group * 16 * plan->weights_apart + first * channels) * size,
                plan->weights_apart, rows);
        }
    }
    mt_scratch_give(&j->scratch, taps);
}

static void
winograd_body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    const mt_conv_plan *plan = &j->plan;
    void *scratch = mt_scratch_take(&j->scratch);
    for (int64_t at = begin; at < end; at++) {
        int64_t block = at % plan->result_blocks, rest = at / plan->result_blocks;
        if (!plan->kernels->winograd(plan, rest / plan->chunks, rest % plan->chunks, block,
                                     scratch))
            atomic_store(&j->refused, true);
    }
    mt_scratch_give(&j->scratch, scratch);
}

static int
correlate_winograd(job *j)
{
    mt_conv_plan *plan = &j->plan;
    const mt_conv_kernels *kernels = plan->kernels;
    int64_t units = plan->groups * div_up(plan->results, MT_CONV_WINOGRAD_RESULTS);
    j->packed_bytes = (size_t)(16 * plan->groups * plan->weights_apart * kernels->work_size);
    j->packed = mt_alloc(j->packed_bytes);
    if (j->packed == NULL)
        return -1;
    int64_t taps = 9 * plan->channels * kernels->results + kernels->lanes;
    if (mt_scratch_open(&j->scratch, (size_t)(taps * kernels->work_size), units) < 0)
        return -1;
    mt_parallel_for(units, 1, winograd_pack_body, j);
    mt_scratch_close(&j->scratch);
    plan->weights = j->packed;
    int64_t all = 10 * plan->squares_line + 16 * (plan->source_apart + plan->target_apart);
    if (mt_scratch_open(&j->scratch, (size_t)(all * kernels->work_size), j->tasks) < 0)
        return -1;
    mt_parallel_for(j->tasks, grain_of(plan, j->tasks), winograd_body, j);
    return 0;
}

/* The strides say where the weights lie; plan and job are complete but for packing and scratch. */
static int
correlate(job *j)
{
    mt_conv_plan *plan = &j->plan;
    const mt_conv_kernels *kernels = plan->kernels;
    if (j->winograd)
        return correlate_winograd(j);
    int64_t weights = plan->groups * plan->results * plan->channels * plan->taps;
    j->packed_bytes = (size_t)(weights * kernels->work_size);
    j->packed = mt_alloc(j->packed_bytes);
    if (j->packed == NULL)
        return -1;
    int64_t units = plan->groups * plan->result_blocks;
    if (weights > 0)
        mt_parallel_for(units, MT_MAX(1, MT_GRAIN * units / weights), pack_body, j);
    plan->weights = j->packed;

    int64_t ld = div_up(plan->pixels, kernels->pixels) * kernels->pixels + 4 * kernels->lanes;
    int64_t rows = j->depthwise ? 1 : plan->result_block;
    if (mt_scratch_open(
            &j->scratch,
            (size_t)((plan->plane_elements + plan->staged + rows * ld) * kernels->work_size),
            j->tasks) < 0)
        return -1;
    mt_parallel_for(j->tasks, grain_of(plan, j->tasks), tile_body, j);
    return 0;
}

/* ---- one tap, steps of one, no padding: matrix products ---- */

/* Integers and the half types' sums over a batch, which must not be rounded in between, are left to
 * the general way. */
static bool
is_pointwise(mt_dtype dtype, const mt_conv *c, purpose what)
{
    for (int d = 0; d < c->dims; d++)
        if (c->kernel[d] != 1 || c->stride[d] != 1 || c->padding[d] != 0 || c->in[d] != c->out[d])
            return false;
    if (c->groups != 1 || c->in_channels == 0 || c->out_channels == 0)
        return false;
    return dtype == MT_FLOAT32 || dtype == MT_FLOAT64 || (mt_is_half(dtype) && what != WEIGHT);
}

static int64_t
places_of(const mt_conv *c)
{
    int64_t places = 1;
    for (int d = 0; d < c->dims; d++)
        places *= c->out[d];
    return places;
}

typedef struct bias_rows {
    mt_dtype dtype;
    int64_t channels, places;
    const char *bias;
    char *target;
} bias_rows;

static void
bias_rows_body(void *ctx, int64_t begin, int64_t end)
{
    const bias_rows *b = ctx;
    for (int64_t at = begin; at < end; at++) {
        size_t size = mt_dtype_size(b->dtype);
        const char *bias = b->bias + (size_t)(at % b->channels) * size;
        char *row = b->target + (size_t)(at * b->places) * size;
#define FILL(type)                                                                                 \
    for (int64_t i = 0; i < b->places; i++)                                                        \
        memcpy(row + i * (int64_t)sizeof(type), bias, sizeof(type));
        if (size == 2) {
            FILL(uint16_t)
        } else if (size == 4) {
            FILL(float)
        } else {
            FILL(double)
        }
#undef FILL
    }
}

/* target [batch, results, places] = op(weight) source + bias. */
static int
pointwise(mt_dtype dtype, mt_trans trans, int64_t batch, int64_t results, int64_t channels,
          int64_t places, const void *weight, const void *source, const void *bias, void *target)
{
    mt_coef beta = MT_COEF(0);
    if (bias != NULL) {
        bias_rows b = {dtype, results, places, bias, target};
        mt_parallel_for(batch * results, MT_MAX(1, MT_GRAIN / MT_MAX(1, places)), bias_rows_body,
                        &b);
        beta = MT_COEF(1);
    }
    return mt_gemm_batched(dtype, trans, MT_TRANS_N, batch, results, places, channels, MT_COEF(1),
                           weight, trans == MT_TRANS_N ? channels : results, 0, source, places,
                           channels * places, beta, target, places, results * places);
}

/* The images one after the other. */
static int
pointwise_weight(mt_dtype dtype, const mt_conv *c, const void *input, const void *gradient,
                 void *target)
{
    int64_t places = places_of(c), size = (int64_t)mt_dtype_size(dtype);
    for (int64_t n = 0; n < c->batch; n++)
        if (mt_gemm(dtype, MT_TRANS_N, MT_TRANS_T, c->out_channels, c->in_channels, places,
                    MT_COEF(1), (const char *)gradient + n * c->out_channels * places * size,
                    places, (const char *)input + n * c->in_channels * places * size, places,
                    n == 0 ? MT_COEF(0) : MT_COEF(1), target, c->in_channels) < 0)
            return -1;
    return 0;
}

static int
run_forward(mt_dtype dtype, const mt_conv *c, const void *input, const void *weight,
            const void *bias, void *output, bool plain, bool *again)
{
    job j;
    int result = job_open(&j, dtype, c, FORWARD, NULL, plain);
    if (result < 0 || j.tasks == 0)
        goto done;
    j.plan.source = input;
    j.plan.target = output;
    j.plan.bias = bias;
    j.weight = weight;
    j.channel_stride = j.kernel_taps;
    j.result_stride = j.plan.channels * j.kernel_taps;
    j.group_stride = j.plan.results * j.result_stride;
    result = correlate(&j);
    *again = atomic_load(&j.refused);
done:
    job_close(&j);
    return result;
}

int
mt_conv_forward(mt_dtype dtype, const mt_conv *c, const void *input, const void *weight,
                const void *bias, void *output)
{
    if (is_pointwise(dtype, c, FORWARD))
        return pointwise(dtype, MT_TRANS_N, c->batch, c->out_channels, c->in_channels, places_of(c),
                         weight, input, bias, output);
    bool again = false;
    int result = run_forward(dtype, c, input, weight, bias, output, false, &again);
    if (result == 0 && again)
        result = run_forward(dtype, c, input, weight, bias, output, true, &again);
    return result;
}

/* The positions with one remainder. */
static int
run_backward(mt_dtype dtype, const mt_conv *c, const int64_t phase[3], const void *grad_output,
             const void *weight, const void *bias, void *grad_input, bool plain, bool *again)
{
    job j;
    int result = job_open(&j, dtype, c, BACKWARD, phase, plain);
    if (result < 0 || j.tasks == 0)
        goto done;
    j.plan.source = grad_output;
    j.plan.target = grad_input;
    j.plan.bias = bias;
    j.weight = weight;
    j.result_stride = j.kernel_taps;
    j.channel_stride = j.plan.results * j.kernel_taps;
    j.group_stride = j.plan.channels * j.channel_stride;
    result = correlate(&j);
    *again = atomic_load(&j.refused);
done:
    job_close(&j);
    return result;
}

int
mt_conv_grad_input(mt_dtype dtype, const mt_conv *c, const void *grad_output, const void *weight,
                   const void *bias, void *grad_input)
{
    if (is_pointwise(dtype, c, BACKWARD))
        return pointwise(dtype, MT_TRANS_T, c->batch, c->in_channels, c->out_channels, places_of(c),
                         weight, grad_output, bias, grad_input);
    int64_t stride[3], phase[3];
    for (int d = 0; d < 3; d++)
        stride[d] = side_of(c, d).stride;
    for (phase[0] = 0; phase[0] < stride[0]; phase[0]++)
        for (phase[1] = 0; phase[1] < stride[1]; phase[1]++)
            for (phase[2] = 0; phase[2] < stride[2]; phase[2]++) {
                bool again = false;
                int result = run_backward(dtype, c, phase, grad_output, weight, bias, grad_input,
                                          false, &again);
                if (result == 0 && again)
                    result = run_backward(dtype, c, phase, grad_output, weight, bias, grad_input,
                                          true, &again);
                if (result < 0)
                    return -1;
            }
    return 0;
}

/* ---- gradient for the weights ---- */

/* Elements of the sums of a task: whole vectors of results. */
static int64_t
sums_of(const mt_conv_plan *plan)
{
    int64_t wide = plan->kernels->pixels;
    return div_up(plan->result_block, wide) * wide * plan->depth * plan->taps;
}

static void
weight_body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    const mt_conv_plan *plan = &j->plan;
    const mt_conv_kernels *kernels = plan->kernels;
    int64_t steps = plan->channels * plan->taps, size = kernels->work_size;
    int64_t most = sums_of(plan) * size;
    char *sums = mt_scratch_take(&j->scratch), *scratch = sums + most;
    for (int64_t at = begin; at < end; at++) {
        int64_t portion = at % j->portions, rest = at / j->portions;
        int64_t d = rest % plan->depth_blocks, block = rest / plan->depth_blocks;
        int64_t group = block / plan->result_blocks;
        block %= plan->result_blocks;
        memset(sums, 0, (size_t)most);
        int64_t tile = mt_conv_cut(plan->tiles, j->portions, portion);
        int64_t end_tile = mt_conv_cut(plan->tiles, j->portions, portion + 1);
        for (; tile < end_tile; tile++)
            kernels->weight(plan, j->gradient, group, tile, block, d, sums, scratch);
        int64_t from = block * plan->result_block;
        int64_t results = MT_MIN(plan->result_block, plan->results - from);
        int64_t channel = d * plan->depth;
        int64_t count = MT_MIN(plan->depth, plan->channels - channel) * plan->taps;
        kernels->rows(plan, sums, results, count, scratch);
        for (int64_t r = 0; r < results; r++) {
            int64_t row = (group * plan->results + from + r) * steps + channel * plan->taps;
            const char *sum = scratch + r * count * size;
            if (j->portions > 1)
                memcpy(j->partial + (portion * plan->groups * plan->results * steps + row) * size,
                       sum, (size_t)(count * size));
            else
                plan->element->store(plan->target + row * plan->element->size, 1, sum, count, NULL);
        }
    }
    mt_scratch_give(&j->scratch, sums);
}

/* Rows of the weights: the portions one after the other. */
static void
join_body(void *ctx, int64_t begin, int64_t end)
{
    job *j = ctx;
    const mt_conv_plan *plan = &j->plan;
    int64_t steps = plan->channels * plan->taps, size = plan->kernels->work_size;
    int64_t all = plan->groups * plan->results * steps, count = (end - begin) * steps;
    char *sum = j->partial + begin * steps * size;
    for (int64_t p = 1; p < j->portions; p++)
        plan->kernels->add(sum, sum + p * all * size, count);
    plan->element->store(plan->target + begin * steps * plan->element->size, 1, sum, count, NULL);
}

int
mt_conv_grad_weight(mt_dtype dtype, const mt_conv *c, const void *input, const void *grad_output,
                    void *grad_weight)
{
    if (is_pointwise(dtype, c, WEIGHT) && c->batch > 0 && places_of(c) > 0)
        return pointwise_weight(dtype, c, input, grad_output, grad_weight);
    job j;
    char *partial = NULL;
    size_t partial_bytes = 0;
    int result = job_open(&j, dtype, c, WEIGHT, NULL, true);
    if (result < 0)
        goto done;
    mt_conv_plan *plan = &j.plan;
    int64_t weights = c->out_channels * (c->in_channels / c->groups) * j.kernel_taps;
    if (j.tasks == 0) {
        memset(grad_weight, 0, (size_t)(weights * plan->element->size));
        goto done;
    }
    plan->source = input;
    plan->target = grad_weight;
    j.gradient = grad_output;
    int64_t units = plan->groups * plan->result_blocks * plan->depth_blocks;
    j.portions = 1;
    if (work_of(plan) > SMALL_WORK)
        j.portions = MT_MAX(1, MT_MIN(plan->tiles, MANY_TASKS / units));
    j.tasks = units * j.portions;
    int64_t size = plan->kernels->work_size;
    if (j.portions > 1) {
        partial_bytes = (size_t)(j.portions * weights * size);
        partial = mt_alloc(partial_bytes);
        if (partial == NULL) {
            result = -1;
            goto done;
        }
        j.partial = partial;
    }
    int64_t room = plan->plane_elements + plan->staged + 2 * plan->kernels->pixels * plan->pixels;
    room = sums_of(plan) + MT_MAX(room, sums_of(plan));
    result = mt_scratch_open(&j.scratch, (size_t)(room * size), j.tasks);
    if (result < 0)
        goto done;
    mt_parallel_for(j.tasks, grain_of(plan, j.tasks), weight_body, &j);
    if (j.portions > 1) {
        int64_t rows = c->out_channels;
        mt_parallel_for(rows, MT_MAX(1, MT_GRAIN * rows / weights), join_body, &j);
    }
done:
    if (partial != NULL)
        mt_free(partial, partial_bytes);
    job_close(&j);
    return result;
}

/* ---- gradient for the bias ---- */

typedef struct bias_job {
    const mt_conv_element *element;
    bool integral;
    mt_dtype dtype;
    int64_t batch, channels, count;
    const char *gradient;
    char *target;
} bias_job;

static void
bias_body(void *ctx, int64_t begin, int64_t end)
{
    const bias_job *j = ctx;
    int64_t size = j->element->size;
    for (int64_t c = begin; c < end; c++) {
        double real = 0;
        uint64_t whole = 0;
        for (int64_t n = 0; n < j->batch; n++)
            j->element->sum(j->integral ? (void *)&whole : (void *)&real,
                            j->gradient + (n * j->channels + c) * j->count * size, j->count);
        float single = (float)real;
        uint32_t word = (uint32_t)whole;
        const void *sum = j->dtype == MT_FLOAT64 ? (const void *)&real
                          : j->dtype == MT_INT64 ? (const void *)&whole
                          : j->integral          ? (const void *)&word
                                                 : (const void *)&single;
        j->element->store(j->target + c * size, 1, sum, 1, NULL);
    }
}

int
mt_conv_grad_bias(mt_dtype dtype, int64_t batch, int64_t channels, int64_t count,
                  const void *grad_output, void *grad_bias)
{
    const mt_conv_kernels *kernels;
    bias_job j = {
        .dtype = dtype,
        .integral = mt_is_integral(dtype, true),
        .batch = batch,
        .channels = channels,
        .count = count,
        .gradient = grad_output,
        .target = grad_bias,
    };
    if (choose_kernels(dtype, &kernels, &j.element) < 0)
        return -1;
    mt_parallel_for(channels, MT_MAX(1, MT_GRAIN / MT_MAX(1, batch * count)), bias_body, &j);
    return 0;
}
