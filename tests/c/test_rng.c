/* The generator and its fills against known answers: checksums (FNV-1a, 64 bits, of the bytes) and
 * values of streams that PyTorch 2.13 draws on the CPU from seed 0. Where the C library's functions
 * enter, results are float32 or integers, which its last bit does not reach. */
#include "check.h"

#include "base/cpu.h"
#include "kernels/random.h"
#include "kernels/random_k.h"

#define N 1000

static mt_rng rng;
static _Alignas(64) char buffer[1 << 16];

static uint64_t
checksum(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static mt_random_out
flat(mt_dtype dtype, int64_t n)
{
    static int64_t sizes[8];
    static int turn;
    int64_t *size = &sizes[turn++ % 8];
    *size = n;
    memset(buffer, 0x55, sizeof buffer);
    return (mt_random_out){buffer, dtype, 1, size, NULL};
}

/* `call` fills n elements of type `t` from seed 0 and succeeds; the bytes have this checksum. */
#define STREAM(expected, t, n, call)                                                               \
    do {                                                                                           \
        mt_random_out out = flat(t, n);                                                            \
        mt_rng_seed(&rng, 0);                                                                      \
        CHECK_INT(call, 0);                                                                        \
        size_t bytes = (size_t)(n)*mt_dtype_size(out.dtype);                                       \
        CHECK_INT(checksum(buffer, bytes), expected);                                              \
    } while (0)

static bool
near(double got, double expected)
{
    return fabs(got - expected) <= 1e-14 * fabs(expected);
}

static void
test_words(void)
{
    static const struct {
        uint64_t seed;
        uint32_t first[3], last; /* words 1 to 3 and 1000 */
    } known[] = {
        {0, {0x8c7f0aac, 0x97c4aa2f, 0xb716a675}, 0xb5676398},
        {1, {0x6ac1f425, 0xff4780eb, 0xb8672f8c}, 0x20b7f5b2},
        {42, {0x5fe1dc66, 0xcbea3db3, 0xf362035c}, 0x7407979a},
        {MT_RNG_DEFAULT_SEED, {0x8c446d76, 0x44df5e04, 0xef55d57d}, 0x24f77909},
        {(UINT64_C(1) << 40) + 5, {0x38d48b63, 0x0e2048ce, 0xdee84fef}, 0xc496a9e5},
    };
    uint32_t words[N];
    for (size_t k = 0; k < MT_COUNT(known); k++) {
        mt_rng_seed(&rng, known[k].seed);
        CHECK(mt_rng_seed_value(&rng) == known[k].seed);
        mt_rng_words(&rng, words, N);
        CHECK(memcmp(words, known[k].first, sizeof known[k].first) == 0);
        CHECK_INT(words[N - 1], known[k].last);
    }

    /* one by one and in pieces of any size the stream is the same */
    mt_rng_seed(&rng, MT_RNG_DEFAULT_SEED);
    mt_rng pieces = rng;
    uint32_t piece[700];
    mt_rng_words(&rng, words, N);
    int64_t sizes[] = {1, 0, 622, 1, 1, 375};
    for (size_t k = 0, at = 0; k < MT_COUNT(sizes); k++) {
        mt_rng_words(&pieces, piece, sizes[k]);
        CHECK(memcmp(piece, words + at, (size_t)sizes[k] * sizeof *words) == 0);
        at += (size_t)sizes[k];
    }
    CHECK(memcmp(&pieces, &rng, sizeof rng) == 0);
    mt_rng_seed(&pieces, MT_RNG_DEFAULT_SEED);
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += mt_rng_u32(&pieces) != words[i];
    CHECK_INT(wrong, 0);
    CHECK(memcmp(&pieces, &rng, sizeof rng) == 0);

    mt_rng_seed(&rng, 0);
    CHECK(mt_rng_u64(&rng) == UINT64_C(0x8c7f0aac97c4aa2f));
    uint64_t seed = mt_rng_seed_fresh(&rng);
    CHECK(seed == mt_rng_seed_value(&rng) && seed != mt_rng_seed_fresh(&rng));
}

static void
test_state(void)
{
    uint8_t state[MT_RNG_STATE_BYTES], again[MT_RNG_STATE_BYTES];
    enum { NORMAL = 24 + 8 * 624 + 8, HAS_NORMAL = NORMAL + 16, NEXT = 16, LEFT = 8 };
    int32_t has_normal, left;
    int64_t next;
    double normal;

    mt_rng_seed(&rng, 0);
    mt_rng_get_state(&rng, state);
    memcpy(&left, state + LEFT, sizeof left);
    memcpy(&next, state + NEXT, sizeof next);
    CHECK_INT(left, 1);
    CHECK_INT(next, 0);

    /* three normals take eight words and leave the second of the second pair */
    mt_random_out out = flat(MT_FLOAT32, 3);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    mt_rng_get_state(&rng, state);
    memcpy(&left, state + LEFT, sizeof left);
    memcpy(&next, state + NEXT, sizeof next);
    memcpy(&normal, state + NORMAL, sizeof normal);
    memcpy(&has_normal, state + HAS_NORMAL, sizeof has_normal);
    CHECK_INT(left, 617);
    CHECK_INT(next, 8);
    CHECK_INT(has_normal, 1);
    CHECK(near(normal, 0x1.23096ca3e350dp-1));

    mt_rng other;
    mt_rng_seed(&other, 99);
    CHECK_INT(mt_rng_set_state(&other, state, sizeof state), 0);
    CHECK(mt_rng_seed_value(&other) == 0);
    mt_rng_get_state(&other, again);
    CHECK(memcmp(state, again, sizeof state) == 0);
    CHECK(mt_rng_normal(&other) == normal);
    CHECK(mt_rng_u32(&other) == mt_rng_u32(&rng));

    /* counters out of range are refused and change nothing */
    static const struct {
        int32_t left, seeded;
        int64_t next;
    } bad[] = {{0, 1, 0},   {-1, 1, 0},    {625, 1, 0}, {1, 0, 0},
               {1, 1, 625}, {600, 1, 600}, {1, 1, -1},  {2, 1, 624}};
    for (size_t k = 0; k < MT_COUNT(bad); k++) {
        memcpy(again, state, sizeof state);
        memcpy(again + LEFT, &bad[k].left, 4);
        memcpy(again + 12, &bad[k].seeded, 4);
        memcpy(again + NEXT, &bad[k].next, 8);
        mt_rng before = other;
        CHECK_FAILS(mt_rng_set_state(&other, again, sizeof again), MT_RUNTIME,
                    "Invalid mt19937 state");
        CHECK(memcmp(&before, &other, sizeof other) == 0);
    }
    CHECK_FAILS(mt_rng_set_state(&other, state, 5048), MT_RUNTIME,
                "Expected a CPUGeneratorImplState of size 5056 but found the input RNG state size "
                "to be 5048");
}

static void
test_uniform(void)
{
    static const struct {
        mt_dtype dtype;
        uint64_t unit, range;
    } known[] = {
        {MT_FLOAT32, 0xfd45d9e8345f8403, 0x652feb20361a8e57},
        {MT_FLOAT64, 0x6a804b2b6e4a3918, 0x8101a8bd58a43ad1},
        {MT_FLOAT16, 0xe1e265f77a906430, 0x99cce29006d1db4b},
        {MT_BFLOAT16, 0x363b93d6e45ef087, 0x616c9da75d71da1f},
        {MT_COMPLEX64, 0x2e14bd2bb9857354, 0x61076cec483778df},
    };
    for (size_t k = 0; k < MT_COUNT(known); k++) {
        STREAM(known[k].unit, known[k].dtype, N, mt_random_uniform(&rng, &out, 0, 1));
        STREAM(known[k].range, known[k].dtype, N, mt_random_uniform(&rng, &out, -2.3, 5.7));
    }
    mt_random_out out = flat(MT_FLOAT32, N);
    CHECK_FAILS(mt_random_uniform(&rng, &out, 1, 0), MT_RUNTIME,
                "uniform_ expects to return a [from, to) range, but found from=1 > to=0");
    CHECK_FAILS(mt_random_uniform(&rng, &out, 0, 1e39), MT_RUNTIME,
                "to is out of bounds for float");
    CHECK_FAILS(mt_random_uniform(&rng, &out, NAN, 1), MT_RUNTIME,
                "from is out of bounds for float");
    out.dtype = MT_FLOAT16;
    CHECK_FAILS(mt_random_uniform(&rng, &out, -60000, 60000), MT_RUNTIME,
                "uniform_ expects to-from <= std::numeric_limits<Half>::max(), but found to=60000 "
                "and from=-60000 which result in to-from to exceed the limit");
    out.dtype = MT_INT64;
    CHECK_FAILS(mt_random_uniform(&rng, &out, 0, 1), MT_NOT_IMPLEMENTED,
                "\"check_uniform_bounds\" not implemented for 'Long'");
}

static void
test_normal(void)
{
    static const struct {
        mt_dtype dtype;
        int64_t few; /* elements that take the scalar path */
        uint64_t rest, runs, scalar;
    } known[] = {
        {MT_FLOAT32, 15, 0x31ae67821ca5077e, 0x79f943236b15ff45, 0x0b020aee7235e0d1},
        {MT_FLOAT16, 15, 0x3c49c56d051cd657, 0x720b4da8e533fded, 0x4f1708413cdaed31},
        {MT_BFLOAT16, 15, 0xd4885ecde06c984c, 0xf2bb5387d2c1670d, 0x8ed5ebdf4c6f297b},
        {MT_COMPLEX64, 7, 0x00541aeb638da4af, 0xd073d86835be21df, 0x98e3ee3cab6aa9af},
    };
    for (size_t k = 0; k < MT_COUNT(known); k++) {
        STREAM(known[k].rest, known[k].dtype, 1000, mt_random_normal(&rng, &out, 0, 1));
        STREAM(known[k].runs, known[k].dtype, 1024, mt_random_normal(&rng, &out, 0.3, 1.7));
        STREAM(known[k].scalar, known[k].dtype, known[k].few,
               mt_random_normal(&rng, &out, 0.3, 1.7));
    }

    static const double scalar[] = {0x1.8a7eb8902be3ap+0, -0x1.2c78a087c6feap-2,
                                    -0x1.16e2920a70ee5p+1, 0x1.23096ca3e350dp-1};
    static const double last[] = {0x1.3bff1c51bd9a4p-3, -0x1.7ff1c81c48b11p-1,
                                  -0x1.72602283cd6ebp-1, 0x1.61c56572427d3p-4};
    const double *values = (const double *)(void *)buffer;
    mt_random_out out = flat(MT_FLOAT64, 4);
    mt_rng_seed(&rng, 0);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    for (int i = 0; i < 4; i++)
        CHECK(near(values[i], scalar[i]));
    out = flat(MT_FLOAT64, 18);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    for (int i = 0; i < 4; i++)
        CHECK(near(values[14 + i], last[i]));

    /* a kept normal survives a block fill and is the next scalar one */
    mt_rng_seed(&rng, 0);
    out = flat(MT_FLOAT64, 1);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    out = flat(MT_FLOAT32, 64);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    out = flat(MT_FLOAT64, 1);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    CHECK(near(values[0], scalar[1]));

    /* a transposed output is filled by the scalar path in the order of its memory */
    int64_t sizes[] = {40, 30}, strides[] = {1, 40};
    mt_random_out t = {buffer, MT_FLOAT32, 2, sizes, strides};
    mt_rng_seed(&rng, 0);
    CHECK_INT(mt_random_normal(&rng, &t, 0, 1), 0);
    float first[15];
    memcpy(first, buffer, sizeof first);
    out = flat(MT_FLOAT32, 15);
    mt_rng_seed(&rng, 0);
    CHECK_INT(mt_random_normal(&rng, &out, 0, 1), 0);
    CHECK(memcmp(first, buffer, sizeof first) == 0);

    out = flat(MT_FLOAT32, 15);
    CHECK_FAILS(mt_random_normal(&rng, &out, 0, -1), MT_RUNTIME,
                "normal expects std >= 0.0, but found std -1");
    out.dtype = MT_INT64;
    CHECK_FAILS(mt_random_normal(&rng, &out, 0, 1), MT_NOT_IMPLEMENTED,
                "\"normal_kernel_cpu\" not implemented for 'Long'");
    int64_t none = 0;
    CHECK_INT(mt_random_normal(&rng, &(mt_random_out){NULL, MT_INT64, 1, &none, NULL}, 0, 1), 0);
}

/* Strided outputs and parameters: the same values as packed ones, at the places of the strides,
 * and nothing between them touched. */
static void
test_strides(void)
{
    enum { A = 5, B = 7, C = 301 };
    int64_t sizes[] = {A, B, C}, strides[] = {2 * C, 2 * A * C, 2}; /* memory order: B, A, C */
    static float packed[A * B * C], spread[2 * A * B * C];
    int64_t numel = A * B * C, wrong = 0;
    mt_rng_seed(&rng, 3);
    CHECK_INT(mt_random_uniform(&rng, &(mt_random_out){packed, MT_FLOAT32, 1, &numel, NULL}, 0, 1),
              0);
    for (size_t i = 0; i < MT_COUNT(spread); i++)
        spread[i] = -1;
    mt_rng_seed(&rng, 3);
    mt_random_out out = {spread, MT_FLOAT32, 3, sizes, strides};
    CHECK_INT(mt_random_uniform(&rng, &out, 0, 1), 0);
    for (int64_t i = 0; i < numel; i++)
        wrong += spread[2 * i] != packed[i] || spread[2 * i + 1] != -1;
    CHECK_INT(wrong, 0);

    /* p along the last dimension, broadcast over the others */
    static double p[C];
    static uint8_t chosen[A * B * C];
    for (int i = 0; i < C; i++)
        p[i] = i % 2;
    int64_t along[] = {0, 0, 1}, to[] = {C, A * C, 1};
    mt_random_out mask = {chosen, MT_BOOL, 3, sizes, to};
    CHECK_INT(mt_random_bernoulli_tensor(&rng, &mask, &(mt_random_arg){p, MT_FLOAT64, along}), 0);
    wrong = 0;
    for (int64_t i = 0; i < numel; i++)
        wrong += chosen[i] != i % C % 2;
    CHECK_INT(wrong, 0);
}

static void
test_integers(void)
{
    static const struct {
        mt_dtype dtype;
        uint64_t all, two;
    } known[] = {
        {MT_BOOL, 0x2e7682e9fb44646d, 0x2e7682e9fb44646d},
        {MT_UINT8, 0x3a1ae9a0cb9c00ed, 0x2e7682e9fb44646d},
        {MT_INT8, 0x3b7ec8f7f30d0d6d, 0x2e7682e9fb44646d},
        {MT_INT16, 0xc5a972e7b380e216, 0x19a0c1d217ada175},
        {MT_INT32, 0xea37536c6cb099b9, 0x79c9fc0e90a883c5},
        {MT_INT64, 0x2ae4b6f2a0fb03f1, 0x49187266eca54465},
        {MT_FLOAT16, 0x0ec09bc9655abfc0, 0xb12eee8fca62a245},
        {MT_BFLOAT16, 0x743326b9f9647b9b, 0xee228254aecd0bb5},
        {MT_FLOAT32, 0xc23605a35fe2a92a, 0xbd390fa8364b7945},
        {MT_FLOAT64, 0x51591367798dcf7d, 0x4c6f6a52c47e7765},
    };
    for (size_t k = 0; k < MT_COUNT(known); k++) {
        STREAM(known[k].all, known[k].dtype, N, mt_random_integers_all(&rng, &out));
        STREAM(known[k].two, known[k].dtype, N, mt_random_integers(&rng, &out, 0, 2));
    }
    STREAM(0x666b90e62efbf77e, MT_INT64, N, mt_random_integers(&rng, &out, -3, 5));
    STREAM(0x98ee9a666cf5342d, MT_INT64, N, mt_random_integers(&rng, &out, 10, 268435465));
    STREAM(0x2e300b4ec96eb5f4, MT_INT64, N, mt_random_integers(&rng, &out, 10, 268435466));
    int64_t far = INT64_C(1) << 62;
    STREAM(0xbd90c5843d9aec73, MT_INT64, N, mt_random_integers(&rng, &out, -far, far + 3));
    STREAM(0xa3ab2dc135bdc771, MT_INT64, N, mt_random_integers_from(&rng, &out, INT64_MIN));
    STREAM(0xe8cb87a31505251c, MT_INT32, N, mt_random_integers_from(&rng, &out, 5));

    mt_random_out out = flat(MT_UINT8, N);
    CHECK_FAILS(mt_random_integers(&rng, &out, 3, 3), MT_RUNTIME,
                "random_ expects 'from' to be less than 'to', but got from=3 >= to=3");
    CHECK_FAILS(mt_random_integers(&rng, &out, -1, 3), MT_RUNTIME,
                "from is out of bounds for unsigned char");
    CHECK_FAILS(mt_random_integers(&rng, &out, 0, 257), MT_RUNTIME,
                "to - 1 is out of bounds for unsigned char");
    out.dtype = MT_FLOAT32;
    CHECK_FAILS(
        mt_random_integers_from(&rng, &out, INT64_C(1) << 62), MT_RUNTIME,
        "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted "
        "to dtype, but got from=4611686018427387904 > to_inc=16777216");
    CHECK_FAILS(
        mt_random_integers_from(&rng, &out, INT64_MAX), MT_RUNTIME,
        "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted "
        "to dtype, but got from=9223372036854775807 > to_inc=16777216");
    out.dtype = MT_COMPLEX64;
    CHECK_FAILS(mt_random_integers_all(&rng, &out), MT_NOT_IMPLEMENTED,
                "\"random_kernel_cpu\" not implemented for 'ComplexFloat'");
}

static void
test_permutations(void)
{
    STREAM(0x01f56afb98c57ed9, MT_INT64, N, mt_random_permutation(&rng, out.dtype, buffer, 1, N));
    STREAM(0x01cd2452432db541, MT_INT16, N, mt_random_permutation(&rng, out.dtype, buffer, 1, N));
    STREAM(0x22edd6cb17779c97, MT_FLOAT16, 2049,
           mt_random_permutation(&rng, out.dtype, buffer, 1, 2049));
    CHECK_FAILS(mt_random_permutation(&rng, MT_FLOAT16, buffer, 1, 2050), MT_RUNTIME,
                "n cannot be greater than 2049 for Half type.");
    CHECK_FAILS(mt_random_permutation_check(MT_INT8, 129), MT_RUNTIME,
                "value cannot be converted to type int8_t without overflow");
    CHECK_FAILS(mt_random_permutation_check(MT_BOOL, 2), MT_NOT_IMPLEMENTED,
                "\"randperm\" not implemented for 'Bool'");
}

static void
test_choices(void)
{
    static float p[N];
    static double p64[N];
    static mt_bfloat16 p16[N], x16[N];
    static float x[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        p[i] = (float)(p64[i] = i / 1024.0);
        p16[i] = mt_float_to_bfloat16(p[i]);
        x16[i] = mt_float_to_bfloat16(x[i]);
    }
    STREAM(0x3309b347360068b2, MT_BOOL, N, mt_random_bernoulli(&rng, &out, 0.3));
    STREAM(0x92a391ef685a31e8, MT_FLOAT32, N, mt_random_bernoulli(&rng, &out, 0.3));
    STREAM(0x5b503f291e00a9a8, MT_FLOAT32, N,
           mt_random_bernoulli_tensor(&rng, &out, &(mt_random_arg){p, MT_FLOAT32, NULL}));
    STREAM(0xa0a96c0bcee8a9c5, MT_FLOAT64, N,
           mt_random_bernoulli_tensor(&rng, &out, &(mt_random_arg){p64, MT_FLOAT64, NULL}));
    mt_random_out none = flat(MT_FLOAT32, N);
    CHECK_FAILS(mt_random_bernoulli(&rng, &none, 1.5), MT_RUNTIME,
                "bernoulli_ expects p to be in [0, 1], but got p=1.5");
    none.dtype = MT_UINT16;
    CHECK_FAILS(mt_random_bernoulli(&rng, &none, 0.5), MT_NOT_IMPLEMENTED,
                "\"bernoulli_scalar_cpu_\" not implemented for 'UInt16'");

    STREAM(0xb8e696ef2e603f81, MT_FLOAT32, N,
           mt_random_dropout(&rng, out.dtype, N, 0.3, x, buffer, NULL));
    uint8_t keep[N];
    STREAM(0xb16544ec4e1eca27, MT_BFLOAT16, N,
           mt_random_dropout(&rng, out.dtype, N, 0.3, x16, buffer, keep));
    const mt_bfloat16 *dropped = (const mt_bfloat16 *)(void *)buffer;
    int wrong = 0;
    for (int i = 1; i < N; i++)
        wrong += (dropped[i].bits != 0) != keep[i];
    CHECK_INT(wrong, 0);
    mt_rng unmoved = rng;
    CHECK_INT(mt_random_dropout(&rng, MT_FLOAT32, N, 1, x, buffer, keep), 0);
    CHECK_INT(mt_random_dropout(&rng, MT_FLOAT32, N, 0, x, buffer, keep), 0);
    CHECK(memcmp(buffer, x, sizeof x) == 0 && memcmp(&unmoved, &rng, sizeof rng) == 0);

    int64_t *chosen = (int64_t *)(void *)buffer;
#define MULTINOMIAL(dtype, weights, row, step, rows, n, draws, again)                              \
    mt_random_multinomial(&rng, dtype, weights, row, step, rows, n, draws, again, chosen)
    STREAM(0xfa3381a1275b5443, MT_INT64, 100, MULTINOMIAL(MT_FLOAT32, p, N, 1, 1, N, 100, true));
    STREAM(0xc895f30b55533cdb, MT_INT64, 100, MULTINOMIAL(MT_FLOAT32, p, N, 1, 1, N, 100, false));
    STREAM(0x965be46bb5872ee5, MT_INT64, 500,
           MULTINOMIAL(MT_BFLOAT16, p16, N, 1, 1, N, 500, false));
    STREAM(0xb6d8fe39ded89e35, MT_INT64, 10, MULTINOMIAL(MT_FLOAT32, p, 1, 10, 10, 20, 1, true));
    p[7] = -1;
    CHECK_FAILS(MULTINOMIAL(MT_FLOAT32, p, N, 1, 1, N, 2, true), MT_RUNTIME,
                "invalid multinomial distribution (encountering probability entry < 0)");
    CHECK_FAILS(MULTINOMIAL(MT_FLOAT32, p, N, 1, 1, N, 2, false), MT_RUNTIME,
                "probability tensor contains either `inf`, `nan` or element < 0");
    memset(p, 0, sizeof p);
    CHECK_FAILS(MULTINOMIAL(MT_FLOAT32, p, N, 1, 1, N, 2, true), MT_RUNTIME,
                "invalid multinomial distribution (sum of probabilities <= 0)");
    CHECK_FAILS(MULTINOMIAL(MT_FLOAT32, p, N, 1, 1, 3, 4, false), MT_RUNTIME,
                "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
}

static void
test_distributions(void)
{
    static float p[N], p3[N], p30[N], x[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        p[i] = (float)i / 1024;
        p3[i] = p[i] * 3;
        p30[i] = p[i] * 30;
    }
    STREAM(0xc6fa8f11dc8752e8, MT_FLOAT32, N, mt_random_exponential(&rng, &out, 1.7));
    STREAM(0xbf1db01c0f269ace, MT_INT64, N, mt_random_geometric(&rng, &out, 0.01));
    STREAM(0x5d1db23731d4619f, MT_FLOAT32, N, mt_random_cauchy(&rng, &out, 0.5, 2));
    STREAM(0x043d7009ed2e3bc4, MT_FLOAT32, N, mt_random_log_normal(&rng, &out, 0.5, 0.25));
    STREAM(0xa3dfc943fc328940, MT_FLOAT32, N,
           mt_random_poisson(&rng, &out, &(mt_random_arg){p30, MT_FLOAT32, NULL}));
    STREAM(0x15d7c7530803c6b8, MT_FLOAT32, N,
           mt_random_gamma(&rng, &out, &(mt_random_arg){p3, MT_FLOAT32, NULL}));
    STREAM(0xa93cc29367392a02, MT_FLOAT32, N,
           mt_random_binomial(&rng, &out, &(mt_random_arg){x, MT_FLOAT32, NULL},
                              &(mt_random_arg){p, MT_FLOAT32, NULL}));
    for (int i = 0; i < N; i++)
        p3[i] += 0.5f;
    STREAM(0xfb40eef61e5db923, MT_FLOAT32, N,
           mt_random_dirichlet(&rng, out.dtype, buffer, p3, 100, 10));

    mt_random_out out = flat(MT_FLOAT32, N);
    CHECK_FAILS(mt_random_exponential(&rng, &out, 0), MT_RUNTIME,
                "exponential_ expects lambda > 0.0, but found lambda=0");
    CHECK_FAILS(mt_random_geometric(&rng, &out, 1), MT_RUNTIME,
                "geometric_ expects p to be in (0, 1), but got p=1");
    CHECK_FAILS(mt_random_cauchy(&rng, &out, 0, -1), MT_RUNTIME,
                "cauchy_ expects sigma > 0.0, but found sigma=-1");
    CHECK_FAILS(mt_random_log_normal(&rng, &out, 0, NAN), MT_RUNTIME,
                "log_normal_ expects std > 0.0, but found std=nan");

    /* the words before a bad rate are drawn, none after it */
    mt_rng before;
    mt_rng_seed(&before, 5);
    rng = before;
    int64_t good = 600;
    p30[good] = -1;
    CHECK_FAILS(mt_random_poisson(&rng, &out, &(mt_random_arg){p30, MT_FLOAT32, NULL}), MT_RUNTIME,
                "invalid Poisson rate, expected rate to be non-negative");
    mt_random_out some = {buffer, MT_FLOAT32, 1, &good, NULL};
    CHECK_INT(mt_random_poisson(&before, &some, &(mt_random_arg){p30, MT_FLOAT32, NULL}), 0);
    CHECK(memcmp(&before, &rng, sizeof rng) == 0);

    /* a count without an end does not hang */
    float count[] = {NAN, INFINITY}, half[] = {0.5f, 0.5f}, got[2];
    int64_t two = 2;
    mt_random_out draws = {got, MT_FLOAT32, 1, &two, NULL};
    CHECK_INT(mt_random_binomial(&rng, &draws, &(mt_random_arg){count, MT_FLOAT32, NULL},
                                 &(mt_random_arg){half, MT_FLOAT32, NULL}),
              0);
    CHECK(isnan(got[0]) && isnan(got[1]));

    float slopes[N], y[N];
    x[0] = NAN;
    for (int i = 1; i < N; i++)
        x[i] = i % 2 ? -(float)i : (float)i;
    CHECK_INT(mt_random_rrelu(&rng, MT_FLOAT32, N, 0.125, 0.25, x, y, slopes), 0);
    int wrong = !isnan(y[0]) || slopes[0] != 1;
    for (int i = 1; i < N; i++) {
        bool in_range = i % 2 ? slopes[i] >= 0.125f && slopes[i] < 0.25f : slopes[i] == 1;
        wrong += !in_range || y[i] != x[i] * slopes[i];
    }
    CHECK_INT(wrong, 0);
}

/* Every level that this CPU has gives the bits of the baseline. */
static void
test_levels(void)
{
    static const mt_random_kernels *const levels[] = {
#define X(isa) &mt_random_kernels_##isa,
        MT_FOR_ISA(X)
#undef X
    };
    enum { COUNT = 4096 + 16 };
    static uint32_t words[2 * COUNT];
    static float f32[2][COUNT];
    static double f64[2][COUNT];
    static uint8_t keep[2][COUNT];
    mt_rng_seed(&rng, 17);
    mt_rng_words(&rng, words, MT_COUNT(words));
    const mt_random_kernels *base = levels[0];
    for (size_t k = 1; k < MT_COUNT(levels) && k <= (size_t)mt_cpu_best_isa(); k++) {
        uint32_t state[2][624], tempered[2][624];
        memcpy(state[0], words, sizeof state[0]);
        memcpy(state[1], words, sizeof state[1]);
        for (int turn = 0; turn < 3; turn++) {
            base->renew(state[0]);
            levels[k]->renew(state[1]);
        }
        base->temper(tempered[0], state[0], 624);
        levels[k]->temper(tempered[1], state[1], 624);
        CHECK(memcmp(state[0], state[1], sizeof state[0]) == 0);
        CHECK(memcmp(tempered[0], tempered[1], sizeof tempered[0]) == 0);
        for (int side = 0; side < 2; side++) {
            const mt_random_kernels *level = side ? levels[k] : base;
            level->unit_f32(f32[side], words, COUNT - 5);
            level->unit_f64(f64[side], words, COUNT - 5);
            level->below(keep[side], words, COUNT - 5, UINT64_C(1) << 52);
        }
        CHECK(memcmp(f32[0], f32[1], sizeof f32[0]) == 0);
        CHECK(memcmp(f64[0], f64[1], sizeof f64[0]) == 0);
        CHECK(memcmp(keep[0], keep[1], sizeof keep[0]) == 0);
        for (int side = 0; side < 2; side++) {
            const mt_random_kernels *level = side ? levels[k] : base;
            level->normal_f32(f32[side], COUNT, 0.3f, 1.7f);
            level->range_f64(f64[side], COUNT, -2.3, 5.7);
        }
        CHECK(memcmp(f32[0], f32[1], sizeof f32[0]) == 0);
        CHECK(memcmp(f64[0], f64[1], sizeof f64[0]) == 0);
        for (int side = 0; side < 2; side++) {
            const mt_random_kernels *level = side ? levels[k] : base;
            level->range_f32(f32[side], COUNT, -2.3f, 5.7f);
            level->mask_f32(f32[side], f32[side], keep[side], COUNT, 1 / 0.7f);
        }
        CHECK(memcmp(f32[0], f32[1], sizeof f32[0]) == 0);
    }
    CHECK(mt_random_loops() == levels[mt_cpu_isa()]);
}

int
main(void)
{
    test_words();
    test_state();
    test_uniform();
    test_normal();
    test_strides();
    test_integers();
    test_permutations();
    test_choices();
    test_distributions();
    test_levels();
    return check_done();
}
