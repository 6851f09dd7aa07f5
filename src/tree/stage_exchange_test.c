/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange and the discarding, and what must not be exchanged. */
#include "tree/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "tree/bench_test.h"

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
    expect_text(bench, "stage/old", "old");
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
    assert_int_equal(stage_exchange(bench->stage, &bench->err), -1);
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
        int result = stage_exchange(bench->stage, &bench->err);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_exchange_is_the_whole_tree),
        BENCH_TEST(a_discarded_stage_leaves_the_live_tree),
        BENCH_TEST(a_stage_that_was_taken_away_is_not_exchanged),
        BENCH_TEST(a_live_link_is_not_exchanged),
        BENCH_TEST(a_stage_that_exists_is_a_conflict),
        BENCH_TEST(mounts_are_not_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
