/* The loops of each instruction set; private to rng.c, random_*.c and random.k.c.
 *
 * They give the same bits on every level: each rounding is written out, fused multiply-adds as
 * fma(), which is one instruction where the level has it and the C library's function elsewhere. */
#pragma once

#include "base/dtype.h"
#include "kernels/isa.h"

typedef struct mt_random_kernels {
    /* The next 624 words of the engine, in place, untempered. */
    void (*renew)(uint32_t state[624]);
    void (*temper)(uint32_t *out, const uint32_t *state, int64_t n);
    /* Units in [0, 1) from one word and from two words each. */
    void (*unit_f32)(float *out, const uint32_t *words, int64_t n);
    void (*unit_f64)(double *out, const uint32_t *words, int64_t n);
    /* u -> from + u * (to - from) with one rounding; what comes out as `to` becomes `from`. */
    void (*range_f32)(float *values, int64_t n, float from, float to);
    void (*range_f64)(double *values, int64_t n, double from, double to);
    /* Runs of 16 units to normals, in place; n is a multiple of 16. */
    void (*normal_f32)(float *values, int64_t n, float mean, float std);
    /* out[i] = the 53-bit integer of words 2i and 2i + 1 is below `bound`. */
    void (*below)(uint8_t *out, const uint32_t *words, int64_t n, uint64_t bound);
    /* y[i] = x[i] * (keep[i] ? scale : 0); y may be x. */
    void (*mask_f32)(float *y, const float *x, const uint8_t *keep, int64_t n, float scale);
    void (*mask_f64)(double *y, const double *x, const uint8_t *keep, int64_t n, double scale);
    void (*mask_f16)(mt_half *y, const mt_half *x, const uint8_t *keep, int64_t n, float scale);
    void (*mask_bf16)(mt_bfloat16 *y, const mt_bfloat16 *x, const uint8_t *keep, int64_t n,
                      float scale);
} mt_random_kernels;

#define X(isa) extern const mt_random_kernels mt_random_kernels_##isa;
MT_FOR_ISA(X)
#undef X

/* The loops of the level in force. */
const mt_random_kernels *mt_random_loops(void);
