/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keepalive.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "cli/notify.h"

enum {
    PERIOD_MIN_MS = 50, /* whatever is asked for */
};

struct keepalive {
    struct operation *operation;
    int64_t period_ms;
    pthread_mutex_t mutex;
    pthread_cond_t has_stopped;
    bool is_stopping;
    pthread_t thread;
};

/* Half of what the service manager allows; 0: it does not ask, or asks another process. */
static int64_t period_ms(void)
{
    const char *asked = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    char *end = NULL;
    if (asked == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    long long asked_us = strtoll(asked, &end, 10);
    if (*asked == '\0' || *end != '\0' || asked_us <= 0)
        return 0;
    return asked_us / 2000 < PERIOD_MIN_MS ? PERIOD_MIN_MS : asked_us / 2000;
}

static void *run(void *argument)
{
    struct keepalive *keepalive = argument;
    pthread_mutex_lock(&keepalive->mutex);
    while (!keepalive->is_stopping) {
        pthread_mutex_unlock(&keepalive->mutex);
        struct error ignored = ERROR_INIT;
        operation_check(keepalive->operation, &ignored);
        notify_manager("WATCHDOG=1");
        pthread_mutex_lock(&keepalive->mutex);
        if (!keepalive->is_stopping)
            thread_wait(&keepalive->has_stopped, &keepalive->mutex, keepalive->period_ms);
    }
    pthread_mutex_unlock(&keepalive->mutex);
    return NULL;
}

struct keepalive *keepalive_start(struct operation *operation)
{
    int64_t period = period_ms();
    if (period == 0)
        return NULL;
    struct keepalive *keepalive = xcalloc(1, sizeof(*keepalive));
    keepalive->operation = operation;
    keepalive->period_ms = period;
    pthread_mutex_init(&keepalive->mutex, NULL);
    thread_cond_init(&keepalive->has_stopped);
    keepalive->thread = thread_start("keepalive", run, keepalive);
    return keepalive;
}

void keepalive_stop(struct keepalive *keepalive)
{
    if (keepalive == NULL)
        return;
    pthread_mutex_lock(&keepalive->mutex);
    keepalive->is_stopping = true;
    pthread_cond_broadcast(&keepalive->has_stopped);
    pthread_mutex_unlock(&keepalive->mutex);
    pthread_join(keepalive->thread, NULL);
    pthread_cond_destroy(&keepalive->has_stopped);
    pthread_mutex_destroy(&keepalive->mutex);
    free(keepalive);
}
