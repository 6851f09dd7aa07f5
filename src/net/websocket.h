/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_WEBSOCKET_H
#define NET_WEBSOCKET_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Websockets (RFC 6455) over libwslay, on a connection that http_reply_websocket() handed over.
 * One thread serves all sockets of a server.  Text messages only; a message over 64 KiB, or a binary
 * one, closes the socket.  Pings are answered; an idle peer is pinged and dropped.
 *
 * Over TLS libmicrohttpd 0.9.75 passes an upgraded connection's bytes on by fours: short messages are quick, one
 * of 20 kB takes some 80 ms of a processor.  Where sockets are busy, let a proxy speak TLS.
 */
enum {
    WEBSOCKET_MESSAGE_MAX_BYTES = 64 * 1024,
    WEBSOCKET_QUEUE_MAX_BYTES = 256 * 1024
};

struct websocket;

/*
 * Called from the websocket thread, never two at once.  After an answer 101 `close` is called once,
 * whatever happens: where the client goes away too early even without `open`.
 */
struct websocket_ops {
    void (*open)(struct websocket *socket, void *context);
    void (*message)(struct websocket *socket, struct slice text, void *context);
    void (*close)(struct websocket *socket, void *context); /* `socket` is gone afterwards */
};

/* From any thread while the socket lives.  A peer that does not keep up (WEBSOCKET_QUEUE_MAX_BYTES) is dropped. */
void websocket_send(struct websocket *socket, struct slice text);

/* Close after what is queued was sent; `code` as in RFC 6455, section 7.4. */
void websocket_close(struct websocket *socket, unsigned code, const char *reason);

void websocket_set_data(struct websocket *socket, void *data);
void *websocket_data(const struct websocket *socket);

/*
 * References keep the struct (not the connection) alive for other threads:
 * a hub that sends takes one in `open` and drops it in `close`.
 */
struct websocket *websocket_ref(struct websocket *socket);
void websocket_unref(struct websocket *socket);

#endif
