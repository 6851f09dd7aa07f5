/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/*
 * "Did you mean …?": the candidate that is the fewest typing mistakes away.
 *
 *     struct nearest nearest = {.wanted = "bakcup"};
 *     for (…) nearest_consider(&nearest, candidate);
 *     const char *best = nearest_result(&nearest);
 */
struct nearest {
    const char *wanted;
    const char *best;
    size_t best_distance;
};

void nearest_consider(struct nearest *nearest, const char *candidate);

/* NULL where no candidate is near enough to be what was meant. */
const char *nearest_result(const struct nearest *nearest);

#endif
