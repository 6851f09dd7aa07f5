/* SPDX-License-Identifier: Apache-2.0 */
/* What is selected comes as it would with everything: by the index, and without one. */
#include "archive/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/index_internal.h"
#include "archive/test_stream.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

static int memory_file(struct slice bytes)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes.data, bytes.length, &err), 0);
    return fd;
}

static void read_all(int fd, struct buf *bytes)
{
    struct error err = ERROR_INIT;
    char chunk[65536];
    uint64_t offset = 0;
    ssize_t got;
    while ((got = file_pread_full(fd, chunk, sizeof(chunk), offset, &err)) > 0) {
        buf_add(bytes, chunk, (size_t)got);
        offset += (uint64_t)got;
    }
}

static void write_archive(const struct test_stream *stream, struct buf *bytes)
{
    struct error err = ERROR_INIT;
    struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 1};
    scope_fd int fd = memory_file(slice_str(""));
    assert_int_equal(test_stream_write(stream, fd, &options, NULL, &err), 0);
    read_all(fd, bytes);
}

/* Without its last member nothing leads to the index. */
static void drop_index(struct buf *bytes)
{
    buf_truncate(bytes, bytes->length - INDEX_TRAILER_BYTES);
}

static void add_random(struct buf *out, size_t length)
{
    static uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525 + 1013904223;
        buf_add_char(out, (char)(state >> 24));
    }
}

/* Files of some blocks, hard links across directories, holes, and an extended header here and there. */
static void make_tree(struct test_stream *stream)
{
    const struct extent extents[] = {{8192, 4096}};
    scope_buf struct buf large = BUF_INIT;
    scope_buf struct buf small = BUF_INIT;
    add_random(&large, 5000000);
    add_random(&small, 4096);
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str(""));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("a"));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("a/deep"));
    test_stream_add_file(stream, "a/deep/first", buf_slice(&small));
    test_stream_add_file(stream, "a/large", buf_slice(&large));
    test_stream_add_sparse(stream, "a/sparse", 1 << 20, extents, 1, buf_slice(&small));
    test_stream_add_file(stream, "a.txt", slice_str("beside a"));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("b"))->mode = 0700;
    test_stream_add_link(stream, ENTRY_HARDLINK, "b/one", slice_str("a/deep/first"));
    test_stream_add_file(stream, "b/\xff", slice_of(small.data, 4000));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("c"));
    test_stream_add_link(stream, ENTRY_HARDLINK, "c/three", slice_str("b/\xff"));
    test_stream_add_link(stream, ENTRY_HARDLINK, "c/two", slice_str("a/deep/first"));
    test_stream_add_link(stream, ENTRY_SYMLINK, "z", slice_str("a/large"));
    for (size_t i = 0; i < stream->count; i++)
        stream->entries[i].mtime_ns = i % 3 == 0 ? 0 : 1000 * (uint32_t)i;
}

struct reading {
    struct test_stream stream;
    struct report report;
    struct error err;
};

static void reading_clear(struct reading *reading)
{
    test_stream_free(&reading->stream);
    report_free(&reading->report);
}

static int read_selected(struct slice archive, const char *const *paths, unsigned flags,
                         struct reading *reading)
{
    scope_selection struct selection *selection = selection_new();
    scope_fd int fd = memory_file(archive);
    *reading = (struct reading){.err = ERROR_INIT};
    report_init(&reading->report);
    for (; *paths != NULL; paths++)
        assert_int_equal(selection_add(selection, slice_str(*paths), &reading->err), 0);
    struct archive_read_options options = {.flags = flags, .selection = selection};
    return test_stream_read(&reading->stream, fd, &options, &reading->report, &reading->err);
}

/* Where the content is from: content of each file differs. */
static const char *origin_of(const struct test_stream *stream, const struct entry *entry,
                             const struct buf *content)
{
    for (size_t i = 0; i < stream->count; i++)
        if (stream->entries[i].type == ENTRY_FILE &&
            stream->entries[i].size_bytes == entry->size_bytes &&
            slice_equal(buf_slice(content), buf_slice(&stream->contents[i])))
            return stream->entries[i].path.data;
    return "nowhere";
}

/* "dir/ file=whose-content link>target " */
static void describe(const struct test_stream *original, const struct test_stream *stream,
                     struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < stream->count; i++) {
        const struct entry *entry = &stream->entries[i];
        buf_add_str(out, entry->path.length == 0 ? "." : entry->path.data);
        if (entry->type == ENTRY_DIRECTORY)
            buf_add_char(out, '/');
        if (entry->type == ENTRY_FILE)
            buf_printf(out, "=%s", origin_of(original, entry, &stream->contents[i]));
        if (entry->link.length > 0)
            buf_printf(out, "%c%s", entry->type == ENTRY_HARDLINK ? '>' : '@', entry->link.data);
        buf_add_char(out, ' ');
    }
}

struct selected_case {
    const char *paths[4];
    const char *by_index;
    const char *by_reading; /* NULL: the same */
};

static const struct selected_case CASES[] = {
    {{"a/deep/first"}, "./ a/ a/deep/ a/deep/first=a/deep/first ", NULL},
    {{"a"}, "./ a/ a/deep/ a/deep/first=a/deep/first a/large=a/large a/sparse=a/sparse ", NULL},
    {{"a.txt", "z"}, "./ a.txt=a.txt z@a/large ", NULL},
    {{"c/two", "a/deep"}, "./ a/ a/deep/ a/deep/first=a/deep/first c/ c/two>a/deep/first ", NULL},
    /* Hard links out of the selection: the file under its first selected name, then links to that. */
    {{"b", "c"},
     "./ b/ b/one=a/deep/first b/\xff=b/\xff c/ c/three>b/\xff c/two>b/one ",
     "./ b/ b/\xff=b/\xff c/ c/three>b/\xff b/one=a/deep/first c/two>b/one "},
    {{"c"}, "./ c/ c/three=b/\xff c/two=a/deep/first ", "./ c/ c/two=a/deep/first c/three=b/\xff "},
    {{"zz", "c/nothing", "a.txt/below"}, "./ c/ ", NULL},
};

static void what_is_selected_comes_with_an_index_and_without(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    scope_buf struct buf bare = BUF_INIT;
    scope_buf struct buf got = BUF_INIT;
    make_tree(&stream);
    write_archive(&stream, &bytes);
    buf_add(&bare, bytes.data, bytes.length);
    drop_index(&bare);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        for (int has_index = 0; has_index < 2; has_index++) {
            struct reading reading;
            struct slice archive = buf_slice(has_index ? &bytes : &bare);
            const char *expected =
                has_index || CASES[i].by_reading == NULL ? CASES[i].by_index : CASES[i].by_reading;
            if (read_selected(archive, CASES[i].paths, 0, &reading) < 0)
                fail_msg("case %zu: %s", i, reading.err.text);
            describe(&stream, &reading.stream, &got);
            assert_string_equal(got.data, expected);
            assert_int_equal(reading.report.omissions, 0);
            reading_clear(&reading);
        }
    }
    test_stream_free(&stream);
}

/* All that a selected entry has, beside its content: times with nanoseconds, too. */
static void a_selected_entry_is_the_whole_entry(void **state)
{
    static const char *const paths[] = {"a/sparse", "b/\xff", NULL};
    struct test_stream stream = {0};
    struct reading reading;
    scope_buf struct buf bytes = BUF_INIT;
    make_tree(&stream);
    write_archive(&stream, &bytes);
    assert_int_equal(read_selected(buf_slice(&bytes), paths, 0, &reading), 0);
    for (size_t i = 0; i < reading.stream.count; i++) {
        struct entry *entry = &reading.stream.entries[i];
        size_t j = 0;
        while (!slice_equal(buf_slice(&stream.entries[j].path), buf_slice(&entry->path)))
            j++;
        const struct test_stream one = {entry, &reading.stream.contents[i], 1};
        const struct test_stream other = {&stream.entries[j], &stream.contents[j], 1};
        bool is_parent = entry->type == ENTRY_DIRECTORY;
        assert_null(
            test_stream_difference(&one, &other, is_parent ? TEST_SECONDS : TEST_NANOSECONDS));
    }
    assert_int_equal(reading.stream.count, 5);
    reading_clear(&reading);
    test_stream_free(&stream);
}

static void a_selection_reads_little_more_than_its_own_members(void **state)
{
    static const char *const paths[] = {"b/\xff", NULL};
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    make_tree(&stream);
    write_archive(&stream, &bytes);
    scope_selection struct selection *selection = selection_new();
    assert_int_equal(selection_add(selection, slice_str(paths[0]), &err), 0);
    scope_fd int fd = memory_file(buf_slice(&bytes));
    lseek(fd, 0, SEEK_SET);
    struct archive_read_options options = {.selection = selection};
    struct source *source = archive_reader_open(fd, &options, &err);
    struct entry entry;
    entry_init(&entry);
    char content[4096];
    int count = 0;
    while (source_next(source, &entry, &err) > 0)
        count++;
    assert_int_equal(count, 3);
    assert_false(error_is_set(&err));
    assert_int_equal(source_read(source, content, sizeof(content), &err), 0);
    /* Of 5 MB: the member that has the file, of 1 MiB of tar at most, and some pages. */
    assert_in_range(archive_reader_position(source), 1, (1 << 20) + (16 << 10));
    source_free(source);
    entry_free(&entry);
    test_stream_free(&stream);
}

static void with_a_digest_all_is_read(void **state)
{
    static const char *const paths[] = {"c", NULL};
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    make_tree(&stream);
    write_archive(&stream, &bytes);
    struct digest expected;
    digest_of(DIGEST_SHA256, buf_slice(&bytes), &expected);
    scope_selection struct selection *selection = selection_new();
    assert_int_equal(selection_add(selection, slice_str(paths[0]), &err), 0);
    scope_fd int fd = memory_file(buf_slice(&bytes));
    lseek(fd, 0, SEEK_SET);
    struct archive_read_options options = {
        .flags = ARCHIVE_WITH_DIGEST, .digest = DIGEST_SHA256, .selection = selection};
    struct source *source = archive_reader_open(fd, &options, &err);
    struct entry entry;
    entry_init(&entry);
    int count = 0;
    while (source_next(source, &entry, &err) > 0)
        count++;
    assert_int_equal(count, 4);
    assert_true(digest_equal(&expected, archive_reader_digest(source)));
    source_free(source);
    entry_free(&entry);
    test_stream_free(&stream);
}

/* A flipped byte anywhere gives the same selection, or CORRUPT; never another. */
static void damage_changes_no_selection(void **state)
{
    static const char *const paths[] = {"c/two", "d", NULL};
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    scope_buf struct buf expected = BUF_INIT;
    scope_buf struct buf got = BUF_INIT;
    test_stream_add(&stream, ENTRY_DIRECTORY, slice_str("a"));
    test_stream_add_file(&stream, "a/one", slice_str("one"));
    test_stream_add(&stream, ENTRY_DIRECTORY, slice_str("c"));
    test_stream_add_link(&stream, ENTRY_HARDLINK, "c/two", slice_str("a/one"));
    test_stream_add_file(&stream, "d", slice_str("d"));
    write_archive(&stream, &bytes);
    size_t refused = 0;
    for (size_t i = 0; i <= bytes.length; i++) {
        struct reading reading;
        if (i > 0)
            bytes.data[i - 1] ^= 1;
        int result = read_selected(buf_slice(&bytes), paths, 0, &reading);
        if (i > 0)
            bytes.data[i - 1] ^= 1;
        describe(&stream, &reading.stream, &got);
        if (i == 0)
            buf_add(&expected, got.data, got.length);
        if (result == 0 && reading.report.omissions == 0) {
            /* Without the index the link comes last. */
            if (strcmp(got.data, "c/ d=d c/two=a/one ") != 0)
                assert_string_equal(got.data, expected.data);
        } else {
            assert_true(result < 0 && reading.err.code == ERROR_CORRUPT);
            refused++;
        }
        reading_clear(&reading);
    }
    assert_string_equal(expected.data, "c/ c/two=a/one d=d ");
    assert_in_range(refused, 100, bytes.length);
    test_stream_free(&stream);
}

static void a_missing_target_is_named(void **state)
{
    static const char *const paths[] = {"link", NULL};
    for (int has_index = 0; has_index < 2; has_index++) {
        struct test_stream stream = {0};
        struct reading reading;
        scope_buf struct buf bytes = BUF_INIT;
        test_stream_add_link(&stream, ENTRY_HARDLINK, "link", slice_str("gone"));
        write_archive(&stream, &bytes);
        if (!has_index)
            drop_index(&bytes);
        assert_int_equal(read_selected(buf_slice(&bytes), paths, 0, &reading), 0);
        assert_int_equal(reading.stream.count, 0);
        assert_int_equal(reading.report.omissions, 1);
        assert_int_equal(reading.report.items[0].kind, REPORT_REFUSED);
        reading_clear(&reading);
        test_stream_free(&stream);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_selected_comes_with_an_index_and_without),
        cmocka_unit_test(a_selected_entry_is_the_whole_entry),
        cmocka_unit_test(a_selection_reads_little_more_than_its_own_members),
        cmocka_unit_test(with_a_digest_all_is_read),
        cmocka_unit_test(damage_changes_no_selection),
        cmocka_unit_test(a_missing_target_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
