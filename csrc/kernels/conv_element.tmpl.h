/* Moves between a stored type S and the type T computed in; NAME prefixes the functions, READ(s)
 * and WRITE(t) convert one element, SUM is what a bias' gradient is added up in. */
#define LOAD MT_K_JOIN(NAME, load)
#define STORE MT_K_JOIN(NAME, store)
#define PACK MT_K_JOIN(NAME, pack)
#define ADD_UP MT_K_JOIN(NAME, add_up)

static void
LOAD(void *work, const void *source, int64_t start, int64_t step, int64_t count, int64_t size)
{
    T *MT_RESTRICT to = work;
    const S *MT_RESTRICT from = source;
    int64_t first = 0, last = 0; /* elements inside */
    if (start < 0)
        first = MT_MIN(count, step == 1 ? -start : (-start + step - 1) / step);
    if (start < size)
        last = MT_MIN(count, step == 1 ? size - start : (size - 1 - start) / step + 1);
    last = MT_MAX(first, last);
    for (int64_t i = 0; i < first; i++)
        to[i] = 0;
    if (step == 1)
        for (int64_t i = first; i < last; i++)
            to[i] = READ(from[start + i]);
    else if (step == 2)
        for (int64_t i = first; i < last; i++)
            to[i] = READ(from[start + i * 2]);
    else
        for (int64_t i = first; i < last; i++)
            to[i] = READ(from[start + i * step]);
    for (int64_t i = last; i < count; i++)
        to[i] = 0;
}

static void
STORE(void *target, int64_t step, const void *work, int64_t count, const void *bias)
{
    S *MT_RESTRICT to = target;
    const T *MT_RESTRICT from = work;
    T more = bias != NULL ? READ(*(const S *)bias) : (T)0;
    if (step == 1)
        for (int64_t i = 0; i < count; i++)
            to[i] = WRITE(from[i] + more);
    else
        for (int64_t i = 0; i < count; i++)
            to[i * step] = WRITE(from[i] + more);
}

static void
PACK(void *work, const void *weight, int64_t results, int64_t result_stride, int64_t channels,
     int64_t channel_stride, int64_t taps, const int64_t *position)
{
    T *to = work;
    for (int64_t c = 0; c < channels; c++, to += taps * results)
        for (int64_t r = 0; r < results; r++) {
            const S *from = (const S *)weight + r * result_stride + c * channel_stride;
            for (int64_t t = 0; t < taps; t++)
                to[t * results + r] = READ(from[position[t]]);
        }
}

/* Sixteen sums side by side, so that the order is the same for every vector width. */
static void
ADD_UP(void *sum, const void *source, int64_t count)
{
    const S *from = source;
    SUM lane[16] = {0}, all = 0;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int64_t j = 0; j < 16; j++)
            lane[j] += (SUM)READ(from[i + j]);
    for (int64_t j = 0; i < count; i++, j++)
        lane[j] += (SUM)READ(from[i]);
    for (int64_t j = 0; j < 16; j++)
        all += lane[j];
    *(SUM *)sum += all;
}

static const mt_conv_element NAME = {
    .load = LOAD,
    .store = STORE,
    .pack = PACK,
    .sum = ADD_UP,
    .size = (int64_t)sizeof(S),
};

#undef LOAD
#undef STORE
#undef PACK
#undef ADD_UP
#undef S
#undef T
#undef SUM
#undef NAME
#undef READ
#undef WRITE
