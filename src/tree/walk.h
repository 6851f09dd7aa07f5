/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_WALK_H
#define TREE_WALK_H

#include "snapshot/source.h"

/*
 * A live directory as a source.  Its owner may change everything while we
 * read, on purpose: every object is opened below the root with openat2 and
 * no link is ever followed; what was opened is what is described (fstat of the
 * descriptor, never of a name).
 *
 * Depth first; within a directory by name, so that the same tree gives the same
 * stream.  The root directory itself is the first entry, with path "".  Sockets, FIFOs and devices are
 * named in the report.  A file with several names is an ENTRY_FILE once and
 * ENTRY_HARDLINK afterwards.
 *
 * The fence: size, mtime and ctime are compared before and after a file is read.
 * A small file that changed is read again, a few times; what still changes, or is
 * too large to hold, is stored as a consistent prefix: at most the size that was
 * announced, zeros after the point where it shrank; and is named in the report.
 * Memory is bounded by the widest directory and the number of hard-linked files.
 */
struct walk_options {
    bool wants_holes; /* find holes of sparse files (SEEK_HOLE) */
};

/* `root_fd` is borrowed: it stays open until the source is freed. */
struct source *walk_open(int root_fd, const struct walk_options *options, struct error *err);

#endif
