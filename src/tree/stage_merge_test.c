/* SPDX-License-Identifier: Apache-2.0 */
/* What the live directory has besides is merged into the stage. */
#include "tree/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tree/bench_test.h"

static void merge(struct bench *bench, const struct merge_options *options)
{
    if (stage_merge_live(bench->stage, options, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
}

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
    merge(bench, &(struct merge_options){0});
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
    assert_int_equal(
        stage_merge_live(bench->stage, &(struct merge_options){.cancel = &cancel}, &bench->err),
        -1);
    assert_int_equal(bench->err.code, ERROR_CANCELLED);
    error_clear(&bench->err);
    discard(bench);
    expect_text(bench, "live/f", "old");
}

static struct selection *selection_of(const char *first, const char *second)
{
    struct error err = ERROR_INIT;
    struct selection *selection = selection_new();
    assert_int_equal(selection_add(selection, slice_str(first), &err), 0);
    assert_int_equal(selection_add(selection, slice_str(second), &err), 0);
    return selection;
}

static void make_live_world(int fd)
{
    make_directory(fd, "live");
    make_directory(fd, "live/world");
    make_directory(fd, "live/world/region");
    make_file(fd, "live/world/region/old", "old");
    make_file(fd, "live/world/region/both", "old");
    make_file(fd, "live/world/level.dat", "old");
    make_file(fd, "live/world/session", "live");
    make_file(fd, "live/other", "live");
    assert_int_equal(fchmodat(fd, "live/world", 0710, 0), 0);
    set_time(fd, "live/world", 333, 444);
    set_time(fd, "live", 555, 666);
}

static void stage_the_selected(struct bench *bench)
{
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "world", "");
    PUT(ENTRY_FILE, "world/level.dat", "new");
    PUT(ENTRY_DIRECTORY, "world/region", "");
    PUT(ENTRY_FILE, "world/region/both", "new");
    finish(bench);
}

/* What all restores of a selection have in common: it is new, everything beside it is as it was. */
static void expect_the_rest_as_it_was(struct bench *bench)
{
    struct stat status;
    int fd = bench->scratch.fd;
    expect_text(bench, "live/world/level.dat", "new");
    expect_text(bench, "live/world/region/both", "new");
    expect_text(bench, "live/world/session", "live");
    expect_text(bench, "live/other", "live");
    assert_int_equal(fstatat(fd, "live/world", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0710);
    assert_int_equal(status.st_mtim.tv_sec, 333);
    assert_int_equal(fstatat(fd, "live", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_sec, 555);
    assert_int_equal(fstatat(fd, "live/world/region", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1000000000); /* that one is the archive's */
}

static void what_is_selected_is_replaced_and_nothing_else(void **state)
{
    struct bench *bench = *state;
    scope_selection struct selection *selection = selection_of("world/level.dat", "world/region");
    make_live_world(bench->scratch.fd);
    stage_the_selected(bench);
    merge(bench, &(struct merge_options){.staged = selection, .except = selection});
    exchange(bench);
    expect_the_rest_as_it_was(bench);
    assert_false(exists(bench, "live/world/region/old"));
}

static void what_is_selected_can_be_merged_too(void **state)
{
    struct bench *bench = *state;
    scope_selection struct selection *selection = selection_of("world/level.dat", "world/region");
    make_live_world(bench->scratch.fd);
    stage_the_selected(bench);
    merge(bench, &(struct merge_options){.staged = selection});
    exchange(bench);
    expect_the_rest_as_it_was(bench);
    expect_text(bench, "live/world/region/old", "old");
}

/* A file takes the place of a selected directory, and a directory that of a selected file. */
static void what_is_selected_may_change_its_type(void **state)
{
    struct bench *bench = *state;
    scope_selection struct selection *selection = selection_of("d", "f");
    make_directory(bench->scratch.fd, "live");
    make_directory(bench->scratch.fd, "live/d");
    make_file(bench->scratch.fd, "live/d/x", "old");
    make_file(bench->scratch.fd, "live/f", "old");
    create(bench);
    PUT(ENTRY_FILE, "d", "new");
    PUT(ENTRY_DIRECTORY, "f", "");
    PUT(ENTRY_FILE, "f/x", "new");
    finish(bench);
    merge(bench, &(struct merge_options){.staged = selection, .except = selection});
    exchange(bench);
    expect_text(bench, "live/d", "new");
    expect_text(bench, "live/f/x", "new");
}

/* "Everything else stays" cannot be kept there: so nothing is done. */
static void what_is_on_the_way_is_not_lost(void **state)
{
    struct bench *bench = *state;
    scope_selection struct selection *selection = selection_of("world/level.dat", "x");
    struct merge_options options = {.staged = selection, .except = selection};
    make_directory(bench->scratch.fd, "live");
    assert_int_equal(symlinkat("/elsewhere", bench->scratch.fd, "live/world"), 0);
    create(bench);
    PUT(ENTRY_DIRECTORY, "world", "");
    PUT(ENTRY_FILE, "world/level.dat", "new");
    finish(bench);
    assert_int_equal(stage_merge_live(bench->stage, &options, &bench->err), -1);
    assert_int_equal(bench->err.code, ERROR_INVALID);
    assert_non_null(strstr(bench->err.text, "'world' is no directory"));
    error_clear(&bench->err);
    discard(bench);
    assert_true(exists(bench, "live/world"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(merge_adds_and_never_replaces),
        BENCH_TEST(what_is_selected_is_replaced_and_nothing_else),
        BENCH_TEST(what_is_selected_can_be_merged_too),
        BENCH_TEST(what_is_selected_may_change_its_type),
        BENCH_TEST(what_is_on_the_way_is_not_lost),
        BENCH_TEST(a_cancelled_merge_can_be_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
