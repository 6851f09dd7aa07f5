/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "archive/archive.h"
#include "base/budget.h"
#include "crypt/digest.h"
#include "net/http.h"
#include "snapshot/ignore.h"
#include "tree/exchange.h"

/*
 * The node: takes orders from a panel, and turns server directories into backups and back.
 *
 * On disk:
 *     <state>/node.db                      the journal: jobs, outbox, denied tokens, directories
 *     <backups>/<server>/<backup>.tar.gz   archives; Wings' flat <backups>/<backup>.tar.gz is found too
 *     <servers>/<server>/                  server directories that were not attached elsewhere
 */
enum node_owner_policy {
    NODE_OWNER_ARCHIVE,   /* restored files get the owner that the archive says */
    NODE_OWNER_DIRECTORY, /* … the owner of the server directory */
};

struct node_config {
    const char *panel_url;
    const char *token_id;
    const char *token;
    const char *state_directory;
    const char *backup_directory;
    const char *server_directory;
    const char *panel_ca_file; /* NULL: the system's */
    enum archive_compression compression;
    enum digest_type checksum_type;
    enum ignore_mode ignore_mode;     /* of orders' patterns and of tenants' .pteroignore */
    unsigned compress_threads;        /* 0: automatic */
    uint64_t write_limit_bytes_per_s; /* 0: none */
    uint64_t
        read_limit_bytes_per_s;  /* of a job, from the server's directory or the archive; 0: none */
    unsigned cpu_limit_percent;  /* of one processor, for a job; 0: none */
    enum io_class io_class;      /* of jobs */
    int nice;                    /* of jobs, 0 to 19 */
    uint64_t backup_limit_bytes; /* of one archive; 0: none */
    unsigned jobs_max;           /* at once */
    unsigned workers;            /* HTTP */
    enum node_owner_policy owner_policy;
    bool keeps_set_id;
    bool keeps_xattrs;          /* extended attributes and ACLs, both ways */
    enum exchange_way exchange; /* how a restored tree takes the live one's place */
    bool deletes_archives;      /* of a server that the panel deletes */
    uint64_t keep_ms;           /* how long the replaced tree is kept; 0: not at all */
    unsigned heartbeat_s;
};

struct node;

/*
 * Opens the journal, settles what a crash left (within seconds), and starts the runners.
 * Strings are borrowed until node_stop.  CONFLICT: another process holds the state directory.
 */
struct node *node_start(const struct node_config *config, struct error *err);

/* Once the panel can be reached: fetches the servers, sends what is in the outbox.  Never blocks. */
void node_connect(struct node *node);

/* /api/servers, /api/system, /download. */
struct http_router *node_router(struct node *node);

/* Prometheus' text of what the node knows of itself; calls nobody.  Any thread that ends before node_stop. */
int node_metrics(struct node *node, struct buf *out, struct error *err);
/* Whether the journal answers; does not return while the queue is stuck. */
int node_check(struct node *node, struct error *err);

/* Ends running jobs at their next step (the journal keeps them), joins everything.  After the HTTP server was stopped. */
void node_stop(struct node *node);

/*
 * For the command line, with or without a running node: where a server's directory is.
 * Stored in the journal's database.  `path` absolute, an existing directory.
 */
int node_attach_directory(const char *state_directory, const char *server_uuid, const char *path,
                          struct error *err);
int node_detach_directory(const char *state_directory, const char *server_uuid, struct error *err);

/* Every attached directory, by uuid; ends early, with its -1, where `visit` returns one. */
int node_each_directory(const char *state_directory,
                        int (*visit)(const char *server_uuid, const char *path, void *context,
                                     struct error *err),
                        void *context, struct error *err);

#endif
