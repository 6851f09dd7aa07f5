/* SPDX-License-Identifier: Apache-2.0 */
/* The remote API's table of operations: the one place that knows its paths. */
#include "api/remote_api.h"

#include <assert.h>

static const struct remote_operation_form forms[REMOTE_OP_COUNT] = {
    [REMOTE_OP_SERVERS] = {HTTP_GET, "/api/remote/servers"},
    [REMOTE_OP_SERVERS_RESET] = {HTTP_POST, "/api/remote/servers/reset"},
    [REMOTE_OP_SERVER] = {HTTP_GET, "/api/remote/servers/{server}"},
    [REMOTE_OP_ACTIVITY] = {HTTP_POST, "/api/remote/activity"},
    [REMOTE_OP_UPLOAD_URLS] = {HTTP_GET, "/api/remote/backups/{backup}"},
    [REMOTE_OP_BACKUP_REPORT] = {HTTP_POST, "/api/remote/backups/{backup}"},
    [REMOTE_OP_RESTORE_REPORT] = {HTTP_POST, "/api/remote/backups/{backup}/restore"},
    [REMOTE_OP_UNDO_REPORT] = {HTTP_POST, "/api/remote/servers/{server}/restore/undo"},
    [REMOTE_OP_BACKUP_HEARTBEAT] = {HTTP_POST, "/api/remote/backups/{backup}/heartbeat"},
};

const struct remote_operation_form *remote_operation_form(enum remote_operation operation)
{
    assert(operation < REMOTE_OP_COUNT);
    return &forms[operation];
}
