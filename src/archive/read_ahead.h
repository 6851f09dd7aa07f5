/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_READ_AHEAD_H
#define ARCHIVE_READ_AHEAD_H

#include "archive/archive.h"

/*
 * The bytes of the tar, a few blocks ahead: one thread reads the file, one digests it, and the
 * members whose length is known (member.h) are inflated by several; what others have written is
 * inflated by the thread that reads.  Threads start when there is something for them, and the first
 * blocks are few: to look at one place of a file costs little.
 * One thread calls these functions, read_ahead_position() any.
 */
struct read_ahead;

struct read_ahead *read_ahead_create(int fd, const struct archive_read_options *options);
void read_ahead_free(struct read_ahead *bytes); /* also in the middle; NULL is fine */

/*
 * The bytes that come next, at least one; `*at` is valid until they are taken.  0: the end, and
 * every gzip member was right.  Errors are those of gzip_reader_read(), in their place.
 */
ssize_t read_ahead_peek(struct read_ahead *bytes, const uint8_t **at, struct error *err);
void read_ahead_take(struct read_ahead *bytes, size_t length); /* at most what peek gave */

/* Exactly `length` bytes, or CORRUPT: the archive ends in the middle. */
int read_ahead_copy(struct read_ahead *bytes, void *out, size_t length, struct error *err);
int read_ahead_append(struct read_ahead *bytes, struct buf *out, size_t length, struct error *err);
int read_ahead_skip(struct read_ahead *bytes, uint64_t length, struct error *err);

/* How much of the tar was taken, passed over or not. */
uint64_t read_ahead_taken(const struct read_ahead *bytes);

/* Of the file; NULL before peek() returned 0, or where nobody asked for it. */
const struct digest *read_ahead_digest(const struct read_ahead *bytes);
uint64_t read_ahead_position(const struct read_ahead *bytes);

#endif
