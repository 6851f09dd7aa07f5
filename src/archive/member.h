/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_MEMBER_H
#define ARCHIVE_MEMBER_H

#include "archive/archive.h"

/*
 * One block of the tar becomes one gzip member (RFC 1952) of raw deflate data (RFC 1951).
 * The same bytes give the same member, whatever came before.
 */
enum {
    MEMBER_HEADER_BYTES = 20,
    MEMBER_TRAILER_BYTES = 8,
    MEMBER_MIN_BYTES = MEMBER_HEADER_BYTES + 2 + MEMBER_TRAILER_BYTES,
    /* Also when nothing compresses: 5 bytes for each page, were each stored alone. */
    MEMBER_MAX_BYTES = ARCHIVE_BLOCK_BYTES + ARCHIVE_BLOCK_BYTES / 4096 * 5 + 64,
};

struct member_packer; /* one thread at a time */
struct member_packer *member_packer_create(enum archive_compression compression);
void member_packer_free(struct member_packer *packer);

/*
 * Pack `length` <= ARCHIVE_BLOCK_BYTES bytes into `out`, which has room for MEMBER_MAX_BYTES.
 * `page_offset` says where in the block a page of a file begins (below 4096): what does not
 * compress is looked for page by page.  Returns the member's length.  Cannot fail.
 */
size_t member_pack(struct member_packer *packer, const uint8_t *bytes, size_t length,
                   size_t page_offset, uint8_t *out);

/*
 * Whether a header of MEMBER_HEADER_BYTES has the field that says how long its member is.  It is
 * what a file says: any number.
 */
bool member_says_length(const uint8_t *header, uint32_t *length_out);

struct member_unpacker; /* one thread at a time */
struct member_unpacker *member_unpacker_create(void);
void member_unpacker_free(struct member_unpacker *unpacker); /* NULL is fine */

/*
 * The bytes of one member, whose header has that field, into `out`, which has room for
 * ARCHIVE_BLOCK_BYTES.  Their number; CORRUPT where they are more, where the member ends before or
 * after `length` bytes, or where its CRC or length is wrong.
 */
ssize_t member_unpack(struct member_unpacker *unpacker, const uint8_t *member, size_t length,
                      uint8_t *out, struct error *err);

#endif
