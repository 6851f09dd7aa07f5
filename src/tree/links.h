/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_LINKS_H
#define TREE_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Files with several names: which path each was first given under.  A file is
 * forgotten once all its names were seen, so that memory follows what is open, and nothing
 * is added beyond `limit_bytes`.  One thread at a time.
 */
struct links;

struct links *links_new(size_t limit_bytes);
void links_free(struct links *links);

/* Remember the path of a file that has `more_names` besides it. */
void links_add(struct links *links, uint64_t device, uint64_t inode, struct slice path,
               uint64_t more_names);

/* One more name of a known file: its path is appended to `path_out`.  false: not known. */
bool links_use(struct links *links, uint64_t device, uint64_t inode, struct buf *path_out);

void links_forget(struct links *links, uint64_t device, uint64_t inode);

#endif
