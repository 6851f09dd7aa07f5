/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_MEASURE_H
#define TREE_MEASURE_H

#include <stdint.h>

#include "base/thread.h"

/*
 * About how much content a walk of the directory will give: an estimate for progress bars, from inodes
 * alone.  No file is opened and no link followed; what cannot be looked at counts nothing, and
 * what lies deeper than MEASURE_LEVELS is not looked at.  Bounded memory, MEASURE_LEVELS descriptors.
 */
enum {
    MEASURE_LEVELS = 32
};

struct measure {
    uint64_t content_bytes; /* holes do not count, a file with several names counts once */
    uint64_t objects;
};

/* Ends early where `cancel` (may be NULL) is set. */
void measure_tree(int root_fd, const struct cancel *cancel, struct measure *measure);

#endif
