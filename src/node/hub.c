/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Websockets: who listens to which server, and for how long.  A client is in the list from open to
 * close; whoever sends holds the mutex, so that no socket goes away under it.
 */
#include "node/hub.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/websocket.h"
#include "node/token.h"

enum {
    AUTH_TIME_MS = 10 * 1000,
    EXPIRY_WARNING_S = 60,
    TICK_MS = 500,
    CLOSE_POLICY = 1008, /* RFC 6455, section 7.4.1 */
};

/* One for each server that was ever listened to; lives as long as the hub. */
struct channel {
    struct hub *hub;
    char server[UUID_TEXT_BYTES];
    struct channel *next;
};

struct client {
    struct websocket *socket;
    const struct channel *channel;
    bool is_authenticated;
    bool was_warned;
    struct token token;
    int64_t auth_until_us; /* monotonic; while not authenticated */
    struct client *next;
};

struct hub {
    struct journal *journal;
    const char *key;
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    struct channel *channels;
    struct client *clients;
    bool is_stopping;
    pthread_t timer;
};

static void write_event(struct buf *out, const char *event, const char *text)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    json_field_string(&w, "event", event);
    json_key(&w, "args");
    json_begin_array(&w);
    if (text != NULL)
        json_put_string(&w, text);
    json_end_array(&w);
    json_end_object(&w);
}

static void send_event(struct websocket *socket, const char *event, const char *text)
{
    scope_buf struct buf message = BUF_INIT;
    write_event(&message, event, text);
    websocket_send(socket, buf_slice(&message));
}

static int64_t now_s(void)
{
    return time_now_us() / 1000000;
}

/* What time does to a client. */
static void check_time(struct client *client)
{
    if (!client->is_authenticated) {
        if (time_monotonic_us() > client->auth_until_us)
            websocket_close(client->socket, CLOSE_POLICY, "not authenticated in time");
        return;
    }
    int64_t left_s = client->token.expires_at_s - now_s();
    if (left_s <= 0) {
        send_event(client->socket, "token expired", NULL);
        client->is_authenticated = false;
        client->auth_until_us = time_monotonic_us() + AUTH_TIME_MS * INT64_C(1000);
    } else if (left_s <= EXPIRY_WARNING_S && !client->was_warned) {
        send_event(client->socket, "token expiring", NULL);
        client->was_warned = true;
    }
}

/* Sleeps for ever while nobody listens. */
static void *timer_run(void *argument)
{
    struct hub *hub = argument;
    pthread_mutex_lock(&hub->mutex);
    while (!hub->is_stopping) {
        if (hub->clients == NULL)
            pthread_cond_wait(&hub->has_changed, &hub->mutex);
        else
            thread_wait(&hub->has_changed, &hub->mutex, TICK_MS);
        for (struct client *client = hub->clients; client != NULL; client = client->next)
            check_time(client);
    }
    pthread_mutex_unlock(&hub->mutex);
    return NULL;
}

struct hub *hub_create(struct journal *journal, const char *key)
{
    struct hub *hub = xcalloc(1, sizeof(*hub));
    hub->journal = journal;
    hub->key = key;
    pthread_mutex_init(&hub->mutex, NULL);
    thread_cond_init(&hub->has_changed);
    hub->timer = thread_start("node-hub", timer_run, hub);
    return hub;
}

void hub_free(struct hub *hub)
{
    if (hub == NULL)
        return;
    pthread_mutex_lock(&hub->mutex);
    hub->is_stopping = true;
    pthread_cond_broadcast(&hub->has_changed);
    pthread_mutex_unlock(&hub->mutex);
    pthread_join(hub->timer, NULL);
    for (struct channel *channel = hub->channels; channel != NULL;) {
        struct channel *next = channel->next;
        free(channel);
        channel = next;
    }
    pthread_cond_destroy(&hub->has_changed);
    pthread_mutex_destroy(&hub->mutex);
    free(hub);
}

static void on_open(struct websocket *socket, void *context)
{
    const struct channel *channel = context;
    struct hub *hub = channel->hub;
    struct client *client = xcalloc(1, sizeof(*client));
    client->socket = websocket_ref(socket);
    client->channel = channel;
    client->auth_until_us = time_monotonic_us() + AUTH_TIME_MS * INT64_C(1000);
    websocket_set_data(socket, client);
    pthread_mutex_lock(&hub->mutex);
    client->next = hub->clients;
    hub->clients = client;
    pthread_cond_broadcast(&hub->has_changed);
    pthread_mutex_unlock(&hub->mutex);
}

static void on_close(struct websocket *socket, void *context)
{
    const struct channel *channel = context;
    struct hub *hub = channel->hub;
    struct client *client = websocket_data(socket);
    if (client == NULL)
        return; /* gone before it was open */
    pthread_mutex_lock(&hub->mutex);
    struct client **link = &hub->clients;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    pthread_mutex_unlock(&hub->mutex);
    websocket_unref(client->socket);
    free(client);
}

static void authenticate(struct hub *hub, struct client *client, const char *text)
{
    struct error err = ERROR_INIT;
    struct token token;
    int result = token_read_websocket(hub->journal, hub->key, slice_str(text),
                                      client->channel->server, now_s(), &token, &err);
    pthread_mutex_lock(&hub->mutex);
    if (result == 0) {
        client->token = token;
        client->is_authenticated = true;
        client->was_warned = false;
    }
    pthread_mutex_unlock(&hub->mutex);
    if (result == 0)
        send_event(client->socket, "auth success", NULL);
    else
        send_event(client->socket, "jwt error",
                   err.code == ERROR_DENIED ? err.text : "the token could not be checked");
}

/* Everything but "auth" belongs to consoles, which this node does not have: nothing happens. */
static void on_message(struct websocket *socket, struct slice text, void *context)
{
    const struct channel *channel = context;
    struct error err = ERROR_INIT;
    scope_json json_t *message = json_read(text, &err);
    if (!json_is_object(message)) {
        websocket_close(socket, CLOSE_POLICY, "a message that is no JSON object");
        return;
    }
    if (strcmp(json_get_string(message, "event", ""), "auth") != 0)
        return;
    const char *token = json_string_value(json_array_get(json_object_get(message, "args"), 0));
    authenticate(channel->hub, websocket_data(socket), token == NULL ? "" : token);
}

static const struct websocket_ops socket_ops = {
    .open = on_open,
    .message = on_message,
    .close = on_close,
};

static struct channel *channel_of(struct hub *hub, const char *server)
{
    pthread_mutex_lock(&hub->mutex);
    struct channel *channel = hub->channels;
    while (channel != NULL && strcmp(channel->server, server) != 0)
        channel = channel->next;
    if (channel == NULL) {
        channel = xcalloc(1, sizeof(*channel));
        channel->hub = hub;
        snprintf(channel->server, sizeof(channel->server), "%s", server);
        channel->next = hub->channels;
        hub->channels = channel;
    }
    pthread_mutex_unlock(&hub->mutex);
    return channel;
}

void hub_accept(struct hub *hub, const char *server, const struct http_request *request,
                struct http_reply *reply)
{
    http_reply_websocket(reply, request, &socket_ops, channel_of(hub, server));
}

void hub_send(struct hub *hub, const char *server, enum hub_audience audience, const char *event,
              const char *text)
{
    scope_buf struct buf message = BUF_INIT;
    write_event(&message, event, text);
    pthread_mutex_lock(&hub->mutex);
    for (struct client *client = hub->clients; client != NULL; client = client->next) {
        if (client->is_authenticated && strcmp(client->channel->server, server) == 0 &&
            client->token.expires_at_s > now_s() &&
            (audience == HUB_EVERYBODY || client->token.may_read_backups))
            websocket_send(client->socket, buf_slice(&message));
    }
    pthread_mutex_unlock(&hub->mutex);
}

void hub_deny(struct hub *hub, const char *jti)
{
    pthread_mutex_lock(&hub->mutex);
    for (struct client *client = hub->clients; client != NULL; client = client->next) {
        if (!client->is_authenticated || strcmp(client->token.jti, jti) != 0)
            continue;
        client->is_authenticated = false;
        client->auth_until_us = time_monotonic_us();
        websocket_close(client->socket, CLOSE_POLICY, "the token was denied");
    }
    pthread_mutex_unlock(&hub->mutex);
}
