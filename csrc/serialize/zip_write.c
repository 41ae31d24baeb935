/* The archive grows strictly forward: `pos` is the offset of the next byte, and nothing already
 * given to the sink is touched again. Small pieces gather in `pending`; large payloads pass by it,
 * checksummed a chunk at a time just before the chunk is handed on, while it is in cache. After a
 * failure the writer refuses everything, since the sink's content is then unknown. */
#include "serialize/zip.h"

#include "base/error.h"
#include "serialize/crc32.h"
#include "serialize/zip_names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PENDING_SIZE (128u << 10)
#define DIRECT_SIZE (32u << 10) /* pieces from here on are not gathered */
#define CHUNK_SIZE (512u << 10)
#define LIMIT32 0xFFFFFFFFu
#define FLAGS_UTF8 0x0800u
#define FLAG_DESCRIPTOR 0x0008u
#define MIN_VERSION 3
#define FIRST_VERSION_IN_DATA 6 /* from this one on the version lies in .data/version */

typedef struct entry {
    size_t name; /* offset of the whole name in `names` */
    uint32_t name_len, crc;
    uint64_t size, header;
} entry;

struct mt_zip_writer {
    mt_zip_write_fn write;
    void *ctx;
    size_t alignment, prefix_len;
    bool with_crc, finished, failed;
    uint64_t pos, version;
    entry *entries;
    size_t num_entries, cap_entries;
    char *names;
    size_t names_len, names_cap;
    mt_zip_names seen;
    char *archive;
    char id[41];
    size_t pending_len;
    uint8_t pending[PENDING_SIZE];
};

static void
put16(uint8_t **p, uint32_t v)
{
    *(*p)++ = (uint8_t)v;
    *(*p)++ = (uint8_t)(v >> 8);
}

static void
put32(uint8_t **p, uint32_t v)
{
    put16(p, v & 0xFFFF);
    put16(p, v >> 16);
}

static void
put64(uint8_t **p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p, (uint32_t)(v >> 32));
}

static uint32_t
clip32(uint64_t v)
{
    return v < LIMIT32 ? (uint32_t)v : LIMIT32;
}

mt_zip_writer *
mt_zip_writer_new(const char *archive, bool with_crc, size_t alignment, mt_zip_write_fn write,
                  void *ctx)
{
    if (!*archive || strlen(archive) > 32000)
        return mt_fail_null(MT_RUNTIME, "invalid file name: %s", archive);
    if (alignment < 1 || alignment > MT_ZIP_MAX_ALIGN)
        return mt_fail_null(MT_VALUE, "storage alignment must be between 1 and %d, got %zu",
                            MT_ZIP_MAX_ALIGN, alignment);
    mt_zip_writer *w = malloc(sizeof *w);
    if (!w)
        return mt_fail_null(MT_MEMORY, "not enough memory for an archive writer");
    memset(w, 0, offsetof(mt_zip_writer, pending));
    w->archive = strdup(archive);
    if (!w->archive) {
        free(w);
        return mt_fail_null(MT_MEMORY, "not enough memory for an archive writer");
    }
    w->write = write;
    w->ctx = ctx;
    w->alignment = alignment;
    w->with_crc = with_crc;
    w->version = MIN_VERSION;
    w->prefix_len = strlen(archive) + 1;
    return w;
}

void
mt_zip_writer_free(mt_zip_writer *w)
{
    if (!w)
        return;
    free(w->entries);
    free(w->names);
    free(w->seen.slots);
    free(w->archive);
    free(w);
}

static int
drain(mt_zip_writer *w)
{
    size_t n = w->pending_len;
    w->pending_len = 0;
    return n ? w->write(w->ctx, w->pending, n) : 0;
}

static int
emit(mt_zip_writer *w, const void *data, size_t n)
{
    w->pos += n;
    if (n > PENDING_SIZE - w->pending_len && drain(w))
        return -1;
    if (n >= DIRECT_SIZE)
        return drain(w) || w->write(w->ctx, data, n) ? -1 : 0;
    if (n)
        memcpy(w->pending + w->pending_len, data, n);
    w->pending_len += n;
    return 0;
}

static int
emit_filler(mt_zip_writer *w, uint8_t byte, uint64_t n)
{
    uint8_t block[4096];
    memset(block, byte, sizeof block);
    for (size_t step; n; n -= step) {
        step = (size_t)MT_MIN(n, sizeof block);
        if (emit(w, block, step))
            return -1;
    }
    return 0;
}

/* Appends "<archive>/<name>" to the names and a fresh entry to the list; -1 out of memory. */
static int
add_entry(mt_zip_writer *w, const char *name, size_t name_len, uint64_t size)
{
    size_t full = w->prefix_len + name_len;
    if (w->names_len + full > w->names_cap) {
        size_t cap = 2 * (w->names_len + full) + 1024;
        char *grown = realloc(w->names, cap);
        if (!grown)
            return -1;
        w->names = grown;
        w->names_cap = cap;
    }
    if (w->num_entries == w->cap_entries) {
        size_t cap = 2 * w->cap_entries + 16;
        entry *grown = realloc(w->entries, cap * sizeof *grown);
        if (!grown)
            return -1;
        w->entries = grown;
        w->cap_entries = cap;
    }
    char *to = w->names + w->names_len;
    memcpy(to, w->archive, w->prefix_len - 1);
    to[w->prefix_len - 1] = '/';
    if (name_len)
        memcpy(to + w->prefix_len, name, name_len);
    w->entries[w->num_entries++] = (entry){w->names_len, (uint32_t)full, 0, size, w->pos};
    w->names_len += full;
    return 0;
}

static int
check_new_name(mt_zip_writer *w, const char *name, size_t name_len)
{
    uint64_t hash = mt_zip_hash(MT_ZIP_HASH_START ^ (uintptr_t)w, name, name_len);
    if (name_len > 32000)
        return mt_fail(MT_RUNTIME,
                       "PytorchStreamWriter failed writing file %.40s...: "
                       "filename too long",
                       name);
    if (w->num_entries >= LIMIT32 - 1 || mt_zip_names_grow(&w->seen))
        return mt_fail(MT_MEMORY, "not enough memory for the directory of the archive");
    for (mt_zip_slot *s = mt_zip_probe(&w->seen, hash); s->index_plus_1;
         s = mt_zip_next(&w->seen, s)) {
        size_t len;
        const char *old = mt_zip_written_name(w, s->index_plus_1 - 1, &len);
        if (s->hash == hash && len == name_len && !memcmp(old, name, len))
            return mt_fail(MT_RUNTIME, "Tried to serialize file twice: %.*s", (int)name_len, name);
    }
    mt_zip_names_add(&w->seen, hash, (uint32_t)w->num_entries);
    return 0;
}

/* Local header, name, zip64 field if needed, padding field. */
static int
emit_local_header(mt_zip_writer *w, const entry *e)
{
    bool big = e->size >= LIMIT32, far = e->header >= LIMIT32;
    uint32_t zip64 = big || far ? 4u + (big ? 16u : 0u) + (far ? 8u : 0u) : 0;
    uint64_t payload = e->header + 30 + e->name_len + zip64 + 4;
    uint32_t padding = (uint32_t)((w->alignment - payload % w->alignment) % w->alignment);
    uint8_t header[30], field[28], *p = header;
    put32(&p, 0x04034B50);
    put16(&p, 0); /* version needed: PyTorch's writer leaves it open */
    put16(&p, FLAGS_UTF8 | (e->size ? FLAG_DESCRIPTOR : 0));
    put16(&p, 0); /* stored */
    put32(&p, 0); /* time and date */
    put32(&p, 0); /* checksum and sizes: in the descriptor */
    put64(&p, 0);
    put16(&p, e->name_len);
    put16(&p, zip64 + 4 + padding);
    if (emit(w, header, sizeof header) || emit(w, w->names + e->name, e->name_len))
        return -1;
    p = field;
    if (zip64) {
        put16(&p, 1);
        put16(&p, zip64 - 4);
        if (big) {
            put64(&p, e->size);
            put64(&p, e->size);
        }
        if (far)
            put64(&p, e->header);
    }
    if (emit(w, field, (size_t)(p - field)))
        return -1;
    p = field;
    *p++ = 'F';
    *p++ = 'B';
    put16(&p, padding);
    return emit(w, field, 4) || emit_filler(w, 'Z', padding) ? -1 : 0;
}

static int
emit_descriptor(mt_zip_writer *w, const entry *e)
{
    uint8_t descriptor[24], *p = descriptor;
    put32(&p, 0x08074B50);
    put32(&p, e->crc);
    if (e->size >= LIMIT32 || e->header >= LIMIT32) {
        put64(&p, e->size);
        put64(&p, e->size);
    } else {
        put32(&p, (uint32_t)e->size);
        put32(&p, (uint32_t)e->size);
    }
    return emit(w, descriptor, (size_t)(p - descriptor));
}

static int
emit_payload(mt_zip_writer *w, entry *e, const uint8_t *data)
{
    uint32_t crc = 0;
    for (uint64_t done = 0, step; done < e->size; done += step) {
        step = MT_MIN(e->size - done, (uint64_t)CHUNK_SIZE);
        if (w->with_crc)
            crc = mt_crc32(crc, data + done, (size_t)step);
        if (emit(w, data + done, (size_t)step))
            return -1;
    }
    e->crc = crc;
    return 0;
}

/* data NULL with size > 0: a hole. */
static int
write_member(mt_zip_writer *w, const char *name, size_t name_len, const void *data, uint64_t size)
{
    if (w->finished || w->failed)
        return mt_fail(MT_RUNTIME,
                       "PytorchStreamWriter failed writing file %.*s: the archive is %s",
                       (int)MT_MIN(name_len, 200), name,
                       w->finished ? "already finalized" : "broken by an earlier failure");
    if (check_new_name(w, name, name_len))
        return -1;
    w->failed = true; /* until proven otherwise */
    if (add_entry(w, name, name_len, size))
        return mt_fail(MT_MEMORY, "not enough memory for the directory of the archive");
    entry *e = &w->entries[w->num_entries - 1];
    if (emit_local_header(w, e))
        return -1;
    if (size) {
        if (data ? emit_payload(w, e, data) : emit_filler(w, 0, size))
            return -1;
        if (emit_descriptor(w, e))
            return -1;
    }
    w->failed = false;
    return 0;
}

int
mt_zip_write(mt_zip_writer *w, const char *name, size_t name_len, const void *data, uint64_t size)
{
    return write_member(w, name, name_len, data ? data : "", size);
}

int
mt_zip_write_hole(mt_zip_writer *w, const char *name, size_t name_len, uint64_t size)
{
    return write_member(w, name, name_len, NULL, size);
}

void
mt_zip_set_min_version(mt_zip_writer *w, uint64_t version)
{
    w->version = MT_MAX(w->version, version);
}

/* PyTorch's mixing step for both halves; its checksum half equals PyTorch's, the name half does
 * not (that one depends on the iteration order of a C++ hash table). */
static uint64_t
mix(uint64_t seed, uint64_t value)
{
    return seed ^ (value + 0x9E3779B9u + (seed << 6) + (seed >> 2));
}

static void
make_id(mt_zip_writer *w)
{
    uint64_t names = 0, crcs = 0;
    for (size_t i = 0; i < w->num_entries; i++) {
        size_t len;
        const char *name = mt_zip_written_name(w, i, &len);
        names = mix(names, mt_zip_hash(MT_ZIP_HASH_START, name, len));
        crcs = mix(crcs, w->entries[i].crc);
    }
    snprintf(w->id, sizeof w->id, "%020" PRIu64 "%020" PRIu64, names, crcs);
}

static int
emit_central_entry(mt_zip_writer *w, const entry *e)
{
    bool big = e->size >= LIMIT32, far = e->header >= LIMIT32;
    uint32_t zip64 = big || far ? 4u + (big ? 16u : 0u) + (far ? 8u : 0u) : 0;
    uint8_t fixed[46], field[28], *p = fixed;
    put32(&p, 0x02014B50);
    put32(&p, 0); /* made by, needed */
    put16(&p, FLAGS_UTF8 | (e->size ? FLAG_DESCRIPTOR : 0));
    put16(&p, 0);
    put32(&p, 0);
    put32(&p, e->crc);
    put32(&p, clip32(e->size));
    put32(&p, clip32(e->size));
    put16(&p, e->name_len);
    put16(&p, zip64);
    put16(&p, 0); /* comment */
    put32(&p, 0); /* disk, internal attributes */
    put32(&p, 0); /* external attributes */
    put32(&p, clip32(e->header));
    if (emit(w, fixed, sizeof fixed) || emit(w, w->names + e->name, e->name_len))
        return -1;
    p = field;
    if (zip64) {
        put16(&p, 1);
        put16(&p, zip64 - 4);
        if (big) {
            put64(&p, e->size);
            put64(&p, e->size);
        }
        if (far)
            put64(&p, e->header);
    }
    return emit(w, field, (size_t)(p - field));
}

static int
emit_directory(mt_zip_writer *w)
{
    uint64_t start = w->pos, n = w->num_entries;
    for (size_t i = 0; i < w->num_entries; i++)
        if (emit_central_entry(w, &w->entries[i]))
            return -1;
    uint64_t end = w->pos, size = end - start;
    uint8_t tail[56 + 20 + 22], *p = tail;
    put32(&p, 0x06064B50); /* zip64 end of central directory */
    put64(&p, 44);
    put16(&p, 0x031E);
    put16(&p, 45);
    put64(&p, 0);
    put64(&p, n);
    put64(&p, n);
    put64(&p, size);
    put64(&p, start);
    put32(&p, 0x07064B50); /* its locator */
    put32(&p, 0);
    put64(&p, end);
    put32(&p, 1);
    put32(&p, 0x06054B50); /* end of central directory */
    put32(&p, 0);
    put16(&p, (uint32_t)MT_MIN(n, 0xFFFFu));
    put16(&p, (uint32_t)MT_MIN(n, 0xFFFFu));
    put32(&p, clip32(size));
    put32(&p, clip32(start));
    put16(&p, 0);
    return emit(w, tail, sizeof tail) || drain(w) ? -1 : 0;
}

static bool
has_member(const mt_zip_writer *w, const char *name)
{
    for (size_t i = 0; i < w->num_entries; i++) {
        size_t len;
        const char *have = mt_zip_written_name(w, i, &len);
        if (len == strlen(name) && !memcmp(have, name, len))
            return true;
    }
    return false;
}

int
mt_zip_finish(mt_zip_writer *w)
{
    char version[24];
    int n = snprintf(version, sizeof version, "%" PRIu64 "\n", w->version);
    const char *where = w->version < FIRST_VERSION_IN_DATA ? "version" : ".data/version";
    const char *order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big";
    if (mt_zip_write(w, where, strlen(where), version, (uint64_t)n))
        return -1;
    if (!has_member(w, "byteorder") && mt_zip_write(w, "byteorder", 9, order, strlen(order)))
        return -1;
    make_id(w);
    if (mt_zip_write(w, ".data/serialization_id", 22, w->id, 40))
        return -1;
    w->failed = true;
    if (emit_directory(w))
        return -1;
    w->failed = false;
    w->finished = true;
    return 0;
}

bool
mt_zip_finished(const mt_zip_writer *w)
{
    return w->finished;
}

const char *
mt_zip_archive_name(const mt_zip_writer *w)
{
    return w->archive;
}

const char *
mt_zip_writer_id(const mt_zip_writer *w)
{
    return w->id;
}

size_t
mt_zip_num_written(const mt_zip_writer *w)
{
    return w->num_entries;
}

const char *
mt_zip_written_name(const mt_zip_writer *w, size_t i, size_t *len)
{
    *len = w->entries[i].name_len - w->prefix_len;
    return w->names + w->entries[i].name + w->prefix_len;
}

int
mt_zip_write_fd(void *ctx, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n) {
        /* Linux moves at most 2 GB a call. */
        ssize_t moved = write(*(int *)ctx, p, MT_MIN(n, (size_t)1 << 30));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return mt_fail(MT_RUNTIME, "PytorchStreamWriter failed writing file: %s",
                           moved < 0 ? strerror(errno) : "no space left");
        p += moved;
        n -= (size_t)moved;
    }
    return 0;
}
