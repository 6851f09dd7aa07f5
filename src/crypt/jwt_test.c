/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypt/jwt.h"
#include "crypt/mac.h"

#define KEY "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define SCOPE_NAME "backup-download"
#define GOOD_HEADER "{\"typ\":\"JWT\",\"alg\":\"HS256\",\"jti\":\"abc\"}"
#define GOOD_CLAIMS "{\"exp\":2000,\"scope\":\"backup-download\"}"

/* GOOD_HEADER and GOOD_CLAIMS, computed by another program. */
static const char foreign_token[] = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImp0aSI6ImFiYyJ9"
                                    ".eyJleHAiOjIwMDAsInNjb3BlIjoiYmFja3VwLWRvd25sb2FkIn0"
                                    ".-ZlBwwzeFDa6Ds3E3n7TyL6xfdhSu6R28ftfbXnu-oc";

/* Any header and any claims, rightly signed. */
static void forge(struct buf *token, const char *header, const char *claims)
{
    uint8_t mac[MAC_BYTES];
    base64url_add(token, slice_str(header));
    buf_add_char(token, '.');
    base64url_add(token, slice_str(claims));
    mac_sha256(slice_str(KEY), buf_slice(token), mac);
    buf_add_char(token, '.');
    base64url_add(token, slice_of(mac, sizeof(mac)));
}

static json_t *verify_at(struct slice token, int64_t now_s, struct error *err)
{
    return jwt_verify(token, slice_str(KEY), SCOPE_NAME, now_s, err);
}

static void assert_refused(struct slice token, const char *reason)
{
    struct error err = ERROR_INIT;
    assert_null(verify_at(token, 1000, &err));
    assert_int_equal(err.code, ERROR_DENIED);
    if (strstr(err.text, reason) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void assert_claims_refused(const char *claims, const char *reason)
{
    scope_buf struct buf token = BUF_INIT;
    forge(&token, GOOD_HEADER, claims);
    assert_refused(buf_slice(&token), reason);
}

static void assert_claims_taken(const char *claims)
{
    scope_buf struct buf token = BUF_INIT;
    forge(&token, GOOD_HEADER, claims);
    struct error err = ERROR_INIT;
    scope_json json_t *read = verify_at(buf_slice(&token), 1000, &err);
    if (read == NULL)
        fail_msg("%s: %s", claims, err.text);
}

static void a_token_is_signed_as_others_sign_it(void **state)
{
    scope_buf struct buf token = BUF_INIT;
    buf_add_str(&token, "Bearer ");
    jwt_sign(&token, slice_str(KEY), "abc", slice_str(GOOD_CLAIMS));
    assert_string_equal(token.data + strlen("Bearer "), foreign_token);
}

static void a_good_token_gives_its_claims(void **state)
{
    struct error err = ERROR_INIT;
    scope_json json_t *claims = verify_at(slice_str(foreign_token), 1999, &err);
    assert_non_null(claims);
    assert_int_equal(json_get_int(claims, "exp", 0), 2000);
}

static void a_token_ends_with_the_second_of_exp(void **state)
{
    struct error err = ERROR_INIT;
    assert_null(verify_at(slice_str(foreign_token), 2000, &err));
    assert_int_equal(err.code, ERROR_DENIED);
    assert_claims_refused("{\"exp\":1000,\"scope\":\"backup-download\"}", "expired");
    assert_claims_refused("{\"exp\":-5,\"scope\":\"backup-download\"}", "expired");
    assert_claims_taken("{\"exp\":1001,\"scope\":\"backup-download\"}");
    assert_claims_taken("{\"exp\":9223372036854775807,\"scope\":\"backup-download\"}");
}

static void exp_is_required_and_an_integer(void **state)
{
    assert_claims_refused("{\"scope\":\"backup-download\"}", "'exp'");
    assert_claims_refused("{\"exp\":null,\"scope\":\"backup-download\"}", "'exp'");
    assert_claims_refused("{\"exp\":\"2000\",\"scope\":\"backup-download\"}", "'exp'");
    assert_claims_refused("{\"exp\":2000.5,\"scope\":\"backup-download\"}", "'exp'");
    assert_claims_refused("{\"exp\":99999999999999999999,\"scope\":\"backup-download\"}", "body");
}

static void a_clock_may_differ_by_the_leeway(void **state)
{
    assert_claims_taken("{\"exp\":2000,\"nbf\":1060,\"scope\":\"backup-download\"}");
    assert_claims_taken("{\"exp\":2000,\"iat\":1060,\"scope\":\"backup-download\"}");
    assert_claims_refused("{\"exp\":2000,\"nbf\":1061,\"scope\":\"backup-download\"}", "'nbf'");
    assert_claims_refused("{\"exp\":2000,\"iat\":1061,\"scope\":\"backup-download\"}", "'iat'");
    assert_claims_refused("{\"exp\":2000,\"nbf\":\"1\",\"scope\":\"backup-download\"}", "'nbf'");
    assert_claims_refused("{\"exp\":2000,\"iat\":null,\"scope\":\"backup-download\"}", "'iat'");
}

static void the_scope_is_one_word_of_the_list(void **state)
{
    assert_claims_taken("{\"exp\":2000,\"scope\":\"a backup-download b\"}");
    assert_claims_taken("{\"exp\":2000,\"scope\":\"a backup-download\"}");
    assert_claims_refused("{\"exp\":2000}", "scope");
    assert_claims_refused("{\"exp\":2000,\"scope\":\"\"}", "scope");
    assert_claims_refused("{\"exp\":2000,\"scope\":\"backup\"}", "scope");
    assert_claims_refused("{\"exp\":2000,\"scope\":\"backup-downloads\"}", "scope");
    assert_claims_refused("{\"exp\":2000,\"scope\":\"xbackup-download\"}", "scope");
    assert_claims_refused("{\"exp\":2000,\"scope\":[\"backup-download\"]}", "scope");
}

static void no_other_algorithm_is_taken(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS512\"}",
        "{\"alg\":\"RS256\"}",
        "{\"alg\":null}",
        "{\"typ\":\"JWT\"}",
        "{\"alg\":[\"HS256\"]}",
        "[\"HS256\"]",
        "HS256",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        scope_buf struct buf token = BUF_INIT;
        forge(&token, headers[i], GOOD_CLAIMS);
        assert_refused(buf_slice(&token), "");
    }
    /* The classic: no algorithm and no signature. */
    scope_buf struct buf unsigned_token = BUF_INIT;
    base64url_add(&unsigned_token, slice_str("{\"alg\":\"none\"}"));
    buf_add_char(&unsigned_token, '.');
    base64url_add(&unsigned_token, slice_str(GOOD_CLAIMS));
    buf_add_char(&unsigned_token, '.');
    assert_refused(buf_slice(&unsigned_token), "signature");
}

static void extensions_that_must_be_understood_are_refused(void **state)
{
    scope_buf struct buf token = BUF_INIT;
    forge(&token, "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", GOOD_CLAIMS);
    assert_refused(buf_slice(&token), "extensions");
}

static void every_changed_byte_is_noticed(void **state)
{
    for (size_t i = 0; i < strlen(foreign_token); i++) {
        char token[sizeof(foreign_token)];
        memcpy(token, foreign_token, sizeof(token));
        token[i] = token[i] == 'A' ? 'B' : 'A';
        assert_refused(slice_str(token), "the token");
    }
    for (size_t length = 0; length < strlen(foreign_token); length++)
        assert_refused(slice_of(foreign_token, length), "the token");
}

static void another_key_or_none_does_not_open(void **state)
{
    struct error err = ERROR_INIT;
    assert_null(jwt_verify(slice_str(foreign_token), slice_str("other"), SCOPE_NAME, 1000, &err));
    assert_int_equal(err.code, ERROR_DENIED);

    /* Signed with the empty key, as anybody can. */
    scope_buf struct buf token = BUF_INIT;
    uint8_t mac[MAC_BYTES];
    base64url_add(&token, slice_str(GOOD_HEADER));
    buf_add_char(&token, '.');
    base64url_add(&token, slice_str(GOOD_CLAIMS));
    mac_sha256(slice_str(""), buf_slice(&token), mac);
    buf_add_char(&token, '.');
    base64url_add(&token, slice_of(mac, sizeof(mac)));
    error_clear(&err);
    assert_null(jwt_verify(buf_slice(&token), slice_str(""), SCOPE_NAME, 1000, &err));
    assert_int_equal(err.code, ERROR_DENIED);
}

static void the_form_is_three_strict_parts(void **state)
{
    scope_buf struct buf token = BUF_INIT;
    assert_refused(slice_str(""), "three parts");
    assert_refused(slice_str("."), "three parts");
    assert_refused(slice_str(".."), "signature");
    buf_add_str(&token, foreign_token);
    buf_add_str(&token, "=");
    assert_refused(buf_slice(&token), "signature");
    buf_clear(&token);
    buf_add_str(&token, foreign_token);
    buf_add_str(&token, ".");
    assert_refused(buf_slice(&token), "three parts");
    buf_clear(&token);
    buf_add_str(&token, " ");
    buf_add_str(&token, foreign_token);
    assert_refused(buf_slice(&token), "signature");
    /* The last letter of 43 carries two bits that no encoder sets. */
    buf_clear(&token);
    buf_add_str(&token, foreign_token);
    token.data[token.length - 1] = 'd';
    assert_refused(buf_slice(&token), "signature");
}

static void a_token_over_the_limit_is_refused_unread(void **state)
{
    scope_buf struct buf claims = BUF_INIT;
    buf_add_str(&claims, "{\"exp\":2000,\"scope\":\"backup-download\",\"x\":\"");
    while (claims.length < JWT_MAX_BYTES)
        buf_add_char(&claims, 'x');
    buf_add_str(&claims, "\"}");
    assert_claims_refused(claims.data, "longer");
}

static void reasons_never_quote_the_token(void **state)
{
    scope_buf struct buf token = BUF_INIT;
    forge(&token, GOOD_HEADER, "{\"exp\":2000 hunter2}");
    struct error err = ERROR_INIT;
    assert_null(verify_at(buf_slice(&token), 1000, &err));
    assert_null(strstr(err.text, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_signed_as_others_sign_it),
        cmocka_unit_test(a_good_token_gives_its_claims),
        cmocka_unit_test(a_token_ends_with_the_second_of_exp),
        cmocka_unit_test(exp_is_required_and_an_integer),
        cmocka_unit_test(a_clock_may_differ_by_the_leeway),
        cmocka_unit_test(the_scope_is_one_word_of_the_list),
        cmocka_unit_test(no_other_algorithm_is_taken),
        cmocka_unit_test(extensions_that_must_be_understood_are_refused),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(another_key_or_none_does_not_open),
        cmocka_unit_test(the_form_is_three_strict_parts),
        cmocka_unit_test(a_token_over_the_limit_is_refused_unread),
        cmocka_unit_test(reasons_never_quote_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
