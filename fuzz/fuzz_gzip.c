/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gzip file, as it comes.  Claims: reading ends; what is taken, zlib takes too, with the same
 * bytes.
 */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "archive/gzip_reader.h"
#include "base/file.h"

enum {
    LIMIT_BYTES = 4 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_ours(const uint8_t *data, size_t size, struct buf *out)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("gzip", MFD_CLOEXEC);
    assert(file_write_all(fd, data, size, &err) == 0);
    lseek(fd, 0, SEEK_SET);
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
    return (int)got;
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
    struct buf theirs = BUF_INIT;
    bool is_gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    if (is_gzip && read_ours(data, size, &ours) == 0) {
        read_zlib(data, size, &theirs);
        assert(slice_equal(buf_slice(&ours), buf_slice(&theirs)));
    }
    buf_free(&ours);
    buf_free(&theirs);
    return 0;
}
