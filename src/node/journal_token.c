/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of signed tokens: which were denied, and who used which.  Outlives the process. */
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

enum use {
    USE_KNOWN,
    USE_NEW,
    USE_TOO_MANY,
};

static int judge_use(struct db_session *session, const struct token_use *use, enum use *verdict,
                     struct error *err)
{
    int64_t known = 0, users = 0;
    if (db_query_int(
            session, "SELECT count(*) FROM used_tokens WHERE unique_id = ? AND address = ?",
            DB_PARAMS(db_text(use->unique_id), db_text(use->address)), 0, &known, err) < 0 ||
        db_query_int(session, "SELECT count(*) FROM used_tokens WHERE unique_id = ?",
                     DB_PARAMS(db_text(use->unique_id)), 0, &users, err) < 0)
        return -1;
    *verdict = known > 0 ? USE_KNOWN : users < use->users_max ? USE_NEW : USE_TOO_MANY;
    return 0;
}

int journal_use_token(struct journal *journal, const struct token_use *use, bool *is_allowed,
                      struct error *err)
{
    enum use verdict;
    struct db_session *session = db_reader(journal->db, err);
    if (session == NULL || judge_use(session, use, &verdict, err) < 0)
        return -1;
    *is_allowed = verdict != USE_TOO_MANY;
    if (verdict != USE_NEW)
        return 0; /* the usual case writes nothing */
    session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    /* Again, now that nobody else may write. */
    int result = judge_use(session, use, &verdict, err);
    if (result == 0 && verdict == USE_NEW)
        result = db_run(
            session, "INSERT INTO used_tokens (unique_id, address, until_s) VALUES (?, ?, ?)",
            DB_PARAMS(db_text(use->unique_id), db_text(use->address), db_int(use->until_s)), NULL,
            err);
    *is_allowed = result == 0 && verdict != USE_TOO_MANY;
    return journal_finish(session, result, err);
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
    if (result == 0)
        result = db_run(session, "DELETE FROM void_orders WHERE until_s < ?",
                        DB_PARAMS(db_int(now_s)), NULL, err);
    return journal_finish(session, result, err);
}
