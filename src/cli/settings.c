/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading settings: walks the YAML document, finds each key's row in the table, and says where a key or
 * value is wrong.  A later layer (file over defaults, environment over file) replaces the earlier one's value.
 */
#include "cli/settings.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/yaml.h"
#include "cli/nearest.h"
#include "cli/settings_internal.h"

enum {
    NESTING_MAX = 8,
    LIST_MAX = 256,
};

struct reading {
    const struct settings *settings;
    struct yaml *yaml;
    void *target;
};

static const struct setting *find(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->table[i].name, name) == 0)
            return &settings->table[i];
    }
    return NULL;
}

/* Whether keys lie below `name`. */
static bool is_section(const struct settings *settings, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < settings->count; i++) {
        if (strncmp(settings->table[i].name, name, length) == 0 &&
            settings->table[i].name[length] == '.')
            return true;
    }
    return false;
}

static int unknown_key(const struct reading *reading, const char *name, int line, struct error *err)
{
    struct nearest nearest = {.wanted = name};
    for (size_t i = 0; i < reading->settings->count; i++)
        nearest_consider(&nearest, reading->settings->table[i].name);
    const char *best = nearest_result(&nearest);
    if (best != NULL)
        return error_set(err, ERROR_INVALID, "%s:%d: unknown key '%.60s': did you mean '%s'?",
                         yaml_name(reading->yaml), line, name, best);
    return error_set(err, ERROR_INVALID,
                     "%s:%d: unknown key '%.60s': 'roost config keys' lists the known ones",
                     yaml_name(reading->yaml), line, name);
}

static int read_sequence(const struct reading *reading, const struct setting *setting,
                         struct yaml_node *node, struct error *err)
{
    const char *items[LIST_MAX];
    size_t count = 0;
    const char *key;
    int line;
    struct yaml_node *item;
    while ((item = yaml_child(reading->yaml, node, count, &key, &line)) != NULL) {
        const char *text = yaml_scalar(reading->yaml, item);
        if (text == NULL || count == LIST_MAX)
            return error_set(err, ERROR_INVALID, "%s:%d: '%s' is a list of at most %d texts",
                             yaml_name(reading->yaml), yaml_line(item), setting->name, LIST_MAX);
        items[count++] = text;
    }
    setting_set_list(setting, items, count, reading->target);
    return 0;
}

static int read_value(const struct reading *reading, const struct setting *setting,
                      struct yaml_node *node, int line, struct error *err)
{
    if (setting->type == SETTING_LIST && yaml_kind_of(node) == YAML_SEQUENCE)
        return read_sequence(reading, setting, node, err);
    const char *text = yaml_scalar(reading->yaml, node);
    if (text == NULL) {
        scope_buf struct buf expected = BUF_INIT;
        settings_describe_type(setting, &expected);
        return error_set(err, ERROR_INVALID, "%s:%d: '%s' is %s, not a %s",
                         yaml_name(reading->yaml), line, setting->name, expected.data,
                         yaml_kind_of(node) == YAML_MAPPING ? "section" : "list");
    }
    if (setting_parse(setting, text, reading->target, err) < 0)
        return error_wrap(err, "%s:%d", yaml_name(reading->yaml), line);
    return 0;
}

static int read_section(const struct reading *reading, struct yaml_node *section,
                        const char *prefix, int depth, struct error *err);

static int read_key(const struct reading *reading, struct yaml_node *node, const char *name,
                    int line, int depth, struct error *err)
{
    const struct setting *setting = find(reading->settings, name);
    if (setting != NULL)
        return read_value(reading, setting, node, line, err);
    if (!is_section(reading->settings, name))
        return unknown_key(reading, name, line, err);
    const char *text = yaml_scalar(reading->yaml, node);
    if (text != NULL && *text == '\0')
        return 0; /* "listen:" with nothing below */
    if (yaml_kind_of(node) != YAML_MAPPING)
        return error_set(err, ERROR_INVALID,
                         "%s:%d: '%s' is a section: write its keys indented below it",
                         yaml_name(reading->yaml), line, name);
    return read_section(reading, node, name, depth + 1, err);
}

static int read_section(const struct reading *reading, struct yaml_node *section,
                        const char *prefix, int depth, struct error *err)
{
    const char *key;
    int line;
    struct yaml_node *node;
    if (depth > NESTING_MAX)
        return error_set(err, ERROR_LIMIT, "%s: sections nest too deep", yaml_name(reading->yaml));
    for (size_t i = 0; (node = yaml_child(reading->yaml, section, i, &key, &line)) != NULL; i++) {
        scope_free char *name = *prefix == '\0' ? xstrdup(key) : xasprintf("%s.%s", prefix, key);
        if (read_key(reading, node, name, line, depth, err) < 0)
            return -1;
    }
    return 0;
}

static int read_document(const struct settings *settings, struct yaml *yaml, void *target,
                         struct error *err)
{
    struct yaml_node *root = yaml_root(yaml);
    if (root == NULL)
        return 0;
    if (yaml_kind_of(root) != YAML_MAPPING)
        return error_set(err, ERROR_INVALID, "%s:1: expected 'key: value' lines", yaml_name(yaml));
    struct reading reading = {.settings = settings, .yaml = yaml, .target = target};
    return read_section(&reading, root, "", 0, err);
}

static int read_defaults(const struct settings *settings, void *target, struct error *err)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->table[i];
        if (setting_parse(setting, setting->fallback, target, err) < 0)
            return error_wrap(err, "the default of '%s'", setting->name);
    }
    return 0;
}

void settings_environment_name(const struct settings *settings, const struct setting *setting,
                               struct buf *out)
{
    buf_add_str(out, settings->environment_prefix);
    for (const char *c = setting->name; *c != '\0'; c++)
        buf_add_char(out, *c == '.' ? '_' : (char)toupper((unsigned char)*c));
}

static int read_environment(const struct settings *settings, void *target, struct error *err)
{
    for (size_t i = 0; settings->environment_prefix != NULL && i < settings->count; i++) {
        const struct setting *setting = &settings->table[i];
        scope_buf struct buf name = BUF_INIT;
        settings_environment_name(settings, setting, &name);
        const char *text = getenv(name.data);
        if (text != NULL && setting_parse(setting, text, target, err) < 0)
            return error_wrap(err, "environment variable %s", name.data);
    }
    return 0;
}

/* The directory that holds `file`, absolute. */
static char *directory_of(const char *file)
{
    char here[PATH_MAX];
    if (getcwd(here, sizeof(here)) == NULL)
        memcpy(here, "/", 2);
    const char *slash = file == NULL ? NULL : strrchr(file, '/');
    if (slash == NULL)
        return xstrdup(here);
    size_t length = slash == file ? 1 : (size_t)(slash - file);
    scope_free char *directory = xstrndup(file, length);
    char *real = realpath(directory, NULL);
    if (real != NULL)
        return real;
    return *directory == '/' ? scope_take(directory) : xasprintf("%s/%s", here, directory);
}

static int read_all(const struct settings *settings, struct yaml *yaml, const char *file,
                    void *target, struct error *err)
{
    if (read_defaults(settings, target, err) < 0)
        return -1;
    if (yaml != NULL && read_document(settings, yaml, target, err) < 0)
        return -1;
    if (read_environment(settings, target, err) < 0)
        return -1;
    scope_free char *directory = directory_of(file);
    settings_place_paths(settings, directory, target);
    return 0;
}

int settings_read(const struct settings *settings, const char *file, void *target,
                  struct error *err)
{
    scope_yaml struct yaml *yaml = NULL;
    if (file != NULL && (yaml = yaml_read_file(file, err)) == NULL)
        return -1;
    return read_all(settings, yaml, file, target, err);
}

int settings_read_text(const struct settings *settings, const char *text, const char *file,
                       void *target, struct error *err)
{
    scope_yaml struct yaml *yaml = yaml_read_text(text, file, err);
    if (yaml == NULL)
        return -1;
    return read_all(settings, yaml, file, target, err);
}
