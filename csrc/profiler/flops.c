/* Floating-point operations of an event, from its inputs.
 *
 * The rules are PyTorch's: products of matrices count a multiplication and an addition per term (the
 * bias of addmm and baddbmm is left out), conv2d likewise over its output, add and mul count the
 * elements of their first input. Other operators count nothing. */
#include "profiler/recorder.h"

enum { ADD, MUL, MM, ADDMM, BMM, BADDBMM, CONV2D, NUM_RULES };

static const char *const rule_names[NUM_RULES] = {
    "aten::add", "aten::mul",     "aten::mm",     "aten::addmm",
    "aten::bmm", "aten::baddbmm", "aten::conv2d",
};

uint8_t
mt_prof_flops_rule(const char *name)
{
    for (unsigned i = 0; i < NUM_RULES; i++)
        if (!strcmp(name, rule_names[i]))
            return (uint8_t)(i + 1);
    return 0;
}

static bool
is_tensor(const mt_prof_input *in, int ndim)
{
    return in->kind == MT_PROF_IN_TENSOR && in->ndim == ndim;
}

/* [batch,] m x k times [batch,] k x n; 0 where the inputs are something else. */
static double
product(const mt_prof_input *a, const mt_prof_input *b, int ndim)
{
    double n = 2;
    if (!is_tensor(a, ndim) || !is_tensor(b, ndim))
        return 0;
    for (int d = 0; d < ndim; d++)
        n *= (double)a->payload[d];
    return n * (double)b->payload[ndim - 1];
}

/* The two values of stride, padding or dilation: int[2], where one stands for both. */
static bool
pair(const mt_prof_input *in, int64_t out[2])
{
    if (in->kind == MT_PROF_IN_INT) {
        out[0] = out[1] = (int64_t)in->payload[0];
        return true;
    }
    if (in->kind != MT_PROF_IN_INTS || in->count < 1 || in->count > 2)
        return false;
    out[0] = (int64_t)in->payload[0];
    out[1] = (int64_t)in->payload[in->count - 1];
    return true;
}

/* conv2d(input, weight, bias, stride, padding, dilation, groups) */
static double
convolution(const mt_prof_input *in)
{
    int64_t stride[2], padding[2], dilation[2];
    if (!is_tensor(&in[0], 4) || !is_tensor(&in[1], 4) || !pair(&in[3], stride) ||
        !pair(&in[4], padding) || !pair(&in[5], dilation))
        return 0;
    /* The weight holds the inputs of one group, so groups need no division. */
    double n = 2 * (double)in[0].payload[0];
    for (int d = 0; d < 4; d++)
        n *= (double)in[1].payload[d];
    for (int d = 0; d < 2; d++) {
        int64_t kernel = (int64_t)in[1].payload[2 + d], size = (int64_t)in[0].payload[2 + d];
        if (stride[d] < 1)
            return 0;
        int64_t out = (size + 2 * padding[d] - dilation[d] * (kernel - 1) - 1) / stride[d] + 1;
        n *= (double)MT_MAX(out, 0);
    }
    return n;
}

int64_t
mt_prof_flops(const mt_prof_results *results, int64_t event)
{
    const mt_prof_event *e = &results->events[event];
    unsigned rule = results->labels[e->name].flops_rule;
    mt_prof_input in[7] = {{0}};
    uint32_t at = 0;
    double n = 0;
    if (!rule || !e->side || e->kind != MT_PROF_E_OP)
        return 0;
    for (uint32_t i = 0; i < e->side->count && i < MT_COUNT(in); i++)
        in[i] = mt_prof_input_next(e->side->words, &at);
    switch (rule - 1) {
    case ADD:
    case MUL:
        n = in[0].kind == MT_PROF_IN_TENSOR;
        for (int d = 0; d < in[0].ndim; d++)
            n *= (double)in[0].payload[d];
        break;
    case MM: n = product(&in[0], &in[1], 2); break;
    case ADDMM: n = product(&in[1], &in[2], 2); break;
    case BMM: n = product(&in[0], &in[1], 3); break;
    case BADDBMM: n = product(&in[1], &in[2], 3); break;
    case CONV2D: n = convolution(in); break;
    }
    return n < 9e18 ? (int64_t)n : INT64_MAX;
}
