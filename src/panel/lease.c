/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: a backup that is being created lives as long as its node says so.  Only a dead lease
 * fails it, never its age; and what died while the panel itself was away gets one more lease to be
 * heard of.
 */
#include <inttypes.h>

#include "base/log.h"
#include "db/activity.h"
#include "panel/internal.h"

enum {
    DEAD_AT_ONCE_MAX = 64
};

bool panel_lease_lives(const struct panel *panel, const struct backup *backup, int64_t now_us)
{
    if (backup->completed_at_us != 0 || backup->lease_until_us == 0)
        return false;
    return backup->lease_until_us > now_us || now_us < panel->leases_count_from_us;
}

static int fail_one(struct db_session *session, int64_t id, struct error *err)
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
        log_warning("backup failed because its node fell silent backup=%s", backup.uuid);
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
        if (fail_one(session, ids[i], err) < 0)
            return -1;
    return count < 0 ? -1 : 0;
}
