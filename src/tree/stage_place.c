/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an entry is made: the directory that it lies in, opened below the stage without passing a
 * link, with the parents that no entry made.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/stage_internal.h"

enum {
    IMPLICIT_MODE = 0755, /* of directories that have no entry */
    SHOWN_BYTES = 200,
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

/* A directory that no entry made (yet). */
static int make_implicit(struct stage *stage, int dir_fd, const char *name, struct slice path,
                         struct error *err)
{
    if (mkdirat(dir_fd, name, 0700) < 0)
        return errno == EEXIST ? 0 : stage_path_error(errno, path, err);
    if (stage_take_object(stage, 0, err) < 0)
        return -1;
    scope_fd int fd = beneath_open_raw(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return stage_path_error(-fd, path, err);
    if (stage->has_live && fchown(fd, stage->live.st_uid, stage->live.st_gid) < 0 && errno != EPERM)
        return stage_path_error(errno, path, err);
    /* Mounted with `grpid`, what is made in it now gets its group. */
    if (stage->has_live && stage->live.st_gid != stage->created.gid)
        stage->created.sets_every_owner = true;
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

void stage_forget_parent(struct stage *stage)
{
    if (stage->parent_cached_fd >= 0)
        close(stage->parent_cached_fd);
    stage->parent_cached_fd = -1;
}

/* Streams go directory by directory: the last one is kept. */
int stage_find_place(struct stage *stage, const struct buf *path, struct place *place,
                     struct error *err)
{
    const char *slash = strrchr(path->data, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path->data);
    place->name = slash == NULL ? path->data : slash + 1;
    if (stage->parent_cached_fd < 0 || stage->parent_path.length != length ||
        memcmp(stage->parent_path.data, path->data, length) != 0) {
        stage_forget_parent(stage);
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
