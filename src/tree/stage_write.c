/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage as a sink.  Invariant: an object is made only in a directory that was
 * opened below the stage without passing a link, under a name that was free (O_EXCL);
 * so whatever a stream says, nothing outside the stage is touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "tree/stage_internal.h"

enum {
    SET_ID_BITS = 06000,
    PERMISSION_BITS = 0777,
    OWNER_MODE = 0600,    /* lets extended attributes be set */
    IMPLICIT_MODE = 0755, /* of a root that has no entry */
    SHOWN_BYTES = 200,
    SPACE_STEP_BYTES = 8 << 20,
    OBJECT_BYTES = 4096, /* what one takes besides its content, about */
};

static struct attributes attributes_of_entry(const struct stage *stage, const struct entry *entry)
{
    struct attributes attributes = {
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .mtime = {.tv_sec = entry->mtime_s, .tv_nsec = entry->mtime_ns},
    };
    if ((stage->options.flags & STAGE_OWNER_OF_ROOT) != 0) {
        attributes.uid = stage->has_live ? stage->live.st_uid : geteuid();
        attributes.gid = stage->has_live ? stage->live.st_gid : getegid();
    }
    return attributes;
}

/*
 * The reserve belongs to the neighbours, who write meanwhile, as other restores do.  So the file system is asked
 * again and again; it also knows what a million empty files cost.
 */
int stage_take_space(struct stage *stage, uint64_t bytes, struct error *err)
{
    uint64_t free_bytes, total_bytes;
    stage->unchecked_bytes += bytes;
    if (stage->options.reserve_bytes == 0 || stage->unchecked_bytes < SPACE_STEP_BYTES)
        return 0;
    stage->unchecked_bytes = 0;
    if (directory_free_space(stage->root_fd, &free_bytes, &total_bytes, err) < 0)
        return -1;
    /* What the writers still hold will be taken, too. */
    uint64_t pending_bytes = writers_pending_bytes(stage->writers);
    if (free_bytes >= pending_bytes && free_bytes - pending_bytes >= stage->options.reserve_bytes)
        return 0;
    return error_set(err, ERROR_NO_SPACE, "only %llu bytes are left, which a restore may not take",
                     (unsigned long long)free_bytes);
}

int stage_take_object(struct stage *stage, uint64_t content_bytes, struct error *err)
{
    uint64_t limit = stage->options.limit_bytes, limit_objects = stage->options.limit_objects;
    if (limit > 0 && (content_bytes > limit || stage->content_bytes > limit - content_bytes))
        return error_set(err, ERROR_LIMIT, "what is restored is larger than %llu bytes",
                         (unsigned long long)limit);
    if (limit_objects > 0 && stage->objects >= limit_objects)
        return error_set(err, ERROR_LIMIT,
                         "what is restored has more than %llu files, links and directories",
                         (unsigned long long)limit_objects);
    stage->content_bytes += content_bytes;
    stage->objects++;
    return stage_take_space(stage, OBJECT_BYTES, err);
}

/* The path is taken: what came before goes, never written to, as other names may share it. */
static int replace(const struct place *place, struct error *err)
{
    return beneath_remove_tree(place->dir_fd, place->name, err);
}

static int open_new_file(struct stage *stage, const struct entry *entry, mode_t mode,
                         struct error *err)
{
    struct place place;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    if (stage_find_place(stage, &entry->path, &place, err) < 0)
        return -1;
    int fd = beneath_open_raw(place.dir_fd, place.name, flags, mode);
    if (fd == -EMFILE || fd == -ENFILE) { /* the writers hold some that they are about to close */
        if (writers_drain(stage->writers, err) < 0)
            return -1;
        fd = beneath_open_raw(place.dir_fd, place.name, flags, mode);
    }
    if (fd == -EEXIST || fd == -ELOOP) {
        if (replace(&place, err) < 0)
            return -1;
        fd = beneath_open_raw(place.dir_fd, place.name, flags, mode);
    }
    if (fd < 0)
        return stage_path_error(-fd, buf_slice(&entry->path), err);
    return fd;
}

/* Where the content goes; a file with holes gets its size now. */
static int set_extents(struct stage_file *file, const struct entry *entry, int fd,
                       struct error *err)
{
    file->offset = 0;
    file->extent = file->extent_count = 0;
    if (entry->extents == NULL)
        return 0;
    file->extent_count = entry->extent_count;
    if (entry->extent_count > 0) {
        file->extents = xmemdup(entry->extents, entry->extent_count * sizeof(*entry->extents));
        file->offset = file->extents[0].offset;
    }
    if (ftruncate(fd, (off_t)entry->size_bytes) < 0)
        return error_set_os(err, errno, "making '%.200s' %llu bytes long", entry->path.data,
                            (unsigned long long)entry->size_bytes);
    return 0;
}

/*
 * Set-id bits that may stay are set by stage_apply(), which knows what became of the owner, and privileged
 * attributes after it, as a write or a new owner takes them away.  The writers set all else.
 */
static int keep_for_late(struct stage *stage, int fd, struct slice xattrs,
                         struct attributes *attributes, struct error *err)
{
    struct stage_file *file = &stage->file;
    struct slice path = buf_slice(&file->path);
    bool has_set_id = (attributes->mode & SET_ID_BITS) != 0;
    if (has_set_id && (stage->options.flags & STAGE_KEEP_SET_ID) == 0) {
        attributes->mode = stage_allowed_mode(stage, path, attributes->mode, true);
        has_set_id = false;
    }
    if (!has_set_id && !stage_has_xattrs(stage, xattrs, XATTR_PRIVILEGED))
        return 0;
    file->late = *attributes;
    buf_clear(&file->late_xattrs);
    buf_add(&file->late_xattrs, xattrs.data, xattrs.length);
    file->late_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (file->late_fd < 0)
        return error_set_os(err, errno, "making '%.200s'", file->path.data);
    attributes->mode &= ~(mode_t)SET_ID_BITS;
    return 0;
}

static int begin_file(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct stage_file *file = &stage->file;
    struct attributes attributes = attributes_of_entry(stage, entry);
    struct slice xattrs = buf_slice(&entry->xattrs);
    bool has_xattrs = stage_has_xattrs(stage, xattrs, XATTR_PLAIN);
    mode_t mode = has_xattrs ? OWNER_MODE : attributes.mode & PERMISSION_BITS;
    scope_fd int fd = open_new_file(stage, entry, mode, err);
    if (fd < 0)
        return -1;
    buf_clear(&file->path);
    buf_add(&file->path, entry->path.data, entry->path.length);
    if (set_extents(file, entry, fd, err) < 0 ||
        keep_for_late(stage, fd, xattrs, &attributes, err) < 0)
        return -1;
    stage_set_xattrs(stage, fd, buf_slice(&file->path), xattrs, XATTR_PLAIN);
    stage_refuse_xattrs(stage, buf_slice(&file->path), xattrs);
    struct writers_task task = {
        .fd = scope_take_fd(&fd),
        .path = buf_slice(&file->path),
        .size_bytes = entry->size_bytes,
        .has_holes = entry->extents != NULL,
        .sets_owner = !stage->owners_refused && stage_sets_owner(stage, &attributes),
        .sets_mode = has_xattrs || stage_sets_mode(stage, attributes.mode),
        .attributes = attributes,
    };
    writers_begin(stage->writers, &task);
    file->is_open = true;
    return 0;
}

static int end_late(struct stage *stage, struct error *err)
{
    struct stage_file *file = &stage->file;
    if (writers_drain(stage->writers, err) < 0)
        return -1;
    stage_take_refusal(stage);
    struct slice path = buf_slice(&file->path);
    if (stage_apply(stage, file->late_fd, path, file->late, err) < 0)
        return -1;
    stage_set_xattrs(stage, file->late_fd, path, buf_slice(&file->late_xattrs), XATTR_PRIVILEGED);
    return 0;
}

static int end_file(struct stage *stage, struct error *err)
{
    struct stage_file *file = &stage->file;
    if (!file->is_open)
        return 0;
    file->is_open = false;
    int result = writers_end(stage->writers, err);
    if (result == 0 && file->late_fd >= 0)
        result = end_late(stage, err);
    if (file->late_fd >= 0)
        close(file->late_fd);
    file->late_fd = -1;
    free(file->extents);
    file->extents = NULL;
    stage_take_refusal(stage);
    return result;
}

static int add_to_ledger(struct stage *stage, const struct entry *entry,
                         const struct attributes *attributes, struct error *err)
{
    bool wants_xattrs = (stage->options.flags & STAGE_XATTRS) != 0;
    struct slice path = buf_slice(&entry->path);
    struct slice xattrs = wants_xattrs ? buf_slice(&entry->xattrs) : slice_str("");
    stage_refuse_xattrs(stage, path, xattrs);
    return ledger_add(&stage->ledger, path, attributes, xattrs, err);
}

static int add_directory(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct attributes attributes = attributes_of_entry(stage, entry);
    struct place place;
    struct stat status;
    stage->has_root_entry |= entry->path.length == 0;
    if (entry->path.length == 0)
        return add_to_ledger(stage, entry, &attributes, err);
    if (stage_find_place(stage, &entry->path, &place, err) < 0)
        return -1;
    int made = mkdirat(place.dir_fd, place.name, 0700);
    if (made < 0 && errno == EEXIST &&
        fstatat(place.dir_fd, place.name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(status.st_mode))
            made = 0;
        else if (replace(&place, err) < 0)
            return -1;
        else
            made = mkdirat(place.dir_fd, place.name, 0700);
    }
    if (made < 0)
        return stage_path_error(errno, buf_slice(&entry->path), err);
    return add_to_ledger(stage, entry, &attributes, err);
}

static int add_symlink(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    struct place place;
    if (stage_find_place(stage, &entry->path, &place, err) < 0)
        return -1;
    int made = symlinkat(entry->link.data, place.dir_fd, place.name);
    if (made < 0 && errno == EEXIST) {
        if (replace(&place, err) < 0)
            return -1;
        made = symlinkat(entry->link.data, place.dir_fd, place.name);
    }
    if (made < 0 && errno == ENAMETOOLONG) {
        report_add(stage->sink.report, REPORT_REFUSED, path, "a link with a target too long");
        return 0;
    }
    if (made < 0)
        return stage_path_error(errno, path, err);
    return stage_apply_link(stage, place.dir_fd, place.name, path,
                            attributes_of_entry(stage, entry), err);
}

/* The directory of a hard link's target; -1 with `err` unset where there is none. */
static int open_target_parent(struct stage *stage, const struct buf *link, const char **name_out,
                              struct error *err)
{
    scope_buf struct buf parent = BUF_INIT;
    const char *slash = strrchr(link->data, '/');
    buf_add(&parent, link->data, slash == NULL ? 0 : (size_t)(slash - link->data));
    *name_out = slash == NULL ? link->data : slash + 1;
    int fd = beneath_open_raw(stage->root_fd, parent.data, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return -1;
    return fd < 0 ? stage_path_error(-fd, buf_slice(link), err) : fd;
}

static int refuse_link(struct stage *stage, const struct entry *entry, const char *why)
{
    report_add(stage->sink.report, REPORT_REFUSED, buf_slice(&entry->path),
               "a hard link to '%.*s', %s", SHOWN_BYTES, entry->link.data, why);
    return 0;
}

static int add_hardlink(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct place place;
    struct stat target, taken;
    const char *target_name;
    scope_fd int target_fd = open_target_parent(stage, &entry->link, &target_name, err);
    if (error_is_set(err))
        return -1;
    if (target_fd < 0 || fstatat(target_fd, target_name, &target, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(target.st_mode))
        return refuse_link(stage, entry, "which is no file of this stream");
    if (stage_find_place(stage, &entry->path, &place, err) < 0)
        return -1;
    if (fstatat(place.dir_fd, place.name, &taken, AT_SYMLINK_NOFOLLOW) == 0) {
        if (taken.st_ino == target.st_ino && taken.st_dev == target.st_dev)
            return 0; /* itself, or a name that it has already */
        if (S_ISDIR(taken.st_mode))
            return refuse_link(stage, entry, "where a directory is already");
        if (replace(&place, err) < 0)
            return -1;
    }
    if (linkat(target_fd, target_name, place.dir_fd, place.name, 0) == 0)
        return 0;
    if (errno == EMLINK)
        return refuse_link(stage, entry, "which has too many names");
    return stage_path_error(errno, buf_slice(&entry->path), err);
}

static int stage_entry(struct sink *sink, const struct entry *entry, struct error *err)
{
    struct stage *stage = (struct stage *)sink;
    uint64_t content_bytes = entry->type == ENTRY_FILE ? entry->stored_bytes : 0;
    if (end_file(stage, err) < 0 || stage_take_object(stage, content_bytes, err) < 0)
        return -1;
    switch (entry->type) {
    case ENTRY_FILE:
        return begin_file(stage, entry, err);
    case ENTRY_DIRECTORY:
        return add_directory(stage, entry, err);
    case ENTRY_SYMLINK:
        return add_symlink(stage, entry, err);
    case ENTRY_HARDLINK:
        return add_hardlink(stage, entry, err);
    }
    return error_set(err, ERROR_INVALID, "'%.200s' is of no known type", entry->path.data);
}

/* Up to the end of the current extent; how much that was. */
static ssize_t write_piece(struct stage *stage, const char *bytes, size_t length, struct error *err)
{
    struct stage_file *file = &stage->file;
    if (file->extents == NULL) {
        if (writers_write(stage->writers, file->offset, bytes, length, err) < 0)
            return -1;
        file->offset += length;
        return (ssize_t)length;
    }
    const struct extent *extent = &file->extents[file->extent];
    uint64_t end = extent->offset + extent->length;
    if (length > end - file->offset)
        length = (size_t)(end - file->offset);
    if (writers_write(stage->writers, file->offset, bytes, length, err) < 0)
        return -1;
    file->offset += length;
    if (file->offset == end && file->extent + 1 < file->extent_count)
        file->offset = file->extents[++file->extent].offset;
    return (ssize_t)length;
}

static int stage_write(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
    struct stage *stage = (struct stage *)sink;
    if (stage_take_space(stage, length, err) < 0)
        return -1;
    for (size_t done = 0; done < length;) {
        ssize_t put = write_piece(stage, (const char *)bytes + done, length - done, err);
        if (put < 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

static void *stage_room(struct sink *sink, size_t *length)
{
    struct stage *stage = (struct stage *)sink;
    const struct stage_file *file = &stage->file;
    void *room = writers_room(stage->writers, file->offset, length);
    if (room == NULL || file->extents == NULL)
        return room;
    const struct extent *extent = &file->extents[file->extent];
    uint64_t left = extent->offset + extent->length - file->offset;
    if (*length > left)
        *length = (size_t)left;
    return room;
}

static int stage_finish(struct sink *sink, struct error *err)
{
    struct stage *stage = (struct stage *)sink;
    if (end_file(stage, err) < 0 || writers_drain(stage->writers, err) < 0)
        return -1;
    stage_take_refusal(stage);
    stage_forget_parent(stage);
    if (!stage->has_root_entry) {
        struct attributes root = {.mode = IMPLICIT_MODE, .uid = geteuid(), .gid = getegid()};
        root.mtime.tv_nsec = UTIME_NOW;
        if (stage->has_live)
            root = attributes_of_stat(&stage->live);
        if (ledger_add(&stage->ledger, slice_str(""), &root, slice_str(""), err) < 0)
            return -1;
    }
    if (ledger_apply(stage, err) < 0)
        return -1;
    return stage_sync(stage, err);
}

/* The sink is a part of the stage, which is freed by stage_free(). */
static void stage_sink_free(struct sink *sink)
{
}

const struct sink_ops stage_sink_ops = {
    .entry = stage_entry,
    .write = stage_write,
    .room = stage_room,
    .finish = stage_finish,
    .free = stage_sink_free,
};
