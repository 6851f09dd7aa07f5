/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_ENTRY_H
#define SNAPSHOT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * An entry is one file system object on its way from a source to a sink.
 * Paths are bytes: relative, separated by '/', without empty, "." or ".." parts
 * and without NUL; the root directory itself is the path "".  A stream holds a
 * directory before what is in it, and a hard link after the file that it names.
 *
 * Content follows its entry for ENTRY_FILE only: `stored_bytes` bytes, the
 * data extents one after the other.  A file without holes has no extents and
 * stores `size_bytes`.
 */
enum entry_type {
    ENTRY_FILE,
    ENTRY_DIRECTORY,
    ENTRY_SYMLINK,  /* link: the target, any bytes, as readlink gave it */
    ENTRY_HARDLINK, /* link: the path of an earlier ENTRY_FILE of this stream */
};

enum {
    ENTRY_PATH_MAX_BYTES = 4096,
    ENTRY_NAME_MAX_BYTES = 255,
    ENTRY_DEPTH_MAX = 512,
    ENTRY_XATTRS_MAX = 256,             /* extended attributes of one object … */
    ENTRY_XATTRS_MAX_BYTES = 64 * 1024, /* … and their names and values in all */
    ENTRY_EXTENTS_MAX = 65536, /* a file with more pieces is stored without its smallest holes */
};

struct extent {
    uint64_t offset;
    uint64_t length;
};

struct entry {
    struct buf path;
    struct buf link;
    enum entry_type type;
    mode_t mode; /* permission, set-id and sticky bits only: 07777 */
    uid_t uid;
    gid_t gid;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint64_t size_bytes; /* files: apparent size */
    uint64_t stored_bytes;
    struct extent
        *extents;        /* owned; ascending, not overlapping, below size_bytes; NULL: no holes */
    size_t extent_count; /* with extents not NULL, 0 is a file that is one hole */
    struct buf xattrs;   /* packed; see below.  Files and directories only */
};

/* An entry is used again and again for the next object; clear keeps its memory. */
void entry_init(struct entry *entry);
void entry_clear(struct entry *entry);
void entry_free(struct entry *entry);

/*
 * Put `path` into the one form that entries have: "." parts and doubled or
 * trailing slashes go.  DENIED: absolute or with "..".  LIMIT: longer than
 * ENTRY_PATH_MAX_BYTES, a part longer than ENTRY_NAME_MAX_BYTES, deeper than
 * ENTRY_DEPTH_MAX.  INVALID: NUL inside.  For every path that comes from outside.
 * `path` must not be a slice of the entry itself.
 */
int entry_set_path(struct entry *entry, struct slice path, struct error *err);
int entry_set_link_path(struct entry *entry, struct slice path, struct error *err); /* hard links */

/* Whether `path` has that form already, limits included. */
bool entry_path_is_canonical(struct slice path);

/*
 * Whether the entry keeps all that is said above: paths, sizes, extents, nanoseconds.  Sources
 * and sinks ask for every entry that passes; INVALID or DENIED says what is wrong.
 */
int entry_check(const struct entry *entry, struct error *err);

/*
 * The data extents of a file whose size_bytes is set; empty ones are dropped, neighbours joined.
 * `count` 0 is a file that is one hole.  Extents that cover the whole file leave `extents` NULL.
 * Sets stored_bytes.  LIMIT: too many, or a size beyond 2^63 - 1.  INVALID: out of order,
 * overlapping or outside the size.
 */
int entry_set_extents(struct entry *entry, const struct extent *extents, size_t count,
                      struct error *err);

/*
 * Extended attributes, packed one behind the other (name and value with their lengths).  Setting one again
 * replaces it.  INVALID: a name that is empty, has a NUL, or is longer than ENTRY_NAME_MAX_BYTES.
 * LIMIT: more than the bounds above; nothing is added then.
 */
int entry_xattrs_set(struct buf *xattrs, struct slice name, struct slice value, struct error *err);

/* The one at `*at` (0 at first), and `*at` behind it.  false: the end, or bytes that are not packed ones. */
bool entry_xattrs_next(struct slice xattrs, size_t *at, struct slice *name_out,
                       struct slice *value_out);

#endif
