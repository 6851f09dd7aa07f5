/* SPDX-License-Identifier: Apache-2.0 */
/* The panel's end of the client API: what answers say. */
#include <string.h>

#include "api/client_api.h"
#include "base/text.h"
#include "base/time.h"

static void put_time(struct json_writer *w, const char *key, int64_t at_us)
{
    char text[TIME_TEXT_BYTES];
    if (at_us != 0)
        time_format_atom(at_us, text);
    json_field_string(w, key, at_us != 0 ? text : NULL);
}

static void put_known(struct json_writer *w, const char *key, bool is_known, uint64_t value)
{
    json_key(w, key);
    if (is_known)
        json_put_uint(w, value);
    else
        json_put_null(w);
}

static void put_progress(struct json_writer *w, const struct client_progress *progress)
{
    json_key(w, "progress");
    json_begin_object(w);
    json_field_string(w, "phase", progress->is_waiting ? "waiting" : "archiving");
    json_field_uint(w, "files", progress->entries);
    json_field_uint(w, "bytes", progress->content_bytes);
    put_known(w, "expected_bytes", progress->expected_bytes > 0, progress->expected_bytes);
    put_known(w, "bytes_per_second", progress->bytes_per_second > 0, progress->bytes_per_second);
    put_known(w, "eta_seconds", progress->has_eta, progress->eta_seconds);
    json_end_object(w);
}

void client_api_write_backup(struct json_writer *w, const struct client_backup *backup)
{
    static const char sha256[] = "sha256:";
    bool is_list = backup->ignored_files != NULL && backup->ignored_files[0] == '[';
    bool has_sha256 = backup->checksum != NULL && text_starts_with(backup->checksum, sha256);
    json_begin_object(w);
    json_field_string(w, "object", "backup");
    json_key(w, "attributes");
    json_begin_object(w);
    json_field_string(w, "uuid", backup->uuid);
    json_field_bool(w, "is_successful", backup->is_successful);
    json_field_bool(w, "is_locked", backup->is_locked);
    json_field_string(w, "name", backup->name);
    json_key(w, "ignored_files");
    json_put_raw(w, slice_str(is_list ? backup->ignored_files : "[]"));
    json_field_string(w, "checksum", backup->checksum);
    json_field_string(w, "sha256_hash", has_sha256 ? backup->checksum + strlen(sha256) : NULL);
    json_field_uint(w, "bytes", backup->bytes);
    put_time(w, "created_at", backup->created_at_us);
    put_time(w, "completed_at", backup->completed_at_us);
    if (backup->has_progress)
        put_progress(w, &backup->progress);
    json_end_object(w);
    json_end_object(w);
}

static void put_link(struct json_writer *w, const char *key,
                     const struct client_pagination *pagination, int64_t page)
{
    scope_buf struct buf url = BUF_INIT;
    buf_printf(&url, "%s?%spage=%lld", pagination->base_url,
               pagination->query == NULL ? "" : pagination->query, (long long)page);
    /* Upstream forgets the size of a page; whoever follows its links reads some rows twice. */
    if (pagination->page.per_page != 20)
        buf_printf(&url, "&per_page=%lld", (long long)pagination->page.per_page);
    json_field_string(w, key, url.data);
}

void client_api_write_pagination(struct json_writer *w, const struct client_pagination *pagination)
{
    const struct client_page *page = &pagination->page;
    int64_t pages = (pagination->total + page->per_page - 1) / page->per_page;
    if (pages == 0)
        pages = 1;
    json_key(w, "pagination");
    json_begin_object(w);
    json_field_int(w, "total", pagination->total);
    json_field_int(w, "count", pagination->count);
    json_field_int(w, "per_page", page->per_page);
    json_field_int(w, "current_page", page->page);
    json_field_int(w, "total_pages", pages);
    json_key(w, "links");
    json_begin_object(w);
    if (page->page > 1)
        put_link(w, "previous", pagination, page->page - 1 < pages ? page->page - 1 : pages);
    if (page->page < pages)
        put_link(w, "next", pagination, page->page + 1);
    json_end_object(w);
    json_end_object(w);
}

static void put_limits(struct json_writer *w, const struct client_server *server)
{
    json_key(w, "limits");
    json_begin_object(w);
    json_field_int(w, "memory", server->memory_mib);
    json_field_int(w, "swap", server->swap_mib);
    json_field_int(w, "disk", server->disk_mib);
    json_field_int(w, "io", server->io_weight);
    json_field_int(w, "cpu", server->cpu_percent);
    json_field_string(w, "threads", NULL);
    json_field_bool(w, "oom_disabled", false);
    json_end_object(w);
    json_key(w, "feature_limits");
    json_begin_object(w);
    json_field_int(w, "databases", 0);
    json_field_int(w, "allocations", 0);
    json_field_int(w, "backups", server->backup_limit);
    json_end_object(w);
}

static void put_last_restore(struct json_writer *w, const struct client_last_restore *last)
{
    char completed_at[TIME_TEXT_BYTES];
    json_key(w, "last_restore");
    if (last->backup == NULL) {
        json_put_null(w);
        return;
    }
    time_format_atom(last->completed_at_us, completed_at);
    json_begin_object(w);
    json_field_string(w, "backup", last->backup);
    json_field_bool(w, "is_undo", last->is_undo);
    json_field_bool(w, "is_successful", last->is_successful);
    json_field_string(w, "completed_at", completed_at);
    json_field_string(w, "error", last->error);
    char kept_until[TIME_TEXT_BYTES];
    time_format_atom(last->kept_until_us, kept_until);
    json_key(w, "kept_until");
    json_put_string(w, last->kept_until_us == 0 ? NULL : kept_until);
    json_end_object(w);
}

/* "object" and "attributes", inside an open object. */
static void put_server(struct json_writer *w, const struct client_server *server)
{
    const char *status = server->status != NULL ? server->status : "";
    json_field_string(w, "object", "server");
    json_key(w, "attributes");
    json_begin_object(w);
    json_field_bool(w, "server_owner", server->is_owner);
    json_field_string(w, "identifier", server->uuid_short);
    json_field_int(w, "internal_id", server->id);
    json_field_string(w, "uuid", server->uuid);
    json_field_string(w, "name", server->name);
    json_field_string(w, "node", server->node_name);
    json_field_bool(w, "is_node_under_maintenance", server->is_node_under_maintenance);
    json_key(w, "sftp_details");
    json_begin_object(w);
    json_field_string(w, "ip", server->node_fqdn);
    json_field_int(w, "port", 2022);
    json_end_object(w);
    json_field_string(w, "description", server->description != NULL ? server->description : "");
    put_limits(w, server);
    json_field_string(w, "status", server->status);
    json_field_bool(w, "is_suspended", strcmp(status, "suspended") == 0);
    json_field_bool(w, "is_installing",
                    strcmp(status, "installing") == 0 || strcmp(status, "install_failed") == 0);
    json_field_bool(w, "is_transferring", server->is_transferring);
    if (server->last_restore != NULL)
        put_last_restore(w, server->last_restore);
    json_end_object(w);
}

void client_api_write_server(struct json_writer *w, const struct client_server *server)
{
    json_begin_object(w);
    put_server(w, server);
    json_end_object(w);
}

void client_api_write_server_answer(struct json_writer *w, const struct client_server *server,
                                    const char *const *permissions)
{
    json_begin_object(w);
    put_server(w, server);
    json_key(w, "meta");
    json_begin_object(w);
    json_field_bool(w, "is_server_owner", server->is_owner);
    json_key(w, "user_permissions");
    json_begin_array(w);
    for (; *permissions != NULL; permissions++)
        json_put_string(w, *permissions);
    json_end_array(w);
    json_end_object(w);
    json_end_object(w);
}

struct permission_group {
    const char *name;
    const char *description;
    struct {
        const char *key;
        const char *description;
    } keys[6]; /* ended by a NULL key */
};

static const struct permission_group permission_groups[] = {
    {"websocket",
     "What a user may learn from the server's websocket.",
     {{"connect", "Connect to the websocket and follow what happens to backups."}}},
    {"backup",
     "What a user may do with the server's backups.",
     {{"create", "Create backups."},
      {"read", "See the backups that exist."},
      {"delete", "Delete, lock and unlock backups."},
      {"download", "Download backups, and with them every file of the server."},
      {"restore", "Restore a backup, which replaces the server's files."}}},
};

void client_api_write_permissions(struct json_writer *w)
{
    json_begin_object(w);
    json_field_string(w, "object", "system_permissions");
    json_key(w, "attributes");
    json_begin_object(w);
    json_key(w, "permissions");
    json_begin_object(w);
    for (size_t i = 0; i < sizeof(permission_groups) / sizeof(permission_groups[0]); i++) {
        const struct permission_group *group = &permission_groups[i];
        json_key(w, group->name);
        json_begin_object(w);
        json_field_string(w, "description", group->description);
        json_key(w, "keys");
        json_begin_object(w);
        for (size_t k = 0; group->keys[k].key != NULL; k++)
            json_field_string(w, group->keys[k].key, group->keys[k].description);
        json_end_object(w);
        json_end_object(w);
    }
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
}

/* What Pterodactyl's own pages look for; nobody has seen the content. */
static const char *media_type(const json_t *file)
{
    static const char *const types[][2] = {
        {".txt", "text/plain"},      {".log", "text/plain"},      {".properties", "text/plain"},
        {".yml", "text/plain"},      {".yaml", "text/plain"},     {".toml", "text/plain"},
        {".cfg", "text/plain"},      {".conf", "text/plain"},     {".json", "application/json"},
        {".jar", "application/jar"}, {".zip", "application/zip"}, {".gz", "application/gzip"},
    };
    const char *name = json_get_string(file, "name", "");
    if (!json_get_bool(file, "file", true))
        return "inode/directory";
    if (json_get_bool(file, "symlink", false))
        return "inode/symlink";
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (text_ends_with(name, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

static void put_file(struct json_writer *w, const json_t *file)
{
    json_begin_object(w);
    json_field_string(w, "object", "file_object");
    json_key(w, "attributes");
    json_begin_object(w);
    json_field_string(w, "name", json_get_string(file, "name", ""));
    json_field_string(w, "mode", json_get_string(file, "mode", ""));
    json_field_string(w, "mode_bits", json_get_string(file, "mode_bits", ""));
    json_field_int(w, "size", json_get_int(file, "size", 0));
    json_field_bool(w, "is_file", json_get_bool(file, "file", true));
    json_field_bool(w, "is_symlink", json_get_bool(file, "symlink", false));
    json_field_string(w, "mimetype", media_type(file));
    json_field_string(w, "created_at", json_get_string(file, "created", ""));
    json_field_string(w, "modified_at", json_get_string(file, "modified", ""));
    json_field_string(w, "path", json_get_string(file, "path", ""));
    json_end_object(w);
    json_end_object(w);
}

void client_api_write_files(struct json_writer *w, const json_t *list,
                            struct client_pagination *pagination)
{
    const json_t *entries = json_object_get(list, "entries");
    json_begin_object(w);
    json_field_string(w, "object", "list");
    json_key(w, "data");
    json_begin_array(w);
    for (size_t i = 0; i < json_array_size(entries); i++)
        put_file(w, json_array_get(entries, i));
    json_end_array(w);
    json_key(w, "meta");
    json_begin_object(w);
    json_field_bool(w, "truncated", json_get_bool(list, "truncated", false));
    pagination->total = json_get_int(list, "total", -1);
    pagination->count = (int64_t)json_array_size(entries);
    if (pagination->total >= 0)
        client_api_write_pagination(w, pagination);
    json_end_object(w);
    json_end_object(w);
}

void client_api_write_signed_url(struct json_writer *w, const char *url)
{
    json_begin_object(w);
    json_field_string(w, "object", "signed_url");
    json_key(w, "attributes");
    json_begin_object(w);
    json_field_string(w, "url", url);
    json_end_object(w);
    json_end_object(w);
}

void client_api_write_websocket(struct json_writer *w, const char *token, const char *socket_url)
{
    json_begin_object(w);
    json_key(w, "data");
    json_begin_object(w);
    json_field_string(w, "token", token);
    json_field_string(w, "socket", socket_url);
    json_end_object(w);
    json_end_object(w);
}
