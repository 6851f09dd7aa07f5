/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/config.h"
#include "cli/config_document.h"

static void read_text(const char *text, struct config *config)
{
    struct error err = ERROR_INIT;
    *config = (struct config){.file = NULL};
    if (settings_read_text(&config_settings, text, "/etc/roost/roost.yml", config, &err) < 0)
        fail_msg("%s", err.text);
}

static void every_default_is_a_value_that_its_key_takes(void **state)
{
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        struct error err = ERROR_INIT;
        struct config config = {.file = NULL};
        scope_buf struct buf text = BUF_INIT;
        size_t depth = 0;
        /* "panel.throttle.limit: 2" as three nested lines */
        scope_free char *name = xstrdup(setting->name);
        char *rest = name;
        for (char *part; (part = strsep(&rest, ".")) != NULL; depth++)
            buf_printf(&text, "%s%*s%s:", depth == 0 ? "" : "\n", (int)(2 * depth), "", part);
        buf_printf(&text, " '%s'\n", setting->fallback);
        if (*setting->fallback != '\0' &&
            settings_read_text(&config_settings, text.data, "roost.yml", &config, &err) < 0)
            fail_msg("%s", err.text);
        settings_free(&config_settings, &config);
    }
}

static void keys_are_unique_described_and_have_a_unit_where_they_count(void **state)
{
    for (size_t i = 0; i < config_settings.count; i++) {
        const struct setting *setting = &config_settings.table[i];
        assert_non_null(setting->description);
        assert_int_equal(setting->description[strlen(setting->description) - 1], '.');
        if (setting->type == SETTING_COUNT)
            assert_non_null(setting->unit);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(setting->name, config_settings.table[k].name);
            assert_true(setting->offset != config_settings.table[k].offset);
        }
    }
}

static void must_contain(const char *file, const struct buf *text)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf page = BUF_INIT;
    scope_free char *path = xasprintf("%s/%s", SOURCE_DIRECTORY, file);
    if (file_read(AT_FDCWD, path, 1 << 20, &page, &err) < 0)
        fail_msg("%s", err.text);
    if (strstr(page.data, text->data) == NULL)
        fail_msg("%s does not hold the table of keys as it is: see 'roost config keys --man' and "
                 "'--markdown'",
                 file);
}

static void documents_hold_the_table_of_keys(void **state)
{
    scope_buf struct buf manual = BUF_INIT;
    scope_buf struct buf markdown = BUF_INIT;
    config_add_manual(&manual);
    config_add_markdown(&markdown);
    must_contain("man/roost.yml.5", &manual);
    must_contain("docs/configuration.md", &markdown);
}

static void the_panels_address_follows_from_the_listener(void **state)
{
    static const struct {
        const char *text;
        const char *url;
    } rows[] = {
        {"", "http://127.0.0.1:8080"},
        {"listen: {address: 0.0.0.0, port: 90}", "http://127.0.0.1:90"},
        {"listen: {address: '::'}", "http://[::1]:8080"},
        {"listen: {address: 10.1.2.3, tls_certificate_file: a, tls_key_file: b}",
         "https://10.1.2.3:8080"},
        {"panel: {url: 'https://panel.example.com/'}", "https://panel.example.com"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config config;
        scope_buf struct buf url = BUF_INIT;
        read_text(rows[i].text, &config);
        config_add_panel_url(&config, &url);
        assert_string_equal(url.data, rows[i].url);
        config_free(&config);
    }
}

static void addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *url;
        const char *host; /* NULL: refused */
        unsigned port;
    } rows[] = {
        {"http://a.example", "a.example", 80},
        {"https://a.example/", "a.example", 443},
        {"http://[::1]:8080", "[::1]", 8080},
        {"http://10.0.0.1:1", "10.0.0.1", 1},
        {"ftp://a", NULL, 0},
        {"http://", NULL, 0},
        {"http://a:0", NULL, 0},
        {"http://a:70000", NULL, 0},
        {"http://user@a", NULL, 0},
        {"http://a/path", NULL, 0},
        {"http://a?x", NULL, 0},
        {"http://[::1", NULL, 0},
        {"a:80", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        struct url_parts parts;
        int result = url_split(rows[i].url, &parts, &err);
        assert_int_equal(result, rows[i].host == NULL ? -1 : 0);
        if (result < 0) {
            assert_int_equal(err.code, ERROR_INVALID);
            continue;
        }
        assert_string_equal(parts.host, rows[i].host);
        assert_int_equal(parts.port, rows[i].port);
    }
}

static void a_token_brings_its_id_along(void **state)
{
    struct error err = ERROR_INIT;
    struct config config;
    read_text("node: {token: abcdefgh12345678.secret}", &config);
    assert_int_equal(config_read_token(&config, &err), 0);
    assert_string_equal(config.node.token_id, "abcdefgh12345678");
    assert_string_equal(config.node.token, "secret");
    config_free(&config);

    read_text("node: {token: abcdefgh12345678.secret, token_id: other}", &config);
    assert_int_equal(config_read_token(&config, &err), -1);
    assert_null(strstr(err.text, "secret"));
    config_free(&config);

    error_clear(&err);
    read_text("node: {token: secret}", &config);
    assert_int_equal(config_read_token(&config, &err), -1);
    assert_null(strstr(err.text, "secret'"));
    config_free(&config);
}

static void a_bad_app_key_is_refused_without_being_shown(void **state)
{
    struct error err = ERROR_INIT;
    struct config config;
    struct panel_config panel;
    read_text("panel: {app_key: 'base64:c2hvcnQ='}", &config);
    assert_int_equal(config_for_panel(&config, "", &panel, &err), -1);
    assert_null(strstr(err.text, "c2hvcnQ"));
    config_free(&config);
}

static void both_halves_of_tls_are_needed(void **state)
{
    struct error err = ERROR_INIT;
    struct config config;
    struct http_server_config http;
    scope_buf struct buf certificate = BUF_INIT;
    scope_buf struct buf key = BUF_INIT;
    read_text("listen: {tls_certificate_file: a.pem}", &config);
    assert_int_equal(config_for_listener(&config, &http, &certificate, &key, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
    config_free(&config);
}

static void names_of_compression_are_understood(void **state)
{
    static const struct {
        const char *name;
        enum archive_compression meant;
    } rows[] = {{"none", ARCHIVE_STORE},           {"store", ARCHIVE_STORE},
                {"balanced", ARCHIVE_BALANCED},    {"fast", ARCHIVE_FAST},
                {"best_speed", ARCHIVE_FAST},      {"best", ARCHIVE_BEST},
                {"best_compression", ARCHIVE_BEST}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config config;
        struct node_config node;
        scope_free char *text = xasprintf("node: {compression: %s}", rows[i].name);
        read_text(text, &config);
        config_for_node(&config, "http://p", &node);
        assert_int_equal(node.compression, rows[i].meant);
        config_free(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_value_that_its_key_takes),
        cmocka_unit_test(keys_are_unique_described_and_have_a_unit_where_they_count),
        cmocka_unit_test(documents_hold_the_table_of_keys),
        cmocka_unit_test(the_panels_address_follows_from_the_listener),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(a_token_brings_its_id_along),
        cmocka_unit_test(a_bad_app_key_is_refused_without_being_shown),
        cmocka_unit_test(both_halves_of_tls_are_needed),
        cmocka_unit_test(names_of_compression_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
