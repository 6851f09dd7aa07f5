/* SPDX-License-Identifier: Apache-2.0 */
/* `roost backup`: a client of the panel's API like any other, here or far away. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/backup_files.h"
#include "cli/cancel.h"
#include "cli/console.h"
#include "cli/download.h"
#include "cli/meter.h"
#include "cli/restoring.h"
#include "cli/stop.h"

/* ---- shared by the verbs ---- */

struct target {
    struct contact contact;
    char server[UUID_TEXT_BYTES];
    char backup[UUID_TEXT_BYTES];
};

static void target_close(struct target *target)
{
    contact_close(&target->contact);
}
#define scope_target __attribute__((cleanup(target_close)))

/* The panel, the server of the first argument and, where `has_backup`, the backup of the second. */
enum target_flags {
    TARGET_SERVER = 0,
    TARGET_BACKUP = 1 << 0,
};
static int target_open(const struct invocation *invocation, unsigned flags, struct target *target,
                       struct error *err)
{
    if (contact_open(invocation, &target->contact, err) < 0)
        return -1;
    if (contact_find_server(&target->contact, argument_at(invocation, 0), target->server, err) < 0)
        return -1;
    if (!(flags & TARGET_BACKUP))
        return 0;
    return contact_find_backup(&target->contact, target->server, argument_at(invocation, 1),
                               target->backup, err);
}

static const char *state_name(bool is_running, bool is_successful)
{
    return is_running ? "creating" : is_successful ? "completed" : "failed";
}

static void print_json(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (text != NULL)
        puts(text);
    free(text);
}

static void print_view(const struct invocation *invocation, const struct client_backup_view *view)
{
    if (option_is_given(invocation, "json")) {
        print_json(view->attributes);
        return;
    }
    scope_buf struct buf size = BUF_INIT;
    text_add_size(&size, view->bytes);
    say("backup:    %s", view->uuid);
    say("name:      %s", view->name);
    say("state:     %s%s", state_name(client_backup_is_running(view), view->is_successful),
        view->is_locked ? ", locked" : "");
    say("created:   %s", view->created_at == NULL ? "-" : view->created_at);
    say("completed: %s", view->completed_at == NULL ? "-" : view->completed_at);
    say("size:      %s (%" PRIu64 " bytes)", size.data, view->bytes);
    say("checksum:  %s", view->checksum == NULL ? "-" : view->checksum);
}

/* ---- create ---- */

/* What the waiting thread learns and the meter's thread draws. */
struct seen {
    _Atomic(uint64_t) done_bytes, total_bytes;
};

static void look_at_seen(void *context, uint64_t *done_bytes, uint64_t *total_bytes)
{
    struct seen *seen = context;
    *done_bytes = atomic_load(&seen->done_bytes);
    *total_bytes = atomic_load(&seen->total_bytes);
}

static int wait_for_backup(struct target *target, struct client_backup_view *view,
                           struct seen *seen, struct error *err)
{
    const struct cancel *cancel = stop_on_signal();
    unsigned pause_ms = POLL_FIRST_MS, missed = 0;
    while (client_backup_is_running(view)) {
        if (!stop_sleep(cancel, pause_ms))
            return poll_interrupted("the backup", err);
        pause_ms = pause_ms * 3 / 2 < POLL_MAX_MS ? pause_ms * 3 / 2 : POLL_MAX_MS;
        struct client_backup_view fresh;
        if (client_api_backup_view(target->contact.api, target->server, view->uuid, &fresh, err) <
            0) {
            if (poll_may_miss(err, &missed))
                continue;
            return -1;
        }
        missed = 0;
        client_backup_view_free(view);
        *view = fresh;
        atomic_store(&seen->done_bytes, view->progress_bytes);
        atomic_store(&seen->total_bytes, view->progress_expected_bytes);
    }
    return 0;
}

static void add_patterns(const struct invocation *invocation, struct buf *ignored)
{
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i].option->name, "ignore") == 0)
            buf_printf(ignored, "%s\n", invocation->given[i].value);
    }
}

static int run_create(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    scope_buf struct buf ignored = BUF_INIT;
    struct client_backup_view view;
    if (target_open(invocation, TARGET_SERVER, &target, err) < 0)
        return -1;
    add_patterns(invocation, &ignored);
    if (client_api_backup_create(target.contact.api, target.server, argument_at(invocation, 1),
                                 ignored.length > 0 ? ignored.data : NULL,
                                 option_is_given(invocation, "lock"), &view, err) < 0)
        return -1;
    int result = 0;
    if (option_is_given(invocation, "wait")) {
        struct seen seen = {.done_bytes = 0};
        struct meter *meter = meter_start("backing up", look_at_seen, &seen);
        result = wait_for_backup(&target, &view, &seen, err);
        meter_stop(meter);
    }
    if (result == 0)
        print_view(invocation, &view);
    if (result == 0 && !client_backup_is_running(&view) && !view.is_successful)
        result = error_set(err, ERROR_IO, "the backup failed; the node's log says why");
    client_backup_view_free(&view);
    return result;
}

/* ---- list, show ---- */

struct listing {
    struct table table;
    json_t *all;
};

static int list_backup(json_t *attributes, void *context, struct error *err)
{
    struct listing *listing = context;
    scope_buf struct buf size = BUF_INIT;
    const char *completed = json_get_string(attributes, "completed_at", NULL);
    int64_t bytes = json_get_int(attributes, "bytes", 0);
    text_add_size(&size, bytes < 0 ? 0 : (uint64_t)bytes);
    json_array_append(listing->all, attributes);
    table_add(&listing->table,
              (const char *[]){
                  json_get_string(attributes, "uuid", ""),
                  json_get_string(attributes, "created_at", ""), size.data,
                  state_name(completed == NULL, json_get_bool(attributes, "is_successful", false)),
                  json_get_bool(attributes, "is_locked", false) ? "locked" : "-",
                  json_get_string(attributes, "name", "")});
    return 0;
}

static int run_list(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    if (target_open(invocation, TARGET_SERVER, &target, err) < 0)
        return -1;
    scope_json json_t *all = json_array();
    struct listing listing = {.table = {.columns = 6}, .all = all};
    table_add(&listing.table,
              (const char *[]){"BACKUP", "CREATED", "SIZE", "STATE", "LOCK", "NAME"});
    int result = contact_each_backup(&target.contact, target.server, list_backup, &listing, err);
    if (result == 0 && option_is_given(invocation, "json"))
        print_json(all);
    else if (result == 0)
        table_print(&listing.table);
    table_free(&listing.table);
    return result;
}

static int run_show(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    struct client_backup_view view;
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0 ||
        client_api_backup_view(target.contact.api, target.server, target.backup, &view, err) < 0)
        return -1;
    print_view(invocation, &view);
    client_backup_view_free(&view);
    return 0;
}

/* ---- download ---- */

static int run_files(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    const char *directory = argument_at(invocation, 2);
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0)
        return -1;
    struct files_place place = {target.server, target.backup, directory == NULL ? "" : directory};
    return files_print(&target.contact, &place, option_is_given(invocation, "json"), err);
}

static int run_cat(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0)
        return -1;
    struct files_place place = {target.server, target.backup, argument_at(invocation, 2)};
    return files_cat(&target.contact, &place, err);
}

static int download_file(const struct invocation *invocation, struct target *target,
                         struct error *err)
{
    const char *output = option_text(invocation, "output");
    if (output == NULL)
        return error_set(err, ERROR_INVALID, "'--file' needs '--output': where the file goes");
    struct files_place place = {target->server, target->backup, option_text(invocation, "file")};
    return files_download(&target->contact, &place, output, err);
}

static int run_download(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    struct client_backup_view view;
    if (option_is_given(invocation, "file"))
        return target_open(invocation, TARGET_BACKUP, &target, err) < 0
                   ? -1
                   : download_file(invocation, &target, err);
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0 ||
        client_api_backup_view(target.contact.api, target.server, target.backup, &view, err) < 0)
        return -1;
    const char *output = option_text(invocation, "output");
    scope_free char *path = output == NULL ? xasprintf("%s.tar.gz", view.uuid) : xstrdup(output);
    int result;
    if (!view.is_successful)
        result = error_set(err, ERROR_CONFLICT, "backup %s is not completed", view.uuid);
    else
        result =
            download_backup(&target.contact, target.server, &view, path, stop_on_signal(), err);
    if (result == 0 && strcmp(path, "-") != 0)
        say("%s: %" PRIu64 " bytes, %s", path, view.bytes,
            view.checksum == NULL ? "not verified" : view.checksum);
    client_backup_view_free(&view);
    return result;
}

/* ---- restore ---- */

/* What --only names; NULL: everything. */
static int read_paths(const struct invocation *invocation, struct selection **files,
                      struct error *err)
{
    for (int i = 0; i < invocation->given_count; i++) {
        const char *path = invocation->given[i].value;
        if (strcmp(invocation->given[i].option->name, "only") != 0)
            continue;
        if (*files == NULL)
            *files = selection_new();
        if (!utf8_is_valid(slice_str(path)))
            return error_set(err, ERROR_INVALID,
                             "'--only' takes no name that is not UTF-8: name its directory");
        if (selection_add(*files, slice_str(path), err) < 0) {
            err->code = ERROR_INVALID;
            return error_wrap(err, "'--only'");
        }
    }
    return 0;
}

static int run_restore(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    scope_selection struct selection *files = NULL;
    scope_buf struct buf ignored = BUF_INIT;
    bool keeps = option_is_given(invocation, "no-truncate");
    add_patterns(invocation, &ignored);
    if (keeps && option_is_given(invocation, "truncate"))
        return error_set(err, ERROR_INVALID, "'--truncate' and '--no-truncate' exclude each other");
    if (ignored.length > 0 && !option_is_given(invocation, "leave-ignored"))
        return error_set(err, ERROR_INVALID, "'--ignore' goes with '--leave-ignored'");
    if (read_paths(invocation, &files, err) < 0 ||
        target_open(invocation, TARGET_BACKUP, &target, err) < 0)
        return -1;
    struct client_restore order = {
        .truncate = !keeps,
        .files = files,
        .leaves_ignored = option_is_given(invocation, "leave-ignored"),
        .has_ignored = ignored.length > 0,
        .ignored = ignored,
    };
    if (client_api_backup_restore(target.contact.api, target.server, target.backup, &order, err) <
        0)
        return -1;
    if (!option_is_given(invocation, "wait")) {
        say("the restore of %s has begun", target.backup);
        return 0;
    }
    struct restoring wanted = {.backup = target.backup};
    int result = wait_for_restore(&target.contact, target.server, &wanted, err);
    if (result == 0)
        say("restored %s", target.backup);
    return result;
}

/* ---- lock, unlock, delete ---- */

static int run_lock(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    struct client_backup_view view;
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0 ||
        client_api_backup_view(target.contact.api, target.server, target.backup, &view, err) < 0)
        return -1;
    /* The API only toggles: ask first, so that `lock` locks. */
    int result = view.is_locked ? 0
                                : client_api_backup_toggle_lock(target.contact.api, target.server,
                                                                target.backup, err);
    client_backup_view_free(&view);
    if (result == 0)
        say("backup %s is locked", target.backup);
    return result;
}

static int run_unlock(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    struct client_backup_view view;
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0 ||
        client_api_backup_view(target.contact.api, target.server, target.backup, &view, err) < 0)
        return -1;
    int result = 0;
    if (view.is_locked) {
        result = client_api_backup_unlock(target.contact.api, target.server, target.backup, err);
        if (result < 0 && err->code == ERROR_NOT_FOUND) { /* a panel that only toggles */
            error_clear(err);
            result = client_api_backup_toggle_lock(target.contact.api, target.server, target.backup,
                                                   err);
        }
    }
    client_backup_view_free(&view);
    if (result == 0)
        say("backup %s is not locked", target.backup);
    return result;
}

static int run_delete(const struct invocation *invocation, struct error *err)
{
    scope_target struct target target = {.server = ""};
    if (target_open(invocation, TARGET_BACKUP, &target, err) < 0 ||
        client_api_backup_delete(target.contact.api, target.server, target.backup, err) < 0)
        return -1;
    say("backup %s deleted", target.backup);
    return 0;
}

/* ---- the tables ---- */

#define BACKUP_NAMES                                                                               \
    "SERVER is a uuid, a short id or a name; BACKUP a uuid, its beginning, or 'latest'."

static const struct command create = {
    .name = "create",
    .arguments = "SERVER [NAME]",
    .arguments_min = 1,
    .arguments_max = 2,
    .summary = "make a backup",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){{"wait", 'w', NULL, "wait until it is completed or failed"},
                                       {"lock", 0, NULL, "lock it: it can not be deleted"},
                                       {"ignore", 'i', "PATTERN",
                                        "leave these files out; repeatable", true},
                                       OPTIONS_CONTACT,
                                       OPTION_JSON,
                                       OPTION_END},
    .run = run_create,
};

static const struct command list = {
    .name = "list",
    .arguments = "SERVER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "list a server's backups, oldest first",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_JSON, OPTION_END},
    .run = run_list,
};

static const struct command show = {
    .name = "show",
    .arguments = "SERVER BACKUP",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "show one backup",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_JSON, OPTION_END},
    .run = run_show,
};

static const struct command download = {
    .name = "download",
    .arguments = "SERVER BACKUP",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "download a backup's archive and verify it",
    .details =
        BACKUP_NAMES "\n"
                     "An interrupted download goes on where it stopped when it is run again.",
    .options =
        (const struct option[]){
            {"output", 'o', "FILE", "default: BACKUP.tar.gz; '-': standard output"},
            {"file", 0, "PATH", "only this file of it, or a directory as a .tar.gz"},
            OPTIONS_CONTACT,
            OPTION_END},
    .run = run_download,
};

static const struct command files = {
    .name = "files",
    .arguments = "SERVER BACKUP [DIRECTORY]",
    .arguments_min = 2,
    .arguments_max = 3,
    .summary = "list what is in a backup",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_JSON, OPTION_END},
    .run = run_files,
};

static const struct command cat = {
    .name = "cat",
    .arguments = "SERVER BACKUP FILE",
    .arguments_min = 3,
    .arguments_max = 3,
    .summary = "print a small file out of a backup",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_END},
    .run = run_cat,
};

static const struct command restore = {
    .name = "restore",
    .arguments = "SERVER BACKUP",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "put a backup back in place",
    .details = BACKUP_NAMES,
    .options =
        (const struct option[]){
            {"truncate", 0, NULL, "remove files that are not in the backup; the default"},
            {"no-truncate", 0, NULL, "keep files that are not in the backup"},
            {"only", 0, "PATH", "restore only this file or directory; repeatable", true},
            {"leave-ignored", 0, NULL, "leave what the backup's ignore patterns match as it is"},
            {"ignore", 'i', "PATTERN", "with --leave-ignored: this, not those; repeatable", true},
            {"wait", 'w', NULL, "wait until it is over"},
            OPTIONS_CONTACT,
            OPTION_END},
    .run = run_restore,
};

static const struct command lock = {
    .name = "lock",
    .arguments = "SERVER BACKUP",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "lock a backup: it can not be deleted",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_END},
    .run = run_lock,
};

static const struct command unlock = {
    .name = "unlock",
    .arguments = "SERVER BACKUP",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "unlock a backup",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_END},
    .run = run_unlock,
};

static const struct command delete = {
    .name = "delete",
    .arguments = "SERVER BACKUP",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "delete a backup",
    .details = BACKUP_NAMES,
    .options = (const struct option[]){OPTIONS_CONTACT, OPTION_END},
    .run = run_delete,
};

static const struct command *const verbs[] = {
    &create,
    &list,
    &show,
    &files,
    &cat,
    &download,
    &restore,
    &lock,
    &unlock,
    &delete,
    &backup_cancel_command,
    NULL,
};

const struct command backup_command = {
    .name = "backup",
    .summary = "make, cancel, list, download, restore, lock and delete backups",
    .verbs = verbs,
};
