/* SPDX-License-Identifier: Apache-2.0 */
/* The client against our own server, also over TLS, and against sockets that misbehave. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "net/app_fixture.h"
#include "net/client.h"

static struct app app;
static struct http_client *client;

static int start(void **state)
{
    app_start(&app, (struct http_server_config){0});
    const struct http_client_options options = {.timeout_ms = 1000, .answer_max_bytes = 1000};
    client = http_client_create(&options);
    return 0;
}

static int stop(void **state)
{
    http_client_free(client);
    app_stop(&app, 1000);
    return 0;
}

static char *url_of(const char *scheme, uint16_t port, const char *path)
{
    return xasprintf("%s://127.0.0.1:%u%s", scheme, port, path);
}

/* A server of one connection that answers the same whatever is asked, and closes. */
struct fake {
    int fd;
    uint16_t port;
    const char *answer;
    unsigned pause_ms; /* before it closes */
    pthread_t thread;
};

static void *serve_once(void *argument)
{
    const struct fake *fake = argument;
    char request[4096];
    int fd = accept(fake->fd, NULL, NULL);
    if (fd >= 0 && recv(fd, request, sizeof(request), 0) > 0)
        raw_send(fd, fake->answer);
    usleep(fake->pause_ms * 1000);
    close(fd);
    return NULL;
}

static void fake_start(struct fake *fake, const char *answer, unsigned pause_ms)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    fake->answer = answer;
    fake->pause_ms = pause_ms;
    fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fake->fd, 1), 0);
    assert_int_equal(getsockname(fake->fd, (struct sockaddr *)&address, &length), 0);
    fake->port = ntohs(address.sin_port);
    fake->thread = thread_start("fake", serve_once, fake);
}

static void fake_stop(struct fake *fake)
{
    pthread_join(fake->thread, NULL);
    close(fake->fd);
}

static void an_answer_comes_whole(void **state)
{
    static const char *const headers[] = {"X-Test: value", "Authorization: Bearer abc", NULL};
    scope_free char *url = url_of("http", app.port, "/hello?q=a%20b");
    const struct http_call call = {.method = "GET", .url = url, .headers = headers};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    assert_int_equal(http_client_call(client, &call, &answer, &err), 0);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.data, "bearer=abc;x=value;q=a b;"));
    assert_non_null(strstr(answer.body.data, answer.request_id));
    assert_int_equal(strlen(answer.request_id), 36);
    assert_string_equal(answer.content_type, "text/plain");
    assert_string_equal(answer.etag, "");
    assert_int_equal(answer.content_length, answer.body.length);
    assert_int_equal(answer.retry_after_s, 0);
    http_answer_free(&answer);
}

static void bodies_are_sent_with_every_method(void **state)
{
    static const struct {
        const char *method, *body;
        unsigned status;
    } rows[] = {
        {"POST", "{\"a\":1}", 200}, {"PUT", "x", 200},   {"POST", "", 200},   {"GET", "body", 200},
        {"GET", "", 200},           {"PATCH", "x", 405}, {"DELETE", "", 405}, {"OPTIONS", "", 405},
    };
    scope_free char *url = url_of("http", app.port, "/echo");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct http_call call = {
            .method = rows[i].method, .url = url, .body = slice_str(rows[i].body)};
        struct http_answer answer;
        struct error err = ERROR_INIT;
        if (http_client_call(client, &call, &answer, &err) < 0)
            fail_msg("%s: %s", rows[i].method, err.text);
        assert_int_equal(answer.status, rows[i].status);
        if (answer.status == 200)
            assert_string_equal(answer.body.data, rows[i].body);
        http_answer_free(&answer);
    }
}

static void head_has_headers_only(void **state)
{
    scope_free char *url = url_of("http", app.port, "/file");
    const struct http_call call = {.method = "HEAD", .url = url};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    assert_int_equal(http_client_call(client, &call, &answer, &err), 0);
    assert_int_equal(answer.content_length, APP_FILE_BYTES);
    assert_int_equal(answer.body.length, 0);
    assert_string_equal(answer.etag, "\"v1\"");
    http_answer_free(&answer);
}

static int collect(const void *bytes, size_t length, void *context, struct error *err)
{
    buf_add(context, bytes, length);
    return 0;
}

static int give_up(const void *bytes, size_t length, void *context, struct error *err)
{
    return error_set(err, ERROR_NO_SPACE, "the disk is full");
}

static void a_sink_takes_what_is_too_large_for_memory(void **state)
{
    scope_free char *url = url_of("http", app.port, "/file");
    scope_buf struct buf whole = BUF_INIT;
    struct http_call call = {.method = "GET", .url = url, .sink = collect, .sink_context = &whole};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    assert_int_equal(http_client_call(client, &call, &answer, &err), 0);
    assert_true(slice_equal(buf_slice(&whole), slice_of(app.file_bytes, APP_FILE_BYTES)));
    assert_int_equal(answer.body.length, 0);
    http_answer_free(&answer);

    call.sink = give_up;
    assert_int_equal(http_client_call(client, &call, &answer, &err), -1);
    assert_int_equal(err.code, ERROR_NO_SPACE);
    error_clear(&err);

    /* What is no success goes into the body. */
    scope_free char *nowhere = url_of("http", app.port, "/nothing");
    call.url = nowhere;
    assert_int_equal(http_client_call(client, &call, &answer, &err), 0);
    assert_int_equal(answer.status, 404);
    assert_non_null(strstr(answer.body.data, "404"));
    http_answer_free(&answer);
}

static void expect_failure(const struct http_call *call, enum error_code code, bool was_sent)
{
    struct http_answer answer;
    struct error err = ERROR_INIT;
    bool sent = !was_sent;
    struct http_call noting = *call;
    noting.was_sent = &sent;
    assert_int_equal(http_client_call(client, &noting, &answer, &err), -1);
    if (err.code != code || sent != was_sent)
        fail_msg("%s: %s: %s, sent %d", call->url, error_code_name(err.code), err.text, sent);
}

static void what_fails_says_how(void **state)
{
    scope_free char *file = url_of("http", app.port, "/file");
    expect_failure(&(struct http_call){.method = "GET", .url = file}, ERROR_LIMIT, true);
    expect_failure(&(struct http_call){.method = "GET", .url = "file:///etc/passwd"}, ERROR_INVALID,
                   false);
    expect_failure(&(struct http_call){.method = "GET", .url = "http://"}, ERROR_INVALID, false);
    static const char *const evil[] = {"X: a\r\nY: b", NULL};
    expect_failure(&(struct http_call){.method = "GET", .url = file, .headers = evil},
                   ERROR_INVALID, false);

    struct fake gone;
    fake_start(&gone, "", 0);
    close(raw_connect(gone.port));
    fake_stop(&gone);
    scope_free char *refused = url_of("http", gone.port, "/");
    expect_failure(&(struct http_call){.method = "GET", .url = refused}, ERROR_UNAVAILABLE, false);

    app.slow_ms = 1500;
    scope_free char *slow = url_of("http", app.port, "/slow");
    expect_failure(&(struct http_call){.method = "GET", .url = slow}, ERROR_UNAVAILABLE, true);
    app.slow_ms = 100;
}

static void a_call_may_have_its_own_timeout(void **state)
{
    app.slow_ms = 1500;
    scope_free char *slow = url_of("http", app.port, "/slow");
    const struct http_call call = {.method = "GET", .url = slow, .timeout_ms = 5000};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    assert_int_equal(http_client_call(client, &call, &answer, &err), 0);
    http_answer_free(&answer);
    app.slow_ms = 100;
}

static void answers_that_are_cut_are_no_answers(void **state)
{
    static const char *const cut[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 O",
        "nonsense\r\n\r\n",
        "",
    };
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        struct fake fake;
        fake_start(&fake, cut[i], 0);
        scope_free char *url = url_of("http", fake.port, "/");
        expect_failure(&(struct http_call){.method = "GET", .url = url}, ERROR_UNAVAILABLE, true);
        fake_stop(&fake);
    }
}

static void a_sink_that_stalls_is_given_up(void **state)
{
    struct fake fake;
    scope_buf struct buf got = BUF_INIT;
    fake_start(&fake, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 4000);
    scope_free char *url = url_of("http", fake.port, "/");
    int64_t began_us = time_monotonic_us();
    expect_failure(
        &(struct http_call){
            .method = "GET", .url = url, .timeout_ms = 1000, .sink = collect, .sink_context = &got},
        ERROR_UNAVAILABLE, true);
    assert_in_range((time_monotonic_us() - began_us) / 1000, 900, 3500);
    fake_stop(&fake);
}

static void *cancel_soon(void *argument)
{
    usleep(200 * 1000);
    cancel_set(argument);
    return NULL;
}

static void a_call_can_be_cancelled(void **state)
{
    struct fake fake;
    struct cancel cancel = {false};
    fake_start(&fake, "", 3000);
    scope_free char *url = url_of("http", fake.port, "/");
    pthread_t thread = thread_start("cancel", cancel_soon, &cancel);
    int64_t began_us = time_monotonic_us();
    expect_failure(
        &(struct http_call){.method = "GET", .url = url, .timeout_ms = 10000, .cancel = &cancel},
        ERROR_CANCELLED, true);
    assert_in_range((time_monotonic_us() - began_us) / 1000, 150, 2000);
    pthread_join(thread, NULL);
    fake_stop(&fake);
}

static void redirects_and_retry_after_are_told_not_followed(void **state)
{
    struct fake fake;
    fake_start(&fake,
               "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nRetry-After: 7\r\n"
               "Content-Length: 0\r\n\r\n",
               0);
    scope_free char *url = url_of("http", fake.port, "/");
    const struct http_call call = {.method = "GET", .url = url};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    assert_int_equal(http_client_call(client, &call, &answer, &err), 0);
    assert_int_equal(answer.status, 302);
    assert_int_equal(answer.retry_after_s, 7);
    http_answer_free(&answer);
    fake_stop(&fake);
}

static void certificates_are_verified(void **state)
{
    scope_buf struct buf certificate = BUF_INIT;
    scope_buf struct buf key = BUF_INIT;
    char path[64];
    struct app tls;
    make_certificate(&certificate, &key, path);
    app_start(&tls, (struct http_server_config){.tls_certificate_pem = certificate.data,
                                                .tls_key_pem = key.data});
    scope_free char *url = url_of("https", tls.port, "/hello");
    scope_free char *file = url_of("https", tls.port, "/file");
    expect_failure(&(struct http_call){.method = "GET", .url = url}, ERROR_UNAVAILABLE, false);

    const struct http_client_options options = {.ca_file = path};
    struct http_client *trusting = http_client_create(&options);
    scope_buf struct buf whole = BUF_INIT;
    struct http_call call = {.method = "GET", .url = url};
    struct http_answer answer;
    struct error err = ERROR_INIT;
    if (http_client_call(trusting, &call, &answer, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(strstr(answer.body.data, ";tls=1;"));
    http_answer_free(&answer);
    call =
        (struct http_call){.method = "GET", .url = file, .sink = collect, .sink_context = &whole};
    assert_int_equal(http_client_call(trusting, &call, &answer, &err), 0);
    assert_true(slice_equal(buf_slice(&whole), slice_of(tls.file_bytes, APP_FILE_BYTES)));
    http_answer_free(&answer);

    /* The answer to a refused body also arrives over TLS. */
    static char zeros[1 << 20];
    scope_free char *echo = url_of("https", tls.port, "/echo");
    static const char *const chunked[] = {"Transfer-Encoding: chunked", NULL};
    for (int i = 0; i < 2; i++) {
        call = (struct http_call){.method = "POST",
                                  .url = echo,
                                  .body = slice_of(zeros, sizeof(zeros)),
                                  .headers = i == 0 ? NULL : chunked};
        if (http_client_call(trusting, &call, &answer, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(answer.status, 413);
        http_answer_free(&answer);
    }
    http_client_free(trusting);
    app_stop(&tls, 1000);
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static void a_bad_certificate_does_not_start_a_server(void **state)
{
    struct error err = ERROR_INIT;
    const struct http_server_config config = {
        .address = "127.0.0.1", .tls_certificate_pem = "nonsense", .tls_key_pem = "nonsense"};
    assert_null(http_server_start(&config, &app.router, 1, &err));
    assert_int_equal(err.code, ERROR_INVALID);
}

static void *call_often(void *argument)
{
    scope_free char *url = url_of("http", app.port, "/work-echo");
    intptr_t good = 0;
    for (int i = 0; i < 20; i++) {
        char body[32];
        snprintf(body, sizeof(body), "%p %d", argument, i);
        const struct http_call call = {.method = "POST", .url = url, .body = slice_str(body)};
        struct http_answer answer;
        struct error err = ERROR_INIT;
        if (http_client_call(client, &call, &answer, &err) < 0)
            break;
        good += strcmp(answer.body.data, body) == 0;
        http_answer_free(&answer);
    }
    return (void *)good;
}

static void threads_share_a_client(void **state)
{
    pthread_t threads[30];
    for (intptr_t i = 0; i < 30; i++)
        threads[i] = thread_start("caller", call_often, (void *)i);
    for (int i = 0; i < 30; i++) {
        void *good;
        pthread_join(threads[i], &good);
        assert_int_equal((intptr_t)good, 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_whole),
        cmocka_unit_test(bodies_are_sent_with_every_method),
        cmocka_unit_test(head_has_headers_only),
        cmocka_unit_test(a_sink_takes_what_is_too_large_for_memory),
        cmocka_unit_test(what_fails_says_how),
        cmocka_unit_test(a_call_may_have_its_own_timeout),
        cmocka_unit_test(answers_that_are_cut_are_no_answers),
        cmocka_unit_test(a_sink_that_stalls_is_given_up),
        cmocka_unit_test(a_call_can_be_cancelled),
        cmocka_unit_test(redirects_and_retry_after_are_told_not_followed),
        cmocka_unit_test(certificates_are_verified),
        cmocka_unit_test(a_bad_certificate_does_not_start_a_server),
        cmocka_unit_test(threads_share_a_client),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
