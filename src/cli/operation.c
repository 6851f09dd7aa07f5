/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operation.h"

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/url.h"

enum {
    WORKERS = 1, /* scrapes, one after the other */
    WAITING_MAX = 16,
    BODY_MAX_BYTES = 1024,
};

static void write_status(struct http_reply *reply, const char *status, const char *reason)
{
    struct buf *body = http_reply_body(reply);
    buf_clear(body);
    struct json_writer w = json_writer_to(body);
    json_begin_object(&w);
    json_field_string(&w, "status", status);
    if (reason != NULL)
        json_field_string(&w, "reason", reason);
    json_end_object(&w);
}

static void write_error(const struct http_request *request, struct http_reply *reply,
                        unsigned status, const char *reason, void *app)
{
    write_status(reply, "error", reason);
}

static void forbid_caching(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "Cache-Control", "no-store");
}

static void route_health(const struct http_request *request, struct http_reply *reply, void *app)
{
    write_status(reply, "ok", NULL);
}

/* The reason is for anybody to read: what exactly fails is in the log. */
static void refuse(struct http_reply *reply, const char *reason, const struct error *err)
{
    log_error("not ready reason='%s' error='%s'", reason, err->text);
    http_reply_status(reply, 503);
    write_status(reply, "unready", reason);
}

#define PANEL_FAILS "the panel's database does not answer"
#define NODE_FAILS "the node's journal does not answer"

const char *operation_check(struct operation *operation, struct error *err)
{
    if (operation->panel != NULL && panel_check(operation->panel, err) < 0)
        return PANEL_FAILS;
    if (operation->node != NULL && node_check(operation->node, err) < 0)
        return NODE_FAILS;
    return NULL;
}

static void route_ready(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct error err = ERROR_INIT;
    const char *reason = operation_check(app, &err);
    if (reason != NULL)
        refuse(reply, reason, &err);
    else
        write_status(reply, "ok", NULL);
}

/* Through a proxy that is not trusted everybody would have the proxy's address. */
static bool is_forwarded_by_a_stranger(const struct http_request *request)
{
    const char *forwarded = http_header(request, "X-Forwarded-For");
    return forwarded != NULL && strstr(forwarded, request->remote_address) == NULL;
}

static bool is_allowed(const struct operation *operation, const struct http_request *request)
{
    const char *address = request->remote_address;
    if (is_forwarded_by_a_stranger(request))
        return false;
    for (const char *const *range = operation->allowed; range != NULL && *range != NULL; range++)
        if (address_in_range(address, *range))
            return true;
    return false;
}

static void route_metrics(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct operation *operation = app;
    if (!is_allowed(operation, request)) {
        http_reply_status(reply, 403);
        write_status(reply, "error", "this address may not read metrics: see listen.metrics_from");
        return;
    }
    struct buf *out = http_reply_body(reply);
    struct error err = ERROR_INIT;
    metrics_family(out, "roost_build_info", METRIC_GAUGE, "Which program this is; always 1.");
    metrics_value(out, "roost_build_info", METRIC_LABELS({"version", ROOST_VERSION}), 1);
    if (operation->panel != NULL && panel_metrics(operation->panel, out, &err) < 0)
        refuse(reply, PANEL_FAILS, &err);
    else if (operation->node != NULL && node_metrics(operation->node, out, &err) < 0)
        refuse(reply, NODE_FAILS, &err);
    else
        http_reply_header(reply, "Content-Type", METRICS_CONTENT_TYPE);
}

struct http_router *operation_router(struct operation *operation)
{
    struct http_router_options options = {
        .workers = WORKERS,
        .queue_max = WAITING_MAX,
        .body_max_bytes = BODY_MAX_BYTES,
        .write_error = write_error,
        .after = forbid_caching,
        .app = operation,
        .prefixes = {"/healthz", "/readyz", "/metrics"},
    };
    struct http_router *router = http_router_create("operation", &options);
    http_route(router, HTTP_GET, "/healthz", route_health, operation, HTTP_INLINE);
    http_route(router, HTTP_GET, "/readyz", route_ready, operation, HTTP_WORKER);
    http_route(router, HTTP_GET, "/metrics", route_metrics, operation, HTTP_WORKER);
    return router;
}
