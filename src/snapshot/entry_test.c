/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"

#include "base/mem.h"

#include "snapshot/report.h"

struct path_case {
    const char *given;
    const char *expected;
    enum error_code code;
};

static void paths_have_one_form(void **state)
{
    static const struct path_case cases[] = {
        {"a", "a", ERROR_NONE},
        {"./a//b/./c/", "a/b/c", ERROR_NONE},
        {"", "", ERROR_NONE},
        {".", "", ERROR_NONE},
        {"./", "", ERROR_NONE},
        {"...", "...", ERROR_NONE},
        {"a/..b/.c", "a/..b/.c", ERROR_NONE},
        {"\xff\xfe/\n", "\xff\xfe/\n", ERROR_NONE},
        {"/etc/passwd", NULL, ERROR_DENIED},
        {"..", NULL, ERROR_DENIED},
        {"a/../b", NULL, ERROR_DENIED},
        {"a/..", NULL, ERROR_DENIED},
        {"./..//", NULL, ERROR_DENIED},
    };
    struct entry entry;
    entry_init(&entry);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        entry_clear(&entry);
        int result = entry_set_path(&entry, slice_str(cases[i].given), &err);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(result, cases[i].code == ERROR_NONE ? 0 : -1);
        assert_string_equal(entry.path.data, cases[i].expected != NULL ? cases[i].expected : "");
        assert_true(entry_path_is_canonical(buf_slice(&entry.path)));
    }
    entry_free(&entry);
}

static void paths_are_limited(void **state)
{
    struct entry entry;
    struct buf path = BUF_INIT;
    entry_init(&entry);

    struct error err = ERROR_INIT;
    assert_int_equal(entry_set_path(&entry, slice_of("a\0b", 3), &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    error_clear(&err);

    for (int i = 0; i < ENTRY_NAME_MAX_BYTES; i++)
        buf_add_char(&path, 'n');
    assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), 0);
    buf_add_char(&path, 'n');
    assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_int_equal(entry.path.length, ENTRY_NAME_MAX_BYTES); /* untouched on failure */
    error_clear(&err);

    buf_clear(&path);
    for (int i = 0; i < ENTRY_DEPTH_MAX; i++)
        buf_add_str(&path, "d/");
    assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), 0);
    buf_add_str(&path, "d");
    assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    error_clear(&err);

    buf_clear(&path);
    while (path.length < ENTRY_PATH_MAX_BYTES)
        buf_add_str(&path, path.length % 16 == 15 ? "/" : "p");
    buf_truncate(&path, ENTRY_PATH_MAX_BYTES - 1);
    buf_add_str(&path, "p");
    assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), 0);
    assert_int_equal(entry.path.length, ENTRY_PATH_MAX_BYTES);
    buf_add_str(&path, "p");
    assert_int_equal(entry_set_path(&entry, buf_slice(&path), &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    buf_free(&path);
    entry_free(&entry);
}

static void what_is_not_canonical_is_seen(void **state)
{
    static const char *const wrong[] = {"/",  "/a",    "a/",     "a//b", ".",    "..",
                                        "./", "a/./b", "a/../b", "../a", "a/..", "a/."};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(entry_path_is_canonical(slice_str(wrong[i])));
    assert_false(entry_path_is_canonical(slice_of("a\0", 2)));
}

static void extents_are_joined_and_summed(void **state)
{
    struct error err = ERROR_INIT;
    struct entry entry;
    entry_init(&entry);
    assert_int_equal(entry_set_path(&entry, slice_str("f"), &err), 0);
    entry.size_bytes = 100;

    struct extent pieces[] = {{0, 10}, {10, 5}, {20, 0}, {90, 10}, {100, 0}};
    assert_int_equal(entry_set_extents(&entry, pieces, 5, &err), 0);
    assert_int_equal(entry.extent_count, 2);
    assert_int_equal(entry.stored_bytes, 25);
    assert_int_equal(entry.extents[0].length, 15);
    assert_int_equal(entry_check(&entry, &err), 0);

    assert_int_equal(entry_set_extents(&entry, NULL, 0, &err), 0); /* one hole */
    assert_non_null(entry.extents);
    assert_int_equal(entry.stored_bytes, 0);
    assert_int_equal(entry_check(&entry, &err), 0);

    struct extent whole[] = {{0, 60}, {60, 40}};
    assert_int_equal(entry_set_extents(&entry, whole, 2, &err), 0);
    assert_null(entry.extents);
    assert_int_equal(entry.stored_bytes, 100);
    entry_free(&entry);
}

static void hostile_extents_are_refused(void **state)
{
    static const struct extent wrong[][2] = {
        {{10, 10}, {19, 1}},         /* overlap */
        {{50, 10}, {0, 10}},         /* order */
        {{0, 10}, {95, 6}},          /* outside */
        {{0, 10}, {101, 0}},         /* outside, empty */
        {{0, 10}, {10, UINT64_MAX}}, /* the sum wraps */
        {{0, 10}, {UINT64_MAX, 1}},  /* the offset wraps */
    };
    struct entry entry;
    entry_init(&entry);
    entry.size_bytes = 100;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(entry_set_extents(&entry, wrong[i], 2, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        assert_null(entry.extents);
    }
    struct error err = ERROR_INIT;
    assert_int_equal(entry_set_extents(&entry, wrong[0], ENTRY_EXTENTS_MAX + 1, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    error_clear(&err);
    entry.size_bytes = UINT64_MAX;
    assert_int_equal(entry_set_extents(&entry, NULL, 0, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    entry_free(&entry);
}

static void entries_that_break_the_rules_are_refused(void **state)
{
    struct error err = ERROR_INIT;
    struct entry entry;
    entry_init(&entry);
    buf_add_str(&entry.path, "a/../b");
    entry.type = ENTRY_DIRECTORY;
    assert_int_equal(entry_check(&entry, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    error_clear(&err);

    buf_clear(&entry.path);
    entry.type = ENTRY_SYMLINK;
    buf_add_str(&entry.link, "/etc");
    assert_int_equal(entry_check(&entry, &err), -1); /* the root as a link */
    error_clear(&err);

    buf_add_str(&entry.path, "l");
    assert_int_equal(entry_check(&entry, &err), 0);
    buf_add(&entry.link, "\0x", 2);
    assert_int_equal(entry_check(&entry, &err), -1);
    error_clear(&err);

    buf_clear(&entry.link);
    buf_add_str(&entry.link, "../outside");
    entry.type = ENTRY_HARDLINK;
    assert_int_equal(entry_check(&entry, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    error_clear(&err);

    entry.type = ENTRY_FILE;
    entry.size_bytes = 5;
    assert_int_equal(entry_check(&entry, &err), -1); /* nothing stored of it */
    error_clear(&err);
    entry.stored_bytes = 5;
    assert_int_equal(entry_check(&entry, &err), 0);
    entry.mtime_ns = 1000000000;
    assert_int_equal(entry_check(&entry, &err), -1);
    entry_free(&entry);
}

static void a_report_counts_beyond_its_items(void **state)
{
    struct report report;
    report_init(&report);
    report_add(NULL, REPORT_CHANGED, slice_str("nobody listens"), "x");
    for (int i = 0; i < REPORT_ITEMS_MAX + 5; i++)
        report_add(&report, REPORT_VANISHED, slice_str("a\xff"), "number %d", i);
    assert_int_equal(report.omissions, REPORT_ITEMS_MAX + 5);
    assert_int_equal(report.item_count, REPORT_ITEMS_MAX);

    struct buf text = BUF_INIT;
    struct json_writer w = json_writer_to(&text);
    report_write_json(&report, &w, 1);
    assert_non_null(strstr(text.data, "\"omissions\":1005"));
    assert_non_null(strstr(text.data, "{\"kind\":\"vanished\",\"path\":\"a\xEF\xBF\xBD\","
                                      "\"detail\":\"number 0\"}"));
    assert_null(strstr(text.data, "number 1"));
    buf_free(&text);
    report_free(&report);
}

static void attributes_are_replaced_and_bounded(void **state)
{
    scope_buf struct buf xattrs = BUF_INIT;
    struct error err = ERROR_INIT;
    struct slice name, value;
    char text[32];
    size_t at = 0;
    struct slice a = slice_str("user.a"), b = slice_str("user.b");
    assert_int_equal(entry_xattrs_set(&xattrs, a, slice_str("first"), &err), 0);
    assert_int_equal(entry_xattrs_set(&xattrs, b, slice_str(""), &err), 0);
    assert_int_equal(entry_xattrs_set(&xattrs, a, slice_str("second one"), &err), 0);
    assert_true(entry_xattrs_next(buf_slice(&xattrs), &at, &name, &value));
    assert_true(slice_equal(name, b) && value.length == 0);
    assert_true(entry_xattrs_next(buf_slice(&xattrs), &at, &name, &value));
    assert_true(slice_equal(name, a) && slice_equal(value, slice_str("second one")));
    assert_false(entry_xattrs_next(buf_slice(&xattrs), &at, &name, &value));

    scope_free char *large = xcalloc(1, ENTRY_XATTRS_MAX_BYTES);
    struct slice full = slice_of(large, ENTRY_XATTRS_MAX_BYTES - a.length - b.length);
    assert_int_equal(entry_xattrs_set(&xattrs, a, full, &err), 0);
    assert_int_equal(entry_xattrs_set(&xattrs, b, slice_str("x"), &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    error_clear(&err);
    assert_int_equal(entry_xattrs_set(&xattrs, slice_of("n\0ul", 4), b, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    error_clear(&err);

    buf_clear(&xattrs);
    for (int i = 0; i < ENTRY_XATTRS_MAX; i++) {
        snprintf(text, sizeof(text), "user.%d", i);
        assert_int_equal(entry_xattrs_set(&xattrs, slice_str(text), b, &err), 0);
    }
    assert_int_equal(entry_xattrs_set(&xattrs, slice_str("user.more"), b, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
}

static void attributes_that_are_cut_off_are_refused(void **state)
{
    struct entry entry;
    struct error err = ERROR_INIT;
    entry_init(&entry);
    entry.type = ENTRY_DIRECTORY;
    assert_int_equal(entry_xattrs_set(&entry.xattrs, slice_str("user.a"), slice_str("v"), &err), 0);
    assert_int_equal(entry_check(&entry, &err), 0);
    buf_truncate(&entry.xattrs, entry.xattrs.length - 1);
    assert_int_equal(entry_check(&entry, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    entry_free(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_replaced_and_bounded),
        cmocka_unit_test(attributes_that_are_cut_off_are_refused),
        cmocka_unit_test(paths_have_one_form),
        cmocka_unit_test(paths_are_limited),
        cmocka_unit_test(what_is_not_canonical_is_seen),
        cmocka_unit_test(extents_are_joined_and_summed),
        cmocka_unit_test(hostile_extents_are_refused),
        cmocka_unit_test(entries_that_break_the_rules_are_refused),
        cmocka_unit_test(a_report_counts_beyond_its_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
