/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_STAGE_MERGE_INTERNAL_H
#define TREE_STAGE_MERGE_INTERNAL_H

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
    struct buf path; /* its path, and behind it the name that is looked at */
};

/* stage_merge.c: add what the open object has to merge->xattrs; what cannot be read is named in the report. */
void merge_read_xattrs(struct merge *merge, int fd);

/*
 * stage_merge_copy.c.  A file of its own for the stage: as a clone of the live one, where the file system
 * can, else as a copy.  1: it is there (or the stage has that name); 0: it is no file, or there is
 * no room for copies (any more): it may be linked.  -1.
 */
int merge_copy(struct merge *merge, const char *name, struct error *err);

/* What cannot be linked: on another file system, or not ours to link. */
int merge_copy_object(struct merge *merge, const char *name, struct error *err);

#endif
