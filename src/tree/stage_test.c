/* SPDX-License-Identifier: Apache-2.0 */
/* The stage as a sink: round trips of real trees, hostile streams, limits. */
#include "tree/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "tree/bench_test.h"
#include "tree/walk.h"

static void make_every_kind(int fd)
{
    char name[ENTRY_NAME_MAX_BYTES + 1] = {0};
    memset(name, 'n', ENTRY_NAME_MAX_BYTES);
    make_file(fd, name, "a long name");
    make_file(fd, "\xff\xfe not utf-8\n", "odd name");
    make_file(fd, "empty", "");
    make_file(fd, "odd mode", "x");
    assert_int_equal(fchmodat(fd, "odd mode", 01604, 0), 0);
    make_large_file(fd, "large", 5 * 1000 * 1000 + 17, 'l');
    make_directory(fd, "dir");
    make_directory(fd, "dir/empty");
    make_file(fd, "dir/first name", "shared");
    assert_int_equal(linkat(fd, "dir/first name", fd, "second name", 0), 0);
    assert_int_equal(linkat(fd, "dir/first name", fd, "dir/third name", 0), 0);
    assert_int_equal(symlinkat("dir", fd, "good link"), 0);
    assert_int_equal(symlinkat("../nowhere/\xff", fd, "dangling link"), 0);
    assert_int_equal(symlinkat("/etc/passwd", fd, "absolute link"), 0);
    make_file(fd, "sparse", "begin");
    scope_fd int sparse = openat(fd, "sparse", O_WRONLY);
    assert_int_equal(ftruncate(sparse, 100 << 20), 0);
    assert_int_equal(pwrite(sparse, "middle", 6, 40 << 20), 6);
    set_time(fd, "empty", -1000000, 987654321);
    set_time(fd, "good link", 12345, 1);
    set_time(fd, "dir/empty", 500, 500);
    assert_int_equal(fchmodat(fd, "dir/empty", 0711, 0), 0);
    assert_int_equal(fchmodat(fd, "dir", 0555, 0), 0);
    set_time(fd, "dir", 1234567890, 123456789);
    if (geteuid() == 0) {
        assert_int_equal(fchownat(fd, "empty", 1234, 5678, 0), 0);
        assert_int_equal(fchownat(fd, "good link", 4321, 8765, AT_SYMLINK_NOFOLLOW), 0);
    }
    set_time(fd, ".", 777777777, 7);
}

static void copy_tree(struct bench *bench, int from_fd)
{
    struct walk_options options = {.wants_holes = true};
    struct source *source = walk_open(from_fd, &options, &bench->err);
    struct copy_options copy = {0};
    assert_non_null(source);
    if (copy_entries(source, bench->sink, &copy, &bench->report, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
    source_free(source);
}

static void every_kind_survives_a_round_trip(void **state)
{
    struct bench *bench = *state;
    make_directory(bench->scratch.fd, "from");
    scope_fd int from_fd = open_directory(bench->scratch.fd, "from");
    make_every_kind(from_fd);
    create(bench);
    copy_tree(bench, from_fd);
    assert_int_equal(bench->report.omissions, 0);
    assert_int_equal(bench->report.hardlinks, 2);
    exchange(bench);
    scope_fd int live_fd = open_directory(bench->scratch.fd, "live");
    assert_same_tree(from_fd, live_fd);
    assert_int_equal(fchmodat(from_fd, "dir", 0755, 0), 0);
    assert_int_equal(fchmodat(live_fd, "dir", 0755, 0), 0);
    discard(bench);
    assert_true(exists(bench, "live"));
}

static void links_do_not_lead_out(void **state)
{
    struct bench *bench = *state;
    make_directory(bench->scratch.fd, "outside");
    make_file(bench->scratch.fd, "outside/f", "untouched");
    create(bench);
    PUT(ENTRY_SYMLINK, "a", "../outside");
    assert_int_equal(put(bench, ENTRY_FILE, "a/x", "evil"), -1);
    assert_int_equal(bench->err.code, ERROR_DENIED);
    assert_int_equal(put(bench, ENTRY_DIRECTORY, "a/x", ""), -1);
    assert_int_equal(bench->err.code, ERROR_DENIED);
    assert_int_equal(put(bench, ENTRY_DIRECTORY, "a/x/y", ""), -1);
    assert_int_equal(bench->err.code, ERROR_DENIED);
    assert_int_equal(put(bench, ENTRY_SYMLINK, "a/x", "y"), -1);
    assert_int_equal(bench->err.code, ERROR_DENIED);
    assert_int_equal(put(bench, ENTRY_HARDLINK, "h", "a/f"), -1);
    assert_int_equal(bench->err.code, ERROR_DENIED);
    assert_int_equal(put(bench, ENTRY_HARDLINK, "a/h", "a"), 0); /* no file: refused, not made */
    assert_non_null(find_item(&bench->report, "a/h"));
    scope_fd int outside = open_directory(bench->scratch.fd, "outside");
    buf_clear(&bench->text);
    manifest(outside, &bench->text);
    assert_null(strstr(bench->text.data, "/x"));
    expect_text(bench, "outside/f", "untouched");
}

static void escapes_are_denied(void **state)
{
    static const char *const paths[] = {"..", "../x", "a/../../x", "/x", "a//b", "./a", "a/"};
    struct bench *bench = *state;
    create(bench);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(put(bench, ENTRY_FILE, paths[i], "evil"), -1);
        assert_int_equal(bench->err.code, ERROR_DENIED);
        assert_int_equal(put(bench, ENTRY_HARDLINK, "h", paths[i]), -1);
        assert_int_equal(bench->err.code, ERROR_DENIED);
    }
    assert_false(exists(bench, "x"));
}

/* A file is replaced by a link to a file outside, then comes again: the link goes, its target stays. */
static void a_link_in_the_place_of_a_file_is_replaced(void **state)
{
    struct bench *bench = *state;
    make_file(bench->scratch.fd, "outside", "untouched");
    create(bench);
    PUT(ENTRY_SYMLINK, "f", "../outside");
    PUT(ENTRY_FILE, "f", "new");
    PUT(ENTRY_SYMLINK, "d", "..");
    PUT(ENTRY_DIRECTORY, "d", "");
    PUT(ENTRY_FILE, "d/outside", "inside");
    finish(bench);
    exchange(bench);
    expect_text(bench, "outside", "untouched");
    expect_text(bench, "live/f", "new");
    expect_text(bench, "live/d/outside", "inside");
}

static void what_comes_twice_is_what_came_last(void **state)
{
    struct bench *bench = *state;
    create(bench);
    PUT(ENTRY_FILE, "f", "one");
    PUT(ENTRY_HARDLINK, "same", "f");
    PUT(ENTRY_FILE, "f", "two");
    PUT(ENTRY_DIRECTORY, "d", "");
    PUT(ENTRY_FILE, "d/x", "x");
    PUT(ENTRY_DIRECTORY, "d", "");
    PUT(ENTRY_DIRECTORY, "e", "");
    PUT(ENTRY_FILE, "e/x", "x");
    PUT(ENTRY_FILE, "e", "a file now");
    PUT(ENTRY_HARDLINK, "f", "f"); /* itself */
    PUT(ENTRY_HARDLINK, "d", "f"); /* not in the place of a directory */
    PUT(ENTRY_SYMLINK, "l", "1");
    PUT(ENTRY_SYMLINK, "l", "2");
    finish(bench);
    exchange(bench);
    expect_text(bench, "live/f", "two");
    expect_text(bench, "live/same", "one");
    expect_text(bench, "live/d/x", "x");
    expect_text(bench, "live/e", "a file now");
    assert_int_equal(find_item(&bench->report, "d")->kind, REPORT_REFUSED);
    assert_int_equal(bench->report.omissions, 1);
}

static void a_path_below_a_file_is_invalid(void **state)
{
    struct bench *bench = *state;
    create(bench);
    PUT(ENTRY_FILE, "f", "one");
    assert_int_equal(put(bench, ENTRY_FILE, "f/x", "two"), -1);
    assert_int_equal(bench->err.code, ERROR_INVALID);
    assert_int_equal(put(bench, ENTRY_FILE, "f/x/y", "two"), -1);
    assert_int_equal(bench->err.code, ERROR_INVALID);
}

/* As in archives of Wings: files only. */
static void missing_directories_are_made(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    make_directory(bench->scratch.fd, "live");
    assert_int_equal(fchmodat(bench->scratch.fd, "live", 0750, 0), 0);
    set_time(bench->scratch.fd, "live", 4711, 0);
    create(bench);
    PUT(ENTRY_FILE, "a/b/c/f", "deep");
    PUT(ENTRY_FILE, "a/b/g", "less");
    finish(bench);
    exchange(bench);
    assert_int_equal(fstatat(bench->scratch.fd, "live", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0750); /* as the live root was */
    assert_int_equal(status.st_mtim.tv_sec, 4711);
    assert_int_equal(fstatat(bench->scratch.fd, "live/a/b", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    expect_text(bench, "live/a/b/c/f", "deep");
}

/* Children first, as some archivers write them: modes and times are those of the entries all the same. */
static void directories_may_come_in_any_order(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    create(bench);
    PUT(ENTRY_FILE, "a/b/f", "x");
    PUT(ENTRY_DIRECTORY, "a/b", "");
    PUT(ENTRY_DIRECTORY, "a", "");
    PUT(ENTRY_FILE, "a/g", "x");
    PUT(ENTRY_DIRECTORY, "", "");
    finish(bench);
    static const char *const paths[] = {"stage/tree", "stage/tree/a", "stage/tree/a/b",
                                        "stage/tree/a/b/f"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fstatat(bench->scratch.fd, paths[i], &status, 0), 0);
        assert_int_equal(status.st_mtim.tv_sec, 1000000000);
        assert_int_equal(status.st_mode & 07777, i < 3 ? 0755 : 0644);
    }
}

static void set_id_bits_go_unless_wanted(void **state)
{
    struct bench *bench = *state;
    for (unsigned wanted = 0; wanted < 2; wanted++) {
        struct stat status;
        create_with(bench, &(struct stage_options){.flags = wanted ? STAGE_KEEP_SET_ID : 0});
        PUT(ENTRY_FILE, "a", "x");
        PUT(ENTRY_FILE, "b", "");
        entry_clear(&bench->entry);
        buf_add_str(&bench->entry.path, "suid");
        bench->entry.mode = 06755;
        bench->entry.uid = geteuid();
        bench->entry.gid = getegid();
        assert_int_equal(sink_entry(bench->sink, &bench->entry, &bench->err), 0);
        finish(bench);
        assert_int_equal(fstatat(bench->scratch.fd, "stage/tree/suid", &status, 0), 0);
        assert_int_equal(status.st_mode & 07777, wanted ? 06755 : 0755);
        assert_int_equal(bench->report.omissions, 1); /* of the first turn */
        discard(bench);
        stage_free(bench->stage);
    }
    bench->stage = NULL;
    assert_int_equal(find_item(&bench->report, "suid")->kind, REPORT_ALTERED);
}

static void owners_can_be_the_live_roots(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    if (geteuid() != 0)
        return without("root");
    make_directory(bench->scratch.fd, "live");
    assert_int_equal(fchownat(bench->scratch.fd, "live", 988, 987, 0), 0);
    create_with(bench, &(struct stage_options){.flags = STAGE_OWNER_OF_ROOT});
    PUT(ENTRY_FILE, "implicit/f", "x");
    PUT(ENTRY_SYMLINK, "l", "x");
    PUT(ENTRY_DIRECTORY, "d", "");
    finish(bench);
    static const char *const paths[] = {"stage/tree", "stage/tree/implicit",
                                        "stage/tree/implicit/f", "stage/tree/l", "stage/tree/d"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(fstatat(bench->scratch.fd, paths[i], &status, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(status.st_uid, 988);
        assert_int_equal(status.st_gid, 987);
    }
}

static void the_limit_holds_before_anything_is_written(void **state)
{
    struct bench *bench = *state;
    create_with(bench, &(struct stage_options){.limit_bytes = 10});
    PUT(ENTRY_FILE, "a", "123456");
    assert_int_equal(put(bench, ENTRY_FILE, "b", "12345"), -1);
    assert_int_equal(bench->err.code, ERROR_LIMIT);
    PUT(ENTRY_FILE, "b", "1234");
    assert_int_equal(put(bench, ENTRY_FILE, "c", "1"), -1);
    assert_false(exists(bench, "stage/tree/c"));
}

/* Whatever it is: a name takes room, and so do the directories that nobody named. */
static void objects_without_content_count(void **state)
{
    static const struct {
        enum entry_type type;
        const char *path, *content;
    } rows[] = {{ENTRY_FILE, "f", ""},      {ENTRY_FILE, "small", "12345"},
                {ENTRY_DIRECTORY, "d", ""}, {ENTRY_SYMLINK, "l", "f"},
                {ENTRY_HARDLINK, "h", "f"}, {ENTRY_FILE, "f", ""}};
    struct bench *bench = *state;
    enum {
        COUNT = sizeof(rows) / sizeof(rows[0])
    };
    create_with(bench, &(struct stage_options){.limit_objects = COUNT});
    for (size_t i = 0; i < COUNT; i++)
        PUT(rows[i].type, rows[i].path, rows[i].content);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(put(bench, rows[i].type, "one more", rows[i].content), -1);
        assert_int_equal(bench->err.code, ERROR_LIMIT);
    }
    stage_free(bench->stage);
    assert_int_equal(beneath_remove_tree(bench->scratch.fd, "stage", &bench->err), 0);

    create_with(bench, &(struct stage_options){.limit_objects = 10});
    PUT(ENTRY_FILE, "1/2/3/4/5/6/7/8/9/f", "");
    assert_int_equal(put(bench, ENTRY_DIRECTORY, "d", ""), -1);
    assert_int_equal(bench->err.code, ERROR_LIMIT);
}

static void the_reserve_is_left_to_the_neighbours(void **state)
{
    struct bench *bench = *state;
    struct stage_options options = {.reserve_bytes = UINT64_MAX};
    char name[16];
    create_with(bench, &options);
    scope_free char *much = xcalloc(1, (9 << 20) + 1);
    memset(much, 'x', 9 << 20);
    assert_int_equal(put(bench, ENTRY_FILE, "large", much), -1);
    assert_int_equal(bench->err.code, ERROR_NO_SPACE);
    stage_free(bench->stage);
    assert_int_equal(beneath_remove_tree(bench->scratch.fd, "stage", &bench->err), 0);

    create_with(bench, &options);
    int result = 0, count = 0;
    for (; result == 0 && count < 5000; count++) {
        snprintf(name, sizeof(name), "%d", count);
        result = put(bench, ENTRY_FILE, name, "");
    }
    assert_int_equal(result, -1);
    assert_int_equal(bench->err.code, ERROR_NO_SPACE);
    assert_in_range(count, 1000, 3000);
}

static void holes_do_not_count_and_take_no_room(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    struct extent extents[] = {{0, 2}, {(uint64_t)1 << 34, 3}};
    create_with(bench, &(struct stage_options){.limit_bytes = 5});
    buf_add_str(&bench->entry.path, "s");
    bench->entry.size_bytes = ((uint64_t)1 << 34) + 10;
    bench->entry.mode = 0600;
    bench->entry.uid = geteuid();
    bench->entry.gid = getegid();
    assert_int_equal(entry_set_extents(&bench->entry, extents, 2, &bench->err), 0);
    assert_int_equal(sink_entry(bench->sink, &bench->entry, &bench->err), 0);
    assert_int_equal(sink_write(bench->sink, "abc", 3, &bench->err), 0);
    assert_int_equal(sink_write(bench->sink, "de", 2, &bench->err), 0);
    finish(bench);
    assert_int_equal(fstatat(bench->scratch.fd, "stage/tree/s", &status, 0), 0);
    assert_true(status.st_size == ((off_t)1 << 34) + 10);
    assert_true(status.st_blocks < 1000);
    char bytes[4] = {0};
    scope_fd int fd = openat(bench->scratch.fd, "stage/tree/s", O_RDONLY);
    assert_int_equal(pread(fd, bytes, 3, (off_t)1 << 34), 3);
    assert_string_equal(bytes, "cde");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(every_kind_survives_a_round_trip),
        BENCH_TEST(links_do_not_lead_out),
        BENCH_TEST(escapes_are_denied),
        BENCH_TEST(a_link_in_the_place_of_a_file_is_replaced),
        BENCH_TEST(what_comes_twice_is_what_came_last),
        BENCH_TEST(a_path_below_a_file_is_invalid),
        BENCH_TEST(missing_directories_are_made),
        BENCH_TEST(directories_may_come_in_any_order),
        BENCH_TEST(set_id_bits_go_unless_wanted),
        BENCH_TEST(owners_can_be_the_live_roots),
        BENCH_TEST(the_limit_holds_before_anything_is_written),
        BENCH_TEST(objects_without_content_count),
        BENCH_TEST(the_reserve_is_left_to_the_neighbours),
        BENCH_TEST(holes_do_not_count_and_take_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
