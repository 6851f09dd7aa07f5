/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_INTERNAL_H
#define PANEL_INTERNAL_H

#include <pthread.h>

#include "api/api_error.h"
#include "api/client_api.h"
#include "api/node_api.h"
#include "api/remote_api.h"
#include "db/backup.h"
#include "db/db.h"
#include "db/node.h"
#include "db/server.h"
#include "panel/auth.h"
#include "panel/begun.h"
#include "panel/keeper.h"
#include "panel/panel.h"
#include "panel/progress.h"
#include "panel/rate.h"
#include "panel/reader.h"
#include "panel/view.h"

/*
 * What the panel's files share.  A request goes through them so:
 *
 *     client_gate.c   the order of checks: who, how often, which server, in which state, may they
 *         reader.c    what one thread has read and need not read again
 *         auth.c      keys                     view.c   servers, as one user sees them
 *         rate.c      how often                page.c   lists, as they were answered
 *     client_*.c      one verb each: the rules, then the row, then the node
 *     remote_gate.c   which node
 *     remote_*.c      what nodes report
 *     keeper.c        what nobody asked for: dead leases, keys' last use
 *     settler.c       restores that nobody is at work on
 */
struct panel {
    struct db *db;
    struct panel_config config;
    struct http_router *client_router;
    struct http_router *remote_router;
    struct node_api *nodes;
    struct reader_set *readers;
    struct rate *rate; /* NULL: no limit */
    struct progress_board *progress;
    struct begun *begun;
    struct keeper *keeper;
    struct settler *settler;
    char *decoy_secret; /* sealed; what an unknown identifier is compared with */
    int64_t
        newest_id_at_start; /* backups up to here were ordered by an earlier life of the panel */
    int64_t
        leases_count_from_us; /* before, nodes could not say that they live: we were not there */
};

/* ---- client API ---- */

struct client_call {
    struct panel *panel;
    enum client_operation operation;
    const struct http_request *request;
    struct http_reply *reply;
    enum dialect dialect;
    int64_t now_us;
    struct reader *reader;
    struct auth *auth;       /* borrowed from the reader */
    const struct view *view; /* the server; likewise.  NULL where the route has none */
    struct backup backup;    /* as read before any transaction; id 0 where the route has none */
    json_t *body;            /* NULL: none */
    bool is_over_rate_limit;
};

typedef void client_perform(struct client_call *call);
client_perform client_servers, client_permissions, client_server, client_websocket,
    client_backup_list, client_backup_create, client_backup_view, client_backup_download,
    client_backup_lock, client_backup_unlock, client_backup_restore, client_restore_undo,
    client_restore_cancel, client_backup_cancel, client_backup_delete, client_files_list,
    client_files_contents, client_files_download;

void client_routes_add(struct panel *panel);

/* Answer with an error of the catalogue that has no arguments. */
void client_refuse(struct client_call *call, enum api_error error);
/* Our own failure: logged here, 500 (or 503, 507) to the client.  Clears `err`. */
void client_fail(struct client_call *call, struct error *err);
/* Ends a transaction: committed where `done` is 0 and nothing is refused, rolled back else.  `done`, or -1. */
int client_finish(struct db_session *session, int done, enum api_error refusal, struct error *err);
/* What the state of a server forbids to `operation`; API_ERROR_COUNT: nothing. */
enum api_error client_state_error(const struct server *server, bool is_node_in_maintenance,
                                  enum client_operation operation, bool is_root_admin);
/* Why a backup has nothing to read; API_ERROR_COUNT: it has. */
enum api_error client_download_error(const struct backup *backup);
/* The signed URL of the backup, or of that file of it (NULL: all).  400 where it gets longer than `max`. */
void client_answer_download(struct client_call *call, const char *file, size_t url_max_bytes);
void client_write_backup(struct json_writer *w, const struct backup *backup);

/* One entry in the activity log, by this call's user, inside the caller's transaction. */
struct client_event {
    const char *name;
    const struct backup *backup; /* its id and name; NULL: none */
    const char *flag;            /* a property that is true or false; NULL: none */
    bool flag_value;
};
int client_record(struct client_call *call, struct db_session *session,
                  const struct client_event *event, struct error *err);

/* ---- nodes, as the panel calls them ---- */

struct node_link {
    struct buf base_url;
    struct buf token;
};
#define NODE_LINK_INIT                                                                             \
    {                                                                                              \
        .base_url = BUF_INIT, .token = BUF_INIT                                                    \
    }
int node_link_open(struct panel *panel, struct db_session *session, int64_t node_id,
                   struct node_link *link, struct error *err);
void node_link_close(struct node_link *link);
struct node_address node_link_address(const struct node_link *link);
void node_base_url(struct buf *out, const char *scheme, const char *fqdn, uint16_t port);

/* The answer for an order that a node did not take. */
void client_refuse_outcome(struct client_call *call, const struct node_outcome *outcome);

/* ---- remote API ---- */

struct remote_call {
    struct panel *panel;
    const struct http_request *request;
    struct http_reply *reply;
    int64_t now_us;
    struct node node;
    json_t *body;
};

typedef void remote_perform(struct remote_call *call);
remote_perform remote_servers, remote_servers_reset, remote_server_one, remote_activity,
    remote_upload_urls, remote_backup_report, remote_restore_report, remote_undo_report,
    remote_backup_heartbeat;

void remote_routes_add(struct panel *panel);
void remote_refuse(struct remote_call *call, enum api_error error);
void remote_fail(struct remote_call *call, struct error *err);

/* A backup of this node and its server; API_ERROR_COUNT: found.  Both are the caller's to free. */
int remote_find_backup(struct remote_call *call, struct db_session *session, struct backup *backup,
                       struct server *server, enum api_error *error, struct error *err);

/* A server of this node, by its uuid: 1, the caller's to free; 0; or -1. */
int remote_find_server(struct remote_call *call, struct db_session *session, const char *text,
                       struct server *server, struct error *err);

/* ---- shared ---- */

/* Log what failed and answer 500, 503 or 507.  Clears `err`. */
void panel_fail(struct http_reply *reply, const struct http_request *request, enum dialect dialect,
                struct error *err);

/* Whether a backup that is being created still has somebody who cares for it. */
bool panel_lease_lives(const struct panel *panel, const struct backup *backup, int64_t now_us);

/*
 * A node has started and is at work on, or has yet to report, the backups of `meant` (a JSON array of
 * UUIDs) only: fail what else this panel believes to be created there, inside the caller's transaction.
 */
int panel_fail_forgotten(struct panel *panel, struct db_session *session, int64_t node_id,
                         const json_t *meant, int64_t now_us, struct error *err);

/* Fail what has a dead lease, inside the caller's transaction. */
/* settler.c: the server's restore, or undo of one, has failed; its rows are gone.  Its state is the caller's. */
struct restore_end {
    const char *reason, *ip; /* for people; who said so, or NULL */
    int64_t at_us;
};
int panel_end_restore(struct db_session *session, int64_t server_id, const struct restore_end *end,
                      struct error *err);

/* The thread that asks nodes about restores which have gone on for a while. */
struct settler *settler_start(struct panel *panel);
void settler_stop(struct settler *settler); /* NULL is fine */

int panel_fail_dead(struct panel *panel, struct db_session *session, int64_t now_us,
                    struct error *err);

/* {"name":…} and, where `flag` is not NULL, {flag: value}. */
void panel_properties(struct buf *out, const char *name, const char *flag, bool value);

#endif
