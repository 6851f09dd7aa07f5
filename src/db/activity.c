/* SPDX-License-Identifier: Apache-2.0 */
/* The record of who did what. */
#include "db/activity.h"

#include "db/record.h"

static int add_subject(struct db_session *session, int64_t log_id, const char *type, int64_t id,
                       struct error *err)
{
    if (id == 0)
        return 0;
    return db_run(session,
                  "INSERT INTO activity_log_subjects (activity_log_id, subject_type, subject_id)"
                  " VALUES (?, ?, ?)",
                  DB_PARAMS(db_int(log_id), db_text(type), db_int(id)), NULL, err);
}

int activity_insert(struct db_session *session, const struct activity *activity, struct error *err)
{
    char at[TIME_TEXT_BYTES];
    db_time_text(activity->at_us != 0 ? activity->at_us : time_now_us(), at);
    bool has_actor = activity->actor_user_id != 0;
    /* The column is not nullable; Pterodactyl writes its own address for what no request asked for. */
    if (db_run(session,
               "INSERT INTO activity_logs (event, ip, actor_type, actor_id, api_key_id, properties,"
               " timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)",
               DB_PARAMS(db_text(activity->event),
                         db_text(activity->ip != NULL ? activity->ip : "127.0.0.1"),
                         db_text(has_actor ? "user" : NULL),
                         has_actor ? db_int(activity->actor_user_id) : db_null(),
                         activity->api_key_id != 0 ? db_int(activity->api_key_id) : db_null(),
                         db_text(activity->properties != NULL ? activity->properties : "{}"),
                         db_text(at)),
               NULL, err) < 0)
        return error_wrap(err, "recording '%s'", activity->event);
    int64_t log_id = db_last_id(session);
    if (add_subject(session, log_id, "server", activity->server_id, err) < 0)
        return -1;
    return add_subject(session, log_id, "backup", activity->backup_id, err);
}
