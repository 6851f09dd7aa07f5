/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call the node, and what it refuses. */
#include "node/node.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "api/node_api.h"
#include "base/scope.h"
#include "node/test_world.h"

#define RESTORE API "/backup/" BACKUP "/restore"
#define TRUNCATING "{\"adapter\":\"wings\",\"truncate_directory\":true}"

static void calls_without_the_token_are_refused(void **context)
{
    struct world *world = *context;
    const struct {
        const char *header;
        unsigned status;
        const char *text;
    } rows[] = {
        {"X-Nothing: 1", 401, NODE_ERROR_NO_TOKEN},
        {"Authorization: Basic abc", 401, NODE_ERROR_NO_TOKEN},
        {"Authorization: Bearer wrong", 403, NODE_ERROR_BAD_TOKEN},
        {"Authorization: Bearer " TOKEN_ID "." TOKEN, 403, NODE_ERROR_BAD_TOKEN},
    };
    for (int operation = 0; operation < NODE_OP_COUNT; operation++) {
        const struct node_operation_form *form =
            node_operation_form((enum node_operation)operation);
        for (size_t i = 0; form->needs_node_token && i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct error err = ERROR_INIT;
            scope_free char *url = scratch_path("%s%s", world->node_url, form->pattern);
            const char *const headers[] = {rows[i].header, NULL};
            struct http_call call = {
                .method = http_method_name(form->method), .url = url, .headers = headers};
            struct http_answer answer;
            must(http_client_call(world->client, &call, &answer, &err), &err);
            assert_int_equal(answer.status, rows[i].status);
            assert_non_null(strstr(answer.body.data, rows[i].text));
            http_answer_free(&answer);
        }
    }
}

static void bad_orders_are_refused_in_the_documented_words(void **context)
{
    struct world *world = *context;
    static const struct {
        const char *path, *body;
        unsigned status;
        const char *text;
    } rows[] = {
        {API "/backup", "", 400, NODE_ERROR_UNPARSABLE},
        {API "/backup", "{", 400, NODE_ERROR_UNEXPECTED},
        {API "/backup", "null", 400, NODE_ERROR_UNEXPECTED},
        {API "/backup", "[]", 400, NODE_ERROR_UNEXPECTED},
        {API "/backup", "{\"adapter\":\"ftp\",\"uuid\":\"" BACKUP "\"}", 400, NODE_ERROR_ADAPTER},
        {API "/backup", "{\"uuid\":\"" BACKUP "\"}", 400, NODE_ERROR_ADAPTER},
        {API "/backup", "{\"adapter\":\"wings\",\"uuid\":\"../../etc/passwd\"}", 400,
         NODE_ERROR_BAD_UUID},
        {API "/backup", "{\"adapter\":\"wings\",\"uuid\":7}", 400, NODE_ERROR_BAD_UUID},
        {API "/backup", "{\"adapter\":\"wings\"}", 400, NODE_ERROR_BAD_UUID},
        {API "/backup", "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\",\"ignore\":[]}", 400,
         "ignore"},
        {API "/backup",
         "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\",\"ignore\":\"*1*2*3*4*5*6*7*8*9*0*1*2*"
         "3*4*5*6*7*8*9\"}",
         400, ""},
        {API "/backup", "{\"adapter\":\"s3\",\"uuid\":\"" BACKUP "\",\"ignore\":\"\"}", 400,
         NODE_ERROR_NO_OBJECT_STORAGE},
        {RESTORE, "", 400, NODE_ERROR_UNPARSABLE},
        {RESTORE, "{\"adapter\":\"wings\",\"truncate_directory\":\"yes\"}", 400,
         "truncate_directory"},
        {RESTORE, "{\"adapter\":\"s3\",\"truncate_directory\":true}", 400, NODE_ERROR_NO_URL},
        {RESTORE, "{\"adapter\":\"s3\",\"download_url\":\"http://x/\"}", 400,
         NODE_ERROR_NO_OBJECT_STORAGE},
        {RESTORE, TRUNCATING, 404, NODE_ERROR_NO_BACKUP},
        {API "/backup/..%2f..%2fx/restore", TRUNCATING, 404, NODE_ERROR_NO_BACKUP},
        {API "/ws/deny", "{\"jtis\":\"x\"}", 400, "jtis"},
        {API "/ws/deny", "{\"jtis\":[\"\"]}", 400, "jtis"},
        {"/api/servers/33333333-3333-4333-8333-333333333333/backup", "{}", 404,
         NODE_ERROR_NO_SERVER},
        {"/api/servers/..%2f..%2fetc/backup", "{}", 404, NODE_ERROR_NO_SERVER},
    };
    write_live(world, "level.dat", "live");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_buf struct buf body = BUF_INIT;
        unsigned status = world_call(world, "POST", rows[i].path, rows[i].body, &body);
        if (status != rows[i].status || strstr(body.data, rows[i].text) == NULL ||
            strstr(body.data, "\"request_id\":\"") == NULL)
            fail_msg("row %zu: %u %s", i, status, body.data);
    }
    assert_live(world, "level.dat", "live");
    assert_int_equal(world->panel.reports + world->panel.restores, 0);
}

static void the_node_says_what_it_runs_on(void **context)
{
    struct world *world = *context;
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "GET", "/api/system", NULL, &body), 200);
    assert_non_null(strstr(body.data, "\"os\":\"linux\""));
    assert_non_null(strstr(body.data, "\"cpu_count\":"));
    assert_int_equal(world_call(world, "OPTIONS", "/api/servers", NULL, NULL), 204);
    assert_int_equal(world_call(world, "POST", API "/sync", NULL, NULL), 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(calls_without_the_token_are_refused),
        WORLD_TEST(bad_orders_are_refused_in_the_documented_words),
        WORLD_TEST(the_node_says_what_it_runs_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
