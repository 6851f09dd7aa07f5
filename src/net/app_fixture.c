/* SPDX-License-Identifier: Apache-2.0 */
#include "net/app_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static const char *or_dash(const char *text)
{
    return text == NULL ? "-" : text;
}

static void hello(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "Content-Type", "text/plain");
    buf_printf(http_reply_body(reply),
               "method=%s;path=%s;route=%s;address=%s;host=%s;tls=%d;bearer=%s;x=%s;q=%s;id=%s;",
               http_method_name(request->method), request->path, request->route,
               request->remote_address, request->host, request->is_tls,
               or_dash(http_bearer(request)), or_dash(http_header(request, "x-TEST")),
               or_dash(http_query(request, "q")), request->id);
}

static void items(const struct http_request *request, struct http_reply *reply, void *app)
{
    buf_printf(http_reply_body(reply), "%s|%s", http_param(request, "a"), http_param(request, "b"));
}

static void echo(const struct http_request *request, struct http_reply *reply, void *app)
{
    buf_add(http_reply_body(reply), request->body.data, request->body.length);
}

static void slow(const struct http_request *request, struct http_reply *reply, void *argument)
{
    struct app *app = argument;
    usleep(app->slow_ms * 1000);
    atomic_fetch_add(&app->handled, 1);
    buf_add_str(http_reply_body(reply), "\"slow\"");
}

static void empty(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "Content-Type", "text/plain"); /* must not be sent */
    http_reply_status(reply, 204);
}

static void text(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "content-type", "text/html");
    http_reply_header(reply, "Content-Type", "text/plain");
    http_reply_header(reply, "X-Split", "a\r\nX-Evil: b");
    buf_add_str(http_reply_body(reply), "text");
}

static void file(const struct http_request *request, struct http_reply *reply, void *argument)
{
    const struct app *app = argument;
    int fd = fcntl(app->file_fd, F_DUPFD_CLOEXEC, 0);
    http_reply_header(reply, "Content-Disposition", "attachment");
    http_reply_file(reply, request, fd, APP_FILE_BYTES, INT64_C(784111777000000), "\"v1\"");
}

static void on_open(struct websocket *socket, void *argument)
{
    struct app *app = argument;
    atomic_fetch_add(&app->opened, 1);
    websocket_set_data(socket, app);
    websocket_send(socket, slice_str("hi"));
}

static void on_message(struct websocket *socket, struct slice message, void *argument)
{
    struct app *app = websocket_data(socket);
    atomic_fetch_add(&app->heard, 1);
    if (slice_equal(message, slice_str("flood")))
        for (int i = 0; i < 1000; i++)
            websocket_send(socket, slice_of(app->file_bytes, 60000));
    else if (slice_equal(message, slice_str("bye")))
        websocket_close(socket, 4409, "as you wish");
    else
        websocket_send(socket, message);
}

static void on_close(struct websocket *socket, void *argument)
{
    struct app *app = argument;
    atomic_fetch_add(&app->closed, 1);
}

static const struct websocket_ops socket_ops = {
    .open = on_open, .message = on_message, .close = on_close};

static void upgrade(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_websocket(reply, request, &socket_ops, app);
}

static void write_error(const struct http_request *request, struct http_reply *reply,
                        unsigned status, const char *reason, void *app)
{
    buf_printf(http_reply_body(reply), "{\"status\":%u,\"reason\":\"%s\"}", status, reason);
}

static void after(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "X-After", "yes");
}

static void make_file(struct app *app)
{
    struct error err = ERROR_INIT;
    app->file_bytes = xmalloc(APP_FILE_BYTES);
    for (size_t i = 0; i < APP_FILE_BYTES; i++)
        app->file_bytes[i] = (char)('a' + i * 7 % 26);
    app->file_fd = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(file_write_all(app->file_fd, app->file_bytes, APP_FILE_BYTES, &err), 0);
}

void app_start(struct app *app, struct http_server_config config)
{
    struct error err = ERROR_INIT;
    *app = (struct app){.slow_ms = 100};
    make_file(app);
    const struct http_router_options options = {.workers = 4,
                                                .queue_max = 400,
                                                .body_max_bytes = APP_BODY_MAX_BYTES,
                                                .write_error = write_error,
                                                .after = after};
    struct http_router *router = http_router_create("test", &options);
    http_route(router, HTTP_GET, "/hello", hello, app, HTTP_INLINE);
    http_route(router, HTTP_GET, "/items/{a}/{b}", items, app, HTTP_INLINE);
    http_route(router, HTTP_GET, "/echo", echo, app, HTTP_INLINE);
    http_route(router, HTTP_POST, "/echo", echo, app, HTTP_INLINE);
    http_route(router, HTTP_PUT, "/echo", echo, app, HTTP_INLINE);
    http_route(router, HTTP_POST, "/work-echo", echo, app, HTTP_WORKER);
    http_route(router, HTTP_GET, "/slow", slow, app, HTTP_WORKER);
    http_route(router, HTTP_GET, "/empty", empty, app, HTTP_INLINE);
    http_route(router, HTTP_GET, "/text", text, app, HTTP_INLINE);
    http_route(router, HTTP_OPTIONS, "/cors", empty, app, HTTP_INLINE);
    http_route(router, HTTP_GET, "/ws", upgrade, app, HTTP_INLINE);
    http_route(router, HTTP_GET, "/file", file, app, HTTP_INLINE);
    app->router = router;
    config.address = config.address == NULL ? "127.0.0.1" : config.address;
    config.threads = config.threads == 0 ? 2 : config.threads;
    app->server = http_server_start(&config, &app->router, 1, &err);
    if (app->server == NULL)
        fail_msg("%s", err.text);
    app->port = http_server_port(app->server);
}

void app_stop(struct app *app, unsigned grace_ms)
{
    http_server_stop(app->server, grace_ms);
    http_router_free(app->router);
    close(app->file_fd);
    free(app->file_bytes);
}
