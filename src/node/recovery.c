/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a crash, a power cut or a stop left.  A backup is simply made again: its draft counts for
 * nothing.  A restore is never begun again, as its server may have been started since: it had happened, or it
 * has failed and the old directory is there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/node_internal.h"

static int settle_restore(struct node *node, const struct journal_job *job, bool is_successful,
                          struct error *err)
{
    struct journal_report report = {.kind = job->kind, .is_successful = is_successful};
    snprintf(report.server, sizeof(report.server), "%s", job->server);
    snprintf(report.backup, sizeof(report.backup), "%s", job->backup);
    if (!is_successful) {
        struct error reason = {.code = ERROR_CANCELLED};
        snprintf(report.error, sizeof(report.error), "%s",
                 job->is_cancelled ? JOB_CANCELLED_TEXT : job_error_text(&reason));
    }
    report.kept_until_us = journal_kept_until(node->journal, job->server);
    log_warning("restore settled after a restart server=%s backup=%s outcome=%s", job->server,
                job->backup, is_successful ? "completed" : "failed");
    return journal_end_job(node->journal, job->id, &report, NULL, NULL, err);
}

struct found_jobs {
    struct job **items;
    size_t count;
};

static int collect(const struct journal_job *record, void *context, struct error *err)
{
    struct found_jobs *found = context;
    struct job *job = job_from_record(record, err);
    if (job == NULL)
        return -1;
    found->items = xreallocarray(found->items, found->count + 1, sizeof(struct job *));
    found->items[found->count++] = job;
    return 0;
}

/*
 * Takes the job where it is to run again.  A parent that is gone meanwhile (detached, unmounted) must not keep
 * the node from starting, nor must a directory that is half exchanged and cannot be settled now.
 */
static int settle(struct node *node, struct job **job, struct error *err)
{
    const struct journal_job *record = &(*job)->record;
    struct error reason = ERROR_INIT;
    bool is_done = false;
    if (record->kind != JOB_BACKUP && exchange_outcome(record, &is_done, &reason) == 0) {
        if (!is_done || record->phase == JOB_EXCHANGED)
            exchange_put_away(node, record);
        else if (exchange_done(node, *job, err) < 0)
            return -1;
        return settle_restore(node, record, is_done, err);
    }
    if (record->is_cancelled && record->kind == JOB_BACKUP) {
        log_info("backup cancelled server=%s backup=%s", record->server, record->backup);
        if (cancel_end(node, record, &reason) == 0)
            return 0;
        log_error("a cancelled backup ends later backup=%s reason=%s", record->backup, reason.text);
        queue_add(node->queue, scope_take(*job));
        return 0;
    }
    if (error_is_set(&reason))
        log_error("a server's directory may be half exchanged server=%s reason=%s", record->server,
                  reason.text);
    if (record->kind == JOB_BACKUP)
        log_info("backup is made again after a restart server=%s backup=%s", record->server,
                 record->backup);
    queue_add(node->queue, scope_take(*job));
    return 0;
}

struct strangers {
    char **names;
    size_t count;
};

/* What is kept is no stranger. */
static int exclude_kept(const struct journal_kept *kept, void *context, struct error *err)
{
    struct strangers *strangers = context;
    for (size_t i = 0; i < strangers->count; i++)
        if (strcmp(strangers->names[i], kept->name) == 0)
            strangers->names[i][0] = '\0';
    return 0;
}

/* Nor is what a job that was put back into the queue has left. */
static int exclude_stage(const struct journal_job *job, void *context, struct error *err)
{
    struct strangers *strangers = context;
    for (size_t i = 0; i < strangers->count; i++)
        if (job->stage_name != NULL && strcmp(strangers->names[i], job->stage_name) == 0)
            strangers->names[i][0] = '\0';
    return 0;
}

static int list_strangers(const struct node *node, struct strangers *strangers, struct error *err)
{
    DIR *directory = opendir(node->places.servers_path);
    if (directory == NULL)
        return error_set_os(err, errno, "reading '%s'", node->places.servers_path);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (!text_starts_with(entry->d_name, TREE_STAGE_PREFIX) &&
            !text_starts_with(entry->d_name, TREE_KEPT_PREFIX) &&
            !text_starts_with(entry->d_name, TREE_TRASH_PREFIX))
            continue;
        strangers->names = xreallocarray(strangers->names, strangers->count + 1, sizeof(char *));
        strangers->names[strangers->count++] = xstrdup(entry->d_name);
    }
    closedir(directory);
    return 0;
}

/* Trees below the servers' directory that no journal knows, and trash that could not be removed the last time. */
static int sweep_servers(struct node *node, struct error *err)
{
    struct strangers strangers = {.names = NULL};
    const char *parent = node->places.servers_path;
    int result = list_strangers(node, &strangers, err);
    if (result == 0)
        result = journal_each_job(node->journal, exclude_stage, &strangers, err);
    if (result == 0)
        result = journal_each_kept(node->journal, exclude_kept, &strangers, err);
    for (size_t i = 0; i < strangers.count; i++) {
        const char *name = strangers.names[i];
        struct error reason = ERROR_INIT;
        if (result == 0 && *name != '\0' && place_trash(&node->places, parent, name, &reason) < 0)
            log_error("cannot put away '%s/%s' reason=%s", parent, name, reason.text);
        free(strangers.names[i]);
    }
    free(strangers.names);
    return result;
}

int recover(struct node *node, struct error *err)
{
    struct found_jobs found = {.items = NULL};
    int result = journal_each_job(node->journal, collect, &found, err);
    if (result == 0)
        result = place_sweep_archives(&node->places, err);
    for (size_t i = 0; i < found.count; i++) {
        if (result == 0)
            result = settle(node, &found.items[i], err);
        job_free(found.items[i]);
    }
    free(found.items);
    if (result == 0)
        result = sweep_servers(node, err);
    return result;
}
