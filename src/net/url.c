/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding and forms.  Decoding refuses what two readers could read differently. */
#include "net/url.h"

#include <string.h>

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void url_encode(struct buf *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *in = text.data;
    for (size_t i = 0; i < text.length; i++) {
        if (is_unreserved(in[i])) {
            buf_add_char(out, (char)in[i]);
            continue;
        }
        char escape[3] = {'%', digits[in[i] >> 4], digits[in[i] & 15]};
        buf_add(out, escape, sizeof(escape));
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the escape at `text` stands for; -1: none, or NUL. */
static int escaped_byte(const char *text, size_t left)
{
    int high = left >= 3 ? hex_value(text[1]) : -1;
    int low = high < 0 ? -1 : hex_value(text[2]);
    int byte = low < 0 ? -1 : high << 4 | low;
    return byte == 0 ? -1 : byte;
}

static bool decode(struct slice text, bool plus_is_blank, struct buf *out)
{
    const char *in = text.data;
    for (size_t i = 0; i < text.length; i++) {
        char c = in[i];
        if (c == '\0')
            return false;
        if (c == '%') {
            int byte = escaped_byte(in + i, text.length - i);
            if (byte < 0)
                return false;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        buf_add_char(out, c);
    }
    return true;
}

bool url_decode(struct slice text, struct buf *out)
{
    return decode(text, false, out);
}

bool url_decode_form(struct slice text, struct buf *out)
{
    return decode(text, true, out);
}

bool url_each_pair(struct slice text, size_t max,
                   void (*visit)(const char *name, const char *value, void *context), void *context)
{
    const char *cursor = text.data;
    const char *end = cursor + text.length;
    bool is_whole = true;
    struct buf name = BUF_INIT;
    struct buf value = BUF_INIT;
    for (size_t count = 0; is_whole && cursor < end;) {
        const char *stop = memchr(cursor, '&', (size_t)(end - cursor));
        stop = stop == NULL ? end : stop;
        const char *equals = memchr(cursor, '=', (size_t)(stop - cursor));
        const char *name_end = equals == NULL ? stop : equals;
        const char *value_start = equals == NULL ? stop : equals + 1;
        if (stop > cursor) { /* "a=1&&b=2" has two pairs */
            buf_clear(&name);
            buf_clear(&value);
            is_whole = ++count <= max &&
                       url_decode_form(slice_of(cursor, (size_t)(name_end - cursor)), &name) &&
                       url_decode_form(slice_of(value_start, (size_t)(stop - value_start)), &value);
            if (is_whole)
                visit(name.data, value.data, context);
        }
        cursor = stop < end ? stop + 1 : end;
    }
    buf_free(&name);
    buf_free(&value);
    return is_whole;
}
