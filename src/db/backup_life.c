/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup's life: lease, end of creation, lock, deletion.  Each step is one UPDATE whose WHERE
 * names the state that it needs, so that two who try it at once cannot both succeed.
 */
#include "db/backup_internal.h"
#include "db/record.h"

enum {
    US_PER_SECOND = 1000000
};

int backup_lease_set(struct db_session *session, int64_t id, int64_t until_us, struct error *err)
{
    char text[TIME_TEXT_BYTES];
    /* Columns hold whole seconds; a lease must not end before its time. */
    struct db_value until =
        db_text(db_time_text((until_us + US_PER_SECOND - 1) / US_PER_SECOND * US_PER_SECOND, text));
    int64_t changed;
    if (db_run(session, "UPDATE roost_backups SET lease_until = ? WHERE backup_id = ?",
               DB_PARAMS(until, db_int(id)), &changed, err) < 0)
        return -1;
    if (changed > 0 || until_us == 0)
        return 0;
    return db_run(session, "INSERT INTO roost_backups (backup_id, lease_until) VALUES (?, ?)",
                  DB_PARAMS(db_int(id), until), NULL, err);
}

/* Why an UPDATE found no row: NOT_FOUND, or CONFLICT with `why`.  Returns -1. */
static int explain(struct db_session *session, int64_t id, const char *why, struct error *err)
{
    int64_t number;
    if (db_query_int(session, "SELECT COUNT(*) FROM backups WHERE id = ? AND deleted_at IS NULL",
                     DB_PARAMS(db_int(id)), 0, &number, err) < 0 ||
        record_must_exist(number, "backup", id, err) < 0)
        return -1;
    return error_set(err, ERROR_CONFLICT, "backup %" PRId64 " %s", id, why);
}

int backup_complete(struct db_session *session, int64_t id, const struct backup_outcome *outcome,
                    struct error *err)
{
    char text[TIME_TEXT_BYTES];
    struct db_value now = db_text(db_time_text(time_now_us(), text));
    struct db_value is_successful = db_int(outcome->is_successful);
    int64_t changed;
    if (db_run(session,
               "UPDATE backups SET is_successful = ?,"
               " is_locked = CASE WHEN ? = 1 THEN is_locked ELSE 0 END,"
               " checksum = ?, bytes = ?, completed_at = ?, updated_at = ?"
               " WHERE id = ? AND is_successful = 0 AND deleted_at IS NULL",
               DB_PARAMS(is_successful, is_successful,
                         db_text(outcome->is_successful ? outcome->checksum : NULL),
                         db_int(outcome->is_successful ? outcome->bytes : 0), now, now, db_int(id)),
               &changed, err) < 0)
        return -1;
    if (changed == 0)
        return explain(session, id, "is completed already", err);
    return backup_lease_set(session, id, 0, err);
}

int backup_extend_lease(struct db_session *session, int64_t id, int64_t until_us, struct error *err)
{
    int64_t creating;
    if (db_query_int(session,
                     "SELECT COUNT(*) FROM backups"
                     " WHERE id = ? AND completed_at IS NULL AND deleted_at IS NULL",
                     DB_PARAMS(db_int(id)), 0, &creating, err) < 0)
        return -1;
    if (creating == 0)
        return explain(session, id, "is not being created", err);
    return backup_lease_set(session, id, until_us, err);
}

int backup_find_dead(struct db_session *session, int64_t now_us, int64_t *ids, size_t max,
                     struct error *err)
{
    char now[TIME_TEXT_BYTES];
    time_format_sql(now_us, now);
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 "SELECT b.id FROM roost_backups r JOIN backups b ON b.id = r.backup_id"
                 " WHERE r.lease_until < ? AND b.completed_at IS NULL AND b.deleted_at IS NULL"
                 " ORDER BY r.lease_until LIMIT ?",
                 DB_PARAMS(db_text(now), db_int(max)), &rows, err) < 0)
        return -1;
    int found = 0;
    int more;
    while ((more = db_next(&rows, err)) > 0)
        ids[found++] = db_get_int(&rows, 0);
    return more < 0 ? -1 : found;
}

int backup_newest_id(struct db *db, int64_t *id, struct error *err)
{
    struct db_session *session = db_reader(db, err);
    if (session == NULL)
        return -1;
    return db_query_int(session, "SELECT MAX(b.id) FROM backups b", DB_NO_PARAMS, 0, id, err);
}

int backup_find_creating(struct db_session *session, int64_t node_id, int64_t *ids, size_t max,
                         struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 "SELECT b.id FROM servers s JOIN backups b ON b.server_id = s.id"
                 " WHERE s.node_id = ? AND b.completed_at IS NULL AND b.deleted_at IS NULL"
                 " ORDER BY b.id LIMIT ?",
                 DB_PARAMS(db_int(node_id), db_int(max)), &rows, err) < 0)
        return -1;
    int found = 0;
    int more;
    while ((more = db_next(&rows, err)) > 0)
        ids[found++] = db_get_int(&rows, 0);
    return more < 0 ? -1 : found;
}

int backup_toggle_lock(struct db_session *session, int64_t id, bool *is_locked, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session,
               "UPDATE backups SET is_locked = 1 - is_locked, updated_at = ?"
               " WHERE id = ? AND deleted_at IS NULL",
               DB_PARAMS(db_text(db_time_text(time_now_us(), now)), db_int(id)), &changed, err) < 0)
        return -1;
    int64_t value;
    if (record_must_exist(changed, "backup", id, err) < 0 ||
        db_query_int(session, "SELECT is_locked FROM backups WHERE id = ?", DB_PARAMS(db_int(id)),
                     0, &value, err) < 0)
        return -1;
    *is_locked = value != 0;
    return 0;
}

int backup_unlock(struct db_session *session, int64_t id, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    int64_t changed;
    if (db_run(session,
               "UPDATE backups SET is_locked = 0, updated_at = ?"
               " WHERE id = ? AND deleted_at IS NULL",
               DB_PARAMS(db_text(db_time_text(time_now_us(), now)), db_int(id)), &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "backup", id, err);
}

int backup_lease_deletion(struct db_session *session, int64_t id, int64_t until_us,
                          struct error *err)
{
    int64_t ended;
    if (db_query_int(session,
                     "SELECT COUNT(*) FROM backups WHERE id = ? AND completed_at IS NOT NULL",
                     DB_PARAMS(db_int(id)), 0, &ended, err) < 0)
        return -1;
    return ended == 0 ? 0 : backup_lease_set(session, id, until_us, err);
}

int backup_is_being_deleted(struct db_session *session, int64_t id, int64_t now_us, bool *is_it,
                            struct error *err)
{
    char now[TIME_TEXT_BYTES];
    time_format_sql(now_us, now);
    int64_t count;
    if (db_query_int(session,
                     "SELECT COUNT(*) FROM roost_backups r JOIN backups b ON b.id = r.backup_id"
                     " WHERE b.id = ? AND b.completed_at IS NOT NULL AND r.lease_until > ?",
                     DB_PARAMS(db_int(id), db_text(now)), 0, &count, err) < 0)
        return -1;
    *is_it = count > 0;
    return 0;
}

int backup_delete(struct db_session *session, int64_t id, struct error *err)
{
    char text[TIME_TEXT_BYTES];
    struct db_value now = db_text(db_time_text(time_now_us(), text));
    int64_t changed;
    if (db_run(session,
               "UPDATE backups SET deleted_at = ?, updated_at = ?"
               " WHERE id = ? AND deleted_at IS NULL",
               DB_PARAMS(now, now, db_int(id)), &changed, err) < 0 ||
        record_must_exist(changed, "backup", id, err) < 0)
        return -1;
    return backup_lease_set(session, id, 0, err);
}

int backup_erase(struct db_session *session, int64_t id, struct error *err)
{
    int64_t changed;
    if (db_run(session, "DELETE FROM backups WHERE id = ?", DB_PARAMS(db_int(id)), &changed, err) <
        0)
        return -1;
    return record_must_exist(changed, "backup", id, err);
}
