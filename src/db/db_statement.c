/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements and rows.  Each connection prepares a statement once and finds it by the address of
 * its SQL.  A statement that has ended is reset at once: one that is not keeps its snapshot, and
 * with it the write-ahead log, from ending.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "db/db_internal.h"

enum {
    FIRST_CAPACITY = 64
};

static struct statement_slot *find_slot(struct statement_slot *slots, size_t capacity,
                                        const char *sql)
{
    size_t at = (size_t)((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    while (slots[at & (capacity - 1)].sql != NULL && slots[at & (capacity - 1)].sql != sql)
        at++;
    return &slots[at & (capacity - 1)];
}

static void grow(struct db_session *session)
{
    size_t capacity = session->capacity == 0 ? FIRST_CAPACITY : 2 * session->capacity;
    struct statement_slot *slots = xcalloc(capacity, sizeof(*slots));
    for (size_t i = 0; i < session->capacity; i++) {
        if (session->slots[i].sql != NULL)
            *find_slot(slots, capacity, session->slots[i].sql) = session->slots[i];
    }
    free(session->slots);
    session->slots = slots;
    session->capacity = capacity;
}

void session_finalize_all(struct db_session *session)
{
    for (size_t i = 0; i < session->capacity; i++)
        sqlite3_finalize(session->slots[i].statement);
    free(session->slots);
    session->slots = NULL;
    session->capacity = session->used = 0;
}

static sqlite3_stmt *prepared(struct db_session *session, const char *sql, struct error *err)
{
    if (2 * session->used >= session->capacity)
        grow(session);
    struct statement_slot *slot = find_slot(session->slots, session->capacity, sql);
    if (slot->sql == NULL) {
        int result = sqlite3_prepare_v3(session->connection, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                        &slot->statement, NULL);
        if (result != SQLITE_OK) {
            sqlite_error(err, session->connection, result, "preparing '%.80s'", sql);
            return NULL;
        }
        slot->sql = sql;
        session->used++;
    }
    /* Not a literal, or the last query was not ended: bugs that would give the wrong rows. */
    assert(strcmp(sqlite3_sql(slot->statement), sql) == 0);
    assert(!sqlite3_stmt_busy(slot->statement));
    return slot->statement;
}

/* `text_life`: SQLITE_STATIC where the statement ends before the caller has its texts back. */
static sqlite3_stmt *bound(struct db_session *session, const char *sql,
                           const struct db_value *params, size_t count,
                           sqlite3_destructor_type text_life, struct error *err)
{
    sqlite3_stmt *statement = prepared(session, sql, err);
    if (statement == NULL)
        return NULL;
    assert((size_t)sqlite3_bind_parameter_count(statement) == count);
    int result = SQLITE_OK;
    for (int i = 0; i < (int)count && result == SQLITE_OK; i++) {
        const struct db_value *value = &params[i];
        if (value->type == DB_INT)
            result = sqlite3_bind_int64(statement, i + 1, value->integer);
        else if (value->type == DB_TEXT && value->text != NULL)
            result = sqlite3_bind_text(statement, i + 1, value->text, -1, text_life);
        else
            result = sqlite3_bind_null(statement, i + 1);
    }
    if (result != SQLITE_OK) {
        sqlite_error(err, session->connection, result, "binding '%.80s'", sql);
        return NULL;
    }
    return statement;
}

static int run_to_end(sqlite3_stmt *statement)
{
    int result;
    errno = 0; /* sqlite_error() may ask for it */
    do {
        result = sqlite3_step(statement);
    } while (result == SQLITE_ROW);
    return result;
}

int session_run_once(struct db_session *session, const char *sql, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(session->connection, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = run_to_end(statement);
    int status = 0;
    if (result != SQLITE_DONE)
        status = sqlite_error(err, session->connection, result, "running '%.80s'", sql);
    sqlite3_finalize(statement);
    return status;
}

int session_run_kept(struct db_session *session, const char *sql, const struct db_value *params,
                     size_t count, struct error *err)
{
    sqlite3_stmt *statement = bound(session, sql, params, count, SQLITE_STATIC, err);
    if (statement == NULL)
        return -1;
    int status = 0;
    int result = run_to_end(statement);
    if (result != SQLITE_DONE)
        status = sqlite_error(err, session->connection, result, "running '%.80s'", sql);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

/* Without its transaction, a statement of the writer would commit by itself. */
static int check_transaction(const struct db_session *session, struct error *err)
{
    if (session->is_writer && sqlite3_get_autocommit(session->connection))
        return error_set(err, ERROR_IO, "the transaction was rolled back already");
    return 0;
}

int db_run(struct db_session *session, const char *sql, const struct db_value *params, size_t count,
           int64_t *changed, struct error *err)
{
    if (check_transaction(session, err) < 0 ||
        session_run_kept(session, sql, params, count, err) < 0)
        return -1;
    if (changed != NULL)
        *changed = sqlite3_changes64(session->connection);
    return 0;
}

int64_t db_last_id(struct db_session *session)
{
    return sqlite3_last_insert_rowid(session->connection);
}

int db_query(struct db_session *session, const char *sql, const struct db_value *params,
             size_t count, struct db_rows *rows, struct error *err)
{
    *rows = (struct db_rows){.session = session};
    if (check_transaction(session, err) < 0)
        return -1;
    rows->statement = bound(session, sql, params, count, SQLITE_TRANSIENT, err);
    return rows->statement == NULL ? -1 : 0;
}

int db_next(struct db_rows *rows, struct error *err)
{
    if (rows->statement == NULL)
        return 0;
    int result = sqlite3_step(rows->statement);
    if (result == SQLITE_ROW)
        return 1;
    int status = 0;
    if (result != SQLITE_DONE)
        status = sqlite_error(err, rows->session->connection, result, "running '%.80s'",
                              sqlite3_sql(rows->statement));
    db_rows_end(rows);
    return status;
}

void db_rows_end(struct db_rows *rows)
{
    if (rows->statement == NULL)
        return;
    sqlite3_reset(rows->statement);
    rows->statement = NULL;
}

int64_t db_get_int(const struct db_rows *rows, int column)
{
    return sqlite3_column_int64(rows->statement, column);
}

const char *db_get_text(const struct db_rows *rows, int column)
{
    return (const char *)sqlite3_column_text(rows->statement, column);
}

bool db_is_null(const struct db_rows *rows, int column)
{
    return sqlite3_column_type(rows->statement, column) == SQLITE_NULL;
}
