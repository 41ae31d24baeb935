/* CPU features and the instruction set that the kernels use. */
#pragma once

#include "base/base.h"

/* ORDER ISA: kernel tables hold one entry per level in this order. */
typedef enum mt_isa { MT_ISA_BASELINE, MT_ISA_AVX2, MT_ISA_AVX512, MT_NUM_ISAS } mt_isa;

/* The level in force: the best one this CPU has (AVX2 wants AVX2+FMA+F16C, AVX-512 wants
 * F+BW+VL+DQ and OS support), or what MINDTORCH_ISA ("baseline", "avx2", "avx512") asks for when
 * the CPU has it. Read once; an unknown or unavailable value is warned about and ignored. */
mt_isa mt_cpu_isa(void);
const char *mt_isa_name(mt_isa isa);
/* The best level of this CPU, whatever the environment says. */
mt_isa mt_cpu_best_isa(void);
bool mt_cpu_has_invariant_tsc(void);
bool mt_cpu_has_avx512_bf16(void);
int mt_cpu_count(void); /* CPUs this process may run on (affinity respected) */
