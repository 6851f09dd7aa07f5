/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and look-ups by the index.  In a sorted one both begin where they must and end where they may, and what is
 * below a child is passed over by whole pages.
 */
#include "archive/index_internal.h"

#include "archive/listing.h"
#include "base/scope.h"

enum {
    SHOWN_BYTES = 200,
};

/*
 * At the end of a page, within a child of the directory: on to what comes after all that is below it.
 * Nothing sorts between that and the child's path with a byte 1 behind it.
 */
static int skip_child(struct archive_index *index, const struct listing *listing,
                      const struct entry *entry, struct error *err)
{
    const struct buf *child = &listing->child.path;
    struct slice path = buf_slice(&entry->path);
    if (child->length == 0 ||
        (!slice_equal(path, buf_slice(child)) && !index_path_is_below(path, buf_slice(child))))
        return 0;
    scope_buf struct buf after = BUF_INIT;
    buf_add(&after, child->data, child->length);
    buf_add_char(&after, '\1');
    return index_skip_to(index, buf_slice(&after), err);
}

/* 1: there can be no more; 0: on; -1. */
static int take(struct archive_index *index, struct listing *listing, const struct entry *entry,
                struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    struct slice directory = buf_slice(&listing->directory.path);
    bool is_sorted = index_is_sorted(index);
    if (is_sorted) {
        int order = index_path_order(path, directory);
        if (order < 0)
            return 0;
        if (order > 0 && !index_path_is_below(path, directory))
            return 1;
    }
    int taken = listing_take(listing, entry, err);
    if (taken == 0 && is_sorted && (listing->flags & ARCHIVE_LIST_RECURSIVE) == 0 &&
        index_is_at_page_end(index))
        return skip_child(index, listing, entry, err);
    if (taken > 0)
        listing->exists = true;
    return taken;
}

int index_list(struct archive_index *index, struct listing *listing, struct error *err)
{
    struct entry entry;
    uint64_t tar_start;
    entry_init(&entry);
    int more = index_is_sorted(index) ? index_seek(index, buf_slice(&listing->directory.path), err)
                                      : index_rewind(index, err);
    int taken = 0;
    if (more == 0) {
        while (taken == 0 && (more = index_next(index, &entry, &tar_start, err)) > 0)
            taken = take(index, listing, &entry, err);
    }
    entry_free(&entry);
    if (more < 0 || taken < 0)
        return -1;
    return listing_finish(listing, err);
}

int archive_index_list(struct archive_index *index, struct slice directory, unsigned flags,
                       archive_visit *visit, void *context, struct error *err)
{
    struct archive_list_options options = {.directory = directory, .flags = flags};
    struct listing listing;
    if (listing_init(&listing, &options, visit, context, err) < 0)
        return -1;
    int result = index_list(index, &listing, err);
    listing_clear(&listing);
    return result;
}

static int not_found(struct slice path, struct error *err)
{
    int shown = (int)(path.length < SHOWN_BYTES ? path.length : SHOWN_BYTES);
    return error_set(err, ERROR_NOT_FOUND, "'%.*s' is not in the archive", shown,
                     (const char *)path.data);
}

static int find_sorted(struct archive_index *index, struct slice path, struct entry *entry,
                       uint64_t *tar_start, struct error *err)
{
    int more = index_seek(index, path, err);
    if (more < 0)
        return -1;
    while ((more = index_next(index, entry, tar_start, err)) > 0) {
        int order = index_path_order(buf_slice(&entry->path), path);
        if (order == 0)
            return 0;
        if (order > 0)
            break;
    }
    return more < 0 ? -1 : not_found(path, err);
}

static int find_last(struct archive_index *index, struct slice path, struct entry *entry,
                     uint64_t *tar_start, struct error *err)
{
    struct entry next;
    uint64_t next_start;
    bool is_found = false;
    entry_init(&next);
    int more = index_rewind(index, err);
    while (more >= 0 && (more = index_next(index, &next, &next_start, err)) > 0) {
        if (!slice_equal(buf_slice(&next.path), path))
            continue;
        entry_clear(entry);
        buf_add(&entry->path, next.path.data, next.path.length);
        struct entry kept = *entry;
        *entry = next;
        next = kept; /* with the path, which the walk needs */
        *tar_start = next_start;
        is_found = true;
    }
    entry_free(&next);
    if (more < 0)
        return -1;
    return is_found ? 0 : not_found(path, err);
}

int index_find(struct archive_index *index, struct slice path, struct entry *entry,
               uint64_t *tar_start, struct error *err)
{
    return index_is_sorted(index) ? find_sorted(index, path, entry, tar_start, err)
                                  : find_last(index, path, entry, tar_start, err);
}

int archive_index_find(struct archive_index *index, struct slice path, struct entry *entry,
                       struct error *err)
{
    uint64_t tar_start;
    return index_find(index, path, entry, &tar_start, err);
}
