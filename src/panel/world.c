/* SPDX-License-Identifier: Apache-2.0 */
#include "panel/world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"

#define OK(expression) assert_true((expression) >= 0)

static struct error err;

static struct db_session *begin(struct world *world)
{
    struct db_session *session = db_begin(world->db, &err);
    if (session == NULL)
        fail_msg("%s", err.text);
    return session;
}

static void commit(struct db_session *session)
{
    if (error_is_set(&err) || db_commit(session, &err) < 0)
        fail_msg("%s", err.text);
}

/* ---- nodes ---- */

static void take_order(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct world *world = app;
    snprintf(world->order_path, sizeof(world->order_path), "%s %s",
             http_method_name(request->method), request->path);
    snprintf(world->order_body, sizeof(world->order_body), "%.*s", (int)request->body.length,
             (const char *)request->body.data);
    world->orders++;
    assert_non_null(http_bearer(request));
    if (world->on_order != NULL)
        world->on_order(world);
    http_reply_status(reply, world->node_status);
    if (world->node_status >= 400)
        buf_add_str(http_reply_body(reply), "{\"error\":\"no\",\"request_id\":\"r-1\"}");
}

static void node_error(const struct http_request *request, struct http_reply *reply,
                       unsigned status, const char *reason, void *app)
{
}

static void start_node(struct world *world)
{
    struct http_router_options options = {
        .workers = 4, .queue_max = 64, .body_max_bytes = 65536, .write_error = node_error};
    world->node_router = http_router_create("node", &options);
    http_route(world->node_router, HTTP_POST, "/api/servers/{s}/backup", take_order, world,
               HTTP_WORKER);
    http_route(world->node_router, HTTP_POST, "/api/servers/{s}/backup/{b}/restore", take_order,
               world, HTTP_WORKER);
    http_route(world->node_router, HTTP_POST, "/api/servers/{s}/backup/{b}/cancel", take_order,
               world, HTTP_WORKER);
    http_route(world->node_router, HTTP_POST, "/api/servers/{s}/restore/cancel", take_order, world,
               HTTP_WORKER);
    http_route(world->node_router, HTTP_DELETE, "/api/servers/{s}/backup/{b}", take_order, world,
               HTTP_WORKER);
    struct http_server_config config = {.address = "127.0.0.1", .threads = 1};
    world->node_http = http_server_start(&config, &world->node_router, 1, &err);
    assert_non_null(world->node_http);
    world->node_status = 202;
}

static int listen_somewhere(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Reads what comes and hangs up. */
static void *be_mute(void *argument)
{
    struct world *world = argument;
    int fd;
    while ((fd = accept(world->mute_fd, NULL, NULL)) >= 0) {
        char bytes[4096];
        if (recv(fd, bytes, sizeof(bytes), 0) > 0)
            world->orders++;
        close(fd);
    }
    return NULL;
}

static void add_node(struct world *world, struct db_session *session, enum world_node which,
                     uint16_t port)
{
    static char *const names[NODES] = {"node", "other", "gone", "mute"};
    struct node node = {
        .name = names[which], .fqdn = "127.0.0.1", .scheme = "http", .daemon_port = port};
    scope_buf struct buf token = BUF_INIT;
    OK(node_create(session, &world->app_keys, &node, &token, &err));
    world->nodes[which] = node.id;
    snprintf(world->node_keys[which], sizeof(world->node_keys[which]), "%s.%s", node.token_id,
             token.data);
    snprintf(world->node_secrets[which], sizeof(world->node_secrets[which]), "%s", token.data);
}

static void add_nodes(struct world *world, struct db_session *session)
{
    uint16_t gone_port, mute_port;
    close(listen_somewhere(&gone_port));
    world->mute_fd = listen_somewhere(&mute_port);
    world->mute_thread = thread_start("mute", be_mute, world);
    start_node(world);
    add_node(world, session, NODE, http_server_port(world->node_http));
    add_node(world, session, OTHER_NODE, http_server_port(world->node_http));
    add_node(world, session, GONE_NODE, gone_port);
    add_node(world, session, MUTE_NODE, mute_port);
}

/* ---- people and servers ---- */

static void add_people(struct world *world, struct db_session *session)
{
    static char *const names[PEOPLE] = {"owner", "admin", "friend", "stranger"};
    for (int i = 0; i < PEOPLE; i++) {
        scope_free char *email = xasprintf("%s@example.org", names[i]);
        struct user user = {
            .username = names[i], .email = email, .language = "en", .is_root_admin = i == ADMIN};
        OK(user_insert(session, &user, &err));
        world->people[i] = user.id;
        struct api_key key = {.user_id = user.id, .type = API_KEY_CLIENT};
        OK(api_key_create(session, &world->app_keys, &key, world->keys[i], &err));
    }
}

static void add_servers(struct world *world, struct db_session *session)
{
    for (int i = 0; i < NODES; i++) {
        struct server server = {
            .node_id = world->nodes[i],
            .owner_id = world->people[i == OTHER_NODE ? STRANGER : OWNER],
            .name = "Survival",
            .description = "",
            .backup_limit = 3,
        };
        OK(server_insert(session, &server, &err));
        world->servers[i] = server;
    }
    OK(subuser_set(session, world->people[FRIEND], world->servers[NODE].id,
                   "[\"backup.read\",\"backup.create\"]", &err));
}

void world_start(struct world *world, const struct panel_config *config)
{
    *world = (struct world){.directory = "/tmp/roost-panel-XXXXXX"};
    err = (struct error)ERROR_INIT;
    log_set_level(LOG_ERROR);
    assert_non_null(mkdtemp(world->directory));
    scope_free char *url = xasprintf("sqlite:%s/panel.db", world->directory);
    world->db = db_open(url, &err);
    assert_non_null(world->db);
    scope_buf struct buf app_key = BUF_INIT;
    seal_key_make(&app_key);
    OK(seal_keys_add(&world->app_keys, app_key.data, &err));

    struct panel_config ours = *config;
    ours.url = "https://panel.example.org";
    ours.app_keys = world->app_keys;
    ours.lease_s = config->lease_s != 0 ? config->lease_s : 60;
    ours.download_url_life_s = 3600;
    ours.workers = 4;
    world->panel = panel_start(world->db, &ours, &err);
    if (world->panel == NULL)
        fail_msg("%s", err.text);

    struct db_session *session = begin(world);
    add_people(world, session);
    add_nodes(world, session);
    add_servers(world, session);
    commit(session);

    struct http_router *routers[PANEL_ROUTERS];
    panel_routers(world->panel, routers);
    struct http_server_config http = {.address = "127.0.0.1", .threads = 2};
    world->http = http_server_start(&http, routers, PANEL_ROUTERS, &err);
    assert_non_null(world->http);
    world->port = http_server_port(world->http);
}

void world_stop(struct world *world)
{
    http_server_stop(world->http, 1000);
    panel_stop(world->panel);
    http_server_stop(world->node_http, 1000);
    http_router_free(world->node_router);
    shutdown(world->mute_fd, SHUT_RDWR);
    pthread_join(world->mute_thread, NULL);
    close(world->mute_fd);
    db_close(world->db);
    scope_fd int parent_fd = directory_open("/tmp", &err);
    OK(beneath_remove_tree(parent_fd, world->directory + strlen("/tmp/"), &err));
}

/* ---- asking ---- */

struct raw_answer ask(struct world *world, const char *method, const char *path, const char *key,
                      const char *headers, const char *body)
{
    scope_buf struct buf text = BUF_INIT;
    buf_printf(&text, "%s %s HTTP/1.1\r\nHost: panel.example.org\r\n", method, path);
    if (key != NULL)
        buf_printf(&text, "Authorization: Bearer %s\r\n", key);
    if (headers != NULL)
        buf_add_str(&text, headers);
    if (body != NULL)
        buf_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                   strlen(body));
    buf_printf(&text, "\r\n%s", body != NULL ? body : "");
    return raw_ask(world->port, text.data);
}

void expect(struct world *world, const char *method, const char *path, const char *key,
            const char *body, unsigned status, const char *part)
{
    struct raw_answer answer = ask(world, method, path, key, NULL, body);
    if (answer.status != status || (part != NULL && strstr(answer.body.data, part) == NULL))
        fail_msg("%s %s %s\nwanted %u %s, got:\n%s%s", method, path, body != NULL ? body : "",
                 status, part != NULL ? part : "", answer.head.data, answer.body.data);
    if (status == 204)
        assert_int_equal(answer.body.length, 0);
    raw_answer_free(&answer);
}

static char *next_path(void)
{
    static char paths[8][256];
    static unsigned next;
    return paths[next++ % 8];
}

const char *client_path(const struct world *world, enum world_node node, const char *rest)
{
    char *path = next_path();
    snprintf(path, 256, "/api/client/servers/%s%s", world->servers[node].uuid, rest);
    return path;
}

const char *backup_path(const struct world *world, enum world_node node, const char *uuid,
                        const char *rest)
{
    char *path = next_path();
    snprintf(path, 256, "/api/client/servers/%s/backups/%s%s", world->servers[node].uuid, uuid,
             rest);
    return path;
}

const char *remote_path(const char *uuid, const char *rest)
{
    char *path = next_path();
    snprintf(path, 256, "/api/remote/backups/%s%s", uuid, rest);
    return path;
}

/* ---- the database ---- */

void run_sql(struct world *world, const char *sql)
{
    struct db_session *session = begin(world);
    OK(db_run(session, sql, DB_NO_PARAMS, NULL, &err));
    commit(session);
}

int64_t count_sql(struct world *world, const char *sql)
{
    struct db_session *session = db_reader(world->db, &err);
    int64_t value = -1;
    if (session == NULL || db_query_int(session, sql, DB_NO_PARAMS, -1, &value, &err) < 0)
        fail_msg("%s", err.text);
    return value;
}

void set_status(struct world *world, enum world_node node, enum server_status status)
{
    struct db_session *session = begin(world);
    OK(server_set_status(session, world->servers[node].id, status, &err));
    commit(session);
}

void add_backup(struct world *world, enum world_node node, enum row_state state,
                char uuid[UUID_TEXT_BYTES])
{
    struct backup backup = {
        .server_id = world->servers[node].id,
        .is_successful = state == ROW_COMPLETED,
        .name = "A backup",
        .ignored_files = "[]",
        .disk = "wings",
        .bytes = state == ROW_COMPLETED ? 1234 : 0,
        .checksum = state == ROW_COMPLETED ? "sha256:"
                                             "e3b0c44298fc1c149afbf4c8996fb924"
                                             "27ae41e4649b934ca495991b7852b855"
                                           : NULL,
        .completed_at_us = state == ROW_CREATING ? 0 : time_now_us(),
        .lease_until_us = state == ROW_CREATING ? time_now_us() + 60000000 : 0,
    };
    struct db_session *session = begin(world);
    OK(backup_insert(session, &backup, &err));
    commit(session);
    memcpy(uuid, backup.uuid, UUID_TEXT_BYTES);
}

const char *state_of(struct world *world, const char *uuid)
{
    struct backup backup = {0};
    struct db_session *session = db_reader(world->db, &err);
    int found = session == NULL ? -1 : backup_find(session, uuid, &backup, &err);
    OK(found);
    const char *state = found == 0                    ? "none"
                        : backup.completed_at_us == 0 ? "creating"
                        : backup.is_successful        ? "completed"
                                                      : "failed";
    backup_free(&backup);
    return state;
}
