/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

void metrics_family(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
               type == METRIC_COUNTER ? "counter" : "gauge");
}

static void add_label_value(struct buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            buf_add_str(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(out, "\\%c", *value);
        else
            buf_add(out, value, 1);
    }
}

void metrics_value(struct buf *out, const char *name, const struct metric_label *labels,
                   double value)
{
    buf_add_str(out, name);
    char before = '{';
    for (const struct metric_label *label = labels; label != NULL && label->name != NULL; label++) {
        buf_printf(out, "%c%s=\"", before, label->name);
        add_label_value(out, label->value);
        buf_add_str(out, "\"");
        before = ',';
    }
    buf_printf(out, "%s %.15g\n", before == ',' ? "}" : "", value);
}

void metrics_single(struct buf *out, const char *name, enum metric_type type, const char *help,
                    double value)
{
    metrics_family(out, name, type, help);
    metrics_value(out, name, METRIC_NO_LABELS, value);
}
