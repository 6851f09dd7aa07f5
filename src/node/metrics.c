/* SPDX-License-Identifier: Apache-2.0 */
/* What the node tells of itself: from memory and its own journal, without a call to anybody. */
#include "base/metrics.h"

#include "base/time.h"
#include "node/node_internal.h"

static const char *const outcome_names[JOB_OUTCOMES] = {
    [JOB_SUCCEEDED] = "successful", [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled"};

void node_count_end(struct node *node, const struct job *job, const struct error *err,
                    uint64_t archive_bytes, int64_t took_ms)
{
    struct node_counts *counts = &node->counts;
    enum job_kind kind = job->record.kind;
    enum job_outcome outcome = !error_is_set(err)                ? JOB_SUCCEEDED
                               : atomic_load(&job->is_cancelled) ? JOB_CANCELLED
                                                                 : JOB_FAILED;
    atomic_fetch_add(&counts->ended[kind][outcome], 1);
    atomic_fetch_add(&counts->took_ms[kind], (uint64_t)took_ms);
    atomic_fetch_add(&counts->content_bytes[kind], atomic_load(&job->progress.content_bytes));
    atomic_fetch_add(&counts->archive_bytes, archive_bytes);
    if (outcome == JOB_FAILED)
        atomic_fetch_add(&counts->failures[kind][err->code], 1);
}

struct in_queue {
    unsigned running, waiting;
};

static void count_job(struct job *job, void *context)
{
    struct in_queue *counts = context;
    if (job->is_running)
        counts->running++;
    else
        counts->waiting++;
}

static void write_jobs(struct node *node, struct buf *out)
{
    struct in_queue counts = {0};
    queue_each(node->queue, count_job, &counts);
    const char *name = "roost_node_jobs";
    metrics_family(out, name, METRIC_GAUGE, "Jobs that run, and that wait for their turn.");
    metrics_value(out, name, METRIC_LABELS({"state", "running"}), counts.running);
    metrics_value(out, name, METRIC_LABELS({"state", "waiting"}), counts.waiting);
}

static void write_ended(const struct node_counts *counts, struct buf *out)
{
    const char *name = "roost_node_jobs_ended_total";
    metrics_family(out, name, METRIC_COUNTER, "Jobs that ended, by how.");
    for (int kind = 0; kind < JOB_KINDS; kind++)
        for (int outcome = 0; outcome < JOB_OUTCOMES; outcome++)
            metrics_value(out, name,
                          METRIC_LABELS({"kind", job_kind_name((enum job_kind)kind)},
                                        {"outcome", outcome_names[outcome]}),
                          (double)atomic_load(&counts->ended[kind][outcome]));
    name = "roost_node_failures_total";
    metrics_family(out, name, METRIC_COUNTER, "Jobs that failed, by cause.");
    for (int kind = 0; kind < JOB_KINDS; kind++) {
        for (int code = 0; code < ERROR_CODES; code++) {
            uint64_t count = atomic_load(&counts->failures[kind][code]);
            if (count > 0)
                metrics_value(out, name,
                              METRIC_LABELS({"kind", job_kind_name((enum job_kind)kind)},
                                            {"cause", error_code_name((enum error_code)code)}),
                              (double)count);
        }
    }
}

static void write_by_kind(const _Atomic(uint64_t) *values, double unit, const char *name,
                          const char *help, struct buf *out)
{
    metrics_family(out, name, METRIC_COUNTER, help);
    for (int kind = 0; kind < JOB_KINDS; kind++)
        metrics_value(out, name, METRIC_LABELS({"kind", job_kind_name((enum job_kind)kind)}),
                      (double)atomic_load(&values[kind]) / unit);
}

static int write_reports(struct node *node, struct buf *out, struct error *err)
{
    const char *name = "roost_node_reports_waiting";
    metrics_family(out, name, METRIC_GAUGE, "Reports that the panel has not taken yet.");
    for (int kind = 0; kind < JOB_KINDS; kind++) {
        int64_t count;
        if (journal_count_reports(node->journal, (enum job_kind)kind, &count, err) < 0)
            return -1;
        metrics_value(out, name, METRIC_LABELS({"kind", job_kind_name((enum job_kind)kind)}),
                      (double)count);
    }
    return 0;
}

/* Families must not be mixed: one buffer for each. */
struct stored {
    struct buf count, bytes, newest;
};

static void add_stored(const struct journal_stored *of, void *context)
{
    struct stored *stored = context;
    const struct metric_label *labels = METRIC_LABELS({"server", of->server});
    metrics_value(&stored->count, "roost_node_archives", labels, (double)of->count);
    metrics_value(&stored->bytes, "roost_node_archive_bytes", labels, (double)of->size_bytes);
    metrics_value(&stored->newest, "roost_node_newest_archive_timestamp_seconds", labels,
                  (double)(of->newest_us / 1000000));
}

static int write_stored(struct node *node, struct buf *out, struct error *err)
{
    struct stored stored = {.count = BUF_INIT, .bytes = BUF_INIT, .newest = BUF_INIT};
    metrics_family(&stored.count, "roost_node_archives", METRIC_GAUGE,
                   "Archives that this node made and still holds.");
    metrics_family(&stored.bytes, "roost_node_archive_bytes", METRIC_GAUGE, "Their size.");
    metrics_family(&stored.newest, "roost_node_newest_archive_timestamp_seconds", METRIC_GAUGE,
                   "When the newest of them was completed.");
    int result = journal_each_stored(node->journal, add_stored, &stored, err);
    if (result == 0) {
        buf_add(out, stored.count.data, stored.count.length);
        buf_add(out, stored.bytes.data, stored.bytes.length);
        buf_add(out, stored.newest.data, stored.newest.length);
    }
    buf_free(&stored.count);
    buf_free(&stored.bytes);
    buf_free(&stored.newest);
    return result;
}

int node_metrics(struct node *node, struct buf *out, struct error *err)
{
    const struct node_counts *counts = &node->counts;
    write_jobs(node, out);
    write_ended(counts, out);
    write_by_kind(counts->took_ms, 1000, "roost_node_job_seconds_total",
                  "How long jobs ran that ended.", out);
    write_by_kind(counts->content_bytes, 1, "roost_node_job_content_bytes_total",
                  "Content of files that they read or restored.", out);
    metrics_single(out, "roost_node_archive_written_bytes_total", METRIC_COUNTER,
                   "Size of the archives that were completed.",
                   (double)atomic_load(&counts->archive_bytes));
    if (write_reports(node, out, err) < 0 || write_stored(node, out, err) < 0)
        return error_wrap(err, "reading the node's journal");
    return 0;
}

int node_check(struct node *node, struct error *err)
{
    int64_t count;
    queue_is_full(node->queue); /* returns only where nobody holds on to the queue */
    return journal_count_reports(node->journal, JOB_BACKUP, &count, err);
}
