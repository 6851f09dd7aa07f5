/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scope.h"
#include "cli/settings.h"
#include "net/http.h"
#include "node/node.h"
#include "panel/panel.h"

/*
 * The configuration, roost.yml.  Looked for in this order: what --config names, $ROOST_CONFIG, ./roost.yml,
 * /etc/roost/roost.yml.  Every key can be given in the environment too (ROOST_LISTEN_PORT), which wins
 * over the file.  The fields here are filled through the table in config_keys.c, and only through it.
 *
 * Paths are absolute, "" is none.  Durations are milliseconds.
 */
struct config {
    char *data;
    char *ca_file;

    struct {
        char *address;
        uint64_t port;
        char *tls_certificate_file;
        char *tls_key_file;
        char **trusted_proxies;
        char **metrics_from;
        uint64_t threads;
        uint64_t connections_max;
        uint64_t connections_per_address;
        uint64_t idle_timeout_ms;
        uint64_t head_timeout_ms;
        uint64_t body_timeout_ms;
        uint64_t shutdown_grace_ms;
    } listen;

    struct {
        char *url;
        char *database;
        char *app_key; /* a secret */
        char *app_key_file;
        int dialect; /* enum panel_dialect */
        uint64_t rate_limit_per_min;
        uint64_t throttle_limit;
        uint64_t throttle_period_ms;
        uint64_t lease_ms;
        uint64_t download_url_life_ms;
        uint64_t workers;
    } panel;

    struct {
        char *panel_url;
        char *token_id;
        char *token; /* a secret */
        char *token_file;
        char *state_directory;
        char *backup_directory;
        char *server_directory;
        int compression;   /* enum archive_compression */
        int checksum_type; /* enum digest_type */
        int ignore_mode;   /* enum ignore_mode */
        uint64_t compress_threads;
        uint64_t write_limit_bytes_per_s;
        uint64_t read_limit_bytes_per_s;
        uint64_t cpu_limit_percent;
        int io_class; /* enum io_class */
        uint64_t nice;
        uint64_t backup_limit_bytes;
        uint64_t jobs_max;
        uint64_t workers;
        int owner_policy; /* enum node_owner_policy */
        bool keeps_set_id;
        bool deletes_archives;
        bool keeps_xattrs;
        uint64_t heartbeat_ms;
    } node;

    struct {
        int exchange; /* enum exchange_way */
        uint64_t keep_ms;
    } restore;

    struct {
        int level; /* enum log_level */
    } log;

    char *file; /* where it was read from */
};

extern const struct settings config_settings; /* the table: config_keys.c */

/*
 * The configuration's file: `given` (may be NULL), or the first of the search order that exists.  The result is the
 * caller's to free(); NULL where there is none.
 */
char *config_find(const char *given);

/* Finds and reads.  NOT_FOUND: there is no file.  INVALID: something in it is wrong. */
int config_load(const char *given, struct config *config, struct error *err);
int config_read_file(const char *file, struct config *config, struct error *err);
void config_free(struct config *config);

static inline void scope_config_end(struct config *config)
{
    config_free(config);
}
#define scope_config SCOPE(scope_config_end)

/*
 * Secrets, read from their files where they are not given directly: app_key; token_id and token (a
 * file, or a token, that holds "ID.TOKEN" gives both).  Each fills its fields.
 */
int config_read_app_key(struct config *config, struct error *err);
int config_read_token(struct config *config, struct error *err);

/* Appends "http://127.0.0.1:8080": panel.url, or what follows from the listener.  No trailing slash. */
void config_add_panel_url(const struct config *config, struct buf *url);

/* The parts of "https://host[:port]"; host keeps the brackets of an IPv6 address.  INVALID otherwise. */
struct url_parts {
    char scheme[8];
    char host[256];
    uint16_t port;
};
int url_split(const char *url, struct url_parts *parts, struct error *err);

/* Puts back together what url_split() took apart, without a default port. */
void url_join(const struct url_parts *parts, struct buf *url);

/*
 * What panel and node want to know.  Strings stay the config's (and `url`'s, certificate text's):
 * keep all of it until they stopped.
 */
int config_for_panel(const struct config *config, const char *url, struct panel_config *panel,
                     struct error *err);
void config_for_node(const struct config *config, const char *panel_url, struct node_config *node);

/* `certificate` and `key` are filled with PEM text where TLS is configured. */
int config_for_listener(const struct config *config, struct http_server_config *http,
                        struct buf *certificate, struct buf *key, struct error *err);

#endif
