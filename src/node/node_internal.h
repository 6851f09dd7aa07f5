/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_INTERNAL_H
#define NODE_INTERNAL_H

#include "api/remote_api.h"
#include "net/http.h"
#include "node/hub.h"
#include "node/journal.h"
#include "node/node.h"
#include "node/outbox.h"
#include "node/place.h"
#include "node/queue.h"
#include "node/servers.h"
#include "snapshot/entry.h"
#include "tree/stage.h"

enum job_outcome {
    JOB_SUCCEEDED,
    JOB_FAILED,
    JOB_CANCELLED,
};

enum {
    JOB_KINDS = JOB_UNDO + 1,
    JOB_OUTCOMES = JOB_CANCELLED + 1,
    ERROR_CODES = ERROR_CANCELLED + 1,
};

/* Since the node started. */
struct node_counts {
    _Atomic(uint64_t) ended[JOB_KINDS][JOB_OUTCOMES];
    _Atomic(uint64_t) failures[JOB_KINDS][ERROR_CODES];
    _Atomic(uint64_t) took_ms[JOB_KINDS];
    _Atomic(uint64_t) content_bytes[JOB_KINDS];
    _Atomic(uint64_t) archive_bytes;
};

/*
 * The parts of a node, and the verbs that use several of them.
 * Locks, outer first: accept, then a part's own.
 */
struct node {
    struct node_config config;
    struct journal *journal;
    struct places places;
    struct remote_api *remote;
    struct servers *servers;
    struct hub *hub;
    struct outbox *outbox;
    struct queue *queue;
    struct http_router *router;

    struct node_counts counts;
    _Atomic(unsigned) looking; /* requests that look into archives */
    _Atomic(unsigned) sending; /* files and directories out of archives */

    pthread_mutex_t accept; /* from looking for a duplicate until the job is in the queue */

    /* The threads of keeper.c and sweeper.c. */
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    bool is_connected, is_stopping;
    bool has_leftovers;       /* there may be trees to remove */
    bool has_reported;        /* a report left the outbox: the keeper may wait for it */
    pthread_mutex_t sweeping; /* one removes at a time */
    pthread_t keeper, sweeper;
    bool has_threads;
    struct cancel cancel;
};

/* Runs a job in a thread of the queue, to its report. */
unsigned job_run(struct job *job, void *context); /* as queue.h has it */

/* metrics.c: a job ended, with that error or none. */
void node_count_end(struct node *node, const struct job *job, const struct error *err,
                    uint64_t archive_bytes, int64_t took_ms);

/* backup_job.c: the archive of a live directory.  On 0 it is committed and `archive` filled in. */
int backup_run(struct node *node, struct job *job, struct journal_archive *archive,
               struct buf *capture, struct error *err);

/*
 * rules.c: those of a directory's .pteroignore, never NULL: a bad one is named in the log and has no effect.  And
 * those of a restore that leaves ignored paths alone, the caller's to free; NULL where there is none.
 */
struct ignore *rules_of_directory(struct node *node, const char *server, int root_fd);
int rules_of_restore(struct node *node, const struct job *job, const struct stage *stage,
                     int archive_fd, struct ignore *rules_out[MERGE_LEAVE_MAX], struct error *err);

/* restore_job.c: stage, verify, exchange.  On 0 the live directory is the restored one. */
int restore_run(struct node *node, struct job *job, struct error *err);

/*
 * restore_exchange.c: the instant.  0: the staged tree is live.  Any other end leaves the old one, but for
 * job->is_torn (the live directory is, or may be, a mix: it is settled later), and for CANCELLED, where the
 * next start finds out.
 */
int exchange_run(struct node *node, struct job *job, struct stage *stage, struct error *err);

/* CONFLICT where the job's live directory is not the server's any more. */
int exchange_check_place(struct node *node, const struct journal_job *record, struct error *err);

/*
 * Whether the exchange of such a job had happened; carries on with one that is half done.  -1: it still is, or nobody
 * can tell at the moment.
 */
int exchange_outcome(const struct journal_job *record, bool *is_done, struct error *err);

/* The same as a job of its own. */
int exchange_settle_job(struct node *node, struct job *job, struct error *err);

/* It had happened: what was replaced goes on record, and into its place.  CANCELLED: the journal fails in a stop. */
int exchange_done(struct node *node, struct job *job, struct error *err);

/*
 * What the job has left beside the live directory is kept where it is on record for that, else removed
 * later, so that neither a report nor a stop waits for it.
 */
void exchange_put_away(struct node *node, const struct journal_job *record);

/* undo_job.c: what the last restore replaced comes back, and is exchanged for what is live. */
int undo_run(struct node *node, struct job *job, struct error *err);

/*
 * kept.c: kept trees become leftovers: one's own, or if there is none at most so many of those beside it, the
 * oldest first; how many.
 */
unsigned kept_drop_for_room(struct node *node, const char *server, int parent_fd,
                            unsigned others_max, struct error *err);
void kept_drop_orphans(struct node *node); /* of servers that are not ours any more */

/*
 * recovery.c: what a crash left.  Restores are settled, backups put back into the queue, unfinished
 * files removed.
 */
int recover(struct node *node, struct error *err);

/* keeper.c, sweeper.c: threads, until node->is_stopping. */
void *keeper_run(void *node);
void *sweeper_run(void *node);
void sweeper_wake(struct node *node); /* there is a leftover, or a tree to be kept */
bool sweep(struct node *node);        /* remove what is left over, now; false: not all would go */
void keeper_wake(struct node *node);  /* a report left the outbox */

/* accept.c: orders.  0: accepted (or known already), durably. */
int accept_backup(struct node *node, const char *server, const char *backup, struct slice ignore,
                  struct error *err);
/* NOT_FOUND: no such archive.  CONFLICT: a restore of this server runs. */
struct node_restore_order;
int accept_restore(struct node *node, const char *server, const char *backup,
                   const struct node_restore_order *order, struct error *err);
/* NOT_FOUND: no such backup.  CONFLICT: it is being restored.  UNAVAILABLE: its job does not stop. */
/* NOT_FOUND: nothing is kept of this server.  CONFLICT: as above. */
int accept_undo(struct node *node, const char *server, const char *order_id, struct error *err);
/* Whether a restore or an undo of this server (NULL: of any) waits or runs. */
bool node_is_restoring(struct node *node, const char *server);
int accept_delete(struct node *node, const char *server, const char *backup, struct error *err);
int accept_delete_all(struct node *node, const char *server, struct error *err);

/*
 * cancel.c: on 0 the journal says that it is cancelled, and it will be reported as failed.  CONFLICT: there is none
 * (any more).  Of a backup that this node does not know at all it reports the same, and its order is void, should it
 * come.
 */
int cancel_backup(struct node *node, const char *server, const char *backup, struct error *err);
int cancel_restore(struct node *node, const char *server, struct error *err);
/* The end of such a job, which does not run (any more): no archive, and a report. */
int cancel_end(struct node *node, const struct journal_job *record, struct error *err);
/* A server that is not the node's any more.  UNAVAILABLE: a job of it does not stop. */
int cancel_server(struct node *node, const char *server, struct error *err);
/* Jobs of servers that the panel does not know (any more). */
void cancel_orphans(struct node *node);

/* events.c: what the panel took (or never will) goes to the browsers. */
void event_restore_begins(struct node *node, const struct job *job);
void event_delivered(const struct journal_report *report, void *context);

/* routes.c and routes_backup.c, routes_download.c */
struct http_router *routes_create(struct node *node);
void route_backup(const struct http_request *request, struct http_reply *reply, void *app);
void route_restore(const struct http_request *request, struct http_reply *reply, void *app);
void route_undo(const struct http_request *request, struct http_reply *reply, void *app);
void route_cancel(const struct http_request *request, struct http_reply *reply, void *app);
void route_cancel_restore(const struct http_request *request, struct http_reply *reply, void *app);
void route_delete_server(const struct http_request *request, struct http_reply *reply, void *app);
void route_delete(const struct http_request *request, struct http_reply *reply, void *app);
void route_delete_all(const struct http_request *request, struct http_reply *reply, void *app);
void route_files(const struct http_request *request, struct http_reply *reply, void *app);
void route_file_contents(const struct http_request *request, struct http_reply *reply, void *app);

/* routes_files.c: only a few look into archives at once; false: the reply is written. */
bool route_files_begin(struct node *node, const struct http_request *request,
                       struct http_reply *reply);
void route_files_end(struct node *node);
void route_files_fail(const struct http_request *request, struct http_reply *reply,
                      const struct error *err);

/* What the archive has under that path; `found` says what it is.  NOT_FOUND, CANCELLED, CORRUPT. */
int route_files_find(int fd, const struct entry *wanted, const struct cancel *cancel,
                     struct entry *found, struct error *err);
/* The content of that file, holes included. */
int route_files_copy(int fd, const struct entry *wanted, const struct cancel *cancel,
                     int (*write)(const void *bytes, size_t length, void *context,
                                  struct error *err),
                     void *context, struct error *err);

/* file_download.c: answers with that file, or directory, of the archive `fd` (borrowed). */
void file_download(struct node *node, const struct http_request *request, struct http_reply *reply,
                   int fd, struct slice path);

void route_download(const struct http_request *request, struct http_reply *reply, void *app);

/* False where the reply is written already: a wrong node token; a server that is not ours. */
bool route_is_allowed(struct node *node, const struct http_request *request,
                      struct http_reply *reply);
bool route_finds_server(struct node *node, const struct http_request *request,
                        struct http_reply *reply);
/* 500 or 503 with the contract's text; the reason goes to the log. */
void route_fails(const struct http_request *request, struct http_reply *reply,
                 const struct error *err);

#endif
