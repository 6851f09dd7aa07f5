/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's side of the client API: one HTTP call for each function.  What the panel answers is
 * foreign text: sizes are bounded by the HTTP client, types are looked at before they are used.
 */
#include "api/client_api.h"

#include "base/mem.h"
#include "net/url.h"

enum {
    CALL_TIMEOUT_MS = 60 * 1000, /* deleting waits for the node */
    ANSWER_MAX_BYTES = 16 << 20, /* a file's contents, a long list */
    DETAIL_MAX_BYTES = 400,      /* of the panel's own words in an error */
};

struct client_api {
    struct http_client *http;
    char *url; /* without trailing slash */
    char *authorization;
};

struct client_api *client_api_create(const char *url, const char *key, const char *ca_file)
{
    struct client_api *api = xcalloc(1, sizeof(*api));
    struct http_client_options options = {
        .timeout_ms = CALL_TIMEOUT_MS, .answer_max_bytes = ANSWER_MAX_BYTES, .ca_file = ca_file};
    api->http = http_client_create(&options);
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    api->url = xstrndup(url, length);
    api->authorization = xasprintf("Authorization: Bearer %s", key);
    return api;
}

void client_api_free(struct client_api *api)
{
    if (api == NULL)
        return;
    http_client_free(api->http);
    free(api->url);
    explicit_bzero(api->authorization, strlen(api->authorization));
    free(api->authorization);
    free(api);
}

void client_backup_view_free(struct client_backup_view *view)
{
    free(view->name);
    free(view->checksum);
    free(view->created_at);
    free(view->completed_at);
    json_decref(view->attributes);
    *view = (struct client_backup_view){.name = NULL};
}

bool client_backup_is_running(const struct client_backup_view *view)
{
    return view->completed_at == NULL;
}

static enum error_code code_of_status(unsigned status)
{
    switch (status) {
    case 401:
    case 403:
        return ERROR_DENIED;
    case 404:
        return ERROR_NOT_FOUND;
    case 400:
    case 409:
        return ERROR_CONFLICT;
    case 422:
        return ERROR_INVALID;
    case 429:
    case 502:
    case 503:
    case 504:
        return ERROR_UNAVAILABLE;
    case 507:
        return ERROR_NO_SPACE;
    default:
        return ERROR_IO;
    }
}

/* What the envelope says, every error of it, or the status where it says nothing. */
static int set_from_answer(const struct http_answer *answer, struct error *err)
{
    scope_buf struct buf detail = BUF_INIT;
    struct error parse_error = ERROR_INIT;
    scope_json json_t *body = json_read(buf_slice(&answer->body), &parse_error);
    json_t *errors = json_object_get(body, "errors");
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const char *text = json_get_string(json_array_get(errors, i), "detail", "");
        if (detail.length > 0)
            buf_add_char(&detail, ' ');
        buf_add_str(&detail, text);
        buf_truncate(&detail, DETAIL_MAX_BYTES);
    }
    if (detail.length == 0)
        buf_printf(&detail, "the panel answered %u %s", answer->status,
                   http_status_text(answer->status));
    if (answer->status == 429 && answer->retry_after_s > 0)
        buf_printf(&detail, " Try again in %u s.", answer->retry_after_s);
    return error_set(err, code_of_status(answer->status), "%s", detail.data);
}

struct question {
    const char *method;
    const char *path;     /* after the panel's URL */
    struct slice body;    /* JSON; empty: none */
    json_t **reply_out;   /* NULL: the body does not matter */
    struct buf *body_out; /* the body as it is; NULL: nobody asks */
};

static int ask(struct client_api *api, const struct question *question, struct error *err)
{
    scope_free char *url = xasprintf("%s%s", api->url, question->path);
    const char *const headers[] = {api->authorization, "Accept: application/json",
                                   "Content-Type: application/json", NULL};
    struct http_call call = {
        .method = question->method,
        .url = url,
        .headers = headers,
        .body = question->body,
    };
    struct http_answer answer = {.body = BUF_INIT};
    if (http_client_call(api->http, &call, &answer, err) < 0)
        return error_wrap(err, "asking the panel at '%s'", api->url);
    int result = 0;
    if (answer.status < 200 || answer.status > 299) {
        result = set_from_answer(&answer, err);
    } else if (question->reply_out != NULL) {
        json_t *reply = json_read(buf_slice(&answer.body), err);
        if (reply == NULL)
            result = error_wrap(err, "reading the answer of '%s'", api->url);
        else
            *question->reply_out = reply;
    }
    if (result == 0 && question->body_out != NULL)
        buf_add(question->body_out, answer.body.data, answer.body.length);
    http_answer_free(&answer);
    return result;
}

/* "/api/client/servers/SERVER/backups[/BACKUP][/VERB]" */
static void add_path(struct buf *path, const char *server, const char *backup, const char *verb)
{
    buf_add_str(path, "/api/client/servers/");
    url_encode(path, slice_str(server));
    buf_add_str(path, "/backups");
    if (backup != NULL) {
        buf_add_char(path, '/');
        url_encode(path, slice_str(backup));
    }
    if (verb != NULL)
        buf_printf(path, "/%s", verb);
}

static char *copy_text(const json_t *object, const char *key)
{
    const char *text = json_get_string(object, key, NULL);
    return text == NULL ? NULL : xstrdup(text);
}

/* Takes what `reply` holds into `view`. */
static int read_view(const json_t *reply, struct client_backup_view *view, struct error *err)
{
    json_t *attributes = json_object_get(reply, "attributes");
    const char *uuid = json_get_string(attributes, "uuid", "");
    struct client_backup_view result = {.name = NULL};
    if (!uuid_canonicalize(uuid, result.uuid))
        return error_set(err, ERROR_INVALID, "the panel's answer is no backup");
    const char *name = json_get_string(attributes, "name", "");
    int64_t bytes = json_get_int(attributes, "bytes", 0);
    result.name = xstrdup(name);
    result.checksum = copy_text(attributes, "checksum");
    result.created_at = copy_text(attributes, "created_at");
    result.completed_at = copy_text(attributes, "completed_at");
    result.bytes = bytes < 0 ? 0 : (uint64_t)bytes;
    result.is_successful = json_get_bool(attributes, "is_successful", false);
    result.is_locked = json_get_bool(attributes, "is_locked", false);
    const json_t *progress = json_object_get(attributes, "progress");
    int64_t done_bytes = json_get_int(progress, "bytes", 0);
    int64_t expected_bytes = json_get_int(progress, "expected_bytes", 0);
    result.progress_bytes = done_bytes < 0 ? 0 : (uint64_t)done_bytes;
    result.progress_expected_bytes = expected_bytes < 0 ? 0 : (uint64_t)expected_bytes;
    result.attributes = json_incref(attributes);
    *view = result;
    return 0;
}

int client_api_backup_create(struct client_api *api, const char *server, const char *name,
                             const char *ignored, bool is_locked, struct client_backup_view *view,
                             struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    scope_buf struct buf body = BUF_INIT;
    add_path(&path, server, NULL, NULL);
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    if (name != NULL)
        json_field_string(&w, "name", name);
    if (ignored != NULL)
        json_field_string(&w, "ignored", ignored);
    json_field_bool(&w, "is_locked", is_locked);
    json_end_object(&w);
    scope_json json_t *reply = NULL;
    struct question question = {"POST", path.data, buf_slice(&body), &reply};
    if (ask(api, &question, err) < 0)
        return -1;
    return read_view(reply, view, err);
}

int client_api_backup_view(struct client_api *api, const char *server, const char *backup,
                           struct client_backup_view *view, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, backup, NULL);
    scope_json json_t *reply = NULL;
    struct question question = {.method = "GET", .path = path.data, .reply_out = &reply};
    if (ask(api, &question, err) < 0)
        return -1;
    return read_view(reply, view, err);
}

json_t *client_api_backup_list(struct client_api *api, const char *server, int64_t page,
                               int64_t per_page, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, NULL, NULL);
    buf_printf(&path, "?page=%lld&per_page=%lld", (long long)page, (long long)per_page);
    json_t *reply = NULL;
    struct question question = {.method = "GET", .path = path.data, .reply_out = &reply};
    return ask(api, &question, err) < 0 ? NULL : reply;
}

/* An order whose answer has nothing to say. */
static int order(struct client_api *api, const char *method, const struct buf *path,
                 struct slice body, struct error *err)
{
    struct question question = {.method = method, .path = path->data, .body = body};
    return ask(api, &question, err);
}

int client_api_backup_restore(struct client_api *api, const char *server, const char *backup,
                              const struct client_restore *restore, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    scope_buf struct buf body = BUF_INIT;
    add_path(&path, server, backup, "restore");
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_field_bool(&w, "truncate", restore->truncate);
    if (restore->files != NULL) {
        json_key(&w, "files");
        api_files_write(&w, restore->files);
    }
    if (restore->leaves_ignored)
        json_field_bool(&w, "leave_ignored", true);
    if (restore->has_ignored)
        json_field_string(&w, "ignored", restore->ignored.data);
    json_end_object(&w);
    return order(api, "POST", &path, buf_slice(&body), err);
}

int client_api_restore_undo(struct client_api *api, const char *server, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, "restore", "undo");
    return order(api, "POST", &path, slice_of("", 0), err);
}

int client_api_restore_cancel(struct client_api *api, const char *server, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, "restore", "cancel");
    return order(api, "POST", &path, slice_of("", 0), err);
}

int client_api_backup_cancel(struct client_api *api, const char *server, const char *backup,
                             struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, backup, "cancel");
    return order(api, "POST", &path, slice_of("", 0), err);
}

int client_api_backup_toggle_lock(struct client_api *api, const char *server, const char *backup,
                                  struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, backup, "lock");
    return order(api, "POST", &path, slice_of("", 0), err);
}

int client_api_backup_unlock(struct client_api *api, const char *server, const char *backup,
                             struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, backup, "unlock");
    return order(api, "POST", &path, slice_of("", 0), err);
}

int client_api_backup_delete(struct client_api *api, const char *server, const char *backup,
                             struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, backup, NULL);
    return order(api, "DELETE", &path, slice_of("", 0), err);
}

static void add_file_path(struct buf *path, const char *const ids[2], const char *verb,
                          const char *file)
{
    add_path(path, ids[0], ids[1], verb);
    url_encode(path, slice_str(file));
}

json_t *client_api_files_list(struct client_api *api, const char *server, const char *backup,
                              const char *directory, int64_t page, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    const char *const ids[] = {server, backup};
    add_file_path(&path, ids, "files/list?directory=", directory);
    buf_printf(&path, "&page=%lld", (long long)page);
    json_t *reply = NULL;
    struct question question = {.method = "GET", .path = path.data, .reply_out = &reply};
    return ask(api, &question, err) < 0 ? NULL : reply;
}

int client_api_file_contents(struct client_api *api, const char *server, const char *backup,
                             const char *file, struct buf *contents, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    const char *const ids[] = {server, backup};
    add_file_path(&path, ids, "files/contents?file=", file);
    struct question question = {.method = "GET", .path = path.data, .body_out = contents};
    return ask(api, &question, err);
}

static int ask_url(struct client_api *api, const struct buf *path, struct buf *url,
                   struct error *err);

int client_api_file_download(struct client_api *api, const char *server, const char *backup,
                             const char *file, struct buf *url, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    const char *const ids[] = {server, backup};
    add_file_path(&path, ids, "files/download?file=", file);
    return ask_url(api, &path, url, err);
}

int client_api_backup_download(struct client_api *api, const char *server, const char *backup,
                               struct buf *url, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    add_path(&path, server, backup, "download");
    return ask_url(api, &path, url, err);
}

static int ask_url(struct client_api *api, const struct buf *path, struct buf *url,
                   struct error *err)
{
    scope_json json_t *reply = NULL;
    struct question question = {.method = "GET", .path = path->data, .reply_out = &reply};
    if (ask(api, &question, err) < 0)
        return -1;
    const char *text = json_get_string(json_object_get(reply, "attributes"), "url", "");
    if (*text == '\0')
        return error_set(err, ERROR_INVALID, "the panel's answer holds no download address");
    buf_add_str(url, text);
    return 0;
}

json_t *client_api_server(struct client_api *api, const char *server, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    buf_add_str(&path, "/api/client/servers/");
    url_encode(&path, slice_str(server));
    json_t *reply = NULL;
    struct question question = {.method = "GET", .path = path.data, .reply_out = &reply};
    return ask(api, &question, err) < 0 ? NULL : reply;
}

json_t *client_api_servers(struct client_api *api, int64_t page, struct error *err)
{
    scope_buf struct buf path = BUF_INIT;
    buf_printf(&path, "/api/client?page=%lld", (long long)page);
    json_t *reply = NULL;
    struct question question = {.method = "GET", .path = path.data, .reply_out = &reply};
    return ask(api, &question, err) < 0 ? NULL : reply;
}
