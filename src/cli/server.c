/* SPDX-License-Identifier: Apache-2.0 */
/* `roost server`: the panel's list of servers, who may act on them, and where their directories are. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/attach.h"
#include "cli/console.h"
#include "cli/office.h"
#include "cli/server_delete.h"
#include "db/backup.h"
#include "db/subuser.h"

enum {
    BACKUP_LIMIT_DEFAULT = 20,
    BACKUP_LIMIT_MAX = 1000000,
};

static int read_limit(const char *text, int64_t *limit, struct error *err)
{
    uint64_t value;
    if (!text_to_u64(text, 0, BACKUP_LIMIT_MAX, &value))
        return error_set(err, ERROR_INVALID,
                         "a backup limit is a whole number up to %d (0: no backups at all), not "
                         "'%.40s'",
                         BACKUP_LIMIT_MAX, text);
    *limit = (int64_t)value;
    return 0;
}

static void write_server(struct json_writer *w, const struct server *server, const char *owner,
                         const char *node)
{
    json_begin_object(w);
    json_field_string(w, "uuid", server->uuid);
    json_field_string(w, "identifier", server->uuid_short);
    json_field_string(w, "name", server->name);
    json_field_string(w, "owner", owner);
    json_field_string(w, "node", node);
    json_field_string(w, "status", server_status_name(server->status));
    json_field_int(w, "backup_limit", server->backup_limit);
    json_end_object(w);
}

/* ---- add ---- */

struct addition {
    struct user owner;
    struct node node;
    struct server server;
    char *directory; /* NULL: below node.server_directory */
};

static void addition_free(struct addition *addition)
{
    user_free(&addition->owner);
    node_free(&addition->node);
    server_free(&addition->server);
    free(addition->directory);
}

static int read_addition(const struct invocation *invocation, struct office *office,
                         struct addition *addition, struct error *err)
{
    const char *uuid = option_text(invocation, "uuid");
    const char *limit = option_text(invocation, "backup-limit");
    const char *directory = option_text(invocation, "directory");
    const char *description = option_text(invocation, "description");
    struct server *server = &addition->server;
    server->backup_limit = BACKUP_LIMIT_DEFAULT;
    if (uuid != NULL && !uuid_canonicalize(uuid, server->uuid))
        return error_set(err, ERROR_INVALID, "'--uuid %.60s' is not a uuid", uuid);
    if (limit != NULL && read_limit(limit, &server->backup_limit, err) < 0)
        return -1;
    if (directory != NULL &&
        (addition->directory = attachable_directory(&office->config, directory, err)) == NULL)
        return -1;
    if (office_find_user(office, option_text(invocation, "owner"), &addition->owner, err) < 0 ||
        office_find_node(office, option_text(invocation, "node"), &addition->node, err) < 0)
        return -1;
    server->name = xstrdup(argument_at(invocation, 0));
    server->description = xstrdup(description == NULL ? "" : description);
    server->owner_id = addition->owner.id;
    server->node_id = addition->node.id;
    server->io_weight = 500;
    return 0;
}

static int insert_server(struct office *office, struct addition *addition, struct error *err)
{
    struct db_session *session = db_begin(office->db, err);
    if (session == NULL)
        return -1;
    int result = server_insert(session, &addition->server, err);
    if (result == 0 && addition->directory != NULL)
        result = node_attach_directory(office->config.node.state_directory, addition->server.uuid,
                                       addition->directory, err);
    return office_end(session, result, err);
}

static void print_addition(const struct invocation *invocation, const struct addition *addition)
{
    const struct server *server = &addition->server;
    if (option_is_given(invocation, "json")) {
        scope_buf struct buf json = BUF_INIT;
        struct json_writer w = json_writer_to(&json);
        write_server(&w, server, addition->owner.username, addition->node.name);
        print_text(&json);
        return;
    }
    say("server '%s' added: %s (short id %.8s)", server->name, server->uuid, server->uuid);
    if (addition->directory == NULL)
        say("its directory is SERVERS/%s on node '%s'; 'roost node attach' there chooses another",
            server->uuid, addition->node.name);
}

static int run_add(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct addition addition = {.directory = NULL};
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0)
        return -1;
    int result = read_addition(invocation, &office, &addition, err);
    if (result == 0)
        result = insert_server(&office, &addition, err);
    if (result == 0)
        print_addition(invocation, &addition);
    addition_free(&addition);
    return result;
}

/* ---- list and show ---- */

struct listing {
    struct table table;
    struct json_writer w;
    struct db_session *session;
};

static int list_server(const struct server *server, void *context, struct error *err)
{
    struct listing *listing = context;
    struct user owner = {.id = 0};
    struct node node = {.id = 0};
    struct backup_counts counts = {0};
    int result = 0;
    if (user_find(listing->session, server->owner_id, &owner, err) < 0 ||
        node_find(listing->session, server->node_id, &node, err) < 0 ||
        backup_count(listing->session, server->id, &counts, err) < 0)
        result = -1;
    scope_free char *backups =
        xasprintf("%lld/%lld", (long long)counts.non_failed, (long long)server->backup_limit);
    if (result == 0) {
        write_server(&listing->w, server, owner.username, node.name);
        table_add(&listing->table,
                  (const char *[]){server->name, server->uuid, owner.username, node.name, backups,
                                   server_status_name(server->status)});
    }
    user_free(&owner);
    node_free(&node);
    return result;
}

static int print_listing(const struct invocation *invocation, struct office *office,
                         const struct server *only, struct error *err)
{
    scope_buf struct buf json = BUF_INIT;
    struct listing listing = {.table = {.columns = 6}, .w = json_writer_to(&json)};
    struct server_filter everyone = {.node_id = 0};
    listing.session = db_reader(office->db, err);
    if (listing.session == NULL)
        return -1;
    table_add(&listing.table,
              (const char *[]){"NAME", "UUID", "OWNER", "NODE", "BACKUPS", "STATUS"});
    int result;
    if (only != NULL) {
        result = list_server(only, &listing, err);
    } else {
        json_begin_array(&listing.w);
        result = server_each(listing.session, &everyone, INT64_MAX, 0, list_server, &listing, err);
        json_end_array(&listing.w);
    }
    if (result == 0 && option_is_given(invocation, "json"))
        print_text(&json);
    else if (result == 0)
        table_print(&listing.table);
    table_free(&listing.table);
    return result;
}

static int run_list(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0)
        return -1;
    return print_listing(invocation, &office, NULL, err);
}

/* Opens the office and finds the server that the first argument names. */
static int open_server(const struct invocation *invocation, struct office *office,
                       struct server *server, struct error *err)
{
    if (office_open(invocation, OFFICE_DATABASE, office, err) < 0)
        return -1;
    return office_find_server(office, argument_at(invocation, 0), server, err);
}

static int run_show(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct server server;
    if (open_server(invocation, &office, &server, err) < 0)
        return -1;
    int result = print_listing(invocation, &office, &server, err);
    server_free(&server);
    return result;
}

/* ---- changes ---- */

static int run_set_limit(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct server server;
    int64_t limit = 0;
    if (read_limit(argument_at(invocation, 1), &limit, err) < 0 ||
        open_server(invocation, &office, &server, err) < 0)
        return -1;
    struct db_session *session = db_begin(office.db, err);
    int result = -1;
    if (session != NULL)
        result = office_end(session, server_set_backup_limit(session, server.id, limit, err), err);
    if (result == 0)
        say("server '%s' may have %lld backups", server.name, (long long)limit);
    server_free(&server);
    return result;
}

/* "backup.read,backup.create" or "backup" for all of them, as a JSON array. */
static int read_permissions(const char *text, struct buf *json, struct error *err)
{
    static const char *const known[] = {"backup.read",   "backup.create",  "backup.download",
                                        "backup.delete", "backup.restore", "websocket.connect"};
    const size_t count = sizeof(known) / sizeof(known[0]);
    struct json_writer w = json_writer_to(json);
    json_begin_array(&w);
    for (size_t length; *text != '\0'; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        struct slice wanted = text_trim(slice_of(text, length));
        bool is_known = false;
        for (size_t i = 0; i < count; i++) {
            bool is_group = slice_equal(wanted, slice_str("backup")) ||
                            slice_equal(wanted, slice_str("backup.*"));
            bool is_meant = slice_equal(wanted, slice_str(known[i])) ||
                            (is_group && text_starts_with(known[i], "backup."));
            if (is_meant)
                json_put_string(&w, known[i]);
            is_known = is_known || is_meant;
        }
        if (!is_known)
            return error_set(
                err, ERROR_INVALID,
                "'%.*s' is not a permission: there are backup.read, backup.create, "
                "backup.download, backup.delete, backup.restore, websocket.connect, and "
                "'backup' for all of backups",
                (int)(wanted.length < 60 ? wanted.length : 60), (const char *)wanted.data);
    }
    json_end_array(&w);
    return 0;
}

static int run_grant(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct server server;
    struct user user = {.id = 0};
    scope_buf struct buf permissions = BUF_INIT;
    if (read_permissions(argument_at(invocation, 2), &permissions, err) < 0 ||
        open_server(invocation, &office, &server, err) < 0)
        return -1;
    int result = office_find_user(&office, argument_at(invocation, 1), &user, err);
    struct db_session *session = result < 0 ? NULL : db_begin(office.db, err);
    result = -1;
    if (session != NULL)
        result = office_end(session,
                            subuser_set(session, user.id, server.id, permissions.data, err), err);
    if (result == 0)
        say("user '%s' may act on server '%s': %s", user.username, server.name, permissions.data);
    user_free(&user);
    server_free(&server);
    return result;
}

static int run_revoke(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct server server;
    struct user user = {.id = 0};
    if (open_server(invocation, &office, &server, err) < 0)
        return -1;
    int result = office_find_user(&office, argument_at(invocation, 1), &user, err);
    struct db_session *session = result < 0 ? NULL : db_begin(office.db, err);
    result = -1;
    if (session != NULL)
        result = office_end(session, subuser_delete(session, user.id, server.id, err), err);
    if (result == 0)
        say("user '%s' is granted nothing on server '%s' any more", user.username, server.name);
    user_free(&user);
    server_free(&server);
    return result;
}

static const struct command add = {
    .name = "add",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "add a server",
    .options =
        (const struct option[]){
            {"directory", 'd', "DIR", "the server's directory, on this machine"},
            {"uuid", 0, "UUID", "its id; default: a new one"},
            {"owner", 'u', "USER", "whose it is; default: the only user"},
            {"node", 0, "NODE", "where it is; default: the only node"},
            {"backup-limit", 0, "N", "how many backups it may have; default: 20"},
            {"description", 0, "TEXT", "for people"},
            OPTION_CONFIG,
            OPTION_JSON,
            OPTION_END},
    .run = run_add,
};

static const struct command list = {
    .name = "list",
    .summary = "list servers",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_list,
};

static const struct command show = {
    .name = "show",
    .arguments = "SERVER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "show one server",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_show,
};

static const struct command set_limit = {
    .name = "set-limit",
    .arguments = "SERVER N",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "set how many backups a server may have",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_set_limit,
};

static const struct command grant = {
    .name = "grant",
    .arguments = "SERVER USER PERMISSIONS",
    .arguments_min = 3,
    .arguments_max = 3,
    .summary = "let another user act on a server",
    .details =
        "PERMISSIONS: backup.read, backup.create, backup.download, backup.delete,\n"
        "backup.restore, websocket.connect, separated by commas; 'backup' is all of backups.\n"
        "They replace what the user was granted before.",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_grant,
};

static const struct command revoke_grant = {
    .name = "revoke",
    .arguments = "SERVER USER",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "take back what a user was granted",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_revoke,
};

static const struct command *const verbs[] = {
    &add, &list, &show, &server_delete_command, &set_limit, &grant, &revoke_grant, NULL,
};

const struct command server_command = {
    .name = "server",
    .summary = "add, list and delete servers; who may act on them",
    .verbs = verbs,
};
