/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders.  Looking for a duplicate, writing the journal and putting the job into the queue are one step under
 * the accept lock; whoever answers 202 after it has a promise on disk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/node_api.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node_internal.h"

enum {
    STOP_WAIT_MS = 10 * 1000,
    SPARE_BYTES = 1 << 20, /* what the smallest backup and the journal need */
};

static int add_job(struct node *node, enum job_kind kind, const char *server, const char *backup,
                   const char *order, const char *order_id, struct error *err)
{
    if (queue_is_full(node->queue))
        return error_set(err, ERROR_UNAVAILABLE, "%d jobs wait already", QUEUE_JOBS_MAX);
    struct journal_job record = {.kind = kind, .phase = JOB_QUEUED, .order = xstrdup(order)};
    snprintf(record.server, sizeof(record.server), "%s", server);
    snprintf(record.backup, sizeof(record.backup), "%s", backup);
    snprintf(record.order_id, sizeof(record.order_id), "%s", order_id);
    struct job *job = NULL;
    if (journal_add_job(node->journal, &record, err) == 0)
        job = job_from_record(&record, err);
    journal_job_clear(&record);
    if (job == NULL)
        return -1;
    queue_add(node->queue, job);
    return 0;
}

/* The backup was made already: the panel asks because it does not know.  1: told again.  0: there is none. */
static int report_again(struct node *node, const char *server, const char *backup,
                        struct error *err)
{
    struct journal_archive archive;
    int found = journal_find_archive(node->journal, backup, &archive, err);
    if (found <= 0)
        return found;
    if (strcmp(archive.server, server) != 0)
        return error_set(err, ERROR_CONFLICT, "backup %s is another server's", backup);
    struct error reason = ERROR_INIT;
    scope_fd int fd = place_open_archive(&node->places, server, backup, &reason);
    if (fd < 0)
        return 0;
    struct journal_report report = {
        .kind = JOB_BACKUP, .is_successful = true, .size_bytes = archive.size_bytes};
    snprintf(report.server, sizeof(report.server), "%s", server);
    snprintf(report.backup, sizeof(report.backup), "%s", backup);
    snprintf(report.checksum, sizeof(report.checksum), "%s", archive.checksum);
    snprintf(report.checksum_type, sizeof(report.checksum_type), "%s", archive.checksum_type);
    if (journal_add_report(node->journal, &report, err) < 0)
        return -1;
    outbox_wake(node->outbox);
    return 1;
}

/* The newest archive of the server says best how large the next one will be. */
static int check_space(struct node *node, const char *server, struct error *err)
{
    struct journal_newest newest;
    uint64_t free_bytes, total_bytes;
    if (journal_find_newest(node->journal, server, &newest, err) < 0 ||
        directory_free_space(node->places.backups_fd, &free_bytes, &total_bytes, err) < 0)
        return -1;
    if (free_bytes >= newest.archive_bytes + SPARE_BYTES)
        return 0;
    return error_set(err, ERROR_NO_SPACE,
                     "%" PRIu64 " bytes are free where backups are kept, and the server's newest"
                     " one has %" PRIu64,
                     free_bytes, newest.archive_bytes);
}

static int accept_backup_locked(struct node *node, const char *server, const char *backup,
                                struct slice ignore, struct error *err)
{
    struct queue_filter same = {.kind = JOB_BACKUP, .server = server, .backup = backup};
    if (queue_has(node->queue, same))
        return 0;
    same.server = NULL;
    if (queue_has(node->queue, same))
        return error_set(err, ERROR_CONFLICT, "backup %s is another server's", backup);
    int is_void = journal_is_void(node->journal, backup, err);
    if (is_void != 0)
        return is_void < 0 ? -1 : error_set(err, ERROR_CONFLICT, "backup %s was cancelled", backup);
    int told = report_again(node, server, backup, err);
    if (told != 0)
        return told < 0 ? -1 : 0;
    if (check_space(node, server, err) < 0)
        return -1;
    scope_buf struct buf order = BUF_INIT;
    job_write_backup_order(&order, ignore);
    return add_job(node, JOB_BACKUP, server, backup, order.data, "", err);
}

int accept_backup(struct node *node, const char *server, const char *backup, struct slice ignore,
                  struct error *err)
{
    pthread_mutex_lock(&node->accept);
    int result = accept_backup_locked(node, server, backup, ignore, err);
    pthread_mutex_unlock(&node->accept);
    return result;
}

bool node_is_restoring(struct node *node, const char *server)
{
    return queue_has(node->queue, (struct queue_filter){.kind = JOB_RESTORE, .server = server}) ||
           queue_has(node->queue, (struct queue_filter){.kind = JOB_UNDO, .server = server});
}

static int refuse_second(const char *server, struct error *err)
{
    return error_set(err, ERROR_CONFLICT, "a restore of server %s runs already", server);
}

/* 1: this very order was carried out, or is being, or was cancelled.  0: it is new, or says no id. */
static int came_before(struct node *node, const char *order_id, const char *server,
                       struct error *err)
{
    int came = order_id[0] == '\0' ? 0 : journal_is_void(node->journal, order_id, err);
    if (came > 0)
        log_warning("an order came twice and is carried out once server=%s order=%s", server,
                    order_id);
    return came;
}

static int accept_restore_locked(struct node *node, const char *server, const char *backup,
                                 const struct node_restore_order *wanted, struct error *err)
{
    scope_buf struct buf order = BUF_INIT;
    job_write_restore_order(&order, wanted);
    int came = came_before(node, wanted->id, server, err);
    if (came != 0)
        return came < 0 ? -1 : 0;
    if (node_is_restoring(node, server))
        return refuse_second(server, err);
    return add_job(node, JOB_RESTORE, server, backup, order.data, wanted->id, err);
}

int accept_restore(struct node *node, const char *server, const char *backup,
                   const struct node_restore_order *wanted, struct error *err)
{
    scope_fd int fd = place_open_archive(&node->places, server, backup, err);
    if (fd < 0)
        return -1;
    pthread_mutex_lock(&node->accept);
    int result = accept_restore_locked(node, server, backup, wanted, err);
    pthread_mutex_unlock(&node->accept);
    return result;
}

static int accept_undo_locked(struct node *node, const char *server, const char *order_id,
                              struct error *err)
{
    struct journal_kept kept;
    int came = came_before(node, order_id, server, err);
    if (came != 0)
        return came < 0 ? -1 : 0;
    if (node_is_restoring(node, server))
        return refuse_second(server, err);
    int found = journal_find_kept(node->journal, server, &kept, err);
    if (found == 0)
        return error_set(err, ERROR_NOT_FOUND, "nothing is kept of server %s", server);
    if (found < 0)
        return -1;
    int result = add_job(node, JOB_UNDO, server, kept.backup, "{}", order_id, err);
    journal_kept_clear(&kept);
    return result;
}

int accept_undo(struct node *node, const char *server, const char *order_id, struct error *err)
{
    pthread_mutex_lock(&node->accept);
    int result = accept_undo_locked(node, server, order_id, err);
    pthread_mutex_unlock(&node->accept);
    return result;
}

/* Stop backups of a server, or one of them; they are gone when this returns 0. */
static int stop_backups(struct node *node, const char *server, const char *backup,
                        struct error *err)
{
    struct queue_filter filter = {.kind = JOB_BACKUP, .server = server, .backup = backup};
    queue_drop(node->queue, filter);
    if (!queue_wait_gone(node->queue, filter, STOP_WAIT_MS))
        return error_set(err, ERROR_UNAVAILABLE, "a backup of server %s is still being stopped",
                         server);
    return 0;
}

int accept_delete(struct node *node, const char *server, const char *backup, struct error *err)
{
    struct queue_filter restoring = {.kind = JOB_RESTORE, .server = server, .backup = backup};
    if (queue_has(node->queue, restoring))
        return error_set(err, ERROR_CONFLICT, "backup %s is being restored", backup);
    struct queue_filter running = {.kind = JOB_BACKUP, .server = server, .backup = backup};
    bool was_running = queue_has(node->queue, running);
    if (stop_backups(node, server, backup, err) < 0)
        return -1;
    struct error reason = ERROR_INIT;
    int removed = place_remove_archive(&node->places, server, backup, &reason);
    if (removed < 0 && reason.code != ERROR_NOT_FOUND) {
        *err = reason;
        return -1;
    }
    if (journal_forget(node->journal, server, backup, err) < 0)
        return -1;
    log_info("backup deleted server=%s backup=%s%s", server, backup,
             was_running ? " state=running" : "");
    if (removed < 0 && !was_running) {
        *err = reason;
        return -1;
    }
    return 0;
}

int accept_delete_all(struct node *node, const char *server, struct error *err)
{
    if (stop_backups(node, server, NULL, err) < 0)
        return -1;
    /* Under the accept lock no backup begins meanwhile in the directory that goes. */
    pthread_mutex_lock(&node->accept);
    int result = queue_has(node->queue, (struct queue_filter){.kind = JOB_BACKUP, .server = server})
                     ? error_set(err, ERROR_UNAVAILABLE, "a backup of server %s has begun", server)
                     : place_remove_archives(&node->places, server, err);
    if (result == 0)
        result = journal_forget(node->journal, server, NULL, err);
    pthread_mutex_unlock(&node->accept);
    if (result == 0)
        log_info("backups deleted server=%s", server);
    return result;
}
