/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_HUB_H
#define NODE_HUB_H

#include "net/http.h"
#include "node/journal.h"

/*
 * The websockets of all servers.  The conversation, each message {"event":…,"args":[…]}:
 *
 *     client                          node
 *     auth ["<signed token>"]    ->   auth success | jwt error ["…"]
 *                                <-   token expiring      a minute before its end
 *                                <-   token expired       then ten seconds for a new auth
 *                                <-   backup completed, backup completed:<uuid>, backup restore
 *                                     completed, daemon message
 *
 * A socket that does not show a good token within ten seconds is closed.  Events of backups go to
 * sockets whose token holds backup.read.  Thread-safe.
 */
struct hub;

struct hub *hub_create(struct journal *journal, const char *key); /* both borrowed */
void hub_free(struct hub *hub);                                   /* after every socket has gone */

/* Answer 101; the socket is `server`'s, which is known. */
void hub_accept(struct hub *hub, const char *server, const struct http_request *request,
                struct http_reply *reply);

/* `text` is one argument, a string; NULL: none. */
enum hub_audience {
    HUB_EVERYBODY,
    HUB_BACKUP_READERS,
};
void hub_send(struct hub *hub, const char *server, enum hub_audience audience, const char *event,
              const char *text);

/* Close the sockets whose token has this jti. */
void hub_deny(struct hub *hub, const char *jti);

#endif
