/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gzip, member after member, from a buffer that slides over the file.
 *
 *     member: 1f 8b 08 flags mtime*4 xfl os [extra] [name] [comment] [header crc]
 *             deflate data … crc32 le, length le
 *
 * After the last member nothing but zeros may follow (tapes and block devices have them).
 */
#include "archive/gzip_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <poll.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"

enum {
    INPUT_BYTES = 1 << 20,
    SLACK_BYTES = 8, /* before the input: ISA-L may hand back bytes of the input before */
    WINDOW_BYTES = 8 << 20,
    POLL_MS = 100,

    HEADER_BYTES = 10,
    TRAILER_BYTES = 8,

    FLAG_HEADER_CRC = 1 << 1,
    FLAG_EXTRA = 1 << 2,
    FLAG_NAME = 1 << 3,
    FLAG_COMMENT = 1 << 4,
    FLAGS_RESERVED = 0xe0,
};

enum reader_state {
    AT_START,
    IN_PLAIN,
    IN_MEMBER,
    AFTER_MEMBER,
    AT_END,
};

struct gzip_reader {
    int fd;
    struct gzip_reader_watch *watch;
    struct digester *digester; /* NULL: nobody asked */
    uint64_t file_bytes;       /* that may still be read */
    uint64_t limit_bytes;
    uint64_t tar_bytes;
    enum reader_state state;

    uint8_t *buffer; /* SLACK_BYTES + INPUT_BYTES */
    const uint8_t *input;
    size_t input_length;
    bool is_at_eof;

    off_t dropped_to; /* in the file; -1: pages cannot be dropped */
    off_t read_to;

    uint32_t crc;
    uint32_t member_bytes; /* modulo 2^32, as in the trailer */
    struct inflate_state inflate;
};

struct gzip_reader *gzip_reader_create(int fd, const struct archive_read_options *options,
                                       struct gzip_reader_watch *watch)
{
    struct gzip_reader *reader = xcalloc(1, sizeof(*reader));
    reader->fd = fd;
    reader->watch = watch;
    reader->limit_bytes = options->limit_tar_bytes;
    reader->file_bytes = options->file_bytes == 0 ? UINT64_MAX : options->file_bytes;
    if ((options->flags & ARCHIVE_WITH_DIGEST) != 0)
        reader->digester = digester_create(options->digest);
    reader->buffer = xmalloc(SLACK_BYTES + INPUT_BYTES);
    reader->input = reader->buffer + SLACK_BYTES;
    reader->dropped_to = lseek(fd, 0, SEEK_CUR);
    reader->read_to = reader->dropped_to;
    if (reader->dropped_to >= 0)
        posix_fadvise(fd, reader->dropped_to, 0, POSIX_FADV_SEQUENTIAL);
    return reader;
}

void gzip_reader_free(struct gzip_reader *reader)
{
    if (reader == NULL)
        return;
    digester_free(reader->digester);
    free(reader->buffer);
    free(reader);
}

static void drop_pages_behind(struct gzip_reader *reader, size_t length)
{
    if (reader->dropped_to < 0)
        return;
    reader->read_to += (off_t)length;
    if (reader->read_to - reader->dropped_to < WINDOW_BYTES)
        return;
    posix_fadvise(reader->fd, reader->dropped_to, reader->read_to - reader->dropped_to,
                  POSIX_FADV_DONTNEED);
    reader->dropped_to = reader->read_to;
}

/* As read(), but it can be stopped while it waits for a pipe; a file never makes it wait. */
static ssize_t read_some(struct gzip_reader *reader, void *out, size_t length, struct error *err)
{
    for (;;) {
        if (atomic_load_explicit(&reader->watch->is_stopped, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "reading was stopped");
        struct pollfd waiting = {.fd = reader->fd, .events = POLLIN};
        int ready = poll(&waiting, 1, POLL_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        ssize_t got = read(reader->fd, out, length);
        if (got >= 0)
            return got;
        if (errno != EINTR && errno != EAGAIN)
            return error_set_os(err, errno, "reading the archive");
    }
}

/* Read once into `out`; notes the end of the file, the digest and the position. */
static ssize_t read_file(struct gzip_reader *reader, void *out, size_t length, struct error *err)
{
    if (length > reader->file_bytes)
        length = (size_t)reader->file_bytes;
    ssize_t got = length == 0 ? 0 : read_some(reader, out, length, err);
    if (got < 0)
        return -1;
    reader->file_bytes -= (uint64_t)got;
    if (got == 0)
        reader->is_at_eof = true;
    if (reader->digester != NULL)
        digester_add(reader->digester, out, (size_t)got);
    atomic_fetch_add_explicit(&reader->watch->position, (uint64_t)got, memory_order_relaxed);
    budget_read((uint64_t)got);
    drop_pages_behind(reader, (size_t)got);
    return got;
}

/* Make at least `wanted` (a few) bytes of input available, or fewer at the end of the file. */
static int fill(struct gzip_reader *reader, size_t wanted, struct error *err)
{
    uint8_t *start = reader->buffer + SLACK_BYTES;
    while (reader->input_length < wanted && !reader->is_at_eof) {
        /* What is left moves to the front, and with it the bytes that may be handed back. */
        size_t before = (size_t)(reader->input - reader->buffer);
        size_t kept = before < SLACK_BYTES ? before : SLACK_BYTES;
        memmove(start - kept, reader->input - kept, kept + reader->input_length);
        reader->input = start;
        ssize_t got = read_file(reader, start + reader->input_length,
                                INPUT_BYTES - reader->input_length, err);
        if (got < 0)
            return -1;
        reader->input_length += (size_t)got;
    }
    return 0;
}

static void take(struct gzip_reader *reader, size_t length)
{
    reader->input += length;
    reader->input_length -= length;
}

static int truncated(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the archive ends in the middle of its gzip data");
}

static uint32_t get_le16(const uint8_t *at)
{
    return (uint32_t)(at[0] | at[1] << 8);
}

static uint32_t get_le32(const uint8_t *at)
{
    return get_le16(at) | get_le16(at + 2) << 16;
}

/* One piece of a member's header, `length` long. */
static int skip_header_bytes(struct gzip_reader *reader, size_t length, uint32_t *crc,
                             struct error *err)
{
    if (fill(reader, length, err) < 0)
        return -1;
    if (reader->input_length < length)
        return truncated(err);
    *crc = crc32_gzip_refl(*crc, reader->input, length);
    take(reader, length);
    return 0;
}

/* Text that ends with NUL, of any length, in constant memory. */
static int skip_header_text(struct gzip_reader *reader, uint32_t *crc, struct error *err)
{
    for (;;) {
        if (fill(reader, 1, err) < 0)
            return -1;
        if (reader->input_length == 0)
            return truncated(err);
        const uint8_t *end = memchr(reader->input, 0, reader->input_length);
        size_t length = end == NULL ? reader->input_length : (size_t)(end - reader->input) + 1;
        *crc = crc32_gzip_refl(*crc, reader->input, length);
        take(reader, length);
        if (end != NULL)
            return 0;
    }
}

static int read_optional_fields(struct gzip_reader *reader, unsigned flags, uint32_t *crc,
                                struct error *err)
{
    if ((flags & FLAG_EXTRA) != 0) {
        if (fill(reader, 2, err) < 0)
            return -1;
        if (reader->input_length < 2)
            return truncated(err);
        size_t length = get_le16(reader->input);
        if (skip_header_bytes(reader, 2 + length, crc, err) < 0)
            return -1;
    }
    if ((flags & FLAG_NAME) != 0 && skip_header_text(reader, crc, err) < 0)
        return -1;
    if ((flags & FLAG_COMMENT) != 0 && skip_header_text(reader, crc, err) < 0)
        return -1;
    return 0;
}

static bool is_gzip(const struct gzip_reader *reader)
{
    return reader->input_length >= 2 && reader->input[0] == 0x1f && reader->input[1] == 0x8b;
}

static int start_member(struct gzip_reader *reader, struct error *err)
{
    if (fill(reader, HEADER_BYTES, err) < 0)
        return -1;
    if (reader->input_length < HEADER_BYTES)
        return truncated(err);
    unsigned method = reader->input[2];
    unsigned flags = reader->input[3];
    if (method != 8 || (flags & FLAGS_RESERVED) != 0)
        return error_set(err, ERROR_CORRUPT, "a gzip header in the archive is damaged");
    uint32_t crc = 0;
    if (skip_header_bytes(reader, HEADER_BYTES, &crc, err) < 0 ||
        read_optional_fields(reader, flags, &crc, err) < 0)
        return -1;
    if ((flags & FLAG_HEADER_CRC) != 0) {
        uint32_t expected = crc & 0xffff;
        if (fill(reader, 2, err) < 0)
            return -1;
        if (reader->input_length < 2)
            return truncated(err);
        if (get_le16(reader->input) != expected)
            return error_set(err, ERROR_CORRUPT, "a gzip header in the archive is damaged");
        take(reader, 2);
    }
    isal_inflate_reset(&reader->inflate);
    reader->inflate.crc_flag = ISAL_DEFLATE;
    reader->crc = 0;
    reader->member_bytes = 0;
    reader->state = IN_MEMBER;
    return 0;
}

static int end_member(struct gzip_reader *reader, struct error *err)
{
    if (fill(reader, TRAILER_BYTES, err) < 0)
        return -1;
    if (reader->input_length < TRAILER_BYTES)
        return truncated(err);
    if (get_le32(reader->input) != reader->crc ||
        get_le32(reader->input + 4) != reader->member_bytes)
        return error_set(err, ERROR_CORRUPT, "the archive's checksum is wrong");
    take(reader, TRAILER_BYTES);
    reader->state = AFTER_MEMBER;
    return 0;
}

/* Inflate some; may give nothing and only change the state. */
static ssize_t read_member(struct gzip_reader *reader, uint8_t *out, size_t length,
                           struct error *err)
{
    if (fill(reader, 1, err) < 0)
        return -1;
    struct inflate_state *inflate = &reader->inflate;
    inflate->next_in = (uint8_t *)reader->input;
    inflate->avail_in = (uint32_t)reader->input_length;
    inflate->next_out = out;
    inflate->avail_out = (uint32_t)length;
    int result = isal_inflate(inflate);
    size_t got = (size_t)(inflate->next_out - out);
    bool is_stuck = got == 0 && inflate->avail_in == reader->input_length;
    reader->input = inflate->next_in;
    reader->input_length = inflate->avail_in;
    if (result < 0)
        return error_set(err, ERROR_CORRUPT, "the archive's gzip data is damaged");
    reader->crc = crc32_gzip_refl(reader->crc, out, got);
    reader->member_bytes += (uint32_t)got;
    if (inflate->block_state == ISAL_BLOCK_FINISH) {
        /* What ISA-L had taken beyond the end; some versions hand it back themselves. */
        size_t beyond = inflate->read_in_length > 0 ? (size_t)inflate->read_in_length / 8 : 0;
        reader->input -= beyond;
        reader->input_length += beyond;
        return end_member(reader, err) < 0 ? -1 : (ssize_t)got;
    }
    return is_stuck ? truncated(err) : (ssize_t)got;
}

/* After a member: another, or zeros to the end of the file. */
static int after_member(struct gzip_reader *reader, struct error *err)
{
    if (fill(reader, 2, err) < 0)
        return -1;
    if (is_gzip(reader))
        return start_member(reader, err);
    while (reader->input_length > 0) {
        for (size_t i = 0; i < reader->input_length; i++)
            if (reader->input[i] != 0)
                return error_set(err, ERROR_CORRUPT, "something else follows the archive");
        take(reader, reader->input_length);
        if (fill(reader, 1, err) < 0)
            return -1;
    }
    reader->state = AT_END;
    return 0;
}

static int start(struct gzip_reader *reader, struct error *err)
{
    if (fill(reader, 2, err) < 0)
        return -1;
    if (reader->input_length == 0)
        return error_set(err, ERROR_CORRUPT, "the archive is empty");
    /* What a crash leaves of a file must not pass for an archive with nothing in it. */
    if (reader->input[0] == 0)
        return error_set(err, ERROR_CORRUPT, "the archive begins with zeros");
    if (is_gzip(reader)) {
        isal_inflate_init(&reader->inflate);
        return start_member(reader, err);
    }
    reader->state = IN_PLAIN;
    return 0;
}

/* A plain tar goes straight to the caller's memory, after what was looked at to know it. */
static ssize_t read_plain(struct gzip_reader *reader, uint8_t *out, size_t length,
                          struct error *err)
{
    if (reader->input_length > 0) {
        size_t part = length < reader->input_length ? length : reader->input_length;
        memcpy(out, reader->input, part);
        take(reader, part);
        return (ssize_t)part;
    }
    ssize_t got = reader->is_at_eof ? 0 : read_file(reader, out, length, err);
    if (got == 0)
        reader->state = AT_END;
    return got;
}

static ssize_t step(struct gzip_reader *reader, uint8_t *out, size_t length, struct error *err)
{
    switch (reader->state) {
    case AT_START:
        return start(reader, err);
    case IN_PLAIN:
        return read_plain(reader, out, length, err);
    case IN_MEMBER:
        return read_member(reader, out, length, err);
    case AFTER_MEMBER:
        return after_member(reader, err);
    case AT_END:
        break;
    }
    return 0;
}

ssize_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t length, struct error *err)
{
    size_t done = 0;
    while (done < length && reader->state != AT_END) {
        ssize_t got = step(reader, (uint8_t *)out + done, length - done, err);
        if (got < 0)
            return -1;
        done += (size_t)got;
        reader->tar_bytes += (uint64_t)got;
        if (reader->limit_bytes != 0 && reader->tar_bytes > reader->limit_bytes)
            return error_set(err, ERROR_LIMIT, "the archive inflates to more than %llu bytes",
                             (unsigned long long)reader->limit_bytes);
    }
    return (ssize_t)done;
}

void gzip_reader_digest(struct gzip_reader *reader, struct digest *digest)
{
    digester_finish(reader->digester, digest);
}
