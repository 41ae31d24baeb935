/* One source, one object per instruction set.
 *
 * The build (csrc/build.py) compiles a file `name.k.c` once per level, with -DMT_ISA_NAME=baseline,
 * avx2 or avx512 and the flags of that level. The file gives every symbol it exports a suffix
 * through MT_K. A plain .c file beside it names the functions to the rest of the library and picks
 * by mt_cpu_isa().
 *
 * Kernels whose sums are products (matrix products, convolutions) ask for -ffp-contract=fast in an
 * mt-flags line: a multiply and an add then become one instruction where the level has it, which
 * is twice the speed. Bits are the same from run to run and for every number of threads, but not
 * from one level to another.
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
#define MT_ISA_TABLE(name)                                                                         \
    {                                                                                              \
        name##_baseline, name##_avx2, name##_avx512                                                \
    }
#else
#define MT_FOR_ISA(X) X(baseline)
#define MT_ISA_TABLE(name)                                                                         \
    {                                                                                              \
        name##_baseline, name##_baseline, name##_baseline                                          \
    }
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

/* The wide levels carry loops for the hot dtypes only; the others run the baseline's. */
#if defined(__AVX2__)
#define MT_HOT_ONLY
#endif

/* Before a loop whose iterations are independent even where the arrays are one and the same. */
#define MT_VECTORIZE _Pragma("GCC ivdep")
