/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "cli/command.h"

static int run(const struct invocation *invocation, struct error *err)
{
    return EXIT_DONE;
}

static const struct command create = {
    .name = "create",
    .arguments = "SERVER [NAME]",
    .arguments_min = 1,
    .arguments_max = 2,
    .summary = "make one",
    .options = (const struct option[]){{"wait", 'w', NULL, "wait"},
                                       {"output", 'o', "FILE", "where to"},
                                       {"ignore", 'i', "PATTERN", "leave out", true},
                                       OPTION_END},
    .run = run,
};
static const struct command list = {.name = "list", .summary = "list them", .run = run};
static const struct command backup = {
    .name = "backup",
    .summary = "backups",
    .verbs = (const struct command *const[]){&create, &list, NULL},
};
static const struct command tree = {
    .name = "roost",
    .summary = "test",
    .verbs = (const struct command *const[]){&backup, NULL},
};

enum {
    WORDS_MAX = 12
};

static int parse(struct invocation *invocation, const char *line, struct error *err)
{
    static char copy[200];
    static const char *words[WORDS_MAX];
    int count = 0;
    snprintf(copy, sizeof(copy), "%s", line);
    char *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL && count < WORDS_MAX;)
        words[count++] = word;
    return invocation_parse(&tree, count, words, invocation, err);
}

static void options_and_arguments_may_be_mixed(void **state)
{
    struct error err = ERROR_INIT;
    struct invocation invocation;
    assert_int_equal(
        parse(&invocation, "roost backup create -w a --output=x -i p b --ignore q", &err), 0);
    assert_string_equal(invocation.path, "roost backup create");
    assert_true(option_is_given(&invocation, "wait"));
    assert_string_equal(option_text(&invocation, "output"), "x");
    assert_string_equal(option_text(&invocation, "ignore"), "q");
    assert_int_equal(invocation.given_count, 4);
    assert_string_equal(argument_at(&invocation, 0), "a");
    assert_string_equal(argument_at(&invocation, 1), "b");
    assert_null(argument_at(&invocation, 2));
    invocation_free(&invocation);
}

static void letters_join_and_two_dashes_end_options(void **state)
{
    struct error err = ERROR_INIT;
    struct invocation invocation;
    assert_int_equal(parse(&invocation, "roost backup create -wofile -- --wait -", &err), 0);
    assert_true(option_is_given(&invocation, "wait"));
    assert_string_equal(option_text(&invocation, "output"), "file");
    assert_string_equal(argument_at(&invocation, 0), "--wait");
    assert_string_equal(argument_at(&invocation, 1), "-");
    invocation_free(&invocation);
}

static void a_wrong_line_is_explained(void **state)
{
    static const struct {
        const char *line;
        const char *says;
    } rows[] = {
        {"roost", "'roost' needs a command"},
        {"roost bakcup", "'bakcup' is not a command of 'roost': did you mean 'backup'?"},
        {"roost backup lsit", "did you mean 'list'?"},
        {"roost nonsense", "see 'roost --help'"},
        {"roost --wait backup", "options such as '--wait' stand after the command"},
        {"roost backup create --wiat a", "has no option '--wiat': did you mean '--wait'?"},
        {"roost backup create -x a", "has no option '-x'"},
        {"roost backup create", "too few arguments: 'roost backup create' takes SERVER [NAME]"},
        {"roost backup create a b c", "'c' is one argument too many"},
        {"roost backup list a", "takes no arguments"},
        {"roost backup create a --output", "'--output' needs a value: FILE"},
        {"roost backup create a --wait=yes", "'--wait' takes no value"},
        {"roost backup create a -o x -o y", "'--output' is given twice"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        struct invocation invocation;
        assert_int_equal(parse(&invocation, rows[i].line, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        if (strstr(err.text, rows[i].says) == NULL)
            fail_msg("'%s', expected '%s'", err.text, rows[i].says);
        invocation_free(&invocation);
    }
}

static void help_is_asked_for_anywhere(void **state)
{
    static const char *const lines[] = {"roost --help", "roost -h", "roost backup --help",
                                        "roost backup create --help",
                                        "roost backup create a b c -h"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct error err = ERROR_INIT;
        struct invocation invocation;
        assert_int_equal(parse(&invocation, lines[i], &err), 0);
        assert_true(invocation.wants_help);
        scope_buf struct buf text = BUF_INIT;
        command_add_help(invocation.command, invocation.path, &text);
        assert_non_null(strstr(text.data, "usage: roost"));
        assert_non_null(strstr(text.data, "--help"));
        invocation_free(&invocation);
    }
}

static void completion_knows_verbs_and_options(void **state)
{
    scope_buf struct buf script = BUF_INIT;
    completion_add_bash(&tree, &script);
    assert_non_null(strstr(script.data, "'') words='backup --help' ;;"));
    assert_non_null(strstr(script.data, "'backup') words='create list --help' ;;"));
    assert_non_null(
        strstr(script.data, "'backup create') words='--wait --output --ignore --help' ;;"));
    assert_non_null(strstr(script.data, "complete -F _roost roost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_may_be_mixed),
        cmocka_unit_test(letters_join_and_two_dashes_end_options),
        cmocka_unit_test(a_wrong_line_is_explained),
        cmocka_unit_test(help_is_asked_for_anywhere),
        cmocka_unit_test(completion_knows_verbs_and_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
