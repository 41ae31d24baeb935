/* Prepares resampling: a table of positions and weights per axis. Outputs are shared out by rows,
 * gradients, which meet in the input's elements, by planes. */
#include "kernels/upsample.h"

#include <math.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/upsample_k.h"

static const mt_upsample_kernels *
kernels_of(mt_dtype dtype)
{
    static const mt_upsample_table *const tables[] = MT_ISA_TABLE(&mt_upsample_table);
    const mt_upsample_table *table = tables[mt_cpu_isa()];
    switch (dtype) {
    case MT_FLOAT32: return table->f32;
    case MT_FLOAT64: return table->f64;
    case MT_FLOAT16: return table->f16;
    case MT_BFLOAT16: return table->bf16;
    case MT_UINT8: return table->u8;
    default: return NULL;
    }
}

/* Positions of the nearest modes in the arithmetic of PyTorch's own loops (float32 for every dtype,
 * sizes that are equal or doubled apart from the scale), which it uses for gradients and for small
 * planes of two dimensions; elsewhere it uses the general rule, which `tables` follows. */
static void
nearest_table(mt_upsample_axis *a, bool exact, double scale)
{
    float step = scale > 0 ? (float)(1.0 / scale) : (float)a->in / (float)a->out;
    for (int64_t o = 0; o < a->out; o++) {
        int64_t at = o;
        if (exact)
            at = (int64_t)floorf((float)(((double)o + 0.5) * step));
        else if (a->out == 2 * a->in)
            at = o / 2;
        else if (a->out != a->in)
            at = (int64_t)floorf((float)o * step);
        a->index[0][o] = (int32_t)MT_MIN(at, a->in - 1);
    }
}

static bool
uses_nearest_table(const mt_upsample_shape *u, bool gradient)
{
    if (u->mode != MT_UPSAMPLE_NEAREST && u->mode != MT_UPSAMPLE_NEAREST_EXACT)
        return false;
    return gradient || (u->dims == 2 && u->out[0] + u->out[1] <= 128);
}

static int
resample(mt_dtype dtype, const mt_upsample_shape *u, const void *from, void *to, bool gradient)
{
    const mt_upsample_kernels *kernels = kernels_of(dtype);
    mt_upsample_job j = {.from = from, .to = to};
    bool weighted = u->mode == MT_UPSAMPLE_LINEAR || u->mode == MT_UPSAMPLE_CUBIC;
    mt_upsample_body body = NULL;
    if (kernels != NULL && gradient)
        body = weighted ? kernels->weighted_grad : kernels->nearest_grad;
    else if (kernels != NULL)
        body = weighted ? kernels->weighted : kernels->nearest;
    if (body == NULL)
        return mt_fail(MT_NOT_IMPLEMENTED, "upsampling%s of %s", gradient ? " gradient" : "",
                       mt_dtypes[dtype].name);

    /* Missing dimensions in front are one element long, with one tap of weight 1. */
    int64_t taps = u->mode == MT_UPSAMPLE_CUBIC ? 4 : weighted ? 2 : 1, all = 2;
    int64_t in_count = 1, out_count = 1;
    for (int d = 0; d < 3; d++) {
        int i = d - (3 - u->dims);
        mt_upsample_axis *a = &j.axis[d];
        a->in = i < 0 ? 1 : u->in[i];
        a->out = i < 0 ? 1 : u->out[i];
        a->taps = i < 0 ? 1 : taps;
        all += a->out * a->taps;
        in_count *= a->in;
        out_count *= a->out;
    }
    if (u->planes == 0 || out_count == 0)
        return 0;
    if (in_count > INT32_MAX)
        return mt_fail(MT_RUNTIME, "upsampling of planes of more than 2147483647 elements");
    /* PyTorch's rule, whatever the scale. */
    if (gradient && u->mode == MT_UPSAMPLE_CUBIC && j.axis[1].in == j.axis[1].out &&
        j.axis[2].in == j.axis[2].out && j.axis[0].in == j.axis[0].out) {
        memcpy(to, from, (size_t)(u->planes * out_count) * mt_dtype_size(dtype));
        return 0;
    }
    size_t bytes = (size_t)all * (sizeof(int32_t) + sizeof(double));
    double *block = mt_alloc(bytes);
    if (block == NULL)
        return -1;
    char *weight = (char *)block;
    int32_t *index = (int32_t *)(block + all);
    for (int d = 0; d < 3; d++) {
        mt_upsample_axis *a = &j.axis[d];
        int i = d - (3 - u->dims);
        for (int64_t k = 0; k < a->taps; k++) {
            a->index[k] = index;
            a->weight[k] = weight;
            index += a->out;
            weight += a->out * kernels->work_size;
        }
        if (i >= 0 && uses_nearest_table(u, gradient)) {
            nearest_table(a, u->mode == MT_UPSAMPLE_NEAREST_EXACT, u->scale[i]);
        } else if (i >= 0) {
            kernels->tables(a, u->mode, u->align_corners, u->scale[i]);
        } else {
            a->index[0][0] = 0;
            if (kernels->work_size == 4)
                *(float *)a->weight[0] = 1;
            else
                *(double *)a->weight[0] = 1;
        }
    }

    const mt_upsample_axis *ax = &j.axis[2];
    int64_t rows = j.axis[0].out * j.axis[1].out, units = u->planes, steps = out_count * taps;
    size_t slot = 0;
    if (gradient) {
        slot = (size_t)((ax->in + in_count) * kernels->work_size);
    } else {
        j.rows = MT_MIN(rows, MT_MAX(16, MT_GRAIN / (ax->out * taps)));
        j.units = (rows + j.rows - 1) / j.rows;
        units *= j.units;
        steps /= j.units;
        if (weighted)
            slot = (size_t)((MT_UPSAMPLE_KEPT + 1) * ax->out * kernels->work_size);
    }
    int result = mt_scratch_open(&j.scratch, slot, units);
    if (result == 0)
        mt_parallel_for(units, MT_MAX(1, MT_GRAIN / MT_MAX(1, steps)), body, &j);
    mt_scratch_close(&j.scratch);
    mt_free(block, bytes);
    return result;
}

int
mt_upsample_forward(mt_dtype dtype, const mt_upsample_shape *u, const void *input, void *output)
{
    return resample(dtype, u, input, output, false);
}

int
mt_upsample_grad(mt_dtype dtype, const mt_upsample_shape *u, const void *grad_output,
                 void *grad_input)
{
    return resample(dtype, u, grad_output, grad_input, true);
}
