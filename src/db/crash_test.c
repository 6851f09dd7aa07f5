/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes do to each other: commits seen, locks waited for, kills and limits survived.
 * The other process is this program, started with a role: SQLite does not outlive a bare fork().
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "db/db_internal.h"
#include "db/fixture.h"

static const char self[] = "/proc/self/exe";

struct child {
    pid_t pid;
    int out; /* what it says */
    int in;  /* what it waits for */
};

static struct child start(const char *role, const char *url)
{
    int out[2];
    int in[2];
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(in), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(in[0], STDIN_FILENO);
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        execl(self, self, role, url, (char *)NULL);
        _exit(99);
    }
    close(out[1]);
    close(in[0]);
    return (struct child){.pid = pid, .out = out[0], .in = in[1]};
}

static void wait_for_word(const struct child *child)
{
    char word;
    assert_int_equal(read(child->out, &word, 1), 1);
}

/* Its exit status, or minus the signal. */
static int end(struct child *child)
{
    int status;
    close(child->in);
    close(child->out);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int64_t users(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    int64_t number;
    assert_ok(db_query_int(fixture_reader(fixture), "SELECT COUNT(*) FROM users", DB_NO_PARAMS, -1,
                           &number, &err));
    return number;
}

static int add_user(struct db_session *session, int64_t number, struct error *err)
{
    char name[400];
    snprintf(name, sizeof(name), "user%" PRId64 "%0350d", number, 0);
    struct user user = {.username = name, .email = name};
    return user_insert(session, &user, err);
}

static void say(char word)
{
    if (write(STDOUT_FILENO, &word, 1) != 1)
        _exit(98);
}

static void listen_for_end(void)
{
    char word;
    while (read(STDIN_FILENO, &word, 1) > 0)
        ;
}

static int role_commit_one(struct db *db, struct error *err)
{
    struct db_session *session = db_begin(db, err);
    if (session == NULL || add_user(session, 1, err) < 0 || db_commit(session, err) < 0)
        return 1;
    say('c');
    listen_for_end();
    return 0;
}

static int role_hold_transaction(struct db *db, struct error *err)
{
    struct db_session *session = db_begin(db, err);
    if (session == NULL)
        return 1;
    for (int64_t i = 0; i < 20; i++) {
        if (add_user(session, 1000 + i, err) < 0)
            return 1;
    }
    say('h');
    listen_for_end();
    db_rollback(session);
    return 0;
}

/* Says a word after each commit that was durable. */
static int role_commit_for_ever(struct db *db, struct error *err)
{
    for (int64_t i = 0;; i++) {
        struct db_session *session = db_begin(db, err);
        if (session == NULL || add_user(session, i, err) < 0 || db_commit(session, err) < 0)
            return 1;
        say('c');
    }
}

static int role_fill_the_disk(struct db *db, struct error *err)
{
    struct db_session *reader = db_reader(db, err);
    int64_t before, after;
    const struct rlimit limit = {.rlim_cur = 400000, .rlim_max = 400000};
    signal(SIGXFSZ, SIG_IGN);
    if (reader == NULL || setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    for (int64_t i = 0; i < 10000; i++) {
        if (db_query_int(reader, "SELECT COUNT(*) FROM users", DB_NO_PARAMS, -1, &before, err) < 0)
            return 2;
        struct db_session *session = db_begin(db, err);
        if (session == NULL)
            break;
        if (add_user(session, i, err) < 0) {
            db_rollback(session);
            break;
        }
        if (db_commit(session, err) < 0)
            break;
    }
    if (err->code != ERROR_NO_SPACE)
        return 3;
    error_clear(err);
    /* Everything that was committed can be read, and nothing else. */
    if (db_query_int(reader, "SELECT COUNT(*) FROM users", DB_NO_PARAMS, -1, &after, err) < 0)
        return 4;
    return before == after && before > 0 ? 0 : 5;
}

static int role_prepare_schema(struct db *db, struct error *err)
{
    return schema_prepare(db, err) < 0 ? 1 : 0;
}

static int run_role(const char *role, const char *url)
{
    static const struct {
        const char *name;
        int (*run)(struct db *db, struct error *err);
    } roles[] = {
        {"commit-one", role_commit_one},           {"hold-transaction", role_hold_transaction},
        {"commit-for-ever", role_commit_for_ever}, {"fill-the-disk", role_fill_the_disk},
        {"prepare-schema", role_prepare_schema},
    };
    struct error err = ERROR_INIT;
    struct db *db = db_open(url, &err);
    int status = db == NULL ? 97 : 96;
    for (size_t i = 0; db != NULL && i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i].name, role) == 0)
            status = roles[i].run(db, &err);
    }
    if (status != 0)
        fprintf(stderr, "%s: status %d: %s\n", role, status, err.text);
    db_close(db);
    return status;
}

static void a_commit_of_another_process_is_seen_and_changes_the_version(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct db_session *reader = fixture_reader(fixture);
    uint64_t before, after;
    assert_int_equal(users(fixture), 0);
    assert_ok(db_version(reader, &before, &err));
    struct child child = start("commit-one", fixture->url);
    wait_for_word(&child);
    assert_ok(db_version(reader, &after, &err));
    assert_true(before != after);
    assert_int_equal(users(fixture), 1);
    assert_int_equal(end(&child), 0);
}

static void a_transaction_of_another_process_is_waited_for_and_then_reported(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct child child = start("hold-transaction", fixture->url);
    wait_for_word(&child);
    sqlite3_busy_timeout(fixture->db->writer->connection, 50);
    assert_null(db_begin(fixture->db, &err));
    assert_int_equal(err.code, ERROR_UNAVAILABLE);
    error_clear(&err);
    assert_int_equal(users(fixture), 0); /* readers do not wait */
    assert_int_equal(end(&child), 0);
    struct db_session *session = fixture_begin(fixture);
    assert_ok(db_commit(session, &err));
}

static void a_kill_within_a_transaction_leaves_the_old_state(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        struct child child = start("hold-transaction", fixture->url);
        wait_for_word(&child);
        kill(child.pid, SIGKILL);
        assert_int_equal(end(&child), -SIGKILL);
        assert_int_equal(users(fixture), i);
        struct db_session *session = fixture_begin(fixture);
        assert_ok(add_user(session, i, &err));
        assert_ok(db_commit(session, &err));
        assert_int_equal(users(fixture), i + 1);
    }
}

static void a_kill_at_any_time_loses_no_commit_that_was_reported(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    for (int round = 0; round < 10; round++) {
        struct db_session *session = fixture_begin(fixture);
        assert_ok(db_run(session, "DELETE FROM users", DB_NO_PARAMS, NULL, &err));
        assert_ok(db_commit(session, &err));
        struct child child = start("commit-for-ever", fixture->url);
        wait_for_word(&child);
        usleep((useconds_t)(500 + round * 1700));
        kill(child.pid, SIGKILL);
        int64_t reported = 1;
        char word;
        while (read(child.out, &word, 1) == 1)
            reported++;
        assert_int_equal(end(&child), -SIGKILL);
        int64_t found = users(fixture);
        assert_true(found == reported || found == reported + 1);
    }
    scope_rows struct db_rows rows = {0};
    assert_ok(
        db_query(fixture_reader(fixture), "PRAGMA integrity_check", DB_NO_PARAMS, &rows, &err));
    assert_int_equal(db_next(&rows, &err), 1);
    assert_string_equal(db_get_text(&rows, 0), "ok");
}

static void a_full_disk_is_no_space_and_what_was_committed_stays(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct child child = start("fill-the-disk", fixture->url);
    assert_int_equal(end(&child), 0);
    int64_t before = users(fixture);
    assert_true(before > 0);
    struct db_session *session = fixture_begin(fixture);
    assert_ok(add_user(session, 100000, &err));
    assert_ok(db_commit(session, &err));
    assert_int_equal(users(fixture), before + 1);
}

static void processes_that_migrate_at_once_all_succeed(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct child children[4];
    for (int i = 0; i < 4; i++)
        children[i] = start("prepare-schema", fixture->url);
    for (int i = 0; i < 4; i++)
        assert_int_equal(end(&children[i]), 0);
    fixture->db = db_open(fixture->url, &err);
    assert_non_null(fixture->db);
    assert_int_equal(users(fixture), 0);
}

#define with_database(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    if (argc == 3)
        return run_role(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        with_database(a_commit_of_another_process_is_seen_and_changes_the_version),
        with_database(a_transaction_of_another_process_is_waited_for_and_then_reported),
        with_database(a_kill_within_a_transaction_leaves_the_old_state),
        with_database(a_kill_at_any_time_loses_no_commit_that_was_reported),
        with_database(a_full_disk_is_no_space_and_what_was_committed_stays),
        cmocka_unit_test_setup_teardown(processes_that_migrate_at_once_all_succeed,
                                        fixture_make_directory, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
