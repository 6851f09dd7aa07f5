/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of directories.  A directory's mode and times are set last, deepest
 * first; foreign archives name directories in any order, as many as they like.  So
 * they are written down, in records that are chained by depth:
 *
 *     next record of this depth (8) | mode, uid, gid (4 each) | length of the path (4)
 *     | mtime seconds (8) | nanoseconds (8) | length of the attributes (8) | path | extended attributes
 *
 * The file has no name and one process; its integers are the machine's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/stage_internal.h"

struct record {
    uint64_t next;
    uint32_t mode, uid, gid, path_length;
    int64_t mtime_s, mtime_ns;
    uint64_t xattrs_length;
};

void ledger_open(struct ledger *ledger, int fd)
{
    *ledger = (struct ledger){.fd = fd, .end = LEDGER_START};
}

void ledger_close(struct ledger *ledger)
{
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = -1;
}

static size_t depth_of(struct slice path)
{
    const char *bytes = path.data;
    size_t depth = path.length > 0;
    for (size_t i = 0; i < path.length; i++)
        depth += bytes[i] == '/';
    return depth;
}

static int put(const struct ledger *ledger, const void *bytes, size_t length, uint64_t at,
               struct error *err)
{
    for (const char *cursor = bytes; length > 0;) {
        ssize_t done = pwrite(ledger->fd, cursor, length, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return error_set_os(err, done < 0 ? errno : ENOSPC, "noting a directory");
        cursor += done;
        at += (uint64_t)done;
        length -= (size_t)done;
    }
    return 0;
}

int ledger_add(struct ledger *ledger, struct slice path, const struct attributes *attributes,
               struct slice xattrs, struct error *err)
{
    char bytes[sizeof(struct record) + ENTRY_PATH_MAX_BYTES];
    struct record record = {
        .mode = attributes->mode,
        .uid = attributes->uid,
        .gid = attributes->gid,
        .path_length = (uint32_t)path.length,
        .mtime_s = attributes->mtime.tv_sec,
        .mtime_ns = attributes->mtime.tv_nsec,
        .xattrs_length = xattrs.length,
    };
    size_t depth = depth_of(path);
    uint64_t at = ledger->end;
    memcpy(bytes, &record, sizeof(record));
    if (path.length > 0)
        memcpy(bytes + sizeof(record), path.data, path.length);
    uint64_t path_end = at + sizeof(record) + path.length;
    if (put(ledger, bytes, sizeof(record) + path.length, at, err) < 0 ||
        (xattrs.length > 0 && put(ledger, xattrs.data, xattrs.length, path_end, err) < 0))
        return -1;
    if (ledger->last[depth] != 0 && put(ledger, &at, sizeof(at), ledger->last[depth], err) < 0)
        return -1;
    if (ledger->first[depth] == 0)
        ledger->first[depth] = at;
    ledger->last[depth] = at;
    ledger->end = path_end + xattrs.length;
    return 0;
}

static int get(const struct ledger *ledger, uint64_t at, struct record *record,
               struct buf *path_out, struct attributes *attributes_out, struct error *err)
{
    char bytes[sizeof(*record) + ENTRY_PATH_MAX_BYTES];
    ssize_t got = file_pread_full(ledger->fd, bytes, sizeof(bytes), at, err);
    if (got < 0)
        return -1;
    if ((size_t)got >= sizeof(*record))
        memcpy(record, bytes, sizeof(*record));
    if ((size_t)got < sizeof(*record) || (size_t)got - sizeof(*record) < record->path_length)
        return error_set(err, ERROR_IO, "the notes on directories are cut off");
    buf_clear(path_out);
    buf_add(path_out, bytes + sizeof(*record), record->path_length);
    *attributes_out = (struct attributes){
        .mode = record->mode,
        .uid = record->uid,
        .gid = record->gid,
        .mtime = {.tv_sec = record->mtime_s, .tv_nsec = record->mtime_ns},
    };
    return 0;
}

int ledger_read(const struct ledger *ledger, uint64_t *at, struct buf *path_out,
                struct attributes *attributes_out, struct error *err)
{
    struct record record;
    if (*at >= ledger->end)
        return 0;
    if (get(ledger, *at, &record, path_out, attributes_out, err) < 0)
        return -1;
    *at += sizeof(record) + record.path_length + record.xattrs_length;
    return 1;
}

static int get_xattrs(const struct ledger *ledger, uint64_t at, const struct record *record,
                      struct buf *xattrs_out, struct error *err)
{
    size_t length = (size_t)record->xattrs_length;
    buf_clear(xattrs_out);
    if (length == 0)
        return 0;
    buf_add_zeros(xattrs_out, length);
    ssize_t got = file_pread_full(ledger->fd, xattrs_out->data, length,
                                  at + sizeof(*record) + record->path_length, err);
    if (got < 0)
        return -1;
    if ((size_t)got != length)
        return error_set(err, ERROR_IO, "the notes on directories are cut off");
    return 0;
}

static int apply_one(struct stage *stage, const struct buf *path, struct slice xattrs,
                     const struct attributes *attributes, struct error *err)
{
    int fd = beneath_open_raw(stage->root_fd, path->data, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return 0; /* replaced by something else since */
    if (fd < 0)
        return error_set_os(err, -fd, "opening '%.200s' again", path->data);
    /* Before the mode, which may forbid it. */
    stage_set_xattrs(stage, fd, buf_slice(path), xattrs, XATTR_PLAIN);
    int result = stage_apply(stage, fd, buf_slice(path), *attributes, err);
    stage_set_xattrs(stage, fd, buf_slice(path), xattrs, XATTR_PRIVILEGED);
    close(fd);
    return result;
}

int ledger_apply(struct stage *stage, struct error *err)
{
    struct ledger *ledger = &stage->ledger;
    scope_buf struct buf path = BUF_INIT;
    scope_buf struct buf xattrs = BUF_INIT;
    struct attributes attributes;
    struct record record;
    for (size_t depth = ENTRY_DEPTH_MAX + 2; depth-- > 0;) {
        for (uint64_t at = ledger->first[depth]; at != 0; at = record.next) {
            if (get(ledger, at, &record, &path, &attributes, err) < 0 ||
                get_xattrs(ledger, at, &record, &xattrs, err) < 0 ||
                apply_one(stage, &path, buf_slice(&xattrs), &attributes, err) < 0)
                return -1;
        }
    }
    if (ftruncate(ledger->fd, 0) < 0)
        return error_set_os(err, errno, "emptying the notes on directories");
    ledger_open(ledger, ledger->fd);
    return 0;
}
