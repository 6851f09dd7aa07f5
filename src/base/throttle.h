/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_THROTTLE_H
#define BASE_THROTTLE_H

#include <stdint.h>

#include "base/thread.h"

/*
 * A token bucket that holds one second: after a pause up to `rate_bytes_per_s`
 * pass at once, then so many a second.  One thread at a time.
 */
struct throttle {
    uint64_t rate_bytes_per_s; /* 0: no limit */
    int64_t burst;             /* most tokens that are kept; throttle_init: a second's */
    int64_t tokens;            /* bytes that may pass now; negative: a debt that is slept off */
    int64_t filled_at_us;      /* monotonic */
};

void throttle_init(struct throttle *throttle, uint64_t rate_bytes_per_s);

/* Account for `bytes` that passed, and sleep until the next may; returns early on cancel (may be NULL). */
void throttle_pass(struct throttle *throttle, uint64_t bytes, const struct cancel *cancel);

/* How much to pass at once so that the flow is even: at most `wanted_bytes`, at least 1. */
size_t throttle_chunk(const struct throttle *throttle, size_t wanted_bytes);

#endif
