/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/ignore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"

struct row {
    const char *rules;
    const char *path;
    bool is_ignored;
};

static struct ignore *parse(const char *rules)
{
    struct error err = ERROR_INIT;
    struct ignore *ignore = ignore_parse(slice_str(rules), IGNORE_WINGS, &err);
    if (ignore == NULL)
        fail_msg("%s", err.text);
    return ignore;
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ignore *ignore = parse(rows[i].rules);
        if (ignore_matches(ignore, slice_str(rows[i].path), false) != rows[i].is_ignored)
            fail_msg("rules '%s', path '%s': not as expected", rows[i].rules, rows[i].path);
        ignore_free(ignore);
    }
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void lines_are_read_as_wings_does(void **state)
{
    static const struct row rows[] = {
        {"", "a", false},
        {"\n\n  \n", "a", false},
        {"# a\n#a", "a", false},
        {"a", "a", true},
        {"a\r\nb\r\n", "a", true},
        {"a\r\nb\r\n", "b", true},
        {"  a  ", "a", true},
        {"\xEF\xBB\xBF"
         "a",
         "a", true},
        {"\\#a", "#a", true},
        {"\\!a", "!a", true},
        {"!", "a", false},
        {"a b", "a b", true},
        {"a,b", "a", false},
        {"a,b", "a,b", true},
    };
    CHECK_ROWS(rows);
}

static void patterns_match_at_any_depth(void **state)
{
    static const struct row rows[] = {
        {"logs", "logs", true},
        {"logs", "logs/latest.log", true},
        {"logs", "a/logs/b/c", true},
        {"logs", "logs2", false},
        {"logs", "mylogs", false},
        {"*.log", "server.log", true},
        {"*.log", "a/b/server.log", true},
        {"*.log", "server.log.gz", false},
        {"*.log", "x.log/inside", true},
        {"a/b", "a/b", true},
        {"a/b", "x/a/b", true},
        {"a/b", "x/a/b/c", true},
        {"a/b", "a/x/b", false},
        {"cache/*", "cache/x", true},
        {"cache/*", "cache/x/y", true},
        {"cache/*", "plugins/cache/x", true},
        {"cache/*", "cache", false},
        {"dir/", "dir", false},
        {"dir/", "dir/x", true},
        {"dir/", "a/dir/x/y", true},
        {"dir/", "adir/x", false},
    };
    CHECK_ROWS(rows);
}

static void anchors_hold_at_the_root(void **state)
{
    static const struct row rows[] = {
        {"/logs", "logs", true},
        {"/logs", "logs/x", true},
        {"/logs", "a/logs", false},
        {"/", "anything/at/all", false},
        {"/*", "a", true},
        {"/*", "a/b", true},
        {"world/*.dat", "world/level.dat", true},
        {"world/*.dat", "x/world/level.dat", false},
        {"a/b/*.txt", "a/b/c.txt", true},
        {"a/b/*.txt", "x/a/b/c.txt", false},
        {"world/x*", "y/world/x1", true},
        {"/a/b", "a/b/c", true},
        {"/a/b", "z/a/b", false},
        {"/**", "a", true},
        {"/**", "a/b/c", true},
    };
    CHECK_ROWS(rows);
}

static void wildcards_stay_within_a_part(void **state)
{
    static const struct row rows[] = {
        {"/a*c", "abc", true},
        {"/a*c", "ac", true},
        {"/a*c", "a/c", false},
        {"/a?c", "abc", true},
        {"/a?c", "ac", false},
        {"/a?c", "a/c", false},
        {"a?", "a", false},
        {"a[0-9]", "a5", true},
        {"a[0-9]", "ax", false},
        {"a[!0-9]", "ax", true},
        {"a[^0-9]", "ax", true},
        {"a[!0-9]", "a5", false},
        {"/a[!x]b", "a/b", false},
        {"a[]]", "a]", true},
        {"a[]-]", "a-", true},
        {"a[\\]]", "a]", true},
        {"a[z-a]", "am", false},
        {"a[b", "a[b", true},
        {"a[b", "ab", false},
        {"[", "[", true},
        {"a\\*b", "a*b", true},
        {"a\\*b", "axb", false},
        {"a\\", "a\\", true},
        {"a+b(c)|d$^.{2}", "a+b(c)|d$^.{2}", true},
        {"a.b", "axb", false},
        {"(", "(", true},
        {"*", "a", true},
        {"*", "a/b", true},
        {"***", "a/b", true},
        {"a**b", "axxb", true},
        {"/a**b", "ax/xb", false},
        {"[[:digit:]]x", "5x", true},
        {"[[:digit:]]x", "dx", false},
    };
    CHECK_ROWS(rows);
}

static void double_stars_cross_parts(void **state)
{
    static const struct row rows[] = {
        {"**/logs", "logs", true},
        {"**/logs", "a/b/logs", true},
        {"**/logs", "a/b/logs/c", true},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "z/a/x/b", true},
        {"a/**/b", "ab", false},
        {"a/**/b", "a/xb", false},
        {"/a/**/b", "z/a/x/b", false},
        {"a/**", "a", true},
        {"a/**", "a/x/y", true},
        {"a/**", "ab", false},
        {"/**/x", "x", true},
        {"/**/x", "a/b/x", true},
        {"a/**/*.txt", "a/b/c/d.txt", true},
        {"a/**/*.txt", "a/d.txt", true},
        {"a/**/*.txt", "z/a/d.txt", false},
    };
    CHECK_ROWS(rows);
}

static void the_last_match_decides(void **state)
{
    static const struct row rows[] = {
        {"*.log\n!keep.log", "keep.log", false},
        {"*.log\n!keep.log", "a/keep.log", false},
        {"*.log\n!keep.log", "other.log", true},
        {"!keep.log\n*.log", "keep.log", true},
        {"logs\n!logs/keep", "logs/keep", false},
        {"logs\n!logs/keep", "logs/x", true},
        {"*\n!world", "world/region/r.mca", false},
        {"*\n!world\nworld/tmp", "world/tmp/x", true},
        {"/*\n!/world/\n", "world/a", false},
        {"/*\n!/world/\n", "other/a", true},
        {"a\n!a\na", "a", true},
    };
    CHECK_ROWS(rows);
}

static void directories_are_pruned_only_when_nothing_comes_back(void **state)
{
    static const struct row rows[] = {
        {"cache", "cache", true},
        {"cache", "a/cache", true},
        {"cache", "a", false},
        {"cache/", "cache", true},
        {"cache/*", "cache", true},
        {"cache/**", "cache", true},
        {"cache/*.tmp", "cache", false},
        {"/cache", "a/cache", false},
        {"cache\n!keep", "cache", false}, /* keep may be anywhere */
        {"cache\n!/cache/keep", "cache", false},
        {"cache\n!/cache/keep", "a/cache", true},
        {"cache\n!/cache/keep", "cache/sub", true},
        {"cache\n!/world", "cache", true},
        {"!keep\ncache", "cache", true}, /* an earlier "!" does not count */
        {"*\n!/world", "plugins", true},
        {"*\n!/world", "world", false},
        {"/a/b/c", "a", false},
        {"", "a", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ignore *ignore = parse(rows[i].rules);
        if (ignore_prunes(ignore, slice_str(rows[i].path)) != rows[i].is_ignored)
            fail_msg("rules '%s', directory '%s': not as expected", rows[i].rules, rows[i].path);
        ignore_free(ignore);
    }
}

static void expect_limit(const struct buf *rules, const char *text)
{
    struct error err = ERROR_INIT;
    assert_null(ignore_parse(buf_slice(rules), IGNORE_WINGS, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_non_null(strstr(err.text, text));
}

static void limits_are_named(void **state)
{
    struct buf rules = BUF_INIT;
    for (int i = 0; i < IGNORE_PATTERNS_MAX; i++)
        buf_add_str(&rules, "# not counted\n\nx\n");
    struct ignore *most = parse(rules.data);
    ignore_free(most);
    buf_add_str(&rules, "x");
    expect_limit(&rules, "line 769: more than 256");

    buf_clear(&rules);
    buf_add_str(&rules, "a\n*?[a]*?[a]*?[a]*?[a]*?[a]**");
    most = parse(rules.data);
    ignore_free(most);
    buf_add_str(&rules, "?");
    expect_limit(&rules, "line 2: more than 16");

    buf_clear(&rules);
    while (rules.length < IGNORE_TEXT_MAX_BYTES)
        buf_add_str(&rules, "#");
    most = parse(rules.data);
    assert_true(ignore_is_empty(most));
    ignore_free(most);
    buf_add_str(&rules, "#");
    expect_limit(&rules, "32768 bytes");
    buf_free(&rules);
}

/* Backtracking would need longer than the universe has; this has milliseconds. */
static void hostile_patterns_cost_linear_time(void **state)
{
    struct buf rules = BUF_INIT, path = BUF_INIT;
    for (int i = 0; i < IGNORE_PATTERNS_MAX; i++) {
        for (int j = 0; j < 15; j++)
            buf_add_str(&rules, "*aaaa");
        buf_add_str(&rules, "*b\n");
    }
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 254; j++)
            buf_add_char(&path, 'a');
        buf_add_char(&path, '/');
    }
    struct ignore *ignore = parse(rules.data);
    int64_t before_us = time_monotonic_us();
    assert_false(ignore_matches(ignore, buf_slice(&path), false));
    assert_true(time_monotonic_us() - before_us < 2000000);
    buf_add_char(&path, 'b');
    assert_false(ignore_matches(ignore, buf_slice(&path), false));
    ignore_free(ignore);
    buf_free(&rules);
    buf_free(&path);
}

static void long_patterns_match_across_words(void **state)
{
    struct buf rules = BUF_INIT;
    for (size_t length = 1; length < 300; length++) {
        buf_clear(&rules);
        for (size_t i = 0; i < length; i++)
            buf_add_char(&rules, (char)('a' + i % 26));
        struct ignore *ignore = parse(rules.data);
        assert_true(ignore_matches(ignore, buf_slice(&rules), false));
        assert_false(ignore_matches(ignore, slice_of(rules.data, length - 1), false));
        assert_true(ignore_prunes(ignore, buf_slice(&rules)));
        buf_add_str(&rules, "/x");
        assert_true(ignore_matches(ignore, buf_slice(&rules), false));
        buf_truncate(&rules, length);
        buf_add_str(&rules, "/**/tail*");
        ignore_free(ignore);
        ignore = parse(rules.data);
        buf_truncate(&rules, length);
        buf_add_str(&rules, "/in/between/tails");
        assert_true(ignore_matches(ignore, buf_slice(&rules), false));
        rules.data[0] = '#';
        assert_false(ignore_matches(ignore, buf_slice(&rules), false));
        ignore_free(ignore);
    }
    buf_free(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_as_wings_does),
        cmocka_unit_test(patterns_match_at_any_depth),
        cmocka_unit_test(anchors_hold_at_the_root),
        cmocka_unit_test(wildcards_stay_within_a_part),
        cmocka_unit_test(double_stars_cross_parts),
        cmocka_unit_test(the_last_match_decides),
        cmocka_unit_test(directories_are_pruned_only_when_nothing_comes_back),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(hostile_patterns_cost_linear_time),
        cmocka_unit_test(long_patterns_match_across_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
