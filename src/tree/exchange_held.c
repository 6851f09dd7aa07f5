/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a directory.  /proc tells of each process what it has open, as paths that are true for that
 * process; so a path counts as soon as it has the directory's name in it, wherever.  A wrong "yes"
 * only costs the exchange by entries, a wrong "no" would leave somebody in the old tree.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "tree/exchange_internal.h"

#define INITIAL_PID_NAMESPACE "pid:[4026531836]" /* PROC_PID_INIT_INO of linux/proc_ns.h */

enum {
    LOOKS_MAX = 256 * 1024, /* links and lines, before it is too much */
    NAMESPACES_MAX = 256,
};

struct search {
    char name[NAME_MAX + 1]; /* the directory's */
    size_t name_length;
    char own_pid[16];
    unsigned looks;
    bool is_over;                        /* held, or nobody can say */
    char namespaces[NAMESPACES_MAX][32]; /* mount namespaces that were looked at */
    size_t namespace_count;
};

/* Whether the name is a component of a path in `text`. */
static bool mentions(const struct search *search, const char *text)
{
    for (const char *at = text; (at = strstr(at, search->name)) != NULL; at++) {
        char after = at[search->name_length];
        if (at > text && at[-1] == '/' && (after == '\0' || after == '/' || isspace(after)))
            return true;
    }
    return false;
}

static void look(struct search *search, const char *text)
{
    if (++search->looks > LOOKS_MAX || mentions(search, text))
        search->is_over = true;
}

/* What cannot be read because it is gone holds nothing. */
static void look_at_failure(struct search *search)
{
    if (errno != ENOENT && errno != ESRCH && errno != ENOTDIR)
        search->is_over = true;
}

static void look_at_link(struct search *search, int dir_fd, const char *name)
{
    char path[PATH_MAX];
    ssize_t length = readlinkat(dir_fd, name, path, sizeof(path) - 1);
    if (length < 0) {
        look_at_failure(search);
        return;
    }
    path[length] = '\0';
    look(search, path);
}

static void look_at_descriptors(struct search *search, int process_fd)
{
    int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        look_at_failure(search);
        return;
    }
    const struct dirent *item;
    while (!search->is_over && (item = readdir(dir)) != NULL)
        if (item->d_name[0] != '.')
            look_at_link(search, fd, item->d_name);
    closedir(dir);
}

static void look_at_lines(struct search *search, int process_fd, const char *name)
{
    int fd = openat(process_fd, name, O_RDONLY | O_CLOEXEC);
    scope_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        look_at_failure(search);
        return;
    }
    scope_free char *line = NULL;
    size_t capacity = 0;
    while (!search->is_over && getline(&line, &capacity, file) > 0)
        look(search, line);
}

/* The mounts of a process, once for all that share them. */
static void look_at_mounts(struct search *search, int process_fd)
{
    char namespace[32];
    ssize_t length = readlinkat(process_fd, "ns/mnt", namespace, sizeof(namespace) - 1);
    if (length < 0) {
        look_at_failure(search);
        return;
    }
    namespace[length] = '\0';
    for (size_t i = 0; i < search->namespace_count; i++)
        if (strcmp(search->namespaces[i], namespace) == 0)
            return;
    if (search->namespace_count == NAMESPACES_MAX) {
        search->is_over = true;
        return;
    }
    memcpy(search->namespaces[search->namespace_count++], namespace, (size_t)length + 1);
    look_at_lines(search, process_fd, "mountinfo");
}

static void look_at_process(struct search *search, int proc_fd, const char *pid)
{
    scope_fd int process_fd = openat(proc_fd, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process_fd < 0) {
        look_at_failure(search);
        return;
    }
    look_at_mounts(search, process_fd);
    if (strcmp(pid, search->own_pid) == 0)
        return;
    look_at_link(search, process_fd, "cwd");
    look_at_link(search, process_fd, "root");
    if (!search->is_over)
        look_at_descriptors(search, process_fd);
    if (!search->is_over)
        look_at_lines(search, process_fd, "maps");
}

/* The last name of the directory's path.  False where it has none that could be looked for. */
static bool find_name(int live_fd, char out[NAME_MAX + 1])
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", live_fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length <= 1 || (size_t)length >= sizeof(path) - 1)
        return false;
    path[length] = '\0';
    const char *name = strrchr(path, '/');
    if (name == NULL || name[1] == '\0' || strpbrk(name, " \t\n\\") != NULL)
        return false; /* the kernel writes these in several ways */
    snprintf(out, NAME_MAX + 1, "%s", name + 1);
    return true;
}

/* Root, outside of any container: then /proc has everybody. */
static bool sees_everybody(void)
{
    char namespace[32];
    ssize_t length = readlink("/proc/self/ns/pid", namespace, sizeof(namespace) - 1);
    if (length < 0 || geteuid() != 0)
        return false;
    namespace[length] = '\0';
    return strcmp(namespace, INITIAL_PID_NAMESPACE) == 0;
}

bool exchange_scan(int proc_fd, const char *name)
{
    scope_free struct search *search = xcalloc(1, sizeof(*search));
    int own_fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *proc = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (proc == NULL)
        return true;
    snprintf(search->name, sizeof(search->name), "%s", name);
    search->name_length = strlen(search->name);
    snprintf(search->own_pid, sizeof(search->own_pid), "%d", (int)getpid());
    const struct dirent *item;
    while (!search->is_over && (item = readdir(proc)) != NULL)
        if (isdigit((unsigned char)item->d_name[0]))
            look_at_process(search, own_fd, item->d_name);
    closedir(proc);
    return search->is_over;
}

bool exchange_is_held(int live_fd)
{
    char name[NAME_MAX + 1];
    if (!sees_everybody() || !find_name(live_fd, name))
        return true;
    scope_fd int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return proc_fd < 0 || exchange_scan(proc_fd, name);
}

bool exchange_is_mount_point(int parent_fd, const char *name)
{
    struct statx parent, live;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    return statx(parent_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &parent) == 0 &&
           statx(parent_fd, name, flags, STATX_MNT_ID, &live) == 0 &&
           (parent.stx_mask & live.stx_mask & STATX_MNT_ID) != 0 &&
           parent.stx_mnt_id != live.stx_mnt_id;
}
