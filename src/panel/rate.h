/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_RATE_H
#define PANEL_RATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How often a user may call: `limit` requests in a window of 60 s that opens with the first one.
 * Thread-safe. Memory follows the number of users that called within the last window.
 */
struct rate;
struct rate *rate_create(unsigned limit_per_min);
void rate_free(struct rate *rate); /* NULL is fine */

struct rate_state {
    bool is_over;
    unsigned limit;
    unsigned remaining;
    unsigned resets_in_s; /* at least 1 */
};

/* Count one request at `now_us`, a monotonic time. */
void rate_hit(struct rate *rate, int64_t user_id, int64_t now_us, struct rate_state *state);

#endif
