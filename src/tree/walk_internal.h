/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_WALK_INTERNAL_H
#define TREE_WALK_INTERNAL_H

#include <sys/stat.h>

#include "tree/links.h"
#include "tree/walk.h"

/* A name that a directory gave.  The names themselves lie in walk.names. */
struct item {
    uint64_t prefix; /* the first eight bytes as a big-endian number: most comparisons end here */
    uint32_t offset;
    uint16_t length;
    uint8_t type; /* DT_… */
};

/* A directory on the way down.  Its items are the top of the shared list while it is the top. */
struct frame {
    int fd; /* -1: closed meanwhile, to be opened again by its path */
    dev_t device;
    ino_t inode;
    size_t path_length; /* its path is the beginning of walk.path */
    size_t names_start, items_start;
    size_t next;             /* of the items */
    off_t position;          /* in the directory, behind the items that are listed */
    bool has_more;           /* not all is listed */
    bool is_whole;           /* all its names are in the list at a time */
    unsigned rounds;         /* so often it was listed again */
    struct timespec changed; /* its ctime before it was listed */
};

/* The file that was given last, and what is still to be read of it. */
struct open_file {
    int fd; /* -1: none, or all of it is in memory */
    struct stat before;
    uint64_t offset; /* in the file; in memory: in walk.small */
    size_t extent;   /* the one that `offset` is in, of walk.extents */
    bool is_in_memory;
    bool is_named;     /* in the report already */
    dev_t link_device; /* the record in walk.links that decline() takes back */
    ino_t link_inode;
    bool has_link;
};

struct walk {
    struct source source;
    struct walk_options options;
    int root_fd;
    bool is_started;
    int open_flags; /* O_NOATIME while it is allowed */
    int read_flags; /* RWF_DONTCACHE while the kernel knows it */
    struct links *links;

    struct buf path; /* of the current object */
    struct buf names;
    struct item *items;
    size_t item_count, item_capacity;
    struct frame frames[ENTRY_DEPTH_MAX + 1];
    size_t depth;   /* frames in use */
    int pending_fd; /* the directory that was given last and is to be walked next; or -1 */
    struct stat pending;
    char *list;   /* what getdents64 writes to */
    char *xattrs; /* what they are read into (xattrs.h) */

    struct open_file file;
    char *small; /* WALK_SMALL_BYTES + 1 */
    struct extent *extents;
    size_t extent_count;
    bool has_joined_pieces; /* small holes were given up: there were too many */
};

enum visit {
    VISIT_ERROR = -1,
    VISIT_NOTHING = 0, /* no entry; what there is to say is in the report */
    VISIT_ENTRY = 1,
    VISIT_RETRY = 2, /* the name has become something else: look again */
};

/* walk_list.c: append the next run of names of the top directory, sorted.  -1: errno. */
int walk_list(struct walk *walk, struct frame *frame);

/* Again, and append what was not in the list of the top directory, which is whole.  false: that is not possible. */
bool walk_list_added(struct walk *walk, struct frame *frame);

/* walk_moved.c: whether the top directory has names that came after it was listed; they are in its items then. */
bool walk_list_changed(struct walk *walk, struct frame *frame);

/*
 * The directory `name` of one whose path leads elsewhere by now; only while both are below the root.
 * Negative: errno.
 */
int walk_open_moved(const struct walk *walk, const struct frame *frame, const char *name);

/* walk_file.c: the regular file `name` in `dir_fd`, whose path is walk->path. */
enum visit walk_visit_file(struct walk *walk, int dir_fd, const char *name, struct entry *entry,
                           struct error *err);
ssize_t walk_read_file(struct walk *walk, void *bytes, size_t length);

/* Ends the file that was given last: the fence of a large one, and its descriptor. */
void walk_end_file(struct walk *walk);

/* walk_xattrs.c: extended attributes of an open object, where they are wanted. */
void walk_read_xattrs(struct walk *walk, int fd, struct entry *entry);

/* walk.c: fill in what every entry has. */
void walk_describe(const struct walk *walk, struct entry *entry, enum entry_type type,
                   const struct stat *status);

/* Name the current object in the report. */
void walk_report(const struct walk *walk, enum report_kind kind, const char *text);

/* An open or read failed: in the report, or an error where it is no fault of the tree. */
enum visit walk_failed(struct walk *walk, int os_errno, struct error *err);

/* A thing that is no file, directory or link. */
enum visit walk_skip_special(const struct walk *walk, mode_t mode);

#endif
