/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: made, found by their identifier, sealed at rest. */
#include "db/api_key.h"

#include <assert.h>
#include <stdlib.h>

#include "base/random.h"
#include "db/record.h"

enum {
    PREFIX_LENGTH = 5
};

#define SELECT                                                                                     \
    "SELECT k.id, k.user_id, k.key_type, k.identifier, k.token, k.allowed_ips, k.memo,"            \
    " k.last_used_at, k.expires_at, r.dialect"                                                     \
    " FROM api_keys k LEFT JOIN roost_api_keys r ON r.api_key_id = k.id"

static const char *dialect_name(enum api_key_dialect dialect)
{
    switch (dialect) {
    case API_KEY_DIALECT_CLASSIC:
        return "classic";
    case API_KEY_DIALECT_EXTENDED:
        return "extended";
    case API_KEY_DIALECT_AUTO:
        break;
    }
    return NULL;
}

static enum api_key_dialect dialect_of(const char *name)
{
    if (name != NULL && strcmp(name, "classic") == 0)
        return API_KEY_DIALECT_CLASSIC;
    if (name != NULL && strcmp(name, "extended") == 0)
        return API_KEY_DIALECT_EXTENDED;
    return API_KEY_DIALECT_AUTO;
}

static void read_row(const struct db_rows *rows, struct api_key *key)
{
    *key = (struct api_key){
        .id = db_get_int(rows, 0),
        .user_id = db_get_int(rows, 1),
        .type = (enum api_key_type)db_get_int(rows, 2),
        .sealed_secret = record_borrow(rows, 4),
        .allowed_ips = record_borrow(rows, 5),
        .memo = record_borrow(rows, 6),
        .last_used_at_us = db_get_time_us(rows, 7),
        .expires_at_us = db_get_time_us(rows, 8),
        .dialect = dialect_of(db_get_text(rows, 9)),
    };
    record_copy_to(key->identifier, db_get_text(rows, 3));
}

void api_key_free(struct api_key *key)
{
    free(key->sealed_secret);
    free(key->allowed_ips);
    free(key->memo);
    *key = (struct api_key){0};
}

static int check_number(struct db_session *session, const struct api_key *key, struct error *err)
{
    int64_t number;
    if (db_query_int(session, "SELECT COUNT(*) FROM api_keys WHERE user_id = ? AND key_type = ?",
                     DB_PARAMS(db_int(key->user_id), db_int(key->type)), 0, &number, err) < 0)
        return -1;
    if (number >= API_KEYS_MAX_PER_USER)
        return error_set(err, ERROR_LIMIT, "the user has %d keys already", API_KEYS_MAX_PER_USER);
    return 0;
}

static int insert(struct db_session *session, const struct api_key *key, const char *sealed,
                  struct error *err)
{
    char expires_at[TIME_TEXT_BYTES];
    char now[TIME_TEXT_BYTES];
    db_time_text(time_now_us(), now);
    return db_run(session,
                  "INSERT INTO api_keys (user_id, key_type, identifier, token, allowed_ips, memo,"
                  " expires_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  DB_PARAMS(db_int(key->user_id), db_int(key->type), db_text(key->identifier),
                            db_text(sealed), db_text(key->allowed_ips), db_text(key->memo),
                            db_text(db_time_text(key->expires_at_us, expires_at)), db_text(now),
                            db_text(now)),
                  NULL, err);
}

int api_key_create(struct db_session *session, const struct seal_keys *keys, struct api_key *key,
                   char token[API_KEY_TOKEN_BYTES], struct error *err)
{
    assert(key->type == API_KEY_CLIENT || key->type == API_KEY_APPLICATION);
    if (check_number(session, key, err) < 0)
        return -1;
    memcpy(token, key->type == API_KEY_CLIENT ? "ptlc_" : "ptla_", PREFIX_LENGTH);
    random_alphanumeric(token + PREFIX_LENGTH, API_KEY_IDENTIFIER_LENGTH - PREFIX_LENGTH);
    memcpy(key->identifier, token, API_KEY_IDENTIFIER_LENGTH + 1);
    random_alphanumeric(token + API_KEY_IDENTIFIER_LENGTH, API_KEY_SECRET_LENGTH);
    scope_buf struct buf sealed = BUF_INIT;
    seal_string(keys, token + API_KEY_IDENTIFIER_LENGTH, &sealed);
    if (insert(session, key, sealed.data, err) < 0)
        return error_wrap(err, "adding a key of user %" PRId64, key->user_id);
    key->id = db_last_id(session);
    if (key->dialect == API_KEY_DIALECT_AUTO)
        return 0;
    return db_run(session, "INSERT INTO roost_api_keys (api_key_id, dialect) VALUES (?, ?)",
                  DB_PARAMS(db_int(key->id), db_text(dialect_name(key->dialect))), NULL, err);
}

int api_key_find(struct db_session *session, const char *identifier, struct api_key *key,
                 struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, SELECT " WHERE k.identifier = ?", DB_PARAMS(db_text(identifier)), &rows,
                 err) < 0)
        return -1;
    int more = db_next(&rows, err);
    if (more <= 0)
        return more;
    read_row(&rows, key);
    /* Some databases compare without case. */
    if (strcmp(key->identifier, identifier) != 0) {
        *key = (struct api_key){0};
        return 0;
    }
    record_own(&key->sealed_secret);
    record_own(&key->allowed_ips);
    record_own(&key->memo);
    return 1;
}

int api_key_each(struct db_session *session, int64_t user_id,
                 int (*visit)(const struct api_key *key, void *context, struct error *err),
                 void *context, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    int status = user_id == 0 ? db_query(session, SELECT " ORDER BY k.id", DB_NO_PARAMS, &rows, err)
                              : db_query(session, SELECT " WHERE k.user_id = ? ORDER BY k.id",
                                         DB_PARAMS(db_int(user_id)), &rows, err);
    if (status < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        struct api_key key;
        read_row(&rows, &key);
        if (visit(&key, context, err) < 0)
            return -1;
    }
    return more;
}

int api_key_touch(struct db_session *session, int64_t id, int64_t at_us, struct error *err)
{
    char at[TIME_TEXT_BYTES];
    return db_run(session, "UPDATE api_keys SET last_used_at = ? WHERE id = ?",
                  DB_PARAMS(db_text(db_time_text(at_us, at)), db_int(id)), NULL, err);
}

int api_key_delete(struct db_session *session, const char *identifier, struct error *err)
{
    int64_t changed;
    if (db_run(session, "DELETE FROM api_keys WHERE identifier = ?", DB_PARAMS(db_text(identifier)),
               &changed, err) < 0)
        return -1;
    if (changed == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no key '%.16s'", identifier);
    return 0;
}
