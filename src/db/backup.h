/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_BACKUP_H
#define DB_BACKUP_H

#include "base/uuid.h"
#include "db/db.h"

/*
 * Backups as the panel knows them.  completed_at_us 0: being created; set with is_successful: completed;
 * set without: failed.  Deleted rows stay (deleted_at), for the throttle's count.
 */
struct backup {
    int64_t id;
    int64_t server_id;
    char uuid[UUID_TEXT_BYTES];
    bool is_successful;
    bool is_locked;
    char *name;
    char *ignored_files; /* JSON array of texts */
    char disk[32];       /* "wings" or "s3" */
    char *checksum;      /* "sha256:…", "sha1:…" or NULL */
    uint64_t bytes;
    int64_t created_at_us;
    int64_t completed_at_us;
    int64_t
        lease_until_us; /* of one being created, or, when that has ended, being deleted; 0: none known */
};

void backup_free(struct backup *backup);

/*
 * Fields as given; uuid "" makes one, created_at_us 0 is now, disk "" is "wings", ignored_files NULL
 * is "[]".  CONFLICT: the uuid exists, or the server does not.
 */
int backup_insert(struct db_session *session, struct backup *backup, struct error *err);

/* Not deleted ones only.  1, 0 or -1. */
int backup_find(struct db_session *session, const char *uuid, struct backup *backup,
                struct error *err);
int backup_find_by_id(struct db_session *session, int64_t id, struct backup *backup,
                      struct error *err);

/* Oldest first, by id.  The texts are lent to the visitor, nothing is allocated for a row. */
int backup_each(struct db_session *session, int64_t server_id, int64_t limit, int64_t offset,
                int (*visit)(const struct backup *backup, void *context, struct error *err),
                void *context, struct error *err);

struct backup_counts {
    int64_t total;      /* not deleted */
    int64_t non_failed; /* being created or successful: what counts against the limit */
    int64_t creating;
};
int backup_count(struct db_session *session, int64_t server_id, struct backup_counts *counts,
                 struct error *err);

/* Of every server, also of one without any; the texts are lent to the visitor. */
struct backup_totals {
    const char *server; /* uuid */
    int64_t creating, completed, failed;
    int64_t bytes;     /* of those completed */
    int64_t newest_us; /* when the newest of them was completed; 0: none */
};
int backup_each_totals(struct db_session *session,
                       int (*visit)(const struct backup_totals *totals, void *context,
                                    struct error *err),
                       void *context, struct error *err);

/* When the first lease ends of a backup that is being created; 0: there is none. */
int backup_next_lease(struct db_session *session, int64_t *until_us, struct error *err);

/*
 * The throttle: how many non-failed rows, deleted ones included, were created at or after `since_us`;
 * and when the one was created whose ageing frees a slot under `limit` (0 where there is one, or
 * where `limit` is not positive: no ageing would help).
 */
int backup_count_since(struct db_session *session, int64_t server_id, int64_t since_us,
                       int64_t limit, int64_t *count, int64_t *frees_from_us, struct error *err);

/*
 * The end of creation.  CONFLICT where the row is successful already, NOT_FOUND where it is deleted;
 * a failed one may still turn out successful.  Failure unlocks.  Ends the lease.
 */
struct backup_outcome {
    bool is_successful;
    const char *checksum; /* "type:hex"; NULL on failure */
    uint64_t bytes;
};
int backup_complete(struct db_session *session, int64_t id, const struct backup_outcome *outcome,
                    struct error *err);

/* Sets the lease of one that is being created, rounded up to a second; CONFLICT of any other. */
int backup_extend_lease(struct db_session *session, int64_t id, int64_t until_us,
                        struct error *err);

/*
 * Ids of backups that are being created and whose lease ended before `now_us`, longest dead first:
 * at most `max`.  Their number, or -1.
 */
int backup_find_dead(struct db_session *session, int64_t now_us, int64_t *ids, size_t max,
                     struct error *err);

/*
 * Notes that somebody is deleting it, until `until_us` at most; 0: no longer.  Of one that is being created
 * the lease says something else, and stays as it is.
 */
int backup_lease_deletion(struct db_session *session, int64_t id, int64_t until_us,
                          struct error *err);
int backup_is_being_deleted(struct db_session *session, int64_t id, int64_t now_us, bool *is_it,
                            struct error *err);

/* The next three: NOT_FOUND where it is not there, or deleted. */
/* The largest id there is, also of deleted ones; 0: none. */
int backup_newest_id(struct db *db, int64_t *id, struct error *err);

/* Ids of backups that are being created on servers of the node: at most `max`; their number, or -1. */
int backup_find_creating(struct db_session *session, int64_t node_id, int64_t *ids, size_t max,
                         struct error *err);

int backup_toggle_lock(struct db_session *session, int64_t id, bool *is_locked, struct error *err);
int backup_unlock(struct db_session *session, int64_t id, struct error *err);
int backup_delete(struct db_session *session, int64_t id, struct error *err); /* deleted_at = now */

/* The row itself, as if it had never been: only for one that no node has heard of. */
int backup_erase(struct db_session *session, int64_t id, struct error *err);

#endif
