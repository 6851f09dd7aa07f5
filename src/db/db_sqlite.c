/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite: connections and transactions.  A reader for each thread, one writer that threads take in
 * turn, one watcher for db_version().  No connection is ever used by two threads at once, so SQLite
 * is spared its own locks, and its memory statistics, whose one lock all threads would meet at.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "db/db_internal.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    /* Of the write-ahead log: copied back from here on … */
    WAL_CHECKPOINT_PAGES = 1000,
    /* … and, where busy readers have kept it from starting over, cut off after waiting for them. */
    WAL_TRUNCATE_PAGES = 8192,
    WAL_WAIT_MS = 100,
    WAL_RETRY_MS = 10
};

static void configure(void)
{
    /* Refused where the process used SQLite before; then it is slower, not wrong. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/*
 * A small cache: there is a connection a thread, each with its own, and what is hot is few pages of
 * an index; 2 MiB were no faster with 100,000 backups, and 16 warm threads held 45 MB instead of 18.
 */
static const char session_pragmas[] = "PRAGMA synchronous = FULL;"
                                      "PRAGMA foreign_keys = ON;"
                                      "PRAGMA temp_store = MEMORY;"
                                      "PRAGMA cache_size = -512;" /* KiB */
                                      "PRAGMA journal_size_limit = 8388608;"
                                      "PRAGMA trusted_schema = OFF";

static void session_close(struct db_session *session)
{
    if (session == NULL)
        return;
    session_finalize_all(session);
    sqlite3_close(session->connection);
    free(session);
}
SCOPE_DEFINE(session, struct db_session *, session_close)

/* A connection that can do nothing but what its SQL says: no URIs, no double-quoted texts. */
static struct db_session *session_open(struct db *db, struct error *err)
{
    SCOPE(scope_session_end) struct db_session *session = xcalloc(1, sizeof(*session));
    session->db = db;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(db->path, &session->connection, flags, NULL);
    if (result != SQLITE_OK) {
        sqlite_error(err, session->connection, result, "opening the database '%s'", db->path);
        return NULL;
    }
    sqlite3_busy_timeout(session->connection, BUSY_TIMEOUT_MS);
    sqlite3_db_config(session->connection, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(session->connection, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    result = sqlite3_exec(session->connection, session_pragmas, NULL, NULL, NULL);
    if (result != SQLITE_OK) {
        sqlite_error(err, session->connection, result, "preparing the database '%s'", db->path);
        return NULL;
    }
    return scope_take(session);
}

/* After every commit; in place of SQLite's automatic checkpoint. */
static int on_commit(void *context, sqlite3 *connection, const char *name, int wal_pages)
{
    struct db *db = context;
    if (wal_pages < WAL_CHECKPOINT_PAGES) {
        db->wal_tried_pages = 0;
        return SQLITE_OK;
    }
    int mode = SQLITE_CHECKPOINT_PASSIVE;
    if (wal_pages >= WAL_TRUNCATE_PAGES &&
        wal_pages >= db->wal_tried_pages + WAL_CHECKPOINT_PAGES) {
        mode = SQLITE_CHECKPOINT_TRUNCATE;
        db->wal_tried_pages = wal_pages;
    }
    /* A checkpoint that fails is tried again at the next commit; this one is durable already. */
    sqlite3_busy_timeout(connection, WAL_WAIT_MS);
    (void)sqlite3_wal_checkpoint_v2(connection, name, mode, NULL, NULL);
    sqlite3_busy_timeout(connection, BUSY_TIMEOUT_MS);
    return SQLITE_OK;
}

/*
 * Switch the journal.  Where several processes open a new database at once, SQLite answers BUSY here
 * without waiting, whatever the busy time-out says.  1: it is a write-ahead log; 0: it cannot be; -1.
 */
static int switch_to_wal(struct db *db, struct error *err)
{
    sqlite3 *connection = db->writer->connection;
    for (int waited_ms = 0;; waited_ms += WAL_RETRY_MS) {
        sqlite3_stmt *statement = NULL;
        int result =
            sqlite3_prepare_v2(connection, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
        if (result == SQLITE_OK)
            result = sqlite3_step(statement);
        int is_wal = result == SQLITE_ROW &&
                     strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
        bool is_busy = (result & 0xff) == SQLITE_BUSY && waited_ms < BUSY_TIMEOUT_MS;
        if (result != SQLITE_ROW && !is_busy)
            sqlite_error(err, connection, result, "opening the database '%s'", db->path);
        sqlite3_finalize(statement);
        if (!is_busy)
            return result == SQLITE_ROW ? is_wal : -1;
        usleep(WAL_RETRY_MS * 1000);
    }
}

static int writer_prepare(struct db *db, struct error *err)
{
    int is_wal = switch_to_wal(db, err);
    if (is_wal < 0)
        return -1;
    if (is_wal == 0)
        return error_set(err, ERROR_IO, "the file system of '%s' cannot hold a write-ahead log",
                         db->path);
    sqlite3_wal_hook(db->writer->connection, on_commit, db);
    db->writer->is_writer = true;
    /* A transaction that outgrows the cache is spilled into the log early. */
    return session_run_once(db->writer, "PRAGMA cache_size = -2048", err);
}

/* SQLite itself would make it readable for everybody, and not sync its directory. */
static int create_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        if (errno == EEXIST)
            return 0;
        return error_set_os(err, errno, "making the database '%s'", path);
    }
    close(fd);
    const char *slash = strrchr(path, '/');
    scope_free char *parent =
        slash == NULL ? xstrdup(".") : xstrndup(path, (size_t)(slash - path) + 1);
    scope_fd int parent_fd = directory_open(parent, err);
    return parent_fd < 0 ? -1 : file_sync(parent_fd, parent, err);
}

static void unlink_reader(struct db_session *session)
{
    struct db *db = session->db;
    pthread_mutex_lock(&db->mutex);
    if (session->next != NULL)
        session->next->previous = session->previous;
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        db->readers = session->next;
    pthread_mutex_unlock(&db->mutex);
}

static void on_thread_end(void *value)
{
    struct db_session *session = value;
    unlink_reader(session);
    session_close(session);
}

static struct db *db_new(const char *path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    struct db *db = xcalloc(1, sizeof(*db));
    db->path = xstrdup(path);
    pthread_mutex_init(&db->mutex, NULL);
    pthread_mutex_init(&db->watcher_mutex, NULL);
    pthread_mutexattr_t checked;
    pthread_mutexattr_init(&checked);
    pthread_mutexattr_settype(&checked, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&db->writer_mutex, &checked);
    pthread_mutexattr_destroy(&checked);
    int failed = pthread_key_create(&db->reader_key, on_thread_end);
    assert(failed == 0);
    (void)failed;
    return db;
}
SCOPE_DEFINE(db, struct db *, db_close)

static struct db *sqlite_open(const char *given_path, struct error *err)
{
    if (create_file(given_path, err) < 0)
        return NULL;
    /* Absolute: for connections that are opened later, and so that no name means anything special. */
    scope_free char *path = realpath(given_path, NULL);
    if (path == NULL) {
        error_set_os(err, errno, "opening the database '%s'", given_path);
        return NULL;
    }
    SCOPE(scope_db_end) struct db *db = db_new(path);
    db->writer = session_open(db, err);
    if (db->writer == NULL || writer_prepare(db, err) < 0)
        return NULL;
    db->watcher = session_open(db, err);
    if (db->watcher == NULL)
        return NULL;
    return scope_take(db);
}

struct db *db_open(const char *url, struct error *err)
{
    static const char scheme[] = "sqlite:";
    if (strncmp(url, scheme, strlen(scheme)) == 0 && url[strlen(scheme)] != '\0')
        return sqlite_open(url + strlen(scheme), err);
    /* What follows the scheme may hold a password. */
    error_set(err, ERROR_INVALID,
              "the database '%.*s:…' is none that this program can use; 'sqlite:PATH' is",
              (int)strcspn(url, ":"), url);
    return NULL;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    pthread_key_delete(db->reader_key);
    while (db->readers != NULL)
        on_thread_end(db->readers);
    session_close(db->watcher);
    session_close(db->writer);
    pthread_mutex_destroy(&db->mutex);
    pthread_mutex_destroy(&db->watcher_mutex);
    pthread_mutex_destroy(&db->writer_mutex);
    free(db->path);
    free(db);
}

struct db_session *db_reader(struct db *db, struct error *err)
{
    struct db_session *session = pthread_getspecific(db->reader_key);
    if (session != NULL)
        return session;
    session = session_open(db, err);
    if (session == NULL)
        return NULL;
    if (session_run_once(session, "PRAGMA query_only = ON", err) < 0) {
        session_close(session);
        return NULL;
    }
    pthread_mutex_lock(&db->mutex);
    session->next = db->readers;
    if (db->readers != NULL)
        db->readers->previous = session;
    db->readers = session;
    pthread_mutex_unlock(&db->mutex);
    pthread_setspecific(db->reader_key, session);
    return session;
}

void db_thread_end(struct db *db)
{
    struct db_session *session = pthread_getspecific(db->reader_key);
    if (session == NULL)
        return;
    pthread_setspecific(db->reader_key, NULL);
    on_thread_end(session);
}

struct db_session *db_begin(struct db *db, struct error *err)
{
    int failed = pthread_mutex_lock(&db->writer_mutex);
    assert(failed == 0); /* EDEADLK: this thread has a transaction already */
    (void)failed;
    if (session_run_kept(db->writer, "BEGIN IMMEDIATE", DB_NO_PARAMS, err) < 0) {
        pthread_mutex_unlock(&db->writer_mutex);
        return NULL;
    }
    return db->writer;
}

int db_commit(struct db_session *session, struct error *err)
{
    assert(session->is_writer);
    int status = 0;
    if (sqlite3_get_autocommit(session->connection))
        status = error_set(err, ERROR_IO, "the transaction was rolled back already");
    else
        status = session_run_kept(session, "COMMIT", DB_NO_PARAMS, err);
    if (status < 0)
        db_rollback(session);
    else
        pthread_mutex_unlock(&session->db->writer_mutex);
    return status;
}

void db_rollback(struct db_session *session)
{
    assert(session->is_writer);
    struct error ignored = ERROR_INIT;
    /* A rollback that fails leaves a transaction that the next BEGIN, or the next process, rolls back. */
    if (!sqlite3_get_autocommit(session->connection))
        (void)session_run_kept(session, "ROLLBACK", DB_NO_PARAMS, &ignored);
    pthread_mutex_unlock(&session->db->writer_mutex);
}

int db_version(struct db_session *reader, uint64_t *version, struct error *err)
{
    struct db *db = reader->db;
    int64_t value = 0;
    pthread_mutex_lock(&db->watcher_mutex);
    int status = db_query_int(db->watcher, "PRAGMA data_version", DB_NO_PARAMS, 0, &value, err);
    pthread_mutex_unlock(&db->watcher_mutex);
    if (status == 0)
        *version = (uint64_t)value;
    return status;
}
