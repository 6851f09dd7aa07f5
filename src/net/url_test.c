/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/scope.h"
#include "net/url.h"

static void encoding_keeps_only_unreserved_characters(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    url_encode(&out, slice_str("aZ09-._~ /?&=%+\xc3\xa4"));
    assert_string_equal(out.data, "aZ09-._~%20%2F%3F%26%3D%25%2B%C3%A4");
}

static void decoding_inverts_encoding_for_all_bytes_but_nul(void **state)
{
    char all[255];
    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    scope_buf struct buf encoded = BUF_INIT;
    scope_buf struct buf decoded = BUF_INIT;
    url_encode(&encoded, slice_of(all, sizeof(all)));
    assert_true(url_decode(buf_slice(&encoded), &decoded));
    assert_true(slice_equal(buf_slice(&decoded), slice_of(all, sizeof(all))));
}

static void bad_escapes_are_refused(void **state)
{
    static const char *const bad[] = {"%", "%4", "%zz", "a%0", "%00", "a%00b", "%%41"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        scope_buf struct buf out = BUF_INIT;
        assert_false(url_decode(slice_str(bad[i]), &out));
    }
    scope_buf struct buf out = BUF_INIT;
    assert_false(url_decode(slice_of("a\0b", 3), &out));
}

static void plus_is_a_blank_in_forms_only(void **state)
{
    scope_buf struct buf form = BUF_INIT;
    scope_buf struct buf path = BUF_INIT;
    assert_true(url_decode_form(slice_str("a+b%2B"), &form));
    assert_true(url_decode(slice_str("a+b%2B"), &path));
    assert_string_equal(form.data, "a b+");
    assert_string_equal(path.data, "a+b+");
}

static void join(const char *name, const char *value, void *context)
{
    buf_printf(context, "[%s|%s]", name, value);
}

static void pairs_are_visited_in_order(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    assert_true(url_each_pair(slice_str("a=1&&b=x%3Dy+z&c&=d&e="), 5, join, &out));
    assert_string_equal(out.data, "[a|1][b|x=y z][c|][|d][e|]");
    buf_clear(&out);
    assert_true(url_each_pair(slice_str(""), 1, join, &out));
    assert_string_equal(out.data, "");
}

static void too_many_or_malformed_pairs_are_refused(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    assert_false(url_each_pair(slice_str("a=1&b=2&c=3"), 2, join, &out));
    assert_false(url_each_pair(slice_str("a=%q"), 2, join, &out));
    assert_false(url_each_pair(slice_str("%00=1"), 2, join, &out));
}

static void addresses_lie_in_their_ranges(void **state)
{
    static const struct {
        const char *address, *range;
        bool is_in;
    } rows[] = {
        {"10.1.2.3", "10.0.0.0/8", true},
        {"11.1.2.3", "10.0.0.0/8", false},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.4", "10.1.2.3", false},
        {"10.1.2.3", "0.0.0.0/0", true},
        {"10.1.2.127", "10.1.2.0/25", true},
        {"10.1.2.128", "10.1.2.0/25", false},
        {"10.1.2.128", "10.1.2.129/31", true},
        {"::1", "::1", true},
        {"::2", "::1", false},
        {"2001:db8::5", "2001:db8::/32", true},
        {"2001:db9::5", "2001:db8::/32", false},
        {"::1", "0.0.0.0/0", false},
        {"127.0.0.1", "::/0", false},
        {"::ffff:10.0.0.1", "10.0.0.0/8", true},
        {"10.0.0.1", "::ffff:10.0.0.0/104", true},
        {"11.0.0.1", "::ffff:10.0.0.0/104", false},
        {"10.0.0.1", "::ffff:0.0.0.0/95", false},
        {"10.0.0.1", "10.0.0.0/33", false},
        {"10.0.0.1", "10.0.0.0/", false},
        {"10.0.0.1", "10.0.0.0/-1", false},
        {"10.0.0.1", "10.0.0/8", false},
        {"10.0.0", "10.0.0.0/8", false},
        {"", "", false},
        {"10.0.0.1", "a very long text that is nothing like an address at all/8", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (address_in_range(rows[i].address, rows[i].range) != rows[i].is_in)
            fail_msg("'%s' in '%s'", rows[i].address, rows[i].range);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_keeps_only_unreserved_characters),
        cmocka_unit_test(decoding_inverts_encoding_for_all_bytes_but_nul),
        cmocka_unit_test(bad_escapes_are_refused),
        cmocka_unit_test(plus_is_a_blank_in_forms_only),
        cmocka_unit_test(pairs_are_visited_in_order),
        cmocka_unit_test(too_many_or_malformed_pairs_are_refused),
        cmocka_unit_test(addresses_lie_in_their_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
