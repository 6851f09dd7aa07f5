/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of blocks between the thread that inflates and the one that uses the bytes.
 *
 *     taken <= filled <= taken + BLOCKS
 *
 * The mutex guards the counters and the end; a block belongs to the reader's thread until it is
 * filled, and then to the caller until it is taken.
 */
#include "archive/read_ahead.h"

#include "archive/gzip_reader.h"
#include "base/budget.h"
#include "base/mem.h"

enum {
    BLOCKS = 4,
    BLOCK_BYTES = 1 << 20,
};

struct ahead_block {
    uint8_t *bytes; /* BLOCK_BYTES; NULL: not used yet */
    size_t length;
};

struct read_ahead {
    pthread_mutex_t mutex;
    pthread_cond_t has_filled;
    pthread_cond_t has_taken;
    struct ahead_block blocks[BLOCKS];
    uint64_t filled, taken;
    bool is_ended;      /* no block will be filled any more */
    struct error error; /* what ended it, or ERROR_NONE */
    struct digest digest;
    bool has_digest;

    struct gzip_reader_watch watch;
    struct gzip_reader *reader;
    bool wants_digest;
    const struct cancel *cancel;
    pthread_t thread;

    /* The caller's own: what is left of the block that it uses. */
    const uint8_t *next;
    size_t left;
    bool has_block;
    uint64_t taken_bytes; /* of the tar */
};

/* The next block to fill; NULL: nobody wants it any more. */
static struct ahead_block *wait_for_room(struct read_ahead *bytes)
{
    pthread_mutex_lock(&bytes->mutex);
    while (!bytes->watch.is_stopped && bytes->filled - bytes->taken == BLOCKS)
        pthread_cond_wait(&bytes->has_taken, &bytes->mutex);
    struct ahead_block *block =
        bytes->watch.is_stopped ? NULL : &bytes->blocks[bytes->filled % BLOCKS];
    pthread_mutex_unlock(&bytes->mutex);
    return block;
}

static void *run(void *argument)
{
    struct read_ahead *bytes = argument;
    struct error err = ERROR_INIT;
    ssize_t got = 0;
    struct ahead_block *block;
    while ((block = wait_for_room(bytes)) != NULL) {
        if (block->bytes == NULL)
            block->bytes = xmalloc(BLOCK_BYTES);
        got = gzip_reader_read(bytes->reader, block->bytes, BLOCK_BYTES, &err);
        if (got <= 0)
            break;
        block->length = (size_t)got;
        budget_pace();
        pthread_mutex_lock(&bytes->mutex);
        bytes->filled++;
        pthread_cond_signal(&bytes->has_filled);
        pthread_mutex_unlock(&bytes->mutex);
    }
    pthread_mutex_lock(&bytes->mutex);
    if (block != NULL && got == 0 && bytes->wants_digest) {
        gzip_reader_digest(bytes->reader, &bytes->digest);
        bytes->has_digest = true;
    }
    bytes->error = err;
    bytes->is_ended = true;
    pthread_cond_signal(&bytes->has_filled);
    pthread_mutex_unlock(&bytes->mutex);
    return NULL;
}

struct read_ahead *read_ahead_create(int fd, const struct archive_read_options *options)
{
    struct read_ahead *bytes = xcalloc(1, sizeof(*bytes));
    pthread_mutex_init(&bytes->mutex, NULL);
    thread_cond_init(&bytes->has_filled);
    thread_cond_init(&bytes->has_taken);
    bytes->wants_digest = (options->flags & ARCHIVE_WITH_DIGEST) != 0;
    bytes->cancel = options->cancel;
    bytes->reader = gzip_reader_create(fd, options, &bytes->watch);
    bytes->thread = thread_start("archive-read", run, bytes);
    return bytes;
}

void read_ahead_free(struct read_ahead *bytes)
{
    if (bytes == NULL)
        return;
    pthread_mutex_lock(&bytes->mutex);
    bytes->watch.is_stopped = true;
    pthread_cond_signal(&bytes->has_taken);
    pthread_mutex_unlock(&bytes->mutex);
    pthread_join(bytes->thread, NULL);
    gzip_reader_free(bytes->reader);
    for (size_t i = 0; i < BLOCKS; i++)
        free(bytes->blocks[i].bytes);
    pthread_cond_destroy(&bytes->has_filled);
    pthread_cond_destroy(&bytes->has_taken);
    pthread_mutex_destroy(&bytes->mutex);
    free(bytes);
}

/* Give back the block that is used up, and get the next. */
static int next_block(struct read_ahead *bytes, struct error *err)
{
    if (cancel_is_set(bytes->cancel))
        return error_set(err, ERROR_CANCELLED, "reading was cancelled");
    pthread_mutex_lock(&bytes->mutex);
    if (bytes->has_block) {
        bytes->has_block = false;
        bytes->taken++;
        pthread_cond_signal(&bytes->has_taken);
    }
    while (bytes->taken == bytes->filled && !bytes->is_ended)
        pthread_cond_wait(&bytes->has_filled, &bytes->mutex);
    if (bytes->taken < bytes->filled) {
        const struct ahead_block *block = &bytes->blocks[bytes->taken % BLOCKS];
        bytes->next = block->bytes;
        bytes->left = block->length;
        bytes->has_block = true;
    }
    pthread_mutex_unlock(&bytes->mutex);
    if (bytes->has_block || !error_is_set(&bytes->error))
        return 0;
    *err = bytes->error;
    return -1;
}

ssize_t read_ahead_peek(struct read_ahead *bytes, const uint8_t **at, struct error *err)
{
    if (bytes->left == 0 && next_block(bytes, err) < 0)
        return -1;
    *at = bytes->next;
    return (ssize_t)bytes->left;
}

void read_ahead_take(struct read_ahead *bytes, size_t length)
{
    bytes->next += length;
    bytes->left -= length;
    bytes->taken_bytes += length;
}

/* As peek, but there must be something. */
static int need(struct read_ahead *bytes, uint64_t wanted, const uint8_t **at, size_t *length,
                struct error *err)
{
    ssize_t got = read_ahead_peek(bytes, at, err);
    if (got < 0)
        return -1;
    if (got == 0)
        return error_set(err, ERROR_CORRUPT, "the archive ends in the middle");
    *length = (uint64_t)got < wanted ? (size_t)got : (size_t)wanted;
    return 0;
}

int read_ahead_copy(struct read_ahead *bytes, void *out, size_t length, struct error *err)
{
    const uint8_t *at;
    size_t part = 0;
    for (uint8_t *next = out; length > 0; next += part, length -= part) {
        if (need(bytes, length, &at, &part, err) < 0)
            return -1;
        memcpy(next, at, part);
        read_ahead_take(bytes, part);
    }
    return 0;
}

int read_ahead_append(struct read_ahead *bytes, struct buf *out, size_t length, struct error *err)
{
    const uint8_t *at;
    size_t part = 0;
    for (; length > 0; length -= part) {
        if (need(bytes, length, &at, &part, err) < 0)
            return -1;
        buf_add(out, at, part);
        read_ahead_take(bytes, part);
    }
    return 0;
}

int read_ahead_skip(struct read_ahead *bytes, uint64_t length, struct error *err)
{
    const uint8_t *at;
    size_t part = 0;
    for (; length > 0; length -= part) {
        if (need(bytes, length, &at, &part, err) < 0)
            return -1;
        read_ahead_take(bytes, part);
    }
    return 0;
}

uint64_t read_ahead_taken(const struct read_ahead *bytes)
{
    return bytes->taken_bytes;
}

const struct digest *read_ahead_digest(const struct read_ahead *bytes)
{
    return bytes->has_digest ? &bytes->digest : NULL;
}

uint64_t read_ahead_position(const struct read_ahead *bytes)
{
    return atomic_load_explicit(&bytes->watch.position, memory_order_relaxed);
}
