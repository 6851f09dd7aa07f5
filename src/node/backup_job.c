/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup: live directory -> archive.  The archive grows as a draft and gets its name only when it
 * is whole and durable; until the journal knows it too, it counts for nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "node/node_internal.h"
#include "tree/measure.h"
#include "tree/walk.h"

enum {
    OMISSIONS_LOGGED = 5,
    OMISSIONS_KEPT = 100, /* in the journal */
};

static void log_omissions(const struct job *job, const struct report *report)
{
    if (report->omissions == 0)
        return;
    scope_buf struct buf names = BUF_INIT;
    for (size_t i = 0; i < report->item_count && i < OMISSIONS_LOGGED; i++) {
        const struct report_item *item = &report->items[i];
        buf_printf(&names, "%s'", i > 0 ? ", " : "");
        utf8_add_lossy(&names, slice_str(item->path));
        buf_printf(&names, "' %s", report_kind_name(item->kind));
    }
    log_warning("backup has omissions server=%s backup=%s count=%" PRIu64 " first=%s",
                job->record.server, job->record.backup, report->omissions, names.data);
}

/* Walk the directory into the draft. */
static int capture_tree(struct node *node, struct job *job, int root_fd, int archive_fd,
                        struct archive_result *result, struct report *report, struct error *err)
{
    const struct node_config *config = &node->config;
    struct ignore *rules = job->ignore[0] != '\0'
                               ? ignore_parse(slice_str(job->ignore), config->ignore_mode, err)
                               : rules_of_directory(node, job->record.server, root_fd);
    if (rules == NULL)
        return -1;
    struct archive_options archive_options = {
        .compression = config->compression,
        .threads = config->compress_threads,
        .digest = config->checksum_type,
        .limit_file_bytes = config->backup_limit_bytes,
        .write_rate_bytes_per_s = config->write_limit_bytes_per_s,
        .cancel = &job->cancel,
    };
    struct copy_options copy_options = {
        .ignore = rules, .cancel = &job->cancel, .progress = &job->progress};
    struct walk_options walk_options = {.wants_holes = true, .wants_xattrs = config->keeps_xattrs};
    struct source *source = walk_open(root_fd, &walk_options, err);
    struct sink *sink =
        source == NULL ? NULL : archive_writer_open(archive_fd, &archive_options, err);
    int status = sink == NULL ? -1 : copy_entries(source, sink, &copy_options, report, err);
    if (status == 0)
        *result = *archive_writer_result(sink);
    sink_free(sink);
    source_free(source);
    ignore_free(rules);
    return status;
}

/* For the progress bar: as much as last time; of a server's first backup, what a look at its inodes says. */
static int expect(struct node *node, struct job *job, int root_fd, struct error *err)
{
    struct journal_newest newest;
    if (journal_find_newest(node->journal, job->record.server, &newest, err) < 0)
        return -1;
    if (newest.content_bytes == 0) {
        struct measure measure;
        measure_tree(root_fd, &job->cancel, &measure);
        newest.content_bytes = measure.content_bytes;
    }
    atomic_store(&job->expected_bytes, newest.content_bytes);
    return 0;
}

static void describe(struct journal_archive *archive, const struct job *job,
                     const struct archive_result *result)
{
    *archive =
        (struct journal_archive){.size_bytes = result->file_bytes, .created_at_us = time_now_us()};
    snprintf(archive->server, sizeof(archive->server), "%s", job->record.server);
    snprintf(archive->backup, sizeof(archive->backup), "%s", job->record.backup);
    snprintf(archive->checksum_type, sizeof(archive->checksum_type), "%s",
             digest_type_name(result->digest.type));
    digest_hex(&result->digest, archive->checksum);
}

int backup_run(struct node *node, struct job *job, struct journal_archive *archive,
               struct buf *capture, struct error *err)
{
    scope_fd int root_fd = place_open_server(&node->places, job->record.server, err);
    if (root_fd < 0 || expect(node, job, root_fd, err) < 0)
        return -1;
    scope_fd int directory_fd = place_open_archives(&node->places, job->record.server, err);
    if (directory_fd < 0)
        return -1;
    char name[PLACE_ARCHIVE_NAME_BYTES];
    place_archive_name(job->record.backup, name);
    struct file_draft *draft = file_draft_create(directory_fd, name, 0600, err);
    if (draft == NULL)
        return -1;

    struct archive_result result;
    struct report report;
    report_init(&report);
    int status = capture_tree(node, job, root_fd, file_draft_fd(draft), &result, &report, err);
    if (status == 0 && cancel_is_set(&job->cancel))
        status = error_set(err, ERROR_CANCELLED, "the backup was cancelled");
    if (status < 0) {
        file_draft_discard(draft);
    } else {
        status = file_draft_commit(draft, err);
        if (status < 0) /* it may have its name already, and nobody will ask for it */
            unlinkat(directory_fd, name, 0);
        describe(archive, job, &result);
        struct json_writer w = json_writer_to(capture);
        report_write_json(&report, &w, OMISSIONS_KEPT);
        log_omissions(job, &report);
    }
    report_free(&report);
    return status;
}
