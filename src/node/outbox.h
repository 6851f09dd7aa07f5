/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_OUTBOX_H
#define NODE_OUTBOX_H

#include "api/remote_api.h"
#include "node/journal.h"

/*
 * Sends the journal's reports to the panel until it takes them, one after the other, oldest first.
 *
 *     no answer, 5xx, 429   everything waits: 1 s, 2 s, … 60 s
 *     404                   perhaps too early: this one waits, for fifteen minutes in all
 *     401, 403              a wrong token: this one waits, for a day in all
 *     400, 409, 422         the panel holds another final state, or will never understand: given up
 *
 * A report that was given up is logged, its archive stays and is marked an orphan.
 */
struct outbox;

/* `delivered` is called from the outbox's thread once the panel took a report, or it was given up. */
struct outbox *outbox_create(struct journal *journal, struct remote_api *remote,
                             void (*delivered)(const struct journal_report *report, void *context),
                             void *context);

/* Nothing is sent before this. */
void outbox_connect(struct outbox *outbox);

/* There is a new report. */
void outbox_wake(struct outbox *outbox);

/*
 * Ends the thread.  A report on its way gets a moment for its answer, so that it need not be sent
 * again; then every call to the panel is ended (remote_api_stop).
 */
void outbox_stop(struct outbox *outbox);
void outbox_free(struct outbox *outbox); /* after outbox_stop */

/* What to do after a failed attempt: a decision, kept apart for its test. */
enum outbox_verdict {
    OUTBOX_PAUSE,   /* everything waits */
    OUTBOX_DELAY,   /* this one waits */
    OUTBOX_ABANDON, /* this one never goes */
};
enum outbox_verdict outbox_judge(enum error_code code, int64_t refused_for_us);

#endif
