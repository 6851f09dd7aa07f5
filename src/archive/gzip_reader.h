/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_GZIP_READER_H
#define ARCHIVE_GZIP_READER_H

#include "archive/archive.h"
#include "archive/gzip_input.h"

/*
 * A file in, the bytes of the tar out: gzip with any number of members (RFC 1952, every CRC and
 * length checked), or, where the file does not begin like gzip, its bytes as they are.  The file
 * is read to its very end.  One thread at a time.
 */
struct gzip_reader;

/* All pointers are borrowed. */
struct gzip_reader *gzip_reader_create(int fd, const struct archive_read_options *options,
                                       struct gzip_reader_watch *watch);
void gzip_reader_free(struct gzip_reader *reader); /* NULL is fine */

/*
 * The next bytes, all `length` of them but for the last time; 0: the end, and everything was right.
 * CORRUPT, LIMIT (options.limit_tar_bytes), IO.
 */
ssize_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t length, struct error *err);

/*
 * The same for those who unpack members elsewhere (read_ahead.h):
 *
 *     at_member() 1: take_member(), and member_unpack() what it gave
 *     at_member() 0: read_others(); the end where that gives 0
 *
 * A member of ours is one whose header says how long it is (member.h).  What it says is held against
 * it: CORRUPT where it is not as long as that, or holds more than a block.
 */
int gzip_reader_at_member(struct gzip_reader *reader, struct error *err);
ssize_t gzip_reader_take_member(struct gzip_reader *reader, uint8_t *member, struct error *err);

/* Up to the next member of ours, and without a limit. */
ssize_t gzip_reader_read_others(struct gzip_reader *reader, void *out, size_t length,
                                struct error *err);

/* Digest a member that was taken: each in its turn, and before anything behind it is read otherwise. */
void gzip_reader_digest_member(struct gzip_reader *reader, const uint8_t *member, size_t length);

/* Of the whole file, after read() returned 0. */
void gzip_reader_digest(struct gzip_reader *reader, struct digest *digest); /* once */

#endif
