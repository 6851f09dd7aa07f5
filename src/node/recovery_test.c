/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "node/job.h"
#include "node/node_internal.h"
#include "node/test_world.h"
#include "tree/stage.h"

#define STAGE ".roost-stage-" BACKUP

/* Every test builds what a crash may leave, then starts a node on it. */
static int set_up(void **context)
{
    *context = world_make();
    return 0;
}

static int tear_down(void **context)
{
    world_free(*context);
    return 0;
}

static struct journal *open_journal(struct world *world)
{
    struct error err = ERROR_INIT;
    struct journal *journal = journal_open(world->directory, &err);
    if (journal == NULL)
        fail_msg("%s", err.text);
    return journal;
}

static struct journal_job add_job(struct journal *journal, enum job_kind kind)
{
    struct error err = ERROR_INIT;
    struct journal_job job = {.kind = kind, .order = strdup("{\"truncate\":true}")};
    snprintf(job.server, sizeof(job.server), "%s", SERVER);
    snprintf(job.backup, sizeof(job.backup), "%s", BACKUP);
    must(journal_add_job(journal, &job, &err), &err);
    return job;
}

enum crash {
    CRASH_QUEUED,
    CRASH_STAGING,
    CRASH_BEFORE_EXCHANGE,
    CRASH_AFTER_EXCHANGE,
    CRASH_BEFORE_ENTRIES, /* they are planned, and none was moved */
    CRASH_AFTER_ENTRIES,  /* all were moved, and nothing says so */
};

static void write_in(const char *directory, const char *text)
{
    scope_free char *path = scratch_path("%s/level.dat", directory);
    scratch_write(path, text);
}

/* As if nobody had come to note that they were moved, or to move them back. */
static void exchange_entries_until(struct world *world, struct stage *stage, enum crash crash)
{
    struct error err = ERROR_INIT;
    scope_free char *plan = scratch_path("%s/" STAGE "/plan", world->servers);
    scope_free char *done = scratch_path("%s/" STAGE "/done", world->servers);
    must(stage_exchange(stage, EXCHANGE_ENTRIES, &err), &err);
    assert_int_equal(rename(done, plan), 0);
    if (crash == CRASH_AFTER_ENTRIES)
        return;
    scope_free char *staged = scratch_path("%s/" STAGE "/tree/level.dat", world->servers);
    scope_free char *live = scratch_path("%s/level.dat", world->live);
    must(renameat2(AT_FDCWD, staged, AT_FDCWD, live, RENAME_EXCHANGE), &err);
}

/* The live directory holds "old", the stage "new"; the journal says how far the restore was. */
static void crash_a_restore(struct world *world, enum crash crash)
{
    struct error err = ERROR_INIT;
    struct journal *journal = open_journal(world);
    struct journal_job job = add_job(journal, JOB_RESTORE);
    write_in(world->live, "old");
    if (crash >= CRASH_STAGING) {
        job.phase = JOB_STAGING;
        job.stage_parent = strdup(world->servers);
        job.live_name = strdup(SERVER);
        job.stage_name = strdup(STAGE);
        must(journal_set_phase(journal, &job, &err), &err);
        scope_fd int parent_fd = directory_open(world->servers, &err);
        struct stage_options options = {.flags = 0};
        struct stage *stage = stage_create(parent_fd, SERVER, STAGE, &options, &err);
        assert_non_null(stage);
        must(sink_finish(stage_sink(stage), &err), &err);
        scope_free char *staged = scratch_path("%s/" STAGE "/tree", world->servers);
        write_in(staged, "new");
        if (crash >= CRASH_BEFORE_EXCHANGE) {
            job.phase = JOB_EXCHANGING;
            stage_identity(stage, &job.stage_device, &job.stage_inode);
            job.stage_device += 16; /* as a reboot may number devices */
            must(journal_set_phase(journal, &job, &err), &err);
        }
        if (crash == CRASH_AFTER_EXCHANGE)
            must(stage_exchange(stage, EXCHANGE_DIRECTORY, &err), &err);
        if (crash > CRASH_AFTER_EXCHANGE)
            exchange_entries_until(world, stage, crash);
        stage_free(stage);
    }
    journal_job_clear(&job);
    journal_close(journal);
}

static bool nothing_is_left_beside(struct world *world)
{
    scope_free char *command = scratch_path("test -z \"$(ls -A %s | grep roost)\"", world->servers);
    for (int i = 0; i < 100; i++) {
        if (system(command) == 0)
            return true;
        usleep(50 * 1000);
    }
    return false;
}

#define INTERRUPTED "{\"successful\":false,\"error\":\"the node was stopped or restarted\"}"

static void a_restore_is_settled_by_what_is_live(void **context)
{
    const struct {
        enum crash crash;
        const char *live, *report;
    } rows[] = {
        {CRASH_QUEUED, "old", INTERRUPTED},
        {CRASH_STAGING, "old", INTERRUPTED},
        {CRASH_BEFORE_EXCHANGE, "old", INTERRUPTED},
        {CRASH_AFTER_EXCHANGE, "new", "{\"successful\":true}"},
        {CRASH_BEFORE_ENTRIES, "new", "{\"successful\":true}"},
        {CRASH_AFTER_ENTRIES, "new", "{\"successful\":true}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *world = world_make();
        crash_a_restore(world, rows[i].crash);
        world_start_node(world);
        world_wait_restores(world, 1);
        assert_string_equal(world->panel.restore, rows[i].report);
        scope_free char *path = scratch_path("%s/level.dat", world->live);
        scope_free char *text = scratch_read(path);
        assert_string_equal(text, rows[i].live);
        assert_true(nothing_is_left_beside(world));
        world_free(world);
    }
}

/* What is half exchanged, and not there at the start, is neither given up nor removed. */
static void a_torn_exchange_waits_for_its_disk(void **context)
{
    struct world *world = *context;
    scope_free char *away = scratch_path("%s/away", world->directory);
    crash_a_restore(world, CRASH_BEFORE_ENTRIES);
    assert_int_equal(rename(world->servers, away), 0);
    scratch_directory(world->servers); /* the bare mount point */
    for (int start = 0; start < 2; start++) {
        world_start_node(world);
        usleep(200 * 1000);
        world_stop_node(world);
    }
    assert_int_equal(world->panel.restores, 0);
    assert_int_equal(rmdir(world->servers), 0);
    assert_int_equal(rename(away, world->servers), 0);
    world_start_node(world);
    world_wait_restores(world, 1);
    assert_string_equal(world->panel.restore, "{\"successful\":true}");
    scope_free char *path = scratch_path("%s/level.dat", world->live);
    scope_free char *text = scratch_read(path);
    assert_string_equal(text, "new");
}

/* The bare directory below a mount point is not the one that was half exchanged. */
static void a_mount_point_without_its_disk_is_no_answer(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    struct journal *journal = open_journal(world);
    struct journal_job job = add_job(journal, JOB_RESTORE);
    job.phase = JOB_EXCHANGING;
    job.stage_parent = strdup(world->live);
    job.live_name = strdup(".");
    job.stage_name = strdup(STAGE);
    job.stage_inode = 1;
    must(journal_set_phase(journal, &job, &err), &err);
    journal_job_clear(&job);
    journal_close(journal);
    for (int start = 0; start < 2; start++) {
        world_start_node(world);
        usleep(200 * 1000);
        world_stop_node(world);
    }
    assert_int_equal(world->panel.restores, 0);
}

static void a_settled_restore_is_not_settled_again(void **context)
{
    struct world *world = *context;
    crash_a_restore(world, CRASH_AFTER_EXCHANGE);
    world_start_node(world);
    world_wait_restores(world, 1);
    world_stop_node(world);
    write_in(world->live, "played since");
    world_start_node(world);
    usleep(300 * 1000);
    assert_int_equal(world->panel.restores, 1);
    scope_free char *path = scratch_path("%s/level.dat", world->live);
    scope_free char *text = scratch_read(path);
    assert_string_equal(text, "played since");
}

static void a_backup_is_made_again(void **context)
{
    struct world *world = *context;
    struct journal *journal = open_journal(world);
    struct journal_job job = add_job(journal, JOB_BACKUP);
    journal_job_clear(&job);
    journal_close(journal);
    scope_free char *directory = scratch_path("%s/" SERVER, world->backups);
    scope_free char *draft =
        scratch_path("%s/." BACKUP ".tar.gz.abcdefgh" FILE_DRAFT_SUFFIX, directory);
    scratch_directory(world->backups);
    scratch_directory(directory);
    scratch_write(draft, "half an archive");
    world_start_node(world);
    world_wait_reports(world, 1);
    assert_non_null(strstr(world->panel.report, "\"successful\":true"));
    assert_false(scratch_exists(draft));
    scope_free char *archive = scratch_path("%s/" BACKUP ".tar.gz", directory);
    assert_true(scratch_exists(archive));
}

/* The archive had its name already as the crash came, but no record. */
static void a_cancelled_backup_fails_and_its_archive_goes(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    struct journal *journal = open_journal(world);
    struct journal_job job = add_job(journal, JOB_BACKUP);
    assert_int_equal(journal_cancel_backup(journal, SERVER, BACKUP, &err), 1);
    journal_job_clear(&job);
    journal_close(journal);
    scope_free char *directory = scratch_path("%s/" SERVER, world->backups);
    scope_free char *archive = scratch_path("%s/" BACKUP ".tar.gz", directory);
    scope_free char *other = scratch_path("%s/" OTHER_BACKUP ".tar.gz", directory);
    scratch_directory(world->backups);
    scratch_directory(directory);
    scratch_write(archive, "a whole archive");
    scratch_write(other, "another one's");
    write_in(world->live, "live");
    world_start_node(world);
    world_wait_reports(world, 1);
    assert_non_null(strstr(world->panel.report, "\"successful\":false"));
    assert_string_equal(world->panel.report_backup, BACKUP);
    assert_false(scratch_exists(archive));
    assert_true(scratch_exists(other));
    usleep(300 * 1000); /* time for a wrong second one */
    assert_int_equal(world->panel.reports, 1);
}

static void a_cancelled_restore_says_so(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    crash_a_restore(world, CRASH_STAGING);
    struct journal *journal = open_journal(world);
    assert_int_equal(journal_cancel_restore(journal, SERVER, &err), 1);
    journal_close(journal);
    world_start_node(world);
    world_wait_restores(world, 1);
    assert_non_null(strstr(world->panel.restore, "\"it was cancelled\""));
    assert_true(nothing_is_left_beside(world));
    assert_live(world, "level.dat", "old");
}

static void the_panel_hears_which_backups_are_still_meant(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    struct journal *journal = open_journal(world);
    struct journal_job job = add_job(journal, JOB_BACKUP);
    snprintf(job.backup, sizeof(job.backup), "%s", OTHER_BACKUP);
    must(journal_add_job(journal, &job, &err), &err);
    struct journal_report report = {.kind = JOB_BACKUP};
    snprintf(report.server, sizeof(report.server), "%s", SERVER);
    snprintf(report.backup, sizeof(report.backup), "%s", OTHER_BACKUP);
    must(journal_end_job(journal, job.id, &report, NULL, NULL, &err), &err);
    journal_job_clear(&job);
    journal_close(journal);
    world_answer(world, 503, 204); /* neither report is delivered */
    world_start_node(world);
    world_wait_resets(world, 1);
    assert_string_equal(world->panel.reset, "{\"backups\":[\"" BACKUP "\",\"" OTHER_BACKUP "\"]}");
}

static void strange_stages_are_removed(void **context)
{
    struct world *world = *context;
    scope_free char *box = scratch_path("%s/" STAGE, world->servers);
    scope_free char *stage = scratch_path("%s/tree", box);
    scope_free char *trash = scratch_path("%s/.roost-trash-x", world->servers);
    scratch_directory(box);
    scratch_directory(stage);
    write_in(stage, "x");
    scratch_directory(trash);
    write_in(trash, "x");
    write_in(world->live, "live");
    world_start_node(world);
    assert_true(nothing_is_left_beside(world));
    scope_free char *path = scratch_path("%s/level.dat", world->live);
    assert_true(scratch_exists(path));
}

static void the_panel_is_reset_once_after_the_last_report(void **context)
{
    struct world *world = *context;
    world_answer(world, 204, 503);
    crash_a_restore(world, CRASH_STAGING);
    world_start_node(world);
    world_wait_restores(world, 2);
    assert_int_equal(world->panel.resets, 0);
    world_answer(world, 204, 204);
    world_wait_resets(world, 1);
    assert_string_equal(world->panel.reset, "{\"backups\":[]}");
    world_back_up(world, BACKUP);
    usleep(1500 * 1000); /* time for a wrong second one */
    assert_int_equal(world->panel.resets, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restore_is_settled_by_what_is_live),
        TEST(a_torn_exchange_waits_for_its_disk),
        TEST(a_mount_point_without_its_disk_is_no_answer),
        TEST(a_settled_restore_is_not_settled_again),
        TEST(a_backup_is_made_again),
        TEST(a_cancelled_backup_fails_and_its_archive_goes),
        TEST(a_cancelled_restore_says_so),
        TEST(the_panel_hears_which_backups_are_still_meant),
        TEST(strange_stages_are_removed),
        TEST(the_panel_is_reset_once_after_the_last_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
