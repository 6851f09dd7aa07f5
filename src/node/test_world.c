/* SPDX-License-Identifier: Apache-2.0 */
/* A node and a scripted panel, over real HTTP. */
#include "node/test_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/remote_api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thread.h"
#include "base/time.h"

static void keep_text(char *out, size_t room, struct slice text)
{
    snprintf(out, room, "%.*s", (int)text.length, (const char *)text.data);
}

static void add_server(struct world *world, struct json_writer *w, const char *uuid)
{
    scope_buf struct buf text = BUF_INIT;
    buf_printf(&text,
               "{\"uuid\":\"%s\",\"settings\":{\"uuid\":\"%s\",\"meta\":{\"name\":\"a\"},"
               "\"suspended\":false,\"build\":{\"disk_space\":%ld}},\"process_configuration\":{}}",
               uuid, uuid, (long)world->panel.disk_mib);
    json_put_raw(w, buf_slice(&text));
}

static void panel_servers(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct json_writer w = json_writer_to(http_reply_body(reply));
    pthread_mutex_lock(&((struct world *)app)->mutex);
    json_begin_object(&w);
    json_key(&w, "data");
    json_begin_array(&w);
    add_server(app, &w, SERVER);
    add_server(app, &w, OTHER_SERVER);
    json_end_array(&w);
    json_key(&w, "meta");
    json_begin_object(&w);
    json_field_int(&w, "last_page", 1);
    json_end_object(&w);
    json_end_object(&w);
    pthread_mutex_unlock(&((struct world *)app)->mutex);
}

static void panel_server(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct world *world = app;
    const char *uuid = http_param(request, "server");
    pthread_mutex_lock(&world->mutex);
    while (world->panel.holds_servers)
        pthread_cond_wait(&world->has_changed, &world->mutex);
    struct json_writer w = json_writer_to(http_reply_body(reply));
    if (strcmp(uuid, SERVER) == 0 || strcmp(uuid, OTHER_SERVER) == 0)
        add_server(world, &w, uuid);
    else
        http_reply_status(reply, 404);
    pthread_mutex_unlock(&world->mutex);
}

static void panel_reset(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct world *world = app;
    pthread_mutex_lock(&world->mutex);
    world->panel.resets++;
    keep_text(world->panel.reset, sizeof(world->panel.reset), request->body);
    pthread_cond_broadcast(&world->has_changed);
    pthread_mutex_unlock(&world->mutex);
    http_reply_status(reply, 204);
}

static void panel_report(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct world *world = app;
    const char *authorization = http_header(request, "Authorization");
    pthread_mutex_lock(&world->mutex);
    world->panel.reports++;
    keep_text(world->panel.report, sizeof(world->panel.report), request->body);
    keep_text(world->panel.report_backup, sizeof(world->panel.report_backup),
              slice_str(http_param(request, "backup")));
    keep_text(world->panel.authorization, sizeof(world->panel.authorization),
              slice_str(authorization == NULL ? "" : authorization));
    http_reply_status(reply, world->panel.report_status);
    pthread_cond_broadcast(&world->has_changed);
    pthread_mutex_unlock(&world->mutex);
}

static void panel_restore(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct world *world = app;
    pthread_mutex_lock(&world->mutex);
    world->panel.restores++;
    keep_text(world->panel.restore, sizeof(world->panel.restore), request->body);
    http_reply_status(reply, world->panel.restore_status);
    pthread_cond_broadcast(&world->has_changed);
    pthread_mutex_unlock(&world->mutex);
}

static void panel_heartbeat(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct world *world = app;
    pthread_mutex_lock(&world->mutex);
    world->panel.heartbeats++;
    pthread_cond_broadcast(&world->has_changed);
    pthread_mutex_unlock(&world->mutex);
    http_reply_status(reply, 204);
}

static void write_error(const struct http_request *request, struct http_reply *reply,
                        unsigned status, const char *reason, void *app)
{
    http_reply_status(reply, status);
}

static void start_panel(struct world *world)
{
    struct http_router_options options = {.workers = 4,
                                          .queue_max = 64,
                                          .body_max_bytes = 64 * 1024,
                                          .write_error = write_error,
                                          .app = world,
                                          .prefixes = {"/api/remote"}};
    static http_handler *const handlers[REMOTE_OP_COUNT] = {
        [REMOTE_OP_SERVERS] = panel_servers,
        [REMOTE_OP_SERVER] = panel_server,
        [REMOTE_OP_SERVERS_RESET] = panel_reset,
        [REMOTE_OP_BACKUP_REPORT] = panel_report,
        [REMOTE_OP_RESTORE_REPORT] = panel_restore,
        [REMOTE_OP_UNDO_REPORT] = panel_restore,
        [REMOTE_OP_BACKUP_HEARTBEAT] = panel_heartbeat,
    };
    world->panel_router = http_router_create("panel", &options);
    for (int operation = 0; operation < REMOTE_OP_COUNT; operation++) {
        const struct remote_operation_form *form =
            remote_operation_form((enum remote_operation)operation);
        if (handlers[operation] != NULL)
            http_route(world->panel_router, form->method, form->pattern, handlers[operation], world,
                       HTTP_WORKER);
    }
    struct error err = ERROR_INIT;
    struct http_server_config config = {.address = "127.0.0.1", .threads = 1};
    world->panel_server = http_server_start(&config, &world->panel_router, 1, &err);
    if (world->panel_server == NULL)
        fail_msg("%s", err.text);
    snprintf(world->panel_url, sizeof(world->panel_url), "http://127.0.0.1:%u",
             (unsigned)http_server_port(world->panel_server));
}

struct world *world_make(void)
{
    struct world *world = xcalloc(1, sizeof(*world));
    log_set_level(LOG_ERROR);
    pthread_mutex_init(&world->mutex, NULL);
    thread_cond_init(&world->has_changed);
    scratch_make(world->directory);
    world->backups = scratch_path("%s/backups", world->directory);
    world->servers = scratch_path("%s/servers", world->directory);
    world->live = scratch_path("%s/servers/" SERVER, world->directory);
    scratch_directory(world->servers);
    scratch_directory(world->live);
    world->panel = (struct panel_script){.report_status = 204, .restore_status = 204};
    world->client = http_client_create(&(struct http_client_options){.timeout_ms = 0});
    start_panel(world);
    world->config = (struct node_config){
        .panel_url = world->panel_url,
        .token_id = TOKEN_ID,
        .token = TOKEN,
        .state_directory = world->directory,
        .backup_directory = world->backups,
        .server_directory = world->servers,
        .compression = ARCHIVE_FAST,
        .checksum_type = DIGEST_SHA256,
        .jobs_max = 2,
        .workers = 4,
        .heartbeat_s = 1,
    };
    return world;
}

void world_start_node(struct world *world)
{
    struct error err = ERROR_INIT;
    world->node = node_start(&world->config, &err);
    if (world->node == NULL)
        fail_msg("%s", err.text);
    struct http_router *router = node_router(world->node);
    static const char *const proxies[] = {"127.0.0.1", NULL};
    struct http_server_config config = {
        .address = "127.0.0.1", .threads = 1, .trusted_proxies = proxies};
    world->node_server = http_server_start(&config, &router, 1, &err);
    if (world->node_server == NULL)
        fail_msg("%s", err.text);
    snprintf(world->node_url, sizeof(world->node_url), "http://127.0.0.1:%u",
             (unsigned)http_server_port(world->node_server));
    node_connect(world->node);
}

void world_stop_node(struct world *world)
{
    if (world->node == NULL)
        return;
    http_server_stop(world->node_server, 1000);
    node_stop(world->node);
    world->node = NULL;
}

void world_free(struct world *world)
{
    world_hold_servers(world, false);
    world_stop_node(world);
    http_client_free(world->client);
    http_server_stop(world->panel_server, 1000);
    http_router_free(world->panel_router);
    scratch_remove(world->directory);
    free(world->backups);
    free(world->servers);
    free(world->live);
    pthread_cond_destroy(&world->has_changed);
    pthread_mutex_destroy(&world->mutex);
    free(world);
}

void world_answer(struct world *world, unsigned report_status, unsigned restore_status)
{
    pthread_mutex_lock(&world->mutex);
    world->panel.report_status = report_status;
    world->panel.restore_status = restore_status;
    pthread_mutex_unlock(&world->mutex);
}

void world_hold_servers(struct world *world, bool holds)
{
    pthread_mutex_lock(&world->mutex);
    world->panel.holds_servers = holds;
    pthread_cond_broadcast(&world->has_changed);
    pthread_mutex_unlock(&world->mutex);
}

static void wait_for(struct world *world, const size_t *counter, size_t count)
{
    int64_t deadline_us = time_monotonic_us() + 10 * 1000 * 1000;
    pthread_mutex_lock(&world->mutex);
    while (*counter < count && time_monotonic_us() < deadline_us)
        thread_wait(&world->has_changed, &world->mutex, 100);
    size_t heard = *counter;
    pthread_mutex_unlock(&world->mutex);
    if (heard < count)
        fail_msg("the panel heard %zu reports instead of %zu", heard, count);
}

void world_wait_reports(struct world *world, size_t count)
{
    wait_for(world, &world->panel.reports, count);
}

void world_wait_restores(struct world *world, size_t count)
{
    wait_for(world, &world->panel.restores, count);
}

void world_wait_resets(struct world *world, size_t count)
{
    wait_for(world, &world->panel.resets, count);
}

unsigned world_call(struct world *world, const char *method, const char *path, const char *text,
                    struct buf *body)
{
    struct error err = ERROR_INIT;
    scope_free char *url = scratch_path("%s%s", world->node_url, path);
    const char *const headers[] = {"Authorization: Bearer " TOKEN, NULL};
    struct http_call call = {.method = method,
                             .url = url,
                             .headers = headers,
                             .body = slice_str(text == NULL ? "" : text)};
    struct http_answer answer;
    must(http_client_call(world->client, &call, &answer, &err), &err);
    unsigned status = answer.status;
    if (body != NULL)
        buf_add(body, answer.body.data, answer.body.length);
    http_answer_free(&answer);
    return status;
}

void world_back_up(struct world *world, const char *backup)
{
    size_t before = world->panel.reports;
    scope_free char *order =
        scratch_path("{\"adapter\":\"wings\",\"uuid\":\"%s\",\"ignore\":\"\"}", backup);
    assert_int_equal(world_call(world, "POST", "/api/servers/" SERVER "/backup", order, NULL), 202);
    world_wait_reports(world, before + 1);
    assert_string_equal(world->panel.report_backup, backup);
    assert_non_null(strstr(world->panel.report, "\"successful\":true"));
}

int world_set_up(void **context)
{
    struct world *world = world_make();
    world_start_node(world);
    *context = world;
    return 0;
}

int world_tear_down(void **context)
{
    world_free(*context);
    return 0;
}

void write_live(struct world *world, const char *name, const char *text)
{
    scope_free char *path = scratch_path("%s/%s", world->live, name);
    scratch_write(path, text);
}

void assert_live(struct world *world, const char *name, const char *text)
{
    scope_free char *path = scratch_path("%s/%s", world->live, name);
    scope_free char *found = scratch_read(path);
    assert_string_equal(found, text);
}

char *archive_path(struct world *world, const char *backup)
{
    return scratch_path("%s/" SERVER "/%s.tar.gz", world->backups, backup);
}
