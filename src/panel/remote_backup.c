/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes say about backups.  A report that is sent again, because its answer was lost, is
 * answered as the first time: daemons delete a good archive over a 400.  A failure, also one that
 * the panel concluded from silence, may still become a success; a success is final.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "db/activity.h"
#include "panel/internal.h"

static int record(struct remote_call *call, struct db_session *session, const char *event,
                  const struct backup *backup, struct error *err)
{
    scope_buf struct buf properties = BUF_INIT;
    panel_properties(&properties, backup->name, NULL, false);
    struct activity activity = {
        .event = event,
        .ip = call->request->remote_address,
        .properties = properties.data,
        .server_id = backup->server_id,
        .backup_id = backup->id,
        .at_us = call->now_us,
    };
    return activity_insert(session, &activity, err);
}

/* ---- a change of one backup, in a transaction ---- */

/* Fills `refusal` or leaves it at API_ERROR_COUNT; 1 where something was written, 0, or -1. */
typedef int change(struct remote_call *call, struct db_session *session,
                   const struct backup *backup, const void *argument, enum api_error *refusal,
                   struct error *err);

static int change_in(struct remote_call *call, struct db_session *session, change *apply,
                     const void *argument, enum api_error *refusal, struct error *err)
{
    struct backup backup = {0};
    struct server server = {0};
    int done = remote_find_backup(call, session, &backup, &server, refusal, err);
    if (done == 0 && *refusal == API_ERROR_COUNT)
        done = apply(call, session, &backup, argument, refusal, err);
    backup_free(&backup);
    server_free(&server);
    return done;
}

/* 204, unless something is refused. */
static void change_backup(struct remote_call *call, change *apply, const void *argument)
{
    struct error err = ERROR_INIT;
    enum api_error refusal = API_ERROR_COUNT;
    struct db_session *session = db_begin(call->panel->db, &err);
    int done = session == NULL ? -1 : change_in(call, session, apply, argument, &refusal, &err);
    if (session != NULL && done <= 0)
        db_rollback(session);
    else if (session != NULL)
        done = db_commit(session, &err);
    if (done < 0)
        remote_fail(call, &err);
    else if (refusal != API_ERROR_COUNT)
        remote_refuse(call, refusal);
    else
        http_reply_status(call->reply, 204);
}

/* ---- completion ---- */

enum {
    CHECKSUM_BYTES = 160
};

static bool is_same_report(const struct backup *backup, const struct remote_report *report,
                           const char *checksum)
{
    return report->is_successful && backup->bytes == report->size_bytes &&
           backup->checksum != NULL && strcmp(backup->checksum, checksum) == 0;
}

static int complete(struct remote_call *call, struct db_session *session,
                    const struct backup *backup, const void *argument, enum api_error *refusal,
                    struct error *err)
{
    const struct remote_report *report = argument;
    char checksum[CHECKSUM_BYTES];
    snprintf(checksum, sizeof(checksum), "%s:%s", report->checksum_type, report->checksum);
    if (backup->is_successful) {
        if (!is_same_report(backup, report, checksum))
            *refusal = API_ERROR_REMOTE_ALREADY;
        return 0;
    }
    bool is_failed_already = backup->completed_at_us != 0;
    if (is_failed_already && !report->is_successful)
        return 0;
    /* Without object storage nothing can have been uploaded; such a row is another panel's. */
    if (report->is_successful && strcmp(backup->disk, "s3") == 0) {
        *refusal = API_ERROR_REMOTE_NO_UPLOAD;
        return 0;
    }
    struct backup_outcome outcome = {
        .is_successful = report->is_successful,
        .checksum = report->is_successful ? checksum : NULL,
        .bytes = report->is_successful ? report->size_bytes : 0,
    };
    if (backup_complete(session, backup->id, &outcome, err) < 0 ||
        record(call, session,
               report->is_successful ? "server:backup.complete" : "server:backup.fail", backup,
               err) < 0)
        return -1;
    log_info("backup %s backup=%s bytes=%" PRIu64, report->is_successful ? "completed" : "failed",
             backup->uuid, outcome.bytes);
    return 1;
}

void remote_backup_report(struct remote_call *call)
{
    struct remote_report report;
    struct api_violations violations = {0};
    remote_api_read_report(call->body, &report, &violations);
    if (violations.count > 0)
        api_violations_reply(call->reply, &violations);
    else
        change_backup(call, complete, &report);
}

/* ---- heartbeat ---- */

/* Nodes say often how far they are; the lease is written only when a quarter of it is gone. */
static bool is_lease_fresh(const struct remote_call *call, const struct backup *backup)
{
    int64_t lease_us = (int64_t)call->panel->config.lease_s * 1000000;
    return backup->lease_until_us - call->now_us > lease_us / 4 * 3;
}

static int extend(struct remote_call *call, struct db_session *session, const struct backup *backup,
                  const void *argument, enum api_error *refusal, struct error *err)
{
    if (backup->completed_at_us != 0)
        return 0;
    int64_t until_us = call->now_us + (int64_t)call->panel->config.lease_s * 1000000;
    return backup_extend_lease(session, backup->id, until_us, err) < 0 ? -1 : 1;
}

/* 1: answered.  0: the lease must be extended.  -1. */
static int note_progress(struct remote_call *call, struct error *err)
{
    struct backup backup = {0};
    struct server server = {0};
    struct remote_progress said;
    enum api_error refusal = API_ERROR_COUNT;
    struct db_session *session = db_reader(call->panel->db, err);
    if (session == NULL || remote_find_backup(call, session, &backup, &server, &refusal, err) < 0)
        return -1;
    bool is_mine = refusal == API_ERROR_COUNT;
    if (is_mine && backup.completed_at_us == 0) {
        remote_api_read_progress(call->body, &said);
        progress_note(call->panel->progress, backup.id,
                      &(struct backup_progress){.is_waiting = said.is_waiting,
                                                .entries = said.entries,
                                                .content_bytes = said.content_bytes,
                                                .expected_bytes = said.expected_bytes},
                      time_monotonic_us());
    }
    bool is_done = is_mine && (backup.completed_at_us != 0 || is_lease_fresh(call, &backup));
    backup_free(&backup);
    server_free(&server);
    if (is_done)
        http_reply_status(call->reply, 204);
    return is_done;
}

void remote_backup_heartbeat(struct remote_call *call)
{
    struct error err = ERROR_INIT;
    int noted = note_progress(call, &err);
    if (noted < 0)
        remote_fail(call, &err);
    else if (noted == 0)
        change_backup(call, extend, NULL);
}

/* ---- restore ---- */

/*
 * Whether the server's state stands for a restore of this backup.  A restore without a row was
 * begun by another panel.
 */
static int is_restoring(struct db_session *session, const struct backup *backup, bool *is_it,
                        struct server_restore *row, struct error *err)
{
    struct server server = {0};
    *row = (struct server_restore){.backup_id = 0};
    int found = server_find_by_id(session, backup->server_id, &server, err);
    int rows = found < 0 ? -1 : server_restore_find(session, backup->server_id, row, err);
    int undoing = rows < 0 ? -1 : server_undo_find(session, backup->server_id, err);
    bool has_state = found > 0 && server.status == SERVER_RESTORING_BACKUP;
    server_free(&server);
    if (undoing < 0)
        return -1;
    *is_it = has_state && undoing == 0 && (rows == 0 || row->backup_id == backup->id);
    return 0;
}

static int end_restore(struct remote_call *call, struct db_session *session,
                       const struct backup *backup, const void *argument, enum api_error *refusal,
                       struct error *err)
{
    const struct remote_restore_report *report = argument;
    bool is_it;
    struct server_restore row;
    if (is_restoring(session, backup, &is_it, &row, err) < 0)
        return -1;
    bool has_row = row.backup_id == backup->id;
    if (!is_it && !has_row)
        return 0;
    if (is_it && server_set_status(session, backup->server_id, SERVER_NORMAL, err) < 0)
        return -1;
    if (has_row && server_restore_end(session, backup->server_id, err) < 0)
        return -1;
    struct server_last_restore ended = {.is_successful = report->is_successful,
                                        .is_of_files = has_row && row.is_of_files,
                                        .kept_until_us = report->kept_until_us};
    snprintf(ended.backup, sizeof(ended.backup), "%s", backup->uuid);
    snprintf(ended.error, sizeof(ended.error), "%s", report->error);
    if (server_restore_note(session, backup->server_id, &ended, err) < 0)
        return -1;
    log_info("restore %s backup=%s", report->is_successful ? "completed" : "failed", backup->uuid);
    const char *event =
        report->is_successful ? "server:backup.restore-complete" : "server:backup.restore-failed";
    return record(call, session, event, backup, err) < 0 ? -1 : 1;
}

void remote_restore_report(struct remote_call *call)
{
    struct remote_restore_report report;
    remote_api_read_restore_report(call->body, &report);
    change_backup(call, end_restore, &report);
}

/* ---- upload URLs ---- */

static enum api_error upload_error(const struct backup *backup)
{
    return backup->completed_at_us != 0 ? API_ERROR_REMOTE_COMPLETED : API_ERROR_REMOTE_NOT_S3;
}

void remote_upload_urls(struct remote_call *call)
{
    const char *size = http_query(call->request, "size");
    uint64_t size_bytes;
    if (size == NULL || !text_to_u64(size, 1, INT64_MAX, &size_bytes)) {
        remote_refuse(call, API_ERROR_REMOTE_NO_SIZE);
        return;
    }
    struct error err = ERROR_INIT;
    struct backup backup = {0};
    struct server server = {0};
    enum api_error refusal;
    struct db_session *session = db_reader(call->panel->db, &err);
    if (session == NULL || remote_find_backup(call, session, &backup, &server, &refusal, &err) < 0)
        remote_fail(call, &err);
    else
        remote_refuse(call, refusal != API_ERROR_COUNT ? refusal : upload_error(&backup));
    backup_free(&backup);
    server_free(&server);
}
