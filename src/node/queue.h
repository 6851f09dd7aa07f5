/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_QUEUE_H
#define NODE_QUEUE_H

#include "node/job.h"

/*
 * Jobs wait for their turn: at most so many at once, and one at a time for each server.  Servers take turns: one that
 * has many waiting lets every other one go between two of them.  Within a turn, and of one server, the order is
 * that of arrival.  Thread-safe.
 */
struct queue;

enum {
    QUEUE_JOBS_MAX = 10000
};

/*
 * What `run` answers: the job has ended, and is freed; or it is to be run again after so many milliseconds, without
 * a thread, but with its server, until then.
 */
enum {
    QUEUE_ENDED = 0
};
typedef unsigned queue_run(struct job *job, void *context);

struct queue *queue_create(unsigned threads, queue_run *run, void *context);

bool queue_is_full(struct queue *queue);
void queue_add(struct queue *queue, struct job *job); /* takes the job */

/* Which jobs: of a kind, of a server or (NULL) of any, of a backup or (NULL) of any. */
struct queue_filter {
    enum job_kind kind;
    const char *server;
    const char *backup;
};
/* Whether there is such a job that is not settled yet. */
bool queue_has(struct queue *queue, struct queue_filter filter);

/* Calls `visit` for each job, oldest first, with the queue locked: short, and no call back into it. */
void queue_each(struct queue *queue, void (*visit)(struct job *job, void *context), void *context);

/* Drops jobs: those that wait are gone at once, those that run are told to stop.  Nothing is reported. */
void queue_drop(struct queue *queue, struct queue_filter filter);

/*
 * Cancels jobs that the journal says are cancelled: those that run are told to stop, and will be reported.  One that
 * waits is taken out and returned, for the caller to end and free: call again until NULL.  What waits to be run again is
 * let be.
 */
struct job *queue_cancel(struct queue *queue, struct queue_filter filter);

/* False where such a job, settled or not, is still there after `timeout_ms`. */
bool queue_wait_gone(struct queue *queue, struct queue_filter filter, unsigned timeout_ms);

bool queue_is_stopping(struct queue *queue);

/* Ends what runs at its next step and waits for it; others may still look into the queue.  May be called twice. */
void queue_stop(struct queue *queue);

/* Stops, and frees what waits (the journal keeps it) and the queue itself.  NULL is fine. */
void queue_free(struct queue *queue);

#endif
