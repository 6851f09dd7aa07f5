/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The panel's tables, in SQLite's words.  Columns that the panel does not use are there because
 * Pterodactyl's have no default: the same INSERT must work in both.  Steps are never changed once
 * released; a new one is added at the end.
 */
#include "db/schema.h"

#define TIMES " created_at TEXT, updated_at TEXT"

static const char *const people[] = {
    "CREATE TABLE users ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " external_id TEXT,"
    " uuid TEXT NOT NULL UNIQUE,"
    " username TEXT NOT NULL UNIQUE COLLATE NOCASE,"
    " email TEXT NOT NULL UNIQUE COLLATE NOCASE,"
    " name_first TEXT,"
    " name_last TEXT,"
    " password TEXT NOT NULL,"
    " remember_token TEXT,"
    " language TEXT NOT NULL DEFAULT 'en',"
    " root_admin INTEGER NOT NULL DEFAULT 0,"
    " use_totp INTEGER NOT NULL,"
    " totp_secret TEXT,"
    " totp_authenticated_at TEXT,"
    " gravatar INTEGER NOT NULL DEFAULT 1," TIMES ")",
    "CREATE TABLE api_keys ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,"
    " key_type INTEGER NOT NULL DEFAULT 0,"
    " identifier TEXT UNIQUE,"
    " token TEXT NOT NULL,"
    " allowed_ips TEXT,"
    " memo TEXT,"
    " last_used_at TEXT,"
    " expires_at TEXT," TIMES ","
    " r_servers INTEGER NOT NULL DEFAULT 0,"
    " r_nodes INTEGER NOT NULL DEFAULT 0,"
    " r_allocations INTEGER NOT NULL DEFAULT 0,"
    " r_users INTEGER NOT NULL DEFAULT 0,"
    " r_locations INTEGER NOT NULL DEFAULT 0,"
    " r_nests INTEGER NOT NULL DEFAULT 0,"
    " r_eggs INTEGER NOT NULL DEFAULT 0,"
    " r_database_hosts INTEGER NOT NULL DEFAULT 0,"
    " r_server_databases INTEGER NOT NULL DEFAULT 0)",
    "CREATE INDEX api_keys_of_user ON api_keys (user_id, key_type)",
    "CREATE TABLE roost_api_keys ("
    " api_key_id INTEGER PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,"
    " dialect TEXT)",
    "CREATE TABLE settings ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " \"key\" TEXT NOT NULL UNIQUE,"
    " value TEXT NOT NULL)",
    NULL,
};

static const char *const places[] = {
    "CREATE TABLE nodes ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uuid TEXT NOT NULL UNIQUE,"
    " public INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " description TEXT,"
    " location_id INTEGER NOT NULL,"
    " fqdn TEXT NOT NULL,"
    " scheme TEXT NOT NULL DEFAULT 'https',"
    " behind_proxy INTEGER NOT NULL DEFAULT 0,"
    " maintenance_mode INTEGER NOT NULL DEFAULT 0,"
    " memory INTEGER NOT NULL,"
    " memory_overallocate INTEGER NOT NULL DEFAULT 0,"
    " disk INTEGER NOT NULL,"
    " disk_overallocate INTEGER NOT NULL DEFAULT 0,"
    " upload_size INTEGER NOT NULL DEFAULT 100,"
    " daemon_token_id TEXT NOT NULL UNIQUE,"
    " daemon_token TEXT NOT NULL,"
    " daemonListen INTEGER NOT NULL DEFAULT 8080,"
    " daemonSFTP INTEGER NOT NULL DEFAULT 2022,"
    " daemonBase TEXT NOT NULL DEFAULT '/home/daemon-files'," TIMES ")",
    "CREATE TABLE servers ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " external_id TEXT UNIQUE,"
    " uuid TEXT NOT NULL UNIQUE,"
    " uuidShort TEXT NOT NULL UNIQUE,"
    " node_id INTEGER NOT NULL REFERENCES nodes (id),"
    " name TEXT NOT NULL,"
    " description TEXT NOT NULL,"
    " status TEXT,"
    " skip_scripts INTEGER NOT NULL DEFAULT 0,"
    " owner_id INTEGER NOT NULL REFERENCES users (id),"
    " memory INTEGER NOT NULL,"
    " swap INTEGER NOT NULL,"
    " disk INTEGER NOT NULL,"
    " io INTEGER NOT NULL,"
    " cpu INTEGER NOT NULL,"
    " threads TEXT,"
    " oom_disabled INTEGER NOT NULL DEFAULT 0,"
    " allocation_id INTEGER NOT NULL,"
    " nest_id INTEGER NOT NULL,"
    " egg_id INTEGER NOT NULL,"
    " startup TEXT NOT NULL,"
    " image TEXT NOT NULL,"
    " allocation_limit INTEGER,"
    " database_limit INTEGER DEFAULT 0,"
    " backup_limit INTEGER NOT NULL DEFAULT 0," TIMES ","
    " installed_at TEXT)",
    "CREATE INDEX servers_of_node ON servers (node_id)",
    "CREATE INDEX servers_of_owner ON servers (owner_id)",
    "CREATE TABLE subusers ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,"
    " server_id INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,"
    " permissions TEXT," TIMES ","
    " UNIQUE (user_id, server_id))",
    "CREATE INDEX subusers_of_server ON subusers (server_id)",
    "CREATE TABLE server_transfers ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " server_id INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,"
    " successful INTEGER,"
    " old_node INTEGER NOT NULL,"
    " new_node INTEGER NOT NULL,"
    " old_allocation INTEGER NOT NULL,"
    " new_allocation INTEGER NOT NULL,"
    " old_additional_allocations TEXT,"
    " new_additional_allocations TEXT,"
    " archived INTEGER NOT NULL DEFAULT 0," TIMES ")",
    "CREATE INDEX server_transfers_of_server ON server_transfers (server_id, successful)",
    NULL,
};

static const char *const backups[] = {
    "CREATE TABLE backups ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " server_id INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,"
    " uuid TEXT NOT NULL UNIQUE,"
    " upload_id TEXT,"
    " is_successful INTEGER NOT NULL DEFAULT 0,"
    " is_locked INTEGER NOT NULL DEFAULT 0,"
    " name TEXT NOT NULL,"
    " ignored_files TEXT NOT NULL,"
    " disk TEXT NOT NULL,"
    " checksum TEXT,"
    " bytes INTEGER NOT NULL DEFAULT 0,"
    " completed_at TEXT," TIMES ","
    " deleted_at TEXT)",
    /*
     * The list of one server, in its order and without those that are deleted.  It covers the
     * list's columns: rows of one server lie apart in the table, each on a page of its own, but
     * side by side here.
     */
    "CREATE INDEX backups_of_server ON backups (server_id, deleted_at, id, completed_at,"
    " is_successful, is_locked, created_at, bytes, uuid, disk, name, checksum, ignored_files)",
    /* The throttle. */
    "CREATE INDEX backups_of_server_by_time ON backups (server_id, created_at)",
    "CREATE TABLE roost_backups ("
    " backup_id INTEGER PRIMARY KEY REFERENCES backups (id) ON DELETE CASCADE,"
    " lease_until TEXT,"
    " restore_requested_at TEXT)",
    "CREATE INDEX roost_backups_by_lease ON roost_backups (lease_until)",
    "CREATE TABLE roost_restores ("
    " server_id INTEGER PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,"
    " backup_id INTEGER NOT NULL REFERENCES backups (id) ON DELETE CASCADE,"
    " started_at TEXT NOT NULL)",
    "CREATE INDEX roost_restores_of_backup ON roost_restores (backup_id)",
    NULL,
};

static const char *const record_of_events[] = {
    "CREATE TABLE activity_logs ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " batch TEXT,"
    " event TEXT NOT NULL,"
    " ip TEXT NOT NULL,"
    " description TEXT,"
    " actor_type TEXT,"
    " actor_id INTEGER,"
    " api_key_id INTEGER,"
    " properties TEXT NOT NULL,"
    " timestamp TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE activity_log_subjects ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " activity_log_id INTEGER NOT NULL REFERENCES activity_logs (id) ON DELETE CASCADE,"
    " subject_type TEXT NOT NULL,"
    " subject_id INTEGER NOT NULL)",
    "CREATE INDEX activity_log_subjects_of_log ON activity_log_subjects (activity_log_id)",
    NULL,
};

static const char *const outcomes[] = {
    "CREATE TABLE roost_last_restores ("
    " server_id INTEGER PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,"
    " backup_uuid TEXT NOT NULL," /* not its id: a backup may be deleted afterwards */
    " is_successful INTEGER NOT NULL,"
    " ended_at TEXT NOT NULL)",
    NULL,
};

static const char *const reasons[] = {
    "ALTER TABLE roost_last_restores ADD COLUMN error TEXT", /* what its node said of a failure */
    NULL,
};

static const char *const undos[] = {
    "CREATE TABLE roost_undos ("
    " server_id INTEGER PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,"
    " started_at TEXT NOT NULL)",
    "ALTER TABLE roost_last_restores ADD COLUMN is_undo INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE roost_last_restores ADD COLUMN kept_until TEXT",
    NULL,
};

static const char *const selections[] = {
    "ALTER TABLE roost_restores ADD COLUMN is_of_files INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE roost_last_restores ADD COLUMN is_of_files INTEGER NOT NULL DEFAULT 0",
    NULL,
};

static const struct db_migration steps[] = {
    {"001 users and keys", people},
    {"002 nodes and servers", places},
    {"003 backups", backups},
    {"004 activity", record_of_events},
    {"005 outcomes of restores", outcomes},
    {"006 reasons of failed restores", reasons},
    {"007 undos of restores", undos},
    {"008 restores of single files", selections},
};

int schema_prepare(struct db *db, struct error *err)
{
    return db_migrate(db, "panel", steps, sizeof(steps) / sizeof(steps[0]), err);
}
