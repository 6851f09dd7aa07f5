/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling, with nodes that take the order, come too late for it, do not know it, are gone or fall silent; and
 * what a node's start ends.
 */
#include <stdio.h>
#include <string.h>

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

static int64_t logged(const char *event)
{
    char sql[160];
    snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM activity_logs WHERE event = '%s'", event);
    return count_sql(&world, sql);
}

static void a_cancel_goes_to_the_node_and_changes_nothing_else(void **state)
{
    char uuid[UUID_TEXT_BYTES], wanted[256];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    const char *path = backup_path(&world, NODE, uuid, "/cancel");
    expect(&world, "POST", path, world.keys[OWNER], NULL, 204, NULL);
    snprintf(wanted, sizeof(wanted), "POST /api/servers/%s/backup/%s/cancel",
             world.servers[NODE].uuid, uuid);
    assert_string_equal(world.order_path, wanted);
    assert_string_equal(state_of(&world, uuid), "creating");
    assert_int_equal(logged("server:backup.cancel"), 1);
    struct raw_answer answer = ask(&world, "POST", path, world.keys[OWNER], EXTENDED, NULL);
    assert_int_equal(answer.status, 202);
    raw_answer_free(&answer);
}

static void what_has_ended_is_not_asked_about(void **state)
{
    char completed[UUID_TEXT_BYTES], failed[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, completed);
    add_backup(&world, NODE, ROW_FAILED, failed);
    expect(&world, "POST", backup_path(&world, NODE, completed, "/cancel"), world.keys[OWNER], NULL,
           400, "nothing to cancel");
    expect(&world, "POST", backup_path(&world, NODE, failed, "/cancel"), world.keys[OWNER], NULL,
           400, "nothing to cancel");
    expect(&world, "POST", client_path(&world, NODE, "/backups/restore/cancel"), world.keys[OWNER],
           NULL, 400, "This server is not being restored");
    assert_int_equal(world.orders, 0);
}

static void what_the_node_refuses_is_said_and_not_logged(void **state)
{
    static const struct {
        unsigned node_status, status;
        const char *text;
    } rows[] = {
        {409, 400, "not being created (any more)"},
        {404, 400, "cannot cancel what it has begun"},
        {405, 400, "cannot cancel what it has begun"},
        {403, 403, "DaemonConnectionException"},
        {500, 500, "DaemonConnectionException"},
    };
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_CREATING, uuid);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world.node_status = rows[i].node_status;
        expect(&world, "POST", backup_path(&world, NODE, uuid, "/cancel"), world.keys[OWNER], NULL,
               rows[i].status, rows[i].text);
    }
    assert_string_equal(state_of(&world, uuid), "creating");
    assert_int_equal(logged("server:backup.cancel"), 0);
}

static void a_node_that_is_gone_or_silent_is_504(void **state)
{
    static const enum world_node nodes[] = {GONE_NODE, MUTE_NODE};
    for (size_t i = 0; i < 2; i++) {
        char uuid[UUID_TEXT_BYTES];
        add_backup(&world, nodes[i], ROW_CREATING, uuid);
        expect(&world, "POST", backup_path(&world, nodes[i], uuid, "/cancel"), world.keys[OWNER],
               NULL, 504, "DaemonConnectionException");
        assert_string_equal(state_of(&world, uuid), "creating");
    }
}

static void a_restore_is_cancelled_only_while_it_goes_on(void **state)
{
    const char *path = client_path(&world, NODE, "/backups/restore/cancel");
    char wanted[256];
    set_status(&world, NODE, SERVER_RESTORING_BACKUP);
    expect(&world, "POST", path, world.keys[OWNER], NULL, 204, NULL);
    snprintf(wanted, sizeof(wanted), "POST /api/servers/%s/restore/cancel",
             world.servers[NODE].uuid);
    assert_string_equal(world.order_path, wanted);
    assert_int_equal(logged("server:backup.restore-cancel"), 1);
    world.node_status = 409;
    expect(&world, "POST", path, world.keys[OWNER], NULL, 409, "cannot be cancelled any more");
    set_status(&world, NODE, SERVER_SUSPENDED);
    expect(&world, "POST", path, world.keys[OWNER], NULL, 409, "suspended");
    set_status(&world, NODE, SERVER_INSTALLING);
    expect(&world, "POST", path, world.keys[OWNER], NULL, 409, "installation");
}

/* A node's word that it knows of no restore may have been under way before the order. */
static void a_reset_spares_a_restore_that_was_just_ordered(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    const char *reset = "/api/remote/servers/reset", *ours = "{\"backups\":[]}";
    const char *busy = "SELECT COUNT(*) FROM servers WHERE status = 'restoring_backup'";
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    set_status(&world, NODE, SERVER_RESTORING_BACKUP); /* nobody of this panel's life ordered it */
    expect(&world, "POST", reset, world.node_keys[NODE], ours, 204, NULL);
    assert_int_equal(count_sql(&world, busy), 0);
    expect(&world, "POST", backup_path(&world, NODE, uuid, "/restore"), world.keys[OWNER], NULL,
           204, NULL);
    expect(&world, "POST", reset, world.node_keys[NODE], ours, 204, NULL);
    assert_int_equal(count_sql(&world, busy), 1);
    expect(&world, "POST", reset, world.node_keys[NODE], NULL, 204,
           NULL); /* as upstream's says it */
    assert_int_equal(count_sql(&world, busy), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cancel_goes_to_the_node_and_changes_nothing_else),
        TEST(what_has_ended_is_not_asked_about),
        TEST(what_the_node_refuses_is_said_and_not_logged),
        TEST(a_node_that_is_gone_or_silent_is_504),
        TEST(a_restore_is_cancelled_only_while_it_goes_on),
        TEST(a_reset_spares_a_restore_that_was_just_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
