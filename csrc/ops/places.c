/* Moving elements between packed rows and indexed places. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops/indexing.h"
#include "tensor/copy.h"

int
mt_offsets(const mt_tensor *self, const int *dims, int ndims, int64_t **offsets, int64_t *count)
{
    int64_t n = 1, index[MT_MAX_DIMS] = {0}, size = mt_itemsize(self), at = 0;
    for (int d = 0; d < ndims; d++)
        n *= self->sizes[dims[d]];
    *count = n;
    *offsets = NULL;
    if (n <= 1)
        return 0;
    int64_t *list = mt_alloc((size_t)n * sizeof *list);
    if (!list)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        list[i] = at;
        for (int d = ndims - 1; d >= 0; d--) {
            at += self->strides[dims[d]] * size;
            if (++index[d] < self->sizes[dims[d]])
                break;
            at -= index[d] * self->strides[dims[d]] * size;
            index[d] = 0;
        }
    }
    *offsets = list;
    return 0;
}

int
mt_places_init(mt_places *p, const mt_tensor *self, const int *before, int nbefore,
               const int *after, int nafter)
{
    *p = (mt_places){.base = mt_data(self), .nat = 1, .nafter = 1, .nbefore = 1};
    int64_t packed = 1;
    while (nafter > 0) {
        int d = after[nafter - 1];
        if (self->sizes[d] != 1 && self->strides[d] != packed)
            break;
        packed *= self->sizes[d];
        nafter--;
    }
    p->block = (size_t)(packed * mt_itemsize(self));
    if (mt_offsets(self, before, nbefore, &p->before, &p->nbefore) < 0)
        return -1;
    return mt_offsets(self, after, nafter, &p->after, &p->nafter);
}

void
mt_places_clear(mt_places *p)
{
    mt_free(p->before, (size_t)p->nbefore * sizeof(int64_t));
    mt_free(p->at, (size_t)p->nat * sizeof(int64_t));
    mt_free(p->after, (size_t)p->nafter * sizeof(int64_t));
    p->before = p->at = p->after = NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

typedef struct reading {
    const mt_places *p;
    char *packed;
} reading;

#define READ_ALL(T)                                                                                \
    for (int64_t r = begin; r < end; r++)                                                          \
        ((T *)job->packed)[r] = *(const T *)(base + p->at[r]);

static void
read_rows(void *ctx, int64_t begin, int64_t end)
{
    const reading *job = ctx;
    const mt_places *p = job->p;
    const char *base = p->base;
    if (p->nbefore == 1 && p->nafter == 1 && p->at) {
        switch (p->block) {
        case 1: READ_ALL(uint8_t); return;
        case 2: READ_ALL(uint16_t); return;
        case 4: READ_ALL(uint32_t); return;
        case 8: READ_ALL(uint64_t); return;
        default: break;
        }
    }
    char *to = job->packed + begin * p->nafter * (int64_t)p->block;
    for (int64_t r = begin; r < end; r++) {
        int64_t b = r / p->nat, k = r % p->nat;
        const char *from = base + (p->before ? p->before[b] : 0) + (p->at ? p->at[k] : 0);
        for (int64_t a = 0; a < p->nafter; a++, to += p->block)
            memcpy(to, from + (p->after ? p->after[a] : 0), p->block);
    }
}

void
mt_places_read(const mt_places *p, void *packed)
{
    int64_t rows = p->nbefore * p->nat, work = p->nafter * (int64_t)(p->block / 8 + 1);
    if (rows <= 0 || p->nafter == 0 || p->block == 0)
        return;
    reading job = {p, packed};
    mt_parallel_for(rows, MT_MAX(1, MT_GRAIN / MT_MAX(work, 1)), read_rows, &job);
}

/* ---- writing ------------------------------------------------------------------------------ */

void
mt_places_write(const mt_places *p, const void *packed, bool repeat, mt_combine combine, size_t size)
{
    const char *row = packed;
    int64_t n = (int64_t)(p->block / size);
    if (p->block == 0)
        return;
    for (int64_t b = 0; b < p->nbefore; b++)
        for (int64_t k = 0; k < p->nat; k++) {
            char *to = p->base + (p->before ? p->before[b] : 0) + (p->at ? p->at[k] : 0);
            const char *from = row;
            for (int64_t a = 0; a < p->nafter; a++, from += p->block) {
                char *place = to + (p->after ? p->after[a] : 0);
                if (combine)
                    combine(place, from, n);
                else if (p->block == 4)
                    memcpy(place, from, 4);
                else if (p->block == 8)
                    memcpy(place, from, 8);
                else
                    memcpy(place, from, p->block);
            }
            if (!repeat)
                row = from;
        }
}

/* ---- combining ---------------------------------------------------------------------------- */

#define LOOP(name, T, A, LOAD, EXPR)                                                               \
    static void name(char *to, const char *from, int64_t n)                                        \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            A a = LOAD(((const T *)to)[i]), b = LOAD(((const T *)from)[i]);                        \
            ((T *)to)[i] = EXPR;                                                                   \
        }                                                                                          \
    }
#define PLAIN(x) (x)
#define ORDERED_MIN(a, b) ((a) != (a) || (a) <= (b) ? (a) : (b))
#define ORDERED_MAX(a, b) ((a) != (a) || (a) >= (b) ? (a) : (b))
/* unsigned arithmetic wraps around without being undefined */
#define INT_LOOPS(ENUM, name, T)                                                                   \
    LOOP(add_##name, T, T, PLAIN, (T)((uint64_t)a + (uint64_t)b))                                  \
    LOOP(mul_##name, T, T, PLAIN, (T)((uint64_t)a * (uint64_t)b))                                  \
    LOOP(min_##name, T, T, PLAIN, a < b ? a : b)                                                   \
    LOOP(max_##name, T, T, PLAIN, a > b ? a : b)
#define REAL_LOOPS(ENUM, name, T)                                                                  \
    LOOP(add_##name, T, T, PLAIN, a + b)                                                           \
    LOOP(mul_##name, T, T, PLAIN, a *b)                                                            \
    LOOP(min_##name, T, T, PLAIN, ORDERED_MIN(a, b))                                               \
    LOOP(max_##name, T, T, PLAIN, ORDERED_MAX(a, b))
#define HALF_LOOPS(name, T, LOAD, STORE)                                                           \
    LOOP(add_##name, T, float, LOAD, STORE(a + b))                                                 \
    LOOP(mul_##name, T, float, LOAD, STORE(a *b))                                                  \
    LOOP(min_##name, T, float, LOAD, STORE(ORDERED_MIN(a, b)))                                     \
    LOOP(max_##name, T, float, LOAD, STORE(ORDERED_MAX(a, b)))
#define COMPLEX_LOOPS(ENUM, name, T)                                                               \
    LOOP(add_##name, T, T, PLAIN, a + b)                                                           \
    LOOP(mul_##name, T, T, PLAIN, a *b)

MT_FOR_INT(INT_LOOPS)
MT_FOR_WIDE_UINT(INT_LOOPS)
MT_FOR_REAL(REAL_LOOPS)
HALF_LOOPS(float16, mt_half, mt_half_to_float, mt_float_to_half)
HALF_LOOPS(bfloat16, mt_bfloat16, mt_bfloat16_to_float, mt_float_to_bfloat16)
MT_FOR_COMPLEX(COMPLEX_LOOPS)
LOOP(or_bool, uint8_t, uint8_t, PLAIN, a | b)
LOOP(and_bool, uint8_t, uint8_t, PLAIN, a &b)

mt_combine
mt_combiner(int what, mt_dtype dtype)
{
    static const mt_combine table[MT_NUM_DTYPES][4] = {
        [MT_BOOL] = {or_bool, and_bool, and_bool, or_bool},
#define X(ENUM, name, type) [MT_##ENUM] = {add_##name, mul_##name, min_##name, max_##name},
        MT_FOR_INT(X) MT_FOR_WIDE_UINT(X) MT_FOR_FLOAT(X)
#undef X
#define X(ENUM, name, type) [MT_##ENUM] = {add_##name, mul_##name, NULL, NULL},
        MT_FOR_COMPLEX(X)
#undef X
    };
    return table[dtype][what];
}

/* ---- tensors in packed form --------------------------------------------------------------- */

mt_tensor *
mt_packed_as(mt_tensor *src, mt_dtype dtype, int ndim, const int64_t *sizes)
{
    if (src->dtype == dtype && mt_is_contiguous(src) && src->ndim == ndim && !mt_is_conj(src) &&
        !mt_is_neg(src) && (!ndim || !memcmp(src->sizes, sizes, (size_t)ndim * sizeof *sizes)))
        return mt_keep(src);
    mt_tensor *t = mt_empty(ndim, sizes, NULL, dtype, src->device);
    if (t && mt_copy_data(t, src) < 0) {
        mt_release(t);
        return NULL;
    }
    return t;
}

mt_tensor *
mt_index_i64(mt_tensor *index)
{
    return mt_packed_as(index, MT_INT64, index->ndim, index->sizes);
}

mt_tensor *
mt_nonzero_columns(mt_tensor *self)
{
    mt_tensor *flags = mt_packed_as(self, MT_BOOL, self->ndim, self->sizes), *t;
    if (!flags)
        return NULL;
    const uint8_t *p = mt_data(flags);
    int64_t count = 0, index[MT_MAX_DIMS] = {0};
    int ndim = self->ndim;
    for (int64_t i = 0; i < flags->numel; i++)
        count += p[i] != 0;
    int64_t sizes[2] = {ndim, count};
    if ((t = mt_empty(2, sizes, NULL, MT_INT64, self->device)) && ndim == 1) {
        int64_t *out = mt_data(t), n = 0;
        for (int64_t i = 0; n < count; i++) {
            out[n] = i;
            n += p[i] != 0;
        }
    } else if (t && ndim) {
        int64_t *out = mt_data(t), n = 0, width = flags->sizes[ndim - 1];
        for (int64_t i = 0; n < count; i += width) {
            for (int64_t j = 0; j < width; j++)
                if (p[i + j]) {
                    for (int d = 0; d < ndim - 1; d++)
                        out[d * count + n] = index[d];
                    out[(ndim - 1) * count + n++] = j;
                }
            for (int d = ndim - 2; d >= 0; d--) {
                if (++index[d] < flags->sizes[d])
                    break;
                index[d] = 0;
            }
        }
    }
    mt_release(flags);
    return t;
}
