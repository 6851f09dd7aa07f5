/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_OUT_FILE_H
#define ARCHIVE_OUT_FILE_H

#include "archive/archive.h"

/*
 * The archive's file while it grows.  Bytes are gathered into large chunks and digested by the
 * caller's thread, while one of its own writes them (out_disk.h).  One thread at a time.
 */
struct out_file;

/* `fd` and `is_stopped` are borrowed; a thread that waits gives up once `is_stopped`: CANCELLED. */
struct out_file *out_file_create(int fd, const struct archive_options *options,
                                 const _Atomic(bool) *is_stopped);

/* LIMIT beyond options.limit_file_bytes; NO_SPACE, IO: that of an earlier call, perhaps. */
int out_file_add(struct out_file *file, const void *bytes, size_t length, struct error *err);

/* Writes what is left and syncs.  `digest` and `file_bytes` are untouched on failure. */
int out_file_finish(struct out_file *file, struct digest *digest, uint64_t *file_bytes,
                    struct error *err);

void out_file_free(struct out_file *file); /* also in the middle; NULL is fine */

#endif
