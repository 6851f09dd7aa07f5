/* SPDX-License-Identifier: Apache-2.0 */
/* Extended headers, written. */
#include <assert.h>
#include <inttypes.h>

#include "archive/pax.h"

static size_t digits_of(size_t number)
{
    size_t digits = 1;
    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

void pax_add(struct buf *records, const char *key, struct slice value)
{
    /* The length counts its own digits. */
    size_t rest = strlen(key) + value.length + 3;
    size_t length = rest + digits_of(rest);
    if (rest + digits_of(length) != length)
        length = rest + digits_of(length);
    buf_printf(records, "%zu %s=", length, key);
    buf_add(records, value.data, value.length);
    buf_add_char(records, '\n');
}

void pax_add_uint(struct buf *records, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    pax_add(records, key, slice_str(text));
}

void pax_add_time(struct buf *records, const char *key, int64_t seconds, uint32_t nanoseconds)
{
    assert(nanoseconds < 1000000000);
    /* The digits after the point lead away from zero, as in every decimal number. */
    bool is_negative = seconds < 0;
    uint64_t whole = is_negative ? -(uint64_t)seconds : (uint64_t)seconds;
    if (is_negative && nanoseconds > 0) {
        whole--;
        nanoseconds = 1000000000 - nanoseconds;
    }
    char text[40];
    int length = snprintf(text, sizeof(text), "%s%" PRIu64, is_negative ? "-" : "", whole);
    if (nanoseconds > 0) {
        length +=
            snprintf(text + length, sizeof(text) - (size_t)length, ".%09" PRIu32, nanoseconds);
        while (text[length - 1] == '0')
            length--;
    }
    pax_add(records, key, slice_of(text, (size_t)length));
}
