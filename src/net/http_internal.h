/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "net/address_internal.h"
#include "net/guard.h"
#include "net/http.h"

/*
 * What the files of the server share.  A connection holds one exchange, which
 * serves its requests one after the other:
 *
 *     server.c     listens, knows all connections, stops
 *     exchange.c   one request from its first line to the end of its answer
 *     router.c     patterns to handlers          guard.c    refuses what is ambiguous
 *     request.c    what handlers ask of it       reply.c    what they answer
 *     watchdog.c   cuts off who is too slow      reply_file.c   ranges and conditions
 *                                                reply_stream.c bodies that are made meanwhile
 *
 * An exchange is touched by one thread at a time: libmicrohttpd's for its
 * connection, or a worker while the connection is suspended.
 */
enum {
    HTTP_METHODS = HTTP_OPTIONS + 1,
    HTTP_SEGMENTS_MAX = 32,
    HTTP_REPLY_HEADERS_MAX = 24,
    HTTP_KEPT_BODY_BYTES = 4 * 1024, /* of a body's memory, from one request to the next */
    HTTP_SMALL_BODY_BYTES =
        16 * 1024, /* of every body; what is beyond comes out of the common purse */
    HTTP_LARGE_BODIES_BYTES =
        16 * 1024 * 1024, /* the purse: all bodies of a server, beyond what is small */
    HTTP_UNREAD_MAX_BYTES =
        64 * 1024 /* of a refused request's body that is read to keep the connection */
};

/* --- router.c --- */

struct http_route_entry {
    enum http_method method;
    char *pattern;
    char *names[HTTP_PARAMS_MAX]; /* of its parameters, in order */
    size_t name_count;
    http_handler *handler;
    void *app;
    unsigned flags;
};

struct http_route_match {
    const struct http_route_entry *route; /* NULL: none */
    unsigned allowed;              /* bits of the methods that the path has; 0: no such path */
    char *values[HTTP_PARAMS_MAX]; /* point into the segments */
};

/* `segments` are NUL-ended and stay; those that are parameters are decoded in place. */
void router_match(const struct http_router *router, enum http_method method, char **segments,
                  size_t segment_count, struct http_route_match *match);
struct http_router *router_choose(struct http_router *const *routers, size_t count,
                                  const char *path);
const struct http_router_options *router_options(const struct http_router *router);
struct pool *router_pool(const struct http_router *router);
bool http_method_parse(const char *name, enum http_method *method);

/* --- reply.c --- */

struct http_reply_header_entry {
    char *name;
    char *value;
};

struct http_reply {
    unsigned status;
    struct buf body;
    struct http_reply_header_entry headers[HTTP_REPLY_HEADERS_MAX];
    size_t header_count;
    int fd; /* the body, where not -1 */
    uint64_t fd_offset, fd_length;
    struct websocket *websocket; /* to be opened by the answer 101 */
    struct http_stream *stream;  /* the body, where not NULL */
    bool must_close;
};

void reply_init(struct http_reply *reply);
void reply_clear(
    struct http_reply *reply); /* back to the start; memory is kept where it is small */
const char *reply_find_header(const struct http_reply *reply, const char *name);
void reply_drop_header(struct http_reply *reply, const char *name);

/* Gives the body away.  NULL where libmicrohttpd refuses. */
struct MHD_Response *reply_to_response(struct http_reply *reply, const char *request_id);

/* The whole answer as bytes, for when libmicrohttpd does not take one any more. */
void reply_to_bytes(const struct http_reply *reply, const char *request_id, struct buf *out);

/* --- reply_stream.c --- */

/* Of a stream that the reply holds: one of the two. */
struct MHD_Response *stream_make_response(struct http_stream *stream);
void stream_give_up(struct http_stream *stream);

/* The watchdog's look, under the server's lock: whether the client still waits. */
struct http_connection;
void stream_look(struct http_connection *connection, int64_t now_us);
void stream_forget_patience(struct http_connection *connection);
void stream_end_all(struct http_server *server); /* they notice, and end */

/* --- exchange.c, request.c --- */

enum exchange_stage {
    EXCHANGE_HEAD,
    EXCHANGE_BODY,
    EXCHANGE_SKIPPED_BODY, /* refused; the rest is read and thrown away */
    EXCHANGE_RUNNING,      /* a worker has it */
    EXCHANGE_ANSWERED,     /* the reply waits to be sent */
    EXCHANGE_SENT,
};

struct http_text {
    struct http_text *next;
    char text[];
};

struct http_exchange {
    struct http_server *server;
    struct http_connection *owner;
    struct MHD_Connection *connection;
    enum exchange_stage stage;
    struct http_request request;
    struct http_reply reply;
    char remote_address[ADDRESS_TEXT_BYTES];
    struct buf target;   /* as sent; cut at its '?' once it was checked */
    const char *query;   /* in `target`, or NULL */
    struct buf segments; /* the path again, cut at every '/' */
    struct buf body;
    uint64_t body_max_bytes;
    size_t purse_bytes;      /* taken out of the server's for this body */
    struct http_text *texts; /* decoded texts that handlers asked for */
    struct http_router *router;
    struct http_route_match match;
    unsigned refused_status; /* 0: not refused */
    const char *refused_reason;
    int64_t began_at_us; /* monotonic; 0 where nobody looks */
    bool has_unread_body;
    bool is_http_1_0;
};

void exchange_init(struct http_exchange *exchange, struct http_server *server,
                   struct http_connection *owner);
void exchange_free(struct http_exchange *exchange);

/* Callbacks of libmicrohttpd. */
void *exchange_on_target(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result exchange_on_access(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload_data,
                                   size_t *upload_data_size, void **context);
void exchange_on_completed(void *server, struct MHD_Connection *connection, void **context,
                           enum MHD_RequestTerminationCode termination);

/* Fills the reply with an error in the router's words. */
void exchange_write_error(struct http_exchange *exchange, unsigned status, const char *reason);

void request_make_id(char id[HTTP_REQUEST_ID_BYTES]);

/* Address and scheme of the client as trusted proxies tell them. */
void request_apply_proxies(struct http_exchange *exchange, const struct guard_field *fields,
                           size_t count);

/* --- server.c, watchdog.c --- */

enum connection_phase {
    CONNECTION_HEAD, /* the first head, since accept */
    CONNECTION_BODY,
    CONNECTION_BUSY, /* in a handler, or being answered */
    CONNECTION_IDLE, /* between two requests */
    CONNECTION_UPGRADED,
};

struct http_connection {
    struct http_connection *previous, *next;
    int fd;
    _Atomic(int) phase;           /* enum connection_phase */
    _Atomic(int64_t) deadline_us; /* of HEAD and BODY */
    _Atomic(uint64_t) generation; /* counts answers */
    uint64_t idle_generation;     /* what follows belongs to the watchdog */
    uint64_t idle_received_bytes;
    int64_t idle_deadline_us;          /* 0: nothing of the next head has come */
    _Atomic(int64_t) patient_until_us; /* of the request that is handled; 0: nobody asked */
    struct cancel patience;
    struct http_stream *stream; /* that is sent; the server's lock */
    char address[ADDRESS_TEXT_BYTES];
    struct http_exchange exchange;
};

struct watchdog;

struct http_server {
    struct MHD_Daemon *daemon;
    uint16_t port;
    bool is_tls;
    unsigned head_timeout_ms, body_timeout_ms;
    struct http_router **routers;
    size_t router_count;
    char **trusted_proxies;      /* ended by NULL; or NULL */
    _Atomic(bool) is_stopping;   /* answers end their connections */
    _Atomic(bool) is_ending;     /* workers no longer begin */
    _Atomic(unsigned) working;   /* exchanges in worker queues and handlers */
    _Atomic(unsigned) streaming; /* threads of streams */
    _Atomic(size_t) large_bodies_bytes;
    struct watchdog *watchdog;
    struct websocket_hub *hub;
    pthread_mutex_t mutex; /* guards the list */
    struct http_connection *first;
    _Atomic(bool) is_started;
    char log_text[200]; /* libmicrohttpd's last words, while starting */
};

static inline void connection_set_phase(struct http_connection *connection,
                                        enum connection_phase phase, int64_t deadline_us)
{
    atomic_store_explicit(&connection->deadline_us, deadline_us, memory_order_relaxed);
    atomic_store_explicit(&connection->phase, (int)phase, memory_order_release);
}

struct watchdog *watchdog_start(struct http_server *server);
void watchdog_stop(struct watchdog *watchdog);

/*
 * Reads for a while what a refused client still sends, so that the answer is not
 * lost to a reset when libmicrohttpd closes `fd` (of which this keeps a duplicate).
 */
void watchdog_linger(struct watchdog *watchdog, int fd);

#endif
