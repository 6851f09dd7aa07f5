/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_WALK_H
#define TREE_WALK_H

#include "snapshot/source.h"

/*
 * A live directory as a source.  Its owner may change everything while we
 * read, on purpose: every directory is opened by its whole path below the root, every other object
 * in a directory that was opened so, both with openat2, and no link is ever followed; what was
 * opened is what is described (fstat of the descriptor, never of a name).  Mounts are walked like
 * directories; one that shows a directory above itself is named in the report and not entered.
 *
 * Depth first; within a directory by name (bytes), so that the same tree gives the same
 * stream; only a directory whose names do not fit WALK_NAMES_MAX_BYTES, or change, comes in several sorted runs.
 * The root directory itself is the first entry, with path "".  Sockets, FIFOs and devices are
 * named in the report, and not opened.  A file with several names is an ENTRY_FILE once and
 * ENTRY_HARDLINK afterwards; where a file was declined (source.h), its next name is the
 * ENTRY_FILE.  Beyond WALK_LINKS_MAX_BYTES of such names, each is a file of its own.
 *
 * The fence: size, mtime and ctime are compared before and after a file is read; a file whose ctime
 * is so young that a later change could have the same is waited for, one tick of the clock, and so is a
 * write under way.  What is changed through a mapping stamps a file only now and then: that no fence can see.
 * A file up to WALK_SMALL_BYTES is read into memory and, where it changed, read again, a few times;
 * what still changes, or is larger, is stored as a consistent prefix: at most the size that was
 * announced, zeros after the point where it shrank; and is named in the report.
 *
 * A directory that is renamed while it is walked is walked to its end, under the path that it had, as
 * long as it is below the root; and one whose names have changed since they were listed is listed again, a few times,
 * for what came in.  So something may be given under two paths; only what moves into a directory
 * that is done already is missed (or one of more names than are held at a time).
 *
 * Vanished and unreadable objects are named in the report and left out; of a directory that cannot be
 * read, the directory itself stays.  Only what is no fault of the tree (no descriptors, no memory) is an
 * error, and a root that cannot be listed.  Memory and descriptors are bounded by the limits below, whatever the tree.
 */
enum {
    WALK_SMALL_BYTES = 1 << 20,
    WALK_NAMES_MAX_BYTES = 8 << 20, /* names held at a time, of all directories on the way down */
    WALK_LINKS_MAX_BYTES = 8 << 20, /* names of files that have more to come */
    WALK_OPEN_LEVELS = 64,          /* directories open at a time; others are opened again */
};

struct walk_options {
    bool wants_holes; /* find holes of sparse files (SEEK_HOLE) */
    bool
        wants_no_content; /* inodes only: no file is opened, and its content may not be asked for */
    bool wants_xattrs; /* user.*, POSIX ACLs, capabilities, trusted.*; of files and directories */
};

/* `root_fd` is borrowed: it stays open until the source is freed. */
struct source *walk_open(int root_fd, const struct walk_options *options, struct error *err);

#endif
