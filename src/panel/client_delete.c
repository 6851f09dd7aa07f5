/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting: first the node's file, then the row, so that no file is left that nobody knows of.  A
 * node that cannot be reached leaves the row where it is; one that has no such file is content.
 * While the node is asked the row is marked, under the writer's lock: a lock that was answered holds, and
 * no restore begins of what is about to go.
 */
#include "base/log.h"
#include "base/time.h"
#include "panel/internal.h"

static enum api_error delete_error(const struct client_call *call, const struct backup *backup)
{
    if (backup->is_locked && backup->is_successful && backup->completed_at_us != 0)
        return API_ERROR_BACKUP_LOCKED;
    return panel_lease_lives(call->panel, backup, time_now_us()) ? API_ERROR_DELETE_RUNNING
                                                                 : API_ERROR_COUNT;
}

enum {
    NODE_TAKES_AT_MOST_S = 60 /* the mark of a panel that died ends by itself */
};

/* Under the lock: the backup and the server as they are now. */
static int begin_in(struct client_call *call, struct db_session *session, enum api_error *refusal,
                    struct error *err)
{
    struct server server = {0};
    struct backup backup = {0};
    int64_t until_us = call->now_us + NODE_TAKES_AT_MOST_S * INT64_C(1000000);
    int found = server_find_by_id(session, call->view->server.id, &server, err);
    if (found > 0)
        found = backup_find_by_id(session, call->backup.id, &backup, err);
    if (found == 0)
        *refusal = API_ERROR_NOT_FOUND;
    if (found > 0)
        *refusal = client_state_error(&server, call->view->is_node_in_maintenance, call->operation,
                                      call->auth->is_root_admin);
    if (found > 0 && *refusal == API_ERROR_COUNT)
        *refusal = delete_error(call, &backup);
    server_free(&server);
    backup_free(&backup);
    if (found < 0 || *refusal != API_ERROR_COUNT)
        return found < 0 ? -1 : 0;
    return backup_lease_deletion(session, call->backup.id, until_us, err);
}

static int begin(struct client_call *call, enum api_error *refusal, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    int done = begin_in(call, session, refusal, err);
    return client_finish(session, done, *refusal, err);
}

static void put_back(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(call->panel->db, &err);
    if (session != NULL)
        (void)client_finish(session, backup_lease_deletion(session, call->backup.id, 0, &err),
                            API_ERROR_COUNT, &err);
    if (error_is_set(&err))
        log_warning("a backup stays marked for a minute backup=%s reason='%s'", call->backup.uuid,
                    err.text);
}

static int forget_in(struct client_call *call, struct db_session *session, struct error *err)
{
    struct client_event event = {"server:backup.delete", &call->backup, "failed",
                                 !call->backup.is_successful};
    if (client_record(call, session, &event, err) < 0)
        return -1;
    return backup_delete(session, call->backup.id, err);
}

/* Deleted twice at once is deleted: the second finds no row, which is what it wanted. */
static int forget(struct client_call *call, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    if (forget_in(call, session, err) < 0) {
        db_rollback(session);
        if (err->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(err);
        return 0;
    }
    return db_commit(session, err);
}

static void delete_with(struct client_call *call, const struct node_link *link)
{
    struct error err = ERROR_INIT;
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    enum api_error refusal = API_ERROR_COUNT;
    if (begin(call, &refusal, &err) < 0) {
        client_fail(call, &err);
    } else if (refusal != API_ERROR_COUNT) {
        client_refuse(call, refusal);
    } else if (!node_api_delete(call->panel->nodes, &address, call->view->server.uuid,
                                call->backup.uuid, &outcome)) {
        put_back(call);
        client_refuse_outcome(call, &outcome);
    } else if (forget(call, &err) < 0) {
        client_fail(call, &err);
    } else {
        log_info("backup deleted server=%s backup=%s", call->view->server.uuid, call->backup.uuid);
        http_reply_status(call->reply, 204);
    }
}

void client_backup_delete(struct client_call *call)
{
    enum api_error refusal = delete_error(call, &call->backup);
    if (refusal != API_ERROR_COUNT) {
        client_refuse(call, refusal);
        return;
    }
    if (strcmp(call->backup.disk, "wings") != 0) {
        api_error_reply(call->reply, call->dialect, API_ERROR_BAD_REQUEST,
                        "The backup requested references an unknown disk driver type and cannot "
                        "be deleted.");
        return;
    }
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                       &err) < 0)
        client_fail(call, &err);
    else
        delete_with(call, &link);
    node_link_close(&link);
}
