/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_INDEX_INTERNAL_H
#define ARCHIVE_INDEX_INTERNAL_H

#include "archive/index.h"
#include "archive/index_trailer.h"

/* What the reading half of the index shares: index.h is its face, index_page.h the format. */

/* A node while its children are gone through. */
struct index_node {
    struct buf raw;
    uint64_t offset; /* of the page; with `raw` not empty */
    struct index_cursor cursor;
    uint64_t left; /* children still to come */
    uint64_t end;  /* of the child before */
    struct index_child child;
};

struct archive_index {
    int fd;
    struct index_trailer trailer;
    uint64_t read_bytes; /* so far, of the file */
    struct buf member;   /* a page as it stands in the file */

    /* The walk. */
    struct index_node nodes[INDEX_LEVELS_MAX + 1];
    struct buf raw; /* of the page of entries */
    struct index_entries entries;
    uint64_t page_offset, page_end;
    bool has_page;
    bool is_fresh; /* nothing of the page was given */

    /* The page of members that was used last. */
    struct buf members_raw;
    uint64_t members_first, members_count; /* count 0: none */
    struct index_cursor members_cursor;    /* behind those that were located */
    uint64_t members_located;
    uint64_t members_end; /* of the last of them */
};

static inline bool index_is_sorted(const struct archive_index *index)
{
    return (index->trailer.flags & INDEX_IS_SORTED) != 0;
}

/*
 * Go to where `path` is or would be: the page that is entered may have entries before it.  Only in a
 * sorted index; index_rewind() in any.
 */
int index_seek(struct archive_index *index, struct slice path, struct error *err);
int index_rewind(struct archive_index *index, struct error *err);

/* From the end of a page to where `path` is or would be, if that is further on; else on to the next page. */
int index_skip_to(struct archive_index *index, struct slice path, struct error *err);

/* The next entry of the walk, of which `entry` was the one before.  1, 0 at the end, -1. */
int index_next(struct archive_index *index, struct entry *entry, uint64_t *tar_start,
               struct error *err);

/* Whether the page that the walk is in has no more: the next call reads another. */
bool index_is_at_page_end(const struct archive_index *index);

/* As archive_index_find(), with where its first header is. */
int index_find(struct archive_index *index, struct slice path, struct entry *entry,
               uint64_t *tar_start, struct error *err);

/*
 * Where in the file the member stands that has the byte `tar_offset`; what is before `end` may also be pages of the
 * index.  CORRUPT.
 */
struct index_place {
    uint64_t start;
    uint64_t end;
};
int index_locate(struct archive_index *index, uint64_t tar_offset, struct index_place *place,
                 struct error *err);

/* The same for member after member, from 0 on, without going through a page for each. */
int index_locate_next(struct archive_index *index, uint64_t number, struct index_place *place,
                      struct error *err);

#endif
