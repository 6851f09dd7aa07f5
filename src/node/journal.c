/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's file: opening, locking, its tables; and where directories were attached. */
#include "node/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "node/journal_internal.h"
#include "node/node.h"

/* Ids are never used again: whoever removes a report that was delivered must not meet a newer one. */
static const char *const create_tables[] = {
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, phase TEXT NOT "
    "NULL,"
    " server TEXT NOT NULL, backup TEXT NOT NULL, created_at_us INTEGER NOT NULL,"
    " request TEXT NOT NULL, stage_parent TEXT, live_name TEXT, stage_name TEXT,"
    " stage_device INTEGER, stage_inode INTEGER, UNIQUE (kind, server, backup))",
    "CREATE TABLE archives (backup TEXT PRIMARY KEY, server TEXT NOT NULL,"
    " checksum_type TEXT NOT NULL, checksum TEXT NOT NULL, size_bytes INTEGER NOT NULL,"
    " created_at_us INTEGER NOT NULL, is_orphan INTEGER NOT NULL DEFAULT 0, capture TEXT)",
    "CREATE INDEX archives_server ON archives (server)",
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, server TEXT "
    "NOT NULL,"
    " backup TEXT NOT NULL, is_successful INTEGER NOT NULL, checksum_type TEXT NOT NULL,"
    " checksum TEXT NOT NULL, size_bytes INTEGER NOT NULL, error TEXT NOT NULL,"
    " refused_since_us INTEGER NOT NULL DEFAULT 0, next_at_us INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE (kind, backup))",
    "CREATE TABLE denied_tokens (jti TEXT PRIMARY KEY, denied_at_s INTEGER NOT NULL)",
    "CREATE TABLE used_tokens (unique_id TEXT NOT NULL, address TEXT NOT NULL,"
    " until_s INTEGER NOT NULL, UNIQUE (unique_id, address))",
    "CREATE TABLE directories (server TEXT PRIMARY KEY, path TEXT NOT NULL)",
    "CREATE TABLE leftovers (parent TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (parent, name))",
    NULL,
};

/* Times are wall-clock: a node may be off for most of a tree's life. */
static const char *const keep_trees[] = {
    "CREATE TABLE kept (server TEXT PRIMARY KEY, backup TEXT NOT NULL, parent TEXT NOT NULL,"
    " live_name TEXT NOT NULL, name TEXT NOT NULL, until_us INTEGER NOT NULL)",
    "ALTER TABLE outbox ADD COLUMN kept_until_us INTEGER NOT NULL DEFAULT 0",
    NULL,
};

static const char *const cancel_jobs[] = {
    "ALTER TABLE jobs ADD COLUMN is_cancelled INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE void_orders (backup TEXT PRIMARY KEY, until_s INTEGER NOT NULL)",
    NULL,
};

static const struct db_migration migrations[] = {
    {"create", create_tables},
    {"keep trees", keep_trees},
    {"cancel jobs", cancel_jobs},
};

struct db *journal_open_database(const char *state_directory, struct error *err)
{
    scope_fd int directory_fd = directory_open_or_make(state_directory, 0700, err);
    if (directory_fd < 0)
        return NULL;
    scope_free char *url = xasprintf("sqlite:%s/node.db", state_directory);
    struct db *db = db_open(url, err);
    if (db == NULL)
        return NULL;
    if (db_migrate(db, "node", migrations, sizeof(migrations) / sizeof(migrations[0]), err) < 0) {
        db_close(db);
        return NULL;
    }
    return db;
}

/* The lock's descriptor; the lock ends with it, however the process ends. */
static int take_lock(const char *state_directory, struct error *err)
{
    scope_fd int directory_fd = directory_open_or_make(state_directory, 0700, err);
    if (directory_fd < 0)
        return -1;
    scope_fd int fd =
        openat(directory_fd, "node.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_os(err, errno, "opening '%s/node.lock'", state_directory);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return error_set(err, ERROR_CONFLICT, "another node holds '%s/node.lock'", state_directory);
    return scope_take_fd(&fd);
}

struct journal *journal_open(const char *state_directory, struct error *err)
{
    scope_fd int lock_fd = take_lock(state_directory, err);
    if (lock_fd < 0)
        return NULL;
    struct db *db = journal_open_database(state_directory, err);
    if (db == NULL) {
        error_wrap(err, "opening the node's journal in '%s'", state_directory);
        return NULL;
    }
    struct journal *journal = xcalloc(1, sizeof(*journal));
    journal->db = db;
    journal->lock_fd = scope_take_fd(&lock_fd);
    /* A new start is a new chance for every report. */
    if (journal_run(journal, "UPDATE outbox SET next_at_us = 0", DB_NO_PARAMS, err) < 0) {
        journal_close(journal);
        return NULL;
    }
    return journal;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    db_close(journal->db);
    if (journal->lock_fd >= 0)
        close(journal->lock_fd);
    free(journal);
}

int journal_finish(struct db_session *session, int result, struct error *err)
{
    if (result == 0)
        return db_commit(session, err);
    db_rollback(session);
    return -1;
}

int journal_run(struct journal *journal, const char *sql, const struct db_value *params,
                size_t count, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    return journal_finish(session, db_run(session, sql, params, count, NULL, err), err);
}

int journal_find_directory(struct journal *journal, const char *server, struct buf *path,
                           struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL || db_query(session, "SELECT path FROM directories WHERE server = ?",
                                    DB_PARAMS(db_text(server)), &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0)
        buf_add_str(path, db_get_text(&rows, 0));
    db_rows_end(&rows);
    return found;
}

/* Change the directories of a node that may run or not: no lock, SQLite sees to the rest. */
static int change_directory(const char *state_directory, const char *server, const char *path,
                            struct error *err)
{
    char canonical[UUID_TEXT_BYTES];
    if (!uuid_canonicalize(server, canonical))
        return error_set(err, ERROR_INVALID, "'%s' is no server uuid", server);
    struct journal journal = {.db = journal_open_database(state_directory, err), .lock_fd = -1};
    if (journal.db == NULL)
        return -1;
    int result = 0;
    struct db_session *session = db_begin(journal.db, err);
    if (session == NULL) {
        result = -1;
    } else {
        int64_t removed = 0;
        result = db_run(session, "DELETE FROM directories WHERE server = ?",
                        DB_PARAMS(db_text(canonical)), &removed, err);
        /* What is kept was another directory's. */
        if (result == 0)
            result = journal_drop_kept_in(session, canonical, err);
        if (result == 0 && path == NULL && removed == 0)
            result = error_set(err, ERROR_NOT_FOUND, "no directory is attached for server %s",
                               canonical);
        if (result == 0 && path != NULL)
            result = db_run(session, "INSERT INTO directories (server, path) VALUES (?, ?)",
                            DB_PARAMS(db_text(canonical), db_text(path)), NULL, err);
        result = journal_finish(session, result, err);
    }
    db_close(journal.db);
    return result;
}

int node_attach_directory(const char *state_directory, const char *server_uuid, const char *path,
                          struct error *err)
{
    if (path[0] != '/')
        return error_set(err, ERROR_INVALID, "'%s' is not an absolute path", path);
    /* The real path, so that parent and name of the live directory are what a restore exchanges. */
    scope_free char *real = realpath(path, NULL);
    struct stat info;
    if (real == NULL || stat(real, &info) < 0)
        return error_set_os(err, errno, "attaching directory '%s'", path);
    if (!S_ISDIR(info.st_mode))
        return error_set(err, ERROR_INVALID, "'%s' is not a directory", path);
    if (strcmp(real, "/") == 0)
        return error_set(err, ERROR_INVALID, "the root directory cannot be a server's directory");
    return change_directory(state_directory, server_uuid, real, err);
}

int node_detach_directory(const char *state_directory, const char *server_uuid, struct error *err)
{
    return change_directory(state_directory, server_uuid, NULL, err);
}
