/* SPDX-License-Identifier: Apache-2.0 */
/* Character classes: "[a-z]", "[!x]", "[[:alpha:]_]".  Characters are bytes, names are those of ASCII. */
#include <string.h>

#include "snapshot/ignore_internal.h"

/* Pairs of first and last byte. */
static const struct {
    const char *name;
    const char *ranges;
} names[] = {
    {"alnum", "09AZaz"},   {"alpha", "AZaz"},
    {"blank", "  \t\t"},   {"cntrl", "\x01\x1f\x7f\x7f"},
    {"digit", "09"},       {"graph", "!~"},
    {"lower", "az"},       {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "  \t\n\r\r"},
    {"upper", "AZ"},       {"xdigit", "09AFaf"},
};

void set_add(struct byte_set *set, unsigned char byte)
{
    set->bits[byte / 64] |= (uint64_t)1 << (byte % 64);
}

void set_remove(struct byte_set *set, unsigned char byte)
{
    set->bits[byte / 64] &= ~((uint64_t)1 << (byte % 64));
}

void set_invert(struct byte_set *set)
{
    for (size_t i = 0; i < 4; i++)
        set->bits[i] = ~set->bits[i];
}

static void add_range(struct byte_set *set, unsigned low, unsigned high)
{
    for (unsigned byte = low; byte <= high; byte++)
        set_add(set, (unsigned char)byte);
}

static bool add_named(struct byte_set *set, const unsigned char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) != length || memcmp(names[i].name, name, length) != 0)
            continue;
        for (const char *range = names[i].ranges; *range != '\0'; range += 2)
            add_range(set, (unsigned char)range[0], (unsigned char)range[1]);
        return true;
    }
    return false;
}

/*
 * "[:name:]" at `text`: the bytes it takes; 0 where it only looks so ("[:" without ":]" is two members).  `*is_known`
 * false: there is no such class.
 */
static size_t read_named(const unsigned char *text, size_t length, struct byte_set *set,
                         bool *is_known)
{
    *is_known = true;
    if (length < 2 || text[1] != ':')
        return 0;
    const unsigned char *end = memchr(text + 2, ']', length - 2);
    if (end == NULL || end - text < 3 || end[-1] != ':')
        return 0;
    *is_known = add_named(set, text + 2, (size_t)(end - text) - 3);
    return (size_t)(end - text) + 1;
}

/* One member, or a range of them.  Returns the bytes it takes, 0 where the text ends in it. */
static size_t read_member(const unsigned char *text, size_t length, struct byte_set *set)
{
    size_t i = text[0] == '\\';
    if (i >= length)
        return 0;
    unsigned low = text[i];
    set_add(set, (unsigned char)low);
    if (i + 2 >= length || text[i + 1] != '-' || text[i + 2] == ']')
        return i + 1;
    i += 2;
    i += text[i] == '\\';
    if (i >= length)
        return 0;
    add_range(set, low, text[i]);
    return i + 1;
}

size_t class_read(const unsigned char *text, size_t length, struct byte_set *set)
{
    *set = (struct byte_set){{0}};
    size_t i = 1;
    bool is_inverted = i < length && (text[i] == '!' || text[i] == '^');
    i += is_inverted;
    for (size_t first = i; i < length && (text[i] != ']' || i == first);) {
        bool is_known = true;
        size_t used = text[i] == '[' ? read_named(text + i, length - i, set, &is_known) : 0;
        if (used == 0)
            used = read_member(text + i, length - i, set);
        if (used == 0 || !is_known)
            return 0;
        i += used;
    }
    if (i >= length)
        return 0;
    if (is_inverted)
        set_invert(set);
    return i + 1;
}
