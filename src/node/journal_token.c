/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of signed tokens: which were denied, and how often each was used.  Outlives the process. */
#include "node/journal_internal.h"
#include "node/token.h"

int journal_deny_token(struct journal *journal, const char *jti, int64_t denied_at_s,
                       struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = db_run(session, "DELETE FROM denied_tokens WHERE jti = ?", DB_PARAMS(db_text(jti)),
                        NULL, err);
    if (result == 0)
        result = db_run(session, "INSERT INTO denied_tokens (jti, denied_at_s) VALUES (?, ?)",
                        DB_PARAMS(db_text(jti), db_int(denied_at_s)), NULL, err);
    return journal_finish(session, result, err);
}

int journal_is_denied(struct journal *journal, const char *jti, int64_t issued_at_s,
                      bool *is_denied, struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    int64_t count = 0;
    if (session == NULL ||
        db_query_int(session,
                     "SELECT count(*) FROM denied_tokens WHERE jti = ? AND denied_at_s >= ?",
                     DB_PARAMS(db_text(jti), db_int(issued_at_s)), 0, &count, err) < 0)
        return -1;
    *is_denied = count > 0;
    return 0;
}

int journal_use_token(struct journal *journal, const char *unique_id, int64_t until_s,
                      int64_t *uses, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int64_t changed = 0;
    int result = db_run(session, "UPDATE used_tokens SET uses = uses + 1 WHERE unique_id = ?",
                        DB_PARAMS(db_text(unique_id)), &changed, err);
    if (result == 0 && changed == 0)
        result =
            db_run(session, "INSERT INTO used_tokens (unique_id, uses, until_s) VALUES (?, 1, ?)",
                   DB_PARAMS(db_text(unique_id), db_int(until_s)), NULL, err);
    int64_t count = 0;
    if (result == 0)
        result = db_query_int(session, "SELECT uses FROM used_tokens WHERE unique_id = ?",
                              DB_PARAMS(db_text(unique_id)), 0, &count, err);
    if (journal_finish(session, result, err) < 0)
        return -1;
    *uses = count;
    return 0;
}

int journal_tidy(struct journal *journal, int64_t now_s, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int result = db_run(session, "DELETE FROM used_tokens WHERE until_s < ?",
                        DB_PARAMS(db_int(now_s)), NULL, err);
    /* A token lives at most TOKEN_LIFE_MAX_S: one denied longer ago has expired by itself. */
    if (result == 0)
        result = db_run(session, "DELETE FROM denied_tokens WHERE denied_at_s < ?",
                        DB_PARAMS(db_int(now_s - TOKEN_LIFE_MAX_S)), NULL, err);
    return journal_finish(session, result, err);
}
