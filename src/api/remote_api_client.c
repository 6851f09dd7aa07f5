/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's end of the remote API: every call is one HTTP exchange whose outcome becomes an error
 * code that says what to do next.  A panel's answer is bounded and checked like any other input.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/remote_api.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "net/url.h"

enum {
    PER_PAGE = 50,
    PAGES_MAX = 10000,
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 30000,
    ANSWER_MAX_BYTES = 16 * 1024 * 1024, /* a page of servers carries its eggs' configuration */
};

struct remote_api {
    struct http_client *client;
    char *panel_url; /* without trailing slash */
    char *authorization;
    struct cancel cancel;
};

struct remote_api *remote_api_create(const char *panel_url, const char *token_id, const char *token,
                                     const char *ca_file)
{
    struct remote_api *api = xcalloc(1, sizeof(*api));
    scope_free char *agent = xasprintf("Roost (id:%s)", token_id);
    struct http_client_options options = {
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .user_agent = agent,
        .ca_file = ca_file,
    };
    api->client = http_client_create(&options);
    api->panel_url = xstrdup(panel_url);
    size_t length = strlen(api->panel_url);
    while (length > 0 && api->panel_url[length - 1] == '/')
        api->panel_url[--length] = '\0';
    api->authorization = xasprintf("Authorization: Bearer %s.%s", token_id, token);
    return api;
}

void remote_api_free(struct remote_api *api)
{
    if (api == NULL)
        return;
    http_client_free(api->client);
    free(api->panel_url);
    free(api->authorization);
    free(api);
}

void remote_api_stop(struct remote_api *api)
{
    if (api != NULL)
        cancel_set(&api->cancel);
}

/* The operation's pattern with `id` in the place of its parameter. */
static void add_url(struct buf *out, const struct remote_api *api, enum remote_operation operation,
                    const char *id)
{
    const char *pattern = remote_operation_form(operation)->pattern;
    buf_add_str(out, api->panel_url);
    const char *open = strchr(pattern, '{');
    if (open == NULL) {
        buf_add_str(out, pattern);
        return;
    }
    const char *close = strchr(open, '}');
    assert(close != NULL && id != NULL);
    buf_add(out, pattern, (size_t)(open - pattern));
    url_encode(out, slice_str(id));
    buf_add_str(out, close + 1);
}

static enum error_code code_of_status(unsigned status)
{
    switch (status) {
    case 404:
    case 405: /* a panel without this operation */
        return ERROR_NOT_FOUND;
    case 400:
    case 409:
        return ERROR_CONFLICT;
    case 401:
    case 403:
        return ERROR_DENIED;
    case 408:
    case 429:
        return ERROR_UNAVAILABLE;
    default:
        return status >= 400 && status < 500 ? ERROR_INVALID : ERROR_UNAVAILABLE;
    }
}

/* "answered 404: The requested resource …": the first detail of the panel's envelope, where it has one. */
static int refuse(const struct http_answer *answer, struct error *err)
{
    struct error ignored = ERROR_INIT;
    scope_json json_t *body = json_read(buf_slice(&answer->body), &ignored);
    const json_t *first = json_array_get(json_object_get(body, "errors"), 0);
    const char *detail = json_get_string(first, "detail", "");
    return error_set(err, code_of_status(answer->status), "the panel answered %u%s%.200s",
                     answer->status, detail[0] == '\0' ? "" : ": ", detail);
}

struct remote_call {
    enum remote_operation operation;
    const char *id;    /* for {backup} or {server}; may be NULL */
    const char *query; /* with its '?'; may be NULL */
    struct slice body;
    struct buf *answer; /* the body of a 2xx answer; may be NULL */
};

static int call(struct remote_api *api, const struct remote_call *what, struct error *err)
{
    scope_buf struct buf url = BUF_INIT;
    add_url(&url, api, what->operation, what->id);
    if (what->query != NULL)
        buf_add_str(&url, what->query);
    const char *const headers[] = {api->authorization,
                                   "Accept: application/vnd.pterodactyl.v1+json",
                                   "Content-Type: application/json", NULL};
    struct http_call request = {
        .method = http_method_name(remote_operation_form(what->operation)->method),
        .url = url.data,
        .headers = headers,
        .body = what->body,
        .cancel = &api->cancel,
    };
    struct http_answer answer;
    if (http_client_call(api->client, &request, &answer, err) < 0)
        return error_wrap(err, "calling the panel");
    int result = 0;
    if (answer.status < 200 || answer.status > 299)
        result = refuse(&answer, err);
    else if (what->answer != NULL)
        buf_add(what->answer, answer.body.data, answer.body.length);
    http_answer_free(&answer);
    return result;
}

int remote_api_report_backup(struct remote_api *api, const char *backup,
                             const struct remote_report *report, struct error *err)
{
    scope_buf struct buf body = BUF_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_field_string(&w, "checksum", report->checksum);
    json_field_string(&w, "checksum_type", report->checksum_type);
    json_field_uint(&w, "size", report->size_bytes);
    json_field_bool(&w, "successful", report->is_successful);
    json_key(&w, "parts");
    json_put_null(&w);
    json_end_object(&w);
    return call(api,
                &(struct remote_call){
                    .operation = REMOTE_OP_BACKUP_REPORT, .id = backup, .body = buf_slice(&body)},
                err);
}

static void put_restore_report(struct buf *body, const struct remote_restore_report *report,
                               const char *backup)
{
    struct json_writer w = json_writer_to(body);
    json_begin_object(&w);
    json_field_bool(&w, "successful", report->is_successful);
    if (report->error[0] != '\0')
        json_field_string(&w, "error", report->error);
    if (report->kept_until_us != 0) {
        char text[TIME_TEXT_BYTES];
        time_format_atom(report->kept_until_us, text);
        json_field_string(&w, "kept_until", text);
    }
    if (backup != NULL)
        json_field_string(&w, "backup", backup);
    json_end_object(&w);
}

int remote_api_report_restore(struct remote_api *api, const char *backup,
                              const struct remote_restore_report *report, struct error *err)
{
    scope_buf struct buf body = BUF_INIT;
    put_restore_report(&body, report, NULL);
    return call(api,
                &(struct remote_call){
                    .operation = REMOTE_OP_RESTORE_REPORT, .id = backup, .body = buf_slice(&body)},
                err);
}

int remote_api_report_undo(struct remote_api *api, const char *server,
                           const struct remote_restore_report *report, struct error *err)
{
    scope_buf struct buf body = BUF_INIT;
    put_restore_report(&body, report, report->backup);
    return call(api,
                &(struct remote_call){
                    .operation = REMOTE_OP_UNDO_REPORT, .id = server, .body = buf_slice(&body)},
                err);
}

int remote_api_heartbeat(struct remote_api *api, const char *backup,
                         const struct remote_progress *progress, struct error *err)
{
    scope_buf struct buf body = BUF_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_field_bool(&w, "waiting", progress->is_waiting);
    json_field_uint(&w, "entries", progress->entries);
    json_field_uint(&w, "content_bytes", progress->content_bytes);
    json_field_uint(&w, "expected_bytes", progress->expected_bytes);
    json_end_object(&w);
    return call(api,
                &(struct remote_call){.operation = REMOTE_OP_BACKUP_HEARTBEAT,
                                      .id = backup,
                                      .body = buf_slice(&body)},
                err);
}

int remote_api_reset_servers(struct remote_api *api, const char (*backups)[UUID_TEXT_BYTES],
                             size_t count, struct error *err)
{
    scope_buf struct buf body = BUF_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    if (backups != NULL) {
        json_key(&w, "backups");
        json_begin_array(&w);
        for (size_t i = 0; i < count; i++)
            json_put_string(&w, backups[i]);
        json_end_array(&w);
    }
    json_end_object(&w);
    return call(
        api, &(struct remote_call){.operation = REMOTE_OP_SERVERS_RESET, .body = buf_slice(&body)},
        err);
}

void remote_server_free(struct remote_server *server)
{
    free(server->name);
    server->name = NULL;
}

/* False where the record names no server. */
static bool read_server(const json_t *record, struct remote_server *server)
{
    const json_t *settings = json_object_get(record, "settings");
    const char *uuid = json_get_string(settings, "uuid", json_get_string(record, "uuid", ""));
    *server = (struct remote_server){.name = NULL};
    if (!uuid_canonicalize(uuid, server->uuid))
        return false;
    server->name = xstrdup(json_get_string(json_object_get(settings, "meta"), "name", ""));
    server->is_suspended = json_get_bool(settings, "suspended", false);
    int64_t disk_mib = json_get_int(json_object_get(settings, "build"), "disk_space", 0);
    server->disk_mib = disk_mib < 0 ? 0 : disk_mib;
    return true;
}

static json_t *call_json(struct remote_api *api, struct remote_call *what, struct error *err)
{
    scope_buf struct buf answer = BUF_INIT;
    what->answer = &answer;
    if (call(api, what, err) < 0)
        return NULL;
    struct error reason = ERROR_INIT;
    json_t *value = json_read(buf_slice(&answer), &reason);
    if (value == NULL)
        error_set(err, ERROR_UNAVAILABLE, "the panel's answer is no JSON: %s", reason.text);
    return value;
}

int remote_api_server(struct remote_api *api, const char *uuid, struct remote_server *server,
                      struct error *err)
{
    scope_json json_t *record =
        call_json(api, &(struct remote_call){.operation = REMOTE_OP_SERVER, .id = uuid}, err);
    if (record == NULL)
        return error_wrap(err, "asking for server %s", uuid);
    struct remote_server found;
    bool is_readable = read_server(record, &found);
    if (!is_readable || strcmp(found.uuid, uuid) != 0) {
        remote_server_free(&found);
        return error_set(err, ERROR_UNAVAILABLE, "the panel's answer names another server than %s",
                         uuid);
    }
    *server = found;
    return 0;
}

static int visit_page(const json_t *page,
                      int (*visit)(const struct remote_server *server, void *context,
                                   struct error *err),
                      void *context, struct error *err)
{
    const json_t *data = json_object_get(page, "data");
    for (size_t i = 0; i < json_array_size(data); i++) {
        struct remote_server server;
        if (!read_server(json_array_get(data, i), &server))
            continue;
        int result = visit(&server, context, err);
        remote_server_free(&server);
        if (result < 0)
            return -1;
    }
    return 0;
}

int remote_api_each_server(struct remote_api *api,
                           int (*visit)(const struct remote_server *server, void *context,
                                        struct error *err),
                           void *context, struct error *err)
{
    int64_t last_page = 1;
    for (int64_t page = 1; page <= last_page && page <= PAGES_MAX; page++) {
        char query[64];
        snprintf(query, sizeof(query), "?page=%" PRId64 "&per_page=%d", page, PER_PAGE);
        struct remote_call what = {.operation = REMOTE_OP_SERVERS, .query = query};
        scope_json json_t *answer = call_json(api, &what, err);
        if (answer == NULL)
            return error_wrap(err, "asking for the servers");
        const json_t *data = json_object_get(answer, "data");
        if (!json_is_array(data))
            return error_set(err, ERROR_UNAVAILABLE, "the panel's list of servers holds no data");
        if (json_array_size(data) == 0) /* whatever is said about the last page */
            return 0;
        if (visit_page(answer, visit, context, err) < 0)
            return -1;
        last_page = json_get_int(json_object_get(answer, "meta"), "last_page", 1);
    }
    return 0;
}
