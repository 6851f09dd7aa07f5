/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/client_api.h"
#include "base/time.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define JSON "application/json"
#define FORM "application/x-www-form-urlencoded"

/* "field:rule:detail;…", as one text to compare. */
static const char *tell(const struct api_violations *violations)
{
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; i < violations->count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s%s:%s:%s", i > 0 ? ";" : "",
                 violations->items[i].field, violations->items[i].rule,
                 violations->items[i].detail);
    }
    return text;
}

static void bodies_are_read_as_their_type_says(void **state)
{
    static const struct {
        const char *type;
        const char *bytes;
        const char *json; /* NULL: no body; "!": refused */
    } rows[] = {
        {NULL, "", NULL},
        {JSON, "", NULL},
        {JSON, "null", NULL},
        {JSON, "[]", NULL},
        {JSON, "{}", "{}"},
        {JSON, " {\"a\": 1}\n", "{\"a\":1}"},
        {"Application/JSON; charset=UTF-8", "{\"a\":1}", "{\"a\":1}"},
        {"application/vnd.pterodactyl.v1+json", "{\"a\":1}", "{\"a\":1}"},
        {JSON, "{", "!"},
        {JSON, "{\"a\":1,}", "!"},
        {JSON, "{\"a\":1,\"a\":2}", "!"},
        {JSON, "{} {}", "!"},
        {JSON, "\"truncate\"", "!"},
        {JSON, "[1]", "!"},
        {JSON, "{\"a\":\"\xff\"}", "!"},
        {JSON, "{\"a\":\"\\u0000\"}", "!"},
        {FORM, "a=1&b=x+y%21", "{\"a\":\"1\",\"b\":\"x y!\"}"},
        {FORM, "a=%ff", "!"},
        {FORM, "a=%zz", "!"},
        {FORM, "{\"a\":1}", "{\"a\":1}"},
        {FORM, "{\"a\":", "!"},
        {NULL, "{\"a\":1}", "{\"a\":1}"},
        {"text/plain", "anything", NULL},
        {"Multipart/Form-Data; boundary=x", "--x\r\n", "!"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = ERROR_INIT;
        json_t *body;
        int done = client_api_parse_body(rows[i].type, slice_str(rows[i].bytes), &body, &err);
        bool is_refused = rows[i].json != NULL && strcmp(rows[i].json, "!") == 0;
        if ((done < 0) != is_refused)
            fail_msg("row %zu: %s", i, rows[i].bytes);
        if (is_refused) {
            assert_int_equal(err.code, ERROR_INVALID);
            assert_null(body);
            continue;
        }
        char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
        if (rows[i].json == NULL)
            assert_null(text);
        else
            assert_string_equal(text, rows[i].json);
        free(text);
        json_decref(body);
    }
}

static void too_many_form_fields_are_refused(void **state)
{
    scope_buf struct buf form = BUF_INIT;
    for (int i = 0; i < 65; i++)
        buf_printf(&form, "%sk%d=v", i > 0 ? "&" : "", i);
    json_t *body;
    struct error err = ERROR_INIT;
    assert_int_equal(client_api_parse_body(FORM, buf_slice(&form), &body, &err), -1);
}

static json_t *parse(const char *text)
{
    struct error err = ERROR_INIT;
    json_t *body = json_read(slice_str(text), &err);
    if (body == NULL)
        fail_msg("%s: %s", text, err.text);
    return body;
}

static void what_a_create_says_is_judged_by_upstreams_rules(void **state)
{
    static const struct {
        const char *body;
        const char *name;
        bool is_locked;
        const char *violations;
    } rows[] = {
        {"{}", "", false, ""},
        {"{\"name\":\"  Before  the update \"}", "Before  the update", false, ""},
        {"{\"name\":\"\"}", "", false, ""},
        {"{\"name\":\"   \"}", "", false, ""},
        {"{\"name\":\"0\"}", "", false, ""},
        {"{\"name\":null,\"is_locked\":null,\"ignored\":null}", "", false, ""},
        {"{\"name\":5}", "", false, "name:string:The name must be a string."},
        {"{\"name\":[\"a\"]}", "", false, "name:string:The name must be a string."},
        {"{\"is_locked\":true}", "", true, ""},
        {"{\"is_locked\":false}", "", false, ""},
        {"{\"is_locked\":1}", "", true, ""},
        {"{\"is_locked\":0}", "", false, ""},
        {"{\"is_locked\":\"1\"}", "", true, ""},
        {"{\"is_locked\":\"0\"}", "", false, ""},
        {"{\"is_locked\":\"\"}", "", false, ""},
        {"{\"is_locked\":\"true\"}", "", false,
         "is_locked:boolean:The is locked field must be true or false."},
        {"{\"is_locked\":2}", "", false,
         "is_locked:boolean:The is locked field must be true or false."},
        {"{\"is_locked\":1.0}", "", false,
         "is_locked:boolean:The is locked field must be true or false."},
        {"{\"is_locked\":{}}", "", false,
         "is_locked:boolean:The is locked field must be true or false."},
        {"{\"ignored\":7}", "", false, "ignored:string:The ignored must be a string."},
        {"{\"ignored\":[\"a\",7]}", "", false, "ignored.1:string:The ignored.1 must be a string."},
        {"{\"ignored\":{\"a\":\"b\"}}", "", false, "ignored:string:The ignored must be a string."},
        {"{\"name\":{},\"is_locked\":\"x\"}", "", false,
         "name:string:The name must be a string.;"
         "is_locked:boolean:The is locked field must be true or false."},
        {"{\"unknown\":[[[]]]}", "", false, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *body = parse(rows[i].body);
        struct client_create create;
        struct api_violations violations = {0};
        client_api_read_create(body, &create, &violations);
        assert_string_equal(tell(&violations), rows[i].violations);
        assert_string_equal(create.name.data, rows[i].name);
        assert_int_equal(create.is_locked, rows[i].is_locked);
        client_create_free(&create);
        json_decref(body);
    }
}

static void a_create_may_say_nothing(void **state)
{
    struct client_create create;
    struct api_violations violations = {0};
    client_api_read_create(NULL, &create, &violations);
    assert_int_equal(violations.count, 0);
    assert_int_equal(create.name.length + create.ignored.length, 0);
    assert_false(create.is_locked);
    client_create_free(&create);
}

static size_t count_name_violations(const char *unit, size_t times, struct api_violations *found)
{
    scope_buf struct buf name = BUF_INIT;
    for (size_t i = 0; i < times; i++)
        buf_add_str(&name, unit);
    json_t *body = json_pack("{s:s}", "name", name.data);
    struct client_create create;
    *found = (struct api_violations){0};
    client_api_read_create(body, &create, found);
    client_create_free(&create);
    json_decref(body);
    return found->count;
}

static void names_are_counted_in_characters(void **state)
{
    struct api_violations found;
    assert_int_equal(count_name_violations("a", 191, &found), 0);
    assert_int_equal(count_name_violations("\xc3\xbc", 191, &found), 0);
    assert_int_equal(count_name_violations("a", 192, &found), 1);
    assert_string_equal(tell(&found), "name:max:The name may not be greater than 191 characters.");
}

static void ignored_takes_lines_commas_and_arrays(void **state)
{
    static const struct {
        const char *value; /* JSON */
        const char *patterns;
    } rows[] = {
        {"\"*.log\"", "*.log"},
        {"\"*.log\\ncache/*\\ntemp/*\\n*.tmp\"", "*.log\ncache/*\ntemp/*\n*.tmp"},
        {"\"*.log\\r\\ncache/*\\r\\n\"", "*.log\ncache/*"},
        {"\"\\n\\n a \\n \\n\\nb\\n\"", "a \nb"},
        {"\"*.log,*.tmp, cache/*\"", "*.log\n*.tmp\ncache/*"},
        {"\"a,,b,\"", "a\nb"},
        {"\"a\\\\,b\"", "a,b"},
        {"\"a\\\\,b,c\"", "a,b\nc"},
        {"\"a\\\\\\\\,b\"", "a\\\\\nb"},
        {"\"\\\\#a,\\\\!b\"", "\\#a\n\\!b"},
        {"\"a\\\\\"", "a\\"},
        {"\"a,b\\nc\"", "a,b\nc"},
        {"\"a,b\\n\"", "a\nb"},
        {"\",\"", ""},
        {"\"\"", ""},
        {"\"  \"", ""},
        {"null", ""},
        {"[]", ""},
        {"[\"a\",\"b,c\",\"d\\ne\",\"\",\" \"]", "a\nb,c\nd\ne"},
        {"[\"sp ace\",\"tab\\t\"]", "sp ace\ntab\t"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        scope_buf struct buf text = BUF_INIT;
        buf_printf(&text, "{\"ignored\":%s}", rows[i].value);
        json_t *body = parse(text.data);
        struct client_create create;
        struct api_violations violations = {0};
        client_api_read_create(body, &create, &violations);
        assert_int_equal(violations.count, 0);
        assert_string_equal(create.ignored.data, rows[i].patterns);
        client_create_free(&create);
        json_decref(body);
    }
}

static void ignored_has_a_limit(void **state)
{
    for (size_t extra = 0; extra < 2; extra++) {
        scope_buf struct buf text = BUF_INIT;
        for (size_t i = 0; i < CLIENT_IGNORED_MAX_BYTES + extra; i++)
            buf_add_char(&text, 'a');
        json_t *body = json_pack("{s:s}", "ignored", text.data);
        struct client_create create;
        struct api_violations violations = {0};
        client_api_read_create(body, &create, &violations);
        assert_string_equal(tell(&violations),
                            extra == 0 ? ""
                                       : "ignored:max:The ignored may not be greater than 32768 "
                                         "characters.");
        client_create_free(&create);
        json_decref(body);
    }
}

static void a_restore_truncates_unless_told_otherwise(void **state)
{
    static const struct {
        const char *body;
        bool truncate;
        const char *violations;
    } rows[] = {
        {"{}", true, ""},
        {"{\"truncate\":null}", true, ""},
        {"{\"truncate\":true}", true, ""},
        {"{\"truncate\":false}", false, ""},
        {"{\"truncate\":0}", false, ""},
        {"{\"truncate\":\"0\"}", false, ""},
        {"{\"truncate\":\"1\"}", true, ""},
        {"{\"truncate\":\"false\"}", true,
         "truncate:boolean:The truncate field must be true or false."},
        {"{\"truncate\":[]}", true, "truncate:boolean:The truncate field must be true or false."},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *body = parse(rows[i].body);
        struct client_restore restore;
        struct api_violations violations = {0};
        client_api_read_restore(body, &restore, &violations);
        assert_int_equal(restore.truncate, rows[i].truncate);
        assert_string_equal(tell(&violations), rows[i].violations);
        json_decref(body);
    }
    struct client_restore restore;
    struct api_violations violations = {0};
    client_api_read_restore(NULL, &restore, &violations);
    assert_true(restore.truncate);
}

static void a_restore_leaves_alone_what_its_list_or_the_backups_says(void **state)
{
    static const struct {
        const char *body;
        bool leaves, has_list;
        const char *list, *violations;
    } rows[] = {
        {"{}", false, false, "", ""},
        {"{\"leave_ignored\":true}", true, false, "", ""},
        {"{\"leave_ignored\":true,\"ignored\":null}", true, false, "", ""},
        {"{\"leave_ignored\":1,\"ignored\":\"\"}", true, true, "", ""},
        {"{\"leave_ignored\":true,\"ignored\":[\"a\",\"b\\nc\"]}", true, true, "a\nb\nc", ""},
        {"{\"leave_ignored\":true,\"ignored\":\"a, b\"}", true, true, "a\nb", ""},
        {"{\"ignored\":null}", false, false, "", ""},
        {"{\"ignored\":\"a\"}", false, true, "a",
         "ignored:prohibited_unless:The ignored field is prohibited unless leave ignored is true."},
        {"{\"leave_ignored\":\"yes\"}", false, false, "",
         "leave_ignored:boolean:The leave ignored field must be true or false."},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *body = parse(rows[i].body);
        struct client_restore restore;
        struct api_violations violations = {0};
        client_api_read_restore(body, &restore, &violations);
        assert_int_equal(restore.leaves_ignored, rows[i].leaves);
        assert_int_equal(restore.has_ignored, rows[i].has_list);
        assert_string_equal(restore.ignored.data, rows[i].list);
        assert_string_equal(tell(&violations), rows[i].violations);
        client_restore_free(&restore);
        json_decref(body);
    }
}

static void pages_are_positive_and_bounded(void **state)
{
    static const struct {
        const char *page, *per_page;
        int64_t wanted_page, wanted_per_page;
    } rows[] = {
        {NULL, NULL, 1, 20},
        {"3", "5", 3, 5},
        {"0", "0", 1, 20},
        {"-1", "-5", 1, 20},
        {"x", "1x", 1, 20},
        {"", "", 1, 20},
        {"1", "50", 1, 50},
        {"1", "51", 1, 50},
        {"00", "007", 1, 7},
        {"+2", " 2", 1, 20},
        {"2.5", "1e9", 1, 20},
        {"99999999999999999999999", "99999999999999999999999", INT32_MAX, 50},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct client_page page;
        client_api_parse_page(rows[i].page, rows[i].per_page, &page);
        assert_int_equal(page.page, rows[i].wanted_page);
        assert_int_equal(page.per_page, rows[i].wanted_per_page);
    }
}

static void links_lead_through_the_pages(void **state)
{
#define URL "https://p/api/client/servers/s/backups"
    static const struct {
        int64_t total, count, page, per_page;
        const char *json;
    } rows[] = {
        {0, 0, 1, 20,
         "{\"pagination\":{\"total\":0,\"count\":0,\"per_page\":20,\"current_page\":1,"
         "\"total_pages\":1,\"links\":{}}}"},
        {20, 20, 1, 20,
         "{\"pagination\":{\"total\":20,\"count\":20,\"per_page\":20,\"current_page\":1,"
         "\"total_pages\":1,\"links\":{}}}"},
        {21, 20, 1, 20,
         "{\"pagination\":{\"total\":21,\"count\":20,\"per_page\":20,\"current_page\":1,"
         "\"total_pages\":2,\"links\":{\"next\":\"" URL "?page=2\"}}}"},
        {21, 1, 2, 20,
         "{\"pagination\":{\"total\":21,\"count\":1,\"per_page\":20,\"current_page\":2,"
         "\"total_pages\":2,\"links\":{\"previous\":\"" URL "?page=1\"}}}"},
        {5, 2, 2, 2,
         "{\"pagination\":{\"total\":5,\"count\":2,\"per_page\":2,\"current_page\":2,"
         "\"total_pages\":3,\"links\":{\"previous\":\"" URL "?page=1&per_page=2\","
         "\"next\":\"" URL "?page=3&per_page=2\"}}}"},
        {5, 0, 9, 20,
         "{\"pagination\":{\"total\":5,\"count\":0,\"per_page\":20,\"current_page\":9,"
         "\"total_pages\":1,\"links\":{\"previous\":\"" URL "?page=1\"}}}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        scope_buf struct buf out = BUF_INIT;
        struct json_writer w = json_writer_to(&out);
        struct client_pagination pagination = {
            rows[i].total, rows[i].count, {rows[i].page, rows[i].per_page}, URL};
        json_begin_object(&w);
        client_api_write_pagination(&w, &pagination);
        json_end_object(&w);
        assert_string_equal(out.data, rows[i].json);
    }
#undef URL
}

static void a_backup_has_both_digest_fields_and_never_a_null_success(void **state)
{
    struct error err = ERROR_INIT;
    struct client_backup backup = {
        .uuid = "a4962fe6-90c8-4b89-ba62-a5d3b06426c0",
        .name = "Weekly \"Backup\"",
        .ignored_files = "[\"*.log\"]",
    };
    assert_int_equal(time_parse("2023-10-20 14:30:00", &backup.created_at_us, &err), 0);
    scope_buf struct buf out = BUF_INIT;
    struct json_writer w = json_writer_to(&out);
    client_api_write_backup(&w, &backup);
    assert_string_equal(
        out.data,
        "{\"object\":\"backup\",\"attributes\":{"
        "\"uuid\":\"a4962fe6-90c8-4b89-ba62-a5d3b06426c0\",\"is_successful\":false,"
        "\"is_locked\":false,\"name\":\"Weekly \\\"Backup\\\"\","
        "\"ignored_files\":[\"*.log\"],\"checksum\":null,\"sha256_hash\":null,\"bytes\":0,"
        "\"created_at\":\"2023-10-20T14:30:00+00:00\",\"completed_at\":null}}");

    static const struct {
        const char *checksum, *part;
    } rows[] = {
        {"sha256:ab12", "\"checksum\":\"sha256:ab12\",\"sha256_hash\":\"ab12\""},
        {"sha1:ab12", "\"checksum\":\"sha1:ab12\",\"sha256_hash\":null"},
        {NULL, "\"checksum\":null,\"sha256_hash\":null"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        backup.checksum = rows[i].checksum;
        backup.completed_at_us = backup.created_at_us + 1000000;
        buf_clear(&out);
        w = json_writer_to(&out);
        client_api_write_backup(&w, &backup);
        assert_non_null(strstr(out.data, rows[i].part));
        assert_non_null(strstr(out.data, "\"completed_at\":\"2023-10-20T14:30:01+00:00\""));
    }
    /* A row of another program's. */
    backup.ignored_files = "";
    buf_clear(&out);
    w = json_writer_to(&out);
    client_api_write_backup(&w, &backup);
    assert_non_null(strstr(out.data, "\"ignored_files\":[],"));
}

static void every_operation_has_a_form_of_its_own(void **state)
{
    for (unsigned a = 0; a < CLIENT_OP_COUNT; a++) {
        const struct client_operation_form *form = client_operation_form(a);
        assert_non_null(form->pattern);
        assert_int_equal(form->has_backup, strstr(form->pattern, "{backup}") != NULL);
        for (unsigned b = 0; b < a; b++)
            assert_false(form->method == client_operation_form(b)->method &&
                         strcmp(form->pattern, client_operation_form(b)->pattern) == 0);
    }
}

static void answers_that_are_no_backups_are_json(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    struct json_writer w = json_writer_to(&out);
    client_api_write_permissions(&w);
    json_t *read = parse(out.data);
    json_t *keys = json_object_get(
        json_object_get(
            json_object_get(json_object_get(json_object_get(read, "attributes"), "permissions"),
                            "backup"),
            "keys"),
        "restore");
    assert_true(json_is_string(keys));
    json_decref(read);

    buf_clear(&out);
    w = json_writer_to(&out);
    struct client_server server = {.uuid = "u", .status = "suspended", .backup_limit = 3};
    static const char *const permissions[] = {"*", NULL};
    client_api_write_server_answer(&w, &server, permissions);
    read = parse(out.data);
    const json_t *attributes = json_object_get(read, "attributes");
    assert_true(json_get_bool(attributes, "is_suspended", false));
    assert_false(json_get_bool(attributes, "is_installing", true));
    assert_int_equal(json_get_int(json_object_get(attributes, "feature_limits"), "backups", 0), 3);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(read, "meta"), "user_permissions")), 1);
    json_decref(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_read_as_their_type_says),
        cmocka_unit_test(too_many_form_fields_are_refused),
        cmocka_unit_test(what_a_create_says_is_judged_by_upstreams_rules),
        cmocka_unit_test(a_create_may_say_nothing),
        cmocka_unit_test(names_are_counted_in_characters),
        cmocka_unit_test(ignored_takes_lines_commas_and_arrays),
        cmocka_unit_test(ignored_has_a_limit),
        cmocka_unit_test(a_restore_truncates_unless_told_otherwise),
        cmocka_unit_test(a_restore_leaves_alone_what_its_list_or_the_backups_says),
        cmocka_unit_test(pages_are_positive_and_bounded),
        cmocka_unit_test(links_lead_through_the_pages),
        cmocka_unit_test(a_backup_has_both_digest_fields_and_never_a_null_success),
        cmocka_unit_test(every_operation_has_a_form_of_its_own),
        cmocka_unit_test(answers_that_are_no_backups_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
