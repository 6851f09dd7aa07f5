/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and reading roost.yml, its secrets, and handing panel, node and listener what they want to
 * know.  No function here prints, and no error text holds a secret.
 */
#include "cli/config.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum {
    SECRET_MAX_BYTES = 4096,
    PEM_MAX_BYTES = 256 * 1024,
};

char *config_find(const char *given)
{
    if (given != NULL)
        return xstrdup(given);
    const char *environment = getenv("ROOST_CONFIG");
    if (environment != NULL && *environment != '\0')
        return xstrdup(environment);
    static const char *const places[] = {"./roost.yml", "/etc/roost/roost.yml"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (access(places[i], F_OK) == 0)
            return xstrdup(places[i]);
    }
    return NULL;
}

int config_read_file(const char *file, struct config *config, struct error *err)
{
    *config = (struct config){.file = NULL};
    if (settings_read(&config_settings, file, config, err) < 0) {
        config_free(config);
        return -1;
    }
    config->file = xstrdup(file);
    return 0;
}

int config_load(const char *given, struct config *config, struct error *err)
{
    scope_free char *file = config_find(given);
    if (file == NULL)
        return error_set(err, ERROR_NOT_FOUND,
                         "no configuration: neither ./roost.yml nor /etc/roost/roost.yml exists; "
                         "'roost init' makes one, '--config FILE' names one");
    return config_read_file(file, config, err);
}

void config_free(struct config *config)
{
    free(config->file);
    settings_free(&config_settings, config);
}

/* The file's text without blanks around it; `what` names the key in complaints. */
static int read_secret(const char *file, const char *what, struct buf *secret, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    if (*file == '\0')
        return error_set(err, ERROR_INVALID, "neither '%s' nor '%s_file' is set", what, what);
    if (file_read(AT_FDCWD, file, SECRET_MAX_BYTES, &text, err) < 0)
        return error_wrap(err, "reading '%s_file'", what);
    struct slice trimmed = text_trim(buf_slice(&text));
    if (trimmed.length == 0 || memchr(trimmed.data, '\0', trimmed.length) != NULL)
        error_set(err, ERROR_INVALID, "'%s_file': '%s' does not hold a secret", what, file);
    else
        buf_add(secret, trimmed.data, trimmed.length);
    explicit_bzero(text.data, text.length);
    return error_is_set(err) ? -1 : 0;
}

int config_read_app_key(struct config *config, struct error *err)
{
    scope_buf struct buf secret = BUF_INIT;
    if (*config->panel.app_key != '\0')
        return 0;
    if (read_secret(config->panel.app_key_file, "panel.app_key", &secret, err) < 0)
        return -1;
    free(config->panel.app_key);
    config->panel.app_key = buf_steal(&secret);
    return 0;
}

/* "ID.TOKEN" in `token` becomes both; an id that is configured must be the same one. */
static int split_token(struct config *config, struct error *err)
{
    const char *token = config->node.token;
    const char *dot = strchr(token, '.');
    if (dot == NULL)
        return 0;
    scope_free char *id = xstrndup(token, (size_t)(dot - token));
    if (*config->node.token_id != '\0' && strcmp(config->node.token_id, id) != 0)
        return error_set(err, ERROR_INVALID,
                         "'node.token_id' is not the id that the node's token begins with");
    free(config->node.token_id);
    config->node.token_id = scope_take(id);
    char *rest = xstrdup(dot + 1);
    explicit_bzero(config->node.token, strlen(config->node.token));
    free(config->node.token);
    config->node.token = rest;
    return 0;
}

int config_read_token(struct config *config, struct error *err)
{
    if (*config->node.token == '\0') {
        scope_buf struct buf secret = BUF_INIT;
        if (read_secret(config->node.token_file, "node.token", &secret, err) < 0)
            return -1;
        free(config->node.token);
        config->node.token = buf_steal(&secret);
    }
    if (split_token(config, err) < 0)
        return -1;
    if (*config->node.token_id == '\0')
        return error_set(err, ERROR_INVALID,
                         "the id of the node's token is missing: set 'node.token_id', or write the "
                         "token as 'ID.TOKEN'");
    return 0;
}

void config_add_panel_url(const struct config *config, struct buf *url)
{
    if (*config->panel.url != '\0') {
        buf_add_str(url, config->panel.url);
        while (url->length > 0 && url->data[url->length - 1] == '/')
            buf_truncate(url, url->length - 1);
        return;
    }
    const char *host = config->listen.address;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    bool is_ipv6 = strchr(host, ':') != NULL;
    const char *scheme = *config->listen.tls_certificate_file == '\0' ? "http" : "https";
    buf_printf(url, "%s://%s%s%s:%u", scheme, is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
               (unsigned)config->listen.port);
}

static int bad_url(const char *url, struct error *err)
{
    return error_set(err, ERROR_INVALID,
                     "'%.200s' is not an address like 'https://panel.example.com' or "
                     "'http://127.0.0.1:8080'",
                     url);
}

int url_split(const char *url, struct url_parts *parts, struct error *err)
{
    bool is_tls = text_starts_with(url, "https://");
    if (!is_tls && !text_starts_with(url, "http://"))
        return bad_url(url, err);
    const char *host = url + (is_tls ? strlen("https://") : strlen("http://"));
    size_t host_length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#@");
    if (host_length == 0 || host_length > strlen(host) || host_length >= sizeof(parts->host))
        return bad_url(url, err);
    const char *rest = host + host_length;
    uint64_t port = is_tls ? 443 : 80;
    if (*rest == ':') {
        size_t digits = strcspn(rest + 1, "/");
        scope_free char *text = xstrndup(rest + 1, digits);
        if (!text_to_u64(text, 1, 65535, &port))
            return bad_url(url, err);
        rest += 1 + digits;
    }
    if (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0)
        return bad_url(url, err);
    snprintf(parts->scheme, sizeof(parts->scheme), "%s", is_tls ? "https" : "http");
    memcpy(parts->host, host, host_length);
    parts->host[host_length] = '\0';
    parts->port = (uint16_t)port;
    return 0;
}

void url_join(const struct url_parts *parts, struct buf *url)
{
    bool is_default = parts->port == (strcmp(parts->scheme, "https") == 0 ? 443 : 80);
    buf_printf(url, "%s://%s", parts->scheme, parts->host);
    if (!is_default)
        buf_printf(url, ":%u", parts->port);
}

static const char *or_null(const char *text)
{
    return *text == '\0' ? NULL : text;
}

/* Every key of "base64:…" lines, or between commas. */
static int add_app_keys(struct seal_keys *keys, const char *text, struct error *err)
{
    size_t length;
    for (; *text != '\0'; text += length) {
        length = strspn(text, ", \t\r\n");
        text += length;
        length = strcspn(text, ", \t\r\n");
        scope_free char *key = xstrndup(text, length);
        int result = *key == '\0' ? 0 : seal_keys_add(keys, key, err);
        explicit_bzero(key, length);
        if (result < 0)
            return error_wrap(err, "reading 'panel.app_key'");
    }
    return 0;
}

int config_for_panel(const struct config *config, const char *url, struct panel_config *panel,
                     struct error *err)
{
    *panel = (struct panel_config){
        .url = url,
        .dialect = (enum panel_dialect)config->panel.dialect,
        .rate_limit_per_min = (unsigned)config->panel.rate_limit_per_min,
        .throttle_limit = (unsigned)config->panel.throttle_limit,
        .throttle_period_s = (unsigned)(config->panel.throttle_period_ms / 1000),
        .lease_s = (unsigned)(config->panel.lease_ms / 1000),
        .download_url_life_s = (unsigned)(config->panel.download_url_life_ms / 1000),
        .workers = (unsigned)config->panel.workers,
        .node_ca_file = or_null(config->ca_file),
    };
    return add_app_keys(&panel->app_keys, config->panel.app_key, err);
}

void config_for_node(const struct config *config, const char *panel_url, struct node_config *node)
{
    *node = (struct node_config){
        .panel_url = panel_url,
        .token_id = config->node.token_id,
        .token = config->node.token,
        .state_directory = config->node.state_directory,
        .backup_directory = config->node.backup_directory,
        .server_directory = config->node.server_directory,
        .panel_ca_file = or_null(config->ca_file),
        .compression = (enum archive_compression)config->node.compression,
        .checksum_type = (enum digest_type)config->node.checksum_type,
        .ignore_mode = (enum ignore_mode)config->node.ignore_mode,
        .compress_threads = (unsigned)config->node.compress_threads,
        .write_limit_bytes_per_s = config->node.write_limit_bytes_per_s,
        .read_limit_bytes_per_s = config->node.read_limit_bytes_per_s,
        .cpu_limit_percent = (unsigned)config->node.cpu_limit_percent,
        .io_class = (enum io_class)config->node.io_class,
        .nice = (int)config->node.nice,
        .backup_limit_bytes = config->node.backup_limit_bytes,
        .jobs_max = (unsigned)config->node.jobs_max,
        .workers = (unsigned)config->node.workers,
        .owner_policy = (enum node_owner_policy)config->node.owner_policy,
        .keeps_set_id = config->node.keeps_set_id,
        .deletes_archives = config->node.deletes_archives,
        .keeps_xattrs = config->node.keeps_xattrs,
        .exchange = (enum exchange_way)config->restore.exchange,
        .keep_ms = config->restore.keep_ms,
        .heartbeat_s = (unsigned)(config->node.heartbeat_ms / 1000),
    };
}

static int read_pem(const char *file, const char *key, struct buf *out, struct error *err)
{
    if (file_read(AT_FDCWD, file, PEM_MAX_BYTES, out, err) < 0)
        return error_wrap(err, "reading '%s'", key);
    return 0;
}

int config_for_listener(const struct config *config, struct http_server_config *http,
                        struct buf *certificate, struct buf *key, struct error *err)
{
    *http = (struct http_server_config){
        .address = config->listen.address,
        .port = (uint16_t)config->listen.port,
        .threads = (unsigned)config->listen.threads,
        .connections_max = (unsigned)config->listen.connections_max,
        .connections_per_address = (unsigned)config->listen.connections_per_address,
        .idle_timeout_s = (unsigned)(config->listen.idle_timeout_ms / 1000),
        .head_timeout_s = (unsigned)(config->listen.head_timeout_ms / 1000),
        .body_timeout_s = (unsigned)(config->listen.body_timeout_ms / 1000),
        .trusted_proxies = (const char *const *)config->listen.trusted_proxies,
    };
    bool has_certificate = *config->listen.tls_certificate_file != '\0';
    if (has_certificate != (*config->listen.tls_key_file != '\0'))
        return error_set(err, ERROR_INVALID,
                         "'listen.tls_certificate_file' and 'listen.tls_key_file' need each other");
    if (!has_certificate)
        return 0;
    if (read_pem(config->listen.tls_certificate_file, "listen.tls_certificate_file", certificate,
                 err) < 0 ||
        read_pem(config->listen.tls_key_file, "listen.tls_key_file", key, err) < 0)
        return -1;
    http->tls_certificate_pem = certificate->data;
    http->tls_key_pem = key->data;
    return 0;
}
