/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of entries, column by column, so that like stands beside like and compresses.
 *
 *     page:  count | length of each column | column 0 | … | column 8
 *
 *     SHARED  how many bytes of the path are those of the path before
 *     TAILS   how many follow
 *     NAMES   which
 *     KINDS   mode << 3 | type
 *     OWNERS  user, group, how many entries in a row
 *     SIZES   of files
 *     TIMES   seconds, less those of the entry before
 *     LINKS   length and bytes of targets, for both kinds of links
 *     STARTS  of the entry's first header in the tar, in blocks, less where the entry before lets expect it
 */
#include <assert.h>

#include "archive/index_page.h"
#include "archive/tar_block.h"

enum column {
    SHARED,
    TAILS,
    NAMES,
    KINDS,
    OWNERS,
    SIZES,
    TIMES,
    LINKS,
    STARTS,
};
static_assert(STARTS + 1 == INDEX_COLUMNS, "every column has its place");

enum {
    /* A page's head, its last owner, and all numbers of an entry. */
    NUMBERS_MAX_BYTES = (INDEX_COLUMNS + 1 + 3 + 9 + 3) * INDEX_VARINT_MAX_BYTES,
    TYPE_BITS = 3,
    TYPE_MASK = 7,
    LINK_MAX_BYTES = 4096,
};

void index_builder_init(struct index_builder *builder)
{
    *builder = (struct index_builder){.path = BUF_INIT};
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        builder->columns[i] = (struct buf)BUF_INIT;
}

void index_builder_free(struct index_builder *builder)
{
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        buf_free(&builder->columns[i]);
    buf_free(&builder->path);
}

bool index_builder_has_room(const struct index_builder *builder, const struct entry *entry)
{
    size_t size = NUMBERS_MAX_BYTES + entry->path.length + entry->link.length;
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        size += builder->columns[i].length;
    return size <= INDEX_RAW_MAX_BYTES;
}

static size_t shared_length(const struct buf *a, const struct buf *b)
{
    size_t i = 0;
    while (i < a->length && i < b->length && a->data[i] == b->data[i])
        i++;
    return i;
}

static void add_path(struct index_builder *builder, const struct buf *path)
{
    size_t shared = builder->count == 0 ? 0 : shared_length(&builder->path, path);
    index_put(&builder->columns[SHARED], shared);
    index_put(&builder->columns[TAILS], path->length - shared);
    buf_add(&builder->columns[NAMES], path->data + shared, path->length - shared);
    buf_clear(&builder->path);
    buf_add(&builder->path, path->data, path->length);
}

static void end_owner(struct index_builder *builder)
{
    if (builder->same_owner == 0)
        return;
    index_put(&builder->columns[OWNERS], builder->uid);
    index_put(&builder->columns[OWNERS], builder->gid);
    index_put(&builder->columns[OWNERS], builder->same_owner);
    builder->same_owner = 0;
}

/* Where the header after an entry is, were it not for extended headers and holes. */
static uint64_t expected_after(const struct entry *entry, uint64_t tar_start)
{
    uint64_t size = entry->type == ENTRY_FILE ? entry->size_bytes : 0;
    return tar_start + TAR_BLOCK_BYTES + size + tar_padding(size);
}

void index_builder_add(struct index_builder *builder, const struct entry *entry, uint64_t tar_start)
{
    assert(tar_start % TAR_BLOCK_BYTES == 0);
    add_path(builder, &entry->path);
    index_put(&builder->columns[KINDS], (uint64_t)entry->mode << TYPE_BITS | entry->type);
    if (entry->uid != builder->uid || entry->gid != builder->gid)
        end_owner(builder);
    builder->uid = entry->uid;
    builder->gid = entry->gid;
    builder->same_owner++;
    if (entry->type == ENTRY_FILE)
        index_put(&builder->columns[SIZES], entry->size_bytes);
    index_put_signed(&builder->columns[TIMES],
                     (int64_t)((uint64_t)entry->mtime_s - (uint64_t)builder->mtime_s));
    builder->mtime_s = entry->mtime_s;
    if (entry->type == ENTRY_SYMLINK || entry->type == ENTRY_HARDLINK) {
        index_put(&builder->columns[LINKS], entry->link.length);
        buf_add(&builder->columns[LINKS], entry->link.data, entry->link.length);
    }
    int64_t deviation = (int64_t)(tar_start - builder->next_start);
    index_put_signed(&builder->columns[STARTS], deviation / TAR_BLOCK_BYTES);
    builder->next_start = expected_after(entry, tar_start);
    builder->count++;
}

void index_builder_finish(struct index_builder *builder, struct buf *raw)
{
    end_owner(builder);
    buf_clear(raw);
    index_put(raw, builder->count);
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        index_put(raw, builder->columns[i].length);
    for (size_t i = 0; i < INDEX_COLUMNS; i++) {
        buf_add(raw, builder->columns[i].data, builder->columns[i].length);
        buf_clear(&builder->columns[i]);
    }
    assert(raw->length <= INDEX_RAW_MAX_BYTES);
    builder->count = 0;
    builder->mtime_s = 0;
    builder->next_start = 0;
}

/* ---- reading ---- */

static int damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the archive's index is damaged");
}

int index_entries_open(struct index_entries *entries, struct slice raw, struct error *err)
{
    struct index_cursor head = index_cursor_on(raw);
    uint64_t lengths[INDEX_COLUMNS];
    *entries = (struct index_entries){.count = index_get(&head)};
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        lengths[i] = index_get(&head);
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        entries->columns[i] = index_cursor_on(index_get_bytes(&head, lengths[i]));
    if (head.is_bad || head.at != head.end || entries->count == 0)
        return damaged(err);
    return 0;
}

static bool get_path(struct index_entries *entries, struct buf *path)
{
    uint64_t shared = index_get(&entries->columns[SHARED]);
    uint64_t length = index_get(&entries->columns[TAILS]);
    struct slice tail = index_get_bytes(&entries->columns[NAMES], length);
    if (shared > path->length || shared + tail.length > ENTRY_PATH_MAX_BYTES)
        return false;
    buf_truncate(path, (size_t)shared);
    buf_add(path, tail.data, tail.length);
    return true;
}

static bool get_owner(struct index_entries *entries)
{
    struct index_cursor *column = &entries->columns[OWNERS];
    if (entries->same_owner == 0) {
        uint64_t uid = index_get(column);
        uint64_t gid = index_get(column);
        entries->same_owner = index_get(column);
        if (uid > UINT32_MAX || gid > UINT32_MAX || entries->same_owner == 0)
            return false;
        entries->uid = (uid_t)uid;
        entries->gid = (gid_t)gid;
    }
    entries->same_owner--;
    return true;
}

static bool get_link(struct index_entries *entries, struct buf *link)
{
    uint64_t length = index_get(&entries->columns[LINKS]);
    struct slice target = index_get_bytes(&entries->columns[LINKS], length);
    if (target.length > LINK_MAX_BYTES)
        return false;
    buf_add(link, target.data, target.length);
    return true;
}

static bool get_rest(struct index_entries *entries, struct entry *entry)
{
    uint64_t kind = index_get(&entries->columns[KINDS]);
    if ((kind & TYPE_MASK) > ENTRY_HARDLINK || kind >> TYPE_BITS > 07777 || !get_owner(entries))
        return false;
    entry->type = (enum entry_type)(kind & TYPE_MASK);
    entry->mode = (mode_t)(kind >> TYPE_BITS);
    entry->uid = entries->uid;
    entry->gid = entries->gid;
    if (entry->type == ENTRY_FILE)
        entry->size_bytes = entry->stored_bytes = index_get(&entries->columns[SIZES]);
    uint64_t later = (uint64_t)index_get_signed(&entries->columns[TIMES]);
    entries->mtime_s = (int64_t)((uint64_t)entries->mtime_s + later);
    entry->mtime_s = entries->mtime_s;
    if (entry->type == ENTRY_SYMLINK || entry->type == ENTRY_HARDLINK)
        return get_link(entries, &entry->link);
    return true;
}

static bool is_bad(const struct index_entries *entries)
{
    for (size_t i = 0; i < INDEX_COLUMNS; i++)
        if (entries->columns[i].is_bad)
            return true;
    return false;
}

int index_entries_next(struct index_entries *entries, struct entry *entry, uint64_t *tar_start,
                       struct error *err)
{
    if (entries->count == 0)
        return 0;
    struct buf path = entry->path; /* clear would empty it */
    entry->path = (struct buf)BUF_INIT;
    entry_clear(entry);
    entry->path = path;
    bool is_good = get_path(entries, &entry->path) && get_rest(entries, entry);
    uint64_t deviation = (uint64_t)index_get_signed(&entries->columns[STARTS]);
    if (!is_good || is_bad(entries))
        return damaged(err);
    struct error why = ERROR_INIT;
    if (entry_check(entry, &why) < 0)
        return error_set(err, ERROR_CORRUPT, "the archive's index is damaged: %s", why.text);
    *tar_start = entries->next_start + deviation * TAR_BLOCK_BYTES;
    entries->next_start = expected_after(entry, *tar_start);
    entries->count--;
    return 1;
}
