/* SPDX-License-Identifier: Apache-2.0 */
/* `roost config`: what can be configured, what is configured, and whether it is right. */
#include <string.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/console.h"

static void write_key_json(struct json_writer *w, const struct setting *setting)
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

static void print_keys_json(void)
{
    scope_buf struct buf text = BUF_INIT;
    struct json_writer w = json_writer_to(&text);
    json_begin_array(&w);
    for (size_t i = 0; i < config_settings.count; i++)
        write_key_json(&w, &config_settings.table[i]);
    json_end_array(&w);
    print_text(&text);
}

/* Text in mdoc: a backslash, and a dot or quote at the line's beginning, mean something there. */
static void add_mdoc_text(struct buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\')
            buf_add_str(out, "\\e");
        else if (*c == '\'')
            buf_add_str(out, "\\(aq");
        else if (strncmp(c, "…", strlen("…")) == 0) {
            buf_add_str(out, "...");
            c += strlen("…") - 1;
        } else if (*c == ' ' && c > text && c[-1] == '.')
            buf_add_char(out, '\n'); /* a new sentence begins a new line */
        else
            buf_add_char(out, *c);
    }
}

static void print_key_mdoc(const struct setting *setting)
{
    scope_buf struct buf out = BUF_INIT;
    scope_buf struct buf type = BUF_INIT;
    settings_describe_type(setting, &type);
    buf_printf(&out, ".It Sy %s\n", setting->name);
    add_mdoc_text(&out, setting->description);
    buf_add_str(&out, "\nTakes ");
    add_mdoc_text(&out, type.data);
    if (setting->unit != NULL && setting->type == SETTING_COUNT)
        buf_printf(&out, " (%s)", setting->unit);
    else if (setting->unit != NULL)
        buf_printf(&out, " (in %s)", setting->unit);
    buf_add_char(&out, '.');
    if (*setting->fallback != '\0') {
        buf_add_str(&out, "\nDefault: ");
        add_mdoc_text(&out, setting->fallback);
        buf_add_char(&out, '.');
    }
    print_text(&out);
}

static void print_key_markdown(const struct setting *setting)
{
    scope_buf struct buf type = BUF_INIT;
    settings_describe_type(setting, &type);
    printf("| `%s` | %s%s%s | %s%s%s | %s |\n", setting->name, type.data,
           setting->unit == NULL ? "" : ": ", setting->unit == NULL ? "" : setting->unit,
           *setting->fallback == '\0' ? "" : "`", setting->fallback,
           *setting->fallback == '\0' ? "" : "`", setting->description);
}

static int run_keys(const struct invocation *invocation, struct error *err)
{
    if (option_is_given(invocation, "json")) {
        print_keys_json();
        return EXIT_DONE;
    }
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        scope_buf struct buf type = BUF_INIT;
        if (option_is_given(invocation, "man")) {
            print_key_mdoc(setting);
        } else if (option_is_given(invocation, "markdown")) {
            print_key_markdown(setting);
        } else {
            settings_describe_type(setting, &type);
            printf("%s%s%s\n    %s\n    takes %s%s%s%s\n", setting->name,
                   *setting->fallback == '\0' ? "" : ": ", setting->fallback, setting->description,
                   type.data, setting->unit == NULL ? "" : " (",
                   setting->unit == NULL ? "" : setting->unit, setting->unit == NULL ? "" : ")");
        }
    }
    return EXIT_DONE;
}

static int run_show(const struct invocation *invocation, struct error *err)
{
    scope_config struct config config = {.file = NULL};
    if (config_load(option_text(invocation, "config"), &config, err) < 0)
        return -1;
    scope_buf struct buf json = BUF_INIT;
    struct json_writer w = json_writer_to(&json);
    json_begin_object(&w);
    json_field_string(&w, "file", config.file);
    if (!option_is_given(invocation, "json"))
        say("# %s", config.file);
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        scope_buf struct buf value = BUF_INIT;
        settings_format(setting, &config, &value);
        json_field_string(&w, setting->name, value.data);
        if (!option_is_given(invocation, "json"))
            say("%s: %s", setting->name, value.data);
    }
    json_end_object(&w);
    if (option_is_given(invocation, "json"))
        print_text(&json);
    return EXIT_DONE;
}

static int run_check(const struct invocation *invocation, struct error *err)
{
    scope_config struct config config = {.file = NULL};
    struct http_server_config http;
    scope_buf struct buf certificate = BUF_INIT;
    scope_buf struct buf key = BUF_INIT;
    if (config_load(option_text(invocation, "config"), &config, err) < 0)
        return -1;
    if (config_for_listener(&config, &http, &certificate, &key, err) < 0)
        return error_wrap(err, "%s", config.file);
    struct url_parts parts;
    if (*config.panel.url != '\0' && url_split(config.panel.url, &parts, err) < 0)
        return error_wrap(err, "%s: 'panel.url'", config.file);
    if (*config.node.panel_url != '\0' && url_split(config.node.panel_url, &parts, err) < 0)
        return error_wrap(err, "%s: 'node.panel_url'", config.file);
    say("%s: every key and value is right", config.file);
    return EXIT_DONE;
}

static const struct command keys = {
    .name = "keys",
    .summary = "list every key with its type, default and meaning",
    .options = (const struct option[]){{"man", 0, NULL, "as the key section of roost.yml(5)"},
                                       {"markdown", 0, NULL, "as rows of a table"},
                                       OPTION_JSON,
                                       OPTION_END},
    .run = run_keys,
};

static const struct command show = {
    .name = "show",
    .summary = "print the configuration in force, without secrets",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_show,
};

static const struct command check = {
    .name = "check",
    .summary = "say whether every key and value is right",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = run_check,
};

static const struct command *const verbs[] = {&keys, &show, &check, NULL};

const struct command config_command = {
    .name = "config",
    .summary = "list keys, show or check the configuration",
    .verbs = verbs,
};
