/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as the panel calls them: where they are, their secret, and what an answer of theirs means.
 */
#include <string.h>

#include "base/log.h"
#include "panel/internal.h"

void node_base_url(struct buf *out, const char *scheme, const char *fqdn, uint16_t port)
{
    bool is_bare_ipv6 = strchr(fqdn, ':') != NULL && fqdn[0] != '[';
    buf_printf(out, is_bare_ipv6 ? "%s://[%s]:%u" : "%s://%s:%u", scheme, fqdn, port);
}

int node_link_open(struct panel *panel, struct db_session *session, int64_t node_id,
                   struct node_link *link, struct error *err)
{
    struct node node = {0};
    int found = node_find(session, node_id, &node, err);
    if (found == 0)
        error_set(err, ERROR_NOT_FOUND, "there is no node %lld", (long long)node_id);
    if (found > 0) {
        node_base_url(&link->base_url, node.scheme, node.fqdn, node.daemon_port);
        if (seal_open(&panel->config.app_keys, node.sealed_token, &link->token, err) < 0) {
            error_wrap(err, "opening the token of node '%s'", node.name);
            found = -1;
        }
    }
    node_free(&node);
    return found > 0 ? 0 : -1;
}

void node_link_close(struct node_link *link)
{
    explicit_bzero(link->token.data, link->token.length);
    buf_free(&link->token);
    buf_free(&link->base_url);
}

struct node_address node_link_address(const struct node_link *link)
{
    return (struct node_address){.base_url = link->base_url.data, .token = link->token.data};
}

void client_refuse_outcome(struct client_call *call, const struct node_outcome *outcome)
{
    log_warning("a node did not take an order request=%s server=%s node='%s' status=%u reason='%s'",
                call->request->id, call->view->server.uuid, call->view->node_name, outcome->status,
                outcome->error);
    unsigned status = outcome->status;
    if (status == 0)
        api_error_reply(call->reply, call->dialect, API_ERROR_NODE_UNREACHABLE);
    else if (status == 507)
        api_error_reply(call->reply, call->dialect, API_ERROR_NO_SPACE);
    else if (status >= 400 && status < 500)
        api_error_reply_status(call->reply, call->dialect, status, API_ERROR_NODE_REFUSED,
                               outcome->error, outcome->request_id);
    else
        api_error_reply_status(call->reply, call->dialect, status >= 500 ? status : 502,
                               API_ERROR_NODE_FAILED, (int)status, outcome->request_id);
}
