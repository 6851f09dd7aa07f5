/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted, what is on the way to it, and what was met. */
#include "snapshot/selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void want(struct selection *selection, const char *path)
{
    struct error err = ERROR_INIT;
    if (selection_add(selection, slice_str(path), &err) < 0)
        fail_msg("%s: %s", path, err.text);
}

static enum selection_verdict look(const struct selection *selection, const char *path)
{
    return selection_look(selection, slice_str(path));
}

static void a_directory_is_wanted_with_all_below(void **state)
{
    scope_selection struct selection *selection = selection_new();
    want(selection, "world/region");
    want(selection, "server.properties");
    assert_int_equal(look(selection, "world/region"), SELECTION_WANTED);
    assert_int_equal(look(selection, "world/region/r.0.0.mca"), SELECTION_WANTED);
    assert_int_equal(look(selection, "world/region/a/b/c"), SELECTION_WANTED);
    assert_int_equal(look(selection, "server.properties"), SELECTION_WANTED);
    assert_int_equal(look(selection, "world"), SELECTION_PARENT);
    assert_int_equal(look(selection, ""), SELECTION_PARENT);
    assert_int_equal(look(selection, "world/regio"), SELECTION_NONE);
    assert_int_equal(look(selection, "world/region2"), SELECTION_NONE);
    assert_int_equal(look(selection, "world/region.bak/x"), SELECTION_NONE);
    assert_int_equal(look(selection, "worl"), SELECTION_NONE);
    assert_int_equal(look(selection, "world2"), SELECTION_NONE);
}

/* '-' and '.' sort before '/', as bytes: neighbours must not come between a directory and its content. */
static void neighbours_do_not_come_between(void **state)
{
    scope_selection struct selection *selection = selection_new();
    want(selection, "a-b");
    want(selection, "a.b");
    want(selection, "a/z");
    want(selection, "a!");
    assert_int_equal(look(selection, "a"), SELECTION_PARENT);
    assert_int_equal(look(selection, "a/z/y"), SELECTION_WANTED);
    assert_int_equal(look(selection, "a-b/y"), SELECTION_WANTED);
    want(selection, "a");
    assert_int_equal(selection_count(selection), 4); /* "a/z" is folded, its neighbours are not */
    assert_int_equal(look(selection, "a/q"), SELECTION_WANTED);
    assert_int_equal(look(selection, "a.b"), SELECTION_WANTED);
    assert_int_equal(look(selection, "a+"), SELECTION_NONE);
}

static void nothing_wants_nothing_and_the_root_everything(void **state)
{
    scope_selection struct selection *selection = selection_new();
    assert_int_equal(look(selection, ""), SELECTION_NONE);
    assert_int_equal(look(selection, "a"), SELECTION_NONE);
    want(selection, "a/b");
    assert_false(selection_is_everything(selection));
    want(selection, "//./");
    assert_true(selection_is_everything(selection));
    assert_int_equal(selection_count(selection), 1);
    assert_int_equal(look(selection, ""), SELECTION_WANTED);
    assert_int_equal(look(selection, "x/y"), SELECTION_WANTED);
    want(selection, "c");
    assert_int_equal(selection_count(selection), 1);
}

static void paths_are_put_into_the_form_of_entries(void **state)
{
    scope_selection struct selection *selection = selection_new();
    struct error err = ERROR_INIT;
    want(selection, "///a//./b/");
    want(selection, "a/b");
    want(selection, "a/b/c");
    assert_int_equal(selection_count(selection), 1);
    assert_true(slice_equal(selection_path(selection, 0), slice_str("a/b")));
    assert_int_equal(selection_add(selection, slice_str("a/../../etc"), &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    error_clear(&err);
    assert_int_equal(selection_add(selection, slice_of("a\0b", 3), &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    error_clear(&err);
    scope_free char *name = xcalloc(1, 300);
    memset(name, 'n', 299);
    assert_int_equal(selection_add(selection, slice_str(name), &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_int_equal(selection_count(selection), 1);
}

static void the_number_of_paths_is_limited(void **state)
{
    scope_selection struct selection *selection = selection_new();
    struct error err = ERROR_INIT;
    for (int i = 0; i < SELECTION_PATHS_MAX; i++) {
        scope_free char *path = xasprintf("d/%d", i);
        want(selection, path);
        want(selection, path);
    }
    assert_int_equal(selection_add(selection, slice_str("e"), &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    want(selection, "d"); /* takes the place of them all */
    assert_int_equal(selection_count(selection), 1);
    want(selection, "e");
}

static void the_bytes_of_paths_are_limited(void **state)
{
    scope_selection struct selection *selection = selection_new();
    scope_buf struct buf path = BUF_INIT;
    struct error err = ERROR_INIT;
    int added = 0;
    while (added < SELECTION_PATHS_MAX) {
        buf_clear(&path);
        buf_printf(&path, "%d", added);
        for (int i = 0; i < 20; i++)
            buf_printf(&path, "/%0200d", i);
        if (selection_add(selection, buf_slice(&path), &err) < 0)
            break;
        added++;
    }
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_true(added > 25 && added < 40);
}

static void what_was_not_met_is_named(void **state)
{
    scope_selection struct selection *selection = selection_new();
    struct error err = ERROR_INIT;
    want(selection, "a");
    want(selection, "b/c");
    want(selection, "z");
    selection_meet(selection, slice_str("a/deep/below"));
    selection_meet(selection, slice_str("b")); /* only on the way */
    assert_int_equal(selection_check_met(selection, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_string_equal(err.text, "'b/c' and 1 more are not in the backup");
    error_clear(&err);
    selection_meet(selection, slice_str("b/c"));
    assert_int_equal(selection_check_met(selection, &err), -1);
    assert_string_equal(err.text, "'z' is not in the backup");
    error_clear(&err);
    selection_meet(selection, slice_str("z"));
    assert_int_equal(selection_check_met(selection, &err), 0);
}

/* Against the plain definition, on many small selections over an alphabet that sorts badly. */
static void verdicts_agree_with_the_definition(void **state)
{
    static const char alphabet[] = "a-/";
    unsigned seed = 42;
    for (int round = 0; round < 2000; round++) {
        scope_selection struct selection *selection = selection_new();
        char wanted[6][8], probe[8];
        for (size_t i = 0; i < 6; i++) {
            size_t length = 1 + (size_t)rand_r(&seed) % 5;
            for (size_t k = 0; k < length; k++)
                wanted[i][k] =
                    alphabet[(k % 2) ? (size_t)rand_r(&seed) % 3 : (size_t)rand_r(&seed) % 2];
            wanted[i][length] = '\0';
            if (wanted[i][length - 1] == '/')
                wanted[i][length - 1] = 'a';
            want(selection, wanted[i]);
        }
        size_t length = 1 + (size_t)rand_r(&seed) % 5;
        for (size_t k = 0; k < length; k++)
            probe[k] = alphabet[(k % 2) && k + 1 < length ? (size_t)rand_r(&seed) % 3
                                                          : (size_t)rand_r(&seed) % 2];
        probe[length] = '\0';
        enum selection_verdict expected = SELECTION_NONE;
        for (size_t i = 0; i < 6; i++) {
            size_t top = strlen(wanted[i]);
            if (strncmp(probe, wanted[i], top) == 0 && (probe[top] == '/' || probe[top] == '\0'))
                expected = SELECTION_WANTED;
            else if (expected == SELECTION_NONE && strncmp(wanted[i], probe, length) == 0 &&
                     wanted[i][length] == '/')
                expected = SELECTION_PARENT;
        }
        if (look(selection, probe) != expected)
            fail_msg("'%s' of '%s' '%s' '%s' '%s' '%s' '%s'", probe, wanted[0], wanted[1],
                     wanted[2], wanted[3], wanted[4], wanted[5]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_is_wanted_with_all_below),
        cmocka_unit_test(neighbours_do_not_come_between),
        cmocka_unit_test(nothing_wants_nothing_and_the_root_everything),
        cmocka_unit_test(paths_are_put_into_the_form_of_entries),
        cmocka_unit_test(the_number_of_paths_is_limited),
        cmocka_unit_test(the_bytes_of_paths_are_limited),
        cmocka_unit_test(what_was_not_met_is_named),
        cmocka_unit_test(verdicts_agree_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
