/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_OUT_DISK_H
#define ARCHIVE_OUT_DISK_H

#include "archive/archive.h"

/*
 * How the archive's file gets to disk: at its pace, and past the page cache where the file system
 * takes that (O_DIRECT); elsewhere its pages are written back and let go of behind it.  One thread
 * at a time.
 */
struct out_disk;

enum {
    OUT_DISK_ALIGNMENT = 4096 /* of memory, offsets and lengths */
};

/*
 * `fd` and `is_stopped` are borrowed; while the rate makes it wait, it looks at `is_stopped` and at the options'
 * `cancel`, and then gives up with CANCELLED.  The flags of `fd` are put back by finish() and free().
 */
struct out_disk *out_disk_create(int fd, const struct archive_options *options,
                                 const _Atomic(bool) *is_stopped);

/* The number of bytes after which the file is aligned; 0 where it is, or cannot be. */
size_t out_disk_misalignment(const struct out_disk *disk);

/* `bytes` are aligned in memory.  NO_SPACE, IO, CANCELLED. */
int out_disk_write(struct out_disk *disk, const uint8_t *bytes, size_t length, struct error *err);

/* Makes all of it durable. */
int out_disk_finish(struct out_disk *disk, struct error *err);
uint64_t out_disk_written(const struct out_disk *disk); /* bytes */
void out_disk_free(struct out_disk *disk);              /* NULL is fine */

#endif
