/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a restore leaves alone.  Each directory that is staged or live is visited once, parents first: what the
 * rules ignore goes from the stage, and what they ignore of the live one comes in.  A directory that only the
 * live tree has is made when something in it stays, so that no trace is left of one in which nothing does.
 *
 * Invariant: a staged directory's attributes are noted once, before anything in it changes; and the stage's
 * ledger, which is that note, is not the queue: a directory that is made on the way was visited already.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/stage_merge_internal.h"

#define ASIDE_NAME "ignored" /* in the box */

enum {
    OWNER_BITS = 0700,
    SHOWN_BYTES = 60, /* of a path in a text that a tenant reads */
};

/* Whether a list leaves the current path out of a backup. */
static bool is_ignored(const struct merge *merge, bool is_directory)
{
    for (size_t i = 0; i < MERGE_LEAVE_MAX; i++) {
        const struct ignore *rules = merge->options->leave[i];
        if (rules != NULL && ignore_matches(rules, buf_slice(&merge->path), is_directory))
            return true;
    }
    return false;
}

/* Whether one leaves out everything below it, too. */
static bool is_pruned(const struct merge *merge)
{
    for (size_t i = 0; i < MERGE_LEAVE_MAX; i++) {
        const struct ignore *rules = merge->options->leave[i];
        if (rules != NULL && ignore_prunes(rules, buf_slice(&merge->path)))
            return true;
    }
    return false;
}

/* Whether the name is a directory; looked at where the listing does not say.  false: gone, perhaps. */
static bool is_directory(int dir_fd, const struct dirent *item)
{
    struct stat status;
    if (item->d_type != DT_UNKNOWN)
        return item->d_type == DT_DIR;
    return fstatat(dir_fd, item->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

static bool has_directory(int dir_fd, const char *name, struct stat *status)
{
    return dir_fd >= 0 && fstatat(dir_fd, name, status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status->st_mode);
}

static int enqueue(struct merge *merge, struct error *err)
{
    struct attributes unused = {0};
    if (!entry_path_is_canonical(buf_slice(&merge->path)))
        return error_set(err, ERROR_LIMIT, "'%.200s…' is nested too deep", merge->path.data);
    return ledger_add(&merge->queue, buf_slice(&merge->path), &unused, slice_str(""), err);
}

/*
 * Out of the stage, with all below it.  It is removed when nothing is to be made any more: ext4 looks for a free
 * inode past all those that were freed in the last seconds, which would cost more than all the rest.
 */
static int put_aside(struct merge *merge, const char *name, struct error *err)
{
    char number[24];
    int box_fd = merge->stage->box_fd;
    if (merge->aside_fd < 0) {
        if (mkdirat(box_fd, ASIDE_NAME, OWNER_BITS) < 0)
            return error_set_os(err, errno, "making '%s'", ASIDE_NAME);
        merge->aside_fd = beneath_open(box_fd, ASIDE_NAME, O_RDONLY | O_DIRECTORY, 0, err);
        if (merge->aside_fd < 0)
            return -1;
    }
    snprintf(number, sizeof(number), "%" PRIu64, merge->aside_count++);
    if (renameat(merge->staged_fd, name, merge->aside_fd, number) == 0)
        return 0;
    return beneath_remove_tree(merge->staged_fd, name, err); /* closed to us, as it may be */
}

int merge_remove_aside(struct merge *merge, struct error *err)
{
    return merge->aside_fd < 0 ? 0 : beneath_remove_tree(merge->stage->box_fd, ASIDE_NAME, err);
}

/*
 * A staged directory is opened for what comes and goes, and ends with its attributes, or with those of the live one
 * (-1: not).
 */
static int open_staged(struct merge *merge, const char *name, const struct stat *status,
                       int live_fd, struct error *err)
{
    struct stat staged;
    if (!has_directory(merge->staged_fd, name, &staged))
        return error_set(err, ERROR_CONFLICT, "'%.200s' changes in the stage", merge->path.data);
    if ((staged.st_mode & OWNER_BITS) != OWNER_BITS &&
        beneath_chmod(merge->staged_fd, name, (staged.st_mode & 07777) | OWNER_BITS) < 0)
        return error_set_os(err, errno, "opening '%.200s' for more", merge->path.data);
    scope_fd int fd = beneath_open(merge->staged_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
    if (fd < 0)
        return -1;
    bool is_live = live_fd >= 0;
    int from_fds[] = {is_live ? live_fd : fd, -1};
    return merge_note(merge, buf_slice(&merge->path), is_live ? status : &staged, from_fds, fd,
                      err);
}

/*
 * A staged directory goes with all below it, or is looked into.  One that is not ignored itself ("dir/" in mode
 * `wings`) is the backup's, whatever becomes of what it holds.
 */
static int clear_directory(struct merge *merge, const char *name, struct error *err)
{
    struct stat live;
    bool is_left = is_ignored(merge, true);
    if (is_left && is_pruned(merge))
        return put_aside(merge, name, err);
    int flags = O_RDONLY | O_DIRECTORY;
    scope_fd int live_fd =
        is_left && merge->live_fd >= 0 ? beneath_open_raw(merge->live_fd, name, flags, 0) : -1;
    if (live_fd >= 0 && fstat(live_fd, &live) < 0)
        return error_set_os(err, errno, "looking at live '%.200s'", merge->path.data);
    if (open_staged(merge, name, &live, live_fd, err) < 0)
        return -1;
    return enqueue(merge, err);
}

static int clear_name(struct merge *merge, const struct dirent *item, struct error *err)
{
    if (is_directory(merge->staged_fd, item))
        return clear_directory(merge, item->d_name, err);
    return is_ignored(merge, false) ? put_aside(merge, item->d_name, err) : 0;
}

/* ---- the way to what stays ---- */

static int refuse_place(const struct merge *merge, struct slice place, struct error *err)
{
    int shown = (int)(place.length < SHOWN_BYTES ? place.length : SHOWN_BYTES);
    return error_set(err, ERROR_INVALID,
                     "'%.*s' is left alone, and '%.*s' no directory in the backup", SHOWN_BYTES,
                     merge->path.data, shown, (const char *)place.data);
}

/* As it is live. */
static int make_directory(struct merge *merge, int dir_fd, const char *name, struct slice path,
                          struct error *err)
{
    struct stat live;
    scope_fd int live_fd = merge_open_live(merge, path.data, err);
    if (live_fd < 0 || fstat(live_fd, &live) < 0)
        return error_is_set(err) ? -1
                                 : error_set(err, ERROR_CONFLICT, "live '%.200s' changes meanwhile",
                                             (const char *)path.data);
    if (mkdirat(dir_fd, name, OWNER_BITS) < 0)
        return error_set_os(err, errno, "making '%.200s'", (const char *)path.data);
    scope_fd int fd = beneath_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
    if (fd < 0)
        return -1;
    return merge_note(merge, path, &live, (int[]){live_fd, -1}, fd, err);
}

/* The stage's directory at `path`, opened in that of its parent, or made. */
static int step(struct merge *merge, int dir_fd, const char *name, struct slice path,
                struct error *err)
{
    int flags = O_RDONLY | O_DIRECTORY;
    int fd = beneath_open_raw(dir_fd, name, flags, 0);
    if (fd == -ENOENT) {
        if (make_directory(merge, dir_fd, name, path, err) < 0)
            return -1;
        fd = beneath_open_raw(dir_fd, name, flags, 0);
    }
    if (fd == -ENOTDIR || fd == -ELOOP)
        return refuse_place(merge, path, err);
    return fd < 0 ? error_set_os(err, -fd, "opening '%.200s'", (const char *)path.data) : fd;
}

/* The directory that is visited is to be in the stage: merge->staged_fd. */
static int make_way(struct merge *merge, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    scope_fd int dir_fd = beneath_open(merge->stage->root_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
    if (dir_fd < 0)
        return -1;
    size_t end = merge->directory_length;
    for (size_t start = 0; start < end;) {
        size_t length = strcspn(merge->path.data + start, "/");
        if (path.length > 0)
            buf_add_char(&path, '/');
        size_t name_at = path.length;
        buf_add(&path, merge->path.data + start, length);
        int next_fd = step(merge, dir_fd, path.data + name_at, buf_slice(&path), err);
        if (next_fd < 0)
            return -1;
        close(dir_fd);
        dir_fd = next_fd;
        start += length + 1;
    }
    merge->staged_fd = scope_take_fd(&dir_fd);
    return 0;
}

/* ---- what stays ---- */

/* One live object that is no directory.  1: it is there (or gone), 0: its place is taken. */
static int take(struct merge *merge, const struct dirent *item, struct error *err)
{
    struct stat status;
    bool is_file = item->d_type == DT_REG || item->d_type == DT_UNKNOWN;
    if (merge->is_copying && is_file) {
        int copied = merge_copy(merge, item->d_name, err);
        if (copied != 0)
            return copied;
    }
    if (linkat(merge->live_fd, item->d_name, merge->staged_fd, item->d_name, 0) == 0) {
        merge->has_linked |= is_file;
        return 1;
    }
    if (errno == ENOENT || errno == EEXIST)
        return errno == ENOENT;
    if (has_directory(merge->live_fd, item->d_name, &status))
        return error_set(err, ERROR_CONFLICT, "live '%.200s' changes while it is merged",
                         merge->path.data);
    return merge_copy_object(merge, item->d_name, err) < 0 ? -1 : 1;
}

static int take_name(struct merge *merge, const struct dirent *item, struct error *err)
{
    struct stat staged;
    if (is_directory(merge->live_fd, item))
        return has_directory(merge->staged_fd, item->d_name, &staged) ? 0 : enqueue(merge, err);
    if (!is_ignored(merge, false))
        return 0;
    if (merge->staged_fd < 0 && make_way(merge, err) < 0)
        return -1;
    int taken = take(merge, item, err);
    /* What was ignored is not staged any more: this is a directory, in which something is not. */
    if (taken == 0 && unlinkat(merge->staged_fd, item->d_name, AT_REMOVEDIR) == 0)
        taken = take(merge, item, err);
    if (taken == 0)
        return error_set(err, ERROR_INVALID, "'%.*s' is left alone, and a directory in the backup",
                         SHOWN_BYTES, merge->path.data);
    return taken < 0 ? -1 : 0;
}

/* The directory merge->path: what is staged of it, then what is live. */
static int visit(struct merge *merge, struct error *err)
{
    merge->directory_length = merge->path.length;
    const char *path = merge->path.data;
    bool stays = merge->path.length > 0 && (is_ignored(merge, true) || is_pruned(merge));
    scope_fd int live_fd = merge_open_live(merge, path, err);
    if (error_is_set(err))
        return -1;
    scope_fd int staged_fd =
        beneath_open_raw(merge->stage->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
    if (staged_fd < 0 && staged_fd != -ENOENT && staged_fd != -ENOTDIR && staged_fd != -ELOOP)
        return error_set_os(err, -staged_fd, "opening '%.200s'", path);
    merge->live_fd = live_fd;
    merge->staged_fd = staged_fd < 0 ? -1 : staged_fd;
    if (staged_fd >= 0) {
        int list_fd = beneath_open(staged_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
        if (list_fd < 0 || merge_list(merge, list_fd, clear_name, err) < 0)
            return -1;
    }
    if (live_fd < 0)
        return 0;
    buf_truncate(&merge->path, merge->directory_length);
    int result = stays && staged_fd < 0 ? make_way(merge, err) : 0;
    if (result == 0) {
        scope_take_fd(&live_fd);
        result = merge_list(merge, merge->live_fd, take_name, err);
    }
    if (staged_fd < 0 && merge->staged_fd >= 0)
        close(merge->staged_fd); /* of make_way() */
    return result;
}

int merge_leave(struct merge *merge, struct error *err)
{
    struct stat root;
    struct attributes unused;
    uint64_t at = LEDGER_START;
    int more;
    int queue_fd = stage_open_unnamed(merge->stage->parent_fd, err);
    if (queue_fd < 0)
        return -1;
    ledger_open(&merge->queue, queue_fd);
    if (fstat(merge->stage->root_fd, &root) < 0 ||
        fchmod(merge->stage->root_fd, (root.st_mode & 07777) | OWNER_BITS) < 0)
        return error_set_os(err, errno, "opening the stage for more");
    buf_clear(&merge->path);
    int from_fds[] = {merge->stage->root_fd, -1};
    if (merge_note(merge, slice_str(""), &root, from_fds, merge->stage->root_fd, err) < 0 ||
        enqueue(merge, err) < 0)
        return -1;
    while ((more = ledger_read(&merge->queue, &at, &merge->path, &unused, err)) > 0)
        if (visit(merge, err) < 0)
            return -1;
    return more;
}
