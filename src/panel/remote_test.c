/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes may say, and what comes of it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"
#include "panel/world.h"

static struct world world;

#define UNKNOWN "00000000-0000-4000-8000-000000000000"
#define GOOD                                                                                       \
    "{\"successful\":true,\"checksum\":\"ab12\",\"checksum_type\":\"sha256\",\"size\":77,"         \
    "\"parts\":null}"
#define FAILED                                                                                     \
    "{\"checksum\":\"\",\"checksum_type\":\"\",\"size\":0,\"successful\":false,\"parts\":null}"

static int start(void **state)
{
    world_start(&world, &(struct panel_config){0});
    return 0;
}

static int start_impatient(void **state)
{
    world_start(&world, &(struct panel_config){.lease_s = 1});
    return 0;
}

static int stop(void **state)
{
    world_stop(&world);
    return 0;
}

static int64_t count_event(const char *event)
{
    struct error err = ERROR_INIT;
    int64_t value;
    struct db_session *session = db_reader(world.db, &err);
    assert_int_equal(db_query_int(session, "SELECT COUNT(*) FROM activity_logs WHERE event = ?",
                                  DB_PARAMS(db_text(event)), -1, &value, &err),
                     0);
    return value;
}

static void a_node_says_who_it_is(void **state)
{
    char value[256], wrong[128];
    const char *path = "/api/remote/servers";
    struct raw_answer answer = ask(&world, "GET", path, NULL, NULL, NULL);
    assert_int_equal(answer.status, 401);
    assert_string_equal(raw_header(&answer, "WWW-Authenticate", value), "Bearer");
    assert_string_equal(raw_header(&answer, "Cache-Control", value), "no-cache, private");
    raw_answer_free(&answer);
    expect(&world, "GET", path, "onepart", NULL, 400, "was not in a valid format.");
    expect(&world, "GET", path, ".secret", NULL, 400, NULL);
    expect(&world, "GET", path, "id.", NULL, 400, NULL);
    expect(&world, "GET", path, "a.b.c", NULL, 400, NULL);
    expect(&world, "GET", path, "unknown.secret", NULL, 403,
           "You are not authorized to access this resource.");
    snprintf(wrong, sizeof(wrong), "%.16s.%s", world.node_keys[NODE],
             world.node_secrets[OTHER_NODE]);
    expect(&world, "GET", path, wrong, NULL, 403,
           "You are not authorized to access this resource.");
    snprintf(wrong, sizeof(wrong), "%.16sX.%s", world.node_keys[NODE], world.node_secrets[NODE]);
    expect(&world, "GET", path, wrong, NULL, 403, NULL);
    expect(&world, "GET", path, world.keys[ADMIN], NULL, 400, NULL);
    expect(&world, "POST", remote_path(UNKNOWN, ""), wrong, "{", 403, NULL);
    expect(&world, "POST", remote_path(UNKNOWN, ""), world.node_keys[NODE], "{", 400,
           "appears to be malformed");
}

static void nobody_touches_another_nodes_backups(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    static const char *const posts[] = {"", "/restore", "/heartbeat"};
    add_backup(&world, OTHER_NODE, ROW_CREATING, uuid);
    set_status(&world, OTHER_NODE, SERVER_RESTORING_BACKUP);
    for (size_t i = 0; i < 3; i++) {
        expect(&world, "POST", remote_path(uuid, posts[i]), world.node_keys[NODE], GOOD, 403,
               "\"HttpForbiddenException\"");
        expect(&world, "POST", remote_path(UNKNOWN, posts[i]), world.node_keys[NODE], GOOD, 404,
               NULL);
        expect(&world, "POST", remote_path("..", posts[i]), world.node_keys[NODE], GOOD, 404, NULL);
    }
    expect(&world, "GET", remote_path(uuid, "?size=1"), world.node_keys[NODE], NULL, 403, NULL);
    char path[128];
    snprintf(path, sizeof(path), "/api/remote/servers/%s", world.servers[OTHER_NODE].uuid);
    expect(&world, "GET", path, world.node_keys[NODE], NULL, 404, NULL);
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[NODE], NULL, 204, NULL);
    assert_string_equal(state_of(&world, uuid), "creating");
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM servers WHERE status ="
                                       " 'restoring_backup'"),
                     1);
}

static void a_report_may_be_repeated_but_not_changed(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    const char *key = world.node_keys[NODE];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    expect(&world, "POST", remote_path(uuid, ""), key, "{}", 422,
           "The successful field is required.");
    expect(&world, "POST", remote_path(UNKNOWN, ""), key, "{}", 422, NULL);
    expect(&world, "POST", remote_path(uuid, ""), key, GOOD, 204, NULL);
    expect(&world, "POST", remote_path(uuid, ""), key, GOOD, 204, NULL);
    assert_int_equal(count_event("server:backup.complete"), 1);
    expect(&world, "POST", remote_path(uuid, ""), key, FAILED, 400,
           "Cannot update the status of a backup that is already marked as completed.");
    expect(&world, "POST", remote_path(uuid, ""), key,
           "{\"successful\":true,\"checksum\":\"cd\",\"checksum_type\":\"sha256\",\"size\":77}",
           400, NULL);
    expect(&world, "GET", backup_path(&world, NODE, uuid, ""), world.keys[OWNER], NULL, 200,
           "\"checksum\":\"sha256:ab12\",\"sha256_hash\":\"ab12\",\"bytes\":77");
}

static void a_failure_unlocks_and_may_still_become_a_success(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    const char *key = world.node_keys[NODE];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    run_sql(&world, "UPDATE backups SET is_locked = 1");
    expect(&world, "POST", remote_path(uuid, ""), key, FAILED, 204, NULL);
    expect(&world, "POST", remote_path(uuid, ""), key, FAILED, 204, NULL);
    assert_string_equal(state_of(&world, uuid), "failed");
    assert_int_equal(count_event("server:backup.fail"), 1);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups WHERE is_locked = 1"), 0);
    expect(&world, "POST", remote_path(uuid, ""), key, GOOD, 204, NULL);
    assert_string_equal(state_of(&world, uuid), "completed");
}

static void a_deleted_backup_takes_no_report(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    run_sql(&world, "UPDATE backups SET deleted_at = '2024-01-01 00:00:00'");
    expect(&world, "POST", remote_path(uuid, ""), world.node_keys[NODE], GOOD, 404, NULL);
}

static void an_object_that_was_never_uploaded_is_not_completed(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    run_sql(&world, "UPDATE backups SET disk = 's3'");
    expect(&world, "POST", remote_path(uuid, ""), world.node_keys[NODE], GOOD, 400,
           "no upload_id present on model.");
    expect(&world, "POST", remote_path(uuid, ""), world.node_keys[NODE], FAILED, 204, NULL);
}

/* ---- restores ---- */

static void begin_restore(const char *uuid)
{
    expect(&world, "POST", backup_path(&world, NODE, uuid, "/restore"), world.keys[OWNER], NULL,
           204, NULL);
}

static void expect_status(const char *status)
{
    expect(&world, "GET", client_path(&world, NODE, ""), world.keys[OWNER], NULL, 200, status);
}

static void a_restore_ends_with_the_report_on_that_very_backup(void **state)
{
    char uuid[UUID_TEXT_BYTES], other[UUID_TEXT_BYTES];
    const char *key = world.node_keys[NODE];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    add_backup(&world, NODE, ROW_COMPLETED, other);
    begin_restore(uuid);
    expect(&world, "POST", remote_path(other, "/restore"), key, "{\"successful\":true}", 204, NULL);
    expect_status("\"status\":\"restoring_backup\"");
    expect(&world, "POST", remote_path(uuid, "/restore"), key, "{\"successful\":false}", 204, NULL);
    expect_status("\"status\":null");
    expect(&world, "POST", remote_path(uuid, "/restore"), key, "{\"successful\":true}", 204, NULL);
    assert_int_equal(count_event("server:backup.restore-failed"), 1);
    assert_int_equal(count_event("server:backup.restore-complete"), 0);
    begin_restore(uuid);
    expect(&world, "POST", remote_path(uuid, "/restore"), key, "{\"successful\":true}", 204, NULL);
    assert_int_equal(count_event("server:backup.restore-complete"), 1);
}

static void a_report_never_lifts_a_suspension(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    const char *key = world.node_keys[NODE];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    set_status(&world, NODE, SERVER_SUSPENDED);
    expect(&world, "POST", remote_path(uuid, "/restore"), key, "{\"successful\":true}", 204, NULL);
    expect_status("\"status\":\"suspended\"");
    set_status(&world, NODE, SERVER_NORMAL);
    begin_restore(uuid);
    set_status(&world, NODE, SERVER_SUSPENDED);
    expect(&world, "POST", remote_path(uuid, "/restore"), key, "{\"successful\":true}", 204, NULL);
    expect_status("\"status\":\"suspended\"");
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM roost_restores"), 0);
}

static void a_node_that_starts_is_busy_with_nothing(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    begin_restore(uuid);
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[NODE], NULL, 204, NULL);
    expect_status("\"status\":null");
    assert_int_equal(count_event("server:backup.restore-failed"), 1);
    set_status(&world, NODE, SERVER_INSTALLING);
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[NODE], NULL, 204, NULL);
    expect_status("\"status\":null");
    set_status(&world, NODE, SERVER_SUSPENDED);
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[NODE], NULL, 204, NULL);
    expect_status("\"status\":\"suspended\"");
    assert_int_equal(count_event("server:backup.restore-failed"), 1);
}

/* ---- leases ---- */

static void wait_until(const char *uuid, const char *state)
{
    for (int i = 0; i < 80 && strcmp(state_of(&world, uuid), state) != 0; i++)
        usleep(100 * 1000);
    assert_string_equal(state_of(&world, uuid), state);
}

static void a_silent_nodes_backup_fails_and_a_late_success_counts(void **state)
{
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 200,
           NULL);
    const char *uuid = strstr(world.order_body, "\"uuid\":\"");
    char copy[UUID_TEXT_BYTES];
    snprintf(copy, sizeof(copy), "%s", uuid + 8);
    wait_until(copy, "failed");
    assert_int_equal(count_event("server:backup.fail"), 1);
    /* Heard of too late. */
    expect(&world, "POST", remote_path(copy, "/heartbeat"), world.node_keys[NODE], "{}", 204, NULL);
    assert_string_equal(state_of(&world, copy), "failed");
    expect(&world, "POST", remote_path(copy, ""), world.node_keys[NODE], GOOD, 204, NULL);
    assert_string_equal(state_of(&world, copy), "completed");
}

static void a_heartbeat_keeps_a_backup_alive(void **state)
{
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 200,
           NULL);
    char uuid[UUID_TEXT_BYTES];
    snprintf(uuid, sizeof(uuid), "%s", strstr(world.order_body, "\"uuid\":\"") + 8);
    for (int i = 0; i < 10; i++) {
        expect(&world, "POST", remote_path(uuid, "/heartbeat"), world.node_keys[NODE],
               "{\"bytes\":1}", 204, NULL);
        usleep(400 * 1000);
    }
    assert_string_equal(state_of(&world, uuid), "creating");
}

static void a_node_that_starts_tells_which_backups_are_lost(void **state)
{
    char meant[UUID_TEXT_BYTES], lost[UUID_TEXT_BYTES], young[UUID_TEXT_BYTES], body[128];
    add_backup(&world, NODE, ROW_CREATING, meant);
    add_backup(&world, NODE, ROW_CREATING, lost);
    run_sql(&world, "UPDATE backups SET created_at = '2001-01-01 00:00:00'");
    add_backup(&world, NODE, ROW_CREATING, young);
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[NODE], NULL, 204, NULL);
    assert_string_equal(state_of(&world, lost), "creating"); /* it did not say */
    snprintf(body, sizeof(body), "{\"backups\":[\"%s\"]}", meant);
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[OTHER_NODE], body, 204,
           NULL);
    assert_string_equal(state_of(&world, lost), "creating"); /* not its own */
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[NODE], body, 204, NULL);
    assert_string_equal(state_of(&world, meant), "creating");
    assert_string_equal(state_of(&world, lost), "failed");
    assert_string_equal(state_of(&world, young), "creating"); /* its order may be on its way */
}

static void what_has_no_lease_is_not_failed_by_a_clock(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    run_sql(&world, "DELETE FROM roost_backups");
    run_sql(&world, "UPDATE backups SET created_at = '2001-01-01 00:00:00'");
    usleep(3500 * 1000);
    assert_string_equal(state_of(&world, uuid), "creating");
    expect(&world, "DELETE", backup_path(&world, NODE, uuid, ""), world.keys[OWNER], NULL, 204,
           NULL);
}

static void a_dead_backup_makes_room_at_once(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    run_sql(&world, "UPDATE roost_backups SET lease_until = '2001-01-01 00:00:00'");
    /* We have just started: the node had no chance to say that it lives. */
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 409,
           NULL);
    expect(&world, "DELETE", backup_path(&world, NODE, uuid, ""), world.keys[OWNER], NULL, 409,
           NULL);
    usleep(1100 * 1000);
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 200,
           NULL);
    assert_string_equal(state_of(&world, uuid), "failed");
}

/* ---- the rest ---- */

static void upload_addresses_are_refused_in_order(void **state)
{
    char uuid[UUID_TEXT_BYTES], completed[UUID_TEXT_BYTES];
    const char *key = world.node_keys[NODE];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    add_backup(&world, NODE, ROW_COMPLETED, completed);
    static const char *const sizes[] = {"", "?size=", "?size=0", "?size=x", "?size=-1"};
    for (size_t i = 0; i < 5; i++)
        expect(&world, "GET", remote_path(UNKNOWN, sizes[i]), key, NULL, 400,
               "A non-empty \\\"size\\\" query parameter must be provided.");
    expect(&world, "GET", remote_path(UNKNOWN, "?size=1"), key, NULL, 404, NULL);
    expect(&world, "GET", remote_path(completed, "?size=1"), key, NULL, 409,
           "This backup is already in a completed state.");
    expect(&world, "GET", remote_path(uuid, "?size=1"), key, NULL, 400,
           "The configured backup adapter is not an S3 compatible adapter.");
}

static void a_node_sees_its_servers(void **state)
{
    const char *key = world.node_keys[NODE];
    char path[128], wanted[128];
    snprintf(wanted, sizeof(wanted),
             "{\"data\":[{\"uuid\":\"%s\",\"settings\":{\"uuid\":", world.servers[NODE].uuid);
    expect(&world, "GET", "/api/remote/servers?page=0&per_page=50", key, NULL, 200, wanted);
    expect(&world, "GET", "/api/remote/servers", key, NULL, 200,
           "\"meta\":{\"current_page\":1,\"from\":1,\"last_page\":1,\"per_page\":50,\"to\":1,"
           "\"total\":1}}");
    expect(&world, "GET", "/api/remote/servers?page=2", key, NULL, 200,
           "{\"data\":[],\"meta\":{\"current_page\":2,\"from\":null,\"last_page\":1,");
    snprintf(path, sizeof(path), "/api/remote/servers/%s", world.servers[NODE].uuid);
    expect(&world, "GET", path, key, NULL, 200, "{\"settings\":{\"uuid\":");
    set_status(&world, NODE, SERVER_SUSPENDED);
    expect(&world, "GET", path, key, NULL, 200, "\"suspended\":true");
    expect(&world, "GET", "/api/remote/servers/" UNKNOWN, key, NULL, 404, NULL);
    expect(&world, "GET", "/api/remote/servers/x", key, NULL, 404, NULL);
}

static void a_node_records_what_happened_on_its_own_servers(void **state)
{
    char body[2048];
    const char *key = world.node_keys[NODE];
    const char *own = world.servers[NODE].uuid;
    const char *foreign = world.servers[OTHER_NODE].uuid;
    snprintf(body, sizeof(body),
             "{\"data\":[{\"server\":\"%s\",\"event\":\"server:sftp.write\",\"user\":null,"
             "\"ip\":\"10.0.0.1\",\"metadata\":{\"files\":[\"a\"]},"
             "\"timestamp\":\"2024-02-03T04:05:06Z\"},"
             "{\"server\":\"%s\",\"event\":\"server:sftp.write\"},"
             "{\"server\":\"%s\",\"event\":\"auth:success\"},"
             "{\"server\":\"%s\",\"event\":\"server:console.command\",\"metadata\":[],"
             "\"timestamp\":\"nonsense\",\"user\":\"nobody\"},"
             "5,null,{}]}",
             own, foreign, own, own);
    expect(&world, "POST", "/api/remote/activity", key, body, 200, NULL);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs"), 2);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE ip = '10.0.0.1'"
                                       " AND timestamp = '2024-02-03 04:05:06' AND properties ="
                                       " '{\"files\":[\"a\"]}'"),
                     1);
    expect(&world, "POST", "/api/remote/activity", key, "{}", 422, "The data field is required.");
    expect(&world, "POST", "/api/remote/activity", key, "{\"data\":[]}", 200, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define TEST_IMPATIENT(name) cmocka_unit_test_setup_teardown(name, start_impatient, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_says_who_it_is),
        TEST(nobody_touches_another_nodes_backups),
        TEST(a_report_may_be_repeated_but_not_changed),
        TEST(a_failure_unlocks_and_may_still_become_a_success),
        TEST(a_deleted_backup_takes_no_report),
        TEST(an_object_that_was_never_uploaded_is_not_completed),
        TEST(a_restore_ends_with_the_report_on_that_very_backup),
        TEST(a_report_never_lifts_a_suspension),
        TEST(a_node_that_starts_is_busy_with_nothing),
        TEST(a_node_that_starts_tells_which_backups_are_lost),
        TEST_IMPATIENT(a_silent_nodes_backup_fails_and_a_late_success_counts),
        TEST_IMPATIENT(a_heartbeat_keeps_a_backup_alive),
        TEST_IMPATIENT(what_has_no_lease_is_not_failed_by_a_clock),
        TEST_IMPATIENT(a_dead_backup_makes_room_at_once),
        TEST(upload_addresses_are_refused_in_order),
        TEST(a_node_sees_its_servers),
        TEST(a_node_records_what_happened_on_its_own_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
