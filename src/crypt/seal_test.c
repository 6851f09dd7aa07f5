/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "base/text.h"
#include "crypt/mac.h"
#include "crypt/seal.h"

#define APP_KEY "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* bytes 00 to 1f */
#define OTHER_KEY "base64://////////////////////////////////////////8="
#define IV "EBESExQVFhcYGRobHB0eHw==" /* bytes 10 to 1f */
#define VALUE "hqiEX0hBlQEldrsDEs75V6IjZw7IUlOX+lDb5Zgbeelf7ya3gO8rDBdpTpQbNqjb"
#define MAC "e7f6b47136039a3ba40d15b46fda3743190e8b96dc9f0872486ab0a23495d4ee"
#define SECRET "abcdefghijklmnopqrstuvwxyz012345"

static struct seal_keys keys_of(const char *first, const char *second)
{
    struct seal_keys keys = {0};
    struct error err = ERROR_INIT;
    assert_int_equal(seal_keys_add(&keys, first, &err), 0);
    if (second != NULL)
        assert_int_equal(seal_keys_add(&keys, second, &err), 0);
    return keys;
}

static void assert_opens_to(const struct seal_keys *keys, const char *sealed, const char *secret)
{
    scope_buf struct buf opened = BUF_INIT;
    struct error err = ERROR_INIT;
    if (seal_open(keys, sealed, &opened, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(opened.data, secret);
}

static void assert_corrupt(const struct seal_keys *keys, const char *sealed)
{
    scope_buf struct buf opened = BUF_INIT;
    struct error err = ERROR_INIT;
    assert_int_equal(seal_open(keys, sealed, &opened, &err), -1);
    assert_int_equal(err.code, ERROR_CORRUPT);
    assert_int_equal(opened.length, 0);
}

static void assert_json_opens(const char *json)
{
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    scope_buf struct buf sealed = BUF_INIT;
    base64_add(&sealed, slice_str(json));
    assert_opens_to(&keys, sealed.data, SECRET);
}

static void assert_json_corrupt(const char *json)
{
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    scope_buf struct buf sealed = BUF_INIT;
    base64_add(&sealed, slice_str(json));
    assert_corrupt(&keys, sealed.data);
}

static void the_documented_vector_opens(void **state)
{
    assert_json_opens("{\"iv\":\"" IV "\",\"value\":\"" VALUE "\",\"mac\":\"" MAC
                      "\",\"tag\":\"\"}");
}

static void slashes_may_be_escaped(void **state)
{
    /* The vector's value has none; its JSON may spell any other letter in a longer way, too. */
    assert_json_opens("{\"iv\":\"" IV "\",\"value\":\"\\u0068qiEX0hBlQEldrsDEs75V6IjZw7IUlOX+lDb5"
                      "Zgbeelf7ya3gO8rDBdpTpQbNqjb\",\"mac\":\"" MAC "\"}");
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    bool had_slash = false;
    for (int i = 0; i < 100; i++) {
        scope_buf struct buf sealed = BUF_INIT;
        scope_buf struct buf json = BUF_INIT;
        scope_buf struct buf escaped = BUF_INIT;
        scope_buf struct buf again = BUF_INIT;
        seal_string(&keys, SECRET, &sealed);
        assert_true(base64_decode(buf_slice(&sealed), &json));
        for (size_t j = 0; j < json.length; j++) {
            had_slash = had_slash || json.data[j] == '/';
            if (json.data[j] == '/')
                buf_add_char(&escaped, '\\');
            buf_add_char(&escaped, json.data[j]);
        }
        base64_add(&again, buf_slice(&escaped));
        assert_opens_to(&keys, sealed.data, SECRET);
        assert_opens_to(&keys, again.data, SECRET);
    }
    assert_true(had_slash);
}

static void what_is_sealed_opens_again(void **state)
{
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    char longest[SEAL_TEXT_MAX_BYTES + 1] = "";
    memset(longest, 'x', SEAL_TEXT_MAX_BYTES);
    const char *const secrets[] = {"", "a", "\"; s:1:\"", "gr\xc3\xbc\xc3\x9f", SECRET, longest};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        scope_buf struct buf sealed = BUF_INIT;
        seal_string(&keys, secrets[i], &sealed);
        assert_opens_to(&keys, sealed.data, secrets[i]);
        assert_true(secrets[i][0] == '\0' || strstr(sealed.data, secrets[i]) == NULL ||
                    strlen(secrets[i]) == 1);
    }
}

static void the_same_secret_is_sealed_differently_each_time(void **state)
{
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    scope_buf struct buf a = BUF_INIT;
    scope_buf struct buf b = BUF_INIT;
    seal_string(&keys, SECRET, &a);
    seal_string(&keys, SECRET, &b);
    assert_string_not_equal(a.data, b.data);
}

static void previous_keys_open_and_the_first_seals(void **state)
{
    struct seal_keys before = keys_of(APP_KEY, NULL);
    struct seal_keys rotated = keys_of(OTHER_KEY, APP_KEY);
    scope_buf struct buf old = BUF_INIT;
    scope_buf struct buf new = BUF_INIT;
    seal_string(&before, SECRET, &old);
    seal_string(&rotated, SECRET, &new);
    assert_opens_to(&rotated, old.data, SECRET);
    assert_opens_to(&rotated, new.data, SECRET);
    assert_corrupt(&before, new.data);
}

static void every_changed_byte_is_noticed(void **state)
{
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    scope_buf struct buf json = BUF_INIT;
    buf_add_str(&json, "{\"iv\":\"" IV "\",\"value\":\"" VALUE "\",\"mac\":\"" MAC "\"}");
    size_t end = json.length - strlen("\"}");
    for (size_t i = strlen("{\"iv\":\""); i < end; i++) {
        scope_buf struct buf sealed = BUF_INIT;
        char kept = json.data[i];
        json.data[i] = kept == '1' ? '2' : '1';
        base64_add(&sealed, buf_slice(&json));
        json.data[i] = kept;
        assert_corrupt(&keys, sealed.data);
    }
}

static void what_is_no_envelope_is_corrupt(void **state)
{
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    assert_corrupt(&keys, "");
    assert_corrupt(&keys, "plain text");
    assert_corrupt(&keys, "e30"); /* without its padding */
    assert_json_corrupt("{}");
    assert_json_corrupt("[]");
    assert_json_corrupt("{\"iv\":1,\"value\":2,\"mac\":3}");
    assert_json_corrupt("{\"iv\":\"" IV "\",\"value\":\"" VALUE "\",\"mac\":\"\"}");
    assert_json_corrupt("{\"iv\":\"" IV "\",\"value\":\"" VALUE "\",\"mac\":\"" MAC "00\"}");
    scope_buf struct buf endless = BUF_INIT;
    while (endless.length < 100000)
        buf_add_str(&endless, "AAAA");
    assert_corrupt(&keys, endless.data);
    struct seal_keys none = {0};
    scope_buf struct buf sealed = BUF_INIT;
    seal_string(&keys, SECRET, &sealed);
    assert_corrupt(&none, sealed.data);
}

/* Rightly authenticated, wrong inside: who holds the key may still have written something else. */
static void a_good_mac_does_not_vouch_for_the_rest(void **state)
{
    static const struct {
        const char *iv;
        const char *value;
    } rows[] = {
        {"", ""},
        {IV, ""},
        {IV, "AAAA"},
        {IV, "not base64"},
        {"AAAA", VALUE},
        {IV "AAAA", VALUE},
        {"EBESExQVFhcYGRobHB0eHQ==", VALUE}, /* flips a bit of the first block's end */
    };
    struct seal_keys keys = keys_of(APP_KEY, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_buf struct buf text = BUF_INIT;
        scope_buf struct buf json = BUF_INIT;
        uint8_t mac[MAC_BYTES];
        char hex[2 * MAC_BYTES + 1];
        buf_printf(&text, "%s%s", rows[i].iv, rows[i].value);
        mac_sha256(slice_of(keys.keys[0], SEAL_KEY_BYTES), buf_slice(&text), mac);
        hex_encode(mac, sizeof(mac), hex);
        buf_printf(&json, "{\"iv\":\"%s\",\"value\":\"%s\",\"mac\":\"%s\"}", rows[i].iv,
                   rows[i].value, hex);
        if (i + 1 < sizeof(rows) / sizeof(rows[0])) {
            assert_json_corrupt(json.data);
        } else {
            /* CBC: that bit is a letter of the secret, and only the MAC could have told. */
            scope_buf struct buf sealed = BUF_INIT;
            scope_buf struct buf opened = BUF_INIT;
            struct error err = ERROR_INIT;
            base64_add(&sealed, buf_slice(&json));
            assert_int_equal(seal_open(&keys, sealed.data, &opened, &err), 0);
            assert_string_not_equal(opened.data, SECRET);
        }
    }
}

static void keys_are_32_bytes_in_base64(void **state)
{
    static const char *const bad[] = {
        "",
        "base64:",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",
        "base64:!!!!",
    };
    struct seal_keys keys = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(seal_keys_add(&keys, bad[i], &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        assert_null(strstr(err.text, "AAEC"));
        assert_int_equal(keys.count, 0);
    }
    struct error err = ERROR_INIT;
    for (int i = 0; i < SEAL_KEYS_MAX; i++)
        assert_int_equal(seal_keys_add(&keys, APP_KEY, &err), 0);
    assert_int_equal(seal_keys_add(&keys, APP_KEY, &err), -1);
    assert_int_equal(err.code, ERROR_INVALID);
}

static void a_made_key_is_fresh_and_fits(void **state)
{
    scope_buf struct buf a = BUF_INIT;
    scope_buf struct buf b = BUF_INIT;
    seal_key_make(&a);
    seal_key_make(&b);
    assert_string_not_equal(a.data, b.data);
    struct seal_keys keys = keys_of(a.data, b.data);
    assert_int_equal(keys.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_vector_opens),
        cmocka_unit_test(slashes_may_be_escaped),
        cmocka_unit_test(what_is_sealed_opens_again),
        cmocka_unit_test(the_same_secret_is_sealed_differently_each_time),
        cmocka_unit_test(previous_keys_open_and_the_first_seals),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(what_is_no_envelope_is_corrupt),
        cmocka_unit_test(a_good_mac_does_not_vouch_for_the_rest),
        cmocka_unit_test(keys_are_32_bytes_in_base64),
        cmocka_unit_test(a_made_key_is_fresh_and_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
