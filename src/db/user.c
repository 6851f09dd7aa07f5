/* SPDX-License-Identifier: Apache-2.0 */
/* Users.  Accounts have no password here that could be logged in with: '' is no hash of anything. */
#include "db/user.h"

#include <stdlib.h>

#include "db/record.h"

#define COLUMNS "id, uuid, username, email, language, root_admin, use_totp"

static void read_row(const struct db_rows *rows, struct user *user)
{
    *user = (struct user){
        .id = db_get_int(rows, 0),
        .username = record_borrow(rows, 2),
        .email = record_borrow(rows, 3),
        .is_root_admin = db_get_int(rows, 5) != 0,
        .has_totp = db_get_int(rows, 6) != 0,
    };
    record_copy_to(user->uuid, db_get_text(rows, 1));
    record_copy_to(user->language, db_get_text(rows, 4));
}

void user_free(struct user *user)
{
    free(user->username);
    free(user->email);
    *user = (struct user){0};
}

int user_insert(struct db_session *session, struct user *user, struct error *err)
{
    char uuid[UUID_TEXT_BYTES];
    char now[TIME_TEXT_BYTES];
    db_time_text(time_now_us(), now);
    if (user->uuid[0] == '\0')
        uuid_make(uuid);
    else
        record_copy_to(uuid, user->uuid);
    if (db_run(
            session,
            "INSERT INTO users (uuid, username, email, name_first, name_last, password, language,"
            " root_admin, use_totp, gravatar, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, '', '', ?, ?, ?, 0, ?, ?)",
            DB_PARAMS(
                db_text(uuid), db_text(user->username), db_text(user->email),
                db_text(user->username), db_text(user->language[0] == '\0' ? "en" : user->language),
                db_int(user->is_root_admin), db_int(user->has_totp), db_text(now), db_text(now)),
            NULL, err) < 0)
        return error_wrap(err, "adding user '%.100s'", user->username);
    user->id = db_last_id(session);
    record_copy_to(user->uuid, uuid);
    return 0;
}

static int find(struct db_rows *rows, struct user *user, struct error *err)
{
    int more = db_next(rows, err);
    if (more > 0) {
        read_row(rows, user);
        record_own(&user->username);
        record_own(&user->email);
    }
    return more;
}

int user_find(struct db_session *session, int64_t id, struct user *user, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, "SELECT " COLUMNS " FROM users WHERE id = ?", DB_PARAMS(db_int(id)),
                 &rows, err) < 0)
        return -1;
    return find(&rows, user, err);
}

int user_find_by_name(struct db_session *session, const char *name_or_email, struct user *user,
                      struct error *err)
{
    /* One user's name may be another one's address: names come first. */
    scope_rows struct db_rows rows = {0};
    if (db_query(session,
                 "SELECT " COLUMNS " FROM users WHERE username = ? OR email = ?"
                 " ORDER BY CASE WHEN username = ? THEN 0 ELSE 1 END LIMIT 1",
                 DB_PARAMS(db_text(name_or_email), db_text(name_or_email), db_text(name_or_email)),
                 &rows, err) < 0)
        return -1;
    return find(&rows, user, err);
}

int user_each(struct db_session *session,
              int (*visit)(const struct user *user, void *context, struct error *err),
              void *context, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, "SELECT " COLUMNS " FROM users ORDER BY id", DB_NO_PARAMS, &rows, err) <
        0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        struct user user;
        read_row(&rows, &user);
        if (visit(&user, context, err) < 0)
            return -1;
    }
    return more;
}

int user_delete(struct db_session *session, int64_t id, struct error *err)
{
    int64_t servers;
    int64_t changed;
    if (db_query_int(session, "SELECT COUNT(*) FROM servers WHERE owner_id = ?",
                     DB_PARAMS(db_int(id)), 0, &servers, err) < 0)
        return -1;
    if (servers > 0)
        return error_set(err, ERROR_CONFLICT, "user %" PRId64 " owns %" PRId64 " servers", id,
                         servers);
    if (db_run(session, "DELETE FROM users WHERE id = ?", DB_PARAMS(db_int(id)), &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "user", id, err);
}
