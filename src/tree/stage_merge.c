/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the live directory has and the stage does not.  The ledger is the queue: each
 * directory that is to be merged is appended with the attributes that it shall end
 * with, visited in that order, and set at the end, deepest first.  So two descriptors
 * and one path are all that a tree of any shape costs.
 *
 * Invariant: the live tree is only read, and linked from; in the stage nothing is replaced.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/file.h"
#include "base/scope.h"
#include "tree/own_names.h"
#include "tree/stage_merge_internal.h"

enum {
    OWNER_BITS = 0700,
    LINKS_MAX_BYTES = 4 << 20,
};

static void close_directory(DIR **dir)
{
    if (*dir != NULL)
        closedir(*dir);
}

int merge_open_live(struct merge *merge, const char *path, struct error *err)
{
    if (merge->live_root_fd < 0)
        return -1;
    int fd = beneath_open_raw(merge->live_root_fd, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return -1;
    return fd < 0 ? error_set_os(err, -fd, "opening live '%.200s'", path) : fd;
}

/* Whether the current path leads to what is staged, and is itself not meant. */
static bool is_on_the_way(const struct merge *merge)
{
    const struct selection *staged = merge->options->staged;
    return staged != NULL && selection_look(staged, buf_slice(&merge->path)) == SELECTION_PARENT;
}

/* Whether what is live under the current path may go. */
static bool is_excepted(const struct merge *merge)
{
    const struct selection *except = merge->options->except;
    return except != NULL && selection_look(except, buf_slice(&merge->path)) == SELECTION_WANTED;
}

void merge_read_xattrs(struct merge *merge, int fd, struct slice path)
{
    if (!xattrs_read(&merge->xattr_room, fd, &merge->xattrs))
        report_add(merge->stage->sink.report, REPORT_ALTERED, path,
                   "some of its extended attributes are not kept");
}

int merge_note(struct merge *merge, struct slice path, const struct stat *status,
               const int from_fds[2], int staged_fd, struct error *err)
{
    struct attributes attributes = attributes_of_stat(status);
    buf_clear(&merge->xattrs);
    for (int i = 0; i < 2; i++)
        if (from_fds[i] >= 0)
            merge_read_xattrs(merge, from_fds[i], path);
    if (staged_fd >= 0)
        xattrs_remove(&merge->xattr_room, staged_fd);
    struct slice xattrs = buf_slice(&merge->xattrs);
    if (stage_take_space(merge->stage, xattrs.length, err) < 0)
        return -1;
    return ledger_add(&merge->stage->ledger, path, &attributes, xattrs, err);
}

/* The current directory is merged later, and ends as the live one, or as the entry that made it. */
static int enqueue(struct merge *merge, const char *name, const struct stat *status, bool has_entry,
                   struct error *err)
{
    int flags = O_RDONLY | O_DIRECTORY;
    if (!entry_path_is_canonical(buf_slice(&merge->path)))
        return error_set(err, ERROR_LIMIT, "'%.200s…' is nested too deep", merge->path.data);
    scope_fd int live_fd = beneath_open_raw(merge->live_fd, name, flags, 0);
    scope_fd int staged_fd = beneath_open_raw(merge->staged_fd, name, flags, 0);
    /* Where one is gone or closed, the visit says why. */
    bool has_both = live_fd >= 0 && staged_fd >= 0;
    int from_fds[] = {has_both ? live_fd : -1, has_both && has_entry ? staged_fd : -1};
    return merge_note(merge, buf_slice(&merge->path), status, from_fds, has_both ? staged_fd : -1,
                      err);
}

static int merge_directory_name(struct merge *merge, const char *name, struct error *err)
{
    struct stat live, staged;
    if (fstatat(merge->live_fd, name, &live, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT
                   ? 0
                   : error_set_os(err, errno, "looking at live '%.200s'", merge->path.data);
    if (!S_ISDIR(live.st_mode))
        return error_set(err, ERROR_CONFLICT, "live '%.200s' changes while it is merged",
                         merge->path.data);
    if (fstatat(merge->staged_fd, name, &staged, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT || mkdirat(merge->staged_fd, name, OWNER_BITS) < 0)
            return error_set_os(err, errno, "making '%.200s'", merge->path.data);
        return enqueue(merge, name, &live, false, err);
    }
    if (!S_ISDIR(staged.st_mode))
        return 0;
    if ((staged.st_mode & OWNER_BITS) != OWNER_BITS &&
        beneath_chmod(merge->staged_fd, name, (staged.st_mode & 07777) | OWNER_BITS) < 0)
        return error_set_os(err, errno, "opening '%.200s' for more", merge->path.data);
    bool has_entry = !is_on_the_way(merge);
    return enqueue(merge, name, has_entry ? &staged : &live, has_entry, err);
}

/* A live object that is no directory, where the stage may have one to reach something in it. */
static int check_way(struct merge *merge, const char *name, struct error *err)
{
    struct stat staged;
    if (!is_on_the_way(merge) ||
        fstatat(merge->staged_fd, name, &staged, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISDIR(staged.st_mode))
        return 0;
    return error_set(err, ERROR_INVALID, "'%.200s' is no directory there, and would be lost",
                     merge->path.data);
}

static int merge_name(struct merge *merge, const struct dirent *item, struct error *err)
{
    const char *name = item->d_name;
    if (is_excepted(merge))
        return 0;
    if (item->d_type == DT_DIR)
        return merge_directory_name(merge, name, err);
    if (merge->is_copying && (item->d_type == DT_REG || item->d_type == DT_UNKNOWN)) {
        int copied = merge_copy(merge, name, err);
        if (copied != 0)
            return copied < 0 ? -1 : 0;
    }

    /* One call a file: it is linked, or there already, or must be looked at. */
    if (linkat(merge->live_fd, name, merge->staged_fd, name, 0) == 0) {
        merge->has_linked |= item->d_type == DT_REG || item->d_type == DT_UNKNOWN;
        return 0;
    }
    if (errno == ENOENT)
        return 0;
    int failure = errno;
    struct stat status;
    if ((failure != EEXIST || item->d_type == DT_UNKNOWN) &&
        fstatat(merge->live_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
        return merge_directory_name(merge, name, err);
    if (failure == EEXIST)
        return check_way(merge, name, err);
    return merge_copy_object(merge, name, err);
}

static void set_path(struct merge *merge, const char *name)
{
    buf_truncate(&merge->path, merge->directory_length);
    if (merge->directory_length > 0)
        buf_add_char(&merge->path, '/');
    buf_add_str(&merge->path, name);
}

int merge_list(struct merge *merge, int dir_fd,
               int (*visit)(struct merge *merge, const struct dirent *item, struct error *err),
               struct error *err)
{
    DIR *dir SCOPE(close_directory) = fdopendir(dir_fd);
    if (dir == NULL) {
        error_set_os(err, errno, "listing '%.200s'", merge->path.data);
        close(dir_fd);
        return -1;
    }
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(dir);
        if (item == NULL)
            return errno == 0 ? 0 : error_set_os(err, errno, "listing a directory");
        if (cancel_is_set(merge->options->cancel))
            return error_set(err, ERROR_CANCELLED, "cancelled");
        bool is_dots =
            item->d_name[0] == '.' &&
            (item->d_name[1] == '\0' || (item->d_name[1] == '.' && item->d_name[2] == '\0'));
        bool is_own = merge->directory_length == 0 && tree_is_own_name(item->d_name);
        if (is_dots || is_own)
            continue;
        budget_pace();
        set_path(merge, item->d_name);
        if (visit(merge, item, err) < 0)
            return -1;
    }
}

/* The directory merge->path.  Gone from the live tree since it was queued: nothing to add. */
static int merge_directory(struct merge *merge, struct error *err)
{
    const char *path = merge->path.data;
    merge->directory_length = merge->path.length;
    scope_fd int live_fd = merge_open_live(merge, path, err);
    if (live_fd < 0)
        return error_is_set(err) ? -1 : 0;
    scope_fd int staged_fd =
        beneath_open(merge->stage->root_fd, path, O_RDONLY | O_DIRECTORY, 0, err);
    if (staged_fd < 0)
        return -1;
    merge->live_fd = scope_take_fd(&live_fd); /* the listing's now */
    merge->staged_fd = staged_fd;
    return merge_list(merge, merge->live_fd, merge_name, err);
}

static int merge_all(struct merge *merge, struct error *err)
{
    struct ledger *ledger = &merge->stage->ledger;
    struct attributes unused;
    struct stat root, live;
    uint64_t at = LEDGER_START;
    int more;
    if (fstat(merge->stage->root_fd, &root) < 0 || fstat(merge->live_root_fd, &live) < 0 ||
        fchmod(merge->stage->root_fd, (root.st_mode & 07777) | OWNER_BITS) < 0)
        return error_set_os(err, errno, "opening the stage for more");
    buf_clear(&merge->path);
    bool has_entry = merge->stage->has_root_entry && !is_on_the_way(merge);
    merge->live_fd = merge->live_root_fd;
    merge->staged_fd = merge->stage->root_fd;
    if (enqueue(merge, ".", is_on_the_way(merge) ? &live : &root, has_entry, err) < 0)
        return -1;
    while ((more = ledger_read(ledger, &at, &merge->path, &unused, err)) > 0)
        if (merge_directory(merge, err) < 0)
            return -1;
    return more;
}

/* What is left alone comes first: where the rest of the live tree then is, it finds its place taken. */
static int merge_parts(struct merge *merge, struct error *err)
{
    const struct merge_options *options = merge->options;
    bool has_leave = false;
    for (size_t i = 0; i < MERGE_LEAVE_MAX; i++)
        has_leave |= options->leave[i] != NULL && !ignore_is_empty(options->leave[i]);
    if (has_leave && merge_leave(merge, err) < 0)
        return -1;
    if (merge->live_root_fd < 0 || options->removes_rest)
        return 0;
    if (has_leave && ledger_apply(merge->stage, err) < 0)
        return -1;
    return merge_all(merge, err);
}

int stage_merge_live(struct stage *stage, const struct merge_options *options, struct error *err)
{
    assert(stage->sink.is_finished && !stage->is_exchanged);
    scope_fd int live_root_fd =
        beneath_open_raw(stage->parent_fd, stage->live_name, O_RDONLY | O_DIRECTORY, 0);
    if (live_root_fd < 0 && live_root_fd != -ENOENT)
        return error_set_os(err, -live_root_fd, "opening '%s'", stage->live_name);
    if (live_root_fd >= 0 && stage_check_mounts(stage, err) < 0)
        return -1;

    /* What is live already is kept as it is. */
    stage->options.flags |= STAGE_KEEP_SET_ID | STAGE_XATTRS;
    stage->owners_refused = false;
    struct merge merge = {.stage = stage,
                          .options = options,
                          .live_root_fd = live_root_fd,
                          .live_fd = -1,
                          .staged_fd = -1,
                          .is_copying = options->wants_copies,
                          .links = links_new(LINKS_MAX_BYTES),
                          .path = BUF_INIT,
                          .xattrs = BUF_INIT,
                          .queue = {.fd = -1},
                          .aside_fd = -1};
    throttle_init(&merge.throttle, options->rate_bytes_per_s);
    int result = merge_parts(&merge, err);
    if (result == 0)
        result = merge_remove_aside(&merge, err);
    if (merge.aside_fd >= 0)
        close(merge.aside_fd);
    buf_free(&merge.path);
    buf_free(&merge.xattrs);
    free(merge.xattr_room);
    links_free(merge.links);
    ledger_close(&merge.queue);
    if (result == 0 && merge.has_linked)
        result = exchange_mark_shared(stage->box_fd, err);
    if (result < 0)
        return error_wrap(err, "keeping what '%s' has besides", stage->live_name);
    if (cancel_is_set(options->cancel))
        return error_set(err, ERROR_CANCELLED, "cancelled");
    if (ledger_apply(stage, err) < 0)
        return -1;
    return stage_sync(stage, err);
}
