/* SPDX-License-Identifier: Apache-2.0 */
/* Verifying holds the index against the archive: nothing that it says wrongly passes. */
#include "archive/index_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/index_internal.h"
#include "archive/test_stream.h"
#include "base/file.h"
#include "base/scope.h"

static int memory_file(void)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

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

static int count_visits(const struct entry *entry, void *context, struct error *err)
{
    (*(uint64_t *)context)++;
    return 0;
}

/* Enough entries for a node. */
static void write_pages(int fd)
{
    struct error err = ERROR_INIT;
    struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 1};
    struct sink *sink = archive_writer_open(fd, &options, &err);
    struct entry entry;
    entry_init(&entry);
    for (int i = 0; i < 20000; i++) {
        entry_clear(&entry);
        buf_printf(&entry.path, "f%06d", i);
        assert_int_equal(sink_entry(sink, &entry, &err), 0);
    }
    assert_int_equal(sink_finish(sink, &err), 0);
    sink_free(sink);
    entry_free(&entry);
}

static void read_file(int fd, struct buf *bytes)
{
    struct error err = ERROR_INIT;
    char chunk[65536];
    ssize_t got;
    while ((got = file_pread_full(fd, chunk, sizeof(chunk), bytes->length, &err)) > 0)
        buf_add(bytes, chunk, (size_t)got);
}

static int file_of(struct slice bytes)
{
    struct error err = ERROR_INIT;
    int fd = memory_file();
    assert_int_equal(file_write_all(fd, bytes.data, bytes.length, &err), 0);
    return fd;
}

static void write_stored(const struct test_stream *stream, struct buf *bytes)
{
    struct error err = ERROR_INIT;
    struct archive_options options = {.compression = ARCHIVE_STORE, .threads = 1};
    scope_fd int fd = memory_file();
    assert_int_equal(test_stream_write(stream, fd, &options, NULL, &err), 0);
    read_file(fd, bytes);
}

static void make_two(struct test_stream *stream)
{
    test_stream_add(stream, ENTRY_DIRECTORY, slice_str("d"));
    test_stream_add_file(stream, "d/file", slice_str("12345"));
    test_stream_add_link(stream, ENTRY_SYMLINK, "link", slice_str("d/file"));
    for (size_t i = 0; i < stream->count; i++)
        stream->entries[i].mtime_ns = 0;
}

/* What differs in the archive from what its index was made of, its length being the same. */
static void change(struct test_stream *stream, int what)
{
    struct entry *file = &stream->entries[1];
    switch (what) {
    case 0:
        return;
    case 1:
        file->mode ^= 1;
        return;
    case 2:
        file->uid++;
        return;
    case 3:
        file->mtime_s++;
        return;
    case 4:
        file->path.data[2] = 'g';
        return;
    case 5:
        file->size_bytes = file->stored_bytes = 4;
        buf_truncate(&stream->contents[1], 4);
        return;
    case 6:
        stream->entries[2].link.data[0] = 'e';
        return;
    default:
        stream->entries[2].type = ENTRY_HARDLINK;
    }
}

static void verifying_finds_what_the_index_says_wrongly(void **state)
{
    for (int what = 0; what <= 7; what++) {
        struct error err = ERROR_INIT;
        struct test_stream honest = {0}, other = {0};
        scope_buf struct buf indexed = BUF_INIT;
        scope_buf struct buf bytes = BUF_INIT;
        struct index_trailer trailer;
        make_two(&honest);
        make_two(&other);
        change(&other, what);
        write_stored(&honest, &indexed);
        write_stored(&other, &bytes);
        scope_fd int indexed_fd = file_of(buf_slice(&indexed));
        assert_int_equal(index_trailer_read(indexed_fd, &trailer, &err), 0);
        size_t data = trailer.entry_root.offset;
        buf_truncate(&bytes, data);
        buf_add(&bytes, indexed.data + data, indexed.length - data);
        scope_fd int fd = file_of(buf_slice(&bytes));
        int result = verify(fd, &err);
        assert_int_equal(result, what == 0 ? 0 : -1);
        assert_int_equal(err.code, what == 0 ? ERROR_NONE : ERROR_CORRUPT);
        test_stream_free(&honest);
        test_stream_free(&other);
    }
}

/* The page at `root`, changed by `edit`, and all that follows it, in place of what stands there. */
static void replace_page(struct buf *bytes, enum index_kind kind, struct index_root *root,
                         struct index_trailer *trailer, void (*edit)(struct buf *raw))
{
    struct error err = ERROR_INIT;
    scope_buf struct buf raw = BUF_INIT;
    scope_buf struct buf page = BUF_INIT;
    assert_int_equal(
        index_page_unpack(kind, slice_of(bytes->data + root->offset, root->length), &raw, &err), 0);
    edit(&raw);
    struct index_packer *packer = index_packer_create();
    index_page_pack(packer, kind, buf_slice(&raw), &page);
    index_packer_free(packer);
    buf_truncate(bytes, trailer->offset);
    root->offset = trailer->offset;
    root->length = page.length;
    buf_add(bytes, page.data, page.length); /* behind all others, as its length is another */
    trailer->offset = bytes->length;
    index_trailer_pack(trailer, bytes);
}

/* The page ends in the distances of three members, the first two of three bytes. */
static void move_second_member(struct buf *raw)
{
    size_t distances = raw->length - 9;
    raw->data[distances]--;
    raw->data[distances + 3]++;
}

/* The node ends in the separator of its last page. */
static void raise_last_separator(struct buf *raw)
{
    raw->data[raw->length - 1]++;
}

static void an_index_that_leads_astray_is_noticed(void **state)
{
    struct error err = ERROR_INIT;
    struct index_trailer trailer;
    scope_buf struct buf bytes = BUF_INIT;
    scope_fd int good = memory_file();
    write_pages(good);
    read_file(good, &bytes);
    assert_int_equal(verify(good, &err), 0);

    assert_int_equal(index_trailer_read(good, &trailer, &err), 0);
    assert_int_equal(trailer.entry_root.level, 1);
    replace_page(&bytes, INDEX_NODE, &trailer.entry_root, &trailer, raise_last_separator);
    scope_fd int astray = file_of(buf_slice(&bytes));
    assert_int_equal(verify(astray, &err), -1);
    assert_int_equal(err.code, ERROR_CORRUPT);
    assert_non_null(strstr(err.text, "index"));
    error_clear(&err);

    struct test_stream stream = {0};
    scope_buf struct buf content = BUF_INIT;
    buf_add_zeros(&content, (2 << 20) + 5);
    test_stream_add_file(&stream, "a", buf_slice(&content));
    test_stream_add_file(&stream, "b", slice_str("in the third member"));
    buf_clear(&bytes);
    write_stored(&stream, &bytes);
    scope_fd int plain = file_of(buf_slice(&bytes));
    assert_int_equal(index_trailer_read(plain, &trailer, &err), 0);
    assert_int_equal(verify(plain, &err), 0);
    replace_page(&bytes, INDEX_MEMBERS, &trailer.member_root, &trailer, move_second_member);
    scope_fd int moved = file_of(buf_slice(&bytes));
    assert_int_equal(verify(moved, &err), -1);
    assert_int_equal(err.code, ERROR_CORRUPT);
    assert_non_null(strstr(err.text, "index"));
    test_stream_free(&stream);
}

/* Whatever bit of the index is another: lists are the same, fast or slow, and verifying says it. */
static void every_flipped_byte_of_the_index_is_noticed(void **state)
{
    struct test_stream stream = {0};
    scope_buf struct buf bytes = BUF_INIT;
    struct index_trailer trailer;
    struct error err = ERROR_INIT;
    make_two(&stream);
    write_stored(&stream, &bytes);
    scope_fd int good = file_of(buf_slice(&bytes));
    assert_int_equal(index_trailer_read(good, &trailer, &err), 0);
    size_t harmless = 0;
    for (size_t i = trailer.entry_root.offset; i < bytes.length; i++) {
        uint64_t count = 0;
        struct archive_list_options options = {.flags = ARCHIVE_LIST_RECURSIVE};
        bytes.data[i] ^= 4;
        scope_fd int fd = file_of(buf_slice(&bytes));
        bytes.data[i] ^= 4;
        error_clear(&err);
        int listed = archive_list(fd, &options, count_visits, &count, &err);
        /* Where it is no gzip any more, there is no slow way either. */
        assert_true(listed >= 0 ? count == stream.count : err.code == ERROR_CORRUPT);
        error_clear(&err);
        bool is_good = verify(fd, &err) == 0;
        assert_true(is_good || err.code == ERROR_CORRUPT);
        harmless += is_good;
    }
    /* "Ri" and "RoostIdx" in the trailer, the latter behind a CRC: without them there is no index. */
    assert_in_range(harmless, 2 + 8, 2 + 8);
    test_stream_free(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifying_finds_what_the_index_says_wrongly),
        cmocka_unit_test(an_index_that_leads_astray_is_noticed),
        cmocka_unit_test(every_flipped_byte_of_the_index_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
