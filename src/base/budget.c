/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Budgets: two token buckets, of processor time and of bytes, shared by the threads of a job.  Who owes waits with
 * the lock held, so that the others wait behind it: a debt is everybody's.
 */
#include "base/budget.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/throttle.h"

enum {
    PERCENT_NS = 10 * 1000 * 1000, /* one per cent of a second */
    BURSTS_PER_SECOND = 20,        /* processor time that was left unused is soon forgotten */
    /* linux/ioprio.h of the kernel; the C library has no header. */
    IOPRIO_WHO_THREAD = 1,
    IOPRIO_CLASS_SHIFT = 13,
    IOPRIO_BEST_EFFORT = 2,
    IOPRIO_IDLE = 3,
    IOPRIO_LOWEST = 7,
};

struct budget {
    pthread_mutex_t mutex;
    const struct cancel *cancel;
    struct throttle cpu; /* in nanoseconds */
    struct throttle reads;
};

static _Thread_local struct budget *current;
static _Thread_local int64_t accounted_ns; /* of this thread's processor time */

static int64_t thread_time_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

struct budget *budget_new(const struct budget_limits *limits)
{
    struct budget *budget = xcalloc(1, sizeof(*budget));
    pthread_mutex_init(&budget->mutex, NULL);
    budget->cancel = limits->cancel;
    throttle_init(&budget->cpu, (uint64_t)limits->cpu_percent * PERCENT_NS);
    budget->cpu.burst /= BURSTS_PER_SECOND;
    budget->cpu.tokens = 0;
    throttle_init(&budget->reads, limits->read_bytes_per_s);
    return budget;
}

void budget_free(struct budget *budget)
{
    if (budget == NULL)
        return;
    pthread_mutex_destroy(&budget->mutex);
    free(budget);
}

void budget_enter(struct budget *budget)
{
    current = budget;
    accounted_ns = budget == NULL ? 0 : thread_time_ns();
}

void budget_leave(void)
{
    current = NULL;
}

struct budget *budget_current(void)
{
    return current;
}

static void account(struct budget *budget, struct throttle *throttle, uint64_t amount)
{
    pthread_mutex_lock(&budget->mutex);
    throttle_pass(throttle, amount, budget->cancel);
    pthread_mutex_unlock(&budget->mutex);
}

void budget_pace(void)
{
    if (current == NULL || current->cpu.rate_bytes_per_s == 0)
        return;
    int64_t now_ns = thread_time_ns();
    uint64_t used_ns = (uint64_t)(now_ns - accounted_ns);
    accounted_ns = now_ns;
    account(current, &current->cpu, used_ns);
}

void budget_read(uint64_t bytes)
{
    if (current == NULL)
        return;
    if (current->reads.rate_bytes_per_s > 0)
        account(current, &current->reads, bytes);
    budget_pace();
}

void budget_set_priority(enum io_class io_class, int nice)
{
    long value = 0;
    switch (io_class) {
    case IO_CLASS_NONE:
        break;
    case IO_CLASS_BEST_EFFORT:
        value = IOPRIO_BEST_EFFORT << IOPRIO_CLASS_SHIFT | IOPRIO_LOWEST;
        break;
    case IO_CLASS_IDLE:
        value = IOPRIO_IDLE << IOPRIO_CLASS_SHIFT;
        break;
    }
    if (value != 0)
        syscall(SYS_ioprio_set, IOPRIO_WHO_THREAD, 0, value);
    /* Linux keeps a nice level for each thread; 0 is the calling one. */
    if (nice > getpriority(PRIO_PROCESS, 0))
        setpriority(PRIO_PROCESS, 0, nice);
}
