/* SPDX-License-Identifier: Apache-2.0 */
/* The token bucket: tokens come with time, never more than `burst` are kept. */
#include "base/throttle.h"

#include <time.h>

#include "base/time.h"

enum {
    SECOND_US = 1000000,
    NAP_US = 50000, /* so that a cancel is seen soon */
    CHUNKS_PER_SECOND = 16,
};

void throttle_init(struct throttle *throttle, uint64_t rate_bytes_per_s)
{
    if (rate_bytes_per_s > INT64_MAX / 4)
        rate_bytes_per_s = 0;
    *throttle = (struct throttle){
        .rate_bytes_per_s = rate_bytes_per_s,
        .burst = (int64_t)rate_bytes_per_s,
        .tokens = (int64_t)rate_bytes_per_s,
        .filled_at_us = time_monotonic_us(),
    };
}

static void fill(struct throttle *throttle)
{
    int64_t rate = (int64_t)throttle->rate_bytes_per_s;
    int64_t now_us = time_monotonic_us();
    double earned = (double)(now_us - throttle->filled_at_us) * (double)rate / SECOND_US;
    if (earned < 1)
        return;
    throttle->filled_at_us = now_us;
    if (earned >= (double)(throttle->burst - throttle->tokens))
        throttle->tokens = throttle->burst;
    else
        throttle->tokens += (int64_t)earned;
}

void throttle_pass(struct throttle *throttle, uint64_t bytes, const struct cancel *cancel)
{
    if (throttle->rate_bytes_per_s == 0)
        return;
    throttle->tokens -= (int64_t)(bytes < INT64_MAX / 4 ? bytes : INT64_MAX / 4);
    fill(throttle);
    while (throttle->tokens < 0 && !cancel_is_set(cancel)) {
        double debt_us =
            (double)-throttle->tokens * SECOND_US / (double)throttle->rate_bytes_per_s + 1;
        int64_t nap_us = debt_us < NAP_US ? (int64_t)debt_us : NAP_US;
        nanosleep(&(struct timespec){.tv_nsec = nap_us * 1000}, NULL);
        fill(throttle);
    }
}

size_t throttle_chunk(const struct throttle *throttle, size_t wanted_bytes)
{
    uint64_t share = throttle->rate_bytes_per_s / CHUNKS_PER_SECOND;
    if (throttle->rate_bytes_per_s == 0 || share >= wanted_bytes)
        return wanted_bytes;
    return share == 0 ? 1 : (size_t)share;
}
