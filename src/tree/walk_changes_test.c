/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over files that change meanwhile.  Changes are made between two calls of the source,
 * where the walk has listed but not yet looked: no luck is needed for them.
 */
#include "tree/walk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "tree/walk_bench_test.h"

static void a_large_file_that_shrinks_is_padded_and_named(void **state)
{
    struct walk_bench *bench = *state;
    size_t size = 3 << 20;
    make_large_file(bench->scratch.fd, "big", size, 'x');
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "big");
    assert_int_equal(bench->entry.stored_bytes, size);
    size_t before = read_rest(bench, 1);
    scope_fd int fd = openat(bench->scratch.fd, "big", O_WRONLY);
    assert_int_equal(ftruncate(fd, 500 * 1000), 0);
    assert_int_equal(before + read_rest(bench, SIZE_MAX), size);
    assert_int_equal(bench->text.data[499999], 'x');
    assert_int_equal(bench->text.data[500000], 0);
    assert_int_equal(bench->text.data[size - 1], 0);
    expect_end(bench);
    expect_item(bench, "big", REPORT_CHANGED);
    assert_int_equal(bench->report.omissions, 1);
}

static void a_large_file_that_grows_is_a_prefix_and_named(void **state)
{
    struct walk_bench *bench = *state;
    size_t size = 3 << 20;
    make_large_file(bench->scratch.fd, "big", size, 'x');
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "big");
    scope_fd int fd = openat(bench->scratch.fd, "big", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "more", 4), 4);
    assert_int_equal(read_rest(bench, SIZE_MAX), size);
    expect_end(bench);
    expect_item(bench, "big", REPORT_CHANGED);
}

/* Same size, and the times put back as far as a program can: ctime tells. */
static void a_rewrite_in_place_is_seen(void **state)
{
    struct walk_bench *bench = *state;
    struct stat status;
    make_large_file(bench->scratch.fd, "big", 3 << 20, 'x');
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "big");
    read_rest(bench, 1);
    scope_fd int fd = openat(bench->scratch.fd, "big", O_WRONLY);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(pwrite(fd, "y", 1, 0), 1);
    struct timespec times[] = {status.st_atim, status.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    read_rest(bench, SIZE_MAX);
    expect_end(bench);
    expect_item(bench, "big", REPORT_CHANGED);
}

static void a_large_file_that_nobody_touches_is_not_named(void **state)
{
    struct walk_bench *bench = *state;
    make_large_file(bench->scratch.fd, "big", 3 << 20, 'x');
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "big");
    assert_int_equal(read_rest(bench, SIZE_MAX), 3 << 20);
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

static void what_vanishes_is_named(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "");
    make_file(fd, "b", "");
    make_directory(fd, "c");
    make_file(fd, "d", "");
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "a");
    assert_int_equal(unlinkat(fd, "b", 0), 0);
    assert_int_equal(unlinkat(fd, "c", AT_REMOVEDIR), 0);
    expect_entry(bench, "d");
    expect_end(bench);
    expect_item(bench, "b", REPORT_VANISHED);
    expect_item(bench, "c", REPORT_VANISHED);
}

static void a_listed_name_is_what_it_is_now(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "");
    make_file(fd, "b", "file");
    make_file(fd, "c", "file");
    make_file(fd, "d", "file");
    make_directory(fd, "e");
    make_file(fd, "e/inside", "");
    assert_int_equal(symlinkat("/etc/passwd", fd, "f"), 0);
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "a");
    assert_int_equal(unlinkat(fd, "b", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", fd, "b"), 0);
    assert_int_equal(unlinkat(fd, "c", 0), 0);
    assert_int_equal(mkfifoat(fd, "c", 0644), 0);
    assert_int_equal(unlinkat(fd, "d", 0), 0);
    make_directory(fd, "d");
    make_file(fd, "d/new", "");
    assert_int_equal(renameat(fd, "e", fd, "away"), 0);
    assert_int_equal(symlinkat("/etc", fd, "e"), 0);
    assert_int_equal(unlinkat(fd, "f", 0), 0);
    make_file(fd, "f", "mine");

    expect_entry(bench, "b");
    assert_int_equal(bench->entry.type, ENTRY_SYMLINK);
    expect_entry(bench, "d");
    assert_int_equal(bench->entry.type, ENTRY_DIRECTORY);
    expect_entry(bench, "d/new");
    expect_entry(bench, "e");
    assert_int_equal(bench->entry.type, ENTRY_SYMLINK);
    assert_string_equal(bench->entry.link.data, "/etc");
    expect_entry(bench, "f");
    assert_int_equal(bench->entry.type, ENTRY_FILE);
    read_rest(bench, SIZE_MAX);
    assert_string_equal(bench->text.data, "mine");
    expect_entry(bench, "away"); /* what was `e` is still there */
    expect_entry(bench, "away/inside");
    expect_end(bench);
    expect_item(bench, "c", REPORT_SKIPPED);
}

static void a_directory_that_is_moved_away_is_not_followed(void **state)
{
    struct walk_bench *bench = *state;
    struct scratch outside;
    scratch_make(&outside);
    int fd = bench->scratch.fd;
    make_directory(fd, "a");
    make_directory(fd, "a/b");
    make_file(fd, "a/b/x", "");
    make_directory(fd, "a/c");
    make_file(fd, "z", "");
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "a");
    expect_entry(bench, "a/b"); /* open, and about to be entered */
    assert_int_equal(renameat(fd, "a", outside.fd, "a"), 0);
    make_file(outside.fd, "a/b/secret", "");
    make_directory(outside.fd, "a/c/secret");
    /* What was opened below the root may still be listed; nothing is opened by a path out of it. */
    int more;
    while ((more = source_next(bench->source, &bench->entry, &bench->err)) > 0 &&
           strcmp(bench->entry.path.data, "z") != 0)
        assert_true(strncmp(bench->entry.path.data, "a/b/", 4) == 0);
    assert_int_equal(more, 1);
    expect_end(bench);
    expect_item(bench, "a/c", REPORT_VANISHED);
    scratch_remove(&outside);
}

/* A directory that is moved below its own child's sibling again and again. */
static void a_directory_that_moves_down_does_not_make_a_loop(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "a");
    make_directory(fd, "a/b");
    make_directory(fd, "a/b/c");
    make_file(fd, "a/b/c/x", "");
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "a");
    expect_entry(bench, "a/b");
    assert_int_equal(renameat(fd, "a/b", fd, "b"), 0);
    assert_int_equal(renameat(fd, "a", fd, "b/a"), 0);
    size_t entries = 0;
    bool has_file = false;
    while (source_next(bench->source, &bench->entry, &bench->err) > 0) {
        assert_true(++entries < 10);
        has_file = has_file || strcmp(bench->entry.path.data, "a/b/c/x") == 0;
    }
    assert_false(error_is_set(&bench->err));
    assert_true(has_file);
}

/* Renamed when a part of it is given: the rest comes all the same, and nothing twice under one path. */
static void a_directory_that_is_renamed_meanwhile_is_walked_to_its_end(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "m");
    make_directory(fd, "m/a");
    make_file(fd, "m/a/1", "");
    make_directory(fd, "m/b");
    make_directory(fd, "m/b/c");
    make_file(fd, "m/b/c/2", "");
    make_file(fd, "m/z", "");
    make_directory(fd, "y");
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "m");
    expect_entry(bench, "m/a");
    assert_int_equal(renameat(fd, "m", fd, "y/n"), 0);
    static const char *const rest[] = {"m/a/1",   "m/b",       "m/b/c", "m/b/c/2", "m/z",
                                       "y",       "y/n",       "y/n/a", "y/n/a/1", "y/n/b",
                                       "y/n/b/c", "y/n/b/c/2", "y/n/z"};
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        expect_entry(bench, rest[i]);
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

/* It goes from a directory that is still to come into one that is being walked. */
static void what_moves_up_behind_our_back_is_found(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "b", "");
    make_directory(fd, "z");
    make_directory(fd, "z/d");
    make_file(fd, "z/d/kept", "");
    make_file(fd, "z/f", "");
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "b");
    assert_int_equal(renameat(fd, "z/d", fd, "a"), 0);
    assert_int_equal(renameat(fd, "z/f", fd, "a/f"), 0);
    expect_entry(bench, "z");
    expect_entry(bench, "a");
    expect_entry(bench, "a/f");
    expect_entry(bench, "a/kept");
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

/* Closed on the way down, and another directory when it is opened again. */
static void a_directory_that_was_replaced_meanwhile_is_left(void **state)
{
    struct walk_bench *bench = *state;
    scope_fd int at = open_directory(bench->scratch.fd, ".");
    make_file(at, "z", "");
    for (int depth = 0; depth < WALK_OPEN_LEVELS + 5; depth++) {
        make_directory(at, "d");
        int next = open_directory(at, "d");
        make_file(next, "secret", "");
        close(at);
        at = next;
    }
    walk_start(bench);
    for (int depth = 0; depth < WALK_OPEN_LEVELS + 6; depth++) {
        assert_int_equal(source_next(bench->source, &bench->entry, &bench->err), 1);
        assert_int_equal(bench->entry.type, ENTRY_DIRECTORY);
    }
    assert_int_equal(renameat(bench->scratch.fd, "d", bench->scratch.fd, "old"), 0);
    make_directory(bench->scratch.fd, "d");
    make_file(bench->scratch.fd, "d/secret", "another");
    while (source_next(bench->source, &bench->entry, &bench->err) > 0)
        assert_string_not_equal(bench->entry.path.data, "d/secret");
    assert_false(error_is_set(&bench->err));
    expect_item(bench, "d", REPORT_VANISHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WALK_TEST(a_large_file_that_shrinks_is_padded_and_named),
        WALK_TEST(a_large_file_that_grows_is_a_prefix_and_named),
        WALK_TEST(a_rewrite_in_place_is_seen),
        WALK_TEST(a_large_file_that_nobody_touches_is_not_named),
        WALK_TEST(what_vanishes_is_named),
        WALK_TEST(a_listed_name_is_what_it_is_now),
        WALK_TEST(a_directory_that_is_moved_away_is_not_followed),
        WALK_TEST(a_directory_that_moves_down_does_not_make_a_loop),
        WALK_TEST(a_directory_that_is_renamed_meanwhile_is_walked_to_its_end),
        WALK_TEST(what_moves_up_behind_our_back_is_found),
        WALK_TEST(a_directory_that_was_replaced_meanwhile_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
