/* Tests of csrc/serialize/zip and crc32: the checksum, what the writer lays out, that a reader
 * gives it back, and that archives changed at random are refused or read within their bounds. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"
#include "serialize/crc32.h"
#include "serialize/zip.h"

/* ---- helpers ---- */

typedef struct bytes {
    uint8_t *data;
    size_t size, cap, limit; /* writes past `limit` fail */
    int calls;
} bytes;

static int
collect(void *ctx, const void *data, size_t n)
{
    bytes *b = ctx;
    b->calls++;
    if (b->size + n > b->limit)
        return mt_fail(MT_RUNTIME, "the sink is full");
    if (b->size + n > b->cap) {
        b->cap = 2 * (b->size + n);
        b->data = realloc(b->data, b->cap);
    }
    memcpy(b->data + b->size, data, n);
    b->size += n;
    return 0;
}

static int
serve(void *ctx, uint64_t offset, void *dst, size_t n)
{
    const bytes *b = ctx;
    CHECK(offset <= b->size && n <= b->size - offset);
    memcpy(dst, b->data + offset, n);
    return 0;
}

static uint64_t rng_state = 1;

static uint32_t
rng(void)
{
    rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(rng_state >> 33);
}

static int
put(mt_zip_writer *w, const char *name, const void *data, size_t size)
{
    return mt_zip_write(w, name, strlen(name), data, size);
}

static const mt_zip_member *
find(const mt_zip_reader *r, const char *name)
{
    return mt_zip_find(r, name, strlen(name));
}

static void
fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng();
}

#define LARGE 300000

static uint8_t large[LARGE];

/* A small archive with every kind of member. */
static void
make_archive(bytes *out, bool with_crc)
{
    mt_zip_writer *w = mt_zip_writer_new("model", with_crc, MT_ZIP_ALIGN, collect, out);
    CHECK(w != NULL);
    CHECK_INT(put(w, "data.pkl", "pickle", 6), 0);
    CHECK_INT(put(w, "data/0", large, 1000), 0);
    CHECK_INT(put(w, "data/1", "", 0), 0);
    CHECK_INT(put(w, "data/2", large, LARGE), 0);
    CHECK_INT(mt_zip_write_hole(w, "data/3", 6, 5000), 0);
    CHECK(!mt_zip_finished(w));
    CHECK_INT(mt_zip_finish(w), 0);
    CHECK(mt_zip_finished(w));
    mt_zip_writer_free(w);
}

static bytes
new_bytes(void)
{
    return (bytes){NULL, 0, 0, SIZE_MAX, 0};
}

static mt_zip_reader *
read_bytes(const bytes *b)
{
    mt_zip_source source = {b->data, NULL, NULL, b->size};
    return mt_zip_reader_new(&source);
}

/* ---- the checksum ---- */

static void
test_crc(void)
{
    CHECK_INT(mt_crc32(0, "123456789", 9), 0xCBF43926);
    CHECK_INT(mt_crc32_portable(0, "123456789", 9), 0xCBF43926);
    CHECK_INT(mt_crc32(0, "", 0), 0);
    for (size_t n = 0; n < 600; n++)
        for (size_t at = 0; at < 17; at += 4)
            CHECK_INT(mt_crc32((uint32_t)n, large + at, n),
                      mt_crc32_portable((uint32_t)n, large + at, n));
    uint32_t whole = mt_crc32(0, large, LARGE);
    CHECK_INT(whole, mt_crc32_portable(0, large, LARGE));
    for (size_t cut = 1; cut < LARGE; cut = cut * 3 + 1)
        CHECK_INT(mt_crc32(mt_crc32(0, large, cut), large + cut, LARGE - cut), whole);
}

/* ---- writing and reading back ---- */

static void
check_content(const mt_zip_reader *r, const char *name, const void *expected, size_t size)
{
    const mt_zip_member *m = find(r, name);
    uint64_t offset = 0;
    uint8_t *got = malloc(size + 1);
    if (CHECK(m != NULL) && CHECK_INT(m->size, size) && CHECK_INT(m->method, 0)) {
        CHECK_INT(mt_zip_payload_offset(r, m, &offset), 0);
        CHECK_INT(offset % MT_ZIP_ALIGN, 0);
        CHECK_INT(mt_zip_read(r, m, got, true), 0);
        CHECK(!memcmp(got, expected, size));
        CHECK_INT(mt_zip_check(r, m, got), 0);
    }
    free(got);
}

static void
check_archive(const mt_zip_reader *r)
{
    static const uint8_t zeros[5000];
    static const char *const names[] = {
        "data.pkl", "data/0",  "data/1",    "data/2",
        "data/3",   "version", "byteorder", ".data/serialization_id"};
    size_t len;
    const char *archive = mt_zip_reader_archive(r, &len);
    CHECK(len == 5 && !memcmp(archive, "model", 5));
    CHECK_INT(mt_zip_num_members(r), MT_COUNT(names));
    for (size_t i = 0; i < MT_COUNT(names); i++)
        CHECK(find(r, names[i]) == mt_zip_member_at(r, i));
    check_content(r, "data.pkl", "pickle", 6);
    check_content(r, "data/0", large, 1000);
    check_content(r, "data/1", "", 0);
    check_content(r, "data/2", large, LARGE);
    check_content(r, "data/3", zeros, 5000);
    check_content(r, "version", "3\n", 2);
    check_content(r, "byteorder", "little", 6);
    CHECK(find(r, "data") == NULL);
    CHECK(find(r, "") == NULL);
    CHECK(find(r, "data/00") == NULL);
}

static void
test_roundtrip(void)
{
    bytes out = new_bytes();
    make_archive(&out, true);
    mt_zip_reader *r = read_bytes(&out);
    if (CHECK(r != NULL))
        check_archive(r);
    mt_zip_reader_free(r);

    mt_zip_source source = {NULL, serve, &out, out.size};
    r = mt_zip_reader_new(&source);
    if (CHECK(r != NULL))
        check_archive(r);
    mt_zip_reader_free(r);

    int fd = memfd_create("archive", 0);
    CHECK_INT(mt_zip_write_fd(&fd, out.data, out.size), 0);
    source = (mt_zip_source){NULL, mt_zip_read_fd, &fd, out.size};
    r = mt_zip_reader_new(&source);
    if (CHECK(r != NULL))
        check_archive(r);
    CHECK_INT(ftruncate(fd, (off_t)out.size / 2), 0);
    uint8_t *got = malloc(LARGE);
    CHECK_INT(mt_zip_read(r, find(r, "data/2"), got, true), -1);
    free(got);
    mt_zip_reader_free(r);
    close(fd);

    /* Bytes after the archive, up to a comment's length, are passed over. */
    uint8_t junk[60000];
    memset(junk, 'P', sizeof junk);
    collect(&out, junk, sizeof junk);
    r = read_bytes(&out);
    if (CHECK(r != NULL))
        check_archive(r);
    mt_zip_reader_free(r);
    free(out.data);
}

static void
test_checksums(void)
{
    const char *message;
    bytes out = new_bytes();
    make_archive(&out, true);
    mt_zip_reader *r = read_bytes(&out);
    const mt_zip_member *m = find(r, "data/0");
    uint8_t got[1000];
    uint64_t offset = 0;
    mt_zip_payload_offset(r, m, &offset);
    out.data[offset + 700] ^= 0x10;
    CHECK_INT(mt_zip_read(r, m, got, true), -1);
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK(strstr(message, "reading file data/0: CRC-32 check failed") != NULL);
    CHECK_INT(mt_zip_check(r, m, got), -1);
    CHECK_INT(mt_zip_read(r, m, got, false), 0);
    mt_zip_reader_free(r);

    /* Without recorded checksums there is nothing to compare. */
    out.size = 0;
    make_archive(&out, false);
    r = read_bytes(&out);
    m = find(r, "data/0");
    CHECK_INT(m->crc, 0);
    mt_zip_payload_offset(r, m, &offset);
    out.data[offset + 700] ^= 0x10;
    CHECK_INT(mt_zip_read(r, m, got, true), 0);
    mt_zip_reader_free(r);
    free(out.data);
}

static void
test_many_names(void)
{
    bytes out = new_bytes();
    mt_zip_writer *w = mt_zip_writer_new("archive", true, 1, collect, &out);
    char name[32];
    size_t len;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "data/%d", i);
        CHECK_INT(put(w, name, &i, sizeof i), 0);
    }
    CHECK_INT(mt_zip_num_written(w), 3000);
    const char *last = mt_zip_written_name(w, 2999, &len);
    CHECK(len == 9 && !memcmp(last, "data/2999", 9));
    CHECK_STR(mt_zip_writer_id(w), "");
    mt_zip_set_min_version(w, 7);
    CHECK_INT(mt_zip_finish(w), 0);
    CHECK_INT(strlen(mt_zip_writer_id(w)), 40);
    mt_zip_writer_free(w);
    mt_zip_reader *r = read_bytes(&out);
    if (CHECK(r != NULL)) {
        for (int i = 0, got; i < 3000; i++) {
            snprintf(name, sizeof name, "data/%d", i);
            if (CHECK(find(r, name) != NULL)) {
                CHECK_INT(mt_zip_read(r, find(r, name), &got, true), 0);
                CHECK_INT(got, i);
            }
        }
        CHECK(find(r, ".data/version") != NULL);
    }
    mt_zip_reader_free(r);
    CHECK(out.calls < 20); /* small pieces are gathered */
    free(out.data);
}

static void
test_writer_refusals(void)
{
    const char *message;
    bytes out = new_bytes();
    CHECK(mt_zip_writer_new("", true, 64, collect, &out) == NULL);
    CHECK(mt_zip_writer_new("a", true, 0, collect, &out) == NULL);
    CHECK_INT(mt_error(NULL), MT_VALUE);
    mt_zip_writer *w = mt_zip_writer_new("a", true, 64, collect, &out);
    CHECK_INT(put(w, "x", "1", 1), 0);
    CHECK_INT(put(w, "x", "2", 1), -1);
    mt_error(&message);
    CHECK_STR(message, "Tried to serialize file twice: x");
    CHECK_INT(put(w, "y", "2", 1), 0);
    CHECK_INT(mt_zip_finish(w), 0);
    CHECK_INT(put(w, "z", "2", 1), -1);
    CHECK_INT(mt_zip_finish(w), -1);
    mt_zip_writer_free(w);
    mt_zip_writer_free(NULL);

    /* A sink that fails breaks the writer, wherever it fails. */
    for (size_t limit = 0; limit < 320000; limit += 20000) {
        out.size = 0;
        out.limit = limit;
        w = mt_zip_writer_new("a", true, 64, collect, &out);
        bool ok = !put(w, "x", large, LARGE) && !put(w, "y", large, 10) && !mt_zip_finish(w);
        CHECK(ok == (limit > LARGE));
        CHECK(ok || mt_zip_finish(w) == -1);
        mt_zip_writer_free(w);
    }
    free(out.data);
}

/* ---- zip64: sizes and offsets beyond 32 bits ---- */

/* Keeps what lies outside of the long payloads, with its place. */
typedef struct sparse {
    uint64_t pos;
    int fd;
} sparse;

static int
collect_sparse(void *ctx, const void *data, size_t n)
{
    sparse *s = ctx;
    const uint8_t *p = data;
    bool zero = n >= 4096 && !p[0] && !memcmp(p, p + 1, n - 1);
    if (!zero && pwrite(s->fd, data, n, (off_t)s->pos) != (ssize_t)n)
        return mt_fail(MT_RUNTIME, "pwrite failed");
    s->pos += n;
    return 0;
}

static void
test_zip64(void)
{
    uint64_t size = (1ull << 32) + 10, room = size + (64 << 10);
    void *zeros = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    sparse s = {0, memfd_create("large", 0)};
    if (zeros == MAP_FAILED || ftruncate(s.fd, (off_t)room)) {
        printf("no room for the zip64 test\n");
        return;
    }
    mt_zip_writer *w = mt_zip_writer_new("archive", false, 64, collect_sparse, &s);
    CHECK_INT(put(w, "before", "abc", 3), 0);
    CHECK_INT(put(w, "data/0", zeros, size), 0);
    CHECK_INT(put(w, "after", "def", 3), 0);
    CHECK_INT(mt_zip_finish(w), 0);
    mt_zip_writer_free(w);
    mt_zip_source source = {NULL, mt_zip_read_fd, &s.fd, s.pos};
    mt_zip_reader *r = mt_zip_reader_new(&source);
    if (CHECK(r != NULL)) {
        uint64_t offset = 0;
        const mt_zip_member *m = find(r, "data/0");
        CHECK(m->size == size && m->stored_size == size);
        CHECK_INT(mt_zip_payload_offset(r, m, &offset), 0);
        CHECK_INT(offset % 64, 0);
        CHECK(find(r, "after")->header > 0xFFFFFFFFu);
        check_content(r, "before", "abc", 3);
        check_content(r, "after", "def", 3);
    }
    mt_zip_reader_free(r);
    close(s.fd);
    munmap(zeros, size);
}

/* ---- foreign and broken archives ---- */

/* Opens an archive whatever its state and reads all of it; true when every member was read. */
static bool
read_all(const bytes *b)
{
    mt_zip_reader *r = read_bytes(b);
    const char *message;
    if (!r) {
        CHECK(mt_error(&message) != MT_ERR_NONE && *message);
        mt_error_clear();
        return false;
    }
    bool all = true;
    for (size_t i = 0; i < mt_zip_num_members(r); i++) {
        const mt_zip_member *m = mt_zip_member_at(r, i);
        CHECK(m->stored_size <= b->size);
        uint8_t *got = malloc(m->stored_size + 1);
        if (mt_zip_read(r, m, got, true)) {
            CHECK(mt_error(&message) != MT_ERR_NONE && *message);
            mt_error_clear();
            all = false;
        }
        free(got);
    }
    mt_zip_reader_free(r);
    return all;
}

static const char *
why_not(bytes b)
{
    const char *message = "";
    mt_zip_reader *r = read_bytes(&b);
    CHECK(r == NULL);
    mt_error(&message);
    mt_zip_reader_free(r);
    return message;
}

#define PREFIX "PytorchStreamReader failed reading zip archive: "

static void
test_error_texts(void)
{
    bytes out = new_bytes(), part;
    make_archive(&out, true);
    part = (bytes){out.data, 4, 0, 0, 0};
    CHECK(!strncmp(why_not(part), PREFIX "not a ZIP archive. ", strlen(PREFIX) + 19));
    part.size = 0;
    CHECK(!strncmp(why_not(part), PREFIX "not a ZIP archive. ", strlen(PREFIX) + 19));
    for (size_t n = 22; n < out.size; n += n < 4000 ? 1 : 997) {
        part.size = n;
        const char *expected = PREFIX "failed finding central directory. ";
        CHECK(!strncmp(why_not(part), expected, strlen(expected)));
    }
    free(out.data);
}

/* An exact-size heap copy, so that the sanitizer sees a read past the end. */
static bytes
copy_of(const bytes *b, size_t size)
{
    bytes copy = {malloc(size + !size), size, size, 0, 0};
    memcpy(copy.data, b->data, MT_MIN(size, b->size));
    return copy;
}

static void
test_corruption(void)
{
    bytes out = new_bytes();
    mt_zip_writer *w = mt_zip_writer_new("m", true, 64, collect, &out);
    put(w, "data.pkl", "pickle", 6);
    put(w, "data/0", large, 100);
    put(w, "data/1", large, 0);
    mt_zip_finish(w);
    mt_zip_writer_free(w);
    CHECK(read_all(&out));
    size_t payload = 0;
    mt_zip_reader *r = read_bytes(&out);
    uint64_t offset = 0;
    mt_zip_payload_offset(r, find(r, "data/0"), &offset);
    payload = (size_t)offset;
    mt_zip_reader_free(r);

    /* Every byte in turn: no crash, and a changed payload is never taken for good. */
    for (size_t i = 0; i < out.size; i++) {
        bytes copy = copy_of(&out, out.size);
        copy.data[i] ^= (uint8_t)(1u << (i % 8));
        bool good = read_all(&copy);
        if (i >= payload && i < payload + 100)
            CHECK(!good);
        copy.data[i] = out.data[i] ^ 0xFF;
        read_all(&copy);
        free(copy.data);
    }
    /* Every length. */
    for (size_t n = 0; n < out.size; n++) {
        bytes copy = copy_of(&out, n);
        CHECK(!read_all(&copy));
        free(copy.data);
    }
    /* Several places at once, with the values that break arithmetic. */
    static const uint64_t nasty[] = {0,
                                     1,
                                     0x7FFF,
                                     0xFFFF,
                                     0x7FFFFFFF,
                                     0xFFFFFFFF,
                                     0x100000000ull,
                                     0x7FFFFFFFFFFFFFFFull,
                                     0xFFFFFFFFFFFFFFFFull};
    for (int round = 0; round < 20000; round++) {
        bytes copy = copy_of(&out, out.size - (rng() % 4 ? 0 : rng() % 40));
        for (int n = 1 + (int)(rng() % 4); n > 0; n--) {
            size_t len = (size_t)1 << (rng() % 4);
            /* Mostly in the directory, where the numbers are. */
            size_t low = rng() % 3 ? copy.size - copy.size / 3 : 0;
            size_t at = low + rng() % (copy.size - low);
            uint64_t value = rng() % 2 ? nasty[rng() % MT_COUNT(nasty)] : rng();
            memcpy(copy.data + at, &value, MT_MIN(len, copy.size - at));
        }
        read_all(&copy);
        free(copy.data);
    }
    free(out.data);
}

int
main(void)
{
    fill(large, sizeof large);
    test_crc();
    test_roundtrip();
    test_checksums();
    test_many_names();
    test_writer_refusals();
    test_zip64();
    test_error_texts();
    test_corruption();
    return check_done();
}
