/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_INDEX_WRITE_H
#define ARCHIVE_INDEX_WRITE_H

#include "archive/out_file.h"
#include "snapshot/entry.h"

/*
 * Writes the index (index_page.h) of an archive while the archive is written.  Pages that are full wait
 * until the end, so that the index of an ordinary tree stands together behind the data; where they are
 * more than INDEX_HELD_MAX_BYTES they go between two members, right there.  So memory is bounded whatever the tree, and
 * where pages go follows from the entries alone, not from the threads.
 *
 * Two threads use a writer: one adds entries, the other tells of members.
 */
struct index_writer;

enum {
    INDEX_HELD_MAX_BYTES = 4 << 20
};

struct index_writer *index_writer_create(void);
void index_writer_free(struct index_writer *writer); /* NULL is fine */

/* The next entry, whose first header is at `tar_start`.  Before what is at `tar_start` goes to the threads. */
void index_writer_entry(struct index_writer *writer, const struct entry *entry, uint64_t tar_start);

/*
 * The next member with content was added to `file`, `length` bytes.  May add pages behind it.
 * Errors are out_file_add()'s.
 */
int index_writer_member(struct index_writer *writer, struct out_file *file, size_t length,
                        struct error *err);

/* After the last of both: adds all that is left of the index. */
int index_writer_finish(struct index_writer *writer, struct out_file *file, uint64_t tar_bytes,
                        struct error *err);

#endif
