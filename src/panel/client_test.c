/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other verbs of the client API, with nodes that take orders, refuse them, are gone or fall
 * silent.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/thread.h"
#include "base/time.h"
#include "crypt/jwt.h"
#include "panel/world.h"

static struct world world;

static int start(void **state)
{
    world_start(&world, &(struct panel_config){0});
    return 0;
}

static int stop(void **state)
{
    world_stop(&world);
    return 0;
}

static json_t *attributes_of(const struct raw_answer *answer)
{
    struct error err = ERROR_INIT;
    json_t *body = json_read(buf_slice(&answer->body), &err);
    if (body == NULL)
        fail_msg("%s", answer->body.data);
    json_t *attributes = json_incref(json_object_get(body, "attributes"));
    json_decref(body);
    return attributes;
}

/* ---- list, view ---- */

static void lists_are_cut_into_pages(void **state)
{
    char first[UUID_TEXT_BYTES], uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, first);
    add_backup(&world, NODE, ROW_FAILED, uuid);
    add_backup(&world, NODE, ROW_CREATING, uuid);
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 200,
           "\"meta\":{\"backup_count\":2,\"pagination\":{\"total\":3,\"count\":3,\"per_page\":20,"
           "\"current_page\":1,\"total_pages\":1,\"links\":{}}}}");
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "\"current_page\":2,\"total_pages\":3,\"links\":{\"previous\":\"https://"
             "panel.example.org/api/client/servers/%s/backups?page=1&per_page=1\",\"next\":\"https:"
             "//panel.example.org/api/client/servers/%s/backups?page=3&per_page=1\"}",
             world.servers[NODE].uuid, world.servers[NODE].uuid);
    expect(&world, "GET", client_path(&world, NODE, "/backups?per_page=1&page=2"),
           world.keys[OWNER], NULL, 200, wanted);
    snprintf(
        wanted, sizeof(wanted),
        "{\"object\":\"list\",\"data\":[{\"object\":\"backup\",\"attributes\":{\"uuid\":\"%s\"",
        first);
    expect(&world, "GET", client_path(&world, NODE, "/backups?per_page=-3&page=x"),
           world.keys[OWNER], NULL, 200, wanted);
    expect(&world, "GET", client_path(&world, NODE, "/backups?page=99999999999999999999"),
           world.keys[OWNER], NULL, 200, "\"data\":[]");
    expect(&world, "GET", client_path(&world, GONE_NODE, "/backups"), world.keys[OWNER], NULL, 200,
           "{\"object\":\"list\",\"data\":[],\"meta\":{\"backup_count\":0,");
}

static void a_list_shows_what_was_committed_a_moment_ago(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    const char *path = client_path(&world, NODE, "/backups");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, "\"total\":0");
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, "\"total\":1");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, uuid);
    expect(&world, "GET", backup_path(&world, NODE, uuid, ""), world.keys[OWNER], NULL, 200,
           "\"checksum\":\"sha256:e3b0c442");
}

static void a_page_that_was_kept_is_shown_only_to_who_may_read_it(void **state)
{
    char uuid[UUID_TEXT_BYTES], path[128], wanted[160];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    for (int i = 0; i < 8; i++) { /* both threads of the server know it now */
        expect(&world, "GET", client_path(&world, NODE, "/backups?per_page=1"), world.keys[OWNER],
               NULL, 200, "\"total\":2");
        expect(&world, "GET", client_path(&world, NODE, "/backups?per_page=1"),
               world.keys[STRANGER], NULL, 404, NULL);
        expect(&world, "GET", client_path(&world, NODE, "/backups?per_page=1"), NULL, NULL, 401,
               NULL);
    }
    /* Links repeat the server's name as it was written. */
    snprintf(path, sizeof(path), "/api/client/servers/%s/backups?per_page=1",
             world.servers[NODE].uuid_short);
    snprintf(wanted, sizeof(wanted), "/api/client/servers/%s/backups?page=2&per_page=1",
             world.servers[NODE].uuid_short);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, wanted);
}

static void the_neighbours_of_backups_answer(void **state)
{
    const char *key = world.keys[OWNER];
    expect(&world, "GET", "/api/client", key, NULL, 200, "\"total\":3");
    expect(&world, "GET", "/api/client", world.keys[FRIEND], NULL, 200, "\"total\":1");
    expect(&world, "GET", "/api/client", world.keys[ADMIN], NULL, 200, "\"total\":0");
    expect(&world, "GET", "/api/client?type=admin-all", world.keys[ADMIN], NULL, 200,
           "\"total\":4");
    expect(&world, "GET", "/api/client?type=admin-all", key, NULL, 200, "\"total\":3");
    expect(&world, "GET", "/api/client/permissions", key, NULL, 200,
           "{\"object\":\"system_permissions\",");
    expect(&world, "GET", client_path(&world, NODE, ""), key, NULL, 200,
           "\"feature_limits\":{\"databases\":0,\"allocations\":0,\"backups\":3},\"status\":null");
    expect(&world, "GET", client_path(&world, NODE, "/websocket"), key, NULL, 200,
           "\"socket\":\"ws://127.0.0.1:");
    expect(&world, "GET", client_path(&world, NODE, "/websocket"), world.keys[FRIEND], NULL, 403,
           NULL);
}

/* ---- download ---- */

static void a_download_is_a_signed_address_of_the_node(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    struct raw_answer answer = ask(&world, "GET", backup_path(&world, NODE, uuid, "/download"),
                                   world.keys[OWNER], NULL, NULL);
    assert_int_equal(answer.status, 200);
    json_t *attributes = attributes_of(&answer);
    const char *url = json_get_string(attributes, "url", "");
    const char *token = strstr(url, "/download/backup?token=");
    assert_int_equal(strncmp(url, "http://127.0.0.1:", 17), 0);
    assert_non_null(token);
    struct error err = ERROR_INIT;
    json_t *claims = jwt_verify(slice_str(token + strlen("/download/backup?token=")),
                                slice_str(world.node_secrets[NODE]), "backup-download",
                                time_now_us() / 1000000 + 3500, &err);
    assert_non_null(claims);
    assert_string_equal(json_get_string(claims, "backup_uuid", ""), uuid);
    assert_string_equal(json_get_string(claims, "server_uuid", ""), world.servers[NODE].uuid);
    json_decref(claims);
    json_decref(attributes);
    raw_answer_free(&answer);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE event ="
                                       " 'server:backup.download'"),
                     1);
    expect(&world, "GET", backup_path(&world, NODE, uuid, "/download"), world.keys[FRIEND], NULL,
           403, NULL);
}

static void only_completed_backups_are_downloaded(void **state)
{
    char creating[UUID_TEXT_BYTES], failed[UUID_TEXT_BYTES], remote[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, remote);
    run_sql(&world, "UPDATE backups SET disk = 's3'");
    add_backup(&world, NODE, ROW_CREATING, creating);
    add_backup(&world, NODE, ROW_FAILED, failed);
    expect(&world, "GET", backup_path(&world, NODE, creating, "/download"), world.keys[OWNER], NULL,
           400, "\"BackupNotCompletedException\"");
    expect(&world, "GET", backup_path(&world, NODE, failed, "/download"), world.keys[OWNER], NULL,
           400, "\"BackupFailedException\"");
    expect(&world, "GET", backup_path(&world, NODE, remote, "/download"), world.keys[OWNER], NULL,
           400, "references an unknown disk driver type and cannot be downloaded.");
}

/* ---- lock ---- */

static void lock_toggles_and_unlock_unlocks(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    const char *lock = backup_path(&world, NODE, uuid, "/lock");
    const char *unlock = backup_path(&world, NODE, uuid, "/unlock");
    const char *key = world.keys[OWNER];
    expect(&world, "POST", lock, key, NULL, 200, "\"is_locked\":true");
    expect(&world, "POST", lock, key, "{}", 200, "\"is_locked\":false");
    expect(&world, "POST", unlock, key, NULL, 204, NULL);
    expect(&world, "POST", lock, key, "null", 200, "\"is_locked\":true");
    expect(&world, "POST", unlock, key, NULL, 204, NULL);
    expect(&world, "POST", unlock, key, NULL, 204, NULL);
    expect(&world, "GET", backup_path(&world, NODE, uuid, ""), key, NULL, 200,
           "\"is_locked\":false");
    struct raw_answer answer = ask(&world, "POST", lock, key, EXTENDED, NULL);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body.length, 0);
    raw_answer_free(&answer);
    assert_int_equal(
        count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE event = 'server:backup.lock'"),
        3);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE event ="
                                       " 'server:backup.unlock'"),
                     2);
}

/* ---- restore ---- */

static void restore_sets_the_state_and_tells_the_node(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    const char *path = backup_path(&world, NODE, uuid, "/restore");
    expect(&world, "POST", path, world.keys[OWNER], NULL, 204, NULL);
    assert_non_null(strstr(world.order_body, "{\"adapter\":\"wings\",\"truncate_directory\":true,"
                                             "\"download_url\":\"\",\"checksum\":\"sha256:e3b0"));
    assert_non_null(strstr(world.order_body, "\"order\":\""));
    expect(&world, "GET", client_path(&world, NODE, ""), world.keys[OWNER], NULL, 200,
           "\"status\":\"restoring_backup\"");
    expect(&world, "POST", path, world.keys[OWNER], NULL, 409, "currently restoring");
    expect(&world, "POST", remote_path(uuid, "/restore"), world.node_keys[NODE],
           "{\"successful\":true}", 204, NULL);
    expect(&world, "GET", client_path(&world, NODE, ""), world.keys[OWNER], NULL, 200,
           "\"status\":null");
    struct raw_answer answer =
        ask(&world, "POST", path, world.keys[OWNER], EXTENDED, "{\"truncate\":false}");
    assert_int_equal(answer.status, 202);
    assert_int_equal(answer.body.length, 0);
    raw_answer_free(&answer);
    assert_non_null(strstr(world.order_body, "\"truncate_directory\":false"));
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE event ="
                                       " 'server:backup.restore' AND properties ="
                                       " '{\"name\":\"A backup\",\"truncate\":false}'"),
                     1);
}

static void only_completed_backups_are_restored(void **state)
{
    char creating[UUID_TEXT_BYTES], failed[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_CREATING, creating);
    add_backup(&world, NODE, ROW_FAILED, failed);
    expect(&world, "POST", backup_path(&world, NODE, creating, "/restore"), world.keys[OWNER], "{}",
           400, "This backup cannot be restored at this time: not completed or failed.");
    expect(&world, "POST", backup_path(&world, NODE, failed, "/restore"), world.keys[OWNER], "{}",
           400, "\"BadRequestHttpException\"");
    struct raw_answer answer = ask(&world, "POST", backup_path(&world, NODE, creating, "/restore"),
                                   world.keys[OWNER], EXTENDED, NULL);
    assert_non_null(strstr(answer.body.data, "\"BackupNotCompletedException\""));
    raw_answer_free(&answer);
    set_status(&world, NODE, SERVER_INSTALLING);
    answer = ask(&world, "POST", backup_path(&world, NODE, creating, "/restore"), world.keys[OWNER],
                 EXTENDED, NULL);
    assert_non_null(strstr(answer.body.data, "Cannot restore backup while server is installing."));
    raw_answer_free(&answer);
    assert_int_equal(world.orders, 0);
}

static void a_restore_that_was_not_taken_leaves_the_server_as_it_was(void **state)
{
    char uuid[UUID_TEXT_BYTES], gone[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    add_backup(&world, GONE_NODE, ROW_COMPLETED, gone);
    world.node_status = 404;
    expect(&world, "POST", backup_path(&world, NODE, uuid, "/restore"), world.keys[OWNER], NULL,
           404, "\"DaemonConnectionException\"");
    expect(&world, "POST", backup_path(&world, GONE_NODE, gone, "/restore"), world.keys[OWNER],
           NULL, 504, NULL);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM servers WHERE status IS NOT NULL"), 0);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM roost_restores"), 0);
}

static void a_restore_that_may_have_begun_keeps_the_state(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, MUTE_NODE, ROW_COMPLETED, uuid);
    expect(&world, "POST", backup_path(&world, MUTE_NODE, uuid, "/restore"), world.keys[OWNER],
           NULL, 504, NULL);
    expect(&world, "GET", client_path(&world, MUTE_NODE, ""), world.keys[OWNER], NULL, 200,
           "\"status\":\"restoring_backup\"");
    expect(&world, "POST", "/api/remote/servers/reset", world.node_keys[MUTE_NODE], NULL, 204,
           NULL);
    expect(&world, "GET", client_path(&world, MUTE_NODE, ""), world.keys[OWNER], NULL, 200,
           "\"status\":null");
}

static void *restore_one(void *argument)
{
    struct raw_answer answer = ask(&world, "POST", argument, world.keys[OWNER], NULL, NULL);
    unsigned status = answer.status;
    raw_answer_free(&answer);
    return (void *)(uintptr_t)status;
}

static void of_many_restores_at_once_one_begins(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    pthread_t threads[6];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    const char *path = backup_path(&world, NODE, uuid, "/restore");
    for (int i = 0; i < 6; i++)
        threads[i] = thread_start("restore", restore_one, (void *)path);
    int begun = 0;
    for (int i = 0; i < 6; i++) {
        void *status;
        pthread_join(threads[i], &status);
        begun += (uintptr_t)status == 204;
        if ((uintptr_t)status != 204 && (uintptr_t)status != 409)
            fail_msg("status %u", (unsigned)(uintptr_t)status);
    }
    assert_int_equal(begun, 1);
    assert_int_equal(world.orders, 1);
}

/* ---- delete ---- */

static void delete_removes_the_file_and_then_the_row(void **state)
{
    char uuid[UUID_TEXT_BYTES], wanted[256];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    const char *path = backup_path(&world, NODE, uuid, "");
    expect(&world, "DELETE", path, world.keys[OWNER], NULL, 204, NULL);
    snprintf(wanted, sizeof(wanted), "DELETE /api/servers/%s/backup/%s", world.servers[NODE].uuid,
             uuid);
    assert_string_equal(world.order_path, wanted);
    expect(&world, "DELETE", path, world.keys[OWNER], NULL, 404, NULL);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 404, NULL);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups WHERE deleted_at IS NOT NULL"),
                     1);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE event ="
                                       " 'server:backup.delete' AND properties ="
                                       " '{\"name\":\"A backup\",\"failed\":false}'"),
                     1);
}

static void a_file_that_is_gone_already_is_no_error(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_FAILED, uuid);
    world.node_status = 404;
    expect(&world, "DELETE", backup_path(&world, NODE, uuid, ""), world.keys[OWNER], NULL, 204,
           NULL);
    assert_string_equal(state_of(&world, uuid), "none");
}

static void a_node_that_cannot_be_asked_keeps_the_row(void **state)
{
    char uuid[UUID_TEXT_BYTES], other[UUID_TEXT_BYTES];
    add_backup(&world, GONE_NODE, ROW_COMPLETED, uuid);
    add_backup(&world, NODE, ROW_COMPLETED, other);
    expect(&world, "DELETE", backup_path(&world, GONE_NODE, uuid, ""), world.keys[OWNER], NULL, 504,
           NULL);
    world.node_status = 500;
    expect(&world, "DELETE", backup_path(&world, NODE, other, ""), world.keys[OWNER], NULL, 500,
           NULL);
    assert_string_equal(state_of(&world, uuid), "completed");
    assert_string_equal(state_of(&world, other), "completed");
}

static void what_is_locked_or_being_created_is_not_deleted(void **state)
{
    char locked[UUID_TEXT_BYTES], creating[UUID_TEXT_BYTES], failed[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, locked);
    add_backup(&world, NODE, ROW_FAILED, failed);
    run_sql(&world, "UPDATE backups SET is_locked = 1");
    add_backup(&world, NODE, ROW_CREATING, creating);
    expect(&world, "DELETE", backup_path(&world, NODE, locked, ""), world.keys[OWNER], NULL, 400,
           "\"code\":\"BackupLockedException\",\"status\":\"400\",\"detail\":\"Cannot delete a "
           "backup that is marked as locked.\"");
    struct raw_answer answer = ask(&world, "DELETE", backup_path(&world, NODE, locked, ""),
                                   world.keys[OWNER], EXTENDED, NULL);
    assert_non_null(strstr(answer.body.data, "\"BackupIsLockedException\""));
    raw_answer_free(&answer);
    expect(&world, "DELETE", backup_path(&world, NODE, creating, ""), world.keys[OWNER], NULL, 409,
           "Cannot delete backup while it is being created.");
    assert_int_equal(world.orders, 0);
    expect(&world, "DELETE", backup_path(&world, NODE, failed, ""), world.keys[OWNER], NULL, 204,
           NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_are_cut_into_pages),
        TEST(a_list_shows_what_was_committed_a_moment_ago),
        TEST(a_page_that_was_kept_is_shown_only_to_who_may_read_it),
        TEST(the_neighbours_of_backups_answer),
        TEST(a_download_is_a_signed_address_of_the_node),
        TEST(only_completed_backups_are_downloaded),
        TEST(lock_toggles_and_unlock_unlocks),
        TEST(restore_sets_the_state_and_tells_the_node),
        TEST(only_completed_backups_are_restored),
        TEST(a_restore_that_was_not_taken_leaves_the_server_as_it_was),
        TEST(a_restore_that_may_have_begun_keeps_the_state),
        TEST(of_many_restores_at_once_one_begins),
        TEST(delete_removes_the_file_and_then_the_row),
        TEST(a_file_that_is_gone_already_is_no_error),
        TEST(a_node_that_cannot_be_asked_keeps_the_row),
        TEST(what_is_locked_or_being_created_is_not_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
