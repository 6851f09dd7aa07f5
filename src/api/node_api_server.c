/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's end of the node API: bodies that a panel sends, and the error envelope.
 * Bodies are read whole or refused whole; nothing in an answer repeats what was sent.
 */
#include <assert.h>
#include <stdio.h>

#include "api/node_api.h"

void node_api_error(const struct http_request *request, struct http_reply *reply, unsigned status,
                    const char *detail)
{
    http_reply_status(reply, status);
    struct buf *body = http_reply_body(reply);
    buf_clear(body);
    struct json_writer w = json_writer_to(body);
    json_begin_object(&w);
    json_field_string(&w, "error", detail);
    json_field_string(&w, "request_id", request->id);
    json_end_object(&w);
}

/* The body as an object; NULL with the text for the wire. */
static json_t *read_object(struct slice body, struct error *err)
{
    if (body.length == 0) {
        error_set(err, ERROR_INVALID, "%s", NODE_ERROR_UNPARSABLE);
        return NULL;
    }
    struct error reason = ERROR_INIT;
    json_t *object = body.length > NODE_BODY_MAX_BYTES ? NULL : json_read(body, &reason);
    if (!json_is_object(object)) {
        json_decref(object);
        error_set(err, ERROR_INVALID, "%s", NODE_ERROR_UNEXPECTED);
        return NULL;
    }
    return object;
}

static int read_adapter(const json_t *object, enum node_adapter *adapter, struct error *err)
{
    const char *name = json_get_string(object, "adapter", "");
    if (strcmp(name, "wings") == 0)
        *adapter = NODE_ADAPTER_WINGS;
    else if (strcmp(name, "s3") == 0)
        *adapter = NODE_ADAPTER_S3;
    else
        return error_set(err, ERROR_INVALID, "%s", NODE_ERROR_ADAPTER);
    return 0;
}

/* A text of at most `limit_bytes`; absent and null leave `out` empty. */
static int read_text(const json_t *object, const char *key, size_t limit_bytes, struct buf *out,
                     struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return error_set(err, ERROR_INVALID, "The %s field must be a string.", key);
    if (json_string_length(value) > limit_bytes)
        return error_set(err, ERROR_INVALID, "The %s field may not be longer than %zu bytes.", key,
                         limit_bytes);
    buf_add(out, json_string_value(value), json_string_length(value));
    return 0;
}

int node_api_parse_backup(struct slice body, struct node_backup_order *order, struct error *err)
{
    *order = (struct node_backup_order){.ignore = BUF_INIT};
    scope_json json_t *object = read_object(body, err);
    if (object == NULL)
        return -1;
    if (read_adapter(object, &order->adapter, err) < 0)
        return -1;
    if (!uuid_canonicalize(json_get_string(object, "uuid", ""), order->backup))
        return error_set(err, ERROR_INVALID, "%s", NODE_ERROR_BAD_UUID);
    return read_text(object, "ignore", NODE_IGNORE_MAX_BYTES, &order->ignore, err);
}

/* Absent is false. */
static int read_flag(const json_t *object, const char *key, bool *value, struct error *err)
{
    const json_t *flag = json_object_get(object, key);
    if (flag != NULL && !json_is_boolean(flag))
        return error_set(err, ERROR_INVALID, "The %s field must be true or false.", key);
    *value = json_is_true(flag);
    return 0;
}

/* Absent and null are everything; so is a list that has the root in it. */
static int read_files(const json_t *object, struct selection **files, struct error *err)
{
    const json_t *list = json_object_get(object, "files");
    struct error reason = ERROR_INIT;
    int index;
    if (list == NULL || json_is_null(list))
        return 0;
    *files = api_files_read(list, &index, &reason);
    if (*files == NULL)
        return error_set(err, ERROR_INVALID, "The files field %s", reason.text);
    if (selection_is_everything(*files)) {
        selection_free(*files);
        *files = NULL;
    }
    return 0;
}

/* So that an order which a wire doubles is carried out once. */
static int read_order_id(const json_t *object, char id[UUID_TEXT_BYTES], struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    if (read_text(object, "order", UUID_TEXT_BYTES - 1, &text, err) < 0)
        return -1;
    if (text.length > 0 && !uuid_is_canonical(text.data))
        return error_set(err, ERROR_INVALID, "The order field must be a UUID.");
    snprintf(id, UUID_TEXT_BYTES, "%s", text.data);
    return 0;
}

int node_api_parse_undo(struct slice body, char id[UUID_TEXT_BYTES], struct error *err)
{
    id[0] = '\0';
    if (body.length == 0)
        return 0;
    scope_json json_t *object = read_object(body, err);
    return object == NULL ? -1 : read_order_id(object, id, err);
}

int node_api_parse_restore(struct slice body, struct node_restore_order *order, struct error *err)
{
    *order = (struct node_restore_order){.download_url = BUF_INIT, .ignore = BUF_INIT};
    scope_json json_t *object = read_object(body, err);
    if (object == NULL)
        return -1;
    if (read_adapter(object, &order->adapter, err) < 0)
        return -1;
    if (read_order_id(object, order->id, err) < 0)
        return -1;
    if (read_flag(object, "truncate_directory", &order->truncate, err) < 0)
        return -1;
    if (read_files(object, &order->files, err) < 0)
        return -1;
    if (read_flag(object, "leave_ignored", &order->leaves_ignored, err) < 0)
        return -1;
    if (order->leaves_ignored &&
        read_text(object, "ignore", NODE_IGNORE_MAX_BYTES, &order->ignore, err) < 0)
        return -1;
    if (read_text(object, "download_url", NODE_URL_MAX_BYTES, &order->download_url, err) < 0)
        return -1;
    if (order->adapter == NODE_ADAPTER_S3 && order->download_url.length == 0)
        return error_set(err, ERROR_INVALID, "%s", NODE_ERROR_NO_URL);
    scope_buf struct buf checksum = BUF_INIT;
    if (read_text(object, "checksum", sizeof(order->checksum) - 1, &checksum, err) < 0)
        return -1;
    snprintf(order->checksum, sizeof(order->checksum), "%s", checksum.data);
    return 0;
}

int node_api_parse_jtis(struct slice body,
                        int (*visit)(const char *jti, void *context, struct error *err),
                        void *context, struct error *err)
{
    scope_json json_t *object = read_object(body, err);
    if (object == NULL)
        return -1;
    const json_t *list = json_object_get(object, "jtis");
    if (!json_is_array(list) || json_array_size(list) > NODE_JTIS_MAX)
        return error_set(err, ERROR_INVALID, "The jtis field must be a list of at most %d.",
                         NODE_JTIS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *jti = json_array_get(list, i);
        size_t length = json_string_length(jti);
        if (length == 0 || length > NODE_JTI_MAX_BYTES)
            return error_set(err, ERROR_INVALID, "The jtis field holds what is no identifier.");
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        if (visit(json_string_value(json_array_get(list, i)), context, err) < 0)
            return -1;
    return 0;
}

bool node_api_read_backup(const struct http_request *request, struct http_reply *reply,
                          struct node_backup_order *order)
{
    struct error err = ERROR_INIT;
    if (node_api_parse_backup(request->body, order, &err) == 0)
        return true;
    node_backup_order_free(order);
    node_api_error(request, reply, 400, err.text);
    return false;
}

bool node_api_read_restore(const struct http_request *request, struct http_reply *reply,
                           struct node_restore_order *order)
{
    struct error err = ERROR_INIT;
    if (node_api_parse_restore(request->body, order, &err) == 0)
        return true;
    node_restore_order_free(order);
    node_api_error(request, reply, 400, err.text);
    return false;
}

void node_backup_order_free(struct node_backup_order *order)
{
    buf_free(&order->ignore);
    order->ignore = (struct buf)BUF_INIT;
}

void node_restore_order_free(struct node_restore_order *order)
{
    buf_free(&order->download_url);
    buf_free(&order->ignore);
    selection_free(order->files);
    *order = (struct node_restore_order){.download_url = BUF_INIT, .ignore = BUF_INIT};
}
