/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_EXCHANGE_H
#define TREE_EXCHANGE_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Two ways to put a staged tree into the place of a live one.
 *
 *   directory  one rename exchanges the two roots.  Whoever holds the old root (an open descriptor, a
 *              working directory, a bind mount) goes on in the old tree.
 *   entries    the live root stays the same directory; the names in it are exchanged, one rename each.
 *              Until the last one each name is old or new, and never missing where both trees have it.
 *
 * The staged tree lies in a box, a directory of mode 0700 that is ours alone:
 *
 *     .roost-stage-<uuid>/  tree/    the staged tree; after the exchange the replaced one, as it was
 *                           plan     entries are being moved in …
 *                           back     … or, as that failed, moved back
 *                           done     they were moved in
 *                           shared   files of the one tree may be files of the other, too
 *
 * A plan is durable before the first rename, and names every entry of both trees with its inode.
 * After a crash it is carried on with: what is in the box tells of each name whether it was moved, and
 * the tenant cannot change what is in the box.  Where a rename fails, all of them are taken
 * back.  So in the end it is the one tree or the other.
 *
 * The tenant may be at it all the time.  Entries are moved as what they are (no link is followed, nothing
 * is opened).  A name that it makes while entries move stays in the live root, and is in neither
 * tree of the backup; where the new tree has that name, too, it is moved aside with the old tree.  What it
 * removes meanwhile is gone.
 *
 * The live root's mode, owner and times become the staged root's, and the other way round; its own
 * extended attributes stay.
 */
enum exchange_way {
    EXCHANGE_AUTO,      /* directory where nobody is seen to hold the root, else entries */
    EXCHANGE_DIRECTORY, /* CONFLICT where it is a mount point */
    EXCHANGE_ENTRIES,
};

/* In a box. */
#define EXCHANGE_TREE "tree"

/*
 * Exchange what is in the box's tree with what is in the live root.  Durable when this returns 0 and
 * `*doubt` is not set; it is set where all was moved but the disk would not confirm it.
 * CONFLICT: something is mounted on an entry; nothing was moved.  Any other error: everything was taken
 * back; or, where exchange_is_torn() then, exchange_settle() has to try again.
 */
int exchange_entries(int box_fd, int live_fd, struct error *doubt, struct error *err);

/* Whether the box's tree and the live root are, or may be, a mix at the moment. */
bool exchange_is_torn(int box_fd);

/*
 * After a crash, before anybody uses the live root: carry on, or take everything back.
 * -1: it is torn still.
 */
enum exchange_state {
    EXCHANGE_NONE, /* the live root is the old one, or none of these exchanges was begun */
    EXCHANGE_DONE,
};
int exchange_settle(int box_fd, int live_fd, enum exchange_state *state, struct error *err);

/* Whether the two trees of a box have, or may have, files in common. */
bool exchange_shares_files(int box_fd);
int exchange_mark_shared(int box_fd, struct error *err); /* durable with what is in the box */

/*
 * The exchange is known to have been done: where the disk would not take the note, it is
 * taken now.  No entry is looked at, as the live root has been in use since.
 */
int exchange_confirm(int box_fd, struct error *err);

/* Forget that an exchange was done, durably, before the box is used for the next. */
int exchange_forget(int box_fd, struct error *err);

/*
 * Whether `name` in `parent_fd` is a mount point; false where there is nothing.
 */
bool exchange_is_mount_point(int parent_fd, const char *name);

/*
 * Whether somebody on this machine may hold the live directory, or something in it: works in it, has it
 * open or mapped, or sees it through a mount of its own.  True where we may not look
 * at every process (not root; in a container), and where there is too much to look at.
 */
bool exchange_is_held(int live_fd);

#endif
