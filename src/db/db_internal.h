/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_DB_INTERNAL_H
#define DB_DB_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "db/db.h"

/* What db_sqlite.c (connections, transactions) and db_statement.c (statements, rows) share. */

/* Prepared statements by the address of their SQL: open addressing, never removed. */
struct statement_slot {
    const char *sql;
    sqlite3_stmt *statement;
};

struct db_session {
    struct db *db;
    sqlite3 *connection;
    bool is_writer;
    struct statement_slot *slots;
    size_t capacity, used;              /* capacity: 0 or a power of two */
    struct db_session *next, *previous; /* in db->readers */
};

struct db {
    char *path;
    pthread_key_t reader_key; /* each thread's own session */
    pthread_mutex_t mutex;    /* of `readers` */
    struct db_session *readers;
    pthread_mutex_t writer_mutex; /* held from db_begin to its end */
    struct db_session *writer;
    int wal_tried_pages; /* of the writer: when it last asked readers to let go of the log */
    pthread_mutex_t watcher_mutex; /* of `watcher` */
    struct db_session
        *watcher; /* one pair of eyes: data_version compares within a connection only */
};

/* Fresh error from SQLite's answer; the reason is appended.  Returns -1. */
int sqlite_error(struct error *err, sqlite3 *connection, int result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Run SQL that is not kept prepared: pragmas, migrations. */
int session_run_once(struct db_session *session, const char *sql, struct error *err);

/* As db_run(), also outside of a transaction. */
int session_run_kept(struct db_session *session, const char *sql, const struct db_value *params,
                     size_t count, struct error *err);

void session_finalize_all(struct db_session *session);

#endif
