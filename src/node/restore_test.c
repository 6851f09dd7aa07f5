/* SPDX-License-Identifier: Apache-2.0 */
/* Restores: what they bring back, and what they leave as it was. */
#include "node/node.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/scope.h"
#include "node/test_world.h"

#define RESTORE API "/backup/" BACKUP "/restore"
#define TRUNCATING "{\"adapter\":\"wings\",\"truncate_directory\":true}"
#define MERGING "{\"adapter\":\"wings\",\"truncate_directory\":false}"

/* Restore, wait for the report and say whether it was one of success. */
static bool restore(struct world *world, const char *order)
{
    size_t before = world->panel.restores;
    assert_int_equal(world_call(world, "POST", RESTORE, order, NULL), 202);
    world_wait_restores(world, before + 1);
    return strcmp(world->panel.restore, "{\"successful\":true}") == 0;
}

static void a_truncating_restore_brings_the_old_state_alone(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    write_live(world, "extra", "x");
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "old");
    assert_live(world, "extra", "");
}

static void a_merging_restore_keeps_what_the_archive_does_not_have(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    write_live(world, "extra", "x");
    assert_true(restore(world, MERGING));
    assert_live(world, "level.dat", "old");
    assert_live(world, "extra", "x");
}

/* The trees that lie beside the live directory, once the sweeper has had its time. */
static bool is_swept(struct world *world)
{
    scope_free char *command = scratch_path("test -z \"$(ls -A %s | grep roost)\"", world->servers);
    for (int i = 0; i < 100; i++) {
        if (system(command) == 0)
            return true;
        usleep(50 * 1000);
    }
    return false;
}

static void a_restore_leaves_nothing_beside_the_directory(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    assert_true(restore(world, TRUNCATING));
    assert_true(is_swept(world));
}

static void a_damaged_archive_leaves_the_directory_alone(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    scope_free char *path = archive_path(world, BACKUP);
    scope_fd int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    /* A whole empty gzip member more: every checksum inside is right, only the digest is not. */
    assert_int_equal(write(fd, "\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0", 20), 20);
    assert_false(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "new");
    assert_true(is_swept(world));
}

static void the_panels_checksum_counts_too(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    assert_false(restore(world, "{\"adapter\":\"wings\",\"truncate_directory\":true,\"checksum\":"
                                "\"sha1:0000000000000000000000000000000000000000\"}"));
    assert_live(world, "level.dat", "new");
}

static void a_restore_over_the_disk_limit_fails(void **context)
{
    struct world *world = *context;
    scope_free char *path = scratch_path("%s/big", world->live);
    scratch_write(path, "");
    assert_int_equal(truncate(path, 0), 0);
    scope_buf struct buf text = BUF_INIT;
    for (int i = 0; i < 3 * 1024 * 1024 / 16; i++)
        buf_printf(&text, "%015d\n", i);
    scratch_write(path, text.data);
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    world->panel.disk_mib = 2;
    assert_false(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "new");
    world->panel.disk_mib = 4;
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "");
}

static void a_second_restore_of_a_server_is_refused(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    world_hold_servers(world, true);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 202);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 409);
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, NULL), 409);
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "GET", API, NULL, &body), 200);
    assert_non_null(strstr(body.data, "\"is_suspended\":true"));
    assert_non_null(strstr(body.data, "\"is_restoring\":true"));
    world_hold_servers(world, false);
    world_wait_restores(world, 1);
}

static void a_restore_that_a_stop_interrupts_is_reported_as_failed(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    world_hold_servers(world, true);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 202);
    world_stop_node(world);
    world_hold_servers(world, false);
    world_start_node(world);
    world_wait_restores(world, 1);
    assert_string_equal(world->panel.restore,
                        "{\"successful\":false,\"error\":\"the node was stopped or restarted\"}");
    assert_live(world, "level.dat", "new");
    assert_true(is_swept(world));
}

static void a_flat_archive_of_wings_is_found(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, OTHER_BACKUP);
    scope_free char *own = archive_path(world, OTHER_BACKUP);
    scope_free char *flat = scratch_path("%s/" BACKUP ".tar.gz", world->backups);
    assert_int_equal(rename(own, flat), 0);
    write_live(world, "level.dat", "new");
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "old");
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, NULL), 204);
    assert_false(scratch_exists(flat));
}

static void an_attached_directory_is_backed_up_and_restored(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    scope_free char *attached = scratch_path("%s/elsewhere", world->directory);
    scope_free char *file = scratch_path("%s/elsewhere/level.dat", world->directory);
    scratch_directory(attached);
    scratch_write(file, "old");
    must(node_attach_directory(world->directory, SERVER, attached, &err), &err);
    world_back_up(world, BACKUP);
    scratch_write(file, "new");
    assert_true(restore(world, TRUNCATING));
    scope_free char *text = scratch_read(file);
    assert_string_equal(text, "old");
}

static void the_tenants_ignore_file_counts(void **context)
{
    struct world *world = *context;
    write_live(world, ".pteroignore", "*.log\n");
    write_live(world, "a.log", "x");
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "a.log", "y");
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "a.log", "");
    assert_live(world, "level.dat", "old");
}

static void a_linked_ignore_file_has_no_effect(void **context)
{
    struct world *world = *context;
    scope_free char *target = scratch_path("%s/secret", world->directory);
    scope_free char *link = scratch_path("%s/.pteroignore", world->live);
    scratch_write(target, "*.log\n");
    assert_int_equal(symlink(target, link), 0);
    write_live(world, "a.log", "x");
    world_back_up(world, BACKUP);
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "a.log", "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_truncating_restore_brings_the_old_state_alone),
        WORLD_TEST(a_merging_restore_keeps_what_the_archive_does_not_have),
        WORLD_TEST(a_restore_leaves_nothing_beside_the_directory),
        WORLD_TEST(a_damaged_archive_leaves_the_directory_alone),
        WORLD_TEST(the_panels_checksum_counts_too),
        WORLD_TEST(a_restore_over_the_disk_limit_fails),
        WORLD_TEST(a_second_restore_of_a_server_is_refused),
        WORLD_TEST(a_restore_that_a_stop_interrupts_is_reported_as_failed),
        WORLD_TEST(a_flat_archive_of_wings_is_found),
        WORLD_TEST(an_attached_directory_is_backed_up_and_restored),
        WORLD_TEST(the_tenants_ignore_file_counts),
        WORLD_TEST(a_linked_ignore_file_has_no_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
