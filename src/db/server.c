/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: found, listed, made and removed.  Their state is in server_state.c. */
#include "db/server.h"

#include <stdlib.h>

#include "db/record.h"

#define SELECT                                                                                     \
    "SELECT id, uuid, uuidShort, node_id, owner_id, name, description, status, memory, swap, "     \
    "disk,"                                                                                        \
    " io, cpu, backup_limit, (SELECT COUNT(*) FROM server_transfers t"                             \
    " WHERE t.server_id = servers.id AND t.successful IS NULL) FROM servers"
#define OF_VIEWER "(owner_id = ? OR id IN (SELECT server_id FROM subusers WHERE user_id = ?))"

static const char *const status_names[] = {
    [SERVER_NORMAL] = NULL,
    [SERVER_INSTALLING] = "installing",
    [SERVER_INSTALL_FAILED] = "install_failed",
    [SERVER_REINSTALL_FAILED] = "reinstall_failed",
    [SERVER_SUSPENDED] = "suspended",
    [SERVER_RESTORING_BACKUP] = "restoring_backup",
};

const char *server_status_name(enum server_status status)
{
    return status_names[status];
}

static enum server_status status_of(const char *name)
{
    if (name == NULL)
        return SERVER_NORMAL;
    for (size_t i = 1; i < sizeof(status_names) / sizeof(status_names[0]); i++) {
        if (strcmp(status_names[i], name) == 0)
            return (enum server_status)i;
    }
    return SERVER_SUSPENDED; /* a state that we do not know: the one in which nothing may happen */
}

static void read_row(const struct db_rows *rows, struct server *server)
{
    *server = (struct server){
        .id = db_get_int(rows, 0),
        .node_id = db_get_int(rows, 3),
        .owner_id = db_get_int(rows, 4),
        .name = record_borrow(rows, 5),
        .description = record_borrow(rows, 6),
        .status = status_of(db_get_text(rows, 7)),
        .memory_mib = db_get_int(rows, 8),
        .swap_mib = db_get_int(rows, 9),
        .disk_mib = db_get_int(rows, 10),
        .io_weight = db_get_int(rows, 11),
        .cpu_percent = db_get_int(rows, 12),
        .backup_limit = db_get_int(rows, 13),
        .is_transferring = db_get_int(rows, 14) > 0,
    };
    record_copy_to(server->uuid, db_get_text(rows, 1));
    record_copy_to(server->uuid_short, db_get_text(rows, 2));
}

void server_free(struct server *server)
{
    free(server->name);
    free(server->description);
    *server = (struct server){0};
}

static int insert(struct db_session *session, const struct server *server, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    db_time_text(time_now_us(), now);
    const char *description = server->description != NULL ? server->description : "";
    return db_run(
        session,
        "INSERT INTO servers (uuid, uuidShort, node_id, name, description, status, owner_id, "
        "memory,"
        " swap, disk, io, cpu, allocation_id, nest_id, egg_id, startup, image, backup_limit,"
        " created_at, updated_at, installed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', '', ?, ?, ?, ?)",
        DB_PARAMS(db_text(server->uuid), db_text(server->uuid_short), db_int(server->node_id),
                  db_text(server->name), db_text(description),
                  db_text(server_status_name(server->status)), db_int(server->owner_id),
                  db_int(server->memory_mib), db_int(server->swap_mib), db_int(server->disk_mib),
                  db_int(server->io_weight), db_int(server->cpu_percent),
                  db_int(server->backup_limit), db_text(now), db_text(now), db_text(now)),
        NULL, err);
}

int server_insert(struct db_session *session, struct server *server, struct error *err)
{
    if (server->uuid[0] == '\0')
        uuid_make(server->uuid);
    record_copy_to(server->uuid_short, server->uuid);
    if (insert(session, server, err) < 0)
        return error_wrap(err, "adding server '%s'", server->uuid);
    server->id = db_last_id(session);
    return 0;
}

static int find(struct db_rows *rows, struct server *server, struct error *err)
{
    int more = db_next(rows, err);
    if (more > 0) {
        read_row(rows, server);
        record_own(&server->name);
        record_own(&server->description);
    }
    return more;
}

int server_find(struct db_session *session, const char *identifier, struct server *server,
                struct error *err)
{
    scope_rows struct db_rows rows = {0};
    bool is_short = strlen(identifier) == UUID_SHORT_LENGTH;
    if (db_query(session, is_short ? SELECT " WHERE uuidShort = ?" : SELECT " WHERE uuid = ?",
                 DB_PARAMS(db_text(identifier)), &rows, err) < 0)
        return -1;
    return find(&rows, server, err);
}

int server_find_by_id(struct db_session *session, int64_t id, struct server *server,
                      struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " WHERE id = ?", DB_PARAMS(db_int(id)), &rows, err) < 0)
        return -1;
    return find(&rows, server, err);
}

int server_count(struct db_session *session, const struct server_filter *filter, int64_t *count,
                 struct error *err)
{
    struct db_value node = db_int(filter->node_id);
    struct db_value viewer = db_int(filter->viewer_id);
    if (filter->node_id == 0 && filter->viewer_id == 0)
        return db_query_int(session, "SELECT COUNT(*) FROM servers", DB_NO_PARAMS, 0, count, err);
    if (filter->viewer_id == 0)
        return db_query_int(session, "SELECT COUNT(*) FROM servers WHERE node_id = ?",
                            DB_PARAMS(node), 0, count, err);
    if (filter->node_id == 0)
        return db_query_int(session, "SELECT COUNT(*) FROM servers WHERE " OF_VIEWER,
                            DB_PARAMS(viewer, viewer), 0, count, err);
    return db_query_int(session, "SELECT COUNT(*) FROM servers WHERE node_id = ? AND " OF_VIEWER,
                        DB_PARAMS(node, viewer, viewer), 0, count, err);
}

static int query_list(struct db_session *session, const struct server_filter *filter,
                      struct db_value limit, struct db_value offset, struct db_rows *rows,
                      struct error *err)
{
    struct db_value node = db_int(filter->node_id);
    struct db_value viewer = db_int(filter->viewer_id);
    if (filter->node_id == 0 && filter->viewer_id == 0)
        return db_query(session, SELECT " ORDER BY id LIMIT ? OFFSET ?", DB_PARAMS(limit, offset),
                        rows, err);
    if (filter->viewer_id == 0)
        return db_query(session, SELECT " WHERE node_id = ? ORDER BY id LIMIT ? OFFSET ?",
                        DB_PARAMS(node, limit, offset), rows, err);
    if (filter->node_id == 0)
        return db_query(session, SELECT " WHERE " OF_VIEWER " ORDER BY id LIMIT ? OFFSET ?",
                        DB_PARAMS(viewer, viewer, limit, offset), rows, err);
    return db_query(session,
                    SELECT " WHERE node_id = ? AND " OF_VIEWER " ORDER BY id LIMIT ? OFFSET ?",
                    DB_PARAMS(node, viewer, viewer, limit, offset), rows, err);
}

int server_each(struct db_session *session, const struct server_filter *filter, int64_t limit,
                int64_t offset,
                int (*visit)(const struct server *server, void *context, struct error *err),
                void *context, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (query_list(session, filter, db_int(limit), db_int(offset), &rows, err) < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        struct server server;
        read_row(&rows, &server);
        if (visit(&server, context, err) < 0)
            return -1;
    }
    return more;
}

int server_set_backup_limit(struct db_session *session, int64_t id, int64_t limit,
                            struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session, "UPDATE servers SET backup_limit = ?, updated_at = ? WHERE id = ?",
               DB_PARAMS(db_int(limit), db_text(db_time_text(time_now_us(), now)), db_int(id)),
               &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "server", id, err);
}

int server_delete(struct db_session *session, int64_t id, struct error *err)
{
    int64_t changed;
    if (db_run(session, "DELETE FROM servers WHERE id = ?", DB_PARAMS(db_int(id)), &changed, err) <
        0)
        return -1;
    return record_must_exist(changed, "server", id, err);
}
