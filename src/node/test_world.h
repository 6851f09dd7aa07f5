/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_TEST_WORLD_H
#define NODE_TEST_WORLD_H

#include "net/client.h"
#include "node/node.h"
#include "node/test_scratch.h"

/*
 * For tests: a whole node behind a real HTTP server, and at the other end of its remote API a panel that
 * answers as it is told and writes down what it heard.  SERVER and OTHER_SERVER are the node's.
 */
#define API "/api/servers/" SERVER
#define TOKEN_ID "abcdefghijklmnop"
#define TOKEN "the node's secret of sixty-four characters, as a panel makes them"

struct panel_script {
    unsigned report_status, restore_status; /* what it answers */
    int64_t disk_mib;
    bool holds_servers; /* GET /servers/{server} waits until this is false */

    /* what it heard */
    size_t reports, restores, resets, heartbeats;
    char report[512], restore[512], reset[512]; /* the last bodies */
    char report_backup[64], authorization[160];
};

struct world {
    char directory[128];
    char *backups, *servers, *live; /* live: SERVER's directory */
    char panel_url[64], node_url[64];
    struct node_config config;
    struct node *node;
    struct http_server *node_server, *panel_server;
    struct http_router *panel_router;
    struct http_client *client;
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    struct panel_script panel;
};

struct world *world_make(void); /* with a panel and without a node */
void world_free(struct world *world);
void world_start_node(struct world *world);
void world_stop_node(struct world *world);

/* Change the script under its lock. */
void world_answer(struct world *world, unsigned report_status, unsigned restore_status);
void world_hold_servers(struct world *world, bool holds);

/* Wait until the panel has heard so many reports; fails after ten seconds. */
void world_wait_reports(struct world *world, size_t count);
void world_wait_restores(struct world *world, size_t count);
void world_wait_resets(struct world *world, size_t count);

/* Call the node with its token; the answer's body in `body` (may be NULL). */
unsigned world_call(struct world *world, const char *method, const char *path, const char *text,
                    struct buf *body);

/* Order a backup of SERVER and wait for its success. */
void world_back_up(struct world *world, const char *backup);

/* Set-up and tear-down of a test, whose context is a world with a node. */
int world_set_up(void **context);
int world_tear_down(void **context);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

/* Files of SERVER's directory; one that is not there reads as "". */
void write_live(struct world *world, const char *name, const char *text);
void assert_live(struct world *world, const char *name, const char *text);

/* Where SERVER's archive is; the caller frees it. */
char *archive_path(struct world *world, const char *backup);

#endif
