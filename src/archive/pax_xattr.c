/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes in extended headers:
 *
 *     SCHILY.xattr.NAME=VALUE        star, GNU tar, libarchive, Go: the value's own bytes
 *     LIBARCHIVE.xattr.NAME=VALUE    libarchive: the name with %XX, the value in Base64
 *
 * A record's key ends at the first '='.  In a name of ours '=' is %3D and '%' is %25, as GNU tar has it.
 * What is too much or malformed is not worth an archive: it is left out, and the entry knows.
 */
#include "archive/pax_internal.h"
#include "base/scope.h"
#include "snapshot/entry.h"

static const char SCHILY[] = "SCHILY.xattr.";
static const char LIBARCHIVE[] = "LIBARCHIVE.xattr.";
static const char ACL[] = "SCHILY.acl.";

void pax_add_xattrs(struct buf *records, struct slice xattrs)
{
    scope_buf struct buf key = BUF_INIT;
    struct slice name, value;
    for (size_t at = 0; entry_xattrs_next(xattrs, &at, &name, &value);) {
        const char *bytes = name.data;
        buf_clear(&key);
        buf_add_str(&key, SCHILY);
        for (size_t i = 0; i < name.length; i++) {
            if (bytes[i] == '=' || bytes[i] == '%')
                buf_printf(&key, "%%%02X", bytes[i]);
            else
                buf_add_char(&key, bytes[i]);
        }
        pax_add(records, key.data, value);
    }
}

static bool starts_with(struct slice key, const char *prefix, struct slice *rest)
{
    size_t length = strlen(prefix);
    if (key.length <= length || memcmp(key.data, prefix, length) != 0)
        return false;
    *rest = slice_of((const char *)key.data + length, key.length - length);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is no %XX stays as it is.  `only`: the bytes that may be meant; "" for all. */
static void decode_name(struct slice text, const char *only, struct buf *out)
{
    const char *bytes = text.data;
    for (size_t i = 0; i < text.length; i++) {
        int high = i + 2 < text.length && bytes[i] == '%' ? hex_digit(bytes[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(bytes[i + 2]) : -1;
        char byte = (char)(high * 16 + low);
        if (low < 0 || (*only != '\0' && strchr(only, byte) == NULL)) {
            buf_add_char(out, bytes[i]);
            continue;
        }
        buf_add_char(out, byte);
        i += 2;
    }
}

static int base64_digit(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(DIGITS, c);
    return found == NULL ? -1 : (int)(found - DIGITS);
}

/* libarchive writes no padding. */
static bool decode_base64(struct slice text, struct buf *out)
{
    const char *bytes = text.data;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.length && bytes[i] != '='; i++) {
        int digit = base64_digit(bytes[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_add_char(out, (char)(bits >> have));
        }
    }
    return true;
}

void pax_read_xattr(struct pax *pax, struct slice key, struct slice value)
{
    struct slice text;
    scope_buf struct buf name = BUF_INIT;
    scope_buf struct buf decoded = BUF_INIT;
    struct error unread = ERROR_INIT;
    if (starts_with(key, ACL, &text)) {
        pax->has |= PAX_ACL_TEXT;
        return;
    }
    if (starts_with(key, SCHILY, &text)) {
        decode_name(text, "=%", &name);
    } else if (starts_with(key, LIBARCHIVE, &text)) {
        decode_name(text, "", &name);
        if (!decode_base64(value, &decoded)) {
            pax->has |= PAX_XATTRS_LOST;
            return;
        }
        value = buf_slice(&decoded);
    } else {
        return;
    }
    bool is_set = entry_xattrs_set(&pax->xattrs, buf_slice(&name), value, &unread) == 0;
    pax->has |= is_set ? PAX_XATTRS : PAX_XATTRS_LOST;
}
