/* CPU features, read once with cpuid (gcc's support code also asks whether the system saves the
 * wide registers). On other processors everything is baseline. */
#define _GNU_SOURCE
#include "base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

#if defined(__x86_64__) || defined(__i386__)
#define HAVE_X86 1
#include <cpuid.h>
#else
#define HAVE_X86 0
#endif

static const char *const isa_names[MT_NUM_ISAS] = {"baseline", "avx2", "avx512"}; /* ORDER ISA */

static struct {
    mt_isa best, chosen;
    bool invariant_tsc, avx512_bf16;
} cpu;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
detect(void)
{
    cpu.best = MT_ISA_BASELINE;
#if HAVE_X86
    unsigned eax, ebx, ecx, edx;
    /* Asked by number: clang's builtin does not know the name. */
    bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c) {
        cpu.best = MT_ISA_AVX2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
            cpu.best = MT_ISA_AVX512;
            cpu.avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
        }
    }
    if (__get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx))
        cpu.invariant_tsc = (edx & (1u << 8)) != 0;
#endif
    cpu.chosen = cpu.best;
    const char *wanted = getenv("MINDTORCH_ISA");
    if (!wanted || !*wanted)
        return;
    for (int isa = 0; isa < MT_NUM_ISAS; isa++) {
        if (strcmp(wanted, isa_names[isa]) != 0)
            continue;
        if ((mt_isa)isa <= cpu.best)
            cpu.chosen = (mt_isa)isa;
        else if (mt_warn(MT_WARN_USER, "MINDTORCH_ISA=%s: this CPU has %s at best, which is used",
                         wanted, isa_names[cpu.best]) < 0)
            mt_error_clear();
        return;
    }
    if (mt_warn(MT_WARN_USER, "MINDTORCH_ISA=%s is unknown (baseline, avx2, avx512): using %s",
                wanted, isa_names[cpu.best]) < 0)
        mt_error_clear();
}

mt_isa
mt_cpu_isa(void)
{
    pthread_once(&once, detect);
    return cpu.chosen;
}

mt_isa
mt_cpu_best_isa(void)
{
    pthread_once(&once, detect);
    return cpu.best;
}

const char *
mt_isa_name(mt_isa isa)
{
    return (unsigned)isa < MT_NUM_ISAS ? isa_names[isa] : "unknown";
}

bool
mt_cpu_has_invariant_tsc(void)
{
    pthread_once(&once, detect);
    return cpu.invariant_tsc;
}

bool
mt_cpu_has_avx512_bf16(void)
{
    pthread_once(&once, detect);
    return cpu.avx512_bf16 && cpu.chosen == MT_ISA_AVX512;
}

int
mt_cpu_count(void)
{
#ifdef __linux__
    cpu_set_t few;
    if (sched_getaffinity(0, sizeof few, &few) == 0)
        return MT_MAX(CPU_COUNT(&few), 1);
    /* The fixed set holds 1024 CPUs; larger machines get a larger one. */
    for (int cpus = 4096; cpus <= 1 << 18; cpus *= 8) {
        cpu_set_t *many = CPU_ALLOC(cpus);
        if (!many)
            break;
        size_t size = CPU_ALLOC_SIZE(cpus);
        int count = sched_getaffinity(0, size, many) == 0 ? CPU_COUNT_S(size, many) : 0;
        CPU_FREE(many);
        if (count > 0)
            return count;
    }
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
