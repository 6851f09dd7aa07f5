/* SPDX-License-Identifier: Apache-2.0 */
/* Distances between words: insertions, deletions, substitutions, swaps of neighbours. */
#include "cli/nearest.h"

#include <string.h>

enum {
    WORD_MAX = 63 /* longer words have no neighbours */
};

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment; three rows of the table are enough. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *previous = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        previous[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = smallest(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *oldest = before;
        before = previous;
        previous = row;
        row = oldest;
    }
    return previous[b_length];
}

/* The part after the last dot: a key in the wrong section is near too. */
static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot == NULL ? name : dot + 1;
}

void nearest_consider(struct nearest *nearest, const char *candidate)
{
    size_t wanted_length = strlen(nearest->wanted), length = strlen(candidate);
    if (wanted_length > WORD_MAX || length > WORD_MAX)
        return;
    size_t found = distance(nearest->wanted, wanted_length, candidate, length);
    if (found > 1 && strcmp(last_part(nearest->wanted), last_part(candidate)) == 0)
        found = 1;
    if (nearest->best != NULL && found >= nearest->best_distance)
        return;
    nearest->best = candidate;
    nearest->best_distance = found;
}

const char *nearest_result(const struct nearest *nearest)
{
    size_t tolerance = strlen(nearest->wanted) / 3 + 1;
    return nearest->best_distance <= tolerance ? nearest->best : NULL;
}
