/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An undo: the tree that the last restore replaced, and that was kept, is exchanged for what is live; which is
 * kept in its place, so that an undo can be undone.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/node_internal.h"

static int exchange_kept(struct node *node, struct job *job, const struct journal_kept *kept,
                         struct error *err)
{
    struct journal_job *record = &job->record;
    free(record->stage_parent);
    free(record->live_name);
    free(record->stage_name);
    record->stage_parent = xstrdup(kept->parent);
    record->live_name = xstrdup(kept->live_name);
    record->stage_name = xstrdup(kept->name);
    /* What is kept is of the directory that the server has now. */
    scope_fd int parent_fd =
        exchange_check_place(node, record, err) < 0 ? -1 : directory_open_real(kept->parent, err);
    if (parent_fd < 0)
        return -1;
    struct stage *stage = stage_reopen(parent_fd, kept->live_name, kept->name, err);
    if (stage == NULL)
        return -1;
    int result = exchange_run(node, job, stage, err);
    stage_free(stage);
    return result;
}

int undo_run(struct node *node, struct job *job, struct error *err)
{
    struct journal_kept kept;
    if (job->record.phase == JOB_EXCHANGING) /* a torn one, that the last run could not settle */
        return exchange_settle_job(node, job, err);
    event_restore_begins(node, job);
    int found = journal_find_kept(node->journal, job->record.server, &kept, err);
    if (found == 0)
        return error_set(err, ERROR_NOT_FOUND, "nothing is kept of server %s", job->record.server);
    if (found < 0)
        return -1;
    int result = exchange_kept(node, job, &kept, err);
    journal_kept_clear(&kept);
    return result;
}
