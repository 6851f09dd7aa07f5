/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running paths through a pattern's automaton (ignore_internal.h).
 * A byte of a path costs items / 64 words of work whatever the pattern is: no input is slow.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "snapshot/ignore_internal.h"

static bool is_on(const uint64_t *states, size_t state)
{
    return (states[state / 64] >> (state % 64) & 1) != 0;
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
    states[0] = 1;
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

static void run_parts(const struct pattern *p, uint64_t *states, struct slice path,
                      void (*visit)(void *context, size_t part), void *context)
{
    const unsigned char *bytes = path.data;
    size_t part = 0;
    states[0] = 1;
    close_states(p, states);
    for (size_t i = 0; i < path.length; i++) {
        if (bytes[i] == '/') {
            if (is_on(states, p->items))
                visit(context, part);
            part++;
        }
        if (!step(p, states, bytes[i]))
            return;
    }
    if (is_on(states, p->items))
        visit(context, part);
}

void pattern_run_parts(const struct pattern *pattern, struct slice path,
                       void (*visit)(void *context, size_t part), void *context)
{
    uint64_t few[MATCH_STACK_WORDS] = {0};
    if (pattern->words <= MATCH_STACK_WORDS) {
        run_parts(pattern, few, path, visit, context);
        return;
    }
    uint64_t *many = xcalloc(pattern->words, sizeof(*many));
    run_parts(pattern, many, path, visit, context);
    free(many);
}
