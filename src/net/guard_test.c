/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/guard.h"
#include "net/http.h"

#define FIELD(n, v)                                                                                \
    {                                                                                              \
        .name = {n, sizeof(n) - 1}, .value = { v, sizeof(v) - 1 }                                  \
    }
#define HOST FIELD("Host", "roost.example:8080")

struct row {
    const char *claim;
    struct guard_field fields[4];
    const char *version, *target; /* NULL: HTTP/1.1, / */
    unsigned status;
};

static const struct row rows[] = {
    {"a plain request passes", {HOST}},
    {"a length passes", {HOST, FIELD("Content-Length", "5")}},
    {"chunked passes in any case", {HOST, FIELD("transfer-ENCODING", "Chunked")}},
    {"1.0 passes", {HOST}, "HTTP/1.0"},
    {"a tab in a value passes", {HOST, FIELD("X", "a\tb")}},
    {"bytes beyond ASCII in a value pass", {HOST, FIELD("X", "\xc3\xa4")}},
    {"an IPv6 host passes", {FIELD("Host", "[::1]:80")}},
    {"escapes pass", {HOST}, NULL, "/a%20b%ff?x=%zz"},
    {"this host's absolute form passes", {HOST}, NULL, "http://ROOST.example:8080/a"},

    {"no host", {FIELD("X", "y")}, .status = 400},
    {"no host in 1.0", {FIELD("X", "y")}, "HTTP/1.0", .status = 400},
    {"two hosts", {HOST, HOST}, .status = 400},
    {"two hosts, two cases", {HOST, FIELD("hOST", "b")}, .status = 400},
    {"an empty host", {FIELD("Host", "")}, .status = 400},
    {"a host with a path", {FIELD("Host", "a/b")}, .status = 400},
    {"a host with a user", {FIELD("Host", "a@b")}, .status = 400},
    {"a blank before the colon", {HOST, FIELD("Content-Length ", "5")}, .status = 400},
    {"a tab before the colon", {HOST, FIELD("Content-Length\t", "5")}, .status = 400},
    {"a blank before the name", {HOST, FIELD(" X", "5")}, .status = 400},
    {"an empty name", {HOST, FIELD("", "5")}, .status = 400},
    {"a name with a colon", {HOST, FIELD("X:Y", "5")}, .status = 400},
    {"a name with NUL", {HOST, FIELD("X\0Y", "5")}, .status = 400},
    {"a name beyond ASCII", {HOST, FIELD("X\xc3\xa4", "5")}, .status = 400},
    {"a folded length", {HOST, FIELD("Content-Length0", "1")}, .status = 400},
    {"a folded coding", {HOST, FIELD("Transfer-Encodingx", "chunked")}, .status = 400},
    {"a control byte", {HOST, FIELD("X", "a\x01")}, .status = 400},
    {"DEL", {HOST, FIELD("X", "a\x7f")}, .status = 400},
    {"NUL in a value", {HOST, FIELD("X", "a\0b")}, .status = 400},
    {"a bare CR", {HOST, FIELD("X", "a\rContent-Length: 5")}, .status = 400},
    {"two lengths",
     {HOST, FIELD("Content-Length", "5"), FIELD("Content-Length", "6")},
     .status = 400},
    {"the same length twice",
     {HOST, FIELD("Content-Length", "5"), FIELD("content-length", "5")},
     .status = 400},
    {"a list of lengths", {HOST, FIELD("Content-Length", "5, 5")}, .status = 400},
    {"a signed length", {HOST, FIELD("Content-Length", "+5")}, .status = 400},
    {"a negative length", {HOST, FIELD("Content-Length", "-5")}, .status = 400},
    {"a hexadecimal length", {HOST, FIELD("Content-Length", "0x5")}, .status = 400},
    {"an empty length", {HOST, FIELD("Content-Length", "")}, .status = 400},
    {"an overflowing length",
     {HOST, FIELD("Content-Length", "18446744073709551621")},
     .status = 400},
    {"length and coding",
     {HOST, FIELD("Content-Length", "5"), FIELD("Transfer-Encoding", "chunked")},
     .status = 400},
    {"two codings",
     {HOST, FIELD("Transfer-Encoding", "chunked"), FIELD("Transfer-Encoding", "chunked")},
     .status = 400},
    {"xchunked", {HOST, FIELD("Transfer-Encoding", "xchunked")}, .status = 400},
    {"identity", {HOST, FIELD("Transfer-Encoding", "identity")}, .status = 400},
    {"gzip, chunked", {HOST, FIELD("Transfer-Encoding", "gzip, chunked")}, .status = 400},
    {"chunked and a blank", {HOST, FIELD("Transfer-Encoding", "chunked ")}, .status = 400},
    {"an empty coding", {HOST, FIELD("Transfer-Encoding", "")}, .status = 400},
    {"a coding in 1.0", {HOST, FIELD("Transfer-Encoding", "chunked")}, "HTTP/1.0", .status = 400},
    {"HTTP/1.2", {HOST}, "HTTP/1.2", .status = 400},
    {"HTTP/2.0", {HOST}, "HTTP/2.0", .status = 400},
    {"no version", {HOST}, "", .status = 400},
    {"a bad escape", {HOST}, NULL, "/a%2", .status = 400},
    {"an escape of letters", {HOST}, NULL, "/a%zz", .status = 400},
    {"%00", {HOST}, NULL, "/a%00b", .status = 400},
    {"a blank in the target", {HOST}, NULL, "/a b", .status = 400},
    {"a control byte in the target", {HOST}, NULL, "/a\x01", .status = 400},
    {"a control byte in the query", {HOST}, NULL, "/a?\x7f", .status = 400},
    {"no leading slash", {HOST}, NULL, "a", .status = 400},
    {"an asterisk", {HOST}, NULL, "*", .status = 400},
    {"an empty target", {HOST}, NULL, "", .status = 400},
    {"another host's absolute form", {HOST}, NULL, "http://other/a", .status = 400},
    {"a longer host's absolute form", {HOST}, NULL, "http://roost.example:80801/a", .status = 400},
};

static void heads_that_mean_two_things_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct guard_head head = {.version = row->version == NULL ? "HTTP/1.1" : row->version,
                                  .target = row->target == NULL ? "/" : row->target,
                                  .fields = row->fields};
        while (head.field_count < 4 && row->fields[head.field_count].name.data != NULL)
            head.field_count++;
        struct guard_verdict verdict = guard_check(&head);
        if (verdict.status != row->status || (verdict.reason == NULL) != (row->status == 0) ||
            (verdict.path == NULL) != (row->status != 0))
            fail_msg("%s: %u %s", row->claim, verdict.status, verdict.reason);
    }
}

static void bodies_are_announced(void **state)
{
    const struct guard_field sized[] = {HOST, FIELD("Content-Length", "00123")};
    const struct guard_field empty[] = {HOST, FIELD("Content-Length", "0")};
    const struct guard_field chunked[] = {HOST, FIELD("Transfer-Encoding", "chunked")};
    struct guard_head head = {.version = "HTTP/1.1",
                              .target = "http://roost.example:8080",
                              .fields = sized,
                              .field_count = 2};
    struct guard_verdict verdict = guard_check(&head);
    assert_true(verdict.has_body && !verdict.is_chunked && verdict.body_bytes == 123);
    assert_string_equal(verdict.path, "/");
    head.fields = empty;
    verdict = guard_check(&head);
    assert_false(verdict.has_body);
    head.fields = chunked;
    verdict = guard_check(&head);
    assert_true(verdict.has_body && verdict.is_chunked);
}

static void heads_over_their_limits_are_refused(void **state)
{
    static struct guard_field many[GUARD_FIELDS_MAX] = {HOST};
    for (size_t i = 1; i < GUARD_FIELDS_MAX; i++)
        many[i] = (struct guard_field)FIELD("X", "y");
    struct guard_head head = {.version = "HTTP/1.1",
                              .target = "/",
                              .bytes = HTTP_HEAD_MAX_BYTES,
                              .fields = many,
                              .field_count = GUARD_FIELDS_MAX};
    assert_int_equal(guard_check(&head).status, 0);
    head.field_count++; /* they are not looked at */
    assert_int_equal(guard_check(&head).status, 431);
    head.field_count--;
    head.bytes++;
    assert_int_equal(guard_check(&head).status, 431);
    head.bytes = 0;
    char target[HTTP_PATH_MAX_BYTES + 2];
    memset(target, '/', sizeof(target));
    target[HTTP_PATH_MAX_BYTES] = '\0';
    head.target = target;
    assert_int_equal(guard_check(&head).status, 0);
    target[HTTP_PATH_MAX_BYTES] = '/';
    target[HTTP_PATH_MAX_BYTES + 1] = '\0';
    assert_int_equal(guard_check(&head).status, 414);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_that_mean_two_things_are_refused),
        cmocka_unit_test(bodies_are_announced),
        cmocka_unit_test(heads_over_their_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
