/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_JOB_H
#define NODE_JOB_H

#include <stdatomic.h>

#include "base/thread.h"
#include "node/journal.h"
#include "snapshot/copy.h"

/* A job in memory: what the journal holds, and how far it is. */
struct job {
    struct journal_job record;

    /* The order, read. */
    char *ignore;            /* pattern lines; "" where .pteroignore decides */
    bool truncates;          /* restores */
    bool leaves_ignored;     /* restores: what the patterns match */
    bool is_limited_by_disk; /* restores: and by no quota that is smaller */
    struct selection *files; /* restores: only these; NULL: everything */
    char checksum[160];      /* restores: "type:hex" that the panel knows, or "" */

    bool
        is_torn; /* restores: the live directory is half exchanged, and nothing else may happen to it */
    unsigned attempts; /* at settling that */
    char reason[200];  /* why it failed, where a tenant may read that; "" */

    struct cancel cancel;
    _Atomic(bool) is_cancelled; /* the journal says so: it ends as failed, and leaves nothing */
    _Atomic(bool) is_dropped;   /* nobody wants to hear of it any more: no report */
    _Atomic(bool) is_settled;   /* its end is recorded, or about to be: it is in nobody's way */
    struct progress progress;
    _Atomic(uint64_t) expected_bytes; /* of content, about; 0: not known (yet) */

    /* The queue's, under its mutex. */
    bool is_running;
    uint64_t turn; /* the smallest goes next */
    int64_t
        again_at_us; /* monotonic: not before; it is in its server's way till then.  0: it waits for its turn */
    bool has_no_heartbeat; /* the panel does not know heartbeats */
    struct job *next;
};

/* A job from its order; `order` is the JSON that the journal keeps.  INVALID: not such a JSON. */
struct job *job_from_record(const struct journal_job *record, struct error *err);
void job_free(struct job *job);

/* The JSON of an order. */
void job_write_backup_order(struct buf *out, struct slice ignore);
struct node_restore_order;
void job_write_restore_order(struct buf *out, const struct node_restore_order *order);

/* Whether it may not even begin: it was cancelled, and is not about to be live. */
bool job_is_void(const struct job *job);

#define JOB_CANCELLED_TEXT "it was cancelled"

/* What a tenant may read about an error: the node's own paths stay in its log. */
const char *job_error_text(const struct error *err);

#endif
