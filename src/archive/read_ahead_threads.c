/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that read, digest and inflate.  The first of them starts the others. */
#include <sched.h>

#include "archive/member.h"
#include "archive/read_ahead_internal.h"
#include "base/budget.h"
#include "base/mem.h"

static struct ahead_slot *slot_at(struct read_ahead *bytes, uint64_t number)
{
    return &bytes->slots[number % AHEAD_SLOTS];
}

static unsigned processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* ---- inflating ---- */

/* The next member to inflate; NULL: there will be none. */
static struct ahead_slot *claim(struct read_ahead *bytes)
{
    struct ahead_slot *slot = NULL;
    pthread_mutex_lock(&bytes->mutex);
    while (!bytes->watch.is_stopped && slot == NULL) {
        while (bytes->claimed < bytes->filled && slot_at(bytes, bytes->claimed)->is_ready)
            bytes->claimed++;
        if (bytes->claimed < bytes->filled) {
            slot = slot_at(bytes, bytes->claimed++);
        } else if (bytes->is_read) {
            break;
        } else {
            bytes->idle_count++;
            pthread_cond_wait(&bytes->has_filled, &bytes->mutex);
            bytes->idle_count--;
        }
    }
    pthread_mutex_unlock(&bytes->mutex);
    return slot;
}

static void *run_inflater(void *argument)
{
    struct read_ahead *bytes = argument;
    struct member_unpacker *unpacker = member_unpacker_create();
    struct ahead_slot *slot;
    while ((slot = claim(bytes)) != NULL) {
        ssize_t got =
            member_unpack(unpacker, slot->member, slot->member_length, slot->bytes, &slot->error);
        slot->length = got < 0 ? 0 : (size_t)got;
        budget_pace();
        pthread_mutex_lock(&bytes->mutex);
        slot->is_ready = true;
        pthread_cond_signal(&bytes->has_ready);
        pthread_mutex_unlock(&bytes->mutex);
    }
    member_unpacker_free(unpacker);
    return NULL;
}

/* ---- digesting ---- */

static void *run_digest(void *argument)
{
    struct read_ahead *bytes = argument;
    pthread_mutex_lock(&bytes->mutex);
    while (!bytes->watch.is_stopped && !(bytes->is_read && bytes->digested == bytes->filled)) {
        if (bytes->digested == bytes->filled) {
            pthread_cond_wait(&bytes->has_filled, &bytes->mutex);
            continue;
        }
        const struct ahead_slot *slot = slot_at(bytes, bytes->digested);
        pthread_mutex_unlock(&bytes->mutex);
        gzip_reader_digest_member(bytes->reader, slot->member, slot->member_length);
        budget_pace();
        pthread_mutex_lock(&bytes->mutex);
        bytes->digested++;
        pthread_cond_signal(&bytes->has_room);
    }
    pthread_mutex_unlock(&bytes->mutex);
    return NULL;
}

/* ---- reading ---- */

/* What the slowest of the caller and the digest has done with. */
static uint64_t used(const struct read_ahead *bytes)
{
    bool is_behind = bytes->has_digest_thread && bytes->digested < bytes->taken;
    return is_behind ? bytes->digested : bytes->taken;
}

/* The next slot to fill; NULL: nobody wants it any more. */
static struct ahead_slot *wait_for_room(struct read_ahead *bytes)
{
    pthread_mutex_lock(&bytes->mutex);
    uint64_t filled = bytes->filled;
    while (!bytes->watch.is_stopped &&
           (filled - used(bytes) == AHEAD_SLOTS || filled >= 2 * bytes->taken + AHEAD_FIRST_SLOTS))
        pthread_cond_wait(&bytes->has_room, &bytes->mutex);
    struct ahead_slot *slot = bytes->watch.is_stopped ? NULL : slot_at(bytes, filled);
    pthread_mutex_unlock(&bytes->mutex);
    if (slot != NULL && slot->bytes == NULL)
        slot->bytes = xmalloc(ARCHIVE_BLOCK_BYTES);
    return slot;
}

/* With the mutex held: threads for the member that was filled. */
static void start_threads(struct read_ahead *bytes)
{
    if (bytes->wants_digest && !bytes->has_digest_thread) {
        bytes->digested = bytes->filled;
        bytes->digest_thread = thread_start("archive-digest", run_digest, bytes);
        bytes->has_digest_thread = true;
    }
    if (bytes->idle_count == 0 && bytes->inflater_count < bytes->threads_max)
        bytes->inflaters[bytes->inflater_count++] =
            thread_start("archive-inflate", run_inflater, bytes);
}

static void submit(struct read_ahead *bytes, struct ahead_slot *slot, bool is_ready)
{
    pthread_mutex_lock(&bytes->mutex);
    slot->is_ready = is_ready;
    if (!is_ready)
        start_threads(bytes);
    bytes->filled++;
    pthread_cond_broadcast(&bytes->has_filled);
    if (is_ready)
        pthread_cond_signal(&bytes->has_ready);
    pthread_mutex_unlock(&bytes->mutex);
}

static int read_ours(struct read_ahead *bytes, struct ahead_slot *slot, struct error *err)
{
    if (slot->member == NULL)
        slot->member = xmalloc(MEMBER_MAX_BYTES);
    ssize_t got = gzip_reader_take_member(bytes->reader, slot->member, err);
    if (got < 0)
        return -1;
    slot->member_length = (size_t)got;
    submit(bytes, slot, false);
    return 1;
}

/* The digest takes bytes in their order: all members before come first.  False: stopped, and it may still be at one. */
static bool wait_for_digest(struct read_ahead *bytes)
{
    pthread_mutex_lock(&bytes->mutex);
    while (bytes->has_digest_thread && !bytes->watch.is_stopped && bytes->digested < bytes->filled)
        pthread_cond_wait(&bytes->has_room, &bytes->mutex);
    bool is_stopped = bytes->watch.is_stopped;
    pthread_mutex_unlock(&bytes->mutex);
    return !is_stopped;
}

static int read_others(struct read_ahead *bytes, struct ahead_slot *slot, struct error *err)
{
    if (!wait_for_digest(bytes))
        return error_set(err, ERROR_CANCELLED, "reading was stopped");
    ssize_t got = gzip_reader_read_others(bytes->reader, slot->bytes, ARCHIVE_BLOCK_BYTES, err);
    if (got < 0)
        return -1;
    int comes = got > 0 ? 1 : gzip_reader_at_member(bytes->reader, err);
    if (comes <= 0)
        return comes;
    slot->member_length = 0;
    slot->length = (size_t)got;
    submit(bytes, slot, true);
    return 1;
}

/* Fill one slot.  0: the end of the file. */
static int read_next(struct read_ahead *bytes, struct ahead_slot *slot, struct error *err)
{
    int comes = gzip_reader_at_member(bytes->reader, err);
    if (comes < 0)
        return -1;
    return comes > 0 ? read_ours(bytes, slot, err) : read_others(bytes, slot, err);
}

static void *run_reader(void *argument)
{
    struct read_ahead *bytes = argument;
    struct error err = ERROR_INIT;
    struct ahead_slot *slot;
    int result = 0;
    while ((slot = wait_for_room(bytes)) != NULL) {
        error_clear(&slot->error);
        result = read_next(bytes, slot, &err);
        budget_pace();
        if (result <= 0)
            break;
    }
    bool is_whole = slot != NULL && result == 0;
    if (is_whole)
        (void)wait_for_digest(bytes);
    pthread_mutex_lock(&bytes->mutex);
    if (is_whole && bytes->wants_digest && !bytes->watch.is_stopped)
        gzip_reader_digest(bytes->reader, &bytes->digest);
    bytes->error = err;
    bytes->is_read = bytes->is_ended = true;
    pthread_cond_broadcast(&bytes->has_filled);
    pthread_cond_broadcast(&bytes->has_ready);
    pthread_mutex_unlock(&bytes->mutex);
    return NULL;
}

void read_ahead_start(struct read_ahead *bytes)
{
    if (bytes->threads_max == 0)
        bytes->threads_max = processors();
    if (bytes->threads_max > AHEAD_THREADS_MAX)
        bytes->threads_max = AHEAD_THREADS_MAX;
    bytes->read_thread = thread_start("archive-read", run_reader, bytes);
}

void read_ahead_stop(struct read_ahead *bytes)
{
    pthread_mutex_lock(&bytes->mutex);
    bytes->watch.is_stopped = true;
    pthread_cond_broadcast(&bytes->has_filled);
    pthread_cond_broadcast(&bytes->has_room);
    pthread_mutex_unlock(&bytes->mutex);
    pthread_join(bytes->read_thread, NULL);
    if (bytes->has_digest_thread)
        pthread_join(bytes->digest_thread, NULL);
    for (unsigned i = 0; i < bytes->inflater_count; i++)
        pthread_join(bytes->inflaters[i], NULL);
}
