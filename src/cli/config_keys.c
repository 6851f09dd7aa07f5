/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of roost.yml's keys.  What a key is called, takes and defaults to stands here and nowhere
 * else; the manual page roost.yml(5) is compared with it by a test.
 */
#include <stddef.h>

#include "base/log.h"
#include "cli/config.h"

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
};

static const struct setting_choice dialects[] = {
    {"auto", PANEL_DIALECT_AUTO},
    {"classic", PANEL_DIALECT_CLASSIC},
    {"extended", PANEL_DIALECT_EXTENDED},
    {NULL, 0},
};

static const struct setting_choice compressions[] = {
    {"fast", ARCHIVE_FAST},
    {"balanced", ARCHIVE_BALANCED},
    {"best", ARCHIVE_BEST},
    {"store", ARCHIVE_STORE},
    {"none", ARCHIVE_STORE},
    {"best_speed", ARCHIVE_FAST},
    {"best_compression", ARCHIVE_BEST},
    {NULL, 0},
};

static const struct setting_choice checksums[] = {
    {"sha256", DIGEST_SHA256},
    {"sha1", DIGEST_SHA1},
    {NULL, 0},
};

static const struct setting_choice ignore_modes[] = {
    {"wings", IGNORE_WINGS},
    {"git", IGNORE_GIT},
    {NULL, 0},
};

static const struct setting_choice io_classes[] = {
    {"idle", IO_CLASS_IDLE},
    {"best-effort", IO_CLASS_BEST_EFFORT},
    {"none", IO_CLASS_NONE},
    {NULL, 0},
};

static const struct setting_choice owners[] = {
    {"archive", NODE_OWNER_ARCHIVE},
    {"directory", NODE_OWNER_DIRECTORY},
    {NULL, 0},
};

static const struct setting_choice exchanges[] = {
    {"auto", EXCHANGE_AUTO},
    {"directory", EXCHANGE_DIRECTORY},
    {"entries", EXCHANGE_ENTRIES},
    {NULL, 0},
};

static const struct setting_choice levels[] = {
    {"error", LOG_ERROR},
    {"warning", LOG_WARNING},
    {"info", LOG_INFO},
    {"debug", LOG_DEBUG},
    {NULL, 0},
};

#define AT(field) .offset = offsetof(struct config, field)

static const struct setting table[] = {
    {"data", SETTING_PATH, "roost-data", AT(data),
     .description =
         "Directory that holds everything which is not placed elsewhere. In other paths, "
         "'$data/' at the beginning stands for it."},
    {"ca_file", SETTING_PATH, "", AT(ca_file),
     .description = "PEM file of certificate authorities that panel and node trust besides the "
                    "system's, when one calls the other over https."},

    {"listen.address", SETTING_TEXT, "127.0.0.1", AT(listen.address),
     .description = "Address to listen on; '0.0.0.0' or '::' for all."},
    {"listen.port", SETTING_COUNT, "8080", AT(listen.port), .unit = "port", .min = 1, .max = 65535,
     .description = "TCP port to listen on."},
    {"listen.tls_certificate_file", SETTING_PATH, "", AT(listen.tls_certificate_file),
     .description = "PEM file of the certificate and its chain. With it and the key, the listener "
                    "speaks https only."},
    {"listen.tls_key_file", SETTING_PATH, "", AT(listen.tls_key_file),
     .description = "PEM file of the certificate's private key."},
    {"listen.trusted_proxies", SETTING_LIST, "", AT(listen.trusted_proxies),
     .description = "Addresses or ranges (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are "
                    "believed."},
    {"listen.metrics_from", SETTING_LIST, "127.0.0.0/8, ::1", AT(listen.metrics_from),
     .description = "Addresses or ranges (CIDR) that may read /metrics."},
    {"listen.threads", SETTING_COUNT, "0", AT(listen.threads), .unit = "threads", .max = 64,
     .description = "Threads that serve connections; 0: one for each processor, at most 4."},
    {"listen.connections_max", SETTING_COUNT, "1000", AT(listen.connections_max),
     .unit = "connections", .min = 1, .max = 100000,
     .description = "Connections at once; further ones are turned away."},
    {"listen.connections_per_address", SETTING_COUNT, "0", AT(listen.connections_per_address),
     .unit = "connections", .max = 100000,
     .description = "Connections at once from one address; 0: no limit of its own. Behind a proxy, "
                    "all come from its address."},
    {"listen.idle_timeout", SETTING_DURATION, "60 s", AT(listen.idle_timeout_ms), .min = SECOND_MS,
     .max = DAY_MS, .description = "How long a connection may rest between requests."},
    {"listen.head_timeout", SETTING_DURATION, "10 s", AT(listen.head_timeout_ms), .min = SECOND_MS,
     .max = HOUR_MS, .description = "How long a client may take to send a request's head."},
    {"listen.body_timeout", SETTING_DURATION, "30 s", AT(listen.body_timeout_ms), .min = SECOND_MS,
     .max = HOUR_MS, .description = "How long a client may take to send a request's body."},
    {"listen.shutdown_grace", SETTING_DURATION, "10 s", AT(listen.shutdown_grace_ms),
     .max = HOUR_MS,
     .description = "How long answers that are being sent may go on when the program stops."},

    {"panel.url", SETTING_TEXT, "", AT(panel.url),
     .description =
         "How clients and nodes reach the panel, without a path: links, tokens and the node "
         "use it. Default: the listener's own address."},
    {"panel.database", SETTING_DATABASE, "sqlite:$data/panel.db", AT(panel.database),
     .description = "The panel's database."},
    {"panel.app_key", SETTING_SECRET, "", AT(panel.app_key),
     .description =
         "Key that seals API keys and node tokens in the database, as 'base64:…'; several, "
         "separated by commas: the first seals, all open. Wins over panel.app_key_file."},
    {"panel.app_key_file", SETTING_PATH, "$data/app.key", AT(panel.app_key_file),
     .description = "File that holds that key, one a line."},
    {"panel.dialect", SETTING_CHOICE, "auto", AT(panel.dialect), .choices = dialects,
     .description = "Which of the two documented sets of statuses and exception names clients get; "
                    "'auto' goes by the request's Accept header."},
    {"panel.rate_limit", SETTING_COUNT, "720", AT(panel.rate_limit_per_min),
     .unit = "requests per minute", .max = 1000000,
     .description = "Requests to the client API from one user; 0: no limit."},
    {"panel.throttle.limit", SETTING_COUNT, "2", AT(panel.throttle_limit), .unit = "backups",
     .max = 100000,
     .description = "Backups of one server that may be started within panel.throttle.period; 0: no "
                    "throttle."},
    {"panel.throttle.period", SETTING_DURATION, "10 min", AT(panel.throttle_period_ms),
     .min = SECOND_MS, .max = UINT64_C(365) * DAY_MS,
     .description = "The period of panel.throttle.limit."},
    {"panel.lease", SETTING_DURATION, "10 min", AT(panel.lease_ms), .min = 10 * SECOND_MS,
     .max = UINT64_C(7) * DAY_MS,
     .description = "How long a node may be silent about a backup that it makes before the backup "
                    "counts as failed. Well above node.heartbeat."},
    {"panel.download_url_life", SETTING_DURATION, "1 h", AT(panel.download_url_life_ms),
     .min = 10 * SECOND_MS, .max = UINT64_C(7) * DAY_MS,
     .description = "How long a download address can be used, and its download be resumed."},
    {"panel.workers", SETTING_COUNT, "4", AT(panel.workers), .unit = "threads", .min = 1,
     .max = 256, .description = "Threads for requests that write or call a node."},

    {"node.panel_url", SETTING_TEXT, "", AT(node.panel_url),
     .description = "The panel that the node reports to. Default: panel.url."},
    {"node.token_id", SETTING_TEXT, "", AT(node.token_id),
     .description =
         "Id of the node's token, 16 characters; not needed where the token is written as "
         "'ID.TOKEN'."},
    {"node.token", SETTING_SECRET, "", AT(node.token),
     .description = "The node's token, with or without its id. Wins over node.token_file."},
    {"node.token_file", SETTING_PATH, "$data/node.token", AT(node.token_file),
     .description = "File that holds the token."},
    {"node.state_directory", SETTING_PATH, "$data/node", AT(node.state_directory),
     .description = "Where the node keeps its journal: jobs, reports not yet sent, the servers' "
                    "directories."},
    {"node.backup_directory", SETTING_PATH, "$data/node/backups", AT(node.backup_directory),
     .description = "Where archives rest, as SERVER/BACKUP.tar.gz."},
    {"node.server_directory", SETTING_PATH, "$data/node/servers", AT(node.server_directory),
     .description =
         "Where server directories are that were not attached elsewhere, by their uuid."},
    {"node.compression", SETTING_CHOICE, "fast", AT(node.compression), .choices = compressions,
     .description =
         "How hard to compress: 'balanced' takes a fifth more time than 'fast' and saves "
         "half a per cent, 'best' takes ten times as long. Wings' names none, best_speed "
         "and best_compression are understood too."},
    {"node.checksum", SETTING_CHOICE, "sha256", AT(node.checksum_type), .choices = checksums,
     .description = "Digest of archives that is reported to the panel; sha1 is Wings' own."},
    {"node.ignore_mode", SETTING_CHOICE, "wings", AT(node.ignore_mode), .choices = ignore_modes,
     .description = "What ignore patterns mean, a backup's and those of .pteroignore: what they "
                    "mean to Wings, or "
                    "what they mean in a .gitignore."},
    {"node.compress_threads", SETTING_COUNT, "0", AT(node.compress_threads), .unit = "threads",
     .max = 64,
     .description = "Threads that compress one backup; 0: one for each processor, at most 4. "
                    "More than 8 count as 8."},
    {"node.write_limit", SETTING_SIZE, "0", AT(node.write_limit_bytes_per_s),
     .unit = "bytes per second",
     .description = "How fast one job may write, for the neighbours' sake: of a backup the "
                    "archive, of a restore what "
                    "is restored; 0: as fast as it goes. Wings' write_limit, which counts in MiB."},
    {"node.read_limit", SETTING_SIZE, "0", AT(node.read_limit_bytes_per_s),
     .unit = "bytes per second",
     .description = "How fast one job may read: for a backup the server's directory, for a restore "
                    "the archive; 0: "
                    "as fast as it goes."},
    {"node.cpu_limit", SETTING_COUNT, "0", AT(node.cpu_limit_percent), .unit = "percent",
     .max = 6400,
     .description = "Processor time that one job may use, all its threads together, in per cent of "
                    "one processor; "
                    "0: no limit."},
    {"node.io_class", SETTING_CHOICE, "idle", AT(node.io_class), .choices = io_classes,
     .description =
         "How the kernel serves the disk requests of jobs: 'idle', while nobody else has any; "
         "'best-effort', last of all; 'none', like anybody's."},
    {"node.nice", SETTING_COUNT, "5", AT(node.nice), .unit = "levels", .max = 19,
     .description = "Nice level of jobs: who else wants the processor gets more of it."},
    {"node.backup_limit", SETTING_SIZE, "0", AT(node.backup_limit_bytes),
     .description =
         "Largest archive that is made; a backup that grows beyond it fails; 0: no limit."},
    {"node.jobs", SETTING_COUNT, "2", AT(node.jobs_max), .unit = "jobs", .min = 1, .max = 64,
     .description =
         "Backups and restores that run at once, one for each server; further ones wait."},
    {"node.workers", SETTING_COUNT, "2", AT(node.workers), .unit = "threads", .min = 1, .max = 256,
     .description = "Threads for the panel's orders."},
    {"node.restore_owner", SETTING_CHOICE, "archive", AT(node.owner_policy), .choices = owners,
     .description = "Who owns restored files: whom the archive names, or the owner of the server's "
                    "directory."},
    {"node.keep_set_id", SETTING_BOOLEAN, "false", AT(node.keeps_set_id),
     .description = "Whether restored files keep their set-user-id and set-group-id bits."},
    {"node.delete_archives", SETTING_BOOLEAN, "false", AT(node.deletes_archives),
     .description = "Whether the archives of a server go when the panel deletes it. Its jobs end "
                    "in any case."},
    {"node.xattrs", SETTING_BOOLEAN, "false", AT(node.keeps_xattrs),
     .description =
         "Whether backups hold extended attributes and POSIX ACLs, and restores set them; "
         "capabilities and 'trusted' ones only with node.keep_set_id."},
    {"node.heartbeat", SETTING_DURATION, "1 s", AT(node.heartbeat_ms), .min = SECOND_MS,
     .max = HOUR_MS,
     .description = "How often the node tells the panel that a backup is still being made, and how "
                    "far it is."},

    {"restore.exchange", SETTING_CHOICE, "auto", AT(restore.exchange), .choices = exchanges,
     .description =
         "How a restored tree takes the live one's place: 'directory' exchanges the two in one "
         "rename; with 'entries' the server's directory stays the same one, as those need who hold "
         "it (Wings, SFTP sessions, bind mounts, mount points), and its entries are renamed. "
         "'auto' "
         "takes the first where nobody is seen to hold the directory."},
    {"restore.keep", SETTING_DURATION, "24 h", AT(restore.keep_ms), .max = UINT64_C(365) * DAY_MS,
     .description =
         "How long the tree that a restore replaced is kept beside the server's directory, so that "
         "'roost restore undo' can bring it back; only the last one of each server, not when its "
         "room is needed, not after a restore of single files, and not where one leaves more than "
         "4 GiB live that the file system cannot clone; 0: not at all."},

    {"log.level", SETTING_CHOICE, "info", AT(log.level), .choices = levels,
     .description = "What is logged to standard error: this level and the ones before it."},
};

const struct settings config_settings = {
    .table = table,
    .count = sizeof(table) / sizeof(table[0]),
    .target_size = sizeof(struct config),
    .environment_prefix = "ROOST_",
};
