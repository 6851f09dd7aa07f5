/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations, and that the tables have Pterodactyl's columns. */
#include "db/fixture.h"

static const char *const first_statements[] = {"CREATE TABLE a (x INTEGER)",
                                               "INSERT INTO a (x) VALUES (1)", NULL};
static const char *const second_statements[] = {"INSERT INTO a (x) VALUES (2)", NULL};
static const char *const bad_statements[] = {"INSERT INTO a (x) VALUES (3)",
                                             "INSERT INTO nowhere (x) VALUES (3)", NULL};
static const struct db_migration steps[] = {{"001", first_statements}, {"002", second_statements}};
static const struct db_migration bad_steps[] = {
    {"001", first_statements}, {"002", second_statements}, {"003", bad_statements}};

static int64_t sum(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    int64_t value;
    assert_ok(db_query_int(fixture_reader(fixture), "SELECT SUM(x) FROM a", DB_NO_PARAMS, -1,
                           &value, &err));
    return value;
}

static void each_step_runs_once(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    assert_ok(db_migrate(fixture->db, "test", steps, 1, &err));
    assert_int_equal(sum(fixture), 1);
    assert_ok(db_migrate(fixture->db, "test", steps, 2, &err));
    assert_ok(db_migrate(fixture->db, "test", steps, 2, &err));
    assert_int_equal(sum(fixture), 3);
}

static void a_step_that_fails_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    assert_int_equal(db_migrate(fixture->db, "test", bad_steps, 3, &err), -1);
    assert_non_null(strstr(err.text, "003"));
    error_clear(&err);
    assert_int_equal(sum(fixture), 3);
    assert_ok(db_migrate(fixture->db, "test", steps, 2, &err));
}

static void a_newer_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    assert_ok(db_migrate(fixture->db, "test", steps, 2, &err));
    assert_fails(db_migrate(fixture->db, "test", steps, 1, &err), ERROR_CONFLICT);
    /* Whose steps those are counts. */
    static const char *const statements[] = {"CREATE TABLE b (x INTEGER)", NULL};
    static const struct db_migration others[] = {{"100", statements}};
    assert_ok(db_migrate(fixture->db, "other", others, 1, &err));
}

static void the_panels_tables_are_made_once_and_outlive_the_program(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    assert_ok(schema_prepare(fixture->db, &err));
    struct db_session *session = fixture_begin(fixture);
    int64_t id = fixture_add_user(session, "ann");
    assert_ok(db_commit(session, &err));
    db_close(fixture->db);
    fixture->db = db_open(fixture->url, &err);
    assert_non_null(fixture->db);
    assert_ok(schema_prepare(fixture->db, &err));
    struct user user;
    assert_int_equal(user_find(fixture_reader(fixture), id, &user, &err), 1);
    assert_string_equal(user.username, "ann");
    user_free(&user);
}

static void columns_are_pterodactyls(void **state)
{
    static const char *const queries[] = {
        "SELECT id, external_id, uuid, username, email, name_first, name_last, password,"
        " remember_token, language, root_admin, use_totp, totp_secret, totp_authenticated_at,"
        " gravatar, created_at, updated_at FROM users",
        "SELECT id, user_id, key_type, identifier, token, allowed_ips, memo, last_used_at,"
        " expires_at, created_at, updated_at, r_servers, r_nodes, r_allocations, r_users,"
        " r_locations, r_nests, r_eggs, r_database_hosts, r_server_databases FROM api_keys",
        "SELECT id, uuid, public, name, description, location_id, fqdn, scheme, behind_proxy,"
        " maintenance_mode, memory, memory_overallocate, disk, disk_overallocate, upload_size,"
        " daemon_token_id, daemon_token, daemonListen, daemonSFTP, daemonBase, created_at,"
        " updated_at FROM nodes",
        "SELECT id, external_id, uuid, uuidShort, node_id, name, description, status,"
        " skip_scripts, owner_id, memory, swap, disk, io, cpu, threads, oom_disabled,"
        " allocation_id, nest_id, egg_id, startup, image, allocation_limit, database_limit,"
        " backup_limit, created_at, updated_at, installed_at FROM servers",
        "SELECT id, user_id, server_id, permissions, created_at, updated_at FROM subusers",
        "SELECT id, server_id, uuid, upload_id, is_successful, is_locked, name, ignored_files,"
        " disk, checksum, bytes, completed_at, created_at, updated_at, deleted_at FROM backups",
        "SELECT id, server_id, successful, old_node, new_node, old_allocation, new_allocation,"
        " old_additional_allocations, new_additional_allocations, archived, created_at,"
        " updated_at FROM server_transfers",
        "SELECT id, batch, event, ip, description, actor_type, actor_id, api_key_id, properties,"
        " timestamp FROM activity_logs",
        "SELECT id, activity_log_id, subject_type, subject_id FROM activity_log_subjects",
        "SELECT id, key, value FROM settings",
    };
    struct db_session *reader = fixture_reader(*state);
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct error err = ERROR_INIT;
        struct db_rows rows;
        assert_ok(db_query(reader, queries[i], DB_NO_PARAMS, &rows, &err));
        assert_int_equal(db_next(&rows, &err), 0);
    }
}

/* The detail column of a query plan names the index, and no sorting follows. */
static void assert_plan(struct db_session *reader, const char *sql, const char *index)
{
    struct error err = ERROR_INIT;
    struct db_rows rows;
    assert_ok(db_query(reader, sql, DB_NO_PARAMS, &rows, &err));
    bool is_found = false;
    while (db_next(&rows, &err) > 0) {
        is_found = is_found || strstr(db_get_text(&rows, 3), index) != NULL;
        assert_null(strstr(db_get_text(&rows, 3), "TEMP B-TREE"));
        assert_null(strstr(db_get_text(&rows, 3), "SCAN"));
    }
    assert_true(is_found);
}

static void hot_queries_have_an_index(void **state)
{
    struct db_session *reader = fixture_reader(*state);
    assert_plan(reader,
                "EXPLAIN QUERY PLAN SELECT id, server_id, uuid, is_successful, is_locked, name,"
                " ignored_files, disk, checksum, bytes, created_at, completed_at FROM backups"
                " WHERE server_id = 1 AND deleted_at IS NULL ORDER BY id LIMIT 20 OFFSET 0",
                "COVERING INDEX backups_of_server");
    assert_plan(reader,
                "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM backups WHERE server_id = 1"
                " AND created_at >= '2023-10-20' AND (completed_at IS NULL OR is_successful = 1)",
                "backups_of_server_by_time");
    assert_plan(reader,
                "EXPLAIN QUERY PLAN SELECT k.id, r.dialect FROM api_keys k LEFT JOIN"
                " roost_api_keys r ON r.api_key_id = k.id WHERE k.identifier = 'x'",
                "sqlite_autoindex_api_keys");
    assert_plan(reader,
                "EXPLAIN QUERY PLAN SELECT b.id FROM roost_backups r JOIN backups b"
                " ON b.id = r.backup_id WHERE r.lease_until < '2023' ORDER BY r.lease_until",
                "roost_backups_by_lease");
    assert_plan(reader,
                "EXPLAIN QUERY PLAN SELECT permissions FROM subusers"
                " WHERE user_id = 1 AND server_id = 1",
                "sqlite_autoindex_subusers");
}

#define with_database(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_database(each_step_runs_once),
        with_database(a_step_that_fails_leaves_nothing),
        with_database(a_newer_database_is_refused),
        with_database(the_panels_tables_are_made_once_and_outlive_the_program),
        with_database(columns_are_pterodactyls),
        with_database(hot_queries_have_an_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
