/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "base/text.h"

static void utf8_is_judged_as_rfc_3629_does(void **state)
{
    static const struct {
        const char *bytes;
        bool is_valid;
    } rows[] = {
        {"", true},
        {"world", true},
        {"gr\xc3\xbc\xc3\x9f", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x8e\xae", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},
        {"\xc0\xaf", false},
        {"\xe0\x80\xaf", false},
        {"\xf0\x80\x80\xaf", false},
        {"\xed\xa0\x80", false},
        {"\xc3", false},
        {"\x80", false},
        {"\xff", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(utf8_is_valid(slice_str(rows[i].bytes)), rows[i].is_valid);
}

static void bad_bytes_are_replaced_one_by_one(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    utf8_add_lossy(&out, slice_str("a\xff\xc3(b"));
    assert_string_equal(out.data, "a\xef\xbf\xbd\xef\xbf\xbd(b");
}

static void sizes_are_read_with_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t size_bytes;
        bool is_valid;
    } rows[] = {
        {"0", 0, true},
        {"10", 10, true},
        {"64 KiB", 65536, true},
        {"2GiB", UINT64_C(2) << 30, true},
        {"1 mb", 1000000, true},
        {"", 0, false},
        {"-1", 0, false},
        {"1.5 GiB", 0, false},
        {"12 parsecs", 0, false},
        {"18446744073709551616", 0, false},
        {"18446744073709551615 TiB", 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        uint64_t size_bytes = 0;
        assert_int_equal(text_to_size(rows[i].text, &size_bytes, &err), rows[i].is_valid ? 0 : -1);
        if (rows[i].is_valid)
            assert_int_equal(size_bytes, rows[i].size_bytes);
        else
            assert_int_equal(err.code, ERROR_INVALID);
    }
}

static void durations_are_read_with_units(void **state)
{
    struct error err = ERROR_INIT;
    uint64_t ms;
    assert_int_equal(text_to_duration("30", &ms, &err), 0);
    assert_int_equal(ms, 30000);
    assert_int_equal(text_to_duration("250 ms", &ms, &err), 0);
    assert_int_equal(ms, 250);
    assert_int_equal(text_to_duration("2 d", &ms, &err), 0);
    assert_int_equal(ms, 172800000);
    assert_int_equal(text_to_duration("soon", &ms, &err), -1);
}

static void base64_reads_only_what_it_writes(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        scope_buf struct buf encoded = BUF_INIT, decoded = BUF_INIT;
        base64_add(&encoded, slice_str(pairs[i][0]));
        assert_string_equal(encoded.data, pairs[i][1]);
        assert_true(base64_decode(buf_slice(&encoded), &decoded));
        assert_string_equal(decoded.data, pairs[i][0]);
    }
    static const char *const bad[] = {
        "Zg", "Zg=", "Z===", "Zh==", "Zm9", "Zm9v\n", "Zm 9", "Zm8=Zm8="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        scope_buf struct buf decoded = BUF_INIT;
        assert_false(base64_decode(slice_str(bad[i]), &decoded));
    }
}

static void base64url_has_its_own_letters_and_no_padding(void **state)
{
    scope_buf struct buf encoded = BUF_INIT, decoded = BUF_INIT;
    base64url_add(&encoded, slice_of("\xfb\xff\xfe\x01", 4));
    assert_string_equal(encoded.data, "-__-AQ");
    assert_true(base64url_decode(buf_slice(&encoded), &decoded));
    assert_memory_equal(decoded.data, "\xfb\xff\xfe\x01", 4);
    assert_false(base64url_decode(slice_str("-__-AQ=="), &decoded));
    assert_false(base64url_decode(slice_str("+//+AQ"), &decoded));
}

static void hexadecimal_needs_exactly_its_length(void **state)
{
    uint8_t bytes[2];
    assert_true(hex_decode("0aFF", bytes, 2));
    assert_memory_equal(bytes, "\x0a\xff", 2);
    assert_false(hex_decode("0aF", bytes, 2));
    assert_false(hex_decode("0aFFF", bytes, 2));
    assert_false(hex_decode("0axx", bytes, 2));
    char text[5];
    hex_encode("\x0a\xff", 2, text);
    assert_string_equal(text, "0aff");
}

static void blanks_around_go(void **state)
{
    struct slice trimmed = text_trim(slice_str(" \t a b \r\n"));
    assert_true(slice_equal(trimmed, slice_str("a b")));
    assert_int_equal(text_trim(slice_str("  ")).length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_judged_as_rfc_3629_does),
        cmocka_unit_test(bad_bytes_are_replaced_one_by_one),
        cmocka_unit_test(sizes_are_read_with_units),
        cmocka_unit_test(durations_are_read_with_units),
        cmocka_unit_test(base64_reads_only_what_it_writes),
        cmocka_unit_test(base64url_has_its_own_letters_and_no_padding),
        cmocka_unit_test(hexadecimal_needs_exactly_its_length),
        cmocka_unit_test(blanks_around_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
