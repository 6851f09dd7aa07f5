/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_INDEX_PAGE_H
#define ARCHIVE_INDEX_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "snapshot/entry.h"

/*
 * A page of the index is a gzip member without content, whose extra field (RFC 1952, 2.3.1.1) holds it:
 *
 *      0  1f 8b 08 04 | time 0 (4) | flags 0 | system 255
 *     10  length of the extra field le16
 *     12  'R' 'i' | length of what follows le16
 *     16  CRC-32 le32 of all that follows in this field
 *     20  version 1 | kind | raw length le16
 *     24  payload: raw length bytes, deflated (in the trailer: as they are)
 *      …  03 00 | CRC 0 (4) | length 0 (4)
 *
 * docs/archive-format.md says what the payloads are.  Numbers in them are unsigned LEB128 ("varint"):
 * 7 bits a byte, lowest first, the top bit on all but the last.
 */
enum index_kind {
    INDEX_ENTRIES = 1, /* entries of the archive, in its order */
    INDEX_MEMBERS = 2, /* where the members with content begin */
    INDEX_NODE = 3,    /* where pages are */
    INDEX_TRAILER = 4, /* the last member */
};

enum {
    INDEX_RAW_MAX_BYTES = 65000, /* fits also where nothing compresses */
    INDEX_PAGE_HEAD_BYTES = 24,
    INDEX_PAGE_TAIL_BYTES = 10,
    INDEX_PAGE_MIN_BYTES = INDEX_PAGE_HEAD_BYTES + INDEX_PAGE_TAIL_BYTES,
    INDEX_PAGE_MAX_BYTES = 12 + 65535 + INDEX_PAGE_TAIL_BYTES,
    INDEX_LEVELS_MAX = 8,
    INDEX_VARINT_MAX_BYTES = 10,
};

/* What deflates pages: for one thread, and many pages. */
struct index_packer;

struct index_packer *index_packer_create(void);
void index_packer_free(struct index_packer *packer); /* NULL is fine */

/*
 * Append the member that holds `raw`, which is at most INDEX_RAW_MAX_BYTES.  `packer`: NULL for a trailer,
 * and only for that: it is stored.
 */
void index_page_pack(struct index_packer *packer, enum index_kind kind, struct slice raw,
                     struct buf *out);

/* The payload of a whole member.  CORRUPT: it is not a page of that kind, or it is damaged. */
int index_page_unpack(enum index_kind kind, struct slice member, struct buf *raw,
                      struct error *err);

/* Reading what may be anything: after the end, and for numbers that are none, 0 and `is_bad`. */
struct index_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

struct index_cursor index_cursor_on(struct slice bytes);
uint64_t index_get(struct index_cursor *cursor);
int64_t index_get_signed(struct index_cursor *cursor); /* zigzag: 0, -1, 1, -2, … */
struct slice index_get_bytes(struct index_cursor *cursor, uint64_t length);

void index_put(struct buf *out, uint64_t value);
void index_put_signed(struct buf *out, int64_t value);

uint64_t index_read_le(const uint8_t *bytes, size_t width);
void index_put_le(struct buf *out, uint64_t value, size_t width);

/* The order of a walk: part by part as bytes, a directory before what is in it.  < 0, 0, > 0. */
int index_path_order(struct slice a, struct slice b);
bool index_path_is_below(struct slice path, struct slice directory);

/* ---- pages of entries ---- */

enum {
    INDEX_COLUMNS = 9
};

/* Builds one page after the other; `struct entry` as in index.h. */
struct index_builder {
    struct buf columns[INDEX_COLUMNS];
    uint64_t count;
    struct buf path; /* of the entry before */
    uid_t uid;
    gid_t gid;
    uint64_t same_owner; /* entries since it changed */
    int64_t mtime_s;
    uint64_t next_start; /* where the next header is expected in the tar */
};

void index_builder_init(struct index_builder *builder);
void index_builder_free(struct index_builder *builder);
bool index_builder_has_room(const struct index_builder *builder, const struct entry *entry);
void index_builder_add(struct index_builder *builder, const struct entry *entry,
                       uint64_t tar_start);
void index_builder_finish(struct index_builder *builder, struct buf *raw); /* begins anew, too */

/* Reads one; `raw` must outlive it. */
struct index_entries {
    struct index_cursor columns[INDEX_COLUMNS];
    uint64_t count; /* still to come */
    uid_t uid;
    gid_t gid;
    uint64_t same_owner;
    int64_t mtime_s;
    uint64_t next_start;
};

int index_entries_open(struct index_entries *entries, struct slice raw, struct error *err);

/*
 * The next entry into `entry`, whose path must still be that of the one before.  1, 0 at the end, or
 * CORRUPT: what it says breaks entry.h.
 */
int index_entries_next(struct index_entries *entries, struct entry *entry, uint64_t *tar_start,
                       struct error *err);

/* ---- nodes ---- */

/* A page below a node. */
struct index_child {
    uint64_t offset; /* of the member, in the file */
    uint64_t length;
    uint64_t count; /* entries or members below it */
    struct buf
        separator; /* no path before the page passes it, none in it comes before it; "": unknown */
};

#endif
