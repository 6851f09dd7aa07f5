/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file in the hands of the writers.  O_DIRECT needs aligned places, lengths and memory:
 * every piece of such a file is aligned, and what is left at its end goes through the page
 * cache when all others are written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "tree/writers_internal.h"

enum {
    SHOWN_BYTES = 200,
    BEHIND_BYTES = 4 << 20, /* a streamed file has about so much dirty */
};

static bool set_direct(int fd, bool is_direct)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return false;
    return fcntl(fd, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

struct writers_file *writers_file_new(const struct writers_task *task)
{
    struct writers_file *file = xmalloc(sizeof(*file) + task->path.length + 1);
    *file = (struct writers_file){.task = *task, .uses = 1};
    memcpy(file->path, task->path.data, task->path.length);
    file->path[task->path.length] = '\0';
    file->task.path = slice_of(file->path, task->path.length);
    bool is_large = task->size_bytes >= WRITERS_DIRECT_BYTES;
    if (is_large && !task->has_holes && set_direct(task->fd, true)) {
        file->is_direct = true;
        file->tail_offset = task->size_bytes / WRITERS_ALIGN_BYTES * WRITERS_ALIGN_BYTES;
        file->tail = xmalloc(WRITERS_ALIGN_BYTES);
    }
    file->is_streamed = is_large && !file->is_direct;
    return file;
}

void writers_file_free(struct writers_file *file)
{
    if (file->task.fd >= 0)
        close(file->task.fd);
    free(file->tail);
    free(file);
}

static int failed(const struct writers_file *file, int os_errno, struct error *err)
{
    return error_set_os(err, os_errno, "writing '%.*s'", SHOWN_BYTES, file->path);
}

static int put_all(struct writers_file *file, const uint8_t *bytes, size_t length, uint64_t offset,
                   struct error *err)
{
    bool may_be_direct = file->tail != NULL;
    while (length > 0) {
        ssize_t done = pwrite(file->task.fd, bytes, length, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        /* A file system that takes the flag may still not take the write; other threads find it out, too. */
        if (done < 0 && errno == EINVAL && may_be_direct) {
            may_be_direct = false;
            if (!set_direct(file->task.fd, false))
                return failed(file, errno, err);
            file->is_direct = false;
            continue;
        }
        if (done <= 0)
            return failed(file, done < 0 ? errno : ENOSPC, err);
        bytes += done;
        offset += (uint64_t)done;
        length -= (size_t)done;
    }
    return 0;
}

/* Begin to write back what was just written; what began a while ago should be done, and its pages go. */
static void write_behind(const struct writers_file *file, uint64_t offset, size_t length)
{
    int fd = file->task.fd;
    sync_file_range(fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE);
    if (offset < BEHIND_BYTES)
        return;
    off_t behind = (off_t)(offset - BEHIND_BYTES);
    sync_file_range(fd, behind, (off_t)length,
                    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                        SYNC_FILE_RANGE_WAIT_AFTER);
    posix_fadvise(fd, behind, (off_t)length, POSIX_FADV_DONTNEED);
}

int writers_file_put(struct writers_file *file, const uint8_t *bytes, size_t length,
                     uint64_t offset, struct error *err)
{
    if (put_all(file, bytes, length, offset, err) < 0)
        return -1;
    if (file->is_streamed && length > 0)
        write_behind(file, offset, length);
    return 0;
}

int writers_file_complete(struct writers_file *file, bool sets_owner, int *refused_out,
                          struct error *err)
{
    const struct attributes *attributes = &file->task.attributes;
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes->mtime};
    int fd = file->task.fd;
    *refused_out = 0;
    if (file->tail_length > 0) {
        if (file->is_direct && !set_direct(fd, false))
            return failed(file, errno, err);
        file->is_direct = false;
        if (put_all(file, (const uint8_t *)file->tail, file->tail_length, file->tail_offset, err) <
            0)
            return -1;
    }
    if (sets_owner && fchown(fd, attributes->uid, attributes->gid) < 0)
        *refused_out = errno;
    if ((file->task.sets_mode && fchmod(fd, attributes->mode) < 0) || futimens(fd, times) < 0)
        return error_set_os(err, errno, "setting mode and times of '%.*s'", SHOWN_BYTES,
                            file->path);
    /* Some file systems say only here what became of the writes; the others, with syncfs. */
    file->task.fd = -1;
    return close(fd) < 0 && errno != EINTR ? failed(file, errno, err) : 0;
}
