/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program.  Finds the command, runs it, reports its error once, and turns the outcome into an
 * exit status.  Process-wide settings are made here and nowhere else.
 */
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "base/scope.h"
#include "cli/command.h"
#include "cli/console.h"

enum {
    ARENAS_MAX = 2, /* of malloc: threads of ours share; each arena holds on to memory of its own */
    LARGE_BYTES = 256 * 1024,
};

static int run(struct invocation *invocation)
{
    struct error err = ERROR_INIT;
    int status = invocation->command->run(invocation, &err);
    if (status < 0) {
        complain("%s", err.text);
        return error_exit_status(&err);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("standard output cannot be written");
        return EXIT_FAILED;
    }
    return status;
}

static void print_help(const struct invocation *invocation)
{
    scope_buf struct buf text = BUF_INIT;
    command_add_help(invocation->command, invocation->path, &text);
    print_text(&text);
}

int main(int argc, char **argv)
{
    mallopt(M_ARENA_MAX, ARENAS_MAX);
    /* Fixed, these do not grow with what was freed: blocks of archives go back to the system after a job. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("roost " ROOST_VERSION);
        return EXIT_DONE;
    }
    struct error err = ERROR_INIT;
    struct invocation invocation;
    int status = EXIT_DONE;
    if (invocation_parse(&roost_command, argc, (const char *const *)argv, &invocation, &err) < 0) {
        complain("%s", err.text);
        status = EXIT_USAGE;
    } else if (invocation.wants_help) {
        print_help(&invocation);
    } else {
        status = run(&invocation);
    }
    invocation_free(&invocation);
    return status;
}
