/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_OWN_NAMES_H
#define TREE_OWN_NAMES_H

#include <stdbool.h>

/*
 * Names of ours: a prefix and a UUID.  They lie beside a server's directory, or, where that is a mount
 * point and nothing beside it is on its file system, in it.  There they are in no backup and no merge, and
 * an exchange leaves them where they are, whoever made them.
 */
#define TREE_STAGE_PREFIX ".roost-stage-" /* what a restore fills */
#define TREE_KEPT_PREFIX ".roost-kept-"   /* what an undo would bring back */
#define TREE_TRASH_PREFIX ".roost-trash-" /* what is being removed */

/* Of a name directly in a server's directory. */
bool tree_is_own_name(const char *name);

#endif
