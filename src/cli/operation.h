/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_OPERATION_H
#define CLI_OPERATION_H

#include "net/http.h"
#include "node/node.h"
#include "panel/panel.h"

/*
 * What operators' tools ask a running program, whatever its parts:
 *
 *     GET /healthz   200: it answers
 *     GET /readyz    200: its parts can work; 503 says which cannot
 *     GET /metrics   Prometheus' text format; to addresses of `allowed` only
 *
 * `panel` and `node` may be NULL; they and `allowed` (ended by NULL) are borrowed.  Free with
 * http_router_free(), before the parts are stopped.
 */
struct operation {
    struct panel *panel;
    struct node *node;
    const char *const *allowed; /* addresses or ranges (CIDR) */
};

/* NULL: all parts can work.  Else which cannot, for anybody to read, and `err` for the log. */
const char *operation_check(struct operation *operation, struct error *err);

struct http_router *operation_router(struct operation *operation);

#endif
