/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_TAR_SPARSE_H
#define ARCHIVE_TAR_SPARSE_H

#include "archive/read_ahead.h"
#include "snapshot/entry.h"

/*
 * The map of a sparse file: which bytes of it follow in the archive.  GNU tar's manual, "Storing
 * Sparse Files", has all four ways to write one.  Hostile maps are bounded by ENTRY_EXTENTS_MAX.
 */
struct sparse_map {
    struct extent *extents; /* ascending; neighbours are joined and empty ones dropped */
    size_t count;
    size_t capacity;
    uint64_t data_bytes; /* of all extents */
};

void sparse_map_clear(struct sparse_map *map); /* keeps its memory */
void sparse_map_free(struct sparse_map *map);

/* CORRUPT: out of order or beyond any file; LIMIT: too many. */
int sparse_map_add(struct sparse_map *map, uint64_t offset, uint64_t length, struct error *err);

/* Formats 0.1 and "offset,length,offset,length…". */
int sparse_map_add_text(struct sparse_map *map, struct slice text, struct error *err);

/* Old GNU format: from the header, and from the blocks that follow it in the archive. */
int sparse_map_read_old(struct sparse_map *map, const uint8_t *header, struct read_ahead *bytes,
                        uint64_t *real_size_bytes, struct error *err);

/* Format 1.0: lines of decimal numbers before the content, filled up to a block; what was read
 * is taken off `*size_bytes`. */
int sparse_map_read(struct sparse_map *map, struct read_ahead *bytes, uint64_t *size_bytes,
                    struct error *err);

/* Make `entry` a file of `real_size_bytes` with this map.  CORRUPT where they contradict. */
int sparse_map_apply(const struct sparse_map *map, uint64_t real_size_bytes, uint64_t content_bytes,
                     struct entry *entry, struct error *err);

#endif
