/* Zip archives as torch.save lays them out.
 *
 * Members are stored, not deflated; payloads start on 64-byte boundaries (padding lives in an
 * extra field "FB" of the local header), so that a mapped file can back tensors directly. Local
 * headers carry no sizes: a data descriptor follows each payload, which lets the writer stream.
 * zip64 fields appear where a size or offset needs them; the zip64 end record is always written.
 * Reference: PKWARE APPNOTE 6.3.3; the byte layout is PyTorch's, so that offsets agree.
 *
 * Nothing read from an archive is trusted: every offset and length is checked against the source's
 * size before use, and payloads are checked against their CRC-32. */
#pragma once

#include "base/base.h"

#define MT_ZIP_ALIGN 64
#define MT_ZIP_MAX_ALIGN 16384

/* ---- writing ---- */

/* Takes n bytes at the current end; 0, or -1 with the error set. */
typedef int (*mt_zip_write_fn)(void *ctx, const void *data, size_t n);

typedef struct mt_zip_writer mt_zip_writer;

/* A writer of an archive whose members live below `<archive>/`. `with_crc` false writes zeros for
 * checksums, which readers take for "not recorded". `alignment`: 1 .. MT_ZIP_MAX_ALIGN. */
mt_zip_writer *mt_zip_writer_new(const char *archive, bool with_crc, size_t alignment,
                                 mt_zip_write_fn write, void *ctx);
/* Frees the writer; writes nothing (an unfinished archive stays unreadable). NULL is allowed. */
void mt_zip_writer_free(mt_zip_writer *w);

/* Adds a member. Fails on a name already written, and after mt_zip_finish or an earlier failure. */
int mt_zip_write(mt_zip_writer *w, const char *name, size_t name_len, const void *data,
                 uint64_t size);
/* Adds a member of `size` zero bytes with no checksum: room to be filled later. */
int mt_zip_write_hole(mt_zip_writer *w, const char *name, size_t name_len, uint64_t size);
/* The format version to record: the highest asked for, 3 at least. */
void mt_zip_set_min_version(mt_zip_writer *w, uint64_t version);
/* Adds version, byteorder (if not written yet) and .data/serialization_id, then the directory. */
int mt_zip_finish(mt_zip_writer *w);

bool mt_zip_finished(const mt_zip_writer *w);
const char *mt_zip_archive_name(const mt_zip_writer *w);
/* Forty digits made from the members' names and checksums; empty before mt_zip_finish. */
const char *mt_zip_writer_id(const mt_zip_writer *w);
/* Members written so far, in order; name without the archive prefix, not terminated. */
size_t mt_zip_num_written(const mt_zip_writer *w);
const char *mt_zip_written_name(const mt_zip_writer *w, size_t i, size_t *len);

/* An mt_zip_write_fn over a file descriptor; ctx is an int *. Retries interrupted and partial
 * writes. */
int mt_zip_write_fd(void *ctx, const void *data, size_t n);

/* ---- reading ---- */

/* Fills dst with n bytes from `offset`; 0, or -1 with the error set (short reads are errors). */
typedef int (*mt_zip_read_fn)(void *ctx, uint64_t offset, void *dst, size_t n);

/* Where an archive lies: in memory (`data`) or behind a function. */
typedef struct mt_zip_source {
    const uint8_t *data;
    mt_zip_read_fn read; /* used when data is NULL */
    void *ctx;
    uint64_t size;
} mt_zip_source;

typedef struct mt_zip_member {
    const char *name; /* whole name, not terminated; lives as long as the reader */
    uint32_t name_len;
    uint32_t crc; /* 0: not recorded */
    uint64_t size;
    uint64_t stored_size;
    uint64_t header; /* offset of the local header */
    uint16_t method; /* 0 stored, 8 deflated */
} mt_zip_member;

typedef struct mt_zip_reader mt_zip_reader;

/* Reads and checks the central directory. The source must outlive the reader. */
mt_zip_reader *mt_zip_reader_new(const mt_zip_source *source);
void mt_zip_reader_free(mt_zip_reader *r);

size_t mt_zip_num_members(const mt_zip_reader *r);
const mt_zip_member *mt_zip_member_at(const mt_zip_reader *r, size_t i);
/* The archive prefix without its slash (not terminated). */
const char *mt_zip_reader_archive(const mt_zip_reader *r, size_t *len);
/* A member by its name without the prefix; NULL (no error set) where there is none. */
const mt_zip_member *mt_zip_find(const mt_zip_reader *r, const char *name, size_t len);

/* Where a member's stored bytes start, from its local header. */
int mt_zip_payload_offset(const mt_zip_reader *r, const mt_zip_member *m, uint64_t *offset);
/* Copies the stored bytes of m (m->stored_size of them) to dst; for a stored member with a
 * recorded checksum the bytes are checked when `check_crc`. */
int mt_zip_read(const mt_zip_reader *r, const mt_zip_member *m, void *dst, bool check_crc);
/* Compares the checksum of a whole uncompressed payload with the recorded one. */
int mt_zip_check(const mt_zip_reader *r, const mt_zip_member *m, const void *data);

/* An mt_zip_read_fn over a file descriptor (pread); ctx is an int *. */
int mt_zip_read_fd(void *ctx, uint64_t offset, void *dst, size_t n);
