/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_RESTORING_H
#define CLI_RESTORING_H

#include "cli/contact.h"

/* Waiting for what a panel's node is at work on, by asking again and again. */
enum {
    POLL_FIRST_MS = 20,
    POLL_MAX_MS = 1000,
};

/* A poll that the panel missed is made up for later, so often in a row; true: go on, `err` is forgotten. */
bool poll_may_miss(struct error *err, unsigned *missed);

/* CANCELLED: somebody interrupted us; `what` goes on. */
int poll_interrupted(const char *what, struct error *err);

/* Which end is waited for. */
struct restoring {
    const char *backup; /* of a restore; NULL: of any */
    bool is_undo;
};

/*
 * Until the server is not restored any more, with a meter.  IO: it failed, and the files are as they were.
 * Where the panel does not tell how it ended, a complaint says so.
 */
int wait_for_restore(struct contact *contact, const char *server, const struct restoring *wanted,
                     struct error *err);

#endif
