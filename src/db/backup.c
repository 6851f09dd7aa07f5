/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: inserted, found, listed and counted.  Their life after that is in backup_life.c. */
#include "db/backup.h"

#include <stdlib.h>

#include "db/backup_internal.h"
#include "db/record.h"

/* Of those that are being created only: a lookup that the list of completed ones is spared. */
#define LEASE                                                                                      \
    "CASE WHEN completed_at IS NULL THEN"                                                          \
    " (SELECT r.lease_until FROM roost_backups r WHERE r.backup_id = backups.id) END"
#define SELECT                                                                                     \
    "SELECT id, server_id, uuid, is_successful, is_locked, name, ignored_files, disk, checksum,"   \
    " bytes, created_at, completed_at, " LEASE " FROM backups"
#define NON_FAILED "(completed_at IS NULL OR is_successful = 1)"

static void read_row(const struct db_rows *rows, struct backup *backup)
{
    *backup = (struct backup){
        .id = db_get_int(rows, 0),
        .server_id = db_get_int(rows, 1),
        .is_successful = db_get_int(rows, 3) != 0,
        .is_locked = db_get_int(rows, 4) != 0,
        .name = record_borrow(rows, 5),
        .ignored_files = record_borrow(rows, 6),
        .checksum = record_borrow(rows, 8),
        .bytes = (uint64_t)db_get_int(rows, 9),
        .created_at_us = db_get_time_us(rows, 10),
        .completed_at_us = db_get_time_us(rows, 11),
        .lease_until_us = db_get_time_us(rows, 12),
    };
    record_copy_to(backup->uuid, db_get_text(rows, 2));
    record_copy_to(backup->disk, db_get_text(rows, 7));
}

void backup_free(struct backup *backup)
{
    free(backup->name);
    free(backup->ignored_files);
    free(backup->checksum);
    *backup = (struct backup){0};
}

static int insert(struct db_session *session, const struct backup *backup, struct error *err)
{
    char created_at[TIME_TEXT_BYTES];
    char completed_at[TIME_TEXT_BYTES];
    db_time_text(backup->created_at_us, created_at);
    return db_run(
        session,
        "INSERT INTO backups (server_id, uuid, is_successful, is_locked, name, ignored_files, disk,"
        " checksum, bytes, completed_at, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        DB_PARAMS(db_int(backup->server_id), db_text(backup->uuid), db_int(backup->is_successful),
                  db_int(backup->is_locked), db_text(backup->name != NULL ? backup->name : ""),
                  db_text(backup->ignored_files != NULL ? backup->ignored_files : "[]"),
                  db_text(backup->disk[0] == '\0' ? "wings" : backup->disk),
                  db_text(backup->checksum), db_int(backup->bytes),
                  db_text(db_time_text(backup->completed_at_us, completed_at)), db_text(created_at),
                  db_text(created_at)),
        NULL, err);
}

int backup_insert(struct db_session *session, struct backup *backup, struct error *err)
{
    if (backup->uuid[0] == '\0')
        uuid_make(backup->uuid);
    if (backup->created_at_us == 0)
        backup->created_at_us = time_now_us();
    if (insert(session, backup, err) < 0)
        return error_wrap(err, "adding backup '%s'", backup->uuid);
    backup->id = db_last_id(session);
    if (backup->lease_until_us == 0)
        return 0;
    return backup_lease_set(session, backup->id, backup->lease_until_us, err);
}

static int find(struct db_rows *rows, struct backup *backup, struct error *err)
{
    int more = db_next(rows, err);
    if (more > 0) {
        read_row(rows, backup);
        record_own(&backup->name);
        record_own(&backup->ignored_files);
        record_own(&backup->checksum);
    }
    return more;
}

int backup_find(struct db_session *session, const char *uuid, struct backup *backup,
                struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " WHERE uuid = ? AND deleted_at IS NULL", DB_PARAMS(db_text(uuid)),
                 &rows, err) < 0)
        return -1;
    return find(&rows, backup, err);
}

int backup_find_by_id(struct db_session *session, int64_t id, struct backup *backup,
                      struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " WHERE id = ? AND deleted_at IS NULL", DB_PARAMS(db_int(id)),
                 &rows, err) < 0)
        return -1;
    return find(&rows, backup, err);
}

int backup_each(struct db_session *session, int64_t server_id, int64_t limit, int64_t offset,
                int (*visit)(const struct backup *backup, void *context, struct error *err),
                void *context, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 SELECT " WHERE server_id = ? AND deleted_at IS NULL ORDER BY id LIMIT ? OFFSET ?",
                 DB_PARAMS(db_int(server_id), db_int(limit), db_int(offset)), &rows, err) < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        struct backup backup;
        read_row(&rows, &backup);
        if (visit(&backup, context, err) < 0)
            return -1;
    }
    return more;
}

int backup_count(struct db_session *session, int64_t server_id, struct backup_counts *counts,
                 struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 "SELECT COUNT(*), SUM(CASE WHEN " NON_FAILED " THEN 1 ELSE 0 END),"
                 " SUM(CASE WHEN completed_at IS NULL THEN 1 ELSE 0 END)"
                 " FROM backups WHERE server_id = ? AND deleted_at IS NULL",
                 DB_PARAMS(db_int(server_id)), &rows, err) < 0 ||
        db_next(&rows, err) < 0)
        return -1;
    *counts = (struct backup_counts){
        .total = db_get_int(&rows, 0),
        .non_failed = db_get_int(&rows, 1),
        .creating = db_get_int(&rows, 2),
    };
    return 0;
}

int backup_count_since(struct db_session *session, int64_t server_id, int64_t since_us,
                       int64_t limit, int64_t *count, int64_t *frees_from_us, struct error *err)
{
    char since[TIME_TEXT_BYTES];
    struct db_value from = db_text(since);
    time_format_sql(since_us, since);
    *frees_from_us = 0;
    if (db_query_int(session,
                     "SELECT COUNT(*) FROM backups"
                     " WHERE server_id = ? AND created_at >= ? AND " NON_FAILED,
                     DB_PARAMS(db_int(server_id), from), 0, count, err) < 0)
        return -1;
    if (*count < limit || limit <= 0)
        return 0;
    /* All but limit - 1 have to age; this one is the last of them. */
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 "SELECT created_at FROM backups"
                 " WHERE server_id = ? AND created_at >= ? AND " NON_FAILED
                 " ORDER BY created_at LIMIT 1 OFFSET ?",
                 DB_PARAMS(db_int(server_id), from, db_int(*count - limit)), &rows, err) < 0)
        return -1;
    int more = db_next(&rows, err);
    if (more > 0)
        *frees_from_us = db_get_time_us(&rows, 0);
    return more < 0 ? -1 : 0;
}
