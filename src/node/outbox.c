/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that delivers reports.  A report leaves the journal after the panel's answer, never before. */
#include "node/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"

enum {
    PAUSE_MIN_MS = 1000,
    PAUSE_MAX_MS = 60 * 1000,
    STOP_GRACE_MS = 2000,
};
#define SECOND_US INT64_C(1000000)
#define NOT_FOUND_FOR_US (15 * 60 * SECOND_US)
#define DENIED_FOR_US (24 * 3600 * SECOND_US)

struct outbox {
    struct journal *journal;
    struct remote_api *remote;
    void (*delivered)(const struct journal_report *report, void *context);
    void *context;
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    bool is_connected, is_awake, is_stopping, has_ended;
    int64_t pause_ms; /* 0: the panel answers */
    pthread_t thread;
};

enum outbox_verdict outbox_judge(enum error_code code, int64_t refused_for_us)
{
    switch (code) {
    case ERROR_NOT_FOUND:
        return refused_for_us < NOT_FOUND_FOR_US ? OUTBOX_DELAY : OUTBOX_ABANDON;
    case ERROR_DENIED:
        return refused_for_us < DENIED_FOR_US ? OUTBOX_DELAY : OUTBOX_ABANDON;
    case ERROR_CONFLICT:
    case ERROR_INVALID:
        return OUTBOX_ABANDON;
    case ERROR_NONE:
    case ERROR_CORRUPT:
    case ERROR_LIMIT:
    case ERROR_NO_SPACE:
    case ERROR_UNAVAILABLE:
    case ERROR_IO:
    case ERROR_CANCELLED:
        break;
    }
    return OUTBOX_PAUSE;
}

static int send_restore_report(struct outbox *outbox, const struct journal_report *report,
                               struct error *err)
{
    struct remote_restore_report body = {.is_successful = report->is_successful,
                                         .kept_until_us = report->kept_until_us};
    snprintf(body.error, sizeof(body.error), "%s", report->error);
    snprintf(body.backup, sizeof(body.backup), "%s", report->backup);
    if (report->kind == JOB_UNDO)
        return remote_api_report_undo(outbox->remote, report->server, &body, err);
    return remote_api_report_restore(outbox->remote, report->backup, &body, err);
}

static int send_report(struct outbox *outbox, const struct journal_report *report,
                       struct error *err)
{
    if (report->kind != JOB_BACKUP)
        return send_restore_report(outbox, report, err);
    struct remote_report body = {.is_successful = report->is_successful,
                                 .size_bytes = report->size_bytes};
    snprintf(body.checksum, sizeof(body.checksum), "%s", report->checksum);
    snprintf(body.checksum_type, sizeof(body.checksum_type), "%s", report->checksum_type);
    return remote_api_report_backup(outbox->remote, report->backup, &body, err);
}

/* The wait of one report: a second at first, then a fifth of the time since the first refusal, at most a minute. */
static int64_t delay_us(int64_t refused_for_us)
{
    int64_t delay = refused_for_us / 5;
    if (delay < SECOND_US)
        return SECOND_US;
    return delay > 60 * SECOND_US ? 60 * SECOND_US : delay;
}

static int settle_refusal(struct outbox *outbox, struct journal_report *report,
                          const struct error *reason, struct error *err)
{
    int64_t now_us = time_now_us();
    if (report->refused_since_us == 0)
        report->refused_since_us = now_us;
    int64_t refused_for_us = now_us - report->refused_since_us;
    switch (outbox_judge(reason->code, refused_for_us)) {
    case OUTBOX_PAUSE:
        outbox->pause_ms = outbox->pause_ms == 0 ? PAUSE_MIN_MS : 2 * outbox->pause_ms;
        if (outbox->pause_ms > PAUSE_MAX_MS)
            outbox->pause_ms = PAUSE_MAX_MS;
        log_warning("report waits kind=%s backup=%s next_in_ms=%" PRId64 " reason=%s",
                    job_kind_name(report->kind), report->backup, outbox->pause_ms, reason->text);
        return 0;
    case OUTBOX_DELAY:
        report->next_at_us = now_us + delay_us(refused_for_us);
        log_info("report delayed kind=%s backup=%s reason=%s", job_kind_name(report->kind),
                 report->backup, reason->text);
        return journal_delay_report(outbox->journal, report, err);
    case OUTBOX_ABANDON:
        break;
    }
    log_error(
        "report given up kind=%s backup=%s successful=%s reason=%s%s", job_kind_name(report->kind),
        report->backup, report->is_successful ? "yes" : "no", reason->text,
        report->kind == JOB_BACKUP && report->is_successful ? "; the archive is kept as an orphan"
                                                            : "");
    if (journal_abandon_report(outbox->journal, report, err) < 0)
        return -1;
    outbox->delivered(report, outbox->context);
    return 0;
}

/* Try the first report that is due: 1 tried, 0 none. */
static int deliver_one(struct outbox *outbox, struct error *err)
{
    struct journal_report report;
    int found = journal_next_report(outbox->journal, time_now_us(), &report, err);
    if (found <= 0)
        return found;
    struct error reason = ERROR_INIT;
    if (send_report(outbox, &report, &reason) < 0)
        return settle_refusal(outbox, &report, &reason, err) < 0 ? -1 : 1;
    outbox->pause_ms = 0;
    if (journal_remove_report(outbox->journal, report.id, err) < 0)
        return -1;
    log_info("report delivered kind=%s backup=%s successful=%s", job_kind_name(report.kind),
             report.backup, report.is_successful ? "yes" : "no");
    outbox->delivered(&report, outbox->context);
    return 1;
}

/* How long to sleep when nothing is due now; -1: until somebody wakes us. */
static int64_t sleep_ms(struct outbox *outbox)
{
    struct error err = ERROR_INIT;
    int64_t due_at_us = 0;
    if (outbox->pause_ms > 0)
        return outbox->pause_ms;
    if (journal_next_due(outbox->journal, &due_at_us, &err) < 0)
        return PAUSE_MAX_MS;
    if (due_at_us == 0)
        return -1;
    int64_t left_ms = (due_at_us - time_now_us()) / 1000 + 1;
    return left_ms < 1 ? 1 : left_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : left_ms;
}

static bool sleep_until_due(struct outbox *outbox)
{
    int64_t timeout_ms = sleep_ms(outbox);
    pthread_mutex_lock(&outbox->mutex);
    if (!outbox->is_stopping && !outbox->is_awake) {
        if (timeout_ms < 0)
            pthread_cond_wait(&outbox->has_changed, &outbox->mutex);
        else
            thread_wait(&outbox->has_changed, &outbox->mutex, timeout_ms);
    }
    outbox->is_awake = false;
    bool goes_on = !outbox->is_stopping;
    pthread_mutex_unlock(&outbox->mutex);
    return goes_on;
}

static bool is_stopping(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    bool is = outbox->is_stopping;
    pthread_mutex_unlock(&outbox->mutex);
    return is;
}

static void *outbox_run(void *argument)
{
    struct outbox *outbox = argument;
    pthread_mutex_lock(&outbox->mutex);
    while (!outbox->is_connected && !outbox->is_stopping)
        pthread_cond_wait(&outbox->has_changed, &outbox->mutex);
    pthread_mutex_unlock(&outbox->mutex);
    do {
        int result = 1;
        while (result > 0 && !is_stopping(outbox)) {
            struct error err = ERROR_INIT;
            result = deliver_one(outbox, &err);
            if (result < 0) {
                log_error("outbox fails reason=%s", err.text);
                outbox->pause_ms = PAUSE_MAX_MS;
            }
            if (outbox->pause_ms > 0)
                break;
        }
    } while (sleep_until_due(outbox));
    pthread_mutex_lock(&outbox->mutex);
    outbox->has_ended = true;
    pthread_cond_broadcast(&outbox->has_changed);
    pthread_mutex_unlock(&outbox->mutex);
    return NULL;
}

struct outbox *outbox_create(struct journal *journal, struct remote_api *remote,
                             void (*delivered)(const struct journal_report *report, void *context),
                             void *context)
{
    struct outbox *outbox = xcalloc(1, sizeof(*outbox));
    outbox->journal = journal;
    outbox->remote = remote;
    outbox->delivered = delivered;
    outbox->context = context;
    pthread_mutex_init(&outbox->mutex, NULL);
    thread_cond_init(&outbox->has_changed);
    outbox->thread = thread_start("node-outbox", outbox_run, outbox);
    return outbox;
}

void outbox_connect(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->is_connected = true;
    pthread_cond_broadcast(&outbox->has_changed);
    pthread_mutex_unlock(&outbox->mutex);
}

void outbox_wake(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->is_awake = true;
    pthread_cond_broadcast(&outbox->has_changed);
    pthread_mutex_unlock(&outbox->mutex);
}

void outbox_stop(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    int64_t deadline_us = time_monotonic_us() + STOP_GRACE_MS * INT64_C(1000);
    pthread_mutex_lock(&outbox->mutex);
    outbox->is_stopping = true;
    pthread_cond_broadcast(&outbox->has_changed);
    while (!outbox->has_ended && time_monotonic_us() < deadline_us)
        thread_wait(&outbox->has_changed, &outbox->mutex, STOP_GRACE_MS);
    pthread_mutex_unlock(&outbox->mutex);
    remote_api_stop(outbox->remote);
    pthread_join(outbox->thread, NULL);
}

void outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    pthread_cond_destroy(&outbox->has_changed);
    pthread_mutex_destroy(&outbox->mutex);
    free(outbox);
}
