/* SPDX-License-Identifier: Apache-2.0 */
#include "node/outbox.h"

#include "node/test_scratch.h"

#define MINUTE_US INT64_C(60000000)

static void each_refusal_has_its_patience(void **context)
{
    const struct {
        enum error_code code;
        int64_t refused_for_us;
        enum outbox_verdict verdict;
    } rows[] = {
        {ERROR_UNAVAILABLE, 0, OUTBOX_PAUSE},
        {ERROR_UNAVAILABLE, 100 * 24 * 60 * MINUTE_US, OUTBOX_PAUSE},
        {ERROR_CANCELLED, 0, OUTBOX_PAUSE},
        {ERROR_LIMIT, 0, OUTBOX_PAUSE},
        {ERROR_NOT_FOUND, 0, OUTBOX_DELAY},
        {ERROR_NOT_FOUND, 14 * MINUTE_US, OUTBOX_DELAY},
        {ERROR_NOT_FOUND, 15 * MINUTE_US, OUTBOX_ABANDON},
        {ERROR_DENIED, 0, OUTBOX_DELAY},
        {ERROR_DENIED, 23 * 60 * MINUTE_US, OUTBOX_DELAY},
        {ERROR_DENIED, 24 * 60 * MINUTE_US, OUTBOX_ABANDON},
        {ERROR_CONFLICT, 0, OUTBOX_ABANDON},
        {ERROR_INVALID, 0, OUTBOX_ABANDON},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(outbox_judge(rows[i].code, rows[i].refused_for_us), rows[i].verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_has_its_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
