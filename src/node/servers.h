/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_SERVERS_H
#define NODE_SERVERS_H

#include "api/remote_api.h"

/*
 * The servers that the panel says are this node's.  Asked for as a whole when the panel can be
 * reached, and one by one where an unknown id turns up.  Thread-safe.
 */
struct servers;

struct servers *servers_create(struct remote_api *remote); /* borrowed */
void servers_free(struct servers *servers);

/* Replace everything that is known by the panel's list. */
int servers_refresh(struct servers *servers, struct error *err);

/* Ask the panel about one server again.  NOT_FOUND: it is not this node's (any more). */
int servers_sync(struct servers *servers, const char *uuid, struct error *err);

/*
 * 1: known; `server` (may be NULL) is the caller's to remote_server_free().  0: not this node's, or not a
 * canonical uuid.  -1: unknown, and the panel cannot be asked.
 */
int servers_find(struct servers *servers, const char *uuid, struct remote_server *server,
                 struct error *err);

/* As servers_find() for callers that have not shown a token: asks the panel twice a second at most, after a burst. */
int servers_find_gently(struct servers *servers, const char *uuid, struct error *err);

/* By uuid, with the list locked. */
void servers_each(struct servers *servers,
                  void (*visit)(const struct remote_server *server, void *context), void *context);

#endif
