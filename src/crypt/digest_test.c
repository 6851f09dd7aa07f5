/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "base/thread.h"
#include "crypt/digest.h"

static void digests_are_those_of_fips_180(void **state)
{
    static const struct {
        enum digest_type type;
        const char *text;
        const char *hex;
    } rows[] = {
        {DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {DIGEST_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct digest digest;
        char hex[DIGEST_HEX_BYTES];
        digest_of(rows[i].type, slice_str(rows[i].text), &digest);
        digest_hex(&digest, hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

static void a_stream_has_the_digest_of_its_bytes_however_it_is_cut(void **state)
{
    char bytes[1000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    struct digest whole;
    digest_of(DIGEST_SHA256, slice_of(bytes, sizeof(bytes)), &whole);
    for (size_t step = 1; step < 200; step += 13) {
        struct digester *digester = digester_create(DIGEST_SHA256);
        for (size_t at = 0; at < sizeof(bytes); at += step)
            digester_add(digester, bytes + at,
                         sizeof(bytes) - at < step ? sizeof(bytes) - at : step);
        struct digest digest;
        digester_finish(digester, &digest);
        digester_free(digester);
        assert_true(digest_equal(&digest, &whole));
    }
}

static void names_and_texts_go_both_ways(void **state)
{
    enum digest_type type = DIGEST_SHA256;
    assert_true(digest_type_parse("sha1", &type));
    assert_int_equal(type, DIGEST_SHA1);
    assert_true(digest_type_parse(digest_type_name(DIGEST_SHA256), &type));
    assert_int_equal(type, DIGEST_SHA256);
    assert_false(digest_type_parse("SHA1", &type));
    assert_false(digest_type_parse("md5", &type));
    assert_false(digest_type_parse("", &type));
    assert_int_equal(type, DIGEST_SHA256); /* untouched */

    struct digest digest;
    assert_true(digest_parse(DIGEST_SHA1, "A9993E364706816ABA3E25717850C26C9CD0D89D", &digest));
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&digest, hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_false(digest_parse(DIGEST_SHA256, hex, &digest));
    assert_false(digest_parse(DIGEST_SHA1, "", &digest));
    assert_false(digest_parse(DIGEST_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89dff", &digest));
    assert_false(digest_parse(DIGEST_SHA1, "g9993e364706816aba3e25717850c26c9cd0d89d", &digest));
}

static void digests_of_two_types_are_never_equal(void **state)
{
    struct digest a = {.type = DIGEST_SHA256};
    struct digest b = {.type = DIGEST_SHA1};
    assert_false(digest_equal(&a, &b));
    b.type = DIGEST_SHA256;
    assert_true(digest_equal(&a, &b));
    b.bytes[31] = 1;
    assert_false(digest_equal(&a, &b));
}

static void *hash_often(void *argument)
{
    for (int i = 0; i < 200; i++)
        digest_of(DIGEST_SHA1, slice_str("abc"), argument);
    return NULL;
}

static void threads_may_hash_at_once(void **state)
{
    struct digest digests[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start("hash", hash_often, &digests[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    char hex[DIGEST_HEX_BYTES];
    for (int i = 0; i < 4; i++) {
        digest_hex(&digests[i], hex);
        assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_may_hash_at_once), /* first: it races for the fetching */
        cmocka_unit_test(digests_are_those_of_fips_180),
        cmocka_unit_test(a_stream_has_the_digest_of_its_bytes_however_it_is_cut),
        cmocka_unit_test(names_and_texts_go_both_ways),
        cmocka_unit_test(digests_of_two_types_are_never_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
