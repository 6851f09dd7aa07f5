/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instant of a restore, and what is left behind.  Invariant: what is live is a whole tree, the old
 * one or the new one, or on its way to be one; and only a box that is known to hold the loser is removed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/stage_internal.h"

/* "\040" and its like, as mountinfo writes blanks, line ends and backslashes; in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* The mount point of a line of /proc/self/mountinfo: its fifth field; NULL where it has none. */
static char *mount_point_of(char *line)
{
    char *field = line;
    for (int i = 0; i < 4 && field != NULL; i++) {
        field = strchr(field, ' ');
        if (field != NULL)
            field++;
    }
    char *end = field == NULL ? NULL : strchr(field, ' ');
    if (end == NULL)
        return NULL;
    *end = '\0';
    unescape(field);
    return field;
}

int stage_open_live(const struct stage *stage, struct error *err)
{
    return beneath_open(stage->parent_fd, stage->live_name, O_RDONLY | O_DIRECTORY, 0, err);
}

bool stage_is_inside(const struct stage *stage)
{
    return strcmp(stage->live_name, ".") == 0;
}

/*
 * A mount in the live tree would move away with the old tree, and be emptied
 * with it.  Where /proc cannot be read, the kernel still refuses those on the root and on its entries.
 */
int stage_check_mounts(const struct stage *stage, struct error *err)
{
    char link[64], path[PATH_MAX];
    scope_fd int live_fd = stage_open_live(stage, err);
    if (live_fd < 0)
        return -1;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", live_fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    scope_file FILE *mounts = length > 0 ? fopen("/proc/self/mountinfo", "re") : NULL;
    if (mounts == NULL)
        return 0;
    path[length] = '\0';

    scope_free char *text = NULL;
    size_t capacity = 0;
    while (getline(&text, &capacity, mounts) > 0) {
        const char *point = mount_point_of(text);
        if (point != NULL && strncmp(point, path, (size_t)length) == 0 &&
            ((point[length] == '\0' && !stage_is_inside(stage)) || point[length] == '/'))
            return error_set(err, ERROR_CONFLICT, "'%.200s' is mounted in the live directory",
                             point);
    }
    return 0;
}

/* 1: the name is a directory, described in `status`.  0: nothing is there. */
static int look_at(int dir_fd, const char *name, struct stat *status, struct error *err)
{
    if (fstatat(dir_fd, name, status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_set_os(err, errno, "looking at '%s'", name);
    if (!S_ISDIR(status->st_mode))
        return error_set(err, ERROR_CONFLICT, "'%s' is not a directory", name);
    return 1;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* The box under its name is the one that was made, with the tree in it. */
static int check_stage(const struct stage *stage, struct error *err)
{
    struct stat box, tree;
    int found = look_at(stage->parent_fd, stage->stage_name, &box, err);
    if (found > 0 && is_same(&box, &stage->box))
        found = look_at(stage->box_fd, EXCHANGE_TREE, &tree, err);
    else if (found > 0)
        found = 0;
    if (found < 0)
        return -1;
    if (found == 0 || !is_same(&tree, &stage->own))
        return error_set(err, ERROR_CONFLICT, "the stage '%s' was taken away", stage->stage_name);
    return 0;
}

/* A directory that moves must be writable to us, as its ".." changes; root may write everywhere. */
static mode_t open_tree(int dir_fd, const char *name)
{
    struct stat status;
    if (geteuid() == 0 || fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISDIR(status.st_mode) || (status.st_mode & S_IWUSR) != 0 ||
        beneath_chmod(dir_fd, name, (status.st_mode & 07777) | S_IWUSR) < 0)
        return 0;
    return status.st_mode & 07777;
}

static int swap(struct stage *stage, unsigned flags, struct error *err)
{
    mode_t staged = open_tree(stage->box_fd, EXCHANGE_TREE);
    mode_t live = open_tree(stage->parent_fd, stage->live_name);
    int result = renameat2(stage->box_fd, EXCHANGE_TREE, stage->parent_fd, stage->live_name, flags);
    int reason = errno;
    bool is_done = result == 0;
    if (staged != 0)
        beneath_chmod(is_done ? stage->parent_fd : stage->box_fd,
                      is_done ? stage->live_name : EXCHANGE_TREE, staged);
    if (live != 0)
        beneath_chmod(is_done ? stage->box_fd : stage->parent_fd,
                      is_done ? EXCHANGE_TREE : stage->live_name, live);
    if (is_done)
        return 0;
    if (reason == EBUSY || reason == EXDEV || reason == EINVAL)
        return error_set(
            err, ERROR_CONFLICT, "'%s' cannot be exchanged in one step: %s", stage->live_name,
            reason == EINVAL ? "the file system does not know how" : "it is a mount point");
    return error_set_os(err, reason, "exchanging '%s'", stage->live_name);
}

/* From the rename on the new tree is live; what fails then is a doubt. */
static int exchange_directory(struct stage *stage, bool has_live, struct error *err)
{
    if (stage_is_inside(stage))
        return error_set(err, ERROR_CONFLICT, "a mount point cannot be exchanged in one step");
    if (swap(stage, has_live ? RENAME_EXCHANGE : RENAME_NOREPLACE, err) < 0)
        return -1;
    if (file_sync(stage->parent_fd, "the directory of the exchange", &stage->doubt) == 0)
        (void)file_sync(stage->box_fd, "the directory of the replaced tree", &stage->doubt);
    return 0;
}

int stage_exchange(struct stage *stage, enum exchange_way way, struct error *err)
{
    struct stat status;
    assert(stage->sink.is_finished && !stage->is_exchanged);
    int live = check_stage(stage, err) < 0
                   ? -1
                   : look_at(stage->parent_fd, stage->live_name, &status, err);
    if (live < 0 || (live > 0 && stage_check_mounts(stage, err) < 0))
        return -1;
    int result;
    if (live == 0) {
        result = exchange_directory(stage, false, err);
    } else {
        scope_fd int live_fd = stage_open_live(stage, err);
        if (live_fd < 0)
            return -1;
        if (way == EXCHANGE_AUTO)
            way = stage_is_inside(stage) || exchange_is_held(live_fd) ? EXCHANGE_ENTRIES
                                                                      : EXCHANGE_DIRECTORY;
        result = way == EXCHANGE_ENTRIES
                     ? exchange_entries(stage->box_fd, live_fd, &stage->doubt, err)
                     : exchange_directory(stage, true, err);
    }
    stage->is_exchanged = result == 0;
    return result;
}

bool stage_is_torn(const struct stage *stage)
{
    return !stage->is_exchanged && exchange_is_torn(stage->box_fd);
}

const struct error *stage_doubt(const struct stage *stage)
{
    return error_is_set(&stage->doubt) ? &stage->doubt : NULL;
}

int stage_discard(struct stage *stage, struct error *err)
{
    struct stat status;
    int found = look_at(stage->parent_fd, stage->stage_name, &status, err);
    if (found <= 0)
        return found;
    if (!is_same(&status, &stage->box))
        return error_set(err, ERROR_CONFLICT, "'%s' is not the stage that was to be removed",
                         stage->stage_name);
    if (stage_is_torn(stage))
        return error_set(err, ERROR_CONFLICT, "'%s' holds a part of the live directory",
                         stage->stage_name);
    return beneath_remove_tree(stage->parent_fd, stage->stage_name, err);
}
