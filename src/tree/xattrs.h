/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_XATTRS_H
#define TREE_XATTRS_H

#include "base/buf.h"

/* Whose extended attribute it is, by its name. */
enum xattr_kind {
    XATTR_FOREIGN,    /* of the system, as security labels are: neither read nor set */
    XATTR_PLAIN,      /* user.*, and POSIX ACLs: no more than the owner may do */
    XATTR_PRIVILEGED, /* capabilities and trusted.*: like set-id bits */
};

enum xattr_kind xattr_kind(struct slice name);

/*
 * Add the open object's extended attributes, but for foreign ones, to the packed `xattrs` (snapshot/entry.h),
 * where they replace those of the same name.  `*room` is what it reads into: NULL at first, kept from call
 * to call, the caller's to free.  false: some could not be read, or are beyond the bounds of an entry.
 */
bool xattrs_read(char **room, int fd, struct buf *xattrs);

/* Take them from the object, all that can be taken. */
void xattrs_remove(char **room, int fd);

#endif
