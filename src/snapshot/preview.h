/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_PREVIEW_H
#define SNAPSHOT_PREVIEW_H

#include "base/thread.h"
#include "snapshot/ignore.h"
#include "snapshot/source.h"

/*
 * What ignore rules would leave out of a stream, and which rule decides, without copying anything: the copier's own
 * decisions (copy.h) on a source that gives a directory before what is in it, and that right behind it.
 *
 * Sizes are apparent ones, and a file with several names counts once on the side that is kept; on the other,
 * with each name.
 */
struct preview_count {
    uint64_t files, directories, links; /* links: symbolic and hard ones */
    uint64_t bytes;
};

/* Something that is left out; borrowed for the call. */
struct preview_item {
    struct slice path;
    enum entry_type type;
    bool keeps_directory; /* the directory itself stays, all in it goes */
    uint64_t objects;     /* directory: how many lie below it */
    uint64_t bytes;       /* directory: of all below it */
    const struct ignore_rule *rule;
};

struct preview_options {
    void (*visit)(const struct preview_item *item, void *context);
    void *context;
    const struct cancel *cancel; /* NULL: cannot be cancelled */
    uint64_t limit_entries;      /* stop there; 0: no limit */
    int64_t deadline_us;         /* monotonic: stop then; 0: none */
};

struct preview {
    struct preview_count kept, left_out;
    bool is_cut;                          /* a limit came before the end */
    bool has_effect[IGNORE_PATTERNS_MAX]; /* by rule: it decided about something */
};

/*
 * A left-out directory is one item, visited once all below it was counted.  Memory does not grow
 * with the stream.  CANCELLED, and whatever the source says.
 */
int preview_run(struct source *source, const struct ignore *ignore,
                const struct preview_options *options, struct preview *preview, struct error *err);

#endif
