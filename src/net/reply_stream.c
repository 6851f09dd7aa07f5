/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body that is made while it is sent.  A thread of its own writes into a ring, libmicrohttpd reads out of
 * it; where the ring is empty the connection is suspended until there is more, so that no thread of the
 * server waits.
 *
 * Two hold a stream: the response and, once it has begun, the thread.  Whoever lets go last frees it.
 * Locks, outer first: the server's, the stream's.
 */
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "net/http_internal.h"

enum {
    RING_BYTES = 256 * 1024,
    BLOCK_BYTES = 64 * 1024, /* that libmicrohttpd asks for at once */
    LOOK_MS = 250,
};

struct http_stream {
    const struct http_stream_ops *ops;
    void *context;
    uint64_t size_bytes; /* MHD_SIZE_UNKNOWN where nobody knows */
    struct http_server *server;
    struct http_connection *connection; /* the server's lock; NULL once the response has gone */
    struct MHD_Connection *suspended;   /* waits for bytes; NULL: it does not */
    struct cancel gone;

    pthread_mutex_t mutex; /* guards what follows, and `suspended` */
    pthread_cond_t has_changed;
    char *ring;
    size_t start, used;
    unsigned holders;
    bool has_begun, has_ended, has_failed;
};

static void let_go(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    bool is_last = --stream->holders == 0;
    pthread_mutex_unlock(&stream->mutex);
    if (!is_last)
        return;
    stream->ops->free(stream->context);
    pthread_mutex_destroy(&stream->mutex);
    pthread_cond_destroy(&stream->has_changed);
    free(stream->ring);
    free(stream);
}

/* Under the stream's lock. */
static void wake_reader(struct http_stream *stream)
{
    struct MHD_Connection *connection = stream->suspended;
    stream->suspended = NULL;
    if (connection != NULL)
        MHD_resume_connection(connection);
}

static void *run_stream(void *argument)
{
    struct http_stream *stream = argument;
    struct http_server *server = stream->server;
    struct error err = ERROR_INIT;
    int result = stream->ops->run(stream, stream->context, &err);
    pthread_mutex_lock(&stream->mutex);
    stream->has_ended = true;
    stream->has_failed = result < 0;
    wake_reader(stream);
    pthread_mutex_unlock(&stream->mutex);
    let_go(stream);
    atomic_fetch_sub(&server->streaming, 1); /* the last that is touched of the server */
    return NULL;
}

/* Under the stream's lock.  False: the server ends. */
static bool begin(struct http_stream *stream)
{
    struct http_server *server = stream->server;
    atomic_fetch_add(&server->streaming, 1);
    if (atomic_load(&server->is_ending)) { /* in this order: whoever ends us has seen the count */
        atomic_fetch_sub(&server->streaming, 1);
        return false;
    }
    stream->has_begun = true;
    stream->holders++;
    stream->ring = xmalloc(RING_BYTES);
    pthread_detach(thread_start("http-stream", run_stream, stream));
    return true;
}

static size_t take(struct http_stream *stream, char *out, size_t room)
{
    size_t length = stream->used;
    if (length > RING_BYTES - stream->start)
        length = RING_BYTES - stream->start;
    if (length > room)
        length = room;
    memcpy(out, stream->ring + stream->start, length);
    stream->start = (stream->start + length) % RING_BYTES;
    stream->used -= length;
    pthread_cond_signal(&stream->has_changed);
    return length;
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t room)
{
    struct http_stream *stream = context;
    struct MHD_Connection *connection = stream->connection->exchange.connection;
    ssize_t result = 0;
    pthread_mutex_lock(&stream->mutex);
    if (!stream->has_begun && !begin(stream))
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    else if (stream->used > 0)
        result = (ssize_t)take(stream, out, room);
    else if (stream->has_ended)
        result = stream->has_failed ? MHD_CONTENT_READER_END_WITH_ERROR
                                    : MHD_CONTENT_READER_END_OF_STREAM;
    if (result == 0) {
        stream->suspended = connection;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&stream->mutex);
    return result;
}

static void forget_stream(void *context)
{
    struct http_stream *stream = context;
    pthread_mutex_lock(&stream->server->mutex);
    stream->connection->stream = NULL;
    stream->connection = NULL;
    pthread_mutex_unlock(&stream->server->mutex);
    pthread_mutex_lock(&stream->mutex);
    cancel_set(&stream->gone);
    pthread_cond_signal(&stream->has_changed);
    pthread_mutex_unlock(&stream->mutex);
    let_go(stream);
}

static size_t put(struct http_stream *stream, const char *bytes, size_t length)
{
    size_t end = (stream->start + stream->used) % RING_BYTES;
    size_t room = RING_BYTES - stream->used;
    if (room > RING_BYTES - end)
        room = RING_BYTES - end;
    if (length > room)
        length = room;
    memcpy(stream->ring + end, bytes, length);
    stream->used += length;
    return length;
}

int http_stream_write(struct http_stream *stream, const void *bytes, size_t length,
                      struct error *err)
{
    pthread_mutex_lock(&stream->mutex);
    for (size_t done = 0; done < length && !cancel_is_set(&stream->gone);) {
        size_t taken = put(stream, (const char *)bytes + done, length - done);
        done += taken;
        if (taken > 0)
            wake_reader(stream);
        else
            thread_wait(&stream->has_changed, &stream->mutex, LOOK_MS);
    }
    pthread_mutex_unlock(&stream->mutex);
    return cancel_is_set(&stream->gone) ? error_set(err, ERROR_CANCELLED, "the client went away")
                                        : 0;
}

const struct cancel *http_stream_gone(const struct http_stream *stream)
{
    return &stream->gone;
}

void http_reply_stream(struct http_reply *reply, const struct http_request *request,
                       const struct http_stream_ops *ops, void *context, int64_t size_bytes)
{
    assert(reply->stream == NULL && reply->fd < 0);
    struct http_stream *stream = xcalloc(1, sizeof(*stream));
    stream->ops = ops;
    stream->context = context;
    stream->size_bytes = size_bytes < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)size_bytes;
    stream->server = request->exchange->server;
    stream->connection = request->exchange->owner;
    stream->holders = 1;
    pthread_mutex_init(&stream->mutex, NULL);
    thread_cond_init(&stream->has_changed);
    pthread_mutex_lock(&stream->server->mutex);
    stream->connection->stream = stream;
    pthread_mutex_unlock(&stream->server->mutex);
    reply->stream = stream;
}

struct MHD_Response *stream_make_response(struct http_stream *stream)
{
    return MHD_create_response_from_callback(stream->size_bytes, BLOCK_BYTES, read_stream, stream,
                                             forget_stream);
}

void stream_give_up(struct http_stream *stream)
{
    forget_stream(stream);
}

/* The other end has closed, or at least will say nothing more: nobody does that and waits for an answer. */
static bool has_left(const struct http_connection *connection)
{
    struct pollfd polled = {.fd = connection->fd, .events = POLLRDHUP};
    return poll(&polled, 1, 0) > 0 && (polled.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void stream_look(struct http_connection *connection, int64_t now_us)
{
    int64_t until_us = atomic_load(&connection->patient_until_us);
    if (until_us == 0 && connection->stream == NULL)
        return;
    bool is_gone = has_left(connection);
    if (until_us != 0 && (is_gone || now_us > until_us))
        cancel_set(&connection->patience);
    if (is_gone && connection->stream != NULL)
        cancel_set(&connection->stream->gone);
}

void stream_forget_patience(struct http_connection *connection)
{
    if (atomic_load(&connection->patient_until_us) == 0)
        return;
    /* Under the lock: a look that is being taken must not end the next request's patience. */
    struct http_server *server = connection->exchange.server;
    pthread_mutex_lock(&server->mutex);
    atomic_store(&connection->patient_until_us, 0);
    atomic_store(&connection->patience.is_cancelled, false);
    pthread_mutex_unlock(&server->mutex);
}

void stream_end_all(struct http_server *server)
{
    pthread_mutex_lock(&server->mutex);
    for (struct http_connection *c = server->first; c != NULL; c = c->next)
        if (c->stream != NULL)
            cancel_set(&c->stream->gone);
    pthread_mutex_unlock(&server->mutex);
}

const struct cancel *http_patience(const struct http_request *request, unsigned timeout_ms)
{
    struct http_connection *connection = request->exchange->owner;
    atomic_store(&connection->patient_until_us, time_monotonic_us() + (int64_t)timeout_ms * 1000);
    return &connection->patience;
}
