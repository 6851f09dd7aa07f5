/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_NODE_H
#define DB_NODE_H

#include "base/buf.h"
#include "base/uuid.h"
#include "crypt/seal.h"
#include "db/db.h"

/* Nodes: where the daemons are, and their tokens (16-character id, 64-character secret, sealed). */
enum {
    NODE_TOKEN_ID_LENGTH = 16,
    NODE_TOKEN_LENGTH = 64
};

struct node {
    int64_t id;
    char uuid[UUID_TEXT_BYTES];
    char *name;
    char *fqdn;
    char scheme[8]; /* "http" or "https" */
    uint16_t daemon_port;
    bool is_behind_proxy;
    bool is_in_maintenance;
    char token_id[NODE_TOKEN_ID_LENGTH + 1];
    char *sealed_token;
};

void node_free(struct node *node);

/*
 * Makes uuid, token_id and token, and sets `id`; `token` gets the secret (NODE_TOKEN_LENGTH
 * characters).  CONFLICT: a node has that name.
 */
int node_create(struct db_session *session, const struct seal_keys *keys, struct node *node,
                struct buf *token, struct error *err);
int node_find(struct db_session *session, int64_t id, struct node *node, struct error *err);
int node_find_by_token_id(struct db_session *session, const char *token_id, struct node *node,
                          struct error *err);

/* A uuid comes before an equal name; of nodes with the same name, the oldest. */
int node_find_by_name(struct db_session *session, const char *name_or_uuid, struct node *node,
                      struct error *err);
int node_each(struct db_session *session,
              int (*visit)(const struct node *node, void *context, struct error *err),
              void *context, struct error *err);
int node_set_address(struct db_session *session, int64_t id, const char *scheme, const char *fqdn,
                     uint16_t port, struct error *err);
int node_set_maintenance(struct db_session *session, int64_t id, bool is_in_maintenance,
                         struct error *err);
int node_delete(struct db_session *session, int64_t id,
                struct error *err); /* CONFLICT: has servers */

#endif
