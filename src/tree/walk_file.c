/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One regular file of a walk, and its fence.  Invariant: what is announced is
 * delivered, byte for byte in number, whatever happens to the file meanwhile; and
 * content of two states of a file never passes without being named.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "tree/walk_internal.h"

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080 /* linux/fs.h of 6.14 */
#endif

enum {
    ATTEMPTS_MAX = 4,
    TICK_NS = 11 * 1000 * 1000, /* the coarsest clock that stamps files: 10 ms */
    SECOND_NS = 1000 * 1000 * 1000,
    WRITE_MAX_S = 3600,   /* no single write takes longer */
    DROP_BYTES = 8 << 20, /* pages are given back in such pieces */
    SECTOR_BYTES = 512,   /* the unit of st_blocks */
    PAGE_BYTES = 4096,
    ZEROS_MAX_BYTES = 1 << 30, /* read and stored for want of pieces, beyond … */
    ZEROS_MAX_RATIO = 4,       /* … so many times what the file has on disk */
};

static bool is_same_state(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*
 * A change within the tick of the last one leaves the same ctime; the fence would not see it.  Wait until the tick
 * has passed.  1: it has, nobody wrote meanwhile; 0: the file is being written to; -1: errno.
 */
static int wait_for_tick(int fd, struct stat *status)
{
    for (int looks = 0;; looks++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t age_s = now.tv_sec - status->st_ctim.tv_sec;
        if (age_s > 1 || age_s < 0)
            return 1;
        int64_t age_ns = age_s * SECOND_NS + now.tv_nsec - status->st_ctim.tv_nsec;
        if (age_ns < 0 || age_ns >= TICK_NS)
            return 1;
        if (looks == 1)
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS - age_ns}, NULL);
        if (fstat(fd, status) < 0)
            return -1;
    }
}

/*
 * A write stamps the file when it begins and may take seconds, where the disk or the scheduler holds it up; what is
 * read meanwhile is a mix that no later look at the times can tell.  File systems hold the inode's lock while they
 * write, and while they look for holes: such a look, between the times and the content, waits for the write under
 * way, and the next one has other times.  (XFS does not need it: there a read waits for the write.)  As wait_for_tick().
 */
static int settle(int fd, struct stat *status)
{
    int settled = wait_for_tick(fd, status);
    if (settled > 0 && time(NULL) - status->st_ctim.tv_sec < WRITE_MAX_S)
        lseek(fd, status->st_size, SEEK_HOLE);
    return settled;
}

static bool may_have_holes(const struct walk *walk, const struct stat *status)
{
    return walk->options.wants_holes && status->st_size > 0 &&
           status->st_blocks < status->st_size / SECTOR_BYTES;
}

/* Pieces with at most `gap_bytes` between them become one: the zeros there count as data.  How many are left. */
static size_t join_pieces(struct extent *extents, size_t count, uint64_t gap_bytes)
{
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        uint64_t end = extents[last].offset + extents[last].length;
        if (extents[i].offset - end <= gap_bytes)
            extents[last].length = extents[i].offset + extents[i].length - extents[last].offset;
        else
            extents[++last] = extents[i];
    }
    return last + 1;
}

/*
 * The data extents into walk->extents; where there are too many, the smallest holes between them go.
 * false: take the file as it is, without holes.
 */
static bool find_extents(struct walk *walk, int fd, off_t size)
{
    size_t count = 0, capacity = 0;
    uint64_t gap_bytes = PAGE_BYTES;
    off_t at = 0;
    walk->extent_count = 0;
    walk->has_joined_pieces = false;
    while (at < size) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (data < 0 || hole <= data)
            return false;
        if (count == ENTRY_EXTENTS_MAX) {
            walk->has_joined_pieces = true;
            for (; count > ENTRY_EXTENTS_MAX / 2; gap_bytes *= 2)
                count = join_pieces(walk->extents, count, gap_bytes);
        }
        if (data >= size)
            break;
        if (hole > size)
            hole = size;
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            walk->extents = xreallocarray(walk->extents, capacity, sizeof(*walk->extents));
        }
        walk->extents[count++] = (struct extent){(uint64_t)data, (uint64_t)(hole - data)};
        at = hole;
    }
    walk->extent_count = count;
    return count != 1 || walk->extents[0].length != (uint64_t)size;
}

/* As much as there is, at most `length`; a file that ends exactly where it said costs one call. */
static ssize_t read_whole(int fd, char *bytes, size_t length, off_t expected)
{
    size_t total = 0;
    while (total < length) {
        ssize_t got = pread(fd, bytes + total, length - total, (off_t)total);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        total += (size_t)got;
        if (got == 0 || total == (size_t)expected)
            break;
    }
    return (ssize_t)total;
}

static void keep_extents_only(struct walk *walk)
{
    size_t at = 0;
    for (size_t i = 0; i < walk->extent_count; i++) {
        memmove(walk->small + at, walk->small + walk->extents[i].offset, walk->extents[i].length);
        at += walk->extents[i].length;
    }
}

/*
 * A small file into memory, until a fence holds.  VISIT_RETRY: it has become a
 * large one.  Fills in sizes and extents.
 */
static enum visit load_small(struct walk *walk, int fd, struct stat *before, struct entry *entry,
                             struct error *err)
{
    struct stat after;
    for (int attempt = 1;; attempt++) {
        int settled = settle(fd, before);
        if (settled < 0)
            return walk_failed(walk, errno, err);
        if (before->st_size > WALK_SMALL_BYTES)
            return VISIT_RETRY;
        ssize_t got = read_whole(fd, walk->small, (size_t)before->st_size + 1, before->st_size);
        bool has_holes = may_have_holes(walk, before) && find_extents(walk, fd, before->st_size);
        if (got < 0 || fstat(fd, &after) < 0)
            return walk_failed(walk, errno, err);
        budget_read((uint64_t)got);
        bool is_stable = settled > 0 && got == before->st_size && is_same_state(before, &after);
        if (is_stable || attempt == ATTEMPTS_MAX) {
            entry->size_bytes = (uint64_t)(got < before->st_size ? got : before->st_size);
            entry->stored_bytes = entry->size_bytes;
            if (!is_stable)
                walk_report(walk, REPORT_CHANGED, "changed each time it was read");
            else if (has_holes &&
                     entry_set_extents(entry, walk->extents, walk->extent_count, err) < 0)
                return VISIT_ERROR;
            else if (has_holes)
                keep_extents_only(walk);
            return VISIT_ENTRY;
        }
        *before = after;
    }
}

static void name_once(struct walk *walk, enum report_kind kind, const char *text)
{
    if (!walk->file.is_named)
        walk_report(walk, kind, text);
    walk->file.is_named = true;
}

/*
 * A tenant can make a file of 16 TiB with a hole behind every page of its quota.  What is left of its holes is
 * then read for hours, and stored as zeros that no disk limit lets come back.
 */
static bool is_mostly_zeros(const struct entry *entry, const struct stat *status)
{
    uint64_t allocated = (uint64_t)status->st_blocks * SECTOR_BYTES;
    return entry->stored_bytes > ZEROS_MAX_BYTES &&
           entry->stored_bytes - ZEROS_MAX_BYTES > allocated * ZEROS_MAX_RATIO;
}

/* A large file is announced as it is now, and read when the content is asked for. */
static enum visit announce_large(struct walk *walk, int fd, struct entry *entry, struct error *err)
{
    struct stat *status = &walk->file.before;
    int settled = settle(fd, status);
    if (settled < 0)
        return walk_failed(walk, errno, err);
    if (settled == 0)
        name_once(walk, REPORT_CHANGED, "is being written to");
    entry->size_bytes = entry->stored_bytes = (uint64_t)status->st_size;
    walk->extent_count = 0;
    if (may_have_holes(walk, status) && find_extents(walk, fd, status->st_size)) {
        if (entry_set_extents(entry, walk->extents, walk->extent_count, err) < 0)
            return VISIT_ERROR;
    }
    if (may_have_holes(walk, status) && walk->has_joined_pieces && is_mostly_zeros(entry, status)) {
        walk_report(walk, REPORT_UNREADABLE, "is nearly all holes, in too many pieces");
        return VISIT_NOTHING;
    }
    if (entry->extents == NULL) {
        if (walk->extents == NULL)
            walk->extents = xcalloc(64, sizeof(*walk->extents));
        walk->extents[0] = (struct extent){0, entry->size_bytes};
        walk->extent_count = 1;
    }
    walk->file.extent = 0;
    walk->file.offset = walk->extent_count > 0 ? walk->extents[0].offset : 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return VISIT_ENTRY;
}

static enum visit give_content(struct walk *walk, int *fd, struct stat *status, struct entry *entry,
                               struct error *err)
{
    walk->file = (struct open_file){.fd = -1, .is_in_memory = true};
    if (status->st_size == 0)
        return VISIT_ENTRY;
    if (status->st_size <= WALK_SMALL_BYTES) {
        enum visit visit = load_small(walk, *fd, status, entry, err);
        if (visit != VISIT_RETRY)
            return visit;
    }
    walk->file.before = *status;
    enum visit visit = announce_large(walk, *fd, entry, err);
    if (visit != VISIT_ENTRY)
        return visit;
    *status = walk->file.before;
    walk->file.is_in_memory = false;
    walk->file.fd = scope_take_fd(fd);
    return VISIT_ENTRY;
}

/* The file's own entry, or a link to the name that it was given by. */
static enum visit describe_file(struct walk *walk, int *fd, struct stat *status,
                                struct entry *entry, struct error *err)
{
    if (status->st_nlink > 1 &&
        links_use(walk->links, status->st_dev, status->st_ino, &entry->link)) {
        walk_describe(walk, entry, ENTRY_HARDLINK, status);
        return VISIT_ENTRY;
    }
    if (walk->options.wants_no_content) {
        walk->file = (struct open_file){.fd = -1, .is_in_memory = true};
        entry->size_bytes = entry->stored_bytes = (uint64_t)status->st_size;
    } else {
        walk_read_xattrs(walk, *fd, entry);
        enum visit visit = give_content(walk, fd, status, entry, err);
        if (visit != VISIT_ENTRY)
            return visit;
    }
    walk_describe(walk, entry, ENTRY_FILE, status);
    if (status->st_nlink > 1) {
        links_add(walk->links, status->st_dev, status->st_ino, buf_slice(&walk->path),
                  status->st_nlink - 1);
        walk->file.has_link = true;
        walk->file.link_device = status->st_dev;
        walk->file.link_inode = status->st_ino;
    }
    return VISIT_ENTRY;
}

static enum visit visit_inode(struct walk *walk, int dir_fd, const char *name, struct entry *entry,
                              struct error *err)
{
    struct stat status;
    int no_fd = -1;
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return walk_failed(walk, errno, err);
    if (!S_ISREG(status.st_mode))
        return VISIT_RETRY;
    return describe_file(walk, &no_fd, &status, entry, err);
}

enum visit walk_visit_file(struct walk *walk, int dir_fd, const char *name, struct entry *entry,
                           struct error *err)
{
    if (walk->options.wants_no_content)
        return visit_inode(walk, dir_fd, name, entry, err);
    /* O_NONBLOCK: should it be a FIFO by now, nobody waits for a writer. */
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    int opened = beneath_open_raw(dir_fd, name, flags | walk->open_flags, 0);
    if (opened == -EPERM && walk->open_flags != 0) {
        walk->open_flags = 0;
        opened = beneath_open_raw(dir_fd, name, flags, 0);
    }
    if (opened == -ELOOP || opened == -ENXIO)
        return VISIT_RETRY;
    if (opened < 0)
        return walk_failed(walk, -opened, err);
    scope_fd int fd = opened;

    struct stat status;
    if (fstat(fd, &status) < 0)
        return walk_failed(walk, errno, err);
    if (S_ISDIR(status.st_mode))
        return VISIT_RETRY;
    if (!S_ISREG(status.st_mode))
        return walk_skip_special(walk, status.st_mode);

    return describe_file(walk, &fd, &status, entry, err);
}

static ssize_t read_at(struct walk *walk, void *bytes, size_t length)
{
    struct open_file *file = &walk->file;
    struct iovec io = {.iov_base = bytes, .iov_len = length};
    for (;;) {
        ssize_t got = preadv2(file->fd, &io, 1, (off_t)file->offset, walk->read_flags);
        if (got >= 0)
            return got;
        if (errno == EINTR)
            continue;
        if ((errno != EOPNOTSUPP && errno != EINVAL) || walk->read_flags == 0)
            return -1;
        walk->read_flags = 0;
    }
}

/* Give pages back that only we needed; where the kernel does that itself, nothing. */
static void drop_pages(const struct walk *walk, uint64_t from, uint64_t to)
{
    if (walk->read_flags == 0 && from / DROP_BYTES != to / DROP_BYTES)
        posix_fadvise(walk->file.fd, (off_t)(from / DROP_BYTES * DROP_BYTES), DROP_BYTES,
                      POSIX_FADV_DONTNEED);
}

ssize_t walk_read_file(struct walk *walk, void *bytes, size_t length)
{
    struct open_file *file = &walk->file;
    assert(!walk->options.wants_no_content);
    if (file->is_in_memory) {
        memcpy(bytes, walk->small + file->offset, length);
        file->offset += length;
        return (ssize_t)length;
    }
    const struct extent *extent = &walk->extents[file->extent];
    uint64_t left = extent->offset + extent->length - file->offset;
    if (length > left)
        length = (size_t)left;
    ssize_t got = read_at(walk, bytes, length);
    if (got <= 0) {
        if (got < 0)
            name_once(walk, REPORT_UNREADABLE, "failed to read in the middle; zeros from there on");
        else
            name_once(walk, REPORT_CHANGED, "shrank while it was read; zeros from there on");
        memset(bytes, 0, length);
        got = (ssize_t)length;
    }
    budget_read((uint64_t)got);
    drop_pages(walk, file->offset, file->offset + (uint64_t)got);
    file->offset += (uint64_t)got;
    if ((uint64_t)got == left && file->extent + 1 < walk->extent_count)
        file->offset = walk->extents[++file->extent].offset;
    return got;
}

void walk_end_file(struct walk *walk)
{
    struct open_file *file = &walk->file;
    if (file->fd >= 0) {
        struct stat after;
        bool was_read = walk->source.left_bytes == 0;
        if (was_read && (fstat(file->fd, &after) < 0 || !is_same_state(&file->before, &after)))
            name_once(walk, REPORT_CHANGED, "changed while it was read");
        close(file->fd);
    }
    *file = (struct open_file){.fd = -1, .is_in_memory = true};
}
