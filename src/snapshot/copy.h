/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_COPY_H
#define SNAPSHOT_COPY_H

#include <stdatomic.h>

#include "base/thread.h"
#include "snapshot/ignore.h"
#include "snapshot/report.h"
#include "snapshot/selection.h"
#include "snapshot/sink.h"
#include "snapshot/source.h"

/*
 * The one verb of the engine: copy a stream of entries from a source to a sink.
 * Backup, restore, extract and verify are this, with other ends.  The copier owns
 * what all of them share: progress, cancel, throttle, limits, ignore rules, report.
 *
 * Ignore rules: an ignored file or link is left out.  An ignored directory is left out with all
 * below it where no rule could take something back (ignore_prunes); otherwise the directory itself
 * stays in the stream, for what may follow in it.  Of a file with several names, where the first
 * ones are ignored, the content goes with the first name that is not; a source that cannot do
 * that (source.h, decline) has such names listed as REPORT_REFUSED.
 *
 * A selection lets pass what it wants, and the directories on the way there, so that they can be made.
 * The rest is neither counted nor named.  A link to a file that is not wanted, from a source that cannot give it again, is INVALID.
 */

/* Read by other threads while the copy runs. */
struct progress {
    _Atomic(uint64_t) entries;
    _Atomic(uint64_t) content_bytes;
    _Atomic(uint64_t) expected_bytes; /* as the source estimates it; 0: not known */
};

struct copy_options {
    const struct ignore *ignore; /* NULL: nothing is ignored */
    struct selection *selection; /* NULL: everything; what of it the stream has is noted in it */
    const struct cancel *cancel; /* NULL: cannot be cancelled */
    struct progress *progress;   /* NULL: nobody watches */
    uint64_t
        rate_bytes_per_s; /* content per second, one second's worth at once; 0: as fast as it goes */
    uint64_t limit_content_bytes; /* LIMIT beyond; 0: no limit */
    uint64_t limit_entries;       /* LIMIT beyond; 0: no limit */
};

/*
 * Copies everything and finishes the sink: 0 means complete and durable, with
 * the report filled in.  On -1 the sink is unfinished: free it.  Memory is bounded whatever
 * the stream's size.  Neither end is freed here.  `report` is initialised by the caller (may be
 * NULL) and is, while the copy runs, also that of both ends.
 * CANCELLED, LIMIT, NOT_FOUND (the stream lacks something that is selected), and whatever the two
 * ends say.
 */
int copy_entries(struct source *source, struct sink *sink, const struct copy_options *options,
                 struct report *report, struct error *err);

/* A sink that checks the stream and keeps nothing: verification is a copy to nowhere. */
struct sink *null_sink_create(void);

#endif
