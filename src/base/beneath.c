/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths below a root.  Nothing is checked by string: the kernel refuses whatever
 * would leave the root or pass through a symbolic link.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/scope.h"

enum {
    RETRIES_MAX = 64, /* RESOLVE_BENEATH answers EAGAIN while somebody renames in the tree */
    OPEN_LEVELS = 64,
    SWEEPS_MAX = 64,     /* a tree that somebody refills faster than we empty it */
    LIFTS_MAX = 1 << 16, /* and one that somebody nests deeper, meanwhile */
};

int beneath_open_raw(int root_fd, const char *path, int flags, mode_t mode)
{
    /* openat2 is strict: O_PATH goes with few other flags, O_NOCTTY is none of them. */
    int always = (flags & O_PATH) != 0 ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | always),
        .mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0;; i++) {
        long fd = syscall(SYS_openat2, root_fd, *path == '\0' ? "." : path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if ((errno != EAGAIN && errno != EINTR) || i >= RETRIES_MAX)
            return -errno;
    }
}

int beneath_open(int root_fd, const char *path, int flags, mode_t mode, struct error *err)
{
    int fd = beneath_open_raw(root_fd, path, flags, mode);
    if (fd < 0)
        return error_set_os(err, -fd, "opening '%.200s'", path);
    return fd;
}

int beneath_chmod(int dir_fd, const char *name, mode_t mode)
{
    char path[64];
    scope_fd int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return chmod(path, mode);
}

/*
 * Depth first, with one descriptor a level.  Deeper than OPEN_LEVELS, a
 * directory is moved up to the top under a fresh name and emptied from there, so that
 * neither stack nor descriptors grow with what a tenant built.
 */
struct level {
    DIR *dir;
    char *name; /* in the level above */
};

static DIR *open_level(int parent_fd, const char *name)
{
    enum {
        FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    };
    int fd = openat(parent_fd, name, FLAGS);
    if (fd < 0 && errno == EACCES && beneath_chmod(parent_fd, name, 0700) == 0)
        fd = openat(parent_fd, name, FLAGS);
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (dir == NULL)
        close(fd);
    return dir;
}

/* unlinkat() in a directory of the tree; one that its owner closed to itself is opened for it. */
static int unlink_in(int dir_fd, const char *name, int flags)
{
    if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
        return 0;
    if (errno != EACCES)
        return -1;
    if (fchmod(dir_fd, 0700) < 0) {
        errno = EACCES;
        return -1;
    }
    return unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT ? 0 : -1;
}

/* 0: unlinked or gone; 1: a directory that must be emptied first; -1: errno. */
static int unlink_one(int dir_fd, const struct dirent *entry)
{
    if (entry->d_type != DT_DIR) {
        if (unlink_in(dir_fd, entry->d_name, 0) == 0)
            return 0;
        if (errno != EISDIR)
            return -1;
    }
    if (unlink_in(dir_fd, entry->d_name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno == ENOTDIR)
        return unlink_in(dir_fd, entry->d_name, 0);
    return errno == ENOTEMPTY || errno == EEXIST || errno == EACCES ? 1 : -1;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/*
 * Move a directory that lies too deep up to the first level, where a later sweep finds it.  Nobody can
 * guess its name there and take it first.
 */
static int lift(const struct level *levels, size_t depth, const char *name)
{
    char fresh[24];
    random_alphanumeric(fresh, sizeof(fresh) - 1);
    int from_fd = dirfd(levels[depth - 1].dir);
    int top_fd = dirfd(levels[0].dir);
    if (renameat(from_fd, name, top_fd, fresh) == 0 || errno == ENOENT)
        return 0;
    /* A directory that moves must itself be writable: its ".." changes. */
    if (errno != EACCES || fchmod(from_fd, 0700) < 0 || fchmod(top_fd, 0700) < 0 ||
        beneath_chmod(from_fd, name, 0700) < 0)
        return -1;
    return renameat(from_fd, name, top_fd, fresh);
}

/* Empty the directory levels[0], but for what is lifted into it; 0, or -1 with errno. */
static int empty(struct level *levels, unsigned *lifts)
{
    size_t depth = 1;
    int result = 0;
    while (depth > 0 && result == 0) {
        DIR *dir = levels[depth - 1].dir;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (depth == 1)
                return 0;
            depth--;
            closedir(dir);
            unlinkat(dirfd(levels[depth - 1].dir), levels[depth].name, AT_REMOVEDIR);
            free(levels[depth].name);
            continue;
        }
        if (is_dots(entry->d_name))
            continue;
        int kind = unlink_one(dirfd(dir), entry);
        if (kind < 0)
            result = -1;
        if (kind <= 0)
            continue;
        if (depth == OPEN_LEVELS) {
            result = lift(levels, depth, entry->d_name);
            ++*lifts;
            continue;
        }
        levels[depth].dir = open_level(dirfd(dir), entry->d_name);
        if (levels[depth].dir == NULL) {
            result = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
            continue;
        }
        levels[depth].name = xstrdup(entry->d_name);
        depth++;
    }
    int reason = errno;
    for (; depth > 1; depth--) {
        closedir(levels[depth - 1].dir);
        free(levels[depth - 1].name);
    }
    errno = reason;
    return result;
}

int beneath_remove_tree(int parent_fd, const char *name, struct error *err)
{
    unsigned sweeps = 0, lifts = 0;
    while (sweeps < SWEEPS_MAX) {
        if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
            return 0;
        if (errno != EISDIR && errno != EPERM)
            return error_set_os(err, errno, "removing '%.200s'", name);
        if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return error_set_os(err, errno, "removing directory '%.200s'", name);
        struct level levels[OPEN_LEVELS] = {{.dir = open_level(parent_fd, name)}};
        if (levels[0].dir == NULL)
            return error_set_os(err, errno, "opening directory '%.200s' to remove it", name);
        unsigned before = lifts;
        int result = empty(levels, &lifts);
        int reason = errno;
        closedir(levels[0].dir);
        /* A deep tree takes a sweep for every OPEN_LEVELS: that is no refilling. */
        if (lifts == before || lifts > LIFTS_MAX)
            sweeps++;
        if (result < 0)
            return error_set_os(err, reason, "removing what is in '%.200s'", name);
    }
    return error_set(err, ERROR_CONFLICT, "'%.200s' is refilled while it is removed", name);
}
