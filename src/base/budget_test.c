/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/time.h"

enum {
    MS_US = 1000,
    BURN_MS = 150, /* for each of … */
    THREADS = 3,
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* So much processor time, in pieces of about a millisecond. */
static void *burn(void *argument)
{
    int64_t until_us = clock_us(CLOCK_THREAD_CPUTIME_ID) + BURN_MS * MS_US;
    while (clock_us(CLOCK_THREAD_CPUTIME_ID) < until_us) {
        int64_t piece_us = clock_us(CLOCK_THREAD_CPUTIME_ID) + MS_US;
        while (clock_us(CLOCK_THREAD_CPUTIME_ID) < piece_us)
            ;
        budget_pace();
    }
    return argument;
}

static void threads_share_the_processor_time_of_their_job(void **state)
{
    struct budget *budget = budget_new(&(struct budget_limits){.cpu_percent = 50});
    pthread_t threads[THREADS];
    int64_t began_us = time_monotonic_us();
    int64_t used_before_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    budget_enter(budget);
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start("burn", burn, NULL);
    burn(NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    budget_leave();
    int64_t took_us = time_monotonic_us() - began_us;
    int64_t used_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - used_before_us;
    budget_free(budget);
    assert_true(used_us >= (THREADS + 1) * BURN_MS * MS_US);
    if (used_us * 100 > took_us * 60)
        fail_msg("%lld us of %lld", (long long)used_us, (long long)took_us);
}

static void reads_keep_to_their_rate(void **state)
{
    struct budget *budget = budget_new(&(struct budget_limits){.read_bytes_per_s = 1000000});
    int64_t began_us = time_monotonic_us();
    budget_enter(budget);
    for (int i = 0; i < 14; i++)
        budget_read(100000);
    budget_leave();
    budget_free(budget);
    /* A second's worth at once, the rest at the rate. */
    assert_true(time_monotonic_us() - began_us >= 390 * MS_US);
}

static void a_cancelled_job_waits_no_longer(void **state)
{
    struct cancel cancel = {.is_cancelled = true};
    struct budget *budget =
        budget_new(&(struct budget_limits){.read_bytes_per_s = 1, .cancel = &cancel});
    int64_t began_us = time_monotonic_us();
    budget_enter(budget);
    budget_read(1000000);
    budget_leave();
    budget_free(budget);
    assert_true(time_monotonic_us() - began_us < 5000 * MS_US);
}

static void without_a_budget_nothing_waits(void **state)
{
    assert_null(budget_current());
    int64_t began_us = time_monotonic_us();
    for (int i = 0; i < 100000; i++)
        budget_read(UINT64_MAX);
    assert_true(time_monotonic_us() - began_us < 5000 * MS_US);
}

struct priorities {
    long io;
    int nice;
};

static void *look(void *argument)
{
    struct priorities *found = argument;
    found->io = syscall(SYS_ioprio_get, 1, 0);
    found->nice = getpriority(PRIO_PROCESS, 0);
    return NULL;
}

static void *become_idle(void *argument)
{
    budget_set_priority(IO_CLASS_IDLE, 7);
    pthread_join(thread_start("look", look, argument), NULL);
    return NULL;
}

static void a_thread_inherits_the_priorities_of_its_job(void **state)
{
    struct priorities ours, theirs;
    look(&ours);
    pthread_join(thread_start("idle", become_idle, &theirs), NULL);
    assert_int_equal(theirs.io >> 13, 3);
    assert_int_equal(theirs.nice, ours.nice > 7 ? ours.nice : 7);
    struct priorities after;
    look(&after);
    assert_int_equal(after.io, ours.io);
    assert_int_equal(after.nice, ours.nice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_the_processor_time_of_their_job),
        cmocka_unit_test(reads_keep_to_their_rate),
        cmocka_unit_test(a_cancelled_job_waits_no_longer),
        cmocka_unit_test(without_a_budget_nothing_waits),
        cmocka_unit_test(a_thread_inherits_the_priorities_of_its_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
