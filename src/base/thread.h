/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Threads with small stacks and a name that `top -H` shows (at most 15 characters), in the budget (budget.h) and
 * with the priorities of whoever starts them.  Aborts where the system has none.
 */
pthread_t thread_start(const char *name, void *(*run)(void *), void *argument);

/*
 * A pool: a fixed number of threads that run tasks first come first served.
 * Thread-safe.
 */
struct pool;
struct pool *pool_create(const char *name, unsigned threads, size_t queue_max);

/* LIMIT where `queue_max` tasks wait already; the task then did not and will not run. */
int pool_submit(struct pool *pool, void (*run)(void *argument), void *argument, struct error *err);

/* Lets queued tasks run, waits for them and ends the threads. */
void pool_free(struct pool *pool);

/* Monotonic waiting: false when `timeout_ms` went by first.  `mutex` is held as with pthread_cond_wait. */
bool thread_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_ms);

/* A condition variable that thread_wait() understands (CLOCK_MONOTONIC). */
void thread_cond_init(pthread_cond_t *cond);

/* A wish to stop that several threads may look at. */
struct cancel {
    _Atomic(bool) is_cancelled;
};

static inline bool cancel_is_set(const struct cancel *cancel)
{
    return cancel != NULL && atomic_load_explicit(&cancel->is_cancelled, memory_order_relaxed);
}

static inline void cancel_set(struct cancel *cancel)
{
    atomic_store(&cancel->is_cancelled, true);
}

#endif
