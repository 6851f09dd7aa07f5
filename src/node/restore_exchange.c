/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instant of a restore, as the journal sees it: before it, the stage's identity is on record; while the
 * live directory is a mix, nobody else gets the server, and no end is reported.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "node/node_internal.h"

enum {
    RETRY_MS = 1000
};

/* Whether the live name is the directory that was staged; made durable before anybody relies on it. */
static bool stage_is_live(const struct journal_job *record, int parent_fd)
{
    struct error err = ERROR_INIT;
    struct stat parent, info;
    /* Its device is its parent's, as the stage's was; the number of it may be another after a reboot. */
    return fstat(parent_fd, &parent) == 0 &&
           fstatat(parent_fd, record->live_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           info.st_dev == parent.st_dev && info.st_ino == record->stage_inode &&
           file_sync(parent_fd, record->stage_parent, &err) == 0;
}

int exchange_outcome(const struct journal_job *record, bool *is_done, struct error *err)
{
    struct error reason = ERROR_INIT;
    *is_done = false;
    if (record->phase == JOB_EXCHANGED)
        *is_done = true;
    if (record->phase != JOB_EXCHANGING || record->stage_parent == NULL ||
        record->live_name == NULL || record->stage_name == NULL)
        return 0;
    scope_fd int parent_fd = directory_open_real(record->stage_parent, &reason);
    if (parent_fd < 0)
        return 0;
    if (stage_is_live(record, parent_fd)) {
        *is_done = true;
        return 0;
    }
    int flags = O_RDONLY | O_DIRECTORY;
    scope_fd int box_fd = beneath_open_raw(parent_fd, record->stage_name, flags, 0);
    scope_fd int live_fd = beneath_open_raw(parent_fd, record->live_name, flags, 0);
    if (box_fd < 0)
        return 0;
    if (live_fd < 0)
        return exchange_is_torn(box_fd) ? error_set_os(err, -live_fd, "opening the live directory")
                                        : 0;
    enum exchange_state state;
    if (exchange_settle(box_fd, live_fd, &state, err) < 0)
        return -1;
    *is_done = state == EXCHANGE_DONE;
    return 0;
}

/* Again and again: nothing else may happen to a live directory that is a mix. */
static int settle_until_stop(struct node *node, const struct journal_job *record, bool *is_done,
                             struct error *err)
{
    struct error reason = ERROR_INIT;
    bool is_told = false;
    while (exchange_outcome(record, is_done, &reason) < 0) {
        if (!is_told)
            log_error("a server's directory is half exchanged, and tried again every second "
                      "server=%s directory='%s' reason=%s",
                      record->server, record->stage_parent, reason.text);
        is_told = true;
        if (queue_is_stopping(node->queue))
            return error_set(err, ERROR_CANCELLED, "the exchange is half done");
        error_clear(&reason);
        usleep(RETRY_MS * 1000);
    }
    return 0;
}

/* Whether the box has a tree that one would want back, and that nobody writes to any more. */
static bool is_worth_keeping(const struct journal_job *record)
{
    struct error ignored = ERROR_INIT;
    scope_fd int parent_fd = directory_open_real(record->stage_parent, &ignored);
    scope_fd int box_fd =
        parent_fd < 0 ? -1
                      : beneath_open_raw(parent_fd, record->stage_name, O_RDONLY | O_DIRECTORY, 0);
    if (box_fd < 0 || faccessat(box_fd, EXCHANGE_TREE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (!exchange_shares_files(box_fd))
        return true;
    log_info("the replaced tree is not kept: it has files in common with the live one server=%s",
             record->server);
    return false;
}

/* Until it is on record; what nobody recorded, the next start finds out. */
static void record_exchanged(struct node *node, struct job *job, const struct journal_kept *kept)
{
    for (;;) {
        struct error err = ERROR_INIT;
        if (journal_set_exchanged(node->journal, &job->record, kept, &err) == 0)
            return;
        log_error("journal fails backup=%s reason=%s", job->record.backup, err.text);
        if (queue_is_stopping(node->queue))
            return;
        usleep(RETRY_MS * 1000);
    }
}

void exchange_done(struct node *node, struct job *job)
{
    struct journal_job *record = &job->record;
    struct journal_kept kept = {.parent = record->stage_parent,
                                .live_name = record->live_name,
                                .until_us = time_now_us() + (int64_t)node->config.keep_ms * 1000};
    char uuid[UUID_TEXT_BYTES];
    uuid_make(uuid);
    scope_free char *name = record->kind == JOB_UNDO ? xstrdup(record->stage_name)
                                                     : xasprintf(TREE_KEPT_PREFIX "%s", uuid);
    kept.name = name;
    snprintf(kept.server, sizeof(kept.server), "%s", record->server);
    snprintf(kept.backup, sizeof(kept.backup), "%s", record->backup);
    bool is_kept = node->config.keep_ms > 0 && is_worth_keeping(record);
    record_exchanged(node, job, is_kept ? &kept : NULL);
    if (record->phase == JOB_EXCHANGED)
        exchange_put_away(node, record);
}

int exchange_settle_job(struct node *node, struct job *job, struct error *err)
{
    bool is_done = false;
    if (settle_until_stop(node, &job->record, &is_done, err) < 0)
        return -1;
    if (is_done) {
        exchange_done(node, job);
        return 0;
    }
    exchange_put_away(node, &job->record);
    return error_set(err, ERROR_IO, "the exchange had to be taken back");
}

int exchange_run(struct node *node, struct job *job, struct stage *stage, struct error *err)
{
    struct journal_job *record = &job->record;
    if (cancel_is_set(&job->cancel))
        return error_set(err, ERROR_CANCELLED, "the restore was cancelled");
    record->phase = JOB_EXCHANGING;
    stage_identity(stage, &record->stage_device, &record->stage_inode);
    if (journal_set_phase(node->journal, record, err) < 0)
        return -1;
    int result = stage_exchange(stage, node->config.exchange, err);
    if (result < 0 && stage_is_torn(stage)) {
        struct error reason = *err;
        bool is_done = false;
        log_error("exchange fails server=%s reason=%s", record->server, reason.text);
        error_clear(err);
        if (settle_until_stop(node, record, &is_done, err) < 0)
            return -1;
        if (!is_done) {
            *err = reason;
            return -1;
        }
        result = 0;
    }
    if (result < 0)
        return -1;
    const struct error *doubt = stage_doubt(stage);
    if (doubt != NULL)
        log_error("the restored tree is live, but may not survive a power cut server=%s reason=%s",
                  record->server, doubt->text);
    exchange_done(node, job);
    return 0;
}

/* The box of an exchange that happened gets the name under which it is on record as kept. */
static int put_in_its_place(struct node *node, const struct journal_job *record, bool *is_kept,
                            struct error *err)
{
    struct journal_kept kept;
    int found = journal_find_kept(node->journal, record->server, &kept, err);
    if (found <= 0)
        return found;
    *is_kept = strcmp(kept.parent, record->stage_parent) == 0 &&
               strcmp(kept.name, record->stage_name) == 0;
    int result = 0;
    if (!*is_kept && strcmp(kept.parent, record->stage_parent) == 0) {
        scope_fd int parent_fd = directory_open_real(record->stage_parent, err);
        if (parent_fd < 0)
            result = -1;
        else if (renameat2(parent_fd, record->stage_name, parent_fd, kept.name, RENAME_NOREPLACE) ==
                 0)
            result = file_sync(parent_fd, record->stage_parent, err);
    }
    journal_kept_clear(&kept);
    return result;
}

void exchange_put_away(struct node *node, const struct journal_job *record)
{
    struct error err = ERROR_INIT;
    bool is_kept = record->kind == JOB_UNDO && record->phase != JOB_EXCHANGED;
    if (record->stage_parent == NULL || record->stage_name == NULL)
        return;
    if (record->phase == JOB_EXCHANGED && put_in_its_place(node, record, &is_kept, &err) < 0) {
        log_error("cannot keep '%s/%s' reason=%s", record->stage_parent, record->stage_name,
                  err.text);
        error_clear(&err);
    }
    if (!is_kept && place_trash(&node->places, record->stage_parent, record->stage_name, &err) < 0)
        log_error("cannot put away '%s/%s' reason=%s", record->stage_parent, record->stage_name,
                  err.text);
    sweeper_wake(node);
}
