/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of what the walk has open: read once, before the content and outside its fence. */
#include "tree/walk_internal.h"
#include "tree/xattrs.h"

void walk_read_xattrs(struct walk *walk, int fd, struct entry *entry)
{
    if (walk->options.wants_xattrs && !xattrs_read(&walk->xattrs, fd, &entry->xattrs))
        walk_report(walk, REPORT_ALTERED, "some extended attributes are not stored");
}
