/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypt/mac.h"

static void macs_are_those_of_rfc_4231(void **state)
{
    char long_key[131];
    memset(long_key, 0xaa, sizeof(long_key));
    const struct {
        struct slice key;
        const char *text;
        const char *hex;
    } rows[] = {
        {slice_str(
             "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
         "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {slice_str("Jefe"), "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {slice_of(long_key, sizeof(long_key)),
         "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t mac[MAC_BYTES];
        char hex[2 * MAC_BYTES + 1];
        mac_sha256(rows[i].key, slice_str(rows[i].text), mac);
        hex_encode(mac, sizeof(mac), hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

static void an_empty_key_is_a_key_and_not_the_one_before(void **state)
{
    uint8_t mac[MAC_BYTES];
    char hex[2 * MAC_BYTES + 1];
    mac_sha256(slice_str("Jefe"), slice_str(""), mac);
    mac_sha256(slice_of(NULL, 0), slice_of(NULL, 0), mac);
    hex_encode(mac, sizeof(mac), hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void secrets_are_equal_byte_for_byte(void **state)
{
    assert_true(secret_equal(slice_str("abc"), slice_str("abc")));
    assert_false(secret_equal(slice_str("abc"), slice_str("abd")));
    assert_false(secret_equal(slice_str("abc"), slice_str("ab")));
    assert_false(secret_equal(slice_str(""), slice_str("a")));
    assert_true(secret_equal(slice_of(NULL, 0), slice_str("")));
    assert_false(secret_equal(slice_of("a\0b", 3), slice_of("a\0c", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macs_are_those_of_rfc_4231),
        cmocka_unit_test(an_empty_key_is_a_key_and_not_the_one_before),
        cmocka_unit_test(secrets_are_equal_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
