/* Times the loops over the functions of kernels/scalar.h: "name type nanoseconds-per-element" a
 * line, the best of many rounds over 4096 numbers. See benchmarks/vector_math.py. */
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#include "kernels/scalar.h"

#define COUNT 4096

#define CASE_F32(name, ref, from, to, ulps)                                                        \
    static __attribute__((noinline)) void loop_##name##_f32(                                       \
        float *MT_RESTRICT out, const float *MT_RESTRICT in, int64_t n)                            \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i] = mt_##name##_f32(in[i]);                                                       \
    }
#define CASE_F64(name, ref, from, to, ulps)                                                        \
    static __attribute__((noinline)) void loop_##name##_f64(                                       \
        double *MT_RESTRICT out, const double *MT_RESTRICT in, int64_t n)                          \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i] = mt_##name##_f64(in[i]);                                                       \
    }
#include "scalar_cases.h"
#undef CASE_F32
#undef CASE_F64

static double
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Numbers that most functions know, evenly over [0.05, 0.95]; acosh gets them plus one. */
#define DEFINE_TIME(F, T)                                                                          \
    static void time_##F(const char *name, void (*loop)(T *, const T *, int64_t), double from)     \
    {                                                                                              \
        static T in[COUNT], out[COUNT];                                                            \
        for (int i = 0; i < COUNT; i++)                                                            \
            in[i] = (T)((from >= 1 ? 1.05 : 0.05) + 0.9 * ((i * 1237) % COUNT) / COUNT);           \
        double best = 1e18;                                                                        \
        for (int round = 0; round < 60; round++) {                                                 \
            double start = now_ns();                                                               \
            for (int k = 0; k < 4; k++) {                                                          \
                loop(out, in, COUNT);                                                              \
                __asm__ volatile("" : : "r"(out) : "memory");                                      \
            }                                                                                      \
            double used = (now_ns() - start) / 4;                                                  \
            best = used < best ? used : best;                                                      \
        }                                                                                          \
        printf("%s " #F " %.5f\n", name, best / COUNT);                                            \
    }
DEFINE_TIME(f32, float)
DEFINE_TIME(f64, double)

int
main(void)
{
#define CASE_F32(name, ref, from, to, ulps) time_f32(#name, loop_##name##_f32, from);
#define CASE_F64(name, ref, from, to, ulps) time_f64(#name, loop_##name##_f64, from);
#include "scalar_cases.h"
    return 0;
}
