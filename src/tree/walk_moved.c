/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that are renamed, and names that come in, while we walk.  What stays in the tree throughout should be
 * in the stream, wherever it was moved: a directory that is being walked is walked to its end, under the path that it
 * had, and one whose names have changed since they were listed is listed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/walk_internal.h"

enum {
    ROUNDS_MAX = 4, /* of a directory that changes each time */
};

static bool is_same_object(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Whether the way up from `dir_fd` passes the root. */
static bool is_inside(const struct walk *walk, int dir_fd)
{
    struct stat root, here, last = {0};
    scope_fd int fd = -1;
    if (fstat(walk->root_fd, &root) < 0 || fstat(dir_fd, &here) < 0)
        return false;
    for (int depth = 0; depth <= 2 * ENTRY_DEPTH_MAX; depth++) {
        if (is_same_object(&here, &root))
            return true;
        if (is_same_object(&here, &last))
            return false; /* the top of everything */
        last = here;
        int up = openat(fd >= 0 ? fd : dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            close(fd);
        fd = up;
        if (fd < 0 || fstat(fd, &here) < 0)
            return false;
    }
    return false;
}

int walk_open_moved(const struct walk *walk, const struct frame *frame, const char *name)
{
    if (frame->fd < 0)
        return -ENOENT;
    int fd = beneath_open_raw(frame->fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0 && !is_inside(walk, fd)) {
        close(fd);
        return -ENOENT;
    }
    return fd;
}

bool walk_list_changed(struct walk *walk, struct frame *frame)
{
    struct stat status;
    if (frame->fd < 0 || !frame->is_whole || frame->rounds >= ROUNDS_MAX ||
        fstat(frame->fd, &status) < 0 ||
        (status.st_ctim.tv_sec == frame->changed.tv_sec &&
         status.st_ctim.tv_nsec == frame->changed.tv_nsec))
        return false;
    frame->changed = status.st_ctim;
    frame->rounds++;
    return walk_list_added(walk, frame) && frame->next < walk->item_count;
}
