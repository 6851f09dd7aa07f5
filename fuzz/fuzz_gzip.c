/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gzip file, as it comes.  Claims: reading ends; what is taken, zlib takes too, with the same
 * bytes; and several threads come to the same as one.
 */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "archive/gzip_reader.h"
#include "archive/read_ahead.h"
#include "base/file.h"

enum {
    LIMIT_BYTES = 4 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memory_file(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("gzip", MFD_CLOEXEC);
    assert(file_write_all(fd, data, size, &err) == 0);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static enum error_code read_ours(const uint8_t *data, size_t size, struct buf *out)
{
    struct error err = ERROR_INIT;
    int fd = memory_file(data, size);
    struct gzip_reader_watch watch = {0};
    struct archive_read_options options = {.limit_tar_bytes = LIMIT_BYTES};
    struct gzip_reader *reader = gzip_reader_create(fd, &options, &watch);
    char chunk[10000];
    ssize_t got;
    while ((got = gzip_reader_read(reader, chunk, sizeof(chunk), &err)) > 0)
        buf_add(out, chunk, (size_t)got);
    assert(got == 0 || err.code == ERROR_CORRUPT || err.code == ERROR_LIMIT);
    gzip_reader_free(reader);
    close(fd);
    return err.code;
}

static enum error_code read_in_threads(const uint8_t *data, size_t size, struct buf *out)
{
    struct error err = ERROR_INIT;
    int fd = memory_file(data, size);
    struct archive_read_options options = {.limit_tar_bytes = LIMIT_BYTES, .threads = 3};
    struct read_ahead *ahead = read_ahead_create(fd, &options);
    const uint8_t *at;
    ssize_t got;
    while ((got = read_ahead_peek(ahead, &at, &err)) > 0) {
        buf_add(out, at, (size_t)got);
        read_ahead_take(ahead, (size_t)got);
    }
    read_ahead_free(ahead);
    close(fd);
    return err.code;
}

/* All members, up to what is no member. */
static void read_zlib(const uint8_t *data, size_t size, struct buf *out)
{
    static char chunk[65536];
    z_stream zlib = {.next_in = (Bytef *)data, .avail_in = (uInt)size};
    int result = inflateInit2(&zlib, 15 + 16);
    while (result == Z_OK) {
        zlib.next_out = (Bytef *)chunk;
        zlib.avail_out = sizeof(chunk);
        result = inflate(&zlib, Z_NO_FLUSH);
        buf_add(out, chunk, sizeof(chunk) - zlib.avail_out);
        if (result == Z_STREAM_END && zlib.avail_in >= 2 && zlib.next_in[0] == 0x1f)
            result = inflateReset(&zlib);
    }
    assert(result == Z_STREAM_END);
    inflateEnd(&zlib);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf ours = BUF_INIT;
    struct buf threads = BUF_INIT;
    struct buf theirs = BUF_INIT;
    enum error_code code = read_ours(data, size, &ours);
    assert(read_in_threads(data, size, &threads) == code);
    assert(code != ERROR_NONE || slice_equal(buf_slice(&ours), buf_slice(&threads)));
    bool is_gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    if (is_gzip && code == ERROR_NONE) {
        read_zlib(data, size, &theirs);
        assert(slice_equal(buf_slice(&ours), buf_slice(&theirs)));
    }
    buf_free(&ours);
    buf_free(&threads);
    buf_free(&theirs);
    return 0;
}
