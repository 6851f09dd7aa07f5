/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_NODE_API_H
#define API_NODE_API_H

#include "api/files.h"
#include "base/json.h"
#include "base/uuid.h"
#include "net/client.h"
#include "net/http.h"

/*
 * The node API: what a panel commands its nodes (/api, "Authorization: Bearer <token>"), and what browsers
 * get straight from the node with a signed token: downloads and the websocket.
 * Errors on the wire: {"error":"…","request_id":"…"}.
 */
enum node_operation {
    NODE_OP_SYSTEM,                  /* GET    /api/system */
    NODE_OP_BACKUP,                  /* POST   /api/servers/{server}/backup */
    NODE_OP_RESTORE,                 /* POST   /api/servers/{server}/backup/{backup}/restore */
    NODE_OP_UNDO,                    /* POST   /api/servers/{server}/restore/undo: ours */
    NODE_OP_RESTORE_CANCEL,          /* POST   /api/servers/{server}/restore/cancel: ours */
    NODE_OP_BACKUP_CANCEL,           /* POST   /api/servers/{server}/backup/{backup}/cancel: ours */
    NODE_OP_BACKUP_DELETE,           /* DELETE /api/servers/{server}/backup/{backup} */
    NODE_OP_BACKUP_DELETE_ALL,       /* DELETE /api/servers/{server}/backup/delete-all */
    NODE_OP_BACKUP_DELETE_ALL_ALIAS, /* DELETE /api/servers/{server}/deleteAllBackups */
    NODE_OP_FILES,                   /* GET    …/backup/{backup}/files?directory=; ours */
    NODE_OP_FILE_CONTENTS,           /* GET    …/backup/{backup}/files/contents?file=; ours */
    NODE_OP_SERVER,                  /* GET    /api/servers/{server} */
    NODE_OP_SERVER_DELETE, /* DELETE /api/servers/{server}: it is not the node's any more */
    NODE_OP_SERVERS,       /* GET    /api/servers */
    NODE_OP_SYNC,          /* POST   /api/servers/{server}/sync */
    NODE_OP_DENY_TOKENS,   /* POST   /api/servers/{server}/ws/deny {"jtis":[…]} */
    NODE_OP_WEBSOCKET,     /* GET    /api/servers/{server}/ws (token in the first frame) */
    NODE_OP_DOWNLOAD,      /* GET    /download/backup?token= (token in the query) */
    NODE_OP_COUNT,
};
struct node_operation_form {
    enum http_method method;
    const char *pattern;
    bool needs_node_token; /* Bearer; else a signed token */
};
const struct node_operation_form *node_operation_form(enum node_operation operation);

enum node_adapter {
    NODE_ADAPTER_WINGS, /* "wings": local storage */
    NODE_ADAPTER_S3,    /* "s3" */
};

/* What a body may hold before it is read at all. */
enum {
    NODE_BODY_MAX_BYTES = 1024 * 1024, /* lists of patterns and paths, escaped in JSON */
    NODE_IGNORE_MAX_BYTES = 32 * 1024,
    NODE_URL_MAX_BYTES = 8 * 1024,
    NODE_JTI_MAX_BYTES = 128,
    NODE_JTIS_MAX = 1000,
    NODE_FILES_MAX = 5000, /* names in a page of a list */
    NODE_CONTENTS_MAX_BYTES = 4 << 20,
};

/* Scopes of signed tokens (JWT claim "scope"). */
#define NODE_SCOPE_DOWNLOAD "backup-download"
#define NODE_SCOPE_WEBSOCKET "websocket"

struct node_backup_order {
    enum node_adapter adapter;
    char backup[UUID_TEXT_BYTES];
    struct buf ignore; /* lines */
};
struct node_restore_order {
    enum node_adapter adapter;
    char id[UUID_TEXT_BYTES]; /* ours: sent twice, it is carried out once; "": it has none */
    bool truncate;
    struct selection *files; /* ours: only these; NULL: everything */
    bool leaves_ignored;     /* ours: what is ignored stays as it is live */
    struct buf ignore;       /* lines, for that; empty: those of .pteroignore */
    struct buf download_url;
    char checksum
        [160]; /* ours, optional: "type:hex" that the panel knows; "" where it does not say */
};

/* What the node answers, word for word. */
#define NODE_ERROR_NO_TOKEN "The required authorization heads were not present in the request."
#define NODE_ERROR_BAD_TOKEN "You are not authorized to access this endpoint."
#define NODE_ERROR_NO_SERVER "The requested resource does not exist on this instance."
#define NODE_ERROR_NO_BACKUP "The requested backup was not found on this server."
#define NODE_ERROR_NO_KEPT "There is no restore of this server that could be undone (any more)."
#define NODE_ERROR_NO_BACKUP_JOB "No backup of this name waits or is being made (any more)."
#define NODE_ERROR_NO_RESTORE_JOB                                                                  \
    "There is no restore of this server that could be cancelled (any more)."
#define NODE_ERROR_NO_DOWNLOAD "The requested resource was not found on this server."
#define NODE_ERROR_UNPARSABLE                                                                      \
    "The data passed in the request was not in a parsable format. Please try again."
#define NODE_ERROR_UNEXPECTED "An unexpected error was encountered while processing this request"
#define NODE_ERROR_BAD_UUID "The backup identifier must be a valid UUID."
#define NODE_ERROR_ADAPTER "The backup adapter must be one of wings, s3."
#define NODE_ERROR_NO_URL "The download_url field is required when the backup adapter is set to S3."
#define NODE_ERROR_NO_OBJECT_STORAGE "Object storage is not configured on this node."
#define NODE_ERROR_NO_SPACE "There is not enough space on this node for the backup."
#define NODE_ERROR_DELETE_ALL "Failed to delete backups."
#define NODE_ERROR_NO_FILE "The requested file was not found in this backup."
#define NODE_ERROR_NOT_A_FILE "The requested path is no regular file."
#define NODE_ERROR_FILE_TOO_LARGE "This file is too large to view."
#define NODE_ERROR_DOWNLOAD_TOKEN "The download token is missing, has expired or is not valid."

/* ---- the node's side ---- */

/* The error envelope; `detail` becomes "error". */
void node_api_error(const struct http_request *request, struct http_reply *reply, unsigned status,
                    const char *detail);

/*
 * Read a body: 0, or -1 with INVALID and the text that goes on the wire.  What was filled in is the
 * caller's to free in both cases.  Absent fields: no ignore list, truncate_directory false, all files.
 */
int node_api_parse_backup(struct slice body, struct node_backup_order *order, struct error *err);
int node_api_parse_restore(struct slice body, struct node_restore_order *order, struct error *err);
/* {"order":"<uuid>"}, or nothing. */
int node_api_parse_undo(struct slice body, char id[UUID_TEXT_BYTES], struct error *err);
int node_api_parse_jtis(struct slice body,
                        int (*visit)(const char *jti, void *context, struct error *err),
                        void *context, struct error *err);

/* The same.  False: a 400 was written into the reply. */
bool node_api_read_backup(const struct http_request *request, struct http_reply *reply,
                          struct node_backup_order *order);
bool node_api_read_restore(const struct http_request *request, struct http_reply *reply,
                           struct node_restore_order *order);
void node_backup_order_free(struct node_backup_order *order);
void node_restore_order_free(struct node_restore_order *order);

/* ---- the panel's side ---- */
struct node_api; /* thread-safe; any number of nodes */
struct node_api *node_api_create(const char *ca_file);
void node_api_free(struct node_api *api);

struct node_address {
    const char *base_url; /* "http://127.0.0.1:8080" */
    const char *token;
};

/* What came of an order, for the panel's table of daemon errors. */
struct node_outcome {
    unsigned status;       /* 0: no answer */
    bool may_have_arrived; /* no answer, but a connection stood: the order may be carried out */
    char error[300];       /* the node's "error", or why there is no answer */
    char request_id[64];
};

/* True where the node answered 2xx (for delete, delete_server: or 404). */
bool node_api_backup(struct node_api *api, const struct node_address *node, const char *server,
                     const struct node_backup_order *order, struct node_outcome *outcome);
bool node_api_restore(struct node_api *api, const struct node_address *node, const char *server,
                      const char *backup, const struct node_restore_order *order,
                      struct node_outcome *outcome);
/*
 * A page of the names in a directory: {"entries":[…],"total":…,"truncated":…}, the caller's to json_decref();
 * NULL: refused.  "total" counts all of them; "truncated": there are some behind this page.
 */
struct node_files_query {
    const char *backup, *directory;
    int64_t page, per_page;
};
json_t *node_api_files(struct node_api *api, const struct node_address *node, const char *server,
                       const struct node_files_query *query, struct node_outcome *outcome);
/* Appends a file's bytes. */
bool node_api_file_contents(struct node_api *api, const struct node_address *node,
                            const char *server, const char *backup, const char *file,
                            struct buf *contents, struct node_outcome *outcome);
bool node_api_undo(struct node_api *api, const struct node_address *node, const char *server,
                   const char *order_id, struct node_outcome *outcome);
/*
 * Whether the node is at work on a restore of the server, or an undo, or has yet to report its end.  1, 0; -1 where
 * it does not say: no answer, or one of a node that is no Roost.
 */
int node_api_is_restoring(struct node_api *api, const struct node_address *node, const char *server,
                          struct node_outcome *outcome);
bool node_api_delete(struct node_api *api, const struct node_address *node, const char *server,
                     const char *backup, struct node_outcome *outcome);
/*
 * Cancel a backup that waits or is made; a restore, or an undo, that has not begun to exchange.  On true it will end
 * as failed, whatever happens to the node.  409: there is none (any more); nodes that are no Roost know no such order.
 */
bool node_api_cancel_backup(struct node_api *api, const struct node_address *node,
                            const char *server, const char *backup, struct node_outcome *outcome);
bool node_api_cancel_restore(struct node_api *api, const struct node_address *node,
                             const char *server, struct node_outcome *outcome);
/*
 * The server is not the node's any more: its jobs end, and its archives go where the node is configured so.  The
 * node is asked first, and told nothing unless it has NODE_FEATURE_DELETE_SERVER: Wings removes the server's directory.
 */
bool node_api_delete_server(struct node_api *api, const struct node_address *node,
                            const char *server, struct node_outcome *outcome);
/*
 * GET /api/system: reachability, for doctor; and what the node can do beyond Wings ("features": […]).
 * `features` may be NULL; it gets bits of enum node_feature.
 */
enum node_feature {
    NODE_FEATURE_FILES = 1 << 0, /* "files": lists, contents and restores of single files */
    NODE_FEATURE_LEAVE_IGNORED =
        1 << 1, /* "leave_ignored": restores that leave ignored paths alone */
    NODE_FEATURE_DELETE_SERVER = 1 << 2, /* "delete_server": the server's directory stays */
    NODE_FEATURES_END = 1 << 3,
};
bool node_api_system(struct node_api *api, const struct node_address *node, unsigned *features,
                     struct node_outcome *outcome);
const char *node_feature_name(enum node_feature feature);

/* Appends a signed download token, or a websocket token, for `GET …/download` and `…/websocket`. */
struct node_token_grant {
    const char *issuer;   /* the panel's URL */
    const char *audience; /* the node's URL */
    const char *token;    /* the node's secret: the HMAC key */
    const char *server_uuid;
    const char *backup_uuid; /* downloads only */
    const char *file;        /* downloads: only this path of it; NULL: the archive */
    const char *user_uuid;
    int64_t user_id;
    const char *const *permissions; /* websockets only; ended by NULL */
    int64_t now_s;
    int64_t lifetime_s;
};
void node_api_sign_download(struct buf *out, const struct node_token_grant *grant);
void node_api_sign_websocket(struct buf *out, const struct node_token_grant *grant);

#endif
