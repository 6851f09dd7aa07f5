/* SPDX-License-Identifier: Apache-2.0 */
/* The index says what the archive holds, is found by reading little, and is believed in nothing. */
#include "archive/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/index_internal.h"
#include "archive/index_write.h"
#include "archive/test_stream.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

static int memory_file(void)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int write_stream(const struct test_stream *stream)
{
    struct error err = ERROR_INIT;
    struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 2};
    int fd = memory_file();
    if (test_stream_write(stream, fd, &options, NULL, &err) < 0)
        fail_msg("%s", err.text);
    return fd;
}

static struct archive_index *open_index(int fd)
{
    struct error err = ERROR_INIT;
    struct archive_index *index = archive_index_open(fd, &err);
    if (index == NULL)
        fail_msg("%s", err.text);
    return index;
}

/* All kinds of entries, in the order of a walk. */
static void make_tree(struct test_stream *stream)
{
    const struct extent extents[] = {{4096, 600}};
    scope_buf struct buf content = BUF_INIT;
    buf_add_zeros(&content, 3 << 20);
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str(""));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("a"));
    test_stream_add_file(stream, "a/\xff\xfe", slice_str("bytes"));
    test_stream_add_file(stream, "a.txt", buf_slice(&content)); /* after "a/", though '.' < '/' */
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("b"));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("b/c"));
    test_stream_add_file(stream, "b/c/deep", slice_str("deep"));
    stream->entries[stream->count - 1].mtime_s = -5;
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("b/d"));
    test_stream_add_link(stream, ENTRY_HARDLINK, "b/e", slice_str("a.txt"));
    test_stream_add_sparse(stream, "b/f", 1 << 20, extents, 1, slice_of(content.data, 600));
    test_stream_add_link(stream, ENTRY_SYMLINK, "z", slice_str("../../\xff"));
    struct entry *last = test_stream_add(stream, ENTRY_DIRECTORY, slice_str("zz"));
    last->uid = 4000000000;
    last->gid = 7;
    last->mode = 07777;
    last->mtime_s = INT64_C(253402300799);
}

struct collected {
    struct test_stream stream;
    uint64_t stop_after;
};

static int collect(const struct entry *entry, void *context, struct error *err)
{
    struct collected *collected = context;
    struct entry *copy = test_stream_add(&collected->stream, entry->type, buf_slice(&entry->path));
    copy->mode = entry->mode;
    copy->uid = entry->uid;
    copy->gid = entry->gid;
    copy->mtime_s = entry->mtime_s;
    copy->size_bytes = copy->stored_bytes = entry->size_bytes;
    buf_add(&copy->link, entry->link.data, entry->link.length);
    return collected->stream.count == collected->stop_after;
}

/* As test_stream_difference(), but of what the index knows. */
static void assert_same_entry(const struct entry *a, const struct entry *b)
{
    assert_string_equal(a->path.data, b->path.data);
    assert_string_equal(a->link.data, b->link.data);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->mtime_s, b->mtime_s);
    assert_int_equal(a->size_bytes, b->size_bytes);
}

static void assert_same_entries(const struct test_stream *a, const struct test_stream *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_same_entry(&a->entries[i], &b->entries[i]);
}

static void everything_is_listed_as_it_was_written(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    struct collected all = {.stop_after = 0};
    make_tree(&stream);
    scope_fd int fd = write_stream(&stream);
    lseek(fd, 7, SEEK_SET);
    struct archive_index *index = open_index(fd);
    assert_int_equal(archive_index_entries(index), stream.count);
    assert_true(index_is_sorted(index));
    assert_int_equal(
        archive_index_list(index, slice_str(""), ARCHIVE_LIST_RECURSIVE, collect, &all, &err), 0);
    assert_same_entries(&stream, &all.stream);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
    archive_index_free(index);
    test_stream_free(&stream);
    test_stream_free(&all.stream);
}

/* The paths that a listing of `directory` visits, each with a blank; or the text of its error. */
static void list_paths(int fd, const char *directory, unsigned flags, bool is_slow, struct buf *out)
{
    struct error err = ERROR_INIT;
    struct collected some = {.stop_after = 0};
    struct archive_list_options options = {.directory = slice_str(directory), .flags = flags};
    struct archive_index *index = is_slow ? NULL : open_index(fd);
    int result = is_slow
                     ? archive_list_slowly(fd, &options, collect, &some, &err)
                     : archive_index_list(index, slice_str(directory), flags, collect, &some, &err);
    buf_clear(out);
    for (size_t i = 0; result == 0 && i < some.stream.count; i++) {
        const struct entry *entry = &some.stream.entries[i];
        buf_printf(out, "%s%s ", entry->path.length == 0 ? "." : entry->path.data,
                   entry->type == ENTRY_DIRECTORY ? "/" : "");
    }
    if (result < 0)
        buf_add_str(out, error_code_name(err.code));
    archive_index_free(index);
    test_stream_free(&some.stream);
}

static void assert_lists(int fd, const char *directory, unsigned flags, const char *expected)
{
    scope_buf struct buf paths = BUF_INIT;
    list_paths(fd, directory, flags, false, &paths);
    assert_string_equal(paths.data, expected);
    list_paths(fd, directory, flags, true, &paths);
    assert_string_equal(paths.data, expected);
}

static void a_directory_is_listed_with_an_index_and_without(void **state)
{
    struct test_stream stream = {0};
    make_tree(&stream);
    scope_fd int fd = write_stream(&stream);
    assert_lists(fd, "", 0, "a/ a.txt b/ z zz/ ");
    assert_lists(fd, "b", 0, "b/c/ b/d/ b/e b/f ");
    assert_lists(fd, "./b//", 0, "b/c/ b/d/ b/e b/f ");
    assert_lists(fd, "b", ARCHIVE_LIST_RECURSIVE, "b/c/ b/c/deep b/d/ b/e b/f ");
    assert_lists(fd, "b/d", 0, "");
    assert_lists(fd, "a.txt", 0, "not found");
    assert_lists(fd, "c", 0, "not found");
    assert_lists(fd, "b/c/d", 0, "not found");
    assert_lists(fd, "../b", 0, "denied");
    assert_lists(fd, "/b", 0, "denied");
    test_stream_free(&stream);
}

static void directories_without_an_entry_are_listed_once(void **state)
{
    struct test_stream stream = {0};
    test_stream_add_file(&stream, "w/x/1", slice_str("1"));
    test_stream_add_file(&stream, "v/y/1", slice_str("1"));
    test_stream_add_file(&stream, "w/x/2", slice_str("2"));
    test_stream_add_file(&stream, "w/z/1/2/3", slice_str("3"));
    test_stream_add_file(&stream, "w/1", slice_str("1"));
    test_stream_add(&stream, ENTRY_DIRECTORY, slice_str("w/x"));
    scope_fd int fd = write_stream(&stream);
    assert_lists(fd, "", 0, "w/ v/ ");
    assert_lists(fd, "w", 0, "w/x/ w/z/ w/1 ");
    assert_lists(fd, "w/z", 0, "w/z/1/ ");
    assert_lists(fd, "w/zz", 0, "not found");
    test_stream_free(&stream);
}

static void every_entry_is_found(void **state)
{
    for (int is_sorted = 0; is_sorted < 2; is_sorted++) {
        struct error err = ERROR_INIT;
        struct test_stream stream = {0};
        struct entry entry;
        entry_init(&entry);
        make_tree(&stream);
        if (!is_sorted)
            test_stream_add_file(&stream, "a.txt", slice_str("the last one counts"));
        scope_fd int fd = write_stream(&stream);
        struct archive_index *index = open_index(fd);
        assert_int_equal(index_is_sorted(index), is_sorted);
        for (size_t i = is_sorted ? 0 : 4; i < stream.count; i++) {
            struct slice path = buf_slice(&stream.entries[i].path);
            assert_int_equal(archive_index_find(index, path, &entry, &err), 0);
            assert_same_entry(&entry, &stream.entries[i]);
        }
        static const char *const missing[] = {"a/b", "0", "zzz", "b/c/dee", "b/c/deep/er"};
        for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
            error_clear(&err);
            assert_int_equal(archive_index_find(index, slice_str(missing[i]), &entry, &err), -1);
            assert_int_equal(err.code, ERROR_NOT_FOUND);
        }
        archive_index_free(index);
        entry_free(&entry);
        test_stream_free(&stream);
    }
}

/* ---- many ---- */

/* `count` files in directories of a hundred, straight to a sink; few bytes each. */
static void write_many(int fd, size_t count, size_t name_bytes)
{
    struct error err = ERROR_INIT;
    struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 2};
    struct sink *sink = archive_writer_open(fd, &options, &err);
    struct entry entry;
    scope_buf struct buf path = BUF_INIT;
    uint64_t random = 1;
    entry_init(&entry);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&path);
        entry_clear(&entry);
        buf_printf(&path, "d%06zu", i / 100);
        entry.type = ENTRY_DIRECTORY;
        if (i % 100 != 0) {
            buf_printf(&path, "/f%02zu", i % 100);
            for (size_t j = 0; j < name_bytes; j++) {
                random = random * 6364136223846793005 + 1442695040888963407;
                buf_add_char(&path, j % 100 == 0 ? '/' : (char)('0' + (random >> 60)));
            }
            entry.type = ENTRY_FILE;
            entry.size_bytes = entry.stored_bytes = i % 7;
        }
        entry.mode = 0644;
        entry.mtime_s = 1700000000 + (int64_t)(i * 7919 % 100000);
        assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), 0);
        assert_int_equal(sink_entry(sink, &entry, &err), 0);
        if (entry.stored_bytes > 0)
            assert_int_equal(sink_write(sink, "content", entry.stored_bytes, &err), 0);
    }
    if (sink_finish(sink, &err) < 0)
        fail_msg("%s", err.text);
    sink_free(sink);
    entry_free(&entry);
}

static int count_visits(const struct entry *entry, void *context, struct error *err)
{
    (*(uint64_t *)context)++;
    return 0;
}

/* Of this process, at its peak; the file in memory is not mapped and does not count. */
static void assert_small(void)
{
#ifndef __SANITIZE_ADDRESS__
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    assert_in_range(usage.ru_maxrss, 1, 64 << 10);
#endif
}

static void a_directory_among_a_million_entries_costs_kilobytes(void **state)
{
    enum {
        COUNT = 1000000,
        LITTLE = 200 << 10
    };
    struct error err = ERROR_INIT;
    uint64_t visits = 0;
    struct entry entry;
    entry_init(&entry);
    scope_fd int fd = memory_file();
    write_many(fd, COUNT, 0);

    struct archive_index *index = open_index(fd);
    assert_int_equal(archive_index_entries(index), COUNT);
    assert_int_equal(
        archive_index_list(index, slice_str("d004999"), 0, count_visits, &visits, &err), 0);
    assert_int_equal(visits, 99);
    assert_in_range(index->read_bytes, 1, LITTLE);
    archive_index_free(index);

    index = open_index(fd);
    assert_int_equal(archive_index_find(index, slice_str("d009999/f99"), &entry, &err), 0);
    assert_int_equal(entry.size_bytes, (COUNT - 1) % 7);
    assert_in_range(index->read_bytes, 1, LITTLE);
    archive_index_free(index);

    index = open_index(fd);
    visits = 0;
    assert_int_equal(archive_index_list(index, slice_str(""), 0, count_visits, &visits, &err), 0);
    assert_int_equal(visits, COUNT / 100);
    visits = 0;
    assert_int_equal(archive_index_list(index, slice_str(""), ARCHIVE_LIST_RECURSIVE, count_visits,
                                        &visits, &err),
                     0);
    assert_int_equal(visits, COUNT);
    archive_index_free(index);
    assert_small();
    entry_free(&entry);
}

/* ---- runs between members ---- */

static int verify(int fd, struct error *err)
{
    struct archive_read_options options = {.flags = ARCHIVE_CHECK_INDEX};
    lseek(fd, 0, SEEK_SET);
    struct source *source = archive_reader_open(fd, &options, err);
    if (source == NULL)
        return -1;
    struct entry entry;
    entry_init(&entry);
    int more;
    while ((more = source_next(source, &entry, err)) > 0)
        ;
    entry_free(&entry);
    source_free(source);
    return more;
}

static void pages_that_are_too_many_to_hold_go_between_members(void **state)
{
    enum {
        COUNT = 20000,
        NAME_BYTES = 1500
    };
    struct error err = ERROR_INIT;
    struct index_place last;
    uint64_t visits = 0;
    struct entry entry;
    entry_init(&entry);
    scope_fd int fd = memory_file();
    write_many(fd, COUNT, NAME_BYTES);
    struct archive_index *index = open_index(fd);
    assert_int_equal(index_rewind(index, &err), 0);
    assert_int_equal(index_locate(index, index->trailer.tar_bytes - 1, &last, &err), 0);
    assert_true(index->page_offset > INDEX_HELD_MAX_BYTES && index->page_offset < last.start);
    assert_int_equal(
        archive_index_list(index, slice_str("d000150"), 0, count_visits, &visits, &err), 0);
    assert_int_equal(visits, 99);
    visits = 0;
    assert_int_equal(archive_index_list(index, slice_str(""), 0, count_visits, &visits, &err), 0);
    assert_int_equal(visits, COUNT / 100);
    assert_int_equal(archive_index_find(index, slice_str("d000199"), &entry, &err), 0);
    archive_index_free(index);
    entry_free(&entry);
    if (verify(fd, &err) < 0)
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_listed_as_it_was_written),
        cmocka_unit_test(a_directory_is_listed_with_an_index_and_without),
        cmocka_unit_test(directories_without_an_entry_are_listed_once),
        cmocka_unit_test(every_entry_is_found),
        cmocka_unit_test(a_directory_among_a_million_entries_costs_kilobytes),
        cmocka_unit_test(pages_that_are_too_many_to_hold_go_between_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
