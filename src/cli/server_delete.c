/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `roost server delete`: first the panel's rows, so that no new job begins, then its node is told.  A node that is not
 * there learns of it when it next asks for its servers.
 */
#include "cli/server_delete.h"

#include <string.h>

#include "api/node_api.h"
#include "base/mem.h"
#include "cli/console.h"
#include "cli/office.h"
#include "crypt/seal.h"

static int delete_rows(struct office *office, const struct server *server, struct error *err)
{
    struct db_session *session = db_begin(office->db, err);
    int result =
        session == NULL ? -1 : office_end(session, server_delete(session, server->id, err), err);
    return result < 0 ? error_wrap(err, "deleting server '%s'", server->name) : 0;
}

static int tell_node(struct office *office, const struct node *node, const struct server *server,
                     struct error *err)
{
    scope_buf struct buf token = BUF_INIT;
    if (config_read_app_key(&office->config, err) < 0)
        return -1;
    struct panel_config panel;
    if (config_for_panel(&office->config, "", &panel, err) < 0 ||
        seal_open(&panel.app_keys, node->sealed_token, &token, err) < 0)
        return -1;
    const char *ca_file = office->config.ca_file;
    bool is_bare_ipv6 = strchr(node->fqdn, ':') != NULL && node->fqdn[0] != '[';
    scope_free char *url = xasprintf(is_bare_ipv6 ? "%s://[%s]:%u" : "%s://%s:%u", node->scheme,
                                     node->fqdn, node->daemon_port);
    struct node_api *api = node_api_create(*ca_file == '\0' ? NULL : ca_file);
    struct node_address address = {.base_url = url, .token = token.data};
    struct node_outcome outcome;
    int result = 0;
    if (!node_api_delete_server(api, &address, server->uuid, &outcome))
        result = error_set(err, ERROR_UNAVAILABLE, "%.300s", outcome.error);
    node_api_free(api);
    explicit_bzero(token.data, token.length);
    explicit_bzero(&panel, sizeof(panel));
    return result;
}

static int delete_server(struct office *office, const struct server *server, struct error *err)
{
    struct node node = {.id = 0};
    struct error reason = ERROR_INIT;
    struct db_session *session = db_reader(office->db, err);
    int found = session == NULL ? -1 : node_find(session, server->node_id, &node, err);
    int result = found < 0 ? -1 : delete_rows(office, server, err);
    if (result == 0)
        say("server '%s' deleted; its directory is as it was, and so are its archives (%s below "
            "the "
            "node's backups) where the node has no 'node.delete_archives'",
            server->name, server->uuid);
    if (result == 0 && found > 0 && tell_node(office, &node, server, &reason) < 0)
        complain("node '%s' could not be told (%s): a Roost ends the server's jobs within ten "
                 "minutes, and keeps its archives",
                 node.name, reason.text);
    node_free(&node);
    return result;
}

static int run_delete(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct server server;
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0 ||
        office_find_server(&office, argument_at(invocation, 0), &server, err) < 0)
        return -1;
    int result = delete_server(&office, &server, err);
    server_free(&server);
    return result;
}

const struct command server_delete_command = {
    .name = "delete",
    .arguments = "SERVER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "forget a server and its backups, and end its jobs",
    .details =
        "The server's directory stays. Its archives stay, too, unless its node is configured to\n"
        "remove them ('node.delete_archives' in roost.yml).",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_delete,
};
