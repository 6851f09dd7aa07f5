/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the index: pages are loaded one at a time, the walk goes down from the root and on from leaf to
 * leaf.  Invariant: a walk enters pages of entries in the order of the file and none twice, so that it ends
 * whatever the nodes say.
 */
#include "archive/index_internal.h"

#include <stdlib.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/mem.h"

static int damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the archive's index is damaged");
}

struct archive_index *archive_index_open(int fd, struct error *err)
{
    struct index_trailer trailer;
    if (index_trailer_read(fd, &trailer, err) < 0)
        return NULL;
    struct archive_index *index = xcalloc(1, sizeof(*index));
    index->fd = fd;
    index->trailer = trailer;
    index->read_bytes = INDEX_TRAILER_BYTES;
    index->member = (struct buf)BUF_INIT;
    index->raw = (struct buf)BUF_INIT;
    index->members_raw = (struct buf)BUF_INIT;
    for (size_t i = 0; i <= INDEX_LEVELS_MAX; i++) {
        index->nodes[i].raw = (struct buf)BUF_INIT;
        index->nodes[i].child.separator = (struct buf)BUF_INIT;
    }
    return index;
}

void archive_index_free(struct archive_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = 0; i <= INDEX_LEVELS_MAX; i++) {
        buf_free(&index->nodes[i].raw);
        buf_free(&index->nodes[i].child.separator);
    }
    buf_free(&index->member);
    buf_free(&index->raw);
    buf_free(&index->members_raw);
    free(index);
}

uint64_t archive_index_entries(const struct archive_index *index)
{
    return index->trailer.entries;
}

uint64_t archive_index_tar_bytes(const struct archive_index *index)
{
    return index->trailer.tar_bytes;
}

/* The payload of the page there, which lies before the trailer, into `raw`. */
static int load(struct archive_index *index, enum index_kind kind, uint64_t offset, uint64_t length,
                struct buf *raw, struct error *err)
{
    uint64_t end = index->trailer.offset;
    if (length < INDEX_PAGE_MIN_BYTES || length > INDEX_PAGE_MAX_BYTES || offset > end ||
        length > end - offset)
        return damaged(err);
    buf_clear(&index->member);
    buf_reserve(&index->member, (size_t)length);
    ssize_t got = file_pread_full(index->fd, index->member.data, (size_t)length, offset, err);
    if (got < 0)
        return -1;
    if ((uint64_t)got < length)
        return damaged(err);
    index->read_bytes += length;
    return index_page_unpack(kind, slice_of(index->member.data, (size_t)length), raw, err);
}

/* ---- nodes ---- */

static int node_rewind(struct index_node *node, unsigned level, struct error *err)
{
    node->cursor = index_cursor_on(buf_slice(&node->raw));
    uint64_t said = index_get(&node->cursor);
    node->left = index_get(&node->cursor);
    node->end = 0;
    buf_clear(&node->child.separator);
    return node->cursor.is_bad || said != level || node->left == 0 ? damaged(err) : 0;
}

static int node_open(struct archive_index *index, unsigned level, uint64_t offset, uint64_t length,
                     struct error *err)
{
    struct index_node *node = &index->nodes[level];
    if (node->raw.length == 0 || node->offset != offset) {
        if (load(index, INDEX_NODE, offset, length, &node->raw, err) < 0) {
            buf_clear(&node->raw);
            return -1;
        }
        node->offset = offset;
    }
    return node_rewind(node, level, err);
}

/* 1, 0: no more. */
static int node_next(struct index_node *node, struct error *err)
{
    struct index_child *child = &node->child;
    if (node->left == 0)
        return 0;
    uint64_t gap = index_get(&node->cursor);
    child->length = index_get(&node->cursor);
    child->count = index_get(&node->cursor);
    uint64_t shared = index_get(&node->cursor);
    uint64_t length = index_get(&node->cursor);
    struct slice tail = index_get_bytes(&node->cursor, length);
    if (node->cursor.is_bad || gap > INT64_MAX || child->length > INDEX_PAGE_MAX_BYTES ||
        shared > child->separator.length || shared + tail.length > ENTRY_PATH_MAX_BYTES ||
        child->count == 0 || child->count > INT64_MAX)
        return damaged(err);
    child->offset = node->end + gap;
    node->end = child->offset + child->length;
    if (node->end > INT64_MAX)
        return damaged(err);
    buf_truncate(&child->separator, (size_t)shared);
    buf_add(&child->separator, tail.data, tail.length);
    node->left--;
    return 1;
}

/* To the last child whose separator does not pass `path` (or to the first), by going through them twice. */
static int node_seek(struct index_node *node, unsigned level, struct slice path, struct error *err)
{
    uint64_t wanted = 0;
    int more;
    for (uint64_t at = 1; (more = node_next(node, err)) > 0; at++) {
        if (at > 1 && index_path_order(buf_slice(&node->child.separator), path) > 0)
            break;
        wanted = at;
    }
    if (more < 0 || node_rewind(node, level, err) < 0)
        return -1;
    for (; wanted > 0; wanted--)
        if (node_next(node, err) < 0)
            return -1;
    return 0;
}

/* ---- the walk ---- */

static int enter_page(struct archive_index *index, uint64_t offset, uint64_t length, uint64_t count,
                      struct error *err)
{
    bool is_before = index->has_page && offset < index->page_end;
    index->has_page = false;
    if (is_before)
        return damaged(err);
    if (load(index, INDEX_ENTRIES, offset, length, &index->raw, err) < 0 ||
        index_entries_open(&index->entries, buf_slice(&index->raw), err) < 0)
        return -1;
    if (index->entries.count != count)
        return damaged(err);
    index->page_offset = offset;
    index->page_end = offset + length;
    index->has_page = true;
    index->is_fresh = true;
    return 0;
}

/* From the node `level`, whose current child is the way, to the page of entries.  `path` NULL: the first ones. */
static int descend(struct archive_index *index, unsigned level, const struct slice *path,
                   struct error *err)
{
    for (; level > 1; level--) {
        const struct index_child *child = &index->nodes[level].child;
        struct index_node *below = &index->nodes[level - 1];
        if (node_open(index, level - 1, child->offset, child->length, err) < 0)
            return -1;
        if (path != NULL ? node_seek(below, level - 1, *path, err) < 0 : node_next(below, err) < 0)
            return -1;
    }
    const struct index_child *child = &index->nodes[1].child;
    return enter_page(index, child->offset, child->length, child->count, err);
}

static int start(struct archive_index *index, const struct slice *path, struct error *err)
{
    const struct index_root *root = &index->trailer.entry_root;
    if (index->trailer.entries == 0)
        return 0;
    if (root->level == 0)
        return enter_page(index, root->offset, root->length, index->trailer.entries, err);
    struct index_node *node = &index->nodes[root->level];
    if (node_open(index, root->level, root->offset, root->length, err) < 0)
        return -1;
    if (path != NULL ? node_seek(node, root->level, *path, err) < 0 : node_next(node, err) < 0)
        return -1;
    return descend(index, root->level, path, err);
}

int index_rewind(struct archive_index *index, struct error *err)
{
    index->has_page = false;
    return start(index, NULL, err);
}

int index_seek(struct archive_index *index, struct slice path, struct error *err)
{
    index->has_page = false;
    return start(index, &path, err);
}

int index_skip_to(struct archive_index *index, struct slice path, struct error *err)
{
    uint64_t here = index->page_offset;
    if (index_seek(index, path, err) < 0)
        return -1;
    if (index->page_offset < here)
        return damaged(err);
    if (index->page_offset == here) /* it is before the next page */
        index->entries.count = 0;
    return 0;
}

/* 1: entered; 0: there is none. */
static int next_page(struct archive_index *index, struct error *err)
{
    unsigned top = index->trailer.entry_root.level;
    for (unsigned level = 1; level <= top; level++) {
        int more = node_next(&index->nodes[level], err);
        if (more > 0)
            more = descend(index, level, NULL, err) < 0 ? -1 : 1;
        if (more != 0)
            return more;
    }
    return 0;
}

bool index_is_at_page_end(const struct archive_index *index)
{
    return !index->has_page || index->entries.count == 0;
}

int index_next(struct archive_index *index, struct entry *entry, uint64_t *tar_start,
               struct error *err)
{
    if (!index->has_page)
        return 0;
    if (index->entries.count == 0) {
        int more = next_page(index, err);
        if (more <= 0) {
            index->has_page = false;
            return more;
        }
    }
    if (index->is_fresh)
        buf_clear(&entry->path); /* a page needs none before it */
    index->is_fresh = false;
    int more = index_entries_next(&index->entries, entry, tar_start, err);
    if (more > 0 && *tar_start >= index->trailer.tar_bytes)
        return damaged(err);
    return more;
}

/* ---- members ---- */

/* Load the page that has member `number`; its place in the tree follows from the counts alone. */
static int load_members(struct archive_index *index, uint64_t number, struct error *err)
{
    struct index_root at = index->trailer.member_root;
    uint64_t first = 0;
    uint64_t count = index->trailer.members;
    index->members_count = 0;
    for (unsigned level = at.level; level > 0; level--) {
        /* Nodes of members are few and small; those of entries keep theirs. */
        struct index_node node = {.raw = BUF_INIT, .child = {.separator = BUF_INIT}};
        int more = load(index, INDEX_NODE, at.offset, at.length, &node.raw, err);
        if (more == 0)
            more = node_rewind(&node, level, err);
        if (more == 0)
            more = node_next(&node, err);
        while (more > 0 && number - first >= node.child.count) {
            first += node.child.count;
            more = node_next(&node, err);
        }
        at.offset = node.child.offset;
        at.length = node.child.length;
        count = node.child.count;
        buf_free(&node.raw);
        buf_free(&node.child.separator);
        if (more <= 0)
            return more < 0 ? -1 : damaged(err);
    }
    if (load(index, INDEX_MEMBERS, at.offset, at.length, &index->members_raw, err) < 0)
        return -1;
    index->members_first = first;
    index->members_count = count;
    return 0;
}

/* The first member of the page that was loaded is the next one. */
static int rewind_members(struct archive_index *index, struct error *err)
{
    index->members_cursor = index_cursor_on(buf_slice(&index->members_raw));
    index->members_end = index_get(&index->members_cursor);
    index->members_located = 0;
    if (index_get(&index->members_cursor) == index->members_count)
        return 0;
    index->members_count = 0;
    return damaged(err);
}

static int next_member(struct archive_index *index, struct index_place *place, struct error *err)
{
    uint64_t distance = index_get(&index->members_cursor);
    uint64_t start = index->members_end;
    if (index->members_cursor.is_bad || distance == 0 || start > index->trailer.offset ||
        distance > index->trailer.offset - start)
        return damaged(err);
    *place = (struct index_place){start, start + distance};
    index->members_end = place->end;
    index->members_located++;
    return 0;
}

static bool has_members_of(const struct archive_index *index, uint64_t number)
{
    return index->members_count > 0 && number >= index->members_first &&
           number - index->members_first < index->members_count;
}

int index_locate(struct archive_index *index, uint64_t tar_offset, struct index_place *place,
                 struct error *err)
{
    uint64_t number = tar_offset / ARCHIVE_BLOCK_BYTES;
    if (tar_offset >= index->trailer.tar_bytes)
        return damaged(err);
    if ((!has_members_of(index, number) && load_members(index, number, err) < 0) ||
        rewind_members(index, err) < 0)
        return -1;
    struct index_place found;
    for (uint64_t i = index->members_first; i <= number; i++)
        if (next_member(index, &found, err) < 0)
            return -1;
    *place = found;
    return 0;
}

int index_locate_next(struct archive_index *index, uint64_t number, struct index_place *place,
                      struct error *err)
{
    bool is_next =
        has_members_of(index, number) && number - index->members_first == index->members_located;
    return is_next ? next_member(index, place, err)
                   : index_locate(index, number * ARCHIVE_BLOCK_BYTES, place, err);
}
