/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

static void reading_is_strict(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        bool is_valid;
    } rows[] = {
        {"{\"a\":1}", 0, true},
        {"null", 0, true},
        {"[1,2]", 0, true},
        {"{\"a\":1,\"a\":2}", 0, false},
        {"{\"a\":1}x", 0, false},
        {"{\"a\":\"\xff\"}", 0, false},
        {"{\"a\":\"\\u0000\"}", 0, false},
        {"[01]", 0, false},
        {"{a:1}", 0, false},
        {"", 0, false},
        {"[1,]", 0, false},
        {"\"\0\"", 3, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        size_t length = rows[i].length > 0 ? rows[i].length : strlen(rows[i].text);
        json_t *value = json_read(slice_of(rows[i].text, length), &err);
        assert_int_equal(value != NULL, rows[i].is_valid);
        assert_int_equal(err.code, rows[i].is_valid ? ERROR_NONE : ERROR_INVALID);
        json_decref(value);
    }
}

static void depth_is_bounded(void **state)
{
    scope_buf struct buf text = BUF_INIT;
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_add_char(&text, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_add_char(&text, ']');
    struct error err = ERROR_INIT;
    json_t *value = json_read(buf_slice(&text), &err);
    assert_non_null(value);
    json_decref(value);
    buf_clear(&text);
    for (int i = 0; i < 1000000; i++)
        buf_add_char(&text, '[');
    assert_null(json_read(buf_slice(&text), &err));
    assert_int_equal(err.code, ERROR_INVALID);
}

/* `count` of "[]" in a list. */
static int read_brackets(int count, enum error_code *code)
{
    scope_buf struct buf text = BUF_INIT;
    for (int i = 0; i < count; i++)
        buf_add_str(&text, i == 0 ? "[[]" : ",[]");
    buf_add_char(&text, ']');
    struct error err = ERROR_INIT;
    scope_json json_t *value = json_read(buf_slice(&text), &err);
    *code = err.code;
    return value == NULL ? -1 : 0;
}

static void how_many_values_is_bounded(void **state)
{
    enum error_code code;
    assert_int_equal(read_brackets(JSON_VALUES_MAX / 2 - 1, &code), 0);
    assert_int_equal(read_brackets(JSON_VALUES_MAX, &code), -1);
    assert_int_equal(code, ERROR_INVALID);
    scope_buf struct buf text = BUF_INIT;
    buf_add_char(&text, '"');
    for (int i = 0; i < 2 * JSON_VALUES_MAX; i++)
        buf_add_char(&text, i % 2 == 0 ? ',' : '['); /* in a text they are no values */
    buf_add_char(&text, '"');
    struct error err = ERROR_INIT;
    scope_json json_t *value = json_read(buf_slice(&text), &err);
    assert_non_null(value);
}

static void what_is_written_reads_back(void **state)
{
    scope_buf struct buf text = BUF_INIT;
    struct json_writer w = json_writer_to(&text);
    json_begin_object(&w);
    json_field_string(&w, "name", "a \"b\" \\ / \n\x01 \xc3\xbc");
    json_field_string(&w, "none", NULL);
    json_field_int(&w, "low", INT64_MIN);
    json_field_uint(&w, "high", INT64_MAX);
    json_key(&w, "list");
    json_begin_array(&w);
    json_put_bool(&w, true);
    json_put_double(&w, 0.25);
    json_begin_object(&w);
    json_end_object(&w);
    json_end_array(&w);
    json_field_string(&w, "bytes", "\xff");
    json_end_object(&w);

    struct error err = ERROR_INIT;
    scope_json json_t *value = json_read(buf_slice(&text), &err);
    assert_non_null(value);
    assert_string_equal(json_get_string(value, "name", ""), "a \"b\" \\ / \n\x01 \xc3\xbc");
    assert_true(json_is_null(json_object_get(value, "none")));
    assert_true(json_get_int(value, "low", 0) == INT64_MIN);
    assert_true(json_get_int(value, "high", 0) == INT64_MAX);
    assert_int_equal(json_array_size(json_object_get(value, "list")), 3);
    assert_string_equal(json_get_string(value, "bytes", ""), "\xef\xbf\xbd");
}

static void every_byte_at_every_place_reads_back(void **state)
{
    for (unsigned byte = 1; byte < 0x80; byte++) {
        for (size_t at = 0; at < 20; at++) {
            char text[21] = "abcdefghijklmnopqrst";
            text[at] = (char)byte;
            scope_buf struct buf json = BUF_INIT;
            struct json_writer w = json_writer_to(&json);
            json_put_string(&w, text);
            struct error err = ERROR_INIT;
            scope_json json_t *value = json_read(buf_slice(&json), &err);
            assert_non_null(value);
            assert_string_equal(json_string_value(value), text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_is_strict),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(how_many_values_is_bounded),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(every_byte_at_every_place_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
