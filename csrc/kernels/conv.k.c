/* The inner loops of convolutions. conv_k.h says what a plan, a tile and a plane are. */
/* mt-flags: -ffp-contract=fast */
#include "kernels/conv_k.h"

/* ---- what does not depend on the type ---- */

/* The part of the result that a tile is. */
typedef struct extent {
    int64_t slab, slabs, row, rows, col, cols, pixels;
} extent;

static extent
extent_of(const mt_conv_plan *plan, int64_t tile)
{
    extent e;
    e.col = tile % plan->col_tiles * plan->cols;
    tile /= plan->col_tiles;
    e.row = tile % plan->row_tiles * plan->rows;
    e.slab = tile / plan->row_tiles * plan->slabs;
    e.cols = MT_MIN(plan->cols, plan->axis[2].count - e.col);
    e.rows = MT_MIN(plan->rows, plan->axis[1].count - e.row);
    e.slabs = MT_MIN(plan->slabs, plan->batch * plan->axis[0].count - e.slab);
    e.pixels = e.slabs * e.rows * e.cols;
    return e;
}

/* Whether `rows` rows of the source are the rows of a plane, one after the other. */
static bool
is_copy(const mt_conv_plan *plan, const extent *e)
{
    const mt_conv_axis *y = &plan->axis[1], *x = &plan->axis[2];
    return x->num_shared == 1 && x->most_shift == 0 && x->step == 1 && x->shared_start[0] == 0 &&
           y->num_shared == 1 && y->step == 1 && e->cols == x->source && plan->pitch == e->cols &&
           e->row + y->shared_start[0] >= 0 &&
           e->row + y->shared_start[0] + e->rows + y->most_shift <= y->source;
}

/* Rows of one source plane (NULL where it is all padding) as the taps share them: copy (vy, vx) of
 * row r at to[vy * y_step + vx * x_step + r * row_step], each shared row extending `extra` beyond
 * what the tile's rows need. */
static void
load_rows(const mt_conv_plan *plan, const extent *e, const char *plane, char *to, int64_t y_step,
          int64_t x_step, int64_t row_step, size_t work_size)
{
    const mt_conv_axis *y = &plan->axis[1], *x = &plan->axis[2];
    int64_t row_bytes = x->source * plan->element->size, size = (int64_t)work_size;
    int64_t rows = e->rows + y->most_shift, cols = e->cols + x->most_shift;
    for (int64_t vy = 0; vy < y->num_shared; vy++)
        for (int64_t row = 0; row < rows; row++) {
            int64_t iy = (e->row + row) * y->step + y->shared_start[vy];
            char *line = to + (vy * y_step + row * row_step) * size;
            for (int64_t vx = 0; vx < x->num_shared; vx++, line += x_step * size)
                if (plane == NULL || iy < 0 || iy >= y->source)
                    memset(line, 0, (size_t)cols * work_size);
                else
                    plan->element->load(line, plane + iy * row_bytes,
                                        e->col * x->step + x->shared_start[vx], x->step, cols,
                                        x->source);
        }
}

/* Where row `row` of slab `s` of a tile lies in one channel of a target-shaped tensor. */
static int64_t
target_row(const mt_conv_plan *plan, const extent *e, int64_t channels, int64_t channel, int64_t s,
           int64_t row)
{
    const mt_conv_axis *z = &plan->axis[0], *y = &plan->axis[1], *x = &plan->axis[2];
    int64_t image = (e->slab + s) / z->count, at = (e->slab + s) % z->count;
    int64_t oz = at * z->target_step + z->target_start;
    int64_t oy = (e->row + row) * y->target_step + y->target_start;
    return (((image * channels + channel) * z->target + oz) * y->target + oy) * x->target +
           e->col * x->target_step + x->target_start;
}

/* Rows that lie one after the other in the target as they do in the tile. */
static bool
runs_on(const mt_conv_plan *plan, const extent *e)
{
    const mt_conv_axis *y = &plan->axis[1], *x = &plan->axis[2];
    return y->target_step == 1 && x->target_step == 1 && e->cols == x->target;
}

static void
store_tile(const mt_conv_plan *plan, const extent *e, int64_t channel, const void *sums,
           size_t work_size)
{
    const char *from = sums, *bias = plan->bias;
    int64_t size = plan->element->size, channels = plan->groups * plan->results;
    int64_t rows = runs_on(plan, e) ? 1 : e->rows, count = e->pixels / e->slabs / rows;
    if (bias != NULL)
        bias += channel * size;
    for (int64_t s = 0; s < e->slabs; s++)
        for (int64_t row = 0; row < rows; row++, from += count * (int64_t)work_size)
            plan->element->store(plan->target +
                                     target_row(plan, e, channels, channel, s, row) * size,
                                 plan->axis[2].target_step, from, count, bias);
}

/* The reverse, from a tensor shaped as the target of a plan with steps of one. */
static void
load_tile(const mt_conv_plan *plan, const extent *e, const char *tensor, int64_t channel,
          void *work, size_t work_size)
{
    char *to = work;
    int64_t size = plan->element->size, channels = plan->groups * plan->results;
    int64_t rows = runs_on(plan, e) ? 1 : e->rows, count = e->pixels / e->slabs / rows;
    for (int64_t s = 0; s < e->slabs; s++)
        for (int64_t row = 0; row < rows; row++, to += count * (int64_t)work_size)
            plan->element->load(to, tensor + target_row(plan, e, channels, channel, s, row) * size,
                                0, 1, count, count);
}

/* ---- types ---- */

/* Register tiles: as many sums as leave room for the operands. */
#if MT_VECTOR_BYTES == 64
#define ROWS 12
#define VECS 2
#elif MT_VECTOR_BYTES == 32
#define ROWS 6
#define VECS 2
#else
#define ROWS 4
#define VECS 2
#endif

#if ROWS == 4
#define FOR_ROWS(X) X(1) X(2) X(3) X(4)
#elif ROWS == 6
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#endif

#define T float
#define NAME f32
#define WINOGRAD
#include "kernels/conv.tmpl.h"
#define T float
#define NAME f32
#include "kernels/conv_winograd.tmpl.h"
#define T double
#define NAME f64
#include "kernels/conv.tmpl.h"

#define SAME(v) (v)
#define S float
#define T float
#define SUM double
#define NAME as_f32
#define READ SAME
#define WRITE SAME
#include "kernels/conv_element.tmpl.h"
#define S double
#define T double
#define SUM double
#define NAME as_f64
#define READ SAME
#define WRITE SAME
#include "kernels/conv_element.tmpl.h"
#define S mt_half
#define T float
#define SUM double
#define NAME as_f16
#define READ mt_half_to_float
#define WRITE mt_float_to_half
#include "kernels/conv_element.tmpl.h"
#define S mt_bfloat16
#define T float
#define SUM double
#define NAME as_bf16
#define READ mt_bfloat16_to_float
#define WRITE mt_float_to_bfloat16
#include "kernels/conv_element.tmpl.h"

#ifndef MT_HOT_ONLY
#define T uint32_t
#define NAME u32
#include "kernels/conv.tmpl.h"
#define T uint64_t
#define NAME u64
#include "kernels/conv.tmpl.h"

#define S uint8_t
#define T uint32_t
#define SUM uint64_t
#define NAME as_u8
#define READ SAME
#define WRITE (uint8_t)
#include "kernels/conv_element.tmpl.h"
#define S uint16_t
#define T uint32_t
#define SUM uint64_t
#define NAME as_u16
#define READ SAME
#define WRITE (uint16_t)
#include "kernels/conv_element.tmpl.h"
#define S uint32_t
#define T uint32_t
#define SUM uint64_t
#define NAME as_u32
#define READ SAME
#define WRITE SAME
#include "kernels/conv_element.tmpl.h"
#define S uint64_t
#define T uint64_t
#define SUM uint64_t
#define NAME as_u64
#define READ SAME
#define WRITE SAME
#include "kernels/conv_element.tmpl.h"
#endif

const mt_conv_table MT_K(mt_conv_table) = {
    .f32 = &f32,
    .f64 = &f64,
    .as_f32 = &as_f32,
    .as_f64 = &as_f64,
    .as_f16 = &as_f16,
    .as_bf16 = &as_bf16,
#ifndef MT_HOT_ONLY
    .u32 = &u32,
    .u64 = &u64,
    .as_u8 = &as_u8,
    .as_u16 = &as_u16,
    .as_u32 = &as_u32,
    .as_u64 = &as_u64,
#endif
};
