/* SPDX-License-Identifier: Apache-2.0 */
/* What the live directory has besides is merged into the stage. */
#include "tree/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/scope.h"
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

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

/* POSIX ACLs as the kernel takes them: version, then tag, permissions and id of each. */
static const char ACL[] = "\2\0\0\0"
                          "\x01\0\7\0\xff\xff\xff\xff"
                          "\x02\0\5\0\xd2\4\0\0"
                          "\x04\0\5\0\xff\xff\xff\xff"
                          "\x10\0\5\0\xff\xff\xff\xff"
                          "\x20\0\5\0\xff\xff\xff\xff";

static struct slice acl(void)
{
    return slice_of(ACL, sizeof(ACL) - 1);
}

/* false: the file system has none. */
static bool mark(struct bench *bench, const char *path, const char *name, struct slice value)
{
    scope_fd int fd = openat(bench->scratch.fd, path, O_RDONLY);
    if (fsetxattr(fd, name, value.data, value.length, 0) == 0)
        return true;
    assert_int_equal(errno, ENOTSUP);
    without("extended attributes");
    return false;
}

/* The object's attributes are these names, with the values that follow each, and no others. */
static void expect_marks(struct bench *bench, const char *path, const struct slice *wanted,
                         size_t count)
{
    char names[1024], value[1024];
    scope_fd int fd = openat(bench->scratch.fd, path, O_RDONLY);
    ssize_t length = flistxattr(fd, names, sizeof(names));
    assert_true(length >= 0);
    size_t found = 0;
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
        found += strncmp(names + at, "security.", strlen("security.")) != 0;
    if (found != count)
        fail_msg("'%s' has %zu attributes, not %zu", path, found, count);
    for (size_t i = 0; i < count; i++) {
        ssize_t got = fgetxattr(fd, wanted[2 * i].data, value, sizeof(value));
        assert_true(got >= 0 && slice_equal(slice_of(value, (size_t)got), wanted[2 * i + 1]));
    }
}
#define EXPECT_MARKS(bench, path, ...)                                                             \
    do {                                                                                           \
        const struct slice wanted[] = {__VA_ARGS__};                                               \
        expect_marks(bench, path, wanted, sizeof(wanted) / sizeof(wanted[0]) / 2);                 \
    } while (0)

static void what_stays_keeps_its_extended_attributes(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    struct slice a = slice_str("user.a"), one = slice_str("one");
    struct slice access = slice_str(ACCESS), defaults = slice_str(DEFAULT);
    make_directory(fd, "live");
    make_directory(fd, "live/both");
    make_directory(fd, "live/only");
    make_directory(fd, "live/only/plain");
    make_file(fd, "live/only/marked", "marked");
    make_file(fd, "live/only/listed", "listed");
    make_file(fd, "live/only/plain/f", "plain");
    if (!mark(bench, "live/both", "user.a", one) || !mark(bench, "live", "user.a", one) ||
        !mark(bench, "live/only", DEFAULT, acl()) || !mark(bench, "live/only", ACCESS, acl()) ||
        !mark(bench, "live/only/marked", "user.a", one) ||
        !mark(bench, "live/only/listed", ACCESS, acl()))
        return;
    assert_int_equal(fchmodat(fd, "live/only/marked", 0440, 0), 0);
    create(bench); /* without STAGE_XATTRS, which is about the archive's */
    PUT(ENTRY_DIRECTORY, "both", "");
    finish(bench);
    merge(bench, &(struct merge_options){.wants_copies = true});
    exchange(bench);

    EXPECT_MARKS(bench, "live", a, one);
    EXPECT_MARKS(bench, "live/both", a, one);
    EXPECT_MARKS(bench, "live/only", access, acl(), defaults, acl());
    EXPECT_MARKS(bench, "live/only/marked", a, one);
    EXPECT_MARKS(bench, "live/only/listed", access, acl());
    expect_marks(bench, "live/only/plain", NULL, 0);
    expect_marks(bench, "live/only/plain/f", NULL, 0);
    struct stat now, before;
    assert_int_equal(fstatat(fd, "live/only/marked", &now, 0), 0);
    assert_int_equal(fstatat(fd, "stage/tree/only/marked", &before, 0), 0);
    assert_true(now.st_ino != before.st_ino); /* a copy */
    assert_int_equal(now.st_mode & 07777, 0440);
    assert_int_equal(bench->report.item_count, 0);
}

static void must_set(struct buf *xattrs, const char *name, struct slice value)
{
    struct error err = ERROR_INIT;
    assert_int_equal(entry_xattrs_set(xattrs, slice_str(name), value, &err), 0);
}

static void put_marked(struct bench *bench, const char *path, const char *name, struct slice value)
{
    struct entry *entry = &bench->entry;
    PUT(ENTRY_DIRECTORY, path, "");
    must_set(&entry->xattrs, name, value);
    assert_int_equal(sink_entry(bench->sink, entry, &bench->err), 0);
}

/* Both have it: the archive's go over the live ones, and its list of defaults is not for what comes in. */
static void attributes_of_the_archive_go_over_live_ones(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    struct slice a = slice_str("user.a"), b = slice_str("user.b");
    struct slice live = slice_str("live"), archived = slice_str("archived");
    make_directory(fd, "live");
    make_directory(fd, "live/d");
    make_directory(fd, "live/d/sub");
    make_file(fd, "live/d/f", "kept");
    if (!mark(bench, "live/d", "user.a", live) || !mark(bench, "live/d", "user.b", live))
        return;
    create_with(bench, &(struct stage_options){.flags = STAGE_XATTRS});
    put_marked(bench, "d", "user.a", archived);
    must_set(&bench->entry.xattrs, DEFAULT, acl());
    assert_int_equal(sink_entry(bench->sink, &bench->entry, &bench->err), 0);
    finish(bench);
    merge(bench, &(struct merge_options){.wants_copies = true});
    exchange(bench);
    EXPECT_MARKS(bench, "live/d", a, archived, b, live, slice_str(DEFAULT), acl());
    expect_marks(bench, "live/d/sub", NULL, 0);
    expect_marks(bench, "live/d/f", NULL, 0);
    expect_text(bench, "live/d/f", "kept");
}

/* More than an entry may have, or the file system: no reason to fail. */
static void too_many_attributes_of_both_are_named(void **state)
{
    struct bench *bench = *state;
    char name[32];
    make_directory(bench->scratch.fd, "live");
    make_directory(bench->scratch.fd, "live/d");
    make_file(bench->scratch.fd, "live/d/f", "kept");
    create_with(bench, &(struct stage_options){.flags = STAGE_XATTRS});
    PUT(ENTRY_DIRECTORY, "d", "");
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "user.l%d", i);
        if (!mark(bench, "live/d", name, slice_str("")))
            return;
        snprintf(name, sizeof(name), "user.a%d", i);
        must_set(&bench->entry.xattrs, name, slice_str(""));
    }
    assert_int_equal(sink_entry(bench->sink, &bench->entry, &bench->err), 0);
    finish(bench);
    merge(bench, &(struct merge_options){0});
    exchange(bench);
    expect_text(bench, "live/d/f", "kept");
    const struct report_item *item = find_item(&bench->report, "d");
    assert_non_null(item);
    assert_non_null(strstr(item->detail, "extended attributes are not kept"));
}

/* A directory on the way to what is selected is the live one, as everything beside it is. */
static void on_the_way_only_live_attributes_count(void **state)
{
    struct bench *bench = *state;
    scope_selection struct selection *selection = selection_of("world/level.dat", "x");
    struct slice a = slice_str("user.a"), live = slice_str("live");
    make_live_world(bench->scratch.fd);
    if (!mark(bench, "live/world", "user.a", live))
        return;
    create_with(bench, &(struct stage_options){.flags = STAGE_XATTRS});
    put_marked(bench, "", "user.b", slice_str("archived"));
    put_marked(bench, "world", "user.b", slice_str("archived"));
    PUT(ENTRY_FILE, "world/level.dat", "new");
    finish(bench);
    merge(bench, &(struct merge_options){.staged = selection, .except = selection});
    exchange(bench);
    EXPECT_MARKS(bench, "live/world", a, live);
    expect_marks(bench, "live", NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(merge_adds_and_never_replaces),
        BENCH_TEST(what_is_selected_is_replaced_and_nothing_else),
        BENCH_TEST(what_is_selected_can_be_merged_too),
        BENCH_TEST(what_is_selected_may_change_its_type),
        BENCH_TEST(what_is_on_the_way_is_not_lost),
        BENCH_TEST(what_stays_keeps_its_extended_attributes),
        BENCH_TEST(attributes_of_the_archive_go_over_live_ones),
        BENCH_TEST(too_many_attributes_of_both_are_named),
        BENCH_TEST(on_the_way_only_live_attributes_count),
        BENCH_TEST(a_cancelled_merge_can_be_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
