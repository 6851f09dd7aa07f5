/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restore: archive -> stage -> live directory.  Nothing live is touched before the whole archive was
 * read, found to be what was stored, and lies durably in the stage.  The journal always knows the step
 * that may be happening: recovery.c reads it.  The instant itself: restore_exchange.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node_internal.h"
#include "tree/stage.h"

enum {
    ENTRIES_MAX = 50 * 1000 * 1000,
    OBJECTS_MIN = 262144, /* so many may always be there: a server may well have small files only */
};
#define MIB (UINT64_C(1) << 20)
#define OBJECT_BYTES ((uint64_t)4096) /* what one takes where it is empty, about */
#define RESERVE_MAX_BYTES (1024 * MIB)

/* What the archive has to be.  `is_known` false: nobody knows, the gzip checksums have to do. */
struct expectation {
    bool is_known;
    struct digest digest;
};

static bool expect(struct expectation *expectation, const char *type_name, const char *hex)
{
    enum digest_type type;
    if (!digest_type_parse(type_name, &type) || !digest_parse(type, hex, &expectation->digest))
        return false;
    expectation->is_known = true;
    return true;
}

/* The panel's word first: it kept it somewhere else than beside the archive. */
static int find_expectation(struct node *node, const struct job *job,
                            struct expectation *expectation, struct error *err)
{
    *expectation = (struct expectation){.is_known = false};
    char type_name[sizeof(job->checksum)];
    snprintf(type_name, sizeof(type_name), "%s", job->checksum);
    char *colon = strchr(type_name, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (expect(expectation, type_name, colon + 1))
            return 0;
    }
    struct journal_archive archive;
    int found = journal_find_archive(node->journal, job->record.backup, &archive, err);
    if (found > 0)
        expect(expectation, archive.checksum_type, archive.checksum);
    return found < 0 ? -1 : 0;
}

/*
 * How much may be staged: the server's disk limit where there is one, and never the last of the file
 * system's space, which belongs to the neighbours.  Panels count bytes only against a disk limit, so names
 * have a limit of their own: as many as would fill it, empty.
 */
static int find_limits(struct node *node, struct job *job, int parent_fd,
                       struct stage_options *options, struct error *err)
{
    struct error reason = ERROR_INIT;
    if (servers_sync(node->servers, job->record.server, &reason) < 0)
        log_warning("disk limit may be old server=%s reason=%s", job->record.server, reason.text);
    struct remote_server server = {.disk_mib = 0};
    error_clear(&reason);
    if (servers_find(node->servers, job->record.server, &server, &reason) > 0)
        remote_server_free(&server);
    uint64_t free_bytes, total_bytes;
    if (directory_free_space(parent_fd, &free_bytes, &total_bytes, err) < 0)
        return -1;
    uint64_t reserve_bytes = total_bytes / 100;
    if (reserve_bytes > RESERVE_MAX_BYTES)
        reserve_bytes = RESERVE_MAX_BYTES;
    uint64_t limit = free_bytes > reserve_bytes ? free_bytes - reserve_bytes : 1;
    uint64_t disk_bytes = (uint64_t)server.disk_mib * MIB;
    options->limit_bytes = disk_bytes > 0 && disk_bytes < limit ? disk_bytes : limit;
    options->limit_objects = options->limit_bytes > OBJECTS_MIN * OBJECT_BYTES
                                 ? options->limit_bytes / OBJECT_BYTES
                                 : OBJECTS_MIN;
    options->reserve_bytes = reserve_bytes;
    job->is_limited_by_disk = options->limit_bytes == limit;
    return 0;
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = xstrdup(text);
}

/* Tell the journal where the stage will be, clear the place, and make it. */
static struct stage *begin_stage(struct node *node, struct job *job, int parent_fd,
                                 struct error *err)
{
    const struct journal_job *record = &job->record;
    struct stage_options options = {.flags = 0};
    if (node->config.keeps_set_id)
        options.flags |= STAGE_KEEP_SET_ID;
    if (node->config.keeps_xattrs)
        options.flags |= STAGE_XATTRS;
    if (node->config.owner_policy == NODE_OWNER_DIRECTORY)
        options.flags |= STAGE_OWNER_OF_ROOT;
    if (find_limits(node, job, parent_fd, &options, err) < 0)
        return NULL;
    job->record.phase = JOB_STAGING;
    if (journal_set_phase(node->journal, record, err) < 0)
        return NULL;
    /* A stage of an earlier restore of this backup that could not be removed then. */
    if (place_trash(&node->places, record->stage_parent, record->stage_name, err) < 0)
        return NULL;
    return stage_create(parent_fd, record->live_name, record->stage_name, &options, err);
}

static void log_report(const struct job *job, const struct report *report)
{
    if (report->omissions == 0)
        return;
    const struct report_item *first = report->item_count > 0 ? &report->items[0] : NULL;
    log_warning("restore has omissions server=%s backup=%s count=%" PRIu64 " first=%s %s",
                job->record.server, job->record.backup, report->omissions,
                first == NULL ? "" : report_kind_name(first->kind),
                first == NULL ? "" : first->detail);
}

/* The error names nothing but the tenant's own files: it may be read. */
static void tell(struct job *job, const struct error *err)
{
    snprintf(job->reason, sizeof(job->reason), "%.*s", (int)sizeof(job->reason) - 1, err->text);
}

/* Fill the stage from the archive, and check what was read. */
static int fill_stage(struct node *node, struct job *job, int archive_fd, struct stage *stage,
                      struct error *err)
{
    struct expectation expectation;
    if (find_expectation(node, job, &expectation, err) < 0)
        return -1;
    struct archive_read_options read_options = {
        .flags = (expectation.is_known ? ARCHIVE_WITH_DIGEST : 0) |
                 (node->config.keeps_xattrs ? ARCHIVE_WITH_XATTRS : 0),
        .digest = expectation.digest.type,
        .selection = job->files,
        .cancel = &job->cancel,
    };
    struct source *source = archive_reader_open(archive_fd, &read_options, err);
    if (source == NULL)
        return -1;
    struct copy_options options = {
        .selection = job->files,
        .cancel = &job->cancel,
        .progress = &job->progress,
        .rate_bytes_per_s = node->config.write_limit_bytes_per_s,
        .limit_entries = ENTRIES_MAX,
    };
    struct report report;
    report_init(&report);
    int result = copy_entries(source, stage_sink(stage), &options, &report, err);
    if (result == 0 && expectation.is_known &&
        !digest_equal(archive_reader_digest(source), &expectation.digest))
        result = error_set(err, ERROR_CORRUPT, "the archive's %s is not what was recorded",
                           digest_type_name(expectation.digest.type));
    if (result == 0)
        log_report(job, &report);
    report_free(&report);
    source_free(source);
    if (result < 0 && job->files != NULL &&
        (err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID))
        tell(job, err);
    return result;
}

static int merge_by(struct node *node, struct job *job, struct stage *stage,
                    struct ignore *const rules[MERGE_LEAVE_MAX], struct error *err)
{
    struct merge_options options = {
        .staged = job->files,
        .except = job->truncates ? job->files : NULL,
        .removes_rest = job->truncates && job->files == NULL,
        .cancel = &job->cancel,
        /* Beside single files everything stays the same file, open or not: then nothing is kept. */
        .wants_copies = node->config.keep_ms > 0 && job->files == NULL,
        .rate_bytes_per_s = node->config.write_limit_bytes_per_s,
    };
    for (size_t i = 0; i < MERGE_LEAVE_MAX; i++)
        options.leave[i] = rules[i];
    struct report report;
    report_init(&report);
    stage_sink(stage)->report = &report;
    int result = stage_merge_live(stage, &options, err);
    stage_sink(stage)->report = NULL;
    if (result == 0)
        log_report(job, &report);
    report_free(&report);
    if (result < 0 && err->code == ERROR_INVALID)
        tell(job, err);
    return result;
}

/* What stays of the live tree: of a restore of everything, nothing. */
static int merge(struct node *node, struct job *job, int archive_fd, struct stage *stage,
                 struct error *err)
{
    struct ignore *rules[MERGE_LEAVE_MAX] = {NULL};
    if (job->truncates && job->files == NULL && !job->leaves_ignored)
        return 0;
    int result =
        job->leaves_ignored ? rules_of_restore(node, job, stage, archive_fd, rules, err) : 0;
    if (result == 0)
        result = merge_by(node, job, stage, rules, err);
    for (size_t i = 0; i < MERGE_LEAVE_MAX; i++)
        ignore_free(rules[i]);
    return result;
}

/* From the archive to the live directory; or, with -1, nothing but what exchange_run() leaves. */
static int restore_once(struct node *node, struct job *job, int parent_fd, struct error *err)
{
    scope_fd int archive_fd =
        place_open_archive(&node->places, job->record.server, job->record.backup, err);
    struct stage *stage = archive_fd < 0 ? NULL : begin_stage(node, job, parent_fd, err);
    if (stage == NULL)
        return -1;
    int result = fill_stage(node, job, archive_fd, stage, err);
    if (result == 0)
        result = merge(node, job, archive_fd, stage, err);
    if (result == 0)
        result = exchange_run(node, job, stage, err);
    stage_free(stage);
    /* What happened, and is not on record as the node stops, is for the next start to find. */
    bool is_unrecorded = job->record.phase == JOB_EXCHANGING && err->code == ERROR_CANCELLED;
    if (result < 0 && !job->is_torn && !is_unrecorded)
        exchange_put_away(node, &job->record);
    return result;
}

/*
 * No restore fails for want of room that a kept tree takes: first the server's own goes, then others on
 * this file system, the oldest first, and with each attempt twice as many.  Others cannot help where a quota is
 * full.  False where there is none.
 */
static bool make_room(struct node *node, const struct job *job, int parent_fd, unsigned others_max,
                      const struct error *why)
{
    struct error err = ERROR_INIT;
    if (why->code != ERROR_NO_SPACE && !(why->code == ERROR_LIMIT && job->is_limited_by_disk))
        return false;
    unsigned dropped = kept_drop_for_room(node, job->record.server, parent_fd,
                                          why->os_errno == EDQUOT ? 0 : others_max, &err);
    if (error_is_set(&err))
        log_error("journal fails reason=%s", err.text);
    if (dropped == 0)
        return false;
    log_warning("kept trees are removed to make room for a restore server=%s count=%u reason=%s",
                job->record.server, dropped, why->text);
    (void)sweep(node);
    return true;
}

/* The backup's; where a kept tree has that name, which it could not lose, a new one. */
static char *choose_stage_name(struct node *node, const struct journal_job *record)
{
    struct error ignored = ERROR_INIT;
    struct journal_kept kept;
    char uuid[UUID_TEXT_BYTES];
    char *name = xasprintf(TREE_STAGE_PREFIX "%s", record->backup);
    if (journal_find_kept(node->journal, record->server, &kept, &ignored) <= 0)
        return name;
    if (strcmp(kept.name, name) == 0) {
        free(name);
        uuid_make(uuid);
        name = xasprintf(TREE_STAGE_PREFIX "%s", uuid);
    }
    journal_kept_clear(&kept);
    return name;
}

int restore_run(struct node *node, struct job *job, struct error *err)
{
    struct journal_job *record = &job->record;
    if (record->phase == JOB_EXCHANGING) /* a torn one, that the last run could not settle */
        return exchange_settle_job(node, job, err);
    event_restore_begins(node, job);
    scope_buf struct buf parent = BUF_INIT;
    scope_buf struct buf name = BUF_INIT;
    if (place_find_stage(&node->places, record->server, &parent, &name, err) < 0)
        return -1;
    scope_fd int parent_fd = directory_open_real(parent.data, err);
    if (parent_fd < 0)
        return -1;
    scope_free char *stage_name = choose_stage_name(node, record);
    set_text(&record->stage_parent, parent.data);
    set_text(&record->live_name, name.data);
    set_text(&record->stage_name, stage_name);
    int result;
    unsigned others_max = 1;
    while ((result = restore_once(node, job, parent_fd, err)) < 0 && !job->is_torn &&
           make_room(node, job, parent_fd, others_max, err)) {
        error_clear(err);
        others_max *= 2;
    }
    return result;
}
