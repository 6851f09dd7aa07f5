/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a backup: lists, contents and downloads of single files, as the node tells.  The session is
 * not used any more once the node is asked: it may take its time.
 */
#include <stdio.h>

#include "net/url.h"
#include "panel/internal.h"
#include "snapshot/entry.h"

enum {
    URL_MAX_BYTES = 2000, /* what a node takes of an address */
};

/* The parameter as a path of the backup; false where the reply is written. */
static bool read_path(struct client_call *call, const char *parameter, bool is_required,
                      struct entry *path)
{
    struct api_violations violations = {0};
    struct error err = ERROR_INIT;
    const char *text = http_query(call->request, parameter);
    const char *start = text == NULL ? "" : text;
    while (*start == '/')
        start++;
    if (entry_set_path(path, slice_str(start), &err) < 0)
        api_violation_add(&violations, parameter, "path", "The %s is no path within the server.",
                          parameter);
    else if (is_required && path->path.length == 0)
        api_violation_add(&violations, parameter, "required", "The %s field is required.",
                          parameter);
    if (violations.count > 0)
        api_violations_reply(call->reply, &violations);
    return violations.count == 0;
}

static void refuse_outcome(struct client_call *call, const struct node_outcome *outcome)
{
    if (outcome->status == 503)
        http_reply_header(call->reply, "Retry-After", "10");
    client_refuse_outcome(call, outcome);
}

static void list(struct client_call *call, const struct node_address *node, const char *path)
{
    struct node_outcome outcome;
    struct client_page page;
    client_api_read_files_page(call->request, &page);
    struct node_files_query query = {.backup = call->backup.uuid,
                                     .directory = path,
                                     .page = page.page,
                                     .per_page = page.per_page};
    scope_json json_t *answer =
        node_api_files(call->panel->nodes, node, call->view->server.uuid, &query, &outcome);
    if (answer == NULL) {
        refuse_outcome(call, &outcome);
        return;
    }
    struct json_writer w = json_writer_to(http_reply_body(call->reply));
    scope_buf struct buf base_url = BUF_INIT;
    scope_buf struct buf directory = BUF_INIT;
    buf_printf(&base_url, "%s/api/client/servers/%s/backups/%s/files/list", call->panel->config.url,
               http_param(call->request, "server"), call->backup.uuid);
    buf_add_str(&directory, "directory=");
    url_encode(&directory, slice_str(path));
    buf_add_char(&directory, '&');
    struct client_pagination pagination = {
        .page = page, .base_url = base_url.data, .query = directory.data};
    client_api_write_files(&w, answer, &pagination);
}

static void contents(struct client_call *call, const struct node_address *node, const char *path)
{
    struct node_outcome outcome;
    struct buf *body = http_reply_body(call->reply);
    if (!node_api_file_contents(call->panel->nodes, node, call->view->server.uuid,
                                call->backup.uuid, path, body, &outcome))
        refuse_outcome(call, &outcome);
    else
        http_reply_header(call->reply, "Content-Type", "text/plain");
}

static void ask_node(struct client_call *call, const char *path,
                     void (*ask)(struct client_call *call, const struct node_address *node,
                                 const char *path))
{
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                       &err) < 0) {
        client_fail(call, &err);
    } else {
        struct node_address address = node_link_address(&link);
        ask(call, &address, path);
    }
    node_link_close(&link);
}

static void look(struct client_call *call, const char *parameter, bool is_required,
                 void (*ask)(struct client_call *call, const struct node_address *node,
                             const char *path))
{
    struct entry path;
    enum api_error error = client_download_error(&call->backup);
    entry_init(&path);
    if (error != API_ERROR_COUNT)
        client_refuse(call, error);
    else if (read_path(call, parameter, is_required, &path))
        ask_node(call, path.path.data, ask);
    entry_free(&path);
}

void client_files_list(struct client_call *call)
{
    look(call, "directory", false, list);
}

void client_files_contents(struct client_call *call)
{
    look(call, "file", true, contents);
}

void client_files_download(struct client_call *call)
{
    struct entry path;
    enum api_error error = client_download_error(&call->backup);
    entry_init(&path);
    if (error != API_ERROR_COUNT)
        client_refuse(call, error);
    else if (read_path(call, "file", true, &path))
        client_answer_download(call, path.path.data, URL_MAX_BYTES);
    entry_free(&path);
}
