/* Shuffles n numbers of type T that lie `stride` apart; included by random_int.c once per width. */
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

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
    /* Every place from the first swaps with one of those not yet settled. */
    for (int64_t i = 0; i < n - 1; i++) {
        T *a = x + i * stride, *b = a + (int64_t)(mt_rng_u32(r) % (uint32_t)(n - i)) * stride;
        T own = *a;
        *a = *b;
        *b = own;
    }
}

#undef JOIN
#undef JOIN2
#undef T
