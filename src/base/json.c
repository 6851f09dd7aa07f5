/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: jansson to read, a writer of our own. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"

/* jansson recurses per level, and makes a hundred bytes of "[],": both are counted before it is asked. */
static int check_shape(struct slice text, struct error *err)
{
    const char *s = text.data;
    int depth = 0;
    size_t values = 1;
    bool is_in_string = false;
    for (size_t i = 0; i < text.length; i++) {
        if (is_in_string) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                is_in_string = false;
        } else if (s[i] == '"') {
            is_in_string = true;
        } else if (s[i] == '[' || s[i] == '{') {
            values++;
            if (++depth > JSON_DEPTH_MAX)
                return error_set(err, ERROR_INVALID, "nested deeper than %d levels",
                                 JSON_DEPTH_MAX);
        } else if (s[i] == ']' || s[i] == '}') {
            depth--;
        } else if (s[i] == ',' && ++values > JSON_VALUES_MAX) {
            return error_set(err, ERROR_INVALID, "more than %d values", JSON_VALUES_MAX);
        }
    }
    return 0;
}

json_t *json_read(struct slice text, struct error *err)
{
    if (check_shape(text, err) < 0)
        return NULL;
    json_error_t reason;
    json_t *value =
        json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &reason);
    if (value == NULL)
        error_set(err, ERROR_INVALID, "%s (line %d, column %d)", reason.text, reason.line,
                  reason.column);
    return value;
}

const char *json_get_string(const json_t *object, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : fallback;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

struct json_writer json_writer_to(struct buf *out)
{
    return (struct json_writer){.out = out, .needs_comma = false};
}

static void begin_value(struct json_writer *w)
{
    if (w->needs_comma)
        buf_add_char(w->out, ',');
    w->needs_comma = true;
}

static void open_with(struct json_writer *w, char bracket)
{
    begin_value(w);
    buf_add_char(w->out, bracket);
    w->needs_comma = false;
}

static void close_with(struct json_writer *w, char bracket)
{
    buf_add_char(w->out, bracket);
    w->needs_comma = true;
}

void json_begin_object(struct json_writer *w)
{
    open_with(w, '{');
}

void json_end_object(struct json_writer *w)
{
    close_with(w, '}');
}

void json_begin_array(struct json_writer *w)
{
    open_with(w, '[');
}

void json_end_array(struct json_writer *w)
{
    close_with(w, ']');
}

void json_key(struct json_writer *w, const char *key)
{
    size_t length = strlen(key);
    buf_reserve(w->out, length + 4);
    if (w->needs_comma)
        buf_add_char(w->out, ',');
    buf_add_char(w->out, '"');
    buf_add(w->out, key, length);
    buf_add(w->out, "\":", 2);
    w->needs_comma = false;
}

/* What follows the backslash; 'u': four digits; 0: nothing to escape. */
static const char escapes[256] = {
    [0 ... 8] = 'u',       ['\t'] = 't', ['\n'] = 'n',  [0x0b ... 0x0c] = 'u', ['\r'] = 'r',
    [0x0e ... 0x1f] = 'u', ['"'] = '"',  ['\\'] = '\\', [0x7f] = 'u',
};

static void add_escaped(struct buf *out, const char *s, size_t length)
{
    size_t run = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)s[i];
        char escape = escapes[c];
        if (escape == 0)
            continue;
        buf_add(out, s + run, i - run);
        run = i + 1;
        if (escape == 'u')
            buf_printf(out, "\\u%04x", c);
        else
            buf_add(out, (const char[]){'\\', escape}, 2);
    }
    buf_add(out, s + run, length - run);
}

/* Bit 7 of every byte of `word` that equals `byte`; exact where no byte of `word` has its own bit 7. */
static uint64_t bytes_equal(uint64_t word, unsigned char byte)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t differs = word ^ (ones * byte);
    return (differs - ones) & ~differs & (ones << 7);
}

/* Printable ASCII without quotes and backslashes, as nearly all names and times are: eight bytes at a time. */
static bool is_plain(const char *s, size_t length)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (; length >= sizeof(uint64_t); length -= sizeof(uint64_t), s += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, s, sizeof(word));
        uint64_t below_space = (word - ones * 0x20) & ~word;
        if (((word | below_space) & (ones << 7)) != 0 || bytes_equal(word, '"') != 0 ||
            bytes_equal(word, '\\') != 0 || bytes_equal(word, 0x7f) != 0)
            return false;
    }
    for (; length > 0; length--, s++)
        if ((unsigned char)*s >= 0x80 || escapes[(unsigned char)*s] != 0)
            return false;
    return true;
}

void json_put_string_slice(struct json_writer *w, struct slice text)
{
    buf_reserve(w->out, text.length + 3);
    begin_value(w);
    buf_add_char(w->out, '"');
    if (is_plain(text.data, text.length)) {
        buf_add(w->out, text.data, text.length);
    } else if (utf8_is_valid(text)) {
        add_escaped(w->out, text.data, text.length);
    } else {
        scope_buf struct buf valid = BUF_INIT;
        utf8_add_lossy(&valid, text);
        add_escaped(w->out, valid.data, valid.length);
    }
    buf_add_char(w->out, '"');
}

void json_put_string(struct json_writer *w, const char *text)
{
    if (text == NULL)
        json_put_null(w);
    else
        json_put_string_slice(w, slice_str(text));
}

void json_put_raw(struct json_writer *w, struct slice json)
{
    begin_value(w);
    buf_add(w->out, json.data, json.length);
}

static void add_decimal(struct buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(out, digits + at, sizeof(digits) - at);
}

void json_put_int(struct json_writer *w, int64_t value)
{
    begin_value(w);
    if (value < 0)
        buf_add_char(w->out, '-');
    add_decimal(w->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_put_uint(struct json_writer *w, uint64_t value)
{
    begin_value(w);
    add_decimal(w->out, value);
}

void json_put_bool(struct json_writer *w, bool value)
{
    begin_value(w);
    buf_add_str(w->out, value ? "true" : "false");
}

void json_put_double(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        json_put_null(w);
        return;
    }
    begin_value(w);
    buf_printf(w->out, "%.3f", value);
}

void json_put_null(struct json_writer *w)
{
    begin_value(w);
    buf_add_str(w->out, "null");
}

void json_field_string(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    json_put_string(w, text);
}

void json_field_int(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_put_int(w, value);
}

void json_field_uint(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_put_uint(w, value);
}

void json_field_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_put_bool(w, value);
}
