/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange and the discarding, and what must not be exchanged. */
#include "tree/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "tree/bench_test.h"
#include "tree/own_names.h"
#include "tree/walk.h"

static void the_exchange_is_the_whole_tree(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    uint64_t device, inode;
    make_directory(bench->scratch.fd, "live");
    make_file(bench->scratch.fd, "live/old", "old");
    create(bench);
    PUT(ENTRY_FILE, "new", "new");
    finish(bench);
    stage_identity(bench->stage, &device, &inode);
    assert_int_equal(fstatat(bench->scratch.fd, "live", &status, 0), 0);
    assert_true(status.st_ino != inode);
    exchange(bench);
    assert_int_equal(fstatat(bench->scratch.fd, "live", &status, 0), 0);
    assert_true(status.st_ino == inode && status.st_dev == device);
    expect_text(bench, "live/new", "new");
    expect_text(bench, "stage/tree/old", "old");
    discard(bench);
    expect_text(bench, "live/new", "new");
}

static void a_discarded_stage_leaves_the_live_tree(void **state)
{
    struct bench *bench = *state;
    make_directory(bench->scratch.fd, "live");
    make_file(bench->scratch.fd, "live/old", "old");
    scope_fd int live_fd = open_directory(bench->scratch.fd, "live");
    manifest(live_fd, &bench->text);
    create(bench);
    PUT(ENTRY_FILE, "half", "done");
    discard(bench);
    struct buf after = BUF_INIT;
    manifest(live_fd, &after);
    assert_string_equal(bench->text.data, after.data);
    buf_free(&after);
}

static void a_stage_that_was_taken_away_is_not_exchanged(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "live");
    make_file(fd, "live/old", "old");
    create(bench);
    finish(bench);
    assert_int_equal(renameat(fd, "stage", fd, "elsewhere"), 0);
    make_directory(fd, "stage");
    make_file(fd, "stage/foreign", "foreign");
    assert_int_equal(stage_exchange(bench->stage, EXCHANGE_DIRECTORY, &bench->err), -1);
    assert_int_equal(bench->err.code, ERROR_CONFLICT);
    expect_text(bench, "live/old", "old");
    error_clear(&bench->err);
    assert_int_equal(stage_discard(bench->stage, &bench->err), -1);
    assert_int_equal(bench->err.code, ERROR_CONFLICT);
    expect_text(bench, "stage/foreign", "foreign");
}

static void a_live_link_is_not_exchanged(void **state)
{
    struct bench *bench = *state;
    struct stage_options options = {0};
    assert_int_equal(symlinkat("/etc", bench->scratch.fd, "live"), 0);
    assert_null(stage_create(bench->scratch.fd, "live", "stage", &options, &bench->err));
    assert_int_equal(bench->err.code, ERROR_CONFLICT);
    assert_false(exists(bench, "stage"));
}

static void a_stage_that_exists_is_a_conflict(void **state)
{
    struct bench *bench = *state;
    struct stage_options options = {0};
    make_directory(bench->scratch.fd, "stage");
    make_file(bench->scratch.fd, "stage/x", "x");
    assert_null(stage_create(bench->scratch.fd, "live", "stage", &options, &bench->err));
    assert_int_equal(bench->err.code, ERROR_CONFLICT);
    expect_text(bench, "stage/x", "x");
}

/* The live directory, or one in it, is a mount: the old tree stays where it is. */
static void mounts_are_not_moved(void **state)
{
    struct bench *bench = *state;
    static const char *const points[] = {"live", "live/a mount"};
    make_directory(bench->scratch.fd, "live");
    make_directory(bench->scratch.fd, "live/a mount");
    create(bench);
    finish(bench);
    for (size_t i = 0; i < 2; i++) {
        scope_free char *path = xasprintf("%s/%s", bench->scratch.path, points[i]);
        if (mount("none", path, "tmpfs", 0, NULL) < 0)
            return without("the right to mount");
        int result = stage_exchange(bench->stage, EXCHANGE_DIRECTORY, &bench->err);
        int merged = result < 0 ? -1 : 0;
        enum error_code code = bench->err.code;
        error_clear(&bench->err);
        if (i == 1)
            merged = stage_merge_live(bench->stage, &(struct merge_options){0}, &bench->err);
        error_clear(&bench->err);
        assert_int_equal(umount(path), 0);
        assert_int_equal(result, -1);
        assert_int_equal(merged, -1);
        assert_int_equal(code, ERROR_CONFLICT);
    }
    exchange(bench);
}

static void stage_new_file(struct bench *bench)
{
    create(bench);
    PUT(ENTRY_FILE, "new", "new");
    finish(bench);
}

static void by_entries_the_live_root_is_the_same_directory(void **state)
{
    struct bench *bench = *state;
    struct stat before, after;
    make_directory(bench->scratch.fd, "live");
    make_file(bench->scratch.fd, "live/old", "old");
    scope_fd int held_fd = open_directory(bench->scratch.fd, "live");
    assert_int_equal(fstat(held_fd, &before), 0);
    stage_new_file(bench);
    assert_int_equal(stage_exchange(bench->stage, EXCHANGE_ENTRIES, &bench->err), 0);
    assert_null(stage_doubt(bench->stage));
    assert_false(stage_is_torn(bench->stage));
    assert_int_equal(fstatat(bench->scratch.fd, "live", &after, 0), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_int_equal(faccessat(held_fd, "new", F_OK, 0), 0);
    assert_int_equal(faccessat(held_fd, "old", F_OK, 0), -1);
    expect_text(bench, "stage/tree/old", "old");
    discard(bench);
    expect_text(bench, "live/new", "new");
}

/* Held by a process that one can see, or with processes that one cannot see: either way it stays. */
static void automatically_a_root_that_is_held_stays(void **state)
{
    struct bench *bench = *state;
    struct stat before, after;
    make_directory(bench->scratch.fd, "live");
    scope_fd int held_fd = open_directory(bench->scratch.fd, "live");
    assert_int_equal(fstat(held_fd, &before), 0);
    pid_t child = fork();
    if (child == 0) {
        pause(); /* with its copy of the descriptor */
        _exit(0);
    }
    stage_new_file(bench);
    int result = stage_exchange(bench->stage, EXCHANGE_AUTO, &bench->err);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(result, 0);
    assert_int_equal(fstatat(bench->scratch.fd, "live", &after, 0), 0);
    assert_true(before.st_ino == after.st_ino);
    expect_text(bench, "live/new", "new");
}

static void what_was_replaced_can_be_brought_back(void **state)
{
    static const enum exchange_way ways[] = {EXCHANGE_DIRECTORY, EXCHANGE_ENTRIES, EXCHANGE_ENTRIES,
                                             EXCHANGE_DIRECTORY};
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "live");
    make_file(fd, "live/old", "old");
    assert_int_equal(fchmodat(fd, "live", 0751, 0), 0);
    stage_new_file(bench);
    exchange(bench);
    for (size_t i = 0; i < 4; i++) {
        struct stat status;
        stage_free(bench->stage);
        bench->stage = stage_reopen(fd, "live", "stage", &bench->err);
        assert_non_null(bench->stage);
        if (stage_exchange(bench->stage, ways[i], &bench->err) < 0)
            fail_msg("%s", bench->err.text);
        bool is_old = i % 2 == 0;
        expect_text(bench, is_old ? "live/old" : "live/new", is_old ? "old" : "new");
        assert_false(exists(bench, is_old ? "live/new" : "live/old"));
        assert_int_equal(fstatat(fd, "live", &status, 0), 0);
        assert_int_equal(status.st_mode & 07777, 0751);
    }
    discard(bench);
    expect_text(bench, "live/new", "new");
}

/* Nobody but us gets at the staged tree, nor at the replaced one. */
static void the_box_is_closed(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    make_directory(bench->scratch.fd, "live");
    stage_new_file(bench);
    exchange(bench);
    assert_int_equal(fstatat(bench->scratch.fd, "stage", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_true(status.st_uid == geteuid());
}

/* A mount point has its stage inside, which is in nobody's way. */
static void a_mount_point_is_exchanged_from_inside(void **state)
{
    static const char box[] = TREE_STAGE_PREFIX "01234567-89ab-cdef-0123-456789abcdef";
    struct bench *bench = *state;
    make_directory(bench->scratch.fd, "live");
    scope_free char *path = xasprintf("%s/live", bench->scratch.path);
    if (mount("none", path, "tmpfs", 0, NULL) < 0)
        return without("the right to mount");
    make_file(bench->scratch.fd, "live/old", "old");
    int live_fd = open_directory(bench->scratch.fd, "live");
    struct stage_options options = {0};
    bench->stage = stage_create(live_fd, ".", box, &options, &bench->err);
    int result = bench->stage == NULL ? -1 : 0;
    if (result == 0) {
        bench->sink = stage_sink(bench->stage);
        bench->sink->report = &bench->report;
        PUT(ENTRY_FILE, "new", "new");
        result = sink_finish(bench->sink, &bench->err);
    }
    if (result == 0)
        result = stage_merge_live(bench->stage, &(struct merge_options){0}, &bench->err);
    if (result == 0)
        result = stage_exchange(bench->stage, EXCHANGE_AUTO, &bench->err);
    bool is_new = faccessat(live_fd, "new", F_OK, 0) == 0;
    bool has_old = faccessat(live_fd, "old", F_OK, 0) == 0;
    struct source *source = walk_open(live_fd, &(struct walk_options){0}, &bench->err);
    list_source(source, &bench->text);
    source_free(source);
    if (result == 0)
        result = stage_discard(bench->stage, &bench->err);
    stage_free(bench->stage);
    bench->stage = NULL;
    close(live_fd);
    assert_int_equal(umount(path), 0);
    if (result < 0)
        fail_msg("%s", bench->err.text);
    assert_true(is_new && has_old);
    assert_null(strstr(bench->text.data, "roost"));
    assert_non_null(strstr(bench->text.data, "new"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_exchange_is_the_whole_tree),
        BENCH_TEST(a_discarded_stage_leaves_the_live_tree),
        BENCH_TEST(a_stage_that_was_taken_away_is_not_exchanged),
        BENCH_TEST(a_live_link_is_not_exchanged),
        BENCH_TEST(a_stage_that_exists_is_a_conflict),
        BENCH_TEST(mounts_are_not_moved),
        BENCH_TEST(by_entries_the_live_root_is_the_same_directory),
        BENCH_TEST(automatically_a_root_that_is_held_stays),
        BENCH_TEST(what_was_replaced_can_be_brought_back),
        BENCH_TEST(the_box_is_closed),
        BENCH_TEST(a_mount_point_is_exchanged_from_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
