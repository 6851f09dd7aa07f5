/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/node_api.h"
#include "crypt/jwt.h"

#define KEY "0123456789012345678901234567890123456789012345678901234567890123"

static const char *const permissions[] = {"backup.read", "websocket.connect", NULL};

static const struct node_token_grant grant = {
    .issuer = "https://panel",
    .audience = "https://node:8080",
    .token = KEY,
    .server_uuid = "11111111-1111-4111-8111-111111111111",
    .backup_uuid = "22222222-2222-4222-8222-222222222222",
    .user_uuid = "33333333-3333-4333-8333-333333333333",
    .user_id = 7,
    .permissions = permissions,
    .now_s = 1700000000,
    .lifetime_s = 900,
};

static json_t *verify(const struct buf *token, const char *scope, int64_t now_s)
{
    struct error err = ERROR_INIT;
    return jwt_verify(buf_slice(token), slice_str(KEY), scope, now_s, &err);
}

static void a_download_token_opens_one_backup_for_its_time(void **state)
{
    scope_buf struct buf token = BUF_INIT;
    node_api_sign_download(&token, &grant);
    assert_null(verify(&token, NODE_SCOPE_WEBSOCKET, grant.now_s));
    assert_null(verify(&token, NODE_SCOPE_DOWNLOAD, grant.now_s + 901));
    json_t *claims = verify(&token, NODE_SCOPE_DOWNLOAD, grant.now_s + 899);
    assert_non_null(claims);
    assert_string_equal(json_get_string(claims, "backup_uuid", ""), grant.backup_uuid);
    assert_string_equal(json_get_string(claims, "server_uuid", ""), grant.server_uuid);
    assert_string_equal(json_get_string(claims, "user_uuid", ""), grant.user_uuid);
    assert_string_equal(json_get_string(claims, "iss", ""), "https://panel");
    assert_int_equal(json_get_int(claims, "user_id", 0), 7);
    assert_int_equal(json_get_int(claims, "iat", 0), grant.now_s);
    assert_int_equal(json_get_int(claims, "nbf", 0), grant.now_s - 300);
    assert_int_equal(json_get_int(claims, "exp", 0), grant.now_s + 900);
    assert_int_equal(strlen(json_get_string(claims, "unique_id", "")), 16);
    assert_int_equal(strlen(json_get_string(claims, "jti", "")), 64);
    const json_t *audience = json_array_get(json_object_get(claims, "aud"), 0);
    assert_string_equal(json_string_value(audience), "https://node:8080");
    json_decref(claims);
}

static void two_tokens_are_never_the_same(void **state)
{
    scope_buf struct buf first = BUF_INIT;
    scope_buf struct buf second = BUF_INIT;
    node_api_sign_download(&first, &grant);
    node_api_sign_download(&second, &grant);
    assert_string_not_equal(first.data, second.data);
}

static void a_websocket_token_carries_permissions(void **state)
{
    scope_buf struct buf token = BUF_INIT;
    node_api_sign_websocket(&token, &grant);
    assert_null(verify(&token, NODE_SCOPE_DOWNLOAD, grant.now_s));
    json_t *claims = verify(&token, NODE_SCOPE_WEBSOCKET, grant.now_s);
    assert_non_null(claims);
    const json_t *list = json_object_get(claims, "permissions");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 0)), "backup.read");
    assert_null(json_object_get(claims, "backup_uuid"));
    json_decref(claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_download_token_opens_one_backup_for_its_time),
        cmocka_unit_test(two_tokens_are_never_the_same),
        cmocka_unit_test(a_websocket_token_carries_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
