/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input describes a stream of entries: nine bytes an entry (see make_entry()), and the rest of
 * its line is its name.  Claims: what an archive is written from is what is read from it; and its index says
 * the same, of each path what came last.
 */
#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/index.h"
#include "base/mem.h"
#include "base/scope.h"

enum {
    ENTRIES_MAX = 64,
    FIXED_BYTES = 9,
    EXTENTS_MAX = 8,
    CONTENT_BYTES = 70000,
    LONG_NAME_BYTES = 200,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
    char last_file[ENTRY_PATH_MAX_BYTES + 1]; /* "": none yet */
};

/* What the last of an entry's fixed bytes asks for. */
enum extras {
    EXTRA_XATTRS = 7,            /* so many */
    EXTRA_LINK_TO_FILE = 1 << 3, /* a hard link to the last file, not to itself */
    EXTRA_LONG_NAMES = 3 << 4,   /* so many long names before its own */
    EXTRA_DEEP = 1 << 6,         /* directories before its own name */
};

static uint8_t content[CONTENT_BYTES];

/* The byte at `offset` of every file. */
static uint8_t content_at(uint64_t offset)
{
    return content[offset % CONTENT_BYTES];
}

static void make_content(void)
{
    uint32_t random = 1;
    for (size_t i = 0; i < CONTENT_BYTES; i++) {
        random = random * 1664525 + 1013904223;
        content[i] = i % 9000 < 4500 ? (uint8_t)(random >> 24) : (uint8_t)(i / 100);
    }
}

static void make_extents(struct entry *entry, const uint8_t *fixed)
{
    struct error err = ERROR_INIT;
    struct extent extents[EXTENTS_MAX];
    size_t count = 0;
    uint64_t at = 0;
    for (size_t i = 0; i < fixed[6] % EXTENTS_MAX; i++) {
        at += (uint64_t)fixed[(i + 1) % FIXED_BYTES] * (i % 2 == 0 ? 1 : 97);
        uint64_t length = fixed[(i + 3) % FIXED_BYTES] * 5U;
        if (at + length > entry->size_bytes)
            break;
        extents[count++] = (struct extent){.offset = at, .length = length};
        at += length;
    }
    assert(entry_set_extents(entry, extents, count, &err) == 0);
}

static void make_xattrs(struct entry *entry, const uint8_t *fixed)
{
    struct error err = ERROR_INIT;
    char name[32];
    for (unsigned i = 0; i < (fixed[8] & EXTRA_XATTRS); i++) {
        int length =
            snprintf(name, sizeof(name), "user.%u=%%%c", i, fixed[i] == 0 ? '0' : fixed[i]);
        size_t bytes = (size_t)fixed[(i + 2) % FIXED_BYTES] * (i == 6 ? 97 : 1);
        struct slice value = slice_of(content + fixed[3], bytes);
        assert(entry_xattrs_set(&entry->xattrs, slice_of(name, (size_t)length), value, &err) == 0);
    }
}

static bool make_path(struct entry *entry, uint8_t extras, struct slice name)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf path = BUF_INIT;
    for (int i = 0; i < (extras & EXTRA_LONG_NAMES) >> 4; i++) {
        for (unsigned j = 0; j < LONG_NAME_BYTES; j++)
            buf_add_char(&path, (char)('a' + i));
        buf_add_char(&path, '/');
    }
    for (unsigned i = 0; i < 40 && (extras & EXTRA_DEEP) != 0; i++)
        buf_add_str(&path, "d/");
    buf_add(&path, name.data, name.length);
    return entry_set_path(entry, buf_slice(&path), &err) == 0;
}

static void make_link(struct input *input, struct entry *entry, uint8_t extras)
{
    bool is_to_file = entry->type == ENTRY_HARDLINK && (extras & EXTRA_LINK_TO_FILE) != 0;
    if (is_to_file && input->last_file[0] != '\0')
        buf_add_str(&entry->link, input->last_file);
    else
        buf_add(&entry->link, entry->path.data, entry->path.length);
}

/* type | mode | owner | time | nanoseconds | size | extents | size's power | extras */
static bool make_entry(struct input *input, struct entry *entry)
{
    struct error err = ERROR_INIT;
    if (input->size <= FIXED_BYTES)
        return false;
    const uint8_t *fixed = input->data;
    const uint8_t *text = fixed + FIXED_BYTES;
    const uint8_t *end = memchr(text, '\n', input->size - FIXED_BYTES);
    size_t length = end == NULL ? input->size - FIXED_BYTES : (size_t)(end - text);
    input->size -= FIXED_BYTES + length + (end != NULL);
    input->data = text + length + (end != NULL);

    entry_clear(entry);
    entry->type = (enum entry_type)(fixed[0] % 4);
    entry->mode = (mode_t)(fixed[1] << 4) & 07777;
    entry->uid = (uid_t)fixed[2] << (fixed[2] % 24);
    entry->gid = (gid_t)fixed[2];
    entry->mtime_s = ((int64_t)fixed[3] - 128) * (INT64_C(1) << (fixed[3] % 40));
    entry->mtime_ns = fixed[4] * 3921568U;
    if (!make_path(entry, fixed[8], slice_of(text, length)))
        return false;
    if (entry->type == ENTRY_FILE) {
        entry->size_bytes = (uint64_t)fixed[5] << (fixed[7] % 12);
        entry->stored_bytes = entry->size_bytes;
        if (fixed[6] % 2 == 1)
            make_extents(entry, fixed);
    } else if (entry->type != ENTRY_DIRECTORY) {
        make_link(input, entry, fixed[8]);
    }
    if (entry->type == ENTRY_FILE || entry->type == ENTRY_DIRECTORY)
        make_xattrs(entry, fixed);
    if (entry_check(entry, &err) < 0)
        return false;
    if (entry->type == ENTRY_FILE)
        memcpy(input->last_file, entry->path.data, entry->path.length + 1);
    return true;
}

static void write_content(struct sink *sink, const struct entry *entry)
{
    struct error err = ERROR_INIT;
    struct extent all = {.length = entry->size_bytes};
    size_t count = entry->extents == NULL ? 1 : entry->extent_count;
    const struct extent *extents = entry->extents == NULL ? &all : entry->extents;
    uint8_t chunk[777];
    for (size_t i = 0; i < count; i++)
        for (uint64_t done = 0; done < extents[i].length;) {
            size_t part = 0;
            for (; part < sizeof(chunk) && done < extents[i].length; done++)
                chunk[part++] = content_at(extents[i].offset + done);
            assert(sink_write(sink, chunk, part, &err) == 0);
        }
}

static bool is_in_extents(const struct entry *entry, uint64_t offset)
{
    if (entry->extents == NULL)
        return true;
    for (size_t i = 0; i < entry->extent_count; i++)
        if (offset >= entry->extents[i].offset &&
            offset - entry->extents[i].offset < entry->extents[i].length)
            return true;
    return false;
}

/* Pieces may have grown, by zeros. */
static void check_content(struct source *source, const struct entry *got,
                          const struct entry *expected)
{
    struct error err = ERROR_INIT;
    struct extent all = {.length = got->size_bytes};
    size_t count = got->extents == NULL ? 1 : got->extent_count;
    const struct extent *extents = got->extents == NULL ? &all : got->extents;
    uint64_t covered = 0;
    uint8_t chunk[4096];
    for (size_t i = 0; i < count; i++)
        for (uint64_t done = 0; done < extents[i].length;) {
            uint64_t left = extents[i].length - done;
            ssize_t part = source_read(source, chunk, left < 4096 ? (size_t)left : 4096, &err);
            assert(part > 0);
            for (ssize_t j = 0; j < part; j++, done++) {
                uint64_t offset = extents[i].offset + done;
                bool is_data = is_in_extents(expected, offset);
                assert(chunk[j] == (is_data ? content_at(offset) : 0));
                covered += is_data;
            }
        }
    assert(covered == expected->stored_bytes);
}

static void check_entry(const struct entry *got, const struct entry *expected)
{
    assert(slice_equal(buf_slice(&got->path), buf_slice(&expected->path)));
    assert(slice_equal(buf_slice(&got->link), buf_slice(&expected->link)));
    assert(got->type == expected->type && got->mode == expected->mode);
    assert(got->uid == expected->uid && got->gid == expected->gid);
    assert(got->mtime_s == expected->mtime_s && got->mtime_ns == expected->mtime_ns);
    assert(got->size_bytes == expected->size_bytes);
    assert(slice_equal(buf_slice(&got->xattrs), buf_slice(&expected->xattrs)));
}

static size_t write_archive(struct input input, int fd)
{
    struct error err = ERROR_INIT;
    struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 1};
    struct sink *sink = archive_writer_open(fd, &options, &err);
    struct entry entry;
    size_t count = 0;
    entry_init(&entry);
    for (; count < ENTRIES_MAX && make_entry(&input, &entry); count++) {
        assert(sink_entry(sink, &entry, &err) == 0);
        if (entry.type == ENTRY_FILE)
            write_content(sink, &entry);
    }
    assert(sink_finish(sink, &err) == 0);
    sink_free(sink);
    entry_free(&entry);
    return count;
}

static void check_archive(struct input input, size_t count, int fd)
{
    struct error err = ERROR_INIT;
    struct archive_read_options options = {.flags = ARCHIVE_WITH_XATTRS | ARCHIVE_CHECK_INDEX};
    struct source *source = archive_reader_open(fd, &options, &err);
    struct entry expected;
    struct entry got;
    entry_init(&expected);
    entry_init(&got);
    for (size_t i = 0; i < count; i++) {
        assert(make_entry(&input, &expected));
        assert(source_next(source, &got, &err) == 1);
        check_entry(&got, &expected);
        if (got.type == ENTRY_FILE)
            check_content(source, &got, &expected);
    }
    assert(source_next(source, &got, &err) == 0);
    source_free(source);
    entry_free(&expected);
    entry_free(&got);
}

/* The last of the entries that has this path. */
static void find_last(struct input input, size_t count, struct slice path, struct entry *last)
{
    struct entry entry;
    enum entry_type type = ENTRY_FILE;
    uint64_t size_bytes = 0;
    entry_init(&entry);
    for (size_t i = 0; i < count; i++) {
        assert(make_entry(&input, &entry));
        if (slice_equal(buf_slice(&entry.path), path)) {
            type = entry.type;
            size_bytes = entry.size_bytes;
        }
    }
    last->type = type;
    last->size_bytes = size_bytes;
    entry_free(&entry);
}

static void check_index(struct input input, size_t count, int fd)
{
    struct error err = ERROR_INIT;
    struct archive_index *index = archive_index_open(fd, &err);
    assert(index != NULL && archive_index_entries(index) == count);
    struct input all = input;
    struct entry expected, got;
    entry_init(&expected);
    entry_init(&got);
    for (size_t i = 0; i < count; i++) {
        assert(make_entry(&input, &expected));
        find_last(all, count, buf_slice(&expected.path), &expected);
        assert(archive_index_find(index, buf_slice(&expected.path), &got, &err) == 0);
        assert(slice_equal(buf_slice(&got.path), buf_slice(&expected.path)));
        assert(got.type == expected.type && got.size_bytes == expected.size_bytes);
    }
    archive_index_free(index);
    entry_free(&expected);
    entry_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .size = size};
    make_content();
    int fd = memfd_create("archive", MFD_CLOEXEC);
    size_t count = write_archive(input, fd);
    lseek(fd, 0, SEEK_SET);
    check_archive(input, count, fd);
    check_index(input, count, fd);
    close(fd);
    return 0;
}
