/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and a pool of them. */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/budget.h"
#include "base/mem.h"

enum {
    STACK_BYTES = 512 * 1024
};

struct task {
    void (*run)(void *argument);
    void *argument;
    struct task *next;
};

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct task *first, *last;
    size_t queued, queue_max;
    bool is_closing;
    unsigned thread_count;
    pthread_t *threads;
};

/* What a thread begins with. */
struct beginning {
    void *(*run)(void *argument);
    void *argument;
    struct budget *budget;
};

static void *begin(void *argument)
{
    struct beginning beginning = *(struct beginning *)argument;
    free(argument);
    budget_enter(beginning.budget);
    return beginning.run(beginning.argument);
}

pthread_t thread_start(const char *name, void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /* Signals belong to the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    struct beginning *beginning = xcalloc(1, sizeof(*beginning));
    *beginning = (struct beginning){run, argument, budget_current()};
    if (pthread_create(&thread, &attributes, begin, beginning) != 0) {
        fputs("roost: cannot start a thread\n", stderr);
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    char short_name[16];
    snprintf(short_name, sizeof(short_name), "%s", name);
    pthread_setname_np(thread, short_name);
    return thread;
}

void thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool thread_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + timeout_ms % 1000 * 1000000;
    until.tv_sec += timeout_ms / 1000 + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    return pthread_cond_timedwait(cond, mutex, &until) == 0;
}

static struct task *take(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->first == NULL && !pool->is_closing)
        pthread_cond_wait(&pool->has_work, &pool->mutex);
    struct task *task = pool->first;
    if (task != NULL) {
        pool->first = task->next;
        if (pool->first == NULL)
            pool->last = NULL;
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->mutex);
    return task;
}

static void *work(void *argument)
{
    struct pool *pool = argument;
    struct task *task;
    while ((task = take(pool)) != NULL) {
        task->run(task->argument);
        free(task);
    }
    return NULL;
}

struct pool *pool_create(const char *name, unsigned threads, size_t queue_max)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->has_work, NULL);
    pool->queue_max = queue_max;
    pool->thread_count = threads;
    pool->threads = xcalloc(threads, sizeof(*pool->threads));
    for (unsigned i = 0; i < threads; i++)
        pool->threads[i] = thread_start(name, work, pool);
    return pool;
}

int pool_submit(struct pool *pool, void (*run)(void *argument), void *argument, struct error *err)
{
    pthread_mutex_lock(&pool->mutex);
    if (pool->queued >= pool->queue_max || pool->is_closing) {
        pthread_mutex_unlock(&pool->mutex);
        return error_set(err, ERROR_LIMIT, "%zu tasks are waiting already", pool->queue_max);
    }
    struct task *task = xcalloc(1, sizeof(*task));
    task->run = run;
    task->argument = argument;
    if (pool->last == NULL)
        pool->first = task;
    else
        pool->last->next = task;
    pool->last = task;
    pool->queued++;
    pthread_cond_signal(&pool->has_work);
    pthread_mutex_unlock(&pool->mutex);
    return 0;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->is_closing = true;
    pthread_cond_broadcast(&pool->has_work);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->has_work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}
