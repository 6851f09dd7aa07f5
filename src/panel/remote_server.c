/* SPDX-License-Identifier: Apache-2.0 */
/* What a node asks about its servers, and what it says happened on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "db/activity.h"
#include "net/url.h"
#include "panel/internal.h"

enum {
    PER_PAGE_DEFAULT = 50,
    PER_PAGE_MAX = 200,
    ACTIVITIES_MAX = 1000,
    EVENT_MAX_BYTES = 191,
    PROPERTIES_MAX_BYTES = 16 * 1024,
};

static void write_server(struct json_writer *w, const struct server *server, bool wants_uuid)
{
    struct remote_server view = {
        .name = server->name,
        .is_suspended = server->status == SERVER_SUSPENDED,
        .disk_mib = server->disk_mib,
    };
    memcpy(view.uuid, server->uuid, sizeof(view.uuid));
    remote_api_write_server(w, &view, wants_uuid);
}

/* ---- list ---- */

struct server_list {
    struct json_writer w;
    int64_t count;
};

static int list_one(const struct server *server, void *context, struct error *err)
{
    struct server_list *list = context;
    write_server(&list->w, server, true);
    list->count++;
    return 0;
}

static int64_t query_number(const struct http_request *request, const char *name, int64_t fallback,
                            int64_t max)
{
    const char *text = http_query(request, name);
    uint64_t value;
    if (text == NULL || !text_to_u64(text, 1, INT32_MAX, &value))
        return fallback;
    return (int64_t)value < max ? (int64_t)value : max;
}

static int list_servers(struct remote_call *call, struct error *err)
{
    int64_t page = query_number(call->request, "page", 1, INT32_MAX);
    int64_t per_page = query_number(call->request, "per_page", PER_PAGE_DEFAULT, PER_PAGE_MAX);
    struct server_filter filter = {.node_id = call->node.id};
    int64_t total, offset = (page - 1) * per_page;
    struct db_session *session = db_reader(call->panel->db, err);
    if (session == NULL || server_count(session, &filter, &total, err) < 0)
        return -1;
    struct server_list list = {.w = json_writer_to(http_reply_body(call->reply))};
    struct json_writer *w = &list.w;
    json_begin_object(w);
    json_key(w, "data");
    json_begin_array(w);
    if (server_each(session, &filter, per_page, offset, list_one, &list, err) < 0)
        return -1;
    json_end_array(w);
    json_key(w, "meta");
    json_begin_object(w);
    json_field_int(w, "current_page", page);
    json_key(w, "from");
    if (list.count > 0)
        json_put_int(w, offset + 1);
    else
        json_put_null(w);
    json_field_int(w, "last_page", total == 0 ? 1 : (total + per_page - 1) / per_page);
    json_field_int(w, "per_page", per_page);
    json_key(w, "to");
    if (list.count > 0)
        json_put_int(w, offset + list.count);
    else
        json_put_null(w);
    json_field_int(w, "total", total);
    json_end_object(w);
    json_end_object(w);
    return 0;
}

void remote_servers(struct remote_call *call)
{
    struct error err = ERROR_INIT;
    if (list_servers(call, &err) < 0)
        remote_fail(call, &err);
}

int remote_find_server(struct remote_call *call, struct db_session *session, const char *text,
                       struct server *server, struct error *err)
{
    char uuid[UUID_TEXT_BYTES];
    if (!uuid_canonicalize(text, uuid))
        return 0;
    int found = server_find(session, uuid, server, err);
    return found > 0 && server->node_id != call->node.id ? 0 : found;
}

void remote_server_one(struct remote_call *call)
{
    struct error err = ERROR_INIT;
    struct server server = {0};
    struct db_session *session = db_reader(call->panel->db, &err);
    int found =
        session == NULL
            ? -1
            : remote_find_server(call, session, http_param(call->request, "server"), &server, &err);
    if (found < 0) {
        remote_fail(call, &err);
    } else if (found == 0) {
        remote_refuse(call, API_ERROR_NOT_FOUND);
    } else {
        struct json_writer w = json_writer_to(http_reply_body(call->reply));
        write_server(&w, &server, false);
    }
    server_free(&server);
}

/* ---- reset: the node has started, and nothing of what it was doing goes on ---- */

struct busy_server {
    int64_t id;
    bool is_restoring;
};

struct busy_list {
    struct busy_server *items;
    size_t count;
};

static int note_busy(const struct server *server, void *context, struct error *err)
{
    struct busy_list *list = context;
    bool is_restoring = server->status == SERVER_RESTORING_BACKUP;
    if (!is_restoring && server->status != SERVER_INSTALLING)
        return 0;
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = (struct busy_server){server->id, is_restoring};
    return 0;
}

static int end_restore(const struct remote_call *call, struct db_session *session,
                       int64_t server_id, struct error *err)
{
    struct restore_end end = {.reason = "the node was restarted",
                              .ip = call->request->remote_address,
                              .at_us = call->now_us};
    return panel_end_restore(session, server_id, &end, err);
}

/*
 * A node of ours that has the order ends it itself; where it has lost it, settler.c asks.  One of
 * upstream's forgets everything with its process, and tells no more than this.
 */
static bool may_be_in_flight(const struct remote_call *call, const struct busy_server *server,
                             const json_t *meant)
{
    return server->is_restoring && json_is_array(meant) &&
           begun_is_recent(call->panel->begun, server->id, call->now_us);
}

static int reset_in(struct remote_call *call, struct db_session *session, struct busy_list *busy,
                    struct error *err)
{
    struct server_filter filter = {.node_id = call->node.id};
    if (server_each(session, &filter, INT32_MAX, 0, note_busy, busy, err) < 0)
        return -1;
    const json_t *meant = json_object_get(call->body, "backups"); /* upstream's nodes do not say */
    for (size_t i = 0; i < busy->count; i++) {
        if (may_be_in_flight(call, &busy->items[i], meant))
            continue;
        if (server_set_status(session, busy->items[i].id, SERVER_NORMAL, err) < 0)
            return -1;
        if (busy->items[i].is_restoring && end_restore(call, session, busy->items[i].id, err) < 0)
            return -1;
    }
    if (!json_is_array(meant))
        return 0;
    return panel_fail_forgotten(call->panel, session, call->node.id, meant, call->now_us, err);
}

void remote_servers_reset(struct remote_call *call)
{
    struct error err = ERROR_INIT;
    struct busy_list busy = {0};
    struct db_session *session = db_begin(call->panel->db, &err);
    int done = session == NULL ? -1 : reset_in(call, session, &busy, &err);
    if (session != NULL && done < 0)
        db_rollback(session);
    else if (session != NULL)
        done = db_commit(session, &err);
    if (done < 0) {
        remote_fail(call, &err);
    } else {
        log_info("a node started node='%s' servers_reset=%zu", call->node.name, busy.count);
        http_reply_status(call->reply, 204);
    }
    free(busy.items);
}

/* ---- activity ---- */

static int find_user(struct db_session *session, const char *uuid, int64_t *id, struct error *err)
{
    *id = 0;
    if (uuid == NULL)
        return 0;
    return db_query_int(session, "SELECT users.id FROM users WHERE users.uuid = ?",
                        DB_PARAMS(db_text(uuid)), 0, id, err);
}

static int64_t read_time(const json_t *entry, int64_t fallback_us)
{
    const char *text = json_get_string(entry, "timestamp", NULL);
    int64_t at_us;
    struct error ignored = ERROR_INIT;
    return text != NULL && time_parse(text, &at_us, &ignored) == 0 ? at_us : fallback_us;
}

/* What is no address is not recorded as one, however long it is. */
static const char *read_address(const json_t *entry)
{
    const char *ip = json_get_string(entry, "ip", NULL);
    return ip != NULL && address_in_range(ip, ip) ? ip : NULL;
}

/* One entry; what is not about a server of this node is passed over, as upstream does. */
static int write_activity(struct remote_call *call, struct db_session *session, const json_t *entry,
                          struct error *err)
{
    const char *event = json_get_string(entry, "event", "");
    if (!text_starts_with(event, "server:") || strlen(event) > EVENT_MAX_BYTES)
        return 0;
    struct server server = {0};
    int found =
        remote_find_server(call, session, json_get_string(entry, "server", ""), &server, err);
    int64_t server_id = server.id;
    server_free(&server);
    if (found <= 0)
        return found;
    struct activity activity = {
        .event = event,
        .ip = read_address(entry),
        .server_id = server_id,
        .at_us = read_time(entry, call->now_us),
    };
    if (find_user(session, json_get_string(entry, "user", NULL), &activity.actor_user_id, err) < 0)
        return -1;
    const json_t *metadata = json_object_get(entry, "metadata");
    scope_free char *properties =
        json_is_object(metadata) ? json_dumps(metadata, JSON_COMPACT) : NULL;
    bool is_kept = properties != NULL && strlen(properties) <= PROPERTIES_MAX_BYTES;
    activity.properties = is_kept ? properties : "{}";
    return activity_insert(session, &activity, err);
}

static int write_activities(struct remote_call *call, struct db_session *session,
                            const json_t *data, struct error *err)
{
    size_t index;
    json_t *entry;
    json_array_foreach(data, index, entry)
    {
        if (write_activity(call, session, entry, err) < 0)
            return -1;
    }
    return 0;
}

static bool check_activity(const json_t *data, struct http_reply *reply)
{
    struct api_violations violations = {0};
    if (data == NULL || json_is_null(data))
        api_violation_add(&violations, "data", "required", "The data field is required.");
    else if (!json_is_array(data))
        api_violation_add(&violations, "data", "array", "The data must be an array.");
    else if (json_array_size(data) > ACTIVITIES_MAX)
        api_violation_add(&violations, "data", "max", "The data may not have more than %d items.",
                          ACTIVITIES_MAX);
    if (violations.count > 0)
        api_violations_reply(reply, &violations);
    return violations.count == 0;
}

void remote_activity(struct remote_call *call)
{
    const json_t *data = json_object_get(call->body, "data");
    if (!check_activity(data, call->reply) || json_array_size(data) == 0)
        return;
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(call->panel->db, &err);
    int done = session == NULL ? -1 : write_activities(call, session, data, &err);
    if (session != NULL && done < 0)
        db_rollback(session);
    else if (session != NULL)
        done = db_commit(session, &err);
    if (done < 0)
        remote_fail(call, &err);
}
