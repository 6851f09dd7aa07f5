/* SPDX-License-Identifier: Apache-2.0 */
/* A signal becomes a wish to stop. */
#include "cli/stop.h"

#include <signal.h>
#include <time.h>

static struct cancel wish; /* a signal handler can reach nothing but a static */

static void on_signal(int number)
{
    atomic_store(&wish.is_cancelled, true);
}

const struct cancel *stop_on_signal(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    return &wish;
}

bool stop_sleep(const struct cancel *cancel, unsigned duration_ms)
{
    struct timespec duration = {.tv_sec = duration_ms / 1000,
                                .tv_nsec = (long)(duration_ms % 1000) * 1000000};
    if (!cancel_is_set(cancel))
        nanosleep(&duration, NULL); /* a signal ends it early */
    return !cancel_is_set(cancel);
}
