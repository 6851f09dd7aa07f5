/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of what is live.  Where the replaced tree is to be kept, what stays live must be a file of its
 * own in each tree: the game will write to its one.  Copies that are only for that never fail a restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/stage_merge_internal.h"

enum {
    COPY_BYTES = 64 * 1024,
};

static int copy_range(struct merge *merge, int from_fd, int to_fd, off_t from, off_t to,
                      struct error *err)
{
    char bytes[COPY_BYTES];
    while (from < to && !cancel_is_set(merge->options->cancel)) {
        size_t length = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        ssize_t got = file_pread_full(from_fd, bytes, length, (uint64_t)from, err);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        for (ssize_t done = 0, put; done < got; done += put) {
            put = pwrite(to_fd, bytes + done, (size_t)(got - done), from + done);
            if (put <= 0)
                return error_set_os(err, put < 0 ? errno : ENOSPC, "copying '%.200s'",
                                    merge->path.data);
        }
        from += got;
        throttle_pass(&merge->throttle, (uint64_t)got, merge->options->cancel);
    }
    return 0;
}

/* Data where the file has data, holes where it has holes. */
static int copy_content(struct merge *merge, int from_fd, int to_fd, off_t size, struct error *err)
{
    if (ftruncate(to_fd, size) < 0)
        return error_set_os(err, errno, "copying '%.200s'", merge->path.data);
    for (off_t at = 0; at < size;) {
        off_t data = lseek(from_fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return 0;
        off_t hole = data < 0 ? -1 : lseek(from_fd, data, SEEK_HOLE);
        if (hole < 0) {
            data = at;
            hole = size;
        }
        if (copy_range(merge, from_fd, to_fd, data, hole, err) < 0)
            return -1;
        at = hole;
    }
    return 0;
}

/* The live file, opened and looked at; -1 with `err` unset where it is gone. */
static int open_live(struct merge *merge, const char *name, struct stat *status, struct error *err)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    scope_fd int fd = beneath_open_raw(merge->live_fd, name, flags, 0);
    if (fd == -ENOENT)
        return -1;
    if (fd < 0 || fstat(fd, status) < 0)
        return error_set_os(err, fd < 0 ? -fd : errno, "reading live '%.200s'", merge->path.data);
    if (!S_ISREG(status->st_mode))
        return error_set(err, ERROR_CONFLICT, "live '%.200s' changes while it is copied",
                         merge->path.data);
    return scope_take_fd(&fd);
}

static int fill(struct merge *merge, int from_fd, int to_fd, const struct stat *status,
                struct error *err)
{
    if (ioctl(to_fd, FICLONE, from_fd) < 0 &&
        copy_content(merge, from_fd, to_fd, status->st_size, err) < 0)
        return -1;
    struct slice path = buf_slice(&merge->path);
    buf_clear(&merge->xattrs);
    merge_read_xattrs(merge, from_fd, buf_slice(&merge->path));
    struct slice xattrs = buf_slice(&merge->xattrs);
    stage_set_xattrs(merge->stage, to_fd, path, xattrs, XATTR_PLAIN);
    if (stage_apply(merge->stage, to_fd, path, attributes_of_stat(status), err) < 0)
        return -1;
    stage_set_xattrs(merge->stage, to_fd, path, xattrs, XATTR_PRIVILEGED);
    return 0;
}

static int copy_file(struct merge *merge, const char *name, struct error *err)
{
    struct stage *stage = merge->stage;
    struct stat status;
    scope_fd int from_fd = open_live(merge, name, &status, err);
    if (from_fd < 0)
        return error_is_set(err) ? -1 : 0;
    if (stage_take_object(stage, (uint64_t)status.st_size, err) < 0)
        return -1;
    scope_fd int to_fd =
        beneath_open_raw(merge->staged_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (to_fd < 0)
        return error_set_os(err, -to_fd, "copying '%.200s'", merge->path.data);
    return fill(merge, from_fd, to_fd, &status, err);
}

/* A name more of a file that was copied already. */
static bool is_linked_to_copy(struct merge *merge, const struct stat *status, const char *name)
{
    scope_buf struct buf path = BUF_INIT;
    if (status->st_nlink < 2)
        return false;
    if (links_use(merge->links, status->st_dev, status->st_ino, &path))
        return linkat(merge->stage->root_fd, path.data, merge->staged_fd, name, 0) == 0;
    links_add(merge->links, status->st_dev, status->st_ino, buf_slice(&merge->path),
              status->st_nlink - 1);
    return false;
}

int merge_copy(struct merge *merge, const char *name, struct error *err)
{
    struct stat status;
    struct error reason = ERROR_INIT;
    if (faccessat(merge->staged_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        fstatat(merge->live_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return 0;
    if (is_linked_to_copy(merge, &status, name))
        return 1;
    scope_fd int from_fd = open_live(merge, name, &status, &reason);
    if (from_fd < 0)
        return 0; /* the tenant is at it, or we may not read it: a link will do */
    scope_fd int to_fd =
        beneath_open_raw(merge->staged_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (to_fd < 0)
        return error_set_os(err, -to_fd, "copying '%.200s'", merge->path.data);
    uint64_t allocated = (uint64_t)status.st_blocks * 512;
    bool is_clone = ioctl(to_fd, FICLONE, from_fd) == 0;
    if (!is_clone)
        merge->copied_bytes += allocated;
    if (merge->copied_bytes > MERGE_COPIES_MAX_BYTES)
        error_set(&reason, ERROR_NO_SPACE, "too much to copy");
    else if ((is_clone || stage_take_space(merge->stage, allocated, &reason) == 0) &&
             fill(merge, from_fd, to_fd, &status, &reason) == 0)
        return 1;
    /* A link will do, and what is replaced is not kept. */
    unlinkat(merge->staged_fd, name, 0);
    links_forget(merge->links, status.st_dev, status.st_ino);
    if (reason.code == ERROR_NO_SPACE)
        merge->is_copying = false;
    return 0;
}

static int copy_symlink(struct merge *merge, const char *name, const struct stat *status,
                        struct error *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(merge->live_fd, name, target, sizeof(target) - 1);
    if (length >= 0) {
        target[length] = '\0';
        if (symlinkat(target, merge->staged_fd, name) == 0)
            return stage_apply_link(merge->stage, merge->staged_fd, name, buf_slice(&merge->path),
                                    attributes_of_stat(status), err);
    }
    return error_set_os(err, errno, "copying the link '%.200s'", merge->path.data);
}

int merge_copy_object(struct merge *merge, const char *name, struct error *err)
{
    struct stat status;
    if (fstatat(merge->live_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT
                   ? 0
                   : error_set_os(err, errno, "looking at live '%.200s'", merge->path.data);
    if (S_ISREG(status.st_mode))
        return copy_file(merge, name, err);
    if (S_ISLNK(status.st_mode))
        return copy_symlink(merge, name, &status, err);
    report_add(merge->stage->sink.report, REPORT_SKIPPED, buf_slice(&merge->path),
               "neither file, directory nor link, and cannot be linked");
    return 0;
}
