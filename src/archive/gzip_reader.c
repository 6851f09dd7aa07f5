/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gzip, member after member, from a window that slides over the file (gzip_input.h).
 *
 *     member: 1f 8b 08 flags mtime*4 xfl os [extra] [name] [comment] [header crc]
 *             deflate data … crc32 le, length le
 *
 * After the last member nothing but zeros may follow (tapes and block devices have them).
 */
#include "archive/gzip_reader.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "archive/member.h"
#include "base/mem.h"

enum {
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
    struct gzip_input *input;
    uint64_t limit_bytes;
    uint64_t tar_bytes;
    enum reader_state state;
    struct error error; /* comes after the bytes that were right */

    uint32_t crc;
    uint32_t member_bytes; /* modulo 2^32, as in the trailer */
    struct inflate_state inflate;

    /* For read(): the member of ours that is being handed out. */
    struct member_unpacker *unpacker;
    uint8_t *member;
    uint8_t *block;
    size_t block_length;
    size_t block_done;
};

struct gzip_reader *gzip_reader_create(int fd, const struct archive_read_options *options,
                                       struct gzip_reader_watch *watch)
{
    struct gzip_reader *reader = xcalloc(1, sizeof(*reader));
    reader->input = gzip_input_create(fd, options, watch);
    reader->limit_bytes = options->limit_tar_bytes;
    isal_inflate_init(&reader->inflate);
    return reader;
}

void gzip_reader_free(struct gzip_reader *reader)
{
    if (reader == NULL)
        return;
    gzip_input_free(reader->input);
    member_unpacker_free(reader->unpacker);
    free(reader->member);
    free(reader->block);
    free(reader);
}

static int truncated(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the archive ends in the middle of its gzip data");
}

/* At least `wanted` bytes in the window. */
static int need(struct gzip_reader *reader, size_t wanted, struct error *err)
{
    if (gzip_input_fill(reader->input, wanted, err) < 0)
        return -1;
    return gzip_input_length(reader->input) < wanted ? truncated(err) : 0;
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
    if (need(reader, length, err) < 0)
        return -1;
    *crc = crc32_gzip_refl(*crc, gzip_input_next(reader->input), length);
    gzip_input_take(reader->input, length);
    return 0;
}

/* Text that ends with NUL, of any length, in constant memory. */
static int skip_header_text(struct gzip_reader *reader, uint32_t *crc, struct error *err)
{
    for (;;) {
        if (need(reader, 1, err) < 0)
            return -1;
        const uint8_t *text = gzip_input_next(reader->input);
        const uint8_t *end = memchr(text, 0, gzip_input_length(reader->input));
        size_t length = end == NULL ? gzip_input_length(reader->input) : (size_t)(end - text) + 1;
        *crc = crc32_gzip_refl(*crc, text, length);
        gzip_input_take(reader->input, length);
        if (end != NULL)
            return 0;
    }
}

static int read_optional_fields(struct gzip_reader *reader, unsigned flags, uint32_t *crc,
                                struct error *err)
{
    if ((flags & FLAG_EXTRA) != 0) {
        if (need(reader, 2, err) < 0)
            return -1;
        size_t length = get_le16(gzip_input_next(reader->input));
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
    const uint8_t *next = gzip_input_next(reader->input);
    return gzip_input_length(reader->input) >= 2 && next[0] == 0x1f && next[1] == 0x8b;
}

static int damaged_header(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "a gzip header in the archive is damaged");
}

static int start_member(struct gzip_reader *reader, struct error *err)
{
    if (need(reader, HEADER_BYTES, err) < 0)
        return -1;
    unsigned method = gzip_input_next(reader->input)[2];
    unsigned flags = gzip_input_next(reader->input)[3];
    if (method != 8 || (flags & FLAGS_RESERVED) != 0)
        return damaged_header(err);
    uint32_t crc = 0;
    if (skip_header_bytes(reader, HEADER_BYTES, &crc, err) < 0 ||
        read_optional_fields(reader, flags, &crc, err) < 0)
        return -1;
    if ((flags & FLAG_HEADER_CRC) != 0) {
        if (need(reader, 2, err) < 0)
            return -1;
        if (get_le16(gzip_input_next(reader->input)) != (crc & 0xffff))
            return damaged_header(err);
        gzip_input_take(reader->input, 2);
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
    if (need(reader, TRAILER_BYTES, err) < 0)
        return -1;
    const uint8_t *trailer = gzip_input_next(reader->input);
    if (get_le32(trailer) != reader->crc || get_le32(trailer + 4) != reader->member_bytes)
        return error_set(err, ERROR_CORRUPT, "the archive's checksum is wrong");
    gzip_input_take(reader->input, TRAILER_BYTES);
    reader->state = AFTER_MEMBER;
    return 0;
}

/* Inflate some; may give nothing and only change the state. */
static ssize_t read_member(struct gzip_reader *reader, uint8_t *out, size_t length,
                           struct error *err)
{
    struct gzip_input *input = reader->input;
    if (gzip_input_fill(input, 1, err) < 0)
        return -1;
    struct inflate_state *inflate = &reader->inflate;
    const uint8_t *next = gzip_input_next(input);
    inflate->next_in = (uint8_t *)next;
    inflate->avail_in = (uint32_t)gzip_input_length(input);
    inflate->next_out = out;
    inflate->avail_out = (uint32_t)length;
    int result = isal_inflate(inflate);
    size_t got = (size_t)(inflate->next_out - out);
    bool is_stuck = got == 0 && inflate->next_in == next;
    /* Some versions hand bytes back themselves. */
    if (inflate->next_in >= next)
        gzip_input_take(input, (size_t)(inflate->next_in - next));
    else
        gzip_input_give_back(input, (size_t)(next - inflate->next_in));
    if (result < 0)
        return error_set(err, ERROR_CORRUPT, "the archive's gzip data is damaged");
    reader->crc = crc32_gzip_refl(reader->crc, out, got);
    reader->member_bytes += (uint32_t)got;
    if (inflate->block_state == ISAL_BLOCK_FINISH) {
        /* What ISA-L had taken beyond the end. */
        if (inflate->read_in_length > 0)
            gzip_input_give_back(input, (size_t)inflate->read_in_length / 8);
        return end_member(reader, err) < 0 ? -1 : (ssize_t)got;
    }
    return is_stuck ? truncated(err) : (ssize_t)got;
}

/* After a member: another, or zeros to the end of the file. */
static int after_member(struct gzip_reader *reader, struct error *err)
{
    struct gzip_input *input = reader->input;
    if (gzip_input_fill(input, 2, err) < 0)
        return -1;
    if (is_gzip(reader))
        return start_member(reader, err);
    while (gzip_input_length(input) > 0) {
        const uint8_t *next = gzip_input_next(input);
        for (size_t i = 0; i < gzip_input_length(input); i++)
            if (next[i] != 0)
                return error_set(err, ERROR_CORRUPT, "something else follows the archive");
        gzip_input_take(input, gzip_input_length(input));
        if (gzip_input_fill(input, 1, err) < 0)
            return -1;
    }
    reader->state = AT_END;
    return 0;
}

static int start(struct gzip_reader *reader, struct error *err)
{
    if (gzip_input_fill(reader->input, 2, err) < 0)
        return -1;
    if (gzip_input_length(reader->input) == 0)
        return error_set(err, ERROR_CORRUPT, "the archive is empty");
    /* What a crash leaves of a file must not pass for an archive with nothing in it. */
    if (gzip_input_next(reader->input)[0] == 0)
        return error_set(err, ERROR_CORRUPT, "the archive begins with zeros");
    if (is_gzip(reader))
        return start_member(reader, err);
    reader->state = IN_PLAIN;
    return 0;
}

/* A plain tar goes straight to the caller's memory, after what was looked at to know it. */
static ssize_t read_plain(struct gzip_reader *reader, uint8_t *out, size_t length,
                          struct error *err)
{
    size_t held = gzip_input_length(reader->input);
    if (held > 0) {
        size_t part = length < held ? length : held;
        memcpy(out, gzip_input_next(reader->input), part);
        gzip_input_take(reader->input, part);
        return (ssize_t)part;
    }
    ssize_t got = gzip_input_read(reader->input, out, length, err);
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

int gzip_reader_at_member(struct gzip_reader *reader, struct error *err)
{
    uint32_t length;
    bool is_between = reader->state == AT_START || reader->state == AFTER_MEMBER;
    if (!is_between || error_is_set(&reader->error))
        return 0;
    if (gzip_input_fill(reader->input, MEMBER_HEADER_BYTES, err) < 0)
        return -1;
    if (gzip_input_length(reader->input) >= MEMBER_HEADER_BYTES &&
        member_says_length(gzip_input_next(reader->input), &length))
        return 1;
    gzip_input_read_much(reader->input);
    return 0;
}

ssize_t gzip_reader_take_member(struct gzip_reader *reader, uint8_t *member, struct error *err)
{
    uint32_t length = 0;
    member_says_length(gzip_input_next(reader->input), &length);
    if (length < MEMBER_MIN_BYTES || length > MEMBER_MAX_BYTES)
        return damaged_header(err);
    ssize_t got = gzip_input_move(reader->input, member, length, err);
    if (got < 0)
        return -1;
    if ((size_t)got < length)
        return truncated(err);
    reader->state = AFTER_MEMBER;
    return got;
}

void gzip_reader_digest_member(struct gzip_reader *reader, const uint8_t *member, size_t length)
{
    gzip_input_digest(reader->input, member, length);
}

static ssize_t read_to_member(struct gzip_reader *reader, uint8_t *out, size_t length)
{
    size_t done = 0;
    while (done < length && reader->state != AT_END) {
        int comes = gzip_reader_at_member(reader, &reader->error);
        if (comes > 0)
            break;
        ssize_t got = comes < 0 ? -1 : step(reader, out + done, length - done, &reader->error);
        if (got < 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

ssize_t gzip_reader_read_others(struct gzip_reader *reader, void *out, size_t length,
                                struct error *err)
{
    ssize_t done = error_is_set(&reader->error) ? 0 : read_to_member(reader, out, length);
    if (done == 0 && error_is_set(&reader->error)) {
        *err = reader->error;
        return -1;
    }
    if (reader->state == AFTER_MEMBER || reader->state == AT_END)
        gzip_input_settle(reader->input);
    return done;
}

/* A member of ours into reader->block. */
static int read_ours(struct gzip_reader *reader, struct error *err)
{
    if (reader->unpacker == NULL) {
        reader->unpacker = member_unpacker_create();
        reader->member = xmalloc(MEMBER_MAX_BYTES);
        reader->block = xmalloc(ARCHIVE_BLOCK_BYTES);
    }
    ssize_t packed = gzip_reader_take_member(reader, reader->member, err);
    if (packed < 0)
        return -1;
    gzip_reader_digest_member(reader, reader->member, (size_t)packed);
    ssize_t got =
        member_unpack(reader->unpacker, reader->member, (size_t)packed, reader->block, err);
    if (got < 0)
        return -1;
    reader->block_done = 0;
    reader->block_length = (size_t)got;
    return 0;
}

static ssize_t read_any(struct gzip_reader *reader, uint8_t *out, size_t length, struct error *err)
{
    if (reader->block_done == reader->block_length) {
        int comes = gzip_reader_at_member(reader, err);
        if (comes == 0)
            return gzip_reader_read_others(reader, out, length, err);
        if (comes < 0 || read_ours(reader, err) < 0)
            return -1;
    }
    size_t left = reader->block_length - reader->block_done;
    size_t part = length < left ? length : left;
    memcpy(out, reader->block + reader->block_done, part);
    reader->block_done += part;
    return (ssize_t)part;
}

ssize_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t length, struct error *err)
{
    size_t done = 0;
    while (done < length && reader->state != AT_END) {
        ssize_t got = read_any(reader, (uint8_t *)out + done, length - done, err);
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
    gzip_input_finish(reader->input, digest);
}
