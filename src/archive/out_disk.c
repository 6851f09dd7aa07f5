/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives are written once and read seldom: in the page cache they would push out what the game
 * servers need, and copying them there is the largest cost of all.  So whole pages go to disk
 * directly; what is less than a page at either end, and files that do not take it, go the usual
 * way.
 */
#include "archive/out_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

enum {
    DIRECT_MIN_BYTES = 64 << 10, /* below, a trip to the disk costs more than a copy */
    WINDOW_BYTES = 8 << 20,      /* written back together; two windows at most are dirty */
    PACE_SLICE_US = 50000,       /* how late a stop is noticed while waiting */
    MIN_PACED_BYTES = 65536,     /* a slow pace writes smaller pieces, so that it is even */
};

struct out_disk {
    int fd;
    const _Atomic(bool) *is_stopped;
    const struct cancel *cancel;
    uint64_t rate_bytes_per_s;
    int64_t next_write_us; /* monotonic: when the pace allows the next piece */
    uint64_t written_bytes;
    off_t start; /* where the archive begins in the file; -1: it has no places */

    int flags;       /* of the file, as they were */
    bool may_direct; /* nothing has said no yet */
    bool is_direct;  /* the flag is set now */

    bool drops_pages; /* the file can be told to */
    uint64_t window_start;
};

struct out_disk *out_disk_create(int fd, const struct archive_options *options,
                                 const _Atomic(bool) *is_stopped)
{
    struct out_disk *disk = xcalloc(1, sizeof(*disk));
    struct stat status;
    disk->fd = fd;
    disk->is_stopped = is_stopped;
    disk->cancel = options->cancel;
    disk->rate_bytes_per_s = options->write_rate_bytes_per_s;
    disk->start = lseek(fd, 0, SEEK_CUR);
    disk->drops_pages = disk->start >= 0;
    disk->flags = fcntl(fd, F_GETFL);
    /* What is appended lands elsewhere than the position says. */
    disk->may_direct = disk->start >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                       disk->flags >= 0 && (disk->flags & (O_APPEND | O_DIRECT)) == 0;
    return disk;
}

/* Where the flag cannot be set, the file is written without. */
static void set_direct(struct out_disk *disk, bool is_wanted)
{
    if (is_wanted == disk->is_direct)
        return;
    if (fcntl(disk->fd, F_SETFL, disk->flags | (is_wanted ? O_DIRECT : 0)) == 0)
        disk->is_direct = is_wanted;
    else
        disk->may_direct = false;
}

void out_disk_free(struct out_disk *disk)
{
    if (disk == NULL)
        return;
    set_direct(disk, false);
    free(disk);
}

uint64_t out_disk_written(const struct out_disk *disk)
{
    return disk->written_bytes;
}

static size_t misalignment_at(const struct out_disk *disk)
{
    uint64_t offset = (uint64_t)disk->start + disk->written_bytes;
    return (size_t)(-offset % OUT_DISK_ALIGNMENT);
}

size_t out_disk_misalignment(const struct out_disk *disk)
{
    return disk->may_direct ? misalignment_at(disk) : 0;
}

static int wait_for_pace(struct out_disk *disk, size_t length, struct error *err)
{
    if (disk->rate_bytes_per_s == 0)
        return 0;
    int64_t now_us = time_monotonic_us();
    if (disk->next_write_us < now_us)
        disk->next_write_us = now_us;
    for (; now_us < disk->next_write_us; now_us = time_monotonic_us()) {
        if (atomic_load_explicit(disk->is_stopped, memory_order_relaxed) ||
            cancel_is_set(disk->cancel))
            return error_set(err, ERROR_CANCELLED, "writing was stopped");
        int64_t left_us = disk->next_write_us - now_us;
        int64_t slice_us = left_us < PACE_SLICE_US ? left_us : PACE_SLICE_US;
        struct timespec pause = {.tv_nsec = slice_us * 1000};
        nanosleep(&pause, NULL);
    }
    double seconds = (double)length / (double)disk->rate_bytes_per_s;
    disk->next_write_us += (int64_t)(seconds * 1e6);
    return 0;
}

/* Start to write back the window that is full, and let go of the one before it. */
static void drop_pages_behind(struct out_disk *disk)
{
    if (!disk->drops_pages || disk->is_direct ||
        disk->written_bytes - disk->window_start < WINDOW_BYTES)
        return;
    off_t window = disk->start + (off_t)disk->window_start;
    off_t length = (off_t)(disk->written_bytes - disk->window_start);
    /* A hint that fails (a pipe, a file system without it) costs nothing but the hint. */
    if (sync_file_range(disk->fd, window, length, SYNC_FILE_RANGE_WRITE) < 0) {
        disk->drops_pages = false;
        return;
    }
    off_t before = window - WINDOW_BYTES > disk->start ? window - WINDOW_BYTES : disk->start;
    if (window > before && sync_file_range(disk->fd, before, window - before,
                                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                               SYNC_FILE_RANGE_WAIT_AFTER) == 0)
        posix_fadvise(disk->fd, before, window - before, POSIX_FADV_DONTNEED);
    disk->window_start = disk->written_bytes;
}

static size_t piece_length(const struct out_disk *disk, size_t length)
{
    if (disk->rate_bytes_per_s == 0)
        return length;
    uint64_t quarter_second = disk->rate_bytes_per_s / 4 / MIN_PACED_BYTES * MIN_PACED_BYTES;
    if (quarter_second < MIN_PACED_BYTES)
        quarter_second = MIN_PACED_BYTES;
    return length < quarter_second ? length : (size_t)quarter_second;
}

/* What can go directly of `length` bytes; 0: nothing. */
static size_t direct_length(const struct out_disk *disk, const uint8_t *bytes, size_t length)
{
    if (!disk->may_direct || misalignment_at(disk) != 0 ||
        (uintptr_t)bytes % OUT_DISK_ALIGNMENT != 0)
        return 0;
    size_t whole = length - length % OUT_DISK_ALIGNMENT;
    return whole < DIRECT_MIN_BYTES ? 0 : whole;
}

/* Some bytes, directly.  0: the file does not take it so. */
static ssize_t write_directly(struct out_disk *disk, const uint8_t *bytes, size_t length,
                              struct error *err)
{
    set_direct(disk, true);
    if (!disk->is_direct)
        return 0;
    ssize_t done;
    do
        done = write(disk->fd, bytes, length);
    while (done < 0 && errno == EINTR);
    if (done < 0 && (errno == EINVAL || errno == ENOTSUP)) {
        set_direct(disk, false);
        disk->may_direct = false;
        return 0;
    }
    if (done < 0)
        return error_set_os(err, errno, "writing %zu bytes", length);
    return done;
}

static int write_piece(struct out_disk *disk, const uint8_t *bytes, size_t length,
                       struct error *err)
{
    for (size_t done = 0; done < length;) {
        size_t part = direct_length(disk, bytes + done, length - done);
        ssize_t got = part == 0 ? 0 : write_directly(disk, bytes + done, part, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            part = length - done;
            set_direct(disk, false);
            if (file_write_all(disk->fd, bytes + done, part, err) < 0)
                return -1;
            got = (ssize_t)part;
        }
        done += (size_t)got;
        disk->written_bytes += (uint64_t)got;
    }
    return 0;
}

int out_disk_write(struct out_disk *disk, const uint8_t *bytes, size_t length, struct error *err)
{
    size_t piece;
    for (size_t done = 0; done < length; done += piece) {
        piece = piece_length(disk, length - done);
        if (wait_for_pace(disk, piece, err) < 0 || write_piece(disk, bytes + done, piece, err) < 0)
            return -1;
    }
    drop_pages_behind(disk);
    return 0;
}

int out_disk_finish(struct out_disk *disk, struct error *err)
{
    set_direct(disk, false);
    /* Pipes and devices have nothing to sync, and say so. */
    if (fsync(disk->fd) < 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return error_set_os(err, errno, "making the archive durable");
    if (disk->drops_pages)
        posix_fadvise(disk->fd, disk->start, 0, POSIX_FADV_DONTNEED);
    return 0;
}
