/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_GZIP_WRITER_H
#define ARCHIVE_GZIP_WRITER_H

#include "archive/archive.h"

/*
 * Bytes in, a file of gzip members out:
 *
 *     caller fills a block -> N threads compress -> one thread gathers and digests, in order
 *                                                -> one thread writes (out_file.h)
 *
 * Blocks are a ring of 2 N + 2, at most 8, and N is 8 at most; the caller waits where all of them are on their way, so that
 * memory is bounded.  One thread calls these functions.
 */
struct gzip_writer;

/* Starts the threads.  `fd` is borrowed. */
struct gzip_writer *gzip_writer_create(int fd, const struct archive_options *options);

/* Whatever failed in the threads is reported by this, from the next call on. */
int gzip_writer_add(struct gzip_writer *writer, const void *bytes, size_t length,
                    struct error *err);
int gzip_writer_add_zeros(struct gzip_writer *writer, size_t length, struct error *err);

/* A hint: the content of a large file starts at the current position. */
void gzip_writer_mark_content(struct gzip_writer *writer);

/* `index` (borrowed, set before anything is added) hears of the members, and goes into the file. */
struct index_writer;
void gzip_writer_set_index(struct gzip_writer *writer, struct index_writer *index);

/* Bytes added so far. */
uint64_t gzip_writer_position(const struct gzip_writer *writer);

/* Waits until everything is written and synced. */
int gzip_writer_finish(struct gzip_writer *writer, struct archive_result *result,
                       struct error *err);

/* Stops the threads, also in the middle.  NULL is fine. */
void gzip_writer_free(struct gzip_writer *writer);

#endif
