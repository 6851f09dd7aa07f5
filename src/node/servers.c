/* SPDX-License-Identifier: Apache-2.0 */
/* The list of servers: sorted by uuid, replaced as a whole, with a short memory of what is not there. */
#include "node/servers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"

enum {
    ABSENT_MAX = 64,
    ABSENT_LIFE_US = 10 * 1000 * 1000,
    GENTLE_BURST = 32,
    GENTLE_PAUSE_US = 500 * 1000, /* until one more may be asked */
};

struct server_list {
    struct remote_server *items;
    size_t count, capacity;
};

struct servers {
    struct remote_api *remote;
    pthread_mutex_t mutex;
    struct server_list list;
    struct {
        char uuid[UUID_TEXT_BYTES];
        int64_t until_us; /* monotonic */
    } absent[ABSENT_MAX];
    size_t next_absent;
    int64_t gentle_since_us; /* what has been asked gently, as time: a leaking bucket */
};

struct servers *servers_create(struct remote_api *remote)
{
    struct servers *servers = xcalloc(1, sizeof(*servers));
    servers->remote = remote;
    pthread_mutex_init(&servers->mutex, NULL);
    return servers;
}

static void list_clear(struct server_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        remote_server_free(&list->items[i]);
    free(list->items);
    *list = (struct server_list){.items = NULL};
}

void servers_free(struct servers *servers)
{
    if (servers == NULL)
        return;
    list_clear(&servers->list);
    pthread_mutex_destroy(&servers->mutex);
    free(servers);
}

static void copy_server(struct remote_server *to, const struct remote_server *from)
{
    *to = *from;
    to->name = xstrdup(from->name == NULL ? "" : from->name);
}

/* Where `uuid` stands, or would stand. */
static size_t list_position(const struct server_list *list, const char *uuid, bool *is_there)
{
    size_t low = 0;
    size_t high = list->count;
    *is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->items[middle].uuid, uuid);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void list_put(struct server_list *list, const struct remote_server *server)
{
    bool is_there;
    size_t at = list_position(list, server->uuid, &is_there);
    if (is_there) {
        remote_server_free(&list->items[at]);
    } else {
        if (list->count == list->capacity) {
            list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
            list->items = xreallocarray(list->items, list->capacity, sizeof(*list->items));
        }
        memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof(*list->items));
        list->count++;
    }
    copy_server(&list->items[at], server);
}

static void list_remove(struct server_list *list, const char *uuid)
{
    bool is_there;
    size_t at = list_position(list, uuid, &is_there);
    if (!is_there)
        return;
    remote_server_free(&list->items[at]);
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof(*list->items));
}

static int collect(const struct remote_server *server, void *context, struct error *err)
{
    list_put(context, server);
    return 0;
}

int servers_refresh(struct servers *servers, struct error *err)
{
    struct server_list fresh = {.items = NULL};
    if (remote_api_each_server(servers->remote, collect, &fresh, err) < 0) {
        list_clear(&fresh);
        return -1;
    }
    pthread_mutex_lock(&servers->mutex);
    struct server_list old = servers->list;
    servers->list = fresh;
    pthread_mutex_unlock(&servers->mutex);
    list_clear(&old);
    return 0;
}

static void remember_absent(struct servers *servers, const char *uuid)
{
    size_t at = servers->next_absent;
    servers->next_absent = (at + 1) % ABSENT_MAX;
    snprintf(servers->absent[at].uuid, UUID_TEXT_BYTES, "%s", uuid);
    servers->absent[at].until_us = time_monotonic_us() + ABSENT_LIFE_US;
}

static bool is_absent(const struct servers *servers, const char *uuid)
{
    int64_t now_us = time_monotonic_us();
    for (size_t i = 0; i < ABSENT_MAX; i++)
        if (servers->absent[i].until_us > now_us && strcmp(servers->absent[i].uuid, uuid) == 0)
            return true;
    return false;
}

static void forget_absent(struct servers *servers, const char *uuid)
{
    for (size_t i = 0; i < ABSENT_MAX; i++)
        if (strcmp(servers->absent[i].uuid, uuid) == 0)
            servers->absent[i].until_us = 0;
}

int servers_sync(struct servers *servers, const char *uuid, struct error *err)
{
    struct remote_server server;
    int result = remote_api_server(servers->remote, uuid, &server, err);
    pthread_mutex_lock(&servers->mutex);
    if (result == 0) {
        list_put(&servers->list, &server);
        forget_absent(servers, uuid);
    } else if (err->code == ERROR_NOT_FOUND) {
        list_remove(&servers->list, uuid);
        remember_absent(servers, uuid);
    }
    pthread_mutex_unlock(&servers->mutex);
    if (result == 0)
        remote_server_free(&server);
    return result;
}

static bool may_ask_gently(struct servers *servers)
{
    int64_t now_us = time_monotonic_us();
    int64_t full_us = now_us - (int64_t)GENTLE_BURST * GENTLE_PAUSE_US;
    if (servers->gentle_since_us < full_us)
        servers->gentle_since_us = full_us;
    if (servers->gentle_since_us + GENTLE_PAUSE_US > now_us)
        return false;
    servers->gentle_since_us += GENTLE_PAUSE_US;
    return true;
}

enum lookup {
    LOOKUP_KNOWN,
    LOOKUP_ABSENT,
    LOOKUP_UNKNOWN,
};

static enum lookup look_up(struct servers *servers, const char *uuid, struct remote_server *server,
                           bool is_gentle)
{
    enum lookup verdict = LOOKUP_UNKNOWN;
    pthread_mutex_lock(&servers->mutex);
    bool is_there;
    size_t at = list_position(&servers->list, uuid, &is_there);
    if (is_there) {
        verdict = LOOKUP_KNOWN;
        if (server != NULL)
            copy_server(server, &servers->list.items[at]);
    } else if (is_absent(servers, uuid)) {
        verdict = LOOKUP_ABSENT;
    } else if (is_gentle) {
        verdict = may_ask_gently(servers) ? LOOKUP_UNKNOWN : LOOKUP_ABSENT;
    }
    pthread_mutex_unlock(&servers->mutex);
    return verdict;
}

static int find(struct servers *servers, const char *uuid, struct remote_server *server,
                bool is_gentle, struct error *err)
{
    if (!uuid_is_canonical(uuid))
        return 0;
    switch (look_up(servers, uuid, server, is_gentle)) {
    case LOOKUP_KNOWN:
        return 1;
    case LOOKUP_ABSENT:
        return 0;
    case LOOKUP_UNKNOWN:
        break;
    }
    struct error reason = ERROR_INIT;
    if (servers_sync(servers, uuid, &reason) == 0)
        return look_up(servers, uuid, server, is_gentle) == LOOKUP_KNOWN;
    if (reason.code == ERROR_NOT_FOUND)
        return 0;
    *err = reason;
    return -1;
}

int servers_find(struct servers *servers, const char *uuid, struct remote_server *server,
                 struct error *err)
{
    return find(servers, uuid, server, false, err);
}

int servers_find_gently(struct servers *servers, const char *uuid, struct error *err)
{
    return find(servers, uuid, NULL, true, err);
}

void servers_each(struct servers *servers,
                  void (*visit)(const struct remote_server *server, void *context), void *context)
{
    pthread_mutex_lock(&servers->mutex);
    for (size_t i = 0; i < servers->list.count; i++)
        visit(&servers->list.items[i], context);
    pthread_mutex_unlock(&servers->mutex);
}
