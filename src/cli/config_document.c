/* SPDX-License-Identifier: Apache-2.0 */
/* One table, four views of it. */
#include "cli/config_document.h"

#include <string.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/config.h"

static void add_key_json(struct json_writer *w, const struct setting *setting)
{
    scope_buf struct buf type = BUF_INIT;
    scope_buf struct buf variable = BUF_INIT;
    settings_describe_type(setting, &type);
    settings_environment_name(&config_settings, setting, &variable);
    json_begin_object(w);
    json_field_string(w, "name", setting->name);
    json_field_string(w, "type", settings_type_name(setting->type));
    json_field_string(w, "takes", type.data);
    json_field_string(w, "default", setting->fallback);
    json_field_string(w, "unit", setting->unit);
    json_field_string(w, "environment", variable.data);
    json_field_string(w, "description", setting->description);
    json_end_object(w);
}

void config_add_json(struct buf *out)
{
    struct json_writer w = json_writer_to(out);
    json_begin_array(&w);
    for (size_t i = 0; i < config_settings.count; i++)
        add_key_json(&w, &config_settings.table[i]);
    json_end_array(&w);
}

static void add_unit(const struct setting *setting, struct buf *out)
{
    if (setting->unit != NULL && setting->type == SETTING_COUNT)
        buf_printf(out, " (%s)", setting->unit);
    else if (setting->unit != NULL)
        buf_printf(out, " (in %s)", setting->unit);
}

void config_add_manual(struct buf *out)
{
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        scope_buf struct buf type = BUF_INIT;
        settings_describe_type(setting, &type);
        buf_printf(out, ".It Sy %s\n", setting->name);
        mdoc_add_text(out, setting->description);
        buf_add_str(out, "\nTakes ");
        mdoc_add_text(out, type.data);
        add_unit(setting, out);
        buf_add_str(out, ".\n");
        if (*setting->fallback != '\0') {
            buf_add_str(out, "Default: ");
            mdoc_add_text(out, setting->fallback);
            buf_add_str(out, ".\n");
        }
    }
}

/* Where the section of a key's name ends, or 0. */
static size_t section_length(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot == NULL ? 0 : (size_t)(dot - name);
}

void config_add_markdown(struct buf *out)
{
    const char *section = NULL;
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        size_t length = section_length(setting->name);
        scope_buf struct buf type = BUF_INIT;
        settings_describe_type(setting, &type);
        if (section == NULL || section_length(section) != length ||
            strncmp(section, setting->name, length) != 0) {
            buf_printf(out, "%s## %.*s\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
                       section == NULL ? "" : "\n", length == 0 ? 7 : (int)length,
                       length == 0 ? "general" : setting->name);
            section = setting->name;
        }
        const char *tick = *setting->fallback == '\0' ? "" : "`";
        buf_printf(out, "| `%s` | %s", setting->name, type.data);
        add_unit(setting, out);
        buf_printf(out, " | %s%s%s | %s |\n", tick, setting->fallback, tick, setting->description);
    }
}

void config_add_plain(struct buf *out)
{
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        scope_buf struct buf type = BUF_INIT;
        settings_describe_type(setting, &type);
        buf_printf(out, "%s%s%s\n    %s\n    takes %s", setting->name,
                   *setting->fallback == '\0' ? "" : ": ", setting->fallback, setting->description,
                   type.data);
        add_unit(setting, out);
        buf_add_char(out, '\n');
    }
}
