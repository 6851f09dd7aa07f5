/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_LINKS_OUT_H
#define ARCHIVE_LINKS_OUT_H

#include "base/buf.h"

/*
 * Hard links out of a selection: files that are not selected, and the selected names of each.  Bounded: beyond
 * LINKS_OUT_MAX_BYTES nothing more is taken.
 */
enum {
    LINKS_OUT_MAX_BYTES = 4 << 20
};

struct link_out {
    struct buf target;
    struct buf names; /* each with a NUL behind it */
    bool is_given;    /* the file was found */
};

struct links_out {
    void *tree; /* of struct link_out, by target (tsearch) */
    size_t count;
    size_t size_bytes;
};

void links_out_free(struct links_out *links);

/* One more name of `target`.  NULL: there is no room. */
struct link_out *links_out_add(struct links_out *links, struct slice target, struct slice name);
struct link_out *links_out_find(const struct links_out *links, struct slice target);

/* Every one of them. */
void links_out_each(const struct links_out *links,
                    void (*visit)(const struct link_out *link, void *context), void *context);

#endif
