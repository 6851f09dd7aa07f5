/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_WRITERS_INTERNAL_H
#define TREE_WRITERS_INTERNAL_H

#include "base/thread.h"
#include "tree/writers.h"

enum {
    WRITERS_ALIGN_BYTES = 4096,        /* offsets, lengths and memory of O_DIRECT */
    WRITERS_DIRECT_BYTES = 512 * 1024, /* files from here on are worth O_DIRECT */
};

struct writers_file {
    struct writers_task task; /* its path lies behind the struct */
    _Atomic(unsigned) uses;   /* pieces that are not written, and 1 until it ended */
    _Atomic(bool) is_direct;
    bool is_streamed; /* large, through the page cache: pages are given back behind the write */
    uint64_t tail_offset;
    size_t tail_length; /* what O_DIRECT leaves over, kept until the end */
    char *tail;         /* WRITERS_ALIGN_BYTES; NULL: none */
    char path[];
};

/* writers_file.c.  The path is copied; O_DIRECT is asked for where it is worth it. */
struct writers_file *writers_file_new(const struct writers_task *task);

/* One piece, to its place. */
int writers_file_put(struct writers_file *file, const uint8_t *bytes, size_t length,
                     uint64_t offset, struct error *err);

/* The tail, the attributes, and closed.  `*refused_out`: the errno where the owner could not be set, or 0. */
int writers_file_complete(struct writers_file *file, bool sets_owner, int *refused_out,
                          struct error *err);
void writers_file_free(struct writers_file *file); /* closes it where it was not completed */

#endif
