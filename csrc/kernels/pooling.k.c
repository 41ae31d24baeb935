/* The loops of pooling. Bodies are over rows of outputs (a plane's rows, the next plane's) where
 * outputs are independent, and over planes where gradients meet in an element. */
#include "kernels/pooling_k.h"

/* The windows of a row of outputs. */
typedef struct window {
    int64_t plane;
    int64_t origin; /* index where the window of output 0 would begin, perhaps in the padding */
    int64_t first_z, last_z, first_y, last_y; /* taps that are inside */
    int64_t extent_z, extent_y;               /* of the window with its padding */
} window;

static void
inside(const mt_pooling_axis *a, int64_t start, int64_t *first, int64_t *last, int64_t *extent)
{
    *first = start < 0 ? MT_MIN(a->kernel, (-start + a->dilation - 1) / a->dilation) : 0;
    *last = start < a->in ? MT_MIN(a->kernel, (a->in - 1 - start) / a->dilation + 1) : 0;
    *extent = MT_MIN(start + a->kernel, a->in + a->padding) - start;
}

static window
window_of(const mt_pooling_job *j, int64_t row)
{
    const mt_pooling_axis *az = &j->axis[0], *ay = &j->axis[1], *ax = &j->axis[2];
    int64_t y = row % ay->out * ay->stride - ay->padding;
    int64_t z = row / ay->out % az->out * az->stride - az->padding;
    window w = {.plane = row / ay->out / az->out,
                .origin = (z * ay->in + y) * ax->in - ax->padding};
    inside(ay, y, &w.first_y, &w.last_y, &w.extent_y);
    inside(az, z, &w.first_z, &w.last_z, &w.extent_z);
    return w;
}

/* 0 for a window that lies in the padding altogether. */
MT_INLINE int64_t
divisor_of(const mt_pooling_job *j, const window *w, int64_t ox)
{
    const mt_pooling_axis *ax = &j->axis[2];
    int64_t start = ox * ax->stride - ax->padding;
    int64_t width = MT_MIN(start + ax->kernel, ax->in) - MT_MAX(start, 0);
    int64_t count = (w->last_z - w->first_z) * (w->last_y - w->first_y) * MT_MAX(width, 0);
    if (count <= 0)
        return 0;
    if (j->divisor != 0)
        return j->divisor;
    if (!j->count_padding)
        return count;
    return w->extent_z * w->extent_y * (MT_MIN(start + ax->kernel, ax->in + ax->padding) - start);
}

/* ---- types ---- */

#define SAME(v) (v)
#define NEVER(v) false
#define NOT_EQUAL(v) ((v) != (v))

#define S float
#define C float
#define OFFSET int32_t
#define NAME f32
#define READ SAME
#define WRITE SAME
#define LOWEST (-__builtin_inff())
#define IS_NAN NOT_EQUAL
#define AVERAGES
#define FLOATS
#include "kernels/pooling.tmpl.h"
#define S double
#define C double
#define OFFSET int64_t
#define NAME f64
#define READ SAME
#define WRITE SAME
#define LOWEST (-__builtin_inf())
#define IS_NAN NOT_EQUAL
#define AVERAGES
#define FLOATS
#include "kernels/pooling.tmpl.h"
#define S mt_half
#define C float
#define OFFSET int32_t
#define NAME f16
#define READ mt_half_to_float
#define WRITE mt_float_to_half
#define LOWEST (-__builtin_inff())
#define IS_NAN NOT_EQUAL
#define AVERAGES
#define FLOATS
#include "kernels/pooling.tmpl.h"
#define S mt_bfloat16
#define C float
#define OFFSET int32_t
#define NAME bf16
#define READ mt_bfloat16_to_float
#define WRITE mt_float_to_bfloat16
#define LOWEST (-__builtin_inff())
#define IS_NAN NOT_EQUAL
#define AVERAGES
#define FLOATS
#include "kernels/pooling.tmpl.h"

#ifndef MT_HOT_ONLY
#define S uint8_t
#define C int32_t
#define OFFSET int32_t
#define NAME u8
#define READ SAME
#define WRITE (uint8_t)
#define LOWEST INT32_MIN
#define IS_NAN NEVER
#include "kernels/pooling.tmpl.h"
#define S int8_t
#define C int32_t
#define OFFSET int32_t
#define NAME i8
#define READ SAME
#define WRITE (int8_t)
#define LOWEST INT32_MIN
#define IS_NAN NEVER
#include "kernels/pooling.tmpl.h"
#define S int16_t
#define C int32_t
#define OFFSET int32_t
#define NAME i16
#define READ SAME
#define WRITE (int16_t)
#define LOWEST INT32_MIN
#define IS_NAN NEVER
#include "kernels/pooling.tmpl.h"
#define S int32_t
#define C int32_t
#define OFFSET int32_t
#define NAME i32
#define READ SAME
#define WRITE SAME
#define LOWEST INT32_MIN
#define IS_NAN NEVER
#include "kernels/pooling.tmpl.h"
#define S int64_t
#define C int64_t
#define OFFSET int64_t
#define NAME i64
#define READ SAME
#define WRITE SAME
#define LOWEST INT64_MIN
#define IS_NAN NEVER
#define AVERAGES
#include "kernels/pooling.tmpl.h"
#endif

const mt_pooling_table MT_K(mt_pooling_table) = {{
    [MT_FLOAT32] = &f32,
    [MT_FLOAT64] = &f64,
    [MT_FLOAT16] = &f16,
    [MT_BFLOAT16] = &bf16,
#ifndef MT_HOT_ONLY
    [MT_UINT8] = &u8,
    [MT_INT8] = &i8,
    [MT_INT16] = &i16,
    [MT_INT32] = &i32,
    [MT_INT64] = &i64,
#endif
}};
