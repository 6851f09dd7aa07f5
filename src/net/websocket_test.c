/* SPDX-License-Identifier: Apache-2.0 */
/* A small client that sends frames as they are (RFC 6455, section 5.2). */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "net/app_fixture.h"

static struct app app;

static int start(void **state)
{
    app_start(&app, (struct http_server_config){.websocket_ping_s = 1});
    return 0;
}

static int stop(void **state)
{
    app_stop(&app, 1000);
    return 0;
}

#define HANDSHAKE                                                                                  \
    "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"     \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum opcode {
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    FINAL = 0x80
};

static void add_frame(struct buf *out, int first_byte, const void *bytes, size_t length)
{
    static const unsigned char mask[4] = {1, 2, 3, 4};
    buf_add_char(out, (char)first_byte);
    if (length < 126) {
        buf_add_char(out, (char)(0x80 | length));
    } else if (length < 65536) {
        unsigned char size[3] = {0x80 | 126, (unsigned char)(length >> 8), (unsigned char)length};
        buf_add(out, size, sizeof(size));
    } else {
        unsigned char size[9] = {0x80 | 127,
                                 0,
                                 0,
                                 0,
                                 0,
                                 (unsigned char)(length >> 24),
                                 (unsigned char)(length >> 16),
                                 (unsigned char)(length >> 8),
                                 (unsigned char)length};
        buf_add(out, size, sizeof(size));
    }
    buf_add(out, mask, sizeof(mask));
    for (size_t i = 0; i < length; i++)
        buf_add_char(out, (char)(((const unsigned char *)bytes)[i] ^ mask[i % 4]));
}

static void send_frame(int fd, int first_byte, const void *bytes, size_t length)
{
    scope_buf struct buf frame = BUF_INIT;
    add_frame(&frame, first_byte, bytes, length);
    raw_send_bytes(fd, frame.data, frame.length);
}

static void send_text(int fd, const char *text)
{
    send_frame(fd, FINAL | TEXT, text, strlen(text));
}

static bool read_all(int fd, void *bytes, size_t length)
{
    return length == 0 || recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

/* The opcode, -1 where the connection ended. */
static int read_frame(int fd, struct buf *payload)
{
    unsigned char head[2];
    unsigned char size[8] = {0};
    buf_clear(payload);
    if (!read_all(fd, head, 2))
        return -1;
    size_t length = head[1];
    size_t size_bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    assert_true(length < 128); /* a server does not mask */
    assert_true((head[0] & FINAL) != 0);
    if (!read_all(fd, size, size_bytes))
        return -1;
    if (size_bytes > 0)
        length = 0;
    for (size_t i = 0; i < size_bytes; i++)
        length = length << 8 | size[i];
    buf_reserve(payload, length);
    buf_add_zeros(payload, length);
    return read_all(fd, payload->data, length) ? head[0] & 0x0f : -1;
}

static void expect_text(int fd, const char *text)
{
    scope_buf struct buf payload = BUF_INIT;
    assert_int_equal(read_frame(fd, &payload), TEXT);
    assert_string_equal(payload.data, text);
}

static void expect_close(int fd, unsigned code)
{
    scope_buf struct buf payload = BUF_INIT;
    int opcode;
    while ((opcode = read_frame(fd, &payload)) == PING || opcode == TEXT)
        continue;
    assert_int_equal(opcode, CLOSE);
    assert_true(payload.length >= 2);
    assert_int_equal((unsigned char)payload.data[0] << 8 | (unsigned char)payload.data[1], code);
}

static int open_socket(void)
{
    struct raw_answer answer;
    char value[256];
    int fd = raw_connect(app.port);
    raw_send(fd, HANDSHAKE);
    raw_read(fd, &answer, true);
    assert_int_equal(answer.status, 101);
    /* RFC 6455, section 1.3 */
    assert_string_equal(raw_header(&answer, "Sec-WebSocket-Accept", value),
                        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_string_equal(raw_header(&answer, "Upgrade", value), "websocket");
    raw_answer_free(&answer);
    expect_text(fd, "hi");
    return fd;
}

static void wait_until_closed(int count)
{
    for (int i = 0; i < 500 && atomic_load(&app.closed) < count; i++)
        usleep(10 * 1000);
    assert_int_equal(atomic_load(&app.closed), count);
}

static void what_is_no_handshake_is_refused(void **state)
{
    static const struct {
        const char *headers;
        unsigned status;
        const char *header, *value;
    } rows[] = {
        {"", 426, "Upgrade", "websocket"},
        {"Upgrade: websocket\r\n", 426, "Upgrade", "websocket"},
        {"Connection: upgrade\r\nUpgrade: h2c\r\n", 426, "Upgrade", "websocket"},
        {"Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 8\r\n", 426,
         "Sec-WebSocket-Version", "13"},
        {"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", 400, "", ""},
        {"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n",
         400, "", ""},
        {"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n",
         400, "", ""},
    };
    int closed = atomic_load(&app.closed);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[256];
        scope_free char *text = xasprintf("GET /ws HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].headers);
        struct raw_answer answer = raw_ask(app.port, text);
        if (answer.status != rows[i].status ||
            strcmp(raw_header(&answer, rows[i].header, value), rows[i].value) != 0)
            fail_msg("%s: %s", rows[i].headers, answer.head.data);
        assert_non_null(strstr(answer.body.data, "\"status\":4"));
        raw_answer_free(&answer);
    }
    assert_int_equal(atomic_load(&app.closed), closed);
}

static void messages_come_back(void **state)
{
    int closed = atomic_load(&app.closed);
    int fd = open_socket();
    send_text(fd, "one");
    expect_text(fd, "one");
    /* Two frames of one message, a ping between them. */
    send_frame(fd, TEXT, "two ", 4);
    send_frame(fd, FINAL | PING, "p", 1);
    send_frame(fd, FINAL | 0, "parts", 5);
    scope_buf struct buf payload = BUF_INIT;
    assert_int_equal(read_frame(fd, &payload), PONG);
    assert_string_equal(payload.data, "p");
    expect_text(fd, "two parts");
    send_frame(fd, FINAL | TEXT, app.file_bytes, WEBSOCKET_MESSAGE_MAX_BYTES);
    assert_int_equal(read_frame(fd, &payload), TEXT);
    assert_true(
        slice_equal(buf_slice(&payload), slice_of(app.file_bytes, WEBSOCKET_MESSAGE_MAX_BYTES)));
    send_frame(fd, FINAL | CLOSE, "\x03\xe8", 2);
    expect_close(fd, 1000);
    assert_true(raw_is_closed_within(fd, 1000));
    close(fd);
    wait_until_closed(closed + 1);
}

static void frames_that_came_with_the_handshake_count(void **state)
{
    struct raw_answer answer;
    scope_buf struct buf bytes = BUF_INIT;
    buf_add_str(&bytes, HANDSHAKE);
    add_frame(&bytes, FINAL | TEXT, "early", 5);
    int fd = raw_connect(app.port);
    raw_send_bytes(fd, bytes.data, bytes.length);
    raw_read(fd, &answer, true);
    raw_answer_free(&answer);
    expect_text(fd, "hi");
    expect_text(fd, "early");
    close(fd);
}

static void what_is_not_allowed_closes(void **state)
{
    static const struct {
        int first_byte;
        const char *bytes;
        size_t length;
        unsigned code;
    } rows[] = {
        {FINAL | BINARY, "x", 1, 1003},
        {FINAL | TEXT, "\xff", 1, 1007},
        {FINAL | TEXT, NULL, WEBSOCKET_MESSAGE_MAX_BYTES + 1, 1009},
        {FINAL | 0x40 | TEXT, "x", 1, 1002},
        {FINAL | 3, "x", 1, 1002},
        {FINAL | 0, "x", 1, 1002},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = open_socket();
        send_frame(fd, rows[i].first_byte, rows[i].bytes == NULL ? app.file_bytes : rows[i].bytes,
                   rows[i].length);
        expect_close(fd, rows[i].code);
        close(fd);
    }
}

static void a_handler_closes_with_its_code(void **state)
{
    int fd = open_socket();
    send_text(fd, "bye");
    expect_close(fd, 4409);
    send_frame(fd, FINAL | CLOSE, "\x11\x39", 2);
    assert_true(raw_is_closed_within(fd, 1000));
    close(fd);
}

static void who_does_not_read_is_dropped(void **state)
{
    int closed = atomic_load(&app.closed);
    int fd = open_socket();
    send_text(fd, "flood");
    wait_until_closed(closed + 1);
    close(fd);
}

static void who_is_silent_is_pinged_and_dropped(void **state)
{
    int closed = atomic_load(&app.closed);
    int fd = open_socket();
    scope_buf struct buf payload = BUF_INIT;
    int64_t began_us = time_monotonic_us();
    for (int i = 0; i < 2; i++) { /* answers keep it alive beyond twice the silence */
        assert_int_equal(read_frame(fd, &payload), PING);
        send_frame(fd, FINAL | PONG, "", 0);
    }
    assert_int_equal(read_frame(fd, &payload), PING);
    assert_true(time_monotonic_us() - began_us > 2500 * 1000);
    assert_int_equal(atomic_load(&app.closed), closed);
    wait_until_closed(closed + 1);
    close(fd);
}

static void who_leaves_is_noticed(void **state)
{
    int closed = atomic_load(&app.closed);
    int fds[20];
    for (int i = 0; i < 20; i++)
        fds[i] = open_socket();
    for (int i = 0; i < 20; i++) {
        struct linger reset = {.l_onoff = 1};
        if (i % 2 == 0)
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fds[i]);
    }
    wait_until_closed(closed + 20);
}

static void stopping_closes_all(void **state)
{
    struct app own = app; /* open_socket() asks `app` */
    app_start(&app, (struct http_server_config){0});
    int first = open_socket();
    int second = open_socket();
    app_stop(&app, 1000);
    assert_int_equal(app.opened, 2);
    assert_int_equal(app.closed, 2);
    expect_close(first, 1001);
    expect_close(second, 1001);
    close(first);
    close(second);
    app = own;
}

/* All of `length` bytes, or the test fails. */
static void receive_tls(CURL *curl, void *bytes, size_t length)
{
    char *cursor = bytes;
    int64_t deadline_us = time_monotonic_us() + 10 * 1000 * 1000;
    while (length > 0 && time_monotonic_us() < deadline_us) {
        size_t got = 0;
        CURLcode code = curl_easy_recv(curl, cursor, length, &got);
        if (code == CURLE_AGAIN)
            usleep(1000);
        else
            assert_true(code == CURLE_OK && got > 0);
        cursor += got;
        length -= got;
    }
    assert_int_equal(length, 0);
}

static void send_tls(CURL *curl, const struct buf *bytes)
{
    size_t done = 0;
    while (done < bytes->length) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(curl, bytes->data + done, bytes->length - done, &sent);
        assert_true(code == CURLE_OK || code == CURLE_AGAIN);
        done += sent;
    }
}

static void expect_head_tls(CURL *curl)
{
    scope_buf struct buf head = BUF_INIT;
    while (strstr(head.data, "\r\n\r\n") == NULL) {
        char byte;
        receive_tls(curl, &byte, 1);
        buf_add_char(&head, byte);
    }
    assert_non_null(strstr(head.data, "HTTP/1.1 101 "));
}

static void it_works_over_tls(void **state)
{
    struct app own = app;
    scope_buf struct buf certificate = BUF_INIT;
    scope_buf struct buf key = BUF_INIT;
    char path[64];
    make_certificate(&certificate, &key, path);
    app_start(&app, (struct http_server_config){.tls_certificate_pem = certificate.data,
                                                .tls_key_pem = key.data});
    scope_free char *url = xasprintf("https://127.0.0.1:%u/", app.port);
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, path);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);

    scope_buf struct buf bytes = BUF_INIT;
    buf_add_str(&bytes, HANDSHAKE);
    send_tls(curl, &bytes);
    expect_head_tls(curl);
    unsigned char greeting[4];
    receive_tls(curl, greeting, sizeof(greeting));
    assert_memory_equal(greeting, "\x81\x02hi", 4);

    enum {
        MESSAGE_BYTES = 20000
    };
    for (int i = 0; i < 3; i++) {
        buf_clear(&bytes);
        add_frame(&bytes, FINAL | TEXT, app.file_bytes + i, MESSAGE_BYTES);
        send_tls(curl, &bytes);
        scope_free char *echoed = xmalloc(MESSAGE_BYTES + 4);
        receive_tls(curl, echoed, MESSAGE_BYTES + 4);
        assert_memory_equal(echoed + 4, app.file_bytes + i, MESSAGE_BYTES);
    }
    app_stop(&app, 1000); /* with the socket open */
    assert_int_equal(app.closed, 1);
    curl_easy_cleanup(curl);
    app = own;
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_handshake_is_refused),
        cmocka_unit_test(messages_come_back),
        cmocka_unit_test(frames_that_came_with_the_handshake_count),
        cmocka_unit_test(what_is_not_allowed_closes),
        cmocka_unit_test(a_handler_closes_with_its_code),
        cmocka_unit_test(who_does_not_read_is_dropped),
        cmocka_unit_test(who_is_silent_is_pinged_and_dropped),
        cmocka_unit_test(who_leaves_is_noticed),
        cmocka_unit_test(stopping_closes_all),
        cmocka_unit_test(it_works_over_tls),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
