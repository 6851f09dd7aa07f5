/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_COPY_H
#define SNAPSHOT_COPY_H

#include <stdatomic.h>

#include "base/thread.h"
#include "snapshot/ignore.h"
#include "snapshot/report.h"
#include "snapshot/sink.h"
#include "snapshot/source.h"

/*
 * The one verb of the engine: copy a stream of entries from a source to a sink.
 * Backup, restore, extract and verify are this, with other ends.  The copier owns
 * what all of them share: progress, cancel, throttle, limits, ignore rules, report.
 */

/* Read by other threads while the copy runs. */
struct progress {
    _Atomic(uint64_t) entries;
    _Atomic(uint64_t) content_bytes;
    _Atomic(uint64_t) expected_bytes; /* 0: not known */
};

struct copy_options {
    const struct ignore *ignore;  /* NULL: nothing is ignored */
    const struct cancel *cancel;  /* NULL: cannot be cancelled */
    struct progress *progress;    /* NULL: nobody watches */
    uint64_t rate_bytes_per_s;    /* content per second; 0: as fast as it goes */
    uint64_t limit_content_bytes; /* LIMIT beyond; 0: no limit */
    uint64_t limit_entries;       /* LIMIT beyond; 0: no limit */
};

/*
 * Copies everything and finishes the sink: 0 means complete and durable, with
 * the report filled in.  On -1 the sink is unfinished: free it.  Memory is bounded whatever
 * the stream's size.  Neither end is freed here.
 * CANCELLED, LIMIT, and whatever the two ends say.
 */
int copy_entries(struct source *source, struct sink *sink, const struct copy_options *options,
                 struct report *report, struct error *err);

/* A sink that checks the stream and keeps nothing: verification is a copy to nowhere. */
struct sink *null_sink_create(void);

#endif
