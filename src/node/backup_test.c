/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: orders, reports, archives and their end. */
#include "node/node.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/node_api.h"
#include "base/scope.h"
#include "node/test_world.h"

#define TRUNCATING "{\"adapter\":\"wings\",\"truncate_directory\":true}"

static void a_backup_is_made_and_reported(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "hello");
    world_back_up(world, BACKUP);
    assert_string_equal(world->panel.authorization, "Bearer " TOKEN_ID "." TOKEN);
    assert_non_null(strstr(world->panel.report, "\"checksum_type\":\"sha256\""));
    assert_non_null(strstr(world->panel.report, "\"parts\":null"));
    scope_free char *path = archive_path(world, BACKUP);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    scope_free char *size = scratch_path("\"size\":%ld,", (long)info.st_size);
    assert_non_null(strstr(world->panel.report, size));
}

static void an_order_that_is_repeated_is_reported_again(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    scope_free char *path = archive_path(world, BACKUP);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    world_back_up(world, BACKUP);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void a_backup_of_another_server_is_not_taken_over(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    assert_int_equal(world_call(world, "POST", "/api/servers/" OTHER_SERVER "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     409);
    assert_int_equal(world_call(world, "POST",
                                "/api/servers/" OTHER_SERVER "/backup/" BACKUP "/restore",
                                TRUNCATING, NULL),
                     404);
    assert_int_equal(
        world_call(world, "DELETE", "/api/servers/" OTHER_SERVER "/backup/" BACKUP, NULL, NULL),
        404);
    scope_free char *path = archive_path(world, BACKUP);
    assert_true(scratch_exists(path));
}

static void a_backup_without_a_directory_fails(void **context)
{
    struct world *world = *context;
    assert_int_equal(world_call(world, "POST", "/api/servers/" OTHER_SERVER "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    assert_string_equal(world->panel.report, "{\"checksum\":\"\",\"checksum_type\":\"\",\"size\":0,"
                                             "\"successful\":false,\"parts\":null}");
}

static void a_report_is_repeated_until_the_panel_takes_it(void **context)
{
    struct world *world = *context;
    world_answer(world, 503, 204);
    assert_int_equal(world_call(world, "POST", API "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    world_answer(world, 404, 204);
    world_wait_reports(world, 2);
    world_answer(world, 204, 204);
    world_wait_reports(world, 3);
    usleep(1500 * 1000); /* time for a wrong fourth one */
    assert_int_equal(world->panel.reports, 3);
    scope_free char *path = archive_path(world, BACKUP);
    assert_true(scratch_exists(path));
}

static void a_report_survives_a_restart(void **context)
{
    struct world *world = *context;
    world_answer(world, 503, 204);
    assert_int_equal(world_call(world, "POST", API "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    world_stop_node(world);
    size_t heard = world->panel.reports;
    world_answer(world, 204, 204);
    world_start_node(world);
    world_wait_reports(world, heard + 1);
    assert_non_null(strstr(world->panel.report, "\"successful\":true"));
}

static void a_conflict_keeps_the_archive(void **context)
{
    struct world *world = *context;
    world_answer(world, 400, 204);
    assert_int_equal(world_call(world, "POST", API "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    usleep(1500 * 1000);
    assert_int_equal(world->panel.reports, 1);
    scope_free char *path = archive_path(world, BACKUP);
    assert_true(scratch_exists(path));
}

static void deleting_removes_the_archive_once(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, NULL), 204);
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, &body), 404);
    assert_non_null(strstr(body.data, NODE_ERROR_NO_BACKUP));
    scope_free char *path = archive_path(world, BACKUP);
    assert_false(scratch_exists(path));
}

static void deleting_all_is_for_one_server(void **context)
{
    struct world *world = *context;
    scope_free char *other = scratch_path("%s/" OTHER_SERVER, world->backups);
    scope_free char *foreign = scratch_path("%s/foreign.tar.gz", other);
    scratch_directory(other);
    scratch_write(foreign, "x");
    const char *const paths[] = {API "/backup/delete-all", API "/deleteAllBackups"};
    for (size_t i = 0; i < 2; i++) {
        world_back_up(world, BACKUP);
        world_back_up(world, OTHER_BACKUP);
        assert_int_equal(world_call(world, "DELETE", paths[i], NULL, NULL), 204);
        scope_free char *path = archive_path(world, BACKUP);
        assert_false(scratch_exists(path));
        assert_int_equal(world_call(world, "DELETE", paths[i], NULL, NULL), 204);
    }
    assert_true(scratch_exists(foreign));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_backup_is_made_and_reported),
        WORLD_TEST(an_order_that_is_repeated_is_reported_again),
        WORLD_TEST(a_backup_of_another_server_is_not_taken_over),
        WORLD_TEST(a_backup_without_a_directory_fails),
        WORLD_TEST(a_report_is_repeated_until_the_panel_takes_it),
        WORLD_TEST(a_report_survives_a_restart),
        WORLD_TEST(a_conflict_keeps_the_archive),
        WORLD_TEST(deleting_removes_the_archive_once),
        WORLD_TEST(deleting_all_is_for_one_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
