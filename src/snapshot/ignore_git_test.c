/* SPDX-License-Identifier: Apache-2.0 */
/* Mode `git`.  Every row was asked of `git check-ignore` too; tests/49_ignore_rules.py asks it for many more. */
#include "snapshot/ignore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"

struct row {
    const char *rules;
    const char *path; /* a directory where a slash ends it */
    size_t line;      /* that decides; 0: none */
    bool is_ignored;
};

static struct ignore *parse(const char *rules)
{
    struct error err = ERROR_INIT;
    struct ignore *ignore = ignore_parse(slice_str(rules), IGNORE_GIT, &err);
    if (ignore == NULL)
        fail_msg("%s", err.text);
    return ignore;
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct ignore *ignore = parse(row->rules);
        size_t length = strlen(row->path);
        bool is_directory = row->path[length - 1] == '/';
        struct slice path = slice_of(row->path, length - is_directory);
        size_t rule = ignore_find(ignore, path, is_directory);
        size_t line = rule == IGNORE_NO_RULE ? 0 : ignore_rule(ignore, rule)->line;
        if (line != row->line || ignore_matches(ignore, path, is_directory) != row->is_ignored)
            fail_msg("rules '%s', path '%s': not as expected", row->rules, row->path);
        if (is_directory)
            assert_int_equal(ignore_prunes(ignore, path), row->is_ignored);
        ignore_free(ignore);
    }
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void lines_are_read_as_git_does(void **state)
{
    static const struct row rows[] = {
        {"# a\n#a\n\na", "a", 4, true},
        {"a\r\nb\r\n", "b", 2, true},
        {" a", "a", 0, false},
        {" a", " a", 1, true},
        {"a  ", "a", 1, true},
        {"a\\  ", "a ", 1, true},
        {"a\\\\  ", "a\\", 1, true},
        {"a\t", "a", 0, false},
        {"a\t", "a\t", 1, true},
        {"a \\", "a ", 0, false},
        {"\xEF\xBB\xBF"
         "a",
         "a", 1, true},
        {"\\#a", "#a", 1, true},
        {"\\!a", "!a", 1, true},
        {"!!a\na\n!!a", "a", 2, true},
        {"/", "a", 0, false},
        {"//a", "a", 0, false},
        {"a\\", "a\\", 0, false},
    };
    CHECK_ROWS(rows);
}

static void a_slash_inside_anchors(void **state)
{
    static const struct row rows[] = {
        {"a/b", "a/b", 1, true},     {"a/b", "x/a/b", 0, false},  {"/a", "a", 1, true},
        {"/a", "x/a", 0, false},     {"a/", "x/a/", 1, true},     {"a/", "a", 0, false},
        {"a/", "a/b", 1, true},      {"*.x/y", "b.x/y", 1, true}, {"*.x/y", "a/b.x/y", 0, false},
        {"a\\/b", "a/b", 1, true},   {"a/*", "a/b", 1, true},     {"a/*", "a/", 0, false},
        {"a/*", "a/b/c/d", 1, true}, {"a[/]b", "a/b", 0, false},  {"a?b", "a/b", 0, false},
        {"/*/b", "a/b", 1, true},    {"/*/b", "a/c/b", 0, false}, {"A", "a", 0, false},
    };
    CHECK_ROWS(rows);
}

static void nothing_comes_back_below_a_directory(void **state)
{
    static const struct row rows[] = {
        {"a\n!a/b", "a/b", 1, true},
        {"a/*\n!a/b", "a/b", 2, false},
        {"a/*\n!a/b", "a/b/c", 0, false},
        {"a/*\n!a/b", "a/c/b", 1, true},
        {"*\n!*/\n!*.txt", "x/y/z.txt", 3, false},
        {"*\n!*/\n!*.txt", "x/y/z.jar", 1, true},
        {"*\n!*/\n!*.txt", "x/y/", 2, false},
        {"a\n!a\n", "a/b", 0, false},
        {"*.log\n!keep.log", "logs/keep.log", 2, false},
        {"logs/\n!keep.log", "logs/keep.log", 1, true},
    };
    CHECK_ROWS(rows);
}

static void double_stars_cross_parts(void **state)
{
    static const struct row rows[] = {
        {"**/b", "b", 1, true},         {"**/b", "x/y/b", 1, true},
        {"a/**", "a/", 0, false},       {"a/**", "a/x/y", 1, true},
        {"a/**/b", "a/b", 1, true},     {"a/**/b", "a/x/y/b", 1, true},
        {"a/**/b", "z/a/b", 0, false},  {"**a", "x/ya", 1, true},
        {"a/b**", "a/bc", 1, true},     {"a/?**", "a/bc/d", 1, true},
        {"a?b**/c", "a1b2/c", 1, true}, {"a?b**/c", "a1b/x/c", 0, false},
        {"foo**/x", "foox", 1, true},   {"foo**/x", "fooa/b/x", 1, true},
        {"**\\/b", "x/y/b", 1, true},   {"**\\/b", "b", 0, false},
        {"/**", "a/b", 1, true},        {"***/b", "x/y/b", 1, true},
    };
    CHECK_ROWS(rows);
}

static void classes_are_those_of_git(void **state)
{
    static const struct row rows[] = {
        {"[[:digit:]x]", "7", 1, true},   {"[[:digit:]x]", "x", 1, true},
        {"[![:digit:]]", "7", 0, false},  {"[![:digit:]]", "a", 1, true},
        {"[[:nope:]]", "n", 0, false},    {"[[:nope:]", "n", 0, false},
        {"[[:a]", ":", 1, true},          {"[[:a]", "[", 1, true},
        {"[::]", ":", 1, true},           {"[]-a]", "_", 1, true},
        {"[]a]", "]", 1, true},           {"[!]a]", "]", 0, false},
        {"[a-c-e]", "-", 1, true},        {"[a-c-e]", "d", 0, false},
        {"[a-]", "-", 1, true},           {"[--0]", ".", 1, true},
        {"[\\]]", "]", 1, true},          {"[a-\\d]", "c", 1, true},
        {"[z-a]", "m", 0, false},         {"a[b", "a[b", 0, false},
        {"a\\[b", "a[b", 1, true},        {"[^a]", "b", 1, true},
        {"[\xc0-\xff]", "\xe9", 1, true},
    };
    CHECK_ROWS(rows);
}

static void limits_are_the_same(void **state)
{
    struct buf rules = BUF_INIT;
    struct error err = ERROR_INIT;
    for (int i = 0; i <= IGNORE_PATTERNS_MAX; i++)
        buf_add_str(&rules, "x\n");
    assert_null(ignore_parse(buf_slice(&rules), IGNORE_GIT, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    error_clear(&err);
    assert_null(ignore_parse(slice_str("?????????????????"), IGNORE_GIT, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buf_free(&rules);
}

/* A run over each part or each way to it would need the square of the depth. */
static void depth_and_stars_cost_linear_time(void **state)
{
    struct buf rules = BUF_INIT, path = BUF_INIT;
    for (int i = 0; i < IGNORE_PATTERNS_MAX; i++) {
        buf_add_str(&rules, "a/");
        for (int j = 0; j < 5; j++)
            buf_add_str(&rules, "**/a*a/");
        buf_add_str(&rules, "b\n");
    }
    for (int i = 0; i < 512; i++)
        buf_add_str(&path, i == 0 ? "aaaaaaa" : "/aaaaaaa");
    struct ignore *ignore = parse(rules.data);
    int64_t before_us = time_monotonic_us();
    assert_false(ignore_matches(ignore, buf_slice(&path), false));
    assert_true(time_monotonic_us() - before_us < 2000000);
    ignore_free(ignore);
    buf_free(&rules);
    buf_free(&path);
}

static void parts_beyond_any_stack_are_counted(void **state)
{
    struct buf path = BUF_INIT;
    for (int i = 0; i < 400; i++)
        buf_add_str(&path, "d/");
    buf_add_str(&path, "end");
    struct ignore *ignore = parse("end\n!d\n");
    assert_int_equal(ignore_find(ignore, buf_slice(&path), false), 0);
    assert_true(ignore_matches(ignore, buf_slice(&path), false));
    ignore_free(ignore);
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_as_git_does),
        cmocka_unit_test(a_slash_inside_anchors),
        cmocka_unit_test(nothing_comes_back_below_a_directory),
        cmocka_unit_test(double_stars_cross_parts),
        cmocka_unit_test(classes_are_those_of_git),
        cmocka_unit_test(limits_are_the_same),
        cmocka_unit_test(depth_and_stars_cost_linear_time),
        cmocka_unit_test(parts_beyond_any_stack_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
