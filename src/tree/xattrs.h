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

#endif
