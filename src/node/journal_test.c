/* SPDX-License-Identifier: Apache-2.0 */
#include "node/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "node/node.h"
#include "node/test_scratch.h"
#include "node/token.h"

struct state {
    char directory[128];
    struct journal *journal;
};

static void open_journal(struct state *state)
{
    struct error err = ERROR_INIT;
    state->journal = journal_open(state->directory, &err);
    if (state->journal == NULL)
        fail_msg("%s", err.text);
}

static void reopen(struct state *state)
{
    journal_close(state->journal);
    open_journal(state);
}

static int set_up(void **context)
{
    struct state *state = xcalloc(1, sizeof(*state));
    scratch_make(state->directory);
    open_journal(state);
    *context = state;
    return 0;
}

static int tear_down(void **context)
{
    struct state *state = *context;
    journal_close(state->journal);
    scratch_remove(state->directory);
    free(state);
    return 0;
}

static struct journal_job add_job(struct state *state, enum job_kind kind, const char *backup)
{
    struct error err = ERROR_INIT;
    struct journal_job job = {.kind = kind, .order = xstrdup("{\"ignore\":\"*.log\"}")};
    snprintf(job.server, sizeof(job.server), "%s", SERVER);
    snprintf(job.backup, sizeof(job.backup), "%s", backup);
    must(journal_add_job(state->journal, &job, &err), &err);
    free(scope_take(job.order));
    return job;
}

static struct journal_report report_of(const struct journal_job *job, bool is_successful)
{
    struct journal_report report = {
        .kind = job->kind, .is_successful = is_successful, .size_bytes = 4711};
    snprintf(report.server, sizeof(report.server), "%s", job->server);
    snprintf(report.backup, sizeof(report.backup), "%s", job->backup);
    snprintf(report.checksum, sizeof(report.checksum), "c0ffee");
    snprintf(report.checksum_type, sizeof(report.checksum_type), "sha256");
    return report;
}

static struct journal_archive archive_of(const struct journal_job *job)
{
    struct journal_archive archive = {.size_bytes = 4711, .created_at_us = 1};
    snprintf(archive.server, sizeof(archive.server), "%s", job->server);
    snprintf(archive.backup, sizeof(archive.backup), "%s", job->backup);
    snprintf(archive.checksum, sizeof(archive.checksum), "c0ffee");
    snprintf(archive.checksum_type, sizeof(archive.checksum_type), "sha256");
    return archive;
}

struct seen {
    size_t count;
    struct journal_job last;
    char stage_name[128];
    char order[128];
    char backups[8][UUID_TEXT_BYTES];
};

static int see(const struct journal_job *job, void *context, struct error *err)
{
    struct seen *seen = context;
    seen->last = *job;
    snprintf(seen->stage_name, sizeof(seen->stage_name), "%s",
             job->stage_name == NULL ? "" : job->stage_name);
    snprintf(seen->order, sizeof(seen->order), "%s", job->order);
    snprintf(seen->backups[seen->count++], UUID_TEXT_BYTES, "%s", job->backup);
    return 0;
}

static struct seen jobs_of(struct state *state)
{
    struct error err = ERROR_INIT;
    struct seen seen = {.count = 0};
    must(journal_each_job(state->journal, see, &seen, &err), &err);
    return seen;
}

static void a_second_holder_is_refused(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    assert_null(journal_open(state->directory, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
}

static void jobs_survive_a_restart_in_their_order(void **context)
{
    struct state *state = *context;
    add_job(state, JOB_BACKUP, OTHER_BACKUP);
    add_job(state, JOB_RESTORE, BACKUP);
    reopen(state);
    struct seen seen = jobs_of(state);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.backups[0], OTHER_BACKUP);
    assert_string_equal(seen.backups[1], BACKUP);
    assert_string_equal(seen.order, "{\"ignore\":\"*.log\"}");
    assert_int_equal(seen.last.kind, JOB_RESTORE);
}

static void the_same_order_twice_is_refused(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    job.order = xstrdup("{}");
    assert_int_equal(journal_add_job(state->journal, &job, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    free(job.order);
    assert_int_equal(jobs_of(state).count, 1);
}

static void the_stage_of_a_restore_is_remembered(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_RESTORE, BACKUP);
    job.phase = JOB_EXCHANGING;
    job.stage_parent = (char[]){"/srv"};
    job.live_name = (char[]){"world"};
    job.stage_name = (char[]){".stage"};
    job.stage_device = UINT64_MAX;
    job.stage_inode = UINT64_C(1) << 63;
    must(journal_set_phase(state->journal, &job, &err), &err);
    reopen(state);
    struct seen seen = jobs_of(state);
    assert_int_equal(seen.last.phase, JOB_EXCHANGING);
    assert_string_equal(seen.stage_name, ".stage");
    assert_true(seen.last.stage_device == UINT64_MAX);
    assert_true(seen.last.stage_inode == UINT64_C(1) << 63);
}

static void the_end_of_a_job_leaves_archive_and_report(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    struct journal_report report = report_of(&job, true);
    struct journal_archive archive = archive_of(&job);
    must(journal_end_job(state->journal, job.id, &report, &archive, "{}", &err), &err);
    reopen(state);
    assert_int_equal(jobs_of(state).count, 0);
    struct journal_archive found;
    assert_int_equal(journal_find_archive(state->journal, BACKUP, &found, &err), 1);
    assert_string_equal(found.server, SERVER);
    assert_string_equal(found.checksum, "c0ffee");
    assert_int_equal(found.size_bytes, 4711);
    assert_int_equal(journal_next_report(state->journal, 1, &report, &err), 1);
    assert_true(report.is_successful);
    must(journal_remove_report(state->journal, report.id, &err), &err);
    assert_int_equal(journal_next_report(state->journal, 1, &report, &err), 0);
}

static void a_cancelled_backup_can_only_fail(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    struct journal_report good = report_of(&job, true), bad = report_of(&job, false), found;
    struct journal_archive archive = archive_of(&job);
    assert_int_equal(journal_cancel_backup(state->journal, OTHER_SERVER, BACKUP, &err), 0);
    assert_int_equal(journal_cancel_restore(state->journal, SERVER, &err), 0);
    assert_int_equal(journal_cancel_backup(state->journal, SERVER, BACKUP, &err), 1);
    assert_int_equal(journal_cancel_backup(state->journal, SERVER, BACKUP, &err), 1);
    reopen(state);
    assert_true(jobs_of(state).last.is_cancelled);
    assert_int_equal(journal_end_job(state->journal, job.id, &good, &archive, "{}", &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    error_clear(&err);
    assert_int_equal(jobs_of(state).count, 1);
    assert_int_equal(journal_find_archive(state->journal, BACKUP, &archive, &err), 0);
    assert_int_equal(journal_has_report(state->journal, BACKUP, &err), 0);
    must(journal_end_job(state->journal, job.id, &bad, NULL, NULL, &err), &err);
    assert_int_equal(journal_next_report(state->journal, INT64_MAX, &found, &err), 1);
    assert_false(found.is_successful);
    assert_int_equal(journal_has_report(state->journal, BACKUP, &err), 1);
    assert_int_equal(journal_cancel_backup(state->journal, SERVER, BACKUP, &err), 0);
    assert_int_equal(journal_is_void(state->journal, BACKUP, &err), 1);
    assert_int_equal(journal_is_void(state->journal, OTHER_BACKUP, &err), 0);
    must(journal_tidy(state->journal, time_now_us() / 1000000, &err), &err);
    assert_int_equal(journal_is_void(state->journal, BACKUP, &err), 1);
    must(journal_tidy(state->journal, time_now_us() / 1000000 + 25 * 3600, &err), &err);
    assert_int_equal(journal_is_void(state->journal, BACKUP, &err), 0);
}

static void a_restore_is_cancelled_before_its_exchange_or_not_at_all(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_RESTORE, BACKUP);
    job.phase = JOB_EXCHANGING;
    must(journal_set_phase(state->journal, &job, &err), &err);
    assert_int_equal(journal_cancel_restore(state->journal, SERVER, &err), 0);
    assert_int_equal(journal_cancel_all(state->journal, SERVER, &err), 0);
    job.phase = JOB_STAGING;
    must(journal_set_phase(state->journal, &job, &err), &err);
    assert_int_equal(journal_cancel_restore(state->journal, SERVER, &err), 1);
    job.phase = JOB_EXCHANGING;
    assert_int_equal(journal_set_phase(state->journal, &job, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    error_clear(&err);
    assert_int_equal(jobs_of(state).last.phase, JOB_STAGING);
    (void)add_job(state, JOB_BACKUP, BACKUP);
    assert_int_equal(journal_cancel_all(state->journal, SERVER, &err), 2);
}

static void a_new_try_withdraws_the_old_report(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    struct journal_report report = report_of(&job, false);
    must(journal_end_job(state->journal, job.id, &report, NULL, NULL, &err), &err);
    add_job(state, JOB_BACKUP, BACKUP);
    assert_int_equal(journal_next_report(state->journal, 1, &report, &err), 0);
}

static void a_restore_counts_until_its_report_is_taken(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    add_job(state, JOB_BACKUP, BACKUP);
    assert_false(journal_is_restoring(state->journal, SERVER));
    struct journal_job job = add_job(state, JOB_RESTORE, BACKUP);
    struct journal_report report = report_of(&job, true);
    assert_true(journal_is_restoring(state->journal, SERVER));
    must(journal_end_job(state->journal, job.id, &report, NULL, NULL, &err), &err);
    assert_true(journal_is_restoring(state->journal, SERVER));
    assert_int_equal(journal_next_report(state->journal, 1, &report, &err), 1);
    must(journal_remove_report(state->journal, report.id, &err), &err);
    assert_false(journal_is_restoring(state->journal, SERVER));
}

static void removing_a_delivered_report_spares_a_newer_one(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    struct journal_report report = report_of(&job, true);
    must(journal_end_job(state->journal, job.id, &report, NULL, NULL, &err), &err);
    struct journal_report delivered, newer;
    assert_int_equal(journal_next_report(state->journal, 1, &delivered, &err), 1);
    must(journal_add_report(state->journal, &report, &err), &err);
    must(journal_remove_report(state->journal, delivered.id, &err), &err);
    assert_int_equal(journal_next_report(state->journal, 1, &newer, &err), 1);
}

static void a_delayed_report_is_not_due_until_a_restart(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    int64_t due;
    must(journal_next_due(state->journal, &due, &err), &err);
    assert_int_equal(due, 0);
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    struct journal_report report = report_of(&job, true);
    must(journal_end_job(state->journal, job.id, &report, NULL, NULL, &err), &err);
    assert_int_equal(journal_next_report(state->journal, 1000, &report, &err), 1);
    report.refused_since_us = 500;
    report.next_at_us = 5000;
    must(journal_delay_report(state->journal, &report, &err), &err);
    assert_int_equal(journal_next_report(state->journal, 4999, &report, &err), 0);
    must(journal_next_due(state->journal, &due, &err), &err);
    assert_int_equal(due, 5000);
    reopen(state);
    assert_int_equal(journal_next_report(state->journal, 1000, &report, &err), 1);
    assert_int_equal(report.refused_since_us, 500);
}

static void an_abandoned_report_leaves_an_orphan(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    struct journal_job job = add_job(state, JOB_BACKUP, BACKUP);
    struct journal_report report = report_of(&job, true);
    struct journal_archive archive = archive_of(&job);
    must(journal_end_job(state->journal, job.id, &report, &archive, "{}", &err), &err);
    assert_int_equal(journal_next_report(state->journal, 1, &report, &err), 1);
    must(journal_abandon_report(state->journal, &report, &err), &err);
    assert_int_equal(journal_next_report(state->journal, 1, &report, &err), 0);
    assert_int_equal(journal_find_archive(state->journal, BACKUP, &archive, &err), 1);
    assert_true(archive.is_orphan);
}

static void forgetting_one_backup_keeps_the_others(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    const char *const backups[] = {BACKUP, OTHER_BACKUP};
    struct journal_archive archive;
    for (size_t i = 0; i < 2; i++) {
        struct journal_job job = add_job(state, JOB_BACKUP, backups[i]);
        struct journal_report report = report_of(&job, true);
        archive = archive_of(&job);
        must(journal_end_job(state->journal, job.id, &report, &archive, "{}", &err), &err);
    }
    must(journal_forget(state->journal, OTHER_SERVER, NULL, &err), &err);
    must(journal_forget(state->journal, SERVER, BACKUP, &err), &err);
    assert_int_equal(journal_find_archive(state->journal, BACKUP, &archive, &err), 0);
    assert_int_equal(journal_find_archive(state->journal, OTHER_BACKUP, &archive, &err), 1);
    must(journal_forget(state->journal, SERVER, NULL, &err), &err);
    assert_int_equal(journal_find_archive(state->journal, OTHER_BACKUP, &archive, &err), 0);
}

static void denials_and_uses_survive_a_restart(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    bool is_denied;
    bool is_allowed;
    struct token_use use = {
        .unique_id = "unique", .address = "::1", .until_s = 2000, .users_max = 1};
    must(journal_deny_token(state->journal, "jti", 1000, &err), &err);
    must(journal_use_token(state->journal, &use, &is_allowed, &err), &err);
    assert_true(is_allowed);
    reopen(state);
    must(journal_is_denied(state->journal, "jti", 1000, &is_denied, &err), &err);
    assert_true(is_denied);
    must(journal_is_denied(state->journal, "jti", 1001, &is_denied, &err), &err);
    assert_false(is_denied);
    use.address = "127.0.0.1";
    must(journal_use_token(state->journal, &use, &is_allowed, &err), &err);
    assert_false(is_allowed);
    use.address = "::1"; /* who was refused takes nobody's place */
    must(journal_use_token(state->journal, &use, &is_allowed, &err), &err);
    assert_true(is_allowed);
    use.address = "127.0.0.1";
    must(journal_tidy(state->journal, 2001, &err), &err);
    must(journal_use_token(state->journal, &use, &is_allowed, &err), &err);
    assert_true(is_allowed); /* all was forgotten */
    must(journal_is_denied(state->journal, "jti", 1000, &is_denied, &err), &err);
    assert_true(is_denied);
    must(journal_tidy(state->journal, 1001 + TOKEN_LIFE_MAX_S, &err), &err);
    must(journal_is_denied(state->journal, "jti", 1000, &is_denied, &err), &err);
    assert_false(is_denied);
}

static void directories_are_attached_beside_a_running_node(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    scope_buf struct buf path = BUF_INIT;
    scope_free char *real = scratch_path("%s/real", state->directory);
    scope_free char *link = scratch_path("%s/link", state->directory);
    scratch_directory(real);
    assert_int_equal(symlink("real", link), 0);
    must(node_attach_directory(state->directory, SERVER, link, &err), &err);
    assert_int_equal(journal_find_directory(state->journal, SERVER, &path, &err), 1);
    scope_free char *expected = realpath(real, NULL);
    assert_string_equal(path.data, expected);
    must(node_detach_directory(state->directory, SERVER, &err), &err);
    assert_int_equal(journal_find_directory(state->journal, SERVER, &path, &err), 0);
    assert_int_equal(node_detach_directory(state->directory, SERVER, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void bad_directories_are_not_attached(void **context)
{
    struct state *state = *context;
    const struct {
        const char *server, *path;
        enum error_code code;
    } rows[] = {
        {SERVER, "relative", ERROR_INVALID},    {SERVER, "/", ERROR_INVALID},
        {SERVER, "/etc/passwd", ERROR_INVALID}, {SERVER, "/there/is/no/such", ERROR_NOT_FOUND},
        {"../etc", "/tmp", ERROR_INVALID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(
            node_attach_directory(state->directory, rows[i].server, rows[i].path, &err), -1);
        assert_int_equal(err.code, rows[i].code);
    }
}

static void leftovers_are_remembered_until_removed(void **context)
{
    struct state *state = *context;
    struct error err = ERROR_INIT;
    scope_buf struct buf parent = BUF_INIT;
    scope_buf struct buf name = BUF_INIT;
    must(journal_add_leftover(state->journal, "/srv", ".trash", &err), &err);
    must(journal_add_leftover(state->journal, "/srv", ".trash", &err), &err);
    reopen(state);
    assert_int_equal(journal_next_leftover(state->journal, &parent, &name, &err), 1);
    assert_string_equal(parent.data, "/srv");
    assert_string_equal(name.data, ".trash");
    must(journal_remove_leftover(state->journal, "/srv", ".trash", &err), &err);
    assert_int_equal(journal_next_leftover(state->journal, &parent, &name, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_holder_is_refused),
        TEST(jobs_survive_a_restart_in_their_order),
        TEST(the_same_order_twice_is_refused),
        TEST(the_stage_of_a_restore_is_remembered),
        TEST(the_end_of_a_job_leaves_archive_and_report),
        TEST(a_cancelled_backup_can_only_fail),
        TEST(a_restore_is_cancelled_before_its_exchange_or_not_at_all),
        TEST(a_new_try_withdraws_the_old_report),
        TEST(a_restore_counts_until_its_report_is_taken),
        TEST(removing_a_delivered_report_spares_a_newer_one),
        TEST(a_delayed_report_is_not_due_until_a_restart),
        TEST(an_abandoned_report_leaves_an_orphan),
        TEST(forgetting_one_backup_keeps_the_others),
        TEST(denials_and_uses_survive_a_restart),
        TEST(directories_are_attached_beside_a_running_node),
        TEST(bad_directories_are_not_attached),
        TEST(leftovers_are_remembered_until_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
