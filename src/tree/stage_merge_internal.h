/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_STAGE_MERGE_INTERNAL_H
#define TREE_STAGE_MERGE_INTERNAL_H

#include <dirent.h>

#include "base/throttle.h"
#include "tree/links.h"
#include "tree/stage_internal.h"

/* What the merge's files share. */
struct merge {
    struct stage *stage;
    const struct merge_options *options;
    struct throttle throttle; /* of copies */
    struct links *links;      /* of copied files with several names: where each is in the stage */
    int live_root_fd;
    int live_fd;   /* the directory that is visited … */
    int staged_fd; /* … and its counterpart */
    bool is_copying, has_linked;
    uint64_t copied_bytes;
    struct buf xattrs; /* of what is looked at */
    char *xattr_room;
    size_t directory_length;
    struct buf path;     /* its path, and behind it the name that is looked at */
    struct ledger queue; /* stage_leave.c: directories that are to be visited … */
    int aside_fd; /* … and where, in the box, what is not to be staged waits for its removal */
    uint64_t aside_count;
};

/*
 * stage_merge.c: add what the open object at `path` has to merge->xattrs; what cannot be read is named in the
 * report.
 */
void merge_read_xattrs(struct merge *merge, int fd, struct slice path);

/*
 * Note what the staged directory at `path` ends with: these attributes, and the extended ones of `from_fds`, the
 * latter over the former (-1: nothing).  Until then it has none of them, so that what comes into it gets
 * nothing from a default ACL.
 */
int merge_note(struct merge *merge, struct slice path, const struct stat *status,
               const int from_fds[2], int staged_fd, struct error *err);

/* Visit each name in `dir_fd`, which becomes its own, with merge->path set to it; but for names of ours. */
int merge_list(struct merge *merge, int dir_fd,
               int (*visit)(struct merge *merge, const struct dirent *item, struct error *err),
               struct error *err);

/* Open a live directory; -1 with `err` unset where it is gone. */
int merge_open_live(struct merge *merge, const char *path, struct error *err);

/* stage_leave.c: what is left alone: out of the stage, and in again as it is live (it may not be there at all). */
int merge_leave(struct merge *merge, struct error *err);

/* Remove what it has put aside, when nothing is to be made any more. */
int merge_remove_aside(struct merge *merge, struct error *err);

/*
 * stage_merge_copy.c.  A file of its own for the stage: as a clone of the live one, where the file system
 * can, else as a copy.  1: it is there (or the stage has that name); 0: it is no file, or there is
 * no room for copies (any more): it may be linked.  -1.
 */
int merge_copy(struct merge *merge, const char *name, struct error *err);

/* What cannot be linked: on another file system, or not ours to link. */
int merge_copy_object(struct merge *merge, const char *name, struct error *err);

#endif
