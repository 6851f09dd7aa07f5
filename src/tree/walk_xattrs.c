/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of what the walk has open: read once, before the content and outside its fence. */
#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "tree/walk_internal.h"
#include "tree/xattrs.h"

enum {
    LIST_BYTES = XATTR_LIST_MAX,
    VALUE_BYTES = XATTR_SIZE_MAX,
};

void walk_read_xattrs(struct walk *walk, int fd, struct entry *entry)
{
    if (!walk->options.wants_xattrs)
        return;
    if (walk->xattrs == NULL)
        walk->xattrs = xmalloc(LIST_BYTES + VALUE_BYTES);
    char *value = walk->xattrs + LIST_BYTES;
    ssize_t length = flistxattr(fd, walk->xattrs, LIST_BYTES);
    bool is_lost = length < 0 && errno != ENOTSUP;
    const char *name = walk->xattrs;
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(name) + 1) {
        struct error unread = ERROR_INIT;
        name = walk->xattrs + at;
        if (xattr_kind(slice_str(name)) == XATTR_FOREIGN)
            continue;
        ssize_t got = fgetxattr(fd, name, value, VALUE_BYTES);
        if (got < 0 && errno == ENODATA)
            continue; /* taken away since */
        if (got < 0 || entry_xattrs_set(&entry->xattrs, slice_str(name),
                                        slice_of(value, (size_t)got), &unread) < 0)
            is_lost = true;
    }
    if (is_lost)
        walk_report(walk, REPORT_ALTERED, "some extended attributes are not stored");
}
