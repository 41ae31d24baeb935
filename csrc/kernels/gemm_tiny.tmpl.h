/* Body of a tiny product of type T: NAME the function. b is read in whole vectors, c goes through
 * registers. */
#define LANES ((int)(MT_VECTOR_BYTES / sizeof(T)))
#define VEC MT_K_JOIN(NAME, vec)
#define BLOCK MT_K_JOIN(NAME, block)
#define STORE MT_K_JOIN(NAME, store)
#define PART MT_K_JOIN(NAME, part)

typedef T VEC __attribute__((vector_size(MT_VECTOR_BYTES), aligned(sizeof(T)), may_alias));

/* The last, partly filled vector of a row. */
static MT_NOINLINE void
PART(T *c, const VEC *sum, int64_t width, T alpha, T beta)
{
    T values[LANES];
    memcpy(values, sum, sizeof values);
    for (int64_t j = 0; j < width; j++)
        c[j] = values[j] * alpha + (beta != 0 ? c[j] * beta : 0);
}

MT_INLINE void
STORE(T *c, VEC sum, int64_t width, T alpha, T beta)
{
    if (width < LANES) {
        PART(c, &sum, width, alpha, beta);
        return;
    }
    sum *= alpha;
    if (beta != 0)
        sum += *(const VEC *)c * beta;
    *(VEC *)c = sum;
}

/* rows x (vecs * LANES) of c; the last vector may be partly outside of c. Rows of b up to `direct`
 * lie at b, the others at rest. */
MT_INLINE void
BLOCK(const int rows, const int vecs, const mt_gemm_tile *t, const T *a, const T *b, int64_t direct,
      const T *rest, int64_t rest_row, T *c, int64_t width)
{
    VEC acc[4][2] = {{{0}}};
    T alpha = (T)t->alpha.re, beta = (T)t->beta.re;
    int64_t row = t->b_row;
    for (int64_t p = 0; p < t->k; p++, a += t->a_col, b += row) {
        if (MT_UNLIKELY(p == direct))
            b = rest, row = rest_row;
        VEC right[2];
        for (int v = 0; v < vecs; v++)
            right[v] = *(const VEC *)(b + v * LANES);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vecs; v++)
                acc[i][v] += a[i * t->a_row] * right[v];
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++)
            STORE(c + i * t->ldc + v * LANES, acc[i][v], MT_MIN(LANES, width - v * LANES), alpha,
                  beta);
}

static void
NAME(const mt_gemm_tile *t)
{
    T packed[MT_GEMM_TINY_B] __attribute__((aligned(64)));
    const T *a = t->a, *b = t->b;
    T *c = t->c;
    int64_t full = (t->n + LANES - 1) / LANES * LANES, over = full - t->n;
    /* Where rows of b are stored as such, only the last of them must be copied: reading past the
     * end of an earlier row meets the next ones. */
    int64_t direct = t->b_col != 1 ? 0 : t->k;
    for (int64_t left = over; direct > 0 && left > 0; left -= t->b_row)
        direct--;
    for (int64_t p = direct; p < t->k; p++) {
        T *to = packed + (p - direct) * full;
        for (int64_t j = 0; j < full; j++)
            to[j] = j < t->n ? b[p * t->b_row + j * t->b_col] : 0;
    }
    for (int64_t i = 0; i < t->m; i += 4) {
        int64_t rows = MT_MIN(4, t->m - i);
        const T *left = a + i * t->a_row;
        T *to = c + i * t->ldc;
        for (int64_t j = 0; j < t->n; j += 2 * LANES) {
            int64_t width = t->n - j;
#define ROWS(r)                                                                                    \
    if (width > LANES)                                                                             \
        BLOCK(r, 2, t, left, b + j, direct, packed + j, full, to + j, width);                      \
    else                                                                                           \
        BLOCK(r, 1, t, left, b + j, direct, packed + j, full, to + j, width);
            if (rows == 4) {
                ROWS(4)
            } else if (rows == 3) {
                ROWS(3)
            } else if (rows == 2) {
                ROWS(2)
            } else {
                ROWS(1)
            }
#undef ROWS
        }
    }
}

#undef LANES
#undef VEC
#undef BLOCK
#undef STORE
#undef PART
#undef T
#undef NAME
