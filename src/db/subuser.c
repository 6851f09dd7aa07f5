/* SPDX-License-Identifier: Apache-2.0 */
/* Who else may act on a server. */
#include "db/subuser.h"

#include "db/record.h"

int subuser_find(struct db_session *session, int64_t user_id, int64_t server_id,
                 struct buf *permissions, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, "SELECT permissions FROM subusers WHERE user_id = ? AND server_id = ?",
                 DB_PARAMS(db_int(user_id), db_int(server_id)), &rows, err) < 0)
        return -1;
    int more = db_next(&rows, err);
    if (more > 0)
        buf_add_str(permissions, db_is_null(&rows, 0) ? "[]" : db_get_text(&rows, 0));
    return more;
}

int subuser_set(struct db_session *session, int64_t user_id, int64_t server_id,
                const char *permissions, struct error *err)
{
    char now[TIME_TEXT_BYTES];
    db_time_text(time_now_us(), now);
    int64_t changed;
    if (db_run(session,
               "UPDATE subusers SET permissions = ?, updated_at = ?"
               " WHERE user_id = ? AND server_id = ?",
               DB_PARAMS(db_text(permissions), db_text(now), db_int(user_id), db_int(server_id)),
               &changed, err) < 0)
        return -1;
    if (changed > 0)
        return 0;
    if (db_run(session,
               "INSERT INTO subusers (user_id, server_id, permissions, created_at, updated_at)"
               " VALUES (?, ?, ?, ?, ?)",
               DB_PARAMS(db_int(user_id), db_int(server_id), db_text(permissions), db_text(now),
                         db_text(now)),
               NULL, err) < 0)
        return error_wrap(err, "making user %" PRId64 " a subuser of server %" PRId64, user_id,
                          server_id);
    return 0;
}

int subuser_delete(struct db_session *session, int64_t user_id, int64_t server_id,
                   struct error *err)
{
    int64_t changed;
    if (db_run(session, "DELETE FROM subusers WHERE user_id = ? AND server_id = ?",
               DB_PARAMS(db_int(user_id), db_int(server_id)), &changed, err) < 0)
        return -1;
    return record_must_exist(changed, "subuser with the id of user", user_id, err);
}
