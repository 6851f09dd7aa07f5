/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are made while they are sent, and clients that do not wait for them. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "net/client.h"
#include "net/raw_fixture.h"

enum {
    BODY_BYTES = 3 * 1000 * 1000 + 7,
    PIECE_BYTES = 9973,
};

struct site {
    struct http_server *server;
    struct http_router *router;
    uint16_t port;
    _Atomic(int) runs, cancelled, freed; /* of streams */
    _Atomic(int) impatient;
    _Atomic(int) impatient_after_ms;
};
static struct site site;

static char byte_at(size_t position)
{
    return (char)('a' + position * 7 % 26);
}

static int run_pattern(struct http_stream *stream, void *context, struct error *err)
{
    char piece[PIECE_BYTES];
    atomic_fetch_add(&site.runs, 1);
    for (size_t at = 0; at < BODY_BYTES;) {
        size_t length = BODY_BYTES - at < PIECE_BYTES ? BODY_BYTES - at : PIECE_BYTES;
        for (size_t i = 0; i < length; i++)
            piece[i] = byte_at(at + i);
        if (http_stream_write(stream, piece, length, err) < 0)
            return -1;
        at += length;
        if (at % 50 == 0)
            usleep(100); /* now and then the reader finds nothing */
    }
    return context == NULL ? 0 : error_set(err, ERROR_IO, "as the test wants");
}

/* More than any socket takes. */
static int run_endless(struct http_stream *stream, void *context, struct error *err)
{
    char piece[PIECE_BYTES] = "";
    atomic_fetch_add(&site.runs, 1);
    while (http_stream_write(stream, piece, sizeof(piece), err) == 0)
        ;
    atomic_fetch_add(&site.cancelled, err->code == ERROR_CANCELLED);
    return -1;
}

/* Writes nothing, and looks whether somebody still waits. */
static int run_silent(struct http_stream *stream, void *context, struct error *err)
{
    atomic_fetch_add(&site.runs, 1);
    for (int i = 0; i < 1000 && !cancel_is_set(http_stream_gone(stream)); i++)
        usleep(10 * 1000);
    if (cancel_is_set(http_stream_gone(stream)))
        atomic_fetch_add(&site.cancelled, 1);
    return -1;
}

static void count_free(void *context)
{
    atomic_fetch_add(&site.freed, 1);
}

static const struct http_stream_ops pattern_ops = {.run = run_pattern, .free = count_free};
static const struct http_stream_ops endless_ops = {.run = run_endless, .free = count_free};
static const struct http_stream_ops silent_ops = {.run = run_silent, .free = count_free};

static void chunked(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_header(reply, "Content-Type", "text/plain");
    http_reply_stream(reply, request, &pattern_ops, NULL, -1);
}

static void sized(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_stream(reply, request, &pattern_ops, NULL, BODY_BYTES);
}

static void failing(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_stream(reply, request, &pattern_ops, app, -1);
}

static void endless(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_stream(reply, request, &endless_ops, NULL, -1);
}

static void silent(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_stream(reply, request, &silent_ops, NULL, -1);
}

static void refused(const struct http_request *request, struct http_reply *reply, void *app)
{
    http_reply_stream(reply, request, &pattern_ops, NULL, -1);
    http_reply_status(reply, 204);
}

static void patient(const struct http_request *request, struct http_reply *reply, void *app)
{
    int64_t began_us = time_monotonic_us();
    const struct cancel *cancel = http_patience(request, 700);
    for (int i = 0; i < 1000 && !cancel_is_set(cancel); i++)
        usleep(10 * 1000);
    atomic_store(&site.impatient_after_ms, (int)((time_monotonic_us() - began_us) / 1000));
    atomic_fetch_add(&site.impatient, cancel_is_set(cancel));
}

static void write_error(const struct http_request *request, struct http_reply *reply,
                        unsigned status, const char *reason, void *app)
{
}

static int start(void **state)
{
    struct error err = ERROR_INIT;
    const struct http_router_options options = {
        .workers = 4, .queue_max = 10, .body_max_bytes = 100, .write_error = write_error};
    site = (struct site){.router = http_router_create("test", &options)};
    http_route(site.router, HTTP_GET, "/chunked", chunked, NULL, HTTP_INLINE);
    http_route(site.router, HTTP_GET, "/sized", sized, NULL, HTTP_WORKER);
    http_route(site.router, HTTP_GET, "/failing", failing, &site, HTTP_INLINE);
    http_route(site.router, HTTP_GET, "/endless", endless, NULL, HTTP_INLINE);
    http_route(site.router, HTTP_GET, "/silent", silent, NULL, HTTP_INLINE);
    http_route(site.router, HTTP_GET, "/refused", refused, NULL, HTTP_INLINE);
    http_route(site.router, HTTP_GET, "/patient", patient, NULL, HTTP_WORKER);
    struct http_server_config config = {.address = "127.0.0.1", .threads = 2};
    site.server = http_server_start(&config, &site.router, 1, &err);
    if (site.server == NULL)
        fail_msg("%s", err.text);
    site.port = http_server_port(site.server);
    return 0;
}

static int stop(void **state)
{
    http_server_stop(site.server, 2000);
    http_router_free(site.router);
    return 0;
}

static bool comes_to(_Atomic(int) *counter, int wanted)
{
    for (int i = 0; i < 500 && atomic_load(counter) != wanted; i++)
        usleep(10 * 1000);
    return atomic_load(counter) == wanted;
}

static int fetch(const char *path, struct http_answer *answer, struct error *err)
{
    struct http_client_options options = {.answer_max_bytes = 2 * BODY_BYTES};
    struct http_client *client = http_client_create(&options);
    scope_free char *url = xasprintf("http://127.0.0.1:%u%s", site.port, path);
    int result =
        http_client_call(client, &(struct http_call){.method = "GET", .url = url}, answer, err);
    http_client_free(client);
    return result;
}

static void expect_pattern(const struct http_answer *answer)
{
    assert_int_equal(answer->status, 200);
    assert_int_equal(answer->body.length, BODY_BYTES);
    for (size_t i = 0; i < BODY_BYTES; i++)
        if (answer->body.data[i] != byte_at(i))
            fail_msg("byte %zu is another", i);
}

static void a_stream_arrives_whole(void **state)
{
    static const char *const paths[] = {"/chunked", "/sized"};
    for (int i = 0; i < 8; i++) {
        struct http_answer answer;
        struct error err = ERROR_INIT;
        if (fetch(paths[i % 2], &answer, &err) < 0)
            fail_msg("%s", err.text);
        expect_pattern(&answer);
        assert_int_equal(answer.content_length, i % 2 == 0 ? -1 : BODY_BYTES);
        http_answer_free(&answer);
        assert_true(comes_to(&site.freed, i + 1));
    }
    assert_int_equal(site.runs, 8);
}

static void a_stream_that_fails_is_cut(void **state)
{
    struct http_answer answer;
    struct error err = ERROR_INIT;
    assert_int_equal(fetch("/failing", &answer, &err), -1);
    assert_int_equal(err.code, ERROR_UNAVAILABLE);
    assert_true(comes_to(&site.freed, 1));
}

static void nothing_runs_where_there_is_no_body(void **state)
{
    struct raw_answer answer;
    int fd = raw_connect(site.port);
    raw_send(fd, "HEAD /sized HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_read(fd, &answer, true);
    assert_int_equal(answer.status, 200);
    raw_answer_free(&answer);
    raw_send(fd, "GET /refused HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_read(fd, &answer, true);
    assert_int_equal(answer.status, 204);
    raw_answer_free(&answer);
    close(fd);
    assert_true(comes_to(&site.freed, 2));
    assert_int_equal(site.runs, 0);
}

static void a_stream_ends_with_its_client(void **state)
{
    static const char *const requests[] = {"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n",
                                           "GET /silent HTTP/1.1\r\nHost: h\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        int fd = raw_connect(site.port);
        raw_send(fd, requests[i]);
        assert_true(comes_to(&site.runs, i + 1));
        usleep(50 * 1000);
        close(fd);
        assert_true(comes_to(&site.cancelled, i + 1));
        assert_true(comes_to(&site.freed, i + 1));
    }
}

/* Nobody reads, nothing is written: the server stops all the same. */
static void a_stop_does_not_wait_for_streams(void **state)
{
    int fds[4];
    start(state);
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_connect(site.port);
        raw_send(fds[i], i % 2 == 0 ? "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n"
                                    : "GET /silent HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    assert_true(comes_to(&site.runs, 4));
    int64_t began_us = time_monotonic_us();
    http_server_stop(site.server, 100);
    assert_true(time_monotonic_us() - began_us < 3 * 1000 * 1000);
    assert_int_equal(site.freed, 4);
    http_router_free(site.router);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static void patience_ends_with_the_client_or_the_time(void **state)
{
    int fd = raw_connect(site.port);
    raw_send(fd, "GET /patient HTTP/1.1\r\nHost: h\r\n\r\n");
    usleep(50 * 1000);
    close(fd);
    assert_true(comes_to(&site.impatient, 1));
    fd = raw_connect(site.port);
    for (int i = 2; i < 4; i++) { /* on one connection: the second has its own patience */
        struct raw_answer answer;
        raw_send(fd, "GET /patient HTTP/1.1\r\nHost: h\r\n\r\n");
        raw_read(fd, &answer, false);
        assert_int_equal(answer.status, 200);
        raw_answer_free(&answer);
        assert_int_equal(site.impatient, i);
        assert_in_range(site.impatient_after_ms, 700, 3000);
    }
    close(fd);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        STREAM_TEST(a_stream_arrives_whole),
        STREAM_TEST(a_stream_that_fails_is_cut),
        STREAM_TEST(nothing_runs_where_there_is_no_body),
        STREAM_TEST(a_stream_ends_with_its_client),
        STREAM_TEST(patience_ends_with_the_client_or_the_time),
        cmocka_unit_test(a_stop_does_not_wait_for_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
