/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/thread.h"

/*
 * HTTP/1.1 server: transport without meaning, over libmicrohttpd.
 *
 *     router = http_router_create("panel", &options);
 *     http_route(router, HTTP_GET, "/api/client/servers/{server}/backups", list, app, HTTP_INLINE);
 *     server = http_server_start(&config, routers, 2, &err);
 *
 * A request reaches a handler only whole and unambiguous.  Refused before that, with the
 * router's error writer: header names that are no tokens, control bytes, more than one
 * Content-Length or Transfer-Encoding, both of them, a coding other than chunked,
 * not exactly one Host, versions other than 1.0 and 1.1, "%00" or bad escapes in the path (400); a
 * target (414), head (431) or body (413) over its limit; an unknown path (404) or method (405).
 * A client that drips its head or body is cut off at its deadline.  Bodies are kept in memory: 16 KiB of
 * each, and beyond that 16 MiB of all of them together; who finds no room is answered 503.
 */
enum http_method {
    HTTP_GET,
    HTTP_HEAD, /* served by the GET route, without the body */
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
};

enum {
    HTTP_PATH_MAX_BYTES = 2048, /* of the request target, with the query */
    HTTP_HEAD_MAX_BYTES = 16 * 1024,
    HTTP_PARAMS_MAX = 8,
    HTTP_REQUEST_ID_BYTES = UINT8_C(37),
};

/* Strings in a request live as long as the handler runs, no longer. */
struct http_request {
    enum http_method method;
    const char *path;  /* as sent, without query, not decoded; a trailing slash is gone */
    const char *route; /* the pattern that matched; NULL in an error writer before routing */
    const char *remote_address; /* "127.0.0.1", "::1"; after trusted proxies (X-Forwarded-For) */
    const char *host;           /* the Host header as sent */
    bool is_tls;                /* after trusted proxies (X-Forwarded-Proto) */
    struct slice body;
    char id[37]; /* a fresh UUID, sent back as X-Request-Id */
    struct http_exchange *exchange;
};

/* The header's value or NULL; names have no case.  Where it is sent twice: the first. */
const char *http_header(const struct http_request *request, const char *name);

/* A decoded query parameter or NULL.  Where it is sent twice: the last, as PHP does. */
const char *http_query(const struct http_request *request, const char *name);

/* The decoded text that stood at {name} in the route; never NULL for a name in the pattern. */
const char *http_param(const struct http_request *request, const char *name);

/* The token of "Authorization: Bearer TOKEN" (the word in any case), or NULL. */
const char *http_bearer(const struct http_request *request);

/*
 * What a handler answers.  It starts as 200 without headers and body.  A handler
 * fills it and returns; it is sent then.
 */
struct http_reply;
void http_reply_status(struct http_reply *reply, unsigned status);
unsigned http_reply_get_status(const struct http_reply *reply);
void http_reply_header(struct http_reply *reply, const char *name,
                       const char *value); /* replaces */

/* The body being built; content type "application/json" unless a header says otherwise. */
struct buf *http_reply_body(struct http_reply *reply);

/*
 * A file as the body: Range, If-Range, If-None-Match, If-Match and HEAD are answered here (RFC
 * 9110, sections 13 and 14; a single range), with ETag, Last-Modified and Accept-Ranges.  Sent with
 * sendfile where there is no TLS.  `fd` is taken over.  `etag` with its quotes.
 * The content type is "application/octet-stream" unless a header says otherwise.  Set
 * headers before: where the answer becomes an error (412, 416) those that describe the file go.
 */
void http_reply_file(struct http_reply *reply, const struct http_request *request, int fd,
                     uint64_t size_bytes, int64_t modified_at_us, const char *etag);

/*
 * A body that is made while it is sent, by a thread of its own; it begins once the head is on its way,
 * and never for HEAD.  `run` writes with http_stream_write(), which waits for a client that is slow.  A body
 * that `run` fails to complete is cut off, so that the client sees it is not whole.  `context` is freed when nobody needs
 * it any more, also where `run` never ran.  `size_bytes`: exactly so many will come; -1: chunked.
 */
struct http_stream;
struct http_stream_ops {
    int (*run)(struct http_stream *stream, void *context, struct error *err);
    void (*free)(void *context);
};
void http_reply_stream(struct http_reply *reply, const struct http_request *request,
                       const struct http_stream_ops *ops, void *context, int64_t size_bytes);

/* CANCELLED: the client has left, or the server stops. */
int http_stream_write(struct http_stream *stream, const void *bytes, size_t length,
                      struct error *err);
const struct cancel *http_stream_gone(const struct http_stream *stream);

/*
 * For handlers that may take long: set within about a second once the client has left, or `timeout_ms` are over.
 * Valid while the handler runs.
 */
const struct cancel *http_patience(const struct http_request *request, unsigned timeout_ms);

/*
 * Answer 101 and hand the connection to a websocket; see net/websocket.h.  Where the request is
 * no handshake the answer is 426 or 400 instead and no callback is ever called; look at
 * http_reply_get_status().
 */
struct websocket_ops;
void http_reply_websocket(struct http_reply *reply, const struct http_request *request,
                          const struct websocket_ops *ops, void *context);

/*
 * Handlers run inline on a server thread (short, never blocking: a cached or
 * prepared read), or on the router's own worker threads (anything that writes, waits or calls out).
 * Each router has its own workers, so that a handler may call another router of the same server.
 */
enum http_route_flags {
    HTTP_INLINE = 0,
    HTTP_WORKER = 1 << 0,
};

typedef void http_handler(const struct http_request *request, struct http_reply *reply, void *app);

/* Writes an error that the transport itself found; `status` is set already. `reason` is for people. */
typedef void http_error_writer(const struct http_request *request, struct http_reply *reply,
                               unsigned status, const char *reason, void *app);

struct http_router_options {
    unsigned workers;      /* worker threads */
    size_t queue_max;      /* waiting requests; beyond: 503 with Retry-After */
    size_t body_max_bytes; /* 413 beyond */
    http_error_writer *write_error;
    http_handler
        *after; /* runs after every handler and error writer, to add headers; may be NULL */
    void *app;  /* for write_error and after */
    const char *prefixes
        [8]; /* this router answers paths that begin so ("/api/client"); ended by NULL; none: all */
};

struct http_router;
struct http_router *http_router_create(const char *name, const struct http_router_options *options);

/*
 * `pattern`: "/api/servers/{server}/backup/{backup}"; a literal part wins over a parameter,
 * whatever the order of calls.  Before the server starts only.
 */
void http_route(struct http_router *router, enum http_method method, const char *pattern,
                http_handler *handler, void *app, unsigned flags);
void http_router_free(struct http_router *router); /* after the server was stopped */

/* Calls `visit` for every route: for documents and tests. */
void http_router_each(const struct http_router *router,
                      void (*visit)(enum http_method method, const char *pattern, void *context),
                      void *context);
const char *http_method_name(enum http_method method);

struct http_server_config {
    const char *address;             /* "127.0.0.1", "::", "0.0.0.0" */
    uint16_t port;                   /* 0: any free one */
    unsigned threads;                /* 0: one for each processor, at most 4 */
    const char *tls_certificate_pem; /* text of the chain; NULL: plain HTTP */
    const char *tls_key_pem;
    unsigned connections_max;         /* 0: 1000 */
    unsigned connections_per_address; /* 0: no limit of its own */
    unsigned idle_timeout_s;          /* keep-alive; 0: 60 */
    unsigned
        head_timeout_s; /* from accept (later: the head's first byte) to the whole head; 0: 10 */
    unsigned body_timeout_s;            /* from the head to the whole body; 0: 30 */
    const char *const *trusted_proxies; /* addresses or CIDR, ended by NULL; may be NULL */
    unsigned websocket_ping_s; /* a peer is pinged after that silence, dropped after twice; 0: 30 */
};

struct http_server;
struct http_server *http_server_start(const struct http_server_config *config,
                                      struct http_router *const *routers, size_t router_count,
                                      struct error *err);
uint16_t http_server_port(const struct http_server *server);

/*
 * Stops accepting, lets running handlers and answers end (at most `grace_ms`), closes
 * websockets, then frees everything but the routers.  After the grace requests that wait for a
 * worker are answered 503; a handler that has begun is waited for, however long it takes.
 */
void http_server_stop(struct http_server *server, unsigned grace_ms);

/* "Not Found" */
const char *http_status_text(unsigned status);

#endif
