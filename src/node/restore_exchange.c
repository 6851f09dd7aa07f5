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
    RETRY_MS = 1000,
    NAMING_TRIES = 5,
};

/* 1: the live name is the directory that was staged.  0: it is another, or none. */
static int stage_is_live(const struct journal_job *record, int parent_fd, struct error *err)
{
    struct error doubt = ERROR_INIT;
    struct stat parent, info;
    if (fstat(parent_fd, &parent) < 0)
        return error_set_os(err, errno, "looking at '%s'", record->stage_parent);
    if (fstatat(parent_fd, record->live_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : error_set_os(err, errno, "looking at the live directory '%s/%s'",
                                              record->stage_parent, record->live_name);
    /* Its device is its parent's, as the stage's was; the number of it may be another after a reboot. */
    if (info.st_dev != parent.st_dev || info.st_ino != record->stage_inode)
        return 0;
    if (file_sync(parent_fd, record->stage_parent, &doubt) < 0)
        log_error("the restored tree is live, but may not survive a power cut server=%s reason=%s",
                  record->server, doubt.text);
    return 1;
}

/*
 * The box of an exchange: 1, and open.  0: there is none, though the live directory is there: it was put away, or it
 * is the tenant's, who can put one of that name into a mount point.  Where neither is there, the disk is not.
 */
static int open_own_box(const struct journal_job *record, int parent_fd, int live_fd, int *box_fd,
                        struct error *err)
{
    struct stat tree;
    scope_fd int fd = beneath_open_raw(parent_fd, record->stage_name, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT && live_fd >= 0)
        return 0;
    if (fd < 0)
        return error_set_os(err, -fd, "opening '%s/%s'", record->stage_parent, record->stage_name);
    if (fstatat(fd, EXCHANGE_TREE, &tree, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : error_set_os(err, errno, "looking at the tree in '%s/%s'",
                                              record->stage_parent, record->stage_name);
    if (tree.st_ino != record->stage_inode)
        return 0;
    *box_fd = scope_take_fd(&fd);
    return 1;
}

/* True where the kernel does not say. */
static bool is_mounted(int directory_fd)
{
    struct statx status;
    return statx(directory_fd, "", AT_EMPTY_PATH, STATX_INO, &status) < 0 ||
           (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 ||
           (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int exchange_outcome(const struct journal_job *record, bool *is_done, struct error *err)
{
    *is_done = record->phase == JOB_EXCHANGED;
    if (record->phase != JOB_EXCHANGING || record->stage_parent == NULL ||
        record->live_name == NULL || record->stage_name == NULL)
        return 0;
    scope_fd int parent_fd = directory_open_real(record->stage_parent, err);
    /* A mount point that has a stage in it: without its disk it is another, empty directory. */
    if (parent_fd >= 0 && strcmp(record->live_name, ".") == 0 && !is_mounted(parent_fd))
        return error_set(err, ERROR_UNAVAILABLE, "nothing is mounted on '%s'",
                         record->stage_parent);
    int live = parent_fd < 0 ? -1 : stage_is_live(record, parent_fd, err);
    *is_done = live > 0;
    if (live != 0)
        return live < 0 ? -1 : 0;
    scope_fd int live_fd =
        beneath_open_raw(parent_fd, record->live_name, O_RDONLY | O_DIRECTORY, 0);
    if (live_fd < 0 && live_fd != -ENOENT)
        return error_set_os(err, -live_fd, "opening the live directory '%s/%s'",
                            record->stage_parent, record->live_name);
    scope_fd int box_fd = -1;
    int found = open_own_box(record, parent_fd, live_fd, &box_fd, err);
    if (found <= 0)
        return found;
    if (live_fd < 0)
        return exchange_is_torn(box_fd)
                   ? error_set(err, ERROR_NOT_FOUND, "the live directory '%s/%s' is missing",
                               record->stage_parent, record->live_name)
                   : 0;
    enum exchange_state state;
    if (exchange_settle(box_fd, live_fd, &state, err) < 0)
        return -1;
    *is_done = state == EXCHANGE_DONE;
    return 0;
}

/* Whether the box has a tree that one would want back, and that nobody writes to any more. */
static bool is_worth_keeping(const struct journal_job *record)
{
    struct error ignored = ERROR_INIT;
    scope_fd int parent_fd = directory_open_real(record->stage_parent, &ignored);
    if (parent_fd < 0)
        return true; /* nobody can say: what is on record can still be brought back */
    scope_fd int box_fd =
        beneath_open_raw(parent_fd, record->stage_name, O_RDONLY | O_DIRECTORY, 0);
    if (box_fd < 0)
        return box_fd != -ENOENT;
    if (faccessat(box_fd, EXCHANGE_TREE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return false;
    if (!exchange_shares_files(box_fd))
        return true;
    log_info("the replaced tree is not kept: it has files in common with the live one server=%s",
             record->server);
    return false;
}

/* Until it is on record.  CANCELLED: told to stop before; the next start finds out. */
static int record_exchanged(struct node *node, struct job *job, const struct journal_kept *kept,
                            struct error *err)
{
    for (;;) {
        struct error reason = ERROR_INIT;
        if (journal_set_exchanged(node->journal, &job->record, kept, &reason) == 0)
            return 0;
        log_error("journal fails backup=%s reason=%s", job->record.backup, reason.text);
        if (queue_is_stopping(node->queue))
            return error_set(err, ERROR_CANCELLED, "the exchange is not on record");
        usleep(RETRY_MS * 1000);
    }
}

int exchange_done(struct node *node, struct job *job, struct error *err)
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
    if (record_exchanged(node, job, is_kept ? &kept : NULL, err) < 0)
        return -1;
    exchange_put_away(node, record);
    return 0;
}

/* Carry on, or take back.  -1 and job->is_torn: neither was possible, yet; no server, no hope. */
static int settle(struct node *node, struct job *job, bool *is_done, struct error *err)
{
    struct error unknown = ERROR_INIT;
    *is_done = false;
    if (exchange_outcome(&job->record, is_done, err) < 0) {
        job->is_torn = servers_find(node->servers, job->record.server, NULL, &unknown) != 0;
        return -1;
    }
    job->is_torn = false;
    return *is_done ? exchange_done(node, job, err) : 0;
}

int exchange_settle_job(struct node *node, struct job *job, struct error *err)
{
    bool is_done;
    if (settle(node, job, &is_done, err) < 0)
        return -1;
    if (is_done)
        return 0;
    exchange_put_away(node, &job->record);
    return error_set(err, ERROR_IO, "the exchange had to be taken back");
}

int exchange_check_place(struct node *node, const struct journal_job *record, struct error *err)
{
    scope_buf struct buf parent = BUF_INIT;
    scope_buf struct buf name = BUF_INIT;
    if (place_find_stage(&node->places, record->server, &parent, &name, err) < 0)
        return -1;
    if (strcmp(parent.data, record->stage_parent) == 0 && strcmp(name.data, record->live_name) == 0)
        return 0;
    return error_set(err, ERROR_CONFLICT, "'%s/%s' is the server's no more", record->stage_parent,
                     record->live_name);
}

int exchange_run(struct node *node, struct job *job, struct stage *stage, struct error *err)
{
    struct journal_job *record = &job->record;
    if (cancel_is_set(&job->cancel))
        return error_set(err, ERROR_CANCELLED, "the restore was cancelled");
    if (exchange_check_place(node, record, err) < 0) /* staging may have taken hours */
        return -1;
    enum job_phase before = record->phase;
    record->phase = JOB_EXCHANGING;
    stage_identity(stage, &record->stage_device, &record->stage_inode);
    if (journal_set_phase(node->journal, record, err) < 0) {
        if (err->code == ERROR_CANCELLED) /* then the journal has nothing new */
            record->phase = before;
        return -1;
    }
    if (stage_exchange(stage, node->config.exchange, err) == 0) {
        const struct error *doubt = stage_doubt(stage);
        if (doubt != NULL)
            log_error(
                "the restored tree is live, but may not survive a power cut server=%s reason=%s",
                record->server, doubt->text);
        return exchange_done(node, job, err);
    }
    if (!stage_is_torn(stage))
        return -1;
    struct error reason = *err;
    bool is_done;
    log_error("exchange fails server=%s reason=%s", record->server, reason.text);
    error_clear(err);
    if (settle(node, job, &is_done, err) < 0)
        return -1;
    if (!is_done)
        *err = reason;
    return is_done ? 0 : -1;
}

/* 0: it has the name of its record, durably or nearly. */
static int name_as_kept(struct node *node, const struct journal_job *record, const char *name,
                        struct error *err)
{
    struct error doubt = ERROR_INIT;
    scope_fd int parent_fd = directory_open_real(record->stage_parent, err);
    if (parent_fd < 0)
        return -1;
    for (int tries = 1;; tries++) {
        if (renameat2(parent_fd, record->stage_name, parent_fd, name, RENAME_NOREPLACE) == 0) {
            if (file_sync(parent_fd, record->stage_parent, &doubt) < 0)
                log_error("'%s/%s' may not survive a power cut reason=%s", record->stage_parent,
                          name, doubt.text);
            return 0;
        }
        int reason = errno;
        if (reason == ENOENT && faccessat(parent_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return 0; /* it has it already */
        if (reason == ENOENT || tries == NAMING_TRIES || queue_is_stopping(node->queue))
            return error_set_os(err, reason, "naming '%s/%s' as kept", record->stage_parent,
                                record->stage_name);
        usleep(RETRY_MS * 1000);
    }
}

/* `*is_kept`: the box is on record as kept under the name that it has. */
static int put_in_its_place(struct node *node, const struct journal_job *record, bool *is_kept,
                            struct error *err)
{
    struct journal_kept kept;
    int found = journal_find_kept(node->journal, record->server, &kept, err);
    if (found <= 0)
        return found;
    bool is_here = strcmp(kept.parent, record->stage_parent) == 0;
    *is_kept = is_here && strcmp(kept.name, record->stage_name) == 0;
    int result = 0;
    struct error reason = ERROR_INIT;
    if (is_here && !*is_kept && name_as_kept(node, record, kept.name, &reason) < 0) {
        /* Then the record gets the name that it has. */
        log_error("a kept tree has another name server=%s reason=%s", record->server, reason.text);
        result = journal_rename_kept(node->journal, record->server, record->stage_name, err);
        *is_kept = result == 0;
    }
    journal_kept_clear(&kept);
    return result;
}

/* Where the disk would not take the note that the exchange was done: it is known all the same. */
static void confirm(const struct journal_job *record)
{
    struct error err = ERROR_INIT;
    scope_fd int parent_fd = directory_open_real(record->stage_parent, &err);
    if (parent_fd < 0)
        return;
    scope_fd int box_fd =
        beneath_open_raw(parent_fd, record->stage_name, O_RDONLY | O_DIRECTORY, 0);
    if (box_fd >= 0 && exchange_confirm(box_fd, &err) < 0)
        log_error("'%s/%s' reason=%s", record->stage_parent, record->stage_name, err.text);
}

void exchange_put_away(struct node *node, const struct journal_job *record)
{
    struct error err = ERROR_INIT;
    bool is_kept = record->kind == JOB_UNDO && record->phase != JOB_EXCHANGED;
    if (record->stage_parent == NULL || record->stage_name == NULL)
        return;
    if (record->phase == JOB_EXCHANGED) {
        confirm(record);
        /* Where it lies is not on record: it stays, rather than be removed for want of a name. */
        if (put_in_its_place(node, record, &is_kept, &err) < 0) {
            log_error("cannot keep '%s/%s' reason=%s", record->stage_parent, record->stage_name,
                      err.text);
            return;
        }
    }
    if (!is_kept && place_trash(&node->places, record->stage_parent, record->stage_name, &err) < 0)
        log_error("cannot put away '%s/%s' reason=%s", record->stage_parent, record->stage_name,
                  err.text);
    sweeper_wake(node);
}
