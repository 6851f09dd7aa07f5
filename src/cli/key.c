/* SPDX-License-Identifier: Apache-2.0 */
/* `roost key`: API keys of users.  A key is printed once, when it is made; afterwards nobody can say it again. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/console.h"
#include "cli/office.h"
#include "db/api_key.h"
#include "net/url.h"

enum {
    RANGES_MAX = 50
};

/* "30 d", "2026-01-31" or "2026-01-31 12:00:00" (UTC). */
static int read_expiry(const char *text, int64_t *at_us, struct error *err)
{
    uint64_t duration_ms = 0;
    struct error ignored = ERROR_INIT;
    scope_free char *midnight = xasprintf("%s 00:00:00", text);
    int64_t now_us = time_now_us();
    if (text_to_duration(text, &duration_ms, &ignored) == 0 && duration_ms <= INT64_MAX / 2000) {
        *at_us = now_us + (int64_t)duration_ms * 1000;
    } else {
        error_clear(&ignored);
        if (time_parse(midnight, at_us, &ignored) < 0) {
            error_clear(&ignored);
            if (time_parse(text, at_us, &ignored) < 0)
                return error_set(err, ERROR_INVALID,
                                 "'--expires' takes a duration such as '30 d', or a date such as "
                                 "'2030-01-31', not '%.60s'",
                                 text);
        }
    }
    if (*at_us <= now_us)
        return error_set(err, ERROR_INVALID, "'--expires %.60s' is past", text);
    return 0;
}

/* "10.0.0.0/8, ::1" as the JSON array that the database keeps. */
static int read_ranges(const char *text, struct buf *json, struct error *err)
{
    size_t count = 0;
    struct json_writer w = json_writer_to(json);
    json_begin_array(&w);
    for (size_t length; *text != '\0'; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        struct slice trimmed = text_trim(slice_of(text, length));
        scope_free char *range = xstrndup(trimmed.data, trimmed.length);
        scope_free char *address = xstrndup(range, strcspn(range, "/"));
        if (!address_in_range(address, range) || ++count > RANGES_MAX)
            return error_set(err, ERROR_INVALID,
                             "'--allowed-ips' takes up to %d addresses or ranges such as "
                             "'10.0.0.0/8', separated by commas, not '%.60s'",
                             RANGES_MAX, range);
        json_put_string(&w, range);
    }
    json_end_array(&w);
    return 0;
}

static int read_dialect(const char *text, enum api_key_dialect *dialect, struct error *err)
{
    static const char *const names[] = {
        [API_KEY_DIALECT_AUTO] = "auto",
        [API_KEY_DIALECT_CLASSIC] = "classic",
        [API_KEY_DIALECT_EXTENDED] = "extended",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *dialect = (enum api_key_dialect)i;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "'--dialect' is auto, classic or extended, not '%.60s'",
                     text);
}

static int read_key(const struct invocation *invocation, struct api_key *key, struct error *err)
{
    const char *memo = option_text(invocation, "memo");
    const char *expires = option_text(invocation, "expires");
    const char *ranges = option_text(invocation, "allowed-ips");
    const char *dialect = option_text(invocation, "dialect");
    scope_buf struct buf allowed = BUF_INIT;
    key->type = API_KEY_CLIENT;
    if (expires != NULL && read_expiry(expires, &key->expires_at_us, err) < 0)
        return -1;
    if (ranges != NULL && read_ranges(ranges, &allowed, err) < 0)
        return -1;
    if (dialect != NULL && read_dialect(dialect, &key->dialect, err) < 0)
        return -1;
    key->memo = xstrdup(memo == NULL ? "" : memo);
    key->allowed_ips = ranges == NULL ? NULL : buf_steal(&allowed);
    return 0;
}

static void print_new_key(const struct invocation *invocation, const struct api_key *key,
                          const char *user, const char *token)
{
    scope_buf struct buf json = BUF_INIT;
    if (!option_is_given(invocation, "json")) {
        say("%s", token);
        if (isatty(STDOUT_FILENO))
            complain("this key is not shown again; keep it in a file of mode 0600");
        return;
    }
    struct json_writer w = json_writer_to(&json);
    json_begin_object(&w);
    json_field_string(&w, "identifier", key->identifier);
    json_field_string(&w, "key", token);
    json_field_string(&w, "user", user);
    json_end_object(&w);
    print_text(&json);
    explicit_bzero(json.data, json.length);
}

static int run_create(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct user user;
    if (office_open(invocation, OFFICE_KEYS, &office, err) < 0 ||
        office_find_user(&office, option_text(invocation, "user"), &user, err) < 0)
        return -1;
    struct api_key key = {.user_id = user.id};
    char token[API_KEY_TOKEN_BYTES];
    int result = read_key(invocation, &key, err);
    struct db_session *session = result < 0 ? NULL : db_begin(office.db, err);
    result = -1;
    if (session != NULL)
        result = office_end(session, api_key_create(session, &office.keys, &key, token, err), err);
    if (result == 0)
        print_new_key(invocation, &key, user.username, token);
    explicit_bzero(token, sizeof(token));
    api_key_free(&key);
    user_free(&user);
    return result;
}

struct listing {
    struct table table;
    struct json_writer w;
    struct db_session *session;
};

static int list_key(const struct api_key *key, void *context, struct error *err)
{
    struct listing *listing = context;
    char used[40], expires[40];
    struct user user = {.id = 0};
    if (user_find(listing->session, key->user_id, &user, err) < 0)
        return -1;
    json_begin_object(&listing->w);
    json_field_string(&listing->w, "identifier", key->identifier);
    json_field_string(&listing->w, "user", user.username);
    json_field_string(&listing->w, "memo", key->memo);
    json_field_int(&listing->w, "last_used_at_us", key->last_used_at_us);
    json_field_int(&listing->w, "expires_at_us", key->expires_at_us);
    json_end_object(&listing->w);
    table_add(&listing->table,
              (const char *[]){key->identifier, user.username,
                               shown_time(key->last_used_at_us, used),
                               shown_time(key->expires_at_us, expires), key->memo});
    user_free(&user);
    return 0;
}

static int run_list(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    struct user user = {.id = 0};
    const char *name = option_text(invocation, "user");
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0 ||
        (name != NULL && office_find_user(&office, name, &user, err) < 0))
        return -1;
    int64_t user_id = user.id;
    user_free(&user);
    scope_buf struct buf json = BUF_INIT;
    struct listing listing = {.table = {.columns = 5}, .w = json_writer_to(&json)};
    listing.session = db_reader(office.db, err);
    if (listing.session == NULL)
        return -1;
    table_add(&listing.table,
              (const char *[]){"IDENTIFIER", "USER", "LAST USED", "EXPIRES", "MEMO"});
    json_begin_array(&listing.w);
    int result = api_key_each(listing.session, user_id, list_key, &listing, err);
    json_end_array(&listing.w);
    if (result == 0 && option_is_given(invocation, "json"))
        print_text(&json);
    else if (result == 0)
        table_print(&listing.table);
    table_free(&listing.table);
    return result;
}

static int run_revoke(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    if (office_open(invocation, OFFICE_DATABASE, &office, err) < 0)
        return -1;
    /* Whoever passes the whole key means the one that it begins with. */
    scope_free char *identifier = xstrndup(argument_at(invocation, 0), API_KEY_IDENTIFIER_LENGTH);
    struct db_session *session = db_begin(office.db, err);
    if (session == NULL)
        return -1;
    if (office_end(session, api_key_delete(session, identifier, err), err) < 0)
        return error_wrap(err, "revoking '%s'", identifier);
    say("key '%s' revoked", identifier);
    return 0;
}

static const struct command create = {
    .name = "create",
    .summary = "make a client API key and print it, once",
    .options =
        (const struct option[]){
            {"user", 'u', "NAME", "whose key; default: the only user"},
            {"memo", 'm', "TEXT", "what it is for"},
            {"expires", 0, "WHEN", "a duration ('30 d') or a date ('2030-01-31'); default: never"},
            {"allowed-ips", 0, "LIST", "addresses or ranges it may be used from; default: any"},
            {"dialect", 0, "NAME", "auto, classic or extended; default: as configured"},
            OPTION_CONFIG,
            OPTION_JSON,
            OPTION_END},
    .run = run_create,
};

static const struct command list = {
    .name = "list",
    .summary = "list keys, without their secrets",
    .options =
        (const struct option[]){
            {"user", 'u', "NAME", "only this user's"}, OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_list,
};

static const struct command revoke_key = {
    .name = "revoke",
    .arguments = "IDENTIFIER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "revoke a key, by the 16 characters it begins with",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_revoke,
};

static const struct command *const verbs[] = {&create, &list, &revoke_key, NULL};

const struct command key_command = {
    .name = "key",
    .summary = "make, list and revoke API keys",
    .verbs = verbs,
};
