/* SPDX-License-Identifier: Apache-2.0 */
/* Members as zlib sees ours, and as others may write theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "archive/deflate_fast.h"
#include "archive/gzip_reader.h"
#include "archive/member.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

static uint32_t random_state = 1;

static uint8_t random_byte(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return (uint8_t)(random_state >> 24);
}

/* The bytes of one member, as zlib inflates it. */
static void assert_inflates(const uint8_t *member, size_t length, const uint8_t *bytes,
                            size_t bytes_length)
{
    uint8_t *out = xmalloc(ARCHIVE_BLOCK_BYTES + 1);
    z_stream zlib = {.next_in = (Bytef *)member, .avail_in = (uInt)length};
    assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
    zlib.next_out = out;
    zlib.avail_out = ARCHIVE_BLOCK_BYTES + 1;
    assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    assert_int_equal(zlib.avail_in, 0);
    assert_int_equal(zlib.total_out, bytes_length);
    assert_true(bytes_length == 0 || memcmp(out, bytes, bytes_length) == 0);
    inflateEnd(&zlib);
    free(out);
}

static void members_are_gzip_within_their_bound(void **state)
{
    uint8_t *bytes = xmalloc(ARCHIVE_BLOCK_BYTES);
    uint8_t *member = xmalloc(MEMBER_MAX_BYTES);
    static const size_t lengths[] = {0,     1,     511,   4095,   4096,
                                     10000, 65535, 65536, 500001, ARCHIVE_BLOCK_BYTES};
    /* Random in all pages, in none, in every second, in runs of any length. */
    for (int pattern = 0; pattern < 4; pattern++) {
        for (size_t i = 0; i < ARCHIVE_BLOCK_BYTES; i++) {
            size_t page = i / 4096;
            bool is_random = pattern == 0 || (pattern == 2 && page % 2 == 0) ||
                             (pattern == 3 && (page * page / 7) % 3 != 0);
            bytes[i] = is_random ? random_byte() : (uint8_t)(i % 23 + i / 777);
        }
        for (int compression = ARCHIVE_STORE; compression <= ARCHIVE_BEST; compression++) {
            struct member_packer *packer =
                member_packer_create((enum archive_compression)compression);
            for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                size_t offset = i * 512 % 4096;
                size_t length = member_pack(packer, bytes, lengths[i], offset, member);
                assert_true(length <= MEMBER_MAX_BYTES);
                assert_inflates(member, length, bytes, lengths[i]);
            }
            member_packer_free(packer);
        }
    }
    free(bytes);
    free(member);
}

static void what_compresses_is_compressed_and_the_rest_costs_nothing(void **state)
{
    uint8_t *bytes = xmalloc(ARCHIVE_BLOCK_BYTES);
    uint8_t *member = xmalloc(MEMBER_MAX_BYTES);
    for (size_t i = 0; i < ARCHIVE_BLOCK_BYTES; i++)
        bytes[i] = i / 65536 % 2 == 0 ? random_byte() : (uint8_t)(i % 29);
    struct member_packer *packer = member_packer_create(ARCHIVE_FAST);
    size_t length = member_pack(packer, bytes, ARCHIVE_BLOCK_BYTES, 0, member);
    assert_in_range(length, ARCHIVE_BLOCK_BYTES / 2, ARCHIVE_BLOCK_BYTES / 2 + 20000);
    member_packer_free(packer);
    free(bytes);
    free(member);
}

static size_t packed_length(const uint8_t *bytes, size_t length,
                            enum archive_compression compression)
{
    uint8_t *member = xmalloc(MEMBER_MAX_BYTES);
    struct member_packer *packer = member_packer_create(compression);
    size_t packed = member_pack(packer, bytes, length, 0, member);
    assert_inflates(member, packed, bytes, length);
    member_packer_free(packer);
    free(member);
    return packed;
}

/* Pages of the same words between random ones: what was seen before is worth remembering. */
static void balanced_compresses_in_longer_runs(void **state)
{
    uint8_t *bytes = xmalloc(ARCHIVE_BLOCK_BYTES);
    uint8_t words[512];
    for (size_t i = 0; i < sizeof(words); i++)
        words[i] = (uint8_t)('a' + random_byte() % 16);
    for (size_t i = 0; i < ARCHIVE_BLOCK_BYTES; i++)
        bytes[i] = i / 4096 % 2 == 0 ? random_byte() : words[(i * 7 / 512 + i) % 512];
    size_t fast = packed_length(bytes, ARCHIVE_BLOCK_BYTES, ARCHIVE_FAST);
    size_t balanced = packed_length(bytes, ARCHIVE_BLOCK_BYTES, ARCHIVE_BALANCED);
    assert_in_range(balanced, ARCHIVE_BLOCK_BYTES / 2, fast - 128 * 60);
    free(bytes);
}

/* The ends of short chunks: a Huffman table would cost more than it saves. */
static void a_few_random_bytes_before_zeros_are_stored(void **state)
{
    uint8_t bytes[4096];
    for (size_t before = 1; before <= 1000; before++) {
        memset(bytes, 0, sizeof(bytes));
        for (size_t i = 0; i < before; i++)
            bytes[i] = random_byte();
        bytes[before - 1] |= 1;
        assert_in_range(packed_length(bytes, sizeof(bytes), ARCHIVE_FAST), before, before + 90);
    }
}

static void zero_tails_of_every_length_are_right(void **state)
{
    uint8_t bytes[3 * 4096];
    uint8_t *member = xmalloc(MEMBER_MAX_BYTES);
    struct member_packer *packer = member_packer_create(ARCHIVE_FAST);
    for (size_t zeros = 0; zeros <= 4096; zeros++) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)(random_byte() | 1);
        memset(bytes + 4096 - zeros, 0, zeros);
        /* The last page joins the run, or begins one of its own. */
        memset(bytes + 4096, 0, zeros % 2 == 0 ? 4096 : 0);
        size_t length = member_pack(packer, bytes, sizeof(bytes), 0, member);
        assert_inflates(member, length, bytes, sizeof(bytes));
        assert_true(length <= sizeof(bytes) - (zeros < 64 ? 0 : zeros) + 100);
    }
    member_packer_free(packer);
    free(member);
}

/* Inputs that begin with bytes of every hash, and repeat them: whichever slot of its table ISA-L spoils, one notices. */
static uint32_t pack_beginnings(struct deflate_fast *fast)
{
    uint8_t bytes[4096], out[4096];
    uint32_t sum = 0;
    random_state = 1;
    for (int i = 0; i < 20000; i++) {
        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] = (uint8_t)(at % 64 < 16 ? "level chunk data"[at % 16] : random_byte() % 8);
        for (size_t at = 0; at < 6; at++)
            bytes[at] = bytes[at + 2000] = bytes[at + 3001] = random_byte();
        size_t length = deflate_fast(fast, bytes, sizeof(bytes), out);
        assert_in_range(length, 1, sizeof(bytes) / 2);
        sum = (uint32_t)crc32(sum, out, (uInt)length);
    }
    return sum;
}

static void the_same_bytes_give_the_same_member(void **state)
{
    for (unsigned level = 1; level <= 3; level += 2) {
        struct deflate_fast *all[4];
        uint32_t sums[4];
        for (size_t i = 0; i < 4; i++) {
            all[i] = deflate_fast_create(level);
            sums[i] = pack_beginnings(all[i]);
            assert_int_equal(sums[i], sums[0]);
        }
        for (size_t i = 0; i < 4; i++)
            deflate_fast_free(all[i]);
    }
}

static int memory_file(struct slice bytes)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_int_equal(file_write_all(fd, bytes.data, bytes.length, &err), 0);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* Read all, in pieces of `piece` bytes; -1 or the length. */
static ssize_t read_all(struct slice bytes, size_t piece, struct buf *out, struct error *err)
{
    scope_fd int fd = memory_file(bytes);
    struct gzip_reader_watch watch = {0};
    struct archive_read_options options = {0};
    struct gzip_reader *reader = gzip_reader_create(fd, &options, &watch);
    scope_free char *chunk = xmalloc(piece);
    ssize_t got;
    while ((got = gzip_reader_read(reader, chunk, piece, err)) > 0)
        buf_add(out, chunk, (size_t)got);
    gzip_reader_free(reader);
    return got < 0 ? -1 : (ssize_t)out->length;
}

/* A member of zlib's, with every optional field that gzip has. */
static void add_member(struct buf *out, struct slice bytes, int level, bool with_fields)
{
    scope_free uint8_t *member = xmalloc(bytes.length + 200000);
    uint8_t extra[3000] = {1, 2, 3};
    gz_header header = {.text = 1,
                        .time = 1700000000,
                        .extra = extra,
                        .extra_len = sizeof(extra),
                        .name = (Bytef *)"name.tar",
                        .comment = (Bytef *)"comment",
                        .hcrc = 1};
    z_stream zlib = {.next_in = (Bytef *)bytes.data, .avail_in = (uInt)bytes.length};
    assert_int_equal(deflateInit2(&zlib, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (with_fields)
        deflateSetHeader(&zlib, &header);
    zlib.next_out = member;
    zlib.avail_out = (uInt)bytes.length + 200000;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    buf_add(out, member, zlib.total_out);
    deflateEnd(&zlib);
}

static void members_of_others_are_read(void **state)
{
    scope_buf struct buf bytes = BUF_INIT;
    for (int i = 0; i < 3000000; i++)
        buf_add_char(&bytes, (char)(i % 5 == 0 ? random_byte() : i % 97));
    scope_buf struct buf file = BUF_INIT;
    size_t part;
    for (size_t done = 0, number = 0; done < bytes.length; done += part, number++) {
        part = done * 2 + 1 < bytes.length - done ? done * 2 + 1 : bytes.length - done;
        add_member(&file, slice_of(bytes.data + done, part), (int)(number % 10), number % 2 == 0);
        add_member(&file, slice_str(""), 6, number % 2 != 0);
    }
    static const size_t pieces[] = {1, 7, 4096, 100000, 1 << 20, 5 << 20};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct error err = ERROR_INIT;
        scope_buf struct buf got = BUF_INIT;
        if (read_all(buf_slice(&file), pieces[i], &got, &err) < 0)
            fail_msg("%s", err.text);
        assert_true(slice_equal(buf_slice(&got), buf_slice(&bytes)));
    }
}

static void a_wrong_header_checksum_is_noticed(void **state)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf file = BUF_INIT;
    scope_buf struct buf got = BUF_INIT;
    add_member(&file, slice_str("content"), 6, 1);
    file.data[20] ^= 1; /* in the extra field */
    assert_int_equal(read_all(buf_slice(&file), 100, &got, &err), -1);
    assert_int_equal(err.code, ERROR_CORRUPT);
}

static void every_boundary_of_the_input_is_survived(void **state)
{
    /* A name in the header moves the member's end across the end of the reader's buffer. */
    scope_buf struct buf tail = BUF_INIT;
    add_member(&tail, slice_str("first"), 6, 0);
    add_member(&tail, slice_str("second"), 6, 1);
    for (size_t before = 40; before > 0; before--) {
        struct error err = ERROR_INIT;
        scope_buf struct buf file = BUF_INIT;
        scope_buf struct buf got = BUF_INIT;
        buf_add(&file, "\x1f\x8b\x08\x08\0\0\0\0\0\xff", 10);
        while (file.length < (1 << 20) - before - 11)
            buf_add_char(&file, 'n');
        buf_add(&file, "\0\x03\0\0\0\0\0\0\0\0\0", 11);
        buf_add(&file, tail.data, tail.length);
        if (read_all(buf_slice(&file), 100, &got, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(got.data, "firstsecond");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_gzip_within_their_bound),
        cmocka_unit_test(what_compresses_is_compressed_and_the_rest_costs_nothing),
        cmocka_unit_test(balanced_compresses_in_longer_runs),
        cmocka_unit_test(a_few_random_bytes_before_zeros_are_stored),
        cmocka_unit_test(zero_tails_of_every_length_are_right),
        cmocka_unit_test(the_same_bytes_give_the_same_member),
        cmocka_unit_test(members_of_others_are_read),
        cmocka_unit_test(a_wrong_header_checksum_is_noticed),
        cmocka_unit_test(every_boundary_of_the_input_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
