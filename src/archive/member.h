/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_MEMBER_H
#define ARCHIVE_MEMBER_H

#include "archive/archive.h"

/*
 * One block of the tar becomes one gzip member (RFC 1952) of raw deflate data (RFC 1951).
 * The same bytes give the same member, whatever came before.
 */
enum {
    MEMBER_HEADER_BYTES = 10,
    MEMBER_TRAILER_BYTES = 8,
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

#endif
