/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints, and the bash completion: two views of the same tables. */
#include <string.h>

#include "base/scope.h"
#include "cli/command.h"

enum {
    COLUMN = 28 /* where descriptions begin */
};

/* "  left            right" */
static void add_row(struct buf *out, const char *left, const char *right)
{
    size_t width = strlen(left);
    buf_printf(out, "  %s", left);
    if (width + 4 > COLUMN)
        buf_printf(out, "\n%*s%s\n", COLUMN, "", right);
    else
        buf_printf(out, "%*s%s\n", (int)(COLUMN - width - 2), "", right);
}

static void add_option(struct buf *out, const struct option *option)
{
    scope_buf struct buf left = BUF_INIT;
    if (option->letter != 0)
        buf_printf(&left, "-%c, ", option->letter);
    buf_printf(&left, "--%s", option->name);
    if (option->argument != NULL)
        buf_printf(&left, " %s", option->argument);
    add_row(out, left.data, option->help);
}

void command_add_help(const struct command *command, const char *path, struct buf *out)
{
    buf_printf(out, "%s: %s\n\n", path, command->summary);
    if (command->verbs != NULL)
        buf_printf(out, "usage: %s COMMAND [OPTION]... [ARGUMENT]...\n\ncommands:\n", path);
    else
        buf_printf(out, "usage: %s [OPTION]...%s%s\n", path, command->arguments == NULL ? "" : " ",
                   command->arguments == NULL ? "" : command->arguments);
    for (size_t i = 0; command->verbs != NULL && command->verbs[i] != NULL; i++)
        add_row(out, command->verbs[i]->name, command->verbs[i]->summary);
    if (command->details != NULL)
        buf_printf(out, "\n%s\n", command->details);
    buf_add_str(out, "\noptions:\n");
    const struct option *option = command->options;
    for (; option != NULL && option->name != NULL; option++)
        add_option(out, option);
    add_row(out, "-h, --help", "print this");
}

/* The words that may follow a command: its verbs or its options. */
static void add_words(const struct command *command, struct buf *out)
{
    for (size_t i = 0; command->verbs != NULL && command->verbs[i] != NULL; i++)
        buf_printf(out, "%s ", command->verbs[i]->name);
    const struct option *option = command->options;
    for (; option != NULL && option->name != NULL; option++)
        buf_printf(out, "--%s ", option->name);
    buf_add_str(out, "--help");
}

static void add_cases(const struct command *command, const char *path, struct buf *out)
{
    buf_printf(out, "        '%s') words='", path);
    add_words(command, out);
    buf_add_str(out, "' ;;\n");
    for (size_t i = 0; command->verbs != NULL && command->verbs[i] != NULL; i++) {
        scope_buf struct buf below = BUF_INIT;
        buf_printf(&below, "%s%s%s", path, *path == '\0' ? "" : " ", command->verbs[i]->name);
        add_cases(command->verbs[i], below.data, out);
    }
}

void completion_add_bash(const struct command *root, struct buf *out)
{
    buf_printf(out,
               "# bash completion for %1$s; made by '%1$s completion'\n"
               "_%1$s()\n"
               "{\n"
               "    local current=${COMP_WORDS[COMP_CWORD]} path='' word words i\n"
               "    for ((i = 1; i < COMP_CWORD && i < 3; i++)); do\n"
               "        word=${COMP_WORDS[i]}\n"
               "        [[ $word == -* ]] && break\n"
               "        path=${path:+$path }$word\n"
               "    done\n"
               "    while true; do\n"
               "        words=''\n"
               "        case $path in\n",
               root->name);
    add_cases(root, "", out);
    buf_printf(out,
               "        esac\n"
               "        [[ -n $words || $path != *' '* ]] && break\n"
               "        path=${path%% *}\n"
               "    done\n"
               "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
               "    if [[ ${#COMPREPLY[@]} -eq 0 ]]; then\n"
               "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
               "        compopt -o filenames 2>/dev/null\n"
               "    fi\n"
               "}\n"
               "complete -F _%1$s %1$s\n",
               root->name);
}
