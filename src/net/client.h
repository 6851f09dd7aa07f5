/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/thread.h"

/*
 * HTTP client over libcurl.  Keeps connections for the next call.  Thread-safe.
 * http and https only; redirects are not followed; what an answer may weigh is bounded.
 */
struct http_client;

struct http_client_options {
    unsigned connect_timeout_ms; /* 0: 5,000 */
    unsigned timeout_ms;         /* of a whole call; 0: 15,000 */
    size_t answer_max_bytes;     /* LIMIT beyond; 0: 1 MiB.  Not for calls with a sink. */
    const char *user_agent;      /* copied; NULL: "Roost/<version>" */
    const char *ca_file;         /* copied; trusted besides the system's authorities; NULL: none */
};

struct http_client *http_client_create(const struct http_client_options *options);
void http_client_free(struct http_client *client);

struct http_call {
    const char *method; /* "GET", … */
    const char *url;
    const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
    struct slice body;          /* sent where method is POST, PUT, PATCH, or length > 0 */

    /* Where set, the body of a 2xx answer goes here piece by piece instead of into `body`. */
    int (*sink)(const void *bytes, size_t length, void *context, struct error *err);
    void *sink_context;
    unsigned timeout_ms;         /* 0: the client's; with a sink only stalls count */
    const struct cancel *cancel; /* may be NULL */

    /* May be NULL.  False where the call failed before a connection stood: the peer has not seen it. */
    bool *was_sent;
};

struct http_answer {
    unsigned status;
    struct buf body;
    char content_type[128];
    char request_id[64]; /* X-Request-Id, or "" */
    char etag[80];
    char date[40];          /* Date, or "" */
    int64_t content_length; /* -1: not said */
    unsigned retry_after_s; /* 0: not said */
};

/*
 * 0: there is an answer, whatever its status; free it.  -1: there is none:
 * UNAVAILABLE (refused, timeout, TLS, cut in the middle), LIMIT, CANCELLED (within about a
 * second), INVALID (no HTTP address, a header with control bytes), or the sink's own error.
 * A program that calls has to ignore SIGPIPE.
 */
int http_client_call(struct http_client *client, const struct http_call *call,
                     struct http_answer *answer, struct error *err);
void http_answer_free(struct http_answer *answer);

#endif
