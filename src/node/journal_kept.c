/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept trees in the journal.  A tree is on record before it gets its name, and goes from this record to
 * the leftovers' in one step: so each is somebody's at any time.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "node/journal_internal.h"

#define KEPT_COLUMNS "SELECT server, backup, parent, live_name, name, until_us FROM kept"

/* One that an undo is at work on stays. */
#define NOT_IN_USE " AND server NOT IN (SELECT server FROM jobs WHERE kind = 'undo')"

void journal_kept_clear(struct journal_kept *kept)
{
    free(kept->parent);
    free(kept->live_name);
    free(kept->name);
    *kept = (struct journal_kept){.until_us = 0};
}

static void read_kept(const struct db_rows *rows, struct journal_kept *kept)
{
    *kept = (struct journal_kept){
        .parent = xstrdup(db_get_text(rows, 2)),
        .live_name = xstrdup(db_get_text(rows, 3)),
        .name = xstrdup(db_get_text(rows, 4)),
        .until_us = db_get_int(rows, 5),
    };
    snprintf(kept->server, sizeof(kept->server), "%s", db_get_text(rows, 0));
    snprintf(kept->backup, sizeof(kept->backup), "%s", db_get_text(rows, 1));
}

int journal_find_kept(struct journal *journal, const char *server, struct journal_kept *kept,
                      struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL || db_query(session, KEPT_COLUMNS " WHERE server = ?",
                                    DB_PARAMS(db_text(server)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0)
        read_kept(&rows, kept);
    db_rows_end(&rows);
    return found;
}

int64_t journal_kept_until(struct journal *journal, const char *server)
{
    struct error ignored = ERROR_INIT;
    struct journal_kept kept;
    if (journal_find_kept(journal, server, &kept, &ignored) <= 0)
        return 0;
    int64_t until_us = kept.until_us;
    journal_kept_clear(&kept);
    return until_us;
}

int journal_each_kept(struct journal *journal,
                      int (*visit)(const struct journal_kept *kept, void *context,
                                   struct error *err),
                      void *context, struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL ||
        db_query(session, KEPT_COLUMNS " ORDER BY until_us, server", DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    int result;
    while ((result = db_next(&rows, err)) > 0) {
        struct journal_kept kept;
        read_kept(&rows, &kept);
        result = visit(&kept, context, err);
        journal_kept_clear(&kept);
        if (result < 0)
            break;
    }
    db_rows_end(&rows);
    return result;
}

/* The kept trees that `where`, a literal as all statements are, names become leftovers. */
#define MOVE_KEPT(where)                                                                           \
    "INSERT OR IGNORE INTO leftovers (parent, name) SELECT parent, name FROM kept WHERE " where
#define FORGET_KEPT(where) "DELETE FROM kept WHERE " where

static int drop(struct db_session *session, const char *move, const char *forget,
                const struct db_value *params, size_t count, struct error *err)
{
    if (db_run(session, move, params, count, NULL, err) < 0)
        return -1;
    return db_run(session, forget, params, count, NULL, err);
}

static int drop_of_server(struct db_session *session, const char *server, struct error *err)
{
    return drop(session, MOVE_KEPT("server = ?"), FORGET_KEPT("server = ?"),
                DB_PARAMS(db_text(server)), err);
}

int journal_drop_kept_in(struct db_session *session, const char *server, struct error *err)
{
    return drop(session, MOVE_KEPT("server = ?" NOT_IN_USE), FORGET_KEPT("server = ?" NOT_IN_USE),
                DB_PARAMS(db_text(server)), err);
}

int journal_rename_kept(struct journal *journal, const char *server, const char *name,
                        struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = db_run(session, "UPDATE kept SET name = ? WHERE server = ?",
                        DB_PARAMS(db_text(name), db_text(server)), NULL, err);
    return journal_finish(session, result, err);
}

int journal_drop_kept(struct journal *journal, const char *server, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    return journal_finish(session, journal_drop_kept_in(session, server, err), err);
}

int journal_expire_kept(struct journal *journal, int64_t now_us, int64_t *next_at_us,
                        struct error *err)
{
    struct db_session *reader = db_reader(journal->db, err);
    if (reader == NULL ||
        db_query_int(reader, "SELECT max(1, min(until_us)) FROM kept WHERE 1" NOT_IN_USE,
                     DB_NO_PARAMS, 0, next_at_us, err) < 0)
        return -1;
    if (*next_at_us == 0 || *next_at_us > now_us)
        return 0;
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = drop(session, MOVE_KEPT("until_us <= ?" NOT_IN_USE),
                      FORGET_KEPT("until_us <= ?" NOT_IN_USE), DB_PARAMS(db_int(now_us)), err);
    if (journal_finish(session, result, err) < 0)
        return -1;
    return journal_expire_kept(journal, now_us, next_at_us, err);
}

static int put_kept(struct db_session *session, const struct journal_kept *kept, struct error *err)
{
    /* An undo's box keeps its name, with the other tree in it. */
    if (db_run(session, "DELETE FROM kept WHERE server = ? AND parent = ? AND name = ?",
               DB_PARAMS(db_text(kept->server), db_text(kept->parent), db_text(kept->name)), NULL,
               err) < 0 ||
        drop_of_server(session, kept->server, err) < 0)
        return -1;
    return db_run(session,
                  "INSERT INTO kept (server, backup, parent, live_name, name, until_us)"
                  " VALUES (?, ?, ?, ?, ?, ?)",
                  DB_PARAMS(db_text(kept->server), db_text(kept->backup), db_text(kept->parent),
                            db_text(kept->live_name), db_text(kept->name), db_int(kept->until_us)),
                  NULL, err);
}

int journal_set_exchanged(struct journal *journal, struct journal_job *job,
                          const struct journal_kept *kept, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result =
        kept != NULL ? put_kept(session, kept, err) : drop_of_server(session, job->server, err);
    if (result == 0)
        result = db_run(session, "UPDATE jobs SET phase = 'exchanged' WHERE id = ?",
                        DB_PARAMS(db_int(job->id)), NULL, err);
    if (journal_finish(session, result, err) < 0)
        return error_wrap(err, "recording what the %s of backup %s replaced",
                          job_kind_name(job->kind), job->backup);
    job->phase = JOB_EXCHANGED;
    return 0;
}
