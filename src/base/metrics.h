/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

/*
 * Prometheus' text format, version 0.0.4: families of values, one after the other.
 *
 *     metrics_family(out, "roost_node_jobs", METRIC_GAUGE, "Jobs in the queue.");
 *     metrics_value(out, "roost_node_jobs", METRIC_LABELS({"state", "running"}), 2);
 *
 * Names and help texts are the program's own; label values may be anybody's, and are escaped.  Pure functions.
 */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type {
    METRIC_COUNTER, /* since the program started; its name ends in _total */
    METRIC_GAUGE,
};

struct metric_label {
    const char *name; /* NULL ends a list */
    const char *value;
};
#define METRIC_LABELS(...)                                                                         \
    (const struct metric_label[])                                                                  \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define METRIC_NO_LABELS NULL

/* Before the values of a family, once. */
void metrics_family(struct buf *out, const char *name, enum metric_type type, const char *help);
void metrics_value(struct buf *out, const char *name, const struct metric_label *labels,
                   double value);

/* A family of one value. */
void metrics_single(struct buf *out, const char *name, enum metric_type type, const char *help,
                    double value);

#endif
