/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over real files that stay as they are: what is given, in which order, at what cost. */
#include "tree/walk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "tree/walk_bench_test.h"

enum {
    NOBODY = 65534
};

static void names_come_sorted_and_depth_first(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "b");
    make_directory(fd, "b/empty");
    make_file(fd, "b/x", "");
    make_file(fd, "b.txt", "");
    make_file(fd, "a", "");
    make_file(fd, "longer-than-eight-2", "");
    make_file(fd, "longer-than-eight-10", "");
    make_file(fd, "\xff\xfe", "");
    assert_int_equal(symlinkat("/nowhere", fd, "c"), 0);
    walk_start(bench);
    list_source(bench->source, &bench->text);
    assert_string_equal(bench->text.data,
                        " d: f:a d:b d:b/empty f:b/x f:b.txt l:c f:longer-than-eight-10"
                        " f:longer-than-eight-2 f:\xff\xfe");
    assert_int_equal(bench->report.omissions, 0);
}

static void many_names_come_sorted(void **state)
{
    struct walk_bench *bench = *state;
    for (int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%d-region", i * 7919 % 5000);
        make_file(bench->scratch.fd, name, "");
    }
    walk_start(bench);
    expect_entry(bench, "");
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(source_next(bench->source, &bench->entry, &bench->err), 1);
        assert_true(strcmp(bench->text.data, bench->entry.path.data) < 0);
        buf_clear(&bench->text);
        buf_add_str(&bench->text, bench->entry.path.data);
    }
    expect_end(bench);
}

static void attributes_are_those_of_the_file(void **state)
{
    struct walk_bench *bench = *state;
    struct timespec times[] = {{0}, {.tv_sec = -86400, .tv_nsec = 123456789}};
    make_file(bench->scratch.fd, "f", "12345");
    assert_int_equal(fchmodat(bench->scratch.fd, "f", 04751, 0), 0);
    assert_int_equal(utimensat(bench->scratch.fd, "f", times, 0), 0);
    walk_start(bench);
    expect_entry(bench, "");
    assert_int_equal(bench->entry.type, ENTRY_DIRECTORY);
    expect_entry(bench, "f");
    assert_int_equal(bench->entry.mode, 04751);
    assert_int_equal(bench->entry.uid, geteuid());
    assert_true(bench->entry.mtime_s == -86400);
    assert_int_equal(bench->entry.mtime_ns, 123456789);
    assert_int_equal(bench->entry.size_bytes, 5);
    read_rest(bench, SIZE_MAX);
    assert_string_equal(bench->text.data, "12345");
}

static void special_files_are_named_and_not_opened(void **state)
{
    struct walk_bench *bench = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(mkfifoat(bench->scratch.fd, "fifo", 0644), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", bench->scratch.path);
    scope_fd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    walk_start(bench);
    list_source(bench->source, &bench->text);
    assert_string_equal(bench->text.data, " d:");
    expect_item(bench, "fifo", REPORT_SKIPPED);
    expect_item(bench, "socket", REPORT_SKIPPED);
}

static void names_of_one_file_are_hard_links(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "content");
    make_directory(fd, "d");
    assert_int_equal(linkat(fd, "a", fd, "d/b", 0), 0);
    assert_int_equal(linkat(fd, "a", fd, "z", 0), 0);
    walk_start(bench);
    list_source(bench->source, &bench->text);
    assert_string_equal(bench->text.data, " d: f:a d:d h:d/b h:z");
}

static void a_declined_file_comes_under_its_next_name(void **state)
{
    struct walk_bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "content");
    assert_int_equal(linkat(fd, "a", fd, "b", 0), 0);
    assert_int_equal(linkat(fd, "a", fd, "c", 0), 0);
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "a");
    assert_true(source_decline(bench->source));
    expect_entry(bench, "b");
    assert_int_equal(bench->entry.type, ENTRY_FILE);
    read_rest(bench, SIZE_MAX);
    assert_string_equal(bench->text.data, "content");
    expect_entry(bench, "c");
    assert_int_equal(bench->entry.type, ENTRY_HARDLINK);
    assert_string_equal(bench->entry.link.data, "b");
    expect_end(bench);
}

static void a_skipped_directory_is_not_entered(void **state)
{
    struct walk_bench *bench = *state;
    make_directory(bench->scratch.fd, "a");
    make_file(bench->scratch.fd, "a/x", "");
    make_file(bench->scratch.fd, "b", "");
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "a");
    source_skip_directory(bench->source);
    expect_entry(bench, "b");
    expect_end(bench);
}

static void holes_are_found_in_files_of_every_size(void **state)
{
    struct walk_bench *bench = *state;
    static const off_t sizes[] = {512 * 1024, 64 << 20};
    static const char *const names[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        make_file(bench->scratch.fd, names[i], "begin");
        scope_fd int fd = openat(bench->scratch.fd, names[i], O_WRONLY);
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        assert_int_equal(pwrite(fd, "end", 3, sizes[i] - 3), 3);
    }
    scope_fd int hole_fd = openat(bench->scratch.fd, "c", O_WRONLY | O_CREAT, 0644);
    assert_int_equal(ftruncate(hole_fd, 10 << 20), 0);
    walk_start(bench);
    expect_entry(bench, "");
    for (int i = 0; i < 2; i++) {
        expect_entry(bench, names[i]);
        if (bench->entry.extents == NULL)
            return without("a file system with holes");
        assert_int_equal(bench->entry.size_bytes, sizes[i]);
        assert_int_equal(bench->entry.extent_count, 2);
        buf_clear(&bench->text);
        assert_int_equal(read_rest(bench, SIZE_MAX), bench->entry.stored_bytes);
        assert_true(bench->text.length < 200 * 1024);
        assert_memory_equal(bench->text.data, "begin", 5);
        assert_memory_equal(bench->text.data + bench->text.length - 3, "end", 3);
    }
    expect_entry(bench, "c");
    assert_int_equal(bench->entry.stored_bytes, 0);
    assert_non_null(bench->entry.extents);
    assert_int_equal(bench->entry.size_bytes, 10 << 20);
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

/* A byte at the end of every `spacing` bytes. */
static void make_pieces(int dir_fd, const char *name, int count, off_t spacing)
{
    scope_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT, 0644);
    for (int i = 1; i <= count; i++)
        assert_int_equal(pwrite(fd, "x", 1, i * spacing - 1), 1);
}

static void too_many_pieces_lose_small_holes_but_never_cost_endless_zeros(void **state)
{
    struct walk_bench *bench = *state;
    enum {
        PIECES = ENTRY_EXTENTS_MAX + 100
    };
    make_pieces(bench->scratch.fd, "dense", PIECES, 8192);
    make_pieces(bench->scratch.fd, "endless", PIECES, 1 << 20);
    walk_start(bench);
    expect_entry(bench, "");
    expect_entry(bench, "dense");
    if (bench->entry.extents == NULL && bench->entry.stored_bytes == bench->entry.size_bytes)
        return without("a file system with holes");
    assert_int_equal(bench->entry.size_bytes, (uint64_t)PIECES * 8192);
    assert_in_range(bench->entry.extent_count, 1, ENTRY_EXTENTS_MAX);
    assert_in_range(bench->entry.stored_bytes, (uint64_t)PIECES * 4096, (uint64_t)PIECES * 8192);
    char chunk[3 * 8192];
    assert_int_equal(source_read(bench->source, chunk, sizeof(chunk), &bench->err), sizeof(chunk));
    assert_memory_equal(chunk, (char[4095]){0}, 4095);
    assert_int_equal(chunk[4095], 'x'); /* the first hole is in front, and stays one */
    expect_end(bench);
    expect_item(bench, "endless", REPORT_UNREADABLE);
    assert_int_equal(bench->report.omissions, 1);
}

static void deep_trees_take_few_descriptors(void **state)
{
    struct walk_bench *bench = *state;
    scope_fd int at = open_directory(bench->scratch.fd, ".");
    for (int depth = 1; depth <= ENTRY_DEPTH_MAX + 3; depth++) {
        make_directory(at, "d");
        make_file(at, "e", "");
        int next = open_directory(at, "d");
        close(at);
        at = next;
    }
    struct rlimit before, few = {.rlim_cur = WALK_OPEN_LEVELS + 40};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    walk_start(bench);
    size_t directories = 0, files = 0;
    while (source_next(bench->source, &bench->entry, &bench->err) > 0) {
        directories += bench->entry.type == ENTRY_DIRECTORY;
        files += bench->entry.type == ENTRY_FILE;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(error_is_set(&bench->err));
    assert_int_equal(directories, ENTRY_DEPTH_MAX + 1);
    assert_int_equal(files, ENTRY_DEPTH_MAX);     /* those above come back after their directory */
    assert_int_equal(bench->report.omissions, 2); /* d and e, one too deep */
}

/* Root reads everything: so it is nobody who walks. */
static void unreadable_objects_are_named(void **state)
{
    struct walk_bench *bench = *state;
    uid_t self = geteuid();
    make_file(bench->scratch.fd, "a", "");
    make_directory(bench->scratch.fd, "b");
    make_file(bench->scratch.fd, "b/hidden", "");
    make_file(bench->scratch.fd, "c", "");
    assert_int_equal(fchmodat(bench->scratch.fd, "a", 0, 0), 0);
    assert_int_equal(fchmodat(bench->scratch.fd, "b", 0, 0), 0);
    assert_int_equal(fchmod(bench->scratch.fd, 0755), 0);
    if (self == 0)
        assert_int_equal(seteuid(NOBODY), 0);
    walk_start(bench);
    list_source(bench->source, &bench->text);
    assert_int_equal(seteuid(self), 0);
    assert_int_equal(fchmodat(bench->scratch.fd, "b", 0755, 0), 0);
    assert_string_equal(bench->text.data, " d: d:b f:c");
    expect_item(bench, "a", REPORT_UNREADABLE);
    expect_item(bench, "b", REPORT_UNREADABLE);
}

static void only_a_directory_can_be_walked(void **state)
{
    struct walk_bench *bench = *state;
    struct walk_options options = {0};
    make_file(bench->scratch.fd, "f", "");
    scope_fd int fd = openat(bench->scratch.fd, "f", O_RDONLY);
    assert_null(walk_open(fd, &options, &bench->err));
    assert_int_equal(bench->err.code, ERROR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WALK_TEST(names_come_sorted_and_depth_first),
        WALK_TEST(many_names_come_sorted),
        WALK_TEST(attributes_are_those_of_the_file),
        WALK_TEST(special_files_are_named_and_not_opened),
        WALK_TEST(names_of_one_file_are_hard_links),
        WALK_TEST(a_declined_file_comes_under_its_next_name),
        WALK_TEST(a_skipped_directory_is_not_entered),
        WALK_TEST(holes_are_found_in_files_of_every_size),
        WALK_TEST(too_many_pieces_lose_small_holes_but_never_cost_endless_zeros),
        WALK_TEST(deep_trees_take_few_descriptors),
        WALK_TEST(unreadable_objects_are_named),
        WALK_TEST(only_a_directory_can_be_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
