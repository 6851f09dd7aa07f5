/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing and durable replacement of files.  A draft is either whole under its name, or not there. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/scope.h"
#include "base/text.h"

struct file_draft {
    int dir_fd; /* our own duplicate */
    int fd;
    char *name;
    char *temporary_name;
};

int file_write_all(int fd, const void *bytes, size_t length, struct error *err)
{
    const char *cursor = bytes;
    while (length > 0) {
        ssize_t done = write(fd, cursor, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_set_os(err, errno, "writing %zu bytes", length);
        cursor += done;
        length -= (size_t)done;
    }
    return 0;
}

ssize_t file_read_full(int fd, void *bytes, size_t length, struct error *err)
{
    char *cursor = bytes;
    size_t total = 0;
    while (total < length) {
        ssize_t got = read(fd, cursor + total, length - total);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_os(err, errno, "reading %zu bytes", length - total);
        if (got == 0)
            break;
        total += (size_t)got;
    }
    return (ssize_t)total;
}

ssize_t file_pread_full(int fd, void *bytes, size_t length, uint64_t offset, struct error *err)
{
    char *cursor = bytes;
    size_t total = 0;
    while (total < length) {
        ssize_t got = pread(fd, cursor + total, length - total, (off_t)(offset + total));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_os(err, errno, "reading %zu bytes", length - total);
        if (got == 0)
            break;
        total += (size_t)got;
    }
    return (ssize_t)total;
}

int file_sync(int fd, const char *what, struct error *err)
{
    if (fsync(fd) < 0)
        return error_set_os(err, errno, "making '%s' durable", what);
    return 0;
}

static void draft_free(struct file_draft *draft)
{
    if (draft->fd >= 0)
        close(draft->fd);
    if (draft->dir_fd >= 0)
        close(draft->dir_fd);
    free(draft->name);
    free(draft->temporary_name);
    free(draft);
}

struct file_draft *file_draft_create(int dir_fd, const char *name, mode_t mode, struct error *err)
{
    struct file_draft *draft = xcalloc(1, sizeof(*draft));
    char random[9];
    random_alphanumeric(random, sizeof(random) - 1);
    draft->fd = -1;
    draft->name = xstrdup(name);
    draft->temporary_name = xasprintf(".%s.%s" FILE_DRAFT_SUFFIX, name, random);
    draft->dir_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (draft->dir_fd >= 0)
        draft->fd = openat(draft->dir_fd, draft->temporary_name,
                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (draft->fd < 0) {
        error_set_os(err, errno, "creating '%s'", name);
        draft_free(draft);
        return NULL;
    }
    return draft;
}

int file_draft_fd(const struct file_draft *draft)
{
    return draft->fd;
}

void file_draft_discard(struct file_draft *draft)
{
    if (draft == NULL)
        return;
    unlinkat(draft->dir_fd, draft->temporary_name, 0);
    draft_free(draft);
}

static int commit(struct file_draft *draft, unsigned rename_flags, struct error *err)
{
    int result = file_sync(draft->fd, draft->name, err);
    /* A file system may report a failed write only now. */
    if (result == 0) {
        int fd = scope_take_fd(&draft->fd);
        if (close(fd) < 0 && errno != EINTR)
            result = error_set_os(err, errno, "closing '%s'", draft->name);
    }
    if (result == 0 && renameat2(draft->dir_fd, draft->temporary_name, draft->dir_fd, draft->name,
                                 rename_flags) < 0)
        result = error_set_os(err, errno, "putting '%s' in its place", draft->name);
    if (result < 0) {
        file_draft_discard(draft);
        return -1;
    }
    result = file_sync(draft->dir_fd, draft->name, err);
    if (result < 0 && (rename_flags & RENAME_NOREPLACE) != 0)
        unlinkat(draft->dir_fd, draft->name, 0);
    draft_free(draft);
    return result;
}

int file_draft_commit(struct file_draft *draft, struct error *err)
{
    return commit(draft, 0, err);
}

int file_draft_commit_new(struct file_draft *draft, struct error *err)
{
    return commit(draft, RENAME_NOREPLACE, err);
}

int file_draft_sweep(int dir_fd, struct error *err)
{
    int own_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (dir == NULL)
        return error_set_os(err, errno, "looking for unfinished files");
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' && text_ends_with(entry->d_name, FILE_DRAFT_SUFFIX) &&
            unlinkat(own_fd, entry->d_name, 0) < 0 && errno != ENOENT)
            result = error_set_os(err, errno, "removing unfinished file '%s'", entry->d_name);
    }
    closedir(dir);
    return result;
}

int file_replace(int dir_fd, const char *name, struct slice bytes, mode_t mode, struct error *err)
{
    struct file_draft *draft = file_draft_create(dir_fd, name, mode, err);
    if (draft == NULL)
        return -1;
    if (file_write_all(draft->fd, bytes.data, bytes.length, err) < 0) {
        file_draft_discard(draft);
        return error_wrap(err, "writing '%s'", name);
    }
    return file_draft_commit(draft, err);
}

int file_read(int dir_fd, const char *path, size_t limit_bytes, struct buf *out, struct error *err)
{
    scope_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set_os(err, errno, "opening '%s'", path);
    char chunk[16 * 1024];
    size_t start = out->length;
    for (;;) {
        ssize_t got = file_read_full(fd, chunk, sizeof(chunk), err);
        if (got < 0)
            return error_wrap(err, "reading '%s'", path);
        if (out->length - start + (size_t)got > limit_bytes)
            return error_set(err, ERROR_LIMIT, "'%s' is larger than %zu bytes", path, limit_bytes);
        buf_add(out, chunk, (size_t)got);
        if ((size_t)got < sizeof(chunk))
            return 0;
    }
}

int directory_open(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, errno, "opening directory '%s'", path);
    return fd;
}

int directory_open_real(const char *path, struct error *err)
{
    scope_fd int root_fd = directory_open("/", err);
    if (root_fd < 0)
        return -1;
    int fd = beneath_open_raw(root_fd, path + strspn(path, "/"), O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ELOOP)
        return error_set(err, ERROR_DENIED, "directory '%s' is reached through a link now", path);
    if (fd < 0)
        return error_set_os(err, -fd, "opening directory '%s'", path);
    return fd;
}

/* Make one missing directory below `parent_fd` durably; returns it opened. */
static int make_step(int parent_fd, const char *name, mode_t mode)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(parent_fd, name, mode) < 0 && errno != EEXIST)
        return -1;
    if (fsync(parent_fd) < 0)
        return -1;
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int directory_open_or_make(const char *path, mode_t mode, struct error *err)
{
    int fd = open(path[0] == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scope_free char *copy = xstrdup(path);
    char *rest = copy;
    while (fd >= 0 && *rest != '\0') {
        char *name = rest;
        size_t length = strcspn(name, "/");
        rest = name + length + (name[length] == '/' ? 1 : 0);
        name[length] = '\0';
        if (length == 0)
            continue;
        int next = make_step(fd, name, mode);
        int reason = errno;
        close(fd);
        errno = reason;
        fd = next;
    }
    if (fd < 0)
        return error_set_os(err, errno, "making directory '%s'", path);
    return fd;
}

int directory_free_space(int dir_fd, uint64_t *free_bytes, uint64_t *total_bytes, struct error *err)
{
    struct statvfs info;
    if (fstatvfs(dir_fd, &info) < 0)
        return error_set_os(err, errno, "asking for free space");
    *free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    *total_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    return 0;
}
