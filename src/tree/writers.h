/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_WRITERS_H
#define TREE_WRITERS_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * The threads that fill the files of a stage.  Whoever makes the files (one thread, in the order of the
 * stream, so that names, links and directories are never out of order) hands over each descriptor
 * with content and attributes; the writers do the rest and close it:
 *
 *     stage thread                  a block of 1 MiB               writers
 *     makes the name, copies  ->  | pieces of many small   |  ->  write, owner, mode, time, close
 *     the content                 | files, or one of a large |
 *                                 +--------------------------+
 *
 * Large files are written past the page cache (O_DIRECT) where the file system can; where not, writing
 * back begins at once and pages go as soon as they are clean, so that no flood of dirty pages meets the
 * neighbours.  WRITERS_BLOCKS blocks are all the memory for content, however much comes, and
 * WRITERS_BLOCKS * WRITERS_PIECES + 1 the descriptors.
 *
 * An error (NO_SPACE, IO) comes out of the next call, whichever it is, with the file's name;
 * from then on nothing more is written.  All functions are for one thread.
 */
enum {
    WRITERS_BLOCKS = 8,
    WRITERS_PIECES = 24,
    WRITERS_BLOCK_BYTES = 1 << 20,
};

/* What is set on an object once it is whole. */
struct attributes {
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
};

struct writers;
struct writers_file;

struct writers_task {
    int fd; /* becomes theirs */
    struct slice path;
    uint64_t size_bytes;
    bool has_holes; /* written in any places, ascending; else from 0 on without a gap */
    bool sets_owner;
    bool sets_mode; /* the file was not made with it */
    struct attributes attributes;
};

struct writers *writers_new(void);

/* Waits for what is being written, drops the rest.  NULL is fine. */
void writers_free(struct writers *writers);

/* The file that is written next.  The one before has ended. */
void writers_begin(struct writers *writers, const struct writers_task *task);
int writers_write(struct writers *writers, uint64_t offset, const void *bytes, size_t length,
                  struct error *err);

/*
 * Where the content at `offset` will lie: what is put there need not be copied, but is given to writers_write()
 * with this address, at most `*length` bytes.  NULL: nowhere yet.  Good until the next call.
 */
void *writers_room(struct writers *writers, uint64_t offset, size_t *length);
int writers_end(struct writers *writers, struct error *err);

/* Wait until every file that was ended is whole and closed. */
int writers_drain(struct writers *writers, struct error *err);

/* Bytes that were handed over and may not be on the file system yet. */
uint64_t writers_pending_bytes(const struct writers *writers);

/*
 * An owner could not be set (errno, and the file's path appended): true, once.  Others are not tried then.
 */
bool writers_owner_refused(struct writers *writers, int *os_errno, struct attributes *attributes,
                           struct buf *path_out);

#endif
