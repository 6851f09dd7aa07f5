/* SPDX-License-Identifier: Apache-2.0 */
/* What the panel tells of itself, from its database alone. */
#include "base/metrics.h"

#include "db/backup.h"
#include "panel/internal.h"
#include "panel/panel.h"

/* Families must not be mixed: one buffer for each. */
struct totals {
    struct buf count, bytes, newest;
    int64_t creating, completed, failed;
};

static int add_server(const struct backup_totals *of, void *context, struct error *err)
{
    struct totals *totals = context;
    const struct metric_label *labels = METRIC_LABELS({"server", of->server});
    metrics_value(&totals->count, "roost_panel_server_backups", labels, (double)of->completed);
    metrics_value(&totals->bytes, "roost_panel_server_backup_bytes", labels, (double)of->bytes);
    if (of->newest_us != 0)
        metrics_value(&totals->newest, "roost_panel_server_last_success_timestamp_seconds", labels,
                      (double)(of->newest_us / 1000000));
    totals->creating += of->creating;
    totals->completed += of->completed;
    totals->failed += of->failed;
    return 0;
}

static void write_totals(const struct totals *totals, struct buf *out)
{
    const char *name = "roost_panel_backups";
    metrics_family(out, name, METRIC_GAUGE, "Backups by state, without those that are deleted.");
    metrics_value(out, name, METRIC_LABELS({"state", "creating"}), (double)totals->creating);
    metrics_value(out, name, METRIC_LABELS({"state", "completed"}), (double)totals->completed);
    metrics_value(out, name, METRIC_LABELS({"state", "failed"}), (double)totals->failed);
    buf_add(out, totals->count.data, totals->count.length);
    buf_add(out, totals->bytes.data, totals->bytes.length);
    buf_add(out, totals->newest.data, totals->newest.length);
}

static int write_lease(struct db_session *session, struct buf *out, struct error *err)
{
    int64_t until_us;
    if (backup_next_lease(session, &until_us, err) < 0)
        return -1;
    const char *name = "roost_panel_lease_left_seconds";
    metrics_family(out, name, METRIC_GAUGE,
                   "How long the node may still be silent that was silent longest about a backup.");
    if (until_us != 0)
        metrics_value(out, name, METRIC_NO_LABELS, (double)(until_us - time_now_us()) / 1e6);
    return 0;
}

int panel_metrics(struct panel *panel, struct buf *out, struct error *err)
{
    struct totals totals = {.count = BUF_INIT, .bytes = BUF_INIT, .newest = BUF_INIT};
    metrics_family(&totals.count, "roost_panel_server_backups", METRIC_GAUGE,
                   "Completed backups of a server.");
    metrics_family(&totals.bytes, "roost_panel_server_backup_bytes", METRIC_GAUGE, "Their size.");
    metrics_family(&totals.newest, "roost_panel_server_last_success_timestamp_seconds",
                   METRIC_GAUGE, "When the newest of them was completed; none: there is none.");
    struct db_session *session = db_reader(panel->db, err);
    int result = session == NULL ? -1 : backup_each_totals(session, add_server, &totals, err);
    if (result == 0) {
        write_totals(&totals, out);
        result = write_lease(session, out, err);
    }
    buf_free(&totals.count);
    buf_free(&totals.bytes);
    buf_free(&totals.newest);
    return result;
}

int panel_check(struct panel *panel, struct error *err)
{
    int64_t until_us;
    struct db_session *session = db_reader(panel->db, err);
    return session == NULL ? -1 : backup_next_lease(session, &until_us, err);
}
