/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block -> one gzip member:
 *
 *     1f 8b 08 04  00000000  xfl ff | 0008 'R' 'o' 0004 bytes le | deflate blocks … | 03 00 |
 *     crc32 le | length le
 *
 * `bytes` is the length of the whole member, so that a reader finds the next without inflating.
 *
 * A game server's volume is for the most part compressed already (region files, jars, pictures),
 * in pages that stand next to pages that compress well.  So the block is cut into runs: what looks
 * random becomes stored deflate blocks; zeros, with which pages end, are one match repeated; the
 * rest is compressed.  Every run ends at a byte boundary; the empty block (03 00) at the end is the
 * final one.
 */
#include "archive/member.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <zlib.h>

#include "archive/deflate_fast.h"
#include "archive/pages.h"
#include "base/mem.h"

enum {
    BALANCED_GAP_PAGES = 32, /* a window's worth of them, four times */
    MATCH_MAX_BYTES = 258,
    STORED_MAX_BYTES = 65535, /* RFC 1951, section 3.2.4 */
    ZLIB_LEVEL = 9,
    ZLIB_MEMORY_LEVEL = 9,
    GZIP_FLAG_EXTRA = 1 << 2,
    GZIP_XFL_BEST = 2,
    GZIP_XFL_FAST = 4,
    GZIP_OS_UNKNOWN = 255,
};

struct member_packer {
    enum archive_compression compression;
    struct deflate_fast *fast;
    z_stream zlib;
};

struct member_packer *member_packer_create(enum archive_compression compression)
{
    struct member_packer *packer = xcalloc(1, sizeof(*packer));
    packer->compression = compression;
    if (compression == ARCHIVE_FAST || compression == ARCHIVE_BALANCED)
        packer->fast = deflate_fast_create(compression == ARCHIVE_FAST ? 1 : 3);
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
    deflate_fast_free(packer->fast);
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
    size_t packed = deflate_fast(packer->fast, bytes, length, out);
    return packed == 0 ? store(bytes, length, out) : out + packed;
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

/* Bits as deflate has them, the lowest first (RFC 1951, section 3.1.1). */
struct bits {
    uint8_t *out;
    uint64_t held;
    unsigned count;
};

static void put_bits(struct bits *bits, uint64_t value, unsigned count)
{
    bits->held |= value << bits->count;
    for (bits->count += count; bits->count >= 8; bits->count -= 8) {
        *bits->out++ = bits->held & 0xff;
        bits->held >>= 8;
    }
}

/* A Huffman code, whose first bit is its highest. */
static void put_code(struct bits *bits, unsigned code, unsigned count)
{
    while (count-- > 0)
        put_bits(bits, code >> count & 1, 1);
}

/* The match of `length` (3 to 258) bytes at distance 1, with the fixed codes (section 3.2.6). */
static void put_match(struct bits *bits, size_t length)
{
    /* Lengths in eights from 3 on, with twice the steps after every four codes (section 3.2.5). */
    unsigned code = 257;
    unsigned extra = 0;
    size_t start = 3;
    while (length < MATCH_MAX_BYTES && length >= start + (1U << extra)) {
        start += 1U << extra;
        code++;
        extra = code < 265 ? 0 : (code - 261) / 4;
    }
    if (length == MATCH_MAX_BYTES) {
        code = 285;
        extra = 0;
        start = length;
    }
    if (code < 280)
        put_code(bits, code - 256, 7);
    else
        put_code(bits, code - 280 + 0xc0, 8);
    put_bits(bits, length - start, extra);
    put_code(bits, 0, 5);
}

/* Zeros: a literal, and matches that repeat it; at least 4. */
static uint8_t *put_zeros(size_t length, uint8_t *out)
{
    struct bits bits = {.out = out};
    put_bits(&bits, 1 << 1, 3); /* not final, type 1 */
    put_code(&bits, 0x30, 8);   /* the literal 0 */
    size_t part;
    for (size_t left = length - 1; left > 0; left -= part) {
        part = left < MATCH_MAX_BYTES ? left : MATCH_MAX_BYTES;
        if (left > part && left - part < 3)
            part -= 3; /* a match has at least 3 */
        put_match(&bits, part);
    }
    put_code(&bits, 0, 7); /* end of block */
    put_bits(&bits, 0, 3); /* an empty stored block ends at a byte */
    if (bits.count > 0)
        put_bits(&bits, 0, 8 - bits.count);
    return put_le16(put_le16(bits.out, 0), 0xffff);
}

enum run_kind {
    RUN_OTHER,
    RUN_RANDOM,
    RUN_ZEROS,
};

/* The run that grows; it is packed when one of another kind begins. */
struct run {
    struct member_packer *packer;
    const uint8_t *bytes;
    size_t start;
    size_t end;
    enum run_kind kind;
    uint8_t *out;
};

static void pack_run(struct run *run)
{
    const uint8_t *bytes = run->bytes + run->start;
    size_t length = run->end - run->start;
    if (length == 0)
        return;
    if (run->kind == RUN_RANDOM)
        run->out = store(bytes, length, run->out);
    else if (run->kind == RUN_ZEROS)
        run->out = put_zeros(length, run->out);
    else
        run->out = compress_fast(run->packer, bytes, length, run->out);
    run->start = run->end;
}

static void extend_run(struct run *run, enum run_kind kind, size_t length)
{
    if (length == 0)
        return;
    if (run->kind != kind)
        pack_run(run);
    run->kind = kind;
    run->end += length;
}

static void add_page(struct run *run, const struct page *page)
{
    if (page->is_compressible) {
        extend_run(run, RUN_OTHER, PAGE_BYTES);
        return;
    }
    extend_run(run, RUN_RANDOM, PAGE_BYTES - page->zeros);
    extend_run(run, RUN_ZEROS, page->zeros);
}

/* Page by page; what is less than a page at either end is compressed. */
static uint8_t *pack_runs(struct member_packer *packer, const uint8_t *bytes, size_t length,
                          size_t page_offset, uint8_t *out)
{
    struct run run = {.packer = packer, .bytes = bytes, .kind = RUN_OTHER, .out = out};
    struct page pages[ARCHIVE_BLOCK_BYTES / PAGE_BYTES];
    size_t start = page_offset < length ? page_offset : length;
    size_t count = (length - start) / PAGE_BYTES;
    pages_judge(bytes + start, count, pages);
    if (packer->compression == ARCHIVE_BALANCED)
        pages_close_gaps(pages, count, BALANCED_GAP_PAGES);
    extend_run(&run, RUN_OTHER, start);
    for (size_t i = 0; i < count; i++)
        add_page(&run, &pages[i]);
    extend_run(&run, RUN_OTHER, length - run.end);
    pack_run(&run);
    return run.out;
}

/* zlib is slow, so that it pays to ask first; its window is worth more than cutting into runs. */
static bool is_all_random(const uint8_t *bytes, size_t length, size_t page_offset)
{
    size_t at = page_offset;
    while (at + PAGE_BYTES <= length && pages_look_random(bytes + at, PAGE_BYTES))
        at += PAGE_BYTES;
    return at + PAGE_BYTES > length && at > page_offset;
}

static void put_header(uint8_t *out, uint8_t xfl, size_t member_length)
{
    const uint8_t header[] = {
        0x1f, 0x8b, Z_DEFLATED, GZIP_FLAG_EXTRA, 0, 0, 0, 0, xfl, GZIP_OS_UNKNOWN, 8, 0, 'R',
        'o',  4,    0};
    memcpy(out, header, sizeof(header));
    put_le32(out + sizeof(header), (uint32_t)member_length);
}

size_t member_pack(struct member_packer *packer, const uint8_t *bytes, size_t length,
                   size_t page_offset, uint8_t *out)
{
    assert(length <= ARCHIVE_BLOCK_BYTES && page_offset < PAGE_BYTES);
    static const uint8_t xfl[] = {[ARCHIVE_FAST] = GZIP_XFL_FAST, [ARCHIVE_BEST] = GZIP_XFL_BEST};
    uint8_t *next = out + MEMBER_HEADER_BYTES;

    if (packer->fast != NULL)
        next = pack_runs(packer, bytes, length, page_offset, next);
    else if (packer->compression == ARCHIVE_BEST && !is_all_random(bytes, length, page_offset))
        next = compress_best(packer, bytes, length, next);
    else
        next = store(bytes, length, next);

    *next++ = 0x03; /* final, type 1, end of block */
    *next++ = 0x00;
    next = put_le32(next, crc32_gzip_refl(0, bytes, length));
    next = put_le32(next, (uint32_t)length);
    size_t packed = (size_t)(next - out);
    put_header(out, xfl[packer->compression], packed);
    return packed;
}
