/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that need no database: address lists, rates, permissions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panel/allowed_ips.h"
#include "panel/rate.h"
#include "panel/view.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void addresses_are_matched_in_every_form(void **state)
{
    static const struct {
        const char *list;
        const char *address;
        bool is_allowed;
    } rows[] = {
        {NULL, "10.0.0.1", true},
        {"", "10.0.0.1", true},
        {"null", "10.0.0.1", true},
        {"[]", "10.0.0.1", true},
        {"[\"10.0.0.1\"]", "10.0.0.1", true},
        {"[\"10.0.0.1\"]", "10.0.0.10", false},
        {"[\"10.0.0.2\",\"10.0.0.1\"]", "10.0.0.1", true},
        {"[\"10.0.0.0/8\"]", "10.255.0.1", true},
        {"[\"10.0.0.0/8\"]", "11.0.0.1", false},
        {"[\"10.0.0.1-10.0.0.9\"]", "10.0.0.9", true},
        {"[\"10.0.0.1 - 10.0.0.9\"]", "10.0.0.1", true},
        {"[\"10.0.0.1-10.0.0.9\"]", "10.0.0.10", false},
        {"[\"10.0.0.1-10.0.0.9\"]", "10.0.0.0", false},
        {"[\"10.0.0.9-10.0.0.1\"]", "10.0.0.5", false},
        {"[\"2001:db8::1-2001:db8::ff\"]", "2001:db8::10", true},
        {"[\"2001:db8::1-2001:db8::ff\"]", "2001:db8::100", false},
        {"[\"10.0.0.1-2001:db8::ff\"]", "10.0.0.5", false},
        {"[\"10.0.*.*\"]", "10.0.7.8", true},
        {"[\"10.0.*.*\"]", "10.1.7.8", false},
        {"[\"*.*.*.*\"]", "1.2.3.4", true},
        {"[\"10.0.*\"]", "10.0.7.8", false},
        {"[\"*\"]", "10.0.7.8", false},
        {"[\"1*.0.0.1\"]", "10.0.0.1", false},
        {"[\"10.0.*.*\"]", "2001:db8::1", false},
        {"[\"10.0.0.1\"]", "::ffff:10.0.0.1", true},
        {"[\"10.0.*.*\"]", "::ffff:10.0.0.1", true},
        {"[\"2001:db8::/32\"]", "2001:db8::7", true},
        {"[\"nonsense\",\"-\",\"10.0.0.1-\",\"\",5]", "10.0.0.1", false},
        {"{}", "10.0.0.1", false},
        {"10.0.0.1", "10.0.0.1", false},
        {"[\"10.0.0.1\"", "10.0.0.1", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (allowed_ips_have(rows[i].list, rows[i].address) != rows[i].is_allowed)
            fail_msg("%s for %s", rows[i].list, rows[i].address);
}

static void a_window_opens_with_the_first_call_and_closes_after_a_minute(void **state)
{
    struct rate *rate = rate_create(2);
    struct rate_state now;
    const int64_t second_us = 1000000;
    rate_hit(rate, 1, 5 * second_us, &now);
    assert_false(now.is_over);
    assert_int_equal(now.remaining, 1);
    assert_int_equal(now.limit, 2);
    rate_hit(rate, 1, 6 * second_us, &now);
    assert_false(now.is_over);
    assert_int_equal(now.remaining, 0);
    rate_hit(rate, 1, 7 * second_us, &now);
    assert_true(now.is_over);
    assert_int_equal(now.resets_in_s, 58);
    rate_hit(rate, 1 + 1024, 7 * second_us, &now); /* in the same bucket */
    assert_false(now.is_over);
    rate_hit(rate, 1, 64 * second_us + second_us / 2, &now);
    assert_true(now.is_over);
    assert_int_equal(now.resets_in_s, 1);
    rate_hit(rate, 1, 65 * second_us, &now);
    assert_false(now.is_over);
    assert_int_equal(now.remaining, 1);
    rate_free(rate);
}

static void permissions_are_granted_by_name_only(void **state)
{
    assert_int_equal(permission_parse("[]"), 0);
    assert_int_equal(permission_parse("[\"backup.read\"]"), PERMISSION_BACKUP_READ);
    assert_int_equal(permission_parse("[\"backup.read\",\"control.console\",\"backup.delete\"]"),
                     PERMISSION_BACKUP_READ | PERMISSION_BACKUP_DELETE);
    assert_int_equal(permission_parse("[\"BACKUP.READ\",\"backup\",\"backup.*\",5,null]"), 0);
    assert_int_equal(permission_parse("{\"a\":\"backup.read\"}"), 0);
    assert_int_equal(permission_parse("[\"backup.read\""), 0);
    assert_int_equal(permission_parse(""), 0);
    for (unsigned i = 0; i < PERMISSION_COUNT; i++)
        assert_int_equal(permission_bit(permission_name(i)), 1U << i);
    assert_int_equal(permission_bit("nothing"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_matched_in_every_form),
        cmocka_unit_test(a_window_opens_with_the_first_call_and_closes_after_a_minute),
        cmocka_unit_test(permissions_are_granted_by_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
