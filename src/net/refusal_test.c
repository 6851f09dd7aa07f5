/* SPDX-License-Identifier: Apache-2.0 */
/* What must never reach a handler, over real connections. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "net/app_fixture.h"

static struct app app;

static int start(void **state)
{
    app_start(&app, (struct http_server_config){.head_timeout_s = 1, .body_timeout_s = 1});
    return 0;
}

static int stop(void **state)
{
    app_stop(&app, 1000);
    return 0;
}

/* After the refused request comes one that must not be answered: nothing is smuggled. */
#define SECOND "GET /items/smuggled/x HTTP/1.1\r\nHost: h\r\n\r\n"

static void ambiguous_requests_end_their_connection(void **state)
{
    static const struct {
        const char *claim, *request;
        unsigned status;
    } rows[] = {
        {"Content-Length :", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n12345",
         400},
        {"two lengths",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\n", 400},
        {"two lengths, turned",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400},
        {"length and coding",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\n",
         400},
        {"xchunked",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
        {"chunked in 1.0",
         "POST /echo HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"a folded coding",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n x\r\n\r\n0\r\n\r\n",
         400},
        {"a coding folded below another",
         "POST /echo HTTP/1.1\r\nHost: h\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"no host", "GET /echo HTTP/1.1\r\n\r\n", 400},
        {"two hosts", "GET /echo HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400},
        {"control bytes", "GET /echo HTTP/1.1\r\nHost: h\r\nX: \x01\r\n\r\n", 400},
        {"a bare CR", "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\rContent-Length: 5\r\n\r\n", 400},
        {"%00", "GET /items/a%00/b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"a bad escape", "GET /items/a%g0/b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"a blank in the target", "GET /items/a b/c HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"HTTP/1.2", "GET /hello HTTP/1.2\r\nHost: h\r\n\r\n", 400},
        {"HTTP/2.0", "GET /hello HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"a length with letters", "GET /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5x\r\n\r\n",
         400},
        {"a chunk without a size",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"a negative chunk",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
        {"a chunk that goes on",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
        {"an endless chunk",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "fffffffffffffffff\r\n",
         413},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct raw_answer answer;
        char value[256];
        int fd = raw_connect(app.port);
        raw_send(fd, rows[i].request);
        raw_send(fd, SECOND);
        raw_read(fd, &answer, false);
        if (answer.status != rows[i].status || answer.was_cut ||
            strcmp(raw_header(&answer, "Connection", value), "close") != 0)
            fail_msg("%s: %s%s", rows[i].claim, answer.head.data, answer.body.data);
        raw_answer_free(&answer);
        raw_read(fd, &answer, false);
        if (answer.status != 0)
            fail_msg("%s: a second answer: %s", rows[i].claim, answer.head.data);
        raw_answer_free(&answer);
        close(fd);
    }
}

static void refusals_speak_the_routers_words(void **state)
{
    char value[256];
    struct raw_answer answer = raw_ask(app.port, "GET /hello HTTP/1.1\r\n\r\n");
    assert_string_equal(answer.body.data,
                        "{\"status\":400,\"reason\":\"Exactly one Host header is needed.\"}");
    assert_int_equal(strlen(raw_header(&answer, "X-Request-Id", value)), 36);
    raw_answer_free(&answer);
}

static void large_heads_are_refused(void **state)
{
    static const struct {
        size_t target_bytes, header_bytes;
        int headers;
        unsigned status;
    } rows[] = {
        {2000, 1000, 1, 404},  {2100, 10, 1, 414},   {100, 15000, 1, 404},   {100, 17000, 1, 431},
        {100, 1000, 14, 404},  {100, 1000, 17, 431}, {100, 10, 90, 404},     {100, 10, 110, 431},
        {100, 100000, 1, 431}, {100000, 10, 1, 414}, {100, 10, 100000, 431},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_buf struct buf request = BUF_INIT;
        buf_add_str(&request, "GET /");
        for (size_t n = 0; n < rows[i].target_bytes; n++)
            buf_add_char(&request, 'a');
        buf_add_str(&request, " HTTP/1.1\r\nHost: h\r\n");
        for (int h = 0; h < rows[i].headers; h++) {
            buf_printf(&request, "X-%d: ", h);
            for (size_t n = 0; n < rows[i].header_bytes; n++)
                buf_add_char(&request, 'b');
            buf_add_str(&request, "\r\n");
        }
        buf_add_str(&request, "\r\n");
        struct raw_answer answer = raw_ask(app.port, request.data);
        if (answer.status != rows[i].status)
            fail_msg("row %zu: %u", i, answer.status);
        raw_answer_free(&answer);
    }
}

static void large_bodies_are_refused_before_they_come(void **state)
{
    char value[256];
    struct raw_answer answer;
    scope_free char *head = xasprintf("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n"
                                      "Expect: 100-continue\r\n\r\n",
                                      APP_BODY_MAX_BYTES + 1);
    int fd = raw_connect(app.port);
    raw_send(fd, head);
    raw_read(fd, &answer, false);
    assert_int_equal(answer.status, 413);
    assert_string_equal(raw_header(&answer, "Connection", value), "close");
    assert_non_null(strstr(answer.body.data, "\"status\":413"));
    raw_answer_free(&answer);
    close(fd);
}

/* A client that sends all of its body first must still get to read the answer. */
static void refused_bodies_do_not_cost_the_answer(void **state)
{
    enum {
        BODY_BYTES = 4 << 20
    };
    static char zeros[BODY_BYTES];
    static const char *const heads[] = {
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n",
        "POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n",
    };
    static const unsigned statuses[] = {413, 413, 404, 404, 400};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct raw_answer answer;
        char value[256];
        int fd = raw_connect(app.port);
        raw_send(fd, heads[i]);
        raw_send_bytes(fd, zeros, sizeof(zeros));
        raw_read(fd, &answer, false);
        if (answer.status != statuses[i] || answer.was_cut ||
            strcmp(raw_header(&answer, "Connection", value), "close") != 0)
            fail_msg("row %zu: %s%s", i, answer.head.data, answer.body.data);
        raw_answer_free(&answer);
        assert_true(raw_is_closed_within(fd, 3000));
        close(fd);
    }
}

enum {
    HELD_BYTES = APP_BODY_MAX_BYTES - 1,
    HOLDERS = 400,
    HOLDERS_MAX = (16 << 20) / (HELD_BYTES - (16 << 10)) /* that find room, as the manual says */
};

/* Large bodies that do not end, on connections of their own. */
static void hold_bodies(uint16_t port, struct pollfd holders[HOLDERS])
{
    static const char zeros[HELD_BYTES];
    for (size_t i = 0; i < HOLDERS; i++) {
        int fd = raw_connect(port);
        raw_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n");
        raw_send_bytes(fd, zeros, sizeof(zeros));
        holders[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

/* How many were answered, and how, before they came to their end. */
static size_t count_refused(struct pollfd holders[HOLDERS], size_t wanted)
{
    size_t refused = 0;
    for (int i = 0; i < 50 && refused < wanted; i++) {
        usleep(100 * 1000);
        poll(holders, HOLDERS, 0);
        refused = 0;
        for (size_t h = 0; h < HOLDERS; h++)
            refused += holders[h].revents != 0;
    }
    return refused;
}

static struct raw_answer echo(uint16_t port, size_t bytes)
{
    static char zeros[APP_BODY_MAX_BYTES];
    struct raw_answer answer;
    int fd = raw_connect(port);
    scope_free char *head =
        xasprintf("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", bytes);
    raw_send(fd, head);
    raw_send_bytes(fd, zeros, bytes);
    raw_read(fd, &answer, false);
    close(fd);
    return answer;
}

static void bodies_of_strangers_share_what_memory_there_is(void **state)
{
    static struct pollfd holders[HOLDERS];
    struct app own;
    struct raw_answer answer;
    char value[256];
    app_start(&own, (struct http_server_config){.body_timeout_s = 60});
    hold_bodies(own.port, holders);
    assert_in_range(count_refused(holders, HOLDERS - HOLDERS_MAX), HOLDERS - HOLDERS_MAX,
                    HOLDERS - HOLDERS_MAX / 2);
    size_t served = 0;
    for (size_t i = 0; i < HOLDERS; i++) {
        bool is_refused = holders[i].revents != 0;
        if (!is_refused)
            raw_send_bytes(holders[i].fd, "", 1);
        raw_read(holders[i].fd, &answer, false);
        assert_int_equal(answer.status, is_refused ? 503 : 200);
        if (is_refused)
            assert_string_equal(raw_header(&answer, "Retry-After", value), "1");
        served += !is_refused;
        raw_answer_free(&answer);
        if (i == 0) { /* the others hold what there is; what is small is served as ever */
            answer = echo(own.port, 16 * 1024);
            assert_int_equal(answer.status, 200);
            raw_answer_free(&answer);
        }
    }
    assert_in_range(served, HOLDERS_MAX / 2, HOLDERS_MAX);
    for (size_t i = 0; i < HOLDERS; i++) { /* every byte was given back */
        close(holders[i].fd);
        answer = echo(own.port, APP_BODY_MAX_BYTES);
        assert_int_equal(answer.status, 200);
        raw_answer_free(&answer);
    }
    app_stop(&own, 0);
}

/* Sends `text` a byte every 100 ms; the milliseconds until the server cut it off. */
static int64_t drip(int fd, const char *text)
{
    int64_t began_us = time_monotonic_us();
    for (; *text != '\0'; text++) {
        raw_send_bytes(fd, text, 1);
        if (raw_is_closed_within(fd, 100))
            return (time_monotonic_us() - began_us) / 1000;
    }
    fail_msg("never cut off");
    return -1;
}

static void dripping_clients_are_cut_off(void **state)
{
    int head = raw_connect(app.port);
    assert_in_range(drip(head, "GET /hello HTTP/1.1\r\nHost: h\r\nX-Slow: aaaaaaaaaa"), 900, 2500);
    close(head);

    int body = raw_connect(app.port);
    raw_send(body, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    assert_in_range(drip(body, "a body that takes far too long to come"), 900, 2500);
    close(body);

    int chunks = raw_connect(app.port);
    raw_send(chunks, "POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    assert_in_range(drip(chunks, "thrown away, but not for ever either"), 900, 2500);
    close(chunks);

    int silent = raw_connect(app.port);
    assert_true(raw_is_closed_within(silent, 2500));
    close(silent);
}

static void a_kept_connection_may_rest_but_not_drip(void **state)
{
    static const char request[] = "GET /items/a/b HTTP/1.1\r\nHost: h\r\n\r\n";
    struct raw_answer answer;
    int fd = raw_connect(app.port);
    for (int i = 0; i < 2; i++) {
        raw_send(fd, request);
        raw_read(fd, &answer, false);
        assert_string_equal(answer.body.data, "a|b");
        raw_answer_free(&answer);
        assert_false(raw_is_closed_within(fd, 1700)); /* longer than a head may take */
    }
    assert_in_range(drip(fd, "GET /hello HTTP/1.1\r\nHost: h\r\nX-Slow: aaaaaaaaaa"), 900, 2500);
    close(fd);
}

static void a_handler_may_take_longer_than_a_head(void **state)
{
    app.slow_ms = 2000;
    struct raw_answer answer = raw_ask(app.port, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(answer.status, 200);
    raw_answer_free(&answer);
}

static void slow_handshakes_are_cut_off(void **state)
{
    struct app own;
    scope_buf struct buf certificate = BUF_INIT;
    scope_buf struct buf key = BUF_INIT;
    char path[64];
    make_certificate(&certificate, &key, path);
    app_start(&own, (struct http_server_config){.tls_certificate_pem = certificate.data,
                                                .tls_key_pem = key.data,
                                                .head_timeout_s = 1});
    int fd = raw_connect(own.port);
    assert_true(raw_is_closed_within(fd, 2500));
    close(fd);
    fd = raw_connect(own.port);
    raw_send_bytes(fd, "\x16\x03\x01\x02", 4); /* a hello that never goes on */
    assert_true(raw_is_closed_within(fd, 2500));
    close(fd);
    app_stop(&own, 0);
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ambiguous_requests_end_their_connection),
        cmocka_unit_test(refusals_speak_the_routers_words),
        cmocka_unit_test(large_heads_are_refused),
        cmocka_unit_test(large_bodies_are_refused_before_they_come),
        cmocka_unit_test(refused_bodies_do_not_cost_the_answer),
        cmocka_unit_test(bodies_of_strangers_share_what_memory_there_is),
        cmocka_unit_test(dripping_clients_are_cut_off),
        cmocka_unit_test(a_kept_connection_may_rest_but_not_drip),
        cmocka_unit_test(a_handler_may_take_longer_than_a_head),
        cmocka_unit_test(slow_handshakes_are_cut_off),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
