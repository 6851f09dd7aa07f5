/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block -> one gzip member:
 *
 *     1f 8b 08 00  00000000  xfl ff | deflate blocks … | 03 00 | crc32 le | length le
 *
 * A game server's volume is for the most part compressed already (region files, jars, pictures),
 * in pages that stand next to pages that compress well.  So the block is cut into runs of pages
 * that look random, which become stored deflate blocks, and runs of others, which are compressed.
 * Every run ends at a byte boundary; the empty block (03 00) at the end is the final one.
 */
#include "archive/member.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include "base/mem.h"

enum {
    PAGE_BYTES = 4096,
    SAMPLE_BYTES = 256, /* four of these are looked at in a page, the last ends with it */
    SAMPLES = 4,
    STORED_MAX_BYTES = 65535, /* RFC 1951, section 3.2.4 */
    ZLIB_LEVEL = 9,
    ZLIB_MEMORY_LEVEL = 9,
    GZIP_XFL_BEST = 2,
    GZIP_XFL_FAST = 4,
    GZIP_OS_UNKNOWN = 255,
};

struct member_packer {
    enum archive_compression compression;
    struct isal_zstream isal;
    uint8_t *isal_memory;
    z_stream zlib;
};

struct member_packer *member_packer_create(enum archive_compression compression)
{
    struct member_packer *packer = xcalloc(1, sizeof(*packer));
    packer->compression = compression;
    if (compression == ARCHIVE_FAST)
        packer->isal_memory = xmalloc(ISAL_DEF_LVL1_DEFAULT);
    if (compression == ARCHIVE_BEST &&
        deflateInit2(&packer->zlib, ZLIB_LEVEL, Z_DEFLATED, -MAX_WBITS, ZLIB_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* only for want of memory */
    return packer;
}

void member_packer_free(struct member_packer *packer)
{
    if (packer == NULL)
        return;
    if (packer->compression == ARCHIVE_BEST)
        deflateEnd(&packer->zlib);
    free(packer->isal_memory);
    free(packer);
}

static uint8_t *put_le16(uint8_t *out, uint32_t value)
{
    out[0] = value & 0xff;
    out[1] = value >> 8 & 0xff;
    return out + 2;
}

static uint8_t *put_le32(uint8_t *out, uint32_t value)
{
    return put_le16(put_le16(out, value), value >> 16);
}

/*
 * Whether a page looks like random bytes: the squares of the counts of each byte value among
 * n sampled bytes sum up to n + n²/256 on average for random bytes (standard deviation 1.8 % at
 * n = 1024); compressed data stays within a few per cent, and anything that deflate could shrink
 * noticeably is far above.
 */
static bool looks_random(const uint8_t *page)
{
    uint16_t counts[2][256] = {0};
    for (size_t sample = 0; sample < SAMPLES; sample++) {
        const uint8_t *bytes = page + sample * (PAGE_BYTES - SAMPLE_BYTES) / (SAMPLES - 1);
        for (size_t i = 0; i < SAMPLE_BYTES; i += 2) {
            counts[0][bytes[i]]++;
            counts[1][bytes[i + 1]]++;
        }
    }
    uint32_t squares = 0;
    for (size_t i = 0; i < 256; i++) {
        uint32_t count = (uint32_t)counts[0][i] + counts[1][i];
        squares += count * count;
    }
    const uint32_t n = SAMPLES * SAMPLE_BYTES;
    const uint32_t random_squares = n + n * n / 256;
    return squares < random_squares + random_squares / 8;
}

static uint8_t *store(const uint8_t *bytes, size_t length, uint8_t *out)
{
    while (length > 0) {
        size_t part = length < STORED_MAX_BYTES ? length : STORED_MAX_BYTES;
        *out++ = 0; /* not final, type 0 */
        out = put_le16(out, (uint32_t)part);
        out = put_le16(out, ~(uint32_t)part);
        memcpy(out, bytes, part);
        out += part;
        bytes += part;
        length -= part;
    }
    return out;
}

static uint8_t *compress_fast(struct member_packer *packer, const uint8_t *bytes, size_t length,
                              uint8_t *out)
{
    struct isal_zstream *isal = &packer->isal;
    isal_deflate_stateless_init(isal);
    isal->level = 1;
    isal->level_buf = packer->isal_memory;
    isal->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    isal->flush = FULL_FLUSH; /* ends at a byte, without being final */
    isal->next_in = (uint8_t *)bytes;
    isal->avail_in = (uint32_t)length;
    isal->next_out = out;
    isal->avail_out = (uint32_t)length; /* no room to grow: then it is better stored */
    if (isal_deflate_stateless(isal) != COMP_OK || isal->avail_in != 0)
        return store(bytes, length, out);
    return isal->next_out;
}

static uint8_t *compress_best(struct member_packer *packer, const uint8_t *bytes, size_t length,
                              uint8_t *out)
{
    z_stream *zlib = &packer->zlib;
    deflateReset(zlib);
    zlib->next_in = (uint8_t *)bytes;
    zlib->avail_in = (uInt)length;
    zlib->next_out = out;
    zlib->avail_out = (uInt)length;
    if (deflate(zlib, Z_SYNC_FLUSH) != Z_OK || zlib->avail_in != 0 || zlib->avail_out == 0)
        return store(bytes, length, out);
    return zlib->next_out;
}

/* The end of the run that begins at `start`, and whether it looks random. */
static size_t run_end(const uint8_t *bytes, size_t length, size_t start, size_t page_offset,
                      bool *is_random)
{
    size_t end = start;
    bool is_first = true;
    while (end < length) {
        /* Up to the next page; what is less than a page at either end has no say. */
        size_t part = PAGE_BYTES - (end + PAGE_BYTES - page_offset) % PAGE_BYTES;
        if (part > length - end)
            part = length - end;
        bool random = part == PAGE_BYTES && looks_random(bytes + end);
        if (!is_first && random != *is_random)
            break;
        *is_random = random;
        is_first = false;
        end += part;
    }
    return end;
}

static uint8_t *pack_runs(struct member_packer *packer, const uint8_t *bytes, size_t length,
                          size_t page_offset, uint8_t *out)
{
    size_t end;
    for (size_t start = 0; start < length; start = end) {
        bool is_random = false;
        end = run_end(bytes, length, start, page_offset, &is_random);
        if (is_random)
            out = store(bytes + start, end - start, out);
        else
            out = compress_fast(packer, bytes + start, end - start, out);
    }
    return out;
}

/* zlib is slow, so that it pays to ask first; its window is worth more than cutting into runs. */
static bool is_all_random(const uint8_t *bytes, size_t length, size_t page_offset)
{
    bool is_random = false;
    return length > 0 && run_end(bytes, length, 0, page_offset, &is_random) == length && is_random;
}

size_t member_pack(struct member_packer *packer, const uint8_t *bytes, size_t length,
                   size_t page_offset, uint8_t *out)
{
    assert(length <= ARCHIVE_BLOCK_BYTES && page_offset < PAGE_BYTES);
    static const uint8_t xfl[] = {
        [ARCHIVE_STORE] = 0, [ARCHIVE_FAST] = GZIP_XFL_FAST, [ARCHIVE_BEST] = GZIP_XFL_BEST};
    const uint8_t header[MEMBER_HEADER_BYTES] = {
        0x1f, 0x8b, Z_DEFLATED, 0, 0, 0, 0, 0, xfl[packer->compression], GZIP_OS_UNKNOWN};
    uint8_t *next = out;
    memcpy(next, header, sizeof(header));
    next += sizeof(header);

    if (packer->compression == ARCHIVE_FAST)
        next = pack_runs(packer, bytes, length, page_offset, next);
    else if (packer->compression == ARCHIVE_BEST && !is_all_random(bytes, length, page_offset))
        next = compress_best(packer, bytes, length, next);
    else
        next = store(bytes, length, next);

    *next++ = 0x03; /* final, type 1, end of block */
    *next++ = 0x00;
    next = put_le32(next, crc32_gzip_refl(0, bytes, length));
    next = put_le32(next, (uint32_t)length);
    return (size_t)(next - out);
}
