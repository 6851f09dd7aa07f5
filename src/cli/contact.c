/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the panel, the key, and what people mean by the names of servers and backups. */
#include "cli/contact.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/config.h"

enum {
    KEY_MAX_BYTES = 4096,
    PER_PAGE = 50,
    PAGES_MAX = 10000,
    PREFIX_MIN = 4,
};

struct client_config {
    char *url, *key, *key_file, *ca_file;
};

#define AT(field) .offset = offsetof(struct client_config, field)

static const struct setting client_keys[] = {
    {"url", SETTING_TEXT, "", .description = "The panel's address.", AT(url)},
    {"key", SETTING_SECRET, "", .description = "The API key.", AT(key)},
    {"key_file", SETTING_PATH, "", .description = "File that holds the API key.", AT(key_file)},
    {"ca_file", SETTING_PATH, "", .description = "Authorities to trust besides the system's.",
     AT(ca_file)},
};

static const struct settings client_settings = {
    .table = client_keys,
    .count = sizeof(client_keys) / sizeof(client_keys[0]),
    .target_size = sizeof(struct client_config),
};

/* client.yml, or defaults where there is none. */
static int read_client_config(struct client_config *config, struct error *err)
{
    const char *home = getenv("HOME");
    const char *base = getenv("XDG_CONFIG_HOME");
    scope_free char *file = NULL;
    if (base != NULL && *base == '/')
        file = xasprintf("%s/roost/client.yml", base);
    else if (home != NULL)
        file = xasprintf("%s/.config/roost/client.yml", home);
    bool is_there = file != NULL && access(file, F_OK) == 0;
    return settings_read(&client_settings, is_there ? file : NULL, config, err);
}

static int read_key_file(const char *path, struct buf *key, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    if (file_read(AT_FDCWD, path, KEY_MAX_BYTES, &text, err) < 0)
        return error_wrap(err, "reading the API key");
    struct slice trimmed = text_trim(buf_slice(&text));
    buf_add(key, trimmed.data, trimmed.length);
    explicit_bzero(text.data, text.length);
    return 0;
}

static int find_key(const struct invocation *invocation, const struct client_config *client,
                    struct buf *key, struct error *err)
{
    const char *option = option_text(invocation, "key-file");
    const char *environment = getenv("ROOST_API_KEY");
    int result = 0;
    if (option != NULL)
        result = read_key_file(option, key, err);
    else if (environment != NULL && *environment != '\0')
        buf_add_str(key, environment);
    else if (*client->key != '\0')
        buf_add_str(key, client->key);
    else if (*client->key_file != '\0')
        result = read_key_file(client->key_file, key, err);
    else
        return error_set(err, ERROR_INVALID,
                         "no API key: give '--key-file FILE' or set ROOST_API_KEY; 'roost key "
                         "create' makes one");
    for (size_t i = 0; result == 0 && i < key->length; i++) {
        if (key->data[i] <= ' ' || key->data[i] > '~')
            return error_set(err, ERROR_INVALID, "the API key holds a character that no key has");
    }
    return result;
}

/* The panel's address and authorities as roost.yml says; nothing where there is none that we may read. */
static int look_into_config(const struct invocation *invocation, struct buf *url, char **ca_file,
                            struct error *err)
{
    scope_config struct config config = {.file = NULL};
    const char *given = option_text(invocation, "config");
    if (config_load(given, &config, err) < 0) {
        bool is_absent = err->code == ERROR_NOT_FOUND || err->code == ERROR_DENIED;
        if (given != NULL || (url->length == 0 && !is_absent))
            return -1;
        error_clear(err);
        return 0;
    }
    if (url->length == 0)
        config_add_panel_url(&config, url);
    if (*ca_file == NULL && *config.ca_file != '\0')
        *ca_file = xstrdup(config.ca_file);
    return 0;
}

static int find_address(const struct invocation *invocation, const struct client_config *client,
                        struct contact *contact, struct error *err)
{
    scope_buf struct buf url = BUF_INIT;
    const char *option = option_text(invocation, "url");
    const char *environment = getenv("ROOST_URL");
    const char *ca_file = option_text(invocation, "ca-file");
    if (option != NULL)
        buf_add_str(&url, option);
    else if (environment != NULL && *environment != '\0')
        buf_add_str(&url, environment);
    else
        buf_add_str(&url, client->url);
    if (ca_file != NULL || *client->ca_file != '\0')
        contact->ca_file = xstrdup(ca_file != NULL ? ca_file : client->ca_file);
    if (look_into_config(invocation, &url, &contact->ca_file, err) < 0)
        return -1;
    struct url_parts parts;
    if (url.length == 0)
        return error_set(err, ERROR_INVALID,
                         "no panel: give '--url URL', set ROOST_URL, or run where roost.yml is");
    if (url_split(url.data, &parts, err) < 0)
        return -1;
    contact->url = buf_steal(&url);
    return 0;
}

int contact_open(const struct invocation *invocation, struct contact *contact, struct error *err)
{
    *contact = (struct contact){.api = NULL};
    struct client_config client = {.url = NULL};
    scope_buf struct buf key = BUF_INIT;
    int result = read_client_config(&client, err);
    if (result == 0)
        result = find_key(invocation, &client, &key, err);
    if (result == 0)
        result = find_address(invocation, &client, contact, err);
    if (result == 0)
        contact->api = client_api_create(contact->url, key.data, contact->ca_file);
    explicit_bzero(key.data, key.length);
    settings_free(&client_settings, &client);
    return result;
}

void contact_close(struct contact *contact)
{
    client_api_free(contact->api);
    free(contact->url);
    free(contact->ca_file);
}

/* Whether `text` is `min` to `max` characters of a uuid's beginning, in lower case. */
static bool is_uuid_part(const char *text, size_t min, size_t max)
{
    size_t length = strlen(text);
    return length >= min && length <= max && strspn(text, "0123456789abcdef-") == length;
}

static int64_t total_pages(const json_t *answer)
{
    json_t *meta = json_object_get(answer, "meta");
    int64_t pages = json_get_int(json_object_get(meta, "pagination"), "total_pages", 1);
    return pages < PAGES_MAX ? pages : PAGES_MAX;
}

/* Counts the servers of that name on one page; the last one's uuid goes out. */
static void match_servers(const json_t *answer, const char *name, size_t *count,
                          char uuid[UUID_TEXT_BYTES])
{
    json_t *data = json_object_get(answer, "data");
    for (size_t i = 0; i < json_array_size(data); i++) {
        json_t *attributes = json_object_get(json_array_get(data, i), "attributes");
        if (strcmp(json_get_string(attributes, "name", ""), name) == 0 &&
            uuid_canonicalize(json_get_string(attributes, "uuid", ""), uuid))
            ++*count;
    }
}

int contact_find_server(struct contact *contact, const char *name, char uuid[UUID_TEXT_BYTES],
                        struct error *err)
{
    if (uuid_canonicalize(name, uuid))
        return 0;
    if (is_uuid_part(name, UUID_SHORT_LENGTH, UUID_SHORT_LENGTH)) {
        memcpy(uuid, name, UUID_SHORT_LENGTH + 1);
        return 0;
    }
    size_t count = 0;
    int64_t pages = 1;
    for (int64_t page = 1; page <= pages; page++) {
        scope_json json_t *answer = client_api_servers(contact->api, page, err);
        if (answer == NULL)
            return -1;
        pages = total_pages(answer);
        match_servers(answer, name, &count, uuid);
    }
    if (count == 1)
        return 0;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no server '%.100s' that the key may see",
                         name);
    return error_set(err, ERROR_INVALID, "%zu servers are called '%.100s': say its id", count,
                     name);
}

int contact_each_backup(struct contact *contact, const char *server,
                        int (*visit)(json_t *attributes, void *context, struct error *err),
                        void *context, struct error *err)
{
    int64_t pages = 1;
    for (int64_t page = 1; page <= pages; page++) {
        scope_json json_t *answer =
            client_api_backup_list(contact->api, server, page, PER_PAGE, err);
        if (answer == NULL)
            return -1;
        pages = total_pages(answer);
        json_t *data = json_object_get(answer, "data");
        for (size_t i = 0; i < json_array_size(data); i++) {
            json_t *attributes = json_object_get(json_array_get(data, i), "attributes");
            if (visit(attributes, context, err) < 0)
                return -1;
        }
    }
    return 0;
}

struct search {
    const char *beginning; /* NULL: the latest good one */
    size_t count;
    char uuid[UUID_TEXT_BYTES];
};

static int match_backup(json_t *attributes, void *context, struct error *err)
{
    struct search *search = context;
    char uuid[UUID_TEXT_BYTES];
    if (!uuid_canonicalize(json_get_string(attributes, "uuid", ""), uuid))
        return 0;
    bool is_meant = search->beginning == NULL ? json_get_bool(attributes, "is_successful", false)
                                              : text_starts_with(uuid, search->beginning);
    if (is_meant) {
        search->count++;
        memcpy(search->uuid, uuid, sizeof(uuid));
    }
    return 0;
}

int contact_find_backup(struct contact *contact, const char *server, const char *name,
                        char uuid[UUID_TEXT_BYTES], struct error *err)
{
    if (uuid_canonicalize(name, uuid))
        return 0;
    bool wants_latest = strcmp(name, "latest") == 0;
    if (!wants_latest && !is_uuid_part(name, PREFIX_MIN, UUID_TEXT_BYTES))
        return error_set(err, ERROR_INVALID,
                         "'%.60s' is no backup: say its uuid, the beginning of it, or 'latest'",
                         name);
    struct search search = {.beginning = wants_latest ? NULL : name};
    if (contact_each_backup(contact, server, match_backup, &search, err) < 0)
        return -1;
    if (search.count == 0)
        return error_set(err, ERROR_NOT_FOUND,
                         wants_latest ? "the server has no completed backup"
                                      : "the server has no backup '%.60s'",
                         name);
    if (search.count > 1 && !wants_latest)
        return error_set(err, ERROR_INVALID, "%zu backups begin with '%.60s': say more of it",
                         search.count, name);
    memcpy(uuid, search.uuid, UUID_TEXT_BYTES);
    return 0;
}
