/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping a node: the order in which its parts come and go. */
#include "node/node.h"

#include <stdlib.h>

#include "base/mem.h"
#include "node/node_internal.h"

enum {
    HEARTBEAT_DEFAULT_S = 1
};

/*
 * Everything but the HTTP side, which ended before.  First whoever makes work, then whoever is called by it;
 * the journal at last.
 */
static void node_free(struct node *node)
{
    if (node->has_threads) {
        pthread_mutex_lock(&node->mutex);
        node->is_stopping = true;
        cancel_set(&node->cancel);
        pthread_cond_broadcast(&node->has_changed);
        pthread_mutex_unlock(&node->mutex);
    }
    outbox_stop(node->outbox);
    http_router_free(node->router);
    queue_stop(node->queue);
    if (node->has_threads) {
        pthread_join(node->keeper, NULL);
        pthread_join(node->sweeper, NULL);
    }
    queue_free(node->queue); /* the keeper looked into it until now */
    outbox_free(node->outbox);
    hub_free(node->hub);
    servers_free(node->servers);
    remote_api_free(node->remote);
    places_close(&node->places);
    journal_close(node->journal);
    pthread_cond_destroy(&node->has_changed);
    pthread_mutex_destroy(&node->mutex);
    pthread_mutex_destroy(&node->sweeping);
    pthread_mutex_destroy(&node->accept);
    free(node);
}

static struct node *node_new(const struct node_config *config)
{
    struct node *node = xcalloc(1, sizeof(*node));
    node->config = *config;
    if (node->config.heartbeat_s == 0)
        node->config.heartbeat_s = HEARTBEAT_DEFAULT_S;
    if (node->config.workers == 0)
        node->config.workers = 1;
    node->places = (struct places){.backups_fd = -1, .servers_fd = -1};
    pthread_mutex_init(&node->accept, NULL);
    pthread_mutex_init(&node->mutex, NULL);
    pthread_mutex_init(&node->sweeping, NULL);
    thread_cond_init(&node->has_changed);
    return node;
}

struct node *node_start(const struct node_config *config, struct error *err)
{
    struct node *node = node_new(config);
    node->journal = journal_open(config->state_directory, err);
    if (node->journal == NULL || places_open(&node->places, node->journal, config->backup_directory,
                                             config->server_directory, err) < 0) {
        node_free(node);
        error_wrap(err, "starting the node");
        return NULL;
    }
    node->remote = remote_api_create(config->panel_url, config->token_id, config->token,
                                     config->panel_ca_file);
    node->servers = servers_create(node->remote);
    node->hub = hub_create(node->journal, config->token);
    node->outbox = outbox_create(node->journal, node->remote, event_delivered, node);
    node->queue = queue_create(config->jobs_max, job_run, node);
    if (recover(node, err) < 0) {
        node_free(node);
        error_wrap(err, "settling what the last run of the node left");
        return NULL;
    }
    node->has_leftovers = true;
    node->keeper = thread_start("node-keeper", keeper_run, node);
    node->sweeper = thread_start("node-sweeper", sweeper_run, node);
    node->has_threads = true;
    node->router = routes_create(node);
    return node;
}

void node_connect(struct node *node)
{
    pthread_mutex_lock(&node->mutex);
    node->is_connected = true;
    pthread_cond_broadcast(&node->has_changed);
    pthread_mutex_unlock(&node->mutex);
    outbox_connect(node->outbox);
}

struct http_router *node_router(struct node *node)
{
    return node->router;
}

void node_stop(struct node *node)
{
    if (node != NULL)
        node_free(node);
}
