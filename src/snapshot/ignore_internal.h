/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_IGNORE_INTERNAL_H
#define SNAPSHOT_IGNORE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

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
    bool is_negative;
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
    struct pattern *patterns;
    size_t count;
    bool has_negative;
};

enum pattern_verdict {
    PATTERN_DEAD,     /* neither the path nor anything that begins with it matches */
    PATTERN_POSSIBLE, /* something that begins with it may match */
    PATTERN_MATCH,    /* the path matches */
    PATTERN_FOREVER,  /* the path matches, and so does everything that begins with it */
};

/* Run the path through the automaton, with a slash after it where `as_directory`. */
enum pattern_verdict pattern_run(const struct pattern *pattern, struct slice path,
                                 bool as_directory);

/* Build the automaton of one line: `line` without blanks and without the '!'. */
void pattern_compile(struct pattern *pattern, struct slice line);
void pattern_clear(struct pattern *pattern);

#endif
