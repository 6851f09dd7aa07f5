/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window:
 *
 *     buffer | slack | digested … next … (length bytes) | room
 *
 * Bytes between `digested` and `next` were taken, and are digested when they leave the window, or
 * when it is settled.
 */
#include "archive/gzip_input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"

enum {
    BUFFER_BYTES = 1 << 20,
    LOOK_BYTES = 4096, /* enough for a header, where members are moved past the window */
    DROP_BYTES = 8 << 20,
    POLL_MS = 100,
};

struct gzip_input {
    int fd;
    struct gzip_reader_watch *watch;
    struct digester *digester; /* NULL: nobody asked */

    uint8_t *buffer; /* GZIP_INPUT_SLACK_BYTES + BUFFER_BYTES */
    const uint8_t *digested;
    const uint8_t *next;
    size_t length;
    size_t piece_bytes; /* how much is read at once */
    bool is_at_eof;

    uint64_t file_bytes; /* that may still be read */
    off_t dropped_to;    /* in the file; -1: pages cannot be dropped */
    off_t read_to;
};

struct gzip_input *gzip_input_create(int fd, const struct archive_read_options *options,
                                     struct gzip_reader_watch *watch)
{
    struct gzip_input *input = xcalloc(1, sizeof(*input));
    input->fd = fd;
    input->watch = watch;
    if ((options->flags & ARCHIVE_WITH_DIGEST) != 0)
        input->digester = digester_create(options->digest);
    input->buffer = xmalloc(GZIP_INPUT_SLACK_BYTES + BUFFER_BYTES);
    input->next = input->digested = input->buffer + GZIP_INPUT_SLACK_BYTES;
    input->piece_bytes = LOOK_BYTES;
    input->file_bytes = options->file_bytes == 0 ? UINT64_MAX : options->file_bytes;
    input->dropped_to = lseek(fd, 0, SEEK_CUR);
    input->read_to = input->dropped_to;
    if (input->dropped_to >= 0)
        posix_fadvise(fd, input->dropped_to, 0, POSIX_FADV_SEQUENTIAL);
    return input;
}

void gzip_input_free(struct gzip_input *input)
{
    if (input == NULL)
        return;
    digester_free(input->digester);
    free(input->buffer);
    free(input);
}

static void drop_pages_behind(struct gzip_input *input, size_t length)
{
    if (input->dropped_to < 0)
        return;
    input->read_to += (off_t)length;
    if (input->read_to - input->dropped_to < DROP_BYTES)
        return;
    posix_fadvise(input->fd, input->dropped_to, input->read_to - input->dropped_to,
                  POSIX_FADV_DONTNEED);
    input->dropped_to = input->read_to;
}

/* As read(), but it can be stopped while it waits for a pipe; a file never makes it wait. */
static ssize_t read_some(struct gzip_input *input, void *out, size_t length, struct error *err)
{
    for (;;) {
        if (atomic_load_explicit(&input->watch->is_stopped, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "reading was stopped");
        struct pollfd waiting = {.fd = input->fd, .events = POLLIN};
        int ready = poll(&waiting, 1, POLL_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        ssize_t got = read(input->fd, out, length);
        if (got >= 0)
            return got;
        if (errno != EINTR && errno != EAGAIN)
            return error_set_os(err, errno, "reading the archive");
    }
}

/* Read once into `out`; notes the end of the file and the position. */
static ssize_t read_file(struct gzip_input *input, void *out, size_t length, struct error *err)
{
    if (length > input->file_bytes)
        length = (size_t)input->file_bytes;
    ssize_t got = length == 0 ? 0 : read_some(input, out, length, err);
    if (got < 0)
        return -1;
    input->file_bytes -= (uint64_t)got;
    if (got == 0)
        input->is_at_eof = true;
    atomic_fetch_add_explicit(&input->watch->position, (uint64_t)got, memory_order_relaxed);
    budget_read((uint64_t)got);
    drop_pages_behind(input, (size_t)got);
    return got;
}

void gzip_input_digest(struct gzip_input *input, const void *bytes, size_t length)
{
    if (input->digester != NULL && length > 0)
        digester_add(input->digester, bytes, length);
}

void gzip_input_settle(struct gzip_input *input)
{
    gzip_input_digest(input, input->digested, (size_t)(input->next - input->digested));
    input->digested = input->next;
}

/* What is left moves to the front, and with it the bytes that may be given back. */
static void compact(struct gzip_input *input)
{
    uint8_t *start = input->buffer + GZIP_INPUT_SLACK_BYTES;
    size_t before = (size_t)(input->next - input->buffer);
    size_t kept = before < GZIP_INPUT_SLACK_BYTES ? before : GZIP_INPUT_SLACK_BYTES;
    const uint8_t *kept_from = input->next - kept;
    if (input->digested < kept_from) {
        gzip_input_digest(input, input->digested, (size_t)(kept_from - input->digested));
        input->digested = kept_from;
    }
    size_t undigested = (size_t)(input->next - input->digested);
    memmove(start - kept, kept_from, kept + input->length);
    input->next = start;
    input->digested = start - undigested;
}

int gzip_input_fill(struct gzip_input *input, size_t wanted, struct error *err)
{
    while (input->length < wanted && !input->is_at_eof) {
        compact(input);
        size_t room = BUFFER_BYTES - input->length;
        size_t piece = input->piece_bytes < wanted ? wanted : input->piece_bytes;
        uint8_t *end = input->buffer + GZIP_INPUT_SLACK_BYTES + input->length;
        ssize_t got = read_file(input, end, piece < room ? piece : room, err);
        if (got < 0)
            return -1;
        input->length += (size_t)got;
    }
    return 0;
}

const uint8_t *gzip_input_next(const struct gzip_input *input)
{
    return input->next;
}

size_t gzip_input_length(const struct gzip_input *input)
{
    return input->length;
}

void gzip_input_take(struct gzip_input *input, size_t length)
{
    assert(length <= input->length);
    input->next += length;
    input->length -= length;
}

void gzip_input_give_back(struct gzip_input *input, size_t length)
{
    assert(length <= (size_t)(input->next - input->digested));
    input->next -= length;
    input->length += length;
}

ssize_t gzip_input_move(struct gzip_input *input, void *out, size_t length, struct error *err)
{
    assert(input->digested == input->next);
    size_t done = length < input->length ? length : input->length;
    memcpy(out, input->next, done);
    gzip_input_take(input, done);
    input->digested = input->next;
    input->piece_bytes = LOOK_BYTES;
    while (done < length && !input->is_at_eof) {
        ssize_t got = read_file(input, (uint8_t *)out + done, length - done, err);
        if (got < 0)
            return -1;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

ssize_t gzip_input_read(struct gzip_input *input, void *out, size_t length, struct error *err)
{
    assert(input->length == 0);
    gzip_input_settle(input);
    ssize_t got = input->is_at_eof ? 0 : read_file(input, out, length, err);
    if (got > 0)
        gzip_input_digest(input, out, (size_t)got);
    return got;
}

void gzip_input_read_much(struct gzip_input *input)
{
    input->piece_bytes = BUFFER_BYTES;
}

void gzip_input_finish(struct gzip_input *input, struct digest *digest)
{
    gzip_input_settle(input);
    digester_finish(input->digester, digest);
}
