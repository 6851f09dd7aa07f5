/* SPDX-License-Identifier: Apache-2.0 */
/* Servers with their node and what one user may do, cached per reader. */
#include "panel/view.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "db/node.h"
#include "db/subuser.h"

struct view_slot {
    char identifier[UUID_TEXT_BYTES];
    int64_t user_id;
    bool is_root_admin;
    uint64_t version;
    struct view view;
};

static const char *const permission_names[PERMISSION_COUNT] = {
    "backup.create",   "backup.read",    "backup.delete",
    "backup.download", "backup.restore", "websocket.connect",
};

const char *permission_name(unsigned index)
{
    return permission_names[index];
}

unsigned permission_bit(const char *name)
{
    for (unsigned i = 0; i < PERMISSION_COUNT; i++)
        if (strcmp(permission_names[i], name) == 0)
            return 1U << i;
    return 0;
}

unsigned permission_parse(const char *json)
{
    struct error ignored = ERROR_INIT;
    scope_json json_t *list = json_read(slice_str(json), &ignored);
    unsigned bits = 0;
    if (!json_is_array(list))
        return 0;
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (json_is_string(item))
            bits |= permission_bit(json_string_value(item));
    }
    return bits;
}

static void view_clear(struct view *view)
{
    server_free(&view->server);
    free(view->node_name);
    free(view->node_fqdn);
}

void view_slot_free(struct view_slot *slot)
{
    if (slot == NULL)
        return;
    view_clear(&slot->view);
    free(slot);
}

static int load_node(struct db_session *session, struct view *view, struct error *err)
{
    struct node node = {0};
    int found = node_find(session, view->server.node_id, &node, err);
    if (found > 0) {
        view->node_name = scope_take(node.name);
        view->node_fqdn = scope_take(node.fqdn);
        memcpy(view->node_scheme, node.scheme, sizeof(view->node_scheme));
        view->node_port = node.daemon_port;
        view->is_node_in_maintenance = node.is_in_maintenance;
    }
    node_free(&node);
    if (found == 0)
        return error_set(err, ERROR_NOT_FOUND, "server '%s' is on a node that does not exist",
                         view->server.uuid);
    return found < 0 ? -1 : 0;
}

static int load_access(struct db_session *session, const struct viewer *viewer, struct view *view,
                       struct error *err)
{
    view->is_owner = view->server.owner_id == viewer->user_id;
    view->has_everything = view->is_owner || viewer->is_root_admin;
    if (view->has_everything) {
        view->has_access = true;
        view->permissions = PERMISSION_ALL;
        return 0;
    }
    scope_buf struct buf permissions = BUF_INIT;
    int found = subuser_find(session, viewer->user_id, view->server.id, &permissions, err);
    if (found < 0)
        return -1;
    view->has_access = found > 0;
    view->permissions = found > 0 ? permission_parse(permissions.data) : 0;
    return 0;
}

static int load(struct db_session *session, const struct viewer *viewer, const char *identifier,
                struct view *view, struct error *err)
{
    int found = server_find(session, identifier, &view->server, err);
    if (found <= 0)
        return found;
    if (load_node(session, view, err) < 0 || load_access(session, viewer, view, err) < 0)
        return -1;
    return 1;
}

/* FNV-1a; collisions only cost a read. */
static size_t slot_of(const struct viewer *viewer, const char *identifier)
{
    uint32_t hash = 2166136261U ^ (uint32_t)viewer->user_id;
    for (const char *c = identifier; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    return (hash ^ hash >> 16) % READER_SLOTS;
}

static bool is_current(const struct view_slot *slot, const struct reader *reader,
                       const struct viewer *viewer, const char *identifier)
{
    return slot != NULL && slot->version == reader->version && slot->user_id == viewer->user_id &&
           slot->is_root_admin == viewer->is_root_admin &&
           strcmp(slot->identifier, identifier) == 0;
}

int view_find(struct reader *reader, const struct viewer *viewer, const char *identifier,
              const struct view **view, struct error *err)
{
    if (strlen(identifier) >= UUID_TEXT_BYTES)
        return 0;
    struct view_slot **place = &reader->views[slot_of(viewer, identifier)];
    if (!is_current(*place, reader, viewer, identifier)) {
        struct view_slot *slot = xcalloc(1, sizeof(*slot));
        snprintf(slot->identifier, sizeof(slot->identifier), "%s", identifier);
        slot->user_id = viewer->user_id;
        slot->is_root_admin = viewer->is_root_admin;
        slot->version = reader->version;
        int found = load(reader->session, viewer, identifier, &slot->view, err);
        if (found <= 0) {
            view_slot_free(slot);
            return found;
        }
        view_slot_free(*place);
        *place = slot;
    }
    *view = &(*place)->view;
    return 1;
}
