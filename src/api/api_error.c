/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of errors, and their envelope.  Every error that the panel answers is a row here:
 * status, then exception name and text, in classic and in extended.
 */
#include "api/api_error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"

struct wording {
    const char *code;
    const char *detail; /* %s and %d only */
};

struct entry {
    unsigned status;
    struct wording wordings[DIALECT_EXTENDED + 1];
};

/* clang-format off */
#define BOTH(code, detail) {{code, detail}, {code, detail}}
#define CODES(classic, extended, detail) {{classic, detail}, {extended, detail}}

#define BAD_REQUEST "BadRequestHttpException"
#define DENIED "AccessDeniedHttpException"
#define NOT_FOUND "NotFoundHttpException"
#define STATE "ServerStateConflictException"
#define STATE_EXTENDED "ConflictingServerStateException"
#define DAEMON "DaemonConnectionException"
#define NOT_RESTORABLE "This backup cannot be restored at this time: not completed or failed."
#define INSTALLING "This server has not yet completed its installation process, please try again later."

static const struct entry entries[API_ERROR_COUNT] = {
    [API_ERROR_MALFORMED_JSON] = {400, BOTH(BAD_REQUEST,
        "The JSON data passed in the request appears to be malformed: %s")},
    [API_ERROR_TWO_FACTOR] = {400, BOTH("TwoFactorAuthRequiredException",
        "Two-factor authentication is required on this account in order to access this endpoint.")},
    [API_ERROR_UNAUTHENTICATED] = {401, CODES("AuthenticationException", "InvalidCredentialsException",
        "Unauthenticated.")},
    [API_ERROR_FORBIDDEN] = {403, CODES(DENIED, "InsufficientPermissionsException",
        "This action is unauthorized.")},
    [API_ERROR_APPLICATION_KEY] = {403, BOTH(DENIED,
        "You are attempting to use an application API key on an endpoint that requires a client API key.")},
    [API_ERROR_IP_DENIED] = {403, BOTH(DENIED,
        "This IP address (%s) does not have permission to access the API using these credentials.")},
    [API_ERROR_NOT_FOUND] = {404, BOTH(NOT_FOUND,
        "The requested resource could not be found on the server.")},
    [API_ERROR_NOT_ON_SERVER] = {404, BOTH(NOT_FOUND,
        "The requested resource does not exist on this server.")},
    [API_ERROR_NOT_FOR_SERVER] = {404, BOTH(NOT_FOUND,
        "The requested resource was not found for this server.")},
    [API_ERROR_METHOD] = {405, BOTH("MethodNotAllowedHttpException",
        "The requested method is not supported for this resource.")},
    [API_ERROR_SERVER_SUSPENDED] = {409, CODES(STATE, STATE_EXTENDED,
        "This server is currently suspended and the functionality requested is unavailable.")},
    [API_ERROR_NODE_MAINTENANCE] = {409, CODES(STATE, STATE_EXTENDED,
        "The node of this server is currently under maintenance and the functionality requested is unavailable.")},
    [API_ERROR_SERVER_INSTALLING] = {409, CODES(STATE, STATE_EXTENDED, INSTALLING)},
    [API_ERROR_RESTORE_INSTALLING] = {409, {
        {STATE, INSTALLING},
        {STATE_EXTENDED, "Cannot restore backup while server is installing."}}},
    [API_ERROR_SERVER_RESTORING] = {409, CODES(STATE, STATE_EXTENDED,
        "This server is currently restoring from a backup, please try again later.")},
    [API_ERROR_SERVER_TRANSFERRING] = {409, CODES(STATE, STATE_EXTENDED,
        "This server is currently being transferred to a new machine, please try again later.")},
    [API_ERROR_BACKUP_RUNNING] = {409, CODES(STATE, STATE_EXTENDED,
        "Cannot create backup while another backup is in progress.")},
    [API_ERROR_DELETE_RUNNING] = {409, CODES(STATE, STATE_EXTENDED,
        "Cannot delete backup while it is being created.")},
    [API_ERROR_BACKUP_DELETING] = {409, CODES(STATE, STATE_EXTENDED,
        "This backup is being deleted.")},
    [API_ERROR_TOO_LARGE] = {413, BOTH("PostTooLargeException",
        "The body of the request is larger than this endpoint accepts.")},
    [API_ERROR_HEAD_TOO_LARGE] = {431, BOTH("HttpException",
        "The head of the request is larger than this server accepts.")},
    [API_ERROR_RATE_LIMIT] = {429, BOTH("ThrottleRequestsException",
        "Too Many Attempts.")},
    [API_ERROR_BACKUP_THROTTLE] = {429, BOTH("TooManyRequestsHttpException",
        "Only %d backups may be generated within a %d second span of time.")},
    [API_ERROR_TOO_MANY_BACKUPS] = {400, {
        {"TooManyBackupsException",
         "Cannot create a new backup, this server has reached its limit of %d backups."},
        {"TooManyBackupsException", "This server has reached its backup limit."}}},
    [API_ERROR_UNKNOWN_DISK] = {400, BOTH(BAD_REQUEST,
        "The backup requested references an unknown disk driver type and cannot be downloaded.")},
    [API_ERROR_DOWNLOAD_NOT_COMPLETED] = {400, BOTH("BackupNotCompletedException",
        "This backup has not completed yet and cannot be downloaded.")},
    [API_ERROR_DOWNLOAD_FAILED] = {400, BOTH("BackupFailedException",
        "This backup failed and cannot be downloaded.")},
    [API_ERROR_RESTORE_NOT_COMPLETED] = {400, {
        {BAD_REQUEST, NOT_RESTORABLE},
        {"BackupNotCompletedException", "This backup has not completed yet and cannot be restored."}}},
    [API_ERROR_RESTORE_FAILED] = {400, {
        {BAD_REQUEST, NOT_RESTORABLE},
        {"BackupFailedException", "This backup failed and cannot be restored."}}},
    [API_ERROR_NO_UNDO] = {404, BOTH(NOT_FOUND,
        "There is no restore of this server that could be undone: nothing was kept of what it replaced, or its "
        "time is over.")},
    [API_ERROR_NO_UNDO_OF_FILES] = {404, BOTH(NOT_FOUND,
        "The last restore of this server was one of single files, of which nothing is kept, so it cannot be undone. "
        "Restore these files from another backup; back up before you restore files that are in none.")},
    [API_ERROR_RESTORE_STATE] = {400, BOTH(BAD_REQUEST,
        "This server is not currently in a state that allows for a backup to be restored.")},
    [API_ERROR_CANCEL_ENDED] = {400, BOTH(BAD_REQUEST,
        "This backup is not being created (any more), so there is nothing to cancel.")},
    [API_ERROR_CANCEL_NO_RESTORE] = {400, BOTH(BAD_REQUEST,
        "This server is not being restored, so there is nothing to cancel.")},
    [API_ERROR_CANCEL_LATE] = {409, CODES(STATE, STATE_EXTENDED,
        "This restore cannot be cancelled any more: its files are being put in place, or it has just ended.")},
    [API_ERROR_CANCEL_UNKNOWN] = {400, BOTH(BAD_REQUEST,
        "The node of this server cannot cancel what it has begun.")},
    [API_ERROR_BACKUP_LOCKED] = {400, {
        {"BackupLockedException", "Cannot delete a backup that is marked as locked."},
        {"BackupIsLockedException", "This backup is locked and cannot be deleted."}}},
    [API_ERROR_NO_SPACE] = {507, BOTH("InsufficientStorageException",
        "Not enough storage space available for backup.")},
    [API_ERROR_NODE_UNREACHABLE] = {504, BOTH(DAEMON,
        "Could not establish a connection to the machine running this server. Please try again.")},
    [API_ERROR_NODE_REFUSED] = {400, BOTH(DAEMON,
        "An error occurred on the remote host: %s. (request id: %s)")},
    [API_ERROR_NODE_FAILED] = {502, BOTH(DAEMON,
        "There was an error while communicating with the machine running this server. "
        "This error has been logged, please try again. (code: %d) (request_id: %s)")},
    [API_ERROR_INTERNAL] = {500, BOTH("HttpException",
        "An unexpected error was encountered while processing this request, please try again.")},
    [API_ERROR_BUSY] = {503, BOTH("ServiceUnavailableHttpException",
        "The server is busy, please try again in a moment.")},
    [API_ERROR_REMOTE_NO_TOKEN] = {401, BOTH("HttpException",
        "Access to this endpoint must include an Authorization header.")},
    [API_ERROR_REMOTE_BAD_TOKEN] = {400, BOTH(BAD_REQUEST,
        "The Authorization header provided was not in a valid format.")},
    [API_ERROR_REMOTE_DENIED] = {403, BOTH(DENIED,
        "You are not authorized to access this resource.")},
    [API_ERROR_REMOTE_NOT_YOURS] = {403, BOTH("HttpForbiddenException",
        "You do not have permission to access that backup.")},
    [API_ERROR_REMOTE_NO_SIZE] = {400, BOTH(BAD_REQUEST,
        "A non-empty \"size\" query parameter must be provided.")},
    [API_ERROR_REMOTE_COMPLETED] = {409, BOTH("ConflictHttpException",
        "This backup is already in a completed state.")},
    [API_ERROR_REMOTE_NOT_S3] = {400, BOTH(BAD_REQUEST,
        "The configured backup adapter is not an S3 compatible adapter.")},
    [API_ERROR_REMOTE_ALREADY] = {400, BOTH(BAD_REQUEST,
        "Cannot update the status of a backup that is already marked as completed.")},
    [API_ERROR_REMOTE_NO_UPLOAD] = {400, BOTH("DisplayException",
        "Cannot complete backup request: no upload_id present on model.")},
    [API_ERROR_BAD_REQUEST] = {400, BOTH(BAD_REQUEST, "%s")},
};
/* clang-format on */

static const struct entry *find(enum api_error error)
{
    assert(error < API_ERROR_COUNT && entries[error].status != 0);
    return &entries[error];
}

/* The catalogue's texts know %s and %d; a printf whose format is no literal would go unchecked. */
static void expand(struct buf *out, const char *detail, va_list *args)
{
    for (const char *c = detail; *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 's') {
            buf_add_str(out, va_arg(*args, const char *));
            c++;
        } else if (c[0] == '%' && c[1] == 'd') {
            buf_printf(out, "%d", va_arg(*args, int));
            c++;
        } else {
            buf_add_char(out, *c);
        }
    }
}

static void put_error(struct json_writer *w, const char *code, unsigned status, const char *detail)
{
    char status_text[12];
    snprintf(status_text, sizeof(status_text), "%u", status);
    json_field_string(w, "code", code);
    json_field_string(w, "status", status_text);
    json_field_string(w, "detail", detail);
}

static void reply_with(struct http_reply *reply, const struct wording *wording, unsigned status,
                       va_list *args)
{
    scope_buf struct buf detail = BUF_INIT;
    expand(&detail, wording->detail, args);
    http_reply_status(reply, status);
    buf_clear(http_reply_body(reply));
    struct json_writer w = json_writer_to(http_reply_body(reply));
    json_begin_object(&w);
    json_key(&w, "errors");
    json_begin_array(&w);
    json_begin_object(&w);
    put_error(&w, wording->code, status, detail.data);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
}

void api_error_reply(struct http_reply *reply, enum dialect dialect, enum api_error error, ...)
{
    const struct entry *entry = find(error);
    va_list args;
    va_start(args, error);
    reply_with(reply, &entry->wordings[dialect], entry->status, &args);
    va_end(args);
    if (error == API_ERROR_REMOTE_NO_TOKEN)
        http_reply_header(reply, "WWW-Authenticate", "Bearer");
}

void api_error_reply_status(struct http_reply *reply, enum dialect dialect, unsigned status,
                            enum api_error error, ...)
{
    va_list args;
    va_start(args, error);
    reply_with(reply, &find(error)->wordings[dialect], status, &args);
    va_end(args);
}

unsigned api_error_status(enum api_error error)
{
    return find(error)->status;
}

const char *api_error_code(enum api_error error, enum dialect dialect)
{
    return find(error)->wordings[dialect].code;
}

const char *api_error_detail(enum api_error error, enum dialect dialect)
{
    return find(error)->wordings[dialect].detail;
}

void api_violation_add(struct api_violations *violations, const char *field, const char *rule,
                       const char *format, ...)
{
    if (violations->count == API_VIOLATIONS_MAX)
        return;
    size_t at = violations->count++;
    snprintf(violations->items[at].field, sizeof(violations->items[at].field), "%s", field);
    violations->items[at].rule = rule;
    va_list args;
    va_start(args, format);
    vsnprintf(violations->items[at].detail, sizeof(violations->items[at].detail), format, args);
    va_end(args);
}

void api_violations_reply(struct http_reply *reply, const struct api_violations *violations)
{
    http_reply_status(reply, 422);
    buf_clear(http_reply_body(reply));
    struct json_writer w = json_writer_to(http_reply_body(reply));
    json_begin_object(&w);
    json_key(&w, "errors");
    json_begin_array(&w);
    for (size_t i = 0; i < violations->count; i++) {
        json_begin_object(&w);
        put_error(&w, "ValidationException", 422, violations->items[i].detail);
        json_key(&w, "meta");
        json_begin_object(&w);
        json_field_string(&w, "source_field", violations->items[i].field);
        json_field_string(&w, "rule", violations->items[i].rule);
        json_end_object(&w);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
}
