#include "kernels/convert.h"

#include "kernels/convert_k.h"

#define COPY(size)                                                                                 \
    static void copy##size(void *to, const void *from, int64_t n)                                  \
    {                                                                                              \
        if (to != from)                                                                            \
            memmove(to, from, (size_t)n * size);                                                   \
    }
COPY(1) COPY(2) COPY(4) COPY(8) COPY(16)

mt_convert
mt_converter(mt_dtype to, mt_dtype from)
{
    if (to == from) {
        switch (mt_dtypes[to].size) {
        case 1: return copy1;
        case 2: return copy2;
        case 4: return copy4;
        case 8: return copy8;
        default: return copy16;
        }
    }
    typedef const mt_convert table[MT_NUM_DTYPES][MT_NUM_DTYPES];
    static table *const tables[] = {
#define X(isa) &mt_converters_##isa,
        MT_FOR_ISA(X)
#undef X
    };
    for (int isa = (int)MT_MIN((size_t)mt_cpu_isa(), MT_COUNT(tables) - 1); isa >= 0; isa--)
        if ((*tables[isa])[to][from])
            return (*tables[isa])[to][from];
    return NULL;
}

typedef struct pair { uint64_t a, b; } pair;

#define GATHER(T)                                                                                  \
    {                                                                                              \
        T *o = packed;                                                                             \
        if (stride == 0) {                                                                         \
            T v = *(const T *)from;                                                                \
            for (int64_t i = 0; i < n; i++)                                                        \
                o[i] = v;                                                                          \
        } else if (stride == 2 * sizeof(T)) {                                                      \
            for (int64_t i = 0; i < n; i++)                                                        \
                o[i] = ((const T *)from)[2 * i];                                                   \
        } else                                                                                     \
            for (int64_t i = 0; i < n; i++)                                                        \
                o[i] = *(const T *)(from + i * stride);                                            \
        return;                                                                                    \
    }

void
mt_gather(void *packed, const char *from, int64_t stride, int64_t n, size_t size)
{
    switch (size) {
    case 1: GATHER(uint8_t)
    case 2: GATHER(uint16_t)
    case 4: GATHER(uint32_t)
    case 8: GATHER(uint64_t)
    default: GATHER(pair)
    }
}

#define SCATTER(T)                                                                                 \
    {                                                                                              \
        const T *x = packed;                                                                       \
        for (int64_t i = 0; i < n; i++)                                                            \
            *(T *)(to + i * stride) = x[i];                                                        \
        return;                                                                                    \
    }

void
mt_scatter(char *to, int64_t stride, const void *packed, int64_t n, size_t size)
{
    switch (size) {
    case 1: SCATTER(uint8_t)
    case 2: SCATTER(uint16_t)
    case 4: SCATTER(uint32_t)
    case 8: SCATTER(uint64_t)
    default: SCATTER(pair)
    }
}
