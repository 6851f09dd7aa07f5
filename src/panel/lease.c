/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: a backup that is being created lives as long as its node says so.  Only a dead lease
 * fails it, never its age; and what died while the panel itself was away gets one more lease to be
 * heard of.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "db/activity.h"
#include "panel/internal.h"

enum {
    DEAD_AT_ONCE_MAX = 64,
    CREATING_MAX = 1024,
    IN_FLIGHT_US = 30 * 1000 * 1000, /* longer than an order may take to its node */
};

bool panel_lease_lives(const struct panel *panel, const struct backup *backup, int64_t now_us)
{
    if (backup->completed_at_us != 0 || backup->lease_until_us == 0)
        return false;
    return backup->lease_until_us > now_us || now_us < panel->leases_count_from_us;
}

static int fail_one(struct db_session *session, int64_t id, const char *reason, struct error *err)
{
    struct backup backup = {0};
    int found = backup_find_by_id(session, id, &backup, err);
    int done = found < 0 ? -1 : 0;
    if (found > 0) {
        scope_buf struct buf properties = BUF_INIT;
        panel_properties(&properties, backup.name, NULL, false);
        struct backup_outcome outcome = {.is_successful = false};
        struct activity activity = {
            .event = "server:backup.fail",
            .properties = properties.data,
            .server_id = backup.server_id,
            .backup_id = backup.id,
        };
        log_warning("backup failed because its node %s backup=%s", reason, backup.uuid);
        if (backup_complete(session, id, &outcome, err) < 0 ||
            activity_insert(session, &activity, err) < 0)
            done = -1;
    }
    backup_free(&backup);
    return done;
}

int panel_fail_dead(struct panel *panel, struct db_session *session, int64_t now_us,
                    struct error *err)
{
    if (now_us < panel->leases_count_from_us)
        return 0;
    int64_t ids[DEAD_AT_ONCE_MAX];
    int count = backup_find_dead(session, now_us, ids, DEAD_AT_ONCE_MAX, err);
    for (int i = 0; i < count; i++)
        if (fail_one(session, ids[i], "fell silent", err) < 0)
            return -1;
    return count < 0 ? -1 : 0;
}

static bool is_meant(const json_t *meant, const char *uuid)
{
    size_t index;
    const json_t *item;
    json_array_foreach(meant, index, item)
    {
        const char *text = json_string_value(item);
        if (text != NULL && strcmp(text, uuid) == 0)
            return true;
    }
    return false;
}

/* An order that this panel has sent may still be on its way; one from before it started is not. */
static bool may_be_in_flight(const struct panel *panel, const struct backup *backup, int64_t now_us)
{
    return backup->id > panel->newest_id_at_start && backup->created_at_us + IN_FLIGHT_US > now_us;
}

int panel_fail_forgotten(struct panel *panel, struct db_session *session, int64_t node_id,
                         const json_t *meant, int64_t now_us, struct error *err)
{
    int64_t ids[CREATING_MAX];
    int count = backup_find_creating(session, node_id, ids, CREATING_MAX, err);
    for (int i = 0; i < count; i++) {
        struct backup backup = {0};
        int found = backup_find_by_id(session, ids[i], &backup, err);
        bool is_lost = found > 0 && strcmp(backup.disk, "wings") == 0 &&
                       !is_meant(meant, backup.uuid) && !may_be_in_flight(panel, &backup, now_us);
        backup_free(&backup);
        if (found < 0 || (is_lost && fail_one(session, ids[i], "never got the order", err) < 0))
            return -1;
    }
    return count < 0 ? -1 : 0;
}
