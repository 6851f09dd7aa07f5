/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "db/backup.h"
#include "db/fixture.h"

#define SECONDS *INT64_C(1000000)

/* A second of no importance, long ago. */
static const int64_t epoch_us = INT64_C(1697812200) SECONDS;

static int64_t add_server(struct db_session *session)
{
    return fixture_add_server(session, fixture_add_node(session, "n"),
                              fixture_add_user(session, "ann"));
}

static int64_t add(struct db_session *session, int64_t server_id, int64_t created_at_us)
{
    struct error err = ERROR_INIT;
    struct backup backup = {.server_id = server_id, .name = "x", .created_at_us = created_at_us};
    assert_ok(backup_insert(session, &backup, &err));
    return backup.id;
}

static void complete(struct db_session *session, int64_t id, bool is_successful)
{
    struct error err = ERROR_INIT;
    struct backup_outcome outcome = {
        .is_successful = is_successful, .checksum = "sha256:00ff", .bytes = 5};
    assert_ok(backup_complete(session, id, &outcome, &err));
}

static struct backup found(struct db_session *session, int64_t id)
{
    struct error err = ERROR_INIT;
    struct backup backup;
    assert_int_equal(backup_find_by_id(session, id, &backup, &err), 1);
    return backup;
}

static void a_backup_is_found_as_it_was_inserted(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct backup backup = {.server_id = add_server(session),
                            .is_successful = true,
                            .is_locked = true,
                            .name = "Before \"the\" update",
                            .ignored_files = "[\"*.log\"]",
                            .disk = "s3",
                            .checksum = "sha1:00ff",
                            .bytes = UINT64_C(5) << 40,
                            .created_at_us = epoch_us,
                            .completed_at_us = epoch_us + 60 SECONDS};
    assert_ok(backup_insert(session, &backup, &err));
    assert_true(uuid_is_canonical(backup.uuid));
    assert_ok(db_commit(session, &err));
    struct backup both[2];
    assert_int_equal(backup_find(fixture_reader(*state), backup.uuid, &both[0], &err), 1);
    assert_int_equal(backup_find_by_id(fixture_reader(*state), backup.id, &both[1], &err), 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i].id, backup.id);
        assert_int_equal(both[i].server_id, backup.server_id);
        assert_string_equal(both[i].uuid, backup.uuid);
        assert_true(both[i].is_successful);
        assert_true(both[i].is_locked);
        assert_string_equal(both[i].name, "Before \"the\" update");
        assert_string_equal(both[i].ignored_files, "[\"*.log\"]");
        assert_string_equal(both[i].disk, "s3");
        assert_string_equal(both[i].checksum, "sha1:00ff");
        assert_true(both[i].bytes == UINT64_C(5) << 40);
        assert_int_equal(both[i].created_at_us, epoch_us);
        assert_int_equal(both[i].completed_at_us, epoch_us + 60 SECONDS);
        assert_int_equal(both[i].lease_until_us, 0);
        backup_free(&both[i]);
    }
}

static void what_is_not_given_has_a_default(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t before_us = time_now_us();
    struct backup backup = {.server_id = add_server(session)};
    assert_ok(backup_insert(session, &backup, &err));
    struct backup read = found(session, backup.id);
    assert_string_equal(read.name, "");
    assert_string_equal(read.ignored_files, "[]");
    assert_string_equal(read.disk, "wings");
    assert_null(read.checksum);
    assert_int_equal(read.bytes, 0);
    assert_true(read.created_at_us > before_us - 1 SECONDS && read.created_at_us <= time_now_us());
    assert_int_equal(read.completed_at_us, 0);
    assert_false(read.is_successful);
    backup_free(&read);
    struct backup again = {.server_id = backup.server_id};
    memcpy(again.uuid, backup.uuid, sizeof(again.uuid));
    assert_fails(backup_insert(session, &again, &err), ERROR_CONFLICT);
    struct backup nowhere = {.server_id = 99};
    assert_fails(backup_insert(session, &nowhere, &err), ERROR_CONFLICT);
    db_rollback(session);
}

static int collect(const struct backup *backup, void *context, struct error *err)
{
    if (strcmp(backup->name, "stop") == 0)
        return error_set(err, ERROR_CANCELLED, "enough");
    buf_printf(context, "%s:%s ", backup->name, backup->checksum == NULL ? "-" : backup->checksum);
    return 0;
}

static void a_list_is_in_order_in_pages_and_without_what_is_deleted(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t server_id = add_server(session);
    static char *const names[] = {"a", "b", "c", "d", "e"};
    int64_t ids[5];
    for (size_t i = 0; i < 5; i++) {
        /* By id, whatever the clock said. */
        struct backup backup = {.server_id = server_id,
                                .name = names[i],
                                .created_at_us = epoch_us - (int64_t)i * 60 SECONDS};
        assert_ok(backup_insert(session, &backup, &err));
        ids[i] = backup.id;
    }
    complete(session, ids[0], true);
    assert_ok(backup_delete(session, ids[1], &err));
    scope_buf struct buf list = BUF_INIT;
    assert_ok(backup_each(session, server_id, 2, 0, collect, &list, &err));
    assert_string_equal(list.data, "a:sha256:00ff c:- ");
    assert_ok(backup_each(session, server_id, 2, 2, collect, &list, &err));
    assert_string_equal(list.data, "a:sha256:00ff c:- d:- e:- ");
    buf_clear(&list);
    assert_ok(backup_each(session, server_id, 2, 4, collect, &list, &err));
    assert_ok(backup_each(session, server_id + 1, 2, 0, collect, &list, &err));
    assert_string_equal(list.data, "");
    db_rollback(session);
}

static bool is_going(struct db_session *session, int64_t id, int64_t now_us)
{
    struct error err = ERROR_INIT;
    bool is_it;
    assert_ok(backup_is_being_deleted(session, id, now_us, &is_it, &err));
    return is_it;
}

static void a_deletion_is_marked_until_its_time(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t server_id = add_server(session);
    int64_t ended = add(session, server_id, epoch_us);
    int64_t creating = add(session, server_id, epoch_us);
    complete(session, ended, true);
    assert_ok(backup_extend_lease(session, creating, epoch_us + 10 SECONDS, &err));
    assert_false(is_going(session, ended, epoch_us));
    assert_ok(backup_lease_deletion(session, ended, epoch_us + 60 SECONDS, &err));
    assert_true(is_going(session, ended, epoch_us + 59 SECONDS));
    assert_false(is_going(session, ended, epoch_us + 61 SECONDS));
    assert_ok(backup_lease_deletion(session, ended, 0, &err));
    assert_false(is_going(session, ended, epoch_us));
    /* The lease of one that is being created is its node's. */
    assert_ok(backup_lease_deletion(session, creating, epoch_us + 60 SECONDS, &err));
    assert_false(is_going(session, creating, epoch_us));
    struct backup backup = found(session, creating);
    assert_int_equal(backup.lease_until_us, epoch_us + 10 SECONDS);
    backup_free(&backup);
    db_rollback(session);
}

static void a_visitor_ends_a_walk_with_its_error(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct backup backup = {.server_id = add_server(session), .name = "stop"};
    assert_ok(backup_insert(session, &backup, &err));
    scope_buf struct buf list = BUF_INIT;
    assert_fails(backup_each(session, backup.server_id, 20, 0, collect, &list, &err),
                 ERROR_CANCELLED);
    assert_fails(backup_each(session, backup.server_id, 20, 0, collect, &list, &err),
                 ERROR_CANCELLED);
    db_rollback(session);
}

static void counts_tell_states_apart(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t server_id = add_server(session);
    struct backup_counts counts;
    assert_ok(backup_count(session, server_id, &counts, &err));
    assert_true(counts.total == 0 && counts.non_failed == 0 && counts.creating == 0);
    complete(session, add(session, server_id, epoch_us), true);
    complete(session, add(session, server_id, epoch_us), true);
    complete(session, add(session, server_id, epoch_us), false);
    add(session, server_id, epoch_us);
    int64_t deleted = add(session, server_id, epoch_us);
    assert_ok(backup_delete(session, deleted, &err));
    assert_ok(backup_count(session, server_id, &counts, &err));
    assert_int_equal(counts.total, 4);
    assert_int_equal(counts.non_failed, 3);
    assert_int_equal(counts.creating, 1);
    db_rollback(session);
}

static void the_throttle_counts_deleted_ones_and_knows_when_a_slot_is_free(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t server_id = add_server(session);
    int64_t count, frees_from_us;
    add(session, server_id, epoch_us - 1 SECONDS); /* too old */
    int64_t at_us[4];
    int64_t ids[4];
    for (int i = 3; i >= 0; i--) { /* not in the order of time */
        at_us[i] = epoch_us + i * 100 SECONDS;
        ids[i] = add(session, server_id, at_us[i]);
    }
    complete(session, add(session, server_id, epoch_us), false); /* failed: not counted */
    assert_ok(backup_delete(session, ids[1], &err));
    static const struct {
        int64_t limit;
        int index; /* of the one that frees a slot; -1: none has to */
    } rows[] = {{1, 3}, {2, 2}, {3, 1}, {4, 0}, {5, -1}, {0, -1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ok(backup_count_since(session, server_id, epoch_us, rows[i].limit, &count,
                                     &frees_from_us, &err));
        assert_int_equal(count, 4);
        assert_int_equal(frees_from_us, rows[i].index < 0 ? 0 : at_us[rows[i].index]);
    }
    /* Once that one has aged, there is a slot: the window begins a second after it. */
    assert_ok(backup_count_since(session, server_id, at_us[2] + 1 SECONDS, 2, &count,
                                 &frees_from_us, &err));
    assert_int_equal(count, 1);
    assert_int_equal(frees_from_us, 0);
    db_rollback(session);
}

static void a_backup_completes_once(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct backup backup = {.server_id = add_server(session),
                            .is_locked = true,
                            .lease_until_us = epoch_us + 60 SECONDS};
    assert_ok(backup_insert(session, &backup, &err));
    struct backup_outcome good = {.is_successful = true, .checksum = "sha256:aa", .bytes = 7};
    struct backup_outcome bad = {.is_successful = false};
    assert_ok(backup_complete(session, backup.id, &good, &err));
    struct backup read = found(session, backup.id);
    assert_true(read.is_successful);
    assert_true(read.is_locked);
    assert_true(read.completed_at_us > 0);
    assert_int_equal(read.lease_until_us, 0);
    assert_string_equal(read.checksum, "sha256:aa");
    assert_int_equal(read.bytes, 7);
    backup_free(&read);
    struct backup_outcome other = {.is_successful = true, .checksum = "sha256:bb", .bytes = 8};
    assert_fails(backup_complete(session, backup.id, &other, &err), ERROR_CONFLICT);
    assert_fails(backup_complete(session, backup.id, &bad, &err), ERROR_CONFLICT);
    read = found(session, backup.id);
    assert_true(read.is_successful);
    assert_string_equal(read.checksum, "sha256:aa");
    backup_free(&read);
    assert_fails(backup_complete(session, 99, &good, &err), ERROR_NOT_FOUND);
    assert_ok(backup_delete(session, backup.id, &err));
    assert_fails(backup_complete(session, backup.id, &good, &err), ERROR_NOT_FOUND);
    db_rollback(session);
}

static void a_failure_unlocks_and_may_still_turn_out_well(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct backup backup = {.server_id = add_server(session), .is_locked = true};
    assert_ok(backup_insert(session, &backup, &err));
    struct backup_outcome bad = {.is_successful = false, .checksum = "sha256:aa", .bytes = 7};
    struct backup_outcome good = {.is_successful = true, .checksum = "sha256:aa", .bytes = 7};
    assert_ok(backup_complete(session, backup.id, &bad, &err));
    struct backup read = found(session, backup.id);
    assert_false(read.is_successful);
    assert_false(read.is_locked);
    assert_true(read.completed_at_us > 0);
    assert_null(read.checksum);
    assert_int_equal(read.bytes, 0);
    backup_free(&read);
    assert_ok(backup_complete(session, backup.id, &bad, &err));
    assert_ok(backup_complete(session, backup.id, &good, &err));
    read = found(session, backup.id);
    assert_true(read.is_successful);
    assert_int_equal(read.bytes, 7);
    backup_free(&read);
    db_rollback(session);
}

static void only_a_dead_lease_is_found_dead(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t server_id = add_server(session);
    int64_t late = add(session, server_id, epoch_us);
    int64_t early = add(session, server_id, epoch_us);
    int64_t completed = add(session, server_id, epoch_us);
    int64_t deleted = add(session, server_id, epoch_us);
    add(session, server_id, epoch_us); /* without a lease: nobody may say that it is dead */
    assert_ok(backup_extend_lease(session, late, epoch_us + 200 SECONDS, &err));
    assert_ok(backup_extend_lease(session, early, epoch_us + 50 SECONDS, &err));
    assert_ok(backup_extend_lease(session, early, epoch_us + 100 SECONDS, &err));
    assert_ok(backup_extend_lease(session, completed, epoch_us, &err));
    assert_ok(backup_extend_lease(session, deleted, epoch_us, &err));
    complete(session, completed, true);
    assert_ok(backup_delete(session, deleted, &err));
    int64_t ids[8];
    assert_int_equal(backup_find_dead(session, epoch_us + 100 SECONDS, ids, 8, &err), 0);
    assert_int_equal(backup_find_dead(session, epoch_us + 101 SECONDS, ids, 8, &err), 1);
    assert_int_equal(ids[0], early);
    assert_int_equal(backup_find_dead(session, epoch_us + 999 SECONDS, ids, 8, &err), 2);
    assert_int_equal(ids[0], early);
    assert_int_equal(ids[1], late);
    assert_int_equal(backup_find_dead(session, epoch_us + 999 SECONDS, ids, 1, &err), 1);
    assert_int_equal(ids[0], early);
    db_rollback(session);
}

static void a_lease_is_rounded_up_and_only_for_what_is_being_created(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id = add(session, add_server(session), epoch_us);
    assert_ok(backup_extend_lease(session, id, epoch_us + 1, &err));
    struct backup read = found(session, id);
    assert_int_equal(read.lease_until_us, epoch_us + 1 SECONDS);
    backup_free(&read);
    complete(session, id, false);
    assert_fails(backup_extend_lease(session, id, epoch_us, &err), ERROR_CONFLICT);
    assert_fails(backup_extend_lease(session, 99, epoch_us, &err), ERROR_NOT_FOUND);
    db_rollback(session);
}

static void a_lock_is_toggled_and_taken_off(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id = add(session, add_server(session), epoch_us);
    bool is_locked = false;
    assert_ok(backup_toggle_lock(session, id, &is_locked, &err));
    assert_true(is_locked);
    assert_ok(backup_toggle_lock(session, id, &is_locked, &err));
    assert_false(is_locked);
    assert_ok(backup_toggle_lock(session, id, &is_locked, &err));
    assert_ok(backup_unlock(session, id, &err));
    assert_ok(backup_unlock(session, id, &err));
    struct backup read = found(session, id);
    assert_false(read.is_locked);
    backup_free(&read);
    assert_fails(backup_toggle_lock(session, 99, &is_locked, &err), ERROR_NOT_FOUND);
    assert_fails(backup_unlock(session, 99, &err), ERROR_NOT_FOUND);
    db_rollback(session);
}

static void a_deleted_one_is_gone_but_for_the_throttle_and_an_erased_one_wholly(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t server_id = add_server(session);
    struct backup backup = {
        .server_id = server_id, .created_at_us = epoch_us, .lease_until_us = epoch_us + 60 SECONDS};
    assert_ok(backup_insert(session, &backup, &err));
    int64_t erased = add(session, server_id, epoch_us);
    int64_t count, frees_from_us;
    struct backup read;
    bool is_locked;
    assert_ok(backup_delete(session, backup.id, &err));
    assert_fails(backup_delete(session, backup.id, &err), ERROR_NOT_FOUND);
    assert_fails(backup_toggle_lock(session, backup.id, &is_locked, &err), ERROR_NOT_FOUND);
    assert_int_equal(backup_find(session, backup.uuid, &read, &err), 0);
    assert_int_equal(backup_find_by_id(session, backup.id, &read, &err), 0);
    assert_ok(backup_count_since(session, server_id, epoch_us, 9, &count, &frees_from_us, &err));
    assert_int_equal(count, 2);
    assert_ok(backup_erase(session, erased, &err));
    assert_fails(backup_erase(session, erased, &err), ERROR_NOT_FOUND);
    assert_ok(backup_count_since(session, server_id, epoch_us, 9, &count, &frees_from_us, &err));
    assert_int_equal(count, 1);
    /* Ids are never used again: a late report must not reach another backup. */
    assert_true(add(session, server_id, epoch_us) > erased);
    db_rollback(session);
}

struct race {
    struct fixture *fixture;
    int64_t backup_id;
    int status[2];
};

static void *complete_in_a_race(void *argument)
{
    struct race *race = argument;
    static _Atomic(int) next;
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(race->fixture);
    struct backup_outcome outcome = {.is_successful = true, .checksum = "sha256:aa", .bytes = 7};
    int status = backup_complete(session, race->backup_id, &outcome, &err);
    if (status == 0)
        status = db_commit(session, &err);
    else
        db_rollback(session);
    race->status[next++] = status;
    return NULL;
}

static void of_two_reports_at_once_one_is_taken(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    struct race race = {.fixture = *state,
                        .backup_id = add(session, add_server(session), epoch_us)};
    assert_ok(db_commit(session, &err));
    pthread_t a = thread_start("report", complete_in_a_race, &race);
    pthread_t b = thread_start("report", complete_in_a_race, &race);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    assert_int_equal(race.status[0] + race.status[1], -1);
}

#define with_database(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_database(a_backup_is_found_as_it_was_inserted),
        with_database(what_is_not_given_has_a_default),
        with_database(a_list_is_in_order_in_pages_and_without_what_is_deleted),
        with_database(a_deletion_is_marked_until_its_time),
        with_database(a_visitor_ends_a_walk_with_its_error),
        with_database(counts_tell_states_apart),
        with_database(the_throttle_counts_deleted_ones_and_knows_when_a_slot_is_free),
        with_database(a_backup_completes_once),
        with_database(a_failure_unlocks_and_may_still_turn_out_well),
        with_database(only_a_dead_lease_is_found_dead),
        with_database(a_lease_is_rounded_up_and_only_for_what_is_being_created),
        with_database(a_lock_is_toggled_and_taken_off),
        with_database(a_deleted_one_is_gone_but_for_the_throttle_and_an_erased_one_wholly),
        with_database(of_two_reports_at_once_one_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
