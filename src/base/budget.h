/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include "base/thread.h"

/*
 * What a job may take from its neighbours: processor time and reads.  A thread enters a budget, every
 * thread that it starts from then on has the same one (thread_start sees to that), and together they keep to it.
 * Nobody in between need hand it on: those who compute or read say so with the two verbs below, which do
 * nothing where there is no budget.
 *
 *     budget = budget_new(&limits);
 *     budget_enter(budget);
 *     …                       // all threads that were started in here have ended
 *     budget_leave();
 *     budget_free(budget);
 */
struct budget;

struct budget_limits {
    unsigned cpu_percent;        /* of one processor, for all threads together; 0: no limit */
    uint64_t read_bytes_per_s;   /* 0: no limit */
    const struct cancel *cancel; /* ends every wait; borrowed; may be NULL */
};

struct budget *budget_new(const struct budget_limits *limits);
void budget_free(struct budget *budget); /* NULL is fine */

void budget_enter(struct budget *budget); /* NULL: none */
void budget_leave(void);
struct budget *budget_current(void); /* this thread's; NULL: none */

/*
 * Account for what this thread has computed since it last said so, and wait until the budget allows more.  To be
 * called between pieces of work of a few milliseconds; without a CPU limit it costs next to nothing.
 */
void budget_pace(void);

/* Account for `bytes` that were read, the same way; includes budget_pace(). */
void budget_read(uint64_t bytes);

/* How this thread, and those that it starts from now on, stand against others. */
enum io_class {
    IO_CLASS_NONE,        /* as it is */
    IO_CLASS_BEST_EFFORT, /* … at the lowest level */
    IO_CLASS_IDLE,        /* only while nobody else wants the disk */
};

/* `nice` 0 to 19.  What the system refuses stays as it is: a priority is no promise. */
void budget_set_priority(enum io_class io_class, int nice);

#endif
