/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores and undos whose order was lost, or that this panel died over: their servers would stay in the state
 * of one for ever.  Every now and then the node of each that has gone on for a while is asked, on a thread that may
 * wait for it; and only a node that says that it knows of none ends the state.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "db/activity.h"
#include "panel/internal.h"

enum {
    BEAT_MS = 10 * 1000,
    ASK_AFTER_US = 30 * 1000 * 1000, /* longer than an order may take to its node */
    AT_ONCE_MAX = 64,
};

struct settler {
    struct panel *panel;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stops;
    bool is_stopping;
    int64_t after_id; /* the last server that was asked about */
};

int panel_end_restore(struct db_session *session, int64_t server_id, const struct restore_end *end,
                      struct error *err)
{
    struct server_restore restore = {.backup_id = 0};
    int found = server_restore_find(session, server_id, &restore, err);
    int undoing = found < 0 ? -1 : server_undo_find(session, server_id, err);
    if (undoing < 0 || (found > 0 && server_restore_end(session, server_id, err) < 0) ||
        (undoing > 0 && server_undo_end(session, server_id, err) < 0))
        return -1;
    struct backup backup = {0};
    int has_backup = found > 0 ? backup_find_by_id(session, restore.backup_id, &backup, err) : 0;
    scope_buf struct buf properties = BUF_INIT;
    panel_properties(&properties, has_backup > 0 ? backup.name : NULL, NULL, false);
    struct server_last_restore ended = {.is_of_files = restore.is_of_files};
    snprintf(ended.error, sizeof(ended.error), "%s", end->reason);
    snprintf(ended.backup, sizeof(ended.backup), "%s", has_backup > 0 ? backup.uuid : "");
    if (has_backup > 0 && server_restore_note(session, server_id, &ended, err) < 0)
        has_backup = -1;
    backup_free(&backup);
    struct activity activity = {
        .event = undoing > 0 ? "server:backup.restore-undo-failed" : "server:backup.restore-failed",
        .ip = end->ip,
        .properties = properties.data,
        .server_id = server_id,
        .backup_id = restore.backup_id,
        .at_us = end->at_us,
    };
    return has_backup < 0 ? -1 : activity_insert(session, &activity, err);
}

/* It still is the one that the node was asked about: what began meanwhile is younger. */
static int settle_in(struct db_session *session, int64_t server_id, int64_t before_us,
                     struct error *err)
{
    struct server server = {0};
    int64_t id = 0;
    int waits = server_restores_before(session, before_us, server_id - 1, &id, 1, err);
    if (waits <= 0 || id != server_id)
        return waits < 0 ? -1 : 0;
    int found = server_find_by_id(session, server_id, &server, err);
    if (found <= 0)
        return found;
    struct restore_end end = {.reason = "the node never got the order", .at_us = time_now_us()};
    int result = server.status == SERVER_RESTORING_BACKUP
                     ? server_set_status(session, server_id, SERVER_NORMAL, err)
                     : 0;
    if (result == 0)
        result = panel_end_restore(session, server_id, &end, err);
    if (result == 0)
        log_warning("a restore has failed because its node does not know of it server=%s",
                    server.uuid);
    server_free(&server);
    return result;
}

static int settle(struct panel *panel, int64_t server_id, int64_t before_us, struct error *err)
{
    struct db_session *session = db_begin(panel->db, err);
    if (session == NULL)
        return -1;
    if (settle_in(session, server_id, before_us, err) < 0) {
        db_rollback(session);
        return -1;
    }
    return db_commit(session, err);
}

/* 1: the node is at it, as far as anybody knows.  0: it knows of none.  The session is not held meanwhile. */
static int ask(struct panel *panel, int64_t server_id, int64_t *silent_node, struct error *err)
{
    struct db_session *session = db_reader(panel->db, err);
    struct server server = {0};
    struct node_link link = NODE_LINK_INIT;
    struct node_outcome outcome;
    int found = session == NULL ? -1 : server_find_by_id(session, server_id, &server, err);
    int is_restoring = found < 0 ? -1 : 1;
    if (found > 0 && server.node_id != *silent_node) {
        if (node_link_open(panel, session, server.node_id, &link, err) < 0) {
            is_restoring = -1;
        } else {
            struct node_address address = node_link_address(&link);
            is_restoring = node_api_is_restoring(panel->nodes, &address, server.uuid, &outcome);
            if (is_restoring < 0 && outcome.status == 0)
                *silent_node = server.node_id; /* nor the next one of it this time */
            is_restoring = is_restoring == 0 ? 0 : 1;
        }
    }
    node_link_close(&link);
    server_free(&server);
    return is_restoring;
}

static bool is_stopping(struct settler *settler)
{
    pthread_mutex_lock(&settler->mutex);
    bool is_it = settler->is_stopping;
    pthread_mutex_unlock(&settler->mutex);
    return is_it;
}

/* A part of them each time, from where the last time ended. */
static int look(struct settler *settler, struct error *err)
{
    struct panel *panel = settler->panel;
    int64_t ids[AT_ONCE_MAX], silent_node = 0;
    int64_t before_us = time_now_us() - ASK_AFTER_US;
    struct db_session *session = db_reader(panel->db, err);
    int count = session == NULL ? -1
                                : server_restores_before(session, before_us, settler->after_id, ids,
                                                         AT_ONCE_MAX, err);
    if (count < 0)
        return -1;
    settler->after_id = count < AT_ONCE_MAX ? 0 : ids[count - 1];
    for (int i = 0; i < count && !is_stopping(settler); i++) {
        int is_restoring = ask(panel, ids[i], &silent_node, err);
        if (is_restoring < 0 || (is_restoring == 0 && settle(panel, ids[i], before_us, err) < 0))
            return -1;
    }
    return 0;
}

static bool wait_for_beat(struct settler *settler)
{
    pthread_mutex_lock(&settler->mutex);
    if (!settler->is_stopping)
        thread_wait(&settler->stops, &settler->mutex, BEAT_MS);
    bool is_going_on = !settler->is_stopping;
    pthread_mutex_unlock(&settler->mutex);
    return is_going_on;
}

static void *run(void *argument)
{
    struct settler *settler = argument;
    while (wait_for_beat(settler)) {
        struct error err = ERROR_INIT;
        if (look(settler, &err) < 0)
            log_error("lost restores were not looked after reason='%s'", err.text);
    }
    db_thread_end(settler->panel->db);
    return NULL;
}

struct settler *settler_start(struct panel *panel)
{
    struct settler *settler = xcalloc(1, sizeof(*settler));
    settler->panel = panel;
    pthread_mutex_init(&settler->mutex, NULL);
    thread_cond_init(&settler->stops);
    settler->thread = thread_start("panel-settler", run, settler);
    return settler;
}

void settler_stop(struct settler *settler)
{
    if (settler == NULL)
        return;
    pthread_mutex_lock(&settler->mutex);
    settler->is_stopping = true;
    pthread_cond_signal(&settler->stops);
    pthread_mutex_unlock(&settler->mutex);
    pthread_join(settler->thread, NULL);
    pthread_cond_destroy(&settler->stops);
    pthread_mutex_destroy(&settler->mutex);
    free(settler);
}
