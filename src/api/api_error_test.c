/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api_error.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/client.h"

/* What the documents say, row by row; NULL: as in classic. */
struct wanted {
    unsigned status;
    const char *code, *detail;
    const char *extended_code, *extended_detail;
};

/* clang-format off */
static const struct wanted wanted[API_ERROR_COUNT] = {
    [API_ERROR_MALFORMED_JSON] = {400, "BadRequestHttpException", "The JSON data passed in the request appears to be malformed: text",
        NULL, NULL},
    [API_ERROR_TWO_FACTOR] = {400, "TwoFactorAuthRequiredException", "Two-factor authentication is required on this account in order to access this endpoint.",
        NULL, NULL},
    [API_ERROR_UNAUTHENTICATED] = {401, "AuthenticationException", "Unauthenticated.",
        "InvalidCredentialsException", NULL},
    [API_ERROR_FORBIDDEN] = {403, "AccessDeniedHttpException", "This action is unauthorized.",
        "InsufficientPermissionsException", NULL},
    [API_ERROR_APPLICATION_KEY] = {403, "AccessDeniedHttpException", "You are attempting to use an application API key on an endpoint that requires a client API key.",
        NULL, NULL},
    [API_ERROR_IP_DENIED] = {403, "AccessDeniedHttpException", "This IP address (text) does not have permission to access the API using these credentials.",
        NULL, NULL},
    [API_ERROR_NOT_FOUND] = {404, "NotFoundHttpException", "The requested resource could not be found on the server.",
        NULL, NULL},
    [API_ERROR_NOT_ON_SERVER] = {404, "NotFoundHttpException", "The requested resource does not exist on this server.",
        NULL, NULL},
    [API_ERROR_NOT_FOR_SERVER] = {404, "NotFoundHttpException", "The requested resource was not found for this server.",
        NULL, NULL},
    [API_ERROR_METHOD] = {405, "MethodNotAllowedHttpException", "The requested method is not supported for this resource.",
        NULL, NULL},
    [API_ERROR_SERVER_SUSPENDED] = {409, "ServerStateConflictException", "This server is currently suspended and the functionality requested is unavailable.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_NODE_MAINTENANCE] = {409, "ServerStateConflictException", "The node of this server is currently under maintenance and the functionality requested is unavailable.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_SERVER_INSTALLING] = {409, "ServerStateConflictException", "This server has not yet completed its installation process, please try again later.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_RESTORE_INSTALLING] = {409, "ServerStateConflictException", "This server has not yet completed its installation process, please try again later.",
        "ConflictingServerStateException", "Cannot restore backup while server is installing."},
    [API_ERROR_SERVER_RESTORING] = {409, "ServerStateConflictException", "This server is currently restoring from a backup, please try again later.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_SERVER_TRANSFERRING] = {409, "ServerStateConflictException", "This server is currently being transferred to a new machine, please try again later.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_BACKUP_RUNNING] = {409, "ServerStateConflictException", "Cannot create backup while another backup is in progress.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_DELETE_RUNNING] = {409, "ServerStateConflictException", "Cannot delete backup while it is being created.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_BACKUP_DELETING] = {409, "ServerStateConflictException", "This backup is being deleted.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_TOO_LARGE] = {413, "PostTooLargeException", "The body of the request is larger than this endpoint accepts.",
        NULL, NULL},
    [API_ERROR_HEAD_TOO_LARGE] = {431, "HttpException", "The head of the request is larger than this server accepts.",
        NULL, NULL},
    [API_ERROR_RATE_LIMIT] = {429, "ThrottleRequestsException", "Too Many Attempts.",
        NULL, NULL},
    [API_ERROR_BACKUP_THROTTLE] = {429, "TooManyRequestsHttpException", "Only 2 backups may be generated within a 600 second span of time.",
        NULL, NULL},
    [API_ERROR_TOO_MANY_BACKUPS] = {400, "TooManyBackupsException", "Cannot create a new backup, this server has reached its limit of 2 backups.",
        NULL, "This server has reached its backup limit."},
    [API_ERROR_UNKNOWN_DISK] = {400, "BadRequestHttpException", "The backup requested references an unknown disk driver type and cannot be downloaded.",
        NULL, NULL},
    [API_ERROR_DOWNLOAD_NOT_COMPLETED] = {400, "BackupNotCompletedException", "This backup has not completed yet and cannot be downloaded.",
        NULL, NULL},
    [API_ERROR_DOWNLOAD_FAILED] = {400, "BackupFailedException", "This backup failed and cannot be downloaded.",
        NULL, NULL},
    [API_ERROR_RESTORE_NOT_COMPLETED] = {400, "BadRequestHttpException", "This backup cannot be restored at this time: not completed or failed.",
        "BackupNotCompletedException", "This backup has not completed yet and cannot be restored."},
    [API_ERROR_RESTORE_FAILED] = {400, "BadRequestHttpException", "This backup cannot be restored at this time: not completed or failed.",
        "BackupFailedException", "This backup failed and cannot be restored."},
    [API_ERROR_NO_UNDO] = {404, "NotFoundHttpException", "There is no restore of this server that could be undone: nothing was kept of what it replaced, or its time is over.",
        NULL, NULL},
    [API_ERROR_NO_UNDO_OF_FILES] = {404, "NotFoundHttpException", "The last restore of this server was one of single files, of which nothing is kept, so it cannot be undone. Restore these files from another backup; back up before you restore files that are in none.",
        NULL, NULL},
    [API_ERROR_RESTORE_STATE] = {400, "BadRequestHttpException", "This server is not currently in a state that allows for a backup to be restored.",
        NULL, NULL},
    [API_ERROR_CANCEL_ENDED] = {400, "BadRequestHttpException", "This backup is not being created (any more), so there is nothing to cancel.",
        NULL, NULL},
    [API_ERROR_CANCEL_NO_RESTORE] = {400, "BadRequestHttpException", "This server is not being restored, so there is nothing to cancel.",
        NULL, NULL},
    [API_ERROR_CANCEL_LATE] = {409, "ServerStateConflictException", "This restore cannot be cancelled any more: its files are being put in place, or it has just ended.",
        "ConflictingServerStateException", NULL},
    [API_ERROR_CANCEL_UNKNOWN] = {400, "BadRequestHttpException", "The node of this server cannot cancel what it has begun.",
        NULL, NULL},
    [API_ERROR_BACKUP_LOCKED] = {400, "BackupLockedException", "Cannot delete a backup that is marked as locked.",
        "BackupIsLockedException", "This backup is locked and cannot be deleted."},
    [API_ERROR_NO_SPACE] = {507, "InsufficientStorageException", "Not enough storage space available for backup.",
        NULL, NULL},
    [API_ERROR_NODE_UNREACHABLE] = {504, "DaemonConnectionException", "Could not establish a connection to the machine running this server. Please try again.",
        NULL, NULL},
    [API_ERROR_NODE_REFUSED] = {400, "DaemonConnectionException", "An error occurred on the remote host: text. (request id: more)",
        NULL, NULL},
    [API_ERROR_NODE_FAILED] = {502, "DaemonConnectionException", "There was an error while communicating with the machine running this server. This error has been logged, please try again. (code: 2) (request_id: more)",
        NULL, NULL},
    [API_ERROR_INTERNAL] = {500, "HttpException", "An unexpected error was encountered while processing this request, please try again.",
        NULL, NULL},
    [API_ERROR_BUSY] = {503, "ServiceUnavailableHttpException", "The server is busy, please try again in a moment.",
        NULL, NULL},
    [API_ERROR_REMOTE_NO_TOKEN] = {401, "HttpException", "Access to this endpoint must include an Authorization header.",
        NULL, NULL},
    [API_ERROR_REMOTE_BAD_TOKEN] = {400, "BadRequestHttpException", "The Authorization header provided was not in a valid format.",
        NULL, NULL},
    [API_ERROR_REMOTE_DENIED] = {403, "AccessDeniedHttpException", "You are not authorized to access this resource.",
        NULL, NULL},
    [API_ERROR_REMOTE_NOT_YOURS] = {403, "HttpForbiddenException", "You do not have permission to access that backup.",
        NULL, NULL},
    [API_ERROR_REMOTE_NO_SIZE] = {400, "BadRequestHttpException", "A non-empty \"size\" query parameter must be provided.",
        NULL, NULL},
    [API_ERROR_REMOTE_COMPLETED] = {409, "ConflictHttpException", "This backup is already in a completed state.",
        NULL, NULL},
    [API_ERROR_REMOTE_NOT_S3] = {400, "BadRequestHttpException", "The configured backup adapter is not an S3 compatible adapter.",
        NULL, NULL},
    [API_ERROR_REMOTE_ALREADY] = {400, "BadRequestHttpException", "Cannot update the status of a backup that is already marked as completed.",
        NULL, NULL},
    [API_ERROR_REMOTE_NO_UPLOAD] = {400, "DisplayException", "Cannot complete backup request: no upload_id present on model.",
        NULL, NULL},
    [API_ERROR_BAD_REQUEST] = {400, "BadRequestHttpException", "text",
        NULL, NULL},
};
/* clang-format on */

/* A server that answers every error of the catalogue: GET /{dialect}/{error}. */
static struct http_router *router;
static struct http_server *server;
static struct http_client *client;

static void reply(struct http_reply *answer, enum dialect dialect, enum api_error error)
{
    switch ((int)error) {
    case API_ERROR_BACKUP_THROTTLE:
        api_error_reply(answer, dialect, error, 2, 600);
        break;
    case API_ERROR_TOO_MANY_BACKUPS:
        api_error_reply(answer, dialect, error, 2);
        break;
    case API_ERROR_NODE_FAILED:
        api_error_reply(answer, dialect, error, 2, "more");
        break;
    default:
        api_error_reply(answer, dialect, error, "text", "more");
        break;
    }
}

static void handle(const struct http_request *request, struct http_reply *answer, void *app)
{
    buf_add_str(http_reply_body(answer), "what a handler had begun");
    reply(answer, (enum dialect)strtol(http_param(request, "dialect"), NULL, 10),
          (enum api_error)strtol(http_param(request, "error"), NULL, 10));
}

static void handle_violations(const struct http_request *request, struct http_reply *answer,
                              void *app)
{
    struct api_violations violations = {0};
    api_violation_add(&violations, "name", "max", "The name may not be greater than %d characters.",
                      191);
    for (int i = 0; i < API_VIOLATIONS_MAX + 5; i++)
        api_violation_add(&violations, "is_locked", "boolean", "\"%d\"", i);
    api_violations_reply(answer, &violations);
}

static void handle_status(const struct http_request *request, struct http_reply *answer, void *app)
{
    api_error_reply_status(answer, DIALECT_CLASSIC, 418, API_ERROR_NODE_REFUSED, "tea", "id");
}

static void write_error(const struct http_request *request, struct http_reply *answer,
                        unsigned status, const char *reason, void *app)
{
}

static int start(void **state)
{
    struct http_router_options options = {
        .workers = 1, .queue_max = 8, .body_max_bytes = 100, .write_error = write_error};
    router = http_router_create("test", &options);
    http_route(router, HTTP_GET, "/errors/{dialect}/{error}", handle, NULL, HTTP_INLINE);
    http_route(router, HTTP_GET, "/violations", handle_violations, NULL, HTTP_INLINE);
    http_route(router, HTTP_GET, "/status", handle_status, NULL, HTTP_INLINE);
    struct http_server_config config = {.address = "127.0.0.1", .threads = 1};
    struct error err = ERROR_INIT;
    server = http_server_start(&config, &router, 1, &err);
    client = http_client_create(&(struct http_client_options){0});
    return server == NULL ? -1 : 0;
}

static int stop(void **state)
{
    http_client_free(client);
    http_server_stop(server, 100);
    http_router_free(router);
    return 0;
}

static json_t *ask(const char *path, unsigned *status)
{
    scope_free char *url = xasprintf("http://127.0.0.1:%u%s", http_server_port(server), path);
    struct http_call call = {.method = "GET", .url = url};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    if (http_client_call(client, &call, &answer, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(answer.content_type, "application/json");
    json_t *body = json_read(buf_slice(&answer.body), &err);
    assert_non_null(body);
    *status = answer.status;
    http_answer_free(&answer);
    return body;
}

static void check(unsigned error, enum dialect dialect)
{
    char path[64];
    snprintf(path, sizeof(path), "/errors/%d/%u", dialect, error);
    unsigned status;
    json_t *body = ask(path, &status);
    const json_t *errors = json_object_get(body, "errors");
    assert_int_equal(json_array_size(errors), 1);
    const json_t *item = json_array_get(errors, 0);
    const struct wanted *row = &wanted[error];
    bool is_extended = dialect == DIALECT_EXTENDED;
    const char *code = is_extended && row->extended_code != NULL ? row->extended_code : row->code;
    const char *detail =
        is_extended && row->extended_detail != NULL ? row->extended_detail : row->detail;
    char status_text[8];
    snprintf(status_text, sizeof(status_text), "%u", row->status);
    assert_int_equal(status, row->status);
    assert_string_equal(json_get_string(item, "status", ""), status_text);
    assert_string_equal(json_get_string(item, "code", ""), code);
    assert_string_equal(json_get_string(item, "detail", ""), detail);
    assert_int_equal(api_error_status(error), row->status);
    assert_string_equal(api_error_code(error, dialect), code);
    json_decref(body);
}

static void every_error_says_what_the_documents_say(void **state)
{
    for (unsigned error = 0; error < API_ERROR_COUNT; error++) {
        assert_int_not_equal(wanted[error].status, 0);
        check(error, DIALECT_CLASSIC);
        check(error, DIALECT_EXTENDED);
    }
}

static void a_status_of_the_nodes_is_said_twice(void **state)
{
    unsigned status;
    json_t *body = ask("/status", &status);
    const json_t *item = json_array_get(json_object_get(body, "errors"), 0);
    assert_int_equal(status, 418);
    assert_string_equal(json_get_string(item, "status", ""), "418");
    assert_string_equal(json_get_string(item, "detail", ""),
                        "An error occurred on the remote host: tea. (request id: id)");
    json_decref(body);
}

static void every_violation_is_one_object_up_to_a_bound(void **state)
{
    unsigned status;
    json_t *body = ask("/violations", &status);
    const json_t *errors = json_object_get(body, "errors");
    assert_int_equal(status, 422);
    assert_int_equal(json_array_size(errors), API_VIOLATIONS_MAX);
    const json_t *item = json_array_get(errors, 0);
    assert_string_equal(json_get_string(item, "code", ""), "ValidationException");
    assert_string_equal(json_get_string(item, "status", ""), "422");
    assert_string_equal(json_get_string(item, "detail", ""),
                        "The name may not be greater than 191 characters.");
    const json_t *meta = json_object_get(item, "meta");
    assert_string_equal(json_get_string(meta, "source_field", ""), "name");
    assert_string_equal(json_get_string(meta, "rule", ""), "max");
    json_decref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_says_what_the_documents_say),
        cmocka_unit_test(a_status_of_the_nodes_is_said_twice),
        cmocka_unit_test(every_violation_is_one_object_up_to_a_bound),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
