/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door of the remote API: which node is it.  "Bearer <token id>.<token>"; an unknown id and a
 * wrong token take the same path and get the same answer.  Everything behind it acts on this node's
 * own servers only.
 */
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "crypt/mac.h"
#include "panel/internal.h"

void remote_refuse(struct remote_call *call, enum api_error error)
{
    api_error_reply(call->reply, DIALECT_CLASSIC, error);
}

void remote_fail(struct remote_call *call, struct error *err)
{
    panel_fail(call->reply, call->request, DIALECT_CLASSIC, err);
}

static bool refuse(struct remote_call *call, enum api_error error)
{
    remote_refuse(call, error);
    return false;
}

static bool is_token_right(struct remote_call *call, bool is_known, const char *token)
{
    struct panel *panel = call->panel;
    struct error err = ERROR_INIT;
    scope_buf struct buf stored = BUF_INIT;
    const char *sealed = is_known ? call->node.sealed_token : panel->decoy_secret;
    if (seal_open(&panel->config.app_keys, sealed, &stored, &err) < 0) {
        log_warning("a node's token does not open with our application keys node='%s' reason='%s'",
                    is_known ? call->node.name : "-", err.text);
        return false;
    }
    bool is_equal = secret_equal(buf_slice(&stored), slice_str(token));
    explicit_bzero(stored.data, stored.length);
    return is_equal && is_known;
}

static bool authenticate(struct remote_call *call)
{
    const char *bearer = http_bearer(call->request);
    if (bearer == NULL)
        return refuse(call, API_ERROR_REMOTE_NO_TOKEN);
    const char *dot = strchr(bearer, '.');
    if (dot == NULL || dot == bearer || dot[1] == '\0' || strchr(dot + 1, '.') != NULL)
        return refuse(call, API_ERROR_REMOTE_BAD_TOKEN);
    char token_id[NODE_TOKEN_ID_LENGTH + 1] = "";
    size_t id_length = (size_t)(dot - bearer);
    if (id_length <= NODE_TOKEN_ID_LENGTH)
        memcpy(token_id, bearer, id_length);
    struct error err = ERROR_INIT;
    struct db_session *session = db_reader(call->panel->db, &err);
    int found = session == NULL ? -1 : node_find_by_token_id(session, token_id, &call->node, &err);
    if (found < 0) {
        remote_fail(call, &err);
        return false;
    }
    return is_token_right(call, found > 0, dot + 1) || refuse(call, API_ERROR_REMOTE_DENIED);
}

static bool read_body(struct remote_call *call)
{
    struct error err = ERROR_INIT;
    if (client_api_read_body(call->request, &call->body, &err) == 0)
        return true;
    api_error_reply(call->reply, DIALECT_CLASSIC, API_ERROR_MALFORMED_JSON, err.text);
    return false;
}

int remote_find_backup(struct remote_call *call, struct db_session *session, struct backup *backup,
                       struct server *server, enum api_error *error, struct error *err)
{
    char uuid[UUID_TEXT_BYTES];
    *error = API_ERROR_NOT_FOUND;
    if (!uuid_canonicalize(http_param(call->request, "backup"), uuid))
        return 0;
    int found = backup_find(session, uuid, backup, err);
    if (found > 0)
        found = server_find_by_id(session, backup->server_id, server, err);
    if (found > 0)
        *error = server->node_id == call->node.id ? API_ERROR_COUNT : API_ERROR_REMOTE_NOT_YOURS;
    return found < 0 ? -1 : 0;
}

struct route {
    remote_perform *perform;
    unsigned flags;
};

static const struct route routes[REMOTE_OP_COUNT] = {
    [REMOTE_OP_SERVERS] = {remote_servers, HTTP_INLINE},
    [REMOTE_OP_SERVERS_RESET] = {remote_servers_reset, HTTP_WORKER},
    [REMOTE_OP_SERVER] = {remote_server_one, HTTP_INLINE},
    [REMOTE_OP_ACTIVITY] = {remote_activity, HTTP_WORKER},
    [REMOTE_OP_UPLOAD_URLS] = {remote_upload_urls, HTTP_INLINE},
    [REMOTE_OP_BACKUP_REPORT] = {remote_backup_report, HTTP_WORKER},
    [REMOTE_OP_RESTORE_REPORT] = {remote_restore_report, HTTP_WORKER},
    [REMOTE_OP_UNDO_REPORT] = {remote_undo_report, HTTP_WORKER},
    [REMOTE_OP_BACKUP_HEARTBEAT] = {remote_backup_heartbeat, HTTP_WORKER},
};

static const struct route *route_of(const struct http_request *request)
{
    for (unsigned i = 0; i < REMOTE_OP_COUNT; i++) {
        const struct remote_operation_form *form = remote_operation_form(i);
        enum http_method method = request->method == HTTP_HEAD ? HTTP_GET : request->method;
        if (form->method == method && strcmp(form->pattern, request->route) == 0)
            return &routes[i];
    }
    return NULL;
}

static void handle(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct remote_call call = {
        .panel = app,
        .request = request,
        .reply = reply,
        .now_us = time_now_us(),
    };
    if (authenticate(&call) && read_body(&call))
        route_of(request)->perform(&call);
    json_decref(call.body);
    node_free(&call.node);
}

void remote_routes_add(struct panel *panel)
{
    for (unsigned i = 0; i < REMOTE_OP_COUNT; i++) {
        const struct remote_operation_form *form = remote_operation_form(i);
        http_route(panel->remote_router, form->method, form->pattern, handle, panel,
                   routes[i].flags);
    }
}
