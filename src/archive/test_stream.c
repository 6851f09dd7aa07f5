/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of entries in memory, for tests. */
#include "archive/test_stream.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum {
    COPY_BYTES = 100000, /* no multiple of anything */
};

void test_stream_free(struct test_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        entry_free(&stream->entries[i]);
        buf_free(&stream->contents[i]);
    }
    free(stream->entries);
    free(stream->contents);
    *stream = (struct test_stream){0};
}

struct entry *test_stream_add(struct test_stream *stream, enum entry_type type, struct slice path)
{
    struct error err = ERROR_INIT;
    size_t count = stream->count + 1;
    stream->entries = xreallocarray(stream->entries, count, sizeof(*stream->entries));
    stream->contents = xreallocarray(stream->contents, count, sizeof(*stream->contents));
    stream->contents[stream->count] = (struct buf)BUF_INIT;
    struct entry *entry = &stream->entries[stream->count++];
    entry_init(entry);
    entry->type = type;
    entry->mode = type == ENTRY_DIRECTORY ? 0755 : 0644;
    entry->uid = getuid();
    entry->gid = getgid();
    entry->mtime_s = 1700000000;
    entry->mtime_ns = 123456789;
    int set = entry_set_path(entry, path, &err);
    assert(set == 0);
    return entry;
}

void test_stream_add_file(struct test_stream *stream, const char *path, struct slice content)
{
    struct entry *entry = test_stream_add(stream, ENTRY_FILE, slice_str(path));
    entry->size_bytes = content.length;
    entry->stored_bytes = content.length;
    buf_add(&stream->contents[stream->count - 1], content.data, content.length);
}

void test_stream_add_link(struct test_stream *stream, enum entry_type type, const char *path,
                          struct slice target)
{
    struct entry *entry = test_stream_add(stream, type, slice_str(path));
    buf_add(&entry->link, target.data, target.length);
}

void test_stream_add_sparse(struct test_stream *stream, const char *path, uint64_t size_bytes,
                            const struct extent *extents, size_t count, struct slice content)
{
    struct error err = ERROR_INIT;
    struct entry *entry = test_stream_add(stream, ENTRY_FILE, slice_str(path));
    entry->size_bytes = size_bytes;
    int set = entry_set_extents(entry, extents, count, &err);
    assert(set == 0 && entry->stored_bytes == content.length);
    buf_add(&stream->contents[stream->count - 1], content.data, content.length);
}

/* The pieces of an open file, and their content. */
static void add_pieces(struct entry *entry, struct buf *content, int fd)
{
    struct error err = ERROR_INIT;
    struct extent *extents = NULL;
    size_t count = 0;
    off_t data;
    off_t hole = 0;
    while ((data = lseek(fd, hole, SEEK_DATA)) >= 0) {
        hole = lseek(fd, data, SEEK_HOLE);
        extents = xreallocarray(extents, count + 1, sizeof(*extents));
        extents[count].offset = (uint64_t)data;
        extents[count].length = (uint64_t)(hole - data);
        char *piece = xmalloc(extents[count].length);
        ssize_t got = file_pread_full(fd, piece, extents[count].length, (uint64_t)data, &err);
        assert(got == hole - data);
        buf_add(content, piece, (size_t)got);
        free(piece);
        count++;
    }
    int set = entry_set_extents(entry, extents, count, &err);
    assert(set == 0);
    free(extents);
}

static const struct entry *first_name(const struct test_stream *stream, const ino_t *inodes,
                                      ino_t inode)
{
    for (size_t i = 0; i < stream->count; i++)
        if (inodes[i] == inode && stream->entries[i].type == ENTRY_FILE)
            return &stream->entries[i];
    return NULL;
}

struct walk {
    struct test_stream *stream;
    ino_t *inodes; /* of every entry so far */
    int root;
};

static void walk_object(struct walk *walk, const char *path);

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk_directory(struct walk *walk, const char *path)
{
    DIR *dir = fdopendir(openat(walk->root, path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY));
    assert(dir != NULL);
    char **names = NULL;
    size_t count = 0;
    const struct dirent *dirent;
    while ((dirent = readdir(dir)) != NULL) {
        if (strcmp(dirent->d_name, ".") == 0 || strcmp(dirent->d_name, "..") == 0)
            continue;
        names = xreallocarray(names, count + 1, sizeof(*names));
        names[count++] = xasprintf("%s%s%s", path, path[0] == '\0' ? "" : "/", dirent->d_name);
    }
    closedir(dir);
    if (count > 0)
        qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++) {
        walk_object(walk, names[i]);
        free(names[i]);
    }
    free(names);
}

static void walk_object(struct walk *walk, const char *path)
{
    struct stat info;
    int found = fstatat(walk->root, path, &info, AT_SYMLINK_NOFOLLOW);
    assert(found == 0);
    enum entry_type type = S_ISDIR(info.st_mode)   ? ENTRY_DIRECTORY
                           : S_ISLNK(info.st_mode) ? ENTRY_SYMLINK
                                                   : ENTRY_FILE;
    const struct entry *first =
        type == ENTRY_FILE ? first_name(walk->stream, walk->inodes, info.st_ino) : NULL;
    char *target = first == NULL ? NULL : xstrdup(first->path.data);
    struct entry *entry =
        test_stream_add(walk->stream, first == NULL ? type : ENTRY_HARDLINK, slice_str(path));
    size_t number = walk->stream->count - 1;
    walk->inodes = xreallocarray(walk->inodes, walk->stream->count, sizeof(*walk->inodes));
    walk->inodes[number] = info.st_ino;
    entry->mode = info.st_mode & 07777;
    entry->uid = info.st_uid;
    entry->gid = info.st_gid;
    entry->mtime_s = info.st_mtim.tv_sec;
    entry->mtime_ns = (uint32_t)info.st_mtim.tv_nsec;
    if (target != NULL) {
        buf_add_str(&entry->link, target);
        free(target);
    } else if (type == ENTRY_FILE) {
        int fd = openat(walk->root, path, O_RDONLY);
        assert(fd >= 0);
        entry->size_bytes = (uint64_t)info.st_size;
        add_pieces(entry, &walk->stream->contents[number], fd);
        close(fd);
    } else if (type == ENTRY_SYMLINK) {
        char link[4096];
        ssize_t length = readlinkat(walk->root, path, link, sizeof(link));
        assert(length > 0);
        buf_add(&entry->link, link, (size_t)length);
    } else {
        walk_directory(walk, path);
    }
}

void test_stream_add_directory(struct test_stream *stream, const char *directory)
{
    assert(stream->count == 0);
    struct walk walk = {.stream = stream, .root = open(directory, O_RDONLY | O_DIRECTORY)};
    assert(walk.root >= 0);
    walk_directory(&walk, "");
    close(walk.root);
    free(walk.inodes);
}

struct pair {
    struct entry entry;
    struct buf content;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *left = a;
    const struct pair *right = b;
    return strcmp(left->entry.path.data, right->entry.path.data);
}

void test_stream_sort(struct test_stream *stream)
{
    struct pair *pairs = xcalloc(stream->count + 1, sizeof(*pairs));
    for (size_t i = 0; i < stream->count; i++)
        pairs[i] = (struct pair){stream->entries[i], stream->contents[i]};
    qsort(pairs, stream->count, sizeof(*pairs), compare_pairs);
    for (size_t i = 0; i < stream->count; i++) {
        stream->entries[i] = pairs[i].entry;
        stream->contents[i] = pairs[i].content;
    }
    free(pairs);
}

static int write_one(struct sink *sink, const struct entry *entry, struct slice content,
                     struct error *err)
{
    if (sink_entry(sink, entry, err) < 0)
        return -1;
    size_t part;
    for (size_t done = 0; done < content.length; done += part) {
        part = content.length - done < COPY_BYTES ? content.length - done : COPY_BYTES;
        if (sink_write(sink, (const char *)content.data + done, part, err) < 0)
            return -1;
    }
    return 0;
}

int test_stream_write(const struct test_stream *stream, int fd,
                      const struct archive_options *options, struct archive_result *result,
                      struct error *err)
{
    struct sink *sink = archive_writer_open(fd, options, err);
    if (sink == NULL)
        return -1;
    int done = 0;
    for (size_t i = 0; i < stream->count && done == 0; i++)
        done = write_one(sink, &stream->entries[i], buf_slice(&stream->contents[i]), err);
    if (done == 0)
        done = sink_finish(sink, err);
    if (done == 0 && result != NULL)
        *result = *archive_writer_result(sink);
    sink_free(sink);
    return done;
}

static int read_one(struct source *source, struct buf *content, struct error *err)
{
    char *chunk = xmalloc(COPY_BYTES);
    ssize_t got;
    while ((got = source_read(source, chunk, COPY_BYTES, err)) > 0)
        buf_add(content, chunk, (size_t)got);
    free(chunk);
    return (int)got;
}

int test_stream_read(struct test_stream *stream, int fd, const struct archive_read_options *options,
                     struct report *report, struct error *err)
{
    lseek(fd, 0, SEEK_SET);
    struct source *source = archive_reader_open(fd, options, err);
    if (source == NULL)
        return -1;
    source->report = report;
    struct entry entry;
    entry_init(&entry);
    int more;
    while ((more = source_next(source, &entry, err)) > 0) {
        test_stream_add(stream, ENTRY_FILE, slice_str(""));
        stream->entries[stream->count - 1] = entry;
        entry_init(&entry);
        if (read_one(source, &stream->contents[stream->count - 1], err) < 0) {
            more = -1;
            break;
        }
    }
    entry_free(&entry);
    source_free(source);
    return more;
}

/* The byte at `offset` of the file, holes being zeros; walks forward only. */
struct cursor {
    const struct entry *entry;
    struct slice content;
    size_t extent;
    uint64_t before; /* content of the extents before this one */
};

/* The next piece of data at or after `offset`: its offset, and its bytes. */
static struct slice data_from(struct cursor *cursor, uint64_t offset, uint64_t *at)
{
    struct extent whole = {.length = cursor->entry->size_bytes};
    const struct entry *entry = cursor->entry;
    const struct extent *extents = entry->extents == NULL ? &whole : entry->extents;
    size_t count = entry->extents == NULL ? 1 : entry->extent_count;
    while (cursor->extent < count &&
           extents[cursor->extent].offset + extents[cursor->extent].length <= offset)
        cursor->before += extents[cursor->extent++].length;
    if (cursor->extent == count) {
        *at = entry->size_bytes;
        return slice_of("", 0);
    }
    const struct extent *extent = &extents[cursor->extent];
    *at = extent->offset > offset ? extent->offset : offset;
    uint64_t inside = *at - extent->offset;
    return slice_of((const char *)cursor->content.data + cursor->before + inside,
                    (size_t)(extent->length - inside));
}

static bool is_zero(struct slice bytes)
{
    const char *data = bytes.data;
    return bytes.length == 0 || (data[0] == 0 && memcmp(data, data + 1, bytes.length - 1) == 0);
}

static bool same_content(struct cursor a, struct cursor b)
{
    uint64_t size = a.entry->size_bytes;
    uint64_t offset = 0;
    while (offset < size) {
        uint64_t a_at, b_at;
        struct slice a_data = data_from(&a, offset, &a_at);
        struct slice b_data = data_from(&b, offset, &b_at);
        if (a_at == b_at) {
            size_t length = a_data.length < b_data.length ? a_data.length : b_data.length;
            if (memcmp(a_data.data, b_data.data, length) != 0)
                return false;
            offset = a_at + length;
            continue;
        }
        /* One has data where the other has a hole. */
        struct slice data = a_at < b_at ? a_data : b_data;
        uint64_t first = a_at < b_at ? a_at : b_at;
        uint64_t second = a_at < b_at ? b_at : a_at;
        if (data.length > second - first)
            data.length = (size_t)(second - first);
        if (!is_zero(data))
            return false;
        offset = first + data.length;
    }
    return true;
}

const char *test_stream_difference(const struct test_stream *a, const struct test_stream *b,
                                   enum test_precision precision)
{
    static char text[300];
    const char *what = NULL;
    size_t i = 0;
    for (; i < a->count && i < b->count && what == NULL; i++) {
        const struct entry *x = &a->entries[i];
        const struct entry *y = &b->entries[i];
        if (!slice_equal(buf_slice(&x->path), buf_slice(&y->path)))
            what = "path";
        else if (x->type != y->type)
            what = "type";
        else if (!slice_equal(buf_slice(&x->link), buf_slice(&y->link)))
            what = "link";
        else if (x->mode != y->mode)
            what = "mode";
        else if (x->uid != y->uid || x->gid != y->gid)
            what = "owner";
        else if (x->mtime_s != y->mtime_s)
            what = "time";
        else if (precision == TEST_NANOSECONDS && x->mtime_ns != y->mtime_ns)
            what = "nanoseconds";
        else if (x->size_bytes != y->size_bytes)
            what = "size";
        else if (x->type == ENTRY_FILE &&
                 !same_content((struct cursor){x, buf_slice(&a->contents[i]), 0, 0},
                               (struct cursor){y, buf_slice(&b->contents[i]), 0, 0}))
            what = "content";
    }
    if (what == NULL && a->count != b->count)
        what = "count";
    if (what == NULL)
        return NULL;
    snprintf(text, sizeof(text), "%s of entry %zu ('%.100s' and '%.100s')", what, i - 1,
             i > 0 && i <= a->count ? a->entries[i - 1].path.data : "",
             i > 0 && i <= b->count ? b->entries[i - 1].path.data : "");
    return text;
}
