/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills the process at the n-th thing that changes a file system.  Loaded with LD_PRELOAD; the
 * file named by ROOST_CRASH_FILE is mapped and shared with the test:
 *
 *     int64  countdown   set by the test; every change counts it down, the one that
 *                        reaches 0 is not made, and the process dies of SIGKILL
 *     int64  counted     changes so far, for finding out how many there are
 *     int64  torn        not 0: the fatal change, where it is a write, is half made
 *
 * Counted are changes of regular files and directories; sockets, pipes and event descriptors are not.
 * Without ROOST_CRASH_FILE nothing happens.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    _Atomic int64_t countdown;
    _Atomic int64_t counted;
    _Atomic int64_t torn;
};

static struct control *control;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("ROOST_CRASH_FILE");
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        control = map;
}

/* Whether this change is the fatal one. */
static int is_fatal(void)
{
    if (control == NULL)
        return 0;
    atomic_fetch_add(&control->counted, 1);
    if (atomic_load(&control->countdown) <= 0)
        return 0;
    return atomic_fetch_sub(&control->countdown, 1) == 1;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int is_stored(int fd)
{
    struct stat st;
    return control != NULL && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A system call on a descriptor: counted where the descriptor is a file or a directory. */
#define ON_FD(type, name, params, args)                                                            \
    type name params                                                                               \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        if (real == NULL)                                                                          \
            real = REAL(name);                                                                     \
        if (is_stored(fd) && is_fatal())                                                           \
            die();                                                                                 \
        return real args;                                                                          \
    }

/* One that changes names: always counted. */
#define ON_NAME(name, params, args)                                                                \
    int name params                                                                                \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        if (real == NULL)                                                                          \
            real = REAL(name);                                                                     \
        if (is_fatal())                                                                            \
            die();                                                                                 \
        return real args;                                                                          \
    }

ssize_t write(int fd, const void *data, size_t size)
{
    static __typeof__(&write) real;
    if (real == NULL)
        real = REAL(write);
    if (is_stored(fd) && is_fatal()) {
        if (atomic_load(&control->torn) != 0 && size > 1)
            (void)!real(fd, data, size / 2);
        die();
    }
    return real(fd, data, size);
}

static ssize_t torn_pwrite(ssize_t (*real)(int, const void *, size_t, off_t), int fd,
                           const void *data, size_t size, off_t offset)
{
    if (is_stored(fd) && is_fatal()) {
        if (atomic_load(&control->torn) != 0 && size > 1)
            (void)!real(fd, data, size / 2, offset);
        die();
    }
    return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    static __typeof__(&pwrite) real;
    if (real == NULL)
        real = REAL(pwrite);
    return torn_pwrite(real, fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    static __typeof__(&pwrite64) real;
    if (real == NULL)
        real = REAL(pwrite64);
    return torn_pwrite(real, fd, data, size, offset);
}

ON_FD(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FD(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t offset),
      (fd, parts, count, offset))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
ON_FD(int, syncfs, (int fd), (fd))
ON_FD(int, ftruncate, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))
ON_NAME(rename, (const char *from, const char *to), (from, to))
ON_NAME(renameat, (int from_fd, const char *from, int to_fd, const char *to),
        (from_fd, from, to_fd, to))
ON_NAME(renameat2, (int from_fd, const char *from, int to_fd, const char *to, unsigned int flags),
        (from_fd, from, to_fd, to, flags))
ON_NAME(link, (const char *from, const char *to), (from, to))
ON_NAME(linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
        (from_fd, from, to_fd, to, flags))
ON_NAME(symlinkat, (const char *target, int fd, const char *name), (target, fd, name))
ON_NAME(mkdirat, (int fd, const char *name, mode_t mode), (fd, name, mode))
ON_NAME(unlink, (const char *name), (name))
ON_NAME(unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
