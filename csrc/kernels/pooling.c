/* Prepares pooling and shares it out: by rows of outputs where they are independent, by planes
 * where gradients meet in an element, so that sums are taken in one order only. */
#include "kernels/pooling.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/pooling_k.h"

static const mt_pooling_kernels *
kernels_of(mt_dtype dtype)
{
    static const mt_pooling_table *const tables[] = MT_ISA_TABLE(&mt_pooling_table);
    const mt_pooling_kernels *kernels = tables[mt_cpu_isa()]->of[dtype];
    return kernels != NULL ? kernels : tables[MT_ISA_BASELINE]->of[dtype];
}

/* Missing dimensions in front are one element long. Adaptive pools have no kernel. */
static mt_pooling_job
job_of(const mt_pooling *p, bool adaptive)
{
    mt_pooling_job j = {.in_count = 1, .out_count = 1};
    for (int d = 0; d < 3; d++) {
        int i = d - (3 - p->dims);
        mt_pooling_axis a = {1, 1, 1, 1, 0, 1};
        if (i >= 0) {
            a.in = p->in[i], a.out = p->out[i];
            if (!adaptive) {
                a.kernel = p->kernel[i], a.stride = p->stride[i];
                a.padding = p->padding[i], a.dilation = p->dilation[i];
            }
        }
        j.axis[d] = a;
        j.in_count *= a.in;
        j.out_count *= a.out;
    }
    return j;
}

/* Which outputs of a row meet each tap inside of the input. */
static void
fill_reach(const mt_pooling_axis *a, int64_t *first, int64_t *last)
{
    for (int64_t k = 0; k < a->kernel; k++) {
        int64_t shift = k * a->dilation - a->padding; /* output o is at o * stride + shift */
        first[k] = shift < 0 ? MT_MIN(a->out, (-shift + a->stride - 1) / a->stride) : 0;
        last[k] = shift < a->in ? MT_MIN(a->out, (a->in - 1 - shift) / a->stride + 1) : 0;
    }
}

typedef enum kind { WINDOWS, ADAPTIVE, SCATTER } kind;

static int
run(mt_pooling_body body, const char *what, mt_dtype dtype, const mt_pooling *p, mt_pooling_job *j,
    kind how, bool by_rows)
{
    if (body == NULL)
        return mt_fail(MT_NOT_IMPLEMENTED, "%s of %s", what, mt_dtypes[dtype].name);
    const mt_pooling_axis *ax = &j->axis[2];
    int64_t *reach = NULL, length = how == WINDOWS ? ax->kernel : how == ADAPTIVE ? ax->out : 0;
    size_t bytes = (size_t)(2 * length) * sizeof *reach;
    if (length > 0) {
        reach = mt_alloc(bytes);
        if (reach == NULL)
            return -1;
        j->first = reach;
        j->last = reach + length;
    }
    if (how == WINDOWS)
        fill_reach(ax, reach, reach + length);
    else
        for (int64_t o = 0; o < length; o++) {
            reach[o] = mt_pooling_start(ax, o);
            reach[length + o] = mt_pooling_end(ax, o);
        }
    /* A step is an element read or written. */
    int64_t taps = j->axis[0].kernel * j->axis[1].kernel * ax->kernel;
    int64_t steps = MT_MAX(j->in_count, j->out_count * taps);
    int64_t units = 1;
    if (by_rows) {
        units = j->axis[0].out * j->axis[1].out;
        if (ax->out == 0)
            units = 0;
    }
    if (units > 0)
        mt_parallel_for(p->planes * units, MT_MAX(1, MT_GRAIN / MT_MAX(1, steps / units)), body, j);
    if (reach != NULL)
        mt_free(reach, bytes);
    return 0;
}

int
mt_max_pool(mt_dtype dtype, const mt_pooling *p, const void *input, void *output, int64_t *indices)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, false);
    if (j.in_count > INT32_MAX && dtype != MT_FLOAT64 && dtype != MT_INT64)
        return mt_fail(MT_RUNTIME, "max_pool of planes of more than 2147483647 elements");
    j.from = input, j.to = output, j.indices = indices;
    return run(kernels ? kernels->max_rows : NULL, "max_pool", dtype, p, &j, WINDOWS, true);
}

int
mt_adaptive_max_pool(mt_dtype dtype, const mt_pooling *p, const void *input, void *output,
                     int64_t *indices)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, true);
    j.from = input, j.to = output, j.indices = indices;
    return run(kernels ? kernels->adaptive_max_rows : NULL, "adaptive_max_pool", dtype, p, &j,
               ADAPTIVE, true);
}

int
mt_max_pool_grad(mt_dtype dtype, const mt_pooling *p, const void *grad_output,
                 const int64_t *indices, void *grad_input)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, true);
    j.from = grad_output, j.to = grad_input, j.given = indices;
    if (run(kernels ? kernels->max_planes : NULL, "max_pool gradient", dtype, p, &j, SCATTER,
            false) < 0)
        return -1;
    if (atomic_load(&j.has_bad_index))
        return mt_fail(MT_RUNTIME, "max_pool gradient: index %lld is outside of a plane of %lld",
                       (long long)atomic_load(&j.bad_index), (long long)j.in_count);
    return 0;
}

int
mt_avg_pool(mt_dtype dtype, const mt_pooling *p, bool count_padding, int64_t divisor,
            const void *input, void *output)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, false);
    j.from = input, j.to = output, j.count_padding = count_padding, j.divisor = divisor;
    return run(kernels ? kernels->avg_rows : NULL, "avg_pool", dtype, p, &j, WINDOWS, true);
}

int
mt_avg_pool_grad(mt_dtype dtype, const mt_pooling *p, bool count_padding, int64_t divisor,
                 const void *grad_output, void *grad_input)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, false);
    j.from = grad_output, j.to = grad_input;
    j.count_padding = count_padding, j.divisor = divisor;
    return run(kernels ? kernels->avg_planes : NULL, "avg_pool gradient", dtype, p, &j, WINDOWS,
               false);
}

int
mt_adaptive_avg_pool(mt_dtype dtype, const mt_pooling *p, const void *input, void *output)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, true);
    j.from = input, j.to = output;
    return run(kernels ? kernels->adaptive_avg_rows : NULL, "adaptive_avg_pool", dtype, p, &j,
               ADAPTIVE, true);
}

int
mt_adaptive_avg_pool_grad(mt_dtype dtype, const mt_pooling *p, const void *grad_output,
                          void *grad_input)
{
    const mt_pooling_kernels *kernels = kernels_of(dtype);
    mt_pooling_job j = job_of(p, true);
    j.from = grad_output, j.to = grad_input;
    return run(kernels ? kernels->adaptive_avg_planes : NULL, "adaptive_avg_pool gradient", dtype,
               p, &j, ADAPTIVE, false);
}
