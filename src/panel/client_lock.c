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

/* 1: changed, `now` is the row as it is; 0: it was deleted meanwhile; -1. */
static int change(struct client_call *call, struct backup *now, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    int found = backup_find_by_id(session, call->backup.id, now, err);
    if (found <= 0 || change_in(call, session, now, err) < 0) {
        db_rollback(session);
        return found == 0 ? 0 : -1;
    }
    return db_commit(session, err) < 0 ? -1 : 1;
}

void client_backup_lock(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct backup now = {0};
    int changed = change(call, &now, &err);
    bool wants_object =
        call->operation == CLIENT_OP_BACKUP_LOCK && call->dialect == DIALECT_CLASSIC;
    if (changed < 0) {
        client_fail(call, &err);
    } else if (changed == 0) {
        client_refuse(call, API_ERROR_NOT_FOUND);
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
