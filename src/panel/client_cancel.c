/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling.  Nothing changes here but for the activity log: whether a job was in time is the node's journal to
 * say, and what became of it is the report's, as of any that fails.
 */
#include "base/log.h"
#include "panel/internal.h"

static int record_in(struct client_call *call, const struct client_event *event, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    return client_finish(session, client_record(call, session, event, err), API_ERROR_COUNT, err);
}

/* The order is on the node's disk: a log that cannot be written does not make it undone. */
static void accepted(struct client_call *call, const struct client_event *event)
{
    struct error err = ERROR_INIT;
    if (record_in(call, event, &err) < 0)
        log_error("the activity log lacks '%s' server=%s reason='%s'", event->name,
                  call->view->server.uuid, err.text);
    http_reply_status(call->reply, call->dialect == DIALECT_EXTENDED ? 202 : 204);
}

/* `late`: the answer where the node has nothing (any more) to cancel. */
static void refused(struct client_call *call, const struct node_outcome *outcome,
                    enum api_error late)
{
    if (outcome->status == 409)
        client_refuse(call, late);
    else if (outcome->status == 404 || outcome->status == 405 || outcome->status == 501)
        client_refuse(call, API_ERROR_CANCEL_UNKNOWN);
    else
        client_refuse_outcome(call, outcome);
}

static void cancel_backup(struct client_call *call, const struct node_link *link)
{
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    struct client_event event = {.name = "server:backup.cancel", .backup = &call->backup};
    if (!node_api_cancel_backup(call->panel->nodes, &address, call->view->server.uuid,
                                call->backup.uuid, &outcome)) {
        refused(call, &outcome, API_ERROR_CANCEL_ENDED);
        return;
    }
    log_info("backup cancelled server=%s backup=%s", call->view->server.uuid, call->backup.uuid);
    accepted(call, &event);
}

void client_backup_cancel(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (call->backup.completed_at_us != 0)
        client_refuse(call, API_ERROR_CANCEL_ENDED);
    else if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                            &err) < 0)
        client_fail(call, &err);
    else
        cancel_backup(call, &link);
    node_link_close(&link);
}

/* The backup that is being restored, for the log; id 0 where nobody knows, as of an undo. */
static int find_restored(struct client_call *call, struct backup *backup, struct error *err)
{
    struct server_restore restore;
    struct db_session *session = call->reader->session;
    int found = server_restore_find(session, call->view->server.id, &restore, err);
    return found <= 0 ? found : backup_find_by_id(session, restore.backup_id, backup, err);
}

static void cancel_restore(struct client_call *call, const struct node_link *link)
{
    struct error err = ERROR_INIT;
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    struct backup backup = {0};
    if (find_restored(call, &backup, &err) < 0) {
        client_fail(call, &err);
        return;
    }
    struct client_event event = {.name = "server:backup.restore-cancel",
                                 .backup = backup.id != 0 ? &backup : NULL};
    if (node_api_cancel_restore(call->panel->nodes, &address, call->view->server.uuid, &outcome)) {
        log_info("restore cancelled server=%s", call->view->server.uuid);
        accepted(call, &event);
    } else {
        refused(call, &outcome, API_ERROR_CANCEL_LATE);
    }
    backup_free(&backup);
}

void client_restore_cancel(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (call->view->server.status != SERVER_RESTORING_BACKUP)
        client_refuse(call, API_ERROR_CANCEL_NO_RESTORE);
    else if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                            &err) < 0)
        client_fail(call, &err);
    else
        cancel_restore(call, &link);
    node_link_close(&link);
}
