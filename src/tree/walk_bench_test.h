/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_WALK_BENCH_TEST_H
#define TREE_WALK_BENCH_TEST_H

#include "tree/scratch_test.h"
#include "tree/walk.h"

/* For tests: a walk of a directory that goes away.  All of these fail the test where they fail. */
struct walk_bench {
    struct scratch scratch;
    struct source *source;
    struct report report;
    struct entry entry;
    struct error err;
    struct buf text;
};

/* Set-up and tear-down of a test, whose state is a walk_bench. */
int walk_bench_begin(void **state);
int walk_bench_end(void **state);
#define WALK_TEST(name) cmocka_unit_test_setup_teardown(name, walk_bench_begin, walk_bench_end)

void walk_start(struct walk_bench *bench);

/* The next entry must be this one; there must be none. */
void expect_entry(struct walk_bench *bench, const char *path);
void expect_end(struct walk_bench *bench);

/* The rest of the current content, into bench->text; how much. */
size_t read_rest(struct walk_bench *bench, size_t at_most);

/* The report must name this path. */
void expect_item(struct walk_bench *bench, const char *path, enum report_kind kind);

#endif
