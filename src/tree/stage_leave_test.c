/* SPDX-License-Identifier: Apache-2.0 */
/* What ignore rules name is left alone: afterwards it is as it was live, whatever was staged. */
#include "tree/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/scope.h"
#include "snapshot/entry.h"
#include "tree/bench_test.h"

static struct ignore *rules_of(const char *text, enum ignore_mode mode)
{
    struct error err = ERROR_INIT;
    struct ignore *rules = ignore_parse(slice_str(text), mode, &err);
    assert_non_null(rules);
    return rules;
}

static int leave_with(struct bench *bench, const char *text, enum ignore_mode mode,
                      struct merge_options options)
{
    struct ignore *rules = rules_of(text, mode);
    options.leave[1] = rules;
    int result = stage_merge_live(bench->stage, &options, &bench->err);
    ignore_free(rules);
    return result;
}

static void leave(struct bench *bench, const char *text, enum ignore_mode mode,
                  struct merge_options options)
{
    if (leave_with(bench, text, mode, options) < 0)
        fail_msg("%s", bench->err.text);
    exchange(bench);
}

#define ONLY ((struct merge_options){.removes_rest = true})

static void make_live(struct bench *bench)
{
    int fd = bench->scratch.fd;
    make_directory(fd, "live");
    make_directory(fd, "live/logs");
    make_directory(fd, "live/logs/old");
    make_directory(fd, "live/plugins");
    make_directory(fd, "live/plugins/dynmap");
    make_file(fd, "live/logs/now.log", "live");
    make_file(fd, "live/logs/old/1", "live");
    make_file(fd, "live/plugins/dynmap/tile", "live");
    make_file(fd, "live/plugins/lost", "live");
    make_file(fd, "live/level", "live");
    make_file(fd, "live/lost", "live");
    assert_int_equal(fchmodat(fd, "live/plugins/dynmap", 0710, 0), 0);
    assert_int_equal(fchmodat(fd, "live/plugins", 0701, 0), 0);
    set_time(fd, "live/logs/old", 10, 1);
    set_time(fd, "live/logs", 11, 1);
    set_time(fd, "live/plugins/dynmap", 12, 1);
    set_time(fd, "live/plugins", 13, 1);
}

static void expect_directory(struct bench *bench, const char *path, mode_t mode, time_t mtime)
{
    struct stat status;
    assert_int_equal(fstatat(bench->scratch.fd, path, &status, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(status.st_mode & 07777, mode);
    assert_int_equal(status.st_mtim.tv_sec, mtime);
}

#define STAGED_S 1000000000

static void ignored_directories_stay_with_all_in_them(void **state)
{
    static const struct {
        const char *rules;
        enum ignore_mode mode;
    } rows[] = {{"logs\nplugins/dynmap\n", IGNORE_WINGS},
                {"logs/\nplugins/dynmap/\n", IGNORE_WINGS},
                {"/logs/**\n/plugins/dynmap/**\n", IGNORE_WINGS},
                {"logs/\nplugins/dynmap/\n", IGNORE_GIT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *bench = *state;
        make_live(bench);
        create(bench);
        PUT(ENTRY_DIRECTORY, "", "");
        PUT(ENTRY_FILE, "level", "new");
        finish(bench);
        leave(bench, rows[i].rules, rows[i].mode, ONLY);
        expect_text(bench, "live/logs/now.log", "live");
        expect_text(bench, "live/logs/old/1", "live");
        expect_text(bench, "live/plugins/dynmap/tile", "live");
        expect_text(bench, "live/level", "new");
        assert_false(exists(bench, "live/lost") || exists(bench, "live/plugins/lost"));
        expect_directory(bench, "live", 0755, STAGED_S);
        expect_directory(bench, "live/logs", 0755, 11);
        expect_directory(bench, "live/logs/old", 0755, 10);
        expect_directory(bench, "live/plugins", 0701, 13); /* on the way only, as it was live */
        expect_directory(bench, "live/plugins/dynmap", 0710, 12);
        discard(bench);
        bench_end(state);
        bench_begin(state);
    }
}

static void what_was_staged_of_them_goes(void **state)
{
    struct bench *bench = *state;
    make_live(bench);
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_FILE, "logs/now.log", "new");
    PUT(ENTRY_FILE, "logs/never-live", "new");
    PUT(ENTRY_DIRECTORY, "plugins", "");
    PUT(ENTRY_DIRECTORY, "plugins/dynmap", "");
    PUT(ENTRY_FILE, "plugins/dynmap/tile", "new");
    PUT(ENTRY_FILE, "plugins/dynmap/other", "new");
    PUT(ENTRY_DIRECTORY, "cache", "");
    PUT(ENTRY_FILE, "cache/x", "new");
    PUT(ENTRY_FILE, "stays", "new");
    finish(bench);
    leave(bench, "logs/\ndynmap\ncache\n", IGNORE_WINGS, ONLY);
    expect_text(bench, "live/logs/now.log", "live");
    expect_text(bench, "live/plugins/dynmap/tile", "live");
    expect_text(bench, "live/stays", "new");
    assert_false(exists(bench, "live/logs/never-live"));
    assert_false(exists(bench, "live/plugins/dynmap/other"));
    assert_false(exists(bench, "live/cache"));
    assert_false(exists(bench, "stage/ignored")); /* nor does it lie beside the replaced tree */
    expect_directory(bench, "live/logs/old", 0755, 10);
    expect_directory(bench, "live/logs", 0755, STAGED_S); /* the backup's: they are not ignored */
    expect_directory(bench, "live/plugins", 0755, STAGED_S);
    expect_directory(bench, "live/plugins/dynmap", 0710, 12);
}

/* With `dir/` the directory itself is in a backup, empty; and so it is here where nothing is live. */
static void an_emptied_directory_is_the_backups(void **state)
{
    struct bench *bench = *state;
    make_directory(bench->scratch.fd, "live");
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_DIRECTORY, "logs/deep", "");
    PUT(ENTRY_FILE, "logs/deep/x", "new");
    finish(bench);
    leave(bench, "logs/\n", IGNORE_WINGS, ONLY);
    expect_directory(bench, "live/logs", 0755, STAGED_S);
    assert_false(exists(bench, "live/logs/deep"));
}

static void make_live_logs(struct bench *bench)
{
    make_directory(bench->scratch.fd, "live");
    make_directory(bench->scratch.fd, "live/logs");
    make_directory(bench->scratch.fd, "live/logs/empty");
    make_file(bench->scratch.fd, "live/logs/a.log", "live");
    make_file(bench->scratch.fd, "live/logs/keep.log", "live");
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_FILE, "logs/a.log", "new");
    PUT(ENTRY_FILE, "logs/b.log", "new");
    PUT(ENTRY_FILE, "logs/keep.log", "new");
    finish(bench);
}

static void what_a_rule_takes_back_is_restored(void **state)
{
    struct bench *bench = *state;
    make_live_logs(bench);
    leave(bench, "logs\n!logs/keep.log\n", IGNORE_WINGS, ONLY);
    expect_text(bench, "live/logs/a.log", "live");
    expect_text(bench, "live/logs/keep.log", "new");
    assert_false(exists(bench, "live/logs/b.log"));
    assert_true(exists(bench, "live/logs/empty")); /* it is ignored itself */
}

static void git_takes_back_nothing_below_an_ignored_directory(void **state)
{
    struct bench *bench = *state;
    make_live_logs(bench);
    leave(bench, "logs\n!logs/keep.log\n", IGNORE_GIT, ONLY);
    expect_text(bench, "live/logs/a.log", "live");
    expect_text(bench, "live/logs/keep.log", "live");
    assert_false(exists(bench, "live/logs/b.log"));
}

static void lists_are_judged_each_by_itself(void **state)
{
    struct bench *bench = *state;
    struct ignore *first = rules_of("*.log\n!keep.log\n", IGNORE_WINGS);
    struct ignore *second = rules_of("!a.log\nkeep.log\n", IGNORE_WINGS);
    make_live_logs(bench);
    struct merge_options options = {.leave = {first, second}, .removes_rest = true};
    assert_int_equal(stage_merge_live(bench->stage, &options, &bench->err), 0);
    ignore_free(first);
    ignore_free(second);
    exchange(bench);
    expect_text(bench, "live/logs/a.log", "live");
    expect_text(bench, "live/logs/keep.log", "live");
    assert_false(exists(bench, "live/logs/b.log") || exists(bench, "live/logs/empty"));
}

static void a_merge_keeps_the_rest_too(void **state)
{
    struct bench *bench = *state;
    make_live(bench);
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_FILE, "level", "new");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_FILE, "logs/now.log", "new");
    PUT(ENTRY_FILE, "logs/gone.log", "new");
    finish(bench);
    leave(bench, "*.log", IGNORE_WINGS, (struct merge_options){0});
    expect_text(bench, "live/logs/now.log", "live");
    expect_text(bench, "live/logs/old/1", "live");
    expect_text(bench, "live/level", "new");
    expect_text(bench, "live/lost", "live");
    expect_directory(bench, "live/logs", 0755, STAGED_S);
    expect_directory(bench, "live/plugins", 0701, 13);
    assert_false(exists(bench, "live/logs/gone.log"));
}

static void in_what_is_selected_it_is_left_alone_too(void **state)
{
    struct bench *bench = *state;
    struct error err = ERROR_INIT;
    scope_selection struct selection *selection = selection_new();
    assert_int_equal(selection_add(selection, slice_str("plugins"), &err), 0);
    make_live(bench);
    create(bench);
    PUT(ENTRY_DIRECTORY, "plugins", "");
    PUT(ENTRY_FILE, "plugins/new", "new");
    finish(bench);
    leave(bench, "dynmap", IGNORE_WINGS,
          (struct merge_options){.staged = selection, .except = selection});
    expect_text(bench, "live/plugins/dynmap/tile", "live");
    expect_text(bench, "live/plugins/new", "new");
    expect_text(bench, "live/lost", "live");
    assert_false(exists(bench, "live/plugins/lost"));
}

/* A name of a file that stays, and one that does not; in copies they are one file, too. */
static void hard_links_stay_hard_links(void **state)
{
    static const bool copies[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = *state;
        struct stat left, merged, before;
        int fd = bench->scratch.fd;
        make_live(bench);
        assert_int_equal(linkat(fd, "live/logs/now.log", fd, "live/second", 0), 0);
        assert_int_equal(fstatat(fd, "live/second", &before, 0), 0);
        create(bench);
        PUT(ENTRY_DIRECTORY, "", "");
        finish(bench);
        leave(bench, "logs", IGNORE_WINGS, (struct merge_options){.wants_copies = copies[i]});
        assert_int_equal(fstatat(fd, "live/logs/now.log", &left, 0), 0);
        assert_int_equal(fstatat(fd, "live/second", &merged, 0), 0);
        assert_true(left.st_ino == merged.st_ino);
        assert_int_equal(left.st_ino == before.st_ino, !copies[i]);
        discard(bench);
        bench_end(state);
        bench_begin(state);
    }
}

/* Nothing behind a link is looked at, or touched; neither when it is ignored, nor when it is on the way. */
static void links_stay_links(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    struct stat status;
    make_directory(fd, "outside");
    make_file(fd, "outside/now.log", "outside");
    make_directory(fd, "live");
    make_directory(fd, "live/d");
    assert_int_equal(symlinkat("../outside", fd, "live/logs"), 0);
    assert_int_equal(symlinkat("../../outside", fd, "live/d/way"), 0);
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_FILE, "logs/now.log", "new");
    PUT(ENTRY_DIRECTORY, "d", "");
    PUT(ENTRY_DIRECTORY, "d/way", "");
    PUT(ENTRY_FILE, "d/way/level", "new");
    finish(bench);
    leave(bench, "logs\n*.log\n", IGNORE_WINGS, ONLY);
    assert_int_equal(fstatat(fd, "live/logs", &status, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(status.st_mode));
    expect_text(bench, "live/d/way/level", "new");
    assert_false(exists(bench, "live/d/way/now.log"));
    expect_text(bench, "outside/now.log", "outside");
    assert_false(exists(bench, "outside/level"));
    discard(bench);
    expect_text(bench, "outside/now.log", "outside");
}

static bool mark(struct bench *bench, const char *path)
{
    scope_fd int fd = openat(bench->scratch.fd, path, O_RDONLY);
    if (fsetxattr(fd, "user.live", path, strlen(path), 0) == 0)
        return true;
    without("extended attributes");
    return false;
}

/* The names of its extended attributes, but for the system's. */
static void expect_marks(struct bench *bench, const char *path, const char *wanted)
{
    char names[1024];
    scope_fd int fd = openat(bench->scratch.fd, path, O_RDONLY);
    ssize_t length = flistxattr(fd, names, sizeof(names));
    assert_true(length >= 0);
    buf_clear(&bench->text);
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(&names[at]) + 1) {
        if (strncmp(&names[at], "security.", strlen("security.")) == 0)
            continue;
        buf_add_str(&bench->text, &names[at]);
        buf_add_char(&bench->text, ' ');
    }
    assert_string_equal(bench->text.data, wanted);
}

#define DEFAULT_ACL "system.posix_acl_default"

/* Those of what stays are the live ones; those of what does not, the archive's, which nothing inherits. */
static void extended_attributes_stay_with_what_stays(void **state)
{
    static const char acl[] = "\2\0\0\0"
                              "\1\0\7\0\xff\xff\xff\xff"
                              "\4\0\5\0\xff\xff\xff\xff"
                              "\x20\0\5\0\xff\xff\xff\xff";
    struct bench *bench = *state;
    struct slice value = slice_of(acl, sizeof(acl) - 1);
    make_live(bench);
    make_file(bench->scratch.fd, "live/plugins/x.log", "live");
    if (!mark(bench, "live/logs") || !mark(bench, "live/logs/now.log") ||
        !mark(bench, "live/logs/old") || !mark(bench, "live/plugins"))
        return;
    create_with(bench, &(struct stage_options){.flags = STAGE_XATTRS});
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_DIRECTORY, "plugins", "");
    assert_int_equal(
        entry_xattrs_set(&bench->entry.xattrs, slice_str(DEFAULT_ACL), value, &bench->err), 0);
    assert_int_equal(sink_entry(bench->sink, &bench->entry, &bench->err), 0);
    finish(bench);
    leave(bench, "logs\n!nothing\n*.log\ndynmap\n", IGNORE_WINGS,
          (struct merge_options){.removes_rest = true, .wants_copies = true});
    expect_marks(bench, "live/logs", "user.live ");
    expect_marks(bench, "live/logs/old", "user.live ");
    expect_marks(bench, "live/logs/now.log", "user.live ");
    expect_marks(bench, "live/plugins", DEFAULT_ACL " ");
    expect_marks(bench, "live/plugins/dynmap", "");
    expect_marks(bench, "live/plugins/dynmap/tile", "");
    expect_marks(bench, "live/plugins/x.log", "");
    expect_directory(bench, "live/plugins/dynmap", 0710, 12);
}

static void expect_refusal(struct bench *bench, const char *rules, const char *text)
{
    assert_int_equal(leave_with(bench, rules, IGNORE_WINGS, ONLY), -1);
    assert_int_equal(bench->err.code, ERROR_INVALID);
    if (strstr(bench->err.text, text) == NULL)
        fail_msg("%s", bench->err.text);
    error_clear(&bench->err);
    discard(bench);
    stage_free(bench->stage);
    bench->stage = NULL;
}

static void a_file_in_the_way_is_an_error(void **state)
{
    struct bench *bench = *state;
    make_live(bench);
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_FILE, "plugins", "new");
    finish(bench);
    expect_refusal(bench, "tile",
                   "'plugins/dynmap/tile' is left alone, and 'plugins' no directory in the backup");
    expect_text(bench, "live/plugins/dynmap/tile", "live");

    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_SYMLINK, "logs", "../outside");
    finish(bench);
    expect_refusal(bench, "logs/", "'logs' is left alone, and 'logs' no directory in the backup");
    expect_text(bench, "live/logs/now.log", "live");

    create(bench); /* nothing in it stays: then it is replaced */
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_FILE, "plugins", "new");
    finish(bench);
    leave(bench, "logs", IGNORE_WINGS, ONLY);
    expect_text(bench, "live/plugins", "new");
}

static void a_directory_in_the_way_is_an_error(void **state)
{
    struct bench *bench = *state;
    make_live(bench);
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "level", "");
    PUT(ENTRY_FILE, "level/keep", "new");
    finish(bench);
    expect_refusal(bench, "level\n!keep\n", "'level' is left alone, and a directory in the backup");
    expect_text(bench, "live/level", "live");

    create(bench); /* all that is in it is ignored, too */
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "level", "");
    PUT(ENTRY_FILE, "level/x", "new");
    finish(bench);
    leave(bench, "level\n", IGNORE_WINGS, ONLY);
    expect_text(bench, "live/level", "live");
}

static void closed_directories_are_opened_and_closed_again(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    make_live(bench);
    create(bench);
    bench->entry.mode = 0555;
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_DIRECTORY, "logs", "");
    PUT(ENTRY_FILE, "logs/old.log", "new");
    finish(bench);
    assert_int_equal(fchmodat(fd, "stage/tree/logs", 0100, 0), 0);
    leave(bench, "*.log", IGNORE_WINGS, ONLY);
    expect_directory(bench, "live/logs", 0100, STAGED_S);
    assert_int_equal(fchmodat(fd, "live/logs", 0700, 0), 0);
    expect_text(bench, "live/logs/now.log", "live");
    assert_false(exists(bench, "live/logs/old.log"));
}

static void without_anything_live_it_is_only_left_out(void **state)
{
    struct bench *bench = *state;
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_FILE, "a.log", "new");
    PUT(ENTRY_FILE, "level", "new");
    finish(bench);
    leave(bench, "*.log", IGNORE_WINGS, ONLY);
    assert_false(exists(bench, "live/a.log"));
    expect_text(bench, "live/level", "new");
}

static void without_rules_nothing_stays(void **state)
{
    struct bench *bench = *state;
    make_live(bench);
    create(bench);
    PUT(ENTRY_DIRECTORY, "", "");
    PUT(ENTRY_FILE, "new", "new");
    finish(bench);
    leave(bench, "# nothing\n", IGNORE_WINGS, ONLY);
    assert_true(exists(bench, "live/new"));
    assert_false(exists(bench, "live/logs") || exists(bench, "live/lost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(ignored_directories_stay_with_all_in_them),
        BENCH_TEST(what_was_staged_of_them_goes),
        BENCH_TEST(an_emptied_directory_is_the_backups),
        BENCH_TEST(what_a_rule_takes_back_is_restored),
        BENCH_TEST(git_takes_back_nothing_below_an_ignored_directory),
        BENCH_TEST(lists_are_judged_each_by_itself),
        BENCH_TEST(a_merge_keeps_the_rest_too),
        BENCH_TEST(in_what_is_selected_it_is_left_alone_too),
        BENCH_TEST(hard_links_stay_hard_links),
        BENCH_TEST(links_stay_links),
        BENCH_TEST(extended_attributes_stay_with_what_stays),
        BENCH_TEST(a_file_in_the_way_is_an_error),
        BENCH_TEST(a_directory_in_the_way_is_an_error),
        BENCH_TEST(closed_directories_are_opened_and_closed_again),
        BENCH_TEST(without_anything_live_it_is_only_left_out),
        BENCH_TEST(without_rules_nothing_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
