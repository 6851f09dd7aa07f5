/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive's file: aligned chunks, the digest of every byte in the order of the file, the
 * pace, and the page cache left as it was found.
 */
#include "archive/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

enum {
    CHUNK_BYTES = 1 << 20,
    CHUNK_ALIGNMENT = 4096,
    WINDOW_BYTES = 8 << 20,  /* written back together; two windows at most are dirty */
    PACE_SLICE_US = 50000,   /* how late a stop is noticed while waiting */
    MIN_PACED_BYTES = 65536, /* a slow pace writes smaller pieces, so that it is even */
};

struct out_file {
    int fd;
    const _Atomic(bool) *is_stopped;
    struct digester *digester;
    uint64_t limit_bytes;
    uint64_t rate_bytes_per_s;
    int64_t next_write_us; /* monotonic: when the pace allows the next piece */

    uint8_t *chunk;
    size_t chunk_length;
    uint64_t written_bytes;

    bool drops_pages; /* the file can be told to */
    off_t start;      /* where the archive begins in the file */
    uint64_t window_start;
};

struct out_file *out_file_create(int fd, const struct archive_options *options,
                                 const _Atomic(bool) *is_stopped)
{
    struct out_file *file = xcalloc(1, sizeof(*file));
    file->fd = fd;
    file->is_stopped = is_stopped;
    file->digester = digester_create(options->digest);
    file->limit_bytes = options->limit_file_bytes;
    file->rate_bytes_per_s = options->write_rate_bytes_per_s;
    file->chunk = aligned_alloc(CHUNK_ALIGNMENT, CHUNK_BYTES);
    if (file->chunk == NULL)
        abort();
    file->start = lseek(fd, 0, SEEK_CUR);
    file->drops_pages = file->start >= 0;
    return file;
}

void out_file_free(struct out_file *file)
{
    if (file == NULL)
        return;
    digester_free(file->digester);
    free(file->chunk);
    free(file);
}

static int wait_for_pace(struct out_file *file, size_t length, struct error *err)
{
    if (file->rate_bytes_per_s == 0)
        return 0;
    int64_t now_us = time_monotonic_us();
    if (file->next_write_us < now_us)
        file->next_write_us = now_us;
    for (; now_us < file->next_write_us; now_us = time_monotonic_us()) {
        if (atomic_load_explicit(file->is_stopped, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "writing was stopped");
        int64_t left_us = file->next_write_us - now_us;
        int64_t slice_us = left_us < PACE_SLICE_US ? left_us : PACE_SLICE_US;
        struct timespec pause = {.tv_nsec = slice_us * 1000};
        nanosleep(&pause, NULL);
    }
    double seconds = (double)length / (double)file->rate_bytes_per_s;
    file->next_write_us += (int64_t)(seconds * 1e6);
    return 0;
}

/* Start to write back the window that is full, and let go of the one before it. */
static void drop_pages_behind(struct out_file *file)
{
    if (!file->drops_pages || file->written_bytes - file->window_start < WINDOW_BYTES)
        return;
    off_t window = file->start + (off_t)file->window_start;
    off_t length = (off_t)(file->written_bytes - file->window_start);
    /* A hint that fails (a pipe, a file system without it) costs nothing but the hint. */
    if (sync_file_range(file->fd, window, length, SYNC_FILE_RANGE_WRITE) < 0) {
        file->drops_pages = false;
        return;
    }
    off_t before = window - WINDOW_BYTES > file->start ? window - WINDOW_BYTES : file->start;
    if (window > before && sync_file_range(file->fd, before, window - before,
                                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                               SYNC_FILE_RANGE_WAIT_AFTER) == 0)
        posix_fadvise(file->fd, before, window - before, POSIX_FADV_DONTNEED);
    file->window_start = file->written_bytes;
}

static size_t piece_length(const struct out_file *file, size_t length)
{
    if (file->rate_bytes_per_s == 0)
        return length;
    uint64_t quarter_second = file->rate_bytes_per_s / 4;
    if (quarter_second < MIN_PACED_BYTES)
        quarter_second = MIN_PACED_BYTES;
    return length < quarter_second ? length : (size_t)quarter_second;
}

static int flush(struct out_file *file, struct error *err)
{
    digester_add(file->digester, file->chunk, file->chunk_length);
    size_t piece;
    for (size_t done = 0; done < file->chunk_length; done += piece) {
        piece = piece_length(file, file->chunk_length - done);
        if (wait_for_pace(file, piece, err) < 0 ||
            file_write_all(file->fd, file->chunk + done, piece, err) < 0)
            return -1;
        file->written_bytes += piece;
    }
    file->chunk_length = 0;
    drop_pages_behind(file);
    return 0;
}

int out_file_add(struct out_file *file, const void *bytes, size_t length, struct error *err)
{
    const uint8_t *next = bytes;
    uint64_t size_bytes = file->written_bytes + file->chunk_length + length;
    if (file->limit_bytes != 0 && size_bytes > file->limit_bytes)
        return error_set(err, ERROR_LIMIT, "the archive is larger than its limit of %llu bytes",
                         (unsigned long long)file->limit_bytes);
    while (length > 0) {
        size_t room = CHUNK_BYTES - file->chunk_length;
        size_t part = length < room ? length : room;
        memcpy(file->chunk + file->chunk_length, next, part);
        file->chunk_length += part;
        next += part;
        length -= part;
        if (file->chunk_length == CHUNK_BYTES && flush(file, err) < 0)
            return -1;
    }
    return 0;
}

/* Pipes and devices have nothing to sync, and say so. */
static int sync_file(int fd, struct error *err)
{
    if (fsync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP)
        return 0;
    return error_set_os(err, errno, "making the archive durable");
}

int out_file_finish(struct out_file *file, struct digest *digest, uint64_t *file_bytes,
                    struct error *err)
{
    if (flush(file, err) < 0 || sync_file(file->fd, err) < 0)
        return -1;
    if (file->drops_pages)
        posix_fadvise(file->fd, file->start, 0, POSIX_FADV_DONTNEED);
    digester_finish(file->digester, digest);
    *file_bytes = file->written_bytes;
    return 0;
}
