/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Commands are tables: what is parsed, what --help says and what the shell completes come from the same
 * rows.  A command either has verbs ("roost backup" has create, list, …) or runs.
 *
 * Exit status: 0 done, 1 failed, 2 usage (a wrong command line or configuration), 3 done with omissions.
 */
enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_OMISSIONS = 3,
};

struct option {
    const char *name;     /* "output": --output */
    char letter;          /* 'o': -o; 0: none */
    const char *argument; /* "FILE"; NULL: a flag */
    const char *help;
    bool may_repeat;
};

struct invocation;

struct command {
    const char *name;
    const char *arguments;        /* "SERVER [NAME]"; NULL: none */
    const char *summary;          /* one line without a full stop */
    const char *details;          /* paragraphs below it; NULL: none */
    const struct option *options; /* ended by a NULL name; may be NULL */
    int arguments_min, arguments_max;

    /* An exit status; or -1 with `err` set: INVALID then exits with 2, anything else with 1. */
    int (*run)(const struct invocation *invocation, struct error *err);
    const struct command *const *verbs; /* ended by NULL; NULL: it runs */
};

/* Options that many commands have, word for word. */
#define OPTION_CONFIG                                                                              \
    {                                                                                              \
        "config", 'c', "FILE", "configuration; default: ./roost.yml, /etc/roost/roost.yml"         \
    }
#define OPTION_JSON                                                                                \
    {                                                                                              \
        "json", 0, NULL, "print JSON"                                                              \
    }
#define OPTION_END                                                                                 \
    {                                                                                              \
        NULL                                                                                       \
    }

/* A command line, taken apart.  Texts are those of argv. */
enum {
    OPTIONS_GIVEN_MAX = 300,
};
struct invocation {
    const struct command *command;
    char path[80]; /* "roost backup create" */
    const char *const *arguments;
    int argument_count;
    struct {
        const struct option *option;
        const char *value;
    } given[OPTIONS_GIVEN_MAX];
    int given_count;
    const char **argument_room; /* owned */
    bool wants_help;
};

/*
 * Finds the command in the tree below `root` and reads options and arguments.  INVALID: an unknown
 * command or option (with the nearest one), a missing value, too few or too many arguments.
 * Options and arguments may be mixed; "--" ends options.
 */
int invocation_parse(const struct command *root, int argc, const char *const *argv,
                     struct invocation *invocation, struct error *err);
void invocation_free(struct invocation *invocation);

/* `name` must be one of the command's options. */
bool option_is_given(const struct invocation *invocation, const char *name);
const char *option_text(const struct invocation *invocation, const char *name); /* NULL; the last */

/* The argument at `index`, or NULL. */
const char *argument_at(const struct invocation *invocation, int index);

/* What --help prints. */
void command_add_help(const struct command *command, const char *path, struct buf *out);

/* The COMMANDS of the manual page roost(1), in mdoc; the page holds exactly this text, a test compares them. */
void command_add_manual(const struct command *root, struct buf *out);

/* Text for a manual page: what means something to mdoc is escaped, a sentence begins a line. */
void mdoc_add_text(struct buf *out, const char *text);

/* The bash script that completes the tree below `root`. */
void completion_add_bash(const struct command *root, struct buf *out);

/* One for each file of commands; roost_command is the tree's root, in commands.c. */
extern const struct command roost_command;
extern const struct command archive_command, backup_command, completion_command, config_command,
    doctor_command, init_command, key_command, node_command, panel_command, serve_command,
    restore_command, server_command, user_command;

#endif
