/* SPDX-License-Identifier: Apache-2.0 */
/* API keys, and nodes: what carries a sealed secret. */
#include "db/api_key.h"
#include "db/fixture.h"

static void assert_opens_to(const char *sealed, const char *secret)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    scope_buf struct buf opened = BUF_INIT;
    assert_ok(seal_open(&keys, sealed, &opened, &err));
    assert_string_equal(opened.data, secret);
}

static void a_key_is_found_by_its_identifier_and_opens_to_its_secret(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    struct api_key key = {.user_id = fixture_add_user(session, "ann"),
                          .type = API_KEY_CLIENT,
                          .dialect = API_KEY_DIALECT_EXTENDED,
                          .allowed_ips = "[\"192.0.2.0/24\"]",
                          .memo = "console",
                          .expires_at_us = INT64_C(1697812200000000)};
    char token[API_KEY_TOKEN_BYTES];
    assert_ok(api_key_create(session, &keys, &key, token, &err));
    assert_ok(db_commit(session, &err));
    assert_int_equal(strlen(token), 48);
    assert_memory_equal(token, "ptlc_", 5);
    assert_memory_equal(token, key.identifier, 16);
    assert_int_equal(strspn(token + 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789"),
                     43);
    struct api_key found;
    assert_int_equal(api_key_find(fixture_reader(*state), key.identifier, &found, &err), 1);
    assert_int_equal(found.id, key.id);
    assert_int_equal(found.user_id, key.user_id);
    assert_int_equal(found.type, API_KEY_CLIENT);
    assert_int_equal(found.dialect, API_KEY_DIALECT_EXTENDED);
    assert_string_equal(found.identifier, key.identifier);
    assert_string_equal(found.allowed_ips, "[\"192.0.2.0/24\"]");
    assert_string_equal(found.memo, "console");
    assert_int_equal(found.last_used_at_us, 0);
    assert_int_equal(found.expires_at_us, key.expires_at_us);
    assert_opens_to(found.sealed_secret, token + API_KEY_IDENTIFIER_LENGTH);
    assert_null(strstr(found.sealed_secret, token + API_KEY_IDENTIFIER_LENGTH));
    api_key_free(&found);
}

static void an_application_key_says_so_and_what_is_not_given_is_absent(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    struct api_key key = {.user_id = fixture_add_user(session, "ann"), .type = API_KEY_APPLICATION};
    char token[API_KEY_TOKEN_BYTES];
    assert_ok(api_key_create(session, &keys, &key, token, &err));
    assert_memory_equal(token, "ptla_", 5);
    struct api_key found;
    assert_int_equal(api_key_find(session, key.identifier, &found, &err), 1);
    assert_int_equal(found.type, API_KEY_APPLICATION);
    assert_int_equal(found.dialect, API_KEY_DIALECT_AUTO);
    assert_null(found.allowed_ips);
    assert_null(found.memo);
    assert_int_equal(found.expires_at_us, 0);
    api_key_free(&found);
    db_rollback(session);
}

static void the_case_of_an_identifier_counts(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    struct api_key key = {.user_id = fixture_add_user(session, "ann"), .type = API_KEY_CLIENT};
    char token[API_KEY_TOKEN_BYTES];
    assert_ok(api_key_create(session, &keys, &key, token, &err));
    struct api_key found;
    key.identifier[0] = 'P';
    assert_int_equal(api_key_find(session, key.identifier, &found, &err), 0);
    assert_int_equal(api_key_find(session, "", &found, &err), 0);
    assert_int_equal(api_key_find(session, "ptlc_' OR '1'='1", &found, &err), 0);
    db_rollback(session);
}

static void a_user_has_at_most_25_keys_of_a_type(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    char token[API_KEY_TOKEN_BYTES];
    struct api_key key = {.user_id = fixture_add_user(session, "ann"), .type = API_KEY_CLIENT};
    for (int i = 0; i < API_KEYS_MAX_PER_USER; i++)
        assert_ok(api_key_create(session, &keys, &key, token, &err));
    assert_fails(api_key_create(session, &keys, &key, token, &err), ERROR_LIMIT);
    key.type = API_KEY_APPLICATION;
    assert_ok(api_key_create(session, &keys, &key, token, &err));
    key = (struct api_key){.user_id = fixture_add_user(session, "bob"), .type = API_KEY_CLIENT};
    assert_ok(api_key_create(session, &keys, &key, token, &err));
    key.user_id = 999;
    assert_fails(api_key_create(session, &keys, &key, token, &err), ERROR_CONFLICT);
    db_rollback(session);
}

static void use_is_noted_and_a_deleted_key_is_gone(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    char token[API_KEY_TOKEN_BYTES];
    struct api_key key = {.user_id = fixture_add_user(session, "ann"),
                          .type = API_KEY_CLIENT,
                          .dialect = API_KEY_DIALECT_CLASSIC};
    assert_ok(api_key_create(session, &keys, &key, token, &err));
    assert_ok(api_key_touch(session, key.id, INT64_C(1697812200999999), &err));
    assert_ok(api_key_touch(session, key.id + 1, 1000000, &err));
    struct api_key found;
    assert_int_equal(api_key_find(session, key.identifier, &found, &err), 1);
    assert_int_equal(found.last_used_at_us, INT64_C(1697812200000000));
    assert_int_equal(found.dialect, API_KEY_DIALECT_CLASSIC);
    api_key_free(&found);
    assert_ok(api_key_delete(session, key.identifier, &err));
    assert_fails(api_key_delete(session, key.identifier, &err), ERROR_NOT_FOUND);
    assert_int_equal(api_key_find(session, key.identifier, &found, &err), 0);
    db_rollback(session);
}

static int count_key(const struct api_key *key, void *context, struct error *err)
{
    *(int *)context += key->sealed_secret != NULL && strlen(key->identifier) == 16 ? 1 : 0;
    return 0;
}

static void keys_are_walked_for_one_user_or_all_and_go_with_their_user(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    char token[API_KEY_TOKEN_BYTES];
    int64_t owners[] = {fixture_add_user(session, "ann"), fixture_add_user(session, "bob")};
    for (int i = 0; i < 3; i++) {
        struct api_key key = {.user_id = owners[i % 2], .type = API_KEY_CLIENT};
        assert_ok(api_key_create(session, &keys, &key, token, &err));
    }
    int all = 0;
    int anns = 0;
    assert_ok(api_key_each(session, 0, count_key, &all, &err));
    assert_ok(api_key_each(session, owners[0], count_key, &anns, &err));
    assert_int_equal(all, 3);
    assert_int_equal(anns, 2);
    assert_ok(user_delete(session, owners[0], &err));
    all = 0;
    assert_ok(api_key_each(session, 0, count_key, &all, &err));
    assert_int_equal(all, 1);
    db_rollback(session);
}

static void a_node_is_found_by_each_of_its_names(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    scope_buf struct buf token = BUF_INIT;
    struct node node = {.name = "node-1",
                        .fqdn = "node1.example.org",
                        .scheme = "https",
                        .daemon_port = 65535,
                        .is_behind_proxy = true,
                        .is_in_maintenance = true};
    assert_ok(node_create(session, &keys, &node, &token, &err));
    assert_int_equal(token.length, NODE_TOKEN_LENGTH);
    assert_int_equal(strlen(node.token_id), NODE_TOKEN_ID_LENGTH);
    assert_true(uuid_is_canonical(node.uuid));
    assert_ok(db_commit(session, &err));
    struct db_session *reader = fixture_reader(*state);
    struct node found[4];
    assert_int_equal(node_find(reader, node.id, &found[0], &err), 1);
    assert_int_equal(node_find_by_token_id(reader, node.token_id, &found[1], &err), 1);
    assert_int_equal(node_find_by_name(reader, "node-1", &found[2], &err), 1);
    assert_int_equal(node_find_by_name(reader, node.uuid, &found[3], &err), 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(found[i].id, node.id);
        assert_string_equal(found[i].uuid, node.uuid);
        assert_string_equal(found[i].name, "node-1");
        assert_string_equal(found[i].fqdn, "node1.example.org");
        assert_string_equal(found[i].scheme, "https");
        assert_int_equal(found[i].daemon_port, 65535);
        assert_true(found[i].is_behind_proxy);
        assert_true(found[i].is_in_maintenance);
        assert_string_equal(found[i].token_id, node.token_id);
        assert_opens_to(found[i].sealed_token, token.data);
        node_free(&found[i]);
    }
    node.token_id[0] ^= 0x20;
    assert_int_equal(node_find_by_token_id(reader, node.token_id, &found[0], &err), 0);
    assert_int_equal(node_find_by_name(reader, "node-2", &found[0], &err), 0);
    assert_int_equal(node_find(reader, node.id + 1, &found[0], &err), 0);
}

static void a_node_changes_its_address_and_its_maintenance(void **state)
{
    struct error err = ERROR_INIT;
    struct db_session *session = fixture_begin(*state);
    int64_t id = fixture_add_node(session, "node-1");
    assert_ok(node_set_address(session, id, "https", "198.51.100.7", 443, &err));
    assert_ok(node_set_maintenance(session, id, true, &err));
    struct node found;
    assert_int_equal(node_find(session, id, &found, &err), 1);
    assert_string_equal(found.scheme, "https");
    assert_string_equal(found.fqdn, "198.51.100.7");
    assert_int_equal(found.daemon_port, 443);
    assert_true(found.is_in_maintenance);
    node_free(&found);
    assert_ok(node_set_maintenance(session, id, false, &err));
    assert_int_equal(node_find(session, id, &found, &err), 1);
    assert_false(found.is_in_maintenance);
    node_free(&found);
    assert_fails(node_set_address(session, id + 1, "http", "x", 1, &err), ERROR_NOT_FOUND);
    assert_fails(node_set_maintenance(session, id + 1, true, &err), ERROR_NOT_FOUND);
    db_rollback(session);
}

static int collect_node(const struct node *node, void *context, struct error *err)
{
    buf_printf(context, "%s ", node->name);
    return 0;
}

static void a_node_with_servers_stays_and_names_are_taken_once(void **state)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    struct db_session *session = fixture_begin(*state);
    int64_t busy = fixture_add_node(session, "busy");
    int64_t idle = fixture_add_node(session, "idle");
    int64_t server = fixture_add_server(session, busy, fixture_add_user(session, "ann"));
    scope_buf struct buf token = BUF_INIT;
    struct node again = {.name = "busy", .fqdn = "x"};
    assert_fails(node_create(session, &keys, &again, &token, &err), ERROR_CONFLICT);
    assert_int_equal(token.length, 0);
    assert_fails(node_delete(session, busy, &err), ERROR_CONFLICT);
    assert_ok(node_delete(session, idle, &err));
    assert_fails(node_delete(session, idle, &err), ERROR_NOT_FOUND);
    fixture_add_node(session, "third");
    scope_buf struct buf names = BUF_INIT;
    assert_ok(node_each(session, collect_node, &names, &err));
    assert_string_equal(names.data, "busy third ");
    assert_ok(server_delete(session, server, &err));
    assert_ok(node_delete(session, busy, &err));
    db_rollback(session);
}

#define with_database(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_database(a_key_is_found_by_its_identifier_and_opens_to_its_secret),
        with_database(an_application_key_says_so_and_what_is_not_given_is_absent),
        with_database(the_case_of_an_identifier_counts),
        with_database(a_user_has_at_most_25_keys_of_a_type),
        with_database(use_is_noted_and_a_deleted_key_is_gone),
        with_database(keys_are_walked_for_one_user_or_all_and_go_with_their_user),
        with_database(a_node_is_found_by_each_of_its_names),
        with_database(a_node_changes_its_address_and_its_maintenance),
        with_database(a_node_with_servers_stays_and_names_are_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
