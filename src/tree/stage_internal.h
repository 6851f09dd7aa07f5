/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_STAGE_INTERNAL_H
#define TREE_STAGE_INTERNAL_H

#include <sys/stat.h>

#include "tree/stage.h"
#include "tree/writers.h"
#include "tree/xattrs.h"

/*
 * What is known of directories, in an unnamed file: appended in any order, read
 * back in order of appending, or deepest first.  Memory does not grow with it.
 */
struct ledger {
    int fd;
    uint64_t end;
    uint64_t first[ENTRY_DEPTH_MAX + 2]; /* by depth: the first record (0: none) … */
    uint64_t last[ENTRY_DEPTH_MAX + 2];  /* … and the last, which the next is chained to */
};

/* What a new file in the stage has without being asked. */
struct creation {
    mode_t
        mode_bits; /* those that the umask or a default ACL let through; others are set afterwards */
    uid_t uid;
    gid_t gid;
    bool sets_every_owner; /* the two above cannot be relied on */
};

/* The file that content goes to. */
struct stage_file {
    bool is_open; /* and the writers' current one */
    struct buf path;
    int late_fd; /* of a file with set-id bits or the like, which only follow a known owner; -1: none */
    struct attributes late;
    struct buf late_xattrs;
    struct extent *extents; /* our own copy; NULL: no holes */
    size_t extent_count, extent;
    uint64_t offset;
};

/* Where an entry is made: the directory, and the name in it. */
struct place {
    int dir_fd; /* borrowed */
    const char *name;
};

struct stage {
    struct sink sink;
    struct stage_options options;
    int parent_fd;
    int box_fd;  /* stage_name in it, mode 0700 (exchange.h) */
    int root_fd; /* the staged directory, EXCHANGE_TREE in the box */
    char *live_name;
    char *stage_name;
    struct stat box, own; /* identities of the box and of the staged directory */
    bool has_live;
    struct stat live; /* of the live root, when the stage was made */
    bool has_root_entry;
    bool is_exchanged;
    struct error doubt;  /* why the exchange may not be durable */
    bool owners_refused; /* named in the report */
    struct creation created;
    uint64_t content_bytes, objects; /* of the limits */
    uint64_t unchecked_bytes;        /* about so many since the free space was asked for */

    struct buf parent_path; /* what parent_cached_fd is; the last parent that was asked for */
    int parent_cached_fd;   /* -1: none */
    struct ledger ledger;
    struct writers *writers;
    struct stage_file file;
};

/* stage_ledger.c.  `fd` becomes the ledger's. */
void ledger_open(struct ledger *ledger, int fd);
void ledger_close(struct ledger *ledger);
int ledger_add(struct ledger *ledger, struct slice path, const struct attributes *attributes,
               struct slice xattrs, struct error *err);

/* The record at `*at` (LEDGER_START at first), and `*at` behind it.  1, or 0 at the end. */
enum {
    LEDGER_START = 8
};
int ledger_read(const struct ledger *ledger, uint64_t *at, struct buf *path_out,
                struct attributes *attributes_out, struct error *err);

/* Set what the ledger holds on the directories of the stage, deepest first, and empty it. */
int ledger_apply(struct stage *stage, struct error *err);

/* stage.c: an unnamed file in the directory; where the file system has none, one whose name goes at once. */
int stage_open_unnamed(int parent_fd, struct error *err);

/* stage_write.c */
extern const struct sink_ops stage_sink_ops;

/* stage_place.c */

/* An error of beneath_open_raw() on a path of the stream: a link is DENIED, a file INVALID. */
int stage_path_error(int os_errno, struct slice path, struct error *err);

/* The directory that `path` is in, made where no entry has made it. */
int stage_find_place(struct stage *stage, const struct buf *path, struct place *place,
                     struct error *err);
void stage_forget_parent(struct stage *stage);

/* stage_attributes.c.  `path` is for the report. */
void stage_learn_creation(struct stage *stage);
bool stage_sets_owner(const struct stage *stage, const struct attributes *attributes);
bool stage_sets_mode(const struct stage *stage, mode_t mode);

/* Which set-id bits stay: none unless wanted, and none with an owner that is not the one they meant. */
mode_t stage_allowed_mode(struct stage *stage, struct slice path, mode_t mode, bool has_owner);

/* Set attributes on an open object of ours. */
int stage_apply(struct stage *stage, int fd, struct slice path, struct attributes attributes,
                struct error *err);
int stage_apply_link(struct stage *stage, int dir_fd, const char *name, struct slice path,
                     struct attributes attributes, struct error *err);
/* NO_SPACE where the reserve is touched.  Asks the file system now and then. */
int stage_take_space(struct stage *stage, uint64_t bytes, struct error *err);

/* One object more, of which the content is still to come.  LIMIT: it is one too many, or too large.  NO_SPACE, as above. */
int stage_take_object(struct stage *stage, uint64_t content_bytes, struct error *err);
struct attributes attributes_of_stat(const struct stat *status);

/* Name in the report what the writers could not set. */
void stage_take_refusal(struct stage *stage);

/* stage_xattrs.c: extended attributes of one kind, where they are wanted. */
bool stage_has_xattrs(const struct stage *stage, struct slice xattrs, enum xattr_kind kind);
void stage_set_xattrs(struct stage *stage, int fd, struct slice path, struct slice xattrs,
                      enum xattr_kind kind);

/* Name in the report those that are never set here. */
void stage_refuse_xattrs(struct stage *stage, struct slice path, struct slice xattrs);

/*
 * stage_exchange.c.  CONFLICT where something is mounted below the live directory, or on it and the stage is
 * not in it.
 */
int stage_check_mounts(const struct stage *stage, struct error *err);
int stage_open_live(const struct stage *stage, struct error *err);
bool stage_is_inside(const struct stage *stage); /* the live directory holds the stage */

/* syncfs of the staged directory's file system. */
int stage_sync(struct stage *stage, struct error *err);

#endif
