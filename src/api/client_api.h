/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_CLIENT_API_H
#define API_CLIENT_API_H

#include "api/api_error.h"
#include "api/dialect.h"
#include "api/files.h"
#include "base/json.h"
#include "base/uuid.h"
#include "net/client.h"
#include "net/http.h"

/*
 * The client API: what players' tools say to the panel.  Both ends of the
 * conversation are declared here; the panel uses the first half, `roost backup` the second.
 *
 *     caller                             panel
 *       | POST …/backups                   |
 *       |--------------------------------->|  row committed, node told
 *       |<---------------- 200, the object |
 *       | GET …/backups/{b}   (poll)       |
 *       |--------------------------------->|
 *       |<---- completed_at: null … a time |
 */
enum client_operation {
    CLIENT_OP_SERVERS,       /* GET  /api/client */
    CLIENT_OP_PERMISSIONS,   /* GET  /api/client/permissions */
    CLIENT_OP_SERVER,        /* GET  /api/client/servers/{server} */
    CLIENT_OP_WEBSOCKET,     /* GET  …/websocket */
    CLIENT_OP_BACKUP_LIST,   /* GET  …/backups */
    CLIENT_OP_BACKUP_CREATE, /* POST …/backups */
    CLIENT_OP_BACKUP_VIEW,   /* GET  …/backups/{backup} */
    CLIENT_OP_BACKUP_DOWNLOAD,
    CLIENT_OP_BACKUP_LOCK,   /* toggles */
    CLIENT_OP_BACKUP_UNLOCK, /* idempotent */
    CLIENT_OP_BACKUP_RESTORE,
    CLIENT_OP_RESTORE_UNDO,   /* POST …/backups/restore/undo: ours */
    CLIENT_OP_RESTORE_CANCEL, /* POST …/backups/restore/cancel: ours */
    CLIENT_OP_BACKUP_CANCEL,  /* POST …/backups/{backup}/cancel: ours */
    CLIENT_OP_BACKUP_DELETE,
    CLIENT_OP_FILES_LIST, /* GET …/backups/{backup}/files/list?directory=; these three are ours */
    CLIENT_OP_FILES_CONTENTS, /* GET …/backups/{backup}/files/contents?file= */
    CLIENT_OP_FILES_DOWNLOAD, /* GET …/backups/{backup}/files/download?file= */
    CLIENT_OP_COUNT,
};

struct client_operation_form {
    enum http_method method;
    const char *pattern;
    const char *permission; /* what a subuser needs; NULL: being let in is enough */
    bool has_backup;        /* the pattern has {backup} */
};
const struct client_operation_form *client_operation_form(enum client_operation operation);

/* ---- the panel's side: reading requests, writing answers ---- */

/*
 * Bodies may be JSON, a form (values are then texts), absent, or JSON null or [] (then `*body` is NULL).
 * `*body` is the caller's to json_decref().  A content type that is neither is read as JSON
 * where the body begins with '{', and as absent otherwise.  INVALID: malformed JSON or form,
 * JSON that is no object, or a multipart form.
 */
int client_api_read_body(const struct http_request *request, json_t **body, struct error *err);

/* The same of bytes; `content_type` may be NULL. */
int client_api_parse_body(const char *content_type, struct slice bytes, json_t **body,
                          struct error *err);

enum {
    CLIENT_NAME_MAX_CHARACTERS = 191,
    CLIENT_IGNORED_MAX_BYTES = 32 * 1024,
};

struct client_create {
    struct buf name; /* trimmed; empty: none was given */
    struct buf
        ignored; /* patterns, one a line: from lines, commas in a single line ("\," is a comma), or an array */
    bool is_locked;
};
/* Fills `violations` where the body is wrong.  `body` may be NULL. */
void client_api_read_create(const json_t *body, struct client_create *create,
                            struct api_violations *violations);
void client_create_free(struct client_create *create);

struct client_restore {
    bool truncate;           /* true where the body does not say */
    struct selection *files; /* ours: only these; NULL: everything */
    bool leaves_ignored;     /* ours: "leave_ignored" */
    bool has_ignored;        /* "ignored" stands for the backup's list, be it empty */
    struct buf ignored;      /* as in client_create */
};
void client_api_read_restore(const json_t *body, struct client_restore *restore,
                             struct api_violations *violations);
void client_restore_free(struct client_restore *restore);

/* page and per_page: default 20, at most 50; what is not a positive number counts as absent. */
struct client_page {
    int64_t page, per_page;
};
void client_api_read_page(const struct http_request *request, struct client_page *page);
void client_api_read_files_page(const struct http_request *request, struct client_page *page);

/* The same of the parameters' texts; each may be NULL. */
void client_api_parse_page(const char *page_text, const char *per_page_text,
                           struct client_page *page);

/* A backup on the wire; strings are borrowed. */
/* "progress": {"phase": "waiting" or "archiving", "files": …, "bytes": …, …}; 0 of the last three is null. */
struct client_progress {
    bool is_waiting;
    bool has_eta;
    uint64_t entries;
    uint64_t content_bytes;
    uint64_t expected_bytes;
    uint64_t bytes_per_second;
    uint64_t eta_seconds; /* null without has_eta */
};

struct client_backup {
    const char *uuid;
    const char *name;
    const char *ignored_files; /* JSON array of texts */
    const char *checksum;      /* "type:hex" or NULL */
    uint64_t bytes;
    int64_t created_at_us;
    int64_t completed_at_us; /* 0: null */
    bool is_successful;
    bool is_locked;

    bool has_progress; /* ours, of one that is being created, where its node has said */
    struct client_progress progress;
};
void client_api_write_backup(struct json_writer *w, const struct client_backup *backup);

struct client_pagination {
    int64_t total, count;
    struct client_page page;
    const char *base_url; /* of the links: "https://panel/api/client/…" */
    const char *query;    /* of theirs, besides the page: "directory=a&"; NULL: none */
};
/* "pagination": {…}, inside an open "meta" object. */
void client_api_write_pagination(struct json_writer *w, const struct client_pagination *pagination);

struct client_server {
    int64_t id;
    const char *uuid, *uuid_short, *name, *description, *node_name;
    const char *status; /* NULL: null */
    const char *node_fqdn;
    bool is_owner, is_node_under_maintenance, is_transferring;
    int64_t memory_mib, swap_mib, disk_mib, io_weight, cpu_percent;
    int64_t backup_limit;
    const struct client_last_restore *last_restore; /* NULL: not told; ours, see below */
};

/*
 * How the server's last restore, or the undo of one, ended:
 * {"backup":…,"is_undo":…,"is_successful":…,"completed_at":…,"error":…,"kept_until":…}, or null where none
 * ended since one began.  kept_until: until when what was live before can be brought back; null: it
 * cannot.  Pterodactyl's own clients cannot tell; `status` alone does not say.
 */
struct client_last_restore {
    const char *backup; /* NULL: null */
    bool is_undo, is_successful;
    int64_t completed_at_us;
    const char *error;     /* NULL: null */
    int64_t kept_until_us; /* 0: null */
};
void client_api_write_server(struct json_writer *w, const struct client_server *server);
/* The whole answer of GET server; `permissions` ("*" for all) ends with NULL. */
void client_api_write_server_answer(struct json_writer *w, const struct client_server *server,
                                    const char *const *permissions);
void client_api_write_permissions(struct json_writer *w); /* the whole answer of GET permissions */
/*
 * A page of a node's list of a backup's files (node_api.h) as Pterodactyl's file API has it.  What the list tells is
 * set in `pagination`; a node that does not tell how many there are in all has no pages.
 */
void client_api_write_files(struct json_writer *w, const json_t *list,
                            struct client_pagination *pagination);
void client_api_write_signed_url(struct json_writer *w, const char *url);
void client_api_write_websocket(struct json_writer *w, const char *token, const char *socket_url);

/* ---- the caller's side ---- */

struct client_api; /* a panel, a key; one thread at a time */

/* `url`: "http://127.0.0.1:8080"; `key`: ptlc_…; `ca_file` may be NULL. */
struct client_api *client_api_create(const char *url, const char *key, const char *ca_file);
void client_api_free(struct client_api *api);

/* What the panel said of a backup; owned. */
struct client_backup_view {
    char uuid[UUID_TEXT_BYTES];
    char *name;
    char *checksum;                  /* NULL while it is created */
    char *created_at, *completed_at; /* as sent; NULL: null */
    uint64_t bytes;
    uint64_t progress_bytes, progress_expected_bytes; /* while it is created; 0: not known */
    bool is_successful, is_locked;
    json_t *attributes; /* all of it, for --json */
};
void client_backup_view_free(struct client_backup_view *view);
bool client_backup_is_running(const struct client_backup_view *view);

/*
 * Calls.  An error that the panel answers becomes: 401, 403 DENIED; 404 NOT_FOUND; 409 and 400 CONFLICT; 422 INVALID;
 * 429, 502, 503, 504 UNAVAILABLE; 507 NO_SPACE; the text is the answer's detail.  UNAVAILABLE too where there
 * is no answer.
 */
int client_api_backup_create(struct client_api *api, const char *server, const char *name,
                             const char *ignored, bool is_locked, struct client_backup_view *view,
                             struct error *err);
int client_api_backup_view(struct client_api *api, const char *server, const char *backup,
                           struct client_backup_view *view, struct error *err);
/* One page; returns the JSON answer, the caller's to json_decref(). */
json_t *client_api_backup_list(struct client_api *api, const char *server, int64_t page,
                               int64_t per_page, struct error *err);
int client_api_backup_restore(struct client_api *api, const char *server, const char *backup,
                              const struct client_restore *restore, struct error *err);
int client_api_restore_undo(struct client_api *api, const char *server, struct error *err);
int client_api_restore_cancel(struct client_api *api, const char *server, struct error *err);
int client_api_backup_toggle_lock(struct client_api *api, const char *server, const char *backup,
                                  struct error *err);
int client_api_backup_unlock(struct client_api *api, const char *server, const char *backup,
                             struct error *err);
int client_api_backup_delete(struct client_api *api, const char *server, const char *backup,
                             struct error *err);
int client_api_backup_cancel(struct client_api *api, const char *server, const char *backup,
                             struct error *err);
/* Appends the signed URL. */
int client_api_backup_download(struct client_api *api, const char *server, const char *backup,
                               struct buf *url, struct error *err);
/* A directory of a backup; the JSON answer, the caller's to json_decref(). */
json_t *client_api_files_list(struct client_api *api, const char *server, const char *backup,
                              const char *directory, int64_t page, struct error *err);
/* Appends the bytes of a file; and the signed URL of a file or directory. */
int client_api_file_contents(struct client_api *api, const char *server, const char *backup,
                             const char *file, struct buf *contents, struct error *err);
int client_api_file_download(struct client_api *api, const char *server, const char *backup,
                             const char *file, struct buf *url, struct error *err);
json_t *client_api_server(struct client_api *api, const char *server, struct error *err);
json_t *client_api_servers(struct client_api *api, int64_t page, struct error *err);

#endif
