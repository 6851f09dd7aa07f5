/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of the ring; the threads are in read_ahead_threads.c. */
#include "archive/read_ahead.h"

#include "archive/read_ahead_internal.h"
#include "base/mem.h"

struct read_ahead *read_ahead_create(int fd, const struct archive_read_options *options)
{
    struct read_ahead *bytes = xcalloc(1, sizeof(*bytes));
    pthread_mutex_init(&bytes->mutex, NULL);
    thread_cond_init(&bytes->has_filled);
    thread_cond_init(&bytes->has_ready);
    thread_cond_init(&bytes->has_room);
    bytes->wants_digest = (options->flags & ARCHIVE_WITH_DIGEST) != 0;
    bytes->threads_max = options->threads;
    bytes->limit_bytes = options->limit_tar_bytes;
    bytes->cancel = options->cancel;
    bytes->reader = gzip_reader_create(fd, options, &bytes->watch);
    read_ahead_start(bytes);
    return bytes;
}

void read_ahead_free(struct read_ahead *bytes)
{
    if (bytes == NULL)
        return;
    read_ahead_stop(bytes);
    gzip_reader_free(bytes->reader);
    for (size_t i = 0; i < AHEAD_SLOTS; i++) {
        free(bytes->slots[i].member);
        free(bytes->slots[i].bytes);
    }
    pthread_cond_destroy(&bytes->has_filled);
    pthread_cond_destroy(&bytes->has_ready);
    pthread_cond_destroy(&bytes->has_room);
    pthread_mutex_destroy(&bytes->mutex);
    free(bytes);
}

/* With the mutex held: give back the slot that is used up. */
static void give_back(struct read_ahead *bytes)
{
    if (!bytes->has_slot)
        return;
    bytes->has_slot = false;
    bytes->taken++;
    pthread_cond_signal(&bytes->has_room);
}

/* With the mutex held: the next slot, ready; NULL: there is none. */
static const struct ahead_slot *wait_for_slot(struct read_ahead *bytes)
{
    for (;;) {
        const struct ahead_slot *slot = &bytes->slots[bytes->taken % AHEAD_SLOTS];
        if (bytes->taken < bytes->filled && slot->is_ready)
            return slot;
        if (bytes->taken == bytes->filled && bytes->is_ended)
            return NULL;
        pthread_cond_wait(&bytes->has_ready, &bytes->mutex);
    }
}

/* Use a slot, or find out why not. */
static int use_slot(struct read_ahead *bytes, const struct ahead_slot *slot, struct error *err)
{
    const struct error *found = slot == NULL ? &bytes->error : &slot->error;
    if (error_is_set(found)) {
        *err = *found;
        return -1;
    }
    if (slot == NULL) {
        bytes->is_over = true;
        return 0;
    }
    bytes->tar_bytes += slot->length;
    if (bytes->limit_bytes != 0 && bytes->tar_bytes > bytes->limit_bytes)
        return error_set(err, ERROR_LIMIT, "the archive inflates to more than %llu bytes",
                         (unsigned long long)bytes->limit_bytes);
    bytes->next = slot->bytes;
    bytes->left = slot->length;
    bytes->has_slot = true;
    return 0;
}

/* Give back the slot that is used up, and get the next with something in it. */
static int next_slot(struct read_ahead *bytes, struct error *err)
{
    do {
        if (cancel_is_set(bytes->cancel))
            return error_set(err, ERROR_CANCELLED, "reading was cancelled");
        pthread_mutex_lock(&bytes->mutex);
        give_back(bytes);
        const struct ahead_slot *slot = wait_for_slot(bytes);
        pthread_mutex_unlock(&bytes->mutex);
        if (use_slot(bytes, slot, err) < 0)
            return -1;
    } while (bytes->has_slot && bytes->left == 0);
    return 0;
}

ssize_t read_ahead_peek(struct read_ahead *bytes, const uint8_t **at, struct error *err)
{
    if (bytes->left == 0 && next_slot(bytes, err) < 0)
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
    return bytes->is_over && bytes->wants_digest ? &bytes->digest : NULL;
}

uint64_t read_ahead_position(const struct read_ahead *bytes)
{
    return atomic_load_explicit(&bytes->watch.position, memory_order_relaxed);
}
