/* SPDX-License-Identifier: Apache-2.0 */
/* Users, subusers and the record of who did what. */
#include "db/activity.h"
#include "db/fixture.h"
#include "db/subuser.h"

static void a_user_is_found_as_it_was_inserted(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct user user = {.username = "ann",
                        .email = "ann@example.org",
                        .language = "de",
                        .is_root_admin = true,
                        .has_totp = true};
    assert_ok(user_insert(session, &user, &err));
    assert_true(uuid_is_canonical(user.uuid));
    assert_ok(db_commit(session, &err));
    struct user found;
    assert_int_equal(user_find(fixture_reader(*state), user.id, &found, &err), 1);
    assert_int_equal(found.id, user.id);
    assert_string_equal(found.uuid, user.uuid);
    assert_string_equal(found.username, "ann");
    assert_string_equal(found.email, "ann@example.org");
    assert_string_equal(found.language, "de");
    assert_true(found.is_root_admin);
    assert_true(found.has_totp);
    user_free(&found);
    assert_null(found.username);
    user_free(&found);
    assert_int_equal(user_find(fixture_reader(*state), user.id + 1, &found, &err), 0);
}

static void a_given_uuid_is_kept_and_the_language_has_a_default(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct user user = {
        .username = "ann", .email = "a@b.c", .uuid = "6f1c4a52-0a6b-4b5e-9d7e-0123456789ab"};
    assert_ok(user_insert(session, &user, &err));
    struct user found;
    assert_int_equal(user_find(session, user.id, &found, &err), 1);
    assert_string_equal(found.uuid, "6f1c4a52-0a6b-4b5e-9d7e-0123456789ab");
    assert_string_equal(found.language, "en");
    assert_false(found.is_root_admin);
    user_free(&found);
    db_rollback(session);
}

static void names_and_addresses_are_taken_once(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    fixture_add_user(session, "ann");
    struct user same_name = {.username = "Ann", .email = "other@example.org"};
    assert_fails(user_insert(session, &same_name, &err), ERROR_CONFLICT);
    struct user same_email = {.username = "bob", .email = "ANN@example.org"};
    assert_fails(user_insert(session, &same_email, &err), ERROR_CONFLICT);
    assert_int_equal(same_email.id, 0);
    db_rollback(session);
}

static void a_name_comes_before_an_equal_address(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct user by_email = {.username = "zoe", .email = "x@example.org"};
    struct user by_name = {.username = "x@example.org", .email = "y@example.org"};
    assert_ok(user_insert(session, &by_email, &err));
    assert_ok(user_insert(session, &by_name, &err));
    struct user found;
    assert_int_equal(user_find_by_name(session, "x@example.org", &found, &err), 1);
    assert_int_equal(found.id, by_name.id);
    user_free(&found);
    assert_int_equal(user_find_by_name(session, "ZOE", &found, &err), 1);
    assert_int_equal(found.id, by_email.id);
    user_free(&found);
    assert_int_equal(user_find_by_name(session, "nobody", &found, &err), 0);
    db_rollback(session);
}

static int collect(const struct user *user, void *context, struct error *err)
{
    struct buf *names = context;
    if (strcmp(user->username, "stop") == 0)
        return error_set(err, ERROR_CANCELLED, "enough");
    buf_printf(names, "%s ", user->username);
    return 0;
}

static void users_are_walked_in_order_until_the_visitor_has_enough(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    scope_buf struct buf names = BUF_INIT;
    fixture_add_user(session, "zoe");
    fixture_add_user(session, "ann");
    assert_ok(user_each(session, collect, &names, &err));
    assert_string_equal(names.data, "zoe ann ");
    fixture_add_user(session, "stop");
    fixture_add_user(session, "late");
    buf_clear(&names);
    assert_fails(user_each(session, collect, &names, &err), ERROR_CANCELLED);
    assert_string_equal(names.data, "zoe ann ");
    /* The walk that was broken off can be begun again. */
    assert_fails(user_each(session, collect, &names, &err), ERROR_CANCELLED);
    db_rollback(session);
}

static void an_owner_of_servers_stays(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t ann = fixture_add_user(session, "ann");
    int64_t bob = fixture_add_user(session, "bob");
    int64_t server = fixture_add_server(session, fixture_add_node(session, "n"), ann);
    assert_ok(subuser_set(session, bob, server, "[]", &err));
    assert_fails(user_delete(session, ann, &err), ERROR_CONFLICT);
    assert_ok(user_delete(session, bob, &err));
    assert_fails(user_delete(session, bob, &err), ERROR_NOT_FOUND);
    scope_buf struct buf permissions = BUF_INIT;
    assert_int_equal(subuser_find(session, bob, server, &permissions, &err), 0);
    assert_ok(server_delete(session, server, &err));
    assert_ok(user_delete(session, ann, &err));
    db_rollback(session);
}

static void a_subuser_has_the_permissions_that_were_set_last(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t bob = fixture_add_user(session, "bob");
    int64_t server =
        fixture_add_server(session, fixture_add_node(session, "n"), fixture_add_user(session, "a"));
    scope_buf struct buf permissions = BUF_INIT;
    assert_int_equal(subuser_find(session, bob, server, &permissions, &err), 0);
    assert_ok(subuser_set(session, bob, server, "[\"backup.read\"]", &err));
    assert_ok(subuser_set(session, bob, server, "[\"backup.create\"]", &err));
    assert_int_equal(subuser_find(session, bob, server, &permissions, &err), 1);
    assert_string_equal(permissions.data, "[\"backup.create\"]");
    buf_clear(&permissions);
    assert_int_equal(subuser_find(session, bob, server + 1, &permissions, &err), 0);
    assert_int_equal(subuser_find(session, bob + 1, server, &permissions, &err), 0);
    assert_ok(subuser_delete(session, bob, server, &err));
    assert_fails(subuser_delete(session, bob, server, &err), ERROR_NOT_FOUND);
    assert_fails(subuser_set(session, bob, 999, "[]", &err), ERROR_CONFLICT);
    db_rollback(session);
}

static void permissions_that_are_null_are_none(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t bob = fixture_add_user(session, "bob");
    int64_t server = fixture_add_server(session, fixture_add_node(session, "n"), bob);
    assert_ok(subuser_set(session, bob, server, NULL, &err));
    scope_buf struct buf permissions = BUF_INIT;
    assert_int_equal(subuser_find(session, bob, server, &permissions, &err), 1);
    assert_string_equal(permissions.data, "[]");
    db_rollback(session);
}

static void an_event_is_recorded_with_its_actor_and_subjects(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct activity activity = {.event = "server:backup.start",
                                .ip = "192.0.2.1",
                                .actor_user_id = 3,
                                .api_key_id = 4,
                                .properties = "{\"name\":\"x\"}",
                                .server_id = 5,
                                .backup_id = 6,
                                .at_us = INT64_C(1697812200000000)};
    assert_ok(activity_insert(session, &activity, &err));
    scope_rows struct db_rows rows = {0};
    assert_ok(db_query(session,
                       "SELECT event, ip, actor_type, actor_id, api_key_id, properties, timestamp"
                       " FROM activity_logs",
                       DB_NO_PARAMS, &rows, &err));
    assert_int_equal(db_next(&rows, &err), 1);
    assert_string_equal(db_get_text(&rows, 0), "server:backup.start");
    assert_string_equal(db_get_text(&rows, 1), "192.0.2.1");
    assert_string_equal(db_get_text(&rows, 2), "user");
    assert_int_equal(db_get_int(&rows, 3), 3);
    assert_int_equal(db_get_int(&rows, 4), 4);
    assert_string_equal(db_get_text(&rows, 5), "{\"name\":\"x\"}");
    assert_string_equal(db_get_text(&rows, 6), "2023-10-20 14:30:00");
    db_rows_end(&rows);
    assert_ok(db_query(session,
                       "SELECT s.subject_type, s.subject_id FROM activity_log_subjects s"
                       " JOIN activity_logs l ON l.id = s.activity_log_id ORDER BY s.subject_id",
                       DB_NO_PARAMS, &rows, &err));
    assert_int_equal(db_next(&rows, &err), 1);
    assert_string_equal(db_get_text(&rows, 0), "server");
    assert_int_equal(db_get_int(&rows, 1), 5);
    assert_int_equal(db_next(&rows, &err), 1);
    assert_string_equal(db_get_text(&rows, 0), "backup");
    assert_int_equal(db_get_int(&rows, 1), 6);
    assert_int_equal(db_next(&rows, &err), 0);
    db_rollback(session);
}

static void the_system_acts_without_actor_and_now(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct activity activity = {.event = "server:backup.complete"};
    int64_t before_us = time_now_us();
    assert_ok(activity_insert(session, &activity, &err));
    scope_rows struct db_rows rows = {0};
    assert_ok(db_query(session,
                       "SELECT ip, actor_type, actor_id, api_key_id, properties, timestamp,"
                       " (SELECT COUNT(*) FROM activity_log_subjects) FROM activity_logs",
                       DB_NO_PARAMS, &rows, &err));
    assert_int_equal(db_next(&rows, &err), 1);
    assert_string_equal(db_get_text(&rows, 0), "127.0.0.1");
    assert_true(db_is_null(&rows, 1) && db_is_null(&rows, 2) && db_is_null(&rows, 3));
    assert_string_equal(db_get_text(&rows, 4), "{}");
    assert_true(db_get_time_us(&rows, 5) > before_us - 2000000 &&
                db_get_time_us(&rows, 5) <= time_now_us());
    assert_int_equal(db_get_int(&rows, 6), 0);
    db_rows_end(&rows);
    db_rollback(session);
}

#define with_database(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_database(a_user_is_found_as_it_was_inserted),
        with_database(a_given_uuid_is_kept_and_the_language_has_a_default),
        with_database(names_and_addresses_are_taken_once),
        with_database(a_name_comes_before_an_equal_address),
        with_database(users_are_walked_in_order_until_the_visitor_has_enough),
        with_database(an_owner_of_servers_stays),
        with_database(a_subuser_has_the_permissions_that_were_set_last),
        with_database(permissions_that_are_null_are_none),
        with_database(an_event_is_recorded_with_its_actor_and_subjects),
        with_database(the_system_acts_without_actor_and_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
