/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_PAX_H
#define ARCHIVE_PAX_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/tar_sparse.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * Extended headers (POSIX.1-2001, pax, "pax Extended Header"): records "LENGTH KEY=VALUE\n" in the
 * content of a header of type 'x', for the next entry, or 'g', for all that follow.
 * Of 'g' records only owners and times are taken: nobody writes others.
 */

enum {
    PAX_MAX_BYTES = 1 << 20, /* of one header's records, from outside */
};

/* Which of the values below were there. */
enum pax_values {
    PAX_PATH = 1 << 0,
    PAX_LINK = 1 << 1,
    PAX_SIZE = 1 << 2,
    PAX_UID = 1 << 3,
    PAX_GID = 1 << 4,
    PAX_MTIME = 1 << 5,
    PAX_SPARSE_NAME = 1 << 6,
    PAX_SPARSE_SIZE = 1 << 7,    /* it is a sparse file */
    PAX_SPARSE_VERSION = 1 << 8, /* with the map before the content: 1.0 */
    PAX_XATTRS = 1 << 9,
    PAX_XATTRS_LOST = 1 << 10, /* some were too many, or have no possible name */
    PAX_ACL_TEXT = 1 << 11,    /* an access control list in words, which is passed over */
};

struct pax {
    unsigned has; /* enum pax_values */
    struct buf path;
    struct buf link;
    struct buf sparse_name;
    uint64_t size_bytes;
    uint64_t uid;
    uint64_t gid;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint64_t sparse_size_bytes;
    uint64_t sparse_major;
    uint64_t sparse_minor;
    uint64_t sparse_offset;    /* format 0.0: waits for its length */
    struct sparse_map extents; /* formats 0.0 and 0.1 */
    struct buf xattrs;         /* as in struct entry */
};

void pax_init(struct pax *pax);
void pax_clear(struct pax *pax);
void pax_free(struct pax *pax);

/*
 * Add the records of one header.  A later record wins, an empty value takes the earlier ones
 * back; unknown keys are passed over.  CORRUPT: not records; LIMIT: too many extents.
 */
int pax_read(struct pax *pax, struct slice records, struct error *err);

/* Write one record. */
void pax_add(struct buf *records, const char *key, struct slice value);
void pax_add_xattrs(struct buf *records, struct slice xattrs); /* as in struct entry */
void pax_add_uint(struct buf *records, const char *key, uint64_t value);
void pax_add_time(struct buf *records, const char *key, int64_t seconds, uint32_t nanoseconds);

#endif
