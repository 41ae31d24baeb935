/* Shuffles n numbers of type T that lie `stride` apart; included by random_int.c once per width. */
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define AHEAD 32

static void
JOIN(shuffle_, T)(mt_rng *r, T *x, int64_t stride, int64_t n, bool wide)
{
    if (wide) {
        /* Element i goes to a place up to i, what was there moves to i. */
        for (int64_t i = 0; i < n; i++) {
            T *a = x + i * stride, *b = x + (int64_t)(mt_rng_u64(r) % (uint64_t)(i + 1)) * stride;
            T own = *a;
            *a = *b;
            *b = own;
        }
        return;
    }
    /* Every place from the first swaps with one of those not yet settled. Which one is drawn a few
     * swaps ahead, so that its memory is on the way. */
    T *to[AHEAD];
    for (int64_t i = 0; i < n - 1; i += AHEAD) {
        int64_t m = n - 1 - i < AHEAD ? n - 1 - i : AHEAD;
        for (int64_t k = 0; k < m; k++) {
            to[k] = x + (i + k + (int64_t)(mt_rng_u32(r) % (uint32_t)(n - i - k))) * stride;
            __builtin_prefetch(to[k], 1);
        }
        for (int64_t k = 0; k < m; k++) {
            T *a = x + (i + k) * stride, own = *a;
            *a = *to[k];
            *to[k] = own;
        }
    }
}

#undef JOIN
#undef JOIN2
#undef AHEAD
#undef T
