/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of open windows; closed ones are thrown out where they are met. */
#include "panel/rate.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    BUCKETS = 1024,
    WINDOW_US = 60 * 1000000,
};

struct window {
    int64_t user_id;
    int64_t closes_at_us;
    unsigned used;
    struct window *next;
};

struct rate {
    pthread_mutex_t mutex;
    unsigned limit;
    struct window *buckets[BUCKETS];
};

struct rate *rate_create(unsigned limit_per_min)
{
    struct rate *rate = xcalloc(1, sizeof(*rate));
    pthread_mutex_init(&rate->mutex, NULL);
    rate->limit = limit_per_min;
    return rate;
}

void rate_free(struct rate *rate)
{
    if (rate == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (rate->buckets[i] != NULL) {
            struct window *window = rate->buckets[i];
            rate->buckets[i] = window->next;
            free(window);
        }
    }
    pthread_mutex_destroy(&rate->mutex);
    free(rate);
}

/* The user's open window, made where there is none. */
static struct window *find(struct rate *rate, int64_t user_id, int64_t now_us)
{
    struct window **bucket = &rate->buckets[(uint64_t)user_id % BUCKETS];
    for (struct window **at = bucket; *at != NULL;) {
        struct window *window = *at;
        if (window->closes_at_us <= now_us) {
            *at = window->next;
            free(window);
        } else if (window->user_id == user_id) {
            return window;
        } else {
            at = &window->next;
        }
    }
    struct window *window = xcalloc(1, sizeof(*window));
    window->user_id = user_id;
    window->closes_at_us = now_us + WINDOW_US;
    window->next = *bucket;
    *bucket = window;
    return window;
}

void rate_hit(struct rate *rate, int64_t user_id, int64_t now_us, struct rate_state *state)
{
    pthread_mutex_lock(&rate->mutex);
    struct window *window = find(rate, user_id, now_us);
    state->is_over = window->used >= rate->limit;
    if (!state->is_over)
        window->used++;
    state->limit = rate->limit;
    state->remaining = rate->limit - window->used;
    state->resets_in_s = (unsigned)((window->closes_at_us - now_us + 999999) / 1000000);
    pthread_mutex_unlock(&rate->mutex);
}
