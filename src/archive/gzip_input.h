/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_GZIP_INPUT_H
#define ARCHIVE_GZIP_INPUT_H

#include "archive/archive.h"

/*
 * The archive's file as it is read: a window that slides over it, the digest of what was taken,
 * and the page cache left as it was found.  One thread at a time.
 */
struct gzip_input;

/* Shared with the threads that watch; `position` counts bytes of the file. */
struct gzip_reader_watch {
    _Atomic(uint64_t) position;
    _Atomic(bool) is_stopped; /* give up with CANCELLED, also while a pipe says nothing */
};

/* All pointers are borrowed. */
struct gzip_input *gzip_input_create(int fd, const struct archive_read_options *options,
                                     struct gzip_reader_watch *watch);
void gzip_input_free(struct gzip_input *input); /* NULL is fine */

/* Look at the window: at least `wanted` (up to 128 KiB) bytes, or all that are left in the file. */
int gzip_input_fill(struct gzip_input *input, size_t wanted, struct error *err);
const uint8_t *gzip_input_next(const struct gzip_input *input);
size_t gzip_input_length(const struct gzip_input *input);

/* Bytes of the window are done with.  The last GZIP_INPUT_SLACK_BYTES of them can be given back. */
enum {
    GZIP_INPUT_SLACK_BYTES = 8
};
void gzip_input_take(struct gzip_input *input, size_t length);
void gzip_input_give_back(struct gzip_input *input, size_t length);

/* Nothing of what was taken will be given back: digest it.  Before move() and finish(). */
void gzip_input_settle(struct gzip_input *input);

/*
 * Take `length` bytes into `out`, which may be more than the window holds, or fewer at the end of
 * the file.  The digest leaves them out: they are for gzip_input_digest(), in their turn.
 */
ssize_t gzip_input_move(struct gzip_input *input, void *out, size_t length, struct error *err);
void gzip_input_digest(struct gzip_input *input, const void *bytes, size_t length);

/* Some bytes past the (empty) window, digested; 0 at the end of the file. */
ssize_t gzip_input_read(struct gzip_input *input, void *out, size_t length, struct error *err);

/* What comes is no member of ours: read in large pieces.  move() goes back to small ones. */
void gzip_input_read_much(struct gzip_input *input);

void gzip_input_finish(struct gzip_input *input, struct digest *digest); /* once */

#endif
