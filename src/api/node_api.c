/* SPDX-License-Identifier: Apache-2.0 */
/* The node API's table of operations: the one place that knows its paths. */
#include "api/node_api.h"

#include <assert.h>

static const struct node_operation_form forms[NODE_OP_COUNT] = {
    [NODE_OP_SYSTEM] = {HTTP_GET, "/api/system", .needs_node_token = true},
    [NODE_OP_BACKUP] = {HTTP_POST, "/api/servers/{server}/backup", .needs_node_token = true},
    [NODE_OP_RESTORE] = {HTTP_POST, "/api/servers/{server}/backup/{backup}/restore",
                         .needs_node_token = true},
    [NODE_OP_UNDO] = {HTTP_POST, "/api/servers/{server}/restore/undo", .needs_node_token = true},
    [NODE_OP_RESTORE_CANCEL] = {HTTP_POST, "/api/servers/{server}/restore/cancel",
                                .needs_node_token = true},
    [NODE_OP_BACKUP_CANCEL] = {HTTP_POST, "/api/servers/{server}/backup/{backup}/cancel",
                               .needs_node_token = true},
    [NODE_OP_BACKUP_DELETE] = {HTTP_DELETE, "/api/servers/{server}/backup/{backup}",
                               .needs_node_token = true},
    [NODE_OP_BACKUP_DELETE_ALL] = {HTTP_DELETE, "/api/servers/{server}/backup/delete-all",
                                   .needs_node_token = true},
    [NODE_OP_BACKUP_DELETE_ALL_ALIAS] = {HTTP_DELETE, "/api/servers/{server}/deleteAllBackups",
                                         .needs_node_token = true},
    [NODE_OP_FILES] = {HTTP_GET, "/api/servers/{server}/backup/{backup}/files",
                       .needs_node_token = true},
    [NODE_OP_FILE_CONTENTS] = {HTTP_GET, "/api/servers/{server}/backup/{backup}/files/contents",
                               .needs_node_token = true},
    [NODE_OP_SERVER] = {HTTP_GET, "/api/servers/{server}", .needs_node_token = true},
    [NODE_OP_SERVER_DELETE] = {HTTP_DELETE, "/api/servers/{server}", .needs_node_token = true},
    [NODE_OP_SERVERS] = {HTTP_GET, "/api/servers", .needs_node_token = true},
    [NODE_OP_SYNC] = {HTTP_POST, "/api/servers/{server}/sync", .needs_node_token = true},
    [NODE_OP_DENY_TOKENS] = {HTTP_POST, "/api/servers/{server}/ws/deny", .needs_node_token = true},
    [NODE_OP_WEBSOCKET] = {HTTP_GET, "/api/servers/{server}/ws", .needs_node_token = false},
    [NODE_OP_DOWNLOAD] = {HTTP_GET, "/download/backup", .needs_node_token = false},
};

const char *node_feature_name(enum node_feature feature)
{
    switch (feature) {
    case NODE_FEATURE_FILES:
        return "files";
    case NODE_FEATURE_LEAVE_IGNORED:
        return "leave_ignored";
    case NODE_FEATURE_DELETE_SERVER:
        return "delete_server";
    case NODE_FEATURES_END:
        break;
    }
    return "";
}

const struct node_operation_form *node_operation_form(enum node_operation operation)
{
    assert(operation < NODE_OP_COUNT);
    return &forms[operation];
}
