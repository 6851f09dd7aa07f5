/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_OUT_FILE_H
#define ARCHIVE_OUT_FILE_H

#include "archive/archive.h"

/*
 * The archive's file while it grows.  Bytes are gathered into large chunks; each chunk is
 * digested, paced and written in one go, and its pages leave the page cache behind it.
 * One thread at a time.
 */
struct out_file;

/*
 * `fd` and `is_stopped` are borrowed; while the rate makes it wait, it looks at `is_stopped`, and
 * then gives up with CANCELLED.
 */
struct out_file *out_file_create(int fd, const struct archive_options *options,
                                 const _Atomic(bool) *is_stopped);

/* LIMIT beyond options.limit_file_bytes; NO_SPACE, IO. */
int out_file_add(struct out_file *file, const void *bytes, size_t length, struct error *err);

/* Writes what is left and syncs.  `digest` and `file_bytes` are untouched on failure. */
int out_file_finish(struct out_file *file, struct digest *digest, uint64_t *file_bytes,
                    struct error *err);

void out_file_free(struct out_file *file); /* NULL is fine */

#endif
