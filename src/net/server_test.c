/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/uuid.h"
#include "net/app_fixture.h"

static struct app app;

static int start(void **state)
{
    app_start(&app, (struct http_server_config){0});
    return 0;
}

static int stop(void **state)
{
    app_stop(&app, 1000);
    return 0;
}

static void assert_body(struct raw_answer answer, unsigned status, const char *body)
{
    if (answer.status != status || strcmp(answer.body.data, body) != 0)
        fail_msg("%s%s", answer.head.data, answer.body.data);
    raw_answer_free(&answer);
}

static void assert_says(const struct raw_answer *answer, const char *part)
{
    if (strstr(answer->body.data, part) == NULL)
        fail_msg("no '%s' in %s%s", part, answer->head.data, answer->body.data);
}

static void a_request_tells_about_itself(void **state)
{
    char value[256];
    struct raw_answer answer =
        raw_ask(app.port, "GET /hello/?a=1&q=first&q=b+c%21&q%3d=no HTTP/1.1\r\nHost: h:1\r\n"
                          "authorization: bEARER  tok.en  \r\nX-Test:  v  \r\nX-Test: w\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_says(&answer, "method=GET;path=/hello;route=/hello;address=127.0.0.1;host=h:1;tls=0;");
    assert_says(&answer, "bearer=tok.en;x=v;q=b c!;id=");
    assert_true(uuid_is_canonical(raw_header(&answer, "X-Request-Id", value)));
    assert_says(&answer, value);
    assert_string_equal(raw_header(&answer, "Content-Type", value), "text/plain");
    assert_string_equal(raw_header(&answer, "X-After", value), "yes");
    raw_answer_free(&answer);

    answer = raw_ask(app.port, "GET /hello?q=%zz&r=1 HTTP/1.0\r\nHost: h\r\n"
                               "Authorization: Basic abc\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n");
    assert_says(&answer, "address=127.0.0.1;");
    assert_says(&answer, "bearer=-;x=-;q=-;");
    raw_answer_free(&answer);
}

static void parameters_are_decoded(void **state)
{
    assert_body(raw_ask(app.port, "GET /items/a%20b%2Fc/%c3%a4 HTTP/1.1\r\nHost: h\r\n\r\n"), 200,
                "a b/c|\xc3\xa4");
    assert_body(raw_ask(app.port, "GET /items/a/b/?x HTTP/1.1\r\nHost: h\r\n\r\n"), 200, "a|b");
}

static void head_is_get_without_a_body(void **state)
{
    char value[256];
    struct raw_answer answer = raw_ask(app.port, "HEAD /text HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_string_equal(raw_header(&answer, "Content-Length", value), "4");
    raw_answer_free(&answer);
}

static void answers_have_the_right_headers(void **state)
{
    char value[256];
    struct raw_answer answer = raw_ask(app.port, "GET /text HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_string_equal(raw_header(&answer, "Content-Type", value), "text/plain");
    assert_string_equal(raw_header(&answer, "X-Split", value), "a  X-Evil: b");
    assert_string_equal(raw_header(&answer, "X-Evil", value), "");
    raw_answer_free(&answer);

    answer = raw_ask(app.port, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(answer.status, 204);
    assert_string_equal(raw_header(&answer, "Content-Type", value), "");
    assert_string_equal(raw_header(&answer, "Content-Length", value), "");
    raw_answer_free(&answer);

    answer = raw_ask(app.port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}");
    assert_string_equal(raw_header(&answer, "Content-Type", value), "application/json");
    assert_string_equal(raw_header(&answer, "Connection", value), "");
    assert_body(answer, 200, "{}");
}

static void unknown_paths_and_methods_are_refused(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *allow;
    } rows[] = {
        {"GET /nothing", 404, ""},
        {"GET /items/a", 404, ""},
        {"GET /items//b", 404, ""},
        {"GET /hello/more", 404, ""},
        {"GET /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h/i/j/k", 404, ""},
        {"DELETE /hello", 405, "GET, HEAD"},
        {"OPTIONS /echo", 405, "GET, HEAD, POST, PUT"},
        {"BREW /hello", 405, "GET, HEAD"},
        {"get /hello", 405, "GET, HEAD"},
        {"TRACE /hello", 405, "GET, HEAD"},
        {"OPTIONS /cors", 204, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[256];
        scope_free char *text = xasprintf("%s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].line);
        struct raw_answer answer = raw_ask(app.port, text);
        if (answer.status != rows[i].status ||
            strcmp(raw_header(&answer, "Allow", value), rows[i].allow) != 0)
            fail_msg("%s: %s", rows[i].line, answer.head.data);
        assert_string_equal(raw_header(&answer, "X-After", value), "yes");
        assert_string_equal(raw_header(&answer, "Connection", value), "");
        if (answer.status != 204)
            assert_says(&answer, "{\"status\":4");
        raw_answer_free(&answer);
    }
}

static void connections_are_kept(void **state)
{
    int fd = raw_connect(app.port);
    static const char *const requests[] = {
        "GET /items/1/2 HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /work-echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n1|2",
        "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
        /* A small body of a refused request is read away. */
        "POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nGET / HTTP",
        "GET /items/1/2 HTTP/1.1\r\nHost: h\r\n\r\n",
        ("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\n1\r\n2;x=y\r\n|2\r\n0\r\nTrailer: 1\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct raw_answer answer;
        raw_send(fd, requests[i]);
        raw_read(fd, &answer, false);
        if (answer.status == 404)
            raw_answer_free(&answer);
        else
            assert_body(answer, 200, "1|2");
    }
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    int fd = raw_connect(app.port);
    raw_send(fd, "GET /items/1/1 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /work-echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n2|2"
                 "GET /items/3/3 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nnull"
                 "GET /items/4/4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    static const char *const expected[] = {"1|1", "2|2", "3|3", "4|4"};
    for (int i = 0; i < 4; i++) {
        struct raw_answer answer;
        raw_read(fd, &answer, false);
        assert_body(answer, 200, expected[i]);
    }
    assert_true(raw_is_closed_within(fd, 2000));
    close(fd);
}

static void an_expected_continue_is_given(void **state)
{
    int fd = raw_connect(app.port);
    struct raw_answer answer;
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 2\r\n\r\n");
    raw_read(fd, &answer, true);
    assert_int_equal(answer.status, 100);
    raw_answer_free(&answer);
    raw_send(fd, "ok");
    raw_read(fd, &answer, false);
    assert_body(answer, 200, "ok");
    close(fd);
}

/* Also behind a head that leaves libmicrohttpd's memory for the connection nearly full. */
static void bodies_up_to_the_limit_are_taken(void **state)
{
    scope_buf struct buf request = BUF_INIT;
    buf_printf(&request, "POST /work-echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n",
               APP_BODY_MAX_BYTES);
    for (int i = 0; i < 90; i++)
        buf_printf(&request, "X-Header-%d: %.165s\r\n", i, app.file_bytes);
    assert_in_range(request.length, HTTP_HEAD_MAX_BYTES - 500, HTTP_HEAD_MAX_BYTES - 2);
    buf_add_str(&request, "\r\n");
    buf_add(&request, app.file_bytes, APP_BODY_MAX_BYTES);
    int fd = raw_connect(app.port);
    struct raw_answer answer;
    raw_send_bytes(fd, request.data, request.length);
    raw_read(fd, &answer, false);
    assert_int_equal(answer.status, 200);
    assert_true(slice_equal(buf_slice(&answer.body), slice_of(app.file_bytes, APP_BODY_MAX_BYTES)));
    raw_answer_free(&answer);
    close(fd);
}

static void *ask_worker(void *argument)
{
    char request[128];
    char body[32];
    int number = *(int *)argument;
    snprintf(body, sizeof(body), "body %d", number);
    snprintf(request, sizeof(request),
             "POST /work-echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    struct raw_answer answer = raw_ask(app.port, request);
    *(int *)argument = answer.status == 200 && strcmp(answer.body.data, body) == 0;
    raw_answer_free(&answer);
    return NULL;
}

static void two_hundred_at_once_get_their_own_answers(void **state)
{
    enum {
        CLIENTS = 200
    };
    pthread_t threads[CLIENTS];
    int numbers[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        threads[i] = thread_start("client", ask_worker, &numbers[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(numbers[i]);
    }
}

static void slow_handlers(const struct http_request *request, struct http_reply *reply,
                          void *argument)
{
    usleep(200 * 1000);
}

static void a_full_queue_says_when_to_come_back(void **state)
{
    const struct http_router_options options = {.workers = 1, .queue_max = 1};
    struct http_router *router = http_router_create("full", &options);
    http_route(router, HTTP_GET, "/", slow_handlers, NULL, HTTP_WORKER);
    const struct http_server_config config = {.address = "127.0.0.1"};
    struct error err = ERROR_INIT;
    struct http_server *server = http_server_start(&config, &router, 1, &err);
    assert_non_null(server);
    int fds[5];
    unsigned done = 0;
    unsigned refused = 0;
    for (int i = 0; i < 5; i++) {
        fds[i] = raw_connect(http_server_port(server));
        raw_send(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        usleep(10 * 1000);
    }
    for (int i = 0; i < 5; i++) {
        char value[256];
        struct raw_answer answer;
        raw_read(fds[i], &answer, false);
        done += answer.status == 200;
        refused +=
            answer.status == 503 && strcmp(raw_header(&answer, "Retry-After", value), "1") == 0;
        raw_answer_free(&answer);
        close(fds[i]);
    }
    assert_int_equal(done, 2);
    assert_int_equal(refused, 3);
    http_server_stop(server, 1000);
    http_router_free(router);
}

static void clients_that_left_harm_nobody(void **state)
{
    for (int i = 0; i < 50; i++) {
        int fd = raw_connect(app.port);
        raw_send(fd, i % 2 == 0
                         ? "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
                         : "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
        struct linger reset = {.l_onoff = 1};
        if (i % 4 < 2)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fd);
    }
    assert_body(raw_ask(app.port, "GET /items/a/b HTTP/1.1\r\nHost: h\r\n\r\n"), 200, "a|b");
}

static void stopping_lets_running_requests_end(void **state)
{
    struct app own;
    app_start(&own, (struct http_server_config){0});
    own.slow_ms = 300;
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_connect(own.port);
        raw_send(fds[i], "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    int idle = raw_connect(own.port);
    usleep(100 * 1000);
    int64_t began_us = time_monotonic_us();
    app_stop(&own, 5000);
    int64_t took_ms = (time_monotonic_us() - began_us) / 1000;
    assert_in_range(took_ms, 100, 2000);
    for (int i = 0; i < 4; i++) {
        char value[256];
        struct raw_answer answer;
        raw_read(fds[i], &answer, false);
        assert_string_equal(raw_header(&answer, "Connection", value), "close");
        assert_body(answer, 200, "\"slow\"");
        close(fds[i]);
    }
    assert_true(raw_is_closed_within(idle, 1000));
    close(idle);
}

struct storm {
    uint16_t port;
    _Atomic(bool) is_over;
};

/* Connects and hangs up, again and again; whatever of that the server refuses is fine. */
static void *come_and_go(void *argument)
{
    struct storm *storm = argument;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(storm->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while (!storm->is_over) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            usleep(100);
        close(fd);
    }
    return NULL;
}

/* The library's, too: taking something out of an epoll set takes its time while `is_slow`. */
static _Atomic(bool) is_slow;

int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_DEL && is_slow)
        usleep(300);
    return (int)syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event);
}

/*
 * libmicrohttpd 0.9.75 ends the process where MHD_quiesce_daemon() and a thread of its pool that a
 * connection has just woken take the listening socket out of the same epoll set.
 */
static void stopping_survives_connections_that_come_and_go(void **state)
{
    is_slow = true;
    for (int i = 0; i < 20; i++) {
        struct app own;
        app_start(&own, (struct http_server_config){.threads = 4});
        struct storm storm = {.port = own.port};
        pthread_t callers[2];
        for (int k = 0; k < 2; k++)
            callers[k] = thread_start("caller", come_and_go, &storm);
        usleep(1000);
        app_stop(&own, 1000);
        storm.is_over = true;
        for (int k = 0; k < 2; k++)
            pthread_join(callers[k], NULL);
    }
    is_slow = false;
}

static void after_the_grace_nothing_new_begins(void **state)
{
    struct app own;
    app_start(&own, (struct http_server_config){0});
    own.slow_ms = 400;
    int fds[8]; /* four workers: four run, four wait */
    for (int i = 0; i < 8; i++) {
        fds[i] = raw_connect(own.port);
        raw_send(fds[i], "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    usleep(100 * 1000);
    int64_t began_us = time_monotonic_us();
    app_stop(&own, 0);
    assert_in_range((time_monotonic_us() - began_us) / 1000, 200, 1000);
    assert_int_equal(own.handled, 4);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
}

static void proxies_are_believed_where_they_are_trusted(void **state)
{
    static const char *const trusted[] = {"127.0.0.1", "10.0.0.0/8", "fd00::/8", NULL};
    static const struct {
        const char *headers, *expected;
    } rows[] = {
        {"", "address=127.0.0.1;host=h;tls=0"},
        {"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n",
         "address=1.2.3.4;host=h;tls=1"},
        {"X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n", "address=1.2.3.4;"},
        {"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1\r\n", "address=1.2.3.4;"},
        {"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.1.1.1,fd00::1\r\n", "address=1.2.3.4;"},
        {"X-Forwarded-For: 10.9.9.9\r\n", "address=10.9.9.9;"},
        {"X-Forwarded-For: evil, 10.1.1.1\r\n", "address=10.1.1.1;"},
        {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: evil\r\n", "address=127.0.0.1;"},
        {"X-Forwarded-For: 1.2.3.4:99\r\n", "address=1.2.3.4;"},
        {"X-Forwarded-For: [2001:DB8::0:1]:99\r\n", "address=2001:db8::1;"},
        {"X-Forwarded-For: ::ffff:1.2.3.4\r\n", "address=1.2.3.4;"},
        {"X-Forwarded-For:\r\nX-Forwarded-Proto: http\r\n", "address=127.0.0.1;host=h;tls=0"},
    };
    struct app own;
    app_start(&own, (struct http_server_config){.trusted_proxies = trusted});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_free char *text =
            xasprintf("GET /hello HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].headers);
        struct raw_answer answer = raw_ask(own.port, text);
        assert_says(&answer, rows[i].expected);
        raw_answer_free(&answer);
    }
    app_stop(&own, 1000);
}

static void a_taken_port_is_a_conflict(void **state)
{
    struct error err = ERROR_INIT;
    struct http_server_config config = {.address = "127.0.0.1", .port = app.port};
    assert_null(http_server_start(&config, &app.router, 1, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    error_clear(&err);
    config.address = "localhost:80";
    assert_null(http_server_start(&config, &app.router, 1, &err));
    assert_int_equal(err.code, ERROR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_tells_about_itself),
        cmocka_unit_test(parameters_are_decoded),
        cmocka_unit_test(head_is_get_without_a_body),
        cmocka_unit_test(answers_have_the_right_headers),
        cmocka_unit_test(unknown_paths_and_methods_are_refused),
        cmocka_unit_test(connections_are_kept),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(an_expected_continue_is_given),
        cmocka_unit_test(bodies_up_to_the_limit_are_taken),
        cmocka_unit_test(two_hundred_at_once_get_their_own_answers),
        cmocka_unit_test(a_full_queue_says_when_to_come_back),
        cmocka_unit_test(clients_that_left_harm_nobody),
        cmocka_unit_test(stopping_lets_running_requests_end),
        cmocka_unit_test(stopping_survives_connections_that_come_and_go),
        cmocka_unit_test(after_the_grace_nothing_new_begins),
        cmocka_unit_test(proxies_are_believed_where_they_are_trusted),
        cmocka_unit_test(a_taken_port_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
