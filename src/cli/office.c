/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the panel's database for an operator, and finding users, nodes and servers by what people call them. */
#include "cli/office.h"

#include <string.h>

#include "db/schema.h"

static int require_database(const struct config *config, struct error *err)
{
    const char *path = config->panel.database + strlen("sqlite:");
    if (access(path, F_OK) == 0)
        return 0;
    return error_set(err, ERROR_NOT_FOUND, "there is no database '%s': 'roost init' makes it",
                     path);
}

int office_open(const struct invocation *invocation, unsigned needs, struct office *office,
                struct error *err)
{
    *office = (struct office){.db = NULL};
    if (config_load(option_text(invocation, "config"), &office->config, err) < 0)
        return -1;
    if (require_database(&office->config, err) < 0)
        return -1;
    if (needs & OFFICE_KEYS) {
        struct panel_config panel;
        if (config_read_app_key(&office->config, err) < 0 ||
            config_for_panel(&office->config, "", &panel, err) < 0)
            return -1;
        office->keys = panel.app_keys;
        explicit_bzero(&panel, sizeof(panel));
    }
    office->db = db_open(office->config.panel.database, err);
    if (office->db == NULL)
        return -1;
    return schema_prepare(office->db, err);
}

void office_close(struct office *office)
{
    if (office->db != NULL)
        db_close(office->db);
    config_free(&office->config);
    explicit_bzero(&office->keys, sizeof(office->keys));
}

int office_end(struct db_session *session, int result, struct error *err)
{
    if (result == 0)
        return db_commit(session, err);
    db_rollback(session);
    return -1;
}

/* The only record of a kind: its id, and whether there are others. */
struct only {
    int64_t id;
    int64_t count;
};

static int note_user(const struct user *user, void *context, struct error *err)
{
    struct only *only = context;
    only->id = user->id;
    only->count++;
    return 0;
}

static int note_node(const struct node *node, void *context, struct error *err)
{
    struct only *only = context;
    only->id = node->id;
    only->count++;
    return 0;
}

static int require_only(const struct only *only, const char *what, const char *option,
                        struct error *err)
{
    if (only->count == 1)
        return 0;
    if (only->count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s yet: 'roost %s add' makes one", what,
                         what);
    return error_set(err, ERROR_INVALID, "there are %lld %ss: say which with '%s'",
                     (long long)only->count, what, option);
}

int office_find_user(struct office *office, const char *name, struct user *user, struct error *err)
{
    struct db_session *session = db_reader(office->db, err);
    if (session == NULL)
        return -1;
    int found;
    if (name == NULL) {
        struct only only = {.id = 0};
        if (user_each(session, note_user, &only, err) < 0 ||
            require_only(&only, "user", "--user' or '--owner", err) < 0)
            return -1;
        found = user_find(session, only.id, user, err);
    } else {
        found = user_find_by_name(session, name, user, err);
    }
    if (found == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no user '%s': see 'roost user list'",
                         name);
    return found < 0 ? -1 : 0;
}

int office_find_node(struct office *office, const char *name, struct node *node, struct error *err)
{
    struct db_session *session = db_reader(office->db, err);
    if (session == NULL)
        return -1;
    int found;
    if (name == NULL) {
        struct only only = {.id = 0};
        if (node_each(session, note_node, &only, err) < 0 ||
            require_only(&only, "node", "--node", err) < 0)
            return -1;
        found = node_find(session, only.id, node, err);
    } else {
        found = node_find_by_name(session, name, node, err);
    }
    if (found == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no node '%s': see 'roost node list'",
                         name);
    return found < 0 ? -1 : 0;
}

struct named {
    const char *name;
    struct only only;
};

static int note_named_server(const struct server *server, void *context, struct error *err)
{
    struct named *named = context;
    if (strcmp(server->name, named->name) == 0) {
        named->only.id = server->id;
        named->only.count++;
    }
    return 0;
}

int office_find_server(struct office *office, const char *name, struct server *server,
                       struct error *err)
{
    struct db_session *session = db_reader(office->db, err);
    if (session == NULL)
        return -1;
    int found = server_find(session, name, server, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    struct server_filter everyone = {.node_id = 0};
    struct named named = {.name = name};
    if (server_each(session, &everyone, INT64_MAX, 0, note_named_server, &named, err) < 0)
        return -1;
    if (named.only.count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no server '%s': see 'roost server list'",
                         name);
    if (named.only.count > 1)
        return error_set(err, ERROR_INVALID, "%lld servers are called '%s': say its id",
                         (long long)named.only.count, name);
    found = server_find_by_id(session, named.only.id, server, err);
    return found == 1  ? 0
           : found < 0 ? -1
                       : error_set(err, ERROR_NOT_FOUND, "server '%s' is gone", name);
}
