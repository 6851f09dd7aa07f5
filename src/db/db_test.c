/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, transactions and statements, within one process.  What other processes do to each other: crash_test.c. */
#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/thread.h"
#include "db/db_internal.h"
#include "db/fixture.h"

static const char create_counter[] = "CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER,"
                                     " name TEXT UNIQUE)";
static const char read_counter[] = "SELECT n FROM counter WHERE id = 1";

static void run(struct db_session *session, const char *sql)
{
    struct error err = ERROR_INIT;
    assert_ok(db_run(session, sql, DB_NO_PARAMS, NULL, &err));
}

static int make_counter(void **state)
{
    fixture_open(state);
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    run(session, create_counter);
    run(session, "INSERT INTO counter (id, n, name) VALUES (1, 0, 'one')");
    assert_ok(db_commit(session, &err));
    return 0;
}

static int64_t counter_value(struct db_session *session)
{
    struct error err = ERROR_INIT;
    int64_t value = 0;
    assert_ok(db_query_int(session, read_counter, DB_NO_PARAMS, -1, &value, &err));
    return value;
}

static void increment(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(fixture);
    run(session, "UPDATE counter SET n = n + 1 WHERE id = 1");
    assert_ok(db_commit(session, &err));
}

static void a_database_is_its_owners_alone(void **state)
{
    struct fixture *fixture = *state;
    increment(fixture);
    static const char *const names[] = {"db", "db-wal", "db-shm"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        struct stat status;
        snprintf(path, sizeof(path), "%s/%s", fixture->directory, names[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void only_what_is_committed_is_seen(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(fixture);
    struct db_session *session = fixture_begin(fixture);
    run(session, "UPDATE counter SET n = 7 WHERE id = 1");
    assert_int_equal(counter_value(session), 7);
    assert_int_equal(counter_value(reader), 0);
    assert_ok(db_commit(session, &err));
    assert_int_equal(counter_value(reader), 7);

    session = fixture_begin(fixture);
    run(session, "UPDATE counter SET n = 8 WHERE id = 1");
    db_rollback(session);
    assert_int_equal(counter_value(reader), 7);
}

static void *increment_often(void *argument)
{
    struct fixture *fixture = argument;
    for (int i = 0; i < 100; i++) {
        int64_t before = counter_value(fixture_reader(fixture));
        increment(fixture);
        assert_true(counter_value(fixture_reader(fixture)) > before);
    }
    return NULL;
}

static void threads_that_write_at_once_lose_nothing(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start("write", increment_often, fixture);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter_value(fixture_reader(fixture)), 400);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int number = 0;
    while (readdir(dir) != NULL)
        number++;
    closedir(dir);
    return number;
}

static void *read_once(void *argument)
{
    counter_value(fixture_reader(argument));
    return NULL;
}

static void *read_and_leave(void *argument)
{
    struct fixture *fixture = argument;
    counter_value(fixture_reader(fixture));
    db_thread_end(fixture->db);
    db_thread_end(fixture->db);
    assert_null(fixture->db->readers);
    counter_value(fixture_reader(fixture));
    return NULL;
}

static void a_threads_connection_ends_with_it(void **state)
{
    struct fixture *fixture = *state;
    /* SQLite keeps descriptors for the next connection while locks are held: compare rounds. */
    int before = 0;
    for (int i = 0; i < 5; i++) {
        pthread_join(thread_start("read", read_once, fixture), NULL);
        assert_null(fixture->db->readers);
        if (i == 0)
            before = open_descriptors();
    }
    assert_int_equal(open_descriptors(), before);
    pthread_join(thread_start("read", read_and_leave, fixture), NULL);
    assert_null(fixture->db->readers);
    assert_ptr_equal(fixture_reader(fixture), fixture_reader(fixture));
}

static void a_reader_cannot_write(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(*state);
    assert_fails(db_run(reader, "UPDATE counter SET n = 1", DB_NO_PARAMS, NULL, &err),
                 ERROR_DENIED);
    assert_int_equal(counter_value(reader), 0);
}

static void *version_elsewhere(void *argument)
{
    struct fixture *fixture = argument;
    struct error err = ERROR_INIT;
    static uint64_t version;
    assert_ok(db_version(fixture_reader(fixture), &version, &err));
    return &version;
}

static void the_version_changes_with_each_commit_and_with_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(fixture);
    uint64_t before, after;
    assert_ok(db_version(reader, &before, &err));
    for (int i = 0; i < 5; i++) {
        increment(fixture);
        assert_ok(db_version(reader, &after, &err));
        assert_true(before != after);
        before = after;
    }
    struct db_session *session = fixture_begin(fixture);
    run(session, "UPDATE counter SET n = 0");
    assert_ok(db_version(reader, &after, &err));
    assert_true(before == after);
    db_rollback(session);
    counter_value(reader);
    assert_ok(db_version(reader, &after, &err));
    assert_true(before == after);

    void *elsewhere;
    pthread_join(thread_start("version", version_elsewhere, fixture), &elsewhere);
    assert_true(*(uint64_t *)elsewhere == before);
}

static void constraints_are_conflicts(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    assert_fails(db_run(session, "INSERT INTO counter (id, n, name) VALUES (2, 0, 'one')",
                        DB_NO_PARAMS, NULL, &err),
                 ERROR_CONFLICT);
    assert_fails(db_run(session, "INSERT INTO subusers (user_id, server_id) VALUES (77, 77)",
                        DB_NO_PARAMS, NULL, &err),
                 ERROR_CONFLICT);
    /* The transaction lives on. */
    run(session, "UPDATE counter SET n = 3");
    assert_ok(db_commit(session, &err));
    assert_int_equal(counter_value(fixture_reader(*state)), 3);
}

static void values_of_each_type_come_back(void **state)
{
    struct error err = ERROR_INIT;
    int64_t changed = -1;
    struct db_session *session = fixture_begin(*state);
    assert_ok(db_run(session, "INSERT INTO counter (n, name) VALUES (?, ?)",
                     DB_PARAMS(db_int(INT64_MIN), db_text("it's \"x\"; --")), &changed, &err));
    assert_int_equal(changed, 1);
    int64_t id = db_last_id(session);
    assert_ok(db_run(session, "INSERT INTO counter (n, name) VALUES (?, ?)",
                     DB_PARAMS(db_null(), db_text(NULL)), NULL, &err));
    assert_int_equal(db_last_id(session), id + 1);
    assert_ok(db_run(session, "UPDATE counter SET n = 1 WHERE id = ?", DB_PARAMS(db_int(999)),
                     &changed, &err));
    assert_int_equal(changed, 0);

    struct db_rows rows;
    assert_ok(db_query(session, "SELECT n, name FROM counter WHERE id >= ? ORDER BY id",
                       DB_PARAMS(db_int(id)), &rows, &err));
    assert_int_equal(db_next(&rows, &err), 1);
    assert_true(db_get_int(&rows, 0) == INT64_MIN);
    assert_string_equal(db_get_text(&rows, 1), "it's \"x\"; --");
    assert_false(db_is_null(&rows, 1));
    assert_int_equal(db_next(&rows, &err), 1);
    assert_true(db_is_null(&rows, 0));
    assert_int_equal(db_get_int(&rows, 0), 0);
    assert_null(db_get_text(&rows, 1));
    assert_int_equal(db_next(&rows, &err), 0);
    assert_int_equal(db_next(&rows, &err), 0);
    db_rows_end(&rows);
    db_rows_end(&rows);

    int64_t value;
    assert_ok(db_query_int(session, "SELECT n FROM counter WHERE id = ?", DB_PARAMS(db_int(999)),
                           42, &value, &err));
    assert_int_equal(value, 42);
    db_rollback(session);
}

static void texts_of_a_query_need_not_outlive_the_call(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(*state);
    char name[] = "one";
    struct db_rows rows;
    assert_ok(db_query(reader, "SELECT n FROM counter WHERE name = ?", DB_PARAMS(db_text(name)),
                       &rows, &err));
    memset(name, 'x', sizeof(name) - 1);
    assert_int_equal(db_next(&rows, &err), 1);
    db_rows_end(&rows);
}

static void many_statements_are_kept_apart(void **state)
{
    struct error err = ERROR_INIT;
    static char statements[300][32]; /* for ever, as literals are */
    struct db_session *reader = fixture_reader(*state);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            int64_t value;
            snprintf(statements[i], sizeof(statements[i]), "SELECT %d", i);
            assert_ok(db_query_int(reader, statements[i], DB_NO_PARAMS, -1, &value, &err));
            assert_int_equal(value, i);
        }
    }
    assert_int_equal(reader->used, 300);
}

static void a_statement_that_cannot_be_is_an_error_each_time(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(*state);
    for (int i = 0; i < 3; i++) {
        struct db_rows rows;
        assert_fails(db_query(reader, "SELECT nothing FROM nowhere", DB_NO_PARAMS, &rows, &err),
                     ERROR_IO);
        db_rows_end(&rows);
    }
}

static void a_full_database_says_so_and_stays_readable(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(fixture);
    run(session, "PRAGMA max_page_count = 1"); /* raised by SQLite to what there is */
    char text[4096];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    int status = 0;
    for (int i = 0; i < 100 && status == 0; i++)
        status = db_run(session, "INSERT INTO counter (n, name) VALUES (?, ?)",
                        DB_PARAMS(db_int(i), db_text(text + i)), NULL, &err);
    assert_fails(status, ERROR_NO_SPACE);
    /* SQLite has rolled back: nothing may commit by itself now. */
    assert_fails(db_run(session, "UPDATE counter SET n = 99", DB_NO_PARAMS, NULL, &err), ERROR_IO);
    assert_fails(db_commit(session, &err), ERROR_IO);
    assert_int_equal(counter_value(fixture_reader(fixture)), 0);

    session = fixture_begin(fixture);
    run(session, "PRAGMA max_page_count = 100000");
    assert_ok(db_commit(session, &err));
    increment(fixture);
    assert_int_equal(counter_value(fixture_reader(fixture)), 1);
}

static off_t size_of(const struct fixture *fixture, const char *name)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void commit_a_mebibyte(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    static char text[1 << 20];
    memset(text, 'x', sizeof(text) - 1);
    struct db_session *session = fixture_begin(fixture);
    assert_ok(db_run(session, "UPDATE counter SET name = ? WHERE id = 1", DB_PARAMS(db_text(text)),
                     NULL, &err));
    assert_ok(db_commit(session, &err));
}

static void the_log_stays_small_and_shrinks_after_a_slow_reader(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    for (int i = 0; i < 30; i++)
        commit_a_mebibyte(fixture);
    assert_true(size_of(fixture, "db-wal") < 10 << 20);

    /* A reader in the middle of its rows keeps the log from starting over. */
    struct db_session *reader = fixture_reader(fixture);
    struct db_rows rows;
    assert_ok(db_query(reader, "SELECT id FROM counter", DB_NO_PARAMS, &rows, &err));
    assert_int_equal(db_next(&rows, &err), 1);
    for (int i = 0; i < 40; i++)
        commit_a_mebibyte(fixture);
    assert_true(size_of(fixture, "db-wal") > 32 << 20);
    db_rows_end(&rows);
    for (int i = 0; i < 6; i++)
        commit_a_mebibyte(fixture);
    assert_true(size_of(fixture, "db-wal") < 10 << 20);
}

struct slow_reader {
    struct fixture *fixture;
    _Atomic(bool) *is_over;
};

static void *read_slowly(void *argument)
{
    const struct slow_reader *slow = argument;
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(slow->fixture);
    while (!*slow->is_over) {
        struct db_rows rows;
        assert_ok(db_query(reader, "SELECT id FROM counter", DB_NO_PARAMS, &rows, &err));
        assert_int_equal(db_next(&rows, &err), 1);
        usleep(20000);
        db_rows_end(&rows);
    }
    return NULL;
}

static void readers_that_take_turns_cannot_grow_the_log_without_end(void **state)
{
    struct fixture *fixture = *state;
    _Atomic(bool) is_over = false;
    struct slow_reader slow = {.fixture = fixture, .is_over = &is_over};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = thread_start("slow", read_slowly, &slow);
        usleep(5000);
    }
    off_t largest = 0;
    for (int i = 0; i < 60; i++) {
        commit_a_mebibyte(fixture);
        off_t size = size_of(fixture, "db-wal");
        largest = size > largest ? size : largest;
    }
    is_over = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(largest < 44 << 20);
}

static void urls_that_cannot_be_opened_say_why(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    static const char *const invalid[] = {"", "sqlite:", "mysql://root:hunter2@localhost/panel",
                                          "/var/lib/roost/panel.db"};
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        assert_null(db_open(invalid[i], &err));
        assert_int_equal(err.code, ERROR_INVALID);
        assert_null(strstr(err.text, "hunter2"));
        error_clear(&err);
    }
    char url[64];
    snprintf(url, sizeof(url), "sqlite:%s/missing/db", fixture->directory);
    assert_null(db_open(url, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    error_clear(&err);
    snprintf(url, sizeof(url), "sqlite:%s", fixture->directory);
    assert_null(db_open(url, &err));
    assert_true(error_is_set(&err));
}

static void names_that_sqlite_knows_mean_nothing_special(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    char url[64];
    snprintf(url, sizeof(url), "sqlite:%s/file:x?mode=memory", fixture->directory);
    struct db *db = db_open(url, &err);
    assert_non_null(db);
    db_close(db);
    assert_true(size_of(fixture, "file:x?mode=memory") >= 0);
}

static void a_file_that_is_no_database_is_corrupt_and_untouched(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    static const char text[] = "This is a shopping list, and not a short one: "
                               "bread, butter, milk, eggs, flour, sugar, salt, pepper, tea.\n"
                               "It has more than the hundred bytes that a header would have.";
    scope_fd int dir = directory_open(fixture->directory, &err);
    assert_ok(file_replace(dir, "db", slice_str(text), 0600, &err));
    assert_null(db_open(fixture->url, &err));
    assert_int_equal(err.code, ERROR_CORRUPT);
    error_clear(&err);
    scope_buf struct buf after = BUF_INIT;
    assert_ok(file_read(dir, "db", 1000, &after, &err));
    assert_string_equal(after.data, text);
}

static void a_damaged_page_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    for (int i = 0; i < 3; i++)
        commit_a_mebibyte(fixture);
    db_close(fixture->db);
    fixture->db = NULL;
    scope_fd int dir = directory_open(fixture->directory, &err);
    scope_fd int fd = openat(dir, "db", O_WRONLY | O_CLOEXEC);
    char garbage[4096];
    memset(garbage, 0xee, sizeof(garbage));
    off_t size = size_of(fixture, "db");
    for (off_t at = size / 2 & ~4095; at < size; at += 4096)
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
    fixture->db = db_open(fixture->url, &err);
    assert_non_null(fixture->db);
    int64_t value;
    assert_fails(db_query_int(fixture_reader(fixture), "SELECT name FROM counter", DB_NO_PARAMS, 0,
                              &value, &err),
                 ERROR_CORRUPT);
}

static void times_are_read_as_time_parse_reads_them(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(*state);
    static const char *const texts[] = {
        "1970-01-01 00:00:01",  "1999-12-31 23:59:59",    "2000-02-29 12:00:00",
        "2023-10-20 14:30:00",  "2024-02-29 23:59:59",    "2024-03-01 00:00:00",
        "2100-02-28 00:00:00",  "2100-03-01 00:00:00",    "9999-12-31 23:59:59",
        "2023-10-20T14:30:00Z", "2023-10-20 14:30:00.25",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct db_rows rows;
        int64_t expected;
        assert_ok(time_parse(texts[i], &expected, &err));
        assert_ok(db_query(reader, "SELECT ?", DB_PARAMS(db_text(texts[i])), &rows, &err));
        assert_int_equal(db_next(&rows, &err), 1);
        assert_int_equal(db_get_time_us(&rows, 0), expected);
        db_rows_end(&rows);
    }
    for (int64_t day = 1; day < 60000; day += 7) {
        char text[TIME_TEXT_BYTES];
        struct db_rows rows;
        int64_t at_us = (day * 86400 + day % 86400) * 1000000;
        assert_ok(db_query(reader, "SELECT ?", DB_PARAMS(db_text(db_time_text(at_us, text))), &rows,
                           &err));
        assert_int_equal(db_next(&rows, &err), 1);
        assert_int_equal(db_get_time_us(&rows, 0), at_us);
        db_rows_end(&rows);
    }
    char unused[TIME_TEXT_BYTES];
    assert_null(db_time_text(0, unused));
}

static void what_is_no_time_is_none(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(*state);
    static const char *const texts[] = {
        "", "yesterday", "2023-13-01 00:00:00", "2023-01-01 24:00:00", "20x3-01-01 00:00:00", NULL};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct db_rows rows;
        assert_ok(db_query(reader, "SELECT ?", DB_PARAMS(db_text(texts[i])), &rows, &err));
        assert_int_equal(db_next(&rows, &err), 1);
        assert_int_equal(db_get_time_us(&rows, 0), 0);
        db_rows_end(&rows);
    }
}

#define with_counter(test) cmocka_unit_test_setup_teardown(test, make_counter, fixture_close)
#define with_directory(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, fixture_make_directory, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_counter(a_database_is_its_owners_alone),
        with_counter(only_what_is_committed_is_seen),
        with_counter(threads_that_write_at_once_lose_nothing),
        with_counter(a_threads_connection_ends_with_it),
        with_counter(a_reader_cannot_write),
        with_counter(the_version_changes_with_each_commit_and_with_nothing_else),
        with_counter(constraints_are_conflicts),
        with_counter(values_of_each_type_come_back),
        with_counter(texts_of_a_query_need_not_outlive_the_call),
        with_counter(many_statements_are_kept_apart),
        with_counter(a_statement_that_cannot_be_is_an_error_each_time),
        with_counter(a_full_database_says_so_and_stays_readable),
        with_counter(the_log_stays_small_and_shrinks_after_a_slow_reader),
        with_counter(readers_that_take_turns_cannot_grow_the_log_without_end),
        with_directory(urls_that_cannot_be_opened_say_why),
        with_directory(names_that_sqlite_knows_mean_nothing_special),
        with_directory(a_file_that_is_no_database_is_corrupt_and_untouched),
        with_counter(a_damaged_page_is_corrupt),
        with_counter(times_are_read_as_time_parse_reads_them),
        with_counter(what_is_no_time_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
