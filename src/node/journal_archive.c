/* SPDX-License-Identifier: Apache-2.0 */
/* Archives in the journal, the outbox of reports about them, and trees that wait for their removal. */
#include <stdio.h>

#include "base/json.h"
#include "base/time.h"
#include "node/journal_internal.h"

int journal_find_archive(struct journal *journal, const char *backup,
                         struct journal_archive *archive, struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL ||
        db_query(session,
                 "SELECT server, checksum_type, checksum, size_bytes, created_at_us, is_orphan"
                 " FROM archives WHERE backup = ?",
                 DB_PARAMS(db_text(backup)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0) {
        *archive = (struct journal_archive){
            .size_bytes = (uint64_t)db_get_int(&rows, 3),
            .created_at_us = db_get_int(&rows, 4),
            .is_orphan = db_get_int(&rows, 5) != 0,
        };
        snprintf(archive->server, sizeof(archive->server), "%s", db_get_text(&rows, 0));
        snprintf(archive->backup, sizeof(archive->backup), "%s", backup);
        snprintf(archive->checksum_type, sizeof(archive->checksum_type), "%s",
                 db_get_text(&rows, 1));
        snprintf(archive->checksum, sizeof(archive->checksum), "%s", db_get_text(&rows, 2));
    }
    db_rows_end(&rows);
    return found;
}

int journal_find_newest(struct journal *journal, const char *server, struct journal_newest *newest,
                        struct error *err)
{
    *newest = (struct journal_newest){.archive_bytes = 0};
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL || db_query(session,
                                    "SELECT size_bytes, capture FROM archives WHERE server = ?"
                                    " ORDER BY created_at_us DESC LIMIT 1",
                                    DB_PARAMS(db_text(server)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0) {
        newest->archive_bytes = (uint64_t)db_get_int(&rows, 0);
        const char *capture = db_get_text(&rows, 1);
        struct error unread = ERROR_INIT; /* then its content is not known */
        scope_json json_t *report = json_read(slice_str(capture == NULL ? "{}" : capture), &unread);
        newest->content_bytes = (uint64_t)json_get_int(report, "content_bytes", 0);
    }
    db_rows_end(&rows);
    return found < 0 ? -1 : 0;
}

int journal_each_stored(struct journal *journal,
                        void (*visit)(const struct journal_stored *stored, void *context),
                        void *context, struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    scope_rows struct db_rows rows = {0};
    if (session == NULL ||
        db_query(session,
                 "SELECT server, COUNT(*), SUM(size_bytes), MAX(created_at_us) FROM archives"
                 " WHERE is_orphan = 0 GROUP BY server ORDER BY server",
                 DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0)
        visit(&(struct journal_stored){.server = db_get_text(&rows, 0),
                                       .count = db_get_int(&rows, 1),
                                       .size_bytes = (uint64_t)db_get_int(&rows, 2),
                                       .newest_us = db_get_int(&rows, 3)},
              context);
    return more;
}

int journal_forget(struct journal *journal, const char *server, const char *backup,
                   struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    static const char *const of_backup[] = {
        "DELETE FROM archives WHERE server = ? AND backup = ?",
        "DELETE FROM outbox WHERE kind = 'backup' AND server = ? AND backup = ?",
        "DELETE FROM jobs WHERE kind = 'backup' AND server = ? AND backup = ?",
    };
    static const char *const of_server[] = {
        "DELETE FROM archives WHERE server = ?",
        "DELETE FROM outbox WHERE kind = 'backup' AND server = ?",
        "DELETE FROM jobs WHERE kind = 'backup' AND server = ?",
    };
    const struct db_value params[] = {db_text(server), db_text(backup)};
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof(of_server) / sizeof(of_server[0]); i++)
        result = db_run(session, backup != NULL ? of_backup[i] : of_server[i], params,
                        backup != NULL ? 2 : 1, NULL, err);
    return journal_finish(session, result, err);
}

int journal_put_report(struct db_session *session, const struct journal_report *report,
                       struct error *err)
{
    const char *kind = job_kind_name(report->kind);
    if (db_run(session, "DELETE FROM outbox WHERE kind = ? AND backup = ?",
               DB_PARAMS(db_text(kind), db_text(report->backup)), NULL, err) < 0)
        return -1;
    return db_run(session,
                  "INSERT INTO outbox (kind, server, backup, is_successful, checksum_type,"
                  " checksum, size_bytes, error, kept_until_us)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  DB_PARAMS(db_text(kind), db_text(report->server), db_text(report->backup),
                            db_int(report->is_successful), db_text(report->checksum_type),
                            db_text(report->checksum), db_int(report->size_bytes),
                            db_text(report->error), db_int(report->kept_until_us)),
                  NULL, err);
}

int journal_add_report(struct journal *journal, const struct journal_report *report,
                       struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    return journal_finish(session, journal_put_report(session, report, err), err);
}

int journal_next_report(struct journal *journal, int64_t now_us, struct journal_report *report,
                        struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL ||
        db_query(
            session,
            "SELECT id, kind, server, backup, is_successful, checksum_type, checksum,"
            " size_bytes, error, refused_since_us, kept_until_us FROM outbox WHERE next_at_us <= ?"
            " ORDER BY id LIMIT 1",
            DB_PARAMS(db_int(now_us)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0) {
        *report = (struct journal_report){
            .id = db_get_int(&rows, 0),
            .kind = job_kind_parse(db_get_text(&rows, 1)),
            .is_successful = db_get_int(&rows, 4) != 0,
            .size_bytes = (uint64_t)db_get_int(&rows, 7),
            .refused_since_us = db_get_int(&rows, 9),
            .kept_until_us = db_get_int(&rows, 10),
        };
        snprintf(report->server, sizeof(report->server), "%s", db_get_text(&rows, 2));
        snprintf(report->backup, sizeof(report->backup), "%s", db_get_text(&rows, 3));
        snprintf(report->checksum_type, sizeof(report->checksum_type), "%s", db_get_text(&rows, 5));
        snprintf(report->checksum, sizeof(report->checksum), "%s", db_get_text(&rows, 6));
        snprintf(report->error, sizeof(report->error), "%s", db_get_text(&rows, 8));
    }
    db_rows_end(&rows);
    return found;
}

int journal_next_due(struct journal *journal, int64_t *due_at_us, struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    if (session == NULL)
        return -1;
    /* 1 for one that is due since ever: 0 means that there is none. */
    return db_query_int(session, "SELECT max(1, min(next_at_us)) FROM outbox", DB_NO_PARAMS, 0,
                        due_at_us, err);
}

int journal_has_report(struct journal *journal, const char *backup, struct error *err)
{
    int64_t count = 0;
    struct db_session *session = db_reader(journal->db, err);
    if (session == NULL ||
        db_query_int(session, "SELECT count(*) FROM outbox WHERE kind = 'backup' AND backup = ?",
                     DB_PARAMS(db_text(backup)), 0, &count, err) < 0)
        return -1;
    return count > 0;
}

int journal_count_reports(struct journal *journal, enum job_kind kind, int64_t *count,
                          struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    if (session == NULL)
        return -1;
    return db_query_int(session, "SELECT count(*) FROM outbox WHERE kind = ?",
                        DB_PARAMS(db_text(job_kind_name(kind))), 0, count, err);
}

int journal_remove_report(struct journal *journal, int64_t report_id, struct error *err)
{
    return journal_run(journal, "DELETE FROM outbox WHERE id = ?", DB_PARAMS(db_int(report_id)),
                       err);
}

int journal_delay_report(struct journal *journal, const struct journal_report *report,
                         struct error *err)
{
    return journal_run(
        journal, "UPDATE outbox SET refused_since_us = ?, next_at_us = ? WHERE id = ?",
        DB_PARAMS(db_int(report->refused_since_us), db_int(report->next_at_us), db_int(report->id)),
        err);
}

int journal_abandon_report(struct journal *journal, const struct journal_report *report,
                           struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = db_run(session, "DELETE FROM outbox WHERE id = ?", DB_PARAMS(db_int(report->id)),
                        NULL, err);
    if (result == 0 && report->kind == JOB_BACKUP)
        result = db_run(session, "UPDATE archives SET is_orphan = 1 WHERE backup = ?",
                        DB_PARAMS(db_text(report->backup)), NULL, err);
    return journal_finish(session, result, err);
}

int journal_add_leftover(struct journal *journal, const char *parent, const char *name,
                         struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = db_run(session, "DELETE FROM leftovers WHERE parent = ? AND name = ?",
                        DB_PARAMS(db_text(parent), db_text(name)), NULL, err);
    if (result == 0)
        result = db_run(session, "INSERT INTO leftovers (parent, name) VALUES (?, ?)",
                        DB_PARAMS(db_text(parent), db_text(name)), NULL, err);
    return journal_finish(session, result, err);
}

int journal_remove_leftover(struct journal *journal, const char *parent, const char *name,
                            struct error *err)
{
    return journal_run(journal, "DELETE FROM leftovers WHERE parent = ? AND name = ?",
                       DB_PARAMS(db_text(parent), db_text(name)), err);
}

int journal_next_leftover(struct journal *journal, struct buf *parent, struct buf *name,
                          struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL ||
        db_query(session, "SELECT parent, name FROM leftovers ORDER BY rowid LIMIT 1", DB_NO_PARAMS,
                 &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0) {
        buf_add_str(parent, db_get_text(&rows, 0));
        buf_add_str(name, db_get_text(&rows, 1));
    }
    db_rows_end(&rows);
    return found;
}
