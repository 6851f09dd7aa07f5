/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ignore pattern: compiled to an automaton (ignore_internal.h), run over paths.
 * A byte of a path costs items / 64 words of work whatever the pattern is: no input is slow.
 *
 * A line becomes atoms (a byte, a class, a star), then, in this order, as Wings' users know it,
 *
 *   slash-star-star-slash   "/" or "/…/"
 *   star-star-slash         nothing or "…/"
 *   slash-star-star         nothing or "/…"
 *
 * and then items, between "^" or "any parents" in front and "nothing or /…" at the end.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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

struct byte_set {
    uint64_t bits[4];
};

struct atom {
    enum atom_kind kind;
    struct byte_set set;
};

static void set_add(struct byte_set *set, unsigned char byte)
{
    set->bits[byte / 64] |= (uint64_t)1 << (byte % 64);
}

static bool set_has(const struct byte_set *set, unsigned byte)
{
    return (set->bits[byte / 64] >> (byte % 64) & 1) != 0;
}

static void set_invert(struct byte_set *set)
{
    for (size_t i = 0; i < 4; i++)
        set->bits[i] = ~set->bits[i];
}

static struct atom atom_of_byte(unsigned char byte)
{
    struct atom atom = {.kind = ATOM_BYTE};
    set_add(&atom.set, byte);
    return atom;
}

/*
 * A class that begins at `text` with '['.  Returns the bytes it takes; 0 where it has no end.
 * As in git: a ']' in front is a member, a backslash protects, '/' is never matched.
 */
static size_t read_class(const unsigned char *text, size_t length, struct atom *atom)
{
    size_t i = 1;
    *atom = (struct atom){.kind = ATOM_CLASS};
    bool is_inverted = i < length && (text[i] == '!' || text[i] == '^');
    if (is_inverted)
        i++;
    for (size_t first = i; i < length && (text[i] != ']' || i == first); i++) {
        if (text[i] == '\\' && i + 1 < length)
            i++;
        unsigned low = text[i];
        unsigned high = low;
        if (i + 2 < length && text[i + 1] == '-' && text[i + 2] != ']') {
            i += 2;
            if (text[i] == '\\' && i + 1 < length)
                i++;
            high = text[i];
        }
        for (unsigned byte = low; byte <= high; byte++)
            set_add(&atom->set, (unsigned char)byte);
    }
    if (i >= length)
        return 0;
    if (is_inverted)
        set_invert(&atom->set);
    atom->set.bits['/' / 64] &= ~((uint64_t)1 << ('/' % 64));
    return i + 1;
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
        size_t used = read_class(text, length, atom);
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

static void set_state(uint64_t *states, size_t state)
{
    states[state / 64] |= (uint64_t)1 << (state % 64);
}

static bool is_on(const uint64_t *states, size_t state)
{
    return (states[state / 64] >> (state % 64) & 1) != 0;
}

static void add_set(struct pattern *p, const struct byte_set *set)
{
    for (unsigned byte = 0; byte < 256; byte++)
        if (set_has(set, byte))
            set_state(p->steps + byte * p->words, p->items);
    p->items++;
}

static void add_slash(struct pattern *p)
{
    struct byte_set set = {{0}};
    set_add(&set, '/');
    add_set(p, &set);
}

static void add_any(struct pattern *p)
{
    struct byte_set set = {{0}};
    set_invert(&set);
    add_set(p, &set);
}

static void add_star(struct pattern *p)
{
    set_state(p->stays, p->items);
    set_state(p->frees, p->items);
    p->items++;
}

static void add_anything(struct pattern *p)
{
    set_state(p->absorbs, p->items);
    set_state(p->frees, p->items);
    p->items++;
}

static void add_branch(struct pattern *p, size_t over)
{
    set_state(p->branches + (over - BRANCH_SHORTEST) * p->words, p->items);
    set_state(p->frees, p->items);
    p->items++;
}

/* Nothing, or "…/". */
static void add_parents(struct pattern *p)
{
    add_branch(p, 2);
    add_anything(p);
    add_slash(p);
}

/* Nothing, or "/…". */
static void add_below(struct pattern *p)
{
    add_branch(p, 2);
    add_slash(p);
    add_anything(p);
}

/* "/", or "/…/" with at least one byte between. */
static void add_between(struct pattern *p)
{
    add_slash(p);
    add_branch(p, 3);
    add_any(p);
    add_anything(p);
    add_slash(p);
}

static void add_atom(struct pattern *p, const struct atom *atom)
{
    switch (atom->kind) {
    case ATOM_BYTE:
    case ATOM_SLASH:
    case ATOM_CLASS:
        add_set(p, &atom->set);
        break;
    case ATOM_STAR:
        add_star(p);
        break;
    case ATOM_BETWEEN:
        add_between(p);
        break;
    case ATOM_PARENTS:
        add_parents(p);
        break;
    case ATOM_BELOW:
        add_below(p);
        break;
    }
}

/*
 * The end: nothing or "/…"; anything where the slash was there already ("dir/", or a bare "/").
 * A star right before "nothing or /…" leaves nothing open either: "cache/" "*" takes all in cache.
 */
static void add_end(struct pattern *p, bool has_slash)
{
    size_t before = p->items - 1;
    if (has_slash) {
        add_anything(p);
    } else {
        if (is_on(p->stays, before) || is_on(p->absorbs, before))
            set_state(p->forevers, before);
        add_below(p);
    }
    set_state(p->forevers, p->items - 1);
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

void pattern_compile(struct pattern *pattern, struct slice line)
{
    bool is_anchored = looks_anchored(line);
    if (*(const char *)line.data == '/') {
        is_anchored = true;
        line = slice_of((const char *)line.data + 1, line.length - 1);
    }
    struct atom *atoms = xreallocarray(NULL, line.length + 1, sizeof(*atoms));
    size_t count = read_atoms(line, atoms);

    /* Four bytes become at most five items; front and end have three each. */
    size_t words = (line.length + line.length / 4 + 6) / 64 + 1;
    *pattern = (struct pattern){.words = words};
    pattern->steps = xcalloc(256 + 4 + BRANCH_KINDS, words * sizeof(uint64_t));
    pattern->stays = pattern->steps + 256 * words;
    pattern->absorbs = pattern->stays + words;
    pattern->frees = pattern->absorbs + words;
    pattern->forevers = pattern->frees + words;
    pattern->branches = pattern->forevers + words;

    if (!is_anchored)
        add_parents(pattern);
    for (size_t i = 0; i < count; i++)
        add_atom(pattern, &atoms[i]);
    add_end(pattern, count == 0 || atoms[count - 1].kind == ATOM_SLASH);
    assert(pattern->items / 64 < words);
    free(atoms);
}

void pattern_clear(struct pattern *pattern)
{
    free(pattern->steps);
    pattern->steps = NULL;
}

/* Switch on what can be reached without a byte.  Every move goes up, so that few rounds do. */
static void close_states(const struct pattern *p, uint64_t *states)
{
    for (bool has_grown = true; has_grown;) {
        has_grown = false;
        uint64_t carry = 0;
        for (size_t w = 0; w < p->words; w++) {
            uint64_t on = states[w];
            uint64_t moved = carry | (on & p->frees[w]) << 1;
            carry = (on & p->frees[w]) >> 63;
            for (unsigned kind = 0; kind < BRANCH_KINDS; kind++) {
                uint64_t from = on & p->branches[kind * p->words + w];
                unsigned over = kind + BRANCH_SHORTEST + 1;
                moved |= from << over;
                carry |= from >> (64 - over);
            }
            has_grown |= (moved & ~on) != 0;
            states[w] = on | moved;
        }
    }
}

static bool step(const struct pattern *p, uint64_t *states, unsigned char byte)
{
    const uint64_t *steps = p->steps + byte * p->words;
    uint64_t carry = 0, any = 0;
    for (size_t w = 0; w < p->words; w++) {
        uint64_t on = states[w];
        uint64_t stays = on & (p->absorbs[w] | (byte == '/' ? 0 : p->stays[w]));
        uint64_t moving = on & steps[w];
        states[w] = stays | moving << 1 | carry;
        carry = moving >> 63;
        any |= states[w];
    }
    if (any != 0)
        close_states(p, states);
    return any != 0;
}

static enum pattern_verdict run(const struct pattern *p, uint64_t *states, struct slice path,
                                bool as_directory)
{
    const unsigned char *bytes = path.data;
    set_state(states, 0);
    close_states(p, states);
    for (size_t i = 0; i < path.length + as_directory; i++) {
        if (!step(p, states, i < path.length ? bytes[i] : '/'))
            return PATTERN_DEAD;
        for (size_t w = 0; w < p->words; w++)
            if ((states[w] & p->forevers[w]) != 0)
                return PATTERN_FOREVER;
    }
    if (is_on(states, p->items))
        return PATTERN_MATCH;
    return PATTERN_POSSIBLE;
}

enum pattern_verdict pattern_run(const struct pattern *pattern, struct slice path,
                                 bool as_directory)
{
    uint64_t few[MATCH_STACK_WORDS] = {0};
    if (pattern->words <= MATCH_STACK_WORDS)
        return run(pattern, few, path, as_directory);
    uint64_t *many = xcalloc(pattern->words, sizeof(*many));
    enum pattern_verdict verdict = run(pattern, many, path, as_directory);
    free(many);
    return verdict;
}
