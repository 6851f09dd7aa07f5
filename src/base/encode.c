/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal and base64 (RFC 4648).  Decoding is strict: one text for each value. */
#include "base/text.h"

static const char standard_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void hex_encode(const void *bytes, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * length] = '\0';
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

bool hex_decode(const char *text, void *out, size_t length)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < length; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return text[2 * length] == '\0';
}

static void encode(struct buf *out, struct slice bytes, const char *alphabet, bool wants_padding)
{
    const unsigned char *in = bytes.data;
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = bytes.length - i;
        uint32_t group = (uint32_t)in[i] << 16;
        group |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)in[i + 2] : 0;
        char text[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
                        left > 1 ? alphabet[group >> 6 & 63] : '=',
                        left > 2 ? alphabet[group & 63] : '='};
        buf_add(out, text, wants_padding || left > 2 ? 4 : left + 1);
    }
}

void base64_add(struct buf *out, struct slice bytes)
{
    encode(out, bytes, standard_alphabet, true);
}

void base64url_add(struct buf *out, struct slice bytes)
{
    encode(out, bytes, url_alphabet, false);
}

static int letter_value(char c, const char *alphabet)
{
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

static bool decode(struct slice text, const char *alphabet, struct buf *out)
{
    const char *in = text.data;
    if (text.length % 4 == 1)
        return false;
    for (size_t i = 0; i < text.length; i += 4) {
        size_t letters = text.length - i < 4 ? text.length - i : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j < letters ? letter_value(in[i + j], alphabet) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        size_t bytes = letters - 1;
        if ((letters == 2 && (group & 0xffff) != 0) || (letters == 3 && (group & 0xff) != 0))
            return false; /* bits that no encoder writes */
        for (size_t j = 0; j < bytes; j++)
            buf_add_char(out, (char)(group >> (16 - 8 * j) & 0xff));
    }
    return true;
}

bool base64_decode(struct slice text, struct buf *out)
{
    const char *in = text.data;
    if (text.length % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.length && in[text.length - 1 - padding] == '=')
        padding++;
    return decode(slice_of(in, text.length - padding), standard_alphabet, out);
}

bool base64url_decode(struct slice text, struct buf *out)
{
    return decode(text, url_alphabet, out);
}
