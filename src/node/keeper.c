/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: one thread for what comes round.  Once the panel can be reached it learns the servers; it
 * keeps the leases of backups alive that wait or run; it lets the journal forget what has expired.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "node/node_internal.h"

enum {
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 60 * 1000,
    REFRESH_MS = 10 * 60 * 1000,
    RESET_RETRY_MS = 1000,
    TIDY_MS = 60 * 60 * 1000,
};

/* When things are due next, on the monotonic clock. */
struct schedule {
    int64_t servers_us, reset_us, heartbeat_us, tidy_us;
    int64_t retry_ms;
    bool has_reset;
};

static int64_t in_ms(int64_t ms)
{
    return time_monotonic_us() + ms * 1000;
}

/*
 * Whether every restore that this node knows of has ended and been told to the panel.  Whatever waits there
 * for a restore then waits in vain: its order or its journal was lost.
 */
static bool knows_no_restore(struct node *node)
{
    struct error err = ERROR_INIT;
    int64_t reports = 1;
    return !node_is_restoring(node, NULL) &&
           journal_count_reports(node->journal, JOB_RESTORE, &reports, &err) == 0 && reports == 0 &&
           journal_count_reports(node->journal, JOB_UNDO, &reports, &err) == 0 && reports == 0;
}

static int send_reset(struct node *node, struct error *err)
{
    size_t size = REMOTE_RESET_BACKUPS_MAX + 1;
    scope_free char(*backups)[UUID_TEXT_BYTES] = xcalloc(size, sizeof(*backups));
    int count = journal_pending_backups(node->journal, backups, size, err);
    if (count < 0)
        return -1;
    /* A list that is not whole would let the panel give up what we are about to make. */
    if (count > REMOTE_RESET_BACKUPS_MAX)
        return remote_api_reset_servers(node->remote, NULL, 0, err);
    return remote_api_reset_servers(node->remote, (const char(*)[UUID_TEXT_BYTES])backups,
                                    (size_t)count, err);
}

/* Once in the node's life, as upstream's node does on its start. */
static void reset_servers(struct node *node, struct schedule *schedule)
{
    struct error err = ERROR_INIT;
    if (!knows_no_restore(node) || (send_reset(node, &err) < 0 && err.code == ERROR_UNAVAILABLE)) {
        schedule->reset_us = in_ms(RESET_RETRY_MS);
        return;
    }
    if (error_is_set(&err))
        log_warning("panel refuses the reset of servers reason=%s", err.text);
    schedule->has_reset = true;
}

static void refresh_servers(struct node *node, struct schedule *schedule)
{
    struct error err = ERROR_INIT;
    if (servers_refresh(node->servers, &err) == 0) {
        schedule->retry_ms = RETRY_MIN_MS;
        schedule->servers_us = in_ms(REFRESH_MS);
        kept_drop_orphans(node);
        cancel_orphans(node);
        return;
    }
    log_warning("panel does not answer next_in_ms=%" PRId64 " reason=%s", schedule->retry_ms,
                err.text);
    schedule->servers_us = in_ms(schedule->retry_ms);
    schedule->retry_ms =
        schedule->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : schedule->retry_ms * 2;
}

struct beat {
    char backup[UUID_TEXT_BYTES];
    struct remote_progress progress;
};
struct beats {
    struct beat *items;
    size_t count;
};

static void collect_beat(struct job *job, void *context)
{
    struct beats *beats = context;
    if (job->record.kind != JOB_BACKUP || job->has_no_heartbeat)
        return;
    beats->items = xreallocarray(beats->items, beats->count + 1, sizeof(*beats->items));
    struct beat *beat = &beats->items[beats->count++];
    snprintf(beat->backup, sizeof(beat->backup), "%s", job->record.backup);
    beat->progress.is_waiting = !job->is_running;
    beat->progress.entries = atomic_load(&job->progress.entries);
    beat->progress.content_bytes = atomic_load(&job->progress.content_bytes);
    beat->progress.expected_bytes = atomic_load(&job->expected_bytes);
}

static void stop_beat(struct job *job, void *context)
{
    if (job->record.kind == JOB_BACKUP && strcmp(job->record.backup, context) == 0)
        job->has_no_heartbeat = true;
}

/* One for each backup that waits or runs.  A panel that does not know them is not asked again for that job. */
static void send_heartbeats(struct node *node)
{
    struct beats beats = {.items = NULL};
    queue_each(node->queue, collect_beat, &beats);
    for (size_t i = 0; i < beats.count && !cancel_is_set(&node->cancel); i++) {
        struct beat *beat = &beats.items[i];
        struct error err = ERROR_INIT;
        if (remote_api_heartbeat(node->remote, beat->backup, &beat->progress, &err) == 0)
            continue;
        log_debug("heartbeat failed backup=%s reason=%s", beat->backup, err.text);
        if (err.code == ERROR_UNAVAILABLE)
            break;
        queue_each(node->queue, stop_beat, beat->backup);
    }
    free(beats.items);
}

static void tidy(struct node *node)
{
    struct error err = ERROR_INIT;
    if (journal_tidy(node->journal, time_now_us() / 1000000, &err) < 0)
        log_error("journal fails reason=%s", err.text);
}

static void do_what_is_due(struct node *node, struct schedule *schedule, bool is_connected)
{
    int64_t now_us = time_monotonic_us();
    if (is_connected && now_us >= schedule->servers_us)
        refresh_servers(node, schedule);
    if (is_connected && !schedule->has_reset && now_us >= schedule->reset_us)
        reset_servers(node, schedule);
    if (is_connected && now_us >= schedule->heartbeat_us) {
        send_heartbeats(node);
        schedule->heartbeat_us = in_ms((int64_t)node->config.heartbeat_s * 1000);
    }
    if (now_us >= schedule->tidy_us) {
        tidy(node);
        schedule->tidy_us = in_ms(TIDY_MS);
    }
}

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static int64_t ms_until_due(const struct schedule *schedule, bool is_connected)
{
    int64_t next_us = schedule->tidy_us;
    if (is_connected) {
        next_us = earlier(next_us, schedule->servers_us);
        next_us = earlier(next_us, schedule->heartbeat_us);
        if (!schedule->has_reset)
            next_us = earlier(next_us, schedule->reset_us);
    }
    int64_t left_ms = (next_us - time_monotonic_us()) / 1000 + 1;
    return left_ms < 1 ? 1 : left_ms;
}

void *keeper_run(void *argument)
{
    struct node *node = argument;
    struct schedule schedule = {.retry_ms = RETRY_MIN_MS};
    pthread_mutex_lock(&node->mutex);
    while (!node->is_stopping) {
        bool is_connected = node->is_connected;
        if (node->has_reported)
            schedule.reset_us = 0;
        node->has_reported = false;
        pthread_mutex_unlock(&node->mutex);
        do_what_is_due(node, &schedule, is_connected);
        pthread_mutex_lock(&node->mutex);
        if (!node->is_stopping && !node->has_reported && node->is_connected == is_connected)
            thread_wait(&node->has_changed, &node->mutex, ms_until_due(&schedule, is_connected));
    }
    pthread_mutex_unlock(&node->mutex);
    return NULL;
}

void keeper_wake(struct node *node)
{
    pthread_mutex_lock(&node->mutex);
    node->has_reported = true;
    pthread_cond_broadcast(&node->has_changed);
    pthread_mutex_unlock(&node->mutex);
}
