/* SPDX-License-Identifier: Apache-2.0 */
/* The node API over HTTP: who may call, which server is meant, and the calls that are not about backups. */
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/node_api.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "crypt/mac.h"
#include "node/node_internal.h"

enum {
    WAITING_REQUESTS_MAX = 1024
};

bool route_is_allowed(struct node *node, const struct http_request *request,
                      struct http_reply *reply)
{
    const char *token = http_bearer(request);
    if (token == NULL) {
        http_reply_header(reply, "WWW-Authenticate", "Bearer");
        node_api_error(request, reply, 401, NODE_ERROR_NO_TOKEN);
        return false;
    }
    if (!secret_equal(slice_str(token), slice_str(node->config.token))) {
        node_api_error(request, reply, 403, NODE_ERROR_BAD_TOKEN);
        return false;
    }
    return true;
}

bool route_finds_server(struct node *node, const struct http_request *request,
                        struct http_reply *reply)
{
    struct error err = ERROR_INIT;
    int found = servers_find(node->servers, http_param(request, "server"), NULL, &err);
    if (found == 0)
        node_api_error(request, reply, 404, NODE_ERROR_NO_SERVER);
    else if (found < 0)
        route_fails(request, reply, &err);
    return found > 0;
}

void route_fails(const struct http_request *request, struct http_reply *reply,
                 const struct error *err)
{
    log_error("request failed id=%s path=%s reason=%s", request->id, request->path, err->text);
    if (err->code == ERROR_UNAVAILABLE) {
        http_reply_header(reply, "Retry-After", "10");
        node_api_error(request, reply, 503, NODE_ERROR_UNEXPECTED);
    } else if (err->code == ERROR_NO_SPACE) {
        node_api_error(request, reply, 507, NODE_ERROR_NO_SPACE);
    } else {
        node_api_error(request, reply, 500, NODE_ERROR_UNEXPECTED);
    }
}

/* Go's names for machines, which panels compare with. */
static const char *architecture(const char *machine)
{
    if (strcmp(machine, "x86_64") == 0)
        return "amd64";
    if (strcmp(machine, "aarch64") == 0)
        return "arm64";
    return machine;
}

static void route_system(const struct http_request *request, struct http_reply *reply, void *app)
{
    if (!route_is_allowed(app, request, reply))
        return;
    struct utsname names;
    uname(&names);
    struct json_writer w = json_writer_to(http_reply_body(reply));
    json_begin_object(&w);
    json_field_string(&w, "architecture", architecture(names.machine));
    json_field_int(&w, "cpu_count", sysconf(_SC_NPROCESSORS_ONLN));
    json_field_string(&w, "kernel_version", names.release);
    json_field_string(&w, "os", "linux");
    json_field_string(&w, "version", ROOST_VERSION);
    json_key(&w, "features"); /* ours: what Wings cannot do */
    json_begin_array(&w);
    for (unsigned bit = 1; bit < NODE_FEATURES_END; bit <<= 1)
        json_put_string(&w, node_feature_name(bit));
    json_end_array(&w);
    json_end_object(&w);
}

struct jobs_view {
    struct json_writer *w;
    const char *server;
    bool is_restoring;
};

static void write_job(struct job *job, void *context)
{
    struct jobs_view *view = context;
    if (strcmp(job->record.server, view->server) != 0)
        return;
    json_begin_object(view->w);
    json_field_string(view->w, "kind", job_kind_name(job->record.kind));
    json_field_string(view->w, "backup", job->record.backup);
    json_field_bool(view->w, "is_running", job->is_running);
    json_field_uint(view->w, "content_bytes", atomic_load(&job->progress.content_bytes));
    json_end_object(view->w);
}

static void write_server(struct json_writer *w, struct node *node,
                         const struct remote_server *server)
{
    /* In this order: what leaves the queue is in the journal before. */
    bool is_restoring = node_is_restoring(node, server->uuid);
    bool is_unsettled = is_restoring || journal_is_restoring(node->journal, server->uuid);
    json_begin_object(w);
    json_field_string(w, "state", "offline");
    /* As upstream's: whoever starts servers must not do it during a restore. */
    json_field_bool(w, "is_suspended", server->is_suspended || is_restoring);
    json_field_bool(w, "is_restoring", is_unsettled);
    json_key(w, "configuration");
    json_begin_object(w);
    json_field_string(w, "uuid", server->uuid);
    json_key(w, "meta");
    json_begin_object(w);
    json_field_string(w, "name", server->name == NULL ? "" : server->name);
    json_end_object(w);
    json_field_bool(w, "suspended", server->is_suspended);
    json_key(w, "build");
    json_begin_object(w);
    json_field_int(w, "disk_space", server->disk_mib);
    json_end_object(w);
    json_end_object(w);
    json_key(w, "jobs");
    json_begin_array(w);
    struct jobs_view view = {.w = w, .server = server->uuid};
    queue_each(node->queue, write_job, &view);
    json_end_array(w);
    json_end_object(w);
}

static void route_server(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply))
        return;
    struct error err = ERROR_INIT;
    struct remote_server server;
    int found = servers_find(node->servers, http_param(request, "server"), &server, &err);
    if (found == 0)
        node_api_error(request, reply, 404, NODE_ERROR_NO_SERVER);
    if (found < 0)
        route_fails(request, reply, &err);
    if (found <= 0)
        return;
    struct json_writer w = json_writer_to(http_reply_body(reply));
    write_server(&w, node, &server);
    remote_server_free(&server);
}

struct servers_view {
    struct json_writer *w;
    struct node *node;
};

static void visit_server(const struct remote_server *server, void *context)
{
    struct servers_view *view = context;
    write_server(view->w, view->node, server);
}

static void route_servers(const struct http_request *request, struct http_reply *reply, void *app)
{
    if (!route_is_allowed(app, request, reply))
        return;
    struct json_writer w = json_writer_to(http_reply_body(reply));
    struct servers_view view = {.w = &w, .node = app};
    struct error err = ERROR_INIT;
    if (servers_refresh(view.node->servers, &err) < 0)
        log_warning("list of servers may be old reason=%s", err.text);
    json_begin_array(&w);
    servers_each(view.node->servers, visit_server, &view);
    json_end_array(&w);
}

static void route_sync(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply))
        return;
    const char *server = http_param(request, "server");
    struct error err = ERROR_INIT;
    if (!uuid_is_canonical(server))
        node_api_error(request, reply, 404, NODE_ERROR_NO_SERVER);
    else if (servers_sync(node->servers, server, &err) == 0)
        http_reply_status(reply, 204);
    else if (err.code == ERROR_NOT_FOUND)
        node_api_error(request, reply, 404, NODE_ERROR_NO_SERVER);
    else
        route_fails(request, reply, &err);
}

static int deny(const char *jti, void *context, struct error *err)
{
    struct node *node = context;
    if (journal_deny_token(node->journal, jti, time_now_us() / 1000000, err) < 0)
        return -1;
    hub_deny(node->hub, jti);
    return 0;
}

static void route_deny_tokens(const struct http_request *request, struct http_reply *reply,
                              void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    struct error err = ERROR_INIT;
    if (node_api_parse_jtis(request->body, deny, node, &err) == 0)
        http_reply_status(reply, 204);
    else if (err.code == ERROR_INVALID)
        node_api_error(request, reply, 400, err.text);
    else
        route_fails(request, reply, &err);
}

/* No token yet: it comes in the first message. */
static void route_websocket(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    struct error err = ERROR_INIT;
    const char *server = http_param(request, "server");
    if (servers_find_gently(node->servers, server, &err) > 0)
        hub_accept(node->hub, server, request, reply);
    else
        node_api_error(request, reply, 404, NODE_ERROR_NO_SERVER);
}

static void write_error(const struct http_request *request, struct http_reply *reply,
                        unsigned status, const char *reason, void *app)
{
    node_api_error(request, reply, status, reason);
}

/* Browsers come from the panel's pages. */
static void add_headers(const struct http_request *request, struct http_reply *reply, void *app)
{
    const struct node *node = app;
    http_reply_header(reply, "Access-Control-Allow-Origin", node->config.panel_url);
    http_reply_header(reply, "Access-Control-Allow-Credentials", "true");
    http_reply_header(reply, "Access-Control-Allow-Methods",
                      "GET, POST, PATCH, PUT, DELETE, OPTIONS");
    http_reply_header(reply, "Access-Control-Allow-Headers",
                      "Accept, Accept-Encoding, Authorization, Cache-Control, Content-Type, "
                      "Content-Length, Origin, X-Real-IP, X-CSRF-Token");
}

static void route_options(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_status(reply, 204);
}

static const struct {
    http_handler *handler;
    unsigned flags;
} handlers[NODE_OP_COUNT] = {
    [NODE_OP_SYSTEM] = {route_system, HTTP_INLINE},
    [NODE_OP_BACKUP] = {route_backup, HTTP_WORKER},
    [NODE_OP_RESTORE] = {route_restore, HTTP_WORKER},
    [NODE_OP_UNDO] = {route_undo, HTTP_WORKER},
    [NODE_OP_RESTORE_CANCEL] = {route_cancel_restore, HTTP_WORKER},
    [NODE_OP_BACKUP_CANCEL] = {route_cancel, HTTP_WORKER},
    [NODE_OP_BACKUP_DELETE] = {route_delete, HTTP_WORKER},
    [NODE_OP_BACKUP_DELETE_ALL] = {route_delete_all, HTTP_WORKER},
    [NODE_OP_BACKUP_DELETE_ALL_ALIAS] = {route_delete_all, HTTP_WORKER},
    [NODE_OP_FILES] = {route_files, HTTP_WORKER},
    [NODE_OP_FILE_CONTENTS] = {route_file_contents, HTTP_WORKER},
    [NODE_OP_SERVER] = {route_server, HTTP_WORKER},
    [NODE_OP_SERVER_DELETE] = {route_delete_server, HTTP_WORKER},
    [NODE_OP_SERVERS] = {route_servers, HTTP_WORKER},
    [NODE_OP_SYNC] = {route_sync, HTTP_WORKER},
    [NODE_OP_DENY_TOKENS] = {route_deny_tokens, HTTP_WORKER},
    [NODE_OP_WEBSOCKET] = {route_websocket, HTTP_WORKER},
    [NODE_OP_DOWNLOAD] = {route_download, HTTP_WORKER},
};

static bool is_first_of_pattern(int operation)
{
    const char *pattern = node_operation_form((enum node_operation)operation)->pattern;
    for (int earlier = 0; earlier < operation; earlier++)
        if (strcmp(node_operation_form((enum node_operation)earlier)->pattern, pattern) == 0)
            return false;
    return true;
}

struct http_router *routes_create(struct node *node)
{
    struct http_router_options options = {
        .workers = node->config.workers,
        .queue_max = WAITING_REQUESTS_MAX,
        .body_max_bytes = NODE_BODY_MAX_BYTES,
        .write_error = write_error,
        .after = add_headers,
        .app = node,
        .prefixes = {"/api/servers", "/api/system", "/download"},
    };
    struct http_router *router = http_router_create("node", &options);
    for (int operation = 0; operation < NODE_OP_COUNT; operation++) {
        const struct node_operation_form *form =
            node_operation_form((enum node_operation)operation);
        http_route(router, form->method, form->pattern, handlers[operation].handler, node,
                   handlers[operation].flags);
        if (is_first_of_pattern(operation))
            http_route(router, HTTP_OPTIONS, form->pattern, route_options, node, HTTP_INLINE);
    }
    return router;
}
