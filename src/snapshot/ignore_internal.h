/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_IGNORE_INTERNAL_H
#define SNAPSHOT_IGNORE_INTERNAL_H

#include "snapshot/ignore.h"

struct byte_set {
    uint64_t bits[4];
};

/*
 * A pattern as a nondeterministic automaton without any backtracking: one bit
 * a state, all states advanced at once for each byte of a path.  State i waits at item i:
 *
 *   a byte or class      on a byte of its set, on to i + 1
 *   '*'                  on to i + 1 freely; stays on any byte but '/'
 *   anything             the same, staying on every byte
 *   branch over n        on to i + 1 and to i + 1 + n freely (n is 2 or 3)
 *
 * A path matches when the last state (number `items`) is on at its end.
 */
enum {
    BRANCH_2,
    BRANCH_3,
    BRANCH_KINDS,
    BRANCH_SHORTEST = 2,
    MATCH_STACK_WORDS = 8,
};

struct pattern {
    struct ignore_rule rule;
    bool is_dead;            /* git: matches nothing at all */
    bool is_for_directories; /* git: "name/" */
    bool is_for_names; /* git: no slash in it; one part of a path is looked at, not the way to it */
    size_t items;
    size_t words;       /* of a set of states: items / 64 + 1 */
    uint64_t *steps;    /* [256][words]: the states that step on this byte */
    uint64_t *stays;    /* [words]: '*': stay on all but '/' */
    uint64_t *absorbs;  /* [words]: stay on every byte */
    uint64_t *frees;    /* [words]: step on without a byte */
    uint64_t *forevers; /* [words]: once here, whatever follows matches */
    uint64_t *branches; /* [BRANCH_KINDS][words] */
};

struct ignore {
    enum ignore_mode mode;
    char *text; /* that the rules' lines point into */
    struct pattern *patterns;
    size_t count;
};

/* ignore_class.c */
void set_add(struct byte_set *set, unsigned char byte);
void set_remove(struct byte_set *set, unsigned char byte);
void set_invert(struct byte_set *set);

/*
 * A class that begins at `text` with '['.  Returns the bytes it takes; 0 where it has no end or names an unknown
 * [:class:].  As in git: a ']' in front is a member, a backslash protects.  '/' may be in the set.
 */
size_t class_read(const unsigned char *text, size_t length, struct byte_set *set);

/* ignore_items.c: the automaton, item after item.  At most `items_max` of them, then pattern_clear(). */
void pattern_begin(struct pattern *pattern, size_t items_max);
void pattern_clear(struct pattern *pattern);
void pattern_add_set(struct pattern *pattern, const struct byte_set *set);
void pattern_add_byte(struct pattern *pattern, unsigned char byte);
void pattern_add_star(struct pattern *pattern);
void pattern_add_anything(struct pattern *pattern);
void pattern_add_parents(struct pattern *pattern); /* nothing, or "…/" */
void pattern_add_below(struct pattern *pattern);   /* nothing, or "/…" */
void pattern_add_between(
    struct pattern *pattern); /* "/", or "/…/" with at least one byte between */

/* The last item leaves nothing open: whatever follows it matches. */
void pattern_mark_forever(struct pattern *pattern);
bool pattern_ends_with_star(const struct pattern *pattern);

/* ignore_match.c */
enum pattern_verdict {
    PATTERN_DEAD,     /* neither the path nor anything that begins with it matches */
    PATTERN_POSSIBLE, /* something that begins with it may match */
    PATTERN_MATCH,    /* the path matches */
    PATTERN_FOREVER,  /* the path matches, and so does everything that begins with it */
};

/* Run the path through the automaton, with a slash after it where `as_directory`. */
enum pattern_verdict pattern_run(const struct pattern *pattern, struct slice path,
                                 bool as_directory);

/*
 * Run the path through the automaton, and wherever a part of it ends say whether the path up to there
 * matches: `visit` gets the part's number, from 0.
 */
void pattern_run_parts(const struct pattern *pattern, struct slice path,
                       void (*visit)(void *context, size_t part), void *context);

/*
 * ignore_wings.c and ignore_git.c: take a line for what it says and build the automaton of what is left of it.
 * false: it is no pattern (blank, a comment, nothing but slashes).
 */
bool wings_read_line(struct slice *line, bool *is_negative);
void wings_compile(struct pattern *pattern, struct slice line);
bool git_read_line(struct slice *line, bool *is_negative);
void git_compile(struct pattern *pattern, struct slice line);

/* The rule that decides, by its number; IGNORE_NO_RULE. */
size_t git_find(const struct ignore *ignore, struct slice path, bool is_directory);

/* A line of nothing but slashes. */
bool ignore_names_nothing(struct slice line);

#endif
