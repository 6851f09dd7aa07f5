/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_GZIP_READER_H
#define ARCHIVE_GZIP_READER_H

#include "archive/archive.h"

/*
 * A file in, the bytes of the tar out: gzip with any number of members (RFC 1952, every CRC and
 * length checked), or, where the file does not begin like gzip, its bytes as they are.  The file
 * is read to its very end.  One thread at a time.
 */
struct gzip_reader;

/* Shared with the threads that watch; `position` counts bytes of the file. */
struct gzip_reader_watch {
    _Atomic(uint64_t) position;
    _Atomic(bool) is_stopped; /* give up with CANCELLED, also while a pipe says nothing */
};

/* All pointers are borrowed. */
struct gzip_reader *gzip_reader_create(int fd, const struct archive_read_options *options,
                                       struct gzip_reader_watch *watch);
void gzip_reader_free(struct gzip_reader *reader); /* NULL is fine */

/*
 * The next bytes, all `length` of them but for the last time; 0: the end, and everything was right.
 * CORRUPT, LIMIT (options.limit_tar_bytes), IO.
 */
ssize_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t length, struct error *err);

/* Of the whole file, after read() returned 0. */
void gzip_reader_digest(struct gzip_reader *reader, struct digest *digest); /* once */

#endif
