/* SPDX-License-Identifier: Apache-2.0 */
/* The node API's orders about backups: each is checked whole, then promised, then answered. */
#include "api/node_api.h"
#include "node/node_internal.h"
#include "snapshot/ignore.h"

/* The canonical id in the path, or NULL with the reply written. */
static const char *backup_param(const struct http_request *request, struct http_reply *reply)
{
    const char *backup = http_param(request, "backup");
    if (uuid_is_canonical(backup))
        return backup;
    node_api_error(request, reply, 404, NODE_ERROR_NO_BACKUP);
    return NULL;
}

static bool ignore_is_acceptable(const struct node *node, const struct http_request *request,
                                 struct http_reply *reply, struct slice text)
{
    struct error err = ERROR_INIT;
    struct ignore *rules = ignore_parse(text, node->config.ignore_mode, &err);
    if (rules == NULL) {
        node_api_error(request, reply, 400, err.text);
        return false;
    }
    ignore_free(rules);
    return true;
}

/* What became of an order: `accepted` is the status of its success. */
static void answer(const struct http_request *request, struct http_reply *reply, unsigned accepted,
                   int result, const struct error *err)
{
    if (result == 0)
        http_reply_status(reply, accepted);
    else if (err->code == ERROR_NOT_FOUND)
        node_api_error(request, reply, 404, NODE_ERROR_NO_BACKUP);
    else if (err->code == ERROR_CONFLICT)
        node_api_error(request, reply, 409, err->text);
    else
        route_fails(request, reply, err);
}

void route_backup(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    struct node_backup_order order;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply) ||
        !node_api_read_backup(request, reply, &order))
        return;
    if (order.adapter == NODE_ADAPTER_S3) {
        node_api_error(request, reply, 400, NODE_ERROR_NO_OBJECT_STORAGE);
    } else if (ignore_is_acceptable(node, request, reply, buf_slice(&order.ignore))) {
        struct error err = ERROR_INIT;
        int result = accept_backup(node, http_param(request, "server"), order.backup,
                                   buf_slice(&order.ignore), &err);
        answer(request, reply, 202, result, &err);
    }
    node_backup_order_free(&order);
}

void route_restore(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    struct node_restore_order order;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    const char *backup = backup_param(request, reply);
    if (backup == NULL || !node_api_read_restore(request, reply, &order))
        return;
    if (order.adapter == NODE_ADAPTER_S3) {
        node_api_error(request, reply, 400, NODE_ERROR_NO_OBJECT_STORAGE);
    } else if (ignore_is_acceptable(node, request, reply, buf_slice(&order.ignore))) {
        struct error err = ERROR_INIT;
        int result = accept_restore(node, http_param(request, "server"), backup, &order, &err);
        answer(request, reply, 202, result, &err);
    }
    node_restore_order_free(&order);
}

void route_undo(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    struct error err = ERROR_INIT;
    char order_id[UUID_TEXT_BYTES];
    if (node_api_parse_undo(request->body, order_id, &err) < 0) {
        node_api_error(request, reply, 400, err.text);
        return;
    }
    int result = accept_undo(node, http_param(request, "server"), order_id, &err);
    if (result < 0 && err.code == ERROR_NOT_FOUND)
        node_api_error(request, reply, 404, NODE_ERROR_NO_KEPT);
    else
        answer(request, reply, 202, result, &err);
}

void route_cancel(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    const char *backup = backup_param(request, reply);
    if (backup == NULL)
        return;
    struct error err = ERROR_INIT;
    int result = cancel_backup(node, http_param(request, "server"), backup, &err);
    answer(request, reply, 202, result, &err);
}

void route_cancel_restore(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    struct error err = ERROR_INIT;
    int result = cancel_restore(node, http_param(request, "server"), &err);
    answer(request, reply, 202, result, &err);
}

/* Known or not (any more): the panel may have forgotten it before it said so. */
void route_delete_server(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    const char *server = http_param(request, "server");
    struct error err = ERROR_INIT;
    if (!route_is_allowed(node, request, reply))
        return;
    if (!uuid_is_canonical(server))
        node_api_error(request, reply, 404, NODE_ERROR_NO_SERVER);
    else if (cancel_server(node, server, &err) == 0)
        http_reply_status(reply, 204);
    else
        route_fails(request, reply, &err);
}

void route_delete(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    const char *backup = backup_param(request, reply);
    if (backup == NULL)
        return;
    struct error err = ERROR_INIT;
    int result = accept_delete(node, http_param(request, "server"), backup, &err);
    answer(request, reply, 204, result, &err);
}

void route_delete_all(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    struct error err = ERROR_INIT;
    if (accept_delete_all(node, http_param(request, "server"), &err) == 0) {
        http_reply_status(reply, 204);
        return;
    }
    route_fails(request, reply, &err);
    node_api_error(request, reply, 500, NODE_ERROR_DELETE_ALL);
}
