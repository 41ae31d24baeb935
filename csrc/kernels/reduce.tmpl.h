/* Row kernels of one element type: T, NAME, SUM_T (T that wraps), ADD, MUL, IS_NAN, LOWEST, HIGHEST
 * and, where REAL is defined, EXP, LOG, LOG1P, POW, SQRT, ABS, and BITS_T, an integer of T's size.
 * Included by reduce.k.c only. */

typedef SUM_T F(sum_t);
typedef SUM_T F(vec) __attribute__((vector_size(MT_VECTOR_BYTES), aligned(sizeof(SUM_T)), may_alias));
#define VECTORS ((int)(LANES * sizeof(T) / MT_VECTOR_BYTES)) /* that hold the lanes */
#define PER_VECTOR ((int)(MT_VECTOR_BYTES / sizeof(T)))

/* Sums n terms TERM(v) of elements v, numbers or vectors, in the fixed order; `parts` is 2 for
 * interleaved complex numbers, whose lanes fold down to a pair. */
#define ADD_UP(function, TERM)                                                                     \
    static void F(function)(const void *x, int64_t n, T *out, int parts)                           \
    {                                                                                              \
        const F(sum_t) *p = x;                                                                     \
        F(vec) stack[64][VECTORS]; /* of a power of two of blocks each, the first of the most */   \
        int64_t blocks = 0;                                                                        \
        int depth = 0;                                                                             \
        for (int64_t at = 0; at < n || !blocks; at += BLOCK) {                                     \
            F(vec) sum[VECTORS] = {0};                                                             \
            int64_t m = n - at < BLOCK ? n - at : BLOCK, i = 0;                                    \
            for (; i + LANES <= m; i += LANES)                                                     \
                _Pragma("GCC unroll 16") for (int k = 0; k < VECTORS; k++)                         \
                {                                                                                  \
                    F(vec) v = *(const F(vec) *)(p + at + i + k * PER_VECTOR);                     \
                    sum[k] += TERM(v);                                                             \
                }                                                                                  \
            F(sum_t) rest[LANES] = {0};                                                            \
            if (i < m) {                                                                           \
                memcpy(rest, p + at + i, (size_t)(m - i) * sizeof(T));                             \
                _Pragma("GCC unroll 16") for (int k = 0; k < VECTORS; k++)                         \
                {                                                                                  \
                    F(vec) v = *(const F(vec) *)(rest + k * PER_VECTOR);                           \
                    sum[k] += TERM(v);                                                             \
                }                                                                                  \
            }                                                                                      \
            if (n <= BLOCK) { /* all there is */                                                   \
                memcpy(stack[0], sum, sizeof sum);                                                 \
                break;                                                                             \
            }                                                                                      \
            blocks++;                                                                              \
            for (int64_t b = blocks; !(b & 1); b >>= 1) {                                          \
                depth--;                                                                           \
                _Pragma("GCC unroll 16") for (int k = 0; k < VECTORS; k++) sum[k] =                \
                    stack[depth][k] + sum[k];                                                      \
            }                                                                                      \
            _Pragma("GCC unroll 16") for (int k = 0; k < VECTORS; k++) stack[depth][k] = sum[k];   \
            depth++;                                                                               \
        }                                                                                          \
        while (depth > 1) {                                                                        \
            depth--;                                                                               \
            for (int k = 0; k < VECTORS; k++)                                                      \
                stack[depth - 1][k] += stack[depth][k];                                            \
        }                                                                                          \
        F(sum_t) lane[LANES];                                                                      \
        memcpy(lane, stack[0], sizeof lane);                                                       \
        for (int half = LANES / 2; half >= parts; half /= 2)                                       \
            for (int l = 0; l < half; l++)                                                         \
                lane[l] += lane[l + half];                                                         \
        memcpy(out, lane, (size_t)parts * sizeof(T));                                              \
    }
#define PLAIN(v) (v)
ADD_UP(add_up, PLAIN)

static void
F(sum)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    F(add_up)(x, n, out, 1);
}

/* Sums of columns, side by side: runs of COLUMN_RUN rows, four rows at a time, runs combined
 * pairwise in the order of a binary counter. */
static void
F(columns)(const void *x, int64_t n, int64_t stride, int64_t width, void *out)
{
    const F(sum_t) *p = x;
    F(sum_t) stack[48][MT_SUM_COLUMNS]; /* 2^48 runs do not fit a memory */
    int64_t runs = 0;
    int depth = 0;
    for (int64_t at = 0; at < n || !runs; at += COLUMN_RUN) {
        F(sum_t) *restrict sum = stack[depth];
        memset(sum, 0, (size_t)width * sizeof(T));
        int64_t end = n - at < COLUMN_RUN ? n : at + COLUMN_RUN, i = at;
        for (; i + 4 <= end; i += 4) {
            const F(sum_t) *r0 = p + i * stride, *r1 = r0 + stride, *r2 = r1 + stride,
                           *r3 = r2 + stride;
            for (int64_t c = 0; c < width; c++)
                sum[c] += (r0[c] + r1[c]) + (r2[c] + r3[c]);
        }
        for (; i < end; i++)
            for (int64_t c = 0; c < width; c++)
                sum[c] += p[i * stride + c];
        runs++;
        depth++;
        for (int64_t b = runs; !(b & 1); b >>= 1) {
            depth--;
            for (int64_t c = 0; c < width; c++)
                stack[depth - 1][c] += stack[depth][c];
        }
    }
    for (; depth > 1; depth--)
        for (int64_t c = 0; c < width; c++)
            stack[depth - 2][c] += stack[depth - 1][c];
    memcpy(out, stack[0], (size_t)width * sizeof(T));
}

static void
F(prod)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    const T *p = x;
    T lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = 1;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] = MUL(lane[l], p[i + l]);
    for (int l = 0; i + l < n; l++)
        lane[l] = MUL(lane[l], p[i + l]);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] = MUL(lane[l], lane[l + half]);
    *(T *)out = lane[0];
}

static void
F(cumsum)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    const T *p = x;
    T *o = out;
#ifdef REAL
    double all = 0;
    for (int64_t i = 0; i < n; i++)
        o[i] = (T)(all += (double)p[i]);
#else
    T all = 0;
    for (int64_t i = 0; i < n; i++)
        o[i] = all = ADD(all, p[i]);
#endif
}

static void
F(cumprod)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    const T *p = x;
    T *o = out;
#ifdef REAL
    double all = 1;
    for (int64_t i = 0; i < n; i++)
        o[i] = (T)(all *= (double)p[i]);
#else
    T all = 1;
    for (int64_t i = 0; i < n; i++)
        o[i] = all = MUL(all, p[i]);
#endif
}

/* The extreme of a row, its place, and the running one. A NaN that is met stays: no comparison
 * with it is true. */
#define EXTREME(name, CMP, CMP_EQ, START)                                                                  \
    static T F(name##_of)(const T *p, int64_t n)                                                   \
    {                                                                                              \
        if (n < LANES) {                                                                           \
            T best = START;                                                                        \
            for (int64_t i = 0; i < n; i++)                                                        \
                best = (p[i] CMP best) | IS_NAN(p[i]) ? p[i] : best;                               \
            return best;                                                                           \
        }                                                                                          \
        T lane[LANES];                                                                             \
        for (int l = 0; l < LANES; l++)                                                            \
            lane[l] = START;                                                                       \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (int l = 0; l < LANES; l++) {                                                      \
                T v = p[i + l];                                                                    \
                lane[l] = (v CMP lane[l]) | IS_NAN(v) ? v : lane[l];                               \
            }                                                                                      \
        for (int l = 0; i + l < n; l++) {                                                          \
            T v = p[i + l];                                                                        \
            lane[l] = (v CMP lane[l]) | IS_NAN(v) ? v : lane[l];                                   \
        }                                                                                          \
        for (int half = LANES / 2; half > 0; half /= 2)                                            \
            for (int l = 0; l < half; l++) {                                                       \
                T v = lane[l + half];                                                              \
                lane[l] = (v CMP lane[l]) | IS_NAN(v) ? v : lane[l];                               \
            }                                                                                      \
        return lane[0];                                                                            \
    }                                                                                              \
    static void F(name)(const void *x, int64_t n, void *out, double param)                         \
    {                                                                                              \
        (void)param;                                                                               \
        *(T *)out = F(name##_of)(x, n);                                                            \
    }                                                                                              \
    static void F(arg##name)(const void *x, int64_t n, void *out, double param)                    \
    {                                                                                              \
        (void)param;                                                                               \
        const T *p = x;                                                                            \
        int64_t block = 0;                                                                         \
        T best = F(name##_of)(p, n < BLOCK ? n : BLOCK);                                           \
        for (int64_t at = BLOCK; at < n && !IS_NAN(best); at += BLOCK) {                           \
            T v = F(name##_of)(p + at, n - at < BLOCK ? n - at : BLOCK);                           \
            if ((v CMP best) || IS_NAN(v)) {                                                       \
                best = v;                                                                          \
                block = at;                                                                        \
            }                                                                                      \
        }                                                                                          \
        int64_t i = block;                                                                         \
        while (i < n - 1 && !(p[i] == best || (IS_NAN(best) && IS_NAN(p[i]))))                     \
            i++;                                                                                   \
        *(int64_t *)out = i;                                                                       \
    }                                                                                              \
    static void F(cum##name)(const void *x, int64_t n, void *out, double param)                    \
    {                                                                                              \
        (void)param;                                                                               \
        const T *p = x;                                                                            \
        int64_t *o = out, best = 0;                                                                \
        for (int64_t i = 0; i < n; i++) {                                                          \
            if (IS_NAN(p[i]) || (!IS_NAN(p[best]) && p[i] CMP_EQ p[best]))                          \
                best = i;                                                                          \
            o[i] = best;                                                                           \
        }                                                                                          \
    }
EXTREME(max, >, >=, LOWEST)
EXTREME(min, <, <=, HIGHEST)

#ifdef REAL
#define WITHOUT_NAN(v) ((F(vec))((v == v) & (F(bits))v))
#define MAGNITUDE(v) ((F(vec))((F(bits))v & (BITS_T)(((uint64_t)1 << (8 * sizeof(T) - 1)) - 1)))
typedef BITS_T F(bits) __attribute__((vector_size(MT_VECTOR_BYTES), aligned(sizeof(SUM_T)), may_alias));
#define SQUARE(v) ((v) * (v))
ADD_UP(add_up_finite, WITHOUT_NAN)
ADD_UP(add_up_magnitudes, MAGNITUDE)
ADD_UP(add_up_squares, SQUARE)

static void
F(nansum)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    F(add_up_finite)(x, n, out, 1);
}

/* Distances from the mean in a second pass, so that a large mean costs no digits. */
static void
F(moments)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    const T *p = x;
    double lane[8] = {0}, *o = out;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            lane[l] += (double)p[i + l];
    for (int l = 0; i + l < n; l++)
        lane[l] += (double)p[i + l];
    double mean = (((lane[0] + lane[4]) + (lane[2] + lane[6])) +
                   ((lane[1] + lane[5]) + (lane[3] + lane[7]))) / (double)n;
    memset(lane, 0, sizeof lane);
    for (i = 0; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) {
            double d = (double)p[i + l] - mean;
            lane[l] += d * d;
        }
    for (int l = 0; i + l < n; l++) {
        double d = (double)p[i + l] - mean;
        lane[l] += d * d;
    }
    o[0] = mean;
    o[1] = 0;
    o[2] = ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static void
F(norm)(const void *x, int64_t n, void *out, double order)
{
    const T *p = x;
    T r = 0;
    if (order == 2) {
        F(add_up_squares)(x, n, &r, 1);
        r = SQRT(r);
    } else if (order == 1) {
        F(add_up_magnitudes)(x, n, &r, 1);
    } else if (order == 0) {
        for (int64_t i = 0; i < n; i++)
            r += p[i] != 0;
    } else if (order == __builtin_inf() || order == -__builtin_inf()) {
        r = order > 0 ? 0 : HIGHEST;
        for (int64_t i = 0; i < n; i++) {
            T v = ABS(p[i]);
            r = (order > 0 ? v > r : v < r) || IS_NAN(v) ? v : r;
        }
    } else {
        double all = 0;
        for (int64_t i = 0; i < n; i++)
            all += (double)POW(ABS(p[i]), (T)order);
        r = (T)pow(all, 1 / order);
    }
    *(T *)out = r;
}

/* e^(x - top) into out (NULL: nowhere), and the sum of it. */
static T
F(exponentials)(const T *p, int64_t n, T top, T *restrict out)
{
    T lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        T e[LANES];
        for (int l = 0; l < LANES; l++)
            e[l] = EXP(p[i + l] - top);
        if (out)
            memcpy(out + i, e, sizeof e);
        for (int l = 0; l < LANES; l++)
            lane[l] += e[l];
    }
    for (int l = 0; i + l < n; l++) {
        T e = EXP(p[i + l] - top);
        if (out)
            out[i + l] = e;
        lane[l] += e;
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

static void
F(logsumexp)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    T top = n ? F(max_of)(x, n) : LOWEST;
    if (top == LOWEST || top == HIGHEST)
        *(T *)out = top;
    else
        *(T *)out = top + LOG(F(exponentials)(x, n, top, NULL));
}

static void
F(logcumsumexp)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    const T *p = x;
    T *o = out, all = LOWEST;
    for (int64_t i = 0; i < n; i++) {
        T a = p[i] < all ? p[i] : all, b = p[i] < all ? all : p[i];
        if (IS_NAN(p[i]) || IS_NAN(all))
            all = p[i] + all;
        else if (a == b && (a == LOWEST || a == HIGHEST))
            all = a;
        else
            all = b + LOG1P(EXP(a - b));
        o[i] = all;
    }
}

static void
F(softmax)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    T *o = out, all = F(exponentials)(x, n, F(max_of)(x, n), o);
    for (int64_t i = 0; i < n; i++)
        o[i] /= all;
}

static void
F(log_softmax)(const void *x, int64_t n, void *out, double param)
{
    (void)param;
    const T *p = x;
    T *o = out, top = F(max_of)(x, n), all = LOG(F(exponentials)(x, n, top, NULL));
    for (int64_t i = 0; i < n; i++)
        o[i] = p[i] - top - all;
}

static void
F(softmax_slope)(const void *grad, const void *output, int64_t n, void *out)
{
    const T *g = grad, *y = output;
    T *o = out, all = 0;
    for (int64_t i = 0; i < n; i++)
        o[i] = g[i] * y[i];
    F(add_up)(o, n, &all, 1);
    for (int64_t i = 0; i < n; i++)
        o[i] = (g[i] - all) * y[i];
}

static void
F(log_softmax_slope)(const void *grad, const void *output, int64_t n, void *out)
{
    const T *g = grad, *y = output;
    T *o = out, all;
    F(add_up)(g, n, &all, 1);
    for (int64_t i = 0; i < n; i++)
        o[i] = g[i] - EXP(y[i]) * all;
}
#endif

#undef NAME
#undef T
#undef REAL
#undef ADD
#undef MUL
#undef IS_NAN
#undef LOWEST
#undef HIGHEST
#undef EXP
#undef LOG
#undef LOG1P
#undef POW
#undef SQRT
#undef ABS
#undef ADD_UP
#undef SUM_T
#undef BITS_T
#undef VECTORS
#undef PER_VECTOR
#undef PLAIN
#undef EXTREME
#undef WITHOUT_NAN
#undef MAGNITUDE
#undef SQUARE
