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

enum recovery recovery_decide(const struct journal_job *job, bool stage_is_live)
{
    if (job->kind == JOB_BACKUP)
        return RECOVERY_RUN_AGAIN;
    return job->phase == JOB_EXCHANGING && stage_is_live ? RECOVERY_SUCCEEDED : RECOVERY_FAILED;
}

/* Whether the live name is the directory that was staged; made durable before anybody relies on it. */
static bool stage_is_live(const struct journal_job *job)
{
    struct error err = ERROR_INIT;
    if (job->phase != JOB_EXCHANGING || job->stage_parent == NULL || job->live_name == NULL)
        return false;
    scope_fd int parent_fd = directory_open_real(job->stage_parent, &err);
    struct stat parent, info;
    /* Its device is its parent's, as the stage's was; the number of it may be another after a reboot. */
    return parent_fd >= 0 && fstat(parent_fd, &parent) == 0 &&
           fstatat(parent_fd, job->live_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           info.st_dev == parent.st_dev && info.st_ino == job->stage_inode &&
           file_sync(parent_fd, job->stage_parent, &err) == 0;
}

static int settle_restore(struct node *node, const struct journal_job *job, bool is_successful,
                          struct error *err)
{
    struct journal_report report = {.kind = JOB_RESTORE, .is_successful = is_successful};
    snprintf(report.server, sizeof(report.server), "%s", job->server);
    snprintf(report.backup, sizeof(report.backup), "%s", job->backup);
    if (!is_successful) {
        struct error reason = {.code = ERROR_CANCELLED};
        snprintf(report.error, sizeof(report.error), "%s", job_error_text(&reason));
    }
    /* A parent that is gone meanwhile (detached, unmounted) must not keep the node from starting. */
    struct error reason = ERROR_INIT;
    if (job->stage_name != NULL &&
        place_trash(&node->places, job->stage_parent, job->stage_name, &reason) < 0)
        log_error("cannot put away '%s/%s' reason=%s", job->stage_parent, job->stage_name,
                  reason.text);
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

/* Takes the job where it is to run again. */
static int settle(struct node *node, struct job **job, struct error *err)
{
    const struct journal_job *record = &(*job)->record;
    switch (recovery_decide(record, stage_is_live(record))) {
    case RECOVERY_SUCCEEDED:
        return settle_restore(node, record, true, err);
    case RECOVERY_FAILED:
        return settle_restore(node, record, false, err);
    case RECOVERY_RUN_AGAIN:
        break;
    }
    log_info("backup is made again after a restart server=%s backup=%s", record->server,
             record->backup);
    queue_add(node->queue, scope_take(*job));
    return 0;
}

/* Stages below the servers' directory that no journal knows, and trash that could not be removed the last time. */
static int sweep_servers(struct node *node, struct error *err)
{
    scope_free char **names = NULL;
    size_t count = 0;
    DIR *directory = opendir(node->places.servers_path);
    if (directory == NULL)
        return error_set_os(err, errno, "reading '%s'", node->places.servers_path);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (!text_starts_with(entry->d_name, PLACE_STAGE_PREFIX) &&
            !text_starts_with(entry->d_name, PLACE_TRASH_PREFIX))
            continue;
        names = xreallocarray(names, count + 1, sizeof(char *));
        names[count++] = xstrdup(entry->d_name);
    }
    closedir(directory);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        if (result == 0)
            result = place_trash(&node->places, node->places.servers_path, names[i], err);
        free(names[i]);
    }
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
