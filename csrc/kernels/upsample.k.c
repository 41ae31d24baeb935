/* The loops of resampling, once per type. */
#include "kernels/upsample_k.h"

#include <math.h>

#include "kernels/upsample.h"

#define SAME(v) (v)

#define S float
#define C float
#define NAME f32
#define READ SAME
#define WRITE SAME
#define FLOOR floorf
#define FMA fmaf
#define SAME_TYPE true
#define FLOATS
#include "kernels/upsample.tmpl.h"
#define S double
#define C double
#define NAME f64
#define READ SAME
#define WRITE SAME
#define FLOOR floor
#define FMA fma
#define SAME_TYPE true
#define FLOATS
#include "kernels/upsample.tmpl.h"
#define S mt_half
#define C float
#define NAME f16
#define READ mt_half_to_float
#define WRITE mt_float_to_half
#define FLOOR floorf
#define FMA fmaf
#define SAME_TYPE false
#define FLOATS
#include "kernels/upsample.tmpl.h"
#define S mt_bfloat16
#define C float
#define NAME bf16
#define READ mt_bfloat16_to_float
#define WRITE mt_float_to_bfloat16
#define FLOOR floorf
#define FMA fmaf
#define SAME_TYPE false
#define FLOATS
#include "kernels/upsample.tmpl.h"
#define S uint8_t
#define C float
#define NAME u8
#define READ SAME
#define WRITE (uint8_t)
#define FLOOR floorf
#define FMA fmaf
#define SAME_TYPE false
#include "kernels/upsample.tmpl.h"

const mt_upsample_table MT_K(mt_upsample_table) = {
    .f32 = &f32,
    .f64 = &f64,
    .f16 = &f16,
    .bf16 = &bf16,
    .u8 = &u8,
};
