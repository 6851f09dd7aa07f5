/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Once a second: what was put down since, in one transaction; every now and then: dead leases.
 * Nothing here may lose more than a batch of last-used times when the process dies.
 */
#include "panel/keeper.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "db/activity.h"
#include "panel/internal.h"

enum {
    BEAT_MS = 1000,
    TOUCHES_MAX = 1024,
    REFUSALS_MAX = 64,
    SWEEP_MIN_S = 1,
    SWEEP_MAX_S = 15,
};

struct touch {
    int64_t key_id;
    int64_t at_us;
};

struct batch {
    size_t touch_count, refusal_count;
    struct touch touches[TOUCHES_MAX];
    struct keeper_refusal refusals[REFUSALS_MAX];
};

struct keeper {
    struct panel *panel;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stops;
    bool is_stopping;
    struct batch *filling; /* under the mutex */
    struct batch *writing; /* the thread's own */
};

void keeper_touch_key(struct keeper *keeper, int64_t key_id, int64_t at_us)
{
    pthread_mutex_lock(&keeper->mutex);
    struct batch *batch = keeper->filling;
    size_t at = 0;
    while (at < batch->touch_count && batch->touches[at].key_id != key_id)
        at++;
    if (at < TOUCHES_MAX) {
        batch->touches[at] = (struct touch){key_id, at_us};
        if (at == batch->touch_count)
            batch->touch_count++;
    }
    pthread_mutex_unlock(&keeper->mutex);
}

void keeper_record_refusal(struct keeper *keeper, const struct keeper_refusal *refusal)
{
    pthread_mutex_lock(&keeper->mutex);
    struct batch *batch = keeper->filling;
    if (batch->refusal_count < REFUSALS_MAX)
        batch->refusals[batch->refusal_count++] = *refusal;
    pthread_mutex_unlock(&keeper->mutex);
}

static int write_refusal(struct db_session *session, const struct keeper_refusal *refusal,
                         struct error *err)
{
    scope_buf struct buf properties = BUF_INIT;
    struct json_writer w = json_writer_to(&properties);
    json_begin_object(&w);
    json_field_string(&w, "identifier", refusal->identifier);
    json_end_object(&w);
    struct activity activity = {
        .event = "auth:ip-blocked",
        .ip = refusal->address,
        .actor_user_id = refusal->user_id,
        .api_key_id = refusal->key_id,
        .properties = properties.data,
        .at_us = refusal->at_us,
    };
    return activity_insert(session, &activity, err);
}

static int write_batch(struct db_session *session, const struct batch *batch, struct error *err)
{
    for (size_t i = 0; i < batch->touch_count; i++)
        if (api_key_touch(session, batch->touches[i].key_id, batch->touches[i].at_us, err) < 0)
            return -1;
    for (size_t i = 0; i < batch->refusal_count; i++)
        if (write_refusal(session, &batch->refusals[i], err) < 0)
            return -1;
    return 0;
}

static void flush(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    struct batch *batch = keeper->filling;
    keeper->filling = keeper->writing;
    keeper->writing = batch;
    pthread_mutex_unlock(&keeper->mutex);
    if (batch->touch_count + batch->refusal_count == 0)
        return;
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(keeper->panel->db, &err);
    if (session != NULL && write_batch(session, batch, &err) < 0)
        db_rollback(session);
    else if (session != NULL)
        (void)db_commit(session, &err);
    if (error_is_set(&err))
        log_error("use of API keys was not recorded reason='%s'", err.text);
    batch->touch_count = 0;
    batch->refusal_count = 0;
}

static int sweep(struct panel *panel, int64_t now_us, struct error *err)
{
    struct db_session *reader = db_reader(panel->db, err);
    int64_t id;
    int count = reader == NULL ? -1 : backup_find_dead(reader, now_us, &id, 1, err);
    if (count <= 0)
        return count;
    struct db_session *session = db_begin(panel->db, err);
    if (session == NULL)
        return -1;
    if (panel_fail_dead(panel, session, now_us, err) < 0) {
        db_rollback(session);
        return -1;
    }
    return db_commit(session, err);
}

static void try_sweep(struct panel *panel, int64_t now_us)
{
    struct error err = ERROR_INIT;
    if (sweep(panel, now_us, &err) < 0)
        log_error("dead leases were not looked after reason='%s'", err.text);
}

static int64_t sweep_interval_us(const struct panel *panel)
{
    int64_t seconds = panel->config.lease_s / 4;
    if (seconds < SWEEP_MIN_S)
        seconds = SWEEP_MIN_S;
    return (seconds > SWEEP_MAX_S ? SWEEP_MAX_S : seconds) * 1000000;
}

static bool wait_for_beat(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    if (!keeper->is_stopping)
        thread_wait(&keeper->stops, &keeper->mutex, BEAT_MS);
    bool is_stopping = keeper->is_stopping;
    pthread_mutex_unlock(&keeper->mutex);
    return !is_stopping;
}

static void *run(void *argument)
{
    struct keeper *keeper = argument;
    struct panel *panel = keeper->panel;
    int64_t next_sweep_us = 0;
    while (wait_for_beat(keeper)) {
        flush(keeper);
        int64_t now_us = time_now_us();
        if (now_us >= panel->leases_count_from_us && time_monotonic_us() >= next_sweep_us) {
            try_sweep(panel, now_us);
            next_sweep_us = time_monotonic_us() + sweep_interval_us(panel);
        }
    }
    flush(keeper);
    db_thread_end(panel->db);
    return NULL;
}

struct keeper *keeper_start(struct panel *panel)
{
    struct keeper *keeper = xcalloc(1, sizeof(*keeper));
    keeper->panel = panel;
    keeper->filling = xcalloc(1, sizeof(*keeper->filling));
    keeper->writing = xcalloc(1, sizeof(*keeper->writing));
    pthread_mutex_init(&keeper->mutex, NULL);
    thread_cond_init(&keeper->stops);
    keeper->thread = thread_start("panel-keeper", run, keeper);
    return keeper;
}

void keeper_stop(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->is_stopping = true;
    pthread_cond_signal(&keeper->stops);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
    pthread_cond_destroy(&keeper->stops);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper->filling);
    free(keeper->writing);
    free(keeper);
}
