/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instant of a restore, and what is left behind.  Invariant: the live name is
 * always a whole tree, the old one or the new one; and only a tree that is known to be
 * the loser is removed.
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

/*
 * A mount in the live tree would move away with the old tree, and be emptied
 * with it.  Where /proc cannot be read, the kernel still refuses the root's own.
 */
int stage_check_mounts(const struct stage *stage, struct error *err)
{
    char link[64], path[PATH_MAX];
    scope_fd int live_fd =
        beneath_open(stage->parent_fd, stage->live_name, O_PATH | O_DIRECTORY, 0, err);
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
            (point[length] == '\0' || point[length] == '/'))
            return error_set(err, ERROR_CONFLICT, "'%.200s' is mounted in the live directory",
                             point);
    }
    return 0;
}

/* 1: the name is a directory, described in `status`.  0: nothing is there. */
static int look_at(const struct stage *stage, const char *name, struct stat *status,
                   struct error *err)
{
    if (fstatat(stage->parent_fd, name, status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_set_os(err, errno, "looking at '%s'", name);
    if (!S_ISDIR(status->st_mode))
        return error_set(err, ERROR_CONFLICT, "'%s' is not a directory", name);
    return 1;
}

static bool is_own(const struct stage *stage, const struct stat *status)
{
    return status->st_ino == stage->own.st_ino && status->st_dev == stage->own.st_dev;
}

static int swap(struct stage *stage, unsigned flags, struct error *err)
{
    if (renameat2(stage->parent_fd, stage->stage_name, stage->parent_fd, stage->live_name, flags) ==
        0)
        return 0;
    int reason = errno;
    if (reason == EBUSY || reason == EXDEV || reason == EINVAL)
        return error_set(
            err, ERROR_CONFLICT, "'%s' cannot be exchanged in one step: %s", stage->live_name,
            reason == EINVAL ? "the file system does not know how" : "it is a mount point");
    return error_set_os(err, reason, "exchanging '%s'", stage->live_name);
}

int stage_exchange(struct stage *stage, struct error *err)
{
    struct stat status;
    assert(stage->sink.is_finished && !stage->is_exchanged);
    int staged = look_at(stage, stage->stage_name, &status, err);
    if (staged < 0)
        return -1;
    if (staged == 0 || !is_own(stage, &status))
        return error_set(err, ERROR_CONFLICT, "the stage '%s' was taken away", stage->stage_name);
    int live = look_at(stage, stage->live_name, &status, err);
    if (live < 0 || (live > 0 && stage_check_mounts(stage, err) < 0))
        return -1;
    if (swap(stage, live > 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE, err) < 0)
        return -1;
    stage->is_exchanged = true;
    return file_sync(stage->parent_fd, "the directory of the exchange", err);
}

int stage_discard(struct stage *stage, struct error *err)
{
    struct stat status;
    int found = look_at(stage, stage->stage_name, &status, err);
    if (found <= 0)
        return found;
    if (is_own(stage, &status) == stage->is_exchanged)
        return error_set(err, ERROR_CONFLICT, "'%s' is not the tree that was to be removed",
                         stage->stage_name);
    return beneath_remove_tree(stage->parent_fd, stage->stage_name, err);
}
