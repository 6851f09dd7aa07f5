/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index is right where
 * - it has the entries of the tar, all of them, in their order;
 * - looking for the first and the last path of a page leads to that page (then so does every path between);
 * - its members are those of the file: one after the other from its start, with nothing between them but pages, and
 *   a block of tar in each.
 */
#include "archive/index_check.h"

#include <stdlib.h>
#include <zlib.h>

#include "archive/archive.h"
#include "archive/index_internal.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

enum {
    CHUNK_BYTES = 64 << 10,
    HEADER_BYTES = 20, /* with the field that says how long the member is */
    SHOWN_BYTES = 200,
};

struct index_check {
    struct archive_index *walk;
    struct archive_index *lookup;
    struct entry indexed;
    uint64_t entries;
    uint64_t page_offset; /* of the entry before */
};

static int differs(const char *what, struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the archive's index is wrong about %s", what);
}

static int differs_at(const struct entry *entry, struct error *err)
{
    int shown = (int)(entry->path.length < SHOWN_BYTES ? entry->path.length : SHOWN_BYTES);
    return error_set(err, ERROR_CORRUPT, "the archive's index is wrong about '%.*s'", shown,
                     entry->path.data);
}

int index_check_open(int fd, struct index_check **check, struct error *err)
{
    *check = NULL;
    struct archive_index *walk = archive_index_open(fd, err);
    if (walk == NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(err);
        return 0;
    }
    struct archive_index *lookup = walk == NULL ? NULL : archive_index_open(fd, err);
    if (lookup == NULL || index_rewind(walk, err) < 0) {
        archive_index_free(walk);
        archive_index_free(lookup);
        return -1;
    }
    *check = xcalloc(1, sizeof(**check));
    (*check)->walk = walk;
    (*check)->lookup = lookup;
    entry_init(&(*check)->indexed);
    return 0;
}

void index_check_free(struct index_check *check)
{
    if (check == NULL)
        return;
    archive_index_free(check->walk);
    archive_index_free(check->lookup);
    entry_free(&check->indexed);
    free(check);
}

static bool is_same(const struct entry *a, const struct entry *b)
{
    return slice_equal(buf_slice(&a->path), buf_slice(&b->path)) &&
           slice_equal(buf_slice(&a->link), buf_slice(&b->link)) && a->type == b->type &&
           a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->mtime_s == b->mtime_s &&
           a->size_bytes == b->size_bytes;
}

/* That a look-up of the path comes to the page where it is. */
static int check_way(struct index_check *check, struct error *err)
{
    if (!index_is_sorted(check->walk))
        return 0;
    if (index_seek(check->lookup, buf_slice(&check->indexed.path), err) < 0)
        return -1;
    return check->lookup->page_offset == check->walk->page_offset
               ? 0
               : differs_at(&check->indexed, err);
}

int index_check_entry(struct index_check *check, const struct entry *entry, uint64_t tar_start,
                      struct error *err)
{
    scope_buf struct buf before = BUF_INIT;
    uint64_t indexed_start = 0;
    buf_add(&before, check->indexed.path.data, check->indexed.path.length);
    int more = index_next(check->walk, &check->indexed, &indexed_start, err);
    if (more < 0)
        return -1;
    if (more == 0 || indexed_start != tar_start || !is_same(entry, &check->indexed))
        return differs_at(entry, err);
    if (index_is_sorted(check->walk) && check->entries > 0 &&
        index_path_order(buf_slice(&before), buf_slice(&entry->path)) >= 0)
        return differs("the order of entries", err);
    bool is_first = check->page_offset != check->walk->page_offset || check->entries == 0;
    check->page_offset = check->walk->page_offset;
    check->entries++;
    if (is_first || index_is_at_page_end(check->walk))
        return check_way(check, err);
    return 0;
}

/* ---- members ---- */

/* How long the member there is, and what it holds, by inflating it. */
static int measure(int fd, uint64_t offset, uint64_t end, uint64_t *length, uint64_t *content,
                   struct error *err)
{
    scope_free uint8_t *in = xmalloc(CHUNK_BYTES);
    scope_free uint8_t *out = xmalloc(CHUNK_BYTES);
    z_stream stream = {.next_in = in};
    ssize_t got = 0;
    uint64_t read_to = offset;
    int result = inflateInit2(&stream, MAX_WBITS + 16);
    *content = 0;
    while (result == Z_OK && *content <= ARCHIVE_BLOCK_BYTES) {
        if (stream.avail_in == 0) {
            size_t part = end - read_to < CHUNK_BYTES ? (size_t)(end - read_to) : CHUNK_BYTES;
            got = file_pread_full(fd, in, part, read_to, err);
            if (got <= 0)
                break;
            read_to += (uint64_t)got;
            stream.next_in = in;
            stream.avail_in = (uInt)got;
        }
        stream.next_out = out;
        stream.avail_out = CHUNK_BYTES;
        result = inflate(&stream, Z_NO_FLUSH);
        *content += CHUNK_BYTES - stream.avail_out;
    }
    *length = stream.total_in;
    inflateEnd(&stream);
    if (got < 0)
        return -1;
    return result == Z_STREAM_END ? 0 : differs("where members begin", err);
}

/* What the header says of the length; 0: nothing.  Reading the archive has shown that it is true. */
static uint64_t said_length(const uint8_t *header)
{
    static const uint8_t field[] = {8, 0, 'R', 'o', 4, 0};
    bool has_field = header[0] == 0x1f && header[1] == 0x8b && header[2] == 8 && header[3] == 4 &&
                     memcmp(header + 10, field, sizeof(field)) == 0;
    return has_field ? index_read_le(header + 16, 4) : 0;
}

/* The member with content that begins at `*offset`, which must hold `wanted` bytes; goes behind it. */
static int pass_member(struct index_check *check, uint64_t *offset, uint64_t wanted,
                       struct error *err)
{
    int fd = check->walk->fd;
    uint64_t end = check->walk->trailer.offset;
    uint8_t header[HEADER_BYTES], size[4];
    ssize_t got = file_pread_full(fd, header, sizeof(header), *offset, err);
    if (got < 0)
        return -1;
    uint64_t length = got == HEADER_BYTES ? said_length(header) : 0;
    uint64_t content = 0;
    if (length < HEADER_BYTES || length > end - *offset) {
        if (measure(fd, *offset, end, &length, &content, err) < 0)
            return -1;
    } else {
        got = file_pread_full(fd, size, sizeof(size), *offset + length - sizeof(size), err);
        if (got < 0)
            return -1;
        content = got == sizeof(size) ? index_read_le(size, sizeof(size)) : 0;
    }
    *offset += length;
    return content == wanted ? 0 : differs("what is in a member", err);
}

/* Pages of the index from `*offset` on; goes behind them. */
static int pass_pages(struct index_check *check, uint64_t *offset, struct error *err)
{
    uint8_t head[16];
    while (*offset < check->walk->trailer.offset) {
        ssize_t got = file_pread_full(check->walk->fd, head, sizeof(head), *offset, err);
        if (got < 0)
            return -1;
        if (got < (ssize_t)sizeof(head) || memcmp(head, "\x1f\x8b\x08\x04", 4) != 0 ||
            memcmp(head + 12, "Ri", 2) != 0)
            return 0;
        *offset += 12 + index_read_le(head + 10, 2) + INDEX_PAGE_TAIL_BYTES;
    }
    return 0;
}

static int check_members(struct index_check *check, struct error *err)
{
    const struct index_trailer *trailer = &check->walk->trailer;
    struct index_place place;
    uint64_t offset = 0;
    for (uint64_t i = 0; i < trailer->members; i++) {
        uint64_t tar_start = i * ARCHIVE_BLOCK_BYTES;
        uint64_t left = trailer->tar_bytes - tar_start;
        if (index_locate_next(check->walk, i, &place, err) < 0)
            return -1;
        if (place.start != offset)
            return differs("where members begin", err);
        if (pass_member(check, &offset, left < ARCHIVE_BLOCK_BYTES ? left : ARCHIVE_BLOCK_BYTES,
                        err) < 0)
            return -1;
        uint64_t end = offset;
        if (pass_pages(check, &offset, err) < 0)
            return -1;
        if (place.end < end || place.end > offset)
            return differs("where members end", err);
    }
    return offset == trailer->offset ? 0 : differs("where the data end", err);
}

int index_check_finish(struct index_check *check, uint64_t tar_bytes, struct error *err)
{
    const struct index_trailer *trailer = &check->walk->trailer;
    uint64_t start;
    int more = index_next(check->walk, &check->indexed, &start, err);
    if (more != 0)
        return more < 0 ? -1 : differs_at(&check->indexed, err);
    if (check->entries != trailer->entries)
        return differs("the number of entries", err);
    if (tar_bytes != trailer->tar_bytes)
        return differs("the size of the tar", err);
    return check_members(check, err);
}
