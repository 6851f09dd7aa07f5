/* SPDX-License-Identifier: Apache-2.0 */
/* `roost backup cancel` and `roost restore cancel`: what has begun, and is not wanted any more. */
#include "cli/cancel.h"

#include <string.h>

#include "cli/console.h"
#include "cli/contact.h"
#include "cli/restoring.h"
#include "cli/stop.h"

/* ---- backups ---- */

static int note_running(json_t *attributes, void *context, struct error *err)
{
    if (json_is_null(json_object_get(attributes, "completed_at")))
        uuid_canonicalize(json_get_string(attributes, "uuid", ""), context);
    return 0;
}

/* The backup of the second argument, or, without one, the one that is being made. */
static int find_backup(const struct invocation *invocation, struct contact *contact,
                       const char *server, char backup[UUID_TEXT_BYTES], struct error *err)
{
    const char *name = argument_at(invocation, 1);
    if (name != NULL)
        return contact_find_backup(contact, server, name, backup, err);
    backup[0] = '\0';
    if (contact_each_backup(contact, server, note_running, backup, err) < 0)
        return -1;
    if (backup[0] == '\0')
        return error_set(err, ERROR_NOT_FOUND, "no backup of this server is being made");
    return 0;
}

/* 1: it is still being made.  0: it is not, -1. */
static int look_at_backup(struct contact *contact, const char *server, const char *backup,
                          struct error *err)
{
    struct client_backup_view view;
    if (client_api_backup_view(contact->api, server, backup, &view, err) < 0)
        return -1;
    bool is_running = client_backup_is_running(&view);
    bool is_successful = view.is_successful;
    client_backup_view_free(&view);
    if (!is_running && is_successful)
        return error_set(err, ERROR_CONFLICT, "backup %s was completed before", backup);
    return is_running;
}

/* 1: the server is still being restored.  0: it is not, -1. */
static int look_at_restore(struct contact *contact, const char *server, const char *backup,
                           struct error *err)
{
    scope_json json_t *answer = client_api_server(contact->api, server, err);
    if (answer == NULL)
        return -1;
    const json_t *attributes = json_object_get(answer, "attributes");
    return strcmp(json_get_string(attributes, "status", ""), "restoring_backup") == 0;
}

typedef int look(struct contact *contact, const char *server, const char *backup,
                 struct error *err);

static int wait_for_end(look *look_at, struct contact *contact, const char *server,
                        const char *backup, struct error *err)
{
    const struct cancel *cancel = stop_on_signal();
    unsigned missed = 0;
    int state;
    while ((state = look_at(contact, server, backup, err)) != 0) {
        if (state < 0 && !poll_may_miss(err, &missed))
            return -1;
        if (state > 0)
            missed = 0;
        if (!stop_sleep(cancel, POLL_FIRST_MS))
            return poll_interrupted("the end", err);
    }
    return 0;
}

static int run_backup(const struct invocation *invocation, struct error *err)
{
    scope_contact struct contact contact = {.api = NULL};
    char server[UUID_TEXT_BYTES], backup[UUID_TEXT_BYTES];
    if (contact_open(invocation, &contact, err) < 0 ||
        contact_find_server(&contact, argument_at(invocation, 0), server, err) < 0 ||
        find_backup(invocation, &contact, server, backup, err) < 0 ||
        client_api_backup_cancel(contact.api, server, backup, err) < 0)
        return -1;
    bool waits = option_is_given(invocation, "wait");
    if (waits && wait_for_end(look_at_backup, &contact, server, backup, err) < 0)
        return -1;
    say("backup %s is %scancelled", backup, waits ? "" : "being ");
    return 0;
}

const struct command backup_cancel_command = {
    .name = "cancel",
    .arguments = "SERVER [BACKUP]",
    .arguments_min = 1,
    .arguments_max = 2,
    .summary = "stop a backup that is being made, or waits",
    .details =
        "SERVER is a uuid, a short id or a name; BACKUP a uuid or its beginning, without one\n"
        "the backup that is being made. It is listed as failed afterwards, and has no archive.",
    .options = (const struct option[]){{"wait", 'w', NULL, "wait until it has ended"},
                                       OPTIONS_CONTACT,
                                       OPTION_END},
    .run = run_backup,
};

/* ---- restores ---- */

static int run_restore(const struct invocation *invocation, struct error *err)
{
    scope_contact struct contact contact = {.api = NULL};
    char server[UUID_TEXT_BYTES];
    if (contact_open(invocation, &contact, err) < 0 ||
        contact_find_server(&contact, argument_at(invocation, 0), server, err) < 0 ||
        client_api_restore_cancel(contact.api, server, err) < 0)
        return -1;
    bool waits = option_is_given(invocation, "wait");
    if (waits && wait_for_end(look_at_restore, &contact, server, NULL, err) < 0)
        return -1;
    say("the restore is %scancelled; the server's files stay as they are", waits ? "" : "being ");
    return 0;
}

const struct command restore_cancel_command = {
    .name = "cancel",
    .arguments = "SERVER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "stop a restore, or an undo, that has not changed anything yet",
    .details = "SERVER is a uuid, a short id or a name. Until a restore is whole and checked, the "
               "server's\n"
               "files are as they were; from then on it cannot be cancelled, but undone.",
    .options = (const struct option[]){{"wait", 'w', NULL, "wait until it has ended"},
                                       OPTIONS_CONTACT,
                                       OPTION_END},
    .run = run_restore,
};
