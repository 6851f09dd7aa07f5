/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets the n-th system call of some kinds, on things below a directory, fail or come back short.  Loaded with
 * LD_PRELOAD; the file named by ROOST_FAULT_FILE is mapped and shared with the test:
 *
 *     int64  countdown   set by the test; every call that matches counts it down, and the one that
 *                        reaches 0 is the faulty one; 0: none is
 *     int64  counted     calls that matched so far, for finding out how many there are
 *     int64  kinds       which calls match: a set of the bits below
 *     int64  error       what the faulty call gives as errno
 *     int64  keep        not 0 with an error: of a read or write, so many 256ths are done instead (at least
 *                        a byte), and it succeeds
 *     int64  for_ever    not 0: every call after the faulty one is faulty, too
 *     int64  hits        faults so far
 *     char   below[]     the directory; what a call is about is below it if its path begins so
 *     char   what[]      name of the faulty call and its path, for messages
 *
 * Any thread may call.  Paths are those of descriptors (/proc/self/fd), so that it does not matter how something was
 * opened.  Without ROOST_FAULT_FILE nothing happens.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    READ = 1 << 0,
    WRITE = 1 << 1,
    SYNC = 1 << 2,
    OPEN = 1 << 3,
    RENAME = 1 << 4,
    LINK = 1 << 5,
    MKDIR = 1 << 6,
    TRUNCATE = 1 << 7,
    CLOSE = 1 << 8,
    UNLINK = 1 << 9,
    LIST = 1 << 10,
    ATTRIBUTE = 1 << 11,
};

struct control {
    _Atomic int64_t countdown, counted, kinds, error, keep, for_ever, hits;
    char below[1024];
    char what[1024];
};

static struct control *control;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("ROOST_FAULT_FILE");
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map != MAP_FAILED)
        control = map;
}

/* The path of a descriptor and a name in it; a name alone where that is absolute or the descriptor AT_FDCWD. */
static int is_below(int fd, const char *name, char *path)
{
    char link[40];
    size_t length = 0;
    if (name == NULL || (name[0] != '/' && fd != AT_FDCWD)) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        long got = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1L);
        if (got < 0)
            return 0;
        length = (size_t)got;
    }
    snprintf(path + length, PATH_MAX - length, "%s%s", length > 0 && name != NULL ? "/" : "",
             name != NULL ? name : "");
    return strncmp(path, control->below, strlen(control->below)) == 0;
}

/* Whether this call is the faulty one. */
static int is_faulty(enum kind kind, const char *call, int fd, const char *name)
{
    char path[PATH_MAX];
    if (control == NULL || (atomic_load(&control->kinds) & kind) == 0)
        return 0;
    int before = errno;
    int matches = is_below(fd, name, path);
    errno = before;
    if (!matches)
        return 0;
    atomic_fetch_add(&control->counted, 1);
    int64_t left = atomic_load(&control->countdown);
    do {
        if (left <= 0)
            break;
    } while (!atomic_compare_exchange_weak(&control->countdown, &left, left - 1));
    int is_later =
        left <= 0 && atomic_load(&control->hits) > 0 && atomic_load(&control->for_ever) != 0;
    if (left != 1 && !is_later)
        return 0;
    if (left == 1)
        snprintf(control->what, sizeof(control->what), "%s %.900s", call, path);
    atomic_fetch_add(&control->hits, 1);
    return 1;
}

static int fails(void)
{
    errno = (int)atomic_load(&control->error);
    return -1;
}

/* What is left of a transfer that comes back short; 0: it fails instead. */
static size_t shortened(size_t size)
{
    size_t keep = (size_t)atomic_load(&control->keep);
    if (keep == 0)
        return 0;
    return size * keep / 256 > 0 ? size * keep / 256 : size > 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_TRANSFER(kind, name, params, args)                                                      \
    ssize_t name params                                                                            \
    {                                                                                              \
        static _Atomic(__typeof__(&name)) real;                                                    \
        if (real == NULL)                                                                          \
            real = REAL(name);                                                                     \
        if (is_faulty(kind, #name, fd, NULL)) {                                                    \
            size = shortened(size);                                                                \
            if (size == 0)                                                                         \
                return fails();                                                                    \
        }                                                                                          \
        return real args;                                                                          \
    }

/* Of several parts only the first is shortened, and done. */
#define ON_PARTS(kind, name, params, args)                                                         \
    ssize_t name params                                                                            \
    {                                                                                              \
        static _Atomic(__typeof__(&name)) real;                                                    \
        struct iovec first;                                                                        \
        if (real == NULL)                                                                          \
            real = REAL(name);                                                                     \
        if (count > 0 && is_faulty(kind, #name, fd, NULL)) {                                       \
            first = parts[0];                                                                      \
            first.iov_len = shortened(first.iov_len);                                              \
            if (first.iov_len == 0)                                                                \
                return fails();                                                                    \
            parts = &first;                                                                        \
            count = 1;                                                                             \
        }                                                                                          \
        return real args;                                                                          \
    }

#define ON_CALL(kind, name, at_fd, at_name, params, args)                                          \
    int name params                                                                                \
    {                                                                                              \
        static _Atomic(__typeof__(&name)) real;                                                    \
        if (real == NULL)                                                                          \
            real = REAL(name);                                                                     \
        if (is_faulty(kind, #name, at_fd, at_name))                                                \
            return fails();                                                                        \
        return real args;                                                                          \
    }

/* What a fortified build calls. */
ssize_t __read_chk(int fd, void *data, size_t size, size_t room);
ssize_t __pread_chk(int fd, void *data, size_t size, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *data, size_t size, off64_t offset, size_t room);
int __open_2(const char *name, int flags);
int __open64_2(const char *name, int flags);
int __openat_2(int fd, const char *name, int flags);
int __openat64_2(int fd, const char *name, int flags);

ON_TRANSFER(READ, read, (int fd, void *data, size_t size), (fd, data, size))
ON_TRANSFER(READ, __read_chk, (int fd, void *data, size_t size, size_t room),
            (fd, data, size, room))
ON_TRANSFER(READ, pread, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset))
ON_TRANSFER(READ, pread64, (int fd, void *data, size_t size, off64_t offset),
            (fd, data, size, offset))
ON_TRANSFER(READ, __pread_chk, (int fd, void *data, size_t size, off_t offset, size_t room),
            (fd, data, size, offset, room))
ON_TRANSFER(READ, __pread64_chk, (int fd, void *data, size_t size, off64_t offset, size_t room),
            (fd, data, size, offset, room))
ON_PARTS(READ, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_PARTS(READ, preadv, (int fd, const struct iovec *parts, int count, off_t offset),
         (fd, parts, count, offset))
ON_PARTS(READ, preadv64, (int fd, const struct iovec *parts, int count, off64_t offset),
         (fd, parts, count, offset))
ON_PARTS(READ, preadv2, (int fd, const struct iovec *parts, int count, off_t offset, int flags),
         (fd, parts, count, offset, flags))
ON_PARTS(READ, preadv64v2,
         (int fd, const struct iovec *parts, int count, off64_t offset, int flags),
         (fd, parts, count, offset, flags))
ON_TRANSFER(WRITE, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_TRANSFER(WRITE, pwrite, (int fd, const void *data, size_t size, off_t offset),
            (fd, data, size, offset))
ON_TRANSFER(WRITE, pwrite64, (int fd, const void *data, size_t size, off64_t offset),
            (fd, data, size, offset))
ON_PARTS(WRITE, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_PARTS(WRITE, pwritev, (int fd, const struct iovec *parts, int count, off_t offset),
         (fd, parts, count, offset))
ON_PARTS(WRITE, pwritev64, (int fd, const struct iovec *parts, int count, off64_t offset),
         (fd, parts, count, offset))
ON_PARTS(WRITE, pwritev2, (int fd, const struct iovec *parts, int count, off_t offset, int flags),
         (fd, parts, count, offset, flags))
ON_PARTS(WRITE, pwritev64v2,
         (int fd, const struct iovec *parts, int count, off64_t offset, int flags),
         (fd, parts, count, offset, flags))
ON_CALL(WRITE, fallocate, fd, NULL, (int fd, int mode, off_t offset, off_t size),
        (fd, mode, offset, size))
ON_CALL(WRITE, fallocate64, fd, NULL, (int fd, int mode, off64_t offset, off64_t size),
        (fd, mode, offset, size))
ON_CALL(SYNC, fsync, fd, NULL, (int fd), (fd))
ON_CALL(SYNC, fdatasync, fd, NULL, (int fd), (fd))
ON_CALL(SYNC, syncfs, fd, NULL, (int fd), (fd))
ON_CALL(TRUNCATE, ftruncate, fd, NULL, (int fd, off_t size), (fd, size))
ON_CALL(TRUNCATE, ftruncate64, fd, NULL, (int fd, off64_t size), (fd, size))
ON_CALL(ATTRIBUTE, fchmod, fd, NULL, (int fd, mode_t mode), (fd, mode))
ON_CALL(ATTRIBUTE, fchown, fd, NULL, (int fd, uid_t owner, gid_t group), (fd, owner, group))
ON_CALL(ATTRIBUTE, fchownat, fd, name,
        (int fd, const char *name, uid_t owner, gid_t group, int flags),
        (fd, name, owner, group, flags))
ON_CALL(ATTRIBUTE, futimens, fd, NULL, (int fd, const struct timespec times[2]), (fd, times))
ON_CALL(ATTRIBUTE, utimensat, fd, name,
        (int fd, const char *name, const struct timespec times[2], int flags),
        (fd, name, times, flags))
ON_CALL(RENAME, rename, AT_FDCWD, from, (const char *from, const char *to), (from, to))
ON_CALL(RENAME, renameat, from_fd, from, (int from_fd, const char *from, int to_fd, const char *to),
        (from_fd, from, to_fd, to))
ON_CALL(RENAME, renameat2, from_fd, from,
        (int from_fd, const char *from, int to_fd, const char *to, unsigned int flags),
        (from_fd, from, to_fd, to, flags))
ON_CALL(LINK, linkat, from_fd, from,
        (int from_fd, const char *from, int to_fd, const char *to, int flags),
        (from_fd, from, to_fd, to, flags))
ON_CALL(LINK, symlinkat, fd, name, (const char *target, int fd, const char *name),
        (target, fd, name))
ON_CALL(MKDIR, mkdirat, fd, name, (int fd, const char *name, mode_t mode), (fd, name, mode))
ON_CALL(MKDIR, mkdir, AT_FDCWD, name, (const char *name, mode_t mode), (name, mode))
ON_CALL(UNLINK, unlinkat, fd, name, (int fd, const char *name, int flags), (fd, name, flags))
ON_CALL(UNLINK, unlink, AT_FDCWD, name, (const char *name), (name))
ON_CALL(OPEN, __open_2, AT_FDCWD, name, (const char *name, int flags), (name, flags))
ON_CALL(OPEN, __open64_2, AT_FDCWD, name, (const char *name, int flags), (name, flags))
ON_CALL(OPEN, __openat_2, fd, name, (int fd, const char *name, int flags), (fd, name, flags))
ON_CALL(OPEN, __openat64_2, fd, name, (int fd, const char *name, int flags), (fd, name, flags))

/* A descriptor is gone whatever close() says. */
int close(int fd)
{
    int is_bad = is_faulty(CLOSE, "close", fd, NULL);
    long result = syscall(SYS_close, fd);
    return is_bad ? fails() : (int)result;
}

static mode_t mode_of(int flags, va_list rest)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(rest, int) : 0;
}

#define ON_OPEN(name, at_fd, params, last, call)                                                   \
    int name params                                                                                \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, last);                                                                      \
        mode_t mode = mode_of(flags, rest);                                                        \
        va_end(rest);                                                                              \
        if (is_faulty(OPEN, #name, at_fd, path))                                                   \
            return fails();                                                                        \
        return (int)syscall(SYS_openat, at_fd, path, flags | call, mode);                          \
    }

ON_OPEN(open, AT_FDCWD, (const char *path, int flags, ...), flags, 0)
ON_OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), flags, O_LARGEFILE)
ON_OPEN(openat, fd, (int fd, const char *path, int flags, ...), flags, 0)
ON_OPEN(openat64, fd, (int fd, const char *path, int flags, ...), flags, O_LARGEFILE)

/* The calls that have no name in the C library go through this one. */
long syscall(long number, ...)
{
    static _Atomic(__typeof__(&syscall)) real;
    va_list rest;
    long a[6];
    if (real == NULL)
        real = REAL(syscall);
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_openat2 && is_faulty(OPEN, "openat2", (int)a[0], (const char *)a[1]))
        return fails();
    if (number == SYS_getdents64 && is_faulty(LIST, "getdents64", (int)a[0], NULL))
        return fails();
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
