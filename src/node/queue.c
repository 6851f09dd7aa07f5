/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue and its threads.  One list, in order of arrival, holds waiting and running jobs;
 * a job leaves it only after its run has returned, so that whoever sees it gone may touch its files.
 * Which one goes next is decided when it arrives: one turn after the last job of its server, whether that waits or has
 * begun, and not before the turn that is on.  So a newcomer waits for one job of each other server at most, and
 * nobody who comes again and again keeps others waiting.
 */
#include "node/queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"

/* When a server's last job began; of no interest once later turns are on. */
struct begun {
    char server[UUID_TEXT_BYTES];
    uint64_t turn;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    struct job *first;
    size_t count;
    uint64_t turn; /* the latest that a job of began */
    struct begun *begun;
    size_t begun_count;
    bool is_stopping;
    queue_run *run;
    void *context;
    unsigned thread_count;
    pthread_t *threads;
};

static bool matches(const struct job *job, const struct queue_filter *filter)
{
    const struct journal_job *record = &job->record;
    return record->kind == filter->kind &&
           (filter->server == NULL || strcmp(record->server, filter->server) == 0) &&
           (filter->backup == NULL || strcmp(record->backup, filter->backup) == 0);
}

/* By another job than `candidate`: one that runs, or that is to run again. */
static bool server_is_busy(const struct queue *queue, const struct job *candidate)
{
    const char *server = candidate->record.server;
    for (const struct job *job = queue->first; job != NULL; job = job->next)
        if (job != candidate && (job->is_running || job->again_at_us > 0) &&
            strcmp(job->record.server, server) == 0)
            return true;
    return false;
}

/* Where there is none, `*wait_ms` tells when to look again; 0: when something changes. */
static struct job *next_runnable(const struct queue *queue, int64_t *wait_ms)
{
    int64_t now_us = time_monotonic_us(), next_us = INT64_MAX;
    struct job *best = NULL;
    for (struct job *job = queue->first; job != NULL; job = job->next) {
        if (job->is_running || (best != NULL && best->turn <= job->turn) ||
            server_is_busy(queue, job))
            continue;
        if (job->again_at_us <= now_us)
            best = job;
        else if (job->again_at_us < next_us)
            next_us = job->again_at_us;
    }
    *wait_ms = next_us == INT64_MAX ? 0 : (next_us - now_us) / 1000 + 1;
    return best;
}

static struct job *wait_for_job(struct queue *queue)
{
    struct job *job = NULL;
    int64_t wait_ms;
    while (!queue->is_stopping && (job = next_runnable(queue, &wait_ms)) == NULL) {
        if (wait_ms > 0)
            thread_wait(&queue->has_changed, &queue->mutex, wait_ms);
        else
            pthread_cond_wait(&queue->has_changed, &queue->mutex);
    }
    return job;
}

static void unlink_job(struct queue *queue, struct job *job)
{
    struct job **link = &queue->first;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    queue->count--;
}

static struct begun *find_begun(const struct queue *queue, const char *server)
{
    for (size_t i = 0; i < queue->begun_count; i++)
        if (strcmp(queue->begun[i].server, server) == 0)
            return &queue->begun[i];
    return NULL;
}

static void note_begun(struct queue *queue, const struct job *job)
{
    if (job->turn > queue->turn)
        queue->turn = job->turn;
    size_t kept = 0;
    for (size_t i = 0; i < queue->begun_count; i++)
        if (queue->begun[i].turn >= queue->turn)
            queue->begun[kept++] = queue->begun[i];
    queue->begun_count = kept;
    if (job->turn < queue->turn)
        return;
    struct begun *begun = find_begun(queue, job->record.server);
    if (begun == NULL) {
        queue->begun = xreallocarray(queue->begun, kept + 1, sizeof(*queue->begun));
        begun = &queue->begun[queue->begun_count++];
        snprintf(begun->server, sizeof(begun->server), "%s", job->record.server);
    }
    begun->turn = job->turn;
}

static void *runner(void *argument)
{
    struct queue *queue = argument;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        struct job *job = wait_for_job(queue);
        if (queue->is_stopping)
            break;
        job->is_running = true;
        job->again_at_us = 0;
        note_begun(queue, job);
        pthread_mutex_unlock(&queue->mutex);
        unsigned again_ms = queue->run(job, queue->context);
        pthread_mutex_lock(&queue->mutex);
        if (again_ms > 0 && !atomic_load(&job->is_dropped)) {
            job->is_running = false;
            job->again_at_us = time_monotonic_us() + (int64_t)again_ms * 1000;
        } else {
            unlink_job(queue, job);
            job_free(job);
        }
        pthread_cond_broadcast(&queue->has_changed);
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

struct queue *queue_create(unsigned threads, queue_run *run, void *context)
{
    struct queue *queue = xcalloc(1, sizeof(*queue));
    pthread_mutex_init(&queue->mutex, NULL);
    thread_cond_init(&queue->has_changed);
    queue->run = run;
    queue->context = context;
    queue->thread_count = threads > 0 ? threads : 1;
    queue->threads = xcalloc(queue->thread_count, sizeof(*queue->threads));
    for (unsigned i = 0; i < queue->thread_count; i++)
        queue->threads[i] = thread_start("node-job", runner, queue);
    return queue;
}

bool queue_is_full(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool is_full = queue->count >= QUEUE_JOBS_MAX;
    pthread_mutex_unlock(&queue->mutex);
    return is_full;
}

void queue_add(struct queue *queue, struct job *job)
{
    pthread_mutex_lock(&queue->mutex);
    struct job **link = &queue->first;
    const struct begun *begun = find_begun(queue, job->record.server);
    job->turn = begun == NULL ? queue->turn : begun->turn + 1;
    for (; *link != NULL; link = &(*link)->next)
        if ((*link)->turn >= job->turn && strcmp((*link)->record.server, job->record.server) == 0)
            job->turn = (*link)->turn + 1;
    job->next = NULL;
    *link = job;
    queue->count++;
    pthread_cond_broadcast(&queue->has_changed);
    pthread_mutex_unlock(&queue->mutex);
}

enum wanted {
    UNSETTLED,
    ALL,
};

static const struct job *find_locked(const struct queue *queue, const struct queue_filter *filter,
                                     enum wanted wanted)
{
    for (const struct job *job = queue->first; job != NULL; job = job->next)
        if (matches(job, filter) && (wanted == ALL || !atomic_load(&job->is_settled)))
            return job;
    return NULL;
}

bool queue_has(struct queue *queue, struct queue_filter filter)
{
    pthread_mutex_lock(&queue->mutex);
    bool has = find_locked(queue, &filter, UNSETTLED) != NULL;
    pthread_mutex_unlock(&queue->mutex);
    return has;
}

void queue_each(struct queue *queue, void (*visit)(struct job *job, void *context), void *context)
{
    pthread_mutex_lock(&queue->mutex);
    for (struct job *job = queue->first; job != NULL; job = job->next)
        visit(job, context);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_drop(struct queue *queue, struct queue_filter filter)
{
    pthread_mutex_lock(&queue->mutex);
    struct job *next;
    for (struct job *job = queue->first; job != NULL; job = next) {
        next = job->next;
        if (!matches(job, &filter))
            continue;
        atomic_store(&job->is_dropped, true);
        cancel_set(&job->cancel);
        if (!job->is_running) {
            unlink_job(queue, job);
            job_free(job);
        }
    }
    pthread_cond_broadcast(&queue->has_changed);
    pthread_mutex_unlock(&queue->mutex);
}

struct job *queue_cancel(struct queue *queue, struct queue_filter filter)
{
    struct job *taken = NULL;
    pthread_mutex_lock(&queue->mutex);
    for (struct job *job = queue->first; job != NULL && taken == NULL; job = job->next) {
        if (!matches(job, &filter) || job->again_at_us > 0)
            continue;
        atomic_store(&job->is_cancelled, true);
        cancel_set(&job->cancel);
        if (!job->is_running)
            taken = job;
    }
    if (taken != NULL)
        unlink_job(queue, taken);
    pthread_cond_broadcast(&queue->has_changed);
    pthread_mutex_unlock(&queue->mutex);
    return taken;
}

bool queue_wait_gone(struct queue *queue, struct queue_filter filter, unsigned timeout_ms)
{
    int64_t deadline_us = time_monotonic_us() + (int64_t)timeout_ms * 1000;
    pthread_mutex_lock(&queue->mutex);
    bool is_there;
    while ((is_there = find_locked(queue, &filter, ALL) != NULL)) {
        int64_t left_ms = (deadline_us - time_monotonic_us()) / 1000;
        if (left_ms <= 0)
            break;
        thread_wait(&queue->has_changed, &queue->mutex, left_ms);
    }
    pthread_mutex_unlock(&queue->mutex);
    return !is_there;
}

bool queue_is_stopping(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool is_stopping = queue->is_stopping;
    pthread_mutex_unlock(&queue->mutex);
    return is_stopping;
}

void queue_stop(struct queue *queue)
{
    if (queue == NULL)
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->is_stopping = true;
    for (struct job *job = queue->first; job != NULL; job = job->next)
        cancel_set(&job->cancel);
    pthread_cond_broadcast(&queue->has_changed);
    pthread_mutex_unlock(&queue->mutex);
    for (unsigned i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    queue->thread_count = 0;
}

void queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    queue_stop(queue);
    while (queue->first != NULL) {
        struct job *job = queue->first;
        queue->first = job->next;
        job_free(job);
    }
    free(queue->begun);
    free(queue->threads);
    pthread_cond_destroy(&queue->has_changed);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}
