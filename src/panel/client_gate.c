/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door of the client API.  Which error wins where several apply is part of the contract, so the
 * checks stand in one table, in their order; a verb runs where all of them let it through.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "db/activity.h"
#include "panel/allowed_ips.h"
#include "panel/internal.h"

void client_refuse(struct client_call *call, enum api_error error)
{
    api_error_reply(call->reply, call->dialect, error);
}

int client_finish(struct db_session *session, int done, enum api_error refusal, struct error *err)
{
    if (done >= 0 && refusal == API_ERROR_COUNT)
        return db_commit(session, err);
    db_rollback(session);
    return done;
}

void client_fail(struct client_call *call, struct error *err)
{
    panel_fail(call->reply, call->request, call->dialect, err);
}

static bool refuse(struct client_call *call, enum api_error error)
{
    client_refuse(call, error);
    return false;
}

static bool fail(struct client_call *call, struct error *err)
{
    client_fail(call, err);
    return false;
}

/* ---- who ---- */

static enum dialect choose_dialect(const struct client_call *call)
{
    if (call->auth != NULL && call->auth->dialect != API_KEY_DIALECT_AUTO)
        return call->auth->dialect == API_KEY_DIALECT_EXTENDED ? DIALECT_EXTENDED : DIALECT_CLASSIC;
    if (call->panel->config.dialect != PANEL_DIALECT_AUTO)
        return call->panel->config.dialect == PANEL_DIALECT_EXTENDED ? DIALECT_EXTENDED
                                                                     : DIALECT_CLASSIC;
    return dialect_of_accept(http_header(call->request, "Accept"));
}

static bool authenticate(struct client_call *call)
{
    struct error err = ERROR_INIT;
    call->reader = reader_get(call->panel->readers, &err);
    if (call->reader == NULL)
        return fail(call, &err);
    const char *token = http_bearer(call->request);
    if (token == NULL)
        return refuse(call, API_ERROR_UNAUTHENTICATED);
    struct auth_keys keys = {&call->panel->config.app_keys, call->panel->decoy_secret};
    int found = auth_find(call->reader, &keys, token, call->now_us, &call->auth, &err);
    if (found < 0)
        return fail(call, &err);
    if (found == 0) {
        call->auth = NULL;
        return refuse(call, API_ERROR_UNAUTHENTICATED);
    }
    call->dialect = choose_dialect(call);
    if (auth_take_touch(call->auth, call->now_us))
        keeper_touch_key(call->panel->keeper, call->auth->key_id, call->now_us);
    return true;
}

static void put_number_header(struct http_reply *reply, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    http_reply_header(reply, name, text);
}

/* Counted as soon as the user is known, so that every later refusal costs one, too; told in its
 * turn. */
static bool count_request(struct client_call *call)
{
    if (call->panel->rate == NULL)
        return true;
    struct rate_state state;
    rate_hit(call->panel->rate, call->auth->user_id, time_monotonic_us(), &state);
    put_number_header(call->reply, "X-RateLimit-Limit", state.limit);
    put_number_header(call->reply, "X-RateLimit-Remaining", state.remaining);
    call->is_over_rate_limit = state.is_over;
    if (state.is_over) {
        put_number_header(call->reply, "Retry-After", state.resets_in_s);
        put_number_header(call->reply, "X-RateLimit-Reset",
                          call->now_us / 1000000 + state.resets_in_s);
    }
    return true;
}

static bool read_body(struct client_call *call)
{
    struct error err = ERROR_INIT;
    if (client_api_read_body(call->request, &call->body, &err) == 0)
        return true;
    api_error_reply(call->reply, call->dialect, API_ERROR_MALFORMED_JSON, err.text);
    return false;
}

static bool check_two_factor(struct client_call *call)
{
    return !call->auth->needs_two_factor || refuse(call, API_ERROR_TWO_FACTOR);
}

static bool check_address(struct client_call *call)
{
    const char *address = call->request->remote_address;
    if (allowed_ips_have(call->auth->allowed_ips, address))
        return true;
    struct keeper_refusal refusal = {
        .user_id = call->auth->user_id,
        .key_id = call->auth->key_id,
        .at_us = call->now_us,
    };
    snprintf(refusal.identifier, sizeof(refusal.identifier), "%s", call->auth->identifier);
    snprintf(refusal.address, sizeof(refusal.address), "%s", address);
    keeper_record_refusal(call->panel->keeper, &refusal);
    api_error_reply(call->reply, call->dialect, API_ERROR_IP_DENIED, address);
    return false;
}

static bool check_rate(struct client_call *call)
{
    return !call->is_over_rate_limit || refuse(call, API_ERROR_RATE_LIMIT);
}

/* ---- what ---- */

static bool has_server(const struct client_call *call)
{
    return call->operation != CLIENT_OP_SERVERS && call->operation != CLIENT_OP_PERMISSIONS;
}

static bool bind_server(struct client_call *call)
{
    if (!has_server(call))
        return true;
    struct error err = ERROR_INIT;
    struct viewer viewer = {call->auth->user_id, call->auth->is_root_admin};
    int found =
        view_find(call->reader, &viewer, http_param(call->request, "server"), &call->view, &err);
    if (found < 0)
        return fail(call, &err);
    return found > 0 || refuse(call, API_ERROR_NOT_FOUND);
}

static bool bind_backup(struct client_call *call)
{
    if (!client_operation_form(call->operation)->has_backup)
        return true;
    char uuid[UUID_TEXT_BYTES];
    if (!uuid_canonicalize(http_param(call->request, "backup"), uuid))
        return refuse(call, API_ERROR_NOT_FOUND);
    struct error err = ERROR_INIT;
    int found = backup_find(call->reader->session, uuid, &call->backup, &err);
    if (found < 0)
        return fail(call, &err);
    return found > 0 || refuse(call, API_ERROR_NOT_FOUND);
}

static bool check_key_type(struct client_call *call)
{
    return call->auth->type == API_KEY_CLIENT || refuse(call, API_ERROR_APPLICATION_KEY);
}

static bool check_access(struct client_call *call)
{
    return call->view == NULL || call->view->has_access || refuse(call, API_ERROR_NOT_ON_SERVER);
}

enum api_error client_state_error(const struct server *server, bool is_node_in_maintenance,
                                  enum client_operation operation, bool is_root_admin)
{
    if (operation == CLIENT_OP_SERVER)
        return API_ERROR_COUNT;
    if (server->status == SERVER_SUSPENDED)
        return API_ERROR_SERVER_SUSPENDED;
    if (is_node_in_maintenance)
        return API_ERROR_NODE_MAINTENANCE;
    if (operation == CLIENT_OP_WEBSOCKET && is_root_admin)
        return API_ERROR_COUNT;
    if (server->status == SERVER_INSTALLING || server->status == SERVER_INSTALL_FAILED)
        return operation == CLIENT_OP_BACKUP_RESTORE || operation == CLIENT_OP_RESTORE_UNDO
                   ? API_ERROR_RESTORE_INSTALLING
                   : API_ERROR_SERVER_INSTALLING;
    if (server->status == SERVER_RESTORING_BACKUP && operation != CLIENT_OP_RESTORE_CANCEL)
        return API_ERROR_SERVER_RESTORING;
    return server->is_transferring ? API_ERROR_SERVER_TRANSFERRING : API_ERROR_COUNT;
}

static bool check_state(struct client_call *call)
{
    if (call->view == NULL)
        return true;
    enum api_error error =
        client_state_error(&call->view->server, call->view->is_node_in_maintenance, call->operation,
                           call->auth->is_root_admin);
    return error == API_ERROR_COUNT || refuse(call, error);
}

static bool check_ownership(struct client_call *call)
{
    return call->backup.id == 0 || call->backup.server_id == call->view->server.id ||
           refuse(call, API_ERROR_NOT_FOR_SERVER);
}

/* ---- may they ---- */

static bool check_permission(struct client_call *call)
{
    const char *permission = client_operation_form(call->operation)->permission;
    return permission == NULL || (call->view->permissions & permission_bit(permission)) != 0 ||
           refuse(call, API_ERROR_FORBIDDEN);
}

/* Which error wins: the first. */
static bool (*const checks[])(struct client_call *call) = {
    authenticate,     /* 401 */
    count_request,    /* -- */
    read_body,        /* 400 */
    check_two_factor, /* 400 */
    check_address,    /* 403 */
    check_rate,       /* 429 */
    bind_server,      /* 404 */
    bind_backup,      /* 404 */
    check_key_type,   /* 403 */
    check_access,     /* 404 */
    check_state,      /* 409 */
    check_ownership,  /* 404 */
    check_permission, /* 403 */
};

static bool pass_checks(struct client_call *call)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        if (!checks[i](call))
            return false;
    return true;
}

/* ---- routes ---- */

struct route {
    client_perform *perform;
    unsigned flags;
};

/* What only reads runs on the server's threads; what writes, or calls a node, on workers. */
static const struct route routes[CLIENT_OP_COUNT] = {
    [CLIENT_OP_SERVERS] = {client_servers, HTTP_INLINE},
    [CLIENT_OP_PERMISSIONS] = {client_permissions, HTTP_INLINE},
    [CLIENT_OP_SERVER] = {client_server, HTTP_INLINE},
    [CLIENT_OP_WEBSOCKET] = {client_websocket, HTTP_INLINE},
    [CLIENT_OP_BACKUP_LIST] = {client_backup_list, HTTP_INLINE},
    [CLIENT_OP_BACKUP_CREATE] = {client_backup_create, HTTP_WORKER},
    [CLIENT_OP_BACKUP_VIEW] = {client_backup_view, HTTP_INLINE},
    [CLIENT_OP_BACKUP_DOWNLOAD] = {client_backup_download, HTTP_WORKER},
    [CLIENT_OP_BACKUP_LOCK] = {client_backup_lock, HTTP_WORKER},
    [CLIENT_OP_BACKUP_UNLOCK] = {client_backup_unlock, HTTP_WORKER},
    [CLIENT_OP_BACKUP_RESTORE] = {client_backup_restore, HTTP_WORKER},
    [CLIENT_OP_RESTORE_UNDO] = {client_restore_undo, HTTP_WORKER},
    [CLIENT_OP_RESTORE_CANCEL] = {client_restore_cancel, HTTP_WORKER},
    [CLIENT_OP_BACKUP_CANCEL] = {client_backup_cancel, HTTP_WORKER},
    [CLIENT_OP_BACKUP_DELETE] = {client_backup_delete, HTTP_WORKER},
    [CLIENT_OP_FILES_LIST] = {client_files_list, HTTP_WORKER},
    [CLIENT_OP_FILES_CONTENTS] = {client_files_contents, HTTP_WORKER},
    [CLIENT_OP_FILES_DOWNLOAD] = {client_files_download, HTTP_WORKER},
};

static enum client_operation operation_of(const struct http_request *request)
{
    for (unsigned i = 0; i < CLIENT_OP_COUNT; i++) {
        const struct client_operation_form *form = client_operation_form(i);
        enum http_method method = request->method == HTTP_HEAD ? HTTP_GET : request->method;
        if (form->method == method && strcmp(form->pattern, request->route) == 0)
            return i;
    }
    return CLIENT_OP_COUNT;
}

static void handle(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct client_call call = {
        .panel = app,
        .operation = operation_of(request),
        .request = request,
        .reply = reply,
        .now_us = time_now_us(),
    };
    call.dialect = choose_dialect(&call);
    if (pass_checks(&call))
        routes[call.operation].perform(&call);
    json_decref(call.body);
    backup_free(&call.backup);
}

void client_routes_add(struct panel *panel)
{
    for (unsigned i = 0; i < CLIENT_OP_COUNT; i++) {
        const struct client_operation_form *form = client_operation_form(i);
        http_route(panel->client_router, form->method, form->pattern, handle, panel,
                   routes[i].flags);
    }
}

int client_record(struct client_call *call, struct db_session *session,
                  const struct client_event *event, struct error *err)
{
    scope_buf struct buf properties = BUF_INIT;
    const struct backup *backup = event->backup;
    panel_properties(&properties, backup != NULL ? backup->name : NULL, event->flag,
                     event->flag_value);
    struct activity activity = {
        .event = event->name,
        .ip = call->request->remote_address,
        .actor_user_id = call->auth->user_id,
        .api_key_id = call->auth->key_id,
        .properties = properties.data,
        .server_id = call->view->server.id,
        .backup_id = backup != NULL ? backup->id : 0,
        .at_us = call->now_us,
    };
    return activity_insert(session, &activity, err);
}
