/* SPDX-License-Identifier: Apache-2.0 */
/* A job in memory, to and from the journal's form. */
#include "node/job.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/node_api.h"
#include "base/mem.h"

static char *copy_or_null(const char *text)
{
    return text == NULL ? NULL : xstrdup(text);
}

/* NULL: everything.  INVALID: what no order of ours holds. */
static int read_files(const json_t *order, struct selection **files, struct error *err)
{
    const json_t *list = json_object_get(order, "files");
    int index;
    if (list == NULL)
        return 0;
    *files = api_files_read(list, &index, err);
    return *files == NULL ? -1 : 0;
}

struct job *job_from_record(const struct journal_job *record, struct error *err)
{
    scope_json json_t *order = json_read(slice_str(record->order), err);
    struct selection *files = NULL;
    if (order == NULL || read_files(order, &files, err) < 0) {
        error_wrap(err, "reading the order for backup %s", record->backup);
        return NULL;
    }
    struct job *job = xcalloc(1, sizeof(*job));
    job->record = *record;
    job->record.order = xstrdup(record->order);
    job->record.stage_parent = copy_or_null(record->stage_parent);
    job->record.live_name = copy_or_null(record->live_name);
    job->record.stage_name = copy_or_null(record->stage_name);
    job->ignore = xstrdup(json_get_string(order, "ignore", ""));
    job->files = files;
    atomic_store(&job->is_cancelled, record->is_cancelled);
    if (record->is_cancelled)
        cancel_set(&job->cancel);
    job->truncates = json_get_bool(order, "truncate", false);
    job->leaves_ignored = json_get_bool(order, "leave_ignored", false);
    snprintf(job->checksum, sizeof(job->checksum), "%s", json_get_string(order, "checksum", ""));
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    journal_job_clear(&job->record);
    free(job->ignore);
    selection_free(job->files);
    free(job);
}

bool job_is_void(const struct job *job)
{
    return atomic_load(&job->is_cancelled) && job->record.phase < JOB_EXCHANGING;
}

void job_write_backup_order(struct buf *out, struct slice ignore)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    json_key(&w, "ignore");
    json_put_string_slice(&w, ignore);
    json_end_object(&w);
}

void job_write_restore_order(struct buf *out, const struct node_restore_order *order)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    json_field_bool(&w, "truncate", order->truncate);
    json_field_string(&w, "checksum", order->checksum);
    if (order->files != NULL) {
        json_key(&w, "files");
        api_files_write(&w, order->files);
    }
    if (order->leaves_ignored) {
        json_field_bool(&w, "leave_ignored", true);
        json_field_string(&w, "ignore", order->ignore.data);
    }
    json_end_object(&w);
}

const char *job_error_text(const struct error *err)
{
    switch (err->code) {
    case ERROR_NOT_FOUND:
        return "the backup or the server's directory is not there";
    case ERROR_CORRUPT:
        return "the archive is damaged: it is not what was stored";
    case ERROR_LIMIT:
        return "a size limit was reached";
    case ERROR_NO_SPACE:
        return "the node has no space left";
    case ERROR_DENIED:
        return "the archive holds what may not be restored, or the node may not read or write";
    case ERROR_CANCELLED:
        return "the node was stopped or restarted";
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_CONFLICT:
    case ERROR_UNAVAILABLE:
    case ERROR_IO:
        break;
    }
    return "the node met an error, which its log names";
}
