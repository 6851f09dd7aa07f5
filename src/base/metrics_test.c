/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "base/scope.h"

static void families_and_values_are_lines(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    metrics_single(&out, "a_total", METRIC_COUNTER, "How many.", 3);
    metrics_family(&out, "b", METRIC_GAUGE, "What.");
    metrics_value(&out, "b", METRIC_LABELS({"x", "1"}, {"y", "two"}), 0.25);
    metrics_value(&out, "b", METRIC_LABELS({"x", "2"}), 123456789012345);
    assert_string_equal(out.data, "# HELP a_total How many.\n# TYPE a_total counter\na_total 3\n"
                                  "# HELP b What.\n# TYPE b gauge\nb{x=\"1\",y=\"two\"} 0.25\n"
                                  "b{x=\"2\"} 123456789012345\n");
}

static void what_others_wrote_stays_within_its_label(void **state)
{
    scope_buf struct buf out = BUF_INIT;
    metrics_value(&out, "a", METRIC_LABELS({"x", "q\"} 1\nb\\"}), 7);
    assert_string_equal(out.data, "a{x=\"q\\\"} 1\\nb\\\\\"} 7\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_and_values_are_lines),
        cmocka_unit_test(what_others_wrote_stays_within_its_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
