/* Resampling of planes to another size, over one to three spatial dimensions: torch's "nearest",
 * "nearest-exact", "linear" / "bilinear" / "trilinear" and "bicubic" (two dimensions; the cubic
 * convolution of Keys with a = -0.75), without antialiasing.
 *
 * Positions and weights are computed in float32 for float32 and the half types, in float64 for
 * float64. All floats; "nearest" modes of uint8 as well. The functions return -1 with the error set
 * when memory runs out or for another dtype (NotImplementedError). */
#pragma once

#include "base/base.h"
#include "base/dtype.h"
#include "base/error.h"

typedef enum mt_upsample_mode {
    MT_UPSAMPLE_NEAREST,
    MT_UPSAMPLE_NEAREST_EXACT,
    MT_UPSAMPLE_LINEAR,
    MT_UPSAMPLE_CUBIC,
} mt_upsample_mode;

typedef struct mt_upsample_shape {
    int dims; /* spatial dimensions, 1 to 3; the arrays have that many entries in use */
    int64_t planes;
    int64_t in[3], out[3];
    mt_upsample_mode mode;
    bool align_corners; /* linear and cubic */
    double scale[3];    /* as the user gave it, output over input; 0: from the sizes */
} mt_upsample_shape;

int mt_upsample_forward(mt_dtype dtype, const mt_upsample_shape *u, const void *input,
                        void *output);
int mt_upsample_grad(mt_dtype dtype, const mt_upsample_shape *u, const void *grad_output,
                     void *grad_input);
