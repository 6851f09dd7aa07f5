/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "cli/console.h"

static void nothing_that_a_terminal_obeys_is_shown(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        const char *shown;
    } rows[] = {
        {"plain", 5, "plain"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 14,
         "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"caf\xe9.txt", 8, "caf\\xe9.txt"},
        {"\x1b]0;evil\x07", 9, "\\x1b]0;evil\\x07"},
        {"a\nb\tc\r", 6, "a\\x0ab\\x09c\\x0d"},
        {"\xc2\x9b"
         "31m",
         5, "\\xc2\\x9b31m"},
        {"\x7f", 1, "\\x7f"},
        {"a\0b", 3, "a\\x00b"},
        {"\xf0\x9f", 2, "\\xf0\\x9f"},
        {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},
        {"", 0, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_buf struct buf out = BUF_INIT;
        shown_add(&out, slice_of(rows[i].text, rows[i].length));
        assert_string_equal(out.data, rows[i].shown);
    }
}

static void cells_are_escaped_and_missing_ones_are_dashes(void **state)
{
    scope_table struct table table = {.columns = 2};
    table_add(&table, (const char *[]){"NAME", "STATUS"});
    table_add(&table, (const char *[]){"a\x1b", NULL});
    assert_int_equal(table.rows, 2);
    assert_string_equal(table.cells[2], "a\\x1b");
    assert_string_equal(table.cells[3], "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_a_terminal_obeys_is_shown),
        cmocka_unit_test(cells_are_escaped_and_missing_ones_are_dashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
