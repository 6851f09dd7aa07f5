/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern's automaton, built item after item (ignore_internal.h says what an item is). */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "snapshot/ignore_internal.h"

void pattern_begin(struct pattern *p, size_t items_max)
{
    size_t words = items_max / 64 + 1;
    p->words = words;
    p->steps = xcalloc(256 + 4 + BRANCH_KINDS, words * sizeof(uint64_t));
    p->stays = p->steps + 256 * words;
    p->absorbs = p->stays + words;
    p->frees = p->absorbs + words;
    p->forevers = p->frees + words;
    p->branches = p->forevers + words;
}

void pattern_clear(struct pattern *p)
{
    free(p->steps);
    p->steps = NULL;
}

static void set_state(uint64_t *states, size_t state)
{
    states[state / 64] |= (uint64_t)1 << (state % 64);
}

/* There is always room for the state behind the last item, which is the end. */
static void added(struct pattern *p)
{
    p->items++;
    assert(p->items / 64 < p->words);
}

void pattern_add_set(struct pattern *p, const struct byte_set *set)
{
    for (unsigned byte = 0; byte < 256; byte++)
        if ((set->bits[byte / 64] >> (byte % 64) & 1) != 0)
            set_state(p->steps + byte * p->words, p->items);
    added(p);
}

void pattern_add_byte(struct pattern *p, unsigned char byte)
{
    set_state(p->steps + byte * p->words, p->items);
    added(p);
}

static void add_any(struct pattern *p)
{
    struct byte_set set = {{0}};
    set_invert(&set);
    pattern_add_set(p, &set);
}

void pattern_add_star(struct pattern *p)
{
    set_state(p->stays, p->items);
    set_state(p->frees, p->items);
    added(p);
}

void pattern_add_anything(struct pattern *p)
{
    set_state(p->absorbs, p->items);
    set_state(p->frees, p->items);
    added(p);
}

static void add_branch(struct pattern *p, size_t over)
{
    set_state(p->branches + (over - BRANCH_SHORTEST) * p->words, p->items);
    set_state(p->frees, p->items);
    added(p);
}

void pattern_add_parents(struct pattern *p)
{
    add_branch(p, 2);
    pattern_add_anything(p);
    pattern_add_byte(p, '/');
}

void pattern_add_below(struct pattern *p)
{
    add_branch(p, 2);
    pattern_add_byte(p, '/');
    pattern_add_anything(p);
}

void pattern_add_between(struct pattern *p)
{
    pattern_add_byte(p, '/');
    add_branch(p, 3);
    add_any(p);
    pattern_add_anything(p);
    pattern_add_byte(p, '/');
}

void pattern_mark_forever(struct pattern *p)
{
    set_state(p->forevers, p->items - 1);
}

bool pattern_ends_with_star(const struct pattern *p)
{
    size_t last = p->items - 1;
    return ((p->stays[last / 64] | p->absorbs[last / 64]) >> (last % 64) & 1) != 0;
}
