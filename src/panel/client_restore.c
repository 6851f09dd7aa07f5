/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring.  The server's state is compared and set in the transaction that notes which backup it
 * is, so that there is one restore per server; then the node is told.  A node that refused, or was
 * not reached, leaves the server as it was.  Where the answer was lost the state stays: the node
 * may be at it, and its report, its next start, or its answer to settler.c ends the state.
 */
#include <inttypes.h>

#include "base/log.h"
#include "crypt/digest.h"
#include "db/activity.h"
#include "panel/internal.h"

static enum api_error restore_error(const struct server *server, const struct backup *backup)
{
    if (server->status != SERVER_NORMAL)
        return API_ERROR_RESTORE_STATE;
    if (backup->completed_at_us == 0)
        return API_ERROR_RESTORE_NOT_COMPLETED;
    return backup->is_successful ? API_ERROR_COUNT : API_ERROR_RESTORE_FAILED;
}

/* Under the lock: the backup and the server as they are now. */
static int begin_in(struct client_call *call, struct db_session *session,
                    const struct client_restore *wanted, enum api_error *refusal, struct error *err)
{
    struct server server = {0};
    struct backup backup = {0};
    int has_server = server_find_by_id(session, call->view->server.id, &server, err);
    int has_backup =
        has_server < 0 ? -1 : backup_find_by_id(session, call->backup.id, &backup, err);
    if (has_server == 0 || has_backup == 0)
        *refusal = API_ERROR_NOT_FOUND;
    if (has_server > 0 && has_backup > 0) {
        *refusal = client_state_error(&server, call->view->is_node_in_maintenance, call->operation,
                                      call->auth->is_root_admin);
        if (*refusal == API_ERROR_COUNT)
            *refusal = restore_error(&server, &backup);
    }
    server_free(&server);
    backup_free(&backup);
    if (has_server < 0 || has_backup < 0)
        return -1;
    bool is_going = false;
    if (*refusal == API_ERROR_COUNT &&
        backup_is_being_deleted(session, call->backup.id, call->now_us, &is_going, err) < 0)
        return -1;
    if (is_going)
        *refusal = API_ERROR_BACKUP_DELETING;
    if (*refusal != API_ERROR_COUNT)
        return 0;
    struct client_event event = {"server:backup.restore", &call->backup, "truncate",
                                 wanted->truncate};
    struct server_restore restore = {.backup_id = call->backup.id,
                                     .is_of_files = wanted->files != NULL};
    if (server_change_status(session, call->view->server.id, SERVER_NORMAL, SERVER_RESTORING_BACKUP,
                             err) < 0 ||
        server_restore_begin(session, call->view->server.id, &restore, err) < 0)
        return -1;
    return client_record(call, session, &event, err);
}

static int begin(struct client_call *call, const struct client_restore *wanted,
                 enum api_error *refusal, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    int done = begin_in(call, session, wanted, refusal, err);
    return client_finish(session, done, *refusal, err);
}

static int put_back_in(struct client_call *call, struct db_session *session, struct error *err)
{
    int64_t server_id = call->view->server.id;
    struct server_restore restore;
    int found = server_restore_find(session, server_id, &restore, err);
    if (found < 0)
        return -1;
    if (found == 0 || restore.backup_id != call->backup.id)
        return 0;
    struct server server = {0};
    found = server_find_by_id(session, server_id, &server, err);
    bool is_restoring = found > 0 && server.status == SERVER_RESTORING_BACKUP;
    server_free(&server);
    struct client_event event = {.name = "server:backup.restore-failed", .backup = &call->backup};
    if (found < 0 ||
        (is_restoring && server_set_status(session, server_id, SERVER_NORMAL, err) < 0) ||
        server_restore_end(session, server_id, err) < 0)
        return -1;
    return client_record(call, session, &event, err);
}

static void put_back(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(call->panel->db, &err);
    if (session != NULL)
        (void)client_finish(session, put_back_in(call, session, &err), API_ERROR_COUNT, &err);
    if (error_is_set(&err))
        log_error("a server stays in the state restoring_backup until its node was asked "
                  "server=%s reason='%s'",
                  call->view->server.uuid, err.text);
}

/* What a node could check; foreign panels' rows may hold other things. */
static void set_checksum(const struct backup *backup, struct node_restore_order *order)
{
    char type_name[17];
    const char *colon = backup->checksum == NULL ? NULL : strchr(backup->checksum, ':');
    if (colon == NULL || (size_t)(colon - backup->checksum) >= sizeof(type_name))
        return;
    snprintf(type_name, sizeof(type_name), "%.*s", (int)(colon - backup->checksum),
             backup->checksum);
    enum digest_type type;
    struct digest digest;
    if (digest_type_parse(type_name, &type) && digest_parse(type, colon + 1, &digest))
        snprintf(order->checksum, sizeof(order->checksum), "%s", backup->checksum);
}

/* The backup's own list as lines; what is no JSON array, in a foreign panel's row, is an empty one. */
static void add_lines(struct buf *lines, const char *ignored_files)
{
    struct error ignored = ERROR_INIT;
    scope_json json_t *list =
        ignored_files == NULL ? NULL : json_read(slice_str(ignored_files), &ignored);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *line = json_array_get(list, i);
        if (json_is_string(line))
            buf_printf(lines, "%s\n", json_string_value(line));
    }
}

static bool dispatch(struct client_call *call, const struct node_link *link,
                     const struct client_restore *restore)
{
    scope_buf struct buf ignore = BUF_INIT;
    if (restore->has_ignored)
        buf_add(&ignore, restore->ignored.data, restore->ignored.length);
    else if (restore->leaves_ignored)
        add_lines(&ignore, call->backup.ignored_files);
    struct node_restore_order order = {
        .adapter = NODE_ADAPTER_WINGS,
        .truncate = restore->truncate,
        .files = restore->files,
        .leaves_ignored = restore->leaves_ignored,
        .ignore = ignore,
        .download_url = BUF_INIT,
    };
    set_checksum(&call->backup, &order);
    uuid_make(order.id);
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    if (node_api_restore(call->panel->nodes, &address, call->view->server.uuid, call->backup.uuid,
                         &order, &outcome))
        return true;
    if (outcome.status == 0 && outcome.may_have_arrived)
        log_warning("a restore may or may not have been started; its node will tell "
                    "server=%s backup=%s",
                    call->view->server.uuid, call->backup.uuid);
    else
        put_back(call);
    client_refuse_outcome(call, &outcome);
    return false;
}

/*
 * Wings passes over fields that it does not know, and would restore everything: so the node is asked
 * first.  False where the reply is written.
 */
static bool node_can(struct client_call *call, const struct node_link *link,
                     const struct client_restore *restore)
{
    if (restore->files == NULL && !restore->leaves_ignored)
        return true;
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    unsigned features = 0;
    if (!node_api_system(call->panel->nodes, &address, &features, &outcome)) {
        client_refuse_outcome(call, &outcome);
        return false;
    }
    const char *refusal = NULL;
    if (restore->files != NULL && (features & NODE_FEATURE_FILES) == 0)
        refusal = "The node of this server can only restore a backup as a whole.";
    else if (restore->leaves_ignored && (features & NODE_FEATURE_LEAVE_IGNORED) == 0)
        refusal = "The node of this server cannot leave ignored paths alone.";
    if (refusal == NULL)
        return true;
    api_error_reply(call->reply, call->dialect, API_ERROR_BAD_REQUEST, refusal);
    return false;
}

static void restore_with(struct client_call *call, const struct client_restore *restore,
                         const struct node_link *link)
{
    struct error err = ERROR_INIT;
    enum api_error refusal = API_ERROR_COUNT;
    if (!node_can(call, link, restore))
        return;
    begun_note(call->panel->begun, call->view->server.id, call->now_us);
    if (begin(call, restore, &refusal, &err) < 0) {
        client_fail(call, &err);
    } else if (refusal != API_ERROR_COUNT) {
        client_refuse(call, refusal);
    } else if (dispatch(call, link, restore)) {
        log_info("restore started server=%s backup=%s truncate=%d%s%s", call->view->server.uuid,
                 call->backup.uuid, restore->truncate, restore->files == NULL ? "" : " selected=1",
                 restore->leaves_ignored ? " leave_ignored=1" : "");
        http_reply_status(call->reply, call->dialect == DIALECT_EXTENDED ? 202 : 204);
    }
}

static void check_and_restore(struct client_call *call, const struct client_restore *restore)
{
    enum api_error refusal = restore_error(&call->view->server, &call->backup);
    if (refusal != API_ERROR_COUNT) {
        client_refuse(call, refusal);
        return;
    }
    if (strcmp(call->backup.disk, "wings") != 0) {
        api_error_reply(call->reply, call->dialect, API_ERROR_BAD_REQUEST,
                        "The backup requested references an unknown disk driver type and cannot "
                        "be restored.");
        return;
    }
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                       &err) < 0)
        client_fail(call, &err);
    else
        restore_with(call, restore, &link);
    node_link_close(&link);
}

void client_backup_restore(struct client_call *call)
{
    struct client_restore restore;
    struct api_violations violations = {0};
    client_api_read_restore(call->body, &restore, &violations);
    if (violations.count > 0)
        api_violations_reply(call->reply, &violations);
    else
        check_and_restore(call, &restore);
    client_restore_free(&restore);
}
