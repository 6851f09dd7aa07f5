/* SPDX-License-Identifier: Apache-2.0 */
/* `roost node`: the panel's list of nodes, and on a node's own machine its servers' directories. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "cli/attach.h"
#include "cli/console.h"
#include "cli/office.h"
#include "cli/serve.h"

static void node_url(const struct node *node, struct buf *url)
{
    buf_printf(url, "%s://%s:%u", node->scheme, node->fqdn, node->daemon_port);
}

/* A durable file beside nothing else: mode 0600, never over one that exists. */
static int write_token_file(const char *path, const struct node *node, const struct buf *token,
                            struct error *err)
{
    const char *slash = strrchr(path, '/');
    scope_free char *directory =
        slash == NULL ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
    scope_free char *text = xasprintf("%s.%s\n", node->token_id, token->data);
    scope_fd int fd = directory_open(directory, err);
    if (fd < 0)
        return error_wrap(err, "writing the token");
    struct file_draft *draft = file_draft_create(fd, slash == NULL ? path : slash + 1, 0600, err);
    if (draft == NULL)
        return error_wrap(err, "writing the token");
    int result = file_write_all(file_draft_fd(draft), text, strlen(text), err);
    explicit_bzero(text, strlen(text));
    if (result < 0) {
        file_draft_discard(draft);
        return error_wrap(err, "writing the token");
    }
    if (file_draft_commit_new(draft, err) < 0)
        return error_wrap(err, "writing the token to '%s'", path);
    return 0;
}

static void print_new_node(const struct invocation *invocation, const struct node *node,
                           const struct buf *token)
{
    const char *file = option_text(invocation, "token-file");
    if (option_is_given(invocation, "json")) {
        scope_buf struct buf json = BUF_INIT;
        struct json_writer w = json_writer_to(&json);
        json_begin_object(&w);
        json_field_int(&w, "id", node->id);
        json_field_string(&w, "uuid", node->uuid);
        json_field_string(&w, "name", node->name);
        json_field_string(&w, "token_id", node->token_id);
        if (file == NULL)
            json_field_string(&w, "token", token->data);
        json_end_object(&w);
        print_text(&json);
        explicit_bzero(json.data, json.length);
        return;
    }
    if (file == NULL)
        say("%s.%s", node->token_id, token->data);
    complain("node '%s' added; %s 'roost node show-config %s' prints the node's roost.yml",
             node->name,
             file == NULL ? "the token above goes into its node.token file and is not shown again;"
                          : "its token is in the file;",
             node->name);
}

static int run_add(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    scope_buf struct buf token = BUF_INIT;
    struct url_parts parts;
    const char *url = option_text(invocation, "url");
    const char *file = option_text(invocation, "token-file");
    if (office_open(invocation, OFFICE_KEYS, &office, err) < 0)
        return -1;
    if (url == NULL)
        return error_set(err, ERROR_INVALID,
                         "'--url' is missing: how panel and clients reach the node");
    if (url_split(url, &parts, err) < 0)
        return -1;
    struct node node = {
        .name = xstrdup(argument_at(invocation, 0)),
        .fqdn = xstrdup(parts.host),
        .daemon_port = parts.port,
        .is_behind_proxy = option_is_given(invocation, "behind-proxy"),
    };
    snprintf(node.scheme, sizeof(node.scheme), "%s", parts.scheme);
    struct db_session *session = db_begin(office.db, err);
    int result = session == NULL ? -1 : node_create(session, &office.keys, &node, &token, err);
    if (result == 0 && file != NULL)
        result = write_token_file(file, &node, &token, err);
    if (session != NULL)
        result = office_end(session, result, err);
    if (result == 0)
        print_new_node(invocation, &node, &token);
    explicit_bzero(token.data, token.length);
    node_free(&node);
    return result;
}

struct listing {
    struct table table;
    struct json_writer w;
};

static int list_node(const struct node *node, void *context, struct error *err)
{
    struct listing *listing = context;
    scope_buf struct buf url = BUF_INIT;
    node_url(node, &url);
    json_begin_object(&listing->w);
    json_field_int(&listing->w, "id", node->id);
    json_field_string(&listing->w, "uuid", node->uuid);
    json_field_string(&listing->w, "name", node->name);
    json_field_string(&listing->w, "url", url.data);
    json_field_string(&listing->w, "token_id", node->token_id);
    json_field_bool(&listing->w, "maintenance", node->is_in_maintenance);
    json_end_object(&listing->w);
    table_add(&listing->table, (const char *[]){node->name, url.data, node->uuid, node->token_id,
                                                node->is_in_maintenance ? "maintenance" : "-"});
    return 0;
}

static int run_list(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0)
        return -1;
    struct db_session *session = db_reader(office.db, err);
    if (session == NULL)
        return -1;
    scope_buf struct buf json = BUF_INIT;
    struct listing listing = {.table = {.columns = 5}, .w = json_writer_to(&json)};
    table_add(&listing.table, (const char *[]){"NAME", "URL", "UUID", "TOKEN ID", "STATE"});
    json_begin_array(&listing.w);
    int result = node_each(session, list_node, &listing, err);
    json_end_array(&listing.w);
    if (result == 0 && option_is_given(invocation, "json"))
        print_text(&json);
    else if (result == 0)
        table_print(&listing.table);
    table_free(&listing.table);
    return result;
}

static int run_show_config(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    scope_buf struct buf token = BUF_INIT;
    struct node node;
    const char *file = option_text(invocation, "token-file");
    if (office_open(invocation, file == NULL ? OFFICE_DATABASE : OFFICE_KEYS, &office, err) < 0 ||
        office_find_node(&office, argument_at(invocation, 0), &node, err) < 0)
        return -1;
    int result = 0;
    if (file != NULL && (result = seal_open(&office.keys, node.sealed_token, &token, err)) == 0)
        result = write_token_file(file, &node, &token, err);
    explicit_bzero(token.data, token.length);
    if (result == 0) {
        scope_buf struct buf panel = BUF_INIT;
        config_add_panel_url(&office.config, &panel);
        say("# roost.yml of node '%s', for 'roost node run'", node.name);
        say("data: /var/lib/roost");
        say("listen:");
        say("  address: 0.0.0.0");
        say("  port: %u", node.daemon_port);
        if (strcmp(node.scheme, "https") == 0 && !node.is_behind_proxy) {
            say("  tls_certificate_file: /etc/roost/certificate.pem");
            say("  tls_key_file: /etc/roost/certificate.key");
        }
        say("node:");
        say("  panel_url: %s", panel.data);
        say("  token_id: %s", node.token_id);
        say("  token_file: $data/node.token   # holds the token; mode 0600");
    }
    node_free(&node);
    return result;
}

static int run_delete(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct node node;
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0 ||
        office_find_node(&office, argument_at(invocation, 0), &node, err) < 0)
        return -1;
    struct db_session *session = db_begin(office.db, err);
    int result =
        session == NULL ? -1 : office_end(session, node_delete(session, node.id, err), err);
    if (result < 0)
        error_wrap(err, "deleting node '%s'", node.name);
    else
        say("node '%s' deleted", node.name);
    node_free(&node);
    return result;
}

static int run_maintenance(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct node node;
    const char *state = argument_at(invocation, 1);
    bool is_on = strcmp(state, "on") == 0;
    if (!is_on && strcmp(state, "off") != 0)
        return error_set(err, ERROR_INVALID, "maintenance is 'on' or 'off', not '%.40s'", state);
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0 ||
        office_find_node(&office, argument_at(invocation, 0), &node, err) < 0)
        return -1;
    struct db_session *session = db_begin(office.db, err);
    int result = -1;
    if (session != NULL)
        result = office_end(session, node_set_maintenance(session, node.id, is_on, err), err);
    if (result == 0)
        say("node '%s': maintenance is %s", node.name, state);
    node_free(&node);
    return result;
}

static int run_attach(const struct invocation *invocation, struct error *err)
{
    scope_config struct config config = {.file = NULL};
    char uuid[UUID_TEXT_BYTES];
    if (!uuid_canonicalize(argument_at(invocation, 0), uuid))
        return error_set(err, ERROR_INVALID, "'%.60s' is not a server's uuid",
                         argument_at(invocation, 0));
    if (config_load(option_text(invocation, "config"), &config, err) < 0)
        return -1;
    scope_free char *path = attachable_directory(&config, argument_at(invocation, 1), err);
    if (path == NULL || node_attach_directory(config.node.state_directory, uuid, path, err) < 0)
        return -1;
    say("server %s lives in '%s'", uuid, path);
    return 0;
}

static int run_detach(const struct invocation *invocation, struct error *err)
{
    scope_config struct config config = {.file = NULL};
    char uuid[UUID_TEXT_BYTES];
    if (!uuid_canonicalize(argument_at(invocation, 0), uuid))
        return error_set(err, ERROR_INVALID, "'%.60s' is not a server's uuid",
                         argument_at(invocation, 0));
    if (config_load(option_text(invocation, "config"), &config, err) < 0 ||
        node_detach_directory(config.node.state_directory, uuid, err) < 0)
        return -1;
    say("server %s is attached to no directory; nothing was deleted", uuid);
    return 0;
}

static const struct command add = {
    .name = "add",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "let the panel know a node; prints its token, once",
    .options =
        (const struct option[]){{"url", 0, "URL", "how panel and clients reach the node"},
                                {"token-file", 0, "FILE", "write the token there instead"},
                                {"behind-proxy", 0, NULL, "a proxy ends TLS before the node"},
                                OPTION_CONFIG,
                                OPTION_JSON,
                                OPTION_END},
    .run = run_add,
};

static const struct command list = {
    .name = "list",
    .summary = "list the panel's nodes",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_list,
};

static const struct command show_config = {
    .name = "show-config",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "print a roost.yml for the node's own machine",
    .options = (const struct option[]){{"token-file", 0, "FILE", "write the node's token there"},
                                       OPTION_CONFIG,
                                       OPTION_END},
    .run = run_show_config,
};

static const struct command delete = {
    .name = "delete",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "forget a node that has no servers",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_delete,
};

static const struct command maintenance = {
    .name = "maintenance",
    .arguments = "NAME on|off",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "refuse clients' requests for the node's servers, or take them again",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_maintenance,
};

static const struct command attach = {
    .name = "attach",
    .arguments = "SERVER-UUID DIR",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "on the node's machine: say where a server's directory is",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_attach,
};

static const struct command detach = {
    .name = "detach",
    .arguments = "SERVER-UUID",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "on the node's machine: forget it again; deletes nothing",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_detach,
};

static const struct command run_command = {
    .name = "run",
    .summary = "run the node: take orders from a panel",
    .details = "Runs until SIGINT or SIGTERM; a second one ends it at once.",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = serve_node,
};

static const struct command *const verbs[] = {
    &run_command, &add, &list, &show_config, &delete, &maintenance, &attach, &detach, NULL,
};

const struct command node_command = {
    .name = "node",
    .summary = "run a node; add, list and delete nodes",
    .verbs = verbs,
};
