/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets from a command line: what the configuration's node.…_limit are to a node. */
#include "cli/archive_verbs.h"

#include "base/text.h"
#include "cli/stop.h"

enum {
    CPU_PERCENT_MAX = 6400,
};

static int read_rate(const struct invocation *invocation, const char *name, uint64_t *bytes_per_s,
                     struct error *err)
{
    const char *text = option_text(invocation, name);
    *bytes_per_s = 0;
    if (text != NULL && text_to_size(text, bytes_per_s, err) < 0)
        return error_wrap(err, "'--%s'", name);
    return 0;
}

int archive_budget_enter(const struct invocation *invocation, struct archive_budget *budget,
                         struct error *err)
{
    struct budget_limits limits = {.cancel = stop_on_signal()};
    const char *cpu = option_text(invocation, "cpu-limit");
    uint64_t percent = 0;
    if (read_rate(invocation, "read-limit", &limits.read_bytes_per_s, err) < 0 ||
        read_rate(invocation, "write-limit", &budget->write_bytes_per_s, err) < 0)
        return -1;
    if (cpu != NULL && !text_to_u64(cpu, 0, CPU_PERCENT_MAX, &percent))
        return error_set(err, ERROR_INVALID,
                         "'--cpu-limit' is per cent of one processor, up to %d, not '%.40s'",
                         CPU_PERCENT_MAX, cpu);
    limits.cpu_percent = (unsigned)percent;
    budget->budget = budget_new(&limits);
    budget_enter(budget->budget);
    return 0;
}

void archive_budget_leave(struct archive_budget *budget)
{
    budget_leave();
    budget_free(budget->budget);
    budget->budget = NULL;
}
