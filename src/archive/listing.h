/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_LISTING_H
#define ARCHIVE_LISTING_H

#include "archive/index.h"

/*
 * What of a stream of entries is in a directory.  Directories that no entry makes are put together from the paths
 * below them.  Each child that is a directory is visited once; of such children 65,536 are remembered,
 * beyond which a stream that comes back to one of them shows it again.
 */
struct listing {
    struct entry directory; /* its path */
    unsigned flags;
    archive_visit *visit;
    void *context;
    uint64_t visits;      /* so far */
    uint64_t skip_visits; /* that were made before, from another source */
    bool visit_failed;    /* the error is the visitor's */
    bool exists;

    struct entry
        child; /* the directory in `directory` that the stream is in or was in last; may have no path */
    uint64_t *seen; /* digests of such children: open addressing, 0 is free */
    size_t seen_count, seen_capacity;
};

/* DENIED, LIMIT: no path of an archive. */
int listing_init(struct listing *listing, const struct archive_list_options *options,
                 archive_visit *visit, void *context, struct error *err);
void listing_clear(struct listing *listing);

/* 0 goes on, 1: the visitor wants no more, -1. */
int listing_take(struct listing *listing, const struct entry *entry, struct error *err);

/* After the last entry.  NOT_FOUND: there was no such directory. */
int listing_finish(const struct listing *listing, struct error *err);

/* All of it, by the index. */
int index_list(struct archive_index *index, struct listing *listing, struct error *err);

#endif
