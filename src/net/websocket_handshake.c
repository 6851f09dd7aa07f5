/* SPDX-License-Identifier: Apache-2.0 */
/* From an HTTP request to a websocket (RFC 6455, section 4.2). */
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/scope.h"
#include "base/text.h"
#include "net/http_internal.h"
#include "net/websocket_internal.h"

/* Whether a comma list has the word, in any case. */
static bool list_has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (list != NULL && *list != '\0') {
        list += strspn(list, " \t,");
        size_t found = strcspn(list, " \t,");
        if (found == length && strncasecmp(list, word, length) == 0)
            return true;
        list += found;
    }
    return false;
}

static bool is_key(const char *key)
{
    scope_buf struct buf nonce = BUF_INIT;
    return key != NULL && strlen(key) == 24 && base64_decode(slice_str(key), &nonce) &&
           nonce.length == 16;
}

void http_reply_websocket(struct http_reply *reply, const struct http_request *request,
                          const struct websocket_ops *ops, void *context)
{
    struct http_exchange *exchange = request->exchange;
    const char *version = http_header(request, "Sec-WebSocket-Version");
    const char *key = http_header(request, "Sec-WebSocket-Key");
    if (request->method != HTTP_GET || exchange->is_http_1_0 ||
        !list_has_word(http_header(request, "Upgrade"), "websocket") ||
        !list_has_word(http_header(request, "Connection"), "upgrade")) {
        http_reply_header(reply, "Upgrade", "websocket");
        http_reply_header(reply, "Connection", "Upgrade");
        exchange_write_error(exchange, 426, "This address is a websocket.");
    } else if (version == NULL || strcmp(version, "13") != 0) {
        http_reply_header(reply, "Sec-WebSocket-Version", "13");
        exchange_write_error(exchange, 426, "Only version 13 of websockets is spoken here.");
    } else if (!is_key(key)) {
        exchange_write_error(exchange, 400, "The Sec-WebSocket-Key is malformed.");
    } else {
        reply->status = 101;
        reply->websocket = websocket_create(exchange->server->hub, ops, context, key);
    }
}

static void on_upgrade(void *argument, struct MHD_Connection *connection, void *exchange,
                       const char *early, size_t early_length, MHD_socket fd,
                       struct MHD_UpgradeResponseHandle *handle)
{
    /* Over TLS `fd` is only a pipe to the library.  Without this each message waits 40 ms. */
    int yes = 1;
    setsockopt(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
               IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    websocket_adopt(argument, fd, handle, slice_of(early, early_length));
}

struct MHD_Response *websocket_make_response(struct websocket *socket)
{
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, socket);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket");
    MHD_add_response_header(response, MHD_HTTP_HEADER_SEC_WEBSOCKET_ACCEPT,
                            websocket_accept_text(socket));
    return response;
}
