/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_APP_FIXTURE_H
#define NET_APP_FIXTURE_H

#include <stdatomic.h>

#include "net/http.h"
#include "net/raw_fixture.h"
#include "net/websocket.h"

/*
 * For tests: a real server on a free port of 127.0.0.1, with these routes:
 *
 *     GET  /hello            what the request says about itself, as "name=value;…"
 *     GET  /items/{a}/{b}    "a|b"
 *     POST /echo, PUT /echo, GET /echo   the body; /work-echo by a worker
 *     GET  /slow             a worker sleeps for slow_ms
 *     GET  /empty            204          GET /text   text/plain
 *     OPTIONS /cors          204
 *     GET  /ws               an echoing websocket, greeting with "hi"
 *     GET  /file             file_bytes, ETag "v1", modified 1994-11-06 08:49:37
 */
enum {
    APP_BODY_MAX_BYTES = 64 * 1024,
    APP_FILE_BYTES = 300 * 1000
};

struct app {
    struct http_server *server;
    struct http_router *router;
    uint16_t port;
    _Atomic(unsigned) slow_ms;
    int file_fd;
    char *file_bytes;
    _Atomic(int) handled;               /* /slow */
    _Atomic(int) opened, closed, heard; /* websockets */
};

/* Zero fields of `config` become the fixture's. */
void app_start(struct app *app, struct http_server_config config);
void app_stop(struct app *app, unsigned grace_ms);

#endif
