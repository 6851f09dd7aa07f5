/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as a manual page shows them, in mdoc(7). */
#include <string.h>

#include "base/scope.h"
#include "cli/command.h"

void mdoc_add_text(struct buf *out, const char *text)
{
    static const char ellipsis[] = "…";
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\') {
            buf_add_str(out, "\\e");
        } else if (*c == '\'') {
            buf_add_str(out, "\\(aq");
        } else if (strncmp(c, ellipsis, strlen(ellipsis)) == 0) {
            buf_add_str(out, "...");
            c += strlen(ellipsis) - 1;
        } else if (*c == ' ' && c > text && c[-1] == '.') {
            buf_add_char(out, '\n');
        } else {
            buf_add_char(out, *c);
        }
    }
}

static void add_option(struct buf *out, const struct option *option)
{
    buf_add_str(out, ".It ");
    if (option->letter != 0)
        buf_printf(out, "Fl %c , ", option->letter);
    buf_printf(out, "Fl Fl %s", option->name);
    if (option->argument != NULL)
        buf_printf(out, " Ar %s", option->argument);
    buf_add_char(out, '\n');
    buf_add_char(out, (char)toupper((unsigned char)*option->help));
    mdoc_add_text(out, option->help + 1);
    buf_add_str(out, ".\n");
}

static void add_command(const struct command *command, const char *path, struct buf *out)
{
    buf_printf(out, ".Ss roost %s%s%s\n", path, command->arguments == NULL ? "" : " ",
               command->arguments == NULL ? "" : command->arguments);
    buf_add_char(out, (char)toupper((unsigned char)*command->summary));
    mdoc_add_text(out, command->summary + 1);
    buf_add_str(out, ".\n");
    if (command->details != NULL) {
        mdoc_add_text(out, command->details);
        buf_add_char(out, '\n');
    }
    const struct option *option = command->options;
    if (option == NULL || option->name == NULL)
        return;
    buf_add_str(out, ".Bl -tag -width Ds\n");
    for (; option->name != NULL; option++)
        add_option(out, option);
    buf_add_str(out, ".El\n");
}

static void add_tree(const struct command *command, const char *path, struct buf *out)
{
    if (command->verbs == NULL) {
        add_command(command, path, out);
        return;
    }
    for (size_t i = 0; command->verbs[i] != NULL; i++) {
        scope_buf struct buf below = BUF_INIT;
        buf_printf(&below, "%s%s%s", path, *path == '\0' ? "" : " ", command->verbs[i]->name);
        add_tree(command->verbs[i], below.data, out);
    }
}

void command_add_manual(const struct command *root, struct buf *out)
{
    add_tree(root, "", out);
}
