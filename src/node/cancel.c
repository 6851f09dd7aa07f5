/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling.  The journal decides between a cancel and the job's own success: whichever is recorded first.  After
 * that nothing can bring the job to succeed, so that a crash anywhere ends it just the same; the mark comes before
 * anything is stopped or removed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/node_api.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node_internal.h"

enum {
    STOP_WAIT_MS = 10 * 1000
};

int cancel_end(struct node *node, const struct journal_job *record, struct error *err)
{
    struct journal_report report = {.kind = record->kind};
    snprintf(report.server, sizeof(report.server), "%s", record->server);
    snprintf(report.backup, sizeof(report.backup), "%s", record->backup);
    snprintf(report.error, sizeof(report.error), "%s", JOB_CANCELLED_TEXT);
    if (record->kind != JOB_BACKUP)
        report.kept_until_us = journal_kept_until(node->journal, record->server);
    else if (place_discard_archive(&node->places, record->server, record->backup, err) < 0)
        return -1;
    return journal_end_job(node->journal, record->id, &report, NULL, NULL, err);
}

/* Those that wait end here, however long the queue is; those that run, in their thread. */
static void stop_jobs(struct node *node, struct queue_filter filter)
{
    struct job *job;
    struct error err = ERROR_INIT;
    while (!error_is_set(&err) && (job = queue_cancel(node->queue, filter)) != NULL) {
        if (cancel_end(node, &job->record, &err) == 0) {
            log_info("%s cancelled server=%s backup=%s", job_kind_name(job->record.kind),
                     job->record.server, job->record.backup);
            node_count_end(node, job, &(struct error){.code = ERROR_CANCELLED}, 0, 0);
            job_free(job);
        } else {
            log_error("a cancelled job ends when its turn comes backup=%s reason=%s",
                      job->record.backup, err.text);
            queue_add(node->queue, job);
        }
    }
    outbox_wake(node->outbox);
}

/*
 * Whether nothing here has ever heard of the backup: then its order was lost, and the panel would wait
 * for its end in vain.
 */
static int is_unknown(struct node *node, const char *server, const char *backup, struct error *err)
{
    struct journal_archive archive;
    struct error reason = ERROR_INIT;
    if (queue_has(node->queue, (struct queue_filter){.kind = JOB_BACKUP, .backup = backup}))
        return 0; /* another server's: its order and its report are not to be touched */
    scope_fd int fd = place_open_archive(&node->places, server, backup, &reason);
    int found = fd >= 0 || reason.code != ERROR_NOT_FOUND
                    ? 1
                    : journal_find_archive(node->journal, backup, &archive, err);
    if (found == 0)
        found = journal_is_void(node->journal, backup, err);
    if (found == 0)
        found = journal_has_report(node->journal, backup, err);
    return found < 0 ? -1 : found == 0;
}

static int report_unknown(struct node *node, const char *server, const char *backup,
                          struct error *err)
{
    struct journal_report report = {.kind = JOB_BACKUP};
    snprintf(report.server, sizeof(report.server), "%s", server);
    snprintf(report.backup, sizeof(report.backup), "%s", backup);
    snprintf(report.error, sizeof(report.error), "%s", JOB_CANCELLED_TEXT);
    if (journal_void_order(node->journal, &report, err) < 0)
        return -1;
    log_warning("a backup was cancelled whose order never came server=%s backup=%s", server,
                backup);
    outbox_wake(node->outbox);
    return 0;
}

static int cancel_backup_locked(struct node *node, const char *server, const char *backup,
                                struct error *err)
{
    int marked = journal_cancel_backup(node->journal, server, backup, err);
    if (marked < 0)
        return -1;
    if (marked > 0) {
        stop_jobs(node,
                  (struct queue_filter){.kind = JOB_BACKUP, .server = server, .backup = backup});
        return 0;
    }
    int unknown = is_unknown(node, server, backup, err);
    if (unknown > 0)
        return report_unknown(node, server, backup, err);
    return unknown < 0 ? -1 : error_set(err, ERROR_CONFLICT, "%s", NODE_ERROR_NO_BACKUP_JOB);
}

int cancel_backup(struct node *node, const char *server, const char *backup, struct error *err)
{
    pthread_mutex_lock(&node->accept);
    int result = cancel_backup_locked(node, server, backup, err);
    pthread_mutex_unlock(&node->accept);
    return result;
}

static void stop_restores(struct node *node, const char *server)
{
    stop_jobs(node, (struct queue_filter){.kind = JOB_RESTORE, .server = server});
    stop_jobs(node, (struct queue_filter){.kind = JOB_UNDO, .server = server});
}

int cancel_restore(struct node *node, const char *server, struct error *err)
{
    pthread_mutex_lock(&node->accept);
    int marked = journal_cancel_restore(node->journal, server, err);
    if (marked > 0)
        stop_restores(node, server);
    pthread_mutex_unlock(&node->accept);
    if (marked == 0)
        return error_set(err, ERROR_CONFLICT, "%s", NODE_ERROR_NO_RESTORE_JOB);
    return marked < 0 ? -1 : 0;
}

/* ---- servers that are gone ---- */

static int cancel_jobs_of(struct node *node, const char *server, struct error *err)
{
    pthread_mutex_lock(&node->accept);
    int marked = journal_cancel_all(node->journal, server, err);
    if (marked > 0) {
        stop_jobs(node, (struct queue_filter){.kind = JOB_BACKUP, .server = server});
        stop_restores(node, server);
        log_warning("jobs of a server that is gone are cancelled server=%s count=%d", server,
                    marked);
    }
    pthread_mutex_unlock(&node->accept);
    return marked < 0 ? -1 : 0;
}

static int wait_for_end(struct node *node, const char *server, struct error *err)
{
    static const enum job_kind kinds[] = {JOB_BACKUP, JOB_RESTORE, JOB_UNDO};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct queue_filter filter = {.kind = kinds[i], .server = server};
        if (!queue_wait_gone(node->queue, filter, STOP_WAIT_MS))
            return error_set(err, ERROR_UNAVAILABLE, "a %s of server %s is still being stopped",
                             job_kind_name(kinds[i]), server);
    }
    return 0;
}

int cancel_server(struct node *node, const char *server, struct error *err)
{
    struct error ignored = ERROR_INIT;
    /* Whether it is gone at the panel, too, or about to be; a torn restore gives up where it is. */
    (void)servers_sync(node->servers, server, &ignored);
    if (cancel_jobs_of(node, server, err) < 0 || wait_for_end(node, server, err) < 0 ||
        journal_drop_kept(node->journal, server, err) < 0)
        return -1;
    sweeper_wake(node);
    if (node->config.deletes_archives && accept_delete_all(node, server, err) < 0)
        return -1;
    log_info("a server is gone server=%s archives=%s", server,
             node->config.deletes_archives ? "deleted" : "kept");
    return 0;
}

struct server_names {
    char (*items)[UUID_TEXT_BYTES];
    size_t count;
};

/* Each once, where its jobs come one after the other; twice does no harm. */
static void collect_server(struct job *job, void *context)
{
    struct server_names *names = context;
    if (names->count > 0 && strcmp(names->items[names->count - 1], job->record.server) == 0)
        return;
    names->items = xreallocarray(names->items, names->count + 1, sizeof(*names->items));
    snprintf(names->items[names->count++], UUID_TEXT_BYTES, "%s", job->record.server);
}

void cancel_orphans(struct node *node)
{
    struct server_names names = {.items = NULL};
    queue_each(node->queue, collect_server, &names);
    for (size_t i = 0; i < names.count && !cancel_is_set(&node->cancel); i++) {
        struct error err = ERROR_INIT;
        /* The list lacks it, and asked for by itself the panel does not know it either. */
        if (servers_find(node->servers, names.items[i], NULL, &err) != 0)
            continue;
        if (cancel_jobs_of(node, names.items[i], &err) < 0)
            log_error("journal fails reason=%s", err.text);
    }
    free(names.items);
}
