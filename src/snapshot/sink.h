/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_SINK_H
#define SNAPSHOT_SINK_H

#include "snapshot/entry.h"
#include "snapshot/report.h"

/*
 * A sink takes a stream of entries: it stages a directory or writes an archive.
 * Nothing of it counts before finish() returned 0; freeing an unfinished sink leaves
 * no trace.  One thread uses a sink at a time.  A new format embeds `struct sink` first, zeroed.
 *
 * The functions at the end of this file hold callers to the protocol: an entry that breaks entry.h
 * is refused (INVALID, DENIED); too little or too much content, or anything after finish, asserts.
 */
struct sink;

struct sink_ops {
    /* The next entry.  Content of the file before it is complete now. */
    int (*entry)(struct sink *sink, const struct entry *entry, struct error *err);

    /* Content of the current file; in all exactly its stored_bytes. */
    int (*write)(struct sink *sink, const void *bytes, size_t length, struct error *err);

    /*
     * Memory of the sink's where the next content may be put, `*length` of it, which saves a copy: what is
     * then given to write() at that address only counts as there.  NULL: none just now.  May be NULL.
     */
    void *(*room)(struct sink *sink, size_t *length);

    /* No more entries.  Durable when this returns 0. */
    int (*finish)(struct sink *sink, struct error *err);

    void (*free)(struct sink *sink);
};

struct sink {
    const struct sink_ops *ops;
    struct report *report; /* borrowed; may be NULL */
    uint64_t
        owed_bytes; /* content still to come; this and the next are kept by the functions below */
    bool is_finished;
};

int sink_entry(struct sink *sink, const struct entry *entry, struct error *err);
int sink_write(struct sink *sink, const void *bytes, size_t length, struct error *err);
void *sink_room(struct sink *sink, size_t *length); /* good until the next call on the sink */
int sink_finish(struct sink *sink, struct error *err);
void sink_free(struct sink *sink); /* NULL is fine */

#endif
