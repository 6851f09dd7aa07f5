/* SPDX-License-Identifier: Apache-2.0 */
/* `roost user`: who may have keys. */
#include "base/json.h"
#include "base/mem.h"
#include "cli/console.h"
#include "cli/office.h"

static void write_user(struct json_writer *w, const struct user *user)
{
    json_begin_object(w);
    json_field_int(w, "id", user->id);
    json_field_string(w, "uuid", user->uuid);
    json_field_string(w, "username", user->username);
    json_field_string(w, "email", user->email);
    json_field_bool(w, "root_admin", user->is_root_admin);
    json_end_object(w);
}

static int run_add(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0)
        return -1;
    const char *name = argument_at(invocation, 0);
    const char *email = option_text(invocation, "email");
    struct user user = {
        .username = xstrdup(name),
        .email = email != NULL ? xstrdup(email) : xasprintf("%s@localhost", name),
        .language = "en",
        .is_root_admin = option_is_given(invocation, "admin"),
    };
    struct db_session *session = db_begin(office.db, err);
    int result = session == NULL ? -1 : office_end(session, user_insert(session, &user, err), err);
    if (result == 0 && option_is_given(invocation, "json")) {
        scope_buf struct buf json = BUF_INIT;
        struct json_writer w = json_writer_to(&json);
        write_user(&w, &user);
        print_text(&json);
    } else if (result == 0) {
        say("user '%s' added; 'roost key create --user %s' makes a key", name, name);
    }
    user_free(&user);
    return result;
}

struct listing {
    struct table table;
    struct json_writer w;
};

static int list_user(const struct user *user, void *context, struct error *err)
{
    struct listing *listing = context;
    write_user(&listing->w, user);
    table_add(&listing->table, (const char *[]){user->username, user->email, user->uuid,
                                                user->is_root_admin ? "admin" : "-"});
    return 0;
}

static int run_list(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0)
        return -1;
    struct db_session *session = db_reader(office.db, err);
    if (session == NULL)
        return -1;
    scope_buf struct buf json = BUF_INIT;
    struct listing listing = {.table = {.columns = 4}, .w = json_writer_to(&json)};
    table_add(&listing.table, (const char *[]){"NAME", "EMAIL", "UUID", "ROLE"});
    json_begin_array(&listing.w);
    int result = user_each(session, list_user, &listing, err);
    json_end_array(&listing.w);
    if (result == 0 && option_is_given(invocation, "json"))
        print_text(&json);
    else if (result == 0)
        table_print(&listing.table);
    table_free(&listing.table);
    return result;
}

static int run_delete(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct user user;
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0 ||
        office_find_user(&office, argument_at(invocation, 0), &user, err) < 0)
        return -1;
    struct db_session *session = db_begin(office.db, err);
    int result =
        session == NULL ? -1 : office_end(session, user_delete(session, user.id, err), err);
    if (result < 0)
        error_wrap(err, "deleting user '%s'", user.username);
    else
        say("user '%s' deleted, with its keys", user.username);
    user_free(&user);
    return result;
}

static const struct command add = {
    .name = "add",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "add a user",
    .options = (const struct option[]){{"email", 0, "ADDRESS", "default: NAME@localhost"},
                                       {"admin", 0, NULL, "may act on every server"},
                                       OPTION_CONFIG,
                                       OPTION_JSON,
                                       OPTION_END},
    .run = run_add,
};

static const struct command list = {
    .name = "list",
    .summary = "list users",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_list,
};

static const struct command delete = {
    .name = "delete",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "delete a user, who may own no servers",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_delete,
};

static const struct command *const verbs[] = {&add, &list, &delete, NULL};

const struct command user_command = {
    .name = "user",
    .summary = "add, list and delete users",
    .verbs = verbs,
};
