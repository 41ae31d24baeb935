/* One source, one object per instruction set.
 *
 * A file `name.k.c` is compiled once per level with -DMT_ISA_NAME=baseline, avx2 or avx512 and the
 * flags of that level:
 *   all       -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast
 *   avx2      -mavx2 -mfma -mf16c
 *   avx512    -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq
 *             -mprefer-vector-width=512
 * It gives every symbol it exports a suffix through MT_K. A plain .c file beside it names the
 * functions to the rest of the library and picks by mt_cpu_isa(). Contraction lets a multiply and
 * an add become one instruction where the level has it: bits are the same from run to run and for
 * every number of threads, but not from one level to another.
 *
 * Where the compiler does not target x86-64 there is one level only, the baseline. */
#pragma once

#include "base/base.h"
#include "base/cpu.h"

#define MT_K_JOIN2(name, isa) name##_##isa
#define MT_K_JOIN(name, isa) MT_K_JOIN2(name, isa)

#ifdef MT_ISA_NAME
#define MT_K(name) MT_K_JOIN(name, MT_ISA_NAME)
#endif

/* X(isa) for every level; ORDER ISA (mt_isa in base/cpu.h). */
#if defined(__x86_64__) || defined(_M_X64)
#define MT_FOR_ISA(X) X(baseline) X(avx2) X(avx512)
#define MT_ISA_TABLE(name) {name##_baseline, name##_avx2, name##_avx512}
#else
#define MT_FOR_ISA(X) X(baseline)
#define MT_ISA_TABLE(name) {name##_baseline, name##_baseline, name##_baseline}
#endif

/* Bytes in the widest vector of the level being compiled. Vectors are GCC's vector types, so a
 * kernel is written once; a smaller width than the machine's is still correct. */
#ifndef MT_VECTOR_BYTES
#if defined(__AVX512F__)
#define MT_VECTOR_BYTES 64
#elif defined(__AVX__)
#define MT_VECTOR_BYTES 32
#else
#define MT_VECTOR_BYTES 16
#endif
#endif
