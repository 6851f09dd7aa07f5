/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_EXCHANGE_INTERNAL_H
#define TREE_EXCHANGE_INTERNAL_H

#include <stdio.h>
#include <sys/stat.h>

#include "tree/exchange.h"

/* Names in the box, besides the tree. */
#define EXCHANGE_PLAN "plan"
#define EXCHANGE_BACK "back"
#define EXCHANGE_DONE_MARK "done"

#define EXCHANGE_SHARED "shared"

/* One entry of a plan. */
struct plan_entry {
    bool is_new;        /* of the staged tree: to be moved in; else only the live root has it */
    uint64_t new_inode; /* 0: the staged tree has none of this name */
    uint64_t old_inode; /* 0: the live root had none */
    char name[256];
};

/* What a plan says of the two roots, as they were before it. */
struct plan_roots {
    struct stat old, new; /* mode, owner, mtime and inode only */
};

/*
 * Write the plan of exchanging the two, durably, as EXCHANGE_PLAN.
 * CONFLICT: an entry of the live root is a mount point.
 */
int plan_write(int box_fd, int tree_fd, int live_fd, struct error *err);

/* A plan that is read again, entry by entry. */
struct plan {
    FILE *file;
    struct plan_roots roots;
    uint64_t count;
};
/* NOT_FOUND; CORRUPT: it is none of ours, or of other roots than these. */
int plan_open(struct plan *plan, int box_fd, const char *name, struct error *err);
int plan_next(struct plan *plan, struct plan_entry *entry, struct error *err); /* 1, 0, -1 */
void plan_close(struct plan *plan);

/* exchange_held.c: what exchange_is_held() looks for, in a directory that is like /proc. */
bool exchange_scan(int proc_fd, const char *name);

#endif
