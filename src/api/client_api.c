/* SPDX-License-Identifier: Apache-2.0 */
/* The client API's table of operations: the one place that knows its paths and permissions. */
#include "api/client_api.h"

#include <assert.h>

#define SERVER "/api/client/servers/{server}"
#define BACKUP SERVER "/backups/{backup}"

static const struct client_operation_form forms[CLIENT_OP_COUNT] = {
    [CLIENT_OP_SERVERS] = {HTTP_GET, "/api/client", NULL, false},
    [CLIENT_OP_PERMISSIONS] = {HTTP_GET, "/api/client/permissions", NULL, false},
    [CLIENT_OP_SERVER] = {HTTP_GET, SERVER, NULL, false},
    [CLIENT_OP_WEBSOCKET] = {HTTP_GET, SERVER "/websocket", "websocket.connect", false},
    [CLIENT_OP_BACKUP_LIST] = {HTTP_GET, SERVER "/backups", "backup.read", false},
    [CLIENT_OP_BACKUP_CREATE] = {HTTP_POST, SERVER "/backups", "backup.create", false},
    [CLIENT_OP_BACKUP_VIEW] = {HTTP_GET, BACKUP, "backup.read", true},
    [CLIENT_OP_BACKUP_DOWNLOAD] = {HTTP_GET, BACKUP "/download", "backup.download", true},
    [CLIENT_OP_BACKUP_LOCK] = {HTTP_POST, BACKUP "/lock", "backup.delete", true},
    [CLIENT_OP_BACKUP_UNLOCK] = {HTTP_POST, BACKUP "/unlock", "backup.delete", true},
    [CLIENT_OP_RESTORE_UNDO] = {HTTP_POST, SERVER "/backups/restore/undo", "backup.restore", false},
    [CLIENT_OP_RESTORE_CANCEL] = {HTTP_POST, SERVER "/backups/restore/cancel", "backup.restore",
                                  false},
    [CLIENT_OP_BACKUP_CANCEL] = {HTTP_POST, BACKUP "/cancel", "backup.delete", true},
    [CLIENT_OP_BACKUP_RESTORE] = {HTTP_POST, BACKUP "/restore", "backup.restore", true},
    [CLIENT_OP_BACKUP_DELETE] = {HTTP_DELETE, BACKUP, "backup.delete", true},
    [CLIENT_OP_FILES_LIST] = {HTTP_GET, BACKUP "/files/list", "backup.read", true},
    [CLIENT_OP_FILES_CONTENTS] = {HTTP_GET, BACKUP "/files/contents", "backup.download", true},
    [CLIENT_OP_FILES_DOWNLOAD] = {HTTP_GET, BACKUP "/files/download", "backup.download", true},
};

const struct client_operation_form *client_operation_form(enum client_operation operation)
{
    assert(operation < CLIENT_OP_COUNT);
    return &forms[operation];
}
