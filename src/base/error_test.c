/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void wrapping_puts_the_intent_before_the_cause(void **state)
{
    struct error err = ERROR_INIT;
    assert_int_equal(error_set(&err, ERROR_CORRUPT, "member %d is cut off", 3), -1);
    assert_int_equal(error_wrap(&err, "reading archive '%s'", "a.tar.gz"), -1);
    assert_string_equal(err.text, "reading archive 'a.tar.gz': member 3 is cut off");
    assert_int_equal(err.code, ERROR_CORRUPT);
}

static void errno_decides_the_code(void **state)
{
    static const struct {
        int os_errno;
        enum error_code code;
    } rows[] = {
        {ENOENT, ERROR_NOT_FOUND},
        {ENOTDIR, ERROR_NOT_FOUND},
        {EEXIST, ERROR_CONFLICT},
        {EACCES, ERROR_DENIED},
        {EXDEV, ERROR_DENIED},
        {ELOOP, ERROR_DENIED},
        {ENOSPC, ERROR_NO_SPACE},
        {EDQUOT, ERROR_NO_SPACE},
        {EMFILE, ERROR_LIMIT},
        {EIO, ERROR_IO},
        {ECONNREFUSED, ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        error_set_os(&err, rows[i].os_errno, "opening 'x'");
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(err.os_errno, rows[i].os_errno);
        assert_non_null(strstr(err.text, strerror(rows[i].os_errno)));
    }
}

static void a_long_text_is_cut_and_stays_a_string(void **state)
{
    char long_text[2000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    struct error err = ERROR_INIT;
    error_set_os(&err, ENOSPC, "%s", long_text);
    error_wrap(&err, "%s", long_text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void exit_status_tells_usage_from_failure(void **state)
{
    struct error err = ERROR_INIT;
    assert_int_equal(error_exit_status(&err), 0);
    error_set(&err, ERROR_INVALID, "no");
    assert_int_equal(error_exit_status(&err), 2);
    error_clear(&err);
    assert_false(error_is_set(&err));
    error_set(&err, ERROR_IO, "no");
    assert_int_equal(error_exit_status(&err), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapping_puts_the_intent_before_the_cause),
        cmocka_unit_test(errno_decides_the_code),
        cmocka_unit_test(a_long_text_is_cut_and_stays_a_string),
        cmocka_unit_test(exit_status_tells_usage_from_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
