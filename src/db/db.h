/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/time.h"

/*
 * One header over the databases: SQLite today; PostgreSQL and MariaDB come behind the same words.
 *
 * A `struct db` belongs to the program; threads share it.  A `struct db_session` is one
 * connection, used by one thread at a time:
 *
 *     session = db_reader(db, err);                       // this thread's own; never freed by the caller
 *     …read…
 *
 *     struct db_session *session = db_begin(db, err);     // the one writer; others wait for it
 *     …read and write…
 *     db_commit(session, err)  or  db_rollback(session);
 *
 * SQL has placeholders only ('?'), is a literal that lives for ever (statements are prepared once
 * a connection and kept by the literal's address), and stays within what all three databases speak:
 * no RETURNING, times as text "YYYY-MM-DD HH:MM:SS" in UTC.
 */
struct db;
struct db_session;

/*
 * `url`: "sqlite:PATH" (made with mode 0600 where it is missing; WAL, synchronous=FULL,
 * foreign keys on, busy time-out 5 s).  INVALID: a scheme that this program does not have.
 */
struct db *db_open(const char *url, struct error *err);

/* After every other thread that used it has ended or called db_thread_end.  NULL is fine. */
void db_close(struct db *db);

/*
 * A session that sees the newest committed state at each statement, and cannot write.  Made at a
 * thread's first call, closed when the thread ends.  NULL on error.
 */
struct db_session *db_reader(struct db *db, struct error *err);

/* Closes the calling thread's reader now: for a thread that lives on after the database. */
void db_thread_end(struct db *db);

/*
 * Begin a write transaction (BEGIN IMMEDIATE).  UNAVAILABLE where another process holds it for too
 * long.  A thread that holds one may not begin another.  After an error that the database answered
 * by rolling back (a full disk), every further statement and the commit fail, too.
 */
struct db_session *db_begin(struct db *db, struct error *err);
int db_commit(struct db_session *session, struct error *err); /* durable on 0; rolled back on -1 */
void db_rollback(struct db_session *session);

/*
 * A number that differs whenever anybody, also another process, has committed something since: for
 * caches.  The same for all threads.  Ask before reading what is to be cached.
 */
int db_version(struct db_session *reader, uint64_t *version, struct error *err);

enum db_type {
    DB_NULL,
    DB_INT,
    DB_TEXT,
};

struct db_value {
    enum db_type type;
    int64_t integer;
    const char *text; /* borrowed until the call returns; NULL binds NULL */
};

#define db_int(value) ((struct db_value){.type = DB_INT, .integer = (int64_t)(value)})
#define db_text(value) ((struct db_value){.type = DB_TEXT, .text = (value)})
#define db_null() ((struct db_value){.type = DB_NULL})
#define DB_PARAMS(...)                                                                             \
    (const struct db_value[]){__VA_ARGS__},                                                        \
        sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_NO_PARAMS NULL, 0

/* Run a statement without rows.  `changed` (may be NULL): how many rows it touched.  CONFLICT: a uniqueness or reference constraint. */
int db_run(struct db_session *session, const char *sql, const struct db_value *params, size_t count,
           int64_t *changed, struct error *err);

/* The id that the last INSERT of this session made. */
int64_t db_last_id(struct db_session *session);

/*
 * Rows of a query.  One query of the same SQL at a time per session.
 *
 *     if (db_query(session, "SELECT … WHERE id = ?", DB_PARAMS(db_int(id)), &rows, err) < 0) …
 *     while ((more = db_next(&rows, err)) > 0) … db_get_int(&rows, 0) …
 *     db_rows_end(&rows);
 */
struct db_rows {
    struct db_session *session;
    void *statement;
};

int db_query(struct db_session *session, const char *sql, const struct db_value *params,
             size_t count, struct db_rows *rows, struct error *err);
int db_next(struct db_rows *rows, struct error *err);       /* 1: a row; 0: no more; -1 */
int64_t db_get_int(const struct db_rows *rows, int column); /* 0 where NULL */
const char *db_get_text(const struct db_rows *rows,
                        int column); /* NULL where NULL; valid until the next db_next */
bool db_is_null(const struct db_rows *rows, int column);
void db_rows_end(struct db_rows *rows); /* may be called twice, and on zeroes */
#define scope_rows SCOPE(db_rows_end)   /* struct db_rows rows = {0}; */

/* Times in columns are text in UTC, whole seconds; 0 is NULL. */
int64_t db_get_time_us(const struct db_rows *rows, int column); /* 0 where it is not a time */

/* For db_text(): `text`, filled in, or NULL for 0. */
const char *db_time_text(int64_t at_us, char text[TIME_TEXT_BYTES]);

/* The single integer of the first row, or `fallback` where there is none. */
int db_query_int(struct db_session *session, const char *sql, const struct db_value *params,
                 size_t count, int64_t fallback, int64_t *value, struct error *err);

/*
 * Migrations: steps with a name, each run once, in order, each in one transaction, recorded in
 * the table roost_migrations under `component`.  CONFLICT where the database was made by a newer program.
 */
struct db_migration {
    const char *name;
    const char *const *statements; /* ended by NULL */
};
int db_migrate(struct db *db, const char *component, const struct db_migration *migrations,
               size_t count, struct error *err);

#endif
