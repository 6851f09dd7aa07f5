/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_VIEW_H
#define PANEL_VIEW_H

#include "db/server.h"
#include "panel/reader.h"

/* What a subuser may be granted, as bits. */
enum permission {
    PERMISSION_BACKUP_CREATE = 1 << 0,
    PERMISSION_BACKUP_READ = 1 << 1,
    PERMISSION_BACKUP_DELETE = 1 << 2,
    PERMISSION_BACKUP_DOWNLOAD = 1 << 3,
    PERMISSION_BACKUP_RESTORE = 1 << 4,
    PERMISSION_WEBSOCKET_CONNECT = 1 << 5,
    PERMISSION_ALL = (1 << 6) - 1,
};
enum {
    PERMISSION_COUNT = 6
};
const char *permission_name(unsigned index); /* of the bit 1 << index */
unsigned permission_bit(const char *name);   /* 0: not one of ours */

/* The bits in a JSON array of names; what is no such array grants nothing. */
unsigned permission_parse(const char *json);

/* A server as one user sees it. */
struct view {
    struct server server;
    bool has_access;
    bool is_owner;
    bool has_everything; /* owner, or administrator */
    unsigned permissions;
    char *node_name;
    char *node_fqdn;
    char node_scheme[8];
    uint16_t node_port;
    bool is_node_in_maintenance;
};

struct view_slot;
void view_slot_free(struct view_slot *slot); /* NULL is fine */

/*
 * By uuid or short id.  1 (also where the user has no access), 0 (no such server) or -1.  `*view`
 * is borrowed from the reader until its thread's next call.
 */
struct viewer {
    int64_t user_id;
    bool is_root_admin;
};
int view_find(struct reader *reader, const struct viewer *viewer, const char *identifier,
              const struct view **view, struct error *err);

#endif
