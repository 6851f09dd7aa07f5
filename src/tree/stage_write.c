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
    IMPLICIT_MODE = 0755,  /* of directories that have no entry */
    FLUSH_BYTES = 8 << 20, /* writing back begins in such pieces, so that no flood builds up */
    SHOWN_BYTES = 200,
    ENTRY_COST_BYTES = 4096, /* an object takes about a block besides its content */
    SPACE_STEP_BYTES = 8 << 20,
};

/* Where an entry is made: the directory, and the name in it. */
struct place {
    int dir_fd; /* borrowed */
    const char *name;
};

int stage_path_error(int os_errno, struct slice path, struct error *err)
{
    int shown = (int)(path.length < SHOWN_BYTES ? path.length : SHOWN_BYTES);
    if (os_errno == ELOOP || os_errno == EXDEV)
        return error_set(err, ERROR_DENIED, "'%.*s' leads through a link", shown,
                         (const char *)path.data);
    if (os_errno == ENOTDIR)
        return error_set(err, ERROR_INVALID, "'%.*s' lies below a file", shown,
                         (const char *)path.data);
    return error_set_os(err, os_errno, "making '%.*s'", shown, (const char *)path.data);
}

struct attributes attributes_of_stat(const struct stat *status)
{
    return (struct attributes){
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .mtime = status->st_mtim,
    };
}

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

/* false: the owner could not be set, which is named once. */
static bool set_owner(struct stage *stage, int fd, const char *name, struct slice path,
                      const struct attributes *attributes)
{
    if (stage->owners_refused)
        return false;
    if (fchownat(fd, name, attributes->uid, attributes->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ==
        0)
        return true;
    report_add(stage->sink.report, REPORT_ALTERED, path,
               "owner %u:%u cannot be set here (%s); further ones are not tried",
               (unsigned)attributes->uid, (unsigned)attributes->gid, strerrordesc_np(errno));
    stage->owners_refused = true;
    return false;
}

/* Which set-id bits stay: none unless wanted, and none with an owner that is not the one they meant. */
static mode_t allowed_mode(struct stage *stage, struct slice path, mode_t mode, bool has_owner)
{
    if ((mode & SET_ID_BITS) == 0)
        return mode;
    if ((stage->options.flags & STAGE_KEEP_SET_ID) != 0 && has_owner)
        return mode;
    report_add(stage->sink.report, REPORT_ALTERED, path, "without its set-id bits");
    return mode & ~(mode_t)SET_ID_BITS;
}

int stage_apply(struct stage *stage, int fd, struct slice path, struct attributes attributes,
                struct error *err)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes.mtime};
    bool has_owner = set_owner(stage, fd, "", path, &attributes);
    if (fchmod(fd, allowed_mode(stage, path, attributes.mode, has_owner)) < 0 ||
        futimens(fd, times) < 0)
        return error_set_os(err, errno, "setting mode and times of '%.*s'", (int)path.length,
                            (const char *)path.data);
    return 0;
}

int stage_apply_link(struct stage *stage, int dir_fd, const char *name, struct slice path,
                     struct attributes attributes, struct error *err)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes.mtime};
    set_owner(stage, dir_fd, name, path, &attributes);
    if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_os(err, errno, "setting the times of '%.*s'", (int)path.length,
                            (const char *)path.data);
    return 0;
}

/*
 * The reserve belongs to the neighbours, who write meanwhile, as other restores do.  So the file system is asked
 * again and again; it also knows what a million empty files cost.
 */
static int take_space(struct stage *stage, uint64_t bytes, struct error *err)
{
    uint64_t free_bytes, total_bytes;
    stage->unchecked_bytes += bytes;
    if (stage->options.reserve_bytes == 0 || stage->unchecked_bytes < SPACE_STEP_BYTES)
        return 0;
    stage->unchecked_bytes = 0;
    if (directory_free_space(stage->root_fd, &free_bytes, &total_bytes, err) < 0)
        return -1;
    if (free_bytes >= stage->options.reserve_bytes)
        return 0;
    return error_set(err, ERROR_NO_SPACE, "only %llu bytes are left, which a restore may not take",
                     (unsigned long long)free_bytes);
}

/* A directory that no entry made (yet). */
static int make_implicit(struct stage *stage, int dir_fd, const char *name, struct slice path,
                         struct error *err)
{
    if (mkdirat(dir_fd, name, 0700) < 0)
        return errno == EEXIST ? 0 : stage_path_error(errno, path, err);
    scope_fd int fd = beneath_open_raw(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return stage_path_error(-fd, path, err);
    if (stage->has_live && fchown(fd, stage->live.st_uid, stage->live.st_gid) < 0 && errno != EPERM)
        return stage_path_error(errno, path, err);
    if (fchmod(fd, IMPLICIT_MODE) < 0)
        return stage_path_error(errno, path, err);
    return 0;
}

/* Every directory of `path` that is missing. */
static int make_parents(struct stage *stage, const char *path, struct error *err)
{
    scope_buf struct buf part = BUF_INIT;
    scope_fd int dir_fd = beneath_open(stage->root_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
    if (dir_fd < 0)
        return -1;
    for (const char *rest = path; *rest != '\0';) {
        size_t length = strcspn(rest, "/");
        struct slice whole = slice_of(path, (size_t)(rest - path) + length);
        buf_clear(&part);
        buf_add(&part, rest, length);
        if (make_implicit(stage, dir_fd, part.data, whole, err) < 0)
            return -1;
        int next_fd = beneath_open_raw(dir_fd, part.data, O_RDONLY | O_DIRECTORY, 0);
        if (next_fd < 0)
            return stage_path_error(-next_fd, whole, err);
        close(dir_fd);
        dir_fd = next_fd;
        rest += length + (rest[length] == '/');
    }
    return 0;
}

static void forget_parent(struct stage *stage)
{
    if (stage->parent_cached_fd >= 0)
        close(stage->parent_cached_fd);
    stage->parent_cached_fd = -1;
}

/* The directory that `path` is in, made where no entry has made it.  Streams go directory by directory. */
static int find_place(struct stage *stage, const struct buf *path, struct place *place,
                      struct error *err)
{
    const char *slash = strrchr(path->data, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path->data);
    place->name = slash == NULL ? path->data : slash + 1;
    if (stage->parent_cached_fd < 0 || stage->parent_path.length != length ||
        memcmp(stage->parent_path.data, path->data, length) != 0) {
        forget_parent(stage);
        buf_clear(&stage->parent_path);
        buf_add(&stage->parent_path, path->data, length);
        const char *parent = stage->parent_path.data;
        int fd = beneath_open_raw(stage->root_fd, parent, O_RDONLY | O_DIRECTORY, 0);
        if (fd == -ENOENT) {
            if (make_parents(stage, parent, err) < 0)
                return -1;
            fd = beneath_open_raw(stage->root_fd, parent, O_RDONLY | O_DIRECTORY, 0);
        }
        if (fd < 0)
            return stage_path_error(-fd, buf_slice(path), err);
        stage->parent_cached_fd = fd;
    }
    place->dir_fd = stage->parent_cached_fd;
    return 0;
}

/* The path is taken: what came before goes, never written to, as other names may share it. */
static int replace(const struct place *place, struct error *err)
{
    return beneath_remove_tree(place->dir_fd, place->name, err);
}

static int open_new_file(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct place place;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    if (find_place(stage, &entry->path, &place, err) < 0)
        return -1;
    int fd = beneath_open_raw(place.dir_fd, place.name, flags, 0600);
    if (fd == -EEXIST || fd == -ELOOP) {
        if (replace(&place, err) < 0)
            return -1;
        fd = beneath_open_raw(place.dir_fd, place.name, flags, 0600);
    }
    if (fd < 0)
        return stage_path_error(-fd, buf_slice(&entry->path), err);
    return fd;
}

static int begin_file(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct stage_file *file = &stage->file;
    uint64_t limit = stage->options.limit_bytes;
    if (limit > 0 &&
        (entry->stored_bytes > limit || stage->content_bytes > limit - entry->stored_bytes))
        return error_set(err, ERROR_LIMIT, "what is restored is larger than %llu bytes",
                         (unsigned long long)limit);
    stage->content_bytes += entry->stored_bytes;
    int fd = open_new_file(stage, entry, err);
    if (fd < 0)
        return -1;
    file->fd = fd;
    file->attributes = attributes_of_entry(stage, entry);
    file->offset = file->flushed = 0;
    file->extent = file->extent_count = 0;
    buf_clear(&file->path);
    buf_add(&file->path, entry->path.data, entry->path.length);
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

static int end_file(struct stage *stage, struct error *err)
{
    struct stage_file *file = &stage->file;
    if (file->fd < 0)
        return 0;
    int result = stage_apply(stage, file->fd, buf_slice(&file->path), file->attributes, err);
    close(file->fd); /* late errors come with syncfs */
    file->fd = -1;
    free(file->extents);
    file->extents = NULL;
    return result;
}

static int add_directory(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct attributes attributes = attributes_of_entry(stage, entry);
    struct place place;
    struct stat status;
    stage->has_root_entry |= entry->path.length == 0;
    if (entry->path.length == 0)
        return ledger_add(&stage->ledger, buf_slice(&entry->path), &attributes, err);
    if (find_place(stage, &entry->path, &place, err) < 0)
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
    return ledger_add(&stage->ledger, buf_slice(&entry->path), &attributes, err);
}

static int add_symlink(struct stage *stage, const struct entry *entry, struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    struct place place;
    if (find_place(stage, &entry->path, &place, err) < 0)
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
    if (find_place(stage, &entry->path, &place, err) < 0)
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
    if (end_file(stage, err) < 0 || take_space(stage, ENTRY_COST_BYTES, err) < 0)
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

/* Up to the end of the current extent; what was written counts in `*done`. */
static int write_piece(struct stage_file *file, const char *bytes, size_t length, size_t *done,
                       struct error *err)
{
    if (file->extents != NULL) {
        const struct extent *extent = &file->extents[file->extent];
        uint64_t room = extent->offset + extent->length - file->offset;
        if (length > room)
            length = (size_t)room;
    }
    ssize_t written = pwrite(file->fd, bytes, length, (off_t)file->offset);
    if (written < 0 && errno == EINTR)
        return 0;
    if (written <= 0)
        return error_set_os(err, written < 0 ? errno : ENOSPC, "writing '%.200s'", file->path.data);
    *done += (size_t)written;
    file->offset += (uint64_t)written;
    if (file->extents == NULL)
        return 0;
    const struct extent *extent = &file->extents[file->extent];
    if (file->offset == extent->offset + extent->length && file->extent + 1 < file->extent_count)
        file->offset = file->extents[++file->extent].offset;
    return 0;
}

static int stage_write(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
    struct stage *stage = (struct stage *)sink;
    struct stage_file *file = &stage->file;
    if (take_space(stage, length, err) < 0)
        return -1;
    for (size_t done = 0; done < length;)
        if (write_piece(file, (const char *)bytes + done, length - done, &done, err) < 0)
            return -1;
    if (file->offset >= file->flushed + FLUSH_BYTES) {
        sync_file_range(file->fd, (off_t)file->flushed, (off_t)(file->offset - file->flushed),
                        SYNC_FILE_RANGE_WRITE);
        file->flushed = file->offset;
    }
    return 0;
}

static int stage_finish(struct sink *sink, struct error *err)
{
    struct stage *stage = (struct stage *)sink;
    if (end_file(stage, err) < 0)
        return -1;
    forget_parent(stage);
    if (!stage->has_root_entry) {
        struct attributes root = {.mode = IMPLICIT_MODE, .uid = geteuid(), .gid = getegid()};
        root.mtime.tv_nsec = UTIME_NOW;
        if (stage->has_live)
            root = attributes_of_stat(&stage->live);
        if (ledger_add(&stage->ledger, slice_str(""), &root, err) < 0)
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
    .finish = stage_finish,
    .free = stage_sink_free,
};
