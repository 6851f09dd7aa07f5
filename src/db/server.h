/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_SERVER_H
#define DB_SERVER_H

#include "base/uuid.h"
#include "db/db.h"

/* Servers as the panel knows them: who owns them, where they are, what state they are in. */
enum server_status {
    SERVER_NORMAL, /* NULL in the database */
    SERVER_INSTALLING,
    SERVER_INSTALL_FAILED,
    SERVER_REINSTALL_FAILED,
    SERVER_SUSPENDED,
    SERVER_RESTORING_BACKUP,
};

struct server {
    int64_t id;
    char uuid[UUID_TEXT_BYTES];
    char uuid_short[UUID_SHORT_LENGTH + 1];
    int64_t node_id;
    int64_t owner_id;
    char *name;
    char *description;
    enum server_status status;
    int64_t memory_mib, swap_mib, disk_mib, io_weight, cpu_percent; /* disk 0: unlimited */
    int64_t backup_limit;                                           /* 0: no backups at all */
    bool is_transferring; /* a server_transfers row whose `successful` is NULL */
};

void server_free(struct server *server);

/* What a row says that is none of these reads as SERVER_SUSPENDED: nothing may happen to it. */
const char *server_status_name(enum server_status status); /* NULL for SERVER_NORMAL */

/* `uuid` "" makes one; uuid_short is its first 8 characters.  CONFLICT: it exists. */
int server_insert(struct db_session *session, struct server *server, struct error *err);

/* Exactly 8 characters: the short id, anything else: the uuid. */
int server_find(struct db_session *session, const char *identifier, struct server *server,
                struct error *err);
int server_find_by_id(struct db_session *session, int64_t id, struct server *server,
                      struct error *err);

struct server_filter {
    int64_t node_id;   /* 0: any */
    int64_t viewer_id; /* owner or subuser; 0: any */
};
int server_count(struct db_session *session, const struct server_filter *filter, int64_t *count,
                 struct error *err);
int server_each(struct db_session *session, const struct server_filter *filter, int64_t limit,
                int64_t offset,
                int (*visit)(const struct server *server, void *context, struct error *err),
                void *context, struct error *err);

/* Compare and set: CONFLICT where the status is not `from`, NOT_FOUND where the server is not. */
int server_change_status(struct db_session *session, int64_t id, enum server_status from,
                         enum server_status to, struct error *err);
int server_set_status(struct db_session *session, int64_t id, enum server_status to,
                      struct error *err);
int server_set_backup_limit(struct db_session *session, int64_t id, int64_t limit,
                            struct error *err);
int server_delete(struct db_session *session, int64_t id,
                  struct error *err); /* with its backups' rows */

/* Which restore SERVER_RESTORING_BACKUP stands for; a later one replaces it. */
struct server_restore {
    int64_t backup_id;
    bool is_of_files; /* of single files, not of everything */
};
int server_restore_begin(struct db_session *session, int64_t server_id,
                         const struct server_restore *restore, struct error *err);

/* 1, 0 or -1. */
int server_restore_find(struct db_session *session, int64_t server_id,
                        struct server_restore *restore, struct error *err);
int server_restore_end(struct db_session *session, int64_t server_id, struct error *err);

enum {
    SERVER_RESTORE_ERROR_BYTES = 200
};

/*
 * The same where it stands for the undo of one, which needs no backup any more.  1, 0 or -1.
 * Whatever begins ends what the other says.
 */
int server_undo_begin(struct db_session *session, int64_t server_id, struct error *err);
int server_undo_find(struct db_session *session, int64_t server_id, struct error *err);
int server_undo_end(struct db_session *session, int64_t server_id, struct error *err);

/*
 * Ids of servers above `after_id`, ascending, with a restore or an undo that began before a time; how many, at most
 * `max`, or -1.
 */
int server_restores_before(struct db_session *session, int64_t before_us, int64_t after_id,
                           int64_t *ids, size_t max, struct error *err);

/* How a server's last restore, or undo of one, ended: known from its end until the next one begins. */
struct server_last_restore {
    char backup[UUID_TEXT_BYTES];
    bool is_undo, is_successful, is_of_files;
    int64_t ended_at_us;                    /* server_restore_note(): 0 is now */
    int64_t kept_until_us;                  /* until when it can be undone; 0: it cannot */
    char error[SERVER_RESTORE_ERROR_BYTES]; /* for people; "" on success, or where nobody said */
};
int server_restore_note(struct db_session *session, int64_t server_id,
                        const struct server_last_restore *last, struct error *err);

/* 1, 0 or -1. */
int server_restore_last(struct db_session *session, int64_t server_id,
                        struct server_last_restore *last, struct error *err);

#endif
