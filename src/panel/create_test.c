/* SPDX-License-Identifier: Apache-2.0 */
/* Creating backups, on nodes that take orders, refuse them, are gone or fall silent. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/thread.h"
#include "panel/world.h"

static struct world world;
static char found_uuid[UUID_TEXT_BYTES];

static int start(void **state)
{
    world_start(&world, &(struct panel_config){0});
    return 0;
}

static int start_throttled(void **state)
{
    world_start(&world, &(struct panel_config){.throttle_limit = 2, .throttle_period_s = 600});
    return 0;
}

static int stop(void **state)
{
    world_stop(&world);
    return 0;
}

static json_t *attributes_of(const struct raw_answer *answer)
{
    struct error err = ERROR_INIT;
    json_t *body = json_read(buf_slice(&answer->body), &err);
    if (body == NULL)
        fail_msg("%s", answer->body.data);
    json_t *attributes = json_incref(json_object_get(body, "attributes"));
    json_decref(body);
    return attributes;
}

/* Creates one; the uuid is left in found_uuid. */
static void create(enum world_node node, const char *body)
{
    struct raw_answer answer =
        ask(&world, "POST", client_path(&world, node, "/backups"), world.keys[OWNER], NULL, body);
    if (answer.status != 200)
        fail_msg("%s%s", answer.head.data, answer.body.data);
    json_t *attributes = attributes_of(&answer);
    snprintf(found_uuid, sizeof(found_uuid), "%s", json_get_string(attributes, "uuid", ""));
    json_decref(attributes);
    raw_answer_free(&answer);
}

static void report(const char *uuid, bool is_successful)
{
    expect(&world, "POST", remote_path(uuid, ""), world.node_keys[NODE],
           is_successful
               ? "{\"successful\":true,\"checksum\":\"ab\",\"checksum_type\":\"sha1\",\"size\":5}"
               : "{\"successful\":false}",
           204, NULL);
}

static void create_tells_the_node_and_answers_the_object(void **state)
{
    struct raw_answer answer =
        ask(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], EXTENDED,
            "{\"name\":\" Before \",\"ignored\":\"*.log\\ncache/*\",\"is_locked\":true}");
    assert_int_equal(answer.status, 200);
    json_t *a = attributes_of(&answer);
    const char *uuid = json_get_string(a, "uuid", "");
    assert_string_equal(json_get_string(a, "name", ""), "Before");
    assert_true(json_is_false(json_object_get(a, "is_successful")));
    assert_true(json_is_true(json_object_get(a, "is_locked")));
    assert_true(json_is_null(json_object_get(a, "checksum")));
    assert_true(json_is_null(json_object_get(a, "completed_at")));
    assert_int_equal(json_get_int(a, "bytes", -1), 0);
    assert_int_equal(json_array_size(json_object_get(a, "ignored_files")), 2);
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "POST /api/servers/%s/backup", world.servers[NODE].uuid);
    assert_string_equal(world.order_path, wanted);
    snprintf(wanted, sizeof(wanted),
             "{\"adapter\":\"wings\",\"uuid\":\"%s\",\"ignore\":\"*.log\\ncache/*\"}", uuid);
    assert_string_equal(world.order_body, wanted);
    assert_string_equal(state_of(&world, uuid), "creating");
    assert_int_equal(
        count_sql(&world, "SELECT COUNT(*) FROM activity_logs l JOIN activity_log_subjects s"
                          " ON s.activity_log_id = l.id WHERE event = 'server:backup.start' AND"
                          " properties = '{\"name\":\"Before\",\"locked\":true}' AND"
                          " actor_id = 1 AND api_key_id = 1 AND ip = '127.0.0.1'"),
        2);
    json_decref(a);
    raw_answer_free(&answer);
}

static void a_backup_without_a_name_gets_one(void **state)
{
    create(NODE, NULL);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups WHERE name LIKE"
                                       " 'Backup at 20__-__-__ __:__:__' AND ignored_files = '[]'"),
                     1);
}

static void who_may_not_delete_may_not_lock(void **state)
{
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[FRIEND],
           "{\"is_locked\":true}", 200, "\"is_locked\":false");
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE properties LIKE"
                                       " '%\"locked\":true%'"),
                     1);
}

static void only_one_is_created_at_a_time(void **state)
{
    const char *path = client_path(&world, NODE, "/backups");
    create(NODE, NULL);
    expect(&world, "POST", path, world.keys[OWNER], NULL, 409,
           "Cannot create backup while another backup is in progress.");
    report(found_uuid, false);
    create(NODE, NULL);
    report(found_uuid, true);
    create(NODE, NULL);
}

static void failed_backups_do_not_count_against_the_limit(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    const char *path = client_path(&world, NODE, "/backups");
    for (int i = 0; i < 3; i++)
        add_backup(&world, NODE, ROW_FAILED, uuid);
    for (int i = 0; i < 2; i++)
        add_backup(&world, NODE, ROW_COMPLETED, uuid);
    create(NODE, NULL);
    report(found_uuid, true);
    expect(&world, "POST", path, world.keys[OWNER], NULL, 400,
           "{\"errors\":[{\"code\":\"TooManyBackupsException\",\"status\":\"400\",\"detail\":"
           "\"Cannot create a new backup, this server has reached its limit of 3 backups.\"}]}");
    struct raw_answer answer = ask(&world, "POST", path, world.keys[OWNER], EXTENDED, NULL);
    assert_non_null(strstr(answer.body.data, "This server has reached its backup limit."));
    raw_answer_free(&answer);
    run_sql(&world, "UPDATE servers SET backup_limit = 0");
    run_sql(&world, "DELETE FROM backups");
    expect(&world, "POST", path, world.keys[OWNER], NULL, 400, "limit of 0 backups");
}

static void the_throttle_says_when_a_slot_is_free(void **state)
{
    char value[256];
    const char *path = client_path(&world, NODE, "/backups");
    create(NODE, NULL);
    report(found_uuid, false); /* does not count */
    create(NODE, NULL);
    report(found_uuid, true);
    expect(&world, "DELETE", backup_path(&world, NODE, found_uuid, ""), world.keys[OWNER], NULL,
           204, NULL); /* counts */
    run_sql(&world, "UPDATE backups SET created_at ="
                    " strftime('%Y-%m-%d %H:%M:%S', 'now', '-300 seconds')"
                    " WHERE deleted_at IS NOT NULL");
    create(NODE, NULL);
    report(found_uuid, true);
    struct raw_answer answer = ask(&world, "POST", path, world.keys[OWNER], NULL, NULL);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(answer.body.data, "\"TooManyRequestsHttpException\""));
    assert_non_null(strstr(answer.body.data,
                           "Only 2 backups may be generated within a 600 second span of time."));
    long wait = strtol(raw_header(&answer, "Retry-After", value), NULL, 10);
    assert_in_range(wait, 295, 301);
    raw_answer_free(&answer);
    run_sql(&world, "UPDATE backups SET created_at ="
                    " strftime('%Y-%m-%d %H:%M:%S', 'now', '-601 seconds')"
                    " WHERE deleted_at IS NOT NULL");
    create(NODE, NULL);
}

static void what_a_node_refused_never_was(void **state)
{
    static const struct {
        unsigned node_status, status;
        const char *part;
    } rows[] = {
        {404, 404, "An error occurred on the remote host: no. (request id: "},
        {403, 403, "An error occurred on the remote host: no."},
        {500, 500, "(code: 500) (request_id: "},
        {503, 503, "\"DaemonConnectionException\""},
        {507, 507, "\"InsufficientStorageException\""},
        {302, 502, "(code: 302)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world.node_status = rows[i].node_status;
        expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL,
               rows[i].status, rows[i].part);
        assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups"), 0);
        assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM roost_backups"), 0);
    }
    world.node_status = 202;
    create(NODE, NULL);
}

static void what_a_node_cannot_have_heard_of_never_was(void **state)
{
    expect(&world, "POST", client_path(&world, GONE_NODE, "/backups"), world.keys[OWNER], NULL, 504,
           "Could not establish a connection to the machine running this server.");
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups"), 0);
}

static void what_a_node_may_have_heard_of_stays(void **state)
{
    expect(&world, "POST", client_path(&world, MUTE_NODE, "/backups"), world.keys[OWNER], NULL, 504,
           NULL);
    assert_true(world.orders >= 1);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups WHERE completed_at IS NULL"),
                     1);
    /* The node has it after all. */
    struct raw_answer answer = ask(&world, "GET", client_path(&world, MUTE_NODE, "/backups"),
                                   world.keys[OWNER], NULL, NULL);
    const char *uuid = strstr(answer.body.data, "\"uuid\":\"");
    assert_non_null(uuid);
    snprintf(found_uuid, sizeof(found_uuid), "%s", uuid + 8);
    raw_answer_free(&answer);
    expect(&world, "POST", remote_path(found_uuid, ""), world.node_keys[MUTE_NODE],
           "{\"successful\":true,\"checksum\":\"ab\",\"checksum_type\":\"sha1\",\"size\":5}", 204,
           NULL);
    assert_string_equal(state_of(&world, found_uuid), "completed");
}

static void report_early(struct world *of)
{
    const char *uuid = strstr(of->order_body, "\"uuid\":\"");
    char copy[UUID_TEXT_BYTES];
    snprintf(copy, sizeof(copy), "%s", uuid + 8);
    report(copy, true);
}

static void a_report_may_come_before_the_nodes_answer(void **state)
{
    world.on_order = report_early;
    create(NODE, NULL);
    assert_string_equal(state_of(&world, found_uuid), "completed");
    /* Even where the node then says that it failed: what is reported as there is there. */
    world.node_status = 500;
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 500,
           NULL);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups WHERE is_successful = 1"), 2);
}

static void *create_one(void *argument)
{
    struct raw_answer answer = ask(&world, "POST", argument, world.keys[OWNER], NULL, NULL);
    unsigned status = answer.status;
    raw_answer_free(&answer);
    return (void *)(uintptr_t)status;
}

static void of_many_at_once_one_is_created(void **state)
{
    pthread_t threads[8];
    const char *path = client_path(&world, NODE, "/backups");
    for (int i = 0; i < 8; i++)
        threads[i] = thread_start("create", create_one, (void *)path);
    int created = 0;
    for (int i = 0; i < 8; i++) {
        void *status;
        pthread_join(threads[i], &status);
        created += (uintptr_t)status == 200;
        assert_true((uintptr_t)status == 200 || (uintptr_t)status == 409);
    }
    assert_int_equal(created, 1);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups"), 1);
}

static void bad_bodies_change_nothing(void **state)
{
    const char *path = client_path(&world, NODE, "/backups");
    expect(
        &world, "POST", path, world.keys[OWNER], "{\"name\":5,\"is_locked\":\"maybe\"}", 422,
        "{\"errors\":[{\"code\":\"ValidationException\",\"status\":\"422\",\"detail\":\"The name "
        "must be a string.\",\"meta\":{\"source_field\":\"name\",\"rule\":\"string\"}},");
    expect(&world, "POST", path, world.keys[OWNER], "{\"name\":", 400, NULL);
    expect(&world, "POST", path, world.keys[OWNER], "[1]", 400, NULL);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM backups"), 0);
    assert_int_equal(world.orders, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_tells_the_node_and_answers_the_object),
        TEST(a_backup_without_a_name_gets_one),
        TEST(who_may_not_delete_may_not_lock),
        TEST(only_one_is_created_at_a_time),
        TEST(failed_backups_do_not_count_against_the_limit),
        cmocka_unit_test_setup_teardown(the_throttle_says_when_a_slot_is_free, start_throttled,
                                        stop),
        TEST(what_a_node_refused_never_was),
        TEST(what_a_node_cannot_have_heard_of_never_was),
        TEST(what_a_node_may_have_heard_of_stays),
        TEST(a_report_may_come_before_the_nodes_answer),
        TEST(of_many_at_once_one_is_created),
        TEST(bad_bodies_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
