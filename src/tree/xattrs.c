/* SPDX-License-Identifier: Apache-2.0 */
/* The table of extended attributes that are kept, and how they are read from an open object. */
#include "tree/xattrs.h"

#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "snapshot/entry.h"

enum {
    LIST_BYTES = XATTR_LIST_MAX,
    VALUE_BYTES = XATTR_SIZE_MAX,
};

static const struct {
    const char *name;
    bool is_prefix;
    enum xattr_kind kind;
} TABLE[] = {
    {"user.", true, XATTR_PLAIN},
    {"system.posix_acl_access", false, XATTR_PLAIN},
    {"system.posix_acl_default", false, XATTR_PLAIN},
    {"security.capability", false, XATTR_PRIVILEGED},
    {"trusted.", true, XATTR_PRIVILEGED},
};

enum xattr_kind xattr_kind(struct slice name)
{
    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
        size_t length = strlen(TABLE[i].name);
        bool fits = TABLE[i].is_prefix ? name.length > length : name.length == length;
        if (fits && memcmp(name.data, TABLE[i].name, length) == 0)
            return TABLE[i].kind;
    }
    return XATTR_FOREIGN;
}

/* The names, in `*room`; -1 with errno. */
static ssize_t list(char **room, int fd)
{
    if (*room == NULL)
        *room = xmalloc(LIST_BYTES + VALUE_BYTES);
    return flistxattr(fd, *room, LIST_BYTES);
}

bool xattrs_read(char **room, int fd, struct buf *xattrs)
{
    ssize_t length = list(room, fd);
    char *value = *room + LIST_BYTES;
    const char *name = *room;
    bool is_lost = length < 0 && errno != ENOTSUP;
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(name) + 1) {
        struct error unread = ERROR_INIT;
        name = *room + at;
        if (xattr_kind(slice_str(name)) == XATTR_FOREIGN)
            continue;
        ssize_t got = fgetxattr(fd, name, value, VALUE_BYTES);
        if (got < 0 && errno == ENODATA)
            continue; /* taken away since */
        if (got < 0 ||
            entry_xattrs_set(xattrs, slice_str(name), slice_of(value, (size_t)got), &unread) < 0)
            is_lost = true;
    }
    return !is_lost;
}

void xattrs_remove(char **room, int fd)
{
    ssize_t length = list(room, fd);
    const char *name = *room;
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(name) + 1) {
        name = *room + at;
        if (xattr_kind(slice_str(name)) != XATTR_FOREIGN)
            fremovexattr(fd, name);
    }
}
