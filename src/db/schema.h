/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_SCHEMA_H
#define DB_SCHEMA_H

#include "db/db.h"

/*
 * The panel's tables.  Names and columns are Pterodactyl's own where it has them (users, api_keys, nodes, servers,
 * subusers, backups, server_transfers, activity_logs, activity_log_subjects, settings), so that the same
 * statements run on its database; what is ours beyond that is in tables that begin with "roost_":
 *
 *   roost_backups   backup_id, lease_until (UTC text), restore_requested_at …
 *   roost_api_keys  api_key_id, dialect ('classic', 'extended' or NULL)
 *   roost_restores  server_id (unique), backup_id, started_at: which restore a server's state stands for
 *   roost_last_restores  server_id, backup_uuid, is_successful, ended_at, error: how the last one ended
 *
 * Makes or updates them.
 */
int schema_prepare(struct db *db, struct error *err);

#endif
