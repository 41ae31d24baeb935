/* The central directory is read once into one block and every entry checked; members then point
 * into that block. Offsets and sizes in it are claims: each is compared with the source's size
 * before it is used, with sums that cannot wrap. Local headers are read only when a payload is
 * asked for, and may shift where it starts but never past the end. */
#include "serialize/zip.h"

#include "base/error.h"
#include "serialize/crc32.h"
#include "serialize/zip_names.h"

#include <errno.h>
#include <unistd.h>

#define LIMIT32 0xFFFFFFFFu
#define END_SIZE 22
#define LOCATOR_SIZE 20
#define END64_SIZE 56
#define ENTRY_SIZE 46
#define LOCAL_SIZE 30
#define MAX_COMMENT 65535
#define CHUNK_SIZE (256u << 10)
#define MAX_VERSION 10

struct mt_zip_reader {
    mt_zip_source source;
    uint8_t *directory; /* the central directory's bytes */
    mt_zip_member *members;
    size_t num_members, archive_len;
    mt_zip_names names; /* of names without the prefix */
};

static uint32_t
get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t
get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static uint64_t
get64(const uint8_t *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

#define HINT                                                                                       \
    "This is an internal miniz error. If you are seeing this error, there is a high likelihood "   \
    "that your checkpoint file is corrupted. This can happen if the checkpoint was not saved "     \
    "properly, was transferred incorrectly, or the file was modified after saving."

static int
bad_archive(const char *why)
{
    return mt_fail(MT_RUNTIME, "PytorchStreamReader failed reading zip archive: %s. " HINT, why);
}

static const char *
short_name(const mt_zip_reader *r, const mt_zip_member *m, int *len)
{
    size_t skip = r->archive_len && m->name_len > r->archive_len ? r->archive_len + 1 : 0;
    *len = (int)MT_MIN(m->name_len - skip, 200u);
    return m->name + skip;
}

static int
bad_member(const mt_zip_reader *r, const mt_zip_member *m, const char *doing, const char *why)
{
    int len;
    const char *name = short_name(r, m, &len);
    return mt_fail(MT_RUNTIME, "PytorchStreamReader failed %s %.*s: %s. " HINT, doing, len, name,
                   why);
}

/* The only way bytes leave the source. */
static int
read_at(const mt_zip_source *s, uint64_t offset, void *dst, size_t n)
{
    if (offset > s->size || n > s->size - offset)
        return bad_archive("file read failed");
    if (!n)
        return 0;
    if (s->data) {
        memcpy(dst, s->data + offset, n);
        return 0;
    }
    return s->read(s->ctx, offset, dst, n);
}

/* Searches backwards, so that bytes after the archive (up to a comment's length) do no harm. */
static int
find_end(const mt_zip_source *s, uint64_t *at)
{
    if (s->size < END_SIZE)
        return bad_archive("not a ZIP archive");
    size_t n = (size_t)MT_MIN(s->size, (uint64_t)END_SIZE + MAX_COMMENT);
    size_t usual = MT_MIN(n, (size_t)1024);
    uint8_t *tail = malloc(n);
    int rc = -1;
    if (!tail)
        return mt_fail(MT_MEMORY, "not enough memory to read the end of a zip archive");
    for (size_t span = usual;; span = n) { /* most archives end with the record: look there first */
        if (read_at(s, s->size - span, tail, span))
            goto done;
        for (size_t i = span - END_SIZE + 1; i-- > 0;) {
            if (get32(tail + i) == 0x06054B50) {
                *at = s->size - span + i;
                rc = 0;
                goto done;
            }
        }
        if (span == n)
            break;
    }
    bad_archive("failed finding central directory");
done:
    free(tail);
    return rc;
}

/* Where the central directory lies and how many entries it claims. */
static int
find_directory(const mt_zip_source *s, uint64_t *start, uint64_t *size, uint64_t *count)
{
    uint8_t end[END_SIZE], locator[LOCATOR_SIZE], end64[END64_SIZE];
    uint64_t at = 0, at64, count_here;
    uint32_t disk, directory_disk;
    if (find_end(s, &at) || read_at(s, at, end, sizeof end))
        return -1;
    disk = get16(end + 4);
    directory_disk = get16(end + 6);
    count_here = get16(end + 8);
    *count = get16(end + 10);
    *size = get32(end + 12);
    *start = get32(end + 16);
    if (at >= LOCATOR_SIZE + END64_SIZE) {
        if (read_at(s, at - LOCATOR_SIZE, locator, sizeof locator))
            return -1;
        at64 = get64(locator + 8);
        if (get32(locator) == 0x07064B50 && at64 <= at - LOCATOR_SIZE - END64_SIZE) {
            if (read_at(s, at64, end64, sizeof end64))
                return -1;
            if (get32(end64) == 0x06064B50) {
                if (get64(end64 + 4) < END64_SIZE - 12 || get32(locator + 16) != 1)
                    return bad_archive("invalid header or archive is corrupted");
                disk = get32(end64 + 16);
                directory_disk = get32(end64 + 20);
                count_here = get64(end64 + 24);
                *count = get64(end64 + 32);
                *size = get64(end64 + 40);
                *start = get64(end64 + 48);
            }
        }
    }
    if (*count != count_here || disk != directory_disk || disk > 1)
        return bad_archive("unsupported multidisk archive");
    if (*start > s->size || *size > s->size - *start || *count > *size / ENTRY_SIZE)
        return bad_archive("invalid header or archive is corrupted");
    if (*count >= LIMIT32 - 1 || *size > SIZE_MAX / 4)
        return bad_archive("too many files");
    return 0;
}

/* Takes the zip64 values for those fields that say "look there". */
static int
read_zip64(mt_zip_member *m, const uint8_t *extra, size_t n)
{
    bool want_size = m->size == LIMIT32, want_stored = m->stored_size == LIMIT32;
    bool want_header = m->header == LIMIT32;
    for (size_t len; n >= 4; extra += 4 + len, n -= 4 + len) {
        len = get16(extra + 2);
        if (len > n - 4)
            return -1;
        if (get16(extra) != 1)
            continue;
        const uint8_t *p = extra + 4, *end = p + len;
        uint64_t *fields[3] = {&m->size, &m->stored_size, &m->header};
        bool wanted[3] = {want_size, want_stored, want_header};
        for (int i = 0; i < 3; i++) {
            if (!wanted[i])
                continue;
            if (end - p < 8)
                return -1;
            *fields[i] = get64(p);
            p += 8;
        }
        return 0;
    }
    return 0; /* a true 0xFFFFFFFF; bounds are checked by the caller */
}

/* One entry of the directory into *m; *used bytes of it. */
static int
read_entry(const mt_zip_reader *r, const uint8_t *p, uint64_t room, mt_zip_member *m,
           uint64_t *used)
{
    if (room < ENTRY_SIZE || get32(p) != 0x02014B50)
        return bad_archive("invalid header or archive is corrupted");
    uint32_t flags = get16(p + 8), extra_len = get16(p + 30);
    m->method = (uint16_t)get16(p + 10);
    m->crc = get32(p + 16);
    m->stored_size = get32(p + 20);
    m->size = get32(p + 24);
    m->name_len = get16(p + 28);
    m->header = get32(p + 42);
    *used = (uint64_t)ENTRY_SIZE + m->name_len + extra_len + get16(p + 32);
    if (*used > room)
        return bad_archive("invalid header or archive is corrupted");
    m->name = (const char *)p + ENTRY_SIZE;
    if (read_zip64(m, p + ENTRY_SIZE + m->name_len, extra_len))
        return bad_archive("invalid header or archive is corrupted");
    if (get16(p + 34) > 1)
        return bad_archive("unsupported multidisk archive");
    if (flags & (0x0001 | 0x0040 | 0x2000))
        return bad_archive("unsupported encryption");
    if (flags & 0x0020)
        return bad_archive("unsupported feature");
    if (m->header > r->source.size || r->source.size - m->header < LOCAL_SIZE ||
        m->stored_size > r->source.size - m->header - LOCAL_SIZE)
        return bad_archive("invalid header or archive is corrupted");
    if (m->method == 0 && m->size != m->stored_size)
        return bad_archive("invalid header or archive is corrupted");
    /* Deflate cannot shrink below 1/1032, so larger claims are lies. */
    if (m->method != 0 && m->size / 1040 > m->stored_size)
        return bad_archive("invalid header or archive is corrupted");
    return 0;
}

static int
index_names(mt_zip_reader *r)
{
    const char *first = r->num_members ? r->members[0].name : NULL;
    const char *slash = first ? memchr(first, '/', r->members[0].name_len) : NULL;
    if (first && !slash)
        return mt_fail(MT_RUNTIME, "file in archive is not in a subdirectory: %.*s",
                       (int)MT_MIN(r->members[0].name_len, 200u), first);
    r->archive_len = slash ? (size_t)(slash - first) : 0;
    for (size_t i = 0; i < r->num_members; i++) {
        const mt_zip_member *m = &r->members[i];
        size_t skip = r->archive_len + 1;
        if (m->name_len < skip || memcmp(m->name, first, skip))
            continue; /* listed, but not of this archive */
        if (mt_zip_names_grow(&r->names))
            return mt_fail(MT_MEMORY, "not enough memory for the directory of a zip archive");
        if (!mt_zip_find(r, m->name + skip, m->name_len - skip))
            mt_zip_names_add(
                &r->names,
                mt_zip_hash(MT_ZIP_HASH_START ^ (uintptr_t)r, m->name + skip, m->name_len - skip),
                (uint32_t)i);
    }
    return 0;
}

/* The version is a decimal number and a newline in `version` or `.data/version`. */
static int
check_version(const mt_zip_reader *r)
{
    const mt_zip_member *m = mt_zip_find(r, ".data/version", 13);
    char text[24] = "";
    unsigned long long version = 0;
    size_t i = 0;
    if (!m)
        m = mt_zip_find(r, "version", 7);
    if (!m)
        return mt_fail(MT_RUNTIME, "Expected hasRecord(\"version\") to be true, but got false.  "
                                   "(Could this error message be improved?  If so, please report "
                                   "an enhancement request to PyTorch.)");
    if (m->method != 0 || m->size >= sizeof text)
        return mt_fail(MT_RUNTIME, "Couldn't parse the version of the archive as Long Long.");
    if (mt_zip_read(r, m, text, true))
        return -1;
    for (; text[i] >= '0' && text[i] <= '9' && i < 18; i++)
        version = 10 * version + (unsigned)(text[i] - '0');
    if (!i)
        return mt_fail(MT_RUNTIME, "Couldn't parse the version %.*s as Long Long.",
                       (int)strcspn(text, "\n"), text);
    if (version < 1)
        return mt_fail(MT_RUNTIME,
                       "Attempted to read a PyTorch file with version %llu, but the minimum "
                       "supported version for reading is 1. Your PyTorch script module file is "
                       "too old. Please regenerate it with latest version of PyTorch to mitigate "
                       "this issue.",
                       version);
    if (version > MAX_VERSION)
        return mt_fail(MT_RUNTIME,
                       "Attempted to read a PyTorch file with version %llu, but the maximum "
                       "supported version for reading is %d. The version of your PyTorch "
                       "installation may be too old, please upgrade PyTorch to latest version "
                       "to mitigate this issue.",
                       version, MAX_VERSION);
    return 0;
}

mt_zip_reader *
mt_zip_reader_new(const mt_zip_source *source)
{
    uint64_t start = 0, size = 0, count = 0, at = 0, used = 0;
    mt_zip_reader *r = calloc(1, sizeof *r);
    if (!r)
        return mt_fail_null(MT_MEMORY, "not enough memory for a zip archive reader");
    r->source = *source;
    if (find_directory(source, &start, &size, &count))
        goto fail;
    r->directory = malloc((size_t)size + 1);
    r->members = calloc((size_t)count + 1, sizeof *r->members);
    if (!r->directory || !r->members) {
        mt_fail(MT_MEMORY, "not enough memory for the directory of a zip archive");
        goto fail;
    }
    if (read_at(source, start, r->directory, (size_t)size))
        goto fail;
    for (; r->num_members < count; r->num_members++, at += used)
        if (read_entry(r, r->directory + at, size - at, &r->members[r->num_members], &used))
            goto fail;
    if (index_names(r) || check_version(r))
        goto fail;
    return r;
fail:
    mt_zip_reader_free(r);
    return NULL;
}

void
mt_zip_reader_free(mt_zip_reader *r)
{
    if (!r)
        return;
    free(r->directory);
    free(r->members);
    free(r->names.slots);
    free(r);
}

size_t
mt_zip_num_members(const mt_zip_reader *r)
{
    return r->num_members;
}

const mt_zip_member *
mt_zip_member_at(const mt_zip_reader *r, size_t i)
{
    return &r->members[i];
}

const char *
mt_zip_reader_archive(const mt_zip_reader *r, size_t *len)
{
    *len = r->archive_len;
    return r->num_members ? r->members[0].name : "";
}

const mt_zip_member *
mt_zip_find(const mt_zip_reader *r, const char *name, size_t len)
{
    if (!r->names.slots)
        return NULL;
    uint64_t hash = mt_zip_hash(MT_ZIP_HASH_START ^ (uintptr_t)r, name, len);
    for (mt_zip_slot *s = mt_zip_probe(&r->names, hash); s->index_plus_1;
         s = mt_zip_next(&r->names, s)) {
        const mt_zip_member *m = &r->members[s->index_plus_1 - 1];
        if (s->hash == hash && m->name_len == r->archive_len + 1 + len &&
            !memcmp(m->name + r->archive_len + 1, name, len))
            return m;
    }
    return NULL;
}

int
mt_zip_payload_offset(const mt_zip_reader *r, const mt_zip_member *m, uint64_t *offset)
{
    uint8_t header[LOCAL_SIZE];
    if (read_at(&r->source, m->header, header, sizeof header))
        return -1;
    uint64_t at = m->header + LOCAL_SIZE + get16(header + 26) + get16(header + 28);
    if (get32(header) != 0x04034B50 || at > r->source.size || m->stored_size > r->source.size - at)
        return bad_member(r, m, "reading file", "invalid header or archive is corrupted");
    *offset = at;
    return 0;
}

static int
compare_crc(const mt_zip_reader *r, const mt_zip_member *m, uint32_t crc)
{
    if (!m->crc || m->crc == crc)
        return 0;
    return bad_member(r, m, "reading file", "CRC-32 check failed");
}

int
mt_zip_check(const mt_zip_reader *r, const mt_zip_member *m, const void *data)
{
    return m->crc ? compare_crc(r, m, mt_crc32(0, data, (size_t)m->size)) : 0;
}

int
mt_zip_read(const mt_zip_reader *r, const mt_zip_member *m, void *dst, bool check_crc)
{
    uint64_t at;
    uint32_t crc = 0;
    bool check = check_crc && m->crc && m->method == 0;
    if (mt_zip_payload_offset(r, m, &at))
        return -1;
    for (uint64_t done = 0, step; done < m->stored_size; done += step) {
        uint8_t *to = (uint8_t *)dst + done;
        step = MT_MIN(m->stored_size - done, (uint64_t)CHUNK_SIZE);
        if (read_at(&r->source, at + done, to, (size_t)step))
            return -1;
        if (check)
            crc = mt_crc32(crc, to, (size_t)step);
    }
    return check ? compare_crc(r, m, crc) : 0;
}

int
mt_zip_read_fd(void *ctx, uint64_t offset, void *dst, size_t n)
{
    uint8_t *p = dst;
    while (n) {
        ssize_t moved = pread(*(int *)ctx, p, MT_MIN(n, (size_t)1 << 30), (off_t)offset);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return mt_fail(MT_RUNTIME,
                           "PytorchStreamReader failed reading zip archive: file read "
                           "failed (%s). " HINT,
                           moved < 0 ? strerror(errno) : "the file ends early");
        p += moved;
        offset += (uint64_t)moved;
        n -= (size_t)moved;
    }
    return 0;
}
