/* SPDX-License-Identifier: Apache-2.0 */
/* `roost config`: what can be configured, what is configured, and whether it is right. */
#include <string.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/config_document.h"
#include "cli/console.h"

static int run_keys(const struct invocation *invocation, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    if (option_is_given(invocation, "json"))
        config_add_json(&text);
    else if (option_is_given(invocation, "man"))
        config_add_manual(&text);
    else if (option_is_given(invocation, "markdown"))
        config_add_markdown(&text);
    else
        config_add_plain(&text);
    print_text(&text);
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
