/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore replaced: kept, brought back, and gone when its time is over. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/scope.h"
#include "node/journal.h"
#include "node/node.h"
#include "node/test_world.h"

#define RESTORE API "/backup/" BACKUP "/restore"
#define UNDO API "/restore/undo"
#define TRUNCATING "{\"adapter\":\"wings\",\"truncate_directory\":true}"
#define MERGING "{\"adapter\":\"wings\",\"truncate_directory\":false}"

enum {
    KEEP_MS = 3600 * 1000
};

static bool order(struct world *world, const char *path, const char *body)
{
    size_t before = world->panel.restores;
    assert_int_equal(world_call(world, "POST", path, body, NULL), 202);
    world_wait_restores(world, before + 1);
    return strstr(world->panel.restore, "\"successful\":true") != NULL;
}

static bool says_until_when(struct world *world)
{
    return strstr(world->panel.restore, "\"kept_until\":\"20") != NULL;
}

/* How many kept trees are beside the live directory, once nothing else of ours is. */
static int count_kept(struct world *world)
{
    scope_free char *others = scratch_path(
        "test -z \"$(ls -A %s | grep roost | grep -v '^.roost-kept-')\"", world->servers);
    scope_free char *count =
        scratch_path("exit $(ls -A %s | grep -c '^.roost-kept-')", world->servers);
    for (int i = 0; i < 200 && system(others) != 0; i++)
        usleep(50 * 1000);
    assert_int_equal(system(others), 0);
    return WEXITSTATUS(system(count));
}

static void keep(struct world *world, uint64_t ms)
{
    world_stop_node(world);
    world->config.keep_ms = ms;
    world_start_node(world);
}

/* Live is "old", as in the backup; before the restore it was "new". */
static void restore_over_new(struct world *world, const char *how)
{
    keep(world, KEEP_MS);
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    write_live(world, "extra", "x");
    assert_true(order(world, RESTORE, how));
    assert_true(says_until_when(world));
    assert_live(world, "level.dat", "old");
}

static void an_undo_brings_back_what_was_replaced_and_can_be_undone(void **context)
{
    struct world *world = *context;
    restore_over_new(world, TRUNCATING);
    assert_int_equal(count_kept(world), 1);
    for (int i = 0; i < 4; i++) {
        assert_true(order(world, UNDO, "{}"));
        assert_non_null(strstr(world->panel.restore, "\"backup\":\"" BACKUP "\""));
        assert_true(says_until_when(world));
        assert_live(world, "level.dat", i % 2 == 0 ? "new" : "old");
        assert_live(world, "extra", i % 2 == 0 ? "x" : "");
        assert_int_equal(count_kept(world), 1);
    }
}

static void both_ways_of_exchange_can_be_undone_by_the_other(void **context)
{
    struct world *world = *context;
    world->config.exchange = EXCHANGE_ENTRIES;
    restore_over_new(world, TRUNCATING);
    world->config.exchange = EXCHANGE_DIRECTORY;
    keep(world, KEEP_MS);
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "level.dat", "new");
    world->config.exchange = EXCHANGE_ENTRIES;
    keep(world, KEEP_MS);
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "level.dat", "old");
}

/* What stays live after a merge is in both trees, and the game writes into one of them. */
static void a_merge_can_be_undone_to_the_byte(void **context)
{
    struct world *world = *context;
    restore_over_new(world, MERGING);
    assert_live(world, "extra", "x");
    scope_free char *path = scratch_path("%s/extra", world->live);
    scope_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "y", 1, 0), 1);
    assert_live(world, "extra", "y");
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "extra", "x");
    assert_live(world, "level.dat", "new");
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "extra", "y");
}

static void where_nothing_is_kept_there_is_nothing_to_undo(void **context)
{
    struct world *world = *context;
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "POST", UNDO, "{}", &body), 404);
    assert_non_null(strstr(body.data, "could be undone"));
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    assert_true(order(world, RESTORE, TRUNCATING));
    assert_false(says_until_when(world));
    assert_int_equal(count_kept(world), 0);
    assert_int_equal(world_call(world, "POST", UNDO, "{}", NULL), 404);
}

/* While a restore stages, its server moves elsewhere and another one moves in. */
static void what_is_anothers_by_now_is_not_replaced(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    keep(world, KEEP_MS);
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    scope_free char *elsewhere = scratch_path("%s/elsewhere", world->directory);
    scratch_directory(elsewhere);
    size_t before = world->panel.restores;
    world_hold_servers(world, true);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 202);
    usleep(300 * 1000); /* it asks for the disk limit */
    must(node_attach_directory(world->directory, SERVER, elsewhere, &err), &err);
    must(node_attach_directory(world->directory, OTHER_SERVER, world->live, &err), &err);
    write_live(world, "level.dat", "another's");
    world_hold_servers(world, false);
    world_wait_restores(world, before + 1);
    assert_non_null(strstr(world->panel.restore, "\"successful\":false"));
    scope_free char *path = scratch_path("%s/level.dat", world->live);
    scope_free char *text = scratch_read(path);
    assert_string_equal(text, "another's");
    assert_int_equal(count_kept(world), 0);
}

static void only_the_newest_is_kept(void **context)
{
    struct world *world = *context;
    restore_over_new(world, TRUNCATING);
    write_live(world, "level.dat", "newer");
    assert_true(order(world, RESTORE, TRUNCATING));
    assert_int_equal(count_kept(world), 1);
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "level.dat", "newer");
}

static void a_kept_tree_survives_restarts_and_goes_when_its_time_is_over(void **context)
{
    struct world *world = *context;
    restore_over_new(world, TRUNCATING);
    keep(world, KEEP_MS);
    assert_int_equal(count_kept(world), 1);
    assert_true(order(world, UNDO, "{}"));
    keep(world, 1000);
    assert_true(order(world, RESTORE, TRUNCATING));
    for (int i = 0; i < 100 && count_kept(world) > 0; i++)
        usleep(100 * 1000);
    assert_int_equal(count_kept(world), 0);
    assert_int_equal(world_call(world, "POST", UNDO, "{}", NULL), 404);
    assert_live(world, "level.dat", "old");
}

static void a_failed_restore_leaves_the_kept_tree(void **context)
{
    struct world *world = *context;
    restore_over_new(world, TRUNCATING);
    assert_false(order(world, RESTORE,
                       "{\"adapter\":\"wings\",\"truncate_directory\":true,\"checksum\":"
                       "\"sha1:0000000000000000000000000000000000000000\"}"));
    assert_true(says_until_when(world));
    assert_int_equal(count_kept(world), 1);
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "level.dat", "new");
}

static void a_directory_that_is_attached_or_detached_takes_no_old_tree(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    restore_over_new(world, TRUNCATING);
    scope_free char *elsewhere = scratch_path("%s/elsewhere", world->directory);
    scratch_directory(elsewhere);
    must(node_attach_directory(world->directory, SERVER, elsewhere, &err), &err);
    assert_int_equal(world_call(world, "POST", UNDO, "{}", NULL), 404);
    world_stop_node(world);
    world_start_node(world);
    assert_int_equal(count_kept(world), 0);
}

enum moment {
    JUST_EXCHANGED, /* the journal has heard of it, the box has its old name */
    JUST_NAMED,
};

/* What the journal and the directory are like at some moments between the exchange and the job's end. */
static void fake_crash(struct world *world, enum moment moment)
{
    struct error err = ERROR_INIT;
    struct journal *journal = journal_open(world->directory, &err);
    assert_non_null(journal);
    struct journal_kept kept;
    assert_int_equal(journal_find_kept(journal, SERVER, &kept, &err), 1);
    struct journal_job job = {
        .kind = JOB_RESTORE, .phase = JOB_EXCHANGED, .order = strdup("{\"truncate\":true}")};
    snprintf(job.server, sizeof(job.server), "%s", SERVER);
    snprintf(job.backup, sizeof(job.backup), "%s", BACKUP);
    must(journal_add_job(journal, &job, &err), &err);
    job.stage_parent = strdup(kept.parent);
    job.live_name = strdup(kept.live_name);
    job.stage_name = strdup(".roost-stage-" BACKUP);
    must(journal_set_phase(journal, &job, &err), &err);
    scope_free char *named = scratch_path("%s/%s", kept.parent, kept.name);
    scope_free char *staged = scratch_path("%s/%s", kept.parent, job.stage_name);
    if (moment == JUST_EXCHANGED)
        assert_int_equal(rename(named, staged), 0);
    journal_job_clear(&job);
    journal_kept_clear(&kept);
    journal_close(journal);
}

static void a_crash_before_the_report_loses_no_kept_tree(void **context)
{
    struct world *world = *context;
    restore_over_new(world, TRUNCATING);
    for (int moment = JUST_EXCHANGED; moment <= JUST_NAMED; moment++) {
        size_t before = world->panel.restores;
        world_stop_node(world);
        fake_crash(world, (enum moment)moment);
        world_start_node(world);
        world_wait_restores(world, before + 1);
        assert_non_null(strstr(world->panel.restore, "\"successful\":true"));
        assert_int_equal(count_kept(world), 1);
    }
    assert_true(order(world, UNDO, "{}"));
    assert_live(world, "level.dat", "new");
}

static void a_kept_tree_that_no_journal_knows_is_removed(void **context)
{
    struct world *world = *context;
    restore_over_new(world, TRUNCATING);
    world_stop_node(world);
    scope_free char *database = scratch_path("rm %s/node.db*", world->directory);
    assert_int_equal(system(database), 0);
    world_start_node(world);
    assert_int_equal(count_kept(world), 0);
    assert_live(world, "level.dat", "old");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(an_undo_brings_back_what_was_replaced_and_can_be_undone),
        WORLD_TEST(both_ways_of_exchange_can_be_undone_by_the_other),
        WORLD_TEST(a_merge_can_be_undone_to_the_byte),
        WORLD_TEST(where_nothing_is_kept_there_is_nothing_to_undo),
        WORLD_TEST(what_is_anothers_by_now_is_not_replaced),
        WORLD_TEST(only_the_newest_is_kept),
        WORLD_TEST(a_kept_tree_survives_restarts_and_goes_when_its_time_is_over),
        WORLD_TEST(a_failed_restore_leaves_the_kept_tree),
        WORLD_TEST(a_directory_that_is_attached_or_detached_takes_no_old_tree),
        WORLD_TEST(a_crash_before_the_report_loses_no_kept_tree),
        WORLD_TEST(a_kept_tree_that_no_journal_knows_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
