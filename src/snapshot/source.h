/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_SOURCE_H
#define SNAPSHOT_SOURCE_H

#include "snapshot/entry.h"
#include "snapshot/report.h"

/*
 * A source gives a stream of entries: a live directory, an archive, a snapshot.
 *
 *     while ((more = source_next(source, &entry, err)) > 0)
 *         while ((got = source_read(source, chunk, sizeof(chunk), err)) > 0) …
 *
 * One thread uses a source at a time.  A new format embeds `struct source` first
 * in its own struct, zeroed, and points `ops` at its functions.  The functions at the end of this
 * file check what goes through them: every entry passes entry_check().
 *
 * An object that cannot be given (vanished, unreadable) is named in the report and is no entry;
 * so an ENTRY_HARDLINK always names a file that was given before.
 */
struct source;

struct source_ops {
    /* 1: `entry` is the next one.  0: the end; the whole source was read and was good.  -1: error. */
    int (*next)(struct source *source, struct entry *entry, struct error *err);

    /*
     * The next bytes of the current file, at least one: exactly stored_bytes in all, and never
     * asked for more than that (0 before is CORRUPT: the content ended early).
     * The caller need not read them; next() skips what is left.
     */
    ssize_t (*read)(struct source *source, void *bytes, size_t length, struct error *err);

    /* The current entry is a directory that nobody wants: do not descend.  May be NULL. */
    void (*skip_directory)(struct source *source);

    /*
     * The current entry is a file that nobody takes: no later entry may name it as a hard link.
     * A source that can still read the content gives it under the next name, as ENTRY_FILE.  NULL where
     * it cannot, as in an archive: there the copier names the links whose file was left out.
     */
    void (*decline)(struct source *source);

    /* What is known of the size of everything, for progress; 0: nothing.  May be NULL. */
    uint64_t (*estimate_bytes)(struct source *source);

    void (*free)(struct source *source);
};

struct source {
    const struct source_ops *ops;
    struct report *report; /* borrowed; what the source could not give is noted here; may be NULL */
    uint64_t
        left_bytes; /* of the current file, until next() returned; kept by the functions below */
};

int source_next(struct source *source, struct entry *entry, struct error *err);
ssize_t source_read(struct source *source, void *bytes, size_t length, struct error *err);
void source_skip_directory(struct source *source);

/* false: the source cannot give the content again under another name. */
bool source_decline(struct source *source);
uint64_t source_estimate_bytes(struct source *source);
void source_free(struct source *source); /* NULL is fine */

#endif
