/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/yaml.h"

static void nodes_know_their_lines(void **state)
{
    struct error err = ERROR_INIT;
    scope_yaml struct yaml *yaml =
        yaml_read_text("# first\nlisten:\n  port: 8080\nlist:\n  - a\n  - b\n", "test.yml", &err);
    assert_non_null(yaml);
    struct yaml_node *port = yaml_find(yaml, "listen.port");
    assert_non_null(port);
    assert_string_equal(yaml_scalar(yaml, port), "8080");
    assert_int_equal(yaml_line(port), 3);
    assert_null(yaml_find(yaml, "listen.host"));
    assert_null(yaml_find(yaml, "listen.port.deeper"));

    const char *key;
    int key_line;
    struct yaml_node *second = yaml_child(yaml, yaml_root(yaml), 1, &key, &key_line);
    assert_string_equal(key, "list");
    assert_int_equal(key_line, 4);
    assert_int_equal(yaml_kind_of(second), YAML_SEQUENCE);
    struct yaml_node *b = yaml_child(yaml, second, 1, &key, &key_line);
    assert_null(key);
    assert_string_equal(yaml_scalar(yaml, b), "b");
    assert_null(yaml_child(yaml, second, 2, &key, &key_line));
}

static void complaints_name_file_and_line(void **state)
{
    static const char *const bad[] = {"a: 1\na: 2\n", "a: [1, 2\n", "a: \"unclosed\n", "a: b: c\n",
                                      "\tx: 1\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        assert_null(yaml_read_text(bad[i], "test.yml", &err));
        assert_int_equal(err.code, ERROR_INVALID);
        assert_non_null(strstr(err.text, "test.yml:"));
    }
}

static void an_empty_document_has_no_root(void **state)
{
    struct error err = ERROR_INIT;
    static const char *const empty[] = {"", "# only a comment\n", "---\n"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        scope_yaml struct yaml *yaml = yaml_read_text(empty[i], "test.yml", &err);
        assert_non_null(yaml);
        assert_null(yaml_root(yaml));
    }
}

static void a_missing_file_is_not_found(void **state)
{
    struct error err = ERROR_INIT;
    assert_null(yaml_read_file("/nonexistent/roost.yml", &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_their_lines),
        cmocka_unit_test(complaints_name_file_and_line),
        cmocka_unit_test(an_empty_document_has_no_root),
        cmocka_unit_test(a_missing_file_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
