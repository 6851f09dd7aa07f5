/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/remote_api.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define GOOD "\"successful\":true,\"checksum\":\"ab12\",\"checksum_type\":\"sha1\",\"size\":1234"

static json_t *parse(const char *text)
{
    struct error err = ERROR_INIT;
    json_t *body = json_read(slice_str(text), &err);
    if (body == NULL)
        fail_msg("%s: %s", text, err.text);
    return body;
}

static const char *tell(const struct api_violations *violations)
{
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; i < violations->count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s%s:%s", i > 0 ? ";" : "",
                 violations->items[i].field, violations->items[i].rule);
    }
    return text;
}

static void reports_are_judged_by_upstreams_rules(void **state)
{
    static const struct {
        const char *body;
        const char *violations;
    } rows[] = {
        {"{" GOOD "}", ""},
        {"{" GOOD ",\"parts\":null}", ""},
        {"{" GOOD ",\"parts\":[]}", ""},
        {"{" GOOD ",\"parts\":[{\"etag\":\"\\\"fad6\\\"\",\"part_number\":1}]}", ""},
        /* what Wings sends on failure */
        {"{\"checksum\":\"\",\"checksum_type\":\"\",\"size\":0,\"successful\":false,"
         "\"parts\":null}",
         ""},
        {"{\"successful\":false}", ""},
        {"{\"successful\":\"0\"}", ""},
        {"{}", "successful:required"},
        {"{\"successful\":null}", "successful:required"},
        {"{\"successful\":\"yes\"}", "successful:boolean"},
        {"{\"successful\":true}",
         "checksum:required_if;checksum_type:required_if;size:required_if"},
        {"{\"successful\":true,\"checksum\":\"\",\"checksum_type\":\" \",\"size\":null}",
         "checksum:required_if;checksum_type:required_if;size:required_if"},
        {"{\"successful\":true,\"checksum\":5,\"checksum_type\":[],\"size\":\"big\"}",
         "checksum:string;checksum_type:string;size:numeric"},
        {"{\"successful\":true,\"checksum\":\"a:b\",\"checksum_type\":\"sha1\",\"size\":1}",
         "checksum:regex"},
        {"{\"successful\":true,\"checksum\":\"ab\",\"checksum_type\":\"a type that is long\","
         "\"size\":1}",
         "checksum_type:max"},
        {"{\"successful\":true,\"checksum\":\"ab\",\"checksum_type\":\"sha1\",\"size\":-1}",
         "size:numeric"},
        {"{\"successful\":true,\"checksum\":\"ab\",\"checksum_type\":\"sha1\",\"size\":\"12\"}",
         ""},
        {"{\"successful\":true,\"checksum\":\"ab\",\"checksum_type\":\"sha1\",\"size\":1e300}",
         "size:numeric"},
        {"{" GOOD ",\"parts\":{}}", "parts:array"},
        {"{" GOOD ",\"parts\":[5]}", "parts.0.etag:required;parts.0.part_number:required"},
        {"{" GOOD ",\"parts\":[{\"etag\":7,\"part_number\":\"x\"}]}",
         "parts.0.etag:string;parts.0.part_number:numeric"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *body = parse(rows[i].body);
        struct remote_report report;
        struct api_violations violations = {0};
        remote_api_read_report(body, &report, &violations);
        if (strcmp(tell(&violations), rows[i].violations) != 0)
            fail_msg("%s\n%s", rows[i].body, tell(&violations));
        json_decref(body);
    }
    struct remote_report report;
    struct api_violations violations = {0};
    remote_api_read_report(NULL, &report, &violations);
    assert_string_equal(violations.items[0].detail, "The successful field is required.");
}

static void a_report_is_kept_as_sent(void **state)
{
    /* The document's own example, whose checksum is no hexadecimal number. */
    json_t *body = parse("{\"checksum\":\"a0b124c3def45g67890h12i3j4567k8l9mn01234\","
                         "\"checksum_type\":\"sha1\",\"size\":1234,\"successful\":true,"
                         "\"parts\":[{\"etag\":\"\\\"fad65ead\\\"\",\"part_number\":1}]}");
    struct remote_report report;
    struct api_violations violations = {0};
    remote_api_read_report(body, &report, &violations);
    assert_int_equal(violations.count, 0);
    assert_true(report.is_successful);
    assert_string_equal(report.checksum, "a0b124c3def45g67890h12i3j4567k8l9mn01234");
    assert_string_equal(report.checksum_type, "sha1");
    assert_int_equal(report.size_bytes, 1234);
    assert_int_equal(report.part_count, 1);
    json_decref(body);
}

static void parts_are_bounded(void **state)
{
    json_t *body = parse("{" GOOD "}");
    json_t *parts = json_array();
    for (int i = 0; i < REMOTE_PARTS_MAX + 1; i++)
        json_array_append_new(parts, json_pack("{s:s,s:i}", "etag", "e", "part_number", i));
    json_object_set_new(body, "parts", parts);
    struct remote_report report;
    struct api_violations violations = {0};
    remote_api_read_report(body, &report, &violations);
    assert_string_equal(tell(&violations), "parts:max");
    json_array_remove(parts, 0);
    violations.count = 0;
    remote_api_read_report(body, &report, &violations);
    assert_int_equal(violations.count, 0);
    json_decref(body);
}

static void only_a_clear_yes_ends_a_restore_well(void **state)
{
    static const struct {
        const char *body;
        bool is_successful;
    } rows[] = {
        {"{\"successful\":true}", true},
        {"{\"successful\":1}", true},
        {"{\"successful\":\"1\"}", true},
        {"{\"successful\":false}", false},
        {"{\"successful\":null}", false},
        {"{\"successful\":\"true\"}", false},
        {"{}", false},
        {"{\"successful\":[]}", false},
    };
    struct remote_restore_report report;
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *body = parse(rows[i].body);
        remote_api_read_restore_report(body, &report);
        assert_int_equal(report.is_successful, rows[i].is_successful);
        assert_true(report.kept_until_us == 0 && report.backup[0] == '\0');
        json_decref(body);
    }
    remote_api_read_restore_report(NULL, &report);
    assert_false(report.is_successful);
    assert_string_equal(report.error, "");
}

static void a_report_may_say_until_when_an_undo_is_possible(void **state)
{
    static const struct {
        const char *body;
        int64_t until_us;
        const char *backup;
    } rows[] = {
        {"{\"kept_until\":\"2023-11-14T22:13:20+00:00\"}", INT64_C(1700000000) * 1000000, ""},
        {"{\"kept_until\":\"soon\",\"backup\":\"../..\"}", 0, ""},
        {"{\"kept_until\":1700000000,\"backup\":[]}", 0, ""},
        {"{\"backup\":\"D3AAC109-0000-4000-8000-000000000000\"}", 0,
         "d3aac109-0000-4000-8000-000000000000"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct remote_restore_report report;
        json_t *body = parse(rows[i].body);
        remote_api_read_restore_report(body, &report);
        assert_true(report.kept_until_us == rows[i].until_us);
        assert_string_equal(report.backup, rows[i].backup);
        json_decref(body);
    }
}

static void a_server_is_described_as_wings_reads_it(void **state)
{
    struct remote_server server = {
        .uuid = "d3aac109-0000-4000-8000-000000000000",
        .name = "Survival",
        .is_suspended = true,
        .disk_mib = 2048,
    };
    scope_buf struct buf out = BUF_INIT;
    struct json_writer w = json_writer_to(&out);
    remote_api_write_server(&w, &server, true);
    json_t *read = parse(out.data);
    const json_t *settings = json_object_get(read, "settings");
    assert_string_equal(json_get_string(read, "uuid", ""), server.uuid);
    assert_string_equal(json_get_string(settings, "uuid", ""), server.uuid);
    assert_true(json_get_bool(settings, "suspended", false));
    assert_int_equal(json_get_int(json_object_get(settings, "build"), "disk_space", 0), 2048);
    assert_true(json_is_object(json_object_get(read, "process_configuration")));
    json_decref(read);

    buf_clear(&out);
    w = json_writer_to(&out);
    remote_api_write_server(&w, &server, false);
    read = parse(out.data);
    assert_null(json_object_get(read, "uuid"));
    json_decref(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_are_judged_by_upstreams_rules),
        cmocka_unit_test(a_report_is_kept_as_sent),
        cmocka_unit_test(parts_are_bounded),
        cmocka_unit_test(only_a_clear_yes_ends_a_restore_well),
        cmocka_unit_test(a_report_may_say_until_when_an_undo_is_possible),
        cmocka_unit_test(a_server_is_described_as_wings_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
