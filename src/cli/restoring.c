/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a restore, or for the undo of one. */
#include "cli/restoring.h"

#include <string.h>

#include "cli/console.h"
#include "cli/meter.h"
#include "cli/stop.h"

enum {
    UNAVAILABLE_MAX = 60, /* polls in a row that a panel may miss: it may be restarting */
};

bool poll_may_miss(struct error *err, unsigned *missed)
{
    if (err->code != ERROR_UNAVAILABLE || ++*missed > UNAVAILABLE_MAX)
        return false;
    error_clear(err);
    return true;
}

int poll_interrupted(const char *what, struct error *err)
{
    return error_set(err, ERROR_CANCELLED, "stopped waiting; %s goes on at the node", what);
}

struct ending {
    bool is_known, is_successful;
    char reason[200];
};

/*
 * What the server's attributes say: 1 it goes on, 0 it is over, -1.  A panel of ours also tells how the last
 * one ended; others do not.
 */
static int look(struct contact *contact, const char *server, const struct restoring *wanted,
                struct ending *ending, struct error *err)
{
    scope_json json_t *answer = client_api_server(contact->api, server, err);
    if (answer == NULL)
        return -1;
    json_t *attributes = json_object_get(answer, "attributes");
    if (strcmp(json_get_string(attributes, "status", ""), "restoring_backup") == 0)
        return 1;
    json_t *last = json_object_get(attributes, "last_restore");
    bool is_same =
        wanted->backup == NULL || strcmp(json_get_string(last, "backup", ""), wanted->backup) == 0;
    ending->is_known =
        json_is_object(last) && is_same && json_get_bool(last, "is_undo", false) == wanted->is_undo;
    ending->is_successful = json_get_bool(last, "is_successful", false);
    snprintf(ending->reason, sizeof(ending->reason), "%s", json_get_string(last, "error", ""));
    return 0;
}

static int wait_until_over(struct contact *contact, const char *server,
                           const struct restoring *wanted, struct ending *ending, struct error *err)
{
    const struct cancel *cancel = stop_on_signal();
    unsigned pause_ms = POLL_FIRST_MS, missed = 0;
    int state = 1;
    while (state == 1) {
        if (!stop_sleep(cancel, pause_ms))
            return poll_interrupted(wanted->is_undo ? "the undo" : "the restore", err);
        pause_ms = pause_ms * 3 / 2 < POLL_MAX_MS ? pause_ms * 3 / 2 : POLL_MAX_MS;
        state = look(contact, server, wanted, ending, err);
        if (state >= 0)
            missed = 0;
        else if (poll_may_miss(err, &missed))
            state = 1;
    }
    return state;
}

int wait_for_restore(struct contact *contact, const char *server, const struct restoring *wanted,
                     struct error *err)
{
    struct ending ending = {.is_known = false};
    const char *what = wanted->is_undo ? "undo" : "restore";
    struct meter *meter = meter_start(wanted->is_undo ? "undoing" : "restoring", NULL, NULL);
    int result = wait_until_over(contact, server, wanted, &ending, err);
    meter_stop(meter);
    if (result < 0)
        return -1;
    if (ending.is_known && !ending.is_successful)
        return error_set(err, ERROR_IO,
                         "the %s failed, and the server's files are as they were: %s", what,
                         ending.reason[0] == '\0' ? "the node's log says why" : ending.reason);
    if (!ending.is_known)
        complain("the %s has ended; this panel does not tell whether it succeeded", what);
    return 0;
}
