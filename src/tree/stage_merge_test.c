/* SPDX-License-Identifier: Apache-2.0 */
/* What the live directory has besides is merged into the stage. */
#include "tree/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tree/bench_test.h"

static void merge_adds_and_never_replaces(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    struct stat status, before;
    make_directory(fd, "live");
    make_directory(fd, "live/both");
    make_directory(fd, "live/only");
    make_directory(fd, "live/only/deep");
    make_directory(fd, "live/dir-here");
    make_file(fd, "live/dir-here/lost", "lost");
    make_file(fd, "live/both/kept", "kept");
    make_file(fd, "live/both/replaced", "old");
    make_file(fd, "live/only/deep/f", "deep");
    make_file(fd, "live/file-here", "lost");
    assert_int_equal(symlinkat("target", fd, "live/link"), 0);
    assert_int_equal(mkfifoat(fd, "live/fifo", 0600), 0);
    assert_int_equal(fchmodat(fd, "live/only", 02711, 0), 0);
    set_time(fd, "live/only/deep", 111, 222);
    set_time(fd, "live/only", 333, 444);
    assert_int_equal(fstatat(fd, "live/both/kept", &before, 0), 0);

    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "both", "");
    PUT(ENTRY_FILE, "both/replaced", "new");
    PUT(ENTRY_FILE, "dir-here", "a file");
    PUT(ENTRY_DIRECTORY, "file-here", "");
    PUT(ENTRY_FILE, "file-here/added", "added");
    finish(bench);
    if (stage_merge_live(bench->stage, NULL, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
    expect_text(bench, "live/both/replaced", "old"); /* nothing happened yet */
    exchange(bench);

    expect_text(bench, "live/both/kept", "kept");
    expect_text(bench, "live/both/replaced", "new");
    expect_text(bench, "live/only/deep/f", "deep");
    expect_text(bench, "live/dir-here", "a file");
    expect_text(bench, "live/file-here/added", "added");
    assert_true(exists(bench, "live/link") && exists(bench, "live/fifo"));
    assert_int_equal(fstatat(fd, "live/both/kept", &status, 0), 0);
    assert_true(status.st_ino == before.st_ino); /* linked, not copied */
    assert_int_equal(fstatat(fd, "live/only", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 02711);
    assert_int_equal(status.st_mtim.tv_sec, 333);
    assert_int_equal(fstatat(fd, "live/only/deep", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_nsec, 222);
    assert_int_equal(fstatat(fd, "live/both", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_sec,
                     1000000000); /* the archive's, although something came in */
    assert_int_equal(fstatat(fd, "live", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1000000000);
    discard(bench);
    expect_text(bench, "live/both/kept", "kept");
}

static void a_cancelled_merge_can_be_discarded(void **state)
{
    struct bench *bench = *state;
    struct cancel cancel = {0};
    make_directory(bench->scratch.fd, "live");
    make_file(bench->scratch.fd, "live/f", "old");
    create(bench);
    finish(bench);
    cancel_set(&cancel);
    assert_int_equal(stage_merge_live(bench->stage, &cancel, &bench->err), -1);
    assert_int_equal(bench->err.code, ERROR_CANCELLED);
    error_clear(&bench->err);
    discard(bench);
    expect_text(bench, "live/f", "old");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(merge_adds_and_never_replaces),
        BENCH_TEST(a_cancelled_merge_can_be_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
