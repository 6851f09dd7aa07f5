/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_WORLD_H
#define PANEL_WORLD_H

#include "db/activity.h"
#include "db/api_key.h"
#include "db/backup.h"
#include "db/node.h"
#include "db/server.h"
#include "db/subuser.h"
#include "db/user.h"
#include "net/raw_fixture.h"
#include "panel/panel.h"

/*
 * For tests: a real panel on a real database and port, people, and nodes that can be told how to
 * answer.  Every node has one server.
 *
 *   people    owner of all servers but other_node's; admin
 *             friend, a subuser of node's server; stranger, owner of other_node's
 *   nodes     node, other_node   answer as told
 *             gone_node          nobody listens
 *             mute_node          takes the order, never answers
 */
enum world_person {
    OWNER,
    ADMIN,
    FRIEND,
    STRANGER,
    PEOPLE
};
enum world_node {
    NODE,
    OTHER_NODE,
    GONE_NODE,
    MUTE_NODE,
    NODES
};

struct world {
    char directory[32];
    struct db *db;
    struct seal_keys app_keys;
    struct panel *panel;
    struct http_server *http;
    uint16_t port;

    int64_t people[PEOPLE];
    char keys[PEOPLE][API_KEY_TOKEN_BYTES];
    int64_t nodes[NODES];
    char node_keys[NODES][NODE_TOKEN_ID_LENGTH + NODE_TOKEN_LENGTH + 2]; /* "id.token" */
    char node_secrets[NODES][NODE_TOKEN_LENGTH + 1];
    struct server servers[NODES]; /* one on each node; the owner's but for OTHER_NODE's */

    /* How the nodes that answer do it, and what they were told last. */
    unsigned node_status;
    char order_path[256];
    char order_body[4096];
    _Atomic(int) orders;
    void (*on_order)(struct world *world); /* before the answer; may be NULL */
    struct http_router *node_router;
    struct http_server *node_http;
    int mute_fd;
    pthread_t mute_thread;
};

/* Zero fields of `config` become: auto dialect, no rate limit, no throttle, leases of 60 s. */
void world_start(struct world *world, const struct panel_config *config);
void world_stop(struct world *world);

/* Ask the panel; `headers` as "Name: value\r\n…" or NULL; `body` NULL: none. */
struct raw_answer ask(struct world *world, const char *method, const char *path, const char *key,
                      const char *headers, const char *body);

/* Ask and compare status and, where not NULL, that the body holds `part`. */
void expect(struct world *world, const char *method, const char *path, const char *key,
            const char *body, unsigned status, const char *part);
#define EXTENDED "Accept: Application/vnd.pterodactyl.v1+json\r\n"

/* "/api/client/servers/<uuid><rest>" of a node's server; good for the next call of up to 8. */
const char *client_path(const struct world *world, enum world_node node, const char *rest);
const char *backup_path(const struct world *world, enum world_node node, const char *uuid,
                        const char *rest);
const char *remote_path(const char *uuid, const char *rest);

/* Straight into the database. */
void run_sql(struct world *world, const char *sql);
int64_t count_sql(struct world *world, const char *sql);
void set_status(struct world *world, enum world_node node, enum server_status status);
enum row_state {
    ROW_CREATING,
    ROW_COMPLETED,
    ROW_FAILED
};
/* A backup of the node's server; its uuid goes to `uuid`. */
void add_backup(struct world *world, enum world_node node, enum row_state state,
                char uuid[UUID_TEXT_BYTES]);
/* "creating", "completed", "failed" or "none". */
const char *state_of(struct world *world, const char *uuid);

#endif
