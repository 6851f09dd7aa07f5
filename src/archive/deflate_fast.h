/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_DEFLATE_FAST_H
#define ARCHIVE_DEFLATE_FAST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Raw deflate data (RFC 1951) by ISA-L, at its level 1 or 3.  The same bytes and level give the
 * same data, in every thread and process.
 */
struct deflate_fast; /* one thread at a time */
struct deflate_fast *deflate_fast_create(unsigned level);
void deflate_fast_free(struct deflate_fast *fast); /* NULL is fine */

/*
 * Compress into `out`, which has room for `length` bytes; what came before is not referred to.
 * The last block is not marked final, and ends at a byte.  0: it would not have become smaller.
 */
size_t deflate_fast(struct deflate_fast *fast, const uint8_t *bytes, size_t length, uint8_t *out);

#endif
