/* SPDX-License-Identifier: Apache-2.0 */
/* The table of extended attributes that are kept. */
#include "tree/xattrs.h"

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
