/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_SCRATCH_TEST_H
#define TREE_SCRATCH_TEST_H

#include "snapshot/copy.h"

/*
 * For tests: a directory of real files that goes away, and what is in it as text.
 * All of these fail the test where they fail.
 */
struct scratch {
    char path[64];
    int fd;
};

void scratch_make(struct scratch *scratch);
void scratch_remove(struct scratch *scratch);

/* Below the directory `dir_fd`. */
void make_directory(int dir_fd, const char *path);
void make_file(int dir_fd, const char *path, const char *content);
void make_large_file(int dir_fd, const char *path, size_t size_bytes, char filler);
int open_directory(int dir_fd, const char *path);

/*
 * Everything below `dir_fd`, one line an object, sorted: type, mode, owner, times, number of names,
 * size, allocated or not, digest of the content, target; made with plain system calls and not with
 * what is tested.
 */
void manifest(int dir_fd, struct buf *out);
void assert_same_tree(int a_fd, int b_fd);

/* The whole file as text, appended. */
void read_text(int dir_fd, const char *path, struct buf *out);

/* Path and type of every entry that a source gives, " f:a d:b l:c h:d". */
void list_source(struct source *source, struct buf *out);

/* Say that a test cannot run here (cmocka's skip() counts as a failure in TAP). */
void without(const char *need);

/* The item of the report that names this path, or NULL. */
const struct report_item *find_item(const struct report *report, const char *path);

#endif
