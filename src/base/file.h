/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Files, in two halves: files that are durable, and paths that cannot leave
 * their root.  Every descriptor made here is close-on-exec.
 */

/*
 * A durable file.  It grows under a temporary name beside its place; commit
 * makes it appear whole, or not at all, whatever happens in between:
 *
 *     draft = file_draft_create(dir_fd, "name", 0600, err);
 *     … write to file_draft_fd(draft) …
 *     file_draft_commit(draft, err)      // fsync, rename, fsync the directory
 *
 * A temporary name is "." NAME "." RANDOM ".draft"; file_draft_sweep() removes what
 * a crash left.  commit and discard both end the draft's life.
 */
struct file_draft;
#define FILE_DRAFT_SUFFIX ".draft"

struct file_draft *file_draft_create(int dir_fd, const char *name, mode_t mode, struct error *err);
int file_draft_fd(const struct file_draft *draft);

/*
 * Replaces a file of that name.  Durable when this returns 0; on -1 nothing changed, but where the last
 * step failed, the fsync of the directory: then the new file has its name, and may lose it in a power cut.
 */
int file_draft_commit(struct file_draft *draft, struct error *err);

/* As commit, but CONFLICT where a file of that name exists; on -1 no new one is there. */
int file_draft_commit_new(struct file_draft *draft, struct error *err);
void file_draft_discard(struct file_draft *draft);

/* Remove drafts in `dir_fd`.  Only while nobody writes there: on start. */
int file_draft_sweep(int dir_fd, struct error *err);

/* A whole small file, durably. */
int file_replace(int dir_fd, const char *name, struct slice bytes, mode_t mode, struct error *err);

/* A whole file of at most `limit_bytes` (LIMIT beyond), appended to `out`. */
int file_read(int dir_fd, const char *path, size_t limit_bytes, struct buf *out, struct error *err);

/* All bytes, or an error; short writes and EINTR are dealt with. */
int file_write_all(int fd, const void *bytes, size_t length, struct error *err);

/* Up to `length` bytes, fewer only at the end of the file.  -1 on error. */
ssize_t file_read_full(int fd, void *bytes, size_t length, struct error *err);
ssize_t file_pread_full(int fd, void *bytes, size_t length, uint64_t offset, struct error *err);

/* fsync that reports. */
int file_sync(int fd, const char *what, struct error *err);

/* Open a directory by a path of our own configuration (links are followed). */
int directory_open(const char *path, struct error *err);

/*
 * Open a directory by a path that was real when it was noted (realpath): a link in it now was put
 * there since, by whoever may write in one of its directories.  DENIED then.
 */
int directory_open_real(const char *path, struct error *err);

/* As directory_open(), made (with its parents, durably) where it is missing. */
int directory_open_or_make(const char *path, mode_t mode, struct error *err);

/* Bytes that an unprivileged writer may still write on the file system of `dir_fd`. */
int directory_free_space(int dir_fd, uint64_t *free_bytes, uint64_t *total_bytes,
                         struct error *err);

/*
 * Below a root.  `path` is relative; whatever a tenant puts into the tree, the
 * object that is opened lies below `root_fd` and no symbolic link was followed,
 * not even in the last component (openat2 with RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS).  DENIED where the path tries
 * to leave.  "." or "" is the root itself.
 */
int beneath_open(int root_fd, const char *path, int flags, mode_t mode, struct error *err);

/* The same for hot loops: returns -errno instead of an error text. */
int beneath_open_raw(int root_fd, const char *path, int flags, mode_t mode);

/*
 * Change the mode of the directory `name` in `dir_fd`, also one that we may not read: through a
 * descriptor, as the name may be a link by now.  -1 with errno.
 */
int beneath_chmod(int dir_fd, const char *name, mode_t mode);

/*
 * Remove `name` in the directory `parent_fd`, with everything below it, never
 * following a link and never leaving the file system object that `name` is.
 * Succeeds where it does not exist.  Iterative: depth costs descriptors, not stack,
 * and no more than a fixed number of them.
 */
int beneath_remove_tree(int parent_fd, const char *name, struct error *err);

#endif
