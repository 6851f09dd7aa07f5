/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler answers, until it is libmicrohttpd's. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "net/http_internal.h"
#include "net/websocket_internal.h"

void reply_init(struct http_reply *reply)
{
    *reply = (struct http_reply){.status = 200, .body = BUF_INIT, .fd = -1};
}

void reply_clear(struct http_reply *reply)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        free(reply->headers[i].name);
        free(reply->headers[i].value);
    }
    if (reply->fd >= 0)
        close(reply->fd);
    if (reply->websocket != NULL)
        websocket_give_up(reply->websocket);
    if (reply->stream != NULL)
        stream_give_up(reply->stream);
    buf_free(&reply->body);
    reply->status = 200;
    reply->header_count = 0;
    reply->fd = -1;
    reply->websocket = NULL;
    reply->stream = NULL;
    reply->must_close = false;
}

void http_reply_status(struct http_reply *reply, unsigned status)
{
    reply->status = status;
}

unsigned http_reply_get_status(const struct http_reply *reply)
{
    return reply->status;
}

static struct http_reply_header_entry *find(const struct http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (text_equals_ignoring_case(reply->headers[i].name, name))
            return (struct http_reply_header_entry *)&reply->headers[i];
    return NULL;
}

const char *reply_find_header(const struct http_reply *reply, const char *name)
{
    const struct http_reply_header_entry *header = find(reply, name);
    return header == NULL ? NULL : header->value;
}

void reply_drop_header(struct http_reply *reply, const char *name)
{
    struct http_reply_header_entry *header = find(reply, name);
    if (header == NULL)
        return;
    free(header->name);
    free(header->value);
    *header = reply->headers[--reply->header_count];
}

/* A value may repeat what a client sent: it must not be able to end the line. */
static char *make_value(const char *value)
{
    char *copy = xstrdup(value);
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return copy;
}

void http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
    struct http_reply_header_entry *header = find(reply, name);
    if (header != NULL) {
        free(header->value);
    } else {
        assert(reply->header_count < HTTP_REPLY_HEADERS_MAX);
        header = &reply->headers[reply->header_count++];
        header->name = xstrdup(name);
    }
    header->value = make_value(value);
}

struct buf *http_reply_body(struct http_reply *reply)
{
    return &reply->body;
}

static bool has_no_body(const struct http_reply *reply)
{
    return reply->status < 200 || reply->status == 204 || reply->status == 304;
}

static struct MHD_Response *make_response(struct http_reply *reply)
{
    if (reply->websocket != NULL)
        return websocket_make_response(reply->websocket);
    if (reply->stream != NULL && !has_no_body(reply)) {
        struct MHD_Response *response = stream_make_response(reply->stream);
        if (response != NULL)
            reply->stream = NULL; /* ends with the response */
        return response;
    }
    if (reply->fd >= 0 && !has_no_body(reply)) {
        struct MHD_Response *response =
            MHD_create_response_from_fd_at_offset64(reply->fd_length, reply->fd, reply->fd_offset);
        if (response != NULL)
            reply->fd = -1; /* closed with the response */
        return response;
    }
    if (reply->body.length == 0 || has_no_body(reply)) {
        static char nothing[1];
        return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    }
    size_t length = reply->body.length;
    return MHD_create_response_from_buffer_with_free_callback(length, buf_steal(&reply->body),
                                                              free);
}

struct MHD_Response *reply_to_response(struct http_reply *reply, const char *request_id)
{
    bool is_file = reply->fd >= 0 || reply->stream != NULL;
    bool has_body = !has_no_body(reply) && (reply->body.length > 0 || is_file);
    struct MHD_Response *response = make_response(reply);
    if (response == NULL)
        return NULL;
    if (has_body && find(reply, MHD_HTTP_HEADER_CONTENT_TYPE) == NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                is_file ? "application/octet-stream" : "application/json");
    MHD_add_response_header(response, "X-Request-Id", request_id);
    if (reply->must_close)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    for (size_t i = 0; i < reply->header_count; i++)
        if (!has_no_body(reply) ||
            !text_equals_ignoring_case(reply->headers[i].name, "Content-Type"))
            MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    return response;
}

void reply_to_bytes(const struct http_reply *reply, const char *request_id, struct buf *out)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", reply->status, http_status_text(reply->status));
    if (find(reply, MHD_HTTP_HEADER_CONTENT_TYPE) == NULL)
        buf_add_str(out, "Content-Type: application/json\r\n");
    for (size_t i = 0; i < reply->header_count; i++)
        buf_printf(out, "%s: %s\r\n", reply->headers[i].name, reply->headers[i].value);
    buf_printf(out, "X-Request-Id: %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
               request_id, reply->body.length);
    buf_add(out, reply->body.data, reply->body.length);
}
