/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: finding the command, reading its options, and saying what is wrong with them. */
#include "cli/command.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/text.h"
#include "cli/nearest.h"

struct reader {
    int argc;
    const char *const *argv;
    int at;
    struct invocation *invocation;
};

static const struct command *find_verb(const struct command *command, const char *name)
{
    for (size_t i = 0; command->verbs[i] != NULL; i++) {
        if (strcmp(command->verbs[i]->name, name) == 0)
            return command->verbs[i];
    }
    return NULL;
}

static int unknown_verb(const struct command *command, const char *path, const char *name,
                        struct error *err)
{
    struct nearest nearest = {.wanted = name};
    for (size_t i = 0; command->verbs[i] != NULL; i++)
        nearest_consider(&nearest, command->verbs[i]->name);
    const char *best = nearest_result(&nearest);
    if (best != NULL)
        return error_set(err, ERROR_INVALID, "'%.60s' is not a command of '%s': did you mean '%s'?",
                         name, path, best);
    return error_set(err, ERROR_INVALID, "'%.60s' is not a command of '%s': see '%s --help'", name,
                     path, path);
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0;
}

/* Walks down the tree as long as words name verbs. */
static int find_command(struct reader *reader, const struct command *root, struct error *err)
{
    struct invocation *invocation = reader->invocation;
    const struct command *command = root;
    snprintf(invocation->path, sizeof(invocation->path), "%s", root->name);
    while (command->verbs != NULL) {
        const char *word = reader->at < reader->argc ? reader->argv[reader->at] : NULL;
        invocation->command = command;
        if (word == NULL)
            return error_set(err, ERROR_INVALID, "'%s' needs a command: see '%s --help'",
                             invocation->path, invocation->path);
        if (is_help(word)) {
            invocation->wants_help = true;
            return 0;
        }
        if (*word == '-')
            return error_set(err, ERROR_INVALID, "options such as '%.60s' stand after the command",
                             word);
        const struct command *verb = find_verb(command, word);
        if (verb == NULL)
            return unknown_verb(command, invocation->path, word, err);
        command = verb;
        size_t length = strlen(invocation->path);
        snprintf(invocation->path + length, sizeof(invocation->path) - length, " %s", verb->name);
        reader->at++;
    }
    invocation->command = command;
    return 0;
}

static int unknown_option(const struct invocation *invocation, const char *word, struct error *err)
{
    scope_free char *wanted = xstrndup(word + 2, strcspn(word + 2, "="));
    struct nearest nearest = {.wanted = wanted};
    for (const struct option *option = invocation->command->options;
         option != NULL && option->name != NULL; option++)
        nearest_consider(&nearest, option->name);
    const char *best = nearest_result(&nearest);
    if (best != NULL)
        return error_set(err, ERROR_INVALID, "'%s' has no option '--%.60s': did you mean '--%s'?",
                         invocation->path, wanted, best);
    return error_set(err, ERROR_INVALID, "'%s' has no option '--%.60s': see '%s --help'",
                     invocation->path, wanted, invocation->path);
}

static int note_option(struct invocation *invocation, const struct option *option,
                       const char *value, struct error *err)
{
    if (invocation->given_count == OPTIONS_GIVEN_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d options", OPTIONS_GIVEN_MAX);
    for (int i = 0; i < invocation->given_count && !option->may_repeat; i++) {
        if (invocation->given[i].option == option && option->argument != NULL)
            return error_set(err, ERROR_INVALID, "'--%s' is given twice", option->name);
    }
    invocation->given[invocation->given_count].option = option;
    invocation->given[invocation->given_count].value = value;
    invocation->given_count++;
    return 0;
}

/* The value that stands in the same word (`inside`), or is the next one. */
static int take_value(struct reader *reader, const struct option *option, const char *inside,
                      struct error *err)
{
    if (option->argument == NULL) {
        if (inside != NULL)
            return error_set(err, ERROR_INVALID, "'--%s' takes no value", option->name);
        return note_option(reader->invocation, option, NULL, err);
    }
    if (inside == NULL) {
        if (reader->at >= reader->argc)
            return error_set(err, ERROR_INVALID, "'--%s' needs a value: %s", option->name,
                             option->argument);
        inside = reader->argv[reader->at++];
    }
    return note_option(reader->invocation, option, inside, err);
}

static int read_long(struct reader *reader, const char *word, struct error *err)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const struct option *option = reader->invocation->command->options;
    for (; option != NULL && option->name != NULL; option++) {
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return take_value(reader, option, name[length] == '=' ? name + length + 1 : NULL, err);
    }
    return unknown_option(reader->invocation, word, err);
}

/* "-l", "-oFILE", "-o FILE"; letters of flags may be joined. */
static int read_letters(struct reader *reader, const char *word, struct error *err)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct option *option = reader->invocation->command->options;
        while (option != NULL && option->name != NULL && option->letter != *letter)
            option++;
        if (option == NULL || option->name == NULL)
            return error_set(err, ERROR_INVALID, "'%s' has no option '-%c': see '%s --help'",
                             reader->invocation->path, *letter, reader->invocation->path);
        bool has_rest = option->argument != NULL && letter[1] != '\0';
        if (take_value(reader, option, has_rest ? letter + 1 : NULL, err) < 0)
            return -1;
        if (option->argument != NULL)
            break;
    }
    return 0;
}

static int read_words(struct reader *reader, struct error *err)
{
    struct invocation *invocation = reader->invocation;
    bool options_ended = false;
    while (reader->at < reader->argc) {
        const char *word = reader->argv[reader->at++];
        int result = 0;
        if (options_ended || *word != '-' || word[1] == '\0')
            invocation->argument_room[invocation->argument_count++] = word;
        else if (strcmp(word, "--") == 0)
            options_ended = true;
        else if (is_help(word))
            invocation->wants_help = true;
        else
            result =
                word[1] == '-' ? read_long(reader, word, err) : read_letters(reader, word, err);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int check_arguments(const struct invocation *invocation, struct error *err)
{
    const struct command *command = invocation->command;
    const char *wanted = command->arguments == NULL ? "no arguments" : command->arguments;
    if (invocation->argument_count < command->arguments_min)
        return error_set(err, ERROR_INVALID, "too few arguments: '%s' takes %s", invocation->path,
                         wanted);
    if (invocation->argument_count > command->arguments_max)
        return error_set(err, ERROR_INVALID, "'%.60s' is one argument too many: '%s' takes %s",
                         invocation->arguments[command->arguments_max], invocation->path, wanted);
    return 0;
}

int invocation_parse(const struct command *root, int argc, const char *const *argv,
                     struct invocation *invocation, struct error *err)
{
    *invocation = (struct invocation){.command = root};
    invocation->argument_room = xcalloc((size_t)argc + 1, sizeof(char *));
    invocation->arguments = invocation->argument_room;
    struct reader reader = {.argc = argc, .argv = argv, .at = 1, .invocation = invocation};
    if (find_command(&reader, root, err) < 0)
        return -1;
    if (invocation->wants_help)
        return 0;
    if (read_words(&reader, err) < 0)
        return -1;
    return invocation->wants_help ? 0 : check_arguments(invocation, err);
}

void invocation_free(struct invocation *invocation)
{
    free(invocation->argument_room);
}

static const struct option *declared(const struct invocation *invocation, const char *name)
{
    const struct option *option = invocation->command->options;
    while (option != NULL && option->name != NULL && strcmp(option->name, name) != 0)
        option++;
    assert(option != NULL && option->name != NULL);
    return option;
}

bool option_is_given(const struct invocation *invocation, const char *name)
{
    const struct option *option = declared(invocation, name);
    for (int i = 0; i < invocation->given_count; i++) {
        if (invocation->given[i].option == option)
            return true;
    }
    return false;
}

const char *option_text(const struct invocation *invocation, const char *name)
{
    const struct option *option = declared(invocation, name);
    for (int i = invocation->given_count - 1; i >= 0; i--) {
        if (invocation->given[i].option == option)
            return invocation->given[i].value;
    }
    return NULL;
}

const char *argument_at(const struct invocation *invocation, int index)
{
    return index < invocation->argument_count ? invocation->arguments[index] : NULL;
}
