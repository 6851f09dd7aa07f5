/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_READ_AHEAD_INTERNAL_H
#define ARCHIVE_READ_AHEAD_INTERNAL_H

#include "archive/gzip_reader.h"
#include "archive/read_ahead.h"

/*
 * A ring of slots, in the order of the file.  Counters walk round it, each of them behind `filled`:
 *
 *     taken    <= filled <= taken + AHEAD_SLOTS    what the caller has used
 *     claimed  <= filled                           what the inflating threads have looked at
 *     digested <= filled <= digested + AHEAD_SLOTS
 *
 * A slot is filled with a member as it stands in the file, and is ready when that is inflated; or
 * with bytes of the tar, and is ready at once.  The mutex guards the counters, is_ready and the
 * ends; what is in a slot belongs to the thread whose turn it is.
 */
enum {
    AHEAD_SLOTS = 6, /* of 2 MiB each */
    AHEAD_FIRST_SLOTS = 2,
    AHEAD_THREADS_MAX = 4,
};

struct ahead_slot {
    uint8_t *member; /* MEMBER_MAX_BYTES; NULL: not used yet */
    size_t member_length;
    uint8_t *bytes; /* ARCHIVE_BLOCK_BYTES; NULL: not used yet */
    size_t length;
    bool is_ready;
    struct error error; /* instead of bytes */
};

struct read_ahead {
    pthread_mutex_t mutex;
    pthread_cond_t has_filled; /* something for the threads that inflate and digest */
    pthread_cond_t has_ready;  /* something for the caller */
    pthread_cond_t has_room;   /* something for the thread that reads */
    struct ahead_slot slots[AHEAD_SLOTS];
    uint64_t filled, claimed, digested, taken;
    bool is_read;       /* no slot will be filled any more, */
    bool is_ended;      /* and the digest is there */
    struct error error; /* what ended it, or ERROR_NONE */
    struct digest digest;

    struct gzip_reader_watch watch;
    struct gzip_reader *reader;
    bool wants_digest;
    unsigned threads_max;
    unsigned idle_count; /* inflating threads that wait */
    pthread_t read_thread;
    pthread_t digest_thread;
    bool has_digest_thread;
    pthread_t inflaters[AHEAD_THREADS_MAX]; /* these are started by read_thread */
    unsigned inflater_count;

    /* The caller's own. */
    const struct cancel *cancel;
    uint64_t limit_bytes;
    uint64_t tar_bytes;
    const uint8_t *next; /* what is left of the slot that it uses */
    size_t left;
    bool has_slot;
    uint64_t taken_bytes; /* of the tar */
    bool is_over;         /* it saw the end, and everything was right */
};

void read_ahead_start(struct read_ahead *bytes);
void read_ahead_stop(struct read_ahead *bytes); /* and waits for the threads */

#endif
