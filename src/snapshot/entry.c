/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries: the one form of their paths, and the checks that every entry passes.
 * Invariant: what entry_set_path() wrote, entry_path_is_canonical() accepts.
 */
#include "snapshot/entry.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "snapshot/entry_internal.h"

enum {
    NANOSECONDS_PER_SECOND = 1000000000,
    SHOWN_BYTES = 200, /* of a path in an error text */
};

void entry_init(struct entry *entry)
{
    *entry = (struct entry){.path = BUF_INIT, .link = BUF_INIT, .xattrs = BUF_INIT};
}

void entry_clear(struct entry *entry)
{
    struct buf path = entry->path;
    struct buf link = entry->link;
    struct buf xattrs = entry->xattrs;
    free(entry->extents);
    buf_clear(&path);
    buf_clear(&link);
    buf_clear(&xattrs);
    *entry = (struct entry){.path = path, .link = link, .xattrs = xattrs};
}

void entry_free(struct entry *entry)
{
    buf_free(&entry->path);
    buf_free(&entry->link);
    buf_free(&entry->xattrs);
    free(entry->extents);
    entry_init(entry);
}

static int shown(struct slice path)
{
    return (int)(path.length < SHOWN_BYTES ? path.length : SHOWN_BYTES);
}

/* The length of the part that starts at `at`: up to the next slash or the end. */
static size_t part_length(struct slice path, size_t at)
{
    const char *start = (const char *)path.data + at;
    const char *slash = memchr(start, '/', path.length - at);
    return slash == NULL ? path.length - at : (size_t)(slash - start);
}

static bool is_dot(const char *part, size_t length)
{
    return length == 1 && part[0] == '.';
}

static bool is_dot_dot(const char *part, size_t length)
{
    return length == 2 && part[0] == '.' && part[1] == '.';
}

static int set_path(struct buf *out, struct slice path, struct error *err)
{
    char clean[ENTRY_PATH_MAX_BYTES];
    size_t length = 0, depth = 0;
    const char *bytes = path.data;

    if (path.length > 0 && memchr(bytes, '\0', path.length) != NULL)
        return error_set(err, ERROR_INVALID, "path '%.*s' has a NUL inside", shown(path), bytes);
    if (path.length > 0 && bytes[0] == '/')
        return error_set(err, ERROR_DENIED, "path '%.*s' is absolute", shown(path), bytes);
    for (size_t at = 0; at < path.length;) {
        const char *part = bytes + at;
        size_t size = part_length(path, at);
        at += size + 1;
        if (size == 0 || is_dot(part, size))
            continue;
        if (is_dot_dot(part, size))
            return error_set(err, ERROR_DENIED, "path '%.*s' has a '..' in it", shown(path), bytes);
        if (size > ENTRY_NAME_MAX_BYTES)
            return error_set(err, ERROR_LIMIT, "path '%.*s…' has a name longer than %d bytes",
                             shown(path), bytes, ENTRY_NAME_MAX_BYTES);
        if (++depth > ENTRY_DEPTH_MAX)
            return error_set(err, ERROR_LIMIT, "path '%.*s…' is deeper than %d", shown(path), bytes,
                             ENTRY_DEPTH_MAX);
        size_t separator = length > 0;
        if (length + separator + size > sizeof(clean))
            return error_set(err, ERROR_LIMIT, "path '%.*s…' is longer than %d bytes", shown(path),
                             bytes, ENTRY_PATH_MAX_BYTES);
        if (separator > 0)
            clean[length++] = '/';
        memcpy(clean + length, part, size);
        length += size;
    }
    buf_clear(out);
    buf_add(out, clean, length);
    return 0;
}

int entry_set_path(struct entry *entry, struct slice path, struct error *err)
{
    return set_path(&entry->path, path, err);
}

int entry_set_link_path(struct entry *entry, struct slice path, struct error *err)
{
    if (set_path(&entry->link, path, err) < 0)
        return error_wrap(err, "hard link");
    return 0;
}

bool entry_path_is_canonical(struct slice path)
{
    const char *bytes = path.data;
    size_t depth = 0;

    if (path.length == 0)
        return true;
    if (path.length > ENTRY_PATH_MAX_BYTES || memchr(bytes, '\0', path.length) != NULL ||
        bytes[path.length - 1] == '/')
        return false;
    for (size_t at = 0; at < path.length;) {
        const char *part = bytes + at;
        size_t size = part_length(path, at);
        at += size + 1;
        if (size == 0 || size > ENTRY_NAME_MAX_BYTES || is_dot(part, size) ||
            is_dot_dot(part, size) || ++depth > ENTRY_DEPTH_MAX)
            return false;
    }
    return true;
}

/* 0 and the sum, or the text of what is wrong. */
static const char *sum_extents(const struct entry *entry, const struct extent *extents,
                               size_t count, uint64_t *sum_out)
{
    uint64_t end = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (extents[i].offset < end)
            return "extents out of order";
        if (extents[i].offset > entry->size_bytes ||
            extents[i].length > entry->size_bytes - extents[i].offset)
            return "an extent outside the file";
        end = extents[i].offset + extents[i].length;
        sum += extents[i].length;
    }
    *sum_out = sum;
    return NULL;
}

static int check_file(const struct entry *entry, struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    const char *wrong = NULL;
    uint64_t sum = entry->size_bytes;
    if (path.length == 0)
        wrong = "no name";
    else if (entry->size_bytes > INT64_MAX)
        wrong = "an impossible size";
    else if (entry->extents != NULL)
        wrong = sum_extents(entry, entry->extents, entry->extent_count, &sum);
    if (wrong == NULL && sum != entry->stored_bytes)
        wrong = "content that does not fit its size";
    if (wrong != NULL)
        return error_set(err, ERROR_INVALID, "file '%.*s' has %s", shown(path),
                         (const char *)path.data, wrong);
    return 0;
}

int entry_check(const struct entry *entry, struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    const char *bytes = path.data;
    if (!entry_path_is_canonical(path))
        return error_set(err, ERROR_DENIED, "path '%.*s' is not in canonical form", shown(path),
                         bytes);
    if (entry->mtime_ns >= NANOSECONDS_PER_SECOND || (entry->mode & ~(mode_t)07777) != 0)
        return error_set(err, ERROR_INVALID, "'%.*s' has an impossible time or mode", shown(path),
                         bytes);
    if (!entry_xattrs_are_packed(buf_slice(&entry->xattrs)))
        return error_set(err, ERROR_INVALID, "'%.*s' has impossible extended attributes",
                         shown(path), bytes);
    if (entry->type == ENTRY_FILE)
        return check_file(entry, err);
    if (entry->stored_bytes != 0)
        return error_set(err, ERROR_INVALID, "'%.*s' has content, but is no file", shown(path),
                         bytes);
    if (entry->type == ENTRY_DIRECTORY)
        return 0;
    if (path.length == 0)
        return error_set(err, ERROR_INVALID, "the root of a stream must be a directory");
    if (entry->link.length == 0 || memchr(entry->link.data, '\0', entry->link.length) != NULL)
        return error_set(err, ERROR_INVALID, "link '%.*s' has an impossible target", shown(path),
                         bytes);
    if (entry->type == ENTRY_HARDLINK && !entry_path_is_canonical(buf_slice(&entry->link)))
        return error_set(err, ERROR_DENIED, "hard link '%.*s' has a target that is not canonical",
                         shown(path), bytes);
    return 0;
}

int entry_set_extents(struct entry *entry, const struct extent *extents, size_t count,
                      struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    uint64_t sum = 0;
    if (count > ENTRY_EXTENTS_MAX || entry->size_bytes > INT64_MAX)
        return error_set(err, ERROR_LIMIT, "file '%.*s' has more than %d extents or is too large",
                         shown(path), (const char *)path.data, ENTRY_EXTENTS_MAX);
    const char *wrong = sum_extents(entry, extents, count, &sum);
    if (wrong != NULL)
        return error_set(err, ERROR_INVALID, "file '%.*s' has %s", shown(path),
                         (const char *)path.data, wrong);

    struct extent *own = xreallocarray(NULL, count + 1, sizeof(*own));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (extents[i].length == 0)
            continue;
        if (kept > 0 && own[kept - 1].offset + own[kept - 1].length == extents[i].offset)
            own[kept - 1].length += extents[i].length;
        else
            own[kept++] = extents[i];
    }
    free(entry->extents);
    entry->extents = own;
    entry->extent_count = kept;
    entry->stored_bytes = sum;
    if (sum == entry->size_bytes) {
        free(own);
        entry->extents = NULL;
        entry->extent_count = 0;
    }
    return 0;
}
