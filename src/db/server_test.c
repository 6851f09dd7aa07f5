/* SPDX-License-Identifier: Apache-2.0 */
#include "db/backup.h"
#include "db/fixture.h"
#include "db/subuser.h"

static void a_server_is_found_by_its_ids(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct server server = {.node_id = fixture_add_node(session, "n"),
                            .owner_id = fixture_add_user(session, "ann"),
                            .name = "Survival",
                            .description = "with friends",
                            .status = SERVER_SUSPENDED,
                            .memory_mib = 4096,
                            .swap_mib = -1,
                            .disk_mib = 10240,
                            .io_weight = 500,
                            .cpu_percent = 200,
                            .backup_limit = 7};
    assert_ok(server_insert(session, &server, &err));
    assert_true(uuid_is_canonical(server.uuid));
    assert_memory_equal(server.uuid_short, server.uuid, 8);
    struct server found[3];
    assert_int_equal(server_find(session, server.uuid, &found[0], &err), 1);
    assert_int_equal(server_find(session, server.uuid_short, &found[1], &err), 1);
    assert_int_equal(server_find_by_id(session, server.id, &found[2], &err), 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(found[i].id, server.id);
        assert_string_equal(found[i].uuid, server.uuid);
        assert_string_equal(found[i].uuid_short, server.uuid_short);
        assert_int_equal(found[i].node_id, server.node_id);
        assert_int_equal(found[i].owner_id, server.owner_id);
        assert_string_equal(found[i].name, "Survival");
        assert_string_equal(found[i].description, "with friends");
        assert_int_equal(found[i].status, SERVER_SUSPENDED);
        assert_int_equal(found[i].memory_mib, 4096);
        assert_int_equal(found[i].swap_mib, -1);
        assert_int_equal(found[i].disk_mib, 10240);
        assert_int_equal(found[i].io_weight, 500);
        assert_int_equal(found[i].cpu_percent, 200);
        assert_int_equal(found[i].backup_limit, 7);
        assert_false(found[i].is_transferring);
        server_free(&found[i]);
    }
    assert_int_equal(server_find(session, "00000000", &found[0], &err), 0);
    assert_int_equal(server_find(session, "", &found[0], &err), 0);
    server.uuid[35] = server.uuid[35] == '0' ? '1' : '0';
    assert_int_equal(server_find(session, server.uuid, &found[0], &err), 0);
    db_rollback(session);
}

static void a_uuid_is_taken_once_and_who_it_refers_to_is_there(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t node_id = fixture_add_node(session, "n");
    int64_t owner_id = fixture_add_user(session, "ann");
    struct server server = {.uuid = "6f1c4a52-0a6b-4b5e-9d7e-0123456789ab",
                            .node_id = node_id,
                            .owner_id = owner_id,
                            .name = "x"};
    assert_ok(server_insert(session, &server, &err));
    assert_string_equal(server.uuid_short, "6f1c4a52");
    assert_fails(server_insert(session, &server, &err), ERROR_CONFLICT);
    /* The short one alone is enough. */
    struct server close_one = server;
    memset(close_one.uuid + 24, '0', 12);
    assert_fails(server_insert(session, &close_one, &err), ERROR_CONFLICT);
    struct server nowhere = {.node_id = 99, .owner_id = owner_id, .name = "x"};
    assert_fails(server_insert(session, &nowhere, &err), ERROR_CONFLICT);
    struct server nobodys = {.node_id = node_id, .owner_id = 99, .name = "x"};
    assert_fails(server_insert(session, &nobodys, &err), ERROR_CONFLICT);
    db_rollback(session);
}

static int collect(const struct server *server, void *context, struct error *err)
{
    buf_printf(context, "%s ", server->name);
    return 0;
}

static void assert_list(struct db_session *session, const struct server_filter *filter,
                        int64_t offset, const char *names, int64_t count)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf found = BUF_INIT;
    int64_t counted;
    assert_ok(server_each(session, filter, 2, offset, collect, &found, &err));
    assert_string_equal(found.data, names);
    assert_ok(server_count(session, filter, &counted, &err));
    assert_int_equal(counted, count);
}

static void a_list_shows_what_its_filter_allows(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t nodes[] = {fixture_add_node(session, "n1"), fixture_add_node(session, "n2")};
    int64_t ann = fixture_add_user(session, "ann");
    int64_t bob = fixture_add_user(session, "bob");
    int64_t eve = fixture_add_user(session, "eve");
    static char *const names[] = {"a", "b", "c", "d"};
    int64_t ids[4];
    for (size_t i = 0; i < 4; i++) {
        struct server server = {
            .node_id = nodes[i % 2], .owner_id = i < 3 ? ann : bob, .name = names[i]};
        assert_ok(server_insert(session, &server, &err));
        ids[i] = server.id;
    }
    assert_ok(subuser_set(session, bob, ids[0], "[]", &err));
    assert_ok(subuser_set(session, bob, ids[3], "[]", &err)); /* his own: still once */
    assert_list(session, &(struct server_filter){0}, 0, "a b ", 4);
    assert_list(session, &(struct server_filter){0}, 2, "c d ", 4);
    assert_list(session, &(struct server_filter){0}, 4, "", 4);
    assert_list(session, &(struct server_filter){.node_id = nodes[1]}, 0, "b d ", 2);
    assert_list(session, &(struct server_filter){.viewer_id = ann}, 0, "a b ", 3);
    assert_list(session, &(struct server_filter){.viewer_id = bob}, 0, "a d ", 2);
    assert_list(session, &(struct server_filter){.viewer_id = eve}, 0, "", 0);
    assert_list(session, &(struct server_filter){.viewer_id = bob, .node_id = nodes[0]}, 0, "a ",
                1);
    db_rollback(session);
}

static void a_status_changes_only_from_what_it_was(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    assert_ok(server_change_status(session, id, SERVER_NORMAL, SERVER_RESTORING_BACKUP, &err));
    assert_fails(server_change_status(session, id, SERVER_NORMAL, SERVER_RESTORING_BACKUP, &err),
                 ERROR_CONFLICT);
    assert_fails(server_change_status(session, id, SERVER_SUSPENDED, SERVER_NORMAL, &err),
                 ERROR_CONFLICT);
    assert_ok(server_change_status(session, id, SERVER_RESTORING_BACKUP, SERVER_NORMAL, &err));
    assert_fails(server_change_status(session, 99, SERVER_NORMAL, SERVER_NORMAL, &err),
                 ERROR_NOT_FOUND);
    for (int status = SERVER_NORMAL; status <= SERVER_RESTORING_BACKUP; status++) {
        struct server found;
        assert_ok(server_set_status(session, id, (enum server_status)status, &err));
        assert_int_equal(server_find_by_id(session, id, &found, &err), 1);
        assert_int_equal(found.status, status);
        server_free(&found);
    }
    assert_fails(server_set_status(session, 99, SERVER_NORMAL, &err), ERROR_NOT_FOUND);
    db_rollback(session);
}

static void a_status_that_is_not_known_lets_nothing_happen(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    assert_ok(
        db_run(session, "UPDATE servers SET status = 'levitating'", DB_NO_PARAMS, NULL, &err));
    struct server found;
    assert_int_equal(server_find_by_id(session, id, &found, &err), 1);
    assert_int_equal(found.status, SERVER_SUSPENDED);
    server_free(&found);
    assert_fails(server_change_status(session, id, SERVER_SUSPENDED, SERVER_NORMAL, &err),
                 ERROR_CONFLICT);
    db_rollback(session);
}

static void status_names_are_those_of_the_wire(void **state)
{
    assert_null(server_status_name(SERVER_NORMAL));
    assert_string_equal(server_status_name(SERVER_INSTALLING), "installing");
    assert_string_equal(server_status_name(SERVER_INSTALL_FAILED), "install_failed");
    assert_string_equal(server_status_name(SERVER_REINSTALL_FAILED), "reinstall_failed");
    assert_string_equal(server_status_name(SERVER_SUSPENDED), "suspended");
    assert_string_equal(server_status_name(SERVER_RESTORING_BACKUP), "restoring_backup");
}

static void a_transfer_lasts_until_its_result_is_known(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    assert_ok(db_run(session,
                     "INSERT INTO server_transfers (server_id, successful, old_node, new_node,"
                     " old_allocation, new_allocation) VALUES (?, NULL, 1, 2, 0, 0)",
                     DB_PARAMS(db_int(id)), NULL, &err));
    struct server found;
    assert_int_equal(server_find_by_id(session, id, &found, &err), 1);
    assert_true(found.is_transferring);
    server_free(&found);
    assert_ok(
        db_run(session, "UPDATE server_transfers SET successful = 0", DB_NO_PARAMS, NULL, &err));
    assert_int_equal(server_find_by_id(session, id, &found, &err), 1);
    assert_false(found.is_transferring);
    server_free(&found);
    db_rollback(session);
}

static void the_restore_that_a_state_stands_for_is_the_latest(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    struct backup first = {.server_id = id};
    struct backup second = {.server_id = id};
    assert_ok(backup_insert(session, &first, &err));
    assert_ok(backup_insert(session, &second, &err));
    struct server_restore wanted = {.backup_id = first.id, .is_of_files = true};
    struct server_restore found = {.backup_id = -1};
    assert_int_equal(server_restore_find(session, id, &found, &err), 0);
    assert_int_equal(found.backup_id, -1);
    assert_ok(server_restore_begin(session, id, &wanted, &err));
    assert_int_equal(server_restore_find(session, id, &found, &err), 1);
    assert_true(found.backup_id == first.id && found.is_of_files);
    wanted = (struct server_restore){.backup_id = second.id};
    assert_ok(server_restore_begin(session, id, &wanted, &err));
    assert_int_equal(server_restore_find(session, id, &found, &err), 1);
    assert_true(found.backup_id == second.id && !found.is_of_files);
    assert_ok(server_restore_end(session, id, &err));
    assert_ok(server_restore_end(session, id, &err));
    assert_int_equal(server_restore_find(session, id, &found, &err), 0);
    assert_fails(server_restore_begin(session, 99, &wanted, &err), ERROR_CONFLICT);
    db_rollback(session);
}

static void how_a_restore_ended_is_known_until_the_next_begins(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    struct backup backup = {.server_id = id};
    struct server_last_restore last;
    assert_ok(backup_insert(session, &backup, &err));
    struct server_restore restore = {.backup_id = backup.id};
    assert_int_equal(server_restore_last(session, id, &last, &err), 0);
    struct server_last_restore ended = {.is_successful = false, .error = "no space"};
    snprintf(ended.backup, sizeof(ended.backup), "%s", backup.uuid);
    assert_ok(server_restore_note(session, id, &ended, &err));
    assert_int_equal(server_restore_last(session, id, &last, &err), 1);
    assert_string_equal(last.error, "no space");
    ended = (struct server_last_restore){
        .is_successful = true, .is_of_files = true, .kept_until_us = INT64_C(1700000000) * 1000000};
    snprintf(ended.backup, sizeof(ended.backup), "%s", backup.uuid);
    assert_ok(server_restore_note(session, id, &ended, &err));
    assert_ok(backup_delete(session, backup.id, &err));
    assert_int_equal(server_restore_last(session, id, &last, &err), 1);
    assert_string_equal(last.backup, backup.uuid);
    assert_true(last.is_successful && last.is_of_files);
    assert_true(last.ended_at_us > 0);
    assert_true(last.kept_until_us == ended.kept_until_us);
    assert_false(last.is_undo);
    assert_ok(server_restore_begin(session, id, &restore, &err));
    assert_int_equal(server_restore_last(session, id, &last, &err), 0);
    db_rollback(session);
}

static void restores_are_found_by_when_they_began(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t node = fixture_add_node(session, "n"), user = fixture_add_user(session, "a");
    int64_t servers[3], ids[3];
    for (int i = 0; i < 3; i++) {
        servers[i] = fixture_add_server(session, node, user);
        struct backup backup = {.server_id = servers[i]};
        assert_ok(backup_insert(session, &backup, &err));
        struct server_restore restore = {.backup_id = backup.id};
        if (i == 1)
            assert_ok(server_undo_begin(session, servers[i], &err));
        else
            assert_ok(server_restore_begin(session, servers[i], &restore, &err));
    }
    int64_t now_us = time_now_us(), later_us = now_us + 5 * 1000000;
    assert_int_equal(server_restores_before(session, now_us - 60 * 1000000, 0, ids, 3, &err), 0);
    assert_int_equal(server_restores_before(session, later_us, 0, ids, 3, &err), 3);
    assert_true(ids[0] == servers[0] && ids[1] == servers[1] && ids[2] == servers[2]);
    assert_int_equal(server_restores_before(session, later_us, servers[0], ids, 1, &err), 1);
    assert_true(ids[0] == servers[1]);
    assert_int_equal(server_restores_before(session, later_us, servers[2], ids, 3, &err), 0);
    db_rollback(session);
}

static void an_undo_needs_no_backup_and_takes_the_place_of_a_restore(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    struct backup backup = {.server_id = id};
    struct server_last_restore last, ended = {.is_undo = true};
    struct server_restore found;
    assert_ok(backup_insert(session, &backup, &err));
    struct server_restore restore = {.backup_id = backup.id};
    snprintf(ended.backup, sizeof(ended.backup), "%s", backup.uuid);
    assert_int_equal(server_undo_find(session, id, &err), 0);
    assert_ok(server_restore_begin(session, id, &restore, &err));
    assert_ok(server_undo_begin(session, id, &err));
    assert_int_equal(server_undo_find(session, id, &err), 1);
    assert_int_equal(server_restore_find(session, id, &found, &err), 0);
    assert_ok(server_restore_note(session, id, &ended, &err));
    assert_int_equal(server_restore_last(session, id, &last, &err), 1);
    assert_true(last.is_undo && last.kept_until_us == 0);
    assert_ok(server_restore_begin(session, id, &restore, &err));
    assert_int_equal(server_undo_find(session, id, &err), 0);
    assert_int_equal(server_restore_last(session, id, &last, &err), 0);
    db_rollback(session);
}

static void a_limit_can_be_set_and_a_deleted_server_takes_its_rows_along(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t ann = fixture_add_user(session, "ann");
    int64_t id = fixture_add_server(session, fixture_add_node(session, "n"), ann);
    assert_ok(server_set_backup_limit(session, id, 12, &err));
    assert_fails(server_set_backup_limit(session, 99, 12, &err), ERROR_NOT_FOUND);
    struct server found;
    assert_int_equal(server_find_by_id(session, id, &found, &err), 1);
    assert_int_equal(found.backup_limit, 12);
    server_free(&found);
    struct backup backup = {.server_id = id, .lease_until_us = time_now_us()};
    assert_ok(backup_insert(session, &backup, &err));
    struct server_restore restore = {.backup_id = backup.id};
    assert_ok(server_restore_begin(session, id, &restore, &err));
    assert_ok(subuser_set(session, ann, id, "[]", &err));
    assert_ok(server_delete(session, id, &err));
    assert_fails(server_delete(session, id, &err), ERROR_NOT_FOUND);
    int64_t left;
    assert_ok(db_query_int(session,
                           "SELECT (SELECT COUNT(*) FROM backups) +"
                           " (SELECT COUNT(*) FROM roost_backups) +"
                           " (SELECT COUNT(*) FROM roost_restores) +"
                           " (SELECT COUNT(*) FROM subusers)",
                           DB_NO_PARAMS, -1, &left, &err));
    assert_int_equal(left, 0);
    db_rollback(session);
}

#define with_database(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_database(a_server_is_found_by_its_ids),
        with_database(a_uuid_is_taken_once_and_who_it_refers_to_is_there),
        with_database(a_list_shows_what_its_filter_allows),
        with_database(a_status_changes_only_from_what_it_was),
        with_database(a_status_that_is_not_known_lets_nothing_happen),
        with_database(status_names_are_those_of_the_wire),
        with_database(a_transfer_lasts_until_its_result_is_known),
        with_database(the_restore_that_a_state_stands_for_is_the_latest),
        with_database(how_a_restore_ended_is_known_until_the_next_begins),
        with_database(restores_are_found_by_when_they_began),
        with_database(an_undo_needs_no_backup_and_takes_the_place_of_a_restore),
        with_database(a_limit_can_be_set_and_a_deleted_server_takes_its_rows_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
