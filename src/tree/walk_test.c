/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over real files.  Changes are made between two calls of the source,
 * where the walk has listed but not yet looked: no luck is needed for them.
 */
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
#include "tree/scratch_test.h"

enum {
    NOBODY = 65534
};

struct bench {
    struct scratch scratch;
    struct source *source;
    struct report report;
    struct entry entry;
    struct error err;
    struct buf text;
};

static int bench_begin(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    scratch_make(&bench->scratch);
    report_init(&bench->report);
    entry_init(&bench->entry);
    bench->text = (struct buf)BUF_INIT;
    *state = bench;
    return 0;
}

static int bench_end(void **state)
{
    struct bench *bench = *state;
    source_free(bench->source);
    scratch_remove(&bench->scratch);
    report_free(&bench->report);
    entry_free(&bench->entry);
    buf_free(&bench->text);
    free(bench);
    return 0;
}

static void start(struct bench *bench)
{
    struct walk_options options = {.wants_holes = true};
    bench->source = walk_open(bench->scratch.fd, &options, &bench->err);
    assert_non_null(bench->source);
    bench->source->report = &bench->report;
}

/* The next entry must be this one. */
static void expect(struct bench *bench, const char *path)
{
    int more = source_next(bench->source, &bench->entry, &bench->err);
    if (more < 0)
        fail_msg("%s", bench->err.text);
    assert_int_equal(more, 1);
    assert_string_equal(bench->entry.path.data, path);
}

static void expect_end(struct bench *bench)
{
    assert_int_equal(source_next(bench->source, &bench->entry, &bench->err), 0);
    assert_int_equal(source_next(bench->source, &bench->entry, &bench->err), 0);
}

/* The rest of the current content, into bench->text; how much. */
static size_t read_rest(struct bench *bench, size_t at_most)
{
    static char bytes[100 * 1000];
    ssize_t got;
    size_t total = 0;
    while (total < at_most &&
           (got = source_read(bench->source, bytes, sizeof(bytes), &bench->err)) != 0) {
        assert_true(got > 0);
        buf_add(&bench->text, bytes, (size_t)got);
        total += (size_t)got;
    }
    return total;
}

static void expect_item(struct bench *bench, const char *path, enum report_kind kind)
{
    const struct report_item *item = find_item(&bench->report, path);
    if (item == NULL)
        fail_msg("'%s' is not in the report", path);
    assert_int_equal(item->kind, kind);
}

static void names_come_sorted_and_depth_first(void **state)
{
    struct bench *bench = *state;
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
    start(bench);
    list_source(bench->source, &bench->text);
    assert_string_equal(bench->text.data,
                        " d: f:a d:b d:b/empty f:b/x f:b.txt l:c f:longer-than-eight-10"
                        " f:longer-than-eight-2 f:\xff\xfe");
    assert_int_equal(bench->report.omissions, 0);
}

static void many_names_come_sorted(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%d-region", i * 7919 % 5000);
        make_file(bench->scratch.fd, name, "");
    }
    start(bench);
    expect(bench, "");
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
    struct bench *bench = *state;
    struct timespec times[] = {{0}, {.tv_sec = -86400, .tv_nsec = 123456789}};
    make_file(bench->scratch.fd, "f", "12345");
    assert_int_equal(fchmodat(bench->scratch.fd, "f", 04751, 0), 0);
    assert_int_equal(utimensat(bench->scratch.fd, "f", times, 0), 0);
    start(bench);
    expect(bench, "");
    assert_int_equal(bench->entry.type, ENTRY_DIRECTORY);
    expect(bench, "f");
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
    struct bench *bench = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(mkfifoat(bench->scratch.fd, "fifo", 0644), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", bench->scratch.path);
    scope_fd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    start(bench);
    list_source(bench->source, &bench->text);
    assert_string_equal(bench->text.data, " d:");
    expect_item(bench, "fifo", REPORT_SKIPPED);
    expect_item(bench, "socket", REPORT_SKIPPED);
}

static void names_of_one_file_are_hard_links(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "content");
    make_directory(fd, "d");
    assert_int_equal(linkat(fd, "a", fd, "d/b", 0), 0);
    assert_int_equal(linkat(fd, "a", fd, "z", 0), 0);
    start(bench);
    list_source(bench->source, &bench->text);
    assert_string_equal(bench->text.data, " d: f:a d:d h:d/b h:z");
}

static void a_declined_file_comes_under_its_next_name(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "content");
    assert_int_equal(linkat(fd, "a", fd, "b", 0), 0);
    assert_int_equal(linkat(fd, "a", fd, "c", 0), 0);
    start(bench);
    expect(bench, "");
    expect(bench, "a");
    assert_true(source_decline(bench->source));
    expect(bench, "b");
    assert_int_equal(bench->entry.type, ENTRY_FILE);
    read_rest(bench, SIZE_MAX);
    assert_string_equal(bench->text.data, "content");
    expect(bench, "c");
    assert_int_equal(bench->entry.type, ENTRY_HARDLINK);
    assert_string_equal(bench->entry.link.data, "b");
    expect_end(bench);
}

static void a_skipped_directory_is_not_entered(void **state)
{
    struct bench *bench = *state;
    make_directory(bench->scratch.fd, "a");
    make_file(bench->scratch.fd, "a/x", "");
    make_file(bench->scratch.fd, "b", "");
    start(bench);
    expect(bench, "");
    expect(bench, "a");
    source_skip_directory(bench->source);
    expect(bench, "b");
    expect_end(bench);
}

static void holes_are_found_in_files_of_every_size(void **state)
{
    struct bench *bench = *state;
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
    start(bench);
    expect(bench, "");
    for (int i = 0; i < 2; i++) {
        expect(bench, names[i]);
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
    expect(bench, "c");
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
    struct bench *bench = *state;
    enum {
        PIECES = ENTRY_EXTENTS_MAX + 100
    };
    make_pieces(bench->scratch.fd, "dense", PIECES, 8192);
    make_pieces(bench->scratch.fd, "endless", PIECES, 1 << 20);
    start(bench);
    expect(bench, "");
    expect(bench, "dense");
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

static void a_large_file_that_shrinks_is_padded_and_named(void **state)
{
    struct bench *bench = *state;
    size_t size = 3 << 20;
    make_large_file(bench->scratch.fd, "big", size, 'x');
    start(bench);
    expect(bench, "");
    expect(bench, "big");
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
    struct bench *bench = *state;
    size_t size = 3 << 20;
    make_large_file(bench->scratch.fd, "big", size, 'x');
    start(bench);
    expect(bench, "");
    expect(bench, "big");
    scope_fd int fd = openat(bench->scratch.fd, "big", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "more", 4), 4);
    assert_int_equal(read_rest(bench, SIZE_MAX), size);
    expect_end(bench);
    expect_item(bench, "big", REPORT_CHANGED);
}

/* Same size, and the times put back as far as a program can: ctime tells. */
static void a_rewrite_in_place_is_seen(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    make_large_file(bench->scratch.fd, "big", 3 << 20, 'x');
    start(bench);
    expect(bench, "");
    expect(bench, "big");
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
    struct bench *bench = *state;
    make_large_file(bench->scratch.fd, "big", 3 << 20, 'x');
    start(bench);
    expect(bench, "");
    expect(bench, "big");
    assert_int_equal(read_rest(bench, SIZE_MAX), 3 << 20);
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

static void what_vanishes_is_named(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "");
    make_file(fd, "b", "");
    make_directory(fd, "c");
    make_file(fd, "d", "");
    start(bench);
    expect(bench, "");
    expect(bench, "a");
    assert_int_equal(unlinkat(fd, "b", 0), 0);
    assert_int_equal(unlinkat(fd, "c", AT_REMOVEDIR), 0);
    expect(bench, "d");
    expect_end(bench);
    expect_item(bench, "b", REPORT_VANISHED);
    expect_item(bench, "c", REPORT_VANISHED);
}

static void a_listed_name_is_what_it_is_now(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "a", "");
    make_file(fd, "b", "file");
    make_file(fd, "c", "file");
    make_file(fd, "d", "file");
    make_directory(fd, "e");
    make_file(fd, "e/inside", "");
    assert_int_equal(symlinkat("/etc/passwd", fd, "f"), 0);
    start(bench);
    expect(bench, "");
    expect(bench, "a");
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

    expect(bench, "b");
    assert_int_equal(bench->entry.type, ENTRY_SYMLINK);
    expect(bench, "d");
    assert_int_equal(bench->entry.type, ENTRY_DIRECTORY);
    expect(bench, "d/new");
    expect(bench, "e");
    assert_int_equal(bench->entry.type, ENTRY_SYMLINK);
    assert_string_equal(bench->entry.link.data, "/etc");
    expect(bench, "f");
    assert_int_equal(bench->entry.type, ENTRY_FILE);
    read_rest(bench, SIZE_MAX);
    assert_string_equal(bench->text.data, "mine");
    expect(bench, "away"); /* what was `e` is still there */
    expect(bench, "away/inside");
    expect_end(bench);
    expect_item(bench, "c", REPORT_SKIPPED);
}

static void a_directory_that_is_moved_away_is_not_followed(void **state)
{
    struct bench *bench = *state;
    struct scratch outside;
    scratch_make(&outside);
    int fd = bench->scratch.fd;
    make_directory(fd, "a");
    make_directory(fd, "a/b");
    make_file(fd, "a/b/x", "");
    make_directory(fd, "a/c");
    make_file(fd, "z", "");
    start(bench);
    expect(bench, "");
    expect(bench, "a");
    expect(bench, "a/b"); /* open, and about to be entered */
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
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "a");
    make_directory(fd, "a/b");
    make_directory(fd, "a/b/c");
    make_file(fd, "a/b/c/x", "");
    start(bench);
    expect(bench, "");
    expect(bench, "a");
    expect(bench, "a/b");
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
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_directory(fd, "m");
    make_directory(fd, "m/a");
    make_file(fd, "m/a/1", "");
    make_directory(fd, "m/b");
    make_directory(fd, "m/b/c");
    make_file(fd, "m/b/c/2", "");
    make_file(fd, "m/z", "");
    make_directory(fd, "y");
    start(bench);
    expect(bench, "");
    expect(bench, "m");
    expect(bench, "m/a");
    assert_int_equal(renameat(fd, "m", fd, "y/n"), 0);
    static const char *const rest[] = {"m/a/1",   "m/b",       "m/b/c", "m/b/c/2", "m/z",
                                       "y",       "y/n",       "y/n/a", "y/n/a/1", "y/n/b",
                                       "y/n/b/c", "y/n/b/c/2", "y/n/z"};
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        expect(bench, rest[i]);
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

/* It goes from a directory that is still to come into one that is being walked. */
static void what_moves_up_behind_our_back_is_found(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_file(fd, "b", "");
    make_directory(fd, "z");
    make_directory(fd, "z/d");
    make_file(fd, "z/d/kept", "");
    make_file(fd, "z/f", "");
    start(bench);
    expect(bench, "");
    expect(bench, "b");
    assert_int_equal(renameat(fd, "z/d", fd, "a"), 0);
    assert_int_equal(renameat(fd, "z/f", fd, "a/f"), 0);
    expect(bench, "z");
    expect(bench, "a");
    expect(bench, "a/f");
    expect(bench, "a/kept");
    expect_end(bench);
    assert_int_equal(bench->report.omissions, 0);
}

static void deep_trees_take_few_descriptors(void **state)
{
    struct bench *bench = *state;
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
    start(bench);
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

/* Closed on the way down, and another directory when it is opened again. */
static void a_directory_that_was_replaced_meanwhile_is_left(void **state)
{
    struct bench *bench = *state;
    scope_fd int at = open_directory(bench->scratch.fd, ".");
    make_file(at, "z", "");
    for (int depth = 0; depth < WALK_OPEN_LEVELS + 5; depth++) {
        make_directory(at, "d");
        int next = open_directory(at, "d");
        make_file(next, "secret", "");
        close(at);
        at = next;
    }
    start(bench);
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

/* Root reads everything: so it is nobody who walks. */
static void unreadable_objects_are_named(void **state)
{
    struct bench *bench = *state;
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
    start(bench);
    list_source(bench->source, &bench->text);
    assert_int_equal(seteuid(self), 0);
    assert_int_equal(fchmodat(bench->scratch.fd, "b", 0755, 0), 0);
    assert_string_equal(bench->text.data, " d: d:b f:c");
    expect_item(bench, "a", REPORT_UNREADABLE);
    expect_item(bench, "b", REPORT_UNREADABLE);
}

static void only_a_directory_can_be_walked(void **state)
{
    struct bench *bench = *state;
    struct walk_options options = {0};
    make_file(bench->scratch.fd, "f", "");
    scope_fd int fd = openat(bench->scratch.fd, "f", O_RDONLY);
    assert_null(walk_open(fd, &options, &bench->err));
    assert_int_equal(bench->err.code, ERROR_INVALID);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(names_come_sorted_and_depth_first),
        BENCH_TEST(many_names_come_sorted),
        BENCH_TEST(attributes_are_those_of_the_file),
        BENCH_TEST(special_files_are_named_and_not_opened),
        BENCH_TEST(names_of_one_file_are_hard_links),
        BENCH_TEST(a_declined_file_comes_under_its_next_name),
        BENCH_TEST(a_skipped_directory_is_not_entered),
        BENCH_TEST(holes_are_found_in_files_of_every_size),
        BENCH_TEST(too_many_pieces_lose_small_holes_but_never_cost_endless_zeros),
        BENCH_TEST(a_large_file_that_shrinks_is_padded_and_named),
        BENCH_TEST(a_large_file_that_grows_is_a_prefix_and_named),
        BENCH_TEST(a_rewrite_in_place_is_seen),
        BENCH_TEST(a_large_file_that_nobody_touches_is_not_named),
        BENCH_TEST(what_vanishes_is_named),
        BENCH_TEST(a_listed_name_is_what_it_is_now),
        BENCH_TEST(a_directory_that_is_moved_away_is_not_followed),
        BENCH_TEST(a_directory_that_moves_down_does_not_make_a_loop),
        BENCH_TEST(a_directory_that_is_renamed_meanwhile_is_walked_to_its_end),
        BENCH_TEST(what_moves_up_behind_our_back_is_found),
        BENCH_TEST(deep_trees_take_few_descriptors),
        BENCH_TEST(a_directory_that_was_replaced_meanwhile_is_left),
        BENCH_TEST(unreadable_objects_are_named),
        BENCH_TEST(only_a_directory_can_be_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
