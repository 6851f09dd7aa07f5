/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of commands, in the order of `roost --help`, and the smallest of them: completion. */
#include "base/scope.h"
#include "cli/command.h"
#include "cli/console.h"

static const struct command *const commands[] = {
    &init_command,       &serve_command,
    &user_command,       &key_command,
    &server_command,     &backup_command,
    &restore_command,    &archive_command,
    &doctor_command,     &config_command,
    &panel_command,      &node_command,
    &completion_command, NULL,
};

const struct command roost_command = {
    .name = "roost",
    .summary = "backups for game servers",
    .details =
        "To begin: 'roost init', then 'roost serve'.\n"
        "'roost COMMAND --help' says more; so do the manual pages roost(1) and roost.yml(5).",
    .options = (const struct option[]){{"version", 0, NULL, "print the version"}, OPTION_END},
    .verbs = commands,
};

static int run_completion(const struct invocation *invocation, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    if (option_is_given(invocation, "man"))
        command_add_manual(&roost_command, &text);
    else
        completion_add_bash(&roost_command, &text);
    print_text(&text);
    return EXIT_DONE;
}

const struct command completion_command = {
    .name = "completion",
    .summary = "print the bash completion",
    .details = "To use it in a shell:  source <(roost completion)",
    .options = (const struct option[]){{"man", 0, NULL, "print the commands as roost(1) has them"},
                                       OPTION_END},
    .run = run_completion,
};
