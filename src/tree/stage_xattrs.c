/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of what is staged.  An attribute that cannot be set costs no file: it is
 * named in the report.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/scope.h"
#include "tree/stage_internal.h"
#include "tree/xattrs.h"

static bool is_allowed(const struct stage *stage, enum xattr_kind kind)
{
    bool keeps_privileges = (stage->options.flags & STAGE_KEEP_SET_ID) != 0;
    return kind == XATTR_PLAIN || (kind == XATTR_PRIVILEGED && keeps_privileges);
}

bool stage_has_xattrs(const struct stage *stage, struct slice xattrs, enum xattr_kind kind)
{
    struct slice name, value;
    if ((stage->options.flags & STAGE_XATTRS) == 0 || !is_allowed(stage, kind))
        return false;
    for (size_t at = 0; entry_xattrs_next(xattrs, &at, &name, &value);)
        if (xattr_kind(name) == kind)
            return true;
    return false;
}

void stage_refuse_xattrs(struct stage *stage, struct slice path, struct slice xattrs)
{
    struct slice name, value;
    if ((stage->options.flags & STAGE_XATTRS) == 0)
        return;
    for (size_t at = 0; entry_xattrs_next(xattrs, &at, &name, &value);) {
        if (is_allowed(stage, xattr_kind(name)))
            continue;
        report_add(stage->sink.report, REPORT_ALTERED, path,
                   "without the extended attribute '%.*s', which is not for restores to set",
                   (int)name.length, (const char *)name.data);
        return;
    }
}

void stage_set_xattrs(struct stage *stage, int fd, struct slice path, struct slice xattrs,
                      enum xattr_kind kind)
{
    scope_buf struct buf text = BUF_INIT; /* the name with its NUL */
    struct slice name, value;
    if (!stage_has_xattrs(stage, xattrs, kind))
        return;
    for (size_t at = 0; entry_xattrs_next(xattrs, &at, &name, &value);) {
        if (xattr_kind(name) != kind)
            continue;
        buf_clear(&text);
        buf_add(&text, name.data, name.length);
        if (fsetxattr(fd, text.data, value.data, value.length, 0) == 0)
            continue;
        report_add(stage->sink.report, REPORT_ALTERED, path,
                   "without the extended attribute '%s' (%s)", text.data, strerrordesc_np(errno));
    }
}
