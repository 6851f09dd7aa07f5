/* SPDX-License-Identifier: Apache-2.0 */
/* The panel's wiring: what it consists of, and the errors that the transport finds. */
#include "panel/panel.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/time.h"
#include "db/schema.h"
#include "panel/internal.h"

enum {
    CLIENT_BODY_MAX_BYTES = 256 * 1024,      /* the longest list of patterns, escaped in JSON */
    REMOTE_BODY_MAX_BYTES = 2 * 1024 * 1024, /* a report of ten thousand parts */
    QUEUE_MAX = 256,
};

static enum dialect transport_dialect(const struct panel *panel, const struct http_request *request)
{
    if (panel->config.dialect == PANEL_DIALECT_AUTO)
        return dialect_of_accept(http_header(request, "Accept"));
    return panel->config.dialect == PANEL_DIALECT_EXTENDED ? DIALECT_EXTENDED : DIALECT_CLASSIC;
}

static void finish_reply(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "Cache-Control", "no-cache, private");
}

static void write_transport_error(const struct http_request *request, struct http_reply *reply,
                                  unsigned status, const char *reason, void *app)
{
    enum dialect dialect = transport_dialect(app, request);
    finish_reply(request, reply, app); /* not run for what has no route */
    switch (status) {
    case 404:
        api_error_reply(reply, dialect, API_ERROR_NOT_FOUND);
        break;
    case 405:
        api_error_reply(reply, dialect, API_ERROR_METHOD);
        break;
    case 413:
        api_error_reply(reply, dialect, API_ERROR_TOO_LARGE);
        break;
    case 431:
        api_error_reply(reply, dialect, API_ERROR_HEAD_TOO_LARGE);
        break;
    case 503:
        api_error_reply(reply, dialect, API_ERROR_BUSY);
        break;
    default:
        if (status >= 500)
            api_error_reply_status(reply, dialect, status, API_ERROR_INTERNAL);
        else
            api_error_reply_status(reply, dialect, status, API_ERROR_BAD_REQUEST, reason);
        break;
    }
}

void panel_fail(struct http_reply *reply, const struct http_request *request, enum dialect dialect,
                struct error *err)
{
    log_error("request failed request=%s method=%s route=%s reason='%s'", request->id,
              http_method_name(request->method), request->route != NULL ? request->route : "-",
              err->text);
    if (err->code == ERROR_UNAVAILABLE) {
        api_error_reply(reply, dialect, API_ERROR_BUSY);
        http_reply_header(reply, "Retry-After", "1");
    } else if (err->code == ERROR_NO_SPACE) {
        api_error_reply(reply, dialect, API_ERROR_NO_SPACE);
    } else {
        api_error_reply(reply, dialect, API_ERROR_INTERNAL);
    }
    error_clear(err);
}

void panel_properties(struct buf *out, const char *name, const char *flag, bool value)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    if (name != NULL)
        json_field_string(&w, "name", name);
    if (flag != NULL)
        json_field_bool(&w, flag, value);
    json_end_object(&w);
}

static char *make_decoy(const struct seal_keys *keys)
{
    char secret[API_KEY_SECRET_LENGTH + 1];
    random_alphanumeric(secret, API_KEY_SECRET_LENGTH);
    scope_buf struct buf sealed = BUF_INIT;
    seal_string(keys, secret, &sealed);
    return buf_steal(&sealed);
}

static struct http_router *make_router(struct panel *panel, const char *name, const char *prefix,
                                       size_t body_max_bytes)
{
    struct http_router_options options = {
        .workers = panel->config.workers > 0 ? panel->config.workers : 1,
        .queue_max = QUEUE_MAX,
        .body_max_bytes = body_max_bytes,
        .write_error = write_transport_error,
        .after = finish_reply,
        .app = panel,
        .prefixes = {prefix, NULL},
    };
    return http_router_create(name, &options);
}

struct panel *panel_start(struct db *db, const struct panel_config *config, struct error *err)
{
    if (config->app_keys.count == 0) {
        error_set(err, ERROR_INVALID, "the panel has no application key");
        return NULL;
    }
    int64_t newest_id = 0;
    if (schema_prepare(db, err) < 0 || backup_newest_id(db, &newest_id, err) < 0)
        return NULL;
    struct panel *panel = xcalloc(1, sizeof(*panel));
    panel->db = db;
    panel->config = *config;
    panel->newest_id_at_start = newest_id;
    panel->leases_count_from_us = time_now_us() + (int64_t)config->lease_s * 1000000;
    panel->nodes = node_api_create(config->node_ca_file);
    panel->readers = reader_set_create(db);
    panel->rate = config->rate_limit_per_min > 0 ? rate_create(config->rate_limit_per_min) : NULL;
    panel->progress = progress_board_create();
    panel->begun = begun_create();
    panel->decoy_secret = make_decoy(&config->app_keys);
    panel->client_router = make_router(panel, "client", "/api/client", CLIENT_BODY_MAX_BYTES);
    panel->remote_router = make_router(panel, "remote", "/api/remote", REMOTE_BODY_MAX_BYTES);
    client_routes_add(panel);
    remote_routes_add(panel);
    panel->keeper = keeper_start(panel);
    panel->settler = settler_start(panel);
    return panel;
}

void panel_routers(struct panel *panel, struct http_router *routers[PANEL_ROUTERS])
{
    routers[0] = panel->client_router;
    routers[1] = panel->remote_router;
}

void panel_stop(struct panel *panel)
{
    if (panel == NULL)
        return;
    keeper_stop(panel->keeper);
    settler_stop(panel->settler);
    http_router_free(panel->client_router);
    http_router_free(panel->remote_router);
    reader_set_free(panel->readers);
    rate_free(panel->rate);
    progress_board_free(panel->progress);
    begun_free(panel->begun);
    node_api_free(panel->nodes);
    free(panel->decoy_secret);
    explicit_bzero(&panel->config.app_keys, sizeof(panel->config.app_keys));
    free(panel);
}
