/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_REPORT_H
#define SNAPSHOT_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

/*
 * What came of a copy.  A file that changed while it was read, or could not be
 * read, does not fail the copy and does not pass silently: it is named here.
 */
enum report_kind {
    REPORT_CHANGED, /* changed while it was read; what is stored is a prefix of one state, padded */
    REPORT_VANISHED,   /* gone before it could be read: not stored */
    REPORT_UNREADABLE, /* permission or I/O error: not stored */
    REPORT_SKIPPED,    /* a socket, FIFO or device: never stored */
    REPORT_REFUSED,    /* restore: an entry that may not be made (device, leaves the root) */
    REPORT_ALTERED, /* made or stored without something (owner, set-id bits, extended attributes) */
};

enum {
    REPORT_ITEMS_MAX = 1000
}; /* further ones are only counted */

struct report_item {
    enum report_kind kind;
    char *path; /* bytes as they are */
    char *detail;
};

struct report {
    uint64_t files, directories, symlinks, hardlinks;
    uint64_t content_bytes; /* content copied */
    uint64_t ignored;       /* entries left out by rules; a pruned directory counts once */
    uint64_t omissions;     /* items in all, also those beyond REPORT_ITEMS_MAX */
    struct report_item *items;
    size_t item_count;
};

void report_init(struct report *report);
void report_free(struct report *report);

/*
 * Name an object.  `path` and the text are copied, each up to a limit; control bytes stay as they are.
 * `report` may be NULL; then nothing happens.
 */
void report_add(struct report *report, enum report_kind kind, struct slice path, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

const char *report_kind_name(enum report_kind kind); /* "changed", "vanished", … */

/* {"files":…,"directories":…,…,"items":[{"kind":…,"path":…,"detail":…}]}; at most `items_max` items. */
void report_write_json(const struct report *report, struct json_writer *w, size_t items_max);

#endif
