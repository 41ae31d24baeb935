/* Body of one integer product: T is the stored type (unsigned), ACC the unsigned type it is
 * computed in, NAME the function, and MADD(acc, a, b) one step on vectors of ACC.
 *
 * Everything is exact modulo 2^bits(T), so the sum over k may be cut anywhere and c may hold the
 * partial results. b is packed a panel of LANES columns at a time; a is read where it lies. */
#define HALF ((int)(MT_VECTOR_BYTES / sizeof(ACC)))
#define LANES (2 * HALF)
#define DEPTH 256
#define VEC MT_K_JOIN(NAME, vec)
#define PACK MT_K_JOIN(NAME, pack)
#define RESCALE MT_K_JOIN(NAME, rescale)
#define STORE MT_K_JOIN(NAME, store)
#define ROWS MT_K_JOIN(NAME, rows)

typedef ACC VEC __attribute__((vector_size(MT_VECTOR_BYTES), may_alias));

static void
PACK(ACC *MT_RESTRICT panel, const T *MT_RESTRICT b, int64_t row, int64_t col, int64_t depth,
     int64_t width)
{
    for (int64_t p = 0; p < depth; p++, panel += LANES, b += row) {
        if (col == 1 && width == LANES) {
            for (int64_t j = 0; j < LANES; j++)
                panel[j] = (ACC)b[j];
            continue;
        }
        for (int64_t j = 0; j < width; j++)
            panel[j] = (ACC)b[j * col];
        for (int64_t j = width; j < LANES; j++)
            panel[j] = 0;
    }
}

static MT_NOINLINE void
STORE(T *MT_RESTRICT c, const VEC *MT_RESTRICT vectors, int64_t width, ACC alpha)
{
    ACC sums[LANES];
    memcpy(sums, vectors, sizeof sums);
    for (int64_t j = 0; j < width; j++)
        c[j] = COMBINE(c[j], alpha, sums[j]);
}

static MT_NOINLINE void
RESCALE(const mt_gemm_tile *t)
{
    uint64_t beta = (uint64_t)t->beta.integer;
    for (int64_t i = 0; i < t->m; i++) {
        T *row = (T *)t->c + i * t->ldc;
        if (beta == 0)
            memset(row, 0, (size_t)t->n * sizeof(T));
        else if (beta != 1)
            for (int64_t j = 0; j < t->n; j++)
                row[j] = SCALE(row[j], beta);
    }
}

/* `count` <= 4 rows of c against one panel. */
MT_INLINE void
ROWS(const int count, const ACC *MT_RESTRICT panel, const T *a, int64_t a_row, int64_t a_col,
     int64_t depth, ACC alpha, T *c, int64_t ldc, int64_t width)
{
    VEC acc[4][2] = {{{0}}};
    for (int64_t p = 0; p < depth; p++, a += a_col, panel += LANES) {
        VEC left = *(const VEC *)panel, right = *(const VEC *)(panel + HALF);
        for (int i = 0; i < count; i++) {
            VEC factor = (ACC)a[i * a_row] - (VEC){0};
            MADD(acc[i][0], factor, left);
            MADD(acc[i][1], factor, right);
        }
    }
    for (int i = 0; i < count; i++)
        STORE(c + i * ldc, acc[i], width, alpha);
}

static void
NAME(const mt_gemm_tile *t)
{
    ACC panel[DEPTH * LANES] __attribute__((aligned(64)));
    const T *a = t->a, *b = t->b;
    T *c = t->c;
    ACC alpha = (ACC)(uint64_t)t->alpha.integer;
    RESCALE(t);
    if (t->alpha.integer == 0)
        return;
    for (int64_t p = 0; p < t->k; p += DEPTH) {
        int64_t depth = MT_MIN(DEPTH, t->k - p);
        for (int64_t j = 0; j < t->n; j += LANES) {
            int64_t width = MT_MIN(LANES, t->n - j);
            PACK(panel, b + p * t->b_row + j * t->b_col, t->b_row, t->b_col, depth, width);
            for (int64_t i = 0; i < t->m; i += 4) {
                const T *rows = a + i * t->a_row + p * t->a_col;
                T *to = c + i * t->ldc + j;
                switch (MT_MIN(4, t->m - i)) {
                case 4:
                    ROWS(4, panel, rows, t->a_row, t->a_col, depth, alpha, to, t->ldc, width);
                    break;
                case 3:
                    ROWS(3, panel, rows, t->a_row, t->a_col, depth, alpha, to, t->ldc, width);
                    break;
                case 2:
                    ROWS(2, panel, rows, t->a_row, t->a_col, depth, alpha, to, t->ldc, width);
                    break;
                default: ROWS(1, panel, rows, t->a_row, t->a_col, depth, alpha, to, t->ldc, width);
                }
            }
        }
    }
}

#undef HALF
#undef LANES
#undef DEPTH
#undef VEC
#undef PACK
#undef RESCALE
#undef STORE
#undef ROWS
#undef T
#undef ACC
#undef NAME
