/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_JOURNAL_H
#define NODE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/uuid.h"

/*
 * The node's memory of what it promised: <state>/node.db.  Every function that changes
 * something is one transaction and durable when it returns 0; a power cut leaves the state before or
 * after it.
 *
 *     order accepted      -> jobs
 *     job ended           -> jobs row gone, archives and outbox rows there: one step
 *     panel took a report -> outbox row gone
 *
 * Thread-safe.
 */
struct journal;

enum job_kind {
    JOB_BACKUP,
    JOB_RESTORE,
    JOB_UNDO, /* what a restore replaced comes back; its backup is that restore's */
};
const char *job_kind_name(enum job_kind kind); /* "backup", "restore", "undo" */
enum job_kind job_kind_parse(const char *name);

enum job_phase {
    JOB_QUEUED,     /* accepted; a backup stays so while it runs, as it starts anew after a crash */
    JOB_STAGING,    /* a restore fills its stage beside the live directory */
    JOB_EXCHANGING, /* the stage is complete, its identity known: live, or about to be */
    JOB_EXCHANGED,  /* it is live; what it replaced is on record (journal_set_exchanged) */
};

/* A job as it is stored.  Strings belong to the struct. */
struct journal_job {
    int64_t id;
    enum job_kind kind;
    enum job_phase phase;
    char server[UUID_TEXT_BYTES];
    char backup[UUID_TEXT_BYTES];
    int64_t created_at_us;
    char *order; /* JSON: what was asked for */
    char order_id
        [UUID_TEXT_BYTES]; /* of one that is added: the same order is void from then on; "" */
    char *stage_parent; /* the directory that holds live directory and stage; NULL until staging */
    char *live_name, *stage_name;
    uint64_t stage_device, stage_inode; /* from JOB_EXCHANGING on */
    bool is_cancelled;                  /* it ends as failed, and leaves nothing */
};
void journal_job_clear(struct journal_job *job);

/* What came of a job, on its way to the panel. */
struct journal_report {
    int64_t id;
    enum job_kind kind;
    char server[UUID_TEXT_BYTES];
    char backup[UUID_TEXT_BYTES];
    bool is_successful;
    char checksum_type[17]; /* backups: "" on failure */
    char checksum[129];     /* hex */
    uint64_t size_bytes;
    char error[200];          /* for people; "" on success */
    int64_t kept_until_us;    /* restores and undos: when the kept tree goes; 0: there is none */
    int64_t refused_since_us; /* when the panel first answered 404 or 403; 0: never */
    int64_t next_at_us;       /* not before */
};

struct journal_archive {
    char server[UUID_TEXT_BYTES];
    char backup[UUID_TEXT_BYTES];
    char checksum_type[17];
    char checksum[129];
    uint64_t size_bytes;
    int64_t created_at_us;
    bool is_orphan; /* the panel did not want to hear of it */
};

/*
 * Opens (and makes) <state>/node.db, holding a lock on <state>/node.lock.  CONFLICT: another
 * process holds it.
 */
struct journal *journal_open(const char *state_directory, struct error *err);
void journal_close(struct journal *journal);

/* ---- jobs ---- */

/* Stores an order; sets id and created_at_us.  A report of an earlier try of the same backup is withdrawn. */
int journal_add_job(struct journal *journal, struct journal_job *job, struct error *err);

/* The phase and the stage, before the step that it names is taken.  CANCELLED: it may not be taken any more. */
int journal_set_phase(struct journal *journal, const struct journal_job *job, struct error *err);

/* Whether there is a restore of the server, or an undo, that has not ended or not been reported; true in doubt. */
bool journal_is_restoring(struct journal *journal, const char *server);

/* In the order in which they were accepted. */
int journal_each_job(struct journal *journal,
                     int (*visit)(const struct journal_job *job, void *context, struct error *err),
                     void *context, struct error *err);

/* Backups that are to be made or reported: at most `max` of them; their number, or -1. */
int journal_pending_backups(struct journal *journal, char (*backups)[UUID_TEXT_BYTES], size_t max,
                            struct error *err);

/*
 * The end of a job: its row goes, the report is put into the outbox, and with `archive` (a
 * successful backup) the archive and what the capture left out (`capture`: JSON) are recorded.
 * CANCELLED: it was cancelled before, so no success of it counts.
 */
int journal_end_job(struct journal *journal, int64_t job_id, const struct journal_report *report,
                    const struct journal_archive *archive, const char *capture, struct error *err);

/*
 * Cancel the job: 1; 0 where there is none (any more), or a restore that may exchange already.  From here on
 * journal_set_phase() and journal_end_job() keep it from succeeding, and an order for the same backup that comes late,
 * or twice, is void for a day.
 */
int journal_cancel_backup(struct journal *journal, const char *server, const char *backup,
                          struct error *err);
int journal_cancel_restore(struct journal *journal, const char *server, struct error *err);
/* All of the server's that still can be; how many. */
int journal_cancel_all(struct journal *journal, const char *server, struct error *err);
/* Cancel a backup whose order never came: the report goes out, and the order is void, should it come after all. */
int journal_void_order(struct journal *journal, const struct journal_report *report,
                       struct error *err);
/* By the backup, or by the id of an order: 1, 0, -1. */
int journal_is_void(struct journal *journal, const char *id, struct error *err);

/* ---- archives ---- */

/* 1: found.  0: not.  -1. */
int journal_find_archive(struct journal *journal, const char *backup,
                         struct journal_archive *archive, struct error *err);

/* The server's newest backup: what the next one will be like.  Zeros: there is none. */
struct journal_newest {
    uint64_t archive_bytes;
    uint64_t content_bytes;
};
int journal_find_newest(struct journal *journal, const char *server, struct journal_newest *newest,
                        struct error *err);

/* Everything about a backup, or about all of a server's (`backup` NULL), but a restore's report. */
int journal_forget(struct journal *journal, const char *server, const char *backup,
                   struct error *err);

/* What there is of each server; the texts are lent to the visitor. */
struct journal_stored {
    const char *server;
    int64_t count;
    uint64_t size_bytes;
    int64_t newest_us; /* when the newest was completed */
};
int journal_each_stored(struct journal *journal,
                        void (*visit)(const struct journal_stored *stored, void *context),
                        void *context, struct error *err);

/* ---- outbox ---- */

/* The oldest report that is due at `now_us`: 1, 0 or -1. */
int journal_next_report(struct journal *journal, int64_t now_us, struct journal_report *report,
                        struct error *err);
/* When the next report will be due; 0: there is none. */
int journal_next_due(struct journal *journal, int64_t *due_at_us, struct error *err);

/* Whether a report about the backup's making waits: 1, 0 or -1. */
int journal_has_report(struct journal *journal, const char *backup, struct error *err);

/* How many reports about such jobs wait. */
int journal_count_reports(struct journal *journal, enum job_kind kind, int64_t *count,
                          struct error *err);

/* (Again) into the outbox: replaces an older one about the same. */
int journal_add_report(struct journal *journal, const struct journal_report *report,
                       struct error *err);
int journal_remove_report(struct journal *journal, int64_t report_id, struct error *err);

/* Not before `next_at_us`; remembers when refusals began. */
int journal_delay_report(struct journal *journal, const struct journal_report *report,
                         struct error *err);

/* The panel will never take it: the report goes, an archive that it is about becomes an orphan. */
int journal_abandon_report(struct journal *journal, const struct journal_report *report,
                           struct error *err);

/* ---- signed tokens ---- */

/* Tokens of this jti issued until `denied_at_s` are void. */
int journal_deny_token(struct journal *journal, const char *jti, int64_t denied_at_s,
                       struct error *err);
int journal_is_denied(struct journal *journal, const char *jti, int64_t issued_at_s,
                      bool *is_denied, struct error *err);

/*
 * Notes who uses a token.  Allowed are those who are noted already, and new ones up to `users_max`; who is
 * not allowed is not noted, and takes nobody's place.
 */
struct token_use {
    const char *unique_id;
    const char *address;
    int64_t until_s;
    int64_t users_max;
};
int journal_use_token(struct journal *journal, const struct token_use *use, bool *is_allowed,
                      struct error *err);

/* Drops what has no meaning any more at `now_s`. */
int journal_tidy(struct journal *journal, int64_t now_s, struct error *err);

/* ---- directories ---- */

/* Where a server's directory was attached: 1 and the path, appended; 0; -1. */
int journal_find_directory(struct journal *journal, const char *server, struct buf *path,
                           struct error *err);

/* ---- trees that restores have replaced, and that are kept: one a server ---- */
struct journal_kept {
    char server[UUID_TEXT_BYTES];
    char backup[UUID_TEXT_BYTES]; /* of the restore that replaced it, or the undo that did */
    char *parent;                 /* the directory that holds it; also when it is … */
    char *live_name;              /* … exchanged: the live directory's name there, or "." */
    char *name;
    int64_t until_us;
};
void journal_kept_clear(struct journal_kept *kept);

/* 1: found, the caller's to clear.  0.  -1. */
int journal_find_kept(struct journal *journal, const char *server, struct journal_kept *kept,
                      struct error *err);

/* When the server's kept tree goes; 0: it has none, or nobody can say. */
int64_t journal_kept_until(struct journal *journal, const char *server);

/* Those of all servers, the oldest first. */
int journal_each_kept(struct journal *journal,
                      int (*visit)(const struct journal_kept *kept, void *context,
                                   struct error *err),
                      void *context, struct error *err);

/*
 * The staged tree is live: the job's phase becomes JOB_EXCHANGED, the server's older kept tree a leftover,
 * and `kept` its kept tree (NULL: none is); one step.
 */
int journal_set_exchanged(struct journal *journal, struct journal_job *job,
                          const struct journal_kept *kept, struct error *err);

/* The server's kept tree lies under another name than was meant. */
int journal_rename_kept(struct journal *journal, const char *server, const char *name,
                        struct error *err);

/* The server's kept tree becomes a leftover, but for one that an undo is about to bring back. */
int journal_drop_kept(struct journal *journal, const char *server, struct error *err);

/* Likewise of all that are due at `now_us`; `next_at_us`: when the next ones are, 0: never. */
int journal_expire_kept(struct journal *journal, int64_t now_us, int64_t *next_at_us,
                        struct error *err);

/* ---- trees that are to be removed ---- */
int journal_add_leftover(struct journal *journal, const char *parent, const char *name,
                         struct error *err);
int journal_remove_leftover(struct journal *journal, const char *parent, const char *name,
                            struct error *err);
/* The first one: 1, 0 or -1. */
int journal_next_leftover(struct journal *journal, struct buf *parent, struct buf *name,
                          struct error *err);

#endif
