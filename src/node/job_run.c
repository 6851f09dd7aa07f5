/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job from the queue to its report.  Its end is one step in the journal; where the journal cannot be
 * written, the job waits for it, because an end that nobody recorded has not happened.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "node/node_internal.h"

enum {
    RETRY_MS = 1000,
    SETTLE_MAX_MS =
        60 * 1000, /* a torn exchange is tried again after 1 s, and twice as long each time */
};

struct ending {
    struct journal_report report;
    struct journal_archive archive;
    struct buf capture;
};

/* One step of the journal's, which also decides whether a success came before a cancel. */
static int write_end(struct node *node, const struct job *job, const struct ending *ending,
                     struct error *err)
{
    const struct journal_report *report = &ending->report;
    bool is_backup = report->kind == JOB_BACKUP;
    bool has_archive = is_backup && report->is_successful;
    if (is_backup && !has_archive && atomic_load(&job->is_cancelled))
        return cancel_end(node, &job->record, err);
    int result = journal_end_job(node->journal, job->record.id, report,
                                 has_archive ? &ending->archive : NULL, ending->capture.data, err);
    if (result == 0 || !has_archive || err->code != ERROR_CANCELLED)
        return result;
    error_clear(err);
    log_info("backup cancelled as it was completed server=%s backup=%s", report->server,
             report->backup);
    return cancel_end(node, &job->record, err);
}

static void record_end(struct node *node, struct job *job, const struct ending *ending)
{
    const struct journal_report *report = &ending->report;
    for (;;) {
        if (atomic_load(&job->is_dropped))
            return;
        struct error err = ERROR_INIT;
        /* Before the report can reach the panel: its next order may come within the same millisecond. */
        atomic_store(&job->is_settled, true);
        if (write_end(node, job, ending, &err) == 0)
            break;
        atomic_store(&job->is_settled, false);
        log_error("journal fails backup=%s reason=%s", report->backup, err.text);
        if (queue_is_stopping(node->queue))
            return; /* the next start does the job again, or finds what is live */
        usleep(RETRY_MS * 1000);
    }
    outbox_wake(node->outbox);
}

static void fill_report(struct journal_report *report, const struct job *job,
                        const struct journal_archive *archive, const struct error *err)
{
    *report = (struct journal_report){
        .kind = job->record.kind,
        .is_successful = !error_is_set(err),
    };
    snprintf(report->server, sizeof(report->server), "%s", job->record.server);
    snprintf(report->backup, sizeof(report->backup), "%s", job->record.backup);
    if (error_is_set(err)) {
        bool is_cancelled = err->code == ERROR_CANCELLED && atomic_load(&job->is_cancelled);
        snprintf(report->error, sizeof(report->error), "%s",
                 is_cancelled             ? JOB_CANCELLED_TEXT
                 : job->reason[0] != '\0' ? job->reason
                                          : job_error_text(err));
    } else if (report->kind == JOB_BACKUP) {
        report->size_bytes = archive->size_bytes;
        snprintf(report->checksum, sizeof(report->checksum), "%s", archive->checksum);
        snprintf(report->checksum_type, sizeof(report->checksum_type), "%s",
                 archive->checksum_type);
    }
}

static int do_job(struct node *node, struct job *job, struct ending *ending, struct error *err)
{
    switch (job->record.kind) {
    case JOB_BACKUP:
        return backup_run(node, job, &ending->archive, &ending->capture, err);
    case JOB_RESTORE:
        return restore_run(node, job, err);
    case JOB_UNDO:
        break;
    }
    return undo_run(node, job, err);
}

/* The job itself, with no more of the machine than the configuration grants it. */
static int run_within_budget(struct node *node, struct job *job, struct ending *ending,
                             struct error *err)
{
    if (job_is_void(job))
        return error_set(err, ERROR_CANCELLED, "it was cancelled before it began");
    const struct node_config *config = &node->config;
    struct budget *budget = budget_new(&(struct budget_limits){
        .cpu_percent = config->cpu_limit_percent,
        .read_bytes_per_s = config->read_limit_bytes_per_s,
        .cancel = &job->cancel,
    });
    budget_set_priority(config->io_class, config->nice);
    budget_enter(budget);
    int result = do_job(node, job, ending, err);
    budget_leave();
    budget_free(budget);
    return result;
}

/* Nobody else gets the server, and no end is reported, while its directory is a mix. */
static unsigned try_again(struct job *job, const struct error *err)
{
    unsigned wait_ms = RETRY_MS;
    for (unsigned i = 0; i < job->attempts && wait_ms < SETTLE_MAX_MS; i++)
        wait_ms *= 2;
    job->attempts++;
    wait_ms = wait_ms < SETTLE_MAX_MS ? wait_ms : SETTLE_MAX_MS;
    log_error("a server's directory is half exchanged, and tried again in %u s server=%s "
              "directory='%s/%s' rest='%s' reason=%s",
              wait_ms / 1000, job->record.server, job->record.stage_parent, job->record.live_name,
              job->record.stage_name, err->text);
    return wait_ms;
}

unsigned job_run(struct job *job, void *context)
{
    struct node *node = context;
    const struct journal_job *record = &job->record;
    const char *kind = job_kind_name(record->kind);
    int64_t started_us = time_monotonic_us();
    log_info("%s begins server=%s backup=%s", kind, record->server, record->backup);

    struct error err = ERROR_INIT;
    struct ending ending = {.capture = BUF_INIT};
    int result = run_within_budget(node, job, &ending, &err);
    int64_t took_ms = (time_monotonic_us() - started_us) / 1000;
    unsigned again_ms = QUEUE_ENDED;
    if (atomic_load(&job->is_dropped)) {
        log_info("%s dropped server=%s backup=%s ms=%" PRId64, kind, record->server, record->backup,
                 took_ms);
    } else if (job->is_torn) {
        again_ms = try_again(job, &err);
    } else if (result < 0 && err.code == ERROR_CANCELLED && queue_is_stopping(node->queue) &&
               !job_is_void(job)) {
        log_info("%s interrupted server=%s backup=%s ms=%" PRId64, kind, record->server,
                 record->backup, took_ms);
    } else {
        if (result < 0 && err.code == ERROR_CANCELLED && atomic_load(&job->is_cancelled))
            log_info("%s cancelled server=%s backup=%s ms=%" PRId64, kind, record->server,
                     record->backup, took_ms);
        else if (result < 0)
            log_error("%s failed server=%s backup=%s ms=%" PRId64 " reason=%s", kind,
                      record->server, record->backup, took_ms, err.text);
        else
            log_info("%s completed server=%s backup=%s bytes=%" PRIu64 " ms=%" PRId64, kind,
                     record->server, record->backup,
                     record->kind == JOB_BACKUP ? ending.archive.size_bytes
                                                : atomic_load(&job->progress.content_bytes),
                     took_ms);
        node_count_end(node, job, &err, ending.archive.size_bytes, took_ms);
        fill_report(&ending.report, job, &ending.archive, &err);
        if (record->kind != JOB_BACKUP)
            ending.report.kept_until_us = journal_kept_until(node->journal, record->server);
        record_end(node, job, &ending);
    }
    buf_free(&ending.capture);
    return again_ms;
}
