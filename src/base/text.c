/* SPDX-License-Identifier: Apache-2.0 */
/* Text: UTF-8, numbers with units. */
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

/* Length of the valid sequence at `s`, or 0. */
static size_t sequence_length(const unsigned char *s, size_t left)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (c == 0xe0 && s[1] < 0xa0) || (c == 0xf0 && s[1] < 0x90);
    bool is_surrogate = c == 0xed && s[1] >= 0xa0;
    bool is_too_large = c == 0xf4 && s[1] >= 0x90;
    return is_overlong || is_surrogate || is_too_large ? 0 : length;
}

bool utf8_is_valid(struct slice text)
{
    const unsigned char *s = text.data;
    for (size_t i = 0; i < text.length;) {
        /* Most text is ASCII: eight bytes at a time. */
        uint64_t word;
        if (text.length - i >= sizeof(word)) {
            memcpy(&word, s + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t step = sequence_length(s + i, text.length - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t utf8_count(struct slice text)
{
    const unsigned char *s = text.data;
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += (s[i] & 0xc0) != 0x80;
    return count;
}

void utf8_add_lossy(struct buf *out, struct slice text)
{
    const unsigned char *s = text.data;
    for (size_t i = 0; i < text.length;) {
        size_t step = sequence_length(s + i, text.length - i);
        if (step == 0)
            buf_add_str(out, "\xef\xbf\xbd");
        else
            buf_add(out, s + i, step);
        i += step == 0 ? 1 : step;
    }
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equals_ignoring_case(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

struct slice text_trim(struct slice text)
{
    const char *start = text.data;
    const char *end = start + text.length;
    while (start < end && is_blank(*start))
        start++;
    while (end > start && is_blank(end[-1]))
        end--;
    return slice_of(start, (size_t)(end - start));
}

bool text_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    if (*text == '\0')
        return false;
    uint64_t total = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (total > (UINT64_MAX - digit) / 10)
            return false;
        total = total * 10 + digit;
    }
    if (total < min || total > max)
        return false;
    *value = total;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A whole number, blanks, and a unit of `units` (ended by a NULL name). */
static bool number_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
    char digits[24];
    size_t n = 0;
    while (text[n] >= '0' && text[n] <= '9' && n < sizeof(digits) - 1) {
        digits[n] = text[n];
        n++;
    }
    digits[n] = '\0';
    uint64_t number;
    if (!text_to_u64(digits, 0, UINT64_MAX, &number))
        return false;
    const char *name = text + n;
    while (*name == ' ')
        name++;
    for (; units->name != NULL; units++) {
        if (text_equals_ignoring_case(units->name, name)) {
            if (number > UINT64_MAX / units->factor)
                return false;
            *value = number * units->factor;
            return true;
        }
    }
    return false;
}

int text_to_size(const char *text, uint64_t *size_bytes, struct error *err)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {"KB", 1000},
        {"MB", 1000 * 1000},
        {"GB", UINT64_C(1000) * 1000 * 1000},
        {"TB", UINT64_C(1000) * 1000 * 1000 * 1000},
        {NULL, 0},
    };
    if (number_with_unit(text, units, size_bytes))
        return 0;
    return error_set(err, ERROR_INVALID, "'%.60s' is not a size: write it like '64 KiB' or '2 GiB'",
                     text);
}

int text_to_duration(const char *text, uint64_t *duration_ms, struct error *err)
{
    static const struct unit units[] = {
        {"", 1000},         {"ms", 1},          {"s", 1000},
        {"min", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
        {NULL, 0},
    };
    if (number_with_unit(text, units, duration_ms))
        return 0;
    return error_set(err, ERROR_INVALID,
                     "'%.60s' is not a duration: write it like '250 ms', '30 s' or '6 h'", text);
}

void text_add_size(struct buf *out, uint64_t size_bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)size_bytes;
    size_t i = 0;
    while (value >= 1024 && i + 1 < sizeof(names) / sizeof(names[0])) {
        value /= 1024;
        i++;
    }
    if (i == 0)
        buf_printf(out, "%" PRIu64 " B", size_bytes);
    else
        buf_printf(out, "%.1f %s", value, names[i]);
}
