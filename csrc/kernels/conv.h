/* Convolutions over one to three spatial dimensions, on contiguous raw memory.
 *
 * Layouts: input [batch, in_channels, in...], weight [out_channels, in_channels / groups,
 * kernel...], output [batch, out_channels, out...]. float16 and bfloat16 accumulate in float32 and
 * round once; integers wrap. A result has the same bits for every number of threads: work is cut
 * by the shape, and sums over the batch are taken in fixed portions that are added in order.
 *
 * The functions return -1 with the error set when memory runs out or a dtype has no convolution
 * (bool, uint16, uint32, uint64 and complex: NotImplementedError). Shapes must be consistent; the
 * caller has checked them. */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "base/error.h"

typedef struct mt_conv {
    int dims; /* spatial dimensions, 1 to 3; the arrays below have that many entries in use */
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of all groups */
    int64_t in[3], out[3];
    /* Padding before the first element; what lies behind the last follows from `out`. */
    int64_t kernel[3], stride[3], padding[3], dilation[3];
} mt_conv;

/* output = input * weight + bias; bias [out_channels] or NULL. */
int mt_conv_forward(mt_dtype dtype, const mt_conv *c, const void *input, const void *weight,
                    const void *bias, void *output);

/* The gradient for the input. It is also the transposed convolution that takes grad_output to
 * grad_input; its bias [in_channels] is added where given, NULL for a gradient. */
int mt_conv_grad_input(mt_dtype dtype, const mt_conv *c, const void *grad_output,
                       const void *weight, const void *bias, void *grad_input);

int mt_conv_grad_weight(mt_dtype dtype, const mt_conv *c, const void *input,
                        const void *grad_output, void *grad_weight);

/* grad_bias[c] = sum of grad_output [batch, channels, count] over batch and count. */
int mt_conv_grad_bias(mt_dtype dtype, int64_t batch, int64_t channels, int64_t count,
                      const void *grad_output, void *grad_bias);
