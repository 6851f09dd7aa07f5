/* SPDX-License-Identifier: Apache-2.0 */
/* Which error wins: each request here is wrong in several ways at once. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "panel/world.h"

static struct world world;

#define UNKNOWN "00000000-0000-4000-8000-000000000000"
#define BAD "{"

static int start(void **state)
{
    world_start(&world, &(struct panel_config){0});
    return 0;
}

static int start_limited(void **state)
{
    world_start(&world, &(struct panel_config){.rate_limit_per_min = 3});
    return 0;
}

static int stop(void **state)
{
    world_stop(&world);
    return 0;
}

static void set_key(enum world_person person, const char *column, const char *value)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(world.db, &err);
    const char *text =
        strcmp(column, "allowed_ips") == 0 ? "UPDATE api_keys SET allowed_ips = ? WHERE user_id = ?"
        : strcmp(column, "expires_at") == 0 ? "UPDATE api_keys SET expires_at = ? WHERE user_id = ?"
                                            : "UPDATE api_keys SET key_type = ? WHERE user_id = ?";
    assert_int_equal(
        db_run(session, text, DB_PARAMS(db_text(value), db_int(world.people[person])), NULL, &err),
        0);
    assert_int_equal(db_commit(session, &err), 0);
}

static void without_a_good_key_nothing_is_said(void **state)
{
    char wrong[API_KEY_TOKEN_BYTES];
    memcpy(wrong, world.keys[OWNER], sizeof(wrong));
    wrong[40] = wrong[40] == 'a' ? 'b' : 'a';
    const char *path = client_path(&world, NODE, "/backups");
    expect(&world, "GET", path, NULL, NULL, 401, "\"AuthenticationException\"");
    expect(&world, "POST", path, NULL, BAD, 401, "Unauthenticated.");
    expect(&world, "GET", path, "ptlc_nonsense", NULL, 401, NULL);
    expect(&world, "GET", path, "ptlc_00000000000abcdefghijklmnopqrstuvwxyz012345", NULL, 401,
           NULL);
    expect(&world, "GET", path, wrong, NULL, 401, NULL);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, NULL);
    /* After a good one was cached. */
    expect(&world, "GET", path, wrong, NULL, 401, NULL);
    /* The identifier's case counts. */
    memcpy(wrong, world.keys[OWNER], sizeof(wrong));
    memcpy(wrong, "PTLC_", 5);
    expect(&world, "GET", path, wrong, NULL, 401, NULL);
}

static void an_expired_or_deleted_key_ends_at_once(void **state)
{
    const char *path = client_path(&world, NODE, "/backups");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, NULL);
    set_key(OWNER, "expires_at", "2001-01-01 00:00:00");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 401, NULL);
    set_key(OWNER, "expires_at", "2999-01-01 00:00:00");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, NULL);
    run_sql(&world, "DELETE FROM api_keys");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 401, NULL);
}

static void the_first_check_that_fails_wins(void **state)
{
    char foreign[UUID_TEXT_BYTES], own[UUID_TEXT_BYTES];
    add_backup(&world, OTHER_NODE, ROW_COMPLETED, foreign);
    add_backup(&world, NODE, ROW_COMPLETED, own);
    const char *owner = world.keys[OWNER], *friend = world.keys[FRIEND];
    const char *unknown_server = "/api/client/servers/" UNKNOWN "/backups/" UNKNOWN "/restore";

    /* malformed JSON before 2FA */
    run_sql(&world, "INSERT INTO settings (key, value) VALUES"
                    " ('settings::pterodactyl:auth:2fa_required', '2')");
    set_key(OWNER, "allowed_ips", "[\"10.0.0.1\"]");
    expect(&world, "POST", unknown_server, owner, BAD, 400,
           "The JSON data passed in the request appears to be malformed: ");
    /* 2FA before addresses */
    expect(&world, "POST", unknown_server, owner, "{}", 400, "\"TwoFactorAuthRequiredException\"");
    /* addresses before servers */
    run_sql(&world, "DELETE FROM settings");
    expect(&world, "POST", unknown_server, owner, "{}", 403,
           "This IP address (127.0.0.1) does not have permission");
    /* servers before backups and the kind of key */
    set_key(OWNER, "allowed_ips", NULL);
    set_key(OWNER, "key_type", "2");
    expect(&world, "POST", unknown_server, owner, "{}", 404, "could not be found on the server.");
    expect(&world, "GET", backup_path(&world, OTHER_NODE, "not-a-uuid", ""), owner, NULL, 404,
           "could not be found on the server.");
    /* the kind of key before access */
    expect(&world, "GET", backup_path(&world, OTHER_NODE, foreign, ""), owner, NULL, 403,
           "You are attempting to use an application API key");
    expect(&world, "GET", "/api/client", owner, NULL, 403, NULL);
    /* access before state */
    set_key(OWNER, "key_type", "1");
    set_status(&world, OTHER_NODE, SERVER_SUSPENDED);
    expect(&world, "GET", client_path(&world, OTHER_NODE, "/backups"), owner, NULL, 404,
           "does not exist on this server.");
    /* state before whose backup it is and permission */
    set_status(&world, NODE, SERVER_SUSPENDED);
    expect(&world, "DELETE", backup_path(&world, NODE, foreign, ""), friend, NULL, 409,
           "\"ServerStateConflictException\"");
    /* whose backup before permission */
    set_status(&world, NODE, SERVER_NORMAL);
    expect(&world, "DELETE", backup_path(&world, NODE, foreign, ""), friend, NULL, 404,
           "was not found for this server.");
    /* permission before validation */
    expect(&world, "POST", backup_path(&world, NODE, own, "/restore"), friend,
           "{\"truncate\":\"x\"}", 403, "This action is unauthorized.");
    /* validation before the rules */
    char failed[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_FAILED, failed);
    expect(&world, "POST", backup_path(&world, NODE, failed, "/restore"), owner,
           "{\"truncate\":\"x\"}", 422, "The truncate field must be true or false.");
    assert_int_equal(world.orders, 0);
}

static void a_server_has_two_names(void **state)
{
    char path[128];
    snprintf(path, sizeof(path), "/api/client/servers/%s/backups", world.servers[NODE].uuid_short);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, "\"backup_count\":0");
    snprintf(path, sizeof(path), "/api/client/servers/%s/backups/", world.servers[NODE].uuid_short);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, NULL);
    snprintf(path, sizeof(path), "/api/client/servers/%.9s/backups", world.servers[NODE].uuid);
    expect(&world, "GET", path, world.keys[OWNER], NULL, 404, NULL);
    expect(&world, "GET", "/api/client/servers/%27%20OR%201=1/backups", world.keys[OWNER], NULL,
           404, NULL);
}

static void administrators_see_every_server_and_subusers_theirs(void **state)
{
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[ADMIN], NULL, 200,
           NULL);
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[FRIEND], NULL, 200,
           NULL);
    expect(&world, "GET", client_path(&world, GONE_NODE, "/backups"), world.keys[FRIEND], NULL, 404,
           NULL);
    expect(&world, "GET", client_path(&world, NODE, ""), world.keys[FRIEND], NULL, 200,
           "\"user_permissions\":[\"backup.create\",\"backup.read\"]");
    /* What was granted is looked at again once it has changed. */
    run_sql(&world, "UPDATE subusers SET permissions = '[]'");
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[FRIEND], NULL, 403,
           NULL);
    run_sql(&world, "DELETE FROM subusers");
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[FRIEND], NULL, 404,
           NULL);
}

/* ---- states ---- */

static void expect_everywhere(const char *uuid, unsigned status, const char *text)
{
    static const struct {
        const char *method, *rest;
        bool has_backup;
    } routes[] = {
        {"GET", "/backups", false}, {"POST", "/backups", false}, {"GET", "", true},
        {"GET", "/download", true}, {"POST", "/lock", true},     {"POST", "/unlock", true},
        {"POST", "/restore", true}, {"DELETE", "", true},
    };
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const char *path = routes[i].has_backup ? backup_path(&world, NODE, uuid, routes[i].rest)
                                                : client_path(&world, NODE, routes[i].rest);
        expect(&world, routes[i].method, path, world.keys[OWNER], NULL, status, text);
        expect(&world, routes[i].method, path, world.keys[ADMIN], NULL, status, text);
    }
    assert_int_equal(world.orders, 0);
}

static void every_backup_route_minds_the_servers_state(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    set_status(&world, NODE, SERVER_SUSPENDED);
    run_sql(&world, "UPDATE nodes SET maintenance_mode = 1");
    expect_everywhere(uuid, 409, "This server is currently suspended");
    expect(&world, "GET", client_path(&world, NODE, ""), world.keys[OWNER], NULL, 200,
           "\"status\":\"suspended\"");
    set_status(&world, NODE, SERVER_INSTALLING);
    expect_everywhere(uuid, 409, "is currently under maintenance");
    run_sql(&world, "UPDATE nodes SET maintenance_mode = 0");
    expect_everywhere(uuid, 409, "has not yet completed its installation process");
    set_status(&world, NODE, SERVER_INSTALL_FAILED);
    expect_everywhere(uuid, 409, "has not yet completed its installation process");
    set_status(&world, NODE, SERVER_RESTORING_BACKUP);
    expect_everywhere(uuid, 409, "is currently restoring from a backup");
    set_status(&world, NODE, SERVER_NORMAL);
    run_sql(&world, "INSERT INTO server_transfers (server_id, old_node, new_node,"
                    " old_allocation, new_allocation)"
                    " SELECT id, 1, 2, 1, 2 FROM servers ORDER BY id LIMIT 1");
    expect_everywhere(uuid, 409, "is currently being transferred");
    run_sql(&world, "UPDATE server_transfers SET successful = 1");
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 200,
           NULL);
}

static void a_failed_reinstallation_only_stops_restores(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    set_status(&world, NODE, SERVER_REINSTALL_FAILED);
    expect(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, 200,
           NULL);
    expect(&world, "POST", client_path(&world, NODE, "/backups"), world.keys[OWNER], "{}", 200,
           NULL);
    expect(&world, "POST", backup_path(&world, NODE, uuid, "/restore"), world.keys[OWNER], "{}",
           400, "not currently in a state that allows for a backup to be restored.");
}

/* ---- rate ---- */

static void a_user_may_call_so_often(void **state)
{
    char value[256];
    const char *path = client_path(&world, NODE, "/backups");
    for (int i = 0; i < 3; i++) {
        struct raw_answer answer = ask(&world, "GET", path, world.keys[OWNER], NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(raw_header(&answer, "X-RateLimit-Limit", value), "3");
        assert_int_equal(raw_header(&answer, "X-RateLimit-Remaining", value)[0], '2' - i);
        assert_string_equal(raw_header(&answer, "Retry-After", value), "");
        raw_answer_free(&answer);
    }
    /* 429 comes before 404, after 400. */
    struct raw_answer answer =
        ask(&world, "GET", "/api/client/servers/nowhere0/backups", world.keys[OWNER], NULL, NULL);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(answer.body.data, "\"ThrottleRequestsException\""));
    assert_non_null(strstr(answer.body.data, "Too Many Attempts."));
    assert_string_equal(raw_header(&answer, "X-RateLimit-Remaining", value), "0");
    long wait = strtol(raw_header(&answer, "Retry-After", value), NULL, 10);
    assert_in_range(wait, 50, 60);
    long long resets = strtoll(raw_header(&answer, "X-RateLimit-Reset", value), NULL, 10);
    assert_in_range(resets - time_now_us() / 1000000, 48, 61);
    raw_answer_free(&answer);
    expect(&world, "POST", path, world.keys[OWNER], BAD, 400, NULL);
    /* It is the user's limit. */
    expect(&world, "GET", path, world.keys[ADMIN], NULL, 200, NULL);
    /* Nodes have none. */
    for (int i = 0; i < 5; i++)
        expect(&world, "GET", "/api/remote/servers", world.node_keys[NODE], NULL, 200, NULL);
}

/* ---- envelope ---- */

static void assert_envelope(struct raw_answer answer, unsigned status, const char *code)
{
    char value[256];
    if (answer.status != status || strstr(answer.body.data, code) == NULL)
        fail_msg("wanted %u %s, got %s%s", status, code, answer.head.data, answer.body.data);
    assert_int_equal(strncmp(answer.body.data, "{\"errors\":[{\"code\":", 19), 0);
    assert_string_equal(raw_header(&answer, "Content-Type", value), "application/json");
    assert_string_equal(raw_header(&answer, "Cache-Control", value), "no-cache, private");
    raw_answer_free(&answer);
}

static void what_the_transport_finds_is_said_in_the_same_envelope(void **state)
{
    const char *key = world.keys[OWNER];
    assert_envelope(ask(&world, "GET", "/api/client/nothing", key, NULL, NULL), 404,
                    "NotFoundHttpException");
    assert_envelope(ask(&world, "PUT", client_path(&world, NODE, "/backups"), key, NULL, "{}"), 405,
                    "MethodNotAllowedHttpException");
    assert_envelope(ask(&world, "POST", client_path(&world, NODE, "/backups"), key,
                        "Content-Length: 99999999\r\n", NULL),
                    413, "PostTooLargeException");
    assert_envelope(ask(&world, "POST", client_path(&world, NODE, "/backups"), key,
                        "Content-Length: 2\r\nContent-Length: 3\r\n", NULL),
                    400, "BadRequestHttpException");
    assert_envelope(ask(&world, "GET", client_path(&world, NODE, "/backups"), NULL,
                        "Accept: text/html\r\n", NULL),
                    401, "AuthenticationException");
}

static void every_answer_forbids_caching(void **state)
{
    char value[256];
    struct raw_answer answer =
        ask(&world, "GET", client_path(&world, NODE, "/backups"), world.keys[OWNER], NULL, NULL);
    assert_string_equal(raw_header(&answer, "Cache-Control", value), "no-cache, private");
    assert_string_equal(raw_header(&answer, "ETag", value), "");
    raw_answer_free(&answer);
}

/* ---- dialects ---- */

static const char *code_for(const char *accept)
{
    struct raw_answer answer =
        ask(&world, "DELETE", backup_path(&world, NODE, UNKNOWN, ""), "ptlc_wrong", accept, NULL);
    const char *code =
        strstr(answer.body.data, "InvalidCredentialsException") != NULL ? "extended" : "classic";
    raw_answer_free(&answer);
    return code;
}

static void a_key_may_pin_the_dialect(void **state)
{
    char uuid[UUID_TEXT_BYTES];
    add_backup(&world, NODE, ROW_COMPLETED, uuid);
    assert_string_equal(code_for(NULL), "classic");
    assert_string_equal(code_for(EXTENDED), "extended");
    const char *path = backup_path(&world, NODE, uuid, "/lock");
    expect(&world, "POST", path, world.keys[OWNER], NULL, 200, "\"is_locked\":true");
    run_sql(&world, "INSERT INTO roost_api_keys (api_key_id, dialect)"
                    " SELECT id, 'extended' FROM api_keys");
    expect(&world, "POST", path, world.keys[OWNER], NULL, 204, NULL);
    run_sql(&world, "UPDATE roost_api_keys SET dialect = 'classic'");
    struct raw_answer answer = ask(&world, "POST", path, world.keys[OWNER], EXTENDED, NULL);
    assert_int_equal(answer.status, 200);
    raw_answer_free(&answer);
}

static int start_extended(void **state)
{
    world_start(&world, &(struct panel_config){.dialect = PANEL_DIALECT_EXTENDED});
    return 0;
}

static void the_configuration_may_pin_the_dialect(void **state)
{
    assert_string_equal(code_for(NULL), "extended");
    assert_string_equal(code_for("Accept: application/json\r\n"), "extended");
}

/* ---- traces ---- */

static void the_last_use_of_a_key_is_written_once(void **state)
{
    const char *path = client_path(&world, NODE, "/backups");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, NULL);
    set_key(FRIEND, "allowed_ips", "[\"10.0.0.0/8\"]");
    expect(&world, "GET", path, world.keys[FRIEND], NULL, 403, NULL);
    int64_t used = 0;
    for (int i = 0; i < 50 && used < 2; i++) {
        usleep(100 * 1000);
        used = count_sql(&world, "SELECT COUNT(*) FROM api_keys WHERE last_used_at IS NOT NULL");
    }
    assert_int_equal(used, 2);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM activity_logs WHERE event ="
                                       " 'auth:ip-blocked' AND ip = '127.0.0.1'"),
                     1);
    /* Within the minute it is not written again. */
    run_sql(&world, "UPDATE api_keys SET last_used_at ="
                    " strftime('%Y-%m-%d %H:%M:%S', 'now', '-10 seconds')");
    expect(&world, "GET", path, world.keys[OWNER], NULL, 200, NULL);
    usleep(1500 * 1000);
    assert_int_equal(count_sql(&world, "SELECT COUNT(*) FROM api_keys WHERE last_used_at >"
                                       " strftime('%Y-%m-%d %H:%M:%S', 'now', '-10 seconds')"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_good_key_nothing_is_said, start, stop),
        cmocka_unit_test_setup_teardown(an_expired_or_deleted_key_ends_at_once, start, stop),
        cmocka_unit_test_setup_teardown(the_first_check_that_fails_wins, start, stop),
        cmocka_unit_test_setup_teardown(a_server_has_two_names, start, stop),
        cmocka_unit_test_setup_teardown(administrators_see_every_server_and_subusers_theirs, start,
                                        stop),
        cmocka_unit_test_setup_teardown(every_backup_route_minds_the_servers_state, start, stop),
        cmocka_unit_test_setup_teardown(a_failed_reinstallation_only_stops_restores, start, stop),
        cmocka_unit_test_setup_teardown(a_user_may_call_so_often, start_limited, stop),
        cmocka_unit_test_setup_teardown(what_the_transport_finds_is_said_in_the_same_envelope,
                                        start, stop),
        cmocka_unit_test_setup_teardown(every_answer_forbids_caching, start, stop),
        cmocka_unit_test_setup_teardown(a_key_may_pin_the_dialect, start, stop),
        cmocka_unit_test_setup_teardown(the_configuration_may_pin_the_dialect, start_extended,
                                        stop),
        cmocka_unit_test_setup_teardown(the_last_use_of_a_key_is_written_once, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
