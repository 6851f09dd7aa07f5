/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a server, and which restore it stands for. */
#include "db/record.h"
#include "db/server.h"

/* NULL is a state, too, and not equal to itself in SQL. */
static const char *comparable(enum server_status status)
{
    const char *name = server_status_name(status);
    return name == NULL ? "" : name;
}

int server_change_status(struct db_session *session, int64_t id, enum server_status from,
                         enum server_status to, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session,
               "UPDATE servers SET status = ?, updated_at = ?"
               " WHERE id = ? AND COALESCE(status, '') = ?",
               DB_PARAMS(db_text(server_status_name(to)), db_text(db_time_text(time_now_us(), now)),
                         db_int(id), db_text(comparable(from))),
               &changed, err) < 0)
        return -1;
    if (changed > 0)
        return 0;
    int64_t number;
    if (db_query_int(session, "SELECT COUNT(*) FROM servers WHERE id = ?", DB_PARAMS(db_int(id)), 0,
                     &number, err) < 0 ||
        record_must_exist(number, "server", id, err) < 0)
        return -1;
    return error_set(err, ERROR_CONFLICT, "server %" PRId64 " is not in the state '%s'", id,
                     from == SERVER_NORMAL ? "normal" : server_status_name(from));
}

int server_set_status(struct db_session *session, int64_t id, enum server_status to,
                      struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session, "UPDATE servers SET status = ?, updated_at = ? WHERE id = ?",
               DB_PARAMS(db_text(server_status_name(to)), db_text(db_time_text(time_now_us(), now)),
                         db_int(id)),
               &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "server", id, err);
}

/* What was, is over. */
static int forget(struct db_session *session, int64_t server_id, struct error *err)
{
    if (db_run(session, "DELETE FROM roost_last_restores WHERE server_id = ?",
               DB_PARAMS(db_int(server_id)), NULL, err) < 0)
        return -1;
    return server_undo_end(session, server_id, err);
}

int server_restore_begin(struct db_session *session, int64_t server_id,
                         const struct server_restore *restore, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    db_time_text(time_now_us(), now);
    int64_t changed;
    if (forget(session, server_id, err) < 0)
        return -1;
    if (db_run(session,
               "UPDATE roost_restores SET backup_id = ?, is_of_files = ?, started_at = ?"
               " WHERE server_id = ?",
               DB_PARAMS(db_int(restore->backup_id), db_int(restore->is_of_files), db_text(now),
                         db_int(server_id)),
               &changed, err) < 0)
        return -1;
    if (changed > 0)
        return 0;
    return db_run(session,
                  "INSERT INTO roost_restores (server_id, backup_id, is_of_files, started_at)"
                  " VALUES (?, ?, ?, ?)",
                  DB_PARAMS(db_int(server_id), db_int(restore->backup_id),
                            db_int(restore->is_of_files), db_text(now)),
                  NULL, err);
}

int server_restore_find(struct db_session *session, int64_t server_id,
                        struct server_restore *restore, struct error *err)
{
    struct db_rows rows;
    if (db_query(session, "SELECT backup_id, is_of_files FROM roost_restores WHERE server_id = ?",
                 DB_PARAMS(db_int(server_id)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0)
        *restore = (struct server_restore){.backup_id = db_get_int(&rows, 0),
                                           .is_of_files = db_get_int(&rows, 1) != 0};
    db_rows_end(&rows);
    return found;
}

int server_restore_end(struct db_session *session, int64_t server_id, struct error *err)
{
    return db_run(session, "DELETE FROM roost_restores WHERE server_id = ?",
                  DB_PARAMS(db_int(server_id)), NULL, err);
}

int server_undo_begin(struct db_session *session, int64_t server_id, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    if (forget(session, server_id, err) < 0 || server_restore_end(session, server_id, err) < 0)
        return -1;
    return db_run(session, "INSERT INTO roost_undos (server_id, started_at) VALUES (?, ?)",
                  DB_PARAMS(db_int(server_id), db_text(db_time_text(time_now_us(), now))), NULL,
                  err);
}

int server_undo_find(struct db_session *session, int64_t server_id, struct error *err)
{
    int64_t found;
    if (db_query_int(session, "SELECT COUNT(*) FROM roost_undos WHERE server_id = ?",
                     DB_PARAMS(db_int(server_id)), 0, &found, err) < 0)
        return -1;
    return found > 0;
}

int server_undo_end(struct db_session *session, int64_t server_id, struct error *err)
{
    return db_run(session, "DELETE FROM roost_undos WHERE server_id = ?",
                  DB_PARAMS(db_int(server_id)), NULL, err);
}

int server_restores_before(struct db_session *session, int64_t before_us, int64_t after_id,
                           int64_t *ids, size_t max, struct error *err)
{
    char before[TIME_TEXT_BYTES];
    struct db_rows rows;
    db_time_text(before_us, before);
    if (db_query(session,
                 "SELECT server_id FROM roost_restores WHERE started_at < ? AND server_id > ?"
                 " UNION SELECT server_id FROM roost_undos WHERE started_at < ? AND server_id > ?"
                 " ORDER BY 1 LIMIT ?",
                 DB_PARAMS(db_text(before), db_int(after_id), db_text(before), db_int(after_id),
                           db_int(max)),
                 &rows, err) < 0)
        return -1;
    int found = 0, more;
    while ((more = db_next(&rows, err)) > 0)
        ids[found++] = db_get_int(&rows, 0);
    db_rows_end(&rows);
    return more < 0 ? -1 : found;
}

int server_restore_note(struct db_session *session, int64_t server_id,
                        const struct server_last_restore *last, struct error *err)
{
    char ended[TIME_TEXT_BYTES], until[TIME_TEXT_BYTES];
    int64_t ended_at_us = last->ended_at_us != 0 ? last->ended_at_us : time_now_us();
    if (db_run(session, "DELETE FROM roost_last_restores WHERE server_id = ?",
               DB_PARAMS(db_int(server_id)), NULL, err) < 0)
        return -1;
    return db_run(session,
                  "INSERT INTO roost_last_restores (server_id, backup_uuid, is_undo, is_successful,"
                  " is_of_files, ended_at, kept_until, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  DB_PARAMS(db_int(server_id), db_text(last->backup), db_int(last->is_undo),
                            db_int(last->is_successful), db_int(last->is_of_files),
                            db_text(db_time_text(ended_at_us, ended)),
                            db_text(db_time_text(last->kept_until_us, until)),
                            db_text(last->error[0] == '\0' ? NULL : last->error)),
                  NULL, err);
}

int server_restore_last(struct db_session *session, int64_t server_id,
                        struct server_last_restore *last, struct error *err)
{
    struct db_rows rows;
    if (db_query(session,
                 "SELECT backup_uuid, is_successful, ended_at, is_undo, kept_until, error,"
                 " is_of_files FROM roost_last_restores WHERE server_id = ?",
                 DB_PARAMS(db_int(server_id)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0) {
        snprintf(last->backup, sizeof(last->backup), "%s", db_get_text(&rows, 0));
        last->is_successful = db_get_int(&rows, 1) != 0;
        last->ended_at_us = db_get_time_us(&rows, 2);
        last->is_undo = db_get_int(&rows, 3) != 0;
        last->kept_until_us = db_get_time_us(&rows, 4);
        last->is_of_files = db_get_int(&rows, 6) != 0;
        const char *error = db_get_text(&rows, 5);
        snprintf(last->error, sizeof(last->error), "%s", error == NULL ? "" : error);
    }
    db_rows_end(&rows);
    return found;
}
