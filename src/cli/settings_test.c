/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "cli/nearest.h"
#include "cli/settings.h"

struct target {
    char *data;
    char *text;
    char *path;
    char *secret;
    char *database;
    uint64_t size_bytes;
    uint64_t duration_ms;
    uint64_t count;
    bool is_set;
    int choice;
    char **list;
};

#define AT(field) .offset = offsetof(struct target, field)

static const struct setting_choice choices[] = {{"low", 1}, {"high", 2}, {"up", 2}, {NULL, 0}};

static const struct setting table[] = {
    {"data", SETTING_PATH, "here", AT(data), .description = "d"},
    {"a.text", SETTING_TEXT, "", AT(text), .description = "d"},
    {"a.path", SETTING_PATH, "$data/p", AT(path), .description = "d"},
    {"a.secret", SETTING_SECRET, "", AT(secret), .description = "d"},
    {"a.database", SETTING_DATABASE, "sqlite:$data/x.db", AT(database), .description = "d"},
    {"b.size", SETTING_SIZE, "1 MiB", AT(size_bytes), .description = "d"},
    {"b.duration", SETTING_DURATION, "90 s", AT(duration_ms), .min = 1000, .max = 3600000,
     .description = "d"},
    {"b.deep.count", SETTING_COUNT, "3", AT(count), .min = 1, .max = 10, .description = "d"},
    {"b.boolean", SETTING_BOOLEAN, "false", AT(is_set), .description = "d"},
    {"b.choice", SETTING_CHOICE, "low", AT(choice), .choices = choices, .description = "d"},
    {"b.list", SETTING_LIST, "", AT(list), .description = "d"},
};

static const struct settings settings = {
    .table = table,
    .count = sizeof(table) / sizeof(table[0]),
    .target_size = sizeof(struct target),
    .environment_prefix = "TEST_",
};

static void a_file_fills_the_target(void **state)
{
    struct error err = ERROR_INIT;
    struct target target = {.data = NULL};
    const char *text = "data: /srv/x\n"
                       "a:\n  text: hello\n  secret: s3\n  path: rel/p\n"
                       "b:\n  size: 2 GiB\n  duration: 15 min\n  deep:\n    count: 7\n"
                       "  boolean: true\n  choice: up\n  list: [10.0.0.1, '::1']\n";
    assert_int_equal(settings_read_text(&settings, text, "/etc/t.yml", &target, &err), 0);
    assert_string_equal(target.text, "hello");
    assert_string_equal(target.secret, "s3");
    assert_string_equal(target.path, "/etc/rel/p");
    assert_string_equal(target.database, "sqlite:/srv/x/x.db");
    assert_int_equal(target.size_bytes, UINT64_C(2) << 30);
    assert_int_equal(target.duration_ms, 900000);
    assert_int_equal(target.count, 7);
    assert_true(target.is_set);
    assert_int_equal(target.choice, 2);
    assert_string_equal(target.list[0], "10.0.0.1");
    assert_string_equal(target.list[1], "::1");
    assert_null(target.list[2]);
    settings_free(&settings, &target);
}

static void defaults_hold_where_the_file_is_silent(void **state)
{
    struct error err = ERROR_INIT;
    struct target target = {.data = NULL};
    assert_int_equal(settings_read_text(&settings, "# nothing\nb:\n", "/etc/t.yml", &target, &err),
                     0);
    assert_string_equal(target.data, "/etc/here");
    assert_string_equal(target.path, "/etc/here/p");
    assert_int_equal(target.size_bytes, 1 << 20);
    assert_int_equal(target.choice, 1);
    assert_null(target.list[0]);
    settings_free(&settings, &target);
}

static void mistakes_name_file_line_and_remedy(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"b:\n  sise: 5\n", "t.yml:2: unknown key 'b.sise': did you mean 'b.size'?"},
        {"duration: 5\n", "t.yml:1: unknown key 'duration': did you mean 'b.duration'?"},
        {"zzzzzzzzzzzz: 5\n", "t.yml:1: unknown key 'zzzzzzzzzzzz': 'roost config keys'"},
        {"b:\n  deep:\n    count: 11\n",
         "t.yml:3: 'b.deep.count' is a whole number from 1 to 10, not '11'"},
        {"b:\n  duration: 5 ms\n",
         "t.yml:2: 'b.duration' is a duration, such as '250 ms', '30 s' or '6 h', "
         "from 1 s to 1 h, not '5 ms'"},
        {"b:\n  choice: medium\n", "t.yml:2: 'b.choice' is 'low', 'high' or 'up', not 'medium'"},
        {"b: 5\n", "t.yml:1: 'b' is a section"},
        {"a:\n  text: [1]\n", "t.yml:2: 'a.text' is a text, not a list"},
        {"a:\n  database: oracle:x\n", "t.yml:2: 'a.database' is a database"},
        {"a: 1\na: 2\n", "t.yml:2"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        struct target target = {.data = NULL};
        assert_int_equal(settings_read_text(&settings, rows[i].text, "t.yml", &target, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        if (strncmp(err.text, rows[i].says, strlen(rows[i].says)) != 0)
            fail_msg("'%s', expected '%s'", err.text, rows[i].says);
        settings_free(&settings, &target);
    }
}

static void a_wrong_secret_is_not_repeated(void **state)
{
    struct error err = ERROR_INIT;
    struct target target = {.data = NULL};
    assert_int_equal(
        settings_read_text(&settings, "a:\n  secret: [hush]\n", "t.yml", &target, &err), -1);
    assert_null(strstr(err.text, "hush"));
    settings_free(&settings, &target);
}

static void the_environment_wins(void **state)
{
    struct error err = ERROR_INIT;
    struct target target = {.data = NULL};
    setenv("TEST_B_DEEP_COUNT", "9", 1);
    setenv("TEST_B_LIST", " a , b,", 1);
    assert_int_equal(
        settings_read_text(&settings, "b:\n  deep:\n    count: 2\n", "t.yml", &target, &err), 0);
    assert_int_equal(target.count, 9);
    assert_string_equal(target.list[1], "b");
    assert_null(target.list[2]);
    settings_free(&settings, &target);
    setenv("TEST_B_DEEP_COUNT", "many", 1);
    assert_int_equal(settings_read_text(&settings, "", "t.yml", &target, &err), -1);
    assert_non_null(strstr(err.text, "environment variable TEST_B_DEEP_COUNT"));
    settings_free(&settings, &target);
    unsetenv("TEST_B_DEEP_COUNT");
    unsetenv("TEST_B_LIST");
}

static void what_is_shown_can_be_read_again_and_holds_no_secret(void **state)
{
    static const char *const shown[] = {
        "/x",   "",     "/x/p", "(set, not shown)", "sqlite:/x/x.db", "3 KiB", "90 min", "3",
        "true", "high", "a, b"};
    struct error err = ERROR_INIT;
    struct target target = {.data = NULL};
    const char *text = "data: /x\na: {secret: hush}\n"
                       "b: {size: 3072, duration: 5400 s, boolean: on, choice: up, list: [a, b]}\n";
    /* 5400 s is over the table's hour: its own range is not what this is about. */
    struct setting wide[sizeof(table) / sizeof(table[0])];
    memcpy(wide, table, sizeof(table));
    wide[6].max = 0;
    struct settings wider = settings;
    wider.table = wide;
    assert_int_equal(settings_read_text(&wider, text, "t.yml", &target, &err), 0);
    for (size_t i = 0; i < settings.count; i++) {
        scope_buf struct buf out = BUF_INIT;
        settings_format(&wide[i], &target, &out);
        assert_string_equal(out.data, shown[i]);
    }
    settings_free(&wider, &target);
}

static void the_nearest_is_few_mistakes_away(void **state)
{
    static const char *const words[] = {"backup", "server", "serve", "doctor", NULL};
    static const struct {
        const char *wanted;
        const char *nearest;
    } rows[] = {
        {"bakcup", "backup"}, {"srver", "server"}, {"serv", "serve"},
        {"docter", "doctor"}, {"xyz", NULL},       {"", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nearest nearest = {.wanted = rows[i].wanted};
        for (size_t k = 0; words[k] != NULL; k++)
            nearest_consider(&nearest, words[k]);
        const char *best = nearest_result(&nearest);
        if (rows[i].nearest == NULL)
            assert_null(best);
        else
            assert_string_equal(best, rows[i].nearest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_fills_the_target),
        cmocka_unit_test(defaults_hold_where_the_file_is_silent),
        cmocka_unit_test(mistakes_name_file_line_and_remedy),
        cmocka_unit_test(a_wrong_secret_is_not_repeated),
        cmocka_unit_test(the_environment_wins),
        cmocka_unit_test(what_is_shown_can_be_read_again_and_holds_no_secret),
        cmocka_unit_test(the_nearest_is_few_mistakes_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
