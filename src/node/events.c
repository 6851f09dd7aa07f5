/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What browsers hear.  An event about a job's end is sent after the panel took the report, so that a page
 * that asks the panel then is told the same.
 */
#include <stdio.h>

#include "base/json.h"
#include "node/node_internal.h"

static void backup_completed(struct node *node, const struct journal_report *report)
{
    scope_buf struct buf text = BUF_INIT;
    struct json_writer w = json_writer_to(&text);
    json_begin_object(&w);
    json_field_string(&w, "uuid", report->backup);
    json_field_bool(&w, "is_successful", report->is_successful);
    json_field_string(&w, "checksum", report->checksum);
    json_field_string(&w, "checksum_type", report->checksum_type);
    json_field_uint(&w, "file_size", report->size_bytes);
    json_end_object(&w);
    /* Upstream's page listens to the second name, upstream's daemon only ever sends the first. */
    char name[64];
    snprintf(name, sizeof(name), "backup completed:%s", report->backup);
    hub_send(node->hub, report->server, HUB_BACKUP_READERS, "backup completed", text.data);
    hub_send(node->hub, report->server, HUB_BACKUP_READERS, name, text.data);
}

static void restore_completed(struct node *node, const struct journal_report *report)
{
    scope_buf struct buf text = BUF_INIT;
    struct json_writer w = json_writer_to(&text);
    json_begin_object(&w);
    json_field_string(&w, "uuid", report->backup);
    json_field_bool(&w, "is_successful", report->is_successful);
    json_key(&w, "error");
    json_put_string(&w, report->is_successful ? NULL : report->error);
    json_end_object(&w);
    hub_send(node->hub, report->server, HUB_BACKUP_READERS, "backup restore completed", text.data);
    scope_buf struct buf line = BUF_INIT;
    if (report->is_successful && report->kind == JOB_UNDO)
        buf_add_str(&line, "The files from before the last restore are back.");
    else if (report->is_successful)
        buf_add_str(&line, "Completed server restoration from local backup.");
    else
        buf_printf(&line, "Server restoration failed: %s. The files are as they were.",
                   report->error);
    hub_send(node->hub, report->server, HUB_EVERYBODY, "daemon message", line.data);
}

void event_delivered(const struct journal_report *report, void *context)
{
    struct node *node = context;
    if (report->kind == JOB_BACKUP)
        backup_completed(node, report);
    else
        restore_completed(node, report);
    keeper_wake(node);
}

void event_restore_begins(struct node *node, const struct job *job)
{
    char line[128];
    if (job->record.kind == JOB_UNDO)
        snprintf(line, sizeof(line), "Bringing back the files from before the last restore …");
    else
        snprintf(line, sizeof(line), "Restoring this server from backup %s …", job->record.backup);
    hub_send(node->hub, job->record.server, HUB_EVERYBODY, "daemon message", line);
}
