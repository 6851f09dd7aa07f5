/* SPDX-License-Identifier: Apache-2.0 */
/* What a client needs around backups: its servers, what may be granted, the way to the websocket.
 */
#include <stdio.h>

#include "panel/internal.h"

enum {
    WEBSOCKET_TOKEN_LIFE_S = 600
};

/* ---- GET /api/client ---- */

struct server_list {
    struct client_call *call;
    struct json_writer w;
    int64_t count;
};

static int list_one(const struct server *server, void *context, struct error *err)
{
    struct server_list *list = context;
    struct node node = {0};
    int found = node_find(list->call->reader->session, server->node_id, &node, err);
    if (found > 0) {
        const struct client_server view = {
            .id = server->id,
            .uuid = server->uuid,
            .uuid_short = server->uuid_short,
            .name = server->name,
            .description = server->description,
            .node_name = node.name,
            .node_fqdn = node.fqdn,
            .status = server_status_name(server->status),
            .is_owner = server->owner_id == list->call->auth->user_id,
            .is_node_under_maintenance = node.is_in_maintenance,
            .is_transferring = server->is_transferring,
            .memory_mib = server->memory_mib,
            .swap_mib = server->swap_mib,
            .disk_mib = server->disk_mib,
            .io_weight = server->io_weight,
            .cpu_percent = server->cpu_percent,
            .backup_limit = server->backup_limit,
        };
        client_api_write_server(&list->w, &view);
        list->count++;
    }
    node_free(&node);
    return found < 0 ? -1 : 0;
}

/* Administrators see every server where they ask for it (type=admin-all), else what is theirs. */
static struct server_filter choose_filter(const struct client_call *call)
{
    const char *type = http_query(call->request, "type");
    bool wants_all = type != NULL && (strcmp(type, "admin-all") == 0 || strcmp(type, "admin") == 0);
    bool may_see_all = call->auth->is_root_admin;
    return (struct server_filter){
        .viewer_id = wants_all && may_see_all ? 0 : call->auth->user_id,
    };
}

static int list_servers(struct client_call *call, struct error *err)
{
    struct client_page page;
    client_api_read_page(call->request, &page);
    struct server_filter filter = choose_filter(call);
    struct db_session *session = call->reader->session;
    int64_t total;
    if (server_count(session, &filter, &total, err) < 0)
        return -1;
    struct server_list list = {call, json_writer_to(http_reply_body(call->reply)), 0};
    struct json_writer *w = &list.w;
    json_begin_object(w);
    json_field_string(w, "object", "list");
    json_key(w, "data");
    json_begin_array(w);
    if (server_each(session, &filter, page.per_page, (page.page - 1) * page.per_page, list_one,
                    &list, err) < 0)
        return -1;
    json_end_array(w);
    json_key(w, "meta");
    json_begin_object(w);
    char base_url[1024];
    snprintf(base_url, sizeof(base_url), "%s/api/client", call->panel->config.url);
    struct client_pagination pagination = {total, list.count, page, base_url};
    client_api_write_pagination(w, &pagination);
    json_end_object(w);
    json_end_object(w);
    return 0;
}

void client_servers(struct client_call *call)
{
    struct error err = ERROR_INIT;
    if (list_servers(call, &err) < 0)
        client_fail(call, &err);
}

/* ---- the rest ---- */

void client_permissions(struct client_call *call)
{
    struct json_writer w = json_writer_to(http_reply_body(call->reply));
    client_api_write_permissions(&w);
}

/* Names of what the caller may do, ended by NULL; "*" stands for everything. */
static void name_permissions(const struct view *view, const char *names[PERMISSION_COUNT + 1])
{
    size_t count = 0;
    if (view->has_everything)
        names[count++] = "*";
    for (unsigned i = 0; i < PERMISSION_COUNT && !view->has_everything; i++)
        if ((view->permissions & 1U << i) != 0)
            names[count++] = permission_name(i);
    names[count] = NULL;
}

void client_server(struct client_call *call)
{
    const struct view *view = call->view;
    const struct server *server = &view->server;
    struct error err = ERROR_INIT;
    struct server_last_restore last;
    int found = server_restore_last(call->reader->session, server->id, &last, &err);
    if (found < 0) {
        client_fail(call, &err);
        return;
    }
    const struct client_last_restore last_restore = {
        .backup = found > 0 ? last.backup : NULL,
        .is_undo = found > 0 && last.is_undo,
        .is_successful = found > 0 && last.is_successful,
        .completed_at_us = found > 0 ? last.ended_at_us : 0,
        .error = found > 0 && last.error[0] != '\0' ? last.error : NULL,
        .kept_until_us = found > 0 && last.kept_until_us > call->now_us ? last.kept_until_us : 0,
    };
    const struct client_server answer = {
        .id = server->id,
        .uuid = server->uuid,
        .uuid_short = server->uuid_short,
        .name = server->name,
        .description = server->description,
        .node_name = view->node_name,
        .node_fqdn = view->node_fqdn,
        .status = server_status_name(server->status),
        .is_owner = view->is_owner,
        .is_node_under_maintenance = view->is_node_in_maintenance,
        .is_transferring = server->is_transferring,
        .memory_mib = server->memory_mib,
        .swap_mib = server->swap_mib,
        .disk_mib = server->disk_mib,
        .io_weight = server->io_weight,
        .cpu_percent = server->cpu_percent,
        .backup_limit = server->backup_limit,
        .last_restore = &last_restore,
    };
    const char *permissions[PERMISSION_COUNT + 1];
    name_permissions(view, permissions);
    struct json_writer w = json_writer_to(http_reply_body(call->reply));
    client_api_write_server_answer(&w, &answer, permissions);
}

static void answer_websocket(struct client_call *call, const struct node_link *link)
{
    const struct view *view = call->view;
    const char *permissions[PERMISSION_COUNT + 1];
    name_permissions(view, permissions);
    struct node_token_grant grant = {
        .issuer = call->panel->config.url,
        .audience = link->base_url.data,
        .token = link->token.data,
        .server_uuid = view->server.uuid,
        .user_uuid = call->auth->user_uuid,
        .user_id = call->auth->user_id,
        .permissions = permissions,
        .now_s = call->now_us / 1000000,
        .lifetime_s = WEBSOCKET_TOKEN_LIFE_S,
    };
    scope_buf struct buf token = BUF_INIT;
    node_api_sign_websocket(&token, &grant);
    scope_buf struct buf url = BUF_INIT;
    bool is_tls = strcmp(view->node_scheme, "https") == 0;
    node_base_url(&url, is_tls ? "wss" : "ws", view->node_fqdn, view->node_port);
    buf_printf(&url, "/api/servers/%s/ws", view->server.uuid);
    struct json_writer w = json_writer_to(http_reply_body(call->reply));
    client_api_write_websocket(&w, token.data, url.data);
}

void client_websocket(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                       &err) < 0)
        client_fail(call, &err);
    else
        answer_websocket(call, &link);
    node_link_close(&link);
}
