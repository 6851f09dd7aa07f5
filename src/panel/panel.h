/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_PANEL_H
#define PANEL_PANEL_H

#include "api/dialect.h"
#include "crypt/seal.h"
#include "db/db.h"
#include "net/http.h"

/*
 * The panel: users, servers and backups, who may do what, and the two APIs that say so.
 */
enum panel_dialect {
    PANEL_DIALECT_AUTO,
    PANEL_DIALECT_CLASSIC,
    PANEL_DIALECT_EXTENDED,
};

struct panel_config {
    const char *url; /* how clients reach us, without trailing slash: links and tokens say it */
    struct seal_keys app_keys;
    enum panel_dialect dialect;
    unsigned rate_limit_per_min; /* client API, per user; 0: none */
    unsigned throttle_limit;     /* backups per server and period; 0: no throttle */
    unsigned throttle_period_s;
    unsigned lease_s; /* how long a silent node's backup lives */
    unsigned download_url_life_s;
    unsigned workers;         /* for the client API; the remote API has as many */
    const char *node_ca_file; /* trusted for https nodes; NULL: the system's */
};

struct panel;

/* Prepares the schema and starts the workers.  `db` and strings are borrowed until panel_stop. */
struct panel *panel_start(struct db *db, const struct panel_config *config, struct error *err);

/*
 * /api/client and /api/remote.  Each has workers of its own, so that calls which wait for a node never
 * keep a node's report waiting.
 */
enum {
    PANEL_ROUTERS = 2
};
void panel_routers(struct panel *panel, struct http_router *routers[PANEL_ROUTERS]);

/* Prometheus' text of what the database knows; calls nobody.  Any thread that ends before panel_stop. */
int panel_metrics(struct panel *panel, struct buf *out, struct error *err);
/* Whether the database answers. */
int panel_check(struct panel *panel, struct error *err);

/* After the HTTP server was stopped. */
void panel_stop(struct panel *panel);

#endif
