/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns as Wings' users know them.  A line becomes atoms (a byte, a class, a star), then, in this order,
 *
 *   slash-star-star-slash   "/" or "/…/"
 *   star-star-slash         nothing or "…/"
 *   slash-star-star         nothing or "/…"
 *
 * and then items, between "^" or "any parents" in front and "nothing or /…" at the end.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "snapshot/ignore_internal.h"

enum atom_kind {
    ATOM_BYTE, /* `set` has it alone */
    ATOM_SLASH,
    ATOM_CLASS,
    ATOM_STAR,
    ATOM_BETWEEN, /* slash-star-star-slash */
    ATOM_PARENTS, /* star-star-slash */
    ATOM_BELOW,   /* slash-star-star */
};

struct atom {
    enum atom_kind kind;
    struct byte_set set;
};

bool wings_read_line(struct slice *line, bool *is_negative)
{
    *line = text_trim(*line);
    const char *bytes = line->data;
    if (line->length == 0 || bytes[0] == '#')
        return false;
    *is_negative = bytes[0] == '!';
    if (*is_negative)
        *line = slice_of(bytes + 1, line->length - 1);
    /* In Wings "/" leaves out everything, which nobody wants and which loses data. */
    return !ignore_names_nothing(*line);
}

static struct atom atom_of_byte(unsigned char byte)
{
    struct atom atom = {.kind = ATOM_BYTE};
    set_add(&atom.set, byte);
    return atom;
}

static size_t read_atom(const unsigned char *text, size_t length, struct atom *atom)
{
    switch (text[0]) {
    case '\\':
        *atom = atom_of_byte(text[length > 1 ? 1 : 0]);
        return length > 1 ? 2 : 1;
    case '/':
        *atom = atom_of_byte('/');
        atom->kind = ATOM_SLASH;
        return 1;
    case '*':
        *atom = (struct atom){.kind = ATOM_STAR};
        return 1;
    case '?':
        *atom = (struct atom){.kind = ATOM_CLASS};
        set_add(&atom->set, '/');
        set_invert(&atom->set);
        return 1;
    case '[': {
        *atom = (struct atom){.kind = ATOM_CLASS};
        size_t used = class_read(text, length, &atom->set);
        set_remove(&atom->set, '/');
        if (used > 0)
            return used;
        break;
    }
    default:
        break;
    }
    *atom = atom_of_byte(text[0]);
    return 1;
}

/* Every run of atoms of these kinds, from left to right, becomes one atom. */
static size_t fold(struct atom *atoms, size_t count, const enum atom_kind *run, size_t run_length,
                   enum atom_kind becomes)
{
    size_t kept = 0;
    for (size_t i = 0; i < count;) {
        size_t same = 0;
        while (same < run_length && i + same < count && atoms[i + same].kind == run[same])
            same++;
        if (same == run_length) {
            atoms[kept++] = (struct atom){.kind = becomes};
            i += run_length;
        } else {
            atoms[kept++] = atoms[i++];
        }
    }
    return kept;
}

/* "name/…*.…": a slash that has a name before it and "*." somewhere after it. */
static bool looks_anchored(struct slice line)
{
    const char *bytes = line.data;
    size_t slash = 1;
    while (slash < line.length &&
           (bytes[slash] != '/' || bytes[slash - 1] == '/' || bytes[slash - 1] == '+'))
        slash++;
    for (size_t i = slash + 1; i + 1 < line.length; i++)
        if (bytes[i] == '*' && bytes[i + 1] == '.')
            return true;
    return false;
}

static void add_atom(struct pattern *p, const struct atom *atom)
{
    switch (atom->kind) {
    case ATOM_BYTE:
    case ATOM_SLASH:
    case ATOM_CLASS:
        pattern_add_set(p, &atom->set);
        break;
    case ATOM_STAR:
        pattern_add_star(p);
        break;
    case ATOM_BETWEEN:
        pattern_add_between(p);
        break;
    case ATOM_PARENTS:
        pattern_add_parents(p);
        break;
    case ATOM_BELOW:
        pattern_add_below(p);
        break;
    }
}

/*
 * The end: nothing or "/…"; anything where the slash was there already ("dir/", or a bare "/").
 * A star right before "nothing or /…" leaves nothing open either: "cache/" "*" takes all in cache.
 */
static void add_end(struct pattern *p, bool has_slash)
{
    if (has_slash) {
        pattern_add_anything(p);
    } else {
        if (pattern_ends_with_star(p))
            pattern_mark_forever(p);
        pattern_add_below(p);
    }
    pattern_mark_forever(p);
}

static size_t read_atoms(struct slice line, struct atom *atoms)
{
    static const enum atom_kind between[] = {ATOM_SLASH, ATOM_STAR, ATOM_STAR, ATOM_SLASH};
    static const enum atom_kind parents[] = {ATOM_STAR, ATOM_STAR, ATOM_SLASH};
    static const enum atom_kind below[] = {ATOM_SLASH, ATOM_STAR, ATOM_STAR};
    const unsigned char *bytes = line.data;
    size_t count = 0;
    for (size_t at = 0; at < line.length;)
        at += read_atom(bytes + at, line.length - at, &atoms[count++]);
    count = fold(atoms, count, between, 4, ATOM_BETWEEN);
    count = fold(atoms, count, parents, 3, ATOM_PARENTS);
    return fold(atoms, count, below, 3, ATOM_BELOW);
}

void wings_compile(struct pattern *pattern, struct slice line)
{
    bool is_anchored = looks_anchored(line);
    if (*(const char *)line.data == '/') {
        is_anchored = true;
        line = slice_of((const char *)line.data + 1, line.length - 1);
    }
    struct atom *atoms = xreallocarray(NULL, line.length + 1, sizeof(*atoms));
    size_t count = read_atoms(line, atoms);

    /* Four bytes become at most five items; front and end have three each. */
    pattern_begin(pattern, line.length + line.length / 4 + 6);
    if (!is_anchored)
        pattern_add_parents(pattern);
    for (size_t i = 0; i < count; i++)
        add_atom(pattern, &atoms[i]);
    add_end(pattern, count == 0 || atoms[count - 1].kind == ATOM_SLASH);
    free(atoms);
}
