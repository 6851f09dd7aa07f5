/* SPDX-License-Identifier: Apache-2.0 */
/* Values of settings: from text to field and back, and what to say where the text is wrong. */
#include "cli/settings_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/text.h"

#define DATA_PREFIX "$data/"

static void add_duration(struct buf *out, uint64_t duration_ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (duration_ms >= units[i].ms && duration_ms % units[i].ms == 0) {
            buf_printf(out, "%" PRIu64 " %s", duration_ms / units[i].ms, units[i].name);
            return;
        }
    }
    if (duration_ms == 0)
        buf_add_str(out, "0");
    else
        buf_printf(out, "%" PRIu64 " ms", duration_ms);
}

static void add_exact_size(struct buf *out, uint64_t size_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    while (size_bytes != 0 && size_bytes % 1024 == 0 && i + 1 < sizeof(units) / sizeof(units[0])) {
        size_bytes /= 1024;
        i++;
    }
    if (size_bytes == 0)
        buf_add_str(out, "0");
    else
        buf_printf(out, "%" PRIu64 " %s", size_bytes, units[i]);
}

static void add_number(const struct setting *setting, uint64_t value, struct buf *out)
{
    if (setting->type == SETTING_DURATION)
        add_duration(out, value);
    else if (setting->type == SETTING_SIZE)
        add_exact_size(out, value);
    else
        buf_printf(out, "%" PRIu64, value);
}

const char *settings_type_name(enum setting_type type)
{
    static const char *const names[] = {
        [SETTING_TEXT] = "text",     [SETTING_PATH] = "path",
        [SETTING_SECRET] = "secret", [SETTING_DATABASE] = "database",
        [SETTING_SIZE] = "size",     [SETTING_DURATION] = "duration",
        [SETTING_COUNT] = "count",   [SETTING_BOOLEAN] = "boolean",
        [SETTING_CHOICE] = "choice", [SETTING_LIST] = "list",
    };
    return names[type];
}

static void describe_range(const struct setting *setting, struct buf *out)
{
    if (setting->max != 0) {
        buf_add_str(out, " from ");
        add_number(setting, setting->min, out);
        buf_add_str(out, " to ");
        add_number(setting, setting->max, out);
    } else if (setting->min != 0) {
        buf_add_str(out, " of at least ");
        add_number(setting, setting->min, out);
    }
}

static void describe_choices(const struct setting *setting, struct buf *out)
{
    for (const struct setting_choice *choice = setting->choices; choice->name != NULL; choice++) {
        if (choice != setting->choices)
            buf_add_str(out, choice[1].name == NULL ? " or " : ", ");
        buf_printf(out, "'%s'", choice->name);
    }
}

void settings_describe_type(const struct setting *setting, struct buf *out)
{
    switch (setting->type) {
    case SETTING_TEXT:
        buf_add_str(out, "a text");
        break;
    case SETTING_PATH:
        buf_add_str(out, "a path");
        break;
    case SETTING_SECRET:
        buf_add_str(out, "a secret");
        break;
    case SETTING_DATABASE:
        buf_add_str(out, "a database, such as 'sqlite:/var/lib/roost/panel.db'");
        break;
    case SETTING_SIZE:
        buf_add_str(out, "a size, such as '64 KiB' or '2 GiB',");
        describe_range(setting, out);
        break;
    case SETTING_DURATION:
        buf_add_str(out, "a duration, such as '250 ms', '30 s' or '6 h',");
        describe_range(setting, out);
        break;
    case SETTING_COUNT:
        buf_add_str(out, "a whole number");
        describe_range(setting, out);
        break;
    case SETTING_BOOLEAN:
        buf_add_str(out, "'true' or 'false'");
        break;
    case SETTING_CHOICE:
        describe_choices(setting, out);
        break;
    case SETTING_LIST:
        buf_add_str(out, "a list of texts");
        break;
    }
    if (out->length > 0 && out->data[out->length - 1] == ',')
        buf_truncate(out, out->length - 1);
}

static int wrong_value(const struct setting *setting, const char *text, struct error *err)
{
    scope_buf struct buf expected = BUF_INIT;
    settings_describe_type(setting, &expected);
    if (setting->type == SETTING_SECRET)
        return error_set(err, ERROR_INVALID, "'%s' is %s", setting->name, expected.data);
    return error_set(err, ERROR_INVALID, "'%s' is %s, not '%.80s'", setting->name, expected.data,
                     text);
}

static void set_text(const struct setting *setting, const char *text, void *target)
{
    char **field = setting_field(setting, target);
    free(*field);
    *field = xstrdup(text);
}

static int parse_number(const struct setting *setting, const char *text, void *target,
                        struct error *err)
{
    struct error ignored = ERROR_INIT;
    uint64_t value = 0;
    bool is_good;
    if (setting->type == SETTING_SIZE)
        is_good = text_to_size(text, &value, &ignored) == 0;
    else if (setting->type == SETTING_DURATION)
        is_good = text_to_duration(text, &value, &ignored) == 0;
    else
        is_good = text_to_u64(text, 0, UINT64_MAX, &value);
    if (!is_good || value < setting->min || (setting->max != 0 && value > setting->max))
        return wrong_value(setting, text, err);
    *(uint64_t *)setting_field(setting, target) = value;
    return 0;
}

static int parse_boolean(const struct setting *setting, const char *text, void *target,
                         struct error *err)
{
    bool is_true = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0;
    bool is_false =
        strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "off") == 0;
    if (!is_true && !is_false)
        return wrong_value(setting, text, err);
    *(bool *)setting_field(setting, target) = is_true;
    return 0;
}

static int parse_choice(const struct setting *setting, const char *text, void *target,
                        struct error *err)
{
    for (const struct setting_choice *choice = setting->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, text) == 0) {
            *(int *)setting_field(setting, target) = choice->value;
            return 0;
        }
    }
    return wrong_value(setting, text, err);
}

static void free_list(char **items)
{
    for (size_t i = 0; items != NULL && items[i] != NULL; i++)
        free(items[i]);
    free(items);
}

void setting_set_list(const struct setting *setting, const char *const *items, size_t count,
                      void *target)
{
    char ***field = setting_field(setting, target);
    free_list(*field);
    *field = xcalloc(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        (*field)[i] = xstrdup(items[i]);
}

static void parse_list(const struct setting *setting, const char *text, void *target)
{
    char ***field = setting_field(setting, target);
    free_list(*field);
    *field = xcalloc(strlen(text) + 2, sizeof(char *));
    for (size_t count = 0; *text != '\0';) {
        size_t length = strcspn(text, ",");
        struct slice item = text_trim(slice_of(text, length));
        if (item.length > 0)
            (*field)[count++] = xstrndup(item.data, item.length);
        text += length + (text[length] == ',');
    }
}

int setting_parse(const struct setting *setting, const char *text, void *target, struct error *err)
{
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_SECRET:
        set_text(setting, text, target);
        return 0;
    case SETTING_DATABASE:
        if (!text_starts_with(text, "sqlite:") || text[strlen("sqlite:")] == '\0')
            return wrong_value(setting, text, err);
        set_text(setting, text, target);
        return 0;
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_COUNT:
        return parse_number(setting, text, target, err);
    case SETTING_BOOLEAN:
        return parse_boolean(setting, text, target, err);
    case SETTING_CHOICE:
        return parse_choice(setting, text, target, err);
    case SETTING_LIST:
        parse_list(setting, text, target);
        return 0;
    }
    return wrong_value(setting, text, err);
}

static void place(char **path, const char *prefix, const char *directory, const char *data)
{
    const char *rest = *path + strlen(prefix);
    char *placed;
    if (*rest == '/' || *rest == '\0')
        return;
    if (text_starts_with(rest, DATA_PREFIX))
        placed = xasprintf("%s%s/%s", prefix, data, rest + strlen(DATA_PREFIX));
    else if (strcmp(rest, ".") == 0)
        placed = xasprintf("%s%s", prefix, directory);
    else
        placed = xasprintf("%s%s/%s", prefix, directory, rest);
    free(*path);
    *path = placed;
}

void settings_place_paths(const struct settings *settings, const char *directory, void *target)
{
    const char *data = directory;
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->table[i];
        char **path = setting_field(setting, target);
        if (setting->type == SETTING_PATH)
            place(path, "", directory, data);
        else if (setting->type == SETTING_DATABASE)
            place(path, "sqlite:", directory, data);
        if (i == 0 && strcmp(setting->name, "data") == 0)
            data = *path;
    }
}

void settings_format(const struct setting *setting, const void *target, struct buf *out)
{
    const void *field = (const char *)target + setting->offset;
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_DATABASE:
        buf_add_str(out, *(char *const *)field);
        break;
    case SETTING_SECRET:
        buf_add_str(out, **(char *const *)field == '\0' ? "" : "(set, not shown)");
        break;
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_COUNT:
        add_number(setting, *(const uint64_t *)field, out);
        break;
    case SETTING_BOOLEAN:
        buf_add_str(out, *(const bool *)field ? "true" : "false");
        break;
    case SETTING_CHOICE:
        for (const struct setting_choice *choice = setting->choices; choice->name != NULL;
             choice++) {
            if (choice->value == *(const int *)field) {
                buf_add_str(out, choice->name);
                break;
            }
        }
        break;
    case SETTING_LIST:
        for (char *const *item = *(char **const *)field; item != NULL && *item != NULL; item++)
            buf_printf(out, "%s%s", item == *(char **const *)field ? "" : ", ", *item);
        break;
    }
}

void settings_free(const struct settings *settings, void *target)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->table[i];
        void *field = setting_field(setting, target);
        if (setting->type == SETTING_LIST) {
            free_list(*(char ***)field);
        } else if (setting->type <= SETTING_DATABASE && *(char **)field != NULL) {
            explicit_bzero(*(char **)field, strlen(*(char **)field));
            free(*(char **)field);
        }
    }
    memset(target, 0, settings->target_size);
}
