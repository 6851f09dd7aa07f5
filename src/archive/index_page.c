/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the index as gzip members, and the numbers in them. */
#include "archive/index_page.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/scope.h"

enum {
    EXTRA_OFFSET = 12,
    CRC_OFFSET = 16,
    CHECKED_OFFSET = 20, /* what the CRC is of begins here */
    FIELD_HEAD_BYTES = 4,
    VERSION = 1,
    STORED_HEAD_BYTES = 5,
    PAYLOAD_MAX_BYTES = 65535 - (INDEX_PAGE_HEAD_BYTES - EXTRA_OFFSET),
};

static_assert(INDEX_RAW_MAX_BYTES + STORED_HEAD_BYTES <= PAYLOAD_MAX_BYTES, "a page fits");

static const uint8_t GZIP_HEAD[] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255};
static const uint8_t GZIP_TAIL[INDEX_PAGE_TAIL_BYTES] = {0x03};

uint64_t index_read_le(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void index_put_le(struct buf *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        buf_add_char(out, (char)(value >> (8 * i)));
}

struct index_packer {
    z_stream stream;
    uint8_t deflated[PAYLOAD_MAX_BYTES];
};

struct index_packer *index_packer_create(void)
{
    struct index_packer *packer = xcalloc(1, sizeof(*packer));
    if (deflateInit2(&packer->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* no memory */
    return packer;
}

void index_packer_free(struct index_packer *packer)
{
    if (packer == NULL)
        return;
    deflateEnd(&packer->stream);
    free(packer);
}

/*
 * What does not compress is stored.  By zlib, since the same entries must give the same bytes, and pages are few.
 */
static struct slice deflate_raw(struct index_packer *packer, struct slice raw)
{
    z_stream *stream = &packer->stream;
    uint8_t *out = packer->deflated;
    deflateReset(stream);
    stream->next_in = (Bytef *)raw.data;
    stream->avail_in = (uInt)raw.length;
    stream->next_out = out;
    stream->avail_out = (uInt)raw.length;
    if (deflate(stream, Z_FINISH) == Z_STREAM_END)
        return slice_of(out, stream->total_out);
    uint32_t stored = (uint32_t)raw.length;
    const uint8_t head[STORED_HEAD_BYTES] = {1, (uint8_t)stored, (uint8_t)(stored >> 8),
                                             (uint8_t)~stored, (uint8_t)(~stored >> 8)};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), raw.data, raw.length);
    return slice_of(out, sizeof(head) + raw.length);
}

/* One member around what is packed. */
static void add_member(enum index_kind kind, struct slice payload, size_t raw_length,
                       struct buf *out)
{
    size_t start = out->length;
    size_t field = INDEX_PAGE_HEAD_BYTES - CRC_OFFSET + payload.length;
    buf_add(out, GZIP_HEAD, sizeof(GZIP_HEAD));
    index_put_le(out, FIELD_HEAD_BYTES + field, 2);
    buf_add_str(out, "Ri");
    index_put_le(out, field, 2);
    index_put_le(out, 0, 4);
    buf_add_char(out, VERSION);
    buf_add_char(out, (char)kind);
    index_put_le(out, raw_length, 2);
    buf_add(out, payload.data, payload.length);
    uint8_t *bytes = (uint8_t *)out->data + start;
    uint32_t crc = crc32_gzip_refl(0, bytes + CHECKED_OFFSET,
                                   INDEX_PAGE_HEAD_BYTES - CHECKED_OFFSET + payload.length);
    for (size_t i = 0; i < 4; i++)
        bytes[CRC_OFFSET + i] = (uint8_t)(crc >> (8 * i));
    buf_add(out, GZIP_TAIL, sizeof(GZIP_TAIL));
}

void index_page_pack(struct index_packer *packer, enum index_kind kind, struct slice raw,
                     struct buf *out)
{
    assert(raw.length > 0 && raw.length <= INDEX_RAW_MAX_BYTES);
    assert((packer == NULL) == (kind == INDEX_TRAILER));
    add_member(kind, packer == NULL ? raw : deflate_raw(packer, raw), raw.length, out);
}

static int damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "a page of the archive's index is damaged");
}

static int inflate_raw(struct slice payload, size_t raw_length, struct buf *raw, struct error *err)
{
    struct inflate_state state;
    isal_inflate_init(&state);
    buf_clear(raw);
    buf_reserve(raw, raw_length);
    state.next_in = (uint8_t *)payload.data;
    state.avail_in = (uint32_t)payload.length;
    state.next_out = (uint8_t *)raw->data;
    state.avail_out = (uint32_t)raw_length;
    if (isal_inflate_stateless(&state) != ISAL_DECOMP_OK || state.total_out != raw_length ||
        state.block_state != ISAL_BLOCK_FINISH)
        return damaged(err);
    raw->length = raw_length;
    raw->data[raw_length] = '\0';
    return 0;
}

int index_page_unpack(enum index_kind kind, struct slice member, struct buf *raw, struct error *err)
{
    const uint8_t *bytes = member.data;
    if (member.length < INDEX_PAGE_MIN_BYTES || member.length > INDEX_PAGE_MAX_BYTES)
        return damaged(err);
    size_t field = member.length - CRC_OFFSET - INDEX_PAGE_TAIL_BYTES;
    size_t checked = field - (CHECKED_OFFSET - CRC_OFFSET);
    if (memcmp(bytes, GZIP_HEAD, sizeof(GZIP_HEAD)) != 0 ||
        index_read_le(bytes + 10, 2) != FIELD_HEAD_BYTES + field ||
        memcmp(bytes + EXTRA_OFFSET, "Ri", 2) != 0 || index_read_le(bytes + 14, 2) != field ||
        memcmp(bytes + CRC_OFFSET + field, GZIP_TAIL, sizeof(GZIP_TAIL)) != 0 ||
        index_read_le(bytes + CRC_OFFSET, 4) != crc32_gzip_refl(0, bytes + CHECKED_OFFSET, checked))
        return damaged(err);
    if (bytes[CHECKED_OFFSET] != VERSION)
        return error_set(err, ERROR_CORRUPT, "the archive's index has the unknown version %d",
                         bytes[CHECKED_OFFSET]);
    size_t raw_length = index_read_le(bytes + CHECKED_OFFSET + 2, 2);
    struct slice payload =
        slice_of(bytes + INDEX_PAGE_HEAD_BYTES, field - (INDEX_PAGE_HEAD_BYTES - CRC_OFFSET));
    if (bytes[CHECKED_OFFSET + 1] != kind || raw_length == 0 || raw_length > INDEX_RAW_MAX_BYTES)
        return damaged(err);
    if (kind != INDEX_TRAILER)
        return inflate_raw(payload, raw_length, raw, err);
    if (payload.length != raw_length)
        return damaged(err);
    buf_clear(raw);
    buf_add(raw, payload.data, payload.length);
    return 0;
}

/* ---- numbers ---- */

struct index_cursor index_cursor_on(struct slice bytes)
{
    const uint8_t *at = bytes.data;
    return (struct index_cursor){.at = at, .end = at + bytes.length};
}

uint64_t index_get(struct index_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; cursor->at < cursor->end && shift < 64; shift += 7) {
        uint8_t byte = *cursor->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    cursor->is_bad = true;
    return 0;
}

int64_t index_get_signed(struct index_cursor *cursor)
{
    uint64_t value = index_get(cursor);
    return (int64_t)((value >> 1) ^ -(value & 1));
}

struct slice index_get_bytes(struct index_cursor *cursor, uint64_t length)
{
    if (cursor->is_bad || length > (uint64_t)(cursor->end - cursor->at)) {
        cursor->is_bad = true;
        return slice_str("");
    }
    struct slice bytes = slice_of(cursor->at, (size_t)length);
    cursor->at += length;
    return bytes;
}

void index_put(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_add_char(out, (char)(value | 0x80));
    buf_add_char(out, (char)value);
}

void index_put_signed(struct buf *out, int64_t value)
{
    index_put(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* ---- the order of paths ---- */

/* Nothing that a name may hold comes before a slash: then bytes compare as parts do. */
static int rank(uint8_t byte)
{
    return byte == '/' ? 0 : byte;
}

int index_path_order(struct slice a, struct slice b)
{
    const uint8_t *left = a.data;
    const uint8_t *right = b.data;
    size_t shorter = a.length < b.length ? a.length : b.length;
    size_t i = 0;
    while (i < shorter && left[i] == right[i])
        i++;
    if (i < shorter)
        return rank(left[i]) - rank(right[i]);
    return (a.length > b.length) - (a.length < b.length);
}

bool index_path_is_below(struct slice path, struct slice directory)
{
    if (directory.length == 0)
        return path.length > 0;
    return path.length > directory.length + 1 &&
           memcmp(path.data, directory.data, directory.length) == 0 &&
           ((const char *)path.data)[directory.length] == '/';
}
