/* SPDX-License-Identifier: Apache-2.0 */
/* What a node says about the undo of a restore.  It is about a server: the backup may be gone. */
#include <stdio.h>

#include "base/log.h"
#include "db/activity.h"
#include "panel/internal.h"

static int record(struct remote_call *call, struct db_session *session, int64_t server_id,
                  bool is_successful, struct error *err)
{
    scope_buf struct buf properties = BUF_INIT;
    panel_properties(&properties, NULL, NULL, false);
    struct activity activity = {
        .event = is_successful ? "server:backup.restore-undo-complete"
                               : "server:backup.restore-undo-failed",
        .ip = call->request->remote_address,
        .properties = properties.data,
        .server_id = server_id,
        .at_us = call->now_us,
    };
    return activity_insert(session, &activity, err);
}

/* 1 where something was written; 0 where nobody waits for this (any more); -1. */
static int end_undo(struct remote_call *call, struct db_session *session,
                    const struct server *server, const struct remote_restore_report *report,
                    struct error *err)
{
    int undoing = server_undo_find(session, server->id, err);
    if (undoing <= 0)
        return undoing;
    struct server_last_restore ended = {.is_undo = true,
                                        .is_successful = report->is_successful,
                                        .kept_until_us = report->kept_until_us};
    snprintf(ended.backup, sizeof(ended.backup), "%s", report->backup);
    if ((server->status == SERVER_RESTORING_BACKUP &&
         server_set_status(session, server->id, SERVER_NORMAL, err) < 0) ||
        server_undo_end(session, server->id, err) < 0 ||
        server_restore_note(session, server->id, &ended, err) < 0 ||
        record(call, session, server->id, report->is_successful, err) < 0)
        return -1;
    log_info("undo of a restore %s server=%s", report->is_successful ? "completed" : "failed",
             server->uuid);
    return 1;
}

void remote_undo_report(struct remote_call *call)
{
    struct error err = ERROR_INIT;
    struct remote_restore_report report;
    struct server server = {0};
    remote_api_read_restore_report(call->body, &report);
    struct db_session *session = db_begin(call->panel->db, &err);
    int found =
        session == NULL
            ? -1
            : remote_find_server(call, session, http_param(call->request, "server"), &server, &err);
    int done = found <= 0 ? found : end_undo(call, session, &server, &report, &err);
    if (session != NULL && done <= 0)
        db_rollback(session);
    else if (session != NULL)
        done = db_commit(session, &err);
    if (done < 0)
        remote_fail(call, &err);
    else if (found == 0)
        remote_refuse(call, API_ERROR_NOT_FOUND);
    else
        http_reply_status(call->reply, 204);
    server_free(&server);
}
