/* SPDX-License-Identifier: Apache-2.0 */
/* `roost restore`: what can be done about the last restore of a server. */
#include "cli/cancel.h"
#include "cli/console.h"
#include "cli/contact.h"
#include "cli/restoring.h"

static int run_undo(const struct invocation *invocation, struct error *err)
{
    scope_contact struct contact contact = {.api = NULL};
    char server[UUID_TEXT_BYTES];
    if (contact_open(invocation, &contact, err) < 0 ||
        contact_find_server(&contact, argument_at(invocation, 0), server, err) < 0 ||
        client_api_restore_undo(contact.api, server, err) < 0)
        return -1;
    if (!option_is_given(invocation, "wait")) {
        say("the undo has begun");
        return 0;
    }
    struct restoring wanted = {.is_undo = true};
    if (wait_for_restore(&contact, server, &wanted, err) < 0)
        return -1;
    say("what was there before the last restore is back");
    return 0;
}

static const struct command undo = {
    .name = "undo",
    .arguments = "SERVER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "bring back what the last restore replaced",
    .details =
        "SERVER is a uuid, a short id or a name. What is there now is kept in its place, so that\n"
        "an undo can be undone. Nodes keep a replaced tree for a while ('restore.keep' in\n"
        "roost.yml), and only the last one of a server; a restore of single files cannot be\n"
        "undone, but by another of these files from another backup.",
    .options = (const struct option[]){{"wait", 'w', NULL, "wait until it is completed or failed"},
                                       OPTIONS_CONTACT,
                                       OPTION_END},
    .run = run_undo,
};

const struct command restore_command = {
    .name = "restore",
    .summary = "undo the last restore of a server, or cancel one",
    .verbs = (const struct command *const[]){&undo, &restore_cancel_command, NULL},
};
