/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_INDEX_TRAILER_H
#define ARCHIVE_INDEX_TRAILER_H

#include "archive/index_page.h"

/*
 * The last member of an archive with an index.  Its payload, little-endian:
 *
 *      0  "RoostIdx"
 *      8  where this member begins in the file u64
 *     16  bytes of the tar u64
 *     24  entries u64
 *     32  members with content u64
 *     40  root of the entries: offset u64, length u32, level u16
 *     54  root of the members: the same
 *     68  flags u16
 *
 * Level 0 is a page (of entries, of members) itself.  Without entries their root is zeros.
 */
enum {
    INDEX_TRAILER_RAW_BYTES = 70,
    INDEX_TRAILER_BYTES = INDEX_PAGE_HEAD_BYTES + INDEX_TRAILER_RAW_BYTES + INDEX_PAGE_TAIL_BYTES,
};

enum index_flags {
    INDEX_IS_SORTED = 1 << 0, /* every path comes after the one before (index_path_order) */
};

struct index_root {
    uint64_t offset;
    uint64_t length;
    uint8_t level;
};

struct index_trailer {
    uint64_t offset;
    uint64_t tar_bytes;
    uint64_t entries;
    uint64_t members;
    struct index_root entry_root;
    struct index_root member_root;
    uint16_t flags;
};

void index_trailer_pack(const struct index_trailer *trailer, struct buf *out);

/* The trailer at the end of the file.  NOT_FOUND: there is none; CORRUPT: damaged, or of another file. */
int index_trailer_read(int fd, struct index_trailer *trailer, struct error *err);

#endif
