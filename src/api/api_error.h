/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_API_ERROR_H
#define API_API_ERROR_H

#include "api/dialect.h"
#include "net/http.h"

/*
 * The catalogue of errors that the panel's two APIs answer: status, exception name and text, in
 * both dialects, in one table.  On the wire:
 *
 *     {"errors":[{"code":"NotFoundHttpException","status":"404","detail":"…"}]}
 */
enum api_error {
    API_ERROR_MALFORMED_JSON,      /* 400; %s: reason */
    API_ERROR_TWO_FACTOR,          /* 400 */
    API_ERROR_UNAUTHENTICATED,     /* 401 */
    API_ERROR_FORBIDDEN,           /* 403: permission */
    API_ERROR_APPLICATION_KEY,     /* 403 */
    API_ERROR_IP_DENIED,           /* 403; %s: address */
    API_ERROR_NOT_FOUND,           /* 404: no such server, backup, route */
    API_ERROR_NOT_ON_SERVER,       /* 404: the caller has no access to the server */
    API_ERROR_NOT_FOR_SERVER,      /* 404: another server's backup */
    API_ERROR_METHOD,              /* 405 */
    API_ERROR_SERVER_SUSPENDED,    /* 409, the state table */
    API_ERROR_NODE_MAINTENANCE,    /* 409 */
    API_ERROR_SERVER_INSTALLING,   /* 409 */
    API_ERROR_RESTORE_INSTALLING,  /* 409: the same where a restore is asked for */
    API_ERROR_SERVER_RESTORING,    /* 409 */
    API_ERROR_SERVER_TRANSFERRING, /* 409 */
    API_ERROR_BACKUP_RUNNING,      /* 409: create while another is in progress */
    API_ERROR_DELETE_RUNNING,      /* 409: delete one that is being created */
    API_ERROR_BACKUP_DELETING, /* 409: lock or restore one whose node is being asked to delete it */
    API_ERROR_TOO_LARGE,       /* 413 */
    API_ERROR_HEAD_TOO_LARGE,  /* 431 */
    API_ERROR_RATE_LIMIT,      /* 429 Too Many Attempts. */
    API_ERROR_BACKUP_THROTTLE, /* 429; %d backups, %d seconds */
    API_ERROR_TOO_MANY_BACKUPS, /* 400; %d limit */
    API_ERROR_UNKNOWN_DISK,     /* 400 */
    API_ERROR_DOWNLOAD_NOT_COMPLETED,
    API_ERROR_DOWNLOAD_FAILED, /* 400 */
    API_ERROR_RESTORE_NOT_COMPLETED,
    API_ERROR_RESTORE_FAILED,    /* 400 */
    API_ERROR_NO_UNDO,           /* 404: nothing was kept, or not any more */
    API_ERROR_NO_UNDO_OF_FILES,  /* 404: nothing is kept of a restore of single files */
    API_ERROR_RESTORE_STATE,     /* 400: the server's state does not allow it */
    API_ERROR_CANCEL_ENDED,      /* 400: a backup that is not being created */
    API_ERROR_CANCEL_NO_RESTORE, /* 400: the server is not being restored */
    API_ERROR_CANCEL_LATE,       /* 409: the restore is about to be live, or has ended */
    API_ERROR_CANCEL_UNKNOWN,    /* 400: its node is no Roost */
    API_ERROR_BACKUP_LOCKED,     /* 400 */
    API_ERROR_NO_SPACE,          /* 507 */
    API_ERROR_NODE_UNREACHABLE,  /* 504 */
    API_ERROR_NODE_REFUSED,      /* the node's 4xx; %s error, %s request id */
    API_ERROR_NODE_FAILED,       /* the node's 5xx, or 502; %d code, %s request id */
    API_ERROR_INTERNAL,          /* 500 */
    API_ERROR_BUSY,              /* 503 */
    /* the remote API */
    API_ERROR_REMOTE_NO_TOKEN,  /* 401 with WWW-Authenticate */
    API_ERROR_REMOTE_BAD_TOKEN, /* 400 */
    API_ERROR_REMOTE_DENIED,    /* 403: unknown id, wrong token */
    API_ERROR_REMOTE_NOT_YOURS, /* 403: another node's backup */
    API_ERROR_REMOTE_NO_SIZE,   /* 400 */
    API_ERROR_REMOTE_COMPLETED, /* 409: upload URLs */
    API_ERROR_REMOTE_NOT_S3,    /* 400 */
    API_ERROR_REMOTE_ALREADY,   /* 400: report on a completed one */
    API_ERROR_REMOTE_NO_UPLOAD, /* 400 */
    API_ERROR_BAD_REQUEST,      /* 400; %s: what */
    API_ERROR_COUNT,
};

/*
 * Fill the reply; what its body held is gone.  The arguments are those that the error's comment
 * above names: `const char *` for %s, `int` for %d.  A dialect's text may leave them out.
 */
void api_error_reply(struct http_reply *reply, enum dialect dialect, enum api_error error, ...);

/* The same with a status other than the catalogue's (the node's own). */
void api_error_reply_status(struct http_reply *reply, enum dialect dialect, unsigned status,
                            enum api_error error, ...);

unsigned api_error_status(enum api_error error);
const char *api_error_code(enum api_error error, enum dialect dialect);
const char *api_error_detail(enum api_error error, enum dialect dialect); /* with %s and %d in it */

/* What a body did wrong, rule by rule; becomes one 422 with an object for each. */
enum {
    API_VIOLATIONS_MAX = 16
};
struct api_violations {
    size_t count;
    struct {
        char field[64];
        const char *rule; /* "required", "boolean", "string", "max" … */
        char detail[200];
    } items[API_VIOLATIONS_MAX];
};
void api_violation_add(struct api_violations *violations, const char *field, const char *rule,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
void api_violations_reply(struct http_reply *reply, const struct api_violations *violations);

#endif
