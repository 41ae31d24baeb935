/* Sampling images at places: grid_sample and the grids of affine maps.
 *
 * A place is a point of the input in pixels, after unnormalising and the treatment of places
 * outside. The loops work in float32 or float64 with any strides turned contiguous; two and three
 * dimensions share one body, a missing depth being one element long. */
#include <math.h>

#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

enum { BILINEAR, NEAREST, BICUBIC };
enum { ZEROS, BORDER, REFLECTION };

typedef struct job {
    int dims, mode, border;
    bool align;
    int64_t batch, channels, in[3], out[3]; /* depth, height, width */
    const void *input, *grid, *grad;
    void *output, *grad_input, *grad_grid;
} job;

/* A point along one axis in pixels, and by what its slope is multiplied in *slope. */
static double
unnormalise(double x, int64_t size, bool align, double *slope)
{
    if (align) {
        *slope = (double)(size - 1) / 2;
        return (x + 1) / 2 * (double)(size - 1);
    }
    *slope = (double)size / 2;
    return ((x + 1) * (double)size - 1) / 2;
}

static double
clip(double x, int64_t size, double *slope)
{
    double last = (double)(size - 1);
    if (x <= 0) {
        *slope = 0;
        return 0;
    }
    if (x >= last) {
        *slope = 0;
        return last;
    }
    return x;
}

/* Mirrors at both ends (twice_low / 2 and twice_high / 2). */
static double
reflect(double x, int64_t twice_low, int64_t twice_high, double *slope)
{
    if (twice_low == twice_high) {
        *slope = 0;
        return 0;
    }
    double low = (double)twice_low / 2, span = (double)(twice_high - twice_low) / 2, sign = 1;
    x -= low;
    if (x < 0) {
        sign = -1;
        x = -x;
    }
    double extra = fmod(x, span);
    int64_t flips = (int64_t)floor(x / span);
    if (flips % 2 == 0) {
        *slope *= sign;
        return extra + low;
    }
    *slope *= -sign;
    return span - extra + low;
}

static double
inside(double x, int64_t size, int border, bool align, double *slope)
{
    if (border == BORDER)
        x = clip(x, size, slope);
    else if (border == REFLECTION) {
        x = align ? reflect(x, 0, 2 * (size - 1), slope) : reflect(x, -1, 2 * size - 1, slope);
        x = clip(x, size, slope);
    }
    /* what cannot be an index (NaN, too large) lies outside */
    return x > (double)INT32_MAX - 1 || x < INT32_MIN || !isfinite(x) ? -100 : x;
}

static void
cubic_weights(double t, double *w, double *d)
{
    const double a = -0.75;
    for (int i = 0; i < 4; i++) {
        double x = i == 0 ? t + 1 : i == 1 ? t : i == 2 ? 1 - t : 2 - t, sign = i < 2 ? 1 : -1;
        if (i == 1 || i == 2) {
            w[i] = ((a + 2) * x - (a + 3)) * x * x + 1;
            d[i] = sign * (3 * (a + 2) * x - 2 * (a + 3)) * x;
        } else {
            w[i] = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
            d[i] = sign * ((3 * a * x - 10 * a) * x + 8 * a);
        }
    }
}

/* Taps along one axis for a grid coordinate: index (-1 outside), weight, slope of the weight. */
typedef struct axis_taps {
    int n;
    int64_t at[4];
    double weight[4], slope[4];
} axis_taps;

static void
find_taps(const job *j, double g, int64_t size, axis_taps *t)
{
    double slope = 1;
    double x = unnormalise(g, size, j->align, &slope);
    if (j->mode == BICUBIC) {
        double base = floor(x), ignored = 1, d[4];
        cubic_weights(x - base, t->weight, d);
        t->n = 4;
        for (int i = 0; i < 4; i++) {
            double at = inside(base - 1 + i, size, j->border, j->align, &ignored);
            t->at[i] = at >= 0 && at < (double)size ? (int64_t)at : -1;
            t->slope[i] = d[i] * slope;
        }
        return;
    }
    x = inside(x, size, j->border, j->align, &slope);
    if (j->mode == NEAREST) {
        double at = nearbyint(x);
        t->n = 1;
        t->at[0] = at >= 0 && at < (double)size ? (int64_t)at : -1;
        t->weight[0] = 1;
        t->slope[0] = 0;
        return;
    }
    double base = floor(x);
    int64_t at = (int64_t)base;
    t->n = 2;
    for (int i = 0; i < 2; i++)
        t->at[i] = at + i >= 0 && at + i < size ? at + i : -1;
    t->weight[0] = base + 1 - x;
    t->weight[1] = x - base;
    t->slope[0] = -slope;
    t->slope[1] = slope;
}

static void
place_taps(const job *j, const double *g, axis_taps *t)
{
    /* the grid says x first */
    for (int d = 0; d < 3; d++)
        if (d < 3 - j->dims) {
            t[d] = (axis_taps){.n = 1, .at = {0}, .weight = {1}, .slope = {0}};
        } else {
            find_taps(j, g[2 - d], j->in[d], &t[d]);
        }
}

#define GRID_BODIES(name, T)                                                                       \
    static void sample_##name(void *ctx, int64_t begin, int64_t end)                               \
    {                                                                                              \
        const job *j = ctx;                                                                        \
        int64_t count = j->out[0] * j->out[1] * j->out[2], plane = j->in[0] * j->in[1] * j->in[2]; \
        for (int64_t i = begin; i < end; i++) {                                                    \
            int64_t n = i / count, p = i % count;                                                  \
            double g[3] = {0};                                                                     \
            axis_taps t[3];                                                                        \
            for (int d = 0; d < j->dims; d++)                                                      \
                g[d] = (double)((const T *)j->grid)[i * j->dims + d];                              \
            place_taps(j, g, t);                                                                   \
            for (int64_t c = 0; c < j->channels; c++) {                                            \
                const T *from = (const T *)j->input + (n * j->channels + c) * plane;               \
                double sum = 0;                                                                    \
                for (int z = 0; z < t[0].n; z++)                                                   \
                    for (int y = 0; y < t[1].n; y++)                                               \
                        for (int x = 0; x < t[2].n; x++)                                           \
                            if (t[0].at[z] >= 0 && t[1].at[y] >= 0 && t[2].at[x] >= 0)             \
                                sum += t[0].weight[z] * t[1].weight[y] * t[2].weight[x] *          \
                                       (double)from[(t[0].at[z] * j->in[1] + t[1].at[y]) *         \
                                                        j->in[2] + t[2].at[x]];                    \
                ((T *)j->output)[(n * j->channels + c) * count + p] = (T)sum;                      \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    /* One image of the batch is a unit: its gradient is added to by all of its places. */         \
    static void spread_##name(void *ctx, int64_t begin, int64_t end)                               \
    {                                                                                              \
        const job *j = ctx;                                                                        \
        int64_t count = j->out[0] * j->out[1] * j->out[2], plane = j->in[0] * j->in[1] * j->in[2]; \
        for (int64_t i = begin * count; i < end * count; i++) {                                    \
            int64_t n = i / count, p = i % count;                                                  \
            double g[3] = {0}, slope[3] = {0};                                                     \
            axis_taps t[3];                                                                        \
            for (int d = 0; d < j->dims; d++)                                                      \
                g[d] = (double)((const T *)j->grid)[i * j->dims + d];                              \
            place_taps(j, g, t);                                                                   \
            for (int64_t c = 0; c < j->channels; c++) {                                            \
                int64_t start = (n * j->channels + c) * plane;                                     \
                double by = (double)((const T *)j->grad)[(n * j->channels + c) * count + p];       \
                for (int z = 0; z < t[0].n; z++)                                                   \
                    for (int y = 0; y < t[1].n; y++)                                               \
                        for (int x = 0; x < t[2].n; x++) {                                         \
                            if (t[0].at[z] < 0 || t[1].at[y] < 0 || t[2].at[x] < 0)                \
                                continue;                                                          \
                            int64_t at = start + (t[0].at[z] * j->in[1] + t[1].at[y]) * j->in[2] + \
                                         t[2].at[x];                                               \
                            double wz = t[0].weight[z], wy = t[1].weight[y], wx = t[2].weight[x];  \
                            double v = (double)((const T *)j->input)[at] * by;                     \
                            if (j->grad_input)                                                     \
                                ((T *)j->grad_input)[at] += (T)(wz * wy * wx * by);                \
                            slope[0] += wz * wy * t[2].slope[x] * v;                               \
                            slope[1] += wz * t[1].slope[y] * wx * v;                               \
                            slope[2] += t[0].slope[z] * wy * wx * v;                               \
                        }                                                                          \
            }                                                                                      \
            for (int d = 0; d < j->dims && j->grad_grid; d++)                                      \
                ((T *)j->grad_grid)[i * j->dims + d] = (T)slope[d];                                \
        }                                                                                          \
    }
GRID_BODIES(f32, float)
GRID_BODIES(f64, double)

/* ---- checks ------------------------------------------------------------------------------- */

static int
check_common(const mt_tensor *input, const mt_tensor *grid)
{
    if (input->device.type != grid->device.type)
        return mt_fail(MT_RUNTIME,
                       "grid_sampler(): expected input and grid to be on same device, but input is on %s "
                       "and grid is on %s",
                       mt_device_str(input->device), mt_device_str(grid->device));
    if (input->ndim < 1 || grid->ndim < 1 || input->sizes[0] != grid->sizes[0])
        return mt_fail(MT_RUNTIME,
                       "grid_sampler(): expected grid and input to have same batch size, but got input "
                       "with sizes %s and grid with sizes %s",
                       mt_shape_str(input), mt_shape_str(grid));
    if (grid->sizes[grid->ndim - 1] != input->ndim - 2)
        return mt_fail(MT_RUNTIME,
                       "grid_sampler(): expected grid to have size %d in last dimension, but got grid with "
                       "sizes %s",
                       input->ndim - 2, mt_shape_str(grid));
    for (int d = 2; d < input->ndim; d++)
        if (input->sizes[d] <= 0)
            return mt_fail(MT_RUNTIME,
                           "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                           "has sizes %s with dimension %d being empty",
                           mt_shape_str(input), d);
    return 0;
}

static int
check(const mt_tensor *input, const mt_tensor *grid, int dims, int64_t mode)
{
    if (check_common(input, grid) < 0)
        return -1;
    if (input->ndim != dims + 2 || grid->ndim != dims + 2)
        return mt_fail(MT_RUNTIME,
                       "grid_sampler(): expected %dD input and grid with same number of dimensions, but got "
                       "input with sizes %s and grid with sizes %s",
                       dims + 2, mt_shape_str(input), mt_shape_str(grid));
    if (dims == 3 && mode == BICUBIC)
        return mt_fail(MT_RUNTIME, "grid_sampler(): bicubic interpolation only supports 4D input");
    return 0;
}

mt_tensor *
op_grid_sampler(mt_tensor *input, mt_tensor *grid, int64_t mode, int64_t padding, bool align)
{
    if (check_common(input, grid) < 0)
        return NULL;
    if ((input->ndim != 4 && input->ndim != 5) || input->ndim != grid->ndim)
        return mt_fail_null(MT_RUNTIME,
                            "grid_sampler(): expected 4D or 5D input and grid with same number of "
                            "dimensions, but got input with sizes %s and grid with sizes %s",
                            mt_shape_str(input), mt_shape_str(grid));
    return input->ndim == 4 ? aten_grid_sampler_2d(input, grid, mode, padding, align)
                            : aten_grid_sampler_3d(input, grid, mode, padding, align);
}

static void
describe(job *j, const mt_tensor *input, const mt_tensor *grid, int dims, int64_t mode, int64_t border,
         bool align)
{
    memset(j, 0, sizeof *j);
    j->dims = dims;
    j->mode = (int)mode;
    j->border = (int)border;
    j->align = align;
    j->batch = input->sizes[0];
    j->channels = input->sizes[1];
    j->in[0] = j->out[0] = 1;
    for (int d = 0; d < dims; d++) {
        j->in[3 - dims + d] = input->sizes[2 + d];
        j->out[3 - dims + d] = grid->sizes[1 + d];
    }
}

/* Packed, in the dtype that the loops work in. */
static mt_tensor *
packed(mt_tensor *t, mt_dtype work)
{
    if (t->dtype == work)
        return mt_contiguous_data(t, false);
    mt_tensor *r = mt_empty(t->ndim, t->sizes, NULL, work, t->device);
    if (r && mt_copy_data(r, t) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

static int
sampled_meta(mt_call *call, mt_tensor *input, mt_tensor *grid, int dims, int64_t mode)
{
    int64_t sizes[5];
    if (check(input, grid, dims, mode) < 0)
        return -1;
    sizes[0] = input->sizes[0];
    sizes[1] = input->sizes[1];
    for (int d = 0; d < dims; d++)
        sizes[2 + d] = grid->sizes[1 + d];
    return mt_set_output(call, 0, dims + 2, sizes, NULL, (mt_dtype)input->dtype, input->device);
}

static int
sampled(mt_call *call, mt_tensor *input, mt_tensor *grid, int dims, int64_t mode, int64_t border,
        bool align)
{
    mt_tensor *out = mt_out(call, 0);
    mt_dtype dtype = (mt_dtype)input->dtype, work = dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    if (!mt_is_floating(dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"grid_sampler_%dd_cpu\" not implemented for '%s'", dims,
                       mt_dtypes[dtype].scalar_name);
    if (grid->dtype != dtype)
        return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s", mt_dtypes[dtype].scalar_name,
                       mt_dtypes[grid->dtype].scalar_name);
    mt_tensor *x = packed(input, work), *g = packed(grid, work);
    mt_tensor *r = work == dtype ? mt_keep(out) : mt_empty(out->ndim, out->sizes, NULL, work, out->device);
    int rc = x && g && r ? 0 : -1;
    if (rc == 0 && out->numel) {
        job j;
        describe(&j, input, grid, dims, mode, border, align);
        j.input = mt_data(x);
        j.grid = mt_data(g);
        j.output = mt_data(r);
        int64_t places = j.batch * j.out[0] * j.out[1] * j.out[2];
        mt_parallel_for(places, MT_MAX(1, MT_GRAIN / (16 * MT_MAX(1, j.channels))),
                        work == MT_FLOAT32 ? sample_f32 : sample_f64, &j);
        if (r != out)
            rc = mt_copy_data(out, r);
    }
    mt_xrelease(x);
    mt_xrelease(g);
    mt_xrelease(r);
    return rc;
}

static int
gradients(mt_tensor *grad, mt_tensor *input, mt_tensor *grid, int dims, int64_t mode, int64_t border,
          bool align, const int64_t *mask, mt_tensor **ret0, mt_tensor **ret1)
{
    if (check(input, grid, dims, mode) < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)input->dtype, work = dtype == MT_FLOAT64 ? MT_FLOAT64 : MT_FLOAT32;
    mt_tensor *gi = mask[0] ? mt_empty(input->ndim, input->sizes, NULL, work, input->device) : NULL;
    mt_tensor *gg = mask[1] ? mt_empty(grid->ndim, grid->sizes, NULL, work, grid->device) : NULL;
    mt_tensor *x = packed(input, work), *g = packed(grid, work), *by = packed(grad, work);
    int rc = x && g && by && (gi || !mask[0]) && (gg || !mask[1]) ? 0 : -1;
    if (rc == 0 && gi)
        rc = mt_fill_data(gi, mt_v_int(0));
    if (rc == 0 && gg)
        rc = mt_fill_data(gg, mt_v_int(0));
    if (rc == 0 && input->numel && grad->numel && !mt_is_meta(input)) {
        job j;
        describe(&j, input, grid, dims, mode, border, align);
        j.input = mt_data(x);
        j.grid = mt_data(g);
        j.grad = mt_data(by);
        j.grad_input = gi ? mt_data(gi) : NULL;
        j.grad_grid = gg ? mt_data(gg) : NULL;
        mt_parallel_for(j.batch, 1, work == MT_FLOAT32 ? spread_f32 : spread_f64, &j);
    }
    mt_tensor *made[2] = {gi, gg}, **rets[2] = {ret0, ret1};
    for (int i = 0; i < 2; i++) {
        *rets[i] = NULL;
        if (rc == 0 && made[i]) {
            *rets[i] = aten_to_dtype(made[i], dtype, false, false, MT_FORMAT_NONE);
            rc = *rets[i] ? 0 : -1;
        }
        mt_xrelease(made[i]);
    }
    mt_xrelease(x);
    mt_xrelease(g);
    mt_xrelease(by);
    return rc;
}

#define GRID_SAMPLER(N)                                                                            \
    int grid_sampler_##N##d_meta(mt_call *call, mt_tensor *input, mt_tensor *grid, int64_t mode,   \
                                 int64_t padding, bool align)                                      \
    {                                                                                              \
        (void)padding;                                                                             \
        (void)align;                                                                               \
        return sampled_meta(call, input, grid, N, mode);                                           \
    }                                                                                              \
    int grid_sampler_##N##d_impl(mt_call *call, mt_tensor *input, mt_tensor *grid, int64_t mode,   \
                                 int64_t padding, bool align)                                      \
    {                                                                                              \
        return sampled(call, input, grid, N, mode, padding, align);                                \
    }                                                                                              \
    int op_grid_sampler_##N##d_backward(mt_tensor *grad, mt_tensor *input, mt_tensor *grid,        \
                                        int64_t mode, int64_t padding, bool align,                 \
                                        const int64_t *mask, int64_t mask_n, mt_tensor **ret0,     \
                                        mt_tensor **ret1)                                          \
    {                                                                                              \
        (void)mask_n;                                                                              \
        return gradients(grad, input, grid, N, mode, padding, align, mask, ret0, ret1);            \
    }
GRID_SAMPLER(2)
GRID_SAMPLER(3)

/* ---- grids of affine maps ----------------------------------------------------------------- */

/* [places, dims + 1]: the coordinates of every output pixel, x first, and a one. */
static mt_tensor *
base_grid(const mt_tensor *like, const int64_t *size, int dims, bool align)
{
    int64_t places = 1, shape[2];
    for (int d = 0; d < dims; d++)
        places *= size[2 + d];
    shape[0] = places;
    shape[1] = dims + 1;
    mt_tensor *wide = mt_empty(2, shape, NULL, MT_FLOAT64, MT_CPU_DEVICE), *r = NULL;
    if (!wide)
        return NULL;
    double *p = mt_data(wide);
    for (int64_t i = 0; i < places; i++) {
        int64_t rest = i;
        for (int k = 0; k < dims; k++) {
            int64_t n = size[1 + dims - k], at = rest % n;
            rest /= n;
            p[i * (dims + 1) + k] = n <= 1  ? 0
                                    : align ? 2 * (double)at / (double)(n - 1) - 1
                                            : (2 * (double)at + 1) / (double)n - 1;
        }
        p[i * (dims + 1) + dims] = 1;
    }
    r = mt_empty(2, shape, NULL, (mt_dtype)like->dtype, like->device);
    if (r && !mt_is_meta(r) && mt_copy_data(r, wide) < 0) {
        mt_release(r);
        r = NULL;
    }
    mt_release(wide);
    return r;
}

mt_tensor *
op_affine_grid_generator(mt_tensor *theta, const int64_t *size, int64_t n, bool align)
{
    if (n != 4 && n != 5)
        return mt_fail_null(MT_RUNTIME, "AffineGridGenerator needs 4d (spatial) or 5d (volumetric) inputs.");
    int dims = (int)n - 2;
    int64_t shape[5] = {size[0], size[2], size[3], n == 5 ? size[4] : 2, 3};
    mt_tensor *base = base_grid(theta, size, dims, align), *t = base ? aten_transpose_int(theta, 1, 2) : NULL;
    mt_tensor *r = t ? aten_matmul(base, t) : NULL, *shaped = r ? aten_view(r, shape, n) : NULL;
    mt_xrelease(base);
    mt_xrelease(t);
    mt_xrelease(r);
    return shaped;
}

mt_tensor *
op_affine_grid_generator_backward(mt_tensor *grad, const int64_t *size, int64_t n, bool align)
{
    int dims = (int)n - 2;
    int64_t flat[3] = {size[0], -1, dims};
    mt_tensor *base = base_grid(grad, size, dims, align), *g = base ? aten_reshape(grad, flat, 3) : NULL;
    mt_tensor *t = g ? aten_transpose_int(g, 1, 2) : NULL, *r = t ? aten_matmul(t, base) : NULL;
    mt_xrelease(base);
    mt_xrelease(g);
    mt_xrelease(t);
    return r;
}
