/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of the node API: the input as each of them.  What is accepted keeps its promises, and comes
 * back unchanged from the form in which the journal keeps it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/node_api.h"
#include "node/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct job *through_journal(enum job_kind kind, char *order)
{
    struct error err = ERROR_INIT;
    struct journal_job record = {.kind = kind, .order = order};
    struct job *job = job_from_record(&record, &err);
    assert(job != NULL);
    return job;
}

static void read_backup(struct slice body)
{
    struct error err = ERROR_INIT;
    struct node_backup_order order;
    if (node_api_parse_backup(body, &order, &err) == 0) {
        assert(uuid_is_canonical(order.backup));
        assert(order.adapter == NODE_ADAPTER_WINGS || order.adapter == NODE_ADAPTER_S3);
        assert(order.ignore.length <= NODE_IGNORE_MAX_BYTES);
        scope_buf struct buf json = BUF_INIT;
        job_write_backup_order(&json, buf_slice(&order.ignore));
        struct job *job = through_journal(JOB_BACKUP, json.data);
        assert(strcmp(job->ignore, order.ignore.data) == 0);
        job_free(job);
    } else {
        assert(err.code == ERROR_INVALID);
    }
    node_backup_order_free(&order);
}

static void read_restore(struct slice body)
{
    struct error err = ERROR_INIT;
    struct node_restore_order order;
    if (node_api_parse_restore(body, &order, &err) == 0) {
        assert(order.adapter == NODE_ADAPTER_WINGS || order.download_url.length > 0);
        scope_buf struct buf json = BUF_INIT;
        job_write_restore_order(&json, &order);
        struct job *job = through_journal(JOB_RESTORE, json.data);
        assert(job->truncates == order.truncate);
        assert(strcmp(job->checksum, order.checksum) == 0);
        assert(job->leaves_ignored == order.leaves_ignored);
        assert(order.ignore.length <= NODE_IGNORE_MAX_BYTES);
        assert(strcmp(job->ignore, order.ignore.data) == 0);
        assert((job->files == NULL) == (order.files == NULL));
        for (size_t i = 0; order.files != NULL && i < selection_count(order.files); i++)
            assert(slice_equal(selection_path(job->files, i), selection_path(order.files, i)));
        job_free(job);
    } else {
        assert(err.code == ERROR_INVALID);
    }
    node_restore_order_free(&order);
}

static void read_undo(struct slice body)
{
    struct error err = ERROR_INIT;
    char id[UUID_TEXT_BYTES];
    if (node_api_parse_undo(body, id, &err) == 0)
        assert(id[0] == '\0' || uuid_is_canonical(id));
    else
        assert(err.code == ERROR_INVALID);
}

static int count_jti(const char *jti, void *context, struct error *err)
{
    size_t *count = context;
    assert(strlen(jti) > 0 && strlen(jti) <= NODE_JTI_MAX_BYTES);
    *count += 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = slice_of(data, size);
    read_backup(body);
    read_restore(body);
    read_undo(body);
    struct error err = ERROR_INIT;
    size_t count = 0;
    if (node_api_parse_jtis(body, count_jti, &count, &err) == 0)
        assert(count <= NODE_JTIS_MAX);
    else
        assert(err.code == ERROR_INVALID && count == 0);
    return 0;
}
