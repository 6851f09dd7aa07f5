/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The panel's end of the node API: orders to nodes.  Whatever happens, the caller learns which of
 * three it was: the node answered, the order cannot have reached it, or nobody knows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/node_api.h"
#include "base/mem.h"
#include "net/url.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 15000,
    ANSWER_MAX_BYTES = 64 * 1024,
    FILES_TIMEOUT_MS = 55 * 1000,
    FILES_ANSWER_MAX_BYTES = 32 << 20,
};

struct node_api {
    struct http_client *client;
    struct http_client *patient; /* for what a node may have to read an archive for */
};

struct node_api *node_api_create(const char *ca_file)
{
    struct http_client_options options = {
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .ca_file = ca_file,
    };
    struct node_api *api = xcalloc(1, sizeof(*api));
    api->client = http_client_create(&options);
    options.timeout_ms = FILES_TIMEOUT_MS;
    options.answer_max_bytes = FILES_ANSWER_MAX_BYTES;
    api->patient = http_client_create(&options);
    return api;
}

void node_api_free(struct node_api *api)
{
    if (api == NULL)
        return;
    http_client_free(api->client);
    http_client_free(api->patient);
    free(api);
}

/* The operation's pattern with the ids in the places of its parameters, in order. */
static void add_url(struct buf *out, const char *base_url, const char *pattern,
                    const char *const *ids)
{
    buf_add_str(out, base_url);
    const char *open;
    while ((open = strchr(pattern, '{')) != NULL) {
        buf_add(out, pattern, (size_t)(open - pattern));
        url_encode(out, slice_str(*ids++));
        pattern = strchr(open, '}') + 1;
    }
    buf_add_str(out, pattern);
}

static void read_refusal(const struct http_answer *answer, struct node_outcome *outcome)
{
    snprintf(outcome->request_id, sizeof(outcome->request_id), "%s", answer->request_id);
    struct error ignored = ERROR_INIT;
    scope_json json_t *body =
        answer->body.length == 0 ? NULL : json_read(buf_slice(&answer->body), &ignored);
    snprintf(outcome->error, sizeof(outcome->error), "%s",
             json_get_string(body, "error", "the node gave no reason"));
    if (outcome->request_id[0] == '\0')
        snprintf(outcome->request_id, sizeof(outcome->request_id), "%s",
                 json_get_string(body, "request_id", ""));
}

struct order {
    enum node_operation operation;
    const char *ids[2];
    struct slice body;
    const char *query_name, *query; /* NULL: none.  Where it is one, the node may take its time */
    const char *more;               /* of the query, encoded; NULL: none */
    struct buf *body_out;           /* of a 2xx answer, as it is; NULL: nobody asks */
    json_t **answer_out; /* of a 2xx answer; NULL stays where it is none.  NULL: nobody asks */
};

static bool send_order(struct node_api *api, const struct node_address *node,
                       const struct order *order, struct node_outcome *outcome)
{
    *outcome = (struct node_outcome){0};
    const struct node_operation_form *form = node_operation_form(order->operation);
    scope_buf struct buf url = BUF_INIT;
    add_url(&url, node->base_url, form->pattern, order->ids);
    if (order->query_name != NULL) {
        buf_printf(&url, "?%s=", order->query_name);
        url_encode(&url, slice_str(order->query));
        buf_add_str(&url, order->more == NULL ? "" : order->more);
    }
    scope_free char *authorization = xasprintf("Authorization: Bearer %s", node->token);
    const char *const headers[] = {authorization, "Accept: application/json",
                                   "Content-Type: application/json", NULL};
    struct http_call call = {
        .method = http_method_name(form->method),
        .url = url.data,
        .headers = headers,
        .body = order->body,
        .was_sent = &outcome->may_have_arrived,
    };
    struct http_answer answer;
    struct error err = ERROR_INIT;
    struct http_client *client = order->query_name != NULL ? api->patient : api->client;
    if (http_client_call(client, &call, &answer, &err) < 0) {
        snprintf(outcome->error, sizeof(outcome->error), "%.*s", (int)sizeof(outcome->error) - 1,
                 err.text);
        return false;
    }
    outcome->may_have_arrived = false;
    outcome->status = answer.status;
    bool is_done = answer.status >= 200 && answer.status < 300;
    struct error ignored = ERROR_INIT;
    if (!is_done)
        read_refusal(&answer, outcome);
    else if (order->answer_out != NULL && answer.body.length > 0)
        *order->answer_out = json_read(buf_slice(&answer.body), &ignored);
    if (is_done && order->body_out != NULL)
        buf_add(order->body_out, answer.body.data, answer.body.length);
    http_answer_free(&answer);
    return is_done;
}

static const char *adapter_name(enum node_adapter adapter)
{
    return adapter == NODE_ADAPTER_S3 ? "s3" : "wings";
}

bool node_api_backup(struct node_api *api, const struct node_address *node, const char *server,
                     const struct node_backup_order *order, struct node_outcome *outcome)
{
    scope_buf struct buf body = BUF_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_field_string(&w, "adapter", adapter_name(order->adapter));
    json_field_string(&w, "uuid", order->backup);
    json_field_string(&w, "ignore", order->ignore.data);
    json_end_object(&w);
    struct order sent = {NODE_OP_BACKUP, {server}, buf_slice(&body)};
    return send_order(api, node, &sent, outcome);
}

bool node_api_restore(struct node_api *api, const struct node_address *node, const char *server,
                      const char *backup, const struct node_restore_order *order,
                      struct node_outcome *outcome)
{
    scope_buf struct buf body = BUF_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_field_string(&w, "adapter", adapter_name(order->adapter));
    json_field_bool(&w, "truncate_directory", order->truncate);
    json_field_string(&w, "download_url", order->download_url.data);
    if (order->checksum[0] != '\0')
        json_field_string(&w, "checksum", order->checksum);
    if (order->files != NULL) {
        json_key(&w, "files");
        api_files_write(&w, order->files);
    }
    if (order->leaves_ignored) {
        json_field_bool(&w, "leave_ignored", true);
        json_field_string(&w, "ignore", order->ignore.data);
    }
    if (order->id[0] != '\0')
        json_field_string(&w, "order", order->id);
    json_end_object(&w);
    struct order sent = {NODE_OP_RESTORE, {server, backup}, buf_slice(&body)};
    return send_order(api, node, &sent, outcome);
}

bool node_api_undo(struct node_api *api, const struct node_address *node, const char *server,
                   const char *order_id, struct node_outcome *outcome)
{
    scope_buf struct buf body = BUF_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_field_string(&w, "order", order_id);
    json_end_object(&w);
    struct order sent = {NODE_OP_UNDO, {server}, buf_slice(&body)};
    return send_order(api, node, &sent, outcome);
}

int node_api_is_restoring(struct node_api *api, const struct node_address *node, const char *server,
                          struct node_outcome *outcome)
{
    scope_json json_t *answer = NULL;
    struct order sent = {.operation = NODE_OP_SERVER, .ids = {server}, .answer_out = &answer};
    if (!send_order(api, node, &sent, outcome))
        return -1;
    const json_t *claim = json_object_get(answer, "is_restoring");
    return json_is_boolean(claim) ? json_is_true(claim) : -1;
}

bool node_api_delete(struct node_api *api, const struct node_address *node, const char *server,
                     const char *backup, struct node_outcome *outcome)
{
    struct order sent = {NODE_OP_BACKUP_DELETE, {server, backup}, {NULL, 0}};
    return send_order(api, node, &sent, outcome) || outcome->status == 404;
}

bool node_api_cancel_backup(struct node_api *api, const struct node_address *node,
                            const char *server, const char *backup, struct node_outcome *outcome)
{
    struct order sent = {NODE_OP_BACKUP_CANCEL, {server, backup}, slice_str("{}")};
    return send_order(api, node, &sent, outcome);
}

bool node_api_cancel_restore(struct node_api *api, const struct node_address *node,
                             const char *server, struct node_outcome *outcome)
{
    struct order sent = {NODE_OP_RESTORE_CANCEL, {server}, slice_str("{}")};
    return send_order(api, node, &sent, outcome);
}

json_t *node_api_files(struct node_api *api, const struct node_address *node, const char *server,
                       const struct node_files_query *query, struct node_outcome *outcome)
{
    json_t *answer = NULL;
    char page[64];
    snprintf(page, sizeof(page), "&page=%" PRId64 "&per_page=%" PRId64, query->page,
             query->per_page);
    struct order sent = {.operation = NODE_OP_FILES,
                         .ids = {server, query->backup},
                         .query_name = "directory",
                         .query = query->directory,
                         .more = page,
                         .answer_out = &answer};
    if (send_order(api, node, &sent, outcome) && answer == NULL)
        outcome->status = 502;
    return answer;
}

bool node_api_file_contents(struct node_api *api, const struct node_address *node,
                            const char *server, const char *backup, const char *file,
                            struct buf *contents, struct node_outcome *outcome)
{
    struct order sent = {.operation = NODE_OP_FILE_CONTENTS,
                         .ids = {server, backup},
                         .query_name = "file",
                         .query = file,
                         .body_out = contents};
    return send_order(api, node, &sent, outcome);
}

static unsigned read_features(const json_t *answer)
{
    const json_t *names = json_object_get(answer, "features");
    unsigned features = 0;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        for (unsigned bit = 1; name != NULL && bit < NODE_FEATURES_END; bit <<= 1)
            if (strcmp(name, node_feature_name(bit)) == 0)
                features |= bit;
    }
    return features;
}

bool node_api_system(struct node_api *api, const struct node_address *node, unsigned *features,
                     struct node_outcome *outcome)
{
    scope_json json_t *answer = NULL;
    struct order sent = {.operation = NODE_OP_SYSTEM, .answer_out = &answer};
    bool is_done = send_order(api, node, &sent, outcome);
    if (features != NULL)
        *features = read_features(answer);
    return is_done;
}

bool node_api_delete_server(struct node_api *api, const struct node_address *node,
                            const char *server, struct node_outcome *outcome)
{
    unsigned features = 0;
    if (!node_api_system(api, node, &features, outcome))
        return false;
    if ((features & NODE_FEATURE_DELETE_SERVER) == 0) {
        snprintf(outcome->error, sizeof(outcome->error),
                 "it does not say that it would keep the server's directory");
        return false;
    }
    struct order sent = {NODE_OP_SERVER_DELETE, {server}, {NULL, 0}};
    return send_order(api, node, &sent, outcome) || outcome->status == 404;
}
