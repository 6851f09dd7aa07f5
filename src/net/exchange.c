/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one request.  libmicrohttpd calls exchange_on_access once with the
 * head, then with pieces of the body, then once more when all is read, and again after a
 * worker has resumed the connection; `stage` says which of these it is.
 *
 * A request that is refused before its body was read ends the connection, unless what
 * is left is little: then it is read and thrown away, and the connection goes on.
 */
#include <assert.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/time.h"
#include "net/http_internal.h"

void exchange_init(struct http_exchange *exchange, struct http_server *server,
                   struct http_connection *owner)
{
    *exchange = (struct http_exchange){.server = server,
                                       .owner = owner,
                                       .target = BUF_INIT,
                                       .segments = BUF_INIT,
                                       .body = BUF_INIT};
    reply_init(&exchange->reply);
}

static void reset(struct http_exchange *exchange)
{
    reply_clear(&exchange->reply);
    while (exchange->texts != NULL) {
        struct http_text *next = exchange->texts->next;
        free(exchange->texts);
        exchange->texts = next;
    }
    if (exchange->body.capacity > HTTP_KEPT_BODY_BYTES)
        buf_free(&exchange->body);
    buf_clear(&exchange->body);
    atomic_fetch_sub(&exchange->server->large_bodies_bytes, exchange->purse_bytes);
    exchange->purse_bytes = 0;
    stream_forget_patience(exchange->owner);
    exchange->query = NULL;
    exchange->router = NULL;
    exchange->match = (struct http_route_match){.allowed = 0};
    exchange->refused_status = 0;
    exchange->has_unread_body = false;
    exchange->stage = EXCHANGE_HEAD;
}

void exchange_free(struct http_exchange *exchange)
{
    reset(exchange);
    buf_free(&exchange->target);
    buf_free(&exchange->segments);
    buf_free(&exchange->body);
}

void *exchange_on_target(void *server, const char *target, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *owner = info->socket_context;
    struct http_exchange *exchange = &owner->exchange;
    exchange->connection = connection;
    /* One byte over the limit is enough for the guard to see. */
    buf_clear(&exchange->target);
    buf_add(&exchange->target, target, strnlen(target, HTTP_PATH_MAX_BYTES + 1));
    exchange->began_at_us = log_get_level() >= LOG_DEBUG ? time_monotonic_us() : 0;
    return exchange;
}

struct fields {
    struct guard_field at[GUARD_FIELDS_MAX];
    size_t count; /* also counts those that found no place */
};

static enum MHD_Result collect_field(void *context, enum MHD_ValueKind kind, const char *name,
                                     size_t name_length, const char *value, size_t value_length)
{
    struct fields *fields = context;
    if (fields->count < GUARD_FIELDS_MAX)
        fields->at[fields->count] =
            (struct guard_field){.name = slice_of(name, name_length),
                                 .value = slice_of(value == NULL ? "" : value, value_length)};
    fields->count++;
    return MHD_YES;
}

static void refuse(struct http_exchange *exchange, unsigned status, const char *reason)
{
    exchange->refused_status = status;
    exchange->refused_reason = reason;
}

/* Cuts the target into path, query and segments. */
static size_t cut_target(struct http_exchange *exchange, const char *path_in_target,
                         char *segments[HTTP_SEGMENTS_MAX + 1])
{
    char *path = (char *)path_in_target;
    char *question = strchr(path, '?');
    if (question != NULL) {
        *question = '\0';
        exchange->query = question + 1;
    }
    size_t length = strlen(path);
    if (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    exchange->request.path = path;

    buf_clear(&exchange->segments);
    buf_add(&exchange->segments, path, length);
    size_t count = 0;
    for (char *cursor = exchange->segments.data; *cursor == '/' && length > 1;) {
        if (count == HTTP_SEGMENTS_MAX + 1)
            break;
        *cursor++ = '\0';
        segments[count++] = cursor;
        cursor += strcspn(cursor, "/");
    }
    return count;
}

static void add_allow(struct http_exchange *exchange)
{
    char text[64] = "";
    size_t length = 0;
    for (unsigned i = 0; i < HTTP_METHODS; i++)
        if ((exchange->match.allowed & 1U << i) != 0)
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
                                       length > 0 ? ", " : "", http_method_name(i));
    http_reply_header(&exchange->reply, "Allow", text);
}

static void find_route(struct http_exchange *exchange, const char *path, const char *method)
{
    char *segments[HTTP_SEGMENTS_MAX + 1];
    size_t count = cut_target(exchange, path, segments);
    const struct http_server *server = exchange->server;
    exchange->router = router_choose(server->routers, server->router_count, exchange->request.path);
    bool is_known = http_method_parse(method, &exchange->request.method);
    if (exchange->router != NULL && count <= HTTP_SEGMENTS_MAX)
        router_match(exchange->router, exchange->request.method, segments, count, &exchange->match);
    if (exchange->match.allowed == 0)
        refuse(exchange, 404, "There is nothing at this address.");
    else if (!is_known || exchange->match.route == NULL)
        refuse(exchange, 405, "This address does not know the method.");
    else
        exchange->request.route = exchange->match.route->pattern;
}

static struct guard_verdict check_head(struct http_exchange *exchange, const char *version,
                                       struct fields *fields)
{
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    fields->count = 0;
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, collect_field, fields);
    struct guard_head head = {.version = version,
                              .target = exchange->target.data,
                              .bytes = size->header_size,
                              .fields = fields->at,
                              .field_count = fields->count};
    return guard_check(&head);
}

static const char *find_host(const struct fields *fields)
{
    for (size_t i = 0; i < fields->count && i < GUARD_FIELDS_MAX; i++)
        if (fields->at[i].name.length == 4 && strncasecmp(fields->at[i].name.data, "host", 4) == 0)
            return fields->at[i].value.data;
    return "";
}

static void fill_request(struct http_exchange *exchange, const struct fields *fields)
{
    memcpy(exchange->remote_address, exchange->owner->address, sizeof(exchange->remote_address));
    struct http_request *request = &exchange->request;
    *request = (struct http_request){.method = HTTP_GET,
                                     .path = exchange->target.data,
                                     .remote_address = exchange->remote_address,
                                     .host = find_host(fields),
                                     .is_tls = exchange->server->is_tls,
                                     .body = slice_of("", 0),
                                     .exchange = exchange};
    request_make_id(request->id);
}

void exchange_write_error(struct http_exchange *exchange, unsigned status, const char *reason)
{
    /* Nobody's path: the first router's words. */
    const struct http_router *router =
        exchange->router != NULL ? exchange->router : exchange->server->routers[0];
    const struct http_router_options *options = router_options(router);
    exchange->reply.status = status;
    options->write_error(&exchange->request, &exchange->reply, status, reason, options->app);
}

static void run_after(struct http_exchange *exchange)
{
    if (exchange->router == NULL)
        return;
    const struct http_router_options *options = router_options(exchange->router);
    if (options->after != NULL)
        options->after(&exchange->request, &exchange->reply, options->app);
}

static void answer_refusal(struct http_exchange *exchange)
{
    if (exchange->refused_status == 405)
        add_allow(exchange);
    exchange_write_error(exchange, exchange->refused_status, exchange->refused_reason);
    run_after(exchange);
    exchange->stage = EXCHANGE_ANSWERED;
}

static enum MHD_Result send_reply(struct http_exchange *exchange)
{
    struct http_reply *reply = &exchange->reply;
    bool is_upgrade = reply->websocket != NULL;
    if (atomic_load_explicit(&exchange->server->is_stopping, memory_order_relaxed) && !is_upgrade)
        reply->must_close = true;
    struct MHD_Response *response = reply_to_response(reply, exchange->request.id);
    if (response == NULL)
        return MHD_NO;
    connection_set_phase(exchange->owner, is_upgrade ? CONNECTION_UPGRADED : CONNECTION_BUSY, 0);
    exchange->stage = EXCHANGE_SENT;
    enum MHD_Result result = MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Refused with the body unread: libmicrohttpd closes the connection after the answer. */
static enum MHD_Result send_refusal_at_once(struct http_exchange *exchange, bool has_body)
{
    exchange->has_unread_body = has_body;
    exchange->reply.must_close = true;
    answer_refusal(exchange);
    return send_reply(exchange);
}

static enum MHD_Result begin(struct http_exchange *exchange, const char *method,
                             const char *version)
{
    struct fields fields;
    struct guard_verdict verdict = check_head(exchange, version, &fields);
    fill_request(exchange, &fields);
    exchange->is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (verdict.status != 0) {
        refuse(exchange, verdict.status, verdict.reason);
        exchange->target.data[strcspn(exchange->target.data, "?")] = '\0';
        return send_refusal_at_once(exchange, true);
    }
    request_apply_proxies(exchange, fields.at, fields.count);
    find_route(exchange, verdict.path, method);
    exchange->body_max_bytes =
        exchange->router == NULL ? 0 : router_options(exchange->router)->body_max_bytes;
    bool is_refused = exchange->refused_status != 0;
    if (!is_refused && verdict.has_body && verdict.body_bytes > exchange->body_max_bytes)
        refuse(exchange, 413, "The request's body is too large.");
    if (exchange->refused_status != 0 && verdict.has_body &&
        (verdict.is_chunked || verdict.body_bytes > HTTP_UNREAD_MAX_BYTES || !is_refused))
        return send_refusal_at_once(exchange, true);

    exchange->stage = exchange->refused_status != 0 ? EXCHANGE_SKIPPED_BODY : EXCHANGE_BODY;
    int64_t deadline_us =
        verdict.has_body ? time_monotonic_us() + (int64_t)exchange->server->body_timeout_ms * 1000
                         : 0;
    connection_set_phase(exchange->owner, verdict.has_body ? CONNECTION_BODY : CONNECTION_BUSY,
                         deadline_us);
    return MHD_YES;
}

/* The answer as bytes, past libmicrohttpd, which takes none while a body is read. */
static void send_past_library(struct http_exchange *exchange)
{
    struct buf bytes = BUF_INIT;
    reply_to_bytes(&exchange->reply, exchange->request.id, &bytes);
    const union MHD_ConnectionInfo *tls =
        exchange->server->is_tls
            ? MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
            : NULL;
    /* Best effort: it fits into the empty socket buffer, or the client has gone. */
    ssize_t sent = tls != NULL ? gnutls_record_send(tls->tls_session, bytes.data, bytes.length)
                               : send(exchange->owner->fd, bytes.data, bytes.length,
                                      MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
    buf_free(&bytes);
}

/*
 * Nobody knows yet whether the client may do anything here at all, so what strangers can make us
 * keep is bounded for all connections together.  False: there is no room now.
 */
static bool make_room(struct http_exchange *exchange, size_t body_bytes)
{
    if (body_bytes <= HTTP_SMALL_BODY_BYTES + exchange->purse_bytes)
        return true;
    _Atomic(size_t) *purse = &exchange->server->large_bodies_bytes;
    size_t more_bytes = body_bytes - HTTP_SMALL_BODY_BYTES - exchange->purse_bytes;
    if (atomic_fetch_add(purse, more_bytes) + more_bytes > HTTP_LARGE_BODIES_BYTES) {
        atomic_fetch_sub(purse, more_bytes);
        return false;
    }
    exchange->purse_bytes += more_bytes;
    return true;
}

static enum MHD_Result take_body(struct http_exchange *exchange, const char *bytes, size_t *length)
{
    size_t taken = *length;
    *length = 0;
    if (exchange->stage == EXCHANGE_SKIPPED_BODY)
        return MHD_YES;
    bool is_too_large = taken > exchange->body_max_bytes - exchange->body.length;
    if (!is_too_large && make_room(exchange, exchange->body.length + taken)) {
        buf_add(&exchange->body, bytes, taken);
        return MHD_YES;
    }
    if (is_too_large) {
        refuse(exchange, 413, "The request's body is too large.");
    } else {
        refuse(exchange, 503, "Too many large requests are on their way.");
        http_reply_header(&exchange->reply, "Retry-After", "1");
    }
    exchange->has_unread_body = true;
    answer_refusal(exchange);
    send_past_library(exchange);
    return MHD_NO;
}

static void run_handler(struct http_exchange *exchange)
{
    const struct http_route_entry *route = exchange->match.route;
    route->handler(&exchange->request, &exchange->reply, route->app);
    run_after(exchange);
    exchange->stage = EXCHANGE_ANSWERED;
}

static void run_in_worker(void *argument)
{
    struct http_exchange *exchange = argument;
    struct http_server *server = exchange->server;
    if (atomic_load(&server->is_ending)) {
        refuse(exchange, 503, "The server is stopping.");
        answer_refusal(exchange);
    } else {
        run_handler(exchange);
    }
    MHD_resume_connection(exchange->connection);
    /* From here on the exchange is the server thread's, and may be gone. */
    atomic_fetch_sub(&server->working, 1);
}

static enum MHD_Result hand_to_worker(struct http_exchange *exchange)
{
    struct error err = ERROR_INIT;
    struct http_server *server = exchange->server;
    atomic_fetch_add(&server->working, 1);
    if (atomic_load(&server->is_ending)) { /* in this order: whoever ends us has seen the count */
        atomic_fetch_sub(&server->working, 1);
        refuse(exchange, 503, "The server is stopping.");
        answer_refusal(exchange);
        return send_reply(exchange);
    }
    exchange->stage = EXCHANGE_RUNNING;
    /* Before the worker has it: it may be done before the next line. */
    MHD_suspend_connection(exchange->connection);
    if (pool_submit(router_pool(exchange->router), run_in_worker, exchange, &err) == 0)
        return MHD_YES;
    http_reply_header(&exchange->reply, "Retry-After", "1");
    refuse(exchange, 503, "Too many requests are waiting.");
    answer_refusal(exchange);
    MHD_resume_connection(exchange->connection);
    atomic_fetch_sub(&server->working, 1);
    return MHD_YES;
}

static enum MHD_Result finish_reading(struct http_exchange *exchange)
{
    connection_set_phase(exchange->owner, CONNECTION_BUSY, 0);
    exchange->request.body = buf_slice(&exchange->body);
    if (exchange->stage == EXCHANGE_SKIPPED_BODY) {
        answer_refusal(exchange);
        return send_reply(exchange);
    }
    if ((exchange->match.route->flags & HTTP_WORKER) != 0)
        return hand_to_worker(exchange);
    run_handler(exchange);
    return send_reply(exchange);
}

enum MHD_Result exchange_on_access(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload_data,
                                   size_t *upload_data_size, void **context)
{
    struct http_exchange *exchange = *context;
    switch (exchange->stage) {
    case EXCHANGE_HEAD:
        return begin(exchange, method, version);
    case EXCHANGE_BODY:
    case EXCHANGE_SKIPPED_BODY:
        if (*upload_data_size > 0)
            return take_body(exchange, upload_data, upload_data_size);
        return finish_reading(exchange);
    case EXCHANGE_RUNNING:
        return MHD_YES;
    case EXCHANGE_ANSWERED:
        return send_reply(exchange);
    case EXCHANGE_SENT:
        return MHD_YES;
    }
    return MHD_NO;
}

static void log_access(const struct http_exchange *exchange, int outcome)
{
    if (exchange->began_at_us == 0 || exchange->stage == EXCHANGE_HEAD)
        return;
    log_debug("request method=%s path=%s status=%u us=%lld client=%s id=%s%s",
              http_method_name(exchange->request.method), exchange->request.path,
              exchange->reply.status, (long long)(time_monotonic_us() - exchange->began_at_us),
              exchange->remote_address, exchange->request.id,
              outcome == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " cut");
}

void exchange_on_completed(void *server, struct MHD_Connection *connection, void **context,
                           enum MHD_RequestTerminationCode termination)
{
    struct http_exchange *exchange = *context;
    if (exchange == NULL)
        return;
    log_access(exchange, (int)termination);
    if (exchange->has_unread_body)
        watchdog_linger(exchange->server->watchdog, exchange->owner->fd);
    reset(exchange);
    struct http_connection *owner = exchange->owner;
    if (atomic_load_explicit(&owner->phase, memory_order_relaxed) == CONNECTION_UPGRADED)
        return;
    atomic_fetch_add_explicit(&owner->generation, 1, memory_order_relaxed);
    connection_set_phase(owner, CONNECTION_IDLE, 0);
}
