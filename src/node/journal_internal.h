/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_JOURNAL_INTERNAL_H
#define NODE_JOURNAL_INTERNAL_H

#include "db/db.h"
#include "node/journal.h"

struct journal {
    struct db *db;
    int lock_fd; /* -1: opened without the lock, by the command line */
};

/* Opens the database alone, without the lock. */
struct db *journal_open_database(const char *state_directory, struct error *err);

/* Within a transaction of the caller. */
int journal_put_report(struct db_session *session, const struct journal_report *report,
                       struct error *err);

/* An order for that backup, or of that id, that comes (again) is void. */
int journal_void_in(struct db_session *session, const char *id, struct error *err);

int journal_drop_kept_in(struct db_session *session, const char *server, struct error *err);

/* Ends the transaction as `result` says: 0 commits. */
int journal_finish(struct db_session *session, int result, struct error *err);

/* One statement as a transaction of its own. */
int journal_run(struct journal *journal, const char *sql, const struct db_value *params,
                size_t count, struct error *err);

#endif
