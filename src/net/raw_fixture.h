/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_RAW_FIXTURE_H
#define NET_RAW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/http.h"

/* For tests: bytes on a socket as they are, and answers taken apart. */
struct raw_answer {
    unsigned status;
    struct buf head; /* with the status line */
    struct buf body; /* as long as Content-Length says */
    bool was_cut;    /* the connection ended before the answer did */
};

int raw_connect(uint16_t port); /* reads time out after 10 s */
void raw_send(int fd, const char *text);
void raw_send_bytes(int fd, const void *bytes, size_t length);

/* `has_no_body`: the answer to a HEAD. */
void raw_read(int fd, struct raw_answer *answer, bool has_no_body);
void raw_answer_free(struct raw_answer *answer);

/* Sends `text` on a connection of its own and gives the answer. */
struct raw_answer raw_ask(uint16_t port, const char *text);

/* The header's value in `out`, or "" where it is not there. */
const char *raw_header(const struct raw_answer *answer, const char *name, char out[256]);

/* Whether the server has ended the connection within `timeout_ms`; what comes is thrown away. */
bool raw_is_closed_within(int fd, int timeout_ms);

/* A self-signed certificate for "localhost" and 127.0.0.1, made with the openssl command. */
void make_certificate(struct buf *certificate_pem, struct buf *key_pem, char path[64]);

#endif
