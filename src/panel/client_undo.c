/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoing the last restore.  As with a restore the server's state is compared and set first, then its
 * node is told, which alone knows whether it has kept what was replaced.
 */
#include "base/log.h"
#include "panel/internal.h"

/* Under the lock: the server as it is now. */
static int begin_in(struct client_call *call, struct db_session *session, enum api_error *refusal,
                    struct error *err)
{
    struct server server = {0};
    int64_t id = call->view->server.id;
    int found = server_find_by_id(session, id, &server, err);
    if (found > 0) {
        *refusal = client_state_error(&server, call->view->is_node_in_maintenance, call->operation,
                                      call->auth->is_root_admin);
        if (*refusal == API_ERROR_COUNT && server.status != SERVER_NORMAL)
            *refusal = API_ERROR_RESTORE_STATE;
    }
    server_free(&server);
    if (found == 0)
        *refusal = API_ERROR_NOT_FOUND;
    if (found < 0 || *refusal != API_ERROR_COUNT)
        return found < 0 ? -1 : 0;
    struct client_event event = {.name = "server:backup.restore-undo"};
    if (server_change_status(session, id, SERVER_NORMAL, SERVER_RESTORING_BACKUP, err) < 0 ||
        server_undo_begin(session, id, err) < 0)
        return -1;
    return client_record(call, session, &event, err);
}

static int begin(struct client_call *call, enum api_error *refusal, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    int done = begin_in(call, session, refusal, err);
    return client_finish(session, done, *refusal, err);
}

static int put_back_in(struct client_call *call, struct db_session *session,
                       const struct server_last_restore *last, struct error *err)
{
    int64_t id = call->view->server.id;
    struct server server = {0};
    int undoing = server_undo_find(session, id, err);
    int found = undoing <= 0 ? undoing : server_find_by_id(session, id, &server, err);
    bool is_restoring = found > 0 && server.status == SERVER_RESTORING_BACKUP;
    server_free(&server);
    struct client_event event = {.name = "server:backup.restore-undo-failed"};
    if (found <= 0)
        return found;
    if ((is_restoring && server_set_status(session, id, SERVER_NORMAL, err) < 0) ||
        server_undo_end(session, id, err) < 0 ||
        (last != NULL && server_restore_note(session, id, last, err) < 0))
        return -1;
    return client_record(call, session, &event, err);
}

/* The server is as it was, and so is what is known of its last restore (`last`; NULL: nothing). */
static void put_back(struct client_call *call, const struct server_last_restore *last)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(call->panel->db, &err);
    if (session != NULL)
        (void)client_finish(session, put_back_in(call, session, last, &err), API_ERROR_COUNT, &err);
    if (error_is_set(&err))
        log_error("a server stays in the state restoring_backup until its node was asked "
                  "server=%s reason='%s'",
                  call->view->server.uuid, err.text);
}

static bool dispatch(struct client_call *call, const struct node_link *link,
                     const struct server_last_restore *last)
{
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    const char *server = call->view->server.uuid;
    char order_id[UUID_TEXT_BYTES];
    uuid_make(order_id);
    if (node_api_undo(call->panel->nodes, &address, server, order_id, &outcome))
        return true;
    if (outcome.status == 0 && outcome.may_have_arrived)
        log_warning("an undo may or may not have been started; its node will tell server=%s",
                    server);
    else
        put_back(call, last);
    if (outcome.status == 404)
        client_refuse(call, last != NULL && last->is_successful && last->is_of_files
                                ? API_ERROR_NO_UNDO_OF_FILES
                                : API_ERROR_NO_UNDO);
    else
        client_refuse_outcome(call, &outcome);
    return false;
}

static void undo_with(struct client_call *call, const struct node_link *link)
{
    struct error err = ERROR_INIT;
    enum api_error refusal = API_ERROR_COUNT;
    struct server_last_restore last;
    begun_note(call->panel->begun, call->view->server.id, call->now_us);
    int known = server_restore_last(call->reader->session, call->view->server.id, &last, &err);
    if (known < 0 || begin(call, &refusal, &err) < 0) {
        client_fail(call, &err);
    } else if (refusal != API_ERROR_COUNT) {
        client_refuse(call, refusal);
    } else if (dispatch(call, link, known > 0 ? &last : NULL)) {
        log_info("undo of a restore started server=%s", call->view->server.uuid);
        http_reply_status(call->reply, call->dialect == DIALECT_EXTENDED ? 202 : 204);
    }
}

void client_restore_undo(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (call->view->server.status != SERVER_NORMAL)
        client_refuse(call, API_ERROR_RESTORE_STATE);
    else if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                            &err) < 0)
        client_fail(call, &err);
    else
        undo_with(call, &link);
    node_link_close(&link);
}
