/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelled jobs in the journal, and orders that are void, because of that or because they were carried out: orders may
 * come late, or twice.  Those of backups are known by the backup, those of restores and undos by an id of their own.
 */
#include "base/time.h"
#include "node/journal_internal.h"

enum {
    VOID_S = 24 * 3600 /* longer than an order may be under way */
};

/* An order for it that comes (again) before this, late or twice, is void. */
static int64_t void_until_s(void)
{
    return time_now_us() / 1000000 + VOID_S;
}

/* How many rows `mark` touched; with `void_orders` also the orders of those jobs are void. */
static int cancel_jobs(struct journal *journal, const char *mark, const char *void_orders,
                       const struct db_value *params, size_t count, struct error *err)
{
    const struct db_value void_params[] = {db_int(void_until_s()), params[0], params[count - 1]};
    int64_t changed = 0;
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = db_run(session, mark, params, count, &changed, err);
    if (result == 0 && void_orders != NULL && changed > 0)
        result = db_run(session, void_orders, void_params, count + 1, NULL, err);
    if (journal_finish(session, result, err) < 0)
        return error_wrap(err, "recording that a job is cancelled");
    return (int)changed;
}

int journal_cancel_backup(struct journal *journal, const char *server, const char *backup,
                          struct error *err)
{
    const struct db_value params[] = {db_text(server), db_text(backup)};
    return cancel_jobs(journal,
                       "UPDATE jobs SET is_cancelled = 1"
                       " WHERE kind = 'backup' AND server = ? AND backup = ?",
                       "INSERT OR REPLACE INTO void_orders (until_s, backup)"
                       " SELECT ?, backup FROM jobs"
                       " WHERE kind = 'backup' AND server = ? AND backup = ?",
                       params, 2, err);
}

int journal_cancel_restore(struct journal *journal, const char *server, struct error *err)
{
    const struct db_value params[] = {db_text(server)};
    return cancel_jobs(journal,
                       "UPDATE jobs SET is_cancelled = 1 WHERE kind <> 'backup' AND server = ?"
                       " AND phase IN ('queued', 'staging')",
                       NULL, params, 1, err);
}

int journal_cancel_all(struct journal *journal, const char *server, struct error *err)
{
    const struct db_value params[] = {db_text(server)};
    return cancel_jobs(journal,
                       "UPDATE jobs SET is_cancelled = 1 WHERE server = ?"
                       " AND phase IN ('queued', 'staging')",
                       "INSERT OR REPLACE INTO void_orders (until_s, backup)"
                       " SELECT ?, backup FROM jobs WHERE kind = 'backup' AND server = ?",
                       params, 1, err);
}

int journal_void_in(struct db_session *session, const char *id, struct error *err)
{
    return db_run(session, "INSERT OR REPLACE INTO void_orders (backup, until_s) VALUES (?, ?)",
                  DB_PARAMS(db_text(id), db_int(void_until_s())), NULL, err);
}

int journal_void_order(struct journal *journal, const struct journal_report *report,
                       struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = journal_void_in(session, report->backup, err);
    if (result == 0)
        result = journal_put_report(session, report, err);
    return journal_finish(session, result, err);
}

int journal_is_void(struct journal *journal, const char *id, struct error *err)
{
    int64_t count = 0;
    struct db_session *session = db_reader(journal->db, err);
    if (session == NULL ||
        db_query_int(session, "SELECT count(*) FROM void_orders WHERE backup = ?",
                     DB_PARAMS(db_text(id)), 0, &count, err) < 0)
        return -1;
    return count > 0;
}
