/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads read as one does: the same bytes, the same verdict, whatever the file is. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "archive/gzip_reader.h"
#include "archive/member.h"
#include "archive/read_ahead.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

enum {
    LENGTH_AT = MEMBER_HEADER_BYTES - 4, /* of the field with the member's length */
    MEMBERS = 12,
};

static uint32_t random_state = 1;

static uint32_t random_number(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static int memory_file(struct slice bytes)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_int_equal(file_write_all(fd, bytes.data, bytes.length, &err), 0);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* What became of reading a file to its end. */
struct outcome {
    enum error_code code;
    struct buf bytes; /* before an error, some of them */
    struct digest digest;
    bool has_digest;
};

static void read_serially(struct slice file, struct archive_read_options options,
                          struct outcome *outcome)
{
    struct error err = ERROR_INIT;
    struct gzip_reader_watch watch = {0};
    scope_fd int fd = memory_file(file);
    char chunk[5000];
    ssize_t got;
    options.flags = ARCHIVE_WITH_DIGEST;
    struct gzip_reader *reader = gzip_reader_create(fd, &options, &watch);
    while ((got = gzip_reader_read(reader, chunk, sizeof(chunk), &err)) > 0)
        buf_add(&outcome->bytes, chunk, (size_t)got);
    outcome->code = err.code;
    outcome->has_digest = got == 0;
    if (got == 0)
        gzip_reader_digest(reader, &outcome->digest);
    gzip_reader_free(reader);
}

static void read_in_threads(struct slice file, struct archive_read_options options,
                            struct outcome *outcome)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = memory_file(file);
    const uint8_t *at;
    ssize_t got;
    options.flags = ARCHIVE_WITH_DIGEST;
    struct read_ahead *ahead = read_ahead_create(fd, &options);
    while ((got = read_ahead_peek(ahead, &at, &err)) > 0) {
        buf_add(&outcome->bytes, at, (size_t)got);
        read_ahead_take(ahead, (size_t)got);
    }
    outcome->code = err.code;
    const struct digest *digest = read_ahead_digest(ahead);
    outcome->has_digest = digest != NULL;
    if (digest != NULL)
        outcome->digest = *digest;
    if (got == 0)
        assert_int_equal(read_ahead_position(ahead), file.length);
    read_ahead_free(ahead);
}

/* All ways to read `file` come to the same, which is returned; its bytes go to `out`, unless NULL. */
static enum error_code assert_agreed(struct slice file, uint64_t limit_bytes, struct buf *out,
                                     size_t where)
{
    struct outcome outcomes[3] = {{.bytes = BUF_INIT}, {.bytes = BUF_INIT}, {.bytes = BUF_INIT}};
    struct archive_read_options options = {.limit_tar_bytes = limit_bytes};
    struct digest whole;
    read_serially(file, options, &outcomes[0]);
    options.threads = 1;
    read_in_threads(file, options, &outcomes[1]);
    options.threads = 4;
    read_in_threads(file, options, &outcomes[2]);
    digest_of(options.digest, file, &whole);
    for (int i = 0; i < 3; i++) {
        const struct outcome *outcome = &outcomes[i];
        if (outcome->code != outcomes[0].code || outcome->has_digest != outcomes[0].has_digest)
            fail_msg("byte %zu: way %d says %d, not %d", where, i, outcome->code, outcomes[0].code);
        if (outcome->code == ERROR_NONE) {
            assert_true(digest_equal(&outcome->digest, &whole));
            assert_true(slice_equal(buf_slice(&outcome->bytes), buf_slice(&outcomes[0].bytes)));
        }
    }
    enum error_code code = outcomes[0].code;
    if (out != NULL)
        buf_add(out, outcomes[0].bytes.data, outcomes[0].bytes.length);
    for (int i = 0; i < 3; i++)
        buf_free(&outcomes[i].bytes);
    return code;
}

/* A file of members, ours and others', and where each begins. */
struct file {
    struct buf bytes;
    struct buf tar;
    size_t starts[4 * MEMBERS];
    size_t count;
};

static void file_free(struct file *file)
{
    buf_free(&file->bytes);
    buf_free(&file->tar);
}
#define scope_members __attribute__((cleanup(file_free)))

static void add_ours(struct file *file, enum archive_compression compression, struct slice bytes)
{
    scope_free uint8_t *member = xmalloc(MEMBER_MAX_BYTES);
    struct member_packer *packer = member_packer_create(compression);
    size_t length = member_pack(packer, bytes.data, bytes.length, 0, member);
    file->starts[file->count++] = file->bytes.length;
    buf_add(&file->bytes, member, length);
    buf_add(&file->tar, bytes.data, bytes.length);
    member_packer_free(packer);
}

/* By zlib, with an extra field or without; `bytes` may be empty, as in an index. */
static void add_other(struct file *file, struct slice bytes, bool has_field)
{
    scope_free uint8_t *member = xmalloc(bytes.length + 100000);
    uint8_t extra[300] = {'S', 'I', 40, 1, 2, 3};
    gz_header header = {.extra = extra, .extra_len = sizeof(extra)};
    z_stream zlib = {.next_in = (Bytef *)bytes.data, .avail_in = (uInt)bytes.length};
    assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (has_field)
        deflateSetHeader(&zlib, &header);
    zlib.next_out = member;
    zlib.avail_out = (uInt)bytes.length + 100000;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    file->starts[file->count++] = file->bytes.length;
    buf_add(&file->bytes, member, zlib.total_out);
    buf_add(&file->tar, bytes.data, bytes.length);
    deflateEnd(&zlib);
}

static void add_content(struct buf *out, size_t length)
{
    for (size_t i = 0; i < length; i++)
        buf_add_char(out, (char)(i % 3000 < 1500 ? random_number() : i % 7));
}

/* Members of `length` bytes: of ours alone, or of others in between. */
static void make_file(struct file *file, size_t length, bool is_mixed)
{
    *file = (struct file){.bytes = BUF_INIT, .tar = BUF_INIT};
    random_state = 1;
    for (int i = 0; i < MEMBERS; i++) {
        scope_buf struct buf content = BUF_INIT;
        add_content(&content, length + random_number() % 100);
        if (is_mixed && i % 3 == 1)
            add_other(file, buf_slice(&content), i % 2 == 0);
        else
            add_ours(file, (enum archive_compression)(i % 3), buf_slice(&content));
        if (is_mixed && i % 4 == 0)
            add_other(file, slice_str(""), i % 8 == 0);
    }
}

static void all_ways_to_read_agree(void **state)
{
    static const size_t lengths[] = {0, 1, 1000, 200000, ARCHIVE_BLOCK_BYTES - 100};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (int is_mixed = 0; is_mixed < 2; is_mixed++) {
            scope_members struct file file;
            scope_buf struct buf tar = BUF_INIT;
            make_file(&file, lengths[i], is_mixed);
            assert_int_equal(assert_agreed(buf_slice(&file.bytes), 0, &tar, 0), ERROR_NONE);
            assert_true(slice_equal(buf_slice(&tar), buf_slice(&file.tar)));
        }
}

static void all_ways_agree_on_every_flipped_byte(void **state)
{
    scope_members struct file file;
    make_file(&file, 100, true);
    size_t noticed = 0;
    size_t tried = 0;
    /* The first header all over; a prime keeps out of step with the rest. */
    for (size_t i = 0; i < file.bytes.length; i += i < MEMBER_MIN_BYTES ? 1 : 23, tried++) {
        char flip = (char)(1 << random_number() % 8);
        file.bytes.data[i] ^= flip;
        noticed += assert_agreed(buf_slice(&file.bytes), 0, NULL, i) == ERROR_CORRUPT;
        file.bytes.data[i] ^= flip;
    }
    /* An extra field of 300 bytes says nothing to us. */
    assert_in_range(noticed, tried / 3, tried - 1);
}

static void all_ways_agree_on_every_truncation(void **state)
{
    scope_members struct file file;
    make_file(&file, 100, true);
    /* One byte is no gzip yet, but a tar of one byte. */
    for (size_t length = 2; length < file.bytes.length; length += 61) {
        bool is_between = false;
        for (size_t i = 1; i < file.count; i++)
            is_between |= file.starts[i] == length;
        enum error_code code = assert_agreed(slice_of(file.bytes.data, length), 0, NULL, length);
        if (code != (is_between ? ERROR_NONE : ERROR_CORRUPT))
            fail_msg("%zu bytes: %d", length, code);
    }
    for (size_t i = 1; i < file.count; i += 3)
        for (int more = -1; more <= 1; more++) {
            struct slice bytes = slice_of(file.bytes.data, file.starts[i] + (size_t)more);
            assert_int_equal(assert_agreed(bytes, 0, NULL, i),
                             more == 0 ? ERROR_NONE : ERROR_CORRUPT);
        }
}

static void members_may_be_swapped_and_left_out(void **state)
{
    scope_members struct file file;
    make_file(&file, 5000, true);
    for (int round = 0; round < 6; round++) {
        scope_buf struct buf bytes = BUF_INIT;
        for (int i = 0; i < 15; i++) {
            size_t which = random_number() % file.count;
            size_t start = file.starts[which];
            size_t end = which + 1 < file.count ? file.starts[which + 1] : file.bytes.length;
            buf_add(&bytes, file.bytes.data + start, end - start);
        }
        buf_add_zeros(&bytes, round % 2 * 9000);
        assert_int_equal(assert_agreed(buf_slice(&bytes), 0, NULL, 0), ERROR_NONE);
        buf_add_char(&bytes, 'x');
        assert_int_equal(assert_agreed(buf_slice(&bytes), 0, NULL, 0), ERROR_CORRUPT);
    }
}

static void put_length(struct file *file, size_t member, uint32_t length)
{
    uint8_t *at = (uint8_t *)file->bytes.data + file->starts[member] + LENGTH_AT;
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(length >> 8 * i);
}

static void a_length_that_lies_is_corrupt(void **state)
{
    scope_members struct file file;
    make_file(&file, 3000, false);
    for (size_t i = 0; i < file.count; i += 11) {
        size_t end = i + 1 < file.count ? file.starts[i + 1] : file.bytes.length;
        uint32_t length = (uint32_t)(end - file.starts[i]);
        const uint32_t lies[] = {0,
                                 1,
                                 MEMBER_HEADER_BYTES,
                                 MEMBER_MIN_BYTES - 1,
                                 MEMBER_MIN_BYTES,
                                 length - 1,
                                 length + 1,
                                 2 * length,
                                 (uint32_t)file.bytes.length,
                                 MEMBER_MAX_BYTES,
                                 MEMBER_MAX_BYTES + 1,
                                 UINT32_MAX};
        for (size_t lie = 0; lie < sizeof(lies) / sizeof(lies[0]); lie++) {
            put_length(&file, i, lies[lie]);
            assert_int_equal(assert_agreed(buf_slice(&file.bytes), 0, NULL, lie), ERROR_CORRUPT);
        }
        put_length(&file, i, length);
    }
    assert_int_equal(assert_agreed(buf_slice(&file.bytes), 0, NULL, 0), ERROR_NONE);
}

/* With our header, but more in it than a block holds. */
static void a_member_that_holds_too_much_is_corrupt(void **state)
{
    for (size_t more = 0; more < 2; more++) {
        scope_members struct file file;
        make_file(&file, 0, false);
        size_t length = ARCHIVE_BLOCK_BYTES + more;
        scope_free uint8_t *zeros = xcalloc(1, length);
        scope_free uint8_t *member = xmalloc(100000);
        memcpy(member, file.bytes.data, MEMBER_HEADER_BYTES);
        z_stream zlib = {.next_in = zeros,
                         .avail_in = (uInt)length,
                         .next_out = member + MEMBER_HEADER_BYTES,
                         .avail_out = 90000};
        assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
        uint64_t trailer = crc32(0, zeros, (uInt)length) | (uint64_t)length << 32;
        memcpy(zlib.next_out, &trailer, 8);
        file.starts[0] = 0;
        buf_clear(&file.bytes);
        buf_add(&file.bytes, member, MEMBER_HEADER_BYTES + zlib.total_out + 8);
        put_length(&file, 0, (uint32_t)file.bytes.length);
        deflateEnd(&zlib);
        assert_int_equal(assert_agreed(buf_slice(&file.bytes), 0, NULL, more),
                         more == 0 ? ERROR_NONE : ERROR_CORRUPT);
    }
}

static void the_limit_is_exact(void **state)
{
    for (int is_mixed = 0; is_mixed < 2; is_mixed++) {
        scope_members struct file file;
        make_file(&file, 70000, is_mixed);
        struct slice bytes = buf_slice(&file.bytes);
        uint64_t length = file.tar.length;
        assert_int_equal(assert_agreed(bytes, length + 1, NULL, 0), ERROR_NONE);
        assert_int_equal(assert_agreed(bytes, length, NULL, 0), ERROR_NONE);
        assert_int_equal(assert_agreed(bytes, length - 1, NULL, 0), ERROR_LIMIT);
        assert_int_equal(assert_agreed(bytes, 1, NULL, 0), ERROR_LIMIT);
        /* The limit is met before what is wrong behind it, and the other way round. */
        file.bytes.data[file.bytes.length - 5] ^= 1;
        assert_int_equal(assert_agreed(bytes, length / 2, NULL, 0), ERROR_LIMIT);
        assert_int_equal(assert_agreed(bytes, length, NULL, 0), ERROR_CORRUPT);
    }
}

static void it_can_be_freed_in_the_middle(void **state)
{
    scope_members struct file file;
    make_file(&file, 300000, true);
    for (size_t stop = 0; stop < 8; stop++) {
        struct error err = ERROR_INIT;
        const uint8_t *at;
        scope_fd int fd = memory_file(buf_slice(&file.bytes));
        struct archive_read_options options = {.flags = ARCHIVE_WITH_DIGEST};
        struct read_ahead *ahead = read_ahead_create(fd, &options);
        for (size_t i = 0; i < stop; i++) {
            ssize_t got = read_ahead_peek(ahead, &at, &err);
            assert_true(got >= 0);
            read_ahead_take(ahead, (size_t)got);
        }
        read_ahead_free(ahead);
    }
    /* A pipe that says nothing more after some members. */
    int ends[2];
    struct error err = ERROR_INIT;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(file_write_all(ends[1], file.bytes.data, 20000, &err), 0);
    struct archive_read_options options = {.flags = ARCHIVE_WITH_DIGEST};
    struct read_ahead *ahead = read_ahead_create(ends[0], &options);
    usleep(1000);
    read_ahead_free(ahead);
    close(ends[0]);
    close(ends[1]);
}

static void the_first_bytes_cost_little(void **state)
{
    scope_members struct file file;
    make_file(&file, ARCHIVE_BLOCK_BYTES - 100, false);
    struct error err = ERROR_INIT;
    const uint8_t *at;
    scope_fd int fd = memory_file(buf_slice(&file.bytes));
    struct read_ahead *ahead = read_ahead_create(fd, &(struct archive_read_options){0});
    assert_true(read_ahead_peek(ahead, &at, &err) > 0);
    usleep(20000); /* for a thread that would read on */
    assert_true(read_ahead_position(ahead) <= file.starts[2] + 8192);
    read_ahead_free(ahead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_to_read_agree),
        cmocka_unit_test(all_ways_agree_on_every_flipped_byte),
        cmocka_unit_test(all_ways_agree_on_every_truncation),
        cmocka_unit_test(members_may_be_swapped_and_left_out),
        cmocka_unit_test(a_length_that_lies_is_corrupt),
        cmocka_unit_test(a_member_that_holds_too_much_is_corrupt),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(it_can_be_freed_in_the_middle),
        cmocka_unit_test(the_first_bytes_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
