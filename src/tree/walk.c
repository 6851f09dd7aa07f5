/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk: a stack of directories, and one visit for each name.  Invariant: a
 * directory is opened by its path below the root, and walked only while the descriptor is the
 * object that this path was; names of an old listing are looked up again, never trusted.
 */
#include "tree/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "tree/own_names.h"
#include "tree/walk_internal.h"

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080 /* linux/fs.h of 6.14 */
#endif

enum {
    LOOKS_MAX = 4, /* at a name that becomes something else each time */
};

void walk_describe(const struct walk *walk, struct entry *entry, enum entry_type type,
                   const struct stat *status)
{
    buf_add(&entry->path, walk->path.data, walk->path.length);
    entry->type = type;
    entry->mode = status->st_mode & 07777;
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->mtime_s = status->st_mtim.tv_sec;
    entry->mtime_ns = (uint32_t)status->st_mtim.tv_nsec;
}

void walk_report(const struct walk *walk, enum report_kind kind, const char *text)
{
    report_add(walk->source.report, kind, buf_slice(&walk->path), "%s", text);
}

enum visit walk_failed(struct walk *walk, int os_errno, struct error *err)
{
    switch (os_errno) {
    case ENOENT:
    case ESTALE:
        walk_report(walk, REPORT_VANISHED, "gone before it could be read");
        return VISIT_NOTHING;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSYS:
        error_set_os(err, os_errno, "reading '%.200s'", walk->path.data);
        return VISIT_ERROR;
    default:
        walk_report(walk, REPORT_UNREADABLE, strerrordesc_np(os_errno));
        return VISIT_NOTHING;
    }
}

enum visit walk_skip_special(const struct walk *walk, mode_t mode)
{
    const char *text = S_ISFIFO(mode)   ? "a FIFO"
                       : S_ISSOCK(mode) ? "a socket"
                       : S_ISCHR(mode)  ? "a character device"
                       : S_ISBLK(mode)  ? "a block device"
                                        : "of an unknown kind";
    walk_report(walk, REPORT_SKIPPED, text);
    return VISIT_NOTHING;
}

/* walk->path becomes the directory's path and the name. */
static void set_path(struct walk *walk, const struct frame *frame, const char *name, size_t length)
{
    buf_truncate(&walk->path, frame->path_length);
    if (frame->path_length > 0)
        buf_add_char(&walk->path, '/');
    buf_add(&walk->path, name, length);
}

static bool is_above(const struct walk *walk, const struct stat *status)
{
    for (size_t i = 0; i < walk->depth; i++)
        if (walk->frames[i].inode == status->st_ino && walk->frames[i].device == status->st_dev)
            return true;
    return false;
}

/* A directory that may not be listed is still an entry. */
static enum visit describe_closed_directory(struct walk *walk, struct entry *entry,
                                            struct error *err)
{
    struct stat status;
    int opened = beneath_open_raw(walk->root_fd, walk->path.data, O_PATH | O_DIRECTORY, 0);
    if (opened < 0)
        return walk_failed(walk, -opened, err);
    scope_fd int fd = opened;
    if (fstat(fd, &status) < 0)
        return walk_failed(walk, errno, err);
    walk_report(walk, REPORT_UNREADABLE, "a directory that we may not list");
    walk_describe(walk, entry, ENTRY_DIRECTORY, &status);
    return VISIT_ENTRY;
}

static enum visit visit_directory(struct walk *walk, const struct frame *frame, const char *name,
                                  struct entry *entry, struct error *err)
{
    int opened = beneath_open_raw(walk->root_fd, walk->path.data, O_RDONLY | O_DIRECTORY, 0);
    if (opened == -ENOENT || opened == -ENOTDIR || opened == -ELOOP) {
        int moved = walk_open_moved(walk, frame, name);
        opened = moved >= 0 || opened != -ENOENT ? moved : opened;
    }
    if (opened == -ENOTDIR || opened == -ELOOP)
        return VISIT_RETRY;
    if (opened == -EACCES)
        return describe_closed_directory(walk, entry, err);
    if (opened < 0)
        return walk_failed(walk, -opened, err);
    scope_fd int fd = opened;
    if (fstat(fd, &walk->pending) < 0)
        return walk_failed(walk, errno, err);
    if (is_above(walk, &walk->pending)) {
        walk_report(walk, REPORT_SKIPPED, "the same directory as one above it");
        return VISIT_NOTHING;
    }
    walk_describe(walk, entry, ENTRY_DIRECTORY, &walk->pending);
    walk_read_xattrs(walk, fd, entry);
    walk->pending_fd = scope_take_fd(&fd);
    return VISIT_ENTRY;
}

static enum visit visit_symlink(struct walk *walk, int dir_fd, const char *name,
                                struct entry *entry, struct error *err)
{
    int opened = beneath_open_raw(dir_fd, name, O_PATH | O_NOFOLLOW, 0);
    if (opened < 0)
        return walk_failed(walk, -opened, err);
    scope_fd int fd = opened;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return walk_failed(walk, errno, err);
    if (!S_ISLNK(status.st_mode))
        return VISIT_RETRY;
    char target[PATH_MAX];
    ssize_t length = readlinkat(fd, "", target, sizeof(target));
    if (length < 0)
        return walk_failed(walk, errno, err);
    walk_describe(walk, entry, ENTRY_SYMLINK, &status);
    buf_add(&entry->link, target, (size_t)length);
    return VISIT_ENTRY;
}

static enum visit visit_as(struct walk *walk, const struct frame *frame, const char *name,
                           unsigned char type, struct entry *entry, struct error *err)
{
    switch (type) {
    case DT_DIR:
        return visit_directory(walk, frame, name, entry, err);
    case DT_LNK:
        return visit_symlink(walk, frame->fd, name, entry, err);
    case DT_REG:
        return walk_visit_file(walk, frame->fd, name, entry, err);
    case DT_UNKNOWN:
        return VISIT_RETRY;
    default:
        return walk_skip_special(walk, DTTOIF(type));
    }
}

/* The name of a listing is what it was then; where it has become something else, look again. */
static enum visit visit(struct walk *walk, const struct frame *frame, const struct item *item,
                        struct entry *entry, struct error *err)
{
    const char *name = walk->names.data + item->offset;
    unsigned char type = item->type;
    set_path(walk, frame, name, item->length);
    if (frame->path_length == 0 && tree_is_own_name(name))
        return VISIT_NOTHING;
    if (walk->depth > ENTRY_DEPTH_MAX || walk->path.length > ENTRY_PATH_MAX_BYTES) {
        walk_report(walk, REPORT_UNREADABLE, "nested too deep, or its path is too long");
        return VISIT_NOTHING;
    }
    for (int looks = 0; looks < LOOKS_MAX; looks++) {
        enum visit result = visit_as(walk, frame, name, type, entry, err);
        if (result != VISIT_RETRY)
            return result;
        struct stat status;
        if (fstatat(frame->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            return walk_failed(walk, errno, err);
        type = (unsigned char)IFTODT(status.st_mode);
    }
    walk_report(walk, REPORT_CHANGED, "becomes something else each time; not stored");
    return VISIT_NOTHING;
}

/* Enter the directory that was given last. */
static void push(struct walk *walk)
{
    if (walk->depth >= WALK_OPEN_LEVELS) {
        struct frame *far = &walk->frames[walk->depth - WALK_OPEN_LEVELS];
        if (far->fd >= 0)
            close(far->fd);
        far->fd = -1;
    }
    walk->frames[walk->depth++] = (struct frame){
        .fd = walk->pending_fd,
        .device = walk->pending.st_dev,
        .inode = walk->pending.st_ino,
        .changed = walk->pending.st_ctim,
        .path_length = walk->path.length,
        .names_start = walk->names.length,
        .items_start = walk->item_count,
        .next = walk->item_count,
        .has_more = true,
    };
    walk->pending_fd = -1;
}

static void pop(struct walk *walk)
{
    struct frame *frame = &walk->frames[--walk->depth];
    if (frame->fd >= 0)
        close(frame->fd);
    buf_truncate(&walk->names, frame->names_start);
    walk->item_count = frame->items_start;
}

/* A directory that was closed on the way down, again; by its path, and only if it is still there. */
static enum visit reopen(struct walk *walk, struct frame *frame, struct error *err)
{
    struct stat status;
    buf_truncate(&walk->path, frame->path_length);
    int opened = beneath_open_raw(walk->root_fd, walk->path.data, O_RDONLY | O_DIRECTORY, 0);
    if (opened < 0 && opened != -ELOOP && opened != -ENOTDIR)
        return walk_failed(walk, -opened, err);
    scope_fd int fd = opened;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_ino != frame->inode ||
        status.st_dev != frame->device || lseek(fd, frame->position, SEEK_SET) < 0) {
        walk_report(walk, REPORT_VANISHED, "moved while it was read; what was left is missing");
        return VISIT_NOTHING;
    }
    frame->fd = scope_take_fd(&fd);
    return VISIT_ENTRY;
}

/* The top directory's next name, its next run of names, or its end. */
static enum visit advance(struct walk *walk, struct entry *entry, struct error *err)
{
    struct frame *frame = &walk->frames[walk->depth - 1];
    bool is_listed = frame->next == walk->item_count;
    if (is_listed && !frame->has_more) {
        if (!walk_list_changed(walk, frame))
            pop(walk);
        return VISIT_NOTHING;
    }
    enum visit opened = frame->fd >= 0 ? VISIT_ENTRY : reopen(walk, frame, err);
    if (opened != VISIT_ENTRY) {
        pop(walk);
        return opened;
    }
    if (!is_listed)
        return visit(walk, frame, &walk->items[frame->next++], entry, err);
    if (walk_list(walk, frame) < 0) {
        int reason = errno;
        buf_truncate(&walk->path, frame->path_length);
        pop(walk);
        /* Without its names a root is an empty archive, and nobody would look why. */
        if (walk->depth == 0) {
            error_set_os(err, reason, "listing the root directory");
            return VISIT_ERROR;
        }
        return walk_failed(walk, reason, err);
    }
    return VISIT_NOTHING;
}

/* The root cannot vanish or be forbidden: then there is no stream at all. */
static enum visit give_root(struct walk *walk, struct entry *entry, struct error *err)
{
    walk->is_started = true;
    int fd = beneath_open(walk->root_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
    if (fd < 0)
        return VISIT_ERROR;
    walk->pending_fd = fd;
    if (fstat(fd, &walk->pending) < 0) {
        error_set_os(err, errno, "reading the root directory");
        return VISIT_ERROR;
    }
    walk_describe(walk, entry, ENTRY_DIRECTORY, &walk->pending);
    walk_read_xattrs(walk, fd, entry);
    return VISIT_ENTRY;
}

static int walk_next(struct source *source, struct entry *entry, struct error *err)
{
    struct walk *walk = (struct walk *)source;
    walk_end_file(walk);
    if (!walk->is_started)
        return (int)give_root(walk, entry, err);
    if (walk->pending_fd >= 0)
        push(walk);
    enum visit result = VISIT_NOTHING;
    while (walk->depth > 0 && result == VISIT_NOTHING)
        result = advance(walk, entry, err);
    return (int)result;
}

static ssize_t walk_read(struct source *source, void *bytes, size_t length, struct error *err)
{
    return walk_read_file((struct walk *)source, bytes, length);
}

static void walk_skip_directory(struct source *source)
{
    struct walk *walk = (struct walk *)source;
    if (walk->pending_fd >= 0)
        close(walk->pending_fd);
    walk->pending_fd = -1;
}

static void walk_decline(struct source *source)
{
    struct walk *walk = (struct walk *)source;
    if (walk->file.has_link)
        links_forget(walk->links, walk->file.link_device, walk->file.link_inode);
}

static void walk_free(struct source *source)
{
    struct walk *walk = (struct walk *)source;
    if (walk->file.fd >= 0)
        close(walk->file.fd);
    walk_skip_directory(source);
    while (walk->depth > 0)
        pop(walk);
    links_free(walk->links);
    buf_free(&walk->path);
    buf_free(&walk->names);
    free(walk->items);
    free(walk->list);
    free(walk->xattrs);
    free(walk->small);
    free(walk->extents);
    free(walk);
}

static const struct source_ops walk_ops = {
    .next = walk_next,
    .read = walk_read,
    .skip_directory = walk_skip_directory,
    .decline = walk_decline,
    .free = walk_free,
};

struct source *walk_open(int root_fd, const struct walk_options *options, struct error *err)
{
    struct stat status;
    if (fstat(root_fd, &status) < 0) {
        error_set_os(err, errno, "opening a directory to walk it");
        return NULL;
    }
    if (!S_ISDIR(status.st_mode)) {
        error_set(err, ERROR_INVALID, "what is to be walked is not a directory");
        return NULL;
    }
    struct walk *walk = xcalloc(1, sizeof(*walk));
    walk->source.ops = &walk_ops;
    walk->options = *options;
    walk->root_fd = root_fd;
    walk->open_flags = O_NOATIME;
    walk->read_flags = RWF_DONTCACHE;
    walk->links = links_new(WALK_LINKS_MAX_BYTES);
    walk->path = (struct buf)BUF_INIT;
    walk->names = (struct buf)BUF_INIT;
    walk->pending_fd = -1;
    walk->file.fd = -1;
    walk->small = xmalloc(WALK_SMALL_BYTES + 1);
    return &walk->source;
}
