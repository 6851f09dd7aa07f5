/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_INDEX_H
#define ARCHIVE_INDEX_H

#include "base/thread.h"
#include "snapshot/entry.h"
#include "snapshot/report.h"

/*
 * What is in an archive, without reading it.  Archives that Roost wrote end in an index (docs/archive-format.md):
 * pages of entries, sorted as the tree was walked, found through a few nodes above them.  A directory
 * is listed, or an entry found, by reading some ten kilobytes of the file, whatever its size; listing
 * everything reads about 10 bytes an entry.
 *
 * The index is as hostile as the rest of an archive: every number in it is checked before it is used,
 * and memory is bounded (a page for each level).  It may still lie about the content:
 * `archive verify` compares the two, and reading content through it checks each header against it.
 *
 * In the entries given here
 * - times have whole seconds;
 * - `extents` is NULL and `stored_bytes` is size_bytes, also for sparse files.
 */
struct archive_index;

/*
 * `fd` is borrowed, and read with pread() only: its position does not move.
 * NOT_FOUND: the archive has no index.  CORRUPT: it has one that is damaged, or that is not of this file.
 */
struct archive_index *archive_index_open(int fd, struct error *err);
void archive_index_free(struct archive_index *index); /* NULL is fine */

uint64_t archive_index_entries(const struct archive_index *index);
uint64_t
archive_index_tar_bytes(const struct archive_index *index); /* of all the archive, inflated */

/* 0 goes on, 1 stops (which is no error), -1 with `err` stops.  `entry` is valid for the call only. */
typedef int archive_visit(const struct entry *entry, void *context, struct error *err);

enum archive_list_flags {
    ARCHIVE_LIST_RECURSIVE = 1 << 0, /* all that is below the directory, not only what is in it */
};

/*
 * Visit what is in `directory` ("": the root), in the order of the archive; the directory itself is not
 * visited, but with ARCHIVE_LIST_RECURSIVE the root's own entry is, where the root is listed.
 * A directory that only shows in the paths below it (as in Wings' archives) counts as one; without
 * ARCHIVE_LIST_RECURSIVE it is visited as a directory with mode 0755, time 0.
 *
 * NOT_FOUND: there is no such directory.  CORRUPT: the index is damaged, perhaps after some visits.
 */
int archive_index_list(struct archive_index *index, struct slice directory, unsigned flags,
                       archive_visit *visit, void *context, struct error *err);

/* The entry of that path; the last one, should there be several.  NOT_FOUND, CORRUPT. */
int archive_index_find(struct archive_index *index, struct slice path, struct entry *entry,
                       struct error *err);

struct archive_list_options {
    struct slice directory; /* its data NULL: the root */
    unsigned flags;
    /* For those that must be read from end to end: */
    uint64_t limit_tar_bytes;    /* LIMIT when it inflates to more; 0: none */
    const struct cancel *cancel; /* NULL: none */
    struct report *report;       /* what is no entry, such as devices; NULL: nobody asks */
};

/*
 * As archive_index_list(), by reading all of the archive from the start of `fd`, which moves.  Times have
 * nanoseconds, sparse files their extents.  Errors are those of archive_reader_open() and source_next(), too.
 */
int archive_list_slowly(int fd, const struct archive_list_options *options, archive_visit *visit,
                        void *context, struct error *err);

/*
 * By the index where there is a good one, else slowly: what a caller wants who only wants a list.  Where a page of
 * the index turns out to be damaged, the rest comes slowly; nothing is visited twice.
 * Returns 1 where it is done, but the archive has an index that was of no use: worth a warning.
 */
int archive_list(int fd, const struct archive_list_options *options, archive_visit *visit,
                 void *context, struct error *err);

#endif
