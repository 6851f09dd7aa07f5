/* SPDX-License-Identifier: Apache-2.0 */
/* Locking: a toggle, and an unlock that may be repeated; both under the writer's lock. */
#include "panel/internal.h"

static int change_in(struct client_call *call, struct db_session *session, struct backup *now,
                     struct error *err)
{
    bool was_locked = now->is_locked;
    if (call->operation == CLIENT_OP_BACKUP_LOCK) {
        if (backup_toggle_lock(session, now->id, &now->is_locked, err) < 0)
            return -1;
    } else {
        if (backup_unlock(session, now->id, err) < 0)
            return -1;
        now->is_locked = false;
    }
    if (now->is_locked == was_locked)
        return 0;
    struct client_event event = {
        .name = now->is_locked ? "server:backup.lock" : "server:backup.unlock",
        .backup = now,
    };
    return client_record(call, session, &event, err);
}

/* A lock promises that the backup stays. */
static int check_deletion(struct client_call *call, struct db_session *session,
                          const struct backup *now, enum api_error *refusal, struct error *err)
{
    bool is_going = false;
    if (call->operation != CLIENT_OP_BACKUP_LOCK || now->is_locked)
        return 0;
    if (backup_is_being_deleted(session, now->id, call->now_us, &is_going, err) < 0)
        return -1;
    if (is_going)
        *refusal = API_ERROR_BACKUP_DELETING;
    return 0;
}

/* Where there is no refusal, `now` is the row as it is. */
static int change(struct client_call *call, struct backup *now, enum api_error *refusal,
                  struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    int found = backup_find_by_id(session, call->backup.id, now, err);
    if (found == 0)
        *refusal = API_ERROR_NOT_FOUND;
    int done = found <= 0 ? found : check_deletion(call, session, now, refusal, err);
    if (done == 0 && *refusal == API_ERROR_COUNT)
        done = change_in(call, session, now, err);
    return client_finish(session, done, *refusal, err);
}

void client_backup_lock(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct backup now = {0};
    enum api_error refusal = API_ERROR_COUNT;
    int changed = change(call, &now, &refusal, &err);
    bool wants_object =
        call->operation == CLIENT_OP_BACKUP_LOCK && call->dialect == DIALECT_CLASSIC;
    if (changed < 0) {
        client_fail(call, &err);
    } else if (refusal != API_ERROR_COUNT) {
        client_refuse(call, refusal);
    } else if (wants_object) {
        struct json_writer w = json_writer_to(http_reply_body(call->reply));
        client_write_backup(&w, &now);
    } else {
        http_reply_status(call->reply, 204);
    }
    backup_free(&now);
}

void client_backup_unlock(struct client_call *call)
{
    client_backup_lock(call);
}
