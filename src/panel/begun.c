/* SPDX-License-Identifier: Apache-2.0 */
/* Restores that were ordered lately: a ring, in which the oldest gives way. */
#include "panel/begun.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    BEGUN_MAX = 256
};
#define IN_FLIGHT_US INT64_C(30000000) /* longer than an order may take to its node */

struct begun {
    pthread_mutex_t mutex;
    size_t next;
    struct {
        int64_t server_id, at_us;
    } notes[BEGUN_MAX];
};

struct begun *begun_create(void)
{
    struct begun *begun = xcalloc(1, sizeof(*begun));
    pthread_mutex_init(&begun->mutex, NULL);
    return begun;
}

void begun_free(struct begun *begun)
{
    if (begun == NULL)
        return;
    pthread_mutex_destroy(&begun->mutex);
    free(begun);
}

void begun_note(struct begun *begun, int64_t server_id, int64_t now_us)
{
    pthread_mutex_lock(&begun->mutex);
    begun->notes[begun->next].server_id = server_id;
    begun->notes[begun->next].at_us = now_us;
    begun->next = (begun->next + 1) % BEGUN_MAX;
    pthread_mutex_unlock(&begun->mutex);
}

bool begun_is_recent(struct begun *begun, int64_t server_id, int64_t now_us)
{
    bool is_recent = false;
    pthread_mutex_lock(&begun->mutex);
    for (size_t i = 0; i < BEGUN_MAX && !is_recent; i++)
        is_recent = begun->notes[i].server_id == server_id && begun->notes[i].at_us <= now_us &&
                    begun->notes[i].at_us + IN_FLIGHT_US > now_us;
    pthread_mutex_unlock(&begun->mutex);
    return is_recent;
}
