/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_WEBSOCKET_INTERNAL_H
#define NET_WEBSOCKET_INTERNAL_H

#include <microhttpd.h>

#include "net/websocket.h"

/*
 * Between server and websockets:
 *
 *     websocket_handshake.c   the answer 101, and how a connection changes hands
 *     websocket.c             the thread that serves all sockets, and what others may ask of one
 */
struct websocket_hub;

struct websocket_hub *websocket_hub_start(unsigned ping_s);

/* Closes all sockets (1001); those that come later are closed at once. */
void websocket_hub_stop(struct websocket_hub *hub);
void websocket_hub_free(
    struct websocket_hub *hub); /* it goes with the last reference to a socket */

/* `key` is the client's Sec-WebSocket-Key.  The reference is the caller's. */
struct websocket *websocket_create(struct websocket_hub *hub, const struct websocket_ops *ops,
                                   void *context, const char *key);
struct MHD_Response *websocket_make_response(struct websocket *socket);

/* Drops the reference; where the socket never opened, its `close` is called. */
void websocket_give_up(struct websocket *socket);

/* The connection of `socket`, from now on the hub's; `early` bytes were read already. */
void websocket_adopt(struct websocket *socket, int fd, struct MHD_UpgradeResponseHandle *handle,
                     struct slice early);
const char *websocket_accept_text(const struct websocket *socket);

#endif
