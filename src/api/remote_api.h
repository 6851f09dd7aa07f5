/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_REMOTE_API_H
#define API_REMOTE_API_H

#include "api/api_error.h"
#include "base/json.h"
#include "base/uuid.h"
#include "net/client.h"
#include "net/http.h"

/*
 * The remote API: what a node says to its panel (/api/remote), with
 * "Authorization: Bearer <token id>.<token>".  An unmodified Wings can speak the node's half, and our
 * node's half works against an unmodified panel.
 */
enum remote_operation {
    REMOTE_OP_SERVERS,        /* GET  /api/remote/servers?page&per_page */
    REMOTE_OP_SERVERS_RESET,  /* POST /api/remote/servers/reset */
    REMOTE_OP_SERVER,         /* GET  /api/remote/servers/{server} */
    REMOTE_OP_ACTIVITY,       /* POST /api/remote/activity */
    REMOTE_OP_UPLOAD_URLS,    /* GET  /api/remote/backups/{backup}?size= */
    REMOTE_OP_BACKUP_REPORT,  /* POST /api/remote/backups/{backup} */
    REMOTE_OP_RESTORE_REPORT, /* POST /api/remote/backups/{backup}/restore */
    REMOTE_OP_UNDO_REPORT,    /* POST /api/remote/servers/{server}/restore/undo: ours */
    REMOTE_OP_BACKUP_HEARTBEAT, /* POST /api/remote/backups/{backup}/heartbeat: ours; extends the lease */
    REMOTE_OP_COUNT,
};
struct remote_operation_form {
    enum http_method method;
    const char *pattern;
};
const struct remote_operation_form *remote_operation_form(enum remote_operation operation);

/* A backup's end, as a node reports it. */
enum {
    REMOTE_PARTS_MAX = 10000
};
struct remote_report {
    bool is_successful;
    char checksum[129]; /* hex; "" on failure */
    char checksum_type[17];
    uint64_t size_bytes;
    /* parts are accepted and checked; they mean something once object storage exists */
    size_t part_count;
};

/* How far a backup is, as a heartbeat says. */
struct remote_progress {
    bool is_waiting; /* for its turn */
    uint64_t entries;
    uint64_t content_bytes;
    uint64_t expected_bytes; /* 0: not known */
};

/* ---- the panel's side ---- */
/* What the body does not say, or says in other types, is 0 or false.  `body` may be NULL. */
void remote_api_read_progress(const json_t *body, struct remote_progress *progress);
void remote_api_read_report(const json_t *body, struct remote_report *report,
                            struct api_violations *violations);
/*
 * The end of a restore, or of an undo: {"successful":true,"error":…,"kept_until":"…","backup":"…"}.  All but the
 * first are ours: why it failed, until when an undo is possible, and (of an undo) whose restore it undid.
 */
struct remote_restore_report {
    bool is_successful;
    char error[200];       /* ours: why not, for people; "" where the node does not say */
    int64_t kept_until_us; /* 0: not at all */
    char backup[UUID_TEXT_BYTES];
};
/* "successful" decides; a body without it counts as a failure, as upstream does not validate it. */
void remote_api_read_restore_report(const json_t *body, struct remote_restore_report *report);

/* One server of the boot list or alone: {"uuid":…,"settings":{…},"process_configuration":{…}}. */
struct remote_server {
    char uuid[UUID_TEXT_BYTES];
    char *name;
    bool is_suspended;
    int64_t disk_mib; /* 0: unlimited */
};
void remote_api_write_server(struct json_writer *w, const struct remote_server *server,
                             bool wants_uuid_outside);

/* ---- the node's side ---- */
struct remote_api; /* thread-safe */
struct remote_api *remote_api_create(const char *panel_url, const char *token_id, const char *token,
                                     const char *ca_file);
void remote_api_free(struct remote_api *api);

/* Every call, running or to come, ends with CANCELLED from now on. */
void remote_api_stop(struct remote_api *api);

/*
 * 0: the panel took it (2xx).  Otherwise the error's code says what to do:
 *   UNAVAILABLE  no answer, 5xx, 429: send again later
 *   NOT_FOUND    404: perhaps too early, perhaps deleted
 *   CONFLICT     400, 409: the panel holds another final state
 *   DENIED       401, 403;  INVALID  422
 */
int remote_api_report_backup(struct remote_api *api, const char *backup,
                             const struct remote_report *report, struct error *err);
int remote_api_report_restore(struct remote_api *api, const char *backup,
                              const struct remote_restore_report *report, struct error *err);
int remote_api_report_undo(struct remote_api *api, const char *server,
                           const struct remote_restore_report *report, struct error *err);
int remote_api_heartbeat(struct remote_api *api, const char *backup,
                         const struct remote_progress *progress, struct error *err);

/*
 * The node has started.  `backups` are those that it is making or has yet to report: the body is
 * {"backups":["<uuid>",…]}, which upstream's panel does not read.  With it a panel knows which orders
 * a crash has swallowed.  NULL: there is no such list.
 */
enum {
    REMOTE_RESET_BACKUPS_MAX = 1000
};
int remote_api_reset_servers(struct remote_api *api, const char (*backups)[UUID_TEXT_BYTES],
                             size_t count, struct error *err);

/* Fetch one server (NOT_FOUND: not this node's), or every one, page by page. */
void remote_server_free(struct remote_server *server);
int remote_api_server(struct remote_api *api, const char *uuid, struct remote_server *server,
                      struct error *err);
int remote_api_each_server(struct remote_api *api,
                           int (*visit)(const struct remote_server *server, void *context,
                                        struct error *err),
                           void *context, struct error *err);

#endif
