/* SPDX-License-Identifier: Apache-2.0 */
#include "net/raw_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

int raw_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval timeout = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void raw_send_bytes(int fd, const void *bytes, size_t length)
{
    const char *cursor = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, cursor, length, MSG_NOSIGNAL);
        if (sent < 0)
            return; /* the server may have closed on purpose: what it answered counts */
        cursor += sent;
        length -= (size_t)sent;
    }
}

void raw_send(int fd, const char *text)
{
    raw_send_bytes(fd, text, strlen(text));
}

static bool read_byte_run(int fd, struct buf *out, size_t length)
{
    while (length > 0) {
        char bytes[4096];
        ssize_t got = recv(fd, bytes, length < sizeof(bytes) ? length : sizeof(bytes), 0);
        if (got <= 0)
            return false;
        buf_add(out, bytes, (size_t)got);
        length -= (size_t)got;
    }
    return true;
}

const char *raw_header(const struct raw_answer *answer, const char *name, char out[256])
{
    out[0] = '\0';
    size_t length = strlen(name);
    for (const char *line = strstr(answer->head.data, "\r\n"); line != NULL;
         line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        line += length + 1;
        line += strspn(line, " ");
        snprintf(out, 256, "%.*s", (int)strcspn(line, "\r"), line);
        break;
    }
    return out;
}

void raw_read(int fd, struct raw_answer *answer, bool has_no_body)
{
    *answer = (struct raw_answer){.head = BUF_INIT, .body = BUF_INIT};
    while (strstr(answer->head.data, "\r\n\r\n") == NULL) {
        if (!read_byte_run(fd, &answer->head, 1)) {
            answer->was_cut = true;
            return;
        }
    }
    assert_int_equal(strncmp(answer->head.data, "HTTP/1.1 ", 9), 0);
    answer->status = (unsigned)strtoul(answer->head.data + 9, NULL, 10);
    char text[256];
    size_t length = strtoul(raw_header(answer, "Content-Length", text), NULL, 10);
    if (!has_no_body)
        answer->was_cut = !read_byte_run(fd, &answer->body, length);
}

void raw_answer_free(struct raw_answer *answer)
{
    buf_free(&answer->head);
    buf_free(&answer->body);
}

struct raw_answer raw_ask(uint16_t port, const char *text)
{
    struct raw_answer answer;
    int fd = raw_connect(port);
    raw_send(fd, text);
    raw_read(fd, &answer, strncmp(text, "HEAD ", 5) == 0);
    close(fd);
    return answer;
}

bool raw_is_closed_within(int fd, int timeout_ms)
{
    int64_t deadline_us = time_monotonic_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        int64_t left_ms = (deadline_us - time_monotonic_us()) / 1000;
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&polled, 1, (int)left_ms) <= 0)
            return false;
        char bytes[4096];
        if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
            return true;
    }
}

void make_certificate(struct buf *certificate_pem, struct buf *key_pem, char path[64])
{
    char directory[] = "/tmp/roost-tls-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char *command = xasprintf("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                              "-nodes -days 2 -subj /CN=localhost "
                              "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
                              "-keyout %s/key.pem -out %s/cert.pem 2>/dev/null",
                              directory, directory);
    assert_int_equal(system(command), 0);
    free(command);
    struct error err = ERROR_INIT;
    int fd = directory_open(directory, &err);
    assert_true(fd >= 0);
    assert_int_equal(file_read(fd, "cert.pem", 64 * 1024, certificate_pem, &err), 0);
    assert_int_equal(file_read(fd, "key.pem", 64 * 1024, key_pem, &err), 0);
    unlinkat(fd, "key.pem", 0);
    close(fd);
    snprintf(path, 64, "%s/cert.pem", directory); /* the caller removes it and its directory */
}
