/* SPDX-License-Identifier: Apache-2.0 */
/* The sink of a verification: what sink.c checks is all that it does. */
#include <stdlib.h>

#include "base/mem.h"
#include "snapshot/copy.h"

static int null_entry(struct sink *sink, const struct entry *entry, struct error *err)
{
    return 0;
}

static int null_write(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
    return 0;
}

static int null_finish(struct sink *sink, struct error *err)
{
    return 0;
}

static void null_free(struct sink *sink)
{
    free(sink);
}

static const struct sink_ops null_ops = {
    .entry = null_entry,
    .write = null_write,
    .finish = null_finish,
    .free = null_free,
};

struct sink *null_sink_create(void)
{
    struct sink *sink = xcalloc(1, sizeof(*sink));
    sink->ops = &null_ops;
    return sink;
}
