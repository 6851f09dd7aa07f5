/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is selected, by the index: for each selected path, the directories on the way to it, then it and all below it,
 * from a reader that begins at the member with its first header and ends with the member of its last byte.
 *
 * Invariant: what the reader gives is what the index says stands there; else the archive is CORRUPT.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/index_internal.h"
#include "archive/links_out.h"
#include "archive/tar_read.h"
#include "base/mem.h"
#include "base/scope.h"

enum {
    SHOWN_BYTES = 200,
};

struct seek_reader {
    struct archive_source base;
    int fd;
    struct archive_read_options options;
    struct archive_index *walk;   /* goes through what is selected */
    struct archive_index *lookup; /* for all else */
    size_t next_path;             /* of the selection */
    struct slice path;            /* the current one; NULL: none */
    size_t parent_length;         /* parents up to this were given or passed over */
    bool is_in_range;

    struct entry indexed; /* the next one of the walk */
    uint64_t tar_start;
    int has_indexed;
    struct source *range;  /* reads what is selected */
    struct source *linked; /* reads a file that is not */
    struct source *current;
    struct links_out links;
    struct error error; /* the first one */
    _Atomic(uint64_t) position;
    uint64_t expected_bytes; /* of content */
    uint64_t ranges_bytes;   /* read by readers that are gone */
};

static struct seek_reader *reader_of(struct source *source)
{
    return (struct seek_reader *)source;
}

static void note_position(struct seek_reader *reader)
{
    uint64_t position =
        reader->ranges_bytes + reader->walk->read_bytes + reader->lookup->read_bytes;
    if (reader->range != NULL)
        position += archive_reader_position(reader->range);
    if (reader->linked != NULL)
        position += archive_reader_position(reader->linked);
    atomic_store_explicit(&reader->position, position, memory_order_relaxed);
}

static void end_range(struct seek_reader *reader, struct source **range)
{
    if (*range == NULL)
        return;
    reader->ranges_bytes += archive_reader_position(*range);
    source_free(*range);
    *range = NULL;
}

/* A reader of what is in the tar from `start` to `end`. */
static struct source *open_range(struct seek_reader *reader, uint64_t start, uint64_t end,
                                 struct error *err)
{
    struct index_place first, last;
    if (end <= start) {
        error_set(err, ERROR_CORRUPT, "the archive's index is damaged");
        return NULL;
    }
    if (index_locate(reader->lookup, start, &first, err) < 0 ||
        index_locate(reader->lookup, end - 1, &last, err) < 0)
        return NULL;
    if (last.end <= first.start) {
        error_set(err, ERROR_CORRUPT, "the archive's index is damaged");
        return NULL;
    }
    struct archive_read_options options = {
        .flags = reader->options.flags & ~(unsigned)ARCHIVE_WITH_DIGEST,
        .limit_tar_bytes = reader->options.limit_tar_bytes,
        .cancel = reader->options.cancel,
        .file_bytes = last.end - first.start,
    };
    if (lseek(reader->fd, (off_t)first.start, SEEK_SET) < 0) {
        error_set_os(err, errno, "reading the archive");
        return NULL;
    }
    struct source *range = tar_reader_open(reader->fd, &options, err);
    if (range != NULL && tar_reader_skip(range, start % ARCHIVE_BLOCK_BYTES, err) < 0) {
        source_free(range);
        return NULL;
    }
    return range;
}

/* The next entry of the archive, which must be the one that the index says. */
static int read_entry(struct source *range, const struct entry *indexed, struct entry *entry,
                      struct error *err)
{
    int more = source_next(range, entry, err);
    if (more < 0)
        return -1;
    if (more > 0 && slice_equal(buf_slice(&entry->path), buf_slice(&indexed->path)) &&
        slice_equal(buf_slice(&entry->link), buf_slice(&indexed->link)) &&
        entry->type == indexed->type && entry->size_bytes == indexed->size_bytes)
        return 0;
    int shown = (int)(indexed->path.length < SHOWN_BYTES ? indexed->path.length : SHOWN_BYTES);
    return error_set(err, ERROR_CORRUPT, "'%.*s' is not where the archive's index says", shown,
                     indexed->path.data);
}

/* ---- directories on the way ---- */

/* The next parent of the current path, without the root for its first; false: none is left. */
static bool next_parent(struct seek_reader *reader, struct slice *parent)
{
    const char *bytes = reader->path.data;
    size_t from = reader->parent_length;
    const char *slash =
        from >= reader->path.length ? NULL : memchr(bytes + from, '/', reader->path.length - from);
    if (slash == NULL)
        return false;
    *parent = slice_of(bytes, (size_t)(slash - bytes));
    reader->parent_length = parent->length + 1;
    return true;
}

/* 1: `entry` is one; 0: there is none, or it was given on the way to the path before. */
static int give_parent(struct seek_reader *reader, struct slice parent, struct entry *entry,
                       struct error *err)
{
    uint64_t tar_start;
    if (reader->next_path > 1) {
        struct slice before = selection_path(reader->options.selection, reader->next_path - 2);
        if (index_path_is_below(before, parent) || parent.length == 0)
            return 0;
    }
    if (index_find(reader->lookup, parent, entry, &tar_start, err) == 0)
        return entry->type == ENTRY_DIRECTORY;
    if (err->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(err);
    return 0;
}

/* ---- what is selected ---- */

static bool is_in_path(const struct seek_reader *reader)
{
    struct slice path = buf_slice(&reader->indexed.path);
    return reader->has_indexed > 0 &&
           (slice_equal(path, reader->path) || index_path_is_below(path, reader->path));
}

static int advance(struct seek_reader *reader, struct error *err)
{
    reader->has_indexed = index_next(reader->walk, &reader->indexed, &reader->tar_start, err);
    return reader->has_indexed < 0 ? -1 : 0;
}

/* Where the tar goes on behind all that is at or below the current path. */
static int find_end(struct seek_reader *reader, uint64_t *end, struct error *err)
{
    scope_buf struct buf after = BUF_INIT;
    struct entry entry;
    int more;
    buf_add(&after, reader->path.data, reader->path.length);
    buf_add_char(&after, '\1'); /* comes after everything below it */
    if (index_seek(reader->lookup, buf_slice(&after), err) < 0)
        return -1;
    entry_init(&entry);
    do
        more = index_next(reader->lookup, &entry, end, err);
    while (more > 0 && index_path_order(buf_slice(&entry.path), buf_slice(&after)) < 0);
    entry_free(&entry);
    if (more == 0)
        *end = reader->lookup->trailer.tar_bytes;
    return more < 0 ? -1 : 0;
}

static int enter_path(struct seek_reader *reader, struct error *err)
{
    uint64_t end;
    if (index_seek(reader->walk, reader->path, err) < 0)
        return -1;
    do {
        if (advance(reader, err) < 0)
            return -1;
    } while (reader->has_indexed > 0 &&
             index_path_order(buf_slice(&reader->indexed.path), reader->path) < 0);
    reader->is_in_range = true;
    if (!is_in_path(reader))
        return 0;
    if (find_end(reader, &end, err) < 0)
        return -1;
    reader->range = open_range(reader, reader->tar_start, end, err);
    return reader->range == NULL ? -1 : 0;
}

/* A reader of the file `target`, which the index has, at its content; `entry` becomes the file's.  1, 0: none, -1. */
static int open_linked(struct seek_reader *reader, struct slice target, struct entry *entry,
                       struct error *err)
{
    struct entry file, after;
    uint64_t start, end;
    entry_init(&file);
    entry_init(&after);
    int result = index_find(reader->lookup, target, &file, &start, err);
    if (result < 0 && err->code == ERROR_NOT_FOUND) {
        error_clear(err);
        result = 0;
    } else if (result == 0 && file.type == ENTRY_FILE) {
        buf_add(&after.path, file.path.data, file.path.length); /* the walk goes on from there */
        int more = index_next(reader->lookup, &after, &end, err);
        if (more == 0)
            end = reader->lookup->trailer.tar_bytes;
        if (more >= 0)
            reader->linked = open_range(reader, start, end, err);
        result =
            reader->linked == NULL || read_entry(reader->linked, &file, entry, err) < 0 ? -1 : 1;
    }
    entry_free(&file);
    entry_free(&after);
    return result;
}

/* A hard link to what is not selected.  1: `entry` stands for it; 0: it was refused. */
static int resolve(struct seek_reader *reader, struct entry *entry, struct error *err)
{
    scope_buf struct buf name = BUF_INIT;
    scope_buf struct buf target = BUF_INIT;
    buf_add(&name, entry->path.data, entry->path.length);
    buf_add(&target, entry->link.data, entry->link.length);
    const struct link_out *given = links_out_find(&reader->links, buf_slice(&target));
    if (given != NULL) {
        buf_clear(&entry->link);
        buf_add_str(&entry->link, given->names.data);
        return 1;
    }
    int result = open_linked(reader, buf_slice(&target), entry, err);
    if (result == 0)
        report_add(reader->base.source.report, REPORT_REFUSED, buf_slice(&name),
                   "a hard link to a file that is not selected, and not in the archive");
    if (result <= 0)
        return result;
    if (links_out_add(&reader->links, buf_slice(&target), buf_slice(&name)) == NULL)
        report_add(reader->base.source.report, REPORT_ALTERED, buf_slice(&name),
                   "no longer one file with its other names: there are too many of such");
    buf_clear(&entry->path);
    buf_add(&entry->path, name.data, name.length);
    reader->current = reader->linked;
    return 1;
}

/* 1: `entry` is the next one that is selected; 0: the path has no more. */
static int next_in_path(struct seek_reader *reader, struct entry *entry, struct error *err)
{
    while (is_in_path(reader)) {
        reader->range->report = reader->base.source.report;
        if (read_entry(reader->range, &reader->indexed, entry, err) < 0 || advance(reader, err) < 0)
            return -1;
        reader->current = reader->range;
        if (entry->type != ENTRY_HARDLINK ||
            selection_look(reader->options.selection, buf_slice(&entry->link)) == SELECTION_WANTED)
            return 1;
        int resolved = resolve(reader, entry, err);
        if (resolved != 0)
            return resolved;
    }
    return 0;
}

static int find_entry(struct seek_reader *reader, struct entry *entry, struct error *err)
{
    struct slice parent;
    for (;;) {
        int more = 0;
        if (reader->path.data == NULL) {
            if (reader->next_path == selection_count(reader->options.selection))
                return 0;
            reader->path = selection_path(reader->options.selection, reader->next_path++);
            reader->parent_length = 0;
            more = give_parent(reader, slice_str(""), entry, err);
        } else if (!reader->is_in_range && next_parent(reader, &parent)) {
            more = give_parent(reader, parent, entry, err);
        } else if (!reader->is_in_range) {
            more = enter_path(reader, err);
        } else {
            more = next_in_path(reader, entry, err);
            if (more == 0) {
                end_range(reader, &reader->range);
                reader->path = (struct slice){.data = NULL};
                reader->is_in_range = false;
            }
        }
        if (more != 0)
            return more;
    }
}

static int next_entry(struct source *source, struct entry *entry, struct error *err)
{
    struct seek_reader *reader = reader_of(source);
    if (error_is_set(&reader->error)) {
        *err = reader->error;
        return -1;
    }
    end_range(reader, &reader->linked);
    reader->current = NULL;
    int more = find_entry(reader, entry, err);
    note_position(reader);
    if (more < 0)
        reader->error = *err;
    return more;
}

static ssize_t read_content(struct source *source, void *bytes, size_t length, struct error *err)
{
    struct seek_reader *reader = reader_of(source);
    ssize_t got = source_read(reader->current, bytes, length, err);
    note_position(reader);
    return got;
}

static void free_reader(struct source *source)
{
    struct seek_reader *reader = reader_of(source);
    source_free(reader->range);
    source_free(reader->linked);
    archive_index_free(reader->walk);
    archive_index_free(reader->lookup);
    entry_free(&reader->indexed);
    links_out_free(&reader->links);
    free(reader);
}

static uint64_t estimate_bytes(struct source *source)
{
    return reader_of(source)->expected_bytes;
}

static const struct source_ops SEEK_OPS = {
    .next = next_entry,
    .read = read_content,
    .estimate_bytes = estimate_bytes,
    .free = free_reader,
};

/* Not all of the file is read: open with ARCHIVE_WITH_DIGEST, and the index is not used. */
static const struct digest *no_digest(const struct archive_source *source)
{
    return NULL;
}

static uint64_t bytes_read(const struct archive_source *source)
{
    const struct seek_reader *reader = (const struct seek_reader *)source;
    return atomic_load_explicit(&reader->position, memory_order_relaxed);
}

/* Read all of the index that will be used: where it is damaged, there is another way, but not later. */
static int look_ahead(struct seek_reader *reader, struct error *err)
{
    const struct selection *selection = reader->options.selection;
    int result = 0;
    struct entry parent;
    entry_init(&parent);
    for (size_t i = 0; i < selection_count(selection) && result == 0; i++) {
        reader->path = selection_path(selection, i);
        result = index_seek(reader->walk, reader->path, err);
        while (result == 0 && (result = advance(reader, err)) == 0 && reader->has_indexed > 0) {
            if (is_in_path(reader))
                reader->expected_bytes += reader->indexed.size_bytes;
            else if (index_path_order(buf_slice(&reader->indexed.path), reader->path) > 0)
                break;
        }
        struct slice above;
        reader->parent_length = 0;
        while (result == 0 && next_parent(reader, &above))
            if (give_parent(reader, above, &parent, err) < 0)
                result = -1;
    }
    entry_free(&parent);
    reader->path = (struct slice){.data = NULL};
    return result;
}

struct source *seek_reader_open(int fd, const struct archive_read_options *options,
                                struct archive_index *index, struct error *err)
{
    struct archive_index *second = archive_index_open(fd, err);
    if (second == NULL) {
        archive_index_free(index);
        return NULL;
    }
    struct seek_reader *reader = xcalloc(1, sizeof(*reader));
    reader->base.source.ops = &SEEK_OPS;
    reader->base.digest = no_digest;
    reader->base.position = bytes_read;
    reader->fd = fd;
    reader->options = *options;
    reader->walk = index;
    reader->lookup = second;
    entry_init(&reader->indexed);
    if (look_ahead(reader, err) == 0)
        return &reader->base.source;
    free_reader(&reader->base.source);
    return NULL;
}
