/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/archive.h"
#include "archive/gzip_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/tar_block.h"
#include "archive/test_stream.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"

static const struct archive_read_options READ_ALL = {0};

static int temporary_file(void)
{
    char name[] = "/tmp/archive-test-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

static uint32_t random_state = 1;

static uint32_t random_number(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

/* `kind` 0: compresses well, 1: not at all, 2: pages of both. */
static void add_bytes(struct buf *out, size_t length, int kind)
{
    for (size_t i = 0; i < length; i++) {
        bool is_random = kind == 1 || (kind == 2 && (out->length / 4096) % 3 != 0);
        buf_add_char(out, (char)(is_random ? random_number() >> 8 : i % 61));
    }
}

/* Names of every length around the limits of ustar, and the longest ones. */
static void add_names(struct test_stream *stream)
{
    scope_buf struct buf path = BUF_INIT;
    for (size_t length = 90; length <= 270; length++) {
        buf_clear(&path);
        buf_printf(&path, "f%zu/", length);
        while (path.length < length)
            buf_add_char(&path, path.length % 60 == 59 && path.length + 1 < length ? '/' : 'n');
        test_stream_add_file(stream, path.data, slice_str("short"));
        path.data[0] = 'd';
        test_stream_add(stream, ENTRY_DIRECTORY, buf_slice(&path));
        path.data[0] = 's';
        test_stream_add_link(stream, ENTRY_SYMLINK, path.data, buf_slice(&path));
        scope_free char *name = xstrdup(path.data);
        path.data[0] = 'f';
        name[0] = 'h';
        test_stream_add_link(stream, ENTRY_HARDLINK, name, buf_slice(&path));
    }
    buf_clear(&path);
    for (size_t i = 0; i < ENTRY_NAME_MAX_BYTES; i++)
        buf_add_char(&path, 'x');
    test_stream_add_file(stream, path.data, slice_str("255"));
    buf_add_char(&path, '/');
    while (path.length < 4000)
        buf_add_char(&path, path.length % 200 == 0 ? '/' : 'y');
    test_stream_add_file(stream, path.data, slice_str("4000"));
    test_stream_add_link(stream, ENTRY_SYMLINK, "to-4000", buf_slice(&path));
    test_stream_add_link(stream, ENTRY_HARDLINK, "is-4000", buf_slice(&path));
    path.data[300] = '\xff';
    test_stream_add_file(stream, path.data, slice_str("4000, and no text"));
    test_stream_add_file(stream, "caf\xc3\xa9/\xe2\x98\x83", slice_str("UTF-8"));
    test_stream_add_file(stream, "caf\xe9/\xff\xfe", slice_str("bytes"));
    test_stream_add_link(stream, ENTRY_SYMLINK, "link\xc3\xa9", slice_str("\xff/../\x01\n"));
    test_stream_add_link(stream, ENTRY_SYMLINK, "link\xff", slice_str("/\xc3\xa9"));
    test_stream_add_file(stream, "line\nend =5 x\x01", slice_str("control"));
    test_stream_add_file(stream, " -rf *", slice_str("words"));
}

static void add_attributes(struct test_stream *stream)
{
    static const int64_t times[] = {0,          1,          -1,          -2, -62135596800,
                                    8589934591, 8589934592, 253402300799};
    static const uint32_t parts[] = {0, 1, 500000000, 999999999};
    char path[64];
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        for (size_t j = 0; j < sizeof(parts) / sizeof(parts[0]); j++) {
            snprintf(path, sizeof(path), "times/%zu/%zu", i, j);
            test_stream_add_file(stream, path, slice_str(""));
            stream->entries[stream->count - 1].mtime_s = times[i];
            stream->entries[stream->count - 1].mtime_ns = parts[j];
        }
    static const uint32_t owners[] = {0, 1000, 07777777, 07777777 + 1, 4294967294};
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        snprintf(path, sizeof(path), "owners/%zu", i);
        struct entry *entry = test_stream_add(stream, ENTRY_DIRECTORY, slice_str(path));
        entry->uid = owners[i];
        entry->gid = owners[sizeof(owners) / sizeof(owners[0]) - 1 - i];
        entry->mode = (mode_t)(i * 01111) & 07777;
    }
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("sticky"))->mode = 07777;
}

static void add_sparse(struct test_stream *stream)
{
    scope_buf struct buf content = BUF_INIT;
    add_bytes(&content, 3 << 20, 0);
    const uint64_t large = UINT64_C(9) << 30;
    const struct extent far[] = {{4096, 8192}, {large, 4096}, {large + (1 << 20), 12288}};
    test_stream_add_sparse(stream, "sparse/far", large + (2 << 20), far, 3,
                           slice_of(content.data, 24576));
    test_stream_add_sparse(stream, "sparse/hole", large, NULL, 0, slice_str(""));
    test_stream_add_sparse(stream, "sparse/\xc3\xa9", 100, NULL, 0, slice_str(""));
    test_stream_add_sparse(stream, "sparse/\xff", INT64_MAX, NULL, 0, slice_str(""));
    const struct extent start[] = {{0, 1000}};
    test_stream_add_sparse(stream, "sparse/start", 100000, start, 1, slice_of(content.data, 1000));
    const struct extent end[] = {{99000, 1001}};
    test_stream_add_sparse(stream, "sparse/end", 100001, end, 1, slice_of(content.data, 1001));
    /* Pieces that share blocks, touch the next block, or are a byte each. */
    const struct extent odd[] = {{1, 1},       {3, 1},       {510, 2},           {513, 511},
                                 {1536, 1},    {2559, 1},    {5000, 3},          {5121, 1},
                                 {9999, 2000}, {65536, 512}, {65536 + 1024, 512}};
    test_stream_add_sparse(stream, "sparse/odd", 70001, odd, sizeof(odd) / sizeof(odd[0]),
                           slice_of(content.data, 1 + 1 + 2 + 511 + 1 + 1 + 3 + 1 + 2000 + 1024));
    struct extent many[5000];
    for (size_t i = 0; i < 5000; i++)
        many[i] = (struct extent){.offset = i * 8192 + i % 3, .length = 600};
    test_stream_add_sparse(stream, "sparse/many", 5000 * 8192, many, 5000,
                           slice_of(content.data, 3000000));
}

static void add_contents(struct test_stream *stream)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 10240, (1 << 20) - 512, 1 << 20, 3000001};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int kind = 0; kind < 3; kind++) {
            scope_buf struct buf content = BUF_INIT;
            char path[64];
            snprintf(path, sizeof(path), "contents/%zu-%d", sizes[i], kind);
            add_bytes(&content, sizes[i], kind);
            test_stream_add_file(stream, path, buf_slice(&content));
        }
}

static void make_everything(struct test_stream *stream)
{
    random_state = 1;
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str(""));
    add_names(stream);
    add_attributes(stream);
    add_contents(stream);
    add_sparse(stream);
}

static void assert_round_trip(const struct test_stream *stream,
                              const struct archive_options *options)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = temporary_file();
    struct archive_result result;
    if (test_stream_write(stream, fd, options, &result, &err) < 0)
        fail_msg("%s", err.text);
    struct test_stream got = {0};
    struct report report;
    report_init(&report);
    if (test_stream_read(&got, fd, &READ_ALL, &report, &err) < 0)
        fail_msg("%s", err.text);
    const char *difference = test_stream_difference(stream, &got, TEST_NANOSECONDS);
    if (difference != NULL)
        fail_msg("%s", difference);
    assert_int_equal(report.omissions, 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), result.file_bytes);
    test_stream_free(&got);
    report_free(&report);
}

static void everything_survives_a_round_trip(void **state)
{
    struct test_stream stream = {0};
    make_everything(&stream);
    for (int compression = ARCHIVE_STORE; compression <= ARCHIVE_BEST; compression++)
        assert_round_trip(&stream, &(struct archive_options){
                                       .compression = (enum archive_compression)compression});
    test_stream_free(&stream);
}

static void an_empty_stream_is_an_archive(void **state)
{
    struct test_stream stream = {0};
    assert_round_trip(&stream, &(struct archive_options){.compression = ARCHIVE_FAST});
}

static void holes_stay_holes(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    struct test_stream got = {0};
    add_sparse(&stream);
    scope_fd int fd = temporary_file();
    struct archive_options options = {.compression = ARCHIVE_FAST};
    assert_int_equal(test_stream_write(&stream, fd, &options, NULL, &err), 0);
    assert_int_equal(test_stream_read(&got, fd, &READ_ALL, NULL, &err), 0);
    /* The first one has whole blocks: nothing is widened. */
    assert_int_equal(got.entries[0].extent_count, 3);
    assert_memory_equal(got.entries[0].extents, stream.entries[0].extents,
                        3 * sizeof(struct extent));
    for (size_t i = 0; i < got.count; i++) {
        assert_non_null(got.entries[i].extents);
        assert_true(got.entries[i].stored_bytes <= 2 * stream.entries[i].stored_bytes + 512 * 12);
    }
    test_stream_free(&stream);
    test_stream_free(&got);
}

/* The tar stream that a written archive inflates to. */
static void digest_tar(int fd, struct digest *digest)
{
    struct error err = ERROR_INIT;
    struct gzip_reader_watch watch = {0};
    struct archive_read_options options = {0};
    struct digester *digester = digester_create(DIGEST_SHA256);
    char bytes[65536];
    ssize_t got;
    lseek(fd, 0, SEEK_SET);
    struct gzip_reader *reader = gzip_reader_create(fd, &options, &watch);
    while ((got = gzip_reader_read(reader, bytes, sizeof(bytes), &err)) > 0)
        digester_add(digester, bytes, (size_t)got);
    assert_int_equal(got, 0);
    digester_finish(digester, digest);
    digester_free(digester);
    gzip_reader_free(reader);
}

static void write_with_threads(const struct test_stream *stream, unsigned threads,
                               enum archive_compression compression, struct archive_result *result,
                               struct digest *tar)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = temporary_file();
    struct archive_options options = {.compression = compression, .threads = threads};
    if (test_stream_write(stream, fd, &options, result, &err) < 0)
        fail_msg("%s", err.text);
    digest_tar(fd, tar);
}

static void the_bytes_do_not_depend_on_the_number_of_threads(void **state)
{
    struct test_stream stream = {0};
    make_everything(&stream);
    for (int compression = ARCHIVE_STORE; compression <= ARCHIVE_FAST; compression++) {
        struct archive_result one, four;
        struct digest one_tar, four_tar;
        write_with_threads(&stream, 1, (enum archive_compression)compression, &one, &one_tar);
        write_with_threads(&stream, 4, (enum archive_compression)compression, &four, &four_tar);
        assert_true(digest_equal(&one_tar, &four_tar));
        assert_true(digest_equal(&one.digest, &four.digest));
        assert_int_equal(one.file_bytes, four.file_bytes);
        assert_int_equal(one.tar_bytes, four.tar_bytes);
        assert_int_equal(one.tar_bytes % 512, 0);
    }
    test_stream_free(&stream);
}

static void digest_file(int fd, enum digest_type type, struct digest *digest)
{
    struct error err = ERROR_INIT;
    off_t size = lseek(fd, 0, SEEK_END);
    scope_free char *bytes = xmalloc((size_t)size);
    assert_int_equal(file_pread_full(fd, bytes, (size_t)size, 0, &err), size);
    digest_of(type, slice_of(bytes, (size_t)size), digest);
}

static void both_ends_digest_the_whole_file(void **state)
{
    struct test_stream stream = {0};
    random_state = 1;
    add_contents(&stream);
    for (int type = DIGEST_SHA256; type <= DIGEST_SHA1; type++) {
        struct error err = ERROR_INIT;
        struct digest expected;
        struct archive_result result;
        scope_fd int fd = temporary_file();
        struct archive_options options = {.compression = ARCHIVE_FAST,
                                          .digest = (enum digest_type)type};
        assert_int_equal(test_stream_write(&stream, fd, &options, &result, &err), 0);
        digest_file(fd, (enum digest_type)type, &expected);
        assert_true(digest_equal(&result.digest, &expected));

        lseek(fd, 0, SEEK_SET);
        struct archive_read_options read_options = {.flags = ARCHIVE_WITH_DIGEST,
                                                    .digest = (enum digest_type)type};
        struct source *source = archive_reader_open(fd, &read_options, &err);
        struct entry entry;
        entry_init(&entry);
        while (source_next(source, &entry, &err) > 0)
            assert_null(archive_reader_digest(source));
        assert_false(error_is_set(&err));
        assert_true(digest_equal(archive_reader_digest(source), &expected));
        assert_int_equal(archive_reader_position(source), result.file_bytes);
        source_free(source);
        entry_free(&entry);
    }
    test_stream_free(&stream);
}

static void a_full_disk_is_reported(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf content = BUF_INIT;
    add_bytes(&content, 40 << 20, 1);
    test_stream_add_file(&stream, "large", buf_slice(&content));
    for (int i = 0; i < 2; i++) {
        struct error err = ERROR_INIT;
        scope_fd int fd = open("/dev/full", O_WRONLY);
        struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 2};
        assert_int_equal(test_stream_write(&stream, fd, &options, NULL, &err), -1);
        assert_int_equal(err.code, ERROR_NO_SPACE);
        /* The second time only finish() can notice. */
        test_stream_free(&stream);
        test_stream_add_file(&stream, "small", slice_str("small"));
    }
    test_stream_free(&stream);
}

/* From some place in a file on, with some flags: what was there stays, and so do the flags. */
static void assert_written_at(int fd, off_t start, size_t content_bytes)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    struct archive_result result;
    scope_buf struct buf content = BUF_INIT;
    scope_buf struct buf before = BUF_INIT;
    buf_add_zeros(&before, (size_t)start);
    memset(before.data, 'b', (size_t)start);
    random_state = 1;
    add_bytes(&content, content_bytes, 1);
    test_stream_add_file(&stream, "file", buf_slice(&content));
    assert_int_equal(ftruncate(fd, 0), 0);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(file_write_all(fd, before.data, (size_t)start, &err), 0);
    int flags = fcntl(fd, F_GETFL);
    struct archive_options options = {.compression = ARCHIVE_STORE};
    if (test_stream_write(&stream, fd, &options, &result, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(fcntl(fd, F_GETFL), flags);
    assert_int_equal(lseek(fd, 0, SEEK_END), (uint64_t)start + result.file_bytes);

    scope_free char *all = xmalloc((size_t)start + result.file_bytes);
    assert_int_equal(file_pread_full(fd, all, (size_t)start + result.file_bytes, 0, &err),
                     (ssize_t)((uint64_t)start + result.file_bytes));
    struct digest digest;
    digest_of(DIGEST_SHA256, slice_of(all + start, result.file_bytes), &digest);
    assert_true(digest_equal(&digest, &result.digest));
    assert_memory_equal(all, before.data, (size_t)start);
    test_stream_free(&stream);
}

static void archives_are_written_anywhere_in_any_file(void **state)
{
    static const off_t starts[] = {0, 1, 4095, 4096, 5000, 1 << 20};
    static const size_t sizes[] = {10, 100000, 5000000};
    scope_fd int on_disk = temporary_file();
    scope_fd int in_memory = memfd_create("archive", MFD_CLOEXEC);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        for (size_t size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++) {
            assert_written_at(on_disk, starts[i], sizes[size]);
            assert_written_at(in_memory, starts[i], sizes[size]);
        }
    assert_int_equal(fcntl(on_disk, F_SETFL, O_APPEND), 0);
    assert_written_at(on_disk, 5000, 3000000);
}

/* The file may not grow beyond: what was on its way fails, whichever stage it is in. */
static void a_failure_in_the_middle_is_reported(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    struct rlimit before;
    scope_buf struct buf content = BUF_INIT;
    add_bytes(&content, 12 << 20, 1);
    test_stream_add_file(&stream, "large", buf_slice(&content));
    scope_fd int fd = temporary_file();
    int flags = fcntl(fd, F_GETFL);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {.rlim_cur = 5000000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct archive_options options = {.compression = ARCHIVE_FAST};
    int result = test_stream_write(&stream, fd, &options, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.os_errno, EFBIG);
    assert_int_equal(fcntl(fd, F_GETFL), flags);
    assert_true(lseek(fd, 0, SEEK_END) <= 5000000);
    test_stream_free(&stream);
}

static void a_writer_stops_at_its_limit(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    scope_buf struct buf content = BUF_INIT;
    add_bytes(&content, 4 << 20, 1);
    test_stream_add_file(&stream, "large", buf_slice(&content));
    scope_fd int fd = temporary_file();
    struct archive_options options = {.compression = ARCHIVE_FAST, .limit_file_bytes = 2 << 20};
    assert_int_equal(test_stream_write(&stream, fd, &options, NULL, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_true(lseek(fd, 0, SEEK_END) <= 2 << 20);
    test_stream_free(&stream);
}

static void writing_keeps_to_its_rate(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    scope_buf struct buf content = BUF_INIT;
    add_bytes(&content, 2 << 20, 1);
    test_stream_add_file(&stream, "large", buf_slice(&content));
    scope_fd int fd = temporary_file();
    struct archive_options options = {.compression = ARCHIVE_STORE,
                                      .write_rate_bytes_per_s = 4 << 20};
    int64_t start_us = time_monotonic_us();
    assert_int_equal(test_stream_write(&stream, fd, &options, NULL, &err), 0);
    /* The first piece goes out at once. */
    assert_true(time_monotonic_us() - start_us > 200000);
    test_stream_free(&stream);
}

static void an_unfinished_writer_can_be_freed(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    scope_buf struct buf content = BUF_INIT;
    add_bytes(&content, 30 << 20, 0);
    test_stream_add_file(&stream, "large", buf_slice(&content));
    /* Also one that waits for a pace which lets nothing through. */
    for (uint64_t rate = 0; rate < 2; rate++) {
        scope_fd int fd = temporary_file();
        struct archive_options options = {.compression = ARCHIVE_STORE,
                                          .write_rate_bytes_per_s = rate};
        struct sink *sink = archive_writer_open(fd, &options, &err);
        assert_int_equal(sink_entry(sink, &stream.entries[0], &err), 0);
        assert_int_equal(sink_write(sink, content.data, 4 << 20, &err), 0);
        sink_free(sink);
    }
    test_stream_free(&stream);
}

static void a_reader_can_be_freed_at_any_time(void **state)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    random_state = 1;
    add_contents(&stream);
    scope_fd int fd = temporary_file();
    struct archive_options options = {.compression = ARCHIVE_STORE};
    assert_int_equal(test_stream_write(&stream, fd, &options, NULL, &err), 0);
    struct entry entry;
    entry_init(&entry);
    for (size_t stop = 0; stop <= stream.count; stop++) {
        lseek(fd, 0, SEEK_SET);
        struct source *source = archive_reader_open(fd, &READ_ALL, &err);
        for (size_t i = 0; i < stop; i++)
            assert_int_equal(source_next(source, &entry, &err), 1);
        source_free(source);
    }
    /* From a pipe that says nothing. */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct source *source = archive_reader_open(ends[0], &READ_ALL, &err);
    source_free(source);
    close(ends[0]);
    close(ends[1]);
    entry_free(&entry);
    test_stream_free(&stream);
}

static void a_bomb_stops_at_the_limit(void **state)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = temporary_file();
    struct archive_options options = {.compression = ARCHIVE_FAST};
    struct sink *sink = archive_writer_open(fd, &options, &err);
    struct entry entry;
    entry_init(&entry);
    assert_int_equal(entry_set_path(&entry, slice_str("bomb"), &err), 0);
    entry.size_bytes = entry.stored_bytes = 1 << 30;
    assert_int_equal(sink_entry(sink, &entry, &err), 0);
    scope_free char *zeros = xcalloc(1, 1 << 20);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(sink_write(sink, zeros, 1 << 20, &err), 0);
    assert_int_equal(sink_finish(sink, &err), 0);
    assert_true(archive_writer_result(sink)->file_bytes < 16 << 20);
    sink_free(sink);

    lseek(fd, 0, SEEK_SET);
    struct archive_read_options read_options = {.limit_tar_bytes = 100 << 20};
    struct source *source = archive_reader_open(fd, &read_options, &err);
    assert_int_equal(source_next(source, &entry, &err), 1);
    assert_int_equal(source_next(source, &entry, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    source_free(source);
    entry_free(&entry);
}

static void content_that_is_refused_can_be_cancelled(void **state)
{
    struct error err = ERROR_INIT;
    uint8_t header[TAR_BLOCK_BYTES] = "/refused";
    const uint64_t size = UINT64_C(1) << 30;
    tar_put_octal(header, TAR_SIZE, size);
    tar_put_checksum(header);
    scope_fd int fd = memfd_create("tar", MFD_CLOEXEC);
    assert_int_equal(file_write_all(fd, header, sizeof(header), &err), 0);
    assert_int_equal(ftruncate(fd, (off_t)(size + (uint64_t)3 * TAR_BLOCK_BYTES)), 0);

    lseek(fd, 0, SEEK_SET);
    struct cancel cancel = {true};
    struct archive_read_options options = {.cancel = &cancel};
    struct source *source = archive_reader_open(fd, &options, &err);
    struct entry entry;
    entry_init(&entry);
    assert_int_equal(source_next(source, &entry, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_true(archive_reader_position(source) < size / 2);
    source_free(source);
    entry_free(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_survives_a_round_trip),
        cmocka_unit_test(an_empty_stream_is_an_archive),
        cmocka_unit_test(holes_stay_holes),
        cmocka_unit_test(the_bytes_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(both_ends_digest_the_whole_file),
        cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(archives_are_written_anywhere_in_any_file),
        cmocka_unit_test(a_failure_in_the_middle_is_reported),
        cmocka_unit_test(a_writer_stops_at_its_limit),
        cmocka_unit_test(writing_keeps_to_its_rate),
        cmocka_unit_test(an_unfinished_writer_can_be_freed),
        cmocka_unit_test(a_reader_can_be_freed_at_any_time),
        cmocka_unit_test(a_bomb_stops_at_the_limit),
        cmocka_unit_test(content_that_is_refused_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
