/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and their tokens. */
#include "db/node.h"

#include <stdlib.h>

#include "base/random.h"
#include "db/record.h"

#define SELECT                                                                                     \
    "SELECT id, uuid, name, fqdn, scheme, daemonListen, behind_proxy, maintenance_mode,"           \
    " daemon_token_id, daemon_token FROM nodes"

static void read_row(const struct db_rows *rows, struct node *node)
{
    *node = (struct node){
        .id = db_get_int(rows, 0),
        .name = record_borrow(rows, 2),
        .fqdn = record_borrow(rows, 3),
        .daemon_port = (uint16_t)db_get_int(rows, 5),
        .is_behind_proxy = db_get_int(rows, 6) != 0,
        .is_in_maintenance = db_get_int(rows, 7) != 0,
        .sealed_token = record_borrow(rows, 9),
    };
    record_copy_to(node->uuid, db_get_text(rows, 1));
    record_copy_to(node->scheme, db_get_text(rows, 4));
    record_copy_to(node->token_id, db_get_text(rows, 8));
}

void node_free(struct node *node)
{
    free(node->name);
    free(node->fqdn);
    free(node->sealed_token);
    *node = (struct node){0};
}

static int insert(struct db_session *session, const struct node *node, const char *sealed,
                  struct error *err)
{
    char now[TIME_TEXT_BYTES];
    db_time_text(time_now_us(), now);
    return db_run(session,
                  "INSERT INTO nodes (uuid, public, name, location_id, fqdn, scheme, behind_proxy,"
                  " maintenance_mode, memory, disk, daemon_token_id, daemon_token, daemonListen,"
                  " created_at, updated_at) VALUES (?, 1, ?, 1, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)",
                  DB_PARAMS(db_text(node->uuid), db_text(node->name), db_text(node->fqdn),
                            db_text(node->scheme[0] == '\0' ? "https" : node->scheme),
                            db_int(node->is_behind_proxy), db_int(node->is_in_maintenance),
                            db_text(node->token_id), db_text(sealed), db_int(node->daemon_port),
                            db_text(now), db_text(now)),
                  NULL, err);
}

int node_create(struct db_session *session, const struct seal_keys *keys, struct node *node,
                struct buf *token, struct error *err)
{
    int64_t namesakes;
    if (db_query_int(session, "SELECT COUNT(*) FROM nodes WHERE name = ?",
                     DB_PARAMS(db_text(node->name)), 0, &namesakes, err) < 0)
        return -1;
    if (namesakes > 0)
        return error_set(err, ERROR_CONFLICT, "there is a node '%.100s' already", node->name);
    char secret[NODE_TOKEN_LENGTH + 1];
    random_alphanumeric(secret, NODE_TOKEN_LENGTH);
    random_alphanumeric(node->token_id, NODE_TOKEN_ID_LENGTH);
    uuid_make(node->uuid);
    scope_buf struct buf sealed = BUF_INIT;
    seal_string(keys, secret, &sealed);
    if (insert(session, node, sealed.data, err) < 0)
        return error_wrap(err, "adding node '%.100s'", node->name);
    node->id = db_last_id(session);
    buf_add_str(token, secret);
    return 0;
}

static int find(struct db_rows *rows, struct node *node, struct error *err)
{
    int more = db_next(rows, err);
    if (more > 0) {
        read_row(rows, node);
        record_own(&node->name);
        record_own(&node->fqdn);
        record_own(&node->sealed_token);
    }
    return more;
}

int node_find(struct db_session *session, int64_t id, struct node *node, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " WHERE id = ?", DB_PARAMS(db_int(id)), &rows, err) < 0)
        return -1;
    return find(&rows, node, err);
}

int node_find_by_token_id(struct db_session *session, const char *token_id, struct node *node,
                          struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " WHERE daemon_token_id = ?", DB_PARAMS(db_text(token_id)), &rows,
                 err) < 0)
        return -1;
    int found = find(&rows, node, err);
    /* Some databases compare without case. */
    if (found > 0 && strcmp(node->token_id, token_id) != 0) {
        node_free(node);
        return 0;
    }
    return found;
}

int node_find_by_name(struct db_session *session, const char *name_or_uuid, struct node *node,
                      struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 SELECT " WHERE name = ? OR uuid = ?"
                        " ORDER BY CASE WHEN uuid = ? THEN 0 ELSE 1 END, id LIMIT 1",
                 DB_PARAMS(db_text(name_or_uuid), db_text(name_or_uuid), db_text(name_or_uuid)),
                 &rows, err) < 0)
        return -1;
    return find(&rows, node, err);
}

int node_each(struct db_session *session,
              int (*visit)(const struct node *node, void *context, struct error *err),
              void *context, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " ORDER BY id", DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        struct node node;
        read_row(&rows, &node);
        if (visit(&node, context, err) < 0)
            return -1;
    }
    return more;
}

int node_set_address(struct db_session *session, int64_t id, const char *scheme, const char *fqdn,
                     uint16_t port, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session,
               "UPDATE nodes SET scheme = ?, fqdn = ?, daemonListen = ?, updated_at = ?"
               " WHERE id = ?",
               DB_PARAMS(db_text(scheme), db_text(fqdn), db_int(port),
                         db_text(db_time_text(time_now_us(), now)), db_int(id)),
               &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "node", id, err);
}

int node_set_maintenance(struct db_session *session, int64_t id, bool is_in_maintenance,
                         struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session, "UPDATE nodes SET maintenance_mode = ?, updated_at = ? WHERE id = ?",
               DB_PARAMS(db_int(is_in_maintenance), db_text(db_time_text(time_now_us(), now)),
                         db_int(id)),
               &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "node", id, err);
}

int node_delete(struct db_session *session, int64_t id, struct error *err)
{
    int64_t servers;
    int64_t changed;
    if (db_query_int(session, "SELECT COUNT(*) FROM servers WHERE node_id = ?",
                     DB_PARAMS(db_int(id)), 0, &servers, err) < 0)
        return -1;
    if (servers > 0)
        return error_set(err, ERROR_CONFLICT, "node %" PRId64 " has %" PRId64 " servers", id,
                         servers);
    if (db_run(session, "DELETE FROM nodes WHERE id = ?", DB_PARAMS(db_int(id)), &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "node", id, err);
}
