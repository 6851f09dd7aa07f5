/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever happens to the bytes of an archive: it is noticed, or it changes nothing. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "archive/index_trailer.h"
#include "archive/test_stream.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

static const struct archive_read_options READ_ALL = {0};

/* Threads and their memory are dear there: one bit of each byte, where other builds try all eight, and less of the tar. */
#ifdef __SANITIZE_ADDRESS__
enum {
    BITS_STEP = 8,
    TAR_STEP = 5,
};
#else
enum {
    BITS_STEP = 1,
    TAR_STEP = 1,
};
#endif

static void make_small(struct test_stream *stream)
{
    const struct extent extents[] = {{4096, 600}, {20000, 100}};
    scope_buf struct buf content = BUF_INIT;
    for (int i = 0; i < 700; i++)
        buf_add_char(&content, (char)(i * i));
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("dir"));
    test_stream_add_file(stream, "dir/caf\xc3\xa9", slice_str("content"));
    test_stream_add_file(stream, "dir/empty", slice_str(""));
    test_stream_add_link(stream, ENTRY_SYMLINK, "link", slice_str("dir/empty"));
    test_stream_add_link(stream, ENTRY_HARDLINK, "again", slice_str("dir/caf\xc3\xa9"));
    test_stream_add_sparse(stream, "sparse", 30000, extents, 2, buf_slice(&content));
}

static int memory_file(struct slice bytes)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes.data, bytes.length, &err), 0);
    return fd;
}

static void make_archive(const struct test_stream *stream, enum archive_compression compression,
                         struct buf *bytes)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = memory_file(slice_str(""));
    struct archive_options options = {.compression = compression, .threads = 1};
    struct archive_result result;
    assert_int_equal(test_stream_write(stream, fd, &options, &result, &err), 0);
    scope_free char *all = xmalloc(result.file_bytes);
    assert_int_equal(file_pread_full(fd, all, result.file_bytes, 0, &err), result.file_bytes);
    buf_add(bytes, all, result.file_bytes);
}

/* Where the index begins: what is before it holds the tar. */
static size_t data_length(struct slice bytes)
{
    struct error err = ERROR_INIT;
    struct index_trailer trailer;
    scope_fd int fd = memory_file(bytes);
    assert_int_equal(index_trailer_read(fd, &trailer, &err), 0);
    assert_int_equal(trailer.entry_root.level, 0);
    return trailer.entry_root.offset;
}

/* Reading gives CORRUPT, or exactly `expected`; true for the first. */
static bool is_noticed(struct slice bytes, const struct test_stream *expected, size_t where)
{
    struct error err = ERROR_INIT;
    struct test_stream got = {0};
    struct report report;
    report_init(&report);
    scope_fd int fd = memory_file(bytes);
    int result = test_stream_read(&got, fd, &READ_ALL, &report, &err);
    if (result < 0 && err.code != ERROR_CORRUPT)
        fail_msg("byte %zu: %s", where, err.text);
    const char *difference =
        result == 0 ? test_stream_difference(expected, &got, TEST_NANOSECONDS) : NULL;
    if (difference != NULL || (result == 0 && report.omissions > 0))
        fail_msg("byte %zu changes %s", where, difference);
    test_stream_free(&got);
    report_free(&report);
    return result < 0;
}

static void a_flipped_byte_is_noticed_or_harmless(void **state)
{
    for (int compression = ARCHIVE_STORE; compression <= ARCHIVE_BEST; compression++) {
        struct test_stream stream = {0};
        scope_buf struct buf bytes = BUF_INIT;
        make_small(&stream);
        make_archive(&stream, (enum archive_compression)compression, &bytes);
        size_t harmless = 0;
        size_t length = data_length(buf_slice(&bytes));
        size_t step = compression == ARCHIVE_STORE ? TAR_STEP : 1;
        for (size_t i = 0; i < length; i += step) {
            for (int bit = 0; bit < 8; bit += compression == ARCHIVE_FAST ? BITS_STEP : 8) {
                bytes.data[i] ^= (char)(1 << bit);
                harmless += !is_noticed(buf_slice(&bytes), &stream, i);
                bytes.data[i] ^= (char)(1 << bit);
            }
        }
        /*
         * Time, level and system in the gzip header say nothing, nor do the flag "text" and the
         * bits that fill up a block's last byte; a field of another name or length (four bytes) is
         * somebody else's; a match may say the same from elsewhere.
         */
        size_t limit = compression == ARCHIVE_STORE ? 6 + 1 + 4 : 8 * 10 + length / 2;
        assert_in_range(harmless, 1, limit);
        test_stream_free(&stream);
    }
}

/* Reading all of it does not use the index; verifying does (index_test.c). */
static void a_damaged_index_harms_no_content(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    make_small(&stream);
    make_archive(&stream, ARCHIVE_FAST, &bytes);
    for (size_t i = data_length(buf_slice(&bytes)); i < bytes.length; i++) {
        bytes.data[i] ^= 1;
        is_noticed(buf_slice(&bytes), &stream, i);
        bytes.data[i] ^= 1;
    }
    test_stream_free(&stream);
}

static void a_truncated_archive_is_noticed(void **state)
{
    for (int compression = ARCHIVE_STORE; compression <= ARCHIVE_BEST; compression++) {
        struct test_stream stream = {0};
        scope_buf struct buf bytes = BUF_INIT;
        make_small(&stream);
        make_archive(&stream, (enum archive_compression)compression, &bytes);
        size_t step = compression == ARCHIVE_STORE ? 7 * TAR_STEP : 1;
        size_t complete = data_length(buf_slice(&bytes));
        size_t harmless = 0;
        for (size_t length = 0; length < bytes.length; length += length < complete ? step : 1) {
            bool noticed = is_noticed(slice_of(bytes.data, length), &stream, length);
            assert_true(noticed || length >= complete);
            harmless += !noticed;
        }
        /* Between two members behind the tar: then it is an archive without an index. */
        assert_in_range(harmless, 2, 3);
        test_stream_free(&stream);
    }
}

static void inflate_archive(struct slice bytes, struct buf *tar)
{
    char chunk[65536];
    z_stream zlib = {0};
    assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
    zlib.next_in = (Bytef *)bytes.data;
    zlib.avail_in = (uInt)bytes.length;
    int result;
    do {
        zlib.next_out = (Bytef *)chunk;
        zlib.avail_out = sizeof(chunk);
        result = inflate(&zlib, Z_NO_FLUSH);
        buf_add(tar, chunk, sizeof(chunk) - zlib.avail_out);
    } while (result == Z_OK);
    assert_int_equal(result, Z_STREAM_END);
    inflateEnd(&zlib);
}

static void a_truncated_tar_is_noticed(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    scope_buf struct buf tar = BUF_INIT;
    make_small(&stream);
    make_archive(&stream, ARCHIVE_STORE, &bytes);
    inflate_archive(buf_slice(&bytes), &tar);
    assert_false(is_noticed(buf_slice(&tar), &stream, 0));
    for (size_t length = 0; length < tar.length; length += 13 * TAR_STEP)
        assert_true(is_noticed(slice_of(tar.data, length), &stream, length));
    test_stream_free(&stream);
}

/* A plain tar has checksums only for its headers: no flip may do worse than another content. */
static void a_flipped_byte_of_a_tar_does_no_harm(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    scope_buf struct buf tar = BUF_INIT;
    make_small(&stream);
    make_archive(&stream, ARCHIVE_STORE, &bytes);
    inflate_archive(buf_slice(&bytes), &tar);
    for (size_t i = 0; i < tar.length; i += 3 * TAR_STEP) {
        struct error err = ERROR_INIT;
        struct test_stream got = {0};
        tar.data[i] ^= 1;
        scope_fd int fd = memory_file(buf_slice(&tar));
        tar.data[i] ^= 1;
        int result = test_stream_read(&got, fd, &READ_ALL, NULL, &err);
        assert_true(result == 0 || err.code == ERROR_CORRUPT);
        test_stream_free(&got);
    }
    test_stream_free(&stream);
}

static void nothing_may_follow_the_end(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    make_small(&stream);
    make_archive(&stream, ARCHIVE_FAST, &bytes);
    size_t length = bytes.length;
    buf_add_zeros(&bytes, 100000);
    assert_false(is_noticed(buf_slice(&bytes), &stream, length));
    buf_add_char(&bytes, 'x');
    assert_true(is_noticed(buf_slice(&bytes), &stream, length));
    buf_truncate(&bytes, length);
    buf_add(&bytes, bytes.data, 5);
    assert_true(is_noticed(buf_slice(&bytes), &stream, length));
    /* A second archive after the first: its bytes would never be looked at. */
    buf_truncate(&bytes, length);
    scope_buf struct buf twice = BUF_INIT;
    buf_add(&twice, bytes.data, length);
    buf_add(&twice, bytes.data, length);
    assert_true(is_noticed(buf_slice(&twice), &stream, length));
    test_stream_free(&stream);
}

static void what_is_no_archive_is_refused(void **state)
{
    struct test_stream nothing = {0};
    scope_buf struct buf bytes = BUF_INIT;
    assert_true(is_noticed(buf_slice(&bytes), &nothing, 0));
    /* A file that a crash has left full of zeros must not restore to an empty directory. */
    buf_add_zeros(&bytes, 1 << 20);
    assert_true(is_noticed(buf_slice(&bytes), &nothing, 0));
    assert_true(is_noticed(slice_str("PK\x03\x04"), &nothing, 0));
    assert_true(is_noticed(slice_str("\x1f\x8b"), &nothing, 0));
    buf_clear(&bytes);
    for (int i = 0; i < 5000; i++)
        buf_add_char(&bytes, 'a');
    assert_true(is_noticed(buf_slice(&bytes), &nothing, 0));
}

static void an_error_is_said_again(void **state)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = memory_file(slice_str("no archive"));
    lseek(fd, 0, SEEK_SET);
    struct source *source = archive_reader_open(fd, &READ_ALL, &err);
    struct entry entry;
    entry_init(&entry);
    for (int i = 0; i < 3; i++) {
        error_clear(&err);
        assert_int_equal(source_next(source, &entry, &err), -1);
        assert_int_equal(err.code, ERROR_CORRUPT);
    }
    source_free(source);
    entry_free(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_is_noticed_or_harmless),
        cmocka_unit_test(a_damaged_index_harms_no_content),
        cmocka_unit_test(a_truncated_archive_is_noticed),
        cmocka_unit_test(a_truncated_tar_is_noticed),
        cmocka_unit_test(a_flipped_byte_of_a_tar_does_no_harm),
        cmocka_unit_test(nothing_may_follow_the_end),
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(an_error_is_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
