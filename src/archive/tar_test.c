/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, records and maps, as others may write them and as nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/pax.h"
#include "archive/tar_block.h"
#include "archive/test_stream.h"
#include "base/file.h"
#include "base/scope.h"

static bool number_of(const char *text, int64_t *value)
{
    uint8_t block[TAR_BLOCK_BYTES] = {0};
    memcpy(block, text, 12);
    return tar_get_number(block, (struct tar_field){0, 12}, value);
}

static void numbers_are_octal_or_base_256(void **state)
{
    static const struct {
        const char *text; /* 12 bytes */
        int64_t value;
    } GOOD[] = {
        {"00000000000\0", 0},
        {"77777777777\0", 077777777777},
        {"777777777777", 0777777777777},
        {"   644 \0    ", 0644},
        {"\0\0\0\0\0\0\0\0\0\0\0\0", 0},
        {"            ", 0},
        {"12\0zzzzzzzzz", 012},
        {"\x80\0\0\0\0\0\0\0\0\0\0\5", 5},
        {"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", -1},
        {"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", INT64_MIN},
    };
    static const char *const BAD[] = {
        "abc",
        "0000000000x",
        "00000000008",
        "-0000000001",
        "\x80\0\0\0\x80\0\0\0\0\0\0\0",
        "\x80\0\0\1\0\0\0\0\0\0\0\0",
        "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
        "\xc0\0\0\0\0\0\0\0\0\0\0\0",
        "\x81\0\0\0\0\0\0\0\0\0\0\0",
    };
    int64_t value;
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        assert_true(number_of(GOOD[i].text, &value));
        assert_true(value == GOOD[i].value);
    }
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        char text[12] = {0};
        memcpy(text, BAD[i], strlen(BAD[i]) > 12 ? 12 : BAD[i][0] & 0x80 ? 12 : strlen(BAD[i]));
        assert_false(number_of(text, &value));
    }
}

static void numbers_say_when_they_do_not_fit(void **state)
{
    uint8_t block[TAR_BLOCK_BYTES] = {0};
    assert_true(tar_put_octal(block, TAR_SIZE, 077777777777));
    assert_memory_equal(block + TAR_SIZE.offset, "77777777777", 12);
    assert_false(tar_put_octal(block, TAR_SIZE, UINT64_C(1) << 33));
    assert_false(tar_put_octal(block, TAR_MODE, UINT64_MAX));
}

static void checksums_may_be_summed_with_either_sign(void **state)
{
    uint8_t block[TAR_BLOCK_BYTES] = {'n', 0xff, 0x80, 0xc3};
    tar_put_checksum(block);
    assert_true(tar_checksum_is_right(block));
    int64_t sum;
    assert_true(tar_get_number(block, TAR_CHECKSUM, &sum));
    snprintf((char *)block + TAR_CHECKSUM.offset, 8, "%06o", (unsigned)(sum - 3 * 256));
    assert_true(tar_checksum_is_right(block));
    block[0] ^= 1;
    assert_false(tar_checksum_is_right(block));
}

static void records_count_their_own_length(void **state)
{
    /* Around each length where the count gets a digit more. */
    for (size_t length = 1; length < 1100; length++) {
        struct error err = ERROR_INIT;
        scope_buf struct buf value = BUF_INIT;
        scope_buf struct buf records = BUF_INIT;
        while (value.length < length)
            buf_add_char(&value, "=\n 7"[value.length % 4]);
        pax_add(&records, "path", buf_slice(&value));
        pax_add_uint(&records, "uid", 5);
        struct pax pax;
        pax_init(&pax);
        assert_int_equal(pax_read(&pax, buf_slice(&records), &err), 0);
        assert_int_equal(pax.has, PAX_PATH | PAX_UID);
        assert_true(slice_equal(buf_slice(&pax.path), buf_slice(&value)));
        pax_free(&pax);
    }
}

static int read_records(struct pax *pax, const char *text)
{
    struct error err = ERROR_INIT;
    pax_clear(pax);
    int result = pax_read(pax, slice_str(text), &err);
    assert_true(result == 0 || err.code == ERROR_CORRUPT);
    return result;
}

static void times_have_signs_and_fractions(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        uint32_t nanoseconds;
        int result;
    } TIMES[] = {
        {"11 mtime=5\n", 5, 0, 0},
        {"13 mtime=5.5\n", 5, 500000000, 0},
        {"12 mtime=5.\n", 5, 0, 0},
        {"14 mtime=-1.5\n", -2, 500000000, 0},
        {"14 mtime=-0.5\n", -1, 500000000, 0},
        {"12 mtime=-1\n", -1, 0, 0},
        {"24 mtime=1.1234567891234\n", 1, 123456789, 0},
        {"12 mtime=.5\n", 0, 0, -1},
        {"11 mtime=-\n", 0, 0, -1},
        {"13 mtime=1e5\n", 0, 0, -1},
        {"15 mtime=1.5.5\n", 0, 0, -1},
        {"30 mtime=99999999999999999999\n", 0, 0, -1},
    };
    struct pax pax;
    pax_init(&pax);
    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        scope_buf struct buf record = BUF_INIT;
        const char *value = strchr(TIMES[i].text, '=') + 1;
        pax_add(&record, "mtime", slice_of(value, strlen(value) - 1));
        assert_int_equal(read_records(&pax, record.data), TIMES[i].result);
        if (TIMES[i].result == 0) {
            assert_int_equal(pax.mtime_s, TIMES[i].seconds);
            assert_int_equal(pax.mtime_ns, TIMES[i].nanoseconds);
        }
    }
    pax_free(&pax);
}

static void records_that_are_none_are_refused(void **state)
{
    static const char *const BAD[] = {
        "x",
        "5",
        "0 a=b\n",
        "1 a=b\n",
        "5 a=b\n",
        "7 a=b\n",
        "6 a=bc",
        "6 abc\n",
        "6 =bc\n",
        " 6 a=b\n",
        "-6 a=b\n",
        "3 \n",
        "18446744073709551615 a=b\n",
        "18446744073709551622 a=b\n",
        "9 size=x\n",
        "6 a=b\nx",
        "12 uid=-1234\n",
        "2 ",
        "4 =\n\n",
        "30 GNU.sparse.map=5,5,4,1,\n\n\n\n",
        "27 GNU.sparse.map=5,5,4,1\n",
        "25 GNU.sparse.map=1,2,3,\n",
    };
    struct pax pax;
    pax_init(&pax);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(read_records(&pax, BAD[i]), -1);
    assert_int_equal(read_records(&pax, ""), 0);
    /* An empty value takes the earlier one back. */
    assert_int_equal(read_records(&pax, "9 uid=12\n7 uid=\n"), 0);
    assert_int_equal(pax.has, 0);
    pax_free(&pax);
}

/* A tar in memory, built by hand. */
static uint8_t *add_header(struct buf *tar, char type, const char *name, uint64_t size)
{
    buf_add_zeros(tar, TAR_BLOCK_BYTES);
    uint8_t *block = (uint8_t *)tar->data + tar->length - TAR_BLOCK_BYTES;
    memcpy(block, name, strlen(name));
    tar_put_octal(block, TAR_SIZE, size);
    block[TAR_TYPE.offset] = (uint8_t)type;
    memcpy(block + TAR_MAGIC.offset, "ustar\00000", 8);
    tar_put_checksum(block);
    return block;
}

static void add_content(struct buf *tar, const char *text)
{
    buf_add_str(tar, text);
    buf_add_zeros(tar, tar_padding(strlen(text)));
}

static void add_extended(struct buf *tar, char type, const char *text)
{
    add_header(tar, type, "x", strlen(text));
    add_content(tar, text);
}

static enum error_code read_tar(struct buf *tar, struct test_stream *got)
{
    struct error err = ERROR_INIT;
    struct archive_read_options options = {0};
    buf_add_zeros(tar, 2 * TAR_BLOCK_BYTES);
    scope_fd int fd = memfd_create("tar", MFD_CLOEXEC);
    assert_int_equal(file_write_all(fd, tar->data, tar->length, &err), 0);
    test_stream_read(got, fd, &options, NULL, &err);
    return err.code;
}

static void names_come_from_the_best_place(void **state)
{
    scope_buf struct buf tar = BUF_INIT;
    struct test_stream got = {0};
    add_extended(&tar, 'L', "from-L");
    add_header(&tar, '0', "from-header", 0);
    add_extended(&tar, 'L', "from-L");
    add_extended(&tar, 'x', "17 path=from-pax\n");
    add_header(&tar, '0', "from-header", 0);
    add_header(&tar, '0', "from-header", 0);
    /* GNU keeps times where ustar has the prefix. */
    uint8_t *block = add_header(&tar, '0', "gnu", 0);
    memcpy(block + TAR_MAGIC.offset, "ustar  ", 8);
    memcpy(block + TAR_PREFIX.offset, "14123456701", 12);
    tar_put_checksum(block);
    block = add_header(&tar, '0', "name", 0);
    memcpy(block + TAR_PREFIX.offset, "pre/fix", 7);
    tar_put_checksum(block);
    add_header(&tar, '0', "old-directory/", 0);
    assert_int_equal(read_tar(&tar, &got), ERROR_NONE);
    static const char *const names[] = {"from-L", "from-pax",     "from-header",
                                        "gnu",    "pre/fix/name", "old-directory"};
    assert_int_equal(got.count, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < got.count; i++)
        assert_string_equal(got.entries[i].path.data, names[i]);
    assert_int_equal(got.entries[5].type, ENTRY_DIRECTORY);
    test_stream_free(&got);
}

static void links_and_directories_have_no_content(void **state)
{
    scope_buf struct buf tar = BUF_INIT;
    struct test_stream got = {0};
    add_header(&tar, '5', "directory", 5000);
    uint8_t *block = add_header(&tar, '1', "hard", 5000);
    memcpy(block + TAR_LINK.offset, "file", 4);
    tar_put_checksum(block);
    add_extended(&tar, 'g', "16 mtime=1.5\n");
    assert_int_equal(read_tar(&tar, &got), ERROR_CORRUPT); /* 16 is a lie */
    test_stream_free(&got);
    buf_clear(&tar);
    add_extended(&tar, 'g', "13 mtime=1.5\n9 uid=77\n16 path=ignored\n");
    add_header(&tar, '5', "directory", 5000);
    add_header(&tar, '0', "file", 3);
    add_content(&tar, "abc");
    assert_int_equal(read_tar(&tar, &got), ERROR_NONE);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.entries[0].stored_bytes, 0);
    assert_string_equal(got.entries[1].path.data, "file");
    assert_int_equal(got.entries[1].uid, 77);
    assert_int_equal(got.entries[1].mtime_ns, 500000000);
    test_stream_free(&got);
}

static void hostile_sizes_are_refused(void **state)
{
    static const char *const records[] = {
        "28 size=9223372036854775807\n",
        "29 size=18446744073709551615\n",
        "20 uid=4294967295\n",
        "20 gid=4294967296\n",
        "43 GNU.sparse.realsize=9223372036854775808\n",
        "25 GNU.sparse.realsize=5\n25 GNU.sparse.map=0,3,4,2\n",
        "25 GNU.sparse.realsize=9\n22 GNU.sparse.major=2\n22 GNU.sparse.minor=0\n",
    };
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        scope_buf struct buf tar = BUF_INIT;
        struct test_stream got = {0};
        add_extended(&tar, 'x', records[i]);
        add_header(&tar, '0', "file", 0);
        enum error_code code = read_tar(&tar, &got);
        if (code != ERROR_CORRUPT)
            fail_msg("%s: %s", records[i], error_code_name(code));
        test_stream_free(&got);
    }
    scope_buf struct buf tar = BUF_INIT;
    struct test_stream got = {0};
    add_header(&tar, 'x', "large", (1 << 20) + 1);
    buf_add_zeros(&tar, (1 << 20) + 512);
    assert_int_equal(read_tar(&tar, &got), ERROR_LIMIT);
    test_stream_free(&got);
}

/* Format 1.0 with this map, followed by `content`. */
static enum error_code read_map(const char *map, const char *content, uint64_t size,
                                struct test_stream *got)
{
    scope_buf struct buf tar = BUF_INIT;
    add_extended(&tar, 'x',
                 "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
                 "28 GNU.sparse.realsize=1000\n24 GNU.sparse.name=real\n");
    add_header(&tar, '0', "GNUSparseFile.1/real", size);
    add_content(&tar, map);
    add_content(&tar, content);
    return read_tar(&tar, got);
}

static void maps_are_checked(void **state)
{
    struct test_stream got = {0};
    assert_int_equal(read_map("2\n100\n3\n1000\n0\n", "abc", 515, &got), ERROR_NONE);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.entries[0].path.data, "real");
    assert_int_equal(got.entries[0].size_bytes, 1000);
    assert_int_equal(got.entries[0].extent_count, 1);
    assert_string_equal(got.contents[0].data, "abc");
    test_stream_free(&got);
    static const char *const bad[] = {
        "",
        "\n",
        "1\n",
        "x\n",
        "1\n5\n",
        "1\n998\n3\n",
        "1\n100\n4\n",
        "2\n100\n3\n50\n0\n",
        "1\n-100\n3\n",
        "1\n18446744073709551615\n3\n",
        "00000000000000000000000000000000001\n100\n3\n",
        "99999999999\n100\n3\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum error_code code = read_map(bad[i], "abc", 515, &got);
        if (code != ERROR_CORRUPT)
            fail_msg("%s: %s", bad[i], error_code_name(code));
        test_stream_free(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_octal_or_base_256),
        cmocka_unit_test(numbers_say_when_they_do_not_fit),
        cmocka_unit_test(checksums_may_be_summed_with_either_sign),
        cmocka_unit_test(records_count_their_own_length),
        cmocka_unit_test(times_have_signs_and_fractions),
        cmocka_unit_test(records_that_are_none_are_refused),
        cmocka_unit_test(names_come_from_the_best_place),
        cmocka_unit_test(links_and_directories_have_no_content),
        cmocka_unit_test(hostile_sizes_are_refused),
        cmocka_unit_test(maps_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
